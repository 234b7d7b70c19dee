//! The nearest-neighbour field: for every hidden pixel's patch, a visible patch that is like it.
//!
//! Barnes et al. visit the pixels in the order of rows, each profiting from the one before. Here all of
//! them look at once at what their neighbours held after the sweep before, some steps away (as in jump
//! flooding: Rong & Tan, I3D 2006), so that neither order nor threads matter.

use rayon::prelude::*;

use super::level::{Level, NONE};
use super::patch::Patch;
use crate::error::Result;
use crate::host::Host;
use crate::utils::ranking::{key, number, STREAM_EXEMPLAR};
use crate::utils::simd::{self, Kernel, Plain, Simd};

/// Targets that one task works on between two looks at the cancel flag.
const TASK: usize = 1 << 10;
/// Random numbers set aside for each pixel of a sweep.
const DRAWS: u64 = 32;

/// By target, the centre of the patch that was found, and the difference between the two patches.
pub(super) struct Field {
    pub source: Vec<u32>,
    pub difference: Vec<u32>,
}

impl Field {
    /// Nothing has been found yet.
    pub fn unknown(level: &Level) -> Field {
        let count = level.targets.len();
        Field { source: vec![NONE; count], difference: vec![u32::MAX; count] }
    }

    /// What was found at half the resolution, where it is a source here.
    pub fn refined(coarse: &Level, found: &Field, level: &Level) -> Field {
        let mut field = Field::unknown(level);
        for (&target, source) in level.targets.iter().zip(&mut field.source) {
            let (y, x) = level.frame.place(target as usize);
            let parent = coarse.number[coarse.frame.at(y / 2, x / 2)];
            if parent == NONE {
                continue;
            }
            let (v, u) = coarse.frame.place(found.source[parent as usize] as usize);
            // one row or column too far is in the margin, which holds no sources
            let at = level.frame.at(2 * v + y % 2, 2 * u + x % 2);
            if level.is_source[at] {
                *source = at as u32;
            }
        }
        field
    }

    /// Compares the patches again, because the image has changed.
    pub fn measure(&mut self, level: &Level, host: &dyn Host) -> Result<()> {
        let tasks = self.difference.par_chunks_mut(TASK).zip(self.source.par_chunks(TASK));
        tasks.zip(level.targets.par_chunks(TASK)).try_for_each(
            |((differences, sources), targets)| {
                host.check()?;
                let targets = targets.iter().zip(sources);
                for ((&target, &source), difference) in targets.zip(differences) {
                    *difference = compare(level, target as usize, source as usize);
                }
                Ok(())
            },
        )
    }
}

fn compare(level: &Level, target: usize, source: usize) -> u32 {
    Patch::around(level, target).difference::<Plain>(level, source, u32::MAX)
}

/// What the search goes by besides the level.
pub(super) struct Search<'a> {
    pub seed: u64,
    /// Number of the level, 0 = full resolution.
    pub level: usize,
    pub host: &'a dyn Host,
}

impl Search<'_> {
    /// Gives every target without a source a random one.
    pub fn settle(&self, level: &Level, field: &mut Field) -> Result<()> {
        self.host.check()?;
        let (key, sources) = (self.key(0), level.sources());
        for (&target, source) in level.targets.iter().zip(&mut field.source) {
            if *source == NONE {
                let random = number(key, DRAWS * u64::from(target));
                *source = sources[below(random >> 32, sources.len())];
            }
        }
        Ok(())
    }

    /// One sweep: what neighbours `step` pixels away have found, then random places ever closer by.
    pub fn sweep(&self, level: &Level, field: &mut Field, sweep: usize, step: usize) -> Result<()> {
        let sweep = Sweep { level, before: &field.source, key: self.key(sweep), step };
        let mut after = vec![NONE; level.targets.len()];
        let tasks = after.par_chunks_mut(TASK).zip(field.difference.par_chunks_mut(TASK));
        tasks.enumerate().try_for_each(|(task, (sources, differences))| {
            self.host.check()?;
            let first = task * TASK;
            simd::run(Improve { sweep: &sweep, first, sources, differences });
            Ok::<(), crate::error::Error>(())
        })?;
        field.source = after;
        Ok(())
    }

    fn key(&self, sweep: usize) -> u64 {
        sweep_key(self.seed, self.level, sweep)
    }
}

/// What the random numbers of a sweep start from.
pub(super) fn sweep_key(seed: u64, level: usize, sweep: usize) -> u64 {
    key(key(key(seed, STREAM_EXEMPLAR), level as u64), sweep as u64)
}

/// A 32-bit random number as a number from 0 to `count` - 1.
fn below(random: u64, count: usize) -> usize {
    (((random & 0xFFFF_FFFF) * count as u64) >> 32) as usize
}

struct Sweep<'a> {
    level: &'a Level,
    /// The sources that the targets had before.
    before: &'a [u32],
    key: u64,
    step: usize,
}

/// Improves the sources of the targets from number `first` on, as many as there are places for.
struct Improve<'a> {
    sweep: &'a Sweep<'a>,
    first: usize,
    sources: &'a mut [u32],
    differences: &'a mut [u32],
}

impl Kernel for Improve<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { sweep, first, sources, differences } = self;
        let level = sweep.level;
        let frame = &level.frame;
        let (height, width) = (frame.height, frame.width);
        for (place, (source, least)) in sources.iter_mut().zip(differences).enumerate() {
            let own = first + place;
            let target = level.targets[own] as usize;
            let (y, x) = frame.place(target);
            let patch = Patch::around(level, target);
            let (mut best, mut fewest) = (sweep.before[own] as usize, *least);
            let mut consider = |candidate: usize, best: &mut usize| {
                if candidate != *best && level.is_source[candidate] {
                    let found = patch.difference::<S>(level, candidate, fewest);
                    if found < fewest {
                        (*best, fewest) = (candidate, found);
                    }
                }
            };
            let far = sweep.step as isize;
            for (dy, dx) in [(-far, 0), (far, 0), (0, -far), (0, far)] {
                let inside = y.checked_add_signed(dy).is_some_and(|y| y < height)
                    && x.checked_add_signed(dx).is_some_and(|x| x < width);
                let away = dy * frame.stride as isize + dx;
                if !inside {
                    continue;
                }
                let neighbour = level.number[target.wrapping_add_signed(away)];
                if neighbour == NONE {
                    continue;
                }
                // where the neighbour's patch would continue, if that is inside the image
                let its = sweep.before[neighbour as usize] as usize;
                let (v, u) = frame.place(its);
                let inside = v.checked_add_signed(-dy).is_some_and(|v| v < height)
                    && u.checked_add_signed(-dx).is_some_and(|u| u < width);
                if inside {
                    consider(its.wrapping_add_signed(-away), &mut best);
                }
            }
            let mut reach = height.max(width);
            let mut draw = DRAWS * target as u64;
            while reach >= 1 {
                let random = number(sweep.key, draw);
                let (v, u) = frame.place(best);
                let v = v + below(random >> 32, 2 * reach + 1);
                let u = u + below(random, 2 * reach + 1);
                if v >= reach && u >= reach && v - reach < height && u - reach < width {
                    consider(frame.at(v - reach, u - reach), &mut best);
                }
                reach /= 2;
                draw += 1;
            }
            (*source, *least) = (best as u32, fewest);
        }
    }
}
