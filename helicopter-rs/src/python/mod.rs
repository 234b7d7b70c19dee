//! The only folder that knows Python. What it offers is declared in `helicopter_rs.pyi`.
//!
//! To offer one more function, write it in the file of its subject in the manner of the ones that are
//! there (borrow the arrays with [`convert`], read and return records with [`records`], one
//! [`crossing::Crossing`] between), add it to that file's `register`, and add it to the stub. A class
//! does the same in each of its methods.

// Here every function can raise, and all of them raise the same: see `errors`.
#![allow(clippy::missing_errors_doc, clippy::missing_panics_doc)]

use pyo3::prelude::*;

pub mod anomaly;
pub mod convert;
pub mod crossing;
pub mod cuda;
pub mod decision_model;
pub mod engines;
pub mod errors;
pub mod exemplar;
pub mod functions;
pub mod hatata;
pub mod network;
pub mod noise;
pub mod records;
mod reserve;
pub mod segment_aware;
pub mod segmentation;
pub mod testing;

/// The version of this crate, which is that of the Python package that it belongs to.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The module, as Python imports it.
#[pymodule]
pub fn helicopter_rs(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", VERSION)?;
    anomaly::register(module)?;
    cuda::register(module)?;
    decision_model::register(module)?;
    engines::register(module)?;
    exemplar::register(module)?;
    functions::register(module)?;
    hatata::register(module)?;
    network::register(module)?;
    noise::register(module)?;
    segment_aware::register(module)?;
    segmentation::register(module)?;
    testing::register(module)
}
