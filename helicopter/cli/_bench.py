"""``helicopter bench``: Rust against Python, on this machine, in pairs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from helicopter._shared.progress import as_callback
from helicopter._version import __version__
from helicopter.errors import InvalidOptionError

from ._options import JsonOption, Machine
from ._output import complain, emit_json, number, stdout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["BenchOptions", "bench"]

_SMALLEST, _LARGEST = 64, 8192


class BenchOptions(NamedTuple):
    """What the command takes."""

    size: Annotated[
        list[int] | None,
        typer.Option(
            "--size",
            help="Side of the test image; may be repeated (default: 512)",
            show_default=False,
        ),
    ] = None
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, help="Paired runs, of which the median counts.")
    ] = 3
    as_json: JsonOption = False
    machine: Machine = Machine()


class Timing(NamedTuple):
    """One job at one size.

    Attributes
    ----------
    job : str
    size : int
        Side of the square image; for what is done without one see `_bench_jobs`.
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


def bench(options: BenchOptions) -> int:
    """Measure Rust against Python on this machine, with the same number of threads.

    [b]helicopter bench[/b]

    [b]helicopter bench --size 512 --size 1024 --repeats 5[/b]

    Both work on one thread unless --threads says otherwise.
    """
    from helicopter import backends

    machine = options.machine._replace(threads=options.machine.threads or 1)
    machine.prepare()
    sizes = options.size or [512]
    for size in sizes:
        if not _SMALLEST <= size <= _LARGEST:
            raise InvalidOptionError(f"--size must be from {_SMALLEST} to {_LARGEST}, got {size}")
    (status,) = (status for status in backends.report() if status.name == "rust")
    rust = status.available and machine.use_rust_acceleration is not False
    timings = _measure_all(sizes, options.repeats, rust, machine.seed)
    if machine.use_rust_acceleration is False:
        note = "Rust was not measured: --backend python was given."
    elif not rust:
        note = f"Rust was not measured: {status.reason}"
    else:
        note = ""
    if options.as_json:
        emit_json(
            {
                "version": __version__,
                "threads": backends.get_num_threads(),
                "repeats": options.repeats,
                "note": note,
                "timings": [timing._asdict() for timing in timings],
            }
        )
        return 0
    _print_table(timings, options.repeats)
    if note:
        complain(note)
    return 0


def _measure_all(sizes: Sequence[int], repeats: int, rust: bool, seed: int) -> list[Timing]:

    from ._bench_jobs import JOBS

    sides = (False, True) if rust else (False,)
    jobs = [(name, size) for size in sizes for name in JOBS]
    timings = []
    with as_callback(True, "measuring") as progress:
        for done, (name, size) in enumerate(jobs):
            if progress is not None:
                progress(done, len(jobs))
            timings.append(_measure(name, size, repeats, sides, seed))
    return timings


def _measure(name: str, size: int, repeats: int, sides: Sequence[bool], seed: int) -> Timing:
    import statistics

    import numpy as np

    from ._bench_jobs import JOBS

    job = JOBS[name].prepare(size, seed)
    seconds: dict[bool, list[float]] = {side: [] for side in sides}
    pictures: dict[bool, NDArray[Any]] = {}
    warm = JOBS[name].prepare(_SMALLEST, seed)
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


def _print_table(timings: Sequence[Timing], repeats: int) -> None:
    from rich.table import Table

    from helicopter import backends

    from ._bench_jobs import JOBS

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
        job = JOBS[timing.job]
        table.add_row(
            timing.job,
            job.amount(timing.size),
            number(timing.python_seconds, ".3f", " s"),
            number(timing.rust_seconds, ".3f", " s"),
            number(timing.ratio, ".1f", " x"),
            number(timing.largest_difference, *job.difference),
        )
    stdout().print(table)
