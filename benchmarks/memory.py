"""Peak memory and seconds of the reconstruction of a very large image, in a process of its own.

python benchmarks/memory.py [--megapixels 12 25 50 100] [--algorithm network] [--mask blocks16]

With `--algorithm noise`, of the analysis of its noise; with `segment`, of its segmentation; with
`anomalies`, of its anomalies by the harmonic prediction, as `helicopter.analyze` looks for them.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from common import Report, arguments, pin_threads

if TYPE_CHECKING:
    from collections.abc import Callable

MASKS = ("blocks16", "blocks32", "pixels", "hole")
STRIP = 256
#: No algorithms that reconstruct, but measured in the same way.
NOISE, SEGMENT, ANOMALIES = "noise", "segment", "anomalies"
OTHERS = (NOISE, SEGMENT, ANOMALIES)
#: Beside the image, segmentation has so many bytes for each pixel, and this for all of them.
SEGMENT_BYTES, SEGMENT_WORKSPACE = 16, 2**26


def synthetic(side: int, channels: int) -> np.ndarray:
    """Waves of many lengths with some noise, made strip by strip."""
    image = np.empty((side, side, channels), dtype=np.uint8)
    x = np.arange(side, dtype=np.float32)
    rng = np.random.default_rng(0)
    for top in range(0, side, STRIP):
        y = np.arange(top, min(top + STRIP, side), dtype=np.float32)[:, None]
        for channel in range(channels):
            values = 128 + 50 * np.sin(x / 97 + channel) * np.cos(y / 61)
            values += 30 * np.sin((x + 2 * y) / (9 + 4 * channel))
            values += rng.normal(0, 4, values.shape).astype(np.float32)
            image[top : top + STRIP, :, channel] = np.clip(values, 0, 255)
    return image


def quarter_hidden(kind: str, side: int) -> np.ndarray:
    """Return a mask that hides a quarter."""
    mask = np.zeros((side, side), dtype=bool)
    rng = np.random.default_rng(1)
    if kind == "hole":
        quarter = side // 4
        mask[quarter : side - quarter, quarter : side - quarter] = True
        return mask
    cell = {"blocks16": 16, "blocks32": 32, "pixels": 1}[kind]
    for top in range(0, side, STRIP):
        rows = min(STRIP, side - top)
        cells = rng.random((-(-rows // cell), -(-side // cell))) < 0.25
        mask[top : top + rows] = cells.repeat(cell, 0).repeat(cell, 1)[:rows, :side]
    return mask


def peak_bytes(what: str = "VmHWM") -> int:
    """Return the most memory this process has held; with "VmRSS" what it holds."""
    try:  # of this program alone; ru_maxrss may remember the one that started it
        status = Path("/proc/self/status").read_text()
        return int(status.split(f"{what}:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def child(given) -> None:
    """Make the image, reconstruct it, print what that took."""
    pin_threads(given.threads)
    from helicopter.core import RegionalReconstructionEngine

    side = math.isqrt(round(given.megapixels[0] * 1e6))
    image = synthetic(side, given.channels)
    if given.channels == 1:
        image = image[:, :, 0]
    if given.algorithm in OTHERS:
        measure = {NOISE: noise, SEGMENT: segment, ANOMALIES: anomalies}[given.algorithm]
        print(json.dumps(measure(given, image)))
        return
    mask = quarter_hidden(given.mask, side)
    before = peak_bytes()
    engine = RegionalReconstructionEngine(
        algorithm=given.algorithm, use_rust_acceleration=given.backend == "rust", device="cpu"
    )
    wall, cpu = time.perf_counter(), time.process_time()
    result = engine.reconstruct(image, mask)
    seconds, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = peak_bytes()
    known = all(
        np.array_equal(result.reconstruction[rows][~mask[rows]], image[rows][~mask[rows]])
        for rows in (slice(top, top + STRIP) for top in range(0, side, STRIP))
    )
    errors = [
        float(np.square(result.reconstruction[r][mask[r]].astype(float) - image[r][mask[r]]).mean())
        for r in (slice(top, top + STRIP) for top in range(0, side, STRIP))
        if mask[r].any()
    ]
    facts = {
        "seconds": seconds,
        "cpu": cpu,
        "before": before,
        "peak": peak,
        "pixels": side * side,
        "hidden": float(mask.mean()),
        "known": known,
        "psnr": 10 * math.log10(255**2 / float(np.mean(errors))),
    }
    print(json.dumps(facts))


def measured(work: Callable[[], Any], image: np.ndarray) -> tuple[Any, dict[str, Any]]:
    """Return what `work` returns, and what that took."""
    before = peak_bytes()
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    seconds, cpu = time.perf_counter() - wall, time.process_time() - cpu
    pixels = image.shape[0] * image.shape[1]
    return found, {
        "seconds": seconds,
        "cpu": cpu,
        "before": before,
        "peak": peak_bytes(),
        "pixels": pixels,
    }


def noise(given, image: np.ndarray) -> dict[str, Any]:
    """Analyse the noise of the whole and of a grid of segments; return what that took."""
    from helicopter.core import ZengezaNoiseDetector

    detector = ZengezaNoiseDetector(use_rust_acceleration=given.backend == "rust", device="cpu")
    found, facts = measured(lambda: detector.analyze(image, segments=given.segments), image)
    return {**facts, "sigma": found.sigma}


def anomalies(given, image: np.ndarray) -> dict[str, Any]:
    """Look for anomalies; return what that took."""
    from helicopter.core import AnomalyDetector

    detector = AnomalyDetector(
        "harmonic", use_rust_acceleration=given.backend == "rust", device="cpu"
    )
    found, facts = measured(lambda: detector.find(image), image)
    return {**facts, "candidates": found.candidates}


def segment(given, image: np.ndarray) -> dict[str, Any]:
    """Segment the image; return what that took, and whether a grid shows in the borders."""
    import helicopter

    def divide(what: np.ndarray, count: int) -> np.ndarray:
        rust = given.backend == "rust"
        return helicopter.segment(what, count, preset=given.preset, use_rust_acceleration=rust)

    divide(np.ascontiguousarray(image[:64, :64]), 4)  # libraries and threads are there
    before = peak_bytes("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    labels = divide(image, given.segments or 250)
    seconds, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "seconds": seconds,
        "cpu": cpu,
        "before": before,
        "peak": peak_bytes(),
        "pixels": image.shape[0] * image.shape[1],
        "count": int(labels.max()) + 1,
        "seams": {step: seams(labels, step) for step in SEAMS},
    }


#: Spacings of lines that a seam might follow.
SEAMS = (8, 16, 32, 256)


def seams(labels: np.ndarray, step: int) -> float:
    """Return how much more border lies on lines `step` apart than on those half way between them.

    Those half way are as even as the ones asked about: borders that moved on a coarser grid before
    lie on even lines more often, which is no seam.
    """
    height, width = labels.shape
    down = np.zeros(height, dtype=np.int64)  # changes from the row above
    right = np.zeros(width, dtype=np.int64)  # changes from the column to the left
    for top in range(0, height, STRIP):
        rows = labels[max(top - 1, 0) : top + STRIP]
        changed = rows[1:] != rows[:-1]
        down[max(top - 1, 0) + 1 : max(top - 1, 0) + 1 + len(changed)] = changed.sum(axis=1)
        right[1:] += (rows[min(top, 1) :, 1:] != rows[min(top, 1) :, :-1]).sum(axis=0)
    on = np.concatenate([down[step::step], right[step::step]])
    between = np.concatenate([down[step // 2 :: step], right[step // 2 :: step]])
    return float(on.mean() / between.mean())


def run(given, megapixels: float) -> dict[str, Any]:
    """Reconstruct an image of this size in a process of its own; return its row."""
    command = [sys.executable, *sys.argv, "--child", "--megapixels", str(megapixels)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=given.timeout
        )
    except subprocess.TimeoutExpired:
        raise SystemExit(f"{megapixels} megapixels: not done after {given.timeout:.0f} s") from None
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no message: killed, out of memory?"]
        raise SystemExit(f"the work ended with {done.returncode}: {reason[0]}")
    facts = json.loads(done.stdout)
    if given.algorithm == SEGMENT:
        return of_segments(given, facts)
    bound = 3 * facts["pixels"] * given.channels * 4 + 2**30
    gib = 1 / 2**30
    pixels = facts["pixels"] / 1e6
    about_mask = {"mask": given.mask, "hidden": facts["hidden"]} if "hidden" in facts else {}
    quality: dict[str, Any] = {}
    if given.algorithm == NOISE:
        quality = {"sigma": facts["sigma"]}
    elif given.algorithm == ANOMALIES:
        quality = {"candidates": facts["candidates"]}
    else:
        quality = {"PSNR dB": facts["psnr"], "known kept": facts["known"]}
    return {
        "megapixels": pixels,
        "channels": given.channels,
        "algorithm": given.algorithm,
        "backend": given.backend,
        **about_mask,
        "seconds": facts["seconds"],
        "CPU s": facts["cpu"],
        "CPU s / MP": facts["cpu"] / pixels,
        "before GiB": facts["before"] * gib,
        "peak GiB": facts["peak"] * gib,
        "bound GiB": bound * gib,
        "within": facts["peak"] <= bound,
        **quality,
    }


def of_segments(given, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a segmentation."""
    extra, pixels = facts["peak"] - facts["before"], facts["pixels"]
    return {
        "megapixels": pixels / 1e6,
        "channels": given.channels,
        "preset": given.preset,
        "segments": facts["count"],
        "seconds": facts["seconds"],
        "CPU s": facts["cpu"],
        "ms / MP": 1e9 * facts["seconds"] / pixels,
        "CPU ms / MP": 1e9 * facts["cpu"] / pixels,
        "bytes / pixel": extra / pixels,
        "within": extra <= SEGMENT_BYTES * pixels + SEGMENT_WORKSPACE,
        **{f"seams {step}": ratio for step, ratio in facts["seams"].items()},
    }


def main() -> None:
    """Run the children and print their figures beside the bound."""
    parser = arguments(__doc__)
    parser.add_argument("--megapixels", nargs="+", type=float, default=[100.0])
    parser.add_argument("--channels", type=int, choices=(1, 3), default=3)
    parser.add_argument("--mask", choices=MASKS, default="blocks16")
    parser.add_argument("--algorithm", default="network")
    about = "of noise: a grid of so many rows and columns; of segmentation: their number (250)"
    parser.add_argument("--segments", type=int, help=about)
    parser.add_argument("--preset", default="quality", help="of segmentation (quality)")
    parser.add_argument("--backend", choices=("rust", "python"), default="rust")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds, for each size")
    parser.add_argument("--child", action="store_true", help="used by the script itself")
    given = parser.parse_args()
    if given.child:
        child(given)
        return
    pin_threads(given.threads)
    report = Report(given.threads, as_json=given.json)
    rows = [run(given, megapixels) for megapixels in given.megapixels]
    note = "bound: 3 x the image as float32 + 1 GiB; before: input and mask, in the same process"
    if given.algorithm == SEGMENT:
        note = f"memory beside the image, within {SEGMENT_BYTES} bytes a pixel + 64 MiB; seams: "
        note += "border on lines so far apart, over that on lines half way between"
    report.table("Memory, and seconds by size", rows, note)
    report.close()


if __name__ == "__main__":
    main()
