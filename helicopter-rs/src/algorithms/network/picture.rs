//! The image that is corrected: reading features from it, writing pixels into it.

use std::ops::Range;

use rayon::prelude::*;

use super::calibration::Calibration;
use super::line::{Line, WIDTH};
use super::rows::RowsMut;
use super::weights::{COLOURS, SUBPIXELS};

/// Image, mask and sigma, row by row, and what the image was like where it has been corrected already.
pub(super) struct Picture<'a> {
    pub image: &'a mut [f32],
    pub mask: &'a [bool],
    pub sigma: &'a mut [f32],
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// Columns to the left of those that are now corrected, as they were before.
    pub before: Columns,
    /// The pixels that are corrected now.
    pub rows: Range<usize>,
    pub cols: Range<usize>,
}

/// A copy of some columns of an image.
#[derive(Default)]
pub(super) struct Columns {
    pub cols: Range<usize>,
    pub values: Vec<f32>,
}

impl Picture<'_> {
    /// A copy of some columns.
    pub fn copy(&self, cols: Range<usize>) -> Columns {
        let (from, to) = (cols.start * self.channels, cols.end * self.channels);
        let rows = self.image.chunks(self.width * self.channels);
        Columns { values: rows.flat_map(|row| &row[from..to]).copied().collect(), cols }
    }

    /// Pixels as they were before any correction.
    fn pixel(&self, y: usize, x: usize) -> &[f32] {
        let (source, at) = if self.before.cols.contains(&x) {
            let cols = &self.before.cols;
            (&self.before.values[..], y * cols.len() + x - cols.start)
        } else {
            (&*self.image, y * self.width + x)
        };
        &source[at * self.channels..][..self.channels]
    }

    /// Writes the features of one row of positions: of each of five kinds, 2 x 2 pixels.
    ///
    /// # Safety
    /// `to` has the row and the columns, and nobody else looks at them.
    pub unsafe fn features(&self, row: usize, cols: &Range<usize>, to: RowsMut) {
        const BLOCKS: usize = 2;
        for col in cols.clone() {
            let mut lines = [Line::ZERO; BLOCKS];
            let mut set = |feature: usize, value: f32| {
                lines[feature / WIDTH].0[feature % WIDTH] = value;
            };
            for sub in 0..SUBPIXELS {
                let (y, x) = (2 * row + sub / 2, 2 * col + sub % 2);
                if y >= self.height || x >= self.width {
                    continue; // beyond the image everything is zero
                }
                let pixel = self.pixel(y, x);
                for colour in 0..COLOURS {
                    let value = pixel[colour.min(self.channels - 1)];
                    set(colour * SUBPIXELS + sub, 2.0 * value - 1.0);
                }
                let hidden = f32::from(u8::from(self.mask[y * self.width + x]));
                set(COLOURS * SUBPIXELS + sub, hidden);
                set((COLOURS + 1) * SUBPIXELS + sub, 1.0);
            }
            let from = lines.as_ptr().cast::<f32>();
            to.pixel(row, col).copy_from_nonoverlapping(from, BLOCKS * WIDTH);
        }
    }

    /// Rows of positions with the one or two rows of pixels that each covers.
    pub fn row_pairs(
        &mut self,
        rows: Range<usize>,
    ) -> impl ParallelIterator<Item = (usize, RowPair<'_>)> {
        let (width, channels) = (self.width, self.channels);
        let pixels = 2 * rows.start * width..(2 * rows.end).min(self.height) * width;
        let image = &mut self.image[pixels.start * channels..pixels.end * channels];
        let (first, rows_here, cols) = (rows.start, self.rows.clone(), self.cols.clone());
        image
            .par_chunks_mut(2 * width * channels)
            .zip(self.sigma[pixels.clone()].par_chunks_mut(2 * width))
            .zip(self.mask[pixels].par_chunks(2 * width))
            .enumerate()
            .map(move |(index, ((image, sigma), mask))| {
                let row = first + index;
                // all rows that are corrected now lie in the plan, but a pair may reach beyond
                let rows = rows_here.start.saturating_sub(2 * row)
                    ..rows_here.end.saturating_sub(2 * row).min(sigma.len() / width);
                (row, RowPair { image, sigma, mask, width, channels, rows, cols: cols.clone() })
            })
    }
}

/// One or two rows of pixels.
pub(super) struct RowPair<'a> {
    image: &'a mut [f32],
    sigma: &'a mut [f32],
    mask: &'a [bool],
    width: usize,
    channels: usize,
    rows: Range<usize>,
    cols: Range<usize>,
}

impl RowPair<'_> {
    /// The pixels of some columns of positions.
    fn cols(&self, positions: &Range<usize>) -> Range<usize> {
        (2 * positions.start).max(self.cols.start)..(2 * positions.end).min(self.cols.end)
    }

    pub fn any_hidden(&self, positions: &Range<usize>) -> bool {
        let cols = self.cols(positions);
        self.rows.clone().any(|dy| self.mask[dy * self.width..][cols.clone()].contains(&true))
    }

    /// Corrects the hidden pixels, and says how sure they are. Corrections are dealt to pixels as
    /// features are gathered from them; `outputs` has these and the scales, for each position.
    pub fn correct<'b>(
        &mut self,
        positions: &Range<usize>,
        outputs: impl Iterator<Item = (&'b [f32], &'b Line)>,
        calibration: &Calibration,
    ) {
        let cols = self.cols(positions);
        for (position, (corrections, scales)) in positions.clone().zip(outputs) {
            for sub in 0..SUBPIXELS {
                let (dy, x) = (sub / 2, 2 * position + sub % 2);
                let at = dy * self.width + x;
                if !self.rows.contains(&dy) || !cols.contains(&x) || !self.mask[at] {
                    continue;
                }
                self.sigma[at] = calibration.sigma(scales.0[sub]);
                let pixel = &mut self.image[at * self.channels..][..self.channels];
                let of = |colour: usize| corrections[colour * SUBPIXELS + sub];
                if let [grey] = pixel {
                    let mean = (of(0) + of(1) + of(2)) / COLOURS as f32;
                    *grey = (*grey + mean).clamp(0.0, 1.0);
                } else {
                    for (colour, value) in pixel.iter_mut().enumerate() {
                        *value = (*value + of(colour)).clamp(0.0, 1.0);
                    }
                }
            }
        }
    }
}
