//! What each quality predicts: combs of coefficients, and the odds for what is seen.

use std::f64::consts::TAU;
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
