//! The engines as Python classes, and the functions that several of them need.

use std::sync::Arc;

use numpy::{IntoPyArray, PyArray2};
use pyo3::prelude::*;

use super::crossing::Crossing;
use super::cuda::{self, CudaNetwork};
use super::network::Network;
use super::records::{FromPython, ToPython};
use super::{convert, errors};
use crate::algorithms::pde;
use crate::memory::takes;
use crate::reconstruction::autonomous_engine::{self, Algorithm, Options};
use crate::reconstruction::online_scale::UncertaintyModel;
use crate::reconstruction::regional_engine::cuda::{CudaPredictor, CudaReconstructor};
use crate::reconstruction::regional_engine::{self, Predictor};
use crate::reconstruction::{cuda as loop_cuda, scores, uncertainty};
use crate::utils::cuda_bindings::Gpu;

/// The equations, by the names that users know.
pub const KINDS: [(&str, pde::Kind); 2] =
    [("harmonic", pde::Kind::Harmonic), ("biharmonic", pde::Kind::Biharmonic)];

/// Distance of every pixel to the nearest visible one, in pixels, at most 64.
#[pyfunction]
#[pyo3(signature = (mask, *, gpu=None, threads=None))]
pub fn hidden_distance<'py>(
    py: Python<'py>,
    mask: &Bound<'py, PyAny>,
    gpu: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    const OPERATION: &str = "hidden_distance";
    let mask = convert::mask(OPERATION, "mask", mask)?;
    let hidden = mask.as_array();
    let (height, width) = hidden.dim();
    let gpu = cuda::gpu(OPERATION, gpu)?;
    let distance = Crossing::new(OPERATION)
        .takes(takes::variance((height, width, 1)))
        .threads(threads)?
        .run(py, |host| match &gpu {
            Some(gpu) => uncertainty::cuda::hidden_distance(gpu, hidden),
            None => uncertainty::hidden_distance(hidden, host),
        })?;
    Ok(distance.into_pyarray(py))
}

/// Predicts the variance of the error of every hidden pixel; 0 at visible ones.
#[pyfunction]
#[pyo3(signature = (context, mask, model, *, gpu=None, threads=None))]
pub fn hidden_variance<'py>(
    py: Python<'py>,
    context: &Bound<'py, PyAny>,
    mask: &Bound<'py, PyAny>,
    model: &Bound<'py, PyAny>,
    gpu: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    const OPERATION: &str = "hidden_variance";
    let model = UncertaintyModel::from_python(OPERATION, "model", model)?;
    let context = convert::image(OPERATION, "image", context)?;
    let mask = convert::mask(OPERATION, "mask", mask)?;
    let (context, hidden) = (context.as_array(), mask.as_array());
    convert::same_size(py, OPERATION, context.dim(), hidden.dim())?;
    let gpu = cuda::gpu(OPERATION, gpu)?;
    let variance = Crossing::new(OPERATION)
        .takes(takes::variance(context.dim()))
        .threads(threads)?
        .run(py, |host| match &gpu {
            Some(gpu) => uncertainty::cuda::hidden_variance(gpu, context, hidden, &model),
            None => uncertainty::hidden_variance(context, hidden, &model, host),
        })?;
    Ok(variance.into_pyarray(py))
}

/// Compares a prediction with the truth.
#[pyfunction]
#[pyo3(signature = (truth, prediction, hidden, scored, *, gpu=None, threads=None))]
pub fn score<'py>(
    py: Python<'py>,
    truth: &Bound<'py, PyAny>,
    prediction: &Bound<'py, PyAny>,
    hidden: &Bound<'py, PyAny>,
    scored: &Bound<'py, PyAny>,
    gpu: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
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
    let gpu = cuda::gpu(OPERATION, gpu)?;
    let scores = Crossing::new(OPERATION).threads(threads)?.run(py, |host| match &gpu {
        Some(gpu) => loop_cuda::score_of(gpu, truth, prediction, (hidden, scored)),
        None => scores::score(truth, prediction, hidden, scored, host),
    })?;
    scores.to_python(py)
}

/// Fills any mask in any image, and says how sure each pixel is.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct RegionalReconstructionEngine {
    predictor: Where,
    model: UncertaintyModel,
}

/// What predicts on the processor, or on a GPU.
enum Where {
    Host(Predictor),
    Device(CudaReconstructor),
}

#[pymethods]
impl RegionalReconstructionEngine {
    #[new]
    #[pyo3(signature = (algorithm, model, *, gpu=None))]
    fn new(
        algorithm: &Bound<'_, PyAny>,
        model: &Bound<'_, PyAny>,
        gpu: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        const OPERATION: &str = "RegionalReconstructionEngine";
        let model = UncertaintyModel::from_python(OPERATION, "model", model)?;
        let predictor = match cuda::gpu(OPERATION, gpu)? {
            Some(gpu) => {
                let predictor = cuda_predictor(OPERATION, algorithm)?;
                Where::Device(CudaReconstructor::new(gpu, predictor))
            }
            None => Where::Host(if let Ok(network) = algorithm.cast::<Network>() {
                Predictor::Network(Arc::clone(&network.get().0))
            } else {
                Predictor::Pde(convert::choice(OPERATION, "algorithm", &KINDS, algorithm)?)
            }),
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
        let (predictor, model) = (&self.predictor, &self.model);
        let size = pixels.dim();
        let bytes = match predictor {
            Where::Host(Predictor::Network(_)) => takes::network(size),
            Where::Host(Predictor::Pde(_)) => {
                takes::equation(size).saturating_add(takes::variance(size))
            }
            Where::Device(_) => takes::variance(size),
        };
        let crossing = Crossing::new(OPERATION).takes(bytes).threads(threads)?;
        let variance = crossing.run(py, |host| match predictor {
            Where::Host(predictor) => {
                regional_engine::reconstruct(pixels.view_mut(), hidden, predictor, model, host)
            }
            Where::Device(gpu) => gpu.reconstruct(pixels.view_mut(), hidden, model, host),
        })?;
        Ok(variance.into_pyarray(py))
    }
}

/// Hides most of an image, redraws it from the rest, and says how well that went.
#[pyclass(frozen, module = "helicopter_rs")]
pub struct AutonomousReconstructionEngine {
    algorithm: Predicting,
    kernel: Option<Py<PyAny>>,
    model: UncertaintyModel,
    options: Options,
}

#[pymethods]
impl AutonomousReconstructionEngine {
    #[new]
    #[pyo3(signature = (algorithm, model, options, *, gpu=None))]
    fn new(
        algorithm: &Bound<'_, PyAny>,
        model: &Bound<'_, PyAny>,
        options: &Bound<'_, PyAny>,
        gpu: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        const OPERATION: &str = "AutonomousReconstructionEngine";
        let (algorithm, kernel) = predictor(OPERATION, algorithm, gpu)?;
        let model = UncertaintyModel::from_python(OPERATION, "model", model)?;
        let options = loop_options(OPERATION, options)?;
        Ok(Self { algorithm, kernel, model, options })
    }

    /// Runs the loop and returns what it found, on the [0, 1] scale.
    #[pyo3(signature = (image, missing, *, threads=None, progress=None))]
    fn autonomous_analyze<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        missing: &Bound<'py, PyAny>,
        threads: Option<&Bound<'py, PyAny>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        const OPERATION: &str = "autonomous_analyze";
        let image = convert::image(OPERATION, "image", image)?;
        let missing = convert::mask(OPERATION, "mask", missing)?;
        let (pixels, missing) = (image.as_array(), missing.as_array());
        convert::same_size(py, OPERATION, pixels.dim(), missing.dim())?;
        require_visible(py, OPERATION, missing)?;
        let Self { algorithm, model, options, .. } = self;
        Crossing::new(OPERATION)
            .takes(takes::autonomous(pixels.dim()))
            .threads(threads)?
            .progress(progress)?
            .kernel(self.kernel.as_ref().map(|kernel| kernel.bind(py)))?
            .run(py, |host| match algorithm {
                Predicting::Host(algorithm) => {
                    autonomous_engine::run(pixels, missing, algorithm, options, model, host)
                }
                Predicting::Device(gpu, algorithm) => {
                    loop_cuda::run(gpu, pixels, missing, algorithm.as_ref(), options, model, host)
                }
            })?
            .to_python(py)
    }
}

/// The options of the autonomous loop, if they go together.
pub(super) fn loop_options(operation: &str, given: &Bound<'_, PyAny>) -> PyResult<Options> {
    let py = given.py();
    let options = Options::from_python(operation, "options", given)?;
    let side = options.patch_size;
    if side == 0 {
        return Err(errors::invalid(py, operation, "patch_size", "at least 1", "0"));
    }
    match options.context_size {
        Some(window) if window < side => {
            let expected = format!("None or at least patch_size ({side})");
            Err(errors::invalid(py, operation, "context_size", &expected, &window.to_string()))
        }
        _ => match options.stop.as_ref().map(|stop| super::hatata::check_stop(py, operation, stop))
        {
            Some(Err(wrong)) => Err(wrong),
            _ => Ok(options),
        },
    }
}

static KERNEL: Algorithm = Algorithm::Kernel;

/// What predicts in a loop, on the processor or on a GPU.
pub(super) enum Predicting {
    Host(Algorithm),
    Device(Arc<Gpu>, Box<dyn loop_cuda::Predict + Send + Sync>),
}

/// What predicts on a GPU: a network that is there, or an equation.
pub(super) fn cuda_predictor(operation: &str, given: &Bound<'_, PyAny>) -> PyResult<CudaPredictor> {
    if let Ok(network) = given.cast::<CudaNetwork>() {
        return Ok(CudaPredictor::Network(Arc::clone(&network.get().0)));
    }
    Ok(CudaPredictor::Pde(convert::choice(operation, "algorithm", &KINDS, given)?))
}

/// What predicts: a network, a kernel of the user's, or an equation.
pub(super) fn predictor(
    operation: &'static str,
    given: &Bound<'_, PyAny>,
    gpu: Option<&Bound<'_, PyAny>>,
) -> PyResult<(Predicting, Option<Py<PyAny>>)> {
    let Some(gpu) = cuda::gpu(operation, gpu)? else {
        let (algorithm, kernel) = on_host(operation, given)?;
        return Ok((Predicting::Host(algorithm), kernel));
    };
    let is_network = given.cast::<CudaNetwork>().is_ok();
    let (of, kernel): (Box<dyn loop_cuda::Predict + Send + Sync>, _) =
        if given.is_callable() && !is_network {
            let fallback = loop_cuda::Fallback { algorithm: &KERNEL, gpu: Arc::clone(&gpu) };
            (Box::new(fallback), Some(given.clone().unbind()))
        } else {
            let predictor = cuda_predictor(operation, given)?;
            (Box::new(CudaReconstructor::new(Arc::clone(&gpu), predictor)), None)
        };
    Ok((Predicting::Device(gpu, of), kernel))
}

fn on_host(operation: &str, given: &Bound<'_, PyAny>) -> PyResult<(Algorithm, Option<Py<PyAny>>)> {
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

/// Adds what is in this file to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<RegionalReconstructionEngine>()?;
    module.add_class::<AutonomousReconstructionEngine>()?;
    module.add_function(wrap_pyfunction!(hidden_distance, module)?)?;
    module.add_function(wrap_pyfunction!(hidden_variance, module)?)?;
    module.add_function(wrap_pyfunction!(score, module)?)
}
