"""Which strategy is measurably best, for a book that is open and for one that is closed.

python benchmarks/strategies.py --images DIR [--algorithm network] [--only open windows verdict]
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from common import Photo, Report, arguments, photographs, pin_threads

from helicopter.backends.protocol import AutonomousOptions
from helicopter.backends.reference.reconstruction import autonomous_engine as reference
from helicopter.core import STRATEGIES, AutonomousReconstructionEngine, RegionalReconstructionEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

CONCRETE = tuple(name for name in STRATEGIES if name != "adaptive")
GOALS = (0.90, 0.95)
PARTS = ("open", "windows", "verdict")
State = tuple[float, float]


def open_book(image: Photo, options: AutonomousOptions, algorithm: str) -> Iterator[State]:
    """Run the engine's own loop past all stopping rules.

    Yields, before the first and after every batch, the share of the patches that is still hidden
    and the mean squared error of drawing those from what is known.
    """
    engine = RegionalReconstructionEngine(algorithm, device="cpu")
    rust, states_variance = engine._backend, algorithm == "network"

    def kernel(context: np.ndarray, hidden: np.ndarray) -> tuple[np.ndarray, Any]:
        filled = context.copy()
        variance = rust.reconstruct(filled, hidden, engine._algorithm, engine._model)
        # the loop itself knows the variance of an equation, from what has truly been seen
        return filled, np.sqrt(variance) if states_variance else None

    truth = image.astype(np.float32) / np.float32(255)
    with mock.patch.object(reference, "hidden_variance", rust.hidden_variance):
        missing = np.zeros(truth.shape[:2], dtype=bool)
        loop = reference._Loop(truth, missing, kernel, options, engine._model)
        batch = -(-int(loop.waiting.sum()) // reference.BATCHES)
        while loop.waiting.any():
            error = loop.predict_everything()[0][loop.hidden] - truth[loop.hidden]
            rest = float(loop.waiting.mean())
            yield rest, float(np.square(error, dtype=np.float64).mean())
            loop.iterate(options.strategy, batch)


def needed(curve: list[State], goal: float, *, whole: bool) -> float:
    """Share of the patches that must be seen until the goal is reached, between batches too."""
    before = None
    for rest, mse in curve:
        quality = reference.quality_of(mse * rest if whole else mse)
        if quality >= goal:
            if before is None:
                return 1 - rest
            lower, rest_before = before
            return 1 - rest_before + (rest_before - rest) * (goal - lower) / (quality - lower)
        before = quality, rest
    return 1.0


def acquisition(
    photos: list[tuple[str, Photo]], given: Any
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """How little must be seen until the rest can be drawn, and the areas under quality."""
    found: dict[str, list[list[float]]] = {}
    for strategy in given.strategies:
        for _, image in photos:
            for seed in range(given.seeds):
                options = AutonomousOptions(
                    32, None, strategy, seed, None, 1.0, given.shown, open_book=True
                )
                curve = list(open_book(image, options, given.algorithm))
                quality = [reference.quality_of(mse) for _, mse in curve]
                # of the whole image: what is known has no error
                whole = [reference.quality_of(mse * rest) for rest, mse in curve]
                row = [needed(curve, goal, whole=False) for goal in GOALS]
                row += [needed(curve, goal, whole=True) for goal in GOALS]
                half = quality[len(quality) // 2]
                row += [float(np.mean(quality)), float(np.mean(whole)), half]
                found.setdefault(strategy, []).append(row)
    goals = [f"{what} {goal:.2f}" for what in ("rest", "whole") for goal in GOALS]
    base = np.array(found["random"])
    rows, areas = [], []
    for strategy, values in found.items():
        table = np.array(values)
        row: dict[str, Any] = {"strategy": strategy}
        for i, goal in enumerate(goals):
            seen, by_random = table[:, i].mean(), base[:, i].mean()
            # the second ratio is without those that every strategy is shown
            ratios = seen / by_random, (seen - given.shown) / (by_random - given.shown)
            row[goal] = f"{seen:.1%} ({ratios[0]:.0%}, {ratios[1]:.0%})"
        rows.append(row)
        gain = table[:, -3] - base[:, -3]
        areas.append(
            {
                "strategy": strategy,
                "area, rest": f"{table[:, -3].mean():.4f}",
                "- random's": f"{gain.mean():+.4f} ± {_error(gain):.4f}",
                "half way": f"{table[:, -1].mean():.4f}",
                "area, whole image": f"{table[:, -2].mean():.5f}",
            }
        )
    return rows, areas


def windows(photos: list[tuple[str, Photo]], given: Any) -> list[dict[str, Any]]:
    """Final quality of a closed book, by the reach of the predictions."""
    rows = []
    for context_size in (None, 64, 96):
        mse: dict[str, list[float]] = {}
        stopped: dict[str, list[float]] = {}
        for strategy in given.strategies:
            for _, image in photos:
                for seed in range(given.seeds):
                    engine = AutonomousReconstructionEngine(
                        context_size=context_size,
                        algorithm=given.algorithm,
                        strategy=strategy,
                        seed=seed,
                        device="cpu",
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
    photos: list[tuple[str, Photo]], given: Any, context_size: int | None
) -> list[dict[str, Any]]:
    """How far the quality of what was done until the stop lies from that of everything."""
    rows = []
    for strategy in given.strategies:
        gaps, done, false, reached = [], [], 0, 0
        for target in (0.85, 0.90, 0.95):
            for _, image in photos:
                for seed in range(given.seeds):
                    engine = AutonomousReconstructionEngine(
                        context_size=context_size,
                        algorithm=given.algorithm,
                        strategy=strategy,
                        seed=seed,
                        device="cpu",
                    )
                    result = engine.autonomous_analyze(image, target_quality=target)
                    if result.stop_reason != "target_quality":
                        continue
                    said = result.history[-1].cumulative_quality
                    gaps.append(said - result.reconstruction_quality)
                    done.append(result.completion)
                    reached += 1
                    false += result.reconstruction_quality < target
        runs = 3 * len(photos) * given.seeds
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
    parser.add_argument("--algorithm", default="network")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--strategies", nargs="+", choices=CONCRETE, default=list(CONCRETE))
    parser.add_argument("--shown", type=float, default=0.2, help="open book: share shown at first")
    given = parser.parse_args()
    given.strategies = list(dict.fromkeys(["random", *given.strategies]))  # what others are held to
    pin_threads(given.threads)
    report = Report(given.threads, as_json=given.json)
    photos = photographs(given.images, given.crop, given.limit, grey=given.grey)
    runs = f"{given.algorithm}, {len(photos)} photographs x {given.seeds} seeds"
    if "open" in given.only:
        rows, areas = acquisition(photos, given)
        note = (
            "share of patches of 32 seen until the rest, or the whole image, is drawn with this "
            "quality (in brackets: against random's; and without those that were shown at first)"
        )
        report.table(f"Open book, {runs}, {given.shown:.0%} shown at first", rows, note)
        note = "quality of drawing the rest; ±: standard error of the paired difference"
        report.table("Open book, area under the quality", areas, note)
    if "windows" in given.only:
        rows = windows(photos, given)
        report.table(f"Closed book, final quality, {runs}", rows, "to the end: target_quality=1.0")
    if "verdict" in given.only:
        note = "claims of the target; gap: quality said at the stop - of everything in the end"
        for context_size in (None, 64):
            rows = verdicts(photos, given, context_size)
            title = (
                f"Closed book, context {context_size}, early verdict at 0.85, 0.90, 0.95, {runs}"
            )
            report.table(title, rows, note)
    report.close()


if __name__ == "__main__":
    main()
