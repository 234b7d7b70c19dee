//! When to stop looking, by backward induction; `helicopter/backends/reference/analysis/hatata_mdp.py` is the
//! law. Here and there the same operations are done in the same order: the policies are the same.

use super::beta::Beta;
use crate::error::Result;
use crate::host::Host;

/// Losses that differ by less than this share of the larger cost of an error count as equal.
const TIE: f64 = 1.0 / (1_u64 << 40) as f64;
/// Levels between two questions whether to stop.
const CHECKED: usize = 64;

/// What a policy follows from; see `StoppingOptions` in `helicopter/backends/protocol/decisions.py`.
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
    let successes: Vec<f64> = (0..=horizon).map(|s| s as f64).collect();
    let mut value = vec![0.0; horizon + 1];
    let mut policy = Policy {
        reject_at: vec![0; horizon + 1],
        accept_from: vec![0; horizon + 1],
        favour_from: vec![0; horizon + 1],
        value: 0.0,
    };
    let losses = |short: f64| (options.false_accept * short, options.false_reject * (1.0 - short));
    let least = |short: f64| {
        let (accept, reject) = losses(short);
        if accept < reject {
            accept
        } else {
            reject
        }
    };
    for looks in (0..=horizon).rev() {
        if looks % CHECKED == 0 {
            host.check()?;
        }
        let last = looks == horizon;
        let total = a + b + looks as f64;
        if !last {
            before(&mut short[..looks + 2], &successes, a, total);
        }
        let level = &short[..=looks];
        let favour = level.partition_point(|&short| {
            let (accept, reject) = losses(short);
            accept >= reject - tie
        });
        // A look can be worth its cost only where more than that would be lost by stopping: between
        // these two. All that the level before asks for lies there, or next to it.
        let from = level.partition_point(|&short| losses(short).1 <= cost);
        let to = level.partition_point(|&short| losses(short).0 > cost);
        let (mut first, mut end) = (looks + 1, 0);
        for s in from..to {
            let stop = least(level[s]);
            let mut now = stop;
            if !last {
                let up = (a + successes[s]) / total;
                let down = 1.0 - up;
                let look = cost + (up * value[s + 1] + down * value[s]);
                if look < stop - tie {
                    now = look;
                    first = first.min(s);
                    end = s + 1;
                }
            }
            value[s] = now;
        }
        for s in [from.checked_sub(1), Some(to)].into_iter().flatten().filter(|&s| s <= looks) {
            value[s] = least(level[s]);
        }
        let (first, end) = if end > 0 { (first, end) } else { (favour, favour) };
        policy.reject_at[looks] = first as i32 - 1;
        policy.accept_from[looks] = end as i32;
        policy.favour_from[looks] = favour as i32;
        if looks == 0 {
            policy.value = if (from..to).contains(&0) { value[0] } else { least(level[0]) };
        }
    }
    Ok(policy)
}

/// Turns the probabilities of falling short after a look into those before it.
fn before(short: &mut [f64], successes: &[f64], a: f64, total: f64) {
    let count = short.len() - 1;
    let successes = &successes[..count];
    for s in 0..count {
        let up = (a + successes[s]) / total;
        let down = 1.0 - up;
        short[s] = up * short[s + 1] + down * short[s];
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::NoHost;

    fn options(required_share: f64, prior: Beta, horizon: usize) -> StoppingOptions {
        let (x, y) = (required_share, 1.0 - required_share);
        StoppingOptions {
            required_share,
            prior,
            look: 0.004,
            false_accept: 1.5,
            false_reject: 0.8,
            horizon,
            short: prior.below_above(x, y).0,
            density: prior.density(x, y),
        }
    }

    /// Every state by the equation, without leaving any out: value, and where accepting is favoured.
    fn plainly(options: &StoppingOptions) -> (f64, Vec<i32>) {
        let StoppingOptions { prior: Beta { a, b }, required_share: x, horizon, .. } = *options;
        let mut after: Vec<f64> = Vec::new();
        let mut favours = vec![0; horizon + 1];
        for looks in (0..=horizon).rev() {
            let mut here = Vec::new();
            favours[looks] = looks as i32 + 1;
            for s in 0..=looks {
                let law = Beta { a: a + s as f64, b: b + (looks - s) as f64 };
                let (short, enough) = law.below_above(x, 1.0 - x);
                let (accept, reject) =
                    (options.false_accept * short, options.false_reject * enough);
                if accept < reject - 1e-12 {
                    favours[looks] = favours[looks].min(s as i32);
                }
                let up = law.a / (law.a + law.b);
                let look = if looks == horizon {
                    f64::INFINITY
                } else {
                    options.look + up * after[s + 1] + (1.0 - up) * after[s]
                };
                here.push(accept.min(reject).min(look));
            }
            after = here;
        }
        (after[0], favours)
    }

    #[test]
    fn it_solves_the_equation() {
        for (x, a, b, horizon) in
            [(0.8, 1.0, 1.0, 150), (0.3, 0.5, 2.5, 120), (0.6, 8.0, 4.0, 90), (0.95, 1.0, 0.2, 60)]
        {
            let options = options(x, Beta { a, b }, horizon);
            let policy = solve(&options, &NoHost).unwrap();
            let (value, favours) = plainly(&options);
            assert!((policy.value - value).abs() < 1e-10, "{} {value}", policy.value);
            assert_eq!(policy.favour_from, favours, "{x}");
            for looks in 0..=horizon {
                assert!(policy.reject_at[looks] < policy.favour_from[looks]);
                assert!(policy.favour_from[looks] <= policy.accept_from[looks]);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_policy_of_the_two_decisions_alone_is_better(
            x in 0.05..0.95_f64, a in 0.2..9.0_f64, b in 0.2..9.0_f64, horizon in 0..60_usize
        ) {
            let longer = options(x, Beta { a, b }, horizon + 1);
            let shorter = StoppingOptions { horizon, ..longer };
            let at_once = (longer.false_accept * longer.short)
                .min(longer.false_reject * (1.0 - longer.short));
            let (more, less) = (solve(&longer, &NoHost).unwrap(), solve(&shorter, &NoHost).unwrap());
            // one more look that may be taken never makes it worse
            proptest::prop_assert!(more.value <= less.value + 1e-12);
            proptest::prop_assert!(less.value <= at_once + 1e-12);
            for looks in 0..=horizon {
                let (from, to) = (more.reject_at[looks], more.accept_from[looks]);
                proptest::prop_assert!(-1 <= from && from < to && to <= looks as i32 + 1);
            }
        }
    }

    #[test]
    fn the_last_level_is_that_of_the_function() {
        for (x, a, b) in [(0.8, 1.0, 1.0), (0.3, 0.5, 2.5), (0.97, 30.0, 2.0)] {
            let law = Beta { a, b };
            let level = last_level(&options(x, law, 700), &NoHost).unwrap();
            for (s, got) in level.into_iter().enumerate() {
                let after = Beta { a: a + s as f64, b: b + (700 - s) as f64 };
                assert!((got - after.below_above(x, 1.0 - x).0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn nothing_is_looked_at_that_costs_more_than_it_can_save() {
        let options = StoppingOptions { look: 0.9, ..options(0.5, Beta { a: 1.0, b: 1.0 }, 30) };
        let policy = solve(&options, &NoHost).unwrap();
        for looks in 0..=30 {
            assert_eq!(policy.reject_at[looks] + 1, policy.accept_from[looks]);
        }
        assert!((policy.value - 0.4).abs() < 1e-15);
    }
}
