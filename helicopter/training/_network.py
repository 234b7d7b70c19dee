"""The network as PyTorch trains it, and its weights in the format that `helicopter.models` reads.

`backends/reference/algorithms/network.py` is the law that it follows.

A residual U-Net (Ronneberger et al., "U-Net", MICCAI 2015; residual blocks without normalisation as
in Lim et al., "Enhanced deep residual networks for single image super-resolution", CVPRW 2017) that
works from half resolution down and predicts a correction to the harmonic solution. A network with a
fine part has one level more, at full resolution, beside its entrance and exit, and is given more
(`_features`); helicopter.models does not read it yet.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.numpy import save as serialise
from torch import Tensor, nn
from torch.nn import functional as F

from helicopter.io._atomic import atomic_open
from helicopter.models._network import FORMAT, _parse, digest_of

from ._features import CHANNELS, Features, features

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from torch import Tensor

    from ._calibration import Calibration

__all__ = [
    "INPUT_CHANNELS",
    "Architecture",
    "Network",
    "half_precision",
    "network_input",
    "write_weights",
]

#: harmonic solution (3), hidden (1), inside the image (1)
INPUT_CHANNELS = 5
#: corrections of three channels
MEAN_OUTPUTS = 3
#: Sub-pixels of one position of the highest level, which has half the resolution.
SUBPIXELS = 4


@dataclass(frozen=True)
class Architecture:
    """Sizes of the network.

    Attributes
    ----------
    widths : tuple of int
        Channels of each level; level 0 has half the image's resolution, each next half of that.
    down, up : tuple of int
        Residual blocks of each level on the way down and up; the deepest level has no way up.
    scale_width : int
        Channels of the hidden layer of the head that predicts the scale of the errors.
    fine : int
        Channels of the level at full resolution; 0: no such level, as in the first network.
    """

    widths: tuple[int, ...] = (48, 64, 112, 160)
    down: tuple[int, ...] = (1, 2, 2, 2)
    up: tuple[int, ...] = (2, 1, 1)
    scale_width: int = 32
    fine: int = 0

    @property
    def inputs(self) -> int:
        """Channels that the network is given."""
        return CHANNELS if self.fine else INPUT_CHANNELS

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Block(nn.Module):
    """x + conv(relu(conv(x)))"""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():  # begins near the identity, so that depth costs nothing
            self.second.weight.mul_(0.1)
            self.second.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(F.relu(self.first(x)))
        return x + y


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width) for _ in range(count)))


class Network(nn.Module):
    """Predicts hidden pixels and the logarithm of the scale of their errors."""

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = a = architecture or Architecture()
        depth = len(a.widths)
        self.enter = nn.Conv2d(SUBPIXELS * a.inputs, a.widths[0], 3, padding=1)
        self.down = nn.ModuleList(_blocks(a.widths[i], a.down[i]) for i in range(depth))
        self.up = nn.ModuleList(_blocks(a.widths[i], a.up[i]) for i in range(depth - 1))
        self.shrink = nn.ModuleList(
            nn.Conv2d(a.widths[i], a.widths[i + 1], 2, stride=2) for i in range(depth - 1)
        )
        self.grow = nn.ModuleList(
            nn.Conv2d(a.widths[i + 1], SUBPIXELS * a.widths[i], 1) for i in range(depth - 1)
        )
        self.mean = nn.Conv2d(a.widths[0], SUBPIXELS * MEAN_OUTPUTS, 3, padding=1)
        self.scale_first = nn.Conv2d(a.widths[0], a.scale_width, 3, padding=1)
        self.scale_second = nn.Conv2d(a.scale_width, SUBPIXELS, 1)
        begin_at_zero = [self.mean, self.scale_second]
        if a.fine:
            self.enter_fine = nn.Conv2d(a.inputs, a.fine, 3, padding=1)
            self.down_fine, self.up_fine = Block(a.fine), Block(a.fine)
            self.shrink_fine = nn.Conv2d(a.fine, a.widths[0], 2, stride=2)
            self.grow_fine = nn.Conv2d(a.widths[0], SUBPIXELS * a.fine, 1)
            self.mean_fine = nn.Conv2d(a.fine, MEAN_OUTPUTS, 3, padding=1)
            begin_at_zero.append(self.mean_fine)
        with torch.no_grad():
            # the prediction begins as the harmonic solution, and so can only get better
            for layer in begin_at_zero:
                for parameter in layer.parameters():
                    parameter.zero_()
            self.scale_second.bias.fill_(-4.0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return corrections (N, 3, H, W) and log scale (N, 1, H, W).

        H and W must be multiples of ``2 ** len(widths)``.
        """
        fine = self.down_fine(self.enter_fine(x)) if self.architecture.fine else None
        x = self.enter(F.pixel_unshuffle(x, 2))
        if fine is not None:
            x = x + self.shrink_fine(fine)
        skips = []
        for level, blocks in enumerate(self.down):
            x = blocks(x)
            if level < len(self.shrink):
                skips.append(x)
                x = self.shrink[level](x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](skips[level] + F.pixel_shuffle(self.grow[level](x), 2))
        scale = self.scale_second(F.relu(self.scale_first(x)))
        mean = F.pixel_shuffle(self.mean(x), 2)
        if fine is not None:
            fine = self.up_fine(fine + F.pixel_shuffle(self.grow_fine(x), 2))
            mean = mean + self.mean_fine(fine)
        return mean, F.pixel_shuffle(scale, 2)

    def given(self, harmonic: Tensor, hidden: Tensor, inside: Tensor) -> Features:
        """Return what this network is given, and the unit of what it says; see `features`."""
        if self.architecture.fine:
            return features(harmonic, hidden, inside)
        return Features(network_input(harmonic, hidden, inside), torch.ones_like(hidden))


def network_input(harmonic: Tensor, hidden: Tensor, inside: Tensor) -> Tensor:
    """Return (N, 5, H, W) out of a solution (N, 3, H, W) and two maps (N, 1, H, W) of 0 and 1."""
    return torch.cat([(2.0 * harmonic - 1.0) * inside, hidden * inside, inside], dim=1)


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
