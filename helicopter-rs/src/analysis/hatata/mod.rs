//! What the verifier of [`super::hatata_mdp`] stands on.

pub mod beta;
pub mod looks;
pub mod policy;
