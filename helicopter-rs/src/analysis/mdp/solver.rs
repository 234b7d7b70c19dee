//! Optimal values and policies, with an enclosure that holds.
//!
//! Three ways, and one that chooses. *Value iteration* applies Bellman's operator; *modified policy
//! iteration* (Puterman and Shin 1978) follows each policy for a few steps between; both are at their
//! best where the chain mixes at once. *Policy iteration* (Howard 1960) solves for the value of each
//! policy, here only as far as it serves the next one (inexact Newton: Dembo, Eisenstat, Steihaug
//! 1982; Gargiani et al. 2024), and does not mind how slowly the chain mixes. `auto` starts with the
//! second and goes over to the third when it sees that the residuals shrink slowly.

use super::certificate::Weights;
use super::linear::System;
use super::model::{Model, SUM_TOLERANCE};
use super::order::better_order;
use super::policy::PolicyRows;
use super::sweep::{Residuals, Sweeps, Values, NO_PAIR};
use crate::error::Result;
use crate::host::Host;

/// How to look for the optimal policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Whatever gets there soonest.
    Auto,
    /// Bellman's operator, again and again.
    ValueIteration,
    /// Each policy's value, solved for.
    PolicyIteration,
    /// Each policy followed for some steps.
    ModifiedPolicyIteration,
}

impl Method {
    /// What users call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::ValueIteration => "value_iteration",
            Self::PolicyIteration => "policy_iteration",
            Self::ModifiedPolicyIteration => "modified_policy_iteration",
        }
    }
}

/// What is asked of [`solve`].
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// In (0, 1]; one only where every policy ends.
    pub discount: f64,
    /// How to look.
    pub method: Method,
    /// How wide the enclosure may be.
    pub epsilon: f64,
    /// After how many rounds to give up.
    pub max_iterations: usize,
}

/// What [`solve`] found.
#[derive(Debug, Clone)]
pub struct Run {
    /// Between the bounds.
    pub value: Vec<f64>,
    /// Not above the value of `policy`, nor above the optimal one.
    pub lower: Vec<f64>,
    /// Not below the optimal value.
    pub upper: Vec<f64>,
    /// The number of the action in each state; -1 where there is none.
    pub policy: Vec<i64>,
    /// Improvements of the policy that were looked for.
    pub iterations: usize,
    /// The way that led there.
    pub method: Method,
    /// Whether the bounds are within epsilon.
    pub converged: bool,
}

/// Steps of a policy between two improvements, at most.
const MOST_STEPS: usize = 24;
/// Improvements whose residuals are none the smaller after which rounding is all that is left.
const PATIENT_SWEEPS: usize = 50;
/// How closely the value of a policy is solved for that will not be the last.
const ROUGHLY: f64 = 0.1;
/// Sweeps in place after each policy that was solved for: they carry its news to the next one.
const SWEEPS: usize = 4;
/// So many values do not fit into a processor's own memory.
const SCATTERED: usize = 30_000;
/// `auto` goes over to policy iteration where so many steps are still to be expected.
const PATIENCE: f64 = 120.0;
/// Improvements without progress after which nothing more is to be hoped for.
const STALLED: usize = 4;

/// Solves a model.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn solve(model: &Model, options: Options, host: &dyn Host) -> Result<Run> {
    let over = states_over(model, options.discount);
    let Some(weights) = weights_of(model, options.discount, &over, host)? else {
        return Ok(unbounded(model));
    };
    let mut search = Search::new(model, options, weights, over);
    search.run(host)
}

/// Whose value is zero: terminal states, and with discount one those that stay for nothing.
pub(super) fn states_over(model: &Model, discount: f64) -> Vec<bool> {
    (0..model.states())
        .map(|state| model.pairs_of(state).is_empty() || (discount >= 1.0 && model.is_over(state)))
        .collect()
}

fn weights_of(
    model: &Model,
    discount: f64,
    over: &[bool],
    host: &dyn Host,
) -> Result<Option<Weights>> {
    if discount < 1.0 {
        let any_over = over.contains(&true);
        if let Some(weights) = Weights::discounted(model, discount, any_over) {
            return Ok(Some(weights));
        }
    }
    // the greatest expected number of steps is the value of a model that pays one for each
    let counting = model.counting_steps();
    let options = Options {
        discount,
        method: Method::Auto,
        epsilon: f64::INFINITY, // judged by its residuals alone, below
        max_iterations: 10_000,
    };
    let guessed = Weights::PerState(vec![1.0; model.states()]);
    let mut search = Search::new(&counting, options, guessed, over.to_vec());
    search.target = 0.05;
    search.judged_by = Judge::Residuals;
    search.run(host)?;
    let steps = search.value_in_order();
    Ok(Weights::verified(model, discount, over, steps))
}

/// Nothing is known: the model has no finite value that could be bounded.
fn unbounded(model: &Model) -> Run {
    let states = model.states();
    Run {
        value: vec![f64::NAN; states],
        lower: vec![f64::NEG_INFINITY; states],
        upper: vec![f64::INFINITY; states],
        policy: vec![-1; states],
        iterations: 0,
        method: Method::Auto,
        converged: false,
    }
}

/// A value function whose residuals at this discount are within `span` of each other, or nearly so:
/// high and low parts, and how many improvements it took.
pub(super) fn nearly_level(
    model: &Model,
    discount: f64,
    span: f64,
    max_iterations: usize,
    host: &dyn Host,
) -> Result<(Vec<f64>, Vec<f64>, usize)> {
    let over = states_over(model, discount);
    let states = model.states();
    let options =
        Options { discount, method: Method::Auto, epsilon: f64::INFINITY, max_iterations };
    let any_over = over.contains(&true);
    let guessed = Weights::Uniform { least: 1.0, most: 1.0, one_sided: any_over };
    let weights = Weights::discounted(model, discount, any_over).unwrap_or(guessed);
    let mut search = Search::new(model, options, weights, over);
    search.target = span;
    search.judged_by = Judge::Span;
    search.run(host)?;
    let rest = search.rest.as_ref().map_or_else(|| vec![0.0; states], |rest| search.in_order(rest));
    Ok((search.value_in_order(), rest, search.iterations))
}

/// The state of one search.
struct Search<'a> {
    model: std::borrow::Cow<'a, Model>,
    /// Who comes k-th, where states were put in another order.
    order: Option<Vec<u32>>,
    options: Options,
    weights: Weights,
    over: Vec<bool>,
    /// How wide the bounds may be.
    target: f64,
    /// What `target` bounds.
    judged_by: Judge,
    tie: f64,
    value: Vec<f64>,
    rest: Option<Vec<f64>>,
    next: Vec<f64>,
    choice: Vec<u32>,
    /// How much worse each pair is than the best; empty where it does not matter.
    gaps: Vec<f32>,
    scattered: bool,
    /// The value less a constant, in single precision.
    narrow: Vec<f32>,
    rows: PolicyRows,
    iterations: usize,
    best: Option<Enclosure>,
}

/// When a search is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judge {
    /// When the bounds of the value are close to each other.
    Bounds,
    /// When all residuals are small.
    Residuals,
    /// When all residuals are much the same.
    Span,
}

/// The best that is known.
struct Enclosure {
    width: f64,
    lower: Vec<f64>,
    upper: Vec<f64>,
    policy: Vec<i64>,
}

impl<'a> Search<'a> {
    fn new(model: &'a Model, options: Options, weights: Weights, over: Vec<bool>) -> Self {
        let states = model.states();
        let worth_eliminating = states >= 1000 && model.pairs() > states + states / 8;
        let tie = options.epsilon / (8.0 * weights.largest());
        Self {
            model: std::borrow::Cow::Borrowed(model),
            order: None,
            options,
            weights,
            over,
            target: options.epsilon,
            judged_by: Judge::Bounds,
            tie: if tie.is_finite() { tie } else { 0.0 },
            value: vec![0.0; states],
            rest: None,
            next: vec![0.0; states],
            choice: vec![NO_PAIR; states],
            gaps: vec![0.0; if worth_eliminating { model.pairs() } else { 0 }],
            scattered: states > SCATTERED && model.is_scattered(),
            narrow: Vec::new(),
            rows: PolicyRows::default(),
            iterations: 0,
            best: None,
        }
    }

    fn sweeps(&self) -> Sweeps<'_> {
        Sweeps {
            model: &self.model,
            discount: self.options.discount,
            over: &self.over,
            tie: self.tie,
            scattered: self.scattered,
        }
    }

    fn margin(&self) -> f64 {
        let most = largest(&self.value);
        self.sweeps().margin(most)
    }

    fn run(&mut self, host: &dyn Host) -> Result<Run> {
        let method = match self.options.method {
            Method::Auto => {
                if self.follow_policies(MOST_STEPS, true, host)? {
                    Method::ModifiedPolicyIteration
                } else {
                    self.reorder();
                    self.solve_for_policies(host)?;
                    Method::PolicyIteration
                }
            }
            Method::ValueIteration => {
                self.with_refinement(0, host)?;
                Method::ValueIteration
            }
            Method::ModifiedPolicyIteration => {
                self.with_refinement(MOST_STEPS, host)?;
                Method::ModifiedPolicyIteration
            }
            Method::PolicyIteration => {
                self.reorder();
                self.solve_for_policies(host)?;
                Method::PolicyIteration
            }
        };
        Ok(self.result(method))
    }

    /// Follows policies, and where double precision is not enough at the end, refines.
    fn with_refinement(&mut self, steps: usize, host: &dyn Host) -> Result<()> {
        if !self.follow_policies(steps, false, host)?
            && self.iterations < self.options.max_iterations
        {
            self.solve_for_policies(host)?;
        }
        Ok(())
    }

    /// Value iteration, with some steps of each policy between. True when the bounds are as close as
    /// asked; false when that takes too long this way (if `leave` allows to say so), cannot be told
    /// in double precision, or at the limit of rounds.
    fn follow_policies(&mut self, steps: usize, leave: bool, host: &dyn Host) -> Result<bool> {
        let mut stalled = 0;
        let mut narrowest = f64::INFINITY;
        let mut span_before = f64::NAN;
        let mut rough = self.scattered;
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
            narrowest = narrowest.min(found.span());
            std::mem::swap(&mut self.value, &mut self.next);
            if steps == 0 {
                self.shift(found);
                continue;
            }
            self.rows.fill(&self.model, &self.choice);
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
            rough = rough && now.span() > 64.0 * rough_error;
            self.shift(now);
            if leave && taken == steps {
                let rate = (now.span() / before.span()).cbrt();
                let ahead = (aim / now.span()).ln() / rate.ln();
                if rate >= 1.0 || ahead > PATIENCE {
                    return Ok(false);
                }
            }
            if stalled > PATIENT_SWEEPS {
                return Ok(false);
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
            return self.rows.step(discount, &self.value, read, &mut self.next, self.scattered);
        }
        let read = Values::plain(&self.value);
        self.rows.step(discount, &self.value, read, &mut self.next, self.scattered)
    }

    /// How many improvements there were, and how many there may be at most as far as is known.
    fn tell(&self, host: &dyn Host) {
        let most = self.options.max_iterations.min(self.iterations + 1);
        host.progress(self.iterations, most);
    }

    /// The residuals whose bounds would be as close as asked.
    fn residual_aim(&self) -> f64 {
        match self.judged_by {
            Judge::Bounds => 0.5 * self.target / self.weights.largest(),
            Judge::Residuals | Judge::Span => 0.5 * self.target,
        }
    }

    /// A constant changes no decision where nothing ever ends: the one that centres the residuals.
    fn shift(&mut self, found: Residuals) {
        let Weights::Uniform { most, one_sided: false, .. } = self.weights else { return };
        let constant = self.options.discount * most * 0.5 * (found.least + found.most);
        if constant.is_finite() {
            self.value.iter_mut().for_each(|value| *value += constant);
        }
    }

    fn improve(&mut self) -> Residuals {
        self.iterations += 1;
        let sweeps = Sweeps {
            model: &self.model,
            discount: self.options.discount,
            over: &self.over,
            tie: self.tie,
            scattered: self.scattered,
        };
        let read = Values::plain(&self.value);
        sweeps.greedy(&self.value, read, &mut self.next, &mut self.choice, &mut self.gaps)
    }

    /// The same where single precision will do: with the value less the middle of it, and an error of
    /// up to the first that is returned.
    fn improve_roughly(&mut self) -> (f64, Residuals) {
        self.iterations += 1;
        let (constant, error) = self.narrow_down();
        let sweeps = Sweeps {
            model: &self.model,
            discount: self.options.discount,
            over: &self.over,
            tie: self.tie,
            scattered: self.scattered,
        };
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
        let fewer = self.model.restricted(|pair| !hopeless(gaps[pair]));
        self.gaps = gaps;
        self.gaps.clear();
        if fewer.pairs() > fewer.states() + fewer.states() / 8 {
            self.gaps.resize(fewer.pairs(), 0.0);
        }
        self.model = std::borrow::Cow::Owned(fewer);
    }

    /// Whether these residuals will do; if they are the best so far, their bounds are kept.
    fn is_done(&mut self, found: Residuals, margin: f64) -> bool {
        match self.judged_by {
            Judge::Bounds => {}
            Judge::Residuals => return found.largest() + margin <= self.target,
            Judge::Span => return found.span() + 2.0 * margin <= self.target,
        }
        let width = self.weights.width(found, margin);
        let known = self.best.as_ref().map_or(f64::INFINITY, |best| best.width);
        let last = self.iterations >= self.options.max_iterations;
        // bounds are written out when they will do, or when they may be the last
        if width <= 0.95 * self.target || (width < 0.5 * known && (last || self.rest.is_some())) {
            let (lower, upper) =
                self.weights.bounds((&self.value, self.rest.as_deref()), &self.over, found, margin);
            let width = widest(&lower, &upper);
            if width < known {
                self.best = Some(Enclosure { width, lower, upper, policy: self.policy() });
            }
            return width <= self.target;
        }
        false
    }

    /// Puts states in an order in which incomplete factors are good.
    fn reorder(&mut self) {
        let Some(order) = better_order(&self.model) else { return };
        self.value = order.iter().map(|&state| self.value[state as usize]).collect();
        self.over = order.iter().map(|&state| self.over[state as usize]).collect();
        if let Weights::PerState(weights) = &mut self.weights {
            *weights = order.iter().map(|&state| weights[state as usize]).collect();
        }
        self.model = std::borrow::Cow::Owned(self.model.reordered(&order));
        self.order = Some(order);
    }

    /// Policy iteration: Newton's method on Bellman's equation. First in double precision, then with
    /// residuals and values to twice that.
    fn solve_for_policies(&mut self, host: &dyn Host) -> Result<()> {
        let states = self.model.states();
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
                let margin = self.sweeps().exact_margin(largest(&self.value));
                let mut choice = std::mem::take(&mut self.choice);
                let pair = (self.value.as_slice(), self.rest.as_deref().expect("exact"));
                let found =
                    self.sweeps().greedy_exact(pair, plain_margin, &mut residual, &mut choice);
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
                self.rows.fill(&self.model, &self.choice);
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
                    self.sweeps().in_place(&mut value, sweep % 2 == 0);
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
                    (*value, *rest) = super::exact::sum(*value, *rest + step);
                }
            }
        }
    }

    fn value_in_order(&self) -> Vec<f64> {
        self.in_order(&self.value)
    }

    fn in_order<T: Copy + Default>(&self, values: &[T]) -> Vec<T> {
        let Some(order) = &self.order else { return values.to_vec() };
        let mut out = vec![T::default(); values.len()];
        for (k, &state) in order.iter().enumerate() {
            out[state as usize] = values[k];
        }
        out
    }

    fn result(&mut self, method: Method) -> Run {
        if self.judged_by != Judge::Bounds {
            return Run { method, iterations: self.iterations, ..unbounded(&self.model) };
        }
        let best = self.best.take().unwrap_or_else(|| self.enclosure_of_present());
        let middle = |(&low, &high): (&f64, &f64)| {
            let middle = low + 0.5 * (high - low);
            middle.clamp(low, high)
        };
        let value: Vec<f64> = best.lower.iter().zip(&best.upper).map(middle).collect();
        Run {
            value: self.in_order(&value),
            lower: self.in_order(&best.lower),
            upper: self.in_order(&best.upper),
            policy: self.in_order(&best.policy),
            iterations: self.iterations,
            method,
            converged: best.width <= self.target,
        }
    }

    /// The numbers of the chosen actions. One that stays for nothing has an action all the same.
    fn policy(&self) -> Vec<i64> {
        let action = |pair: usize| i64::from(self.model.actions()[pair]);
        let of_state = |(state, &pair): (usize, &u32)| match pair {
            NO_PAIR => self.model.pairs_of(state).next().map_or(-1, action),
            pair => action(pair as usize),
        };
        self.choice.iter().enumerate().map(of_state).collect()
    }

    /// Bounds from where the search stands, whatever they are worth.
    fn enclosure_of_present(&mut self) -> Enclosure {
        let rounds = self.iterations;
        let found = self.improve();
        self.iterations = rounds;
        let margin = self.margin();
        let finite = found.span().is_finite();
        let (lower, upper) = if finite {
            self.weights.bounds((&self.value, None), &self.over, found, margin)
        } else {
            let states = self.model.states();
            (vec![f64::NEG_INFINITY; states], vec![f64::INFINITY; states])
        };
        Enclosure { width: widest(&lower, &upper), lower, upper, policy: self.policy() }
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0_f64, |most, value| most.max(value.abs()))
}

fn widest(lower: &[f64], upper: &[f64]) -> f64 {
    let gap = |(low, high): (&f64, &f64)| high - low;
    let worst = lower.iter().zip(upper).map(gap).fold(0.0, |most: f64, gap| {
        if gap.is_nan() {
            f64::INFINITY
        } else {
            most.max(gap)
        }
    });
    worst.next_up()
}
