"""Looks at an image: how many independent ones they are worth, and when a policy stops them.

Neighbouring patches succeed and fail together, and then n looks tell less than n independent ones:
the variance of their mean is tau / n times that of one look, where tau = 1 + 2 (rho_1 + rho_2 + ..)
and rho_k is the correlation of looks that are k apart. So they count as n / tau looks.

An estimate of tau is above 1 for half of all independent sequences, so it counts only where looks
are seen to go together: where neighbours agree more often than chance would have it, by `SEEN`
standard deviations.

While looks come in one by one, tau is told from those so far, by the initial positive sequence of
Geyer, "Practical Markov chain Monte Carlo", Statistical Science 7 (1992): the sums
rho_2j + rho_2j+1 are added up as long as they are positive. A run of nothing but successes tells
nothing, so what is decided within the first run is decided as if looks were independent. Where all
the evidence is there from the start, tau is told from all of it, before the first look: by the same
sequence or by batch means (Schmeiser, "Batch size effects in the analysis of simulation output",
Operations Research 30, 1982), which see what goes together over long stretches; the larger counts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "FURTHEST",
    "LEAST_LOOKS",
    "SEEN",
    "LookCounter",
    "SequentialVerification",
    "correlation_time",
]

#: Standard deviations from which on correlation counts as seen.
SEEN = 2.5
#: Looks further apart than this are not compared.
FURTHEST = 127
#: With fewer there is nothing to see.
LEAST_LOOKS = 8
#: Batches whose means are compared are at least so many.
LEAST_BATCHES = 10


class LookCounter:
    """Counts looks and successes, and what they are worth.

    All sums are of whole numbers, so both backends get the same counts.

    Parameters
    ----------
    time : float, optional
        tau, if it is known; None: as far as the looks so far tell.
    """

    def __init__(self, time: float | None) -> None:
        self.looks = 0
        self.successes = 0
        self._given = time
        self._first: list[int] = []
        self._recent: list[int] = []  # the latest first
        self._together = [0] * (FURTHEST + 1)  # pairs of successes so far apart

    def add(self, success: bool) -> None:
        """Take one look."""
        self.looks += 1
        self.successes += int(success)
        if self._given is not None:
            return
        if success:
            for apart, before in enumerate(self._recent, start=1):
                self._together[apart] += before
        self._recent.insert(0, int(success))
        del self._recent[FURTHEST:]
        if len(self._first) < FURTHEST:
            self._first.append(int(success))

    def time(self) -> float:
        """Return tau: how many looks are worth a single independent one."""
        if self._given is not None:
            return self._given
        ends = 0

        def both_ends(apart: int) -> int:
            nonlocal ends
            ends += self._first[apart - 1] + self._recent[apart - 1]
            return ends

        return _positive_sequence(self.looks, self.successes, self._together.__getitem__, both_ends)

    def effective(self) -> tuple[float, float]:
        """Return the effective numbers of looks and successes."""
        tau = self.time()
        return self.looks / tau, self.successes / tau

    def whole(self) -> tuple[int, int]:
        """Return them rounded, as the policy knows them."""
        looks, successes = self.effective()
        return math.floor(looks + 0.5), math.floor(successes + 0.5)


def correlation_time(successes: NDArray[np.bool_]) -> float:
    """Return tau of evidence that is all there."""
    values = successes.astype(np.int64)
    n, s = values.size, int(values.sum())
    ends = np.cumsum(values[:FURTHEST] + values[::-1][:FURTHEST])
    tau = _positive_sequence(
        n,
        s,
        lambda apart: int(np.dot(values[apart:], values[: n - apart])),
        lambda apart: int(ends[apart - 1]),
    )
    if tau == 1.0:
        return tau
    variance = s * (n - s) / n**2
    size = 2
    while n // size >= LEAST_BATCHES:
        means = values[: n // size * size].reshape(-1, size).mean(axis=1)
        tau = max(tau, size * float(means.var(ddof=1)) / variance)
        size *= 2
    return min(tau, float(n))


def _positive_sequence(
    n: int, s: int, together: Callable[[int], int], ends: Callable[[int], int]
) -> float:
    """Return tau as of Geyer; 1 where looks are not seen to go together.

    Parameters
    ----------
    n, s : int
        Looks and successes.
    together : callable
        How many pairs of successes are so far apart.
    ends : callable
        How many successes are among the first and the last so many looks; asked in ascending order.
    """
    spread = n * s * (n - s)  # n^3 times the variance
    if n < LEAST_LOOKS or spread == 0:
        return 1.0

    def correlation(apart: int) -> float:
        product = n * n * together(apart) - n * s * (2 * s - ends(apart))
        return (product + (n - apart) * s * s) / spread

    neighbours = correlation(1)
    # under independence, given s, its mean is -1 / (n - 1)
    if (neighbours + 1.0 / (n - 1)) * math.sqrt(n) < SEEN:
        return 1.0
    tau = 1.0 + 2.0 * neighbours
    for apart in range(2, min(n - 1, FURTHEST), 2):
        pair = correlation(apart) + correlation(apart + 1)
        if pair <= 0.0:
            break
        tau += 2.0 * pair
    return min(max(tau, 1.0), float(n))


class Policy(Protocol):
    """For each number of looks, the successes up to and from which it is decided."""

    @property
    def reject_at(self) -> NDArray[np.int32]:
        """Rejected with so many successes or fewer."""

    @property
    def accept_from(self) -> NDArray[np.int32]:
        """Accepted with so many or more."""

    @property
    def favour_from(self) -> NDArray[np.int32]:
        """Accepted with so many or more if there is no further look."""


class SequentialVerification:
    """Takes looks one by one and says when the policy stops."""

    def __init__(self, policy: Policy, most_looks: int, time: float | None) -> None:
        self.policy = policy
        self.most_looks = most_looks
        self.counter = LookCounter(time)

    def decision(self) -> int:
        """1: accept, -1: reject, 0: look on."""
        looks, successes = self.counter.whole()
        horizon = len(self.policy.reject_at) - 1
        if looks > horizon:
            successes = int(np.floor(successes / looks * horizon + 0.5))
            looks = horizon
        if successes <= self.policy.reject_at[looks]:
            return -1
        if successes >= self.policy.accept_from[looks]:
            return 1
        if self.counter.looks >= self.most_looks:
            return 1 if successes >= self.policy.favour_from[looks] else -1
        return 0

    def look(self, success: bool) -> int:
        """Take one more look; return `decision`."""
        self.counter.add(success)
        return self.decision()
