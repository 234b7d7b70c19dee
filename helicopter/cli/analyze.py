"""``helicopter analyze``: image by image, each into a folder of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helicopter.cli.output import (
    BAD_USAGE,
    FAILED,
    complain,
    debugging,
    emit_json,
    explain,
    printable,
    stdout,
)
from helicopter.errors import (
    InvalidMaskError,
    InvalidOptionError,
    RustAccelerationError,
)
from helicopter.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from helicopter.cli.options import Machine
    from helicopter.core.results import Analysis

__all__ = ["analyze_images", "folder_names"]

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
    from helicopter.io import DEFAULT_MAX_PIXELS, read_mask

    limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
    missing = None if mask is None else read_mask(mask, max_pixels=limit)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidOptionError(
            f"cannot make the folder {str(output)!r}: {error.strerror}; choose another with -o"
        ) from error
    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    codes: list[int] = []
    for path, name in zip(paths, folder_names(paths), strict=True):
        try:
            done.append(_analyze_one(path, output / name, machine, options, missing, report, limit))
        except RustAccelerationError:
            raise  # the machine is at fault, not the image: the next one would fail as well
        except Exception as error:  # whatever it is, the other images are still worth doing
            if debugging():
                raise
            code, message = explain(error)
            if isinstance(error, (InvalidOptionError, InvalidMaskError)):
                message = f"{str(path)!r}: {message}"
            complain(message)
            codes.append(code)
            failed.append({"image": str(path), "error": message})
    if as_json:
        emit_json({"version": __version__, "images": done, "errors": failed})
    elif done:
        _print_table(done)
    if not codes:
        return 0
    # options that no image can be analysed with are bad usage, anything else is a failure
    return BAD_USAGE if not done and set(codes) == {BAD_USAGE} else FAILED


def _analyze_one(
    path: Path,
    folder: Path,
    machine: Machine,
    options: Mapping[str, Any],
    missing: Any,
    report: bool,
    limit: int,
) -> dict[str, Any]:
    import helicopter
    from helicopter.io import atomic_open, read_image, write_image
    from helicopter.progress import as_callback

    loaded = read_image(path, max_pixels=limit)
    with as_callback(True, path.name) as progress:
        analysis: Analysis = helicopter.analyze(
            loaded.pixels,
            **options,
            mask=missing,
            seed=machine.seed,
            device=machine.device,
            use_rust_acceleration=machine.use_rust_acceleration,
            progress=progress,
        )
    folder.mkdir(parents=True, exist_ok=True)
    suffix = ".tif" if loaded.pixels.dtype.kind == "f" else _LOSSLESS_SUFFIX[loaded.format]
    redrawn = folder / f"reconstruction{suffix}"
    write_image(redrawn, analysis.autonomous.reconstruction, icc_profile=loaded.icc_profile)
    settings = {**options, "seed": machine.seed}
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
        )
        files["report"] = str(written.html)
    entry = {
        "image": str(path),
        "format": loaded.format,
        "shape": list(loaded.pixels.shape),
        "dtype": str(loaded.pixels.dtype),
        "options": settings,
        "files": files,
        "analysis": analysis.to_dict(),
    }
    with atomic_open(folder / "figures.json") as file:
        text = json.dumps({"version": __version__, **entry}, indent=2, allow_nan=False)
        file.write(text.encode("ascii"))
    return entry


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
    for heading in ("quality", "level", "skill", "PSNR", "error", "confidence", "backend", "time"):
        table.add_column(heading, justify="left" if heading == "level" else "right")
    for entry in done:
        found = entry["analysis"]["autonomous"]
        table.add_row(
            Text(printable(Path(entry["image"]).name)),
            _number(found["reconstruction_quality"], ".3f"),
            found["understanding_level"],
            _number(found["skill"], ".2f"),
            _number(found["psnr_db"], ".1f", " dB"),
            _number(found["mae"], ",.0f" if (found["mae"] or 0) >= 100 else ".3g"),
            _number(found["average_confidence"], ".0%"),
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


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"
