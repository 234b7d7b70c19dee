//! Segment by segment: the autonomous loop over each, which sees nothing of the others.
//!
//! The twin in `helicopter/backends/reference/` is the law. Here segments are done side by side: each
//! thread takes the largest that nobody has begun, and one that finds none left helps with the others'
//! work, which is parallel in itself. Nothing is shared but where results are put.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ndarray::{s, Array2, Array3, ArrayView2, ArrayView3, ArrayViewMut2, Axis, Zip};
use rayon::prelude::*;

use super::autonomous_engine::{HostPixels, Loop};
use super::autonomous_run::{Algorithm, Course, Options, StopReason};
use super::online_scale::UncertaintyModel;
use super::patches::Rectangle;
use crate::error::{Error, Result};
use crate::host::Host;

/// One segment, and how hard to try; tasks are numbered as the segments are in the labels.
#[derive(Clone, Debug)]
pub struct Task {
    /// Rows and columns that hold all its pixels and its halo; patches are counted from their corner.
    pub bounds: Rectangle,
    /// Stop after so many.
    pub max_iterations: usize,
    /// Stop at this quality.
    pub target_quality: f64,
    /// The quality has come to rest when it stays within this.
    pub plateau: f64,
}

/// What came of one segment, on the [0, 1] scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Steps of the loop.
    pub iterations: usize,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Share of the hidden patches that the loop did; NaN without any.
    pub completion: f64,
    /// Mean over the hidden patches; NaN without any.
    pub confidence: f64,
    /// Mean squared error over the pixels that were hidden and whose truth is known.
    pub mse: f64,
    /// Mean absolute error over the same.
    pub mae: f64,
    /// Mean squared error of the predictor that knows only the mean colour of what was shown.
    pub baseline_mse: f64,
    /// The number of these pixels.
    pub scored: usize,
    /// The number of patches that the loop has scored.
    pub evidence: usize,
}

/// What was found, on the [0, 1] scale.
#[derive(Clone, Debug)]
pub struct Run {
    /// What was predicted; the image where it was shown.
    pub prediction: Array3<f32>,
    /// Predicted variance of the error.
    pub variance: Array2<f32>,
    /// Of the pixel's patch; 1 where shown.
    pub confidence: Array2<f32>,
    /// What was hidden at the start.
    pub hidden: Array2<bool>,
    /// Segment by segment.
    pub outcomes: Vec<Outcome>,
}

/// What is known about the image, and who belongs where.
pub struct Scene<'a> {
    /// Height x width x channels.
    pub image: ArrayView3<'a, f32>,
    /// Where it has no truth.
    pub missing: ArrayView2<'a, bool>,
    /// What is hidden by choice: a segment's parts of whole patches.
    pub chosen: ArrayView2<'a, bool>,
    /// The number of each pixel's segment.
    pub labels: ArrayView2<'a, i32>,
}

impl Scene<'_> {
    /// What cannot be seen within a segment's bounds, and what is its own.
    pub(super) fn masks_of(
        &self,
        number: usize,
        task: &Task,
        halo: usize,
    ) -> (Array2<bool>, Array2<bool>) {
        let (rows, cols) = task.bounds.clone();
        let plane = s![rows, cols];
        let own = self.labels.slice(plane).mapv(|label| label as usize == number);
        // pixels of others are missing: they are neither shown nor scored, and nobody asks for them
        let mut missing = if halo == 0 { own.clone() } else { widened(&own, halo) };
        Zip::from(&mut missing)
            .and(self.missing.slice(plane))
            .for_each(|missing, &unknown| *missing = !*missing || unknown);
        (missing, own)
    }
}

impl Task {
    /// What this says takes the place of what `options` say.
    pub(super) fn options(&self, options: &Options) -> Options {
        Options {
            max_iterations: Some(self.max_iterations),
            target_quality: self.target_quality,
            plateau: self.plateau,
            ..options.clone()
        }
    }
}

/// What all segments have in common.
struct Common<'a, 's> {
    scene: &'a Scene<'s>,
    halo: usize,
    algorithm: &'a Algorithm,
    options: &'a Options,
    model: &'a UncertaintyModel,
    host: &'a dyn Host,
}

/// Where results are put.
struct Found {
    run: Run,
    outcomes: Vec<Option<Outcome>>,
    /// Pixels of the segments that are done.
    done: usize,
}

/// Reconstructs every segment from its own pixels, and those at most `halo` rows and columns away from
/// one of them. What each task says takes the place of what `options` say.
///
/// # Errors
///
/// [`Error::Cancelled`] or what the kernel failed with.
pub fn run(
    scene: &Scene,
    tasks: &[Task],
    halo: usize,
    algorithm: &Algorithm,
    options: &Options,
    model: &UncertaintyModel,
    host: &dyn Host,
) -> Result<Run> {
    let mut prediction = scene.image.to_owned();
    let pixels = prediction.lanes_mut(Axis(2)).into_iter().zip(scene.missing);
    pixels.filter(|(_, &missing)| missing).for_each(|(mut pixel, _)| pixel.fill(0.0));
    let found = Mutex::new(Found {
        run: Run {
            prediction,
            variance: Array2::zeros(scene.missing.dim()),
            confidence: Array2::ones(scene.missing.dim()),
            hidden: scene.missing.to_owned(),
            outcomes: Vec::new(),
        },
        outcomes: vec![None; tasks.len()],
        done: 0,
    });
    let common = Common { scene, halo, algorithm, options, model, host };
    let one = |number: usize| common.reconstruct(number, &tasks[number], &found);
    if matches!(algorithm, Algorithm::Kernel) {
        // the user's code runs segment after segment, as in the reference
        (0..tasks.len()).try_for_each(one)?;
    } else {
        let mut order: Vec<usize> = (0..tasks.len()).collect();
        order.sort_by_key(|&number| Reverse(area(&tasks[number].bounds)));
        let next = AtomicUsize::new(0);
        (0..rayon::current_num_threads()).into_par_iter().with_max_len(1).try_for_each(|_| {
            while let Some(&number) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                one(number)?;
            }
            Ok::<(), Error>(())
        })?;
    }
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let outcomes = found.outcomes.into_iter().flatten().collect();
    Ok(Run { outcomes, ..found.run })
}

impl Common<'_, '_> {
    /// Reconstructs one segment and takes its pixels over.
    fn reconstruct(&self, number: usize, task: &Task, found: &Mutex<Found>) -> Result<()> {
        self.host.check()?;
        let scene = self.scene;
        let (rows, cols) = task.bounds.clone();
        let (part, plane) = (s![rows.clone(), cols.clone(), ..], s![rows, cols]);
        let (missing, own) = scene.masks_of(number, task, self.halo);
        let options = task.options(self.options);
        let image = scene.image.slice(part);
        let chosen = scene.chosen.slice(plane);
        let (views, host) = ((missing.view(), own.view()), self.host);
        let (algorithm, model) = (self.algorithm, self.model);
        let pixels = |grid, hidden: &Array2<bool>| {
            let masks = (views.0, views.1, hidden);
            Ok(HostPixels::new(image, masks, grid, algorithm, &options, model, host))
        };
        let parts = (views.0, views.1, Some(chosen));
        let mut state = Loop::new(parts, &options, model, host, pixels)?;
        let course = state.walk(&|_, _| {})?;
        let confidence = state.confidence_map();
        let outcome = outcome(&state, &course, views);
        let drawn = &state.initially_hidden & &own;

        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        let run = &mut found.run;
        let mut prediction = run.prediction.slice_mut(part);
        let pixels = prediction.lanes_mut(Axis(2)).into_iter();
        for ((mut to, from), _) in pixels
            .zip(state.pixels.prediction.lanes(Axis(2)))
            .zip(&drawn)
            .filter(|(_, &drawn)| drawn)
        {
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
        }
        take(run.variance.slice_mut(plane), &state.pixels.variance, &drawn);
        take(run.confidence.slice_mut(plane), &confidence, &drawn);
        run.hidden.slice_mut(plane).zip_mut_with(&drawn, |hidden, &drawn| *hidden |= drawn);
        found.outcomes[number] = Some(outcome);
        found.done += own.iter().filter(|&&own| own).count();
        self.host.progress(found.done, scene.missing.len());
        Ok(())
    }
}

fn take(mut to: ArrayViewMut2<f32>, from: &Array2<f32>, here: &Array2<bool>) {
    Zip::from(&mut to).and(from).and(here).for_each(|to, &from, &here| {
        if here {
            *to = from;
        }
    });
}

fn area((rows, cols): &Rectangle) -> usize {
    rows.len() * cols.len()
}

/// Marks what is at most `halo` rows and columns away from a pixel that is marked.
fn widened(own: &Array2<bool>, halo: usize) -> Array2<bool> {
    let mut wide = own.clone();
    for axis in [Axis(0), Axis(1)] {
        for mut lane in wide.lanes_mut(axis) {
            let ahead = halo.saturating_add(1);
            // how far back and how far ahead the nearest marked pixel is
            let mut since = ahead;
            let before: Vec<usize> = lane
                .iter()
                .map(|&marked| {
                    since = if marked { 0 } else { since.saturating_add(1) };
                    since
                })
                .collect();
            let mut until = ahead;
            for (pixel, before) in lane.iter_mut().zip(before).rev() {
                until = if *pixel { 0 } else { until.saturating_add(1) };
                *pixel = before.min(until) <= halo;
            }
        }
    }
    wide
}

fn outcome(
    state: &Loop<HostPixels>,
    course: &Course,
    (missing, own): (ArrayView2<bool>, ArrayView2<bool>),
) -> Outcome {
    let channels = state.pixels.image.dim().2;
    // (prediction, truth) of the known pixels that are hidden, or shown
    let known = |hidden: bool| {
        let pixels = state
            .pixels
            .prediction
            .lanes(Axis(2))
            .into_iter()
            .zip(state.pixels.image.lanes(Axis(2)));
        let masks = state.initially_hidden.iter().zip(missing).zip(own);
        pixels
            .zip(masks)
            .filter(move |(_, ((&h, &missing), &own))| own && !missing && h == hidden)
            .map(|(pixels, _)| pixels)
    };
    let mut mean = vec![0.0; channels];
    let mut shown = 0.0_f64;
    for (_, truth) in known(false) {
        truth.iter().zip(&mut mean).for_each(|(&value, sum)| *sum += f64::from(value));
        shown += 1.0;
    }
    for sum in &mut mean {
        *sum /= shown;
    }
    let (mut squared, mut absolute, mut baseline) = (0.0, 0.0, 0.0);
    let mut scored = 0_usize;
    for (prediction, truth) in known(true) {
        for ((&p, &t), mean) in prediction.iter().zip(truth).zip(&mean) {
            let (p, t) = (f64::from(p), f64::from(t));
            squared += (p - t) * (p - t);
            absolute += (p - t).abs();
            baseline += (mean - t) * (mean - t);
        }
        scored += 1;
    }
    let values = (scored * channels) as f64;
    Outcome {
        iterations: course.history.len(),
        stop_reason: course.stop_reason,
        completion: course.completion,
        confidence: course.average_confidence,
        mse: squared / values,
        mae: absolute / values,
        baseline_mse: baseline / values,
        scored,
        evidence: state.errors.len(),
    }
}
