//! The engines as Python classes, and the functions that several of them need.

use std::sync::Arc;

use numpy::{IntoPyArray, PyArray2, PyArrayMethods, PyReadonlyArray2};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::crossing::Crossing;
use super::network::Network;
use super::{convert, errors};
use crate::algorithms::pde;
use crate::reconstruction::autonomous_engine::{self, Algorithm, Options};
use crate::reconstruction::online_scale;
use crate::reconstruction::regional_engine::{self, Predictor};
use crate::reconstruction::strategies::Strategy;
use crate::reconstruction::{scores, uncertainty};

/// The equations, by the names that users know.
pub const KINDS: [(&str, pde::Kind); 2] =
    [("harmonic", pde::Kind::Harmonic), ("biharmonic", pde::Kind::Biharmonic)];

/// Fitted constants that turn what is visible into an uncertainty.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct UncertaintyModel(pub(super) online_scale::UncertaintyModel);

#[pymethods]
impl UncertaintyModel {
    #[new]
    fn new(
        py: Python<'_>,
        variance_table: &Bound<'_, PyAny>,
        log_mae_offset: f64,
        log_mae_distance: f64,
        log_mae_spread: f64,
        log_mae_prior: f64,
    ) -> PyResult<Self> {
        let wrong = |got: &str| {
            let expected = "a float64 array of shape (distances, 4), of 1 to 128 distances";
            errors::invalid(py, "UncertaintyModel", "variance_table", expected, got)
        };
        let table: PyReadonlyArray2<'_, f64> = variance_table
            .cast::<PyArray2<f64>>()
            .map_err(|_| wrong(&convert::describe(variance_table)))?
            .try_readonly()
            .map_err(|_| wrong("one that another call is using"))?;
        let table = table.as_array();
        if table.ncols() != 4 || !(1..=128).contains(&table.nrows()) {
            return Err(wrong(&convert::describe(variance_table)));
        }
        Ok(Self(online_scale::UncertaintyModel {
            variance_table: table.rows().into_iter().map(|r| [r[0], r[1], r[2], r[3]]).collect(),
            log_mae_offset,
            log_mae_distance,
            log_mae_spread,
            log_mae_prior,
        }))
    }
}

/// Distance of every pixel to the nearest visible one, in pixels, at most 64.
#[pyfunction]
#[pyo3(signature = (mask, *, threads=None))]
pub fn hidden_distance<'py>(
    py: Python<'py>,
    mask: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    const OPERATION: &str = "hidden_distance";
    let mask = convert::mask(OPERATION, "mask", mask)?;
    let hidden = mask.as_array();
    let distance = Crossing::new(OPERATION)
        .threads(threads)?
        .run(py, |host| uncertainty::hidden_distance(hidden, host))?;
    Ok(distance.into_pyarray(py))
}

/// Predicts the variance of the error of every hidden pixel; 0 at visible ones.
#[pyfunction]
#[pyo3(signature = (context, mask, model, *, threads=None))]
pub fn hidden_variance<'py>(
    py: Python<'py>,
    context: &Bound<'py, PyAny>,
    mask: &Bound<'py, PyAny>,
    model: &UncertaintyModel,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    const OPERATION: &str = "hidden_variance";
    let context = convert::image(OPERATION, "image", context)?;
    let mask = convert::mask(OPERATION, "mask", mask)?;
    let (context, hidden) = (context.as_array(), mask.as_array());
    convert::same_size(py, OPERATION, context.dim(), hidden.dim())?;
    let variance = Crossing::new(OPERATION)
        .threads(threads)?
        .run(py, |host| uncertainty::hidden_variance(context, hidden, &model.0, host))?;
    Ok(variance.into_pyarray(py))
}

/// Compares a prediction with the truth: (MSE, MAE, SSIM, MSE of the mean colour).
#[pyfunction]
#[pyo3(signature = (truth, prediction, hidden, scored, *, threads=None))]
pub fn score<'py>(
    py: Python<'py>,
    truth: &Bound<'py, PyAny>,
    prediction: &Bound<'py, PyAny>,
    hidden: &Bound<'py, PyAny>,
    scored: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<(f64, f64, f64, f64)> {
    const OPERATION: &str = "score";
    let truth = convert::image(OPERATION, "image", truth)?;
    let prediction = convert::image(OPERATION, "image", prediction)?;
    let hidden = convert::mask(OPERATION, "mask", hidden)?;
    let scored = convert::mask(OPERATION, "mask", scored)?;
    let (truth, prediction) = (truth.as_array(), prediction.as_array());
    let (hidden, scored) = (hidden.as_array(), scored.as_array());
    convert::same_size(py, OPERATION, truth.dim(), hidden.dim())?;
    convert::same_size(py, OPERATION, truth.dim(), scored.dim())?;
    if prediction.dim() != truth.dim() {
        let expected = format!("of the truth's shape {:?}", truth.dim());
        let got = format!("one of shape {:?}", prediction.dim());
        return Err(errors::invalid(py, OPERATION, "image", &expected, &got));
    }
    let scores = Crossing::new(OPERATION)
        .threads(threads)?
        .run(py, |host| scores::score(truth, prediction, hidden, scored, host))?;
    Ok((scores.mse, scores.mae, scores.ssim, scores.baseline_mse))
}

/// Fills any mask in any image, and says how sure each pixel is.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct RegionalReconstructionEngine {
    predictor: Predictor,
    model: Py<UncertaintyModel>,
}

#[pymethods]
impl RegionalReconstructionEngine {
    #[new]
    fn new(algorithm: &Bound<'_, PyAny>, model: Py<UncertaintyModel>) -> PyResult<Self> {
        const OPERATION: &str = "RegionalReconstructionEngine";
        let predictor = if let Ok(network) = algorithm.cast::<Network>() {
            Predictor::Network(Arc::clone(&network.get().0))
        } else {
            Predictor::Pde(convert::choice(OPERATION, "algorithm", &KINDS, algorithm)?)
        };
        Ok(Self { predictor, model })
    }

    /// Fills the hidden pixels of `image` in place and returns the variance of their errors.
    #[pyo3(signature = (image, mask, *, threads=None))]
    fn reconstruct<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        mask: &Bound<'py, PyAny>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        const OPERATION: &str = "reconstruct";
        let mut image = convert::image_mut(OPERATION, "image", image)?;
        let mask = convert::mask(OPERATION, "mask", mask)?;
        let (mut pixels, hidden) = (image.as_array_mut(), mask.as_array());
        convert::same_size(py, OPERATION, pixels.dim(), hidden.dim())?;
        require_visible(py, OPERATION, hidden)?;
        let model = &self.model.get().0;
        let variance = Crossing::new(OPERATION).threads(threads)?.run(py, |host| {
            regional_engine::reconstruct(pixels.view_mut(), hidden, &self.predictor, model, host)
        })?;
        Ok(variance.into_pyarray(py))
    }
}

/// Hides most of an image, redraws it from the rest, and says how well that went.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct AutonomousReconstructionEngine {
    algorithm: Algorithm,
    kernel: Option<Py<PyAny>>,
    model: Py<UncertaintyModel>,
    patch_size: usize,
    context_size: Option<usize>,
    strategy: Strategy,
    seed: u64,
}

#[pymethods]
impl AutonomousReconstructionEngine {
    #[new]
    #[pyo3(signature = (algorithm, model, *, patch_size=32, context_size=None, strategy=None, seed=0))]
    fn new(
        py: Python<'_>,
        algorithm: &Bound<'_, PyAny>,
        model: Py<UncertaintyModel>,
        patch_size: usize,
        context_size: Option<usize>,
        strategy: Option<&Bound<'_, PyAny>>,
        seed: u64,
    ) -> PyResult<Self> {
        const OPERATION: &str = "AutonomousReconstructionEngine";
        let (algorithm, kernel) = predictor(OPERATION, algorithm)?;
        let strategy = match strategy {
            None => Strategy::Adaptive,
            Some(name) => convert::choice(OPERATION, "strategy", &Strategy::NAMED, name)?,
        };
        if patch_size == 0 {
            return Err(errors::invalid(py, OPERATION, "patch_size", "at least 1", "0"));
        }
        if context_size.is_some_and(|side| side < patch_size) {
            let expected = format!("None or at least patch_size ({patch_size})");
            let got = format!("{}", context_size.unwrap_or(0));
            return Err(errors::invalid(py, OPERATION, "context_size", &expected, &got));
        }
        Ok(Self { algorithm, kernel, model, patch_size, context_size, strategy, seed })
    }

    /// Runs the loop and returns what it found, on the [0, 1] scale, as a dict.
    #[pyo3(signature = (
        image, missing, *, max_iterations=None, target_quality=0.9, initial_known=0.2,
        open_book=false, stop=None, threads=None, progress=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are keyword arguments")]
    fn autonomous_analyze<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        missing: &Bound<'py, PyAny>,
        max_iterations: Option<usize>,
        target_quality: f64,
        initial_known: f64,
        open_book: bool,
        stop: Option<&Bound<'py, PyAny>>,
        threads: Option<&Bound<'py, PyAny>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        const OPERATION: &str = "autonomous_analyze";
        let image = convert::image(OPERATION, "image", image)?;
        let missing = convert::mask(OPERATION, "mask", missing)?;
        let (pixels, missing) = (image.as_array(), missing.as_array());
        convert::same_size(py, OPERATION, pixels.dim(), missing.dim())?;
        require_visible(py, OPERATION, missing)?;
        let options = Options {
            algorithm: self.algorithm.clone(),
            patch_size: self.patch_size,
            context_size: self.context_size,
            strategy: self.strategy,
            seed: self.seed,
            max_iterations,
            target_quality,
            initial_known,
            open_book,
            stop: stop.map(|rule| super::hatata::stop_rule(OPERATION, rule)).transpose()?,
            plateau: autonomous_engine::PLATEAU,
            ask_once: false,
        };
        let model = &self.model.get().0;
        let kernel = self.kernel.as_ref().map(|kernel| kernel.bind(py));
        let run = Crossing::new(OPERATION)
            .threads(threads)?
            .progress(progress)?
            .kernel(kernel)?
            .run(py, |host| autonomous_engine::run(pixels, missing, &options, model, host))?;
        to_dict(py, run)
    }
}

/// What predicts: a network, a kernel of the user's, or an equation.
pub(super) fn predictor(
    operation: &str,
    given: &Bound<'_, PyAny>,
) -> PyResult<(Algorithm, Option<Py<PyAny>>)> {
    if let Ok(network) = given.cast::<Network>() {
        return Ok((Algorithm::Network(Arc::clone(&network.get().0)), None));
    }
    if given.is_callable() {
        return Ok((Algorithm::Kernel, Some(given.clone().unbind())));
    }
    Ok((Algorithm::Pde(convert::choice(operation, "algorithm", &KINDS, given)?), None))
}

pub(super) fn require_visible(
    py: Python<'_>,
    operation: &str,
    mask: ndarray::ArrayView2<bool>,
) -> PyResult<()> {
    if mask.iter().any(|&hidden| !hidden) {
        return Ok(());
    }
    Err(errors::invalid(py, operation, "mask", "false somewhere", "one that hides every pixel"))
}

fn to_dict(py: Python<'_>, run: autonomous_engine::Run) -> PyResult<Bound<'_, PyDict>> {
    let history: Vec<_> = run
        .history
        .into_iter()
        .map(|step| {
            let patches = pyo3::types::PyTuple::new(py, step.patches)?;
            Ok((patches, step.strategy, step.quality, step.cumulative_quality, step.confidence))
        })
        .collect::<PyResult<_>>()?;
    let scores = run.scores;
    let out = PyDict::new(py);
    out.set_item(intern!(py, "reconstruction"), run.reconstruction.into_pyarray(py))?;
    out.set_item(intern!(py, "prediction"), run.prediction.into_pyarray(py))?;
    out.set_item(intern!(py, "variance"), run.variance.into_pyarray(py))?;
    out.set_item(intern!(py, "confidence"), run.confidence.into_pyarray(py))?;
    out.set_item(intern!(py, "hidden"), run.hidden.into_pyarray(py))?;
    out.set_item(intern!(py, "scored"), run.scored.into_pyarray(py))?;
    out.set_item(intern!(py, "drawn"), run.drawn.into_pyarray(py))?;
    out.set_item(intern!(py, "history"), history)?;
    out.set_item(intern!(py, "patch_qualities"), run.patch_qualities.into_pyarray(py))?;
    out.set_item(intern!(py, "stop_reason"), run.stop_reason)?;
    out.set_item(intern!(py, "completion"), run.completion)?;
    out.set_item(intern!(py, "average_confidence"), run.average_confidence)?;
    let scores = (scores.mse, scores.mae, scores.ssim, scores.baseline_mse);
    out.set_item(intern!(py, "scores"), scores)?;
    Ok(out)
}
