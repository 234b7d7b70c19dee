//! How a kernel is started.

use std::ffi::c_void;
use std::marker::PhantomData;

use super::buffer::{Buffer, Plain};

/// Blocks, threads of each, and bytes of shared memory besides what the kernel declares.
#[derive(Clone, Copy, Debug)]
pub struct Launch {
    /// Number of blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Bytes.
    pub shared: u32,
}

impl Launch {
    /// One thread for each of `count`, in blocks of 256.
    #[must_use]
    pub fn over(count: usize) -> Self {
        let blocks = count.div_ceil(256).min(u32::MAX as usize) as u32;
        Self { grid: [blocks, 1, 1], block: [256, 1, 1], shared: 0 }
    }

    /// One thread for each pixel, in blocks of 32 x 8.
    #[must_use]
    pub fn over2(width: usize, height: usize) -> Self {
        let blocks = [width.div_ceil(32) as u32, height.div_ceil(8) as u32, 1];
        Self { grid: blocks, block: [32, 8, 1], shared: 0 }
    }

    /// With so many bytes of shared memory.
    #[must_use]
    pub fn with_shared(self, shared: usize) -> Self {
        Self { shared: shared as u32, ..self }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.grid.contains(&0) || self.block.contains(&0)
    }
}

/// One argument of a kernel.
#[derive(Clone, Copy)]
pub struct Arg<'a> {
    bytes: [u8; 8],
    of: PhantomData<&'a ()>,
}

impl Arg<'_> {
    pub(super) fn pointer(&self) -> *mut c_void {
        self.bytes.as_ptr().cast_mut().cast()
    }

    fn new(value: &[u8]) -> Self {
        let mut bytes = [0; 8];
        bytes[..value.len()].copy_from_slice(value);
        Self { bytes, of: PhantomData }
    }

    /// No memory at all.
    #[must_use]
    pub fn null() -> Self {
        Self::new(&[])
    }
}

impl<'a, T: Plain> From<&'a Buffer<T>> for Arg<'a> {
    fn from(buffer: &'a Buffer<T>) -> Self {
        Self::new(&buffer.address().to_ne_bytes())
    }
}

impl<'a, T: Plain> From<&'a mut Buffer<T>> for Arg<'a> {
    fn from(buffer: &'a mut Buffer<T>) -> Self {
        Self::new(&buffer.address().to_ne_bytes())
    }
}

impl<'a, T: Plain> From<(&'a Buffer<T>, usize)> for Arg<'a> {
    /// Memory from an element on.
    fn from((buffer, offset): (&'a Buffer<T>, usize)) -> Self {
        assert!(offset <= buffer.len(), "an argument begins beyond its buffer");
        Self::new(&(buffer.address() + (offset * size_of::<T>()) as u64).to_ne_bytes())
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl From<$number> for Arg<'_> {
            fn from(value: $number) -> Self {
                Self::new(&value.to_ne_bytes())
            }
        }
    )*};
}
numbers!(i32, u32, i64, u64, f32, f64);

/// The arguments of a kernel.
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::utils::cuda_bindings::Arg::from($value)),*] };
}
pub(crate) use args;
