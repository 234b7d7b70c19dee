//! Regional reconstruction: fill any mask in any image, and say how sure each pixel is.

#[cfg(feature = "cuda")]
pub mod cuda;

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, ArrayViewMut3};

use super::online_scale::UncertaintyModel;
use super::uncertainty::hidden_variance;
use crate::algorithms::network::Network;
use crate::algorithms::pde;
use crate::error::Result;
use crate::host::Host;

/// What predicts.
#[derive(Clone)]
pub enum Predictor {
    /// A differential equation.
    Pde(pde::Kind),
    /// A trained network.
    Network(Arc<Network>),
}

/// Fills the hidden pixels of `context` in place and returns the variance of their errors.
///
/// # Errors
///
/// Those of [`pde::solve`] and [`Network::predict`].
pub fn reconstruct(
    mut context: ArrayViewMut3<f32>,
    mask: ArrayView2<bool>,
    predictor: &Predictor,
    model: &UncertaintyModel,
    host: &dyn Host,
) -> Result<Array2<f32>> {
    match predictor {
        Predictor::Pde(kind) => {
            pde::solve(context.view_mut(), mask, *kind, host)?;
            // looks at visible pixels only, so it may as well come after the fill
            hidden_variance(context.view(), mask, model, host)
        }
        Predictor::Network(network) => {
            let mut sigma = network.predict(context, mask, host)?;
            sigma.mapv_inplace(|sigma| sigma * sigma);
            Ok(sigma)
        }
    }
}
