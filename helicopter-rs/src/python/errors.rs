//! The core's errors as exceptions of `helicopter.errors`.

use std::error::Error as StdError;

use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::error::Error;

/// The exception that says what `error` says. `operation` is the function that Python called.
pub fn to_python(py: Python<'_>, operation: &str, error: Error) -> PyErr {
    match error {
        Error::Argument { argument, expected, got, .. } => {
            invalid(py, operation, argument, &expected, &got)
        }
        Error::Kernel(of_kernel) => match of_kernel.downcast::<PyErr>() {
            Ok(exception) => *exception,
            Err(other) => named(py, "KernelError", &chain(other.as_ref())),
        },
        Error::Cancelled => {
            internal(py, operation, "the work was stopped, but nobody asked for that")
        }
        Error::Panic(text) => internal(py, operation, &text),
        Error::Device(text) => named(py, "DeviceError", &text),
        Error::Model { .. } => named(py, "ModelError", &error.to_string()),
        Error::OutOfMemory { .. } => PyMemoryError::new_err(format!("{operation}: {error}")),
        Error::System { .. } => {
            named(py, "RustAccelerationError", &format!("{operation}: {error}"))
        }
    }
}

/// An argument that cannot be used, in the words of every such text.
#[cold]
pub fn invalid(
    py: Python<'_>,
    operation: &str,
    argument: &str,
    expected: &str,
    got: &str,
) -> PyErr {
    let class = match argument {
        "image" => "InvalidImageError",
        "mask" => "InvalidMaskError",
        "kernel" => "KernelError",
        _ => "InvalidOptionError",
    };
    named(py, class, &format!("{operation}: {argument} must be {expected}, got {got}"))
}

/// What a kernel returned is not a prediction.
#[cold]
pub fn kernel(py: Python<'_>, text: &str) -> PyErr {
    named(py, "KernelError", text)
}

fn internal(py: Python<'_>, operation: &str, text: &str) -> PyErr {
    let text = format!(
        "{operation}: the Rust core failed unexpectedly: {text}. This is a bug in helicopter-rs {}; \
         please report it, with this text. use_rust_acceleration=False avoids the Rust core.",
        super::VERSION
    );
    named(py, "InternalError", &text)
}

/// An exception of `helicopter.errors`, or the nearest builtin if that package is not there (this
/// module can be used without it).
fn named(py: Python<'_>, class: &str, text: &str) -> PyErr {
    let found = py
        .import("helicopter.errors")
        .and_then(|module| module.getattr(class))
        .and_then(|class| Ok(class.cast_into::<PyType>()?));
    match found {
        Ok(class) => PyErr::from_type(class, (text.to_owned(),)),
        Err(_) if class.starts_with("Invalid") || class == "KernelError" => {
            PyValueError::new_err(text.to_owned())
        }
        Err(_) => PyRuntimeError::new_err(text.to_owned()),
    }
}

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
