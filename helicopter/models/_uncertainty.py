"""How far a filled pixel may be off: constants fitted for each algorithm."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._network import NetworkWeights

__all__ = ["UncertaintyModel", "uncertainty_model"]

CLASSICAL = "classical_uncertainty.json"


@dataclass(frozen=True)
class UncertaintyModel:
    """Fitted constants that turn what is visible into an uncertainty.

    Attributes
    ----------
    variance_table : float64 ndarray of shape (D, 4)
        Row d holds the weights of (1, V_1, V_4, V_16) in the error variance d pixels away from the
        nearest visible pixel; the last row serves all larger distances. What states its uncertainty
        itself, as the network does, has no use for it.
    log_mae_offset : float
        Mean of ln(patch MAE / root mean predicted variance) one pixel from what is visible.
    log_mae_distance : float
        Its slope over the logarithm of the patch's mean distance from what is visible: far away,
        errors go together, and a patch is more often wholly right or wholly wrong.
    log_mae_spread : float
        Its standard deviation within one image.
    log_mae_prior : float
        Standard deviation of its mean from image to image.
    """

    variance_table: NDArray[np.float64]
    log_mae_offset: float
    log_mae_distance: float
    log_mae_spread: float
    log_mae_prior: float


def uncertainty_model(algorithm: str | NetworkWeights) -> UncertaintyModel:
    """Return the fitted uncertainty of an algorithm; of `harmonic` for those without one.

    Parameters
    ----------
    algorithm : str or NetworkWeights
        A network states the variance itself; its calibration says what to make of it for patches.

    Raises
    ------
    ModelError
        If the data file is missing or damaged.
    """
    models = _classical()
    if isinstance(algorithm, str):
        return models.get(algorithm, models["harmonic"])
    offset, distance, spread, prior = algorithm.calibration.patches.tolist()
    return dataclasses.replace(
        models["harmonic"],
        log_mae_offset=offset,
        log_mae_distance=distance,
        log_mae_spread=spread,
        log_mae_prior=prior,
    )


@cache
def _classical() -> dict[str, UncertaintyModel]:
    try:
        data = json.loads(Path(__file__).with_name(CLASSICAL).read_text(encoding="utf-8"))
        return {name: _model(entry) for name, entry in data["models"].items()}
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise ModelError(
            f"the package's {CLASSICAL} is missing or damaged ({problem!r}); install helicopter "
            "again."
        ) from problem


def _model(entry: dict[str, Any]) -> UncertaintyModel:
    # fitted at a few distances, used at every whole one
    knots = np.array(entry["distances"], dtype=np.float64)
    weights = np.array(entry["weights"], dtype=np.float64)
    distance = np.arange(int(knots[-1]) + 1)
    table = np.stack([np.interp(distance, knots, column) for column in weights.T], axis=1)
    return UncertaintyModel(
        variance_table=np.ascontiguousarray(table),
        log_mae_offset=float(entry["log_mae_offset"]),
        log_mae_distance=float(entry["log_mae_distance"]),
        log_mae_spread=float(entry["log_mae_spread"]),
        log_mae_prior=float(entry["log_mae_prior"]),
    )
