"""The options that all commands share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from helicopter.errors import InvalidOptionError

__all__ = [
    "AlgorithmOption",
    "Backend",
    "BackendOption",
    "DataRangeOption",
    "DeviceOption",
    "InitialKnownOption",
    "JsonOption",
    "LeftOutOption",
    "LevelOption",
    "Machine",
    "MaxPixelsOption",
    "MissingOption",
    "PatchSizeOption",
    "SeedOption",
    "ThreadsOption",
    "WeightsOption",
    "machine",
    "parts_option",
]

_PANEL = "Machine"


class Backend(str, Enum):
    """What computes."""

    auto = "auto"
    rust = "rust"
    python = "python"


BackendOption = Annotated[
    Backend,
    typer.Option(
        "--backend",
        help="What computes: Rust if it is installed, else Python (auto), or one of the two.",
        rich_help_panel=_PANEL,
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option("--device", help="auto, cpu, cuda or cuda:N.", rich_help_panel=_PANEL),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        help="Threads to work on; results do not depend on it (default: all processors)",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
SeedOption = Annotated[
    int,
    typer.Option("--seed", help="Seed of all random choices.", rich_help_panel=_PANEL),
]
AlgorithmOption = Annotated[
    str, typer.Option("--algorithm", help="What predicts; `helicopter info` lists them.")
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="A network of your own (default: the one that comes with Helicopter)",
        show_default=False,
        readable=False,  # left to the reader, which says what to do
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print JSON on stdout and nothing else there."),
]
MissingOption = Annotated[
    Path | None,
    typer.Option(
        "--mask",
        metavar="FILE",
        help="A grey image of the same size: white where the picture itself is missing.",
        show_default=False,
    ),
]
LeftOutOption = Annotated[
    Path | None,
    typer.Option(
        "--mask",
        metavar="FILE",
        help="A grey image of the same size: white is left out.",
        show_default=False,
    ),
]
PatchSizeOption = Annotated[
    int, typer.Option("--patch-size", help="Side of the patches, in pixels.")
]
InitialKnownOption = Annotated[
    float, typer.Option("--initial-known", help="Share of the patches shown at the start.")
]
LevelOption = Annotated[
    float,
    typer.Option("--level", help="The share of the declared regions that may be false (0 to 1)."),
]
DataRangeOption = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--data-range",
        metavar="LOW HIGH",
        help="The values of black and white (default: 0 and 255, 65535 or, for floats, 1)",
        show_default=False,
    ),
]
MaxPixelsOption = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        min=1,
        help="Refuse images with more pixels (default: 512 million)",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Machine:
    """The shared options, as the engines take them."""

    use_rust_acceleration: bool | None
    device: str
    seed: int


def machine(backend: Backend, device: str, threads: int | None, seed: int) -> Machine:
    """Apply the number of threads, and translate the rest.

    Raises
    ------
    RustAccelerationError
        If a backend or device is asked for that cannot be used: before any file is touched.
    """
    from helicopter import backends

    if threads is not None:
        backends.set_num_threads(threads)
    wanted = {Backend.auto: None, Backend.rust: True, Backend.python: False}[backend]
    backends.resolve(wanted, device)
    return Machine(wanted, device, seed)


def parts_option(text: str) -> int | str | None:
    """Read ``--segments``: how many, ``"auto"``, or ``"none"``, which stands for None.

    Raises
    ------
    InvalidOptionError
    """
    if text == "auto":
        return text
    if text == "none":
        return None
    try:
        return int(text)
    except ValueError:
        raise InvalidOptionError(
            f"segments: got {text!r}; expected a whole number, auto or none."
        ) from None
