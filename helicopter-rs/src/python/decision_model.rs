//! Decision models as Python calls them.

use numpy::{
    IntoPyArray, PyArray1, PyArrayMethods, PyReadonlyArray1, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use super::crossing::Crossing;
use super::records::ToPython;
use super::{convert, errors};
use crate::analysis::mdp::compress::Rows;
use crate::analysis::mdp::model::Model;
use crate::analysis::mdp::solver::{Method, Options};
use crate::analysis::mdp::{horizon, solver, sweep};
use crate::error::Result;
use crate::host::Host;

type Line<'py, T> = Bound<'py, PyArray1<T>>;

const FLOATS: &str = "a C-contiguous float64 array";
const INTS: &str = "a C-contiguous int64 array of one dimension";
const METHODS: [(&str, Method); 4] = [
    ("auto", Method::Auto),
    ("value_iteration", Method::ValueIteration),
    ("policy_iteration", Method::PolicyIteration),
    ("modified_policy_iteration", Method::ModifiedPolicyIteration),
];
/// Models with fewer transitions are solved before another thread would have woken up.
const BRIEF: usize = 50_000;

/// A Markov decision process in compressed rows.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct DecisionModel(Model);

#[pymethods]
impl DecisionModel {
    /// From transitions (S, A, S) and rewards (S, A) or (S, A, S); None if anything is wrong.
    #[staticmethod]
    #[pyo3(signature = (transitions, rewards, allowed=None))]
    fn from_dense(
        py: Python<'_>,
        transitions: &Bound<'_, PyAny>,
        rewards: &Bound<'_, PyAny>,
        allowed: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Self>> {
        const OPERATION: &str = "from_dense";
        let shape = match transitions.cast::<PyUntypedArray>() {
            Ok(array) if array.ndim() == 3 && array.shape()[0] == array.shape()[2] => {
                (array.shape()[0], array.shape()[1])
            }
            _ => {
                let expected = "a C-contiguous float64 array of shape (states, actions, states)";
                let got = convert::describe(transitions);
                return Err(errors::invalid(py, OPERATION, "transitions", expected, &got));
            }
        };
        let transitions = convert::numbers(OPERATION, "transitions", FLOATS, transitions)?;
        let rewards = convert::numbers(OPERATION, "rewards", FLOATS, rewards)?;
        let by_entry = rewards.ndim() == 3;
        let allowed =
            allowed.map(|allowed| convert::mask(OPERATION, "allowed", allowed)).transpose()?;
        let (transitions, rewards) = (transitions.as_slice()?, rewards.as_slice()?);
        let allowed = allowed.as_ref().map(|allowed| allowed.as_slice()).transpose()?;
        let size = transitions.len();
        let made = brief_or_long(OPERATION, py, size, None, |_| {
            Ok(Model::from_dense(shape, transitions, (rewards, by_entry), allowed))
        })?;
        Ok(made.map(Self))
    }

    /// From pairs in any order; None if anything is wrong.
    #[staticmethod]
    #[pyo3(signature = (
        n_states, states, actions, row_start, columns, probabilities, rewards, rewards_low=None,
        *, by_entry=false
    ))]
    #[expect(clippy::too_many_arguments, reason = "the parts of a sparse matrix are many")]
    fn from_rows(
        py: Python<'_>,
        n_states: usize,
        states: &Bound<'_, PyAny>,
        actions: &Bound<'_, PyAny>,
        row_start: &Bound<'_, PyAny>,
        columns: &Bound<'_, PyAny>,
        probabilities: &Bound<'_, PyAny>,
        rewards: &Bound<'_, PyAny>,
        rewards_low: Option<&Bound<'_, PyAny>>,
        by_entry: bool,
    ) -> PyResult<Option<Self>> {
        const OPERATION: &str = "from_rows";
        let states = convert::vector::<i64>(OPERATION, "states", INTS, states)?;
        let actions = convert::vector::<i64>(OPERATION, "actions", INTS, actions)?;
        let row_start = convert::vector::<i64>(OPERATION, "row_start", INTS, row_start)?;
        let probabilities =
            convert::vector::<f64>(OPERATION, "probabilities", FLOATS, probabilities)?;
        let rewards = convert::vector::<f64>(OPERATION, "rewards", FLOATS, rewards)?;
        let rewards_low = rewards_low
            .map(|low| convert::vector::<f64>(OPERATION, "rewards_low", FLOATS, low))
            .transpose()?;
        let rewards_low = rewards_low.as_ref().map(|low| low.as_slice()).transpose()?;
        let (states, actions, row_start) =
            (states.as_slice()?, actions.as_slice()?, row_start.as_slice()?);
        let (probabilities, rewards) = (probabilities.as_slice()?, rewards.as_slice()?);
        let size = probabilities.len();
        let rows = Rows {
            states,
            actions,
            row_start,
            columns: &[0_i64; 0],
            probabilities,
            rewards,
            by_entry,
            rewards_low,
        };
        let narrow: Option<PyReadonlyArray1<'_, i32>> =
            columns.cast::<PyArray1<i32>>().ok().and_then(|array| array.try_readonly().ok());
        let made = if let Some(columns) = narrow {
            let rows = rows.with_columns(columns.as_slice()?);
            brief_or_long(OPERATION, py, size, None, |_| Ok(Model::from_rows(n_states, rows)))?
        } else {
            let columns = convert::vector::<i64>(OPERATION, "columns", INTS, columns)?;
            let rows = rows.with_columns(columns.as_slice()?);
            brief_or_long(OPERATION, py, size, None, |_| Ok(Model::from_rows(n_states, rows)))?
        };
        Ok(made.map(Self))
    }

    /// Where the pairs of each state begin, and where the last ones end.
    #[getter]
    fn pair_start<'py>(&self, py: Python<'py>) -> Line<'py, i64> {
        widened(self.0.pair_start()).into_pyarray(py)
    }

    /// The number of the action of each pair.
    #[getter]
    fn actions<'py>(&self, py: Python<'py>) -> Line<'py, i32> {
        signed(self.0.actions()).into_pyarray(py)
    }

    /// Where the transitions of each pair begin, and where the last ones end.
    #[getter]
    fn row_start<'py>(&self, py: Python<'py>) -> Line<'py, i64> {
        widened(self.0.row_start()).into_pyarray(py)
    }

    /// The next state of each transition.
    #[getter]
    fn columns<'py>(&self, py: Python<'py>) -> Line<'py, i32> {
        signed(self.0.columns()).into_pyarray(py)
    }

    /// Its probability.
    #[getter]
    fn probabilities<'py>(&self, py: Python<'py>) -> Line<'py, f64> {
        PyArray1::from_slice(py, self.0.probabilities())
    }

    /// The expected reward of each pair.
    #[getter]
    fn rewards<'py>(&self, py: Python<'py>) -> Line<'py, f64> {
        PyArray1::from_slice(py, self.0.rewards())
    }

    /// What rounding left over of it.
    #[getter]
    fn rewards_low<'py>(&self, py: Python<'py>) -> Line<'py, f64> {
        PyArray1::from_slice(py, self.0.rewards_low())
    }

    /// The number of states.
    #[getter]
    fn n_states(&self) -> usize {
        self.0.states()
    }

    /// The optimal value, enclosed, and a policy.
    #[pyo3(signature = (
        discount, method, epsilon, max_iterations=None, *, threads=None, progress=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are keyword arguments")]
    fn solve<'py>(
        &self,
        py: Python<'py>,
        discount: f64,
        method: &Bound<'py, PyAny>,
        epsilon: f64,
        max_iterations: Option<usize>,
        threads: Option<&Bound<'py, PyAny>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        const OPERATION: &str = "solve";
        let method = convert::choice(OPERATION, "method", &METHODS, method)?;
        if !(discount > 0.0 && discount <= 1.0) {
            let got = discount.to_string();
            return Err(errors::invalid(py, OPERATION, "discount", "above 0 and at most 1", &got));
        }
        check_epsilon(py, OPERATION, epsilon)?;
        let max_iterations = max_iterations.unwrap_or(usize::MAX);
        let options = Options { discount, method, epsilon, max_iterations };
        let crossing = Crossing::new(OPERATION).threads(threads)?.progress(progress)?;
        let brief = if progress.is_none() { self.0.transitions() } else { usize::MAX };
        brief_or_long(OPERATION, py, brief, Some(crossing), |host| {
            solver::solve(&self.0, options, host)
        })?
        .to_python(py)
    }

    /// The optimal value with so many steps to go and fewer, and what to do.
    #[pyo3(signature = (discount, horizon, terminal, *, threads=None))]
    fn solve_horizon<'py>(
        &self,
        py: Python<'py>,
        discount: f64,
        horizon: usize,
        terminal: &Bound<'py, PyAny>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        const OPERATION: &str = "solve_horizon";
        let terminal = self.of_states(py, OPERATION, "terminal", terminal)?;
        let terminal = terminal.as_slice()?;
        Crossing::new(OPERATION)
            .threads(threads)?
            .run(py, |host| horizon::solve(&self.0, discount, horizon, terminal, host))?
            .to_python(py)
    }

    /// The value of each pair if `value` is what comes after it.
    fn q_values<'py>(
        &self,
        py: Python<'py>,
        discount: f64,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Line<'py, f64>> {
        const OPERATION: &str = "q_values";
        let value = self.of_states(py, OPERATION, "value", value)?;
        let value = value.as_slice()?;
        let model = &self.0;
        let out = brief_or_long(OPERATION, py, model.transitions(), None, |_| {
            let rewards = model.rewards().iter().enumerate();
            let one = |(pair, reward)| reward + discount * sweep::dot(model.row(pair), value);
            Ok(rewards.map(one).collect::<Vec<f64>>())
        })?;
        Ok(out.into_pyarray(py))
    }
}

impl DecisionModel {
    fn of_states<'py>(
        &self,
        py: Python<'py>,
        operation: &str,
        argument: &str,
        object: &Bound<'py, PyAny>,
    ) -> PyResult<PyReadonlyArray1<'py, f64>> {
        let array = convert::vector::<f64>(operation, argument, FLOATS, object)?;
        if array.len() == self.0.states() {
            return Ok(array);
        }
        let expected = format!("one number for each of {} states", self.0.states());
        Err(errors::invalid(py, operation, argument, &expected, &convert::describe(object)))
    }
}

/// Small work is done at once, where it is called; large work is handed to the pool.
fn brief_or_long<'py, T: Send>(
    operation: &'static str,
    py: Python<'py>,
    size: usize,
    crossing: Option<Crossing<'_, 'py>>,
    work: impl FnOnce(&dyn Host) -> Result<T> + Send,
) -> PyResult<T> {
    let crossing = crossing.unwrap_or_else(|| Crossing::new(operation));
    if size <= BRIEF {
        crossing.run_here(py, work)
    } else {
        crossing.run(py, work)
    }
}

fn check_epsilon(py: Python<'_>, operation: &str, epsilon: f64) -> PyResult<()> {
    if epsilon > 0.0 && epsilon.is_finite() {
        return Ok(());
    }
    let got = epsilon.to_string();
    Err(errors::invalid(py, operation, "epsilon", "a finite number above 0", &got))
}

fn widened(numbers: &[usize]) -> Vec<i64> {
    numbers.iter().map(|&number| number as i64).collect()
}

fn signed(numbers: &[u32]) -> Vec<i32> {
    numbers.iter().map(|&number| number as i32).collect()
}

/// Adds what is in this file to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<DecisionModel>()
}
