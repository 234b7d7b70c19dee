//! The network: corrects the harmonic solution, and says how far it may still be off.
//!
//! A residual U-Net of 3 x 3 convolutions at half resolution and below; what it is exactly stands in
//! `helicopter/backends/reference/algorithms/network.py`, which is the law. From a file of weights to pixels:
//!
//! * `weights` reads and checks the file, `graph` makes a list of layers of it;
//! * `tiles` looks where something is hidden and cuts that into parts that fit into memory;
//! * `schedule` says which rows of which layer are computed when, `rows` keeps them, and `forward`
//!   computes them, strip by strip from top to bottom, so that nothing is computed twice;
//! * `winograd` and `product` are the arithmetic, compiled for several processors and chosen at
//!   run time by `kernels`;
//! * `picture` is the way from the image to features and back, `calibration` from scale to sigma.
//!
//! All arithmetic is in float32. Every number is computed from the same others in the same order,
//! whatever the number of threads and the parts, so results do not depend on them.

use ndarray::{Array2, ArrayView2, ArrayViewMut3};

mod calibration;
#[cfg(feature = "cuda")]
pub mod cuda;
mod dense;
mod forward;
mod graph;
mod kernels;
mod line;
mod picture;
mod product;
mod rows;
mod schedule;
#[cfg(test)]
mod tests;
mod tiles;
mod weights;
mod winograd;

use calibration::Calibration;
use graph::Graph;
use rows::Memory;
use weights::Weights;

use crate::algorithms::pde;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::utils::simd::Isa;
use crate::utils::tensor_ops::{check_shape, in_order};

/// A trained network, ready to predict.
pub struct Network {
    graph: Graph,
    calibration: Calibration,
    widths: Vec<usize>,
    isa: Isa,
    memory: Memory,
    /// Images are corrected in parts of at most this many columns.
    most_cols: usize,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Network").field("widths", &self.widths).finish_non_exhaustive()
    }
}

impl Network {
    /// Reads a file of weights (safetensors).
    ///
    /// # Errors
    /// [`Error::Model`](crate::error::Error::Model) if the data are anything else, or damaged.
    pub fn from_bytes(data: &[u8]) -> Result<Self> {
        let weights = Weights::read(data)?;
        let widths = weights.down.len();
        let widths = std::iter::once(weights.enter.outputs)
            .chain(weights.shrink.iter().map(|filter| filter.outputs))
            .take(widths)
            .collect();
        Ok(Self {
            graph: Graph::new(&weights),
            calibration: Calibration::new(&weights.log_scale, &weights.log_sigma),
            widths,
            isa: Isa::best(),
            memory: Memory::default(),
            most_cols: tiles::MOST_COLS,
        })
    }

    /// Channels of each level.
    #[must_use]
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// How many pixels away something may matter to a prediction.
    #[must_use]
    pub fn radius(&self) -> usize {
        self.graph.radius()
    }

    /// Fills the pixels that `mask` marks, and returns the standard deviation of their errors (0 at
    /// visible pixels, which are not touched). What hidden pixels hold does not matter.
    ///
    /// The work is done in the current rayon pool; the result does not depend on its size. At least one
    /// pixel must be visible.
    ///
    /// # Errors
    /// As [`pde::solve`].
    pub fn predict(
        &self,
        mut image: ArrayViewMut3<f32>,
        mask: ArrayView2<bool>,
        host: &dyn Host,
    ) -> Result<Array2<f32>> {
        pde::solve(image.view_mut(), mask, pde::Kind::Harmonic, host)?;
        self.correct(image, mask, host)
    }

    /// As [`Network::predict`], for an image whose hidden pixels hold the harmonic solution already.
    ///
    /// # Errors
    /// As [`Network::predict`].
    pub fn correct(
        &self,
        mut image: ArrayViewMut3<f32>,
        mask: ArrayView2<bool>,
        host: &dyn Host,
    ) -> Result<Array2<f32>> {
        let (height, width, channels) = image.dim();
        check_shape("predict", image.dim(), mask.dim())?;
        let mut sigma = Array2::zeros((height, width));
        let mask = mask.as_standard_layout();
        let (Some(mask), Some(sigmas)) = (mask.as_slice(), sigma.as_slice_mut()) else {
            unreachable!("both were just laid out so")
        };
        let sound = in_order(&mut image, |pixels| {
            self.correct_all((pixels, mask), sigmas, (height, width, channels), host)?;
            let finite = |(pixel, (sigma, hidden)): (&[f32], (&f32, &bool))| {
                !hidden || sigma.is_finite() && pixel.iter().all(|value| value.is_finite())
            };
            Ok(pixels.chunks_exact(channels).zip(sigmas.iter().zip(mask)).all(finite))
        })?;
        if sound {
            return Ok(sigma);
        }
        Err(unsound())
    }
}

/// Predictions that are no finite numbers.
#[cold]
fn unsound() -> Error {
    let reason = "what it predicts of this image are no finite numbers; train it anew, or take \
                  the network that comes with Helicopter";
    Error::Model { operation: "predict", reason: reason.to_owned() }
}
