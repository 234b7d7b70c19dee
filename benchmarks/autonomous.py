"""Autonomous analysis of a photograph: Python against Rust, and where the time goes.

python benchmarks/autonomous.py [--algorithm network] [--image FILE] [--size 1024] [--threads 1]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from common import (
    Photo,
    Report,
    Seconds,
    arguments,
    median,
    median_ratio,
    paired,
    pin_threads,
    solve_equation,
    square_photo,
    timed,
)

from helicopter.core import (
    AutonomousAnalysis,
    AutonomousReconstructionEngine,
    RegionalReconstructionEngine,
)
from helicopter.core.validation import prepare_image

ALGORITHMS = ("network", "harmonic", "biharmonic")

CASES = {
    "closed book": {},
    "closed book, to the end": {"target_quality": 1.0},
    "open book": {"open_book": True},
    "open book, to the end": {"open_book": True, "target_quality": 1.0},
}


def stages(image: Photo, analysis: AutonomousAnalysis, given: Any, *, rust: bool, open_book: bool):
    """Replay what a run computed, stage by stage, on the states it went through.

    A closed book is predicted once, an open one anew in every iteration, from what is known then.
    """
    engine = RegionalReconstructionEngine(given.algorithm, use_rust_acceleration=rust, device="cpu")
    backend, predicted = engine._backend, "network" if given.algorithm == "network" else "variance"
    prepared: list[Any] = []
    hidden = analysis.hidden_mask.copy()
    border = timed(lambda: prepared.append(prepare_image(image)))
    truth = prepared[0][0].pixels
    equation = "biharmonic" if given.algorithm == "biharmonic" else "harmonic"
    spent = {equation: 0.0, predicted: 0.0}
    solutions = 0
    side, columns = analysis.patch_size, -(-image.shape[1] // analysis.patch_size)
    for step in (*analysis.history, None):
        if solutions and (not open_book or not hidden.any()):
            break
        context = np.where(hidden[:, :, None], np.float32(0), truth)
        filled = context.copy()
        spent[equation] += timed(
            lambda c=context: solve_equation(c, hidden, equation, rust=rust)
        ).cpu
        spent[predicted] += timed(
            lambda f=filled: backend.reconstruct(f, hidden, engine._algorithm, engine._model)
        ).cpu
        solutions += 1
        for patch in () if step is None else step.patches:
            top, left = patch // columns * side, patch % columns * side
            hidden[top : top + side, left : left + side] = False
    spent[predicted] -= spent[equation]  # which it began with
    mask = analysis.hidden_mask
    spent["scores"] = timed(lambda: backend.score(truth, filled, mask, mask)).cpu
    output = analysis.reconstruction
    border_out = timed(lambda: prepared[0][0].restore(truth, mask))
    assert output.shape == image.shape
    spent["border"] = border.cpu + border_out.cpu
    return spent, solutions


def main() -> None:
    """Print the table of seconds and the table of stages."""
    parser = arguments(__doc__)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--algorithm", default="network", choices=ALGORITHMS)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--budget", type=float, default=120.0, help="seconds for each case")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    given = parser.parse_args()
    pin_threads(given.threads)
    image = square_photo(given.image, given.size)
    report = Report(given.threads, as_json=given.json)
    for rust in (True, False):  # what is imported and cached is not what is measured
        engine = AutonomousReconstructionEngine(
            algorithm=given.algorithm, use_rust_acceleration=rust, device="cpu"
        )
        engine.autonomous_analyze(image[:96, :96])
    for case in given.cases:
        options = CASES[case]
        results: dict[bool, AutonomousAnalysis] = {}

        def job(rust: bool, options: dict[str, Any] = options, results: Any = results) -> None:
            engine = AutonomousReconstructionEngine(
                algorithm=given.algorithm, use_rust_acceleration=rust, device="cpu"
            )
            results[rust] = engine.autonomous_analyze(image, **options)

        job(True)
        runs = paired(
            {"Python": lambda: job(False), "Rust": lambda: job(True)}, given.repeats, given.budget
        )
        python, rust = runs["Python"], runs["Rust"]
        same = [step.patches for step in results[True].history] == [
            step.patches for step in results[False].history
        ]
        total = {
            "case": case,
            "Python s": median(python),
            "Rust s": median(rust),
            "ratio": median_ratio(python, rust),
            "Python CPU s": median(python, "cpu"),
            "Rust CPU s": median(rust, "cpu"),
            "CPU ratio": median_ratio(python, rust, "cpu"),
            "rounds": len(python),
            "iterations": results[True].iterations,
            "stopped by": results[True].stop_reason,
            "same order": same,
        }
        note = "medians of interleaved pairs; ratios are medians over the pairs"
        title = f"{case}: {given.algorithm}, {given.size} x {given.size} RGB, patch 32"
        report.table(title, [total], note)
        parts = [
            _shares(name, image, results[side], given, runs[name], rust=side, **_book(options))
            for name, side in (("Python", False), ("Rust", True))
        ]
        note = "stages replayed on the states of the run; rest: choosing, copying, scoring patches"
        report.table(f"{case}: where the time goes, CPU seconds", parts, note)
    report.close()


def _book(options: dict[str, Any]) -> dict[str, bool]:
    return {"open_book": options.get("open_book", False)}


def _shares(
    name: str,
    image: Photo,
    analysis: AutonomousAnalysis,
    given: Any,
    runs: list[Seconds],
    *,
    rust: bool,
    open_book: bool,
) -> dict[str, Any]:
    spent, solutions = stages(image, analysis, given, rust=rust, open_book=open_book)
    total = median(runs, "cpu")
    spent["rest"] = total - sum(spent.values())
    shares = {stage: f"{value:.3f} ({value / total:.0%})" for stage, value in spent.items()}
    return {"backend": name, "solutions": solutions, "total": total, **shares}


if __name__ == "__main__":
    main()
