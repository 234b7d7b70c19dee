"""Whether stated uncertainties and confidences hold.

python benchmarks/calibration.py --images DIR [--algorithms harmonic biharmonic]
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from common import Photo, Report, arguments, photographs, pin_threads
from protocols import PROTOCOLS, make_mask
from scipy.stats import spearmanr

from helicopter.core import AutonomousReconstructionEngine, RegionalReconstructionEngine

LEVELS = (0.50, 0.80, 0.90, 0.95)
RIGHT = 0.05 * 255
BINS = 10


def coverage(photos: list[tuple[str, Photo]], protocol: str, algorithm: str) -> dict[str, Any]:
    """Share of hidden values inside the central intervals of a Laplace law, and its spread."""
    engine = RegionalReconstructionEngine(algorithm, device="cpu")
    inside, sizes, squares = [], [], []
    for number, (_, image) in enumerate(photos):
        mask = make_mask(protocol, *image.shape[:2], number)
        result = engine.reconstruct(image, mask)
        error = np.abs(result.reconstruction[mask].astype(np.float64) - image[mask])
        sigma = result.uncertainty_map[mask][:, None]
        reach = [-math.log(1 - level) / math.sqrt(2) for level in LEVELS]
        inside.append([float((error <= r * sigma).mean()) for r in reach])
        squares.append(float(np.square(error / sigma).mean()))
        sizes.append(error.size)
    shares = np.array(inside)
    pooled = np.average(shares, axis=0, weights=sizes)
    row: dict[str, Any] = {"algorithm": algorithm, "protocol": protocol}
    row |= {f"{level:.0%}": f"{share:.1%}" for level, share in zip(LEVELS, pooled, strict=True)}
    row["largest miss, points"] = f"{100 * np.abs(pooled - LEVELS).max():.1f}"
    row["within 2"] = bool(np.abs(pooled - LEVELS).max() <= 0.02)
    row["90% by image"] = f"{shares[:, 2].min():.0%} to {shares[:, 2].max():.0%}"
    row["rms error / sigma"] = f"{math.sqrt(float(np.average(squares, weights=sizes))):.2f}"
    return row


def patches(
    photos: list[tuple[str, Photo]], algorithm: str, options: dict[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Calibration of the autonomous engine's confidence, over all patches of all photographs."""
    engine = AutonomousReconstructionEngine(algorithm=algorithm, device="cpu")
    stated, right, ranks, within = [], [], [], []
    for _, image in photos:
        result = engine.autonomous_analyze(image, **options)
        confidence, error, unsure = _by_patch(result)
        stated.append(confidence)
        right.append(error <= RIGHT)
        ranks.append(float(spearmanr(unsure, error).statistic))
        within.append(abs(confidence.mean() - (error <= RIGHT).mean()))
    confidence, hit = np.concatenate(stated), np.concatenate(right)
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    ece, curve = 0.0, []
    for bin_number in range(BINS):
        here = place == bin_number
        if here.any():
            said, was = float(confidence[here].mean()), float(hit[here].mean())
            ece += float(here.mean()) * abs(said - was)
            curve.append({"patches": int(here.sum()), "stated": said, "right": was})
    row = {
        "algorithm": algorithm,
        "run": " ".join(f"{key}={value}" for key, value in options.items()),
        "patches": int(hit.size),
        "mean confidence": f"{confidence.mean():.3f}",
        "right": f"{hit.mean():.3f}",
        "ECE": f"{ece:.3f}",
        "Brier": f"{np.mean((confidence - hit) ** 2):.3f}",
        "mean |gap| by image": f"{np.mean(within):.3f}",
        "Spearman": f"{np.mean(ranks):.3f}",
        "least": f"{np.min(ranks):.3f}",
    }
    return row, curve


def _by_patch(result: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidence, mean absolute error and predicted standard deviation of every hidden patch."""
    side = result.patch_size
    starts = [np.arange(0, length, side) for length in result.hidden_mask.shape]

    def total(values: np.ndarray) -> np.ndarray:
        rows = np.add.reduceat(values.astype(np.float64), starts[0], axis=0)
        return np.add.reduceat(rows, starts[1], axis=1).ravel()

    area = total(result.hidden_mask)
    hidden = area > 0
    area = area[hidden]
    confidence = total(np.where(result.hidden_mask, result.confidence_map, 0))[hidden] / area
    error = total(result.error_map)[hidden] / area
    variance = total(np.square(result.uncertainty_map, dtype=np.float64))[hidden] / area
    return confidence, error, np.sqrt(variance)


def main() -> None:
    """Print the tables."""
    parser = arguments(__doc__, images=True)
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=list(PROTOCOLS))
    parser.add_argument("--algorithms", nargs="+", default=["harmonic", "biharmonic"])
    given = parser.parse_args()
    pin_threads(given.threads)
    report = Report(given.threads, as_json=given.json)
    photos = photographs(given.images, given.crop, given.limit)
    rows = [coverage(photos, p, a) for a in given.algorithms for p in given.protocols]
    note = "pooled over hidden values; central intervals of a Laplace law of the stated deviation"
    report.table(f"Coverage, {len(photos)} photographs", rows, note)
    rows, curves = [], {}
    for algorithm in given.algorithms:
        for options in (
            {"open_book": False, "target_quality": 1.0},
            {"open_book": True, "target_quality": 1.0},
            {"open_book": False},
            {"open_book": True},
        ):
            row, curve = patches(photos, algorithm, options)
            rows.append(row)
            curves[f"{algorithm}, {row['run']}"] = curve
    report.table(
        "Confidence of patches: MAE at most 0.05 of the range",
        rows,
        f"ECE: {BINS} equal bins; Spearman: predicted deviation against MAE, mean over images",
    )
    for name, curve in curves.items():
        if "1.0" in name:
            report.table(f"Reliability: {name}", curve)
    report.close()


if __name__ == "__main__":
    main()
