//! Measures of a prediction over hidden pixels.

use ndarray::{s, ArrayView2, ArrayView3};
use rayon::prelude::*;

use crate::error::Result;
use crate::host::Host;

/// Measures on the [0, 1] scale; all NaN when no pixel is scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Mean squared error.
    pub mse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Structural similarity.
    pub ssim: f64,
    /// Mean squared error of the predictor that knows only the mean colour of what was shown.
    pub baseline_mse: f64,
}

/// Window and constants of Wang, Bovik, Sheikh & Simoncelli, "Image quality assessment: from error
/// visibility to structural similarity", IEEE Trans. Image Process. 13 (2004), as in scikit-image.
const REACH: isize = 3;
const AREA: f64 = ((2 * REACH + 1) * (2 * REACH + 1)) as f64;
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;
/// Rows that one task works on. Fixed, so that sums do not depend on the number of threads.
const STRIP: usize = 64;

/// Sums of x, y, xx, yy, xy in a window.
type Moments = [f64; 5];

/// Compares `prediction` with `truth` over `scored`, a subset of `hidden`.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn score(
    truth: ArrayView3<f32>,
    prediction: ArrayView3<f32>,
    hidden: ArrayView2<bool>,
    scored: ArrayView2<bool>,
    host: &dyn Host,
) -> Result<Scores> {
    let (height, _, channels) = truth.dim();
    let count = scored.iter().filter(|&&scored| scored).count();
    if count == 0 {
        return Ok(Scores { mse: f64::NAN, mae: f64::NAN, ssim: f64::NAN, baseline_mse: f64::NAN });
    }
    let mean = mean_shown(truth, hidden);
    let strips: Vec<[f64; 4]> = (0..height.div_ceil(STRIP))
        .into_par_iter()
        .map(|strip| {
            host.check()?;
            let rows = strip * STRIP..((strip + 1) * STRIP).min(height);
            let mut sums = [0.0; 4];
            for y in rows.clone() {
                let (truth, prediction) =
                    (truth.slice(s![y, .., ..]), prediction.slice(s![y, .., ..]));
                let pixels = truth.rows().into_iter().zip(prediction.rows()).zip(scored.row(y));
                for ((truth, prediction), _) in pixels.filter(|(_, &scored)| scored) {
                    for ((&t, &p), mean) in truth.iter().zip(prediction).zip(&mean) {
                        let (t, p) = (f64::from(t), f64::from(p));
                        sums[0] += (p - t) * (p - t);
                        sums[1] += (p - t).abs();
                        sums[2] += (mean - t) * (mean - t);
                    }
                }
            }
            for c in 0..channels {
                sums[3] += similarity(truth, prediction, scored, rows.clone(), c);
            }
            Ok(sums)
        })
        .collect::<Result<_>>()?;
    let total = (count * channels) as f64;
    let sum = |which: usize| strips.iter().map(|sums| sums[which]).sum::<f64>() / total;
    Ok(Scores { mse: sum(0), mae: sum(1), ssim: sum(3), baseline_mse: sum(2) })
}

fn mean_shown(truth: ArrayView3<f32>, hidden: ArrayView2<bool>) -> Vec<f64> {
    let channels = truth.dim().2;
    let mut sums = vec![0.0; channels];
    let mut count = 0.0_f64;
    for (pixel, _) in truth.lanes(ndarray::Axis(2)).into_iter().zip(hidden).filter(|(_, &h)| !h) {
        pixel.iter().zip(&mut sums).for_each(|(&value, sum)| *sum += f64::from(value));
        count += 1.0;
    }
    sums.iter().map(|sum| sum / count).collect()
}

/// Sum of the structural similarity at the scored pixels of some rows, in one channel.
fn similarity(
    truth: ArrayView3<f32>,
    prediction: ArrayView3<f32>,
    scored: ArrayView2<bool>,
    rows: std::ops::Range<usize>,
    channel: usize,
) -> f64 {
    let (height, width, _) = truth.dim();
    // the window's rows summed in each column, moved down row by row
    let mut columns: Vec<Moments> = vec![[0.0; 5]; width];
    let change = |y: isize, sign: f64, columns: &mut [Moments]| {
        let y = reflect(y, height);
        let values =
            truth.slice(s![y, .., channel]).into_iter().zip(prediction.slice(s![y, .., channel]));
        for (column, (&t, &p)) in columns.iter_mut().zip(values) {
            let (t, p) = (f64::from(t), f64::from(p));
            let new = [t, p, t * t, p * p, t * p];
            column.iter_mut().zip(new).for_each(|(sum, value)| *sum += sign * value);
        }
    };
    for y in -REACH..=REACH {
        change(rows.start as isize + y, 1.0, &mut columns);
    }
    let mut total = 0.0;
    for y in rows.clone() {
        if scored.row(y).iter().any(|&scored| scored) {
            total += row_similarity(&columns, scored.row(y).iter().copied());
        }
        if y + 1 < rows.end {
            change(y as isize + 1 + REACH, 1.0, &mut columns);
            change(y as isize - REACH, -1.0, &mut columns);
        }
    }
    total
}

fn row_similarity(columns: &[Moments], scored: impl Iterator<Item = bool>) -> f64 {
    let width = columns.len();
    let mut window = [0.0; 5];
    let change = |x: isize, sign: f64, window: &mut Moments| {
        let column = &columns[reflect(x, width)];
        window.iter_mut().zip(column).for_each(|(sum, value)| *sum += sign * value);
    };
    for x in -REACH..=REACH {
        change(x, 1.0, &mut window);
    }
    let unbiased = AREA / (AREA - 1.0);
    let mut total = 0.0;
    for (x, scored) in scored.enumerate() {
        if scored {
            let [mx, my, xx, yy, xy] = window.map(|sum| sum / AREA);
            let (vx, vy) = (unbiased * (xx - mx * mx), unbiased * (yy - my * my));
            let cov = unbiased * (xy - mx * my);
            total += (2.0 * mx * my + C1) * (2.0 * cov + C2)
                / ((mx * mx + my * my + C1) * (vx + vy + C2));
        }
        change(x as isize + 1 + REACH, 1.0, &mut window);
        change(x as isize - REACH, -1.0, &mut window);
    }
    total
}

/// The pixel that stands in for one beyond the border: d c b a | a b c d | d c b a.
fn reflect(position: isize, length: usize) -> usize {
    let period = 2 * length as isize;
    let folded = position.rem_euclid(period);
    folded.min(period - 1 - folded) as usize
}
