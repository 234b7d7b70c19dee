"""``helicopter bench``: Rust against Python, on this machine, in pairs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from helicopter import backends
from helicopter._version import __version__
from helicopter.errors import InvalidOptionError
from helicopter.io import sample_image

from ._bench_decisions import evidence_job, looks_of, models_job, states_of
from ._output import complain, emit_json, stdout

if TYPE_CHECKING:
    from ._options import Machine

__all__ = ["Timing", "run_bench"]

_SMALLEST, _LARGEST = 64, 8192


@dataclass(frozen=True)
class Timing:
    """One job at one size.

    Attributes
    ----------
    job : str
    size : int
        Side of the square image; for what is done without one see `_bench_decisions`.
    python_seconds, rust_seconds : float or None
        Medians; ``None`` where that backend cannot be used.
    ratio : float or None
        The median of the ratios of the pairs, Python over Rust.
    largest_difference : float or None
        Between the two reconstructions, or maps of the noise, in grey levels of 255; of decisions,
        between the values, or the probabilities.
    """

    job: str
    size: int
    python_seconds: float | None
    rust_seconds: float | None
    ratio: float | None
    largest_difference: float | None


Job = Callable[[bool], NDArray[Any]]


def run_bench(sizes: Sequence[int], repeats: int, machine: Machine, *, as_json: bool) -> None:
    """Measure every job at every size and print the table."""
    from helicopter._shared.progress import as_callback

    for size in sizes:
        if not _SMALLEST <= size <= _LARGEST:
            raise InvalidOptionError(f"--size must be from {_SMALLEST} to {_LARGEST}, got {size}")
    rust_reason = next((s.reason for s in backends.report() if s.name == "rust"), "")
    rust = machine.use_rust_acceleration is not False and any(
        status.name == "rust" and status.available for status in backends.report()
    )
    sides = (False, True) if rust else (False,)
    timings = []
    with as_callback(True, "measuring") as progress:
        jobs = [(name, size) for size in sizes for name in (*_OF_IMAGES, *_OF_DECISIONS)]
        for number, (name, size) in enumerate(jobs):
            if progress is not None:
                progress(number, len(jobs))
            timings.append(_measure(name, size, repeats, sides, machine.seed))
    if machine.use_rust_acceleration is False:
        note = "Rust was not measured: --backend python was given."
    elif not rust:
        note = f"Rust was not measured: {rust_reason}"
    else:
        note = ""
    if as_json:
        emit_json(
            {
                "version": __version__,
                "threads": backends.get_num_threads(),
                "repeats": repeats,
                "note": note,
                "timings": [asdict(timing) for timing in timings],
            }
        )
        return
    _print_table(timings, repeats)
    if note:
        complain(note)


def _measure(name: str, size: int, repeats: int, sides: Sequence[bool], seed: int) -> Timing:
    job = _prepare(name, size, seed)
    seconds: dict[bool, list[float]] = {side: [] for side in sides}
    pictures: dict[bool, NDArray[Any]] = {}
    warm = _prepare(name, _SMALLEST, seed)
    for side in sides:
        warm(side)  # imports, thread pools and caches are not what is measured
    for _ in range(repeats):
        for side in sides:  # in pairs, so that a busy moment of the machine hits both
            start = time.perf_counter()
            pictures[side] = job(side)
            seconds[side].append(time.perf_counter() - start)
    python = seconds[False]
    fast = seconds.get(True)
    return Timing(
        job=name,
        size=size,
        python_seconds=statistics.median(python),
        rust_seconds=None if fast is None else statistics.median(fast),
        ratio=None
        if fast is None
        else statistics.median(a / b for a, b in zip(python, fast, strict=True)),
        largest_difference=None
        if fast is None
        else float(np.abs(pictures[False].astype(float) - pictures[True]).max()),
    )


def _prepare(name: str, size: int, seed: int) -> Job:
    if name in _OF_DECISIONS:
        return _OF_DECISIONS[name](size, seed)
    return _OF_IMAGES[name](_photograph(size), seed)


def _photograph(size: int) -> NDArray[np.uint8]:
    """Return the sample photograph as a square; mirrored tiles, so that detail stays detail."""
    photograph = sample_image()
    square = photograph[:, :400]
    pair = np.concatenate([square, square[:, ::-1]], axis=1)
    tile = np.concatenate([pair, pair[::-1]], axis=0)
    count = -(-size // tile.shape[0])
    return np.ascontiguousarray(np.tile(tile, (count, count, 1))[:size, :size])


def _autonomous(image: NDArray[np.uint8], seed: int) -> Job:
    from helicopter.core import AutonomousReconstructionEngine

    def job(rust: bool) -> NDArray[Any]:
        engine = AutonomousReconstructionEngine(use_rust_acceleration=rust, device="cpu", seed=seed)
        # a target that is never reached: both sides do all of the work
        return engine.autonomous_analyze(image, target_quality=1.0).reconstruction

    return job


def _regional(algorithm: str) -> Callable[[NDArray[np.uint8], int], Job]:
    def prepare(image: NDArray[np.uint8], seed: int) -> Job:
        from helicopter.core import RegionalReconstructionEngine

        blocks = np.random.default_rng(seed).random((-(-image.shape[0] // 16),) * 2) < 0.25
        blocks.flat[0] = True
        hidden = blocks.repeat(16, 0).repeat(16, 1)[: image.shape[0], : image.shape[1]]

        def job(rust: bool) -> NDArray[Any]:
            engine = RegionalReconstructionEngine(
                algorithm=algorithm, use_rust_acceleration=rust, device="cpu", seed=seed
            )
            return engine.reconstruct(image, hidden).reconstruction

        return job

    return prepare


def _segments(image: NDArray[np.uint8], seed: int) -> Job:
    from helicopter.core import SegmentAwareReconstructionEngine

    # as many as 250 to a megapixel, and a grid, so that nothing but the engine is measured
    side = max(round(16 * image.shape[0] / 1024), 1)

    def job(rust: bool) -> NDArray[Any]:
        engine = SegmentAwareReconstructionEngine(
            use_rust_acceleration=rust, device="cpu", seed=seed
        )
        return engine.segment_aware_reconstruction(image, segments=(side, side)).reconstruction

    return job


def _noise(image: NDArray[np.uint8], _: int) -> Job:
    from helicopter.core import ZengezaNoiseDetector

    def job(rust: bool) -> NDArray[Any]:
        detector = ZengezaNoiseDetector(use_rust_acceleration=rust, device="cpu")
        return detector.analyze(image).sigma_map

    return job


_OF_IMAGES: dict[str, Callable[[NDArray[np.uint8], int], Job]] = {
    "autonomous": _autonomous,
    "regional, network": _regional("network"),
    "regional, harmonic": _regional("harmonic"),
    "regional, biharmonic": _regional("biharmonic"),
    "segment-aware": _segments,
    "noise": _noise,
}
_OF_DECISIONS: dict[str, Callable[[int, int], Job]] = {
    "MDP, models": models_job,
    "MDP, evidence": evidence_job,
}
_AMOUNT: dict[str, Callable[[int], str]] = {
    "MDP, models": lambda size: f"{states_of(size)} states",
    "MDP, evidence": lambda size: f"{looks_of(size)} looks",
}


def _print_table(timings: Sequence[Timing], repeats: int) -> None:
    from rich.table import Table

    threads = backends.get_num_threads()
    runs = "one run" if repeats == 1 else f"medians of {repeats} runs"
    on = f"{threads} thread{'s' if threads > 1 else ''}"
    rust = any(timing.rust_seconds is not None for timing in timings)
    table = Table(
        title=f"{runs}{' in pairs' if rust else ''} on {on}",
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    table.add_column("job")
    for heading in ("size", "Python", "Rust", "ratio", "largest difference"):
        table.add_column(heading, justify="right")
    for timing in timings:
        decisions = timing.job in _OF_DECISIONS
        table.add_row(
            timing.job,
            _AMOUNT[timing.job](timing.size) if decisions else f"{timing.size} x {timing.size}",
            _text(timing.python_seconds, ".3f", " s"),
            _text(timing.rust_seconds, ".3f", " s"),
            _text(timing.ratio, ".1f", " x"),
            _text(timing.largest_difference, ".0e", "")
            if decisions
            else _text(timing.largest_difference, ".0f", " of 255"),
        )
    stdout().print(table)


def _text(value: float | None, form: str, unit: str) -> str:
    return "-" if value is None else f"{value:{form}}{unit}"
