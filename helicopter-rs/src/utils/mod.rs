//! What several parts of the crate need, whatever they do with it.

pub mod ranking;
pub mod tensor_ops;
