//! What is done with bytes that nobody has looked at; see `fuzz_targets/` and `tests/corpus.rs`.

#[path = "../../tests/random_network/mod.rs"]
mod random_network;
#[path = "../../tests/random_noise_model/mod.rs"]
mod random_noise_model;
pub mod targets;
