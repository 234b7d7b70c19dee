"""``helicopter anomalies``: its table, its JSON, its map and figure, and what it refuses."""

import json

import numpy as np
import pytest
from command import BACKENDS, done, helicopter, refused
from scenes import cloth, spoilt_cloth

from helicopter._version import __version__
from helicopter.cli._anomalies import AnomaliesOptions, anomalies
from helicopter.io import read_image, write_image

QUICK = ["--algorithm", "harmonic"]


@pytest.fixture
def spoilt(tmp_path):
    path = tmp_path / "spoilt.png"
    write_image(path, spoilt_cloth(96, 128, 3)[0])
    return path


@pytest.fixture
def sound(tmp_path):
    path = tmp_path / "sound.png"
    write_image(path, np.clip(np.rint(cloth(96, 128, 3)), 0, 255).astype(np.uint8))
    return path


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_table_of_the_regions(spoilt, backend):
    title, head, row = done("anomalies", spoilt, "--backend", backend).splitlines()
    for part in ("spoilt.png", "1 region at level 0.1", "places tested", backend, " s"):
        assert part in title
    for part in ("rows", "columns", "pixels", "score", "probability", "q-value", "deviation"):
        assert part in head
    cells = row.split()
    assert cells[0] == "1"
    top, bottom = map(int, cells[1].split("-"))
    left, right = map(int, cells[2].split("-"))
    assert top <= 48 <= bottom
    assert left <= 64 <= right
    assert float(cells[5]) > 0.9
    assert float(cells[7]) < -20


def test_an_image_without_anomalies_is_no_failure(sound):
    (line,) = done("anomalies", sound, *QUICK).splitlines()
    assert "sound.png" in line
    assert "nothing declared at level 0.1" in line


@pytest.mark.parametrize("backend", BACKENDS)
def test_json_is_all_there_is_on_stdout(spoilt, backend):
    data = json.loads(done("anomalies", spoilt, *QUICK, "--json", "--backend", backend))
    assert data["version"] == __version__
    assert data["errors"] == []
    (entry,) = data["images"]
    assert entry["image"] == str(spoilt)
    assert entry["shape"] == [96, 128, 3]
    assert entry["map"] is entry["figure"] is None
    found = entry["anomalies"]
    assert found["backend"] == backend
    assert found["algorithm"] == "harmonic"
    assert found["level"] == 0.1
    assert found["anomaly_map"] == {"shape": [96, 128], "dtype": "float32"}
    (region,) = found["regions"]
    assert region["label"] == 1
    assert region["bounding_box"][0] <= 48 < region["bounding_box"][2]


def test_a_map_and_a_figure(tmp_path, spoilt):
    numbers, picture, figure = (tmp_path / name for name in ("m.tif", "m.png", "marked.png"))
    text = done("anomalies", spoilt, *QUICK, "--map", numbers, "-o", figure)
    assert text.splitlines()[-2:] == [str(numbers), str(figure)]
    values = read_image(numbers).pixels
    assert values.dtype == np.float32
    assert values.shape == (96, 128)
    assert values[48, 64] > 1.5 > np.percentile(values, 90)
    drawn = read_image(figure).pixels[:, :, :3].astype(int)
    outline = (drawn[:, :, 0] > 220) & (drawn[:, :, 1] > 170) & (drawn[:, :, 2] < 90)
    assert outline.sum() > 50  # the stain is marked in yellow
    entry = json.loads(done("anomalies", spoilt, *QUICK, "--map", picture, "--json"))["images"][0]
    assert entry["map"] == str(picture)
    assert read_image(picture).pixels.shape[0] > 300  # with its colour bar


def test_level_segments_and_mask(tmp_path, spoilt):
    def regions(*options):
        text = done("anomalies", spoilt, *QUICK, "--json", *options)
        return json.loads(text)["images"][0]["anomalies"]["regions"]

    assert len(regions("--level", 0.999)) > 1
    hidden = np.zeros((96, 128), np.uint8)
    hidden[30:66, 45:83] = 255
    write_image(tmp_path / "mask.png", hidden)
    assert regions("--mask", tmp_path / "mask.png") == []
    write_image(tmp_path / "other.png", np.zeros((5, 7), np.uint8))
    line = refused(1, "anomalies", spoilt, *QUICK, "--mask", tmp_path / "other.png")
    for part in ("other.png", "7 x 5 pixels", "spoilt.png", "128 x 96"):
        assert part in line
    (region,) = regions("--segments", 60)
    assert 50 < region["area"] < 1500


def test_one_bad_image_does_not_stop_the_others(tmp_path, spoilt):
    result = helicopter("anomalies", tmp_path / "gone.png", spoilt, *QUICK)
    assert result.returncode == 1
    assert "spoilt.png" in result.stdout
    (line,) = result.stderr.splitlines()
    assert "gone.png" in line
    assert "no such file" in line


def test_what_is_refused_is_said_once_and_before_any_work(tmp_path, spoilt):
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for options, text in (
        (["--level", "0"], "level"),
        (["--level", "1.5"], "level"),
        (["--segments", "0"], "segments"),
        (["--algorithm", "cubic"], "algorithm"),
        (["--data-range", 2, 1], "data_range"),
        (["--map", tmp_path / "m.jpg"], "--map"),
        (["--figure", tmp_path / "m.tif"], "use .png"),
        (["--map", tmp_path / "no" / "m.tif"], "exist"),
        (["--map", spoilt], "one of the inputs"),
        (["-o", spoilt], "one of the inputs"),
        (["-o", tmp_path / "m.png", "--map", tmp_path / "m.png"], "choose another name"),
        (["--device", "gpu"], "device"),
    ):
        assert text in refused(2, "anomalies", spoilt, *options)
    for option in ("--map", "--figure"):
        line = refused(2, "anomalies", spoilt, spoilt, option, tmp_path / "m.png")
        assert f"{option[2:]} of one image" in line
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    result = helicopter("anomalies")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_control_c_keeps_what_is_done(tmp_path, spoilt, monkeypatch, capsys):
    second = tmp_path / "second.png"
    second.write_bytes(spoilt.read_bytes())

    def interrupted(path, **limits):
        if path == second:
            raise KeyboardInterrupt
        return read_image(path, **limits)

    monkeypatch.setattr("helicopter.io.read_image", interrupted)
    assert anomalies(AnomaliesOptions([spoilt, second, spoilt], algorithm="harmonic")) == 130
    stdout, stderr = capsys.readouterr()
    assert "spoilt.png" in stdout
    assert stderr == "helicopter: interrupted; 1 of 3 done\n"


def test_odd_file_names_are_harmless(spoilt):
    odd = spoilt.rename(spoilt.parent / "[red]\x1b[31m.png")
    assert "[red]\\x1b[31m.png" in done("anomalies", odd, *QUICK)
