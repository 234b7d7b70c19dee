//! Direct solution of a batch of components.

use std::cell::RefCell;
use std::ops::Range;

use super::bitmap::{for_each_bit, Bitmap};
use super::cholesky::Factors;
use super::components::Component;
use super::ordering::{Cost, Graph, Placed};
use super::stencil::Operator;
use super::{Field, DIRECT_AREA};
use crate::error::Result;
use crate::host::Host;

/// Scratch memory that outlives a call is bounded by this many doubles per thread.
const KEPT_DOUBLES: usize = 4 << 20;

/// Components are factorised together until their factors reach this size: about what the cache holds.
const GROUP_DOUBLES: usize = 1 << 20;
/// Positions within a component are 16-bit numbers.
const LONGEST_SIDE: usize = 65_000;

struct Scratch {
    graph: Graph,
    factors: Factors,
    x: Vec<f64>,
}

thread_local! {
    static SCRATCH: RefCell<Option<Box<Scratch>>> = const { RefCell::new(None) };
}

/// Solves the components of `batch` that are affordable. Returns for each its pixels' channels in the
/// order of its runs, or `None` where the cost would exceed `limit`.
pub(super) fn solve_batch(
    field: &Field,
    batch: &[Component],
    limit: Cost,
    host: &dyn Host,
) -> Result<Vec<Option<Vec<f32>>>> {
    // Taken out of its slot while in use: rayon may start another task on this thread in the middle of this.
    let mut scratch = SCRATCH.with(|slot| slot.borrow_mut().take()).unwrap_or_else(|| {
        Box::new(Scratch { graph: Graph::default(), factors: Factors::new(), x: Vec::new() })
    });
    let result = if field.channels == 3 {
        solve_with::<3>(&mut scratch, field, batch, limit, host)
    } else {
        solve_with::<1>(&mut scratch, field, batch, limit, host)
    };
    if scratch.factors.capacity() + scratch.x.capacity() <= KEPT_DOUBLES {
        SCRATCH.with(|slot| *slot.borrow_mut() = Some(scratch));
    }
    result
}

fn solve_with<const C: usize>(
    scratch: &mut Scratch,
    field: &Field,
    batch: &[Component],
    limit: Cost,
    host: &dyn Host,
) -> Result<Vec<Option<Vec<f32>>>> {
    let mut results = vec![None; batch.len()];
    let mut group = Vec::new();
    let mut roots = Vec::new();
    scratch.graph.clear();
    for (number, component) in batch.iter().enumerate() {
        host.check()?;
        if component.height() * component.width() > DIRECT_AREA
            || component.height().max(component.width()) > LONGEST_SIDE
        {
            continue;
        }
        let bitmap = component.bitmap();
        let from = roots.len();
        let corner = (component.top as i32, component.left as i32);
        let affordable =
            scratch.graph.add(field.operator, &bitmap, corner, limit, &mut roots, host);
        if affordable {
            group.push(Plan { number, bitmap, roots: from..roots.len() });
        } else {
            host.check()?;
        }
        if !affordable || scratch.graph.cost.factor_len > GROUP_DOUBLES {
            solve_group::<C>(scratch, field, batch, &group, &roots, host, &mut results)?;
            scratch.graph.clear();
            group.clear();
            roots.clear();
        }
    }
    solve_group::<C>(scratch, field, batch, &group, &roots, host, &mut results)?;
    Ok(results)
}

/// A component whose fronts are in the graph.
struct Plan {
    number: usize,
    bitmap: Bitmap,
    roots: Range<usize>,
}

fn solve_group<const C: usize>(
    scratch: &mut Scratch,
    field: &Field,
    batch: &[Component],
    group: &[Plan],
    roots: &[Placed],
    host: &dyn Host,
    results: &mut [Option<Vec<f32>>],
) -> Result<()> {
    let Scratch { graph, factors, x } = scratch;
    factors.factorise(graph, field.operator.kind, host)?;
    for plan in group {
        host.check()?;
        let component = &batch[plan.number];
        let width = component.width();
        if x.len() < C * width * component.height() {
            x.resize(C * width * component.height(), 0.0);
        }
        right_hand_side::<C>(field, component, &plan.bitmap, x);
        factors.solve::<C>(graph, &roots[plan.roots.clone()], width, x, host)?;
        let mut values = Vec::with_capacity(C * component.pixels);
        for run in &component.runs {
            let from =
                (run.y - component.top) as usize * width + (run.from - component.left) as usize;
            let to = from + (run.to - run.from) as usize;
            values.extend(x[C * from..C * to].iter().map(|&value| value as f32));
        }
        results[plan.number] = Some(values);
    }
    Ok(())
}

/// Moves the visible neighbours to the right-hand side.
fn right_hand_side<const C: usize>(
    field: &Field,
    component: &Component,
    bitmap: &Bitmap,
    x: &mut [f64],
) {
    let (top, left) = (component.top as i32, component.left as i32);
    let width = component.width();
    for run in &component.runs {
        let from = (run.y - component.top) as usize * width + (run.from - component.left) as usize;
        let to = from + (run.to - run.from) as usize;
        x[C * from..C * to].fill(0.0);
    }
    let operator: &Operator = &field.operator;
    for row in 0..bitmap.height {
        let y = top + row as i32;
        for (word, &bits) in bitmap.row(row).iter().enumerate() {
            if bits == 0 {
                continue;
            }
            let start = left + 64 * word as i32;
            let inner = operator.is_inner(y, start + bits.trailing_zeros() as i32)
                && operator.is_inner(y, start + 63 - bits.leading_zeros() as i32);
            for &step in operator.kind.steps() {
                if y + step.dy < 0 || y + step.dy >= operator.height {
                    continue;
                }
                let hidden =
                    field.hidden.word_at((y + step.dy) as usize, (start + step.dx) as isize);
                let visible = bits & !hidden;
                let there = (y + step.dy) as usize * operator.width as usize;
                let mut add = |bit: usize, weight: f64| {
                    let from = C * (there + (start + step.dx + bit as i32) as usize);
                    let to = C * (row * width + 64 * word + bit);
                    let (pixel, sum) = (&field.image[from..from + C], &mut x[to..to + C]);
                    for c in 0..C {
                        sum[c] -= weight * f64::from(pixel[c]);
                    }
                };
                if inner {
                    for_each_bit(visible, |bit| add(bit, step.weight));
                } else {
                    for_each_bit(visible, |bit| {
                        let x_here = start + bit as i32;
                        if (0..operator.width).contains(&(x_here + step.dx)) {
                            add(bit, operator.weight(y, x_here, step));
                        }
                    });
                }
            }
        }
    }
}
