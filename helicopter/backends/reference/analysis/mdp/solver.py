"""Solves in plain float64, proves how far off that is, and refines until it is near enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helicopter._shared.blas import blas_on_one_thread
from helicopter.backends.protocol import HorizonRun, MdpRun

from .certificate import UNIT, Exact, discounted_steps, enclose, total_steps, two_sum
from .search import AHEAD, Plain
from .sweep import Bellman, csr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Progress
    from helicopter.backends.protocol import DecisionModel, MdpMethod

    from .certificate import Enclosure, Steps

__all__ = [
    "q_values",
    "solve",
    "solve_horizon",
]


def solve_horizon(
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


@blas_on_one_thread()
def solve(
    model: DecisionModel,
    discount: float,
    method: MdpMethod,
    epsilon: float,
    max_iterations: int | None,
    progress: Progress | None,
) -> MdpRun:
    """See `helicopter.backends.protocol.Backend.solve_mdp`.

    If D solves the same model with the residuals of V for rewards, then V + D is the optimal value:
    so each round adds to V, held as a sum of two float64, the solution of that model, and the
    residuals of the sum, taken to twice the precision, say how near it is. This is iterative
    refinement (Wilkinson 1963), with a maximum in it.
    """
    bellman, exact = Bellman(model, discount), Exact(model)
    plain = Plain(bellman, max_iterations, progress)
    with np.errstate(all="ignore"):  # where numbers overflow, the bounds are infinite
        steps = _steps(bellman, exact)
        target = epsilon / (8.0 * steps.most) if np.isfinite(steps.most) else 0.0
        high, low = np.zeros(bellman.n_states), np.zeros(bellman.n_states)
        rewards, used = model.rewards, str(method)
        best: Enclosure | None = None
        while True:
            change, used = _solve_plain(plain, method, rewards, target, used)
            if not np.isfinite(change).all():
                change = np.zeros(bellman.n_states)
            high, low = _added(high, low, change)
            residual = exact.residual(model.rewards, model.rewards_low, discount, high, low)
            found = enclose(bellman, steps, residual, high, low, epsilon)
            stuck = best is not None and not found.width < 0.5 * best.width
            if best is None or found.width < best.width:
                best, value = found, _value(high, low, found, steps)
            if best.width <= epsilon or stuck or plain.exhausted or not np.isfinite(best.width):
                break
            rewards = residual.values
    policy = bellman.spread(model.actions[best.pairs].astype(np.int64), -1)
    return MdpRun(
        value,
        best.lower,
        best.upper,
        policy,
        plain.iterations,
        used,
        best.width <= epsilon,
    )


def q_values(
    model: DecisionModel, discount: float, value: NDArray[np.float64]
) -> NDArray[np.float64]:
    """See `helicopter.backends.protocol.Backend.q_values`."""
    return Bellman(model, discount).q(model.rewards, value)


def _steps(bellman: Bellman, exact: Exact) -> Steps:
    if bellman.discount < 1.0:
        steps = discounted_steps(bellman, exact)
        if np.isfinite(steps.most):
            return steps
    # how many steps there can be at most is a decision problem, too
    ones = np.ones(len(exact.model.actions))
    guess, _ = Plain(bellman, None, None).auto(ones, 0.05)
    if not np.isfinite(guess).all():
        guess = np.full(bellman.n_states, -1.0)
    return total_steps(bellman, exact, guess)


def _solve_plain(
    plain: Plain, method: MdpMethod, rewards: NDArray[np.float64], target: float, used: str
) -> tuple[NDArray[np.float64], str]:
    if method == "value_iteration":
        return plain.value_iteration(rewards, target), method
    if method == "policy_iteration":
        return plain.policy_iteration(rewards, target), method
    if method == "modified_policy_iteration":
        return np.asarray(plain.modified_policy_iteration(rewards, target)), method
    if used == "policy_iteration":  # once the sweeps were given up, they are not tried again
        return plain.policy_iteration(rewards, target, ahead=AHEAD), used
    return plain.auto(rewards, target)


def _added(
    high: NDArray[np.float64], low: NDArray[np.float64], change: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    total, error = two_sum(high, change)
    high = total + (error + low)
    # all that is left over but for one rounding; V is whatever the two add up to
    return high, (error + low) - (high - total)


def _value(
    high: NDArray[np.float64], low: NDArray[np.float64], found: Enclosure, steps: Steps
) -> NDArray[np.float64]:
    middle = found.middle * (1.0 if steps.weights is None else steps.weights)
    return np.clip(high + (low + middle), found.lower, found.upper)
