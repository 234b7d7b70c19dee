"""Writing weights in the format that `helicopter.models` reads."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save as serialise

from helicopter.io._atomic import atomic_open
from helicopter.models._network import FORMAT, _parse, digest_of

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from torch import Tensor

    from ._calibration import Calibration

__all__ = ["half_precision", "write_weights"]

#: What to do about weights that are not written.
ADVICE = "Nothing was written; try a lower --learning-rate."


def half_precision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights as they are shipped: rounded to half precision, as float32."""
    return {name: value.detach().cpu().half().float() for name, value in state.items()}


def write_weights(
    path: str | os.PathLike[str], state: Mapping[str, Tensor], calibration: Calibration
) -> str:
    """Write a network's weights and calibration; return the SHA-256 of the file.

    Parameters
    ----------
    path : path-like
        Ends in ``.safetensors`` by custom. Written whole or not at all.
    state : mapping of str to Tensor
        `state_dict()` of a `helicopter.training._network.Network`.
    calibration : Calibration

    Raises
    ------
    ModelError
        If the file could not be used, such as for weights that half precision cannot hold; nothing
        is written then.
    """
    with np.errstate(over="ignore"):  # what becomes infinite is found below
        tensors: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {
            name: np.ascontiguousarray(value.detach().cpu().numpy().astype(np.float16))
            for name, value in state.items()
        }
    tensors |= calibration.tensors()
    data = serialise(tensors, metadata={"format": FORMAT, "sha256": digest_of(tensors)})
    _parse(data, str(path), ADVICE)  # read as it will be read, while what is there is still whole
    with atomic_open(path) as file:
        file.write(data)
    return hashlib.sha256(data).hexdigest()
