//! Blocks are measured on a GPU as on the host, and the same is said of them.

use ndarray::{Array2, Array3};

use super::super::impulses::find_impulses;
use super::super::picture::Picture;
use super::*;
use crate::analysis::zengeza_detector;
use crate::host::NoHost;
use crate::utils::cuda_bindings::tests::gpu;
use random_noise_model::tensors;

#[path = "../../../../tests/random_noise_model/mod.rs"]
mod random_noise_model;

const QUANTUM: f64 = 1.0 / 255.0;

/// Waves, an edge and noise from a hash, in 256 steps; constant in a corner.
fn scene(height: usize, width: usize, channels: usize) -> Array3<f32> {
    Array3::from_shape_fn((height, width, channels), |(y, x, c)| {
        let mut mixed = (y * 7919 + x * 104_729 + c * 31) as u32;
        mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B);
        mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xC2B2_AE35);
        if y < 16 && x < 20 {
            return 1.0;
        }
        let noise = (mixed >> 8) as f32 / (1 << 24) as f32 - 0.5;
        let smooth = 0.2 * (y as f32 / 23.0).sin() + 0.1 * (x as f32 * 0.9).cos();
        let value = 0.5 + smooth + 0.1 * noise + if 3 * x > 2 * width { 0.1 } else { 0.0 };
        (value * 255.0).round() / 255.0
    })
}

fn some(height: usize, width: usize) -> Array2<bool> {
    Array2::from_shape_fn((height, width), |(y, x)| {
        (y * 31 + x * 17) % 97 != 3 || y < height / 2 || x < width / 2
    })
}

fn assert_same_blocks(there: &Blocks, here: &Blocks) {
    assert_eq!((there.lattice, there.stride), (here.lattice, here.stride));
    assert_eq!(there.strips.len(), here.strips.len());
    let layout = here.layout;
    let columns = here.lattice.1;
    let across = columns.next_multiple_of(LANES);
    for (there, here) in there.strips.iter().zip(&here.strips) {
        assert_eq!(there.vectors, here.vectors);
        for field in 0..layout.len() {
            if layout.planes == 1 && (layout.cross(0)..layout.cross(3)).contains(&field) {
                continue;
            }
            // what is counted is counted alike
            let exact = [layout.clipped(), layout.valid()].contains(&field);
            let rows = |strip: &Strip| -> Vec<f32> {
                let rows = strip.field(field).chunks_exact(across);
                rows.flat_map(|row| row[..columns].to_vec()).collect()
            };
            let (there, here) = (rows(there), rows(here));
            let most = here.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            for (a, b) in there.iter().zip(&here) {
                let apart = if exact { 0.0 } else { 1e-4 * b.abs() + 1e-6 * most };
                assert!((a - b).abs() <= apart, "field {field}: {a} {b}");
            }
        }
    }
}

#[test]
fn cuda_measures_blocks_as_the_host_does() {
    let Some(gpu) = gpu() else { return };
    let device = Device::new(&gpu).unwrap();
    for (height, width, channels, every) in
        [(48, 70, 3, true), (61, 53, 1, false), (77, 90, 3, false), (520, 524, 1, true)]
    {
        let pixels = scene(height, width, channels);
        let mask = some(height, width);
        let included = (!every).then_some(mask.view());
        let here = Picture::Given { pixels: pixels.view(), included, unit: 255.0 };
        let there = device.picture(pixels.view(), included, 255.0).unwrap();
        let (low, high) = (40.0, 200.0);
        let measured = [&*there, &here].map(|one| one.measure(low, high, &NoHost).unwrap());
        assert_same_blocks(&measured[0], &measured[1]);
        let (mut here, mut there) = (here.halved(), there.halved().unwrap());
        for _ in 0..2 {
            if here.dim().0 >= 8 {
                let halves: [&dyn Measure; 2] = [&*there, &here];
                let measured = halves.map(|one| one.measure(low, high, &NoHost).unwrap());
                assert_same_blocks(&measured[0], &measured[1]);
            }
            (here, there) = (here.halved(), there.halved().unwrap());
        }
    }
}

#[test]
fn cuda_says_of_the_noise_what_the_host_says() {
    let Some(gpu) = gpu() else { return };
    for channels in [1, 3] {
        let (image, included) = (scene(80, 96, channels), some(80, 96));
        let labels = Array2::from_shape_fn((80, 96), |(_, x)| (x / 50) as i32);
        let model = NoiseModel::new(&tensors(channels, 3)).unwrap();
        let scene = Scene { pixels: image.view(), included: included.view(), quantum: QUANTUM };
        let there = analyze(&gpu, scene, Some(labels.view()), &model, &NoHost).unwrap();
        let here = zengeza_detector::analyze(scene, Some(labels.view()), &model, &NoHost).unwrap();
        let runs = std::iter::once((&there.0, &here.0)).chain(there.1.iter().zip(&here.1));
        for (there, here) in runs {
            assert_eq!((there.impulses, there.quality), (here.impulses, here.quality));
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-3 * b.abs() + 1e-5;
            assert!(near(there.fine.sigma, here.fine.sigma));
            for (a, b) in there.probabilities.iter().zip(here.probabilities) {
                assert!((a - b).abs() <= 5e-3, "{a} {b}");
            }
            for (&a, &b) in there.sigma_map.iter().zip(&here.sigma_map) {
                assert!(near(f64::from(a), f64::from(b)));
            }
        }
        let level = noise_level(&gpu, scene, &model, &NoHost).unwrap();
        let again = noise_level(&gpu, scene, &model, &NoHost).unwrap();
        assert_eq!(level, again);
    }
}

#[test]
fn cuda_finds_the_impulses_of_the_host() {
    let Some(gpu) = gpu() else { return };
    let device = Device::new(&gpu).unwrap();
    let mut seen = [false; 2];
    for (channels, hit, every) in
        [(1, 0, true), (1, 29, true), (1, 31, false), (3, 23, true), (3, 37, false), (3, 0, true)]
    {
        let (height, width) = (60, 75);
        let mut image = scene(height, width, channels);
        for ((y, x, c), value) in image.indexed_iter_mut() {
            if hit > 0 && (y * 89 + x * 41) % hit == 3 && (channels == 1 || hit == 23 || c == x % 3)
            {
                *value = if hit == 31 { (y % 10) as f32 / 10.0 } else { (x % 2) as f32 };
            }
        }
        let mask =
            if every { Array2::from_elem((height, width), true) } else { some(height, width) };
        let there = device.impulses(image.view(), mask.view(), &NoHost).unwrap();
        let here = find_impulses(image.view(), mask.view(), &NoHost).unwrap();
        assert_eq!(there.mask, here.mask);
        for (a, b) in there.features.iter().zip(&here.features) {
            assert!((a - b).abs() <= 1e-5 * b.abs() + 1e-6, "{a} {b}");
        }
        assert!((there.salt_pepper_density - here.salt_pepper_density).abs() < 1e-6);
        assert!((there.impulse_density - here.impulse_density).abs() < 1e-6);
        seen[usize::from(here.mask.iter().any(|&hit| hit))] = true;
    }
    assert_eq!(seen, [true; 2]);
}
