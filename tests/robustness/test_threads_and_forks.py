"""Any thread may call, and a process may fork while others compute."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from scenes import photograph
from threadpoolctl import threadpool_info, threadpool_limits

import helicopter
from helicopter._shared.blas import blas_on_one_thread

ROOT = Path(helicopter.__file__).parents[1]


def python(script, *arguments):
    """What a fresh interpreter prints that runs `script`."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stderr == ""
    return done.stdout


def in_a_thread(function):
    """What `function` returns in another thread than this."""
    found = []
    worker = threading.Thread(target=lambda: found.append(function()))
    worker.start()
    worker.join()
    return found[0]


def blas_threads():
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


def under_the_limit():
    with blas_on_one_thread():
        return blas_threads()


def test_every_thread_can_limit_blas():
    before = blas_threads()
    with threadpool_limits(3, user_api="blas"):
        assert set(under_the_limit()) == {1}
        assert set(in_a_thread(under_the_limit)) == {1}
        assert set(blas_threads()) == {3}
    # a limit that nobody has lifted leaves its thread in charge, which has ended here
    in_a_thread(lambda: threadpool_limits(3, user_api="blas"))
    assert set(under_the_limit()) == {1}
    threadpool_limits(max(before), user_api="blas")
    assert set(in_a_thread(under_the_limit)) == {1}
    assert blas_threads() == before


def test_the_calling_thread_does_not_matter(regional, detector, anomaly_detector):
    image = photograph(96, 128)
    mask = np.zeros(image.shape[:2], bool)
    mask[20:60, 30:70] = True

    def everything():
        return (
            anomaly_detector().find(image).anomaly_map,
            regional().reconstruct(image, mask).reconstruction,
            np.float64(detector().analyze(image).sigma),
        )

    with threadpool_limits(2, user_api="blas"):
        expected = everything()
    threadpool_limits(2, user_api="blas")  # from here on the main thread is in charge
    for here, there in zip(expected, in_a_thread(everything), strict=True):
        assert here.tobytes() == there.tobytes()


# The network and anomalies multiply matrices in the thread; each child must end.
FORKS = """
import os, signal, sys, threading, time, numpy as np
import helicopter
from helicopter.core import RegionalReconstructionEngine
rust = sys.argv[1] == "rust"
rng = np.random.default_rng(0)
image = rng.integers(0, 256, (64, 64), dtype=np.uint8)
mask = np.zeros(image.shape, bool); mask[20:60, 30:70] = True
def work():
    RegionalReconstructionEngine(use_rust_acceleration=rust).reconstruct(image, mask)
    helicopter.find_anomalies(image, use_rust_acceleration=rust)
def for_ever():
    while True:
        work()
work()
threading.Thread(target=for_ever, daemon=True).start()
for number in range(3):
    time.sleep(0.037 * number)
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    limit = time.monotonic() + 30
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > limit:
            os.kill(child, signal.SIGKILL)
            sys.exit("a child hangs")
        time.sleep(0.01)
print("all ended", flush=True)
os._exit(0)
"""


@pytest.mark.quiet
@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_a_child_forked_while_others_compute_works(backend):
    assert python(FORKS, backend) == "all ended\n"


# SuperLU takes half a minute for this policy, and looks at no signals meanwhile.
EVALUATION = """
import os, signal, threading, time, numpy as np, scipy.sparse as sparse
from helicopter import MDP
signal.signal(signal.SIGINT, signal.default_int_handler)
states, rng = 20_000, np.random.default_rng(0)
rows = np.repeat(np.arange(states), 8)
chances = sparse.csr_array((np.full(len(rows), 0.125), (rows, rng.integers(0, states, len(rows)))))
model = MDP([chances], rng.random((states, 1)), discount=0.99, use_rust_acceleration=False)
def interrupt():
    global sent
    sent = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(1.0, interrupt).start()
try:
    model.solve("policy_iteration")
except KeyboardInterrupt:
    print(time.monotonic() - sent, flush=True)
os._exit(0)
"""


@pytest.mark.quiet
@pytest.mark.skipif(os.name != "posix", reason="only where there are signals")
def test_ctrl_c_stops_a_factorization():
    assert float(python(EVALUATION)) < 0.5
