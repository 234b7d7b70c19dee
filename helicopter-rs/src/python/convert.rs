//! Python objects as what the core works on: arrays are borrowed, never copied on the way in.
//!
//! Every check is made here, before rust-numpy sees the array, because its own complaints do not say
//! what is wrong. `helicopter` hands over what passes; these texts are for those who call us directly.

use ndarray::{Array2, Array3, Dimension, Ix1, Ix2, Ix3, IxDyn};
use numpy::{
    dtype, BorrowError, Element, IntoPyArray, PyArray, PyArrayDescr, PyArrayDescrMethods,
    PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3, PyReadonlyArrayDyn,
    PyReadwriteArray3, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyTuple};

use super::errors::{invalid, kernel as kernel_error};
use crate::host::Prediction;
use crate::par::MAX_THREADS;

const IMAGE: &str = "a C-contiguous float32 array of shape (height, width, channels)";
const IMAGE_MUT: &str = "a writable C-contiguous float32 array of shape (height, width, channels)";
const LABELS: &str = "a C-contiguous int32 array of shape (height, width)";
const PIXELS: &str =
    "a C-contiguous uint8, uint16 or float32 array of shape (height, width, 1 or 3)";
const MAP: &str = "a C-contiguous float32 array of shape (height, width)";
const MASK: &str = "a C-contiguous bool array of shape (height, width)";

/// An image to read.
pub fn image<'py>(
    operation: &str,
    argument: &str,
    object: &Bound<'py, PyAny>,
) -> PyResult<PyReadonlyArray3<'py, f32>> {
    let array = typed::<f32, Ix3>(operation, argument, IMAGE, object)?;
    array.try_readonly().map_err(|error| busy(object.py(), operation, argument, IMAGE, &error))
}

/// An image to read, whatever its values are made of.
pub enum Pixels<'py> {
    /// 0 to 255.
    Byte(PyReadonlyArray3<'py, u8>),
    /// 0 to 65535.
    Word(PyReadonlyArray3<'py, u16>),
    /// 0 to 1.
    Float(PyReadonlyArray3<'py, f32>),
}

/// An image of one or three channels of any of these types.
pub fn pixels<'py>(
    operation: &str,
    argument: &str,
    object: &Bound<'py, PyAny>,
) -> PyResult<Pixels<'py>> {
    fn read<'py, T: Element>(
        operation: &str,
        argument: &str,
        object: &Bound<'py, PyAny>,
    ) -> PyResult<PyReadonlyArray3<'py, T>> {
        let array = typed::<T, Ix3>(operation, argument, PIXELS, object)?;
        if !matches!(array.shape()[2], 1 | 3) {
            return Err(invalid(object.py(), operation, argument, PIXELS, &describe(object)));
        }
        array.try_readonly().map_err(|error| busy(object.py(), operation, argument, PIXELS, &error))
    }
    let is = |kind: &Bound<'_, PyArrayDescr>| {
        object.cast::<PyUntypedArray>().is_ok_and(|array| array.dtype().is_equiv_to(kind))
    };
    let py = object.py();
    if is(&dtype::<u8>(py)) {
        read(operation, argument, object).map(Pixels::Byte)
    } else if is(&dtype::<u16>(py)) {
        read(operation, argument, object).map(Pixels::Word)
    } else {
        read(operation, argument, object).map(Pixels::Float)
    }
}

/// An image to write into.
pub fn image_mut<'py>(
    operation: &str,
    argument: &str,
    object: &Bound<'py, PyAny>,
) -> PyResult<PyReadwriteArray3<'py, f32>> {
    let array = typed::<f32, Ix3>(operation, argument, IMAGE_MUT, object)?;
    array.try_readwrite().map_err(|error| busy(object.py(), operation, argument, IMAGE_MUT, &error))
}

/// A mask: true where a pixel is hidden.
pub fn mask<'py>(
    operation: &str,
    argument: &str,
    object: &Bound<'py, PyAny>,
) -> PyResult<PyReadonlyArray2<'py, bool>> {
    let py = object.py();
    let array = typed::<bool, Ix2>(operation, argument, MASK, object)?;
    // NumPy lets a bool array hold any byte (a view of uint8 data, say); a Rust `bool` must not.
    let bytes = object.call_method1(intern!(py, "view"), (intern!(py, "uint8"),))?;
    let bytes = bytes.cast_into::<PyArray<u8, Ix2>>()?;
    let bytes =
        bytes.try_readonly().map_err(|error| busy(py, operation, argument, MASK, &error))?;
    // A maximum and not `any`: without an early exit the loop is vectorised.
    let largest = bytes.as_slice()?.iter().fold(0, |largest: u8, &byte| largest.max(byte));
    if largest > 1 {
        let got = format!("one that holds the byte {largest}, which is neither 0 nor 1");
        return Err(invalid(py, operation, argument, MASK, &got));
    }
    array.try_readonly().map_err(|error| busy(py, operation, argument, MASK, &error))
}

/// A number for each pixel.
pub fn map<'py>(
    operation: &str,
    argument: &str,
    object: &Bound<'py, PyAny>,
) -> PyResult<PyReadonlyArray2<'py, f32>> {
    let array = typed::<f32, Ix2>(operation, argument, MAP, object)?;
    array.try_readonly().map_err(|error| busy(object.py(), operation, argument, MAP, &error))
}

/// Labels of segments.
pub fn labels<'py>(
    operation: &str,
    argument: &str,
    object: &Bound<'py, PyAny>,
) -> PyResult<PyReadonlyArray2<'py, i32>> {
    let array = typed::<i32, Ix2>(operation, argument, LABELS, object)?;
    array.try_readonly().map_err(|error| busy(object.py(), operation, argument, LABELS, &error))
}

/// Numbers in one dimension; `expected` says which.
pub fn vector<'py, T: Element>(
    operation: &str,
    argument: &str,
    expected: &str,
    object: &Bound<'py, PyAny>,
) -> PyResult<PyReadonlyArray1<'py, T>> {
    let array = typed::<T, Ix1>(operation, argument, expected, object)?;
    array.try_readonly().map_err(|error| busy(object.py(), operation, argument, expected, &error))
}

/// Numbers in as many dimensions as there are.
pub fn numbers<'py>(
    operation: &str,
    argument: &str,
    expected: &str,
    object: &Bound<'py, PyAny>,
) -> PyResult<PyReadonlyArrayDyn<'py, f64>> {
    let array = typed::<f64, IxDyn>(operation, argument, expected, object)?;
    array.try_readonly().map_err(|error| busy(object.py(), operation, argument, expected, &error))
}

/// `None`, or a number of threads.
pub fn threads(operation: &str, object: Option<&Bound<'_, PyAny>>) -> PyResult<Option<usize>> {
    let Some(object) = object else { return Ok(None) };
    let count = if object.is_instance_of::<PyBool>() { None } else { object.extract().ok() };
    match count {
        Some(count) if (1..=MAX_THREADS).contains(&count) => Ok(Some(count)),
        _ => {
            let got = describe(object);
            Err(invalid(
                object.py(),
                operation,
                "threads",
                "None or an integer from 1 to 1024",
                &got,
            ))
        }
    }
}

/// A whole number of at least 0.
pub fn count(operation: &str, argument: &str, object: &Bound<'_, PyAny>) -> PyResult<usize> {
    let count = if object.is_instance_of::<PyBool>() { None } else { object.extract().ok() };
    count.ok_or_else(|| {
        let expected = "an integer of at least 0 that fits into a machine word";
        invalid(object.py(), operation, argument, expected, &describe(object))
    })
}

/// A number from here to there, both included.
pub fn number(
    operation: &str,
    argument: &str,
    (least, most): (f64, f64),
    object: &Bound<'_, PyAny>,
) -> PyResult<f64> {
    match object.extract() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => {
            let expected = format!("a number from {least} to {most}");
            Err(invalid(object.py(), operation, argument, &expected, &describe(object)))
        }
    }
}

/// A table of numbers in any order in memory.
pub fn table<'py, T: Element>(
    operation: &str,
    argument: &str,
    expected: &str,
    object: &Bound<'py, PyAny>,
) -> PyResult<PyReadonlyArray2<'py, T>> {
    let wrong = |got: &str| invalid(object.py(), operation, argument, expected, got);
    let array = object.cast::<PyArray<T, Ix2>>().map_err(|_| wrong(&describe(object)))?;
    if !array.is_aligned() {
        return Err(wrong("one that is not aligned in memory"));
    }
    array.try_readonly().map_err(|error| busy(object.py(), operation, argument, expected, &error))
}

/// One of a few words, as what it stands for.
pub fn choice<T: Copy>(
    operation: &str,
    argument: &str,
    choices: &[(&str, T)],
    object: &Bound<'_, PyAny>,
) -> PyResult<T> {
    let word: Option<String> = object.extract().ok();
    let found = choices.iter().find(|(name, _)| Some(*name) == word.as_deref());
    found.map(|&(_, choice)| choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        invalid(object.py(), operation, argument, &names.join(" or "), &describe(object))
    })
}

/// Whether a mask covers an image.
pub fn same_size(
    py: Python<'_>,
    operation: &str,
    (height, width, _): (usize, usize, usize),
    mask: (usize, usize),
) -> PyResult<()> {
    if mask == (height, width) {
        return Ok(());
    }
    let expected = format!("of the image's height and width, ({height}, {width})");
    Err(invalid(py, operation, "mask", &expected, &format!("one of shape {mask:?}")))
}

/// `None`, or something that can be called.
pub fn callable<'a, 'py>(
    operation: &str,
    argument: &str,
    object: Option<&'a Bound<'py, PyAny>>,
) -> PyResult<Option<&'a Bound<'py, PyAny>>> {
    match object {
        Some(object) if !object.is_callable() => {
            Err(invalid(object.py(), operation, argument, "None or a callable", &describe(object)))
        }
        other => Ok(other),
    }
}

/// Asks a kernel of the user's for a prediction and takes it over.
pub fn call_kernel(
    kernel: &Bound<'_, PyAny>,
    context: Array3<f32>,
    mask: Array2<bool>,
) -> PyResult<Prediction> {
    let py = kernel.py();
    let shape = context.dim();
    let returned = kernel.call1((context.into_pyarray(py), mask.into_pyarray(py)))?;
    let Ok(pair) = returned.cast::<PyTuple>() else {
        return Ok(Prediction { mean: values(&returned, "prediction", shape)?, sigma: None });
    };
    if pair.len() != 2 {
        let text = format!(
            "the kernel must return a prediction or a pair (prediction, sigma), got a tuple of {}",
            pair.len()
        );
        return Err(kernel_error(py, &text));
    }
    let mean = values(&pair.get_item(0)?, "prediction", shape)?;
    let sigma = pair.get_item(1)?;
    if sigma.is_none() {
        return Ok(Prediction { mean, sigma: None });
    }
    let per_pixel = sigma.cast::<PyUntypedArray>().is_ok_and(|sigma| sigma.ndim() == 2);
    let sigma = if per_pixel {
        let axis = py.import(intern!(py, "numpy"))?.call_method1("expand_dims", (&sigma, 2))?;
        let one = values(&axis, "sigma", (shape.0, shape.1, 1))?;
        one.broadcast(shape).expect("only the channels grow").to_owned()
    } else {
        values(&sigma, "sigma", shape)?
    };
    Ok(Prediction { mean, sigma: Some(sigma) })
}

/// One array out of a kernel's answer, copied: the kernel may keep and change its own.
fn values(
    object: &Bound<'_, PyAny>,
    what: &str,
    shape: (usize, usize, usize),
) -> PyResult<Array3<f32>> {
    let py = object.py();
    let wrong = || {
        let text = format!(
            "the kernel's {what} must be a float32 array of shape {shape:?}, got {}",
            describe(object)
        );
        kernel_error(py, &text)
    };
    let array = object.cast::<PyArray<f32, Ix3>>().map_err(|_| wrong())?;
    let same_shape = array.shape() == [shape.0, shape.1, shape.2];
    if !same_shape || !array.is_aligned() {
        return Err(wrong());
    }
    let values = array.try_readonly().map_err(|_| wrong())?;
    Ok(values.as_array().as_standard_layout().into_owned())
}

/// `object` as an array of that type and rank, C-contiguous and aligned; else `expected` is said.
fn typed<'a, 'py, T: Element, D: Dimension>(
    operation: &str,
    argument: &str,
    expected: &str,
    object: &'a Bound<'py, PyAny>,
) -> PyResult<&'a Bound<'py, PyArray<T, D>>> {
    let py = object.py();
    let complain = |got: &str| invalid(py, operation, argument, expected, got);
    let Ok(array) = object.cast::<PyUntypedArray>() else {
        return Err(complain(&describe(object)));
    };
    let right_rank = D::NDIM.is_none_or(|rank| rank == array.ndim());
    // of an image without pixels there is nothing to say
    let nothing = matches!(D::NDIM, Some(2 | 3)) && array.len() == 0;
    if !array.dtype().is_equiv_to(&dtype::<T>(py)) || !right_rank || nothing {
        return Err(complain(&describe(object)));
    }
    if !array.is_c_contiguous() || !array.is_aligned() {
        let kind = if array.is_aligned() { "not C-contiguous" } else { "not aligned in memory" };
        return Err(complain(&format!("one of shape {} that is {kind}", shape_of(array))));
    }
    Ok(object.cast::<PyArray<T, D>>()?)
}

fn busy(
    py: Python<'_>,
    operation: &str,
    argument: &str,
    expected: &str,
    error: &BorrowError,
) -> PyErr {
    let got = match error {
        BorrowError::NotWriteable => "a read-only one",
        _ => "one that another argument or a call in another thread is using",
    };
    invalid(py, operation, argument, expected, got)
}

/// What was given, in a few words: arrays by dtype and shape, the rest by value if short, and type.
pub fn describe(object: &Bound<'_, PyAny>) -> String {
    if let Ok(array) = object.cast::<PyUntypedArray>() {
        let dtype =
            array.dtype().str().map_or_else(|_| "unknown".to_owned(), |name| name.to_string());
        return format!("a {dtype} array of shape {}", shape_of(array));
    }
    if object.is_none() {
        return "None".to_owned();
    }
    let class =
        object.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    match object.repr() {
        Ok(repr) if repr.to_string_lossy().chars().count() <= 60 => format!("{repr} ({class})"),
        _ => format!("an object of type {class}"),
    }
}

fn shape_of(array: &Bound<'_, PyUntypedArray>) -> String {
    let sides: Vec<String> = array.shape().iter().map(ToString::to_string).collect();
    match sides.as_slice() {
        [one] => format!("({one},)"),
        many => format!("({})", many.join(", ")),
    }
}
