//! Which pixels are hits, once it is known that there are some.

// Black, white and grey are exact: the values are compared with themselves.
#![allow(clippy::float_cmp)]

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::counts::{Plane, MARGINS, SAMPLE};
use super::vectors::{greater, lesser, LANES};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::utils::simd::kernel;

const SPREADS: [f32; 7] = [0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
const MASK_FLOOR: f32 = 0.04;
const ENOUGH: usize = 1 << 18;
const CROWDED: f64 = 0.05;
const PRECISION: f64 = 0.85;

/// A plane in which hits are looked for.
pub(super) struct Scene<'a, 'b> {
    pub(super) plane: &'a Plane<'b>,
    pub(super) values: ArrayView2<'a, f32>,
    pub(super) included: Option<ArrayView2<'a, bool>>,
    pub(super) scale: f64,
}

impl Scene<'_, '_> {
    fn is_included(&self, y: usize, x: usize) -> bool {
        self.included.is_none_or(|included| included[[y, x]])
    }

    /// The neighbours of a pixel that lie inside the image and for which `valid` holds, row by row.
    fn around(
        &self,
        y: usize,
        x: usize,
        valid: impl Fn(usize, usize) -> bool,
    ) -> ([f32; 8], usize) {
        let (height, width) = self.values.dim();
        let (mut around, mut count) = ([0.0; 8], 0);
        for row in y.saturating_sub(1)..(y + 2).min(height) {
            for column in x.saturating_sub(1)..(x + 2).min(width) {
                if (row, column) != (y, x) && valid(row, column) {
                    around[count] = self.values[[row, column]];
                    count += 1;
                }
            }
        }
        (around, count)
    }

    /// Marks black and white pixels that are not in black or white surroundings.
    pub(super) fn mark_extremes(
        &self,
        density: f64,
        mask: &mut Array2<bool>,
        host: &dyn Host,
    ) -> Result<()> {
        let most = most_alike(density / 2.0);
        let margin = (MARGINS[0].max(3.0 * self.scale)) as f32 * self.plane.span();
        mask.axis_iter_mut(Axis(0)).into_par_iter().enumerate().try_for_each(|(y, mut row)| {
            host.check()?;
            for ((x, hit), &value) in row.iter_mut().enumerate().zip(self.values.row(y)) {
                let black = value == self.plane.low;
                if !(black || value == self.plane.high) || !self.is_included(y, x) {
                    continue;
                }
                let (around, count) = self.around(y, x, |y, x| self.is_included(y, x));
                let (mut distances, mut others) = ([f32::INFINITY; 8], 0);
                for &neighbour in around[..count].iter().filter(|&&neighbour| neighbour != value) {
                    distances[others] = if black { neighbour - value } else { value - neighbour };
                    others += 1;
                }
                if others == 0 || count - others > most {
                    continue;
                }
                distances[..others].sort_unstable_by(f32::total_cmp);
                *hit |= distances[(others - 1) / 2] > margin;
            }
            Ok(())
        })
    }

    /// Marks pixels that stand out from the middle of their neighbours, by as much as most hits need.
    pub(super) fn mark_random(
        &self,
        density: f64,
        mask: &mut Array2<bool>,
        host: &dyn Host,
    ) -> Result<()> {
        let mut marked: Option<Array2<bool>> = None;
        for _ in 0..if density > CROWDED { 2 } else { 1 } {
            let hits = marked.as_ref().map(|marked| marked.view());
            let Some(factor) = self.factor(density, hits, host)? else { break };
            let mut next = Array2::from_elem(mask.dim(), false);
            next.axis_iter_mut(Axis(0)).into_par_iter().enumerate().try_for_each(|(y, row)| {
                host.check()?;
                let middle = self.middle(y, hits);
                for (x, hit) in row.into_iter().enumerate() {
                    let (start, end) = self.bounds(middle.below[x], middle.above[x], factor);
                    let value = self.values[[y, x]];
                    *hit = middle.judged[x] && (value < start || value > end);
                }
                Ok::<_, Error>(())
            })?;
            marked = Some(next);
        }
        if let Some(marked) = marked {
            mask.zip_mut_with(&marked, |hit, &marked| *hit |= marked);
        }
        Ok(())
    }

    /// The lowest threshold for which enough of what stands out are hits.
    fn factor(
        &self,
        density: f64,
        hits: Option<ArrayView2<bool>>,
        host: &dyn Host,
    ) -> Result<Option<f32>> {
        const COUNT: usize = SPREADS.len();
        let (low, high) = (self.plane.low, self.plane.high);
        let every = if self.values.len() < ENOUGH { 1 } else { SAMPLE };
        let rows: Vec<([u64; COUNT], [f64; COUNT])> = (0..self.values.nrows().div_ceil(every))
            .into_par_iter()
            .map(|row| {
                let y = row * every;
                host.check()?;
                let middle = self.middle(y, hits);
                let (mut seen, mut chance) = ([0; COUNT], [0.0; COUNT]);
                for x in (0..middle.judged.len()).filter(|&x| middle.judged[x]) {
                    let value = self.values[[y, x]];
                    for (k, factor) in SPREADS.into_iter().enumerate() {
                        let (start, end) = self.bounds(middle.below[x], middle.above[x], factor);
                        seen[k] += u64::from(value < start || value > end);
                        chance[k] +=
                            f64::from(greater(start - low, 0.0) + greater(high - end, 0.0));
                    }
                }
                Ok((seen, chance))
            })
            .collect::<Result<_>>()?;
        Ok(SPREADS.into_iter().enumerate().find_map(|(k, factor)| {
            let seen: u64 = rows.iter().map(|row| row.0[k]).sum();
            let chance: f64 = rows.iter().map(|row| row.1[k]).sum();
            let chance = chance / f64::from(self.plane.span());
            (density * chance >= PRECISION * seen as f64).then_some(factor)
        }))
    }

    fn bounds(&self, below: f32, above: f32, factor: f32) -> (f32, f32) {
        let span = self.plane.span();
        let spread = (above - below) + self.scale as f32 * span;
        let reach = greater(MASK_FLOOR * span, factor * spread);
        (below - reach, above + reach)
    }

    /// For each pixel of a row the third lowest and third highest of eight neighbours, of which those
    /// that are there are counted again, in turn, where some are missing or hits.
    fn middle(&self, y: usize, hits: Option<ArrayView2<bool>>) -> Middle {
        let (height, width) = self.values.dim();
        let valid =
            |y: usize, x: usize| self.is_included(y, x) && !hits.is_some_and(|hits| hits[[y, x]]);
        let mut middle =
            Middle { below: vec![0.0; width], above: vec![0.0; width], judged: vec![false; width] };
        let inner = y > 0 && y + 1 < height;
        if inner {
            let rows =
                [y - 1, y, y + 1].map(|y| self.values.index_axis_move(Axis(0), y).to_slice());
            if let [Some(up), Some(here), Some(down)] = rows {
                middle_of_row([up, here, down], &mut middle.below, &mut middle.above);
            }
        }
        // whether the three pixels above each other are valid
        let simple = self.included.is_none() && hits.is_none();
        let columns: Vec<bool> = if inner && !simple {
            (0..width).map(|x| (y - 1..y + 2).all(|y| valid(y, x))).collect()
        } else {
            vec![inner; width]
        };
        for x in 0..width {
            if x > 0 && x + 1 < width && columns[x - 1] && columns[x] && columns[x + 1] {
                middle.judged[x] = true;
                continue;
            }
            let (mut around, count) = self.around(y, x, valid);
            if count < 3 || !self.is_included(y, x) {
                continue;
            }
            for i in count..8 {
                around[i] = around[i % count];
            }
            around.sort_unstable_by(f32::total_cmp);
            middle.below[x] = around[2];
            middle.above[x] = around[5];
            middle.judged[x] = true;
        }
        middle
    }
}

/// What [`Scene::middle`] finds.
struct Middle {
    below: Vec<f32>,
    above: Vec<f32>,
    judged: Vec<bool>,
}

kernel! {
    /// The third lowest and third highest neighbour of all pixels but the first and the last.
    fn middle_of_row<S>(rows: [&[f32]; 3], below: &mut [f32], above: &mut [f32]) {
        /// Batcher's odd-even merge sort of eight.
        const EXCHANGES: [(usize, usize); 19] = [
            (0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7), (1, 2), (5, 6),
            (0, 4), (1, 5), (2, 6), (3, 7), (2, 4), (3, 5), (1, 2), (3, 4), (5, 6),
        ];
        let width = rows[0].len();
        let mut x = 1;
        while x + 1 < width {
            // the last vector overlaps the one before it
            if x + LANES + 1 > width && width >= LANES + 2 {
                x = width - LANES - 1;
            }
            let many = LANES.min(width - 1 - x);
            let mut sorted = [[0.0_f32; LANES]; 8];
            let sources = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)];
            for (values, (row, shift)) in sorted.iter_mut().zip(sources) {
                values[..many].copy_from_slice(&rows[row][x - 1 + shift..][..many]);
            }
            for (a, b) in EXCHANGES {
                for i in 0..LANES {
                    let (low, high) = (sorted[a][i], sorted[b][i]);
                    sorted[a][i] = lesser(low, high);
                    sorted[b][i] = greater(low, high);
                }
            }
            below[x..x + many].copy_from_slice(&sorted[2][..many]);
            above[x..x + many].copy_from_slice(&sorted[5][..many]);
            x += many;
        }
    }
}

/// How many of eight neighbours are black (white) by chance, but for once in a thousand.
fn most_alike(rate: f64) -> usize {
    let mut term = (1.0 - rate).powi(8);
    let (mut below, mut count) = (term, 0);
    while below < 0.999 && count < 7 {
        term *= (8 - count) as f64 / (count + 1) as f64 * rate / (1.0 - rate);
        count += 1;
        below += term;
    }
    count
}
