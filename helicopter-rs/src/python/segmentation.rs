//! The segmentation as Python calls it.

use ndarray::Array2;
use numpy::{IntoPyArray, PyArray2};
use pyo3::prelude::*;

use super::convert::{self, Pixels};
use super::crossing::Crossing;
use super::records::FromPython;
use crate::segmentation::{self, Options};

/// Divides an image into connected segments and returns their labels.
#[pyfunction]
#[pyo3(signature = (image, options, *, threads=None))]
pub fn segment<'py>(
    py: Python<'py>,
    image: &Bound<'py, PyAny>,
    options: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<i32>>> {
    const OPERATION: &str = "segment";
    let options = Options::from_python(OPERATION, "options", options)?;
    let crossing = Crossing::new(OPERATION).threads(threads)?;
    let image = convert::pixels(OPERATION, "image", image)?;
    let (shape, labels) = match &image {
        Pixels::Byte(image) => {
            let pixels = image.as_array();
            let labels = crossing.run(py, |host| segmentation::segment(&pixels, &options, host))?;
            (pixels.dim(), labels)
        }
        Pixels::Word(image) => {
            let pixels = image.as_array();
            let labels = crossing.run(py, |host| segmentation::segment(&pixels, &options, host))?;
            (pixels.dim(), labels)
        }
        Pixels::Float(image) => {
            let pixels = image.as_array();
            let labels = crossing.run(py, |host| segmentation::segment(&pixels, &options, host))?;
            (pixels.dim(), labels)
        }
    };
    let labels = labels.into_iter().map(|label| label as i32).collect();
    let labels =
        Array2::from_shape_vec((shape.0, shape.1), labels).expect("a label for each pixel");
    Ok(labels.into_pyarray(py))
}

/// Adds what is in this file to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(segment, module)?)
}
