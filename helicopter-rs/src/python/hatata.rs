//! The verifier as Python calls it.

use pyo3::prelude::*;

use super::crossing::Crossing;
use super::records::{FromPython, ToPython};
use super::{convert, errors};
use crate::analysis::hatata_mdp::{self, Evidence, Policy, StoppingOptions};
use crate::memory::{self, takes};
use crate::reconstruction::autonomous_engine::EvidenceStop;

/// The most looks that a policy may span.
const MOST_LOOKS: usize = 16384;

/// Decides whether enough of an image is understood, with as few looks as that takes.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct HatataMDPEngine {}

#[pymethods]
#[expect(clippy::unused_self, reason = "methods, as Python calls them")]
impl HatataMDPEngine {
    #[new]
    fn new() -> Self {
        Self {}
    }

    /// The policy of least expected loss.
    #[pyo3(signature = (options, *, threads=None))]
    fn stopping_policy<'py>(
        &self,
        py: Python<'py>,
        options: &Bound<'py, PyAny>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        const OPERATION: &str = "stopping_policy";
        let options = StoppingOptions::from_python(OPERATION, "options", options)?;
        check_share(py, OPERATION, "required_share", options.required_share)?;
        let costs = [options.look, options.false_accept, options.false_reject];
        if !costs.iter().all(|cost| cost.is_finite() && *cost >= 0.0) {
            let expected = "finite numbers of at least 0";
            return Err(errors::invalid(py, OPERATION, "costs", expected, &format!("{costs:?}")));
        }
        if options.horizon > MOST_LOOKS {
            let expected = format!("from 0 to {MOST_LOOKS}");
            let got = options.horizon.to_string();
            return Err(errors::invalid(py, OPERATION, "horizon", &expected, &got));
        }
        Crossing::new(OPERATION)
            .threads(threads)?
            .run(py, |host| hatata_mdp::stopping_policy(&options, host))?
            .to_python(py)
    }

    /// Takes looks until the policy stops or there are no more.
    #[pyo3(signature = (successes, evidence, policy, *, threads=None))]
    fn verify<'py>(
        &self,
        py: Python<'py>,
        successes: &Bound<'py, PyAny>,
        evidence: &Bound<'py, PyAny>,
        policy: &Bound<'py, PyAny>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        const OPERATION: &str = "verify";
        let looks = "a C-contiguous uint8 array of one dimension";
        let successes = convert::vector::<u8>(OPERATION, "successes", looks, successes)?;
        let bytes = successes.as_slice()?;
        let room = memory::with_room(bytes.len());
        let mut successes = room.map_err(|error| errors::to_python(py, OPERATION, error))?;
        successes.extend(bytes.iter().map(|&byte| byte != 0));
        let evidence = Evidence::from_python(OPERATION, "evidence", evidence)?;
        check_share(py, OPERATION, "required_share", evidence.required_share)?;
        check_share(py, OPERATION, "credible_level", evidence.credible_level)?;
        check_time(py, OPERATION, evidence.time)?;
        let policy = Policy::from_python(OPERATION, "policy", policy)?;
        check_policy(py, OPERATION, &policy)?;
        Crossing::new(OPERATION)
            .takes(takes::values(successes.len()).saturating_mul(8))
            .threads(threads)?
            .run(py, |host| hatata_mdp::verify(&successes, &evidence, &policy, host))?
            .to_python(py)
    }
}

/// Whether the rule by which the autonomous engine stops can be used.
pub(super) fn check_stop(py: Python<'_>, operation: &str, stop: &EvidenceStop) -> PyResult<()> {
    check_policy(py, operation, &stop.policy)?;
    check_time(py, operation, stop.time)
}

fn check_policy(py: Python<'_>, operation: &str, policy: &Policy) -> PyResult<()> {
    let lengths =
        [&policy.reject_at, &policy.accept_from, &policy.favour_from].map(std::vec::Vec::len);
    if lengths[0] > 0 && lengths.iter().all(|&length| length == lengths[0]) {
        return Ok(());
    }
    let expected = "of three arrays of one length, which is at least 1";
    Err(errors::invalid(py, operation, "policy", expected, &format!("{lengths:?}")))
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

fn check_share(py: Python<'_>, operation: &str, argument: &str, share: f64) -> PyResult<()> {
    if share > 0.0 && share < 1.0 {
        return Ok(());
    }
    let expected = "between 0 and 1, both excluded";
    Err(errors::invalid(py, operation, argument, expected, &share.to_string()))
}

/// Adds what is in this file to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<HatataMDPEngine>()
}
