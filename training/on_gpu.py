"""Minutes of training on a GPU, which are worth days on a processor; stops by the clock.

    python training/pack.py PHOTOGRAPHS... -o photographs.zip
    python training/on_gpu.py photographs.zip --start run/best --out DIR [--minutes 8]

Goes on from the averaged weights of a run of `training/second.py` or of this script, and leaves its
own in DIR, every minute: `average`, which `--start` of both scripts takes, and `log.jsonl`. Crops
are cut, varied and solved on the GPU; processes on the other side draw masks and synthetic crops.
Unlike the trainer's, batches are not a function of the seed alone.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import time
import zipfile
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
import torch._dynamo
from PIL import Image
from torch import Tensor

from helicopter.io._atomic import atomic_open
from helicopter.training._crops import SYNTHETIC
from helicopter.training._features import local_scale
from helicopter.training._loss import MEASURES, loss_of
from helicopter.training._masks import WIDE, random_mask
from helicopter.training._muon import optimizers
from helicopter.training._network import Architecture, Network
from helicopter.training._synthesis import synthetic_crop

#: Side of the crops, how many of them make a batch on a GPU, and how often each comes.
SIDES, COUNTS, OFTEN = (96, 192), (256, 64), (0.65, 0.35)
#: Masks and synthetic crops that are kept ready, in batches.
READY = 8
SYNTHETIC_SHARE, NOISY_SHARE = 0.18, 0.15
LEARNING_RATE, WEIGHT_DECAY = 7e-4, 1e-4
#: Share of the time over which the learning rate rises, and falls to zero.
WARM_UP, COOL_DOWN = 0.03, 0.4
AVERAGING = 0.998
#: Steps of the conjugate gradients that solve for the harmonic crops, in sides of a crop.
SOLVING = 1.0
#: Of the crops that are cut, the flattest are left out.
CUT = 1.15


@dataclass
class Pool:
    """Masks and synthetic crops of one side, in memory that processes share."""

    masks: np.ndarray
    synthetic: np.ndarray
    synthetic_masks: np.ndarray

    @classmethod
    def of(cls, side: int, count: int) -> Pool:
        """Return an empty one."""
        some = max(2, round(count * SYNTHETIC_SHARE))

        def shared(shape: tuple[int, ...], kind: str) -> np.ndarray:
            size = int(np.prod(shape)) * np.dtype(kind).itemsize
            return np.frombuffer(multiprocessing.RawArray("b", size), dtype=kind).reshape(shape)

        return cls(
            shared((READY * count, side, side), "u1"),
            shared((READY * some, side, side, 3), "f2"),
            shared((READY * some, side, side), "u1"),
        )

    def refill(self, rng: np.random.Generator, places: slice) -> None:
        """Draw a share of everything anew."""
        for masks, families in ((self.masks, WIDE), (self.synthetic_masks, SYNTHETIC)):
            for mask in masks[places]:
                mask[:] = random_mask(rng, len(mask), families)
        for crop in self.synthetic[places]:
            crop[:] = synthetic_crop(rng, len(crop))


def keep_filling(pools: list[Pool], number: int, among: int, filled: object) -> None:
    """Draw a process's share of the pools, again and again."""
    torch.set_num_threads(1)
    rng = np.random.default_rng([number, time.time_ns()])
    while True:
        for pool in pools:
            pool.refill(rng, slice(number, None, among))
        filled.set()  # type: ignore[attr-defined]


class Photographs:
    """All photographs on the device, one behind the other, and crops of them."""

    def __init__(self, archive: Path, device: torch.device) -> None:
        with zipfile.ZipFile(archive) as file:
            names = sorted(file.namelist())
            images = [Image.open(io.BytesIO(file.read(name))).convert("RGB") for name in names]
        arrays = [np.asarray(image) for image in images]
        shapes = np.array([array.shape[:2] for array in arrays])
        self.pixels = torch.from_numpy(np.concatenate([a.reshape(-1, 3) for a in arrays]))
        self.pixels = self.pixels.to(device)
        begins = np.concatenate([[0], np.cumsum(shapes.prod(1))[:-1]])
        self.begin, self.height, self.width = (
            torch.from_numpy(each.astype(np.int64)).to(device)
            for each in (begins, shapes[:, 0], shapes[:, 1])
        )
        self.orders = torch.tensor(list(permutations(range(3))), device=device)

    def cut(self, side: int, count: int) -> Tensor:
        """Return crops (count, 3, side, side) in [0, 1], turned, flipped, recoloured."""
        device, more = self.pixels.device, round(count * CUT)
        fitting = (torch.minimum(self.height, self.width) >= side).float()
        weights = (self.height * self.width).float().sqrt() * fitting
        which = torch.multinomial(weights, more, replacement=True)

        def some(below: Tensor) -> Tensor:
            return (torch.rand(more, device=device) * below).long()[:, None, None]

        top, left = (some(length[which] - side + 1) for length in (self.height, self.width))
        line = torch.arange(side, device=device)
        y, x = line[None, :, None], line[None, None, :]
        turned, up, back = (torch.rand(3, more, 1, 1, device=device) < 0.5).unbind()
        y, x = torch.where(turned, x, y), torch.where(turned, y, x)
        y, x = torch.where(up, side - 1 - y, y), torch.where(back, side - 1 - x, x)
        width = self.width[which][:, None, None]
        place = self.begin[which][:, None, None] + (top + y) * width + left + x
        crops = self.pixels[place].permute(0, 3, 1, 2).float() / 255
        crops = crops[crops.std((1, 2, 3)).topk(count).indices]
        order = self.orders[torch.randint(6, (count,), device=device)]
        return crops.gather(1, order[:, :, None, None].expand_as(crops))


def varied(crops: Tensor) -> Tensor:
    """Make some grey, some brighter or duller, some negative."""

    def some(share: float) -> Tensor:
        return torch.rand(len(crops), 1, 1, 1, device=crops.device) < share

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(crops), 1, 1, 1, device=crops.device)

    crops = torch.where(some(0.15), crops.mean(1, keepdim=True), crops)
    crops = torch.where(some(0.3), crops.clamp_min(1e-6) ** between(-0.5, 0.5).exp(), crops)
    return torch.where(some(0.1), 1 - crops, crops)


def noisy(crops: Tensor) -> Tensor:
    """Add noise to a share of them; the same in all channels of what is grey."""
    shape = (len(crops), 1, 1, 1)
    chance, strength, counts = (torch.rand(shape, device=crops.device) for _ in range(3))
    strength = 0.003 * (0.08 / 0.003) ** strength * (chance < NOISY_SHARE)
    noise = torch.randn_like(crops)
    grey = (crops == crops[:, :1]).all(1, keepdim=True).all(2, keepdim=True).all(3, keepdim=True)
    noise = torch.where(grey, noise[:, :1], noise) * strength
    return (crops + torch.where(counts < 0.4, noise * crops.sqrt(), noise)).clamp(0, 1)


def harmonic(truth: Tensor, hidden: Tensor, inside: Tensor, steps: int) -> Tensor:
    """Solve for the hidden pixels by conjugate gradients, from the means of what is around."""
    mean, _ = local_scale(truth, hidden, inside)
    u = torch.where(hidden > 0, mean, truth) * inside
    degree = _neighbours(inside)
    r = (_neighbours(u) - degree * u) * hidden
    p, energy = r, r.square().sum((2, 3), keepdim=True)
    for _ in range(steps):
        u, r, p, energy = solver_step(u, r, p, energy, degree, hidden)
    return u


def solver_step(
    u: Tensor, r: Tensor, p: Tensor, energy: Tensor, degree: Tensor, hidden: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One step of conjugate gradients for each crop and channel by itself."""
    along = (degree * p - _neighbours(p)) * hidden
    length = energy / (p * along).sum((2, 3), keepdim=True).clamp_min(1e-20)
    u, r = u + length * p, r - length * along
    following = r.square().sum((2, 3), keepdim=True)
    return u, r, r + following / energy.clamp_min(1e-20) * p, following


def _neighbours(u: Tensor) -> Tensor:
    w = torch.nn.functional.pad(u, (1, 1, 1, 1))
    return w[..., 1:-1, 2:] + w[..., 1:-1, :-2] + w[..., 2:, 1:-1] + w[..., :-2, 1:-1]


def batch(
    photographs: Photographs, pool: Pool, rng: np.random.Generator, count: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return truth, harmonic solution, hidden, inside."""
    side, device = pool.masks.shape[1], photographs.pixels.device
    made = rng.binomial(count, SYNTHETIC_SHARE)
    places = rng.integers(0, len(pool.synthetic), made)
    synthetic = torch.from_numpy(pool.synthetic[places]).to(device).permute(0, 3, 1, 2).float()
    truth = noisy(torch.cat([varied(photographs.cut(side, count - made)), synthetic]))
    masks = pool.masks[rng.integers(0, len(pool.masks), count - made)]
    masks = np.concatenate([masks, pool.synthetic_masks[places]])[:, None]
    masks[:, :, 0, 0] = 0  # something shows, even while a process writes into it
    hidden = torch.from_numpy(masks).to(device).float()
    # sizes that are no multiple of the coarsest pixel are filled up with nothing
    cut = rng.integers(0, 16, (2, count)) * (rng.random((2, count)) < 0.15)
    ends = torch.from_numpy(side - cut).to(device)[:, :, None, None, None]
    line = torch.arange(side, device=device)
    inside = ((line[:, None] < ends[0]) & (line[None, :] < ends[1])).float()
    hidden = hidden * inside
    return truth, harmonic(truth, hidden, inside, round(SOLVING * side)), hidden, inside


def main() -> None:
    """Train until the time is over."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", type=float, default=1.0, help="of the batches")
    parser.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--no-compile", action="store_true")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    counts = [max(1, round(count * given.size)) for count in COUNTS]
    pools = [Pool.of(side, count) for side, count in zip(SIDES, counts, strict=True)]
    fork = multiprocessing.get_context("fork")  # before the device is touched
    filled = [fork.Event() for _ in range(given.processes)]
    for number, event in enumerate(filled):
        arguments = (pools, number, given.processes, event)
        fork.Process(target=keep_filling, args=arguments, daemon=True).start()

    device = torch.device(given.device)
    torch.set_float32_matmul_precision("high")
    start = torch.load(given.start, map_location=device, weights_only=True)
    network = Network(Architecture(**start["architecture"])).to(device)
    network.load_state_dict(start["average"])
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = {name: value.clone() for name, value in network.state_dict().items()}
    learning = optimizers(network, LEARNING_RATE, WEIGHT_DECAY)
    photographs = Photographs(given.photographs, device)
    called: torch.nn.Module = network
    if not given.no_compile:
        torch._dynamo.config.suppress_errors = True  # slow is better than nothing
        called = torch.compile(network)  # type: ignore[assignment]
        globals()["solver_step"] = torch.compile(solver_step)
    for event in filled:
        event.wait()

    def log(**record: object) -> None:
        with (given.out / "log.jsonl").open("a") as file:
            file.write(json.dumps({"seconds": round(time.monotonic() - began, 1), **record}) + "\n")

    def save() -> None:
        state = {"average": {name: value.cpu() for name, value in average.items()}}
        state |= {"architecture": network.architecture.to_dict(), "step": step, "mean": -np.inf}
        with atomic_open(given.out / "average") as file:
            torch.save(state, file)

    rng, step, saved, ends = np.random.default_rng(time.time_ns()), 0, began, given.minutes * 60
    measured: list[Tensor] = []
    opening = time.monotonic() - began
    log(photographs=len(photographs.begin), device=str(device), processes=given.processes)
    while (now := time.monotonic()) - began < ends:
        done = (now - began - opening) / (ends - opening)
        rate = LEARNING_RATE * min(1.0, done / WARM_UP + 1e-3, max(0.0, 1 - done) / COOL_DOWN)
        for optimizer in learning:
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("factor", 1.0)
        kind = int(rng.choice(len(SIDES), p=OFTEN))
        truth, solution, hidden, inside = batch(photographs, pools[kind], rng, counts[kind])
        loss, measures = loss_of(called, truth, solution, hidden, inside)  # type: ignore[arg-type]
        network.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer in learning:
            optimizer.step()
        decay = min(AVERAGING, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in network.state_dict().items():
                average[name].lerp_(value, 1 - decay)
        measured.append(measures)
        step += 1
        if step % 50 == 0 or now - saved > 60:
            means = torch.stack(measured).mean(0).tolist()  # waits for the device
            log(
                step=step,
                rate=rate,
                **{k: round(v, 4) for k, v in zip(MEASURES, means, strict=True)},
            )
            if not np.isfinite(means).all():
                raise SystemExit("training diverged; what was saved last is whole")
            measured.clear()
        if now - saved > 60:
            save()
            saved = now
    save()
    log(step=step, done=True)


if __name__ == "__main__":
    main()
