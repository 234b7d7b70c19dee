"""Invariant 8: an exception, Ctrl-C, a full disk or a kill leaves the old file or the new one.

The writer itself is tested in `tests/io/test_atomic.py`, the report in `tests/report`, the command
in `tests/end_to_end`. Here: whatever writes, writes that way; and a call cut short harms nothing.
"""

import ast
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from scenes import holes, scene

import helicopter
from helicopter.core import AutonomousReconstructionEngine
from helicopter.io import read_image, write_image
from helicopter.report import write_report

PACKAGE = Path(helicopter.__file__).parent
ROOT = PACKAGE.parent


class Stop(BaseException):
    """Such as Ctrl-C: not an Exception."""


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.fixture(scope="module")
def results():
    images = scene(dtype="uint8"), 255 - scene(dtype="uint8")
    engine = AutonomousReconstructionEngine(8, use_rust_acceleration=False)
    return [(engine.autonomous_analyze(image), image) for image in images]


def writers(results):
    def report(folder, which):
        write_report(*results[which], folder / "report", name="same")

    def picture(suffix):
        return lambda folder, which: write_image(folder / f"a{suffix}", results[which][1])

    return {"report": report, **{s: picture(s) for s in (".png", ".jpg", ".tif", ".webp")}}


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("report", "pathlib.Path.replace"),  # before its rename: tests/report/test_report.py
        *((s, "os.fsync") for s in (".png", ".jpg", ".tif", ".webp")),
        *((s, "pathlib.Path.replace") for s in (".png", ".jpg", ".tif", ".webp")),
    ],
)
@pytest.mark.usefixtures("undrawn")
def test_a_writer_that_is_stopped_leaves_every_old_file(tmp_path, monkeypatch, results, kind, step):
    write = writers(results)[kind]
    write(tmp_path, 0)
    before = contents(tmp_path)
    assert before

    def stop(*arguments, **options):
        raise Stop

    with monkeypatch.context() as patched:
        patched.setattr(step, stop)
        with pytest.raises(Stop):
            write(tmp_path, 1)
    assert contents(tmp_path) == before
    write(tmp_path, 1)
    assert contents(tmp_path).keys() == before.keys()
    assert contents(tmp_path) != before


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_a_killed_process_leaves_the_old_image_or_the_new_one(tmp_path, suffix):
    path = tmp_path / f"image{suffix}"
    script = textwrap.dedent(
        """
        import sys
        import numpy as np
        from helicopter.io import write_image
        print("ready", flush=True)
        for value in range(10_000):
            write_image(sys.argv[1], np.full((300, 300, 3), value % 256, np.uint8))
        """
    )
    write_image(path, np.full((300, 300, 3), 7, np.uint8))
    for delay in (0.0, 0.03, 0.1):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(ROOT)},
        ) as process:
            assert process.stdout.readline() == "ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(delay)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        pixels = read_image(path).pixels
        assert pixels.shape == (300, 300, 3)
        assert len(np.unique(pixels)) == 1


def test_everything_that_writes_files_writes_them_whole():
    """No module but the atomic writer opens a file for writing, or writes one in one go."""
    direct = {"write_text", "write_bytes", "save", "savefig", "imwrite", "tofile", "savez", "dump"}
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("open", "fdopen"):
                modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
                modes += [k.value.value for k in node.keywords if k.arg == "mode"]
                if any(isinstance(mode, str) and set(mode) & set("wax+") for mode in modes):
                    found.add((path.relative_to(PACKAGE).as_posix(), name))
            elif name in direct:
                # into a file that is already open, or into memory
                targets = {argument.id for argument in node.args if isinstance(argument, ast.Name)}
                if not targets & {"file", "buffer", "stream"}:
                    found.add((path.relative_to(PACKAGE).as_posix(), name))
    assert found == {("io/_staging.py", "open"), ("io/_temporary.py", "open")}


def test_a_call_that_is_stopped_harms_neither_its_arguments_nor_the_next(autonomous, regional):
    image, mask = scene(), holes()
    copies = image.copy(), mask.copy()
    engine = autonomous(8)
    expected = engine.autonomous_analyze(image, mask=mask)

    def stop(done, total):
        if done > 4:
            raise Stop

    for options in ({}, {"open_book": True}, {"mask": mask}):
        with pytest.raises(Stop):
            engine.autonomous_analyze(image, progress=stop, **options)
    calls = []

    def stop_later(done, total):
        calls.append(done)
        if len(calls) == 2:
            raise Stop

    with pytest.raises(Stop):
        regional().test_understanding(image, difficulties=[0.5], progress=stop_later)
    with pytest.raises(Stop):
        regional().reconstruct(image, mask, progress=lambda done, total: stop(9, 9))
    np.testing.assert_array_equal(image, copies[0])
    np.testing.assert_array_equal(mask, copies[1])
    again = engine.autonomous_analyze(image, mask=mask)
    np.testing.assert_array_equal(again.reconstruction, expected.reconstruction)
