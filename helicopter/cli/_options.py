"""What commands take, read once into one object; and the options that they share."""

from __future__ import annotations

import inspect
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_type_hints

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = [
    "IMAGES",
    "AlgorithmOption",
    "Backend",
    "BackendOption",
    "DataRangeOption",
    "DeviceOption",
    "ImagesArgument",
    "InitialKnownOption",
    "JsonOption",
    "LeftOutOption",
    "LevelOption",
    "Machine",
    "MaxPixelsOption",
    "MissingOption",
    "PatchSizeOption",
    "Reading",
    "SeedOption",
    "ThreadsOption",
    "WeightsOption",
    "as_command",
    "text_of",
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
IMAGES = typer.Argument(
    metavar="IMAGE",
    help="PNG, JPEG, TIFF or WebP files.",
    show_default=False,
    readable=False,  # left to the reader, so that one bad file does not stop the others
)
ImagesArgument = Annotated[list[Path], IMAGES]
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


class Reading(NamedTuple):
    """How images are read."""

    data_range: DataRangeOption = None
    max_pixels: MaxPixelsOption = None

    @property
    def limit(self) -> int:
        """The most pixels that an image may have."""
        from helicopter.io import DEFAULT_MAX_PIXELS

        return DEFAULT_MAX_PIXELS if self.max_pixels is None else self.max_pixels

    def check(self) -> None:
        """Refuse a range that is none, before any image is read.

        Raises
        ------
        InvalidOptionError
        """
        import numpy as np

        from helicopter.core.validation import prepare_image

        # an image of which nothing is looked at: only the range can be refused
        prepare_image(
            np.zeros((1, 1), np.float32),
            hidden=np.ones((1, 1), np.bool_),
            data_range=self.data_range,
        )


class Machine(NamedTuple):
    """What computes."""

    backend: BackendOption = Backend.auto
    device: DeviceOption = "auto"
    threads: ThreadsOption = None
    seed: SeedOption = 0

    @property
    def use_rust_acceleration(self) -> bool | None:
        """The backend as the engines take it."""
        return {Backend.auto: None, Backend.rust: True, Backend.python: False}[self.backend]

    def prepare(self) -> None:
        """Apply the number of threads; refuse what cannot be used, before any file is touched.

        Raises
        ------
        RustAccelerationError
        """
        from helicopter import backends

        if self.threads is not None:
            backends.set_num_threads(self.threads)
        backends.resolve(self.use_rust_acceleration, self.device)


def text_of(path: Path | None) -> str | None:
    """Return a path as JSON has it."""
    return None if path is None else str(path)


def as_command(run: Callable[[Any], int]) -> Callable[..., None]:
    """Make a function of one object, its options, to what Typer takes for a command.

    Its docstring is the help, and what it returns the exit code. The options are a named tuple,
    whose fields Typer reads in their order; one that is itself a named tuple stands for its fields.
    """
    kind = get_type_hints(run)["options"]

    def command(**values: Any) -> None:
        raise typer.Exit(run(_gathered(kind, values)))

    command.__name__, command.__doc__ = run.__name__, run.__doc__
    command.__signature__ = inspect.Signature([*_parameters(kind)])  # type: ignore[attr-defined]
    return command


def _parameters(kind: type[NamedTuple]) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    for name in kind._fields:
        if hasattr(hints[name], "_fields"):
            yield from _parameters(hints[name])
        else:
            default = kind._field_defaults.get(name, inspect.Parameter.empty)
            yield inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name]
            )


def _gathered(kind: type[NamedTuple], values: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    return kind._make(
        _gathered(hints[name], values) if hasattr(hints[name], "_fields") else values[name]
        for name in kind._fields
    )
