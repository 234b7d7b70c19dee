//! Direct solution of a batch of components.

use std::cell::RefCell;

use super::bitmap::{for_each_bit, Bitmap};
use super::cholesky::Factors;
use super::components::Component;
use super::ordering::{Cost, Graph, Placed};
use super::stencil::Operator;
use super::{Control, Field, PdeError};

/// Scratch memory that outlives a call is bounded by this many doubles per thread.
const KEPT_DOUBLES: usize = 4 << 20;

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
    control: &dyn Control,
) -> Result<Vec<Option<Vec<f32>>>, PdeError> {
    let mut scratch = SCRATCH.with(|slot| slot.borrow_mut().take()).unwrap_or_else(|| {
        Box::new(Scratch { graph: Graph::default(), factors: Factors::new(), x: Vec::new() })
    });
    let result = if field.channels == 3 {
        solve_with::<3>(&mut scratch, field, batch, limit, control)
    } else {
        solve_with::<1>(&mut scratch, field, batch, limit, control)
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
    control: &dyn Control,
) -> Result<Vec<Option<Vec<f32>>>, PdeError> {
    let Scratch { graph, factors, x } = scratch;
    let t0 = std::time::Instant::now();
    graph.clear();
    let mut roots: Vec<Placed> = Vec::new();
    // Bits and range of roots per component; `None` if too costly.
    let mut plans = Vec::with_capacity(batch.len());
    for component in batch {
        if control.cancelled() {
            return Err(PdeError::Cancelled);
        }
        let bitmap = component.bitmap();
        let from = roots.len();
        let corner = (component.top as i32, component.left as i32);
        let affordable = graph.add(field.operator, &bitmap, corner, limit, &mut roots);
        plans.push(affordable.then_some((bitmap, from..roots.len())));
    }
    let t1 = std::time::Instant::now();
    factors.factorise(graph, field.operator.kind, control)?;
    let t2 = std::time::Instant::now();
    let mut results = Vec::with_capacity(batch.len());
    for (component, plan) in batch.iter().zip(plans) {
        let Some((bitmap, roots_of)) = plan else {
            results.push(None);
            continue;
        };
        if control.cancelled() {
            return Err(PdeError::Cancelled);
        }
        let width = component.width();
        if x.len() < C * width * component.height() {
            x.resize(C * width * component.height(), 0.0);
        }
        right_hand_side::<C>(field, component, &bitmap, x);
        factors.solve::<C>(graph, &roots[roots_of], width, x);
        let mut values = Vec::with_capacity(C * component.pixels);
        for run in &component.runs {
            let from =
                (run.y - component.top) as usize * width + (run.from - component.left) as usize;
            let to = from + (run.to - run.from) as usize;
            values.extend(x[C * from..C * to].iter().map(|&value| value.clamp(0.0, 1.0) as f32));
        }
        results.push(Some(values));
    }
    if std::env::var("PT").is_ok() {
        let t3 = std::time::Instant::now();
        eprintln!(
            "sym {:?} fac {:?} sol {:?} nodes {} factor {} work {:.1}M ext {:.2}M",
            t1 - t0,
            t2 - t1,
            t3 - t2,
            graph.nodes.len(),
            graph.cost.factor_len,
            graph.cost.work / 1e6,
            graph
                .children
                .iter()
                .map(|c| {
                    let b = graph.nodes[c.node as usize].boundary as f64;
                    b * b / 2.
                })
                .sum::<f64>()
                / 1e6
        );
    }
    Ok(results)
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
