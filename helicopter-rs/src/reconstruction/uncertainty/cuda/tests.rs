//! The device against the CPU: the same bits.

use ndarray::{Array2, Array3};

use super::{confidence_on, ErrorLaw};
use crate::algorithms::pde::Kind;
use crate::host::NoHost;
use crate::reconstruction::online_scale::UncertaintyModel;
use crate::reconstruction::regional_engine::cuda::{CudaPredictor, CudaReconstructor};
use crate::reconstruction::regional_engine::{self, Predictor};
use crate::reconstruction::uncertainty as cpu;
use crate::utils::cuda_bindings::tests::gpu;

fn random(index: usize) -> f32 {
    let mixed = (index as u32).wrapping_mul(0x9E37_79B9) ^ 0x5bd1_e995;
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B);
    (mixed >> 8) as f32 / (1 << 24) as f32
}

fn model(rows: usize) -> UncertaintyModel {
    let weight = |i: usize| f64::from(random(i + 5)) * 0.3;
    let row = |d: usize| [weight(d) * 1e-4, weight(2 * d), weight(3 * d + 1), weight(5 * d + 2)];
    UncertaintyModel {
        variance_table: (0..rows).map(row).collect(),
        log_mae_offset: 0.0,
        log_mae_distance: 0.0,
        log_mae_spread: 1.0,
        log_mae_prior: 1.0,
    }
}

fn scenes() -> Vec<(Array3<f32>, Array2<bool>)> {
    let sizes = [(48, 48, 1), (77, 131, 3), (5, 9, 3), (150, 17, 1), (1, 1, 1)];
    let mut scenes = Vec::new();
    for (height, width, channels) in sizes {
        let image = Array3::from_shape_fn((height, width, channels), |(y, x, c)| {
            random((y * width + x) * channels + c)
        });
        let grain = Array2::from_shape_fn((height, width), |(y, x)| random(y * width + x) < 0.4);
        let hole = Array2::from_shape_fn((height, width), |(y, x)| y > 1 || x > 3);
        for mask in [grain, hole, Array2::from_elem((height, width), false)] {
            scenes.push((image.clone(), mask));
        }
        scenes.push((image, Array2::from_elem((height, width), true)));
    }
    scenes
}

#[test]
fn tables_give_the_same_bits() {
    let Some(gpu) = gpu() else { return };
    for (image, mask) in scenes() {
        let size = image.dim();
        let (image, mask) = (image.view(), mask.view());
        let distance = cpu::hidden_distance(mask, &NoHost).unwrap();
        assert_eq!(super::hidden_distance(&gpu, mask).unwrap(), distance, "{size:?}");
        let variogram = cpu::local_variogram(image, mask, &NoHost).unwrap();
        assert_eq!(super::local_variogram(&gpu, image, mask).unwrap(), variogram, "{size:?}");
        for rows in [2, 66, 128] {
            let model = model(rows);
            let variance = cpu::hidden_variance(image, mask, &model, &NoHost).unwrap();
            let got = super::hidden_variance(&gpu, image, mask, &model).unwrap();
            assert_eq!(got, variance, "{size:?}, {rows} rows");
        }
    }
    assert!(super::hidden_variance(
        &gpu,
        Array3::zeros((2, 2, 1)).view(),
        Array2::from_elem((2, 2), false).view(),
        &model(300)
    )
    .is_err());
}

#[test]
fn a_region_is_reconstructed_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let model = model(66);
    let image = Array3::from_shape_fn((60, 49, 3), |(y, x, c)| {
        0.5 + 0.3 * (y as f32 * 0.1 + c as f32).sin() + 0.1 * random(y * 49 + x)
    });
    let mask = Array2::from_shape_fn((60, 49), |(y, x)| (10..30).contains(&y) && x < 20);
    let (mut expected, mut got) = (image.clone(), image);
    let on_cpu = Predictor::Pde(Kind::Harmonic);
    let on_gpu = CudaReconstructor::new(gpu, CudaPredictor::Pde(Kind::Harmonic));
    let variance =
        regional_engine::reconstruct(expected.view_mut(), mask.view(), &on_cpu, &model, &NoHost);
    let from_gpu = on_gpu.reconstruct(got.view_mut(), mask.view(), &model, &NoHost);
    assert_eq!(from_gpu.unwrap(), variance.unwrap());
    let worst = expected.iter().zip(&got).fold(0.0, |w: f32, (a, b)| w.max((a - b).abs()));
    assert!(worst <= 1e-6, "{worst}");
}

#[test]
fn confidences_follow_the_law() {
    let Some(gpu) = gpu() else { return };
    let sigma: Vec<f32> = (0..500).map(|i| 1e-7 * 1.04_f32.powi(i)).collect();
    let hidden: Vec<u8> = (0..500).map(|i| u8::from(i % 7 != 0)).collect();
    let (knots, values) = (vec![-8.0, -4.0, -1.0], vec![0.99, 0.8, 0.1]);
    let table = |x: f64| match x {
        x if x <= -8.0 => 0.99,
        x if x <= -4.0 => 0.99 + (0.8 - 0.99) * (x + 8.0) / 4.0,
        x if x < -1.0 => 0.8 + (0.1 - 0.8) * (x + 4.0) / 3.0,
        _ => 0.1,
    };
    let on_device = (gpu.upload(&sigma).unwrap(), gpu.upload(&hidden).unwrap());
    for law in [ErrorLaw::Laplace, ErrorLaw::Table(knots, values)] {
        let got = confidence_on(&gpu, &on_device.0, &on_device.1, &law, (1e-6, 0.05)).unwrap();
        for ((&sigma, hidden), got) in sigma.iter().zip(&hidden).zip(got.download().unwrap()) {
            let sigma = f64::from(sigma.max(1e-6));
            let expected = match law {
                _ if *hidden == 0 => 1.0,
                ErrorLaw::Laplace => -(-std::f64::consts::SQRT_2 * 0.05 / sigma).exp_m1(),
                ErrorLaw::Table(..) => table(sigma.ln()),
            };
            assert!((f64::from(got) - expected).abs() < 1e-6, "{law:?} {sigma}: {got} {expected}");
        }
    }
}
