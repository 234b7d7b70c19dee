//! The verifier as Python calls it.

use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

use super::crossing::Crossing;
use super::{convert, errors};
use crate::analysis::hatata_mdp::{self, Beta, Decision, Evidence, Policy, StoppingOptions};
use crate::reconstruction::autonomous_engine::EvidenceStop;

type Line<'py, T> = Bound<'py, PyArray1<T>>;
/// Reject at, accept from, favour from, expected loss.
type PolicyArrays<'py> = (Line<'py, i32>, Line<'py, i32>, Line<'py, i32>, f64);
/// Decision, effective looks, effective successes, short, enough, low, high.
type VerifyArrays<'py> = (
    i32,
    Line<'py, f64>,
    Line<'py, f64>,
    Line<'py, f64>,
    Line<'py, f64>,
    Line<'py, f64>,
    Line<'py, f64>,
);

type Boundaries<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>);

/// The most looks that a policy may span.
const MOST_LOOKS: usize = 16384;
const BOUNDARY: &str = "a C-contiguous int32 array of one dimension";

/// Decides whether enough of an image is understood, with as few looks as that takes.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct HatataMDPEngine {}

#[pymethods]
impl HatataMDPEngine {
    #[new]
    fn new() -> Self {
        Self {}
    }

    /// The policy of least expected loss: (reject at, accept from, favour from, expected loss).
    #[pyo3(signature = (
        required_share, prior, costs, horizon, *, short=None, density=None, threads=None
    ))]
    #[expect(
        clippy::too_many_arguments,
        clippy::unused_self,
        reason = "keyword arguments of a method, as Python calls it"
    )]
    fn stopping_policy<'py>(
        &self,
        py: Python<'py>,
        required_share: f64,
        prior: (f64, f64),
        costs: (f64, f64, f64),
        horizon: usize,
        short: Option<f64>,
        density: Option<f64>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<PolicyArrays<'py>> {
        const OPERATION: &str = "stopping_policy";
        check_law(py, OPERATION, required_share, prior)?;
        let (look, false_accept, false_reject) = costs;
        if ![look, false_accept, false_reject].iter().all(|cost| cost.is_finite() && *cost >= 0.0) {
            let expected = "three finite numbers of at least 0";
            return Err(errors::invalid(py, OPERATION, "costs", expected, &format!("{costs:?}")));
        }
        if horizon > MOST_LOOKS {
            let expected = format!("from 0 to {MOST_LOOKS}");
            return Err(errors::invalid(py, OPERATION, "horizon", &expected, &horizon.to_string()));
        }
        let prior = Beta { a: prior.0, b: prior.1 };
        let (x, y) = (required_share, 1.0 - required_share);
        let options = StoppingOptions {
            required_share,
            prior,
            look,
            false_accept,
            false_reject,
            horizon,
            short: short.unwrap_or_else(|| prior.below_above(x, y).0),
            density: density.unwrap_or_else(|| prior.density(x, y)),
        };
        let policy = Crossing::new(OPERATION)
            .threads(threads)?
            .run(py, |host| hatata_mdp::stopping_policy(&options, host))?;
        Ok((
            policy.reject_at.into_pyarray(py),
            policy.accept_from.into_pyarray(py),
            policy.favour_from.into_pyarray(py),
            policy.value,
        ))
    }

    /// Takes looks until the policy stops or there are no more.
    #[pyo3(signature = (
        successes, policy, *, required_share, prior, credible_level, most_looks, time=None,
        threads=None
    ))]
    #[expect(
        clippy::too_many_arguments,
        clippy::unused_self,
        reason = "keyword arguments of a method, as Python calls it"
    )]
    fn verify<'py>(
        &self,
        py: Python<'py>,
        successes: &Bound<'py, PyAny>,
        policy: Boundaries<'py>,
        required_share: f64,
        prior: (f64, f64),
        credible_level: f64,
        most_looks: usize,
        time: Option<f64>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<VerifyArrays<'py>> {
        const OPERATION: &str = "verify";
        check_law(py, OPERATION, required_share, prior)?;
        if !(credible_level > 0.0 && credible_level < 1.0) {
            let got = credible_level.to_string();
            return Err(errors::invalid(py, OPERATION, "credible_level", BETWEEN, &got));
        }
        let looks = "a C-contiguous uint8 array of one dimension";
        let successes = convert::vector::<u8>(OPERATION, "successes", looks, successes)?;
        let successes: Vec<bool> = successes.as_array().iter().map(|&byte| byte != 0).collect();
        let policy = policy_of(py, OPERATION, &policy)?;
        check_time(py, OPERATION, time)?;
        let evidence = Evidence {
            required_share,
            prior: Beta { a: prior.0, b: prior.1 },
            credible_level,
            most_looks,
            time,
        };
        let (decision, known) = Crossing::new(OPERATION)
            .threads(threads)?
            .run(py, |host| hatata_mdp::verify(&successes, &evidence, &policy, host))?;
        let decision = match decision {
            Decision::Accept => 1,
            Decision::Reject => -1,
            Decision::Continue => 0,
        };
        let column = |of: fn(&hatata_mdp::Known) -> f64| {
            known.iter().map(of).collect::<Vec<_>>().into_pyarray(py)
        };
        Ok((
            decision,
            column(|known| known.looks),
            column(|known| known.successes),
            column(|known| known.short),
            column(|known| known.enough),
            column(|known| known.low),
            column(|known| known.high),
        ))
    }
}

/// The rule by which the autonomous engine stops: (threshold, policy, most looks, time).
pub(super) fn stop_rule(operation: &str, rule: &Bound<'_, PyAny>) -> PyResult<EvidenceStop> {
    let expected = "None or a tuple (threshold, policy, most looks, time)";
    let (threshold, policy, most_looks, time): (f64, Boundaries<'_>, usize, Option<f64>) =
        rule.extract().map_err(|_| {
            errors::invalid(rule.py(), operation, "stop", expected, &convert::describe(rule))
        })?;
    let policy = policy_of(rule.py(), operation, &policy)?;
    check_time(rule.py(), operation, time)?;
    Ok(EvidenceStop { threshold, policy, most_looks, time })
}

fn policy_of(py: Python<'_>, operation: &str, boundaries: &Boundaries<'_>) -> PyResult<Policy> {
    let line = |given| {
        let line = convert::vector::<i32>(operation, "policy", BOUNDARY, given)?;
        Ok::<_, PyErr>(line.as_array().to_vec())
    };
    let (reject_at, accept_from, favour_from) =
        (line(&boundaries.0)?, line(&boundaries.1)?, line(&boundaries.2)?);
    let lengths = [reject_at.len(), accept_from.len(), favour_from.len()];
    if lengths[0] == 0 || lengths.iter().any(|&length| length != lengths[0]) {
        let expected = "three arrays of one length, which is at least 1";
        return Err(errors::invalid(py, operation, "policy", expected, &format!("{lengths:?}")));
    }
    Ok(Policy { reject_at, accept_from, favour_from, value: f64::NAN })
}

fn check_time(py: Python<'_>, operation: &str, time: Option<f64>) -> PyResult<()> {
    match time {
        Some(time) if !(time >= 1.0 && time.is_finite()) => {
            let expected = "None or a finite number of at least 1";
            Err(errors::invalid(py, operation, "time", expected, &time.to_string()))
        }
        _ => Ok(()),
    }
}

const BETWEEN: &str = "between 0 and 1, both excluded";

fn check_law(
    py: Python<'_>,
    operation: &str,
    required_share: f64,
    prior: (f64, f64),
) -> PyResult<()> {
    if !(required_share > 0.0 && required_share < 1.0) {
        let got = required_share.to_string();
        return Err(errors::invalid(py, operation, "required_share", BETWEEN, &got));
    }
    if ![prior.0, prior.1].iter().all(|one| one.is_finite() && *one > 0.0) {
        let expected = "two finite numbers above 0";
        return Err(errors::invalid(py, operation, "prior", expected, &format!("{prior:?}")));
    }
    Ok(())
}
