//! The autonomous loop over an image on a GPU; the twin is `autonomous_engine::run`.

use std::sync::Arc;

use ndarray::{aview0, Array2, ArrayView2, ArrayView3, Zip};

use super::device::{image_of, plane_of, Device, Predict, Shape};
use super::pixels::{DevicePixels, Setting};
use super::scores::score;
use crate::error::Result;
use crate::host::Host;
use crate::reconstruction::autonomous_engine::{Course, Loop, Options, Run};
use crate::reconstruction::online_scale::UncertaintyModel;
use crate::reconstruction::patches::PatchGrid;
use crate::reconstruction::scores::Scores;
use crate::utils::cuda_bindings::{Arg, Buffer, Gpu};

/// What a run found, on the [0, 1] scale; what is large is on the device still. The fields are those of
/// [`Run`].
pub struct DeviceRun {
    /// Height, width, channels.
    pub shape: Shape,
    /// The image redrawn.
    pub reconstruction: Buffer<f32>,
    /// What was predicted.
    pub prediction: Buffer<f32>,
    /// Predicted variance of the error.
    pub variance: Buffer<f32>,
    /// Of the pixel's patch; 1 where shown.
    pub confidence: Buffer<f32>,
    /// What was hidden at the start.
    pub hidden: Array2<bool>,
    /// Hidden pixels whose truth is known.
    pub scored: Array2<bool>,
    /// How it went.
    pub course: Course,
    /// Of the patches, in the order in which they were looked at.
    pub patch_qualities: Vec<f64>,
    /// Measures over what was hidden.
    pub scores: Scores,
    open_book: bool,
}

impl DeviceRun {
    /// Brings everything to the host.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Device`].
    pub fn download(self) -> Result<Run> {
        let plane = (self.shape.0, self.shape.1);
        let Course { history, stop_reason, completion, average_confidence, still_hidden } =
            self.course;
        Ok(Run {
            reconstruction: image_of(self.reconstruction.download()?, self.shape),
            prediction: image_of(self.prediction.download()?, self.shape),
            variance: plane_of(self.variance.download()?, plane),
            confidence: plane_of(self.confidence.download()?, plane),
            drawn: if self.open_book { still_hidden } else { self.hidden.clone() },
            hidden: self.hidden,
            scored: self.scored,
            history,
            patch_qualities: self.patch_qualities,
            stop_reason,
            completion,
            average_confidence,
            scores: self.scores,
        })
    }
}

/// Runs the loop over an image on the host, with `missing` where it has no truth.
///
/// # Errors
///
/// [`crate::error::Error::Device`], [`crate::error::Error::Cancelled`], or what the kernel failed with.
pub fn run(
    gpu: &Arc<Gpu>,
    image: ArrayView3<f32>,
    missing: ArrayView2<bool>,
    predictor: &dyn Predict,
    options: &Options,
    model: &UncertaintyModel,
    host: &dyn Host,
) -> Result<Run> {
    let device = Device::new(gpu)?;
    let there = device.image(image)?;
    run_on(&device, &there, image.dim(), missing, predictor, options, model, host)?.download()
}

/// Runs the loop over an image on the device, and leaves the results there.
///
/// # Errors
///
/// As [`run`].
#[expect(clippy::too_many_arguments, reason = "those of `run`, and where the image is")]
pub fn run_on(
    device: &Device,
    image: &Buffer<f32>,
    shape: Shape,
    missing: ArrayView2<bool>,
    predictor: &dyn Predict,
    options: &Options,
    model: &UncertaintyModel,
    host: &dyn Host,
) -> Result<DeviceRun> {
    let everything = true;
    let everything = aview0(&everything);
    let Some(own) = everything.broadcast(missing.dim()) else {
        unreachable!("a single value fits every shape")
    };
    let setting = Setting { device, model, predictor, options, host };
    let pixels = |grid: PatchGrid, hidden: &Array2<bool>| {
        DevicePixels::new(setting, image, (missing, own, hidden), shape.2, grid)
    };
    let mut state = Loop::new((missing, own, None), options, model, host, pixels)?;
    let course = state.walk(&|done, total| host.progress(done, total))?;
    state.pixels.finish()?;
    let confidence = confidence_map(device, &state)?;

    let known = |hidden: &Array2<bool>| {
        let mut out = hidden.clone();
        Zip::from(&mut out).and(missing).for_each(|out, &missing| *out &= !missing);
        out
    };
    let (measured, remaining) = (known(&state.initially_hidden), known(&course.still_hidden));
    let of_rest = options.open_book && remaining.iter().any(|&pixel| pixel);
    let scored = if of_rest { remaining.view() } else { measured.view() };
    let masks = (state.initially_hidden.view(), scored);
    let pixels = (image, &state.pixels.prediction);
    let scores = score(device, pixels, &state.pixels.missing, masks, shape)?;
    let DevicePixels { context, prediction, variance, .. } = state.pixels;
    Ok(DeviceRun {
        shape,
        reconstruction: context,
        prediction,
        variance,
        confidence,
        hidden: state.initially_hidden,
        scored: measured,
        course,
        patch_qualities: state.patch_qualities,
        scores,
        open_book: options.open_book,
    })
}

/// Confidence of the pixel's patch; 1 where it was shown.
pub(super) fn confidence_map(device: &Device, state: &Loop<DevicePixels>) -> Result<Buffer<f32>> {
    let grid = state.grid;
    let each: Vec<f32> = state.confidence.iter().map(|&value| value as f32).collect();
    let (values, mask) = (device.gpu.upload(&each)?, device.mask(state.initially_hidden.view())?);
    let out = device.gpu.empty(mask.len())?;
    let arguments: [Arg; 6] = [
        (&values).into(),
        (&mask).into(),
        (grid.height as i32).into(),
        (grid.width as i32).into(),
        (grid.size as i32).into(),
        (&out).into(),
    ];
    device.plane("patch_map", (grid.height, grid.width), &arguments)?;
    Ok(out)
}
