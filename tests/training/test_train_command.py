"""What ``helicopter train`` refuses before any work; with PyTorch or without."""

import importlib.util
import os
import subprocess
import sys
import types

import numpy as np
import pytest
from training_scenes import photograph

from helicopter.cli._train import TrainOptions, train
from helicopter.errors import DeviceError, InvalidImageError, InvalidOptionError, ModelError
from helicopter.io import write_image
from helicopter.training._defaults import FINE_TUNING_RATE, FINE_TUNING_STEPS, LEARNING_RATE, STEPS


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(2):
        write_image(tmp_path / "photos" / f"{number}.png", photograph(number, 100, 104))
    return tmp_path


@pytest.fixture
def without_gpu(monkeypatch):
    """PyTorch as it is asked before training begins."""
    cuda = types.SimpleNamespace(is_available=lambda: False, device_count=lambda: 0)
    stub = types.SimpleNamespace(cuda=cuda, set_num_threads=lambda n: None)
    monkeypatch.setitem(sys.modules, "torch", stub)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)


def test_without_pytorch_it_says_what_to_install(folder, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install torch"):
        train(TrainOptions(folder / "photos", folder / "w.safetensors"))


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"steps": 0}, InvalidOptionError, "--steps"),
        ({"seed": -1}, InvalidOptionError, "seed: got -1"),
        ({"seed": 2**64}, InvalidOptionError, "seed: got 18446744073709551616"),
        ({"learning_rate": 2.0}, InvalidOptionError, "--learning-rate"),
        ({"device": "tpu"}, InvalidOptionError, "--device"),
        ({"device": "cuda"}, DeviceError, "--device cpu"),
    ],
)
def test_bad_options(folder, without_gpu, options, error, named):
    with pytest.raises(error, match=named):
        train(TrainOptions(folder / "photos", folder / "w.safetensors", **options))


def test_bad_places(folder, without_gpu):
    with pytest.raises(InvalidOptionError, match="does not exist"):
        train(TrainOptions(folder / "photos", folder / "no" / "w.safetensors"))
    weights = folder / "w.safetensors"
    with pytest.raises(InvalidOptionError, match="same file"):
        train(TrainOptions(folder / "photos", weights, checkpoint=weights))
    with pytest.raises(InvalidOptionError, match="folder"):
        train(TrainOptions(folder / "no", folder / "w.safetensors"))


def test_images_that_train_do_not_calibrate(folder, without_gpu):
    photos, others = folder / "photos", folder / "others"
    with pytest.raises(InvalidOptionError, match="2 of its images are among those to train on"):
        train(TrainOptions(photos, folder / "w.safetensors", validation=photos))
    others.mkdir()
    write_image(others / "a.png", photograph(5, 100, 104))
    try:
        (others / "b.png").symlink_to(photos / "1.png")
    except OSError:
        pytest.skip("this user may make no links")
    with pytest.raises(InvalidOptionError, match=r"1 of its images .*b\.png"):
        train(TrainOptions(photos, folder / "w.safetensors", validation=others))


def test_help_tells_the_defaults_and_does_without_pytorch():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "helicopter", "train", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"},
        encoding="utf-8",
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert imported & {"torch", "numpy"} == set()
    for steps, rate in ((STEPS, LEARNING_RATE), (FINE_TUNING_STEPS, FINE_TUNING_RATE)):
        assert str(steps) in done.stdout
        assert f"{rate:g}" in done.stdout


def test_the_remedy_is_the_command_lines(folder, without_gpu):
    for path in (folder / "photos").iterdir():
        path.unlink()
    for name in ("a.tif", "b.tif"):
        dark = photograph(0, 100, 104).astype(np.uint16)
        write_image(folder / "photos" / name, dark)
    with pytest.raises(InvalidImageError, match="--data-range LOW HIGH"):
        train(TrainOptions(folder / "photos", folder / "w.safetensors"))
