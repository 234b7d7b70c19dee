//! The segmentation as Python calls it.

use ndarray::Array2;
use numpy::{IntoPyArray, PyArray2};
use pyo3::prelude::*;

use super::convert::{self, Pixels};
use super::crossing::Crossing;
use crate::segmentation::{self, Options};

/// Divides an image into `count` connected segments and returns their labels.
#[pyfunction]
#[pyo3(signature = (
    image, count, *, least_area, spatial, spatial_borders, border, passes, threads=None
))]
#[expect(clippy::too_many_arguments, reason = "they are keyword arguments")]
pub fn segment<'py>(
    py: Python<'py>,
    image: &Bound<'py, PyAny>,
    count: usize,
    least_area: usize,
    spatial: f64,
    spatial_borders: f64,
    border: f64,
    passes: (usize, usize),
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<i32>>> {
    const OPERATION: &str = "segment";
    let options = Options { count, least_area, spatial, spatial_borders, border, passes };
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
