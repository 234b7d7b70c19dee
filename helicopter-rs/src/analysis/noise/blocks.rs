//! What the 8 x 8 blocks of an image testify about its noise.

use ndarray::{ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use super::cosines::{energies, mean_cross, transform_blocks, AREA, BANDS, MEMBERS, SIDE};
use super::lanes::{vectorised, Vector, LANES};
use crate::error::Result;
use crate::host::Host;

/// Side of the cells that sums over blocks are put together from.
const CELL: usize = 4;
/// Images of more pixels have blocks further apart: first the rows, then the columns. Of the smaller
/// copies, less is asked.
const SPARSE: [usize; 2] = [1 << 18, 1 << 19];
const SPARSE_COPIES: [usize; 2] = [1 << 16, 1 << 17];
/// Blocks whose coefficients have less mean energy (in squared levels) are constant, up to rounding.
const CONSTANT: f32 = 1e-6;
/// Rows of blocks in a strip. Fixed, so that sums do not depend on the number of threads.
const STRIP: usize = 8;
/// Planes in colour: luminance first, then two that the content has little part in.
pub(super) const COLOURS: usize = 3;

/// Weights of the channels in the opponent planes, orthonormal.
const OPPONENT: [[f32; 3]; 3] = [
    [0.577_350_26, 0.577_350_26, 0.577_350_26],
    [0.707_106_77, 0.0, -0.707_106_77],
    [0.408_248_3, -0.816_496_6, 0.408_248_3],
];

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
    fn read_row(&self, y: usize, count: usize, out: &mut [Vec<f32>]) {
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
    fn has_excluded(&self) -> bool {
        match self {
            Picture::Given { included, .. } => included.is_some(),
            Picture::Made { included, .. } => included.is_some(),
        }
    }

    fn included(&self, y: usize, x: usize) -> bool {
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

vectorised! {
    fn halve_rows(picture: &Picture<'_>, first: usize, out: &mut [f32]) -> () = halve_rows_at
}

/// Rows of the halved picture from `first` on.
#[inline(always)]
fn halve_rows_at<V: Vector>(picture: &Picture<'_>, first: usize, out: &mut [f32]) {
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

/// The fields of a block's record, by their place in it.
#[derive(Clone, Copy)]
pub(in crate::analysis) struct Layout {
    /// Planes, and channels: 1 or 3.
    pub planes: usize,
}

#[expect(clippy::unused_self, reason = "the fields are asked for in one way")]
impl Layout {
    pub fn energy(self, plane: usize, band: usize) -> usize {
        plane * BANDS + band
    }
    /// Products of planes 0 1, 0 2 and 1 2; of no use for grey.
    pub fn cross(self, pair: usize) -> usize {
        self.planes * BANDS + pair
    }
    pub fn mean(self, channel: usize) -> usize {
        self.planes * BANDS + 3 + channel
    }
    pub fn clipped(self) -> usize {
        self.mean(self.planes)
    }
    pub fn square(self) -> usize {
        self.clipped() + 1
    }
    pub fn fourth(self) -> usize {
        self.clipped() + 2
    }
    /// 1 if a block is neither constant nor touched by an excluded pixel, else 0.
    pub fn valid(self) -> usize {
        self.clipped() + 3
    }
    pub fn len(self) -> usize {
        self.clipped() + 4
    }
}

/// The records of some rows of blocks, a field at a time. Rows are filled up to whole vectors with
/// blocks that are not valid.
pub(in crate::analysis) struct Strip {
    /// Vectors of blocks in the strip.
    pub vectors: usize,
    values: Vec<f32>,
}

impl Strip {
    /// A field of a vector of blocks.
    #[inline(always)]
    pub(super) fn get<V: Vector>(&self, field: usize, vector: usize) -> V {
        V::load(&self.values[(field * self.vectors + vector) * LANES..])
    }

    #[inline(always)]
    fn set<V: Vector>(&mut self, field: usize, vector: usize, values: V) {
        values.store(&mut self.values[(field * self.vectors + vector) * LANES..]);
    }

    /// All values of a field.
    pub fn field(&self, field: usize) -> &[f32] {
        let count = self.vectors * LANES;
        &self.values[field * count..(field + 1) * count]
    }
}

/// All blocks of an image.
pub(in crate::analysis) struct Blocks {
    pub layout: Layout,
    /// Rows and columns of blocks.
    pub lattice: (usize, usize),
    /// Pixels from one block to the next.
    pub stride: (usize, usize),
    pub strips: Vec<Strip>,
}

impl Blocks {
    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.lattice.0 * self.lattice.1
    }

    /// Vectors in a row of blocks.
    pub fn vectors_in_row(&self) -> usize {
        self.lattice.1.div_ceil(LANES)
    }
}

/// Energy in which noise is most of what there is: in colour, of all planes but the luminance.
#[inline(always)]
pub(super) fn noise_energy<V: Vector>(strip: &Strip, layout: Layout, vector: usize) -> V {
    if layout.planes == 1 {
        return fine(strip, layout, 0, vector);
    }
    let second: V = fine(strip, layout, 1, vector);
    second.add(fine(strip, layout, 2, vector)).mul(V::splat(0.5))
}

/// Mean energy of the two highest bands.
#[inline(always)]
pub(super) fn fine<V: Vector>(strip: &Strip, layout: Layout, plane: usize, vector: usize) -> V {
    let three: V = strip.get(layout.energy(plane, 3), vector);
    three.add(strip.get(layout.energy(plane, 4), vector)).mul(V::splat(0.5))
}

/// Looks at all blocks of a picture at least as large as one.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub(super) fn testimony(picture: &Picture, low: f32, high: f32, host: &dyn Host) -> Result<Blocks> {
    let (height, width, planes) = picture.dim();
    let pixels = height * width;
    let sparse = if matches!(picture, Picture::Given { .. }) { SPARSE } else { SPARSE_COPIES };
    let [down, right] = sparse.map(|enough| if pixels > enough { 2 * CELL } else { CELL });
    let stride = (down, right);
    let lattice = ((height - SIDE) / stride.0 + 1, (width - SIDE) / stride.1 + 1);
    let layout = Layout { planes };
    let strips = (0..lattice.0.div_ceil(STRIP))
        .into_par_iter()
        .map_init(Rows::default, |rows, index| {
            host.check()?;
            let first = index * STRIP;
            let job = Job {
                picture,
                low,
                high,
                layout,
                stride,
                columns: lattice.1,
                first,
                rows: STRIP.min(lattice.0 - first),
            };
            Ok(look(&job, rows))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Blocks { layout, lattice, stride, strips })
}

struct Job<'a, 'p> {
    picture: &'a Picture<'p>,
    low: f32,
    high: f32,
    layout: Layout,
    stride: (usize, usize),
    columns: usize,
    first: usize,
    rows: usize,
}

fn look(job: &Job<'_, '_>, rows: &mut Rows) -> Strip {
    if job.stride.1 == CELL {
        look_dense(job, rows)
    } else {
        look_sparse(job, rows)
    }
}

vectorised! {
    fn look_dense(job: &Job<'_, '_>, rows: &mut Rows) -> Strip = dense
}

vectorised! {
    fn look_sparse(job: &Job<'_, '_>, rows: &mut Rows) -> Strip = sparse
}

#[inline(always)]
fn dense<V: Vector>(job: &Job<'_, '_>, rows: &mut Rows) -> Strip {
    look_at::<V, CELL>(job, rows)
}

#[inline(always)]
fn sparse<V: Vector>(job: &Job<'_, '_>, rows: &mut Rows) -> Strip {
    look_at::<V, { 2 * CELL }>(job, rows)
}

/// The pixels of a strip, laid out so that the values of neighbouring blocks lie side by side: `STEP`
/// below is the number of pixels from one block to the next. Used again for one strip after another.
#[derive(Default)]
struct Rows {
    /// Rows of pixels.
    height: usize,
    /// Values in one phase of a row.
    length: usize,
    /// Plane, row, phase, position.
    values: Vec<f32>,
    /// Sums over cells of 4 x 4 pixels.
    clipped: Cells,
    outside: Cells,
    square: Cells,
    fourth: Cells,
}

impl Rows {
    /// Column `x` of the eight blocks from `block` on.
    #[inline(always)]
    fn column<V: Vector, const STEP: usize>(
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
struct Cells {
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
    fn at<V: Vector, const STEP: usize>(&self, row: usize, x: usize, block: usize) -> V {
        V::load(&self.values[self.place::<STEP>(row, x) + block..])
    }

    /// Means over the eight blocks from `block` on whose first row of cells is `row`.
    #[inline(always)]
    fn blocks<V: Vector, const STEP: usize>(&self, row: usize, block: usize, count: f32) -> V {
        let above = self.at::<V, STEP>(row, 0, block).add(self.at::<V, STEP>(row, 1, block));
        let row = row + 1;
        let below = self.at::<V, STEP>(row, 0, block).add(self.at::<V, STEP>(row, 1, block));
        above.add(below).mul(V::splat(1.0 / count))
    }
}

#[inline(always)]
fn look_at<V: Vector, const STEP: usize>(job: &Job<'_, '_>, rows: &mut Rows) -> Strip {
    let Job { layout, stride, columns, .. } = *job;
    let planes = layout.planes;
    let across = columns.div_ceil(LANES);
    let vectors = across * job.rows;
    let mut strip = Strip { vectors, values: vec![0.0; layout.len() * vectors * LANES] };
    read::<V, STEP>(job, rows);
    let count = (AREA * planes) as f32;
    let diagonals = (AREA / 4 * if planes == 1 { 1 } else { planes - 1 }) as f32;
    let mut transformed = [[V::splat(0.0); AREA]; COLOURS];
    for row in 0..job.rows {
        for vector in 0..across {
            let (block, to) = (vector * LANES, row * across + vector);
            let mut most = V::splat(0.0);
            for plane in 0..planes {
                let coefficients = &mut transformed[plane];
                for y in 0..SIDE {
                    for x in 0..SIDE {
                        coefficients[y * SIDE + x] =
                            rows.column::<V, STEP>(plane, row * stride.0 + y, x, block);
                    }
                }
                transform_blocks(coefficients);
                let energy = energies(coefficients);
                let mut mean = V::splat(0.0);
                for band in 0..BANDS {
                    strip.set(layout.energy(plane, band), to, energy[band]);
                    let share = MEMBERS[band].len() as f32 / (AREA - 1) as f32;
                    mean = energy[band].multiply_add(V::splat(share), mean);
                }
                most = most.max(mean);
            }
            if planes == COLOURS {
                for (pair, (a, b)) in [(0, 1), (0, 2), (1, 2)].into_iter().enumerate() {
                    strip.set(layout.cross(pair), to, mean_cross(&transformed[a], &transformed[b]));
                }
            }
            for channel in 0..planes {
                strip.set(layout.mean(channel), to, mean_of(&transformed, planes, channel));
            }
            let cell = row * stride.0 / CELL;
            let clipped: V = rows.clipped.blocks::<V, STEP>(cell, block, count);
            strip.set(layout.clipped(), to, clipped);
            let square: V = rows.square.blocks::<V, STEP>(cell, block, diagonals);
            strip.set(layout.square(), to, square);
            let fourth: V = rows.fourth.blocks::<V, STEP>(cell, block, diagonals);
            strip.set(layout.fourth(), to, fourth);
            let outside = rows.outside.blocks::<V, STEP>(cell, block, 1.0).to_array();
            let most = most.to_array();
            let mut valid = [0.0; LANES];
            for lane in 0..LANES {
                let there = block + lane < columns;
                valid[lane] =
                    f32::from(u8::from(there && most[lane] > CONSTANT && outside[lane] == 0.0));
            }
            strip.set(layout.valid(), to, V::load(&valid));
        }
    }
    strip
}

/// Mean of a channel from the planes' constant coefficients.
#[inline(always)]
fn mean_of<V: Vector>(transformed: &[[V; AREA]; COLOURS], planes: usize, channel: usize) -> V {
    let eighth = V::splat(1.0 / SIDE as f32);
    if planes == 1 {
        return transformed[0][0].mul(eighth);
    }
    let mut out = V::splat(0.0);
    for plane in 0..COLOURS {
        let constant = transformed[plane][0].mul(eighth);
        out = out.add(constant.mul(V::splat(OPPONENT[plane][channel])));
    }
    out
}

/// Reads the pixels of a strip.
#[inline(always)]
fn read<V: Vector, const STEP: usize>(job: &Job<'_, '_>, rows: &mut Rows) {
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
fn to_planes<V: Vector>(channels: &[Vec<f32>], planes: &mut [Vec<f32>], length: usize) {
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
fn opponent<V: Vector>(red: V, green: V, blue: V, plane: usize) -> V {
    let [x, y, z] = OPPONENT[plane];
    red.mul(V::splat(x)).add(green.mul(V::splat(y))).add(blue.mul(V::splat(z)))
}

/// Counts the values at the ends of the range, channel for channel.
#[inline(always)]
fn add_ends<V: Vector>(channels: &[Vec<f32>], ends: (f32, f32), out: &mut [f32], length: usize) {
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
fn add_diagonals<V: Vector>(even: &[f32], odd: &[f32], squares: &mut [f32], fourths: &mut [f32]) {
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
fn deal<V: Vector, const STEP: usize>(values: &[f32], length: usize, out: &mut [f32]) {
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
