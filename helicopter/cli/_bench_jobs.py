"""The jobs of ``helicopter bench``: engines on an image, decision models, and evidence."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from helicopter.io import sample_image

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["JOBS", "Job"]

Work = Callable[[bool], NDArray[Any]]
"""Does what is measured, in Rust or not, and returns what can be compared."""


class Job(NamedTuple):
    """What is measured at each size.

    Attributes
    ----------
    prepare : callable
        Makes, for a size and a seed, what does the work.
    amount : callable
        Says how much work that is, for a size.
    difference : pair of str
        Format and unit of the largest difference.
    """

    prepare: Callable[[int, int], Work]
    amount: Callable[[int], str]
    difference: tuple[str, str] = (".0e", "")


#: Beside one large model of each family, so many small ones of so many states.
_SMALL, _STATES = 20, 100
_ACTIONS, _SUCCESSORS = 4, 5
_CALLS = {False: count(), True: count()}


def _photograph(size: int) -> NDArray[np.uint8]:
    """Return the sample photograph as a square; mirrored tiles, so that detail stays detail."""
    photograph = sample_image()
    square = photograph[:, :400]
    pair = np.concatenate([square, square[:, ::-1]], axis=1)
    tile = np.concatenate([pair, pair[::-1]], axis=0)
    count = -(-size // tile.shape[0])
    return np.ascontiguousarray(np.tile(tile, (count, count, 1))[:size, :size])


def _autonomous(image: NDArray[np.uint8], seed: int) -> Work:
    from helicopter.core import AutonomousReconstructionEngine

    def job(rust: bool) -> NDArray[Any]:
        engine = AutonomousReconstructionEngine(use_rust_acceleration=rust, device="cpu", seed=seed)
        # a target that is never reached: both sides do all of the work
        return engine.autonomous_analyze(image, target_quality=1.0).reconstruction

    return job


def _regional(algorithm: str) -> Callable[[NDArray[np.uint8], int], Work]:
    def prepare(image: NDArray[np.uint8], seed: int) -> Work:
        from helicopter.core import RegionalReconstructionEngine

        blocks = np.random.default_rng(seed).random((-(-image.shape[0] // 16),) * 2) < 0.25
        blocks.flat[0] = True
        hidden = blocks.repeat(16, 0).repeat(16, 1)[: image.shape[0], : image.shape[1]]

        def job(rust: bool) -> NDArray[Any]:
            engine = RegionalReconstructionEngine(
                algorithm=algorithm, use_rust_acceleration=rust, device="cpu", seed=seed
            )
            return engine.reconstruct(image, hidden).reconstruction

        return job

    return prepare


def _segments(image: NDArray[np.uint8], seed: int) -> Work:
    from helicopter.core import SegmentAwareReconstructionEngine

    # as many as 250 to a megapixel, and a grid, so that nothing but the engine is measured
    side = max(round(16 * image.shape[0] / 1024), 1)

    def job(rust: bool) -> NDArray[Any]:
        engine = SegmentAwareReconstructionEngine(
            use_rust_acceleration=rust, device="cpu", seed=seed
        )
        return engine.segment_aware_reconstruction(image, segments=(side, side)).reconstruction

    return job


def _noise(image: NDArray[np.uint8], _: int) -> Work:
    from helicopter.core import ZengezaNoiseDetector

    def job(rust: bool) -> NDArray[Any]:
        detector = ZengezaNoiseDetector(use_rust_acceleration=rust, device="cpu")
        return detector.analyze(image).sigma_map

    return job


def _states_of(size: int) -> int:
    """Return how many states the large models have at a size of image, which has nothing to say."""
    return 8 * min(size, 1024)


def _looks_of(size: int) -> int:
    """Return how many patches of 16 pixels an image has, as far as looks are taken."""
    return min((size // 16) ** 2, 4096)


def _models(size: int, seed: int) -> Work:
    """State decision models and solve them.

    Random ones (which mix at once), walks on a grid and ladders (which mix slowly), and small ones.
    """
    from helicopter.core import MDP

    states = _states_of(size)
    random = np.random.default_rng(seed)
    large = [
        (_random(states, random), 0.99),
        (_grid(max(2, math.isqrt(states)), random), 0.999),
        (_ladder(states, random), 0.999),
    ]
    small = [
        (random.dirichlet(np.ones(_STATES), (_STATES, 4)), random.normal(size=(_STATES, 4)))
        for _ in range(_SMALL)
    ]

    def job(rust: bool) -> NDArray[Any]:
        values = [
            MDP(transitions, rewards, discount, device="cpu", use_rust_acceleration=rust).solve()
            for (transitions, rewards), discount in [*large, *((model, 0.95) for model in small)]
        ]
        return np.concatenate([solution.value for solution in values])

    return job


def _evidence(size: int, seed: int) -> Work:
    """Find a stopping policy, and verify the evidence of a whole image with it.

    Of the patches the required share succeeds, and looks cost next to nothing, so that none is left
    out.
    """
    from helicopter.core import HatataMDPEngine

    looks = _looks_of(size)
    qualities = np.where(np.random.default_rng(seed).permutation(looks) % 5 < 4, 0.9, 0.5)

    def job(rust: bool) -> NDArray[Any]:
        # policies are remembered: each call has costs of its own, the same on both sides
        cost = 1e-9 * (1.0 + 1e-3 * next(_CALLS[rust]))
        found = HatataMDPEngine("cpu", rust).verify(qualities, cost_of_look=cost)
        return np.array([(step.probability, step.low, step.high) for step in found.trajectory])

    return job


def _random(states: int, random: np.random.Generator) -> tuple[csr_array, NDArray[Any]]:
    """Every pair has a few successors, drawn anywhere."""
    from scipy.sparse import csr_array

    rows = states * _ACTIONS
    columns = random.integers(states, size=rows * _SUCCESSORS)
    chances = random.dirichlet(np.ones(_SUCCESSORS), rows).ravel()
    start = np.arange(rows + 1) * _SUCCESSORS
    transitions = csr_array((chances, columns, start), shape=(rows, states))
    transitions.sum_duplicates()
    return transitions, random.random((states, _ACTIONS))


def _grid(side: int, random: np.random.Generator) -> tuple[csr_array, NDArray[Any]]:
    """Steps in four directions; one in five goes astray to a side, and walls hold."""
    from scipy.sparse import csr_array

    states = side * side
    row, column = np.divmod(np.arange(states), side)
    steps = ((-1, 0), (0, 1), (1, 0), (0, -1))
    reached = [
        np.clip(row + down, 0, side - 1) * side + np.clip(column + right, 0, side - 1)
        for down, right in steps
    ]
    pairs, columns, chances = [], [], []
    for action in range(_ACTIONS):
        for turn, chance in ((0, 0.8), (1, 0.1), (3, 0.1)):
            pairs.append(np.arange(states) * _ACTIONS + action)
            columns.append(reached[(action + turn) % _ACTIONS])
            chances.append(np.full(states, chance))
    entries = (np.concatenate(pairs), np.concatenate(columns))
    transitions = csr_array((np.concatenate(chances), entries), shape=(states * _ACTIONS, states))
    return transitions, np.repeat((random.random(states) < 0.001)[:, None], _ACTIONS, 1) * 1.0


def _ladder(states: int, random: np.random.Generator) -> tuple[csr_array, NDArray[Any]]:
    """Climb, which may fail and costs a little, or rest; the higher, the better."""
    from scipy.sparse import csr_array

    here = np.arange(states)
    up, down = np.minimum(here + 1, states - 1), np.maximum(here - 1, 0)
    success = random.uniform(0.4, 0.9, states)
    entries = (
        np.concatenate([2 * here, 2 * here, 2 * here + 1, 2 * here + 1]),
        np.concatenate([up, down, here, down]),
    )
    chances = np.concatenate([success, 1.0 - success, np.full(states, 0.95), np.full(states, 0.05)])
    height = here / states
    rewards = np.stack([height - 0.1, height], axis=1)
    return csr_array((chances, entries), shape=(2 * states, states)), rewards


def _on_photograph(prepare: Callable[[NDArray[np.uint8], int], Work]) -> Job:
    return Job(
        lambda size, seed: prepare(_photograph(size), seed),
        lambda size: f"{size} x {size}",
        (".0f", " of 255"),
    )


JOBS = {
    "autonomous": _on_photograph(_autonomous),
    "regional, network": _on_photograph(_regional("network")),
    "regional, harmonic": _on_photograph(_regional("harmonic")),
    "regional, biharmonic": _on_photograph(_regional("biharmonic")),
    "segment-aware": _on_photograph(_segments),
    "noise": _on_photograph(_noise),
    "MDP, models": Job(_models, lambda size: f"{_states_of(size)} states"),
    "MDP, evidence": Job(_evidence, lambda size: f"{_looks_of(size)} looks"),
}
