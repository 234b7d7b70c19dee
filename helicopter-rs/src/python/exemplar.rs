//! Exemplar fill, as Python calls it.

use pyo3::prelude::*;
use pyo3::types::PyBool;

use super::crossing::Crossing;
use super::engines::require_visible;
use super::{convert, cuda, errors};
use crate::algorithms::exemplar;
use crate::memory::takes;

const OPERATION: &str = "exemplar_fill";

/// Fills the hidden pixels of `image`, in place, with what is found elsewhere in it.
#[pyfunction]
#[pyo3(signature = (image, mask, *, seed=0, gpu=None, threads=None, progress=None))]
pub fn exemplar_fill(
    py: Python<'_>,
    image: &Bound<'_, PyAny>,
    mask: &Bound<'_, PyAny>,
    #[pyo3(from_py_with = seed_of)] seed: u64,
    gpu: Option<&Bound<'_, PyAny>>,
    threads: Option<&Bound<'_, PyAny>>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let mut image = convert::image_mut(OPERATION, "image", image)?;
    let mask = convert::mask(OPERATION, "mask", mask)?;
    let (mut pixels, hidden) = (image.as_array_mut(), mask.as_array());
    convert::same_size(py, OPERATION, pixels.dim(), hidden.dim())?;
    require_visible(py, OPERATION, hidden)?;
    let gpu = cuda::gpu(OPERATION, gpu)?;
    Crossing::new(OPERATION)
        .takes(takes::exemplar(pixels.dim()))
        .threads(threads)?
        .progress(progress)?
        .run(py, |host| match &gpu {
            Some(gpu) => exemplar::cuda::fill(gpu, pixels.view_mut(), hidden, seed, host),
            None => exemplar::fill(pixels.view_mut(), hidden, seed, host),
        })
}

/// A seed, which is held in 64 bits.
fn seed_of(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    let seed = if object.is_instance_of::<PyBool>() { None } else { object.extract().ok() };
    seed.ok_or_else(|| {
        let got = convert::describe(object);
        errors::invalid(object.py(), OPERATION, "seed", "an integer from 0 to 2**64 - 1", &got)
    })
}

/// Adds what is in this file to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(exemplar_fill, module)?)
}
