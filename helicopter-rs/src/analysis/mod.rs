//! The engines that analyse: noise.

pub mod noise;
pub mod zengeza_detector;
