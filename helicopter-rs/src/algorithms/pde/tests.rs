//! Every solver against an independent dense solution, and the promises of the module's interface.

use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array2, Array3};

use super::bitmap::Bitmap;
use super::components::{Component, Finder};
use super::stencil::Operator;
use super::{fill, multigrid, solve, tiles, Kind, Picture};
use crate::error::Error;
use crate::host::{Host, NoHost};

const KINDS: [Kind; 2] = [Kind::Harmonic, Kind::Biharmonic];

/// A small generator of pseudo-random numbers (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn random_image(height: usize, width: usize, channels: usize, seed: u64) -> Array3<f32> {
    let mut random = Random(seed * 2 + 1);
    Array3::from_shape_fn((height, width, channels), |_| random.next() as f32)
}

fn random_mask(height: usize, width: usize, share: f64, seed: u64) -> Array2<bool> {
    let mut random = Random(seed * 2 + 77);
    let mut mask = Array2::from_shape_fn((height, width), |_| random.next() < share);
    mask[[random.0 as usize % height, random.0 as usize / 64 % width]] = false;
    mask
}

/// The graph Laplacian as a dense matrix, built from the list of edges.
fn laplacian(height: usize, width: usize) -> Array2<f64> {
    let mut matrix = Array2::zeros((height * width, height * width));
    let mut edge = |a: usize, b: usize| {
        matrix[[a, a]] += 1.0;
        matrix[[b, b]] += 1.0;
        matrix[[a, b]] -= 1.0;
        matrix[[b, a]] -= 1.0;
    };
    for y in 0..height {
        for x in 0..width {
            if y + 1 < height {
                edge(y * width + x, (y + 1) * width + x);
            }
            if x + 1 < width {
                edge(y * width + x, y * width + x + 1);
            }
        }
    }
    matrix
}

/// Gaussian elimination with pivoting on the dense system: slow, and independent of everything tested.
fn dense_solution(image: &Array3<f32>, mask: &Array2<bool>, kind: Kind) -> Array3<f64> {
    let (height, width, channels) = image.dim();
    let laplacian = laplacian(height, width);
    let matrix = if kind == Kind::Harmonic { laplacian } else { laplacian.dot(&laplacian) };
    let hidden: Vec<usize> =
        (0..height * width).filter(|&i| mask[[i / width, i % width]]).collect();
    let n = hidden.len();
    let mut solution = image.mapv(f64::from);
    let mut rows: Vec<Vec<f64>> = hidden
        .iter()
        .map(|&p| {
            let mut row: Vec<f64> = hidden.iter().map(|&q| matrix[[p, q]]).collect();
            for channel in 0..channels {
                row.push(
                    (0..height * width)
                        .filter(|&q| !mask[[q / width, q % width]])
                        .map(|q| -matrix[[p, q]] * solution[[q / width, q % width, channel]])
                        .sum(),
                );
            }
            row
        })
        .collect();
    for i in 0..n {
        let pivot = (i..n).max_by(|&a, &b| rows[a][i].abs().total_cmp(&rows[b][i].abs())).unwrap();
        rows.swap(i, pivot);
        let source = rows[i].clone();
        for row in rows.iter_mut().skip(i + 1) {
            let factor = row[i] / source[i];
            if factor != 0.0 {
                row.iter_mut()
                    .zip(&source)
                    .skip(i)
                    .for_each(|(target, source)| *target -= factor * source);
            }
        }
    }
    for channel in 0..channels {
        let mut x = vec![0.0; n];
        for i in (0..n).rev() {
            let known: f64 = (i + 1..n).map(|j| rows[i][j] * x[j]).sum();
            x[i] = (rows[i][n + channel] - known) / rows[i][i];
            solution[[hidden[i] / width, hidden[i] % width, channel]] = x[i].clamp(0.0, 1.0);
        }
    }
    solution
}

/// Puts garbage in the hidden pixels.
fn spoil(image: &Array3<f32>, mask: &Array2<bool>, garbage: f32) -> Array3<f32> {
    let mut spoilt = image.clone();
    for ((y, x, _), value) in spoilt.indexed_iter_mut() {
        if mask[[y, x]] {
            *value = garbage;
        }
    }
    spoilt
}

fn solved(image: &Array3<f32>, mask: &Array2<bool>, kind: Kind) -> Array3<f32> {
    let mut result = spoil(image, mask, f32::NAN);
    solve(result.view_mut(), mask.view(), kind, &NoHost).unwrap();
    for ((y, x, channel), value) in result.indexed_iter() {
        assert!((0.0..=1.0).contains(value));
        assert!(mask[[y, x]] || value.to_bits() == image[[y, x, channel]].to_bits());
    }
    result
}

fn largest_difference(result: &Array3<f32>, expected: &Array3<f64>) -> f64 {
    result.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
}

fn components(mask: &Array2<bool>, kind: Kind) -> (Bitmap, Vec<Component>) {
    let hidden = Bitmap::from_mask(mask.view());
    let mut found = Vec::new();
    let mut finder = Finder::new(kind);
    for y in 0..hidden.height {
        finder.push_row(y as u32, hidden.row(y), &mut |component| found.push(component));
    }
    finder.finish(hidden.height as u32, &mut |component| found.push(component));
    (hidden, found)
}

/// Solves every component by the given solver, from hidden pixels that are NaN.
fn solved_by(
    image: &Array3<f32>,
    mask: &Array2<bool>,
    kind: Kind,
    solver: impl Fn(&mut Picture, &Bitmap, &Component),
) -> Array3<f32> {
    let (height, width, channels) = image.dim();
    let mut result = spoil(image, mask, f32::NAN);
    let (hidden, found) = components(mask, kind);
    let operator = Operator { kind, height: height as i32, width: width as i32 };
    let pixels = result.as_slice_mut().unwrap();
    let mut picture = Picture { operator, channels, hidden: &hidden, image: pixels };
    for component in &found {
        solver(&mut picture, &hidden, component);
    }
    result
}

#[test]
fn agrees_with_dense_elimination() {
    let sizes = [(1, 9), (9, 1), (2, 2), (1, 2), (3, 3), (7, 5), (12, 13), (17, 18)];
    for (number, &(height, width)) in sizes.iter().enumerate() {
        for (seed, share) in [0.1, 0.5, 0.8, 0.97, 1.0].into_iter().enumerate() {
            let channels = if seed % 2 == 0 { 3 } else { 1 };
            let image = random_image(height, width, channels, (number * 10 + seed) as u64);
            let mask = random_mask(height, width, share, (number * 10 + seed) as u64);
            for kind in KINDS {
                let expected = dense_solution(&image, &mask, kind);
                let difference = largest_difference(&solved(&image, &mask, kind), &expected);
                assert!(difference < 1e-6, "{kind:?} {height}x{width} {share}: {difference}");
                let by_grid = solved_by(&image, &mask, kind, |picture, hidden, component| {
                    multigrid::solve_component(picture, hidden, component, true, &NoHost).unwrap();
                });
                let difference = largest_difference(&by_grid, &expected);
                assert!(
                    difference < 1e-6,
                    "multigrid {kind:?} {height}x{width} {share}: {difference}"
                );
            }
        }
    }
}

/// A 150 x 140 image: every kind of mask that matters, larger than a dense solution can follow.
fn masks() -> Vec<(&'static str, Array2<bool>)> {
    let (height, width) = (150, 140);
    let mut random = Random(5);
    let blocks: Vec<bool> = (0..400).map(|_| random.next() < 0.4).collect();
    let mask = |hidden: &dyn Fn(usize, usize) -> bool| {
        Array2::from_shape_fn((height, width), |(y, x)| hidden(y, x))
    };
    vec![
        ("blocks", mask(&|y, x| blocks[y / 8 * 20 + x / 8])),
        ("odd blocks", mask(&|y, x| blocks[(y + 3) / 11 * 20 + (x + 5) / 13])),
        ("hole", mask(&|y, x| (20..130).contains(&y) && (10..131).contains(&x))),
        ("border and corner", mask(&|y, x| y < 90 && x > 50)),
        ("one visible pixel", mask(&|y, x| (y, x) != (31, 77))),
        ("lines", mask(&|y, x| y % 7 == 0 || (x + y) % 31 == 0)),
        ("pixels", random_mask(height, width, 0.5, 1)),
        ("nearly all pixels", random_mask(height, width, 0.99, 2)),
    ]
}

/// Largest residual, divided by the diagonal, of an unclipped solution.
fn residual(image: &Array3<f32>, mask: &Array2<bool>, kind: Kind) -> f64 {
    let (height, width, channels) = image.dim();
    let operator = Operator { kind, height: height as i32, width: width as i32 };
    let mut largest = 0.0_f64;
    for ((y, x), _) in mask.indexed_iter().filter(|(_, &hidden)| hidden) {
        for channel in 0..channels {
            let (y, x) = (y as i32, x as i32);
            let value = |y: i32, x: i32| f64::from(image[[y as usize, x as usize, channel]]);
            let mut sum = operator.diagonal(y, x) * value(y, x);
            for &step in kind.steps() {
                if operator.contains(y + step.dy, x + step.dx) {
                    sum += operator.weight(y, x, step) * value(y + step.dy, x + step.dx);
                }
            }
            largest = largest.max((sum / operator.diagonal(y, x)).abs());
        }
    }
    largest
}

#[test]
fn solvers_agree_and_residuals_vanish() {
    for (name, mask) in masks() {
        let (height, width) = mask.dim();
        // Far from 0 and 1, so that nothing is clipped.
        let image = random_image(height, width, 3, 3).mapv(|value| 0.45 + 0.1 * value);
        for kind in KINDS {
            let direct = solved(&image, &mask, kind);
            let rest = residual(&direct, &mask, kind);
            assert!(rest < 1e-6, "{name} {kind:?}: residual {rest}");
            let by_grid = solved_by(&image, &mask, kind, |picture, hidden, component| {
                multigrid::solve_component(picture, hidden, component, true, &NoHost).unwrap();
            });
            let difference = largest_difference(&by_grid, &direct.mapv(f64::from));
            assert!(difference < 3e-7, "{name} {kind:?}: multigrid differs by {difference}");
        }
    }
}

#[test]
fn tiles_agree() {
    // Larger than a porous tile, so that several overlap.
    let image = random_image(600, 530, 1, 9);
    let mask = random_mask(600, 530, 0.8, 4);
    for kind in KINDS {
        let direct = solved(&image, &mask, kind);
        let tiled = solved_by(&image, &mask, kind, |picture, hidden, component| {
            let porous = tiles::is_porous(component, hidden);
            tiles::solve_component(picture, component, porous, &NoHost).unwrap();
            picture.clip(component);
        });
        let difference = largest_difference(&tiled, &direct.mapv(f64::from));
        assert!(difference < 5e-6, "{kind:?}: {difference}");
    }
}

#[test]
fn linear_ramps_are_restored() {
    // Linear functions are solutions inside; the hole stays away from the border, where they are not.
    let image = Array3::from_shape_fn((300, 280, 1), |(y, x, _)| {
        0.1 + 0.001 * y as f32 + 0.0015 * x as f32
    });
    let mask =
        Array2::from_shape_fn((300, 280), |(y, x)| (2..298).contains(&y) && (2..278).contains(&x));
    for kind in KINDS {
        let difference = largest_difference(&solved(&image, &mask, kind), &image.mapv(f64::from));
        assert!(difference < 1e-6, "{kind:?}: {difference}");
    }
}

#[test]
fn threads_and_hidden_values_do_not_matter() {
    for (name, mask) in masks() {
        let image = random_image(mask.nrows(), mask.ncols(), 3, 8);
        for kind in KINDS {
            let with = |threads: usize, garbage: f32| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut result = spoil(&image, &mask, garbage);
                pool.install(|| solve(result.view_mut(), mask.view(), kind, &NoHost)).unwrap();
                result.mapv(f32::to_bits)
            };
            let first = with(1, f32::NAN);
            assert_eq!(first, with(2, 7.0), "{name} {kind:?}");
            assert_eq!(first, with(5, f32::NEG_INFINITY), "{name} {kind:?}");
            let by_grid = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let one = |picture: &mut Picture, hidden: &Bitmap, component: &Component| {
                    multigrid::solve_component(picture, hidden, component, true, &NoHost).unwrap();
                };
                pool.install(|| solved_by(&image, &mask, kind, one)).mapv(f32::to_bits)
            };
            if name == "hole" {
                assert_eq!(by_grid(1), by_grid(3));
            }
        }
    }
}

#[test]
fn nothing_hidden_is_nothing_to_do() {
    let image = random_image(20, 30, 3, 1);
    for kind in KINDS {
        assert_eq!(solved(&image, &Array2::from_elem((20, 30), false), kind), image);
    }
}

#[test]
fn other_memory_layouts_work() {
    let image = random_image(40, 50, 3, 1);
    let mask = random_mask(40, 50, 0.6, 1);
    let mut turned = spoil(&image, &mask, 9.0).permuted_axes([1, 0, 2]);
    solve(turned.view_mut(), mask.t(), Kind::Biharmonic, &NoHost).unwrap();
    let expected = solved(&image, &mask, Kind::Biharmonic).mapv(f64::from).permuted_axes([1, 0, 2]);
    assert!(largest_difference(&turned, &expected) < 1e-6);
}

#[test]
fn wrong_shapes_are_refused() {
    let mut image = random_image(4, 5, 2, 1);
    let mask = Array2::from_elem((4, 5), false);
    let wrong = solve(image.view_mut(), mask.view(), Kind::Harmonic, &NoHost);
    assert!(matches!(wrong, Err(Error::Argument { argument: "image", .. })));
    let mut image = random_image(5, 4, 3, 1);
    let wrong = solve(image.view_mut(), mask.view(), Kind::Harmonic, &NoHost);
    assert!(matches!(wrong, Err(Error::Argument { argument: "image", .. })));
}

#[test]
fn stops_when_asked() {
    struct After(AtomicUsize);
    impl Host for After {
        fn cancelled(&self) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed) >= 3
        }
    }
    let mut image = random_image(300, 300, 1, 1);
    let mask = random_mask(300, 300, 0.8, 1);
    let host = After(AtomicUsize::new(0));
    let stopped = solve(image.view_mut(), mask.view(), Kind::Biharmonic, &host);
    assert!(matches!(stopped, Err(Error::Cancelled)));
}

#[test]
fn components_are_those_of_a_flood_fill() {
    for kind in KINDS {
        for seed in 0..20 {
            let mask = random_mask(30, 140, 0.1 + 0.04 * seed as f64, seed);
            let (_, found) = components(&mask, kind);
            let mut label = Array2::from_elem(mask.dim(), usize::MAX);
            for (number, component) in found.iter().enumerate() {
                let mut pixels = 0;
                for run in &component.runs {
                    for x in run.from..run.to {
                        label[[run.y as usize, x as usize]] = number;
                        pixels += 1;
                    }
                }
                assert_eq!(pixels, component.pixels);
            }
            // Coupled pixels share a label; and the number of labels is that of a flood fill.
            let mut seen = Array2::from_elem(mask.dim(), false);
            let mut fills = 0;
            for ((y, x), &hidden) in mask.indexed_iter() {
                assert_eq!(hidden, label[[y, x]] != usize::MAX);
                if !hidden || seen[[y, x]] {
                    continue;
                }
                fills += 1;
                seen[[y, x]] = true;
                let mut open = vec![(y as i32, x as i32)];
                while let Some((y, x)) = open.pop() {
                    for step in kind.steps() {
                        let (v, u) = (y + step.dy, x + step.dx);
                        let inside = v >= 0 && u >= 0 && v < 30 && u < 140;
                        if inside && mask[[v as usize, u as usize]] {
                            assert_eq!(
                                label[[y as usize, x as usize]],
                                label[[v as usize, u as usize]]
                            );
                            if !std::mem::replace(&mut seen[[v as usize, u as usize]], true) {
                                open.push((v, u));
                            }
                        }
                    }
                }
            }
            assert_eq!(fills, found.len());
        }
    }
}

#[test]
fn fill_reports_the_change() {
    let image = random_image(20, 20, 1, 1);
    let mask = random_mask(20, 20, 0.5, 1);
    let (hidden, _) = components(&mask, Kind::Harmonic);
    let operator = Operator { kind: Kind::Harmonic, height: 20, width: 20 };
    let mut pixels = image.iter().copied().collect::<Vec<_>>();
    let mut picture = Picture { operator, channels: 1, hidden: &hidden, image: &mut pixels };
    assert!(fill(&mut picture, &hidden, 0..20, false, &NoHost).unwrap() > 0.0);
    assert_eq!(fill(&mut picture, &hidden, 0..20, false, &NoHost).unwrap().to_bits(), 0);
}
