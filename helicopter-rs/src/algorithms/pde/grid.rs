//! The finest level of the multigrid solver: one component on a dense grid, one channel at a time.
//!
//! Vectors are arrays over the component's rectangle with [`PAD`] free cells on every side, zero wherever
//! there is no unknown. Then the matrix needs no list of neighbours: it is the constant stencil applied
//! to the array, corrected at the border of the image.

use rayon::prelude::*;

use super::components::Component;
use super::stencil::{Kind, Operator};
use crate::error::Result;
use crate::memory::zeroed;

/// Free cells around every array.
pub(super) const PAD: usize = 2;

/// Rows one task handles.
const BAND: usize = 32;

/// One component's rectangle.
pub(super) struct Grid {
    pub operator: Operator,
    /// Size without the padding.
    pub height: usize,
    pub width: usize,
    /// Image position of the first cell, padding included.
    top: i32,
    left: i32,
    /// 1 for unknowns, padded like the vectors.
    pub active: Vec<u8>,
}

impl Grid {
    pub fn new(operator: Operator, component: &Component) -> Result<Grid> {
        let (height, width) = (component.height(), component.width());
        let stride = width + 2 * PAD;
        let mut active = zeroed::<u8>(stride * (height + 2 * PAD))?;
        for run in &component.runs {
            let from = ((run.y - component.top) as usize + PAD) * stride
                + (run.from - component.left) as usize
                + PAD;
            active[from..from + (run.to - run.from) as usize].fill(1);
        }
        let pad = PAD as i32;
        Ok(Grid {
            operator,
            height,
            width,
            top: component.top as i32 - pad,
            left: component.left as i32 - pad,
            active,
        })
    }

    pub fn stride(&self) -> usize {
        self.width + 2 * PAD
    }

    pub fn len(&self) -> usize {
        self.stride() * (self.height + 2 * PAD)
    }

    /// Place of an image pixel in the arrays.
    pub fn cell(&self, component: &Component, y: u32, x: u32) -> usize {
        ((y - component.top) as usize + PAD) * self.stride() + (x - component.left) as usize + PAD
    }

    /// Image position of a padded cell.
    pub fn place(&self, row: usize, column: usize) -> (i32, i32) {
        (self.top + row as i32, self.left + column as i32)
    }

    /// `out[i] = write(i, (A z)[i])` for the unknowns, 0 elsewhere.
    pub fn apply(&self, z: &[f64], out: &mut [f64], write: impl Fn(usize, f64) -> f64 + Sync) {
        let stride = self.stride();
        let inside = &mut out[PAD * stride..(PAD + self.height) * stride];
        inside.par_chunks_mut(BAND * stride).enumerate().for_each(|(band, rows)| {
            let first = PAD + band * BAND;
            let mut plane = [vec![0.0; stride], vec![0.0; stride], vec![0.0; stride]];
            let mut result = vec![0.0; stride];
            if self.operator.kind == Kind::Biharmonic {
                self.laplacian_row(z, first - 1, &mut plane[1]);
                self.laplacian_row(z, first, &mut plane[2]);
            }
            for (number, out) in rows.chunks_exact_mut(stride).enumerate() {
                let row = first + number;
                match self.operator.kind {
                    Kind::Harmonic => self.laplacian_row(z, row, &mut result),
                    Kind::Biharmonic => {
                        plane.rotate_left(1);
                        let [above, here, below] = &mut plane;
                        self.laplacian_row(z, row + 1, below);
                        self.laplacian_of(above, here, below, row, &mut result);
                    }
                }
                let active = &self.active[row * stride..(row + 1) * stride];
                for (column, (out, (&value, &active))) in
                    out.iter_mut().zip(result.iter().zip(active)).enumerate()
                {
                    let value = write(row * stride + column, value);
                    *out = if active == 0 { 0.0 } else { value };
                }
            }
        });
    }

    fn laplacian_row(&self, z: &[f64], row: usize, out: &mut [f64]) {
        let stride = self.stride();
        let line = |row: usize| &z[row * stride..(row + 1) * stride];
        self.laplacian_of(line(row - 1), line(row), line(row + 1), row, out);
    }

    /// One row of the Laplacian of the image, given the rows above, here and below; 0 outside the image.
    fn laplacian_of(
        &self,
        above: &[f64],
        here: &[f64],
        below: &[f64],
        row: usize,
        out: &mut [f64],
    ) {
        let y = self.top + row as i32;
        if y < 0 || y >= self.operator.height {
            out.fill(0.0);
            return;
        }
        let missing = i32::from(y == 0) + i32::from(y + 1 == self.operator.height);
        let degree = f64::from(4 - missing);
        let n = here.len();
        let (above, below, out) = (&above[..n], &below[..n], &mut out[..n]);
        for column in 1..n - 1 {
            out[column] = degree * here[column]
                - above[column]
                - below[column]
                - here[column - 1]
                - here[column + 1];
        }
        out[0] = 0.0;
        out[n - 1] = 0.0;
        for edge in [0, self.operator.width - 1] {
            if let Some(column) =
                usize::try_from(edge - self.left).ok().filter(|&column| column < n)
            {
                out[column] -= here[column];
            }
        }
        for (column, out) in out.iter_mut().enumerate().take(PAD) {
            if self.left + (column as i32) < 0 {
                *out = 0.0;
            }
        }
        for (column, out) in out.iter_mut().enumerate().skip(n - PAD) {
            if self.left + column as i32 >= self.operator.width {
                *out = 0.0;
            }
        }
    }
}

/// A number for every row of an array, in parallel, in the rows' order.
pub(super) fn by_rows(
    stride: usize,
    rows: usize,
    value: impl Fn(std::ops::Range<usize>) -> f64 + Sync,
) -> Vec<f64> {
    (0..rows)
        .into_par_iter()
        .with_min_len(BAND)
        .map(|row| value(row * stride..(row + 1) * stride))
        .collect()
}

/// Scalar product; the rows' sums are added in their order, so the result does not depend on threads.
pub(super) fn dot(a: &[f64], b: &[f64], stride: usize) -> f64 {
    by_rows(stride, a.len() / stride, |row| {
        a[row.clone()].iter().zip(&b[row]).map(|(a, b)| a * b).sum()
    })
    .iter()
    .sum()
}

/// Largest absolute value; infinite if any is not a number.
pub(super) fn largest(a: &[f64], stride: usize) -> f64 {
    let larger = |largest: f64, value: f64| {
        if value.is_nan() {
            f64::INFINITY
        } else {
            largest.max(value.abs())
        }
    };
    by_rows(stride, a.len() / stride, |row| a[row].iter().copied().fold(0.0, larger))
        .into_iter()
        .fold(0.0, larger)
}

/// `a[i] = write(i, a[i])` in parallel.
pub(super) fn update(a: &mut [f64], stride: usize, write: impl Fn(usize, f64) -> f64 + Sync) {
    a.par_chunks_mut(BAND * stride).enumerate().for_each(|(band, rows)| {
        for (i, value) in rows.iter_mut().enumerate() {
            *value = write(band * BAND * stride + i, *value);
        }
    });
}
