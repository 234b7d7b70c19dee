//! `cargo bench`: the network on a 512 x 512 colour image, a quarter of it hidden in 16-pixel blocks.

use std::hint::black_box;

use criterion::{criterion_group, criterion_main, BatchSize, Criterion};
use helicopter_rs::algorithms::network::Network;
use helicopter_rs::algorithms::pde;
use helicopter_rs::host::NoHost;
use helicopter_rs::par;
use ndarray::{Array2, Array3};

#[path = "../tests/random_network/mod.rs"]
mod random_network;

const SIDE: usize = 512;

fn predict(criterion: &mut Criterion) {
    let image = Array3::from_shape_fn((SIDE, SIDE, 3), |(y, x, c)| {
        0.5 + 0.5 * ((y as f32 / 17.0).sin() * (x as f32 / 11.0 + c as f32).cos())
    });
    // A hash, so that blocks touch here and there as they do at random.
    let hidden = |block: usize| {
        let mixed = (block as u32).wrapping_mul(0x9E37_79B9);
        (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B) >> 30 == 0
    };
    let mask = Array2::from_shape_fn((SIDE, SIDE), |(y, x)| hidden(y / 16 * (SIDE / 16) + x / 16));
    let file = random_network::file(&random_network::Architecture::shipped(), 1);
    let network = Network::from_bytes(&file).expect("a sound file");

    let mut filled = image.clone();
    pde::solve(filled.view_mut(), mask.view(), pde::Kind::Harmonic, &NoHost).expect("a solution");
    let mut group = criterion.benchmark_group("network");
    group.sample_size(20);
    for threads in [1, par::num_threads(None).expect("a sound environment")] {
        for whole in [true, false] {
            let what = if whole { "with the harmonic solution" } else { "alone" };
            group.bench_function(format!("{what}/{threads}"), |bencher| {
                let start = if whole { &image } else { &filled };
                let call = |mut image: Array3<f32>| {
                    let sigma = par::install(Some(threads), || {
                        if whole {
                            network.predict(image.view_mut(), mask.view(), &NoHost)
                        } else {
                            network.correct(image.view_mut(), mask.view(), &NoHost)
                        }
                    });
                    black_box(sigma.expect("threads").expect("a prediction"));
                    image
                };
                bencher.iter_batched(|| start.clone(), call, BatchSize::LargeInput);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, predict);
criterion_main!(benches);
