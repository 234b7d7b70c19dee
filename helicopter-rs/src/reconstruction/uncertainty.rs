//! How far a filled pixel may be off, told from the visible pixels alone.
//!
//! The model and its sources stand in `helicopter/backends/reference/uncertainty.py`. Sums are taken
//! over integers and everything else in the reference's order, so that both give the same bits.

use ndarray::{s, Array2, Array3, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use super::online_scale::UncertaintyModel;
use crate::error::Result;
use crate::host::Host;

/// Pixel pairs this far apart are compared, along rows and along columns.
const LAGS: [usize; 3] = [1, 4, 16];
/// The variogram is collected in square cells of this side ...
const CELL: usize = 8;
/// ... and averaged over windows that reach this many cells to each side.
const REACH: usize = 3;
/// The whole image's variogram enters every window with the weight of this many pairs.
const PRIOR_PAIRS: f64 = 32.0;
/// With not a single pair to compare, values are taken for independent and uniform on [0, 1].
const NO_PAIRS: f64 = 1.0 / 6.0;
/// Grey levels on [0, 1] are counted in steps of 1 / LEVELS, so that sums are exact.
const LEVELS: f64 = 65535.0;
/// Rows that one task works on; a multiple of `CELL`, and bounds the memory for large images.
const STRIP: usize = 64;

/// Predicts the variance of the error of every hidden pixel; 0 at visible ones.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn hidden_variance(
    context: ArrayView3<f32>,
    mask: ArrayView2<bool>,
    model: &UncertaintyModel,
    host: &dyn Host,
) -> Result<Array2<f32>> {
    let (height, width) = mask.dim();
    let cells = local_variogram(context, mask, host)?;
    let mut variance = Array2::<f32>::zeros((height, width));
    let mut strips: Vec<_> = variance.axis_chunks_iter_mut(Axis(0), STRIP).collect();
    strips.par_iter_mut().enumerate().try_for_each(|(index, strip)| -> Result<()> {
        host.check()?;
        let top = index * STRIP;
        let hidden = mask.slice(s![top..top + strip.nrows(), ..]);
        if !hidden.iter().any(|&hidden| hidden) {
            return Ok(());
        }
        let farthest = model.variance_table.len() - 1;
        let vertical = vertical_distances(mask, top, strip.nrows(), farthest);
        for (y, mut row) in strip.rows_mut().into_iter().enumerate() {
            let straight = &vertical[y * width..(y + 1) * width];
            let down = between(top + y, cells.dim().1);
            for (x, out) in row.iter_mut().enumerate() {
                if !hidden[[y, x]] {
                    continue;
                }
                let entry = &model.variance_table[distance(straight, x, farthest)];
                let across = between(x, cells.dim().2);
                let mut total = entry[0];
                for lag in 0..LAGS.len() {
                    let cells = cells.index_axis(Axis(0), lag);
                    total += entry[1 + lag] * bilinear(cells, down, across);
                }
                *out = total as f32;
            }
        }
        Ok(())
    })?;
    Ok(variance)
}

/// Distance of each pixel of some rows to the nearest visible one in its column, at most
/// `farthest + 1`.
fn vertical_distances(
    mask: ArrayView2<bool>,
    top: usize,
    count: usize,
    farthest: usize,
) -> Vec<u32> {
    let (height, width) = mask.dim();
    let cap = farthest as u32 + 1;
    let mut out = vec![cap; count * width];
    let rows = top..top + count;
    let mut walk = |lines: &mut dyn Iterator<Item = usize>| {
        let mut since = vec![cap; width];
        for y in lines {
            for (&hidden, since) in mask.row(y).iter().zip(&mut since) {
                *since = if hidden { (*since + 1).min(cap) } else { 0 };
            }
            if rows.contains(&y) {
                let out = &mut out[(y - top) * width..][..width];
                out.iter_mut().zip(&since).for_each(|(out, &since)| *out = since.min(*out));
            }
        }
    };
    walk(&mut (top.saturating_sub(farthest)..top + count));
    walk(&mut (top..(top + count + farthest).min(height)).rev());
    out
}

/// Whole part of the Euclidean distance to the nearest visible pixel, at most `farthest`.
fn distance(vertical: &[u32], x: usize, farthest: usize) -> usize {
    let square = |value: usize| value * value;
    let mut best = square(vertical[x] as usize).min(square(farthest));
    let mut across = 1;
    while square(across) < best {
        if x >= across {
            best = best.min(square(vertical[x - across] as usize) + square(across));
        }
        if x + across < vertical.len() {
            best = best.min(square(vertical[x + across] as usize) + square(across));
        }
        across += 1;
    }
    best.isqrt()
}

/// Mean squared difference at each lag around each cell, shape (lags, rows, cols).
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn local_variogram(
    context: ArrayView3<f32>,
    mask: ArrayView2<bool>,
    host: &dyn Host,
) -> Result<Array3<f64>> {
    let (height, width, channels) = context.dim();
    let (rows, cols) = (height.div_ceil(CELL), width.div_ceil(CELL));
    let strips: Vec<_> = (0..height.div_ceil(STRIP))
        .into_par_iter()
        .map(|strip| {
            host.check()?;
            Ok(strip_sums(context, mask, strip * STRIP))
        })
        .collect::<Result<_>>()?;
    let scale = LEVELS * LEVELS * channels as f64;
    let mut out = Array3::zeros((LAGS.len(), rows, cols));
    for lag in 0..LAGS.len() {
        let joined = |which: fn(&Sums) -> &Vec<i64>| -> Vec<i64> {
            strips.iter().flat_map(|strip: &[Sums; 3]| which(&strip[lag]).iter().copied()).collect()
        };
        let (sums, pairs) = (joined(|sums| &sums.squares), joined(|sums| &sums.pairs));
        let (total, count) = (sums.iter().sum::<i64>(), pairs.iter().sum::<i64>());
        let everywhere = if count > 0 { total as f64 / (scale * count as f64) } else { NO_PAIRS };
        let (sums, pairs) = (window(&sums, cols), window(&pairs, cols));
        for ((out, sum), pairs) in out.index_axis_mut(Axis(0), lag).iter_mut().zip(sums).zip(pairs)
        {
            *out = (sum as f64 / scale + PRIOR_PAIRS * everywhere) / (pairs as f64 + PRIOR_PAIRS);
        }
    }
    Ok(out)
}

/// Squared differences and numbers of pairs in a row-major block of cells.
#[derive(Clone)]
struct Sums {
    squares: Vec<i64>,
    pairs: Vec<i64>,
}

/// The sums of the cells of one strip, for each lag.
fn strip_sums(context: ArrayView3<f32>, mask: ArrayView2<bool>, top: usize) -> [Sums; 3] {
    let (height, width, channels) = context.dim();
    let end = (top + STRIP).min(height);
    let below = (end + LAGS[LAGS.len() - 1]).min(height); // the strip's pairs reach down
    let cols = width.div_ceil(CELL);
    let mut levels = vec![0_u32; (below - top) * width * channels];
    let mut shown = vec![0_u32; (below - top) * width];
    for y in top..below {
        for x in 0..width {
            if mask[[y, x]] {
                continue;
            }
            let at = (y - top) * width + x;
            shown[at] = 1;
            for c in 0..channels {
                let level = (f64::from(context[[y, x, c]]) * LEVELS + 0.5).floor();
                levels[at * channels + c] = level as u32;
            }
        }
    }
    LAGS.map(|lag| {
        let cells = (end - top).div_ceil(CELL) * cols;
        let mut sums = Sums { squares: vec![0; cells], pairs: vec![0; cells] };
        for y in 0..end - top {
            let first_cell = y / CELL * cols;
            let mut add = |ahead: usize, length: usize| {
                let row = y * width;
                for x in 0..length {
                    let (near, far) = (row + x, row + x + ahead);
                    let both = shown[near] & shown[far];
                    let mut square = 0_u64;
                    for c in 0..channels {
                        // at most 65535, whose square still fits
                        let difference =
                            levels[near * channels + c].abs_diff(levels[far * channels + c]);
                        square += u64::from(difference * difference);
                    }
                    let cell = first_cell + x / CELL;
                    sums.squares[cell] += (square * u64::from(both)) as i64;
                    sums.pairs[cell] += i64::from(both);
                }
            };
            add(lag, width.saturating_sub(lag));
            if y + lag < below - top {
                add(lag * width, width);
            }
        }
        sums
    })
}

/// Sums over the (2 REACH + 1)^2 cells around each, cut at the border.
fn window(values: &[i64], cols: usize) -> Vec<i64> {
    let rows = values.len() / cols;
    let around = |at: usize, end: usize| at.saturating_sub(REACH)..(at + REACH + 1).min(end);
    let mut across = vec![0; values.len()];
    for row in 0..rows {
        for col in 0..cols {
            across[row * cols + col] = around(col, cols).map(|x| values[row * cols + x]).sum();
        }
    }
    let mut out = vec![0; values.len()];
    for row in 0..rows {
        for y in around(row, rows) {
            for col in 0..cols {
                out[row * cols + col] += across[y * cols + col];
            }
        }
    }
    out
}

/// Bilinear interpolation between cell centres, constant beyond the outermost ones.
#[must_use]
pub fn interpolate_cells(cells: ArrayView2<f64>, y: usize, x: usize) -> f64 {
    bilinear(cells, between(y, cells.nrows()), between(x, cells.ncols()))
}

/// Cell before, cell behind, and the share of the one behind.
type Between = (usize, usize, f64);

fn bilinear(cells: ArrayView2<f64>, (y0, y1, fy): Between, (x0, x1, fx): Between) -> f64 {
    let upper = cells[[y0, x0]] * (1.0 - fx) + cells[[y0, x1]] * fx;
    let lower = cells[[y1, x0]] * (1.0 - fx) + cells[[y1, x1]] * fx;
    upper * (1.0 - fy) + lower * fy
}

fn between(position: usize, count: usize) -> Between {
    // the centre of cell k lies at CELL k + (CELL - 1) / 2; doubled, everything is an integer
    let doubled = (2 * position).saturating_sub(CELL - 1).min(2 * CELL * (count - 1));
    let before = doubled / (2 * CELL);
    let share = (doubled - before * (2 * CELL)) as f64 / (2.0 * CELL as f64);
    (before, (before + 1).min(count - 1), share)
}
