"""Invariant 7: memory grows with the tile, not with the image.

The bound is three times the image as float32 plus 1 GiB for 100 megapixels, which
`benchmarks/memory.py` measures. Here an image of 8 megapixels has to get by with what is left of
that beside the libraries: a network that held its features for the whole image would need 0.8 GB
for one layer's input and output, and as much again for what it keeps for later.
"""

import subprocess
import sys
import textwrap

import pytest

from helicopter.core.segments._partition import PRESETS

pytestmark = pytest.mark.xdist_group("memory")  # so that two do not fill the machine

LARGE = (2560, 3200)
#: For NumPy, which takes seconds a megapixel; and which cuts into tiles only what is larger.
SMALL = (1280, 1600)
#: What tiles and threads may take, whatever the size of the image.
WORKSPACE_MB = 400
#: What threads take while they look at some rows, and sums over segments.
SEGMENTS_WORKSPACE_MB = 16
#: What NumPy takes for the noise of an image, beside what grows with it.
NOISE_WORKSPACE_MB = 150

PROGRAM = """
import resource
import numpy as np
from helicopter.core import RegionalReconstructionEngine

height, width = {side}
y, x = np.mgrid[:height, :width].astype(np.float32)
image = np.stack([np.sin(y / 9), np.cos(x / 7), np.sin((x + y) / 11)], axis=2) / 2 + np.float32(0.5)
del y, x
mask = np.random.default_rng(0).random((height // 16, width // 16)) < 0.25
mask = mask.repeat(16, axis=0).repeat(16, axis=1)
engine = RegionalReconstructionEngine({algorithm!r}, use_rust_acceleration={rust}, device="cpu")
small = image[:128, :128]
engine.reconstruct(small, mask[:128, :128])  # libraries and weights are there
{prepare}
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak so far does not count


def memory(name):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


before = memory("VmRSS")
{call}
print(memory("VmHWM") - before)
"""


def image_megabytes(side):
    return side[0] * side[1] * 3 * 4 / 2**20


def extra_megabytes(algorithm, call, *, rust, side=LARGE, prepare=""):
    program = textwrap.dedent(PROGRAM).format(
        side=side, algorithm=algorithm, rust=rust, call=call, prepare=prepare
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return float(ran.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("side", [SMALL, pytest.param(LARGE, marks=pytest.mark.exhaustive)])
def test_a_large_image_needs_little_beside_its_result_with_numpy(side):
    # the network's tiles are those of test_network.py
    extra = extra_megabytes("harmonic", "engine.reconstruct(image, mask)", rust=False, side=side)
    assert extra < 3 * image_megabytes(side) + WORKSPACE_MB


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("algorithm", ["network", "harmonic"])
@pytest.mark.usefixtures("both_backends")
def test_a_large_image_needs_little_beside_its_result(algorithm):
    extra = extra_megabytes(algorithm, "engine.reconstruct(image, mask)", rust=True)
    assert extra < 3 * image_megabytes(LARGE) + WORKSPACE_MB


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_cross_reconstruction_does_not_pile_up(backend):
    if backend == "python":
        pytest.skip("slow; what holds memory is the same code for both")
    extra = extra_megabytes("harmonic", "engine.cross_reconstruct(image)", rust=True)
    assert extra < 4 * image_megabytes(LARGE) + WORKSPACE_MB


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_noise_of_a_large_image_needs_little_beside_it(backend):
    rust = backend == "rust"
    detector = f"ZengezaNoiseDetector(use_rust_acceleration={rust}, device='cpu')"
    segments = 9 if rust else None  # one by one, which takes NumPy minutes
    call = (
        "from helicopter.core import ZengezaNoiseDetector; "
        f"{detector}.analyze(image, segments={segments})"
    )
    side, workspace = (LARGE, WORKSPACE_MB) if rust else (SMALL, NOISE_WORKSPACE_MB)
    extra = extra_megabytes("harmonic", call, rust=rust, side=side)
    assert extra < 3 * image_megabytes(side) + workspace


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("count", [250, 10_000])
def test_segments_take_sixteen_bytes_a_pixel_beside_the_image(backend, preset, count):
    if backend == "python":
        pytest.skip("slow; NumPy holds whole images of numbers as it goes")
    prepare = f"""
import helicopter
pixels = (image * 255).astype(np.uint8)
segment = lambda pixels, count: helicopter.segment(
    pixels, count, preset={preset!r}, use_rust_acceleration=True
)
segment(pixels[:64, :64], 4)
"""
    call = f"labels = segment(pixels, {count})"
    extra = extra_megabytes("harmonic", call, rust=True, prepare=prepare)
    assert extra < 16 * LARGE[0] * LARGE[1] / 2**20 + SEGMENTS_WORKSPACE_MB
