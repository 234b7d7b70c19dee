"""The optimizer: Muon for the convolutions inside the network, AdamW for all else.

Muon (K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024) makes the
columns of every update orthogonal; the factor that gives updates the size of AdamW's, so that one
learning rate serves both, is that of J. Liu et al., "Muon is scalable for LLM training", 2025.
PyTorch's own takes matrices only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

__all__ = ["Muon", "optimizers"]

#: Coefficients of the Newton-Schulz iteration, and how often it is applied.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
MOMENTUM = 0.95
#: Root mean square of an AdamW update, in learning rates.
ADAMW_SIZE = 0.2
#: What enters and leaves the network is not for Muon.
OUTER = ("enter", "mean", "scale_")
#: The head that states the scale of errors, and how much larger its steps are: its gradient reaches
#: nothing else, so haste is safe there.
SCALE, SCALE_FACTOR = "scale_", 5.0


def optimizers(
    network: nn.Module, learning_rate: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """Return the two optimizers that share a network's parameters.

    A group's learning rate is to be multiplied by its ``factor``, where it has one.
    """
    inner: list[Tensor] = []
    outer: list[Tensor] = []
    scale: list[Tensor] = []
    for name, parameter in network.named_parameters():
        if name.startswith(SCALE):
            scale.append(parameter)
        elif parameter.ndim == 4 and not name.startswith(OUTER):
            inner.append(parameter)
        else:
            outer.append(parameter)
    groups: list[dict[str, Any]] = [{"params": outer}, {"params": scale, "factor": SCALE_FACTOR}]
    return [
        Muon(inner, learning_rate, weight_decay),
        torch.optim.AdamW(groups, lr=learning_rate, weight_decay=weight_decay, betas=(0.9, 0.99)),
    ]


class Muon(torch.optim.Optimizer):
    """Momentum whose updates are made orthogonal; for kernels (O, I, h, w) as matrices (O, Ihw)."""

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float, weight_decay: float
    ) -> None:
        super().__init__(parameters, {"lr": learning_rate, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "m" not in state:
                    state["m"] = torch.zeros_like(parameter)
                momentum = state["m"].lerp_(parameter.grad, 1 - MOMENTUM)
                update = parameter.grad.lerp(momentum, MOMENTUM).flatten(1)
                size = ADAMW_SIZE * max(update.shape) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                direction = _orthogonal(update).reshape(parameter.shape)
                parameter.add_(direction, alpha=-group["lr"] * size)


def _orthogonal(matrix: Tensor) -> Tensor:
    """Bring all singular values close to 1."""
    a, b, c = COEFFICIENTS
    wide = matrix.shape[0] <= matrix.shape[1]
    x: Tensor = matrix if wide else matrix.T
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * (square @ square)) @ x
    return x if wide else x.T
