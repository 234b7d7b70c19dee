//! The noise detector as Python calls it.

use ndarray::{Array2, ArrayView2};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray2};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::crossing::Crossing;
use super::{convert, errors};
use crate::analysis::noise::learnt::{self, Tensor, Tensors};
use crate::analysis::zengeza_detector::{self, NoiseRun, Scene};

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
            let array: PyReadonlyArray2<'_, f32> = value.extract().map_err(|_| {
                errors::invalid(py, OPERATION, "tensors", expected, &convert::describe(&value))
            })?;
            let array = array.as_array();
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

    /// The level of the fine noise: (sigma, low, high, by channel).
    #[pyo3(signature = (image, included, quantum, *, threads=None))]
    fn level<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        included: &Bound<'py, PyAny>,
        quantum: f64,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(f64, f64, f64, Vec<f64>)> {
        const OPERATION: &str = "level";
        let image = convert::image(OPERATION, "image", image)?;
        let included = convert::mask(OPERATION, "included", included)?;
        let scene = Scene { pixels: image.as_array(), included: included.as_array(), quantum };
        self.check(py, OPERATION, scene)?;
        let model = &self.model.get().0;
        let fine = Crossing::new(OPERATION)
            .threads(threads)?
            .run(py, |host| zengeza_detector::noise_level(scene, model, host))?;
        Ok((fine.sigma, fine.low, fine.high, fine.by_channel))
    }

    /// The whole analysis, and that of each segment, as dicts.
    #[pyo3(signature = (image, included, quantum, segments=None, *, threads=None))]
    fn analyze<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        included: &Bound<'py, PyAny>,
        quantum: f64,
        segments: Option<&Bound<'py, PyAny>>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyList>)> {
        const OPERATION: &str = "analyze";
        let image = convert::image(OPERATION, "image", image)?;
        let included = convert::mask(OPERATION, "included", included)?;
        let labels =
            segments.map(|given| convert::labels(OPERATION, "segments", given)).transpose()?;
        let labels: Option<ArrayView2<'_, i32>> = labels.as_ref().map(|labels| labels.as_array());
        let scene = Scene { pixels: image.as_array(), included: included.as_array(), quantum };
        self.check(py, OPERATION, scene)?;
        if let Some(labels) = labels {
            convert::same_size(py, OPERATION, scene.pixels.dim(), labels.dim())?;
        }
        let model = &self.model.get().0;
        let (whole, parts) = Crossing::new(OPERATION)
            .threads(threads)?
            .run(py, |host| zengeza_detector::analyze(scene, labels, model, host))?;
        let parts =
            parts.into_iter().map(|part| to_dict(py, part)).collect::<PyResult<Vec<_>>>()?;
        Ok((to_dict(py, whole)?, PyList::new(py, parts)?))
    }

    /// All that the networks see of an image; for training.
    #[pyo3(signature = (image, included, quantum, *, threads=None))]
    fn measurements<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        included: &Bound<'py, PyAny>,
        quantum: f64,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        const OPERATION: &str = "measurements";
        let image = convert::image(OPERATION, "image", image)?;
        let included = convert::mask(OPERATION, "included", included)?;
        let scene = Scene { pixels: image.as_array(), included: included.as_array(), quantum };
        self.check(py, OPERATION, scene)?;
        let model = &self.model.get().0;
        let out = Crossing::new(OPERATION)
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

fn to_dict(py: Python<'_>, run: NoiseRun) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    let fine = run.fine;
    out.set_item(
        intern!(py, "fine"),
        (fine.sigma, fine.low, fine.high, PyTuple::new(py, fine.by_channel)?),
    )?;
    out.set_item(intern!(py, "probabilities"), PyTuple::new(py, run.probabilities)?)?;
    out.set_item(intern!(py, "coloured"), fine.coloured)?;
    out.set_item(intern!(py, "scale_sigma"), PyTuple::new(py, fine.scale_sigma)?)?;
    out.set_item(intern!(py, "gain"), run.gain)?;
    out.set_item(intern!(py, "speckle"), run.speckle)?;
    out.set_item(intern!(py, "salt_pepper_density"), run.salt_pepper_density)?;
    out.set_item(intern!(py, "impulse_density"), run.impulse_density)?;
    let waves = run
        .waves
        .iter()
        .map(|wave| (wave.frequency_y, wave.frequency_x, wave.amplitude, wave.phase));
    out.set_item(intern!(py, "waves"), PyList::new(py, waves.collect::<Vec<_>>())?)?;
    out.set_item(intern!(py, "quality"), run.quality)?;
    out.set_item(intern!(py, "grid"), run.grid)?;
    let rows: Vec<f64> = run.level_function.concat();
    let level_function =
        Array2::from_shape_vec((run.level_function.len(), 3), rows).expect("three values a row");
    out.set_item(intern!(py, "level_function"), level_function.into_pyarray(py))?;
    out.set_item(intern!(py, "sigma_map"), run.sigma_map.into_pyarray(py))?;
    out.set_item(intern!(py, "spectrum"), run.spectrum.into_pyarray(py))?;
    out.set_item(intern!(py, "impulses"), run.impulses)?;
    Ok(out)
}
