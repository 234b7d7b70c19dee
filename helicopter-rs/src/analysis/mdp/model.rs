//! A decision model in compressed rows, checked once and trusted from then on.

use std::ops::Range;

/// How far the probabilities of a pair may sum from one.
pub const SUM_TOLERANCE: f64 = 1e-9;

/// What a pair (state, action) leads to, for every pair, sorted by state and then action.
///
/// The model is exactly what these numbers say: probabilities are never scaled so that they sum to
/// one. A state without pairs is terminal, and worth nothing from then on.
#[derive(Debug, Clone)]
pub struct Model {
    pub(super) pair_start: Vec<usize>,
    pub(super) actions: Vec<u32>,
    pub(super) row_start: Vec<usize>,
    pub(super) columns: Vec<u32>,
    pub(super) probabilities: Vec<f64>,
    pub(super) rewards: Vec<f64>,
    pub(super) rewards_low: Vec<f64>,
    pub(super) extremes: Extremes,
}

/// What bounds of rounding errors need to know of a model.
#[derive(Debug, Clone, Copy)]
pub struct Extremes {
    /// The least sum of a row, as it comes out in double precision.
    pub least_sum: f64,
    /// The greatest.
    pub most_sum: f64,
    /// The largest reward in magnitude.
    pub most_reward: f64,
    /// The most transitions of a pair.
    pub longest_row: usize,
}

impl Extremes {
    const NONE: Self =
        Self { least_sum: f64::INFINITY, most_sum: 0.0, most_reward: 0.0, longest_row: 0 };
}

impl Model {
    /// The number of states.
    pub fn states(&self) -> usize {
        self.pair_start.len() - 1
    }

    /// The number of pairs (state, action).
    pub fn pairs(&self) -> usize {
        self.actions.len()
    }

    /// The number of transitions that are possible at all.
    pub fn transitions(&self) -> usize {
        self.columns.len()
    }

    /// The pairs of a state.
    #[inline(always)]
    pub fn pairs_of(&self, state: usize) -> Range<usize> {
        self.pair_start[state]..self.pair_start[state + 1]
    }

    /// The next states of a pair, and their probabilities.
    #[inline(always)]
    pub fn row(&self, pair: usize) -> (&[u32], &[f64]) {
        let range = self.row_start[pair]..self.row_start[pair + 1];
        (&self.columns[range.clone()], &self.probabilities[range])
    }

    /// The number of the action of each pair.
    pub fn actions(&self) -> &[u32] {
        &self.actions
    }

    /// The expected reward of each pair, rounded to the nearest.
    pub fn rewards(&self) -> &[f64] {
        &self.rewards
    }

    /// What rounding left over of the expected rewards.
    pub fn rewards_low(&self) -> &[f64] {
        &self.rewards_low
    }

    /// What bounds of rounding errors need to know.
    pub fn extremes(&self) -> Extremes {
        self.extremes
    }

    /// Where the pairs of each state begin.
    pub fn pair_start(&self) -> &[usize] {
        &self.pair_start
    }

    /// Where the row of each pair begins.
    pub fn row_start(&self) -> &[usize] {
        &self.row_start
    }

    /// The next states of all rows.
    pub fn columns(&self) -> &[u32] {
        &self.columns
    }

    /// The probabilities of all rows.
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    pub(super) fn with_capacity(states: usize, pairs: usize, entries: usize) -> Self {
        let mut pair_start = Vec::with_capacity(states + 1);
        pair_start.push(0);
        let mut row_start = Vec::with_capacity(pairs + 1);
        row_start.push(0);
        Self {
            pair_start,
            actions: Vec::with_capacity(pairs),
            row_start,
            columns: Vec::with_capacity(entries),
            probabilities: Vec::with_capacity(entries),
            rewards: Vec::with_capacity(pairs),
            rewards_low: Vec::with_capacity(pairs),
            extremes: Extremes::NONE,
        }
    }

    /// The same model with its states in another order: `order[k]` is who comes k-th.
    #[must_use]
    pub fn reordered(&self, order: &[u32]) -> Self {
        let mut place = vec![0_u32; order.len()];
        for (k, &state) in order.iter().enumerate() {
            place[state as usize] = k as u32;
        }
        let mut model = Self::with_capacity(self.states(), self.pairs(), self.transitions());
        for &state in order {
            for pair in self.pairs_of(state as usize) {
                let (columns, probabilities) = self.row(pair);
                model.columns.extend(columns.iter().map(|&column| place[column as usize]));
                model.probabilities.extend_from_slice(probabilities);
                model.actions.push(self.actions[pair]);
                model.row_start.push(model.columns.len());
                model.rewards.push(self.rewards[pair]);
                model.rewards_low.push(self.rewards_low[pair]);
            }
            model.pair_start.push(model.actions.len());
        }
        model.extremes = self.extremes;
        model
    }

    /// The same model with some of its pairs only; `keep` has one entry for each pair.
    #[must_use]
    pub fn restricted(&self, keep: impl Fn(usize) -> bool) -> Self {
        let mut model =
            Self::with_capacity(self.states(), self.pairs() / 2, self.transitions() / 2);
        for state in 0..self.states() {
            for pair in self.pairs_of(state).filter(|&pair| keep(pair)) {
                let (columns, probabilities) = self.row(pair);
                model.columns.extend_from_slice(columns);
                model.probabilities.extend_from_slice(probabilities);
                model.actions.push(self.actions[pair]);
                model.row_start.push(model.columns.len());
                model.rewards.push(self.rewards[pair]);
                model.rewards_low.push(self.rewards_low[pair]);
            }
            model.pair_start.push(model.actions.len());
        }
        model.extremes = self.extremes;
        model
    }

    /// Whether a typical transition leads far away in the order of the states.
    pub fn is_scattered(&self) -> bool {
        let states = self.states();
        let (mut far, mut seen) = (0_usize, 0_usize);
        for state in (0..states).step_by((states / 1000).max(1)) {
            for pair in self.pairs_of(state) {
                let near = 8.0 * (states as f64).sqrt();
                let distances = self.row(pair).0.iter().map(|&c| (c as usize).abs_diff(state));
                seen += self.row(pair).0.len();
                far += distances.filter(|&distance| distance as f64 > near).count();
            }
        }
        far * 4 > seen
    }

    /// The same transitions with a reward of one for every step.
    #[must_use]
    pub fn counting_steps(&self) -> Self {
        let mut model = self.clone();
        model.rewards.fill(1.0);
        model.rewards_low.fill(0.0);
        model.extremes.most_reward = 1.0;
        model
    }

    /// Whether nothing can be earned or left any more: no pair, or only ones that stay for nothing.
    pub fn is_over(&self, state: usize) -> bool {
        self.pairs_of(state).all(|pair| {
            let (columns, _) = self.row(pair);
            columns.len() == 1
                && columns[0] as usize == state
                && self.rewards[pair] == 0.0
                && self.rewards_low[pair] == 0.0
        })
    }
}
