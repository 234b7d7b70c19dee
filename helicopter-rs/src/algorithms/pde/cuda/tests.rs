//! The device against the CPU's solvers, which have tests of their own.

use ndarray::{s, Array2, Array3};

use super::{hidden_window, solve, solve_on, Window};
use crate::algorithms::pde::{self, Kind};
use crate::error::Error;
use crate::host::NoHost;
use crate::utils::cuda_bindings::tests::gpu;

fn random(index: usize) -> f32 {
    let mixed = (index as u32).wrapping_mul(0x9E37_79B9) ^ 0x5bd1_e995;
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B);
    (mixed >> 8) as f32 / (1 << 24) as f32
}

/// A smooth picture with some grain, whose hidden pixels hold what must not matter.
fn image(mask: &Array2<bool>, channels: usize) -> Array3<f32> {
    let (height, width) = mask.dim();
    Array3::from_shape_fn((height, width, channels), |(y, x, c)| {
        if mask[[y, x]] {
            return f32::NAN;
        }
        let wave = ((y as f32 * 0.11).sin() + (x as f32 * 0.07 + c as f32).cos()) * 0.2;
        (0.5 + wave + 0.1 * random((y * width + x) * channels + c)).clamp(0.0, 1.0)
    })
}

fn masks() -> Vec<(&'static str, Array2<bool>)> {
    let holes = |height, width| {
        Array2::from_shape_fn((height, width), |(y, x)| {
            (8..30).contains(&y) && (5..40).contains(&x)
                || y > 40 && x > 33
                || y < 4 && x % 9 < 5
                || random(y * width + x) < 0.05
        })
    };
    let mut but_one = Array2::from_elem((49, 61), true);
    but_one[[20, 7]] = false;
    let mut all_borders = Array2::from_elem((48, 64), true);
    all_borders.slice_mut(s![10..12, 5..60]).fill(false);
    let mut one = Array2::from_elem((48, 48), false);
    one[[47, 0]] = true;
    let grain = Array2::from_shape_fn((64, 51), |(y, x)| random(y * 51 + x + 9) < 0.6);
    let columns = Array2::from_shape_fn((3, 100), |(_, x)| x % 10 != 0);
    vec![
        ("holes", holes(57, 63)),
        ("grain", grain),
        ("all but one", but_one),
        ("all borders", all_borders),
        ("one", one),
        ("flat", columns),
        ("a line", Array2::from_shape_fn((1, 70), |(_, x)| x > 2 && x != 40)),
        ("nothing", Array2::from_elem((48, 50), false)),
    ]
}

/// The stated tiers: see `helicopter/testing/tiers.py`.
fn tier(kind: Kind) -> f32 {
    match kind {
        Kind::Harmonic => 1e-6,
        Kind::Biharmonic => 1e-5,
    }
}

#[test]
fn the_equations_are_solved_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for kind in [Kind::Harmonic, Kind::Biharmonic] {
        for (name, mask) in masks() {
            for channels in [1, 3] {
                let mut expected = image(&mask, channels);
                let mut got = expected.clone();
                pde::solve(expected.view_mut(), mask.view(), kind, &NoHost).unwrap();
                solve(&gpu, got.view_mut(), mask.view(), kind, &NoHost).unwrap();
                let worst = expected.iter().zip(&got).fold(0.0, |worst: f32, (a, b)| {
                    let apart = (a - b).abs();
                    if apart.is_nan() {
                        f32::INFINITY
                    } else {
                        worst.max(apart)
                    }
                });
                eprintln!("{kind:?} {name} {channels}: {worst:e}");
                assert!(worst <= tier(kind), "{kind:?}, {name}, {channels} channels: {worst:e}");
            }
        }
    }
}

#[test]
fn a_large_hole_with_many_levels() {
    let Some(gpu) = gpu() else { return };
    let mask = Array2::from_shape_fn((150, 141), |(y, x)| {
        let (v, u) = (y as f32 - 70.0, x as f32 - 80.0);
        v * v + u * u < 62.0 * 62.0 && (v.abs() + u.abs()) > 3.0
    });
    for kind in [Kind::Harmonic, Kind::Biharmonic] {
        let mut expected = image(&mask, 1);
        let (mut got, mut again) = (expected.clone(), expected.clone());
        pde::solve(expected.view_mut(), mask.view(), kind, &NoHost).unwrap();
        solve(&gpu, got.view_mut(), mask.view(), kind, &NoHost).unwrap();
        let worst = expected.iter().zip(&got).fold(0.0, |w: f32, (a, b)| w.max((a - b).abs()));
        eprintln!("{kind:?}: {worst:e}");
        assert!(worst <= tier(kind), "{kind:?}: {worst:e}");
        solve(&gpu, again.view_mut(), mask.view(), kind, &NoHost).unwrap();
        assert_eq!(got, again, "the same from run to run");
    }
}

#[test]
fn images_of_a_batch_are_solved_where_they_lie() {
    let Some(gpu) = gpu() else { return };
    let mask = Array2::from_shape_fn((48, 52), |(y, x)| (y / 6 + x / 7) % 3 == 0);
    let one = image(&mask, 3).mapv(|value| if value.is_nan() { 0.0 } else { value });
    let mut expected = one.clone();
    solve(&gpu, expected.view_mut(), mask.view(), Kind::Harmonic, &NoHost).unwrap();
    let pixels = one.as_slice().unwrap();
    let hidden: Vec<u8> = mask.iter().map(|&hidden| u8::from(hidden)).collect();
    let images = gpu.upload(&[pixels, pixels].concat()).unwrap();
    let masks = gpu.upload(&[&hidden[..], &hidden].concat()).unwrap();
    let (from, from_mask) = ((&images, pixels.len()), (&masks, hidden.len()));
    solve_on(&gpu, from, from_mask, (48, 52, 3), Kind::Harmonic, &NoHost).unwrap();
    let got = images.download().unwrap();
    assert_eq!(&got[..pixels.len()], pixels);
    assert_eq!(&got[pixels.len()..], expected.as_slice().unwrap());
}

#[test]
fn the_window_is_what_is_hidden() {
    let Some(gpu) = gpu() else { return };
    let mut hidden = vec![0_u8; 30 * 300];
    let mask = gpu.upload(&hidden).unwrap();
    assert_eq!(hidden_window(&gpu, &mask, 0, (30, 300)).unwrap(), None);
    hidden[7 * 300 + 290] = 1;
    hidden[20 * 300 + 4] = 1;
    let mask = gpu.upload(&hidden).unwrap();
    let window = Window { top: 7, left: 4, height: 14, width: 287 };
    assert_eq!(hidden_window(&gpu, &mask, 0, (30, 300)).unwrap(), Some(window));
    let all = gpu.upload(&[1_u8; 12]).unwrap();
    let error = hidden_window(&gpu, &all, 0, (3, 4)).unwrap_err();
    assert!(matches!(error, Error::Argument { argument: "mask", .. }), "{error}");
}
