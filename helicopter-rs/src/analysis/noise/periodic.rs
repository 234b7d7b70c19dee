//! Periodic interference: sinusoids that run unchanged over the whole image.
//!
//! The twin of `helicopter/backends/reference/noise/periodic.py`, which says why each step is taken.

use std::f64::consts::{PI, TAU};
use std::sync::{Arc, OnceLock};

use ndarray::{s, Array2, Array3, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;
use realfft::num_complex::Complex;
use realfft::num_traits::Zero;
use realfft::{RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};

use crate::error::{Error, Result};
use crate::host::Host;

/// How many numbers [`Periodic::features`] has; the reference names them.
pub const FEATURES: usize = 16;
/// Side of [`Periodic::spectrum`].
pub const SPECTRUM_SIDE: usize = 128;

const MEASURES: usize = 11;
const WEIGHTS: [f64; MEASURES] =
    [0.278, -0.618, 6.129, 3.894, 1.845, 1.118, 2.443, -2.345, -1.294, -3.356, 0.797];
const INTERCEPT: f64 = -19.658;
const LARGEST_LOG_AMPLITUDE: f64 = 3.0;
const NOTHING: [f64; MEASURES] = [0.0, 3.0, 0.0, 0.0, -6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
const NO_SCORE: f64 = -20.0;
const WHOLE: usize = 400_000;
const LONGEST: usize = 768;
const LARGEST: usize = 512;
const MOST_WINDOWS: usize = 16;
const LEAST: usize = 16;
const LEAST_COARSE: usize = 16;
const BANDS: [(f64, f64); 3] = [(0.11, 0.75), (0.11, 0.25), (0.088, 0.25)];
const HALVING: [f32; 6] =
    [1.0 / 32.0, 5.0 / 32.0, 10.0 / 32.0, 10.0 / 32.0, 5.0 / 32.0, 1.0 / 32.0];
const SMOOTHING: [f32; 5] = [1.0 / 16.0, 4.0 / 16.0, 6.0 / 16.0, 4.0 / 16.0, 1.0 / 16.0];
const BLOCK: usize = 8;
const FLOOR: f64 = (0.3 / 255.0) * (0.3 / 255.0);
const SATURATION: f64 = 50.0;
const LEAST_RATIO: f64 = 8.0;
const MOST_CANDIDATES: usize = 5;
const SAME: f64 = 2.0;
const LEFTOVER: f64 = 2.5;
const LEAST_SHARE: f64 = 0.25;
const MIXTURES: [(f64, f64); 6] =
    [(1.0, 1.0), (1.0, -1.0), (2.0, 1.0), (2.0, -1.0), (1.0, 2.0), (1.0, -2.0)];
const PASSES: usize = 3;
const FIRST_REACH: f64 = 600.0;
/// Columns that are transformed together, so that rows are read in whole cache lines.
const TOGETHER: usize = 16;
/// Partial sums of a dot product, so that the compiler can use vectors.
const LANES: usize = 8;

type C64 = Complex<f64>;

/// Compiles a function for AVX2 too, and calls that where the processor has it. Products and sums are
/// not fused, so that the result is the same.
macro_rules! vectorised {
    ($(#[$doc:meta])* fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        fn $name($($argument: $kind),*) {
            #[inline(always)]
            fn plain($($argument: $kind),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $kind),*) {
                    plain($($argument),*);
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has AVX2.
                    return unsafe { avx2($($argument),*) };
                }
            }
            plain($($argument),*);
        }
    };
}

vectorised! {
    /// Mean of the channels of every pixel, and the share of them that is at an end of the range.
    fn average(values: &[f32], channels: usize, light: &mut [f32], ends: &mut [f32]) {
        let (low, high) = ((0.5 / 255.0) as f32, (254.5 / 255.0) as f32);
        let at_end = |value: f32| f32::from(u8::from(value <= low) | u8::from(value >= high));
        if channels == 1 {
            for ((&value, light), end) in values.iter().zip(light).zip(ends) {
                *light = value;
                *end = at_end(value);
            }
        } else {
            for ((rgb, light), end) in values.as_chunks::<3>().0.iter().zip(light).zip(ends) {
                *light = (rgb[0] + rgb[1] + rgb[2]) / 3.0;
                *end = (at_end(rgb[0]) + at_end(rgb[1]) + at_end(rgb[2])) / 3.0;
            }
        }
    }
}

vectorised! {
    /// The binomial mean of five rows.
    fn smooth_rows(rows: [&[f32]; 5], out: &mut [f32]) {
        let rows = rows.map(|row| &row[..out.len()]);
        for (x, value) in out.iter_mut().enumerate() {
            let mut sum = SMOOTHING[0] * rows[0][x];
            for k in 1..5 {
                sum += SMOOTHING[k] * rows[k][x];
            }
            *value = sum;
        }
    }
}

vectorised! {
    /// The low-passed row between six rows.
    fn halve_rows(rows: [&[f32]; 6], out: &mut [f32]) {
        let rows = rows.map(|row| &row[..out.len()]);
        for (x, value) in out.iter_mut().enumerate() {
            let mut sum = HALVING[0] * rows[0][x];
            for k in 1..6 {
                sum += HALVING[k] * rows[k][x];
            }
            *value = sum;
        }
    }
}

vectorised! {
    /// A row less the binomial mean of `line`, which has a margin of two on either side.
    fn less_smooth(row: &[f32], line: &[f32], out: &mut [f32]) {
        let count = out.len();
        let shifted: [&[f32]; 5] = std::array::from_fn(|k| &line[k..k + count]);
        let row = &row[..count];
        for (x, value) in out.iter_mut().enumerate() {
            let mut low = SMOOTHING[0] * shifted[0][x];
            for k in 1..5 {
                low += SMOOTHING[k] * shifted[k][x];
            }
            *value = row[x] - low;
        }
    }
}

vectorised! {
    /// Weights of a row between two rows of blocks.
    fn blend(upper: &[f32], lower: &[f32], share: f32, out: &mut [f32]) {
        for ((value, upper), lower) in out.iter_mut().zip(upper).zip(lower) {
            *value = upper * (1.0 - share) + lower * share;
        }
    }
}

vectorised! {
    /// Multiplies a row by its weights, and the product by the window; sums the weights of noise.
    fn weigh(
        signal: &mut [f32],
        weight: &[f32],
        hann: &[f32],
        factor: f32,
        windowed: &mut [f32],
        expected: &mut f64,
    ) {
        let count = signal.len();
        let (weight, hann, windowed) = (&weight[..count], &hann[..count], &mut windowed[..count]);
        for x in 0..count {
            signal[x] *= weight[x];
            windowed[x] = signal[x] * (factor * hann[x]);
        }
        let mut sums = [0.0_f32; LANES];
        let (weight, rest) = weight.as_chunks::<LANES>();
        let (hann, hann_rest) = hann.as_chunks::<LANES>();
        for (weight, hann) in weight.iter().zip(hann) {
            for lane in 0..LANES {
                let window = factor * hann[lane];
                sums[lane] += weight[lane] * window * window;
            }
        }
        let rest = rest.iter().zip(hann_rest).map(|(weight, hann)| {
            let window = factor * hann;
            weight * window * window
        });
        *expected += f64::from(rest.sum::<f32>());
        *expected += sums.iter().map(|&sum| f64::from(sum)).sum::<f64>();
    }
}

vectorised! {
    /// Sums of squares of the pieces of a row, added to those of the rows above.
    fn add_squares(row: &[f32], edges: &[usize], sums: &mut [f64]) {
        for (ends, sum) in edges.windows(2).zip(sums) {
            let (eights, rest) = row[ends[0]..ends[1]].as_chunks::<LANES>();
            let mut lanes = [0.0_f32; LANES];
            for eight in eights {
                for lane in 0..LANES {
                    lanes[lane] += eight[lane] * eight[lane];
                }
            }
            let all = lanes.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>();
            *sum += f64::from(all);
        }
    }
}

vectorised! {
    /// Moves a sum of rows on by one row.
    fn slide(sums: &mut [f64], come: &[f32], gone: &[f32]) {
        for ((sum, &come), &gone) in sums.iter_mut().zip(come).zip(gone) {
            *sum += f64::from(come) - f64::from(gone);
        }
    }
}

vectorised! {
    /// Sums of 2^`doublings` neighbours, each with those to its right.
    fn doubled(values: &mut [f64], doublings: usize) {
        for step in (0..doublings).map(|k| 1 << k) {
            // every value is read before it is written: those to the right come later
            for x in 0..values.len() - step {
                values[x] += values[x + step];
            }
        }
    }
}

/// Sums of squares around every bin, the inner one's left out, from the sums over rows.
fn rings(
    rows: &[Vec<f64>; 2],
    outer: usize,
    inner: usize,
    work: &mut [Vec<f64>; 2],
    out: &mut [f64],
) {
    let [large, small] = work;
    large.copy_from_slice(&rows[0]);
    doubled(large, if outer == 8 { 4 } else { 3 });
    small.copy_from_slice(&rows[1]);
    doubled(small, 2);
    let (begin, count) = (outer - inner, out.len());
    for (x, value) in out.iter_mut().enumerate() {
        let whole = large[x] + rows[0][x + 2 * outer];
        let x = x + begin;
        // 5 = 4 + 1 of a reach of 2, 7 = 4 + 3 of a reach of 3
        let rest = if inner == 2 {
            rows[1][x + 4]
        } else {
            rows[1][x + 4] + rows[1][x + 5] + rows[1][x + 6]
        };
        *value = whole - (small[x] + rest);
    }
    debug_assert_eq!(count + 2 * outer, rows[0].len());
}

vectorised! {
    /// Products of pieces of a row with the real and imaginary part of a kernel each.
    fn project(row: &[f32], hop: usize, re: &[f32], im: &[f32], sums: &mut [C64]) {
        let length = 2 * hop;
        for (tile, sum) in sums.iter_mut().enumerate() {
            let row = &row[tile * hop..][..length];
            let (re, im) = (&re[tile * length..][..length], &im[tile * length..][..length]);
            let (eights, rest) = row.as_chunks::<LANES>();
            let (re_eights, re_rest) = re.as_chunks::<LANES>();
            let (im_eights, im_rest) = im.as_chunks::<LANES>();
            let (mut real, mut imaginary) = ([0.0_f32; LANES], [0.0_f32; LANES]);
            for ((row, re), im) in eights.iter().zip(re_eights).zip(im_eights) {
                for lane in 0..LANES {
                    real[lane] += row[lane] * re[lane];
                    imaginary[lane] += row[lane] * im[lane];
                }
            }
            let mut total = C64::zero();
            for ((&row, re), im) in rest.iter().zip(re_rest).zip(im_rest) {
                total += C64::new(f64::from(row * re), f64::from(row * im));
            }
            for lane in 0..LANES {
                total += C64::new(f64::from(real[lane]), f64::from(imaginary[lane]));
            }
            *sum = total;
        }
    }
}

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

/// The periodic interference of an image.
#[derive(Clone, Debug)]
pub struct Periodic {
    /// Sinusoids, strongest first.
    pub components: Vec<Component>,
    /// What a classifier needs to know.
    pub features: [f64; FEATURES],
    /// Decimal logarithm of the whitened power, zero frequency in the middle.
    pub spectrum: Array2<f32>,
}

/// Rows of equal length.
#[derive(Clone)]
struct Plane {
    rows: usize,
    columns: usize,
    data: Vec<f32>,
}

impl Plane {
    fn new(rows: usize, columns: usize) -> Self {
        Self { rows, columns, data: vec![0.0; rows * columns] }
    }

    fn row(&self, y: usize) -> &[f32] {
        &self.data[y * self.columns..][..self.columns]
    }

    fn row_mut(&mut self, y: usize) -> &mut [f32] {
        &mut self.data[y * self.columns..][..self.columns]
    }
}

/// A piece of the image: its brightness, and which pixels are excluded or saturated, if any.
struct Window {
    offset: [usize; 2],
    brightness: Plane,
    included: Option<Plane>,
    saturated: Option<Plane>,
}

/// One octave of one window.
struct Band {
    level: usize,
    offset: [usize; 2],
    signal: Plane,
    weight: Weight,
    power: Plane,
    tile_weights: OnceLock<Vec<f64>>,
}

/// A peak of the spectrum, and what is known of it.
#[derive(Clone)]
struct Candidate {
    level: usize,
    frequency: [f64; 2],
    ratio: f64,
    concentration: f64,
    phasor: C64,
    harmonics: f64,
    measures: [f64; MEASURES],
    score: f64,
}

/// The Fourier transforms of one level.
struct Transforms {
    rows: Arc<dyn RealToComplex<f32>>,
    columns: Arc<dyn Fft<f32>>,
}

/// Sinusoids that run over the whole image.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn find_periodic(
    pixels: ArrayView3<f32>,
    included: ArrayView2<bool>,
    host: &dyn Host,
) -> Result<Periodic> {
    let (height, width) = included.dim();
    let mut spectrum = Array2::zeros((SPECTRUM_SIDE, SPECTRUM_SIDE));
    if height.min(width) < LEAST || !included.iter().any(|&counts| counts) {
        return Ok(Periodic { components: Vec::new(), features: features(&[], 0), spectrum });
    }
    let (shape, offsets) = windows(height, width);
    let windows: Vec<Window> =
        offsets.par_iter().map(|&offset| cut(pixels, included, offset, shape)).collect();
    let mut levels = 1;
    while levels < BANDS.len() && shape[0].min(shape[1]) >> levels >= LEAST_COARSE {
        levels += 1;
    }
    let transforms = transforms(shape, levels);

    let mut accepted: Vec<Candidate> = Vec::new();
    let mut features = [0.0; FEATURES];
    for number in 0..PASSES {
        host.check()?;
        let bands: Vec<Vec<Band>> = windows
            .par_iter()
            .map(|window| {
                host.check()?;
                Ok(window.bands(&accepted, &transforms))
            })
            .collect::<Result<_>>()?;
        let of_level = |level: usize| bands.iter().map(|of| &of[level]).collect::<Vec<_>>();
        for old in &mut accepted {
            measure(old, &of_level(old.level), shape);
        }
        accepted.retain(|old| old.score > 0.0);
        let mut peaks: Vec<Candidate> = Vec::new();
        for level in 0..levels {
            let power = summed(&of_level(level));
            if number == 0 && level == 0 {
                spectrum = thumbnail(&power, shape);
            }
            let columns = bands[0][level].signal.columns;
            peaks.extend(find_peaks(&power, level, columns));
        }
        let mut found = unlike(peaks, &accepted, shape);
        let frequencies: Vec<[f64; 2]> = found.iter().map(|each| each.frequency).collect();
        for candidate in &mut found {
            let one = candidate.frequency;
            let related = frequencies.iter().filter(|&&other| related(one, other, shape)).count();
            candidate.harmonics = related.min(2) as f64;
            measure(candidate, &of_level(candidate.level), shape);
        }
        let new = strong(&found, &accepted, shape);
        let nothing_new = new.is_empty();
        accepted.extend(new);
        if number == 0 {
            features = self::features(&found, accepted.len());
        }
        if accepted.is_empty() || (number > 0 && nothing_new) {
            break;
        }
    }
    let mut components: Vec<Component> = accepted.iter().map(component).collect();
    components.sort_by(|a, b| b.amplitude.total_cmp(&a.amplitude));
    let total = components.iter().map(|each| each.amplitude.powi(2)).sum::<f64>().sqrt();
    features[MEASURES + 2] = components.len() as f64;
    features[MEASURES + 3] = (255.0 * total + 1e-3).ln();
    Ok(Periodic { components, features, spectrum })
}

/// The image less the sinusoids, in every channel alike; not cut to [0, 1].
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn remove(
    pixels: ArrayView3<f32>,
    components: &[Component],
    host: &dyn Host,
) -> Result<Array3<f32>> {
    let width = pixels.dim().1;
    let tables: Vec<Vec<[f32; 2]>> =
        components.iter().map(|each| turns(each.frequency_x, 0, width)).collect();
    let mut rest = pixels.to_owned();
    rest.axis_iter_mut(Axis(0)).into_par_iter().enumerate().try_for_each(|(y, mut row)| {
        if y % 64 == 0 {
            host.check()?;
        }
        let mut wave = vec![0.0; width];
        add_waves(&mut wave, components, &tables, y);
        for (mut pixel, wave) in row.rows_mut().into_iter().zip(&wave) {
            pixel.iter_mut().for_each(|value| *value -= wave);
        }
        Ok::<(), Error>(())
    })?;
    Ok(rest)
}

/// cos and sin of 2 pi f x.
fn turns(frequency: f64, start: usize, count: usize) -> Vec<[f32; 2]> {
    (start..start + count)
        .map(|x| {
            let (sin, cos) = (TAU * frequency * x as f64).sin_cos();
            [cos as f32, sin as f32]
        })
        .collect()
}

fn add_waves(wave: &mut [f32], components: &[Component], tables: &[Vec<[f32; 2]>], y: usize) {
    for (each, table) in components.iter().zip(tables) {
        let (sin, cos) = (TAU * each.frequency_y * y as f64 + each.phase).sin_cos();
        let (re, im) = ((each.amplitude * cos) as f32, (each.amplitude * sin) as f32);
        for (value, turn) in wave.iter_mut().zip(table) {
            *value += re * turn[0] - im * turn[1];
        }
    }
}

/// Shape and places of the windows that are searched.
fn windows(height: usize, width: usize) -> ([usize; 2], Vec<[usize; 2]>) {
    let longest = if height * width <= WHOLE { LONGEST } else { LARGEST };
    let shape = [handy(height.min(longest)), handy(width.min(longest))];
    let count = ((height * width + 500_000) / 1_000_000).clamp(1, MOST_WINDOWS);
    let rows = (count as f64 * height as f64 / width as f64).sqrt() + 0.5;
    let rows = (rows.floor() as usize).max(1).min(height.div_ceil(shape[0]));
    let columns = (count / rows).max(1).min(width.div_ceil(shape[1]));
    let places = |size: usize, side: usize, number: usize| -> Vec<usize> {
        if number == 1 {
            return vec![(size - side) / 2];
        }
        (0..number).map(|i| (size - side) * i / (number - 1)).collect()
    };
    let lefts = places(width, shape[1], columns);
    let tops = places(height, shape[0], rows);
    let offsets = tops.iter().flat_map(|&top| lefts.iter().map(move |&left| [top, left])).collect();
    (shape, offsets)
}

/// The largest multiple of 8 not above `side` (at least 16) that is quick to transform.
fn handy(side: usize) -> usize {
    let mut side = side - side % 8;
    loop {
        let mut rest = side;
        for prime in [2, 3, 5] {
            while usize::is_multiple_of(rest, prime) {
                rest /= prime;
            }
        }
        if rest == 1 {
            return side;
        }
        side -= 8;
    }
}

fn transforms(shape: [usize; 2], levels: usize) -> Vec<Transforms> {
    let (mut real, mut complex) = (RealFftPlanner::new(), FftPlanner::new());
    (0..levels)
        .map(|level| Transforms {
            rows: real.plan_fft_forward(shape[1] >> level),
            columns: complex.plan_fft_forward(shape[0] >> level),
        })
        .collect()
}

fn cut(
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
        if ends.iter().any(|&end| end > 0.0) {
            let saturated = saturated.get_or_insert_with(|| Plane::new(shape[0], shape[1]));
            saturated.row_mut(y).copy_from_slice(&ends);
        }
    }
    let full = |row: ndarray::ArrayView1<bool>| match row.as_slice() {
        Some(row) => row.iter().all(|&counts| counts),
        None => row.iter().all(|&counts| counts),
    };
    if counts.rows().into_iter().all(full) {
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
    fn bands(&self, known: &[Candidate], transforms: &[Transforms]) -> Vec<Band> {
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

/// The low-passed image at half the resolution.
fn halved(image: &Plane) -> Plane {
    let (rows, columns) = (image.rows / 2, image.columns / 2);
    let mut half = Plane::new(rows, columns);
    let mut line = vec![0.0; image.columns + 4];
    for y in 0..rows {
        let source = |k: usize| image.row((2 * y + k).saturating_sub(2).min(image.rows - 1));
        let taps: [&[f32]; 6] = std::array::from_fn(source);
        halve_rows(taps, &mut line[2..2 + image.columns]);
        pad(&mut line);
        for (value, taps) in half.row_mut(y).iter_mut().zip(line.windows(6).step_by(2)) {
            *value = (1..6).fold(HALVING[0] * taps[0], |sum, k| sum + HALVING[k] * taps[k]);
        }
    }
    half
}

/// Repeats the ends of a line into its two margins of two.
fn pad(line: &mut [f32]) {
    let last = line.len() - 3;
    let (left, right) = (line[2], line[last]);
    line[..2].fill(left);
    line[last + 1..].fill(right);
}

fn pooled(share: &Plane) -> Plane {
    let mut half = Plane::new(share.rows / 2, share.columns / 2);
    for y in 0..half.rows {
        let (top, bottom) = (share.row(2 * y), share.row(2 * y + 1));
        for (x, value) in half.row_mut(y).iter_mut().enumerate() {
            let sum = top[2 * x] + top[2 * x + 1] + bottom[2 * x] + bottom[2 * x + 1];
            *value = sum / 4.0;
        }
    }
    half
}

/// What the filters leave of an amplitude.
fn gain(frequency: [f64; 2], level: usize) -> f64 {
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

/// The weight of every pixel, kept as rows of blocks that are as long as the image is wide.
struct Weight {
    blocks: Plane,
    down: Vec<(usize, f32)>,
    included: Option<Plane>,
}

impl Weight {
    fn new(weights: &[f32], edges: &[Vec<usize>; 2], included: Option<Plane>) -> Self {
        let across = between(&edges[1]);
        let mut blocks = Plane::new(edges[0].len() - 1, across.len());
        for (y, weights) in weights.chunks_exact(edges[1].len() - 1).enumerate() {
            for (value, &(left, share)) in blocks.row_mut(y).iter_mut().zip(&across) {
                *value = weights[left] * (1.0 - share) + weights[left + 1] * share;
            }
        }
        Self { blocks, down: between(&edges[0]), included }
    }

    fn row(&self, y: usize, out: &mut [f32]) {
        let (top, share) = self.down[y];
        blend(self.blocks.row(top), self.blocks.row(top + 1), share, out);
        if let Some(included) = &self.included {
            out.iter_mut().zip(included.row(y)).for_each(|(value, share)| *value *= share);
        }
    }
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

/// The image less its binomial mean.
fn high_passed(image: &Plane) -> Plane {
    let mut high = Plane::new(image.rows, image.columns);
    let mut line = vec![0.0; image.columns + 4];
    for y in 0..image.rows {
        let source = |k: usize| image.row((y + k).saturating_sub(2).min(image.rows - 1));
        let taps: [&[f32]; 5] = std::array::from_fn(source);
        smooth_rows(taps, &mut line[2..2 + image.columns]);
        pad(&mut line);
        less_smooth(image.row(y), &line, high.row_mut(y));
    }
    high
}

fn block_edges(side: usize) -> Vec<usize> {
    let count = (side / BLOCK).max(2);
    (0..=count).map(|i| i * side / count).collect()
}

/// Inverse local power of every block, with less for blocks that are saturated or excluded.
fn block_weights(
    high: &Plane,
    included: Option<&Plane>,
    saturated: Option<&Plane>,
    edges: &[Vec<usize>; 2],
) -> Vec<f32> {
    let shape = [edges[0].len() - 1, edges[1].len() - 1];
    let mut energy = near(&block_means(high, edges, add_squares), shape);
    let mut weights = vec![1.0; energy.len()];
    if let Some(included) = included {
        let share = block_means(included, edges, add_values);
        for (energy, near) in energy.iter_mut().zip(near(&share, shape)) {
            *energy /= near.max(0.05);
        }
        weights.iter_mut().zip(share).for_each(|(weight, share)| *weight = share * share);
    }
    if let Some(saturated) = saturated {
        let share = block_means(saturated, edges, add_values);
        for (weight, share) in weights.iter_mut().zip(share) {
            *weight /= (1.0 + SATURATION * share).powi(2);
        }
    }
    let mut sorted = energy.clone();
    let tenth = sorted.len() / 10;
    let calm = *sorted.select_nth_unstable_by(tenth, f64::total_cmp).1;
    let weight =
        |(weight, energy): (f64, f64)| (weight * FLOOR / (energy.max(calm) + FLOOR)) as f32;
    weights.into_iter().zip(energy).map(weight).collect()
}

/// Means over blocks of what `add` adds up of a row.
fn block_means(
    image: &Plane,
    edges: &[Vec<usize>; 2],
    add: fn(&[f32], &[usize], &mut [f64]),
) -> Vec<f64> {
    let columns = edges[1].len() - 1;
    let mut means = vec![0.0; (edges[0].len() - 1) * columns];
    for (down, means) in edges[0].windows(2).zip(means.chunks_exact_mut(columns)) {
        for y in down[0]..down[1] {
            add(image.row(y), &edges[1], means);
        }
        for (across, mean) in edges[1].windows(2).zip(means.iter_mut()) {
            *mean /= ((down[1] - down[0]) * (across[1] - across[0])) as f64;
        }
    }
    means
}

fn add_values(row: &[f32], edges: &[usize], sums: &mut [f64]) {
    for (ends, sum) in edges.windows(2).zip(sums) {
        *sum += f64::from(row[ends[0]..ends[1]].iter().sum::<f32>());
    }
}

/// Mean of each block and its eight neighbours.
fn near(values: &[f64], [rows, columns]: [usize; 2]) -> Vec<f64> {
    let three = |i: usize, count: usize| [i.saturating_sub(1), i, (i + 1).min(count - 1)];
    let mut means = Vec::with_capacity(values.len());
    for y in 0..rows {
        for x in 0..columns {
            let row = |y: usize| three(x, columns).iter().map(|&x| values[y * columns + x]).sum();
            let sum: f64 = three(y, rows).iter().map(|&y| -> f64 { row(y) }).sum();
            means.push(sum / 9.0);
        }
    }
    means
}

/// The block to the left of every pixel and the share of the next one.
fn between(edges: &[usize]) -> Vec<(usize, f32)> {
    let centres: Vec<f64> =
        edges.windows(2).map(|ends| (ends[0] + ends[1] - 1) as f64 / 2.0).collect();
    let mut left = 0;
    (0..edges[edges.len() - 1])
        .map(|place| {
            let place = place as f64;
            while left + 2 < centres.len() && centres[left + 1] <= place {
                left += 1;
            }
            let share = (place - centres[left]) / (centres[left + 1] - centres[left]);
            (left, share.clamp(0.0, 1.0) as f32)
        })
        .collect()
}

fn hann(side: usize) -> Vec<f32> {
    let value = |i: usize| 0.5 - 0.5 * (TAU * (i as f64 + 0.5) / side as f64).cos();
    (0..side).map(|i| value(i) as f32).collect()
}

fn summed(bands: &[&Band]) -> Plane {
    let mut power = bands[0].power.clone();
    for band in &bands[1..] {
        power.data.iter_mut().zip(&band.power.data).for_each(|(sum, value)| *sum += value);
    }
    power
}

/// Those peaks that are neither known nor found twice, the highest ratio first.
fn unlike(mut peaks: Vec<Candidate>, known: &[Candidate], shape: [usize; 2]) -> Vec<Candidate> {
    peaks.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    let mut found: Vec<Candidate> = Vec::new();
    for peak in peaks {
        let close = |others: &[Candidate], least: f64| {
            others.iter().any(|other| bins(peak.frequency, other.frequency, shape) < least)
        };
        if !close(known, LEFTOVER) && !close(&found, SAME) {
            found.push(peak);
        }
    }
    found
}

/// Those that are not what clipping makes of stronger ones: weak, or at sums of frequencies.
fn strong(found: &[Candidate], known: &[Candidate], shape: [usize; 2]) -> Vec<Candidate> {
    let mut new: Vec<&Candidate> = found.iter().filter(|each| each.score > 0.0).collect();
    new.sort_by(|a, b| b.phasor.norm().total_cmp(&a.phasor.norm()));
    let mut others = known.to_vec();
    for candidate in new {
        let top = others.iter().map(|each| each.phasor.norm()).fold(0.0, f64::max);
        let weak = candidate.phasor.norm() < LEAST_SHARE * top;
        if !weak && !is_mixed(candidate, &others, shape) {
            others.push(candidate.clone());
        }
    }
    others.split_off(known.len())
}

fn is_mixed(candidate: &Candidate, others: &[Candidate], shape: [usize; 2]) -> bool {
    let stronger: Vec<[f64; 2]> = others
        .iter()
        .filter(|each| each.phasor.norm() > candidate.phasor.norm())
        .map(|each| each.frequency)
        .collect();
    let at = |sum: [f64; 2]| bins(candidate.frequency, sum, shape) < SAME;
    stronger.iter().enumerate().any(|(number, one)| {
        [2.0, 3.0].iter().any(|factor| at([factor * one[0], factor * one[1]]))
            || stronger[..number].iter().any(|other| {
                MIXTURES
                    .iter()
                    .any(|(m, n)| at([m * one[0] + n * other[0], m * one[1] + n * other[1]]))
            })
    })
}

/// Distance of two frequencies in bins of the window.
fn bins(one: [f64; 2], other: [f64; 2], shape: [usize; 2]) -> f64 {
    let apart = |sign: f64| {
        let y = (one[0] - sign * other[0]).abs() * shape[0] as f64;
        y.max((one[1] - sign * other[1]).abs() * shape[1] as f64)
    };
    apart(1.0).min(apart(-1.0))
}

/// Whether one frequency is a harmonic of the other.
fn related(one: [f64; 2], other: [f64; 2], shape: [usize; 2]) -> bool {
    [2.0, 3.0, 4.0, 5.0].iter().any(|factor| {
        bins([factor * one[0], factor * one[1]], other, shape) < 1.5
            || bins([factor * other[0], factor * other[1]], one, shape) < 1.5
    })
}

/// Peaks of one octave's spectrum, the highest ratio first.
fn find_peaks(power: &Plane, level: usize, columns: usize) -> Vec<Candidate> {
    let rows = power.rows;
    let half = power.columns;
    let (outer, inner) = if rows.min(columns) >= 64 { (8, 3) } else { (4, 2) };
    let area = ((2 * outer + 1) * (2 * outer + 1) - (2 * inner + 1) * (2 * inner + 1)) as f64;
    let wide = with_margins(power, columns, outer);
    let at = |y: isize| wide.row(y.rem_euclid(rows as isize) as usize);
    let (low, high) = (BANDS[level].0 * BANDS[level].0, BANDS[level].1 * BANDS[level].1);
    let least = ((rows * columns) as f64 / 2.0).ln().max(LEAST_RATIO);
    // sums of the rows around one, for the outer and the inner square
    let mut sums = [vec![0.0; wide.columns], vec![0.0; wide.columns]];
    for (sums, reach) in sums.iter_mut().zip([outer, inner]) {
        for k in 0..=2 * reach {
            let row = at(k as isize - reach as isize).iter();
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
    }
    let mut work = sums.clone();
    let mut around = vec![0.0; half];
    let mut peaks = Vec::new();
    for y in 0..rows {
        let signed = if 2 * y > rows { y as f64 - rows as f64 } else { y as f64 };
        let fy = signed / rows as f64;
        rings(&sums, outer, inner, &mut work, &mut around);
        for (x, (&value, &ring)) in power.row(y).iter().zip(&around).enumerate() {
            let value = f64::from(value);
            if value * area <= least * (ring + 1e-3 * area) {
                continue;
            }
            let around = ring / area + 1e-3;
            let fx = x as f64 / columns as f64;
            let norm = fy * fy + fx * fx;
            if norm < low || norm >= high || (x == 0 && signed <= 0.0) {
                continue;
            }
            let near = |dy: isize, dx: isize| {
                let y = (y as isize + dy).rem_euclid(rows as isize) as usize;
                wide.row(y)[(x + outer).wrapping_add_signed(dx)]
            };
            let square = |reach: isize| {
                (-reach..=reach).flat_map(move |dy| (-reach..=reach).map(move |dx| (dy, dx)))
            };
            if square(2).any(|(dy, dx)| near(dy, dx) > near(0, 0)) {
                continue;
            }
            let shift_y = vertex([near(-1, 0), near(0, 0), near(1, 0)]);
            let shift_x = vertex([near(0, -1), near(0, 0), near(0, 1)]);
            let scale = (1_usize << level) as f64;
            let sum = |reach| square(reach).map(|(dy, dx)| f64::from(near(dy, dx))).sum::<f64>();
            peaks.push(Candidate {
                level,
                frequency: [
                    (signed + shift_y) / rows as f64 / scale,
                    (x as f64 + shift_x) / columns as f64 / scale,
                ],
                ratio: value / around,
                concentration: sum(1) / sum(2),
                phasor: C64::zero(),
                harmonics: 0.0,
                measures: NOTHING,
                score: NO_SCORE,
            });
        }
        for (sums, reach) in sums.iter_mut().zip([outer as isize, inner as isize]) {
            slide(sums, at(y as isize + 1 + reach), at(y as isize - reach));
        }
    }
    peaks.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    peaks.truncate(MOST_CANDIDATES);
    peaks
}

/// The half spectrum with columns of the other half on either side (a real image's mirror).
fn with_margins(power: &Plane, columns: usize, margin: usize) -> Plane {
    let mut wide = Plane::new(power.rows, power.columns + 2 * margin);
    for y in 0..power.rows {
        let mirrored = power.row((power.rows - y) % power.rows);
        let row = wide.row_mut(y);
        row[margin..margin + power.columns].copy_from_slice(power.row(y));
        for k in 0..margin {
            row[margin - 1 - k] = mirrored[k + 1];
            row[margin + power.columns + k] = mirrored[columns - power.columns - k];
        }
    }
    wide
}

/// Where the parabola through three logarithms has its top, at most half a bin away.
fn vertex(three: [f32; 3]) -> f64 {
    let [a, b, c] = three.map(|value| (f64::from(value) + 1e-30).ln());
    let bend = a - 2.0 * b + c;
    if bend >= 0.0 {
        0.0
    } else {
        (0.5 * (a - c) / bend).clamp(-0.5, 0.5)
    }
}

/// Frequency, amplitude and phase from tiles over the image, and how well the tiles agree.
fn measure(candidate: &mut Candidate, bands: &[&Band], shape: [usize; 2]) {
    let mut tiles = Tiles::default();
    for band in bands {
        tiles.add(band, candidate.frequency);
    }
    let known = candidate.phasor * 0.5 * gain(candidate.frequency, candidate.level);
    for (sum, weight) in tiles.sums.iter_mut().zip(&tiles.weights) {
        *sum += known * weight;
    }
    let middle = bands[bands.len() / 2].offset;
    let middle = [0, 1].map(|axis| middle[axis] as f64 + shape[axis] as f64 / 2.0);
    let frequency = tiles.refine(candidate.frequency, middle, shape);

    let weight: f64 = tiles.weights.iter().sum();
    let total: C64 = tiles.sums.iter().sum();
    let mean = total / weight.max(1e-30);
    candidate.frequency = frequency;
    candidate.phasor = mean * 2.0 / gain(frequency, candidate.level);
    let size = mean.norm_sqr().max(1e-30);
    let pairs = || tiles.sums.iter().zip(&tiles.weights);
    let off: f64 = pairs().map(|(sum, weight)| (sum - mean * weight).norm_sqr()).sum();
    let squares: f64 = tiles.weights.iter().map(|weight| weight * weight).sum();
    let spread = off / (size * squares).max(1e-30);
    let along = |sum: &C64| (sum * mean.conj()).re / size;
    let agreeing: f64 =
        pairs().filter(|(sum, &weight)| along(sum) > 0.5 * weight).map(|(_, weight)| weight).sum();
    let lengths: f64 = tiles.sums.iter().map(|sum| sum.norm()).sum();
    let in_bins = [0, 1].map(|axis| frequency[axis].abs() * shape[axis] as f64);
    let lattice = [0, 1].map(|axis| {
        let eighths = 8.0 * frequency[axis];
        (eighths - (eighths + 0.5).floor()).abs() / 8.0 * shape[axis] as f64
    });
    candidate.measures = [
        candidate.ratio.ln(),
        (spread + 1e-6).ln(),
        agreeing / weight.max(1e-30),
        total.norm() / lengths.max(1e-30),
        (255.0 * candidate.phasor.norm() + 1e-3).ln(),
        candidate.concentration,
        in_bins[0].min(in_bins[1]).min(4.0) / 4.0,
        lattice[0].max(lattice[1]).min(4.0) / 4.0,
        frequency[0].hypot(frequency[1]).ln(),
        candidate.harmonics,
        (tiles.weights.len() as f64).ln(),
    ];
    let mut capped = candidate.measures;
    capped[4] = capped[4].min(LARGEST_LOG_AMPLITUDE);
    let odds: f64 = WEIGHTS.iter().zip(&capped).map(|(weight, measure)| weight * measure).sum();
    candidate.score = INTERCEPT + odds;
}

/// The signal in overlapping tiles, turned to frequency zero.
#[derive(Default)]
struct Tiles {
    sums: Vec<C64>,
    weights: Vec<f64>,
    places: Vec<[f64; 2]>,
}

/// How tiles lie along one side.
struct Side {
    count: usize,
    hop: usize,
    bell: Vec<f64>,
    start: f64,
    step: f64,
}

impl Side {
    fn new(side: usize, level: usize, offset: usize) -> Self {
        let count = if side >= 128 { 7 } else { 3 };
        let hop = side / (count + 1);
        let bell = |i: usize| 0.5 - 0.5 * (PI * (i as f64 + 0.5) / hop as f64).cos();
        let step = (1_usize << level) as f64;
        let start = offset as f64 + (step - 1.0) / 2.0;
        Self { count, hop, bell: (0..2 * hop).map(bell).collect(), start, step }
    }

    fn centre(&self, tile: usize) -> f64 {
        self.start + self.step * (((tile + 1) * self.hop) as f64 - 0.5)
    }

    /// The one or two tiles that a position lies in, and its share in each.
    fn tiles_of(&self, i: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let last = i / self.hop;
        let tiles = last.saturating_sub(1)..=last.min(self.count - 1);
        tiles.map(move |tile| (tile, self.bell[i - tile * self.hop]))
    }

    /// exp(-2 pi i f p) for positions from the first tile's begin to the last one's end.
    fn turns(&self, frequency: f64) -> Vec<C64> {
        let turn = |i: usize| -TAU * frequency * (self.start + self.step * i as f64);
        (0..(self.count + 1) * self.hop).map(|i| C64::from_polar(1.0, turn(i))).collect()
    }
}

impl Tiles {
    fn add(&mut self, band: &Band, frequency: [f64; 2]) {
        let (rows, columns) = (band.signal.rows, band.signal.columns);
        let down = Side::new(rows, band.level, band.offset[0]);
        let right = Side::new(columns, band.level, band.offset[1]);
        let (turn_y, turn_x) = (down.turns(frequency[0]), right.turns(frequency[1]));
        let kernel = |part: fn(&C64) -> f64| -> Vec<f32> {
            let of_tile = |tile: usize| {
                let turns = &turn_x[tile * right.hop..][..2 * right.hop];
                turns.iter().zip(&right.bell).map(move |(turn, bell)| (part(turn) * bell) as f32)
            };
            (0..right.count).flat_map(of_tile).collect()
        };
        let (re, im) = (kernel(|turn| turn.re), kernel(|turn| turn.im));
        let mut sums = vec![C64::zero(); down.count * right.count];
        let mut of_row = vec![C64::zero(); right.count];
        for (y, turn) in turn_y.iter().enumerate() {
            project(band.signal.row(y), right.hop, &re, &im, &mut of_row);
            for (above, bell) in down.tiles_of(y) {
                let sums = &mut sums[above * right.count..][..right.count];
                for (sum, of_row) in sums.iter_mut().zip(&of_row) {
                    *sum += of_row * turn * bell;
                }
            }
        }
        self.sums.append(&mut sums);
        let weights = band.tile_weights.get_or_init(|| tile_weights(&band.weight, &down, &right));
        self.weights.extend_from_slice(weights);
        for tile in 0..down.count {
            self.places.extend((0..right.count).map(|x| [down.centre(tile), right.centre(x)]));
        }
    }

    /// Follows the slope of the phases, first near the middle, then farther and farther out.
    fn refine(&mut self, mut frequency: [f64; 2], middle: [f64; 2], shape: [usize; 2]) -> [f64; 2] {
        let distance = |place: &[f64; 2]| {
            ((place[0] - middle[0]).powi(2) + (place[1] - middle[1]).powi(2)).sqrt()
        };
        let distances: Vec<f64> = self.places.iter().map(distance).collect();
        let farthest = distances.iter().copied().fold(0.0, f64::max);
        let nearest = distances.iter().copied().fold(f64::INFINITY, f64::min);
        let limit = shape.map(|side| PI / side as f64);
        let mut reach = FIRST_REACH;
        loop {
            let near: Vec<usize> =
                (0..distances.len()).filter(|&i| distances[i] <= reach.max(nearest)).collect();
            for _ in 0..if reach <= FIRST_REACH { 4 } else { 2 } {
                let slope = self.slope(&near);
                let slope = [0, 1].map(|axis| slope[axis].clamp(-limit[axis], limit[axis]));
                frequency = [0, 1].map(|axis| frequency[axis] + slope[axis] / TAU);
                for (sum, place) in self.sums.iter_mut().zip(&self.places) {
                    *sum *= C64::from_polar(1.0, -(place[0] * slope[0] + place[1] * slope[1]));
                }
            }
            if reach >= farthest {
                return frequency;
            }
            reach *= 2.0;
        }
    }

    /// Weighted least squares of the phases over the places, in radians per pixel.
    fn slope(&self, near: &[usize]) -> [f64; 2] {
        let mean = near.iter().map(|&i| self.sums[i]).sum::<C64>().conj();
        let phase: Vec<f64> = near.iter().map(|&i| (self.sums[i] * mean).arg()).collect();
        let size = |(&i, phase): (&usize, &f64)| self.sums[i].norm() * phase.cos().max(0.0).powi(2);
        let size: Vec<f64> = near.iter().zip(&phase).map(size).collect();
        let total: f64 = size.iter().sum();
        if total <= 0.0 {
            return [0.0; 2];
        }
        let weighted = |value: &dyn Fn(usize) -> f64| -> f64 {
            (0..near.len()).map(|k| size[k] * value(k)).sum()
        };
        let centre = [0, 1].map(|axis| weighted(&|k| self.places[near[k]][axis]) / total);
        let middle = weighted(&|k| phase[k]) / total;
        let (mut yy, mut yx, mut xx, mut right) = (0.0, 0.0, 0.0, [0.0; 2]);
        for (k, &i) in near.iter().enumerate() {
            let [y, x] = [0, 1].map(|axis| self.places[i][axis] - centre[axis]);
            let rest = size[k] * (phase[k] - middle);
            yy += size[k] * y * y;
            yx += size[k] * y * x;
            xx += size[k] * x * x;
            right = [right[0] + rest * y, right[1] + rest * x];
        }
        let determinant = yy * xx - yx * yx;
        if determinant <= 1e-9 * yy * xx {
            return [0.0; 2];
        }
        [
            (xx * right[0] - yx * right[1]) / determinant,
            (yy * right[1] - yx * right[0]) / determinant,
        ]
    }
}

fn tile_weights(weight: &Weight, down: &Side, right: &Side) -> Vec<f64> {
    let bell: Vec<f32> =
        (0..right.count).flat_map(|_| right.bell.iter().map(|&bell| bell as f32)).collect();
    let mut sums = vec![0.0; down.count * right.count];
    let mut of_row = vec![C64::zero(); right.count];
    let mut line = vec![0.0; weight.blocks.columns];
    for y in 0..(down.count + 1) * down.hop {
        weight.row(y, &mut line);
        project(&line, right.hop, &bell, &bell, &mut of_row);
        for (above, share) in down.tiles_of(y) {
            let sums = &mut sums[above * right.count..][..right.count];
            sums.iter_mut().zip(&of_row).for_each(|(sum, of_row)| *sum += of_row.re * share);
        }
    }
    sums
}

fn component(candidate: &Candidate) -> Component {
    let [mut frequency_y, mut frequency_x] = candidate.frequency;
    let mut phase = candidate.phasor.arg();
    if frequency_y < 0.0 || (frequency_y == 0.0 && frequency_x < 0.0) {
        (frequency_y, frequency_x, phase) = (-frequency_y, -frequency_x, -phase);
    }
    let strength = 1.0 / (1.0 + (-candidate.score).exp());
    Component { frequency_y, frequency_x, amplitude: candidate.phasor.norm(), phase, strength }
}

fn features(found: &[Candidate], accepted: usize) -> [f64; FEATURES] {
    let mut scores: Vec<f64> = found.iter().map(|each| each.score).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    scores.extend([NO_SCORE; 2]);
    let mut best: Option<&Candidate> = None;
    for each in found {
        if best.is_none_or(|best| each.score > best.score) {
            best = Some(each);
        }
    }
    let mut features = [0.0; FEATURES];
    features[..MEASURES].copy_from_slice(best.map_or(&NOTHING, |best| &best.measures));
    features[MEASURES..].copy_from_slice(&[
        scores[0],
        scores[1],
        accepted as f64,
        1e-3_f64.ln(),
        found.len() as f64,
    ]);
    features
}

/// The whole spectrum in [`SPECTRUM_SIDE`]² cells, each the mean of the bins in it.
fn thumbnail(power: &Plane, [rows, columns]: [usize; 2]) -> Array2<f32> {
    let cell = |i: usize, side: usize| {
        let start = i * side / SPECTRUM_SIDE;
        start..((i + 1) * side / SPECTRUM_SIDE).max(start + 1)
    };
    // the spectrum begins with negative frequencies, of which along x only the mirrored bins are kept
    let negative = (columns - 1) / 2;
    let mut sums = vec![0.0; columns];
    let mut whole = Array2::zeros((SPECTRUM_SIDE, SPECTRUM_SIDE));
    for i in 0..SPECTRUM_SIDE {
        let down = cell(i, rows);
        sums.fill(0.0);
        for y in down.clone() {
            let y = (y + rows.div_ceil(2)) % rows;
            let (row, mirrored) = (power.row(y), power.row((rows - y) % rows));
            // the highest frequency of an even number is negative in this order
            let (left, right) = sums.split_at_mut(columns / 2);
            let left = &mut left[columns / 2 - negative..];
            for (sum, &value) in left.iter_mut().zip(mirrored[1..=negative].iter().rev()) {
                *sum += f64::from(value);
            }
            for (sum, &value) in right.iter_mut().zip(row) {
                *sum += f64::from(value);
            }
            if columns % 2 == 0 {
                sums[0] += f64::from(row[columns / 2]);
            }
        }
        for j in 0..SPECTRUM_SIDE {
            let right = cell(j, columns);
            let area = (down.len() * right.len()) as f64;
            let mean = sums[right].iter().sum::<f64>() / area;
            whole[[i, j]] = ((mean + 1e-3) as f32).log10();
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};

    use super::*;
    use crate::host::NoHost;

    fn wave(fy: f64, fx: f64, amplitude: f64) -> Array3<f32> {
        Array3::from_shape_fn((128, 144, 1), |(y, x, _)| {
            let grain =
                f64::from((y as u32 * 7919 + x as u32 * 104_729).wrapping_mul(2_654_435_761) >> 24);
            let wave = amplitude * (TAU * (fy * y as f64 + fx * x as f64)).cos();
            (0.5 + wave + (grain / 255.0 - 0.5) * 0.02) as f32
        })
    }

    #[test]
    fn a_wave_is_found_and_removed() {
        let included = Array2::from_elem((128, 144), true);
        let image = wave(0.17, 0.09, 0.05);
        let found = find_periodic(image.view(), included.view(), &NoHost).unwrap();
        assert_eq!(found.components.len(), 1);
        let one = found.components[0];
        assert!((one.frequency_y - 0.17).abs() < 1e-3 && (one.frequency_x - 0.09).abs() < 1e-3);
        assert!((one.amplitude - 0.05).abs() < 2e-3);
        let rest = remove(image.view(), &found.components, &NoHost).unwrap();
        assert!(rest.iter().all(|value| (value - 0.5).abs() < 0.02));
    }

    #[test]
    fn small_images_do_not_fail() {
        for (height, width) in [(1, 1), (15, 40), (16, 16), (17, 33)] {
            let image = Array3::from_elem((height, width, 3), 0.4_f32);
            let included = Array2::from_elem((height, width), true);
            let found = find_periodic(image.view(), included.view(), &NoHost).unwrap();
            assert!(found.components.is_empty());
            assert!(found.features.iter().all(|value| value.is_finite()));
        }
    }
}
