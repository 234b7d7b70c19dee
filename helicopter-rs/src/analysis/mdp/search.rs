//! The search for a policy: where it stands, and when it is over.
//!
//! [`following`] and [`newton`] are the two ways to go on.

mod following;
mod newton;

use std::borrow::Cow;

use super::certificate::Weights;
use super::model::Model;
use super::policy::PolicyRows;
use super::solver::{unbounded, Method, Options, Run};
use super::sweep::{Residuals, Sweeps, Values, NO_PAIR};
use crate::error::Result;
use crate::host::Host;

/// Steps of a policy between two improvements, at most.
const MOST_STEPS: usize = 24;
/// So many values do not fit into a processor's own memory.
const SCATTERED: usize = 30_000;

/// What is searched, apart from how far the search has come.
struct Problem<'a> {
    model: Cow<'a, Model>,
    discount: f64,
    over: Vec<bool>,
    tie: f64,
    scattered: bool,
}

impl Problem<'_> {
    fn sweeps(&self) -> Sweeps<'_> {
        Sweeps {
            model: &self.model,
            discount: self.discount,
            over: &self.over,
            tie: self.tie,
            scattered: self.scattered,
        }
    }
}

/// The state of one search.
pub(super) struct Search<'a> {
    problem: Problem<'a>,
    /// Who comes k-th, where states were put in another order.
    order: Option<Vec<u32>>,
    options: Options,
    weights: Weights,
    /// How wide the bounds may be.
    pub(super) target: f64,
    /// What `target` bounds.
    pub(super) judged_by: Judge,
    value: Vec<f64>,
    rest: Option<Vec<f64>>,
    next: Vec<f64>,
    choice: Vec<u32>,
    /// How much worse each pair is than the best; empty where it does not matter.
    gaps: Vec<f32>,
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
}

/// The best that is known.
struct Enclosure {
    width: f64,
    lower: Vec<f64>,
    upper: Vec<f64>,
    policy: Vec<i64>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        model: &'a Model,
        options: Options,
        weights: Weights,
        over: Vec<bool>,
    ) -> Self {
        let states = model.states();
        let worth_eliminating = states >= 1000 && model.pairs() > states + states / 8;
        let tie = options.epsilon / (8.0 * weights.largest());
        Self {
            problem: Problem {
                model: Cow::Borrowed(model),
                discount: options.discount,
                over,
                tie: if tie.is_finite() { tie } else { 0.0 },
                scattered: states > SCATTERED && model.is_scattered(),
            },
            order: None,
            options,
            weights,
            target: options.epsilon,
            judged_by: Judge::Bounds,
            value: vec![0.0; states],
            rest: None,
            next: vec![0.0; states],
            choice: vec![NO_PAIR; states],
            gaps: vec![0.0; if worth_eliminating { model.pairs() } else { 0 }],
            narrow: Vec::new(),
            rows: PolicyRows::default(),
            iterations: 0,
            best: None,
        }
    }

    fn margin(&self) -> f64 {
        let most = largest(&self.value);
        self.problem.sweeps().margin(most)
    }

    pub(super) fn run(&mut self, host: &dyn Host) -> Result<Run> {
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

    /// How many improvements there were, and how many there may be at most as far as is known.
    fn tell(&self, host: &dyn Host) {
        let most = self.options.max_iterations.min(self.iterations + 1);
        host.progress(self.iterations, most);
    }

    /// The residuals whose bounds would be as close as asked.
    fn residual_aim(&self) -> f64 {
        match self.judged_by {
            Judge::Bounds => 0.5 * self.target / self.weights.largest(),
            Judge::Residuals => 0.5 * self.target,
        }
    }

    fn improve(&mut self) -> Residuals {
        self.iterations += 1;
        let sweeps = self.problem.sweeps();
        let read = Values::plain(&self.value);
        sweeps.greedy(&self.value, read, &mut self.next, &mut self.choice, &mut self.gaps)
    }

    /// Whether these residuals will do; if they are the best so far, their bounds are kept.
    fn is_done(&mut self, found: Residuals, margin: f64) -> bool {
        match self.judged_by {
            Judge::Bounds => {}
            Judge::Residuals => return found.largest() + margin <= self.target,
        }
        let width = self.weights.width(found, margin);
        let known = self.best.as_ref().map_or(f64::INFINITY, |best| best.width);
        let last = self.iterations >= self.options.max_iterations;
        // bounds are written out when they will do, or when they may be the last
        if width <= 0.95 * self.target || (width < 0.5 * known && (last || self.rest.is_some())) {
            let (lower, upper) = self.weights.bounds(
                (&self.value, self.rest.as_deref()),
                &self.problem.over,
                found,
                margin,
            );
            let width = widest(&lower, &upper);
            if width < known {
                self.best = Some(Enclosure { width, lower, upper, policy: self.policy() });
            }
            return width <= self.target;
        }
        false
    }

    pub(super) fn value_in_order(&self) -> Vec<f64> {
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
            return Run { method, iterations: self.iterations, ..unbounded(&self.problem.model) };
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
        let action = |pair: usize| i64::from(self.problem.model.actions()[pair]);
        let of_state = |(state, &pair): (usize, &u32)| match pair {
            NO_PAIR => self.problem.model.pairs_of(state).next().map_or(-1, action),
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
            self.weights.bounds((&self.value, None), &self.problem.over, found, margin)
        } else {
            let states = self.problem.model.states();
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
