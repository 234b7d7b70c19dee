//! One source for every instruction set: compiled for each of them, chosen at run time.
//!
//! Work that gains from wide registers is a [`Kernel`]. Its loops over plain numbers give the same
//! bits on every instruction set, for Rust fuses no product with a sum. Only the vectors' own
//! [`Vector::plus`] and [`Vector::minus`] do, where the processor can: AVX2 and AVX-512 then agree to
//! the bit, and the other processors' results differ from theirs by rounding.

use std::sync::LazyLock;

mod portable;
mod vector;
#[cfg(target_arch = "x86_64")]
pub mod x86;

use portable::Array;
pub use vector::{F32x8, F64s, Vector};

/// The instruction sets that code is compiled for, each with all that the ones before have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What every processor can do; the compiler makes SSE2 or NEON of it.
    Plain,
    /// AVX2 with FMA, BMI1 and POPCNT.
    Avx2,
    /// AVX-512F.
    Avx512,
}

impl Isa {
    /// The best that this processor has.
    #[inline]
    pub fn best() -> Isa {
        static BEST: LazyLock<Isa> = LazyLock::new(|| {
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("popcnt")
            {
                return if is_x86_feature_detected!("avx512f") { Isa::Avx512 } else { Isa::Avx2 };
            }
            Isa::Plain
        });
        *BEST
    }

    /// All that this processor has.
    #[cfg(test)]
    pub fn available() -> impl Iterator<Item = Isa> {
        [Isa::Plain, Isa::Avx2, Isa::Avx512].into_iter().filter(|&isa| isa <= Isa::best())
    }

    /// Does the work of a kernel with these instructions, which the processor must have.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        assert!(self <= Isa::best(), "this processor has no {self:?}");
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2,fma,bmi1,popcnt")]
            fn avx2<K: Kernel>(kernel: K) -> K::Output {
                kernel.run::<x86::Avx2>()
            }
            #[target_feature(enable = "avx512f")]
            fn avx512<K: Kernel>(kernel: K) -> K::Output {
                kernel.run::<x86::Avx512>()
            }
            if K::AVX512 && self == Isa::Avx512 {
                debug_assert!(std::arch::is_x86_feature_detected!("avx512f"));
                // SAFETY: the processor has just been found to have these instructions.
                return unsafe { avx512(kernel) };
            }
            if self >= Isa::Avx2 {
                debug_assert!(std::arch::is_x86_feature_detected!("fma"));
                // SAFETY: as above.
                return unsafe { avx2(kernel) };
            }
        }
        kernel.run::<Plain>()
    }
}

/// Does the work of a kernel with the best instructions that this processor has.
#[inline]
pub fn run<K: Kernel>(kernel: K) -> K::Output {
    Isa::best().run(kernel)
}

/// Something to do. A type and not a closure, since what is compiled for an instruction set is only
/// what dissolves in the function that has the feature, and nothing can force a closure to.
pub trait Kernel {
    /// What it gives.
    type Output;
    /// Whether there shall be a version for AVX-512. Loops that wait for memory gain nothing by it.
    const AVX512: bool = false;
    /// Does it. Must be `#[inline(always)]`, like all that it calls in its loops.
    fn run<S: Simd>(self) -> Self::Output;
}

/// The vectors of an instruction set. Where the processor lacks it there are none, since nothing but
/// [`Isa::run`] and `kernel!` names the types: that is what makes their operations safe.
pub trait Simd {
    /// The instruction set.
    const ISA: Isa;
    /// Eight floats.
    type F32x8: F32x8;
    /// Sixteen floats: one register of AVX-512, two of AVX, four of SSE or NEON.
    type F32x16: Vector<Float = f32>;
    /// As many doubles as a register holds.
    type F64s: F64s;
}

/// What every processor can do.
pub struct Plain;

impl Simd for Plain {
    const ISA: Isa = Isa::Plain;
    type F32x8 = Array<f32, 8>;
    type F32x16 = Array<f32, 16>;
    type F64s = Array<f64, 4>;
}

/// Declares a function that is compiled for AVX2 too, and called so where the processor has it; in its
/// body, `S` is the [`Simd`]. Unlike the fields of a [`Kernel`], references that are arguments are known
/// not to overlap, without which some loops do not become vector instructions.
macro_rules! kernel {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<S>($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block
    ) => {
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            #[allow(clippy::extra_unused_type_parameters, reason = "plain loops need none")]
            fn plain<S: $crate::utils::simd::Simd>($($arg: $type),*) $(-> $out)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,bmi1,popcnt")]
                fn avx2($($arg: $type),*) $(-> $out)? {
                    plain::<$crate::utils::simd::x86::Avx2>($($arg),*)
                }
                if $crate::utils::simd::Isa::best() >= $crate::utils::simd::Isa::Avx2 {
                    // SAFETY: the processor has these instructions.
                    return unsafe { avx2($($arg),*) };
                }
            }
            plain::<$crate::utils::simd::Plain>($($arg),*)
        }
    };
}
pub(crate) use kernel;

#[cfg(test)]
mod tests;
