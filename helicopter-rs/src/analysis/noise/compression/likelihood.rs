//! How likely each quality of JPEG is, given the coefficients of some blocks: quantised ones lie on a
//! comb, whose step is the quality's.

use std::f64::consts::{PI, TAU};
use std::sync::OnceLock;

const LUMINANCE: [u32; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
pub(super) const QUALITIES: usize = 100;
/// (vertical, horizontal) frequency, of order 6 at most.
pub(super) const ORDERS: [(usize, usize); 28] = orders();
pub(super) const HIGH_ORDER: usize = 6;
const ROUNDING: f64 = 0.3;
const STRAY: f64 = 0.02;
pub(super) const FINENESS: u32 = 16;
const FARTHEST: f64 = 5.0;

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

/// One entry of the IJG's luminance table of this quality.
pub(super) fn quantiser(quality: usize, entry: usize) -> u32 {
    let quality = quality as u32;
    let scale = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    ((LUMINANCE[entry] * scale + 50) / 100).clamp(1, 255)
}

/// Steps of all qualities, by order.
pub(super) fn quantisers() -> &'static [[u32; QUALITIES]; ORDERS.len()] {
    static STEPS: OnceLock<[[u32; QUALITIES]; ORDERS.len()]> = OnceLock::new();
    STEPS.get_or_init(|| {
        ORDERS.map(|(u, v)| std::array::from_fn(|quality| quantiser(quality + 1, 8 * u + v)))
    })
}

/// Standard deviation of a coefficient's error, for a block of none, one or two of rows and columns
/// alike.
pub(super) fn deviation(alike: usize) -> f64 {
    ROUNDING * 8.0_f64.sqrt().powi(alike as i32)
}

/// Log odds of combs by the distance from the nearest multiple, for all steps from 1 to 255.
pub(super) struct Combs {
    pub(super) length: usize,
    pub(super) odds: Vec<f64>,
}

impl Combs {
    pub(super) fn of(&self, step: u32) -> &[f64] {
        &self.odds[(step as usize - 1) * self.length..][..self.length]
    }
}

/// Log odds of a comb by its step and by the distance from the nearest multiple; see the reference.
pub(super) fn comb_odds() -> &'static [Combs; 3] {
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
