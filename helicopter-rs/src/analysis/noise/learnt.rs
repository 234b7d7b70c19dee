//! The small networks that tell noise from content, as the Python side reads them from their file.

use std::collections::BTreeMap;

use super::answers::{KIND_OUTPUTS, LEVEL_OUTPUTS, LEVEL_OUTPUTS_COLOUR};
use super::block_features;
use super::cosines::BANDS;
use crate::error::{Error, Result};
use crate::utils::simd::F32x8;

/// A matrix or, with one row, a vector.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Rows and columns.
    pub shape: (usize, usize),
    /// Values, a row after the other.
    pub values: Vec<f32>,
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// Heads of the network that weighs blocks.
pub(super) const HEADS: usize = 8;
/// Units of its hidden layers, at most.
const MOST_HIDDEN: usize = 32;
/// Features of impulses, waves and compression, beside those of the blocks.
const OTHER_FEATURES: usize = 56;
/// What it sees of a block: the bands of each plane, distance to the ends of the range, clipping,
/// intensity.
const fn block_inputs(channels: usize) -> usize {
    channels * BANDS + 3
}
/// The same, at most.
pub(super) const MOST_INPUTS: usize = block_inputs(3);

#[derive(Clone, Debug)]
struct Layer {
    outputs: usize,
    inputs: usize,
    matrix: Vec<f32>,
    bias: Vec<f32>,
}

impl Layer {
    fn take(tensors: &Tensors, name: &str) -> Result<Self> {
        let matrix = take(tensors, &format!("{name}.weight"))?;
        let bias = take(tensors, &format!("{name}.bias"))?;
        let (outputs, inputs) = matrix.shape;
        if bias.values.len() != outputs {
            return Err(wrong(format!("{name} has another number of biases than of outputs")));
        }
        Ok(Self { outputs, inputs, matrix: matrix.values.clone(), bias: bias.values.clone() })
    }

    fn apply(&self, input: &[f64]) -> Vec<f64> {
        let rows = self.matrix.chunks_exact(self.inputs).zip(&self.bias);
        rows.map(|(row, &bias)| {
            let sum: f64 = row.iter().zip(input).map(|(&w, &x)| f64::from(w) * x).sum();
            sum + f64::from(bias)
        })
        .collect()
    }
}

fn take<'a>(tensors: &'a Tensors, name: &str) -> Result<&'a Tensor> {
    let tensor = tensors.get(name).ok_or_else(|| wrong(format!("{name} is missing")))?;
    if tensor.values.len() == tensor.shape.0 * tensor.shape.1 && !tensor.values.is_empty() {
        Ok(tensor)
    } else {
        Err(wrong(format!("{name} has values that do not fit its shape")))
    }
}

#[cold]
fn wrong(reason: String) -> Error {
    Error::Model { operation: "NoiseModel", reason }
}

/// Units worked out at once, so that none waits for its own sums.
const GROUP: usize = 4;

/// A layer with the weights of a few units side by side.
#[derive(Clone, Debug)]
struct Units {
    inputs: usize,
    outputs: usize,
    /// By group, then by input.
    weights: Vec<[f32; GROUP]>,
    bias: Vec<[f32; GROUP]>,
}

impl Units {
    fn new(layer: &Layer) -> Self {
        let groups = layer.outputs.div_ceil(GROUP);
        let of = |values: &[f32], at: usize| values.get(at).copied().unwrap_or(0.0);
        let bias = |group| std::array::from_fn(|unit| of(&layer.bias, group * GROUP + unit));
        let weights = |at: usize| {
            let (group, input) = (at / layer.inputs, at % layer.inputs);
            let row = |unit| (group * GROUP + unit) * layer.inputs;
            std::array::from_fn(|unit| of(&layer.matrix, row(unit) + input))
        };
        Self {
            inputs: layer.inputs,
            outputs: layer.outputs,
            weights: (0..groups * layer.inputs).map(weights).collect(),
            bias: (0..groups).map(bias).collect(),
        }
    }

    /// The first `count` units, each at least zero, in whole groups.
    #[inline(always)]
    fn apply<V: F32x8>(&self, input: &[V], count: usize, out: &mut [V]) {
        let zero = V::splat(0.0);
        let input = &input[..self.inputs];
        for group in 0..count.div_ceil(GROUP) {
            let weights = &self.weights[group * self.inputs..(group + 1) * self.inputs];
            // two sums for each unit, so that one need not wait for the other
            let (mut even, mut odd) = ([zero; GROUP], [zero; GROUP]);
            for unit in 0..GROUP {
                even[unit] = V::splat(self.bias[group][unit]);
            }
            let mut i = 0;
            while i + 1 < weights.len() {
                for unit in 0..GROUP {
                    even[unit] = V::splat(weights[i][unit]).multiply_add(input[i], even[unit]);
                    odd[unit] =
                        V::splat(weights[i + 1][unit]).multiply_add(input[i + 1], odd[unit]);
                }
                i += 2;
            }
            if i < weights.len() {
                for unit in 0..GROUP {
                    even[unit] = V::splat(weights[i][unit]).multiply_add(input[i], even[unit]);
                }
            }
            for unit in 0..GROUP {
                out[group * GROUP + unit] = even[unit].add(odd[unit]).max(zero);
            }
        }
    }
}

/// Gives every block a weight for each head.
#[derive(Clone, Debug)]
pub(super) struct BlockNetwork {
    layers: [Units; 3],
}

impl BlockNetwork {
    /// Weights of eight blocks for the first heads, of what is seen of them.
    #[inline(always)]
    pub fn weigh<V: F32x8>(&self, seen: &[V; MOST_INPUTS], heads: usize) -> [V; HEADS] {
        let mut first = [V::splat(0.0); MOST_HIDDEN];
        self.layers[0].apply(seen, self.layers[0].outputs, &mut first);
        let mut second = [V::splat(0.0); MOST_HIDDEN];
        self.layers[1].apply(&first, self.layers[1].outputs, &mut second);
        let mut out = [V::splat(0.0); HEADS];
        self.layers[2].apply(&second, heads, &mut out);
        for head in 0..heads {
            out[head] = out[head].mul(out[head]).add(V::splat(1e-6));
        }
        out
    }
}

/// Two hidden layers and a direct way, behind normalised features.
#[derive(Clone, Debug)]
pub(super) struct Perceptron {
    centre: Vec<f32>,
    spread: Vec<f32>,
    layers: [Layer; 3],
    direct: Vec<f32>,
}

impl Perceptron {
    fn take(tensors: &Tensors, name: &str) -> Result<Self> {
        let layer = |k: usize| Layer::take(tensors, &format!("{name}.layer{k}"));
        let out = Self {
            centre: take(tensors, &format!("{name}.centre"))?.values.clone(),
            spread: take(tensors, &format!("{name}.spread"))?.values.clone(),
            layers: [layer(1)?, layer(2)?, layer(3)?],
            direct: take(tensors, &format!("{name}.direct"))?.values.clone(),
        };
        let [first, second, third] = &out.layers;
        let inputs = out.centre.len();
        let fits = out.spread.len() == inputs
            && first.inputs == inputs
            && second.inputs == first.outputs
            && third.inputs == second.outputs
            && out.direct.len() == inputs * third.outputs;
        if fits {
            Ok(out)
        } else {
            Err(wrong(format!("the shapes of {name} do not fit together")))
        }
    }

    /// Number of features.
    pub fn inputs(&self) -> usize {
        self.centre.len()
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.layers[2].outputs
    }

    /// The outputs for one vector of features.
    pub fn answer(&self, features: &[f64]) -> Vec<f64> {
        let ends = self.centre.iter().zip(&self.spread);
        let normal: Vec<f64> = features
            .iter()
            .zip(ends)
            .map(|(&x, (&centre, &spread))| {
                ((x - f64::from(centre)) / f64::from(spread)).clamp(-6.0, 6.0)
            })
            .collect();
        let mut values = normal.clone();
        for layer in &self.layers[..2] {
            values = layer.apply(&values).into_iter().map(|x| x.max(0.0)).collect();
        }
        let last = self.layers[2].apply(&values);
        let direct = self.direct.chunks_exact(normal.len());
        last.into_iter()
            .zip(direct)
            .map(|(x, row)| {
                x + row.iter().zip(&normal).map(|(&w, &x)| f64::from(w) * x).sum::<f64>()
            })
            .collect()
    }
}

/// All that has been learnt, for images of one number of channels.
#[derive(Clone, Debug)]
pub struct NoiseModel {
    /// 1 or 3.
    pub channels: usize,
    pub(super) blocks: BlockNetwork,
    pub(super) level: Perceptron,
    pub(super) kinds: Perceptron,
    pub(super) map_shrink: [f32; 2],
}

impl NoiseModel {
    /// Checks the tensors and lays them out.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] when one is missing or has a shape that does not fit the others.
    pub fn new(tensors: &Tensors) -> Result<Self> {
        let sound = |tensor: &Tensor| tensor.values.iter().all(|value| value.is_finite());
        if let Some((name, _)) = tensors.iter().find(|(_, tensor)| !sound(tensor)) {
            return Err(wrong(format!("{name} holds values that are not finite")));
        }
        let layer = |k: usize| Layer::take(tensors, &format!("blocks.layer{k}"));
        let layers = [layer(1)?, layer(2)?, layer(3)?];
        let [grey, colour] = [1, 3].map(block_inputs);
        let channels = match layers[0].inputs {
            inputs if inputs == grey => 1,
            inputs if inputs == colour => 3,
            other => {
                return Err(wrong(format!("a block has {grey} or {colour} inputs, not {other}")))
            }
        };
        let fits = layers[1].inputs == layers[0].outputs
            && layers[2].inputs == layers[1].outputs
            && layers[0].outputs <= MOST_HIDDEN
            && layers[1].outputs <= MOST_HIDDEN
            && layers[2].outputs == HEADS;
        if !fits {
            return Err(wrong("the shapes of the blocks' layers do not fit together".into()));
        }
        let (level, kinds) =
            (Perceptron::take(tensors, "level")?, Perceptron::take(tensors, "kinds")?);
        let inputs = block_features::count(channels) + 1;
        let outputs = if channels == 1 { LEVEL_OUTPUTS } else { LEVEL_OUTPUTS_COLOUR };
        if (level.inputs(), level.outputs()) != (inputs, outputs) {
            return Err(wrong(format!("level has not {inputs} inputs and {outputs} outputs")));
        }
        let inputs = inputs + OTHER_FEATURES;
        if (kinds.inputs(), kinds.outputs()) != (inputs, KIND_OUTPUTS) {
            return Err(wrong(format!("kinds has not {inputs} inputs and {KIND_OUTPUTS} outputs")));
        }
        let shrink = take(tensors, "map_shrink")?;
        let &[wide, narrow] = shrink.values.as_slice() else {
            return Err(wrong("map_shrink has not two values".into()));
        };
        Ok(Self {
            channels,
            blocks: BlockNetwork { layers: [0, 1, 2].map(|k| Units::new(&layers[k])) },
            level,
            kinds,
            map_shrink: [wide, narrow],
        })
    }
}
