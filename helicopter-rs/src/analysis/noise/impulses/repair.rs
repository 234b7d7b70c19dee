//! Hits replaced by values from around them.

use ndarray::{Array3, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::host::Host;

/// Where the value that replaces a hit may come from: this far away in rows and columns.
const REACH: isize = 2;

/// Replaces the pixels in `mask` by one of their neighbours each, picked as if by lot.
///
/// # Errors
///
/// [`crate::error::Error::Cancelled`].
pub fn repair(
    pixels: ArrayView3<f32>,
    mask: ArrayView2<bool>,
    included: Option<ArrayView2<bool>>,
    host: &dyn Host,
) -> Result<Array3<f32>> {
    let (height, width) = mask.dim();
    let side = 2 * REACH + 1;
    let donors: Vec<(isize, isize)> = (-REACH..=REACH)
        .flat_map(|y| (-REACH..=REACH).map(move |x| (y, x)))
        .filter(|&place| place != (0, 0))
        .collect();
    debug_assert_eq!(donors.len() as isize, side * side - 1);
    let mut out = pixels.to_owned();
    out.axis_iter_mut(Axis(0)).into_par_iter().enumerate().try_for_each(|(y, mut row)| {
        host.check()?;
        for x in (0..width).filter(|&x| mask[[y, x]]) {
            let start = lot(y, x, donors.len());
            let places = donors[start..].iter().chain(&donors[..start]);
            let mut near = places.filter_map(|&(dy, dx)| {
                let place = (y.checked_add_signed(dy)?, x.checked_add_signed(dx)?);
                let inside = place.0 < height && place.1 < width;
                let good = |place| !mask[place] && included.is_none_or(|included| included[place]);
                (inside && good(place)).then_some(place)
            });
            if let Some((from_y, from_x)) = near.next() {
                row.index_axis_mut(Axis(0), x).assign(&pixels.slice(ndarray::s![
                    from_y,
                    from_x,
                    ..
                ]));
            }
        }
        Ok::<_, Error>(())
    })?;
    Ok(out)
}

/// A number below `count` for every place, without a pattern.
fn lot(y: usize, x: usize, count: usize) -> usize {
    let mut word = (y as u32).wrapping_mul(0x9E37_79B1) ^ (x as u32).wrapping_mul(0x85EB_CA77);
    word ^= word >> 15;
    word = word.wrapping_mul(0x2C1B_3C6D);
    word ^= word >> 12;
    word as usize % count
}
