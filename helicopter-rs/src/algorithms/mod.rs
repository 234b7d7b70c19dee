//! What predicts hidden pixels from visible ones.

pub mod exemplar;
pub mod network;
pub mod pde;
