//! The only folder that knows Python. What it offers is declared in `helicopter_rs.pyi`.
//!
//! To offer one more function, write it in [`functions`] in the manner of the ones that are there
//! (borrow the arguments with [`convert`], then one [`crossing::Crossing`]), name it in the module
//! below, and add it to the stub. A class does the same in each of its methods.

// Here every function can raise, and all of them raise the same: see `errors`.
#![allow(clippy::missing_errors_doc, clippy::missing_panics_doc)]

pub mod convert;
pub mod crossing;
pub mod decision_model;
pub mod engines;
pub mod errors;
pub mod exemplar;
pub mod functions;
pub mod hatata;
pub mod network;
pub mod noise;
pub mod segmentation;
pub mod testing;

/// The module, as Python imports it.
#[pyo3::pymodule]
pub mod helicopter_rs {
    #[pymodule_export]
    use super::decision_model::DecisionModel;
    #[pymodule_export]
    use super::engines::{
        hidden_distance, hidden_variance, score, AutonomousReconstructionEngine,
        RegionalReconstructionEngine, UncertaintyModel,
    };
    #[pymodule_export]
    use super::exemplar::exemplar_fill;
    #[pymodule_export]
    use super::functions::{build_info, num_threads, solve_pde};
    #[pymodule_export]
    use super::hatata::HatataMDPEngine;
    #[pymodule_export]
    use super::network::Network;
    #[pymodule_export]
    use super::noise::{NoiseModel, ZengezaNoiseDetector};
    #[pymodule_export]
    use super::segmentation::segment;
    #[pymodule_export]
    use super::testing::{_call_kernel, _panic, _spin};

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = crate::VERSION;
}
