//! What is measured around each pixel in search of anomalies, and how far that is from what is usual.
//!
//! The twin in `helicopter/backends/reference/analysis/anomaly_map.py` is the law.

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Zip};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::utils::simd::{self, Kernel, Simd};

/// Windows end after so many standard deviations.
const REACH: f64 = 4.0;
/// Half a grey level of 255, squared: less variance than that says nothing.
const LEAST_ENERGY: f32 = 4e-6;
/// Less weight than that is none.
const LEAST_WEIGHT: f32 = 1e-6;
/// Rows and columns to the neighbours that residuals are compared with.
const STEPS: [(usize, isize); 4] = [(1, 0), (0, 1), (1, 1), (1, -1)];

/// What there is to judge an image by, on the [0, 1] scale.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// The image and its prediction, height x width x channels.
    pub image: ArrayView3<'a, f32>,
    /// What was predicted of each pixel from others.
    pub prediction: ArrayView3<'a, f32>,
    /// The predicted standard deviation.
    pub sigma: ArrayView2<'a, f32>,
    /// The standard deviation of the noise.
    pub noise: ArrayView2<'a, f32>,
    /// Which pixels count.
    pub included: ArrayView2<'a, bool>,
}

/// One plane of what is measured.
#[derive(Clone, Copy)]
enum Measurement {
    Residual(usize),
    Value(usize),
    Energy,
    Sigma,
    Difference(usize, isize),
    Noise,
}

/// Means over Gaussian windows of standard deviation `width` around each pixel: of the residual and
/// of the image in each channel; and logarithms of those of the residual's energy, the predicted
/// variance, the energy of differences in four directions, and the noise.
///
/// # Errors
///
/// [`Error::Cancelled`].
#[expect(clippy::missing_panics_doc, reason = "what was just made lies in one piece")]
pub fn measure(evidence: Evidence, width: f64, host: &dyn Host) -> Result<Array3<f32>> {
    let (height, cols, channels) = evidence.image.dim();
    let mut wanted: Vec<Measurement> = (0..channels).map(Measurement::Residual).collect();
    wanted.extend((0..channels).map(Measurement::Value));
    wanted.extend([Measurement::Energy, Measurement::Sigma]);
    wanted.extend(STEPS.map(|(down, right)| Measurement::Difference(down, right)));
    wanted.push(Measurement::Noise);
    let window = Window::new(width);
    let seen = evidence.included.mapv(|included| f32::from(u8::from(included)));
    // windows that see everything weigh one, wherever they lie
    let total =
        (!evidence.included.iter().all(|&included| included)).then(|| window.pooled(seen.clone()));
    // what is not included may hold anything
    let mut residual = Array3::zeros(evidence.image.dim());
    Zip::indexed(&mut residual).and(evidence.image).and(evidence.prediction).par_for_each(
        |(y, x, _), residual, &truth, &prediction| {
            if evidence.included[[y, x]] {
                *residual = truth - prediction;
            }
        },
    );
    let planes: Vec<Array2<f32>> = wanted
        .par_iter()
        .map(|&what| {
            host.check()?;
            Ok(plane(evidence, residual.view(), what, &window, seen.view(), total.as_ref()))
        })
        .collect::<Result<_>>()?;
    let mut out = Array3::zeros((height, cols, wanted.len()));
    out.as_slice_mut()
        .expect("just made")
        .par_chunks_mut(cols * wanted.len())
        .enumerate()
        .for_each(|(y, row)| {
            for (k, plane) in planes.iter().enumerate() {
                for (to, &from) in row[k..].iter_mut().step_by(wanted.len()).zip(plane.row(y)) {
                    *to = from;
                }
            }
        });
    Ok(out)
}

/// The values of one measurement before they are pooled, and their pooled mean.
fn plane(
    evidence: Evidence,
    residual: ArrayView3<f32>,
    what: Measurement,
    window: &Window,
    seen: ArrayView2<f32>,
    total: Option<&Array2<f32>>,
) -> Array2<f32> {
    let (height, width, channels) = residual.dim();
    let mut values = Array2::zeros((height, width));
    if let Measurement::Difference(down, right) = what {
        let mut both = Array2::zeros((height, width));
        let first = right.min(0).unsigned_abs();
        let count = width.saturating_sub(right.unsigned_abs());
        for y in 0..height.saturating_sub(down) {
            let far_from = first.checked_add_signed(right).unwrap_or(0);
            for k in 0..count {
                let (x, far) = (first + k, far_from + k);
                let mut squared = 0.0;
                for c in 0..channels {
                    let difference = residual[[y + down, far, c]] - residual[[y, x, c]];
                    squared += difference * difference;
                }
                let weight = seen[[y, x]] * seen[[y + down, far]];
                both[[y, x]] = weight;
                values[[y, x]] = squared / channels as f32 * weight;
            }
        }
        let total = window.pooled(both);
        return logarithm(over(window.pooled(values), Some(&total)));
    }
    Zip::indexed(&mut values).and(seen).for_each(|(y, x), value, &weight| {
        let here = match what {
            Measurement::Residual(c) => residual[[y, x, c]],
            Measurement::Value(c) => evidence.image[[y, x, c]],
            Measurement::Energy => {
                let squares = (0..channels).map(|c| residual[[y, x, c]] * residual[[y, x, c]]);
                squares.sum::<f32>() / channels as f32
            }
            Measurement::Sigma => evidence.sigma[[y, x]].powi(2),
            _ if weight > 0.0 => evidence.noise[[y, x]].powi(2),
            _ => 0.0,
        };
        *value = here * weight;
    });
    let mean = over(window.pooled(values), total);
    match what {
        Measurement::Residual(_) | Measurement::Value(_) => mean,
        _ => logarithm(mean),
    }
}

fn over(mut sum: Array2<f32>, total: Option<&Array2<f32>>) -> Array2<f32> {
    if let Some(total) = total {
        sum.zip_mut_with(total, |sum, &total| *sum /= total.max(LEAST_WEIGHT));
    }
    sum
}

fn logarithm(energy: Array2<f32>) -> Array2<f32> {
    energy.mapv_into(|energy| (energy + LEAST_ENERGY).ln())
}

/// A Gaussian window; beyond the image, its mirror image is seen.
struct Window {
    /// Weights from the middle outwards.
    weights: Vec<f32>,
}

impl Window {
    fn new(width: f64) -> Self {
        let reach = (REACH * width + 0.5) as usize;
        let weights: Vec<f64> =
            (0..=reach).map(|at| (-0.5 * (at as f64 / width).powi(2)).exp()).collect();
        let total = weights[0] + 2.0 * weights[1..].iter().sum::<f64>();
        Self { weights: weights.iter().map(|weight| (weight / total) as f32).collect() }
    }

    /// The sums over the window around each value.
    fn pooled(&self, values: Array2<f32>) -> Array2<f32> {
        simd::run(Pooling { weights: &self.weights, values })
    }
}

struct Pooling<'a> {
    weights: &'a [f32],
    values: Array2<f32>,
}

impl Kernel for Pooling<'_> {
    type Output = Array2<f32>;

    #[inline(always)]
    fn run<S: Simd>(self) -> Array2<f32> {
        let Self { weights, mut values } = self;
        let (height, width) = values.dim();
        let reach = weights.len() - 1;
        let mut down = vec![0.0; height * width];
        {
            let values = values.as_slice().expect("just made");
            let row = |y: usize| &values[y * width..(y + 1) * width];
            for (y, sums) in down.chunks_exact_mut(width).enumerate() {
                for (sum, &value) in sums.iter_mut().zip(row(y)) {
                    *sum = weights[0] * value;
                }
                for (k, &weight) in weights.iter().enumerate().skip(1) {
                    let above = row(mirrored(y as isize - k as isize, height));
                    let below = row(mirrored((y + k) as isize, height));
                    for ((sum, &a), &b) in sums.iter_mut().zip(above).zip(below) {
                        *sum += weight * (a + b);
                    }
                }
            }
        }
        let mut padded = vec![0.0; width + 2 * reach];
        let out = values.as_slice_mut().expect("just made");
        for (sums, to) in down.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            padded[reach..reach + width].copy_from_slice(sums);
            for k in 1..=reach {
                padded[reach - k] = sums[mirrored(-(k as isize), width)];
                padded[reach + width + k - 1] = sums[mirrored((width + k - 1) as isize, width)];
            }
            for (to, &value) in to.iter_mut().zip(sums) {
                *to = weights[0] * value;
            }
            for (k, &weight) in weights.iter().enumerate().skip(1) {
                let (left, right) = (&padded[reach - k..], &padded[reach + k..]);
                for ((to, &a), &b) in to.iter_mut().zip(left).zip(right) {
                    *to += weight * (a + b);
                }
            }
        }
        values
    }
}

/// Where a place beyond the border is seen in the mirror: ... 1 0 | 0 1 2 ...
#[inline(always)]
fn mirrored(at: isize, length: usize) -> usize {
    let at = at.rem_euclid(2 * length as isize) as usize;
    at.min(2 * length - 1 - at)
}

/// The squared distances (x - centre)' form (x - centre) of the measurements of each pixel, none
/// below zero. `form` is symmetric.
///
/// # Errors
///
/// [`Error::Cancelled`].
#[expect(clippy::missing_panics_doc, reason = "what was just made lies in one piece")]
pub fn squared_distances(
    measured: ArrayView3<f32>,
    centre: &[f64],
    form: ArrayView2<f64>,
    host: &dyn Host,
) -> Result<Array2<f64>> {
    let (height, width, count) = measured.dim();
    // each pair of different measurements once, with twice the weight
    let mut weights = Vec::with_capacity(count * (count + 1) / 2);
    for i in 0..count {
        weights.extend((i..count).map(|j| form[[i, j]] * if i == j { 1.0 } else { 2.0 }));
    }
    let mut out = Array2::zeros((height, width));
    let measured = measured.as_standard_layout();
    let values = measured.as_slice().expect("in standard layout");
    out.as_slice_mut().expect("just made").par_chunks_mut(width).enumerate().try_for_each(
        |(y, row)| {
            host.check()?;
            let values = &values[y * width * count..(y + 1) * width * count];
            simd::run(Distances { values, centre, weights: &weights, to: row });
            Ok::<(), Error>(())
        },
    )?;
    Ok(out)
}

/// Pixels that are worked on side by side.
const LANES: usize = 8;

/// A row of measurements, and of what becomes of them.
struct Distances<'a> {
    values: &'a [f32],
    centre: &'a [f64],
    /// Of the pairs of measurements, row by row of the upper triangle.
    weights: &'a [f64],
    to: &'a mut [f64],
}

impl Kernel for Distances<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { values, centre, weights, to: row } = self;
        let count = centre.len();
        let mut away = vec![[0.0; LANES]; count];
        for (number, to) in row.chunks_mut(LANES).enumerate() {
            for (lane, pixel) in
                values[number * LANES * count..].chunks_exact(count).take(to.len()).enumerate()
            {
                for ((away, &value), &centre) in away.iter_mut().zip(pixel).zip(centre) {
                    away[lane] = f64::from(value) - centre;
                }
            }
            let (mut total, mut at) = ([0.0; LANES], 0);
            for i in 0..count {
                let mut along = [0.0; LANES];
                for other in &away[i..] {
                    for lane in 0..LANES {
                        along[lane] += weights[at] * other[lane];
                    }
                    at += 1;
                }
                for lane in 0..LANES {
                    total[lane] += away[i][lane] * along[lane];
                }
            }
            for (to, total) in to.iter_mut().zip(total) {
                *to = f64::max(total, 0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn places_beyond_the_border_are_mirrored() {
        let seen: Vec<usize> = (-5..8).map(|at| mirrored(at, 3)).collect();
        assert_eq!(seen, [1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1]);
        assert_eq!(mirrored(-100, 1), 0);
    }

    #[test]
    fn a_window_keeps_a_constant_and_spreads_a_point_as_a_gaussian_does() {
        let window = Window::new(1.5);
        let flat = window.pooled(Array2::from_elem((3, 40), 0.7));
        assert!(flat.iter().all(|&value| (value - 0.7).abs() < 1e-6));
        let mut point = Array2::zeros((31, 31));
        point[[15, 15]] = 1.0;
        let spread = window.pooled(point);
        assert!((spread.sum() - 1.0).abs() < 1e-5);
        let ratio = (spread[[15, 17]] / spread[[15, 15]]).ln();
        assert!((ratio + 0.5 * (2.0_f32 / 1.5).powi(2)).abs() < 1e-4);
        assert!((spread[[17, 15]] - spread[[15, 17]]).abs() < 1e-7);
    }

    #[test]
    fn distances_are_those_of_the_form() {
        let measured = Array3::from_shape_vec((1, 2, 2), vec![3.0, 1.0, 1.0, 1.0]).unwrap();
        let form = array![[2.0, 0.5], [0.5, 1.0]];
        let found =
            squared_distances(measured.view(), &[1.0, 0.0], form.view(), &crate::host::NoHost);
        assert_eq!(found.unwrap(), array![[2.0 * 4.0 + 2.0 + 1.0, 1.0]]);
    }
}
