//! What is measured of the 8 x 8 blocks of an image.

use rayon::prelude::*;

use super::cosines::{energies, mean_cross, transform_blocks, AREA, BANDS, MEMBERS, SIDE};
use super::picture::Picture;
use super::rows::{read, Rows, OPPONENT};
use crate::error::Result;
use crate::host::Host;
use crate::utils::simd::{kernel, F32x8};

/// Blocks that are looked at together, each in a lane of a vector.
pub(super) const LANES: usize = 8;
/// Side of the cells that sums over blocks are put together from.
pub(super) const CELL: usize = 4;
/// Images of more pixels have blocks further apart: first the rows, then the columns. Of the smaller
/// copies, less is asked.
const SPARSE: [usize; 2] = [1 << 18, 1 << 19];
const SPARSE_COPIES: [usize; 2] = [1 << 16, 1 << 17];
/// Blocks whose coefficients have less mean energy (in squared levels) are constant, up to rounding.
const CONSTANT: f32 = 1e-6;
/// How near the ends of the range counts as there: what is subtracted from an image leaves roundings.
pub(super) const AT_THE_ENDS: f32 = 1e-2;
/// Rows of blocks in a strip. Fixed, so that sums do not depend on the number of threads.
pub(super) const STRIP: usize = 8;
/// Planes in colour: luminance first, then two that the content has little part in.
pub(super) const COLOURS: usize = 3;

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
    /// Of values that have been measured elsewhere.
    #[cfg(feature = "cuda")]
    pub(super) fn new(vectors: usize, values: Vec<f32>) -> Self {
        Self { vectors, values }
    }

    /// A field of a vector of blocks.
    #[inline(always)]
    pub(super) fn get<V: F32x8>(&self, field: usize, vector: usize) -> V {
        V::load(&self.values[(field * self.vectors + vector) * LANES..])
    }

    #[inline(always)]
    fn set<V: F32x8>(&mut self, field: usize, vector: usize, values: V) {
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
pub(super) fn noise_energy<V: F32x8>(strip: &Strip, layout: Layout, vector: usize) -> V {
    if layout.planes == 1 {
        return fine(strip, layout, 0, vector);
    }
    let second: V = fine(strip, layout, 1, vector);
    second.add(fine(strip, layout, 2, vector)).mul(V::splat(0.5))
}

/// Mean energy of the two highest bands.
#[inline(always)]
pub(super) fn fine<V: F32x8>(strip: &Strip, layout: Layout, plane: usize, vector: usize) -> V {
    let three: V = strip.get(layout.energy(plane, 3), vector);
    three.add(strip.get(layout.energy(plane, 4), vector)).mul(V::splat(0.5))
}

/// What is recorded of the blocks of a picture of this height, width and number of channels, how many rows
/// and columns of them there are, and how far apart they are.
pub(super) fn lattice_of(
    (height, width, planes): (usize, usize, usize),
    given: bool,
) -> (Layout, (usize, usize), (usize, usize)) {
    let pixels = height * width;
    let sparse = if given { SPARSE } else { SPARSE_COPIES };
    let [down, right] = sparse.map(|enough| if pixels > enough { 2 * CELL } else { CELL });
    let lattice = ((height - SIDE) / down + 1, (width - SIDE) / right + 1);
    (Layout { planes }, lattice, (down, right))
}

/// Measures all blocks of a picture at least as large as one.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub(super) fn measure_blocks(
    picture: &Picture,
    low: f32,
    high: f32,
    host: &dyn Host,
) -> Result<Blocks> {
    let given = matches!(picture, Picture::Given { .. });
    let (layout, lattice, stride) = lattice_of(picture.dim(), given);
    let strips = (0..lattice.0.div_ceil(STRIP))
        .into_par_iter()
        .map_init(Rows::default, |rows, index| {
            host.check()?;
            let first = index * STRIP;
            let job = Job {
                picture,
                low: low + AT_THE_ENDS,
                high: high - AT_THE_ENDS,
                layout,
                stride,
                columns: lattice.1,
                first,
                rows: STRIP.min(lattice.0 - first),
            };
            Ok(measure(&job, rows))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Blocks { layout, lattice, stride, strips })
}

/// A strip of blocks to measure.
pub(super) struct Job<'a, 'p> {
    pub picture: &'a Picture<'p>,
    /// What is at most this, or at least `high`, may have been clipped.
    pub low: f32,
    pub high: f32,
    pub layout: Layout,
    pub stride: (usize, usize),
    pub columns: usize,
    pub first: usize,
    pub rows: usize,
}

fn measure(job: &Job<'_, '_>, rows: &mut Rows) -> Strip {
    if job.stride.1 == CELL {
        measure_dense(job, rows)
    } else {
        measure_sparse(job, rows)
    }
}

kernel! {
    fn measure_dense<S>(job: &Job<'_, '_>, rows: &mut Rows) -> Strip {
        measure_at::<S::F32x8, CELL>(job, rows)
    }
}

kernel! {
    fn measure_sparse<S>(job: &Job<'_, '_>, rows: &mut Rows) -> Strip {
        measure_at::<S::F32x8, { 2 * CELL }>(job, rows)
    }
}

#[inline(always)]
fn measure_at<V: F32x8, const STEP: usize>(job: &Job<'_, '_>, rows: &mut Rows) -> Strip {
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
fn mean_of<V: F32x8>(transformed: &[[V; AREA]; COLOURS], planes: usize, channel: usize) -> V {
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
