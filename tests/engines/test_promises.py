"""What the package promises: the page it was announced with, versions, a light import."""

import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from scenes import photograph

import helicopter
from helicopter import backends, errors
from helicopter.core import (
    AutonomousReconstructionEngine,
    HatataMDPEngine,
    RegionalReconstructionEngine,
)

PACKAGE = Path(helicopter.__file__).parent
ROOT = PACKAGE.parent

# The snippets of the page, as printed there.

UNCHANGED = """
# Python interface unchanged
from helicopter.core import AutonomousReconstructionEngine

engine = AutonomousReconstructionEngine(
    use_rust_acceleration=True,  # Enable Rust backend
    device="cuda"
)

results = engine.autonomous_analyze(image)
"""

SELECTION = """
# Automatic Rust backend selection
from helicopter.core import AutonomousReconstructionEngine

# Automatically uses Rust if available, falls back to Python
engine = AutonomousReconstructionEngine()

# Check backend
print(f"Using backend: {engine.backend}")  # "rust" or "python"
"""

PROFILING = """
import time
from helicopter.core import AutonomousReconstructionEngine

# Compare performance
engines = {
    'rust': AutonomousReconstructionEngine(use_rust_acceleration=True),
    'python': AutonomousReconstructionEngine(use_rust_acceleration=False)
}

for backend, engine in engines.items():
    start_time = time.time()
    results = engine.autonomous_analyze(test_image)
    duration = time.time() - start_time
    print(f"{backend}: {duration:.2f}s")
"""

HANDLING = """
from helicopter.core import AutonomousReconstructionEngine
from helicopter.errors import RustAccelerationError

try:
    engine = AutonomousReconstructionEngine(use_rust_acceleration=True)
    results = engine.autonomous_analyze(image)
except RustAccelerationError as e:
    print(f"Rust acceleration failed: {e}")
    # Fallback to Python implementation
    engine = AutonomousReconstructionEngine(use_rust_acceleration=False)
    results = engine.autonomous_analyze(image)
"""


def run(snippet):
    names = {"image": photograph(), "test_image": photograph()}
    exec(compile(snippet, "original-spec.md", "exec"), names)
    return names


def rust_is_here():
    return any(status.name == "rust" and status.available for status in backends.report())


def test_the_first_snippet_asks_for_a_gpu_and_is_told(monkeypatch):
    with pytest.raises(errors.DeviceError, match=r'device="cuda" cannot be used.*Use device="cpu"'):
        run(UNCHANGED)
    # without that line it runs
    if rust_is_here():
        names = run(UNCHANGED.replace('device="cuda"', ""))
        assert names["results"].backend == "rust"
        assert names["results"]["understanding_level"] == names["results"].understanding_level
        assert 0 < names["results"]["reconstruction_quality"] <= 1


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
@pytest.mark.parametrize("rust", [None, True, False])
def test_a_gpu_is_refused_when_the_engine_is_made(device, rust):
    for engine in (AutonomousReconstructionEngine, RegionalReconstructionEngine):
        with pytest.raises(errors.DeviceError, match=re.escape(device)) as caught:
            engine(device=device, use_rust_acceleration=rust)
        assert isinstance(caught.value, errors.RustAccelerationError)


def test_automatic_selection(capsys):
    names = run(SELECTION)
    expected = "rust" if rust_is_here() else "python"
    assert names["engine"].backend == expected
    assert capsys.readouterr().out == f"Using backend: {expected}\n"


@pytest.mark.usefixtures("both_backends")
def test_profiling(capsys):
    names = run(PROFILING)
    assert re.fullmatch(r"rust: \d+\.\d\ds\npython: \d+\.\d\ds\n", capsys.readouterr().out)
    assert names["results"].backend == "python"


@pytest.mark.parametrize("disabled", [False, True])
def test_error_handling(capsys, monkeypatch, disabled):
    if disabled:
        monkeypatch.setenv("HELICOPTER_DISABLE_RUST", "1")
    names = run(HANDLING)
    with_rust = rust_is_here() and not disabled
    assert names["results"].backend == ("rust" if with_rust else "python")
    printed = capsys.readouterr().out
    assert (
        printed.startswith("Rust acceleration failed: use_rust_acceleration=True, but") != with_rust
    )


def test_custom_kernels_have_the_name_they_were_announced_by():
    from helicopter.core import CustomReconstructionKernel

    kernel = CustomReconstructionKernel(algorithm="half")
    kernel.register_algorithm(name="half", kernel=lambda context, mask: context * 0 + 0.5)
    try:
        engine = RegionalReconstructionEngine("half")
        mask = np.zeros((96, 128), bool)
        mask[5:9, 5:9] = True
        assert (engine.reconstruct(photograph(), mask).reconstruction[mask] == 128).all()
    finally:
        helicopter.unregister_algorithm("half")


# Versions


def in_toml(path, table, key):
    """The value of a key, by hand: Python 3.10 cannot read TOML."""
    text = path.read_text(encoding="utf-8").split(f"[{table}]\n", 1)[1].split("\n[", 1)[0]
    return re.search(rf'^{key} *= *"([^"]*)"', text, re.MULTILINE).group(1)


def test_there_is_one_version():
    mine = helicopter.__version__
    assert mine == helicopter._version.__version__
    assert in_toml(ROOT / "helicopter-rs" / "Cargo.toml", "package", "version") == mine
    lock = (ROOT / "helicopter-rs" / "Cargo.lock").read_text(encoding="utf-8")
    assert f'name = "helicopter-rs"\nversion = "{mine}"\n' in lock
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"helicopter-rs=={mine}"' in pyproject
    assert version("helicopter-vision") == mine


@pytest.mark.usefixtures("both_backends")
def test_the_accelerator_has_the_same_version():
    import helicopter_rs

    assert helicopter_rs.__version__ == helicopter.__version__
    assert helicopter_rs.build_info()["version"] == helicopter.__version__


# A light import


def modules_after(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


HEAVY = {
    "scipy",
    "matplotlib",
    "PIL",
    "hypothesis",
    "typer",
    "rich",
    "jinja2",
    "tifffile",
    "imagecodecs",
    "skimage",
    "cv2",
    "torch",
}


def test_the_import_is_light():
    assert not modules_after("import helicopter") & (HEAVY | {"numpy", "helicopter_rs"})


def test_the_errors_alone_are_light():
    assert not modules_after("import helicopter.errors") & (HEAVY | {"numpy"})


def test_the_engines_are_light():
    assert not modules_after("import helicopter.core") & HEAVY


@pytest.mark.usefixtures("both_backends")
def test_an_analysis_in_rust_needs_no_scipy():
    code = """
import numpy as np
import helicopter
image = np.zeros((64, 64), np.uint8)
image[20:] = 200
helicopter.analyze(image, patch_size=8, anomalies=False, use_rust_acceleration=True)
helicopter.segment(image, 9, use_rust_acceleration=True)
mask = np.zeros((64, 64), bool)
mask[3:9, 30:40] = True
helicopter.reconstruct(image, mask, use_rust_acceleration=True)
"""
    assert not modules_after(code) & HEAVY


def test_testing_needs_hypothesis_for_its_strategies_only():
    assert "hypothesis" not in modules_after("import helicopter.testing")
    assert "hypothesis" in modules_after("import helicopter.testing.strategies")


def test_every_public_name_is_there():
    for name in helicopter.__all__:
        assert getattr(helicopter, name) is not None
    assert dir(helicopter) == sorted(helicopter.__all__)
    assert dir(helicopter.core) == sorted(helicopter.core.__all__)
    with pytest.raises(AttributeError, match="module 'helicopter' has no attribute 'nothing'"):
        helicopter.nothing  # noqa: B018
    for name in helicopter.core.__all__:
        assert hasattr(helicopter.core, name)


def test_the_short_form_is_the_engine():
    image = photograph()
    analysis = helicopter.analyze(image, patch_size=16, seed=3, target_quality=0.5, open_book=True)
    expected = AutonomousReconstructionEngine(16, seed=3).autonomous_analyze(
        image, target_quality=0.5, open_book=True
    )
    np.testing.assert_array_equal(analysis.autonomous.reconstruction, expected.reconstruction)
    assert analysis.autonomous.stop_reason == expected.stop_reason
    assert analysis.seconds >= analysis.autonomous.seconds


def options_of(*calls):
    """Name and default of each option."""
    found = {}
    for call in calls:
        for parameter in inspect.signature(call).parameters.values():
            if parameter.name not in ("self", "image", "evidence"):
                found.setdefault(parameter.name, parameter.default)
    return found


def test_options_of_short_forms_are_those_of_the_engines():
    engine = AutonomousReconstructionEngine
    for short, *long in (
        (helicopter.analyze, engine, engine.autonomous_analyze, HatataMDPEngine.verify),
        (helicopter.verify, HatataMDPEngine, HatataMDPEngine.verify),
    ):
        options, expected = options_of(short), options_of(*long)
        assert {name: options[name] for name in expected} == expected


def test_a_verdict_in_one_line():
    qualities = [0.9, 0.7, 0.95] * 9
    options = {"required_share": 0.5, "cost_of_look": 0.01, "prior": (2, 1), "max_looks": 20}
    found = helicopter.verify(qualities, 0.85, use_rust_acceleration=False, **options)
    engine = HatataMDPEngine(use_rust_acceleration=False)
    expected = engine.verify(qualities, 0.85, **options)
    assert repr(found) == repr(dataclasses.replace(expected, seconds=found.seconds))


def test_what_no_engine_takes_is_refused():
    with pytest.raises(TypeError, match="patch_sizes"):
        helicopter.analyze(photograph(), patch_sizes=8)
