//! Distances and variances on a GPU; the twin is `uncertainty.rs`.

use std::sync::Arc;

use super::device::Shape;
use crate::error::Result;
use crate::reconstruction::online_scale::UncertaintyModel;
use crate::utils::cuda_bindings::{source, Arg, Buffer, Gpu, Launch, Module, Source};

fn tables() -> Source {
    source!("tables.cu")
}

const CELL: usize = 8;
const LAGS: usize = 3;
/// Rows that a thread of the vertical distances walks down.
const STRIP: usize = 64;
/// Larger distances count as this.
const FARTHEST: usize = 64;

/// The fitted table on the device, and the kernels that look it up.
pub struct Tables {
    gpu: Arc<Gpu>,
    module: Arc<Module>,
    variances: Buffer<f64>,
    farthest: usize,
}

impl Tables {
    /// Brings the table there.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Device`].
    pub fn new(gpu: &Arc<Gpu>, model: &UncertaintyModel) -> Result<Self> {
        Ok(Self {
            gpu: Arc::clone(gpu),
            module: gpu.module(&tables(), &["--fmad=false".to_owned()])?,
            variances: gpu.upload(model.variance_table.as_flattened())?,
            farthest: model.variance_table.len() - 1,
        })
    }

    fn launch(&self, name: &str, grid: [usize; 3], block: [u32; 3], args: &[Arg]) -> Result<()> {
        let grid = grid.map(|n| n as u32);
        self.gpu.launch(&self.module, name, Launch { grid, block, shared: 0 }, args)
    }

    fn vertical(
        &self,
        hidden: &Buffer<u8>,
        (h, w): (usize, usize),
        farthest: usize,
    ) -> Result<Buffer<u8>> {
        let out = self.gpu.empty(h * w)?;
        let arguments: [Arg; 5] = [
            hidden.into(),
            (&out).into(),
            (h as i32).into(),
            (w as i32).into(),
            (farthest as i32).into(),
        ];
        let grid = [w.div_ceil(128), h.div_ceil(STRIP), 1];
        self.launch("vertical_distance", grid, [128, 1, 1], &arguments)?;
        Ok(out)
    }

    /// Distance of each pixel to the nearest that is not `hidden`.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Device`].
    pub fn distance(&self, hidden: &Buffer<u8>, (h, w): (usize, usize)) -> Result<Buffer<f32>> {
        let vertical = self.vertical(hidden, (h, w), FARTHEST)?;
        let out = self.gpu.empty(h * w)?;
        let arguments: [Arg; 5] = [
            (&vertical).into(),
            (&out).into(),
            (h as i32).into(),
            (w as i32).into(),
            (FARTHEST as i32).into(),
        ];
        let grid = [w.div_ceil(32), h.div_ceil(8), 1];
        self.launch("hidden_distance", grid, [32, 8, 1], &arguments)?;
        Ok(out)
    }

    /// Mean squared difference at each lag around each cell, (lags, rows, cols).
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Device`].
    pub fn variogram(
        &self,
        context: &Buffer<f32>,
        hidden: &Buffer<u8>,
        (h, w, channels): Shape,
    ) -> Result<Buffer<f64>> {
        let (rows, cols) = (h.div_ceil(CELL), w.div_ceil(CELL));
        let cells = LAGS * rows * cols;
        let (squares, pairs) = (self.gpu.empty::<i64>(cells)?, self.gpu.empty::<i64>(cells)?);
        let sums: Buffer<u64> = self.gpu.zeros(2 * LAGS)?;
        let out = self.gpu.empty(cells)?;
        let arguments: [Arg; 7] = [
            context.into(),
            hidden.into(),
            (&squares).into(),
            (&pairs).into(),
            (h as i32).into(),
            (w as i32).into(),
            (channels as i32).into(),
        ];
        self.launch("cell_sums", [w.div_ceil(32), rows, 1], [32, 8, 1], &arguments)?;
        let arguments: [Arg; 4] =
            [(&squares).into(), (&pairs).into(), (&sums).into(), ((rows * cols) as i64).into()];
        let blocks = (rows * cols).div_ceil(256).min(64);
        self.launch("totals", [blocks, LAGS, 1], [256, 1, 1], &arguments)?;
        let arguments: [Arg; 7] = [
            (&squares).into(),
            (&pairs).into(),
            (&sums).into(),
            (&out).into(),
            (rows as i32).into(),
            (cols as i32).into(),
            (channels as i32).into(),
        ];
        let grid = [cols.div_ceil(32), rows.div_ceil(8), LAGS];
        self.launch("variogram", grid, [32, 8, 1], &arguments)?;
        Ok(out)
    }

    /// Variance of the error of every hidden pixel; 0 at visible ones.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Device`].
    pub fn variance(
        &self,
        context: &Buffer<f32>,
        hidden: &Buffer<u8>,
        (h, w, channels): Shape,
    ) -> Result<Buffer<f32>> {
        let cells = self.variogram(context, hidden, (h, w, channels))?;
        let vertical = self.vertical(hidden, (h, w), self.farthest)?;
        let out = self.gpu.empty(h * w)?;
        let arguments: [Arg; 8] = [
            hidden.into(),
            (&vertical).into(),
            (&cells).into(),
            (&self.variances).into(),
            (&out).into(),
            (h as i32).into(),
            (w as i32).into(),
            (self.farthest as i32).into(),
        ];
        let grid = [w.div_ceil(32), h.div_ceil(8), 1];
        self.launch("hidden_variance", grid, [32, 8, 1], &arguments)?;
        Ok(out)
    }
}
