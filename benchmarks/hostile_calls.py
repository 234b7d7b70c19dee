"""Calls with hostile arguments: all functions of the accelerator, and public ones on both backends.

python benchmarks/hostile_calls.py [--count 5000] [--seed 0] [--only calls of this name]

A call that would be in order has some of its arguments replaced by what nobody should pass: other
types, numbers that are too large, arrays of another shape, layout, order of bytes or alignment.
What may come of it is a result, an exception of `helicopter.errors`, `TypeError` or `MemoryError`;
what must not are other exceptions, the words of a panic, a dead process, or seconds of waiting.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import resource
import select
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

#: Seconds for one call, and for a worker to begin.
PATIENCE, START = 5.0, 60.0
#: What a worker may have beside the libraries.
MEMORY = 2 << 30
GOOD = ("result", "refused", "TypeError", "MemoryError")

Arguments = dict[str, Any]
#: A name, the function, and arguments that it takes.
Case = tuple[str, Callable[..., object], Arguments]

SCALARS: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 3, 7, 255, 2**16, 2**31 - 1, 2**31, 2**32, 2**63, 2**64 - 1,
    2**64, -(2**63), 10**400, -(10**400), 0.0, -0.0, 0.5, 1.0, 1.5, 1e-320, 1e308, -1e308,
    float("nan"), float("inf"), float("-inf"), 1j, "", "x", "nul\0nul", "network", "harmonic",
    "auto", b"", b"\xff" * 9, (), (0, 0), (2**62, 2**62), (-1, 5), (1.0, float("nan")), [], [None],
    {}, {"a": 1}, range(10**9), object(), dict, len, np.float64("nan"), np.int64(-(2**63)),
    np.uint8(3), np.array(0), np.array("x"), np.array([None]), np.datetime64("2020"), slice(None),
)  # fmt: skip
DTYPES = "?bBhHiIlLqQefdgFDGSUOMmV"


def misaligned(array: np.ndarray) -> np.ndarray:
    """Return the same values one byte off."""
    memory = np.zeros(array.nbytes + 1, np.uint8)
    out = memory[1:].view(array.dtype).reshape(array.shape)
    out[...] = array
    return out


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a copy that cannot be written to."""
    out = array.copy()
    out.flags.writeable = False
    return out


def _filled(value: float) -> Callable[[np.ndarray, np.random.Generator], Any]:
    def fill(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        out = array.copy()
        out.ravel()[rng.integers(0, max(out.size, 1), 3) % max(out.size, 1)] = value
        return out

    return fill


#: What is made of an array.
ARRAYS: tuple[Callable[[np.ndarray, np.random.Generator], Any], ...] = (
    lambda a, r: a.astype(DTYPES[r.integers(len(DTYPES))]),
    lambda a, r: a.astype(a.dtype.newbyteorder()),
    lambda a, r: np.asfortranarray(a),
    lambda a, r: a[::2],
    lambda a, r: a[::-1],
    lambda a, r: a.T,
    lambda a, r: a[..., None],
    lambda a, r: a[0] if a.ndim else a,
    lambda a, r: a[:0],
    lambda a, r: a[..., :0],
    lambda a, r: np.empty((0, 0, 3), a.dtype),
    lambda a, r: misaligned(a),
    lambda a, r: read_only(a),
    lambda a, r: np.repeat(a, 2, axis=0),
    lambda a, r: a[:1, :1],
    lambda a, r: np.broadcast_to(a.ravel()[:1], a.shape),
    lambda a, r: np.broadcast_to(a.ravel()[:1].reshape((1,) * a.ndim), (2**20,) * a.ndim),
    lambda a, r: np.zeros((3000, 1, *a.shape[2:]), a.dtype),
    lambda a, r: np.zeros((1, 3000, *a.shape[2:]), a.dtype),
    lambda a, r: np.zeros((*a.shape[:2], 9), a.dtype),
    lambda a, r: np.ma.masked_array(a, a == a),
    lambda a, r: a.tolist(),
    lambda a, r: np.ascontiguousarray(a).data,
    lambda a, r: a.astype(object),
    lambda a, r: np.full_like(a, 1),
    lambda a, r: np.zeros_like(a),
    lambda a, r: a.view(np.uint8),
    lambda a, r: ~a if a.dtype == bool else -a,
    lambda a, r: r.permutation(a.ravel()).reshape(a.shape),
    _filled(float("nan")), _filled(float("inf")), _filled(-1), _filled(1e38), _filled(2**31 - 1),
)  # fmt: skip


def hostile(value: object, others: Arguments, rng: np.random.Generator) -> object:
    """Return something else in the place of an argument."""
    if isinstance(value, SimpleNamespace) and rng.random() < 0.8:
        fields = dict(vars(value))
        name = list(fields)[rng.integers(len(fields))]
        if rng.random() < 0.1:
            del fields[name]
        else:
            fields[name] = hostile(fields[name], {}, rng)
        return SimpleNamespace(**fields)
    if isinstance(value, dict) and value and rng.random() < 0.7:
        name = list(value)[rng.integers(len(value))]
        return {**value, name: hostile(value[name], {}, rng)}
    if isinstance(value, (list, tuple)) and value and rng.random() < 0.7:
        items = list(value)
        at = rng.integers(len(items))
        items[at] = hostile(items[at], {}, rng)
        return type(value)(items)
    if isinstance(value, bytes) and value and rng.random() < 0.7:
        damaged = bytearray(value)
        for at in rng.integers(0, len(damaged), rng.integers(1, 9)):
            damaged[at] = rng.integers(256)
        return bytes(damaged[: rng.integers(len(damaged))] if rng.random() < 0.3 else damaged)
    if isinstance(value, np.ndarray) and rng.random() < 0.8:
        if rng.random() < 0.1 and others:  # one array for two arguments
            return others[list(others)[rng.integers(len(others))]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return ARRAYS[rng.integers(len(ARRAYS))](value, rng)
            except (TypeError, ValueError, IndexError, OverflowError, MemoryError):
                return value
    return SCALARS[rng.integers(len(SCALARS))]


def _image(rng: np.random.Generator, height: int = 20, width: int = 24, channels: int = 3) -> Any:
    return rng.random((height, width, channels), dtype=np.float32)


def _stopping(rng: np.random.Generator) -> SimpleNamespace:
    return SimpleNamespace(
        required_share=0.8, prior=(1.0, 1.0), look=0.001, false_accept=1.0, false_reject=1.0,
        horizon=int(rng.integers(1, 60)), short=0.3, density=1.0,
    )  # fmt: skip


def direct(rng: np.random.Generator) -> list[Case]:
    """Calls of the accelerator itself."""
    import helicopter_rs as rust

    from helicopter.models._network import load_network
    from helicopter.models._noise import noise_model
    from helicopter.models._uncertainty import uncertainty_model

    image, mask = _image(rng), rng.random((20, 24)) < 0.4
    other, labels = _image(rng), rng.integers(0, 3, (20, 24), dtype=np.int32)
    plane = rng.random((20, 24), dtype=np.float32)
    model = SimpleNamespace(**vars(uncertainty_model("harmonic")))
    policy = SimpleNamespace(
        reject_at=np.full(9, -1, np.int32), accept_from=np.arange(1, 10, dtype=np.int32),
        favour_from=np.arange(9, dtype=np.int32), value=0.1,
    )  # fmt: skip
    stop = SimpleNamespace(threshold=0.8, policy=policy, most_looks=8, time=None)
    options = SimpleNamespace(
        patch_size=4, context_size=(None, 12)[rng.integers(2)], strategy="adaptive", seed=1,
        max_iterations=2, target_quality=0.9, initial_known=0.2, open_book=False,
        stop=(None, stop)[rng.integers(2)], plateau=1e-3, ask_once=False,
    )  # fmt: skip
    tasks = [
        SimpleNamespace(box=(0, 0, 20, 24), max_iterations=2, target_quality=1.0, plateau=0.0)
        for _ in range(3)
    ]
    partition = SimpleNamespace(
        count=int(rng.integers(1, 40)), least_area=int(rng.integers(0, 30)), spatial=0.003,
        spatial_borders=0.0, border=0.0, passes=(1, 3),
    )  # fmt: skip
    evidence = SimpleNamespace(
        image=image, prediction=other, sigma=plane, noise=plane.copy(), included=mask
    )
    chances = rng.dirichlet(np.ones(4), (4, 2))
    rewards = rng.random((4, 2))
    rows: Arguments = {
        "n_states": 4, "states": np.repeat(np.arange(4), 2), "actions": np.tile(np.arange(2), 4),
        "row_start": np.arange(0, 33, 4), "columns": np.tile(np.arange(4), 8),
        "probabilities": chances.ravel(), "rewards": rewards.ravel(), "by_entry": False,
    }  # fmt: skip
    decisions = rust.DecisionModel.from_rows(**rows)
    assert decisions is not None
    algorithm = ("harmonic", "biharmonic", lambda context, mask: context)[rng.integers(3)]
    verified = SimpleNamespace(
        required_share=0.8, prior=(1.0, 1.0), credible_level=0.95, most_looks=8, time=None
    )
    tensors = {name: np.atleast_2d(value) for name, value in noise_model(3).tensors.items()}

    def regional(algorithm: Any, model: Any, **rest: Any) -> Any:
        return rust.RegionalReconstructionEngine(algorithm, model).reconstruct(**rest)

    def loop(algorithm: Any, model: Any, options: Any, **rest: Any) -> Any:
        engine = rust.AutonomousReconstructionEngine(algorithm, model, options)
        return engine.autonomous_analyze(**rest)

    def parts(algorithm: Any, model: Any, options: Any, halo: Any, **rest: Any) -> Any:
        engine = rust.SegmentAwareReconstructionEngine(algorithm, model, options, halo=halo)
        return engine.segment_aware_reconstruction(**rest)

    def detector(tensors: Any, method: str, **rest: Any) -> Any:
        return getattr(rust.ZengezaNoiseDetector(rust.NoiseModel(tensors)), method)(**rest)

    def network(data: Any, **rest: Any) -> Any:
        return rust.Network(data).predict(**rest)

    threads = (None, 1, 2)[rng.integers(3)]
    pair: Arguments = {"image": image, "mask": mask, "threads": threads, "progress": None}
    pixels = (image, (image * 255).astype(np.uint8), (image * 65535).astype(np.uint16))
    seen: Arguments = {"image": image, "included": ~mask, "quantum": 1 / 255, "threads": threads}
    loop_of: Arguments = {
        "algorithm": algorithm, "model": model, "options": options, "image": image,
        "missing": mask, "threads": threads, "progress": None,
    }  # fmt: skip
    method = ("auto", "value_iteration", "policy_iteration", "modified_policy_iteration")
    return [
        ("num_threads", rust.num_threads, {"threads": threads}),
        ("solve_pde", rust.solve_pde, {**pair, "kind": ("harmonic", "biharmonic")[threads == 1]}),
        ("exemplar_fill", rust.exemplar_fill, {**pair, "seed": 3}),
        ("hidden_distance", rust.hidden_distance, {"mask": mask, "threads": threads}),
        ("hidden_variance", rust.hidden_variance,
         {"context": image, "mask": mask, "model": model, "threads": threads}),
        ("score", rust.score, {"truth": image, "prediction": other, "hidden": mask, "scored": mask,
                               "threads": threads}),
        ("reconstruct", regional, {"algorithm": "harmonic", "model": model, "image": image,
                                   "mask": mask, "threads": threads}),
        ("autonomous", loop, loop_of),
        ("segment_aware", parts, {**loop_of, "labels": labels, "tasks": tasks, "halo": 1}),
        ("segment", rust.segment,
         {"image": pixels[rng.integers(3)], "options": partition, "threads": threads}),
        ("anomaly_measurements", rust.anomaly_measurements,
         {"evidence": evidence, "width": 1.5, "threads": threads}),
        ("squared_distances", rust.squared_distances,
         {"measured": image, "centre": np.zeros(3), "form": np.eye(3), "threads": threads}),
        ("network", network, {"data": load_network().data, **pair}),
        ("noise level", detector, {"tensors": tensors, "method": "level", **seen}),
        ("noise measurements", detector, {"tensors": tensors, "method": "measurements", **seen}),
        ("noise", detector, {"tensors": tensors, "method": "analyze", **seen, "segments": labels}),
        ("stopping_policy", rust.HatataMDPEngine().stopping_policy,
         {"options": _stopping(rng), "threads": threads}),
        ("verify", rust.HatataMDPEngine().verify,
         {"successes": rng.integers(0, 2, 9, dtype=np.uint8), "evidence": verified,
          "policy": policy, "threads": threads}),
        ("from_dense", rust.DecisionModel.from_dense,
         {"transitions": chances, "rewards": rewards, "allowed": np.ones((4, 2), bool)}),
        ("from_rows", rust.DecisionModel.from_rows, rows),
        ("solve", decisions.solve,
         {"discount": 0.9, "method": method[rng.integers(4)], "epsilon": 1e-6,
          "max_iterations": None, "threads": threads, "progress": None}),
        ("solve_horizon", decisions.solve_horizon,
         {"discount": 0.9, "horizon": 5, "terminal": np.zeros(4), "threads": threads}),
        ("q_values", decisions.q_values, {"discount": 0.9, "value": np.zeros(4)}),
    ]  # fmt: skip


def public(rng: np.random.Generator) -> list[Case]:
    """Calls that users make, on either backend."""
    import helicopter
    from helicopter import core

    rust = bool(rng.integers(2))
    image = (_image(rng) * 255).astype(np.uint8)
    if rng.random() < 0.3:
        image = image[..., 0]
    mask = rng.random((20, 24)) < 0.3
    own: Arguments = {"use_rust_acceleration": rust, "device": "auto"}
    common: Arguments = {"image": image, "mask": mask, "data_range": None, **own}
    algorithm = ("harmonic", "biharmonic", "network", "exemplar")[rng.integers(4)]
    chances, rewards = rng.dirichlet(np.ones(3), (3, 2)), rng.random((3, 2))
    steps = [(0, 0, 1, 1.0, 1.0), (1, 0, 0, 0.5, 0.0), (1, 0, 1, 0.5, 2.0)]

    def mdp(transitions: Any, rewards: Any, states: Any, actions: Any, **rest: Any) -> Any:
        shared = {key: rest.pop(key) for key in ("discount",)}
        model = core.MDP(
            transitions, rewards, states=states, actions=actions, use_rust_acceleration=rust,
            **shared,
        )  # fmt: skip
        return model.solve(**rest)

    solving: Arguments = {"discount": 0.9, "method": "auto", "epsilon": 1e-6}
    return [
        ("helicopter.reconstruct", helicopter.reconstruct,
         {**common, "algorithm": algorithm, "seed": 0}),
        ("helicopter.analyze", helicopter.analyze,
         {**common, "segments": 4, "patch_size": 4, "seed": 0, "max_iterations": 2,
          "algorithm": "harmonic", "context_size": None, "strategy": "adaptive",
          "target_quality": 0.9, "initial_known": 0.2, "threshold": 0.8, "required_share": 0.8,
          "cost_of_look": 0.001, "prior": (1.0, 1.0), "max_looks": 9, "level": 0.1,
          "stop": "quality", "effective_looks": "auto", "open_book": False}),
        ("helicopter.segment", helicopter.segment, {**common, "n_segments": 5}),
        ("helicopter.estimate_noise", helicopter.estimate_noise, {**common, "segments": None}),
        ("helicopter.estimate_sigma", helicopter.estimate_sigma, {**common}),
        ("helicopter.find_anomalies", helicopter.find_anomalies,
         {**common, "level": 0.1, "segments": None, "algorithm": "harmonic", "seed": 0}),
        ("helicopter.verify", helicopter.verify,
         {"evidence": rng.random(30), **own, "threshold": 0.8, "required_share": 0.8,
          "prior": (1.0, 1.0), "cost_of_look": 0.001, "max_looks": None, "order": None}),
        ("MDP of arrays", mdp,
         {"transitions": chances, "rewards": rewards, "states": None, "actions": None, **solving}),
        ("MDP of steps", mdp,
         {"transitions": steps, "rewards": None, "states": None, "actions": None, **solving}),
    ]  # fmt: skip


def accepted(case: Case) -> Case:
    """Leave out what the function does not know."""
    name, function, given = case
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return case
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return case
    return name, function, {key: value for key, value in given.items() if key in parameters}


def call(number: int, seed: int, only: str = "") -> tuple[str, str, str]:
    """Make one call; return its name, what came of it, and what there is to say of that."""
    from helicopter.errors import HelicopterError, InternalError

    rng = np.random.default_rng((seed, number))
    cases = direct(rng) if number % 3 else public(rng)
    if only:
        cases = [case for case in direct(rng) + public(rng) if only in case[0]]
    name, function, given = accepted(cases[rng.integers(len(cases))])
    for _ in range(rng.integers(1, 4)):
        key = list(given)[rng.integers(len(given))]
        if (key, name[:5]) != ("method", "noise"):
            given[key] = hostile(given[key], given, rng)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(**given)
    except InternalError as error:
        return name, "InternalError", str(error)
    except HelicopterError:
        return name, "refused", ""
    except (TypeError, MemoryError) as error:
        return name, type(error).__name__, ""
    except BaseException as error:  # a panic is none of the Exceptions
        return name, f"foreign {type(error).__name__}", repr(error)[:300]
    return name, "result", ""


def work(first: int, last: int, seed: int, only: str) -> None:
    """Make these calls, and tell of each on a line."""
    for number in range(6):  # what is loaded once
        call(number, -1 & 0xFFFF, only)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (pages + MEMORY, pages + MEMORY))
    print(json.dumps(["ready", "", ""]), flush=True)
    for number in range(first, last):
        print(json.dumps([number, *call(number, seed, only)]), flush=True)


def _answer(worker: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a line of a worker until it has worked for so long, or waited ten times that."""
    assert worker.stdout is not None
    begin, end = _worked(worker.pid), time.monotonic() + 10 * seconds
    while not select.select([worker.stdout], [], [], 0.25)[0]:
        if _worked(worker.pid) - begin > seconds or time.monotonic() > end:
            return False
    return True


def _worked(pid: int) -> float:
    """Return the seconds that a process has worked, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(
    count: int = 5000, seed: int = 0, only: str = "", minutes: float = float("inf")
) -> tuple[Counter[str], list[str]]:
    """Make so many calls, or until time is over.

    Returns how often what came of them, and a line for each that is wrong.
    """
    end = time.monotonic() + 60 * minutes
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    number = 0
    while number < count and time.monotonic() < end:
        command = [sys.executable, __file__, "--worker", str(number), str(count), str(seed), only]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
            assert worker.stdout is not None
            patience = START
            while number < count and time.monotonic() < end:
                ready = _answer(worker, patience)
                line = worker.stdout.readline() if ready else b""
                if not line:
                    worker.kill()
                    code = worker.wait()
                    what = "crash" if ready else f"hang over {PATIENCE:g} s"
                    if patience == START:
                        assert worker.stderr is not None
                        raise RuntimeError(worker.stderr.read().decode()[-2000:])
                    outcomes[what] += 1
                    wrong.append(f"{number} (seed {seed}): {what}, exit status {code}")
                    number += 1
                    break
                at, name, *rest = json.loads(line)
                patience = PATIENCE
                if at == "ready":
                    continue
                outcome, text = rest
                outcomes[outcome] += 1
                if outcome not in GOOD:
                    wrong.append(f"{number} (seed {seed}): {name}: {outcome}: {text}")
                number += 1
            worker.kill()
    return outcomes, wrong


def main() -> int:
    """Make calls and say what came of them; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="as many calls as they take, and no --count")
    parser.add_argument("--only", default="", help="calls whose name holds this")
    chosen = parser.parse_args()
    count, minutes = chosen.count, float("inf")
    if chosen.minutes is not None:
        count, minutes = 10**9, chosen.minutes
    outcomes, wrong = run(count, chosen.seed, chosen.only, minutes)
    print("\n".join(wrong))
    for outcome, times in outcomes.most_common():
        print(f"{times:8} {outcome}")
    return int(bool(wrong))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    else:
        raise SystemExit(main())
