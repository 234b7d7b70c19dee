"""Invariant 8, at every step: the complete old files or the complete new ones, and no others."""

import contextlib
import gc
import os
from unittest import mock

import numpy as np
import pytest
from faults import CLOCK, files, full, killed, left_over, raising, restore, run, steps, temporary
from scenes import holes, scene

from helicopter import plotting
from helicopter._shared.result import Result
from helicopter.cli import _analyze, _anomalies, _noise, _reconstruct, _verify
from helicopter.cli._options import Backend, Machine
from helicopter.cli._output import explain
from helicopter.core import (
    AnomalyDetector,
    AutonomousReconstructionEngine,
    RegionalReconstructionEngine,
    ZengezaNoiseDetector,
)
from helicopter.core._analyzer import Analyzer
from helicopter.io import together, write_image
from helicopter.io._together import sweep
from helicopter.report import _page

MACHINE = Machine(backend=Backend.python)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="a child is to be killed")


class Job:
    """A command on one image or another of the same name, and what it leaves of each.

    Attributes
    ----------
    whole : bool
        Whether the results change in one step, so that there is nothing to finish after a kill.
    old, new : dict
        All files in the folder of the results.
    """

    def __init__(self, folder, inputs, command, whole, own=(), fresh=False):
        self.folder, self.command, self.whole, self.inputs = folder, command, whole, inputs
        folder.mkdir()
        self.old = {}
        if not fresh:
            assert command(inputs[0], folder) == 0
            self.old = files(folder) | dict.fromkeys(own, b"the user's own")
            restore(folder, self.old)
        assert self.do() == 0
        self.new = files(folder)
        assert self.new != self.old
        assert left_over(folder) == []
        assert all(self.new[name] == self.old[name] for name in own)

    def do(self):
        return self.command(self.inputs[1], self.folder)

    def next_start(self):
        for folder in [self.folder, *self.folder.rglob("*")]:
            if folder.is_dir() and not temporary(folder.relative_to(self.folder)):
                sweep(folder)

    def check(self):
        """The complete old files or the complete new ones; no others after the next start."""
        found = files(self.folder)
        if self.whole:
            assert found in (self.old, self.new)
        for name in self.old.keys() & self.new.keys():
            assert found[name] in (self.old[name], self.new[name])
        self.next_start()
        assert files(self.folder) in (self.old, self.new)
        assert left_over(self.folder) == []


def analyze(report):
    def command(image, folder):
        options = _analyze.AnalyzeOptions(
            [image], folder, patch_size=8, algorithm="harmonic", machine=MACHINE,
            no_report=not report,
        )  # fmt: skip
        return _analyze.analyze(options)

    return command


def verify(image, folder):
    options = _verify.VerifyOptions(
        [image], output=folder, patch_size=8, algorithm="harmonic", machine=MACHINE
    )
    return _verify.verify(options)


def reconstruct(output, uncertainty):
    def command(image, folder):
        for path in (folder / output, folder / uncertainty):
            path.parent.mkdir(exist_ok=True)
        options = _reconstruct.ReconstructOptions(
            image, folder / output, image.parent / "mask.png", "harmonic",
            uncertainty=folder / uncertainty, machine=MACHINE,
        )  # fmt: skip
        return _reconstruct.reconstruct(options)

    return command


def noise(name):
    def command(image, folder):
        return _noise.noise(_noise.NoiseOptions([image], map_file=folder / name, machine=MACHINE))

    return command


def anomalies(image, folder):
    options = _anomalies.AnomaliesOptions(
        [image], figure=folder / "figure.png", map_file=folder / "map.tif", machine=MACHINE
    )
    return _anomalies.anomalies(options)


JOBS = {
    "analyze": (analyze(True), True),
    "analyze into nothing": (analyze(True), True, (), True),
    "analyze beside files of one's own": (analyze(True), False, ("photo/notes.txt",)),
    "analyze without report": (analyze(False), True),
    "verify": (verify, True),
    "reconstruct": (reconstruct("image.png", "sigma.tif"), False, ("image.txt",)),
    "reconstruct into two folders": (reconstruct("a/image.webp", "b/sigma.png"), False),
    "noise as a picture": (noise("map.png"), True, ("other.png",)),
    "noise as numbers": (noise("map.tif"), True),
    "anomalies": (anomalies, False),
}
ENGINES = (
    (Analyzer, "analyze"), (AutonomousReconstructionEngine, "autonomous_analyze"),
    (RegionalReconstructionEngine, "reconstruct"), (ZengezaNoiseDetector, "analyze"),
    (AnomalyDetector, "find"),
)  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    images = []
    for image in (scene(dtype="uint8"), 255 - scene(dtype="uint8")):
        folder = tmp_path_factory.mktemp("inputs")
        write_image(folder / "photo.png", image)
        write_image(folder / "mask.png", holes().astype(np.uint8) * 255)
        images.append(folder / "photo.png")
    return images


def asked(given):
    """What tells one call of an engine from another here."""
    engine, image = given[:2]
    return image.tobytes(), getattr(engine, "stop", None)


def blank(draw):
    """Stand for a figure of the results that `draw` knows of, which are remembered."""
    cells = getattr(draw, "__closure__", None) or ()
    shown = [id(cell.cell_contents) for cell in cells if isinstance(cell.cell_contents, Result)]
    return f"a figure of {shown}".encode()


@pytest.fixture(scope="module")
def remembered():
    """Let everything be found out and drawn once: here it matters how it is written."""
    found = {}

    def remembering(owner, name, key):
        function = getattr(owner, name)

        def call(*arguments, **options):
            what = owner, name, key(arguments), bool(options.get("segments"))
            if what not in found:
                found[what] = function(*arguments, **options)
            return found[what]

        return mock.patch.object(owner, name, call)

    with contextlib.ExitStack() as patches:
        for engine, name in ENGINES:
            patches.enter_context(remembering(engine, name, asked))
        # results are remembered, so each is always the same object
        patches.enter_context(remembering(_page, "_page", lambda given: id(given[0])))
        for owner in (_page, plotting):
            patches.enter_context(mock.patch.object(owner, "figure_png", blank))
        yield


@pytest.fixture(params=JOBS)
def job(request, tmp_path, inputs, remembered, undrawn):
    return Job(tmp_path / "results", inputs, *JOBS[request.param])


def chosen(job, every, **options):
    """The numbers of the steps that are to fail: all, or some and more of the last."""
    with steps(**options):
        restore(job.folder, job.old)
        outcome, _ = run(job.do, 0, lambda since: None)
        assert outcome == 0
        total = CLOCK.ticks
    if every:
        return range(1, total + 1)
    return sorted({*range(1, total, total // 4), *range(max(1, total - 25), total + 1, 5)})


def fail_at(job, numbers, error, *, once, capfd, **options):
    with steps(**options):
        for n in numbers:
            restore(job.folder, job.old)
            capfd.readouterr()
            outcome, _ = run(job.do, n, raising(error, once=once))
            said = capfd.readouterr().err
            job.check()
            if outcome == 0:
                assert files(job.folder) == job.new
            elif error is full:
                # a disk that is full is one line and exit code 1
                if isinstance(outcome, BaseException):
                    outcome, said = explain(outcome)
                assert outcome == 1
                assert "No space left on device" in said
                assert len(said.splitlines()) == 1
    # and the process goes on
    restore(job.folder, job.old)
    assert job.do() == 0
    assert files(job.folder) == job.new


class Dead(BaseException):
    """Nothing is done any more, as after a kill."""


#: What fails, whether only once, and what else is a step.
KINDS = {
    "a full disk": (full, False, {}),
    "one write": (full, True, {}),
    "memory": (MemoryError, True, {"memory": True}),
    "ctrl-c": (KeyboardInterrupt, True, {}),
    "everything": (Dead, False, {}),
}


@pytest.mark.parametrize("kind", ["a full disk", "ctrl-c", "everything"])
def test_whatever_step_fails(job, kind, capfd, record_property):
    error, once, options = KINDS[kind]
    numbers = chosen(job, False, **options)
    record_property("faults", len(numbers))
    fail_at(job, numbers, error, once=once, capfd=capfd, **options)


@pytest.mark.exhaustive
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kind", KINDS)
def test_every_step_fails(job, kind, capfd):
    error, once, options = KINDS[kind]
    fail_at(job, chosen(job, True, **options), error, once=once, capfd=capfd, **options)


def kill_at(job, numbers):
    with steps():
        for n in numbers:
            restore(job.folder, job.old)
            assert killed(job.do, n)
            job.check()


@needs_fork
@pytest.mark.parametrize("job", ["analyze", "reconstruct"], indirect=True)
def test_whenever_it_is_killed(job, record_property):
    numbers = chosen(job, False)[-5:]
    record_property("faults", len(numbers))
    kill_at(job, numbers)


@needs_fork
@pytest.mark.exhaustive
@pytest.mark.timeout(3000)
def test_it_is_killed_at_every_step(job):
    kill_at(job, chosen(job, True))


@pytest.mark.parametrize("kind", ["a full disk", "ctrl-c", "everything"])
def test_a_checkpoint_and_weights_survive_whatever_fails(tmp_path, kind, capfd, monkeypatch):
    pytest.importorskip("torch")
    from helicopter.training import _calibration, _network, _trainer

    architecture = _network.Architecture(widths=(4, 4, 4), down=(1, 1, 1), up=(1, 0), scale_width=4)
    network = _network.Network(architecture)
    image = scene(128, 128)
    calibration = _calibration.calibrate(network, [image], 0)
    serialise, made = _network.serialise, {}

    def once_only(tensors, metadata):  # the order of the metadata is random
        key = metadata["sha256"]
        if key not in made:
            made[key] = serialise(tensors, metadata=metadata)
        return made[key]

    monkeypatch.setattr(_network, "serialise", once_only)

    def train(step, folder):
        trainer = _trainer.Trainer(
            [(255 * image).astype(np.uint8)], folder.parent / "none", _trainer.Settings(9),
            architecture,
        )  # fmt: skip
        trainer.step, trainer.checkpoint = step, folder / "w.checkpoint"
        with together():
            trainer.write_checkpoint()
            _network.write_weights(
                folder / "w.safetensors",
                {name: value + step for name, value in network.state_dict().items()},
                calibration,
            )
        return 0

    job = Job(tmp_path / "results", (1, 2), train, False, ("notes.txt",))
    error, once, options = KINDS[kind]
    fail_at(job, chosen(job, False), error, once=once, capfd=capfd, **options)


def test_the_command_itself_clears_up(tmp_path, inputs, remembered, undrawn):
    job = Job(tmp_path / "results", inputs, *JOBS["analyze beside files of one's own"])
    with steps():
        restore(job.folder, job.old)
        run(job.do, chosen(job, False)[2], raising(Dead, once=False))
        gc.collect()
    assert left_over(job.folder) != []
    assert job.do() == 0
    assert files(job.folder) == job.new
    assert left_over(job.folder) == []
