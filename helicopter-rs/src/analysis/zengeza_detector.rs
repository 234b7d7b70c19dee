//! Blind noise analysis: how much noise, of which kind, where, over which scales.

use ndarray::{s, Array2, Array3, ArrayView2, ArrayView3, CowArray, Ix3};
use rayon::prelude::*;

pub use super::noise::answers::FineNoise;
use super::noise::answers::{self, KINDS, SCALES};
use super::noise::block_features::{extract_features, BlockFeatures, Measure};
use super::noise::compression::find_compression;
use super::noise::impulses::{find_impulses, repair, Impulses};
use super::noise::learnt::NoiseModel;
use super::noise::level_map::level_map;
use super::noise::masks;
use super::noise::periodic::{find_periodic, remove, Component};
use super::noise::picture::Picture;
use crate::error::Result;
use crate::host::Host;

/// Rows that one task looks at. Fixed, so that nothing depends on the number of threads.
const STRIP: usize = 64;
/// Smaller images say nothing about their noise.
const LEAST_SIDE: usize = 8;

/// An image on the [0, 1] scale, and which of its pixels count.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// Height x width x channels.
    pub pixels: ArrayView3<'a, f32>,
    /// True where a pixel counts.
    pub included: ArrayView2<'a, bool>,
    /// Step of the input's values; 0 of floats.
    pub quantum: f64,
}

/// Where blocks are measured.
pub(super) trait Place: Sync {
    /// Pixels on the [0, 1] scale, which of them count if not all do, and what makes levels of them.
    fn picture<'a>(
        &self,
        pixels: ArrayView3<'a, f32>,
        included: Option<ArrayView2<'a, bool>>,
        unit: f32,
    ) -> Result<Box<dyn Measure + 'a>>;

    /// As [`find_impulses`].
    fn impulses(
        &self,
        pixels: ArrayView3<f32>,
        included: ArrayView2<bool>,
        host: &dyn Host,
    ) -> Result<Impulses>;
}

/// In the memory of the host.
struct OnHost;

impl Place for OnHost {
    fn picture<'a>(
        &self,
        pixels: ArrayView3<'a, f32>,
        included: Option<ArrayView2<'a, bool>>,
        unit: f32,
    ) -> Result<Box<dyn Measure + 'a>> {
        Ok(Box::new(Picture::Given { pixels, included, unit }))
    }

    fn impulses(
        &self,
        pixels: ArrayView3<f32>,
        included: ArrayView2<bool>,
        host: &dyn Host,
    ) -> Result<Impulses> {
        find_impulses(pixels, included, host)
    }
}

/// What is found out about the noise of one image or segment, on the [0, 1] scale.
#[derive(Clone, Debug)]
pub struct NoiseRun {
    /// The noise that is in every pixel.
    pub fine: FineNoise,
    /// Of each kind: that it is present; of the first, "clean", that none is.
    pub probabilities: [f64; KINDS],
    /// Probability that the fine noise is correlated from pixel to pixel.
    pub coloured: f64,
    /// Standard deviation of its means over squares of 1, 2, 4, 8 pixels.
    pub scale_sigma: [f64; SCALES.len()],
    /// Variance per unit of intensity, as if the noise were Poisson's.
    pub gain: f64,
    /// Standard deviation per unit of intensity, as if it were speckle.
    pub speckle: f64,
    /// Share of pixels hit, as if by salt and pepper.
    pub salt_pepper_density: f64,
    /// Share of pixels hit, as if by random values.
    pub impulse_density: f64,
    /// Sinusoids, the strongest first.
    pub waves: Vec<Component>,
    /// Of JPEG; 0 if nothing points there.
    pub quality: u8,
    /// Row and column of the first whole block of JPEG.
    pub grid: (usize, usize),
    /// Intensity, variance there, share of the evidence.
    pub level_function: Vec<[f64; 3]>,
    /// Standard deviation at every pixel; empty for segments.
    pub sigma_map: Array2<f32>,
    /// Log power, zero frequency in the middle; empty for segments.
    pub spectrum: Array2<f32>,
    /// Pixels judged to be hit.
    pub impulses: usize,
}

/// Estimates the fine noise alone, impulses left out.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn noise_level(scene: Scene, model: &NoiseModel, host: &dyn Host) -> Result<FineNoise> {
    noise_level_with(&OnHost, scene, model, host)
}

/// [`noise_level`], with blocks measured elsewhere.
pub(super) fn noise_level_with(
    place: &dyn Place,
    scene: Scene,
    model: &NoiseModel,
    host: &dyn Host,
) -> Result<FineNoise> {
    let impulses = place.impulses(scene.pixels, scene.included, host)?;
    let pixels = without_impulses(scene, &impulses, host)?;
    let Some(blocks) = features_of(place, pixels.view(), scene, model, host)? else {
        return Ok(unknown(scene));
    };
    Ok(answers::conclude_level(&blocks, share_of(&impulses), model).0.fine)
}

/// Analyses a whole image and, if there are labels, each of its segments in the order of labels.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn analyze(
    scene: Scene,
    segments: Option<ArrayView2<i32>>,
    model: &NoiseModel,
    host: &dyn Host,
) -> Result<(NoiseRun, Vec<NoiseRun>)> {
    analyze_with(&OnHost, scene, segments, model, host)
}

/// [`analyze`], with blocks measured elsewhere.
pub(super) fn analyze_with(
    place: &dyn Place,
    scene: Scene,
    segments: Option<ArrayView2<i32>>,
    model: &NoiseModel,
    host: &dyn Host,
) -> Result<(NoiseRun, Vec<NoiseRun>)> {
    let whole = examine(place, scene, true, model, host)?;
    let Some(labels) = segments else { return Ok((whole, Vec::new())) };
    let boxes = bounding_boxes(labels);
    let runs = boxes
        .par_iter()
        .map(|(label, rows, columns)| {
            host.check()?;
            let window = s![rows.0..rows.1, columns.0..columns.1];
            let own = labels.slice(window).mapv(|other| other == *label);
            let included = &own & &scene.included.slice(window);
            let pixels = scene.pixels.slice(s![rows.0..rows.1, columns.0..columns.1, ..]);
            // what lies beyond the segment must have no influence at all
            let pixels = only_included(pixels, included.view());
            let part =
                Scene { pixels: pixels.view(), included: included.view(), quantum: scene.quantum };
            examine(place, part, false, model, host)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok((whole, runs))
}

/// All that the networks see of an image, for their training: the level's features, what the answers
/// are relative to (two values), then what the kinds are concluded from beside those.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn measurements(scene: Scene, model: &NoiseModel, host: &dyn Host) -> Result<Vec<f64>> {
    let measured = measure(&OnHost, scene, model, host)?;
    let Some(blocks) = measured.blocks else { return Ok(Vec::new()) };
    let mut out = blocks.values;
    out.push(share_of(&measured.impulses));
    out.extend([blocks.reference_variance, blocks.unit]);
    out.extend(measured.others);
    out.extend([measured.impulses.salt_pepper_density, measured.impulses.impulse_density]);
    Ok(out)
}

struct Measured {
    impulses: Impulses,
    waves: Vec<Component>,
    spectrum: Array2<f32>,
    quality: u8,
    grid: (usize, usize),
    /// Features of impulses, waves and compression.
    others: Vec<f64>,
    blocks: Option<BlockFeatures>,
}

fn measure(
    place: &dyn Place,
    scene: Scene,
    model: &NoiseModel,
    host: &dyn Host,
) -> Result<Measured> {
    let impulses = place.impulses(scene.pixels, scene.included, host)?;
    let mut pixels = without_impulses(scene, &impulses, host)?;
    let periodic = find_periodic(pixels.view(), scene.included, host)?;
    let compression = find_compression(scene.pixels, scene.included, host)?;
    if !periodic.components.is_empty() {
        pixels = remove(pixels.view(), &periodic.components, host)?.into();
    }
    let blocks = features_of(place, pixels.view(), scene, model, host)?;
    let mut others = impulses.features.to_vec();
    others.extend(periodic.features);
    others.extend(compression.features);
    Ok(Measured {
        impulses,
        waves: periodic.components,
        spectrum: periodic.spectrum,
        quality: compression.quality.unwrap_or(0),
        grid: compression.grid,
        others,
        blocks,
    })
}

fn examine(
    place: &dyn Place,
    scene: Scene,
    maps: bool,
    model: &NoiseModel,
    host: &dyn Host,
) -> Result<NoiseRun> {
    let measured = measure(place, scene, model, host)?;
    let (height, width, _) = scene.pixels.dim();
    let mut run = NoiseRun {
        fine: unknown(scene),
        probabilities: answers::uninformed(),
        coloured: 0.0,
        scale_sigma: [0.0; SCALES.len()],
        gain: 0.0,
        speckle: 0.0,
        salt_pepper_density: measured.impulses.salt_pepper_density,
        impulse_density: measured.impulses.impulse_density,
        impulses: hits(&measured.impulses),
        waves: measured.waves,
        quality: measured.quality,
        grid: measured.grid,
        level_function: Vec::new(),
        sigma_map: Array2::zeros(if maps { (height, width) } else { (0, 0) }),
        spectrum: if maps { measured.spectrum } else { Array2::zeros((0, 0)) },
    };
    let Some(blocks) = measured.blocks else {
        if height.min(width) >= LEAST_SIDE && masks::count(scene.included) > 0 {
            // constant: nothing there but the content
            run.probabilities = answers::surely_clean();
        }
        return Ok(run);
    };
    let repaired = share_of(&measured.impulses);
    let (level, mut features) = answers::conclude_level(&blocks, repaired, model);
    features.extend(measured.others);
    let kinds = answers::conclude_kinds(&features, &blocks, model);
    run.probabilities = kinds.probabilities;
    run.gain = kinds.gain;
    run.speckle = kinds.speckle;
    run.level_function = answers::level_function(&blocks, level.fine.sigma);
    if maps {
        run.sigma_map = level_map(&blocks, level.fine.sigma, (height, width), model, host)?;
    }
    run.coloured = level.coloured;
    run.scale_sigma = level.scale_sigma;
    run.fine = level.fine;
    Ok(run)
}

fn unknown(scene: Scene) -> FineNoise {
    let (height, width, channels) = scene.pixels.dim();
    let large = height.min(width) >= LEAST_SIDE;
    // a constant image may have noise that rounding swallowed; a tiny one may have any
    FineNoise::unknown(channels, if large { scene.quantum / 2.0 } else { 1.0 })
}

/// The share of pixels that were repaired.
fn share_of(impulses: &Impulses) -> f64 {
    hits(impulses) as f64 / impulses.mask.len().max(1) as f64
}

fn hits(impulses: &Impulses) -> usize {
    masks::count(impulses.mask.view())
}

fn without_impulses<'a>(
    scene: Scene<'a>,
    impulses: &Impulses,
    host: &dyn Host,
) -> Result<CowArray<'a, f32, Ix3>> {
    if hits(impulses) > 0 {
        Ok(repair(scene.pixels, impulses.mask.view(), Some(scene.included), host)?.into())
    } else {
        Ok(scene.pixels.into())
    }
}

fn only_included(pixels: ArrayView3<f32>, included: ArrayView2<bool>) -> Array3<f32> {
    let mut out = pixels.to_owned();
    for ((y, x), &inside) in included.indexed_iter() {
        if !inside {
            out.slice_mut(s![y, x, ..]).fill(0.0);
        }
    }
    out
}

/// The first row or column, and the one behind the last.
type Ends = (usize, usize);

/// Label, rows and columns of each segment, in the order of labels.
fn bounding_boxes(labels: ArrayView2<i32>) -> Vec<(i32, Ends, Ends)> {
    let mut boxes = std::collections::BTreeMap::new();
    for ((y, x), &label) in labels.indexed_iter() {
        let (rows, columns) = boxes.entry(label).or_insert(((y, y + 1), (x, x + 1)));
        rows.1 = y + 1;
        columns.0 = columns.0.min(x);
        columns.1 = columns.1.max(x + 1);
    }
    boxes.into_iter().map(|(label, (rows, columns))| (label, rows, columns)).collect()
}

fn features_of(
    place: &dyn Place,
    pixels: ArrayView3<f32>,
    scene: Scene,
    model: &NoiseModel,
    host: &dyn Host,
) -> Result<Option<BlockFeatures>> {
    let everything = masks::all(scene.included);
    let map = (!everything).then_some(scene.included);
    let Some((low, high)) = ends(pixels, map) else { return Ok(None) };
    let unit = 255.0 / high.max(1e-6);
    let picture = place.picture(pixels, map, unit)?;
    extract_features(&*picture, unit, (low, high), scene.quantum, model, host)
}

/// The least and the largest value, `None` of no pixels.
fn ends(pixels: ArrayView3<f32>, included: Option<ArrayView2<bool>>) -> Option<(f32, f32)> {
    let (height, _, _) = pixels.dim();
    let strips: Vec<(f32, f32)> = (0..height.div_ceil(STRIP))
        .into_par_iter()
        .map(|strip| {
            let mut ends = (f32::INFINITY, f32::NEG_INFINITY);
            for y in strip * STRIP..((strip + 1) * STRIP).min(height) {
                let row = pixels.index_axis(ndarray::Axis(0), y);
                match (included, row.as_slice()) {
                    (None, Some(row)) => {
                        for &value in row {
                            ends.0 = if value < ends.0 { value } else { ends.0 };
                            ends.1 = if value > ends.1 { value } else { ends.1 };
                        }
                    }
                    (map, _) => {
                        for (x, pixel) in row.outer_iter().enumerate() {
                            if map.is_none_or(|map| map[(y, x)]) {
                                for &value in pixel {
                                    ends = (ends.0.min(value), ends.1.max(value));
                                }
                            }
                        }
                    }
                }
            }
            ends
        })
        .collect();
    let all = |a: (f32, f32), b: &(f32, f32)| (a.0.min(b.0), a.1.max(b.1));
    let (low, high) = strips.iter().fold((f32::INFINITY, f32::NEG_INFINITY), all);
    (low <= high).then_some((low, high))
}
