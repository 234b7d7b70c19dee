//! Computing the network over a part of an image.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::calibration::Calibration;
use super::dense::Dense;
use super::graph::{Graph, Op};
use super::kernels;
use super::line::{Line, WIDTH};
use super::picture::Picture;
use super::product::Product;
use super::rows::{Memory, Rows, RowsMut, Shape};
use super::schedule::Plan;
use super::weights::{COLOURS, SUBPIXELS};
use super::winograd::{Conv, ConvJob, TILE};
use crate::error::Result;
use crate::host::Host;
use crate::utils::simd::Isa;

/// Working memory that a group of tiles may take: some of the second cache.
const SCRATCH_BYTES: usize = 1 << 20;
/// Tiles of a group: enough to reuse weights, few enough for the cache.
const GROUP: Range<usize> = 24..48;

thread_local! {
    /// Working memory of a thread, kept from call to call.
    static SCRATCH: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// One run over a part of an image.
pub(super) struct Pass<'a> {
    pub graph: &'a Graph,
    pub calibration: &'a Calibration,
    pub plan: &'a Plan,
    pub isa: Isa,
    pub memory: &'a Memory,
    pub host: &'a dyn Host,
}

impl Pass<'_> {
    /// Corrects the hidden pixels of `picture` that the plan is for.
    pub fn run(&self, picture: &mut Picture) -> Result<()> {
        let shapes = self.plan.shapes(self.graph);
        let floats = shapes.iter().map(Shape::floats).sum();
        self.memory.lend(floats, |mut memory| {
            let mut maps = Vec::with_capacity(shapes.len());
            for shape in &shapes {
                let (of_map, rest) = memory.split_at_mut(shape.floats());
                maps.push(Rows::new(shape, of_map));
                memory = rest;
            }
            self.plan.run(self.graph, |done, index, rows| {
                self.host.check()?;
                // what all that is unsafe in a step relies on
                assert!(self.plan.allows(self.graph, done, index, &rows));
                let writer = maps[index].writer();
                self.step(index, rows, &maps, writer, picture);
                Ok(())
            })
        })
    }

    /// Computes some rows of one map.
    fn step(
        &self,
        index: usize,
        rows: Range<usize>,
        maps: &[Rows<'_>],
        output: RowsMut,
        picture: &mut Picture,
    ) {
        let node = &self.graph.nodes[index];
        let cols = self.plan.cols[index].clone();
        match &node.op {
            Op::Features => {
                let picture = &*picture;
                rows.into_par_iter().for_each(|row| {
                    // SAFETY: each row is written by one task, and read in later steps only.
                    unsafe { picture.features(row, &cols, output) };
                });
            }
            Op::Conv { conv, input, residual, relu_blocks } => self.conv(&ConvJob {
                conv,
                input: &maps[*input],
                residual: residual.map(|node| &maps[node]),
                output,
                rows,
                cols,
                height: self.plan.height >> node.level,
                relu_blocks: *relu_blocks,
            }),
            Op::Shrink { dense, input } => {
                let from = &maps[*input];
                rows.into_par_iter().for_each(|row| {
                    let col = 2 * cols.start;
                    // SAFETY: the schedule keeps the rows that are needed; this one is ours.
                    unsafe {
                        let halves = [from.pixel(2 * row, col), from.pixel(2 * row + 1, col)];
                        let (from, to) =
                            (Input::pair(halves, dense), output.pixel(row, cols.start));
                        self.dense(dense, cols.len(), from, std::ptr::null(), to);
                    }
                });
            }
            Op::Grow { dense, input, skip } => {
                let (from, skip) = (&maps[*input], &maps[*skip]);
                let (first, last) = (cols.start / 2, cols.end.div_ceil(2));
                rows.into_par_iter().for_each(|row| {
                    let depth = self.graph.nodes[*input].blocks * WIDTH;
                    // SAFETY: as above.
                    unsafe {
                        let from = Input::one(from.pixel(row / 2, first), depth);
                        let (skip, to) =
                            (skip.pixel(row, cols.start), output.pixel(row, cols.start));
                        self.dense(&dense[row % 2], last - first, from, skip, to);
                    }
                });
            }
            Op::Pixels { dense, input, scales } => {
                self.pixels(rows, cols, dense, *scales, &maps[*input], picture);
            }
        }
    }

    fn conv(&self, job: &ConvJob) {
        let tiles = job.tiles();
        let most = group_of(job.conv);
        let groups = tiles.div_ceil(most).max(rayon::current_num_threads().min(tiles / TILE));
        let size = tiles.div_ceil(groups.max(1));
        (0..tiles.div_ceil(size)).into_par_iter().for_each(|group| {
            let some = group * size..((group + 1) * size).min(tiles);
            let lines = job.conv.scratch_lines(some.len());
            with_scratch(lines, |scratch| {
                // SAFETY: the schedule keeps the rows that are needed; the tiles of a group are its own.
                unsafe { kernels::conv(self.isa, job, some, scratch) }
            });
        });
    }

    /// A dense layer over one row.
    ///
    /// # Safety
    /// The pointers are good for `count` positions.
    unsafe fn dense(
        &self,
        dense: &Dense,
        count: usize,
        from: Input,
        addend: *const f32,
        out: *mut f32,
    ) {
        debug_assert!(dense.depth.is_multiple_of(from.halves));
        let product = Product {
            rows: count,
            blocks: dense.blocks,
            a: from.at,
            halves: from.halves,
            a_stride: from.stride,
            depth: dense.depth / from.halves,
            weights: dense.weights(),
            bias: dense.bias(),
            addend,
            out,
            out_stride: dense.blocks * WIDTH,
        };
        kernels::product(self.isa, &product);
    }

    /// Writes the pixels of some rows of positions, and their sigma.
    fn pixels(
        &self,
        rows: Range<usize>,
        cols: Range<usize>,
        dense: &Dense,
        scales: usize,
        input: &Rows,
        picture: &mut Picture,
    ) {
        let blocks = scales + (SUBPIXELS * COLOURS).div_ceil(WIDTH);
        picture.row_pairs(rows).for_each(|(row, mut pair)| {
            if !pair.any_hidden(&cols) {
                return;
            }
            with_scratch(cols.len(), |scratch| {
                debug_assert!(scratch.len() == cols.len() && dense.blocks == 1);
                let out = scratch.as_mut_ptr().cast::<f32>();
                // SAFETY: the schedule keeps the row; `out` has a line for each position.
                let corrections = unsafe {
                    let at = input.pixel(row, cols.start);
                    let from = Input::one(at, blocks * WIDTH);
                    self.dense(dense, cols.len(), from, std::ptr::null(), out);
                    debug_assert!(!cols.is_empty());
                    let length = (cols.len() - 1) * blocks * WIDTH + WIDTH;
                    std::slice::from_raw_parts(at.add(scales * WIDTH), length)
                };
                let corrections = corrections.chunks(blocks * WIDTH);
                pair.correct(&cols, corrections.zip(&*scratch), self.calibration);
            });
        });
    }
}

/// The rows that go into a product.
#[derive(Clone, Copy)]
struct Input {
    at: [*const f32; 2],
    halves: usize,
    stride: usize,
}

impl Input {
    fn one(at: *const f32, stride: usize) -> Self {
        Self { at: [at, std::ptr::null()], halves: 1, stride }
    }

    /// Two pixels of each of two rows.
    fn pair(at: [*const f32; 2], dense: &Dense) -> Self {
        Self { at, halves: 2, stride: dense.depth / 2 }
    }
}

/// How many tiles are computed together at most.
fn group_of(conv: &Conv) -> usize {
    let per_tile = conv.scratch_lines(1) * size_of::<Line>();
    (SCRATCH_BYTES / per_tile / 6 * 6).clamp(GROUP.start, GROUP.end)
}

/// Lends working memory, of which nothing is known.
fn with_scratch<T>(lines: usize, work: impl FnOnce(&mut [Line]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < lines {
            scratch.resize(lines, Line::ZERO);
        }
        work(&mut scratch[..lines])
    })
}
