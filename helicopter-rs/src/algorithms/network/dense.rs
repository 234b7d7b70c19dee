//! The weights of a dense layer: a matrix product with a bias.

use super::line::{Line, WIDTH};

/// Weights packed for [`super::product::Product`].
pub(super) struct Dense {
    /// Inputs.
    pub depth: usize,
    /// Blocks of outputs.
    pub blocks: usize,
    weights: Vec<Line>,
    bias: Vec<Line>,
}

impl Dense {
    /// `entry(input, output)` gives a weight, and the output's bias.
    pub fn new(depth: usize, blocks: usize, entry: impl Fn(usize, usize) -> (f32, f32)) -> Self {
        let mut weights = vec![Line::ZERO; blocks * depth];
        let mut bias = vec![Line::ZERO; blocks];
        for output in 0..blocks * WIDTH {
            let (block, lane) = (output / WIDTH, output % WIDTH);
            for input in 0..depth {
                let (weight, of_output) = entry(input, output);
                weights[block * depth + input].0[lane] = weight;
                bias[block].0[lane] = of_output;
            }
        }
        Self { depth, blocks, weights, bias }
    }

    pub fn weights(&self) -> *const f32 {
        self.weights.as_ptr().cast()
    }

    pub fn bias(&self) -> *const f32 {
        self.bias.as_ptr().cast()
    }
}
