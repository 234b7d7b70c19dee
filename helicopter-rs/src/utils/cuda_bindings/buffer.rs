//! Memory of a GPU.

use std::marker::PhantomData;
use std::sync::Arc;

use cudarc::driver::result;

use super::gpu::Gpu;
use crate::error::Result;

/// Types that are what their bytes are.
///
/// # Safety
///
/// Every pattern of bytes is a value, and there are none between its parts.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}
macro_rules! plain {
    ($($of:ty),*) => {$(
        // SAFETY: a number.
        unsafe impl Plain for $of {}
    )*};
}
plain!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64);

/// So many values in the memory of a GPU, given back in the order of its stream.
pub struct Buffer<T: Plain> {
    gpu: Arc<Gpu>,
    address: u64,
    len: usize,
    of: PhantomData<T>,
}

impl<T: Plain> Buffer<T> {
    pub(super) fn new(gpu: Arc<Gpu>, address: u64, len: usize) -> Self {
        Self { gpu, address, len, of: PhantomData }
    }

    /// How many values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where it lies.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Whose it is.
    #[must_use]
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// The values, once all work before is done.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Device`] if that failed.
    pub fn download(&self) -> Result<Vec<T>> {
        let mut host = Vec::with_capacity(self.len);
        // SAFETY: the capacity is that, and every pattern of bytes is a value.
        #[allow(clippy::uninit_vec, reason = "written by the copy, or not looked at")]
        unsafe {
            host.set_len(self.len);
        }
        self.download_into(&mut host)?;
        Ok(host)
    }

    /// Writes the first values to `host`, as many as that holds.
    ///
    /// # Errors
    ///
    /// As [`Buffer::download`].
    ///
    /// # Panics
    ///
    /// If `host` is longer than this.
    pub fn download_into(&self, host: &mut [T]) -> Result<()> {
        assert!(host.len() <= self.len, "more values are asked for than there are");
        if !host.is_empty() {
            self.gpu.bind()?;
            // SAFETY: so many values are there on both sides, and the copy has ended when this returns.
            let copied =
                unsafe { result::memcpy_dtoh_async(host, self.address, self.gpu.stream()) };
            self.gpu.check("a copy from the GPU", copied)?;
        }
        self.gpu.synchronize()
    }

    /// Overwrites the first values.
    ///
    /// # Errors
    ///
    /// As [`Buffer::download`].
    ///
    /// # Panics
    ///
    /// If `host` is longer than this.
    pub fn write(&mut self, host: &[T]) -> Result<()> {
        self.overwrite(host)
    }

    /// As [`Buffer::write`], where kernels write through shared references too.
    ///
    /// # Errors
    ///
    /// As [`Buffer::download`].
    ///
    /// # Panics
    ///
    /// If `host` is longer than this.
    pub fn overwrite(&self, host: &[T]) -> Result<()> {
        assert!(host.len() <= self.len, "more values are given than there is room for");
        if host.is_empty() {
            return Ok(());
        }
        self.gpu.bind()?;
        // SAFETY: so many values are there on both sides, and the copy has ended when this returns.
        let copied = unsafe { result::memcpy_htod_async(self.address, host, self.gpu.stream()) };
        self.gpu.check("a copy to the GPU", copied)?;
        self.gpu.synchronize()
    }

    /// Makes all bytes zero.
    ///
    /// # Errors
    ///
    /// As [`Buffer::download`].
    pub fn fill_zero(&mut self) -> Result<()> {
        if self.len == 0 {
            return Ok(());
        }
        self.gpu.bind()?;
        let bytes = self.len * size_of::<T>();
        // SAFETY: all of the memory, and nothing else.
        let filled = unsafe { result::memset_d8_async(self.address, 0, bytes, self.gpu.stream()) };
        self.gpu.check("clearing memory", filled)
    }

    /// Copies the values of another buffer, which is no longer than this one.
    ///
    /// # Errors
    ///
    /// As [`Buffer::download`].
    ///
    /// # Panics
    ///
    /// If the other is longer, or of another GPU.
    pub fn copy_from(&mut self, other: &Self) -> Result<()> {
        assert!(other.len <= self.len && Arc::ptr_eq(&self.gpu, &other.gpu));
        if other.len == 0 {
            return Ok(());
        }
        self.gpu.bind()?;
        let bytes = other.len * size_of::<T>();
        // SAFETY: so many values are there on both sides, which are two.
        let copied = unsafe {
            result::memcpy_dtod_async(self.address, other.address, bytes, self.gpu.stream())
        };
        self.gpu.check("a copy on the GPU", copied)
    }
}

impl<T: Plain> Drop for Buffer<T> {
    fn drop(&mut self) {
        if self.len > 0 && !self.gpu.is_lost() && self.gpu.bind().is_ok() {
            // SAFETY: from `alloc`, and nobody else's; work before it is done first.
            let _ = unsafe { result::free_async(self.address, self.gpu.stream()) };
        }
    }
}
