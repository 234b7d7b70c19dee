"""Fitting how sure one may be of a whole patch, given what is stated for its pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr

from helicopter._shared.online_scale import LEAST_MAE
from helicopter._shared.quality import RIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PatchLaw", "fit_patch_law"]

#: Standard deviations are at least this.
LEAST_SPREAD = 0.1


class PatchLaw(NamedTuple):
    """What `UncertaintyModel` calls `log_mae_offset`, `_distance`, `_spread` and `_prior`."""

    offset: float
    distance: float
    spread: float
    prior: float


def fit_patch_law(
    variance: NDArray[np.float64],
    distance: NDArray[np.float64],
    mae: NDArray[np.float64],
    photograph: NDArray[np.intp],
    weight: NDArray[np.float64],
) -> PatchLaw:
    """Fit the law by which `OnlineScale` states the confidence of a patch.

    A probit regression of being right (Bliss, "The method of probits", Science, 1934): what counts
    is what is said of patches near the limit, and the errors of flat patches, which are all right,
    do not follow the same law.

    Parameters
    ----------
    variance, distance, mae : float64 ndarray of shape (N,)
        Of each hidden patch the mean stated variance, the mean distance from what was visible, and
        the mean absolute error.
    photograph : int ndarray of shape (N,)
        Which photograph each comes from.
    weight : float64 ndarray of shape (N,)
    """
    deviation, reach = 0.5 * np.log(variance), np.log(distance)
    log_mae = np.log(np.maximum(mae, LEAST_MAE))
    sign = np.where(mae <= RIGHT, 1.0, -1.0)

    def loss(law: NDArray[np.float64]) -> float:
        expected = deviation + law[0] + law[1] * reach
        z = (math.log(RIGHT) - expected) / math.exp(law[2])
        return -float((weight * log_ndtr(sign * z)).sum())

    # without bounds there is no answer where patches that are right and wrong do not mix
    middle = float(np.average(log_mae - deviation, weights=weight))
    bounds = [(middle - 2, middle + 2), (-0.5, 0.5), (math.log(LEAST_SPREAD), math.log(2.0))]
    start = (middle, 0.0, math.log(0.5))
    offset, slope, log_spread = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x.tolist()
    residual = log_mae - (deviation + offset + slope * reach)
    means = [float(residual[photograph == number].mean()) for number in np.unique(photograph)]
    prior = max(float(np.std(means, ddof=1)), LEAST_SPREAD) if len(means) > 1 else LEAST_SPREAD
    spread = math.sqrt(max(math.exp(2 * log_spread) - prior**2, LEAST_SPREAD**2))
    return PatchLaw(offset, slope, spread, prior)
