//! Filling hidden pixels by solving a partial differential equation exactly.
//!
//! The unknowns are the hidden pixels, the visible ones are boundary values. The hidden pixels fall into
//! connected components with independent systems, and each is solved by what suits its size:
//!
//! * a sparse Cholesky factorisation along a nested dissection, equal parts factorised once (`ordering`,
//!   `cholesky`): almost always, and exact but for rounding;
//! * conjugate gradients with a multigrid preconditioner (`multigrid`): holes of millions of pixels;
//! * overlapping tiles solved in turn (`tiles`): what does not even fit in memory.
//!
//! All arithmetic is in float64. No result depends on the number of threads: components are independent,
//! and sums within one are taken in a fixed order.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut3};
use rayon::prelude::*;

mod bitmap;
mod cholesky;
mod coarse;
mod components;
#[cfg(feature = "cuda")]
pub mod cuda;
mod direct;
mod embedding;
mod grid;
mod kernels;
mod micro;
mod multigrid;
mod ordering;
mod stencil;
#[cfg(test)]
mod tests;
mod tiles;

pub use stencil::Kind;

use bitmap::Bitmap;
use components::{Component, Finder};
use ordering::Cost;
use stencil::Operator;

use crate::error::Result;
use crate::host::Host;
use crate::utils::tensor_ops::{check_shape, in_order};

/// Hidden pixels collected before they are solved: enough to keep all threads busy, little memory.
const BATCH_PIXELS: usize = 1 << 20;
/// Rows searched for components between two looks at the cancel flag.
const ROWS_PER_POLL: usize = 64;
/// Pixels one task solves at least.
const TASK_PIXELS: usize = 1 << 14;
/// Components up to this size are solved side by side; they never exceed `DIRECT_LIMIT`.
const SMALL_PIXELS: usize = 1 << 16;
/// Beyond one of these a component is not factorised: 640 MB of factors, a few seconds of work.
const DIRECT_LIMIT: Cost = Cost { factor_len: 80 << 20, front_len: 32 << 20, work: 6e10 };
/// Pixels of the rectangle of a component that is factorised at most.
const DIRECT_AREA: usize = 4 << 20;
/// Pixels of the rectangle of a component that multigrid solves at most: it needs some 50 bytes for each.
const MULTIGRID_AREA: usize = 27 << 20;
/// The same where equal rows of the coarse matrices are rare.
const MULTIGRID_POROUS_AREA: usize = 1 << 20;

/// What all components of one call share.
#[derive(Clone, Copy)]
struct Field<'a> {
    operator: Operator,
    channels: usize,
    hidden: &'a Bitmap,
    image: &'a [f32],
}

/// The image while it is being filled.
struct Picture<'a> {
    operator: Operator,
    channels: usize,
    hidden: &'a Bitmap,
    image: &'a mut [f32],
}

/// Fills the pixels that `mask` marks with the solution of the equation `kind`, clipped to 0..1.
///
/// Visible pixels are not touched, and what hidden ones hold does not matter. The work is done in the
/// current rayon pool; the result does not depend on its size. At least one pixel must be visible.
///
/// # Errors
/// [`Error::Cancelled`](crate::error::Error::Cancelled) soon after `host` asks for it, when some hidden pixels may be filled already;
/// [`Error::Argument`](crate::error::Error::Argument) for a mask that does not fit or a number of channels other than 1 and 3.
pub fn solve(
    mut image: ArrayViewMut3<f32>,
    mask: ArrayView2<bool>,
    kind: Kind,
    host: &dyn Host,
) -> Result<()> {
    let (height, width, channels) = image.dim();
    check_shape("solve_pde", image.dim(), mask.dim())?;
    let hidden = Bitmap::from_mask(mask);
    let operator = Operator { kind, height: height as i32, width: width as i32 };
    in_order(&mut image, |pixels| {
        let mut picture = Picture { operator, channels, hidden: &hidden, image: pixels };
        fill(&mut picture, &hidden, 0..height, true, host).map(|_| ())
    })
}

/// Solves for the pixels of `unknown`, all of them in `rows`; every other pixel counts as known. Returns the
/// largest change of a pixel.
fn fill(
    picture: &mut Picture,
    unknown: &Bitmap,
    rows: Range<usize>,
    clip: bool,
    host: &dyn Host,
) -> Result<f32> {
    let mut finder = Finder::new(picture.operator.kind);
    let mut batch = Vec::new();
    let mut pixels = 0;
    let mut change = 0.0_f32;
    let height = rows.end;
    for y in rows {
        finder.push_row(y as u32, unknown.row(y), &mut |component| {
            pixels += component.pixels;
            batch.push(component);
        });
        if y % ROWS_PER_POLL == 0 {
            host.check()?;
        }
        if pixels >= BATCH_PIXELS {
            change =
                change.max(fill_batch(picture, unknown, std::mem::take(&mut batch), clip, host)?);
            pixels = 0;
        }
    }
    finder.finish(height as u32, &mut |component| batch.push(component));
    Ok(change.max(fill_batch(picture, unknown, batch, clip, host)?))
}

fn fill_batch(
    picture: &mut Picture,
    unknown: &Bitmap,
    batch: Vec<Component>,
    clip: bool,
    host: &dyn Host,
) -> Result<f32> {
    let (small, large): (Vec<_>, Vec<_>) =
        batch.into_iter().partition(|component| component.pixels <= SMALL_PIXELS);
    let mut change = 0.0_f32;
    let tasks = cut_in_tasks(&small);
    let field = picture.field(unknown);
    let solve =
        |task: &Range<usize>| direct::solve_batch(&field, &small[task.clone()], DIRECT_LIMIT, host);
    let solved: Vec<_> = if let [task] = tasks.as_slice() {
        vec![solve(task)?]
    } else {
        tasks.par_iter().map(solve).collect::<Result<_, _>>()?
    };
    let mut left = Vec::new();
    for (component, values) in small.iter().zip(solved.into_iter().flatten()) {
        match values {
            Some(values) => change = change.max(picture.write(component, &values, clip)),
            None => left.push(component),
        }
    }
    // One at a time: for the sake of memory, and so that what is affordable does not depend on the others.
    for component in &large {
        let one = std::slice::from_ref(component);
        match direct::solve_batch(&picture.field(unknown), one, DIRECT_LIMIT, host)?.pop() {
            Some(Some(values)) => change = change.max(picture.write(component, &values, clip)),
            _ => left.push(component),
        }
    }
    for component in left {
        let area = component.height() * component.width();
        let porous = area > MULTIGRID_POROUS_AREA && tiles::is_porous(component, unknown);
        if area > MULTIGRID_AREA || porous {
            tiles::solve_component(picture, component, porous, host)?;
            if clip {
                picture.clip(component);
            }
        } else {
            change =
                change.max(multigrid::solve_component(picture, unknown, component, clip, host)?);
        }
    }
    Ok(change)
}

/// Cuts a batch in pieces of similar size, several per thread so that none idles at the end.
fn cut_in_tasks(batch: &[Component]) -> Vec<Range<usize>> {
    let total: usize = batch.iter().map(|component| component.pixels).sum();
    let threads = rayon::current_num_threads();
    // A single thread profits from seeing everything at once: more shapes are equal.
    let share = if threads == 1 { usize::MAX } else { (total / (4 * threads)).max(TASK_PIXELS) };
    let mut tasks = Vec::new();
    let (mut from, mut pixels) = (0, 0);
    for (number, component) in batch.iter().enumerate() {
        pixels += component.pixels;
        if pixels >= share {
            tasks.push(from..number + 1);
            (from, pixels) = (number + 1, 0);
        }
    }
    if from < batch.len() {
        tasks.push(from..batch.len());
    }
    tasks
}

impl Picture<'_> {
    /// The picture as it is, with the pixels of `unknown` to be found.
    fn field<'b>(&'b self, unknown: &'b Bitmap) -> Field<'b> {
        Field {
            operator: self.operator,
            channels: self.channels,
            hidden: unknown,
            image: &*self.image,
        }
    }

    /// Writes a component's values, given in the order of its runs. Returns the largest change.
    fn write(&mut self, component: &Component, values: &[f32], clip: bool) -> f32 {
        let width = self.operator.width as usize;
        let mut rest = values;
        let mut change = 0.0_f32;
        for run in &component.runs {
            let from = self.channels * (run.y as usize * width + run.from as usize);
            let (now, later) = rest.split_at(self.channels * (run.to - run.from) as usize);
            rest = later;
            let pixels = &mut self.image[from..from + now.len()];
            if clip {
                for (pixel, &value) in pixels.iter_mut().zip(now) {
                    *pixel = value.clamp(0.0, 1.0);
                }
            } else {
                for (pixel, &value) in pixels.iter_mut().zip(now) {
                    change = change.max((*pixel - value).abs());
                    *pixel = value;
                }
            }
        }
        change
    }

    fn clip(&mut self, component: &Component) {
        let width = self.operator.width as usize;
        for run in &component.runs {
            let from = self.channels * (run.y as usize * width + run.from as usize);
            for pixel in &mut self.image[from..from + self.channels * (run.to - run.from) as usize]
            {
                *pixel = pixel.clamp(0.0, 1.0);
            }
        }
    }
}
