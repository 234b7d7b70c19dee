"""No output over an input, no two outputs in one file, under whatever names."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import SMALL, done, environment, helicopter, refused

from helicopter.cli import _distinct, _images
from helicopter.cli._analyze import AnalyzeOptions, analyze
from helicopter.cli._distinct import Output, check_distinct
from helicopter.cli._noise import NoiseOptions, noise
from helicopter.cli._reconstruct import ReconstructOptions, reconstruct
from helicopter.cli._verify import VerifyOptions, verify
from helicopter.errors import InvalidOptionError
from helicopter.io import atomic_open, sample_image, write_image


def test_a_report_does_not_shrink_the_picture_it_is_about(tmp_path):
    folder = tmp_path / "r7" / "original"
    folder.mkdir(parents=True)
    write_image(folder / "original.png", sample_image()[:64, :64])
    before = (folder / "original.png").read_bytes()
    for command in (["verify"], ["analyze"]):
        line = refused(2, *command, folder / "original.png", "-o", tmp_path / "r7")
        assert "one of the inputs" in line
        assert "choose another folder with -o" in line
    assert [path.name for path in folder.iterdir()] == ["original.png"]
    assert (folder / "original.png").read_bytes() == before


@pytest.mark.parametrize("command", ["analyze", "verify"])
def test_a_picture_of_the_users_own_is_not_taken_for_an_old_result(tmp_path, photo, command):
    own = tmp_path / "photo" / "overview.png"
    own.parent.mkdir()
    own.write_bytes(b"the user's own")
    line = refused(2, command, photo, "-o", tmp_path)
    assert "overview.png" in line
    assert "may be yours" in line
    assert own.read_bytes() == b"the user's own"


def aliases(folder, file):
    """Other names of a file."""
    (folder / "link.png").symlink_to(file)
    (folder / "hard.png").hardlink_to(file)
    (folder / "folder").symlink_to(folder)
    yield folder / "link.png"
    yield folder / "hard.png"
    yield folder / "folder" / file.name
    yield folder / "folder" / ".." / folder.name / file.name
    yield os.path.relpath(folder / file.name)


def test_other_names_of_an_input_are_refused_by_every_command(tmp_path, photo, mask):
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"x")
    before = photo.read_bytes()
    for name in aliases(tmp_path, photo):
        for command in (
            ["reconstruct", photo, "--mask", mask, "-o", name],
            ["reconstruct", photo, "--mask", mask, "-o", tmp_path / "o.png",
             "--uncertainty", name],
            ["noise", photo, "--map", name],
            ["anomalies", photo, "--map", name],
            ["anomalies", photo, "--figure", name],
        ):  # fmt: skip
            line = refused(2, *command)
            assert "one of the inputs" in line
            assert "photo.png" in line
            assert "choose another name" in line
    assert photo.read_bytes() == before


def test_two_outputs_in_one_file_are_refused(tmp_path, photo, mask):
    (tmp_path / "dangling.png").symlink_to(tmp_path / "o.png")
    (tmp_path / "here").symlink_to(tmp_path)
    for other in (tmp_path / "dangling.png", tmp_path / "here" / "o.png"):
        options = ["reconstruct", photo, "--mask", mask, "-o", tmp_path / "o.png"]
        line = refused(2, *options, "--uncertainty", other)
        assert "same file" in line
        assert "--output" in line
        assert "--uncertainty" in line
    assert not (tmp_path / "o.png").exists()


def test_folders_of_results_that_are_one_are_refused(tmp_path, photo):
    other = tmp_path / "other.png"
    other.write_bytes(photo.read_bytes())
    out = tmp_path / "o"
    (out / "photo").mkdir(parents=True)
    (out / "other").symlink_to(out / "photo")
    assert "same file" in refused(2, "analyze", photo, other, "-o", out, *SMALL)


def test_capitals_count_where_the_file_system_tells_them(tmp_path, monkeypatch):
    outputs = [Output(tmp_path / "a.png", "--map"), Output(tmp_path / "A.PNG", "--figure")]
    check_distinct([], outputs)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(_distinct, "_tells_case", lambda *_: False)
    with pytest.raises(InvalidOptionError, match="same file"):
        check_distinct([], outputs)


def test_what_is_printed_does_not_go_into_a_result(tmp_path, photo):
    target = tmp_path / "map.tif"
    with target.open("wb") as file:
        result = subprocess.run(
            [sys.executable, "-m", "helicopter", "noise", photo, "--json", "--map", target],
            stdout=file, stderr=subprocess.PIPE, text=True, env=environment(), check=False,
        )  # fmt: skip
    assert result.returncode == 2
    assert "what is printed" in result.stderr


def test_names_that_no_file_can_have(tmp_path, photo, mask):
    for name in ("a\0.png", "a\ud800.png"):
        result = helicopter("noise", photo, "--map", name)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
        for run, options in (
            (noise, NoiseOptions([photo], map_file=Path(name))),
            (reconstruct, ReconstructOptions(photo, Path(name), mask)),
            (analyze, AnalyzeOptions([photo], Path(name))),
            (verify, VerifyOptions([photo], output=Path(name))),
        ):
            with pytest.raises(InvalidOptionError, match="can have that name"):
                run(options)
        with pytest.raises(InvalidOptionError, match="no file can have that name"):
            write_image(tmp_path / name, sample_image())
    for path in (None, 3, b"bytes", ""):
        with pytest.raises(InvalidOptionError, match="path"), atomic_open(path):
            pass
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with pytest.raises(InvalidOptionError, match="circle"):
        write_image(tmp_path / "loop.png", sample_image())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_in_good_order(tmp_path, photo, number):
    # while a figure is drawn, which is where Ctrl-C became another error
    code = (
        "import time; from matplotlib.figure import Figure;"
        "Figure.savefig = lambda *a, **o: (print('drawing', flush=True), time.sleep(60));"
        "from helicopter.cli import main; main()"
    )
    (tmp_path / "map.png").write_bytes(b"old")
    process = subprocess.Popen(
        [sys.executable, "-c", code, "noise", photo, "--map", tmp_path / "map.png"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stdout.readline() == "drawing\n"
    process.send_signal(number)
    began = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < 5
    assert process.returncode == 128 + number
    assert said == "helicopter: interrupted; 0 of 1 done\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.png", "photo.png"]
    assert (tmp_path / "map.png").read_bytes() == b"old"


def test_ignored_signals_stay_ignored(tmp_path, photo):
    # as under nohup
    result = subprocess.run(
        [sys.executable, "-c",
         "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
         "from helicopter.cli import _signals;"
         "stack = _signals.orderly_end(); stack.__enter__();"
         "os.kill(os.getpid(), signal.SIGHUP); print('alive', _signals.ended())"],
        capture_output=True, text=True, env=environment(), check=True,
    )  # fmt: skip
    assert result.stdout == "alive False\n"


def test_an_interrupt_that_a_library_made_another_error_of(tmp_path, photo, monkeypatch, capsys):
    monkeypatch.setattr(_images, "ended", lambda: True)

    def garbled(*_arguments, **_options):
        raise ValueError("incompatible function arguments")

    monkeypatch.setattr("helicopter.core.ZengezaNoiseDetector.analyze", garbled)
    assert noise(NoiseOptions([photo, photo])) == 130
    assert capsys.readouterr().err == "helicopter: interrupted; 0 of 2 done\n"


def test_a_killed_run_is_cleared_up_by_the_next(tmp_path, photo):
    left = tmp_path / ".helicopter-0123456789abcdef.tmp"
    left.write_bytes(b"half")
    own = tmp_path / ".helicopter-notes.tmp"
    own.write_bytes(b"mine")
    done("noise", photo, "--map", tmp_path / "m.tif")
    assert not left.exists()
    assert own.exists()
