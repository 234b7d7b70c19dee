//! The first guess at the coarsest level: a membrane stretched over the holes.
//!
//! Cascadic iteration (Bornemann & Deuflhard, Numer. Math. 75, 1996): the guess of half the
//! resolution, smoothed. It need not be exact, but it must be the same to the bit in both backends, and
//! the exact solution of [`crate::algorithms::pde`] is not: a rounding there could tip everything that follows.

use super::frame::Frame;

/// How often every hidden pixel becomes the mean of its neighbours.
const SWEEPS: usize = 16;

/// Fills the hidden pixels; at least one must be visible.
pub(super) fn fill(frame: &mut Frame) {
    if frame.hidden() == 0 {
        return;
    }
    let mut coarse = frame.halved();
    fill(&mut coarse);
    let mut targets = Vec::new();
    let mut values = vec![[0.0_f32; 4]; frame.pixels.len()];
    for y in 0..frame.height {
        for x in 0..frame.width {
            let at = frame.at(y, x);
            let from = if frame.visible[at] {
                frame.pixels[at]
            } else {
                targets.push((at, degree(frame, y, x)));
                coarse.pixels[coarse.at(y / 2, x / 2)]
            };
            values[at] = from.map(f32::from);
        }
    }
    let mut next = values.clone();
    for _ in 0..SWEEPS {
        for &(at, degree) in &targets {
            for c in 0..4 {
                // the margin is zero
                let sum = values[at - frame.stride][c]
                    + values[at + frame.stride][c]
                    + values[at - 1][c]
                    + values[at + 1][c];
                next[at][c] = sum / degree;
            }
        }
        std::mem::swap(&mut values, &mut next);
    }
    for &(at, _) in &targets {
        frame.pixels[at] = values[at].map(|value| (value + 0.5) as u8);
    }
}

/// Number of neighbours inside the image.
fn degree(frame: &Frame, y: usize, x: usize) -> f32 {
    let beyond = [y == 0, y + 1 == frame.height, x == 0, x + 1 == frame.width];
    4.0 - beyond.iter().filter(|&&beyond| beyond).count() as f32
}
