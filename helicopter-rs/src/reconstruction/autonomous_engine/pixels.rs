//! What the loop asks of the image and of what predicts it, wherever these are.

use ndarray::ArrayView2;

use crate::error::Result;
use crate::reconstruction::strategies::Strategy;

/// Mean predicted variance of a patch, and its mean distance from what was seen.
pub(in crate::reconstruction) type Stated = (f64, f64);

/// Errors of the stored prediction of a patch, where its truth is known.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::reconstruction) struct Measured {
    pub squared: f64,
    pub absolute: f64,
    /// Number of values.
    pub size: usize,
}

/// The image of a loop, what is hidden of it, and what is predicted.
pub(in crate::reconstruction) trait Pixels {
    /// What predictions may not be made from.
    fn hidden(&self) -> ArrayView2<'_, bool>;

    /// The priority of every patch; `unknown` are those that wait or have no pixels of the loop's own.
    fn priorities(&mut self, strategy: Strategy, unknown: &[bool]) -> Result<Vec<i64>>;

    /// Stores the predictions of the still hidden pixels of `patches`, their variances multiplied by
    /// `factor`.
    fn predict(&mut self, patches: &[usize], factor: f32) -> Result<Vec<Stated>>;

    /// Compares a stored prediction with the truth.
    fn measure(&mut self, patch: usize) -> Measured;

    /// Adds predicted patches to what predictions are made from: the truth, or the prediction.
    fn accept(&mut self, patches: &[usize], reveal: bool) -> Result<()>;

    /// Nothing more will be predicted.
    fn forget(&mut self);
}
