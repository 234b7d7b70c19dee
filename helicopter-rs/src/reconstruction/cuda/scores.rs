//! Measures of a prediction over hidden pixels, on a GPU; the twin is `reconstruction/scores.rs`.

use std::sync::Arc;

use ndarray::{ArrayView2, ArrayView3};

use super::device::{Device, Shape};
use crate::error::Result;
use crate::reconstruction::scores::Scores;
use crate::utils::cuda_bindings::{Arg, Buffer, Gpu, Launch};

/// Sums that a block leaves.
const SUMS: usize = 4;
/// Pixels that a block of `similarity` has.
const TILE: (usize, usize) = (32, 8);
/// Blocks of what takes sums over all pixels, at most. Fixed, so that sums are the same on every card.
const BLOCKS: usize = 512;

/// Sums of squared and absolute errors and of those of the mean colour, and the number of pixels.
pub(super) fn errors(
    device: &Device,
    truth: &Buffer<f32>,
    prediction: &Buffer<f32>,
    (shown, scored): (&Buffer<u8>, &Buffer<u8>),
    channels: usize,
) -> Result<Buffer<f64>> {
    let pixels = shown.len();
    let blocks = pixels.div_ceil(256).clamp(1, BLOCKS);
    let shape = Launch { grid: [blocks as u32, 1, 1], block: [256, 1, 1], shared: 0 };
    let parts: Buffer<f64> = device.gpu.empty(blocks * SUMS)?;
    let (means, found) = (device.gpu.empty(SUMS)?, device.gpu.empty(SUMS)?);
    let sizes = [Arg::from(pixels as i64), Arg::from(channels as i32)];
    let arguments: [Arg; 5] = [truth.into(), shown.into(), sizes[0], sizes[1], (&parts).into()];
    device.launch("shown_sums", shape, &arguments)?;
    fold(device, &parts, blocks, &means)?;
    let arguments: [Arg; 7] = [
        truth.into(),
        prediction.into(),
        scored.into(),
        (&means).into(),
        sizes[0],
        sizes[1],
        (&parts).into(),
    ];
    device.launch("error_sums", shape, &arguments)?;
    fold(device, &parts, blocks, &found)?;
    Ok(found)
}

fn fold(device: &Device, parts: &Buffer<f64>, count: usize, out: &Buffer<f64>) -> Result<()> {
    let shape = Launch { grid: [1, 1, 1], block: [256, 1, 1], shared: 0 };
    device.launch("fold", shape, &[parts.into(), (count as i32).into(), out.into()])
}

/// As [`crate::reconstruction::scores::score`], of arrays on the host.
///
/// # Errors
///
/// [`crate::error::Error::Device`].
pub fn score_of(
    gpu: &Arc<Gpu>,
    truth: ArrayView3<f32>,
    prediction: ArrayView3<f32>,
    masks: (ArrayView2<bool>, ArrayView2<bool>),
) -> Result<Scores> {
    let device = Device::new(gpu)?;
    let missing = gpu.zeros(truth.dim().0 * truth.dim().1)?;
    let pixels = (&device.image(truth)?, &device.image(prediction)?);
    score(&device, pixels, &missing, masks, truth.dim())
}

/// Compares `prediction` with `truth` over `scored`, a subset of `hidden`. Where the truth is `missing`
/// it counts as what was predicted, so that it cannot speak in the windows of SSIM.
///
/// # Errors
///
/// [`crate::error::Error::Device`].
pub fn score(
    device: &Device,
    (truth, prediction): (&Buffer<f32>, &Buffer<f32>),
    missing: &Buffer<u8>,
    (hidden, scored): (ArrayView2<bool>, ArrayView2<bool>),
    (height, width, channels): Shape,
) -> Result<Scores> {
    let count = scored.iter().filter(|&&scored| scored).count();
    if count == 0 {
        return Ok(Scores { mse: f64::NAN, mae: f64::NAN, ssim: f64::NAN, baseline_mse: f64::NAN });
    }
    let shown = device.mask(hidden.mapv(|hidden| !hidden).view())?;
    let scored = device.mask(scored)?;
    let errors = errors(device, truth, prediction, (&shown, &scored), channels)?;
    let (across, down) = (width.div_ceil(TILE.0), height.div_ceil(TILE.1));
    let blocks = across * down * channels;
    let parts: Buffer<f64> = device.gpu.empty(blocks * SUMS)?;
    let grid = [across, down, channels].map(|n| n as u32);
    let arguments: [Arg; 8] = [
        truth.into(),
        prediction.into(),
        missing.into(),
        (&scored).into(),
        (height as i32).into(),
        (width as i32).into(),
        (channels as i32).into(),
        (&parts).into(),
    ];
    device.launch("similarity", Launch { grid, block: [256, 1, 1], shared: 0 }, &arguments)?;
    let similarity = device.gpu.empty(SUMS)?;
    fold(device, &parts, blocks, &similarity)?;
    let total = (count * channels) as f64;
    let (errors, similarity): (Vec<f64>, Vec<f64>) = (errors.download()?, similarity.download()?);
    Ok(Scores {
        mse: errors[0] / total,
        mae: errors[1] / total,
        ssim: similarity[0] / total,
        baseline_mse: errors[2] / total,
    })
}
