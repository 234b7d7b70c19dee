"""Residuals to twice the working precision, against exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from helicopter.backends.reference.analysis.mdp.certificate import Exact
from helicopter.core import MDP


def random_model(rng):
    states, actions = rng.integers(1, 9), rng.integers(1, 4)
    chances = rng.random((states, actions, states)) * (rng.random((states, actions, states)) < 0.6)
    chances[..., 0] += 1e-3
    chances /= chances.sum(axis=2, keepdims=True)
    rewards = rng.normal(size=(states, actions)) * 10.0 ** rng.uniform(-3, 6)
    return MDP(chances, rewards, 0.9999, action_axis=1, use_rust_acceleration=False)._model


@pytest.mark.parametrize("with_low", [False, True])
def test_the_stated_error_holds(with_low):
    rng = np.random.default_rng(7)
    rows = 0
    for _ in range(150):
        model = random_model(rng)
        count = len(model.pair_start) - 1
        high = rng.uniform(-1, 1, count) * 10.0 ** rng.uniform(-3, 9, count)
        low = high * 2.0**-54 * rng.uniform(-1, 1, count) if with_low else None
        found = Exact(model).residual(model.rewards, model.rewards_low, 0.9999, high, low)
        value = [Fraction(x) for x in high.tolist()]
        if low is not None:
            value = [x + Fraction(y) for x, y in zip(value, low.tolist(), strict=True)]
        state_of = np.repeat(np.arange(count), np.diff(model.pair_start))
        for pair, computed in enumerate(found.values.tolist()):
            entries = slice(model.row_start[pair], model.row_start[pair + 1])
            chances = map(Fraction, model.probabilities[entries].tolist())
            after = (value[state] for state in model.columns[entries])
            ahead = sum((p * v for p, v in zip(chances, after, strict=True)), Fraction(0))
            truth = Fraction(float(model.rewards[pair])) + Fraction(0.9999) * ahead
            truth -= value[state_of[pair]]
            assert Fraction(found.below(computed)) <= truth <= Fraction(found.above(computed))
            rows += 1
    assert rows > 1000


def test_nearly_all_of_it_is_kept():
    model = random_model(np.random.default_rng(3))
    high = np.full(len(model.pair_start) - 1, 1e9 / 3)
    found = Exact(model).residual(model.rewards, model.rewards_low, 0.9999, high, None)
    assert found.error < 1e-12 * np.abs(found.values).max()
