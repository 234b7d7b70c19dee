//! Sixteen floats at once, in whatever vectors the processor has.
//!
//! Channels come in blocks of [`WIDTH`], so that the same code serves every processor: one register
//! of AVX-512, two of AVX, four of SSE or NEON. AVX and AVX-512 fuse multiplication and addition and
//! so give the same bits; where nothing fuses them, results differ from theirs by rounding.

use super::product::{columns, Product};

/// Floats in a vector, and channels in a block.
pub(super) const WIDTH: usize = 16;

/// A vector as it lies in memory: a whole cache line.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Line(pub [f32; WIDTH]);

impl Line {
    pub const ZERO: Line = Line([0.0; WIDTH]);
}

/// The few vector operations that the network needs.
///
/// # Safety
/// The methods of an implementation may run only on a processor that has its instructions, and the
/// pointers must be good for [`WIDTH`] floats.
pub(super) trait Lanes: Copy {
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn splat(value: f32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    /// `self + a * b`
    unsafe fn plus(self, a: Self, b: Self) -> Self;
    /// `self - a * b`
    unsafe fn minus(self, a: Self, b: Self) -> Self;
    /// Computes some columns of a matrix product, from block `first` on; returns how many blocks. Here
    /// lies the choice of how many accumulators the registers hold.
    ///
    /// # Safety
    /// As [`columns`], with at least one block left.
    unsafe fn panel(product: &Product, first: usize) -> usize;
}

/// What every processor can do; the compiler makes SSE2 or NEON of it.
#[derive(Clone, Copy)]
pub(super) struct Plain([f32; WIDTH]);

impl Plain {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Plain(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Lanes for Plain {
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Plain(from.cast::<[f32; WIDTH]>().read_unaligned())
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        to.cast::<[f32; WIDTH]>().write_unaligned(self.0);
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Plain([value; WIDTH])
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn plus(self, a: Self, b: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] + a.0[i] * b.0[i]))
    }
    #[inline(always)]
    unsafe fn minus(self, a: Self, b: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] - a.0[i] * b.0[i]))
    }
    #[inline(always)]
    unsafe fn panel(product: &Product, first: usize) -> usize {
        if cfg!(target_arch = "aarch64") {
            columns::<Self, 4, 1>(product, first)
        } else {
            columns::<Self, 2, 1>(product, first)
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{columns, Lanes, Product};
    use std::arch::x86_64::{
        __m256, __m512, _mm256_add_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_loadu_ps,
        _mm256_max_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm256_sub_ps,
        _mm512_add_ps, _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_loadu_ps, _mm512_max_ps,
        _mm512_mul_ps, _mm512_set1_ps, _mm512_storeu_ps, _mm512_sub_ps,
    };

    /// Two registers of eight.
    #[derive(Clone, Copy)]
    pub(in crate::algorithms::network) struct Avx2(__m256, __m256);

    impl Lanes for Avx2 {
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Avx2(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8)))
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            Avx2(_mm256_set1_ps(value), _mm256_set1_ps(value))
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Avx2(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1))
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            Avx2(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1))
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            Avx2(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1))
        }
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            Avx2(_mm256_max_ps(self.0, other.0), _mm256_max_ps(self.1, other.1))
        }
        #[inline(always)]
        unsafe fn plus(self, a: Self, b: Self) -> Self {
            Avx2(_mm256_fmadd_ps(a.0, b.0, self.0), _mm256_fmadd_ps(a.1, b.1, self.1))
        }
        #[inline(always)]
        unsafe fn minus(self, a: Self, b: Self) -> Self {
            Avx2(_mm256_fnmadd_ps(a.0, b.0, self.0), _mm256_fnmadd_ps(a.1, b.1, self.1))
        }
        #[inline(always)]
        unsafe fn panel(product: &Product, first: usize) -> usize {
            columns::<Self, 6, 1>(product, first)
        }
    }

    #[derive(Clone, Copy)]
    pub(in crate::algorithms::network) struct Avx512(__m512);

    impl Lanes for Avx512 {
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Avx512(_mm512_loadu_ps(from))
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            _mm512_storeu_ps(to, self.0);
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            Avx512(_mm512_set1_ps(value))
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Avx512(_mm512_add_ps(self.0, other.0))
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            Avx512(_mm512_sub_ps(self.0, other.0))
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            Avx512(_mm512_mul_ps(self.0, other.0))
        }
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            Avx512(_mm512_max_ps(self.0, other.0))
        }
        #[inline(always)]
        unsafe fn plus(self, a: Self, b: Self) -> Self {
            Avx512(_mm512_fmadd_ps(a.0, b.0, self.0))
        }
        #[inline(always)]
        unsafe fn minus(self, a: Self, b: Self) -> Self {
            Avx512(_mm512_fnmadd_ps(a.0, b.0, self.0))
        }
        #[inline(always)]
        unsafe fn panel(product: &Product, first: usize) -> usize {
            match product.blocks - first {
                1 => columns::<Self, 14, 1>(product, first),
                2 => columns::<Self, 14, 2>(product, first),
                4 | 8 => columns::<Self, 6, 4>(product, first),
                _ => columns::<Self, 9, 3>(product, first),
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};
