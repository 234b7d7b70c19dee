//! A vector of doubles, as wide as the processor has them.

/// The few vector operations the kernels need.
///
/// # Safety
/// The methods of an implementation may run only on a processor that has its instructions, and the
/// pointers must be good for `Self::WIDTH` doubles.
pub(super) trait Lanes: Copy {
    const WIDTH: usize;
    unsafe fn load(from: *const f64) -> Self;
    unsafe fn store(self, to: *mut f64);
    unsafe fn splat(value: f64) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    /// `self + a * b`
    unsafe fn plus(self, a: Self, b: Self) -> Self;
    /// `self - a * b`
    unsafe fn minus(self, a: Self, b: Self) -> Self;
    /// Sum of all lanes, always in the same order.
    unsafe fn total(self) -> f64;
}

/// What every processor can do; the compiler makes SSE2 or NEON of it.
#[derive(Clone, Copy)]
pub(super) struct Plain([f64; 4]);

impl Lanes for Plain {
    const WIDTH: usize = 4;
    #[inline(always)]
    unsafe fn load(from: *const f64) -> Self {
        Plain(from.cast::<[f64; 4]>().read_unaligned())
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f64) {
        to.cast::<[f64; 4]>().write_unaligned(self.0);
    }
    #[inline(always)]
    unsafe fn splat(value: f64) -> Self {
        Plain([value; 4])
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] * other.0[i]))
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] + other.0[i]))
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
    unsafe fn total(self) -> f64 {
        (self.0[0] + self.0[2]) + (self.0[1] + self.0[3])
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lanes;
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub(in crate::pde) struct Avx2(__m256d);

    impl Lanes for Avx2 {
        const WIDTH: usize = 4;
        #[inline(always)]
        unsafe fn load(from: *const f64) -> Self {
            Avx2(_mm256_loadu_pd(from))
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f64) {
            _mm256_storeu_pd(to, self.0);
        }
        #[inline(always)]
        unsafe fn splat(value: f64) -> Self {
            Avx2(_mm256_set1_pd(value))
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            Avx2(_mm256_mul_pd(self.0, other.0))
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Avx2(_mm256_add_pd(self.0, other.0))
        }
        #[inline(always)]
        unsafe fn plus(self, a: Self, b: Self) -> Self {
            Avx2(_mm256_fmadd_pd(a.0, b.0, self.0))
        }
        #[inline(always)]
        unsafe fn minus(self, a: Self, b: Self) -> Self {
            Avx2(_mm256_fnmadd_pd(a.0, b.0, self.0))
        }
        #[inline(always)]
        unsafe fn total(self) -> f64 {
            let half =
                _mm_add_pd(_mm256_castpd256_pd128(self.0), _mm256_extractf128_pd::<1>(self.0));
            _mm_cvtsd_f64(_mm_add_sd(half, _mm_unpackhi_pd(half, half)))
        }
    }

    #[derive(Clone, Copy)]
    pub(in crate::pde) struct Avx512(__m512d);

    impl Lanes for Avx512 {
        const WIDTH: usize = 8;
        #[inline(always)]
        unsafe fn load(from: *const f64) -> Self {
            Avx512(_mm512_loadu_pd(from))
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f64) {
            _mm512_storeu_pd(to, self.0);
        }
        #[inline(always)]
        unsafe fn splat(value: f64) -> Self {
            Avx512(_mm512_set1_pd(value))
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            Avx512(_mm512_mul_pd(self.0, other.0))
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Avx512(_mm512_add_pd(self.0, other.0))
        }
        #[inline(always)]
        unsafe fn plus(self, a: Self, b: Self) -> Self {
            Avx512(_mm512_fmadd_pd(a.0, b.0, self.0))
        }
        #[inline(always)]
        unsafe fn minus(self, a: Self, b: Self) -> Self {
            Avx512(_mm512_fnmadd_pd(a.0, b.0, self.0))
        }
        #[inline(always)]
        unsafe fn total(self) -> f64 {
            _mm512_reduce_add_pd(self.0)
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};
