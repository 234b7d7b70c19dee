//! `cargo bench`: the analysis of noise on a megapixel of colour and of grey.

use std::hint::black_box;

use criterion::{criterion_group, criterion_main, Criterion};
use helicopter_rs::analysis::noise::learnt::NoiseModel;
use helicopter_rs::analysis::zengeza_detector::{analyze, noise_level, Scene};
use helicopter_rs::host::NoHost;
use helicopter_rs::par;
use ndarray::{Array2, Array3};

#[path = "../tests/random_noise_model/mod.rs"]
mod random_noise_model;

const SIDE: usize = 1024;

fn noise(criterion: &mut Criterion) {
    let included = Array2::from_elem((SIDE, SIDE), true);
    let mut group = criterion.benchmark_group("noise, 1024 x 1024");
    group.sample_size(20);
    for channels in [1, 3] {
        let image = Array3::from_shape_fn((SIDE, SIDE, channels), |(y, x, c)| {
            let rough = ((y * 37 + x * 101 + c * 17) % 23) as f32 / 230.0;
            let value = 0.4 + 0.3 * (x as f32 / 90.0).sin() * (y as f32 / 130.0).cos() + rough;
            (value * 255.0).round() / 255.0
        });
        let model = NoiseModel::new(&random_noise_model::tensors(channels, 1)).expect("a model");
        let scene = Scene { pixels: image.view(), included: included.view(), quantum: 1.0 / 255.0 };
        let what = if channels == 1 { "grey" } else { "RGB" };
        for threads in [1, par::num_threads(None).expect("a sound environment")] {
            group.bench_function(format!("level, {what}/{threads}"), |bencher| {
                let call = || noise_level(scene, &model, &NoHost);
                bencher.iter(|| black_box(par::install(Some(threads), call)));
            });
            group.bench_function(format!("everything, {what}/{threads}"), |bencher| {
                let call = || analyze(scene, None, &model, &NoHost);
                bencher.iter(|| black_box(par::install(Some(threads), call)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, noise);
criterion_main!(benches);
