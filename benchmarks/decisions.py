"""Seconds that decision models take, ours and those of the peers, each in a fresh process.

python benchmarks/decisions.py [--families garnet chain --states 1e4 1e5] [--parts slow small]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import Report, arguments
from decision_models import FAMILIES, SLOW
from decision_peers import METHODS, OURS, PYTHON, QUANTECON, Task, lacking
from memory import peak_bytes

PARTS = ("garnet", "slow", "backends", "small")
DEFAULT = (OURS, QUANTECON, f"{QUANTECON} k=10", f"{QUANTECON} k=50")
_THREADS = ("OMP", "OPENBLAS", "MKL", "RAYON", "NUMBA", "HELICOPTER")
#: Small models are over at once: so many, each another, make one run.
SMALL, MANY = 100, 200


class Cell(NamedTuple):
    """What is solved: a family at a size, and how far ahead it looks."""

    family: str
    states: int
    discount: float


class Asked(NamedTuple):
    """Methods with the error that each is asked for."""

    epsilon: dict[str, float]
    repeats: int
    seed: int
    timeout: float
    threads: int


Runs = dict[str, list[dict[str, Any]]]  # by method; a run that did not end has no "cpu"


# -- in the fresh process ----------------------------------------------------------------------


def child(spec: dict[str, Any]) -> dict[str, Any]:
    """Solve what `spec` says; return what that took, and leave the values in a file."""
    method, make = METHODS[spec["method"]], FAMILIES[spec["family"]]
    task = Task(spec["discount"], spec["epsilon"])
    for seed in range(3):  # imports, compilation; not so small that another way is taken
        method.solve(method.prepare(make(SMALL + seed, seed)), task)
    models = [make(spec["states"], spec["seed"] + number) for number in range(spec["many"])]
    seconds = []
    for given in [method.prepare(model) for model in models]:
        began = time.process_time()
        answer = method.solve(given, task)
        seconds.append(time.process_time() - began)
    np.save(spec["values"], answer.value)
    return {
        "states": models[-1].n_states,
        "cpu": statistics.median(seconds),
        "iterations": answer.iterations,
        "width": answer.width,
        "peak": peak_bytes() / 2**30,
    }


def fresh(spec: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """Run `child` in a process of its own; return what it printed, or why there is nothing."""
    names = {f"{name}_NUM_THREADS": str(asked.threads) for name in _THREADS}
    command = [sys.executable, str(Path(__file__)), "--child", json.dumps(spec)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=asked.timeout,
            env={**os.environ, **names},
        )
    except subprocess.TimeoutExpired:
        return {"why": f"over {asked.timeout:g} s"}
    if done.returncode:
        return {"why": (done.stderr.strip().splitlines() or ["no message: out of memory?"])[-1]}
    printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed


# -- cells and tables --------------------------------------------------------------------------


def measure(cell: Cell, asked: Asked, many: int = 1) -> Runs:
    """Solve new models of a cell, every one by all methods in turn; a late method is left out."""
    runs: Runs = {name: [] for name in asked.epsilon}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.repeats):
            values: dict[str, Any] = {}
            for name in list(runs)[:: -1 if number % 2 else 1]:
                if runs[name] and "cpu" not in runs[name][-1]:
                    continue
                file = Path(folder, f"{len(values)}.npy")
                spec = {**cell._asdict(), "method": name, "epsilon": asked.epsilon[name]}
                spec |= {"seed": asked.seed + 1000 * number, "many": many, "values": str(file)}
                runs[name].append(fresh(spec, asked))
                if file.exists():
                    values[name] = np.load(file)
            for name, value in values.items():
                runs[name][-1]["away"] = float(np.abs(value - values[_judge(values)]).max())
    return runs


def _judge(values: dict[str, Any]) -> str:
    """Return the method that the others are held against: the first, which is ours if it ran."""
    return OURS if OURS in values else next(iter(values))


def _ended(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [run for run in runs if "cpu" in run]


def _median(runs: list[dict[str, Any]], key: str) -> float | None:
    found = [run[key] for run in runs if run.get(key) is not None]
    return statistics.median(found) if found else None


def rows_of(cell: Cell, asked: Asked, runs: Runs, unit: float = 1.0) -> list[dict[str, Any]]:
    """One row a method; the ratio is the median over the models that both have solved."""
    rows = []
    first = next(iter(runs))
    for name, all_runs in runs.items():
        ended = _ended(all_runs)
        pairs = zip(runs[first], all_runs, strict=False)
        ratios = [a["cpu"] / b["cpu"] for a, b in pairs if "cpu" in a and "cpu" in b]
        why = next((run["why"] for run in all_runs if "why" in run), "")
        seconds = _median(ended, "cpu")
        rows.append(
            {
                "family": cell.family,
                "states": ended[0].get("states", cell.states) if ended else cell.states,
                "discount": f"{cell.discount:g}",
                "method": name,
                "error": f"{asked.epsilon[name]:g}",
                "CPU": seconds and seconds * unit,
                "iterations": _median(ended, "iterations"),
                f"{first} / it": statistics.median(ratios) if ratios else None,
                "bounds apart": _median(ended, "width"),
                "peak GiB": _median(ended, "peak"),
                "away": max((run.get("away", 0.0) for run in ended), default=None),
                "left out": why[:40],
            }
        )
    return rows


def table(
    report: Report,
    title: str,
    cells: list[Cell],
    given: argparse.Namespace,
    epsilon: tuple[float, float],
    methods: tuple[str, ...],
    target: str,
) -> None:
    """Measure the cells and print a table: error asked of ours, of the peers."""
    usable = [name for name in methods if lacking(name) is None]
    if not usable:
        return
    mine, theirs = (given.epsilon or epsilon[i] for i in (0, 1))
    errors = {name: mine if name.startswith(OURS) else theirs for name in usable}
    asked = Asked(errors, given.repeats, given.seed, given.timeout, given.threads)
    rows = []
    for cell in cells:
        rows += rows_of(cell, asked, measure(cell, asked))
        print(f"{cell} done", file=sys.stderr)
    note = f"{target}; CPU: seconds of processor time to build the model and solve it, median of "
    note += f"{given.repeats} new models (seed {given.seed}); away: largest difference to the first"
    report.table(title, tidy(rows), note)


def tidy(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what is empty in all rows."""
    empty = {key for key in rows[0] if all(row[key] in (None, "") for row in rows)}
    return [{key: value for key, value in row.items() if key not in empty} for row in rows]


def cells_of(given: argparse.Namespace, families: tuple[str, ...], discount: float) -> list[Cell]:
    """Return the cells of some families, as far as they are asked for."""
    states = [round(n) for n in given.states]
    wanted = [f for f in families if given.families is None or f in given.families]
    return [Cell(f, n, given.discount or discount) for f in wanted for n in states]


def small(report: Report, given: argparse.Namespace) -> None:
    """Print what a model of 100 states takes, from the arrays to the bounds."""
    rows = []
    for family in ("garnet", "dense", "grid"):
        for discount in (0.95, 0.99):
            cell = Cell(family, SMALL, given.discount or discount)
            names = [OURS, "helicopter, dense", QUANTECON]
            errors = dict.fromkeys((n for n in names if lacking(n) is None), given.epsilon or 1e-6)
            asked = Asked(errors, given.repeats, given.seed, given.timeout, given.threads)
            rows += rows_of(cell, asked, measure(cell, asked, MANY), unit=1e6)
    note = f"asked: at most 100; CPU: microseconds, median of {given.repeats} processes, each with "
    note += f"the median of {MANY} models; dense: given as arrays, (S, A, S) and (S, A)"
    report.table("100 states, validation included", tidy(rows), note)


def main() -> None:
    """Measure the parts that are asked for and print their tables."""
    parser = arguments(__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), help="only these")
    parser.add_argument("--states", nargs="+", type=float, help="(default: those of each part)")
    parser.add_argument("--discount", type=float, help="(default: that of each part)")
    parser.add_argument("--epsilon", type=float, help="of all methods (default: of each part)")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(DEFAULT))
    parser.add_argument("--repeats", type=int, default=5, help="models, each in fresh processes")
    parser.add_argument("--seed", type=int, help="of the first model (default: a new one)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds a process may take")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(json.loads(given.child))))
        return
    if given.seed is None:
        given.seed = time.time_ns() % 10**9
    report = Report(given.threads, as_json=given.json)
    run(report, given)
    missing = {n: package for n in (*given.methods, OURS, PYTHON) if (package := lacking(n))}
    if missing:
        rows = [{"method": n, "needs": f"pip install {p}"} for n, p in missing.items()]
        report.table("Left out", rows)
    report.close()


def run(report: Report, given: argparse.Namespace) -> None:
    """Print the tables of the parts that are asked for."""
    sizes, methods = given.states, tuple(dict.fromkeys(given.methods))
    if "garnet" in given.parts:
        given.states = sizes or [1e5, 1e6]
        cells = cells_of(given, ("garnet",), 0.99)
        asked = f"asked: at most 0.4 x {QUANTECON}"
        table(report, "Random sparse models", cells, given, (1e-6, 1e-6), methods, asked)
    if "slow" in given.parts:
        given.states = sizes or [1e4, 1e5]
        cells = cells_of(given, SLOW, 0.999)
        asked = f"asked: at most 1/20 x {QUANTECON}"
        table(report, "Slow mixing", cells, given, (1e-9, 1e-6), methods, asked)
    if "backends" in given.parts:
        given.states = sizes or [1e4]
        cells = cells_of(given, tuple(FAMILIES)[:-1], 0.99)
        both = (OURS, PYTHON)
        table(report, "Backends", cells, given, (1e-6, 1e-6), both, "asked: Rust at most 1/6")
    if "small" in given.parts:
        small(report, given)


if __name__ == "__main__":
    main()
