//! Candidates for interference, and the sinusoids that they stand for.

use std::f64::consts::TAU;

use realfft::num_complex::Complex;

pub(super) const MEASURES: usize = 11;
pub(super) const NOTHING: [f64; MEASURES] =
    [0.0, 3.0, 0.0, 0.0, -6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
pub(super) const NO_SCORE: f64 = -20.0;
pub(super) type C64 = Complex<f64>;

/// One sinusoid, amplitude * cos(2 pi (`frequency_y` y + `frequency_x` x) + phase).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Component {
    /// Cycles per pixel downwards; not negative.
    pub frequency_y: f64,
    /// Cycles per pixel to the right.
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
    pub(super) phasor: C64,
    pub(super) harmonics: f64,
    pub(super) measures: [f64; MEASURES],
    pub(super) score: f64,
}

pub(super) fn component(candidate: &Candidate) -> Component {
    let [mut frequency_y, mut frequency_x] = candidate.frequency;
    let mut phase = candidate.phasor.arg();
    if frequency_y < 0.0 || (frequency_y == 0.0 && frequency_x < 0.0) {
        (frequency_y, frequency_x, phase) = (-frequency_y, -frequency_x, -phase);
    }
    let strength = 1.0 / (1.0 + (-candidate.score).exp());
    Component { frequency_y, frequency_x, amplitude: candidate.phasor.norm(), phase, strength }
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
