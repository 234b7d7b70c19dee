"""The weights of the noise engine: sound ones are used, whatever else is a ModelError."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save
from scenes import noisy_scene

from helicopter.backends.loader import accelerator
from helicopter.core import ZengezaNoiseDetector
from helicopter.errors import InvalidImageError, ModelError
from helicopter.models import _noise as noise
from helicopter.models._noise import FORMAT, SHIPPED, SHIPPED_DIGEST, noise_model

FOLDER = Path(noise.__file__).parent
METADATA = {"format": FORMAT}


def shipped():
    return (FOLDER / SHIPPED).read_bytes()


def test_the_shipped_weights_are_small_and_those_that_are_expected():
    data = shipped()
    assert len(data) < 2**20
    stated = (FOLDER / SHIPPED_DIGEST).read_text(encoding="ascii").split()[0]
    assert stated == hashlib.sha256(data).hexdigest()
    for channels, heads in ((1, 8), (3, 11)):
        model = noise_model(channels)
        assert noise_model(channels) is model
        assert all(value.dtype == np.float32 for value in model.tensors.values())
        assert all(value.ndim == 2 for value in model.tensors.values())
        assert all(np.isfinite(value).all() for value in model.tensors.values())
        assert model.blocks.layers[0][0].shape[1] == 7 * channels + 3
        assert model.level.direct.shape[0] == heads
        assert model.kinds.direct.shape[0] == 13
        assert len(model.level.centre) < len(model.kinds.centre)
        for network in (model.level, model.kinds):
            assert (network.spread > 0).all()
            assert network.direct.shape[1] == len(network.centre) == len(network.spread)
        assert all(shrink > 0 for shrink in model.map_shrink)
    assert noise_model(1) is not noise_model(3)


def test_nothing_of_the_file_is_left_over():
    names = set(load(shipped()))
    for prefix, channels in (("grey.", 1), ("colour.", 3)):
        assert {prefix + name for name in noise_model(channels).tensors} <= names
        names -= {prefix + name for name in noise_model(channels).tensors}
    assert not names


def test_a_model_is_prepared_once(backend):
    if backend == "python":
        pytest.skip("there is nothing to prepare")
    from helicopter.backends.rust import _noise_detector

    assert _noise_detector(3) is _noise_detector(3)


# Damaged ones


def with_digest(folder, data):
    (folder / SHIPPED).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    (folder / SHIPPED_DIGEST).write_text(f"{digest}  {SHIPPED}\n", encoding="ascii")


def without(name):
    tensors = load(shipped())
    del tensors[name]
    return save(tensors, metadata=METADATA)


def flipped(at):
    data = bytearray(shipped())
    data[at] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / SHIPPED).unlink(), "No such file"),
        (lambda folder: (folder / SHIPPED_DIGEST).unlink(), "No such file"),
        (lambda folder: (folder / SHIPPED_DIGEST).write_text(""), "list index"),
        (lambda folder: (folder / SHIPPED).write_bytes(b""), "SHA-256"),
        (lambda folder: (folder / SHIPPED).write_bytes(flipped(-1)), "SHA-256"),
        (lambda folder: (folder / SHIPPED).write_bytes(flipped(12)), "SHA-256"),
        (lambda folder: (folder / SHIPPED).write_bytes(shipped()[:-1]), "SHA-256"),
        # sound as far as the digest goes
        (lambda folder: with_digest(folder, b""), "damaged"),
        (lambda folder: with_digest(folder, b"\x89PNG" + bytes(64)), "damaged"),
        (lambda folder: with_digest(folder, save({}, metadata=METADATA)), "damaged"),
        (lambda folder: with_digest(folder, save(load(shipped()))), "__metadata__"),
        (
            lambda folder: with_digest(folder, save(load(shipped()), metadata={"format": "x"})),
            "its format is another",
        ),
        (lambda folder: with_digest(folder, without("grey.map_shrink")), "map_shrink"),
        (lambda folder: with_digest(folder, without("colour.kinds.direct")), r"kinds\.direct"),
        (lambda folder: with_digest(folder, without("grey.level.layer2.bias")), r"layer2\.bias"),
    ],
    ids=range(15),
)
def test_a_package_whose_weights_were_lost_or_swapped(tmp_path, monkeypatch, backend, spoil, words):
    for name in (SHIPPED, SHIPPED_DIGEST):
        shutil.copy(FOLDER / name, tmp_path)
    spoil(tmp_path)
    monkeypatch.setattr(noise, "__file__", str(tmp_path / "noise.py"))
    prepared = noise._models
    prepared.cache_clear()
    if backend == "rust":
        from helicopter.backends.rust import _noise_detector

        _noise_detector.cache_clear()
    try:
        with pytest.raises(ModelError, match=rf"(?s){words}.*install helicopter again\."):
            ZengezaNoiseDetector(use_rust_acceleration=backend == "rust").analyze(
                noisy_scene(32, 32)
            )
        with pytest.raises(ModelError, match="missing or damaged"):
            noise_model(3)
    finally:
        prepared.cache_clear()


def test_weights_are_read_when_they_are_needed():
    code = (
        "import sys, numpy as n, helicopter as h; assert 'safetensors' not in sys.modules\n"
        "detector = h.core.ZengezaNoiseDetector(use_rust_acceleration=False)\n"
        "assert 'safetensors' not in sys.modules\n"
        "detector.level(n.eye(9)); assert 'safetensors' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# What Rust takes


@pytest.fixture
def rust(both_backends):
    return accelerator()


@pytest.mark.parametrize("channels", [1, 3])
def test_rust_says_what_is_wrong_with_tensors(rust, channels):
    tensors = noise_model(channels).tensors
    rust.NoiseModel(tensors)
    for name in tensors:
        with pytest.raises(ModelError, match=rf"NoiseModel: .*{name.rsplit('.', 1)[0]}"):
            rust.NoiseModel({key: value for key, value in tensors.items() if key != name})
    for name, value, words in (
        ("blocks.layer1.weight", np.zeros((20, 11), np.float32), "not 11"),
        ("map_shrink", np.zeros((1, 3), np.float32), "map_shrink"),
        ("level.spread", np.ones((1, 5), np.float32), "the shapes of level"),
        ("kinds.layer1.bias", np.ones((1, 5), np.float32), r"kinds\.layer1"),
        ("kinds.layer1.bias", np.ones((0, 0), np.float32), r"kinds\.layer1\.bias"),
    ):
        with pytest.raises(ModelError, match=words):
            rust.NoiseModel({**tensors, name: value})
    for value in (np.zeros(2, np.float32), np.zeros((1, 2)), [[1.0, 2.0]], None):
        with pytest.raises(ValueError, match="tensors must be a dict of names to float32 arrays"):
            rust.NoiseModel({**tensors, "map_shrink": value})


def test_rust_takes_images_of_its_models_channels_only(rust):
    for channels, other in ((1, 3), (3, 1)):
        detector = rust.ZengezaNoiseDetector(rust.NoiseModel(noise_model(channels).tensors))
        image, included = np.zeros((16, 16, other), np.float32), np.ones((16, 16), bool)
        for call in (detector.level, detector.analyze, detector.measurements):
            with pytest.raises(InvalidImageError, match=f"of {channels} channels"):
                call(image, included, 0.0)
            with pytest.raises(ValueError, match="16"):
                call(np.zeros((16, 16, channels), np.float32), included[:9], 0.0)
        labels = np.zeros((16, 16), np.int32)
        same = np.zeros((16, 16, channels), np.float32)
        for wrong in (labels[:9], labels.astype(np.int64), labels[:, :, None]):
            with pytest.raises(ValueError, match=r"segments|16"):
                detector.analyze(same, included, 0.0, wrong)


def test_the_format_is_stated():
    data = shipped()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header["__metadata__"]["format"] == FORMAT
