//! Segment by segment on a GPU; the twin is `segment_aware.rs`. One segment follows the other there: each
//! solve of one is parallel in itself.

use std::sync::Arc;

use ndarray::{Array2, Zip};

use super::device::{image_of, plane_of, Device, Predict, Shape};
use super::pixels::{DevicePixels, Setting};
use super::run::confidence_map;
use super::scores::errors;
use crate::error::Result;
use crate::host::Host;
use crate::reconstruction::autonomous_engine::{Loop, Options};
use crate::reconstruction::online_scale::UncertaintyModel;
use crate::reconstruction::patches::PatchGrid;
use crate::reconstruction::segment_aware::{Outcome, Run, Scene, Task};
use crate::utils::cuda_bindings::{Arg, Buffer, Gpu};

/// What was found, on the [0, 1] scale; what is large is on the device still. The fields are those of
/// [`Run`].
pub struct DeviceSegments {
    /// Height, width, channels.
    pub shape: Shape,
    /// What was predicted; the image where it was shown.
    pub prediction: Buffer<f32>,
    /// Predicted variance of the error.
    pub variance: Buffer<f32>,
    /// Of the pixel's patch; 1 where shown.
    pub confidence: Buffer<f32>,
    /// What was hidden at the start.
    pub hidden: Array2<bool>,
    /// Segment by segment.
    pub outcomes: Vec<Outcome>,
}

impl DeviceSegments {
    /// Brings everything to the host.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Device`].
    pub fn download(self) -> Result<Run> {
        let plane = (self.shape.0, self.shape.1);
        Ok(Run {
            prediction: image_of(self.prediction.download()?, self.shape),
            variance: plane_of(self.variance.download()?, plane),
            confidence: plane_of(self.confidence.download()?, plane),
            hidden: self.hidden,
            outcomes: self.outcomes,
        })
    }
}

/// Reconstructs every segment from its own pixels, and those at most `halo` rows and columns away from
/// one of them. `image` may be on the device already, then `scene`'s own is not looked at.
///
/// # Errors
///
/// [`crate::error::Error::Device`], [`crate::error::Error::Cancelled`], or what the kernel failed with.
#[expect(clippy::too_many_arguments, reason = "those of the twin, and where the image is")]
pub fn run(
    gpu: &Arc<Gpu>,
    image: Option<&Buffer<f32>>,
    scene: &Scene,
    tasks: &[Task],
    halo: usize,
    predictor: &dyn Predict,
    options: &Options,
    model: &UncertaintyModel,
    host: &dyn Host,
) -> Result<DeviceSegments> {
    let device = Device::new(gpu)?;
    let shape = scene.image.dim();
    let uploaded = if image.is_none() { Some(device.image(scene.image)?) } else { None };
    let Some(image) = image.or(uploaded.as_ref()) else {
        unreachable!("what is not there has been brought")
    };
    let pixels = shape.0 * shape.1;
    let prediction = device.copy(image)?;
    let nothing: Buffer<f32> = gpu.zeros(image.len())?;
    let missing = device.mask(scene.missing)?;
    let arguments: [Arg; 5] = [
        (&nothing).into(),
        (&missing).into(),
        (pixels as i32).into(),
        (shape.2 as i32).into(),
        (&prediction).into(),
    ];
    device.each("copy_where", pixels, &arguments)?;
    let variance = gpu.zeros(pixels)?;
    let confidence = gpu.empty(pixels)?;
    let arguments = [(&confidence).into(), (pixels as i64).into(), 1.0_f32.into()];
    device.each("fill", pixels, &arguments)?;
    let mut found = DeviceSegments {
        shape,
        prediction,
        variance,
        confidence,
        hidden: scene.missing.to_owned(),
        outcomes: Vec::with_capacity(tasks.len()),
    };
    let mut done = 0;
    for (number, task) in tasks.iter().enumerate() {
        host.check()?;
        let options = task.options(options);
        let setting = Setting { device: &device, model, predictor, options: &options, host };
        let masks = scene.masks_of(number, task, halo);
        done += masks.1.iter().filter(|&&own| own).count();
        reconstruct(setting, image, scene, task, model, &masks, &mut found)?;
        host.progress(done, scene.missing.len());
    }
    Ok(found)
}

/// Reconstructs one segment and takes its pixels over.
fn reconstruct(
    setting: Setting,
    image: &Buffer<f32>,
    scene: &Scene,
    task: &Task,
    model: &UncertaintyModel,
    (missing, own): &(Array2<bool>, Array2<bool>),
    found: &mut DeviceSegments,
) -> Result<()> {
    let Setting { device, options, host, .. } = setting;
    let (rows, cols) = task.bounds.clone();
    let (height, width) = missing.dim();
    let (pixels, channels) = (height * width, found.shape.2);
    let part = device.gpu.empty(pixels * channels)?;
    let place = [rows.start, cols.start, height, width].map(|n| Arg::from(n as i32));
    let sizes = |channels: usize| [found.shape.1, channels].map(|n| Arg::from(n as i32));
    let mut arguments: Vec<Arg> = vec![image.into()];
    arguments.extend(sizes(channels).into_iter().chain(place));
    arguments.push((&part).into());
    device.each("crop", pixels, &arguments)?;

    let chosen = scene.chosen.slice(ndarray::s![rows.clone(), cols.clone()]);
    let views = (missing.view(), own.view());
    let make = |grid: PatchGrid, hidden: &Array2<bool>| {
        DevicePixels::new(setting, &part, (views.0, views.1, hidden), channels, grid)
    };
    let mut state = Loop::new((views.0, views.1, Some(chosen)), options, model, host, make)?;
    let course = state.walk(&|_, _| {})?;
    state.pixels.finish()?;
    let confidence = confidence_map(device, &state)?;

    // the known pixels that are shown, or hidden
    let known = |hidden: bool| {
        let mut out = own & &missing.mapv(|missing| !missing);
        Zip::from(&mut out).and(&state.initially_hidden).for_each(|out, &h| *out &= h == hidden);
        out
    };
    let (shown, scored) = (device.mask(known(false).view())?, device.mask(known(true).view())?);
    let sums = errors(device, &part, &state.pixels.prediction, (&shown, &scored), channels)?;
    let sums = sums.download()?;
    let values = sums[3] * channels as f64;
    found.outcomes.push(Outcome {
        iterations: course.history.len(),
        stop_reason: course.stop_reason,
        completion: course.completion,
        confidence: course.average_confidence,
        mse: sums[0] / values,
        mae: sums[1] / values,
        baseline_mse: sums[2] / values,
        scored: sums[3] as usize,
        evidence: state.errors.len(),
    });

    let drawn = &state.initially_hidden & own;
    let mask = device.mask(drawn.view())?;
    for (from, to, channels) in [
        (&state.pixels.prediction, &found.prediction, channels),
        (&state.pixels.variance, &found.variance, 1),
        (&confidence, &found.confidence, 1),
    ] {
        let mut arguments: Vec<Arg> = vec![from.into(), (&mask).into()];
        arguments.extend(sizes(channels).into_iter().chain(place));
        arguments.push(to.into());
        device.each("paste", pixels, &arguments)?;
    }
    found.hidden.slice_mut(ndarray::s![rows, cols]).zip_mut_with(&drawn, |hidden, &d| *hidden |= d);
    Ok(())
}
