//! The two kernels of the network, compiled for each instruction set and chosen at run time.

use std::ops::Range;

use super::line::Line;
use super::product::{product_any, Product};
use super::winograd::{conv_any, ConvJob};
use crate::utils::simd::{Isa, Kernel, Simd};

struct Conv<'a> {
    job: &'a ConvJob<'a>,
    tiles: Range<usize>,
    scratch: &'a mut [Line],
}

impl Kernel for Conv<'_> {
    type Output = ();
    const AVX512: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self) {
        // SAFETY: only `conv` makes these, which is promised it.
        unsafe { conv_any::<S>(self.job, self.tiles, self.scratch) }
    }
}

struct Whole<'a>(&'a Product);

impl Kernel for Whole<'_> {
    type Output = ();
    const AVX512: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self) {
        // SAFETY: only `product` makes these, which is promised it.
        unsafe { product_any::<S>(self.0) }
    }
}

/// Computes some tiles of a convolution.
///
/// # Safety
/// As [`conv_any`].
pub(super) unsafe fn conv(isa: Isa, job: &ConvJob, tiles: Range<usize>, scratch: &mut [Line]) {
    isa.run(Conv { job, tiles, scratch });
}

/// Computes a matrix product.
///
/// # Safety
/// As [`product_any`].
pub(super) unsafe fn product(isa: Isa, product: &Product) {
    isa.run(Whole(product));
}
