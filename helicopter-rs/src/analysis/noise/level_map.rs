//! Where the noise is: its level in each neighbourhood.

use ndarray::Array2;
use rayon::prelude::*;

use super::block_features::BlockFeatures;
use super::blocks::{noise_energy, LANES};
use super::cosines::SIDE;
use super::learnt::NoiseModel;
use crate::error::Result;
use crate::host::Host;
use crate::utils::simd::{kernel, F32x8, Plain, Simd};

/// Half the sides of the neighbourhoods in pixels: first a wide one, then a near one that goes beyond
/// it as far as its own blocks are to be trusted.
const REACHES: [usize; 2] = [64, 16];
/// Variance (in squared levels) that is as good as none.
pub(super) const NOTHING: f64 = 1e-6;

/// Standard deviation of the noise at every pixel, whose mean square is the square of `sigma`.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub(in crate::analysis) fn level_map(
    features: &BlockFeatures,
    sigma: f64,
    (height, width): (usize, usize),
    model: &NoiseModel,
    host: &dyn Host,
) -> Result<Array2<f32>> {
    let mut lattice = variances(features, model);
    host.check()?;
    let mean: f64 = lattice.values.iter().sum::<f64>() / lattice.values.len() as f64;
    // what is added keeps the rounding of an image without noise from being scaled up
    for value in &mut lattice.values {
        *value = sigma * ((*value + NOTHING) / (mean + NOTHING)).sqrt();
    }
    let mut map = Array2::zeros((height, width));
    let stride = features.blocks.stride.1;
    let rows = Between::all(height, lattice.rows, features.blocks.stride.0);
    map.outer_iter_mut().into_par_iter().zip(rows.par_iter()).try_for_each(
        |(mut out, row)| -> Result<()> {
            host.check()?;
            let (above, below) = (lattice.row(row.first), lattice.row(row.second));
            let out = out.as_slice_mut().expect("rows of a new array are contiguous");
            mix(above, below, row.part, stride, out);
            Ok(())
        },
    )?;
    Ok(map)
}

kernel! {
    /// A row of the map, from the two rows of blocks that it lies between.
    fn mix<S>(above: &[f64], below: &[f64], part: f32, stride: usize, out: &mut [f32]) {
        let count = above.len();
        let mut mixed = vec![0.0_f32; count];
        for x in 0..count {
            mixed[x] = (above[x] + (below[x] - above[x]) * f64::from(part)) as f32;
        }
        // beyond the outermost blocks' centres all is as there
        let (first, last) = (SIDE / 2, SIDE / 2 + (count - 1) * stride);
        out[..first].fill(mixed[0]);
        out[last..].fill(mixed[count - 1]);
        if stride == SIDE {
            mix_cells::<SIDE>(&mixed, &mut out[first..last]);
        } else {
            mix_cells::<{ SIDE / 2 }>(&mixed, &mut out[first..last]);
        }
    }
}

/// All that lies between the centres of neighbouring blocks, `STRIDE` pixels apart.
#[inline(always)]
fn mix_cells<const STRIDE: usize>(values: &[f32], out: &mut [f32]) {
    for (cell, out) in out.as_chunks_mut::<STRIDE>().0.iter_mut().enumerate() {
        let (a, b) = (values[cell], values[cell + 1]);
        for x in 0..STRIDE {
            // the centres lie between pixels
            out[x] = a + (b - a) * ((x as f32 + 0.5) / STRIDE as f32);
        }
    }
}

/// A place between two rows of blocks.
struct Between {
    first: usize,
    second: usize,
    part: f32,
}

impl Between {
    /// Where each row of pixels lies between the blocks' centres.
    fn all(side: usize, blocks: usize, stride: usize) -> Vec<Self> {
        let centre = (SIDE as f32 - 1.0) / 2.0;
        let last = (blocks - 1) as f32;
        (0..side)
            .map(|pixel| {
                let place = ((pixel as f32 - centre) / stride as f32).clamp(0.0, last);
                let first = place as usize;
                Self { first, second: (first + 1).min(blocks - 1), part: place - first as f32 }
            })
            .collect()
    }
}

struct Lattice {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Lattice {
    fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }
}

/// Variance at every block, up to a common factor.
fn variances(features: &BlockFeatures, model: &NoiseModel) -> Lattice {
    let blocks = &features.blocks;
    let (rows, columns) = blocks.lattice;
    let across = blocks.vectors_in_row() * LANES;
    let (mut weight, mut value) = (vec![0.0; rows * columns], vec![0.0; rows * columns]);
    let scale = (rows * columns) as f64 / features.total;
    let mut row = 0;
    for (strip, weights) in blocks.strips.iter().zip(&features.weights) {
        for vector in 0..strip.vectors {
            let energy =
                noise_energy::<<Plain as Simd>::F32x8>(strip, blocks.layout, vector).to_array();
            let (y, x) = (row + vector * LANES / across, vector * LANES % across);
            for (lane, energy) in energy.into_iter().enumerate().take(columns - x.min(columns)) {
                let own = f64::from(weights[vector * LANES + lane]) * scale;
                weight[y * columns + x + lane] = own;
                value[y * columns + x + lane] = own * f64::from(energy);
            }
        }
        row += strip.vectors * LANES / across;
    }
    let overall = value.iter().sum::<f64>() / (weight.iter().sum::<f64>() + 1e-6);
    let mut estimate = vec![overall; rows * columns];
    for (reach, shrink) in REACHES.into_iter().zip(model.map_shrink) {
        let reaches = (reach / blocks.stride.0, reach / blocks.stride.1);
        let mass = pyramid(&weight, rows, columns, reaches);
        let sum = pyramid(&value, rows, columns, reaches);
        let shrink = f64::from(shrink);
        for ((estimate, mass), sum) in estimate.iter_mut().zip(mass).zip(sum) {
            *estimate = (sum + shrink * *estimate) / (mass + shrink);
        }
    }
    Lattice { rows, columns, values: estimate }
}

/// Means over rectangles, twice; what lies outside counts as nothing.
fn pyramid(values: &[f64], rows: usize, columns: usize, reaches: (usize, usize)) -> Vec<f64> {
    let mut out = values.to_vec();
    let (up, across) = (reaches.0.min(rows - 1), reaches.1.min(columns - 1));
    for _ in 0..2 {
        for row in out.chunks_exact_mut(columns) {
            let before = row.to_vec();
            running_mean(&before, across, row);
        }
        // down the columns: a running sum of whole rows
        let before = out.clone();
        let mut sums = vec![0.0; columns];
        let count = (2 * up + 1) as f64;
        for row in 0..rows + up {
            if row < rows {
                let new = &before[row * columns..(row + 1) * columns];
                sums.iter_mut().zip(new).for_each(|(sum, new)| *sum += new);
            }
            if row > 2 * up {
                let gone = &before[(row - 2 * up - 1) * columns..(row - 2 * up) * columns];
                sums.iter_mut().zip(gone).for_each(|(sum, gone)| *sum -= gone);
            }
            if row >= up {
                let to = &mut out[(row - up) * columns..(row - up + 1) * columns];
                to.iter_mut().zip(&sums).for_each(|(to, sum)| *to = sum.max(0.0) / count);
            }
        }
    }
    out
}

fn running_mean(values: &[f64], reach: usize, out: &mut [f64]) {
    let count = (2 * reach + 1) as f64;
    let mut sum: f64 = values[..reach].iter().sum();
    for x in 0..values.len() {
        if x + reach < values.len() {
            sum += values[x + reach];
        }
        if x > reach {
            sum -= values[x - reach - 1];
        }
        out[x] = sum.max(0.0) / count;
    }
}
