"""``helicopter analyze``: image by image, each into a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from helicopter._shared.progress import as_callback
from helicopter.errors import InvalidOptionError

from ._distinct import check_distinct
from ._files import folder_names, make_folder, results, results_in, write_json
from ._images import each_image, read_mask
from ._options import (
    IMAGES,
    AlgorithmOption,
    InitialKnownOption,
    JsonOption,
    LevelOption,
    Machine,
    MissingOption,
    PatchSizeOption,
    Reading,
    WeightsOption,
    text_of,
)
from ._output import number, printable, stdout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from helicopter.core import Analysis
    from helicopter.core._analyzer import Analyzer

    from ._images import Mask, Picture

__all__ = ["AnalyzeOptions", "analyze"]

_LOSSLESS_SUFFIX = {"PNG": ".png", "JPEG": ".png", "TIFF": ".tif", "WEBP": ".webp"}


class AnalyzeOptions(NamedTuple):
    """What the command takes."""

    images: Annotated[list[Path] | None, IMAGES] = None
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where the results go.")
    ] = Path("helicopter-report")
    sample: Annotated[
        bool, typer.Option("--sample", help="Analyse the photograph that comes with Helicopter.")
    ] = False
    as_json: JsonOption = False
    mask: MissingOption = None
    patch_size: PatchSizeOption = 32
    context_size: Annotated[
        int | None,
        typer.Option(
            "--context-size",
            help="Side of the window that a prediction may draw from (default: everything)",
            show_default=False,
        ),
    ] = None
    algorithm: AlgorithmOption = "network"
    weights: WeightsOption = None
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            help="What chooses the next patches: random, edge_guided, content_aware, "
            "uncertainty_guided, progressive_refinement or adaptive.",
        ),
    ] = "adaptive"
    target_quality: Annotated[
        float, typer.Option("--target-quality", help="Stop at this quality (0 to 1).")
    ] = 0.9
    initial_known: InitialKnownOption = 0.2
    max_iterations: Annotated[
        int | None,
        typer.Option(
            "--max-iterations",
            help="Stop after so many iterations (default: no limit)",
            show_default=False,
        ),
    ] = None
    open_book: Annotated[
        bool,
        typer.Option("--open-book", help="Show the truth of each patch after its prediction."),
    ] = False
    segments: Annotated[
        str,
        typer.Option(
            "--segments",
            metavar="N|auto|none",
            help="Into how many parts the image is cut, to look at them one by one; auto: where "
            "there is something to tell about them.",
        ),
    ] = "auto"
    anomalies: Annotated[
        bool,
        typer.Option(
            "--anomalies/--no-anomalies", help="Look for what is unlike the rest of the image."
        ),
    ] = True
    level: LevelOption = 0.1
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no page and no plots.")] = (
        False
    )
    reading: Reading = Reading()
    machine: Machine = Machine()

    @property
    def parts(self) -> int | str | None:
        """What ``--segments`` says: how many, ``"auto"``, or None, for which ``none`` stands.

        Raises
        ------
        InvalidOptionError
        """
        if self.segments == "auto":
            return self.segments
        if self.segments == "none":
            return None
        try:
            return int(self.segments)
        except ValueError:
            raise InvalidOptionError(
                f"segments: got {self.segments!r}; expected a whole number, auto or none."
            ) from None

    def settings(self) -> dict[str, Any]:
        """Return what is written down beside the results."""
        return {
            "patch_size": self.patch_size,
            "context_size": self.context_size,
            "algorithm": self.algorithm,
            "weights": text_of(self.weights),
            "strategy": self.strategy,
            "target_quality": self.target_quality,
            "initial_known": self.initial_known,
            "max_iterations": self.max_iterations,
            "open_book": self.open_book,
            "segments": self.parts,
            "anomalies": self.anomalies,
            "level": self.level,
            "data_range": self.reading.data_range,
            "seed": self.machine.seed,
        }


def analyze(options: AnalyzeOptions) -> int:
    """Analyse images and write a report of each.

    [b]helicopter analyze --sample[/b]

    [b]helicopter analyze photo.jpg -o results[/b]

    [b]helicopter analyze *.png --json > figures.json[/b]

    Each image gets a folder in DIR, with report.html, plots, the reconstruction and figures.json.
    An image that fails does not stop the others.
    """
    from helicopter.io._reading import sample_path

    paths = [*(options.images or []), *([sample_path()] if options.sample else [])]
    if not paths:
        raise typer.BadParameter("name at least one image, or --sample", param_hint="IMAGE")
    options.machine.prepare()
    analyzer = _analyzer(options)
    mask = read_mask(options.mask, options.reading)
    inputs = [*paths, options.mask, options.weights]
    names = folder_names(paths)
    check_distinct(inputs, results(options.output, names, inputs, report=not options.no_report))
    make_folder(options.output)

    def work(picture: Picture) -> dict[str, Any]:
        analysis = _analysis(picture, mask, analyzer, options)
        folder = options.output / names[picture.number]
        with results_in(folder, inputs):
            return _write(picture, analysis, folder, options)

    outcome = each_image(paths, options.reading, mask, work)
    if options.as_json:
        outcome.emit_json()
    elif outcome.done:
        _print_table(outcome.done)
    return outcome.exit_code()


def _analyzer(options: AnalyzeOptions) -> Analyzer:
    """Make the engines of all images; what is wrong with an option is said here, and once."""
    from helicopter._shared.checks import check_fraction, check_integer
    from helicopter.core import _analyzer as engines

    parts = options.parts
    if options.max_iterations is not None:
        check_integer(options.max_iterations, "max_iterations", 1)
    check_fraction(options.target_quality, "target_quality", ends=True)
    check_fraction(options.initial_known, "initial_known", ends=False)
    check_fraction(options.level, "level", ends=False)
    if parts not in ("auto", None):
        check_integer(parts, "segments", 1)
    options.reading.check()
    return engines.Analyzer(
        engines.Machine(options.machine.device, options.machine.use_rust_acceleration),
        engines.EngineOptions(
            patch_size=options.patch_size,
            context_size=options.context_size,
            algorithm=options.algorithm,
            strategy=options.strategy,
            seed=options.machine.seed,
            weights=text_of(options.weights),
        ),
    )


def _analysis(
    picture: Picture, mask: Mask, analyzer: Analyzer, options: AnalyzeOptions
) -> Analysis:
    from helicopter.core._analyzer import RunOptions

    with as_callback(True, picture.path.name) as progress:
        return analyzer.analyze(
            picture.loaded.pixels,
            segments=options.parts,
            anomalies=options.anomalies,
            level=options.level,
            mask=mask.hidden,
            data_range=options.reading.data_range,
            progress=progress,
            run=RunOptions(
                max_iterations=options.max_iterations,
                target_quality=options.target_quality,
                initial_known=options.initial_known,
                open_book=options.open_book,
            ),
        )


def _write(
    picture: Picture,
    analysis: Analysis,
    folder: Path,
    options: AnalyzeOptions,
) -> dict[str, Any]:
    from helicopter.io import write_image

    loaded, settings = picture.loaded, options.settings()
    suffix = ".tif" if loaded.pixels.dtype.kind == "f" else _LOSSLESS_SUFFIX[loaded.format]
    redrawn = folder / f"reconstruction{suffix}"
    write_image(redrawn, analysis.autonomous.reconstruction, icc_profile=loaded.icc_profile)
    figures = folder / "figures.json"
    files = {"figures": str(figures), "reconstruction": str(redrawn)}
    if not options.no_report:
        from helicopter.report import write_report

        written = write_report(
            analysis,
            loaded.pixels,
            folder,
            name=picture.path.name,
            options=settings,
            icc_profile=loaded.icc_profile,
            data_range=options.reading.data_range,
        )
        files["report"] = str(written.html)
    entry = {
        **picture.facts(),
        "options": settings,
        "files": files,
        "analysis": analysis.to_dict(),
    }
    write_json(figures, entry)
    return entry


def _print_table(done: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("image", overflow="fold")
    for heading in (
        "quality", "level", "skill", "PSNR", "confidence", "noise", "anomalies", "evidence",
        "backend", "time",
    ):  # fmt: skip
        table.add_column(heading, justify="left" if heading in ("level", "evidence") else "right")
    for entry in done:
        found = entry["analysis"]["autonomous"]
        table.add_row(
            Text(printable(Path(entry["image"]).name)),
            number(found["reconstruction_quality"], ".3f"),
            found["understanding_level"],
            number(found["skill"], ".2f"),
            number(found["psnr_db"], ".1f", " dB"),
            number(found["average_confidence"], ".0%"),
            number(entry["analysis"]["noise"]["total_sigma"], ".3g"),
            _count(entry["analysis"]["anomalies"]),
            _evidence(entry["analysis"]["verification"]),
            found["backend"],
            number(entry["analysis"]["seconds"], ".2f", " s"),
        )
    console = stdout()
    console.print(table)
    console.print()
    for entry in done:
        files = entry["files"]
        # plain print: a console would break a long path over two lines
        print(printable(files.get("report", files["figures"])))


def _count(anomalies: Mapping[str, Any] | None) -> str:
    return "-" if anomalies is None else str(len(anomalies["regions"]))


def _evidence(verification: Mapping[str, Any] | None) -> str:
    """Say in a word what was decided, and how probable it is that the image is understood."""
    if verification is None:
        return "-"
    return f"{verification['decision']} ({verification['understanding_probability']:.0%})"
