//! What the loop predicts its patches from, and with which uncertainty.

use ndarray::{s, Array2, Array3, ArrayView2, ArrayView3, Axis, Zip};
use rayon::prelude::*;

use super::{Algorithm, Loop};
use crate::algorithms::pde;
use crate::error::Result;
use crate::reconstruction::patches::Rectangle;
use crate::reconstruction::uncertainty::{hidden_distance, hidden_variance};

/// Where nothing at all is visible, grey is predicted, with the variance of a uniform law.
const BLANK: f32 = 0.5;
const BLANK_VARIANCE: f32 = 1.0 / 12.0;
/// A certain prediction would have no logarithm.
const LEAST_VARIANCE: f32 = 1e-12;

/// A predicted image, the variance of its errors, and how far from what was seen they are.
pub(super) struct Predicted {
    mean: Array3<f32>,
    pub variance: Array2<f32>,
    distance: Array2<f32>,
}

impl Loop<'_> {
    /// Predicts the variance of everything that has not truly been seen, once per state of that.
    pub(super) fn ensure_base_variance(&mut self) -> Result<()> {
        if self.base_variance.is_none() {
            let variance =
                hidden_variance(self.context.view(), self.unseen.view(), self.model, self.host)?;
            self.base_variance = Some(variance);
        }
        Ok(())
    }

    /// Predicts all that is hidden from all that is visible, once per state of the context.
    pub(super) fn predict_everything(&mut self) -> Result<()> {
        if self.standing.is_some() {
            return Ok(());
        }
        let (mean, sigma) = self.mean_of(self.context.view(), self.hidden.view())?;
        let variance = if let Some(variance) = sigma {
            variance
        } else {
            self.ensure_base_variance()?;
            self.base_variance.clone().unwrap_or_default()
        };
        let distance = hidden_distance(self.unseen.view(), self.host)?;
        self.standing = Some(Predicted { mean, variance, distance });
        Ok(())
    }

    /// Predicts what is hidden in a part of the image from the visible rest of that part.
    fn predict_window(&self, (rows, cols): Rectangle) -> Result<Predicted> {
        let part = s![rows.clone(), cols.clone(), ..];
        let plane = s![rows, cols];
        let (context, hidden) = (self.context.slice(part), self.hidden.slice(plane));
        let unseen = self.unseen.slice(plane);
        let distance = hidden_distance(unseen, self.host)?;
        let (mean, sigma) = self.mean_of(context, hidden)?;
        let variance = match sigma {
            Some(variance) => variance,
            None => hidden_variance(context, unseen, self.model, self.host)?,
        };
        Ok(Predicted { mean, variance, distance })
    }

    /// The prediction, and its variance where the algorithm states one itself.
    fn mean_of(
        &self,
        context: ArrayView3<f32>,
        hidden: ArrayView2<bool>,
    ) -> Result<(Array3<f32>, Option<Array2<f32>>)> {
        if hidden.iter().all(|&hidden| hidden) {
            let variance = Array2::from_elem(hidden.dim(), BLANK_VARIANCE);
            return Ok((Array3::from_elem(context.dim(), BLANK), Some(variance)));
        }
        let mut mean = context.as_standard_layout().into_owned();
        match self.algorithm {
            Algorithm::Pde(kind) => {
                pde::solve(mean.view_mut(), hidden, *kind, self.host)?;
                Ok((mean, None))
            }
            Algorithm::Network(network) => {
                let sigma = network.predict(mean.view_mut(), hidden, self.host)?;
                Ok((mean, Some(sigma.mapv(|sigma| sigma * sigma))))
            }
            Algorithm::Kernel => {
                let answer = self.host.kernel(mean, hidden.as_standard_layout().into_owned())?;
                let square =
                    |sigma: Array3<f32>| sigma.index_axis(Axis(2), 0).mapv(|sigma| sigma * sigma);
                Ok((answer.mean, answer.sigma.map(square)))
            }
        }
    }

    /// Stores the predictions of the still hidden pixels of `patches`, with their uncertainty.
    pub(super) fn predict(&mut self, patches: &[usize]) -> Result<()> {
        if patches.is_empty() {
            return Ok(());
        }
        let Some(side) = self.options.context_size else {
            self.predict_everything()?;
            if let Some(standing) = self.standing.take() {
                for &patch in patches {
                    let (rows, cols) = self.grid.rectangle(patch);
                    self.store(patch, &standing, (rows.start, cols.start));
                }
                self.standing = Some(standing);
            }
            return Ok(());
        };
        let one = |&patch: &usize| {
            self.host.check()?;
            let window = self.grid.window(patch, side);
            let (rows, cols) = self.grid.rectangle(patch);
            let inside = (rows.start - window.0.start, cols.start - window.1.start);
            Ok((self.predict_window(window)?, inside))
        };
        let windows: Vec<_> = if matches!(self.algorithm, Algorithm::Kernel) {
            // the user's code runs patch after patch, as in the reference
            patches.iter().map(one).collect::<Result<_>>()?
        } else {
            // windows of one batch look at the same context, so they may be solved side by side
            patches.par_iter().map(one).collect::<Result<_>>()?
        };
        for (&patch, (predicted, inside)) in patches.iter().zip(&windows) {
            self.store(patch, predicted, *inside);
        }
        Ok(())
    }

    /// Takes the pixels of `patch` over from a prediction whose part of it begins at `inside`.
    fn store(&mut self, patch: usize, predicted: &Predicted, inside: (usize, usize)) {
        let (rows, cols) = self.grid.rectangle(patch);
        let factor = self.scale.variance_factor() as f32;
        let (mut variances, mut distances, mut count) = (0.0, 0.0, 0.0_f64);
        for (dy, y) in rows.enumerate() {
            let across = inside.1..inside.1 + cols.len();
            let from = s![inside.0 + dy, across.clone()];
            let from_mean = predicted.mean.slice(s![inside.0 + dy, across, ..]);
            let open =
                &self.hidden.slice(s![y, cols.clone()]) & &self.own.slice(s![y, cols.clone()]);
            let mut to_mean = self.prediction.slice_mut(s![y, cols.clone(), ..]);
            Zip::from(to_mean.rows_mut())
                .and(from_mean.rows())
                .and(self.variance.slice_mut(s![y, cols.clone()]))
                .and(predicted.variance.slice(from))
                .and(predicted.distance.slice(from))
                .and(&open)
                .for_each(|mut to_mean, from_mean, to_variance, &variance, &distance, &open| {
                    if open {
                        let base = variance.max(LEAST_VARIANCE);
                        variances += f64::from(base);
                        distances += f64::from(distance);
                        count += 1.0;
                        *to_variance = base * factor;
                        to_mean.iter_mut().zip(from_mean).for_each(|(to, &from)| *to = from);
                    }
                });
        }
        if self.stated[patch].is_none() {
            // a confidence is stated once, before the score
            let stated = (variances / count, distances / count);
            self.confidence[patch] = self.scale.confidence(stated);
            self.stated[patch] = Some(stated);
        }
    }
}
