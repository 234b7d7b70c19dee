//! Models from arrays: everything is checked on the way.

use super::exact;
use super::model::{Model, SUM_TOLERANCE};

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
                    if !of_row.iter().all(|reward| reward.is_finite()) {
                        return None; // also where nothing leads to: it means that something is wrong
                    }
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
            if by_entry && !rows.rewards[range.clone()].iter().all(|reward| reward.is_finite()) {
                return None;
            }
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
}

/// The mean of `reward(k)` with these weights, to twice the precision: sum and what it left over.
fn expected(probabilities: &[f64], reward: impl Fn(usize) -> f64) -> (f64, f64) {
    let (mut high, mut low) = (0.0, 0.0);
    for (k, &probability) in probabilities.iter().enumerate() {
        if probability == 0.0 {
            continue;
        }
        let product = exact::product(probability, reward(k));
        let sum = exact::sum(high, product.0);
        high = sum.0;
        low += sum.1 + product.1;
    }
    exact::quick_sum(high, low)
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
