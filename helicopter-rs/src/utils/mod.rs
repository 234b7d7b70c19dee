//! What has nothing to do with images.

pub mod simd;
