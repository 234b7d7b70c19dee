//! Octave bands of a window of the image: signal, weights and power spectrum.

use std::borrow::Cow;
use std::f64::consts::{PI, TAU};
use std::sync::{Arc, OnceLock};

use ndarray::{s, ArrayView2, ArrayView3};
use realfft::num_complex::Complex;
use realfft::num_traits::Zero;
use realfft::{RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};

use super::super::masks;
use super::candidates::{add_waves, component, turns, Candidate, Component};
use super::plane::{halved, high_passed, pooled, Plane};
use super::vectors::{average, weigh};
use super::weights::{block_edges, block_weights, Weight, FLOOR};

/// Columns that are transformed together, so that rows are read in whole cache lines.
const TOGETHER: usize = 16;

/// A piece of the image: its brightness, and which pixels are excluded or saturated, if any.
pub(super) struct Window {
    pub(super) offset: [usize; 2],
    pub(super) brightness: Plane,
    pub(super) included: Option<Plane>,
    pub(super) saturated: Option<Plane>,
}

/// One octave of one window.
pub(super) struct Band {
    pub(super) level: usize,
    pub(super) offset: [usize; 2],
    pub(super) signal: Plane,
    pub(super) weight: Weight,
    pub(super) power: Plane,
    pub(super) tile_weights: OnceLock<Vec<f64>>,
}

/// The Fourier transforms of one level.
pub(super) struct Transforms {
    pub(super) rows: Arc<dyn RealToComplex<f32>>,
    pub(super) columns: Arc<dyn Fft<f32>>,
}

pub(super) fn transforms(shape: [usize; 2], levels: usize) -> Vec<Transforms> {
    let (mut real, mut complex) = (RealFftPlanner::new(), FftPlanner::new());
    (0..levels)
        .map(|level| Transforms {
            rows: real.plan_fft_forward(shape[1] >> level),
            columns: complex.plan_fft_forward(shape[0] >> level),
        })
        .collect()
}

pub(super) fn cut(
    pixels: ArrayView3<f32>,
    included: ArrayView2<bool>,
    offset: [usize; 2],
    shape: [usize; 2],
) -> Window {
    let range = s![offset[0]..offset[0] + shape[0], offset[1]..offset[1] + shape[1]];
    let counts = included.slice(range);
    let channels = pixels.dim().2;
    let mut brightness = Plane::new(shape[0], shape[1]);
    let mut saturated: Option<Plane> = None;
    let mut ends = vec![0.0_f32; shape[1]];
    let mut copy = Vec::new();
    for y in 0..shape[0] {
        let row = pixels.slice(s![offset[0] + y, offset[1]..offset[1] + shape[1], ..]);
        let values = row.as_slice().unwrap_or_else(|| {
            copy = row.iter().copied().collect::<Vec<f32>>();
            &copy
        });
        average(values, channels, brightness.row_mut(y), &mut ends);
        for (end, &counts) in ends.iter_mut().zip(counts.row(y)) {
            *end = if counts { *end } else { 0.0 };
        }
        if ends.iter().any(|&end| end > 0.0) {
            let saturated = saturated.get_or_insert_with(|| Plane::new(shape[0], shape[1]));
            saturated.row_mut(y).copy_from_slice(&ends);
        }
    }
    if masks::all(counts.view()) {
        return Window { offset, brightness, included: None, saturated };
    }
    let (mut total, mut number) = (0.0, 0.0);
    let mut share = Plane::new(shape[0], shape[1]);
    for ((&counts, share), &value) in counts.iter().zip(&mut share.data).zip(&brightness.data) {
        if counts {
            *share = 1.0;
            total += f64::from(value);
            number += 1.0;
        }
    }
    let fill = if number > 0.0 { (total / number) as f32 } else { 0.0 };
    for (value, &share) in brightness.data.iter_mut().zip(&share.data) {
        if share <= 0.0 {
            *value = fill;
        }
    }
    Window { offset, brightness, included: Some(share), saturated }
}

impl Window {
    /// The octaves of what is left of the window without the known components.
    pub(super) fn bands(&self, known: &[Candidate], transforms: &[Transforms]) -> Vec<Band> {
        let rest = (!known.is_empty()).then(|| self.without(known));
        let base = rest.as_ref().unwrap_or(&self.brightness);
        let mut coarse: [Option<Plane>; 3] = [None, None, None];
        let mut bands = Vec::with_capacity(transforms.len());
        for (level, transforms) in transforms.iter().enumerate() {
            if level > 0 {
                let halve = |mask: &Option<Plane>, half: &Option<Plane>| {
                    half.as_ref().or(mask.as_ref()).map(pooled)
                };
                coarse = [
                    Some(halved(coarse[0].as_ref().unwrap_or(base))),
                    halve(&self.included, &coarse[1]),
                    halve(&self.saturated, &coarse[2]),
                ];
            }
            let image = coarse[0].as_ref().unwrap_or(base);
            let included = coarse[1].as_ref().or(self.included.as_ref());
            let saturated = coarse[2].as_ref().or(self.saturated.as_ref());
            bands.push(band(level, self.offset, image, (included, saturated), transforms));
        }
        bands
    }

    fn without(&self, known: &[Candidate]) -> Plane {
        let mut image = self.brightness.clone();
        let components: Vec<Component> = known.iter().map(component).collect();
        let tables: Vec<Vec<[f32; 2]>> = components
            .iter()
            .map(|each| turns(each.frequency_x, self.offset[1], image.columns))
            .collect();
        let mut wave = vec![0.0; image.columns];
        for y in 0..image.rows {
            wave.fill(0.0);
            add_waves(&mut wave, &components, &tables, self.offset[0] + y);
            image.row_mut(y).iter_mut().zip(&wave).for_each(|(value, wave)| *value -= wave);
        }
        image
    }
}

/// What the filters leave of an amplitude.
pub(super) fn gain(frequency: [f64; 2], level: usize) -> f64 {
    let cosine = |step: usize| {
        let scale = PI * (1_usize << step) as f64;
        (scale * frequency[0]).cos() * (scale * frequency[1]).cos()
    };
    let low: f64 = (0..level).map(cosine).product();
    low.powi(5) * (1.0 - cosine(level).powi(4))
}

fn band(
    level: usize,
    offset: [usize; 2],
    image: &Plane,
    (included, saturated): (Option<&Plane>, Option<&Plane>),
    transforms: &Transforms,
) -> Band {
    let (rows, columns) = (image.rows, image.columns);
    let mut signal = high_passed(image);
    if let Some(included) = included {
        signal.data.iter_mut().zip(&included.data).for_each(|(value, share)| *value *= share);
    }
    let edges = [block_edges(rows), block_edges(columns)];
    let weights = block_weights(&signal, included, saturated, &edges);

    let weight = Weight::new(&weights, &edges, included.cloned());
    let (hann_y, hann_x) = (hann(rows), hann(columns));
    let mut power = Plane::new(rows, columns / 2 + 1);
    let mut spectrum = vec![Complex::zero(); rows * power.columns];
    let mut line = vec![0.0_f32; columns];
    let mut windowed = vec![0.0_f32; columns];
    let mut scratch = transforms.rows.make_scratch_vec();
    let mut expected = 0.0;
    for y in 0..rows {
        weight.row(y, &mut line);
        weigh(signal.row_mut(y), &line, &hann_x, hann_y[y], &mut windowed, &mut expected);
        let out = &mut spectrum[y * power.columns..][..power.columns];
        // the buffers have the plan's own lengths, which is all that could be wrong with them
        let _ = transforms.rows.process_with_scratch(&mut windowed, out, &mut scratch);
    }
    let scale = (1.0 / (expected * FLOOR + 1e-30)) as f32;
    transform_columns(&mut power, &spectrum, transforms.columns.as_ref(), scale);
    Band { level, offset, signal, weight, power, tile_weights: OnceLock::new() }
}

/// The second half of the transform, of which only the power is kept.
fn transform_columns(
    power: &mut Plane,
    spectrum: &[Complex<f32>],
    transform: &dyn Fft<f32>,
    scale: f32,
) {
    let (rows, columns) = (power.rows, power.columns);
    let mut bundle = vec![Complex::zero(); TOGETHER * rows];
    let mut scratch = vec![Complex::zero(); transform.get_inplace_scratch_len()];
    for first in (0..columns).step_by(TOGETHER) {
        let count = TOGETHER.min(columns - first);
        for y in 0..rows {
            let row = &spectrum[y * columns + first..][..count];
            for (k, &value) in row.iter().enumerate() {
                bundle[k * rows + y] = value;
            }
        }
        transform.process_with_scratch(&mut bundle[..count * rows], &mut scratch);
        for y in 0..rows {
            let row = &mut power.row_mut(y)[first..first + count];
            for (k, value) in row.iter_mut().enumerate() {
                *value = bundle[k * rows + y].norm_sqr() * scale;
            }
        }
    }
}

fn hann(side: usize) -> Vec<f32> {
    let value = |i: usize| 0.5 - 0.5 * (TAU * (i as f64 + 0.5) / side as f64).cos();
    (0..side).map(|i| value(i) as f32).collect()
}

pub(super) fn summed<'a>(bands: &[&'a Band]) -> Cow<'a, Plane> {
    let mut power = Cow::Borrowed(&bands[0].power);
    for band in &bands[1..] {
        let sums = &mut power.to_mut().data;
        sums.iter_mut().zip(&band.power.data).for_each(|(sum, value)| *sum += value);
    }
    power
}
