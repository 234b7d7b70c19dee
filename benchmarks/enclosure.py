"""Whether the bounds on the value of small random models hold, against exact arithmetic.

python benchmarks/enclosure.py [--models 10000] [--seed N] [--backends rust python] [--only 17]
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from common import Report, arguments, pin_threads
from enclosure_models import Case, exact_rows, hand_over, random_case
from rational import Exact, evaluate, solve

from helicopter.errors import ConvergenceError
from helicopter.io import atomic_open

if TYPE_CHECKING:
    from collections.abc import Callable

BACKENDS = {"rust": True, "python": False}
#: What may be wrong with an answer.
FAULTS = (
    "value above upper",
    "value below lower",
    "policy earns less than lower",
    "policy not allowed",
    "estimate outside its bounds",
    "wider than epsilon",
    "failed",
)


#: Seconds after which a solver is stopped: small models take far less.
PATIENCE = 10.0


class TooLate(Exception):
    """A solver that does not end."""


class Outcome(NamedTuple):
    """What came of one model: its faults, and how narrow the bounds are in units of epsilon."""

    faults: list[str]
    raised: bool
    width: float | None


def _deadline() -> Callable[[int, int], None]:
    """Return a progress callback that stops its solver after a while."""
    end = time.process_time() + PATIENCE

    def stop(done: int, total: int) -> None:
        if time.process_time() > end:
            raise TooLate(f"not done after {PATIENCE:g} s")

    return stop


def check(case: Case, *, rust: bool) -> Outcome:
    """Solve a model and hold the answer against the exact one."""
    raised = False
    try:
        model = hand_over(case, use_rust_acceleration=rust)
        found = model.solve(case.method, case.epsilon, progress=_deadline())
    except ConvergenceError as late:  # its bounds must hold all the same
        found, raised = late.solution, True
    except Exception as error:  # of any kind: none is right, and the other models go on
        return Outcome([f"failed: {type(error).__name__}: {error}"], False, None)
    faults = []
    rows = exact_rows(case)
    lower, upper = found.lower.tolist(), found.upper.tolist()
    lower += [0.0] * (len(rows) - len(lower))  # tuples know nothing of a state that none mentions
    upper += [0.0] * (len(rows) - len(upper))
    policy = _places(rows, found.policy.tolist())
    earned: Exact | None = None
    if policy is None:
        faults.append("policy not allowed")
    else:
        earned = evaluate(rows, policy)
    truth = solve(rows, policy)
    states = range(len(rows))
    if not all(truth.at_most(s, upper[s]) for s in states):
        faults.append("value above upper")
    if not all(truth.at_least(s, lower[s]) for s in states):
        faults.append("value below lower")
    if earned and not all(earned.at_least(s, lower[s]) for s in states):
        faults.append("policy earns less than lower")
    if not ((found.lower <= found.value) & (found.value <= found.upper)).all():
        faults.append("estimate outside its bounds")
    width = float(np.max(found.upper - found.lower))
    if not raised and not width <= case.epsilon:
        faults.append("wider than epsilon")
    return Outcome(faults, raised, width / case.epsilon)


def _places(rows: list[Any], policy: list[int]) -> list[int] | None:
    """Return where the actions of a policy stand in the rows, or None if one is not there."""
    places = []
    for state, choices in enumerate(rows):
        if not choices:  # terminal, or absorbing without a reward, where any action will do
            places.append(-1)
            continue
        numbers = [choice.action for choice in choices]
        if policy[state] not in numbers:
            return None
        places.append(numbers.index(policy[state]))
    return places


def run(backend: str, seed: int, numbers: range) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Check some models on one backend; return the row of the table and those of the faults."""
    counts: Counter[str] = Counter()
    widths, failures, raised = [], [], 0
    began = time.process_time()
    for number in numbers:
        case = random_case(seed, number)
        outcome = check(case, rust=BACKENDS[backend])
        raised += outcome.raised
        if outcome.width is not None and not outcome.raised:
            widths.append(outcome.width)
        for fault in outcome.faults:
            counts[fault.split(":")[0]] += 1
            failures.append(
                {
                    "backend": backend,
                    "again": f"--seed {seed} --only {number}",
                    "fault": fault[:150],
                    "raised": outcome.raised,
                    **about(case),
                }
            )
    row: dict[str, Any] = {"backend": backend, "models": len(numbers), "raised": raised}
    row |= {fault: counts[fault] for fault in FAULTS}
    row["median width / epsilon"] = statistics.median(widths) if widths else None
    row["CPU s"] = time.process_time() - began
    return row, failures


def about(case: Case) -> dict[str, Any]:
    """Describe a model in a few words."""
    n, m = case.allowed.shape
    return {
        "model": f"{n} x {m}",
        "form": case.form,
        "method": case.method,
        "discount": f"{case.discount:.12g}",
        "largest reward": float(np.abs(case.rewards).max()),
        "epsilon": case.epsilon,
    }


def show(seed: int, number: int, backends: list[str]) -> None:
    """Print one model, the exact answer and those of the backends."""
    case = random_case(seed, number)
    truth = solve(exact_rows(case))
    print(about(case), case.transitions, case.rewards, case.allowed, sep="\n")
    print("exact ", [n / truth.denominator for n in truth.numerators])
    for backend in backends:
        try:
            found = hand_over(case, use_rust_acceleration=BACKENDS[backend]).solve(
                case.method, case.epsilon
            )
        except ConvergenceError as late:
            print(backend, late)
            found = late.solution
        print(backend, found.iterations, found.method, found.policy.tolist())
        print("lower ", found.lower.tolist())
        print("upper ", found.upper.tolist())


def main() -> None:
    """Check the models and print the table; with failures, end with 1."""
    parser = arguments(__doc__)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--seed", type=int, help="of the models (default: a new one)")
    parser.add_argument("--backends", nargs="+", choices=list(BACKENDS), default=list(BACKENDS))
    parser.add_argument("--only", type=int, metavar="N", help="print model N and its answers")
    parser.add_argument("--failures", type=Path, help="file for the failures, one a line")
    given = parser.parse_args()
    pin_threads(given.threads)
    seed = time.time_ns() % 10**9 if given.seed is None else given.seed
    if given.only is not None:
        show(seed, given.only, given.backends)
        return
    report = Report(given.threads, as_json=given.json)
    done = [run(backend, seed, range(given.models)) for backend in given.backends]
    note = "raised: ConvergenceError, whose bounds are checked too; CPU s: with the exact answer"
    report.table(f"Enclosures, seed {seed}", [row for row, _ in done], note)
    failures = [failure for _, some in done for failure in some]
    if failures:
        report.table("Failures", failures[:40])
    if given.failures:
        with atomic_open(given.failures) as file:
            file.write("".join(f"{failure}\n" for failure in failures).encode())
    report.close()
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
