//! The engines that analyse: noise, what is unlike the rest, and whether the evidence is
//! enough; and what decides.

pub mod anomaly_map;
pub mod hatata;
pub mod hatata_mdp;
pub mod mdp;
pub mod noise;
pub mod zengeza_detector;
