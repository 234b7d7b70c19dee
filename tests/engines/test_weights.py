"""Weights files: what is sound is used, whatever else is a ModelError that says why."""

import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import SMALL, file_of, random_tensors, write
from scenes import holes, photograph

import helicopter
from helicopter.core import AutonomousReconstructionEngine, RegionalReconstructionEngine
from helicopter.core.prediction._error_law import CalibratedLaw
from helicopter.errors import InvalidOptionError, ModelError
from helicopter.models import _network as network
from helicopter.models import load_network
from helicopter.models._network import Architecture

IMAGE, MASK = photograph(48, 56), holes()


class Place:
    """A path-like that answers what it is told to, or raises it."""

    def __init__(self, answer):
        self.answer = answer

    def __fspath__(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_the_shipped_weights_are_small_and_those_that_are_expected():
    weights = load_network()
    assert load_network() is weights
    assert len(weights.data) <= 8_000_000
    folder = Path(network.__file__).parent
    assert (folder / "network.safetensors").read_bytes() == weights.data
    stated = (folder / "network.sha256").read_text().split()[0]
    assert stated == hashlib.sha256(weights.data).hexdigest()
    assert weights.sha256 in (folder / "NETWORK.md").read_text(encoding="utf-8")  # its card
    assert all(value.dtype == np.float32 for value in weights.tensors.values())
    assert "sha256=" in repr(weights)
    assert len(repr(weights)) < 300


@pytest.mark.parametrize(
    "architecture",
    [
        SMALL,
        Architecture((5,), (1,), (), 3),
        Architecture((4, 6), (0, 2), (0,), 1),
        Architecture((4, 5, 6, 7, 8), (1, 0, 2, 1, 1), (1, 2, 0, 1), 2),
    ],
)
def test_any_architecture_is_read_from_the_shapes(tmp_path, architecture):
    tensors = random_tensors(architecture)
    weights = load_network(write(tmp_path / "own.safetensors", tensors))
    assert weights.architecture == architecture
    np.testing.assert_array_equal(
        weights.tensors["enter.weight"], tensors["enter.weight"].astype(np.float32)
    )
    np.testing.assert_array_equal(weights.calibration.log_reach, tensors["calibration.log_reach"])
    assert weights.source.endswith("own.safetensors")


def test_two_loads_of_one_file_are_equal_and_prepared_once(tmp_path, backend):
    if backend == "rust":
        from helicopter.backends.rust import as_rust

        def prepared(weights):
            return as_rust(weights, None)

    else:
        from helicopter.backends.reference.algorithms.network import _layers as prepared
    path = write(tmp_path / "own.safetensors")
    one, two = load_network(path), load_network(Place(str(path)))
    assert one is not two
    assert one == two
    assert hash(one) == hash(two)
    assert prepared(one) is prepared(two)
    assert one != load_network()
    assert one != one.sha256


@pytest.mark.parametrize("name", ["mean.bias", "calibration.log_reach", "calibration.patches"])
def test_what_differs_anywhere_is_not_equal(tmp_path, name):
    tensors = random_tensors()
    one = load_network(write(tmp_path / "one.safetensors", tensors))
    tensors[name] = tensors[name] + tensors[name].dtype.type(0.01)
    assert load_network(write(tmp_path / "other.safetensors", tensors)) != one


def test_an_own_network_predicts_in_every_engine(autonomous, regional, tmp_path):
    path = write(tmp_path / "own.safetensors")
    own = regional(weights=path).reconstruct(IMAGE, MASK)
    assert own.algorithm == "network"
    shipped = regional().reconstruct(IMAGE, MASK)
    assert (own.reconstruction[MASK] != shipped.reconstruction[MASK]).any()
    expected = RegionalReconstructionEngine(
        use_rust_acceleration=False, weights=str(path)
    ).reconstruct(IMAGE, MASK)
    np.testing.assert_allclose(own.uncertainty_map, expected.uncertainty_map, rtol=1e-3)
    analysis = autonomous(8, weights=path).autonomous_analyze(IMAGE)
    other = autonomous(8).autonomous_analyze(IMAGE)
    hidden = analysis.hidden_mask
    assert (analysis.reconstruction[hidden] != other.reconstruction[hidden]).any()


def test_the_short_forms_take_weights(tmp_path):
    path = write(tmp_path / "own.safetensors")
    options = {"use_rust_acceleration": False}
    one = helicopter.reconstruct(IMAGE, MASK, weights=path, **options)
    two = RegionalReconstructionEngine(weights=path, **options).reconstruct(IMAGE, MASK)
    np.testing.assert_array_equal(one.reconstruction, two.reconstruction)
    one = helicopter.analyze(IMAGE, patch_size=8, weights=path, **options)
    assert one.autonomous.algorithm == "network"


@pytest.mark.parametrize("engine", [RegionalReconstructionEngine, AutonomousReconstructionEngine])
class TestRefused:
    @pytest.mark.parametrize("name", ["harmonic", "exemplar", "own"])
    def test_weights_of_what_has_none(self, engine, kernel, name, tmp_path):
        kernel("own", lambda context, mask: context)
        words = f"weights: got .* for the algorithm '{name}'; only 'network' has weights"
        with pytest.raises(InvalidOptionError, match=words):
            engine(algorithm=name, weights=tmp_path)

    @pytest.mark.parametrize(
        "weights",
        [3, b"file", "", ["x"], True, Place(b"file"), Place(3), Place(""), Place(OSError("gone"))],
        ids=range(9),
    )
    def test_what_is_no_path(self, engine, weights):
        with pytest.raises(InvalidOptionError, match=r"weights: got .*; expected the path of"):
            engine(weights=weights)

    def test_what_cannot_be_read(self, engine, tmp_path):
        for path in (tmp_path / "none.safetensors", tmp_path, "a\0b"):
            with pytest.raises(ModelError, match=r"cannot be read: .* `helicopter train`"):
                engine(weights=path)


def refused(tmp_path, data, words):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=words) as caught:
        load_network(path)
    text = str(caught.value)
    assert "bad.safetensors" in text
    assert "`helicopter train`" in text
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (ModelError, text)


SOUND = file_of(random_tensors())


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"PK\x03\x04" + bytes(100), b"\xff" * 64, bytes(64), SOUND[:7], SOUND[:500],
     SOUND[: len(SOUND) // 2], SOUND[:-1], SOUND + b"\0", SOUND[1:]],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_such_file_is_refused(tmp_path, data):
    refused(tmp_path, data, "damaged or no safetensors file")


def test_damage_anywhere_is_found(tmp_path):
    rng = np.random.default_rng(0)
    places = [*rng.integers(0, len(SOUND), 60).tolist(), 0, 8, 9, len(SOUND) - 1]
    for place in places:
        damaged = bytearray(SOUND)
        damaged[place] ^= 1 << int(rng.integers(8))
        path = tmp_path / "bad.safetensors"
        path.write_bytes(damaged)
        with pytest.raises(ModelError):
            load_network(path)


def test_files_of_others_are_refused(tmp_path):
    tensors = random_tensors()
    refused(tmp_path, file_of(tensors, format=None), "its format is None, expected 'helicopter-")
    refused(tmp_path, file_of(tensors, format="helicopter-network-9"), "format is 'helicopter-net")
    for digest in (None, "", "0" * 64):
        refused(tmp_path, file_of(tensors, sha256=digest), "damaged: its SHA-256 does not fit")


def test_a_file_without_metadata_is_refused(tmp_path):
    header = SOUND[8 : 8 + int.from_bytes(SOUND[:8], "little")]
    about = json.loads(header)
    values = SOUND[8 + len(header) :]
    del about["__metadata__"]
    for metadata in ({"__metadata__": None}, {}):
        again = json.dumps(about | metadata).encode()
        data = len(again).to_bytes(8, "little") + again + values
        refused(tmp_path, data, "its format is None, expected 'helicopter-")


def changed(name, value):
    tensors = random_tensors()
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value(tensors[name]) if callable(value) else value
    return file_of(tensors)


def at_last(value):
    def change(table):
        table = table.copy()
        table.flat[-1] = value
        return table

    return change


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("enter.bias", None, "enter or scale_first is missing"),
        ("enter.bias", np.zeros((), np.float16), "tensor 'down.0.0.first.bias' is float16"),
        ("shrink.0.bias", np.zeros((), np.float16), "tensor 'down.1.0.first.bias' is float16"),
        ("scale_first.bias", np.zeros((), np.float16), r"of shape \(\), expected float16 of sh"),
        ("scale_first.bias", None, "enter or scale_first is missing"),
        ("down.1.0.second.bias", None, "'down.1.0.second.bias' is missing"),
        ("down.0.0.first.bias", None, "tensor 'down.0.0.first.weight' does not belong"),
        ("grow.1.weight", None, "'grow.1.weight' is missing"),
        ("shrink.1.bias", None, "does not belong to a network of this kind"),
        ("extra", np.zeros(3, np.float16), "tensor 'extra' does not belong"),
        ("mean.weight", lambda w: w[:9], r"'mean.weight' is float16 of shape \(9, 8, 3, 3\), exp"),
        ("mean.bias", lambda b: b.astype(np.float32), "'mean.bias' is float32 of shape"),
        ("mean.bias", lambda b: b.astype(np.int32), "holds numbers of type int32"),
        ("enter.weight", lambda w: w[:, :12], r"expected float16 of shape \(8, 20, 3, 3\)"),
        ("mean.bias", at_last(np.nan), "'mean.bias' holds numbers that are NaN or infinite"),
        ("mean.weight", at_last(np.inf), "'mean.weight' holds numbers that are NaN or infinite"),
        ("calibration.levels", None, "'calibration.levels' is missing or no finite float32"),
        ("calibration.patches", lambda t: t.astype(np.float32), "'calibration.patches' is missing"),
        ("calibration.log_sigma", at_last(np.nan), "'calibration.log_sigma' is missing or no fin"),
        ("calibration.log_sigma", lambda t: t[:-1], "do not fit each other"),
        ("calibration.log_reach", lambda t: t.T, "do not fit each other"),
        ("calibration.patches", lambda t: t[:2], "do not fit each other"),
        ("calibration.log_sigma", lambda t: t[::-1], "make no sense"),
        ("calibration.log_scale", lambda t: t[::-1], "make no sense"),
        ("calibration.log_scale", lambda t: np.sort(t.round()), "make no sense"),
        ("calibration.log_sigma", at_last(0.01), "make no sense"),
        ("calibration.log_sigma", lambda t: t - 50, "make no sense"),
        ("calibration.confidence", at_last(1.5), "make no sense"),
        ("calibration.levels", at_last(1.0), "make no sense"),
        ("calibration.levels", at_last(0.1), "make no sense"),
        ("calibration.levels", lambda t: t * np.float32(1e-3), "make no sense"),
        ("calibration.levels", at_last(0.9501), "make no sense"),
        ("calibration.log_reach", lambda t: t[:, ::-1], "make no sense"),
        ("calibration.log_reach", at_last(10.01), "make no sense"),
        ("calibration.patches", at_last(0.0), "make no sense"),
    ],
)
def test_what_fits_no_network_is_refused(tmp_path, name, value, words):
    data = changed(name, (lambda t: np.ascontiguousarray(value(t))) if callable(value) else value)
    refused(tmp_path, data, words)


def test_the_widest_calibration_that_is_accepted_gives_finite_numbers(tmp_path):
    tensors = random_tensors()
    knots = len(tensors["calibration.log_scale"])
    tensors["calibration.log_sigma"] = np.zeros(knots, np.float32)
    tensors["calibration.levels"] = np.array([0.001, 0.0021], np.float32)
    tensors["calibration.log_reach"] = np.tile(np.array([-10, 10], np.float32), (knots, 1))
    law = CalibratedLaw(load_network(write(tmp_path / "wide.safetensors", tensors)).calibration)
    for level in (1e-300, 0.0015, 0.5, 1 - 2**-53):
        reach = law.reach(np.array([1e-6, 1], np.float32), level)
        assert np.isfinite(np.square(reach)).all()


def test_a_file_of_any_size_is_not_read_whole(tmp_path):
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.truncate(2**28 + 1)  # sparse
    with pytest.raises(ModelError, match="are larger than"):
        load_network(path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "network.safetensors").unlink(), "cannot be read: No such file"),
        (lambda folder: (folder / "network.sha256").unlink(), "cannot be read: No such file"),
        (lambda folder: (folder / "network.sha256").write_text(""), "not those of this version"),
        # sound in itself, but not what this version was tested with
        (lambda folder: write(folder / "network.safetensors"), "not those of this version"),
    ],
)
def test_a_package_whose_weights_were_lost_or_swapped(tmp_path, monkeypatch, spoil, words):
    for name in ("network.safetensors", "network.sha256"):
        shutil.copy(Path(network.__file__).with_name(name), tmp_path)
    spoil(tmp_path)
    monkeypatch.setattr(network, "__file__", str(tmp_path / "network.py"))
    network._shipped.cache_clear()
    try:
        with pytest.raises(ModelError, match=rf"{words}.*Install helicopter again\."):
            RegionalReconstructionEngine()
        # what needs no weights does not care
        engine = RegionalReconstructionEngine("harmonic", use_rust_acceleration=False)
        engine.reconstruct(IMAGE, MASK)
    finally:
        network._shipped.cache_clear()


def test_weights_are_read_when_they_are_needed():
    code = (
        "import sys, helicopter.core as c; assert 'safetensors' not in sys.modules\n"
        "c.RegionalReconstructionEngine('harmonic'); assert 'safetensors' not in sys.modules\n"
        "c.RegionalReconstructionEngine(); assert 'safetensors' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
