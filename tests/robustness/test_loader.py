"""Looking for the accelerator: there, missing, broken, of another version, switched off."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import helicopter.errors as errors
from helicopter._version import __version__
from helicopter.backends import (
    BackendStatus,
    get_num_threads,
    loader,
    report,
    resolve,
    set_num_threads,
)
from helicopter.backends import _threads as threads
from helicopter.backends.loader import gpu_number

ROOT = Path(errors.__file__).resolve().parents[1]

MISSING = """raise ModuleNotFoundError("No module named 'helicopter_rs'", name="helicopter_rs")"""
PANIC = """
class PanicException(BaseException): pass
raise PanicException("called `Option::unwrap()` on a `None` value")
"""
# The text of a module in the accelerator's place, and what is said about it.
FAKES = {
    "missing": (MISSING, ["not installed", "pip install ./helicopter-rs"]),
    "other module missing": ("import no_such_module_of_ours", ["no_such_module_of_ours"]),
    "import error": ("raise ImportError('libc is\\n too old')", ["ImportError: libc is too old"]),
    "loader error": ("raise OSError('wrong ELF class')", ["OSError: wrong ELF class"]),
    "system error": ("raise SystemError('initialization failed')", ["SystemError: init"]),
    "weird error": ("raise ZeroDivisionError", ["(ZeroDivisionError)", "--force-reinstall"]),
    "syntax error": ("def", ["SyntaxError"]),
    "leaves": ("raise SystemExit(3)", ["SystemExit: 3"]),
    "panics": (PANIC, ["PanicException: called `Option"]),
    "older": (
        "__version__ = '0.0.9'",
        ["helicopter-rs 0.0.9", f"helicopter {__version__}", "pip install ./helicopter-rs"],
    ),
    "not ours": ("", ["is not the accelerator"]),
}

SCRIPT = """
import json, sys
import helicopter, helicopter.backends
early = "helicopter_rs" in sys.modules
from helicopter.backends import report, resolve, get_num_threads
from helicopter.errors import RustAccelerationError
try:
    asked = resolve(True, "auto")
except RustAccelerationError as error:
    asked = str(error)
print(json.dumps({
    "early": early,
    "automatic": resolve(None, "auto"),
    "python": resolve(False, "cpu"),
    "asked": asked,
    "report": {one.name: [one.available, one.used, one.version, one.reason] for one in report()},
    "threads": get_num_threads(),
}))
"""


#: What stands in the accelerator's place, on a machine without a GPU.
STANDING_IN = f"""
from helicopter.errors import DeviceError
__version__ = {__version__!r}
def num_threads(): return 7
def cuda_device(number): raise DeviceError("there is no GPU")
"""


def look(folder, text, **environment):
    """Say what a fresh interpreter finds when `text` stands in the accelerator's place."""
    (folder / "helicopter_rs.py").write_text(text)
    environment = {
        **{name: value for name, value in os.environ.items() if name != loader.DISABLE_VARIABLE},
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        **environment,
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", FAKES)
def test_an_accelerator_that_cannot_be_used_harms_nobody_and_is_explained(tmp_path, kind):
    text, words = FAKES[kind]
    found = look(tmp_path, text)
    assert not found["early"], "importing helicopter must not import the accelerator"
    assert found["automatic"] == ["python", "cpu"]
    assert found["python"] == ["python", "cpu"]
    assert found["threads"] >= 1
    assert found["asked"].startswith("use_rust_acceleration=True, but ")
    assert "use_rust_acceleration=False" in found["asked"]
    for word in words:
        assert word in found["asked"]

    available, used, version, reason = found["report"]["rust"]
    assert not available
    assert not used
    assert version == ("0.0.9" if kind == "older" else None)
    assert reason[0].isupper()
    assert reason.endswith(".")
    assert "\n" not in reason
    assert found["report"]["python"] == [True, True, __version__, ""]


def test_a_matching_accelerator_is_used_once_it_is_needed(tmp_path):
    text = STANDING_IN
    found = look(tmp_path, text)
    assert not found["early"]
    assert found["automatic"] == ["rust", "cpu"]
    assert found["asked"] == ["rust", "cpu"]
    assert found["python"] == ["python", "cpu"]
    assert found["threads"] == 7
    assert found["report"]["rust"] == [True, True, __version__, ""]
    available, used, _, reason = found["report"]["python"]
    assert available
    assert not used
    assert reason.endswith(".")


@pytest.mark.parametrize(("value", "off"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_a_variable_switches_the_accelerator_off(tmp_path, value, off):
    text = STANDING_IN
    found = look(tmp_path, text, HELICOPTER_DISABLE_RUST=value)
    assert found["automatic"] == ["python" if off else "rust", "cpu"]
    if off:
        assert "HELICOPTER_DISABLE_RUST switches the Rust backend off" in found["asked"]
        assert "Unset HELICOPTER_DISABLE_RUST" in found["asked"]
        assert found["report"]["rust"][:2] == [False, False]


def test_ctrl_c_during_the_import_is_not_taken_for_a_broken_accelerator(tmp_path, monkeypatch):
    (tmp_path / "helicopter_rs.py").write_text("raise KeyboardInterrupt")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "helicopter_rs", raising=False)
    loader._import.cache_clear()
    with pytest.raises(KeyboardInterrupt):
        loader._import()
    monkeypatch.undo()
    loader._import.cache_clear()


@pytest.mark.parametrize("value", [0, 1, "yes", "True", 1.0, [], object])
def test_use_rust_acceleration_is_true_false_or_none(value):
    with pytest.raises(errors.InvalidOptionError, match="must be True, False or None, got") as e:
        resolve(value, "auto")
    assert repr(value) in str(e.value)


@pytest.mark.parametrize(
    "value", [None, 0, "", "gpu", "CPU", " cpu", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "cuda:0\n"]
)
def test_a_device_is_one_of_the_known(value):
    with pytest.raises(errors.InvalidOptionError) as caught:
        resolve(None, value)
    assert 'device must be "auto", "cpu", "cuda" or "cuda:N"' in str(caught.value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:13"])
@pytest.mark.parametrize("use_rust_acceleration", [None, True, False])
def test_without_a_gpu_one_is_refused_and_auto_is_the_cpu(device, use_rust_acceleration):
    if next(status for status in report() if status.name == "cuda").available:
        pytest.skip("there is a GPU here")
    with pytest.raises(errors.DeviceError) as caught:
        resolve(use_rust_acceleration, device)
    assert f'device="{device}" cannot be used' in str(caught.value)
    assert re.search("CUDA driver|not installed|acceleration=False", str(caught.value))
    assert resolve(None, "auto")[1] == "cpu"


def test_the_number_of_a_gpu():
    numbers = [gpu_number(device) for device in ("auto", "cpu", "cuda", "cuda:0", "cuda:12")]
    assert numbers == [None, None, 0, 0, 12]


def test_the_report_names_every_backend_and_says_why_not():
    statuses = report()
    assert [status.name for status in statuses] == ["rust", "python", "cuda"]
    assert [status.used for status in statuses[:2]].count(True) == 1
    for status in statuses:
        assert isinstance(status, BackendStatus)
        assert bool(status.reason) != status.used
        assert status.available or not status.used
    with pytest.raises(AttributeError):
        statuses[0].used = True


@pytest.fixture
def clean_threads(monkeypatch):
    for name in ("HELICOPTER_NUM_THREADS", "RAYON_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    yield monkeypatch
    set_num_threads(None)


def test_the_number_of_threads_can_be_chosen_and_given_back(clean_threads):
    assert threads.chosen_threads() is None
    given = get_num_threads()
    assert 1 <= given <= 1024
    set_num_threads(3)
    assert get_num_threads() == threads.chosen_threads() == 3
    clean_threads.setenv("HELICOPTER_NUM_THREADS", "5")
    assert get_num_threads() == 3
    set_num_threads(None)
    assert get_num_threads() == 5
    clean_threads.delenv("HELICOPTER_NUM_THREADS")
    assert get_num_threads() == given


@pytest.mark.parametrize("wrong", [0, -1, 1025, 2.0, "2", True, [], float("nan")])
@pytest.mark.usefixtures("clean_threads")
def test_a_wrong_number_of_threads_is_refused_and_changes_nothing(wrong):
    set_num_threads(2)
    with pytest.raises(errors.InvalidOptionError, match="n must be an integer from 1 to 1024, got"):
        set_num_threads(wrong)
    assert get_num_threads() == 2


@pytest.mark.parametrize("disabled", ["0", "1"])
@pytest.mark.parametrize(
    ("ours", "of_rayon", "expected"),
    [("5", "7", 5), ("", "7", 7), ("", "4096", 1024), (" 5 ", "", 5), ("0", "7", 0), ("x", "", 0)],
)
def test_both_backends_read_the_same_number_of_threads(
    clean_threads, disabled, ours, of_rayon, expected
):
    clean_threads.setenv(loader.DISABLE_VARIABLE, disabled)
    clean_threads.setenv("HELICOPTER_NUM_THREADS", ours)
    clean_threads.setenv("RAYON_NUM_THREADS", of_rayon)
    if expected:
        assert get_num_threads() == expected
    else:
        with pytest.raises(errors.InvalidOptionError, match="HELICOPTER_NUM_THREADS must be an"):
            get_num_threads()
