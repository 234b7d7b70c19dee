//! Segmentation as a Rust caller sees it: how many, in one piece, in order, always the same.

use std::sync::atomic::{AtomicUsize, Ordering};

use helicopter_rs::error::Error;
use helicopter_rs::host::{Host, NoHost};
use helicopter_rs::par;
use helicopter_rs::segmentation::{segment, Options};
use ndarray::{Array3, ShapeBuilder};
use proptest::prelude::*;

/// The presets of `helicopter.core.segments._partition`, by number.
fn preset(number: usize, count: usize) -> Options {
    let (least_area, spatial, spatial_borders, border, passes) =
        [(150, 0.003, 0.0, 0.0, (1, 3)), (38, 0.003, 0.0, 0.0, (0, 1)), (8, 1.0, 0.1, 0.2, (2, 4))]
            [number];
    Options { count, least_area, spatial, spatial_borders, border, passes }
}

/// Blobs and noise of so many levels; few of them make many equal costs.
fn scene(height: usize, width: usize, channels: usize, levels: u32, seed: u32) -> Array3<u8> {
    Array3::from_shape_fn((height, width, channels), |(y, x, c)| {
        let mut mixed = (y * 7919 + x * 104_729 + c * 31) as u32 ^ seed.wrapping_mul(0x9E37_79B9);
        mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B);
        mixed ^= mixed >> 13;
        let blob = ((y / 9 * 5 + x / 13 * 3 + c) as u32 ^ seed) % 7 * 30;
        ((blob + mixed % 60) * levels / 240 * 255 / levels) as u8
    })
}

fn labels_of(image: &Array3<u8>, options: &Options, threads: usize) -> Vec<u32> {
    par::install(Some(threads), || segment(&image.view(), options, &NoHost)).unwrap().unwrap()
}

/// Fails unless there are `count` labels, numbered by first pixel, each in one piece.
fn assert_partition(labels: &[u32], (height, width): (usize, usize), count: usize) {
    assert_eq!(labels.len(), height * width);
    let mut reached = vec![false; labels.len()];
    let mut pieces = 0;
    for first in 0..labels.len() {
        if reached[first] {
            continue;
        }
        // a pixel that no flood has reached begins the next label, and its flood reaches all of it
        assert_eq!(labels[first], pieces, "at {first}");
        pieces += 1;
        reached[first] = true;
        let mut open = vec![first];
        while let Some(at) = open.pop() {
            let (y, x) = (at / width, at % width);
            let beside = [
                (y > 0).then(|| at - width),
                (y + 1 < height).then(|| at + width),
                (x > 0).then(|| at - 1),
                (x + 1 < width).then(|| at + 1),
            ];
            for other in beside.into_iter().flatten() {
                if !reached[other] && labels[other] == labels[at] {
                    reached[other] = true;
                    open.push(other);
                }
            }
        }
    }
    assert_eq!(pieces as usize, count);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_image_has_exactly_so_many_connected_segments_in_order(
        (height, width) in (1_usize..90, 1_usize..90),
        channels in prop::sample::select(vec![1_usize, 3]),
        levels in prop::sample::select(vec![1_u32, 2, 5, 240]),
        number in 0_usize..3,
        share in 0.0..1.0,
        seed in any::<u32>(),
    ) {
        let image = scene(height, width, channels, levels, seed);
        let pixels = height * width;
        let count = 1 + (f64::powi(share, 3) * (pixels - 1) as f64) as usize;
        let options = preset(number, count);
        let labels = labels_of(&image, &options, 1);
        assert_partition(&labels, (height, width), count);
        for threads in [2, 3, 8] {
            prop_assert!(labels == labels_of(&image, &options, threads), "{threads} threads");
        }
        let wide = image.mapv(|value| u16::from(value) * 257);
        prop_assert!(labels == segment(&wide.view(), &options, &NoHost).unwrap());
        let real = image.mapv(|value| f32::from(value) / 255.0);
        prop_assert!(labels == segment(&real.view(), &options, &NoHost).unwrap());
    }
}

#[test]
fn from_one_segment_to_one_for_each_pixel() {
    for (height, width) in [(1, 1), (1, 70), (70, 1), (8, 8), (9, 17), (16, 31)] {
        let image = scene(height, width, 3, 240, 5);
        for number in 0..3 {
            for count in [1, height * width / 2, height * width - 1, height * width] {
                if count > 0 {
                    let labels = labels_of(&image, &preset(number, count), 2);
                    assert_partition(&labels, (height, width), count);
                }
            }
        }
    }
}

#[test]
fn ten_thousand_segments_over_several_strips_do_not_depend_on_threads() {
    let image = scene(610, 830, 3, 240, 11);
    for number in 0..3 {
        for count in [40, 10_000] {
            let options = preset(number, count);
            let labels = labels_of(&image, &options, 1);
            assert_partition(&labels, (610, 830), count);
            for threads in [2, 4, 8] {
                assert!(labels == labels_of(&image, &options, threads), "{threads} threads");
            }
        }
    }
}

#[test]
fn the_layout_in_memory_does_not_matter() {
    for channels in [1, 3] {
        let image = scene(70, 90, channels, 240, 1);
        let mut turned = Array3::zeros((70, 90, channels).f());
        turned.assign(&image);
        for number in 0..3 {
            let options = preset(number, 20);
            assert_eq!(labels_of(&image, &options, 1), labels_of(&turned, &options, 1));
        }
    }
}

#[test]
fn regions_of_one_colour_are_found_to_the_pixel() {
    let truth = |y: usize, x: usize| match (y, x) {
        (10..=45, 5..=30) => 1,
        (20..=70, 60..=99) => 2,
        _ => 0,
    };
    let image =
        Array3::from_shape_fn((80, 110, 1), |(y, x, _)| [40_u8, 90, 200][truth(y, x) as usize]);
    let expected: Vec<u32> = (0..80 * 110).map(|at| truth(at / 110, at % 110)).collect();
    assert!(labels_of(&image, &preset(0, 3), 2) == expected); // the others see less than all pixels
}

#[test]
fn what_cannot_be_divided_so_is_said() {
    let image = scene(6, 7, 3, 240, 0);
    for count in [0, 43] {
        let error = segment(&image.view(), &preset(0, count), &NoHost).unwrap_err();
        assert!(matches!(error, Error::Argument { argument: "count", .. }));
        assert_eq!(
            error.to_string(),
            format!("segment: count must be from 1 to the number of pixels, 42, got {count}")
        );
    }
    let nothing = Array3::<u8>::zeros((0, 5, 3));
    assert!(segment(&nothing.view(), &preset(0, 1), &NoHost).is_err());
}

/// A caller that has had enough after being asked so often, and knows how often it was asked.
struct Impatient {
    patience: usize,
    asked: AtomicUsize,
}

impl Impatient {
    fn after(patience: usize) -> Self {
        Self { patience, asked: AtomicUsize::new(0) }
    }
}

impl Host for Impatient {
    fn cancelled(&self) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed) >= self.patience
    }
}

#[test]
fn a_caller_who_has_had_enough_is_heard_wherever_the_work_is() {
    let image = scene(300, 400, 3, 240, 3);
    let options = preset(0, 700); // atoms, merges and borders, at two sizes
    let run = |host: &Impatient| par::install(Some(2), || segment(&image.view(), &options, host));
    let patient = Impatient::after(usize::MAX);
    run(&patient).unwrap().unwrap();
    let asked = patient.asked.into_inner();
    assert!(asked > 20, "asked {asked} times");
    for patience in (0..asked).step_by(3) {
        let result = run(&Impatient::after(patience)).unwrap();
        assert!(matches!(result, Err(Error::Cancelled)), "patience {patience} of {asked}");
    }
}
