"""Hostile image files by the ten thousand, each read under limits of time and memory.

python benchmarks/hostile_files.py [--count 10000] [--seed 0] [--minutes 10] [--keep FOLDER]

Files are made from those in ``tests/robustness/corpus/seeds`` by mutations that know the formats. A
forked child reads them, one after the other; its parent watches. Files that come to anything but
pixels or an error of ours are kept in a folder; once mended, they belong into
``tests/robustness/corpus/found``, which the tests replay.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import hostile_images as hostile
from watched_reading import ALLOWED, watched

#: Files that one child reads.
_BATCH = 500


def run(
    count: int,
    seed: int = 0,
    *,
    keep: Path | None = None,
    seconds: float = float("inf"),
) -> Counter[str]:
    """Read `count` hostile files, or as many as the time allows, and count what came of them.

    Returns
    -------
    Counter
        Besides `ALLOWED`: ``"foreign exception"``, ``"crash"``, ``"hang"``, ``"too slow"`` (5 s
        of processor time), ``"memory"`` (2 GiB), ``"printed"`` and ``"opened another file"``.
    """
    end = time.monotonic() + seconds
    files = hostile.seeds()

    def make(number: int) -> bytes:
        return hostile.variant(number, seed, files)

    outcomes: Counter[str] = Counter()
    number = 0
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        while number < count and time.monotonic() < end:
            last = min(count, number + _BATCH)
            for result, message in watched(number, last, make, folder):
                outcomes[result] += 1
                if result not in ALLOWED:
                    print(f"file {number} of seed {seed}: {result}: {message}", flush=True)
                    if keep is not None:
                        keep.mkdir(parents=True, exist_ok=True)
                        (keep / f"{seed}-{number}").write_bytes(make(number))
                number += 1
    return outcomes


def main() -> None:
    """Print a table of outcomes; the exit status tells whether there were others than allowed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--minutes", type=float, help="as many files as this allows, from a new seed"
    )
    parser.add_argument("--keep", type=Path, default=Path("hostile-found"))
    options = parser.parse_args()
    begin = time.monotonic()
    if options.minutes is None:
        outcomes = run(options.count, options.seed, keep=options.keep)
    else:
        seed = options.seed or time.time_ns()
        outcomes = run(10**9, seed, keep=options.keep, seconds=60 * options.minutes)
    for result, number in outcomes.most_common():
        print(f"{result:20} {number:8,}")
    print(f"{outcomes.total():,} files in {time.monotonic() - begin:.0f} s")
    sys.exit(any(result not in ALLOWED for result in outcomes))


if __name__ == "__main__":
    main()
