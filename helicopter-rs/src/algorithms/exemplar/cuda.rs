//! Exemplar fill on a GPU: the same bits as [`super::fill`], whose rounds read only the round before.
//!
//! The pyramid is made by the host, once; all rounds run there without a word in between.

use std::sync::Arc;

use ndarray::{ArrayView2, ArrayViewMut3};

use super::field::sweep_key;
use super::level::{Level, NONE};
use super::{pyramid, rounds, FIRST_STEPS, STEPS};
use crate::algorithms::pde;
use crate::error::Result;
use crate::host::Host;
use crate::utils::cuda_bindings::{source, Arg, Buffer, Gpu, Launch, Module, Source};

fn exemplar() -> Source {
    source!("exemplar.cu")
}

/// Bins of a digit, and one for the number of all.
const COUNTS: usize = 257;
/// Blocks that count digits, at most.
const BLOCKS: usize = 128;

/// The kernels.
struct Kernels {
    gpu: Arc<Gpu>,
    module: Arc<Module>,
}

/// A level on the device.
struct LevelThere {
    height: usize,
    width: usize,
    radius: usize,
    count: usize,
    pixels: Buffer<u32>,
    visible: Buffer<u8>,
    targets: Buffer<u32>,
    number: Buffer<u32>,
    trust: Buffer<f32>,
    is_source: Buffer<u8>,
    choice: Buffer<u32>,
    colours: Buffer<u32>,
    weights: Buffer<f32>,
    counts: Buffer<u32>,
}

/// The field on the device; `next` takes what a sweep finds.
struct FieldThere {
    source: Buffer<u32>,
    next: Buffer<u32>,
    difference: Buffer<u32>,
}

/// Fills the pixels that `mask` marks with what is found elsewhere in the image.
///
/// # Errors
///
/// Those of [`super::fill`], and [`crate::error::Error::Device`].
pub fn fill(
    gpu: &Arc<Gpu>,
    mut image: ArrayViewMut3<f32>,
    mask: ArrayView2<bool>,
    seed: u64,
    host: &dyn Host,
) -> Result<()> {
    let channels = image.dim().2;
    let Some((mut frames, radius)) = pyramid(image.view(), mask, host)? else {
        if mask.iter().any(|&hidden| hidden) {
            pde::solve(image, mask, pde::Kind::Harmonic, host)?;
            host.progress(1, 1);
        }
        return Ok(());
    };
    let kernels = Kernels::new(gpu)?;
    let work: usize = frames.iter().enumerate().map(|(l, frame)| rounds(l) * frame.hidden()).sum();
    let mut done = 0;
    let mut above: Option<(LevelThere, FieldThere)> = None;
    while let Some(frame) = frames.pop() {
        let number = frames.len();
        let hidden = frame.hidden();
        let level = kernels.level(&Level::new(frame, radius))?;
        let mut field = kernels.unknown(&level)?;
        if let Some((coarse, found)) = above.take() {
            kernels.take_over(&level, &field, &coarse, &found)?;
            kernels.cast(&level, &field)?;
        }
        kernels.settle(&level, &field, sweep_key(seed, number, 0))?;
        let mut sweep = 0;
        for round in 0..rounds(number) {
            host.check()?;
            kernels.measure(&level, &field)?;
            let steps: &[usize] = if done == 0 { &FIRST_STEPS } else { &STEPS };
            for &step in steps {
                sweep += 1;
                kernels.sweep(&level, &mut field, sweep_key(seed, number, sweep), step)?;
            }
            if number > 0 || round + 1 < rounds(number) {
                kernels.cast(&level, &field)?;
            }
            done += hidden;
            host.progress(done, work);
        }
        above = Some((level, field));
    }
    if let Some((level, field)) = above {
        let there = gpu.upload(image.as_standard_layout().as_slice().unwrap_or_default())?;
        kernels.deliver(&level, &field, channels, &there)?;
        image.iter_mut().zip(there.download()?).for_each(|(to, from)| *to = from);
    }
    Ok(())
}

impl Kernels {
    fn new(gpu: &Arc<Gpu>) -> Result<Self> {
        // votes are summed to the host's bits
        let module = gpu.module(&exemplar(), &["--fmad=false".to_owned()])?;
        Ok(Self { gpu: Arc::clone(gpu), module })
    }

    fn each(&self, name: &str, count: usize, arguments: &[Arg]) -> Result<()> {
        let grid = [count.div_ceil(256).max(1) as u32, 1, 1];
        let shape = Launch { grid, block: [256, 1, 1], shared: 0 };
        self.gpu.launch(&self.module, name, shape, arguments)
    }

    fn level(&self, level: &Level) -> Result<LevelThere> {
        let gpu = &self.gpu;
        let bytes = |mask: &[bool]| mask.iter().map(|&one| u8::from(one)).collect::<Vec<_>>();
        let pixels: Vec<u32> =
            level.frame.pixels.iter().map(|&pixel| u32::from_ne_bytes(pixel)).collect();
        let count = level.targets.len();
        Ok(LevelThere {
            height: level.frame.height,
            width: level.frame.width,
            radius: level.radius,
            count,
            pixels: gpu.upload(&pixels)?,
            visible: gpu.upload(&bytes(&level.frame.visible))?,
            targets: gpu.upload(&level.targets)?,
            number: gpu.upload(&level.number)?,
            trust: gpu.upload(&level.trust)?,
            is_source: gpu.upload(&bytes(&level.is_source))?,
            choice: gpu.upload(&level.sources())?,
            colours: gpu.empty(count)?,
            weights: gpu.empty(count)?,
            counts: gpu.zeros(COUNTS)?,
        })
    }

    fn unknown(&self, level: &LevelThere) -> Result<FieldThere> {
        let nothing = vec![NONE; level.count];
        Ok(FieldThere {
            source: self.gpu.upload(&nothing)?,
            next: self.gpu.empty(level.count)?,
            difference: self.gpu.upload(&nothing)?,
        })
    }

    /// Takes colours and sources over from half the resolution.
    fn take_over(
        &self,
        level: &LevelThere,
        field: &FieldThere,
        coarse: &LevelThere,
        found: &FieldThere,
    ) -> Result<()> {
        let (count, own) = (Arg::from(level.count as i32), level.sizes());
        let theirs = coarse.sizes();
        let arguments: [Arg; 9] = [
            (&level.targets).into(),
            count,
            (&level.visible).into(),
            (&coarse.pixels).into(),
            own[0],
            own[1],
            theirs[0],
            theirs[1],
            (&level.pixels).into(),
        ];
        self.each("take_colours", level.count, &arguments)?;
        let arguments: [Arg; 11] = [
            (&level.targets).into(),
            count,
            (&level.is_source).into(),
            (&coarse.number).into(),
            (&found.source).into(),
            own[0],
            own[1],
            theirs[0],
            theirs[1],
            (&field.source).into(),
            (&field.difference).into(),
        ];
        self.each("refine", level.count, &arguments)
    }

    fn settle(&self, level: &LevelThere, field: &FieldThere, key: u64) -> Result<()> {
        let arguments: [Arg; 6] = [
            (&level.targets).into(),
            (level.count as i32).into(),
            (&level.choice).into(),
            (level.choice.len() as i32).into(),
            key.into(),
            (&field.source).into(),
        ];
        self.each("settle", level.count, &arguments)
    }

    fn measure(&self, level: &LevelThere, field: &FieldThere) -> Result<()> {
        let [height, width] = level.sizes();
        let arguments: [Arg; 9] = [
            (&level.pixels).into(),
            (&level.visible).into(),
            (&level.targets).into(),
            (&field.source).into(),
            (level.count as i32).into(),
            height,
            width,
            (level.radius as i32).into(),
            (&field.difference).into(),
        ];
        self.each("measure", level.count, &arguments)
    }

    fn sweep(
        &self,
        level: &LevelThere,
        field: &mut FieldThere,
        key: u64,
        step: usize,
    ) -> Result<()> {
        let [height, width] = level.sizes();
        let arguments: [Arg; 14] = [
            (&level.pixels).into(),
            (&level.visible).into(),
            (&level.is_source).into(),
            (&level.targets).into(),
            (&level.number).into(),
            (&field.source).into(),
            (level.count as i32).into(),
            height,
            width,
            (level.radius as i32).into(),
            key.into(),
            (step as i32).into(),
            (&field.next).into(),
            (&field.difference).into(),
        ];
        self.each("sweep", level.count, &arguments)?;
        std::mem::swap(&mut field.source, &mut field.next);
        Ok(())
    }

    /// Every hidden pixel becomes the weighted mean of what the patches over it say.
    fn cast(&self, level: &LevelThere, field: &FieldThere) -> Result<()> {
        let count = Arg::from(level.count as i32);
        let selection: Buffer<u32> = self.gpu.zeros(4)?;
        let blocks = level.count.div_ceil(256).clamp(1, BLOCKS);
        let of_all = Launch { grid: [blocks as u32, 1, 1], block: [256, 1, 1], shared: 0 };
        let single = Launch { grid: [1, 1, 1], block: [1, 1, 1], shared: 0 };
        for shift in [24, 16, 8, 0] {
            let shift = Arg::from(shift);
            let (selection, counts) = (Arg::from(&selection), Arg::from(&level.counts));
            let arguments = [(&field.difference).into(), count, selection, shift, counts];
            self.gpu.launch(&self.module, "digit_counts", of_all, &arguments)?;
            self.gpu.launch(&self.module, "next_digit", single, &[shift, counts, selection])?;
        }
        let arguments: [Arg; 6] = [
            (&field.source).into(),
            (&field.difference).into(),
            (&level.trust).into(),
            count,
            (&selection).into(),
            (&level.weights).into(),
        ];
        self.each("vote_weights", level.count, &arguments)?;
        let [height, width] = level.sizes();
        let arguments: [Arg; 11] = [
            (&level.pixels).into(),
            (&level.visible).into(),
            (&level.targets).into(),
            (&level.number).into(),
            (&field.source).into(),
            (&level.weights).into(),
            count,
            height,
            width,
            (level.radius as i32).into(),
            (&level.colours).into(),
        ];
        self.each("cast_votes", level.count, &arguments)?;
        let arguments: [Arg; 5] = [
            (&level.targets).into(),
            (&level.visible).into(),
            (&level.colours).into(),
            count,
            (&level.pixels).into(),
        ];
        self.each("recolour", level.count, &arguments)
    }

    fn deliver(
        &self,
        level: &LevelThere,
        field: &FieldThere,
        channels: usize,
        image: &Buffer<f32>,
    ) -> Result<()> {
        let [height, width] = level.sizes();
        let arguments: [Arg; 8] = [
            (&level.targets).into(),
            (&level.visible).into(),
            (&field.source).into(),
            (level.count as i32).into(),
            height,
            width,
            (channels as i32).into(),
            image.into(),
        ];
        self.each("deliver", level.count, &arguments)
    }
}

impl LevelThere {
    fn sizes(&self) -> [Arg<'static>; 2] {
        [(self.height as i32).into(), (self.width as i32).into()]
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};

    use super::super::tests::scene;
    use super::fill;
    use crate::host::NoHost;
    use crate::utils::cuda_bindings::tests::gpu;

    fn compare(image: &Array3<f32>, mask: &Array2<bool>, seed: u64) {
        let Some(gpu) = gpu() else { return };
        let (mut there, mut here) = (image.clone(), image.clone());
        fill(&gpu, there.view_mut(), mask.view(), seed, &NoHost).unwrap();
        super::super::fill(here.view_mut(), mask.view(), seed, &NoHost).unwrap();
        assert_eq!(there, here);
    }

    #[test]
    fn cuda_sews_the_same_pixels_together() {
        for (height, width, channels, seed) in [(60, 70, 3, 0), (48, 50, 1, 5), (96, 64, 3, 2)] {
            let (image, mask) = scene(height, width, channels);
            compare(&image, &mask, seed);
        }
        // one hole that takes several levels
        let (image, _) = scene(64, 64, 3);
        let mask =
            Array2::from_shape_fn((64, 64), |(y, x)| y.abs_diff(30) < 14 && x.abs_diff(34) < 13);
        compare(&image, &mask, 1);
    }

    #[test]
    fn cuda_fills_whatever_the_shape() {
        for (height, width) in [(1_usize, 1), (1, 97), (7, 8), (31, 37)] {
            for visible in [1, (height * width).div_ceil(2), height * width] {
                let (image, _) = scene(height, width, 1);
                let hidden = |(y, x)| y * width + x >= visible;
                compare(&image, &Array2::from_shape_fn((height, width), hidden), 0);
            }
        }
    }
}
