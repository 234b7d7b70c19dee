"""What the benchmarks share: paired timing, the machine in words, photographs, tables."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Photo = NDArray[np.uint8]
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
_PINNED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")


def arguments(
    description: str, *, images: bool = False, required: bool = True
) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="for every library (default 1)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    if images:
        about = "folder of photographs"
        parser.add_argument("--images", type=Path, required=required, help=about)
        parser.add_argument("--crop", type=int, default=512, help="side of the centre crop")
        parser.add_argument("--limit", type=int, default=None, help="use only the first N images")
        parser.add_argument("--grey", action="store_true", help="in grey (luma), one channel")
    return parser


def pin_threads(threads: int) -> None:
    """Give every library `threads` threads; starts anew where an environment variable is late."""
    if any(os.environ.get(name) != str(threads) for name in _PINNED):
        os.environ.update(dict.fromkeys(_PINNED, str(threads)))
        os.execv(sys.executable, sys.orig_argv)  # NumPy has read its variables already
    import helicopter

    helicopter.set_num_threads(threads)
    try:
        import cv2
    except ModuleNotFoundError:
        return
    cv2.setNumThreads(threads)


# -- timing ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seconds:
    """One run: on the wall clock, and of processor time (all threads of the process)."""

    wall: float
    cpu: float


def timed(job: Callable[[], object]) -> Seconds:
    """Run `job` once."""
    cpu, wall = time.process_time(), time.perf_counter()
    job()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def paired(
    jobs: Mapping[str, Callable[[], object]], repeats: int, budget: float = float("inf")
) -> dict[str, list[Seconds]]:
    """Run all jobs in turn, `repeats` times, every other round backwards.

    A busy moment of the machine so hits neighbours alike. Rounds stop early (after the first) when
    they have taken `budget` seconds.
    """
    runs: dict[str, list[Seconds]] = {name: [] for name in jobs}
    began = time.perf_counter()
    for number in range(repeats):
        for name in list(jobs)[:: -1 if number % 2 else 1]:
            runs[name].append(timed(jobs[name]))
        if time.perf_counter() - began > budget:
            break
    return runs


def median(runs: Sequence[Seconds], clock: str = "wall") -> float:
    """Median over the rounds."""
    return statistics.median(getattr(run, clock) for run in runs)


def median_ratio(slow: Sequence[Seconds], fast: Sequence[Seconds], clock: str = "wall") -> float:
    """Median of the ratios of the pairs."""
    pairs = zip(slow, fast, strict=True)
    return statistics.median(getattr(a, clock) / getattr(b, clock) for a, b in pairs)


# -- photographs -------------------------------------------------------------------------------


def photographs(
    folder: Path, crop: int, limit: int | None = None, *, grey: bool = False
) -> list[tuple[str, Photo]]:
    """Read the 8-bit RGB images of a folder, by file name, cut to the centre: (H, W, C)."""
    from PIL import Image

    from helicopter.io import read_image

    photos = []
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)[:limit]:
        pixels = read_image(path).pixels
        if pixels.dtype != np.uint8 or pixels.ndim != 3:
            raise SystemExit(f"{path.name}: the benchmarks want 8-bit RGB images")
        height, width = (min(side, crop) for side in pixels.shape[:2])
        y, x = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        photo = np.ascontiguousarray(pixels[y : y + height, x : x + width, :3])
        if grey:  # ITU-R 601 luma, rounded
            photo = np.array(Image.fromarray(photo).convert("L"))[:, :, None]
        photos.append((path.stem, photo))
    if not photos:
        raise SystemExit(f"{folder}: no images ({', '.join(SUFFIXES)})")
    return photos


def square_photo(path: Path | None, size: int) -> Photo:
    """Return a square photograph: the centre of `path` or of the packaged sample, resized."""
    from PIL import Image

    from helicopter.io import read_image, sample_image

    pixels = sample_image() if path is None else read_image(path).pixels[:, :, :3]
    side = min(pixels.shape[:2])
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    square = Image.fromarray(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    return np.array(square.resize((size, size), Image.Resampling.LANCZOS))


def solve_equation(image: NDArray[np.float32], mask: Any, kind: str, *, rust: bool) -> None:
    """Fill an image in place by a differential equation alone, with the threads that are set."""
    if rust:
        import helicopter_rs

        import helicopter

        helicopter_rs.solve_pde(image, mask, kind, threads=helicopter.get_num_threads())
        return
    from helicopter.backends.reference.algorithms import pde

    pde.solve(image, mask, kind)


# -- printing ----------------------------------------------------------------------------------


def machine(threads: int) -> dict[str, Any]:
    """Describe where and with what is measured."""
    from helicopter.backends.loader import accelerator

    rust = accelerator()
    build = {} if rust is None else rust.build_info()
    if build.get("debug_assertions"):
        raise SystemExit("helicopter_rs is a debug build: run `maturin develop --release`")
    libraries = ["helicopter", "numpy", "scipy", "scikit-image", "opencv-python-headless"]
    libraries += ["opencv-contrib-python-headless", "pypatchmatch", "fast-slic", "higra"]
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in libraries},
        "rust": f"{build['rustc']}, {build['profile']}" if build else "not installed",
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


class Report:
    """Collects tables; prints them as they come, or all as JSON at the end."""

    def __init__(self, threads: int, *, as_json: bool) -> None:
        self.as_json = as_json
        self.parts: dict[str, Any] = {"machine": machine(threads)}
        if not as_json:
            here = self.parts["machine"]
            libraries = ", ".join(f"{n} {v}" for n, v in here["libraries"].items() if v)
            print(f"{here['processor']}, {here['cores']} cores, load {here['load']}; ", end="")
            print(f"{threads} thread(s); Python {here['python']}, {libraries}; {here['rust']}")

    def table(self, title: str, rows: Sequence[Mapping[str, Any]], note: str = "") -> None:
        """Add a table; floats are shown with four significant digits."""
        self.parts[title] = {"rows": list(rows), "note": note}
        if self.as_json:
            return
        from rich.console import Console
        from rich.table import Table

        # a title of its own would be broken to the width of a narrow table
        table = Table(box=None, pad_edge=False)
        for number, heading in enumerate(rows[0]):
            table.add_column(heading, justify="right" if number else "left", no_wrap=True)
        for row in rows:
            table.add_row(*map(_text, row.values()))
        console = Console(width=max(100, Console().width) if sys.stdout.isatty() else 160)
        console.print(f"\n{title}", style="bold", highlight=False, markup=False)
        console.print(table)
        if note:
            console.print(note, style="dim", highlight=False, markup=False)

    def close(self) -> None:
        """Print the JSON, if that was asked for."""
        if self.as_json:
            print(json.dumps(self.parts, indent=1))


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
