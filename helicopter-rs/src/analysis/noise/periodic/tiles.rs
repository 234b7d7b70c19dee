//! How strong a sinusoid is, where exactly, and whether all parts of the image agree on it.

use std::f64::consts::{PI, TAU};

use realfft::num_traits::Zero;

use super::bands::{gain, Band};
use super::candidates::{Candidate, C64, MEASURES};
use super::vectors::project;
use super::weights::Weight;

const WEIGHTS: [f64; MEASURES] =
    [0.278, -0.618, 6.129, 3.894, 1.845, 1.118, 2.443, -2.345, -1.294, -3.356, 0.797];
const INTERCEPT: f64 = -19.658;
const LARGEST_LOG_AMPLITUDE: f64 = 3.0;
const FIRST_REACH: f64 = 600.0;

/// Frequency, amplitude and phase from tiles over the image, and how well the tiles agree.
pub(super) fn measure(candidate: &mut Candidate, bands: &[&Band], shape: [usize; 2]) {
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
