//! The same code for processors with wide registers and for all others.

/// Runs `work`, compiled for AVX2 where the processor has it. Nothing is fused or reordered by that:
/// the results are the same bits.
#[inline(always)]
pub fn wide<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") {
        #[target_feature(enable = "avx2,bmi1,popcnt")]
        fn on_avx2<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: the processor has just been found to have these instructions, and popcnt with them.
        return unsafe { on_avx2(work) };
    }
    work()
}
