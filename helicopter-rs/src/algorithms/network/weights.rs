//! Reading a file of weights: safetensors, as the training script writes it.

use std::collections::BTreeMap;

use half::f16;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// What the file must call itself.
const FORMAT: &str = "helicopter-network-1";
/// Deeper networks would need images of thousands of pixels.
const MAX_LEVELS: usize = 8;
/// Channels of the features that come in.
pub(super) const FEATURES: usize = 5;
/// A position of the highest level covers 2 x 2 pixels.
pub(super) const SUBPIXELS: usize = 4;
/// Colours that come out.
pub(super) const COLOURS: usize = 3;

/// A convolution's weights, (outputs, inputs, rows, columns), and biases.
pub(super) struct Filter {
    pub outputs: usize,
    pub inputs: usize,
    side: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Filter {
    pub fn tap(&self, output: usize, input: usize, row: usize, col: usize) -> f32 {
        self.weights[((output * self.inputs + input) * self.side + row) * self.side + col]
    }

    pub fn bias(&self, output: usize) -> f32 {
        self.bias[output]
    }
}

/// A residual block: `x + second(relu(first(x)))`.
pub(super) struct Block {
    pub first: Filter,
    pub second: Filter,
}

/// Everything that a file holds and inference needs.
pub(super) struct Weights {
    pub enter: Filter,
    pub down: Vec<Vec<Block>>,
    pub shrink: Vec<Filter>,
    pub grow: Vec<Filter>,
    pub up: Vec<Vec<Block>>,
    pub mean: Filter,
    pub scale_first: Filter,
    pub scale_second: Filter,
    /// Knots of the map from the network's output to the logarithm of sigma.
    pub log_scale: Vec<f32>,
    pub log_sigma: Vec<f32>,
}

/// A file that cannot be used, and why.
#[cold]
fn wrong(reason: impl Into<String>) -> Error {
    Error::Model {
        operation: "Network",
        reason: format!(
            "the weights cannot be used: {}. Take the file as it was written by \
             `helicopter train`, or install Helicopter anew if it is the one that comes with it",
            reason.into()
        ),
    }
}

impl Weights {
    /// Reads and checks a file.
    pub fn read(data: &[u8]) -> Result<Self> {
        let broken = |error| wrong(format!("it is not a sound safetensors file ({error})"));
        let tensors = SafeTensors::deserialize(data).map_err(broken)?;
        let (_, metadata) = SafeTensors::read_metadata(data).map_err(broken)?;
        let metadata = metadata.metadata().clone().unwrap_or_default();
        match metadata.get("format").map(String::as_str) {
            Some(FORMAT) => {}
            Some(other) => {
                return Err(wrong(format!("its format is {other:?}, and {FORMAT:?} is read")))
            }
            None => return Err(wrong(format!("it does not say that its format is {FORMAT:?}"))),
        }
        let stated = metadata.get("sha256").ok_or_else(|| wrong("it states no sha256"))?;
        let digest = digest(&tensors);
        if !stated.eq_ignore_ascii_case(&digest) {
            return Err(wrong(format!(
                "it is damaged: the SHA-256 of its tensors is {digest}, and {stated} is stated"
            )));
        }
        Tensors::new(&tensors)?.weights()
    }
}

/// SHA-256 over all tensors in the order of their names: the line "name type shape", and the bytes.
fn digest(tensors: &SafeTensors) -> String {
    let mut names = tensors.names();
    names.sort_unstable();
    let mut digest = Sha256::new();
    for name in names {
        let Ok(tensor) = tensors.tensor(name) else { continue };
        let shape: Vec<String> = tensor.shape().iter().map(ToString::to_string).collect();
        digest.update(format!("{name} {:?} {}\n", tensor.dtype(), shape.join(",")));
        digest.update(tensor.data());
    }
    let nibbles = digest.finalize().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect()
}

/// The tensors that have not been asked for yet.
struct Tensors {
    left: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Tensors {
    fn new(tensors: &SafeTensors) -> Result<Self> {
        let mut left = BTreeMap::new();
        for (name, tensor) in tensors.tensors() {
            let bytes = tensor.data();
            let values: Vec<f32> = match tensor.dtype() {
                Dtype::F16 => {
                    let halves = bytes.chunks_exact(2);
                    halves.map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
                }
                Dtype::F32 => {
                    let words = bytes.chunks_exact(4);
                    words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
                }
                // what the loop's confidences need; not looked at here
                Dtype::F64 if name.starts_with("calibration.") => continue,
                other => return Err(wrong(format!("tensor {name:?} has the type {other:?}"))),
            };
            if !values.iter().all(|value| value.is_finite()) {
                return Err(wrong(format!("tensor {name:?} holds values that are not finite")));
            }
            left.insert(name, (tensor.shape().to_vec(), values));
        }
        Ok(Self { left })
    }

    fn has(&self, name: &str) -> bool {
        self.left.contains_key(&format!("{name}.weight"))
    }

    /// Takes a tensor, whose shape must be this one where sides are given.
    fn take(&mut self, name: &str, shape: &[Option<usize>]) -> Result<(Vec<usize>, Vec<f32>)> {
        let Some((found, values)) = self.left.remove(name) else {
            return Err(wrong(format!("tensor {name:?} is missing")));
        };
        let fits = found.len() == shape.len()
            && found.iter().zip(shape).all(|(&n, side)| n > 0 && side.is_none_or(|side| side == n));
        if !fits {
            let sides: Vec<String> =
                shape.iter().map(|side| side.map_or("any".to_owned(), |n| n.to_string())).collect();
            let expected = sides.join(", ");
            return Err(wrong(format!("tensor {name:?} is {found:?} and should be [{expected}]")));
        }
        Ok((found, values))
    }

    /// Takes a convolution of square filters.
    fn filter(
        &mut self,
        name: &str,
        outputs: Option<usize>,
        inputs: usize,
        side: usize,
    ) -> Result<Filter> {
        let shape = [outputs, Some(inputs), Some(side), Some(side)];
        let (shape, weights) = self.take(&format!("{name}.weight"), &shape)?;
        let (_, bias) = self.take(&format!("{name}.bias"), &[Some(shape[0])])?;
        Ok(Filter { outputs: shape[0], inputs, side, weights, bias })
    }

    /// Takes the blocks of one level, as many as there are.
    fn blocks(&mut self, name: &str, width: usize) -> Result<Vec<Block>> {
        let mut blocks = Vec::new();
        while self.has(&format!("{name}.{}.first", blocks.len())) {
            let name = format!("{name}.{}", blocks.len());
            let first = self.filter(&format!("{name}.first"), Some(width), width, 3)?;
            let second = self.filter(&format!("{name}.second"), Some(width), width, 3)?;
            blocks.push(Block { first, second });
        }
        Ok(blocks)
    }

    fn weights(mut self) -> Result<Weights> {
        let enter = self.filter("enter", None, SUBPIXELS * FEATURES, 3)?;
        let mut widths = vec![enter.outputs];
        let mut shrink = Vec::new();
        while self.has(&format!("shrink.{}", shrink.len())) {
            let filter =
                self.filter(&format!("shrink.{}", shrink.len()), None, widths[shrink.len()], 2)?;
            widths.push(filter.outputs);
            shrink.push(filter);
        }
        if widths.len() > MAX_LEVELS {
            return Err(wrong(format!("it has {} levels, more than {MAX_LEVELS}", widths.len())));
        }
        let (mut down, mut up, mut grow) = (Vec::new(), Vec::new(), Vec::new());
        for (level, &width) in widths.iter().enumerate() {
            down.push(self.blocks(&format!("down.{level}"), width)?);
        }
        for (level, pair) in widths.windows(2).enumerate() {
            up.push(self.blocks(&format!("up.{level}"), pair[0])?);
            let outputs = Some(SUBPIXELS * pair[0]);
            grow.push(self.filter(&format!("grow.{level}"), outputs, pair[1], 1)?);
        }
        let mean = self.filter("mean", Some(SUBPIXELS * COLOURS), widths[0], 3)?;
        let scale_first = self.filter("scale_first", None, widths[0], 3)?;
        let scale_second = self.filter("scale_second", Some(SUBPIXELS), scale_first.outputs, 1)?;
        let (knots, log_scale) = self.take("calibration.log_scale", &[None])?;
        let (_, log_sigma) = self.take("calibration.log_sigma", &[Some(knots[0])])?;
        if !log_scale.is_sorted_by(|a, b| a < b) || !log_sigma.is_sorted() {
            return Err(wrong("the knots of its calibration do not increase"));
        }
        if let Some(name) = self.left.keys().find(|name| !name.starts_with("calibration.")) {
            return Err(wrong(format!("tensor {name:?} has no place in this network")));
        }
        Ok(Weights {
            enter,
            down,
            shrink,
            grow,
            up,
            mean,
            scale_first,
            scale_second,
            log_scale,
            log_sigma,
        })
    }
}
