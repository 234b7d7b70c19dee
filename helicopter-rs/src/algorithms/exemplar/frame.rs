//! An image in the form in which patches are compared, at one resolution.

use ndarray::{ArrayView2, ArrayView3};

use super::{MARGIN, SCARCITY};
use crate::error::Result;
use crate::host::Host;

/// Rows and columns around a pixel over which it is said how busy the image is.
const BUSY: usize = 2;
/// What a mean difference of one level between neighbours counts in the fourth channel.
const BUSY_GAIN: u32 = 4;

/// Pixels of four bytes (three colours, and how busy the neighbourhood is), with a margin around them.
pub(super) struct Frame {
    pub height: usize,
    pub width: usize,
    /// Pixels from one row to the next.
    pub stride: usize,
    pub pixels: Vec<[u8; 4]>,
    /// Whether a pixel is visible; false in the margin.
    pub visible: Vec<bool>,
}

impl Frame {
    fn new(height: usize, width: usize) -> Frame {
        let stride = width + 2 * MARGIN;
        let area = stride * (height + 2 * MARGIN);
        Frame { height, width, stride, pixels: vec![[0; 4]; area], visible: vec![false; area] }
    }

    pub fn of_image(
        image: ArrayView3<f32>,
        mask: ArrayView2<bool>,
        host: &dyn Host,
    ) -> Result<Frame> {
        let (height, width, channels) = image.dim();
        let mut frame = Frame::new(height, width);
        let mut grey = vec![0_u8; frame.pixels.len()];
        for y in 0..height {
            host.check()?;
            for x in 0..width {
                if mask[[y, x]] {
                    continue;
                }
                let at = frame.at(y, x);
                let level = |c: usize| (image[[y, x, c % channels]] * 255.0 + 0.5) as u8;
                let [r, g, b] = [level(0), level(1), level(2)];
                frame.pixels[at] = [r, g, b, 0];
                frame.visible[at] = true;
                grey[at] = ((u32::from(r) + 2 * u32::from(g) + u32::from(b) + 2) / 4) as u8;
            }
        }
        frame.say_how_busy(&grey, host)?;
        Ok(frame)
    }

    /// Index of a pixel.
    pub fn at(&self, y: usize, x: usize) -> usize {
        (y + MARGIN) * self.stride + x + MARGIN
    }

    /// Row and column of the pixel at an index.
    pub fn place(&self, at: usize) -> (usize, usize) {
        (at / self.stride - MARGIN, at % self.stride - MARGIN)
    }

    /// Number of hidden pixels.
    pub fn hidden(&self) -> usize {
        self.height * self.width - self.visible.iter().filter(|&&visible| visible).count()
    }

    /// Mean difference of visible neighbours around every visible pixel, as the fourth channel.
    fn say_how_busy(&mut self, grey: &[u8], host: &dyn Host) -> Result<()> {
        let difference = |one: usize, other: usize| {
            let both = self.visible[one] && self.visible[other];
            (u32::from(both) * u32::from(grey[one].abs_diff(grey[other])), u32::from(both))
        };
        let mut columns = vec![(0, 0); self.stride];
        let mut busy = vec![0_u8; self.width];
        for y in 0..self.height {
            host.check()?;
            columns.fill((0, 0));
            for row in y.saturating_sub(BUSY)..(y + BUSY + 1).min(self.height) {
                for x in 0..self.width {
                    let at = self.at(row, x);
                    let (right, below) = (difference(at, at + 1), difference(at, at + self.stride));
                    let column = &mut columns[x + MARGIN];
                    *column = (column.0 + right.0 + below.0, column.1 + right.1 + below.1);
                }
            }
            for x in 0..self.width {
                let around = &columns[x + MARGIN - BUSY..=x + MARGIN + BUSY];
                let (total, count) =
                    around.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
                busy[x] = (BUSY_GAIN * total / count.max(1)).min(255) as u8;
            }
            for x in 0..self.width {
                let at = self.at(y, x);
                self.pixels[at][3] = if self.visible[at] { busy[x] } else { 0 };
            }
        }
        Ok(())
    }

    /// At half the resolution: a pixel is visible if one of its four is, and their mean.
    pub fn halved(&self) -> Frame {
        let mut coarse = Frame::new(self.height.div_ceil(2), self.width.div_ceil(2));
        for y in 0..coarse.height {
            for x in 0..coarse.width {
                let mut sum = [0_u32; 4];
                let mut count = 0;
                // beyond the last row or column lies the margin, which is not visible
                for at in [self.at(2 * y, 2 * x), self.at(2 * y + 1, 2 * x)] {
                    for at in [at, at + 1] {
                        if self.visible[at] {
                            count += 1;
                            for (sum, &value) in sum.iter_mut().zip(&self.pixels[at]) {
                                *sum += u32::from(value);
                            }
                        }
                    }
                }
                if count > 0 {
                    let at = coarse.at(y, x);
                    coarse.visible[at] = true;
                    coarse.pixels[at] = sum.map(|sum| ((2 * sum + count) / (2 * count)) as u8);
                }
            }
        }
        coarse
    }

    /// Steps of a king from every pixel to the nearest visible one, at most 255.
    pub fn distances(&self) -> Vec<u8> {
        let mut steps: Vec<u8> =
            self.visible.iter().map(|&visible| if visible { 0 } else { u8::MAX }).collect();
        let (stride, rows) = (self.stride, self.height + 2 * MARGIN);
        // the margin is never visible, and no way leads through it that is shorter than one inside
        for y in 1..rows {
            for x in 1..stride - 1 {
                let at = y * stride + x;
                let before = [at - 1, at - stride - 1, at - stride, at - stride + 1];
                let nearest = before.iter().fold(u8::MAX, |least, &one| least.min(steps[one]));
                steps[at] = steps[at].min(nearest.saturating_add(1));
            }
        }
        for y in (0..rows - 1).rev() {
            for x in (1..stride - 1).rev() {
                let at = y * stride + x;
                let after = [at + 1, at + stride + 1, at + stride, at + stride - 1];
                let nearest = after.iter().fold(u8::MAX, |least, &one| least.min(steps[one]));
                steps[at] = steps[at].min(nearest.saturating_add(1));
            }
        }
        steps
    }

    /// How far the farthest hidden pixel is from the visible ones.
    pub fn reach(&self) -> u8 {
        let steps = self.distances();
        let inside = |y: usize| self.at(y, 0)..self.at(y, 0) + self.width;
        (0..self.height).flat_map(|y| &steps[inside(y)]).copied().max().unwrap_or(0)
    }

    /// Whether each pixel is the centre of a patch that is wholly visible.
    pub fn sources(&self, radius: usize) -> Vec<bool> {
        let side = 2 * radius + 1;
        let (stride, area) = (self.stride, self.visible.len());
        let mut found = vec![false; area];
        // visible pixels in one line, ending here; rows that follow each other are far enough apart
        // that none of these lines runs on from one into the next: the margin ends them
        let mut wide = vec![false; area];
        let mut run = 0;
        for at in 0..area {
            run = if self.visible[at] { run + 1 } else { 0 };
            wide[at] = run >= side;
        }
        let mut high = vec![0_u8; stride];
        for at in 0..area {
            let run = &mut high[at % stride];
            *run = if wide[at] { (*run + 1).min(side as u8) } else { 0 };
            if usize::from(*run) == side {
                found[at - radius * (stride + 1)] = true;
            }
        }
        found
    }

    /// Whether a hidden pixel is no more than `radius` rows and columns away from each pixel.
    pub fn near_hidden(&self, radius: usize) -> Vec<bool> {
        let mut found = vec![false; self.visible.len()];
        let mut wide = vec![false; self.stride];
        for y in 0..self.height {
            let row = self.at(y, 0);
            wide.fill(false);
            for x in 0..self.width {
                if !self.visible[row + x] {
                    wide[x + MARGIN - radius..=x + MARGIN + radius].fill(true);
                }
            }
            for v in y.saturating_sub(radius)..(y + radius + 1).min(self.height) {
                let row = self.at(v, 0) - MARGIN;
                for (found, &wide) in found[row..row + self.stride].iter_mut().zip(&wide) {
                    *found |= wide;
                }
            }
        }
        found
    }

    /// Whether there are patches enough to choose from.
    pub fn has_sources(&self, radius: usize) -> bool {
        let found = self.sources(radius).iter().filter(|&&source| source).count();
        let visible = self.height * self.width - self.hidden();
        found > 0 && SCARCITY * found >= visible
    }
}
