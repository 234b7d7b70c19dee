//! What one policy leads to: its rows alone, its value step by step.

use rayon::prelude::*;

use super::model::Model;
use super::sweep::{ask_ahead, dot, Residuals, Values, NO_PAIR};
use crate::utils::simd::{self, Kernel, Simd};

/// States that one task takes on.
const CHUNK: usize = 4096;
/// Below so many transitions a task costs more than it saves.
const WORTH_SHARING: usize = 200_000;

/// The rows of a model that one policy uses, side by side. States that are over have empty ones.
#[derive(Debug, Clone, Default)]
pub struct PolicyRows {
    /// Where the row of each state begins.
    pub row_start: Vec<usize>,
    /// The next states.
    pub columns: Vec<u32>,
    /// Their probabilities.
    pub probabilities: Vec<f64>,
    /// The reward in each state.
    pub rewards: Vec<f64>,
}

impl PolicyRows {
    /// Takes over the rows of another policy, in the memory that is there.
    pub fn fill(&mut self, model: &Model, choice: &[u32]) {
        self.row_start.clear();
        self.columns.clear();
        self.probabilities.clear();
        self.rewards.clear();
        let of_pair =
            |&pair: &u32| if pair == NO_PAIR { 0 } else { model.row(pair as usize).0.len() };
        let entries = choice.iter().map(of_pair).sum();
        self.columns.reserve(entries);
        self.probabilities.reserve(entries);
        self.row_start.push(0);
        for &pair in choice {
            if pair != NO_PAIR {
                let (columns, probabilities) = model.row(pair as usize);
                self.columns.extend_from_slice(columns);
                self.probabilities.extend_from_slice(probabilities);
            }
            self.rewards.push(if pair == NO_PAIR { 0.0 } else { model.rewards()[pair as usize] });
            self.row_start.push(self.columns.len());
        }
    }

    /// The next states of a state, and their probabilities.
    #[inline(always)]
    pub fn row(&self, state: usize) -> (&[u32], &[f64]) {
        let range = self.row_start[state]..self.row_start[state + 1];
        (&self.columns[range.clone()], &self.probabilities[range])
    }

    /// The value of acting once like this and of `value` afterwards, into `next`.
    pub fn step<T: Copy + Into<f64> + Sync>(
        &self,
        discount: f64,
        value: &[f64],
        read: Values<'_, T>,
        next: &mut [f64],
        scattered: bool,
    ) -> Residuals {
        let body = |first: usize, next: &mut [f64]| {
            simd::run(Step { rows: self, discount, value, read, first, next, scattered })
        };
        if self.columns.len() < WORTH_SHARING || rayon::current_num_threads() == 1 {
            return body(0, next);
        }
        next.par_chunks_mut(CHUNK).enumerate().map(|(k, next)| body(k * CHUNK, next)).reduce(
            || Residuals { least: f64::INFINITY, most: f64::NEG_INFINITY },
            |a, b| Residuals { least: a.least.min(b.least), most: a.most.max(b.most) },
        )
    }
}

/// See [`PolicyRows::step`]; of the states from `first` on.
struct Step<'a, T> {
    rows: &'a PolicyRows,
    discount: f64,
    value: &'a [f64],
    read: Values<'a, T>,
    first: usize,
    next: &'a mut [f64],
    scattered: bool,
}

impl<T: Copy + Into<f64>> Kernel for Step<'_, T> {
    type Output = Residuals;

    #[inline(always)]
    fn run<S: Simd>(self) -> Residuals {
        let Self { rows, discount, value, read, first, next, scattered } = self;
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for (k, next) in next.iter_mut().enumerate() {
            let state = first + k;
            if scattered {
                let range = rows.row_start[state]..rows.row_start[state + 1];
                ask_ahead(&rows.columns, range, read.less);
            }
            let future = dot(rows.row(state), read.less) + read.constant;
            *next = rows.rewards[state] + discount * future;
            let change = *next - value[state];
            least = if change < least { change } else { least };
            most = if change > most { change } else { most };
        }
        Residuals { least, most }
    }
}
