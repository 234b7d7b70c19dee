//! The pixels that blocks are cut from: the image, and copies of half its size.

use ndarray::{ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use crate::utils::simd::{kernel, F32x8};

/// Rows of a copy that one task makes.
const STRIP: usize = 8;

/// Pixels as levels: 0 is black, 255 the brightest pixel.
pub(in crate::analysis) enum Picture<'a> {
    /// On the [0, 1] scale, interleaved, and what to multiply by.
    Given { pixels: ArrayView3<'a, f32>, included: Option<ArrayView2<'a, bool>>, unit: f32 },
    /// Levels, a row of each channel after the other.
    Made { dim: (usize, usize, usize), values: Vec<f32>, included: Option<Vec<bool>> },
}

impl Picture<'_> {
    /// Height, width, channels.
    pub fn dim(&self) -> (usize, usize, usize) {
        match self {
            Picture::Given { pixels, .. } => pixels.dim(),
            Picture::Made { dim, .. } => *dim,
        }
    }

    /// Copies the first `count` values of a row of each channel.
    #[inline(always)]
    pub fn read_row(&self, y: usize, count: usize, out: &mut [Vec<f32>]) {
        match self {
            Picture::Given { pixels, unit, .. } => {
                let row = pixels.index_axis(Axis(0), y);
                match (row.as_slice(), &mut *out) {
                    (Some(row), [only]) => {
                        let (row, only) = (&row[..count], &mut only[..count]);
                        for x in 0..count {
                            only[x] = row[x] * unit;
                        }
                    }
                    (Some(row), [red, green, blue]) => {
                        let row = &row[..3 * count];
                        let (red, green, blue) =
                            (&mut red[..count], &mut green[..count], &mut blue[..count]);
                        for x in 0..count {
                            red[x] = row[3 * x] * unit;
                            green[x] = row[3 * x + 1] * unit;
                            blue[x] = row[3 * x + 2] * unit;
                        }
                    }
                    (_, channels) => {
                        for (channel, out) in channels.iter_mut().enumerate() {
                            for (out, &pixel) in out[..count].iter_mut().zip(row.column(channel)) {
                                *out = pixel * unit;
                            }
                        }
                    }
                }
            }
            Picture::Made { dim: (_, width, channels), values, .. } => {
                for (channel, out) in out.iter_mut().enumerate() {
                    let from = (y * channels + channel) * width;
                    out[..count].copy_from_slice(&values[from..from + count]);
                }
            }
        }
    }

    /// Whether any pixel is excluded.
    pub fn has_excluded(&self) -> bool {
        match self {
            Picture::Given { included, .. } => included.is_some(),
            Picture::Made { included, .. } => included.is_some(),
        }
    }

    pub fn included(&self, y: usize, x: usize) -> bool {
        match self {
            Picture::Given { included, .. } => included.is_none_or(|map| map[(y, x)]),
            Picture::Made { dim, included, .. } => {
                included.as_ref().is_none_or(|map| map[y * dim.1 + x])
            }
        }
    }

    /// Means of squares of 2 x 2 pixels.
    pub fn halved(&self) -> Picture<'static> {
        let (height, width, channels) = self.dim();
        let (rows, columns) = (height / 2, width / 2);
        let mut values = vec![0.0; rows * channels * columns];
        values
            .par_chunks_mut(channels * columns * STRIP)
            .enumerate()
            .for_each(|(strip, out)| halve_rows(self, strip * STRIP, out));
        let included = self.has_excluded().then(|| {
            let mut included = vec![true; rows * columns];
            included.par_chunks_mut(columns).enumerate().for_each(|(y, out)| {
                for (x, out) in out.iter_mut().enumerate() {
                    let inside = |dy, dx| self.included(2 * y + dy, 2 * x + dx);
                    *out = inside(0, 0) && inside(0, 1) && inside(1, 0) && inside(1, 1);
                }
            });
            included
        });
        Picture::Made { dim: (rows, columns, channels), values, included }
    }
}

kernel! {
    fn halve_rows<S>(picture: &Picture<'_>, first: usize, out: &mut [f32]) {
        halve_rows_at::<S::F32x8>(picture, first, out);
    }
}

/// Rows of the halved picture from `first` on.
#[inline(always)]
fn halve_rows_at<V: F32x8>(picture: &Picture<'_>, first: usize, out: &mut [f32]) {
    let (_, width, channels) = picture.dim();
    let columns = width / 2;
    let (mut even, mut odd) =
        (vec![vec![0.0; 2 * columns]; channels], vec![vec![0.0; 2 * columns]; channels]);
    for (y, out) in out.chunks_exact_mut(channels * columns).enumerate() {
        picture.read_row(2 * (first + y), 2 * columns, &mut even);
        picture.read_row(2 * (first + y) + 1, 2 * columns, &mut odd);
        for (channel, out) in out.chunks_exact_mut(columns).enumerate() {
            let (even, odd) = (&even[channel][..2 * columns], &odd[channel][..2 * columns]);
            for x in 0..columns {
                out[x] = (even[2 * x] + even[2 * x + 1] + odd[2 * x] + odd[2 * x + 1]) * 0.25;
            }
        }
    }
}
