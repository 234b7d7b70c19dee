"""``helicopter verify``: whether images are understood, after no more looks than it takes."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from helicopter._shared.progress import as_callback

from ._distinct import check_distinct
from ._files import folder_names, make_folder, results, results_in, write_json
from ._images import each_image, read_mask
from ._options import (
    AlgorithmOption,
    ImagesArgument,
    InitialKnownOption,
    JsonOption,
    Machine,
    MissingOption,
    PatchSizeOption,
    Reading,
    WeightsOption,
    text_of,
)
from ._output import printable, stdout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from helicopter.core import AutonomousAnalysis, AutonomousReconstructionEngine

    from ._images import Mask, Picture

__all__ = ["VerifyOptions", "verify"]


class VerifyOptions(NamedTuple):
    """What the command takes."""

    images: ImagesArgument
    threshold: Annotated[
        float,
        typer.Option("--threshold", help="The quality (0 to 1) from which a patch is understood."),
    ] = 0.8
    required_share: Annotated[
        float,
        typer.Option(
            "--required-share", help="Accept if at least this share of the patches is understood."
        ),
    ] = 0.8
    cost_of_look: Annotated[
        float, typer.Option("--cost-of-look", help="What it costs to predict one more patch.")
    ] = 0.001
    cost_of_false_accept: Annotated[
        float,
        typer.Option("--cost-of-false-accept", help="What it costs to accept what is not so."),
    ] = 1.0
    cost_of_false_reject: Annotated[
        float, typer.Option("--cost-of-false-reject", help="What it costs to reject what is so.")
    ] = 1.0
    max_looks: Annotated[
        int | None,
        typer.Option(
            "--max-looks",
            help="Decide after so many patches at the latest (default: 4096)",
            show_default=False,
        ),
    ] = None
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Also write a report of each image into a folder of its own in DIR.",
            show_default=False,
        ),
    ] = None
    as_json: JsonOption = False
    mask: MissingOption = None
    patch_size: PatchSizeOption = 32
    algorithm: AlgorithmOption = "network"
    weights: WeightsOption = None
    initial_known: InitialKnownOption = 0.2
    reading: Reading = Reading()
    machine: Machine = Machine()

    def settings(self) -> dict[str, Any]:
        """Return what is written down beside the results."""
        return {
            "threshold": self.threshold,
            "required_share": self.required_share,
            "cost_of_look": self.cost_of_look,
            "cost_of_false_accept": self.cost_of_false_accept,
            "cost_of_false_reject": self.cost_of_false_reject,
            "max_looks": self.max_looks,
            "patch_size": self.patch_size,
            "algorithm": self.algorithm,
            "weights": text_of(self.weights),
            "initial_known": self.initial_known,
            "data_range": self.reading.data_range,
            "seed": self.machine.seed,
        }


def verify(options: VerifyOptions) -> int:
    """Decide whether images are understood, after no more looks than the decision is worth.

    [b]helicopter verify photo.jpg scans/*.tif[/b]

    [b]helicopter verify photo.jpg --threshold 0.9 --required-share 0.7 -o verified[/b]

    A look predicts one hidden patch and scores it. The costs are in one unit, whichever you like.
    An image that fails does not stop the others; a rejected image is no failure.
    """
    options.machine.prepare()
    engine = _engine(options)
    mask = read_mask(options.mask, options.reading)
    inputs = [*options.images, options.mask, options.weights]
    names = folder_names(options.images)
    if options.output is not None:
        check_distinct(inputs, results(options.output, names, inputs, report=True))
        make_folder(options.output)
    said: list[tuple[str, Sequence[str], str | None]] = []

    def work(picture: Picture) -> dict[str, Any]:
        found = _look(picture, mask, engine, options)
        entry = {**picture.facts(), "options": options.settings(), **_verdict(found), "files": {}}
        if options.output is not None:
            folder = options.output / names[picture.number]
            with results_in(folder, inputs):
                _write_report(picture, found, folder, entry)
        said.append((printable(picture.path.name), entry["verdict"], entry["files"].get("report")))
        return entry

    outcome = each_image(options.images, options.reading, mask, work)
    if options.as_json:
        outcome.emit_json()
    else:
        _print(said)
    return outcome.exit_code()


def _engine(options: VerifyOptions) -> AutonomousReconstructionEngine:
    """Make the engine of all images; what is wrong with an option is said here, and once."""
    from helicopter._shared.checks import check_fraction
    from helicopter.core import AutonomousReconstructionEngine, HatataMDPEngine

    check_fraction(options.initial_known, "initial_known", ends=False)
    options.reading.check()
    device, rust = options.machine.device, options.machine.use_rust_acceleration
    policy = HatataMDPEngine(device, rust).stopping_policy(
        options.required_share,
        cost_of_look=options.cost_of_look,
        cost_of_false_accept=options.cost_of_false_accept,
        cost_of_false_reject=options.cost_of_false_reject,
        max_looks=options.max_looks,
    )
    return AutonomousReconstructionEngine(
        options.patch_size,
        device=device,
        use_rust_acceleration=rust,
        algorithm=options.algorithm,
        seed=options.machine.seed,
        weights=text_of(options.weights),
        stop=policy,
        threshold=options.threshold,
    )


def _look(
    picture: Picture, mask: Mask, engine: AutonomousReconstructionEngine, options: VerifyOptions
) -> AutonomousAnalysis:
    with as_callback(True, picture.path.name) as progress:
        return engine.autonomous_analyze(
            picture.loaded.pixels,
            initial_known=options.initial_known,
            mask=mask.hidden,
            data_range=options.reading.data_range,
            progress=progress,
        )


def _verdict(found: AutonomousAnalysis) -> dict[str, Any]:
    from helicopter.report import _verification_wording as wording

    verification = found.verification
    assert verification is not None  # the engine was told to stop by it
    possible = wording.possible_looks(found)
    return {
        "possible_looks": possible,
        "verdict": [
            wording.verdict_sentence(verification),
            wording.interval_sentence(verification),
            wording.looks_sentence(verification, possible),
            wording.next_sentence(verification),
        ],
        "verification": verification.to_dict(),
        "autonomous": found.to_dict(),
    }


def _write_report(
    picture: Picture,
    found: AutonomousAnalysis,
    folder: Path,
    entry: dict[str, Any],
) -> None:
    """Write the page, its plots and the figures."""
    from helicopter.report import write_report

    written = write_report(
        found,
        picture.loaded.pixels,
        folder,
        name=picture.path.name,
        options=entry["options"],
        icc_profile=picture.loaded.icc_profile,
        data_range=entry["options"]["data_range"],
    )
    figures = folder / "figures.json"
    entry["files"].update(figures=str(figures), report=str(written.html))
    write_json(figures, entry)


def _print(said: Sequence[tuple[str, Sequence[str], str | None]]) -> None:
    from rich.text import Text

    console = stdout()
    for number, (name, sentences, report) in enumerate(said):
        if number:
            console.print()
        console.print(Text(name, style="bold"))
        for sentence in sentences:
            print(
                textwrap.fill(sentence, console.width, initial_indent="  ", subsequent_indent="  ")
            )
        if report is not None:
            # plain print: a console would break a long path over two lines
            print(f"  {printable(report)}")
