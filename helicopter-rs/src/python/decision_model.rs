//! Decision models as Python calls them.

use numpy::{
    Element, IntoPyArray, PyArray1, PyArrayMethods, PyReadonlyArray1, PyUntypedArray,
    PyUntypedArrayMethods,
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
use crate::memory::{self, takes};

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
/// As many states as this, and so many more for each transition.
const MOST_UNREACHED: usize = 1 << 20;
const STATES_PER_TRANSITION: usize = 64;
/// Above 0 and at most 1.
const DISCOUNTS: (f64, f64) = (f64::MIN_POSITIVE, 1.0);

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
        let pairs = shape.0.saturating_mul(shape.1);
        let crossing = Crossing::new(OPERATION).takes(takes::model(shape.0, pairs, size));
        let made = brief_or_long(py, size, crossing, |_| {
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
        n_states: &Bound<'_, PyAny>,
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
        let n_states = convert::count(OPERATION, "n_states", n_states)?;
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
        check_states(py, OPERATION, n_states, size)?;
        let bytes = takes::model(n_states, states.len(), size);
        let crossing = Crossing::new(OPERATION).takes(bytes);
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
            brief_or_long(py, size, crossing, |_| Ok(Model::from_rows(n_states, rows)))?
        } else {
            let columns = convert::vector::<i64>(OPERATION, "columns", INTS, columns)?;
            let rows = rows.with_columns(columns.as_slice()?);
            brief_or_long(py, size, crossing, |_| Ok(Model::from_rows(n_states, rows)))?
        };
        Ok(made.map(Self))
    }

    /// Where the pairs of each state begin, and where the last ones end.
    #[getter]
    fn pair_start<'py>(&self, py: Python<'py>) -> PyResult<Line<'py, i64>> {
        line(py, "pair_start", self.0.pair_start(), |start: usize| start as i64)
    }

    /// The number of the action of each pair.
    #[getter]
    fn actions<'py>(&self, py: Python<'py>) -> PyResult<Line<'py, i32>> {
        line(py, "actions", self.0.actions(), |action: u32| action as i32)
    }

    /// Where the transitions of each pair begin, and where the last ones end.
    #[getter]
    fn row_start<'py>(&self, py: Python<'py>) -> PyResult<Line<'py, i64>> {
        line(py, "row_start", self.0.row_start(), |start: usize| start as i64)
    }

    /// The next state of each transition.
    #[getter]
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Line<'py, i32>> {
        line(py, "columns", self.0.columns(), |column: u32| column as i32)
    }

    /// Its probability.
    #[getter]
    fn probabilities<'py>(&self, py: Python<'py>) -> PyResult<Line<'py, f64>> {
        line(py, "probabilities", self.0.probabilities(), |p: f64| p)
    }

    /// The expected reward of each pair.
    #[getter]
    fn rewards<'py>(&self, py: Python<'py>) -> PyResult<Line<'py, f64>> {
        line(py, "rewards", self.0.rewards(), |reward: f64| reward)
    }

    /// What rounding left over of it.
    #[getter]
    fn rewards_low<'py>(&self, py: Python<'py>) -> PyResult<Line<'py, f64>> {
        line(py, "rewards_low", self.0.rewards_low(), |reward: f64| reward)
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
        discount: &Bound<'py, PyAny>,
        method: &Bound<'py, PyAny>,
        epsilon: &Bound<'py, PyAny>,
        max_iterations: Option<&Bound<'py, PyAny>>,
        threads: Option<&Bound<'py, PyAny>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        const OPERATION: &str = "solve";
        let method = convert::choice(OPERATION, "method", &METHODS, method)?;
        let discount = convert::number(OPERATION, "discount", DISCOUNTS, discount)?;
        let epsilon =
            convert::number(OPERATION, "epsilon", (f64::MIN_POSITIVE, f64::MAX), epsilon)?;
        let most = |given| convert::count(OPERATION, "max_iterations", given);
        let max_iterations = max_iterations.map_or(Ok(usize::MAX), most)?;
        let options = Options { discount, method, epsilon, max_iterations };
        let (states, pairs, size) = (self.0.states(), self.0.pairs(), self.0.transitions());
        let crossing = Crossing::new(OPERATION).takes(takes::solution(states, pairs, size));
        let crossing = crossing.threads(threads)?.progress(progress)?;
        let brief = if progress.is_none() { size } else { usize::MAX };
        brief_or_long(py, brief, crossing, |host| solver::solve(&self.0, options, host))?
            .to_python(py)
    }

    /// The optimal value with so many steps to go and fewer, and what to do.
    #[pyo3(signature = (discount, horizon, terminal, *, threads=None))]
    fn solve_horizon<'py>(
        &self,
        py: Python<'py>,
        discount: &Bound<'py, PyAny>,
        horizon: &Bound<'py, PyAny>,
        terminal: &Bound<'py, PyAny>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        const OPERATION: &str = "solve_horizon";
        let horizon = convert::count(OPERATION, "horizon", horizon)?;
        let terminal = self.of_states(py, OPERATION, "terminal", terminal)?;
        let terminal = terminal.as_slice()?;
        let discount = convert::number(OPERATION, "discount", DISCOUNTS, discount)?;
        Crossing::new(OPERATION)
            .takes(takes::horizon(self.0.states(), horizon))
            .threads(threads)?
            .run(py, |host| horizon::solve(&self.0, discount, horizon, terminal, host))?
            .to_python(py)
    }

    /// The value of each pair if `value` is what comes after it.
    fn q_values<'py>(
        &self,
        py: Python<'py>,
        discount: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Line<'py, f64>> {
        const OPERATION: &str = "q_values";
        let discount = convert::number(OPERATION, "discount", (0.0, 1.0), discount)?;
        let value = self.of_states(py, OPERATION, "value", value)?;
        let value = value.as_slice()?;
        let model = &self.0;
        let crossing = Crossing::new(OPERATION).takes(takes::values(model.pairs()));
        let out = brief_or_long(py, model.transitions(), crossing, |_| {
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
    py: Python<'py>,
    size: usize,
    crossing: Crossing<'_, 'py>,
    work: impl FnOnce(&dyn Host) -> Result<T> + Send,
) -> PyResult<T> {
    if size <= BRIEF {
        crossing.run_here(py, work)
    } else {
        crossing.run(py, work)
    }
}

/// Of states that nothing leads to there are not much more than of those that something does.
fn check_states(
    py: Python<'_>,
    operation: &str,
    states: usize,
    transitions: usize,
) -> PyResult<()> {
    let most = MOST_UNREACHED.saturating_add(transitions.saturating_mul(STATES_PER_TRANSITION));
    if states <= most {
        return Ok(());
    }
    let expected = format!("at most {most} with {transitions} transitions");
    Err(errors::invalid(py, operation, "n_states", &expected, &states.to_string()))
}

/// Numbers as an array of another type.
fn line<'py, T: Copy, U: Element>(
    py: Python<'py>,
    operation: &str,
    numbers: &[T],
    widened: impl Fn(T) -> U,
) -> PyResult<Line<'py, U>> {
    let room = memory::with_room(numbers.len());
    let mut out = room.map_err(|error| errors::to_python(py, operation, error))?;
    out.extend(numbers.iter().map(|&number| widened(number)));
    Ok(out.into_pyarray(py))
}

/// Adds what is in this file to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<DecisionModel>()
}
