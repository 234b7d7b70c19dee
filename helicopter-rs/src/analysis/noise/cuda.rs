//! Noise on a GPU: blocks are measured there, of the picture and of copies of half and a quarter of its
//! size. What they mean is concluded here, by the same code as ever.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use ndarray::{ArrayView2, ArrayView3};

use super::answers::FineNoise;
use super::block_features::Measure;
use super::blocks::{lattice_of, Blocks, Strip, AT_THE_ENDS, LANES, STRIP};
use super::impulses::counts::{Counts, Plane, BINS, SAMPLE};
use super::impulses::{find_impulses_with, Impulses};
use super::learnt::NoiseModel;
use crate::analysis::zengeza_detector::{analyze_with, noise_level_with, NoiseRun, Place, Scene};
use crate::error::Result;
use crate::host::Host;
use crate::utils::cuda_bindings::{source, Arg, Buffer, Gpu, Launch, Module, Source};

fn noise() -> Source {
    source!("noise.cu")
}

/// Blocks that a block of threads has, and its threads.
const BLOCKS: usize = 32;
const THREADS: u32 = 256;

/// A GPU with the kernels.
struct Device {
    gpu: Arc<Gpu>,
    module: Arc<Module>,
}

/// A picture there.
struct DevicePicture {
    device: Arc<Device>,
    dim: (usize, usize, usize),
    values: Buffer<f32>,
    included: Option<Buffer<u8>>,
    /// Of what is given on the [0, 1] scale; none of levels.
    unit: Option<f32>,
}

/// As [`crate::analysis::zengeza_detector::analyze`].
///
/// # Errors
///
/// [`crate::error::Error::Device`], and those of the twin.
pub fn analyze(
    gpu: &Arc<Gpu>,
    scene: Scene,
    segments: Option<ArrayView2<i32>>,
    model: &NoiseModel,
    host: &dyn Host,
) -> Result<(NoiseRun, Vec<NoiseRun>)> {
    analyze_with(&Device::new(gpu)?, scene, segments, model, host)
}

/// As [`crate::analysis::zengeza_detector::noise_level`].
///
/// # Errors
///
/// [`crate::error::Error::Device`], and those of the twin.
pub fn noise_level(
    gpu: &Arc<Gpu>,
    scene: Scene,
    model: &NoiseModel,
    host: &dyn Host,
) -> Result<FineNoise> {
    noise_level_with(&Device::new(gpu)?, scene, model, host)
}

impl Device {
    fn new(gpu: &Arc<Gpu>) -> Result<Arc<Self>> {
        let module = gpu.module(&noise(), &["--fmad=false".to_owned()])?;
        Ok(Arc::new(Self { gpu: Arc::clone(gpu), module }))
    }
}

impl Place for Arc<Device> {
    fn picture<'a>(
        &self,
        pixels: ArrayView3<'a, f32>,
        included: Option<ArrayView2<'a, bool>>,
        unit: f32,
    ) -> Result<Box<dyn Measure + 'a>> {
        let bytes = |mask: ArrayView2<bool>| -> Vec<u8> {
            mask.iter().map(|&included| u8::from(included)).collect()
        };
        Ok(Box::new(DevicePicture {
            device: Arc::clone(self),
            dim: pixels.dim(),
            values: self.gpu.upload(pixels.as_standard_layout().as_slice().unwrap_or_default())?,
            included: included.map(|mask| self.gpu.upload(&bytes(mask))).transpose()?,
            unit: Some(unit),
        }))
    }

    fn impulses(
        &self,
        pixels: ArrayView3<f32>,
        included: ArrayView2<bool>,
        host: &dyn Host,
    ) -> Result<Impulses> {
        // all counts are taken of the same pixels
        let values = self.gpu.upload(pixels.as_standard_layout().as_slice().unwrap_or_default())?;
        let mask: Vec<u8> = included.iter().map(|&included| u8::from(included)).collect();
        let mask = self.gpu.upload(&mask)?;
        let count = |planes: &[Plane],
                     included: Option<ArrayView2<bool>>,
                     rows: &[usize],
                     every: usize,
                     host: &dyn Host| {
            host.check()?;
            self.count(planes, &values, included.map(|_| &mask), rows.len(), every)
        };
        find_impulses_with(&count, pixels, included, host)
    }
}

/// Counts of a plane as they lie on the device.
const COUNTS: usize = 30 + BINS;
const THRESHOLDS: usize = 5;

impl Device {
    /// Counts on so many rows, every so many from the second on.
    fn count(
        &self,
        planes: &[Plane],
        values: &Buffer<f32>,
        included: Option<&Buffer<u8>>,
        rows: usize,
        every: usize,
    ) -> Result<(Vec<Counts>, [u64; 2])> {
        let (_, width, channels) = planes[0].pixels.dim();
        let blocks = (rows * (width - 2)).div_ceil(THREADS as usize);
        let counts: Buffer<u64> = self.gpu.zeros(planes.len() * COUNTS + 2)?;
        let chances: Buffer<f64> = self.gpu.empty(blocks * planes.len() * THRESHOLDS)?;
        let Plane { low, high, step, .. } = planes[0];
        let mut arguments: Vec<Arg> =
            vec![values.into(), included.map_or_else(Arg::null, Arg::from)];
        let numbers = [width, channels, planes.len(), rows, every, SAMPLE];
        arguments.extend(numbers.map(|number| Arg::from(number as i32)));
        arguments.extend([low, high, step].map(Arg::from));
        arguments.extend([Arg::from(&counts), Arg::from(&chances)]);
        let shape = Launch { grid: [blocks as u32, 1, 1], block: [THREADS, 1, 1], shared: 0 };
        self.gpu.launch(&self.module, "count_impulses", shape, &arguments)?;
        let (found, chances) = (counts.download()?, chances.download()?);
        let span = f64::from(planes[0].span() + step);
        let of = |(plane, found): (usize, &[u64])| {
            let four = |at: usize| std::array::from_fn(|k| found[at + k]);
            let chance = |k: usize| -> f64 {
                let rooms = chances.iter().skip(plane * THRESHOLDS + k);
                rooms.step_by(planes.len() * THRESHOLDS).sum::<f64>() / span
            };
            Counts {
                pixels: found[0],
                chance: std::array::from_fn(chance),
                inside: std::array::from_fn(|k| found[1 + k]),
                extreme: std::array::from_fn(|k| found[6 + k]),
                eligible: [four(11), four(15)],
                found: [four(19), four(23)],
                grey: found[27],
                sampled: found[28],
                colourless: found[29],
                ranges: found[30..].to_vec(),
            }
        };
        let (each, out) = found.split_at(planes.len() * COUNTS);
        Ok((each.chunks_exact(COUNTS).enumerate().map(of).collect(), [out[0], out[1]]))
    }
}

impl DevicePicture {
    /// Pixels, which of them count, and how they are to be read.
    fn arguments(&self) -> Vec<Arg<'_>> {
        vec![
            (&self.values).into(),
            self.included.as_ref().map_or_else(Arg::null, Arg::from),
            i32::from(self.unit.is_some()).into(),
            self.unit.unwrap_or(1.0).into(),
            (self.dim.1 as i32).into(),
            (self.dim.2 as i32).into(),
        ]
    }
}

impl Measure for DevicePicture {
    fn dim(&self) -> (usize, usize, usize) {
        self.dim
    }

    fn measure(&self, low: f32, high: f32, host: &dyn Host) -> Result<Blocks> {
        host.check()?;
        let (layout, lattice, stride) = lattice_of(self.dim, self.unit.is_some());
        let across = lattice.1.next_multiple_of(LANES);
        let out = self.device.gpu.zeros(layout.len() * across * lattice.0)?;
        let mut arguments = self.arguments();
        arguments.extend([low + AT_THE_ENDS, high - AT_THE_ENDS].map(Arg::from));
        let numbers = [lattice.0, lattice.1, stride.0, stride.1];
        arguments.extend(numbers.map(|number| Arg::from(number as i32)));
        arguments.push((&out).into());
        let grid = [(lattice.0 * lattice.1).div_ceil(BLOCKS) as u32, 1, 1];
        let shape = Launch { grid, block: [THREADS, 1, 1], shared: 0 };
        self.device.gpu.launch(&self.device.module, "measure_blocks", shape, &arguments)?;
        let values: Vec<f32> = out.download()?;
        let strips = values
            .chunks(layout.len() * across * STRIP)
            .map(|values| Strip::new(values.len() / layout.len() / LANES, values.to_vec()));
        Ok(Blocks { layout, lattice, stride, strips: strips.collect() })
    }

    fn halved(&self) -> Result<Box<dyn Measure>> {
        let (height, width, channels) = self.dim;
        let (rows, columns) = (height / 2, width / 2);
        let gpu = &self.device.gpu;
        let values = gpu.empty(rows * columns * channels)?;
        let included = match self.included {
            Some(_) => Some(gpu.empty(rows * columns)?),
            None => None,
        };
        let mut arguments = self.arguments();
        arguments.extend([rows, columns].map(|number| Arg::from(number as i32)));
        arguments.push((&values).into());
        arguments.push(included.as_ref().map_or_else(Arg::null, Arg::from));
        let shape = Launch::over2(columns, rows);
        gpu.launch(&self.device.module, "halve", shape, &arguments)?;
        let dim = (rows, columns, channels);
        let device = Arc::clone(&self.device);
        Ok(Box::new(DevicePicture { device, dim, values, included, unit: None }))
    }
}
