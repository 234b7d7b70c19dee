//! What vectors can do, whatever registers they lie in.

/// A vector of floats.
pub trait Vector: Copy {
    /// Single or double precision.
    type Float: Copy;
    /// How many there are.
    const LANES: usize;

    /// The same in every lane.
    fn splat(value: Self::Float) -> Self;
    /// What is at an address.
    ///
    /// # Safety
    /// `from` must be good for [`Self::LANES`] floats.
    unsafe fn read(from: *const Self::Float) -> Self;
    /// Writes to an address.
    ///
    /// # Safety
    /// `to` must be good for [`Self::LANES`] floats.
    unsafe fn write(self, to: *mut Self::Float);
    /// The sum.
    fn add(self, other: Self) -> Self;
    /// The difference.
    fn sub(self, other: Self) -> Self;
    /// The product.
    fn mul(self, other: Self) -> Self;
    /// The greater, or `other` where one is no number.
    fn max(self, other: Self) -> Self;
    /// The lesser, or `other` where one is no number.
    fn min(self, other: Self) -> Self;
    /// `self + a * b`, rounded once where the processor can.
    fn plus(self, a: Self, b: Self) -> Self;
    /// `self - a * b`, rounded once where the processor can.
    fn minus(self, a: Self, b: Self) -> Self;

    /// `self * factor + term`, rounded once where the processor can.
    #[inline(always)]
    fn multiply_add(self, factor: Self, term: Self) -> Self {
        term.plus(self, factor)
    }
    /// What a slice begins with.
    #[inline(always)]
    fn load(from: &[Self::Float]) -> Self {
        let from = &from[..Self::LANES];
        // SAFETY: so many floats are there.
        unsafe { Self::read(from.as_ptr()) }
    }
    /// Writes to the beginning of a slice.
    #[inline(always)]
    fn store(self, to: &mut [Self::Float]) {
        let to = &mut to[..Self::LANES];
        // SAFETY: so many floats are there.
        unsafe { self.write(to.as_mut_ptr()) }
    }
}

/// Doubles.
pub trait F64s: Vector<Float = f64> {
    /// The sums over the lanes of as many vectors as there are lanes, each in the same order.
    fn totals<const N: usize>(vectors: [Self; N]) -> [f64; N];
}

/// Eight floats.
pub trait F32x8: Vector<Float = f32> {
    /// Of normal positive numbers: the mantissa between the roots of 1/2 and 2, less one, and the
    /// exponent that goes with it.
    fn split(self) -> (Self, Self);
    /// 1 where a value is not above `low` and below `high`, else 0; 0 of no number.
    fn not_between(self, low: Self, high: Self) -> Self;
    /// Columns of what were rows.
    fn transpose(rows: [Self; 8]) -> [Self; 8];
    /// The values of both in turns: the first half of each, and the second.
    fn interleave(self, other: Self) -> (Self, Self);

    /// The eight.
    #[inline(always)]
    fn to_array(self) -> [f32; 8] {
        let mut out = [0.0; 8];
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
