//! The network as a Rust caller sees it: files, shapes, threads, cancellation, and against a plain one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use helicopter_rs::algorithms::network::Network;
use helicopter_rs::algorithms::pde;
use helicopter_rs::error::Error;
use helicopter_rs::host::{Host, NoHost};
use helicopter_rs::par;
use helicopter_rs::reconstruction::autonomous_engine::{run, Algorithm, Options};
use helicopter_rs::reconstruction::online_scale::UncertaintyModel;
use helicopter_rs::reconstruction::strategies::Strategy;
use ndarray::{s, Array2, Array3, ShapeBuilder};

mod plain_network;
mod random_network;

use random_network::{file, file_of, tensors, Architecture};

const FORMAT: &str = "helicopter-network-1";

fn scene(height: usize, width: usize, channels: usize) -> (Array3<f32>, Array2<bool>) {
    let image = Array3::from_shape_fn((height, width, channels), |(y, x, c)| {
        let (y, x) = (y as f32 / 17.0, x as f32 / 11.0);
        0.5 + 0.25 * (y + c as f32).sin() + 0.25 * (x * y / 5.0).cos()
    });
    let mask = Array2::from_shape_fn((height, width), |(y, x)| {
        (y, x) != (0, 0) && (y / 5 * 7 + x / 3 * 3) % 4 == 1
    });
    (image, mask)
}

fn predicted(
    network: &Network,
    threads: usize,
    image: &Array3<f32>,
    mask: &Array2<bool>,
) -> (Array3<f32>, Array2<f32>) {
    let mut image = image.clone();
    let predict = || network.predict(image.view_mut(), mask.view(), &NoHost);
    let sigma = par::install(Some(threads), predict).unwrap().unwrap();
    (image, sigma)
}

#[test]
fn any_shape_and_architecture_is_what_the_plain_network_says() {
    let architectures = [
        Architecture::small(),
        Architecture { widths: vec![7], down: vec![2], up: vec![], scale_width: 3 },
        Architecture { widths: vec![16, 8], down: vec![0, 1], up: vec![0], scale_width: 40 },
    ];
    for (seed, architecture) in architectures.iter().enumerate() {
        let tensors = tensors(architecture, seed as u64);
        let network = Network::from_bytes(&file_of(&tensors, FORMAT, None)).unwrap();
        assert_eq!(network.widths(), architecture.widths);
        for (height, width, channels) in
            [(1, 1, 3), (1, 23, 1), (29, 1, 3), (3, 3, 3), (2, 2, 1), (17, 31, 3), (40, 9, 1)]
        {
            let (image, mask) = scene(height, width, channels);
            let (got, sigma) = predicted(&network, 1, &image, &mask);
            let mut harmonic = image.clone();
            pde::solve(harmonic.view_mut(), mask.view(), pde::Kind::Harmonic, &NoHost).unwrap();
            let plain = plain_network::Plain { tensors: &tensors, architecture };
            let (expected, expected_sigma) = plain.predict(&harmonic, &mask);
            for ((at, &got), &expected) in got.indexed_iter().zip(&expected) {
                let error = (f64::from(got) - expected).abs();
                assert!(
                    error < 3e-6,
                    "{architecture:?} {image:?} at {at:?}: {error}",
                    image = image.dim()
                );
            }
            for (&got, &expected) in sigma.iter().zip(&expected_sigma) {
                assert!((f64::from(got) - expected).abs() < 3e-6, "{got} {expected}");
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let network = Network::from_bytes(&file(&Architecture::shipped(), 1)).unwrap();
    let (image, mask) = scene(61, 97, 3);
    let one = predicted(&network, 1, &image, &mask);
    for threads in [2, 3, 8] {
        assert_eq!(one, predicted(&network, threads, &image, &mask), "{threads} threads");
    }
    // and on memory that has been used for something else
    let (other, other_mask) = scene(90, 30, 1);
    predicted(&network, 2, &other, &other_mask);
    assert_eq!(one, predicted(&network, 1, &image, &mask));
}

#[test]
fn hidden_values_and_the_layout_in_memory_do_not_matter() {
    let network = Network::from_bytes(&file(&Architecture::small(), 2)).unwrap();
    let (image, mask) = scene(33, 44, 3);
    let expected = predicted(&network, 1, &image, &mask);
    let mut poisoned = image.clone();
    for ((y, x), _) in mask.indexed_iter().filter(|(_, &hidden)| hidden) {
        poisoned.slice_mut(s![y, x, ..]).fill(f32::NAN);
    }
    assert_eq!(expected, predicted(&network, 1, &poisoned, &mask));

    let mut image_f = Array3::zeros((33, 44, 3).f());
    image_f.assign(&image);
    let mut mask_f = Array2::from_elem((33, 44).f(), false);
    mask_f.assign(&mask);
    let sigma = network.predict(image_f.view_mut(), mask_f.view(), &NoHost).unwrap();
    assert_eq!(expected, (image_f, sigma));
}

#[test]
fn nothing_hidden_is_nothing_done() {
    let network = Network::from_bytes(&file(&Architecture::small(), 2)).unwrap();
    let (image, mut mask) = scene(20, 20, 3);
    mask.fill(false);
    let (same, sigma) = predicted(&network, 1, &image, &mask);
    assert_eq!(same, image);
    assert!(sigma.iter().all(|sigma| sigma.to_bits() == 0));
}

#[test]
fn a_caller_who_has_had_enough_is_heard() {
    struct Impatient(AtomicUsize);
    impl Host for Impatient {
        fn cancelled(&self) -> bool {
            let less = |left: usize| Some(left.saturating_sub(1));
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) == Ok(0)
        }
    }
    let network = Network::from_bytes(&file(&Architecture::small(), 2)).unwrap();
    let (image, mask) = scene(40, 60, 3);
    for patience in [0, 1, 7, 11] {
        let mut image = image.clone();
        let impatient = Impatient(AtomicUsize::new(patience));
        let result = network.correct(image.view_mut(), mask.view(), &impatient);
        assert!(matches!(result, Err(Error::Cancelled)), "patience {patience}");
    }
}

#[test]
fn image_and_mask_must_fit() {
    let network = Network::from_bytes(&file(&Architecture::small(), 2)).unwrap();
    let (mut image, mask) = scene(8, 8, 3);
    let wrong = network.correct(image.view_mut(), mask.slice(s![..7, ..]), &NoHost);
    assert!(matches!(wrong, Err(Error::Argument { argument: "image", .. })));
    let wrong = network.correct(image.slice_mut(s![.., .., ..2]), mask.view(), &NoHost);
    assert!(matches!(wrong, Err(Error::Argument { argument: "image", .. })));
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let sound = file(&Architecture::small(), 2);
    let says = |data: &[u8], what: &str| {
        let text = Network::from_bytes(data).unwrap_err().to_string();
        assert!(text.contains(what), "{text:?} does not say {what:?}");
        assert!(text.starts_with("Network: the weights cannot be used: "));
        assert!(text.contains("Take the file"));
    };
    says(b"", "not a sound safetensors file");
    says(b"PNG and more bytes that are no weights", "not a sound safetensors file");
    says(&sound[..sound.len() - 1], "not a sound safetensors file");
    let step = sound.len() / 40;
    for at in (sound.len() - 38 * step..sound.len()).step_by(step) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x10;
        assert!(Network::from_bytes(&damaged).is_err(), "a changed byte at {at}");
    }
    let mut last = sound.clone();
    *last.last_mut().unwrap() ^= 1;
    says(&last, "SHA-256");

    let good = tensors(&Architecture::small(), 2);
    says(&file_of(&good, "helicopter-network-9", None), "helicopter-network-9");
    says(&file_of(&good, FORMAT, Some("00ff")), "00ff is stated");
    let changed = |change: &dyn Fn(&mut random_network::Tensors), what: &str| {
        let mut tensors = good.clone();
        change(&mut tensors);
        says(&file_of(&tensors, FORMAT, None), what);
    };
    changed(&|t| drop(t.remove("mean.bias")), "\"mean.bias\" is missing");
    changed(&|t| drop(t.remove("enter.weight")), "\"enter.weight\" is missing");
    changed(&|t| drop(t.remove("calibration.log_sigma")), "\"calibration.log_sigma\" is missing");
    changed(
        &|t| {
            let copy = t["mean.bias"].clone();
            t.insert("meam.bias".into(), copy);
        },
        "\"meam.bias\" has no place",
    );
    changed(
        &|t| {
            let copy = t["shrink.0.weight"].clone();
            t.insert("shrink.1.weight".into(), copy);
        },
        "\"shrink.1.weight\" is [19, 10, 2, 2] and should be [any, 19, 2, 2]",
    );
    changed(&|t| t.get_mut("enter.bias").unwrap().2[3] = f32::INFINITY, "not finite");
    changed(&|t| t.get_mut("calibration.log_scale").unwrap().2.swap(0, 1), "do not increase");
}

#[test]
fn the_autonomous_loop_takes_the_variance_that_the_network_states() {
    let network = Arc::new(Network::from_bytes(&file(&Architecture::small(), 2)).unwrap());
    let (image, _) = scene(64, 72, 3);
    let missing = Array2::from_elem((64, 72), false);
    let model = UncertaintyModel {
        variance_table: vec![[1e-6, 0.1, 0.1, 0.01]],
        log_mae_offset: -0.8,
        log_mae_distance: -0.1,
        log_mae_spread: 0.7,
        log_mae_prior: 0.3,
    };
    for (context_size, open_book, strategy) in [
        (None, false, Strategy::Adaptive),
        (None, true, Strategy::UncertaintyGuided),
        (Some(24), false, Strategy::UncertaintyGuided),
    ] {
        let algorithm = Algorithm::Network(Arc::clone(&network));
        let options = Options {
            patch_size: 8,
            context_size,
            strategy,
            seed: 3,
            max_iterations: None,
            target_quality: 1.0,
            initial_known: 0.3,
            open_book,
            stop: None,
            plateau: 1e-3,
            ask_once: false,
        };
        let analyse = |threads| {
            let work = || run(image.view(), missing.view(), &algorithm, &options, &model, &NoHost);
            par::install(Some(threads), work).unwrap().unwrap()
        };
        let (one, three) = (analyse(1), analyse(3));
        assert_eq!(one.prediction, three.prediction);
        assert_eq!(one.variance, three.variance);
        for ((y, x), &hidden) in one.hidden.indexed_iter() {
            assert_eq!(hidden, one.variance[[y, x]] > 0.0);
        }
        if context_size.is_none() && !open_book {
            // predicted once, from what was shown at the start
            let (expected, _) = predicted(&network, 1, &image, &one.hidden);
            assert_eq!(one.prediction, expected);
        }
    }
}
