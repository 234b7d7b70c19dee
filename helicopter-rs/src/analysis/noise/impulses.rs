//! Impulse noise: salt and pepper, and pixels replaced by random values.
//!
//! The twin of `helicopter/backends/reference/analysis/noise/impulses/__init__.py`, which explains the idea. Here, the
//! neighbours of a whole row are put in order at once, in loops that become vector instructions.

pub(super) mod counts;
mod marks;
mod repair;
#[cfg(test)]
mod tests;
mod vectors;

use ndarray::{Array1, Array2, ArrayView2, ArrayView3};
use rayon::prelude::*;

use self::counts::{count_strip, extremes, step, Counts, Plane, STRIP};
use self::marks::Scene;
pub use self::repair::repair;
use super::masks;
use crate::error::Result;
use crate::host::Host;

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Impulses {
    /// Pixels judged to be hits.
    pub mask: Array2<bool>,
    /// Share of the pixels that salt and pepper hit, seen or not; 0 when there is none.
    pub salt_pepper_density: f64,
    /// Share of the pixels that random values hit, seen or not; 0 when there are none.
    pub impulse_density: f64,
    /// Named by `FEATURES` of the reference.
    pub features: Array1<f64>,
}

const MANY: usize = 1 << 17;
const FINE: usize = 1 << 19;
const SPARSEST: usize = 8;
const COARSE: usize = 4;
const FADE: f64 = 0.057;
const FEWEST: u64 = 6;
const COINCIDENCE: f64 = 0.3;
const CHANNELS_NEED: f64 = 4.0;
/// Range in which a feature is believed; its weights for salt and pepper and for random values.
#[rustfmt::skip]
const EVIDENCE: [[f64; 4]; 29] = [
    [-9.909, 1.683, 0.8127, -0.8063], // pepper_04
    [-10.217, 1.606, 0.641, 0.0838], // pepper_08
    [-10.382, 1.424, 0.603, -0.4275], // pepper_16
    [-10.142, 1.184, 0.4163, 0.7141], // pepper_32
    [-9.879, 1.782, -0.077, -1.4953], // salt_04
    [-10.153, 1.731, -0.0551, 0.0943], // salt_08
    [-10.377, 1.578, 0.0528, 0.7239], // salt_16
    [-10.357, 1.255, 1.1753, -1.0741], // salt_32
    [-3.039, 3.985, 0.0658, 0.153], // salt_to_pepper
    [-1.736, 1.34, 1.3528, 3.3142], // room_for_pepper
    [-0.999, 0.791, 3.7137, 5.6333], // room_for_salt
    [-7.051, 2.288, -0.4138, 2.3084], // random_0_05
    [-7.87, 2.055, -0.3695, 2.3427], // random_0_1
    [-9.057, 1.828, -0.1743, 1.2173], // random_0_2
    [-6.125, 2.188, -0.259, -0.5283], // random_1_1
    [-6.758, 1.884, -0.1231, -1.6722], // random_1_2
    [-1.558, 0.789, 5.4343, 1.4927], // chance_0_1
    [-2.67, 1.426, -1.5837, 4.2405], // chance_0_2
    [-3.16, 1.746, 0.6544, -3.5973], // fade_high
    [-2.12, 1.067, -0.0361, 2.9245], // fade_low
    [-1.951, 4.305, 0.2927, -6.8766], // fade_rank
    [-17.642, 11.082, 0.7934, 0.7341], // extremes_0_1
    [-16.073, 11.45, 1.2384, -0.1254], // extremes_0_2
    [-1.106, 1.52, 3.0424, 6.2613], // grey_hits
    [-0.406, 0.459, -0.4963, -3.0521], // grey_pixels
    [-3.966, 0.608, 0.4877, 0.3408], // scale
    [-9.369, 0.724, 1.3594, -0.1914], // salt_pepper_density
    [-8.505, 1.418, 0.0867, 4.4946], // impulse_density
    [2.019, 7.209, -0.3652, 1.5199], // pixels
];
const EVIDENCE_AT_ZERO: [f64; 2] = [14.6127, 10.3381];

/// What is measured of the joint plane, or of the channels as planes of their own.
struct Measured<'a> {
    planes: Vec<Plane<'a>>,
    counts: Vec<Counts>,
    densities: [f64; 2],
    features: Vec<f64>,
    found: [bool; 2],
    /// Of the pixels that stand out in a plane, the share that does in another one too.
    coincidence: f64,
}

/// Finds the hits among the `included` pixels, and the share of pixels that were hit.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn find_impulses(
    pixels: ArrayView3<f32>,
    included: ArrayView2<bool>,
    host: &dyn Host,
) -> Result<Impulses> {
    find_impulses_with(&count_rows, pixels, included, host)
}

/// Counts on some rows (every so many) of planes, and how many pixels stand out in at least one and in at
/// least two of these.
pub(super) type Count<'c> = dyn Fn(
        &[Plane],
        Option<ArrayView2<bool>>,
        &[usize],
        usize,
        &dyn Host,
    ) -> Result<(Vec<Counts>, [u64; 2])>
    + 'c;

fn count_rows(
    planes: &[Plane],
    included: Option<ArrayView2<bool>>,
    rows: &[usize],
    every: usize,
    host: &dyn Host,
) -> Result<(Vec<Counts>, [u64; 2])> {
    let strips: Vec<(Vec<Counts>, [u64; 2])> = rows
        .par_chunks(STRIP)
        .map(|rows| {
            host.check()?;
            Ok(count_strip(planes, included, rows, every))
        })
        .collect::<Result<_>>()?;
    let mut counts = vec![Counts::new(); planes.len()];
    let mut out = [0; 2];
    for (strip, strip_out) in &strips {
        counts.iter_mut().zip(strip).for_each(|(to, from)| to.add(from));
        out.iter_mut().zip(strip_out).for_each(|(to, from)| *to += from);
    }
    Ok((counts, out))
}

/// [`find_impulses`], with pixels counted elsewhere.
pub(super) fn find_impulses_with(
    count: &Count,
    pixels: ArrayView3<f32>,
    included: ArrayView2<bool>,
    host: &dyn Host,
) -> Result<Impulses> {
    let (height, width, channels) = pixels.dim();
    let included = (!masks::all(included)).then_some(included);
    let [every, fine] = [MANY, FINE].map(|enough| (height * width / enough).clamp(1, SPARSEST));
    let (low, high) = extremes(pixels, included, every);
    let mask = Array2::from_elem((height, width), false);
    if height.min(width) < 3 || low >= high {
        let features = features(&[Counts::new()], [0.0, 0.0]).into();
        return Ok(Impulses { mask, salt_pepper_density: 0.0, impulse_density: 0.0, features });
    }
    let step = step(pixels, included);
    let channel = |which| Plane { pixels, channel: Some(which), low, high, step };
    let joint = Plane {
        pixels,
        channel: None,
        low: low + low + low,
        high: high + high + high,
        step: 3.0 * step,
    };
    let mut found = measure(
        count,
        vec![if channels == 1 { channel(0) } else { joint }],
        included,
        every,
        host,
    )?;
    if channels == 3 {
        let coarse = measure(count, (0..3).map(channel).collect(), included, every * COARSE, host)?;
        let apart = coarse.coincidence < COINCIDENCE;
        if (coarse.found[0] && !found.found[0]) || (coarse.found[1] && apart) {
            found = measure(count, (0..3).map(channel).collect(), included, every, host)?;
        }
    }
    if found.found != [false; 2] && fine < every {
        found =
            Measured { found: found.found, ..measure(count, found.planes, included, fine, host)? };
    }
    found.conclude(mask, included, host)
}

/// Counts on every so many rows, in one or more planes.
fn measure<'a>(
    count: &Count,
    planes: Vec<Plane<'a>>,
    included: Option<ArrayView2<bool>>,
    every: usize,
    host: &dyn Host,
) -> Result<Measured<'a>> {
    let height = planes[0].pixels.dim().0;
    let rows: Vec<usize> = (1..height - 1).step_by(every).collect();
    let (counts, out) = count(&planes, included, &rows, every, host)?;
    let each: Vec<[f64; 2]> =
        planes.iter().zip(&counts).map(|(plane, counts)| densities(plane, counts)).collect();
    let densities = together(&each);
    let features = features(&counts, densities);
    let least = if planes.len() == 1 { 0.0 } else { CHANNELS_NEED };
    let found = judge(&features, &counts, least);
    let coincidence = out[1] as f64 / out[0].max(1) as f64;
    Ok(Measured { planes, counts, densities, features, found, coincidence })
}

/// One rate out of several: the first is the safest, the later ones have more to stand on.
fn blend<const N: usize>(rates: [f64; N], hits: [f64; N], trials: [f64; N]) -> f64 {
    let variance: [f64; N] = std::array::from_fn(|i| (hits[i] + 1.0) / trials[i].max(1e-9).powi(2));
    let (mut sum, mut weights) = (0.0, 0.0);
    for i in 0..N {
        let apart = (rates[i] - rates[0]).powi(2) - (variance[0] - variance[i]).max(0.0);
        let weight = 1.0 / (variance[i] + apart.max(0.0));
        sum += weight * rates[i];
        weights += weight;
    }
    sum / weights
}

/// Share of pixels hit by salt and pepper, and by random values, if this is what stands out.
fn densities(plane: &Plane, counts: &Counts) -> [f64; 2] {
    let inside = counts.inside.map(|count| count as f64);
    let chance = counts.chance;
    let order = [2, 2, 1, 4, 0];
    let hits: [f64; 5] = std::array::from_fn(|i| match i {
        0 => (inside[2] - FADE * inside[1]).max(0.0),
        _ => inside[order[i]],
    });
    let trials: [f64; 5] = std::array::from_fn(|i| match i {
        0 => (chance[2] - FADE * chance[1]).max(1e-9),
        _ => chance[order[i]].max(1e-9),
    });
    let rates: [f64; 5] = std::array::from_fn(|i| hits[i] / trials[i]);
    let random = blend(rates, order.map(|k| inside[k]), trials);
    let found = [3, 2, 1].map(|k| 2.0 * (counts.found[0][k] + counts.found[1][k]) as f64);
    let eligible = [3, 2, 1].map(|k| (counts.eligible[0][k] + counts.eligible[1][k]).max(1) as f64);
    let rates: [f64; 3] = std::array::from_fn(|i| found[i] / eligible[i]);
    let black_or_white = random * f64::from(2.0 * plane.step / (plane.span() + plane.step));
    let extreme = blend(rates, found.map(|found| 2.0 * found), eligible) - black_or_white;
    [extreme.clamp(0.0, 1.0), random.min(1.0)]
}

/// Share of the pixels hit in any plane, if planes are hit one by one.
fn together(densities: &[[f64; 2]]) -> [f64; 2] {
    if let [only] = densities {
        return *only;
    }
    [0, 1].map(|kind| 1.0 - densities.iter().map(|each| 1.0 - each[kind]).product::<f64>())
}

/// See the reference; of all planes together.
fn features(counts: &[Counts], densities: [f64; 2]) -> Vec<f64> {
    let mut all = Counts::new();
    for counts in counts {
        all.add(counts);
    }
    let pixels = all.pixels.max(1) as f64;
    let scale = counts.iter().map(Counts::scale).sum::<f64>() / counts.len() as f64;
    let rates: [f64; 5] =
        std::array::from_fn(|k| ((all.inside[k] as f64 + 0.1) / (all.chance[k] + 100.0)).log10());
    let mut features = Vec::with_capacity(EVIDENCE.len());
    for side in 0..2 {
        features.extend((0..4).map(|k| {
            ((all.found[side][k] as f64 + 0.1) / (all.eligible[side][k] as f64 + 100.0)).log10()
        }));
    }
    let found = |side: usize| all.found[side][2] as f64 + 1.0;
    features.push((found(0) / found(1)).ln().abs());
    features.extend((0..2).map(|side| ((all.eligible[side][2] as f64 + 1.0) / pixels).log10()));
    features.extend(rates);
    features.extend([1, 2].map(|k| ((all.chance[k] + 1.0) / pixels).log10()));
    features.extend([rates[2] - rates[1], rates[1] - rates[0], rates[4] - rates[2]]);
    features.extend(
        [1, 2].map(|k| ((all.extreme[k] as f64 + 0.1) / (all.inside[k] as f64 + 1.0)).ln()),
    );
    features.push((all.grey as f64 + 0.5) / ((all.inside[1] + all.extreme[1]) as f64 + 1.0));
    features.push(all.colourless as f64 / all.sampled.max(1) as f64);
    features.push(scale.log10());
    features.extend(densities.map(|density| (density + 1e-5).log10()));
    features.push(pixels.log10());
    features
}

/// Whether there is salt and pepper, and whether there are random values.
fn judge(features: &[f64], counts: &[Counts], least: f64) -> [bool; 2] {
    let seen = [
        counts.iter().map(|counts| counts.found[0][1] + counts.found[1][1]).sum::<u64>(),
        counts.iter().map(|counts| counts.inside[1]).sum::<u64>(),
    ];
    std::array::from_fn(|kind| {
        let weigh =
            |(feature, row): (&f64, &[f64; 4])| feature.clamp(row[0], row[1]) * row[2 + kind];
        let evidence: f64 = features.iter().zip(&EVIDENCE).map(weigh).sum();
        EVIDENCE_AT_ZERO[kind] + evidence > least && seen[kind] >= FEWEST
    })
}

impl Measured<'_> {
    fn conclude(
        self,
        mut mask: Array2<bool>,
        included: Option<ArrayView2<bool>>,
        host: &dyn Host,
    ) -> Result<Impulses> {
        if self.found != [false; 2] {
            for (plane, counts) in self.planes.iter().zip(&self.counts) {
                let [salt_pepper, random] = densities(plane, counts);
                let values = plane.values();
                let scene = Scene { plane, values: values.view(), included, scale: counts.scale() };
                if self.found[0] {
                    scene.mark_extremes(salt_pepper, &mut mask, host)?;
                }
                if self.found[1] {
                    scene.mark_random(random, &mut mask, host)?;
                }
            }
        }
        let density = |kind: usize| if self.found[kind] { self.densities[kind] } else { 0.0 };
        Ok(Impulses {
            mask,
            salt_pepper_density: density(0),
            impulse_density: density(1),
            features: self.features.into(),
        })
    }
}
