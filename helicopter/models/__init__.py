"""What has been learnt from photographs, shipped as package data: tables, and a network."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from helicopter.backends.protocol import UncertaintyModel
from helicopter.errors import ModelError

from ._network import NetworkWeights, load_network

__all__ = ["NetworkWeights", "load_network", "uncertainty_model"]

CLASSICAL = "classical_uncertainty.json"


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
