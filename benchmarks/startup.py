"""How long `import helicopter` and a first call take, in fresh interpreters.

python benchmarks/startup.py [--runs 15]
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from common import Report, arguments, pin_threads

CHILD = """
import sys, time
kind = sys.argv[1]
wall, cpu = time.perf_counter(), time.process_time()
def lap():
    global wall, cpu
    now = time.perf_counter(), time.process_time()
    print(now[0] - wall, now[1] - cpu)
    wall, cpu = time.perf_counter(), time.process_time()
if kind == "numpy":
    import numpy
    lap()
    raise SystemExit
import helicopter
lap()
import numpy
image = numpy.add.outer(numpy.arange(256), numpy.arange(256)) // 2
image = numpy.stack([image] * 3, axis=2).astype(numpy.uint8)
mask = numpy.zeros((256, 256), bool)
for top in range(0, 256, 32):
    for left in range(0, 256, 64):
        mask[top:top + 16, left:left + 16] = True
wall, cpu = time.perf_counter(), time.process_time()
if kind == "reconstruct":
    call = lambda: helicopter.reconstruct(image, mask)
else:
    def call():
        from helicopter.core import AutonomousReconstructionEngine
        return AutonomousReconstructionEngine().autonomous_analyze(image)
backend = getattr(call(), "backend", "rust")
lap()
call()
lap()
assert backend == "rust", backend
"""
KINDS = {
    "numpy": ("import numpy",),
    "reconstruct": ("import helicopter", "first reconstruct", "second reconstruct"),
    "analyze": ("import helicopter (again)", "first autonomous_analyze", "second"),
}


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=15, help="fresh interpreters of each kind")
    given = parser.parse_args()
    pin_threads(given.threads)
    report = Report(given.threads, as_json=given.json)
    laps: dict[str, list[tuple[float, float]]] = {}
    for number in range(given.runs + 1):
        for kind, names in KINDS.items():
            command = [sys.executable, "-c", CHILD, kind]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            if number == 0:
                continue  # the files come from the disk, the byte code is written
            for name, line in zip(names, printed.splitlines(), strict=True):
                wall, cpu = line.split()
                laps.setdefault(name, []).append((float(wall) * 1e3, float(cpu) * 1e3))
    rows = [
        {
            "what": name,
            "median ms": statistics.median(wall for wall, _ in runs),
            "least ms": min(wall for wall, _ in runs),
            "CPU median ms": statistics.median(cpu for _, cpu in runs),
        }
        for name, runs in laps.items()
    ]
    note = "256 x 256 RGB, Rust; the first call includes the import of what it needs"
    report.table(f"Start, medians of {given.runs} fresh interpreters", rows, note)
    report.close()


if __name__ == "__main__":
    main()
