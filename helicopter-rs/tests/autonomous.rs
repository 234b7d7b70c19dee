//! The autonomous loop and the regional engine, called from Rust.

use helicopter_rs::algorithms::pde::Kind;
use helicopter_rs::error::Error;
use helicopter_rs::host::{Host, NoHost, Prediction};
use helicopter_rs::reconstruction::autonomous_engine::{run, Algorithm, Options, Run};
use helicopter_rs::reconstruction::online_scale::{OnlineScale, UncertaintyModel};
use helicopter_rs::reconstruction::patches::PatchGrid;
use helicopter_rs::reconstruction::scores::score;
use helicopter_rs::reconstruction::strategies::Strategy;
use helicopter_rs::reconstruction::uncertainty::hidden_variance;
use ndarray::{s, Array2, Array3};

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
        plateau: 1e-3,
        ask_once: false,
    }
}

/// Smooth waves with a little deterministic roughness.
fn picture(height: usize, width: usize) -> Array3<f32> {
    Array3::from_shape_fn((height, width, 3), |(y, x, c)| {
        let rough = ((y * 37 + x * 101 + c * 17) % 23) as f32 / 230.0;
        0.4 + 0.3 * (x as f32 / 9.0 + c as f32).sin() * (y as f32 / 13.0).cos() + rough
    })
}

fn analyse(image: &Array3<f32>, options: &Options) -> Run {
    let missing = Array2::from_elem((image.dim().0, image.dim().1), false);
    run(image.view(), missing.view(), &HARMONIC, options, &model(), &NoHost).unwrap()
}

#[test]
fn what_was_shown_comes_back_untouched_and_every_patch_is_done_once() {
    let image = picture(61, 75);
    let run = analyse(&image, &options());
    assert_eq!(run.stop_reason, "all_patches_done");
    let grid = PatchGrid { height: 61, width: 75, size: 8 };
    let mut done: Vec<usize> = run.history.iter().flat_map(|step| step.patches.clone()).collect();
    done.sort_unstable();
    done.dedup();
    let hidden = grid.sums(run.hidden.view(), i64::from);
    let expected: Vec<usize> = (0..grid.count()).filter(|&patch| hidden[patch] > 0).collect();
    assert_eq!(done, expected);
    for ((y, x), &hidden) in run.hidden.indexed_iter() {
        if !hidden {
            assert_eq!(run.reconstruction.slice(s![y, x, ..]), image.slice(s![y, x, ..]));
            assert_eq!(run.variance[[y, x]].to_bits(), 0);
        }
    }
}

#[test]
fn nothing_up_to_the_step_that_predicts_a_patch_depends_on_its_truth() {
    for (open_book, context_size) in
        [(false, None), (true, None), (false, Some(24)), (true, Some(24))]
    {
        for (_, strategy) in Strategy::NAMED {
            let options = Options { strategy, open_book, context_size, ..options() };
            let image = picture(64, 64);
            let before = analyse(&image, &options);
            let step = before.history.len() / 2;
            let grid = PatchGrid { height: 64, width: 64, size: 8 };
            let mut changed = image.clone();
            for &patch in &before.history[step].patches {
                let (rows, cols) = grid.rectangle(patch);
                changed.slice_mut(s![rows, cols, ..]).mapv_inplace(|value| 1.0 - value);
            }
            let after = analyse(&changed, &options);
            for (a, b) in before.history.iter().zip(&after.history).take(step + 1) {
                assert_eq!(a.patches, b.patches, "{strategy:?} {open_book} {context_size:?}");
                assert_eq!(a.confidence.to_bits(), b.confidence.to_bits());
            }
            for record in &before.history[..=step] {
                for &patch in &record.patches {
                    let (rows, cols) = grid.rectangle(patch);
                    let part = s![rows, cols, ..];
                    assert_eq!(before.prediction.slice(part), after.prediction.slice(part));
                }
            }
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let image = picture(90, 70);
    let options = Options { open_book: true, context_size: Some(20), ..options() };
    let of = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| analyse(&image, &options))
    };
    let (one, three) = (of(1), of(3));
    assert_eq!(one.reconstruction, three.reconstruction);
    assert_eq!(one.variance, three.variance);
    assert_eq!(one.scores, three.scores);
}

#[test]
fn a_kernel_is_asked_and_its_failure_comes_back() {
    struct Grey;
    impl Host for Grey {
        fn kernel(&self, context: Array3<f32>, _: Array2<bool>) -> Result<Prediction, Error> {
            let sigma = Some(Array3::from_elem(context.dim(), 0.1));
            Ok(Prediction { mean: Array3::from_elem(context.dim(), 0.5), sigma })
        }
    }
    let image = picture(40, 40);
    let missing = Array2::from_elem((40, 40), false);
    let (kernel, options) = (Algorithm::Kernel, options());
    let run_with =
        |host: &dyn Host| run(image.view(), missing.view(), &kernel, &options, &model(), host);
    let grey = run_with(&Grey).unwrap();
    for (y, x) in [(0, 0), (17, 30), (39, 39)] {
        let expected = if grey.hidden[[y, x]] { 0.5 } else { image[[y, x, 1]] };
        assert_eq!(grey.reconstruction[[y, x, 1]].to_bits(), expected.to_bits());
    }
    assert!(matches!(run_with(&NoHost), Err(Error::Argument { .. })));
}

#[test]
fn a_caller_who_stops_is_heard() {
    struct Stop;
    impl Host for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let image = picture(40, 40);
    let missing = Array2::from_elem((40, 40), false);
    let stopped = run(image.view(), missing.view(), &HARMONIC, &options(), &model(), &Stop);
    assert!(matches!(stopped, Err(Error::Cancelled)));
}

#[test]
fn uncertainty_takes_the_row_of_the_distance_to_the_nearest_visible_pixel() {
    let mut table = vec![[0.0; 4]; 65];
    for (distance, row) in table.iter_mut().enumerate() {
        row[0] = distance as f64;
    }
    let model = UncertaintyModel { variance_table: table, ..model() };
    let image = picture(150, 40);
    let mask = Array2::from_shape_fn((150, 40), |(y, x)| {
        !((y * 7 + x * 13).is_multiple_of(211) || y == 3 && x < 5)
    });
    let variance = hidden_variance(image.view(), mask.view(), &model, &NoHost).unwrap();
    let visible: Vec<(usize, usize)> =
        mask.indexed_iter().filter(|(_, &hidden)| !hidden).map(|(at, _)| at).collect();
    for ((y, x), &hidden) in mask.indexed_iter() {
        let squares = visible.iter().map(|&(v, u)| y.abs_diff(v).pow(2) + x.abs_diff(u).pow(2));
        let expected = if hidden { squares.min().unwrap().isqrt().min(64) } else { 0 };
        assert_eq!(variance[[y, x]].to_bits(), (expected as f32).to_bits(), "at {y}, {x}");
    }
}

#[test]
fn scores_of_a_known_error() {
    let truth = Array3::from_elem((20, 20, 1), 0.5_f32);
    let mut prediction = truth.clone();
    let hidden = Array2::from_shape_fn((20, 20), |(y, _)| y < 10);
    prediction.slice_mut(s![..10, .., ..]).fill(0.75);
    let scores =
        score(truth.view(), prediction.view(), hidden.view(), hidden.view(), &NoHost).unwrap();
    assert!((scores.mse - 0.0625).abs() < 1e-12);
    assert!((scores.mae - 0.25).abs() < 1e-12);
    assert!(scores.baseline_mse.abs() < 1e-12);
    let same = score(truth.view(), truth.view(), hidden.view(), hidden.view(), &NoHost).unwrap();
    assert!((same.ssim - 1.0).abs() < 1e-12);
}

#[test]
fn confidence_follows_what_errors_teach() {
    let mut scale = OnlineScale::new(&model());
    let patch = (0.01, 4.0);
    let before = scale.confidence(patch);
    assert!(scale.confidence((0.01, 20.0)) > before); // the model's slope says so
    for _ in 0..20 {
        scale.add(patch, 0.3); // far worse than predicted
    }
    assert!(scale.confidence(patch) < 0.5 * before);
    assert!(scale.variance_factor() > 4.0);
}
