//! Coefficients of some blocks, and the likelihood of qualities given them.

use std::f64::consts::PI;
use std::sync::OnceLock;

use super::combs::{comb_odds, deviation, quantisers, FINENESS, ORDERS};

const NONZERO: f64 = 4.0;

/// Coefficients of some blocks by order, and whether the rows and columns of each are alike.
#[derive(Default)]
pub(super) struct Sample {
    pub(super) coefficients: [Vec<f64>; ORDERS.len()],
    pub(super) alike: Vec<u8>,
    /// Flat blocks of a level that an earlier one has: they say nothing new.
    pub(super) repeated: Vec<bool>,
}

impl Sample {
    #[inline(always)]
    pub(super) fn add(
        &mut self,
        block: &[[f32; 8]; 8],
        flat_levels: &mut [bool; 256],
        highest: usize,
    ) {
        let (mut from_above, mut from_left) = (0, 0);
        for y in 0..8 {
            for x in 0..8 {
                from_above |= block[y][x].to_bits() ^ block[0][x].to_bits();
                from_left |= block[y][x].to_bits() ^ block[y][0].to_bits();
            }
        }
        let (rows, columns) = (from_above == 0, from_left == 0);
        self.alike.push(u8::from(rows) + u8::from(columns));
        let flat = &mut flat_levels[(block[0][0] + 128.0).clamp(0.0, 255.0) as usize];
        self.repeated.push(rows && columns && *flat);
        *flat |= rows && columns;
        let (basis, across) = (cosines(), transposed());
        // down the columns first, eight columns at a time
        let mut vertical = [[0.0_f64; 8]; 8];
        for u in 0..=highest {
            let out = &mut vertical[u];
            for y in 0..8 {
                for x in 0..8 {
                    out[x] += basis[u][y] * f64::from(block[y][x]);
                }
            }
        }
        // then along the rows, all orders at a time
        let mut both = [[0.0_f64; 8]; 8];
        for u in 0..=highest {
            let (vertical, out) = (&vertical[u], &mut both[u]);
            for x in 0..8 {
                for v in 0..8 {
                    out[v] += vertical[x] * across[x][v];
                }
            }
        }
        for (coefficients, &(u, v)) in self.coefficients.iter_mut().zip(&ORDERS) {
            if u + v <= highest {
                coefficients.push(both[u][v]);
            }
        }
    }

    fn nonzero(&self, order: usize) -> impl Iterator<Item = usize> + '_ {
        let least = [0, 1, 2].map(|alike| NONZERO * deviation(alike));
        let pairs = self.coefficients[order].iter().zip(&self.alike).enumerate();
        pairs.filter(move |(_, (c, &alike))| c.abs() > least[usize::from(alike)]).map(|(i, _)| i)
    }

    /// Share of the coefficients but the mean that were quantised to zero.
    pub(super) fn zeros(&self) -> f64 {
        let count = self.alike.len();
        if count == 0 {
            return 0.0;
        }
        let share = |order| 1.0 - self.nonzero(order).count() as f64 / count as f64;
        (1..ORDERS.len()).map(share).sum::<f64>() / (ORDERS.len() - 1) as f64
    }

    pub(super) fn flat(&self) -> f64 {
        let flat: f64 = self.alike.iter().map(|&alike| f64::from(u8::from(alike == 2))).sum();
        flat / self.alike.len().max(1) as f64
    }

    /// Log odds of each quality (from 0), and the number of coefficients that were compared.
    pub(super) fn odds(
        &self,
        qualities: &[usize],
        most: usize,
        highest: usize,
    ) -> (Vec<f64>, usize) {
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

/// The orthonormal discrete cosine transform of length 8.
pub(super) fn cosines() -> &'static [[f64; 8]; 8] {
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

/// The same by place, then order.
fn transposed() -> &'static [[f64; 8]; 8] {
    static BASIS: OnceLock<[[f64; 8]; 8]> = OnceLock::new();
    BASIS.get_or_init(|| {
        std::array::from_fn(|place| std::array::from_fn(|order| cosines()[order][place]))
    })
}
