//! The core as a Rust caller sees it: threads, cancellation, determinism.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use helicopter_rs::algorithms::pde;
use helicopter_rs::error::Error;
use helicopter_rs::host::{Host, NoHost};
use helicopter_rs::par;
use ndarray::{s, Array2, Array3};
use proptest::prelude::*;
use rayon::prelude::*;

/// A caller that has had enough after being asked so often.
struct Impatient(AtomicUsize);

impl Host for Impatient {
    fn cancelled(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(1)))
            == Ok(0)
    }
}

/// A textured image and a mask that hides about a quarter of it in blocks of `block` pixels.
fn scene(height: usize, width: usize, block: usize) -> (Array3<f32>, Array2<bool>) {
    let image = Array3::from_shape_fn((height, width, 3), |(y, x, c)| {
        let (y, x) = (y as f32 / 17.0, x as f32 / 11.0);
        0.5 + 0.25 * (y + c as f32).sin() + 0.25 * (x * y / 5.0).cos()
    });
    let mask =
        Array2::from_shape_fn((height, width), |(y, x)| (y / block * 7 + x / block * 3) % 4 == 1);
    (image, mask)
}

fn solved(threads: usize, kind: pde::Kind) -> Array3<f32> {
    let (mut image, mask) = scene(97, 131, 8);
    par::install(Some(threads), || pde::solve(image.view_mut(), mask.view(), kind, &NoHost))
        .unwrap()
        .unwrap();
    image
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for kind in [pde::Kind::Harmonic, pde::Kind::Biharmonic] {
        let one = solved(1, kind);
        for threads in [2, 3, 8] {
            assert_eq!(one, solved(threads, kind), "{kind:?} with {threads} threads");
        }
    }
}

#[test]
fn a_caller_who_has_had_enough_is_heard() {
    for patience in [0, 1, 5] {
        let (mut image, mask) = scene(256, 256, 16);
        let impatient = Impatient(AtomicUsize::new(patience));
        let result = par::install(Some(2), || {
            pde::solve(image.view_mut(), mask.view(), pde::Kind::Harmonic, &impatient)
        });
        assert!(matches!(result.unwrap(), Err(Error::Cancelled)), "patience {patience}");
    }
}

#[test]
fn check_says_cancelled_and_nothing_else() {
    assert!(NoHost.check().is_ok());
    assert!(matches!(Impatient(AtomicUsize::new(0)).check(), Err(Error::Cancelled)));
}

#[test]
fn without_a_kernel_asking_for_one_is_an_error() {
    let asked = NoHost.kernel(Array3::zeros((1, 1, 1)), Array2::default((1, 1)));
    assert!(matches!(asked, Err(Error::Argument { argument: "kernel", .. })));
}

#[test]
fn work_gets_the_threads_it_asked_for() {
    for threads in [1, 2, 5] {
        assert_eq!(par::install(Some(threads), rayon::current_num_threads).unwrap(), threads);
    }
    for wrong in [0, 1025, usize::MAX] {
        let error = par::install(Some(wrong), || ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("threads: threads must be an integer from 1 to 1024, got {wrong}")
        );
    }
}

#[test]
fn calls_at_the_same_time_do_not_wait_for_each_other() {
    // Each call holds all threads of its pool until the others are there too: one pool for all
    // would wait for ever.
    let there = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                par::install(Some(2), || {
                    there.fetch_add(1, Ordering::SeqCst);
                    let begin = Instant::now();
                    while there.load(Ordering::SeqCst) < 4 {
                        assert!(
                            begin.elapsed() < Duration::from_secs(20),
                            "calls wait for each other"
                        );
                        std::thread::yield_now();
                    }
                })
                .unwrap();
            });
        }
    });
}

#[test]
fn a_call_inside_a_call_does_not_deadlock() {
    let inner = || par::install(Some(1), || (0..10_u32).into_par_iter().sum::<u32>()).unwrap();
    assert_eq!(par::install(Some(1), inner).unwrap(), 45);
}

#[test]
fn a_panic_comes_out_as_words_and_the_pool_goes_on() {
    for _ in 0..3 {
        let lease = par::lease(Some(2)).unwrap();
        let mut outcome = None;
        lease.beside(
            || -> Result<(), Error> {
                (0..64).into_par_iter().for_each(|step| assert!(step != 17, "no step {step}"));
                Ok(())
            },
            |result| outcome = Some(result),
            || (),
        );
        let Some(Err(Error::Panic(text))) = outcome else { panic!("{outcome:?}") };
        assert!(text.starts_with("no step 17 (at tests"), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn visible_pixels_stay_and_hidden_ones_lie_between_them(
        (height, width) in (1_usize..24, 1_usize..24),
        channels in prop::sample::select(vec![1_usize, 3]),
        seed in any::<u32>(),
    ) {
        let random = |n: usize| (n as u32).wrapping_add(seed).wrapping_mul(0x9E37_79B9) >> 8;
        let given = Array3::from_shape_fn((height, width, channels), |(y, x, c)| {
            random((y * 31 + x) * 7 + c) as f32 / (1 << 24) as f32
        });
        let mut mask = Array2::from_shape_fn((height, width), |(y, x)| random(y * 131 + x) % 3 == 0);
        mask[[0, 0]] = false; // something must be visible
        let mut image = given.clone();
        let solve = || pde::solve(image.view_mut(), mask.view(), pde::Kind::Harmonic, &NoHost);
        par::install(Some(2), solve).unwrap().unwrap();
        for channel in 0..channels {
            let (before, after) = (given.slice(s![.., .., channel]), image.slice(s![.., .., channel]));
            let visible = before.iter().zip(&mask).filter(|(_, &hidden)| !hidden).map(|(&value, _)| value);
            let (low, high) = visible.fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(v), h.max(v)));
            for ((&was, &is), &hidden) in before.iter().zip(after).zip(&mask) {
                if hidden {
                    prop_assert!((low - 1e-5..=high + 1e-5).contains(&is), "{is} not in {low}..{high}");
                } else {
                    prop_assert_eq!(was.to_bits(), is.to_bits());
                }
            }
        }
    }
}
