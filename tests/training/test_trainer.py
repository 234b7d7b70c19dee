"""Training itself; needs PyTorch, and is skipped without."""

import dataclasses
import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from training_scenes import photograph

from helicopter.backends.reference.algorithms import network as reference
from helicopter.errors import InvalidOptionError, ModelError
from helicopter.io import write_image
from helicopter.models._network import load_network

torch = pytest.importorskip("torch")

from helicopter.training._calibration import calibrate, predict  # noqa: E402
from helicopter.training._crops import solve_harmonic  # noqa: E402
from helicopter.training._masks import WIDE, random_mask  # noqa: E402
from helicopter.training._network import Architecture, Network, half_precision, write_weights  # noqa: E402  # noqa: E402
from helicopter.training._trainer import Settings, Trainer, starting_point  # noqa: E402
from helicopter.training._validation import KINDS, gains  # noqa: E402

SMALL = Architecture(widths=(8, 12, 8), down=(1, 1, 1), up=(1, 0), scale_width=8)
PHOTOGRAPHS = [photograph(0), photograph(1)]


def trainer(path, steps, **options):
    settings = Settings(
        steps=steps, learnable_share=0.5, log_every=2, **options.pop("settings", {})
    )
    return Trainer(PHOTOGRAPHS, path, settings, SMALL, **options)


def quiet(record):
    pass


def all_state(trained):
    state = {f"network.{k}": v for k, v in trained.network.state_dict().items()}
    state |= {f"average.{k}": v for k, v in trained.average.items()}
    for number, optimizer in enumerate(trained.optimizers):
        for key, values in optimizer.state_dict()["state"].items():
            state |= {f"{number}.{key}.{k}": torch.as_tensor(v) for k, v in values.items()}
    return state


def test_six_steps_are_three_and_three(tmp_path):
    whole = trainer(tmp_path / "whole", 6)
    records = []
    assert whole.run(records.append)
    assert [record["step"] for record in records] == [2, 4, 6]
    assert {"squared", "absolute", "surprise", "gain_db", "norm"} < set(records[0])

    half = trainer(tmp_path / "half", 6)
    assert not half.run(quiet, stop=lambda: half.step == 3)
    again = trainer(tmp_path / "half", 6)
    assert (again.step, again.other_photographs) == (3, False)
    assert again.run(quiet)

    expected, found = all_state(whole), all_state(again)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name


def test_batches_may_be_prepared_by_several_threads(tmp_path):
    one, two = (trainer(tmp_path / str(n), 3, workers=n) for n in (1, 2))
    for each in (one, two):
        each.run(quiet)
    for name, value in all_state(one).items():
        assert torch.equal(value, all_state(two)[name]), name


def test_a_run_may_be_made_longer(tmp_path):
    trainer(tmp_path / "c", 2).run(quiet)
    longer = trainer(tmp_path / "c", 4)
    assert longer.learning_rate(2) > 0
    done = []
    assert longer.run(quiet, progress=lambda *at: done.append(at))
    assert done == [(3, 4), (4, 4)]
    assert trainer(tmp_path / "c", 4).run(quiet)  # nothing is left to do


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path):
    trainer(tmp_path / "c", 1).run(quiet)
    with pytest.raises(InvalidOptionError, match="seed 0, not 1"):
        trainer(tmp_path / "c", 2, settings={"seed": 1})
    with pytest.raises(InvalidOptionError, match=r"learnable_share 0\.5, not 0\.0 .*--from"):
        Trainer(PHOTOGRAPHS, tmp_path / "c", Settings(steps=2, learnable_share=0.0))
    (tmp_path / "d").write_bytes(b"no checkpoint")
    with pytest.raises(ModelError, match="no checkpoint"):
        trainer(tmp_path / "d", 2)
    other = Trainer([photograph(5)], tmp_path / "c", Settings(steps=2, learnable_share=0.5))
    assert other.other_photographs
    assert other.network.architecture == SMALL


@pytest.mark.parametrize(
    ("often", "stop_at"),
    [({"log_every": 2}, 100), ({"save_every": 4}, 100), ({}, 5)],
    ids=["record", "checkpoint", "end"],
)
def test_a_run_that_diverges_leaves_its_checkpoint(tmp_path, often, stop_at):
    rare = {"log_every": 50, "save_every": 50}

    def going_on(rate, steps=12):
        settings = Settings(steps=steps, learning_rate=rate, **(rare | often))
        return Trainer(PHOTOGRAPHS, tmp_path / "c", settings, SMALL)

    going_on(1e-3, steps=2).run(quiet)
    before = (tmp_path / "c").read_bytes()
    diverging, records = going_on(1e20), []
    with pytest.raises(ModelError, match="diverged at step 4") as raised:
        diverging.run(records.append, stop=lambda: diverging.step == stop_at)
    assert "of step 2 is untouched" in str(raised.value)
    assert "lower --learning-rate" in str(raised.value)
    assert records == []
    assert (tmp_path / "c").read_bytes() == before
    assert going_on(1e-3, steps=3).run(quiet)


def test_a_run_that_diverges_at_once_leaves_no_checkpoint(tmp_path):
    with pytest.raises(ModelError, match="No checkpoint had been written; begin anew"):
        trainer(tmp_path / "c", 4, settings={"learning_rate": 1e20}).run(quiet)
    assert list(tmp_path.iterdir()) == []


def has_denormals():
    # large enough for all threads
    return bool((torch.full((1 << 20,), 1e-30) * 1e-10).any())


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor cannot")
def test_denormals_are_zero_while_it_trains_and_nowhere_else(tmp_path, monkeypatch):
    during, update = [], Trainer._update

    def spy(self, batch):
        during.append(has_denormals())
        return update(self, batch)

    monkeypatch.setattr(Trainer, "_update", spy)
    made = trainer(tmp_path / "c", 2)
    assert has_denormals()
    made.run(quiet, progress=lambda *at: during.append(not has_denormals()))
    assert during == [False] * 4
    assert has_denormals()


def shaken(architecture=SMALL):
    """A network none of whose weights is zero."""
    torch.manual_seed(0)
    network = Network(architecture)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        network.scale_second.bias.fill_(-3)
    network.load_state_dict(half_precision(network.state_dict()))
    return network


def as_floats(image):
    return image.astype(np.float32) / np.float32(255)


@pytest.mark.parametrize("shape", [(97, 113), (128, 128), (40, 7)])
def test_exported_weights_predict_what_the_network_predicts(tmp_path, shape):
    network = shaken()
    calibration = calibrate(network, [as_floats(photograph(3)), as_floats(photograph(4))])
    write_weights(tmp_path / "w.safetensors", network.state_dict(), calibration)
    weights = load_network(tmp_path / "w.safetensors")

    image = as_floats(photograph(2))[: shape[0], : shape[1]].copy()
    mask = np.ascontiguousarray(
        random_mask(np.random.default_rng(0), 200, WIDE)[: shape[0], : shape[1]]
    )
    mask[0, 0] = False
    expected, log_scale = predict(network, image, mask)
    found = np.where(mask[..., None], np.float32(0), image)
    solve_harmonic(found, mask)
    sigma = reference.predict(found, mask, weights)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    stated = np.interp(log_scale, weights.calibration.log_scale, weights.calibration.log_sigma)
    np.testing.assert_allclose(sigma[mask], np.exp(stated)[mask], rtol=2e-3)
    assert (sigma[~mask] == 0).all()

    architecture, state = starting_point(weights)
    assert architecture == SMALL
    for name, value in network.state_dict().items():
        assert torch.equal(state[name], value), name


def test_a_grey_image_is_predicted_as_it_is_delivered(tmp_path):
    network = shaken()
    calibration = calibrate(network, [as_floats(photograph(3)), as_floats(photograph(4))])
    write_weights(tmp_path / "w.safetensors", network.state_dict(), calibration)
    weights = load_network(tmp_path / "w.safetensors")

    grey = as_floats(photograph(2))[:200, :200, :1].copy()
    mask = np.ascontiguousarray(random_mask(np.random.default_rng(0), 200, WIDE))
    expected = np.where(mask[..., None], np.float32(0), grey)
    solve_harmonic(expected, mask)
    reference.predict(expected, mask, weights)
    found, _ = predict(network, grey.repeat(3, axis=2), mask)
    assert (found == found[:, :, :1]).all()
    np.testing.assert_allclose(found[:, :, :1], expected, atol=2e-5)


@pytest.mark.parametrize("value", [float("nan"), 1e6], ids=["NaN", "too large for half"])
def test_weights_that_could_not_be_read_are_not_written(tmp_path, value):
    network = shaken()
    calibration = calibrate(network, [as_floats(photograph(3))])
    (tmp_path / "w.safetensors").write_bytes(b"the one before")
    state = network.state_dict()
    state["enter.bias"][3] = value
    with pytest.raises(ModelError, match=r"'enter\.bias' holds .* Nothing was written"):
        write_weights(tmp_path / "w.safetensors", state, calibration)
    assert (tmp_path / "w.safetensors").read_bytes() == b"the one before"
    assert len(list(tmp_path.iterdir())) == 1


def test_training_goes_on_from_weights(tmp_path):
    start = shaken().state_dict()
    tuned = trainer(tmp_path / "c", 2, start=start)
    for name, value in tuned.network.state_dict().items():
        assert torch.equal(value, start[name]), name
    tuned.run(quiet)
    assert not torch.equal(tuned.average["enter.weight"], start["enter.weight"])
    # a checkpoint comes before weights to start with
    assert trainer(tmp_path / "c", 3, start=start).step == 2


def test_an_untrained_network_is_the_harmonic_solution():
    found = gains(Network(SMALL), [as_floats(photograph(3))])
    assert set(found) == set(KINDS)
    assert set(found.values()) == {0.0}


# ---- the command


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        write_image(tmp_path / "photos" / f"{number}.png", photograph(number, 100, 104))
    torch.manual_seed(0)
    network = shaken(dataclasses.replace(SMALL, widths=(4, 4, 4)))
    calibration = calibrate(network, [as_floats(photograph(3, 100, 104))])
    write_weights(tmp_path / "small.safetensors", network.state_dict(), calibration)
    return tmp_path


def command(folder, *arguments):
    # a small network to begin with, so that this is quick
    return [
        *(sys.executable, "-W", "ignore", "-m", "helicopter", "train", str(folder / "photos")),
        *("-o", str(folder / "w.safetensors"), "--from", str(folder / "small.safetensors")),
        *("--device", "cpu", "--threads", "1", *arguments),
    ]


def test_the_command_trains_and_writes_weights(folder):
    done = subprocess.run(
        command(folder, "--steps", "3", "--json"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    figures = json.loads(done.stdout)
    assert (figures["steps"], figures["photographs"], figures["held_out"]) == (3, 2, 1)
    assert set(figures["gains"]) == set(KINDS)
    weights = load_network(folder / "w.safetensors")
    assert weights.architecture.widths == (4, 4, 4)
    assert (folder / "w.checkpoint").exists()
    again = subprocess.run(
        command(folder, "--steps", "4"), capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert "3 steps are done" in again.stdout
    assert "begun with other" not in again.stdout
    assert again.stdout.splitlines()[-1] == str(folder / "w.safetensors")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_leaves_a_checkpoint(folder):
    process = subprocess.Popen(
        command(folder, "--steps", "100000"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert "to calibrate on" in process.stdout.readline()
    assert "step 50" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped at step" in complaint
    assert "The same command goes on" in complaint
    assert "Traceback" not in complaint
    state = torch.load(folder / "w.checkpoint", weights_only=True)
    assert state["step"] >= 50
    assert not (folder / "w.safetensors").exists()
    assert not list(folder.glob(".helicopter*"))
