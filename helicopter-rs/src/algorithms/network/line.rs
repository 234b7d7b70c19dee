//! Channels come in blocks of sixteen, so that the same code serves every processor.

/// Floats in a vector, and channels in a block.
pub(super) const WIDTH: usize = 16;

/// A vector as it lies in memory: a whole cache line.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Line(pub [f32; WIDTH]);

impl Line {
    pub const ZERO: Line = Line([0.0; WIDTH]);
}
