"""Parity, speed, memory and leaks of CUDA here, in less than eight minutes; builds nothing.

    python benchmarks/cuda.py

It needs the two wheels, NVRTC and a driver. With HELICOPTER_CUDA_EMULATOR naming the folder of the
emulated driver it runs on that, with small images: its times then say nothing about a card.
"""

import argparse
import ctypes
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from helicopter.core import (
    AutonomousReconstructionEngine,
    RegionalReconstructionEngine,
    SegmentAwareReconstructionEngine,
    ZengezaNoiseDetector,
)
from helicopter.errors import HelicopterError
from helicopter.testing import assert_parity

EMULATOR = os.environ.get("HELICOPTER_CUDA_EMULATOR")
BUDGET = 450.0
ALGORITHMS = ("harmonic", "biharmonic", "network", "exemplar")


def scene(height, width):
    """A colour image with slopes, edges, texture and noise, as float32 in [0, 1]."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    waves = (
        np.sin(x / 7) * np.cos(y / 11) + (((x // 24) + (y // 24)) % 2) + (x + y) / (height + width)
    )
    image = np.stack(
        [waves, np.roll(waves, 5, axis=0), waves.T if height == width else waves], axis=-1
    )
    image = (image - image.min()) / np.ptp(image)
    return (
        (0.9 * image + 0.02 * np.random.default_rng(1).normal(size=image.shape))
        .clip(0, 1)
        .astype(np.float32)
    )


def holes(height, width):
    """A tenth of the pixels, in squares."""
    mask = np.zeros((height, width), bool)
    side = max(8, height // 20)
    for row, column in np.random.default_rng(2).integers(
        0, [[height - side, width - side]], (40, 2)
    ):
        mask[row : row + side, column : column + side] = True
    return mask


class Driver:
    """What the script asks the driver itself."""

    def __init__(self):
        names = [str(Path(EMULATOR) / "libcuda.so")] if EMULATOR else ["libcuda.so.1", "nvcuda.dll"]
        for name in names:
            try:
                self.library = ctypes.CDLL(name)
                break
            except OSError:
                continue
        else:
            sys.exit("No CUDA driver was found: there is nothing to measure. See docs/cuda.md.")
        if EMULATOR:  # under its name, as the product looks for it
            ctypes.CDLL(str(Path(EMULATOR) / "libnvrtc.so"), ctypes.RTLD_GLOBAL)
        self.call("cuInit", 0)
        context = ctypes.c_void_p()
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
        self.call("cuCtxSetCurrent", context)

    def call(self, name, *arguments):
        if code := getattr(self.library, name)(*arguments):
            sys.exit(f"{name} gives error {code}")

    def name(self):
        text = ctypes.create_string_buffer(100)
        self.call("cuDeviceGetName", text, 100, 0)
        return text.value.decode()

    def used(self):
        """Bytes of the card's memory that are taken, but for what the pool keeps."""
        pool, free, total = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
        self.call("cuCtxSynchronize")
        self.call("cuDeviceGetDefaultMemPool", ctypes.byref(pool), 0)
        in_use = ctypes.c_uint64()
        self.call("cuMemPoolGetAttribute", pool, 7, ctypes.byref(in_use))
        self.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return in_use.value, total.value - free.value

    def bandwidth(self, size):
        """Bytes a second that a copy on the card moves, reads and writes together."""
        a, b = ctypes.c_uint64(), ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(a), ctypes.c_size_t(size))
        self.call("cuMemAlloc_v2", ctypes.byref(b), ctypes.c_size_t(size))
        self.call("cuMemsetD8_v2", a, ctypes.c_ubyte(0), ctypes.c_size_t(size))
        best = 0.0
        for _ in range(5):
            self.call("cuCtxSynchronize")
            start = time.perf_counter()
            for _ in range(4):
                self.call("cuMemcpyDtoDAsync_v2", b, a, ctypes.c_size_t(size), None)
            self.call("cuCtxSynchronize")
            best = max(best, 8 * size / (time.perf_counter() - start))
        self.call("cuMemFree_v2", a)
        self.call("cuMemFree_v2", b)
        return best


class Table:
    """Rows as they come, and whether anything failed."""

    def __init__(self):
        self.start = time.perf_counter()
        self.failed = 0

    def row(self, part, what, figure, verdict=""):
        self.failed += verdict == "FAILED"
        print(f"{part:9}{what:48}{figure:>28}  {verdict}", flush=True)

    def left(self):
        return BUDGET - (time.perf_counter() - self.start)

    def measure(self, part, what, work):
        """A row of what `work` gives; an exception is a row as well."""
        if self.left() < 0:
            self.row(part, what, "no time left", "skipped")
            return
        try:
            figure, good = work()
        except (HelicopterError, AssertionError) as error:
            self.row(part, what, type(error).__name__, "FAILED")
            print("    " + str(error).strip().splitlines()[0][:120])
        else:
            self.row(part, what, figure, {True: "ok", False: "FAILED", None: ""}[good])


def calls(size):
    """The engines on a device, by name: a function of the device that gives a result."""
    image, mask = scene(size, size), holes(size, size)
    for algorithm in ALGORITHMS:
        yield (
            algorithm,
            lambda device, a=algorithm: RegionalReconstructionEngine(
                device=device, algorithm=a, use_rust_acceleration=True
            ).reconstruct(image, mask),
        )
    patch = max(8, size // 32)
    yield (
        "autonomous",
        lambda device: AutonomousReconstructionEngine(
            device=device, patch_size=patch, use_rust_acceleration=True
        ).autonomous_analyze(image),
    )
    yield (
        "segments",
        lambda device: SegmentAwareReconstructionEngine(
            device=device, use_rust_acceleration=True
        ).segment_aware_reconstruction(image, segments=12),
    )
    yield (
        "noise",
        lambda device: ZengezaNoiseDetector(device=device, use_rust_acceleration=True).analyze(
            image
        ),
    )


def seconds(work, least=3, most=2.0):
    """The median duration of a call that was made before; emulated, one is enough."""
    if EMULATOR:
        least, most = 1, 0.0
    work()
    taken = []
    while len(taken) < least or (sum(taken) < most and len(taken) < 20):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def parity(table, size):
    """CPU against CUDA, by the table of tiers; and CUDA against itself, to the bit."""
    for name, call in calls(size):

        def compare(call=call):
            first, second, expected = call("cuda"), call("cuda"), call("cpu")
            assert_parity(first, expected)
            same = np.array_equal(
                getattr(first, "reconstruction", 0), getattr(second, "reconstruction", 0)
            )
            return f"{first.device}, repeated: {'same bits' if same else 'OTHER BITS'}", bool(same)

        table.measure("parity", f"{name}, {size} x {size}", compare)


def speed(table, size, emulated):
    """CUDA against the Rust backend on the CPU."""
    for name, call in calls(size):

        def compare(call=call):
            on_card = seconds(lambda: call("cuda"))
            start = time.perf_counter()
            call("cpu")
            on_cpu = time.perf_counter() - start
            return f"{1e3 * on_card:.1f} ms, CPU {on_cpu / on_card:.1f} x", None

        table.measure("speed", f"{name}, {size} x {size}", compare)
    if not emulated:
        image, mask = scene(4096, 4096)[..., 0], np.zeros((4096, 4096), bool)
        mask[8:-8, 8:-8] = True

        def large():
            engine = RegionalReconstructionEngine(device="cuda", algorithm="harmonic")
            return f"{1e3 * seconds(lambda: engine.reconstruct(image, mask), 2, 1.0):.0f} ms", None

        table.measure("speed", "harmonic, 16 megapixels, nearly all hidden", large)


FIRST = """
import os, time, ctypes, numpy as np
if folder := os.environ.get("HELICOPTER_CUDA_EMULATOR"):
    [ctypes.CDLL(f"{folder}/{name}", ctypes.RTLD_GLOBAL) for name in ("libcuda.so", "libnvrtc.so")]
from helicopter.core import RegionalReconstructionEngine
image, mask = np.random.default_rng(0).random((64, 64), np.float32), np.zeros((64, 64), bool)
mask[20:40, 20:40] = True
start = time.perf_counter()
RegionalReconstructionEngine(device="cuda").reconstruct(image, mask)
print(time.perf_counter() - start)
"""


def first_call(table):
    """A process's first call: kernels compiled, then found on disk."""
    with tempfile.TemporaryDirectory() as folder:
        for state, most in (("not cached", 3.0), ("cached", 0.3)):

            def work(most=most):
                done = subprocess.run(
                    [sys.executable, "-c", FIRST],
                    env={**os.environ, "XDG_CACHE_HOME": folder},
                    capture_output=True, text=True, check=False,
                )  # fmt: skip
                assert done.returncode == 0, done.stderr.strip().splitlines()[-1]
                taken = float(done.stdout)
                return f"{taken:.2f} s, to reach {most} s", None if EMULATOR else taken <= most

            table.measure("first", f"kernels {state}", work)


def leaks(table, driver, count):
    """Many calls on one engine and many engines: the card's memory is as before."""
    image, mask = scene(48, 48), holes(48, 48)

    def call():
        RegionalReconstructionEngine(device="cuda", algorithm="harmonic").reconstruct(image, mask)

    def work():
        call()
        before, done = driver.used(), 0
        while done < count and table.left() > 20:
            call()
            done += 1
        after = driver.used()
        grown = after[0] - before[0]
        return (
            f"{done} calls: {grown:+d} in use, {(after[1] - before[1]) >> 20:+d} MiB taken",
            grown == 0,
        )

    table.measure("leaks", "engines made, used and dropped", work)


def main():
    """Print the table; the exit status says whether anything failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.parse_args()
    driver = Driver()
    emulated = driver.name() == "Emulated CUDA device"
    try:
        RegionalReconstructionEngine(device="cuda")
    except HelicopterError as error:
        sys.exit(f"CUDA cannot be used: {error}")
    print(f"device: {driver.name()}")
    if emulated:
        print("Emulated: times say nothing about a card.")
    else:
        print(f"copy bandwidth: {driver.bandwidth(1 << 30) / 1e12:.2f} TB/s")
    table = Table()
    parity(table, 64 if emulated else 256)
    first_call(table)
    speed(table, 64 if emulated else 1024, emulated)
    leaks(table, driver, 50 if emulated else 10_000)
    print(f"{time.perf_counter() - table.start:.0f} s, {table.failed} failed")
    sys.exit(1 if table.failed else 0)


if __name__ == "__main__":
    main()
