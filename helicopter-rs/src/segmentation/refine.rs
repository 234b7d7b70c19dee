//! Borders put right pixel by pixel: one goes over to a segment it fits better, as long as no segment
//! falls apart.

#![expect(
    clippy::float_cmp,
    reason = "of what costs exactly the same, the rule says who comes first"
)]

use std::ops::Range;

use rayon::prelude::*;

use super::features::{Feature, Features};
use crate::error::Result;
use crate::host::Host;
use crate::utils::simd::{self, Kernel, Simd};

/// What is weighed against the fit of a pixel's features.
#[derive(Debug, Clone, Copy)]
pub struct Weights {
    /// Of the squared distance from a segment's mean place.
    pub spatial: f64,
    /// Of each neighbour in the same segment; of diagonal ones half as much.
    pub border: f64,
}

/// Beyond the image.
const OUTSIDE: u32 = u32::MAX;
/// Rows that one task looks at.
const STRIP: usize = 32;

/// Counts and sums over a segment: pixels, three features, rows, columns.
type Sums = [i64; 6];

#[inline(always)]
fn add(to: &mut Sums, what: &Sums) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += what);
}

#[inline(always)]
fn subtract(from: &mut Sums, what: &Sums) {
    from.iter_mut().zip(what).for_each(|(from, what)| *from -= what);
}

#[inline(always)]
fn of_pixel(feature: Feature, y: usize, x: usize) -> Sums {
    let [a, b, c, _] = feature.map(i64::from);
    [1, a, b, c, y as i64, x as i64]
}

/// What a segment says about a pixel that might leave or join it.
#[derive(Clone, Copy)]
struct Mean {
    features: [f64; 3],
    place: [f64; 2],
    /// n / (n - 1): what leaving saves, over the squared distance.
    leaving: f64,
    /// n / (n + 1): what joining costs, over the squared distance.
    joining: f64,
}

impl Mean {
    fn of(sums: &Sums) -> Self {
        let [count, a, b, c, y, x] = sums.map(|sum| sum as f64);
        Self {
            features: [a / count, b / count, c / count],
            place: [y / count, x / count],
            leaving: count / (count - 1.0),
            joining: count / (count + 1.0),
        }
    }

    #[inline(always)]
    fn distance(&self, pixel: &[f64; 5]) -> f64 {
        let [a, b, c]: [f64; 3] = std::array::from_fn(|k| pixel[k] - self.features[k]);
        a * a + b * b + c * c
    }

    #[inline(always)]
    fn distance_of_places(&self, pixel: &[f64; 5]) -> f64 {
        let [y, x]: [f64; 2] = std::array::from_fn(|k| pixel[3 + k] - self.place[k]);
        y * y + x * x
    }
}

/// Whether a pixel may leave its segment, by the neighbours that belong to it (bit 0 above, then
/// clockwise): the segment's part of the eight neighbours must hang together without it.
const fn may_leave() -> [bool; 256] {
    let mut table = [false; 256];
    let mut ring = 0;
    while ring < 256 {
        // pieces of the ring that touch the pixel: each begins after a gap that ends it
        let mut pieces = 0;
        let mut side = 0;
        while side < 8 {
            let own = ring >> side & 1 == 1;
            let joined_before =
                ring >> ((side + 7) % 8) & 1 == 1 && ring >> ((side + 6) % 8) & 1 == 1;
            if own && !joined_before {
                pieces += 1;
            }
            side += 2;
        }
        table[ring] = pieces == 1 || ring & 0b0101_0101 == 0b0101_0101 && pieces == 0;
        ring += 1;
    }
    table
}

static MAY_LEAVE: [bool; 256] = may_leave();

/// Lets border pixels change sides, at most `passes` times over the image.
///
/// Pixels are looked at in four turns (even and odd rows and columns), so that none of the eight
/// neighbours of a pixel moves in its turn: each decides by the state before the turn, and the result
/// is the same in any order.
pub fn refine(
    features: &impl Features,
    labels: &mut [u32],
    count: usize,
    passes: usize,
    weights: Weights,
    host: &dyn Host,
) -> Result<()> {
    if passes == 0 {
        return Ok(());
    }
    let (height, width) = features.dim();
    let mut sums = sums_of(features, labels, count);
    for _ in 0..passes {
        let mut moved = false;
        for turn in 0..4 {
            host.check()?;
            let means: Vec<Mean> = sums.iter().map(Mean::of).collect();
            let before = &*labels;
            let moves: Vec<Vec<(usize, u32)>> = (0..height.div_ceil(STRIP))
                .into_par_iter()
                .map(|strip| {
                    let rows = strip * STRIP..((strip + 1) * STRIP).min(height);
                    let labels = before;
                    let means = &means;
                    simd::run(Turn {
                        features,
                        labels,
                        means,
                        weights,
                        height,
                        width,
                        rows,
                        number: turn,
                    })
                })
                .collect();
            for &(at, to) in moves.iter().flatten() {
                let (y, x) = (at / width, at % width);
                let pixel = of_pixel(features.at(y, x), y, x);
                subtract(&mut sums[labels[at] as usize], &pixel);
                add(&mut sums[to as usize], &pixel);
                labels[at] = to;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    Ok(())
}

fn sums_of(features: &impl Features, labels: &[u32], count: usize) -> Vec<Sums> {
    let (height, _) = features.dim();
    let parts = rayon::current_num_threads().min(height);
    let share = height.div_ceil(parts);
    (0..parts)
        .into_par_iter()
        .map(|part| {
            let rows = part * share..((part + 1) * share).min(height);
            simd::run(Share { features, labels, count, rows })
        })
        .reduce(
            || vec![[0; 6]; count],
            |mut all, part| {
                all.iter_mut().zip(&part).for_each(|(all, part)| add(all, part));
                all
            },
        )
}

/// Some rows, to be added up by segment.
struct Share<'a, F> {
    features: &'a F,
    labels: &'a [u32],
    count: usize,
    rows: Range<usize>,
}

impl<F: Features> Kernel for Share<'_, F> {
    type Output = Vec<Sums>;

    #[inline(always)]
    fn run<S: Simd>(self) -> Vec<Sums> {
        let (_, width) = self.features.dim();
        let mut sums = vec![[0; 6]; self.count];
        let mut row = vec![[0; 4]; width];
        for y in self.rows {
            self.features.row(y, &mut row);
            let labels = &self.labels[y * width..(y + 1) * width];
            let mut x = 0;
            while x < width {
                // pixels of a row that follow each other in one segment are added up first
                let (label, from) = (labels[x], x);
                let mut run = [0_i64; 3];
                while x < width && labels[x] == label {
                    for (sum, &f) in run.iter_mut().zip(&row[x]) {
                        *sum += i64::from(f);
                    }
                    x += 1;
                }
                let (n, places) = ((x - from) as i64, ((from + x - 1) * (x - from) / 2) as i64);
                let run = [n, run[0], run[1], run[2], n * y as i64, places];
                add(&mut sums[label as usize], &run);
            }
        }
        sums
    }
}

/// What some rows are asked in one turn: who goes over to whom.
struct Turn<'a, F> {
    features: &'a F,
    labels: &'a [u32],
    means: &'a [Mean],
    weights: Weights,
    height: usize,
    width: usize,
    rows: Range<usize>,
    number: usize,
}

impl<F: Features> Kernel for Turn<'_, F> {
    type Output = Vec<(usize, u32)>;

    #[inline(always)]
    fn run<S: Simd>(self) -> Vec<(usize, u32)> {
        let Weights { spatial, border } = self.weights;
        if spatial == 0.0 && border == 0.0 {
            self.moves::<true>()
        } else {
            self.moves::<false>()
        }
    }
}

impl<F: Features> Turn<'_, F> {
    #[inline(always)]
    fn moves<const PLAIN: bool>(&self) -> Vec<(usize, u32)> {
        let turn = self.number;
        let mut moves = Vec::new();
        let mut border = vec![false; self.width];
        let mut candidates = vec![0; self.width];
        for y in self.rows.clone().filter(|y| y % 2 == turn / 2) {
            self.mark_border(y, &mut border);
            // counted up whether taken or not: which pixels are taken no processor can guess
            let mut count = 0;
            for x in (turn % 2..self.width).step_by(2) {
                candidates[count] = x;
                count += usize::from(border[x]);
            }
            for &x in &candidates[..count] {
                let to = self.fits_best::<PLAIN>(y, x);
                let at = y * self.width + x;
                if to != self.labels[at] {
                    moves.push((at, to));
                }
            }
        }
        moves
    }

    #[inline(always)]
    fn row(&self, y: usize) -> &[u32] {
        &self.labels[y * self.width..(y + 1) * self.width]
    }

    /// Which pixels of a row have a neighbour in another segment.
    #[expect(clippy::needless_bitwise_bool, reason = "many at once, so none is to be passed over")]
    #[inline(always)]
    fn mark_border(&self, y: usize, border: &mut [bool]) {
        let own = self.row(y);
        let (above, below) =
            (self.row(y.saturating_sub(1)), self.row((y + 1).min(self.height - 1)));
        for (((border, &own), &above), &below) in border.iter_mut().zip(own).zip(above).zip(below) {
            *border = (own != above) | (own != below);
        }
        for (border, pair) in border[1..].iter_mut().zip(own.windows(2)) {
            *border |= pair[0] != pair[1];
        }
        for (border, pair) in border.iter_mut().zip(own.windows(2)) {
            *border |= pair[0] != pair[1];
        }
    }

    /// The neighbours' labels, from the one above clockwise.
    #[inline(always)]
    fn ring(&self, y: usize, x: usize) -> [u32; 8] {
        let w = self.width;
        let at = y * w + x;
        if y > 0 && x > 0 && y + 1 < self.height && x + 1 < w {
            let (above, own, below) = (
                &self.labels[at - w - 1..at - w + 2],
                &self.labels[at - 1..at + 2],
                &self.labels[at + w - 1..at + w + 2],
            );
            return [above[1], above[2], own[2], below[2], below[1], below[0], own[0], above[0]];
        }
        [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)].map(
            |(dy, dx)| match (y.checked_add_signed(dy), x.checked_add_signed(dx)) {
                (Some(y), Some(x)) if y < self.height && x < w => self.labels[y * w + x],
                _ => OUTSIDE,
            },
        )
    }

    /// The segment that a border pixel belongs to; its own, if it must not or need not leave. `PLAIN`
    /// if places and borders weigh nothing: to leave them out changes no bit.
    #[inline(always)]
    fn fits_best<const PLAIN: bool>(&self, y: usize, x: usize) -> u32 {
        let own = self.labels[y * self.width + x];
        let ring = self.ring(y, x);
        let same = |label: u32| {
            let bits: [u32; 8] = std::array::from_fn(|i| u32::from(ring[i] == label) << i);
            bits.iter().sum::<u32>()
        };
        let own_bits = same(own);
        if !MAY_LEAVE[own_bits as usize & 255] {
            return own;
        }
        let [a, b, c, _] = self.features.at(y, x).map(f64::from);
        let pixel = [a, b, c, y as f64, x as f64];
        let Weights { spatial, border } = self.weights;
        let distance = |mean: &Mean| {
            let apart = mean.distance(&pixel);
            if PLAIN {
                apart
            } else {
                apart + spatial * mean.distance_of_places(&pixel)
            }
        };
        let held = |bits: u32| {
            let (sides, corners) = ((bits & 0x55).count_ones(), (bits & 0xaa).count_ones());
            border * (f64::from(sides) + 0.5 * f64::from(corners))
        };
        let mean = &self.means[own as usize];
        let leaving = mean.leaving * distance(mean);
        let mut best = (if PLAIN { leaving } else { leaving - held(own_bits) }, own);
        for side in [0, 2, 4, 6] {
            let other = ring[side];
            if other == own || other == OUTSIDE || other == best.1 {
                continue;
            }
            let mean = &self.means[other as usize];
            let joining = mean.joining * distance(mean);
            let cost = if PLAIN { joining } else { joining - held(same(other)) };
            if cost < best.0 || cost == best.0 && best.1 != own && other < best.1 {
                best = (cost, other);
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By filling: whether all sides of the pixel in the middle that belong to its segment hang
    /// together within the eight neighbours, and there is one.
    fn hangs_together(ring: usize) -> bool {
        // the ring from the one above clockwise, as places of a 3 x 3 grid
        let places = [(0_usize, 1_usize), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0)];
        let own = |i: usize| ring >> i & 1 == 1;
        let Some(first) = [0, 2, 4, 6].into_iter().find(|&i| own(i)) else { return false };
        let (mut reached, mut open) = ([false; 8], vec![first]);
        reached[first] = true;
        while let Some(at) = open.pop() {
            for other in 0..8 {
                let apart =
                    places[at].0.abs_diff(places[other].0) + places[at].1.abs_diff(places[other].1);
                if apart == 1 && own(other) && !reached[other] {
                    reached[other] = true;
                    open.push(other);
                }
            }
        }
        [0, 2, 4, 6].into_iter().all(|i| !own(i) || reached[i])
    }

    #[test]
    fn a_pixel_may_leave_if_and_only_if_its_neighbours_hang_together_without_it() {
        for ring in 0..256 {
            assert_eq!(MAY_LEAVE[ring], hangs_together(ring), "{ring:08b}");
        }
    }
}
