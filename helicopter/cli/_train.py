"""``helicopter train``: a network of one's own, from one's own images."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._shared.checks import check_seed
from helicopter._shared.progress import as_callback
from helicopter.errors import DeviceError, HelicopterError, InvalidOptionError, ModelError
from helicopter.io._atomic import checked_target
from helicopter.models._network import load_network
from helicopter.training._defaults import FINE_TUNING_RATE, FINE_TUNING_STEPS, LEARNING_RATE, STEPS
from helicopter.training._photographs import find_photographs, hold_out, read_photographs

from ._output import complain, emit_json, printable, stdout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from helicopter.models._network import NetworkWeights
    from helicopter.training._trainer import Trainer

__all__ = ["train_network"]

#: What ``--from`` takes for the weights that come with the package.
SHIPPED = "default"
#: Threads that prepare batches for a GPU, which would else wait for them.
MOST_WORKERS = 16


def train_network(
    folder: Path,
    output: Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    checkpoint: Path | None = None,
    start: str | None = None,
    validation: Path | None = None,
    learning_rate: float | None = None,
    data_range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
    as_json: bool = False,
) -> None:
    """Train, calibrate, and write the weights.

    Raises
    ------
    InvalidOptionError, InvalidImageError
        If the folder or one of its images cannot be used, or nothing can be written: before any
        training.
    ModelError
        If PyTorch is not installed, the weights or the checkpoint to go on with are unusable, or
        training diverged.
    KeyboardInterrupt
        After Ctrl-C, when the checkpoint is written.
    """
    if importlib.util.find_spec("torch") is None:
        raise ModelError(
            "training needs PyTorch, which is not installed. Run: python -m pip install torch"
        )
    if steps is not None and steps < 1:
        raise InvalidOptionError(f"--steps must be at least 1, got {steps}")
    check_seed(seed)
    if learning_rate is not None and not 0 < learning_rate < 1:
        raise InvalidOptionError(f"--learning-rate must be between 0 and 1, got {learning_rate}")
    checked_target(output)
    checkpoint = checkpoint or output.with_suffix(".checkpoint")
    checked_target(checkpoint)
    if checkpoint.resolve() == output.resolve():
        raise InvalidOptionError(f"--checkpoint and --output are the same file: {str(output)!r}")
    if threads is not None:
        _limit_threads(threads)
    chosen = _device(device)
    begin = None if start is None else load_network(None if start == SHIPPED else start)
    paths = find_photographs(folder)
    if validation is None:
        paths, held_out = hold_out(paths)
    else:
        held_out = find_photographs(validation)
        _require_apart(paths, held_out)
    photographs, others = (_read(found, data_range, max_pixels) for found in (paths, held_out))
    trainer = _trainer(
        photographs,
        checkpoint,
        chosen,
        steps=steps,
        seed=seed,
        begin=begin,
        learning_rate=learning_rate,
    )
    say = (lambda text: None) if as_json else _say
    pixels = sum(photograph[..., 0].size for photograph in photographs)
    say(
        f"{len(photographs)} photographs to train on ({pixels / 1e6:.1f} megapixels), "
        f"{len(others)} to calibrate on; device {chosen}"
    )
    if trainer.other_photographs is not None:
        changed = ", which was begun with other photographs" if trainer.other_photographs else ""
        say(f"continuing {checkpoint}{changed}: {trainer.step} steps are done")
    if not _train(trainer, say):
        complain(
            f"stopped at step {trainer.step} of {trainer.settings.steps}; the checkpoint "
            f"{str(checkpoint)!r} is written. The same command goes on from there."
        )
        raise KeyboardInterrupt
    figures = _finish(trainer, others, output, seed)
    figures |= {"steps": trainer.step, "seed": seed, "device": chosen}
    figures |= {"photographs": len(photographs), "held_out": len(others)}
    if as_json:
        emit_json({"weights": str(output), **figures})
        return
    better = ", ".join(f"{kind} {gain:+.2f} dB" for kind, gain in figures["gains"].items())
    say(f"less error than the harmonic solution, on photographs kept out: {better}")
    print(printable(str(output)))


def _require_apart(paths: Sequence[Path], held_out: Sequence[Path]) -> None:
    """Raise if an image is to be trained and calibrated on: its errors would seem too small."""
    trained = {path.resolve() for path in paths}
    both = [path for path in held_out if path.resolve() in trained]
    if both:
        raise InvalidOptionError(
            f"--validation: {len(both)} of its images are among those to train on, such as "
            f"{str(both[0])!r}; name a folder of others, or leave it out to keep every tenth out"
        )


def _read(
    paths: Sequence[Path], data_range: tuple[float, float] | None, max_pixels: int | None
) -> list[NDArray[np.uint8]]:
    try:
        with as_callback(True, "reading") as progress:
            return read_photographs(paths, data_range, max_pixels, progress)
    except HelicopterError as error:
        # the remedy as the command line has it
        raise type(error)(
            str(error).replace("data_range=(low, high)", "--data-range LOW HIGH")
        ) from None


def _say(text: str) -> None:
    from rich.text import Text

    stdout().print(Text(printable(text)), soft_wrap=True)


def _device(asked: str) -> str:
    import torch

    if asked not in ("auto", "cpu", "cuda") and not asked.startswith("cuda:"):
        raise InvalidOptionError(f"--device must be auto, cpu, cuda or cuda:N, got {asked!r}")
    available = torch.cuda.is_available()
    if asked == "auto":
        return "cuda" if available else "cpu"
    number = asked.partition(":")[2] or "0"
    if asked != "cpu" and not (
        available and number.isdecimal() and int(number) < torch.cuda.device_count()
    ):
        raise DeviceError(
            f"PyTorch cannot use {asked!r} here; try --device cpu, or install PyTorch for your GPU"
        )
    return asked


def _limit_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _trainer(
    photographs: Sequence[NDArray[np.uint8]],
    checkpoint: Path,
    device: str,
    *,
    steps: int | None,
    seed: int,
    begin: NetworkWeights | None,
    learning_rate: float | None,
) -> Trainer:
    from helicopter.training._trainer import Settings, Trainer, starting_point

    cuda = device != "cpu"
    workers = min(MOST_WORKERS, os.cpu_count() or 1) if cuda else 1
    if begin is None:
        settings = Settings(steps or STEPS, learning_rate or LEARNING_RATE, seed=seed)
        return Trainer(photographs, checkpoint, settings, device=device, workers=workers)
    settings = Settings(
        steps or FINE_TUNING_STEPS,
        learning_rate or FINE_TUNING_RATE,
        seed=seed,
        learnable_share=0.0,
    )
    architecture, state = starting_point(begin)
    return Trainer(photographs, checkpoint, settings, architecture, device, state, workers)


def _train(trainer: Trainer, say: Callable[[str], None]) -> bool:
    """Train; return False if Ctrl-C came first."""

    def log(record: dict[str, Any]) -> None:
        if interactive and record["step"] % trainer.settings.save_every:
            return  # the bar tells enough
        say(
            f"step {record['step']}: {record['gain_db']:+.2f} dB over harmonic, "
            f"{record['seconds_per_step']:.2f} s a step"
        )

    interactive = stdout().is_terminal
    with _interrupts() as interrupted, as_callback(True, "training") as progress:
        return trainer.run(log, progress, interrupted)


@contextlib.contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C wait for the end of a step, so that the checkpoint is whole."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def handle(number: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:  # a job in the background, as its shell wants it
        yield asked.is_set
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _finish(
    trainer: Trainer, held_out: Sequence[NDArray[np.uint8]], output: Path, seed: int
) -> dict[str, Any]:
    """Calibrate, write the weights, and say how good they are on photographs kept out."""
    from helicopter.training._calibration import calibrate
    from helicopter.training._network import Network, half_precision, write_weights
    from helicopter.training._validation import gains

    state = half_precision(trainer.average)
    network = Network(trainer.network.architecture)
    network.load_state_dict(state)
    photographs = [photograph.astype(np.float32) / np.float32(255) for photograph in held_out]
    with as_callback(True, "calibrating") as progress:
        calibration = calibrate(network, photographs, seed, progress)
    digest = write_weights(output, state, calibration)
    with as_callback(True, "measuring") as progress:
        measured = gains(network, photographs, seed, progress)
    return {"sha256": digest, "gains": {kind: round(gain, 3) for kind, gain in measured.items()}}
