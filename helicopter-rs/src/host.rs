//! What the core may ask of whoever called it.

use ndarray::{Array2, Array3};

use crate::error::{Error, Result};

/// What a kernel of the user's predicts for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The predicted image, height x width x channels.
    pub mean: Array3<f32>,
    /// The predicted standard deviation of every value, when the kernel knows it; of `mean`'s shape.
    pub sigma: Option<Array3<f32>>,
}

/// The caller, as the core sees it. Every method may be called from any thread of the pool.
pub trait Host: Sync {
    /// Whether the caller wants no more. Long loops ask this often (every few milliseconds) and
    /// return [`Error::Cancelled`]; asking costs one atomic load.
    fn cancelled(&self) -> bool {
        false
    }

    /// Tells the caller that `done` of `total` steps are behind us. Does not wait for an answer; of
    /// several reports in quick succession the caller may see the latest only.
    fn progress(&self, done: usize, total: usize) {
        let _ = (done, total);
    }

    /// Asks the kernel that the user registered for a prediction of `context` where `mask` is true.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`] with whatever the kernel failed with; [`Error::Cancelled`] once the caller
    /// wants no more; [`Error::Argument`] when there is no kernel.
    fn kernel(&self, context: Array3<f32>, mask: Array2<bool>) -> Result<Prediction> {
        let _ = (context, mask);
        Err(Error::argument("kernel", "kernel", "a registered algorithm", "none"))
    }

    /// [`Error::Cancelled`] as soon as the caller wants no more: `host.check()?` in a loop.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`], and no other.
    fn check(&self) -> Result<()> {
        if self.cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }
}

/// A caller that never stops the work, does not look at progress and has no kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl Host for NoHost {}
