//! A strip of pixels, laid out so that the values of neighbouring blocks lie side by side.

use super::blocks::{Job, CELL, COLOURS, LANES};
use super::cosines::SIDE;
use crate::utils::simd::F32x8;

/// Weights of the channels in the opponent planes, orthonormal.
pub(super) const OPPONENT: [[f32; 3]; 3] = [
    [0.577_350_26, 0.577_350_26, 0.577_350_26],
    [0.707_106_77, 0.0, -0.707_106_77],
    [0.408_248_3, -0.816_496_6, 0.408_248_3],
];

/// The pixels of a strip, laid out so that the values of neighbouring blocks lie side by side: `STEP`
/// below is the number of pixels from one block to the next. Used again for one strip after another.
#[derive(Default)]
pub(super) struct Rows {
    /// Rows of pixels.
    height: usize,
    /// Values in one phase of a row.
    length: usize,
    /// Plane, row, phase, position.
    values: Vec<f32>,
    /// Sums over cells of 4 x 4 pixels.
    pub clipped: Cells,
    pub outside: Cells,
    pub square: Cells,
    pub fourth: Cells,
}

impl Rows {
    /// Column `x` of the eight blocks from `block` on.
    #[inline(always)]
    pub fn column<V: F32x8, const STEP: usize>(
        &self,
        plane: usize,
        y: usize,
        x: usize,
        block: usize,
    ) -> V {
        let row = (plane * self.height + y) * STEP * self.length;
        V::load(&self.values[row + x % STEP * self.length + block + x / STEP..])
    }
}

/// Sums over cells, laid out in phases like `Rows`.
#[derive(Default)]
pub(super) struct Cells {
    length: usize,
    values: Vec<f32>,
}

impl Cells {
    fn clear<const STEP: usize>(&mut self, rows: usize, length: usize) {
        self.length = length;
        self.values.clear();
        self.values.resize(rows * (STEP / CELL) * length, 0.0);
    }

    #[inline(always)]
    fn place<const STEP: usize>(&self, row: usize, x: usize) -> usize {
        let phases = STEP / CELL; // cells from one block to the next
        (row * phases + x % phases) * self.length + x / phases
    }

    #[inline(always)]
    fn put<const STEP: usize>(&mut self, row: usize, x: usize, value: f32) {
        let place = self.place::<STEP>(row, x);
        self.values[place] += value;
    }

    #[inline(always)]
    fn at<V: F32x8, const STEP: usize>(&self, row: usize, x: usize, block: usize) -> V {
        V::load(&self.values[self.place::<STEP>(row, x) + block..])
    }

    /// Means over the eight blocks from `block` on whose first row of cells is `row`.
    #[inline(always)]
    pub fn blocks<V: F32x8, const STEP: usize>(&self, row: usize, block: usize, count: f32) -> V {
        let above = self.at::<V, STEP>(row, 0, block).add(self.at::<V, STEP>(row, 1, block));
        let row = row + 1;
        let below = self.at::<V, STEP>(row, 0, block).add(self.at::<V, STEP>(row, 1, block));
        above.add(below).mul(V::splat(1.0 / count))
    }
}

/// Reads the pixels of a strip.
#[inline(always)]
pub(super) fn read<V: F32x8, const STEP: usize>(job: &Job<'_, '_>, rows: &mut Rows) {
    let Job { picture, stride, columns, layout, .. } = *job;
    let planes = layout.planes;
    let height = (job.rows - 1) * stride.0 + SIDE;
    let width = (columns - 1) * STEP + SIDE;
    let across = columns.next_multiple_of(LANES);
    // a block reaches two cells, and so one position (two at half the stride) beyond its own
    let length = across + SIDE / STEP + 1;
    let cells = height / CELL;
    (rows.height, rows.length) = (height, length);
    // what an earlier strip left behind the last block is of no block
    rows.values.resize(planes * height * STEP * length, 0.0);
    for sums in [&mut rows.clipped, &mut rows.outside, &mut rows.square, &mut rows.fourth] {
        sums.clear::<STEP>(cells, length);
    }
    // whole groups of vectors, and one pixel more to the right
    let padded = width.next_multiple_of(LANES * LANES) + LANES;
    let line = || vec![0.0_f32; padded];
    let mut channels = vec![line(); planes];
    // two rows at a time, for the squares of 2 x 2 pixels
    let mut pair = vec![vec![line(); planes]; 2];
    let (mut ends, mut squares, mut fourths) = (line(), line(), line());
    for y in 0..height {
        let from = job.first * stride.0 + y;
        picture.read_row(from, width, &mut channels);
        to_planes::<V>(&channels, &mut pair[y % 2], padded);
        for (plane, values) in pair[y % 2].iter().enumerate() {
            let at = (plane * height + y) * STEP * length;
            deal::<V, STEP>(values, length, &mut rows.values[at..at + STEP * length]);
        }
        let cell = y / CELL;
        if picture.has_excluded() {
            for x in (0..width).filter(|&x| !picture.included(from, x)) {
                // what counts are pixels at the ends: these must not be
                for values in &mut channels {
                    values[x] = f32::NAN;
                }
                rows.outside.put::<STEP>(cell, x / CELL, 1.0);
            }
        }
        add_ends::<V>(&channels, (job.low, job.high), &mut ends, padded);
        if y % 2 == 1 {
            let [even, odd] = &pair[..] else { unreachable!("there are two") };
            for plane in usize::from(planes == COLOURS)..planes {
                add_diagonals::<V>(&even[plane], &odd[plane], &mut squares, &mut fourths);
            }
        }
        if y % CELL == CELL - 1 {
            for x in 0..width / CELL {
                let at = CELL * x;
                rows.clipped.put::<STEP>(
                    cell,
                    x,
                    ends[at] + ends[at + 1] + ends[at + 2] + ends[at + 3],
                );
                rows.square.put::<STEP>(cell, x, squares[at] + squares[at + 2]);
                rows.fourth.put::<STEP>(cell, x, fourths[at] + fourths[at + 2]);
            }
            for sums in [&mut ends, &mut squares, &mut fourths] {
                sums.fill(0.0);
            }
        }
    }
}

/// Makes a row of opponent planes of a row of channels; grey is its own plane.
#[inline(always)]
fn to_planes<V: F32x8>(channels: &[Vec<f32>], planes: &mut [Vec<f32>], length: usize) {
    let ([red, green, blue], [first, second, third]) = (channels, &mut *planes) else {
        planes[0].copy_from_slice(&channels[0]);
        return;
    };
    let mut at = 0;
    while at + LANES <= length {
        let (r, g, b) = (V::load(&red[at..]), V::load(&green[at..]), V::load(&blue[at..]));
        opponent(r, g, b, 0).store(&mut first[at..]);
        opponent(r, g, b, 1).store(&mut second[at..]);
        opponent(r, g, b, 2).store(&mut third[at..]);
        at += LANES;
    }
}

#[inline(always)]
fn opponent<V: F32x8>(red: V, green: V, blue: V, plane: usize) -> V {
    let [x, y, z] = OPPONENT[plane];
    red.mul(V::splat(x)).add(green.mul(V::splat(y))).add(blue.mul(V::splat(z)))
}

/// Counts the values at the ends of the range, channel for channel.
#[inline(always)]
fn add_ends<V: F32x8>(channels: &[Vec<f32>], ends: (f32, f32), out: &mut [f32], length: usize) {
    let (low, high) = (V::splat(ends.0), V::splat(ends.1));
    let mut at = 0;
    while at + LANES <= length {
        let mut count = V::load(&out[at..]);
        for values in channels {
            count = count.add(V::load(&values[at..]).not_between(low, high));
        }
        count.store(&mut out[at..]);
        at += LANES;
    }
}

/// Adds up squares and fourth powers of the diagonal differences that begin at each pixel.
#[inline(always)]
fn add_diagonals<V: F32x8>(even: &[f32], odd: &[f32], squares: &mut [f32], fourths: &mut [f32]) {
    let mut at = 0;
    while at + LANES < even.len() {
        let here = V::load(&even[at..]).sub(V::load(&odd[at..]));
        let right = V::load(&even[at + 1..]).sub(V::load(&odd[at + 1..]));
        let difference = here.sub(right).mul(V::splat(0.5));
        let square = difference.mul(difference);
        V::load(&squares[at..]).add(square).store(&mut squares[at..]);
        square.multiply_add(square, V::load(&fourths[at..])).store(&mut fourths[at..]);
        at += LANES;
    }
}

/// Deals a row out to phases: the values that lie a whole number of blocks apart.
#[inline(always)]
fn deal<V: F32x8, const STEP: usize>(values: &[f32], length: usize, out: &mut [f32]) {
    let positions = values.len() / STEP;
    let group = LANES * LANES / STEP;
    let mut position = 0;
    while position + group <= positions.min(length) {
        let mut square = [V::splat(0.0); LANES];
        for k in 0..LANES {
            square[k] = V::load(&values[position * STEP + k * LANES..]);
        }
        let square = V::transpose(square);
        for phase in 0..STEP {
            let to = &mut out[phase * length + position..];
            if STEP == LANES {
                square[phase].store(to);
            } else {
                // two positions to a vector: those of even number, and those of odd
                let (first, second) = square[phase].interleave(square[phase + STEP]);
                first.store(to);
                second.store(&mut to[LANES..]);
            }
        }
        position += group;
    }
    for position in position..positions.min(length) {
        for phase in 0..STEP {
            out[phase * length + position] = values[position * STEP + phase];
        }
    }
}
