"""Quality and seconds of our algorithms and their peers, on the same photographs and masks.

python benchmarks/reconstruction.py --images DIR [--grey] [--protocols P1 P3] [--slow 4]
"""

from __future__ import annotations

import functools
import math
import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from common import (
    Photo,
    Report,
    Seconds,
    arguments,
    median,
    paired,
    photographs,
    pin_threads,
    timed,
)
from methods import ALL, DEFAULT, OURS, SLOW, UNSUITED, Method, exact, methods, to_bytes
from protocols import PROTOCOLS, make_mask, psnr, ssim

from helicopter.core import RegionalReconstructionEngine, texture_faithfulness

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = "harmonic"
#: A method that takes longer is run once for a photograph.
LONG = 2.0


class Score(NamedTuple):
    """One photograph, one mask, one method."""

    psnr: float
    ssim: float
    texture: float


class Cell(NamedTuple):
    """One protocol, one method: a score and the runs of every photograph, in their order."""

    scores: list[Score]
    runs: list[Seconds]


Results = dict[str, dict[str, Cell]]  # by protocol, by method


def run_all(
    jobs: dict[str, Callable[[], np.ndarray]], repeats: int
) -> tuple[dict[str, np.ndarray], dict[str, list[Seconds]]]:
    """Run every job; what is quick again, in turn, and then its first run is not counted."""
    outputs: dict[str, np.ndarray] = {}
    runs: dict[str, list[Seconds]] = {}
    for name, job in jobs.items():
        runs[name] = [timed(lambda name=name, job=job: outputs.update({name: job()}))]
    quick = {name: job for name, job in jobs.items() if runs[name][0].wall < LONG}
    return outputs, runs | (paired(quick, repeats) if repeats else {})


def run(
    photos: list[tuple[str, Photo]],
    protocol: str,
    chosen: dict[str, Method],
    slow: int,
    repeats: int,
) -> dict[str, Cell]:
    """Score and time every method on every photograph (the slow ones on the first few)."""
    cells = {
        name: Cell([], [])
        for name in chosen
        if protocol not in UNSUITED.get(name, ()) and (slow or name not in SLOW)
    }
    for number, (_, image) in enumerate(photos):
        mask = make_mask(protocol, *image.shape[:2], number)
        names = [name for name in cells if name not in SLOW or number < slow]
        jobs = {name: functools.partial(chosen[name], image, mask) for name in names}
        outputs, runs = run_all(jobs, repeats)
        for name, output in outputs.items():
            filled = to_bytes(output).reshape(image.shape)
            filled = np.where(mask[:, :, None], filled, image)
            score = Score(
                *(measure(image, filled, mask) for measure in (psnr, ssim, texture_faithfulness))
            )
            cells[name].scores.append(score)
            cells[name].runs.append(_middle(runs[name]))
    return cells


def _middle(runs: list[Seconds]) -> Seconds:
    return Seconds(median(runs), median(runs, "cpu"))


def warm_up(chosen: dict[str, Method], channels: int) -> None:
    """Run everything once on little: caches and thread pools are not what is measured."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (64, 64, channels), dtype=np.uint8)
    mask = np.zeros((64, 64), dtype=bool)
    mask[24:40, 24:40] = True
    for method in chosen.values():
        method(image, mask)


def gains(cells: dict[str, Cell], name: str, over: str, what: str) -> list[float]:
    """How far `name` is ahead of `over`, on every photograph that both have done."""
    pairs = zip(cells[name].scores, cells[over].scores, strict=False)
    return [getattr(a, what) - getattr(b, what) for a, b in pairs]


def table(results: Results, names: list[str], cell: Callable[[dict[str, Cell], str], str]) -> Any:
    """One row a method, one column a protocol."""
    return [
        {
            "method": name,
            "images": max(len(cells[name].scores) for cells in results.values() if name in cells),
            **{p: cell(cells, name) if name in cells else None for p, cells in results.items()},
        }
        for name in names
        if any(name in cells for cells in results.values())
    ]


def best_peer(cells: dict[str, Cell], what: str) -> str | None:
    """The peer that is furthest ahead of harmonic on what it has done."""
    peers = [name for name in cells if name.split(",")[0] not in OURS]
    return max(peers, key=lambda n: statistics.fmean(gains(cells, n, BASE, what)), default=None)


def detail(photos: list[tuple[str, Photo]], results: Results, name: str) -> list[dict[str, Any]]:
    """One algorithm against harmonic and against the best peer, by protocol."""
    rows = []
    for protocol, cells in results.items():
        gain = gains(cells, name, BASE, "psnr")
        worst = int(np.argmin(gain))
        row: dict[str, Any] = {
            "protocol": protocol,
            "over harmonic, dB": f"{statistics.fmean(gain):+.2f} ± {_error(gain):.2f}",
            "worst": f"{gain[worst]:+.2f}",
            "on": photos[worst][0][:24],
            "SSIM over harmonic": f"{statistics.fmean(gains(cells, name, BASE, 'ssim')):+.3f}",
        }
        if (peer := best_peer(cells, "psnr")) is not None:
            row["best peer, PSNR"] = peer
            row["over it, dB"] = f"{statistics.fmean(gains(cells, name, peer, 'psnr')):+.2f}"
        if (peer := best_peer(cells, "ssim")) is not None:
            row["best peer, SSIM"] = peer
            row["over it"] = f"{statistics.fmean(gains(cells, name, peer, 'ssim')):+.3f}"
        rows.append(row)
    return rows


def _error(values: list[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def distances(photos: list[tuple[str, Photo]], protocols: list[str]) -> list[dict[str, Any]]:
    """Largest distance of our differential equations from their exact solutions, on [0, 1]."""
    rows = []
    for name in ("harmonic", "biharmonic"):
        engine = RegionalReconstructionEngine(name, device="cpu")
        row: dict[str, Any] = {"method": name, "images": len(photos)}
        for protocol in protocols:
            apart = []
            for number, (_, image) in enumerate(photos):
                mask = make_mask(protocol, *image.shape[:2], number)
                mine = engine.reconstruct(image / 255.0, mask).reconstruction
                apart.append(float(np.abs(mine - exact(image, mask, name)).max()))
            row[protocol] = f"{max(apart):.1e}"
        rows.append(row)
    return rows


def mean_of(what: str, form: str) -> Callable[[dict[str, Cell], str], str]:
    """Return what writes the mean score of a method into a cell."""
    return lambda cells, name: format(
        statistics.fmean(getattr(score, what) for score in cells[name].scores), form
    )


def gain_of(what: str, form: str, pick: Any = statistics.fmean) -> Any:
    """Return what writes the mean (or least) lead over harmonic into a cell."""
    return lambda cells, name: format(pick(gains(cells, name, BASE, what)), form)


def seconds_of(clock: str) -> Callable[[dict[str, Cell], str], str]:
    """Return what writes the median seconds of a method into a cell."""
    return lambda cells, name: f"{median(cells[name].runs, clock):.3g}"


def print_quality(
    report: Report, photos: list[tuple[str, Photo]], results: Results, names: list[str], about: str
) -> None:
    """PSNR, SSIM and texture; the first two also as differences to harmonic."""
    note = "on the same photographs and masks"
    rows = table(results, names, mean_of("psnr", ".2f"))
    protocols = "; ".join(f"{p}: {PROTOCOLS[p]}" for p in results)
    report.table(f"PSNR over hidden pixels, dB: {about}", rows, protocols)
    rows = table(results, names, gain_of("psnr", "+.2f"))
    report.table("PSNR above harmonic, dB: mean", rows, note)
    rows = table(results, names, gain_of("psnr", "+.2f", min))
    report.table("PSNR above harmonic, dB: worst photograph", rows, note)
    rows = table(results, names, mean_of("ssim", ".3f"))
    report.table(f"SSIM over hidden pixels: {about}", rows)
    rows = table(results, names, gain_of("ssim", "+.3f"))
    report.table("SSIM above harmonic: mean", rows, note)
    rows = table(results, names, mean_of("texture", ".2f"))
    note = "1: detail of the right strength, wherever it lies; 0: none"
    report.table("Faithfulness of texture, which PSNR does not see", rows, note)
    for name in [name for name in names if name in OURS and name != BASE][:1]:
        title = f"{name} against {BASE} and the best peer"
        report.table(title, detail(photos, results, name), "±: standard error; worst photograph")


def print_seconds(report: Report, results: Results, names: list[str], threads: int) -> None:
    """Processor seconds; with several threads seconds on the wall clock too."""
    note = "medians over the photographs of the whole call; ours also state an uncertainty"
    rows = table(results, names, seconds_of("cpu"))
    report.table(f"Processor seconds a call, {threads} thread(s)", rows, note)
    if threads > 1:
        rows = table(results, names, seconds_of("wall"))
        report.table(f"Seconds on the wall clock, {threads} threads", rows, note)


def main() -> None:
    """Run everything, then print the tables."""
    parser = arguments(__doc__, images=True)
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=list(PROTOCOLS))
    parser.add_argument("--methods", nargs="+", choices=ALL, default=list(DEFAULT), metavar="NAME")
    parser.add_argument("--slow", type=int, help="photographs for slow peers (default: all)")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of what is quick")
    parser.add_argument("--exact", type=int, default=0, help="photographs solved with SciPy too")
    given = parser.parse_args()
    pin_threads(given.threads)
    report = Report(given.threads, as_json=given.json)
    photos = photographs(given.images, given.crop, given.limit, grey=given.grey)
    slow = len(photos) if given.slow is None else given.slow
    chosen, missing = methods(list(dict.fromkeys([*given.methods, BASE])))
    names = list(chosen)
    height, width, channels = photos[0][1].shape
    warm_up(chosen, channels)
    results = {p: run(photos, p, chosen, slow, given.repeats) for p in given.protocols}

    about = f"{len(photos)} photographs, {height} x {width}, {'RGB' if channels == 3 else 'grey'}"
    if missing:
        about += f"; left out: {', '.join(missing)}"
    print_quality(report, photos, results, names, about)
    print_seconds(report, results, names, given.threads)
    if given.exact:
        rows = distances(photos[: given.exact], given.protocols)
        report.table("Largest distance from the exact solution", rows, "SciPy's sparse LU; [0, 1]")
    report.close()


if __name__ == "__main__":
    main()
