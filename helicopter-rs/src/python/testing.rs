//! Hooks for the tests of the crossing itself; not for users, hence the underscores.

use std::time::{Duration, Instant};

use numpy::{IntoPyArray, PyArray3};
use pyo3::prelude::*;
use rayon::prelude::*;

use super::{convert, crossing::Crossing};

/// Panics with `message`, in the middle of parallel work.
#[pyfunction]
#[pyo3(signature = (message, *, threads=None))]
#[expect(clippy::panic, clippy::manual_assert, reason = "to panic is what this is for")]
pub fn _panic(py: Python<'_>, message: String, threads: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    Crossing::new("_panic").threads(threads)?.run(py, move |_| {
        (0..64).into_par_iter().for_each(|step| {
            if step == 17 {
                panic!("{message}");
            }
        });
        Ok(())
    })
}

/// Keeps all threads of the pool busy for so long, in a hundred steps, and says which they were.
#[pyfunction]
#[pyo3(signature = (seconds, *, threads=None, progress=None))]
pub fn _spin(
    py: Python<'_>,
    seconds: f64,
    threads: Option<&Bound<'_, PyAny>>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<usize> {
    let length = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Crossing::new("_spin").threads(threads)?.progress(progress)?.run(py, move |host| {
        let begin = Instant::now();
        for step in 1..=100_u32 {
            rayon::broadcast(|_| {
                while begin.elapsed() < length * step / 100 {
                    host.check()?;
                    std::hint::spin_loop();
                }
                Ok(())
            })
            .into_iter()
            .collect::<crate::error::Result<()>>()?;
            host.progress(step as usize, 100);
        }
        Ok(rayon::current_num_threads())
    })
}

/// What a kernel predicts for an image, asked `times` times in parallel.
#[pyfunction]
#[pyo3(signature = (image, mask, kernel, *, times=None, threads=None))]
#[expect(clippy::type_complexity, reason = "a pair of arrays, the second of them optional")]
pub fn _call_kernel<'py>(
    py: Python<'py>,
    image: &Bound<'py, PyAny>,
    mask: &Bound<'py, PyAny>,
    kernel: &Bound<'py, PyAny>,
    times: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Vec<(Bound<'py, PyArray3<f32>>, Option<Bound<'py, PyArray3<f32>>>)>> {
    let times = times.map_or(Ok(1), |given| convert::count("_call_kernel", "times", given))?;
    let image = convert::image("_call_kernel", "image", image)?;
    let mask = convert::mask("_call_kernel", "mask", mask)?;
    let (context, hidden) = (image.as_array(), mask.as_array());
    let crossing = Crossing::new("_call_kernel").threads(threads)?.kernel(Some(kernel))?;
    let predictions = crossing.run(py, |host| {
        let ask = |_| host.kernel(context.to_owned(), hidden.to_owned());
        (0..times.min(1 << 16)).into_par_iter().map(ask).collect::<crate::error::Result<Vec<_>>>()
    })?;
    let to_python = |one: crate::host::Prediction| {
        (one.mean.into_pyarray(py), one.sigma.map(|sigma| sigma.into_pyarray(py)))
    };
    Ok(predictions.into_iter().map(to_python).collect())
}

/// Adds what is in this file to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(_call_kernel, module)?)?;
    module.add_function(wrap_pyfunction!(_panic, module)?)?;
    module.add_function(wrap_pyfunction!(_spin, module)?)
}
