//! Lines of a spectrum: peaks far above the mean of their surroundings, and which are kept.

use realfft::num_traits::Zero;

use super::candidates::{bins, descending, Candidate, C64, NOTHING, NO_SCORE};
use super::plane::Plane;
use super::vectors::{rings, slide};

pub(super) const BANDS: [(f64, f64); 3] = [(0.11, 0.75), (0.11, 0.25), (0.088, 0.25)];
const LEAST_RATIO: f64 = 8.0;
const MOST_CANDIDATES: usize = 5;
const SAME: f64 = 2.0;
const LEFTOVER: f64 = 2.5;
const LEAST_SHARE: f64 = 0.25;
const STRONGER: f64 = 1.01;
const MIXTURES: [(f64, f64); 6] =
    [(1.0, 1.0), (1.0, -1.0), (2.0, 1.0), (2.0, -1.0), (1.0, 2.0), (1.0, -2.0)];

/// Those peaks that are neither known nor found twice, the highest ratio first.
pub(super) fn unlike(
    mut peaks: Vec<Candidate>,
    known: &[Candidate],
    shape: [usize; 2],
) -> Vec<Candidate> {
    peaks.sort_by_key(|peak| descending(peak.ratio, peak));
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
pub(super) fn strong(
    found: &[Candidate],
    known: &[Candidate],
    shape: [usize; 2],
) -> Vec<Candidate> {
    let mut new: Vec<&Candidate> = found.iter().filter(|each| each.score > 0.0).collect();
    new.sort_by_key(|each| descending(each.phasor.norm(), each));
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
    let least = STRONGER * candidate.phasor.norm();
    let stronger: Vec<[f64; 2]> = others
        .iter()
        .filter(|each| each.phasor.norm() > least)
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

/// Whether one frequency is a harmonic of the other.
pub(super) fn related(one: [f64; 2], other: [f64; 2], shape: [usize; 2]) -> bool {
    [2.0, 3.0, 4.0, 5.0].iter().any(|factor| {
        bins([factor * one[0], factor * one[1]], other, shape) < 1.5
            || bins([factor * other[0], factor * other[1]], one, shape) < 1.5
    })
}

/// Peaks of one octave's spectrum, the highest ratio first.
pub(super) fn find_peaks(power: &Plane, level: usize, columns: usize) -> Vec<Candidate> {
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
    let mut work = std::array::from_fn(|_| vec![0.0; wide.columns]);
    let mut around = vec![0.0; half];
    let mut peaks = Vec::new();
    for y in 0..rows {
        let signed = if 2 * y > rows { y as f64 - rows as f64 } else { y as f64 };
        let fy = signed / rows as f64;
        // the other rows of coarse octaves lie beyond the highest frequency
        let searched = if fy * fy < high { half } else { 0 };
        if searched > 0 {
            rings(&sums, outer, inner, &mut work, &mut around);
        }
        for (x, (&value, &ring)) in power.row(y).iter().zip(&around).enumerate().take(searched) {
            let value = f64::from(value);
            if value * area <= least * (ring + 1e-3 * area) {
                continue;
            }
            let around = ring / area + 1e-3;
            let fx = x as f64 / columns as f64;
            let norm = fy * fy + fx * fx;
            // two columns mirror themselves: half of each is enough
            let twin = (x == 0 && signed <= 0.0) || (2 * x == columns && signed < 0.0);
            if norm < low || norm >= high || twin {
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
                place: [level, y, x],
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
    peaks.sort_by_key(|peak| descending(peak.ratio, peak));
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
        // mirrored values of the same column must be equal to the bit, not just nearly
        if 2 * y > power.rows {
            row[margin] = mirrored[0];
            row[margin + columns / 2] = mirrored[columns / 2];
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
