//! From what the network says of its errors to sigma.

/// A piecewise linear map from the network's scale to the logarithm of sigma, constant outside.
pub(super) struct Calibration {
    log_scale: Vec<f64>,
    log_sigma: Vec<f64>,
    /// Rise over run, behind each knot.
    slope: Vec<f64>,
}

impl Calibration {
    pub fn new(log_scale: &[f32], log_sigma: &[f32]) -> Self {
        let widen = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
        let (log_scale, log_sigma) = (widen(log_scale), widen(log_sigma));
        let runs = log_scale.windows(2).zip(log_sigma.windows(2));
        let slope = runs.map(|(x, y)| (y[1] - y[0]) / (x[1] - x[0])).collect();
        Self { log_scale, log_sigma, slope }
    }

    /// All numbers in a row, as the kernel wants them; the last knot has no slope.
    #[cfg(feature = "cuda")]
    pub fn table(&self) -> Vec<f64> {
        [&self.log_scale[..], &self.log_sigma, &self.slope, &[0.0]].concat()
    }

    pub fn sigma(&self, log_scale: f32) -> f32 {
        let x = f64::from(log_scale);
        if x.is_nan() {
            return f32::NAN; // not below all knots
        }
        let behind = self.log_scale.partition_point(|&knot| knot <= x);
        let log_sigma = if behind == 0 {
            self.log_sigma[0]
        } else if behind == self.log_scale.len() {
            self.log_sigma[behind - 1]
        } else {
            let knot = behind - 1;
            self.log_sigma[knot] + self.slope[knot] * (x - self.log_scale[knot])
        };
        log_sigma.exp() as f32
    }
}
