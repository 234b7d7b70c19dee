//! The linear system of one policy, `(I - discount P) x = b`: sparse, and an M-matrix.
//!
//! Solved by Bi-CGSTAB (van der Vorst 1992) behind an incomplete factorisation without fill-in. For
//! M-matrices that exists and gives a regular splitting (Meijerink and van der Vorst 1977), so where
//! the Krylov method breaks down, plain iterations with the same factors still converge. On chains and
//! ladders the factorisation is not even incomplete.

use rayon::prelude::*;

use super::policy::PolicyRows;
use crate::error::Result;
use crate::host::Host;

/// Entries of a vector that are added up by themselves, whatever the number of threads.
const CHUNK: usize = 4096;
/// Below so many rows threads are not worth it.
const WORTH_SHARING: usize = 65_536;
/// Steps of Bi-CGSTAB, and of plain iterations after it.
const MOST_STEPS: usize = 200;
const PLAIN_STEPS: usize = 50;

/// `I - discount P` in compressed rows, and its incomplete factors.
#[derive(Debug, Default)]
pub struct System {
    row_start: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f64>,
    diagonal: Vec<usize>,
    factors: Vec<f64>,
    inverse_pivots: Vec<f64>,
    work: Work,
}

#[derive(Debug, Default)]
struct Work {
    residual: Vec<f64>,
    shadow: Vec<f64>,
    direction: Vec<f64>,
    image: Vec<f64>,
    second: Vec<f64>,
    conditioned: Vec<f64>,
    position: Vec<u32>,
}

impl System {
    /// Sets up the system of a policy.
    pub fn fill(&mut self, rows: &PolicyRows, discount: f64) {
        let states = rows.rewards.len();
        self.row_start.clear();
        self.columns.clear();
        self.values.clear();
        self.diagonal.clear();
        self.row_start.push(0);
        for state in 0..states {
            let (columns, probabilities) = rows.row(state);
            let mut placed = false;
            for (&column, &probability) in columns.iter().zip(probabilities) {
                if !placed && column as usize >= state {
                    placed = true;
                    self.diagonal.push(self.columns.len());
                    self.columns.push(state as u32);
                    if column as usize == state {
                        self.values.push(1.0 - discount * probability);
                        continue;
                    }
                    self.values.push(1.0);
                }
                self.columns.push(column);
                self.values.push(-discount * probability);
            }
            if !placed {
                self.diagonal.push(self.columns.len());
                self.columns.push(state as u32);
                self.values.push(1.0);
            }
            self.row_start.push(self.columns.len());
        }
        self.factor();
    }

    /// ILU(0), row by row. Pivots of a nonsingular M-matrix stay positive; one that rounding takes
    /// away is replaced by its diagonal.
    fn factor(&mut self) {
        let states = self.diagonal.len();
        self.factors.clear();
        self.factors.extend_from_slice(&self.values);
        self.inverse_pivots.clear();
        let position = &mut self.work.position;
        position.clear();
        position.resize(states, u32::MAX);
        for row in 0..states {
            let (begin, end) = (self.row_start[row], self.row_start[row + 1]);
            let middle = self.diagonal[row];
            for at in begin..end {
                position[self.columns[at] as usize] = at as u32;
            }
            for at in begin..middle {
                let above = self.columns[at] as usize;
                let ratio = self.factors[at] * self.inverse_pivots[above];
                self.factors[at] = ratio;
                for of in self.diagonal[above] + 1..self.row_start[above + 1] {
                    let to = position[self.columns[of] as usize];
                    if to != u32::MAX {
                        self.factors[to as usize] -= ratio * self.factors[of];
                    }
                }
            }
            for at in begin..end {
                position[self.columns[at] as usize] = u32::MAX;
            }
            let pivot = self.factors[middle];
            let usable = pivot > 1e-3 * f64::EPSILON && pivot.is_finite();
            let pivot = if usable { pivot } else { self.values[middle].max(f64::EPSILON) };
            self.factors[middle] = pivot;
            self.inverse_pivots.push(1.0 / pivot);
        }
    }

    /// Solves the incomplete factors for `x`, in place.
    fn precondition(&self, x: &mut [f64]) {
        let states = x.len();
        for row in 0..states {
            let mut sum = x[row];
            for at in self.row_start[row]..self.diagonal[row] {
                sum -= self.factors[at] * x[self.columns[at] as usize];
            }
            x[row] = sum;
        }
        for row in (0..states).rev() {
            let mut sum = x[row];
            for at in self.diagonal[row] + 1..self.row_start[row + 1] {
                sum -= self.factors[at] * x[self.columns[at] as usize];
            }
            x[row] = sum * self.inverse_pivots[row];
        }
    }

    fn apply(&self, x: &[f64], image: &mut [f64]) {
        let body = |first: usize, image: &mut [f64]| {
            for (k, image) in image.iter_mut().enumerate() {
                let range = self.row_start[first + k]..self.row_start[first + k + 1];
                let entries = self.columns[range.clone()].iter().zip(&self.values[range]);
                *image = entries.map(|(&column, &value)| value * x[column as usize]).sum();
            }
        };
        if x.len() < WORTH_SHARING {
            return body(0, image);
        }
        image.par_chunks_mut(CHUNK).enumerate().for_each(|(k, image)| body(k * CHUNK, image));
    }

    /// Solves for `right` to `tolerance` of its size, roughly; `x` holds the answer. Returns how small
    /// the residual became, relatively.
    ///
    /// # Errors
    ///
    /// [`crate::error::Error::Cancelled`].
    pub fn solve(
        &mut self,
        right: &[f64],
        x: &mut [f64],
        tolerance: f64,
        host: &dyn Host,
    ) -> Result<f64> {
        let mut work = std::mem::take(&mut self.work);
        let reached = self.bicgstab(right, x, tolerance, host, &mut work);
        self.work = work;
        reached
    }

    fn bicgstab(
        &self,
        right: &[f64],
        x: &mut [f64],
        tolerance: f64,
        host: &dyn Host,
        work: &mut Work,
    ) -> Result<f64> {
        let states = right.len();
        let size = dot(right, right).sqrt();
        x.fill(0.0);
        if size == 0.0 || !size.is_finite() {
            return Ok(0.0);
        }
        let Work { residual, shadow, direction, image, second, conditioned, .. } = work;
        for vector in [&mut *residual, shadow, direction, image, second, conditioned] {
            vector.clear();
            vector.resize(states, 0.0);
        }
        // the first step is one plain iteration: on chains it is all that is needed
        x.copy_from_slice(right);
        self.precondition(x);
        self.apply(x, image);
        zip(residual, image, right, |_, a, b| b - a);
        let mut left = dot(residual, residual).sqrt() / size;
        shadow.copy_from_slice(residual);
        direction.copy_from_slice(residual);
        let mut rho = dot(shadow, residual);
        let mut best = left;
        for _ in 0..MOST_STEPS {
            if left <= tolerance || !left.is_finite() {
                break;
            }
            host.check()?;
            conditioned.copy_from_slice(direction);
            self.precondition(conditioned);
            self.apply(conditioned, image);
            let alpha = rho / dot(shadow, image);
            if !alpha.is_finite() {
                break;
            }
            zip(x, conditioned, conditioned, |x, c, _| x + alpha * c);
            zip(residual, image, image, |r, v, _| r - alpha * v);
            conditioned.copy_from_slice(residual);
            self.precondition(conditioned);
            self.apply(conditioned, second);
            let omega = dot(second, residual) / dot(second, second);
            if !omega.is_finite() || omega == 0.0 {
                break;
            }
            zip(x, conditioned, conditioned, |x, c, _| x + omega * c);
            zip(residual, second, second, |r, t, _| r - omega * t);
            left = dot(residual, residual).sqrt() / size;
            let next = dot(shadow, residual);
            let beta = next / rho * (alpha / omega);
            if !beta.is_finite() || left > 1e6 * best {
                break;
            }
            best = best.min(left);
            rho = next;
            zip(direction, residual, image, |d, r, v| r + beta * (d - omega * v));
        }
        // recursions drift; what counts is what is left in truth
        self.apply(x, image);
        zip(residual, image, right, |_, a, b| b - a);
        left = dot(residual, residual).sqrt() / size;
        if left.is_nan() || left > 1.0 {
            x.fill(0.0);
            residual.copy_from_slice(right);
            left = 1.0;
        }
        let mut steps = 0;
        while left > tolerance.max(0.1) && steps < PLAIN_STEPS {
            host.check()?;
            steps += 1;
            self.precondition(residual);
            zip(x, residual, residual, |x, c, _| x + c);
            self.apply(x, image);
            zip(residual, image, right, |_, a, b| b - a);
            left = dot(residual, residual).sqrt() / size;
        }
        Ok(left)
    }
}

/// `to[k] = f(to[k], a[k], b[k])`
fn zip(to: &mut [f64], a: &[f64], b: &[f64], f: impl Fn(f64, f64, f64) -> f64 + Sync) {
    for ((to, &a), &b) in to.iter_mut().zip(a).zip(b) {
        *to = f(*to, a, b);
    }
}

/// The scalar product, added up in the same order for any number of threads.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let of_chunk = |a: &[f64], b: &[f64]| {
        let mut sums = [0.0; 8];
        let (mut left, mut right) = (a.chunks_exact(8), b.chunks_exact(8));
        for (a, b) in (&mut left).zip(&mut right) {
            for k in 0..8 {
                sums[k] += a[k] * b[k];
            }
        }
        let rest: f64 = left.remainder().iter().zip(right.remainder()).map(|(a, b)| a * b).sum();
        sums.iter().sum::<f64>() + rest
    };
    if a.len() < WORTH_SHARING {
        return a.chunks(CHUNK).zip(b.chunks(CHUNK)).map(|(a, b)| of_chunk(a, b)).sum();
    }
    let sums: Vec<f64> =
        a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)).map(|(a, b)| of_chunk(a, b)).collect();
    sums.iter().sum()
}
