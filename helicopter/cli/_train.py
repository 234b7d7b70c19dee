"""``helicopter train``: a network of one's own, from one's own images."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from helicopter._shared.progress import as_callback
from helicopter.errors import DeviceError, HelicopterError, InvalidOptionError, ModelError
from helicopter.training._defaults import FINE_TUNING_RATE, FINE_TUNING_STEPS, LEARNING_RATE, STEPS

from ._distinct import Output, check_distinct
from ._options import DeviceOption, JsonOption, Reading, SeedOption
from ._output import complain, emit_json, printable, stdout
from ._signals import handled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from helicopter.models._network import NetworkWeights
    from helicopter.training._trainer import Trainer

__all__ = ["TrainOptions", "train"]

#: What ``--from`` takes for the weights that come with the package.
SHIPPED = "default"
#: Threads that prepare batches for a GPU, which would else wait for them.
MOST_WORKERS = 16


class TrainOptions(NamedTuple):
    """What the command takes."""

    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Holds PNG, JPEG, TIFF or WebP files of at least 96 x 96 pixels.",
            readable=False,  # left to the reader, which says what to do
        ),
    ]
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Where the weights go."),
    ]
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            help=f"Batches to learn from (default: {STEPS}, with --from {FINE_TUNING_STEPS})",
            show_default=False,
        ),
    ] = None
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="WEIGHTS",
            help="Begin with these weights; `default` means those that come with Helicopter.",
            show_default=False,
        ),
    ] = None
    validation: Annotated[
        Path | None,
        typer.Option(
            "--validation",
            metavar="FOLDER",
            help="Images to calibrate on (default: every tenth image, which is then kept out)",
            show_default=False,
            readable=False,
        ),
    ] = None
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="Is written now and then, and continued if it is there (default: beside FILE)",
            show_default=False,
            readable=False,
        ),
    ] = None
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            help=f"Size of the steps (default: {LEARNING_RATE:g}, "
            f"with --from {FINE_TUNING_RATE:g})",
            show_default=False,
        ),
    ] = None
    reading: Reading = Reading()
    as_json: JsonOption = False
    device: DeviceOption = "auto"
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            min=1,
            help="Threads of PyTorch (default: its own choice)",
            rich_help_panel="Machine",
            show_default=False,
        ),
    ] = None
    seed: SeedOption = 0


def train(options: TrainOptions) -> int:
    """Train a network on images of your own; needs PyTorch: pip install torch

    [b]helicopter train cells/ -o cells.safetensors --from default[/b]

    [b]helicopter reconstruct a.tif --mask holes.png -o b.tif --weights cells.safetensors[/b]

    Ctrl-C writes a checkpoint; the same command goes on from it.
    """
    from helicopter.models._network import load_network

    checkpoint = _checked(options)
    if options.threads is not None:
        _limit_threads(options.threads)
    device = _device(options.device)
    start = options.start
    begin = None if start is None else load_network(None if start == SHIPPED else start)
    photographs, others = _photographs(options)
    trainer = _trainer(photographs, checkpoint, device, begin, options)
    say = (lambda text: None) if options.as_json else _say
    pixels = sum(photograph[..., 0].size for photograph in photographs)
    say(
        f"{len(photographs)} photographs to train on ({pixels / 1e6:.1f} megapixels), "
        f"{len(others)} to calibrate on; device {device}"
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
    figures = _finish(trainer, others, options.output, options.seed)
    figures |= {"steps": trainer.step, "seed": options.seed, "device": device}
    figures |= {"photographs": len(photographs), "held_out": len(others)}
    if options.as_json:
        emit_json({"weights": str(options.output), **figures})
        return 0
    better = ", ".join(f"{kind} {gain:+.2f} dB" for kind, gain in figures["gains"].items())
    say(f"less error than the harmonic solution, on photographs kept out: {better}")
    print(printable(str(options.output)))
    return 0


def _checked(options: TrainOptions) -> Path:
    """Refuse what cannot be, before any image is read; return where the checkpoint goes."""
    from helicopter._shared.checks import check_seed
    from helicopter.io._atomic import checked_target
    from helicopter.training._photographs import find_photographs

    if importlib.util.find_spec("torch") is None:
        raise ModelError(
            "training needs PyTorch, which is not installed. Run: python -m pip install torch"
        )
    steps, rate, output = options.steps, options.learning_rate, options.output
    if steps is not None and steps < 1:
        raise InvalidOptionError(f"--steps must be at least 1, got {steps}")
    check_seed(options.seed)
    if rate is not None and not 0 < rate < 1:
        raise InvalidOptionError(f"--learning-rate must be between 0 and 1, got {rate}")
    checked_target(output)
    checkpoint = options.checkpoint or output.with_suffix(".checkpoint")
    checked_target(checkpoint)
    begin = Path(options.start) if options.start not in (None, SHIPPED) else None
    folders = [options.folder, *([options.validation] if options.validation else [])]
    images = [path for folder in folders for path in find_photographs(folder)]
    check_distinct(
        [begin, *images], [Output(output, "--output"), Output(checkpoint, "--checkpoint")]
    )
    return checkpoint


def _photographs(
    options: TrainOptions,
) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    """Read what is to be trained on, and what is kept out."""
    from helicopter.training._photographs import find_photographs, hold_out

    paths = find_photographs(options.folder)
    if options.validation is None:
        paths, held_out = hold_out(paths)
    else:
        held_out = find_photographs(options.validation)
        _require_apart(paths, held_out)
    return _read(paths, options.reading), _read(held_out, options.reading)


def _require_apart(paths: Sequence[Path], held_out: Sequence[Path]) -> None:
    """Raise if an image is to be trained and calibrated on: its errors would seem too small."""
    trained = {path.resolve() for path in paths}
    both = [path for path in held_out if path.resolve() in trained]
    if both:
        raise InvalidOptionError(
            f"--validation: {len(both)} of its images are among those to train on, such as "
            f"{str(both[0])!r}; name a folder of others, or leave it out to keep every tenth out"
        )


def _read(paths: Sequence[Path], reading: Reading) -> list[NDArray[np.uint8]]:
    from helicopter.training._photographs import read_photographs

    try:
        with as_callback(True, "reading") as progress:
            return read_photographs(paths, reading.data_range, reading.max_pixels, progress)
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
    begin: NetworkWeights | None,
    options: TrainOptions,
) -> Trainer:
    from helicopter.training._trainer import Settings, Trainer, starting_point

    steps, rate, seed = options.steps, options.learning_rate, options.seed
    cuda = device != "cpu"
    workers = min(MOST_WORKERS, os.cpu_count() or 1) if cuda else 1
    if begin is None:
        settings = Settings(steps or STEPS, rate or LEARNING_RATE, seed=seed)
        return Trainer(photographs, checkpoint, settings, device=device, workers=workers)
    settings = Settings(
        steps or FINE_TUNING_STEPS, rate or FINE_TUNING_RATE, seed=seed, learnable_share=0.0
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

    def answer(number: int) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    with handled(answer):
        yield asked.is_set


def _finish(
    trainer: Trainer, held_out: Sequence[NDArray[np.uint8]], output: Path, seed: int
) -> dict[str, Any]:
    """Calibrate, write the weights, and say how good they are on photographs kept out."""
    import numpy as np

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
