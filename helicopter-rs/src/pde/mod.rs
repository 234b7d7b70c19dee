//! Filling hidden pixels by solving a partial differential equation exactly.

use ndarray::{ArrayView2, ArrayViewMut3};
use thiserror::Error;

mod bitmap;
mod cholesky;
mod components;
mod direct;
mod kernels;
mod lanes;
mod ordering;
mod stencil;

pub use stencil::Kind;

use bitmap::Bitmap;
use components::{Component, Finder};
use ordering::Cost;
use stencil::Operator;

/// The caller's way to stop a computation.
pub trait Control: Sync {
    /// Whether the caller no longer wants the result.
    fn cancelled(&self) -> bool;
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PdeError {
    /// `Control::cancelled` said so. Some hidden pixels may be filled already.
    #[error("cancelled")]
    Cancelled,
    /// Image and mask do not fit together.
    #[error("the image must have the size of the mask, and 1 or 3 channels")]
    Shape,
    /// Cannot happen while there is a visible pixel whose values are finite.
    #[error("the equations have no unique solution")]
    NotPositiveDefinite,
}

/// What all components of one call share.
struct Field<'a> {
    operator: Operator,
    channels: usize,
    hidden: &'a Bitmap,
    image: &'a [f32],
}

/// Fills the pixels that `mask` marks with the solution of the equation `kind`.
pub fn solve(
    mut image: ArrayViewMut3<f32>,
    mask: ArrayView2<bool>,
    kind: Kind,
    control: &dyn Control,
) -> Result<(), PdeError> {
    let (height, width, channels) = image.dim();
    if mask.dim() != (height, width) || !(channels == 1 || channels == 3) {
        return Err(PdeError::Shape);
    }
    if let Some(pixels) = image.as_slice_mut() {
        return solve_pixels(pixels, channels, mask, kind, control);
    }
    let mut copy: Vec<f32> = image.iter().copied().collect();
    solve_pixels(&mut copy, channels, mask, kind, control)?;
    image.iter_mut().zip(copy).for_each(|(pixel, value)| *pixel = value);
    Ok(())
}

fn solve_pixels(
    image: &mut [f32],
    channels: usize,
    mask: ArrayView2<bool>,
    kind: Kind,
    control: &dyn Control,
) -> Result<(), PdeError> {
    let (height, width) = mask.dim();
    let hidden = Bitmap::from_mask(mask);
    let operator = Operator { kind, height: height as i32, width: width as i32 };
    let mut finder = Finder::new(kind);
    let mut batch = Vec::new();
    let mut done = |component: Component| batch.push(component);
    for y in 0..height {
        finder.push_row(y as u32, hidden.row(y), &mut done);
    }
    finder.finish(height as u32, &mut done);
    let field = Field { operator, channels, hidden: &hidden, image };
    let limit = Cost { factor_len: usize::MAX, work: f64::INFINITY };
    let results = direct::solve_batch(&field, &batch, limit, control)?;
    for (component, values) in batch.iter().zip(results) {
        let Some(values) = values else { continue };
        let mut rest = values.as_slice();
        for run in &component.runs {
            let from = channels * (run.y as usize * width + run.from as usize);
            let (now, later) = rest.split_at(channels * (run.to - run.from) as usize);
            image[from..from + now.len()].copy_from_slice(now);
            rest = later;
        }
    }
    Ok(())
}
