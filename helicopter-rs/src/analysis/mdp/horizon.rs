//! So many steps and no more: backward induction (Bellman 1957; Puterman 1994, section 4.5).

use ndarray::Array2;

use super::model::{Model, SUM_TOLERANCE};
use super::sweep::{Sweeps, Values, NO_PAIR};
use crate::error::Result;
use crate::host::Host;

/// Values with H, H - 1, ..., 0 steps to go, a row for each, and what to do.
#[derive(Debug, Clone)]
pub struct Horizon {
    /// (H + 1) x states.
    pub value: Array2<f64>,
    /// Like `value`; not above what `policy` earns.
    pub lower: Array2<f64>,
    /// Like `value`.
    pub upper: Array2<f64>,
    /// H x states; -1 where there is nothing to do.
    pub policy: Array2<i64>,
}

/// Solves a model for a number of steps, after which a state is worth what `terminal` says.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn solve(
    model: &Model,
    discount: f64,
    horizon: usize,
    terminal: &[f64],
    host: &dyn Host,
) -> Result<Horizon> {
    let states = model.states();
    // one that has nothing left to do keeps what it is worth in the end: nothing on the way
    let over: Vec<bool> = (0..states).map(|state| model.pairs_of(state).is_empty()).collect();
    let size = (horizon + 1) * states;
    let (mut value, mut lower, mut upper) = (vec![0.0; size], vec![0.0; size], vec![0.0; size]);
    let mut policy = vec![-1; horizon * states];
    for bound in [&mut value, &mut lower, &mut upper] {
        bound[horizon * states..].copy_from_slice(terminal);
    }
    let scattered = states > 30_000 && model.is_scattered();
    let mut choice = vec![NO_PAIR; states];
    let mut error = 0.0_f64;
    for step in (0..horizon).rev() {
        host.check()?;
        host.progress(horizon - step, horizon);
        let (now, after) = value.split_at_mut((step + 1) * states);
        let (now, after) = (&mut now[step * states..], &after[..states]);
        let most = after.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let bare = Sweeps { model, discount, over: &over, tie: 0.0, scattered };
        let margin = bare.margin(most);
        let sweeps = Sweeps { tie: margin, ..bare };
        sweeps.greedy(after, Values::plain(after), now, &mut choice, &mut []);
        // what the next step may be off, and this one's rounding, and the tie that was settled
        error = (discount * error * (1.0 + SUM_TOLERANCE) + 2.0 * margin) * (1.0 + 1e-12);
        for state in 0..states {
            let at = step * states + state;
            if over[state] {
                continue;
            }
            lower[at] = (now[state] - error).next_down();
            upper[at] = (now[state] + error).next_up();
            policy[at] = i64::from(model.actions()[choice[state] as usize]);
        }
    }
    let shape = (horizon + 1, states);
    Ok(Horizon {
        value: table(shape, value),
        lower: table(shape, lower),
        upper: table(shape, upper),
        policy: table((horizon, states), policy),
    })
}

fn table<T>(shape: (usize, usize), values: Vec<T>) -> Array2<T> {
    Array2::from_shape_vec(shape, values).expect("a value for each place")
}
