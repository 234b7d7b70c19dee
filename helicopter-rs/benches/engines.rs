//! The engines and what they stand on, on a megapixel of colour with 80 % of its patches hidden.

use criterion::{criterion_group, criterion_main, Criterion};
use helicopter_rs::algorithms::pde::Kind;
use helicopter_rs::host::NoHost;
use helicopter_rs::reconstruction::autonomous_engine::{run, Algorithm, Options};
use helicopter_rs::reconstruction::online_scale::UncertaintyModel;
use helicopter_rs::reconstruction::patches::PatchGrid;
use helicopter_rs::reconstruction::scores::score;
use helicopter_rs::reconstruction::strategies::Strategy;
use helicopter_rs::reconstruction::uncertainty::{hidden_variance, local_variogram};
use helicopter_rs::utils::ranking::random_ranks;
use ndarray::{Array2, Array3};
use std::hint::black_box;

const SIDE: usize = 1024;

const HARMONIC: Algorithm = Algorithm::Pde(Kind::Harmonic);

fn engines(criterion: &mut Criterion) {
    let image = Array3::from_shape_fn((SIDE, SIDE, 3), |(y, x, c)| {
        let rough = ((y * 37 + x * 101 + c * 17) % 23) as f32 / 230.0;
        0.4 + 0.3 * (x as f32 / 9.0 + c as f32).sin() * (y as f32 / 13.0).cos() + rough
    });
    let grid = PatchGrid { height: SIDE, width: SIDE, size: 32 };
    let ranks = random_ranks(0, 1, grid.count());
    let hidden: Vec<bool> = ranks.iter().map(|rank| rank % 5 != 0).collect();
    let mask = grid.pixels(&hidden);
    let missing = Array2::from_elem((SIDE, SIDE), false);
    let model = UncertaintyModel {
        variance_table: (0..=64).map(|d| [1e-6, 0.1, 0.02 * f64::from(d), 0.01]).collect(),
        log_mae_offset: -0.8,
        log_mae_distance: -0.1,
        log_mae_spread: 0.7,
        log_mae_prior: 0.3,
    };
    let options = Options {
        patch_size: 32,
        context_size: None,
        strategy: Strategy::Adaptive,
        seed: 0,
        max_iterations: None,
        target_quality: 1.0,
        initial_known: 0.2,
        open_book: false,
        stop: None,
        plateau: 1e-3,
        ask_once: false,
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool = pool.expect("one thread can always be had");
    let mut group = criterion.benchmark_group("one thread, 1024 x 1024 RGB");
    group.sample_size(10);
    group.bench_function("local_variogram", |b| {
        b.iter(|| pool.install(|| black_box(local_variogram(image.view(), mask.view(), &NoHost))));
    });
    group.bench_function("hidden_variance", |b| {
        b.iter(|| {
            pool.install(|| black_box(hidden_variance(image.view(), mask.view(), &model, &NoHost)))
        });
    });
    group.bench_function("score", |b| {
        b.iter(|| {
            pool.install(|| {
                let (image, mask) = (image.view(), mask.view());
                black_box(score(image, image, mask, mask, &NoHost))
            })
        });
    });
    group.bench_function("autonomous", |b| {
        b.iter(|| {
            pool.install(|| {
                black_box(run(image.view(), missing.view(), &HARMONIC, &options, &model, &NoHost))
            })
        });
    });
    group.finish();
}

criterion_group!(benches, engines);
criterion_main!(benches);
