"""What the emulated driver finds wrong in kernels and in how they are called."""

import ctypes

import numpy as np
import pytest
from cuda_driver import FOLDER, CompileError, CudaError, Driver

pytestmark = pytest.mark.cuda

#: Sanitizers end the process at what these kernels do.
provokes = pytest.mark.skipif(
    (FOLDER / "kernel-flags").exists() and "sanitize" in (FOLDER / "kernel-flags").read_text(),
    reason="a sanitizer ends the process at this",
)

N = 100
INT = ctypes.c_int

SOURCE = """
#define KERNEL(name) extern "C" __global__ void name(const float* __restrict__ a, float* b, int n)

KERNEL(copy_past) { b[threadIdx.x] = a[threadIdx.x + n]; }
KERNEL(write_to) { if (threadIdx.x == 0) b[n] = 1.0f; else b[threadIdx.x] = a[threadIdx.x]; }
KERNEL(scale) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) b[i] = 2.0f * a[i]; }

KERNEL(shared_past) {
    __shared__ float row[32], other[32];
    row[threadIdx.x] = other[threadIdx.x] = 0.0f;
    row[(int)threadIdx.x + n] = 1.0f;
    __syncthreads();
    b[threadIdx.x] = row[threadIdx.x] + other[threadIdx.x];
}
KERNEL(dynamic_past) {
    extern __shared__ float row[];
    row[threadIdx.x + n] = 1.0f;
    __syncthreads();
    b[threadIdx.x] = row[threadIdx.x];
}
KERNEL(unset_shared) {
    __shared__ float row[2][64];
    if (threadIdx.x != n) row[1][threadIdx.x] = 0.0f;
    __syncthreads();
    b[threadIdx.x] = row[1][threadIdx.x];
}
KERNEL(neighbour) {
    __shared__ float row[64];
    row[threadIdx.x] = a[threadIdx.x];
    if (n) __syncthreads();
    b[threadIdx.x] = row[(threadIdx.x + 1) % 64] + row[(threadIdx.x + 63) % 64];
}
KERNEL(some_wait) {
    if (threadIdx.x < n) __syncwarp(); else __syncthreads();
    b[threadIdx.x] = 0.0f;
}
KERNEL(other_barrier) {
    if (threadIdx.x < n) { __syncthreads(); b[0] = 1.0f; }
    else { __syncthreads(); b[1] = 1.0f; }
}
KERNEL(some_leave) {
    if (threadIdx.x >= n) return;
    __syncthreads();
    b[threadIdx.x] = 1.0f;
}
KERNEL(warp_sum) {
    float v = a[threadIdx.x];
    for (int d = 16; d > 0; d >>= 1) v += __shfl_xor_sync(0xffffffffu, v, d);
    unsigned odd = __ballot_sync(0xffffffffu, threadIdx.x & 1);
    float first = __shfl_sync(0xffffffffu, v, 0), up = __shfl_up_sync(0xffffffffu, v, 1);
    b[threadIdx.x] = first + __popc(odd) + (up - v) * __shfl_down_sync(0xffffffffu, 0.0f, 1, 16);
}
KERNEL(partial_warp) { b[threadIdx.x] = __shfl_sync(0xffffffffu, a[threadIdx.x], n); }
KERNEL(half_a_warp) {
    float v = a[threadIdx.x];
    if (threadIdx.x < 16)
        for (int i = 0; i < 3; ++i) v = __shfl_xor_sync(0x0000ffffu, v, 1);
    v = __shfl_xor_sync(0xffffffffu, v, 16);
    b[threadIdx.x] = v;
}
KERNEL(deep) { volatile float much[100000]; much[0] = a[0]; much[n] = a[0]; b[0] = much[n]; }
KERNEL(divided) { b[0] = 7 / n; }
KERNEL(refuses) { assert(n == 3); b[0] = 1.0f; }
KERNEL(counts) {
    int* all = reinterpret_cast<int*>(b);
    atomicAdd(all, 1); atomicMax(all + 1, (int)threadIdx.x); atomicCAS(all + 2, 0, 5);
    all[3] = __syncthreads_count(threadIdx.x < n);
}
struct Pair { long long first; float second; };
extern "C" __global__ void structured(Pair p, double* out, char c, const double d) {
    out[0] = p.first; out[1] = p.second; out[2] = c; out[3] = d;
}
"""


@pytest.fixture(scope="module")
def image(nvrtc):
    return nvrtc.compile(SOURCE, "--gpu-architecture=sm_90", "--fmad=false", name="test.cu")[0]


@pytest.fixture(params=["forwards", "backwards", "shuffled"])
def order(request, monkeypatch):
    """Each order in which threads go on."""
    monkeypatch.setenv("HELICOPTER_EMULATOR_ORDER", request.param)
    return request.param


@pytest.fixture
def call(driver, image):
    """Call a kernel with `block` threads on N numbers; gives the answer."""
    module = driver.module(image)
    numbers = np.arange(N, dtype=np.float32)

    def call(name, n, block=64, shared=0, size=None, out=N):
        a = driver.upload(numbers[: size or N])
        b = driver.upload(np.zeros(out, np.float32))
        driver.launch(driver.function(module, name), (1,), (block,), a, b, INT(n), shared=shared)
        return driver.download(b, out, np.float32)

    yield call
    driver.reset()
    driver.free(*driver.given)


def _fails(call, driver, text, code, *arguments, **options):
    with pytest.raises(CudaError) as error:
        call(*arguments, **options)
    assert error.value.code == code
    (problem,) = driver.problems()
    assert text in problem
    driver.reset()


def test_kernels_run(call, order):
    assert np.array_equal(call("scale", N, block=128), 2 * np.arange(N))
    expected = np.full(64, 16 + sum(range(32)))
    expected[32:] = 16 + sum(range(32, 64))
    assert np.array_equal(call("warp_sum", 0)[:64], expected)
    assert np.array_equal(call("some_leave", 40)[:64], np.arange(64) < 40)
    lanes = np.arange(32)
    swapped = np.where(lanes < 16, lanes ^ 1, lanes)
    assert np.array_equal(call("half_a_warp", 0, block=32)[:32], swapped[lanes ^ 16])
    assert call("counts", 9)[:4].view(np.int32).tolist() == [64, 63, 5, 9]


def test_arguments_of_any_kind(driver, image):
    class Pair(ctypes.Structure):
        _fields_ = [("first", ctypes.c_longlong), ("second", ctypes.c_float)]

    out = driver.empty(32)
    kernel = driver.function(driver.module(image), "structured")
    driver.launch(
        kernel, (1,), (1,), Pair(1 << 40, 0.5), out, ctypes.c_char(7), ctypes.c_double(0.25)
    )
    assert driver.download(out, 4, np.float64).tolist() == [2.0**40, 0.5, 7, 0.25]
    driver.free(out)


def test_a_read_past_the_end(call, driver):
    _fails(call, driver, "0 bytes past the end", 700, "copy_past", 37)


def test_a_read_past_the_end_of_an_odd_size(call, driver):
    _fails(call, driver, "past the end of an allocation of 268", 700, "copy_past", 64, size=67)


def test_a_write_before_the_start_is_seen(call, driver):
    call("write_to", -1)
    (problem,) = driver.problems()
    assert "4 bytes before" in problem


def test_guards_on_the_other_side(call, driver, monkeypatch):
    monkeypatch.setenv("HELICOPTER_EMULATOR_GUARD", "before")
    _fails(call, driver, "4 bytes before", 700, "write_to", -1)
    call("write_to", N + 1)
    assert "4 bytes past the end" in driver.problems()[0]


@provokes
@pytest.mark.parametrize("n", [1, 17, -40])
def test_red_zones_of_shared_memory(call, driver, n):
    _fails(call, driver, "shared variable", 700, "shared_past", n, block=32)


@provokes
def test_dynamic_shared_memory_ends_where_it_ends(call, driver):
    assert call("dynamic_past", 0, shared=256)[:64].tolist() == [1.0] * 64
    _fails(call, driver, "outside shared memory", 700, "dynamic_past", 1, shared=256)
    with pytest.raises(CudaError) as error:
        call("dynamic_past", 0, shared=50_000)
    assert error.value.code == 1
    assert "50000 bytes of shared memory" in driver.problems()[0]


def test_shared_memory_begins_unset(call, driver):
    assert np.isnan(call("unset_shared", 5)[5])
    (problem,) = driver.problems()
    assert "1 of 100 words copied to the host were never written, the first at byte 20" in problem


def test_a_missing_barrier_shows_in_some_order(call, driver, monkeypatch):
    expected = np.array([(i + 1) % 64 + (i + 63) % 64 for i in range(64)], np.float32)
    right = []
    for order in ("forwards", "backwards", "shuffled"):
        monkeypatch.setenv("HELICOPTER_EMULATOR_ORDER", order)
        assert np.array_equal(call("neighbour", 1)[:64], expected)
        right.append(np.array_equal(call("neighbour", 0)[:64], expected))
    driver.problems()
    assert not all(right)


def test_threads_that_wait_for_ever(call, driver, order):
    _fails(call, driver, "wait for each other for ever", 702, "some_wait", 16)


def test_threads_at_different_barriers(call, driver, order):
    # both stand in one line each of the source
    _fails(call, driver, "different barriers", 700, "other_barrier", 16)


def test_a_shuffle_from_nowhere(call, driver):
    assert call("partial_warp", 3, block=20)[:20].tolist() == [3.0] * 20
    _fails(call, driver, "reads lane 25", 700, "partial_warp", 25, block=20)


@provokes
@pytest.mark.parametrize(
    ("name", "n", "text"),
    [
        ("deep", 99_999, "stack of 256 KiB"),
        ("divided", 0, "divided by zero"),
        ("refuses", 4, "assert(n == 3)"),
    ],
)
def test_other_failures(call, driver, name, n, text):
    _fails(call, driver, text, 700, name, n, block=1)


def test_memory_after_it_was_freed(driver, image):
    a, b = driver.upload(np.ones(N, np.float32)), driver.upload(np.zeros(N, np.float32))
    kernel = driver.function(driver.module(image), "scale")
    driver.free(a)
    driver.launch(kernel, (1,), (128,), a, b, INT(N))
    assert "inside an allocation of 400 bytes that was freed" in driver.problems()[0]
    with pytest.raises(CudaError):
        driver("cuCtxSynchronize")  # and so does everything from now on
    driver.reset()
    driver.free(b)
    with pytest.raises(CudaError):
        driver.free(b)
    assert "freed a second time" in driver.problems()[0]
    with pytest.raises(CudaError):
        driver.download(b, N, np.float32)
    assert "that was freed" in driver.problems()[0]


def test_copies_past_the_end(driver):
    a = driver.upload(np.ones(N, np.float32))
    with pytest.raises(CudaError):
        driver.download(a, N + 1, np.float32)
    assert "a copy to the host of 404 bytes" in driver.problems()[0]
    driver.free(a)


def test_what_was_never_written(driver):
    a = driver.empty(4 * N)
    driver("cuMemsetD8Async", a, ctypes.c_ubyte(0), ctypes.c_size_t(4 * N - 8), None)
    got = driver.download(a, N, np.float32)
    assert np.flatnonzero(np.isnan(got)).tolist() == [98, 99]
    assert "2 of 100 words" in driver.problems()[0]
    driver.free(a)


def test_leaks_are_named_when_the_context_goes(nvrtc):
    driver = Driver()
    driver.empty(1234)
    driver.close()
    flags, active = ctypes.c_uint(), ctypes.c_int()
    driver("cuDevicePrimaryCtxGetState", 0, ctypes.byref(flags), ctypes.byref(active))
    if active.value:  # an engine of an earlier test
        driver("cuMemFreeAsync", driver.given[0], None)
        pytest.skip("somebody else holds the context as well")
    (problem,) = driver.problems()
    assert "of 1234 bytes was never freed" in problem
    assert driver.counts()["live"] == 0


def test_memory_runs_out(driver):
    pool, free, total = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
    driver("cuDeviceGetDefaultMemPool", ctypes.byref(pool), 0)
    driver("cuMemPoolTrimTo", pool, ctypes.c_size_t(0))
    driver("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
    a = driver.empty(1000)
    with pytest.raises(CudaError) as error:
        driver.empty(free.value - 999)
    assert error.value.code == 2
    driver.free(a)


def test_the_pool_keeps_what_its_threshold_allows(driver):
    pool, free, total = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
    driver("cuDeviceGetDefaultMemPool", ctypes.byref(pool), 0)

    def taken():
        driver("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return total.value - free.value

    driver("cuMemPoolTrimTo", pool, ctypes.c_size_t(0))
    start = taken()
    before = ctypes.c_uint64()
    driver("cuMemPoolGetAttribute", pool, 4, ctypes.byref(before))
    for threshold, kept in ((0, 0), (2**63, 1000)):
        driver("cuMemPoolSetAttribute", pool, 4, ctypes.byref(ctypes.c_uint64(threshold)))
        driver.free(driver.empty(1000))
        driver("cuStreamSynchronize", None)
        assert taken() - start == kept
    driver("cuMemPoolTrimTo", pool, ctypes.c_size_t(0))
    assert taken() == start
    driver("cuMemPoolSetAttribute", pool, 4, ctypes.byref(before))


def test_missing_synchronisation_shows_when_work_is_deferred(driver, image, monkeypatch):
    kernel = driver.function(driver.module(image), "scale")
    first, second = driver.stream(), driver.stream()
    event = ctypes.c_void_p()
    driver("cuEventCreate", ctypes.byref(event), 0)
    monkeypatch.setenv("HELICOPTER_EMULATOR_DEFER", "1")
    for waits in (True, False):
        right = []
        for _ in range(12):
            a, b = driver.upload(np.ones(N, np.float32), first), driver.empty(4 * N, first)
            c = driver.empty(4 * N, second)
            driver.launch(kernel, (1,), (128,), a, b, INT(N), stream=first)
            driver("cuEventRecord", event, first)
            if waits:
                driver("cuStreamWaitEvent", second, event, 0)
            driver.launch(kernel, (1,), (128,), b, c, INT(N), stream=second)
            right.append(bool((driver.download(c, N, np.float32, second) == 4).all()))
            driver.free(a, b, stream=first)
            driver.free(c, stream=second)
            driver("cuCtxSynchronize")
        assert all(right) == waits
    driver.problems()


@pytest.mark.parametrize(
    ("fault", "code"),
    [("alloc:2", 2), ("launch:1", 719), ("refuse:1", 701), ("copy:2", 700), ("lost:4", 999)],
)
def test_faults_strike_when_they_are_asked_for(call, driver, fault, code):
    driver.fault(fault)
    with pytest.raises(CudaError) as error:
        call("scale", N)
    assert error.value.code == code
    driver.reset()
    driver.problems()


def test_errors_of_a_source_have_its_lines(nvrtc):
    source = '\n\nextern "C" __global__ void f(float* a) {\n    a[0] = missing;\n}\n'
    with pytest.raises(CompileError, match=r"mine\.cu\(4\): error: .missing. was not declared"):
        nvrtc.compile(source, name="mine.cu")
    with pytest.raises(CompileError, match="unrecognized option"):
        nvrtc.compile(source, "-res-usage")
    with pytest.raises(CompileError, match="gpu-architecture"):
        nvrtc.compile(source, "--gpu-architecture=sm_1")


def test_definitions_are_those_of_the_call(nvrtc, driver):
    source = 'extern "C" __global__ void f(int* a) { a[0] = SIZE + (__CUDA_ARCH__ == 860); }'
    a = driver.empty(4)
    for size in (3, 40):
        options = (f"-DSIZE={size}", "-arch=sm_86")
        text = nvrtc.compile(source, *options, kind="PTX")[0]
        for module in (driver.module(nvrtc.compile(source, *options)[0]), driver.module(text)):
            driver.launch(driver.function(module, "f"), (1,), (1,), a)
            assert driver.download(a, 1, np.int32)[0] == size + 1
    driver.free(a)


def test_what_is_no_module_is_refused(driver):
    with pytest.raises(CudaError) as error:
        driver.module(b"not a module" * 100)
    assert error.value.code == 200
    with pytest.raises(CudaError) as error:
        driver("cuMemFreeAsync", ctypes.c_uint64(4096), None)
    assert "is no allocation" in driver.problems()[0]
