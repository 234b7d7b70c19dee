"""What all tests share: each behaviour is tested on both backends."""

import io
import os

import pytest
from hypothesis import settings
from PIL import Image

from helicopter import backends
from helicopter.core import (
    MDP,
    AnomalyDetector,
    AutonomousReconstructionEngine,
    HatataMDPEngine,
    RegionalReconstructionEngine,
    SegmentAwareReconstructionEngine,
    ZengezaNoiseDetector,
)
from helicopter.core.registry import register_algorithm, unregister_algorithm

#: Without it, tests of the Rust backend are skipped where it is not installed.
REQUIRE = "HELICOPTER_REQUIRE_RUST"

# The same examples everywhere. HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("ci", derandomize=True, deadline=None, database=None, max_examples=25)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# Workers side by side share the processors; a test that asks for threads gets them all the same.
if (workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
    share = max(1, (os.cpu_count() or 1) // workers)
    os.environ.setdefault("HELICOPTER_NUM_THREADS", str(share))


def pytest_addoption(parser):
    parser.addoption(
        "--quick",
        action="store_true",
        help="only what takes seconds: no comparison of backends, no process of its own, and each "
        "behaviour on one backend, the fastest that there is",
    )


#: What `--quick` leaves out.
SLOW = ("end_to_end", "invariants", "parity", "robustness", "training")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("quick"):
        return
    left_out = []
    rust = any(status.name == "rust" and status.available for status in backends.report())
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        other = parameters.get("backend") == ("python" if rust else "rust")
        if other or item.path.parent.name in SLOW:
            left_out.append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def _require_rust():
    (rust,) = (status for status in backends.report() if status.name == "rust")
    if rust.available:
        return
    text = f"the Rust backend cannot be used: {rust.reason}"
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(f"{text} {REQUIRE}=1 asks for it.", pytrace=False)
    pytest.skip(text)


@pytest.fixture(scope="session", params=["python", "rust"])
def backend(request):
    """The name of a backend; a test that takes it runs once on each."""
    if request.param == "rust":
        _require_rust()
    return request.param


@pytest.fixture(scope="session")
def both_backends():
    """For tests that compare the two."""
    _require_rust()
    return ("python", "rust")


def _of(engine, backend):
    def make(*arguments, **options):
        made = engine(*arguments, use_rust_acceleration=backend == "rust", **options)
        assert made.backend == backend
        return made

    return make


@pytest.fixture(scope="session")
def autonomous(backend):
    """Make an autonomous engine on the backend under test."""
    return _of(AutonomousReconstructionEngine, backend)


@pytest.fixture(scope="session")
def regional(backend):
    """Make a regional engine on the backend under test."""
    return _of(RegionalReconstructionEngine, backend)


@pytest.fixture(scope="session")
def segmental(backend):
    """Make a segment-aware engine on the backend under test."""
    return _of(SegmentAwareReconstructionEngine, backend)


@pytest.fixture(scope="session")
def detector(backend):
    """Make a noise detector on the backend under test."""
    return _of(ZengezaNoiseDetector, backend)


@pytest.fixture(scope="session")
def anomaly_detector(backend):
    """Make a detector of anomalies on the backend under test."""
    return _of(AnomalyDetector, backend)


@pytest.fixture(scope="session")
def mdp(backend):
    """Make a Markov decision process on the backend under test."""
    return _of(MDP, backend)


@pytest.fixture(scope="session")
def hatata(backend):
    """Make a verifier on the backend under test."""
    return _of(HatataMDPEngine, backend)


@pytest.fixture(scope="session")
def inner(regional):
    """The backend itself, as the engines see it."""
    return regional()._backend


@pytest.fixture
def undrawn(monkeypatch):
    """Make figures, but save blanks: to draw those of one report takes seconds.

    For tests of what a page says and which files there are. What is drawn is tested in
    `tests/report/test_plotting.py`, and on one whole report a module.
    """
    png = io.BytesIO()
    Image.new("RGB", (1, 1)).save(png, "PNG")
    blanks = {"png": png.getvalue(), "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>"}

    def save(_figure, file, *, format, **_options):
        file.write(blanks[format])

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", save)


@pytest.fixture
def kernel():
    """Register kernels for the length of a test."""
    names = []

    def register(name, function):
        register_algorithm(name, function)
        if name not in names:
            names.append(name)
        return name

    yield register
    for name in names:
        unregister_algorithm(name)
