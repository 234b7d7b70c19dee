//! One function for each kind of foreign data: whatever the bytes are, it returns.

use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use helicopter_rs::algorithms::network::Network;
use helicopter_rs::algorithms::{exemplar, pde};
use helicopter_rs::analysis::mdp::compress::Rows;
use helicopter_rs::analysis::mdp::model::Model;
use helicopter_rs::analysis::mdp::{horizon, solver};
use helicopter_rs::analysis::noise::learnt::NoiseModel;
use helicopter_rs::analysis::{anomaly_map, zengeza_detector};
use helicopter_rs::host::NoHost;
use helicopter_rs::reconstruction::{scores, uncertainty};
use helicopter_rs::segmentation;
use ndarray::{s, Array1, Array2, Array3, ArrayView3, Axis, ShapeBuilder};

use super::{random_network, random_noise_model};

/// Of arrays, and of masks alone.
const MOST_SIDE: usize = 20;
const MOST_MASK_SIDE: usize = 96;

/// Images of any layout and values, with masks and labels, through all that takes them.
pub fn arrays(data: &[u8]) {
    let _ = images(&mut Unstructured::new(data));
}

fn float(u: &mut Unstructured) -> Result<f32> {
    Ok(match u.int_in_range(0..=9)? {
        0 => f32::from_bits(u.arbitrary()?),
        1 => f32::NAN,
        _ => f32::from(u.arbitrary::<u8>()?) / 255.0,
    })
}

fn images(u: &mut Unstructured) -> Result<()> {
    let (height, width) = (u.int_in_range(1..=MOST_SIDE)?, u.int_in_range(1..=MOST_SIDE)?);
    let channels = *u.choose(&[1, 3, 3, 2, 4])?;
    let layout: u8 = u.arbitrary()?;
    let mut values = Vec::new();
    for _ in 0..4 * height * width * channels {
        values.push(float(u)?);
    }
    let shape = (2 * height, 2 * width, channels).set_f(layout & 1 == 1);
    let mut all = Array3::from_shape_vec(shape, values).expect("as many as that");
    if layout & 2 != 0 {
        all.invert_axis(Axis(0));
    }
    let image = match layout & 0b1100 {
        0 => all.slice_mut(s![..height, ..width, ..]),
        0b0100 => all.slice_mut(s![..;2, ..;2, ..]),
        0b1000 => all.slice_mut(s![height.., width.., ..;-1]),
        _ => all.slice_mut(s![..height, ..width;-1, ..]),
    };
    let (h, w, c) = image.dim();
    let mask = Array2::from_shape_simple_fn((h, w), || u.arbitrary().unwrap_or(false));
    let labels = Array2::from_shape_simple_fn((h, w), || u.arbitrary::<i8>().map_or(0, i32::from));
    let plane = Array2::from_shape_simple_fn((h, w), || float(u).unwrap_or(0.5));
    let (view, hidden) = (image.view(), mask.view());
    let some_visible = mask.iter().any(|hidden| !hidden);
    let plain = matches!(c, 1 | 3);
    match u.int_in_range(0..=8)? {
        0 => _ = uncertainty::hidden_distance(hidden, &NoHost),
        1 if plain => _ = scores::score(view, view, hidden, hidden, &NoHost),
        2 => {
            let evidence = anomaly_map::Evidence {
                image: view,
                prediction: view,
                sigma: plane.view(),
                noise: plane.view(),
                included: hidden,
            };
            let width = f64::from(u.int_in_range(1..=200_u8)?) / 2.0;
            _ = anomaly_map::measure(evidence, width, &NoHost);
        }
        3 => {
            let centre = Array1::from_elem(c, f64::from(float(u)?));
            let form = Array2::from_elem((c, c), f64::from(float(u)?));
            let centre = centre.as_slice().expect("just made");
            _ = anomaly_map::squared_distances(view, centre, form.view(), &NoHost);
        }
        4 if plain => partition(u, &view)?,
        5 if plain => {
            static MODELS: OnceLock<[NoiseModel; 2]> = OnceLock::new();
            let models = MODELS.get_or_init(|| {
                let of = |channels| NoiseModel::new(&random_noise_model::tensors(channels, 3));
                [1, 3].map(|channels| of(channels).expect("sound tensors"))
            });
            let quantum = f64::from(u.int_in_range(0..=2_u8)?) / 255.0;
            let scene = zengeza_detector::Scene { pixels: view, included: hidden, quantum };
            _ = zengeza_detector::analyze(scene, Some(labels.view()), &models[c / 2], &NoHost);
        }
        6 if some_visible => _ = exemplar::fill(image, hidden, u.arbitrary()?, &NoHost),
        7 if some_visible => _ = pde::solve(image, hidden, pde::Kind::Biharmonic, &NoHost),
        _ if some_visible => _ = network().predict(image, hidden, &NoHost),
        _ => {}
    }
    Ok(())
}

fn network() -> &'static Network {
    static NETWORK: OnceLock<Network> = OnceLock::new();
    NETWORK.get_or_init(|| {
        let file = random_network::file(&random_network::Architecture::small(), 1);
        Network::from_bytes(&file).expect("a sound file")
    })
}

fn partition(u: &mut Unstructured, image: &ArrayView3<f32>) -> Result<()> {
    let weight = |u: &mut Unstructured| -> Result<f64> { Ok(f64::from(float(u)?)) };
    let options = segmentation::Options {
        count: if u.arbitrary()? { u.arbitrary()? } else { u.int_in_range(1..=99)? },
        least_area: if u.arbitrary()? { u.arbitrary()? } else { u.int_in_range(0..=99)? },
        spatial: weight(u)?,
        spatial_borders: weight(u)?,
        border: weight(u)?,
        passes: (u.int_in_range(0..=3)?, u.int_in_range(0..=3)?),
    };
    if let Ok(labels) = segmentation::segment(image, &options, &NoHost) {
        let most = labels.iter().max().map_or(0, |&most| most as usize);
        assert_eq!(most + 1, options.count);
    }
    Ok(())
}

/// Masks, solved for by both equations: what is filled in is a number from 0 to 1.
pub fn masks(data: &[u8]) {
    let _ = holes(&mut Unstructured::new(data));
}

fn holes(u: &mut Unstructured) -> Result<()> {
    let height = u.int_in_range(1..=MOST_MASK_SIDE)?;
    let width = u.int_in_range(1..=MOST_MASK_SIDE)?;
    let channels = *u.choose(&[1, 3])?;
    let kind = *u.choose(&[pde::Kind::Harmonic, pde::Kind::Biharmonic])?;
    let bits: Vec<u8> = u.bytes((height * width).div_ceil(8).min(u.len()))?.to_vec();
    let bit = |at: usize| bits.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
    let mask = Array2::from_shape_fn((height, width), |(y, x)| bit(y * width + x));
    if mask.iter().all(|&hidden| hidden) {
        return Ok(());
    }
    let mut image = Array3::from_shape_fn((height, width, channels), |(y, x, c)| {
        if mask[[y, x]] {
            f32::NAN
        } else {
            ((7 * y + 3 * x + c) % 11) as f32 / 10.0
        }
    });
    pde::solve(image.view_mut(), mask.view(), kind, &NoHost).expect("nothing is wrong with it");
    assert!(image.iter().all(|value| (0.0..=1.0).contains(value)));
    Ok(())
}

/// Decision models made of any numbers; those that are accepted are solved.
pub fn models(data: &[u8]) {
    let _ = decisions(&mut Unstructured::new(data));
}

fn decisions(u: &mut Unstructured) -> Result<()> {
    let states = u.int_in_range(1..=12_usize)?;
    let sound: bool = u.arbitrary()?;
    let pairs = u.int_in_range(0..=24_usize)?;
    let (mut of_state, mut of_action, mut row_start) = (Vec::new(), Vec::new(), vec![0_i64]);
    let (mut columns, mut probabilities, mut rewards) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        if sound {
            of_state.push((pair / 2 % states) as i64);
            of_action.push((pair % 2) as i64);
        } else {
            of_state.push(i64::from(u.arbitrary::<i8>()?));
            of_action.push(i64::from(u.arbitrary::<i8>()?));
        }
        let entries = u.int_in_range(usize::from(sound)..=3)?;
        for _ in 0..entries {
            let column: u8 = u.arbitrary()?;
            columns.push(if sound {
                i64::from(column) % states as i64
            } else {
                i64::from(column) - 4
            });
            probabilities.push(if sound { 1.0 / entries as f64 } else { f64::from(float(u)?) });
        }
        row_start.push(columns.len() as i64);
        rewards.push(f64::from(float(u)?));
    }
    if !sound && u.arbitrary()? {
        row_start.push(u.arbitrary()?);
    }
    let rows = Rows {
        states: &of_state,
        actions: &of_action,
        row_start: &row_start,
        columns: &columns[..],
        probabilities: &probabilities,
        rewards: &rewards,
        by_entry: u.arbitrary()?,
        rewards_low: None,
    };
    let Some(model) = Model::from_rows(states, rows) else { return Ok(()) };
    let options = solver::Options {
        discount: f64::from(u.int_in_range(1..=100_u8)?) / 100.0,
        method: *u.choose(&[
            solver::Method::Auto,
            solver::Method::ValueIteration,
            solver::Method::PolicyIteration,
            solver::Method::ModifiedPolicyIteration,
        ])?,
        epsilon: 1e-6,
        max_iterations: 200,
    };
    if let Ok(run) = solver::solve(&model, options, &NoHost) {
        assert!(run.lower.iter().zip(&run.upper).all(|(low, high)| low <= high));
    }
    let terminal = vec![f64::from(float(u)?); states];
    _ = horizon::solve(&model, options.discount, u.int_in_range(0..=9)?, &terminal, &NoHost);
    Ok(())
}

/// Files of weights: as they come, or of a small network in which something has been changed. A file
/// that is accepted predicts numbers, or says that it cannot.
pub fn weights(data: &[u8]) {
    let _ = file(&mut Unstructured::new(data));
}

fn file(u: &mut Unstructured) -> Result<()> {
    let bytes = if u.arbitrary()? {
        u.bytes(u.len())?.to_vec()
    } else {
        let mut tensors = random_network::tensors(&random_network::Architecture::small(), 1);
        let names: Vec<String> = tensors.keys().cloned().collect();
        for _ in 0..u.int_in_range(1..=4)? {
            let name = u.choose(&names)?;
            let Some((_, shape, values)) = tensors.get_mut(name) else { continue };
            match u.int_in_range(0..=3)? {
                0 => _ = tensors.remove(name),
                1 => shape.reverse(),
                2 => values.fill(float(u)?),
                _ => {
                    let at = u.choose_index(values.len())?;
                    values[at] = f32::from_bits(u.arbitrary()?);
                }
            }
        }
        random_network::file_of(&tensors, "helicopter-network-1", None)
    };
    let Ok(network) = Network::from_bytes(&bytes) else { return Ok(()) };
    let mask = Array2::from_shape_fn((9, 13), |(y, x)| (y * x) % 3 == 1);
    let mut image = Array3::from_elem((9, 13, 3), 0.5);
    if let Ok(sigma) = network.predict(image.view_mut(), mask.view(), &NoHost) {
        assert!(sigma.iter().chain(&image).all(|value| value.is_finite()));
    }
    Ok(())
}
