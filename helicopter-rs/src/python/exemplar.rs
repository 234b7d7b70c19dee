//! Exemplar fill, as Python calls it.

use pyo3::prelude::*;

use super::convert;
use super::crossing::Crossing;
use crate::exemplar;

/// Fills the hidden pixels of `image`, in place, with what is found elsewhere in it.
#[pyfunction]
#[pyo3(signature = (image, mask, *, seed=0, threads=None, progress=None))]
pub fn exemplar_fill(
    py: Python<'_>,
    image: &Bound<'_, PyAny>,
    mask: &Bound<'_, PyAny>,
    seed: u64,
    threads: Option<&Bound<'_, PyAny>>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    const OPERATION: &str = "exemplar_fill";
    let mut image = convert::image_mut(OPERATION, "image", image)?;
    let mask = convert::mask(OPERATION, "mask", mask)?;
    let (mut pixels, hidden) = (image.as_array_mut(), mask.as_array());
    convert::same_size(py, OPERATION, pixels.dim(), hidden.dim())?;
    Crossing::new(OPERATION)
        .threads(threads)?
        .progress(progress)?
        .run(py, |host| exemplar::fill(pixels.view_mut(), hidden, seed, host))
}
