//! The incomplete beta function and its inverse.
//!
//! The function by the continued fraction of DLMF 8.17.22 (<https://dlmf.nist.gov/8.17>); what stands
//! before it by deviances, as in Loader, "Fast and accurate computation of binomial probabilities"
//! (2000), so that nothing is lost where the parameters are large.

use std::f64::consts::{LN_2, PI};

/// Steps after which the continued fraction has converged for parameters up to 1e6, with room.
const MOST_STEPS: u32 = 20_000;
const TINY: f64 = 1e-300;
/// Halley's method takes two or three steps; halving the bracket takes as many as this.
const MOST_HALVINGS: u32 = 200;
/// Logits beyond which float64 knows no other number than 0 or 1.
const FARTHEST: f64 = 740.0;

/// A Beta law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beta {
    /// First parameter, positive.
    pub a: f64,
    /// Second parameter, positive.
    pub b: f64,
}

impl Beta {
    /// x^a (1 - x)^b / B(a, b), with y = 1 - x.
    #[must_use]
    pub fn density(self, x: f64, y: f64) -> f64 {
        let Self { a, b } = self;
        if x <= 0.0 || y <= 0.0 {
            return 0.0;
        }
        let total = a + b;
        let rest = excess(total) - excess(a) - excess(b);
        let log = rest - deviance(a, total * x) - deviance(b, total * y);
        ((a / total) * b / (2.0 * PI)).sqrt() * log.exp()
    }

    /// The probabilities of being below x, and above, with y = 1 - x.
    #[must_use]
    pub fn below_above(self, x: f64, y: f64) -> (f64, f64) {
        let Self { a, b } = self;
        let density = self.density(x, y);
        if x > (a + 1.0) / (a + b + 2.0) {
            let above = (density * fraction(b, a, y) / b).min(1.0);
            (1.0 - above, above)
        } else {
            let below = (density * fraction(a, b, x) / a).min(1.0);
            (below, 1.0 - below)
        }
    }

    /// The x below which a variable lies with probability `below`, where `above` = 1 - `below`.
    ///
    /// By Halley's method for the logarithm of the smaller of the two, over the logit of x, where it
    /// is nearly straight; and within a bracket.
    #[must_use]
    pub fn quantile(self, below: f64, above: f64) -> f64 {
        if below <= 0.0 {
            return 0.0;
        }
        if above <= 0.0 {
            return 1.0;
        }
        let (mut low, mut high) = (-FARTHEST, FARTHEST);
        let spread = (1.0 / self.a + 1.0 / self.b).sqrt();
        let mut logit = (self.a / self.b).ln() + normal_quantile(below, above) * spread;
        logit = logit.clamp(low, high);
        for _ in 0..MOST_HALVINGS {
            let (x, y) = (1.0 / (1.0 + (-logit).exp()), 1.0 / (1.0 + logit.exp()));
            let (here_below, here_above) = self.below_above(x, y);
            // the logarithm of too much (or too little), growing with the logit in both cases, its
            // slope, and the slope of that: the density changes by a y - b x times itself
            let density = self.density(x, y);
            let bend = self.a * y - self.b * x;
            let (off, slope, curve) = if below <= above {
                let slope = density / here_below;
                ((here_below / below).ln(), slope, slope * (bend - slope))
            } else {
                let slope = density / here_above;
                (-(here_above / above).ln(), slope, slope * (bend + slope))
            };
            if off > 0.0 {
                high = high.min(logit);
            } else {
                low = low.max(logit);
            }
            let newton = off / slope;
            let step = newton / (1.0 - 0.5 * newton * curve / slope).max(0.5);
            if step.abs() <= 1e-5 * spread.min(1.0) {
                // the error is about the cube of that
                logit -= step;
                break;
            }
            let halley = logit - step;
            logit = if halley > low && halley < high { halley } else { 0.5 * (low + high) };
        }
        1.0 / (1.0 + (-logit).exp())
    }
}

/// To three digits: where to begin. Abramowitz & Stegun, 26.2.23.
fn normal_quantile(below: f64, above: f64) -> f64 {
    let t = (-2.0 * below.min(above).ln()).sqrt();
    let over = (0.010_328 * t + 0.802_853) * t + 2.515_517;
    let under = ((0.001_308 * t + 0.189_269) * t + 1.432_788) * t + 1.0;
    let size = t - over / under;
    if below <= above {
        -size
    } else {
        size
    }
}

fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let (mut value, mut c, mut d) = (1.0, 1.0, 0.0);
    for step in 1..MOST_STEPS {
        let m = f64::from(step / 2);
        let term = if step % 2 == 1 {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        } else {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        };
        d = 1.0 / not_zero(1.0 + term * d);
        c = not_zero(1.0 + term / c);
        let change: f64 = c * d;
        value *= change;
        if (change - 1.0).abs() < 4e-16 {
            break;
        }
    }
    1.0 / value
}

fn not_zero(value: f64) -> f64 {
    if value.abs() > TINY {
        value
    } else {
        TINY
    }
}

/// `a ln(a / mean) + mean - a`, to full precision where `a` is near `mean`.
fn deviance(a: f64, mean: f64) -> f64 {
    let difference = a - mean;
    if difference.abs() < 0.1 * (a + mean) {
        let v = difference / (a + mean);
        let mut sum = difference * v;
        let mut power = 2.0 * a * v;
        let mut odd = 3.0;
        loop {
            power *= v * v;
            let term = power / odd;
            sum += term;
            odd += 2.0;
            if term.abs() <= 1e-17 * sum.abs() {
                return sum;
            }
        }
    }
    a * (a / mean).ln() + mean - a
}

/// By how much ln G(z) exceeds Stirling's (z - 1/2) ln z - z + ln(2 pi) / 2.
fn excess(z: f64) -> f64 {
    if z < 16.0 {
        return libm::lgamma(z) - ((z - 0.5) * z.ln() - z + 0.5 * (LN_2 + PI.ln()));
    }
    let w = 1.0 / (z * z);
    let series = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0];
    series.iter().rev().fold(0.0, |sum, term| sum * w + term) / z
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64, relative: f64) {
        assert!((got - expected).abs() <= relative * expected.abs(), "{got} is not {expected}");
    }

    #[test]
    fn known_values() {
        // polynomials, and the arcsine law
        close(Beta { a: 1.0, b: 1.0 }.below_above(0.3, 0.7).0, 0.3, 1e-15);
        close(Beta { a: 2.0, b: 3.0 }.below_above(0.4, 0.6).0, 0.5248, 1e-14);
        close(Beta { a: 3.0, b: 1.0 }.below_above(0.25, 0.75).0, 0.015_625, 1e-14);
        let arcsine = 2.0 / PI * 0.3_f64.sqrt().asin();
        close(Beta { a: 0.5, b: 0.5 }.below_above(0.3, 0.7).0, arcsine, 1e-14);
        // mean 1e6 / (1e6 + 1), exactly: I_x(a, 1) = x^a
        let x: f64 = 0.999_999;
        let (below, _) = Beta { a: 1e6, b: 1.0 }.below_above(x, 1e-6);
        close(below, (1e6 * (-1e-6_f64).ln_1p()).exp(), 1e-9);
    }

    #[test]
    fn quantiles_are_inverse() {
        for a in [0.01, 0.5, 1.0, 3.7, 40.0, 5e3, 1e6] {
            for b in [0.02, 0.5, 1.0, 8.0, 300.0, 1e5] {
                for below in [1e-9, 0.005, 0.025, 0.3, 0.5, 0.9, 0.975] {
                    let law = Beta { a, b };
                    let x = law.quantile(below, 1.0 - below);
                    if !(1e-250..=1.0 - 1e-9).contains(&x) {
                        continue; // 1 - x cannot be told from x
                    }
                    let got = law.below_above(x, 1.0 - x).0;
                    assert!(
                        (got - below).abs()
                            < 1e-8 * below.min(1.0 - below) + 1e-12 * law.density(x, 1.0 - x),
                        "{a} {b} {below}: {x} {got}"
                    );
                }
            }
        }
    }

    #[test]
    fn ends() {
        let law = Beta { a: 2.0, b: 5.0 };
        close(law.quantile(0.0, 1.0), 0.0, 0.0);
        close(law.quantile(1.0, 0.0), 1.0, 0.0);
        assert_eq!(law.below_above(0.0, 1.0), (0.0, 1.0));
        assert_eq!(law.below_above(1.0, 0.0), (1.0, 0.0));
    }
}
