"""The network's weights: read, checked from end to end, and laid out for use.

A weights file is safetensors: half-precision tensors under PyTorch's names, tables of calibration,
and a digest over all of it. Its architecture is read from the names and shapes, so that users may
train a network of another size.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._messages import shown
from helicopter.errors import InvalidOptionError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["FORMAT", "Architecture", "Calibration", "NetworkWeights", "digest_of", "load_network"]

FORMAT = "helicopter-network-1"
#: The weights that come with the package, and the SHA-256 of that file.
SHIPPED, SHIPPED_DIGEST = "network.safetensors", "network.sha256"
#: Nothing that the training script writes comes near this many bytes.
LARGEST = 2**28
#: A level more halves the resolution once more.
MOST_LEVELS = 8
#: Levels of intervals are at least so far apart, and intervals reach at most exp() of that many
#: standard deviations, so that they stay finite beyond the last level as well.
LEAST_STEP, MOST_LOG_REACH = 1e-3, 10
#: Harmonic solution (3), hidden, inside the image; each as four sub-pixels of half the resolution.
INPUTS = 4 * 5

#: safetensors' names of the types in a weights file
_TYPES = {"float16": "F16", "float32": "F32", "float64": "F64"}
_CALIBRATION = ("log_scale", "log_sigma", "confidence", "levels", "log_reach", "patches")


@dataclass(frozen=True)
class Architecture:
    """Sizes of a network, as in `helicopter.training._network`.

    Attributes
    ----------
    widths : tuple of int
        Channels of each level; level 0 has half the image's resolution, each next half of that.
    down, up : tuple of int
        Residual blocks of each level on the way down and up; the deepest has no way up.
    scale_width : int
        Channels of the hidden layer behind the stated scale.
    """

    widths: tuple[int, ...]
    down: tuple[int, ...]
    up: tuple[int, ...]
    scale_width: int

    @property
    def stride(self) -> int:
        """Pixels that one position of the deepest level stands for."""
        return int(2 ** len(self.widths))

    @property
    def halo(self) -> int:
        """How many pixels beyond a box aligned to `stride` have a say in it; a multiple of that."""
        deepest = len(self.widths) - 1
        # followed backwards from the output: the first position of each level that is looked at
        first = -1  # the heads
        on_the_way_down = []
        for level in range(deepest):
            first -= 2 * self.up[level]
            on_the_way_down.append(first)
            first //= 2
        first -= 2 * self.down[deepest]
        for level in reversed(range(deepest)):
            first = min(2 * first, on_the_way_down[level]) - 2 * self.down[level]
        first -= 1  # the entrance
        return -(2 * first // self.stride) * self.stride

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor."""
        shapes: dict[str, tuple[int, ...]] = {}

        def convolution(name: str, inputs: int, outputs: int, side: int) -> None:
            shapes[f"{name}.weight"] = (outputs, inputs, side, side)
            shapes[f"{name}.bias"] = (outputs,)

        widths, deepest = self.widths, len(self.widths) - 1
        convolution("enter", INPUTS, widths[0], 3)
        for way, counts in (("down", self.down), ("up", self.up)):
            for level, count in enumerate(counts):
                for block in range(count):
                    for part in ("first", "second"):
                        name = f"{way}.{level}.{block}.{part}"
                        convolution(name, widths[level], widths[level], 3)
        for level in range(deepest):
            convolution(f"shrink.{level}", widths[level], widths[level + 1], 2)
            convolution(f"grow.{level}", widths[level + 1], 4 * widths[level], 1)
        convolution("mean", widths[0], 12, 3)
        convolution("scale_first", widths[0], self.scale_width, 3)
        convolution("scale_second", self.scale_width, 4, 1)
        return shapes


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the network's stated scale has come to mean on photographs that did not train it.

    Attributes
    ----------
    log_scale, log_sigma : float32 ndarray of shape (K,)
        The stated log scale, which increases, and the log of the standard deviation that goes with
        it, which does not decrease.
    confidence : float32 ndarray of shape (K,)
        Probability that a value of that standard deviation is off by at most 0.05 of the range.
    levels : float32 ndarray of shape (L,)
    log_reach : float32 ndarray of shape (K, L)
        Log of half the width of the central interval of that level, in standard deviations.
    patches : float64 ndarray of shape (4,)
        `log_mae_offset`, `log_mae_distance`, `log_mae_spread`, `log_mae_prior` of
        `UncertaintyModel`.
    """

    log_scale: NDArray[np.float32]
    log_sigma: NDArray[np.float32]
    confidence: NDArray[np.float32]
    levels: NDArray[np.float32]
    log_reach: NDArray[np.float32]
    patches: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NetworkWeights:
    """A network that is ready for use; two are equal if their tensors are, wherever they came from.

    Attributes
    ----------
    data : bytes
        The file as it was read.
    architecture : Architecture
    tensors : dict of str to float32 ndarray
        The weights, by PyTorch's names.
    calibration : Calibration
    sha256 : str
        Over all tensors, those of the calibration included, in hexadecimal.
    source : str
        Where it was read from.
    """

    data: bytes
    architecture: Architecture
    tensors: Mapping[str, NDArray[np.float32]]
    calibration: Calibration
    sha256: str
    source: str

    # so that backends, which cache by the weights, prepare a file once however often it is loaded
    def __eq__(self, other: object) -> bool:
        return isinstance(other, NetworkWeights) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        return f"NetworkWeights({self.source!r}, sha256={self.sha256[:12]}...)"


def load_network(path: str | os.PathLike[str] | None = None) -> NetworkWeights:
    """Read a network's weights.

    Parameters
    ----------
    path : path-like, optional
        A file written by ``helicopter train``; by default the weights that come with the package,
        which are read once per process.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or not the weights of such a network.
    InvalidOptionError
        If `path` is not a path.
    """
    if path is None:
        return _shipped()
    try:
        given: object = os.fspath(path)
    except Exception:  # no path at all, or a path-like that fails: whatever it chooses to raise
        given = None
    if not isinstance(given, str) or not given:
        raise InvalidOptionError(
            f"weights: got {shown(path)}; expected the path of a weights file."
        )
    advice = "Use a file written by `helicopter train`, or leave `weights` out."
    return _parse(_read(Path(given), advice), given, advice)


@cache
def _shipped() -> NetworkWeights:
    advice = "Install helicopter again."
    path = Path(__file__).with_name(SHIPPED)
    data = _read(path, advice)
    expected = _read(path.with_name(SHIPPED_DIGEST), advice).decode("ascii", "replace").split()
    if expected[:1] != [hashlib.sha256(data).hexdigest()]:
        raise ModelError(
            f"the weights {str(path)!r} are damaged or not those of this version: their SHA-256 is "
            f"not the one in {SHIPPED_DIGEST}. {advice}"
        )
    return _parse(data, str(path), advice)


def _read(path: Path, advice: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as problem:  # ValueError: a null character in the name
        reason = getattr(problem, "strerror", None) or problem
        raise ModelError(f"the weights {str(path)!r} cannot be read: {reason}. {advice}") from None
    if len(data) > LARGEST:
        raise ModelError(f"the weights {str(path)!r} are larger than {LARGEST} bytes. {advice}")
    return data


def _parse(data: bytes, source: str, advice: str) -> NetworkWeights:
    from safetensors.numpy import load

    def wrong(what: str) -> ModelError:
        return ModelError(f"the weights {source!r} cannot be used: {what}. {advice}")

    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        about = header.get("__metadata__") or {}  # null is as good as none
    except Exception as problem:  # whatever the parser makes of a foreign or damaged file
        raise wrong(f"it is damaged or no safetensors file ({problem})") from None
    if about.get("format") != FORMAT:
        raise wrong(f"its format is {shown(about.get('format'))}, expected {FORMAT!r}")
    try:
        digest = digest_of(tensors)
    except KeyError as problem:
        raise wrong(f"it holds numbers of type {problem.args[0]}") from None
    if about.get("sha256") != digest:
        raise wrong("it is damaged: its SHA-256 does not fit what it holds")
    tables = {name: tensors.pop(f"calibration.{name}", None) for name in _CALIBRATION}
    architecture = _architecture(tensors)
    fault = _fault_in_weights(tensors, architecture) or _fault_in_calibration(tables)
    if architecture is None or fault:
        raise wrong(fault)
    return NetworkWeights(
        data=data,
        architecture=architecture,
        tensors={name: value.astype(np.float32) for name, value in tensors.items()},
        calibration=Calibration(**tables),  # type: ignore[arg-type]
        sha256=digest,
        source=source,
    )


def digest_of(tensors: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 over all tensors, in the order of their names, so that damage is found anywhere.

    Of each tensor a line such as ``enter.weight F16 48,20,3,3``, then its bytes, little-endian.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        shape = ",".join(map(str, value.shape))
        digest.update(f"{name} {_TYPES[value.dtype.name]} {shape}\n".encode())
        digest.update(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _architecture(tensors: Mapping[str, NDArray[Any]]) -> Architecture | None:
    """Sizes of a network, as its names and shapes tell them; None if they do not."""

    def count(pattern: str) -> int:
        number = 0
        while pattern.format(number) in tensors:
            number += 1
        return number

    # sizes and not lengths, which a number alone has not; shapes are compared later
    widths = [np.size(tensors.get("enter.bias", ()))]
    widths += [np.size(tensors[f"shrink.{k}.bias"]) for k in range(count("shrink.{}.bias"))]
    hidden = np.size(tensors.get("scale_first.bias", ()))
    if not (all(widths) and hidden and len(widths) <= MOST_LEVELS):
        return None
    down, up = (
        tuple(count(f"{way}.{level}.{{}}.first.bias") for level in range(levels))
        for way, levels in (("down", len(widths)), ("up", len(widths) - 1))
    )
    return Architecture(tuple(widths), down, up, hidden)


def _fault_in_weights(
    tensors: Mapping[str, NDArray[Any]], architecture: Architecture | None
) -> str:
    """Say what is wrong with the weights, or nothing."""
    if architecture is None:
        return (
            "it holds no network of this kind (enter or scale_first is missing, or it is too deep)"
        )
    shapes = architecture.shapes()
    for name in sorted(shapes.keys() | tensors.keys()):
        if name not in tensors:
            return f"tensor {name!r} is missing"
        if name not in shapes:
            return f"tensor {name!r} does not belong to a network of this kind"
        value = tensors[name]
        if value.shape != shapes[name] or value.dtype != np.float16:
            return (
                f"tensor {name!r} is {value.dtype} of shape {value.shape}, expected float16 of "
                f"shape {shapes[name]}"
            )
        if not np.isfinite(value).all():
            return f"tensor {name!r} holds numbers that are NaN or infinite"
    return ""


def _fault_in_calibration(tables: Mapping[str, NDArray[Any] | None]) -> str:
    """Say what is wrong with the calibration, or nothing."""
    found = []
    for name in _CALIBRATION:
        table, expected = tables[name], np.dtype("f8" if name == "patches" else "f4")
        if table is None or table.dtype != expected or not np.isfinite(table).all():
            return f"'calibration.{name}' is missing or no finite {expected}"
        found.append(table)
    scale, sigma, confidence, levels, reach, patches = found
    knots, count = scale.size, levels.size
    sizes = [(knots,), (knots,), (knots,), (count,), (knots, count), (4,)]
    if [table.shape for table in found] != sizes or not (knots and count):
        return "the tables of its calibration do not fit each other"
    meaningful = (
        (np.diff(scale) > 0).all()
        and (np.diff(sigma) >= 0).all()
        and ((sigma > -50) & (sigma <= 0)).all()  # no error exceeds the range, which is 1
        and ((confidence >= 0) & (confidence <= 1)).all()
        and (levels < 1).all()
        and (np.diff(levels, prepend=0) >= LEAST_STEP).all()
        and (np.abs(reach) <= MOST_LOG_REACH).all()
        and (np.diff(reach, axis=1) >= 0).all()
        and (patches[2:] > 0).all()
    )
    return "" if meaningful else "the tables of its calibration make no sense"
