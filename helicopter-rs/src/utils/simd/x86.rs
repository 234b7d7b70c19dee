//! Vectors in registers of AVX and AVX-512.

#[allow(clippy::wildcard_imports, reason = "their names say where they come from")]
use std::arch::x86_64::*;

use super::vector::{F32x8, F64s, Vector};
use super::{Isa, Simd};

/// See [`Isa::Avx2`].
pub struct Avx2;

impl Simd for Avx2 {
    const ISA: Isa = Isa::Avx2;
    type F32x8 = Eight;
    type F32x16 = Pair<Eight>;
    type F64s = FourDoubles;
}

/// See [`Isa::Avx512`].
pub struct Avx512;

impl Simd for Avx512 {
    const ISA: Isa = Isa::Avx512;
    type F32x8 = Eight;
    type F32x16 = Sixteen;
    type F64s = EightDoubles;
}

/// Makes a vector of a register. In all of it the `unsafe` is sound because a vector exists only in
/// the kernels of its instruction set, which run only where the processor has it (see [`Simd`]).
macro_rules! register {
    (
        $(#[$meta:meta])* $name:ident($register:ty): $lanes:literal x $float:ty,
        $splat:ident, $read:ident, $write:ident,
        { $($op:ident = $instruction:ident),* }, { $($fused:ident = $fused_instruction:ident),* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        pub struct $name($register);

        impl Vector for $name {
            type Float = $float;
            const LANES: usize = $lanes;

            #[inline(always)]
            fn splat(value: $float) -> Self {
                // SAFETY: see `register!`
                Self(unsafe { $splat(value) })
            }
            #[inline(always)]
            unsafe fn read(from: *const $float) -> Self {
                // SAFETY: the caller's promise, and see `register!`
                Self(unsafe { $read(from) })
            }
            #[inline(always)]
            unsafe fn write(self, to: *mut $float) {
                // SAFETY: the caller's promise, and see `register!`
                unsafe { $write(to, self.0) }
            }
            $(#[inline(always)]
            fn $op(self, other: Self) -> Self {
                // SAFETY: see `register!`
                Self(unsafe { $instruction(self.0, other.0) })
            })*
            $(#[inline(always)]
            fn $fused(self, a: Self, b: Self) -> Self {
                // SAFETY: see `register!`
                Self(unsafe { $fused_instruction(a.0, b.0, self.0) })
            })*
        }
    };
}

register! {
    /// A register of AVX.
    Eight(__m256): 8 x f32,
    _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps,
    { add = _mm256_add_ps, sub = _mm256_sub_ps, mul = _mm256_mul_ps, max = _mm256_max_ps, min = _mm256_min_ps },
    { plus = _mm256_fmadd_ps, minus = _mm256_fnmadd_ps }
}
register! {
    /// A register of AVX-512.
    Sixteen(__m512): 16 x f32,
    _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps,
    { add = _mm512_add_ps, sub = _mm512_sub_ps, mul = _mm512_mul_ps, max = _mm512_max_ps, min = _mm512_min_ps },
    { plus = _mm512_fmadd_ps, minus = _mm512_fnmadd_ps }
}
register! {
    /// A register of AVX.
    FourDoubles(__m256d): 4 x f64,
    _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd,
    { add = _mm256_add_pd, sub = _mm256_sub_pd, mul = _mm256_mul_pd, max = _mm256_max_pd, min = _mm256_min_pd },
    { plus = _mm256_fmadd_pd, minus = _mm256_fnmadd_pd }
}
register! {
    /// A register of AVX-512.
    EightDoubles(__m512d): 8 x f64,
    _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd,
    { add = _mm512_add_pd, sub = _mm512_sub_pd, mul = _mm512_mul_pd, max = _mm512_max_pd, min = _mm512_min_pd },
    { plus = _mm512_fmadd_pd, minus = _mm512_fnmadd_pd }
}

/// Two registers that are worked on alike.
#[derive(Clone, Copy)]
pub struct Pair<V>(V, V);

macro_rules! in_both {
    ($($op:ident($($arg:ident),*);)*) => {
        $(#[inline(always)]
        fn $op(self, $($arg: Self),*) -> Self {
            Pair(self.0.$op($($arg.0),*), self.1.$op($($arg.1),*))
        })*
    };
}

impl<V: Vector> Vector for Pair<V> {
    type Float = V::Float;
    const LANES: usize = 2 * V::LANES;

    #[inline(always)]
    fn splat(value: V::Float) -> Self {
        Pair(V::splat(value), V::splat(value))
    }
    #[inline(always)]
    unsafe fn read(from: *const V::Float) -> Self {
        // SAFETY: the caller's promise, for each half.
        unsafe { Pair(V::read(from), V::read(from.add(V::LANES))) }
    }
    #[inline(always)]
    unsafe fn write(self, to: *mut V::Float) {
        // SAFETY: the caller's promise, for each half.
        unsafe {
            self.0.write(to);
            self.1.write(to.add(V::LANES));
        }
    }
    in_both! { add(other); sub(other); mul(other); max(other); min(other); plus(a, b); minus(a, b); }
}

impl F64s for FourDoubles {
    #[inline(always)]
    fn totals<const N: usize>(vectors: [Self; N]) -> [f64; N] {
        assert!(N == Self::LANES);
        let mut totals = [0.0; N];
        // SAFETY: see `register!`; there is room for all lanes.
        unsafe {
            let ab = _mm256_hadd_pd(vectors[0].0, vectors[1].0);
            let cd = _mm256_hadd_pd(vectors[2].0, vectors[3].0);
            let low = _mm256_permute2f128_pd::<0x20>(ab, cd);
            let high = _mm256_permute2f128_pd::<0x31>(ab, cd);
            _mm256_storeu_pd(totals.as_mut_ptr(), _mm256_add_pd(low, high));
        }
        totals
    }
}

impl F64s for EightDoubles {
    #[inline(always)]
    fn totals<const N: usize>(vectors: [Self; N]) -> [f64; N] {
        assert!(N == Self::LANES);
        let mut totals = [0.0; N];
        // SAFETY: see `register!`; there is room for all lanes.
        unsafe {
            // Sums of neighbouring lanes, then of neighbouring pairs, then of halves.
            let pairs = |a: Self, b: Self| {
                _mm512_add_pd(_mm512_unpacklo_pd(a.0, b.0), _mm512_unpackhi_pd(a.0, b.0))
            };
            let fold = |a, b| {
                let even = _mm512_shuffle_f64x2::<0x88>(a, b);
                _mm512_add_pd(even, _mm512_shuffle_f64x2::<0xdd>(a, b))
            };
            let low = fold(pairs(vectors[0], vectors[1]), pairs(vectors[2], vectors[3]));
            let high = fold(pairs(vectors[4], vectors[5]), pairs(vectors[6], vectors[7]));
            _mm512_storeu_pd(totals.as_mut_ptr(), fold(low, high));
        }
        totals
    }
}

impl F32x8 for Eight {
    #[inline(always)]
    fn split(self) -> (Self, Self) {
        // SAFETY: see `register!`
        unsafe {
            let bits = _mm256_castps_si256(self.0);
            let fraction = _mm256_and_si256(bits, _mm256_set1_epi32(0x007f_ffff));
            let one =
                _mm256_castsi256_ps(_mm256_or_si256(fraction, _mm256_set1_epi32(0x3f80_0000)));
            let root = _mm256_set1_ps(std::f32::consts::SQRT_2);
            let large = _mm256_cmp_ps::<_CMP_GT_OQ>(one, root);
            let half = _mm256_mul_ps(one, _mm256_set1_ps(0.5));
            let unit = _mm256_set1_ps(1.0);
            let mantissa = _mm256_sub_ps(_mm256_blendv_ps(one, half, large), unit);
            let power = _mm256_add_epi32(_mm256_srli_epi32::<23>(bits), _mm256_set1_epi32(-127));
            let exponent = _mm256_add_ps(_mm256_cvtepi32_ps(power), _mm256_and_ps(large, unit));
            (Eight(mantissa), Eight(exponent))
        }
    }
    #[inline(always)]
    fn not_between(self, low: Self, high: Self) -> Self {
        // SAFETY: see `register!`
        unsafe {
            let below = _mm256_cmp_ps::<_CMP_LE_OQ>(self.0, low.0);
            let above = _mm256_cmp_ps::<_CMP_GE_OQ>(self.0, high.0);
            Eight(_mm256_and_ps(_mm256_or_ps(below, above), _mm256_set1_ps(1.0)))
        }
    }
    #[inline(always)]
    fn transpose(rows: [Self; 8]) -> [Self; 8] {
        let [Eight(a), Eight(b), Eight(c), Eight(d), Eight(e), Eight(f), Eight(g), Eight(h)] = rows;
        // SAFETY: see `register!`
        unsafe {
            // pairs of rows, then fours, then all: half a register at a time
            let (ab, ab_) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (cd, cd_) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            let (ef, ef_) = (_mm256_unpacklo_ps(e, f), _mm256_unpackhi_ps(e, f));
            let (gh, gh_) = (_mm256_unpacklo_ps(g, h), _mm256_unpackhi_ps(g, h));
            let above = [
                _mm256_shuffle_ps::<0x44>(ab, cd),
                _mm256_shuffle_ps::<0xee>(ab, cd),
                _mm256_shuffle_ps::<0x44>(ab_, cd_),
                _mm256_shuffle_ps::<0xee>(ab_, cd_),
            ];
            let below = [
                _mm256_shuffle_ps::<0x44>(ef, gh),
                _mm256_shuffle_ps::<0xee>(ef, gh),
                _mm256_shuffle_ps::<0x44>(ef_, gh_),
                _mm256_shuffle_ps::<0xee>(ef_, gh_),
            ];
            // no closures here: they would be compiled without the instructions
            let mut out = rows;
            for i in 0..4 {
                out[i] = Eight(_mm256_permute2f128_ps::<0x20>(above[i], below[i]));
                out[i + 4] = Eight(_mm256_permute2f128_ps::<0x31>(above[i], below[i]));
            }
            out
        }
    }
    #[inline(always)]
    fn interleave(self, other: Self) -> (Self, Self) {
        // SAFETY: see `register!`
        unsafe {
            let low = _mm256_unpacklo_ps(self.0, other.0);
            let high = _mm256_unpackhi_ps(self.0, other.0);
            (
                Eight(_mm256_permute2f128_ps::<0x20>(low, high)),
                Eight(_mm256_permute2f128_ps::<0x31>(low, high)),
            )
        }
    }
}
