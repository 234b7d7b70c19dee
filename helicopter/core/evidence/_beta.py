"""The incomplete beta function, in plain Python: the few values that both backends start from."""

from __future__ import annotations

import math

__all__ = ["beta_density", "incomplete_beta"]

#: Steps after which the continued fraction has converged for parameters up to 1e6, with room.
MOST_STEPS = 20_000
TINY = 1e-300


def beta_density(a: float, b: float, x: float) -> float:
    """Return x^a (1 - x)^b / B(a, b), for 0 < x < 1.

    By deviances, as in Loader, "Fast and accurate computation of binomial probabilities" (2000), so
    that nothing is lost where the parameters are large.
    """
    total = a + b
    log = _excess(total) - _excess(a) - _excess(b)
    log -= _deviance(a, total * x) + _deviance(b, total * (1.0 - x))
    return math.sqrt((a / total) * b / (2.0 * math.pi)) * math.exp(log)


def _deviance(a: float, mean: float) -> float:
    """Return a ln(a / mean) + mean - a, to full precision where `a` is near `mean`."""
    difference = a - mean
    if abs(difference) >= 0.1 * (a + mean):
        return a * math.log(a / mean) + mean - a
    v = difference / (a + mean)
    value, power, odd = difference * v, 2.0 * a * v, 1.0
    while True:
        power *= v * v
        odd += 2.0
        following = value + power / odd
        if following == value:
            return value
        value = following


def _excess(z: float) -> float:
    """Return by how much ln G(z) exceeds Stirling's (z - 1/2) ln z - z + ln(2 pi) / 2."""
    if z < 16.0:
        return math.lgamma(z) - ((z - 0.5) * math.log(z) - z + 0.5 * math.log(2.0 * math.pi))
    w = 1.0 / (z * z)
    series = 1.0 / 1188.0
    for term in (-1.0 / 1680.0, 1.0 / 1260.0, -1.0 / 360.0, 1.0 / 12.0):
        series = series * w + term
    return series / z


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return I_x(a, b), the probability that a Beta(a, b) variable is less than x.

    By the continued fraction of DLMF 8.17.22 (https://dlmf.nist.gov/8.17), evaluated by the method
    of Lentz on the side of the mean where it converges fast.

    Parameters
    ----------
    a, b : float
        Positive.
    x : float
        Between 0 and 1, both excluded.
    """
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - beta_density(a, b, x) * _fraction(b, a, 1.0 - x) / b
    return beta_density(a, b, x) * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    value, c, d = 1.0, 1.0, 0.0
    for step in range(1, MOST_STEPS):
        m, odd = divmod(step, 2)
        if odd:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / _not_zero(1.0 + term * d)
        c = _not_zero(1.0 + term / c)
        value *= c * d
        if abs(c * d - 1.0) < 4e-16:
            break
    return 1.0 / value


def _not_zero(value: float) -> float:
    return value if abs(value) > TINY else TINY
