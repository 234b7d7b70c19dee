"""Fit the uncertainty of the classical algorithms and write it as package data.

    python training/fit_classical_uncertainty.py --images DIR

DIR holds development photographs: they tune, so no figure may be reported on them. The script
prints how well the fit does on photographs that were left out of it (four-fold, by photograph).
Model and notation: `helicopter/backends/reference/reconstruction/uncertainty.py`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from helicopter._shared.patches import PatchGrid
from helicopter.backends.loader import accelerator
from helicopter.backends.reference.algorithms import pde
from helicopter.backends.reference.reconstruction import uncertainty
from helicopter.core import RegionalReconstructionEngine
from helicopter.core.validation import prepare_image
from helicopter.io import atomic_open, read_image
from helicopter.models import UncertaintyModel
from helicopter.training._patch_law import PatchLaw, fit_patch_law

OUTPUT = Path(__file__).parent.parent / "helicopter/models/classical_uncertainty.json"
KNOTS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64], dtype=np.float64)
#: Even the surest prediction is compared with grey levels that were rounded to 8 bits.
ROUNDING = (1 / 255) ** 2 / 12
CROP = 384
MASKS_PER_IMAGE = 6
SAMPLES_PER_MASK = 20_000
SEED = 20261123


def fill(truth: np.ndarray, mask: np.ndarray, algorithm: str) -> np.ndarray:
    """Fill in, by Rust where it is installed: both backends agree."""
    filled = np.ascontiguousarray(np.where(mask[:, :, None], np.float32(0), truth))
    if algorithm == "exemplar":
        engine = RegionalReconstructionEngine("exemplar", device="cpu")
        return engine.reconstruct(filled, mask).reconstruction
    rust = accelerator()
    if rust is None:
        pde.solve(filled, mask, algorithm)
    else:
        rust.solve_pde(filled, np.ascontiguousarray(mask), algorithm)
    return filled


def random_mask(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Single pixels, blocks of many sizes, holes, or lines; 5 % to 90 % hidden."""
    kind = rng.integers(5)
    mask = np.zeros((height, width), dtype=bool)
    if kind == 0:
        return rng.random((height, width)) < rng.uniform(0.1, 0.9)
    if kind in (1, 2):
        side = int(rng.choice([4, 8, 12, 16, 24, 32, 48, 64]))
        cells = rng.random((height // side + 2, width // side + 2)) < rng.uniform(0.1, 0.9)
        y, x = rng.integers(0, side, 2)
        return np.kron(cells, np.ones((side, side), bool))[y : y + height, x : x + width]
    if kind == 3:
        for _ in range(rng.integers(1, 6)):
            h, w = rng.integers(20, 160, 2)
            y, x = rng.integers(0, height - h), rng.integers(0, width - w)
            mask[y : y + h, x : x + w] = True
        return mask
    y, x = np.mgrid[:height, :width]
    for _ in range(rng.integers(5, 25)):  # straight scratches
        angle, offset = rng.uniform(0, np.pi), rng.uniform(-0.5, 0.5) * (height + width) / 2
        across = (y - height / 2) * np.cos(angle) + (x - width / 2) * np.sin(angle) - offset
        mask |= np.abs(across) < rng.uniform(1, 5)
    return mask


def collect_pixels(images: list[np.ndarray], algorithm: str) -> dict[str, np.ndarray]:
    """Distances, variograms and squared errors at hidden pixels, under random masks."""
    columns: dict[str, list[np.ndarray]] = {k: [] for k in ("photo", "distance", "v", "squared")}
    for number, photo in enumerate(images):
        rng = np.random.default_rng([SEED, number])
        for _ in range(MASKS_PER_IMAGE):
            y = rng.integers(0, max(photo.shape[0] - CROP, 0) + 1)
            x = rng.integers(0, max(photo.shape[1] - CROP, 0) + 1)
            truth = photo[y : y + CROP, x : x + CROP]
            if rng.random() < 0.25:
                truth = truth.mean(axis=2, keepdims=True).astype(np.float32)
            mask = random_mask(rng, *truth.shape[:2])
            cells = uncertainty.local_variogram(truth, mask)
            rows, cols = np.nonzero(mask)
            pick = rng.permutation(rows.size)[:SAMPLES_PER_MASK]
            rows, cols = rows[pick], cols[pick]
            filled = fill(truth, mask, algorithm)
            columns["photo"].append(np.full(rows.size, number))
            columns["distance"].append(np.sqrt(uncertainty.squared_distance(mask)[rows, cols]))
            columns["v"].append(
                np.stack([uncertainty.interpolate_cells(lag, rows, cols) for lag in cells], axis=1)
            )
            columns["squared"].append(np.square(filled - truth)[rows, cols].mean(axis=1))
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def fit_weights(data: dict[str, np.ndarray], chosen: np.ndarray) -> np.ndarray:
    """Weights at the knots that maximise a normal quasi-likelihood; shape (knots, lags)."""
    low, share = _between(data["distance"][chosen])
    v, squared = data["v"][chosen] + 1e-9, data["squared"][chosen]
    shape = (KNOTS.size, v.shape[1])
    smooth = 0.02 / KNOTS.size

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        log_weights = flat.reshape(shape)
        weights = np.exp(log_weights)
        entry = weights[low] * (1 - share)[:, None] + weights[low + 1] * share[:, None]
        variance = (entry * v).sum(axis=1) + ROUNDING
        value = float((np.log(variance) + squared / variance).mean())
        slope = ((1 / variance - squared / variance**2) / squared.size)[:, None] * v
        gradient = np.empty(shape)
        for lag in range(shape[1]):
            gradient[:, lag] = np.bincount(low, slope[:, lag] * (1 - share), KNOTS.size)
            gradient[:, lag] += np.bincount(low + 1, slope[:, lag] * share, KNOTS.size)
        gradient *= weights
        steps = np.diff(log_weights, axis=0)
        value += smooth * float(np.square(steps).sum())
        gradient[1:] += 2 * smooth * steps
        gradient[:-1] -= 2 * smooth * steps
        return value, gradient.ravel()

    bounds = [(-12.0, 4.0)] * (shape[0] * shape[1])
    start = np.full(shape, -2.0).ravel()
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 3000}
    )
    return np.exp(found.x.reshape(shape))


def predicted_variance(
    data: dict[str, np.ndarray], chosen: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    low, share = _between(data["distance"][chosen])
    entry = weights[low] * (1 - share)[:, None] + weights[low + 1] * share[:, None]
    return (entry * data["v"][chosen]).sum(axis=1) + ROUNDING


def _between(distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # the engine looks whole distances up
    position = np.interp(np.floor(distance), KNOTS, np.arange(KNOTS.size))
    low = np.minimum(position.astype(int), KNOTS.size - 2)
    return low, position - low


def fit_patches(images: list[np.ndarray], algorithm: str, model: UncertaintyModel) -> PatchLaw:
    """Fit the confidence of whole patches; every mask counts alike."""
    columns: dict[str, list[np.ndarray]] = {}
    for number, photo in enumerate(images):
        rng = np.random.default_rng([SEED, 1, number])
        for side in (16, 24, 32, 48):
            grid = PatchGrid(*photo.shape[:2], side)
            for known in (0.1, 0.2, 0.4, 0.75):
                hidden = rng.random(grid.count) >= known
                mask = grid.pixels(hidden)
                if mask.all() or not mask.any():
                    continue
                filled = fill(photo, mask, algorithm)
                variance = uncertainty.hidden_variance(photo, mask, model)
                area = grid.sums(np.ones(mask.shape))[hidden]
                means = {
                    "mae": np.abs(filled - photo).mean(axis=2),
                    "variance": variance.astype(np.float64),
                    "distance": uncertainty.hidden_distance(mask),
                }
                for name, values in means.items():
                    columns.setdefault(name, []).append(grid.sums(values)[hidden] / area)
                columns.setdefault("photograph", []).append(np.full(area.size, number))
                columns.setdefault("weight", []).append(np.full(area.size, 1 / area.size))
    return fit_patch_law(**{name: np.concatenate(parts) for name, parts in columns.items()})


def report(data: dict[str, np.ndarray]) -> None:
    """Print the coverage of central Laplace intervals on photographs left out of the fit."""
    standardised = []
    for fold in range(4):
        left_out = data["photo"] % 4 == fold
        weights = fit_weights(data, ~left_out)
        sigma = np.sqrt(predicted_variance(data, left_out, weights))
        standardised.append(np.sqrt(data["squared"][left_out]) / sigma)
    z = np.concatenate(standardised)
    print(f"  root mean square of error / sigma: {np.sqrt(np.mean(z**2)):.3f}")
    for level in (0.50, 0.80, 0.90, 0.95):
        bound = -np.log(1 - level) / np.sqrt(2)
        print(f"  {level:.0%} interval covers {np.mean(z < bound):.1%}")


def main() -> None:
    """Fit every built-in algorithm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True)
    paths = sorted(p for p in parser.parse_args().images.iterdir() if p.suffix in (".png", ".jpg"))
    images = [prepare_image(read_image(path).pixels)[0].pixels for path in paths]
    models = {}
    for algorithm in ("harmonic", "biharmonic", "exemplar"):
        print(algorithm, flush=True)
        data = collect_pixels(images, algorithm)
        report(data)
        weights = fit_weights(data, np.ones(data["photo"].size, dtype=bool))
        table = np.concatenate([np.full((KNOTS.size, 1), ROUNDING), weights], axis=1)
        distance = np.arange(int(KNOTS[-1]) + 1)
        full = np.stack([np.interp(distance, KNOTS, column) for column in table.T], axis=1)
        law = fit_patches(images, algorithm, UncertaintyModel(full, 0, 0, 1, 1))
        print(f"  {law}")
        models[algorithm] = {
            "distances": KNOTS.tolist(),
            "weights": [[float(f"{value:.4g}") for value in row] for row in table],
            "log_mae_offset": round(law.offset, 4),
            "log_mae_distance": round(law.distance, 4),
            "log_mae_spread": round(law.spread, 4),
            "log_mae_prior": round(law.prior, 4),
        }
    note = "Written by training/fit_classical_uncertainty.py; see there."
    photos = [path.name for path in paths]
    text = json.dumps({"note": note, "fitted_on": photos, "models": models}, indent=1)
    with atomic_open(OUTPUT) as file:
        file.write((text + "\n").encode())


if __name__ == "__main__":
    main()
