"""What tells noise from content, learnt from photographs: small networks, shipped as package data.

The file is safetensors: tensors for grey images and for colour (`grey.` and `colour.`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from helicopter.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BlockNetwork", "NoiseModel", "Perceptron", "noise_model"]

SHIPPED, SHIPPED_DIGEST = "noise.safetensors", "noise.sha256"
FORMAT = "helicopter-noise-1"


@dataclass(frozen=True, eq=False)
class BlockNetwork:
    """Gives every block a weight for each head.

    Attributes
    ----------
    layers : tuple of three (matrix, bias)
        Of shapes (outputs, inputs) and (outputs,); ReLU after each, and the last squared.
    """

    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]

    def weigh(self, seen: NDArray[np.float32], heads: int | None = None) -> NDArray[np.float64]:
        """Weights (N, heads) of what is seen of N blocks."""
        values = seen
        for matrix, bias in self.layers[:-1]:
            values = np.maximum(values @ matrix.T + bias, 0)
        matrix, bias = self.layers[-1]
        values = np.maximum(values @ matrix[:heads].T + bias[:heads], 0)
        return np.asarray(np.square(values.astype(np.float64)) + 1e-6)


@dataclass(frozen=True, eq=False)
class Perceptron:
    """Two hidden layers and a direct way, behind normalised features.

    Attributes
    ----------
    centre, spread : float32 ndarray of shape (inputs,)
    layers : tuple of three (matrix, bias)
    direct : float32 ndarray of shape (outputs, inputs)
    """

    centre: NDArray[np.float32]
    spread: NDArray[np.float32]
    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
    direct: NDArray[np.float32]

    def answer(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The outputs for one vector of features."""
        normal = np.clip((features - self.centre) / self.spread, -6, 6)
        values = normal
        for matrix, bias in self.layers[:-1]:
            values = np.maximum(matrix @ values + bias, 0)
        matrix, bias = self.layers[-1]
        return np.asarray(matrix @ values + bias + self.direct @ normal, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """All that has been learnt, for images of one number of channels.

    Attributes
    ----------
    blocks : BlockNetwork
    level : Perceptron
        From the blocks' features to the level of the fine noise.
    kinds : Perceptron
        From everything that has been measured to the kinds and their parameters.
    map_shrink : tuple of float
        Weight of the wider neighbourhood in the map, for each of its two steps.
    tensors : dict of str to float32 ndarray of two dimensions
        All of it by name, vectors as one row, as the accelerator takes it.
    """

    blocks: BlockNetwork
    level: Perceptron
    kinds: Perceptron
    map_shrink: tuple[float, float]
    tensors: dict[str, NDArray[np.float32]]


def noise_model(channels: int) -> NoiseModel:
    """Return what is shipped for grey (1) or colour (3).

    Raises
    ------
    ModelError
        If the file is missing or damaged.
    """
    return _models()["grey" if channels == 1 else "colour"]


@cache
def _models() -> dict[str, NoiseModel]:
    from safetensors.numpy import load

    try:
        data = Path(__file__).with_name(SHIPPED).read_bytes()
        digest = Path(__file__).with_name(SHIPPED_DIGEST).read_text(encoding="ascii").split()[0]
        if hashlib.sha256(data).hexdigest() != digest:
            raise ValueError("its SHA-256 is not the recorded one")
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        if header["__metadata__"]["format"] != FORMAT:
            raise ValueError("its format is another")
        tensors = {name: value.astype(np.float32) for name, value in load(data).items()}
        return {name: _model(tensors, f"{name}.") for name in ("grey", "colour")}
    except Exception as problem:  # safetensors has an exception of its own
        raise ModelError(
            f"the package's {SHIPPED} is missing or damaged ({problem}); install helicopter again."
        ) from problem


def _model(tensors: dict[str, NDArray[np.float32]], prefix: str) -> NoiseModel:
    own = {
        name.removeprefix(prefix): np.ascontiguousarray(value)
        for name, value in tensors.items()
        if name.startswith(prefix)
    }

    def layers(name: str) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]:
        return tuple((own[f"{name}{i}.weight"], own[f"{name}{i}.bias"][0]) for i in (1, 2, 3))

    def perceptron(name: str) -> Perceptron:
        return Perceptron(
            centre=own[f"{name}.centre"][0],
            spread=own[f"{name}.spread"][0],
            layers=layers(f"{name}.layer"),
            direct=own[f"{name}.direct"],
        )

    wide, near = own["map_shrink"][0].tolist()
    return NoiseModel(
        blocks=BlockNetwork(layers("blocks.layer")),
        level=perceptron("level"),
        kinds=perceptron("kinds"),
        map_shrink=(wide, near),
        tensors=own,
    )
