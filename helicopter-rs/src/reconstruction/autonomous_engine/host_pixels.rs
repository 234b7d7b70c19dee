//! The pixels of a loop in the memory of the host: what patches are predicted from, and with which
//! uncertainty.

use ndarray::{s, Array2, Array3, ArrayView2, ArrayView3, Axis, Zip};
use rayon::prelude::*;

use super::{Algorithm, Measured, Options, Pixels, Stated, UncertaintyModel};
use crate::algorithms::pde;
use crate::error::Result;
use crate::host::Host;
use crate::reconstruction::patches::{PatchGrid, Rectangle};
use crate::reconstruction::strategies::{priorities, Strategy};
use crate::reconstruction::uncertainty::{hidden_distance, hidden_variance, local_variogram};

/// Where nothing at all is visible, grey is predicted, with the variance of a uniform law.
pub(in crate::reconstruction) const BLANK: f32 = 0.5;
pub(in crate::reconstruction) const BLANK_VARIANCE: f32 = 1.0 / 12.0;
/// A certain prediction would have no logarithm.
const LEAST_VARIANCE: f32 = 1e-12;

/// A predicted image, the variance of its errors, and how far from what was seen they are.
struct Predicted {
    mean: Array3<f32>,
    variance: Array2<f32>,
    distance: Array2<f32>,
}

/// `context` and `hidden` are what predictions may be made from.
pub(in crate::reconstruction) struct HostPixels<'a> {
    pub image: ArrayView3<'a, f32>,
    missing: ArrayView2<'a, bool>,
    own: ArrayView2<'a, bool>,
    algorithm: &'a Algorithm,
    options: &'a Options,
    model: &'a UncertaintyModel,
    host: &'a dyn Host,
    grid: PatchGrid,
    pub hidden: Array2<bool>,
    /// What has never truly been seen; differs from `hidden` when the book is closed.
    unseen: Array2<bool>,
    pub context: Array3<f32>,
    pub prediction: Array3<f32>,
    pub variance: Array2<f32>,
    standing: Option<Predicted>,
    base_variance: Option<Array2<f32>>,
}

impl<'a> HostPixels<'a> {
    /// The masks are what is missing, whose pixels are predicted, and what is hidden.
    pub fn new(
        image: ArrayView3<'a, f32>,
        (missing, own, hidden): (ArrayView2<'a, bool>, ArrayView2<'a, bool>, &Array2<bool>),
        grid: PatchGrid,
        algorithm: &'a Algorithm,
        options: &'a Options,
        model: &'a UncertaintyModel,
        host: &'a dyn Host,
    ) -> Self {
        let mut context = image.to_owned();
        for (mut pixel, &hidden) in context.lanes_mut(Axis(2)).into_iter().zip(hidden) {
            if hidden {
                pixel.fill(0.0);
            }
        }
        Self {
            image,
            missing,
            own,
            algorithm,
            options,
            model,
            host,
            grid,
            hidden: hidden.clone(),
            unseen: hidden.clone(),
            prediction: context.clone(),
            context,
            variance: Array2::zeros(missing.dim()),
            standing: None,
            base_variance: None,
        }
    }

    /// Predicts the variance of everything that has not truly been seen, once per state of that.
    fn ensure_base_variance(&mut self) -> Result<()> {
        if self.base_variance.is_none() {
            let variance =
                hidden_variance(self.context.view(), self.unseen.view(), self.model, self.host)?;
            self.base_variance = Some(variance);
        }
        Ok(())
    }

    /// Predicts all that is hidden from all that is visible, once per state of the context.
    fn predict_everything(&mut self) -> Result<()> {
        if self.standing.is_some() {
            return Ok(());
        }
        let (mean, sigma) =
            mean_of(self.algorithm, self.context.view(), self.hidden.view(), self.host)?;
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
        let (mean, sigma) = mean_of(self.algorithm, context, hidden, self.host)?;
        let variance = match sigma {
            Some(variance) => variance,
            None => hidden_variance(context, unseen, self.model, self.host)?,
        };
        Ok(Predicted { mean, variance, distance })
    }

    /// Takes the pixels of `patch` over from a prediction whose part of it begins at `inside`.
    fn store(
        &mut self,
        patch: usize,
        predicted: &Predicted,
        inside: (usize, usize),
        factor: f32,
    ) -> Stated {
        let (rows, cols) = self.grid.rectangle(patch);
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
        (variances / count, distances / count)
    }
}

/// The prediction, and its variance where the algorithm states one itself.
pub(in crate::reconstruction) fn mean_of(
    algorithm: &Algorithm,
    context: ArrayView3<f32>,
    hidden: ArrayView2<bool>,
    host: &dyn Host,
) -> Result<(Array3<f32>, Option<Array2<f32>>)> {
    if hidden.iter().all(|&hidden| hidden) {
        let variance = Array2::from_elem(hidden.dim(), BLANK_VARIANCE);
        return Ok((Array3::from_elem(context.dim(), BLANK), Some(variance)));
    }
    let mut mean = context.as_standard_layout().into_owned();
    match algorithm {
        Algorithm::Pde(kind) => {
            pde::solve(mean.view_mut(), hidden, *kind, host)?;
            Ok((mean, None))
        }
        Algorithm::Network(network) => {
            let sigma = network.predict(mean.view_mut(), hidden, host)?;
            Ok((mean, Some(sigma.mapv(|sigma| sigma * sigma))))
        }
        Algorithm::Kernel => {
            let answer = host.kernel(mean, hidden.as_standard_layout().into_owned())?;
            let square =
                |sigma: Array3<f32>| sigma.index_axis(Axis(2), 0).mapv(|sigma| sigma * sigma);
            Ok((answer.mean, answer.sigma.map(square)))
        }
    }
}

impl Pixels for HostPixels<'_> {
    fn hidden(&self) -> ArrayView2<'_, bool> {
        self.hidden.view()
    }

    fn priorities(&mut self, strategy: Strategy, unknown: &[bool]) -> Result<Vec<i64>> {
        let mut variogram = None;
        if strategy == Strategy::ContentAware {
            variogram = Some(local_variogram(self.context.view(), self.unseen.view(), self.host)?);
        }
        let stated = self.algorithm.may_state_variance();
        if strategy == Strategy::UncertaintyGuided {
            if stated {
                self.predict_everything()?;
            } else {
                self.ensure_base_variance()?;
            }
        }
        let variance = match (&self.standing, &self.base_variance) {
            (Some(standing), _) if stated => &standing.variance,
            (_, Some(variance)) => variance,
            _ => &self.variance, // not looked at by the other strategies
        };
        Ok(priorities(strategy, &self.grid, unknown, variance.view(), || {
            variogram.unwrap_or_default()
        }))
    }

    fn predict(&mut self, patches: &[usize], factor: f32) -> Result<Vec<Stated>> {
        let Some(side) = self.options.context_size else {
            self.predict_everything()?;
            let Some(standing) = self.standing.take() else {
                unreachable!("it has just been predicted")
            };
            let one = |&patch: &usize| {
                let (rows, cols) = self.grid.rectangle(patch);
                self.store(patch, &standing, (rows.start, cols.start), factor)
            };
            let stated = patches.iter().map(one).collect();
            self.standing = Some(standing);
            return Ok(stated);
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
        let stores = patches.iter().zip(&windows);
        Ok(stores
            .map(|(&patch, (predicted, inside))| self.store(patch, predicted, *inside, factor))
            .collect())
    }

    fn measure(&mut self, patch: usize) -> Measured {
        let (rows, cols) = self.grid.rectangle(patch);
        let mut measured = Measured::default();
        let part = s![rows.clone(), cols.clone(), ..];
        let (predicted, truth) = (self.prediction.slice(part), self.image.slice(part));
        let plane = s![rows, cols];
        let known = self.own.slice(plane).into_iter().zip(self.missing.slice(plane));
        let pixels = predicted.lanes(Axis(2)).into_iter().zip(truth.lanes(Axis(2)));
        for ((prediction, truth), _) in
            pixels.zip(known).filter(|(_, (&own, &missing))| own && !missing)
        {
            for (&p, &t) in prediction.iter().zip(truth) {
                let error = f64::from(p) - f64::from(t);
                measured.squared += error * error;
                measured.absolute += error.abs();
                measured.size += 1;
            }
        }
        measured
    }

    fn accept(&mut self, patches: &[usize], reveal: bool) -> Result<()> {
        for &patch in patches {
            let (rows, cols) = self.grid.rectangle(patch);
            let part = s![rows.clone(), cols.clone(), ..];
            let plane = s![rows, cols];
            let source = if reveal { self.image.slice(part) } else { self.prediction.slice(part) };
            Zip::from(self.context.slice_mut(part).lanes_mut(Axis(2)))
                .and(source.lanes(Axis(2)))
                .and(self.hidden.slice_mut(plane))
                .and(self.unseen.slice_mut(plane))
                .and(self.missing.slice(plane))
                .and(self.own.slice(plane))
                .for_each(|mut context, source, hidden, unseen, &missing, &own| {
                    if *hidden && own && !(reveal && missing) {
                        context.iter_mut().zip(source).for_each(|(to, &from)| *to = from);
                        *hidden = false;
                        *unseen &= !reveal;
                    }
                });
        }
        if reveal {
            self.base_variance = None;
        }
        if reveal || self.algorithm.is_asked_again(self.options) {
            self.standing = None;
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.standing = None; // as large as the image, and no longer looked at
    }
}
