//! What the autonomous engine predicts next: an integer priority for every patch, larger first.

use ndarray::{Array3, ArrayView2};

use super::patches::PatchGrid;
use super::uncertainty::interpolate_cells;

/// A rule that chooses patches; `Adaptive` stands for one of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// What measured best.
    Adaptive,
    /// In seeded order.
    Random,
    /// Most known neighbours first.
    EdgeGuided,
    /// Most detail nearby first.
    ContentAware,
    /// Largest predicted uncertainty first.
    UncertaintyGuided,
    /// Coarse lattice first.
    ProgressiveRefinement,
}

impl Strategy {
    /// All of them, by the names that users know.
    pub const NAMED: [(&'static str, Self); 6] = [
        ("adaptive", Self::Adaptive),
        ("random", Self::Random),
        ("edge_guided", Self::EdgeGuided),
        ("content_aware", Self::ContentAware),
        ("uncertainty_guided", Self::UncertaintyGuided),
        ("progressive_refinement", Self::ProgressiveRefinement),
    ];

    /// The name that users know.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, one)| *one == self).map_or("adaptive", |(name, _)| name)
    }

    /// What `Adaptive` stands for; see the reference for why.
    #[must_use]
    pub fn concrete(self, open_book: bool, windowed: bool) -> Self {
        match (self, open_book, windowed) {
            (Self::Adaptive, true, _) => Self::UncertaintyGuided,
            (Self::Adaptive, false, false) => Self::ProgressiveRefinement,
            (Self::Adaptive, false, true) => Self::EdgeGuided,
            (other, ..) => other,
        }
    }
}

/// Variances are compared in steps of 1 / `VARIANCE_STEPS`.
const VARIANCE_STEPS: f64 = (1_u64 << 36) as f64;

/// The priority of every patch under a concrete strategy. `variance` and `variogram` are asked for
/// only where they are looked at.
pub fn priorities(
    strategy: Strategy,
    grid: &PatchGrid,
    waiting: &[bool],
    variance: ArrayView2<f32>,
    variogram: impl FnOnce() -> Array3<f64>,
) -> Vec<i64> {
    let (rows, cols) = (grid.rows(), grid.cols());
    match strategy {
        Strategy::Adaptive | Strategy::Random => vec![0; grid.count()],
        Strategy::EdgeGuided => (0..grid.count())
            .map(|patch| {
                let (row, col) = (patch / cols, patch % cols);
                let mut known = 0;
                for y in row.saturating_sub(1)..(row + 2).min(rows) {
                    for x in col.saturating_sub(1)..(col + 2).min(cols) {
                        known += i64::from((y, x) != (row, col) && !waiting[y * cols + x]);
                    }
                }
                known
            })
            .collect(),
        Strategy::ContentAware => {
            let cells = variogram();
            let lag_one = cells.index_axis(ndarray::Axis(0), 0);
            (0..grid.count())
                .map(|patch| {
                    let middle =
                        |line: usize, end: usize| (line * grid.size + grid.size / 2).min(end - 1);
                    let y = middle(patch / cols, grid.height);
                    let x = middle(patch % cols, grid.width);
                    (interpolate_cells(lag_one, y, x) * VARIANCE_STEPS).floor() as i64
                })
                .collect()
        }
        Strategy::UncertaintyGuided => {
            let steps = grid.sums(variance, |v| (f64::from(v) * VARIANCE_STEPS).floor() as i64);
            let unsure = grid.sums(variance, |v| i64::from(v > 0.0));
            steps.iter().zip(unsure).map(|(sum, count)| sum / count.max(1)).collect()
        }
        Strategy::ProgressiveRefinement => {
            let level = |line: usize| if line == 0 { 40 } else { i64::from(line.trailing_zeros()) };
            (0..grid.count()).map(|patch| level(patch / cols).min(level(patch % cols))).collect()
        }
    }
}
