//! The same code for processors with wide registers and for all others.

/// Something to do. A type and not a closure, since what is compiled for AVX2 is only what dissolves
/// in the function that has the feature, and nothing can force a closure to.
pub trait Work {
    /// What it gives.
    type Result;
    /// Does it. Wants `#[inline(always)]`, like all that it calls in its loops.
    fn run(self) -> Self::Result;
}

/// Runs `work`, compiled for AVX2 where the processor has it. Nothing is fused or reordered by that:
/// the results are the same bits.
#[inline(always)]
pub fn wide<W: Work>(work: W) -> W::Result {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("popcnt")
    {
        #[target_feature(enable = "avx2,bmi1,popcnt")]
        fn on_avx2<W: Work>(work: W) -> W::Result {
            work.run()
        }
        // SAFETY: the processor has just been found to have these instructions.
        return unsafe { on_avx2(work) };
    }
    work.run()
}
