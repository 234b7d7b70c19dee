//! The segmentation as Python calls it.

use ndarray::{Array2, ArrayView3};
use numpy::{IntoPyArray, PyArray2};
use pyo3::prelude::*;

use super::convert::{self, Pixels};
use super::crossing::Crossing;
use super::records::FromPython;
use crate::memory::takes;
use crate::segmentation::features::Features;
use crate::segmentation::{self, Options};

const OPERATION: &str = "segment";

/// Divides an image into connected segments and returns their labels.
#[pyfunction]
#[pyo3(signature = (image, options, *, threads=None))]
pub fn segment<'py>(
    py: Python<'py>,
    image: &Bound<'py, PyAny>,
    options: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<i32>>> {
    let options = Options::from_python(OPERATION, "options", options)?;
    let crossing = Crossing::new(OPERATION).threads(threads)?;
    match convert::pixels(OPERATION, "image", image)? {
        Pixels::Byte(image) => labels_of(py, image.as_array(), &options, crossing),
        Pixels::Word(image) => labels_of(py, image.as_array(), &options, crossing),
        Pixels::Float(image) => labels_of(py, image.as_array(), &options, crossing),
    }
}

fn labels_of<'py, T: Sync>(
    py: Python<'py>,
    image: ArrayView3<T>,
    options: &Options,
    crossing: Crossing<'_, 'py>,
) -> PyResult<Bound<'py, PyArray2<i32>>>
where
    for<'a> ArrayView3<'a, T>: Features,
{
    let (height, width, _) = image.dim();
    let labels = crossing.takes(takes::segments(image.dim(), options.count)).run(py, |host| {
        let labels = segmentation::segment(&image, options, host)?;
        let labels = labels.into_iter().map(|label| label as i32).collect();
        Ok(Array2::from_shape_vec((height, width), labels).expect("a label for each pixel"))
    })?;
    Ok(labels.into_pyarray(py))
}

/// Adds what is in this file to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(segment, module)?)
}
