//! Weights by which every part of an image counts: the calmer it is, the more.

use super::plane::Plane;
use super::vectors::{add_squares, blend};

const BLOCK: usize = 8;
pub(super) const FLOOR: f64 = (0.3 / 255.0) * (0.3 / 255.0);
const SATURATION: f64 = 50.0;

/// The weight of every pixel, kept as rows of blocks that are as long as the image is wide.
pub(super) struct Weight {
    pub(super) blocks: Plane,
    pub(super) down: Vec<(usize, f32)>,
    pub(super) included: Option<Plane>,
}

impl Weight {
    pub(super) fn new(weights: &[f32], edges: &[Vec<usize>; 2], included: Option<Plane>) -> Self {
        let across = between(&edges[1]);
        let mut blocks = Plane::new(edges[0].len() - 1, across.len());
        for (y, weights) in weights.chunks_exact(edges[1].len() - 1).enumerate() {
            for (value, &(left, share)) in blocks.row_mut(y).iter_mut().zip(&across) {
                *value = weights[left] * (1.0 - share) + weights[left + 1] * share;
            }
        }
        Self { blocks, down: between(&edges[0]), included }
    }

    pub(super) fn row(&self, y: usize, out: &mut [f32]) {
        let (top, share) = self.down[y];
        blend(self.blocks.row(top), self.blocks.row(top + 1), share, out);
        if let Some(included) = &self.included {
            out.iter_mut().zip(included.row(y)).for_each(|(value, share)| *value *= share);
        }
    }
}

pub(super) fn block_edges(side: usize) -> Vec<usize> {
    let count = (side / BLOCK).max(2);
    (0..=count).map(|i| i * side / count).collect()
}

/// Inverse local power of every block, with less for blocks that are saturated or excluded.
pub(super) fn block_weights(
    high: &Plane,
    included: Option<&Plane>,
    saturated: Option<&Plane>,
    edges: &[Vec<usize>; 2],
) -> Vec<f32> {
    let shape = [edges[0].len() - 1, edges[1].len() - 1];
    let mut energy = near(&block_means(high, edges, add_squares), shape);
    let mut weights = vec![1.0; energy.len()];
    if let Some(included) = included {
        let share = block_means(included, edges, add_values);
        for (energy, near) in energy.iter_mut().zip(near(&share, shape)) {
            *energy /= near.max(0.05);
        }
        weights.iter_mut().zip(share).for_each(|(weight, share)| *weight = share * share);
    }
    if let Some(saturated) = saturated {
        let share = block_means(saturated, edges, add_values);
        for (weight, share) in weights.iter_mut().zip(share) {
            *weight /= (1.0 + SATURATION * share).powi(2);
        }
    }
    let mut sorted = energy.clone();
    let tenth = sorted.len() / 10;
    let calm = *sorted.select_nth_unstable_by(tenth, f64::total_cmp).1;
    let weight =
        |(weight, energy): (f64, f64)| (weight * FLOOR / (energy.max(calm) + FLOOR)) as f32;
    weights.into_iter().zip(energy).map(weight).collect()
}

/// Means over blocks of what `add` adds up of a row.
fn block_means(
    image: &Plane,
    edges: &[Vec<usize>; 2],
    add: fn(&[f32], &[usize], &mut [f64]),
) -> Vec<f64> {
    let columns = edges[1].len() - 1;
    let mut means = vec![0.0; (edges[0].len() - 1) * columns];
    for (down, means) in edges[0].windows(2).zip(means.chunks_exact_mut(columns)) {
        for y in down[0]..down[1] {
            add(image.row(y), &edges[1], means);
        }
        for (across, mean) in edges[1].windows(2).zip(means.iter_mut()) {
            *mean /= ((down[1] - down[0]) * (across[1] - across[0])) as f64;
        }
    }
    means
}

fn add_values(row: &[f32], edges: &[usize], sums: &mut [f64]) {
    for (ends, sum) in edges.windows(2).zip(sums) {
        *sum += f64::from(row[ends[0]..ends[1]].iter().sum::<f32>());
    }
}

/// Mean of each block and its eight neighbours.
fn near(values: &[f64], [rows, columns]: [usize; 2]) -> Vec<f64> {
    let three = |i: usize, count: usize| [i.saturating_sub(1), i, (i + 1).min(count - 1)];
    let mut means = Vec::with_capacity(values.len());
    for y in 0..rows {
        for x in 0..columns {
            let row = |y: usize| three(x, columns).iter().map(|&x| values[y * columns + x]).sum();
            let sum: f64 = three(y, rows).iter().map(|&y| -> f64 { row(y) }).sum();
            means.push(sum / 9.0);
        }
    }
    means
}

/// The block to the left of every pixel and the share of the next one.
fn between(edges: &[usize]) -> Vec<(usize, f32)> {
    let centres: Vec<f64> =
        edges.windows(2).map(|ends| (ends[0] + ends[1] - 1) as f64 / 2.0).collect();
    let mut left = 0;
    (0..edges[edges.len() - 1])
        .map(|place| {
            let place = place as f64;
            while left + 2 < centres.len() && centres[left + 1] <= place {
                left += 1;
            }
            let share = (place - centres[left]) / (centres[left + 1] - centres[left]);
            (left, share.clamp(0.0, 1.0) as f32)
        })
        .collect()
}
