"""Fit the evidence for impulse noise and print its table.

    python training/fit_noise_impulses.py --images DIR

DIR holds the training photographs (`training/photographs.py` rebuilds them). Every photograph is
cut to a random size, turned grey or not, given each kind of noise in turn at a random strength, and
a quarter of them Gaussian noise with impulses on top. Two logistic regressions on the features then
tell images with salt and pepper, or with random values, from all others. The printed lines are
`EVIDENCE` and `EVIDENCE_AT_ZERO` of the reference's `analysis/noise/impulses` and its twin.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.optimize import minimize

from helicopter.backends.reference.analysis.noise import impulses
from helicopter.backends.reference.analysis.noise.impulses import counts as impulse_counts

SEED = 20261127
SIDES, CHANCES = (512, 384, 256, 128, 64), (0.25, 0.15, 0.2, 0.2, 0.2)
#: Kinds of noise and their strengths, drawn evenly on a logarithmic scale.
KINDS = {
    "clean": (1, 1),
    "gaussian": (3, 50),
    "uniform": (3, 50),
    "speckle": (0.04, 0.5),
    "poisson": (10, 1000),
    "periodic": (3, 40),
    "jpeg": (5, 80),
    "salt_pepper": (0.005, 0.3),
    "impulse": (0.005, 0.3),
}
IMPULSES = ("salt_pepper", "impulse")
MIXTURE_EVERY = 4
#: How much an image with two kinds of noise counts: hits may drown in the other noise.
MIXTURE_WEIGHT = 0.3
#: Features count within so many standard deviations of their mean.
BELIEVED = 4.0
SHRINKAGE = 1e-5


def add_noise(pixels: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """A noisy version of 8-bit `pixels` of shape (H, W, C)."""
    low, high = KINDS[kind]
    strength = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    x = pixels.astype(np.float64)
    if kind == "jpeg":
        buffer = io.BytesIO()
        picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        picture.save(buffer, "JPEG", quality=round(strength))
        return np.asarray(Image.open(buffer)).reshape(pixels.shape)
    if kind in IMPULSES:
        hit = rng.random(x.shape[:2]) < strength
        values = np.floor(rng.uniform(0, 256, hit.shape))
        if kind == "salt_pepper":
            values = 255.0 * (values >= 128)
        x[hit] = values[hit, None]
    elif kind == "gaussian":
        x += strength * rng.standard_normal(x.shape)
    elif kind == "uniform":
        x += strength * np.sqrt(3) * rng.uniform(-1, 1, x.shape)
    elif kind == "speckle":
        x *= 1 + strength * rng.standard_normal(x.shape)
    elif kind == "poisson":
        x = rng.poisson(x / 255 * strength) / strength * 255
    elif kind == "periodic":
        waves = int(rng.integers(1, 4))
        yy, xx = np.mgrid[: x.shape[0], : x.shape[1]]
        for _ in range(waves):
            period = np.exp(rng.uniform(np.log(2.2), np.log(40)))
            angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
            across = np.cos(angle) * xx + np.sin(angle) * yy
            wave = np.sin(2 * np.pi / period * across + phase)
            x += (strength / np.sqrt(waves) * wave)[:, :, None]
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)


def cut(photograph: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """A random part of the photograph, in colour or grey; (H, W, C)."""
    pixels = np.asarray(photograph.convert("L" if rng.random() < 0.5 else "RGB"))
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    side = int(rng.choice(SIDES, p=CHANCES))
    y = rng.integers(0, max(pixels.shape[0] - side, 0) + 1)
    x = rng.integers(0, max(pixels.shape[1] - side, 0) + 1)
    return pixels[y : y + side, x : x + side]


def features_of(pixels: np.ndarray) -> np.ndarray:
    """The features of whole pixels' hits, whatever the present table thinks of them."""
    image = pixels.astype(np.float32) / np.float32(255)
    included = np.ones(image.shape[:2], dtype=bool)
    step = impulse_counts.level_step(image, included)
    plane = impulse_counts.joint_plane(image, image.min(), image.max(), step)
    counts = impulse_counts.counted(plane, image, included, 1)
    return impulses._features([counts], impulses._densities(plane, counts))


def fit(features: np.ndarray, wanted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A logistic regression; the last of the weights is the constant."""
    inputs = np.c_[features, np.ones(len(features))]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        score = inputs @ weights
        value = np.average(np.logaddexp(0, score) - wanted * score, weights=weight)
        slope = inputs.T @ (weight * (1 / (1 + np.exp(-score)) - wanted)) / weight.sum()
        shrink = np.append(weights[:-1], 0)
        return value + SHRINKAGE * shrink @ shrink, slope + 2 * SHRINKAGE * shrink

    start = np.zeros(inputs.shape[1])
    return minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 5000}).x


def collect(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, kinds (which of `IMPULSES`, or -1) and weights of noisy photographs."""
    features, kinds, weights = [], [], []
    for number, path in enumerate(sorted(folder.glob("*.png"))):
        rng = np.random.default_rng([SEED, number])
        with Image.open(path) as photograph:
            parts = [(kind, cut(photograph, rng), 1.0) for kind in KINDS]
            if number % MIXTURE_EVERY == 0:
                noisy = [add_noise(cut(photograph, rng), "gaussian", rng) for _ in IMPULSES]
                parts += [(k, p, MIXTURE_WEIGHT) for k, p in zip(IMPULSES, noisy, strict=True)]
        for kind, part, weight in parts:
            pixels = add_noise(part, kind, rng)
            if pixels.min() == pixels.max():
                continue
            features.append(features_of(pixels))
            kinds.append(IMPULSES.index(kind) if kind in IMPULSES else -1)
            weights.append(weight)
    return np.array(features), np.array(kinds), np.array(weights)


def main() -> None:
    """Fit on photographs, print the table and how often it errs on what it was fitted on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True)
    features, kinds, weight = collect(parser.parse_args().images)
    mean, deviation = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    low = np.round(mean - BELIEVED * deviation, 3)
    high = np.round(mean + BELIEVED * deviation, 3)
    believed = np.clip(features, low, high)
    columns, constants = [], []
    for which, name in enumerate(IMPULSES):
        fitted = fit((believed - mean) / deviation, kinds == which, weight)
        slopes = np.round(fitted[:-1] / deviation, 4)
        constant = round(float(fitted[-1] - fitted[:-1] @ (mean / deviation)), 4)
        wrong = (believed @ slopes + constant > 0) != (kinds == which)
        for label, of in (("one kind", weight == 1), ("mixed with Gaussian", weight < 1)):
            print(f"# {name}, {label}: {int(wrong[of].sum())} wrong of {int(of.sum())}")
        columns.append(slopes)
        constants.append(constant)
    for name, *row in zip(impulses.FEATURES, low, high, *columns, strict=True):
        print(f'    ("{name}", {", ".join(str(float(number)) for number in row)}),')
    print(f"EVIDENCE_AT_ZERO = ({constants[0]}, {constants[1]})")


if __name__ == "__main__":
    main()
