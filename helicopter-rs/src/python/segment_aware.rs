//! The engine that reconstructs segment by segment, as a Python class.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::crossing::Crossing;
use super::engines::{loop_options, predictor, Predicting};
use super::records::{FromPython, ToPython};
use super::{convert, errors};
use crate::memory::takes;
use crate::reconstruction::autonomous_engine::Options;
use crate::reconstruction::cuda;
use crate::reconstruction::online_scale::UncertaintyModel;
use crate::reconstruction::segment_aware::{self, Scene, Task};

/// Hides most of every segment, and redraws each from the rest of it.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct SegmentAwareReconstructionEngine {
    algorithm: Predicting,
    kernel: Option<Py<PyAny>>,
    model: UncertaintyModel,
    options: Options,
    halo: usize,
}

#[pymethods]
impl SegmentAwareReconstructionEngine {
    #[new]
    #[pyo3(signature = (algorithm, model, options, *, halo=None, gpu=None))]
    fn new(
        algorithm: &Bound<'_, PyAny>,
        model: &Bound<'_, PyAny>,
        options: &Bound<'_, PyAny>,
        halo: Option<&Bound<'_, PyAny>>,
        gpu: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        const OPERATION: &str = "SegmentAwareReconstructionEngine";
        let halo = halo.map(|given| convert::count(OPERATION, "halo", given)).transpose()?;
        let (algorithm, kernel) = predictor(OPERATION, algorithm, gpu)?;
        let model = UncertaintyModel::from_python(OPERATION, "model", model)?;
        let options = loop_options(OPERATION, options)?;
        Ok(Self { algorithm, kernel, model, options, halo: halo.unwrap_or(0) })
    }

    /// Reconstructs all segments and returns what it found, on the [0, 1] scale.
    #[pyo3(signature = (image, missing, chosen, labels, tasks, *, threads=None, progress=None))]
    #[expect(clippy::too_many_arguments, reason = "they are keyword arguments")]
    fn segment_aware_reconstruction<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        missing: &Bound<'py, PyAny>,
        chosen: &Bound<'py, PyAny>,
        labels: &Bound<'py, PyAny>,
        tasks: &Bound<'py, PyAny>,
        threads: Option<&Bound<'py, PyAny>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        const OPERATION: &str = "segment_aware_reconstruction";
        let image = convert::image(OPERATION, "image", image)?;
        let missing = convert::mask(OPERATION, "mask", missing)?;
        let chosen = convert::mask(OPERATION, "chosen", chosen)?;
        let labels = convert::labels(OPERATION, "labels", labels)?;
        let scene = Scene {
            image: image.as_array(),
            missing: missing.as_array(),
            chosen: chosen.as_array(),
            labels: labels.as_array(),
        };
        let (height, width, _) = scene.image.dim();
        convert::same_size(py, OPERATION, scene.image.dim(), scene.missing.dim())?;
        convert::same_size(py, OPERATION, scene.image.dim(), scene.chosen.dim())?;
        convert::same_size(py, OPERATION, scene.image.dim(), scene.labels.dim())?;
        let read = |task: &Bound<'py, PyAny>| Task::from_python(OPERATION, "tasks", task);
        let given = match (tasks.cast::<PyList>(), tasks.cast::<PyTuple>()) {
            (Ok(list), _) => list.to_tuple(),
            (_, Ok(tuple)) => tuple.clone(),
            _ => {
                let got = convert::describe(tasks);
                return Err(errors::invalid(py, OPERATION, "tasks", "a list or tuple", &got));
            }
        };
        let tasks: Vec<Task> = given.iter().map(|task| read(&task)).collect::<PyResult<_>>()?;
        if let Some(Task { bounds, .. }) =
            tasks.iter().find(|task| task.bounds.0.end > height || task.bounds.1.end > width)
        {
            let expected = format!("boxes within ({height}, {width})");
            return Err(errors::invalid(py, OPERATION, "tasks", &expected, &format!("{bounds:?}")));
        }
        let Self { algorithm, model, options, halo, .. } = self;
        Crossing::new(OPERATION)
            .takes(takes::autonomous(scene.image.dim()))
            .threads(threads)?
            .progress(progress)?
            .kernel(self.kernel.as_ref().map(|kernel| kernel.bind(py)))?
            .run(py, |host| match algorithm {
                Predicting::Host(algorithm) => {
                    segment_aware::run(&scene, &tasks, *halo, algorithm, options, model, host)
                }
                Predicting::Device(gpu, algorithm) => cuda::run_segments(
                    gpu,
                    None,
                    &scene,
                    &tasks,
                    *halo,
                    algorithm.as_ref(),
                    options,
                    model,
                    host,
                )?
                .download(),
            })?
            .to_python(py)
    }
}

/// Adds what is in this file to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SegmentAwareReconstructionEngine>()
}
