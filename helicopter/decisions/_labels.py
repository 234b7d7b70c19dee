"""Names of states, actions and observations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter.errors import InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["Labels"]


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
