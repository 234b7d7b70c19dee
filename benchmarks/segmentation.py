"""How well segments explain an image, how round they are and what they cost, beside the peers'.

python benchmarks/segmentation.py --images DIR [--segments 250] [--methods NAME ...]
python benchmarks/segmentation.py --ground-truth BSDS_DIR [--split test]
"""

from __future__ import annotations

import functools
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from common import Photo, Report, arguments, median, paired, photographs, pin_threads
from segmentation_measures import (
    boundary_recall,
    compacted,
    compactness,
    explained_variation,
    pieces,
    undersegmentation_error,
    with_truth,
)
from segmentation_peers import PEERS, SLOW

if TYPE_CHECKING:
    from collections.abc import Callable

#: Name of a row, preset, backend.
OURS = {
    **{preset: (preset, True) for preset in ("quality", "fast", "compact")},
    **{f"{preset}, Python": (preset, False) for preset in ("quality", "fast", "compact")},
}
ALL = (*OURS, *PEERS)
DEFAULT = tuple(name for name in ALL if not name.endswith("Python"))
#: Of these one run is enough, or all there is time for.
ONCE = (*SLOW, *(name for name in OURS if name.endswith("Python")))

Truths = list[Any]
Scene = tuple[str, Photo, Truths]


def ours(image: Photo, count: int, preset: str, rust: bool) -> Callable[[], Any]:
    """Return a call of ours as a job, validation included."""
    import helicopter

    return functools.partial(
        helicopter.segment, image, count, preset=preset, use_rust_acceleration=rust
    )


def job(name: str, image: Photo, count: int) -> Callable[[], Any]:
    """Return what is timed of a method."""
    if name in OURS:
        return ours(image, count, *OURS[name])
    return PEERS[name][0](image, count)


def measured(image: Photo, labels: Any, truths: Truths) -> dict[str, float]:
    """Return what there is to say about a segmentation."""
    labels = compacted(labels.reshape(image.shape[:2]))
    count = int(labels.max()) + 1
    said = {
        "explained": explained_variation(image, labels),
        "compactness": compactness(labels),
        "pieces / label": pieces(labels) / count,
        "count": float(count),
    }
    if truths:
        said["recall"] = boundary_recall(labels, truths, corners=False)
        said["recall, corners"] = boundary_recall(labels, truths, corners=True)
        said["underseg."] = undersegmentation_error(labels, truths)
    return said


def run(
    scenes: list[Scene], names: list[str], count: int, repeats: int
) -> dict[str, list[dict[str, float]]]:
    """Segment every photograph with every method, in turn."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _, image, truths in scenes:
        said: dict[str, Any] = {}

        def keep(name: str, work: Callable[[], Any], said: dict[str, Any] = said) -> None:
            said[name] = work()

        jobs = {name: functools.partial(keep, name, job(name, image, count)) for name in names}
        quick = {name: work for name, work in jobs.items() if name not in ONCE}
        once = {name: work for name, work in jobs.items() if name in ONCE}
        runs = {**paired(quick, repeats), **paired(once, 1)}
        for name in names:
            nanoseconds = 1e9 * median(runs[name], "cpu") / (image.shape[0] * image.shape[1])
            found[name].append({**measured(image, said[name], truths), "ns / pixel": nanoseconds})
    return found


def rows(found: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """Means over the photographs; of the times the median."""
    table = []
    for name, each in found.items():
        row: dict[str, Any] = {"method": name}
        for what in each[0]:
            values = [one[what] for one in each]
            if what == "ns / pixel":
                row[what] = f"{statistics.median(values):.1f}"
            else:
                row[what] = f"{statistics.fmean(values):{'.1f' if what == 'count' else '.3f'}}"
            if what == "count":
                row["from, to"] = f"{min(values):.0f}, {max(values):.0f}"
        table.append(row)
    return table


def main() -> None:
    """Run everything that is installed, and print the tables."""
    parser = arguments(__doc__, images=True, required=False)
    parser.set_defaults(crop=768)
    parser.add_argument("--ground-truth", type=Path, help="laid out like BSDS500's data folder")
    parser.add_argument("--split", default="test", help="of the ground truth (default test)")
    parser.add_argument("--segments", type=int, default=250)
    parser.add_argument("--methods", nargs="+", choices=ALL, default=list(DEFAULT), metavar="NAME")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs; of slow ones only one")
    given = parser.parse_args()
    if not given.images and not given.ground_truth:
        parser.error("one of --images and --ground-truth is needed")
    pin_threads(given.threads)
    report = Report(given.threads, as_json=given.json)
    names = [name for name in given.methods if name in OURS or PEERS[name][2]()]
    missing = {name: PEERS[name][1] for name in given.methods if name not in names}
    sets: list[tuple[str, list[Scene]]] = []
    if given.ground_truth:
        sets.append(
            (f"{given.split} split", with_truth(given.ground_truth, given.split, given.limit))
        )
    if given.images:
        photos = photographs(given.images, given.crop, given.limit, grey=given.grey)
        # peers want three channels; ours sees that they are the same
        rgb = [(name, np.broadcast_to(photo, (*photo.shape[:2], 3))) for name, photo in photos]
        sets.append(("photographs", [(name, np.ascontiguousarray(p), []) for name, p in rgb]))
    for title, scenes in sets:
        small = np.ascontiguousarray(scenes[0][1][:64, :64])
        for name in names:
            job(name, small, 8)()  # a first call is not what is measured
        found = run(scenes, names, given.segments, given.repeats)
        height, width = scenes[0][1].shape[:2]
        note = f"{len(scenes)} photographs, the first {height} x {width}; means; processor time"
        report.table(f"{given.segments} segments, {title}", rows(found), note)
    if missing:
        left = [{"method": f"{name} (pip install {what})"} for name, what in missing.items()]
        report.table("Left out", left)
    report.close()


if __name__ == "__main__":
    main()
