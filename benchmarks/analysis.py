"""The whole analysis of one image: how long it takes, and where the time goes.

python benchmarks/analysis.py [--size 1024] [--threads 2] [--image FILE] [--parts-algorithm network]
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from common import Report, arguments, median, paired, pin_threads, square_photo

import helicopter
from helicopter.core import (
    AnomalyDetector,
    AutonomousReconstructionEngine,
    SegmentAwareReconstructionEngine,
    ZengezaNoiseDetector,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.set_defaults(threads=2)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--parts-algorithm", default="harmonic")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--budget", type=float, default=120.0, help="seconds for all rounds")
    given = parser.parse_args()
    pin_threads(given.threads)
    image = square_photo(given.image, given.size)
    chosen = given.parts_algorithm
    labels = helicopter.segment(image, 250)
    noise = helicopter.estimate_noise(image)
    autonomous, segmental = (
        AutonomousReconstructionEngine(),
        SegmentAwareReconstructionEngine(algorithm=chosen),
    )
    anomalies = AnomalyDetector(chosen)
    jobs: dict[str, Callable[[], object]] = {
        "helicopter.analyze": lambda: helicopter.analyze(image, parts_algorithm=chosen),
        "autonomous reconstruction": lambda: autonomous.autonomous_analyze(image),
        "noise": lambda: ZengezaNoiseDetector().analyze(image),
        "segmentation": lambda: helicopter.segment(image, 250),
        "segments, one by one": lambda: segmental.segment_aware_reconstruction(
            image, segments=labels
        ),
        "anomalies": lambda: anomalies.find(image, noise=noise),
    }
    for job in jobs.values():  # what is imported and cached is not what is measured
        job()
    found = paired(jobs, given.repeats, given.budget)
    whole = median(found["helicopter.analyze"])
    rows = [
        {
            "what": name,
            "seconds": median(runs),
            "CPU s": median(runs, "cpu"),
            "share": median(runs) / whole,
        }
        for name, runs in found.items()
    ]
    result = helicopter.analyze(image, parts_algorithm=chosen)
    parts = 0 if result.segments is None else len(result.segments.segments)
    declared = 0 if result.anomalies is None else len(result.anomalies.regions)
    note = f"medians; {parts} parts, {declared} regions declared; the rest is verification and maps"
    title = f"{given.size} x {given.size} RGB, {np.prod(image.shape[:2]) / 1e6:.2f} megapixels"
    report = Report(given.threads, as_json=given.json)
    report.table(title, rows, note)
    report.close()


if __name__ == "__main__":
    main()
