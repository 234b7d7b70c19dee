"""Markov decision processes whose states are seen through noisy observations only."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._shared.checks import check_fraction, check_integer, check_real
from helicopter._shared.progress import as_callback
from helicopter.backends._engine import Engine
from helicopter.errors import ConvergenceError, InvalidOptionError

from .belief import check_belief, successor
from .pomdp_beliefs import KnownBeliefs
from .pomdp_lower import LowerBound
from .pomdp_model import build
from .pomdp_results import POMDPSolution
from .pomdp_upper import UpperBound

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from helicopter._shared.progress import ProgressCallback

__all__ = ["POMDP"]

#: Beliefs nearer to each other than this are one when beliefs are added.
SAME = 1e-12


class POMDP(Engine):
    """A partially observed Markov decision process (Smallwood and Sondik 1973), for small models.

    Parameters
    ----------
    transitions : array_like of shape (S, A, S) or (A, S, S)
        Probabilities (state, action, next state) or (action, state, next state), told apart by the
        shape; (S, A, S) if S = A. Rows that add up to one within 1e-9 are divided by their sums.
    observations : array_like of shape (A, S', O), (S', O) or (S, A, S', O)
        Probability of each observation after the next state S' was entered; if need be, depending
        on the action, and on the state before.
    rewards : array_like of shape (S, A), (S,), or like `transitions`
    discount : float, default 0.95
        Between 0 and 1, both excluded.
    states, actions, observation_labels : sequence of hashable, optional
        Labels; actions and observations may then be given by them.
    device : str, default "auto"
    use_rust_acceleration : bool, optional
        True: Rust or an error; False: Python; None: Rust if it can be used.

    Attributes
    ----------
    n_states, n_actions, n_observations : int
    states, actions, observations : sequence
        The labels, or the numbers if there are none.
    discount : float
    backend, device : str

    Raises
    ------
    InvalidModelError
        It names the state and the action that something is wrong with.
    InvalidOptionError, DeviceError, RustAccelerationError

    Examples
    --------
    The tiger (Kaelbling, Littman and Cassandra 1998): listen, or open one of two doors.

    >>> import numpy as np
    >>> from helicopter.core import POMDP
    >>> stay, anew = np.eye(2), np.full((2, 2), 0.5)
    >>> hear, nothing = np.array([[0.85, 0.15], [0.15, 0.85]]), np.full((2, 2), 0.5)
    >>> tiger = POMDP(
    ...     np.stack([stay, anew, anew], axis=1),
    ...     np.stack([hear, nothing, nothing]),
    ...     np.array([[-1.0, -100.0, 10.0], [-1.0, 10.0, -100.0]]),
    ...     discount=0.75,
    ...     states=("left", "right"),
    ...     actions=("listen", "open left", "open right"),
    ... )
    >>> solution = tiger.solve(epsilon=1e-9)
    >>> round(solution.value, 9)
    1.933438986
    >>> tiger.actions[solution.policy()]
    'listen'
    """

    def __init__(
        self,
        transitions: object,
        observations: object,
        rewards: object,
        discount: float = 0.95,
        *,
        states: Sequence[Hashable] | None = None,
        actions: Sequence[Hashable] | None = None,
        observation_labels: Sequence[Hashable] | None = None,
        device: str = "auto",
        use_rust_acceleration: bool | None = None,
    ) -> None:
        super().__init__(device, use_rust_acceleration)
        self.discount = check_fraction(discount, "discount", ends=False)
        self._model = build(transitions, observations, rewards, states, actions, observation_labels)
        self.n_actions, self.n_observations, self.n_states, _ = self._model.joint.shape

    @property
    def states(self) -> Sequence[Hashable]:
        """Labels of the states."""
        return self._model.states.names

    @property
    def actions(self) -> Sequence[Hashable]:
        """Labels of the actions."""
        return self._model.actions.names

    @property
    def observations(self) -> Sequence[Hashable]:
        """Labels of the observations."""
        return self._model.observations.names

    def belief_update(self, belief: object, action: Any, observation: Any) -> NDArray[np.float64]:
        """Return the belief after an action and what was observed then, by Bayes' rule.

        Parameters
        ----------
        belief : array_like of shape (S,), or None
            None: all states are equally probable.
        action, observation
            A label, or a number if there are none.

        Returns
        -------
        float64 ndarray of shape (S,)

        Raises
        ------
        InvalidOptionError
            Also for an observation that cannot be.
        """
        before = check_belief(belief, self.n_states)
        act = self._model.actions.number(action, "action")
        seen = self._model.observations.number(observation, "observation")
        after, chance = successor(self._model.joint[act, seen], before)
        if chance <= 0.0:
            raise InvalidOptionError(
                f"observation: {self._model.observations.say(seen)} has probability 0 after "
                f"{self._model.actions.say(act)} at this belief; expected one that can be."
            )
        return after

    def observation_probabilities(self, belief: object, action: Any) -> NDArray[np.float64]:
        """Return how probable each observation is after an action.

        Parameters
        ----------
        belief : array_like of shape (S,), or None
        action
            A label, or a number if there are none.

        Returns
        -------
        float64 ndarray of shape (O,)
        """
        before = check_belief(belief, self.n_states)
        act = self._model.actions.number(action, "action")
        return np.asarray((before @ self._model.joint[act]).sum(axis=1))

    def solve(
        self,
        belief: object = None,
        epsilon: float = 1e-6,
        *,
        max_beliefs: int = 1000,
        progress: bool | ProgressCallback | None = None,
    ) -> POMDPSolution:
        """Enclose the optimal value at a belief, and find a policy that earns the lower bound.

        Beliefs that can be reached are added, where the bounds are far apart and it matters most,
        until the bounds meet. Where an optimal policy comes back to finitely many beliefs the
        bounds become exact; elsewhere they close in slowly, and a large `epsilon` is advisable.

        Parameters
        ----------
        belief : array_like of shape (S,), optional
            None: all states are equally probable.
        epsilon : float, default 1e-6
            How far the bounds may be apart.
        max_beliefs : int, default 1000
            The certain ones included. Memory grows with its square, times actions and observations.
        progress : None, True or callable, default None
            True: a bar on stderr. A callable is called with (beliefs, max_beliefs); what it raises
            stops the call.

        Returns
        -------
        POMDPSolution

        Raises
        ------
        ConvergenceError
            If the bounds did not come as close as `epsilon`. Its ``solution`` has the best that
            were reached.
        InvalidOptionError
        """
        started = time.perf_counter()
        start = check_belief(belief, self.n_states)
        epsilon = check_real(epsilon, "epsilon", above=0.0)
        most = check_integer(max_beliefs, "max_beliefs", self.n_states + 1)
        with as_callback(progress, "Solving") as callback:
            return self._solve(start, epsilon, most, callback, started)

    def _solve(
        self,
        start: NDArray[np.float64],
        epsilon: float,
        most: int,
        callback: ProgressCallback | None,
        started: float,
    ) -> POMDPSolution:
        known = KnownBeliefs(self._model, self.discount)
        certain = int(start.argmax())
        node = self.n_states
        if start[certain] == 1.0:
            node = certain
        else:
            known.add(start[None])
        upper = UpperBound(known, self._backend)
        lower = LowerBound(known, self._backend)
        fine = epsilon / 32
        iterations, gap = 0, np.inf
        while True:
            iterations += 1
            # while the bounds are far apart, no need to go on where little is gained
            step = max(fine, 1e-3 * gap) if gap < np.inf else fine
            upper.improve(fine, step)
            high = float(upper.values[node])
            lower.improve(upper.best, node, fine, step, high - epsilon / 2)
            rounding = known.allowance(upper.values) + known.allowance(lower.vectors)
            gap = high - lower.value(node) + rounding
            if callback is not None:
                callback(len(known), most)
            if gap <= epsilon or len(known) >= most:
                break
            added = _choose(*upper.frontier(node, lower, known.node_of(upper.best)), known, most)
            if len(added):
                known.add(added)
            elif step <= fine:
                break
            else:
                gap = 0.0  # nothing to add: solve to the last
        return self._finish(start, epsilon, known, upper, lower, node, iterations, started)

    def _finish(
        self,
        start: NDArray[np.float64],
        epsilon: float,
        known: KnownBeliefs,
        upper: UpperBound,
        lower: LowerBound,
        node: int,
        iterations: int,
        started: float,
    ) -> POMDPSolution:
        lower.clear()
        vectors = lower.vectors - known.allowance(lower.vectors)
        values = upper.values + known.allowance(upper.values)
        low, high = float((vectors @ start).max()), float(values[node])
        # the product above and the belief's own last digit
        rounding = known.rounding * max(float(np.abs(vectors).max()), float(np.abs(values).max()))
        low -= rounding
        solution = POMDPSolution(
            value=(low + high) / 2,
            lower=low,
            upper=high,
            width=high - low,
            belief=start,
            vectors=vectors,
            vector_actions=lower.actions,
            next_vectors=lower.following,
            points=known.points,
            point_upper=values,
            iterations=iterations,
            epsilon=epsilon,
            backend=self.backend,
            device=self.device,
            seconds=time.perf_counter() - started,
            _rounding=rounding,
        )
        if solution.width > epsilon:
            raise ConvergenceError(
                f"the bounds are {solution.width:.3g} apart with {len(known)} beliefs; "
                f"epsilon={epsilon:g} was asked for. More beliefs (max_beliefs) or a larger "
                "epsilon may help. The bounds reached are in the attribute solution.",
                solution,
            )
        return solution


def _choose(
    beliefs: NDArray[np.float64], slack: NDArray[np.float64], known: KnownBeliefs, most: int
) -> NDArray[np.float64]:
    """Return the beliefs with the largest slack, each once."""
    room = min(most - len(known), max(8, len(known) // 3))
    order = np.argsort(-slack, kind="stable")
    order = order[slack[order] > 0.05 * slack.max(initial=0.0)]
    chosen: list[NDArray[np.float64]] = []
    for one in beliefs[order[: 8 * room]]:
        if not chosen or float(np.abs(np.array(chosen) - one).max(axis=1).min()) > SAME:
            chosen.append(one)
        if len(chosen) == room:
            break
    return np.array(chosen).reshape(-1, beliefs.shape[1])
