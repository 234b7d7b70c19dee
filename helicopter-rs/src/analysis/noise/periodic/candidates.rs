//! Candidates for interference, and the sinusoids that they stand for.

use std::f64::consts::{PI, TAU};

use realfft::num_complex::Complex;

pub(super) const MEASURES: usize = 11;
pub(super) const NOTHING: [f64; MEASURES] =
    [0.0, 3.0, 0.0, 0.0, -6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
pub(super) const NO_SCORE: f64 = -20.0;
/// Steps to a factor of two in which ratios and amplitudes are told apart. Where patterns are
/// regular, many are equal but for rounding, which must not choose among them.
const STEPS_PER_OCTAVE: f64 = 64.0;
/// Frequencies closer to 0 or 1/2 are just that: rounding must not choose a sign for them.
const ON_AXIS: f64 = 1e-7;
pub(super) type C64 = Complex<f64>;

/// One sinusoid, amplitude * cos(2 pi (`frequency_y` y + `frequency_x` x) + phase).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Component {
    /// Cycles per pixel downwards, from 0 to 1/2.
    pub frequency_y: f64,
    /// Cycles per pixel to the right, above -1/2 and at most 1/2.
    pub frequency_x: f64,
    /// On the [0, 1] scale.
    pub amplitude: f64,
    /// In radians, at pixel (0, 0).
    pub phase: f64,
    /// The probability that it is interference.
    pub strength: f64,
}

/// A peak of the spectrum, and what is known of it.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) level: usize,
    pub(super) frequency: [f64; 2],
    pub(super) ratio: f64,
    pub(super) concentration: f64,
    /// Level, row and column of the peak in the spectrum.
    pub(super) place: [usize; 3],
    pub(super) phasor: C64,
    pub(super) harmonics: f64,
    pub(super) measures: [f64; MEASURES],
    pub(super) score: f64,
}

/// Key that sorts by a value, the highest first, and by place what is equal but for rounding.
pub(super) fn descending(value: f64, candidate: &Candidate) -> (i64, [usize; 3]) {
    let steps = (STEPS_PER_OCTAVE * (value + 1e-30).log2() + 0.5).floor();
    (-(steps as i64), candidate.place)
}

/// The sinusoid of a candidate; of all pairs of frequencies that say the same, one is chosen.
pub(super) fn component(candidate: &Candidate) -> Component {
    let [mut frequency_y, mut frequency_x] = candidate.frequency.map(within_half);
    let mut phase = candidate.phasor.arg();
    // a wave and its mirror are one, and so are 1/2 and -1/2
    #[expect(clippy::float_cmp, reason = "what is within rounding of 1/2 was made 1/2")]
    let mirrors_itself = frequency_y == 0.0 || frequency_y == 0.5;
    if frequency_y < 0.0 || (mirrors_itself && frequency_x < 0.0) {
        (frequency_y, frequency_x) = (within_half(-frequency_y), within_half(-frequency_x));
        phase = -phase;
    }
    if phase < ON_AXIS - PI {
        phase += TAU;
    }
    let strength = 1.0 / (1.0 + (-candidate.score).exp());
    Component { frequency_y, frequency_x, amplitude: candidate.phasor.norm(), phase, strength }
}

/// The same at whole pixels, above -1/2 and at most 1/2.
fn within_half(mut frequency: f64) -> f64 {
    let nearest = (2.0 * frequency + 0.5).floor() / 2.0;
    if (frequency - nearest).abs() < ON_AXIS {
        frequency = nearest;
    }
    frequency - (frequency - 0.5).ceil()
}

/// Distance of two frequencies in bins of the window.
pub(super) fn bins(one: [f64; 2], other: [f64; 2], shape: [usize; 2]) -> f64 {
    let apart = |sign: f64| {
        let y = (one[0] - sign * other[0]).abs() * shape[0] as f64;
        y.max((one[1] - sign * other[1]).abs() * shape[1] as f64)
    };
    apart(1.0).min(apart(-1.0))
}

/// cos and sin of 2 pi f x.
pub(super) fn turns(frequency: f64, start: usize, count: usize) -> Vec<[f32; 2]> {
    (start..start + count)
        .map(|x| {
            let (sin, cos) = (TAU * frequency * x as f64).sin_cos();
            [cos as f32, sin as f32]
        })
        .collect()
}

pub(super) fn add_waves(
    wave: &mut [f32],
    components: &[Component],
    tables: &[Vec<[f32; 2]>],
    y: usize,
) {
    for (each, table) in components.iter().zip(tables) {
        let (sin, cos) = (TAU * each.frequency_y * y as f64 + each.phase).sin_cos();
        let (re, im) = ((each.amplitude * cos) as f32, (each.amplitude * sin) as f32);
        for (value, turn) in wave.iter_mut().zip(table) {
            *value += re * turn[0] - im * turn[1];
        }
    }
}
