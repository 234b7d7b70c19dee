//! The levels below the image: their matrices, and the V-cycle through them.

use super::{plane, single, stride_of, Picture, Window, PAD};
use crate::algorithms::pde::multigrid::Dense;
use crate::error::Result;
use crate::utils::cuda_bindings::{args, Buffer, Launch};

/// Cells of the coarsest level at most: a single block solves for them with the inverse.
const BOTTOM: usize = 100;
/// Entries of a row, and its scale.
const ROW: usize = 26;
/// Side of the blocks that restrict.
const COARSE: usize = 16;

/// A coarse matrix and the vectors of its level.
struct Level {
    height: usize,
    width: usize,
    stride: usize,
    number: Buffer<u32>,
    rows: Buffer<f32>,
    count: usize,
    r: Buffer<f32>,
    z: Buffer<f32>,
    spare: Buffer<f32>,
}

/// The inverse of the coarsest matrix, for the listed cells.
struct Bottom {
    inverse: Buffer<f32>,
    cells: Buffer<i32>,
    count: usize,
}

pub(super) struct Hierarchy {
    levels: Vec<Level>,
    bottom: Bottom,
    channels: usize,
}

impl Level {
    fn cells(&self) -> usize {
        self.stride * (self.height + 2 * PAD)
    }

    fn sizes(&self) -> (i32, i32, i32) {
        (self.height as i32, self.width as i32, self.stride as i32)
    }
}

impl Hierarchy {
    pub fn new(picture: &Picture, active: &Buffer<u8>, channels: usize) -> Result<Self> {
        let mut levels: Vec<Level> = Vec::new();
        loop {
            let next = coarser(picture, active, levels.last(), channels)?;
            let last = next.height * next.width <= BOTTOM;
            levels.push(next);
            if last {
                break;
            }
        }
        let bottom = Bottom::new(picture, &levels[levels.len() - 1])?;
        Ok(Self { levels, bottom, channels })
    }

    /// `z` becomes an approximation of `A^-1 r`; what its product with `r` and its largest value are made of
    /// goes to `partial`.
    pub fn cycle(
        &self,
        picture: &Picture,
        active: &Buffer<u8>,
        r: &Buffer<f32>,
        (z, spare): (&mut Buffer<f32>, &mut Buffer<f32>),
        partial: (&Buffer<f64>, &Buffer<f32>),
    ) -> Result<()> {
        let (h, w) = (picture.size.0 as i32, picture.size.1 as i32);
        let Window { top, left, height, width } = picture.window;
        let shape = plane(height, width, self.channels);
        let (top, left) = (top as i32, left as i32);
        let (rows, cols, stride) = (height as i32, width as i32, picture.stride as i32);
        let steps: Vec<f32> =
            picture.steps().into_iter().map(|step| step * picture.norm()).collect();
        picture.run(
            "smooth_first",
            shape,
            args![r, &*z, active, h, w, top, left, rows, cols, stride, steps[0], steps[1]],
        )?;
        for &step in &steps[2..] {
            picture.run(
                "smooth",
                shape,
                args![r, &*z, &*spare, active, h, w, top, left, rows, cols, stride, step],
            )?;
            std::mem::swap(z, spare);
        }
        let below = &self.levels[0];
        let (coarse_rows, coarse_cols, coarse_stride) = below.sizes();
        picture.run(
            "restrict_finest",
            self.restricting(below),
            args![
                r,
                &*z,
                &below.r,
                active,
                h,
                w,
                top,
                left,
                rows,
                cols,
                stride,
                coarse_rows,
                coarse_cols,
                coarse_stride
            ],
        )?;
        let solution = self.cycle_coarse(picture, 0)?;
        picture.run(
            "interpolate_finest",
            shape,
            args![solution, &*z, active, rows, cols, stride, coarse_rows, coarse_stride],
        )?;
        let (&last, others) = steps.split_first().unwrap_or((&0.0, &[]));
        for &step in others.iter().rev() {
            picture.run(
                "smooth",
                shape,
                args![r, &*z, &*spare, active, h, w, top, left, rows, cols, stride, step],
            )?;
            std::mem::swap(z, spare);
        }
        picture.run(
            "smooth_last",
            shape,
            args![
                r, &*z, &*spare, active, partial.0, partial.1, h, w, top, left, rows, cols, stride,
                last
            ],
        )?;
        std::mem::swap(z, spare);
        Ok(())
    }

    /// Solves approximately on a level, whose right-hand side is in place; returns where the solution is.
    fn cycle_coarse(&self, picture: &Picture, index: usize) -> Result<&Buffer<f32>> {
        let level = &self.levels[index];
        let (rows, cols, stride) = level.sizes();
        let Some(below) = self.levels.get(index + 1) else {
            let Bottom { inverse, cells, count } = &self.bottom;
            let each = single(self.channels, 128);
            let args = args![&level.r, &level.z, inverse, cells, *count as i32, rows, stride];
            picture.run("bottom", each, args)?;
            return Ok(&level.z);
        };
        let shape = plane(level.height, level.width, self.channels);
        let count = level.count as i32;
        let (mut z, mut spare) = (&level.z, &level.spare);
        let steps = picture.steps();
        picture.run(
            "coarse_start",
            shape,
            args![&level.r, z, &level.number, &level.rows, count, rows, cols, stride, steps[0]],
        )?;
        let smooth = |z: &Buffer<f32>, out: &Buffer<f32>, step: f32| {
            let (r, number, matrix) = (&level.r, &level.number, &level.rows);
            let args = args![r, z, out, number, matrix, count, rows, cols, stride, step];
            picture.run("coarse_smooth", shape, args)
        };
        for &step in &steps[1..] {
            smooth(z, spare, step)?;
            std::mem::swap(&mut z, &mut spare);
        }
        let (coarse_rows, coarse_cols, coarse_stride) = below.sizes();
        picture.run(
            "restrict_coarse",
            self.restricting(below),
            args![
                &level.r,
                z,
                &below.r,
                &level.number,
                &level.rows,
                count,
                rows,
                cols,
                stride,
                coarse_rows,
                coarse_cols,
                coarse_stride
            ],
        )?;
        let solution = self.cycle_coarse(picture, index + 1)?;
        picture.run(
            "interpolate_coarse",
            shape,
            args![solution, z, &level.number, rows, cols, stride, coarse_rows, coarse_stride],
        )?;
        for &step in steps.iter().rev() {
            smooth(z, spare, step)?;
            std::mem::swap(&mut z, &mut spare);
        }
        Ok(z)
    }

    /// Blocks of 16 x 16 cells of the level that is restricted to.
    fn restricting(&self, coarse: &Level) -> Launch {
        let blocks = |cells: usize| cells.div_ceil(COARSE) as u32;
        let grid = [blocks(coarse.width), blocks(coarse.height), self.channels as u32];
        Launch { grid, block: [COARSE as u32, COARSE as u32, 1], shared: 0 }
    }
}

/// The level below `fine`, or below the image.
fn coarser(
    picture: &Picture,
    active: &Buffer<u8>,
    fine: Option<&Level>,
    channels: usize,
) -> Result<Level> {
    let gpu = picture.gpu;
    let size = |fine: usize| fine.midpoint(2) + 1;
    let window = picture.window;
    let (fine_height, fine_width, fine_stride) = match fine {
        Some(level) => (level.height, level.width, level.stride),
        None => (window.height, window.width, picture.stride),
    };
    let (height, width) = (size(fine_height), size(fine_width));
    let stride = stride_of(width);
    let cells = stride * (height + 2 * PAD);
    let fine_sizes = (fine_height as i32, fine_width as i32, fine_stride as i32);
    let (rows, cols, pitch) = (height as i32, width as i32, stride as i32);
    let blocks = cells.div_ceil(256);
    let line = Launch { grid: [blocks as u32, 1, 1], block: [256, 1, 1], shared: 0 };

    let number = gpu.zeros::<u32>(cells)?;
    let (counts, own) = (gpu.zeros::<i32>(blocks)?, gpu.zeros::<i32>(1)?);
    let (h, w, s) = fine_sizes;
    match fine {
        Some(level) => picture.run(
            "classify_coarse",
            line,
            args![&level.number, &number, &counts, h, w, s, rows, cols, pitch],
        ),
        None => picture.run(
            "classify_finest",
            line,
            args![active, &number, &counts, h, w, s, rows, cols, pitch],
        ),
    }?;
    picture.run("scan", single(1, 256), args![&counts, &own, blocks as i32])?;
    let count = own.download()?[0] as usize + 1;

    let listed = gpu.zeros::<i32>(count)?;
    picture.run("enumerate", line, args![&number, &counts, &listed, cells as i32])?;
    let matrix = gpu.zeros::<f32>(ROW * count)?;
    let warps = Launch { grid: [count.div_ceil(8) as u32, 1, 1], block: [256, 1, 1], shared: 0 };
    let of_matrix = count as i32;
    if let Some(level) = fine {
        picture.run(
            "galerkin_coarse",
            warps,
            args![
                &level.number,
                &level.rows,
                level.count as i32,
                &listed,
                &matrix,
                of_matrix,
                pitch,
                h,
                w,
                s
            ],
        )
    } else {
        let (image_height, image_width) = (picture.size.0 as i32, picture.size.1 as i32);
        let (top, left) = (window.top as i32, window.left as i32);
        picture.run(
            "galerkin_finest",
            warps,
            args![
                active,
                &listed,
                &matrix,
                of_matrix,
                pitch,
                image_height,
                image_width,
                top,
                left,
                h,
                w,
                s
            ],
        )
    }?;
    let vector = || gpu.zeros::<f32>(channels * cells);
    let (r, z, spare) = (vector()?, vector()?, vector()?);
    Ok(Level { height, width, stride, number, rows: matrix, count, r, z, spare })
}

impl Bottom {
    fn new(picture: &Picture, level: &Level) -> Result<Self> {
        let (number, rows) = (level.number.download()?, level.rows.download()?);
        debug_assert!(number.len() == level.cells());
        let dense = Dense::of(level.stride, &number, |number, entry| {
            f64::from(rows[entry * level.count + number as usize - 1])
        });
        let count = dense.cells.len();
        let cells: Vec<i32> = dense.cells.iter().map(|&cell| cell as i32).collect();
        let inverse: Vec<f32> = dense.inverse().into_iter().map(|value| value as f32).collect();
        let (inverse, cells) = (picture.gpu.upload(&inverse)?, picture.gpu.upload(&cells)?);
        Ok(Self { inverse, cells, count })
    }
}
