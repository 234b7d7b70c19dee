//! What is done to images and masks as arrays, whatever they hold.

use ndarray::{Array3, ArrayView2, ArrayViewMut3, Axis};

use crate::error::{Error, Result};

/// Whether a mask belongs to an image, and the image has channels that can be filled.
///
/// # Errors
///
/// [`Error::Argument`].
pub fn check_shape(
    operation: &'static str,
    (height, width, channels): (usize, usize, usize),
    mask: (usize, usize),
) -> Result<()> {
    if mask == (height, width) && matches!(channels, 1 | 3) {
        return Ok(());
    }
    let expected = "of 1 or 3 channels, and of the mask's height and width";
    let got = format!("one of shape {:?} with a mask of {mask:?}", (height, width, channels));
    Err(Error::argument(operation, "image", expected, got))
}

/// Has `work` done on the pixels of an image in their usual order, whatever the order in memory is.
///
/// # Errors
///
/// Those of `work`; the image may then be changed in part or not at all.
pub fn in_order<T>(
    image: &mut ArrayViewMut3<f32>,
    work: impl FnOnce(&mut [f32]) -> Result<T>,
) -> Result<T> {
    if let Some(pixels) = image.as_slice_mut() {
        return work(pixels);
    }
    let mut copy: Vec<f32> = image.iter().copied().collect();
    let done = work(&mut copy)?;
    image.iter_mut().zip(copy).for_each(|(pixel, value)| *pixel = value);
    Ok(done)
}

/// Copies the pixels that `mask` marks.
pub fn copy_where(target: &mut Array3<f32>, source: &Array3<f32>, mask: ArrayView2<bool>) {
    let pixels = target.lanes_mut(Axis(2)).into_iter().zip(source.lanes(Axis(2)));
    for ((mut target, source), _) in pixels.zip(mask).filter(|(_, &here)| here) {
        target.assign(&source);
    }
}
