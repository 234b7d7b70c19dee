//! A part of a map of features: some of its rows, which move on as the work does.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Mutex, TryLockError};

use super::line::{Line, WIDTH};

/// Columns of zeros before the first pixel of a row ...
const BEFORE: usize = 1;
/// ... and behind the last: as many as a tile of the convolution may reach over.
const BEHIND: usize = 4;
/// Floats of memory that are kept for the next prediction, at most.
const KEPT: usize = 16 << 20;

/// The shape of [`Rows`].
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// How many rows are kept at a time.
    pub capacity: usize,
    pub cols: Range<usize>,
    /// Blocks of channels.
    pub blocks: usize,
}

impl Shape {
    /// Floats of one row.
    fn stride(&self) -> usize {
        (self.cols.len() + BEFORE + BEHIND) * self.blocks * WIDTH
    }

    /// Floats of all rows.
    pub fn floats(&self) -> usize {
        self.stride() * (self.capacity + 1)
    }
}

/// Rows of pixels, of which the last `capacity` are kept; the channels of a pixel lie side by side. A
/// further row is all zeros, and stands for what lies above and below the image.
pub(super) struct Rows<'a> {
    place: Place,
    memory: PhantomData<&'a mut [f32]>,
}

/// Where the pixels lie.
#[derive(Clone, Copy)]
struct Place {
    base: *mut f32,
    capacity: usize,
    /// Floats from row to row.
    stride: usize,
    /// Floats from pixel to pixel.
    channels: usize,
    first_col: usize,
}

impl Place {
    /// # Safety
    /// The column is one of those that the rows have, or of the zeros beside them.
    #[inline(always)]
    unsafe fn pixel(&self, row: usize, col: usize) -> *mut f32 {
        debug_assert!(col + BEFORE >= self.first_col && self.capacity > 0);
        let at = (col + BEFORE - self.first_col) * self.channels;
        debug_assert!(at + self.channels <= self.stride);
        self.base.add(row % self.capacity * self.stride + at)
    }
}

impl<'a> Rows<'a> {
    /// Rows of which nothing is known but the zeros around them, in memory of `shape.floats()`.
    pub fn new(shape: &Shape, memory: &'a mut [f32]) -> Self {
        assert!(memory.len() == shape.floats());
        let (stride, channels) = (shape.stride(), shape.blocks * WIDTH);
        if stride > 0 {
            let (rows, zeros) = memory.split_at_mut(stride * shape.capacity);
            zeros.fill(0.0);
            for row in rows.chunks_exact_mut(stride) {
                row[..BEFORE * channels].fill(0.0);
                row[stride - BEHIND * channels..].fill(0.0);
            }
        }
        let place = Place {
            base: memory.as_mut_ptr(),
            capacity: shape.capacity,
            stride,
            channels,
            first_col: shape.cols.start,
        };
        Self { place, memory: PhantomData }
    }

    /// # Safety
    /// The row is still kept, and the column is one that the rows have.
    #[inline(always)]
    pub unsafe fn pixel(&self, row: usize, col: usize) -> *const f32 {
        self.place.pixel(row, col)
    }

    /// The pixel one above and left of (`row`, `col`) in a map of `height` rows.
    ///
    /// # Safety
    /// The row above is still kept if it lies in the image, and the column to the left is one that the
    /// rows have, or the one before the first.
    #[inline(always)]
    pub unsafe fn around(&self, row: usize, col: usize, height: usize) -> *const f32 {
        let place = &self.place;
        if row == 0 || row > height {
            return place.base.add(place.capacity * place.stride);
        }
        debug_assert!(col + BEFORE > place.first_col && place.capacity > 0);
        let at = (col + BEFORE - 1 - place.first_col) * place.channels;
        debug_assert!(at + place.channels <= place.stride);
        place.base.add((row - 1) % place.capacity * place.stride + at)
    }

    /// For writing, from several threads.
    pub fn writer(&mut self) -> RowsMut {
        RowsMut(self.place)
    }
}

// SAFETY: the rows have their memory for themselves; reading needs `unsafe` and its promises.
unsafe impl Send for Rows<'_> {}
// SAFETY: as above; nothing is written through a shared reference.
unsafe impl Sync for Rows<'_> {}

/// A way to write into [`Rows`].
#[derive(Clone, Copy)]
pub(super) struct RowsMut(Place);

impl RowsMut {
    /// # Safety
    /// The rows still exist, the column is one of theirs, and nobody else looks at the pixel.
    #[inline(always)]
    pub unsafe fn pixel(&self, row: usize, col: usize) -> *mut f32 {
        self.0.pixel(row, col)
    }
}

// SAFETY: whoever writes promises, in `pixel`, that nobody else looks.
unsafe impl Send for RowsMut {}
// SAFETY: as above.
unsafe impl Sync for RowsMut {}

/// Memory for maps that is used again: to get as much from the system anew, page by page, takes an
/// eighth of the time of a prediction. Nobody waits for it (after a fork that might be for ever).
#[derive(Default)]
pub(super) struct Memory(Mutex<Vec<Vec<f32>>>);

impl Memory {
    /// Lends `work` so many floats, of which nothing is known, at a multiple of a line.
    pub fn lend<T>(&self, floats: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
        let floats = floats + WIDTH;
        let mut memory = self.with(|kept| {
            let enough = kept.iter().position(|memory| memory.len() >= floats);
            enough.or(kept.len().checked_sub(1)).map(|index| kept.swap_remove(index))
        });
        if memory.as_ref().is_some_and(|memory| memory.len() < floats) {
            memory = None;
        }
        let mut memory = memory.unwrap_or_else(|| vec![0.0; floats]);
        let start = memory.as_ptr().align_offset(align_of::<Line>());
        let result = work(&mut memory[start..start + floats - WIDTH]);
        self.with(|kept| {
            let total: usize = kept.iter().map(Vec::len).sum();
            if total + memory.len() <= KEPT {
                kept.push(memory);
            }
            None::<()>
        });
        result
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<Vec<f32>>) -> Option<T>) -> Option<T> {
        match self.0.try_lock() {
            Ok(mut kept) => work(&mut kept),
            Err(TryLockError::Poisoned(poisoned)) => work(&mut poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
