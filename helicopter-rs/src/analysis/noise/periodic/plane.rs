//! Images of one value a pixel, and the filters that part them into octaves.

use super::vectors::{halve_line, halve_rows, less_smooth, smooth_rows};

/// Rows of equal length.
#[derive(Clone)]
pub(super) struct Plane {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) data: Vec<f32>,
}

impl Plane {
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        Self { rows, columns, data: vec![0.0; rows * columns] }
    }

    pub(super) fn row(&self, y: usize) -> &[f32] {
        &self.data[y * self.columns..][..self.columns]
    }

    pub(super) fn row_mut(&mut self, y: usize) -> &mut [f32] {
        &mut self.data[y * self.columns..][..self.columns]
    }
}

/// The low-passed image at half the resolution.
pub(super) fn halved(image: &Plane) -> Plane {
    let (rows, columns) = (image.rows / 2, image.columns / 2);
    let mut half = Plane::new(rows, columns);
    let mut line = vec![0.0; image.columns + 4];
    let (mut even, mut odd) = (vec![0.0; columns + 2], vec![0.0; columns + 2]);
    for y in 0..rows {
        let source = |k: usize| image.row((2 * y + k).saturating_sub(2).min(image.rows - 1));
        let taps: [&[f32]; 6] = std::array::from_fn(source);
        halve_rows(taps, &mut line[2..2 + image.columns]);
        pad(&mut line);
        halve_line(&line, &mut even, &mut odd, half.row_mut(y));
    }
    half
}

/// Repeats the ends of a line into its two margins of two.
fn pad(line: &mut [f32]) {
    let last = line.len() - 3;
    let (left, right) = (line[2], line[last]);
    line[..2].fill(left);
    line[last + 1..].fill(right);
}

pub(super) fn pooled(share: &Plane) -> Plane {
    let mut half = Plane::new(share.rows / 2, share.columns / 2);
    for y in 0..half.rows {
        let (top, bottom) = (share.row(2 * y), share.row(2 * y + 1));
        for (x, value) in half.row_mut(y).iter_mut().enumerate() {
            let sum = top[2 * x] + top[2 * x + 1] + bottom[2 * x] + bottom[2 * x + 1];
            *value = sum / 4.0;
        }
    }
    half
}

/// The image less its binomial mean.
pub(super) fn high_passed(image: &Plane) -> Plane {
    let mut high = Plane::new(image.rows, image.columns);
    let mut line = vec![0.0; image.columns + 4];
    for y in 0..image.rows {
        let source = |k: usize| image.row((y + k).saturating_sub(2).min(image.rows - 1));
        let taps: [&[f32]; 5] = std::array::from_fn(source);
        smooth_rows(taps, &mut line[2..2 + image.columns]);
        pad(&mut line);
        less_smooth(image.row(y), &line, high.row_mut(y));
    }
    high
}
