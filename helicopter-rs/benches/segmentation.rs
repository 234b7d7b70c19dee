//! `cargo bench --bench segmentation`: a megapixel of colour into 250 and 10,000 segments.

use std::hint::black_box;

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use helicopter_rs::host::NoHost;
use helicopter_rs::par;
use helicopter_rs::segmentation::{segment, Options};
use ndarray::Array3;

const SIDE: usize = 1024;

fn segmentation(criterion: &mut Criterion) {
    let image = Array3::from_shape_fn((SIDE, SIDE, 3), |(y, x, c)| {
        let rough = ((y * 37 + x * 101 + c * 17) % 23) as f32 / 230.0;
        let smooth = 0.3 * (x as f32 / 90.0).sin() * (y as f32 / (50.0 + 30.0 * c as f32)).cos();
        ((0.4 + smooth + rough) * 255.0).round() as u8
    });
    let mut group = criterion.benchmark_group("segmentation, 1024 x 1024");
    group.sample_size(20).throughput(Throughput::Elements((SIDE * SIDE) as u64));
    for count in [250, 10_000] {
        let presets = [
            ("quality", 150, 0.003, 0.0, 0.0, (1, 3)),
            ("fast", 38, 0.003, 0.0, 0.0, (0, 1)),
            ("compact", 8, 1.0, 0.1, 0.2, (2, 4)),
        ];
        for (name, least_area, spatial, spatial_borders, border, passes) in presets {
            let options = Options { count, least_area, spatial, spatial_borders, border, passes };
            for threads in [1, par::num_threads(None).expect("a sound environment")] {
                group.bench_function(format!("{name}, {count}/{threads}"), |bencher| {
                    let call = || segment(&image.view(), &options, &NoHost);
                    bencher.iter(|| black_box(par::install(Some(threads), call)));
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, segmentation);
criterion_main!(benches);
