//! The image in whole levels of luminance: its blocks, and the steps across their lattice (third
//! differences along its lines, by their place modulo 8).

use super::likelihood::Sample;
use crate::utils::simd::kernel;

/// 1.5 * 2^23.
const ROUNDER: f32 = 12_582_912.0;
const PATIENCE: usize = 8;
const LEAST_BLOCKS: usize = 4;
const MOST_LINES: usize = 64;
const STRIP: usize = 8;
const LARGEST_STEP: f32 = 20.0;

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

/// Where the lines begin whose blockiness is measured.
fn strips(side: usize) -> impl Iterator<Item = usize> {
    let count = (side.min(MOST_LINES) / STRIP).max(1);
    (0..count).map(move |strip| strip * side / count)
}

/// Sums of third differences by place modulo 8. All are whole numbers, so that no order matters.
#[derive(Default)]
struct Profile {
    sums: [f64; 8],
    counts: [usize; 8],
}

impl Profile {
    fn add(&mut self, line: &[f32], whole: bool, counts: impl Fn(usize) -> bool) {
        let count = line.len().saturating_sub(3);
        let third = |x: usize| {
            let four = &line[x..x + 4];
            (four[0] - 3.0 * four[1] + 3.0 * four[2] - four[3]).abs().min(LARGEST_STEP)
        };
        if !whole {
            for x in (0..count).filter(|&x| (x..x + 4).all(&counts)) {
                self.sums[(x + 2) % 8] += f64::from(third(x));
                self.counts[(x + 2) % 8] += 1;
            }
            return;
        }
        let mut sums = [0.0_f32; 8];
        for start in (0..count / 8 * 8).step_by(8) {
            let part = &line[start..start + 11];
            for (lane, sum) in sums.iter_mut().enumerate() {
                let size =
                    part[lane] - 3.0 * part[lane + 1] + 3.0 * part[lane + 2] - part[lane + 3];
                *sum += size.abs().min(LARGEST_STEP);
            }
        }
        for (lane, sum) in sums.into_iter().enumerate() {
            self.sums[(lane + 2) % 8] += f64::from(sum);
            self.counts[(lane + 2) % 8] += count / 8;
        }
        for x in count / 8 * 8..count {
            self.sums[(x + 2) % 8] += f64::from(third(x));
            self.counts[(x + 2) % 8] += 1;
        }
    }

    fn means(&self) -> [f64; 8] {
        std::array::from_fn(|place| self.sums[place] / self.counts[place].max(1) as f64)
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
