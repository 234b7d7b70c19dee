//! The one door to rayon. Nothing in this crate may start a thread, or use rayon's global pool.
//!
//! **Fork.** A forked child inherits memory, but of all threads only the one that forked. A pool that
//! was built by the parent is then a shell without workers, and whoever gives it work waits for ever.
//! So pools belong to a process: all of them hang on one [`State`] that carries the id of the process
//! which made it. A child finds another id than its own, leaves that state alone (leaks it: to drop a
//! pool is to talk to its threads) and begins a new one. The state hangs on an atomic pointer and not
//! in a mutex, because a mutex may be locked at the moment of the fork and would stay so in the child.
//!
//! **One call, one pool.** [`lease`] hands out a pool for the caller's use alone and takes it back
//! afterwards, so calls from several threads neither wait for each other nor deadlock when a call is
//! made from inside another one's kernel. A caller in a loop gets the same warm pool every time.

use std::any::Any;
use std::cell::RefCell;
use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread;

use rayon::{Scope, ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// More threads than this are a mistake, not a machine.
pub const MAX_THREADS: usize = 1024;

/// How many threads of pools that nobody uses are kept for the next call, at least.
const MIN_IDLE_THREADS: usize = 64;

/// The number of threads that a call gets: `asked`, else `HELICOPTER_NUM_THREADS`, else
/// `RAYON_NUM_THREADS`, else what the system lets this process use.
///
/// # Errors
///
/// [`Error::Argument`] when `asked` or `HELICOPTER_NUM_THREADS` is not in `1..=1024`. What stands in
/// `RAYON_NUM_THREADS` is not ours: if it is not a positive number it is ignored, as rayon does.
pub fn num_threads(asked: Option<usize>) -> Result<usize> {
    if let Some(count) = asked {
        return in_range("threads", Some(count), &count);
    }
    if let Some(text) = env::var_os("HELICOPTER_NUM_THREADS").filter(|text| !text.is_empty()) {
        let text = text.to_string_lossy();
        let count = text.trim().parse().ok();
        return in_range("the environment variable HELICOPTER_NUM_THREADS", count, &text);
    }
    let of_rayon = env::var("RAYON_NUM_THREADS").ok().and_then(|text| text.parse().ok());
    let count = of_rayon
        .filter(|&count| count > 0)
        .or_else(|| thread::available_parallelism().ok().map(usize::from));
    Ok(count.unwrap_or(1).min(MAX_THREADS))
}

fn in_range(
    argument: &'static str,
    count: Option<usize>,
    got: &(impl std::fmt::Debug + ?Sized),
) -> Result<usize> {
    count.filter(|count| (1..=MAX_THREADS).contains(count)).ok_or_else(|| {
        Error::argument("threads", argument, "an integer from 1 to 1024", format!("{got:?}"))
    })
}

/// Runs `work` in a pool of [`num_threads`]`(threads)` threads: what Rust callers use.
///
/// ```
/// use rayon::prelude::*;
///
/// let squares: u64 = helicopter_rs::par::install(Some(2), || (0..100_u64).into_par_iter().map(|n| n * n).sum())?;
/// assert_eq!(squares, 328_350);
/// # Ok::<(), helicopter_rs::error::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Argument`] for a wrong number of threads, [`Error::System`] when they cannot be had.
pub fn install<R: Send>(threads: Option<usize>, work: impl FnOnce() -> R + Send) -> Result<R> {
    let lease = lease(threads)?;
    Ok(lease.pool().rayon.install(work))
}

/// A pool for the caller's use alone, until the lease is dropped.
///
/// # Errors
///
/// As [`install`].
pub fn lease(threads: Option<usize>) -> Result<Lease> {
    let threads = num_threads(threads)?;
    let state = State::of_process(&STATE, process::id());
    let pool = match state.take(threads) {
        Some(pool) => pool,
        None => Pool::new(threads)?,
    };
    Ok(Lease { pool: Some(pool), state })
}

/// A pool that is in use; it goes back when this is dropped.
pub struct Lease {
    pool: Option<Pool>,
    state: &'static State,
}

impl Lease {
    fn pool(&self) -> &Pool {
        self.pool.as_ref().expect("a lease has its pool until it is dropped")
    }

    /// Starts `work` on a thread of the pool and runs `wait` on this one; returns when both are done.
    /// `work` gets what it panicked with, if it did, as an [`Error::Panic`] in words.
    pub fn beside<'scope, T, W>(
        &'scope self,
        work: impl FnOnce() -> Result<T> + Send + 'scope,
        deliver: impl FnOnce(Result<T>) + Send + 'scope,
        wait: impl FnOnce() -> W,
    ) -> W {
        let pool = self.pool();
        pool.rayon.in_place_scope(|scope: &Scope<'scope>| {
            scope.spawn(move |_| deliver(pool.guarded(work)));
            wait()
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            self.state.give_back(pool);
        }
    }
}

/// Where a pool's threads leave word of a panic: the message and the place.
type Note = Arc<Mutex<Option<String>>>;

struct Pool {
    rayon: ThreadPool,
    note: Note,
}

impl Pool {
    fn new(threads: usize) -> Result<Self> {
        keep_quiet_about_our_panics();
        let note = Note::default();
        let of_threads = Arc::clone(&note);
        let rayon = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("helicopter-{index}"))
            .start_handler(move |_| NOTE.set(Some(Arc::clone(&of_threads))))
            .build()
            .map_err(|error| Error::System {
                operation: "threads",
                reason: format!("cannot start {threads} threads: {error}"),
            })?;
        Ok(Self { rayon, note })
    }

    fn guarded<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        guarded(&self.note, work)
    }
}

/// Runs `work` on this thread, which is none of a pool's; a panic becomes an [`Error::Panic`].
///
/// # Errors
///
/// Those of `work`, and a panic.
pub fn guarded_here<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    keep_quiet_about_our_panics();
    let note = Note::default();
    let before = NOTE.replace(Some(Arc::clone(&note)));
    let result = guarded(&note, work);
    NOTE.set(before);
    result
}

fn guarded<T>(note: &Note, work: impl FnOnce() -> Result<T>) -> Result<T> {
    // Unwind safety: what `work` had borrowed is not looked at again after a panic, except for
    // arrays that belong to the caller, who is told that their contents are unfinished.
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let noted = note.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(Error::Panic(noted.unwrap_or_else(|| text_of(payload.as_ref()).to_owned())))
    })
}

thread_local! {
    /// Set on the threads of our pools, and on no others.
    static NOTE: RefCell<Option<Note>> = const { RefCell::new(None) };
}

/// On threads of ours, a panic is written down for the caller instead of printed: it comes out as an
/// error. On all other threads the hook that was there before goes on.
fn keep_quiet_about_our_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let note = NOTE.try_with(|note| note.borrow().clone()).ok().flatten();
            let Some(note) = note else { return before(info) };
            let place = info.location().map(|at| format!(" (at {at})")).unwrap_or_default();
            let mut note = note.lock().unwrap_or_else(PoisonError::into_inner);
            // The first is the cause; a second one is mostly its consequence.
            note.get_or_insert_with(|| text_of(info.payload()).to_owned() + &place);
        }));
    });
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
}

/// The state of the present process, or of the one that it was forked from, or nothing yet.
static STATE: AtomicPtr<State> = AtomicPtr::new(std::ptr::null_mut());

struct State {
    pid: u32,
    idle: Mutex<Vec<Pool>>,
}

impl State {
    /// What hangs on `slot`, if it was made by process `pid`; otherwise a new one, hung there.
    fn of_process(slot: &AtomicPtr<State>, pid: u32) -> &'static Self {
        let mut seen = slot.load(Ordering::Acquire);
        loop {
            // SAFETY: the slot only ever holds null or a pointer from `Box::into_raw` below that was
            // published with `Release`, and what it points to is never freed or mutated.
            if let Some(state) = unsafe { seen.as_ref() }.filter(|state| state.pid == pid) {
                return state;
            }
            let made = Box::into_raw(Box::new(Self { pid, idle: Mutex::new(Vec::new()) }));
            match slot.compare_exchange(seen, made, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: just made by `Box::into_raw`, and from here on never freed.
                Ok(_) => return unsafe { &*made },
                Err(by_another_thread) => {
                    // SAFETY: just made by `Box::into_raw`, and nobody else has seen it.
                    drop(unsafe { Box::from_raw(made) });
                    seen = by_another_thread;
                }
            }
        }
    }

    fn take(&self, threads: usize) -> Option<Pool> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().position(|pool| pool.rayon.current_num_threads() == threads)?;
        Some(idle.swap_remove(at))
    }

    fn give_back(&self, pool: Pool) {
        if self.pid != process::id() {
            // Forked in the middle of a call: the pool's threads live in another process.
            std::mem::forget(pool);
            return;
        }
        pool.note.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = idle.iter().map(|pool| pool.rayon.current_num_threads()).sum();
        let limit = thread::available_parallelism().map_or(1, |cores| 4 * usize::from(cores));
        if kept < limit.max(MIN_IDLE_THREADS) {
            idle.push(pool);
        } else {
            drop(idle); // before the pool, whose threads take a moment to end
            drop(pool);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_keeps_its_state_and_a_forked_one_gets_a_new_one() {
        let slot = AtomicPtr::new(std::ptr::null_mut());
        let parent = State::of_process(&slot, 1);
        parent.give_back_for_test(Pool::new(2).unwrap());
        assert!(std::ptr::eq(parent, State::of_process(&slot, 1)));

        // The worst moment to fork: the lock of the parent is held, and stays so in the child.
        let _held = parent.idle.lock().unwrap();
        let child = State::of_process(&slot, 2);
        assert_eq!(child.pid, 2);
        assert!(child.take(2).is_none(), "the child must not get its parent's pool");
        assert!(std::ptr::eq(child, State::of_process(&slot, 2)));
    }

    #[test]
    fn a_pool_from_before_a_fork_is_leaked_not_kept() {
        let slot = AtomicPtr::new(std::ptr::null_mut());
        let foreign = State::of_process(&slot, process::id() ^ 1);
        foreign.give_back(Pool::new(1).unwrap());
        assert!(foreign.take(1).is_none());
    }

    #[test]
    fn pools_are_used_again_and_never_by_two_at_once() {
        let state = State::of_process(&AtomicPtr::new(std::ptr::null_mut()), process::id());
        state.give_back(Pool::new(3).unwrap());
        assert!(state.take(2).is_none());
        assert!(state.take(3).is_some());
        assert!(state.take(3).is_none());
    }

    #[test]
    fn threads_race_for_one_state() {
        let slot = AtomicPtr::new(std::ptr::null_mut());
        let seen: Vec<usize> = thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| std::ptr::from_ref(State::of_process(&slot, 7)) as usize))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(seen.iter().all(|&address| address == seen[0]));
    }

    impl State {
        fn give_back_for_test(&self, pool: Pool) {
            self.idle.lock().unwrap().push(pool);
        }
    }
}
