//! The features of an image's fine noise: what is measured of all its blocks, by weight.

use super::blocks::{fine, measure_blocks, noise_energy, Blocks, Strip, COLOURS, LANES};
use super::cosines::SIDE;
use super::learnt::{NoiseModel, HEADS};
use super::low_detail::{self, low_detail, reference_variance};
use super::picture::Picture;
use super::sums::{bin, sum_up, Items, Sums, Weighing, BINS, FEW_HEADS, POOLED_BANDS};
use crate::error::Result;
use crate::host::Host;
use crate::utils::simd::{F32x8, Plain, Simd};

/// The image itself, and copies of half and a quarter of its size.
const LEVELS: usize = 3;
/// More blocks than this are as good as this many.
const MANY: usize = 16384;
/// Features of the image as a whole.
const OTHERS: usize = 6;

/// Features of an image's fine noise, and what is needed to draw its map.
pub(in crate::analysis) struct BlockFeatures {
    pub values: Vec<f64>,
    /// Variance of the blocks with the least detail, in squared levels: what answers are relative to.
    pub reference_variance: f64,
    /// Levels per unit of intensity of the image.
    pub unit: f64,
    pub blocks: Blocks,
    /// The first head's weight of each block, a strip at a time.
    pub weights: Vec<Vec<f32>>,
    /// Their sum.
    pub total: f64,
    pub bins: [IntensityBin; BINS],
}

/// What the first head says of the blocks of about one intensity.
#[derive(Clone, Copy)]
pub(in crate::analysis) struct IntensityBin {
    /// Share of the weight.
    pub share: f64,
    /// Noise energy by weight: its mean times the share.
    pub energy: f64,
    /// Valid blocks.
    pub blocks: f64,
}

/// Number of features of an image of so many channels.
pub(super) fn count(channels: usize) -> usize {
    let items = Items { planes: channels };
    let of_heads = HEADS * (items.len() - 1);
    let of_bins = (2 * FEW_HEADS + 1) * BINS;
    let of_low_detail = low_detail::FEATURES;
    let of_copies = (LEVELS - 1) * (FEW_HEADS * POOLED_BANDS * channels + 2);
    of_heads + of_bins + of_copies + OTHERS + of_low_detail
}

/// A picture whose blocks can be measured, wherever its pixels are.
pub(in crate::analysis) trait Measure {
    /// Height, width, channels.
    fn dim(&self) -> (usize, usize, usize);

    /// Measures all blocks of a picture at least as large as one.
    fn measure(&self, low: f32, high: f32, host: &dyn Host) -> Result<Blocks>;

    /// Means of squares of 2 x 2 pixels.
    fn halved(&self) -> Result<Box<dyn Measure>>;
}

impl Measure for Picture<'_> {
    fn dim(&self) -> (usize, usize, usize) {
        self.dim()
    }

    fn measure(&self, low: f32, high: f32, host: &dyn Host) -> Result<Blocks> {
        measure_blocks(self, low, high, host)
    }

    fn halved(&self) -> Result<Box<dyn Measure>> {
        Ok(Box::new(self.halved()))
    }
}

/// Looks at all blocks; `None` when none of them can be used.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub(in crate::analysis) fn extract_features(
    picture: &dyn Measure,
    unit: f32,
    (darkest, brightest): (f32, f32),
    quantum: f64,
    model: &NoiseModel,
    host: &dyn Host,
) -> Result<Option<BlockFeatures>> {
    let (height, width, channels) = picture.dim();
    if height.min(width) < SIDE {
        return Ok(None);
    }
    let (low, high) = (darkest * unit, brightest * unit);
    let step = quantum * f64::from(unit);
    let blocks = picture.measure(low, high, host)?;
    let valid: usize = count_valid(&blocks);
    if valid == 0 {
        return Ok(None);
    }
    let base = base_of(&blocks, step);
    let network = &model.blocks;
    let weighing = Weighing { blocks: &blocks, base, low, high, network, heads: HEADS };
    let (sums, weights) = sum_up(&weighing, host)?;
    let mut features = Vec::with_capacity(model.level.inputs());
    let items = Items { planes: channels };
    let total: [f64; HEADS] = sums.heads[items.weight()].map(|sum| sum + 1e-9);
    let share = |item: usize, head: usize| sums.heads[item][head] / total[head];
    pool(&mut features, &sums, &total, HEADS, channels, base, true);
    for head in 0..HEADS {
        let square = sums.heads[items.squared_weight()][head] / (total[head] * total[head]);
        features.push(square.max(1.0 / MANY as f64).ln() / 10.0);
    }
    features.extend((0..HEADS).map(|head| share(items.mean(), head) / 255.0));
    features.extend((0..HEADS).map(|head| share(items.clipped(), head)));
    features.extend((0..HEADS).map(|head| (total[head] / valid as f64 + 1e-6).ln()));
    for head in 0..HEADS {
        let square = share(items.square(), head);
        features.push(beyond_normal(share(items.fourth(), head) / (square * square + 1e-9)));
    }
    by_intensity(&mut features, &sums, &total, base);
    coarse(&mut features, picture, step, &weighing, host)?;
    let clipped: f64 = blocks
        .strips
        .iter()
        .map(|strip| sum_of_true(strip, &blocks, blocks.layout.clipped()))
        .sum();
    features.extend([
        base.ln() / 2.0,
        (base / (step * step + 1e-3)).ln().min(12.0) / 2.0,
        (valid.min(MANY) as f64 + 1.0).ln() / 10.0,
        1.0 - valid as f64 / blocks.len() as f64,
        clipped / blocks.len() as f64,
        f64::from(low) / 255.0,
    ]);
    let low_detail = low_detail(&blocks, base);
    features.extend(low_detail.as_flattened());
    let bins = sums.bins.map(|sums| IntensityBin {
        share: sums[bin::WEIGHT] / total[0],
        energy: sums[bin::ENERGY] / total[0],
        blocks: sums[bin::BLOCKS],
    });
    Ok(Some(BlockFeatures {
        values: features,
        reference_variance: reference_variance(&low_detail, base),
        unit: f64::from(unit),
        blocks,
        weights,
        total: total[0],
        bins,
    }))
}

/// Features of smaller copies of the picture.
fn coarse(
    features: &mut Vec<f64>,
    picture: &dyn Measure,
    step: f64,
    full: &Weighing,
    host: &dyn Host,
) -> Result<()> {
    let channels = picture.dim().2;
    let mut smaller: Option<Box<dyn Measure>> = None;
    let mut fraction = step;
    for _ in 1..LEVELS {
        let larger = smaller.as_deref().unwrap_or(picture);
        let (height, width, _) = larger.dim();
        if height.min(width) < 2 * SIDE {
            features.extend(std::iter::repeat_n(0.0, FEW_HEADS * POOLED_BANDS * channels + 2));
            continue;
        }
        let half = larger.halved()?;
        fraction /= 2.0;
        let blocks = half.measure(full.low, full.high, host)?;
        let base = base_of(&blocks, fraction);
        let weighing = Weighing { blocks: &blocks, base, heads: FEW_HEADS, ..*full };
        let (sums, _) = sum_up(&weighing, host)?;
        let items = Items { planes: channels };
        let total = sums.heads[items.weight()].map(|sum| sum + 1e-9);
        pool(features, &sums, &total, FEW_HEADS, channels, full.base, false);
        features.extend([(base / full.base).ln(), 1.0]);
        smaller = Some(half);
    }
    Ok(())
}

fn count_valid(blocks: &Blocks) -> usize {
    let field = blocks.layout.valid();
    let valid = |strip: &Strip| strip.field(field).iter().filter(|&&valid| valid > 0.0).count();
    blocks.strips.iter().map(valid).sum()
}

/// The sum of a field over the blocks that are there, whether valid or not.
fn sum_of_true(strip: &Strip, blocks: &Blocks, field: usize) -> f64 {
    let across = blocks.vectors_in_row() * LANES;
    let rows = strip.field(field).chunks_exact(across);
    rows.flat_map(|row| &row[..blocks.lattice.1]).map(|&value| f64::from(value)).sum()
}

/// Rough variance: what a tenth of the blocks that are not mostly clipped are below.
fn base_of(blocks: &Blocks, step: f64) -> f64 {
    let layout = blocks.layout;
    let collect = |plane: Option<usize>, most_clipped: f32| {
        let mut values = Vec::with_capacity(blocks.len());
        for strip in &blocks.strips {
            let (clipped, valid) = (strip.field(layout.clipped()), strip.field(layout.valid()));
            for vector in 0..strip.vectors {
                let energy: <Plain as Simd>::F32x8 = match plane {
                    None => noise_energy(strip, layout, vector),
                    Some(plane) => fine(strip, layout, plane, vector),
                };
                for (lane, energy) in energy.to_array().into_iter().enumerate() {
                    let at = vector * LANES + lane;
                    if valid[at] > 0.0 && clipped[at] <= most_clipped {
                        values.push(energy);
                    }
                }
            }
        }
        values
    };
    let mut most = 0.5;
    let mut values = collect(None, most);
    if values.is_empty() {
        most = f32::INFINITY;
        values = collect(None, most);
    }
    let mut value = f64::from(tenth(&mut values));
    if layout.planes == COLOURS {
        value = value.max(0.01 * f64::from(tenth(&mut collect(Some(0), most))));
    }
    // a hundredth of a level is below what rounding to float32 leaves
    value + (0.05 * step).max(0.01).powi(2)
}

/// The value that a tenth of all are below; 0 of none.
fn tenth(values: &mut [f32]) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let rank = (values.len() - 1) / 10;
    *values.select_nth_unstable_by(rank, f32::total_cmp).1
}

/// Logarithms of weighted mean energies; products of planes, squashed.
fn pool(
    features: &mut Vec<f64>,
    sums: &Sums,
    total: &[f64; HEADS],
    heads: usize,
    planes: usize,
    base: f64,
    cross: bool,
) {
    let items = Items { planes };
    for head in 0..heads {
        for item in 0..planes * POOLED_BANDS {
            features.push((sums.heads[item][head] / total[head] / base + 1e-4).ln());
        }
    }
    if cross && planes == COLOURS {
        for head in 0..heads {
            for pair in 0..3 {
                let product = sums.heads[items.cross(pair)][head] / total[head] / base;
                features.push(product / (1.0 + product.abs()));
            }
        }
    }
}

/// Noise, and how much evidence there is of it, by intensity; shape of its distribution.
fn by_intensity(features: &mut Vec<f64>, sums: &Sums, total: &[f64; HEADS], base: f64) {
    let places = [(bin::WEIGHT, bin::ENERGY), (bin::SECOND_WEIGHT, bin::SECOND_ENERGY)];
    for (head, (weight, energy)) in places.into_iter().enumerate() {
        let overall = sums.energy[head] / total[head] / base;
        for sums in &sums.bins {
            let (part, level) = (sums[weight] / total[head], sums[energy] / total[head] / base);
            features.push(((level + 1e-3 * overall) / (part + 1e-3) + 1e-4).ln());
        }
        features.extend(sums.bins.iter().map(|sums| sums[weight] / total[head]));
    }
    for sums in &sums.bins {
        let [part, square, fourth] =
            [bin::WEIGHT, bin::SQUARE, bin::FOURTH].map(|place| sums[place] / total[0]);
        // as good as normal where there is nothing to go by
        let kurtosis =
            (fourth * part + 3e-6 * base * base) / (square * square + 1e-6 * base * base);
        features.push(beyond_normal(kurtosis));
    }
}

/// How far from the kurtosis of normal noise, squashed: small differences there are what matters.
fn beyond_normal(kurtosis: f64) -> f64 {
    let excess = kurtosis - 3.0;
    excess / (excess.abs() + 0.25)
}
