"""How many independent looks a sequence of looks is worth.

Neighbouring patches succeed and fail together, and then n looks tell less than n independent ones:
the variance of their mean is tau / n times that of one look, where tau = 1 + 2 (rho_1 + rho_2 + ..)
and rho_k is the correlation of looks that are k apart. So they count as n / tau looks.

tau is estimated by the initial positive sequence of Geyer, "Practical Markov chain Monte Carlo",
Statistical Science 7 (1992): the sums rho_2j + rho_2j+1 are added up as long as they are positive.
That estimate is above 1 for half of all independent sequences, so it counts only where the looks
are seen to go together: where neighbours agree more often than chance would have it, by `SEEN`
standard deviations.
"""

from __future__ import annotations

import math

__all__ = ["SEEN", "LookCounter"]

#: Standard deviations from which on correlation counts as seen.
SEEN = 2.5
#: Looks further apart than this are not compared.
FURTHEST = 127
#: With fewer there is nothing to see.
LEAST_LOOKS = 8


class LookCounter:
    """Counts looks and successes, and what they are worth.

    All sums are of whole numbers, so both backends get the same counts.
    """

    def __init__(self, *, independent: bool) -> None:
        self.looks = 0
        self.successes = 0
        self._independent = independent
        self._first: list[int] = []
        self._recent: list[int] = []  # the latest first
        self._together = [0] * (FURTHEST + 1)  # pairs of successes so far apart

    def add(self, success: bool) -> None:
        """Take one look."""
        self.looks += 1
        self.successes += int(success)
        if self._independent:
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
        n, s = self.looks, self.successes
        spread = n * s * (n - s)  # n^3 times the variance
        if self._independent or n < LEAST_LOOKS or spread == 0:
            return 1.0
        first, last = self._first, self._recent
        head = tail = 0

        def correlation(apart: int) -> float:
            nonlocal head, tail
            head += first[apart - 1]
            tail += last[apart - 1]
            product = n * n * self._together[apart] - n * s * (2 * s - head - tail)
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

    def effective(self) -> tuple[float, float]:
        """Return the effective numbers of looks and successes."""
        tau = self.time()
        return self.looks / tau, self.successes / tau

    def whole(self) -> tuple[int, int]:
        """Return them rounded, as the policy knows them."""
        looks, successes = self.effective()
        return math.floor(looks + 0.5), math.floor(successes + 0.5)
