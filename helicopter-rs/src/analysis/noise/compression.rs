//! JPEG compression: where its lattice of blocks lies and which quality it was saved with.
//!
//! The twin of `helicopter/backends/reference/noise/compression.py`, which says why each step is taken.

use std::f64::consts::{PI, TAU};
use std::sync::OnceLock;

use ndarray::{ArrayView2, ArrayView3};

use crate::error::Result;
use crate::host::Host;

/// How many numbers [`Compression::features`] has; the reference names them.
pub const FEATURES: usize = 11;

const LUMINANCE: [u32; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const QUALITIES: usize = 100;
/// 1.5 * 2^23.
const ROUNDER: f32 = 12_582_912.0;
/// (vertical, horizontal) frequency, of order 6 at most.
const ORDERS: [(usize, usize); 28] = orders();
const ROUNDING: f64 = 0.3;
const NONZERO: f64 = 4.0;
const STRAY: f64 = 0.02;
const FINENESS: u32 = 16;
const FARTHEST: f64 = 5.0;
const MOST_BLOCKS: usize = 1600;
const FEW_BLOCKS: usize = 48;
const FEWEST_BLOCKS: usize = 16;
const PATIENCE: usize = 8;
const GLIMPSE: usize = 6;
const GLANCE: usize = 32;
const CLOSE_LOOK: usize = 256;
const FINALISTS: usize = 12;
const LOW_ORDER: usize = 3;
const HIGH_ORDER: usize = 6;
const OFFSETS: usize = 2;
const CONVINCING: f64 = 30.0;
const MOST_LINES: usize = 64;
const STRIP: usize = 8;
const LARGEST_STEP: f32 = 20.0;
const LEAST_BLOCKS: usize = 4;
const EVIDENCE: f64 = 12.0;
const EVIDENCE_OF_ONE: f64 = 0.4;

/// The traces of JPEG compression in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Compression {
    /// On the IJG's scale from 1 to 100, or none where there is no evidence of compression.
    pub quality: Option<u8>,
    /// Row and column, each 0 to 7, at which blocks begin.
    pub grid: (usize, usize),
    /// What a classifier needs to know.
    pub features: [f64; FEATURES],
}

const fn orders() -> [(usize, usize); 28] {
    let mut orders = [(0, 0); 28];
    let (mut count, mut u) = (0, 0);
    while u < 8 {
        let mut v = 0;
        while v < 8 {
            if u + v <= HIGH_ORDER {
                orders[count] = (u, v);
                count += 1;
            }
            v += 1;
        }
        u += 1;
    }
    orders
}

/// Looks for the traces of JPEG compression.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn find_compression(
    pixels: ArrayView3<f32>,
    included: ArrayView2<bool>,
    host: &dyn Host,
) -> Result<Compression> {
    let (height, width) = included.dim();
    if height.min(width) < 8 {
        return Ok(Compression { quality: None, grid: (0, 0), features: [0.0; FEATURES] });
    }
    let (pixels, included) = (pixels.as_standard_layout(), included.as_standard_layout());
    let (values, included) = (pixels.as_slice().unwrap_or(&[]), included.as_slice().unwrap_or(&[]));
    let whole = !included.contains(&false);
    let channels = pixels.dim().2;
    let image = Image { values, included, height, width, channels, whole };
    let (by_column, by_row) = (image.row_blockiness(), image.column_blockiness());
    let mut lattices = vec![(0, 0)];
    for &dy in &descending(&by_row)[..OFFSETS] {
        lattices.extend(descending(&by_column)[..OFFSETS].iter().map(|&dx| (dy, dx)));
    }
    let likely = lattices.len();
    for other in (0..64).map(|i| (i / 8, i % 8)) {
        if !lattices.contains(&other) {
            lattices.push(other);
        }
    }
    let all: Vec<usize> = (0..QUALITIES).collect();
    let (mut best, mut grid) = (f64::NEG_INFINITY, (0, 0));
    for (number, &tried) in lattices.iter().enumerate() {
        if number >= likely && best > CONVINCING {
            break;
        }
        host.check()?;
        let blocks = if number < likely { FEW_BLOCKS } else { FEWEST_BLOCKS };
        let sample = image.sample(tried, blocks, LOW_ORDER);
        let odds = sample.odds(&all, GLIMPSE, LOW_ORDER).0;
        let odds = odds.into_iter().fold(f64::NEG_INFINITY, f64::max);
        if odds > best {
            (best, grid) = (odds, tried);
        }
    }

    host.check()?;
    let sample = image.sample(grid, MOST_BLOCKS, HIGH_ORDER);
    let (glance, _) = sample.odds(&all, GLANCE, HIGH_ORDER);
    let mut finalists = descending(&glance);
    finalists.truncate(FINALISTS);
    finalists.sort_unstable();
    let (odds, count) = sample.odds(&finalists, CLOSE_LOOK, HIGH_ORDER);
    let winner = descending(&odds)[0];
    let (quality, total) = (finalists[winner], odds[winner]);
    let rival = (0..QUALITIES).filter(|&other| other.abs_diff(quality) > 2);
    let rival = rival.map(|other| glance[other]).fold(f64::NEG_INFINITY, f64::max);

    let other = image.sample(((grid.0 + 4) % 8, (grid.1 + 4) % 8), FEW_BLOCKS, HIGH_ORDER);
    let zeros = sample.zeros();
    let mean = total / count.max(1) as f64;
    let features = [
        mean,
        compressed(total),
        compressed(glance[quality] - rival),
        (count as f64).ln_1p(),
        (quality + 1) as f64 / 100.0,
        excess(&by_row, grid.0),
        excess(&by_column, grid.1),
        zeros,
        zeros - other.zeros(),
        sample.flat(),
        (sample.alike.len() as f64).ln_1p(),
    ];
    let evident = total > EVIDENCE && mean > EVIDENCE_OF_ONE;
    Ok(Compression { quality: evident.then_some(quality as u8 + 1), grid, features })
}

/// Indices by descending value; equal ones in their order.
fn descending(values: &[f64]) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..values.len()).collect();
    indices.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    indices
}

fn compressed(value: f64) -> f64 {
    value.abs().ln_1p().copysign(value)
}

/// By how much steps across the lattice exceed the others.
fn excess(profile: &[f64; 8], offset: usize) -> f64 {
    let mut sorted = *profile;
    sorted.sort_by(f64::total_cmp);
    let middle = f64::midpoint(sorted[3], sorted[4]);
    compressed((profile[offset] - middle) / (middle + 0.05))
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

struct Image<'a> {
    values: &'a [f32],
    included: &'a [bool],
    height: usize,
    width: usize,
    channels: usize,
    /// Whether all pixels are included.
    whole: bool,
}

impl Image<'_> {
    /// The values of a piece of a row.
    fn piece(&self, y: usize, x: usize, count: usize) -> &[f32] {
        &self.values[(y * self.width + x) * self.channels..][..count * self.channels]
    }

    /// Luminance of a piece of a row.
    fn levels(&self, y: usize, x: usize, out: &mut [f32]) {
        let values = self.piece(y, x, out.len());
        if self.channels == 3 {
            for (value, rgb) in out.iter_mut().zip(values.as_chunks::<3>().0) {
                *value = level(rgb);
            }
        } else {
            for (value, grey) in out.iter_mut().zip(values.as_chunks::<1>().0) {
                *value = level(grey);
            }
        }
    }

    fn counts(&self, y: usize, x: usize) -> bool {
        self.included[y * self.width + x]
    }

    /// Mean third difference along rows, by the column (modulo 8) that its second half begins at.
    fn row_blockiness(&self) -> [f64; 8] {
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
    fn column_blockiness(&self) -> [f64; 8] {
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
    fn sample(&self, grid: (usize, usize), most: usize, highest: usize) -> Sample {
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
            sample.add(&self.block(y, x), &mut flat_levels, highest);
        }
        sample
    }

    /// Whether no pixel of a block is at an end of the range.
    fn is_clean(&self, y: usize, x: usize) -> bool {
        let (low, high) = ((0.5 / 255.0) as f32, (254.5 / 255.0) as f32);
        (y..y + 8).all(|y| {
            let ends =
                self.piece(y, x, 8).iter().map(|&v| u32::from(v <= low) | u32::from(v >= high));
            ends.fold(0, |any, end| any | end) == 0
        })
    }

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

/// Coefficients of some blocks by order, and whether the rows and columns of each are alike.
#[derive(Default)]
struct Sample {
    coefficients: [Vec<f64>; ORDERS.len()],
    alike: Vec<u8>,
    /// Flat blocks of a level that an earlier one has: they say nothing new.
    repeated: Vec<bool>,
}

impl Sample {
    fn add(&mut self, block: &[[f32; 8]; 8], flat_levels: &mut [bool; 256], highest: usize) {
        let bits = block.map(|row| row.map(f32::to_bits));
        let rows = bits.iter().all(|row| row == &bits[0]);
        let columns = bits.iter().all(|row| row.iter().all(|value| *value == row[0]));
        self.alike.push(u8::from(rows) + u8::from(columns));
        let flat = &mut flat_levels[(block[0][0] + 128.0).clamp(0.0, 255.0) as usize];
        self.repeated.push(rows && columns && *flat);
        *flat |= rows && columns;
        let basis = cosines();
        // down the columns first, eight columns at a time
        let mut vertical = [[0.0_f64; 8]; 8];
        for (u, out) in vertical.iter_mut().enumerate().take(highest + 1) {
            for (y, row) in block.iter().enumerate() {
                for x in 0..8 {
                    out[x] += basis[u][y] * f64::from(row[x]);
                }
            }
        }
        for (coefficients, &(u, v)) in self.coefficients.iter_mut().zip(&ORDERS) {
            if u + v <= highest {
                coefficients.push((0..8).map(|x| vertical[u][x] * basis[v][x]).sum());
            }
        }
    }

    fn nonzero(&self, order: usize) -> impl Iterator<Item = usize> + '_ {
        let least = [0, 1, 2].map(|alike| NONZERO * deviation(alike));
        let pairs = self.coefficients[order].iter().zip(&self.alike).enumerate();
        pairs.filter(move |(_, (c, &alike))| c.abs() > least[usize::from(alike)]).map(|(i, _)| i)
    }

    /// Share of the coefficients but the mean that were quantised to zero.
    fn zeros(&self) -> f64 {
        let count = self.alike.len();
        if count == 0 {
            return 0.0;
        }
        let share = |order| 1.0 - self.nonzero(order).count() as f64 / count as f64;
        (1..ORDERS.len()).map(share).sum::<f64>() / (ORDERS.len() - 1) as f64
    }

    fn flat(&self) -> f64 {
        let flat: f64 = self.alike.iter().map(|&alike| f64::from(u8::from(alike == 2))).sum();
        flat / self.alike.len().max(1) as f64
    }

    /// Log odds of each quality (from 0), and the number of coefficients that were compared.
    fn odds(&self, qualities: &[usize], most: usize, highest: usize) -> (Vec<f64>, usize) {
        let tables = comb_odds();
        let (mut totals, mut count) = (vec![0.0; qualities.len()], 0);
        let mut units: Vec<(u32, usize)> = Vec::with_capacity(most);
        for (order, &(u, v)) in ORDERS.iter().enumerate() {
            if u + v > highest {
                continue;
            }
            let nonzero: Vec<usize> = self.nonzero(order).filter(|&i| !self.repeated[i]).collect();
            let used = nonzero.len().min(most);
            count += used;
            units.clear();
            units.extend((0..used).map(|k| {
                let i = nonzero[k * nonzero.len() / used];
                let size = self.coefficients[order][i].abs() * f64::from(FINENESS);
                ((size + 0.5) as u32, usize::from(self.alike[i]))
            }));
            let mut last = (0, 0.0);
            for (total, &quality) in totals.iter_mut().zip(qualities) {
                let step = quantisers()[order][quality];
                if step != last.0 {
                    let period = FINENESS * step;
                    let inverse = 1.0 / period as f32;
                    let combs = [0, 1, 2].map(|alike| tables[alike].of(step));
                    let one = |&(units, alike): &(u32, usize)| {
                        // at worst the neighbour of the nearest multiple, between both
                        let nearest = (units as f32 * inverse + 0.5) as u32;
                        let comb = combs[alike];
                        comb[(units.abs_diff(nearest * period) as usize).min(comb.len() - 1)]
                    };
                    last = (step, units.iter().map(one).sum::<f64>());
                }
                *total += last.1;
            }
        }
        (totals, count)
    }
}

/// One entry of the IJG's luminance table of this quality.
fn quantiser(quality: usize, entry: usize) -> u32 {
    let quality = quality as u32;
    let scale = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    ((LUMINANCE[entry] * scale + 50) / 100).clamp(1, 255)
}

/// Standard deviation of a coefficient's error, for a block of none, one or two of rows and columns
/// alike.
fn deviation(alike: usize) -> f64 {
    ROUNDING * 8.0_f64.sqrt().powi(alike as i32)
}

/// The orthonormal discrete cosine transform of length 8.
fn cosines() -> &'static [[f64; 8]; 8] {
    static BASIS: OnceLock<[[f64; 8]; 8]> = OnceLock::new();
    BASIS.get_or_init(|| {
        std::array::from_fn(|order| {
            std::array::from_fn(|place| {
                let value = 0.5 * (((2 * place + 1) * order) as f64 * PI / 16.0).cos();
                if order == 0 {
                    value / 2.0_f64.sqrt()
                } else {
                    value
                }
            })
        })
    })
}

/// Steps of all qualities, by order.
fn quantisers() -> &'static [[u32; QUALITIES]; ORDERS.len()] {
    static STEPS: OnceLock<[[u32; QUALITIES]; ORDERS.len()]> = OnceLock::new();
    STEPS.get_or_init(|| {
        ORDERS.map(|(u, v)| std::array::from_fn(|quality| quantiser(quality + 1, 8 * u + v)))
    })
}

/// Log odds of combs by the distance from the nearest multiple, for all steps from 1 to 255.
struct Combs {
    length: usize,
    odds: Vec<f64>,
}

impl Combs {
    fn of(&self, step: u32) -> &[f64] {
        &self.odds[(step as usize - 1) * self.length..][..self.length]
    }
}

/// Log odds of a comb by its step and by the distance from the nearest multiple; see the reference.
fn comb_odds() -> &'static [Combs; 3] {
    static TABLES: OnceLock<[Combs; 3]> = OnceLock::new();
    TABLES.get_or_init(|| {
        std::array::from_fn(|alike| {
            let deviation = deviation(alike);
            let length = (FARTHEST * deviation * f64::from(FINENESS)).ceil() as usize + 1;
            let density = |step: u32, distance: usize| -> f64 {
                let reach = (FARTHEST * deviation / f64::from(step)).ceil() as i32 + 1;
                let bell = |k: i32| {
                    let place = distance as f64 / f64::from(FINENESS);
                    let z = (place + f64::from(step) * f64::from(k)) / deviation;
                    (-0.5 * z * z).exp()
                };
                (-reach..=reach).map(bell).sum::<f64>() / (deviation * TAU.sqrt())
            };
            let odds = |step: u32, distance: usize| {
                (STRAY + (1.0 - STRAY) * f64::from(step) * density(step, distance)).ln()
            };
            let row = |step: u32| (0..length).map(move |distance| odds(step, distance));
            Combs { length, odds: (1..256).flat_map(row).collect() }
        })
    })
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};

    use super::*;
    use crate::host::NoHost;

    /// Blocks whose coefficients are multiples of a quality's steps, rounded to whole levels.
    fn quantised(quality: usize) -> Array3<f32> {
        let basis = cosines();
        let mut image = Array3::zeros((128, 128, 1));
        let mut state = 1_u32;
        for by in 0..16 {
            for bx in 0..16 {
                let mut levels = [[128.0; 8]; 8];
                for (u, v) in ORDERS {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let step = f64::from(quantiser(quality, 8 * u + v));
                    let height = (f64::from(state >> 16) / 65536.0 - 0.5) * 240.0;
                    let height = (height / step).round() * step;
                    for (y, row) in levels.iter_mut().enumerate() {
                        for (x, level) in row.iter_mut().enumerate() {
                            *level += height * basis[u][y] * basis[v][x];
                        }
                    }
                }
                for (y, row) in levels.iter().enumerate() {
                    for (x, level) in row.iter().enumerate() {
                        image[[8 * by + y, 8 * bx + x, 0]] = (level.round() / 255.0) as f32;
                    }
                }
            }
        }
        image
    }

    #[test]
    fn the_quality_is_read() {
        for quality in [20, 50, 75] {
            let image = quantised(quality);
            let included = Array2::from_elem((128, 128), true);
            let found = find_compression(image.view(), included.view(), &NoHost).unwrap();
            assert_eq!(found.quality, Some(quality as u8));
            assert_eq!(found.grid, (0, 0));
        }
    }

    #[test]
    fn nothing_is_found_in_a_flat_image() {
        let image = Array3::from_elem((40, 40, 3), 0.5_f32);
        let included = Array2::from_elem((40, 40), true);
        let found = find_compression(image.view(), included.view(), &NoHost).unwrap();
        assert_eq!(found.quality, None);
    }
}
