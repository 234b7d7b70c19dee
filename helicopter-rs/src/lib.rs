//! The Rust accelerator of Helicopter: the same results as its Python backend, sooner.
//!
//! The map of the crate, from the ground up:
//!
//! * [`error`]: one enum that speaks: operation, argument, expected, got;
//! * [`par`]: the one door to rayon: thread pools that belong to one process and survive a fork;
//! * [`memory`]: what is large is asked for, and what operations take;
//! * [`host`]: what the core may ask of its caller: stop? how far? what does your kernel predict?
//! * [`utils`]: what several parts need: seeded ranks, code for each instruction set, arrays;
//! * [`algorithms`]: what predicts: the two equations, the network, exemplars;
//! * [`segmentation`]: an image divided into connected pieces that follow its content;
//! * [`reconstruction`]: the engines that predict, and what they stand on;
//! * [`analysis`]: the engines that analyse, and what they stand on;
//! * [`python`]: the only folder that knows Python (feature `python`): module, crossing, conversion.
//!
//! Everything outside [`python`] is plain Rust on array views and returns [`error::Result`].

#[cfg(test)]
extern crate self as helicopter_rs; // as the tests of `tests/` call it, whose helpers are used within

pub mod algorithms;
pub mod analysis;
pub mod error;
pub mod host;
pub mod memory;
pub mod par;
#[cfg(feature = "python")]
pub mod python;
pub mod reconstruction;
pub mod segmentation;
pub mod utils;
