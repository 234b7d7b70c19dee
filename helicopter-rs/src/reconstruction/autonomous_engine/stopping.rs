//! How good the loop's predictions were, and whether that is reason enough to stop.

use super::{Iteration, Loop, Measured, Pixels, StopReason};
use crate::analysis::hatata_mdp::Decision;

/// The target counts as reached when it lies below this one-sided 95 % bound of the quality ...
const BOUND: f64 = 1.644_853_626_951_472_6;
/// ... of at least this many patches.
const LEAST_EVIDENCE: usize = 10;
/// With the book open only the last batches tell how well the rest would be predicted.
const RECENT_BATCHES: usize = 3;
/// No improvement: the quality so far stays within the plateau over so many iterations.
const PATIENCE: usize = 8;

/// Quality of a mean squared error on the [0, 1] scale.
fn quality_of(mse: f64) -> f64 {
    1.0 / (1.0 + 10.0 * mse)
}

/// Sum of squared errors and number of values of one scored patch.
pub(in crate::reconstruction) type PatchError = (f64, usize);

pub(super) fn pooled_quality(errors: &[PatchError]) -> f64 {
    let size: usize = errors.iter().map(|(_, size)| size).sum();
    if size == 0 {
        return f64::NAN;
    }
    quality_of(errors.iter().map(|(squared, _)| squared).sum::<f64>() / size as f64)
}

impl<P: Pixels> Loop<'_, P> {
    /// Compares a stored prediction with the truth.
    fn score_patch(&mut self, patch: usize) {
        let Measured { squared, absolute, size } = self.pixels.measure(patch);
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
    pub(super) fn look_at(&mut self, patches: &[usize]) -> usize {
        for (before, &patch) in patches.iter().enumerate() {
            self.score_patch(patch);
            let quality = self.patch_qualities[self.patch_qualities.len() - 1];
            if let (Some(verification), Some(stop)) = (&mut self.verification, &self.options.stop) {
                if !quality.is_nan()
                    && verification.look(quality >= stop.threshold) != Decision::Continue
                {
                    return before + 1;
                }
            }
        }
        patches.len()
    }

    /// Whether no further look is worth its cost.
    pub(super) fn evidence_suffices(&self) -> bool {
        self.verification
            .as_ref()
            .is_some_and(|verification| verification.decision() != Decision::Continue)
    }

    /// Whether the truth of anything hidden is known.
    pub(super) fn may_score(&self) -> bool {
        let hidden = self.initially_hidden.iter().zip(&self.missing).zip(&self.own);
        hidden.into_iter().any(|((&hidden, &missing), &own)| hidden && own && !missing)
    }

    pub(super) fn stop_reason(&self, history: &[Iteration], batch: usize) -> Option<StopReason> {
        if self.evidence_suffices() {
            return Some("evidence_sufficient");
        }
        if !self.waiting.contains(&true) {
            return Some("all_patches_done");
        }
        let of_quality =
            if self.verification.is_none() { self.quality_reason(history, batch) } else { None };
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
}
