//! The best partition of an image into so many connected pieces: fine groups of pixels ([`atoms`]),
//! merged by Ward's criterion ([`ward`]), their borders put right pixel by pixel ([`refine`]).
//!
//! The twin in `helicopter/backends/reference/segmentation/` is the law.

mod atoms;
pub mod features;
mod refine;
mod region;
mod ward;

use atoms::{atoms, Joining};
use features::{variance, Features, Plane};
use rayon::prelude::*;
use refine::{refine, Weights};

use crate::error::{Error, Result};
use crate::host::Host;

/// A round of merging into atoms needs so many pixels to a segment: the first, and the second.
const LEAST_AREAS: [usize; 2] = [8, 32];

/// Groups within a cell are joined if that costs less than this share of a segment's area times the
/// image's variance; what costs more is left for the end, and for whoever else lies around.
const CAP: f64 = 0.005;

/// Larger weights and more passes are mistakes.
const MOST_WEIGHT: f64 = 1e6;
const MOST_PASSES: usize = 1000;

/// What makes a partition; see `helicopter.core.segments._partition` for the presets.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many segments there shall be.
    pub count: usize,
    /// Merging is done at half the size, a quarter ..., as long as a segment has at least so many
    /// pixels there on average.
    pub least_area: usize,
    /// Weight of a segment's extent against its spread in colour, while merging.
    pub spatial: f64,
    /// The same while borders are put right.
    pub spatial_borders: f64,
    /// Weight of a border's length against the spread in colour.
    pub border: f64,
    /// Passes over the borders, at the full size and at each smaller one.
    pub passes: (usize, usize),
}

/// Labels from 0 on, ordered by first pixel: each one piece whose pixels touch at their sides.
///
/// # Errors
///
/// [`Error::Argument`] if there are fewer pixels than segments; [`Error::Cancelled`].
pub fn segment<F: Features>(image: &F, options: &Options, host: &dyn Host) -> Result<Vec<u32>> {
    let (height, width) = image.dim();
    if options.count == 0 || options.count > height * width {
        let expected = format!("from 1 to the number of pixels, {}", height * width);
        return Err(Error::argument("segment", "count", expected, options.count.to_string()));
    }
    check(options)?;
    let (mut labels, _) = divide(image, options, options.passes.0, host)?;
    number_by_first_pixel(&mut labels);
    Ok(labels)
}

/// Whether these options can be used, whoever made them.
fn check(options: &Options) -> Result<()> {
    let wrong = |argument, expected: String, got: String| {
        Err(Error::argument("segment", argument, expected, got))
    };
    for (argument, weight) in [
        ("spatial", options.spatial),
        ("spatial_borders", options.spatial_borders),
        ("border", options.border),
    ] {
        if !(0.0..=MOST_WEIGHT).contains(&weight) {
            return wrong(argument, format!("from 0 to {MOST_WEIGHT}"), weight.to_string());
        }
    }
    let (passes, smaller) = options.passes;
    if passes.max(smaller) > MOST_PASSES {
        let expected = format!("two integers from 0 to {MOST_PASSES}");
        return wrong("passes", expected, format!("{:?}", options.passes));
    }
    Ok(())
}

/// The segments of an image and the variance they were weighed against: found at half the size if
/// they are large enough there, their borders put right at this one.
fn divide<F: Features>(
    image: &F,
    options: &Options,
    passes: usize,
    host: &dyn Host,
) -> Result<(Vec<u32>, f64)> {
    host.check()?;
    let (height, width) = image.dim();
    let area = (height * width) as f64 / options.count as f64;
    let (mut labels, spread);
    let halved = height.div_ceil(2) * width.div_ceil(2);
    let least = options.least_area.max(1).saturating_mul(options.count);
    if halved < height * width && halved >= least {
        let half = Plane::half_of(image);
        (labels, spread) = divide(&half, options, options.passes.1, host)?;
        labels = doubled(&labels, (height, width));
    } else {
        // an image without any variance is divided by place alone
        spread = variance(image).max(1.0);
        let weights =
            Joining { spatial: options.spatial * spread / area, cap: (CAP * spread * area) as f32 };
        labels = partition(image, options, weights, host)?;
    }
    let weights = Weights {
        spatial: options.spatial_borders * spread / area,
        border: options.border * spread,
    };
    refine(image, &mut labels, options.count, passes, weights, host)?;
    Ok((labels, spread))
}

/// Atoms, merged until there are as many as asked for; by label of each pixel.
fn partition(
    features: &impl Features,
    options: &Options,
    weights: Joining,
    host: &dyn Host,
) -> Result<Vec<u32>> {
    let (height, width) = features.dim();
    let area = height * width / options.count;
    let mut rounds = LEAST_AREAS.iter().filter(|&&least| area >= least).count();
    let mut made = atoms(features, rounds, weights, host)?;
    while made.regions.len() < options.count {
        rounds -= 1; // without any, atoms are pixels, of which there are enough
        made = atoms(features, rounds, weights, host)?;
    }
    let (mut labels, roots) = ward::merge(made, options.count, weights.spatial, host)?;
    labels.par_iter_mut().for_each(|label| *label = roots[*label as usize]);
    number_by_first_pixel(&mut labels);
    Ok(labels)
}

/// Labels of a grid of twice the size.
fn doubled(labels: &[u32], (rows, cols): (usize, usize)) -> Vec<u32> {
    let width = cols.div_ceil(2);
    let mut out = vec![0; rows * cols];
    out.par_chunks_mut(cols).enumerate().for_each(|(y, to)| {
        let from = &labels[y / 2 * width..(y / 2 + 1) * width];
        for (two, &label) in to.chunks_mut(2).zip(from) {
            two.fill(label);
        }
    });
    out
}

/// Numbers the labels, whatever they are, in the order of their first pixels.
fn number_by_first_pixel(labels: &mut [u32]) {
    let largest = labels.par_iter().copied().max().unwrap_or(0);
    let mut number = vec![u32::MAX; largest as usize + 1];
    let mut next = 0;
    for label in labels {
        let number = &mut number[*label as usize];
        if *number == u32::MAX {
            *number = next;
            next += 1;
        }
        *label = *number;
    }
}
