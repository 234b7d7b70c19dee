//! `cargo bench`: both equations on a 512 x 512 colour image, a quarter of it hidden in 16-pixel blocks.

use std::hint::black_box;

use criterion::{criterion_group, criterion_main, BatchSize, Criterion};
use helicopter_rs::algorithms::pde;
use helicopter_rs::host::NoHost;
use helicopter_rs::par;
use ndarray::{Array2, Array3};

const SIDE: usize = 512;

fn solve(criterion: &mut Criterion) {
    let image = Array3::from_shape_fn((SIDE, SIDE, 3), |(y, x, c)| {
        0.5 + 0.5 * ((y as f32 / 17.0).sin() * (x as f32 / 11.0 + c as f32).cos())
    });
    // A hash, so that blocks touch here and there as they do at random.
    let hidden = |block: usize| {
        let mixed = (block as u32).wrapping_mul(0x9E37_79B9);
        (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B) >> 30 == 0
    };
    let mask = Array2::from_shape_fn((SIDE, SIDE), |(y, x)| hidden(y / 16 * (SIDE / 16) + x / 16));

    let mut group = criterion.benchmark_group("pde");
    group.sample_size(20);
    for (name, kind) in [("harmonic", pde::Kind::Harmonic), ("biharmonic", pde::Kind::Biharmonic)] {
        for threads in [1, par::num_threads(None).expect("a sound environment")] {
            group.bench_function(format!("{name}/{threads}"), |bencher| {
                let call = |mut image: Array3<f32>| {
                    let solve = || pde::solve(image.view_mut(), mask.view(), kind, &NoHost);
                    par::install(Some(threads), solve).expect("threads").expect("a solution");
                    black_box(image)
                };
                bencher.iter_batched(|| image.clone(), call, BatchSize::LargeInput);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, solve);
criterion_main!(benches);
