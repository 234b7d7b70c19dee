//! A process that runs out of memory in the core goes on, with a `MemoryError`.
//!
//! Rust aborts when an allocation fails. So each call asks at the door for what it will take and
//! fails there if that cannot be had; and while it works it holds a reserve, untouched, which costs
//! addresses and no memory. When an allocation fails all the same, the reserves are given back, it is
//! tried again, and all calls are told to stop. What may be larger than a reserve is made by
//! [`crate::memory`].

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::{null_mut, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::thread;

use crate::error::{Error, Result};
use crate::memory;

/// Every reserve has at least so many bytes: what threads, their stacks and the system's allocator
/// may want beside the data. It also keeps the latter from learning from such blocks.
const LEAST: usize = 64 << 20;
/// So many calls at once have a reserve.
const CALLS: usize = 32;
/// An allocation that fails is tried again so often, as another thread may be giving back.
const TRIES: usize = 8;

static BLOCKS: [AtomicPtr<usize>; CALLS] = [const { AtomicPtr::new(null_mut()) }; CALLS];
static SIZES: [AtomicUsize; CALLS] = [const { AtomicUsize::new(0) }; CALLS];
/// How often reserves have been given back because an allocation failed, and the last of those.
static SHORTAGES: AtomicUsize = AtomicUsize::new(0);
static WANTED: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with the reserves behind it.
struct Reserved;

#[global_allocator]
static ALLOCATOR: Reserved = Reserved;

// SAFETY: all is left to the system's allocator; what is added never unwinds nor allocates.
unsafe impl GlobalAlloc for Reserved {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: what holds for us holds there.
        tried(layout.size(), || unsafe { System.alloc(layout) })
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        tried(layout.size(), || unsafe { System.alloc_zeroed(layout) })
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; what could not be moved is still where it was.
        tried(size, || unsafe { System.realloc(pointer, layout, size) })
    }
}

#[inline]
fn tried(bytes: usize, attempt: impl Fn() -> *mut u8) -> *mut u8 {
    let memory = attempt();
    if memory.is_null() {
        again(bytes, attempt)
    } else {
        memory
    }
}

#[cold]
fn again(bytes: usize, attempt: impl Fn() -> *mut u8) -> *mut u8 {
    for _ in 0..TRIES {
        // What no reserve would be enough for is refused without harm to the calls that work.
        if SIZES.iter().any(|size| size.load(Ordering::Relaxed) >= bytes) {
            WANTED.store(bytes, Ordering::Relaxed);
            let released = BLOCKS.iter().filter(|block| release(block)).count();
            SHORTAGES.fetch_add(released, Ordering::Release);
        }
        let memory = attempt();
        if !memory.is_null() {
            return memory;
        }
        thread::yield_now();
    }
    null_mut()
}

/// Gives a block back, if it is still there. It begins with its size.
fn release(block: &AtomicPtr<usize>) -> bool {
    let Some(block) = NonNull::new(block.swap(null_mut(), Ordering::AcqRel)) else { return false };
    debug_assert!(block.is_aligned());
    // SAFETY: `Reserve::hold` has allocated it so and written its size there; only who takes a block
    // out of its place gets here with it.
    unsafe {
        let layout = layout(block.read());
        System.dealloc(block.as_ptr().cast(), layout);
    }
    true
}

/// # Safety
/// The size is at most half of the addresses.
unsafe fn layout(bytes: usize) -> Layout {
    debug_assert!(Layout::from_size_align(bytes, align_of::<usize>()).is_ok());
    // SAFETY: an alignment is a power of two, and the caller promises the rest.
    unsafe { Layout::from_size_align_unchecked(bytes, align_of::<usize>()) }
}

/// The reserve of one call.
pub struct Reserve {
    slot: Option<usize>,
    shortages: usize,
}

impl Reserve {
    /// Asks for `bytes` for the work and half as much again for the reserve, which is held.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`] if that much cannot be had.
    pub fn hold(bytes: usize) -> Result<Self> {
        let reserve = LEAST.saturating_add(bytes / 2);
        let refused = || Error::OutOfMemory { bytes: bytes.saturating_add(reserve) };
        if Layout::from_size_align(reserve, align_of::<usize>()).is_err() {
            return Err(refused());
        }
        // SAFETY: the size has just been looked at, and is not zero.
        #[expect(clippy::cast_ptr_alignment, reason = "the layout asks for that of usize")]
        let block = NonNull::new(unsafe { System.alloc(layout(reserve)) }.cast::<usize>());
        let block = AtomicPtr::new(block.ok_or_else(refused)?.as_ptr());
        debug_assert!(reserve >= size_of::<usize>());
        // SAFETY: it is large enough for its own size, aligned for it, and nobody else's.
        unsafe { block.load(Ordering::Relaxed).write(reserve) };
        let shortages = SHORTAGES.load(Ordering::Acquire);
        let free = |size: &AtomicUsize| {
            size.compare_exchange(0, reserve, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if memory::require(bytes).is_err() {
            release(&block);
            return Err(refused());
        }
        let slot = SIZES.iter().position(free);
        match slot {
            Some(slot) => BLOCKS[slot].store(block.into_inner(), Ordering::Release),
            None => _ = release(&block),
        }
        Ok(Self { slot, shortages })
    }

    /// Why the work has to stop, if an allocation has failed since it began.
    pub fn shortage(&self) -> Option<Error> {
        let none = SHORTAGES.load(Ordering::Relaxed) == self.shortages;
        (!none).then(|| Error::OutOfMemory { bytes: WANTED.load(Ordering::Relaxed) })
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            release(&BLOCKS[slot]);
            SIZES[slot].store(0, Ordering::Release);
        }
    }
}
