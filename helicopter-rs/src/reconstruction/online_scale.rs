//! Learns within the image by how much errors differ from what was predicted.

/// Fitted constants; see `helicopter.models.UncertaintyModel`.
#[derive(Clone, Debug)]
pub struct UncertaintyModel {
    /// Weights of (1, `V_1`, `V_4`, `V_16`) in the error variance, by distance to what is visible (at most 128).
    pub variance_table: Vec<[f64; 4]>,
    /// Mean of ln(patch MAE / root mean predicted variance) one pixel from what is visible.
    pub log_mae_offset: f64,
    /// Its slope over the logarithm of the mean distance from what is visible.
    pub log_mae_distance: f64,
    /// Its standard deviation within one image.
    pub log_mae_spread: f64,
    /// Standard deviation of its mean from image to image.
    pub log_mae_prior: f64,
}

/// A patch is called right when its mean absolute error is at most this, on the [0, 1] scale.
const RIGHT: f64 = 0.05;
/// Errors below this count as this when their logarithm is taken.
const LEAST_MAE: f64 = 1e-4;
/// Confidence follows a shift only beyond this many prior deviations; the reference says why.
const ORDINARY: f64 = 2.0;

/// The normal posterior of an image's own shift of ln(patch MAE); see the reference.
#[derive(Clone, Debug)]
pub struct OnlineScale {
    offset: f64,
    distance: f64,
    spread: f64,
    prior: f64,
    count: f64,
    total: f64,
}

impl OnlineScale {
    /// Before anything has been scored.
    #[must_use]
    pub fn new(model: &UncertaintyModel) -> Self {
        Self {
            offset: model.log_mae_offset,
            distance: model.log_mae_distance,
            spread: model.log_mae_spread,
            prior: model.log_mae_prior,
            count: 0.0,
            total: 0.0,
        }
    }

    /// Learns from one scored patch of this predicted mean variance and mean distance.
    pub fn add(&mut self, (variance, distance): (f64, f64), mae: f64) {
        self.total += mae.max(LEAST_MAE).ln() - self.expected(variance, distance);
        self.count += 1.0;
    }

    /// Mean ln MAE of such patches over all images.
    fn expected(&self, variance: f64, distance: f64) -> f64 {
        0.5 * variance.ln() + self.offset + self.distance * distance.ln()
    }

    fn shift(&self) -> f64 {
        let ratio = self.spread / self.prior;
        self.total / (self.count + ratio * ratio)
    }

    /// By how much predicted variances are to be multiplied.
    #[must_use]
    pub fn variance_factor(&self) -> f64 {
        (2.0 * self.shift()).exp()
    }

    /// Probability that a patch of this predicted mean variance and mean distance is right.
    #[must_use]
    pub fn confidence(&self, (variance, distance): (f64, f64)) -> f64 {
        let beyond = (self.shift().abs() - ORDINARY * self.prior).max(0.0);
        let expected = self.expected(variance, distance) + beyond.copysign(self.shift());
        let z =
            (RIGHT.ln() - expected) / (self.spread * self.spread + self.prior * self.prior).sqrt();
        0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
    }
}
