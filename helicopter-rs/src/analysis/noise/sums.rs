//! Sums of the blocks' measurements by the weight that each block is given.

use rayon::prelude::*;

use super::blocks::{noise_energy, Blocks, Layout, Strip, COLOURS, LANES};
use super::cosines::BANDS;
use super::learnt::{BlockNetwork, HEADS, MOST_INPUTS};
use crate::error::Result;
use crate::host::Host;
use crate::utils::simd::{kernel, F32x8};

/// Bins of intensity.
pub(super) const BINS: usize = 8;
/// Heads that the level function and the smaller copies are looked at with.
pub(super) const FEW_HEADS: usize = 2;
/// Bands whose means are features: all but the lowest.
pub(super) const POOLED_BANDS: usize = 6;
/// Sums of a head beside those of bands and products: see `Items`.
pub(super) const EXTRAS: usize = 6;
/// Sums of a bin: see [`bin`].
const BIN_SUMS: usize = 7;
/// Sums of a head, at most: see `Items`.
const MOST_ITEMS: usize = COLOURS * POOLED_BANDS + 3 + EXTRAS;

/// Sums over blocks.
#[derive(Clone)]
pub(super) struct Sums {
    /// Of each head: bands of each plane, products of planes, extras.
    pub heads: Vec<[f64; HEADS]>,
    /// Of each bin of intensity: see [`bin`].
    pub bins: [[f64; BIN_SUMS]; BINS],
    /// Noise energy of the first heads.
    pub energy: [f64; FEW_HEADS],
}

/// Places of the sums of a bin.
pub(super) mod bin {
    /// Weights of the first head.
    pub const WEIGHT: usize = 0;
    /// Noise energy by the first head.
    pub const ENERGY: usize = 1;
    /// Squared differences of neighbours by the first head.
    pub const SQUARE: usize = 2;
    /// The same to the fourth power.
    pub const FOURTH: usize = 3;
    /// Weights of the second head.
    pub const SECOND_WEIGHT: usize = 4;
    /// Noise energy by the second head.
    pub const SECOND_ENERGY: usize = 5;
    /// Valid blocks.
    pub const BLOCKS: usize = 6;
}

/// Blocks, and what they are weighed with.
#[derive(Clone, Copy)]
pub(super) struct Weighing<'a> {
    pub blocks: &'a Blocks,
    pub base: f64,
    pub low: f32,
    pub high: f32,
    pub network: &'a BlockNetwork,
    pub heads: usize,
}

/// Places of the sums of a head.
#[derive(Clone, Copy)]
pub(super) struct Items {
    pub planes: usize,
}

#[expect(clippy::unused_self, reason = "the items are asked for in one way")]
impl Items {
    fn band(self, plane: usize, band: usize) -> usize {
        plane * POOLED_BANDS + band
    }
    pub fn cross(self, pair: usize) -> usize {
        self.planes * POOLED_BANDS + pair
    }
    /// Sum of the weights.
    pub fn weight(self) -> usize {
        self.cross(if self.planes == COLOURS { 3 } else { 0 })
    }
    pub fn squared_weight(self) -> usize {
        self.weight() + 1
    }
    pub fn mean(self) -> usize {
        self.weight() + 2
    }
    pub fn clipped(self) -> usize {
        self.weight() + 3
    }
    pub fn square(self) -> usize {
        self.weight() + 4
    }
    pub fn fourth(self) -> usize {
        self.weight() + 5
    }
    pub fn len(self) -> usize {
        self.weight() + EXTRAS
    }
}

/// Places of what the network sees of a block behind its bands: how far it is from an end of the range,
/// how much of it is clipped, how bright it is.
#[inline(always)]
fn inputs(planes: usize) -> [usize; 3] {
    [0, 1, 2].map(|place| BANDS * planes + place)
}

/// Sums over all blocks, and the first head's weights. Strips are added up in their order.
pub(super) fn sum_up(weighing: &Weighing, host: &dyn Host) -> Result<(Sums, Vec<Vec<f32>>)> {
    let parts = weighing
        .blocks
        .strips
        .par_iter()
        .map(|strip| {
            host.check()?;
            Ok(sum_strip(strip, weighing))
        })
        .collect::<Result<Vec<_>>>()?;
    let items = Items { planes: weighing.blocks.layout.planes };
    let mut sums = Sums {
        heads: vec![[0.0; HEADS]; items.len()],
        bins: [[0.0; BIN_SUMS]; BINS],
        energy: [0.0; FEW_HEADS],
    };
    let mut weights = Vec::with_capacity(parts.len());
    for (part, weight) in parts {
        for (sum, part) in sums.heads.iter_mut().zip(&part.heads) {
            for (sum, part) in sum.iter_mut().zip(part) {
                *sum += part;
            }
        }
        for (sum, part) in sums.bins.iter_mut().zip(&part.bins) {
            for (sum, part) in sum.iter_mut().zip(part) {
                *sum += part;
            }
        }
        for (sum, part) in sums.energy.iter_mut().zip(part.energy) {
            *sum += part;
        }
        weights.push(weight);
    }
    Ok((sums, weights))
}

kernel! {
    fn sum_strip<S>(strip: &Strip, weighing: &Weighing<'_>) -> (Sums, Vec<f32>) {
        sum_strip_at::<S::F32x8>(strip, weighing)
    }
}

#[inline(always)]
fn sum_strip_at<V: F32x8>(strip: &Strip, weighing: &Weighing<'_>) -> (Sums, Vec<f32>) {
    let layout = weighing.blocks.layout;
    let planes = layout.planes;
    let items = Items { planes };
    let inverse = V::splat(1.0 / weighing.base as f32);
    let inverse_sigma = V::splat(1.0 / weighing.base.sqrt() as f32);
    let zero = V::splat(0.0);
    let mut heads = [[zero; HEADS]; MOST_ITEMS];
    let mut bins = [[zero; BIN_SUMS]; BINS];
    let mut energies = [zero; FEW_HEADS];
    let mut first = vec![0.0; strip.vectors * LANES];
    for vector in 0..strip.vectors {
        let valid: V = strip.get(layout.valid(), vector);
        if total(valid) <= 0.0 {
            continue;
        }
        let mut pooled = [[zero; POOLED_BANDS]; COLOURS];
        let mut seen = [zero; MOST_INPUTS];
        for plane in 0..planes {
            let mut all = [zero; BANDS];
            for band in 0..BANDS {
                all[band] = strip.get(layout.energy(plane, band), vector);
            }
            // the larger of the axial bands first: which is which depends on how the image lies
            (all[5], all[6]) = (all[5].max(all[6]), all[5].min(all[6]));
            for band in 0..BANDS {
                seen[plane * BANDS + band] = all[band].mul(inverse).add(V::splat(1e-3)).ln();
            }
            pooled[plane].copy_from_slice(&all[1..]);
        }
        let clipped: V = strip.get(layout.clipped(), vector);
        let (mean, distance) = position::<V>(strip, layout, vector, weighing.low, weighing.high);
        let room = distance.mul(inverse_sigma).max(zero).min(V::splat(6.0));
        let [to_end, share_clipped, intensity] = inputs(planes);
        seen[to_end] = room.mul(V::splat(1.0 / 6.0));
        seen[share_clipped] = clipped;
        seen[intensity] = mean.mul(V::splat(1.0 / 255.0));
        let mut weights = weighing.network.weigh(&seen, weighing.heads);
        for head in 0..weighing.heads {
            weights[head] = weights[head].mul(valid);
        }
        weights[0].store(&mut first[vector * LANES..]);
        for plane in 0..planes {
            for band in 0..POOLED_BANDS {
                let sums = &mut heads[items.band(plane, band)];
                accumulate(sums, &weights, pooled[plane][band], weighing.heads);
            }
        }
        accumulate(&mut heads[items.weight()], &weights, V::splat(1.0), weighing.heads);
        if weighing.heads < HEADS {
            continue;
        }
        let square: V = strip.get(layout.square(), vector);
        let fourth: V = strip.get(layout.fourth(), vector);
        if planes == COLOURS {
            for pair in 0..3 {
                let value = strip.get(layout.cross(pair), vector);
                accumulate(&mut heads[items.cross(pair)], &weights, value, HEADS);
            }
        }
        for head in 0..HEADS {
            let sum = &mut heads[items.squared_weight()][head];
            *sum = weights[head].multiply_add(weights[head], *sum);
        }
        for (item, value) in [
            (items.mean(), mean),
            (items.clipped(), clipped),
            (items.square(), square),
            (items.fourth(), fourth),
        ] {
            accumulate(&mut heads[item], &weights, value, HEADS);
        }
        let energy: V = noise_energy(strip, layout, vector);
        for head in 0..FEW_HEADS {
            energies[head] = weights[head].multiply_add(energy, energies[head]);
        }
        let measured = [weights[0], weights[1], mean, energy, square, fourth];
        sort_into_bins(&mut bins, &measured, valid);
    }
    let mut sums = Sums {
        heads: vec![[0.0; HEADS]; items.len()],
        bins: [[0.0; BIN_SUMS]; BINS],
        energy: [total(energies[0]), total(energies[1])],
    };
    for item in 0..items.len() {
        for head in 0..HEADS {
            sums.heads[item][head] = total(heads[item][head]);
        }
    }
    for bin in 0..BINS {
        for sum in 0..BIN_SUMS {
            sums.bins[bin][sum] = total(bins[bin][sum]);
        }
    }
    (sums, first)
}

#[inline(always)]
fn total<V: F32x8>(values: V) -> f64 {
    let mut sum = 0.0;
    for value in values.to_array() {
        sum += f64::from(value);
    }
    sum
}

#[inline(always)]
fn accumulate<V: F32x8>(sums: &mut [V; HEADS], weights: &[V; HEADS], value: V, heads: usize) {
    for head in 0..heads {
        sums[head] = weights[head].multiply_add(value, sums[head]);
    }
}

/// Mean intensity, and how far the nearest channel is from an end of the range.
#[inline(always)]
fn position<V: F32x8>(strip: &Strip, layout: Layout, vector: usize, low: f32, high: f32) -> (V, V) {
    let first: V = strip.get(layout.mean(0), vector);
    let (mut sum, mut least, mut most) = (first, first, first);
    for channel in 1..layout.planes {
        let mean: V = strip.get(layout.mean(channel), vector);
        sum = sum.add(mean);
        least = least.min(mean);
        most = most.max(mean);
    }
    let mean = sum.mul(V::splat(1.0 / layout.planes as f32));
    (mean, least.sub(V::splat(low)).min(V::splat(high).sub(most)))
}

/// `measured`: weights of the first two heads, mean, noise energy, square, fourth; and whether valid.
///
/// A block belongs to the two bins next to its mean, in part to each.
#[inline(always)]
fn sort_into_bins<V: F32x8>(bins: &mut [[V; BIN_SUMS]; BINS], measured: &[V; 6], valid: V) {
    let [one, two, mean, energy, square, fourth] = *measured;
    let (zero, unit) = (V::splat(0.0), V::splat(1.0));
    let place = mean.multiply_add(V::splat(BINS as f32 / 255.0), V::splat(-0.5));
    let place = place.max(zero).min(V::splat(BINS as f32 - 1.0));
    for bin in 0..BINS {
        let apart = place.sub(V::splat(bin as f32));
        let part = unit.sub(apart.max(zero.sub(apart))).max(zero);
        let (one, two) = (part.mul(one), part.mul(two));
        let sums = &mut bins[bin];
        sums[bin::WEIGHT] = sums[bin::WEIGHT].add(one);
        sums[bin::ENERGY] = one.multiply_add(energy, sums[bin::ENERGY]);
        sums[bin::SQUARE] = one.multiply_add(square, sums[bin::SQUARE]);
        sums[bin::FOURTH] = one.multiply_add(fourth, sums[bin::FOURTH]);
        sums[bin::SECOND_WEIGHT] = sums[bin::SECOND_WEIGHT].add(two);
        sums[bin::SECOND_ENERGY] = two.multiply_add(energy, sums[bin::SECOND_ENERGY]);
        sums[bin::BLOCKS] = part.multiply_add(valid, sums[bin::BLOCKS]);
    }
}
