//! The engines that predict: [`autonomous_engine`], [`segment_aware`] and [`regional_engine`], and what
//! they stand on.
//!
//! Most files have a twin of the same name in `helicopter/backends/reference/`, which is the law.

pub mod autonomous_engine;
pub mod autonomous_run;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod online_scale;
pub mod patches;
pub mod regional_engine;
pub mod scores;
pub mod segment_aware;
pub mod strategies;
pub mod uncertainty;
