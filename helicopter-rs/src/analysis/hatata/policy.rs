//! When to stop looking, by backward induction; `helicopter/backends/reference/hatata_mdp.py` is the
//! law. Here and there the same operations are done in the same order: the policies are the same.

use super::beta::Beta;
use crate::error::Result;
use crate::host::Host;

/// Losses that differ by less than this share of the larger cost of an error count as equal.
const TIE: f64 = 1.0 / (1_u64 << 40) as f64;
/// Levels between two questions whether to stop.
const CHECKED: usize = 64;

/// What a policy follows from; see `StoppingOptions` in `helicopter/backends/protocol.py`.
#[derive(Clone, Copy, Debug)]
pub struct StoppingOptions {
    /// Of successes; between 0 and 1.
    pub required_share: f64,
    /// The law of the share before the first look.
    pub prior: Beta,
    /// Cost of a look.
    pub look: f64,
    /// Cost of accepting a share that is too small.
    pub false_accept: f64,
    /// Cost of rejecting one that is not.
    pub false_reject: f64,
    /// It is decided after so many looks at the latest.
    pub horizon: usize,
    /// Probability that the share is too small, before the first look.
    pub short: f64,
    /// [`Beta::density`] of the prior at the required share.
    pub density: f64,
}

/// Where to stop, by the number of looks, and what that costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Reject at so many successes or fewer; -1: never.
    pub reject_at: Vec<i32>,
    /// Accept from so many successes on.
    pub accept_from: Vec<i32>,
    /// From so many on, accepting costs less than rejecting.
    pub favour_from: Vec<i32>,
    /// Expected loss over the prior.
    pub value: f64,
}

/// Finds the policy of least expected loss.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn solve(options: &StoppingOptions, host: &dyn Host) -> Result<Policy> {
    let StoppingOptions { prior: Beta { a, b }, look: cost, horizon, .. } = *options;
    let tie = TIE * options.false_accept.max(options.false_reject);
    let mut short = last_level(options, host)?;
    let mut value = vec![0.0; horizon + 1];
    let mut policy = Policy {
        reject_at: vec![0; horizon + 1],
        accept_from: vec![0; horizon + 1],
        favour_from: vec![0; horizon + 1],
        value: 0.0,
    };
    for looks in (0..=horizon).rev() {
        if looks % CHECKED == 0 {
            host.check()?;
        }
        let last = looks == horizon;
        let total = a + b + looks as f64;
        let (mut favour, mut first, mut end) = (looks + 1, looks + 1, 0);
        for s in 0..=looks {
            let mut look = f64::INFINITY;
            if !last {
                let up = (a + s as f64) / total;
                let down = 1.0 - up;
                short[s] = up * short[s + 1] + down * short[s];
                look = cost + (up * value[s + 1] + down * value[s]);
            }
            let accept = options.false_accept * short[s];
            let reject = options.false_reject * (1.0 - short[s]);
            if accept < reject - tie && favour > s {
                favour = s;
            }
            let stop = if accept < reject { accept } else { reject };
            let worth = look < stop - tie;
            value[s] = if worth { look } else { stop };
            if worth {
                first = first.min(s);
                end = s + 1;
            }
        }
        let (from, to) = if end > 0 { (first, end) } else { (favour, favour) };
        policy.reject_at[looks] = from as i32 - 1;
        policy.accept_from[looks] = to as i32;
        policy.favour_from[looks] = favour as i32;
    }
    policy.value = value[0];
    Ok(policy)
}

/// The probability of falling short after the last look, for every number of successes.
fn last_level(options: &StoppingOptions, host: &dyn Host) -> Result<Vec<f64>> {
    let StoppingOptions { required_share: x, prior: Beta { a, b }, horizon, .. } = *options;
    let mut level = vec![0.0; horizon + 1];
    level[0] = options.short;
    let (mut least, mut most) = (options.density, options.density);
    let y = 1.0 - x;
    for looks in 1..=horizon {
        if looks % CHECKED == 0 {
            host.check()?;
        }
        let before = (looks - 1) as f64;
        level[looks] = (level[looks - 1] - most / (a + before)).max(0.0);
        for s in (1..looks).rev() {
            level[s] = x * level[s - 1] + y * level[s];
        }
        level[0] += least / (b + before);
        least *= y * ((a + b + before) / (b + before));
        most *= x * ((a + b + before) / (a + before));
    }
    Ok(level)
}
