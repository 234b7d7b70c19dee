//! Arrays that lie on a GPU: those of others, by the CUDA array interface, and ours.

use std::sync::Arc;

use numpy::{IntoPyArray, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::error::Result;
use crate::python::crossing::Crossing;
use crate::python::engines::cuda_predictor;
use crate::python::records::FromPython;
use crate::python::{convert, errors};
use crate::reconstruction::online_scale::UncertaintyModel;
use crate::reconstruction::regional_engine::cuda::CudaReconstructor;
use crate::reconstruction::uncertainty::cuda::{confidence_on, ErrorLaw};
use crate::utils::cuda_bindings::{source, Arg, Buffer, Gpu, Launch, Plain, Source};

fn border() -> Source {
    source!("border.cu")
}

/// Float32 values on a GPU, which `PyTorch`, `CuPy` and others use in place.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct DeviceArray {
    buffer: Buffer<f32>,
    shape: Vec<usize>,
}

#[pymethods]
impl DeviceArray {
    /// See the documentation of Numba, "CUDA Array Interface (Version 3)".
    #[getter]
    fn __cuda_array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let facts = PyDict::new(py);
        facts.set_item("shape", PyTuple::new(py, &self.shape)?)?;
        facts.set_item("typestr", if cfg!(target_endian = "little") { "<f4" } else { ">f4" })?;
        facts.set_item("data", (self.buffer.address(), false))?;
        facts.set_item("strides", py.None())?;
        facts.set_item("version", 3)?;
        facts.set_item("stream", py.None())?; // all work on it is done
        Ok(facts)
    }

    /// Rows, columns, and channels if there are any.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.shape)
    }

    /// The number of the GPU.
    #[getter]
    fn device(&self) -> usize {
        self.buffer.gpu().ordinal()
    }

    /// A copy in `NumPy`.
    fn to_host<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        const OPERATION: &str = "DeviceArray.to_host";
        let values = py.detach(|| self.buffer.download());
        let values = values.map_err(|error| errors::to_python(py, OPERATION, error))?;
        Ok(values.into_pyarray(py).reshape(self.shape.clone())?.into_any())
    }
}

/// What an object says of its memory on a GPU.
struct Given {
    address: u64,
    shape: Vec<usize>,
    kind: String,
    /// Whether all that was to be written there has been.
    is_done: bool,
}

fn given(operation: &str, name: &str, object: &Bound<'_, PyAny>) -> PyResult<Given> {
    let py = object.py();
    let wrong = |expected: &str, got: &str| errors::invalid(py, operation, name, expected, got);
    let Ok(facts) = object.getattr("__cuda_array_interface__") else {
        let expected = "an array on the GPU, as the others are (with __cuda_array_interface__)";
        return Err(wrong(expected, &convert::describe(object)));
    };
    let shape: Vec<usize> = facts.get_item("shape")?.extract()?;
    let kind: String = facts.get_item("typestr")?.extract()?;
    let (address, _): (u64, bool) = facts.get_item("data")?.extract()?;
    let strides = facts.call_method1("get", ("strides",))?;
    if let Some(strides) = strides.extract::<Option<Vec<isize>>>()? {
        let size: usize = kind.get(2..).and_then(|size| size.parse().ok()).unwrap_or(0);
        let mut expected = size as isize;
        for (&length, &stride) in shape.iter().zip(&strides).rev() {
            if length > 1 && stride != expected {
                let got = format!("one of shape {shape:?} with strides {strides:?}");
                return Err(wrong("C-contiguous, as .contiguous() makes it", &got));
            }
            expected *= length as isize;
        }
    }
    // from version 3 on, no stream means that nothing is under way; before, nothing was said of that
    let version: u32 = facts.get_item("version")?.extract()?;
    let stream = facts.call_method1("get", ("stream",))?.extract::<Option<u64>>()?;
    Ok(Given { address, shape, kind, is_done: version >= 3 && stream.is_none() })
}

fn taken<T: Plain>(gpu: &Arc<Gpu>, given: &Given) -> Result<Buffer<T>> {
    if !given.is_done {
        gpu.synchronize_all()?; // whoever fills it may be at work yet
    }
    // SAFETY: who passes an array does not write to it meanwhile, as for arrays of the host.
    unsafe { gpu.copy_of(given.address, given.shape.iter().product()) }
}

/// Standard deviations below this count as this.
const LEAST_SIGMA: f32 = 1e-6;

/// Fills the hidden pixels of an image on a GPU; gives the filled image, the standard deviation of the
/// errors, and the probability that they are at most `right`, which all stay there. `law` is how errors are
/// distributed: two tables, or Laplace's law.
#[pyfunction]
#[pyo3(signature = (image, mask, algorithm, model, low, high, law, right, *, gpu))]
#[expect(clippy::too_many_arguments, reason = "they are keyword arguments")]
pub fn cuda_reconstruct(
    py: Python<'_>,
    image: &Bound<'_, PyAny>,
    mask: &Bound<'_, PyAny>,
    algorithm: &Bound<'_, PyAny>,
    model: &Bound<'_, PyAny>,
    low: f32,
    high: f32,
    law: Option<(Vec<f64>, Vec<f64>)>,
    right: f32,
    gpu: &Bound<'_, PyAny>,
) -> PyResult<(DeviceArray, DeviceArray, DeviceArray)> {
    const OPERATION: &str = "cuda_reconstruct";
    let Some(gpu) = super::gpu(OPERATION, Some(gpu))? else { unreachable!("a number is given") };
    let model = UncertaintyModel::from_python(OPERATION, "model", model)?;
    let reconstructor =
        CudaReconstructor::new(Arc::clone(&gpu), cuda_predictor(OPERATION, algorithm)?);
    let (image, mask) = (given(OPERATION, "image", image)?, given(OPERATION, "mask", mask)?);
    let shape = image.shape.clone();
    let wrong = |name: &str, expected: &str, given: &Given| {
        let got = format!("one of shape {:?} and type {}", given.shape, given.kind);
        errors::invalid(py, OPERATION, name, expected, &got)
    };
    let size = match shape[..] {
        [height, width] => (height, width, 1),
        [height, width, channels @ (1 | 3)] => (height, width, channels),
        _ => return Err(wrong("image", "of shape (H, W), (H, W, 1) or (H, W, 3)", &image)),
    };
    if !matches!(image.kind.as_str(), "<f4" | "=f4") || size.0 * size.1 == 0 {
        return Err(wrong("image", "float32 with at least one pixel", &image));
    }
    if mask.shape != [size.0, size.1] || !matches!(mask.kind.as_str(), "|b1" | "|u1") {
        let expected = format!("bool or uint8 of shape {:?}", (size.0, size.1));
        return Err(wrong("mask", &expected, &mask));
    }
    let law = law.map_or(ErrorLaw::Laplace, |(knots, values)| ErrorLaw::Table(knots, values));
    let pixels = size.0 * size.1;
    let done = Crossing::new(OPERATION).run(py, |host| {
        let module = gpu.module(&border(), &[])?;
        let mut context: Buffer<f32> = taken(&gpu, &image)?;
        let hidden: Buffer<u8> = taken(&gpu, &mask)?;
        let mut counts = gpu.zeros::<i32>(3)?;
        let (count, channels) = (Arg::from(pixels as i64), Arg::from(size.2 as i32));
        let args = [
            Arg::from(&mut context),
            Arg::from(&hidden),
            count,
            channels,
            Arg::from(low),
            Arg::from(high),
            Arg::from(&mut counts),
        ];
        gpu.launch(&module, "to_unit", Launch::over(pixels), &args)?;
        let found = counts.download()?;
        if found[0] > 0 || found[1] > 0 || found[2] == 0 {
            return Ok(Err([found[0], found[1], found[2]]));
        }
        let (mut filled, mut sigma) =
            reconstructor.reconstruct_on(context, &hidden, size, &model, host)?;
        let root = [Arg::from(&mut sigma), count];
        gpu.launch(&module, "root", Launch::over(pixels), &root)?;
        let confidence = confidence_on(&gpu, &sigma, &hidden, &law, (LEAST_SIGMA, right))?;
        let args = [
            Arg::from(&mut filled),
            Arg::from(&mut sigma),
            count,
            channels,
            Arg::from(low),
            Arg::from(high),
        ];
        gpu.launch(&module, "from_unit", Launch::over(pixels), &args)?;
        // what is visible is exactly what was given
        let original: Buffer<f32> = taken(&gpu, &image)?;
        let args =
            [Arg::from(&original), Arg::from(&hidden), count, channels, Arg::from(&mut filled)];
        gpu.launch(&module, "restore", Launch::over(pixels), &args)?;
        gpu.synchronize()?;
        Ok(Ok((filled, sigma, confidence)))
    })?;
    match done {
        Ok((filled, sigma, confidence)) => Ok((
            DeviceArray { buffer: filled, shape },
            DeviceArray { buffer: sigma, shape: vec![size.0, size.1] },
            DeviceArray { buffer: confidence, shape: vec![size.0, size.1] },
        )),
        Err([unsound, outside, visible]) => {
            let (name, expected, got) = if visible == 0 {
                ("mask", "false somewhere".to_owned(), "one that hides every pixel".into())
            } else if unsound > 0 {
                let got = format!("one with {unsound} visible values that are NaN or infinite");
                ("image", "finite where it is visible".to_owned(), got)
            } else {
                let expected = format!("from {low} to {high} where it is visible (see data_range)");
                ("image", expected, format!("one with {outside} values outside"))
            };
            Err(errors::invalid(py, OPERATION, name, &expected, &got))
        }
    }
}

/// Adds what is in this file to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<DeviceArray>()?;
    module.add_function(wrap_pyfunction!(cuda_reconstruct, module)?)
}
