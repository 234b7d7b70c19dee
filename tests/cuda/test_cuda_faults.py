"""What fails on a GPU reaches Python as an exception, leaves nothing behind, and all goes on."""

import gc
import os
import subprocess
import sys

import numpy as np
import pytest
from cuda_driver import FOLDER

import helicopter
from helicopter.errors import DeviceError

pytestmark = pytest.mark.cuda


def _reconstruct(algorithm="harmonic"):
    image = np.linspace(0, 1, 24 * 25, dtype=np.float32).reshape(24, 25)
    mask = np.zeros((24, 25), bool)
    mask[8:14, 9:17] = True
    return helicopter.reconstruct(image, mask, algorithm, device="cuda")


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("alloc:1+", "bytes were asked for"),
        ("alloc:3+", "bytes were asked for"),
        ("refuse:2", "starting the kernel"),
        ("launch:1", "LAUNCH_FAILED"),
        ("copy:1", "copy"),
        ("lost:9", "CUDA_ERROR_UNKNOWN"),
    ],
)
def test_faults_are_device_errors(emulated, fault, text):
    expected = _reconstruct().reconstruction
    gc.collect()
    before = emulated.counts()["live"]
    emulated.fault(fault)
    with pytest.raises(DeviceError, match=text):
        _reconstruct()
    if fault.startswith(("alloc", "lost")):
        emulated.reset()  # other programs have ended; it is plugged in again
    gc.collect()
    assert np.array_equal(_reconstruct().reconstruction, expected)
    gc.collect()
    assert emulated.counts()["live"] <= before


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("devices:0", "NO_DEVICE"),
        ("init:803", "SYSTEM_DRIVER_MISMATCH"),
        ("version:11010", "version 11.1"),
        ("old", "too old"),
    ],
)
def test_other_machines(emulated, fault, text):
    folders = os.pathsep.join(map(str, [FOLDER / "old"] * (fault == "old") + [FOLDER]))
    environment = {**os.environ, "LD_LIBRARY_PATH": folders, "HELICOPTER_EMULATOR_FAULT": fault}
    code = (
        "from helicopter.core import RegionalReconstructionEngine as Engine\n"
        "from helicopter.errors import DeviceError\n"
        "assert Engine(device='auto').device == 'cpu'\n"
        "try: Engine(device='cuda')\n"
        "except DeviceError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert text in done.stdout


@pytest.mark.parametrize("algorithm", ["harmonic", "network"])
def test_after_a_kernel_has_failed_the_gpu_is_opened_anew(emulated, algorithm):
    # its context is of no use after that, and with it the weights that were there
    expected = _reconstruct(algorithm).reconstruction
    emulated.fault("launch:1")
    with pytest.raises(DeviceError, match="LAUNCH_FAILED"):
        _reconstruct(algorithm)
    assert np.array_equal(_reconstruct(algorithm).reconstruction, expected)


KEPT = """
import sys
from pathlib import Path
from helicopter.core import CudaKernel
arguments = "const float*, const unsigned char*, float*, float*, int, int, int"
source = 'extern "C" __global__ void predict(' + arguments + ') {}'
CudaKernel(source)
for path in (Path(sys.argv[1]) / "helicopter" / "kernels").iterdir():
    print(path.name, path.stat().st_mtime_ns, len(path.read_bytes()))
"""


def test_compiled_kernels_are_kept_and_damaged_ones_made_anew(emulated, tmp_path):
    environment = {
        **os.environ, "LD_LIBRARY_PATH": str(FOLDER), "XDG_CACHE_HOME": str(tmp_path)
    }  # fmt: skip

    def kept():
        done = subprocess.run(
            [sys.executable, "-c", KEPT, str(tmp_path)],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = kept()
    assert kept() == first  # nothing was written again
    (file,) = (tmp_path / "helicopter" / "kernels").iterdir()
    whole = file.read_bytes()
    for damaged in (b"", whole[:100], whole[:-1], whole[:60] + b"x" + whole[61:]):
        file.write_bytes(damaged)
        mended = kept()
        assert len(file.read_bytes()) > 100
        assert kept() == mended
    file.unlink()
    (tmp_path / "helicopter" / "kernels").rmdir()
    (tmp_path / "helicopter" / "kernels").write_bytes(b"")  # no folder can be made
    done = subprocess.run(
        [sys.executable, "-c", KEPT.split("for path")[0]],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


SMALL = """
import numpy as np, helicopter
y, x = np.mgrid[:60, :60]
image = (0.5 + 0.3 * np.sin(x / 7) * np.cos(y / 9)).astype(np.float32)
mask = np.zeros(image.shape, bool)
mask[20:40, 15:45] = True
for algorithm in ("harmonic", "biharmonic"):
    one, other = (
        helicopter.reconstruct(image, mask, algorithm, device=on) for on in ("cpu", "cuda")
    )
    helicopter.testing.assert_parity(one, other)
    print(other.device)
"""


def test_what_does_not_fit_beside_the_image_is_solved_by_the_processor(emulated):
    environment = {
        **os.environ, "LD_LIBRARY_PATH": str(FOLDER), "HELICOPTER_EMULATOR_MEMORY": "70000"
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SMALL], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["cuda:0"] * 2
