"""What `decisions.py` measures: a function a method, ours and those of other libraries.

A method prepares what its library takes (not counted), builds the model and solves it (counted).
Peers are asked for the error that is wanted by their own options, and state no bound themselves.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from decision_models import Model
    from numpy.typing import NDArray

#: QuantEcon stops after 250 iterations unless told otherwise.
ENDLESS = 10**9


class Task(NamedTuple):
    """What is asked of a method."""

    discount: float
    epsilon: float


class Answer(NamedTuple):
    """What a method returned; peers know no bounds."""

    value: NDArray[np.float64]
    iterations: int | None
    width: float | None = None


Solve = Callable[[Any, Task], Answer]


class Method(NamedTuple):
    """A way to solve a model: what it needs, what it takes, what it does."""

    package: str
    prepare: Callable[[Model], Any]
    solve: Solve


def lacking(name: str) -> str | None:
    """Return the package that a method would need, or None if it can run here."""
    package = METHODS[name].package
    return None if importlib.util.find_spec(package) else package


# -- ours --------------------------------------------------------------------------------------


def _ours(rust: bool, method: Any = "auto") -> Solve:
    def solve(model: Model, task: Task) -> Answer:
        from helicopter.core import MDP

        states, actions, transitions, rewards = model[1:]
        problem = MDP.from_pairs(
            states, actions, transitions, rewards, task.discount, use_rust_acceleration=rust
        )
        found = problem.solve(method, task.epsilon)
        return Answer(found.value, found.iterations, float(found.width))

    return solve


def as_dense(model: Model) -> tuple[Any, Any]:
    """Return transitions (S, A, S) and rewards (S, A), if all states have as many actions."""
    shape = model.n_states, -1, model.n_states
    return model.transitions.toarray().reshape(shape), model.rewards.reshape(shape[:2])


def dense_rust(arrays: tuple[Any, Any], task: Task) -> Answer:
    """Solve a model that is given as arrays, (S, A, S) and (S, A)."""
    from helicopter.core import MDP

    found = MDP(*arrays, task.discount, use_rust_acceleration=True).solve(epsilon=task.epsilon)
    return Answer(found.value, found.iterations, float(found.width))


# -- QuantEcon ---------------------------------------------------------------------------------


def _quantecon(method: str, k: int = 20) -> Solve:
    def solve(model: Model, task: Task) -> Answer:
        from quantecon.markov import DiscreteDP

        states, actions, transitions, rewards = model[1:]
        problem = DiscreteDP(rewards, transitions, task.discount, states, actions)
        found = problem.solve(method, epsilon=task.epsilon, max_iter=ENDLESS, k=k)
        return Answer(found.v, int(found.num_iter))

    return solve


# -- MDPSolver ---------------------------------------------------------------------------------


def as_lists(model: Model) -> tuple[list[Any], list[Any], list[Any]]:
    """Return rewards, probabilities and columns in nested lists, by state and action."""
    row, columns = model.transitions.indptr.tolist(), model.transitions.indices.tolist()
    data, rewards = model.transitions.data.tolist(), model.rewards.tolist()
    pairs = np.searchsorted(model.states, np.arange(model.n_states + 1)).tolist()
    by_state = [range(a, b) for a, b in pairwise(pairs)]
    return (
        [[rewards[i] for i in these] for these in by_state],
        [[data[row[i] : row[i + 1]] for i in these] for these in by_state],
        [[columns[row[i] : row[i + 1]] for i in these] for these in by_state],
    )


def _mdpsolver(algorithm: str, update: str = "standard") -> Solve:
    def solve(lists: tuple[list[Any], list[Any], list[Any]], task: Task) -> Answer:
        import mdpsolver

        model = mdpsolver.model()  # a fresh one: a second solve begins where the first one ended
        model.mdp(
            discount=task.discount, rewards=lists[0], tranMatProbs=lists[1], tranMatColumns=lists[2]
        )
        model.solve(algorithm=algorithm, tolerance=task.epsilon, update=update, parallel=False)
        return Answer(np.asarray(model.getValueVector()), None)

    return solve


def _as_is(model: Model) -> Model:
    return model


OURS = "helicopter"
PYTHON = "helicopter, Python"
QUANTECON = "QuantEcon MPI"
METHODS: dict[str, Method] = {
    OURS: Method("helicopter_rs", _as_is, _ours(True)),
    PYTHON: Method("helicopter", _as_is, _ours(False)),
    "helicopter, VI": Method("helicopter_rs", _as_is, _ours(True, "value_iteration")),
    "helicopter, PI": Method("helicopter_rs", _as_is, _ours(True, "policy_iteration")),
    "helicopter, MPI": Method("helicopter_rs", _as_is, _ours(True, "modified_policy_iteration")),
    "helicopter, dense": Method("helicopter_rs", as_dense, dense_rust),
    QUANTECON: Method("quantecon", _as_is, _quantecon("modified_policy_iteration")),
    **{
        f"{QUANTECON} k={k}": Method(
            "quantecon", _as_is, _quantecon("modified_policy_iteration", k)
        )
        for k in (5, 10, 50, 100)
    },
    "QuantEcon PI": Method("quantecon", _as_is, _quantecon("policy_iteration")),
    "MDPSolver": Method("mdpsolver", as_lists, _mdpsolver("mpi")),
    "MDPSolver GS": Method("mdpsolver", as_lists, _mdpsolver("mpi", "gs")),
}
