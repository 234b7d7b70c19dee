//! The patches that were found say what is hidden.

use ndarray::ArrayViewMut3;
use rayon::prelude::*;

use super::field::Field;
use super::level::{Level, NONE};
use crate::error::Result;
use crate::host::Host;

/// Targets that one task works on between two looks at the cancel flag.
const TASK: usize = 1 << 10;

/// How much each target's patch counts: more near what is visible, and more if it is like its source.
fn weights(level: &Level, field: &Field) -> Vec<f32> {
    let known: Vec<u32> = field.difference.iter().copied().filter(|&d| d != u32::MAX).collect();
    let spread = spread(known);
    let weight = |((&source, &difference), &trust): ((&u32, &u32), &f32)| {
        if source == NONE {
            0.0
        } else if difference == u32::MAX {
            trust
        } else {
            let likeness = spread / (spread + difference as f32);
            let squared = likeness * likeness;
            trust * (squared * squared)
        }
    };
    field.source.iter().zip(&field.difference).zip(&level.trust).map(weight).collect()
}

/// Nine tenths of the differences are no larger than this.
fn spread(mut differences: Vec<u32>) -> f32 {
    if differences.is_empty() {
        return 1.0;
    }
    let place = 9 * (differences.len() - 1) / 10;
    (*differences.select_nth_unstable(place).1).max(1) as f32
}

/// Every hidden pixel becomes the weighted mean of what the patches over it say.
pub(super) fn cast(level: &mut Level, field: &Field, host: &dyn Host) -> Result<()> {
    let weights = weights(level, field);
    let (stride, radius) = (level.frame.stride, level.radius);
    let mut colours = vec![[0_u8; 4]; level.targets.len()];
    let shared = &*level;
    let tasks = colours.par_chunks_mut(TASK).zip(shared.targets.par_chunks(TASK));
    tasks.try_for_each(|(colours, targets)| {
        host.check()?;
        for (colour, &target) in colours.iter_mut().zip(targets) {
            let target = target as usize;
            if shared.frame.visible[target] {
                continue;
            }
            let (mut sums, mut total) = ([0.0_f32; 4], 0.0_f32);
            // the patch around `target - away` covers it, and so does each of the margin's zeros
            for row in 0..=2 * radius {
                let from = target + radius * stride - row * stride + radius;
                for column in 0..=2 * radius {
                    let number = shared.number[from - column];
                    if number == NONE {
                        continue;
                    }
                    let weight = weights[number as usize];
                    if weight == 0.0 {
                        continue;
                    }
                    let source = shared.frame.pixels[field.source[number as usize] as usize
                        + row * stride
                        + column
                        - radius * (stride + 1)];
                    for (sum, value) in sums.iter_mut().zip(source) {
                        *sum += weight * f32::from(value);
                    }
                    total += weight;
                }
            }
            *colour = if total > 0.0 {
                sums.map(|sum| (sum / total + 0.5) as u8)
            } else {
                shared.frame.pixels[target]
            };
        }
        Ok::<(), crate::error::Error>(())
    })?;
    for (&target, colour) in level.targets.iter().zip(colours) {
        if !level.frame.visible[target as usize] {
            level.frame.pixels[target as usize] = colour;
        }
    }
    Ok(())
}

/// Every hidden pixel of the image itself becomes what the patch says that counts most over it.
pub(super) fn deliver(level: &Level, field: &Field, image: &mut ArrayViewMut3<f32>) {
    for (&target, &source) in level.targets.iter().zip(&field.source) {
        if level.frame.visible[target as usize] {
            continue;
        }
        let (y, x) = level.frame.place(target as usize);
        let (v, u) = level.frame.place(source as usize);
        for c in 0..image.dim().2 {
            image[[y, x, c]] = image[[v, u, c]];
        }
    }
}
