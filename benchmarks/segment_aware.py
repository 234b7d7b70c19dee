"""Segment by segment: Python against Rust, one core against two, and what the scores say.

python benchmarks/segment_aware.py [--size 1024] [--segments 250] [--threads 1]
python benchmarks/segment_aware.py --images FOLDER [--crop 512] [--segments 60]
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from common import (
    Photo,
    Report,
    arguments,
    median,
    median_ratio,
    paired,
    photographs,
    pin_threads,
    square_photo,
)
from scipy.stats import spearmanr

import helicopter
from helicopter.core import (
    AutonomousReconstructionEngine,
    SegmentAwareReconstruction,
    SegmentAwareReconstructionEngine,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Below these a segment is called badly understood.
QUALITY, SKILL = 0.8, 0.3


def one_large(size: int) -> NDArray[np.int32]:
    """Label a grid of 16 x 16, of which 100 cells in the middle are one segment, the rest small."""
    row = np.arange(size) * 16 // size
    labels = (row[:, None] * 16 + row[None, :]).astype(np.int32)
    inner = (row >= 3) & (row < 13)
    labels[np.ix_(inner, inner)] = 1000
    return labels


def run(image: Photo, segments: Any, *, rust: bool) -> SegmentAwareReconstruction:
    """Reconstruct by the network."""
    engine = SegmentAwareReconstructionEngine(use_rust_acceleration=rust, device="cpu")
    return engine.segment_aware_reconstruction(image, segments=segments)


def speed(report: Report, image: Photo, given: Any) -> None:
    """Print how much sooner Rust is, and how much two threads help it."""
    cases = {
        f"{given.segments} segments": helicopter.segment(image, given.segments),
        "one 100 times the others": one_large(given.size),
    }
    for rust in (True, False):  # what is imported and cached is not what is measured
        run(image[:64, :64], 4, rust=rust)
    rows, scaling = [], []
    for case, labels in cases.items():
        boxes = [one.bounding_box for one in run(image, labels, rust=True).segments]
        work = sum((b - t) * (r - le) for t, le, b, r in boxes) / labels.size
        jobs = {
            "Python": lambda labels=labels: run(image, labels, rust=False),
            "Rust": lambda labels=labels: run(image, labels, rust=True),
        }
        found = paired(jobs, given.repeats, given.budget)
        rows.append(
            {
                "case": case,
                "boxes / image": work,
                "Python s": median(found["Python"]),
                "Rust s": median(found["Rust"]),
                "ratio": median_ratio(found["Python"], found["Rust"]),
                "CPU ratio": median_ratio(found["Python"], found["Rust"], "cpu"),
                "rounds": len(found["Rust"]),
            }
        )

        def with_threads(threads: int, labels: Any = labels) -> None:
            helicopter.set_num_threads(threads)
            run(image, labels, rust=True)

        both = {"1": lambda job=with_threads: job(1), "2": lambda job=with_threads: job(2)}
        found = paired(both, 2 * given.repeats, given.budget)
        helicopter.set_num_threads(given.threads)
        scaling.append(
            {
                "case": case,
                "one thread s": median(found["1"]),
                "two threads s": median(found["2"]),
                "ratio": median_ratio(found["1"], found["2"]),
                "CPU, two / one": median_ratio(found["2"], found["1"], "cpu"),
            }
        )
    note = "medians of interleaved pairs; boxes / image: area of all bounding boxes together"
    report.table(f"{given.size} x {given.size} RGB, patch 8, network", rows, note)
    report.table("Rust: one thread against two", scaling)


def what_segments_say(report: Report, photos: list[tuple[str, Photo]], given: Any) -> None:
    """Print what the scores of segments say that the score of the whole image does not."""
    rows = []
    for name, image in photos:
        whole = AutonomousReconstructionEngine(8).autonomous_analyze(image, target_quality=1.0)
        result = run(image, given.segments, rust=result_backend())
        scored = [(k, one) for k, one in enumerate(result.segments) if one.scored_pixels]
        area = np.array([one.area for _, one in scored]) / result.labels.size
        quality = np.array([one.quality for _, one in scored])
        skill = np.nan_to_num(np.array([one.skill for _, one in scored]), nan=1.0)
        hidden = whole.hidden_mask
        counts = np.bincount(result.labels[hidden], minlength=len(result.segments))
        sums = np.bincount(
            result.labels[hidden], whole.error_map[hidden], minlength=len(result.segments)
        )
        numbers = [k for k, _ in scored if counts[k]]
        in_whole = sums[numbers] / counts[numbers]
        alone = np.array([result.segments[k].mae for k in numbers])
        rows.append(
            {
                "image": name[:24],
                "whole quality": whole.reconstruction_quality,
                "skill": whole.skill,
                "segments": result.reconstruction_quality,
                "skill ": result.skill,
                "worst": float(quality.min()),
                f"area < {QUALITY}": float(area[quality < QUALITY].sum()),
                f"area skill < {SKILL}": float(area[skill < SKILL].sum()),
                "priority of worst 5": sum(
                    sorted((one.priority for one in result.segments), reverse=True)[:5]
                ),
                "rank correlation": float(spearmanr(in_whole, alone).statistic),
            }
        )
    keys = [key for key in rows[0] if key != "image"]
    rows.append({"image": "median", **{k: float(np.median([r[k] for r in rows])) for k in keys}})
    note = (
        "area: share of the image in segments of less quality, or skill; rank correlation: of the "
        "segments' MAE in the whole image with that in isolation"
    )
    report.table(f"{given.segments} segments, patch 8, network", rows, note)


def result_backend() -> bool:
    """Whether Rust can be used."""
    return any(one.name == "rust" and one.available for one in helicopter.backends.report())


def main() -> None:
    """Print the tables."""
    parser = arguments(__doc__)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--images", type=Path, help="folder of photographs: what the scores say")
    parser.add_argument("--crop", type=int, default=512, help="side of the centre crop")
    parser.add_argument("--limit", type=int, default=None, help="use only the first N images")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--segments", type=int, default=250)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--budget", type=float, default=120.0, help="seconds for each case")
    given = parser.parse_args()
    pin_threads(given.threads)
    report = Report(given.threads, as_json=given.json)
    if given.images is None:
        speed(report, square_photo(given.image, given.size), given)
    else:
        what_segments_say(report, photographs(given.images, given.crop, given.limit), given)
    report.close()


if __name__ == "__main__":
    main()
