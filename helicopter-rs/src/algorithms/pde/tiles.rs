//! Components beyond every budget: alternating Schwarz iteration (Schwarz 1870; Lions 1988) over
//! overlapping tiles.
//!
//! The image itself holds the iterate: a tile is solved exactly with everything outside it, hidden or
//! not, taken as known. Sweeps stop when no pixel changes by more than a tolerance. With a mask that lets visible
//! pixels through everywhere two or three sweeps suffice. A single hole wider than several tiles
//! converges slowly, and what is left after the last sweep is an error of long wavelength.

use super::bitmap::Bitmap;
use super::components::Component;
use super::{fill, Picture};
use crate::error::Result;
use crate::host::Host;

/// Side of the tiles' cores and the overlap on every side.
struct Tiling {
    core: usize,
    overlap: usize,
}

const MOST_SWEEPS: usize = 12;
const TOLERANCE: f32 = 2e-6;
/// Side of the cells whose mean is the first guess.
const CELL: usize = 8;

/// Whether visible pixels lie everywhere between the component's: hardly any cell is completely hidden.
pub(super) fn is_porous(component: &Component, hidden: &Bitmap) -> bool {
    let (mut cells, mut full) = (0_usize, 0_usize);
    for y in (component.top as usize..component.bottom as usize).step_by(2 * CELL) {
        for x in (component.left as usize..component.right as usize).step_by(2 * CELL) {
            let ones = (1_u64 << (2 * CELL)) - 1;
            let row =
                |y: usize| if y < hidden.height { hidden.word_at(y, x as isize) & ones } else { 0 };
            let any = (y..y + 2 * CELL).any(|y| row(y) != 0);
            cells += usize::from(any);
            full += usize::from(any && (y..y + 2 * CELL).all(|y| row(y) == ones));
        }
    }
    full * 100 < cells
}

/// Fills one component, without clipping.
pub(super) fn solve_component(
    picture: &mut Picture,
    component: &Component,
    porous: bool,
    host: &dyn Host,
) -> Result<()> {
    let tiling = if porous {
        Tiling { core: 448, overlap: 32 }
    } else {
        Tiling { core: 2048, overlap: 256 }
    };
    let mut own = Bitmap::new(picture.operator.height as usize, picture.operator.width as usize);
    for run in &component.runs {
        own.set_run(run.y as usize, run.from as usize, run.to as usize);
    }
    first_guess(picture, component, host)?;
    let mut tile = Bitmap::new(own.height, own.width);
    let (top, left) = (component.top as usize, component.left as usize);
    let (bottom, right) = (component.bottom as usize, component.right as usize);
    for sweep in 0..MOST_SWEEPS {
        let mut change = 0.0_f32;
        // Every other sweep backwards, so that news travels in both directions.
        let mut corners: Vec<(usize, usize)> = (top..bottom)
            .step_by(tiling.core)
            .flat_map(|y| (left..right).step_by(tiling.core).map(move |x| (y, x)))
            .collect();
        if sweep % 2 == 1 {
            corners.reverse();
        }
        for (y, x) in corners {
            let rows = y.saturating_sub(tiling.overlap).max(top)
                ..(y + tiling.core + tiling.overlap).min(bottom);
            let columns = x.saturating_sub(tiling.overlap).max(left)
                ..(x + tiling.core + tiling.overlap).min(right);
            for row in rows.clone() {
                for word in columns.start / 64..columns.end.div_ceil(64) {
                    let ones = super::bitmap::ones_between(word, columns.start, columns.end);
                    tile.bits[row * tile.words + word] = own.bits[row * own.words + word] & ones;
                }
            }
            change = change.max(fill(picture, &tile, rows.clone(), false, host)?);
            for row in rows {
                tile.bits[row * tile.words..(row + 1) * tile.words].fill(0);
            }
        }
        if change <= TOLERANCE {
            break;
        }
    }
    Ok(())
}

/// Means of the visible pixels of cells; empty cells take the mean of larger and larger cells.
fn first_guess(picture: &mut Picture, component: &Component, host: &dyn Host) -> Result<()> {
    let channels = picture.channels;
    let (top, left) = (component.top as usize, component.left as usize);
    let (height, width) = (component.height(), component.width());
    let image_width = picture.operator.width as usize;
    // The rectangle contains visible pixels, or it is surrounded by them: look one pixel further.
    let mut size = (height.div_ceil(CELL) + 2, width.div_ceil(CELL) + 2);
    let mut sums = vec![0.0_f64; size.0 * size.1 * (channels + 1)];
    for row in 0..height + 2 {
        host.check()?;
        let Some(y) = (top + row).checked_sub(1).filter(|&y| y < picture.operator.height as usize)
        else {
            continue;
        };
        for column in 0..width + 2 {
            let Some(x) = (left + column).checked_sub(1).filter(|&x| x < image_width) else {
                continue;
            };
            if !picture.hidden.get(y, x) {
                let cell = (channels + 1) * (row.div_ceil(CELL) * size.1 + column.div_ceil(CELL));
                for c in 0..channels {
                    sums[cell + c] +=
                        f64::from(picture.image[channels * (y * image_width + x) + c]);
                }
                sums[cell + channels] += 1.0;
            }
        }
    }
    let mut pyramid = vec![(size, sums)];
    while size.0 > 1 || size.1 > 1 {
        host.check()?;
        let Some((_, fine)) = pyramid.last() else { break };
        let next = (size.0.div_ceil(2), size.1.div_ceil(2));
        let mut coarse = vec![0.0; next.0 * next.1 * (channels + 1)];
        for y in 0..size.0 {
            for x in 0..size.1 {
                for c in 0..=channels {
                    coarse[(channels + 1) * (y / 2 * next.1 + x / 2) + c] +=
                        fine[(channels + 1) * (y * size.1 + x) + c];
                }
            }
        }
        pyramid.push((next, coarse));
        size = next;
    }
    for run in &component.runs {
        host.check()?;
        for x in run.from as usize..run.to as usize {
            let (mut y_cell, mut x_cell) =
                ((run.y as usize - top + CELL) / CELL, (x - left + CELL) / CELL);
            for ((_, columns), sums) in &pyramid {
                let cell = (channels + 1) * (y_cell * columns + x_cell);
                let count = sums[cell + channels];
                if count > 0.0 {
                    for c in 0..channels {
                        picture.image[channels * (run.y as usize * image_width + x) + c] =
                            (sums[cell + c] / count) as f32;
                    }
                    break;
                }
                (y_cell, x_cell) = (y_cell / 2, x_cell / 2);
            }
        }
    }
    Ok(())
}
