//! Exemplar fill: hidden regions are sewn together from patches of the visible ones.
//!
//! Wexler, Shechtman & Irani, "Space-time completion of video", IEEE TPAMI 29 (2007): from coarse to
//! fine, every patch that holds a hidden pixel seeks its like among the wholly visible patches, and
//! the patches that were found vote for what is hidden, again and again. The search is that of Barnes,
//! Shechtman, Finkelstein & Goldman, "`PatchMatch`", ACM Trans. Graph. 28 (2009), in rounds that read
//! only the round before, so that threads do not matter; the fourth channel, which says how busy the
//! image is there at full resolution, is that of Newson et al., "Video inpainting of complex scenes",
//! SIAM J. Imaging Sci. 7 (2014).
//!
//! The twin is `helicopter/backends/reference/algorithms/exemplar/__init__.py`, which is the law. Both give the same bits:
//! patches are compared in integers, votes are summed in a fixed order, random numbers are hashes.

use ndarray::{ArrayView2, ArrayView3, ArrayViewMut3};

use crate::algorithms::pde;
use crate::error::{Error, Result};
use crate::host::Host;

#[cfg(feature = "cuda")]
pub mod cuda;
mod field;
mod frame;
mod level;
mod membrane;
mod patch;
#[cfg(test)]
mod tests;
mod votes;

use field::{Field, Search};
use frame::Frame;
use level::Level;

/// Pixels of margin around every frame: the radius of the largest patch.
const MARGIN: usize = 3;
/// Radii of patches, the best one first.
const RADII: [usize; 3] = [3, 2, 1];
/// One of so many visible pixels, at least, must be the centre of a wholly visible patch.
const SCARCITY: usize = 16;
/// Holes are thin enough to begin with when no hidden pixel is farther from the visible ones.
const THIN: u8 = 2;
/// Rounds of seeking and voting at the finest level, how many more each coarser one has, at most.
const ROUNDS: usize = 2;
const MORE_ROUNDS: usize = 4;
const MOST_ROUNDS: usize = 12;
/// How far the sweeps of a round look for what neighbours have found.
const STEPS: [usize; 3] = [4, 2, 1];
const FIRST_STEPS: [usize; 11] = [1, 2, 4, 8, 1, 2, 4, 8, 4, 2, 1];

/// Fills the pixels that `mask` marks with what is found elsewhere in the image.
///
/// Visible pixels are not touched, and what hidden ones hold does not matter. Where hardly any patch is
/// wholly visible (single pixels, strewn densely), the harmonic solution is given instead. The work is
/// done in the current rayon pool; the result does not depend on its size.
///
/// # Errors
///
/// Those of [`pde::solve`].
pub fn fill(
    mut image: ArrayViewMut3<f32>,
    mask: ArrayView2<bool>,
    seed: u64,
    host: &dyn Host,
) -> Result<()> {
    let Some((mut frames, radius)) = pyramid(image.view(), mask, host)? else {
        if mask.iter().any(|&hidden| hidden) {
            pde::solve(image, mask, pde::Kind::Harmonic, host)?;
            host.progress(1, 1);
        }
        return Ok(());
    };
    let work: usize = frames.iter().enumerate().map(|(l, frame)| rounds(l) * frame.hidden()).sum();
    let mut done = 0;
    let mut above: Option<(Level, Field)> = None;
    while let Some(frame) = frames.pop() {
        let number = frames.len();
        let hidden = frame.hidden();
        let mut level = Level::new(frame, radius);
        let mut field = match above.take() {
            None => Field::unknown(&level),
            Some((coarse, field)) => {
                level.take_colours(&coarse);
                let field = Field::refined(&coarse, &field, &level);
                votes::cast(&mut level, &field, host)?;
                field
            }
        };
        let search = Search { seed, level: number, host };
        search.settle(&level, &mut field)?;
        let mut sweep = 0;
        for round in 0..rounds(number) {
            field.measure(&level, host)?;
            // the very first search starts from nothing and takes longer
            let steps: &[usize] = if done == 0 { &FIRST_STEPS } else { &STEPS };
            for &step in steps {
                sweep += 1;
                search.sweep(&level, &mut field, sweep, step)?;
            }
            if number > 0 || round + 1 < rounds(number) {
                votes::cast(&mut level, &field, host)?;
            }
            done += hidden;
            host.progress(done, work);
        }
        above = Some((level, field));
    }
    if let Some((level, field)) = above {
        votes::deliver(&level, &field, &mut image);
    }
    Ok(())
}

/// Rounds of a level.
fn rounds(level: usize) -> usize {
    (ROUNDS + MORE_ROUNDS * level).min(MOST_ROUNDS)
}

/// The frames from the finest to the coarsest, which is full, and the radius of patches; none where
/// nothing is hidden, or hardly any patch is wholly visible.
fn pyramid(
    image: ArrayView3<f32>,
    mask: ArrayView2<bool>,
    host: &dyn Host,
) -> Result<Option<(Vec<Frame>, usize)>> {
    let (height, width, channels) = image.dim();
    if mask.dim() != (height, width) || !matches!(channels, 1 | 3) {
        let expected = "of 1 or 3 channels, and of the mask's height and width";
        let got = format!("one of shape {:?}", image.dim());
        return Err(Error::argument("exemplar_fill", "image", expected, got));
    }
    if !mask.iter().any(|&hidden| hidden) {
        return Ok(None);
    }
    let finest = Frame::of_image(image, mask, host)?;
    let Some(radius) = RADII.into_iter().find(|&radius| finest.has_sources(radius)) else {
        return Ok(None);
    };
    host.check()?;
    let mut frames = Vec::new();
    let mut coarsest = finest;
    while let Some(coarser) = coarser(&coarsest, radius) {
        host.check()?;
        frames.push(std::mem::replace(&mut coarsest, coarser));
    }
    membrane::fill(&mut coarsest);
    frames.push(coarsest);
    Ok(Some((frames, radius)))
}

/// The frame at half the resolution, if it is of any use.
fn coarser(frame: &Frame, radius: usize) -> Option<Frame> {
    if frame.reach() <= THIN {
        return None;
    }
    let coarse = frame.halved();
    let useful = coarse.hidden() > 0 && coarse.has_sources(radius);
    useful.then_some(coarse)
}
