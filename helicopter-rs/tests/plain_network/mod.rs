//! The network in float64, as plainly as it can be written: what the fast one is compared with.

use ndarray::{Array2, Array3};

use crate::random_network::{Architecture, Tensors};

/// The tensors of a network, and its sizes.
pub struct Plain<'a> {
    pub tensors: &'a Tensors,
    pub architecture: &'a Architecture,
}

/// Channels, rows, columns.
type Map = Array3<f64>;

impl Plain<'_> {
    /// A convolution that keeps the size for filters of odd sides, with zeros around the map.
    fn conv(&self, name: &str, input: &Map, stride: usize) -> Map {
        let (_, shape, weights) = &self.tensors[&format!("{name}.weight")];
        let bias = &self.tensors[&format!("{name}.bias")].2;
        let (inputs, side) = (shape[1], shape[2]);
        let before = if stride == 1 { side / 2 } else { 0 };
        let (_, height, width) = input.dim();
        Array3::from_shape_fn((shape[0], height / stride, width / stride), |(o, y, x)| {
            let mut sum = f64::from(bias[o]);
            for i in 0..inputs {
                for v in 0..side {
                    for u in 0..side {
                        let (row, col) = (y * stride + v, x * stride + u);
                        if row < before || col < before {
                            continue;
                        }
                        let weight = weights[((o * inputs + i) * side + v) * side + u];
                        let value = input.get((i, row - before, col - before));
                        sum += f64::from(weight) * value.copied().unwrap_or(0.0);
                    }
                }
            }
            sum
        })
    }

    fn blocks(&self, name: &str, count: usize, mut x: Map) -> Map {
        for block in 0..count {
            let inner = self.conv(&format!("{name}.{block}.first"), &x, 1);
            let inner = inner.mapv(|value| value.max(0.0));
            x += &self.conv(&format!("{name}.{block}.second"), &inner, 1);
        }
        x
    }

    /// The prediction, and sigma.
    pub fn predict(&self, harmonic: &Array3<f32>, mask: &Array2<bool>) -> (Map, Array2<f64>) {
        let (height, width, channels) = harmonic.dim();
        let unit = 1 << self.architecture.widths.len();
        let padded = (5, height.next_multiple_of(unit), width.next_multiple_of(unit));
        let features = Array3::from_shape_fn(padded, |(c, y, x)| {
            if y >= height || x >= width {
                return 0.0;
            }
            match c {
                3 => f64::from(u8::from(mask[[y, x]])),
                4 => 1.0,
                _ => 2.0 * f64::from(harmonic[[y, x, c.min(channels - 1)]]) - 1.0,
            }
        });
        let mut x = self.conv("enter", &unshuffle(&features), 1);
        let mut skips = Vec::new();
        let levels = self.architecture.widths.len();
        for level in 0..levels {
            x = self.blocks(&format!("down.{level}"), self.architecture.down[level], x);
            if level + 1 < levels {
                skips.push(x.clone());
                x = self.conv(&format!("shrink.{level}"), &x, 2);
            }
        }
        for level in (0..levels - 1).rev() {
            x = &skips[level] + &shuffle(&self.conv(&format!("grow.{level}"), &x, 1));
            x = self.blocks(&format!("up.{level}"), self.architecture.up[level], x);
        }
        let correction = shuffle(&self.conv("mean", &x, 1));
        let scale = self.conv("scale_first", &x, 1).mapv(|value| value.max(0.0));
        let scale = shuffle(&self.conv("scale_second", &scale, 1));
        let prediction = Array3::from_shape_fn((height, width, channels), |(y, x, c)| {
            let value = f64::from(harmonic[[y, x, c]]);
            let here = |c: usize| correction[[c, y, x]];
            let change = if channels == 1 { (here(0) + here(1) + here(2)) / 3.0 } else { here(c) };
            if mask[[y, x]] {
                (value + change).clamp(0.0, 1.0)
            } else {
                value
            }
        });
        let sigma = Array2::from_shape_fn((height, width), |(y, x)| {
            if mask[[y, x]] {
                self.interpolated(scale[[0, y, x]]).exp()
            } else {
                0.0
            }
        });
        (prediction, sigma)
    }

    fn interpolated(&self, at: f64) -> f64 {
        let knots = |name: &str| -> Vec<f64> {
            self.tensors[name].2.iter().copied().map(f64::from).collect()
        };
        let (x, y) = (knots("calibration.log_scale"), knots("calibration.log_sigma"));
        if at <= x[0] {
            return y[0];
        }
        for k in 1..x.len() {
            if at <= x[k] {
                let share = (at - x[k - 1]) / (x[k] - x[k - 1]);
                return y[k - 1] * (1.0 - share) + y[k] * share;
            }
        }
        y[y.len() - 1]
    }
}

fn unshuffle(map: &Map) -> Map {
    let (channels, height, width) = map.dim();
    Array3::from_shape_fn((4 * channels, height / 2, width / 2), |(c, y, x)| {
        map[[c / 4, 2 * y + c % 4 / 2, 2 * x + c % 2]]
    })
}

fn shuffle(map: &Map) -> Map {
    let (channels, height, width) = map.dim();
    Array3::from_shape_fn((channels / 4, 2 * height, 2 * width), |(c, y, x)| {
        map[[4 * c + 2 * (y % 2) + x % 2, y / 2, x / 2]]
    })
}
