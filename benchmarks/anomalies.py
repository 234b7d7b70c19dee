"""How well defects are found, and whether what is declared holds.

python benchmarks/anomalies.py [--images DIR | --photographed] [--draws 2] [--choose]

Defects are put into textures by `anomaly_models.py`; a folder of images may join these. What had to
be chosen (widths of the baselines, and what `core/anomalies/_map.py` measures) was chosen on
the textures of `CHOOSING`, with other seeds: `--choose` shows that. The tables are about all.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from anomaly_models import CHOOSING, DEFECTS, TEXTURES, Damaged, Field, damage, texture
from common import Photo, Report, arguments, photographs, pin_threads
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.stats import rankdata

import helicopter
from helicopter._shared.patches import PatchGrid
from helicopter.core import AnomalyDetector, RegionalReconstructionEngine
from helicopter.core.prediction._cross import assign_folds

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Scores = NDArray[np.floating[Any]]
    Method = Callable[[Photo], Scores]

SIZE = 256
FOLDS = 4
PATCHES = (8, 16, 32, 64)
#: Standard deviations of the windows in which the residuals of the baselines are pooled.
POOLED = (2, 4, 6, 8)
BLURS = (8, 16, 32)
#: The best on the textures of `CHOOSING` (`--choose`): patch or blur, and window.
CHOSEN: dict[str, tuple[int, int]] = {
    "cv2.inpaint Telea": (32, 8),
    "cv2.inpaint Navier-Stokes": (32, 8),
    "biharmonic": (8, 4),
    "network": (32, 4),
    "blur difference": (32, 6),
}
#: A region is true, and a defect found, if they lie no farther apart than this.
NEAR = 2
SEEDS = {"choose": 100, "methods": 1000, "rates": 2000}
STRENGTHS = ("weak", "middle", "strong")


class Case(NamedTuple):
    """One image."""

    texture: str
    strength: str  # or "none"
    damaged: Damaged


# -- measures ----------------------------------------------------------------------------------


def roc_auc(scores: Scores, truth: NDArray[np.bool_]) -> float:
    """Area under the ROC curve; ties count half."""
    ranks = rankdata(scores)
    positive = int(truth.sum())
    above = float(ranks[truth].sum()) - positive * (positive + 1) / 2
    return above / (positive * (truth.size - positive))


def average_precision(scores: Scores, truth: NDArray[np.bool_]) -> float:
    """Area under the precision-recall curve, as a sum over its steps; ties make one step."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    hits = np.cumsum(truth[order])[ends]
    recall = hits / truth.sum()
    return float(np.sum(np.diff(recall, prepend=0.0) * hits / (ends + 1)))


# -- methods -----------------------------------------------------------------------------------


def _residual(image: Photo, prediction: Photo) -> Scores:
    difference = image.astype(np.float32) - prediction.astype(np.float32)
    return np.sqrt(np.square(difference).mean(axis=2))


def _inpainted(image: Photo, patch: int, method: str) -> Scores:
    """Residual of `cv2.inpaint` with the folds and patches that Helicopter uses."""
    import cv2

    flag = {"Telea": cv2.INPAINT_TELEA, "Navier-Stokes": cv2.INPAINT_NS}[method]
    grid = PatchGrid(image.shape[0], image.shape[1], patch)
    fold = assign_folds(grid, FOLDS, 0)
    prediction = np.empty_like(image)
    for number in range(FOLDS):
        hidden = grid.pixels(fold == number)
        filled = cv2.inpaint(image, hidden.astype(np.uint8), 3, flag)
        prediction[hidden] = filled.reshape(image.shape)[hidden]
    return _residual(image, prediction)


def _cross(image: Photo, patch: int, algorithm: str) -> Scores:
    engine = RegionalReconstructionEngine(algorithm)
    return _residual(image, engine.cross_reconstruct(image, FOLDS, patch).reconstruction)


def _blurred(image: Photo, width: int) -> Scores:
    smooth = gaussian_filter(image.astype(np.float32), (width, width, 0))
    return _residual(image, smooth)


#: Residuals by what is chosen: the patch, or the width of the blur.
BASELINES: dict[str, tuple[Callable[[Photo, int], Scores], tuple[int, ...]]] = {
    "cv2.inpaint Telea": (lambda image, patch: _inpainted(image, patch, "Telea"), PATCHES),
    "cv2.inpaint Navier-Stokes": (
        lambda image, patch: _inpainted(image, patch, "Navier-Stokes"),
        PATCHES,
    ),
    "biharmonic": (lambda image, patch: _cross(image, patch, "biharmonic"), PATCHES),
    "network": (lambda image, patch: _cross(image, patch, "network"), PATCHES),
    "blur difference": (_blurred, BLURS),
}


def baseline(name: str) -> Method:
    """Return a baseline with what was chosen for it."""
    residual, (first, width) = BASELINES[name][0], CHOSEN[name]
    return lambda image: gaussian_filter(residual(image, first), width)


def _predict_nothing(context: Any, mask: Any) -> Any:
    mean = context[~mask].mean(axis=0)
    return np.broadcast_to(mean, context.shape), np.full(mask.shape, 0.1, np.float32)


def methods() -> dict[str, Method]:
    """Return everything that is compared, by name."""
    helicopter.register_algorithm("nothing", _predict_nothing)

    def ours(algorithm: str) -> Method:
        detector = AnomalyDetector(algorithm)
        return lambda image: detector.find(image).anomaly_map

    found = {
        "find_anomalies": ours("network"),
        "find_anomalies, harmonic": ours("harmonic"),
        "find_anomalies, predicting nothing": ours("nothing"),
    }
    return found | {f"residual: {name}": baseline(name) for name in BASELINES}


# -- cases -------------------------------------------------------------------------------------


def cases(names: tuple[str, ...], first: int, draws: int, strengths: tuple[str, ...]) -> list[Case]:
    """Draw textures, and put one defect of each kind into them; every other one is in colour."""
    made = []
    for number, name in enumerate(names):
        for draw in range(draws):
            colour = (number + draw) % 2 == 1
            values = texture(name, (SIZE, SIZE), first + draw, colour=colour)
            other = names[(number + 1 + draw % (len(names) - 1)) % len(names)]
            foreign = texture(other, (SIZE, SIZE), first + 500 + draw, colour=colour)
            for strength in strengths:
                made.append(_case(name, strength, values, foreign, [first, number, draw]))
    return made


def photographed() -> list[tuple[str, Photo]]:
    """Return the three textures that come with scikit-image, in grey: (256, 256, 1)."""
    from skimage import data

    middle = np.s_[128 : 128 + SIZE, 128 : 128 + SIZE, None]
    return [(name, getattr(data, name)()[middle]) for name in ("brick", "grass", "gravel")]


def photo_cases(
    photos: list[tuple[str, Photo]], first: int, draws: int, strengths: tuple[str, ...]
) -> list[Case]:
    """Photographs with defects, each with pieces of the next one."""
    made = []
    for number, (name, photo) in enumerate(photos):
        values = photo / 255.0
        foreign = photos[(number + 1) % len(photos)][1] / 255.0
        for draw in range(draws):
            for strength in strengths:
                made.append(_case(name, strength, values, foreign, [first, number, draw]))
    return made


def _case(name: str, strength: str, values: Field, foreign: Field, seed: list[int]) -> Case:
    if strength == "none":
        return Case(name, strength, damage(values, [], "weak", np.random.default_rng(0)))
    rng = np.random.default_rng(seed)  # the same places for all strengths
    return Case(name, strength, damage(values, list(DEFECTS), strength, rng, foreign))


# -- tables ------------------------------------------------------------------------------------


def scored(
    scores: Scores, truth: NDArray[np.int32], kind: int | None = None
) -> tuple[float, float]:
    """Return both areas over all defects, or over one kind with the others left out."""
    kept = np.ones(truth.shape, bool) if kind is None else (truth == 0) | (truth == kind)
    return roc_auc(scores[kept], truth[kept] > 0), average_precision(scores[kept], truth[kept] > 0)


def method_tables(
    found: list[Case], which: dict[str, Method]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Of each method both areas by strength and by kind of defect, and precision by texture."""
    wide, textures = [], []
    for name, method in which.items():
        areas: dict[str, list[tuple[float, float]]] = {}
        of_texture: dict[str, list[float]] = {}
        for case in found:
            scores = np.nan_to_num(method(case.damaged.image))
            truth = case.damaged.truth
            roc, precision = scored(scores, truth)
            of_texture.setdefault(case.texture, []).append(precision)
            for cell in ("all", case.strength):
                areas.setdefault(cell, []).append((precision, roc))
            for kind, defect in enumerate(DEFECTS, start=1):
                if (truth == kind).any():
                    areas.setdefault(defect, []).append(scored(scores, truth, kind)[::-1])
        cells = {
            cell: " ".join(f"{mean:.2f}" for mean in np.mean(areas[cell], axis=0))
            for cell in ("all", *STRENGTHS, *DEFECTS)
        }
        wide.append({"method": name, **cells})
        textures.append(
            {"method": name, **{t: f"{np.mean(found):.2f}" for t, found in of_texture.items()}}
        )
    return wide, textures


def rate_rows(found: list[Case], levels: tuple[float, ...]) -> list[dict[str, Any]]:
    """What is declared, how much of it is false, and how many of the defects are found."""
    detector = AnomalyDetector()
    cells: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for case in found:
        for level in levels:
            outcome = _outcome(detector, case, level)
            for cell in (case.strength, f"{case.strength}: {case.texture}"):
                cells.setdefault((cell, level), []).append(outcome)
    rows = []
    for (cell, level), outcomes in sorted(cells.items()):
        truths = np.concatenate([np.asarray(o["true"], float) for o in outcomes])
        stated = np.concatenate([np.asarray(o["probability"], float) for o in outcomes])
        hits = np.array([o["found"] for o in outcomes if o["found"]])
        rows.append(
            {
                "images": cell,
                "level": level,
                "n": len(outcomes),
                "any declared": float(np.mean([bool(o["true"]) for o in outcomes])),
                "FDR": float(np.mean([1 - np.mean(o["true"]) if o["true"] else 0.0
                                      for o in outcomes])),
                "regions": len(truths),
                "true": float(truths.mean()) if len(truths) else None,
                "stated": float(stated.mean()) if len(truths) else None,
                "IoU": _mean([o["iou"] for o in outcomes]),
                **(
                    dict(zip(DEFECTS, hits.mean(axis=0).tolist(), strict=True))
                    if len(hits) else dict.fromkeys(DEFECTS)
                ),
            }
        )  # fmt: skip
    return rows


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _outcome(detector: AnomalyDetector, case: Case, level: float) -> dict[str, Any]:
    result = detector.find(case.damaged.image, level=level)
    truth = case.damaged.truth
    near = binary_dilation(truth > 0, np.ones((3, 3)), NEAR)
    around = binary_dilation(result.detected, np.ones((3, 3)), NEAR) if result.regions else near & 0
    both, either = (result.detected & (truth > 0)).sum(), (result.detected | (truth > 0)).sum()
    return {
        "true": [bool(near[result.labels == r.label].any()) for r in result.regions],
        "probability": [r.probability for r in result.regions],
        "found": [bool((around & (truth == k)).any()) for k in range(1, int(truth.max()) + 1)],
        "iou": float(both / either) if result.regions and truth.any() else None,
    }


def choice_rows(found: list[Case]) -> list[dict[str, Any]]:
    """Average precision of the baselines for each patch or blur, and window."""
    rows = []
    for name, (residual, choices) in BASELINES.items():
        for first in choices:
            maps = [residual(case.damaged.image, first) for case in found]
            for width in POOLED:
                areas = [
                    average_precision(
                        gaussian_filter(m, width).ravel(), c.damaged.truth.ravel() > 0
                    )
                    for m, c in zip(maps, found, strict=True)
                ]
                rows.append({"baseline": name, "patch or blur": first, "window": width,
                             "AP": float(np.mean(areas))})  # fmt: skip
    best = {name: max((r for r in rows if r["baseline"] == name), key=lambda r: r["AP"])
            for name in BASELINES}  # fmt: skip
    return list(best.values())


def main() -> None:
    """Print the tables."""
    parser = arguments(str(__doc__))
    parser.add_argument("--images", type=Path, default=None, help="a folder of images, instead")
    parser.add_argument("--grey", action="store_true", help="its images in grey")
    parser.add_argument("--photographed", action="store_true", help="scikit-image's textures")
    parser.add_argument("--draws", type=int, default=2, help="of each texture")
    parser.add_argument("--only", nargs="+", choices=("methods", "rates"), default=None)
    parser.add_argument("--levels", type=float, nargs="+", default=[0.1])
    parser.add_argument("--choose", action="store_true", help="show what was chosen, and how")
    parser.add_argument("--choosing", action="store_true", help="only the textures of CHOOSING")
    options = parser.parse_args()
    pin_threads(options.threads)
    report = Report(options.threads, as_json=options.json)
    if options.choose:
        chosen = cases(CHOOSING, SEEDS["choose"], options.draws, ("weak", "middle"))
        report.table("The best of each baseline", choice_rows(chosen))
        report.close()
        return
    names = CHOOSING if options.choosing else tuple(TEXTURES)

    def made(part: str, strengths: tuple[str, ...]) -> list[Case]:
        if options.images is not None:
            photos = photographs(options.images, SIZE, grey=options.grey)
            return photo_cases(photos, SEEDS[part], options.draws, strengths)
        if options.photographed:
            return photo_cases(photographed(), SEEDS[part], options.draws, strengths)
        return cases(names, SEEDS[part], options.draws, strengths)

    if options.only is None or "methods" in options.only:
        wide, textures = method_tables(made("methods", STRENGTHS), methods())
        report.table("Average precision, and area under the ROC curve", wide)
        report.table("Average precision by texture", textures)
    if options.only is None or "rates" in options.only:
        rows = rate_rows(made("rates", ("none", *STRENGTHS)), tuple(options.levels))
        report.table("What is declared", rows)
    report.close()


if __name__ == "__main__":
    main()
