//! What several parts of the crate need, whatever they do with it.

pub mod cuda_bindings;
pub mod ranking;
pub(crate) mod simd;
pub mod tensor_ops;
