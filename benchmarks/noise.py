"""How far estimates of the standard deviation of noise are off, ours and those of the peers.

python benchmarks/noise.py --images DIR [--grey] [--colour] [--sigmas 0 5 25] [--draws 4]
"""

from __future__ import annotations

import functools
import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from common import Photo, Report, Seconds, arguments, median, paired, photographs, pin_threads
from noise_models import corrupt
from noise_peers import PEERS, lacking

import helicopter

if TYPE_CHECKING:
    from collections.abc import Callable

#: Name of a row, function of `helicopter`, backend.
OURS = {
    "helicopter": ("estimate_sigma", None),
    "helicopter, everything": ("estimate_noise", None),
    "helicopter, Python": ("estimate_sigma", False),
    "helicopter, everything, Python": ("estimate_noise", False),
}
ALL = (*PEERS, *OURS)
DEFAULT = ALL[:-2]
SIGMAS = (0.0, 1.0, 2.0, 5.0, 10.0, 15.0, 25.0, 50.0)


class Estimate(NamedTuple):
    """What a method said of one noisy photograph; peers state no interval."""

    photo: str
    error: float
    low: float | None = None
    high: float | None = None
    inside: bool | None = None


class Cell(NamedTuple):
    """One method at one true sigma: an estimate of every noisy photograph, and its runs."""

    estimates: list[Estimate]
    milliseconds: list[float]  # of processor time, a megapixel


Results = dict[str, dict[float, Cell]]  # by method, by true sigma


def ours(function: str, backend: bool | None = None) -> Callable[[Photo], Any] | None:
    """Return one of our functions, or None where this version does not have it."""
    found = getattr(helicopter, function, None)
    return found and functools.partial(found, use_rust_acceleration=backend)


def methods(names: list[str]) -> tuple[dict[str, Callable[[Photo], Any]], list[str]]:
    """Return the methods that can run here by name, and of the others what they would need."""
    usable: dict[str, Callable[[Photo], Any]] = {}
    missing = []
    for name in names:
        if name in PEERS:
            if needs := lacking(name):
                missing.append(f"{name} (pip install {' '.join(needs)})")
            else:
                usable[name] = PEERS[name]
        elif method := ours(*OURS[name]):
            usable[name] = method
        else:
            missing.append(f"{name} (no helicopter.{OURS[name][0]} in this version)")
    return usable, missing


def estimate(photo: str, sigma: float, said: Any) -> Estimate:
    """Compare what a method returned with the truth."""
    if isinstance(said, float):
        return Estimate(photo, said - sigma)
    low, high = map(float, said.sigma_interval)
    return Estimate(photo, float(said.sigma) - sigma, low, high, low <= sigma <= high)


def run(
    photos: list[tuple[str, Photo]],
    sigmas: list[float],
    chosen: dict[str, Callable[[Photo], Any]],
    draws: int,
    repeats: int,
) -> Results:
    """Let every method see the same noisy photographs."""
    results: Results = {name: {sigma: Cell([], []) for sigma in sigmas} for name in chosen}
    for number, (photo, image) in enumerate(photos):
        for sigma in sigmas:
            for draw in range(draws):
                rng = np.random.default_rng([20261127, number, round(1000 * sigma), draw])
                noisy = corrupt(image, "gaussian", sigma, rng).image
                said, runs = _run_all(chosen, noisy, repeats, backwards=bool(draw % 2))
                for name in chosen:
                    cell = results[name][sigma]
                    cell.estimates.append(estimate(photo, sigma, said[name]))
                    megapixels = noisy.shape[0] * noisy.shape[1] / 1e6
                    cell.milliseconds.append(1e3 * median(runs[name], "cpu") / megapixels)
    return results


def _run_all(
    chosen: dict[str, Callable[[Photo], Any]], image: Photo, repeats: int, *, backwards: bool
) -> tuple[dict[str, Any], dict[str, list[Seconds]]]:
    said: dict[str, Any] = {}

    def job(name: str, method: Callable[[Photo], Any]) -> None:
        said[name] = method(image)

    names = list(chosen)[:: -1 if backwards else 1]
    runs = paired({name: functools.partial(job, name, chosen[name]) for name in names}, repeats)
    return said, runs


# -- tables ------------------------------------------------------------------------------------


def errors(results: Results, pick: Callable[[list[float]], float]) -> list[dict[str, Any]]:
    """One row a method, one column a true sigma."""
    rows = []
    for name, cells in results.items():
        row: dict[str, Any] = {"method": name}
        for sigma, cell in cells.items():
            row[f"{sigma:g}"] = f"{pick([abs(e.error) for e in cell.estimates]):.2f}"
        times = [time for cell in cells.values() for time in cell.milliseconds]
        row["ms a megapixel"] = f"{statistics.median(times):.1f}"
        rows.append(row)
    return rows


def detail(cells: dict[float, Cell]) -> list[dict[str, Any]]:
    """One of ours, by true sigma: its worst photograph and its intervals."""
    rows = []
    for sigma, (estimates, _) in cells.items():
        worst = max(estimates, key=lambda e: abs(e.error))
        wide = [e.high - e.low for e in estimates if e.high is not None and e.low is not None]
        rows.append(
            {
                "true sigma": f"{sigma:g}",
                "mean error": f"{statistics.fmean(e.error for e in estimates):+.3f}",
                "mean absolute": f"{statistics.fmean(abs(e.error) for e in estimates):.3f}",
                "worst": f"{worst.error:+.2f}",
                "photograph": worst.photo,
                "inside the 90 % interval": f"{statistics.fmean(map(_inside, estimates)):.1%}",
                "median width": f"{statistics.median(wide):.2f}",
            }
        )
    return rows


def _inside(said: Estimate) -> float:
    return float(bool(said.inside))


def print_results(report: Report, results: Results, about: str) -> None:
    """Print the tables of one kind of photograph."""
    note = f"{about}; grey levels; time: median, of processor time"
    report.table(f"Mean absolute error of sigma, {about}", errors(results, statistics.fmean), note)
    report.table(f"Worst photograph, {about}", errors(results, max))
    for name in (name for name in results if name in OURS):
        estimates = [e for cell in results[name].values() for e in cell.estimates]
        note = f"{statistics.fmean(map(_inside, estimates)):.1%} of all inside the 90 % interval"
        report.table(f"{name}, {about}", detail(results[name]), note)


def main() -> None:
    """Run everything, grey and colour unless one is asked for, and print the tables."""
    parser = arguments(__doc__, images=True)
    parser.set_defaults(crop=768)
    parser.add_argument("--colour", action="store_true", help="in colour (default: both)")
    parser.add_argument("--sigmas", nargs="+", type=float, default=list(SIGMAS), metavar="S")
    parser.add_argument("--methods", nargs="+", choices=ALL, default=list(DEFAULT), metavar="NAME")
    parser.add_argument("--draws", type=int, default=1, help="of noise, for photograph and sigma")
    parser.add_argument("--repeats", type=int, default=1, help="timed runs of every call")
    parser.add_argument("--kinds", action="store_true", help="the tables of noise_kinds.py too")
    given = parser.parse_args()
    pin_threads(given.threads)
    report = Report(given.threads, as_json=given.json)
    chosen, missing = methods(list(dict.fromkeys(given.methods)))
    for grey in (True, False):
        if given.grey != given.colour and given.grey != grey:
            continue
        photos = photographs(given.images, given.crop, given.limit, grey=grey)
        for method in chosen.values():  # a first call is not what is measured
            method(photos[0][1][:64, :64])
        results = run(photos, given.sigmas, chosen, given.draws, given.repeats)
        height, width = photos[0][1].shape[:2]
        about = f"{'grey' if grey else 'RGB'}, {len(photos)} photographs, {height} x {width}"
        print_results(report, results, about)
        if given.kinds:
            from noise_kinds import print_all

            print_all(report, photos, ours("estimate_noise"))
    if missing:
        report.table("Left out", [{"method": text} for text in missing])
    report.close()


if __name__ == "__main__":
    main()
