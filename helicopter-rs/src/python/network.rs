//! The network as a Python class.

use std::sync::Arc;

use numpy::{IntoPyArray, PyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::crossing::Crossing;
use super::engines::require_visible;
use super::{convert, errors};
use crate::algorithms::network;
use crate::memory::takes;

/// A trained network, ready to predict.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct Network(pub(super) Arc<network::Network>);

#[pymethods]
impl Network {
    #[new]
    fn new(py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<Self> {
        const OPERATION: &str = "Network";
        let Ok(bytes) = data.cast::<PyBytes>() else {
            let got = convert::describe(data);
            return Err(errors::invalid(py, OPERATION, "data", "bytes", &got));
        };
        let bytes = bytes.as_bytes();
        // reading transforms all weights, which takes a moment
        let crossing = Crossing::new(OPERATION).takes(bytes.len().saturating_mul(12));
        let network = crossing.run(py, |_| network::Network::from_bytes(bytes))?;
        Ok(Self(Arc::new(network)))
    }

    /// Fills the hidden pixels of `image` in place; returns the standard deviation of their errors.
    #[pyo3(signature = (image, mask, *, threads=None, progress=None))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        mask: &Bound<'py, PyAny>,
        threads: Option<&Bound<'py, PyAny>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        const OPERATION: &str = "predict";
        let mut image = convert::image_mut(OPERATION, "image", image)?;
        let mask = convert::mask(OPERATION, "mask", mask)?;
        let (mut pixels, hidden) = (image.as_array_mut(), mask.as_array());
        convert::same_size(py, OPERATION, pixels.dim(), hidden.dim())?;
        require_visible(py, OPERATION, hidden)?;
        let crossing = Crossing::new(OPERATION).takes(takes::network(pixels.dim()));
        let sigma = crossing.threads(threads)?.progress(progress)?.run(py, |host| {
            let sigma = self.0.predict(pixels.view_mut(), hidden, host)?;
            host.progress(1, 1);
            Ok(sigma)
        })?;
        Ok(sigma.into_pyarray(py))
    }

    /// How many pixels away something may matter to a prediction.
    #[getter]
    fn radius(&self) -> usize {
        self.0.radius()
    }

    /// Channels of each level.
    #[getter]
    fn widths<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.widths())
    }
}

/// Adds what is in this file to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Network>()
}
