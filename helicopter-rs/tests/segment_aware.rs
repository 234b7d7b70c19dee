//! Segment by segment, called from Rust: isolation, threads, and stopping.

use std::sync::atomic::{AtomicUsize, Ordering};

use helicopter_rs::algorithms::pde::Kind;
use helicopter_rs::error::Error;
use helicopter_rs::host::{Host, NoHost};
use helicopter_rs::par;
use helicopter_rs::reconstruction::autonomous_engine::{self, Algorithm, Options};
use helicopter_rs::reconstruction::online_scale::UncertaintyModel;
use helicopter_rs::reconstruction::segment_aware::{run, Run, Scene, Task};
use helicopter_rs::reconstruction::strategies::Strategy;
use ndarray::{Array2, Array3};

const HEIGHT: usize = 70;
const WIDTH: usize = 90;

fn model() -> UncertaintyModel {
    UncertaintyModel {
        variance_table: (0..=64).map(|d| [1e-6, 0.1, 0.02 * f64::from(d), 0.01]).collect(),
        log_mae_offset: -0.8,
        log_mae_distance: -0.1,
        log_mae_spread: 0.7,
        log_mae_prior: 0.3,
    }
}

const HARMONIC: Algorithm = Algorithm::Pde(Kind::Harmonic);

fn options() -> Options {
    Options {
        patch_size: 8,
        context_size: None,
        strategy: Strategy::Adaptive,
        seed: 3,
        max_iterations: None,
        target_quality: 1.0,
        initial_known: 0.2,
        open_book: false,
        stop: None,
        plateau: 0.0,
        ask_once: true,
    }
}

fn picture() -> Array3<f32> {
    Array3::from_shape_fn((HEIGHT, WIDTH, 3), |(y, x, c)| {
        let rough = ((y * 37 + x * 101 + c * 17) % 23) as f32 / 230.0;
        0.4 + 0.3 * (x as f32 / 9.0 + c as f32).sin() * (y as f32 / 13.0).cos() + rough
    })
}

/// Rings around a point: each sees through the next.
fn rings() -> Array2<i32> {
    Array2::from_shape_fn((HEIGHT, WIDTH), |(y, x)| {
        let (dy, dx) = (y as f64 - 30.0, x as f64 - 50.0);
        ((dy.hypot(dx) / 16.0) as i32).min(3)
    })
}

fn tasks(count: usize) -> Vec<Task> {
    let task = Task {
        bounds: (0..HEIGHT, 0..WIDTH),
        max_iterations: 24,
        target_quality: 1.0,
        plateau: 0.0,
    };
    vec![task; count]
}

/// Four of five patches.
fn chosen() -> Array2<bool> {
    Array2::from_shape_fn((HEIGHT, WIDTH), |(y, x)| !(y / 8 + 2 * (x / 8)).is_multiple_of(5))
}

fn reconstruct(image: &Array3<f32>, labels: &Array2<i32>, halo: usize) -> Run {
    reconstruct_of(image, labels, &chosen(), halo)
}

fn reconstruct_of(
    image: &Array3<f32>,
    labels: &Array2<i32>,
    chosen: &Array2<bool>,
    halo: usize,
) -> Run {
    let missing = Array2::from_elem((HEIGHT, WIDTH), false);
    let scene = Scene {
        image: image.view(),
        missing: missing.view(),
        chosen: chosen.view(),
        labels: labels.view(),
    };
    let count = labels.iter().max().map_or(0, |&most| most as usize + 1);
    run(&scene, &tasks(count), halo, &HARMONIC, &options(), &model(), &NoHost).unwrap()
}

#[test]
fn one_segment_is_the_whole_image() {
    let (image, labels) = (picture(), Array2::zeros((HEIGHT, WIDTH)));
    let missing = Array2::from_elem((HEIGHT, WIDTH), false);
    let options = options();
    let whole = autonomous_engine::run(
        image.view(),
        missing.view(),
        &HARMONIC,
        &options,
        &model(),
        &NoHost,
    )
    .unwrap();
    let found = reconstruct_of(&image, &labels, &whole.hidden, 0);
    assert_eq!(found.prediction, whole.prediction);
    assert_eq!(found.variance, whole.variance);
    assert_eq!(found.confidence, whole.confidence);
    assert_eq!(found.hidden, whole.hidden);
    assert_eq!(found.outcomes[0].iterations, whole.history.len());
    assert!((found.outcomes[0].mse - whole.scores.mse).abs() < 1e-12);
    assert!((found.outcomes[0].baseline_mse - whole.scores.baseline_mse).abs() < 1e-12);
}

#[test]
fn a_segment_sees_itself_and_its_halo() {
    let (image, labels) = (picture(), rings());
    for halo in [0, 3] {
        let expected = reconstruct(&image, &labels, halo);
        for number in 0..4 {
            let near = |y: usize, x: usize| {
                let rows = y.saturating_sub(halo)..(y + halo + 1).min(HEIGHT);
                rows.clone().any(|y| {
                    let cols = x.saturating_sub(halo)..(x + halo + 1).min(WIDTH);
                    cols.clone().any(|x| labels[[y, x]] == number)
                })
            };
            let mut changed = image.clone();
            for ((y, x, _), value) in changed.indexed_iter_mut() {
                if !near(y, x) {
                    *value = 1.0 - *value;
                }
            }
            let found = reconstruct(&changed, &labels, halo);
            assert_eq!(found.outcomes[number as usize], expected.outcomes[number as usize]);
            for ((y, x), _) in labels.indexed_iter().filter(|(_, &label)| label == number) {
                let bits = |run: &Run| {
                    (run.prediction[[y, x, 1]].to_bits(), run.variance[[y, x]].to_bits())
                };
                assert_eq!(bits(&found), bits(&expected));
            }
        }
    }
}

#[test]
fn threads_change_nothing() {
    let (image, labels) = (picture(), rings());
    let runs: Vec<Run> = [1, 2, 5]
        .map(|threads| par::install(Some(threads), || reconstruct(&image, &labels, 2)).unwrap())
        .into();
    for run in &runs[1..] {
        assert_eq!(run.prediction, runs[0].prediction);
        assert_eq!(run.variance, runs[0].variance);
        assert_eq!(run.outcomes, runs[0].outcomes);
    }
}

#[test]
fn a_caller_who_wants_no_more_is_heard() {
    struct Impatient(AtomicUsize);
    impl Host for Impatient {
        fn cancelled(&self) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed) > 5
        }
    }
    let (image, labels) = (picture(), rings());
    let missing = Array2::from_elem((HEIGHT, WIDTH), false);
    let chosen = chosen();
    let scene = Scene {
        image: image.view(),
        missing: missing.view(),
        chosen: chosen.view(),
        labels: labels.view(),
    };
    let host = Impatient(AtomicUsize::new(0));
    let result = run(&scene, &tasks(4), 0, &HARMONIC, &options(), &model(), &host);
    assert!(matches!(result, Err(Error::Cancelled)));
}
