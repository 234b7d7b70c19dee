//! Coarse levels of the multigrid solver and the transfer between levels.
//!
//! Interpolation is that of quadratic B-splines on cells, weights (1, 3, 3, 1)/4 in either direction. They
//! are continuously differentiable, so a coarse function keeps its bending energy on the fine grid; with
//! bilinear interpolation its kinks would make every coarser biharmonic matrix twice too stiff. Coarse
//! matrices are the Galerkin products `P^T A P` with `P` zeroed at visible pixels (Trottenberg, Oosterlee
//! & Schueller 2001), and 5 x 5 stencils stay 5 x 5. Equal rows are stored once: inside a hole all are.

use std::collections::HashMap;

use rayon::prelude::*;

use super::grid::{Grid, PAD};
use super::stencil::Kind;
use crate::error::Result;
use crate::host::Host;
use crate::memory::zeroed;

/// Weights of the interpolation; coarse cell `J` covers the fine cells `2 J - 3 ..= 2 J`.
const WEIGHTS: [f64; 4] = [0.25, 0.75, 0.75, 0.25];
const BAND: usize = 32;

/// One row of a matrix: the 5 x 5 stencil around its cell.
#[derive(Clone)]
pub(super) struct Row {
    pub entries: [f64; 25],
    /// Inverse of the sum of the absolute entries: scales the matrix to eigenvalues of at most 1.
    scale: f64,
}

/// A matrix on a padded grid: the number of the row of every cell, 0 where there is no unknown.
pub(super) struct Stencils {
    pub height: usize,
    pub width: usize,
    pub number: Vec<u32>,
    pub rows: Vec<Row>,
}

impl Stencils {
    pub fn stride(&self) -> usize {
        self.width + 2 * PAD
    }

    pub fn unknowns(&self) -> usize {
        self.number.iter().filter(|&&number| number != 0).count()
    }

    /// The finest matrix, only needed to derive the next from it.
    pub fn finest(grid: &Grid, host: &dyn Host) -> Result<Stencils> {
        let stride = grid.stride();
        let mut stencils = Stencils {
            height: grid.height,
            width: grid.width,
            number: zeroed(grid.len())?,
            rows: vec![Row { entries: [0.0; 25], scale: 0.0 }],
        };
        let operator = grid.operator;
        let mut known: HashMap<u32, u32> = HashMap::new();
        let mut last = (u32::MAX, 0);
        for row in PAD..PAD + grid.height {
            host.check()?;
            for column in PAD..PAD + grid.width {
                let cell = row * stride + column;
                if grid.active[cell] == 0 {
                    continue;
                }
                let (y, x) = grid.place(row, column);
                let near = |distance: i32| distance.min(PAD as i32) as u32;
                let mut key = near(y)
                    | near(x) << 2
                    | near(operator.height - 1 - y) << 4
                    | near(operator.width - 1 - x) << 6;
                for step in operator.kind.steps() {
                    let there = (cell as isize
                        + step.dy as isize * stride as isize
                        + step.dx as isize) as usize;
                    key = key << 1 | u32::from(grid.active[there]);
                }
                if last.0 != key {
                    let rows = &mut stencils.rows;
                    let number = *known.entry(key).or_insert_with(|| {
                        let mut entries = [0.0; 25];
                        entries[12] = operator.diagonal(y, x);
                        for &step in operator.kind.steps() {
                            let there = (cell as isize
                                + step.dy as isize * stride as isize
                                + step.dx as isize)
                                as usize;
                            if grid.active[there] != 0 {
                                entries[(12 + 5 * step.dy + step.dx) as usize] =
                                    operator.weight(y, x, step);
                            }
                        }
                        rows.push(Row::new(entries));
                        rows.len() as u32 - 1
                    });
                    last = (key, number);
                }
                stencils.number[cell] = last.1;
            }
        }
        Ok(stencils)
    }

    /// The Galerkin product on the next coarser grid.
    pub fn coarser(&self, host: &dyn Host) -> Result<Stencils> {
        let size = |fine: usize| fine.midpoint(2) + 1;
        let (height, width) = (size(self.height), size(self.width));
        let stride = width + 2 * PAD;
        let mut coarse = Stencils {
            height,
            width,
            number: zeroed(stride * (height + 2 * PAD))?,
            rows: vec![Row { entries: [0.0; 25], scale: 0.0 }],
        };
        let mut known: HashMap<[u32; 16], u32> = HashMap::new();
        let mut last = ([0; 16], 0);
        for y in 0..height {
            host.check()?;
            for x in 0..width {
                let key: [u32; 16] =
                    std::array::from_fn(|i| self.number_at(2 * y + i / 4, 2 * x + i % 4));
                if key != last.0 {
                    let rows = &mut coarse.rows;
                    let number = *known.entry(key).or_insert_with(|| {
                        rows.push(Row::new(galerkin(&key, &self.rows)));
                        rows.len() as u32 - 1
                    });
                    last = (key, number);
                }
                coarse.number[(y + PAD) * stride + x + PAD] = last.1;
            }
        }
        Ok(coarse)
    }

    /// Row number of the fine cell three before the given one, 0 outside.
    fn number_at(&self, y: usize, x: usize) -> u32 {
        match (y.checked_sub(3), x.checked_sub(3)) {
            (Some(y), Some(x)) if y < self.height && x < self.width => {
                self.number[(y + PAD) * self.stride() + x + PAD]
            }
            _ => 0,
        }
    }

    /// `out[i] = write(i, (A z)[i], scale of row i)` for the unknowns, 0 elsewhere.
    pub fn apply(&self, z: &[f64], out: &mut [f64], write: impl Fn(usize, f64, f64) -> f64 + Sync) {
        let stride = self.stride();
        let inside = &mut out[PAD * stride..(PAD + self.height) * stride];
        inside.par_chunks_mut(BAND * stride).enumerate().for_each(|(band, rows)| {
            for (number, out) in rows.chunks_exact_mut(stride).enumerate() {
                let first = (PAD + band * BAND + number) * stride;
                let mut column = PAD;
                while column < PAD + self.width {
                    let cell = first + column;
                    let kind = self.number[cell];
                    let same = self.number[cell..first + PAD + self.width]
                        .iter()
                        .take_while(|&&other| other == kind)
                        .count();
                    if kind == 0 {
                        out[column..column + same].fill(0.0);
                    } else {
                        let row = &self.rows[kind as usize];
                        row.apply(z, cell, stride, &mut out[column..column + same]);
                        for (i, out) in out[column..column + same].iter_mut().enumerate() {
                            *out = write(cell + i, *out, row.scale);
                        }
                    }
                    column += same;
                }
            }
        });
    }
}

impl Row {
    fn new(entries: [f64; 25]) -> Row {
        let sum: f64 = entries.iter().map(|entry| entry.abs()).sum();
        Row { entries, scale: if sum > 0.0 { 1.0 / sum } else { 0.0 } }
    }

    /// The stencil at `out.len()` consecutive cells from `cell` on.
    fn apply(&self, z: &[f64], cell: usize, stride: usize, out: &mut [f64]) {
        const LANES: usize = 8;
        let corner = cell - PAD * stride - PAD;
        let mut chunks = out.chunks_exact_mut(LANES);
        let mut at = corner;
        for chunk in &mut chunks {
            let mut sum = [0.0; LANES];
            for dy in 0..5 {
                let line = &z[at + dy * stride..at + dy * stride + LANES + 4];
                for dx in 0..5 {
                    let entry = self.entries[5 * dy + dx];
                    for lane in 0..LANES {
                        sum[lane] += entry * line[dx + lane];
                    }
                }
            }
            chunk.copy_from_slice(&sum);
            at += LANES;
        }
        for (i, out) in chunks.into_remainder().iter_mut().enumerate() {
            *out = (0..5)
                .map(|dy| {
                    let line = &z[at + i + dy * stride..at + i + dy * stride + 5];
                    line.iter()
                        .zip(&self.entries[5 * dy..])
                        .map(|(z, entry)| z * entry)
                        .sum::<f64>()
                })
                .sum();
        }
    }
}

/// One row of `P^T A P`, given the rows of the 4 x 4 fine cells under a coarse cell.
fn galerkin(fine: &[u32; 16], rows: &[Row]) -> [f64; 25] {
    let mut entries = [0.0; 25];
    for (cell, &number) in fine.iter().enumerate().filter(|(_, &number)| number != 0) {
        let (ty, tx) = (cell / 4, cell % 4);
        let weight = WEIGHTS[ty] * WEIGHTS[tx];
        let row = &rows[number as usize].entries;
        for dy in 0..5 {
            // Interpolation along the row first.
            let mut along = [0.0; 5];
            for dx in 0..5 {
                for (target, part) in parents(tx, dx) {
                    along[target] += part * row[5 * dy + dx];
                }
            }
            for (target, part) in parents(ty, dy) {
                for (k, along) in along.iter().enumerate() {
                    entries[5 * target + k] += weight * part * along;
                }
            }
        }
    }
    entries
}

/// The two coarse cells (relative to the one that covers fine cell `t`, shifted by 2) that determine the fine
/// cell `d - 2` away from `t`, and their weights.
fn parents(t: usize, d: usize) -> [(usize, f64); 2] {
    let place = t + d + 2; // shifted by 4, so that it is positive
    [0, 2].map(|s| {
        let s = s + place % 2;
        ((place - s) / 2, WEIGHTS[s])
    })
}

/// `coarse = P^T fine`; sizes are those without padding.
pub(super) fn restrict(
    fine: &[f64],
    (height, width): (usize, usize),
    coarse: &mut [f64],
    coarse_width: usize,
) {
    let (stride, coarse_stride) = (width + 2 * PAD, coarse_width + 2 * PAD);
    coarse.par_chunks_mut(coarse_stride).enumerate().with_min_len(BAND).for_each(|(row, out)| {
        out.fill(0.0);
        let Some(y) = row.checked_sub(PAD) else { return };
        let mut line = vec![0.0; stride];
        for (t, weight) in WEIGHTS.into_iter().enumerate() {
            let Some(fine_y) = (2 * y + t).checked_sub(3).filter(|&fine_y| fine_y < height) else {
                continue;
            };
            for (line, value) in line.iter_mut().zip(&fine[(fine_y + PAD) * stride..]) {
                *line += weight * value;
            }
        }
        for x in 0..coarse_width {
            out[x + PAD] = WEIGHTS
                .into_iter()
                .enumerate()
                .filter_map(|(t, weight)| {
                    line.get((2 * x + t + PAD).checked_sub(3)?).map(|value| weight * value)
                })
                .sum();
        }
    });
}

/// `fine += P coarse` where `active`.
pub(super) fn interpolate(
    coarse: &[f64],
    coarse_width: usize,
    fine: &mut [f64],
    (height, width): (usize, usize),
    active: impl Fn(usize) -> bool + Sync,
) {
    let (stride, coarse_stride) = (width + 2 * PAD, coarse_width + 2 * PAD);
    let inside = &mut fine[PAD * stride..(PAD + height) * stride];
    // A cell lies between two coarse cells: the one at the given place and the next.
    let between = |i: usize| {
        if i.is_multiple_of(2) {
            (i / 2, 0.25, 0.75)
        } else {
            (i.div_ceil(2), 0.75, 0.25)
        }
    };
    inside.par_chunks_mut(stride).enumerate().with_min_len(BAND).for_each(|(y, out)| {
        let (low, low_weight, high_weight) = between(y);
        let lower = &coarse[(low + PAD) * coarse_stride..][..coarse_stride];
        let upper = &coarse[(low + 1 + PAD) * coarse_stride..][..coarse_stride];
        let line: Vec<f64> = lower
            .iter()
            .zip(upper)
            .map(|(lower, upper)| low_weight * lower + high_weight * upper)
            .collect();
        for x in 0..width {
            if active((y + PAD) * stride + x + PAD) {
                let (low, low_weight, high_weight) = between(x);
                out[x + PAD] += low_weight * line[low + PAD] + high_weight * line[low + 1 + PAD];
            }
        }
    });
}

/// Share of the spectrum that the smoother must treat: the modes that the coarse grid cannot represent.
pub(super) const fn smoothing_range(kind: Kind) -> (f64, usize) {
    match kind {
        Kind::Harmonic => (4.0, 2),
        Kind::Biharmonic => (16.0, 4),
    }
}
