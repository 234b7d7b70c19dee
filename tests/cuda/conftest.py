"""Tests of CUDA: on the emulated driver, or on a card.

`make test-cuda` puts the folder of the emulator into HELICOPTER_CUDA_EMULATOR. Libraries are loaded
by their paths before anything looks for them; the product finds them by name, like those of a card.
"""

import ctypes
import os

import pytest
from cuda_driver import FOLDER, Driver, Nvrtc

EMULATED = bool(os.environ.get("HELICOPTER_CUDA_EMULATOR"))
BUILD = "`make test-cuda` builds the emulated driver and runs these on it"


def _load():
    """What tests run on, and why not if on nothing."""
    if EMULATED:
        try:
            for name in ("libcuda.so", "libnvrtc.so"):
                ctypes.CDLL(str(FOLDER / name), ctypes.RTLD_GLOBAL)
        except OSError as error:
            return None, f"the emulated driver cannot be loaded ({error}); {BUILD}"
        return "the emulated driver", ""
    try:
        code = ctypes.CDLL("libcuda.so.1").cuInit(0)
    except OSError:
        return None, f"no CUDA driver is here; {BUILD}"
    return ("the card", "") if code == 0 else (None, f"cuInit gives error {code}; {BUILD}")


RUNS_ON, WHY_NOT = _load()


def pytest_terminal_summary(terminalreporter):
    # a header would not be shown with --quiet
    terminalreporter.write_line(f"CUDA: on {RUNS_ON}" if RUNS_ON else f"CUDA: skipped, {WHY_NOT}")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == "cuda" and item.get_closest_marker("cuda") and not RUNS_ON:
            item.add_marker(pytest.mark.skip(reason=WHY_NOT))


@pytest.fixture(scope="session")
def nvrtc():
    """The compiler of the emulated driver."""
    if not EMULATED:
        pytest.skip(f"tests of the emulator itself; {BUILD}")
    return Nvrtc(FOLDER / "libnvrtc.so")


@pytest.fixture
def driver(nvrtc):
    """The emulated driver; what a test provokes and does not look at is an error."""
    made = Driver(FOLDER / "libcuda.so")
    made.reset()
    made.problems()
    yield made
    made.reset()
    made.close()
    assert made.problems() == []


@pytest.fixture(autouse=True)
def complaints(request):
    """What the emulator has to say of a test of the product is an error."""
    if not EMULATED or "nvrtc" in request.fixturenames:
        yield
        return
    library = ctypes.CDLL(str(FOLDER / "libcuda.so"))
    library.emulatorProblems.restype = ctypes.c_size_t
    text = ctypes.create_string_buffer(10_000)
    library.emulatorProblems(None, ctypes.c_size_t(0), 1)
    yield
    library.emulatorProblems(text, ctypes.c_size_t(len(text)), 1)
    assert text.value.decode() == ""


@pytest.fixture
def emulated():
    """The controls of the emulated driver, for tests of the product in which something fails."""
    if not EMULATED:
        pytest.skip(f"a card does not fail on demand; {BUILD}")
    made = Driver(FOLDER / "libcuda.so")
    yield made
    made.reset()
    made.close()
