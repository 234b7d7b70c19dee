//! The measurements of the search for anomalies, as Python calls them.

use numpy::{IntoPyArray, PyArray2, PyArray3};
use pyo3::intern;
use pyo3::prelude::*;

use super::crossing::Crossing;
use super::records::attribute;
use super::{convert, errors};
use crate::analysis::anomaly_map::{self, Evidence};
use crate::memory::takes;

/// Measures windows around each pixel: float32 (height, width, 2 channels + 7).
#[pyfunction]
#[pyo3(signature = (evidence, width, *, threads=None))]
pub fn anomaly_measurements<'py>(
    py: Python<'py>,
    evidence: &Bound<'py, PyAny>,
    width: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray3<f32>>> {
    const OPERATION: &str = "anomaly_measurements";
    let width = convert::number(OPERATION, "width", (0.01, 100.0), width)?;
    let part = |name| attribute(OPERATION, "evidence", evidence, name);
    let image = convert::image(OPERATION, "image", &part(intern!(py, "image"))?)?;
    let prediction = convert::image(OPERATION, "prediction", &part(intern!(py, "prediction"))?)?;
    let sigma = convert::map(OPERATION, "sigma", &part(intern!(py, "sigma"))?)?;
    let noise = convert::map(OPERATION, "noise", &part(intern!(py, "noise"))?)?;
    let included = convert::mask(OPERATION, "included", &part(intern!(py, "included"))?)?;
    let evidence = Evidence {
        image: image.as_array(),
        prediction: prediction.as_array(),
        sigma: sigma.as_array(),
        noise: noise.as_array(),
        included: included.as_array(),
    };
    let size = evidence.image.dim();
    for other in [evidence.sigma.dim(), evidence.noise.dim(), evidence.included.dim()] {
        convert::same_size(py, OPERATION, size, other)?;
    }
    if evidence.prediction.dim() != size {
        let expected = format!("of the image's shape {size:?}");
        let got = format!("one of shape {:?}", evidence.prediction.dim());
        return Err(errors::invalid(py, OPERATION, "prediction", &expected, &got));
    }
    let measured = Crossing::new(OPERATION)
        .takes(takes::measurements(size))
        .threads(threads)?
        .run(py, |host| anomaly_map::measure(evidence, width, host))?;
    Ok(measured.into_pyarray(py))
}

/// Squared distances of measurements from a centre, by a symmetric form.
#[pyfunction]
#[pyo3(signature = (measured, centre, form, *, threads=None))]
pub fn squared_distances<'py>(
    py: Python<'py>,
    measured: &Bound<'py, PyAny>,
    centre: &Bound<'py, PyAny>,
    form: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    const OPERATION: &str = "squared_distances";
    const SQUARE: &str = "a float64 array of shape (measurements, measurements)";
    const CENTRE: &str = "a C-contiguous float64 array of shape (measurements,)";
    let measured = convert::image(OPERATION, "measured", measured)?;
    let measured = measured.as_array();
    let count = measured.dim().2;
    let centre = convert::vector::<f64>(OPERATION, "centre", CENTRE, centre)?;
    let square = convert::table::<f64>(OPERATION, "form", SQUARE, form)?;
    if square.as_array().dim() != (count, count) {
        return Err(errors::invalid(py, OPERATION, "form", SQUARE, &convert::describe(form)));
    }
    if centre.as_array().len() != count {
        let got = format!("one of {}", centre.as_array().len());
        return Err(errors::invalid(py, OPERATION, "centre", CENTRE, &got));
    }
    let (centre, form) = (centre.as_slice()?, square.as_array());
    let distances = Crossing::new(OPERATION)
        .takes(takes::distances(measured.dim()))
        .threads(threads)?
        .run(py, |host| anomaly_map::squared_distances(measured, centre, form, host))?;
    Ok(distances.into_pyarray(py))
}

/// Adds what is in this file to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(anomaly_measurements, module)?)?;
    module.add_function(wrap_pyfunction!(squared_distances, module)?)
}
