//! A GPU of NVIDIA, found at run time: driver, kernels, memory that belongs to it.
//!
//! Driver and compiler (NVRTC) are libraries that this crate neither links nor brings. [`Gpu::open`]
//! looks for them before anything of cudarc is called, which panics where one is missing. Kernels are
//! compiled when they are first asked for and kept on disk ([`cache`]). All work of a [`Gpu`] is done
//! in the order of one stream, and memory is taken from the driver's pool in that order too.
//!
//! Without the feature `cuda` the same types are there, and opening fails.

#[cfg(feature = "cuda")]
mod buffer;
#[cfg(feature = "cuda")]
mod cache;
#[cfg(feature = "cuda")]
mod compiler;
#[cfg(feature = "cuda")]
mod gpu;
#[cfg(feature = "cuda")]
mod launch;
#[cfg(feature = "cuda")]
mod probe;
#[cfg(all(test, feature = "cuda"))]
pub(crate) mod tests;

#[cfg(feature = "cuda")]
pub use self::buffer::{Buffer, Plain};
#[cfg(feature = "cuda")]
pub use self::gpu::{Gpu, Module};
#[cfg(feature = "cuda")]
pub(crate) use self::launch::args;
#[cfg(feature = "cuda")]
pub use self::launch::{Arg, Launch};

use std::borrow::Cow;

/// CUDA C++ of some kernels.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name of its file, for messages.
    pub name: Cow<'static, str>,
    /// The code.
    pub text: Cow<'static, str>,
}

/// The kernels in a file of `src/kernels`.
#[allow(unused_macros, reason = "where nothing is compiled for a GPU")]
macro_rules! source {
    ($name:literal) => {
        $crate::utils::cuda_bindings::Source {
            name: std::borrow::Cow::Borrowed($name),
            text: std::borrow::Cow::Borrowed(include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/src/kernels/",
                $name
            ))),
        }
    };
}
#[allow(unused_imports, reason = "where nothing is compiled for a GPU")]
pub(crate) use source;

/// What a GPU is.
#[derive(Clone, Debug)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Compute capability.
    pub architecture: (i32, i32),
    /// Bytes that are free, and all.
    pub memory: (usize, usize),
}

/// What the GPU of this number is, if it can be used.
///
/// # Errors
///
/// [`crate::error::Error::Device`]: what is missing, and how to get it.
pub fn describe(ordinal: usize) -> crate::error::Result<Description> {
    #[cfg(feature = "cuda")]
    {
        let gpu = Gpu::open(ordinal)?;
        let (name, architecture) = (gpu.name().to_owned(), gpu.architecture());
        Ok(Description { name, architecture, memory: gpu.memory()? })
    }
    #[cfg(not(feature = "cuda"))]
    Err(crate::error::Error::Device(format!(
        "helicopter-rs was built without CUDA, so GPU {ordinal} cannot be used"
    )))
}
