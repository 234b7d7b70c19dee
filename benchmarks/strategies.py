"""Which strategy is measurably best, for a book that is open and for one that is closed.

python benchmarks/strategies.py --images DIR [--seeds 2] [--only open windows verdict]
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from common import Photo, Report, arguments, photographs, pin_threads

from helicopter.backends.protocol import AutonomousOptions
from helicopter.backends.reference import autonomous_engine as reference
from helicopter.core import STRATEGIES, AutonomousReconstructionEngine
from helicopter.core.engine import Engine
from helicopter.models import uncertainty_model

if TYPE_CHECKING:
    from collections.abc import Iterator

CONCRETE = tuple(name for name in STRATEGIES if name != "adaptive")
GOALS = (0.90, 0.95)
PARTS = ("open", "windows", "verdict")
KNOWN = 0.2


def open_book(image: Photo, strategy: str, seed: int) -> Iterator[tuple[float, float]]:
    """Run the engine's own loop past all stopping rules.

    Yields, before the first and after every batch, the share of the patches that is still hidden
    and the mean squared error of drawing those from what is known.
    """
    rust = Engine("cpu", None)._backend
    model = uncertainty_model("harmonic")

    def kernel(context: np.ndarray, hidden: np.ndarray) -> tuple[np.ndarray, None]:
        filled = context.copy()
        rust.reconstruct(filled, hidden, "harmonic", model)
        return filled, None

    options = AutonomousOptions(32, None, strategy, seed, None, 1.0, KNOWN, True)
    truth = image.astype(np.float32) / np.float32(255)
    with mock.patch.object(reference, "hidden_variance", rust.hidden_variance):
        missing = np.zeros(truth.shape[:2], dtype=bool)
        loop = reference._Loop(truth, missing, kernel, options, model)
        batch = -(-int(loop.waiting.sum()) // reference.BATCHES)
        while loop.waiting.any():
            error = loop.predict_everything()[0][loop.hidden] - truth[loop.hidden]
            yield float(loop.waiting.mean()), float(np.square(error, dtype=np.float64).mean())
            loop.iterate(strategy, batch)


def acquisition(photos: list[tuple[str, Photo]], seeds: int) -> list[dict[str, Any]]:
    """How little must be seen until the rest can be drawn."""
    found: dict[str, list[list[float]]] = {}
    for strategy in CONCRETE:
        for _, image in photos:
            for seed in range(seeds):
                curve = list(open_book(image, strategy, seed))
                quality = [reference.quality_of(mse) for _, mse in curve]
                # of the whole image: what is known has no error
                whole = [reference.quality_of(mse * rest) for rest, mse in curve]
                needed = [
                    min(
                        (
                            1 - rest
                            for (rest, _), q in zip(curve, quality, strict=True)
                            if q >= goal
                        ),
                        default=1.0,
                    )
                    for goal in GOALS
                ]
                half = quality[len(quality) // 2]
                row = [*needed, float(np.mean(quality)), float(np.mean(whole)), half]
                found.setdefault(strategy, []).append(row)
    base = np.array(found["random"])
    rows = []
    for strategy, values in found.items():
        table = np.array(values)
        gain = table[:, 2] - base[:, 2]
        rows.append(
            {
                "strategy": strategy,
                **{f"seen for {g}": f"{table[:, i].mean():.1%}" for i, g in enumerate(GOALS)},
                "area under quality of the rest": f"{table[:, 2].mean():.4f}",
                "- random's": f"{gain.mean():+.4f} ± {_error(gain):.4f}",
                "half way": f"{table[:, 4].mean():.4f}",
                "area, whole image": f"{table[:, 3].mean():.5f}",
            }
        )
    return rows


def windows(photos: list[tuple[str, Photo]], seeds: int) -> list[dict[str, Any]]:
    """Final quality of a closed book, by the reach of the predictions."""
    rows = []
    for context_size in (None, 64, 96):
        mse: dict[str, list[float]] = {}
        stopped: dict[str, list[float]] = {}
        for strategy in CONCRETE:
            for _, image in photos:
                for seed in range(seeds):
                    engine = AutonomousReconstructionEngine(
                        context_size=context_size, strategy=strategy, seed=seed, device="cpu"
                    )
                    result = engine.autonomous_analyze(image, target_quality=1.0)
                    mse.setdefault(strategy, []).append(result.reconstruction_quality)
                    result = engine.autonomous_analyze(
                        image
                    )  # stops at 0.90, draws the rest at once
                    stopped.setdefault(strategy, []).append(result.reconstruction_quality)
        base = np.array(mse["random"])
        for strategy, values in mse.items():
            gain = np.array(values) - base
            rows.append(
                {
                    "strategy": strategy,
                    "context": str(context_size),
                    "quality to the end": f"{np.mean(values):.5f}",
                    "- random's": f"{gain.mean():+.5f} ± {_error(gain):.5f}",
                    "with the default target": f"{np.mean(stopped[strategy]):.5f}",
                }
            )
    return rows


def verdicts(
    photos: list[tuple[str, Photo]], seeds: int, context_size: int | None
) -> list[dict[str, Any]]:
    """How far the quality of what was done until the stop lies from that of everything."""
    rows = []
    for strategy in CONCRETE:
        gaps, done, false, reached = [], [], 0, 0
        for target in (0.85, 0.90, 0.95):
            for _, image in photos:
                for seed in range(seeds):
                    engine = AutonomousReconstructionEngine(
                        context_size=context_size, strategy=strategy, seed=seed, device="cpu"
                    )
                    result = engine.autonomous_analyze(image, target_quality=target)
                    if result.stop_reason != "target_quality":
                        continue
                    said = result.history[-1].cumulative_quality
                    gaps.append(said - result.reconstruction_quality)
                    done.append(result.completion)
                    reached += 1
                    false += result.reconstruction_quality < target
        runs = 3 * len(photos) * seeds
        rows.append(
            {
                "strategy": strategy,
                "context": str(context_size),
                "claims": f"{reached} of {runs}",
                "false": false,
                "done then": f"{np.mean(done):.1%}" if done else None,
                "mean |gap|": f"{np.mean(np.abs(gaps)):.4f}" if gaps else None,
                "mean gap": f"{np.mean(gaps):+.4f}" if gaps else None,
                "90 % of |gap| below": f"{np.quantile(np.abs(gaps), 0.9):.4f}" if gaps else None,
            }
        )
    return rows


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) / math.sqrt(values.size) if values.size > 1 else math.nan


def main() -> None:
    """Print the three tables."""
    parser = arguments(__doc__, images=True)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    given = parser.parse_args()
    pin_threads(given.threads)
    report = Report(given.threads, as_json=given.json)
    photos = photographs(given.images, given.crop, given.limit)
    runs = f"{len(photos)} photographs x {given.seeds} seeds, 20 % shown at first"
    if "open" in given.only:
        note = "quality of drawing the rest; ±: standard error of the paired difference"
        report.table(f"Open book, {runs}", acquisition(photos, given.seeds), note)
    if "windows" in given.only:
        rows = windows(photos, given.seeds)
        report.table(f"Closed book, final quality, {runs}", rows, "to the end: target_quality=1.0")
    if "verdict" in given.only:
        note = "claims of the target; gap: quality said at the stop - of everything in the end"
        for context_size in (None, 64):
            rows = verdicts(photos, given.seeds, context_size)
            title = (
                f"Closed book, context {context_size}, early verdict at 0.85, 0.90, 0.95, {runs}"
            )
            report.table(title, rows, note)
    report.close()


if __name__ == "__main__":
    main()
