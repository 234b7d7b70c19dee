"""Whether the kinds of noise are told apart, measured, and mapped, one photograph at a time.

python benchmarks/noise_kinds.py --images DIR [--grey] [--colour] [--draws 4] [--only kinds pairs]
"""

from __future__ import annotations

import functools
import math
import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from calibration import reliability
from common import Photo, Report, arguments, photographs, pin_threads
from noise import ours
from noise_models import (
    COLOURS,
    KINDS,
    VARYING,
    block_deviation,
    coloured_field,
    corrupt,
    draw_strength,
    to_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Analyse = Callable[[Photo], Any]
    Photos = list[tuple[str, Photo]]

PARTS = ("kinds", "pairs", "varying", "coloured")
#: In the order in which they happen to the photograph.
PAIRS = (
    ("poisson", "gaussian"),
    ("gaussian", "salt_pepper"),
    ("gaussian", "impulse"),
    ("poisson", "salt_pepper"),
    ("speckle", "salt_pepper"),
    ("uniform", "salt_pepper"),
    ("periodic", "gaussian"),
    ("periodic", "poisson"),
    ("gaussian", "compression"),
    ("poisson", "compression"),
    ("periodic", "compression"),
    ("compression", "gaussian"),
)
#: Two kinds are drawn from the middle of their ranges, so that neither buries the other; what is
#: compressed after it got its noise, gently.
MIDDLE = 0.5
GENTLE = (60, 80)
#: What a parameter is called; all but these two kinds have one number.
NUMBERS = {
    "gaussian": "sigma",
    "uniform": "sigma",
    "poisson": "gain",
    "speckle": "strength",
    "salt_pepper": "density",
    "impulse": "density",
}
COLOURED_SIGMAS = (5.0, 10.0, 20.0)
SCALES = (1, 2, 4, 8)


class Case(NamedTuple):
    """One noisy photograph of one kind, and what was said of it."""

    photo: str
    shape: tuple[int, ...]
    kind: str
    truth: dict[str, Any]
    probabilities: dict[str, float]
    parameters: dict[str, Any]  # of the true kind; empty where that was not found
    sigma: float

    @property
    def said(self) -> str:
        """The most probable kind."""
        return max(KINDS, key=self.probabilities.__getitem__)


def generator(part: str, seed: int, *place: int) -> np.random.Generator:
    """Return a stream of its own for every noisy photograph."""
    return np.random.default_rng([20261127, PARTS.index(part), seed, *place])


def share(values: Iterable[bool]) -> float | None:
    """Return the share of what is true."""
    seen = list(values)
    return statistics.fmean(seen) if seen else None


def percent(value: float | None, digits: int = 1) -> str | None:
    """Write a share, or that there is none."""
    return None if value is None else f"{value:.{digits}%}"


# -- one kind ----------------------------------------------------------------------------------


def cases(photos: Photos, analyse: Analyse, draws: int, seed: int) -> list[Case]:
    """Analyse `draws` noisy photographs of every kind and photograph."""
    found = []
    for number, (photo, image) in enumerate(photos):
        for place, kind in enumerate(KINDS):
            # clean photographs are all alike
            for draw in range(1 if kind == "clean" else draws):
                rng = generator("kinds", seed, number, place, draw)
                noisy = corrupt(image, kind, draw_strength(kind, rng), rng)
                said = analyse(noisy.image)
                probabilities = {k: float(v) for k, v in said.kind_probabilities.items()}
                own = dict(said.parameters.get(kind, {}))
                about = (photo, image.shape, kind, noisy.truth)
                found.append(Case(*about, probabilities, own, float(said.sigma)))
    return found


def false_alarms(photos: Photos, analyse: Analyse, draws: int, seed: int) -> float | None:
    """Return the share of clean crops, half as wide and high, that are called noisy."""
    called = []
    for number, (_, image) in enumerate(photos):
        height, width = (side // 2 for side in image.shape[:2])
        for draw in range(draws):
            rng = generator("kinds", seed, number, len(KINDS), draw)
            y, x = rng.integers(0, height + 1), rng.integers(0, width + 1)
            said = analyse(image[y : y + height, x : x + width]).kind_probabilities
            called.append(max(KINDS, key=said.__getitem__) != "clean")
    return share(called)


def accuracy(found: list[Case]) -> list[dict[str, Any]]:
    """Return the matrix of confusion, with the share that is right."""
    rows = []
    for kind in KINDS:
        here = [case.said for case in found if case.kind == kind]
        right = share(said == kind for said in here)
        row = {"true kind": kind, "images": len(here), "right": percent(right)}
        rows.append(row | {said: here.count(said) or None for said in KINDS})
    return rows


def summary(found: list[Case], alarms: float | None) -> list[dict[str, Any]]:
    """Judge the most probable kind and its probability, and the probability of every kind."""
    by_kind = [share(c.said == kind for c in found if c.kind == kind) or 0.0 for kind in KINDS]
    top = np.array([case.probabilities[case.said] for case in found])
    right = np.array([case.said == case.kind for case in found])
    every = np.array([[case.probabilities[kind] for kind in KINDS] for case in found])
    present = np.array([[case.kind == kind for kind in KINDS] for case in found])
    noisy = percent(share(case.said != "clean" for case in found if case.kind == "clean"))
    called = percent(share(case.said == "clean" for case in found if case.kind != "clean"))
    return [
        {"what": "right, of all images", "value": percent(float(right.mean()), 2)},
        {"what": "right, mean over the kinds", "value": percent(statistics.fmean(by_kind), 2)},
        {"what": "clean called noisy", "value": noisy},
        {"what": "clean crops called noisy", "value": percent(alarms)},
        {"what": "noisy called clean", "value": called},
        {"what": "ECE of the top probability", "value": f"{reliability(top, right)[0]:.4f}"},
        {
            "what": "ECE of the probability of every kind",
            "value": f"{reliability(every.ravel(), present.ravel())[0]:.4f}",
        },
    ]


def wrong(found: list[Case]) -> list[dict[str, Any]]:
    """List what was called by another name."""
    return [
        {
            "photograph": case.photo,
            "true kind": case.kind,
            "truth": ", ".join(
                f"{name} {value:.3g}" for name, value in case.truth.items() if name != "components"
            ),
            "called": case.said,
            "probability": f"{case.probabilities[case.said]:.3f}",
            "of the true kind": f"{case.probabilities[case.kind]:.3f}",
        }
        for case in found
        if case.said != case.kind
    ]


# -- parameters --------------------------------------------------------------------------------


def relative(said: dict[str, Any], truth: dict[str, Any], name: str) -> float:
    """Return the relative error of a parameter: infinite where the kind was not found."""
    value = said.get(name)
    return math.inf if value is None else abs(float(value) / truth[name] - 1)


def spread(kind: str, name: str, off: list[float]) -> dict[str, Any]:
    """Return a row: the median error, its ninth decile, and how often there was no answer."""
    known = [error for error in off if math.isfinite(error)]
    ninth = float(np.quantile(off, 0.9, method="higher"))
    return {
        "kind": kind,
        "parameter": name,
        "images": len(off),
        "median": percent(statistics.median(off), 2),
        "ninth decile": percent(ninth, 2),
        "not found": len(off) - len(known),
    }


def parameters(found: list[Case]) -> list[dict[str, Any]]:
    """Relative errors of the parameters that are continuous, with the kind unknown."""

    def off(kind: str, name: str) -> list[float]:
        return [relative(c.parameters, c.truth, name) for c in found if c.kind == kind]

    rows = [spread(kind, name, off(kind, name)) for kind, name in NUMBERS.items()]
    gaussian = [case for case in found if case.kind == "gaussian"]
    overall = [abs(case.sigma / case.truth["sigma"] - 1) for case in gaussian]
    rows.insert(1, spread("gaussian", "sigma of the image", overall))
    waves = [case for case in found if case.kind == "periodic"]
    rows.append(spread("periodic", "amplitude", off("periodic", "amplitude")))
    each = [error for case in waves for error in wave_errors(case)[1]]
    rows.append(spread("periodic", "amplitude of each wave", each))
    return rows


def wave_errors(case: Case) -> tuple[list[bool], list[float]]:
    """Say of every true wave whether it was found, and how far its amplitude is off.

    It is found where a wave lies within a bin of the spectrum: a whole period over the image.
    """
    said = list(case.parameters.get("components", ()))
    hits, off = [], []
    for wave in case.truth["components"]:
        distances = [bins_apart(case.shape, wave["frequency"], w["frequency"]) for w in said]
        nearest = int(np.argmin(distances)) if said else -1
        hits.append(bool(said) and distances[nearest] <= 1)
        amplitude = float(said[nearest]["amplitude"]) if hits[-1] else math.inf
        off.append(abs(amplitude / wave["amplitude"] - 1))
    return hits, off


def bins_apart(shape: tuple[int, ...], one: Any, other: Any) -> float:
    """Return the larger distance of the two frequencies; a wave has two, opposite each other."""
    size = np.array(shape[:2], dtype=np.float64)
    there, here = np.array(one, dtype=np.float64), np.array(other, dtype=np.float64)
    return min(float(np.abs((there - side * here) * size).max()) for side in (1, -1))


def discrete(found: list[Case]) -> list[dict[str, Any]]:
    """How often what is a choice is right."""
    waves = [case for case in found if case.kind == "periodic"]
    files = [case for case in found if case.kind == "compression"]
    qualities = [case.parameters.get("quality") for case in files]
    off = [
        math.inf if said is None else abs(float(said) - case.truth["quality"])
        for said, case in zip(qualities, files, strict=True)
    ]
    grids = [tuple(np.ravel(case.parameters.get("grid", (-1, -1)))) for case in files]
    hits = [hit for case in waves for hit in wave_errors(case)[0]]
    counts = [
        len(case.parameters.get("components", ())) == len(case.truth["components"])
        for case in waves
    ]
    return [
        {"what": "wave found, to the bin", "value": percent(share(hits))},
        {"what": "number of waves right", "value": percent(share(counts))},
        {"what": "JPEG quality within 1", "value": percent(share(error <= 1 for error in off))},
        {"what": "JPEG quality: median error", "value": f"{statistics.median(off):.2g}"},
        {"what": "JPEG grid right", "value": percent(share(grid == (0, 0) for grid in grids))},
    ]


# -- two kinds at once -------------------------------------------------------------------------


def both(
    image: Photo, pair: tuple[str, str], rng: np.random.Generator
) -> tuple[Photo, dict[str, Any]]:
    """Add two kinds of noise, one after the other."""
    truth = {}
    for place, kind in enumerate(pair):
        strength = draw_strength(kind, rng, MIDDLE)
        if place and kind == "compression":
            strength = float(rng.integers(GENTLE[0], GENTLE[1] + 1))
        image, truth[kind] = corrupt(image, kind, strength, rng)
    return image, truth


def pairs(photos: Photos, analyse: Analyse, draws: int, seed: int) -> list[dict[str, Any]]:
    """How often two kinds are reported as these two."""
    rows = []
    for place, pair in enumerate(PAIRS):
        reported: list[set[str]] = []
        off: dict[str, list[float]] = {kind: [] for kind in pair if kind in NUMBERS}
        for number, (_, image) in enumerate(photos):
            for draw in range(draws):
                rng = generator("pairs", seed, number, place, draw)
                noisy, truth = both(image, pair, rng)
                said = analyse(noisy)
                reported.append(set(said.kinds) - {"clean"})
                for kind, errors in off.items():
                    own = said.parameters.get(kind, {})
                    errors.append(relative(own, truth[kind], NUMBERS[kind]))
        row: dict[str, Any] = {"kinds, in order": ", ".join(pair), "images": len(reported)}
        row["these two"] = percent(share(kinds == set(pair) for kinds in reported))
        row["these and more"] = percent(share(kinds > set(pair) for kinds in reported))
        for which, kind in zip(("first", "second"), pair, strict=True):
            row[f"{which} found"] = percent(share(kind in kinds for kinds in reported))
        for which, kind in zip(("first", "second"), pair, strict=True):
            error = off.get(kind)
            row[f"{which}: median error"] = percent(statistics.median(error)) if error else None
        rows.append(row)
    return rows


# -- noise that varies, coloured noise ---------------------------------------------------------


def varying(photos: Photos, analyse: Analyse, seed: int) -> list[dict[str, Any]]:
    """Compare the local map of sigma with the true one."""
    rows = []
    for place, (name, model) in enumerate(VARYING.items()):
        alike, off = [], []
        for number, (_, image) in enumerate(photos):
            rng = generator("varying", seed, number, place)
            truth = model(*image.shape[:2])
            noise = truth[:, :, None] * rng.standard_normal(image.shape)
            said = _map(analyse(to_bytes(image + noise)).sigma_map)
            # a map that says the same everywhere is like nothing
            even = said.std() == 0
            alike.append(0.0 if even else float(np.corrcoef(said.ravel(), truth.ravel())[0, 1]))
            off.append(float(np.mean(np.abs(said / truth - 1))))
        rows.append(
            {
                "noise": name,
                "images": len(off),
                "correlation": f"{statistics.fmean(alike):.3f}",
                "least": f"{min(alike):.3f}",
                "mean relative error": percent(statistics.fmean(off)),
                "worst": percent(max(off)),
            }
        )
    return rows


def _map(sigma: Any) -> np.ndarray:
    """Return a map of one value a pixel, also from one a channel."""
    values = np.asarray(sigma, dtype=np.float64)
    return values if values.ndim == 2 else np.sqrt(np.square(values).mean(axis=2))


def coloured(photos: Photos, analyse: Analyse, seed: int) -> list[dict[str, Any]]:
    """Compare the noise of every scale with the true field averaged over blocks."""
    rows = []
    for place, colour in enumerate(COLOURS):
        right, off = [], []
        for number, sigma, image in _with_sigmas(photos):
            rng = generator("coloured", seed, number, place, round(sigma))
            field = coloured_field(colour, image.shape, sigma, rng)
            said = analyse(to_bytes(image + field))
            right.append(said.noise_colour == ("white" if colour == "white" else "coloured"))
            # a small image has fewer scales
            known = [scale.sigma for scale in said.scales][: len(SCALES)]
            known += [math.nan] * (len(SCALES) - len(known))
            true = [block_deviation(field, side) for side in SCALES]
            off.append(np.abs(np.array(known, dtype=np.float64) / true - 1))
        row = {"noise": colour, "images": len(off), "colour right": percent(share(right))}
        middle, worst = np.nanmedian(off, axis=0), np.nanmax(off, axis=0)
        row |= {f"scale {s}": percent(m) for s, m in zip(SCALES, middle, strict=True)}
        rows.append(row | {f"worst, {s}": percent(w) for s, w in zip(SCALES, worst, strict=True)})
    return rows


def _with_sigmas(photos: Photos) -> Iterator[tuple[int, float, Photo]]:
    for number, (_, image) in enumerate(photos):
        for sigma in COLOURED_SIGMAS:
            yield number, sigma, image


# -- printing ----------------------------------------------------------------------------------


def print_kinds(report: Report, found: list[Case], alarms: float | None, about: str) -> None:
    """Print the tables of one kind at a time."""
    report.table(f"Nine kinds, {about}", summary(found, alarms), "crops of a quarter of the area")
    report.table(f"What is called what, {about}", accuracy(found))
    if errors := wrong(found):
        report.table(f"Called by another name, {about}", errors)
    note = "kind unknown; infinite where it was not found"
    report.table(f"Relative error of the parameters, {about}", parameters(found), note)
    report.table(f"Choices, {about}", discrete(found), "a kind not found is a wrong choice")


def print_all(
    report: Report,
    photos: Photos,
    analyse: Analyse | None,
    *,
    draws: int = 1,
    seed: int = 0,
    only: Iterable[str] = PARTS,
) -> None:
    """Measure and print the parts that are wanted, of photographs in grey or in colour."""
    if analyse is None:
        raise SystemExit("this version of helicopter has no estimate_noise")
    height, width, channels = photos[0][1].shape
    about = f"{'grey' if channels == 1 else 'RGB'}, {len(photos)} photographs, {height} x {width}"
    if "kinds" in only:
        found = cases(photos, analyse, draws, seed)
        print_kinds(report, found, false_alarms(photos, analyse, draws, seed), about)
    if "pairs" in only:
        note = f"the middle {MIDDLE:.0%} of the ranges; what comes last, JPEG {GENTLE}"
        report.table(f"Two kinds at once, {about}", pairs(photos, analyse, draws, seed), note)
    if "varying" in only:
        note = "correlation of the maps over all pixels"
        report.table(f"Noise that varies, {about}", varying(photos, analyse, seed), note)
    if "coloured" in only:
        note = f"sigma {COLOURED_SIGMAS}; relative error of every scale, median and worst"
        report.table(f"Coloured noise, {about}", coloured(photos, analyse, seed), note)


def main() -> None:
    """Run everything, grey and colour unless one is asked for."""
    parser = arguments(__doc__, images=True)
    parser.set_defaults(crop=768)
    parser.add_argument("--colour", action="store_true", help="in colour (default: both)")
    parser.add_argument("--draws", type=int, default=4, help="for every photograph and kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--python", action="store_true", help="the Python backend")
    given = parser.parse_args()
    pin_threads(given.threads)
    report = Report(given.threads, as_json=given.json)
    analyse = ours("estimate_noise", False if given.python else None)
    run = functools.partial(print_all, report, draws=given.draws, seed=given.seed, only=given.only)
    for grey in (True, False):
        if given.grey == given.colour or given.grey == grey:
            run(photographs(given.images, given.crop, given.limit, grey=grey), analyse)
    report.close()


if __name__ == "__main__":
    main()
