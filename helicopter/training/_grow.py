"""A larger network that says exactly what a smaller one says, to go on learning from there.

As in T. Chen, I. Goodfellow and J. Shlens, "Net2Net: accelerating learning via knowledge transfer",
ICLR 2016, but with new channels that nothing listens to yet in place of copies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ._network import Network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from ._network import Architecture

__all__ = ["grown"]


@torch.no_grad()
def grown(
    state: Mapping[str, Tensor], architecture: Architecture, seed: int = 0
) -> dict[str, Tensor]:
    """Return weights of a network of `architecture` that computes what `state` computes.

    Every level is at least as wide and deep as it was. What is new in a layer begins at random,
    except that old outputs take nothing from new inputs; new blocks begin as the identity.
    """
    torch.manual_seed(seed)
    network = Network(architecture)
    larger = network.state_dict()
    for name, value in larger.items():
        if name in state:
            old = state[name]
            if any(o > n for o, n in zip(old.shape, value.shape, strict=True)):
                raise ValueError(f"{name} would shrink from {old.shape} to {value.shape}")
            value[: old.shape[0]] = 0
            value[tuple(slice(0, length) for length in old.shape)] = old
        elif ".second." in name or name.startswith(("shrink_fine.", "mean_fine.")):
            value.zero_()
    if missing := sorted(state.keys() - larger.keys()):
        raise ValueError(f"the larger network has no {missing[0]}")
    return dict(larger)
