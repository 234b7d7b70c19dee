//! What the noise detector stands on, from the ground up:
//!
//! * `cosines`: the cosine transform of blocks, and its bands;
//! * `masks`: how many pixels count;
//! * `picture`, `rows`: the pixels, and how a strip of them is laid out;
//! * `blocks`: what is measured of each block;
//! * `low_detail`: the energies of those with the least detail;
//! * `learnt`: the small networks that weigh and conclude;
//! * `sums`: how much each block counts, and sums by that;
//! * `block_features`: the features that are made of them;
//! * `level_map`: the level in each neighbourhood;
//! * `impulses`, `periodic`, `compression`: the other kinds of noise;
//! * `answers`: what the networks' outputs mean.

pub(super) mod answers;
pub(super) mod block_features;
pub(super) mod blocks;
pub mod compression;
mod cosines;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod impulses;
pub mod learnt;
pub(super) mod level_map;
mod low_detail;
pub(super) mod masks;
pub mod periodic;
pub(super) mod picture;
mod rows;
mod sums;
