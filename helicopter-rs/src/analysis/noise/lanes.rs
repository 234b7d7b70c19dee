//! Eight floats at a time, one of each of eight blocks.
//!
//! The same code serves every processor: [`Avx2`] where there is AVX2 and FMA, else [`Plain`]. Only
//! [`Vector::multiply_add`] rounds differently there, once instead of twice.

/// Blocks that are looked at together.
pub(super) const LANES: usize = 8;

/// The few vector operations that looking at blocks needs.
///
/// Implementations may be used only on a processor that has their instructions: nothing but
/// [`vectorised!`] chooses one.
pub(super) trait Vector: Copy {
    fn load(from: &[f32]) -> Self;
    fn store(self, to: &mut [f32]);
    fn splat(value: f32) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn max(self, other: Self) -> Self;
    fn min(self, other: Self) -> Self;
    /// `self * factor + term`
    fn multiply_add(self, factor: Self, term: Self) -> Self;
    /// Of normal positive numbers: the mantissa between the roots of 1/2 and 2, less one, and the
    /// exponent that goes with it.
    fn split(self) -> (Self, Self);
    /// 1 where a value is not above `low` and below `high`, else 0; 0 of no number.
    fn not_between(self, low: Self, high: Self) -> Self;
    /// Columns of what were rows.
    fn transpose(rows: [Self; LANES]) -> [Self; LANES];
    /// The values of both in turns: the first half of each, and the second.
    fn interleave(self, other: Self) -> (Self, Self);

    #[inline(always)]
    fn to_array(self) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        self.store(&mut out);
        out
    }

    /// The natural logarithm of normal positive numbers, to the last bit or two (the polynomial is
    /// that of Moshier's Cephes library, `logf`).
    #[inline(always)]
    fn ln(self) -> Self {
        const COEFFICIENTS: [f32; 8] = [
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ];
        let (f, exponent) = self.split();
        let mut y = Self::splat(7.037_684e-2);
        for coefficient in COEFFICIENTS {
            y = y.multiply_add(f, Self::splat(coefficient));
        }
        let z = f.mul(f);
        y = y.mul(f).mul(z);
        y = exponent.multiply_add(Self::splat(-2.121_944_4e-4), y);
        y = z.multiply_add(Self::splat(-0.5), y);
        exponent.multiply_add(Self::splat(0.693_359_4), f.add(y))
    }
}

/// What every processor can do.
#[derive(Clone, Copy)]
pub(super) struct Plain([f32; LANES]);

impl Plain {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Plain(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Vector for Plain {
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let mut out = [0.0; LANES];
        out.copy_from_slice(&from[..LANES]);
        Plain(out)
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        to[..LANES].copy_from_slice(&self.0);
    }
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Plain([value; LANES])
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn multiply_add(self, factor: Self, term: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] * factor.0[i] + term.0[i]))
    }
    #[inline(always)]
    fn split(self) -> (Self, Self) {
        let (mut mantissa, mut exponent) = ([0.0; LANES], [0.0; LANES]);
        for i in 0..LANES {
            let bits = self.0[i].to_bits();
            let one = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000);
            let large = one > std::f32::consts::SQRT_2;
            mantissa[i] = if large { one * 0.5 } else { one } - 1.0;
            exponent[i] = ((bits >> 23) as i32 - 127 + i32::from(large)) as f32;
        }
        (Plain(mantissa), Plain(exponent))
    }
    #[inline(always)]
    fn not_between(self, low: Self, high: Self) -> Self {
        let at = |i: usize| f32::from(u8::from(self.0[i] <= low.0[i] || self.0[i] >= high.0[i]));
        Plain(std::array::from_fn(at))
    }
    #[inline(always)]
    fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        std::array::from_fn(|i| Plain(std::array::from_fn(|j| rows[j].0[i])))
    }
    #[inline(always)]
    fn interleave(self, other: Self) -> (Self, Self) {
        let value = |i: usize| [self, other][i % 2].0[i / 2];
        (Plain(std::array::from_fn(value)), Plain(std::array::from_fn(|i| value(i + LANES))))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, _mm256_add_epi32, _mm256_add_ps, _mm256_and_ps, _mm256_and_si256, _mm256_blendv_ps,
        _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cvtepi32_ps,
        _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps,
        _mm256_or_ps, _mm256_or_si256, _mm256_permute2f128_ps, _mm256_set1_epi32, _mm256_set1_ps,
        _mm256_shuffle_ps, _mm256_srli_epi32, _mm256_storeu_ps, _mm256_sub_ps, _mm256_unpackhi_ps,
        _mm256_unpacklo_ps, _CMP_GE_OQ, _CMP_GT_OQ, _CMP_LE_OQ,
    };

    use super::{Vector, LANES};

    /// One register of AVX. It exists only where `vectorised!` found AVX2 and FMA, which is what makes
    /// the `unsafe` below sound.
    #[derive(Clone, Copy)]
    pub(in crate::analysis::noise) struct Avx2(__m256);

    impl Vector for Avx2 {
        #[inline(always)]
        fn load(from: &[f32]) -> Self {
            let from = &from[..LANES];
            // SAFETY: eight floats are there; for the instructions see `Avx2`
            unsafe { Avx2(_mm256_loadu_ps(from.as_ptr())) }
        }
        #[inline(always)]
        fn store(self, to: &mut [f32]) {
            let to = &mut to[..LANES];
            // SAFETY: eight floats are there; for the instructions see `Avx2`
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), self.0) }
        }
        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: see `Avx2`
            unsafe { Avx2(_mm256_set1_ps(value)) }
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: see `Avx2`
            unsafe { Avx2(_mm256_add_ps(self.0, other.0)) }
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: see `Avx2`
            unsafe { Avx2(_mm256_sub_ps(self.0, other.0)) }
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: see `Avx2`
            unsafe { Avx2(_mm256_mul_ps(self.0, other.0)) }
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // SAFETY: see `Avx2`
            unsafe { Avx2(_mm256_max_ps(self.0, other.0)) }
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            // SAFETY: see `Avx2`
            unsafe { Avx2(_mm256_min_ps(self.0, other.0)) }
        }
        #[inline(always)]
        fn multiply_add(self, factor: Self, term: Self) -> Self {
            // SAFETY: see `Avx2`
            unsafe { Avx2(_mm256_fmadd_ps(self.0, factor.0, term.0)) }
        }
        #[inline(always)]
        fn split(self) -> (Self, Self) {
            // SAFETY: see `Avx2`
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
                let power =
                    _mm256_add_epi32(_mm256_srli_epi32::<23>(bits), _mm256_set1_epi32(-127));
                let exponent = _mm256_add_ps(_mm256_cvtepi32_ps(power), _mm256_and_ps(large, unit));
                (Avx2(mantissa), Avx2(exponent))
            }
        }
        #[inline(always)]
        fn not_between(self, low: Self, high: Self) -> Self {
            // SAFETY: see `Avx2`
            unsafe {
                let below = _mm256_cmp_ps::<_CMP_LE_OQ>(self.0, low.0);
                let above = _mm256_cmp_ps::<_CMP_GE_OQ>(self.0, high.0);
                Avx2(_mm256_and_ps(_mm256_or_ps(below, above), _mm256_set1_ps(1.0)))
            }
        }
        #[inline(always)]
        fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
            let [Avx2(a), Avx2(b), Avx2(c), Avx2(d), Avx2(e), Avx2(f), Avx2(g), Avx2(h)] = rows;
            // SAFETY: see `Avx2`
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
                for i in 0..LANES / 2 {
                    out[i] = Avx2(_mm256_permute2f128_ps::<0x20>(above[i], below[i]));
                    out[i + 4] = Avx2(_mm256_permute2f128_ps::<0x31>(above[i], below[i]));
                }
                out
            }
        }
        #[inline(always)]
        fn interleave(self, other: Self) -> (Self, Self) {
            // SAFETY: see `Avx2`
            unsafe {
                let low = _mm256_unpacklo_ps(self.0, other.0);
                let high = _mm256_unpackhi_ps(self.0, other.0);
                (
                    Avx2(_mm256_permute2f128_ps::<0x20>(low, high)),
                    Avx2(_mm256_permute2f128_ps::<0x31>(low, high)),
                )
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::Avx2;

/// Declares `fn name(args) -> T` that runs `inner` on [`Avx2`] where the processor has AVX2 and FMA,
/// else on [`Plain`]. `inner` must be `#[inline(always)]`, and so must be all that it calls.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $out:ty = $inner:ident) => {
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) -> $out {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                unsafe fn wide($($arg: $type),*) -> $out {
                    $inner::<$crate::analysis::noise::lanes::Avx2>($($arg),*)
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has these instructions
                    return unsafe { wide($($arg),*) };
                }
            }
            $inner::<$crate::analysis::noise::lanes::Plain>($($arg),*)
        }
    };
}
pub(super) use vectorised;

/// Compiles a function for AVX2 too, and calls that where the processor has it: its plain loops become
/// wider. Products and sums are not fused, so that the result is the same.
macro_rules! wide_loops {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) {
            #[inline(always)]
            fn plain($($arg: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) {
                    plain($($arg),*);
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has AVX2.
                    return unsafe { avx2($($arg),*) };
                }
            }
            plain($($arg),*);
        }
    };
}
pub(super) use wide_loops;

#[cfg(test)]
mod tests {
    use super::{Plain, Vector, LANES};

    vectorised! {
        fn logarithms(values: &mut [f32]) -> () = logarithms_of
    }

    #[inline(always)]
    fn logarithms_of<V: Vector>(values: &mut [f32]) {
        for group in values.chunks_exact_mut(LANES) {
            V::load(group).ln().store(group);
        }
    }

    vectorised! {
        fn rearranged(values: &[f32]) -> Vec<f32> = rearranged_of
    }

    #[inline(always)]
    fn rearranged_of<V: Vector>(values: &[f32]) -> Vec<f32> {
        let rows: [V; LANES] = std::array::from_fn(|i| V::load(&values[LANES * i..]));
        let mut out: Vec<f32> = V::transpose(rows).iter().flat_map(|row| row.to_array()).collect();
        let (first, second) = rows[0].interleave(rows[1]);
        out.extend(first.to_array());
        out.extend(second.to_array());
        out.extend(rows[0].not_between(V::splat(1.0), V::splat(6.0)).to_array());
        out
    }

    #[test]
    fn values_go_where_they_belong() {
        let mut values: Vec<f32> = (0..64).map(|k| k as f32).collect();
        values[3] = f32::NAN;
        let found = rearranged(&values);
        let mut expected: Vec<f32> =
            (0..64).map(|k| values[LANES * (k % LANES) + k / LANES]).collect();
        expected.extend((0..16).map(|k| values[LANES * (k % 2) + k / 2]));
        expected.extend([1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
        for found in [found, rearranged_of::<Plain>(&values)] {
            let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
            assert!(found.iter().zip(&expected).all(same), "{found:?}");
        }
    }

    #[test]
    fn logarithms_are_right_to_float_precision() {
        let x: Vec<f32> = (0..8000).map(|k| 1e-3 * 1.005_f32.powi(k)).collect();
        let (mut plain, mut best) = (x.clone(), x.clone());
        logarithms_of::<Plain>(&mut plain);
        logarithms(&mut best);
        for ((&x, &plain), &best) in x.iter().zip(&plain).zip(&best) {
            let expected = f64::from(x).ln();
            let tolerance = 3e-7 * expected.abs().max(1.0);
            for got in [plain, best] {
                assert!((f64::from(got) - expected).abs() < tolerance, "ln {x}: {got}, {expected}");
            }
        }
    }
}
