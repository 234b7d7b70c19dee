//! From residuals to bounds that hold, rounding included.
//!
//! Let `w > 0` satisfy `discount * max_a sum_t p(t | s, a) w(t) <= w(s) - 1` in every state that is not
//! over. If `T V - V <= c` with `c >= 0`, then `T (V + c w) <= V + c w`, so `V* <= V + c w`; if the
//! chosen actions add at least `-d` with `d >= 0` everywhere, then `V - d w <= V_policy <= V*`
//! (Puterman 1994, section 6.3; with weights: Bertsekas, DPOC 2, section 1.5). With a discount and no state
//! that is over, `w = 1 / (1 - discount)` serves both signs (`MacQueen` 1966, Porteus 1971).

use super::exact::UNIT;
use super::model::{Extremes, Model};
use super::sweep::{dot, Residuals};

/// What turns a residual into a distance from the optimal value.
#[derive(Debug, Clone)]
pub enum Weights {
    /// The same everywhere: at least, and at most; for both signs of residuals.
    Uniform {
        /// Rounded down.
        least: f64,
        /// Rounded up.
        most: f64,
        /// Whether there are states that are over: residuals of one sign only count against.
        one_sided: bool,
    },
    /// One for each state.
    PerState(Vec<f64>),
}

impl Weights {
    /// With a discount below one; `None` where rows sum to so much more than one that it is not.
    pub fn discounted(model: &Model, discount: f64, any_over: bool) -> Option<Self> {
        let Extremes { least_sum: least, most_sum: most, longest_row: longest, .. } =
            model.extremes();
        if model.pairs() == 0 {
            return Some(Self::Uniform { least: 1.0, most: 1.0, one_sided: true });
        }
        let slack = 1.0 + (longest as f64 + 2.0) * UNIT;
        let largest = (discount * (most * slack).next_up()).next_up();
        let smallest = (discount * (least / slack).next_down()).next_down();
        let (far, near) = ((1.0 - largest).next_down(), (1.0 - smallest).next_up());
        (far > 0.0).then(|| Self::Uniform {
            least: (1.0 / near).next_down(),
            most: (1.0 / far).next_up(),
            one_sided: any_over,
        })
    }

    /// From a guess of the greatest expected number of steps to come: scaled so that the condition
    /// holds, rounding included. `None` where the guess is too far off to be scaled.
    pub fn verified(
        model: &Model,
        discount: f64,
        over: &[bool],
        mut steps: Vec<f64>,
    ) -> Option<Self> {
        for (steps, &over) in steps.iter_mut().zip(over) {
            *steps = if over { 0.0 } else { steps.max(1.0) };
        }
        let mut slack = f64::INFINITY;
        for state in (0..model.states()).filter(|&state| !over[state]) {
            for pair in model.pairs_of(state) {
                let row = model.row(pair);
                let error = (row.0.len() as f64 + 3.0) * UNIT;
                let ahead = discount * dot(row, &steps) * (1.0 + error);
                slack = slack.min((steps[state] - ahead) - error * (ahead + steps[state]));
            }
        }
        if slack == f64::INFINITY {
            slack = 1.0;
        }
        if !(1e-3..=f64::MAX).contains(&slack) {
            return None;
        }
        for steps in &mut steps {
            *steps = (*steps / slack * (1.0 + 4.0 * UNIT)).next_up();
        }
        Some(Self::PerState(steps))
    }

    /// The largest weight.
    pub fn largest(&self) -> f64 {
        match self {
            Self::Uniform { most, .. } => *most,
            Self::PerState(weights) => weights.iter().copied().fold(1.0, f64::max),
        }
    }

    /// Widens residuals by the error that they may have, and to the signs that count.
    fn widened(&self, found: Residuals, margin: f64) -> (f64, f64) {
        let slip = |value: f64| margin + 2.0 * UNIT * value.abs();
        let mut low = (found.least - slip(found.least)).next_down();
        let mut high = (found.most + slip(found.most)).next_up();
        if !matches!(self, Self::Uniform { one_sided: false, .. }) {
            low = low.min(0.0);
            high = high.max(0.0);
        }
        (low, high)
    }

    /// How far apart the bounds would be at most, before their own rounding.
    pub fn width(&self, found: Residuals, margin: f64) -> f64 {
        let (low, high) = self.widened(found, margin);
        let (down, up) = self.steps(low, high, usize::MAX);
        up - down
    }

    fn steps(&self, low: f64, high: f64, state: usize) -> (f64, f64) {
        match self {
            Self::Uniform { least, most, .. } => (
                (low * if low < 0.0 { *most } else { *least }).next_down(),
                (high * if high > 0.0 { *most } else { *least }).next_up(),
            ),
            Self::PerState(weights) => {
                let weight = weights.get(state).copied().unwrap_or_else(|| self.largest());
                ((low * weight).next_down(), (high * weight).next_up())
            }
        }
    }

    /// Lower and upper bounds of the optimal value, from `high + low` and its residuals. The lower one
    /// also bounds what the policy earns that chose.
    pub fn bounds(
        &self,
        (value, rest): (&[f64], Option<&[f64]>),
        over: &[bool],
        found: Residuals,
        margin: f64,
    ) -> (Vec<f64>, Vec<f64>) {
        let (least, most) = self.widened(found, margin);
        let uniform = self.steps(least, most, usize::MAX);
        let per_state = matches!(self, Self::PerState(_));
        let mut lower = Vec::with_capacity(value.len());
        let mut upper = Vec::with_capacity(value.len());
        for state in 0..value.len() {
            if over[state] {
                lower.push(0.0);
                upper.push(0.0);
                continue;
            }
            let (down, up) = if per_state { self.steps(least, most, state) } else { uniform };
            let rest = rest.map_or(0.0, |rest| rest[state]);
            lower.push(add_down(value[state], rest, down));
            upper.push(-add_down(-value[state], -rest, -up));
        }
        (lower, upper)
    }
}

/// A number not above `high + low + step`, where `low` is small beside `high`, and close to it.
fn add_down(high: f64, low: f64, step: f64) -> f64 {
    let small = (low + step).next_down();
    let (sum, left) = super::exact::sum(high, small);
    if left < 0.0 || !sum.is_finite() {
        sum.next_down()
    } else {
        sum
    }
}
