"""Wald's sequential probability ratio test for yes-or-no looks, with its exact error rates.

The test stops as soon as the log-likelihood ratio leaves an interval. Of all tests with the same
error rates it needs the fewest looks on average (Wald and Wolfowitz, Optimum character of the
sequential probability ratio test, 1948). Where p1 = 1 - p0 the ratio walks on a lattice and the
operating characteristics are those of gambler's ruin (Feller, An introduction to probability theory
and its applications, vol. 1, chapter XIV); elsewhere they are summed forward, look by look.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from helicopter._shared.checks import check_fraction, check_integer, check_real
from helicopter._shared.result import Result
from helicopter.errors import InvalidOptionError

from .gamblers_ruin import gamblers_ruin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["SequentialCharacteristics", "SequentialTest", "SequentialTestResult"]

SequentialDecision = Literal["p0", "p1", "continue"]

UNIT = float(np.finfo(np.float64).eps)
#: Looks after which summing stops, whatever is left; what is left is in the stated error.
MOST_LOOKS = 1_000_000


@dataclass(frozen=True, eq=False, repr=False)
class SequentialTestResult(Result):
    """Where a sequential test stands.

    Attributes
    ----------
    decision : str
        ``"p0"``, ``"p1"`` or ``"continue"``.
    looks, successes : int
        Looks taken in; those that came after the decision are not counted.
    log_likelihood_ratio : float
        Of p1 to p0.
    """

    decision: SequentialDecision
    looks: int
    successes: int
    log_likelihood_ratio: float


@dataclass(frozen=True, eq=False, repr=False)
class SequentialCharacteristics(Result):
    """What a sequential test does when the chance of success is `p`.

    Attributes
    ----------
    p : float
    accept_p1, accept_p0 : float
        Probabilities of the two verdicts.
    expected_looks : float
    probability_error, looks_error : float
        Bounds on the errors of the probabilities and of `expected_looks`: what was cut off and what
        was rounded.
    method : str
        ``"gamblers_ruin"`` or ``"forward"``.
    seconds : float
        Wall-clock time.
    """

    p: float
    accept_p1: float
    accept_p0: float
    expected_looks: float
    probability_error: float
    looks_error: float
    method: Literal["gamblers_ruin", "forward"]
    seconds: float


class SequentialTest:
    """Decides between two chances of success, p0 < p1, on as few looks as possible.

    Give `alpha` and `beta`, or `bounds`, or `steps`; without any of them both errors are 0.05.

    Parameters
    ----------
    p0, p1 : float
        Between 0 and 1, both excluded.
    alpha : float, optional
        Probability of accepting p1 where p0 is true, at most about (Wald's approximation; see
        `characteristics` for what it really is).
    beta : float, optional
        Probability of accepting p0 where p1 is true, likewise. The two sum to less than 1.
    bounds : tuple of float, optional
        Lower and upper bound of the log-likelihood ratio, below and above 0. A bound that is
        reached decides.
    steps : int or tuple of int, optional
        Failures ahead that decide for p0 and successes ahead that decide for p1; one number stands
        for both. Only where p1 = 1 - p0.

    Attributes
    ----------
    p0, p1 : float
    bounds : tuple of float
        Of the log-likelihood ratio.
    steps : tuple of int or None
        None where p1 is not 1 - p0.

    Raises
    ------
    InvalidOptionError

    Examples
    --------
    >>> from helicopter.core import SequentialTest
    >>> test = SequentialTest(0.3, 0.7, steps=4)
    >>> round(test.characteristics(0.7).expected_looks, 9)
    9.347300564
    >>> test.run([1, 1, 0, 1, 1, 1, 0]).decision
    'p1'
    """

    p0: float
    p1: float
    bounds: tuple[float, float]
    steps: tuple[int, int] | None

    def __init__(
        self,
        p0: float,
        p1: float,
        alpha: float | None = None,
        beta: float | None = None,
        *,
        bounds: tuple[float, float] | None = None,
        steps: int | tuple[int, int] | None = None,
    ) -> None:
        self.p0 = check_fraction(p0, "p0", ends=False)
        self.p1 = check_fraction(p1, "p1", ends=False)
        if self.p0 >= self.p1:
            raise InvalidOptionError(f"p0, p1: got {p0!r} and {p1!r}; expected p0 < p1.")
        self._up = math.log(self.p1) - math.log(self.p0)
        self._down = math.log1p(-self.p1) - math.log1p(-self.p0)
        # decimal fractions such as 0.3 and 0.7 do not sum to one to the last bit
        lattice = abs(self.p0 + self.p1 - 1.0) <= 4 * UNIT
        if (
            sum(given is not None for given in (bounds, steps))
            + (alpha is not None or beta is not None)
            > 1
        ):
            raise InvalidOptionError(
                "alpha, beta, bounds, steps: got more than one way to say where the test stops; "
                "expected alpha and beta, or bounds, or steps."
            )
        self.steps = None
        if steps is not None:
            if not lattice:
                raise InvalidOptionError(
                    f"steps: got {steps!r} with p0 = {self.p0:g} and p1 = {self.p1:g}; steps are "
                    "equal only where p1 = 1 - p0. Give bounds instead."
                )
            down, up = steps if isinstance(steps, tuple) and len(steps) == 2 else (steps, steps)
            self.steps = (
                check_integer(down, "steps", 1, 10**6),
                check_integer(up, "steps", 1, 10**6),
            )
            self.bounds = (-self.steps[0] * self._up, self.steps[1] * self._up)
        else:
            self.bounds = self._bounds(alpha, beta, bounds)
            if lattice:
                # a bound that is a whole number of steps is reached by that many, whatever rounds
                low, high = (math.ceil(abs(end) / self._up * (1 - 8 * UNIT)) for end in self.bounds)
                self.steps = (max(low, 1), max(high, 1))
        self.reset()

    def _bounds(
        self, alpha: float | None, beta: float | None, bounds: object
    ) -> tuple[float, float]:
        if bounds is not None:
            if not isinstance(bounds, (tuple, list)) or len(bounds) != 2:
                raise InvalidOptionError(f"bounds: got {bounds!r}; expected a pair of numbers.")
            return (
                check_real(bounds[0], "bounds[0]", below=0.0),
                check_real(bounds[1], "bounds[1]", above=0.0),
            )
        alpha = check_fraction(0.05 if alpha is None else alpha, "alpha", ends=False)
        beta = check_fraction(0.05 if beta is None else beta, "beta", ends=False)
        if alpha + beta >= 1.0:
            raise InvalidOptionError(
                f"alpha, beta: got {alpha!r} and {beta!r}; expected a sum below 1."
            )
        return (
            math.log(beta) - math.log1p(-alpha),
            math.log1p(-beta) - math.log(alpha),
        )

    def reset(self) -> None:
        """Forget all looks."""
        self._looks = 0
        self._successes = 0

    @property
    def state(self) -> SequentialTestResult:
        """Where the test stands."""
        return SequentialTestResult(
            decision=self._decide(self._looks, self._successes),
            looks=self._looks,
            successes=self._successes,
            log_likelihood_ratio=self._ratio(self._looks, self._successes),
        )

    def update(self, look: bool) -> SequentialDecision:
        """Take in one look and return the decision; a test that has decided stays as it is.

        Parameters
        ----------
        look : bool
            True or 1: success.
        """
        success = _look(look)
        decision = self._decide(self._looks, self._successes)
        if decision != "continue":
            return decision
        self._looks += 1
        self._successes += success
        return self._decide(self._looks, self._successes)

    def run(self, looks: Iterable[bool]) -> SequentialTestResult:
        """Take in looks until one decides; those behind it are not drawn.

        They add to those that were taken in before; once it is decided nothing more is drawn.
        `reset` begins anew.

        Parameters
        ----------
        looks : iterable of bool
        """
        if self._decide(self._looks, self._successes) == "continue":
            for look in looks:
                if self.update(look) != "continue":
                    break
        return self.state

    def boundaries(self, looks: int) -> tuple[int, int]:
        """Return the successes that decide after so many looks: p0 at or below, p1 from on.

        Parameters
        ----------
        looks : int
            At least 1. -1 or ``looks + 1`` is returned where no number decides.
        """
        looks = check_integer(looks, "looks", 1)
        low, high = self._boundaries(np.array([looks]))
        return max(int(low[0]), -1), min(int(high[0]), looks + 1)

    def characteristics(self, p: float, *, epsilon: float = 1e-12) -> SequentialCharacteristics:
        """Return the exact probabilities of the verdicts and the expected number of looks.

        Parameters
        ----------
        p : float
            The true chance of success, from 0 to 1.
        epsilon : float, default 1e-12
            Where the sum is cut off: what is left of the expected looks, in relation to them. Not
            used where p1 = 1 - p0.

        Returns
        -------
        SequentialCharacteristics
        """
        started = time.perf_counter()
        p = check_fraction(p, "p", ends=True)
        epsilon = check_real(epsilon, "epsilon", above=0.0)
        if self.steps is not None:
            accept, looks = gamblers_ruin(p, *self.steps)
            # a few operations; the logarithm of the odds may lose what the two sides have in common
            relative = 32 * UNIT * max(self.steps)
            return SequentialCharacteristics(
                p=p,
                accept_p1=accept,
                accept_p0=gamblers_ruin(1.0 - p, self.steps[1], self.steps[0])[0],
                expected_looks=looks,
                probability_error=relative,
                looks_error=relative * max(looks, self.steps[0] * self.steps[1]),
                method="gamblers_ruin",
                seconds=time.perf_counter() - started,
            )
        return self._forward(p, epsilon, started)

    def _ratio(self, looks: int, successes: int) -> float:
        return successes * self._up + (looks - successes) * self._down

    def _decide(self, looks: int, successes: int) -> SequentialDecision:
        if looks == 0:
            return "continue"
        low, high = self._boundaries(np.array([looks]))
        if successes >= high[0]:
            return "p1"
        return "p0" if successes <= low[0] else "continue"

    def _boundaries(self, looks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Successes at or below which p0, and from which on p1 is accepted, not cut to the range.

        The one place that compares: so what a test does and what is said of it are the same.
        """
        if self.steps is not None:
            # successes - failures = 2 successes - looks
            return (looks - self.steps[0]) // 2, -((-looks - self.steps[1]) // 2)
        slope = self._up - self._down
        low = np.floor((self.bounds[0] - looks * self._down) / slope)
        high = np.ceil((self.bounds[1] - looks * self._down) / slope)
        return low.astype(np.int64), high.astype(np.int64)

    def _forward(self, p: float, epsilon: float, started: float) -> SequentialCharacteristics:
        """Carry the probabilities of all numbers of successes forward until hardly any are left."""
        alive, first = np.ones(1), 0  # alive[i]: first + i successes, undecided
        accept = reject = looks_sum = 0.0
        longest = self._longest(p)
        looks, left = 0, 1.0
        block = 1024
        while left * longest > epsilon * max(looks_sum, 1.0) and looks < MOST_LOOKS:
            low, high = self._boundaries(np.arange(looks + 1, looks + block + 1))
            for below, above in zip(low.tolist(), high.tolist(), strict=True):
                looks_sum += left
                looks += 1
                after = np.zeros(len(alive) + 1)
                after[:-1] = (1.0 - p) * alive
                after[1:] += p * alive
                start = min(max(below + 1 - first, 0), len(after))
                end = max(min(above - first, len(after)), start)
                reject += float(after[:start].sum())
                accept += float(after[end:].sum())
                alive, first = after[start:end], first + start
                left = float(alive.sum())
                if left * longest <= epsilon * looks_sum:
                    break
        # every probability went through so many products and sums of positive numbers
        rounding = 4 * UNIT * looks
        return SequentialCharacteristics(
            p=p,
            accept_p1=accept,
            accept_p0=reject,
            expected_looks=looks_sum + left * longest / 2,
            probability_error=left + rounding,
            looks_error=left * longest / 2 + rounding * looks_sum,
            method="forward",
            seconds=time.perf_counter() - started,
        )

    def _longest(self, p: float) -> float:
        """Bound the expected number of further looks, wherever the test stands.

        Wald's identities: the walk's mean (its square, taken from the middle) grows with each look
        by at least so much, and cannot grow beyond the bounds and one step.
        """
        low, high = self.bounds
        reach = high - low + max(self._up, -self._down)
        drift = abs(p * self._up + (1.0 - p) * self._down)
        square = p * self._up**2 + (1.0 - p) * self._down**2
        bounds = []
        if drift > 0.0:
            bounds.append(reach / drift)
        if square > (high - low) * drift:
            bounds.append(reach**2 / (square - (high - low) * drift))
        return 1.0 + min(bounds) * (1.0 + 1e-6)


def _look(look: object) -> int:
    if isinstance(look, (bool, np.bool_)) or (
        isinstance(look, (int, float, np.integer, np.floating)) and look in (0, 1)
    ):
        return int(look)
    raise InvalidOptionError(f"look: got {look!r}; expected True, False, 1 or 0.")
