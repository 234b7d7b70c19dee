//! The same on a device, to the same bits; and the confidence that follows from a standard deviation.

use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3};

use super::{CELL, FARTHEST, LAGS, STRIP};
use crate::error::{Error, Result};
use crate::reconstruction::online_scale::UncertaintyModel;
use crate::utils::cuda_bindings::{args, source, Buffer, Gpu, Launch, Module, Source};

#[cfg(test)]
mod tests;

static TABLES: Source = source!("tables.cu");

/// Distances are bytes on the device, up to one more than the farthest.
const MOST_FARTHEST: usize = 254;

/// Contracted products would round differently from the CPU's.
fn module(gpu: &Gpu) -> Result<Arc<Module>> {
    gpu.module(&TABLES, &["--fmad=false".to_owned()])
}

fn plane(height: usize, width: usize, layers: usize) -> Launch {
    let grid = [width.div_ceil(32) as u32, height.div_ceil(8) as u32, layers as u32];
    Launch { grid, block: [32, 8, 1], shared: 0 }
}

/// As [`super::hidden_distance`], for a mask on the device.
///
/// # Errors
/// [`Error::Device`].
pub fn hidden_distance_on(
    gpu: &Arc<Gpu>,
    hidden: &Buffer<u8>,
    size: (usize, usize),
) -> Result<Buffer<f32>> {
    let vertical = vertical_distance(gpu, hidden, size, FARTHEST)?;
    let (height, width) = size;
    let out = gpu.empty::<f32>(height * width)?;
    gpu.launch(
        &*module(gpu)?,
        "hidden_distance",
        plane(height, width, 1),
        args![&vertical, &out, height as i32, width as i32, FARTHEST as i32],
    )?;
    Ok(out)
}

/// As [`super::hidden_distance`].
///
/// # Errors
/// [`Error::Device`].
pub fn hidden_distance(gpu: &Arc<Gpu>, mask: ArrayView2<bool>) -> Result<Array2<f32>> {
    let hidden = upload_mask(gpu, mask)?;
    shaped(mask.dim(), hidden_distance_on(gpu, &hidden, mask.dim())?.download()?)
}

fn vertical_distance(
    gpu: &Arc<Gpu>,
    hidden: &Buffer<u8>,
    (height, width): (usize, usize),
    farthest: usize,
) -> Result<Buffer<u8>> {
    let vertical = gpu.empty::<u8>(height * width)?;
    let grid = [width.div_ceil(128) as u32, height.div_ceil(STRIP) as u32, 1];
    gpu.launch(
        &*module(gpu)?,
        "vertical_distance",
        Launch { grid, block: [128, 1, 1], shared: 0 },
        args![hidden, &vertical, height as i32, width as i32, farthest as i32],
    )?;
    Ok(vertical)
}

/// As [`super::local_variogram`], of an image on the device: (lags, rows, cols).
///
/// # Errors
/// [`Error::Device`].
pub fn local_variogram_on(
    gpu: &Arc<Gpu>,
    image: &Buffer<f32>,
    hidden: &Buffer<u8>,
    (height, width, channels): (usize, usize, usize),
) -> Result<Buffer<f64>> {
    let module = module(gpu)?;
    let (rows, cols) = (height.div_ceil(CELL), width.div_ceil(CELL));
    let cells = rows * cols;
    let squares = gpu.empty::<i64>(LAGS.len() * cells)?;
    let pairs = gpu.empty::<i64>(LAGS.len() * cells)?;
    let totals = gpu.zeros::<u64>(2 * LAGS.len())?;
    let out = gpu.empty::<f64>(LAGS.len() * cells)?;
    let (h, w, c) = (height as i32, width as i32, channels as i32);
    gpu.launch(
        &module,
        "cell_sums",
        plane(height, width, 1),
        args![image, hidden, &squares, &pairs, h, w, c],
    )?;
    let blocks = cells.div_ceil(256).min(128) as u32;
    gpu.launch(
        &module,
        "totals",
        Launch { grid: [blocks, LAGS.len() as u32, 1], block: [256, 1, 1], shared: 0 },
        args![&squares, &pairs, &totals, cells as i64],
    )?;
    gpu.launch(
        &module,
        "variogram",
        plane(rows, cols, LAGS.len()),
        args![&squares, &pairs, &totals, &out, rows as i32, cols as i32, c],
    )?;
    Ok(out)
}

/// As [`super::local_variogram`].
///
/// # Errors
/// [`Error::Device`].
pub fn local_variogram(
    gpu: &Arc<Gpu>,
    context: ArrayView3<f32>,
    mask: ArrayView2<bool>,
) -> Result<Array3<f64>> {
    let (height, width, _) = context.dim();
    let hidden = upload_mask(gpu, mask)?;
    let image = upload_image(gpu, context)?;
    let values = local_variogram_on(gpu, &image, &hidden, context.dim())?.download()?;
    let shape = (LAGS.len(), height.div_ceil(CELL), width.div_ceil(CELL));
    Array3::from_shape_vec(shape, values).map_err(|error| Error::Panic(error.to_string()))
}

/// As [`super::hidden_variance`], of an image on the device.
///
/// # Errors
/// [`Error::Device`].
pub fn hidden_variance_on(
    gpu: &Arc<Gpu>,
    image: &Buffer<f32>,
    hidden: &Buffer<u8>,
    size: (usize, usize, usize),
    model: &UncertaintyModel,
) -> Result<Buffer<f32>> {
    let (height, width, _) = size;
    let farthest = model.variance_table.len() - 1;
    if farthest > MOST_FARTHEST {
        let expected = format!("of at most {} rows", MOST_FARTHEST + 1);
        let got = model.variance_table.len().to_string();
        return Err(Error::argument("hidden_variance", "variance_table", expected, got));
    }
    let cells = local_variogram_on(gpu, image, hidden, size)?;
    let vertical = vertical_distance(gpu, hidden, (height, width), farthest)?;
    let table: Vec<f64> = model.variance_table.concat();
    let table = gpu.upload(&table)?;
    let out = gpu.empty::<f32>(height * width)?;
    gpu.launch(
        &*module(gpu)?,
        "hidden_variance",
        plane(height, width, 1),
        args![
            hidden,
            &vertical,
            &cells,
            &table,
            &out,
            height as i32,
            width as i32,
            farthest as i32
        ],
    )?;
    Ok(out)
}

/// As [`super::hidden_variance`].
///
/// # Errors
/// [`Error::Device`].
pub fn hidden_variance(
    gpu: &Arc<Gpu>,
    context: ArrayView3<f32>,
    mask: ArrayView2<bool>,
    model: &UncertaintyModel,
) -> Result<Array2<f32>> {
    let hidden = upload_mask(gpu, mask)?;
    let image = upload_image(gpu, context)?;
    let variance = hidden_variance_on(gpu, &image, &hidden, context.dim(), model)?;
    shaped(mask.dim(), variance.download()?)
}

/// How errors are distributed, given the standard deviation stated for them.
#[derive(Clone, Debug)]
pub enum ErrorLaw {
    /// Laplace's law.
    Laplace,
    /// Probabilities of being right at the given logarithms of the standard deviation, which increase.
    Table(Vec<f64>, Vec<f64>),
}

/// Probability that a pixel is off by at most `right`, given sigma; 1 where visible. Standard deviations below
/// `least` count as that.
///
/// # Errors
/// [`Error::Device`].
pub fn confidence_on(
    gpu: &Arc<Gpu>,
    sigma: &Buffer<f32>,
    hidden: &Buffer<u8>,
    law: &ErrorLaw,
    (least, right): (f32, f32),
) -> Result<Buffer<f32>> {
    let (knots, values): (&[f64], &[f64]) = match law {
        ErrorLaw::Laplace => (&[0.0], &[0.0]),
        ErrorLaw::Table(knots, values) => (knots, values),
    };
    let count = if matches!(law, ErrorLaw::Laplace) { 0 } else { knots.len() };
    let out = gpu.empty::<f32>(sigma.len())?;
    let (knots, values) = (gpu.upload(knots)?, gpu.upload(values)?);
    let pixels = sigma.len() as i64;
    gpu.launch(
        &*module(gpu)?,
        "confidence",
        Launch { grid: [sigma.len().div_ceil(256) as u32, 1, 1], block: [256, 1, 1], shared: 0 },
        args![sigma, hidden, &knots, &values, &out, pixels, count as i32, least, right],
    )?;
    Ok(out)
}

fn upload_mask(gpu: &Arc<Gpu>, mask: ArrayView2<bool>) -> Result<Buffer<u8>> {
    gpu.upload(&mask.iter().map(|&hidden| u8::from(hidden)).collect::<Vec<_>>())
}

fn upload_image(gpu: &Arc<Gpu>, image: ArrayView3<f32>) -> Result<Buffer<f32>> {
    match image.as_slice() {
        Some(pixels) => gpu.upload(pixels),
        None => gpu.upload(&image.iter().copied().collect::<Vec<_>>()),
    }
}

fn shaped(size: (usize, usize), values: Vec<f32>) -> Result<Array2<f32>> {
    Array2::from_shape_vec(size, values).map_err(|error| Error::Panic(error.to_string()))
}
