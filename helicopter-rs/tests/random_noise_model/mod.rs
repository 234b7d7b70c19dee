//! Noise models with random weights, for tests and benchmarks.

use helicopter_rs::analysis::noise::learnt::{Tensor, Tensors};

/// What is told of the blocks, and of impulses, waves and compression beside that.
const OTHERS: usize = 56;

/// A number between -1 and 1 for every index.
fn random(seed: u64, index: usize) -> f32 {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(index as u64 + 1);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
}

/// The tensors of a model for images of 1 or 3 channels, of the sizes that Helicopter comes with.
pub fn tensors(channels: usize, seed: u64) -> Tensors {
    let mut out = Tensors::new();
    let mut add = |name: String, rows: usize, columns: usize, scale: f32, offset: f32| {
        let seed = seed.wrapping_mul(1009).wrapping_add(out.len() as u64);
        let values = (0..rows * columns).map(|i| offset + scale * random(seed, i)).collect();
        out.insert(name, Tensor { shape: (rows, columns), values });
    };
    let level = if channels == 1 { 190 } else { 358 };
    let outputs = if channels == 1 { 8 } else { 11 };
    let blocks = [7 * channels + 3, 20, 20, 8];
    let networks = [
        ("blocks", blocks),
        ("level", [level, 64, 64, outputs]),
        ("kinds", [level + OTHERS, 48, 48, 13]),
    ];
    for (name, sizes) in networks {
        for (k, pair) in sizes.windows(2).enumerate() {
            let scale = (3.0 / pair[0] as f32).sqrt();
            add(format!("{name}.layer{}.weight", k + 1), pair[1], pair[0], scale, 0.0);
            // so that no block counts for nothing at all
            add(format!("{name}.layer{}.bias", k + 1), 1, pair[1], 0.1, 0.3);
        }
        if name != "blocks" {
            add(format!("{name}.direct"), sizes[3], sizes[0], 0.02, 0.0);
            add(format!("{name}.centre"), 1, sizes[0], 1.0, 0.0);
            add(format!("{name}.spread"), 1, sizes[0], 0.5, 2.0);
        }
    }
    add("map_shrink".into(), 1, 2, 2.0, 6.0);
    out
}
