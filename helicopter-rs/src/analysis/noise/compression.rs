//! JPEG compression: where its lattice of blocks lies and which quality it was saved with.
//!
//! The twin of `helicopter/backends/reference/analysis/noise/compression.py`, which says why each step is taken.

mod image;
mod likelihood;

use ndarray::{ArrayView2, ArrayView3};

use self::image::Image;
use self::likelihood::{HIGH_ORDER, QUALITIES};
use super::masks;
use crate::error::Result;
use crate::host::Host;

/// How many numbers [`Compression::features`] has; the reference names them.
pub const FEATURES: usize = 11;
const MOST_BLOCKS: usize = 1600;
const FEW_BLOCKS: usize = 48;
const FEWEST_BLOCKS: usize = 16;
const COARSE: usize = 6;
const MEDIUM: usize = 32;
const FULL: usize = 256;
const FINALISTS: usize = 12;
const LOW_ORDER: usize = 3;
const OFFSETS: usize = 2;
const CONVINCING: f64 = 30.0;
const EVIDENCE: f64 = 12.0;
const EVIDENCE_OF_ONE: f64 = 0.4;

/// The traces of JPEG compression in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Compression {
    /// On the IJG's scale from 1 to 100, or none where there is no evidence of compression.
    pub quality: Option<u8>,
    /// Row and column, each 0 to 7, at which blocks begin.
    pub grid: (usize, usize),
    /// What a classifier needs to know.
    pub features: [f64; FEATURES],
}

/// Looks for the traces of JPEG compression.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn find_compression(
    pixels: ArrayView3<f32>,
    included: ArrayView2<bool>,
    host: &dyn Host,
) -> Result<Compression> {
    let (height, width) = included.dim();
    if height.min(width) < 8 {
        return Ok(Compression { quality: None, grid: (0, 0), features: [0.0; FEATURES] });
    }
    let whole = masks::all(included);
    let (pixels, included) = (pixels.as_standard_layout(), included.as_standard_layout());
    let (values, included) = (pixels.as_slice().unwrap_or(&[]), included.as_slice().unwrap_or(&[]));
    let channels = pixels.dim().2;
    let image = Image { values, included, height, width, channels, whole };
    let (by_column, by_row) = (image.row_blockiness(), image.column_blockiness());
    let mut lattices = vec![(0, 0)];
    for &dy in &descending(&by_row)[..OFFSETS] {
        lattices.extend(descending(&by_column)[..OFFSETS].iter().map(|&dx| (dy, dx)));
    }
    let likely = lattices.len();
    for other in (0..64).map(|i| (i / 8, i % 8)) {
        if !lattices.contains(&other) {
            lattices.push(other);
        }
    }
    let all: Vec<usize> = (0..QUALITIES).collect();
    let (mut best, mut grid) = (f64::NEG_INFINITY, (0, 0));
    for (number, &tried) in lattices.iter().enumerate() {
        if number >= likely && best > CONVINCING {
            break;
        }
        host.check()?;
        let blocks = if number < likely { FEW_BLOCKS } else { FEWEST_BLOCKS };
        let sample = image.sample(tried, blocks, LOW_ORDER);
        let odds = sample.odds(&all, COARSE, LOW_ORDER).0;
        let odds = odds.into_iter().fold(f64::NEG_INFINITY, f64::max);
        if odds > best {
            (best, grid) = (odds, tried);
        }
    }

    host.check()?;
    let sample = image.sample(grid, MOST_BLOCKS, HIGH_ORDER);
    let (medium, _) = sample.odds(&all, MEDIUM, HIGH_ORDER);
    let mut finalists = descending(&medium);
    finalists.truncate(FINALISTS);
    finalists.sort_unstable();
    let (odds, count) = sample.odds(&finalists, FULL, HIGH_ORDER);
    let winner = descending(&odds)[0];
    let (quality, total) = (finalists[winner], odds[winner]);
    let rival = (0..QUALITIES).filter(|&other| other.abs_diff(quality) > 2);
    let rival = rival.map(|other| medium[other]).fold(f64::NEG_INFINITY, f64::max);

    let other = image.sample(((grid.0 + 4) % 8, (grid.1 + 4) % 8), FEW_BLOCKS, HIGH_ORDER);
    let zeros = sample.zeros();
    let mean = total / count.max(1) as f64;
    let features = [
        mean,
        compressed(total),
        compressed(medium[quality] - rival),
        (count as f64).ln_1p(),
        (quality + 1) as f64 / 100.0,
        excess(&by_row, grid.0),
        excess(&by_column, grid.1),
        zeros,
        zeros - other.zeros(),
        sample.flat(),
        (sample.alike.len() as f64).ln_1p(),
    ];
    let evident = total > EVIDENCE && mean > EVIDENCE_OF_ONE;
    Ok(Compression { quality: evident.then_some(quality as u8 + 1), grid, features })
}

/// Indices by descending value; equal ones in their order.
fn descending(values: &[f64]) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..values.len()).collect();
    indices.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    indices
}

fn compressed(value: f64) -> f64 {
    value.abs().ln_1p().copysign(value)
}

/// By how much steps across the lattice exceed the others.
fn excess(profile: &[f64; 8], offset: usize) -> f64 {
    let mut sorted = *profile;
    sorted.sort_by(f64::total_cmp);
    let middle = f64::midpoint(sorted[3], sorted[4]);
    compressed((profile[offset] - middle) / (middle + 0.05))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};

    use super::likelihood::{cosines, quantiser, ORDERS};
    use super::*;
    use crate::host::NoHost;

    /// Blocks whose coefficients are multiples of a quality's steps, rounded to whole levels.
    fn quantised(quality: usize) -> Array3<f32> {
        let basis = cosines();
        let mut image = Array3::zeros((128, 128, 1));
        let mut state = 1_u32;
        for by in 0..16 {
            for bx in 0..16 {
                let mut levels = [[128.0; 8]; 8];
                for (u, v) in ORDERS {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let step = f64::from(quantiser(quality, 8 * u + v));
                    let height = (f64::from(state >> 16) / 65536.0 - 0.5) * 240.0;
                    let height = (height / step).round() * step;
                    for (y, row) in levels.iter_mut().enumerate() {
                        for (x, level) in row.iter_mut().enumerate() {
                            *level += height * basis[u][y] * basis[v][x];
                        }
                    }
                }
                for (y, row) in levels.iter().enumerate() {
                    for (x, level) in row.iter().enumerate() {
                        image[[8 * by + y, 8 * bx + x, 0]] = (level.round() / 255.0) as f32;
                    }
                }
            }
        }
        image
    }

    #[test]
    fn the_quality_is_read() {
        for quality in [20, 50, 75] {
            let image = quantised(quality);
            let included = Array2::from_elem((128, 128), true);
            let found = find_compression(image.view(), included.view(), &NoHost).unwrap();
            assert_eq!(found.quality, Some(quality as u8));
            assert_eq!(found.grid, (0, 0));
        }
    }

    #[test]
    fn nothing_is_found_in_a_flat_image() {
        let image = Array3::from_elem((40, 40, 3), 0.5_f32);
        let included = Array2::from_elem((40, 40), true);
        let found = find_compression(image.view(), included.view(), &NoHost).unwrap();
        assert_eq!(found.quality, None);
    }
}
