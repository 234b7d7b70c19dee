//! How far a filled pixel may be off, told from the visible pixels alone.
//!
//! The model and its sources stand in `helicopter/backends/reference/reconstruction/uncertainty.py`. Sums are taken
//! over integers and everything else in the reference's order, so that both give the same bits.

#[cfg(feature = "cuda")]
pub mod cuda;

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
/// Larger distances count as this.
const FARTHEST: usize = 64;

/// Distance of each pixel to the nearest visible one, in pixels, at most `FARTHEST`.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn hidden_distance(mask: ArrayView2<bool>, host: &dyn Host) -> Result<Array2<f32>> {
    let width = mask.ncols();
    let mut out = Array2::<f32>::zeros(mask.dim());
    let mut strips: Vec<_> = out.axis_chunks_iter_mut(Axis(0), STRIP).collect();
    strips.par_iter_mut().enumerate().try_for_each(|(index, strip)| -> Result<()> {
        host.check()?;
        let vertical = vertical_distances(mask, index * STRIP, strip.nrows(), FARTHEST);
        let mut squares = Vec::with_capacity(width);
        for (y, mut row) in strip.rows_mut().into_iter().enumerate() {
            row_distances(&vertical[y * width..(y + 1) * width], FARTHEST, &mut squares);
            row.iter_mut().zip(&squares).for_each(|(out, &square)| *out = f32::from(square).sqrt());
        }
        Ok(())
    })?;
    Ok(out)
}

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
    let (_, cell_rows, cell_cols) = cells.dim();
    let across: Vec<Between> = (0..width).map(|x| between(x, cell_cols)).collect();
    let farthest = model.variance_table.len() - 1;
    let mut variance = Array2::<f32>::zeros((height, width));
    let mut strips: Vec<_> = variance.axis_chunks_iter_mut(Axis(0), STRIP).collect();
    strips.par_iter_mut().enumerate().try_for_each(|(index, strip)| -> Result<()> {
        host.check()?;
        let top = index * STRIP;
        let hidden = mask.slice(s![top..top + strip.nrows(), ..]);
        if !hidden.iter().any(|&hidden| hidden) {
            return Ok(());
        }
        let vertical = vertical_distances(mask, top, strip.nrows(), farthest);
        let mut distances = Vec::with_capacity(width);
        for (y, mut row) in strip.rows_mut().into_iter().enumerate() {
            row_distances(&vertical[y * width..(y + 1) * width], farthest, &mut distances);
            let down = between(top + y, cell_rows);
            let lags: [_; LAGS.len()] = std::array::from_fn(|lag| cells.index_axis(Axis(0), lag));
            let pixels = row.iter_mut().zip(hidden.row(y)).enumerate();
            for (x, (out, _)) in pixels.filter(|(_, (_, &hidden))| hidden) {
                let entry = &model.variance_table[distances[x].isqrt() as usize];
                let mut total = entry[0];
                for (weight, &cells) in entry[1..].iter().zip(&lags) {
                    total += weight * bilinear(cells, down, across[x]);
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
) -> Vec<i16> {
    let (height, width) = mask.dim();
    let cap = farthest as i16 + 1;
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

/// Squared distance of each pixel of a row to the nearest visible one, right up to `farthest`.
fn row_distances(vertical: &[i16], farthest: usize, best: &mut Vec<i16>) {
    let square = |value: usize| (value * value) as i16;
    let limit = square(farthest);
    let squares: Vec<i16> = vertical.iter().map(|&distance| distance * distance).collect();
    best.clear();
    best.extend(squares.iter().map(|&value| value.min(limit)));
    for across in 1..=farthest.min(vertical.len() - 1) {
        // a look at the whole row costs as much as a step, so it is taken now and then
        if across % 4 == 1 && best.iter().all(|&best| best <= square(across)) {
            break;
        }
        let nearer = |best: &mut [i16], from: &[i16]| {
            best.iter_mut().zip(from).for_each(|(b, &s)| *b = (*b).min(s + square(across)));
        };
        nearer(&mut best[across..], &squares);
        nearer(best, &squares[across..]);
    }
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
            Ok(if channels == 1 {
                strip_sums::<1>(context, mask, strip * STRIP)
            } else {
                strip_sums::<3>(context, mask, strip * STRIP)
            })
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
fn strip_sums<const C: usize>(
    context: ArrayView3<f32>,
    mask: ArrayView2<bool>,
    top: usize,
) -> [Sums; 3] {
    let (height, width, _) = context.dim();
    let end = (top + STRIP).min(height);
    let below = (end + LAGS[LAGS.len() - 1]).min(height); // the strip's pairs reach down
    let cols = width.div_ceil(CELL);
    let stride = width * C;
    // levels, and all bits set where they are visible
    let mut levels = vec![0_u16; (below - top) * stride];
    let mut shown = vec![0_u16; (below - top) * stride];
    let rows = levels.chunks_exact_mut(stride).zip(shown.chunks_exact_mut(stride));
    for (y, (levels, shown)) in rows.enumerate() {
        let pixels = context.slice(s![top + y, .., ..]);
        for (x, (pixel, &hidden)) in pixels.rows().into_iter().zip(mask.row(top + y)).enumerate() {
            if hidden {
                continue;
            }
            for (c, &value) in pixel.iter().enumerate() {
                levels[x * C + c] = (f64::from(value) * LEVELS + 0.5) as u16; // rounds down
                shown[x * C + c] = u16::MAX;
            }
        }
    }
    LAGS.map(|lag| {
        let cells = (end - top).div_ceil(CELL) * cols;
        let mut sums = Sums { squares: vec![0; cells], pairs: vec![0; cells] };
        for y in 0..end - top {
            let first_cell = y / CELL * cols;
            let mut add = |ahead: usize, length: usize| {
                let (near, far) = (y * stride, y * stride + ahead);
                add_pairs::<C>(
                    [&levels[near..near + length], &levels[far..far + length]],
                    [&shown[near..near + length], &shown[far..far + length]],
                    &mut sums.squares[first_cell..first_cell + cols],
                    &mut sums.pairs[first_cell..first_cell + cols],
                );
            };
            add(lag.min(width) * C, width.saturating_sub(lag) * C);
            if y + lag < below - top {
                add(lag * stride, stride);
            }
        }
        sums
    })
}

/// Adds the pairs of two runs of pixels to the cells that the first run lies in.
fn add_pairs<const C: usize>(
    levels: [&[u16]; 2],
    shown: [&[u16]; 2],
    squares: &mut [i64],
    pairs: &mut [i64],
) {
    let length = levels[0].len();
    for (cell, (squares, pairs)) in squares.iter_mut().zip(pairs).enumerate() {
        let from = (cell * CELL * C).min(length);
        let rest = [levels[0], levels[1], shown[0], shown[1]].map(|run| &run[from..length]);
        let (square, count) = if length - from >= CELL * C {
            // a length that the compiler knows, so that it needs no loop
            sum_pairs(rest.map(|run| &run[..CELL * C]))
        } else {
            sum_pairs(rest)
        };
        *squares += square as i64;
        *pairs += i64::from(count) / C as i64;
    }
}

/// Sum of squared differences, and number, of values that are visible on both sides.
#[inline(always)]
fn sum_pairs([near, far, near_shown, far_shown]: [&[u16]; 4]) -> (u64, u32) {
    let (mut square, mut count) = (0, 0);
    let levels = near.iter().zip(far);
    for ((&near, &far), (&near_shown, &far_shown)) in levels.zip(near_shown.iter().zip(far_shown)) {
        let both = near_shown & far_shown;
        let difference = u32::from(near.abs_diff(far) & both);
        square += u64::from(difference * difference); // at most 65535, whose square still fits
        count += u32::from(both & 1);
    }
    (square, count)
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
