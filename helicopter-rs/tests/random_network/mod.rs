//! Files of weights with a network of random weights in them, for tests and benchmarks.

use std::collections::{BTreeMap, HashMap};

use half::f16;
use safetensors::tensor::TensorView;
use safetensors::Dtype;
use sha2::{Digest, Sha256};

/// Sizes of a network, as in `helicopter/training/_network.py`.
#[derive(Clone, Debug)]
pub struct Architecture {
    pub widths: Vec<usize>,
    pub down: Vec<usize>,
    pub up: Vec<usize>,
    pub scale_width: usize,
}

impl Architecture {
    /// The one that Helicopter comes with.
    #[allow(dead_code, reason = "not all that include this file need it")]
    pub fn shipped() -> Self {
        Self {
            widths: vec![48, 64, 112, 160],
            down: vec![1, 2, 2, 2],
            up: vec![2, 1, 1],
            scale_width: 32,
        }
    }

    /// A small one, of odd sizes.
    #[allow(dead_code, reason = "not all that include this file need it")]
    pub fn small() -> Self {
        Self { widths: vec![10, 19, 33], down: vec![1, 0, 1], up: vec![1, 1], scale_width: 5 }
    }
}

/// Name, shape and values of every tensor.
pub type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<f32>)>;

/// A number between -1 and 1 for every index.
fn random(seed: u64, index: usize) -> f32 {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(index as u64 + 1);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
}

/// The tensors of a network with random weights.
pub fn tensors(architecture: &Architecture, seed: u64) -> Tensors {
    let mut out = Tensors::new();
    let mut filter = |name: &str, outputs: usize, inputs: usize, side: usize, gain: f32| {
        let seed = seed.wrapping_mul(1009).wrapping_add(out.len() as u64);
        let scale = gain * (3.0 / (inputs * side * side) as f32).sqrt();
        let count = outputs * inputs * side * side;
        // what half precision can hold, so that nothing is lost in the file
        let round = |value: f32| f16::from_f32(value).to_f32();
        let weights = (0..count).map(|i| round(scale * random(seed, i))).collect();
        let bias = (0..outputs).map(|i| round(0.1 * gain * random(!seed, i))).collect();
        out.insert(
            format!("{name}.weight"),
            (Dtype::F16, vec![outputs, inputs, side, side], weights),
        );
        out.insert(format!("{name}.bias"), (Dtype::F16, vec![outputs], bias));
    };
    let widths = &architecture.widths;
    filter("enter", widths[0], 20, 3, 1.0);
    for (way, counts) in [("down", &architecture.down), ("up", &architecture.up)] {
        for (level, &count) in counts.iter().enumerate() {
            for block in 0..count {
                let width = widths[level];
                filter(&format!("{way}.{level}.{block}.first"), width, width, 3, 1.0);
                filter(&format!("{way}.{level}.{block}.second"), width, width, 3, 0.5);
            }
        }
    }
    for (level, pair) in widths.windows(2).enumerate() {
        filter(&format!("shrink.{level}"), pair[1], pair[0], 2, 1.0);
        filter(&format!("grow.{level}"), 4 * pair[0], pair[1], 1, 0.7);
    }
    filter("mean", 12, widths[0], 3, 0.1);
    filter("scale_first", architecture.scale_width, widths[0], 3, 1.0);
    filter("scale_second", 4, architecture.scale_width, 1, 1.0);
    let knots = |values: [f32; 4]| (Dtype::F32, vec![4], values.to_vec());
    out.insert("calibration.log_scale".into(), knots([-2.0, -0.5, 0.25, 1.5]));
    out.insert("calibration.log_sigma".into(), knots([-4.0, -3.0, -2.5, -1.0]));
    out.insert("calibration.confidence".into(), knots([0.9, 0.8, 0.5, 0.1]));
    out
}

/// The file with these tensors, which says of itself what it is told to, or the truth.
pub fn file_of(tensors: &Tensors, format: &str, sha256: Option<&str>) -> Vec<u8> {
    let bytes: BTreeMap<&String, Vec<u8>> = tensors
        .iter()
        .map(|(name, (dtype, _, values))| {
            let bytes = values.iter().flat_map(|&value| match dtype {
                Dtype::F16 => f16::from_f32(value).to_le_bytes().to_vec(),
                _ => value.to_le_bytes().to_vec(),
            });
            (name, bytes.collect())
        })
        .collect();
    let mut digest = Sha256::new();
    for (name, (dtype, shape, _)) in tensors {
        let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
        digest.update(format!("{name} {dtype:?} {}\n", shape.join(",")));
        digest.update(&bytes[name]);
    }
    let nibbles = digest.finalize().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digest: String = nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect();
    let metadata = HashMap::from([
        ("format".to_owned(), format.to_owned()),
        ("sha256".to_owned(), sha256.map_or(digest, str::to_owned)),
    ]);
    let views = tensors.iter().map(|(name, (dtype, shape, _))| {
        let view = TensorView::new(*dtype, shape.clone(), &bytes[name]);
        (name, view.expect("shape and bytes fit together"))
    });
    safetensors::serialize(views, Some(metadata)).expect("sound tensors")
}

/// A sound file.
pub fn file(architecture: &Architecture, seed: u64) -> Vec<u8> {
    file_of(&tensors(architecture, seed), "helicopter-network-1", None)
}
