//! The kernels of the loop, and what predicts.

use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3};

use crate::error::Result;
use crate::host::Host;
use crate::reconstruction::autonomous_engine::mean_of;
use crate::reconstruction::autonomous_run::{Algorithm, Options};
use crate::reconstruction::regional_engine::cuda::CudaReconstructor;
use crate::utils::cuda_bindings::{source, Arg, Buffer, Gpu, Launch, Module, Plain, Source};

fn reconstruction() -> Source {
    source!("reconstruction.cu")
}

/// Height, width, channels.
pub type Shape = (usize, usize, usize);

/// Threads of a block that has a patch.
pub(super) const PATCH_THREADS: u32 = 128;

/// A GPU with the kernels of the loop.
pub struct Device {
    /// What they run on.
    pub gpu: Arc<Gpu>,
    module: Arc<Module>,
}

impl Device {
    /// Compiles the kernels, unless that has been done.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Device`].
    pub fn new(gpu: &Arc<Gpu>) -> Result<Self> {
        // decisions and sums have the same bits as the host's
        let module = gpu.module(&reconstruction(), &["--fmad=false".to_owned()])?;
        Ok(Self { gpu: Arc::clone(gpu), module })
    }

    pub(super) fn launch(&self, name: &str, shape: Launch, arguments: &[Arg]) -> Result<()> {
        self.gpu.launch(&self.module, name, shape, arguments)
    }

    /// A thread for each of `count`, in one dimension.
    pub(super) fn each(&self, name: &str, count: usize, arguments: &[Arg]) -> Result<()> {
        let grid = [count.div_ceil(256).max(1) as u32, 1, 1];
        self.launch(name, Launch { grid, block: [256, 1, 1], shared: 0 }, arguments)
    }

    /// A thread for each pixel of a plane.
    pub(super) fn plane(&self, name: &str, (h, w): (usize, usize), args: &[Arg]) -> Result<()> {
        let grid = [w.div_ceil(32) as u32, h.div_ceil(8) as u32, 1];
        self.launch(name, Launch { grid, block: [32, 8, 1], shared: 0 }, args)
    }

    /// A block for each patch.
    pub(super) fn patches(&self, name: &str, count: usize, arguments: &[Arg]) -> Result<()> {
        let (grid, block) = ([count as u32, 1, 1], [PATCH_THREADS, 1, 1]);
        self.launch(name, Launch { grid, block, shared: 0 }, arguments)
    }

    /// A mask on the device, a byte for each pixel.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Device`].
    pub fn mask(&self, mask: ArrayView2<bool>) -> Result<Buffer<u8>> {
        let bytes: Vec<u8> = mask.iter().map(|&one| u8::from(one)).collect();
        self.gpu.upload(&bytes)
    }

    /// An image on the device, in the usual order of its values.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Device`].
    pub fn image(&self, image: ArrayView3<f32>) -> Result<Buffer<f32>> {
        self.gpu
            .upload(&image.as_standard_layout().as_slice().map_or_else(Vec::new, <[f32]>::to_vec))
    }

    pub(super) fn copy<T: Plain>(&self, from: &Buffer<T>) -> Result<Buffer<T>> {
        let mut to = self.gpu.empty(from.len())?;
        to.copy_from(from)?;
        Ok(to)
    }
}

/// A plane of what was on the device.
pub(super) fn plane_of<T>(values: Vec<T>, (height, width): (usize, usize)) -> Array2<T> {
    Array2::from_shape_vec((height, width), values).expect("a value for each pixel")
}

/// An image of what was on the device.
pub(super) fn image_of(values: Vec<f32>, shape: Shape) -> Array3<f32> {
    Array3::from_shape_vec(shape, values).expect("values for each pixel")
}

/// What predicts on a device.
pub trait Predict {
    /// Fills the hidden pixels of `context`, of which at least one is visible, in place; returns the
    /// variance of the errors if it knows that itself.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Device`], [`crate::error::Error::Cancelled`], or what a kernel of the
    /// user's failed with.
    fn predict(
        &self,
        context: &mut Buffer<f32>,
        hidden: &Buffer<u8>,
        shape: Shape,
        host: &dyn Host,
    ) -> Result<Option<Buffer<f32>>>;

    /// Whether it may state a variance.
    fn may_state_variance(&self) -> bool;

    /// Whether it predicts anew once its own predictions are taken for granted.
    fn is_asked_again(&self, options: &Options) -> bool {
        let _ = options;
        false
    }
}

impl Predict for CudaReconstructor {
    fn predict(
        &self,
        context: &mut Buffer<f32>,
        hidden: &Buffer<u8>,
        shape: Shape,
        host: &dyn Host,
    ) -> Result<Option<Buffer<f32>>> {
        let image = std::mem::replace(context, context.gpu().empty(0)?);
        let (filled, variance) = CudaReconstructor::predict(self, image, hidden, shape, host)?;
        *context = filled;
        Ok(variance)
    }

    fn may_state_variance(&self) -> bool {
        self.states_variance()
    }
}

/// What predicts on the host, for a loop on the device: kernels that users have registered in Python.
pub struct Fallback<'a> {
    /// What predicts.
    pub algorithm: &'a Algorithm,
    /// Where the predictions are needed.
    pub gpu: Arc<Gpu>,
}

impl Predict for Fallback<'_> {
    fn predict(
        &self,
        context: &mut Buffer<f32>,
        hidden: &Buffer<u8>,
        shape: Shape,
        host: &dyn Host,
    ) -> Result<Option<Buffer<f32>>> {
        let seen = image_of(context.download()?, shape);
        let hidden = plane_of(hidden.download()?, (shape.0, shape.1)).mapv(|byte| byte != 0);
        let (mean, variance) = mean_of(self.algorithm, seen.view(), hidden.view(), host)?;
        context.write(mean.as_standard_layout().as_slice().unwrap_or_default())?;
        let upload = |variance: Array2<f32>| {
            self.gpu.upload(variance.as_standard_layout().as_slice().unwrap_or_default())
        };
        variance.map(upload).transpose()
    }

    fn may_state_variance(&self) -> bool {
        self.algorithm.may_state_variance()
    }

    fn is_asked_again(&self, options: &Options) -> bool {
        self.algorithm.is_asked_again(options)
    }
}
