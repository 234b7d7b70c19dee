"""The crossing from Python into Rust: panics, Ctrl-C, threads, fork, arguments that do not fit."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import helicopter.errors as errors

rust = pytest.importorskip(
    "helicopter_rs", reason="helicopter-rs is not installed, so there is nothing to cross to"
)

pytestmark = pytest.mark.quiet

ROOT = Path(errors.__file__).resolve().parents[1]
PROMPT = 0.5  # seconds that may pass until a call has stopped
posix = pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals, or forks")


def scene(height=64, width=80):
    y, x = np.mgrid[:height, :width].astype(np.float32)
    image = np.stack([np.sin(y / 9), np.cos(x / 7), np.sin((x + y) / 11)], axis=2) / 2 + 0.5
    mask = (y // 8 * 3 + x // 8) % 4 == 1
    return np.ascontiguousarray(image, dtype=np.float32), mask


def solved(kind="harmonic", **options):
    image, mask = scene()
    rust.solve_pde(image, mask, kind, **options)
    return image


def python(script, **options):
    """Run a script in a fresh interpreter; it must end in time, well, and with a silent stderr."""
    done = subprocess.run(
        # Python 3.12 and later warn of every fork of a process with threads. Not our words.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        **options,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


# Panics


def test_a_panic_is_an_internal_error_and_nothing_is_printed(capfd):
    with pytest.raises(errors.InternalError) as caught:
        rust._panic("the sky fell")
    text = str(caught.value)
    assert "_panic: " in text
    assert "the sky fell" in text
    assert "please report it" in text
    assert f"helicopter-rs {rust.__version__}" in text
    assert capfd.readouterr() == ("", "")


def test_after_a_panic_the_same_threads_go_on_working():
    expected = solved(threads=2)
    for _ in range(20):
        with pytest.raises(errors.InternalError):
            rust._panic("again", threads=2)
        np.testing.assert_array_equal(solved(threads=2), expected)


def test_without_helicopter_a_panic_is_a_runtime_error():
    script = """
import sys
sys.modules["helicopter"] = None
import helicopter_rs
try:
    helicopter_rs._panic("alone")
except RuntimeError as error:
    print(type(error).__name__, "alone" in str(error))
try:
    helicopter_rs.num_threads(0)
except ValueError as error:
    print(type(error).__name__)
"""
    assert python(script).split() == ["RuntimeError", "True", "ValueError"]


# Stopping


@posix
def test_ctrl_c_stops_a_long_call_at_once():
    script = """
import signal, time
import helicopter_rs
signal.signal(signal.SIGINT, signal.default_int_handler)  # may have been inherited as ignored
print("ready", flush=True)
try:
    helicopter_rs._spin(60)
except KeyboardInterrupt:
    print(time.monotonic(), flush=True)
helicopter_rs._spin(0)  # and the next call is none the worse
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.3)  # so that it is in the middle of the call
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
    assert err == ""
    assert child.returncode == 0
    assert float(out) - sent < PROMPT


@posix
def test_what_a_signal_handler_raises_is_what_the_caller_gets():
    alarm = TimeoutError("the alarm went")

    def ring(number, frame):
        raise alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        begin = time.monotonic()
        with pytest.raises(TimeoutError) as caught:
            rust._spin(60)
        assert time.monotonic() - begin < 0.2 + PROMPT
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert caught.value is alarm


@posix
@pytest.mark.parametrize("seconds", [0.03, 0.15])
def test_a_signal_stops_an_analysis_of_noise_wherever_it_is(seconds):
    from helicopter.models._noise import noise_model

    detector = rust.ZengezaNoiseDetector(rust.NoiseModel(noise_model(3).tensors))
    image, _ = scene(3000, 3000)
    image += np.random.default_rng(0).normal(0, 0.03, image.shape).astype(np.float32)
    included = np.ones(image.shape[:2], bool)
    alarm = TimeoutError("the alarm went")

    def ring(number, frame):
        raise alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        begin = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, seconds)
        with pytest.raises(TimeoutError) as caught:
            detector.analyze(image, included, 0.0, threads=1)  # takes a second or so
        assert time.monotonic() - begin < seconds + PROMPT
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert caught.value is alarm
    # and the next call is none the worse
    small = np.ascontiguousarray(image[:64, :64]), np.ones((64, 64), bool)
    assert detector.level(*small, 0.0)["sigma"] > 0


@posix
def test_a_signal_handler_that_raises_nothing_stops_nothing():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        rust._spin(0.3)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert rung == [signal.SIGALRM]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_of_the_progress_callback_stops_the_work_and_is_raised(kind):
    raised = kind("enough")
    calls = []

    def progress(done, total):
        calls.append(done)
        raise raised

    begin = time.monotonic()
    with pytest.raises(kind) as caught:
        rust._spin(30, progress=progress)
    assert time.monotonic() - begin < 0.3 + PROMPT  # a hundredth of the 30 seconds, and then stop
    assert caught.value is raised
    assert len(calls) == 1


def test_progress_is_told_in_the_calling_thread_in_order_and_to_the_end():
    calls = []
    rust._spin(0.2, progress=lambda *step: calls.append((*step, threading.get_ident())))
    steps = [done for done, _, _ in calls]
    assert steps == sorted(set(steps))
    assert calls[-1] == (100, 100, threading.get_ident())
    assert {ident for _, _, ident in calls} == {threading.get_ident()}


def test_a_slow_progress_callback_does_not_hold_up_the_work():
    begin = time.monotonic()
    rust._spin(0.2, progress=lambda done, total: time.sleep(0.05))
    assert time.monotonic() - begin < 1.0  # and not a hundred times 0.05


# Kernels


def test_a_kernel_runs_in_the_calling_thread_and_gets_what_it_should():
    image, mask = scene()
    seen = []

    def kernel(context, hidden):
        seen.append(threading.get_ident())
        np.testing.assert_array_equal(context, image)
        np.testing.assert_array_equal(hidden, mask)
        return context + 1

    for mean, sigma in rust._call_kernel(image, mask, kernel, times=20):
        np.testing.assert_array_equal(mean, image + 1)
        assert sigma is None
    assert seen == [threading.get_ident()] * 20


def test_a_kernel_may_return_its_uncertainty():
    image, mask = scene()
    of_pixels = np.full(mask.shape, 0.25, np.float32)
    of_values = np.full(image.shape, 0.5, np.float32)[::-1]
    for sigma, expected in [(None, None), (of_pixels, 0.25), (of_values, 0.5)]:
        ((mean, got),) = rust._call_kernel(image, mask, lambda c, m, s=sigma: (c, s))
        np.testing.assert_array_equal(mean, image)
        if expected is None:
            assert got is None
        else:
            np.testing.assert_array_equal(got, np.full(image.shape, expected, np.float32))


@pytest.mark.parametrize("kind", [ZeroDivisionError, KeyboardInterrupt])
def test_an_exception_of_a_kernel_reaches_the_caller_unchanged(kind):
    raised = kind("in the kernel")

    def kernel_that_fails(context, hidden):
        raise raised

    image, mask = scene()
    with pytest.raises(kind) as caught:
        rust._call_kernel(image, mask, kernel_that_fails, times=50)
    assert caught.value is raised
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-1] == "kernel_that_fails"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "kernel's prediction must be a float32 array of shape (64, 80, 3), got None"),
        (np.zeros((64, 80, 3)), "got a float64 array of shape (64, 80, 3)"),
        (np.zeros((3, 3, 3), np.float32), "got a float32 array of shape (3, 3, 3)"),
        ((1, 2, 3), "got a tuple of 3"),
        ((np.zeros((64, 80, 3), np.float32), np.zeros((80, 64), np.float32)), "kernel's sigma"),
    ],
)
def test_a_kernel_that_returns_something_else_is_told_so(answer, words):
    with pytest.raises(errors.KernelError) as caught:
        rust._call_kernel(*scene(), lambda context, mask: answer)
    assert words in str(caught.value)


def test_a_kernel_may_call_us_itself_even_with_a_single_thread():
    image, mask = scene()

    def kernel(context, hidden):
        rust.solve_pde(context, hidden, "harmonic", threads=1)
        return context

    ((mean, _),) = rust._call_kernel(image, mask, kernel, threads=1)
    np.testing.assert_array_equal(mean, solved())


# Threads


def test_two_calls_from_two_threads_overlap():
    begin = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: rust._spin(0.8, threads=1), range(2)))
    assert time.monotonic() - begin < 1.4  # 1.6 and more if a call kept the interpreter


def test_python_goes_on_while_a_call_runs():
    worker = threading.Thread(target=rust._spin, args=(0.8,), kwargs={"threads": 1})
    worker.start()
    moments = []
    while worker.is_alive():
        moments.append(time.monotonic())
        time.sleep(0.001)
    worker.join()
    assert len(moments) > 50
    assert max(np.diff(moments)) < 0.4


def test_calls_from_many_threads_give_what_one_gives():
    expected = {kind: solved(kind) for kind in ("harmonic", "biharmonic")}
    kinds = ["harmonic", "biharmonic"] * 20
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(solved, kinds))
    for kind, result in zip(kinds, results, strict=True):
        np.testing.assert_array_equal(result, expected[kind])


def test_an_array_that_a_call_is_writing_into_is_refused_to_another_call():
    image, mask = scene()
    refused = []

    def progress(done, total):
        with pytest.raises(errors.InvalidImageError, match="call in another thread is using") as e:
            rust.solve_pde(image, mask, "harmonic")
        refused.append(e)

    rust.solve_pde(image, mask, "harmonic", progress=progress)
    assert refused


# Fork

FORK = """
import os, signal, threading
import numpy as np
import helicopter_rs

def solved():
    image = np.random.default_rng(0).random((64, 80, 3), dtype=np.float32)
    mask = np.random.default_rng(1).random((64, 80)) < 0.5
    helicopter_rs.solve_pde(image, mask, "harmonic", threads=2)
    return image.tobytes()

def in_a_child(task):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)  # a deadlock shall not outlive the test
        good = False
        try:
            good = task()
        finally:
            os._exit(0 if good else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


@posix
def test_a_forked_child_works_in_silence():
    script = """
expected = solved()
works = lambda: solved() == expected and helicopter_rs._spin(0.05, threads=2) == 2
child = lambda: works() and in_a_child(works) == 0  # a grandchild as well
print([in_a_child(child) for _ in range(5)], works())
"""
    assert python(FORK + script) == "[0, 0, 0, 0, 0] True\n"


@posix
def test_a_fork_in_the_middle_of_calls_of_other_threads_works():
    script = """
expected = solved()
stop = threading.Event()
def keep_calling():
    while not stop.is_set():
        solved()
threads = [threading.Thread(target=keep_calling) for _ in range(3)]
for thread in threads: thread.start()
print({in_a_child(lambda: solved() == expected) for _ in range(30)})
stop.set()
for thread in threads: thread.join()
"""
    assert python(FORK + script) == "{0}\n"


@posix
def test_a_fork_inside_a_callback_works():
    script = """
expected = solved()
codes = []
helicopter_rs._spin(0.2, progress=lambda d, t: codes or codes.append(
    in_a_child(lambda: solved() == expected)))
print(codes)
"""
    assert python(FORK + script) == "[0]\n"


@posix
@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
def test_a_multiprocessing_pool_works():
    script = """
import multiprocessing
def task(_): return solved()
expected = solved()
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(set(pool.map(task, range(8), chunksize=1)) == {expected})
"""
    assert python(FORK + script) == "True\n"


# Arguments

IMAGE, MASK = scene()
READ_ONLY = IMAGE.copy()
READ_ONLY.flags.writeable = False
UNALIGNED = np.frombuffer(bytearray(IMAGE.nbytes + 1), np.uint8)[1:].view(np.float32)
NEED = (
    "image must be a writable C-contiguous float32 array of shape (height, width, channels), got "
)
NEED_MASK = "mask must be a C-contiguous bool array of shape (height, width), got "


@pytest.mark.parametrize(
    ("image", "got"),
    [
        (None, "None"),
        ("photo.png", "'photo.png' (str)"),
        ([[1.0]], "[[1.0]] (list)"),
        (IMAGE.astype(np.float64), "a float64 array of shape (64, 80, 3)"),
        (IMAGE.astype(">f4"), "a >f4 array of shape (64, 80, 3)"),
        (IMAGE[:, :, 0], "a float32 array of shape (64, 80)"),
        (IMAGE[None], "a float32 array of shape (1, 64, 80, 3)"),
        (IMAGE[::2], "one of shape (32, 80, 3) that is not C-contiguous"),
        (np.asfortranarray(IMAGE), "one of shape (64, 80, 3) that is not C-contiguous"),
        (UNALIGNED.reshape(IMAGE.shape), "one of shape (64, 80, 3) that is not aligned in memory"),
        (READ_ONLY, "a read-only one"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_image_that_does_not_fit_is_described(image, got):
    with pytest.raises(errors.InvalidImageError) as caught:
        rust.solve_pde(image, MASK, "harmonic")
    assert str(caught.value) == f"solve_pde: {NEED}{got}"


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (MASK.astype(np.uint8), f"{NEED_MASK}a uint8 array of shape (64, 80)"),
        (MASK[None], f"{NEED_MASK}a bool array of shape (1, 64, 80)"),
        (MASK.T, f"{NEED_MASK}one of shape (80, 64) that is not C-contiguous"),
        (
            np.full(MASK.shape, 2, np.uint8).view(bool),
            f"{NEED_MASK}one that holds the byte 2, which is neither 0 nor 1",
        ),
        (
            MASK[:5],
            "mask must be of the image's height and width, (64, 80), got one of shape (5, 80)",
        ),
    ],
    ids=["dtype", "rank", "contiguity", "bytes", "size"],
)
def test_a_mask_that_does_not_fit_is_described(mask, words):
    with pytest.raises(errors.InvalidMaskError) as caught:
        rust.solve_pde(IMAGE.copy(), mask, "harmonic")
    assert str(caught.value) == f"solve_pde: {words}"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "cubic"}, 'kind must be "harmonic" or "biharmonic", got \'cubic\' (str)'),
        ({"kind": None}, 'kind must be "harmonic" or "biharmonic", got None'),
        ({"threads": 0}, "threads must be None or an integer from 1 to 1024, got 0 (int)"),
        ({"threads": True}, "threads must be None or an integer from 1 to 1024, got True (bool)"),
        ({"threads": 2.0}, "threads must be None or an integer from 1 to 1024, got 2.0 (float)"),
        ({"threads": 10**30}, "threads must be None or an integer from 1 to 1024, got 1000"),
        ({"progress": 3}, "progress must be None or a callable, got 3 (int)"),
    ],
)
def test_an_option_that_does_not_fit_is_described(options, words):
    with pytest.raises(errors.InvalidOptionError) as caught:
        rust.solve_pde(IMAGE.copy(), MASK, **{"kind": "harmonic", **options})
    assert str(caught.value).startswith(f"solve_pde: {words}")


@pytest.mark.parametrize(
    ("seed", "got"),
    [
        (-1, "-1 (int)"),
        (2**64, f"{2**64} (int)"),
        (1.0, "1.0 (float)"),
        ("1", "'1' (str)"),
        (True, "True (bool)"),
        (None, "None"),
    ],
)
def test_a_seed_that_does_not_fit_is_described(seed, got):
    with pytest.raises(errors.InvalidOptionError) as caught:
        rust.exemplar_fill(IMAGE.copy(), MASK, seed=seed)
    assert str(caught.value) == (
        f"exemplar_fill: seed must be an integer from 0 to 2**64 - 1, got {got}"
    )


def test_nothing_can_be_copied_where_nothing_is_visible():
    with pytest.raises(errors.InvalidMaskError) as caught:
        rust.exemplar_fill(IMAGE.copy(), np.ones_like(MASK))
    assert str(caught.value) == (
        "exemplar_fill: mask must be false somewhere, got one that hides every pixel"
    )


def test_a_refused_call_leaves_the_array_free_for_the_next():
    image = IMAGE.copy()
    with pytest.raises(errors.InvalidMaskError):
        rust.solve_pde(image, MASK[:5], "harmonic")
    rust.solve_pde(image, MASK, "harmonic")
    np.testing.assert_array_equal(image[~MASK], IMAGE[~MASK])


# Settings


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"HELICOPTER_NUM_THREADS": "3"}, "3"),
        ({"HELICOPTER_NUM_THREADS": "3", "RAYON_NUM_THREADS": "5"}, "3"),
        ({"HELICOPTER_NUM_THREADS": "", "RAYON_NUM_THREADS": "5"}, "5"),
        ({"HELICOPTER_NUM_THREADS": "many"}, "InvalidOptionError"),
        ({"HELICOPTER_NUM_THREADS": "0"}, "InvalidOptionError"),
    ],
)
def test_the_environment_says_how_many_threads(monkeypatch, environment, words):
    for name in ("HELICOPTER_NUM_THREADS", "RAYON_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if words.isdigit():
        assert rust.num_threads() == int(words)
        assert rust._spin(0) == int(words)
        assert rust.num_threads(2) == 2
    else:
        with pytest.raises(errors.InvalidOptionError, match="HELICOPTER_NUM_THREADS must be"):
            rust._spin(0)


def test_the_build_says_what_it_is():
    info = rust.build_info()
    assert info["version"] == rust.__version__
    assert info["rustc"].startswith("rustc 1.")
    assert set(info) >= {"target", "profile", "opt_level", "debug_assertions", "cuda"}


def test_an_empty_crossing_costs_next_to_nothing():
    rust._spin(0)
    image, mask = np.zeros((1, 1, 1), np.float32), np.zeros((1, 1), bool)
    seconds = []
    for _ in range(200):
        begin = time.perf_counter()
        rust._call_kernel(image, mask, print, times=0)
        seconds.append(time.perf_counter() - begin)
    assert np.median(seconds) < 1e-3  # some 40 microseconds on an idle machine
