//! The network as a list of layers, and which part of a layer's map needs which parts of others.

use std::ops::Range;

use super::dense::Dense;
use super::line::WIDTH;
use super::weights::{Block, Filter, Weights, COLOURS, FEATURES, SUBPIXELS};
use super::winograd::{Conv, TILE};

/// What makes a map. Inputs are numbers of nodes that come before.
pub(super) enum Op {
    /// The pixels of the image, 2 x 2 to a position.
    Features,
    /// A 3 x 3 convolution; of its first blocks of outputs what is negative becomes zero.
    Conv { conv: Conv, input: usize, residual: Option<usize>, relu_blocks: usize },
    /// 2 x 2 positions become one.
    Shrink { dense: Dense, input: usize },
    /// One position becomes 2 x 2, to which `skip` is added. One product for each of two rows.
    Grow { dense: [Dense; 2], input: usize, skip: usize },
    /// Writes into the image; `scales` blocks of `input` are features of the scale, the next are
    /// corrections.
    Pixels { dense: Dense, input: usize, scales: usize },
}

/// A layer, and its map.
pub(super) struct Node {
    /// Of the map: a position covers `2 << level` pixels each way.
    pub level: usize,
    /// Blocks of channels.
    pub blocks: usize,
    pub op: Op,
}

/// How rows (or columns) of a map depend on those of another.
#[derive(Clone, Copy)]
pub(super) enum Need {
    /// The tiles and what is around them.
    Around,
    Same,
    Double,
    Half,
}

impl Need {
    /// What `out` is computed from, in a map of so many rows.
    pub fn of(self, out: &Range<usize>, limit: usize) -> Range<usize> {
        let (start, end) = match self {
            Need::Around => {
                (out.start.saturating_sub(1), out.end.next_multiple_of(TILE).saturating_add(1))
            }
            Need::Same => (out.start, out.end),
            Need::Double => (2 * out.start, 2 * out.end),
            Need::Half => (out.start / 2, out.end.div_ceil(2)),
        };
        start..end.min(limit)
    }
}

impl Node {
    /// The maps that this one is computed from, and how.
    pub fn inputs(&self) -> impl Iterator<Item = (usize, Need)> {
        let (first, second) = match self.op {
            Op::Features => (None, None),
            Op::Conv { input, residual, .. } => {
                (Some((input, Need::Around)), residual.map(|node| (node, Need::Same)))
            }
            Op::Shrink { input, .. } => (Some((input, Need::Double)), None),
            Op::Grow { input, skip, .. } => (Some((input, Need::Half)), Some((skip, Need::Same))),
            Op::Pixels { input, .. } => (Some((input, Need::Same)), None),
        };
        first.into_iter().chain(second)
    }

    /// Rows and columns are computed in multiples of this, counted from the map's corner.
    pub fn alignment(&self) -> usize {
        match self.op {
            Op::Conv { .. } => TILE,
            Op::Grow { .. } => 2,
            _ => 1,
        }
    }
}

/// All layers, each behind those that it needs.
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    pub levels: usize,
}

impl Graph {
    pub fn new(weights: &Weights) -> Self {
        let levels = weights.down.len();
        let mut graph = Self { nodes: Vec::new(), levels };
        let blocks = (SUBPIXELS * FEATURES).div_ceil(WIDTH);
        let features = graph.push(0, blocks, Op::Features);
        let mut x = graph.conv(0, &weights.enter, features, None, false);
        let mut skips = Vec::new();
        for level in 0..levels {
            x = graph.blocks(level, &weights.down[level], x);
            if let Some(filter) = weights.shrink.get(level) {
                skips.push(x);
                let dense = shrink(filter);
                x = graph.push(level + 1, dense.blocks, Op::Shrink { dense, input: x });
            }
        }
        for (level, skip) in skips.into_iter().enumerate().rev() {
            let dense = [0, 1].map(|row| grow(&weights.grow[level], row));
            let blocks = dense[0].blocks / 2;
            x = graph.push(level, blocks, Op::Grow { dense, input: x, skip });
            x = graph.blocks(level, &weights.up[level], x);
        }
        graph.heads(weights, x);
        graph
    }

    fn push(&mut self, level: usize, blocks: usize, op: Op) -> usize {
        self.nodes.push(Node { level, blocks, op });
        self.nodes.len() - 1
    }

    fn conv(
        &mut self,
        level: usize,
        filter: &Filter,
        input: usize,
        residual: Option<usize>,
        relu: bool,
    ) -> usize {
        let tap = |o, i, y, x| filter.tap(o, i, y, x);
        let conv = Conv::new(filter.outputs, filter.inputs, tap, |o| filter.bias(o));
        let blocks = conv.out_blocks;
        let relu_blocks = if relu { blocks } else { 0 };
        self.push(level, blocks, Op::Conv { conv, input, residual, relu_blocks })
    }

    fn blocks(&mut self, level: usize, blocks: &[Block], mut x: usize) -> usize {
        for block in blocks {
            let inner = self.conv(level, &block.first, x, None, true);
            x = self.conv(level, &block.second, inner, Some(x), false);
        }
        x
    }

    /// Both heads look at the same map, so their first layers are one convolution.
    fn heads(&mut self, weights: &Weights, x: usize) {
        let (scale, mean) = (&weights.scale_first, &weights.mean);
        let scales = scale.outputs.div_ceil(WIDTH);
        let before = scales * WIDTH;
        let tap = |o: usize, i, y, x| {
            if o >= before {
                mean.tap(o - before, i, y, x)
            } else if o < scale.outputs {
                scale.tap(o, i, y, x)
            } else {
                0.0
            }
        };
        let bias = |o: usize| {
            if o >= before {
                mean.bias(o - before)
            } else if o < scale.outputs {
                scale.bias(o)
            } else {
                0.0
            }
        };
        let conv = Conv::new(before + SUBPIXELS * COLOURS, mean.inputs, tap, bias);
        let blocks = conv.out_blocks;
        let op = Op::Conv { conv, input: x, residual: None, relu_blocks: scales };
        let input = self.push(0, blocks, op);
        let second = &weights.scale_second;
        let dense = Dense::new(second.inputs, 1, |k, o| {
            if o < second.outputs {
                (second.tap(o, k, 0, 0), second.bias(o))
            } else {
                (0.0, 0.0)
            }
        });
        self.push(0, 0, Op::Pixels { dense, input, scales });
    }

    /// The last node, which writes the pixels.
    pub fn last(&self) -> usize {
        self.nodes.len() - 1
    }

    /// Multiples of this many pixels are what the levels divide without a rest.
    pub fn unit(&self) -> usize {
        1 << self.levels
    }

    /// How far, in pixels, what is visible at a pixel may reach: the exact radius of the sums.
    pub fn radius(&self) -> usize {
        let of = |node: &Node| match node.op {
            Op::Conv { .. } => 2 << node.level,
            _ => 0,
        };
        // layers in parallel are alike; and a position of the lowest level covers so many pixels
        self.nodes.iter().map(of).sum::<usize>() + self.unit() - 1
    }

    /// Rows and columns beside a pixel that are computed for its sake, at most. More than the radius,
    /// because convolutions are computed tile by tile.
    pub fn halo(&self) -> usize {
        let of = |node: &Node| match node.op {
            Op::Conv { .. } => TILE * (2 << node.level),
            _ => 2 << node.level,
        };
        self.nodes.iter().map(of).sum::<usize>() + self.unit()
    }

    /// What is needed of every map for some rows (or columns) of the last, by backward reckoning.
    /// `limit` is the whole number of them at level 0.
    pub fn windows(&self, of_last: Range<usize>, limit: usize) -> Vec<Range<usize>> {
        let nothing = Range { start: usize::MAX, end: 0 };
        let mut windows = vec![nothing; self.nodes.len()];
        windows[self.last()] = of_last;
        for (index, node) in self.nodes.iter().enumerate().rev() {
            let window = windows[index].clone();
            let (align, limit_here) = (node.alignment(), limit >> node.level);
            let window =
                window.start / align * align..window.end.next_multiple_of(align).min(limit_here);
            for (input, need) in node.inputs() {
                let needed = need.of(&window, limit >> self.nodes[input].level);
                let known = &mut windows[input];
                *known = known.start.min(needed.start)..known.end.max(needed.end);
            }
            windows[index] = window;
        }
        windows
    }
}

/// A 2 x 2 convolution of stride 2, as a product with the channels of two pixels in each of two rows.
fn shrink(filter: &Filter) -> Dense {
    let padded = filter.inputs.next_multiple_of(WIDTH);
    Dense::new(SUBPIXELS * padded, filter.outputs.div_ceil(WIDTH), |k, o| {
        let (pixel, input) = (k / padded, k % padded);
        if o >= filter.outputs {
            (0.0, 0.0)
        } else if input >= filter.inputs {
            (0.0, filter.bias(o))
        } else {
            (filter.tap(o, input, pixel / 2, pixel % 2), filter.bias(o))
        }
    })
}

/// A 1 x 1 convolution whose outputs are dealt to 2 x 2 pixels: the part for one of the two rows.
fn grow(filter: &Filter, row: usize) -> Dense {
    let width = filter.outputs / SUBPIXELS;
    let padded = width.next_multiple_of(WIDTH);
    Dense::new(filter.inputs, 2 * padded / WIDTH, |k, o| {
        let (col, channel) = (o / padded, o % padded);
        if channel < width {
            let output = channel * SUBPIXELS + 2 * row + col;
            (filter.tap(output, k, 0, 0), filter.bias(output))
        } else {
            (0.0, 0.0)
        }
    })
}
