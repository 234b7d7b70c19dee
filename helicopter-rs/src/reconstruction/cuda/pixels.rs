//! The pixels of a loop in the memory of a GPU.

use ndarray::{s, Array2, Array3, ArrayView2, Zip};

use super::device::{Device, Predict, Shape};
use crate::error::Result;
use crate::host::Host;
use crate::reconstruction::autonomous_engine::{
    Measured, Options, Pixels, Stated, BLANK, BLANK_VARIANCE,
};
use crate::reconstruction::online_scale::UncertaintyModel;
use crate::reconstruction::patches::{PatchGrid, Rectangle};
use crate::reconstruction::strategies::{priorities, Strategy};
use crate::reconstruction::uncertainty::cuda::{
    hidden_distance_on, hidden_variance_on, local_variogram_on,
};
use crate::utils::cuda_bindings::{Arg, Buffer};

/// Sums of a patch: of variances and distances, pixels in them; of squared and absolute errors, values
/// in them.
const SUMS: usize = 6;

/// What a loop runs on and with.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub device: &'a Device,
    pub model: &'a UncertaintyModel,
    pub predictor: &'a dyn Predict,
    pub options: &'a Options,
    pub host: &'a dyn Host,
}

/// A prediction of a rectangle of the image.
struct Predicted {
    mean: Buffer<f32>,
    variance: Buffer<f32>,
    distance: Buffer<f32>,
    top: usize,
    left: usize,
    width: usize,
}

/// The image and all that is predicted of it. What is hidden is known on both sides: the host counts.
pub(super) struct DevicePixels<'a> {
    setting: Setting<'a>,
    grid: PatchGrid,
    shape: Shape,
    image: &'a Buffer<f32>,
    masks: (ArrayView2<'a, bool>, ArrayView2<'a, bool>),
    pub missing: Buffer<u8>,
    own: Buffer<u8>,
    known_hidden: Array2<bool>,
    hidden: Buffer<u8>,
    unseen: Buffer<u8>,
    pub context: Buffer<f32>,
    pub prediction: Buffer<f32>,
    pub variance: Buffer<f32>,
    standing: Option<Predicted>,
    base_variance: Option<Buffer<f32>>,
    priorities: Option<Vec<i64>>,
    sums: Vec<[f64; SUMS]>,
    /// Of a closed book that is predicted once: what the variances of each patch are multiplied by, once
    /// all steps are done.
    factors: Option<Vec<f32>>,
}

impl<'a> DevicePixels<'a> {
    /// The masks are what is missing, whose pixels are predicted, and what is hidden.
    pub fn new(
        setting: Setting<'a>,
        image: &'a Buffer<f32>,
        (missing, own, hidden): (ArrayView2<'a, bool>, ArrayView2<'a, bool>, &Array2<bool>),
        channels: usize,
        grid: PatchGrid,
    ) -> Result<Self> {
        let (device, options) = (setting.device, setting.options);
        let gpu = &device.gpu;
        let pixels = missing.len();
        let start = device.mask(hidden.view())?;
        let (hidden_there, unseen) = (gpu.empty(pixels)?, gpu.empty(pixels)?);
        let (context, prediction) = (gpu.empty(pixels * channels)?, gpu.empty(pixels * channels)?);
        let variance = gpu.empty(pixels)?;
        let arguments: [Arg; 9] = [
            image.into(),
            (&start).into(),
            (pixels as i32).into(),
            (channels as i32).into(),
            (&hidden_there).into(),
            (&unseen).into(),
            (&context).into(),
            (&prediction).into(),
            (&variance).into(),
        ];
        device.each("begin", pixels, &arguments)?;
        let once = options.context_size.is_none()
            && !options.open_book
            && !setting.predictor.is_asked_again(options);
        Ok(Self {
            setting,
            grid,
            shape: (grid.height, grid.width, channels),
            image,
            masks: (missing, own),
            missing: device.mask(missing)?,
            own: device.mask(own)?,
            known_hidden: hidden.clone(),
            hidden: hidden_there,
            unseen,
            context,
            prediction,
            variance,
            standing: None,
            base_variance: None,
            priorities: None,
            sums: vec![[f64::NAN; SUMS]; grid.count()],
            factors: once.then(|| vec![f32::NAN; grid.count()]),
        })
    }

    fn plane(&self) -> (usize, usize) {
        (self.shape.0, self.shape.1)
    }

    fn ensure_base_variance(&mut self) -> Result<()> {
        if self.base_variance.is_none() {
            let Setting { device, model, .. } = self.setting;
            let (context, unseen) = (&self.context, &self.unseen);
            let variance = hidden_variance_on(&device.gpu, context, unseen, self.shape, model)?;
            self.base_variance = Some(variance);
        }
        Ok(())
    }

    /// Predicts all that is hidden from all that is visible, once per state of the context.
    fn predict_everything(&mut self) -> Result<()> {
        if self.standing.is_some() {
            return Ok(());
        }
        let Setting { device, predictor, host, .. } = self.setting;
        let mut mean = device.copy(&self.context)?;
        let variance = if self.known_hidden.iter().all(|&hidden| hidden) {
            Some(self.blank(&mut mean)?)
        } else {
            predictor.predict(&mut mean, &self.hidden, self.shape, host)?
        };
        let variance = if let Some(variance) = variance {
            variance
        } else {
            self.ensure_base_variance()?;
            let Some(base) = &self.base_variance else { unreachable!("it has just been made") };
            device.copy(base)?
        };
        let distance = hidden_distance_on(&device.gpu, &self.unseen, self.plane())?;
        self.standing =
            Some(Predicted { mean, variance, distance, top: 0, left: 0, width: self.shape.1 });
        Ok(())
    }

    /// Fills a prediction that is made from nothing; returns its variance.
    fn blank(&self, mean: &mut Buffer<f32>) -> Result<Buffer<f32>> {
        let variance = self.setting.device.gpu.empty(mean.len() / self.shape.2)?;
        for (buffer, value) in [(&*mean, BLANK), (&variance, BLANK_VARIANCE)] {
            let arguments = [buffer.into(), (buffer.len() as i64).into(), value.into()];
            self.setting.device.each("fill", buffer.len(), &arguments)?;
        }
        Ok(variance)
    }

    /// Predicts what is hidden in a part of the image from the visible rest of that part.
    fn predict_window(&self, (rows, cols): &Rectangle) -> Result<Predicted> {
        let Setting { device, model, predictor, host, .. } = self.setting;
        host.check()?;
        let channels = self.shape.2;
        let (top, left, height, width) = (rows.start, cols.start, rows.len(), cols.len());
        let pixels = height * width;
        let mut mean = device.gpu.empty(pixels * channels)?;
        let (hidden, unseen) = (device.gpu.empty(pixels)?, device.gpu.empty(pixels)?);
        let arguments: [Arg; 12] = [
            (&self.context).into(),
            (&self.hidden).into(),
            (&self.unseen).into(),
            (self.shape.1 as i32).into(),
            (channels as i32).into(),
            (top as i32).into(),
            (left as i32).into(),
            (height as i32).into(),
            (width as i32).into(),
            (&mean).into(),
            (&hidden).into(),
            (&unseen).into(),
        ];
        device.each("gather", pixels, &arguments)?;
        let shape = (height, width, channels);
        let blank = self.known_hidden.slice(s![rows.clone(), cols.clone()]).iter().all(|&h| h);
        let stated = if blank {
            Some(self.blank(&mut mean)?)
        } else {
            predictor.predict(&mut mean, &hidden, shape, host)?
        };
        let variance = match stated {
            Some(variance) => variance,
            // looks at visible pixels only, so it may as well come after the fill
            None => hidden_variance_on(&device.gpu, &mean, &unseen, shape, model)?,
        };
        let distance = hidden_distance_on(&device.gpu, &unseen, (height, width))?;
        Ok(Predicted { mean, variance, distance, top, left, width })
    }

    /// Measures the patches of a list that `predicted` covers into `out`, and stores them if there are
    /// factors; the list begins at `first`.
    fn take(
        &self,
        predicted: &Predicted,
        (patches, first, count): (&Buffer<i32>, usize, usize),
        factors: Option<&Buffer<f32>>,
        out: Option<&Buffer<f64>>,
    ) -> Result<()> {
        let grid = self.grid;
        let numbers = [grid.height, grid.width, self.shape.2, grid.size].map(|n| n as i32);
        let place = [predicted.top, predicted.left, predicted.width].map(|n| n as i32);
        let list = Arg::from((patches, first));
        let mut common: Vec<Arg> = vec![(&predicted.mean).into(), (&predicted.variance).into()];
        if let Some(out) = out {
            let mut arguments = vec![list];
            arguments.append(&mut common.clone());
            arguments.push((&predicted.distance).into());
            arguments.extend(place.map(Arg::from));
            let inputs: [Arg; 2] = [self.image.into(), (&self.missing).into()];
            arguments.extend(inputs.into_iter().chain([(&self.own).into(), (&self.hidden).into()]));
            arguments.extend(numbers.map(Arg::from));
            arguments.push(Arg::from((out, first * SUMS)));
            self.setting.device.patches("patch_sums", count, &arguments)?;
        }
        if let Some(factors) = factors {
            let mut arguments = vec![list, Arg::from((factors, first))];
            arguments.append(&mut common);
            arguments.extend(place.map(Arg::from));
            arguments.extend::<[Arg; 2]>([(&self.own).into(), (&self.hidden).into()]);
            arguments.extend(numbers.map(Arg::from));
            arguments.extend::<[Arg; 2]>([(&self.prediction).into(), (&self.variance).into()]);
            self.setting.device.patches("store", count, &arguments)?;
        }
        Ok(())
    }

    fn list(&self, patches: &[usize]) -> Result<Buffer<i32>> {
        let numbers: Vec<i32> = patches.iter().map(|&patch| patch as i32).collect();
        self.setting.device.gpu.upload(&numbers)
    }

    fn keep_sums(&mut self, patches: &[usize], found: &Buffer<f64>) -> Result<()> {
        let found = found.download()?;
        for (&patch, sums) in patches.iter().zip(found.chunks_exact(SUMS)) {
            self.sums[patch].copy_from_slice(sums);
        }
        Ok(())
    }

    fn stated(&self, patches: &[usize]) -> Vec<Stated> {
        let of = |&patch: &usize| {
            let [variance, distance, count, ..] = self.sums[patch];
            (variance / count, distance / count)
        };
        patches.iter().map(of).collect()
    }

    /// Stores what is to be stored, and draws the predictions of what is hidden into the context.
    pub fn finish(&mut self) -> Result<()> {
        if let Some(factors) = self.factors.take() {
            let patches: Vec<usize> =
                (0..factors.len()).filter(|&patch| !factors[patch].is_nan()).collect();
            if let (Some(standing), false) = (&self.standing, patches.is_empty()) {
                let list = self.list(&patches)?;
                let each: Vec<f32> = patches.iter().map(|&patch| factors[patch]).collect();
                let each = self.setting.device.gpu.upload(&each)?;
                self.take(standing, (&list, 0, patches.len()), Some(&each), None)?;
            }
        }
        self.standing = None;
        let pixels = self.shape.0 * self.shape.1;
        let arguments = [
            (&self.prediction).into(),
            (&self.hidden).into(),
            (pixels as i32).into(),
            (self.shape.2 as i32).into(),
            (&self.context).into(),
        ];
        self.setting.device.each("copy_where", pixels, &arguments)
    }
}

impl Pixels for DevicePixels<'_> {
    fn hidden(&self) -> ArrayView2<'_, bool> {
        self.known_hidden.view()
    }

    fn priorities(&mut self, strategy: Strategy, unknown: &[bool]) -> Result<Vec<i64>> {
        if !matches!(strategy, Strategy::UncertaintyGuided | Strategy::ContentAware) {
            let nothing = Array2::zeros((0, 0));
            return Ok(priorities(strategy, &self.grid, unknown, nothing.view(), || {
                Array3::zeros((0, 0, 0))
            }));
        }
        if let Some(priorities) = &self.priorities {
            return Ok(priorities.clone());
        }
        let (device, count) = (self.setting.device, self.grid.count());
        let out: Buffer<i64> = device.gpu.empty(count)?;
        let [height, width, size] =
            [self.grid.height, self.grid.width, self.grid.size].map(|n| n as i32);
        if strategy == Strategy::ContentAware {
            let cells = local_variogram_on(&device.gpu, &self.context, &self.unseen, self.shape)?;
            let arguments: [Arg; 6] = [
                (&cells).into(),
                height.into(),
                width.into(),
                size.into(),
                (count as i32).into(),
                (&out).into(),
            ];
            device.each("content_priorities", count, &arguments)?;
        } else {
            let stated = self.setting.predictor.may_state_variance();
            if stated {
                self.predict_everything()?;
            } else {
                self.ensure_base_variance()?;
            }
            let variance = match (&self.standing, &self.base_variance) {
                (Some(standing), _) if stated => &standing.variance,
                (_, Some(base)) => base,
                _ => &self.variance,
            };
            let arguments: [Arg; 5] =
                [variance.into(), height.into(), width.into(), size.into(), (&out).into()];
            device.patches("uncertainty_priorities", count, &arguments)?;
        }
        let found = out.download()?;
        self.priorities = Some(found.clone());
        Ok(found)
    }

    fn predict(&mut self, patches: &[usize], factor: f32) -> Result<Vec<Stated>> {
        let device = self.setting.device;
        if self.options().context_size.is_none() {
            let fresh = self.standing.is_none() || self.sums_are_unknown();
            self.predict_everything()?;
            let Some(standing) = self.standing.take() else {
                unreachable!("it has just been predicted")
            };
            if let Some(mut factors) = self.factors.take() {
                if fresh {
                    let all: Vec<usize> = (0..self.grid.count()).collect();
                    let (list, out) = (self.list(&all)?, device.gpu.empty(all.len() * SUMS)?);
                    self.take(&standing, (&list, 0, all.len()), None, Some(&out))?;
                    self.keep_sums(&all, &out)?;
                }
                for &patch in patches {
                    factors[patch] = factor;
                }
                self.factors = Some(factors);
            } else {
                let (list, out) = (self.list(patches)?, device.gpu.empty(patches.len() * SUMS)?);
                let factors = device.gpu.upload(&vec![factor; patches.len()])?;
                let parts = (&list, 0, patches.len());
                self.take(&standing, parts, Some(&factors), Some(&out))?;
                self.keep_sums(patches, &out)?;
            }
            self.standing = Some(standing);
            return Ok(self.stated(patches));
        }
        let side = self.options().context_size.unwrap_or_default();
        let (list, out) = (self.list(patches)?, device.gpu.empty(patches.len() * SUMS)?);
        let factors = device.gpu.upload(&vec![factor; patches.len()])?;
        for (place, &patch) in patches.iter().enumerate() {
            // all windows of a batch look at the same context
            let predicted = self.predict_window(&self.grid.window(patch, side))?;
            self.take(&predicted, (&list, place, 1), Some(&factors), Some(&out))?;
        }
        self.keep_sums(patches, &out)?;
        Ok(self.stated(patches))
    }

    fn measure(&mut self, patch: usize) -> Measured {
        let [.., squared, absolute, size] = self.sums[patch];
        Measured { squared, absolute, size: size as usize }
    }

    fn accept(&mut self, patches: &[usize], reveal: bool) -> Result<()> {
        for &patch in patches {
            let (rows, cols) = self.grid.rectangle(patch);
            let plane = s![rows, cols];
            Zip::from(self.known_hidden.slice_mut(plane))
                .and(self.masks.0.slice(plane))
                .and(self.masks.1.slice(plane))
                .for_each(|hidden, &missing, &own| *hidden &= !own || reveal && missing);
        }
        if self.factors.is_none() && !patches.is_empty() {
            let list = self.list(patches)?;
            let source = if reveal { self.image } else { &self.prediction };
            let numbers = [self.grid.height, self.grid.width, self.shape.2, self.grid.size];
            let mut arguments: Vec<Arg> = vec![
                (&list).into(),
                source.into(),
                i32::from(reveal).into(),
                (&self.missing).into(),
                (&self.own).into(),
            ];
            arguments.extend(numbers.map(|n| Arg::from(n as i32)));
            let changed: [Arg; 3] =
                [(&self.context).into(), (&self.hidden).into(), (&self.unseen).into()];
            arguments.extend(changed);
            self.setting.device.patches("accept", patches.len(), &arguments)?;
        }
        if reveal {
            self.base_variance = None;
        }
        if reveal || self.setting.predictor.is_asked_again(self.options()) {
            self.standing = None;
            self.priorities = None;
        }
        Ok(())
    }

    fn forget(&mut self) {
        // `finish` may need what stands
    }
}

impl DevicePixels<'_> {
    fn options(&self) -> &Options {
        self.setting.options
    }

    /// Whether the sums of all patches have not been taken yet.
    fn sums_are_unknown(&self) -> bool {
        self.sums.first().is_some_and(|sums| sums[2].is_nan())
    }
}
