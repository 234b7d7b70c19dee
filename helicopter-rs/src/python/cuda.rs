//! GPUs, as far as Python asks for them.

mod arrays;
mod kernel;

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::{convert, errors};
use crate::algorithms::network::cuda;
use crate::utils::cuda_bindings::{self, Gpu};

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

/// The GPU that a call is to run on, if it is to run on one.
pub(super) fn gpu(
    operation: &'static str,
    number: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Arc<Gpu>>> {
    let Some(number) = number else { return Ok(None) };
    let py = number.py();
    let number = convert::count(operation, "gpu", number)?;
    let opened = py.detach(|| Gpu::open(number));
    opened.map(Some).map_err(|error| errors::to_python(py, operation, error))
}

/// A trained network whose weights are on a GPU.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct CudaNetwork(pub(super) Arc<cuda::CudaNetwork>);

#[pymethods]
impl CudaNetwork {
    #[new]
    fn new(py: Python<'_>, data: &Bound<'_, PyAny>, number: &Bound<'_, PyAny>) -> PyResult<Self> {
        const OPERATION: &str = "CudaNetwork";
        let number = convert::count(OPERATION, "number", number)?;
        let Ok(bytes) = data.cast::<PyBytes>() else {
            let got = convert::describe(data);
            return Err(errors::invalid(py, OPERATION, "data", "bytes", &got));
        };
        let bytes = bytes.as_bytes();
        let network = py.detach(|| {
            let gpu = Gpu::open(number)?;
            cuda::CudaNetwork::from_bytes(&gpu, bytes)
        });
        let network = network.map_err(|error| errors::to_python(py, OPERATION, error))?;
        Ok(Self(Arc::new(network)))
    }

    /// Whether its GPU failed in a way that took the weights with it.
    #[getter]
    fn is_lost(&self) -> bool {
        self.0.gpu().is_lost()
    }
}

/// Adds what is in this folder to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    arrays::register(module)?;
    kernel::register(module)?;
    module.add_class::<CudaNetwork>()?;
    module.add_function(wrap_pyfunction!(cuda_device, module)?)
}
