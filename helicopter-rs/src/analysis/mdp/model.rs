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
    pair_start: Vec<usize>,
    actions: Vec<u32>,
    row_start: Vec<usize>,
    columns: Vec<u32>,
    probabilities: Vec<f64>,
    rewards: Vec<f64>,
    rewards_low: Vec<f64>,
    extremes: Extremes,
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

/// The rows of a model as they come: one for each pair, in any order.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a, C> {
    /// The state of each row.
    pub states: &'a [i64],
    /// The action of each row.
    pub actions: &'a [i64],
    /// Where each row begins, and where the last one ends.
    pub row_start: &'a [i64],
    /// The next state of each entry, in any order; those named twice are added up.
    pub columns: &'a [C],
    /// Its probability.
    pub probabilities: &'a [f64],
    /// One for each row, or, with `by_entry`, one for each entry.
    pub rewards: &'a [f64],
    /// Whether rewards depend on the next state.
    pub by_entry: bool,
    /// What rounding left over of them, where there is one for each row.
    pub rewards_low: Option<&'a [f64]>,
}

impl<'a, C> Rows<'a, C> {
    /// The same with these next states.
    pub fn with_columns<D>(self, columns: &'a [D]) -> Rows<'a, D> {
        Rows {
            states: self.states,
            actions: self.actions,
            row_start: self.row_start,
            columns,
            probabilities: self.probabilities,
            rewards: self.rewards,
            by_entry: self.by_entry,
            rewards_low: self.rewards_low,
        }
    }
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

    /// From dense arrays: `transitions` by state, action and next state; `rewards` by state and
    /// action or, if so, by entry like the transitions. `None` if anything is wrong with them.
    pub fn from_dense(
        (states, actions): (usize, usize),
        transitions: &[f64],
        (rewards, by_entry): (&[f64], bool),
        allowed: Option<&[bool]>,
    ) -> Option<Self> {
        let pairs = states * actions;
        if transitions.len() != pairs * states
            || rewards.len() != if by_entry { transitions.len() } else { pairs }
            || allowed.is_some_and(|allowed| allowed.len() != pairs)
            || states > i32::MAX as usize
        {
            return None;
        }
        let mut model = Self::with_capacity(states, pairs, transitions.len());
        for state in 0..states {
            for action in 0..actions {
                let pair = state * actions + action;
                if allowed.is_some_and(|allowed| !allowed[pair]) {
                    continue;
                }
                let row = &transitions[pair * states..][..states];
                let begin = model.columns.len();
                if row.contains(&0.0) {
                    model.push_nonzero(row);
                } else {
                    model.columns.extend(0..states as u32);
                    model.probabilities.extend_from_slice(row);
                }
                let reward = if by_entry {
                    let of_row = &rewards[pair * states..][..states];
                    let (columns, of) = (&model.columns[begin..], &model.probabilities[begin..]);
                    expected(of, |k| of_row[columns[k] as usize])
                } else {
                    (rewards[pair], 0.0)
                };
                model.close_row(begin, action as u32, reward)?;
            }
            model.pair_start.push(model.actions.len());
        }
        model.finish()
    }

    /// From rows in any order. `None` if anything is wrong with them, or a pair comes twice.
    pub fn from_rows<C: Copy + Into<i64>>(states: usize, rows: Rows<'_, C>) -> Option<Self> {
        let count = rows.states.len();
        let entries = rows.columns.len();
        let by_entry = rows.by_entry;
        if rows.actions.len() != count
            || rows.row_start.len() != count + 1
            || rows.probabilities.len() != entries
            || rows.rewards.len() != if by_entry { entries } else { count }
            || rows.rewards_low.is_some_and(|low| by_entry || low.len() != count)
            || rows.row_start.first() != Some(&0)
            || rows.row_start.last() != Some(&(entries as i64))
            || rows.row_start.windows(2).any(|ends| ends[0] > ends[1])
            || states > i32::MAX as usize
        {
            return None;
        }
        let of_row = |row: usize| (rows.rewards[row], rows.rewards_low.map_or(0.0, |low| low[row]));
        let key = |row: usize| (rows.states[row], rows.actions[row]);
        let in_order = (1..count).all(|row| key(row - 1) < key(row));
        let order: Option<Vec<usize>> = (!in_order).then(|| {
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by_key(|&row| key(row));
            order
        });
        let mut model = Self::with_capacity(states, count, entries);
        let mut sorted: Vec<(i64, f64, f64)> = Vec::new();
        let mut before = None;
        for position in 0..count {
            let row = order.as_ref().map_or(position, |order| order[position]);
            let (state, action) = key(row);
            let inside = (0..states as i64).contains(&state);
            if !inside || !(0..=i64::from(i32::MAX)).contains(&action) {
                return None;
            }
            if before.replace((state, action)) == Some((state, action)) {
                return None;
            }
            while model.pair_start.len() <= state as usize {
                model.pair_start.push(model.actions.len());
            }
            let range = rows.row_start[row] as usize..rows.row_start[row + 1] as usize;
            let columns = &rows.columns[range.clone()];
            if columns.iter().any(|&column| !(0..states as i64).contains(&column.into())) {
                return None;
            }
            let begin = model.columns.len();
            let probabilities = &rows.probabilities[range.clone()];
            let plain = !by_entry
                && columns.windows(2).all(|pair| pair[0].into() < pair[1].into())
                && probabilities.iter().all(|&p| p > 0.0);
            let reward = if plain {
                model.columns.extend(columns.iter().map(|&column| column.into() as u32));
                model.probabilities.extend_from_slice(probabilities);
                of_row(row)
            } else {
                sorted.clear();
                sorted.extend(range.clone().map(|k| {
                    let reward = if by_entry { rows.rewards[k] } else { 0.0 };
                    (rows.columns[k].into(), rows.probabilities[k], reward)
                }));
                let reward = expected(probabilities, |k| sorted[k].2);
                sorted.sort_by_key(|entry| entry.0);
                model.push_added_up(begin, &sorted)?;
                if by_entry {
                    reward
                } else {
                    of_row(row)
                }
            };
            model.close_row(begin, action as u32, reward)?;
        }
        while model.pair_start.len() <= states {
            model.pair_start.push(model.actions.len());
        }
        model.finish()
    }

    fn with_capacity(states: usize, pairs: usize, entries: usize) -> Self {
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

    /// Appends what is not zero. Eight at a time are passed over if all of them are.
    fn push_nonzero(&mut self, row: &[f64]) {
        let mut push = |first: usize, values: &[f64]| {
            for (k, &probability) in values.iter().enumerate() {
                if probability != 0.0 {
                    self.columns.push((first + k) as u32);
                    self.probabilities.push(probability);
                }
            }
        };
        let chunks = row.chunks_exact(8);
        let rest = chunks.remainder();
        for (chunk, values) in chunks.enumerate() {
            let bits = |k: usize| values[k].to_bits();
            let any = bits(0) | bits(1) | bits(2) | bits(3) | bits(4) | bits(5) | bits(6) | bits(7);
            if any << 1 != 0 {
                push(8 * chunk, values); // not all zeros, whatever their sign
            }
        }
        push(row.len() - rest.len(), rest);
    }

    /// Entries of one row, sorted; those of one next state become one.
    fn push_added_up(&mut self, begin: usize, sorted: &[(i64, f64, f64)]) -> Option<()> {
        for &(column, probability, _) in sorted {
            // a negative one must not hide in a sum
            if probability.is_nan() || probability < 0.0 {
                return None;
            }
            let column = column as u32;
            if self.columns.len() > begin && self.columns.last() == Some(&column) {
                *self.probabilities.last_mut().expect("as many as columns") += probability;
            } else if probability > 0.0 {
                self.columns.push(column);
                self.probabilities.push(probability);
            }
        }
        Some(())
    }

    /// Checks what was pushed since `begin` and makes it the row of one more pair.
    fn close_row(&mut self, begin: usize, action: u32, (high, low): (f64, f64)) -> Option<()> {
        let probabilities = &self.probabilities[begin..];
        let (sum, least) = sum_and_least(probabilities);
        let right = (sum - 1.0).abs() <= SUM_TOLERANCE && least >= 0.0;
        if !right || !high.is_finite() || !low.is_finite() {
            return None;
        }
        let extremes = &mut self.extremes;
        extremes.least_sum = extremes.least_sum.min(sum);
        extremes.most_sum = extremes.most_sum.max(sum);
        extremes.most_reward = extremes.most_reward.max(high.abs());
        extremes.longest_row = extremes.longest_row.max(probabilities.len());
        self.actions.push(action);
        self.row_start.push(self.columns.len());
        self.rewards.push(high);
        self.rewards_low.push(low);
        Some(())
    }

    fn finish(self) -> Option<Self> {
        (self.pair_start.len() > 1).then_some(self)
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

/// The mean of `reward(k)` with these weights, to twice the precision: sum and what it left over.
fn expected(probabilities: &[f64], reward: impl Fn(usize) -> f64) -> (f64, f64) {
    let (mut high, mut low) = (0.0, 0.0);
    for (k, &probability) in probabilities.iter().enumerate() {
        if probability == 0.0 {
            continue;
        }
        let product = super::exact::product(probability, reward(k));
        let sum = super::exact::sum(high, product.0);
        high = sum.0;
        low += sum.1 + product.1;
    }
    super::exact::quick_sum(high, low)
}

/// The sum of a row, and the least of it; NaN stays in the sum.
fn sum_and_least(row: &[f64]) -> (f64, f64) {
    let (mut sums, mut least) = ([0.0; 8], [f64::INFINITY; 8]);
    let mut chunks = row.chunks_exact(8);
    for chunk in &mut chunks {
        for k in 0..8 {
            sums[k] += chunk[k];
            least[k] = if chunk[k] < least[k] { chunk[k] } else { least[k] };
        }
    }
    for (k, &value) in chunks.remainder().iter().enumerate() {
        sums[k] += value;
        least[k] = if value < least[k] { value } else { least[k] };
    }
    (sums.iter().sum(), least.iter().copied().fold(f64::INFINITY, f64::min))
}
