//! What the 8 x 8 blocks of an image testify about its noise.

use ndarray::{ArrayView2, ArrayView3};
use rayon::prelude::*;

use super::cosines::{energies, mean_cross, transform_blocks, AREA, BANDS, MEMBERS, SIDE};
use super::lanes::{vectorised, Vector, LANES};
use crate::error::Result;
use crate::host::Host;

/// Side of the cells that sums over blocks are put together from.
const CELL: usize = 4;
/// Images of more pixels have blocks further apart: first the rows, then the columns.
const SPARSE_ROWS: usize = 1 << 19;
const SPARSE_COLUMNS: usize = 1 << 21;
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
    /// Levels, a plane a channel.
    Made { height: usize, width: usize, planes: Vec<Vec<f32>>, included: Option<Vec<bool>> },
}

impl Picture<'_> {
    /// Height, width, channels.
    pub fn dim(&self) -> (usize, usize, usize) {
        match self {
            Picture::Given { pixels, .. } => pixels.dim(),
            Picture::Made { height, width, planes, .. } => (*height, *width, planes.len()),
        }
    }

    /// Copies the beginning of a row of a channel.
    fn row(&self, y: usize, channel: usize, out: &mut [f32]) {
        match self {
            Picture::Given { pixels, unit, .. } => {
                let (_, _, channels) = pixels.dim();
                let row = pixels.index_axis(ndarray::Axis(0), y);
                if let (1, Some(row)) = (channels, row.as_slice()) {
                    for (out, &pixel) in out.iter_mut().zip(row) {
                        *out = pixel * unit;
                    }
                } else if let Some(row) = row.as_slice() {
                    for (out, pixel) in out.iter_mut().zip(row.chunks_exact(channels)) {
                        *out = pixel[channel] * unit;
                    }
                } else {
                    for (out, pixel) in out.iter_mut().zip(row.outer_iter()) {
                        *out = pixel[channel] * unit;
                    }
                }
            }
            Picture::Made { width, planes, .. } => {
                let count = out.len();
                out.copy_from_slice(&planes[channel][y * width..y * width + count]);
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
            Picture::Made { width, included, .. } => {
                included.as_ref().is_none_or(|map| map[y * width + x])
            }
        }
    }

    /// Means of squares of 2 x 2 pixels.
    pub fn halved(&self) -> Picture<'static> {
        let (height, width, channels) = self.dim();
        let (rows, columns) = (height / 2, width / 2);
        let plane = |channel: usize| {
            let mut out = vec![0.0; rows * columns];
            out.par_chunks_mut(columns).enumerate().for_each(|(y, out)| {
                let (mut even, mut odd) = (vec![0.0; 2 * columns], vec![0.0; 2 * columns]);
                self.row(2 * y, channel, &mut even);
                self.row(2 * y + 1, channel, &mut odd);
                for (x, out) in out.iter_mut().enumerate() {
                    *out = (even[2 * x] + even[2 * x + 1] + odd[2 * x] + odd[2 * x + 1]) * 0.25;
                }
            });
            out
        };
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
        let planes = (0..channels).map(plane).collect();
        Picture::Made { height: rows, width: columns, planes, included }
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
    let stride =
        (if pixels > SPARSE_ROWS { 8 } else { 4 }, if pixels > SPARSE_COLUMNS { 8 } else { 4 });
    let lattice = ((height - SIDE) / stride.0 + 1, (width - SIDE) / stride.1 + 1);
    let layout = Layout { planes };
    let strips = (0..lattice.0.div_ceil(STRIP))
        .into_par_iter()
        .map(|index| {
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
            Ok(look(&job))
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

fn look(job: &Job<'_, '_>) -> Strip {
    if job.stride.1 == CELL {
        look_dense(job)
    } else {
        look_sparse(job)
    }
}

vectorised! {
    fn look_dense(job: &Job<'_, '_>) -> Strip = dense
}

vectorised! {
    fn look_sparse(job: &Job<'_, '_>) -> Strip = sparse
}

#[inline(always)]
fn dense<V: Vector>(job: &Job<'_, '_>) -> Strip {
    look_at::<V, CELL>(job)
}

#[inline(always)]
fn sparse<V: Vector>(job: &Job<'_, '_>) -> Strip {
    look_at::<V, { 2 * CELL }>(job)
}

/// The pixels of a strip, laid out so that the values of neighbouring blocks lie side by side.
///
/// `STEP` is the number of pixels from one block to the next.
struct Rows<const STEP: usize> {
    /// Rows of pixels.
    height: usize,
    /// Values in one phase of a row.
    length: usize,
    /// Plane, row, phase, position.
    values: Vec<f32>,
    /// Sums over cells of 4 x 4 pixels.
    clipped: Cells<STEP>,
    outside: Cells<STEP>,
    square: Cells<STEP>,
    fourth: Cells<STEP>,
}

impl<const STEP: usize> Rows<STEP> {
    /// Column `x` of the eight blocks from `block` on.
    #[inline(always)]
    fn column<V: Vector>(&self, plane: usize, y: usize, x: usize, block: usize) -> V {
        let row = (plane * self.height + y) * STEP * self.length;
        V::load(&self.values[row + x % STEP * self.length + block + x / STEP..])
    }
}

/// Sums over cells, laid out in phases like `Rows`.
struct Cells<const STEP: usize> {
    length: usize,
    values: Vec<f32>,
}

impl<const STEP: usize> Cells<STEP> {
    /// Cells from one block to the next.
    const PHASES: usize = STEP / CELL;

    fn new(rows: usize, length: usize) -> Self {
        Self { length, values: vec![0.0; rows * Self::PHASES * length] }
    }

    #[inline(always)]
    fn put(&mut self, row: usize, x: usize, value: f32) {
        let phase = row * Self::PHASES + x % Self::PHASES;
        self.values[phase * self.length + x / Self::PHASES] += value;
    }

    #[inline(always)]
    fn at<V: Vector>(&self, row: usize, x: usize, block: usize) -> V {
        let phase = row * Self::PHASES + x % Self::PHASES;
        V::load(&self.values[phase * self.length + block + x / Self::PHASES..])
    }

    /// Means over the eight blocks from `block` on whose first row of cells is `row`.
    #[inline(always)]
    fn blocks<V: Vector>(&self, row: usize, block: usize, count: f32) -> V {
        let above = self.at::<V>(row, 0, block).add(self.at(row, 1, block));
        let below = self.at::<V>(row + 1, 0, block).add(self.at(row + 1, 1, block));
        above.add(below).mul(V::splat(1.0 / count))
    }
}

#[inline(always)]
fn look_at<V: Vector, const STEP: usize>(job: &Job<'_, '_>) -> Strip {
    let Job { layout, stride, columns, .. } = *job;
    let planes = layout.planes;
    let across = columns.div_ceil(LANES);
    let vectors = across * job.rows;
    let mut strip = Strip { vectors, values: vec![0.0; layout.len() * vectors * LANES] };
    let rows = read::<STEP>(job);
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
                            rows.column(plane, row * stride.0 + y, x, block);
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
            strip.set::<V>(layout.clipped(), to, rows.clipped.blocks(cell, block, count));
            strip.set::<V>(layout.square(), to, rows.square.blocks(cell, block, diagonals));
            strip.set::<V>(layout.fourth(), to, rows.fourth.blocks(cell, block, diagonals));
            let outside = rows.outside.blocks::<V>(cell, block, 1.0).to_array();
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
fn read<const STEP: usize>(job: &Job<'_, '_>) -> Rows<STEP> {
    let Job { picture, stride, columns, layout, .. } = *job;
    let planes = layout.planes;
    let height = (job.rows - 1) * stride.0 + SIDE;
    let width = (columns - 1) * STEP + SIDE;
    let across = columns.next_multiple_of(LANES);
    // a block reaches two cells, and so one position (two at half the stride) beyond its own
    let length = across + SIDE / STEP + 1;
    let cells = height / CELL;
    let empty = || Cells::new(cells, length);
    let mut rows = Rows {
        height,
        length,
        values: vec![0.0; planes * height * STEP * length],
        clipped: empty(),
        outside: empty(),
        square: empty(),
        fourth: empty(),
    };
    // two rows at a time, for the squares of 2 x 2 pixels
    let mut channels = vec![vec![0.0_f32; width]; planes];
    let mut pair = vec![vec![vec![0.0_f32; width]; planes]; 2];
    let mut ends = vec![0.0_f32; width];
    let (mut squares, mut fourths) = (vec![0.0_f32; width / 2], vec![0.0_f32; width / 2]);
    for y in 0..height {
        let from = job.first * stride.0 + y;
        ends.fill(0.0);
        for (channel, values) in channels.iter_mut().enumerate() {
            picture.row(from, channel, values);
            for (end, &value) in ends.iter_mut().zip(values.iter()) {
                *end += if value <= job.low || value >= job.high { 1.0 } else { 0.0 };
            }
        }
        let row = &mut pair[y % 2];
        if planes == 1 {
            row[0].copy_from_slice(&channels[0]);
        } else {
            let (red, green, blue) = (&channels[0], &channels[1], &channels[2]);
            for (plane, out) in row.iter_mut().enumerate() {
                let weights = OPPONENT[plane];
                for x in 0..width {
                    out[x] = weights[0] * red[x] + weights[1] * green[x] + weights[2] * blue[x];
                }
            }
        }
        for (plane, values) in row.iter().enumerate() {
            let at = (plane * height + y) * STEP * length;
            deal::<STEP>(values, length, &mut rows.values[at..at + STEP * length]);
        }
        let cell = y / CELL;
        if picture.has_excluded() {
            for (x, end) in ends.iter_mut().enumerate() {
                if !picture.included(from, x) {
                    *end = 0.0;
                    rows.outside.put(cell, x / CELL, 1.0);
                }
            }
        }
        for (x, four) in ends.chunks_exact(CELL).enumerate() {
            rows.clipped.put(cell, x, four[0] + four[1] + four[2] + four[3]);
        }
        if y % 2 == 1 {
            squares.fill(0.0);
            fourths.fill(0.0);
            for plane in usize::from(planes == COLOURS)..planes {
                let (even, odd) = (&pair[0][plane], &pair[1][plane]);
                for x in 0..width / 2 {
                    let a = even[2 * x] - even[2 * x + 1] - odd[2 * x] + odd[2 * x + 1];
                    let square = a * a * 0.25;
                    squares[x] += square;
                    fourths[x] += square * square;
                }
            }
            for x in 0..width / CELL {
                rows.square.put(cell, x, squares[2 * x] + squares[2 * x + 1]);
                rows.fourth.put(cell, x, fourths[2 * x] + fourths[2 * x + 1]);
            }
        }
    }
    rows
}

/// Deals a row out to phases: the values that lie a whole number of blocks apart.
#[inline(always)]
fn deal<const STEP: usize>(values: &[f32], length: usize, out: &mut [f32]) {
    for (position, group) in values.chunks(STEP).enumerate() {
        for (phase, &value) in group.iter().enumerate() {
            out[phase * length + position] = value;
        }
    }
}
