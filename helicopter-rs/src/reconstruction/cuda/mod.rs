//! The autonomous loop, its measures and segments on a GPU.
//!
//! The image goes there once and the results come back once. In between the host decides, as it does
//! for its own pixels and with the same code, and is told of each step no more than what its decisions
//! are made of: an integer for each patch (priorities) and six sums for each patch of the batch. A
//! closed book that is predicted once needs neither: the sums of all patches are taken in one go.

mod device;
mod pixels;
mod run;
mod scores;
mod segments;
#[cfg(test)]
mod tests;

pub use device::{Device, Fallback, Predict};
pub use run::{run, run_on, DeviceRun};
pub use scores::{score, score_of};
pub use segments::{run as run_segments, DeviceSegments};
