"""Whether stated probabilities are right, and how to make them so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from helicopter._shared.checks import check_integer
from helicopter._shared.result import Result
from helicopter.errors import InvalidOptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "IsotonicCalibrator",
    "ReliabilityCurve",
    "expected_calibration_error",
    "reliability_curve",
]

#: Standard deviations of a central 95 % interval.
Z95 = 1.959963984540054


@dataclass(frozen=True, eq=False, repr=False)
class ReliabilityCurve(Result):
    """How often what was stated with a probability came true.

    Attributes
    ----------
    edges : float64 ndarray of shape (bins + 1,)
        Of the bins, equally wide; a probability on an edge counts to the upper bin, and 1 to the
        last.
    counts : int64 ndarray of shape (bins,)
        Statements in each bin.
    probability, frequency : float64 ndarray of shape (bins,)
        Mean of what was stated, and share of what came true; NaN in empty bins.
    low, high : float64 ndarray of shape (bins,)
        95 % interval of the frequency (Wilson, "Probable inference, the law of succession, and
        statistical inference", J. Am. Stat. Assoc. 22, 1927); NaN in empty bins.
    expected_calibration_error : float
        Mean of \\|frequency - probability\\| over the bins, weighted by their counts.
    brier_score : float
        Mean squared difference of probability and outcome.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    probability: NDArray[np.float64]
    frequency: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    expected_calibration_error: float
    brier_score: float


def reliability_curve(probabilities: object, outcomes: object, bins: int = 10) -> ReliabilityCurve:
    """Compare stated probabilities with what came true.

    Parameters
    ----------
    probabilities : array_like of shape (N,)
        In [0, 1].
    outcomes : array_like of shape (N,)
        Whether it came true: bools, or 0 and 1.
    bins : int, default 10

    Returns
    -------
    ReliabilityCurve

    Raises
    ------
    InvalidOptionError

    Examples
    --------
    >>> from helicopter.core import reliability_curve
    >>> curve = reliability_curve([0.1, 0.1, 0.9, 0.9], [0, 0, 1, 0], bins=2)
    >>> curve.frequency.tolist()
    [0.0, 0.5]
    """
    stated, true = _pairs(probabilities, outcomes)
    bins = check_integer(bins, "bins", 1, 10_000)
    number = np.minimum((stated * bins).astype(np.int64), bins - 1)
    counts = np.bincount(number, minlength=bins)
    some = counts > 0

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.full(bins, np.nan)
        np.divide(np.bincount(number, values, minlength=bins), counts, out=out, where=some)
        return out

    probability, frequency = mean(stated), mean(true)
    low, high = _wilson(frequency, counts)
    gaps = np.abs(frequency - probability)[some]
    return ReliabilityCurve(
        edges=np.linspace(0.0, 1.0, bins + 1),
        counts=counts.astype(np.int64),
        probability=probability,
        frequency=frequency,
        low=low,
        high=high,
        expected_calibration_error=float(np.sum(gaps * counts[some]) / stated.size),
        brier_score=float(np.mean(np.square(stated - true))),
    )


def expected_calibration_error(probabilities: object, outcomes: object, bins: int = 10) -> float:
    """Return the mean distance of stated probabilities from frequencies; see `ReliabilityCurve`."""
    return reliability_curve(probabilities, outcomes, bins).expected_calibration_error


class IsotonicCalibrator:
    """Makes stated probabilities right by a monotone function, learnt from outcomes.

    The function is the isotonic regression of the outcomes on the probabilities (Zadrozny & Elkan,
    "Transforming classifier scores into accurate multiclass probability estimates", KDD 2002),
    linear between its steps. It takes some hundred statements to learn; judge it on others than
    those it was fitted to.

    Attributes
    ----------
    stated, right : float64 ndarray of shape (K,)
        Stated probabilities, ascending, and what they are turned into.

    Examples
    --------
    >>> from helicopter.core import IsotonicCalibrator
    >>> calibrator = IsotonicCalibrator().fit([0.2, 0.2, 0.8, 0.8], [0, 0, 1, 0])
    >>> calibrator.apply([0.8, 0.5]).tolist()
    [0.5, 0.25]
    """

    def __init__(self) -> None:
        self.stated: NDArray[np.float64] = np.empty(0)
        self.right: NDArray[np.float64] = np.empty(0)

    def fit(self, probabilities: object, outcomes: object) -> IsotonicCalibrator:
        """Learn the function; return the calibrator itself.

        Parameters
        ----------
        probabilities, outcomes
            As in `reliability_curve`.

        Raises
        ------
        InvalidOptionError
        """
        from scipy.optimize import isotonic_regression

        stated, true = _pairs(probabilities, outcomes)
        values, which, counts = np.unique(stated, return_inverse=True, return_counts=True)
        share = np.bincount(which, true) / counts
        self.stated = values
        self.right = np.asarray(isotonic_regression(share, weights=counts).x, dtype=np.float64)
        return self

    def apply(self, probabilities: object) -> NDArray[np.float64]:
        """Return what to believe of stated probabilities, in their shape.

        Raises
        ------
        InvalidOptionError
            Also if `fit` was not called before.
        """
        if not self.stated.size:
            raise InvalidOptionError(
                "apply: nothing has been learnt yet; call fit(probabilities, outcomes) before."
            )
        stated = _numbers(probabilities, "probabilities", "probabilities from 0 to 1")
        return np.asarray(np.interp(stated, self.stated, self.right))


def _pairs(
    probabilities: object, outcomes: object
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    stated = _numbers(probabilities, "probabilities", "probabilities from 0 to 1")
    true = _numbers(outcomes, "outcomes", "bools, or 0 and 1")
    if stated.ndim != 1 or not stated.size:
        raise InvalidOptionError(
            f"probabilities: got shape {stated.shape}; expected one dimension, and at least one."
        )
    if true.shape != stated.shape:
        raise InvalidOptionError(
            f"outcomes: got shape {true.shape}; expected one for each of the probabilities, "
            f"{stated.shape}."
        )
    other = true[(true != 0.0) & (true != 1.0)]
    if other.size:
        raise InvalidOptionError(f"outcomes: got {other[0]:g}; expected bools, or 0 and 1.")
    return stated, true


def _numbers(values: object, name: str, accepted: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "buif":
            raise TypeError(f"values of dtype {array.dtype}")
    except (TypeError, ValueError) as error:
        raise InvalidOptionError(f"{name}: got {error}; expected {accepted}.") from error
    array = array.astype(np.float64)
    bad = array[~((array >= 0.0) & (array <= 1.0))]
    if bad.size:
        raise InvalidOptionError(f"{name}: got {bad[0]:g}; expected {accepted}.")
    return array


def _wilson(
    frequency: NDArray[np.float64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n = np.maximum(counts, 1)
    middle = (frequency + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    spread = np.sqrt(frequency * (1 - frequency) / n + Z95**2 / (4 * n**2)) / (1 + Z95**2 / n)
    half = Z95 * spread
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)
