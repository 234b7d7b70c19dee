"""Learn what to conclude from measurements: the level of the fine noise, and the kinds.

    python training/noise/fit.py SAMPLES... --channels 1 --blocks DIR/estimator-1.pt \
        --held-out SAMPLES -o DIR/grey.npz [--minutes 4]

SAMPLES are files of `samples.py`. The interval's width is set on samples of photographs that were
held out. `export.py` makes of the grey and the coloured file what the package ships.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from samples import TRUTH
from tensors import KIND_FEATURES, KIND_OUTPUTS, LOW_DETAIL, REPAIRED, level_outputs, write
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

DENSITIES = 2
HIDDEN, OTHERS_HIDDEN = 64, 24


class Perceptron(nn.Module):
    """Two hidden layers and a direct way, behind normalised features."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.layer1 = nn.Linear(inputs, hidden)
        self.layer2 = nn.Linear(hidden, hidden)
        self.layer3 = nn.Linear(hidden, outputs)
        self.direct = nn.Linear(inputs, outputs, bias=False)
        nn.init.zeros_(self.direct.weight)

    def start(
        self,
        features: Tensor,
        state: dict[str, Tensor],
        outputs: list[int],
        powers: dict[int, float],
    ) -> None:
        """Go on from what `train.py` learnt: what it did not see or say begins with nothing.

        Its answers were relative to the first rough estimate; `powers` are those of the standard
        deviation in the outputs that are relative to the reference variance now.
        """
        known = len(state["centre"])
        self.centre.copy_(features.mean(0))
        self.spread.copy_(features.std(0) + 0.02)
        self.centre[:known], self.spread[:known] = state["centre"], state["spread"]
        with torch.no_grad():
            self.layer1.weight.zero_()
            self.layer1.weight[:, :known] = state["head1.weight"]
            self.layer1.bias.copy_(state["head1.bias"])
            self.layer2.load_state_dict({k: state[f"head2.{k}"] for k in ("weight", "bias")})
            for to, source in enumerate(outputs):
                if source >= 0:
                    self.layer3.weight[to], self.layer3.bias[to] = (
                        state["head3.weight"][source],
                        state["head3.bias"][source],
                    )
                    self.direct.weight[to, :known] = state["direct.weight"][source]
                else:
                    self.layer3.weight[to] *= 0.1
            for to, power in powers.items():
                for feature in REFERENCE_SHARES:
                    at = feature + known + LOW_DETAIL + REPAIRED
                    share = power / 2 / len(REFERENCE_SHARES)
                    self.direct.weight[to, at] -= share * self.spread[at]
                    self.layer3.bias[to] -= share * self.centre[at]

    def forward(self, x: Tensor, drop: float = 0.0, jitter: float = 0.0) -> Tensor:
        normal = ((x - self.centre) / self.spread).clamp(-6, 6)
        if self.training and jitter:  # so that no sample is learnt by heart
            normal = normal + jitter * torch.randn_like(normal)
        y = F.dropout(F.relu(self.layer1(normal)), drop, self.training)
        return self.layer3(F.relu(self.layer2(y))) + self.direct(normal)


#: Features that say how much stronger the low-detail blocks are than the first rough estimate:
#: answers are relative to what these say (`reference_variance` in `block_features.py`).
REFERENCE_SHARES = [3 * share + 2 - LOW_DETAIL - REPAIRED for share in (2, 3, 4)]


class Samples:
    """Measurements and truth as tensors."""

    def __init__(self, paths: list[Path]) -> None:
        files = [np.load(path) for path in paths]
        measured = torch.from_numpy(np.concatenate([file["measured"] for file in files]))
        truth = torch.from_numpy(np.concatenate([file["truth"] for file in files]))
        self.truth = {name: truth[:, i] for i, name in enumerate(TRUTH)}
        cut = measured.shape[1] - DENSITIES - KIND_FEATURES
        self.level = measured[:, : cut - 2]
        self.reference_variance, self.unit = measured[:, cut - 2], measured[:, cut - 1]
        self.kinds = torch.cat([self.level, measured[:, cut : cut + KIND_FEATURES]], 1)
        #: standard deviation that answers are relative to, in grey levels of the image
        self.scale = self.reference_variance.sqrt() / self.unit * 255

    def __len__(self) -> int:
        return len(self.reference_variance)


def tolerance(sigma: Tensor) -> Tensor:
    """How large an error matters, in grey levels."""
    return 0.035 + 0.005 * sigma + 0.07 * torch.exp(-3 * sigma)


def levels(outputs: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The median and both ends of the interval, in grey levels; may be below zero."""
    middle = outputs[:, 0].clamp(-6, 4)
    below, above = F.softplus(outputs[:, 1] - 2), F.softplus(outputs[:, 2] - 2)
    at = [scale * (torch.exp(x) - 0.1) for x in (middle, middle - below, middle + above)]
    return at[0], at[1], at[2]


def level_loss(outputs: Tensor, scale: Tensor, truth: dict[str, Tensor], channels: int) -> Tensor:
    sigma, coloured = truth["sigma"], truth["coloured"] > 0
    # a compressed picture is nearly clean, if nothing was there before
    weight = torch.where(truth["level_known"] > 0, 1.0, 0.1 * (sigma == 0))
    white = weight * ~coloured
    middle, low, high = levels(outputs, scale)
    size = tolerance(sigma)

    def mean(x: Tensor, weight: Tensor) -> Tensor:
        return (x * weight).sum() / weight.sum().clamp(min=1)

    def pinball(x: Tensor, share: float) -> Tensor:
        error = (sigma - x) / size
        error = torch.where((sigma == 0) & (x < 0), 0.02 * error, error)
        loss = torch.maximum(share * error, (share - 1) * error)
        return torch.where(loss < 25, loss, 25 * (1 + torch.log(loss.clamp(min=25) / 25)))

    loss = mean(pinball(middle, 0.5), white)
    loss = loss + mean(pinball(low, 0.05), white) + mean(pinball(high, 0.95), white)
    noisy = (sigma > 1.5) & (truth["level_known"] > 0)
    asked = F.binary_cross_entropy_with_logits(outputs[:, 3], coloured.float(), reduction="none")
    asked = torch.where(
        coloured, asked, 3 * asked
    )  # white noise called coloured is the worse error
    loss = loss + 0.5 * mean(asked, (weight > 0.5).float() * (noisy | (sigma == 0)))
    scales = torch.stack([truth[f"scale_{side}"] for side in (1, 2, 4, 8)], 1) / scale[:, None]
    wrong = (outputs[:, 4:8] - torch.log(scales.clamp(min=1e-4))).abs().mean(1)
    loss = loss + mean(wrong, (coloured & noisy).float())
    if channels == 3:
        own = torch.stack([truth[name] for name in ("red", "green", "blue")], 1) / scale[:, None]
        wrong = (outputs[:, 8:11] - torch.log(own.clamp(min=1e-4))).abs().mean(1)
        loss = loss + mean(wrong, noisy.float())
    return loss


def others_loss(outputs: Tensor, scale: Tensor, truth: dict[str, Tensor]) -> Tensor:
    """Of impulses (three outputs), interference and compression."""
    del scale
    loss = F.cross_entropy(outputs[:, :3], truth["impulse"].long())
    loss = loss + F.binary_cross_entropy_with_logits(outputs[:, 3], truth["periodic"])
    return loss + F.binary_cross_entropy_with_logits(outputs[:, 4], truth["compression"])


def fine_loss(outputs: Tensor, scale: Tensor, truth: dict[str, Tensor]) -> Tensor:
    """Of the kind of the fine noise and its parameters."""
    sigma = truth["sigma"]
    # what is too weak to be told is not asked for; compression hides what was there before
    fine = truth["fine"].long()
    asked = (sigma == 0) | (sigma >= 2)
    first = truth["level_known"] > 0  # compressed before there was noise
    asked &= (
        (truth["compression"] == 0)
        | (fine == 0)
        | first
        | ((truth["quality"] >= 60) & (sigma >= 5))
    )
    fine = torch.where(asked, fine, -1)
    loss = F.cross_entropy(outputs[:, :6], fine, ignore_index=-1)
    clear = (truth["level_known"] > 0).float()
    for at, name, power in ((11, "gain", 2), (12, "speckle", 1)):
        value = truth[name]
        unit = 2 * (scale / 255) ** power * (255 if name == "gain" else 1)
        wrong = (outputs[:, at] - torch.log(value.clamp(min=1e-6) / unit)).abs()
        weight = (value > 0) * clear
        loss = loss + (wrong.clamp(max=3) * weight).sum() / weight.sum().clamp(min=1)
    return loss


def learn(
    model: Perceptron,
    features: Tensor,
    samples: Samples,
    loss_of: Callable[[Tensor, Tensor, dict[str, Tensor]], Tensor],
    options: argparse.Namespace,
    rate: float,
    jitter: float,
) -> Perceptron:
    """Train for some minutes; return the average of the last steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=options.decay)
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9985)
    )
    limit, began, step = options.minutes * 60, time.monotonic(), 0
    while (share := (time.monotonic() - began) / limit) < 1:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * share))
        chosen = torch.randint(len(samples), (1024,))
        truth = {name: value[chosen] for name, value in samples.truth.items()}
        loss = loss_of(model(features[chosen], options.drop, jitter), samples.scale[chosen], truth)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(model)
        step += 1
        if step % 1000 == 0:
            print(f"{step} steps, {time.monotonic() - began:.0f} s: {loss.item():.3f}", flush=True)
    return average.module.eval()


def share(what: Tensor, among: Tensor) -> float:
    return what[among].float().mean().item()


@torch.no_grad()
def joined(fine: Perceptron, others: Perceptron) -> Perceptron:
    """One perceptron of both, side by side: outputs 6 to 10 are the other one's."""
    inputs, hidden = fine.layer1.in_features, fine.layer1.out_features
    more = others.layer1.out_features
    own, theirs, outputs = slice(hidden, hidden + more), slice(-KIND_FEATURES, None), slice(6, 11)
    both = Perceptron(inputs, hidden + more, KIND_OUTPUTS)
    for parameter in both.parameters():
        parameter.zero_()
    both.centre.copy_(fine.centre)
    both.spread.copy_(fine.spread)
    # the same normalisation for both: the other one's weights take up the difference
    ratio = fine.spread[theirs] / others.spread
    shift = (fine.centre[theirs] - others.centre) / others.spread
    for k, layer in enumerate((both.layer1, both.layer2, both.layer3), start=1):
        source = getattr(fine, f"layer{k}")
        layer.weight[: source.out_features, : hidden if k > 1 else inputs] = source.weight
        layer.bias[: source.out_features] = source.bias
    both.direct.weight.copy_(fine.direct.weight)
    both.layer1.weight[own, theirs] = others.layer1.weight * ratio
    both.layer1.bias[own] = others.layer1.bias + others.layer1.weight @ shift
    both.layer2.weight[own, own] = others.layer2.weight
    both.layer2.bias[own] = others.layer2.bias
    both.layer3.weight[outputs] = 0
    both.layer3.weight[outputs, own] = others.layer3.weight
    both.layer3.bias[outputs] = others.layer3.bias + others.direct.weight @ shift
    both.direct.weight[outputs] = 0
    both.direct.weight[outputs, theirs] = others.direct.weight * ratio
    return both.eval()


@torch.no_grad()
def widen(model: Perceptron, held: Samples) -> None:
    """Move both ends of the interval so that 5 % of held-out truths lie beyond each."""
    outputs = model(held.level)
    _, low, high = levels(outputs, held.scale)
    sigma = held.truth["sigma"]
    use = (held.truth["level_known"] > 0) & (held.truth["coloured"] == 0)
    print(
        f"held out, before: below {share(sigma < low, use):.3f}, "
        f"above {share(sigma > high, use):.3f}"
    )
    wanted = torch.log((sigma / held.scale).clamp(min=0) + 0.1) - outputs[:, 0].clamp(-6, 4)
    for at, sign in ((1, -1), (2, 1)):
        for _ in range(8):  # a shift of softplus is not quite a factor
            width = F.softplus(model(held.level)[:, at] - 2)
            # a truth of zero is inside as soon as the lower end is zero
            factor = float(torch.quantile((sign * wanted / width)[use], 0.95).clamp(0.3, 4))
            model.layer3.bias[at] += math.log(factor)
        print(f"end {at}: moved until the factor was {factor:.3f}")
    _, low, high = levels(model(held.level), held.scale)
    print(
        f"after: below {share(sigma < low.clamp(min=0), use):.3f}, "
        f"above {share(sigma > high, use):.3f}"
    )


@torch.no_grad()
def report(level: Perceptron, kinds: Perceptron, held: Samples) -> None:
    truth = held.truth
    middle = levels(level(held.level), held.scale)[0].clamp(min=0)
    use = (truth["level_known"] > 0) & (truth["coloured"] == 0)
    for low, high in ((-1, 0.01), (0.2, 2), (2, 5), (5, 10), (10, 20), (20, 60)):
        chosen = use & (truth["sigma"] > low) & (truth["sigma"] <= high)
        error = (middle - truth["sigma"]).abs()[chosen]
        print(
            f"sigma in {low}..{high}: mean error {error.mean():.3f}, "
            f"median {error.median():.3f}, {int(chosen.sum())} samples"
        )
    outputs = kinds(held.kinds)
    for name, at, answer in (
        ("impulse", slice(6, 9), None),
        ("periodic", 9, 0),
        ("compression", 10, 0),
    ):
        found = outputs[:, at].argmax(1) if answer is None else (outputs[:, at] > 0).long()
        print(f"{name}: {(found == truth[name].long()).float().mean():.4f}")
    asked = (
        ((truth["sigma"] == 0) | (truth["sigma"] >= 3))
        & (truth["compression"] == 0)
        & (truth["fine"] < 5)
    )
    found = outputs[:, :6].argmax(1)
    print(f"fine: {(found == truth['fine'].long())[asked].float().mean():.4f}")
    found, true = level(held.level)[:, 3] > 0, truth["coloured"] > 0
    print(f"coloured: {share(found == true, use | true):.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("samples", type=Path, nargs="+")
    parser.add_argument("--held-out", type=Path, nargs="+", required=True)
    parser.add_argument("--channels", type=int, choices=(1, 3), required=True)
    parser.add_argument("--blocks", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--decay", type=float, default=0.02)
    parser.add_argument("--drop", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    samples, held = Samples(options.samples), Samples(options.held_out)
    print(f"{len(samples)} samples, {len(held)} held out")
    outputs = level_outputs(options.channels)
    state = torch.load(options.blocks, map_location="cpu")
    level = Perceptron(samples.level.shape[1], HIDDEN, outputs)
    # median and both sides; coloured and its scales; channels
    level.start(
        samples.level, state, [0, 1, 2, *range(11, 16), *range(16, 8 + outputs)],
        dict.fromkeys((0, *range(4, outputs)), 1.0),
    )  # fmt: skip
    level = learn(
        level, samples.level, samples,
        lambda y, scale, truth: level_loss(y, scale, truth, options.channels),
        options, options.rate, 0.01,
    )  # fmt: skip
    fine = Perceptron(samples.kinds.shape[1], HIDDEN, KIND_OUTPUTS)
    # the fine kinds, gain and speckle; what lies between is learnt apart, below
    fine.start(samples.kinds, state, [*range(3, 9), *[-1] * 5, 9, 10], {11: 2.0, 12: 1.0})
    with torch.no_grad():
        fine.layer3.bias[11:13] += math.log(1.275)  # from grey levels to the [0, 1] scale
    fine = learn(fine, samples.kinds, samples, fine_loss, options, 2 * options.rate, 0.02)
    # the other kinds are judged by their own measurements alone: what is unusual in the fine
    # noise of a picture must not make interference of it
    own = samples.kinds[:, -KIND_FEATURES:]
    others = Perceptron(KIND_FEATURES, OTHERS_HIDDEN, 5)
    others.centre.copy_(own.mean(0))
    others.spread.copy_(own.std(0) + 0.02)
    others = learn(others, own, samples, others_loss, options, 3 * options.rate, 0.1)
    kinds = joined(fine, others)
    widen(level, held)
    report(level, kinds, held)
    write(options.output, state, {"level": level, "kinds": kinds})


if __name__ == "__main__":
    main()
