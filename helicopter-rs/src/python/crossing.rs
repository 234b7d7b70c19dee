//! The one way from Python into the core and back: [`Crossing::run`].
//!
//! ```text
//!   the thread that called                      a thread of the pool
//!   ----------------------                      --------------------
//!   run(py, work) ---------------------------->  work(&host), panics caught
//!   detached, waits 25 ms at a time                 |
//!     time over: attaches, runs signal handlers     |
//!     progress:  attaches, calls the callback  <----| host.progress(done, total), does not wait
//!     kernel:    attaches, calls the kernel    <----| host.kernel(..), waits
//!                the answer -------------------->   |
//!     done:      attaches                      <----| result
//! ```
//!
//! Python code of the user's therefore runs in the thread that called us and in no other. Whatever it
//! raises (and `KeyboardInterrupt`, which signal handlers raise) stops the work and is then raised as
//! it was.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ndarray::{Array2, Array3};
use pyo3::prelude::*;

use super::reserve::Reserve;
use super::{convert, errors};
use crate::error::{Error, Result};
use crate::host::{Host, NoHost, Prediction};
use crate::par;

/// How long the calling thread waits before it looks for signals again.
const TICK: Duration = Duration::from_millis(25);

/// One call from Python into the core.
pub struct Crossing<'a, 'py> {
    operation: &'static str,
    bytes: usize,
    threads: Option<usize>,
    progress: Option<&'a Bound<'py, PyAny>>,
    kernel: Option<&'a Bound<'py, PyAny>>,
}

impl<'a, 'py> Crossing<'a, 'py> {
    /// A crossing for the function that Python knows as `operation`.
    pub fn new(operation: &'static str) -> Self {
        Self { operation, bytes: 0, threads: None, progress: None, kernel: None }
    }

    /// How much memory the work takes, about; a call that cannot have it fails before it begins.
    #[must_use]
    pub fn takes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// How many threads the work gets; `None` is for the environment to say.
    ///
    /// # Errors
    ///
    /// `InvalidOptionError` when it is not an integer from 1 to 1024.
    pub fn threads(mut self, threads: Option<&Bound<'py, PyAny>>) -> PyResult<Self> {
        self.threads = convert::threads(self.operation, threads)?;
        Ok(self)
    }

    /// Who hears of progress: a callable that takes `(done, total)`.
    ///
    /// # Errors
    ///
    /// `InvalidOptionError` when it cannot be called.
    pub fn progress(mut self, progress: Option<&'a Bound<'py, PyAny>>) -> PyResult<Self> {
        self.progress = convert::callable(self.operation, "progress", progress)?;
        Ok(self)
    }

    /// The algorithm that the user registered: a callable `(context, mask)` that returns a
    /// prediction, or a prediction and its standard deviation.
    ///
    /// # Errors
    ///
    /// `InvalidOptionError` when it cannot be called.
    pub fn kernel(mut self, kernel: Option<&'a Bound<'py, PyAny>>) -> PyResult<Self> {
        self.kernel = convert::callable(self.operation, "kernel", kernel)?;
        Ok(self)
    }

    /// Runs `work` in a thread pool, with the interpreter released, and returns its result.
    ///
    /// # Errors
    ///
    /// What `work` failed with, as an exception of `helicopter.errors`; a panic as `InternalError`;
    /// what Python code of the user's raised, unchanged.
    pub fn run<T: Send>(
        self,
        py: Python<'py>,
        work: impl FnOnce(&dyn Host) -> Result<T> + Send,
    ) -> PyResult<T> {
        let raise = |error| errors::to_python(py, self.operation, error);
        let reserve = Reserve::hold(self.bytes).map_err(raise)?;
        let lease = par::lease(self.threads).map_err(raise)?;
        let (sender, messages) = mpsc::channel();
        let host = PythonHost {
            stop: AtomicBool::new(false),
            reserve,
            latest: self.progress.map(|_| Mutex::new(None)),
            kernel: self.kernel.is_some(),
            messages: sender.clone(),
        };
        let (result, exception) = lease.beside(
            || work(&host),
            // Nobody listens only if the calling thread is unwinding; then the result is lost anyway.
            move |result| drop(sender.send(Message::Done(result))),
            || self.serve(py, &host, messages),
        );
        match exception {
            Some(exception) => Err(exception),
            None => result.map_err(|error| raise(host.reason(error))),
        }
    }

    /// Runs `work` on the calling thread, with the interpreter released: for work that is over in less
    /// time than another thread takes to wake up. It cannot be stopped, nor tell of its progress.
    ///
    /// # Errors
    ///
    /// As [`Crossing::run`].
    pub fn run_here<T: Send>(
        self,
        py: Python<'py>,
        work: impl FnOnce(&dyn Host) -> Result<T> + Send,
    ) -> PyResult<T> {
        let raise = |error| errors::to_python(py, self.operation, error);
        let _reserve = Reserve::hold(self.bytes).map_err(raise)?;
        // Unwind safety: as in `par`; what `work` had borrowed is not looked at again.
        let guarded = || par::guarded_here(|| work(&NoHost));
        py.detach(guarded).map_err(raise)
    }

    /// Answers messages until the work is done; returns its result, and the first exception that
    /// Python code raised meanwhile.
    fn serve<T: Send>(
        &self,
        py: Python<'py>,
        host: &PythonHost<T>,
        mut messages: Receiver<Message<T>>,
    ) -> (Result<T>, Option<PyErr>) {
        let _stop_if_this_thread_unwinds = StopOnDrop(&host.stop);
        let pid = process::id();
        let mut exception = None;
        loop {
            let message;
            (messages, message) = py.detach(move || {
                let message = messages.recv_timeout(TICK);
                (messages, message)
            });
            let answered = match message {
                Ok(Message::Done(result)) => {
                    if exception.is_none() {
                        exception = self.report(py, host).and_then(|()| py.check_signals()).err();
                    }
                    return (result, exception);
                }
                // After the first exception no Python code but signal handlers is run any more.
                Ok(Message::Progress) if exception.is_none() => self.report(py, host),
                Ok(Message::Kernel(question)) if exception.is_none() => self.answer(py, question),
                Ok(Message::Progress | Message::Kernel(_)) | Err(RecvTimeoutError::Timeout) => {
                    Ok(())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    unreachable!("the work always delivers a result")
                }
            };
            if process::id() != pid {
                // A callback forked, and the child came back here. The work goes on in its parent.
                eprintln!(
                    "helicopter: a child process that was forked inside a callback of {} must end \
                     with os._exit(), and not return from the callback",
                    self.operation
                );
                process::abort();
            }
            if let Err(raised) = answered.and_then(|()| py.check_signals()) {
                host.stop.store(true, Ordering::Relaxed);
                exception.get_or_insert(raised);
            }
        }
    }

    /// Tells the callback how far the work is, if there is news.
    fn report<T>(&self, py: Python<'py>, host: &PythonHost<T>) -> PyResult<()> {
        let (Some(progress), Some(latest)) = (self.progress, &host.latest) else { return Ok(()) };
        let news = latest.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(done_total) = news {
            progress.call1(done_total)?;
        }
        let _ = py;
        Ok(())
    }

    /// Calls the kernel and sends its prediction, or its exception, to the work that waits for it.
    fn answer(&self, py: Python<'py>, question: Question) -> PyResult<()> {
        let Question { context, mask, reply } = question;
        let kernel = self.kernel.expect("only asked when there is a kernel");
        let (answer, raised) = match convert::call_kernel(kernel, context, mask) {
            Ok(prediction) => (Ok(prediction), Ok(())),
            Err(raised) => {
                let same = raised.clone_ref(py);
                (Err(Error::Kernel(Box::new(same))), Err(raised))
            }
        };
        // Work that no longer waits for the answer has failed already, and says so itself.
        let _ = reply.send(answer);
        raised
    }
}

/// What the work says to the calling thread.
enum Message<T> {
    /// There is news in [`PythonHost::latest`].
    Progress,
    Kernel(Question),
    Done(Result<T>),
}

struct Question {
    context: Array3<f32>,
    mask: Array2<bool>,
    reply: Sender<Result<Prediction>>,
}

/// The calling thread, as the work sees it.
struct PythonHost<T> {
    stop: AtomicBool,
    reserve: Reserve,
    /// The progress that has not been reported yet; `None` when nobody wants to hear of it. At most
    /// one message is on its way at any time, so a fast loop cannot drown a slow callback.
    latest: Option<Mutex<Option<(usize, usize)>>>,
    kernel: bool,
    messages: Sender<Message<T>>,
}

impl<T> PythonHost<T> {
    /// Why the work ended: work that was told to stop for want of memory does not know that.
    fn reason(&self, error: Error) -> Error {
        match error {
            Error::Cancelled => self.reserve.shortage().unwrap_or(error),
            other => other,
        }
    }
}

impl<T: Send> Host for PythonHost<T> {
    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.reserve.shortage().is_some()
    }

    fn progress(&self, done: usize, total: usize) {
        let Some(latest) = &self.latest else { return };
        let before = latest.lock().unwrap_or_else(PoisonError::into_inner).replace((done, total));
        if before.is_none() {
            // Fails only if the calling thread is gone, and then nobody wants to know.
            let _ = self.messages.send(Message::Progress);
        }
    }

    fn kernel(&self, context: Array3<f32>, mask: Array2<bool>) -> Result<Prediction> {
        if !self.kernel {
            return Err(Error::argument("kernel", "kernel", "a registered algorithm", "None"));
        }
        self.check()?;
        let (reply, answer) = mpsc::channel();
        let question = Message::Kernel(Question { context, mask, reply });
        self.messages.send(question).map_err(|_| Error::Cancelled)?;
        // A question that is dropped unanswered means that the caller wants no more.
        answer.recv().unwrap_or(Err(Error::Cancelled))
    }
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
