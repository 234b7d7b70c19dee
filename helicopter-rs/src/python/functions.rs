//! The functions of the module.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::crossing::Crossing;
use super::engines::KINDS;
use super::{convert, errors};
use crate::algorithms::pde;
use crate::memory::takes;
use crate::par;

/// How this module was built: for bug reports, and for benchmarks that must not measure a debug build.
#[pyfunction]
pub fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let info = PyDict::new(py);
    info.set_item("version", super::VERSION)?;
    info.set_item("target", env!("HELICOPTER_RS_TARGET"))?;
    info.set_item("profile", env!("HELICOPTER_RS_PROFILE"))?;
    info.set_item("opt_level", env!("HELICOPTER_RS_OPT_LEVEL"))?;
    info.set_item("rustc", env!("HELICOPTER_RS_RUSTC"))?;
    info.set_item("debug_assertions", cfg!(debug_assertions))?;
    info.set_item("cuda", cfg!(feature = "cuda"))?;
    Ok(info)
}

/// The number of threads that a call with `threads=threads` runs on.
#[pyfunction]
#[pyo3(signature = (threads=None))]
pub fn num_threads(py: Python<'_>, threads: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
    let asked = convert::threads("num_threads", threads)?;
    par::num_threads(asked).map_err(|error| errors::to_python(py, "num_threads", error))
}

/// Fills the hidden pixels of `image`, in place.
#[pyfunction]
#[pyo3(signature = (image, mask, kind, *, threads=None, progress=None))]
pub fn solve_pde(
    py: Python<'_>,
    image: &Bound<'_, PyAny>,
    mask: &Bound<'_, PyAny>,
    kind: &Bound<'_, PyAny>,
    threads: Option<&Bound<'_, PyAny>>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    const OPERATION: &str = "solve_pde";
    let kind = convert::choice(OPERATION, "kind", &KINDS, kind)?;
    let mut image = convert::image_mut(OPERATION, "image", image)?;
    let mask = convert::mask(OPERATION, "mask", mask)?;
    let (mut pixels, hidden) = (image.as_array_mut(), mask.as_array());
    convert::same_size(py, OPERATION, pixels.dim(), hidden.dim())?;
    let crossing = Crossing::new(OPERATION).takes(takes::equation(pixels.dim()));
    crossing.threads(threads)?.progress(progress)?.run(py, |host| {
        pde::solve(pixels.view_mut(), hidden, kind, host)?;
        host.progress(1, 1);
        Ok(())
    })
}

/// Adds what is in this file to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(build_info, module)?)?;
    module.add_function(wrap_pyfunction!(num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(solve_pde, module)?)
}
