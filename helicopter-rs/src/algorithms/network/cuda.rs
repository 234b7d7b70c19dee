//! The network on a device: weights uploaded once, an image's maps computed there layer by layer.
//!
//! Every layer is a launch for the whole of a batch. Maps live in two sets of planes for each level, `a` and
//! `b`, because of a level at most two maps are alive: what a block adds to stays in `a` and is added to in
//! place, and that is also what a way up adds to later. Only the window that what is hidden depends on is computed,
//! and in tiles where that would take too much memory.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, ArrayViewMut3, ArrayViewMut4, Axis};

use super::calibration::Calibration;
use super::weights::{Weights, COLOURS, SUBPIXELS};
use crate::algorithms::pde;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::utils::cuda_bindings::{args, source, Arg, Buffer, Gpu, Launch, Module, Source};
use crate::utils::tensor_ops::{check_shape, in_order};

mod layers;
#[cfg(test)]
mod tests;

use layers::{Layer, Layers, Op};

static NETWORK: Source = source!("network.cu");

/// Maps take at most this many bytes, and half of the free memory.
const MOST_BYTES: usize = 4 << 30;
/// Positions to a block of a product between levels.
const POSITIONS: usize = 128;
/// Blocks along the third side of a grid.
const MOST_BLOCKS: usize = 65_535;

/// A trained network whose weights lie on a device.
pub struct CudaNetwork {
    gpu: Arc<Gpu>,
    layers: Layers,
    knots: Buffer<f64>,
    knot_count: usize,
    second: Buffer<f32>,
    most_bytes: usize,
}

impl std::fmt::Debug for CudaNetwork {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CudaNetwork")
            .field("widths", &self.widths())
            .finish_non_exhaustive()
    }
}

/// A batch of images of one size on the device.
#[derive(Clone, Copy)]
struct Batch<'a> {
    image: &'a Buffer<f32>,
    filled: &'a Buffer<f32>,
    hidden: &'a Buffer<u8>,
    sigma: &'a Buffer<f32>,
    unsound: &'a Buffer<i32>,
    height: usize,
    width: usize,
    channels: usize,
}

/// Planes of all levels for one tile of some images.
struct Maps {
    a: Vec<Buffer<f32>>,
    b: Vec<Buffer<f32>>,
}

impl CudaNetwork {
    /// Reads a file of weights (safetensors) and uploads it.
    ///
    /// # Errors
    /// As [`super::Network::from_bytes`]; and [`Error::Device`].
    pub fn from_bytes(gpu: &Arc<Gpu>, data: &[u8]) -> Result<Self> {
        let weights = Weights::read(data)?;
        let layers = Layers::new(gpu, &weights)?;
        let knots = Calibration::new(&weights.log_scale, &weights.log_sigma).table();
        let second = &weights.scale_second;
        let taps = (0..second.inputs)
            .flat_map(|input| (0..SUBPIXELS).map(move |output| second.tap(output, input, 0, 0)));
        let taps: Vec<f32> = taps.chain((0..SUBPIXELS).map(|output| second.bias(output))).collect();
        Ok(Self {
            gpu: Arc::clone(gpu),
            layers,
            knot_count: weights.log_scale.len(),
            knots: gpu.upload(&knots)?,
            second: gpu.upload(&taps)?,
            most_bytes: MOST_BYTES,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// Channels of each level.
    #[must_use]
    pub fn widths(&self) -> &[usize] {
        &self.layers.widths
    }

    /// As [`super::Network::radius`].
    #[must_use]
    pub fn radius(&self) -> usize {
        self.layers.radius
    }

    /// As [`super::Network::predict`].
    ///
    /// # Errors
    /// As [`super::Network::predict`]; and [`Error::Device`].
    pub fn predict(
        &self,
        image: ArrayViewMut3<f32>,
        mask: ArrayView2<bool>,
        host: &dyn Host,
    ) -> Result<Array2<f32>> {
        check_shape("predict", image.dim(), mask.dim())?;
        let images = image.insert_axis(Axis(0));
        Ok(self.predict_batch(images, mask.insert_axis(Axis(0)), host)?.remove_axis(Axis(0)))
    }

    /// Fills the hidden pixels of several images of one size, (image, row, column, channel), and returns
    /// the standard deviations of their errors.
    ///
    /// # Errors
    /// As [`CudaNetwork::predict`].
    pub fn predict_batch(
        &self,
        mut images: ArrayViewMut4<f32>,
        masks: ArrayView3<bool>,
        host: &dyn Host,
    ) -> Result<Array3<f32>> {
        let (count, height, width, channels) = images.dim();
        if masks.dim() != (count, height, width) {
            let expected = format!("of shape {:?}", (count, height, width));
            return Err(Error::argument(
                "predict_batch",
                "masks",
                expected,
                format!("{:?}", masks.dim()),
            ));
        }
        if count == 0 {
            return Ok(Array3::zeros((0, height, width)));
        }
        let hidden: Vec<u8> = masks.iter().map(|&hidden| u8::from(hidden)).collect();
        let hidden = self.gpu.upload(&hidden)?;
        let rows = images.view_mut().into_shape_with_order((count * height, width, channels));
        let Ok(mut rows) = rows else {
            let mut copy = images.to_owned();
            let sigma = self.predict_batch(copy.view_mut(), masks, host)?;
            images.assign(&copy);
            return Ok(sigma);
        };
        let sigma = in_order(&mut rows, |pixels| {
            let on_device = self.gpu.upload(pixels)?;
            let (filled, sigma) =
                self.predict_on(on_device, &hidden, (count, height, width, channels), host)?;
            filled.download_into(pixels)?;
            sigma.download()
        })?;
        let sigma = Array3::from_shape_vec((count, height, width), sigma);
        sigma.map_err(|error| Error::Panic(error.to_string()))
    }

    /// As [`CudaNetwork::predict_batch`], of images that lie on the device; gives the filled ones and sigma.
    ///
    /// # Errors
    /// As [`CudaNetwork::predict`].
    pub fn predict_on(
        &self,
        image: Buffer<f32>,
        hidden: &Buffer<u8>,
        (count, height, width, channels): (usize, usize, usize, usize),
        host: &dyn Host,
    ) -> Result<(Buffer<f32>, Buffer<f32>)> {
        let pixels = height * width;
        for number in 0..count {
            let from = (&image, number * pixels * channels);
            let hidden = (hidden, number * pixels);
            let size = (height, width, channels);
            pde::cuda::solve_on(&self.gpu, from, hidden, size, pde::Kind::Harmonic, host)?;
        }
        self.correct_on(&image, hidden, (count, height, width, channels), host)
    }

    /// As [`CudaNetwork::predict_on`], for images whose hidden pixels hold the harmonic solution.
    ///
    /// # Errors
    /// As [`CudaNetwork::predict`].
    pub fn correct_on(
        &self,
        image: &Buffer<f32>,
        hidden: &Buffer<u8>,
        (count, height, width, channels): (usize, usize, usize, usize),
        host: &dyn Host,
    ) -> Result<(Buffer<f32>, Buffer<f32>)> {
        let gpu = &self.gpu;
        let mut filled = gpu.empty::<f32>(image.len())?;
        filled.copy_from(image)?;
        let sigma = gpu.zeros::<f32>(count * height * width)?;
        let unsound = gpu.zeros::<i32>(1)?;
        let mut rows: Option<Range<usize>> = None;
        let mut cols = 0..0;
        for number in 0..count {
            let offset = number * height * width;
            if let Some(window) = pde::cuda::hidden_window(gpu, hidden, offset, (height, width))? {
                let (top, bottom) = (window.top, window.top + window.height);
                let (left, right) = (window.left, window.left + window.width);
                (rows, cols) = match rows {
                    None => (Some(top..bottom), left..right),
                    Some(rows) => (
                        Some(rows.start.min(top)..rows.end.max(bottom)),
                        cols.start.min(left)..cols.end.max(right),
                    ),
                };
            }
        }
        let Some(rows) = rows else { return Ok((filled, sigma)) };
        let batch = Batch {
            image,
            filled: &filled,
            hidden,
            sigma: &sigma,
            unsound: &unsound,
            height,
            width,
            channels,
        };
        self.correct_window(&batch, count, (rows, cols), host)?;
        if unsound.download()?[0] == 0 {
            return Ok((filled, sigma));
        }
        Err(super::unsound())
    }

    /// Standard deviations become variances.
    pub(crate) fn square(&self, sigma: &Buffer<f32>) -> Result<()> {
        let grid = [sigma.len().div_ceil(256) as u32, 1, 1];
        let launch = Launch { grid, block: [256, 1, 1], shared: 0 };
        let count = sigma.len() as i64;
        self.gpu.launch(&self.layers.module, "square", launch, args![sigma, count])
    }

    /// Corrects what is hidden within some rows and columns, tile by tile and some images at a time.
    fn correct_window(
        &self,
        batch: &Batch,
        count: usize,
        (rows, cols): (Range<usize>, Range<usize>),
        host: &dyn Host,
    ) -> Result<()> {
        let (free, _) = self.gpu.memory()?;
        let budget = self.most_bytes.min(free / 2);
        let (height, width) = self.tile(budget, rows.len(), cols.len());
        let around = |range: Range<usize>, side: usize| self.layers.around(range, side);
        let mut kept: Option<(Maps, (usize, usize, usize))> = None;
        for top in rows.clone().step_by(height) {
            for left in cols.clone().step_by(width) {
                let tile = (top..(top + height).min(rows.end), left..(left + width).min(cols.end));
                let window =
                    (around(tile.0.clone(), batch.height), around(tile.1.clone(), batch.width));
                let bytes = self.layers.bytes(window.0.len(), window.1.len());
                let most_blocks = self.layers.most_blocks().max(1);
                let together = (budget / bytes).min(MOST_BLOCKS / most_blocks).clamp(1, count);
                for first in (0..count).step_by(together) {
                    let now = together.min(count - first);
                    let shape = (now, window.0.len(), window.1.len());
                    let maps = match kept.take() {
                        Some((maps, of)) if of == shape => maps,
                        other => {
                            drop(other);
                            self.maps(shape)?
                        }
                    };
                    self.correct_tile(batch, first, now, &tile, &window, &maps, host)?;
                    kept = Some((maps, shape));
                }
            }
        }
        Ok(())
    }

    /// Sides of a tile whose maps fit into the budget, or nearly.
    fn tile(&self, budget: usize, rows: usize, cols: usize) -> (usize, usize) {
        let halo = 2 * self.layers.radius + 2 * self.layers.unit;
        let (mut height, mut width) = (rows, cols);
        while self.layers.bytes(height + halo, width + halo) > budget && height.max(width) > halo {
            if height >= width {
                height = height.div_ceil(2);
            } else {
                width = width.div_ceil(2);
            }
        }
        (height, width)
    }

    fn maps(&self, (images, height, width): (usize, usize, usize)) -> Result<Maps> {
        let planes = |level: usize, channels: usize| {
            let (rows, _, pitch) = Layers::size(level, height, width);
            // zeros: rows end at multiples of four, and what is beyond the map is read along
            self.gpu.zeros::<f32>(images * channels * rows * pitch)
        };
        let of = |channels: &[usize]| -> Result<Vec<_>> {
            channels.iter().enumerate().map(|(level, &channels)| planes(level, channels)).collect()
        };
        Ok(Maps { a: of(&self.layers.widths)?, b: of(&self.layers.others)? })
    }

    #[allow(clippy::too_many_arguments)] // one call, whose arguments are loop variables
    fn correct_tile(
        &self,
        batch: &Batch,
        first: usize,
        count: usize,
        (rows, cols): &(Range<usize>, Range<usize>),
        window: &(Range<usize>, Range<usize>),
        maps: &Maps,
        host: &dyn Host,
    ) -> Result<()> {
        let pixels = batch.height * batch.width;
        let image = (batch.image, first * pixels * batch.channels);
        let hidden = (batch.hidden, first * pixels);
        let (h, w, c) = (batch.height as i32, batch.width as i32, batch.channels as i32);
        let (top, left) = (window.0.start as i32, window.1.start as i32);
        let (height, width, pitch) = Layers::size(0, window.0.len(), window.1.len());
        let (map_rows, map_cols, map_pitch) = (height as i32, width as i32, pitch as i32);
        let positions = Launch {
            grid: [width.div_ceil(32) as u32, height.div_ceil(8) as u32, count as u32],
            block: [32, 8, 1],
            shared: 0,
        };
        let run =
            |name, launch, args: &[Arg]| self.gpu.launch(&self.layers.module, name, launch, args);
        run(
            "features",
            positions,
            args![image, hidden, &maps.b[0], h, w, c, top, left, map_rows, map_cols, map_pitch],
        )?;
        for layer in &self.layers.all {
            host.check()?;
            self.layer(layer, count, (window.0.len(), window.1.len()), maps)?;
        }
        run(
            "correct",
            positions,
            args![
                &maps.b[0],
                &self.second,
                &self.knots,
                (batch.hidden, first * pixels),
                (batch.image, first * pixels * batch.channels),
                (batch.filled, first * pixels * batch.channels),
                (batch.sigma, first * pixels),
                batch.unsound,
                self.knot_count as i32,
                (self.layers.heads - SUBPIXELS * COLOURS) as i32,
                h,
                w,
                c,
                top,
                left,
                map_rows,
                map_cols,
                map_pitch,
                rows.start as i32,
                rows.end as i32,
                cols.start as i32,
                cols.end as i32
            ],
        )
    }

    /// Computes one map of a tile of the given size in pixels.
    fn layer(&self, layer: &Layer, count: usize, tile: (usize, usize), maps: &Maps) -> Result<()> {
        let (height, width, pitch) = Layers::size(layer.level, tile.0, tile.1);
        let (rows, cols, line) = (height as i32, width as i32, pitch as i32);
        let (inputs, outputs) = (layer.inputs as i32, layer.outputs as i32);
        let (a, b) = (&maps.a[layer.level], &maps.b[layer.level]);
        if let Op::Conv { module, from_a, residual, rectified } = &layer.op {
            let (from, to) = if *from_a { (a, b) } else { (b, a) };
            let launch = Launch {
                grid: [
                    width.div_ceil(16) as u32,
                    height.div_ceil(8) as u32,
                    (count * layer.blocks) as u32,
                ],
                block: [128, 1, 1],
                shared: 0,
            };
            let (rectified, add) = (*rectified as i32, i32::from(*residual));
            return self.gpu.launch(
                module,
                "convolve",
                launch,
                args![
                    from,
                    &layer.weights,
                    &layer.bias,
                    to,
                    to,
                    inputs,
                    outputs,
                    rows,
                    cols,
                    line,
                    rectified,
                    add
                ],
            );
        }
        // between this level and the next lower one, whose positions are counted
        let (height, width, pitch) = Layers::size(layer.level + 1, tile.0, tile.1);
        let blocks = (height * width).div_ceil(POSITIONS) as u32;
        let launch = Launch {
            grid: [blocks, layer.blocks as u32, count as u32],
            block: [128, 1, 1],
            shared: 0,
        };
        let below = &maps.a[layer.level + 1];
        let (name, from, to) = match layer.op {
            Op::Shrink => ("shrink", a, below),
            _ => ("grow", below, a),
        };
        let (rows, cols, small) = (height as i32, width as i32, pitch as i32);
        self.gpu.launch(
            &self.layers.module,
            name,
            launch,
            args![from, &layer.weights, &layer.bias, to, inputs, outputs, rows, cols, small, line],
        )
    }
}

/// A module of the network's kernels: `outputs` is how many channels a thread of a convolution computes.
fn module(gpu: &Gpu, outputs: Option<usize>) -> Result<Arc<Module>> {
    let options = outputs.map(|outputs| format!("-DOUTPUTS={outputs}"));
    gpu.module(&NETWORK, &options.into_iter().collect::<Vec<_>>())
}
