//! What can only be seen from inside: instruction sets, tiles, the arithmetic against a plain sum.

use ndarray::{Array2, Array3};
use proptest::prelude::*;

use super::kernels;
use super::line::{Line, WIDTH};
use super::product::Product;
use super::rows::{Memory, Rows, Shape};
use super::winograd::{Conv, ConvJob};
use super::Network;
use crate::host::NoHost;
use crate::utils::simd::Isa;

#[path = "../../../tests/random_network/mod.rs"]
pub(super) mod random_network;

use random_network::{file, Architecture};

/// A number between -1 and 1 for every index.
fn random(index: usize) -> f32 {
    let mixed = (index as u32).wrapping_mul(0x9E37_79B9) ^ 0x5bd1_e995;
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B);
    (mixed >> 8) as f32 / (1 << 23) as f32 - 1.0
}

fn small() -> Network {
    Network::from_bytes(&file(&Architecture::small(), 3)).unwrap()
}

fn scene(height: usize, width: usize, channels: usize, step: usize) -> (Array3<f32>, Array2<bool>) {
    let image = Array3::from_shape_fn((height, width, channels), |(y, x, c)| {
        0.5 + 0.4 * random((y * width + x) * channels + c)
    });
    let mask = Array2::from_shape_fn((height, width), |(y, x)| {
        (y, x) != (0, 0) && (y / step * 7 + x / step * 3).is_multiple_of(5)
    });
    (image, mask)
}

fn predicted(
    network: &Network,
    image: &Array3<f32>,
    mask: &Array2<bool>,
) -> (Array3<f32>, Array2<f32>) {
    let mut image = image.clone();
    let sigma = network.predict(image.view_mut(), mask.view(), &NoHost).unwrap();
    (image, sigma)
}

/// A 3 x 3 convolution of a map of random numbers, and what the plain sum in float64 says.
fn convolved(isa: Isa, shape: (usize, usize), inputs: usize, outputs: usize) -> f64 {
    let (height, width) = shape;
    let weight = |o: usize, i: usize, y: usize, x: usize| {
        random(((o * inputs + i) * 3 + y) * 3 + x + 77) / (9.0 * inputs as f32).sqrt()
    };
    let conv = Conv::new(outputs, inputs, weight, random);
    let of = |blocks| Shape { capacity: height, cols: 0..width, blocks };
    let (in_shape, out_shape) = (of(conv.in_blocks), of(conv.out_blocks));
    let value = |y: usize, x: usize, i: usize| random((y * width + x) * inputs + i + 1234);
    let memory = Memory::default();
    let worst = |memory: &mut [f32]| {
        memory.fill(f32::NAN); // what has not been written must not matter
        let (first, rest) = memory.split_at_mut(in_shape.floats());
        let (second, third) = rest.split_at_mut(out_shape.floats());
        let mut input = Rows::new(&in_shape, first);
        let mut residual = Rows::new(&out_shape, second);
        let mut output = Rows::new(&out_shape, third);
        for y in 0..height {
            for x in 0..width {
                for i in 0..conv.in_blocks * WIDTH {
                    let value = if i < inputs { value(y, x, i) } else { 0.0 };
                    // SAFETY: the pixel is one of the map's.
                    unsafe { *input.writer().pixel(y, x).add(i) = value };
                }
                for o in 0..conv.out_blocks * WIDTH {
                    // SAFETY: as above.
                    unsafe { *residual.writer().pixel(y, x).add(o) = random(y + x + o) };
                }
            }
        }
        let job = ConvJob {
            conv: &conv,
            input: &input,
            residual: Some(&residual),
            output: output.writer(),
            rows: 0..height,
            cols: 0..width,
            height,
            relu_blocks: 1,
        };
        let mut scratch = vec![Line::ZERO; conv.scratch_lines(job.tiles())];
        // SAFETY: the maps hold all rows.
        unsafe { kernels::conv(isa, &job, 0..job.tiles(), &mut scratch) };
        let mut worst = 0.0_f64;
        for (y, x, o) in itertools(height, width, outputs) {
            let mut expected = f64::from(random(o)) + f64::from(random(y + x + o));
            for (dy, dx, i) in itertools(3, 3, inputs) {
                let (v, u) = (y + dy, x + dx);
                if (1..=height).contains(&v) && (1..=width).contains(&u) {
                    let value = f64::from(value(v - 1, u - 1, i));
                    expected += f64::from(weight(o, i, dy, dx)) * value;
                }
            }
            if o < WIDTH {
                expected = expected.max(0.0);
            }
            // SAFETY: the pixel is one of the map's.
            let got = unsafe { *output.pixel(y, x).add(o) };
            let error = (f64::from(got) - expected).abs();
            worst = if error.is_nan() { f64::INFINITY } else { worst.max(error) };
        }
        worst
    };
    memory.lend(in_shape.floats() + 2 * out_shape.floats(), worst)
}

/// All triples below the limits.
fn itertools(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}

#[test]
fn convolutions_are_the_plain_sum_on_every_instruction_set() {
    for isa in Isa::available() {
        for shape in [(1, 1), (1, 9), (4, 4), (7, 5), (13, 17)] {
            for (inputs, outputs) in [(1, 1), (20, 48), (16, 16), (33, 70), (48, 112)] {
                let worst = convolved(isa, shape, inputs, outputs);
                assert!(worst < 5e-6, "{isa:?} {shape:?} {inputs} -> {outputs}: {worst}");
            }
        }
    }
}

#[test]
fn products_are_the_plain_sum_on_every_instruction_set() {
    for isa in Isa::available() {
        for (rows, depth, blocks) in (1..40).map(|n| (n, 1 + n * 7 % 31, 1 + n % 11)) {
            let a: Vec<f32> = (0..2 * rows * depth).map(random).collect();
            let count = 2 * depth * blocks * WIDTH;
            let weights: Vec<f32> = (0..count).map(|i| random(i + 99)).collect();
            let width = blocks * WIDTH;
            let bias: Vec<f32> = (0..width).map(|i| random(i + 7)).collect();
            let addend: Vec<f32> = (0..rows * width).map(|i| random(i + 5)).collect();
            let mut out = vec![f32::NAN; rows * width];
            let product = Product {
                rows,
                blocks,
                a: [a.as_ptr(), a[rows * depth..].as_ptr()],
                halves: 2,
                a_stride: depth,
                depth,
                weights: weights.as_ptr(),
                bias: bias.as_ptr(),
                addend: addend.as_ptr(),
                out: out.as_mut_ptr(),
                out_stride: width,
            };
            // SAFETY: the vectors are as long as the fields say.
            unsafe { kernels::product(isa, &product) };
            for (row, col, _) in itertools(rows, width, 1) {
                let mut expected = f64::from(bias[col]) + f64::from(addend[row * width + col]);
                for (half, k, _) in itertools(2, depth, 1) {
                    let weight = (col / WIDTH * 2 * depth + half * depth + k) * WIDTH;
                    expected += f64::from(a[(half * rows + row) * depth + k])
                        * f64::from(weights[weight + col % WIDTH]);
                }
                let error = (f64::from(out[row * width + col]) - expected).abs();
                assert!(error < 2e-5, "{isa:?}, {rows} x {depth} x {blocks}: {error}");
            }
        }
    }
}

#[test]
fn instruction_sets_agree() {
    let (image, mask) = scene(41, 53, 3, 6);
    let mut network = small();
    network.isa = Isa::Plain;
    let (expected, expected_sigma) = predicted(&network, &image, &mask);
    for isa in Isa::available() {
        network.isa = isa;
        let (got, sigma) = predicted(&network, &image, &mask);
        let worst = (&got - &expected).iter().fold(0.0_f32, |w, d| w.max(d.abs()));
        assert!(worst < 2e-6, "{isa:?}: {worst}");
        let worst = (&sigma - &expected_sigma).iter().fold(0.0_f32, |w, d| w.max(d.abs()));
        assert!(worst < 2e-6, "{isa:?}: {worst}");
    }
}

#[test]
fn parts_do_not_show() {
    let mut network = small();
    let halo = network.graph.halo();
    let (height, width) = (3 * halo + 5, 5 * halo / 2 + 3);
    let (image, mask) = scene(height, width, 3, 9);
    let whole = predicted(&network, &image, &mask);
    network.most_cols = 1; // which becomes as many as the halo
    assert!(predicted(&network, &image, &mask) == whole);
    network.most_cols = usize::MAX;

    // far apart, so that there are several parts, each with its surroundings only
    let few = Array2::from_shape_fn(mask.dim(), |(y, x)| {
        (y < 9 && x < 9 && mask[[y, x]]) || (y + 2 == height && x + 70 > width && x % 3 > 0)
    });
    // the image as it is stands for the harmonic solution
    let mut parts = (image.clone(), Array2::zeros(few.dim()));
    parts.1 = network.correct(parts.0.view_mut(), few.view(), &NoHost).unwrap();
    assert!(
        network.graph.windows(0..1, 1 << 20)[0].end * 2 <= halo,
        "more is needed than the halo"
    );
    let whole = {
        let mut image = image.clone();
        let mut sigma = Array2::zeros(few.dim());
        let (h, w, c) = image.dim();
        let everything = (0..h, 0..w);
        network
            .correct_parts(
                (image.as_slice_mut().unwrap(), few.as_slice().unwrap()),
                sigma.as_slice_mut().unwrap(),
                (h, w, c),
                &|_, _| vec![everything.clone()],
                &NoHost,
            )
            .unwrap();
        (image, sigma)
    };
    assert!(parts == whole);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape_is_cut_without_a_trace(
        (height, width) in (1_usize..120, 1_usize..300),
        channels in prop::sample::select(vec![1_usize, 3]),
        (step, most_cols) in (1_usize..40, 1_usize..300),
        depth in 1_usize..3,
    ) {
        let architecture = Architecture {
            widths: vec![5; depth],
            down: vec![1; depth],
            up: vec![1; depth - 1],
            scale_width: 17,
        };
        let mut network = Network::from_bytes(&file(&architecture, 8)).unwrap();
        let (image, mask) = scene(height, width, channels, step);
        let whole = predicted(&network, &image, &mask);
        network.most_cols = most_cols;
        let cut = predicted(&network, &image, &mask);
        prop_assert_eq!(&cut, &whole);
        for ((y, x), &hidden) in mask.indexed_iter() {
            prop_assert_eq!(hidden, whole.1[[y, x]] > 0.0);
            for c in 0..channels {
                let value = whole.0[[y, x, c]];
                prop_assert!((0.0..=1.0).contains(&value));
                prop_assert!(hidden || value.to_bits() == image[[y, x, c]].to_bits());
            }
        }
    }
}
