"""``helicopter noise``: its table, its JSON, its map, and what it refuses."""

import json

import numpy as np
import pytest
from command import BACKENDS, done, helicopter, refused
from scenes import noisy_scene

from helicopter._version import __version__
from helicopter.cli._noise import NoiseOptions, noise
from helicopter.io import read_image, write_image


@pytest.fixture
def noisy(tmp_path):
    path = tmp_path / "noisy.png"
    write_image(path, noisy_scene(128, 160, 3, sigma=10.0))
    return path


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_table_of_the_noise(noisy, backend):
    text = done("noise", noisy, "--backend", backend)
    head, row = (line for line in text.splitlines() if line.strip())
    for part in ("image", "sigma", "90 % interval", "SNR", "level", "kinds", "backend", "time"):
        assert part in head
    for part in ("noisy.png", " to ", " dB", "moderate", "gaussian (sigma", backend, " s"):
        assert part in row
    assert float(row.split()[1]) == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_json_is_all_there_is_on_stdout(noisy, backend):
    data = json.loads(done("noise", noisy, "--json", "--backend", backend, "--threads", 1))
    assert data["version"] == __version__
    assert data["errors"] == []
    (entry,) = data["images"]
    assert entry["image"] == str(noisy)
    assert entry["shape"] == [128, 160, 3]
    assert entry["dtype"] == "uint8"
    assert entry["map"] is None
    found = entry["noise"]
    assert found["backend"] == backend
    assert found["sigma"] == pytest.approx(10, rel=0.1)
    assert found["kinds"] == ["gaussian"]
    assert found["sigma_map"] == {"shape": [128, 160], "dtype": "float32"}
    assert found["parameters"]["gaussian"]["sigma"] == found["sigma"]
    assert [scale["scale"] for scale in found["scales"]] == [1, 2, 4, 8]
    assert found["segments"] == []


def test_a_grid_of_segments(noisy):
    text = done("noise", noisy, "--segments", 2)
    assert "by segment" in text
    for part in ("rows", "columns", "priority", "action", "64-127", "80-159", "denoise"):
        assert part in text
    (entry,) = json.loads(done("noise", noisy, "--segments", 2, "--json"))["images"]
    parts = entry["noise"]["segments"]
    assert [part["label"] for part in parts] == [0, 1, 2, 3]
    assert parts[3]["bounding_box"] == [64, 80, 128, 160]


def test_a_map_as_numbers_and_as_a_picture(tmp_path, noisy):
    numbers, picture = tmp_path / "m.tif", tmp_path / "m.png"
    text = done("noise", noisy, "--map", numbers)
    assert text.splitlines()[-1] == str(numbers)
    values = read_image(numbers).pixels
    assert values.dtype == np.float32
    assert values.shape == (128, 160)
    assert np.median(values) == pytest.approx(10, rel=0.25)
    data = json.loads(done("noise", noisy, "--map", picture, "--json"))
    assert data["images"][0]["map"] == str(picture)
    assert read_image(picture).pixels.shape[0] > 300  # with its colour bar


def test_one_bad_image_does_not_stop_the_others(tmp_path, noisy):
    result = helicopter("noise", tmp_path / "gone.png", noisy)
    assert result.returncode == 1
    assert "noisy.png" in result.stdout
    (line,) = result.stderr.splitlines()
    assert "gone.png" in line
    assert "no such file" in line
    result = helicopter("noise", tmp_path / "gone.png", noisy, "--json")
    assert result.returncode == 1
    data = json.loads(result.stdout)
    assert [entry["image"] for entry in data["images"]] == [str(noisy)]
    assert data["errors"][0]["image"] == str(tmp_path / "gone.png")


def test_a_mask_leaves_pixels_out(tmp_path, noisy):
    pixels = read_image(noisy).pixels.copy()
    hidden = np.zeros((128, 160), np.uint8)
    hidden[:, 100:] = 255
    pixels[hidden > 0] = np.random.default_rng(0).integers(0, 256, ((hidden > 0).sum(), 3))
    write_image(tmp_path / "half.png", pixels)
    write_image(tmp_path / "mask.png", hidden)
    options = ["--mask", tmp_path / "mask.png", "--json"]
    (entry,) = json.loads(done("noise", tmp_path / "half.png", *options))["images"]
    assert entry["noise"]["sigma"] == pytest.approx(10, rel=0.15)
    write_image(tmp_path / "other.png", np.zeros((5, 7), np.uint8))
    line = refused(1, "noise", noisy, "--mask", tmp_path / "other.png")
    for part in ("other.png", "7 x 5 pixels", "noisy.png", "160 x 128"):
        assert part in line


def test_a_data_range_is_taken_from_the_command_line(tmp_path):
    deep = tmp_path / "deep.tif"
    write_image(deep, noisy_scene(96, 96, sigma=10.0).astype(np.float32) * 20 - 1000)
    line = refused(1, "noise", deep)
    assert repr(str(deep)) in line
    assert "--data-range LOW HIGH" in line
    text = done("noise", deep, "--data-range", -1000, 4100, "--json")
    found = json.loads(text)["images"][0]["noise"]
    assert found["sigma"] == pytest.approx(200, rel=0.1)
    assert found["data_range"] == [-1000, 4100]
    assert found["level"] == "moderate"


def test_what_is_refused_is_said_once_and_before_any_work(tmp_path, noisy):
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for options, text in (
        (["--segments", "0"], "segments"),
        (["--data-range", 2, 1], "data_range"),
        (["--map", tmp_path / "m.jpg"], "--map"),
        (["--map", tmp_path / "no" / "m.tif"], "exist"),
        (["--map", noisy], "one of the inputs"),
        (["--device", "gpu"], "device"),
    ):
        assert text in refused(2, "noise", noisy, *options)
    assert "one image" in refused(2, "noise", noisy, noisy, "--map", tmp_path / "m.png")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    for arguments in (["noise"], ["noise", noisy, "--segments", "many"]):
        result = helicopter(*arguments)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
    line = refused(2, "noise", noisy, "--segments", 1000)
    assert "noisy.png" in line
    assert "grid of 1000 x 1000" in line


def test_control_c_keeps_what_is_done(tmp_path, noisy, monkeypatch, capsys):
    second = tmp_path / "second.png"
    second.write_bytes(noisy.read_bytes())

    def interrupted(path, **limits):
        if path == second:
            raise KeyboardInterrupt
        return read_image(path, **limits)

    monkeypatch.setattr("helicopter.io.read_image", interrupted)
    assert noise(NoiseOptions([noisy, second, noisy])) == 130
    stdout, stderr = capsys.readouterr()
    assert "noisy.png" in stdout
    assert stderr == "helicopter: interrupted; 1 of 3 done\n"


def test_odd_file_names_are_harmless(noisy):
    odd = noisy.rename(noisy.parent / "[red]\x1b[31m.png")
    text = done("noise", odd)
    assert "[red]\\x1b[31m.png" in text
