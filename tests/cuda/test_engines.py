"""Every engine on a GPU gives what it gives on the processor."""

import numpy as np
import pytest
from cuda_driver import FOLDER, Driver

import helicopter
from helicopter.core import (
    AutonomousReconstructionEngine,
    RegionalReconstructionEngine,
    SegmentAwareReconstructionEngine,
    ZengezaNoiseDetector,
)
from helicopter.errors import DeviceError, InvalidImageError, InvalidMaskError, InvalidOptionError
from helicopter.io import sample_image
from helicopter.testing import assert_parity

pytestmark = pytest.mark.cuda
DEVICES = ("cpu", "cuda")


@pytest.fixture(scope="module")
def image():
    return np.ascontiguousarray(sample_image()[100:148, 100:151, :3])


@pytest.fixture(scope="module")
def hole():
    mask = np.zeros((48, 51), bool)
    mask[10:22, 20:35] = True
    mask[0, :9] = mask[40:, 44:] = mask[30, 5] = True
    return mask


@pytest.mark.parametrize("algorithm", ["network", "harmonic", "biharmonic", "exemplar"])
@pytest.mark.parametrize("channels", [1, 3])
def test_regional(image, hole, algorithm, channels):
    given = image if channels == 3 else image[..., 0]
    one, other = (helicopter.reconstruct(given, hole, algorithm, device=on) for on in DEVICES)
    assert (one.device, other.device) == ("cpu", "cuda:0")
    assert_parity(one, other)
    again = helicopter.reconstruct(given, hole, algorithm, device="cuda")
    np.testing.assert_array_equal(again.reconstruction, other.reconstruction)
    np.testing.assert_array_equal(again.uncertainty_map, other.uncertainty_map)


@pytest.mark.parametrize("algorithm", ["network", "harmonic"])
@pytest.mark.parametrize("open_book", [False, True])
@pytest.mark.parametrize("strategy", ["adaptive", "uncertainty_guided"])
def test_autonomous(image, hole, algorithm, open_book, strategy):
    one, other = (
        AutonomousReconstructionEngine(
            8, device=on, algorithm=algorithm, strategy=strategy
        ).autonomous_analyze(image, mask=hole, open_book=open_book, max_iterations=4)
        for on in DEVICES
    )
    assert other.device == "cuda:0"
    assert_parity(one, other)


def test_segments(image):
    one, other = (
        SegmentAwareReconstructionEngine(
            device=on, algorithm="harmonic"
        ).segment_aware_reconstruction(image, segments=5)
        for on in DEVICES
    )
    assert_parity(one, other)


@pytest.mark.parametrize("kind", ["rgb", "grey", "with a hole"])
def test_noise(image, hole, kind):
    given = image[..., 1] if kind == "grey" else image
    mask = hole if kind == "with a hole" else None
    one, other = (ZengezaNoiseDetector(device=on).analyze(given, mask=mask) for on in DEVICES)
    assert_parity(one, other)
    assert_parity(*(helicopter.estimate_sigma(given, mask=mask, device=on) for on in DEVICES))


def test_registered_kernels_run_in_loops_on_the_gpu(image):
    def mean(context, mask):
        return np.broadcast_to(context[~mask].mean(axis=0), context.shape)

    helicopter.register_algorithm("mean", mean)
    try:
        one, other = (
            AutonomousReconstructionEngine(8, device=on, algorithm="mean").autonomous_analyze(
                image, max_iterations=3
            )
            for on in DEVICES
        )
    finally:
        helicopter.core.unregister_algorithm("mean")
    assert_parity(one, other)


# ---- arrays that live there


class There:
    """An array as PyTorch and CuPy show theirs."""

    def __init__(self, driver, array, version=3):
        self.array, self.at = array, driver.upload(array)
        driver("cuCtxSynchronize")
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (self.at.value, False),
            "strides": None,
            "version": version,
        }
        if version == 3:
            self.__cuda_array_interface__["stream"] = 1


@pytest.fixture
def there():
    driver = Driver(FOLDER / "libcuda.so")
    made = []

    def put(array, version=3):
        made.append(There(driver, np.ascontiguousarray(array), version))
        return made[-1]

    yield put
    for one in made:
        driver.free(one.at)
    driver.close()


@pytest.mark.parametrize("algorithm", ["network", "harmonic"])
@pytest.mark.parametrize("mask_type", [bool, np.uint8])
def test_images_on_the_gpu_stay_there(there, image, hole, algorithm, mask_type):
    scene = (image / np.float32(50) - 2).astype(np.float32)
    span = (-2.0, 4.0)
    engine = RegionalReconstructionEngine(algorithm, device="cuda")
    expected = engine.reconstruct(scene, hole, data_range=span)
    mask = there(hole.astype(mask_type), version=2)
    result = engine.reconstruct(there(scene), mask, data_range=span)
    for name in ("reconstruction", "uncertainty_map", "confidence_map"):
        assert result[name].__cuda_array_interface__["shape"] == expected[name].shape
        found = result[name].to_host()
        np.testing.assert_allclose(found, expected[name], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(result.reconstruction.to_host()[~hole], scene[~hole])
    # what came out goes in again
    mask = there(hole)
    again = engine.reconstruct(result.reconstruction, mask, data_range=span, out="host")
    np.testing.assert_allclose(again.reconstruction, expected.reconstruction, atol=1e-3)


def test_nothing_is_copied_unasked(there, image, hole):
    scene = (image / np.float32(255)).astype(np.float32)
    on_gpu, mask = there(scene), there(hole)
    engine = RegionalReconstructionEngine("harmonic", device="cuda")
    with pytest.raises(DeviceError, match="engine runs on 'cpu'"):
        RegionalReconstructionEngine("harmonic", device="cpu").reconstruct(on_gpu, mask)
    with pytest.raises(InvalidMaskError, match="the mask is not"):
        engine.reconstruct(on_gpu, hole)
    with pytest.raises(InvalidMaskError, match="hides every pixel"):
        engine.reconstruct(on_gpu, there(np.ones_like(hole)))
    with pytest.raises(InvalidMaskError, match="bool or uint8 of shape"):
        engine.reconstruct(on_gpu, there(hole[1:]))
    with pytest.raises(InvalidOptionError, match="memory of the host"):
        engine.reconstruct(scene, hole, out="device")
    with pytest.raises(InvalidOptionError, match="out: got 'gpu'"):
        engine.reconstruct(scene, hole, out="gpu")
    with pytest.raises(InvalidImageError, match="float32 with at least one pixel"):
        engine.reconstruct(there(image), mask)
    with pytest.raises(InvalidImageError, match="data_range"):
        engine.reconstruct(there(scene * 2), mask)
    scene[40, 3] = np.nan
    with pytest.raises(InvalidImageError, match="3 visible values that are NaN"):
        engine.reconstruct(there(scene), mask)
    with pytest.raises(InvalidOptionError, match="images of the host"):
        RegionalReconstructionEngine("exemplar", device="cuda").reconstruct(on_gpu, mask)
    # what an array says of its memory is looked at, not believed
    lying = there(np.float32([[0.5]]))
    lying.__cuda_array_interface__["shape"] = hole.shape
    with pytest.raises(DeviceError, match="is said to have 9792 bytes on GPU 0 has"):
        engine.reconstruct(lying, mask)
    lying.__cuda_array_interface__["data"] = (scene.ctypes.data, False)
    with pytest.raises(DeviceError, match="is on no GPU"):
        engine.reconstruct(lying, mask)
