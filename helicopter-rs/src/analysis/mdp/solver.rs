//! Optimal values and policies, with an enclosure that holds.
//!
//! Three ways, and one that chooses. *Value iteration* applies Bellman's operator; *modified policy
//! iteration* (Puterman and Shin 1978) follows each policy for a few steps between; both are at their
//! best where the chain mixes at once. *Policy iteration* (Howard 1960) solves for the value of each
//! policy, here only as far as it serves the next one (inexact Newton: Dembo, Eisenstat, Steihaug
//! 1982; Gargiani et al. 2024), and does not mind how slowly the chain mixes. `auto` starts with the
//! second and goes over to the third when it sees that the residuals shrink slowly.

use super::certificate::Weights;
use super::model::Model;
use super::search::{Judge, Search};
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
pub(super) fn unbounded(model: &Model) -> Run {
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
