//! Records, which cross by the names of their fields: those of `helicopter.backends.protocol`.
//!
//! What comes in is read from the attributes of an object (a dataclass, a named tuple), what goes out
//! becomes a dict. [`attributes!`] and [`dict!`] do that for the core's own structs, which are named
//! here with their fields: one that is forgotten does not compile.

use std::ops::Range;

use ndarray::{Array, Array2, Dimension};
use numpy::{Element, IntoPyArray};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{intern, IntoPyObjectExt};

use super::convert::{choice, describe, table, vector};
use super::errors::invalid;
use crate::analysis::hatata_mdp::{Beta, Decision, Evidence, EvidenceRun, Policy, StoppingOptions};
use crate::analysis::mdp::{horizon::Horizon, solver};
use crate::analysis::noise::periodic::Component;
use crate::analysis::zengeza_detector::{FineNoise, NoiseRun};
use crate::reconstruction::autonomous_engine::{self, EvidenceStop, Iteration};
use crate::reconstruction::online_scale::UncertaintyModel;
use crate::reconstruction::patches::Rectangle;
use crate::reconstruction::scores::Scores;
use crate::reconstruction::segment_aware;
use crate::reconstruction::strategies::Strategy;
use crate::segmentation;

/// What comes from Python; `operation` and `argument` are what a complaint names.
pub trait FromPython: Sized {
    /// Takes the value over.
    fn from_python(operation: &str, argument: &str, object: &Bound<'_, PyAny>) -> PyResult<Self>;
}

/// What goes to Python.
pub trait ToPython {
    /// Hands the value over.
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>>;
}

/// Reads each field from the attribute of its name.
macro_rules! attributes {
    ($record:ty { $($field:ident $(from $name:literal)?),+ $(,)? }) => {
        impl FromPython for $record {
            fn from_python(
                operation: &str,
                argument: &str,
                object: &Bound<'_, PyAny>,
            ) -> PyResult<Self> {
                let py = object.py();
                $(let $field = {
                    let name = intern!(py, attributes!(@ $field $($name)?));
                    let value = attribute(operation, argument, object, name)?;
                    FromPython::from_python(operation, attributes!(@ $field $($name)?), &value)?
                };)+
                Ok(Self { $($field),+ })
            }
        }
    };
    (@ $field:ident) => { stringify!($field) };
    (@ $field:ident $name:literal) => { $name };
}

/// Makes a dict of the fields; `Tuple(field)` is a tuple there, and no array or list.
macro_rules! dict {
    ($record:ty { $($field:ident $(as $wrap:ident)?),+ $(,)? } $(without $left_out:ident)?) => {
        impl Record for $record {}
        impl ToPython for $record {
            fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
                let Self { $($field,)+ $($left_out: _)? } = self;
                let dict = PyDict::new(py);
                $(
                    let value = dict!(@ $field $($wrap)?).to_python(py)?;
                    dict.set_item(intern!(py, stringify!($field)), value)?;
                )+
                Ok(dict.into_any())
            }
        }
    };
    (@ $field:ident) => { $field };
    (@ $field:ident $wrap:ident) => { $wrap($field) };
}

/// What has become a dict.
trait Record {}

attributes!(UncertaintyModel {
    variance_table,
    log_mae_offset,
    log_mae_distance,
    log_mae_spread,
    log_mae_prior,
});
attributes!(autonomous_engine::Options {
    patch_size,
    context_size,
    strategy,
    seed,
    max_iterations,
    target_quality,
    initial_known,
    open_book,
    stop,
    plateau,
    ask_once,
});
attributes!(EvidenceStop { threshold, policy, most_looks, time });
attributes!(Policy { reject_at, accept_from, favour_from, value });
attributes!(StoppingOptions {
    required_share,
    prior,
    look,
    false_accept,
    false_reject,
    horizon,
    short,
    density,
});
attributes!(Evidence { required_share, prior, credible_level, most_looks, time });
attributes!(segment_aware::Task { bounds from "window", max_iterations, target_quality, plateau });
attributes!(segmentation::Options { count, least_area, spatial, spatial_borders, border, passes });

dict!(Scores { mse, mae, ssim, baseline_mse });
dict!(Iteration { patches as Tuple, strategy, quality, cumulative_quality, confidence });
dict!(autonomous_engine::Run {
    reconstruction,
    prediction,
    variance,
    confidence,
    hidden,
    scored,
    drawn,
    history,
    patch_qualities,
    stop_reason,
    completion,
    average_confidence,
    scores,
});
dict!(segment_aware::Outcome {
    iterations,
    stop_reason,
    completion,
    confidence,
    mse,
    mae,
    baseline_mse,
    scored,
    evidence,
});
dict!(segment_aware::Run { prediction, variance, confidence, hidden, outcomes });
dict!(FineNoise { sigma, low, high, by_channel as Tuple });
dict!(Component { frequency_y, frequency_x, amplitude, phase } without strength);
dict!(NoiseRun {
    fine,
    probabilities,
    coloured,
    scale_sigma,
    gain,
    speckle,
    salt_pepper_density,
    impulse_density,
    waves,
    quality,
    grid,
    level_function,
    sigma_map,
    spectrum,
    impulses,
});
dict!(solver::Run { value, lower, upper, policy, iterations, method, converged });
dict!(Horizon { value, lower, upper, policy });
dict!(Policy { reject_at, accept_from, favour_from, value });
dict!(EvidenceRun { decision, effective_looks, effective_successes, short, enough, low, high });

/// An attribute of a record; `argument` is the record.
pub fn attribute<'py>(
    operation: &str,
    argument: &str,
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    object.getattr(name).map_err(|_| {
        let expected = format!("an object with the attribute {name}");
        invalid(object.py(), operation, argument, &expected, &describe(object))
    })
}

// -- what fields are made of --------------------------------------------------------------------

/// Takes over what `PyO3` knows how to take; the text says what is accepted.
macro_rules! extracted {
    ($($type:ty: $expected:literal),+ $(,)?) => {$(
        impl FromPython for $type {
            fn from_python(
                operation: &str,
                argument: &str,
                object: &Bound<'_, PyAny>,
            ) -> PyResult<Self> {
                object.extract().map_err(|_| {
                    invalid(object.py(), operation, argument, $expected, &describe(object))
                })
            }
        }
    )+};
}

extracted! {
    f64: "a number",
    usize: "an integer of at least 0",
    u64: "an integer from 0 to 2**64 - 1",
    bool: "True or False",
    (usize, usize): "two integers of at least 0",
}

impl<T: FromPython> FromPython for Option<T> {
    fn from_python(operation: &str, argument: &str, object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if object.is_none() {
            return Ok(None);
        }
        T::from_python(operation, argument, object).map(Some)
    }
}

impl FromPython for Vec<i32> {
    fn from_python(operation: &str, argument: &str, object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let expected = "a C-contiguous int32 array of one dimension";
        let line = vector::<i32>(operation, argument, expected, object)?;
        Ok(line.as_array().to_vec())
    }
}

/// The table of variances: its rows.
impl FromPython for Vec<[f64; 4]> {
    fn from_python(operation: &str, argument: &str, object: &Bound<'_, PyAny>) -> PyResult<Self> {
        const EXPECTED: &str = "a float64 array of shape (distances, 4), of 1 to 128 distances";
        let wrong = |got: &str| invalid(object.py(), operation, argument, EXPECTED, got);
        let table = table::<f64>(operation, argument, EXPECTED, object)?;
        let table = table.as_array();
        if table.ncols() != 4 || !(1..=128).contains(&table.nrows()) {
            return Err(wrong(&describe(object)));
        }
        Ok(table.rows().into_iter().map(|row| [row[0], row[1], row[2], row[3]]).collect())
    }
}

/// (top, left, bottom, right), the last two excluded.
impl FromPython for Rectangle {
    fn from_python(operation: &str, argument: &str, object: &Bound<'_, PyAny>) -> PyResult<Self> {
        match object.extract() {
            Ok((top, left, bottom, right)) if top < bottom && left < right => {
                Ok((Range { start: top, end: bottom }, Range { start: left, end: right }))
            }
            _ => {
                let expected = "(top, left, bottom, right), the last two beyond the first two";
                Err(invalid(object.py(), operation, argument, expected, &describe(object)))
            }
        }
    }
}

impl FromPython for Beta {
    fn from_python(operation: &str, argument: &str, object: &Bound<'_, PyAny>) -> PyResult<Self> {
        match object.extract::<(f64, f64)>() {
            Ok((a, b)) if [a, b].iter().all(|one| one.is_finite() && *one > 0.0) => {
                Ok(Self { a, b })
            }
            _ => {
                let expected = "two finite numbers above 0";
                Err(invalid(object.py(), operation, argument, expected, &describe(object)))
            }
        }
    }
}

impl FromPython for Strategy {
    fn from_python(operation: &str, argument: &str, object: &Bound<'_, PyAny>) -> PyResult<Self> {
        choice(operation, argument, &Self::NAMED, object)
    }
}

/// Hands over what `PyO3` knows how to hand over.
macro_rules! as_it_is {
    ($($type:ty),+) => {$(
        impl ToPython for $type {
            fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
                self.into_bound_py_any(py)
            }
        }
    )+};
}

as_it_is!(f64, usize, u8, bool, &'static str, (usize, usize));

/// One-dimensional arrays.
macro_rules! as_an_array {
    ($($type:ty),+) => {$(
        impl ToPython for Vec<$type> {
            fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
                Ok(self.into_pyarray(py).into_any())
            }
        }
    )+};
}

as_an_array!(f64, i32, i64);

impl<T: Element, D: Dimension> ToPython for Array<T, D> {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        Ok(self.into_pyarray(py).into_any())
    }
}

/// Rows of an array.
impl ToPython for Vec<[f64; 3]> {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let values = self.concat();
        let rows = Array2::from_shape_vec((self.len(), 3), values).expect("three values a row");
        rows.to_python(py)
    }
}

impl<const N: usize> ToPython for [f64; N] {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        Ok(PyTuple::new(py, self)?.into_any())
    }
}

/// A list of dicts.
impl<T: Record + ToPython> ToPython for Vec<T> {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let records = self.into_iter().map(|record| record.to_python(py));
        records.collect::<PyResult<Vec<_>>>()?.into_bound_py_any(py)
    }
}

/// Numbers that go out as a tuple.
struct Tuple<T>(Vec<T>);

impl<T: for<'py> IntoPyObject<'py>> ToPython for Tuple<T> {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        Ok(PyTuple::new(py, self.0)?.into_any())
    }
}

impl ToPython for solver::Method {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        self.name().to_python(py)
    }
}

impl ToPython for Decision {
    fn to_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let sign = match self {
            Self::Accept => 1,
            Self::Reject => -1,
            Self::Continue => 0,
        };
        sign.into_bound_py_any(py)
    }
}
