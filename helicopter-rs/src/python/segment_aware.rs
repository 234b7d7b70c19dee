//! The engine that reconstructs segment by segment, as a Python class.

use numpy::{IntoPyArray, PyArray2, PyArray3};
use pyo3::prelude::*;

use super::crossing::Crossing;
use super::engines::{predictor, UncertaintyModel};
use super::{convert, errors};
use crate::reconstruction::autonomous_engine::{Algorithm, Options, PLATEAU};
use crate::reconstruction::segment_aware::{self, Scene, Task};
use crate::reconstruction::strategies::Strategy;

/// Hides most of every segment, and redraws each from the rest of it.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct SegmentAwareReconstructionEngine {
    algorithm: Algorithm,
    kernel: Option<Py<PyAny>>,
    model: Py<UncertaintyModel>,
    patch_size: usize,
    strategy: Strategy,
    seed: u64,
    halo: usize,
}

/// (top, left, bottom, right), iterations at most, target quality, plateau.
type GivenTask = ((usize, usize, usize, usize), usize, f64, f64);
/// The fields of an outcome, in their order.
type Outcome = (usize, &'static str, f64, f64, f64, f64, f64, usize, usize);
/// Prediction, variance, confidence, hidden, and the outcomes.
type Found<'py> = (
    Bound<'py, PyArray3<f32>>,
    Bound<'py, PyArray2<f32>>,
    Bound<'py, PyArray2<f32>>,
    Bound<'py, PyArray2<bool>>,
    Vec<Outcome>,
);

#[pymethods]
impl SegmentAwareReconstructionEngine {
    #[new]
    #[pyo3(signature = (algorithm, model, *, patch_size=8, strategy=None, seed=0, halo=0))]
    fn new(
        py: Python<'_>,
        algorithm: &Bound<'_, PyAny>,
        model: Py<UncertaintyModel>,
        patch_size: usize,
        strategy: Option<&Bound<'_, PyAny>>,
        seed: u64,
        halo: usize,
    ) -> PyResult<Self> {
        const OPERATION: &str = "SegmentAwareReconstructionEngine";
        let (algorithm, kernel) = predictor(OPERATION, algorithm)?;
        let strategy = match strategy {
            None => Strategy::Adaptive,
            Some(name) => convert::choice(OPERATION, "strategy", &Strategy::NAMED, name)?,
        };
        if patch_size == 0 {
            return Err(errors::invalid(py, OPERATION, "patch_size", "at least 1", "0"));
        }
        Ok(Self { algorithm, kernel, model, patch_size, strategy, seed, halo })
    }

    /// Reconstructs all segments and returns what it found, on the [0, 1] scale.
    #[pyo3(signature = (image, missing, labels, tasks, *, initial_known=0.2, threads=None, progress=None))]
    #[expect(clippy::too_many_arguments, reason = "they are keyword arguments")]
    fn segment_aware_reconstruction<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        missing: &Bound<'py, PyAny>,
        labels: &Bound<'py, PyAny>,
        tasks: Vec<GivenTask>,
        initial_known: f64,
        threads: Option<&Bound<'py, PyAny>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Found<'py>> {
        const OPERATION: &str = "segment_aware_reconstruction";
        let image = convert::image(OPERATION, "image", image)?;
        let missing = convert::mask(OPERATION, "mask", missing)?;
        let labels = convert::labels(OPERATION, "labels", labels)?;
        let scene = Scene {
            image: image.as_array(),
            missing: missing.as_array(),
            labels: labels.as_array(),
        };
        let (height, width, _) = scene.image.dim();
        convert::same_size(py, OPERATION, scene.image.dim(), scene.missing.dim())?;
        convert::same_size(py, OPERATION, scene.image.dim(), scene.labels.dim())?;
        let tasks: Vec<Task> = tasks
            .into_iter()
            .map(|((top, left, bottom, right), max_iterations, target_quality, plateau)| {
                if top >= bottom || left >= right || bottom > height || right > width {
                    let expected = format!("boxes within ({height}, {width})");
                    let got = format!("({top}, {left}, {bottom}, {right})");
                    return Err(errors::invalid(py, OPERATION, "tasks", &expected, &got));
                }
                let (rows, cols) = (top..bottom, left..right);
                Ok(Task { rows, cols, max_iterations, target_quality, plateau })
            })
            .collect::<PyResult<_>>()?;
        let options = Options {
            algorithm: self.algorithm.clone(),
            patch_size: self.patch_size,
            context_size: None,
            strategy: self.strategy,
            seed: self.seed,
            max_iterations: None,
            target_quality: 1.0,
            initial_known,
            open_book: false,
            stop: None,
            plateau: PLATEAU,
            ask_once: true,
        };
        let model = &self.model.get().0;
        let kernel = self.kernel.as_ref().map(|kernel| kernel.bind(py));
        let run = Crossing::new(OPERATION)
            .threads(threads)?
            .progress(progress)?
            .kernel(kernel)?
            .run(py, |host| segment_aware::run(&scene, &tasks, self.halo, &options, model, host))?;
        let outcomes = run.outcomes.into_iter().map(|one| {
            let errors = (one.mse, one.mae, one.baseline_mse);
            (
                one.iterations,
                one.stop_reason,
                one.completion,
                one.confidence,
                errors.0,
                errors.1,
                errors.2,
                one.scored,
                one.evidence,
            )
        });
        Ok((
            run.prediction.into_pyarray(py),
            run.variance.into_pyarray(py),
            run.confidence.into_pyarray(py),
            run.hidden.into_pyarray(py),
            outcomes.collect(),
        ))
    }
}
