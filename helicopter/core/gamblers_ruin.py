"""Gambler's ruin in closed form (Feller, An introduction to probability theory, vol. 1, XIV)."""

from __future__ import annotations

import math

__all__ = ["gamblers_ruin"]


def gamblers_ruin(p: float, down: int, up: int) -> tuple[float, float]:
    """Probability to be `up` ahead before `down` behind, and the expected number of games."""
    if p in (0.0, 1.0):
        return (1.0, float(up)) if p == 1.0 else (0.0, float(down))
    # log(1 - p) - log(p) would cancel near 1/2
    odds = math.log1p((1.0 - 2.0 * p) / p)
    if odds > 0.0:  # (r^down - 1) / (r^(down + up) - 1), without overflow
        win = math.exp(-up * odds) * math.expm1(-down * odds) / math.expm1(-(down + up) * odds)
    elif odds < 0.0:
        win = math.expm1(down * odds) / math.expm1((down + up) * odds)
    else:
        win = down / (down + up)
    drift = 2.0 * p - 1.0
    if (down + up) * abs(odds) > 1.0:
        return win, (up * win - down * (1.0 - win)) / drift
    return win, _games_near_even(odds, drift, down, up)


def _games_near_even(odds: float, drift: float, down: int, up: int) -> float:
    """Expected number of games where up * win and down * loss almost cancel.

    win is down / total * phi(down odds) / phi(total odds) with phi(y) = (e^y - 1) / y =
    1 + y/2 + y^2/6 + ..., so that the difference is one of powers.
    """
    if odds == 0.0:
        return float(down * up)
    near, far = down * odds, (down + up) * odds
    terms = range(1, 21)  # far is at most 1, and 1 / 22! is nothing
    difference = sum((near**k - far**k) / math.factorial(k + 1) for k in terms)
    phi = 1.0 + sum(far**k / math.factorial(k + 1) for k in terms)
    return down * difference / phi / drift
