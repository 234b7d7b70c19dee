//! A frame while it is being filled, and the patches that this takes.

use super::frame::Frame;

/// Stands for no target, and for no source.
pub(super) const NONE: u32 = u32::MAX;

/// What is left of a patch's votes with each pixel of distance from what is visible.
const TRUST_PER_STEP: f32 = 0.7;
/// From there on they lose no more.
const FARTHEST: u8 = 64;

pub(super) struct Level {
    pub frame: Frame,
    pub radius: usize,
    /// Centres of the patches that hold a hidden pixel, in the order of rows.
    pub targets: Vec<u32>,
    /// Place of each pixel in `targets`, or [`NONE`].
    pub number: Vec<u32>,
    /// How much the votes of each target's patch count.
    pub trust: Vec<f32>,
    /// Whether each pixel is the centre of a wholly visible patch.
    pub is_source: Vec<bool>,
}

impl Level {
    pub fn new(frame: Frame, radius: usize) -> Level {
        let mut trusts = vec![1.0_f32];
        for step in 0..usize::from(FARTHEST) {
            trusts.push(trusts[step] * TRUST_PER_STEP);
        }
        let steps = frame.distances();
        let mut number = vec![NONE; frame.visible.len()];
        let (mut targets, mut trust) = (Vec::new(), Vec::new());
        let holds_hidden = frame.near_hidden(radius);
        for y in 0..frame.height {
            for at in frame.at(y, 0)..frame.at(y, 0) + frame.width {
                if holds_hidden[at] {
                    number[at] = targets.len() as u32;
                    targets.push(at as u32);
                    trust.push(trusts[usize::from(steps[at].min(FARTHEST))]);
                }
            }
        }
        let is_source = frame.sources(radius);
        Level { frame, radius, targets, number, trust, is_source }
    }

    /// Centres of wholly visible patches, in the order of rows.
    pub fn sources(&self) -> Vec<u32> {
        let listed = self.is_source.iter().enumerate().filter(|&(_, &source)| source);
        listed.map(|(at, _)| at as u32).collect()
    }

    /// Hidden pixels begin with the colours of the coarser level.
    pub fn take_colours(&mut self, coarse: &Level) {
        for &target in &self.targets {
            if !self.frame.visible[target as usize] {
                let (y, x) = self.frame.place(target as usize);
                self.frame.pixels[target as usize] =
                    coarse.frame.pixels[coarse.frame.at(y / 2, x / 2)];
            }
        }
    }
}
