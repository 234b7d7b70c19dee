"""What was learnt, as the package and the accelerator take it: matrices by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

#: Features of impulses, waves and compression; of the low-detail blocks; repaired pixels.
KIND_FEATURES, LOW_DETAIL, REPAIRED = 56, 27, 1
KIND_OUTPUTS = 13
#: How much the map trusts wider neighbourhoods, chosen on the development photographs. What
#: training finds for mostly even noise is far more, and blurs noise that is not.
MAP_SHRINK = (0.1, 0.05)


def level_outputs(channels: int) -> int:
    """Median and both sides, coloured, four scales; in colour three channels."""
    return 8 if channels == 1 else 11


def write(path: Path, state: dict[str, Tensor], perceptrons: dict[str, nn.Module]) -> None:
    """Write the blocks' network of `train.py` and what `fit.py` learnt."""
    out = {"map_shrink": torch.tensor([MAP_SHRINK])}
    for k in (1, 2, 3):
        out[f"blocks.layer{k}.weight"] = state[f"block{k}.weight"]
        out[f"blocks.layer{k}.bias"] = state[f"block{k}.bias"][None]
    for name, model in perceptrons.items():
        out[f"{name}.centre"], out[f"{name}.spread"] = model.centre[None], model.spread[None]
        out[f"{name}.direct"] = model.direct.weight
        for k in (1, 2, 3):
            layer = getattr(model, f"layer{k}")
            out[f"{name}.layer{k}.weight"] = layer.weight
            out[f"{name}.layer{k}.bias"] = layer.bias[None]
    np.savez(path, **{name: value.detach().cpu().float().numpy() for name, value in out.items()})


def write_start(path: Path, state: dict[str, Tensor], channels: int) -> None:
    """Write the blocks' network with conclusions that conclude nothing, to measure samples with."""
    known = len(state["centre"]) + LOW_DETAIL + REPAIRED
    blank = {
        "level": _Blank(known, level_outputs(channels)),
        "kinds": _Blank(known + KIND_FEATURES, KIND_OUTPUTS),
    }
    write(path, state, blank)


class _Blank(torch.nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.centre, self.spread = torch.zeros(inputs), torch.ones(inputs)
        self.layer1, self.layer2 = torch.nn.Linear(inputs, 1), torch.nn.Linear(1, 1)
        self.layer3 = torch.nn.Linear(1, outputs)
        self.direct = torch.nn.Linear(inputs, outputs, bias=False)
