//! The noise detector as a Rust caller sees it: sizes, threads, cancellation, segments, tensors.

use std::sync::atomic::{AtomicUsize, Ordering};

use helicopter_rs::analysis::noise::learnt::{NoiseModel, Tensor};
use helicopter_rs::analysis::zengeza_detector::{
    analyze, measurements, noise_level, NoiseRun, Scene,
};
use helicopter_rs::error::Error;
use helicopter_rs::host::{Host, NoHost};
use helicopter_rs::par;
use ndarray::{s, Array2, Array3, ShapeBuilder};

mod random_noise_model;

use random_noise_model::tensors;

const QUANTUM: f64 = 1.0 / 255.0;

fn model(channels: usize) -> NoiseModel {
    NoiseModel::new(&tensors(channels, 3)).expect("sound tensors")
}

/// Waves, an edge, noise from a hash, and here and there a pixel that is hit; in 256 steps.
fn scene(height: usize, width: usize, channels: usize) -> Array3<f32> {
    Array3::from_shape_fn((height, width, channels), |(y, x, c)| {
        let mut mixed = (y * 7919 + x * 104_729 + c * 31) as u32;
        mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B);
        mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xC2B2_AE35);
        if (y * 13 + x * 7) % 211 == 5 {
            return if mixed & 1 == 0 { 0.0 } else { 1.0 };
        }
        let noise = (mixed >> 8) as f32 / (1 << 24) as f32 - 0.5;
        let smooth = 0.2 * (y as f32 / 23.0).sin() + 0.1 * (x as f32 * 0.9).cos();
        let value = 0.5 + smooth + 0.1 * noise + if 3 * x > 2 * width { 0.1 } else { 0.0 };
        (value * 255.0).round() / 255.0
    })
}

fn some(height: usize, width: usize) -> Array2<bool> {
    Array2::from_shape_fn((height, width), |(y, x)| {
        (y, x) == (0, 0) || (y * 31 + x * 17) % 97 != 3 && (y < height / 2 || x < width / 2)
    })
}

fn labels(height: usize, width: usize) -> Array2<i32> {
    Array2::from_shape_fn((height, width), |(y, x)| (y / 40) as i32 * 10 - (x / 50) as i32)
}

/// Everything that is said, as text in which every digit counts.
fn said(threads: usize, image: &Array3<f32>, included: &Array2<bool>) -> String {
    let model = model(image.dim().2);
    let scene = Scene { pixels: image.view(), included: included.view(), quantum: QUANTUM };
    let labels = labels(image.dim().0, image.dim().1);
    let work = || {
        let runs = analyze(scene, Some(labels.view()), &model, &NoHost)?;
        let level = noise_level(scene, &model, &NoHost)?;
        Ok::<_, Error>(figures(&runs.0) + &format!("{:?} {level:?}", runs.1))
    };
    par::install(Some(threads), work).unwrap().unwrap()
}

/// `Debug` leaves out the middle of large arrays.
fn figures(run: &NoiseRun) -> String {
    let maps = (run.sigma_map.as_slice().unwrap(), run.spectrum.as_slice().unwrap());
    format!("{run:?} {maps:?}")
}

#[test]
fn every_size_has_an_answer() {
    for channels in [1, 3] {
        let model = model(channels);
        for (height, width) in [
            (1, 1),
            (1, 60),
            (7, 7),
            (8, 8),
            (8, 45),
            (33, 9),
            (16, 16),
            (17, 31),
            (64, 64),
            (70, 9),
        ] {
            let image = scene(height, width, channels);
            for included in [
                Array2::from_elem((height, width), true),
                some(height, width),
                Array2::from_elem((height, width), false),
            ] {
                let scene =
                    Scene { pixels: image.view(), included: included.view(), quantum: QUANTUM };
                let labels = labels(height, width);
                let (whole, parts) = analyze(scene, Some(labels.view()), &model, &NoHost).unwrap();
                assert_eq!(whole.sigma_map.dim(), (height, width));
                assert!(whole.sigma_map.iter().all(|sigma| sigma.is_finite() && *sigma >= 0.0));
                assert!(whole.spectrum.iter().all(|power| power.is_finite()));
                let mut numbers: Vec<i32> = labels.iter().copied().collect();
                numbers.sort_unstable();
                numbers.dedup();
                assert_eq!(parts.len(), numbers.len());
                for run in parts.iter().chain([&whole]) {
                    assert_eq!(run.fine.by_channel.len(), channels);
                    let fine = &run.fine;
                    assert!(0.0 <= fine.low && fine.low <= fine.high && fine.high.is_finite());
                    assert!(run.probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
                    assert!(run.gain.is_finite() && run.speckle.is_finite());
                    assert!(run.level_function.iter().flatten().all(|value| value.is_finite()));
                }
                assert!(parts.iter().all(|part| part.sigma_map.is_empty()));
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for channels in [1, 3] {
        let image = scene(163, 131, channels);
        for included in [Array2::from_elem((163, 131), true), some(163, 131)] {
            let one = said(1, &image, &included);
            for threads in [2, 3, 8] {
                assert!(one == said(threads, &image, &included), "{threads} threads");
            }
        }
    }
}

#[test]
fn large_images_do_not_depend_on_threads_either() {
    // blocks lie further apart: from 2^19 pixels on the rows, from 2^21 on the columns too
    for (height, width, channels) in [(760, 740, 3), (1460, 1450, 1)] {
        let image = scene(height, width, channels);
        let included = Array2::from_elem((height, width), true);
        let scene = Scene { pixels: image.view(), included: included.view(), quantum: QUANTUM };
        let model = model(channels);
        let run = |threads| {
            let work = || analyze(scene, None, &model, &NoHost);
            figures(&par::install(Some(threads), work).unwrap().unwrap().0)
        };
        assert!(run(1) == run(4));
    }
}

#[test]
fn excluded_values_and_the_layout_in_memory_do_not_matter() {
    let (image, included) = (scene(90, 77, 3), some(90, 77));
    let expected = said(1, &image, &included);
    let mut other = image.clone();
    for ((y, x), _) in included.indexed_iter().filter(|(_, &inside)| !inside) {
        other.slice_mut(s![y, x, ..]).fill(0.625);
    }
    assert!(expected == said(1, &other, &included));
    let mut turned = Array3::zeros((90, 77, 3).f());
    turned.assign(&image);
    let found = |image: &Array3<f32>| {
        let scene = Scene { pixels: image.view(), included: included.view(), quantum: QUANTUM };
        measurements(scene, &model(3), &NoHost)
    };
    assert_eq!(found(&image).unwrap(), found(&turned).unwrap());
}

#[test]
fn a_segment_is_analysed_as_if_it_were_all_there_is() {
    let image = scene(96, 110, 3);
    let everything = Array2::from_elem((96, 110), true);
    let of_first = Array2::from_shape_fn((96, 110), |(y, x)| i32::from(y >= 40 || x >= 60));
    let whole = Scene { pixels: image.view(), included: everything.view(), quantum: QUANTUM };
    let model = model(3);
    let (_, parts) = analyze(whole, Some(of_first.view()), &model, &NoHost).unwrap();
    let alone = image.slice(s![..40, ..60, ..]).as_standard_layout().into_owned();
    let inside = Array2::from_elem((40, 60), true);
    let scene = Scene { pixels: alone.view(), included: inside.view(), quantum: QUANTUM };
    let (expected, _) = analyze(scene, None, &model, &NoHost).unwrap();
    assert_eq!(parts[0].fine, expected.fine);
    assert_eq!(parts[0].probabilities.to_vec(), expected.probabilities.to_vec());
    assert_eq!(parts[0].impulses, expected.impulses);
}

#[test]
fn constant_images_have_no_noise() {
    for channels in [1, 3] {
        let image = Array3::from_elem((40, 52, channels), 0.3);
        let included = Array2::from_elem((40, 52), true);
        let scene = Scene { pixels: image.view(), included: included.view(), quantum: QUANTUM };
        let (run, _) = analyze(scene, None, &model(channels), &NoHost).unwrap();
        assert_eq!((run.fine.sigma, run.fine.low, run.fine.high), (0.0, 0.0, QUANTUM / 2.0));
        assert_eq!(run.probabilities.to_vec(), [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(run.impulses, 0);
        assert!(run.waves.is_empty());
    }
}

/// A caller that has had enough after being asked so often.
struct Impatient(AtomicUsize);

impl Host for Impatient {
    fn cancelled(&self) -> bool {
        let less = |left: usize| Some(left.saturating_sub(1));
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) == Ok(0)
    }
}

#[test]
fn a_caller_who_has_had_enough_is_heard() {
    let (image, included) = (scene(256, 256, 3), some(256, 256));
    let scene = Scene { pixels: image.view(), included: included.view(), quantum: QUANTUM };
    let labels = labels(256, 256);
    let model = model(3);
    for patience in [0, 1, 5, 20] {
        let impatient = || Impatient(AtomicUsize::new(patience));
        let work = || analyze(scene, Some(labels.view()), &model, &impatient());
        let result = par::install(Some(2), work).unwrap();
        assert!(matches!(result, Err(Error::Cancelled)), "patience {patience}");
        if patience < 5 {
            let result = noise_level(scene, &model, &impatient());
            assert!(matches!(result, Err(Error::Cancelled)), "patience {patience}");
        }
    }
}

#[test]
fn it_asks_often_enough() {
    struct Counting(AtomicUsize);
    impl Host for Counting {
        fn cancelled(&self) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed);
            false
        }
    }
    let image = scene(1024, 512, 3);
    let included = Array2::from_elem((1024, 512), true);
    let scene = Scene { pixels: image.view(), included: included.view(), quantum: QUANTUM };
    let host = Counting(AtomicUsize::new(0));
    noise_level(scene, &model(3), &host).unwrap();
    let of_level = host.0.swap(0, Ordering::Relaxed);
    analyze(scene, None, &model(3), &host).unwrap();
    let of_all = host.0.load(Ordering::Relaxed);
    // at least once for every strip of 64 rows
    assert!(of_level >= 16 && of_all >= 48, "{of_level} {of_all}");
}

#[test]
fn what_is_wrong_with_tensors_is_said() {
    for channels in [1, 3] {
        let sound = tensors(channels, 1);
        let says = |name: &str, tensor: Option<Tensor>, what: &str| {
            let mut damaged = sound.clone();
            match tensor {
                Some(tensor) => damaged.insert(name.to_owned(), tensor),
                None => damaged.remove(name),
            };
            let error = NoiseModel::new(&damaged).unwrap_err();
            assert!(matches!(error, Error::Model { operation: "NoiseModel", .. }));
            assert!(error.to_string().contains(what), "{error} does not say {what:?}");
        };
        let of =
            |rows, columns| Tensor { shape: (rows, columns), values: vec![0.5; rows * columns] };
        for name in sound.keys() {
            says(name, None, &format!("{name} is missing"));
            says(name, Some(of(0, 0)), "values that do not fit its shape");
            let short = Tensor { values: vec![0.0; 1], ..sound[name].clone() };
            says(name, Some(short), "values that do not fit its shape");
        }
        says("blocks.layer1.weight", Some(of(20, 11)), "10 or 24 inputs, not 11");
        says("blocks.layer2.weight", Some(of(20, 19)), "the blocks' layers do not fit together");
        says("blocks.layer3.weight", Some(of(8, 21)), "the blocks' layers do not fit together");
        says("blocks.layer1.bias", Some(of(1, 19)), "another number of biases");
        says("kinds.layer2.bias", Some(of(1, 49)), "another number of biases");
        says("level.spread", Some(of(1, 7)), "the shapes of level do not fit together");
        says("kinds.direct", Some(of(13, 9)), "the shapes of kinds do not fit together");
        says("map_shrink", Some(of(1, 3)), "map_shrink has not two values");
    }
}
