"""What states, actions and observations are called, and small tools for rows of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from helicopter._messages import shown
from helicopter.errors import InvalidModelError, InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "ROW_SUM",
    "ROW_SUM_SINGLE",
    "LabelList",
    "Labels",
    "Names",
    "first_of",
    "make_names",
    "starts_of",
]

LabelList: TypeAlias = "Sequence[Hashable]"

#: How far from one a row may add up, and the same for probabilities in single precision.
ROW_SUM = 1e-9
ROW_SUM_SINGLE = 1e-5


@dataclass(frozen=True)
class Names:
    """What states and actions are called; None: by their numbers."""

    states: LabelList | None = None
    actions: LabelList | None = None

    def state(self, number: int) -> str:
        return _name("state", number, self.states)

    def pair(self, state: int, action: int) -> str:
        return f"{self.state(state)}, {_name('action', action, self.actions)}"


def _name(what: str, number: int, labels: LabelList | None) -> str:
    return f"{what} {number}" if labels is None else f"{what} {number} ({shown(labels[number])})"


def make_names(
    states: LabelList | None, actions: LabelList | None, n_states: int, n_actions: int
) -> Names:
    """Check labels for number and uniqueness."""
    for labels, count, what in ((states, n_states, "states"), (actions, n_actions, "actions")):
        if labels is None:
            continue
        try:
            different = len(set(labels))
        except TypeError:
            raise InvalidModelError(
                f"{what}: got {shown(labels)}; expected {count} labels that can be hashed."
            ) from None
        if len(labels) != count or different != count:
            raise InvalidModelError(
                f"{what}: got {len(labels)} labels, {different} of them different; expected "
                f"{count}, all different."
            )
    return Names(states, actions)


def starts_of(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Where rows of so many entries begin, and where the last one ends."""
    start = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=start[1:])
    return start


def first_of(wrong: NDArray[np.bool_]) -> tuple[int, ...]:
    """Where the first True is."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))


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
            some = ", ".join(map(shown, list(self._number)[:10]))
            accepted = f"one of {some}{', ...' if self.count > 10 else ''}"
        raise InvalidOptionError(f"{name}: got {shown(given)}; expected {accepted}.")

    def say(self, number: int) -> str:
        """Name one for a complaint."""
        singular = {"states": "state", "actions": "action"}.get(self.what, "observation")
        return f"{singular} {number}" + (f" ({shown(self.names[number])})" if self._number else "")
