//! The noise detector as Python calls it.

use ndarray::ArrayView2;
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::crossing::Crossing;
use super::records::ToPython;
use super::{convert, cuda, errors};
use crate::analysis::noise::{
    self,
    learnt::{self, Tensor, Tensors},
};
use crate::analysis::zengeza_detector::{self, Scene};
use crate::memory::takes;

/// More than this is no tensor of ours; an array may claim any size without having it.
const MOST_WEIGHTS: usize = 1 << 20;

/// The small networks that tell noise from content.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct NoiseModel(learnt::NoiseModel);

#[pymethods]
impl NoiseModel {
    #[new]
    fn new(py: Python<'_>, tensors: &Bound<'_, PyDict>) -> PyResult<Self> {
        const OPERATION: &str = "NoiseModel";
        let mut taken = Tensors::new();
        for (name, value) in tensors {
            let name: String = name.extract()?;
            let expected = "a dict of names to float32 arrays of two dimensions";
            let array = convert::table::<f32>(OPERATION, "tensors", expected, &value)?;
            let array = array.as_array();
            if array.len() > MOST_WEIGHTS {
                let got = convert::describe(&value);
                return Err(errors::invalid(py, OPERATION, "tensors", expected, &got));
            }
            let values = array.iter().copied().collect();
            taken.insert(name, Tensor { shape: array.dim(), values });
        }
        let model = Crossing::new(OPERATION).run(py, |_| learnt::NoiseModel::new(&taken))?;
        Ok(Self(model))
    }
}

/// Finds out how much noise there is, of which kind, and where.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct ZengezaNoiseDetector {
    model: Py<NoiseModel>,
}

#[pymethods]
impl ZengezaNoiseDetector {
    #[new]
    fn new(model: Py<NoiseModel>) -> Self {
        Self { model }
    }

    /// The level of the fine noise.
    #[pyo3(signature = (image, included, quantum, *, gpu=None, threads=None))]
    fn level<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        included: &Bound<'py, PyAny>,
        quantum: &Bound<'py, PyAny>,
        gpu: Option<&Bound<'py, PyAny>>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        const OPERATION: &str = "level";
        let image = convert::image(OPERATION, "image", image)?;
        let included = convert::mask(OPERATION, "included", included)?;
        let quantum = convert::number(OPERATION, "quantum", (0.0, 1.0), quantum)?;
        let scene = Scene { pixels: image.as_array(), included: included.as_array(), quantum };
        self.check(py, OPERATION, scene)?;
        let model = &self.model.get().0;
        let gpu = cuda::gpu(OPERATION, gpu)?;
        let fine = Crossing::new(OPERATION)
            .takes(takes::noise(scene.pixels.dim()))
            .threads(threads)?
            .run(py, |host| match &gpu {
                Some(gpu) => noise::cuda::noise_level(gpu, scene, model, host),
                None => zengeza_detector::noise_level(scene, model, host),
            })?;
        fine.to_python(py)
    }

    /// The whole analysis, and that of each segment, in the order of labels.
    #[pyo3(signature = (image, included, quantum, segments=None, *, gpu=None, threads=None))]
    #[expect(clippy::too_many_arguments, reason = "they are keyword arguments")]
    fn analyze<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        included: &Bound<'py, PyAny>,
        quantum: &Bound<'py, PyAny>,
        segments: Option<&Bound<'py, PyAny>>,
        gpu: Option<&Bound<'py, PyAny>>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        const OPERATION: &str = "analyze";
        let image = convert::image(OPERATION, "image", image)?;
        let included = convert::mask(OPERATION, "included", included)?;
        let labels =
            segments.map(|given| convert::labels(OPERATION, "segments", given)).transpose()?;
        let labels: Option<ArrayView2<'_, i32>> = labels.as_ref().map(|labels| labels.as_array());
        let quantum = convert::number(OPERATION, "quantum", (0.0, 1.0), quantum)?;
        let scene = Scene { pixels: image.as_array(), included: included.as_array(), quantum };
        self.check(py, OPERATION, scene)?;
        if let Some(labels) = labels {
            convert::same_size(py, OPERATION, scene.pixels.dim(), labels.dim())?;
        }
        let model = &self.model.get().0;
        let gpu = cuda::gpu(OPERATION, gpu)?;
        let (whole, parts) = Crossing::new(OPERATION)
            .takes(takes::noise(scene.pixels.dim()))
            .threads(threads)?
            .run(py, |host| match &gpu {
                Some(gpu) => noise::cuda::analyze(gpu, scene, labels, model, host),
                None => zengeza_detector::analyze(scene, labels, model, host),
            })?;
        Ok((whole.to_python(py)?, parts.to_python(py)?))
    }

    /// All that the networks see of an image; for training.
    #[pyo3(signature = (image, included, quantum, *, threads=None))]
    fn measurements<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        included: &Bound<'py, PyAny>,
        quantum: &Bound<'py, PyAny>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        const OPERATION: &str = "measurements";
        let image = convert::image(OPERATION, "image", image)?;
        let included = convert::mask(OPERATION, "included", included)?;
        let quantum = convert::number(OPERATION, "quantum", (0.0, 1.0), quantum)?;
        let scene = Scene { pixels: image.as_array(), included: included.as_array(), quantum };
        self.check(py, OPERATION, scene)?;
        let model = &self.model.get().0;
        let out = Crossing::new(OPERATION)
            .takes(takes::noise(scene.pixels.dim()))
            .threads(threads)?
            .run(py, |host| zengeza_detector::measurements(scene, model, host))?;
        Ok(out.into_pyarray(py))
    }
}

impl ZengezaNoiseDetector {
    fn check(&self, py: Python<'_>, operation: &str, scene: Scene) -> PyResult<()> {
        let (height, width, channels) = scene.pixels.dim();
        convert::same_size(py, operation, (height, width, channels), scene.included.dim())?;
        let expected = self.model.get().0.channels;
        if channels == expected {
            return Ok(());
        }
        let expected = format!("of {expected} channels, as the model is");
        let got = format!("one of {channels}");
        Err(errors::invalid(py, operation, "image", &expected, &got))
    }
}

/// Adds what is in this file to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NoiseModel>()?;
    module.add_class::<ZengezaNoiseDetector>()
}
