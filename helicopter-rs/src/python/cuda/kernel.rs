//! Kernels of the user's, written in CUDA C++.

use std::sync::Arc;

use ndarray::{Array2, Array3};
use numpy::IntoPyArray;
use pyo3::prelude::*;

use crate::error::Result;
use crate::python::crossing::Crossing;
use crate::python::{convert, errors};
use crate::utils::cuda_bindings::{Arg, Gpu, Launch, Module, Source};

/// What sigma is before a kernel says something of it.
const UNSAID: f32 = -1.0;

/// A kernel of the user's, written in CUDA C++: predicts hidden pixels, one thread for each pixel.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct CudaKernel {
    gpu: Arc<Gpu>,
    module: Arc<Module>,
    entry: String,
}

#[pymethods]
impl CudaKernel {
    #[new]
    fn new(
        py: Python<'_>,
        source: String,
        entry: String,
        name: String,
        number: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        const OPERATION: &str = "CudaKernel";
        let number = convert::count(OPERATION, "number", number)?;
        let source = Source { name: name.into(), text: source.into() };
        let made = py.detach(|| {
            let gpu = Gpu::open(number)?;
            let module = gpu.module(&source, &[])?;
            gpu.require(&module, &entry)?;
            Ok((gpu, module))
        });
        let (gpu, module) = made.map_err(|error| errors::to_python(py, OPERATION, error))?;
        Ok(Self { gpu, module, entry })
    }

    /// The prediction, and the standard deviation of its errors if the kernel says something of it.
    fn run<'py>(
        &self,
        py: Python<'py>,
        context: &Bound<'py, PyAny>,
        mask: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
        const OPERATION: &str = "CudaKernel.run";
        let context = convert::image(OPERATION, "image", context)?;
        let mask = convert::mask(OPERATION, "mask", mask)?;
        let (image, hidden) = (context.as_array(), mask.as_array());
        convert::same_size(py, OPERATION, image.dim(), hidden.dim())?;
        let (prediction, sigma) =
            Crossing::new(OPERATION).run(py, |_| self.predict(image, hidden))?;
        let sigma = sigma.map(|sigma| sigma.into_pyarray(py).into_any());
        Ok((prediction.into_pyarray(py).into_any(), sigma))
    }
}

impl CudaKernel {
    fn predict(
        &self,
        image: ndarray::ArrayView3<f32>,
        hidden: ndarray::ArrayView2<bool>,
    ) -> Result<(Array3<f32>, Option<Array2<f32>>)> {
        let (height, width, channels) = image.dim();
        let pixels: Vec<f32> = image.iter().copied().collect();
        let mask: Vec<u8> = hidden.iter().map(|&hidden| u8::from(hidden)).collect();
        let (context, mask) = (self.gpu.upload(&pixels)?, self.gpu.upload(&mask)?);
        let mut prediction = self.gpu.upload(&pixels)?;
        let mut sigma = self.gpu.upload(&vec![UNSAID; height * width])?;
        let args = [
            Arg::from(&context),
            Arg::from(&mask),
            Arg::from(&mut prediction),
            Arg::from(&mut sigma),
            Arg::from(height as i32),
            Arg::from(width as i32),
            Arg::from(channels as i32),
        ];
        self.gpu.launch(&self.module, &self.entry, Launch::over2(width, height), &args)?;
        let (prediction, sigma) = (prediction.download()?, sigma.download()?);
        let said = sigma.iter().zip(hidden).any(|(&sigma, &hidden)| hidden && sigma != UNSAID);
        let prediction = Array3::from_shape_vec(image.dim(), prediction).expect("of that shape");
        let sigma = Array2::from_shape_vec(hidden.dim(), sigma).expect("of that shape");
        Ok((prediction, said.then_some(sigma)))
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<CudaKernel>()
}
