"""Whether stated uncertainties and confidences hold, and whether they rank errors.

python benchmarks/calibration.py --images DIR [--algorithms network harmonic]
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from common import Photo, Report, arguments, photographs, pin_threads
from protocols import PROTOCOLS, Mask, make_mask
from scipy.ndimage import distance_transform_edt
from scipy.stats import spearmanr

from helicopter._shared.online_scale import OnlineScale
from helicopter.backends.reference.reconstruction.uncertainty import hidden_distance
from helicopter.core import AutonomousReconstructionEngine, RegionalReconstructionEngine

LEVELS = (0.50, 0.80, 0.90, 0.95)
RIGHT = 0.05 * 255
BINS = 10
#: Protocols that hide whole patches, and the side of those.
PATCHES = {"P1": 16, "P2": 32, "P3": 32}
PARTS = ("coverage", "patches", "autonomous")
RUNS = (
    {"open_book": False, "target_quality": 1.0},
    {"open_book": True, "target_quality": 1.0},
    {"open_book": False},
    {"open_book": True},
)


# -- intervals ---------------------------------------------------------------------------------


def coverage(photos: list[tuple[str, Photo]], protocol: str, algorithm: str) -> dict[str, Any]:
    """Share of hidden values inside the stated central intervals, and its spread."""
    engine = RegionalReconstructionEngine(algorithm, device="cpu")
    inside, sizes, squares = [], [], []
    for number, (_, image) in enumerate(photos):
        mask = make_mask(protocol, *image.shape[:2], number)
        truth = image[mask].astype(np.float64)
        result = engine.reconstruct(image, mask)
        shares = []
        for level in LEVELS:
            low, high = (bound[mask] for bound in result.interval(level))
            shares.append(float(((low <= truth) & (truth <= high)).mean()))
        inside.append(shares)
        error = result.reconstruction[mask] - truth
        sigma = result.uncertainty_map[mask][:, None]
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


# -- confidences -------------------------------------------------------------------------------


def reliability(stated: np.ndarray, right: np.ndarray) -> tuple[float, list[dict[str, Any]]]:
    """Return the expected calibration error over equal bins, and the bins."""
    place = np.minimum((stated * BINS).astype(int), BINS - 1)
    error, curve = 0.0, []
    for number in range(BINS):
        here = place == number
        if here.any():
            said, was = float(stated[here].mean()), float(right[here].mean())
            error += float(here.mean()) * abs(said - was)
            curve.append({"number": int(here.sum()), "stated": said, "right": was})
    return error, curve


def patch_sums(values: np.ndarray, side: int) -> np.ndarray:
    """Return the sums of an (H, W) array over the patches of a grid."""
    starts = [np.arange(0, length, side) for length in values.shape]
    rows = np.add.reduceat(values.astype(np.float64), starts[0], axis=0)
    return np.add.reduceat(rows, starts[1], axis=1).ravel()


def simple_signal(image: Photo, mask: Mask, harmonic: np.ndarray) -> np.ndarray:
    """Disagreement of the harmonic and the nearest-neighbour fill: the best simple predictor."""
    rows, columns = distance_transform_edt(mask, return_distances=False, return_indices=True)
    return np.abs(harmonic - image[rows, columns].astype(np.float64) / 255).mean(axis=2)


def hidden_patches(
    photos: list[tuple[str, Photo]], protocol: str, algorithm: str
) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """How well the regional engine's sigma tells of whole hidden patches.

    The confidence of a patch is the probability that its *mean* absolute error is at most 0.05 of
    the range. It does not follow from the confidences of its pixels: their mean is the expected
    share of pixels that are right, and a patch may be right with half of them wrong. So it comes
    from the patch's root mean variance and its distance from what is visible, by the law that the
    autonomous engine uses, before that has seen any error of the image. The mean of
    `confidence_map` is judged beside it, as what it is (a share of pixels) and as what one might
    take it for (the confidence of the patch).
    """
    engine = RegionalReconstructionEngine(algorithm, device="cpu")
    plain = RegionalReconstructionEngine("harmonic", device="cpu")
    law, side = OnlineScale(engine._model), PATCHES[protocol]
    columns: dict[str, list[np.ndarray]] = {}
    for number, (_, photo) in enumerate(photos):
        mask = make_mask(protocol, *photo.shape[:2], number)
        image = photo / np.float32(255)
        result = engine.reconstruct(image, mask)
        harmonic = plain.reconstruct(image, mask).reconstruction
        error = np.abs(result.reconstruction - image)
        area = patch_sums(mask, side)
        whole = area > 0
        means = {
            "mae": error.mean(axis=2),
            "variance": np.square(result.uncertainty_map, dtype=np.float64),
            "confidence": np.where(mask, result.confidence_map, 0),
            "right": np.where(mask[:, :, None], error <= 0.05, False).mean(axis=2),
            "simple": np.where(mask, simple_signal(photo, mask, harmonic), 0),
            "distance": hidden_distance(mask),
        }
        for name, values in means.items():
            columns.setdefault(name, []).append(patch_sums(values, side)[whole] / area[whole])
    mae, variance, confidence, right, simple, distance = map(np.concatenate, columns.values())
    pairs = zip(np.maximum(variance, 1e-12).tolist(), distance.tolist(), strict=True)
    stated = np.array([law.confidence(*of_patch) for of_patch in pairs])
    hit = mae <= 0.05
    ece, curve = reliability(stated, hit)

    def within(signal: str) -> list[float]:
        pairs = zip(columns[signal], columns["mae"], strict=True)
        return [float(spearmanr(a, b).statistic) for a, b in pairs]

    head = {"algorithm": algorithm, "protocol": protocol, "patches": mae.size}
    confident = head | {
        "right": f"{hit.mean():.3f}",
        "stated": f"{stated.mean():.3f}",
        "ECE": f"{ece:.3f}",
        "Brier": f"{np.mean((stated - hit) ** 2):.3f}",
        "pixels right": f"{right.mean():.3f}",
        "pixels stated": f"{confidence.mean():.3f}",
        "ECE if that is taken for the patch": f"{reliability(confidence, hit)[0]:.3f}",
    }
    ranks = head | {
        "pooled": f"{spearmanr(variance, mae).statistic:.3f}",
        "mean over images": f"{np.mean(within('variance')):.3f}",
        "least": f"{min(within('variance')):.3f}",
        "simple: pooled": f"{spearmanr(simple, mae).statistic:.3f}",
        "simple: mean": f"{np.mean(within('simple')):.3f}",
        "simple: least": f"{min(within('simple')):.3f}",
    }
    return confident, ranks, curve


def autonomous(
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
    ece, curve = reliability(confidence, hit)
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
    area = patch_sums(result.hidden_mask, side)
    hidden = area > 0
    area = area[hidden]
    known = np.where(result.hidden_mask, result.confidence_map, 0)
    confidence = patch_sums(known, side)[hidden] / area
    error = patch_sums(result.error_map, side)[hidden] / area
    variance = np.square(result.uncertainty_map, dtype=np.float64)
    return confidence, error, np.sqrt(patch_sums(variance, side)[hidden] / area)


def main() -> None:
    """Print the tables."""
    parser = arguments(__doc__, images=True)
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=list(PROTOCOLS))
    parser.add_argument("--algorithms", nargs="+", default=["network", "harmonic"])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    given = parser.parse_args()
    pin_threads(given.threads)
    report = Report(given.threads, as_json=given.json)
    photos = photographs(given.images, given.crop, given.limit, grey=given.grey)
    what = f"{len(photos)} photographs, {'grey' if given.grey else 'RGB'}"
    curves = {}
    if "coverage" in given.only:
        rows = [coverage(photos, p, a) for a in given.algorithms for p in given.protocols]
        note = "pooled over hidden values; by image: least and largest share"
        report.table(f"Coverage of central intervals: {what}", rows, note)
    if "patches" in given.only:
        confident, ranks = [], []
        for algorithm in given.algorithms:
            for protocol in filter(given.protocols.__contains__, PATCHES):
                stated, rank, curve = hidden_patches(photos, protocol, algorithm)
                confident.append(stated)
                ranks.append(rank)
                curves[f"{algorithm}, {protocol}"] = curve
        note = f"right: MAE at most 0.05 of the range; ECE: {BINS} bins; pixels: `confidence_map`"
        report.table(f"Confidence of hidden patches, regional engine: {what}", confident, note)
        note = "simple: |harmonic - nearest neighbour|, the best signal that needs no model"
        report.table(
            f"Spearman's rank correlation of predicted deviation and MAE, by patch: {what}",
            ranks,
            note,
        )
    if "autonomous" in given.only:
        rows = []
        for algorithm in given.algorithms:
            for options in RUNS:
                row, curve = autonomous(photos, algorithm, options)
                rows.append(row)
                if "target_quality" in options:
                    curves[f"{algorithm}, {row['run']}"] = curve
        note = (
            f"ECE: {BINS} equal bins; Spearman: predicted deviation against MAE, mean over images"
        )
        report.table(f"Confidence of patches, autonomous engine: {what}", rows, note)
    for name, curve in curves.items():
        report.table(f"Reliability of patch confidence: {name}", curve)
    report.close()


if __name__ == "__main__":
    main()
