//! One application of Bellman's operator to all states, and of one policy's.

use std::ops::Range;

use rayon::prelude::*;

use super::exact::{self, UNIT};
use super::model::{Extremes, Model};
use crate::utils::simd::{self, Kernel, Simd};

/// The pair of a state that has none.
pub const NO_PAIR: u32 = u32::MAX;

/// States that one task takes on; results do not depend on it.
const CHUNK: usize = 4096;
/// Below so many transitions a task costs more than it saves.
const WORTH_SHARING: usize = 200_000;

/// What a sweep changes: the least and the greatest of its residuals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Residuals {
    /// At least this much is added by the chosen actions, everywhere.
    pub least: f64,
    /// At most this much is added by any action, anywhere.
    pub most: f64,
}

impl Residuals {
    const NONE: Self = Self { least: f64::INFINITY, most: f64::NEG_INFINITY };

    fn joined(self, other: Self) -> Self {
        // `min` passes over NaN; values that overflow must not look like ones that agree
        let broken = self.least.is_nan()
            || other.least.is_nan()
            || self.most.is_nan()
            || other.most.is_nan();
        if broken {
            return Self { least: f64::NAN, most: f64::NAN };
        }
        Self { least: self.least.min(other.least), most: self.most.max(other.most) }
    }

    /// How far apart they are.
    pub fn span(self) -> f64 {
        self.most - self.least
    }

    /// The larger of the two in magnitude.
    pub fn largest(self) -> f64 {
        self.most.abs().max(self.least.abs())
    }
}

/// What sweeps over one model have in common.
#[derive(Debug, Clone, Copy)]
pub struct Sweeps<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its discount.
    pub discount: f64,
    /// States whose value is zero whatever happens.
    pub over: &'a [bool],
    /// Actions that are worse by no more than this count as equal; the lowest is taken.
    pub tie: f64,
    /// Whether values are far apart in memory, so that it pays to ask for them early.
    pub scattered: bool,
}

/// A vector of values as sweeps read it: less a constant, and in single precision where that will do
/// and takes half the memory, for most of the time goes into fetching values from all over it.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a, T> {
    /// The values less `constant`.
    pub less: &'a [T],
    /// What is to be added.
    pub constant: f64,
}

impl<'a> Values<'a, f64> {
    /// Values as they are.
    pub fn plain(less: &'a [f64]) -> Self {
        Self { less, constant: 0.0 }
    }
}

/// So many transitions ahead values are asked for.
const AHEAD: usize = 64;

/// Asks memory for the values that will be needed soon: those that the transitions lead to that come
/// [`AHEAD`] of `range`. A hint, without which everything is the same but slower.
#[inline(always)]
pub(super) fn ask_ahead<T>(columns: &[u32], range: Range<usize>, value: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
        let end = columns.len();
        for &column in &columns[(range.start + AHEAD).min(end)..(range.end + AHEAD).min(end)] {
            let address = value.as_ptr().wrapping_add(column as usize);
            // SAFETY: a hint; it reads nothing, and never faults, wherever it points.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (columns, range, value);
}

impl Sweeps<'_> {
    /// The value of acting best once and of `value` afterwards, into `better`, and the pairs that
    /// reach it, into `choice`. Residuals are as they come out in double precision. `gaps`, if it is
    /// not empty, has an entry for each pair and is told how much worse that is than the best.
    pub fn greedy<T: Copy + Into<f64> + Sync>(
        self,
        value: &[f64],
        read: Values<'_, T>,
        better: &mut [f64],
        choice: &mut [u32],
        gaps: &mut [f32],
    ) -> Residuals {
        self.shared(better, choice, gaps, |first, better, choice, gaps| {
            simd::run(Greedy { sweeps: self, value, read, first, better, choice, gaps })
        })
    }

    /// The residuals of `high + low` to twice the precision, into `residual`, of the pairs that are
    /// best, into `choice`. `margin` bounds the error of a score in double precision.
    pub fn greedy_exact(
        self,
        value: (&[f64], &[f64]),
        margin: f64,
        residual: &mut [f64],
        choice: &mut [u32],
    ) -> Residuals {
        self.shared(residual, choice, &mut [], |first, residual, choice, _| {
            simd::run(GreedyExact { sweeps: self, value, margin, first, residual, choice })
        })
    }

    /// Bellman's operator state by state, each seeing what became of those before (Gauss-Seidel):
    /// upwards, or downwards through the states. News travels far in one such sweep.
    pub fn in_place(self, value: &mut [f64], upwards: bool) {
        simd::run(InPlace { sweeps: self, value, upwards });
    }

    /// Which pair is best at a state, the lowest of those that tie, with the best score; the scores
    /// of all its pairs are left in `scores`. `None` where nothing can be done any more.
    #[inline(always)]
    fn best<T: Copy + Into<f64>>(
        self,
        state: usize,
        value: Values<'_, T>,
        scores: &mut Vec<f64>,
    ) -> Option<(f64, usize)> {
        let pairs = self.model.pairs_of(state);
        if pairs.is_empty() || self.over[state] {
            return None;
        }
        if self.scattered {
            let row_start = self.model.row_start();
            ask_ahead(
                self.model.columns(),
                row_start[pairs.start]..row_start[pairs.end],
                value.less,
            );
        }
        scores.clear();
        let mut best = f64::NEG_INFINITY;
        for pair in pairs.clone() {
            let future = dot(self.model.row(pair), value.less) + value.constant;
            let score = self.model.rewards()[pair] + self.discount * future;
            scores.push(score);
            best = if score > best { score } else { best };
        }
        let tied = scores.iter().position(|&score| score >= best - self.tie).unwrap_or(0);
        Some((best, pairs.start + tied))
    }

    #[inline(always)]
    fn exact_residual(self, pair: usize, state: usize, (high, low): (&[f64], &[f64])) -> f64 {
        let start = (self.model.rewards()[pair], self.model.rewards_low()[pair]);
        exact::residual(
            start,
            self.discount,
            self.model.row(pair),
            (high, low),
            (high[state], low[state]),
        )
    }

    /// Hands out chunks of states, and joins what they find.
    fn shared(
        self,
        a: &mut [f64],
        b: &mut [u32],
        gaps: &mut [f32],
        body: impl Fn(usize, &mut [f64], &mut [u32], &mut [f32]) -> Residuals + Sync,
    ) -> Residuals {
        if self.model.transitions() < WORTH_SHARING || rayon::current_num_threads() == 1 {
            return body(0, a, b, gaps);
        }
        let mut parts = Vec::new();
        let mut rest = gaps;
        for first in (0..a.len()).step_by(CHUNK) {
            let last = (first + CHUNK).min(a.len());
            let pairs = self.model.pair_start()[last] - self.model.pair_start()[first];
            let (part, others) = rest.split_at_mut(pairs.min(rest.len()));
            parts.push(part);
            rest = others;
        }
        let chunks = a.par_chunks_mut(CHUNK).zip(b.par_chunks_mut(CHUNK)).zip(parts).enumerate();
        chunks
            .map(|(k, ((a, b), gaps))| body(k * CHUNK, a, b, gaps))
            .reduce(|| Residuals::NONE, Residuals::joined)
    }

    /// A bound of the error of a score, and of a residual, in double precision.
    pub fn margin(self, most_value: f64) -> f64 {
        let Extremes { longest_row, most_reward, .. } = self.model.extremes();
        let terms = longest_row as f64 + 5.0;
        1.01 * terms * UNIT * (most_reward + 2.0 * most_value)
    }

    /// The same of a residual to twice the precision, less its own last rounding.
    pub fn exact_margin(self, most_value: f64) -> f64 {
        let Extremes { longest_row, most_reward, .. } = self.model.extremes();
        let terms = longest_row as f64 + 5.0;
        16.0 * terms * terms * UNIT * UNIT * (most_reward + 2.0 * most_value)
    }
}

/// `probabilities . value[columns]`
#[inline(always)]
pub fn dot<T: Copy + Into<f64>>((columns, probabilities): (&[u32], &[f64]), value: &[T]) -> f64 {
    let consecutive = columns.len() >= 16
        && (columns[columns.len() - 1] - columns[0]) as usize == columns.len() - 1;
    if consecutive {
        let first = columns[0] as usize;
        return dense_dot(probabilities, &value[first..first + columns.len()]);
    }
    let mut sum = 0.0;
    for (&column, &probability) in columns.iter().zip(probabilities) {
        sum += probability * value[column as usize].into();
    }
    sum
}

#[inline(always)]
fn dense_dot<T: Copy + Into<f64>>(a: &[f64], b: &[T]) -> f64 {
    let (mut even, mut odd) = ([0.0; 4], [0.0; 4]);
    let (mut left, mut right) = (a.chunks_exact(8), b.chunks_exact(8));
    for (a, b) in (&mut left).zip(&mut right) {
        for k in 0..4 {
            even[k] += a[k] * b[k].into();
            odd[k] += a[k + 4] * b[k + 4].into();
        }
    }
    let mut rest = 0.0;
    for (&a, &b) in left.remainder().iter().zip(right.remainder()) {
        rest += a * b.into();
    }
    for k in 0..4 {
        even[k] += odd[k];
    }
    (even[0] + even[1]) + (even[2] + even[3]) + rest
}

/// See [`Sweeps::greedy`]; of the states from `first` on.
struct Greedy<'a, T> {
    sweeps: Sweeps<'a>,
    value: &'a [f64],
    read: Values<'a, T>,
    first: usize,
    better: &'a mut [f64],
    choice: &'a mut [u32],
    gaps: &'a mut [f32],
}

impl<T: Copy + Into<f64>> Kernel for Greedy<'_, T> {
    type Output = Residuals;

    #[inline(always)]
    fn run<S: Simd>(self) -> Residuals {
        let Self { sweeps, value, read, first, better, choice, gaps } = self;
        let mut found = Residuals::NONE;
        let mut scores: Vec<f64> = Vec::new();
        let first_pair = sweeps.model.pairs_of(first).start;
        for (k, (better, choice)) in better.iter_mut().zip(choice).enumerate() {
            let state = first + k;
            let Some((best, pair)) = sweeps.best(state, read, &mut scores) else {
                (*better, *choice) = (0.0, NO_PAIR);
                found = found.joined(Residuals { least: 0.0, most: 0.0 });
                continue;
            };
            let pairs = sweeps.model.pairs_of(state);
            let chosen = scores[pair - pairs.start];
            let here = Residuals { least: chosen - value[state], most: best - value[state] };
            (*better, *choice) = (chosen, pair as u32);
            found = found.joined(here);
            if !gaps.is_empty() {
                let gaps = &mut gaps[pairs.start - first_pair..pairs.end - first_pair];
                for (gap, score) in gaps.iter_mut().zip(&scores) {
                    *gap = (best - score) as f32;
                }
            }
        }
        found
    }
}

/// See [`Sweeps::greedy_exact`]; of the states from `first` on.
struct GreedyExact<'a> {
    sweeps: Sweeps<'a>,
    value: (&'a [f64], &'a [f64]),
    margin: f64,
    first: usize,
    residual: &'a mut [f64],
    choice: &'a mut [u32],
}

impl Kernel for GreedyExact<'_> {
    type Output = Residuals;

    #[inline(always)]
    fn run<S: Simd>(self) -> Residuals {
        let Self { sweeps, value, margin, first, residual, choice } = self;
        let read = Values::plain(value.0);
        let (mut scores, mut near) = (Vec::new(), Vec::new());
        let mut found = Residuals::NONE;
        for (k, (residual, choice)) in residual.iter_mut().zip(choice).enumerate() {
            let state = first + k;
            let Some((best, _)) = sweeps.best(state, read, &mut scores) else {
                (*residual, *choice) = (0.0, NO_PAIR);
                found = found.joined(Residuals { least: 0.0, most: 0.0 });
                continue;
            };
            near.clear();
            let pairs = sweeps.model.pairs_of(state);
            let mut most = f64::NEG_INFINITY;
            for (pair, &score) in pairs.clone().zip(&scores) {
                if score >= best - 2.0 * margin - sweeps.tie {
                    let exact = sweeps.exact_residual(pair, state, value);
                    near.push((pair, exact));
                    most = if exact > most { exact } else { most };
                }
            }
            let within = near.iter().find(|(_, exact)| *exact >= most - sweeps.tie);
            let &(pair, chosen) = within.unwrap_or(&(pairs.start, f64::NAN));
            (*residual, *choice) = (chosen, pair as u32);
            found = found.joined(Residuals { least: chosen, most });
        }
        found
    }
}

/// See [`Sweeps::in_place`].
struct InPlace<'a> {
    sweeps: Sweeps<'a>,
    value: &'a mut [f64],
    upwards: bool,
}

impl Kernel for InPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { sweeps, value, upwards } = self;
        let states = value.len();
        for k in 0..states {
            let state = if upwards { k } else { states - 1 - k };
            if sweeps.over[state] {
                continue;
            }
            let mut best = f64::NEG_INFINITY;
            for pair in sweeps.model.pairs_of(state) {
                let future = dot(sweeps.model.row(pair), value);
                let score = sweeps.model.rewards()[pair] + sweeps.discount * future;
                best = if score > best { score } else { best };
            }
            value[state] = best;
        }
    }
}
