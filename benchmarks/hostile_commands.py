"""Hostile command lines and weights, each in a child with limits of time and memory.

python benchmarks/hostile_commands.py [--commands 1000] [--weights 1000] [--seed 0]

Command lines are put together of the options that commands have, with values that nobody should
give: numbers of any size, names of nothing, the inputs themselves as outputs. Weights are those of
the package with bytes changed, cut off, or numbers in their header replaced. What may come of a
command is success or an error that says so, with the exit status that is promised; what must not
are tracebacks, words of a fault of ours, a dead process, seconds of waiting, inputs that changed
and files left behind.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOOD = ("done", "refused")
#: Seconds of processor time (a report takes three or four, all figures of it drawn) and bytes of
#: memory beyond what is there already; seconds to wait.
SECONDS, BYTES, PATIENCE = 10, 2 << 30, 120

VALUES = (
    "0", "1", "-1", "2", "3", "0.5", "1.5", "nan", "inf", "-inf", "1e308", "1e-320", "9" * 400,
    "-" + "9" * 5000, "2147483648", "18446744073709551616", "", " ", "x", "\N{SNOWMAN}", "\udcff",
    "--", "-o", "auto", "cpu", "cuda", "cuda:0", "cuda:99999999999999", "network", "harmonic",
    "exemplar", "hatata", "0,1", "1,0", "0:255", "0 1", "2x2", "image.png", "mask.png", "grey.tif",
    "broken.png", "empty.png", "folder", "folder/image.png", "nothing.png", "nowhere/out.png",
    "out.png", "out.tif", "out.json", "out.jpg", "out.xyz", "out", ".", "..", "/", "/dev/null",
    "/dev/full", "./image.png", "folder/../image.png", "link.png", "hard.png", "*", "~", "$HOME",
    "a" * 300, "a/" * 300, "weights.safetensors", "<script>alert(1)</script>", "%s%n", "\n",
    "\x1b[2J",
)  # fmt: skip
IMAGES = ("image.png", "grey.tif", "mask.png", "link.png", "broken.png", "nothing.png", "folder")


def prepare(folder: Path) -> None:
    """Lay out what commands are pointed at."""
    from PIL import Image

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
    mask = np.zeros((20, 24), np.uint8)
    mask[4:9, 6:14] = 255
    Image.fromarray(pixels).save(folder / "image.png")
    Image.fromarray(pixels[..., 0]).save(folder / "grey.tif")
    Image.fromarray(mask).save(folder / "mask.png")
    (folder / "broken.png").write_bytes((folder / "image.png").read_bytes()[:300])
    (folder / "empty.png").touch()
    (folder / "weights.safetensors").write_bytes(b"\0" * 64)
    (folder / "folder").mkdir()
    shutil.copy(folder / "image.png", folder / "folder" / "image.png")
    (folder / "link.png").symlink_to("image.png")
    os.link(folder / "image.png", folder / "hard.png")


def contents(folder: Path) -> dict[str, str]:
    """Name and digest of every file in a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


#: Values that fit an option; others fit one of the last.
FITTING = {
    "--mask": ("mask.png",),
    "-o": ("out", "out.png"),
    "--output": ("out", "out.png"),
    "--algorithm": ("harmonic", "network", "biharmonic"),
    "--backend": ("python", "rust", "auto"),
    "--device": ("cpu", "auto"),
    "--seed": ("0", "7"),
    "--segments": ("4", "2,2"),
}
ANYTHING = ("1", "3", "8", "0.5", "0.9", "map.png", "map.tif")
Options = list[tuple[str, tuple[str, ...]]]


def options_of() -> dict[str, Options]:
    """The options of every command, and values that fit; none where they take none."""
    import typer

    from helicopter.cli._app import app

    group: Any = typer.main.get_command(app)
    return {
        name: [
            (
                option,
                () if getattr(parameter, "is_flag", False) else FITTING.get(option, ANYTHING),
            )
            for parameter in command.params
            for option in getattr(parameter, "opts", ())
            # a photograph of its own, which takes what it takes
            if option.startswith("-") and option != "--sample"
        ]
        for name, command in group.commands.items()
        # a benchmark takes minutes, and that is not its fault; training needs PyTorch
        if name not in ("bench", "train")
    }


def command_line(rng: np.random.Generator, commands: dict[str, Options]) -> list[str]:
    """Put one together."""

    def pick(items: Any) -> Any:
        return items[int(rng.integers(len(items)))]

    name = pick(list(commands))
    fits = rng.random() < 0.7  # how likely it is that a value does
    arguments = ["image.png" if fits else pick([*IMAGES, pick(VALUES)])]
    if name == "reconstruct" and rng.random() < 0.8:
        arguments += ["--mask", "mask.png", "-o", "out.png"]
    for _ in range(int(rng.integers(0, 5))):
        option, fitting = pick(commands[name])
        arguments.append(option)
        if fitting and rng.random() < (0.9 if fits else 0.4):
            arguments.append(pick(fitting))
        elif fitting or rng.random() < 0.05:
            arguments.append(pick(VALUES))
    if rng.random() < 0.05:
        arguments = [pick(VALUES) for _ in arguments]
    if rng.random() < 0.02:
        name = pick(VALUES)
    # what an argument cannot hold, no shell can pass on
    return [name, *[text.replace("\0", "") for text in arguments]]


def run_command(arguments: list[str]) -> int:
    """Run the command in this process and return its exit status."""
    from helicopter.cli import main

    try:
        main(arguments)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1


def watched(work: Callable[[], int], folder: Path) -> tuple[str, str]:
    """Do some work in a child; return what came of it, and what it said."""
    said = folder.parent / f"{folder.name}.said"
    child = os.fork()
    if child == 0:
        status = 99
        try:
            stream = os.open(said, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(stream, 1)
            os.dup2(stream, 2)
            os.chdir(folder)
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
            limit = pages * os.sysconf("SC_PAGE_SIZE") + BYTES
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            used = sum(os.times()[:2])
            resource.setrlimit(resource.RLIMIT_CPU, (int(used) + 4 * SECONDS,) * 2)
            status = work()
            if sum(os.times()[:2]) - used > SECONDS:
                status = 98
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            for stream_ in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream_.flush()
            os._exit(status)
    end = time.monotonic() + PATIENCE
    while (waited := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, 9)
            os.waitpid(child, 0)
            return "hang", ""
        time.sleep(0.002)
    text = said.read_text(encoding="utf-8", errors="replace")
    said.unlink()
    status = os.waitstatus_to_exitcode(waited[1])
    if status < 0:
        return ("too slow" if -status in (9, 24) else "crash"), f"signal {-status}: {text[-300:]}"
    if status == 98:
        return "too slow", ""
    if "Traceback" in text or "fault of ours" in text or "panicked" in text or status == 99:
        return "foreign exception", text[-1500:]
    if status not in (0, 1, 2):
        return "exit status", f"{status}: {text[-300:]}"
    if status and not text.strip():
        return "said nothing", ""
    return ("refused" if status else "done"), text


def run_commands(count: int, seed: int = 0) -> Counter[str]:
    """Run hostile command lines and count what came of them."""
    commands = options_of()
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="hostile-") as base:
        template = Path(base) / "template"
        template.mkdir()
        prepare(template)
        before = contents(template)
        # what is imported once need not be imported by every child
        watched(lambda: run_command(["analyze", "image.png", "-o", "warm"]), template)
        _warm_up()
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            arguments = command_line(rng, commands)
            folder = Path(base) / f"{number}"
            shutil.copytree(template, folder, symlinks=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(folder / "warm")
            (folder / "hard.png").unlink()
            os.link(folder / "image.png", folder / "hard.png")
            result, said = watched(lambda: run_command(arguments), folder)  # noqa: B023
            after = contents(folder)
            changed = [
                name
                for name in before
                if after.get(name) != before[name] and not _meant(name, arguments)
            ]
            left = [name for name in after if "/." in f"/{name}" or name.endswith(".tmp")]
            if changed:
                result, said = "file lost", f"{changed}: {said[-300:]}"
            elif left:
                result, said = "file left behind", f"{left}: {said[-300:]}"
            outcomes[result] += 1
            if result not in GOOD:
                print(f"command {number} of seed {seed}: {result}: {arguments!r}"[:600], said)
            shutil.rmtree(folder)
    return outcomes


def _meant(name: str, arguments: list[str]) -> bool:
    """Whether a command was asked to write a file, which it was not asked to read."""
    written = {os.path.normpath(text) for text in arguments}
    first = next((at for at, text in enumerate(arguments) if text.startswith("-")), len(arguments))
    read = [*arguments[1:first], *(b for a, b in pairwise(arguments) if a == "--mask")]
    return name in written and name not in {os.path.normpath(text) for text in read}


def _warm_up() -> None:
    import importlib

    from helicopter.core import AutonomousReconstructionEngine

    for name in ("matplotlib.figure", "scipy.linalg", "scipy.ndimage", "helicopter.report"):
        importlib.import_module(name)
    AutonomousReconstructionEngine(8).autonomous_analyze(np.zeros((16, 16), np.uint8))


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a weights file that somebody has changed."""
    size = int.from_bytes(data[:8], "little")
    choice = int(rng.integers(7))
    out = bytearray(data)
    if choice == 0:
        return bytes(out[: int(rng.integers(0, len(out)))])
    if choice == 1:
        for at in rng.integers(0, 8 + size, int(rng.integers(1, 6))):
            out[at] = rng.integers(256)
        return bytes(out)
    if choice == 2:
        out[:8] = int(rng.integers(0, 2**63)).to_bytes(8, "little")
        return bytes(out)
    if choice == 3:
        at = int(rng.integers(8 + size, len(out) - 4096))
        out[at : at + 2048] = rng.bytes(2048)
        return bytes(out)
    header = json.loads(out[8 : 8 + size])
    names = [name for name in header if name != "__metadata__"]
    one = header[names[int(rng.integers(len(names)))]]
    if choice == 4:
        one["shape"] = [int(rng.choice([0, 1, 7, 2**31, 2**62])) for _ in one["shape"]]
    elif choice == 5:
        one["data_offsets"] = [int(n) for n in rng.integers(-5, 2 * len(out), 2)]
    else:
        one["dtype"] = str(rng.choice(["F64", "I8", "BOOL", "F8_E4M3", "", "X"]))
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(out[8 + size :])


def run_weights(count: int, seed: int = 0) -> Counter[str]:
    """Predict with damaged weights and count what came of it."""
    import helicopter.models
    from helicopter.core import RegionalReconstructionEngine
    from helicopter.errors import HelicopterError

    shipped = (Path(helicopter.models.__file__).parent / "network.safetensors").read_bytes()
    image = np.random.default_rng(0).integers(0, 256, (24, 24), dtype=np.uint8)
    mask = np.zeros(image.shape, bool)
    mask[5:12, 6:15] = True
    _warm_up()

    def use() -> int:
        for rust in (False, True):
            try:
                engine = RegionalReconstructionEngine(weights="weights", use_rust_acceleration=rust)
                found = engine.reconstruct(image, mask)
            except HelicopterError as error:
                print(error)
                return 1
            if not np.isfinite(found.uncertainty_map).all():
                raise ArithmeticError("an uncertainty that is no number")
        return 0

    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="hostile-") as base:
        folder = Path(base) / "weights"
        folder.mkdir()
        for number in range(count):
            data = damaged(shipped, np.random.default_rng([seed, number]))
            (folder / "weights").write_bytes(data)
            result, said = watched(use, folder)
            outcomes[result] += 1
            if result not in GOOD:
                print(f"weights {number} of seed {seed}: {result}: {said}")
    return outcomes


def lines(name: str, outcomes: Counter[str]) -> Iterator[str]:
    """Say what came of it."""
    for result, number in outcomes.most_common():
        yield f"{name:10} {result:20} {number:8,}"


def main() -> None:
    """Print outcomes; the exit status tells whether there were others than allowed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--commands", type=int, default=1_000)
    parser.add_argument("--weights", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = {
        "commands": run_commands(options.commands, options.seed),
        "weights": run_weights(options.weights, options.seed),
    }
    for name, outcomes in found.items():
        print("\n".join(lines(name, outcomes)))
    sys.exit(any(result not in GOOD for outcomes in found.values() for result in outcomes))


if __name__ == "__main__":
    main()
