"""Checks the arrays of a partially observed model and brings them into one form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from helicopter.errors import InvalidModelError, InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

__all__ = ["HiddenModel", "Labels", "build"]

#: How far from one the probabilities of a row may add up; rows are divided by their sums.
TOLERANCE = 1e-9
TOLERANCE_SINGLE = 1e-5


class Labels:
    """Names of states, actions or observations, and the way back to their numbers."""

    def __init__(self, what: str, given: object, count: int) -> None:
        self.what, self.count = what, count
        self.names: Sequence[Hashable] = range(count)
        self._number: dict[Hashable, int] = {}
        if given is None:
            return
        try:
            names: tuple[Hashable, ...] = tuple(given)  # type: ignore[arg-type]
            self._number = {name: number for number, name in enumerate(names)}
        except TypeError:
            raise InvalidOptionError(
                f"{what}: got {type(given).__name__}; expected {count} labels that can be hashed."
            ) from None
        if len(names) != count or len(self._number) != count:
            raise InvalidOptionError(
                f"{what}: got {len(names)} labels, {len(self._number)} of them different; expected "
                f"{count}, all different."
            )
        self.names = names

    def number(self, given: Any, name: str) -> int:
        """Return the number of a label; a number stands for itself unless it is a label."""
        try:
            if given in self._number:
                return self._number[given]
        except TypeError:
            given = None  # what cannot be hashed is no label
        if isinstance(given, (int, np.integer)) and not isinstance(given, (bool, np.bool_)):
            # where labels are numbers, another number would be taken for one of them by mistake
            mixed = any(isinstance(label, (int, np.integer)) for label in self._number)
            if 0 <= given < self.count and not mixed:
                return int(given)
        accepted = f"a number from 0 to {self.count - 1}"
        if self._number:
            shown = ", ".join(map(repr, list(self._number)[:10]))
            accepted = f"one of {shown}{', ...' if self.count > 10 else ''}"
        raise InvalidOptionError(f"{name}: got {given!r}; expected {accepted}.")

    def say(self, number: int) -> str:
        """Name one for a complaint."""
        singular = {"states": "state", "actions": "action"}.get(self.what, "observation")
        return f"{singular} {number}" + (f" ({self.names[number]!r})" if self._number else "")


class HiddenModel(NamedTuple):
    """A partially observed model.

    Attributes
    ----------
    joint : float64 ndarray of shape (A, O, S, S)
        Probability of observation and next state together, given action and state.
    rewards : float64 ndarray of shape (S, A)
    states, actions, observations : Labels
    """

    joint: NDArray[np.float64]
    rewards: NDArray[np.float64]
    states: Labels
    actions: Labels
    observations: Labels


def build(
    transitions: object,
    observations: object,
    rewards: object,
    states: object,
    actions: object,
    observation_labels: object,
) -> HiddenModel:
    """Check everything; see `helicopter.core.pomdp.POMDP` for the accepted forms."""
    move, tolerance = _numbers(transitions, "transitions")
    if move.ndim != 3 or move.size == 0 or move.shape[2] not in move.shape[:2]:
        raise InvalidModelError(
            f"transitions: shape {move.shape} is not accepted; expected (S, A, S) or (A, S, S)."
        )
    if move.shape[0] == move.shape[2]:
        move = move.transpose(1, 0, 2)
        turned = True
    else:
        turned = False
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
    return HiddenModel(
        joint=np.ascontiguousarray((move[:, :, :, None] * seen).transpose(0, 3, 1, 2)),
        rewards=_rewards(rewards, move, turned, pair),
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
