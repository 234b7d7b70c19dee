//! The engines that analyse: noise, and whether the evidence is enough; and what decides.

pub mod hatata;
pub mod hatata_mdp;
pub mod mdp;
pub mod noise;
pub mod zengeza_detector;
