"""Checks of options: numbers, names, choices. Images and masks are checked in `core/validation.py`.

Every complaint names the argument, what was given and what is accepted.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from helicopter._messages import shown
from helicopter.errors import InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "LARGEST",
    "as_float",
    "check_choice",
    "check_fraction",
    "check_integer",
    "check_name",
    "check_real",
    "check_seed",
    "check_several",
    "is_integer",
]

#: Larger sizes and counts are refused: a backend could not compute with them.
LARGEST = 2**31 - 1


def as_float(value: object) -> float:
    """Return a number as a float; NaN if it is none that a float can hold."""
    if not isinstance(value, numbers.Real) or isinstance(value, (bool, np.bool_)):
        return math.nan
    try:
        return float(value)
    except (OverflowError, TypeError, ValueError):
        return math.nan


def is_integer(value: object) -> bool:
    """Say whether a value is a whole number, which True and False are not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))


def check_choice(value: object, name: str, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`."""
    choices = sorted(choices)
    if not isinstance(value, str) or value not in choices:
        raise InvalidOptionError(
            f"{name}: got {shown(value)}; expected one of {', '.join(choices)}."
        )
    return value


def check_name(value: object, name: str) -> str:
    """Return `value` if it is a string with something in it."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidOptionError(f"{name}: got {shown(value)}; expected a non-empty string.")
    return value


def check_integer(value: object, name: str, least: int, most: int = LARGEST) -> int:
    """Return `value` as an int within [least, most]."""
    integral = isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))
    if not integral or not least <= int(value) <= most:  # type: ignore[call-overload]
        raise InvalidOptionError(
            f"{name}: got {shown(value)}; expected a whole number from {least} to {most}."
        )
    return int(value)  # type: ignore[call-overload, no-any-return]


def check_several(values: object, name: str, example: str) -> list[object]:
    """Return the items of a sequence that must hold at least one."""
    ordered = isinstance(values, Sequence) and not isinstance(values, (str, bytes))
    if isinstance(values, np.ndarray):
        ordered = values.ndim == 1
    items = list(values) if ordered else []  # type: ignore[call-overload]
    if not items:
        raise InvalidOptionError(
            f"{name}: got {shown(values)}; expected a sequence of at least one, such as {example}."
        )
    return items


def check_seed(value: object) -> int:
    """Return `value` as a seed, which both backends hold in 64 bits."""
    return check_integer(value, "seed", 0, 2**64 - 1)


def check_fraction(value: object, name: str, *, ends: bool) -> float:
    """Return `value` as a float in (0, 1), or in [0, 1] if `ends` count."""
    accepted = "a number from 0 to 1" if ends else "a number between 0 and 1, both excluded"
    number = as_float(value)
    if not (0.0 <= number <= 1.0 if ends else 0.0 < number < 1.0):
        raise InvalidOptionError(f"{name}: got {shown(value)}; expected {accepted}.")
    return number


def check_real(
    value: object,
    name: str,
    *,
    above: float = -math.inf,
    least: float | None = None,
    below: float = math.inf,
) -> float:
    """Return `value` as a finite float above `above` (or at least `least`) and below `below`."""
    number = as_float(value)
    low = above < number if least is None else least <= number
    if not (low and number < below and math.isfinite(number)):
        limits = [f"of at least {least:g}"] if least is not None else []
        if least is None and above > -math.inf:
            limits.append(f"above {above:g}")
        if below < math.inf:
            limits.append(f"below {below:g}")
        accepted = " ".join(["a finite number", " and ".join(limits)]).strip()
        raise InvalidOptionError(f"{name}: got {shown(value)}; expected {accepted}.")
    return number
