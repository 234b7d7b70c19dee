"""Backward induction over a finite horizon, with bounds carried along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helicopter.backends.protocol import HorizonRun

from .bellman import Bellman, csr
from .exact import UNIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter.backends.protocol import DecisionModel

__all__ = ["solve"]


def solve(
    model: DecisionModel, discount: float, horizon: int, terminal: NDArray[np.float64]
) -> HorizonRun:
    """See `helicopter.backends.protocol.Backend.solve_horizon`; Puterman 1994, section 4.5.

    Value, lower and upper bound are three columns of one product. A row of n products of p and v,
    times the discount, plus two parts of a reward, is off by at most (n + 5) roundings of its
    absolute terms (Higham 2002, section 3.1); with one more for computing that, and one for adding
    it, a bound stays a bound. The lower one follows the policy, so it bounds what this earns, too.
    """
    bellman = Bellman(model, discount)
    chances = csr(model, model.probabilities)
    states, counts = bellman.states, bellman.counts
    size = UNIT * (np.diff(model.row_start) + 8.0)
    tiny = np.finfo(np.float64).tiny
    value = np.zeros((horizon + 1, bellman.n_states))
    lower, upper = np.zeros_like(value), np.zeros_like(value)
    policy = np.full((horizon, bellman.n_states), -1, dtype=np.int64)
    value[horizon] = lower[horizon] = upper[horizon] = terminal
    with np.errstate(all="ignore"):
        paid = np.abs(model.rewards) + np.abs(model.rewards_low)
        for step in range(horizon - 1, -1, -1):
            after = np.stack([value[step + 1], lower[step + 1], upper[step + 1]], axis=1)
            q = discount * (chances @ after) + model.rewards_low[:, None] + model.rewards[:, None]
            largest = np.abs(after).max(axis=1)
            off = size * (discount * (chances @ largest) + paid) * (1.0 + 1e-6) + tiny
            best = bellman.best(q[:, 0])
            # what differs by roundings only is the same: the first of these
            slack = np.maximum.reduceat(off, bellman.starts) if len(states) else off
            fine = q[:, 0] >= np.repeat(best - 2.0 * slack, counts)
            number = np.where(fine, np.arange(len(fine)), len(fine))
            pairs = np.minimum.reduceat(number, bellman.starts) if len(states) else number
            lower[step, states] = np.nextafter((q[:, 1] - off)[pairs], -np.inf)
            upper[step, states] = np.nextafter(bellman.best(q[:, 2] + off), np.inf)
            value[step, states] = np.clip(best, lower[step, states], upper[step, states])
            policy[step, states] = model.actions[pairs]
    for bound, outside in ((lower, -np.inf), (upper, np.inf)):
        bound[np.isnan(bound)] = outside
    return HorizonRun(value, lower, upper, policy)
