//! Tests of what is found and what is left alone.

use ndarray::{Array2, Array3};

use super::{find_impulses, repair, Impulses};
use crate::host::NoHost;
use crate::par;

/// Numbers in [0, 1) that look random.
fn random(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32
    }
}

/// A smooth image with a little noise, hit with the given density; where it was hit.
fn scene(channels: usize, density: f32, black_or_white: bool) -> (Array3<f32>, Array2<bool>) {
    let mut random = random(7);
    let mut pixels = Array3::from_shape_fn((200, 300, channels), |(y, x, c)| {
        let wave = (0.05 * x as f32 + c as f32).sin() * (0.03 * y as f32).cos();
        ((0.5 + 0.3 * wave + 0.02 * (random() - 0.5)) * 255.0).round() / 255.0
    });
    let hit = Array2::from_shape_fn((200, 300), |(y, x)| {
        let value =
            if black_or_white { random().round() } else { (random() * 256.0).floor() / 255.0 };
        let hit = random() < density;
        if hit {
            pixels.slice_mut(ndarray::s![y, x, ..]).fill(value);
        }
        hit
    });
    (pixels, hit)
}

fn find(pixels: &Array3<f32>, threads: usize) -> Impulses {
    let (height, width, _) = pixels.dim();
    let included = Array2::from_elem((height, width), true);
    par::install(Some(threads), || find_impulses(pixels.view(), included.view(), &NoHost))
        .expect("threads can be had")
        .expect("nobody cancels")
}

#[test]
fn densities_are_those_of_the_hits() {
    for channels in [1, 3] {
        for black_or_white in [false, true] {
            let (pixels, hit) = scene(channels, 0.1, black_or_white);
            let share = hit.iter().filter(|&&hit| hit).count() as f64 / hit.len() as f64;
            let found = find(&pixels, 1);
            let (right, other) = if black_or_white {
                (found.salt_pepper_density, found.impulse_density)
            } else {
                (found.impulse_density, found.salt_pepper_density)
            };
            assert!((right / share - 1.0).abs() < 0.05, "{right} instead of {share}");
            assert!(other == 0.0);
            let seen = found.mask.iter().zip(&hit).filter(|(&mask, &hit)| mask && hit).count();
            assert!(seen as f64 > 0.75 * share * hit.len() as f64);
        }
    }
}

#[test]
fn nothing_is_found_where_nothing_is() {
    for channels in [1, 3] {
        let found = find(&scene(channels, 0.0, true).0, 1);
        assert!(found.salt_pepper_density == 0.0 && found.impulse_density == 0.0);
        assert!(!found.mask.iter().any(|&mask| mask));
    }
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let (pixels, _) = scene(3, 0.2, false);
    assert_eq!(find(&pixels, 1), find(&pixels, 3));
}

#[test]
fn small_images_are_no_problem() {
    for (height, width) in [(1, 1), (1, 7), (2, 9), (3, 3), (3, 18), (18, 3), (5, 33)] {
        let mut random = random(3);
        let found = find(&Array3::from_shape_fn((height, width, 3), |_| random()), 1);
        assert_eq!(found.mask.dim(), (height, width));
        assert!(found.features.iter().all(|feature| feature.is_finite()));
    }
}

#[test]
fn excluded_pixels_have_no_influence() {
    let (pixels, _) = scene(1, 0.05, false);
    let mut random = random(5);
    let included = Array2::from_shape_fn((200, 300), |(y, _)| y > 30 && random() < 0.97);
    let find = |pixels: &Array3<f32>| {
        par::install(Some(1), || find_impulses(pixels.view(), included.view(), &NoHost))
            .expect("threads can be had")
            .expect("nobody cancels")
    };
    let mut other = pixels.clone();
    for ((y, x), _) in included.indexed_iter().filter(|(_, &included)| !included) {
        other[[y, x, 0]] = f32::NAN;
    }
    assert_eq!(find(&pixels), find(&other));
    assert!(find(&pixels).impulse_density > 0.04);
}

#[test]
fn repair_replaces_hits_by_neighbours() {
    let (pixels, hit) = scene(3, 0.3, true);
    let fixed = repair(pixels.view(), hit.view(), None, &NoHost).expect("nobody cancels");
    for ((y, x), &hit) in hit.indexed_iter() {
        let pixel = fixed.slice(ndarray::s![y, x, ..]);
        if hit {
            assert!(pixel.iter().all(|&value| value > 0.1 && value < 0.9));
        } else {
            assert_eq!(pixel, pixels.slice(ndarray::s![y, x, ..]));
        }
    }
}
