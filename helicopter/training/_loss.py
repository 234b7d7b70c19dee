"""What the network is to make small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from ._network import Network

__all__ = ["MEASURES", "loss_of"]

#: Errors of a crop are compared to those of the harmonic solution, plus this in the network's unit:
#: (squared, absolute).
LEAST_ERROR = (1e-4, 4e-3)
TINY = 1e-12
#: The scale needs features of its own (what serves the mean says little of its error), but the mean
#: comes first.
SURPRISE_WEIGHT = 0.2
#: Beyond this many stated scales an error teaches nothing about the scale.
MOST_RELATIVE = 100.0
#: What is returned beside the loss.
MEASURES = ("squared", "absolute", "surprise", "gain_db")


def loss_of(
    network: Network, truth: Tensor, harmonic: Tensor, hidden: Tensor, inside: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the loss of a batch and its MEASURES; truth and harmonic (N, 3, H, W), maps of 1.

    On CUDA the arithmetic of the network is bfloat16.
    """
    with torch.no_grad():
        planes, unit = network.given(harmonic, hidden, inside)
    half = truth.device.type == "cuda"
    with torch.autocast(truth.device.type, dtype=torch.bfloat16, enabled=half):
        correction, log_scale = network(planes)
    correction, log_scale = correction.float() * unit, log_scale.float() + unit.log()
    typical = unit.mean((1, 2, 3))
    wrong = harmonic - truth
    error = wrong + correction
    squared = _per_crop(error.square(), hidden) / (
        _per_crop(wrong.square(), hidden) + LEAST_ERROR[0] * typical.square() + TINY
    )
    absolute = _per_crop(error.abs(), hidden) / (
        _per_crop(wrong.abs(), hidden) + LEAST_ERROR[1] * typical + TINY
    )
    # Laplace likelihood of the errors, which stand: to state them is not to make them small
    size = error.detach().abs().mean(1, keepdim=True)
    # bounded where what is visible is flat and what is hidden is not
    relative = (size * torch.exp(-log_scale)).clamp_max(MOST_RELATIVE)
    surprise = ((log_scale + relative) * hidden).sum() / hidden.sum()
    loss = squared.mean() + absolute.mean() + SURPRISE_WEIGHT * surprise
    before, after = (_per_crop(e.detach().square(), hidden) + 1e-6 for e in (wrong, error))
    gain = 10 * torch.log10(before / after).mean()
    measures = (squared.mean(), absolute.mean(), surprise, gain)
    return loss, torch.stack([measure.detach() for measure in measures])


def _per_crop(values: Tensor, hidden: Tensor) -> Tensor:
    total = (values * hidden).sum((1, 2, 3))
    return total / (values.shape[1] * hidden.sum((1, 2, 3))).clamp_min(1.0)
