//! What the autonomous loop is given, and what it returns.

use std::sync::Arc;

use ndarray::{Array2, Array3};

use super::scores::Scores;
use super::strategies::Strategy;
use crate::algorithms::network::Network;
use crate::algorithms::pde;
use crate::analysis::hatata_mdp::Policy;

/// What predicts.
#[derive(Clone, Debug)]
pub enum Algorithm {
    /// A differential equation.
    Pde(pde::Kind),
    /// A trained network, which states its own variance.
    Network(Arc<Network>),
    /// The kernel that the host holds.
    Kernel,
}

impl Algorithm {
    /// Whether it says itself how far its predictions may be off.
    #[must_use]
    pub fn may_state_variance(&self) -> bool {
        !matches!(self, Algorithm::Pde(_))
    }

    /// Whether it predicts anew once its own predictions are taken for granted. What a differential
    /// equation says of the rest stays true then, so a closed book is predicted once; and so with the
    /// network, which corrects it.
    #[must_use]
    pub(super) fn is_asked_again(&self, options: &Options) -> bool {
        matches!(self, Algorithm::Kernel) && !options.ask_once
    }
}

/// Stop when the patches that were scored are evidence enough.
#[derive(Clone, Debug)]
pub struct EvidenceStop {
    /// A patch of at least this quality is a success.
    pub threshold: f64,
    /// When to stop.
    pub policy: Policy,
    /// Decide after so many looks in any case.
    pub most_looks: usize,
    /// How many looks are worth a single independent one, if that is known.
    pub time: Option<f64>,
}

/// Options of one run, checked and complete.
#[derive(Clone, Debug)]
pub struct Options {
    /// Side of the patches.
    pub patch_size: usize,
    /// Side of the window that a prediction may draw from; all that is visible if none.
    pub context_size: Option<usize>,
    /// What chooses the next patches.
    pub strategy: Strategy,
    /// Of the first patches, and between equally good ones.
    pub seed: u64,
    /// Stop after so many.
    pub max_iterations: Option<usize>,
    /// Stop at this quality.
    pub target_quality: f64,
    /// Share of the patches shown at the start.
    pub initial_known: f64,
    /// Reveal the truth of what has been scored.
    pub open_book: bool,
    /// What decides when to stop, instead of the quality.
    pub stop: Option<EvidenceStop>,
    /// The quality has come to rest when it stays within this.
    pub plateau: f64,
    /// Ask what predicts once, and not again after every step. A closed book only.
    pub ask_once: bool,
}

/// Why a run ended, by the names that users know.
pub type StopReason = &'static str;

/// One step of the loop.
#[derive(Clone, Debug)]
pub struct Iteration {
    /// In the order in which they were chosen.
    pub patches: Vec<usize>,
    /// What chose them.
    pub strategy: &'static str,
    /// Of this step's predictions.
    pub quality: f64,
    /// Of all predictions so far.
    pub cumulative_quality: f64,
    /// Mean over this step's patches, stated before they were scored.
    pub confidence: f64,
}

/// How a run went, step by step, and why it ended.
#[derive(Clone, Debug)]
pub struct Course {
    /// Step by step.
    pub history: Vec<Iteration>,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Share of the hidden patches that the loop did; NaN without any.
    pub completion: f64,
    /// Mean over the hidden patches; NaN without any.
    pub average_confidence: f64,
    /// What was hidden when it stopped.
    pub still_hidden: Array2<bool>,
}

/// What a run found, on the [0, 1] scale.
#[derive(Clone, Debug)]
pub struct Run {
    /// The image redrawn.
    pub reconstruction: Array3<f32>,
    /// What was predicted for every hidden pixel before its truth was known.
    pub prediction: Array3<f32>,
    /// Predicted variance of the error.
    pub variance: Array2<f32>,
    /// Of the pixel's patch; 1 where shown.
    pub confidence: Array2<f32>,
    /// What was hidden at the start.
    pub hidden: Array2<bool>,
    /// Hidden pixels whose truth is known.
    pub scored: Array2<bool>,
    /// Hidden pixels that are predictions in `reconstruction`: all, unless the book was open.
    pub drawn: Array2<bool>,
    /// Step by step.
    pub history: Vec<Iteration>,
    /// Of the patches in it, in that order; NaN where there is no truth.
    pub patch_qualities: Vec<f64>,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Share of the hidden patches that the loop did.
    pub completion: f64,
    /// Mean over the hidden patches.
    pub average_confidence: f64,
    /// Measures over what was hidden.
    pub scores: Scores,
}
