//! How many independent looks a sequence of looks is worth; the twin
//! `helicopter/_shared/effective_looks.py` says how and why.

use std::collections::VecDeque;

/// Standard deviations from which on correlation counts as seen.
const SEEN: f64 = 2.5;
/// Looks further apart than this are not compared.
const FURTHEST: usize = 127;
/// With fewer there is nothing to see.
const LEAST_LOOKS: usize = 8;

/// Counts looks and successes, and what they are worth. All sums are of whole numbers.
#[derive(Clone, Debug)]
pub struct LookCounter {
    /// So far.
    pub looks: usize,
    /// Among them.
    pub successes: usize,
    given: Option<f64>,
    first: Vec<i64>,
    /// The latest first.
    recent: VecDeque<i64>,
    /// Pairs of successes so far apart.
    together: Vec<i64>,
}

impl LookCounter {
    /// Before the first look; `time` as in [`LookCounter::time`] if that is known, 1 if every look
    /// counts in full, none if it is to be told from the looks so far.
    #[must_use]
    pub fn new(time: Option<f64>) -> Self {
        Self {
            looks: 0,
            successes: 0,
            given: time,
            first: Vec::new(),
            recent: VecDeque::new(),
            together: vec![0; FURTHEST + 1],
        }
    }

    /// Takes one look.
    pub fn add(&mut self, success: bool) {
        self.looks += 1;
        self.successes += usize::from(success);
        if self.given.is_some() {
            return;
        }
        if success {
            for (together, before) in self.together[1..].iter_mut().zip(&self.recent) {
                *together += before;
            }
        }
        self.recent.push_front(i64::from(success));
        self.recent.truncate(FURTHEST);
        if self.first.len() < FURTHEST {
            self.first.push(i64::from(success));
        }
    }

    /// How many looks are worth a single independent one.
    #[must_use]
    pub fn time(&self) -> f64 {
        if let Some(time) = self.given {
            return time;
        }
        let (n, s) = (self.looks as i64, self.successes as i64);
        let spread = n * s * (n - s); // n^3 times the variance
        if self.looks < LEAST_LOOKS || spread == 0 {
            return 1.0;
        }
        let mut ends = 0;
        let mut correlation = |apart: usize| {
            ends += self.first[apart - 1] + self.recent[apart - 1];
            let product = n * n * self.together[apart] - n * s * (2 * s - ends);
            (product + (n - apart as i64) * s * s) as f64 / spread as f64
        };
        let neighbours = correlation(1);
        // under independence, given s, its mean is -1 / (n - 1)
        if (neighbours + 1.0 / (n - 1) as f64) * (n as f64).sqrt() < SEEN {
            return 1.0;
        }
        let mut tau = 1.0 + 2.0 * neighbours;
        for apart in (2..FURTHEST.min(self.looks - 1)).step_by(2) {
            let pair = correlation(apart) + correlation(apart + 1);
            if pair <= 0.0 {
                break;
            }
            tau += 2.0 * pair;
        }
        tau.max(1.0).min(n as f64)
    }

    /// The effective numbers of looks and successes.
    #[must_use]
    pub fn effective(&self) -> (f64, f64) {
        let tau = self.time();
        (self.looks as f64 / tau, self.successes as f64 / tau)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(looks: impl IntoIterator<Item = bool>) -> LookCounter {
        let mut counter = LookCounter::new(None);
        looks.into_iter().for_each(|success| counter.add(success));
        counter
    }

    #[test]
    fn correlations_are_those_of_the_definition() {
        let looks: Vec<bool> = (0..300_u32).map(|i| (i / 11 * 7919) % 5 < 2).collect();
        let values: Vec<f64> = looks.iter().map(|&y| f64::from(u8::from(y))).collect();
        let mean = values.iter().sum::<f64>() / 300.0;
        let at = |k: usize| -> f64 {
            (0..300 - k).map(|i| (values[i] - mean) * (values[i + k] - mean)).sum()
        };
        let mut tau = 1.0 + 2.0 * at(1) / at(0);
        for k in (2..127).step_by(2) {
            let pair = (at(k) + at(k + 1)) / at(0);
            if pair <= 0.0 {
                break;
            }
            tau += 2.0 * pair;
        }
        assert!(tau > 5.0);
        assert!((of(looks).time() - tau).abs() < 1e-9);
    }

    #[test]
    fn a_run_or_an_alternation_shows_nothing() {
        assert_eq!(of((0..50).map(|_| true)).effective(), (50.0, 50.0));
        assert_eq!(of((0..50).map(|i| i % 2 == 0)).effective(), (50.0, 25.0));
    }

    #[test]
    fn a_time_that_is_given_is_believed() {
        let mut counter = LookCounter::new(Some(2.5));
        (0..10).for_each(|i| counter.add(i < 5));
        assert_eq!(counter.effective(), (4.0, 2.0));
    }

    #[test]
    fn long_runs_count_as_few_looks() {
        let (looks, successes) = of((0..400).map(|i| i / 20 % 2 == 0)).effective();
        assert!(looks < 100.0 && (successes / looks - 0.5).abs() < 1e-12);
    }
}
