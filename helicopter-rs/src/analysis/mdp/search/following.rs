//! Value iteration, with or without some steps of each policy between.

use std::borrow::Cow;

use super::Search;
use crate::analysis::mdp::certificate::Weights;
use crate::analysis::mdp::model::SUM_TOLERANCE;
use crate::analysis::mdp::sweep::{Residuals, Values};
use crate::error::Result;
use crate::host::Host;

/// Improvements whose residuals are none the smaller after which rounding is all that is left.
const PATIENT_SWEEPS: usize = 50;
/// Single precision will do as long as residuals differ by so many times its error.
const WORTH_NARROWING: f64 = 64.0;
/// `auto` goes over to policy iteration where so many steps are still to be expected.
const PATIENCE: f64 = 120.0;

impl Search<'_> {
    /// Value iteration, with some steps of each policy between. True when the bounds are as close as
    /// asked; false when that takes too long this way (if `leave` allows to say so), cannot be told
    /// in double precision, or at the limit of rounds.
    pub(super) fn follow_policies(
        &mut self,
        steps: usize,
        leave: bool,
        host: &dyn Host,
    ) -> Result<bool> {
        let mut stalled = 0;
        let mut narrowest = f64::INFINITY;
        let mut span_before = f64::NAN;
        let mut rough = self.problem.scattered;
        let mut before_choice = Vec::new();
        while self.iterations < self.options.max_iterations {
            host.check()?;
            self.tell(host);
            let (rough_error, found) =
                if rough { self.improve_roughly() } else { (0.0, self.improve()) };
            if !rough && self.is_done(found, self.margin()) {
                return Ok(true);
            }
            if !found.span().is_finite() {
                return Ok(false);
            }
            let aim = self.residual_aim();
            let rounding = 4.0 * self.margin();
            if found.span() <= rounding || aim <= rounding && found.span() <= 16.0 * rounding {
                return Ok(false);
            }
            stalled = if found.span() < (1.0 - 1e-9) * narrowest { 0 } else { stalled + 1 };
            if stalled > PATIENT_SWEEPS {
                return Ok(false);
            }
            narrowest = narrowest.min(found.span());
            std::mem::swap(&mut self.value, &mut self.next);
            if steps == 0 {
                rough = rough && found.span() > WORTH_NARROWING * rough_error;
                self.shift(found);
                continue;
            }
            self.rows.fill(&self.problem.model, &self.choice);
            self.eliminate(found, self.margin() + rough_error);
            let mut before = found;
            let mut now = found;
            // the next improvement will find so much to change that to be more exact now is in vain;
            // if this one changed nothing, it will find nothing either
            let settled = before_choice == self.choice;
            before_choice.clone_from(&self.choice);
            let shrinking = (found.span() / span_before).clamp(0.03, 1.0);
            let shrinking = if shrinking.is_nan() { 0.5 } else { shrinking };
            let shrinking = if settled { 0.0 } else { shrinking };
            let enough = (0.3 * found.span() * shrinking).max(0.3 * aim);
            span_before = found.span();
            let mut taken = 0;
            while taken < steps && now.span() > enough {
                taken += 1;
                now = self.follow(rough);
                std::mem::swap(&mut self.value, &mut self.next);
                if taken + 3 == steps {
                    before = now;
                }
                if taken % 8 == 0 {
                    host.check()?;
                }
            }
            rough = rough && now.span() > WORTH_NARROWING * rough_error;
            self.shift(now);
            if leave && taken == steps {
                let rate = (now.span() / before.span()).cbrt();
                let ahead = (aim / now.span()).ln() / rate.ln();
                if rate >= 1.0 || ahead > PATIENCE {
                    return Ok(false);
                }
            }
        }
        Ok(false)
    }

    /// One step of the present policy.
    fn follow(&mut self, roughly: bool) -> Residuals {
        let discount = self.options.discount;
        if roughly {
            let (constant, _) = self.narrow_down();
            let read = Values { less: &self.narrow[..], constant };
            return self.rows.step(
                discount,
                &self.value,
                read,
                &mut self.next,
                self.problem.scattered,
            );
        }
        let read = Values::plain(&self.value);
        self.rows.step(discount, &self.value, read, &mut self.next, self.problem.scattered)
    }

    /// A constant changes no decision where nothing ever ends: the one that centres the residuals.
    fn shift(&mut self, found: Residuals) {
        let Weights::Uniform { most, one_sided: false, .. } = self.weights else { return };
        let constant = self.options.discount * most * 0.5 * (found.least + found.most);
        if constant.is_finite() {
            self.value.iter_mut().for_each(|value| *value += constant);
        }
    }

    /// The same where single precision will do: with the value less the middle of it, and an error of
    /// up to the first that is returned.
    fn improve_roughly(&mut self) -> (f64, Residuals) {
        self.iterations += 1;
        let (constant, error) = self.narrow_down();
        let sweeps = self.problem.sweeps();
        let read = Values { less: &self.narrow[..], constant };
        let found =
            sweeps.greedy(&self.value, read, &mut self.next, &mut self.choice, &mut self.gaps);
        (error, found)
    }

    /// Fills `narrow`; returns the constant that is left out, and the largest error.
    fn narrow_down(&mut self) -> (f64, f64) {
        let bounds = (f64::INFINITY, f64::NEG_INFINITY);
        let (low, high) = self.value.iter().fold(bounds, |(low, high), &value| {
            (if value < low { value } else { low }, if value > high { value } else { high })
        });
        let constant = 0.5 * (low + high);
        self.narrow.clear();
        self.narrow.extend(self.value.iter().map(|value| (value - constant) as f32));
        (constant, f64::from(f32::EPSILON) * (high - low))
    }

    /// Leaves out actions that are shown to be worse than the best wherever the optimal value may
    /// still be (`MacQueen` 1967): by more than the bounds can move the one against the other.
    fn eliminate(&mut self, found: Residuals, margin: f64) {
        let Weights::Uniform { most, one_sided, .. } = self.weights else { return };
        if self.gaps.is_empty() {
            return;
        }
        let apart = if one_sided {
            found.most.max(0.0) - found.least.min(0.0)
        } else {
            found.span() + 4.0 * SUM_TOLERANCE * found.largest()
        };
        let worse = 1.001 * most * (apart + 4.0 * margin) + 8.0 * margin;
        let hopeless = |gap: f32| f64::from(gap) > worse;
        let gone = self.gaps.iter().filter(|&&gap| hopeless(gap)).count();
        if gone * 3 < self.gaps.len() || !worse.is_finite() {
            return;
        }
        let gaps = std::mem::take(&mut self.gaps);
        let fewer = self.problem.model.restricted(|pair| !hopeless(gaps[pair]));
        self.gaps = gaps;
        self.gaps.clear();
        if fewer.pairs() > fewer.states() + fewer.states() / 8 {
            self.gaps.resize(fewer.pairs(), 0.0);
        }
        self.problem.model = Cow::Owned(fewer);
    }
}
