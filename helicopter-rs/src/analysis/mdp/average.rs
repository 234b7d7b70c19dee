//! The average reward per step, where it is the same from everywhere.
//!
//! For any `h`, no policy earns more per step than the largest of `T h - h`, and the one that is
//! greedy for `h` earns at least the smallest (Odoni 1969; Puterman 1994, theorem 8.5.5). The search
//! starts from what the discounted value becomes, but for a constant, when the discount goes to one
//! (Blackwell 1962), and goes on with Newton's method on `T h - h = g` (Howard 1960), to twice the
//! working precision; its systems have a discount of almost one, so that none is singular.

use super::linear::System;
use super::model::Model;
use super::policy::PolicyRows;
use super::solver::nearly_level;
use super::sweep::{Residuals, Sweeps, NO_PAIR};
use crate::error::Result;
use crate::host::Host;

/// The gain, enclosed, and a policy that earns it.
#[derive(Debug, Clone)]
pub struct Average {
    /// Not above what `policy` earns per step.
    pub gain_low: f64,
    /// Not below what any policy does.
    pub gain_high: f64,
    /// What starting in a state is worth beside starting in state 0.
    pub bias: Vec<f64>,
    /// -1 where there is nothing to do.
    pub policy: Vec<i64>,
    /// Improvements that were looked for.
    pub iterations: usize,
    /// Whether the bounds are within epsilon.
    pub converged: bool,
}

/// How far the discount is from one that the search starts with, ...
const AT_FIRST: f64 = 1e-3;
/// ... and that of the systems of Newton's method.
const IN_SYSTEMS: f64 = 1e-9;
/// Steps without progress after which nothing more is to be hoped for.
const STALLED: usize = 5;

/// Solves a model for the average reward.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn solve(
    model: &Model,
    epsilon: f64,
    max_iterations: usize,
    host: &dyn Host,
) -> Result<Average> {
    let states = model.states();
    let over: Vec<bool> = (0..states).map(|state| model.pairs_of(state).is_empty()).collect();
    let most_reward = model.extremes().most_reward;
    let mut out = Average {
        gain_low: f64::NEG_INFINITY,
        gain_high: f64::INFINITY,
        bias: vec![0.0; states],
        policy: vec![-1; states],
        iterations: 0,
        converged: false,
    };
    // a chain that loses a little at each step has no gain: rows count as divided by their sums,
    // which moves a residual by no more than this share of the largest value
    let extremes = model.extremes();
    let of_sums = (extremes.most_sum - 1.0).abs().max((1.0 - extremes.least_sum).abs());
    let leak = 1.01 * (of_sums + (extremes.longest_row as f64 + 2.0) * super::exact::UNIT);
    let roughly = (0.1 * epsilon).max(1e-6 * most_reward);
    let (mut high, mut low, iterations) =
        nearly_level(model, 1.0 - AT_FIRST, roughly, max_iterations, host)?;
    out.iterations += iterations;
    let (mut residual, mut choice) = (vec![0.0; states], vec![NO_PAIR; states]);
    let mut step = vec![0.0; states];
    let mut system = System::default();
    let mut rows = PolicyRows::default();
    let mut of_system: Vec<u32> = Vec::new();
    let mut stalled = 0;
    // the bias is as good as the step after the one with which the bounds were close enough
    let mut polished = false;
    loop {
        host.check()?;
        measure_from_first(&over, &mut high, &mut low);
        let most = high.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let sweeps =
            Sweeps { model, discount: 1.0, over: &over, tie: epsilon / 16.0, scattered: false };
        let plain = sweeps.margin(most);
        let found = sweeps.greedy_exact((&high, &low), plain, &mut residual, &mut choice);
        let margin = sweeps.exact_margin(most) + leak * most;
        let (gain_low, gain_high) = outward(found, margin);
        let (width, before) = (gain_high - gain_low, out.gain_high - out.gain_low);
        stalled = if width < 0.5 * before { 0 } else { stalled + 1 };
        if width < before || width <= epsilon {
            (out.gain_low, out.gain_high) = (gain_low, gain_high);
            out.bias.copy_from_slice(&high);
            out.policy.clear();
            out.policy.extend(choice.iter().map(|&pair| match pair {
                NO_PAIR => -1,
                pair => i64::from(model.actions()[pair as usize]),
            }));
        }
        out.converged = out.gain_high - out.gain_low <= epsilon;
        let last = out.iterations >= max_iterations || stalled > STALLED || !width.is_finite();
        if last || (out.converged && polished) {
            break;
        }
        polished = out.converged;
        out.iterations += 1;
        if of_system != choice {
            rows.fill(model, &choice);
            system.fill(&rows, 1.0 - IN_SYSTEMS);
            of_system.clone_from(&choice);
        }
        // the middle of the residuals is the gain, or nearly so; what is left is to be levelled
        let gain = if over.contains(&true) { 0.0 } else { 0.5 * (found.least + found.most) };
        for residual in &mut residual {
            *residual -= gain;
        }
        system.solve(&residual, &mut step, 1e-10, host)?;
        for ((high, low), step) in high.iter_mut().zip(&mut low).zip(&step) {
            (*high, *low) = super::exact::sum(*high, *low + step);
        }
    }
    Ok(out)
}

/// Subtracts a constant, so that what is over is worth nothing, or else the first state.
fn measure_from_first(over: &[bool], high: &mut [f64], low: &mut [f64]) {
    let zero = over.iter().position(|&over| over).unwrap_or(0);
    let (of_high, of_low) = (high[zero], low[zero]);
    for (high, low) in high.iter_mut().zip(low) {
        let sum = super::exact::sum(*high, -of_high);
        (*high, *low) = super::exact::quick_sum(sum.0, sum.1 + (*low - of_low));
    }
}

fn outward(found: Residuals, margin: f64) -> (f64, f64) {
    let slip = |value: f64| margin + 2.0 * super::exact::UNIT * value.abs();
    ((found.least - slip(found.least)).next_down(), (found.most + slip(found.most)).next_up())
}
