//! What fuzzing found, and what it began with, again and again; see `fuzz/`.

use std::fs;
use std::path::Path;

mod random_network;
mod random_noise_model;
#[path = "../fuzz/src/targets.rs"]
mod targets;

/// So many cases that depend on nothing but their number, beside the files.
const DRAWN: u64 = 60;

fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        target(&fs::read(&file).expect("it can be read"));
    }
    for number in 0..DRAWN {
        let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let bytes: Vec<u8> = (0..64 << (number % 8))
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        target(&bytes);
    }
}

#[test]
fn arrays() {
    replay("arrays", targets::arrays);
}

#[test]
fn masks() {
    replay("masks", targets::masks);
}

#[test]
fn models() {
    replay("models", targets::models);
}

#[test]
fn weights() {
    replay("weights", targets::weights);
}
