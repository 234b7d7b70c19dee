"""The commands; what each takes and does stands in the module of its name."""

from __future__ import annotations

from typing import Annotated

import typer

from helicopter._version import __version__

from ._analyze import analyze
from ._anomalies import anomalies
from ._bench import bench
from ._info import info
from ._noise import noise
from ._options import as_command
from ._reconstruct import reconstruct
from ._train import train
from ._verify import verify

__all__ = ["app"]

app = typer.Typer(
    help="Tell how well an image can be explained from its own context.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"helicopter {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


# in the order in which the help lists them
for _command in (analyze, reconstruct, noise, anomalies, verify, info, bench, train):
    app.command()(as_command(_command))
