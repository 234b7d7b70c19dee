//! Regional reconstruction: fill any mask in any image, and say how sure each pixel is.

use ndarray::{Array2, ArrayView2, ArrayViewMut3};

use super::online_scale::UncertaintyModel;
use super::uncertainty::hidden_variance;
use crate::error::Result;
use crate::host::Host;
use crate::pde;

/// Fills the hidden pixels of `context` in place and returns the variance of their errors.
///
/// # Errors
///
/// Those of [`pde::solve`].
pub fn reconstruct(
    mut context: ArrayViewMut3<f32>,
    mask: ArrayView2<bool>,
    kind: pde::Kind,
    model: &UncertaintyModel,
    host: &dyn Host,
) -> Result<Array2<f32>> {
    pde::solve(context.view_mut(), mask, kind, &host)?;
    // looks at visible pixels only, so it may as well come after the fill
    hidden_variance(context.view(), mask, model, host)
}
