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


def _reconstruct():
    image = np.linspace(0, 1, 24 * 25, dtype=np.float32).reshape(24, 25)
    mask = np.zeros((24, 25), bool)
    mask[8:14, 9:17] = True
    return helicopter.reconstruct(image, mask, "harmonic", device="cuda")


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
    emulated.reset()
    gc.collect()
    assert np.array_equal(_reconstruct().reconstruction, expected)
    gc.collect()
    if not fault.startswith(("launch", "copy", "lost")):
        # after those, nothing can be freed but with the context, which this test holds as well
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
