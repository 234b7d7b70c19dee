//! Seeded ranks that both backends share: a counter-based generator, not a stream.
//!
//! `SplitMix64` (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014)
//! as a hash of (seed, stream, index): every item gets its number without the others being drawn.

/// Which patches are shown at the start.
pub const STREAM_INITIAL: u64 = 1;
/// Which of equally good patches comes first.
pub const STREAM_TIES: u64 = 2;
/// Which patches `exemplar` tries; 3 is for masks, which are made in Python.
pub const STREAM_EXEMPLAR: u64 = 4;

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// What the numbers of a stream start from.
pub fn key(seed: u64, stream: u64) -> u64 {
    mix(seed.wrapping_add(GOLDEN.wrapping_mul(stream)))
}

/// Number `index` of the stream that starts from `key`.
#[inline(always)]
pub fn number(key: u64, index: u64) -> u64 {
    mix(key.wrapping_add(GOLDEN.wrapping_mul(index + 1)))
}

/// One 64-bit number for each of `count` items; equal ones are ordered by index.
#[must_use]
pub fn random_ranks(seed: u64, stream: u64, count: usize) -> Vec<u64> {
    let start = key(seed, stream);
    (0..count as u64).map(|index| number(start, index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published test vector of `SplitMix64` with seed 1234567: our hash with stream 0 must walk
    /// through it from the mixed seed.
    #[test]
    fn follows_the_published_generator() {
        let first = mix(1_234_567_u64.wrapping_add(GOLDEN));
        assert_eq!(first, 6_457_827_717_110_365_317);
        let start = mix(7);
        assert_eq!(
            random_ranks(7, 0, 2),
            [mix(start.wrapping_add(GOLDEN)), mix(start.wrapping_add(GOLDEN.wrapping_mul(2)))]
        );
    }

    #[test]
    fn streams_and_seeds_differ() {
        let one = random_ranks(0, STREAM_INITIAL, 100);
        assert_ne!(one, random_ranks(0, STREAM_TIES, 100));
        assert_ne!(one, random_ranks(1, STREAM_INITIAL, 100));
        assert_eq!(one[..50], random_ranks(0, STREAM_INITIAL, 50));
    }
}
