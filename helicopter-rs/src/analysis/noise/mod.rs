//! What the noise detector stands on, from the ground up:
//!
//! * `cosines`: the cosine transform of blocks, and its bands;
//! * `masks`: how many pixels count;
//! * `picture`, `rows`: the pixels, and how a strip of them is laid out;
//! * `blocks`: what each block testifies;
//! * `calmest`: what those with the least content say;
//! * `learnt`: the small networks that weigh and conclude;
//! * `sums`: how much each block counts, and sums by that;
//! * `witnesses`: all testimony together, as features;
//! * `level_map`: the testimony of each neighbourhood;
//! * `impulses`, `periodic`, `compression`: the other kinds of noise;
//! * `answers`: what the networks' outputs mean.

pub(super) mod answers;
pub(super) mod blocks;
mod calmest;
pub mod compression;
mod cosines;
pub mod impulses;
pub mod learnt;
pub(super) mod level_map;
pub(super) mod masks;
pub mod periodic;
pub(super) mod picture;
mod rows;
mod sums;
pub(super) mod witnesses;
