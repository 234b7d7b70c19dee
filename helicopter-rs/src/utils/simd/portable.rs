//! Vectors of which the compiler makes what the processor has.

use std::array::from_fn;
use std::ops::{Add, Mul, Sub};

use super::vector::{F32x8, F64s, Vector};

/// Numbers side by side.
#[derive(Clone, Copy)]
pub struct Array<T, const N: usize>([T; N]);

impl<T, const N: usize> Vector for Array<T, N>
where
    T: Copy + PartialOrd + Add<Output = T> + Sub<Output = T> + Mul<Output = T>,
{
    type Float = T;
    const LANES: usize = N;

    #[inline(always)]
    fn splat(value: T) -> Self {
        Array([value; N])
    }
    #[inline(always)]
    unsafe fn read(from: *const T) -> Self {
        // SAFETY: the caller's promise.
        Array(unsafe { from.cast::<[T; N]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn write(self, to: *mut T) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[T; N]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Array(from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Array(from_fn(|i| self.0[i] - other.0[i]))
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Array(from_fn(|i| self.0[i] * other.0[i]))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Array(from_fn(|i| if self.0[i] > other.0[i] { self.0[i] } else { other.0[i] }))
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Array(from_fn(|i| if self.0[i] < other.0[i] { self.0[i] } else { other.0[i] }))
    }
    #[inline(always)]
    fn plus(self, a: Self, b: Self) -> Self {
        Array(from_fn(|i| self.0[i] + a.0[i] * b.0[i]))
    }
    #[inline(always)]
    fn minus(self, a: Self, b: Self) -> Self {
        Array(from_fn(|i| self.0[i] - a.0[i] * b.0[i]))
    }
}

impl F64s for Array<f64, 4> {
    #[inline(always)]
    fn totals<const N: usize>(vectors: [Self; N]) -> [f64; N] {
        vectors.map(|Array([a, b, c, d])| (a + c) + (b + d))
    }
}

impl F32x8 for Array<f32, 8> {
    #[inline(always)]
    fn split(self) -> (Self, Self) {
        let (mut mantissa, mut exponent) = ([0.0; 8], [0.0; 8]);
        for i in 0..8 {
            let bits = self.0[i].to_bits();
            let one = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000);
            let large = one > std::f32::consts::SQRT_2;
            mantissa[i] = if large { one * 0.5 } else { one } - 1.0;
            exponent[i] = ((bits >> 23) as i32 - 127 + i32::from(large)) as f32;
        }
        (Array(mantissa), Array(exponent))
    }
    #[inline(always)]
    fn not_between(self, low: Self, high: Self) -> Self {
        let at = |i: usize| f32::from(u8::from(self.0[i] <= low.0[i] || self.0[i] >= high.0[i]));
        Array(from_fn(at))
    }
    #[inline(always)]
    fn transpose(rows: [Self; 8]) -> [Self; 8] {
        from_fn(|i| Array(from_fn(|j| rows[j].0[i])))
    }
    #[inline(always)]
    fn interleave(self, other: Self) -> (Self, Self) {
        let value = |i: usize| [self, other][i % 2].0[i / 2];
        (Array(from_fn(value)), Array(from_fn(|i| value(i + 8))))
    }
}
