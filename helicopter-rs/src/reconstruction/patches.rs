//! The patch grid: which pixels belong to which patch, and sums over patches.

use std::ops::Range;

use ndarray::{s, Array2, ArrayView2};

/// Square patches of side `size` over an image; those at the far borders may be smaller.
#[derive(Clone, Copy, Debug)]
pub struct PatchGrid {
    /// Of the image.
    pub height: usize,
    /// Of the image.
    pub width: usize,
    /// Side of a patch.
    pub size: usize,
}

/// Rows and columns of a rectangle.
pub type Rectangle = (Range<usize>, Range<usize>);

impl PatchGrid {
    /// Rows of patches.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.height.div_ceil(self.size)
    }

    /// Columns of patches.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.width.div_ceil(self.size)
    }

    /// Number of patches.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows() * self.cols()
    }

    /// Rows and columns of the pixels of `patch`.
    #[must_use]
    pub fn rectangle(&self, patch: usize) -> Rectangle {
        let (top, left) = self.corner(patch);
        (
            top..top.saturating_add(self.size).min(self.height),
            left..left.saturating_add(self.size).min(self.width),
        )
    }

    /// Rows and columns of the window of `side` pixels around `patch`, cut at the border.
    #[must_use]
    pub fn window(&self, patch: usize, side: usize) -> Rectangle {
        let margin = (side - self.size) / 2;
        let (top, left) = self.corner(patch);
        let cut = |from: usize, end: usize| {
            from.saturating_sub(margin)..from.saturating_add(side).saturating_sub(margin).min(end)
        };
        (cut(top, self.height), cut(left, self.width))
    }

    fn corner(&self, patch: usize) -> (usize, usize) {
        (patch / self.cols() * self.size, patch % self.cols() * self.size)
    }

    /// Sums an integer of every pixel over each patch.
    pub fn sums<T: Copy>(&self, values: ArrayView2<T>, integer: impl Fn(T) -> i64) -> Vec<i64> {
        (0..self.count())
            .map(|patch| {
                let (rows, cols) = self.rectangle(patch);
                values.slice(s![rows, cols]).iter().map(|&value| integer(value)).sum()
            })
            .collect()
    }

    /// Gives every pixel the value of its patch.
    pub fn pixels<T: Copy>(&self, values: &[T]) -> Array2<T> {
        Array2::from_shape_fn((self.height, self.width), |(y, x)| {
            values[y / self.size * self.cols() + x / self.size]
        })
    }
}
