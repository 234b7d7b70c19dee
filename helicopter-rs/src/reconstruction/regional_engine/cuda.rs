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

/// A GPU with what predicts on it.
#[derive(Clone)]
pub struct CudaReconstructor {
    gpu: Arc<Gpu>,
    predictor: CudaPredictor,
}

impl CudaReconstructor {
    /// A network must be on the same GPU.
    #[must_use]
    pub fn new(gpu: Arc<Gpu>, predictor: CudaPredictor) -> Self {
        Self { gpu, predictor }
    }

    /// Whether it says itself how far its predictions may be off.
    #[must_use]
    pub fn states_variance(&self) -> bool {
        matches!(self.predictor, CudaPredictor::Network(_))
    }

    /// Fills the hidden pixels of an image that is there, (height, width, channels), and whose mask is 0
    /// where visible; gives it back, with the variance of the errors if what predicts knows that itself.
    ///
    /// # Errors
    /// As [`CudaReconstructor::reconstruct`].
    pub fn predict(
        &self,
        image: Buffer<f32>,
        hidden: &Buffer<u8>,
        size: (usize, usize, usize),
        host: &dyn Host,
    ) -> Result<(Buffer<f32>, Option<Buffer<f32>>)> {
        match &self.predictor {
            CudaPredictor::Pde(kind) => {
                pde::cuda::solve_on(&self.gpu, (&image, 0), (hidden, 0), size, *kind, host)?;
                Ok((image, None))
            }
            CudaPredictor::Network(network) => {
                let batch = (1, size.0, size.1, size.2);
                let (filled, sigma) = network.predict_on(image, hidden, batch, host)?;
                network.square(&sigma)?;
                Ok((filled, Some(sigma)))
            }
        }
    }

    /// As [`CudaReconstructor::predict`], with a variance in any case.
    ///
    /// # Errors
    /// As [`CudaReconstructor::reconstruct`].
    pub fn reconstruct_on(
        &self,
        image: Buffer<f32>,
        hidden: &Buffer<u8>,
        size: (usize, usize, usize),
        model: &UncertaintyModel,
        host: &dyn Host,
    ) -> Result<(Buffer<f32>, Buffer<f32>)> {
        let (filled, variance) = self.predict(image, hidden, size, host)?;
        let variance = match variance {
            Some(variance) => variance,
            None => hidden_variance_on(&self.gpu, &filled, hidden, size, model)?,
        };
        Ok((filled, variance))
    }

    /// As [`super::reconstruct`].
    ///
    /// # Errors
    /// As [`super::reconstruct`]; and [`Error::Device`].
    pub fn reconstruct(
        &self,
        mut context: ArrayViewMut3<f32>,
        mask: ArrayView2<bool>,
        model: &UncertaintyModel,
        host: &dyn Host,
    ) -> Result<Array2<f32>> {
        let size = context.dim();
        check_shape("reconstruct", size, mask.dim())?;
        let hidden: Vec<_> = mask.iter().map(|&hidden| u8::from(hidden)).collect();
        let hidden = self.gpu.upload(&hidden)?;
        let variance = in_order(&mut context, |pixels| {
            let image = self.gpu.upload(pixels)?;
            let (filled, variance) = self.reconstruct_on(image, &hidden, size, model, host)?;
            filled.download_into(pixels)?;
            variance.download()
        })?;
        let variance = Array2::from_shape_vec(mask.dim(), variance);
        variance.map_err(|error| Error::Panic(error.to_string()))
    }
}
