//! What the networks' outputs mean.

use super::block_features::BlockFeatures;
use super::learnt::NoiseModel;
use super::level_map::NOTHING;
use super::sums::BINS;

/// Kinds of noise, in the order of `NOISE_KINDS` in Python.
pub const KINDS: usize = 9;
/// The first of them.
const CLEAN: usize = 0;
/// Squares over which the noise is averaged, by their sides.
pub const SCALES: [usize; 4] = [1, 2, 4, 8];
/// A level of zero can be reached: it is so much less than the exponential of the output.
const FLOOR: f64 = 0.1;

/// The level of the noise that is in every pixel, on the [0, 1] scale.
#[derive(Clone, Debug, PartialEq)]
pub struct FineNoise {
    /// Standard deviation.
    pub sigma: f64,
    /// Lower end of its central 90 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Of each channel.
    pub by_channel: Vec<f64>,
}

impl FineNoise {
    /// What can be said when no block had anything to say.
    pub fn unknown(channels: usize, high: f64) -> Self {
        Self { sigma: 0.0, low: 0.0, high, by_channel: vec![0.0; channels] }
    }
}

/// The fine noise, and how it looks from further away.
pub(in crate::analysis) struct Level {
    pub fine: FineNoise,
    /// Probability that it is correlated from pixel to pixel.
    pub coloured: f64,
    /// Standard deviation of its means over squares of 1, 2, 4, 8 pixels.
    pub scale_sigma: [f64; SCALES.len()],
}

/// Outputs of the network of the level for grey images, and in colour: see [`conclude_level`].
pub(super) const LEVEL_OUTPUTS: usize = 4 + SCALES.len();
pub(super) const LEVEL_OUTPUTS_COLOUR: usize = LEVEL_OUTPUTS + 3;
/// Outputs of the network of the kinds: see [`conclude_kinds`].
pub(super) const KIND_OUTPUTS: usize = 13;

/// Concludes the level from the features; also returns all that the network was given.
pub(in crate::analysis) fn conclude_level(
    blocks: &BlockFeatures,
    repaired: f64,
    model: &NoiseModel,
) -> (Level, Vec<f64>) {
    let mut features = blocks.values.clone();
    features.push(repaired);
    let outputs = model.level.answer(&features);
    let [log_sigma, below, above, coloured, ref others @ ..] = outputs[..] else {
        unreachable!("the model has been checked")
    };
    let (log_scales, log_channels) = others.split_at(SCALES.len());
    let scale = blocks.reference_variance.sqrt() / blocks.unit;
    let middle = log_sigma.clamp(-6.0, 4.0);
    let of = |x: f64| (scale * (x.exp() - FLOOR)).max(0.0);
    let mut sigma = of(middle);
    let (mut low, mut high) =
        (of(middle - softplus(below - 2.0)), of(middle + softplus(above - 2.0)));
    let coloured = sigmoid(coloured);
    let mut scale_sigma = SCALES.map(|side| sigma / side as f64);
    if coloured >= 0.5 {
        for (out, &x) in scale_sigma.iter_mut().zip(log_scales) {
            *out = scale * x.clamp(-8.0, 6.0).exp();
        }
        let factor = if sigma > 0.0 { scale_sigma[0] / sigma } else { 1.0 };
        (sigma, low, high) = (scale_sigma[0], low * factor, (high * factor).max(scale_sigma[0]));
    }
    let by_channel = if model.channels == 1 {
        vec![sigma]
    } else {
        let each: Vec<f64> = log_channels.iter().map(|x| x.clamp(-8.0, 6.0).exp()).collect();
        let mean = each.iter().map(|x| x * x).sum::<f64>() / each.len() as f64;
        each.iter().map(|x| x * sigma / mean.sqrt()).collect()
    };
    let fine = FineNoise { sigma, low, high, by_channel };
    (Level { fine, coloured, scale_sigma }, features)
}

/// The kinds' probabilities, and the parameters that depend on them.
pub(in crate::analysis) struct Kinds {
    /// Of each kind: that it is present; of the first, that none is.
    pub probabilities: [f64; KINDS],
    /// Variance per unit of intensity, as if the noise were Poisson's.
    pub gain: f64,
    /// Standard deviation per unit of intensity, as if it were speckle.
    pub speckle: f64,
}

/// Concludes the kinds from everything that has been measured.
pub(in crate::analysis) fn conclude_kinds(
    measured: &[f64],
    blocks: &BlockFeatures,
    model: &NoiseModel,
) -> Kinds {
    let outputs = model.kinds.answer(measured);
    let (of_fine, rest) = outputs.split_first_chunk().expect("the model has been checked");
    let (of_impulses, rest) = rest.split_first_chunk().expect("the model has been checked");
    let &[periodic, compression, log_gain, log_speckle] = rest else {
        unreachable!("the model has been checked")
    };
    let [no_fine, gaussian, poisson, speckle, uniform, poisson_gaussian] = softmax(of_fine);
    let [no_impulses, salt_pepper, impulse] = softmax(of_impulses);
    let (periodic, compression) = (sigmoid(periodic), sigmoid(compression));
    let clean = no_fine * no_impulses * (1.0 - periodic) * (1.0 - compression);
    let probabilities = [
        clean,
        gaussian + poisson_gaussian, // of the two together, both are present
        poisson + poisson_gaussian,
        speckle,
        uniform,
        salt_pepper,
        impulse,
        periodic,
        compression,
    ];
    let scale = blocks.reference_variance.sqrt() / blocks.unit;
    let gain = log_gain.clamp(-12.0, 12.0).exp() * scale * scale * 2.0;
    let speckle = log_speckle.clamp(-12.0, 12.0).exp() * scale * 2.0;
    Kinds { probabilities, gain, speckle }
}

/// Where nothing can be measured, every kind may be.
pub(in crate::analysis) fn uninformed() -> [f64; KINDS] {
    let mut out = [0.5 / (KINDS - 1) as f64; KINDS];
    out[CLEAN] = 0.5;
    out
}

/// A constant image has no noise.
pub(in crate::analysis) fn surely_clean() -> [f64; KINDS] {
    let mut out = [0.0; KINDS];
    out[CLEAN] = 1.0;
    out
}

/// Intensity, variance of the noise there, share of the evidence: of each bin. The variance is such
/// that its mean over the image is the square of `sigma`.
pub(in crate::analysis) fn level_function(blocks: &BlockFeatures, sigma: f64) -> Vec<[f64; 3]> {
    let known: Vec<usize> = (0..BINS).filter(|&bin| blocks.bins[bin].share > 1e-3).collect();
    let mut variance = [0.0; BINS];
    for (bin, out) in variance.iter_mut().enumerate() {
        let of = |bin: usize| blocks.bins[bin].energy / blocks.bins[bin].share;
        let below = known.iter().rev().find(|&&other| other <= bin);
        let above = known.iter().find(|&&other| other >= bin);
        *out = match (below, above) {
            (Some(&a), Some(&b)) if a < b => {
                let part = (bin - a) as f64 / (b - a) as f64;
                of(a) * (1.0 - part) + of(b) * part
            }
            (Some(&a), _) | (None, Some(&a)) => of(a),
            (None, None) => 1.0,
        };
    }
    let count: f64 = blocks.bins.iter().map(|bin| bin.blocks).sum();
    let mean: f64 =
        blocks.bins.iter().zip(variance).map(|(bin, variance)| bin.blocks * variance).sum::<f64>()
            / count.max(1e-9);
    (0..BINS)
        .map(|bin| {
            let intensity = (bin as f64 + 0.5) / BINS as f64 * 255.0 / blocks.unit;
            [
                intensity,
                sigma * sigma * (variance[bin] + NOTHING) / (mean + NOTHING),
                blocks.bins[bin].share,
            ]
        })
        .collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn softmax<const N: usize>(x: &[f64; N]) -> [f64; N] {
    let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let each = x.map(|x| (x - most).exp());
    let sum: f64 = each.iter().sum();
    each.map(|x| x / sum)
}
