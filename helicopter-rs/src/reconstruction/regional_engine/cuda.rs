//! The same on a device: one copy in, one copy out.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, ArrayViewMut3};

use crate::algorithms::network::cuda::CudaNetwork;
use crate::algorithms::pde;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::reconstruction::online_scale::UncertaintyModel;
use crate::reconstruction::uncertainty::cuda::hidden_variance_on;
use crate::utils::cuda_bindings::{Buffer, Gpu};
use crate::utils::tensor_ops::{check_shape, in_order};

/// What predicts.
#[derive(Clone, Debug)]
pub enum CudaPredictor {
    /// A differential equation.
    Pde(pde::Kind),
    /// A trained network.
    Network(Arc<CudaNetwork>),
}

/// As [`super::reconstruct`].
///
/// # Errors
/// As [`super::reconstruct`]; and [`Error::Device`].
pub fn reconstruct(
    gpu: &Arc<Gpu>,
    mut context: ArrayViewMut3<f32>,
    mask: ArrayView2<bool>,
    predictor: &CudaPredictor,
    model: &UncertaintyModel,
    host: &dyn Host,
) -> Result<Array2<f32>> {
    let size = context.dim();
    check_shape("reconstruct", size, mask.dim())?;
    let hidden = gpu.upload(&mask.iter().map(|&hidden| u8::from(hidden)).collect::<Vec<_>>())?;
    let variance = in_order(&mut context, |pixels| {
        let image = gpu.upload(pixels)?;
        let (filled, variance) = reconstruct_on(gpu, image, &hidden, size, predictor, model, host)?;
        filled.download_into(pixels)?;
        variance.download()
    })?;
    Array2::from_shape_vec(mask.dim(), variance).map_err(|error| Error::Panic(error.to_string()))
}

/// As [`reconstruct`], for an image on the device, (height, width, channels), and its mask, 0 where visible.
/// Gives the filled image, and the variance of the errors.
///
/// # Errors
/// As [`reconstruct`].
pub fn reconstruct_on(
    gpu: &Arc<Gpu>,
    image: Buffer<f32>,
    hidden: &Buffer<u8>,
    size: (usize, usize, usize),
    predictor: &CudaPredictor,
    model: &UncertaintyModel,
    host: &dyn Host,
) -> Result<(Buffer<f32>, Buffer<f32>)> {
    let (height, width, channels) = size;
    match predictor {
        CudaPredictor::Pde(kind) => {
            pde::cuda::solve_on(gpu, (&image, 0), (hidden, 0), size, *kind, host)?;
            let variance = hidden_variance_on(gpu, &image, hidden, size, model)?;
            Ok((image, variance))
        }
        CudaPredictor::Network(network) => {
            let batch = (1, height, width, channels);
            let (filled, sigma) = network.predict_on(image, hidden, batch, host)?;
            network.square(&sigma)?;
            Ok((filled, sigma))
        }
    }
}
