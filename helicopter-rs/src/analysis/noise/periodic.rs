//! Periodic interference: sinusoids that run unchanged over the whole image.
//!
//! The twin of `helicopter/backends/reference/analysis/noise/periodic/__init__.py`, which says why each step is taken.

mod bands;
mod candidates;
mod peaks;
mod plane;
mod tiles;
mod vectors;
mod weights;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use self::bands::{cut, summed, transforms, Band, Window};
pub use self::candidates::Component;
use self::candidates::{
    add_waves, component, descending, turns, Candidate, MEASURES, NOTHING, NO_SCORE,
};
use self::peaks::{find_peaks, related, strong, unlike, BANDS};
use self::plane::Plane;
use self::tiles::measure;
use super::masks;
use crate::error::{Error, Result};
use crate::host::Host;

/// How many numbers [`Periodic::features`] has; the reference names them.
pub const FEATURES: usize = 16;
/// Side of [`Periodic::spectrum`].
pub const SPECTRUM_SIDE: usize = 128;
const WHOLE: usize = 400_000;
const LONGEST: usize = 768;
const LARGEST: usize = 512;
const MOST_WINDOWS: usize = 16;
const LEAST: usize = 16;
const LEAST_COARSE: usize = 16;
const PASSES: usize = 3;

/// The periodic interference of an image.
#[derive(Clone, Debug)]
pub struct Periodic {
    /// Sinusoids, strongest first.
    pub components: Vec<Component>,
    /// What a classifier needs to know.
    pub features: [f64; FEATURES],
    /// Decimal logarithm of the whitened power, zero frequency in the middle.
    pub spectrum: Array2<f32>,
}

/// Sinusoids that run over the whole image.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn find_periodic(
    pixels: ArrayView3<f32>,
    included: ArrayView2<bool>,
    host: &dyn Host,
) -> Result<Periodic> {
    let (height, width) = included.dim();
    let mut spectrum = Array2::zeros((SPECTRUM_SIDE, SPECTRUM_SIDE));
    if height.min(width) < LEAST || masks::count(included) == 0 {
        return Ok(Periodic { components: Vec::new(), features: features(&[], 0), spectrum });
    }
    let (shape, offsets) = windows(height, width);
    let windows: Vec<Window> =
        offsets.par_iter().map(|&offset| cut(pixels, included, offset, shape)).collect();
    let mut levels = 1;
    while levels < BANDS.len() && shape[0].min(shape[1]) >> levels >= LEAST_COARSE {
        levels += 1;
    }
    let transforms = transforms(shape, levels);

    let mut accepted: Vec<Candidate> = Vec::new();
    let mut features = [0.0; FEATURES];
    for number in 0..PASSES {
        host.check()?;
        let bands: Vec<Vec<Band>> = windows
            .par_iter()
            .map(|window| {
                host.check()?;
                Ok(window.bands(&accepted, &transforms))
            })
            .collect::<Result<_>>()?;
        let of_level = |level: usize| bands.iter().map(|of| &of[level]).collect::<Vec<_>>();
        for old in &mut accepted {
            measure(old, &of_level(old.level), shape);
        }
        accepted.retain(|old| old.score > 0.0);
        let mut peaks: Vec<Candidate> = Vec::new();
        for level in 0..levels {
            let power = summed(&of_level(level));
            if number == 0 && level == 0 {
                spectrum = thumbnail(&power, shape);
            }
            let columns = bands[0][level].signal.columns;
            peaks.extend(find_peaks(&power, level, columns));
        }
        let mut found = unlike(peaks, &accepted, shape);
        let frequencies: Vec<[f64; 2]> = found.iter().map(|each| each.frequency).collect();
        for candidate in &mut found {
            let one = candidate.frequency;
            let related = frequencies.iter().filter(|&&other| related(one, other, shape)).count();
            candidate.harmonics = related.min(2) as f64;
            measure(candidate, &of_level(candidate.level), shape);
        }
        let new = strong(&found, &accepted, shape);
        let nothing_new = new.is_empty();
        accepted.extend(new);
        if number == 0 {
            features = self::features(&found, accepted.len());
        }
        if accepted.is_empty() || (number > 0 && nothing_new) {
            break;
        }
    }
    accepted.sort_by_key(|each| descending(each.phasor.norm(), each));
    let components: Vec<Component> = accepted.iter().map(component).collect();
    let total = components.iter().map(|each| each.amplitude.powi(2)).sum::<f64>().sqrt();
    features[MEASURES + 2] = components.len() as f64;
    features[MEASURES + 3] = (255.0 * total + 1e-3).ln();
    Ok(Periodic { components, features, spectrum })
}

/// The image less the sinusoids, in every channel alike; not cut to [0, 1].
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn remove(
    pixels: ArrayView3<f32>,
    components: &[Component],
    host: &dyn Host,
) -> Result<Array3<f32>> {
    let width = pixels.dim().1;
    let tables: Vec<Vec<[f32; 2]>> =
        components.iter().map(|each| turns(each.frequency_x, 0, width)).collect();
    let mut rest = pixels.to_owned();
    rest.axis_iter_mut(Axis(0)).into_par_iter().enumerate().try_for_each(|(y, mut row)| {
        if y % 64 == 0 {
            host.check()?;
        }
        let mut wave = vec![0.0; width];
        add_waves(&mut wave, components, &tables, y);
        for (mut pixel, wave) in row.rows_mut().into_iter().zip(&wave) {
            pixel.iter_mut().for_each(|value| *value -= wave);
        }
        Ok::<(), Error>(())
    })?;
    Ok(rest)
}

/// Shape and places of the windows that are searched.
fn windows(height: usize, width: usize) -> ([usize; 2], Vec<[usize; 2]>) {
    let longest = if height * width <= WHOLE { LONGEST } else { LARGEST };
    let shape = [handy(height.min(longest)), handy(width.min(longest))];
    let count = ((height * width + 500_000) / 1_000_000).clamp(1, MOST_WINDOWS);
    let rows = (count as f64 * height as f64 / width as f64).sqrt() + 0.5;
    let rows = (rows.floor() as usize).max(1).min(height.div_ceil(shape[0]));
    let columns = (count / rows).max(1).min(width.div_ceil(shape[1]));
    let places = |size: usize, side: usize, number: usize| -> Vec<usize> {
        if number == 1 {
            return vec![(size - side) / 2];
        }
        (0..number).map(|i| (size - side) * i / (number - 1)).collect()
    };
    let lefts = places(width, shape[1], columns);
    let tops = places(height, shape[0], rows);
    let offsets = tops.iter().flat_map(|&top| lefts.iter().map(move |&left| [top, left])).collect();
    (shape, offsets)
}

/// The largest multiple of 8 not above `side` (at least 16) that is quick to transform.
fn handy(side: usize) -> usize {
    let mut side = side - side % 8;
    loop {
        let mut rest = side;
        for prime in [2, 3, 5] {
            while usize::is_multiple_of(rest, prime) {
                rest /= prime;
            }
        }
        if rest == 1 {
            return side;
        }
        side -= 8;
    }
}

fn features(found: &[Candidate], accepted: usize) -> [f64; FEATURES] {
    let mut scores: Vec<f64> = found.iter().map(|each| each.score).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    scores.extend([NO_SCORE; 2]);
    let mut best: Option<&Candidate> = None;
    for each in found {
        if best.is_none_or(|best| each.score > best.score) {
            best = Some(each);
        }
    }
    let mut features = [0.0; FEATURES];
    features[..MEASURES].copy_from_slice(best.map_or(&NOTHING, |best| &best.measures));
    features[MEASURES..].copy_from_slice(&[
        scores[0],
        scores[1],
        accepted as f64,
        1e-3_f64.ln(),
        found.len() as f64,
    ]);
    features
}

/// The whole spectrum in [`SPECTRUM_SIDE`]² cells, each the mean of the bins in it.
fn thumbnail(power: &Plane, [rows, columns]: [usize; 2]) -> Array2<f32> {
    let cell = |i: usize, side: usize| {
        let start = i * side / SPECTRUM_SIDE;
        start..((i + 1) * side / SPECTRUM_SIDE).max(start + 1)
    };
    // the spectrum begins with negative frequencies, of which along x only the mirrored bins are kept
    let negative = (columns - 1) / 2;
    let mut sums = vec![0.0; columns];
    let mut whole = Array2::zeros((SPECTRUM_SIDE, SPECTRUM_SIDE));
    for i in 0..SPECTRUM_SIDE {
        let down = cell(i, rows);
        sums.fill(0.0);
        for y in down.clone() {
            let y = (y + rows.div_ceil(2)) % rows;
            let (row, mirrored) = (power.row(y), power.row((rows - y) % rows));
            // the highest frequency of an even number is negative in this order
            let (left, right) = sums.split_at_mut(columns / 2);
            let left = &mut left[columns / 2 - negative..];
            for (sum, &value) in left.iter_mut().zip(mirrored[1..=negative].iter().rev()) {
                *sum += f64::from(value);
            }
            for (sum, &value) in right.iter_mut().zip(row) {
                *sum += f64::from(value);
            }
            if columns % 2 == 0 {
                sums[0] += f64::from(row[columns / 2]);
            }
        }
        for j in 0..SPECTRUM_SIDE {
            let right = cell(j, columns);
            let area = (down.len() * right.len()) as f64;
            let mean = sums[right].iter().sum::<f64>() / area;
            whole[[i, j]] = ((mean + 1e-3) as f32).log10();
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use ndarray::{Array2, Array3};

    use super::*;
    use crate::host::NoHost;

    fn wave(fy: f64, fx: f64, amplitude: f64) -> Array3<f32> {
        Array3::from_shape_fn((128, 144, 1), |(y, x, _)| {
            let grain =
                f64::from((y as u32 * 7919 + x as u32 * 104_729).wrapping_mul(2_654_435_761) >> 24);
            let wave = amplitude * (TAU * (fy * y as f64 + fx * x as f64)).cos();
            (0.5 + wave + (grain / 255.0 - 0.5) * 0.02) as f32
        })
    }

    #[test]
    fn a_wave_is_found_and_removed() {
        let included = Array2::from_elem((128, 144), true);
        let image = wave(0.17, 0.09, 0.05);
        let found = find_periodic(image.view(), included.view(), &NoHost).unwrap();
        assert_eq!(found.components.len(), 1);
        let one = found.components[0];
        assert!((one.frequency_y - 0.17).abs() < 1e-3 && (one.frequency_x - 0.09).abs() < 1e-3);
        assert!((one.amplitude - 0.05).abs() < 2e-3);
        let rest = remove(image.view(), &found.components, &NoHost).unwrap();
        assert!(rest.iter().all(|value| (value - 0.5).abs() < 0.02));
    }

    #[test]
    fn small_images_do_not_fail() {
        for (height, width) in [(1, 1), (15, 40), (16, 16), (17, 33)] {
            let image = Array3::from_elem((height, width, 3), 0.4_f32);
            let included = Array2::from_elem((height, width), true);
            let found = find_periodic(image.view(), included.view(), &NoHost).unwrap();
            assert!(found.components.is_empty());
            assert!(found.features.iter().all(|value| value.is_finite()));
        }
    }
}
