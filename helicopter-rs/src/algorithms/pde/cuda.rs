//! The equations solved on a device: the iteration of `multigrid` over all components at once, with
//! everything but the coarsest matrix (at most [`BOTTOM`] cells) and the looks at the error there.

use std::sync::Arc;

use ndarray::{ArrayView2, ArrayViewMut3};

use super::coarse::smoothing_range;
use super::multigrid::{richardson, tolerance, MOST_ITERATIONS};
use super::stencil::Kind;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::utils::cuda_bindings::{args, source, Arg, Buffer, Gpu, Launch, Module, Source};
use crate::utils::tensor_ops::{check_shape, in_order};

mod levels;
#[cfg(test)]
mod tests;

use levels::Hierarchy;

static PDE: Source = source!("pde.cu");

/// Free cells around every array.
const PAD: usize = 2;
/// Doubles of the iteration's state, for each channel.
const SCALARS: usize = 6;
/// Where among them it stands whether the iteration is over.
const DONE: usize = 5;

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First row and column.
    pub top: usize,
    /// See `top`.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

fn module(gpu: &Gpu, kind: Kind) -> Result<Arc<Module>> {
    gpu.module(&PDE, &[format!("-DBIHARMONIC={}", u8::from(kind == Kind::Biharmonic))])
}

/// The smallest rectangle with all hidden pixels of a mask that begins at `offset`; none if all are visible.
///
/// # Errors
/// [`Error::Device`], or [`Error::Argument`] if nothing is visible.
pub fn hidden_window(
    gpu: &Arc<Gpu>,
    hidden: &Buffer<u8>,
    offset: usize,
    (height, width): (usize, usize),
) -> Result<Option<Window>> {
    let module = module(gpu, Kind::Harmonic)?;
    let found = gpu.upload(&[i32::MAX, i32::MAX, -1, -1])?;
    let total = gpu.zeros::<u64>(1)?;
    let launch =
        Launch { grid: [height.clamp(1, 1024) as u32, 1, 1], block: [256, 1, 1], shared: 0 };
    let (h, w) = (height as i32, width as i32);
    gpu.launch(&module, "bounds", launch, args![(hidden, offset), &found, &total, h, w])?;
    let total = total.download()?[0] as usize;
    if total == 0 {
        return Ok(None);
    }
    if total == height * width {
        return Err(Error::argument(
            "solve_pde",
            "mask",
            "False for at least one pixel",
            "True for all of them",
        ));
    }
    let found: Vec<usize> = found.download()?.into_iter().map(|side| side as usize).collect();
    Ok(Some(Window {
        top: found[0],
        left: found[1],
        height: found[2] + 1 - found[0],
        width: found[3] + 1 - found[1],
    }))
}

/// As [`super::solve`], on a device.
///
/// # Errors
/// As [`super::solve`]; and [`Error::Device`].
pub fn solve(
    gpu: &Arc<Gpu>,
    mut image: ArrayViewMut3<f32>,
    mask: ArrayView2<bool>,
    kind: Kind,
    host: &dyn Host,
) -> Result<()> {
    let size = image.dim();
    check_shape("solve_pde", size, mask.dim())?;
    let hidden: Vec<u8> = mask.iter().map(|&hidden| u8::from(hidden)).collect();
    let hidden = gpu.upload(&hidden)?;
    in_order(&mut image, |pixels| {
        let on_device = gpu.upload(pixels)?;
        solve_on(gpu, (&on_device, 0), (&hidden, 0), size, kind, host)?;
        on_device.download_into(pixels)
    })
}

/// Fills the hidden pixels of an image (height, width, channels) that begins at an offset of a buffer; the
/// mask holds 0 for visible pixels.
///
/// # Errors
/// As [`solve`].
pub fn solve_on(
    gpu: &Arc<Gpu>,
    image: (&Buffer<f32>, usize),
    hidden: (&Buffer<u8>, usize),
    (height, width, channels): (usize, usize, usize),
    kind: Kind,
    host: &dyn Host,
) -> Result<()> {
    let Some(window) = hidden_window(gpu, hidden.0, hidden.1, (height, width))? else {
        return Ok(());
    };
    let picture = Picture {
        gpu,
        module: module(gpu, kind)?,
        kind,
        image,
        hidden,
        size: (height, width, channels),
        window,
        stride: stride_of(window.width),
    };
    // All channels at once if there is room: what they share is then read once.
    if picture.bytes(channels) > gpu.memory()?.0 {
        gpu.trim();
    }
    let (free, _) = gpu.memory()?;
    if picture.bytes(1) > free {
        // the image fits and what its equation takes does not: that is solved where there is more room
        let (pixels, values) = (height * width, height * width * channels);
        let mut all = image.0.download()?;
        let mask: Vec<bool> = hidden.0.download()?[hidden.1..hidden.1 + pixels]
            .iter()
            .map(|&hidden| hidden != 0)
            .collect();
        let own = &mut all[image.1..image.1 + values];
        let shaped = ArrayViewMut3::from_shape((height, width, channels), own);
        let masked = ArrayView2::from_shape((height, width), &mask);
        let (Ok(shaped), Ok(masked)) = (shaped, masked) else { unreachable!("of this size") };
        super::solve(shaped, masked, kind, host)?;
        return image.0.overwrite(&all);
    }
    let together = if picture.bytes(channels) < free { channels } else { 1 };
    for first in (0..channels).step_by(together) {
        picture.solve(first, together, host)?;
    }
    Ok(())
}

/// Cells from row to row; a multiple of 32 bytes for the sake of whole sectors.
fn stride_of(width: usize) -> usize {
    (width + 2 * PAD).next_multiple_of(8)
}

/// 32 x 8 threads to a block over a rectangle, for so many channels.
fn plane(height: usize, width: usize, channels: usize) -> Launch {
    let grid = [width.div_ceil(32) as u32, height.div_ceil(8) as u32, channels as u32];
    Launch { grid, block: [32, 8, 1], shared: 0 }
}

/// One block for each channel.
fn single(channels: usize, threads: u32) -> Launch {
    Launch { grid: [1, 1, channels as u32], block: [threads, 1, 1], shared: 0 }
}

struct Picture<'a> {
    gpu: &'a Arc<Gpu>,
    module: Arc<Module>,
    kind: Kind,
    image: (&'a Buffer<f32>, usize),
    hidden: (&'a Buffer<u8>, usize),
    size: (usize, usize, usize),
    window: Window,
    stride: usize,
}

impl Picture<'_> {
    fn cells(&self) -> usize {
        self.stride * (self.window.height + 2 * PAD)
    }

    /// What some channels take at most: vectors, and coarse levels whose rows all differ.
    fn bytes(&self, channels: usize) -> usize {
        self.cells() * (channels * (5 * 8 + 3 * 4 + 4) + 1 + 37)
    }

    fn solve(&self, first: usize, channels: usize, host: &dyn Host) -> Result<()> {
        let gpu = self.gpu;
        let cells = channels * self.cells();
        let (h, w, c) = (self.size.0 as i32, self.size.1 as i32, self.size.2 as i32);
        let Window { top, left, height, width } = self.window;
        let (top, left) = (top as i32, left as i32);
        let (rows, cols, stride) = (height as i32, width as i32, self.stride as i32);
        let shape = plane(height, width, channels);
        let blocks = (shape.grid[0] * shape.grid[1]) as usize;

        let active = gpu.zeros::<u8>(self.cells())?;
        let r = gpu.zeros::<f64>(cells)?;
        let rounded = gpu.zeros::<f32>(cells)?;
        let (image, hidden, start) = (self.image, self.hidden, first as i32);
        self.run(
            "right_hand_side",
            shape,
            args![
                image, hidden, &active, &r, &rounded, h, w, c, start, top, left, rows, cols, stride
            ],
        )?;
        let hierarchy = Hierarchy::new(self, &active, channels)?;

        let x = gpu.zeros::<f64>(cells)?;
        let (mut p, mut before) = (gpu.zeros::<f64>(cells)?, gpu.zeros::<f64>(cells)?);
        let q = gpu.zeros::<f64>(cells)?;
        let (mut z, mut spare) = (gpu.zeros::<f32>(cells)?, gpu.zeros::<f32>(cells)?);
        let sums = gpu.zeros::<f64>(blocks * channels)?;
        let most = gpu.zeros::<f32>(blocks * channels)?;
        let scalars = gpu.zeros::<f64>(SCALARS * channels)?;
        let count = blocks as i32;
        for _ in 0..MOST_ITERATIONS {
            host.check()?;
            hierarchy.cycle(self, &active, &rounded, (&mut z, &mut spare), (&sums, &most))?;
            let each = single(channels, 256);
            self.run("turn", each, args![&sums, &most, &scalars, count])?;
            std::mem::swap(&mut p, &mut before);
            self.run(
                "direction",
                shape,
                args![
                    &z, &before, &p, &q, &active, &scalars, &sums, h, w, top, left, rows, cols,
                    stride
                ],
            )?;
            self.run("go", each, args![&sums, &scalars, count, tolerance(self.kind)])?;
            let line = [self.cells().div_ceil(256) as u32, 1, channels as u32];
            let line = Launch { grid: line, block: [256, 1, 1], shared: 0 };
            self.run("advance", line, args![&p, &q, &x, &r, &rounded, &scalars, rows, stride])?;
            if scalars.download()?.chunks(SCALARS).all(|of| of[DONE] != 0.0) {
                break;
            }
        }
        self.run(
            "fill",
            shape,
            args![&x, &active, image, w, c, start, top, left, rows, cols, stride],
        )
    }

    fn run(&self, name: &str, shape: Launch, args: &[Arg]) -> Result<()> {
        self.gpu.launch(&self.module, name, shape, args)
    }

    /// The smoother's steps for the finest matrix, scaled to a norm of 1.
    fn steps(&self) -> Vec<f32> {
        let (range, degree) = smoothing_range(self.kind);
        richardson(range, degree).into_iter().map(|step| step as f32).collect()
    }

    fn norm(&self) -> f32 {
        (1.0 / self.kind.largest_eigenvalue()) as f32
    }
}
