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
    unsafe fn add(self, other: Self) -> Self;
    /// `self + a * b`
    unsafe fn plus(self, a: Self, b: Self) -> Self;
    /// Stores the sums over the lanes of `WIDTH` vectors, always added in the same order.
    unsafe fn store_totals<const N: usize>(sums: [Self; N], to: *mut f64);
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
    unsafe fn add(self, other: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    unsafe fn plus(self, a: Self, b: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] + a.0[i] * b.0[i]))
    }
    #[inline(always)]
    unsafe fn store_totals<const N: usize>(sums: [Self; N], to: *mut f64) {
        for (i, Plain(sum)) in sums.into_iter().enumerate() {
            *to.add(i) = (sum[0] + sum[2]) + (sum[1] + sum[3]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lanes;
    use std::arch::x86_64::{
        __m256d, __m512d, _mm256_add_pd, _mm256_fmadd_pd, _mm256_hadd_pd, _mm256_loadu_pd,
        _mm256_permute2f128_pd, _mm256_set1_pd, _mm256_storeu_pd, _mm512_add_pd, _mm512_fmadd_pd,
        _mm512_loadu_pd, _mm512_set1_pd, _mm512_shuffle_f64x2, _mm512_storeu_pd,
        _mm512_unpackhi_pd, _mm512_unpacklo_pd,
    };

    #[derive(Clone, Copy)]
    pub(in crate::algorithms::pde) struct Avx2(__m256d);

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
        unsafe fn add(self, other: Self) -> Self {
            Avx2(_mm256_add_pd(self.0, other.0))
        }
        #[inline(always)]
        unsafe fn plus(self, a: Self, b: Self) -> Self {
            Avx2(_mm256_fmadd_pd(a.0, b.0, self.0))
        }
        #[inline(always)]
        unsafe fn store_totals<const N: usize>(sums: [Self; N], to: *mut f64) {
            debug_assert!(N == Self::WIDTH);
            let ab = _mm256_hadd_pd(sums[0].0, sums[1].0);
            let cd = _mm256_hadd_pd(sums[2].0, sums[3].0);
            let low = _mm256_permute2f128_pd::<0x20>(ab, cd);
            let high = _mm256_permute2f128_pd::<0x31>(ab, cd);
            _mm256_storeu_pd(to, _mm256_add_pd(low, high));
        }
    }

    #[derive(Clone, Copy)]
    pub(in crate::algorithms::pde) struct Avx512(__m512d);

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
        unsafe fn add(self, other: Self) -> Self {
            Avx512(_mm512_add_pd(self.0, other.0))
        }
        #[inline(always)]
        unsafe fn plus(self, a: Self, b: Self) -> Self {
            Avx512(_mm512_fmadd_pd(a.0, b.0, self.0))
        }
        #[inline(always)]
        unsafe fn store_totals<const N: usize>(sums: [Self; N], to: *mut f64) {
            debug_assert!(N == Self::WIDTH);
            // Sums of neighbouring lanes, then of neighbouring pairs, then of halves.
            let pairs = |a: Self, b: Self| {
                _mm512_add_pd(_mm512_unpacklo_pd(a.0, b.0), _mm512_unpackhi_pd(a.0, b.0))
            };
            let fold = |a, b| {
                let even = _mm512_shuffle_f64x2::<0x88>(a, b);
                _mm512_add_pd(even, _mm512_shuffle_f64x2::<0xdd>(a, b))
            };
            let low = fold(pairs(sums[0], sums[1]), pairs(sums[2], sums[3]));
            let high = fold(pairs(sums[4], sums[5]), pairs(sums[6], sums[7]));
            _mm512_storeu_pd(to, fold(low, high));
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};
