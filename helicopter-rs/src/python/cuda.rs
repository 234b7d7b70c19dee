//! GPUs, as far as Python asks for them.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{convert, errors};
use crate::utils::cuda_bindings;

/// What the GPU of this number is: its name, its compute capability, bytes of memory free and in all.
#[pyfunction]
pub fn cuda_device<'py>(
    py: Python<'py>,
    number: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    const OPERATION: &str = "cuda_device";
    let number = convert::count(OPERATION, "number", number)?;
    let found = py
        .detach(|| cuda_bindings::describe(number))
        .map_err(|error| errors::to_python(py, OPERATION, error))?;
    let facts = PyDict::new(py);
    facts.set_item("name", found.name)?;
    facts.set_item("architecture", found.architecture)?;
    facts.set_item("memory", found.memory)?;
    Ok(facts)
}

/// Adds what is in this file to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(cuda_device, module)?)
}
