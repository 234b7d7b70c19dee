//! Policy iteration: Newton's method on Bellman's equation.

use std::borrow::Cow;

use super::{largest, Judge, Search};
use crate::analysis::mdp::certificate::Weights;
use crate::analysis::mdp::exact;
use crate::analysis::mdp::linear::System;
use crate::analysis::mdp::order::better_order;
use crate::error::Result;
use crate::host::Host;

/// How closely the value of a policy is solved for that will not be the last.
const ROUGHLY: f64 = 0.1;
/// Sweeps in place after each policy that was solved for: they carry its news to the next one.
const SWEEPS: usize = 4;
/// Improvements without progress after which nothing more is to be hoped for.
const STALLED: usize = 4;

impl Search<'_> {
    /// Puts states in an order in which incomplete factors are good.
    pub(super) fn reorder(&mut self) {
        let Some(order) = better_order(&self.problem.model) else { return };
        self.value = order.iter().map(|&state| self.value[state as usize]).collect();
        self.problem.over = order.iter().map(|&state| self.problem.over[state as usize]).collect();
        if let Weights::PerState(weights) = &mut self.weights {
            *weights = order.iter().map(|&state| weights[state as usize]).collect();
        }
        self.problem.model = Cow::Owned(self.problem.model.reordered(&order));
        self.order = Some(order);
    }

    /// Policy iteration: Newton's method on Bellman's equation. First in double precision, then with
    /// residuals and values to twice that.
    pub(super) fn solve_for_policies(&mut self, host: &dyn Host) -> Result<()> {
        let states = self.problem.model.states();
        self.gaps.clear();
        let mut system = System::default();
        let mut step = vec![0.0; states];
        let mut residual = vec![0.0; states];
        let mut policy_of_system: Vec<u32> = Vec::new();
        let mut stalled = 0;
        let mut narrowest = f64::INFINITY;
        while self.iterations < self.options.max_iterations {
            host.check()?;
            self.tell(host);
            let plain_margin = self.margin();
            let exact = self.rest.is_some();
            let (found, margin) = if exact {
                self.iterations += 1;
                let margin = self.problem.sweeps().exact_margin(largest(&self.value));
                let mut choice = std::mem::take(&mut self.choice);
                let pair = (self.value.as_slice(), self.rest.as_deref().expect("exact"));
                let found = self.problem.sweeps().greedy_exact(
                    pair,
                    plain_margin,
                    &mut residual,
                    &mut choice,
                );
                self.choice = choice;
                (found, margin)
            } else {
                let found = self.improve();
                for ((residual, next), value) in
                    residual.iter_mut().zip(&self.next).zip(&self.value)
                {
                    *residual = next - value;
                }
                (found, plain_margin)
            };
            if self.is_done(found, margin) || !found.span().is_finite() {
                return Ok(());
            }
            let size = found.largest();
            let near_rounding = size <= 64.0 * plain_margin;
            if !exact && near_rounding && self.judged_by != Judge::Residuals {
                self.rest = Some(vec![0.0; states]);
                narrowest = f64::INFINITY;
                stalled = 0;
                continue;
            }
            let width = found.span().max(margin);
            stalled = if width < 0.5 * narrowest { 0 } else { stalled + 1 };
            narrowest = narrowest.min(width);
            let limit = if exact { STALLED } else { 200 };
            if stalled > limit {
                return Ok(());
            }
            let same_policy = policy_of_system == self.choice;
            if !same_policy {
                self.rows.fill(&self.problem.model, &self.choice);
                system.fill(&self.rows, self.options.discount);
                policy_of_system.clone_from(&self.choice);
            }
            let aim = self.residual_aim();
            let wanted = 0.1 * aim / (size * (states as f64).sqrt());
            let tolerance = if same_policy { wanted.clamp(1e-11, 0.03) } else { ROUGHLY };
            system.solve(&residual, &mut step, tolerance, host)?;
            self.add(&step);
            if !exact && !same_policy {
                let mut value = std::mem::take(&mut self.value);
                for sweep in 0..SWEEPS {
                    self.problem.sweeps().in_place(&mut value, sweep % 2 == 0);
                }
                self.value = value;
            }
        }
        Ok(())
    }

    /// Adds a step to the value, keeping what rounding leaves over where that counts.
    fn add(&mut self, step: &[f64]) {
        match &mut self.rest {
            None => self.value.iter_mut().zip(step).for_each(|(value, step)| *value += step),
            Some(rest) => {
                for ((value, rest), step) in self.value.iter_mut().zip(rest).zip(step) {
                    (*value, *rest) = exact::sum(*value, *rest + step);
                }
            }
        }
    }
}
