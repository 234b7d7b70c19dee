"""Writing weights in the format that `helicopter.models` reads."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save as serialise

from helicopter.io.atomic import atomic_open

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from torch import Tensor

    from .calibration import Calibration

__all__ = ["FORMAT", "digest_of", "half_precision", "write_weights"]

FORMAT = "helicopter-network-1"


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
        `state_dict()` of a `helicopter.training.network.Network`.
    calibration : Calibration
    """
    tensors: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {
        name: np.ascontiguousarray(value.detach().cpu().numpy().astype(np.float16))
        for name, value in state.items()
    }
    tensors |= calibration.tensors()
    data = serialise(tensors, metadata={"format": FORMAT, "sha256": digest_of(tensors)})
    with atomic_open(path) as file:
        file.write(data)
    return hashlib.sha256(data).hexdigest()


#: safetensors' names of the types in a weights file
_TYPES = {"float16": "F16", "float32": "F32", "float64": "F64"}


def digest_of(tensors: Mapping[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]) -> str:
    """SHA-256 over all tensors, in the order of their names, so that damage is found anywhere.

    Of each tensor the line ``name type shape`` (``enter.bias F16 48``, sides joined by commas) and
    its bytes, little-endian.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        shape = ",".join(str(length) for length in value.shape)
        digest.update(f"{name} {_TYPES[value.dtype.name]} {shape}\n".encode())
        digest.update(np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
