//! Conjugate gradients preconditioned by a multigrid V-cycle (Briggs, Henson & `McCormick` 2000), for
//! components too large to factorise.

use super::bitmap::Bitmap;
use super::coarse::{interpolate, restrict, smoothing_range, Stencils};
use super::components::Component;
use super::grid::{dot, largest, update, Grid, PAD};
use super::stencil::Kind;
use super::{Field, Picture};
use crate::error::Result;
use crate::host::Host;
use crate::memory::zeroed;

/// Coarsest levels up to this many unknowns are solved by a dense factorisation.
const DENSE: usize = 400;
pub(super) const MOST_ITERATIONS: usize = 300;

/// The estimated error at which the iteration stops.
pub(super) const fn tolerance(kind: Kind) -> f64 {
    match kind {
        Kind::Harmonic => 1e-8,
        Kind::Biharmonic => 1e-7,
    }
}

/// Steps of a Richardson iteration at the Chebyshev points, for a matrix of norm 1.
pub(super) fn richardson(range: f64, degree: usize) -> Vec<f64> {
    let (middle, half) = (0.5 * (1.0 + 1.0 / range), 0.5 * (1.0 - 1.0 / range));
    (0..degree)
        .map(|k| {
            1.0 / (middle + half * (std::f64::consts::PI * (k as f64 + 0.5) / degree as f64).cos())
        })
        .collect()
}

struct Level {
    stencils: Stencils,
    z: Vec<f64>,
    spare: Vec<f64>,
    r: Vec<f64>,
}

/// The preconditioner.
struct Multigrid<'a> {
    grid: &'a Grid,
    levels: Vec<Level>,
    bottom: Dense,
    /// See [`richardson`].
    steps: Vec<f64>,
}

/// Fills one component, channel by channel because memory counts here. Returns the largest change.
pub(super) fn solve_component(
    picture: &mut Picture,
    unknown: &Bitmap,
    component: &Component,
    clip: bool,
    host: &dyn Host,
) -> Result<f32> {
    let grid = Grid::new(picture.operator, component)?;
    let mut multigrid = Multigrid::new(&grid, host)?;
    let (channels, width) = (picture.channels, picture.operator.width as usize);
    let mut change = 0.0_f32;
    for channel in 0..channels {
        let b = right_hand_side(&picture.field(unknown), component, &grid, channel)?;
        let x = conjugate_gradients(&grid, &mut multigrid, b, host)?;
        for run in &component.runs {
            let from = grid.cell(component, run.y, run.from);
            let target = channels * (run.y as usize * width + run.from as usize) + channel;
            let pixels = picture.image[target..].iter_mut().step_by(channels);
            for (pixel, &value) in pixels.zip(&x[from..from + (run.to - run.from) as usize]) {
                let value = if clip { value.clamp(0.0, 1.0) } else { value } as f32;
                change = change.max((*pixel - value).abs());
                *pixel = value;
            }
        }
    }
    Ok(change)
}

fn right_hand_side(
    field: &Field,
    component: &Component,
    grid: &Grid,
    channel: usize,
) -> Result<Vec<f64>> {
    let operator = &field.operator;
    let mut b = zeroed::<f64>(grid.len())?;
    for run in &component.runs {
        let y = run.y as i32;
        for x in run.from as i32..run.to as i32 {
            let mut sum = 0.0;
            for &step in operator.kind.steps() {
                let (y_there, x_there) = (y + step.dy, x + step.dx);
                if operator.contains(y_there, x_there)
                    && !field.hidden.get(y_there as usize, x_there as usize)
                {
                    let at = y_there as usize * operator.width as usize + x_there as usize;
                    sum -= operator.weight(y, x, step)
                        * f64::from(field.image[at * field.channels + channel]);
                }
            }
            b[grid.cell(component, run.y, x as u32)] = sum;
        }
    }
    Ok(b)
}

fn conjugate_gradients(
    grid: &Grid,
    multigrid: &mut Multigrid,
    mut r: Vec<f64>,
    host: &dyn Host,
) -> Result<Vec<f64>> {
    let stride = grid.stride();
    let len = grid.len();
    let (mut x, mut p) = (zeroed(len)?, zeroed(len)?);
    let (mut z, mut spare) = (zeroed(len)?, zeroed(len)?);
    let mut before = 0.0;
    for _ in 0..MOST_ITERATIONS {
        multigrid.cycle(&r, &mut z, &mut spare, host)?;
        let now = dot(&r, &z, stride);
        // Not positive: rounding is all that is left. Also ends on values that are not finite.
        if !(now > 0.0 && now.is_finite()) {
            break;
        }
        let error = largest(&z, stride);
        let beta = if before > 0.0 { now / before } else { 0.0 };
        update(&mut p, stride, |i, p| z[i] + beta * p);
        grid.apply(&p, &mut spare, |_, value| value);
        let alpha = now / dot(&p, &spare, stride);
        if !alpha.is_finite() {
            break;
        }
        update(&mut x, stride, |i, x| x + alpha * p[i]);
        update(&mut r, stride, |i, r| r - alpha * spare[i]);
        before = now;
        if error < tolerance(grid.operator.kind) {
            break;
        }
    }
    Ok(x)
}

impl<'a> Multigrid<'a> {
    fn new(grid: &'a Grid, host: &dyn Host) -> Result<Self> {
        let mut levels: Vec<Level> = Vec::new();
        let mut next = Stencils::finest(grid, host)?.coarser(host)?;
        loop {
            let len = next.number.len();
            let unknowns = next.unknowns();
            let coarser = if unknowns > DENSE { Some(next.coarser(host)?) } else { None };
            levels.push(Level {
                stencils: next,
                z: zeroed(len)?,
                spare: zeroed(len)?,
                r: zeroed(len)?,
            });
            match coarser {
                Some(coarser) => next = coarser,
                None => break,
            }
        }
        let bottom = levels.last().map(|level| Dense::new(&level.stencils)).unwrap_or_default();
        let (range, degree) = smoothing_range(grid.operator.kind);
        Ok(Multigrid { grid, levels, bottom, steps: richardson(range, degree) })
    }

    /// `z` becomes an approximation of `A^-1 r`, symmetric in `r`.
    fn cycle(
        &mut self,
        r: &[f64],
        z: &mut Vec<f64>,
        spare: &mut Vec<f64>,
        host: &dyn Host,
    ) -> Result<()> {
        host.check()?;
        let grid = self.grid;
        let stride = grid.stride();
        let norm = 1.0 / grid.operator.kind.largest_eigenvalue();
        let first = self.steps[0] * norm;
        update(z, stride, |i, _| first * r[i]);
        for &step in &self.steps[1..] {
            host.check()?;
            grid.apply(z, spare, |i, value| z[i] + step * norm * (r[i] - value));
            std::mem::swap(z, spare);
        }
        grid.apply(z, spare, |i, value| r[i] - value);
        host.check()?;
        if let Some(coarse) = self.levels.first_mut() {
            restrict(spare, (grid.height, grid.width), &mut coarse.r, coarse.stencils.width);
            cycle_coarse(&mut self.levels, &self.bottom, &self.steps);
            let coarse = &self.levels[0];
            interpolate(&coarse.z, coarse.stencils.width, z, (grid.height, grid.width), |cell| {
                grid.active[cell] != 0
            });
        }
        for &step in self.steps.iter().rev() {
            host.check()?;
            grid.apply(z, spare, |i, value| z[i] + step * norm * (r[i] - value));
            std::mem::swap(z, spare);
        }
        Ok(())
    }
}

fn cycle_coarse(levels: &mut [Level], bottom: &Dense, steps: &[f64]) {
    let Some((here, below)) = levels.split_first_mut() else { return };
    let Level { stencils, z, spare, r } = here;
    let Some(coarse) = below.first_mut() else {
        bottom.solve(r, z);
        return;
    };
    z.fill(0.0);
    for &step in steps {
        stencils.apply(z, spare, |i, value, scale| z[i] + step * scale * (r[i] - value));
        std::mem::swap(z, spare);
    }
    stencils.apply(z, spare, |i, value, _| r[i] - value);
    restrict(spare, (stencils.height, stencils.width), &mut coarse.r, coarse.stencils.width);
    cycle_coarse(below, bottom, steps);
    let coarse = &below[0];
    interpolate(&coarse.z, coarse.stencils.width, z, (stencils.height, stencils.width), |cell| {
        stencils.number[cell] != 0
    });
    for &step in steps.iter().rev() {
        stencils.apply(z, spare, |i, value, scale| z[i] + step * scale * (r[i] - value));
        std::mem::swap(z, spare);
    }
}

/// Dense Cholesky factor of the coarsest matrix.
#[derive(Default)]
pub(super) struct Dense {
    pub cells: Vec<usize>,
    factor: Vec<f64>,
}

impl Dense {
    fn new(stencils: &Stencils) -> Dense {
        Self::of(stencils.stride(), &stencils.number, |number, entry| {
            stencils.rows[number as usize].entries[entry]
        })
    }

    /// The factor of the matrix whose row `number[cell]` has 25 entries, given the cells from row to row.
    pub fn of(stride: usize, number: &[u32], entry: impl Fn(u32, usize) -> f64) -> Dense {
        let cells: Vec<usize> = (0..number.len()).filter(|&cell| number[cell] != 0).collect();
        let n = cells.len();
        let mut place = vec![usize::MAX; number.len()];
        for (i, &cell) in cells.iter().enumerate() {
            place[cell] = i;
        }
        let mut factor = vec![0.0; n * n];
        for (i, &cell) in cells.iter().enumerate() {
            for k in 0..25 {
                let j = place[cell + k / 5 * stride + k % 5 - PAD * stride - PAD];
                if j <= i {
                    factor[i * n + j] = entry(number[cell], k);
                }
            }
        }
        for i in 0..n {
            let diagonal = factor[i * n + i];
            for j in 0..=i {
                let (row_j, row_i) = (&factor[j * n..j * n + j], &factor[i * n..i * n + j]);
                let sum: f64 = row_j.iter().zip(row_i).map(|(a, b)| a * b).sum();
                let rest = factor[i * n + j] - sum;
                factor[i * n + j] = if j < i {
                    rest * factor[j * n + j]
                } else if rest > 1e-13 * diagonal {
                    // The diagonal is kept inverted.
                    1.0 / rest.sqrt()
                } else {
                    // Linearly dependent on cells before it (both touch the same few pixels): it adds nothing.
                    0.0
                };
            }
        }
        Dense { cells, factor }
    }

    fn solve(&self, r: &[f64], z: &mut [f64]) {
        let mut v: Vec<f64> = self.cells.iter().map(|&cell| r[cell]).collect();
        self.solve_in_place(&mut v);
        z.fill(0.0);
        for (&cell, v) in self.cells.iter().zip(v) {
            z[cell] = v;
        }
    }

    /// The inverse, row by row.
    #[cfg(feature = "cuda")]
    pub fn inverse(&self) -> Vec<f64> {
        let n = self.cells.len();
        let mut inverse = vec![0.0; n * n];
        for (i, row) in inverse.chunks_exact_mut(n.max(1)).enumerate() {
            row[i] = 1.0;
            self.solve_in_place(row);
        }
        inverse
    }

    fn solve_in_place(&self, v: &mut [f64]) {
        let n = self.cells.len();
        for i in 0..n {
            let sum: f64 = self.factor[i * n..i * n + i].iter().zip(&*v).map(|(l, v)| l * v).sum();
            v[i] = (v[i] - sum) * self.factor[i * n + i];
        }
        for i in (0..n).rev() {
            v[i] *= self.factor[i * n + i];
            let value = v[i];
            for (l, v) in self.factor[i * n..i * n + i].iter().zip(&mut *v) {
                *v -= l * value;
            }
        }
    }
}
