//! 3 x 3 convolution by Winograd's minimal filtering F(4 x 4, 3 x 3).
//!
//! Four times fewer multiplications than the sum over nine taps (Lavin and Gray, "Fast algorithms for
//! convolutional neural networks", CVPR 2016). The points of interpolation 0, ±5/8, ±3/2 and infinity,
//! chosen by measurement, lose half as many digits as the customary 0, ±1, ±2: rounding errors are
//! then about twice those of the plain sum. All constants but those of the weights, which are
//! transformed in float64, are exact in float32.
//!
//! The map is cut into tiles of 4 x 4 that begin at multiples of [`TILE`] of the *whole* map; each is
//! computed from the 6 x 6 around it, always in the same order. So a tile comes out the same to the
//! bit whatever is computed beside it.

use super::line::{Line, WIDTH};
use super::product::{product_any, Product};
use super::rows::{Rows, RowsMut};
use crate::utils::simd::{Simd, Vector};
use std::ops::Range;

/// Side of the squares that are computed at once.
pub(super) const TILE: usize = 4;
/// Side of what they are computed from.
const AROUND: usize = 6;
/// Points at which the products are taken.
const POINTS: usize = AROUND * AROUND;

const A: f32 = 0.625;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;

/// The weights of a convolution, transformed and packed.
pub(super) struct Conv {
    /// Input channels that there are, which need not fill their blocks.
    pub inputs: usize,
    pub in_blocks: usize,
    pub out_blocks: usize,
    /// `[point][block of outputs][input][WIDTH]`
    weights: Vec<Line>,
    bias: Vec<Line>,
}

impl Conv {
    /// Packs `outputs` filters; `tap(o, i, y, x)` is a weight.
    pub fn new(
        outputs: usize,
        inputs: usize,
        tap: impl Fn(usize, usize, usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let (in_blocks, out_blocks) = (inputs.div_ceil(WIDTH), outputs.div_ceil(WIDTH));
        let mut weights = vec![Line::ZERO; POINTS * out_blocks * inputs];
        let mut biases = vec![Line::ZERO; out_blocks];
        let rows = filter_rows();
        for o in 0..outputs {
            biases[o / WIDTH].0[o % WIDTH] = bias(o);
            for i in 0..inputs {
                let mut half = [[0.0; 3]; AROUND];
                for (p, row) in rows.iter().enumerate() {
                    for x in 0..3 {
                        half[p][x] = (0..3).map(|y| row[y] * f64::from(tap(o, i, y, x))).sum();
                    }
                }
                for (p, half) in half.iter().enumerate() {
                    for (q, row) in rows.iter().enumerate() {
                        let point = p * AROUND + q;
                        let value: f64 = (0..3).map(|x| row[x] * half[x]).sum();
                        let line = (point * out_blocks + o / WIDTH) * inputs + i;
                        weights[line].0[o % WIDTH] = value as f32;
                    }
                }
            }
        }
        Self { inputs, in_blocks, out_blocks, weights, bias: biases }
    }

    /// Lines of working memory for so many tiles.
    pub fn scratch_lines(&self, tiles: usize) -> usize {
        POINTS * (tiles * (self.in_blocks + self.out_blocks) + 2)
    }
}

/// The matrix that takes a row of a filter to the points.
fn filter_rows() -> [[f64; 3]; AROUND] {
    let (a, b) = (f64::from(A), f64::from(B));
    let (a2, b2) = (a * a, b * b);
    let row = |point: f64, norm: f64| [1.0 / norm, point / norm, point * point / norm];
    let (of_a, of_b) = (2.0 * a2 * (a2 - b2), 2.0 * b2 * (b2 - a2));
    [row(0.0, a2 * b2), row(a, of_a), row(-a, of_a), row(b, of_b), row(-b, of_b), [0.0, 0.0, 1.0]]
}

/// A convolution of some rows of a map.
pub(super) struct ConvJob<'a> {
    pub conv: &'a Conv,
    pub input: &'a Rows<'a>,
    /// Added to the result.
    pub residual: Option<&'a Rows<'a>>,
    pub output: RowsMut,
    /// What to compute; begins at multiples of [`TILE`].
    pub rows: Range<usize>,
    pub cols: Range<usize>,
    /// Of the whole map: rows beyond are zero.
    pub height: usize,
    /// Blocks of outputs of which what is negative becomes zero.
    pub relu_blocks: usize,
}

impl ConvJob<'_> {
    pub fn tiles(&self) -> usize {
        self.rows.len().div_ceil(TILE) * self.cols.len().div_ceil(TILE)
    }
}

/// Computes some of the job's tiles, counted row by row.
///
/// # Safety
/// The job's input and residual hold all rows that are needed; nobody else looks at the
/// tiles' outputs meanwhile; `scratch` is as long as `scratch_lines` says.
#[inline(always)]
pub(super) unsafe fn conv_any<S: Simd>(job: &ConvJob, tiles: Range<usize>, scratch: &mut [Line]) {
    let conv = job.conv;
    let count = tiles.len();
    let (depth, width) = (conv.in_blocks * WIDTH, conv.out_blocks * WIDTH);
    // one line more, so that the planes do not all fall into the same cache sets
    let (from_plane, to_plane) = (count * depth + WIDTH, count * width + WIDTH);
    assert!(scratch.len() >= conv.scratch_lines(count));
    debug_assert!(tiles.end <= job.tiles());
    debug_assert!(conv.weights.len() >= POINTS * conv.out_blocks * conv.inputs);
    let from = scratch.as_mut_ptr().cast::<f32>();
    let to = from.add(POINTS * from_plane);

    let across = job.cols.len().div_ceil(TILE);
    let place = |tile: usize| {
        (job.rows.start + tile / across * TILE, job.cols.start + tile % across * TILE)
    };
    for (index, tile) in tiles.clone().enumerate() {
        let (y, x) = place(tile);
        let mut rows = [std::ptr::null(); AROUND];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = job.input.around(y + r, x, job.height);
        }
        for block in 0..conv.in_blocks {
            let out = from.add(index * depth + block * WIDTH);
            spread::<S::F32x16>(rows, block * WIDTH, depth, out, from_plane);
        }
    }
    for point in 0..POINTS {
        product_any::<S>(&Product {
            rows: count,
            blocks: conv.out_blocks,
            a: [from.add(point * from_plane), std::ptr::null()],
            halves: 1,
            a_stride: depth,
            depth: conv.inputs,
            weights: conv.weights.as_ptr().add(point * conv.out_blocks * conv.inputs).cast(),
            bias: std::ptr::null(),
            addend: std::ptr::null(),
            out: to.add(point * to_plane),
            out_stride: width,
        });
    }
    for (index, tile) in tiles.enumerate() {
        let (y, x) = place(tile);
        for block in 0..conv.out_blocks {
            collect::<S::F32x16>(
                job,
                (y, x),
                block,
                to.add(index * width + block * WIDTH),
                to_plane,
            );
        }
    }
}

/// From six values to the six points.
#[inline(always)]
fn to_points<V: Vector<Float = f32>>(d: [V; AROUND]) -> [V; AROUND] {
    let (a, b) = (V::splat(A), V::splat(B));
    let (a2, b2) = (V::splat(A2), V::splat(B2));
    let (product, sum) = (V::splat(A2 * B2), V::splat(A2 + B2));
    let (even_a, odd_a) = (d[4].minus(b2, d[2]), d[3].minus(b2, d[1]));
    let (even_b, odd_b) = (d[4].minus(a2, d[2]), d[3].minus(a2, d[1]));
    [
        d[4].minus(sum, d[2]).plus(product, d[0]),
        even_a.plus(a, odd_a),
        even_a.minus(a, odd_a),
        even_b.plus(b, odd_b),
        even_b.minus(b, odd_b),
        d[5].minus(sum, d[3]).plus(product, d[1]),
    ]
}

/// From the products at the six points to four values.
#[inline(always)]
fn from_points<V: Vector<Float = f32>>(m: [V; AROUND]) -> [V; TILE] {
    let (sum_a, difference_a) = (m[1].add(m[2]), m[1].sub(m[2]));
    let (sum_b, difference_b) = (m[3].add(m[4]), m[3].sub(m[4]));
    [
        m[0].add(sum_a).add(sum_b),
        difference_a.mul(V::splat(A)).plus(V::splat(B), difference_b),
        sum_a.mul(V::splat(A2)).plus(V::splat(B2), sum_b),
        m[5].plus(V::splat(A * A2), difference_a).plus(V::splat(B * B2), difference_b),
    ]
}

/// Takes the 6 x 6 pixels that begin at `rows` to the points: the block of channels at `offset`.
#[inline(always)]
unsafe fn spread<V: Vector<Float = f32>>(
    rows: [*const f32; AROUND],
    offset: usize,
    pixel: usize,
    out: *mut f32,
    plane: usize,
) {
    let mut half = [[V::splat(0.0); AROUND]; AROUND];
    for x in 0..AROUND {
        let mut column = [V::splat(0.0); AROUND];
        for y in 0..AROUND {
            column[y] = V::read(rows[y].add(offset + x * pixel));
        }
        half[x] = to_points(column);
    }
    for p in 0..AROUND {
        let mut row = [V::splat(0.0); AROUND];
        for x in 0..AROUND {
            row[x] = half[x][p];
        }
        for (q, value) in to_points(row).into_iter().enumerate() {
            value.write(out.add((p * AROUND + q) * plane));
        }
    }
}

/// Takes the products of a tile back to pixels, one block of channels.
#[inline(always)]
unsafe fn collect<V: Vector<Float = f32>>(
    job: &ConvJob,
    (y, x): (usize, usize),
    block: usize,
    products: *const f32,
    plane: usize,
) {
    let mut half = [[V::splat(0.0); TILE]; AROUND];
    for q in 0..AROUND {
        let mut column = [V::splat(0.0); AROUND];
        for p in 0..AROUND {
            column[p] = V::read(products.add((p * AROUND + q) * plane));
        }
        half[q] = from_points(column);
    }
    let bias = V::read(job.conv.bias[block].0.as_ptr());
    let zero = V::splat(0.0);
    debug_assert!(y < job.rows.end && x < job.cols.end);
    let (high, wide) = (TILE.min(job.rows.end - y), TILE.min(job.cols.end - x));
    let pixel = job.conv.out_blocks * WIDTH;
    for r in 0..high {
        let mut row = [V::splat(0.0); AROUND];
        for q in 0..AROUND {
            row[q] = half[q][r];
        }
        let values = from_points(row);
        let to = job.output.pixel(y + r, x).add(block * WIDTH);
        let residual = job.residual.map(|rows| rows.pixel(y + r, x).add(block * WIDTH));
        for c in 0..wide {
            let mut value = values[c].add(bias);
            if let Some(residual) = residual {
                value = value.add(V::read(residual.add(c * pixel)));
            }
            if block < job.relu_blocks {
                value = value.max(zero);
            }
            value.write(to.add(c * pixel));
        }
    }
}
