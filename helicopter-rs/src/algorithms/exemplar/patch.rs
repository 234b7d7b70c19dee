//! How unlike two patches are: a weighted sum of squared differences, in integers.

use super::level::Level;
use super::MARGIN;
use crate::utils::simd::{Isa, Simd};

/// Pixels held of each row of a patch: eight make a whole vector of the processor's.
const ROW: usize = 8;
/// Values in them.
const LANES: usize = 4 * ROW;

/// What a visible pixel counts, compared with one that is a guess so far.
const VISIBLE: i16 = 4;

/// The patch around a target, ready to be compared with many others.
pub(super) struct Patch {
    radius: usize,
    values: [[i16; LANES]; 2 * MARGIN + 1],
    /// 0 outside the image and beyond the patch.
    weights: [[i16; LANES]; 2 * MARGIN + 1],
}

impl Patch {
    #[inline(always)]
    pub fn around(level: &Level, target: usize) -> Patch {
        let (frame, radius) = (&level.frame, level.radius);
        let mut patch = Patch {
            radius,
            values: [[0; LANES]; 2 * MARGIN + 1],
            weights: [[0; LANES]; 2 * MARGIN + 1],
        };
        let (y, x) = frame.place(target);
        for row in 0..=2 * radius {
            if y + row < radius || y + row >= frame.height + radius {
                continue;
            }
            let from = target + row * frame.stride - radius * (frame.stride + 1);
            for column in 0..=2 * radius {
                if x + column < radius || x + column >= frame.width + radius {
                    continue;
                }
                let at = from + column;
                let weight = if frame.visible[at] { VISIBLE } else { 1 };
                for c in 0..4 {
                    patch.values[row][4 * column + c] = i16::from(frame.pixels[at][c]);
                    patch.weights[row][4 * column + c] = weight;
                }
            }
        }
        patch
    }

    /// The difference to the patch around `source`, or some number not below `limit`.
    #[inline(always)]
    pub fn difference<S: Simd>(&self, level: &Level, source: usize, limit: u32) -> u32 {
        #[cfg(target_arch = "x86_64")]
        if S::ISA == Isa::Avx2 {
            debug_assert!(std::arch::is_x86_feature_detected!("avx2"));
            // SAFETY: kernels of an instruction set run only where the processor has it.
            return unsafe { self.difference_with_avx2(level, source, limit) };
        }
        self.difference_anywhere(level, source, limit)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[target_feature(enable = "avx2")]
    fn difference_with_avx2(&self, level: &Level, source: usize, limit: u32) -> u32 {
        use std::arch::x86_64::{
            __m256i, _mm256_add_epi32, _mm256_castsi256_si128, _mm256_cvtepu8_epi16,
            _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_mullo_epi16,
            _mm256_setzero_si256, _mm256_sub_epi16, _mm_add_epi32, _mm_cvtsi128_si32,
            _mm_loadu_si128, _mm_shuffle_epi32,
        };
        let total = |sums: __m256i| {
            let four =
                _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
            let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
            let one = _mm_add_epi32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two));
            _mm_cvtsi128_si32(one) as u32
        };
        let stride = level.frame.stride;
        let corner = source - self.radius * (stride + 1);
        let mut sums = _mm256_setzero_si256();
        for row in 0..=2 * self.radius {
            let from = corner + row * stride;
            let others: &[[u8; 4]; ROW] =
                level.frame.pixels[from..from + ROW].try_into().expect("of this length");
            for half in 0..2 {
                let lanes = half * LANES / 2;
                debug_assert!(half * ROW / 2 + 4 <= ROW && lanes + 16 <= self.values[row].len());
                debug_assert!(lanes + 16 <= self.weights[row].len());
                // SAFETY: 16 bytes, and twice 16 numbers of 16 bits, from where half a row begins.
                let (other, value, weight) = unsafe {
                    (
                        _mm_loadu_si128(others.as_ptr().add(half * ROW / 2).cast()),
                        _mm256_loadu_si256(self.values[row].as_ptr().add(lanes).cast()),
                        _mm256_loadu_si256(self.weights[row].as_ptr().add(lanes).cast()),
                    )
                };
                let apart = _mm256_sub_epi16(value, _mm256_cvtepu8_epi16(other));
                let weighted = _mm256_mullo_epi16(apart, weight);
                sums = _mm256_add_epi32(sums, _mm256_madd_epi16(apart, weighted));
            }
            if row == self.radius {
                let half = total(sums);
                if half >= limit {
                    return half;
                }
            }
        }
        total(sums)
    }

    #[inline(always)]
    fn difference_anywhere(&self, level: &Level, source: usize, limit: u32) -> u32 {
        let stride = level.frame.stride;
        let corner = source - self.radius * (stride + 1);
        let mut sum = 0_i32;
        for row in 0..=2 * self.radius {
            let from = corner + row * stride;
            let pixels: &[[u8; 4]; ROW] =
                level.frame.pixels[from..from + ROW].try_into().expect("of this length");
            let others = pixels.as_flattened();
            let (values, weights) = (&self.values[row], &self.weights[row]);
            let mut apart = 0_i32;
            for lane in 0..LANES {
                let difference = values[lane] - i16::from(others[lane]);
                apart += i32::from(difference) * i32::from(difference * weights[lane]);
            }
            sum += apart;
            if row == self.radius && sum as u32 >= limit {
                break;
            }
        }
        sum as u32
    }
}
