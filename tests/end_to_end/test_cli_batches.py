"""Many images at once, and the same folder twice."""

import json
from typing import get_type_hints

import numpy as np
import pytest
from command import SMALL, done, helicopter, refused

from helicopter.cli._analyze import AnalyzeOptions, analyze
from helicopter.cli._noise import NoiseOptions
from helicopter.cli._reconstruct import ReconstructOptions
from helicopter.io import read_image, sample_image, write_image


def run(paths, out):
    return analyze(
        AnalyzeOptions(
            paths, out, patch_size=16, algorithm="harmonic", max_iterations=1, segments="none",
            anomalies=False, no_report=True,
        )
    )  # fmt: skip


@pytest.fixture
def deep(tmp_path):
    path = tmp_path / "deep.tif"
    write_image(path, sample_image()[100:196, 200:328].astype(np.float32) * 20 - 1000)
    return path


@pytest.mark.usefixtures("undrawn")
def test_a_data_range_is_taken_from_the_command_line(tmp_path, deep, mask):
    out = tmp_path / "o"
    line = refused(1, "analyze", deep, "-o", out, *SMALL)
    assert repr(str(deep)) in line
    assert "--data-range LOW HIGH" in line
    given = ["--data-range", -1000, 4100]
    done("analyze", deep, "-o", out, *given, "--patch-size", 16)
    data = json.loads((out / "deep" / "figures.json").read_text(encoding="utf-8"))
    assert data["options"]["data_range"] == [-1000, 4100]
    assert "-1000 to 4100" in (out / "deep" / "report.html").read_text(encoding="utf-8")
    mended = ["reconstruct", deep, "--mask", mask, "-o", tmp_path / "m.tif"]
    line = refused(1, *mended)
    assert repr(str(deep)) in line
    assert "--data-range LOW HIGH" in line
    done(*mended, *given)
    assert "data_range" in refused(2, *mended, "--data-range", 5, 5)


def test_a_mask_of_another_size_is_told_in_widths_and_heights(tmp_path, photo):
    other = tmp_path / "other.png"
    write_image(other, np.zeros((5, 7), np.uint8))
    for command in (
        ["analyze", photo, "-o", tmp_path / "o", *SMALL],
        ["reconstruct", photo, "-o", tmp_path / "o.png"],
    ):
        line = refused(1, *command, "--mask", other)
        for part in ("other.png", "7 x 5 pixels", "photo.png", "128 x 96"):
            assert part in line


@pytest.mark.usefixtures("undrawn")
def test_files_of_an_earlier_run_do_not_stay(tmp_path, photo):
    other, out = tmp_path / "photo.webp", tmp_path / "o"
    write_image(other, sample_image()[:96, :128])
    done("analyze", other, "-o", out, "--patch-size", 16)
    (out / "photo" / "mine.png").touch()
    (out / "photo" / "notes.txt").touch()
    done("analyze", photo, "-o", out, *SMALL)
    names = {path.name for path in (out / "photo").iterdir()}
    assert names == {"reconstruction.png", "figures.json", "mine.png", "notes.txt"}


def test_an_input_in_the_folder_of_the_results_stays(tmp_path, photo):
    (tmp_path / "original").mkdir()
    given = photo.rename(tmp_path / "original" / "original.png")
    before = given.read_bytes()
    done("analyze", given, "-o", tmp_path, *SMALL)
    assert given.read_bytes() == before


def test_jpeg_is_warned_of(tmp_path, photo, mask):
    result = helicopter("reconstruct", photo, "--mask", mask, "-o", tmp_path / "x.jpg")
    assert result.returncode == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("helicopter: warning: ")
    assert "JPEG is lossy" in line
    assert "lossy" in helicopter("reconstruct", "--help").stdout


def test_an_unreadable_file_is_left_to_the_reader():
    for options, name in (
        (AnalyzeOptions, "images"), (ReconstructOptions, "image"), (NoiseOptions, "images"),
    ):  # fmt: skip
        annotation = get_type_hints(options, include_extras=True)[name]
        assert not annotation.__metadata__[0].readable
    for command in ("analyze", "noise"):
        usage = helicopter(command, "--help").stdout
        assert "[[IMAGE" not in usage
        assert "IMAGE...]..." not in usage


def test_a_file_that_may_not_be_read_does_not_stop_the_others(tmp_path, photo, monkeypatch, capsys):
    def denied(path, **limits):
        if path.name == "secret.png":
            raise PermissionError(13, "Permission denied", str(path))
        return read_image(path, **limits)

    monkeypatch.setattr("helicopter.io.read_image", denied)
    assert run([tmp_path / "secret.png", photo], tmp_path / "o") == 1
    assert (tmp_path / "o" / "photo" / "figures.json").exists()
    assert "secret.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    "bad",
    [
        ["--strategy", "foo"], ["--algorithm", "foo"], ["--target-quality", 7],
        ["--initial-known", 0], ["--max-iterations", 0], ["--data-range", 2, 1],
    ],
)  # fmt: skip
def test_a_bad_option_is_reported_once(tmp_path, photo, bad):
    line = refused(2, "analyze", photo, photo, photo, "-o", tmp_path / "o", *bad)
    assert "photo" not in line
    assert not (tmp_path / "o").exists()


def test_control_c_keeps_what_is_done(tmp_path, photo, monkeypatch, capsys):
    second, third = tmp_path / "second.png", tmp_path / "third.png"
    for path in (second, third):
        path.write_bytes(photo.read_bytes())
    write = write_image

    def interrupted(path, *rest, **named):
        if path.parent.name == "second":
            raise KeyboardInterrupt
        write(path, *rest, **named)

    monkeypatch.setattr("helicopter.io.write_image", interrupted)
    out = tmp_path / "o"
    assert run([photo, second, third], out) == 130
    stdout, stderr = capsys.readouterr()
    assert "photo.png" in stdout
    assert stderr == "helicopter: interrupted; 1 of 3 done\n"
    assert {path.name for path in out.iterdir()} == {"photo"}
