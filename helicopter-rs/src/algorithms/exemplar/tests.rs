use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array2, Array3};

use super::frame::Frame;
use super::patch::Patch;
use super::{fill, Level};
use crate::error::Error;
use crate::host::{Host, NoHost};
use crate::par;
use crate::utils::ranking::random_ranks;
use crate::utils::simd::{Isa, Kernel, Plain, Simd};

/// Stripes and a little noise, and a mask of blocks.
pub(super) fn scene(height: usize, width: usize, channels: usize) -> (Array3<f32>, Array2<bool>) {
    let noise = random_ranks(1, 9, height * width * channels);
    let image = Array3::from_shape_fn((height, width, channels), |(y, x, c)| {
        let stripe = if (x + 2 * y) % 10 < 5 { 0.2 } else { 0.7 };
        let noise = noise[(y * width + x) * channels + c] >> 40;
        stripe + 0.1 * c as f32 + 0.05 * (noise as f32 / (1 << 24) as f32)
    });
    let mask = Array2::from_shape_fn((height, width), |(y, x)| (y / 9 * 5 + x / 9 * 3) % 4 == 1);
    (image, mask)
}

fn filled(image: &Array3<f32>, mask: &Array2<bool>, seed: u64, threads: usize) -> Array3<f32> {
    let mut image = image.clone();
    let work = || fill(image.view_mut(), mask.view(), seed, &NoHost);
    par::install(Some(threads), work).unwrap().unwrap();
    image
}

#[test]
fn stripes_go_on() {
    for channels in [1, 3] {
        let (image, mask) = scene(80, 90, channels);
        let filled = filled(&image, &mask, 0, 1);
        let mut worst = 0;
        for ((y, x, _), &truth) in image.indexed_iter() {
            if !mask[[y, x]] {
                assert_eq!(filled[[y, x, 0]].to_bits(), image[[y, x, 0]].to_bits());
            }
            worst += usize::from(
                (filled[[y, x, channels - 1]] - image[[y, x, channels - 1]]).abs() > 0.1,
            );
            assert!(truth.is_finite());
        }
        assert!(worst < 90 * 80 / 100, "{worst} pixels of the wrong stripe");
    }
}

#[test]
fn threads_do_not_matter_and_seeds_do() {
    let (image, mask) = scene(150, 90, 3);
    let one = filled(&image, &mask, 3, 1);
    assert_eq!(one, filled(&image, &mask, 3, 3));
    assert_ne!(one, filled(&image, &mask, 4, 1));
}

#[test]
fn hidden_pixels_are_never_read() {
    let (image, mask) = scene(60, 70, 3);
    let mut other = image.clone();
    other.indexed_iter_mut().for_each(|((y, x, _), value)| {
        if mask[[y, x]] {
            *value = f32::NAN;
        }
    });
    assert_eq!(filled(&image, &mask, 0, 1), filled(&other, &mask, 0, 1));
}

#[test]
fn whatever_the_shape() {
    for (height, width) in
        [(1, 1), (1, 2), (2, 1), (1, 97), (53, 1), (2, 2), (3, 5), (7, 8), (31, 37)]
    {
        for visible in [1, 2, height * width / 2, height * width - 1, height * width] {
            let (image, _) = scene(height, width, 1);
            let mask = Array2::from_shape_fn((height, width), |(y, x)| y * width + x >= visible);
            if visible > 0 {
                let filled = filled(&image, &mask, 0, 1);
                assert!(filled.iter().all(|value| (0.0..=1.0).contains(value)));
            }
        }
    }
}

/// The difference to a source, or some number not below a limit.
struct Compare<'a>(&'a Patch, &'a Level, usize, u32);

impl Kernel for Compare<'_> {
    type Output = u32;

    #[inline(always)]
    fn run<S: Simd>(self) -> u32 {
        let Self(patch, level, source, limit) = self;
        patch.difference::<S>(level, source, limit)
    }
}

#[test]
fn both_ways_to_compare_agree() {
    let (image, mask) = scene(40, 50, 3);
    for radius in 1..=3 {
        let frame = Frame::of_image(image.view(), mask.view(), &NoHost).unwrap();
        let level = Level::new(frame, radius);
        let sources = level.sources();
        for &target in &level.targets {
            let patch = Patch::around(&level, target as usize);
            let source = sources[target as usize % sources.len()] as usize;
            let expected = patch.difference::<Plain>(&level, source, u32::MAX);
            for isa in Isa::available() {
                let run = |limit: u32| isa.run(Compare(&patch, &level, source, limit));
                assert_eq!(run(u32::MAX), expected);
                assert!(run(expected / 2) >= expected / 2);
            }
        }
    }
}

/// A caller that has had enough after being asked so often, and keeps what it was told.
struct Impatient {
    left: AtomicUsize,
    heard: std::sync::Mutex<Vec<(usize, usize)>>,
}

impl Host for Impatient {
    fn cancelled(&self) -> bool {
        let less = |left: usize| Some(left.saturating_sub(1));
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) == Ok(0)
    }

    fn progress(&self, done: usize, total: usize) {
        self.heard.lock().unwrap().push((done, total));
    }
}

#[test]
fn it_can_be_stopped_anywhere_and_tells_how_far_it_is() {
    let (image, mask) = scene(60, 70, 1);
    for patience in [0, 1, 100, 121, 125, 130, usize::MAX] {
        let host = Impatient { left: AtomicUsize::new(patience), heard: Vec::new().into() };
        let result = fill(image.clone().view_mut(), mask.view(), 0, &host);
        if patience == usize::MAX {
            result.unwrap();
            let heard = host.heard.into_inner().unwrap();
            assert!(heard.is_sorted());
            assert!(heard.iter().all(|(_, total)| *total == heard[0].1));
            assert_eq!(heard.last().unwrap().0, heard[0].1);
        } else {
            assert!(matches!(result, Err(Error::Cancelled)));
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mask = Array2::from_elem((4, 4), true);
    for shape in [(4, 5, 3), (4, 4, 2)] {
        let error = fill(Array3::zeros(shape).view_mut(), mask.view(), 0, &NoHost).unwrap_err();
        assert!(error.to_string().contains("image must be of 1 or 3 channels"));
    }
}
