//! The image in whole levels of luminance: its lines and its blocks.

use super::blockiness::{strips, Profile, STRIP};
use super::sample::Sample;
use crate::utils::simd::kernel;

/// 1.5 * 2^23.
const ROUNDER: f32 = 12_582_912.0;
const PATIENCE: usize = 8;
const LEAST_BLOCKS: usize = 4;

pub(super) struct Image<'a> {
    pub(super) values: &'a [f32],
    pub(super) included: &'a [bool],
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    /// Whether all pixels are included.
    pub(super) whole: bool,
}

impl Image<'_> {
    /// The values of a piece of a row.
    #[inline(always)]
    fn piece(&self, y: usize, x: usize, count: usize) -> &[f32] {
        &self.values[(y * self.width + x) * self.channels..][..count * self.channels]
    }

    /// Luminance of a piece of a row.
    #[inline(always)]
    fn levels(&self, y: usize, x: usize, out: &mut [f32]) {
        let values = self.piece(y, x, out.len());
        let count = out.len();
        if self.channels == 3 {
            let values = &values[..3 * count];
            for x in 0..count {
                out[x] = level(&values[3 * x..3 * x + 3]);
            }
        } else {
            let values = &values[..count];
            for x in 0..count {
                out[x] = level(&values[x..=x]);
            }
        }
    }

    fn counts(&self, y: usize, x: usize) -> bool {
        self.included[y * self.width + x]
    }

    /// Mean third difference along rows, by the column (modulo 8) that its second half begins at.
    pub(super) fn row_blockiness(&self) -> [f64; 8] {
        let (height, width) = (self.height, self.width);
        let mut profile = Profile::default();
        let mut line = vec![0.0; width];
        for start in strips(height) {
            for y in start..(start + STRIP).min(height) {
                self.levels(y, 0, &mut line);
                profile.add(&line, self.whole, |x| self.counts(y, x));
            }
        }
        profile.means()
    }

    /// The same along columns.
    pub(super) fn column_blockiness(&self) -> [f64; 8] {
        let (height, width) = (self.height, self.width);
        let mut profile = Profile::default();
        let mut lines = vec![0.0; STRIP * height];
        let mut piece = [0.0; STRIP];
        for start in strips(width) {
            let count = STRIP.min(width - start);
            for y in 0..height {
                self.levels(y, start, &mut piece[..count]);
                for (k, &value) in piece[..count].iter().enumerate() {
                    lines[k * height + y] = value;
                }
            }
            for (k, line) in lines.chunks_exact(height).take(count).enumerate() {
                profile.add(line, self.whole, |y| self.counts(y, start + k));
            }
        }
        profile.means()
    }

    /// Coefficients of blocks without saturated pixels, or of any if there are hardly any such.
    pub(super) fn sample(&self, grid: (usize, usize), most: usize, highest: usize) -> Sample {
        let (height, width) = (self.height, self.width);
        let (rows, columns) = ((height - grid.0) / 8, (width - grid.1) / 8);
        let count = rows * columns;
        let step = scattering(count);
        let (mut clean, mut others) = (Vec::with_capacity(most), Vec::new());
        for number in 0..count.min(PATIENCE * most) {
            let place = number * step % count;
            let (y, x) = (8 * (place / columns) + grid.0, 8 * (place % columns) + grid.1);
            let all = || (y..y + 8).all(|y| (x..x + 8).all(|x| self.counts(y, x)));
            if !self.whole && !all() {
                continue;
            }
            if self.is_clean(y, x) {
                clean.push((y, x));
                if clean.len() == most {
                    break;
                }
            }
            if others.len() < most {
                others.push((y, x));
            }
        }
        let chosen = if clean.len() >= LEAST_BLOCKS.min(most) { clean } else { others };
        let mut sample = Sample::default();
        let mut flat_levels = [false; 256];
        for (y, x) in chosen {
            take(self, (y, x), highest, &mut sample, &mut flat_levels);
        }
        sample
    }

    /// Whether no pixel of a block is at an end of the range.
    fn is_clean(&self, y: usize, x: usize) -> bool {
        let (low, high) = ((0.5 / 255.0) as f32, (254.5 / 255.0) as f32);
        for y in y..y + 8 {
            let mut ends = false;
            for &value in self.piece(y, x, 8) {
                ends |= value <= low || value >= high;
            }
            if ends {
                return false;
            }
        }
        true
    }

    #[inline(always)]
    fn block(&self, y: usize, x: usize) -> [[f32; 8]; 8] {
        let mut block = [[0.0; 8]; 8];
        for (dy, row) in block.iter_mut().enumerate() {
            self.levels(y + dy, x, row);
            for value in row {
                *value -= 128.0;
            }
        }
        block
    }
}

kernel! {
    /// Adds a block to the sample.
    fn take<S>(
        image: &Image<'_>,
        place: (usize, usize),
        highest: usize,
        sample: &mut Sample,
        flat_levels: &mut [bool; 256],
    ) {
        sample.add(&image.block(place.0, place.1), flat_levels, highest);
    }
}

/// Luminance in whole levels.
#[inline(always)]
fn level(pixel: &[f32]) -> f32 {
    let light = match *pixel {
        [red, green, blue] => red * 0.299 + green * 0.587 + blue * 0.114,
        _ => pixel[0],
    };
    // to the nearest whole number, as floats so large have no fraction
    (light * 255.0 + ROUNDER) - ROUNDER
}

/// A step that visits all of `count` numbers, spread evenly however many of them are visited.
fn scattering(count: usize) -> usize {
    let mut step = ((0.618 * count as f64) as usize).max(1);
    while gcd(step, count) > 1 {
        step += 1;
    }
    step
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        gcd(b, a % b)
    }
}
