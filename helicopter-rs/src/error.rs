//! Every way in which the core can fail, in one enum.

use std::borrow::Cow;
use std::error::Error as StdError;

/// What the core returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation did not give its result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument that cannot be used: which, of what, what would do, and what came.
    #[error("{operation}: {argument} must be {expected}, got {got}")]
    Argument {
        /// The function that was called, by its public name.
        operation: &'static str,
        /// The argument's name, as the caller writes it.
        argument: &'static str,
        /// What is accepted, as a phrase that follows "must be".
        expected: Cow<'static, str>,
        /// What was given.
        got: String,
    },

    /// The caller asked to stop, and the work stopped before its end.
    #[error("the work was stopped before its end")]
    Cancelled,

    /// A kernel of the user's failed. Its own error, which nobody here looks into.
    #[error("{0}")]
    Kernel(#[source] Box<dyn StdError + Send + Sync>),

    /// Weights that cannot be used: what is wrong with them, and what to do.
    #[error("{operation}: {reason}")]
    Model {
        /// What was being attempted.
        operation: &'static str,
        /// What is wrong.
        reason: String,
    },

    /// The operating system did not give what was needed (threads).
    #[error("{operation}: {reason}")]
    System {
        /// What was being attempted.
        operation: &'static str,
        /// The system's reason.
        reason: String,
    },

    /// Memory that was asked for and could not be had.
    #[error("not enough memory: {bytes} bytes were asked for and could not be had")]
    OutOfMemory {
        /// How much was asked for.
        bytes: usize,
    },

    /// A GPU that cannot be used, or failed: what is missing or went wrong, and what to do.
    #[error("{0}")]
    Device(String),

    /// A fault of ours, caught at the border: the text of a panic and where it happened.
    #[error("{0}")]
    Panic(String),
}

impl Error {
    /// An [`Error::Argument`], without the ceremony.
    ///
    /// ```
    /// use helicopter_rs::error::Error;
    ///
    /// let error = Error::argument("solve_pde", "kind", "\"harmonic\" or \"biharmonic\"", "\"cubic\"");
    /// assert_eq!(
    ///     error.to_string(),
    ///     "solve_pde: kind must be \"harmonic\" or \"biharmonic\", got \"cubic\""
    /// );
    /// ```
    #[cold]
    pub fn argument(
        operation: &'static str,
        argument: &'static str,
        expected: impl Into<Cow<'static, str>>,
        got: impl Into<String>,
    ) -> Self {
        Self::Argument { operation, argument, expected: expected.into(), got: got.into() }
    }
}
