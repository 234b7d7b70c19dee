//! The autonomous loop: hide most of the patches, predict them batch by batch, learn, stop.
//!
//! Nothing that is stored up to and including the step that predicts a patch depends on the patch's
//! own truth. The twin in `helicopter/backends/reference/` is the law and says why each step is so.

use ndarray::{aview0, s, Array2, Array3, ArrayView2, ArrayView3, Axis, Zip};
use rayon::prelude::*;

pub use super::autonomous_run::{
    Algorithm, Course, EvidenceStop, Iteration, Options, Run, StopReason,
};
use super::online_scale::{OnlineScale, UncertaintyModel};
use super::patches::{PatchGrid, Rectangle};
use super::ranking::{random_ranks, STREAM_INITIAL, STREAM_TIES};
use super::scores::score;
use super::strategies::{priorities, Strategy};
use super::uncertainty::{hidden_distance, hidden_variance, local_variogram};
use crate::algorithms::pde;
use crate::analysis::hatata_mdp::{Decision, Looker};
use crate::error::Result;
use crate::host::Host;

/// The hidden patches are predicted in about this many batches.
const BATCHES: usize = 24;
/// The target counts as reached when it lies below this one-sided 95 % bound of the quality ...
const BOUND: f64 = 1.644_853_626_951_472_6;
/// ... of at least this many patches.
const LEAST_EVIDENCE: usize = 10;
/// With the book open only the last batches tell how well the rest would be predicted.
const RECENT_BATCHES: usize = 3;
/// No improvement: the quality so far stays within the plateau over so many iterations.
const PATIENCE: usize = 8;
/// What the plateau is unless somebody says otherwise.
pub const PLATEAU: f64 = 1e-3;
/// Where nothing at all is visible, grey is predicted, with the variance of a uniform law.
const BLANK: f32 = 0.5;
const BLANK_VARIANCE: f32 = 1.0 / 12.0;
/// A certain prediction would have no logarithm.
const LEAST_VARIANCE: f32 = 1e-12;

/// Quality of a mean squared error on the [0, 1] scale.
fn quality_of(mse: f64) -> f64 {
    1.0 / (1.0 + 10.0 * mse)
}

/// Sum of squared errors and number of values of one scored patch.
type PatchError = (f64, usize);

fn pooled_quality(errors: &[PatchError]) -> f64 {
    let size: usize = errors.iter().map(|(_, size)| size).sum();
    if size == 0 {
        return f64::NAN;
    }
    quality_of(errors.iter().map(|(squared, _)| squared).sum::<f64>() / size as f64)
}

/// A predicted image, the variance of its errors, and how far from what was seen they are.
struct Predicted {
    mean: Array3<f32>,
    variance: Array2<f32>,
    distance: Array2<f32>,
}

/// State of one run. `context` and `hidden` are what predictions may be made from.
///
/// Only pixels that are `own` are hidden by choice, predicted and scored; the others are there to be
/// seen, unless they are missing.
pub(super) struct Loop<'a> {
    pub image: ArrayView3<'a, f32>,
    missing: ArrayView2<'a, bool>,
    own: ArrayView2<'a, bool>,
    algorithm: &'a Algorithm,
    options: &'a Options,
    model: &'a UncertaintyModel,
    host: &'a dyn Host,
    grid: PatchGrid,
    scale: OnlineScale,
    tie_break: Vec<u64>,
    /// Patches with own pixels.
    concerned: Vec<bool>,
    waiting: Vec<bool>,
    pub initially_hidden: Array2<bool>,
    hidden: Array2<bool>,
    /// What has never truly been seen; differs from `hidden` when the book is closed.
    unseen: Array2<bool>,
    context: Array3<f32>,
    pub prediction: Array3<f32>,
    pub variance: Array2<f32>,
    confidence: Vec<f64>,
    /// Mean predicted variance of each patch and its mean distance from what was seen.
    stated: Vec<Option<(f64, f64)>>,
    standing: Option<Predicted>,
    base_variance: Option<Array2<f32>>,
    pub errors: Vec<PatchError>,
    /// Of every patch that was looked at; NaN where there is no truth.
    patch_qualities: Vec<f64>,
    looker: Option<Looker<'a>>,
}

impl<'a> Loop<'a> {
    pub fn new(
        image: ArrayView3<'a, f32>,
        missing: ArrayView2<'a, bool>,
        own: ArrayView2<'a, bool>,
        algorithm: &'a Algorithm,
        options: &'a Options,
        model: &'a UncertaintyModel,
        host: &'a dyn Host,
    ) -> Self {
        let (height, width, _) = image.dim();
        let grid = PatchGrid { height, width, size: options.patch_size };
        let concerned: Vec<bool> =
            grid.sums(own, i64::from).into_iter().map(|pixels| pixels > 0).collect();
        let waiting = hide(&grid, (missing, own), &concerned, options);
        let mut hidden = grid.pixels(&waiting);
        Zip::from(&mut hidden).and(missing).and(own).for_each(|hidden, &missing, &own| {
            *hidden = *hidden && own || missing;
        });
        let mut context = image.to_owned();
        for (mut pixel, &hidden) in context.lanes_mut(Axis(2)).into_iter().zip(&hidden) {
            if hidden {
                pixel.fill(0.0);
            }
        }
        Self {
            image,
            missing,
            own,
            algorithm,
            options,
            model,
            host,
            grid,
            concerned,
            scale: OnlineScale::new(model),
            tie_break: random_ranks(options.seed, STREAM_TIES, grid.count()),
            confidence: waiting.iter().map(|&hidden| f64::from(u8::from(!hidden))).collect(),
            waiting,
            initially_hidden: hidden.clone(),
            unseen: hidden.clone(),
            hidden,
            prediction: context.clone(),
            context,
            variance: Array2::zeros((height, width)),
            stated: vec![None; grid.count()],
            standing: None,
            base_variance: None,
            errors: Vec::new(),
            patch_qualities: Vec::new(),
            looker: options
                .stop
                .as_ref()
                .map(|stop: &EvidenceStop| Looker::new(&stop.policy, stop.most_looks, stop.time)),
        }
    }

    fn choose(&mut self, strategy: Strategy, batch: usize) -> Result<Vec<usize>> {
        let mut variogram = None;
        if strategy == Strategy::ContentAware {
            variogram = Some(local_variogram(self.context.view(), self.unseen.view(), self.host)?);
        }
        if strategy == Strategy::UncertaintyGuided {
            if self.algorithm.may_state_variance() {
                self.predict_everything()?;
            } else {
                self.ensure_base_variance()?;
            }
        }
        let stated = self.algorithm.may_state_variance();
        let variance = match (&self.standing, &self.base_variance) {
            (Some(standing), _) if stated => &standing.variance,
            (_, Some(variance)) => variance,
            _ => &self.variance, // not looked at by the other strategies
        };
        let unknown: Vec<bool> =
            self.waiting.iter().zip(&self.concerned).map(|(w, c)| *w || !c).collect();
        let priority = priorities(strategy, &self.grid, &unknown, variance.view(), || {
            variogram.unwrap_or_default()
        });
        let mut patches: Vec<usize> =
            (0..self.grid.count()).filter(|&patch| self.waiting[patch]).collect();
        patches.sort_unstable_by_key(|&patch| (-priority[patch], self.tie_break[patch], patch));
        patches.truncate(batch);
        Ok(patches)
    }

    /// Predicts the variance of everything that has not truly been seen, once per state of that.
    fn ensure_base_variance(&mut self) -> Result<()> {
        if self.base_variance.is_none() {
            let variance =
                hidden_variance(self.context.view(), self.unseen.view(), self.model, self.host)?;
            self.base_variance = Some(variance);
        }
        Ok(())
    }

    /// Predicts all that is hidden from all that is visible, once per state of the context.
    fn predict_everything(&mut self) -> Result<()> {
        if self.standing.is_some() {
            return Ok(());
        }
        let (mean, sigma) = self.mean_of(self.context.view(), self.hidden.view())?;
        let variance = if let Some(variance) = sigma {
            variance
        } else {
            self.ensure_base_variance()?;
            self.base_variance.clone().unwrap_or_default()
        };
        let distance = hidden_distance(self.unseen.view(), self.host)?;
        self.standing = Some(Predicted { mean, variance, distance });
        Ok(())
    }

    /// Predicts what is hidden in a part of the image from the visible rest of that part.
    fn predict_window(&self, (rows, cols): Rectangle) -> Result<Predicted> {
        let part = s![rows.clone(), cols.clone(), ..];
        let plane = s![rows, cols];
        let (context, hidden) = (self.context.slice(part), self.hidden.slice(plane));
        let unseen = self.unseen.slice(plane);
        let distance = hidden_distance(unseen, self.host)?;
        let (mean, sigma) = self.mean_of(context, hidden)?;
        let variance = match sigma {
            Some(variance) => variance,
            None => hidden_variance(context, unseen, self.model, self.host)?,
        };
        Ok(Predicted { mean, variance, distance })
    }

    /// The prediction, and its variance where the algorithm states one itself.
    fn mean_of(
        &self,
        context: ArrayView3<f32>,
        hidden: ArrayView2<bool>,
    ) -> Result<(Array3<f32>, Option<Array2<f32>>)> {
        if hidden.iter().all(|&hidden| hidden) {
            let variance = Array2::from_elem(hidden.dim(), BLANK_VARIANCE);
            return Ok((Array3::from_elem(context.dim(), BLANK), Some(variance)));
        }
        let mut mean = context.as_standard_layout().into_owned();
        match self.algorithm {
            Algorithm::Pde(kind) => {
                pde::solve(mean.view_mut(), hidden, *kind, self.host)?;
                Ok((mean, None))
            }
            Algorithm::Network(network) => {
                let sigma = network.predict(mean.view_mut(), hidden, self.host)?;
                Ok((mean, Some(sigma.mapv(|sigma| sigma * sigma))))
            }
            Algorithm::Kernel => {
                let answer = self.host.kernel(mean, hidden.as_standard_layout().into_owned())?;
                let square =
                    |sigma: Array3<f32>| sigma.index_axis(Axis(2), 0).mapv(|sigma| sigma * sigma);
                Ok((answer.mean, answer.sigma.map(square)))
            }
        }
    }

    /// Stores the predictions of the still hidden pixels of `patches`, with their uncertainty.
    fn predict(&mut self, patches: &[usize]) -> Result<()> {
        if patches.is_empty() {
            return Ok(());
        }
        let Some(side) = self.options.context_size else {
            self.predict_everything()?;
            if let Some(standing) = self.standing.take() {
                for &patch in patches {
                    let (rows, cols) = self.grid.rectangle(patch);
                    self.store(patch, &standing, (rows.start, cols.start));
                }
                self.standing = Some(standing);
            }
            return Ok(());
        };
        let one = |&patch: &usize| {
            self.host.check()?;
            let window = self.grid.window(patch, side);
            let (rows, cols) = self.grid.rectangle(patch);
            let inside = (rows.start - window.0.start, cols.start - window.1.start);
            Ok((self.predict_window(window)?, inside))
        };
        let windows: Vec<_> = if matches!(self.algorithm, Algorithm::Kernel) {
            // the user's code runs patch after patch, as in the reference
            patches.iter().map(one).collect::<Result<_>>()?
        } else {
            // windows of one batch look at the same context, so they may be solved side by side
            patches.par_iter().map(one).collect::<Result<_>>()?
        };
        for (&patch, (predicted, inside)) in patches.iter().zip(&windows) {
            self.store(patch, predicted, *inside);
        }
        Ok(())
    }

    /// Takes the pixels of `patch` over from a prediction whose part of it begins at `inside`.
    fn store(&mut self, patch: usize, predicted: &Predicted, inside: (usize, usize)) {
        let (rows, cols) = self.grid.rectangle(patch);
        let factor = self.scale.variance_factor() as f32;
        let (mut variances, mut distances, mut count) = (0.0, 0.0, 0.0_f64);
        for (dy, y) in rows.enumerate() {
            let across = inside.1..inside.1 + cols.len();
            let from = s![inside.0 + dy, across.clone()];
            let from_mean = predicted.mean.slice(s![inside.0 + dy, across, ..]);
            let open =
                &self.hidden.slice(s![y, cols.clone()]) & &self.own.slice(s![y, cols.clone()]);
            let mut to_mean = self.prediction.slice_mut(s![y, cols.clone(), ..]);
            Zip::from(to_mean.rows_mut())
                .and(from_mean.rows())
                .and(self.variance.slice_mut(s![y, cols.clone()]))
                .and(predicted.variance.slice(from))
                .and(predicted.distance.slice(from))
                .and(&open)
                .for_each(|mut to_mean, from_mean, to_variance, &variance, &distance, &open| {
                    if open {
                        let base = variance.max(LEAST_VARIANCE);
                        variances += f64::from(base);
                        distances += f64::from(distance);
                        count += 1.0;
                        *to_variance = base * factor;
                        to_mean.iter_mut().zip(from_mean).for_each(|(to, &from)| *to = from);
                    }
                });
        }
        if self.stated[patch].is_none() {
            // a confidence is stated once, before the score
            let stated = (variances / count, distances / count);
            self.confidence[patch] = self.scale.confidence(stated);
            self.stated[patch] = Some(stated);
        }
    }

    /// Compares a stored prediction with the truth.
    fn score_patch(&mut self, patch: usize) {
        let (rows, cols) = self.grid.rectangle(patch);
        let (mut squared, mut absolute, mut size) = (0.0, 0.0, 0_usize);
        let part = s![rows.clone(), cols.clone(), ..];
        let (predicted, truth) = (self.prediction.slice(part), self.image.slice(part));
        let plane = s![rows, cols];
        let known = self.own.slice(plane).into_iter().zip(self.missing.slice(plane));
        let pixels = predicted.lanes(Axis(2)).into_iter().zip(truth.lanes(Axis(2)));
        for ((prediction, truth), _) in
            pixels.zip(known).filter(|(_, (&own, &missing))| own && !missing)
        {
            for (&p, &t) in prediction.iter().zip(truth) {
                let error = f64::from(p) - f64::from(t);
                squared += error * error;
                absolute += error.abs();
                size += 1;
            }
        }
        self.patch_qualities.push(if size == 0 {
            f64::NAN
        } else {
            quality_of(squared / size as f64)
        });
        if size > 0 {
            self.errors.push((squared, size));
            if let Some(stated) = self.stated[patch] {
                self.scale.add(stated, absolute / size as f64);
            }
        }
    }

    /// Scores patch by patch, until the evidence is enough; returns how many.
    fn look_at(&mut self, patches: &[usize]) -> usize {
        for (before, &patch) in patches.iter().enumerate() {
            self.score_patch(patch);
            let quality = self.patch_qualities[self.patch_qualities.len() - 1];
            if let (Some(looker), Some(stop)) = (&mut self.looker, &self.options.stop) {
                if !quality.is_nan() && looker.look(quality >= stop.threshold) != Decision::Continue
                {
                    return before + 1;
                }
            }
        }
        patches.len()
    }

    /// Whether no further look is worth its cost.
    fn evidence_suffices(&self) -> bool {
        self.looker.as_ref().is_some_and(|looker| looker.decision() != Decision::Continue)
    }

    /// Adds predicted patches to the context: the truth, or the prediction.
    fn accept(&mut self, patches: &[usize], reveal: bool) {
        for &patch in patches {
            let (rows, cols) = self.grid.rectangle(patch);
            let part = s![rows.clone(), cols.clone(), ..];
            let plane = s![rows, cols];
            let source = if reveal { self.image.slice(part) } else { self.prediction.slice(part) };
            Zip::from(self.context.slice_mut(part).lanes_mut(Axis(2)))
                .and(source.lanes(Axis(2)))
                .and(self.hidden.slice_mut(plane))
                .and(self.unseen.slice_mut(plane))
                .and(self.missing.slice(plane))
                .and(self.own.slice(plane))
                .for_each(|mut context, source, hidden, unseen, &missing, &own| {
                    if *hidden && own && !(reveal && missing) {
                        context.iter_mut().zip(source).for_each(|(to, &from)| *to = from);
                        *hidden = false;
                        *unseen &= !reveal;
                    }
                });
            self.waiting[patch] = false;
        }
        if reveal {
            self.base_variance = None;
        }
        // what a differential equation says of the rest stays true once its own words are taken
        // for granted, so a closed book is predicted once; and so with the network, which corrects it
        let asked = matches!(self.algorithm, Algorithm::Kernel) && !self.options.ask_once;
        if reveal || asked {
            self.standing = None;
        }
    }

    /// Predicts what is still hidden when the loop stops; nothing of it is scored.
    fn draw_rest(&mut self, strategy: Strategy, batch: usize) -> Result<()> {
        // windows see little, so each batch is drawn from what has been drawn by then
        while self.options.context_size.is_some() && self.waiting.contains(&true) {
            self.host.check()?;
            let patches = self.choose(strategy, batch)?;
            self.predict(&patches)?;
            self.accept(&patches, false);
        }
        let open = &self.hidden & &self.own;
        let open = self.grid.sums(open.view(), i64::from);
        let rest: Vec<usize> = (0..self.grid.count()).filter(|&p| open[p] > 0).collect();
        self.predict(&rest)
    }

    fn stop_reason(&self, history: &[Iteration], batch: usize) -> Option<StopReason> {
        if self.evidence_suffices() {
            return Some("evidence_sufficient");
        }
        if !self.waiting.contains(&true) {
            return Some("all_patches_done");
        }
        let of_quality =
            if self.looker.is_none() { self.quality_reason(history, batch) } else { None };
        of_quality.or_else(|| {
            (Some(history.len()) == self.options.max_iterations).then_some("max_iterations")
        })
    }

    fn quality_reason(&self, history: &[Iteration], batch: usize) -> Option<StopReason> {
        let mut errors = self.errors.as_slice();
        if self.options.open_book {
            let recent = (RECENT_BATCHES * batch).max(LEAST_EVIDENCE);
            errors = &errors[errors.len().saturating_sub(recent)..];
        }
        if errors.len() >= LEAST_EVIDENCE {
            let count = errors.len() as f64;
            let mse = || errors.iter().map(|(squared, size)| squared / *size as f64);
            let mean = mse().sum::<f64>() / count;
            let deviations = mse().map(|one| (one - mean) * (one - mean)).sum::<f64>();
            let bound = mean + BOUND * (deviations / (count - 1.0)).sqrt() / count.sqrt();
            if quality_of(bound) >= self.options.target_quality {
                return Some("target_quality");
            }
        }
        if history.len() >= PATIENCE {
            let recent = history[history.len() - PATIENCE..].iter().map(|i| i.cumulative_quality);
            let (least, most) = recent
                .clone()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), q| (a.min(q), b.max(q)));
            // never while nothing is scored
            if !recent.into_iter().any(f64::is_nan) && most - least < self.options.plateau {
                return Some("no_improvement");
            }
        }
        None
    }

    fn iterate(&mut self, strategy: Strategy, batch: usize) -> Result<Iteration> {
        let mut patches = self.choose(strategy, batch)?;
        self.predict(&patches)?;
        let before = self.errors.len();
        let looked = self.look_at(&patches);
        patches.truncate(looked);
        let confidence = patches.iter().map(|&patch| self.confidence[patch]).sum::<f64>();
        self.accept(&patches, self.options.open_book);
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
        let still_hidden = self.hidden.clone();
        self.draw_rest(strategy, batch)?;
        self.standing = None; // as large as the image, and no longer looked at
        let confident = patches.iter().map(|&patch| self.confidence[patch]).sum::<f64>();
        Ok(Course {
            history,
            stop_reason,
            completion: done as f64 / patches.len() as f64,
            average_confidence: confident / patches.len() as f64,
            still_hidden,
        })
    }

    /// Whether the truth of anything hidden is known.
    fn may_score(&self) -> bool {
        let hidden = self.initially_hidden.iter().zip(&self.missing).zip(&self.own);
        hidden.into_iter().any(|((&hidden, &missing), &own)| hidden && own && !missing)
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
    let mut state = Loop::new(image, missing, own, algorithm, options, model, host);
    let course = state.walk(&|done, total| host.progress(done, total))?;
    let confidence = state.confidence_map();
    let mut reconstruction = state.context;
    copy_where(&mut reconstruction, &state.prediction, state.hidden.view());

    let known = |hidden: &Array2<bool>| {
        let mut out = hidden.clone();
        Zip::from(&mut out).and(missing).for_each(|out, &missing| *out &= !missing);
        out
    };
    let (measured, remaining) = (known(&state.initially_hidden), known(&course.still_hidden));
    let of_rest = options.open_book && remaining.iter().any(|&pixel| pixel);
    // a missing truth counts as what was predicted, so that it cannot speak in the windows of SSIM
    let mut truth = image.to_owned();
    copy_where(&mut truth, &state.prediction, missing);
    let scores = score(
        truth.view(),
        state.prediction.view(),
        state.initially_hidden.view(),
        if of_rest { remaining.view() } else { measured.view() },
        host,
    )?;
    Ok(Run {
        reconstruction,
        prediction: state.prediction,
        variance: state.variance,
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

fn copy_where(target: &mut Array3<f32>, source: &Array3<f32>, mask: ArrayView2<bool>) {
    let pixels = target.lanes_mut(Axis(2)).into_iter().zip(source.lanes(Axis(2)));
    for ((mut target, source), _) in pixels.zip(mask).filter(|(_, &here)| here) {
        target.assign(&source);
    }
}
