"""``helicopter analyze``: image by image, each into a folder of its own."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helicopter._version import __version__
from helicopter.errors import InvalidOptionError

from ._many import each_image
from ._masks import check_fits
from ._output import printable, stdout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from helicopter._analyzer import Analyzer
    from helicopter.core.results._analysis import Analysis
    from helicopter.io import LoadedImage

    from ._options import Machine

__all__ = ["analyze_images", "folder_names", "make_folder", "remove_earlier"]

_ENGINE_OPTIONS = ("patch_size", "context_size", "algorithm", "strategy", "weights")
_PLOTS = (
    "original",
    "what-was-shown",
    "uncertainty",
    "error",
    "quality",
    "overview",
    "noise",
    "segments",
    "anomalies",
    "verification",
)
#: All that a run may write into an image's folder.
_KNOWN_FILES = (
    "report.html",
    "figures.json",
    *(f"{plot}.png" for plot in _PLOTS),
    *(f"reconstruction{suffix}" for suffix in (".png", ".tif", ".webp")),
)
_LOSSLESS_SUFFIX = {"PNG": ".png", "JPEG": ".png", "TIFF": ".tif", "WEBP": ".webp"}


def analyze_images(
    paths: Sequence[Path],
    output: Path,
    machine: Machine,
    options: Mapping[str, Any],
    *,
    mask: Path | None,
    report: bool,
    max_pixels: int | None,
    as_json: bool,
) -> int:
    """Analyse each image, print what came of it, and return the exit code."""
    from helicopter.io import DEFAULT_MAX_PIXELS, read_image, read_mask

    analyzer = _analyzer(machine, options)
    limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
    missing = None if mask is None else read_mask(mask, max_pixels=limit)
    make_folder(output)
    weights = [] if options["weights"] is None else [Path(options["weights"])]
    inputs = [*paths, *([] if mask is None else [mask]), *weights]
    names = folder_names(paths)

    def work(number: int, path: Path) -> dict[str, Any]:
        loaded = read_image(path, max_pixels=limit)
        check_fits(mask, missing, path, loaded.pixels)
        folder = output / names[number]
        return _analyze_one(path, loaded, folder, analyzer, options, missing, report, inputs)

    outcome = each_image(paths, work)
    if as_json:
        outcome.emit_json()
    elif outcome.done:
        _print_table(outcome.done)
    return outcome.exit_code()


def make_folder(output: Path) -> None:
    """Make the folder of all results, or say why not."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidOptionError(
            f"cannot make the folder {str(output)!r}: {error.strerror}; choose another with -o"
        ) from error


def _analyzer(machine: Machine, options: Mapping[str, Any]) -> Analyzer:
    """Make the engines of all images; what is wrong with an option is said here, and once."""
    import numpy as np

    from helicopter._analyzer import Analyzer
    from helicopter._shared.checks import check_fraction, check_integer
    from helicopter.core.validation import prepare_image

    if options["max_iterations"] is not None:
        check_integer(options["max_iterations"], "max_iterations", 1)
    check_fraction(options["target_quality"], "target_quality", ends=True)
    check_fraction(options["initial_known"], "initial_known", ends=False)
    check_fraction(options["level"], "level", ends=False)
    if options["segments"] not in ("auto", None):
        check_integer(options["segments"], "segments", 1)
    # an image of which nothing is looked at: only the range can be refused
    prepare_image(
        np.zeros((1, 1), np.float32),
        hidden=np.ones((1, 1), np.bool_),
        data_range=options["data_range"],
    )
    return Analyzer(
        **{name: options[name] for name in _ENGINE_OPTIONS},
        device=machine.device,
        use_rust_acceleration=machine.use_rust_acceleration,
        seed=machine.seed,
    )


def _analyze_one(
    path: Path,
    loaded: LoadedImage,
    folder: Path,
    analyzer: Analyzer,
    options: Mapping[str, Any],
    missing: NDArray[np.bool_] | None,
    report: bool,
    inputs: Sequence[Path],
) -> dict[str, Any]:
    from helicopter._shared.progress import as_callback

    of_run = {name: value for name, value in options.items() if name not in _ENGINE_OPTIONS}
    with as_callback(True, path.name) as progress:
        analysis = analyzer.analyze(loaded.pixels, **of_run, mask=missing, progress=progress)
    settings = {**options, "seed": analyzer.autonomous.seed}
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _write(path, loaded, folder, analysis, settings, report, inputs)
    except BaseException:  # Ctrl-C as well
        with contextlib.suppress(OSError):
            folder.rmdir()  # which works only if it is empty
        raise


def _write(
    path: Path,
    loaded: LoadedImage,
    folder: Path,
    analysis: Analysis,
    settings: Mapping[str, Any],
    report: bool,
    inputs: Sequence[Path],
) -> dict[str, Any]:
    from helicopter.io import atomic_open, write_image

    suffix = ".tif" if loaded.pixels.dtype.kind == "f" else _LOSSLESS_SUFFIX[loaded.format]
    redrawn = folder / f"reconstruction{suffix}"
    write_image(redrawn, analysis.autonomous.reconstruction, icc_profile=loaded.icc_profile)
    remove_earlier(folder, (redrawn, *inputs))
    files = {"figures": str(folder / "figures.json"), "reconstruction": str(redrawn)}
    if report:
        from helicopter.report import write_report

        written = write_report(
            analysis,
            loaded.pixels,
            folder,
            name=path.name,
            options=settings,
            icc_profile=loaded.icc_profile,
            data_range=settings["data_range"],
        )
        files["report"] = str(written.html)
    entry = {
        "image": str(path),
        "format": loaded.format,
        "shape": list(loaded.pixels.shape),
        "dtype": str(loaded.pixels.dtype),
        "options": dict(settings),
        "files": files,
        "analysis": analysis.to_dict(),
    }
    with atomic_open(folder / "figures.json") as file:
        text = json.dumps({"version": __version__, **entry}, indent=2, allow_nan=False)
        file.write(text.encode("ascii"))
    return entry


def remove_earlier(folder: Path, keep: Sequence[Path]) -> None:
    """Remove what an earlier run has left, which may be of another image of the same name.

    Not before the first new file is there: with a full disk the old results stay.
    """
    kept = {path.resolve() for path in keep}
    for name in _KNOWN_FILES:
        old = folder / name
        if old.is_file() and old.resolve() not in kept:
            old.unlink()


def folder_names(paths: Sequence[Path]) -> list[str]:
    """Name a folder for each image: its stem, made safe, and numbered where stems are alike."""
    names: list[str] = []
    taken: set[str] = set()
    for path in paths:
        # what is special to some file system or shell becomes an underscore
        stem = re.sub(r"[^\w .+=@-]", "_", path.stem.encode("utf-8", "replace").decode("utf-8"))
        stem = stem[:60].strip(" .-") or "image"
        name, number = stem, 1
        while name.casefold() in taken:  # some file systems do not tell a from A
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


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
            _number(found["reconstruction_quality"], ".3f"),
            found["understanding_level"],
            _number(found["skill"], ".2f"),
            _number(found["psnr_db"], ".1f", " dB"),
            _number(found["average_confidence"], ".0%"),
            _number(entry["analysis"]["noise"]["total_sigma"], ".3g"),
            _count(entry["analysis"]["anomalies"]),
            _evidence(entry["analysis"]["verification"]),
            found["backend"],
            _number(entry["analysis"]["seconds"], ".2f", " s"),
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


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"
