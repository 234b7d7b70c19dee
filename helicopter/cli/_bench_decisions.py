"""The jobs of ``helicopter bench`` that have no image: decision models, and evidence."""

from __future__ import annotations

import math
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from scipy.sparse import csr_array

__all__ = ["evidence_job", "looks_of", "models_job", "states_of"]

#: Beside one large model of each family, so many small ones of so many states.
_SMALL, _STATES = 20, 100
_ACTIONS, _SUCCESSORS = 4, 5
_CALLS = {False: count(), True: count()}


def states_of(size: int) -> int:
    """Return how many states the large models have at a size of image, which has nothing to say."""
    return 8 * min(size, 1024)


def looks_of(size: int) -> int:
    """Return how many patches of 16 pixels an image has, as far as looks are taken."""
    return min((size // 16) ** 2, 4096)


def models_job(size: int, seed: int) -> Callable[[bool], NDArray[Any]]:
    """State decision models and solve them.

    Random ones (which mix at once), walks on a grid and ladders (which mix slowly), and small ones.
    """
    from helicopter.core import MDP

    states = states_of(size)
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


def evidence_job(size: int, seed: int) -> Callable[[bool], NDArray[Any]]:
    """Find a stopping policy, and verify the evidence of a whole image with it.

    Of the patches the required share succeeds, and looks cost next to nothing, so that none is left
    out.
    """
    from helicopter.core import HatataMDPEngine

    looks = looks_of(size)
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
