"""Train the estimator of fine noise.

    python training/noise/train.py PHOTOGRAPHS -o DIR --channels 1 --minutes 8 [--device cuda]

PHOTOGRAPHS is a folder of clean pictures (see `training/photographs.py`). One picture in eight is
kept aside for validation and for the calibration of the interval. Writes `estimator-1.pt` or
`estimator-3.pt` in DIR; `training/noise/export.py` makes of both what the package ships.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from model import STRIDE, Estimator
from PIL import Image
from simulate import Batch, compress, corrupt
from tensors import write_start
from torch import Tensor

SHAPES = ((64, 64), (96, 128), (160, 224), (256, 256), (320, 480), (416, 640))
#: How often each shape is drawn, and how many pictures of it make a batch.
CHANCE = (0.06, 0.10, 0.20, 0.28, 0.20, 0.16)
COUNT = (128, 128, 96, 64, 40, 24)


def load(folder: Path, device: str) -> list[Tensor]:
    """All pictures as uint8 (3, H, W), sorted by name."""
    pictures = []
    for path in sorted(folder.iterdir()):
        if path.suffix in {".png", ".webp", ".jpg"}:
            with Image.open(path) as image:
                pictures.append(
                    torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).to(device)
                )
    return pictures


def halves(pictures: list[Tensor]) -> list[Tensor]:
    """The same pictures at 2/3 and at half their size."""
    out = []
    for picture in pictures:
        for factor in (1.5, 2.0):
            size = [int(n / factor) for n in picture.shape[1:]]
            if min(size) >= 64:
                small = F.interpolate(
                    picture[None].float(),
                    size=size,
                    mode="bicubic",
                    antialias=True,
                    align_corners=False,
                )
                out.append(small[0].clamp(0, 255).round().to(torch.uint8))
    return out


def synthetic(n: int, channels: int, h: int, w: int, device: str) -> Tensor:
    """Flat pieces, gradients and clouds: pictures without any texture of a camera's."""
    out = torch.zeros(n, channels, h, w, device=device)
    for _ in range(3):
        cells = int(torch.randint(1, 12, (1,)))
        mode = "nearest" if torch.rand(()) < 0.5 else "bilinear"
        coarse = 255 * torch.rand(n, channels, cells + 1, cells + 1, device=device)
        options = {} if mode == "nearest" else {"align_corners": False}
        out = out + F.interpolate(coarse, size=(h, w), mode=mode, **options) / 3
    return out.clamp(0, 255)


class Source:
    """Draws batches of clean crops."""

    def __init__(self, pictures: list[Tensor], channels: int, seed: int) -> None:
        self.pictures = pictures
        self.channels = channels
        self.random = np.random.default_rng(seed)
        self.fitting: dict[tuple[int, int], list[Tensor]] = {}

    def batch(self, shape: tuple[int, int], count: int) -> Tensor:
        h, w = shape
        if shape not in self.fitting:
            self.fitting[shape] = [
                p for p in self.pictures if min(p.shape[1:]) >= h and max(p.shape[1:]) >= w
            ]
        fitting = self.fitting[shape]
        crops = []
        for index in self.random.integers(0, len(fitting), count):
            picture = fitting[index]
            if (
                picture.shape[1] < h
                or picture.shape[2] < w
                or (min(picture.shape[1:]) >= w and self.random.random() < 0.5)
            ):
                picture = picture.transpose(1, 2)
            y = int(self.random.integers(0, picture.shape[1] - h + 1))
            x = int(self.random.integers(0, picture.shape[2] - w + 1))
            crop = picture[:, y : y + h, x : x + w]
            flips = [d + 1 for d in range(2) if self.random.random() < 0.5]
            crops.append(crop.flip(flips) if flips else crop)
        clean = torch.stack(crops).float()
        made = synthetic(max(1, count // 16), 3, h, w, str(clean.device))
        clean[: made.shape[0]] = made.round()
        if self.random.random() < 0.1:  # soft pictures
            soft = F.interpolate(
                clean[:, :, : h // 2, : w // 2], size=(h, w), mode="bicubic", align_corners=False
            )
            clean[: count // 2] = soft[: count // 2].clamp(0, 255).round()
        if self.channels == 1:
            luma = torch.tensor([0.299, 0.587, 0.114], device=clean.device).view(1, 3, 1, 1)
            clean = (clean * luma).sum(1, keepdim=True).round()
        return clean


def make(source: Source, model: Estimator, shape: tuple[int, int], count: int) -> Batch:
    batch = corrupt(source.batch(shape, count))
    some = int(source.random.random() < 0.6) * max(1, count // 12)
    if some:  # compressed pictures have no fine noise, but no clean blocks either
        batch.pixels[-some:] = compress(
            batch.pixels[-some:], model.dct, int(source.random.integers(5, 90))
        )
        batch.quantum[-some:] = 1
        plain = batch.kind[-some:] == 0
        batch.has_sigma[-some:] = torch.where(plain, 0.1, 0.0)
        batch.kind[-some:] = torch.where(plain, 0, -1)
        batch.coloured[-some:] = False
    return batch


def tolerance(sigma: Tensor) -> Tensor:
    """How large an error matters, in grey levels."""
    return 0.04 + 0.006 * sigma + 0.06 * torch.exp(-2 * sigma)


def losses(answers: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    known = batch.has_sigma
    scale = tolerance(batch.sigma)
    white = known * (~batch.coloured)

    def mean(x: Tensor, weight: Tensor) -> Tensor:
        return (x * weight).sum() / weight.sum().clamp(min=1)

    def pinball(x: Tensor, share: float) -> Tensor:
        error = (batch.sigma - x) / scale
        # a level below zero is as good as zero when the truth is zero
        error = torch.where((batch.sigma == 0) & (x < 0), 0.02 * error, error)
        return torch.maximum(share * error, (share - 1) * error)

    def soft(x: Tensor) -> Tensor:
        return torch.where(x < 8, x, 8 * (1 + torch.log(x.clamp(min=8) / 8)))

    out = {}
    for name, share, weight in (("low", 0.05, 1.0), ("sigma", 0.5, 1.0), ("high", 0.95, 1.0)):
        out[name] = weight * mean(soft(pinball(answers[name], share)), white)
    kind = torch.where((batch.kind >= 0) & ~batch.coloured, batch.kind, -1)
    out["kind"] = 0.5 * F.cross_entropy(answers["kind"], kind, ignore_index=-1)
    gain = batch.gain > 0
    out["gain"] = mean(
        (answers["log_gain"] - torch.log(batch.gain.clamp(min=1e-6))).abs(), gain.float()
    )
    speckle = batch.speckle > 0
    out["speckle"] = mean(
        (answers["log_speckle"] - torch.log(batch.speckle.clamp(min=1e-6))).abs(), speckle.float()
    )
    noisy = (batch.sigma > 0.5) & (known > 0.5)
    out["coloured"] = 0.3 * mean(
        F.binary_cross_entropy_with_logits(
            answers["coloured"], batch.coloured.float(), reduction="none"
        ),
        noisy.float(),
    )
    wrong = (answers["log_scales"] - torch.log(batch.scale_sigma.clamp(min=1e-3))).abs().mean(1)
    out["scales"] = 0.5 * mean(wrong, (batch.coloured & noisy).float())
    if "log_channels" in answers:
        wrong = (
            (answers["log_channels"] - torch.log(batch.sigma_channels.clamp(min=1e-3)))
            .abs()
            .mean(1)
        )
        out["channels"] = 0.5 * mean(wrong, (noisy & ~batch.coloured).float())
    rows, columns = answers["log_map"].shape[2:]
    truth = F.avg_pool2d(batch.variance, 8, stride=STRIDE)[:, :, :rows, :columns]
    wrong = answers["log_map"] - torch.log(truth.clamp(min=1e-3))
    wrong = (wrong - wrong.mean((1, 2, 3), keepdim=True)).abs().mean((1, 2, 3))
    additive = noisy & ((batch.kind == 1) | (batch.kind == 4)) & ~batch.coloured & (batch.sigma > 1)
    out["map"] = 0.3 * mean(wrong, additive.float())
    return out


@torch.no_grad()
def normalise(model: Estimator, source: Source, batches: int = 80) -> None:
    """Measure centre and spread of the features over batches of all shapes."""
    values = []
    for i in range(batches):
        batch = make(source, model, SHAPES[i % len(SHAPES)], 16)
        values.append(model.features(batch.pixels, batch.quantum).values)
    everything = torch.cat(values)
    model.centre.copy_(everything.mean(0))
    model.spread.copy_(everything.std(0) + 0.02)


@torch.no_grad()
def validate(model: Estimator, pictures: list[Tensor], channels: int) -> str:
    """Mean absolute error on whole pictures for the sigmas of the protocol, clipped and rounded."""
    model.eval()
    lines = []
    generator = torch.Generator(device=pictures[0].device).manual_seed(0)
    for sigma in (0, 1, 2, 5, 10, 15, 25, 50):
        errors, inside = [], []
        for picture in pictures:
            clean = picture[None].float()
            if channels == 1:
                clean = (
                    0.299 * clean[:, :1] + 0.587 * clean[:, 1:2] + 0.114 * clean[:, 2:]
                ).round()
            noise = torch.randn(clean.shape, device=clean.device, generator=generator)
            noisy = (clean + sigma * noise).round().clamp(0, 255)
            a = model(noisy, torch.ones(1, device=clean.device))
            errors.append(abs(max(0.0, float(a["sigma"])) - sigma))
            inside.append(max(0.0, float(a["low"])) <= sigma <= float(a["high"]))
        lines.append(
            f"{sigma}: {np.mean(errors):.3f} "
            f"(worst {max(errors):.2f}, inside {np.mean(inside):.2f})"
        )
    model.train()
    return "  ".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--channels", type=int, choices=(1, 3), required=True)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--watch", type=Path, help="pictures to report on, never to train on")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    options.output.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    pictures = load(options.photographs, options.device)
    held = pictures[::8]
    kept = [p for i, p in enumerate(pictures) if i % 8]
    source = Source(kept + halves(kept), options.channels, options.seed)
    watched = load(options.watch, options.device) if options.watch else held[:16]
    print(f"{len(kept)} pictures to train on, {len(held)} held out", flush=True)
    model = Estimator(options.channels).to(options.device)
    if options.start:
        model.load_state_dict(torch.load(options.start, map_location=options.device), strict=False)
    normalise(model, source)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=options.rate, weight_decay=1e-3, betas=(0.9, 0.98)
    )
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998), use_buffers=True
    )
    began, step, shown = time.monotonic(), 0, {}
    limit = options.minutes * 60
    last = began
    while True:
        share = (time.monotonic() - began) / limit
        if share >= 1:
            break
        rate = (
            options.rate * min(1, (step + 1) / 300) * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-6
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        which = int(source.random.choice(len(SHAPES), p=CHANCE))
        batch = make(source, model, SHAPES[which], COUNT[which])
        parts = losses(model(batch.pixels, batch.quantum), batch)
        loss = sum(parts.values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if not torch.isfinite(norm):
            print(f"step {step}: a loss that is not finite: {parts}", flush=True)
        else:
            optimizer.step()
            average.update_parameters(model)
        step += 1
        if step % 50 == 1:
            for name, value in parts.items():
                shown[name] = 0.8 * shown.get(name, value.item()) + 0.2 * value.item()
        if time.monotonic() - last > limit / 4:
            last = time.monotonic()
            text = " ".join(f"{name} {value:.3f}" for name, value in shown.items())
            print(f"{step} steps, {last - began:.0f} s: {text}", flush=True)
            print("   ", validate(average.module, watched, options.channels), flush=True)
            save(average.module, options)
    save(average.module, options)
    print(f"{step} steps")
    print("watched:", validate(average.module, watched, options.channels))
    print("held out:", validate(average.module, held, options.channels))


def save(model: Estimator, options: argparse.Namespace) -> None:
    path = options.output / f"estimator-{options.channels}.pt"
    partial = path.with_suffix(".partial")
    torch.save(model.state_dict(), partial)
    partial.replace(path)
    write_start(
        options.output / f"start-{options.channels}.npz", model.state_dict(), options.channels
    )


if __name__ == "__main__":
    sys.exit(main())
