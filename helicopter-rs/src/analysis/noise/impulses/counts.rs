//! Counts of pixels that stand out from their neighbours, row by row.

// Black, white and grey are exact: the values are compared with themselves.
#![allow(clippy::float_cmp)]

use ndarray::{Array2, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use super::vectors::{
    add_channels, count_between_levels, count_flags, greater, lesser, pick_channel, put_in_order,
    total, widen, Ordered, LANES,
};
use crate::utils::simd::kernel;

// See the reference for what these are.
const THRESHOLDS: [(usize, f32); 5] = [(0, 0.5), (0, 1.0), (0, 2.0), (1, 1.0), (1, 2.0)];
const FLOOR: f32 = 0.06;
pub(super) const MARGINS: [f64; 4] = [0.04, 0.08, 0.16, 0.32];
pub(in crate::analysis::noise) const SAMPLE: usize = 4;
pub(in crate::analysis::noise) const BINS: usize = 256;
const NORMAL_RANGE: f64 = 1.7043;
/// Counted rows that one task works on. Fixed, so that sums do not depend on the number of threads.
pub(super) const STRIP: usize = 64;

/// One value a pixel, made from the channels; and what values mean.
#[derive(Clone, Copy)]
pub(in crate::analysis::noise) struct Plane<'a> {
    pub(in crate::analysis::noise) pixels: ArrayView3<'a, f32>,
    /// Which channel; all of them added up if none.
    pub(in crate::analysis::noise) channel: Option<usize>,
    pub(in crate::analysis::noise) low: f32,
    pub(in crate::analysis::noise) high: f32,
    pub(in crate::analysis::noise) step: f32,
}

/// Sums over the pixels whose eight neighbours are all known.
#[derive(Clone)]
pub(in crate::analysis::noise) struct Counts {
    pub(in crate::analysis::noise) pixels: u64,
    pub(in crate::analysis::noise) chance: [f64; 5],
    pub(in crate::analysis::noise) inside: [u64; 5],
    pub(in crate::analysis::noise) extreme: [u64; 5],
    pub(in crate::analysis::noise) eligible: [[u64; 4]; 2],
    pub(in crate::analysis::noise) found: [[u64; 4]; 2],
    pub(in crate::analysis::noise) grey: u64,
    pub(in crate::analysis::noise) sampled: u64,
    pub(in crate::analysis::noise) colourless: u64,
    pub(in crate::analysis::noise) ranges: Vec<u64>,
}

/// The lowest and the highest value of the included pixels of every so many rows; both 0 if there is
/// none.
pub(super) fn extremes(
    pixels: ArrayView3<f32>,
    included: Option<ArrayView2<bool>>,
    every: usize,
) -> (f32, f32) {
    let rows: Vec<[f32; 2]> = (0..pixels.dim().0.div_ceil(every))
        .into_par_iter()
        .map(|row| {
            let y = row * every;
            let row = pixels.index_axis(Axis(0), y);
            let mut range = [f32::INFINITY, f32::NEG_INFINITY];
            if let (None, Some(values)) = (included, row.as_slice()) {
                widen(values, &mut range);
            } else {
                let known = |x: usize| included.is_none_or(|included| included[[y, x]]);
                for (_, pixel) in row.rows().into_iter().enumerate().filter(|(x, _)| known(*x)) {
                    pixel.iter().for_each(|value| widen(std::slice::from_ref(value), &mut range));
                }
            }
            range
        })
        .collect();
    let low = rows.iter().fold(f32::INFINITY, |low, row| lesser(low, row[0]));
    let high = rows.iter().fold(f32::NEG_INFINITY, |high, row| greater(high, row[1]));
    if low <= high {
        (low, high)
    } else {
        (0.0, 0.0)
    }
}

/// Distance of neighbouring levels if there are 256 of them, else 0.
pub(super) fn step(pixels: ArrayView3<f32>, included: Option<ArrayView2<bool>>) -> f32 {
    let mut between = 0;
    for y in (0..pixels.dim().0).step_by(16) {
        let row = pixels.index_axis(Axis(0), y);
        if let (None, Some(values)) = (included, row.as_slice()) {
            count_between_levels(values, &mut between);
            continue;
        }
        for (x, pixel) in row.rows().into_iter().enumerate() {
            if included.is_none_or(|included| included[[y, x]]) {
                let values = pixel.iter();
                values.for_each(|value| {
                    count_between_levels(std::slice::from_ref(value), &mut between);
                });
            }
        }
    }
    if between == 0 {
        1.0 / 255.0
    } else {
        0.0
    }
}

impl<'a> Plane<'a> {
    /// The values of a row, if they lie side by side.
    pub(super) fn direct(&self, y: usize) -> Option<&'a [f32]> {
        let row = self.pixels.index_axis_move(Axis(0), y);
        (row.dim().1 == 1).then(|| row.to_slice()).flatten()
    }

    pub(in crate::analysis::noise) fn span(&self) -> f32 {
        self.high - self.low
    }

    /// Writes the values of a row.
    fn read(&self, y: usize, out: &mut [f32]) {
        let row = self.pixels.index_axis(Axis(0), y);
        let channels = row.dim().1;
        match (self.channel, row.as_slice()) {
            (Some(_), Some(values)) if channels == 1 => out.copy_from_slice(values),
            (Some(c), Some(values)) => pick_channel(values, c, out),
            (None, Some(values)) => add_channels(values, out),
            (Some(c), None) => {
                out.iter_mut().zip(row.column(c)).for_each(|(out, &value)| *out = value);
            }
            (None, None) => {
                for (out, pixel) in out.iter_mut().zip(row.rows()) {
                    *out = (pixel[0] + pixel[1]) + pixel[2];
                }
            }
        }
    }

    /// All values.
    pub(super) fn values(&self) -> Array2<f32> {
        let (height, width, _) = self.pixels.dim();
        let mut values = Array2::zeros((height, width));
        values.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(y, mut row)| {
            self.read(y, row.as_slice_mut().expect("rows of a new array are contiguous"));
        });
        values
    }
}

impl Counts {
    pub(in crate::analysis::noise) fn new() -> Self {
        Self {
            pixels: 0,
            chance: [0.0; 5],
            inside: [0; 5],
            extreme: [0; 5],
            eligible: [[0; 4]; 2],
            found: [[0; 4]; 2],
            grey: 0,
            sampled: 0,
            colourless: 0,
            ranges: vec![0; BINS],
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        let sum = |to: &mut [u64], from: &[u64]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        };
        self.pixels += other.pixels;
        self.chance.iter_mut().zip(other.chance).for_each(|(to, from)| *to += from);
        sum(&mut self.inside, &other.inside);
        sum(&mut self.extreme, &other.extreme);
        for side in 0..2 {
            sum(&mut self.eligible[side], &other.eligible[side]);
            sum(&mut self.found[side], &other.found[side]);
        }
        self.grey += other.grey;
        self.sampled += other.sampled;
        self.colourless += other.colourless;
        sum(&mut self.ranges, &other.ranges);
    }

    /// Sigma of the fine noise in the quarter of the image with the least detail, as a share of its range.
    pub(super) fn scale(&self) -> f64 {
        let total: u64 = self.ranges.iter().sum();
        let mut below = 0;
        let quarter = self.ranges.iter().position(|&count| {
            below += count;
            below as f64 >= 0.25 * total as f64
        });
        (quarter.unwrap_or(0) as f64 + 0.5) / (BINS - 1) as f64 / NORMAL_RANGE
    }
}

/// The counts of each plane; how many pixels stand out in at least one and in at least two of them.
pub(super) fn count_strip(
    planes: &[Plane],
    included: Option<ArrayView2<bool>>,
    rows: &[usize],
    every: usize,
) -> (Vec<Counts>, [u64; 2]) {
    let (_, width, channels) = planes[0].pixels.dim();
    let mut counts = vec![Counts::new(); planes.len()];
    let mut coincidence = [0; 2];
    // the latest three rows of each plane, each at its number modulo three
    let mut read = vec![vec![(usize::MAX, vec![0.0; width]); 3]; planes.len()];
    let mut columns: [Vec<f32>; 3] = std::array::from_fn(|_| vec![0.0; width]);
    let mut ordered = Ordered::default();
    let mut rooms = vec![0.0; width - 2];
    let mut flags = vec![vec![0_u8; width - 2]; planes.len()];
    let mut known = vec![true; width - 2];
    let mut places: Vec<usize> = Vec::with_capacity(width);
    for &y in rows {
        if let Some(included) = included {
            for (x, known) in known.iter_mut().enumerate() {
                *known = included.slice(ndarray::s![y - 1..y + 2, x..x + 3]).iter().all(|&i| i);
            }
        }
        let sampled = (y - 1) % (SAMPLE * every) == 0;
        for (p, plane) in planes.iter().enumerate() {
            let three = [y - 1, y, y + 1];
            if let [Some(up), Some(here), Some(down)] = three.map(|row| plane.direct(row)) {
                put_in_order([up, here, down], &mut columns, &mut ordered);
            } else {
                for row in three {
                    let slot = &mut read[p][row % 3];
                    if slot.0 != row {
                        plane.read(row, &mut slot.1);
                        slot.0 = row;
                    }
                }
                let three = three.map(|row| read[p][row % 3].1.as_slice());
                put_in_order(three, &mut columns, &mut ordered);
            }
            if included.is_some() {
                ordered.keep(&known);
            }
            count_row(plane, &mut ordered, &mut rooms, &mut flags[p], &mut counts[p]);
            if sampled {
                let count = &mut counts[p];
                count.sampled += ordered.value.len() as u64;
                let factor = (BINS - 1) as f32 / plane.span();
                for (below, above) in ordered.below[1].iter().zip(&ordered.above[1]) {
                    count.ranges[(((above - below) * factor) as usize).min(BINS - 1)] += 1;
                }
            }
        }
        let count = ordered.value.len();
        if let [a, b, c] = flags.as_slice() {
            count_flags([&a[..count], &b[..count], &c[..count]], &mut coincidence);
        } else if channels == 3 {
            let row = planes[0].pixels.index_axis(Axis(0), y);
            let grey = |x: usize| row[[x, 0]] == row[[x, 1]] && row[[x, 1]] == row[[x, 2]];
            places.clear();
            if included.is_some() {
                places.extend((1..width - 1).filter(|&x| known[x - 1]));
            }
            let place = |i: usize| if included.is_some() { places[i] } else { i + 1 };
            if sampled {
                counts[0].colourless += (0..count).filter(|&i| grey(place(i))).count() as u64;
            }
            for (chunk, flags) in flags[0][..count].chunks(LANES).enumerate() {
                if flags.iter().fold(0, |any, flag| any | flag) > 0 {
                    let up = (0..flags.len()).filter(|&i| flags[i] > 0);
                    let both = up.filter(|i| grey(place(chunk * LANES + i)));
                    counts[0].grey += both.count() as u64;
                }
            }
        }
    }
    (counts, coincidence)
}

kernel! {
    /// Counts the pixels of a row, and flags those that stand out at the second threshold.
    fn count_row<S>(
        plane: &Plane,
        ordered: &mut Ordered,
        rooms: &mut [f32],
        flags: &mut [u8],
        counts: &mut Counts,
    ) {
        let count = ordered.value.len();
        counts.pixels += count as u64;
        let (low, high, half) = (plane.low, plane.high, plane.step / 2.0);
        let (first, last) = (low + half, high - half);
        let floor = FLOOR * plane.span();
        let value = &ordered.value[..count];
        let edge = &mut ordered.edge;
        edge.resize(count, 0);
        let edge = &mut edge[..count];
        for x in 0..count {
            edge[x] = u32::from(value[x] == low) | u32::from(value[x] == high);
        }
        for (k, (rank, share)) in THRESHOLDS.into_iter().enumerate() {
            let below = &ordered.below[rank][..count];
            let above = &ordered.above[rank][..count];
            let (mut out, mut black) = (0_u32, 0_u32);
            let rooms = &mut rooms[..count];
            for x in 0..count {
                let reach = greater(floor, share * (above[x] - below[x]));
                let (start, end) = (below[x] - reach, above[x] + reach);
                rooms[x] = greater(start - first, 0.0) + greater(last - end, 0.0);
                let outside = u32::from(value[x] < start) | u32::from(value[x] > end);
                out += outside;
                black += outside & edge[x];
            }
            let room = total(rooms);
            counts.chance[k] += room / f64::from(plane.span() + plane.step);
            counts.extreme[k] += u64::from(black);
            counts.inside[k] += u64::from(out - black);
        }
        let below = &ordered.below[0][..count];
        let above = &ordered.above[0][..count];
        let flags = &mut flags[..count];
        for x in 0..count {
            let reach = greater(floor, above[x] - below[x]);
            let (start, end) = (below[x] - reach, above[x] + reach);
            flags[x] = u8::from(value[x] < start) | u8::from(value[x] > end);
        }
        let away = MARGINS.map(|margin| margin as f32 * plane.span());
        for (k, away) in away.into_iter().enumerate() {
            let (dark, bright) = (low + away, high - away);
            let (mut not_dark, mut not_bright) = (0_u32, 0_u32);
            for x in 0..count {
                not_dark += u32::from(below[x] > dark);
                not_bright += u32::from(above[x] < bright);
            }
            counts.eligible[0][k] += u64::from(not_dark);
            counts.eligible[1][k] += u64::from(not_bright);
        }
        for (chunk, edges) in edge.chunks(LANES).enumerate() {
            let mut any = 0;
            for &edge in edges {
                any |= edge;
            }
            if any == 0 {
                continue;
            }
            for i in 0..edges.len() {
                let x = chunk * LANES + i;
                for (k, away) in away.into_iter().enumerate() {
                    let black = value[x] == low && below[x] > low + away;
                    let white = value[x] == high && above[x] < high - away;
                    counts.found[0][k] += u64::from(black);
                    counts.found[1][k] += u64::from(white);
                }
            }
        }
    }
}
