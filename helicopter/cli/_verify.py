"""``helicopter verify``: whether images are understood, after no more looks than it takes."""

from __future__ import annotations

import contextlib
import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._version import __version__
from helicopter.report import _verification_wording as wording

from ._many import each_image
from ._masks import check_fits
from ._output import printable, stdout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from helicopter.core import AutonomousAnalysis, AutonomousReconstructionEngine, Verification
    from helicopter.io import LoadedImage

    from ._options import Machine

__all__ = ["verify_images"]


def verify_images(
    paths: Sequence[Path],
    machine: Machine,
    verifier: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    mask: Path | None = None,
    output: Path | None = None,
    max_pixels: int | None = None,
    as_json: bool = False,
) -> int:
    """Look at each image until it can be decided, print the verdicts, and return the exit code."""
    from helicopter._shared.progress import as_callback
    from helicopter.io import DEFAULT_MAX_PIXELS, read_image, read_mask

    from ._analyze import folder_names, make_folder

    engine = _engine(machine, verifier, options)
    limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
    missing = None if mask is None else read_mask(mask, max_pixels=limit)
    if output is not None:
        make_folder(output)
    given = [*paths, *(Path(file) for file in (mask, options["weights"]) if file is not None)]
    names = folder_names(paths)
    settings = {**verifier, **options, "seed": machine.seed}
    said: list[tuple[str, Sequence[str], str | None]] = []

    def work(number: int, path: Path) -> dict[str, Any]:
        loaded = read_image(path, max_pixels=limit)
        check_fits(mask, missing, path, loaded.pixels)
        with as_callback(True, path.name) as progress:
            found = engine.autonomous_analyze(
                loaded.pixels,
                initial_known=options["initial_known"],
                data_range=options["data_range"],
                mask=missing,
                progress=progress,
            )
        verification = found.verification
        assert verification is not None  # the engine was told to stop by it
        possible = wording.possible_looks(found)
        sentences = _sentences(verification, possible)
        files: dict[str, str] = {}
        entry = {
            "image": str(path),
            "format": loaded.format,
            "shape": list(loaded.pixels.shape),
            "dtype": str(loaded.pixels.dtype),
            "options": settings,
            "possible_looks": possible,
            "verdict": sentences,
            "verification": verification.to_dict(),
            "autonomous": found.to_dict(),
            "files": files,
        }
        if output is not None:
            _write_report(path, loaded, output / names[number], found, entry, given)
        said.append((printable(path.name), sentences, files.get("report")))
        return entry

    outcome = each_image(paths, work)
    if as_json:
        outcome.emit_json()
    else:
        _print(said)
    return outcome.exit_code()


def _engine(
    machine: Machine, verifier: Mapping[str, Any], options: Mapping[str, Any]
) -> AutonomousReconstructionEngine:
    """Make the engine of all images; what is wrong with an option is said here, and once."""
    from helicopter._shared.checks import check_fraction
    from helicopter.core import AutonomousReconstructionEngine, HatataMDPEngine
    from helicopter.core.validation import prepare_image

    check_fraction(options["initial_known"], "initial_known", ends=False)
    # an image of which nothing is looked at: only the range can be refused
    prepare_image(
        np.zeros((1, 1), np.float32),
        hidden=np.ones((1, 1), np.bool_),
        data_range=options["data_range"],
    )
    hatata = HatataMDPEngine(machine.device, machine.use_rust_acceleration)
    of_policy = {name: value for name, value in verifier.items() if name != "threshold"}
    return AutonomousReconstructionEngine(
        **{name: options[name] for name in ("patch_size", "algorithm", "weights")},
        device=machine.device,
        use_rust_acceleration=machine.use_rust_acceleration,
        seed=machine.seed,
        stop=hatata.stopping_policy(**of_policy),
        threshold=verifier["threshold"],
    )


def _sentences(verification: Verification, possible: int) -> list[str]:
    return [
        wording.verdict_sentence(verification),
        wording.interval_sentence(verification),
        wording.looks_sentence(verification, possible),
        wording.next_sentence(verification),
    ]


def _write_report(
    path: Path,
    loaded: LoadedImage,
    folder: Path,
    found: AutonomousAnalysis,
    entry: dict[str, Any],
    inputs: Sequence[Path],
) -> None:
    """Write the page, its plots and the figures; what an earlier run has left there goes."""
    from helicopter.io import atomic_open
    from helicopter.report import write_report

    from ._analyze import remove_earlier

    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = write_report(
            found,
            loaded.pixels,
            folder,
            name=path.name,
            options=entry["options"],
            icc_profile=loaded.icc_profile,
            data_range=entry["options"]["data_range"],
        )
        remove_earlier(folder, (written.html, *written.plots, *inputs))
        figures = folder / "figures.json"
        entry["files"].update(figures=str(figures), report=str(written.html))
        with atomic_open(figures) as file:
            text = json.dumps({"version": __version__, **entry}, indent=2, allow_nan=False)
            file.write(text.encode("ascii"))
    except BaseException:  # Ctrl-C as well
        with contextlib.suppress(OSError):
            folder.rmdir()  # which works only if it is empty
        raise


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
