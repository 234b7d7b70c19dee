//! The blocks with the least detail: the energy of the few without content is that of the noise.

use rayon::prelude::*;

use super::blocks::{Blocks, Strip, COLOURS, LANES};
use super::cosines::MEMBERS;
use crate::utils::simd::{kernel, F32x8};

/// Shares of the blocks that are looked at.
const SHARES: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25];
/// Those of them whose high frequencies the answers are relative to.
const REFERENCE_SHARES: std::ops::Range<usize> = 2..5;
/// Bins to a factor of e, where they begin (logarithm of the ratio to the base), how many there are.
const STEPS: f32 = 6.0;
const LOWEST: f32 = -6.0;
const BINS: usize = 96;
/// Energies that are summed up: of low, middle and high frequencies.
const ENERGIES: usize = 3;
/// The last of them.
const HIGH: usize = 2;
/// Sums of a bin: the number of its blocks, and the energies.
const SUMS: usize = 1 + ENERGIES;
/// Number of features.
pub(super) const FEATURES: usize = SHARES.len() * ENERGIES;

/// Logarithms of mean energies, for each share.
pub(super) type Energies = [[f64; ENERGIES]; SHARES.len()];

/// Bands that count as low.
const LOW_BANDS: usize = 3;

/// The part of the low coefficients that a band has.
#[inline(always)]
fn share_of_low(band: usize) -> f32 {
    let mut all = 0;
    for other in 0..LOW_BANDS {
        all += MEMBERS[other].len();
    }
    MEMBERS[band].len() as f32 / all as f32
}

type Histogram = [[f64; SUMS]; BINS];

/// Mean energies of the blocks with the least detail.
pub(super) fn low_detail(blocks: &Blocks, base: f64) -> Energies {
    let parts: Vec<_> =
        blocks.strips.par_iter().map(|strip| sort_strip(strip, blocks, base)).collect();
    let mut sums = [[0.0; SUMS]; BINS];
    for part in parts {
        for (sum, part) in sums.iter_mut().flatten().zip(part.iter().flatten()) {
            *sum += part;
        }
    }
    let total: f64 = sums.iter().map(|bin| bin[0]).sum();
    let mut out = [[0.0; ENERGIES]; SHARES.len()];
    for (share, out) in SHARES.iter().zip(&mut out) {
        let wanted = share * total;
        let mut passed = [0.0; SUMS];
        let mut bins = sums.iter().peekable();
        while let Some(bin) = bins.next() {
            let last = passed[0] + bin[0] >= wanted || bins.peek().is_none();
            // within a bin, all are alike
            let part = if last { (wanted - passed[0]) / (bin[0] + 1e-12) } else { 1.0 };
            for (passed, sum) in passed.iter_mut().zip(bin) {
                *passed += part * sum;
            }
            if last {
                break;
            }
        }
        for (out, sum) in out.iter_mut().zip(&passed[1..]) {
            *out = (sum / (wanted + 1e-12) + 1e-4).ln();
        }
    }
    out
}

/// Variance that is that of the noise wherever there are blocks without content.
pub(super) fn reference_variance(energies: &Energies, base: f64) -> f64 {
    let high = REFERENCE_SHARES.map(|share| energies[share][HIGH]);
    base * (high.sum::<f64>() / REFERENCE_SHARES.len() as f64).exp()
}

kernel! {
    fn sort_strip<S>(strip: &Strip, blocks: &Blocks, base: f64) -> Box<Histogram> {
        sort_strip_at::<S::F32x8>(strip, blocks, base)
    }
}

#[inline(always)]
fn sort_strip_at<V: F32x8>(strip: &Strip, blocks: &Blocks, base: f64) -> Box<Histogram> {
    let layout = blocks.layout;
    // the luminance has most of the content
    let (first, planes) = (usize::from(layout.planes == COLOURS), layout.planes);
    let inverse = V::splat((1.0 / (base * (planes - first) as f64)) as f32);
    let mut sums = Box::new([[0.0; SUMS]; BINS]);
    for vector in 0..strip.vectors {
        let mut energy = [V::splat(0.0); 5];
        for plane in first..planes {
            for band in 0..5 {
                let own: V = strip.get(layout.energy(plane, band), vector);
                energy[band] = own.multiply_add(inverse, energy[band]);
            }
        }
        let mut low = V::splat(0.0);
        for band in 0..LOW_BANDS {
            low = energy[band].multiply_add(V::splat(share_of_low(band)), low);
        }
        let position = low.add(V::splat(1e-6)).ln().add(V::splat(-LOWEST)).mul(V::splat(STEPS));
        let position = position.max(V::splat(0.0)).min(V::splat(BINS as f32 - 1.001)).to_array();
        let visible = V::splat(1.0).sub(strip.get(layout.clipped(), vector));
        let visible = visible.mul(visible);
        let valid: V = strip.get(layout.valid(), vector);
        // where values were cut off, there is less noise than there was
        let counts = visible.mul(visible).mul(valid).to_array();
        let (low, middle) = (low.to_array(), energy[3].to_array());
        let high = energy[4].to_array();
        for lane in 0..LANES {
            let count = f64::from(counts[lane]);
            if count <= 0.0 {
                continue;
            }
            let bin = position[lane] as usize;
            let rest = f64::from(position[lane]) - bin as f64;
            for (bin, count) in [(bin, count * (1.0 - rest)), (bin + 1, count * rest)] {
                sums[bin][0] += count;
                sums[bin][1] += count * f64::from(low[lane]);
                sums[bin][2] += count * f64::from(middle[lane]);
                sums[bin][3] += count * f64::from(high[lane]);
            }
        }
    }
    sums
}
