"""Where memory runs out there is a MemoryError, and the process goes on.

One process makes all calls under one limit after another; whatever a call leaves behind, the next
has to live with, and a small image is still analysed to the same end.
"""

import re
import subprocess
import sys

import numpy as np
import pytest

import helicopter
from helicopter.core import MDP
from helicopter.errors import InvalidModelError

PROGRAM = """
import resource
import sys

import numpy as np

import helicopter
from helicopter.core import MDP, AutonomousReconstructionEngine, SegmentAwareReconstructionEngine

rust, megabytes, height, width = {rust}, {megabytes}, {height}, {width}
rng = np.random.default_rng(0)
image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
mask = rng.random((height // 8, width // 8)).repeat(8, 0).repeat(8, 1) < 0.3
small, few = np.ascontiguousarray(image[:48, :64]), np.ascontiguousarray(mask[:48, :64])
steps = [(s, a, (s + a) % 20, 1.0, 1.0) for s in range(20) for a in range(2)]
states = 4 * height
chain = [(s, 0, (s + 1) % states, 1.0, float(s)) for s in range(states)]
own = dict(use_rust_acceleration=rust)


def autonomous(image, mask):
    engine = AutonomousReconstructionEngine(algorithm="harmonic", **own)
    return engine.autonomous_analyze(image, mask=mask, max_iterations=2)


def by_segments(image, mask):
    engine = SegmentAwareReconstructionEngine(algorithm="harmonic", **own)
    return engine.segment_aware_reconstruction(image, segments=(2, 2), mask=mask)


calls = dict(
    harmonic=lambda i, m: helicopter.reconstruct(i, mask=m, algorithm="harmonic", **own),
    biharmonic=lambda i, m: helicopter.reconstruct(i, mask=m, algorithm="biharmonic", **own),
    exemplar=lambda i, m: helicopter.reconstruct(i, mask=m, algorithm="exemplar", **own),
    network=lambda i, m: helicopter.reconstruct(i[:256, :256], mask=m[:256, :256], **own),
    autonomous=autonomous,
    by_segments=by_segments,
    noise=lambda i, m: helicopter.estimate_noise(i, mask=m, **own),
    segment=lambda i, m: helicopter.segment(i, 100, **own),
    anomalies=lambda i, m: helicopter.find_anomalies(i, algorithm="harmonic", **own),
    mdp=lambda i, m: MDP(chain if len(i) > 48 else steps, **own).solve(),
)
calls = {{name: calls[name] for name in {names}}}
for name, call in calls.items():
    call(small, few)  # libraries are loaded, threads have begun
for extra in megabytes:
    for name, call in calls.items():
        print(extra, name, end=" ", flush=True)
        pages = int(open("/proc/self/statm").read().split()[0])
        limit = pages * resource.getpagesize() + extra * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        try:
            call(image, mask)
            outcome = "done"
        except MemoryError as error:
            outcome = "MemoryError"
        except helicopter.errors.RustAccelerationError:
            outcome = "no threads"
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        print(outcome, flush=True)
for name, call in calls.items():
    call(small, few)
print("goes on")
"""
FAST = ["harmonic", "biharmonic", "exemplar", "network", "by_segments", "segment", "noise", "mdp"]


def outcomes(rust, megabytes, side, names):
    """What came of each call under each limit."""
    height, width = side
    program = PROGRAM.format(
        rust=rust, megabytes=list(megabytes), height=height, width=width, names=names
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=3000, check=False
    )
    assert ran.returncode == 0, f"{ran.returncode}: {ran.stdout[-500:]} {ran.stderr[-2000:]}"
    lines = ran.stdout.splitlines()
    assert lines.pop() == "goes on"
    return lines


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are kept on Linux alone")
def test_where_memory_runs_out_the_process_goes_on(backend):
    rust = backend == "rust"
    names = FAST if rust else ["harmonic", "segment", "mdp"]
    side = (800, 1200) if rust else (240, 320)
    # too little to begin with, and about what is needed
    lines = outcomes(rust, (8, 100) if rust else (1, 8), side, names)
    assert any("MemoryError" in line for line in lines)


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are kept on Linux alone")
def test_under_any_limit_the_process_goes_on(backend):
    rust = backend == "rust"
    names = [*FAST, "autonomous", "anomalies"] if rust else ["harmonic", "noise", "segment", "mdp"]
    side = (1200, 1600) if rust else (240, 320)
    limits = [*range(4, 400, 24), 2000] if rust else [*range(1, 80, 4), 800]
    lines = outcomes(rust, limits, side, names)
    for name in names:
        here = [line for line in lines if f" {name} " in line]
        assert "MemoryError" in here[0] or not rust or name in ("mdp", "network")
        assert "done" in here[-1]


def test_what_is_asked_for_is_said():
    rust = pytest.importorskip("helicopter_rs")
    states, actions = np.zeros(1, np.int64), np.zeros(1, np.int64)
    model = rust.DecisionModel.from_rows(
        1, states, actions, np.array([0, 1]), np.array([0]), np.ones(1), np.ones(1)
    )
    with pytest.raises(MemoryError, match=r"solve_horizon: not enough memory: \d{12,} bytes"):
        model.solve_horizon(0.9, 2**40, np.zeros(1))


def test_a_number_of_a_state_that_is_far_beyond_all_others_is_refused(backend):
    steps = [(500_000_000, 0, 0, 1, 1.0)]
    words = "500000001 states, of which 1 transitions name few"
    with pytest.raises(InvalidModelError, match=re.escape(words)):
        MDP(steps, use_rust_acceleration=backend == "rust")


def test_a_factorization_without_memory_is_a_memory_error(monkeypatch):
    def out_of_memory(*_, **__):
        raise RuntimeError("SUPERLU_MALLOC fails for buf in intCalloc() at line 173")

    monkeypatch.setattr("scipy.sparse.linalg.splu", out_of_memory)
    image, hole = np.zeros((32, 32), np.float32), np.zeros((32, 32), bool)
    hole[8:20, 8:20] = True
    with pytest.raises(MemoryError, match="MALLOC"):
        helicopter.reconstruct(image, hole, "biharmonic", use_rust_acceleration=False)
