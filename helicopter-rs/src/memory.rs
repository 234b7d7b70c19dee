//! Memory that may not be there: what is large is asked for, and an error if it cannot be had.
//!
//! What grows with the data and may be larger than the reserve of a call (see `python::reserve`) is
//! made here.

use crate::error::{Error, Result};

/// A type of which all bytes may be zero.
///
/// # Safety
///
/// Memory full of zeros holds valid values of it.
pub unsafe trait Zero: Copy {}

// SAFETY: numbers, of which zero is one.
unsafe impl Zero for u8 {}
// SAFETY: as above.
unsafe impl Zero for u32 {}
// SAFETY: as above.
unsafe impl Zero for f32 {}
// SAFETY: as above.
unsafe impl Zero for f64 {}

/// So many zeros.
///
/// ```
/// use helicopter_rs::{error::Error, memory};
///
/// assert_eq!(memory::zeroed::<f32>(3)?, [0.0; 3]);
/// assert!(matches!(memory::zeroed::<f64>(1 << 59), Err(Error::OutOfMemory { .. })));
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// [`Error::OutOfMemory`] if they cannot be had.
pub fn zeroed<T: Zero>(count: usize) -> Result<Vec<T>> {
    let bytes = count.saturating_mul(size_of::<T>());
    let layout = std::alloc::Layout::array::<T>(count);
    let layout = layout.map_err(|_| Error::OutOfMemory { bytes })?;
    if layout.size() == 0 {
        return Ok(Vec::new());
    }
    debug_assert!(layout.size() == bytes);
    // SAFETY: the layout's size is not zero.
    let memory = unsafe { std::alloc::alloc_zeroed(layout) }.cast::<T>();
    if memory.is_null() {
        return Err(Error::OutOfMemory { bytes });
    }
    debug_assert!(memory.is_aligned());
    // SAFETY: `memory` is from the global allocator with the layout of so many, which are all zero,
    // and that is a value of `T`.
    #[expect(clippy::same_length_and_capacity, reason = "no room was asked for beyond them")]
    Ok(unsafe { Vec::from_raw_parts(memory, count, count) })
}

/// An empty vector with room for so many.
///
/// # Errors
///
/// [`Error::OutOfMemory`] if it cannot be had.
pub fn with_room<T>(count: usize) -> Result<Vec<T>> {
    let mut out = Vec::new();
    match out.try_reserve_exact(count) {
        Ok(()) => Ok(out),
        Err(_) => Err(Error::OutOfMemory { bytes: count.saturating_mul(size_of::<T>()) }),
    }
}

/// Whether so much could be had just now: it is asked for and given back untouched.
///
/// # Errors
///
/// [`Error::OutOfMemory`] if it cannot be had.
pub fn require(bytes: usize) -> Result<()> {
    with_room::<u8>(bytes).map(|room| drop(std::hint::black_box(room)))
}

/// Height, width and channels of an image.
type Size = (usize, usize, usize);

/// What operations take beside what they are given, in bytes: about what they take of a photograph.
/// What depends on more than sizes (equations on a mask with many holes) may take several times as
/// much, and says so when it gets there.
pub mod takes {
    use super::Size;

    /// Networks and equations are solved in parts; so much is enough for those of a photograph.
    const PARTS: usize = 64 << 20;

    fn pixels((height, width, _): Size) -> usize {
        height.saturating_mul(width)
    }

    fn linear(size: Size, per_pixel: usize, per_value: usize) -> usize {
        let each = per_pixel.saturating_add(size.2.saturating_mul(per_value));
        pixels(size).saturating_mul(each)
    }

    /// Filling an image by an equation.
    pub fn equation(size: Size) -> usize {
        linear(size, 2, 0).saturating_add(linear(size, 32, 0).min(PARTS))
    }

    /// Filling an image by the network.
    pub fn network(size: Size) -> usize {
        equation(size)
            .saturating_add(linear(size, 5, 0))
            .saturating_add(linear(size, 256, 0).min(PARTS))
    }

    /// Filling an image with what is found elsewhere in it.
    pub fn exemplar(size: Size) -> usize {
        equation(size).saturating_add(linear(size, 40, 0))
    }

    /// The variance of errors, or distances.
    pub fn variance(size: Size) -> usize {
        linear(size, 5, 0)
    }

    /// The autonomous loop, beside what predicts.
    pub fn autonomous(size: Size) -> usize {
        network(size).saturating_add(linear(size, 32, 16))
    }

    /// Measurements of windows.
    pub fn measurements(size: Size) -> usize {
        linear(size, 60, 20)
    }

    /// Squared distances.
    pub fn distances(size: Size) -> usize {
        linear(size, 8, 0)
    }

    /// Noise of the whole, and of segments if there are any.
    pub fn noise(size: Size) -> usize {
        linear(size, 16, 16)
    }

    /// A partition into so many segments.
    pub fn segments(size: Size, count: usize) -> usize {
        linear(size, 28, 0).saturating_add(count.min(pixels(size)).saturating_mul(170))
    }

    /// A decision model with so many states, pairs of state and action, and transitions.
    pub fn model(states: usize, pairs: usize, transitions: usize) -> usize {
        total([(states, 8), (pairs, 32), (transitions, 12)])
    }

    /// Solving it.
    pub fn solution(states: usize, pairs: usize, transitions: usize) -> usize {
        total([(states, 120), (pairs, 80), (transitions, 24)])
    }

    /// A number for each of so many.
    pub fn values(count: usize) -> usize {
        count.saturating_mul(8)
    }

    /// Solving it for so many steps.
    pub fn horizon(states: usize, steps: usize) -> usize {
        steps.saturating_add(1).saturating_mul(states).saturating_mul(32)
    }

    fn total(parts: [(usize, usize); 3]) -> usize {
        let bytes = parts.map(|(count, each)| count.saturating_mul(each));
        bytes.into_iter().fold(0, usize::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_values_of_their_own_or_an_error_with_the_bytes() {
        assert!(zeroed::<f64>(0).unwrap().is_empty());
        let mut made = zeroed::<f32>(1000).unwrap();
        assert!(made.iter().all(|&value| value == 0.0));
        made.push(1.0);
        assert_eq!((made.len(), made[1000]), (1001, 1.0));
        assert!(
            matches!(zeroed::<u32>(1 << 61), Err(Error::OutOfMemory { bytes }) if bytes == 1 << 63)
        );
        assert!(matches!(zeroed::<u8>(usize::MAX), Err(Error::OutOfMemory { .. })));
    }
}
