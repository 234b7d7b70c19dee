"""How errors are distributed, given the standard deviation stated for them; central intervals.

All on the [0, 1] scale: of a value with a stated standard deviation, how probable is it that it is
off by at most `RIGHT`, and how far to both sides does the central interval of a level reach?
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from helicopter._shared.checks import check_fraction
from helicopter._shared.quality import RIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Map, Mask
    from helicopter.core.validation import PreparedImage
    from helicopter.models._network import Calibration


__all__ = [
    "LAPLACE",
    "CalibratedLaw",
    "ErrorLaw",
    "LaplaceLaw",
    "central_interval",
    "confidence_of",
    "remainder_of",
]

#: Standard deviations below this count as this.
LEAST_SIGMA = np.float32(1e-6)
#: Rows worked on at a time; bounds the memory for large images.
STRIP = 512


class ErrorLaw(Protocol):
    """What a standard deviation says of the error."""

    def confidence(self, sigma: Map) -> Map:
        """Probability that a value is off by at most `RIGHT`."""

    def reach(self, sigma: Map, level: float) -> Map:
        """Half the width of the central interval of `level`."""


@dataclass(frozen=True)
class LaplaceLaw:
    """Errors of classical prediction, in standard deviations, follow a Laplace law closely.

    `training/fit_classical_uncertainty.py` prints how closely.
    """

    def confidence(self, sigma: Map) -> Map:
        scale = np.maximum(sigma, LEAST_SIGMA)
        return np.asarray(-np.expm1(np.float32(-math.sqrt(2.0) * RIGHT) / scale))

    def reach(self, sigma: Map, level: float) -> Map:
        return sigma * np.float32(-math.log1p(-level) / math.sqrt(2.0))


LAPLACE = LaplaceLaw()


class CalibratedLaw:
    """The law that a network's calibration has found, which may change with sigma.

    Parameters
    ----------
    calibration : Calibration

    Notes
    -----
    Between levels the reach is linear in -ln(1 - level), as it is all the way under a Laplace law;
    it goes on like that beyond the last one.
    """

    def __init__(self, calibration: Calibration) -> None:
        # where sigma is the same for several knots, their mean is what is known of it
        self.log_sigma, group = np.unique(calibration.log_sigma, return_inverse=True)
        count = np.bincount(group)

        def merged(values: NDArray[np.float32]) -> NDArray[np.float64]:
            return np.asarray(np.bincount(group, weights=values) / count)

        self.right = merged(calibration.confidence)
        self.rarity = -np.log1p(-calibration.levels.astype(np.float64))
        reach = np.exp(calibration.log_reach.astype(np.float64))
        self.reaches = np.stack([merged(column) for column in reach.T], axis=1)

    def confidence(self, sigma: Map) -> Map:
        return self._at(sigma, self.right)

    def reach(self, sigma: Map, level: float) -> Map:
        wanted = -math.log1p(-level)
        knots = np.concatenate([[0.0], self.rarity])
        end = min(max(int(np.searchsorted(knots, wanted)), 1), len(knots) - 1)
        share = (wanted - knots[end - 1]) / (knots[end] - knots[end - 1])
        reaches = np.pad(self.reaches, ((0, 0), (1, 0)))  # no interval at all at level 0
        of_level = reaches[:, end - 1] + share * (reaches[:, end] - reaches[:, end - 1])
        return sigma * self._at(sigma, of_level)

    def _at(self, sigma: Map, values: NDArray[np.float64]) -> Map:
        log_sigma = np.log(np.maximum(sigma, LEAST_SIGMA))
        return np.interp(log_sigma, self.log_sigma, values).astype(np.float32)


def confidence_of(sigma: Map, hidden: Mask, law: ErrorLaw = LAPLACE) -> Map:
    """Probability that a pixel is off by at most `RIGHT`; 1 where visible."""
    confidence = np.ones(sigma.shape, dtype=np.float32)
    for top in range(0, sigma.shape[0], STRIP):
        rows = slice(top, top + STRIP)
        where = hidden[rows]
        confidence[rows][where] = law.confidence(sigma[rows][where])
    return confidence


#: Parts into which half a grey level is divided where a remainder is kept.
PARTS = 127


def remainder_of(
    prepared: PreparedImage, prediction: Image, restored: NDArray[Any]
) -> NDArray[np.int8] | None:
    """What was lost when predictions became whole grey levels; None where nothing was.

    An interval of a fraction of a level around a rounded centre would lie beside the truth.
    """
    if restored.dtype.kind not in "biu":
        return None
    remainder = np.empty(prediction.shape, dtype=np.int8)
    whole = _colour(restored, prediction.shape[2])
    for top in range(0, whole.shape[0], STRIP):
        rows = slice(top, top + STRIP)
        lost = prediction[rows] * np.float32(prepared.units)
        lost += np.float32(prepared.low)
        lost -= whole[rows]
        remainder[rows] = np.clip(np.rint(lost * (2 * PARTS)), -PARTS, PARTS)
    return remainder


def central_interval(
    restored: NDArray[Any],
    remainder: NDArray[np.int8] | None,
    uncertainty: Map,
    data_range: tuple[float, float],
    law: ErrorLaw,
    level: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the ends of the interval of `level` around every value of an image.

    Parameters
    ----------
    restored : ndarray
        The reconstruction, of any accepted shape and dtype.
    remainder : int8 ndarray of shape (H, W, C), optional
        See `remainder_of`.
    uncertainty : float32 ndarray of shape (H, W)
        Standard deviation in the image's own units; where it is 0 both ends are the value.
    data_range : tuple of float
        The interval is cut to it.
    law : ErrorLaw
    level : float
        Between 0 and 1.

    Returns
    -------
    low, high : float32 ndarray
        Of the image's shape. Alpha is certain.
    """
    level = check_fraction(level, "level", ends=False)
    low, high = restored.astype(np.float32), restored.astype(np.float32)
    channels = 1 if restored.ndim == 2 else min(restored.shape[2], 3)
    black, white = np.float32(data_range[0]), np.float32(data_range[1])
    units = np.float32(data_range[1] - data_range[0])
    for top in range(0, uncertainty.shape[0], STRIP):
        rows = slice(top, top + STRIP)
        unsure = uncertainty[rows] > 0
        reach = law.reach(uncertainty[rows][unsure] / units, level)[:, None] * units
        for end, side in ((low, -1), (high, 1)):
            colour = _colour(end, channels)[rows]
            values = colour[unsure]
            if remainder is not None:
                values += remainder[rows][unsure] / np.float32(2 * PARTS)
            values += side * reach
            colour[unsure] = np.clip(values, black, white)
    return low, high


def _colour(image: NDArray[Any], channels: int) -> NDArray[Any]:
    return (image[:, :, None] if image.ndim == 2 else image)[:, :, :channels]
