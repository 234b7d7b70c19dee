"""What states and actions are called, and small tools for rows of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from helicopter.errors import InvalidModelError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

__all__ = ["ROW_SUM", "ROW_SUM_SINGLE", "LabelList", "Names", "first_of", "make_names", "starts_of"]

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
    return f"{what} {number}" if labels is None else f"{what} {number} ({labels[number]!r})"


def make_names(
    states: LabelList | None, actions: LabelList | None, n_states: int, n_actions: int
) -> Names:
    """Check labels for number and uniqueness."""
    for labels, count, what in ((states, n_states, "states"), (actions, n_actions, "actions")):
        if labels is not None and (len(labels) != count or len(set(labels)) != count):
            raise InvalidModelError(
                f"{what}: got {len(labels)} labels, {len(set(labels))} of them different; expected "
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
