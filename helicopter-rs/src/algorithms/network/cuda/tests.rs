//! The device against the CPU's network.

use ndarray::{s, Array2, Array3, Array4};

use super::CudaNetwork;
use crate::algorithms::network::tests::random_network::{file, Architecture};
use crate::algorithms::network::Network;
use crate::host::NoHost;
use crate::utils::cuda_bindings::tests::gpu;

const PREDICTION: f32 = 5e-5;
const UNCERTAINTY: f32 = 2e-3;

fn random(index: usize) -> f32 {
    let mixed = (index as u32).wrapping_mul(0x9E37_79B9) ^ 0x5bd1_e995;
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B);
    (mixed >> 8) as f32 / (1 << 24) as f32
}

fn image(height: usize, width: usize, channels: usize) -> Array3<f32> {
    Array3::from_shape_fn((height, width, channels), |(y, x, c)| {
        let wave = ((y as f32 * 0.21).sin() + (x as f32 * 0.13 + c as f32).cos()) * 0.2;
        (0.5 + wave + 0.1 * random((y * width + x) * channels + c)).clamp(0.0, 1.0)
    })
}

/// How far the two are apart, and sigma relatively.
fn apart(a: (&Array3<f32>, &Array2<f32>), b: (&Array3<f32>, &Array2<f32>)) -> (f32, f32) {
    let worse = |worst: f32, now: f32| if now.is_nan() { f32::INFINITY } else { worst.max(now) };
    let pixels = a.0.iter().zip(b.0).fold(0.0, |worst, (a, b)| worse(worst, (a - b).abs()));
    let relative =
        |a: f32, b: f32| if a.to_bits() == b.to_bits() { 0.0 } else { (a / b - 1.0).abs() };
    let sigma = a.1.iter().zip(b.1).fold(0.0, |worst, (&a, &b)| worse(worst, relative(a, b)));
    (pixels, sigma)
}

fn compare(data: &[u8], image: &Array3<f32>, mask: &Array2<bool>, most_bytes: Option<usize>) {
    let Some(gpu) = gpu() else { return };
    let network = Network::from_bytes(data).unwrap();
    let mut on_device = CudaNetwork::from_bytes(&gpu, data).unwrap();
    assert_eq!(on_device.widths(), network.widths());
    assert_eq!(on_device.radius(), network.radius());
    if let Some(most) = most_bytes {
        on_device.most_bytes = most;
    }
    let (mut expected, mut got) = (image.clone(), image.clone());
    let sigma = network.predict(expected.view_mut(), mask.view(), &NoHost).unwrap();
    let sigma_got = on_device.predict(got.view_mut(), mask.view(), &NoHost).unwrap();
    let (pixels, unsure) = apart((&expected, &sigma), (&got, &sigma_got));
    eprintln!("{:?}: {pixels:e}, sigma {unsure:e}", image.dim());
    assert!(pixels <= PREDICTION && unsure <= UNCERTAINTY, "{:?}: {pixels} {unsure}", image.dim());
    let (mut again, now) = (image.clone(), got);
    let sigma_again = on_device.predict(again.view_mut(), mask.view(), &NoHost).unwrap();
    assert_eq!((again, sigma_again), (now, sigma_got), "the same from run to run");
}

#[test]
fn small_networks_predict_as_on_the_cpu() {
    let data = file(&Architecture::small(), 3);
    for (height, width, channels) in [(48, 48, 1), (51, 67, 3), (64, 33, 3), (5, 90, 1)] {
        let image = image(height, width, channels);
        let borders = Array2::from_shape_fn((height, width), |(y, x)| {
            (y, x) != (0, 0) && (y / 6 * 7 + x / 5 * 3) % 4 == 0 || y + 3 > height
        });
        compare(&data, &image, &borders, None);
        let mut but_one = Array2::from_elem((height, width), true);
        but_one[[height / 2, width - 1]] = false;
        compare(&data, &image, &but_one, None);
        compare(&data, &image, &Array2::from_elem((height, width), false), None);
    }
}

#[test]
fn tiles_do_not_show() {
    let data = file(&Architecture::small(), 5);
    let image = image(150, 160, 1);
    let mask = Array2::from_shape_fn((150, 160), |(y, x)| (y / 4 + x / 5) % 3 == 0);
    compare(&data, &image, &mask, Some(1));
}

#[test]
fn the_shipped_network_predicts_as_on_the_cpu() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../helicopter/models/network.safetensors");
    let Ok(data) = std::fs::read(path) else {
        eprintln!("skipped: the network is not there");
        return;
    };
    let image = image(70, 61, 3);
    let mask = Array2::from_shape_fn((70, 61), |(y, x)| {
        (20..44).contains(&y) && (9..35).contains(&x) || x > 57 || random(y * 61 + x) < 0.1
    });
    compare(&data, &image, &mask, None);
}

#[test]
fn a_batch_is_as_good_as_its_images() {
    let Some(gpu) = gpu() else { return };
    let network = CudaNetwork::from_bytes(&gpu, &file(&Architecture::small(), 3)).unwrap();
    let (height, width) = (48, 53);
    let images = Array4::from_shape_fn((3, height, width, 3), |(n, y, x, c)| {
        random(((n * height + y) * width + x) * 3 + c)
    });
    let masks = Array3::from_shape_fn((3, height, width), |(n, y, x)| {
        n != 1 && (y / (4 + n) + x / 5) % 3 == n / 2
    });
    let mut together = images.clone();
    let sigma = network.predict_batch(together.view_mut(), masks.view(), &NoHost).unwrap();
    for number in 0..3 {
        let mut alone = images.slice(s![number, .., .., ..]).to_owned();
        let mask = masks.slice(s![number, .., ..]);
        let sigma_alone = network.predict(alone.view_mut(), mask, &NoHost).unwrap();
        assert_eq!(alone, together.slice(s![number, .., .., ..]));
        assert_eq!(sigma_alone, sigma.slice(s![number, .., ..]));
    }
}
