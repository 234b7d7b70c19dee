"""Partially observed decision processes: what is believed of the state, updated by Bayes' rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from helicopter._shared.blas import blas_on_one_thread
from helicopter._shared.checks import check_fraction
from helicopter.backends._engine import Engine
from helicopter.errors import InvalidModelError, InvalidOptionError

from ._input import axis_of_actions, refuse_shape
from ._labels import Labels

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

__all__ = ["POMDP"]

#: How far from one probabilities may add up; they are divided by their sum.
TOLERANCE = 1e-9
#: The same of a model in single precision.
TOLERANCE_SINGLE = 1e-5


class _Model(NamedTuple):
    """A partially observed model.

    Attributes
    ----------
    joint : float64 ndarray of shape (A, O, S, S)
        Probability of observation and next state together, given action and state.
    rewards : float64 ndarray of shape (S, A), or None
    states, actions, observations : Labels
    """

    joint: NDArray[np.float64]
    rewards: NDArray[np.float64] | None
    states: Labels
    actions: Labels
    observations: Labels


class POMDP(Engine):
    """A partially observed Markov decision process (Smallwood and Sondik 1973): states its beliefs.

    It checks a model and follows what is known of its state, by Bayes' rule. It does not solve:
    libraries that specialise in planning do, such as POMDPs.jl (Julia) and pomdp_py (Python).

    Parameters
    ----------
    transitions : array_like of shape (S, A, S) or (A, S, S)
        Probabilities (state, action, next state) or (action, state, next state), told apart by the
        shape, or by `action_axis` if S = A. Rows that add up to one within 1e-9 are divided by
        their sums.
    observations : array_like of shape (A, S', O), (S', O) or (S, A, S', O)
        Probability of each observation after the next state S' was entered; if need be, depending
        on the action, and on the state before.
    rewards : array_like of shape (S, A), (S,), or like `transitions`, optional
        Needed by `expected_rewards` only.
    discount : float, default 0.95
        Between 0 and 1, both excluded. Kept with the model; beliefs do not depend on it.
    states, actions, observation_labels : sequence of hashable, optional
        Labels; actions and observations may then be given by them.
    action_axis : {0, 1}, optional
        As for `MDP`.
    device : str, default "auto"
    use_rust_acceleration : bool, optional
        True: Rust or an error; False: Python; None: Rust if it can be used. Beliefs are NumPy with
        either.

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
    ...     states=("left", "right"),
    ...     actions=("listen", "open left", "open right"),
    ... )
    >>> belief = tiger.belief_update([0.5, 0.5], "listen", 0)
    >>> belief
    array([0.85, 0.15])
    >>> tiger.expected_rewards(belief).round(3)
    array([ -1. , -83.5,  -6.5])
    """

    def __init__(
        self,
        transitions: object,
        observations: object,
        rewards: object = None,
        discount: float = 0.95,
        *,
        states: Sequence[Hashable] | None = None,
        actions: Sequence[Hashable] | None = None,
        observation_labels: Sequence[Hashable] | None = None,
        action_axis: Literal[0, 1] | None = None,
        device: str = "auto",
        use_rust_acceleration: bool | None = None,
    ) -> None:
        super().__init__(device, use_rust_acceleration)
        self.discount = check_fraction(discount, "discount", ends=False)
        self._model = _build(
            transitions, observations, rewards, states, actions, observation_labels, action_axis
        )
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

    @blas_on_one_thread()
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
        before = _check_belief(belief, self.n_states)
        act = self._model.actions.number(action, "action")
        seen = self._model.observations.number(observation, "observation")
        weight = before @ self._model.joint[act, seen]
        chance = float(weight.sum())
        if chance <= 0.0:
            raise InvalidOptionError(
                f"observation: {self._model.observations.say(seen)} has probability 0 after "
                f"{self._model.actions.say(act)} at this belief; expected one that can be."
            )
        return np.asarray(weight / chance)

    @blas_on_one_thread()
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
        before = _check_belief(belief, self.n_states)
        act = self._model.actions.number(action, "action")
        return np.asarray((before @ self._model.joint[act]).sum(axis=1))

    @blas_on_one_thread()
    def expected_rewards(self, belief: object) -> NDArray[np.float64]:
        """Return what each action is expected to earn at once.

        Parameters
        ----------
        belief : array_like of shape (S,), or None

        Returns
        -------
        float64 ndarray of shape (A,)

        Raises
        ------
        InvalidModelError
            If the model was made without rewards.
        InvalidOptionError
        """
        if self._model.rewards is None:
            raise InvalidModelError(
                "rewards: missing; expected rewards were asked of a model made without them."
            )
        return np.asarray(_check_belief(belief, self.n_states) @ self._model.rewards)


def _check_belief(belief: object, n_states: int) -> NDArray[np.float64]:
    """Return `belief` as a new float64 array that adds up to one but for the last digit.

    Parameters
    ----------
    belief : array_like of shape (S,), or None
        None: all states are equally probable.
    n_states : int
    """
    if belief is None:
        return np.full(n_states, 1.0 / n_states)
    try:
        array: NDArray[Any] = np.array(belief, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidOptionError(
            f"belief: got {type(belief).__name__}; expected {n_states} probabilities."
        ) from None
    if array.shape != (n_states,):
        raise InvalidOptionError(
            f"belief: got shape {array.shape}; expected ({n_states},), a probability of each state."
        )
    if not (array >= 0.0).all():
        state = int(np.argmax(~(array >= 0.0)))
        raise InvalidOptionError(
            f"belief: the probability of state {state} is {float(array[state])!r}; expected a "
            "number from 0 to 1."
        )
    total = float(array.sum())
    if not abs(total - 1.0) <= TOLERANCE:
        raise InvalidOptionError(
            f"belief: the probabilities add up to {total!r}; expected 1 within {TOLERANCE:g}."
        )
    return array / total


def _build(
    transitions: object,
    observations: object,
    rewards: object,
    states: object,
    actions: object,
    observation_labels: object,
    action_axis: int | None,
) -> _Model:
    """Check everything; see `POMDP` for the accepted forms."""
    move, tolerance = _numbers(transitions, "transitions")
    forms = "(S, A, S) or (A, S, S)"
    if move.size == 0:
        refuse_shape("transitions", move.shape, forms)
    turned = axis_of_actions(move.shape, action_axis, forms) == 1
    if turned:
        move = move.transpose(1, 0, 2)
    n_actions, n_states, _ = move.shape
    state_labels = Labels("states", states, n_states)
    action_labels = Labels("actions", actions, n_actions)

    def pair(at: tuple[int, ...]) -> str:
        return f"{state_labels.say(at[1])}, {action_labels.say(at[0])}"

    move = _rows(move, "transitions", tolerance, pair)
    seen, tolerance = _numbers(observations, "observations")
    n_seen = seen.shape[-1] if seen.ndim else 0
    if seen.shape == (n_states, n_seen):
        seen = np.broadcast_to(seen, (n_actions, 1, n_states, n_seen))
    elif seen.shape == (n_actions, n_states, n_seen):
        seen = seen[:, None]
    elif seen.shape == (n_states, n_actions, n_states, n_seen):
        seen = seen.transpose(1, 0, 2, 3)
    else:
        n_seen = 0
    if n_seen == 0:
        raise InvalidModelError(
            f"observations: shape {seen.shape} is not accepted; expected (S', O), (A, S', O) or "
            f"(S, A, S', O) with {n_states} states and {n_actions} actions, next states S'."
        )
    observation_names = Labels("observation_labels", observation_labels, n_seen)

    def arrival(at: tuple[int, ...]) -> str:
        start = f"from {state_labels.say(at[1])} " if seen.shape[1] > 1 else ""
        return f"{action_labels.say(at[0])} {start}to {state_labels.say(at[2])}"

    seen = _rows(seen, "observations", tolerance, arrival)
    return _Model(
        joint=np.ascontiguousarray((move[:, :, :, None] * seen).transpose(0, 3, 1, 2)),
        rewards=None if rewards is None else _rewards(rewards, move, turned, pair),
        states=state_labels,
        actions=action_labels,
        observations=observation_names,
    )


def _numbers(given: object, name: str) -> tuple[NDArray[np.float64], float]:
    try:
        array = np.asarray(given)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "fiub":
        raise InvalidModelError(
            f"{name}: got {type(given).__name__} of dtype {array.dtype}; expected an array of "
            "numbers."
        )
    single = array.dtype.kind == "f" and array.dtype.itemsize < 8
    return array.astype(np.float64), TOLERANCE_SINGLE if single else TOLERANCE


def _rows(array: NDArray[np.float64], name: str, tolerance: float, say: Any) -> NDArray[np.float64]:
    """Check probabilities along the last axis and divide them by their sum."""
    wrong = ~((array >= 0.0) & (array < np.inf))
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InvalidModelError(
            f"{name}: {say(at[:-1])}: probability {at[-1]} is {float(array[at])!r}; expected a "
            "number from 0 to 1."
        )
    sums = array.sum(axis=-1, keepdims=True)
    off = np.abs(sums[..., 0] - 1.0)
    if off.max() > tolerance:
        at = tuple(int(i) for i in np.unravel_index(int(np.argmax(off)), off.shape))
        raise InvalidModelError(
            f"{name}: {say(at)}: the probabilities add up to {float(sums[at][0])!r}; expected 1 "
            f"within {tolerance:g}."
        )
    return np.asarray(array / sums)


def _rewards(
    given: object, move: NDArray[np.float64], turned: bool, say: Any
) -> NDArray[np.float64]:
    n_actions, n_states, _ = move.shape
    rewards, _ = _numbers(given, "rewards")
    like = (n_states, n_actions, n_states) if turned else move.shape
    if rewards.shape == (n_states,):
        rewards = np.repeat(rewards[:, None], n_actions, axis=1)
    elif rewards.shape == like:
        by_next = rewards.transpose(1, 0, 2) if turned else rewards
        with np.errstate(invalid="ignore"):  # what is not finite is refused below
            rewards = (move * by_next).sum(axis=2).T
    elif rewards.shape != (n_states, n_actions):
        raise InvalidModelError(
            f"rewards: shape {rewards.shape} is not accepted; expected {(n_states, n_actions)}, "
            f"{(n_states,)} or, like transitions, {like}."
        )
    wrong = ~np.isfinite(rewards)
    if wrong.any():
        state, action = (int(i) for i in np.argwhere(wrong)[0])
        raise InvalidModelError(
            f"rewards: {say((action, state))}: got {float(rewards[state, action])!r}; expected a "
            "finite number."
        )
    return np.ascontiguousarray(rewards)
