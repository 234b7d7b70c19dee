"""How much better than the harmonic solution a network is, by the protocols of the benchmarks.

    python training/development.py --images DIR [--weights FILE] [--checkpoint FILE] [--crop 512]

Of a checkpoint the averaged weights, in half precision, are judged, in PyTorch; so are those of a
file, by default the package's. Also prints gratings, in dB of PSNR (amplitude 90, noise 2). What
is chosen by these figures must be judged on other photographs in the end.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from helicopter.backends.loader import accelerator
from helicopter.backends.reference.algorithms import pde
from helicopter.models._network import load_network
from helicopter.training._calibration import predict
from helicopter.training._crops import solve_harmonic
from helicopter.training._network import Architecture, Network, half_precision
from helicopter.training._trainer import starting_point

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from protocols import PROTOCOLS, make_mask

PERIODS = ((3, 5), (5, 8), (8, 12))


def network_of(weights: Path | None, checkpoint: Path | None) -> Network:
    """Return the network of a checkpoint, or else of a weights file."""
    if checkpoint is not None:
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
        architecture, state = Architecture(**saved["architecture"]), saved["average"]
        print(f"step {saved['step']}")
    else:
        architecture, state = starting_point(load_network(weights))
    network = Network(architecture)
    network.load_state_dict(half_precision(state))
    return network.eval()


def decibels(truth: np.ndarray, prediction: np.ndarray, mask: np.ndarray) -> float:
    """PSNR over the hidden pixels of what is rounded to 8 bits."""
    rounded = np.round(np.clip(prediction, 0, 1) * 255) / 255
    error = float(np.square((rounded - truth)[mask], dtype=np.float64).mean())
    return -10 * float(np.log10(max(error, 1e-12)))


def solved(image: np.ndarray, mask: np.ndarray, kind: str) -> np.ndarray:
    """Return the harmonic or biharmonic solution."""
    filled = np.where(mask[:, :, None], np.float32(0), image)
    if kind == "harmonic":
        solve_harmonic(filled, mask)
    elif (rust := accelerator()) is not None:
        rust.solve_pde(filled, mask, kind, threads=2)
    else:
        pde.solve(filled, mask, kind)
    return filled


def grating(rng: np.random.Generator, period: float, side: int) -> np.ndarray:
    """Return a grey grating of any angle."""
    y, x = np.mgrid[:side, :side]
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
    wave = np.cos(2 * np.pi / period * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    values = np.clip(np.round(127 + 90 * wave + rng.normal(0, 2, wave.shape)), 0, 255)
    return (values / 255).astype(np.float32)[:, :, None].repeat(3, axis=2)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--crop", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--protocols", nargs="*", default=list(PROTOCOLS))
    parser.add_argument("--no-biharmonic", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(2)
    network = network_of(given.weights, given.checkpoint)
    started = time.perf_counter()
    paths = sorted(given.images.glob("*.png"))
    for protocol in given.protocols:
        gains: list[float] = []
        behind: list[float] = []
        for number, path in enumerate(paths):
            pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32) / np.float32(255)
            side = given.crop
            y, x = ((length - side) // 2 for length in pixels.shape[:2])
            image = np.ascontiguousarray(pixels[y : y + side, x : x + side])
            mask = make_mask(protocol, side, side, number)
            harmonic = decibels(image, solved(image, mask, "harmonic"), mask)
            network_db = decibels(image, predict(network, image, mask)[0], mask)
            gains.append(network_db - harmonic)
            if not given.no_biharmonic:
                best = max(harmonic, decibels(image, solved(image, mask, "biharmonic"), mask))
                behind.append(network_db - best)
        worst = "" if given.no_biharmonic else f"; over the better of two, least {min(behind):+.2f}"
        print(f"{protocol}: {np.mean(gains):+.2f} dB, least {min(gains):+.2f}{worst}", flush=True)
    for protocol in {"P4", "P4b"} & set(given.protocols):
        found = []
        for low, high in PERIODS:
            rng = np.random.default_rng(given.seed)
            values = []
            for number in range(8):
                image = grating(rng, rng.uniform(low, high), 256)
                mask = make_mask(protocol, 256, 256, number)
                values.append(decibels(image, predict(network, image, mask)[0], mask))
            found.append(f"{low} to {high}: {np.mean(values):.1f} dB")
        print(f"gratings {protocol}: {', '.join(found)}", flush=True)
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
