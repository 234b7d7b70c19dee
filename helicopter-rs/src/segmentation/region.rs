//! A set of pixels that grows, and Ward's criterion: by how much the spread grows when two become one.

/// What must be known of a set of pixels to compare it with others.
#[derive(Debug, Clone, Copy, Default)]
pub struct Region {
    /// Number of pixels.
    pub count: f64,
    /// Means of their features.
    pub mean: [f64; 3],
    /// Mean row and column.
    pub place: [f64; 2],
}

impl Region {
    /// The increase of the sum of squared deviations from the mean, features and `spatial` times the
    /// place, if the two were one (Ward, "Hierarchical grouping to optimize an objective function",
    /// Journal of the American Statistical Association 58, 1963).
    #[inline(always)]
    pub fn cost(&self, other: &Self, spatial: f64) -> f32 {
        let [a, b, c]: [f64; 3] = std::array::from_fn(|k| self.mean[k] - other.mean[k]);
        let [y, x]: [f64; 2] = std::array::from_fn(|k| self.place[k] - other.place[k]);
        let weight = self.count * other.count / (self.count + other.count);
        (weight * ((a * a + b * b + c * c) + spatial * (y * y + x * x))) as f32
    }

    /// The two as one.
    #[inline(always)]
    pub fn with(&self, other: &Self) -> Self {
        let count = self.count + other.count;
        let mix = |a: f64, b: f64| (self.count * a + other.count * b) / count;
        Self {
            count,
            mean: std::array::from_fn(|k| mix(self.mean[k], other.mean[k])),
            place: std::array::from_fn(|k| mix(self.place[k], other.place[k])),
        }
    }
}
