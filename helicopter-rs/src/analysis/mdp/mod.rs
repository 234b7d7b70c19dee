//! Markov decision processes: solved, with bounds that hold.
//!
//! * [`model`], [`compress`]: the model in compressed rows, checked once;
//! * [`exact`]: arithmetic to twice the working precision;
//! * [`sweep`], [`policy`]: Bellman's operator, of all actions and of one policy;
//! * [`linear`], [`order`]: the sparse system of one policy;
//! * [`certificate`]: from residuals to bounds that hold, rounding included;
//! * [`solver`], [`search`]: discounted and total rewards; [`horizon`]: so many steps.

pub mod certificate;
pub mod compress;
pub mod exact;
pub mod horizon;
pub mod linear;
pub mod model;
pub mod order;
pub mod policy;
mod search;
pub mod solver;
pub mod sweep;
