//! What the core says at the door that it needs is what it takes, for whatever it is given.

// it counts with an allocator of its own, and the extension module has one already
#![cfg(not(feature = "python"))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use helicopter_rs::algorithms::network::Network;
use helicopter_rs::algorithms::pde::{self, Kind};
use helicopter_rs::analysis::anomaly_map;
use helicopter_rs::analysis::mdp::{compress::Rows, horizon, model::Model, solver};
use helicopter_rs::analysis::noise::learnt::NoiseModel;
use helicopter_rs::analysis::zengeza_detector;
use helicopter_rs::host::NoHost;
use helicopter_rs::memory::takes;
use helicopter_rs::par;
use helicopter_rs::reconstruction::autonomous_engine::{self, Algorithm, Options};
use helicopter_rs::reconstruction::online_scale::UncertaintyModel;
use helicopter_rs::reconstruction::strategies::Strategy;
use helicopter_rs::reconstruction::uncertainty;
use helicopter_rs::segmentation;
use ndarray::{Array2, Array3};

mod random_network;
mod random_noise_model;

/// The system's allocator, which counts.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grown(bytes: usize) {
    let now = NOW.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: what holds for us holds there.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // both exist while it is moved
        grown(size);
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` takes at its height, beyond what there was.
fn peak<T: Send>(work: impl FnOnce() -> T + Send) -> usize {
    par::install(Some(2), move || {
        let before = NOW.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let result = work();
        let peak = PEAK.load(Ordering::Relaxed) - before;
        drop(result);
        peak
    })
    .unwrap()
}

/// What a call holds in reserve beside what it says that it takes.
fn with_reserve(bytes: usize) -> usize {
    bytes + bytes / 2 + (64 << 20)
}

fn checked<T: Send>(what: &str, said: usize, work: impl FnOnce() -> T + Send) {
    let taken = peak(work);
    assert!(taken <= with_reserve(said), "{what} takes {taken} bytes and says {said}");
    assert!(said <= 8 * taken + (64 << 20), "{what} takes {taken} bytes only and says {said}");
}

// One test, since what is counted is counted for all threads.
#[test]
fn operations_take_what_they_say() {
    let size = (512, 768, 3);
    let (height, width, channels) = size;
    let image = Array3::from_shape_fn(size, |(y, x, c)| {
        let rough = ((y * 37 + x * 101 + c * 17) % 23) as f32 / 230.0;
        0.4 + 0.3 * (x as f32 / 9.0 + c as f32).sin() * (y as f32 / 13.0).cos() + rough
    });
    let mask = Array2::from_shape_fn((height, width), |(y, x)| (y / 16 * 7 + x / 16 * 3) % 4 == 1);
    let (view, hidden) = (image.view(), mask.view());
    let file = random_network::file(&random_network::Architecture::small(), 1);
    let network = Network::from_bytes(&file).expect("a sound file");
    let model = UncertaintyModel {
        variance_table: (0..=64).map(|d| [1e-6, 0.1, 0.02 * f64::from(d), 0.01]).collect(),
        log_mae_offset: -0.8,
        log_mae_distance: -0.1,
        log_mae_spread: 0.7,
        log_mae_prior: 0.3,
    };
    let mut filled = image.clone();
    checked("biharmonic", takes::equation(size), || {
        pde::solve(filled.view_mut(), hidden, Kind::Biharmonic, &NoHost)
    });
    checked("network", takes::network(size), || {
        network.predict(filled.view_mut(), hidden, &NoHost)
    });
    checked("variance", takes::variance(size), || {
        uncertainty::hidden_variance(view, hidden, &model, &NoHost)
    });
    let options = Options {
        patch_size: 32,
        context_size: None,
        strategy: Strategy::Adaptive,
        seed: 3,
        max_iterations: Some(2),
        target_quality: 1.0,
        initial_known: 0.2,
        open_book: false,
        stop: None,
        plateau: 0.0,
        ask_once: true,
    };
    let algorithm = Algorithm::Pde(Kind::Harmonic);
    checked("autonomous", takes::autonomous(size), || {
        autonomous_engine::run(view, hidden, &algorithm, &options, &model, &NoHost)
    });
    let zeros = Array2::<f32>::zeros((height, width));
    let evidence = anomaly_map::Evidence {
        image: view,
        prediction: view,
        sigma: zeros.view(),
        noise: zeros.view(),
        included: hidden,
    };
    checked("measurements", takes::measurements(size), || {
        anomaly_map::measure(evidence, 1.5, &NoHost)
    });
    let noise = NoiseModel::new(&random_noise_model::tensors(channels, 3)).expect("sound tensors");
    let scene = zengeza_detector::Scene { pixels: view, included: hidden, quantum: 1.0 / 255.0 };
    checked("noise", takes::noise(size), || {
        zengeza_detector::analyze(scene, None, &noise, &NoHost)
    });
    for count in [250, height * width / 4] {
        let options = segmentation::Options {
            count,
            least_area: 150,
            spatial: 0.003,
            spatial_borders: 0.0,
            border: 0.0,
            passes: (1, 3),
        };
        checked("segments", takes::segments(size, count), || {
            segmentation::segment(&view, &options, &NoHost)
        });
    }
    decisions();
}

fn decisions() {
    let states = 100_000;
    let of_state: Vec<i64> = (0..2 * states).map(|pair| pair / 2).collect();
    let of_action: Vec<i64> = (0..2 * states).map(|pair| pair % 2).collect();
    let row_start: Vec<i64> = (0..=2 * states).collect();
    let columns: Vec<i64> = (0..2 * states).map(|pair| (pair * 7919 + 13) % states).collect();
    let (probabilities, rewards) = (vec![1.0; columns.len()], vec![0.5; columns.len()]);
    let rows = Rows {
        states: &of_state,
        actions: &of_action,
        row_start: &row_start,
        columns: &columns[..],
        probabilities: &probabilities,
        rewards: &rewards,
        by_entry: false,
        rewards_low: None,
    };
    let (states, pairs) = (states as usize, columns.len());
    let mut made = None;
    checked("model", takes::model(states, pairs, pairs), || made = Model::from_rows(states, rows));
    let model = made.expect("a model");
    for method in [solver::Method::ValueIteration, solver::Method::PolicyIteration] {
        let options = solver::Options { discount: 0.9, method, epsilon: 1e-6, max_iterations: 20 };
        checked("solution", takes::solution(states, pairs, pairs), || {
            solver::solve(&model, options, &NoHost)
        });
    }
    let terminal = vec![0.0; states];
    checked("horizon", takes::horizon(states, 20), || {
        horizon::solve(&model, 0.9, 20, &terminal, &NoHost)
    });
}
