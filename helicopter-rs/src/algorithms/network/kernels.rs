//! The two kernels of the network, compiled for each instruction set and chosen at run time.

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{Line, Plain};
use super::product::{product_any, Product};
use super::winograd::{conv_any, ConvJob};

/// The instructions that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// All that this machine has, the best one last.
    pub fn available() -> Vec<Isa> {
        #[allow(unused_mut, reason = "on other processors there is one")]
        let mut found = vec![Isa::Plain];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Isa::Avx2);
            }
            if is_x86_feature_detected!("avx512f") {
                found.push(Isa::Avx512);
            }
        }
        found
    }

    pub fn best() -> Isa {
        Isa::available().pop().unwrap_or(Isa::Plain)
    }
}

/// Makes the entry points of the kernels for one instruction set.
macro_rules! entry_points {
    ($module:ident, $lanes:ty $(, $feature:literal)?) => {
        mod $module {
            use super::*;
            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn conv(job: &ConvJob, tiles: Range<usize>, scratch: &mut [Line]) {
                conv_any::<$lanes>(job, tiles, scratch);
            }
            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn product(product: &Product) {
                product_any::<$lanes>(product);
            }
        }
    };
}

entry_points!(plain, Plain);
#[cfg(target_arch = "x86_64")]
entry_points!(avx2, Avx2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
entry_points!(avx512, Avx512, "avx512f");

/// Calls the entry point of an instruction set, which the processor has because [`Isa::available`]
/// said so.
macro_rules! dispatch {
    ($isa:expr, $($call:tt)*) => {
        match $isa {
            Isa::Plain => plain::$($call)*,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::$($call)*,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::$($call)*,
        }
    };
}

/// Computes some tiles of a convolution.
///
/// # Safety
/// As [`conv_any`], but for the instructions.
pub(super) unsafe fn conv(isa: Isa, job: &ConvJob, tiles: Range<usize>, scratch: &mut [Line]) {
    dispatch!(isa, conv(job, tiles, scratch));
}

/// Computes a matrix product.
///
/// # Safety
/// As [`product_any`], but for the instructions.
pub(super) unsafe fn product(isa: Isa, job: &Product) {
    dispatch!(isa, product(job));
}
