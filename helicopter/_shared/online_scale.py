"""How far the errors of one image differ from what was predicted, learnt while they are seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .quality import RIGHT

if TYPE_CHECKING:
    from helicopter.models import UncertaintyModel

__all__ = ["LEAST_MAE", "OnlineScale"]

#: Errors below this count as this when their logarithm is taken.
LEAST_MAE = 1e-4
#: Confidence follows a shift only beyond this many prior deviations. The errors of an image go
#: together and the patches that are chosen first are not like the rest, so that smaller shifts say
#: nothing of what is to come: followed in full, they raised the network's calibration error from
#: 0.02 to 0.07 (`benchmarks/calibration.py --only autonomous`, on development photographs).
ORDINARY = 2.0


@dataclass
class OnlineScale:
    """Learns within the image by how much errors differ from what was predicted.

    ln(patch MAE / predicted root mean variance) is taken as normal with the model's offset, which
    changes with the distance from what is visible, with its spread, and with a shift of its own for
    each image, whose normal posterior is kept here (Gelman et al., *Bayesian Data Analysis*, 3rd
    ed., section 2.5).
    """

    model: UncertaintyModel
    count: int = 0
    total: float = 0.0

    def add(self, variance: float, distance: float, mae: float) -> None:
        """Learn from a scored patch of this predicted mean variance and mean distance."""
        self.total += math.log(max(mae, LEAST_MAE)) - self.expected(variance, distance)
        self.count += 1

    def expected(self, variance: float, distance: float) -> float:
        """Mean ln MAE of such patches over all images."""
        model = self.model
        reach = model.log_mae_distance * math.log(distance)
        return 0.5 * math.log(variance) + model.log_mae_offset + reach

    @property
    def shift(self) -> float:
        ratio = (self.model.log_mae_spread / self.model.log_mae_prior) ** 2
        return self.total / (self.count + ratio)

    @property
    def variance_factor(self) -> float:
        return math.exp(2.0 * self.shift)

    def confidence(self, variance: float, distance: float) -> float:
        """Probability that a patch of this predicted mean variance and mean distance is right."""
        spread, prior = self.model.log_mae_spread, self.model.log_mae_prior
        beyond = math.copysign(max(abs(self.shift) - ORDINARY * prior, 0.0), self.shift)
        expected = self.expected(variance, distance) + beyond
        z = (math.log(RIGHT) - expected) / math.sqrt(spread**2 + prior**2)
        return 0.5 * math.erfc(-z / math.sqrt(2.0))
