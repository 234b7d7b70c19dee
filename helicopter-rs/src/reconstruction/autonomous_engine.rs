//! The autonomous loop: hide most of the patches, predict them batch by batch, learn, stop.
//!
//! Nothing that is stored up to and including the step that predicts a patch depends on the patch's
//! own truth. The twin in `helicopter/backends/reference/` is the law and says why each step is so.

mod host_pixels;
mod pixels;
mod stopping;

use ndarray::{aview0, Array2, ArrayView2, ArrayView3, Zip};

pub use super::autonomous_run::{
    Algorithm, Course, EvidenceStop, Iteration, Options, Run, StopReason,
};
use super::online_scale::{OnlineScale, UncertaintyModel};
use super::patches::PatchGrid;
use super::scores::score;
use super::strategies::Strategy;
use crate::analysis::hatata_mdp::Verification;
use crate::error::Result;
use crate::host::Host;
use crate::utils::ranking::{random_ranks, STREAM_INITIAL, STREAM_TIES};
use crate::utils::tensor_ops::copy_where;

pub(super) use host_pixels::HostPixels;
#[cfg(feature = "cuda")]
pub(super) use host_pixels::{mean_of, BLANK, BLANK_VARIANCE};
pub(super) use pixels::{Measured, Pixels, Stated};
use stopping::{pooled_quality, PatchError};

/// The hidden patches are predicted in about this many batches.
const BATCHES: usize = 24;
/// What the plateau is unless somebody says otherwise.
pub const PLATEAU: f64 = 1e-3;

/// State of one run: all that decisions are made of. `P` holds the image and predicts.
///
/// Only pixels that are `own` are hidden by choice, predicted and scored; the others are there to be
/// seen, unless they are missing.
pub(super) struct Loop<'a, P> {
    pub pixels: P,
    missing: ArrayView2<'a, bool>,
    own: ArrayView2<'a, bool>,
    options: &'a Options,
    host: &'a dyn Host,
    pub grid: PatchGrid,
    scale: OnlineScale,
    tie_break: Vec<u64>,
    /// Patches with own pixels.
    concerned: Vec<bool>,
    waiting: Vec<bool>,
    pub initially_hidden: Array2<bool>,
    pub confidence: Vec<f64>,
    /// Mean predicted variance of each patch and its mean distance from what was seen.
    stated: Vec<Option<Stated>>,
    pub errors: Vec<PatchError>,
    /// Of every patch that was looked at; NaN where there is no truth.
    pub patch_qualities: Vec<f64>,
    verification: Option<Verification<'a>>,
}

impl<'a, P: Pixels> Loop<'a, P> {
    /// The masks are what is missing, whose pixels are predicted, and which of them are hidden, whole
    /// patches; by default these are chosen here. `pixels` is given what is hidden.
    pub fn new(
        (missing, own, chosen): (
            ArrayView2<'a, bool>,
            ArrayView2<'a, bool>,
            Option<ArrayView2<bool>>,
        ),
        options: &'a Options,
        model: &UncertaintyModel,
        host: &'a dyn Host,
        pixels: impl FnOnce(PatchGrid, &Array2<bool>) -> Result<P>,
    ) -> Result<Self> {
        let (height, width) = missing.dim();
        let grid = PatchGrid { height, width, size: options.patch_size };
        let concerned: Vec<bool> =
            grid.sums(own, i64::from).into_iter().map(|pixels| pixels > 0).collect();
        let waiting = match chosen {
            None => hide(&grid, (missing, own), &concerned, options),
            Some(chosen) => {
                let mut here = own.to_owned();
                here.zip_mut_with(&chosen, |here, &chosen| *here &= chosen);
                grid.sums(here.view(), i64::from).into_iter().map(|pixels| pixels > 0).collect()
            }
        };
        let mut hidden = grid.pixels(&waiting);
        Zip::from(&mut hidden).and(missing).and(own).for_each(|hidden, &missing, &own| {
            *hidden = *hidden && own || missing;
        });
        Ok(Self {
            pixels: pixels(grid, &hidden)?,
            missing,
            own,
            options,
            host,
            grid,
            concerned,
            scale: OnlineScale::new(model),
            tie_break: random_ranks(options.seed, STREAM_TIES, grid.count()),
            confidence: waiting.iter().map(|&hidden| f64::from(u8::from(!hidden))).collect(),
            waiting,
            initially_hidden: hidden,
            stated: vec![None; grid.count()],
            errors: Vec::new(),
            patch_qualities: Vec::new(),
            verification: options.stop.as_ref().map(|stop: &EvidenceStop| {
                Verification::new(&stop.policy, stop.most_looks, stop.time)
            }),
        })
    }

    fn choose(&mut self, strategy: Strategy, batch: usize) -> Result<Vec<usize>> {
        let unknown: Vec<bool> =
            self.waiting.iter().zip(&self.concerned).map(|(w, c)| *w || !c).collect();
        let priority = self.pixels.priorities(strategy, &unknown)?;
        let mut patches: Vec<usize> =
            (0..self.grid.count()).filter(|&patch| self.waiting[patch]).collect();
        patches.sort_unstable_by_key(|&patch| (-priority[patch], self.tie_break[patch], patch));
        patches.truncate(batch);
        Ok(patches)
    }

    /// Stores the predictions of the still hidden pixels of `patches`, with their uncertainty.
    fn predict(&mut self, patches: &[usize]) -> Result<()> {
        if patches.is_empty() {
            return Ok(());
        }
        let stated = self.pixels.predict(patches, self.scale.variance_factor() as f32)?;
        for (&patch, stated) in patches.iter().zip(stated) {
            if self.stated[patch].is_none() {
                // a confidence is stated once, before the score
                self.confidence[patch] = self.scale.confidence(stated);
                self.stated[patch] = Some(stated);
            }
        }
        Ok(())
    }

    /// Adds predicted patches to the context: the truth, or the prediction.
    fn accept(&mut self, patches: &[usize], reveal: bool) -> Result<()> {
        for &patch in patches {
            self.waiting[patch] = false;
        }
        self.pixels.accept(patches, reveal)
    }

    /// Predicts what is still hidden when the loop stops; nothing of it is scored.
    fn draw_rest(&mut self, strategy: Strategy, batch: usize) -> Result<()> {
        // windows see little, so each batch is drawn from what has been drawn by then
        while self.options.context_size.is_some() && self.waiting.contains(&true) {
            self.host.check()?;
            let patches = self.choose(strategy, batch)?;
            self.predict(&patches)?;
            self.accept(&patches, false)?;
        }
        let open = &self.pixels.hidden() & &self.own;
        let open = self.grid.sums(open.view(), i64::from);
        let rest: Vec<usize> = (0..self.grid.count()).filter(|&p| open[p] > 0).collect();
        self.predict(&rest)
    }

    fn iterate(&mut self, strategy: Strategy, batch: usize) -> Result<Iteration> {
        let mut patches = self.choose(strategy, batch)?;
        self.predict(&patches)?;
        let before = self.errors.len();
        let looked = self.look_at(&patches);
        patches.truncate(looked);
        let confidence = patches.iter().map(|&patch| self.confidence[patch]).sum::<f64>();
        self.accept(&patches, self.options.open_book)?;
        Ok(Iteration {
            strategy: strategy.name(),
            quality: pooled_quality(&self.errors[before..]),
            cumulative_quality: pooled_quality(&self.errors),
            confidence: confidence / patches.len() as f64,
            patches,
        })
    }

    fn still_waiting(&self) -> usize {
        self.waiting.iter().filter(|&&waiting| waiting).count()
    }

    /// Goes through all steps, and predicts what is hidden then.
    pub fn walk(&mut self, progress: &dyn Fn(usize, usize)) -> Result<Course> {
        let options = self.options;
        let strategy = options.strategy.concrete(options.open_book, options.context_size.is_some());
        let patches: Vec<usize> =
            (0..self.grid.count()).filter(|&patch| self.waiting[patch]).collect();
        let batch = patches.len().div_ceil(BATCHES);
        let mut history = Vec::new();
        let stop_reason = loop {
            self.host.check()?;
            if history.is_empty() && !self.may_score() {
                break "nothing_to_score";
            }
            if history.is_empty() && self.evidence_suffices() {
                break "evidence_sufficient"; // even the first look would cost more than it is worth
            }
            history.push(self.iterate(strategy, batch)?);
            progress(patches.len() - self.still_waiting(), patches.len());
            if let Some(reason) = self.stop_reason(&history, batch) {
                break reason;
            }
        };
        let done = patches.iter().filter(|&&patch| !self.waiting[patch]).count();
        let still_hidden = self.pixels.hidden().to_owned();
        self.draw_rest(strategy, batch)?;
        self.pixels.forget();
        let confident = patches.iter().map(|&patch| self.confidence[patch]).sum::<f64>();
        Ok(Course {
            history,
            stop_reason,
            completion: done as f64 / patches.len() as f64,
            average_confidence: confident / patches.len() as f64,
            still_hidden,
        })
    }

    /// Confidence of the pixel's patch; 1 where it was shown.
    pub fn confidence_map(&self) -> Array2<f32> {
        let mut confidence = self.grid.pixels(&self.confidence).mapv(|value| value as f32);
        Zip::from(&mut confidence).and(&self.initially_hidden).for_each(|confidence, &hidden| {
            if !hidden {
                *confidence = 1.0;
            }
        });
        confidence
    }
}

/// Chooses the patches that are shown; returns those that wait to be predicted.
fn hide(
    grid: &PatchGrid,
    (missing, own): (ArrayView2<bool>, ArrayView2<bool>),
    concerned: &[bool],
    options: &Options,
) -> Vec<bool> {
    let mut known = own.to_owned();
    Zip::from(&mut known).and(missing).for_each(|known, &missing| *known &= !missing);
    let seen = grid.sums(known.view(), i64::from);
    let ranks = random_ranks(options.seed, STREAM_INITIAL, grid.count());
    let mut candidates: Vec<usize> = (0..grid.count()).filter(|&patch| seen[patch] > 0).collect();
    candidates.sort_unstable_by_key(|&patch| (ranks[patch], patch));
    let mut shown = (options.initial_known * candidates.len() as f64 + 0.5).floor() as usize;
    if candidates.len() > 1 {
        // else it is shown: from what could it be predicted?
        shown = shown.min(candidates.len() - 1);
    }
    let mut waiting = concerned.to_vec();
    for &patch in candidates.iter().take(shown.max(1)) {
        waiting[patch] = false;
    }
    waiting
}

/// Runs the loop over an image, with `missing` where it has no truth.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`] or what the kernel failed with.
pub fn run(
    image: ArrayView3<f32>,
    missing: ArrayView2<bool>,
    algorithm: &Algorithm,
    options: &Options,
    model: &UncertaintyModel,
    host: &dyn Host,
) -> Result<Run> {
    let everything = true;
    let everything = aview0(&everything);
    let Some(own) = everything.broadcast(missing.dim()) else {
        unreachable!("a single value fits every shape")
    };
    let pixels = |grid, hidden: &Array2<bool>| {
        Ok(HostPixels::new(image, (missing, own, hidden), grid, algorithm, options, model, host))
    };
    let mut state = Loop::new((missing, own, None), options, model, host, pixels)?;
    let course = state.walk(&|done, total| host.progress(done, total))?;
    let confidence = state.confidence_map();
    let HostPixels { context, prediction, variance, hidden, .. } = state.pixels;
    let mut reconstruction = context;
    copy_where(&mut reconstruction, &prediction, hidden.view());

    let known = |hidden: &Array2<bool>| {
        let mut out = hidden.clone();
        Zip::from(&mut out).and(missing).for_each(|out, &missing| *out &= !missing);
        out
    };
    let (measured, remaining) = (known(&state.initially_hidden), known(&course.still_hidden));
    let of_rest = options.open_book && remaining.iter().any(|&pixel| pixel);
    // a missing truth counts as what was predicted, so that it cannot speak in the windows of SSIM
    let mut truth = image.to_owned();
    copy_where(&mut truth, &prediction, missing);
    let scores = score(
        truth.view(),
        prediction.view(),
        state.initially_hidden.view(),
        if of_rest { remaining.view() } else { measured.view() },
        host,
    )?;
    Ok(Run {
        reconstruction,
        prediction,
        variance,
        confidence,
        drawn: if options.open_book { course.still_hidden } else { state.initially_hidden.clone() },
        hidden: state.initially_hidden,
        scored: measured,
        history: course.history,
        patch_qualities: state.patch_qualities,
        stop_reason: course.stop_reason,
        completion: course.completion,
        average_confidence: course.average_confidence,
        scores,
    })
}
