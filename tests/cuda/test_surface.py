"""Devices, and kernels in CUDA C++, as users meet them."""

import pickle
import re

import numpy as np
import pytest

import helicopter
from helicopter import backends
from helicopter.core import CudaKernel, CustomReconstructionKernel
from helicopter.errors import DeviceError, InvalidOptionError, KernelError

pytestmark = pytest.mark.cuda

SIGNATURE = """extern "C" __global__ void predict(
    const float* context, const unsigned char* mask, float* prediction, float* sigma,
    int height, int width, int channels) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int at = y * width + x;
"""
ABOVE = (
    SIGNATURE
    + """
    if (!mask[at]) return;
    int from = y;
    while (from > 0 && mask[from * width + x]) --from;
    for (int c = 0; c < channels; ++c)
        prediction[at * channels + c] = context[(from * width + x) * channels + c];
#ifdef SIGMA
    sigma[at] = SIGMA * (y - from);
#endif
}
"""
)


@pytest.fixture
def picture():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (37, 45, 3), dtype=np.uint8)
    mask = np.zeros(image.shape[:2], bool)
    mask[10:14, 5:40] = True
    return image, mask


def above(context, mask):
    """What the kernel does, in NumPy."""
    prediction = context.copy()
    for y, x in np.argwhere(mask):
        prediction[y, x] = prediction[y - 1, x]
    return prediction


@pytest.fixture
def registered():
    names = []

    def register(name, kernel):
        CustomReconstructionKernel(name).register_algorithm(name, kernel)
        names.append(name)

    yield register
    for name in names:
        helicopter.core.unregister_algorithm(name)


def test_auto_takes_the_gpu_and_says_so():
    assert backends.resolve(None, "auto") == ("rust", "cuda:0")
    assert backends.resolve(None, "cuda") == ("rust", "cuda:0")
    assert backends.resolve(None, "cpu") == ("rust", "cpu")
    assert backends.resolve(False, "auto") == ("python", "cpu")
    status = backends.report()[2]
    assert (status.name, status.available, status.used, status.reason) == ("cuda", True, True, "")
    with pytest.raises(DeviceError, match=r"there is no GPU 9+: \d+ are there"):
        backends.resolve(None, "cuda:99")


@pytest.mark.parametrize("sigma", [None, 0.01])
def test_a_kernel_in_cuda_predicts_in_every_engine(picture, registered, sigma):
    image, mask = picture
    registered("above", above)
    registered("above on the GPU", ABOVE if sigma is None else f"#define SIGMA {sigma}f\n{ABOVE}")
    expected, found = (
        helicopter.reconstruct(image, mask, name, device="cpu")
        for name in ("above", "above on the GPU")
    )
    np.testing.assert_array_equal(found.reconstruction, expected.reconstruction)
    if sigma is None:
        np.testing.assert_array_equal(found.uncertainty_map, expected.uncertainty_map)
    else:
        assert found.uncertainty_map[10:14, 20] / 255 == pytest.approx(sigma * np.arange(1, 5))
    one, other = (
        helicopter.core.AutonomousReconstructionEngine(
            8, algorithm=name, device="cpu"
        ).autonomous_analyze(image, max_iterations=3)
        for name in ("above", "above on the GPU")
    )
    assert [step.patches for step in one.history] == [step.patches for step in other.history]


def test_what_does_not_compile_is_said_with_its_line():
    with pytest.raises(DeviceError, match=re.compile(r"predict\.cu.*8.*nonsense", re.DOTALL)):
        CudaKernel(SIGNATURE + "\n    nonsense;\n}")
    with pytest.raises(DeviceError, match="looking for the kernel other"):
        CudaKernel(ABOVE, "other")


def test_kernels_are_checked_like_all_others(picture, registered):
    image, mask = picture
    registered("NaN", SIGNATURE + "prediction[at * channels] = 0.0f / 0.0f; }")
    with pytest.raises(KernelError, match="NaN or infinite"):
        helicopter.reconstruct(image, mask, "NaN", device="cpu")
    for wrong in ({"source": b"x"}, {"device": "cpu"}, {"device": 3}, {"entry": ""}):
        with pytest.raises(InvalidOptionError):
            CudaKernel(**{"source": ABOVE, **wrong})


def test_kernels_can_be_copied(picture):
    image, mask = picture
    context = (image / np.float32(255)).astype(np.float32)
    kernel = CudaKernel(ABOVE)
    again = pickle.loads(pickle.dumps(kernel))
    np.testing.assert_array_equal(again(context, mask), kernel(context, mask))
