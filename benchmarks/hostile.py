"""What strangers can do: the table of SECURITY.md, in less than an hour.

python benchmarks/hostile.py [--share 1.0] [--seed 0] [--only "image files" calls ...]

Image files, calls, command lines and weights that nobody in his right mind would hand over, each in
a child with limits of time and memory, and faults at every step of the commands that write. Each
kind can be run by itself: see `hostile_files.py`, `hostile_calls.py`, `hostile_commands.py` and
``tests/robustness/test_faults.py``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import hostile_calls
import hostile_commands
import hostile_files

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: dict[str, tuple[int, Callable[[int, int], Counter[str]]]] = {
    "image files": (10_000, hostile_files.run),
    "calls": (5_000, lambda count, seed: hostile_calls.run(count, seed)[0]),
    "command lines": (1_000, hostile_commands.run_commands),
    "weights files": (1_000, hostile_commands.run_weights),
}
STEPS = "faults at a step"
FAULTS = Path(__file__).resolve().parents[1] / "tests" / "robustness" / "test_faults.py"
#: What may come of them; everything else is a fault of ours.
WELL = {
    "pixels": "as asked",
    "result": "as asked",
    "done": "as asked",
    "refused": "refused",
    "TypeError": "refused",
    "MemoryError": "refused",
    "whole": "as asked",
}


def run_faults() -> Counter[str]:
    """Let steps of the commands that write fail, or be the last; count those that did no harm."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.xml"
        command = [sys.executable, "-m", "pytest", "--quiet", "--override-ini=junit_family=legacy"]
        subprocess.run(
            [*command, f"--junitxml={found}", str(FAULTS), "-m", "not exhaustive"],
            cwd=FAULTS.parents[2],
            check=False,
            stdout=sys.stderr,
        )
        cases = ElementTree.parse(found).getroot().iter("testcase")
    outcomes: Counter[str] = Counter()
    for case in cases:
        harmed = case.find("failure") is not None or case.find("error") is not None
        for one in case.iter("property"):
            if one.get("name") == "faults":
                outcomes["harm" if harmed else "whole"] += int(one.get("value", "0"))
    return outcomes


def main() -> None:
    """Print the table; the exit status tells whether there was anything but what may be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the usual number of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=[*KINDS, STEPS], help="kinds")
    options = parser.parse_args()
    faults = 0
    print("| what | tried | did what was asked | an error of ours | anything else | seconds |")
    print("|---|---|---|---|---|---|")
    for kind in options.only or [*KINDS, STEPS]:
        begin = time.monotonic()
        if kind == STEPS:
            outcomes = run_faults()
        else:
            count, run = KINDS[kind]
            outcomes = run(max(1, round(options.share * count)), options.seed)
        asked, refused = (
            sum(number for result, number in outcomes.items() if WELL.get(result) == how)
            for how in ("as asked", "refused")
        )
        others = {result: number for result, number in outcomes.items() if result not in WELL}
        faults += sum(others.values())
        told = ", ".join(f"{number} {result}" for result, number in others.items()) or "0"
        tried, seconds = sum(outcomes.values()), time.monotonic() - begin
        print(
            f"| {kind} | {tried:,} | {asked:,} | {refused:,} | {told} | {seconds:.0f} |", flush=True
        )
    sys.exit(faults > 0)


if __name__ == "__main__":
    main()
