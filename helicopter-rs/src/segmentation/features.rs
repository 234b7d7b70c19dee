//! What pixels are compared by: three small integers, so that sums of them do not depend on an order.

use ndarray::ArrayView3;
use rayon::prelude::*;

use crate::utils::simd::{self, Kernel, Simd};

/// Brightness and two colour differences of a pixel, and a zero that fills the register.
pub type Feature = [i16; 4];

/// Features of white are this much brighter than those of black.
const WHITE: u16 = 8160;

/// A type of pixel values, and what part of `WHITE` they stand for.
pub trait Sample: Copy + Sync {
    /// The value on the scale of features.
    fn scaled(self) -> i32;
}

impl Sample for u8 {
    #[inline(always)]
    fn scaled(self) -> i32 {
        i32::from(self) * i32::from(WHITE / 255)
    }
}

impl Sample for u16 {
    #[inline(always)]
    fn scaled(self) -> i32 {
        ((u32::from(self) * u32::from(WHITE) + 32767) / 65535) as i32
    }
}

impl Sample for f32 {
    #[inline(always)]
    fn scaled(self) -> i32 {
        // what is no number is black
        (self.clamp(0.0, 1.0) * f32::from(WHITE) + 0.5) as i32
    }
}

/// A grid of features, made when asked for or held in memory.
pub trait Features: Sync {
    /// Height and width.
    fn dim(&self) -> (usize, usize);
    /// The features of one pixel.
    fn at(&self, y: usize, x: usize) -> Feature;
    /// The features of a row, from its left end on.
    fn row(&self, y: usize, to: &mut [Feature]);
}

#[inline(always)]
fn opponent(red: i32, green: i32, blue: i32) -> Feature {
    [((red + 2 * green + blue) >> 2) as i16, (blue - green) as i16, (red - green) as i16, 0]
}

/// The pixels of an image of one or three channels.
impl<T: Sample> Features for ArrayView3<'_, T> {
    fn dim(&self) -> (usize, usize) {
        (self.shape()[0], self.shape()[1])
    }

    #[inline(always)]
    fn at(&self, y: usize, x: usize) -> Feature {
        if self.shape()[2] == 1 {
            [self[[y, x, 0]].scaled() as i16, 0, 0, 0]
        } else {
            opponent(self[[y, x, 0]].scaled(), self[[y, x, 1]].scaled(), self[[y, x, 2]].scaled())
        }
    }

    #[inline(always)]
    fn row(&self, y: usize, to: &mut [Feature]) {
        let row = self.index_axis(ndarray::Axis(0), y);
        let Some(values) = row.as_slice() else {
            to.iter_mut().enumerate().for_each(|(x, feature)| *feature = self.at(y, x));
            return;
        };
        if self.shape()[2] == 1 {
            for (feature, value) in to.iter_mut().zip(values) {
                *feature = [value.scaled() as i16, 0, 0, 0];
            }
        } else {
            for (feature, pixel) in to.iter_mut().zip(values.chunks_exact(3)) {
                *feature = opponent(pixel[0].scaled(), pixel[1].scaled(), pixel[2].scaled());
            }
        }
    }
}

/// Features of half the size, and half of that.
pub struct Plane {
    height: usize,
    width: usize,
    pixels: Vec<Feature>,
}

impl Plane {
    /// The means of squares of 2 x 2; the last row or column counts twice if it has no other.
    pub fn half_of(fine: &impl Features) -> Self {
        let (height, width) = fine.dim();
        let (rows, cols) = (height.div_ceil(2), width.div_ceil(2));
        let mut pixels = vec![[0; 4]; rows * cols];
        pixels.par_chunks_mut(cols).enumerate().for_each_init(
            || (vec![[0; 4]; 2 * cols], vec![[0; 4]; 2 * cols]),
            |(upper, lower), (y, to)| {
                for (row, y) in [(&mut *upper, 2 * y), (&mut *lower, (2 * y + 1).min(height - 1))] {
                    fine.row(y, &mut row[..width]);
                    if width % 2 == 1 {
                        row[width] = row[width - 1];
                    }
                }
                simd::run(Halving { upper, lower, to });
            },
        );
        Self { height: rows, width: cols, pixels }
    }
}

/// Two rows that become one of half the width.
struct Halving<'a> {
    upper: &'a [Feature],
    lower: &'a [Feature],
    to: &'a mut [Feature],
}

impl Kernel for Halving<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let pairs = self.upper.chunks_exact(2).zip(self.lower.chunks_exact(2));
        for (to, (up, low)) in self.to.iter_mut().zip(pairs) {
            *to = mean_of([up[0], up[1], low[0], low[1]]);
        }
    }
}

#[inline(always)]
fn mean_of(four: [Feature; 4]) -> Feature {
    std::array::from_fn(|k| {
        let [a, b, c, d] = four.map(|feature| i32::from(feature[k]));
        (((a + b) + (c + d) + 2) >> 2) as i16
    })
}

impl Features for Plane {
    fn dim(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    #[inline(always)]
    fn at(&self, y: usize, x: usize) -> Feature {
        self.pixels[y * self.width + x]
    }

    #[inline(always)]
    fn row(&self, y: usize, to: &mut [Feature]) {
        to.copy_from_slice(&self.pixels[y * self.width..(y + 1) * self.width]);
    }
}

/// Sums of features, and of all their squares.
type Moments = ([i64; 3], i64);

/// A row whose moments are asked for.
struct Row<'a, F> {
    features: &'a F,
    y: usize,
    buffer: &'a mut [Feature],
}

impl<F: Features> Kernel for Row<'_, F> {
    type Output = Moments;

    #[inline(always)]
    fn run<S: Simd>(self) -> Moments {
        self.features.row(self.y, self.buffer);
        let (mut sums, mut squares) = ([0; 3], 0);
        for feature in &*self.buffer {
            for (sum, &f) in sums.iter_mut().zip(feature) {
                *sum += i64::from(f);
            }
            let square = |k: usize| i64::from(i32::from(feature[k]) * i32::from(feature[k]));
            squares += square(0) + square(1) + square(2);
        }
        (sums, squares)
    }
}

/// The variance of a pixel's features about their mean, added up over the three.
pub fn variance(features: &impl Features) -> f64 {
    let (height, width) = features.dim();
    let add = |a: Moments, b: Moments| (std::array::from_fn(|k| a.0[k] + b.0[k]), a.1 + b.1);
    let (sums, squares) = (0..height)
        .into_par_iter()
        .map_init(|| vec![[0; 4]; width], |buffer, y| simd::run(Row { features, y, buffer }))
        .reduce(|| ([0; 3], 0), add);
    let count = (height * width) as f64;
    let means = sums.map(|sum| sum as f64 / count);
    squares as f64 / count - (means[0] * means[0] + means[1] * means[1] + means[2] * means[2])
}
