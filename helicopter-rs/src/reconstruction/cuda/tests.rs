//! On a GPU as on the host: all that is decided to the bit, and the rest within the tiers. The harmonic
//! solutions are the host's own here, so that nothing but the loop is compared.

use std::sync::Arc;

use ndarray::{Array2, Array3};

use super::{run, run_segments, score, Device, Fallback};
use crate::algorithms::pde::Kind;
use crate::analysis::hatata_mdp::Policy;
use crate::error::Result;
use crate::host::{Host, NoHost, Prediction};
use crate::reconstruction::autonomous_engine::{self, Algorithm, EvidenceStop, Options, Run};
use crate::reconstruction::online_scale::UncertaintyModel;
use crate::reconstruction::regional_engine::cuda::{CudaPredictor, CudaReconstructor};
use crate::reconstruction::scores;
use crate::reconstruction::segment_aware::{self, Scene, Task};
use crate::reconstruction::strategies::Strategy;
use crate::utils::cuda_bindings::tests::gpu;
use crate::utils::cuda_bindings::Gpu;

const HARMONIC: Algorithm = Algorithm::Pde(Kind::Harmonic);

fn model() -> UncertaintyModel {
    UncertaintyModel {
        variance_table: (0..=64).map(|d| [1e-6, 0.1, 0.02 * f64::from(d), 0.01]).collect(),
        log_mae_offset: -0.8,
        log_mae_distance: -0.1,
        log_mae_spread: 0.7,
        log_mae_prior: 0.3,
    }
}

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
fn picture(height: usize, width: usize, channels: usize) -> Array3<f32> {
    Array3::from_shape_fn((height, width, channels), |(y, x, c)| {
        let rough = ((y * 37 + x * 101 + c * 17) % 23) as f32 / 230.0;
        0.4 + 0.3 * (x as f32 / 9.0 + c as f32).sin() * (y as f32 / 13.0).cos() + rough
    })
}

fn nothing_missing(image: &Array3<f32>) -> Array2<bool> {
    Array2::from_elem((image.dim().0, image.dim().1), false)
}

fn near(a: f64, b: f64, relative: f64) -> bool {
    a.to_bits() == b.to_bits()
        || a.is_nan() && b.is_nan()
        || (a - b).abs() <= relative * a.abs().max(b.abs())
}

fn assert_same(there: &Run, here: &Run) {
    let steps = |run: &Run| -> Vec<Vec<usize>> {
        run.history.iter().map(|step| step.patches.clone()).collect()
    };
    assert_eq!(steps(there), steps(here));
    assert_eq!(there.stop_reason, here.stop_reason);
    assert_eq!((&there.hidden, &there.scored), (&here.hidden, &here.scored));
    assert_eq!(there.drawn, here.drawn);
    assert!(near(there.completion, here.completion, 0.0));
    assert_eq!(there.prediction, here.prediction);
    assert_eq!(there.reconstruction, here.reconstruction);
    let maps = [(&there.variance, &here.variance), (&there.confidence, &here.confidence)];
    for (there, here) in maps {
        for (&there, &here) in there.iter().zip(here) {
            assert!(near(f64::from(there), f64::from(here), 1e-6), "{there} {here}");
        }
    }
    for (one, other) in there.history.iter().zip(&here.history) {
        assert!(near(one.quality, other.quality, 1e-12));
        assert!(near(one.cumulative_quality, other.cumulative_quality, 1e-12));
        assert!(near(one.confidence, other.confidence, 1e-9));
    }
    assert_eq!(there.patch_qualities.len(), here.patch_qualities.len());
    for (one, other) in there.patch_qualities.iter().zip(&here.patch_qualities) {
        assert!(near(*one, *other, 1e-12));
    }
    assert!(near(there.average_confidence, here.average_confidence, 1e-9));
    assert_same_scores(&there.scores, &here.scores);
}

fn assert_same_scores(there: &scores::Scores, here: &scores::Scores) {
    assert!(near(there.mse, here.mse, 1e-12) && near(there.mae, here.mae, 1e-12));
    assert!(near(there.baseline_mse, here.baseline_mse, 1e-12));
    assert!(near(there.ssim, here.ssim, 1e-9), "{} {}", there.ssim, here.ssim);
}

/// Runs on both; returns what the GPU found.
fn compare(
    gpu: &Arc<Gpu>,
    image: &Array3<f32>,
    missing: &Array2<bool>,
    algorithm: &Algorithm,
    options: &Options,
    host: &dyn Host,
) -> Run {
    let predictor = Fallback { algorithm, gpu: Arc::clone(gpu) };
    let (image, missing) = (image.view(), missing.view());
    let there = run(gpu, image, missing, &predictor, options, &model(), host).unwrap();
    let here = autonomous_engine::run(image, missing, algorithm, options, &model(), host).unwrap();
    assert_same(&there, &here);
    there
}

#[test]
fn scores_are_those_of_the_host() {
    let Some(gpu) = gpu() else { return };
    let device = Device::new(&gpu).unwrap();
    for (height, width, channels) in [(53, 70, 3), (64, 33, 1), (5, 6, 1)] {
        let truth = picture(height, width, channels);
        let prediction = truth.mapv(|value| 0.9 * value * value + 0.05);
        let hidden = Array2::from_shape_fn((height, width), |(y, x)| (y / 4 * 3 + x / 5) % 4 != 0);
        let scored = Array2::from_shape_fn((height, width), |at| hidden[at] && at.0 % 7 != 0);
        let missing = nothing_missing(&truth);
        let here =
            scores::score(truth.view(), prediction.view(), hidden.view(), scored.view(), &NoHost);
        let upload = |image: &Array3<f32>| device.image(image.view()).unwrap();
        let images = (&upload(&truth), &upload(&prediction));
        let missing = device.mask(missing.view()).unwrap();
        let masks = (hidden.view(), scored.view());
        let there = score(&device, images, &missing, masks, truth.dim()).unwrap();
        assert_same_scores(&there, &here.unwrap());
    }
}

#[test]
fn the_loop_decides_as_on_the_host() {
    let Some(gpu) = gpu() else { return };
    let image = picture(61, 75, 3);
    let missing = nothing_missing(&image);
    for (open_book, context_size) in [(false, None), (true, None), (true, Some(24))] {
        for (name, strategy) in Strategy::NAMED {
            // the same patches and predictions whatever chooses them: two of them will do
            if context_size.is_some() && name != "uncertainty_guided" {
                continue;
            }
            let options = Options { context_size, strategy, open_book, ..options() };
            compare(&gpu, &image, &missing, &HARMONIC, &options, &NoHost);
        }
    }
    let windows = Options { context_size: Some(24), ..options() };
    compare(&gpu, &image, &missing, &HARMONIC, &windows, &NoHost);
}

#[test]
fn the_loop_has_holes_limits_and_evidence_as_on_the_host() {
    let Some(gpu) = gpu() else { return };
    let image = picture(50, 49, 1);
    let missing =
        Array2::from_shape_fn((50, 49), |(y, x)| y < 9 || (20..30).contains(&x) && y % 5 > 2);
    for open_book in [false, true] {
        let few = Options { max_iterations: Some(3), open_book, ..options() };
        let found = compare(&gpu, &image, &missing, &HARMONIC, &few, &NoHost);
        assert_eq!(found.stop_reason, "max_iterations");
        let policy = Policy {
            reject_at: vec![-1, -1, -1, -1, -1, -1, 6],
            accept_from: vec![9, 9, 9, 9, 9, 9, 7],
            favour_from: vec![1, 1, 1, 2, 2, 3, 3],
            value: 0.0,
        };
        let stop = Some(EvidenceStop { threshold: 0.9, policy, most_looks: 6, time: None });
        let evident = Options { open_book, stop, ..options() };
        let found = compare(&gpu, &image, &missing, &HARMONIC, &evident, &NoHost);
        assert_eq!(found.stop_reason, "evidence_sufficient");
    }
    let everything = Array2::from_elem((50, 49), true);
    let found = compare(&gpu, &image, &everything, &HARMONIC, &options(), &NoHost);
    assert_eq!(found.stop_reason, "nothing_to_score");
}

/// A caller whose kernel says one thing of everything, and how sure it is.
struct Kernel;

impl Host for Kernel {
    fn kernel(&self, context: Array3<f32>, mask: Array2<bool>) -> Result<Prediction> {
        let shown = context.iter().sum::<f32>() / mask.len() as f32;
        let mean = context.mapv(|_| shown);
        let sigma = Array3::from_shape_fn(context.dim(), |(y, x, _)| {
            0.01 + ((y * 7 + x * 3) % 11) as f32 / 100.0
        });
        Ok(Prediction { mean, sigma: Some(sigma) })
    }
}

#[test]
fn a_kernel_of_the_host_predicts_for_the_loop() {
    let Some(gpu) = gpu() else { return };
    let image = picture(40, 48, 3);
    let missing = nothing_missing(&image);
    for (ask_once, context_size) in [(false, None), (true, None), (false, Some(24))] {
        let strategy = Strategy::UncertaintyGuided;
        let options = Options { context_size, strategy, ask_once, ..options() };
        compare(&gpu, &image, &missing, &Algorithm::Kernel, &options, &Kernel);
    }
}

#[test]
fn what_is_solved_there_leads_to_the_same_decisions() {
    let Some(gpu) = gpu() else { return };
    let image = picture(48, 56, 3);
    let missing = nothing_missing(&image);
    let predictor = CudaReconstructor::new(Arc::clone(&gpu), CudaPredictor::Pde(Kind::Harmonic));
    for (open_book, strategy) in [
        (false, Strategy::UncertaintyGuided),
        (false, Strategy::Adaptive),
        (true, Strategy::Adaptive),
    ] {
        let options = Options { strategy, open_book, ..options() };
        let (image, missing) = (image.view(), missing.view());
        let there = run(&gpu, image, missing, &predictor, &options, &model(), &NoHost).unwrap();
        let here =
            autonomous_engine::run(image, missing, &HARMONIC, &options, &model(), &NoHost).unwrap();
        let patches = |run: &Run| -> Vec<Vec<usize>> {
            run.history.iter().map(|step| step.patches.clone()).collect()
        };
        assert_eq!(patches(&there), patches(&here));
        assert_eq!((there.stop_reason, &there.hidden), (here.stop_reason, &here.hidden));
        for (a, b) in there.prediction.iter().zip(&here.prediction) {
            assert!((a - b).abs() <= 1e-6, "{a} {b}");
        }
        for (&a, &b) in there.variance.iter().zip(&here.variance) {
            assert!(near(f64::from(a), f64::from(b), 1e-3));
        }
        for (one, other) in there.history.iter().zip(&here.history) {
            assert!((one.quality - other.quality).abs() <= 1e-5);
            assert!((one.confidence - other.confidence).abs() <= 1e-4);
        }
        assert!((there.scores.ssim - here.scores.ssim).abs() <= 1e-4);
    }
}

#[test]
fn cuda_gives_the_same_bits_again() {
    let Some(gpu) = gpu() else { return };
    let image = picture(61, 75, 3);
    let missing = nothing_missing(&image);
    let predictor = Fallback { algorithm: &HARMONIC, gpu: Arc::clone(&gpu) };
    let options = Options { open_book: true, ..options() };
    let once = || {
        let (image, missing) = (image.view(), missing.view());
        run(&gpu, image, missing, &predictor, &options, &model(), &NoHost).unwrap()
    };
    let (one, other) = (once(), once());
    let bits = |run: &Run| {
        let maps = [&run.variance, &run.confidence];
        let maps: Vec<u32> = maps.into_iter().flatten().map(|value| value.to_bits()).collect();
        (
            maps,
            run.scores.ssim.to_bits(),
            run.scores.mse.to_bits(),
            run.average_confidence.to_bits(),
        )
    };
    assert_eq!(one.prediction, other.prediction);
    assert_eq!(bits(&one), bits(&other));
}

#[test]
fn segments_are_done_as_on_the_host() {
    let Some(gpu) = gpu() else { return };
    let image = picture(58, 66, 3);
    let labels = Array2::from_shape_fn((58, 66), |(y, x)| {
        let (dy, dx) = (y as f64 - 30.0, x as f64 - 40.0);
        ((dy.hypot(dx) / 16.0) as i32).min(2)
    });
    let chosen = Array2::from_shape_fn((58, 66), |(y, x)| !(y / 8 + 2 * (x / 8)).is_multiple_of(5));
    let missing = Array2::from_shape_fn((58, 66), |(y, x)| y < 3 && x > 60);
    let task = |number: i32| {
        let inside = |at: &(usize, usize)| labels[*at] == number;
        let all: Vec<(usize, usize)> =
            ndarray::indices((58, 66)).into_iter().filter(inside).collect();
        let ends = |of: fn(&(usize, usize)) -> usize, end: usize| {
            let all = all.iter().map(of);
            let (low, high) = (all.clone().min().unwrap(), all.max().unwrap());
            low.saturating_sub(2)..(high + 3).min(end)
        };
        let bounds = (ends(|at| at.0, 58), ends(|at| at.1, 66));
        Task { bounds, max_iterations: 5, target_quality: 0.999, plateau: 0.0 }
    };
    let tasks: Vec<Task> = (0..3).map(task).collect();
    let (chosen, missing) = (chosen.view(), missing.view());
    let scene = Scene { image: image.view(), missing, chosen, labels: labels.view() };
    let predictor = Fallback { algorithm: &HARMONIC, gpu: Arc::clone(&gpu) };
    for (halo, open_book) in [(0, false), (2, true)] {
        let options = Options { open_book, ..options() };
        let (tasks, model) = (&tasks, &model());
        let there =
            run_segments(&gpu, None, &scene, tasks, halo, &predictor, &options, model, &NoHost);
        let there = there.unwrap().download().unwrap();
        let here = segment_aware::run(&scene, tasks, halo, &HARMONIC, &options, model, &NoHost);
        let here = here.unwrap();
        assert_eq!(there.prediction, here.prediction);
        assert_eq!(there.hidden, here.hidden);
        for (there, here) in there.outcomes.iter().zip(&here.outcomes) {
            assert_eq!(there.iterations, here.iterations);
            assert_eq!(there.stop_reason, here.stop_reason);
            assert_eq!((there.scored, there.evidence), (here.scored, here.evidence));
            assert!(near(there.mse, here.mse, 1e-12) && near(there.mae, here.mae, 1e-12));
            assert!(near(there.baseline_mse, here.baseline_mse, 1e-12));
            assert!(near(there.confidence, here.confidence, 1e-9));
        }
        assert_eq!(there.outcomes.len(), here.outcomes.len());
        for (&one, &other) in there.variance.iter().zip(&here.variance) {
            assert!(near(f64::from(one), f64::from(other), 1e-6));
        }
        for (&one, &other) in there.confidence.iter().zip(&here.confidence) {
            assert!(near(f64::from(one), f64::from(other), 1e-6));
        }
    }
}
