//! The network as a list of launches, and its weights as the kernels want them.

use std::ops::Range;
use std::sync::Arc;

use super::module;
use crate::algorithms::network::weights::{Block, Filter, Weights, COLOURS, FEATURES, SUBPIXELS};
use crate::error::Result;
use crate::utils::cuda_bindings::{Buffer, Gpu, Module};

/// Channels of the map in shared memory at a time.
const DEPTH: usize = 8;
/// Channels of a block of a product between levels.
const CHANNELS: usize = 64;
/// Channels that a thread of a convolution may compute; a block has eight times as many.
const OUTPUTS: [usize; 3] = [8, 6, 4];

pub(super) enum Op {
    /// From `a` to `b` or back; a residual is what `a` holds already. The first outputs lose what is negative.
    Conv { module: Arc<Module>, from_a: bool, residual: bool, rectified: usize },
    /// From `a` of this level to that of the next.
    Shrink,
    /// From `a` of the next level, added to that of this.
    Grow,
}

pub(super) struct Layer {
    pub op: Op,
    /// Of the larger map.
    pub level: usize,
    pub inputs: usize,
    pub outputs: usize,
    /// Blocks of outputs.
    pub blocks: usize,
    pub weights: Buffer<f32>,
    pub bias: Buffer<f32>,
}

pub(super) struct Layers {
    pub all: Vec<Layer>,
    /// What is not a convolution.
    pub module: Arc<Module>,
    /// Channels of each level: of the maps `a` ...
    pub widths: Vec<usize>,
    /// ... and at most, of the maps `b`.
    pub others: Vec<usize>,
    /// Channels of the last map: features of the scale, and corrections.
    pub heads: usize,
    pub radius: usize,
    /// Multiples of so many pixels are what the levels divide without a rest.
    pub unit: usize,
}

impl Layers {
    pub fn new(gpu: &Arc<Gpu>, weights: &Weights) -> Result<Self> {
        let levels = weights.down.len();
        let widths: Vec<usize> = std::iter::once(weights.enter.outputs)
            .chain(weights.shrink.iter().map(|filter| filter.outputs))
            .collect();
        let heads = weights.scale_first.outputs + SUBPIXELS * COLOURS;
        let mut others = widths.clone();
        others[0] = others[0].max(heads).max(SUBPIXELS * FEATURES);
        let unit = 1 << levels;
        let module = module(gpu, None)?;
        let mut layers =
            Self { all: Vec::new(), module, widths, others, heads, radius: unit - 1, unit };
        layers.conv(gpu, 0, &[&weights.enter], false, false, 0)?;
        for level in 0..levels {
            layers.blocks(gpu, level, &weights.down[level])?;
            if let Some(filter) = weights.shrink.get(level) {
                let tap = |k: usize, o: usize| filter.tap(o, k / 4, k % 4 / 2, k % 2);
                layers.product(gpu, Op::Shrink, level, filter, SUBPIXELS * filter.inputs, tap)?;
            }
        }
        for level in (0..weights.grow.len()).rev() {
            let filter = &weights.grow[level];
            let tap = |k: usize, o: usize| filter.tap(o, k, 0, 0);
            layers.product(gpu, Op::Grow, level, filter, filter.inputs, tap)?;
            layers.blocks(gpu, level, &weights.up[level])?;
        }
        // both heads look at the same map
        let both = [&weights.scale_first, &weights.mean];
        layers.conv(gpu, 0, &both, true, false, weights.scale_first.outputs)?;
        Ok(layers)
    }

    fn blocks(&mut self, gpu: &Arc<Gpu>, level: usize, blocks: &[Block]) -> Result<()> {
        for block in blocks {
            self.conv(gpu, level, &[&block.first], true, false, block.first.outputs)?;
            self.conv(gpu, level, &[&block.second], false, true, 0)?;
        }
        Ok(())
    }

    /// A convolution with the outputs of some filters one after the other.
    fn conv(
        &mut self,
        gpu: &Arc<Gpu>,
        level: usize,
        filters: &[&Filter],
        from_a: bool,
        residual: bool,
        rectified: usize,
    ) -> Result<()> {
        let inputs = filters[0].inputs;
        let of: Vec<(&Filter, usize)> = filters
            .iter()
            .flat_map(|&filter| (0..filter.outputs).map(move |output| (filter, output)))
            .collect();
        let outputs = of.len();
        let each = outputs_of_a_thread(outputs);
        let blocks = outputs.div_ceil(8 * each);
        let depth = inputs.next_multiple_of(DEPTH);
        let mut weights = vec![0.0; blocks * depth * 9 * 8 * each];
        for (block, weights) in weights.chunks_exact_mut(depth * 9 * 8 * each).enumerate() {
            for (at, weight) in weights.iter_mut().enumerate() {
                let (output, tap) = (block * 8 * each + at % (8 * each), at / (8 * each));
                let (input, tap) = (tap / 9, tap % 9);
                if let Some((filter, output)) = of.get(output).filter(|_| input < inputs) {
                    *weight = filter.tap(*output, input, tap / 3, tap % 3);
                }
            }
        }
        let bias: Vec<f32> = of.iter().map(|(filter, output)| filter.bias(*output)).collect();
        self.radius += 2 << level;
        let module = module(gpu, Some(each))?;
        self.all.push(Layer {
            op: Op::Conv { module, from_a, residual, rectified },
            level,
            inputs,
            outputs,
            blocks,
            weights: gpu.upload(&weights)?,
            bias: gpu.upload(&bias)?,
        });
        Ok(())
    }

    /// A product between levels, with `depth` inputs to a position.
    fn product(
        &mut self,
        gpu: &Arc<Gpu>,
        op: Op,
        level: usize,
        filter: &Filter,
        depth: usize,
        tap: impl Fn(usize, usize) -> f32,
    ) -> Result<()> {
        let blocks = filter.outputs.div_ceil(CHANNELS);
        let padded = depth.next_multiple_of(DEPTH);
        let weights: Vec<f32> = (0..blocks * padded * CHANNELS)
            .map(|at| {
                let (output, k) =
                    (at / (padded * CHANNELS) * CHANNELS + at % CHANNELS, at / CHANNELS % padded);
                if output < filter.outputs && k < depth {
                    tap(k, output)
                } else {
                    0.0
                }
            })
            .collect();
        let bias: Vec<f32> = (0..filter.outputs).map(|output| filter.bias(output)).collect();
        self.all.push(Layer {
            op,
            level,
            inputs: filter.inputs,
            outputs: filter.outputs,
            blocks,
            weights: gpu.upload(&weights)?,
            bias: gpu.upload(&bias)?,
        });
        Ok(())
    }

    /// Rows, columns and pitch of a map for a tile in pixels, whose sides are multiples of the unit.
    pub fn size(level: usize, height: usize, width: usize) -> (usize, usize, usize) {
        let (rows, cols) = (height / (2 << level), width / (2 << level));
        (rows, cols, cols.next_multiple_of(4))
    }

    /// What has to be computed for some rows or columns of an image of this side, in pixels. All of it
    /// is a multiple of the unit, counted from the image's corner, since what lies beyond the image up to
    /// such a multiple takes part.
    pub fn around(&self, range: Range<usize>, side: usize) -> Range<usize> {
        let start = range.start.saturating_sub(self.radius) / self.unit * self.unit;
        let end = (range.end + self.radius).min(side).next_multiple_of(self.unit);
        start..end
    }

    /// Of the maps of one image's tile.
    pub fn bytes(&self, height: usize, width: usize) -> usize {
        let (height, width) =
            (height.next_multiple_of(self.unit), width.next_multiple_of(self.unit));
        let levels = self.widths.iter().zip(&self.others).enumerate();
        levels
            .map(|(level, (a, b))| {
                let (rows, _, pitch) = Self::size(level, height, width);
                4 * (a + b) * rows * pitch
            })
            .sum()
    }

    /// Blocks of outputs of a convolution.
    pub fn most_blocks(&self) -> usize {
        self.all.iter().map(|layer| layer.blocks).max().unwrap_or(1)
    }
}

/// The one with which the fewest channels are computed in vain.
fn outputs_of_a_thread(outputs: usize) -> usize {
    let computed = |each: &usize| outputs.next_multiple_of(8 * each);
    OUTPUTS.into_iter().min_by_key(computed).unwrap_or(OUTPUTS[0])
}
