//! Where something is hidden, in parts that are corrected one after the other.
//!
//! A part is computed from more than itself: from what lies within the halo around it. So that this
//! is not yet corrected, parts lie further apart than the halo, but for those that were cut from each
//! other by a line from top to bottom; for these, some columns are kept as they were.

use std::ops::Range;

use super::forward::Pass;
use super::picture::{Columns, Picture};
use super::schedule::Plan;
use super::Network;
use crate::error::Result;
use crate::host::Host;

/// Columns corrected in one go: memory grows with this, not with the image.
pub(super) const MOST_COLS: usize = 8192;

/// Rows and columns of a rectangle.
pub(super) type Part = (Range<usize>, Range<usize>);
/// Says which parts of a strip of columns are to be corrected, given the mask.
pub(super) type Parts<'a> = &'a dyn Fn(&[bool], &Range<usize>) -> Vec<Part>;

impl Network {
    /// Corrects all hidden pixels of an image.
    pub(super) fn correct_all(
        &self,
        (image, mask): (&mut [f32], &[bool]),
        sigma: &mut [f32],
        size: (usize, usize, usize),
        host: &dyn Host,
    ) -> Result<()> {
        let halo = self.graph.halo();
        let parts = |mask: &[bool], strip: &Range<usize>| parts(mask, size.1, strip, halo);
        self.correct_parts((image, mask), sigma, size, &parts, host)
    }

    /// Corrects the hidden pixels of the parts that `parts` finds in a strip of columns.
    pub(super) fn correct_parts(
        &self,
        (image, mask): (&mut [f32], &[bool]),
        sigma: &mut [f32],
        (height, width, channels): (usize, usize, usize),
        parts: Parts,
        host: &dyn Host,
    ) -> Result<()> {
        let before = Columns::default();
        let (rows, cols) = (0..0, 0..0);
        let mut picture =
            Picture { image, mask, sigma, height, width, channels, before, rows, cols };
        let halo = self.graph.halo();
        let strips = width.div_ceil(self.most_cols.max(halo)).max(1);
        let step = width.div_ceil(strips).max(halo);
        for start in (0..width).step_by(step) {
            let strip = start..(start + step).min(width);
            let kept = if strip.end < width {
                picture.copy(strip.end - halo..strip.end)
            } else {
                Columns::default()
            };
            for (rows, cols) in parts(mask, &strip) {
                let threads = rayon::current_num_threads();
                let plan = Plan::new(&self.graph, (height, width), &rows, &cols, threads);
                (picture.rows, picture.cols) = (rows, cols);
                let (graph, calibration, isa) = (&self.graph, &self.calibration, self.isa);
                let memory = &self.memory;
                let pass = Pass { graph, calibration, plan: &plan, isa, memory, host };
                pass.run(&mut picture)?;
            }
            picture.before = kept;
        }
        Ok(())
    }
}

/// The rectangles around what is hidden in a strip of columns, at least two halos apart.
fn parts(mask: &[bool], width: usize, strip: &Range<usize>, halo: usize) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (y, row) in mask.chunks(width).enumerate() {
        let row = &row[strip.clone()];
        let Some(first) = row.iter().position(|&hidden| hidden) else { continue };
        let last = row.iter().rposition(|&hidden| hidden).unwrap_or(first);
        let (first, end) = (strip.start + first, strip.start + last + 1);
        match parts.last_mut() {
            Some((rows, cols)) if y < rows.end + 2 * halo => {
                rows.end = y + 1;
                *cols = cols.start.min(first)..cols.end.max(end);
            }
            _ => parts.push((y..y + 1, first..end)),
        }
    }
    parts
}
