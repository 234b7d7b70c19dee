"""When to stop looking: the policy of least expected loss, and what to expect of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._messages import shown
from helicopter._shared.checks import check_fraction, check_integer, check_real
from helicopter._shared.result import Result
from helicopter.backends import resolve
from helicopter.backends._engine import backend_of
from helicopter.backends.protocol import StoppingOptions, StoppingRun
from helicopter.core.results._verification import StoppingBoundaries, VerificationCosts
from helicopter.errors import InvalidOptionError

from ._beta import beta_density, incomplete_beta

if TYPE_CHECKING:
    from numpy.typing import NDArray


__all__ = ["DEFAULT_LOOKS", "MOST_LOOKS", "OperatingCharacteristics", "StoppingPolicy"]

#: After so many looks it is decided, if nothing else is asked for.
DEFAULT_LOOKS = 4096
#: The most that may be asked for: time and memory grow with the square and with the number.
MOST_LOOKS = 16384
#: Largest parameter of a prior.
LARGEST_PRIOR = 1e6


@dataclass(frozen=True, eq=False, repr=False)
class OperatingCharacteristics(Result):
    """What a policy does, exactly.

    Attributes
    ----------
    share : float or None
        The true share; None: drawn from the prior.
    accept, reject : float
        Probabilities of the two decisions; they add up to 1.
    false_accept, false_reject : float
        Probabilities of deciding so in error.
    mean_looks : float
    expected_loss : float
        Costs of errors and of looks.
    """

    share: float | None
    accept: float
    reject: float
    false_accept: float
    false_reject: float
    mean_looks: float
    expected_loss: float


@dataclass(frozen=True, eq=False, repr=False, init=False)
class StoppingPolicy(Result):
    """The policy that decides on a share at the least expected loss.

    Each look is a success with probability p, the share; p follows a Beta law before the first
    look. The policy looks, accepts (p is at least `required_share`) or rejects, so as to make the
    expected costs of looks and errors as small as they can be: dynamic programming, backwards from
    the last look (Wald, *Statistical Decision Functions*, 1950; DeGroot, *Optimal Statistical
    Decisions*, 1970, chapter 12). Where losses are equal it stops rather than looks, and rejects
    rather than accepts.

    Parameters
    ----------
    required_share : float, default 0.8
        Between 0 and 1, both excluded.
    cost_of_look : float, default 0.001
    cost_of_false_accept, cost_of_false_reject : float, default 1
    prior : pair of float, default (1, 1)
        Parameters of the Beta law, up to 1e6.
    max_looks : int, optional
        Decide after so many looks in any case, up to 16384; by default 4096.
    use_rust_acceleration : bool, optional
        Both backends find the same policy.

    Attributes
    ----------
    required_share : float
    costs : VerificationCosts
    prior : tuple of float
    max_looks : int
        Looks after which the policy has decided at the latest. Less than was asked for where no
        look beyond can be worth its cost.
    unlimited : bool
        Whether this is also the best of all policies without a limit to the looks: it is where a
        look beyond the last can be shown to be never worth its cost.
    boundaries : StoppingBoundaries
    expected_loss : float
        Over the prior: costs of errors and of looks.

    Raises
    ------
    InvalidOptionError

    Examples
    --------
    >>> from helicopter.core import StoppingPolicy
    >>> policy = StoppingPolicy(0.8, cost_of_look=0.01)
    >>> policy.max_looks, policy.unlimited
    (1018, True)
    """

    required_share: float
    costs: VerificationCosts
    prior: tuple[float, float]
    max_looks: int
    unlimited: bool
    boundaries: StoppingBoundaries
    expected_loss: float
    _run: StoppingRun
    _most_looks: int

    def __init__(
        self,
        required_share: float = 0.8,
        *,
        cost_of_look: float = 0.001,
        cost_of_false_accept: float = 1.0,
        cost_of_false_reject: float = 1.0,
        prior: tuple[float, float] = (1.0, 1.0),
        max_looks: int | None = None,
        use_rust_acceleration: bool | None = None,
        _backend: str | None = None,
    ) -> None:
        share = check_fraction(required_share, "required_share", ends=False)
        costs = VerificationCosts(
            check_real(cost_of_look, "cost_of_look", least=0.0),
            check_real(cost_of_false_accept, "cost_of_false_accept", above=0.0),
            check_real(cost_of_false_reject, "cost_of_false_reject", above=0.0),
        )
        beta = check_prior(prior)
        limit = (
            DEFAULT_LOOKS
            if max_looks is None
            else check_integer(max_looks, "max_looks", 1, MOST_LOOKS)
        )
        if _backend is None:
            _backend, _ = resolve(use_rust_acceleration, "cpu")
        horizon = _last_worthy(share, costs, beta, limit)
        options = StoppingOptions(
            share,
            beta,
            *costs,
            horizon=limit if horizon is None else horizon,
            short=incomplete_beta(*beta, share),
            density=beta_density(*beta, share),
        )
        run = _solved(_backend, options)
        values: dict[str, Any] = {
            "required_share": share,
            "costs": costs,
            "prior": beta,
            "max_looks": options.horizon,
            "unlimited": horizon is not None,
            "boundaries": StoppingBoundaries(run.reject_at, run.accept_from, run.favour_from),
            "expected_loss": run.value,
            "_run": run,
            "_most_looks": limit,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def operating_characteristics(self, share: float | None = None) -> OperatingCharacteristics:
        """Return how often the policy errs, and after how many looks it decides.

        By forward recursion over all numbers of looks and successes: exact but for rounding.

        Parameters
        ----------
        share : float, optional
            The true share, from 0 to 1; by default the mean over the prior.
        """
        if share is not None:
            share = check_fraction(share, "share", ends=True)
        stops = _stops(self, share)
        accept = math.fsum(stops.mass[stops.accepted])
        reject = math.fsum(stops.mass[~stops.accepted])
        looks = math.fsum(stops.mass * stops.looks)
        if share is None:
            from scipy.special import betainc

            a, b = self.prior
            good = stops.successes
            short = betainc(a + good, b + (stops.looks - good), self.required_share)
            false_accept = math.fsum((stops.mass * short)[stops.accepted])
            false_reject = math.fsum((stops.mass * (1.0 - short))[~stops.accepted])
        else:
            enough = share >= self.required_share
            false_accept, false_reject = (0.0, reject) if enough else (accept, 0.0)
        return OperatingCharacteristics(
            share=share,
            accept=accept,
            reject=reject,
            false_accept=false_accept,
            false_reject=false_reject,
            mean_looks=looks,
            expected_loss=self.costs.false_accept * false_accept
            + self.costs.false_reject * false_reject
            + self.costs.look * looks,
        )


def check_prior(value: object, name: str = "prior") -> tuple[float, float]:
    """Return `value` as the two parameters of a Beta law."""
    pair = value if isinstance(value, (tuple, list, np.ndarray)) else ()
    if getattr(pair, "ndim", 1) != 1 or len(pair) != 2:
        raise InvalidOptionError(
            f"{name}: got {shown(value)}; expected a pair of numbers, the parameters of a Beta law."
        )
    first, second = (
        check_real(item, name, above=0.0, below=LARGEST_PRIOR * (1 + 1e-9)) for item in pair
    )
    return first, second


@lru_cache(maxsize=32)
def _solved(backend: str, options: StoppingOptions) -> StoppingRun:
    run = backend_of(backend).stopping_policy(options)
    for array in run[:3]:
        array.flags.writeable = False
    return run


def _last_worthy(
    share: float, costs: VerificationCosts, prior: tuple[float, float], limit: int
) -> int | None:
    """Return a number of looks beyond which none is worth its cost; None if it is above `limit`.

    One look moves the probability F of falling short by a jump J to one of two values, and lessens
    the expected loss by at most (false_accept + false_reject) u (1 - u) J, u the probability of a
    success; that product is at most h(A, B) = x^A (1 - x)^B G(A + B - 1) / (G(A) G(B)), with G the
    gamma function and (A, B) the parameters of the posterior. By Pascal's rule
    h(A, B) = x h(A - 1, B) + (1 - x) h(A, B - 1), so the largest h falls from level to level, once
    it does at the ends. If it is worth no look at one level it is at none that follows, and then
    stopping is best at all of them: the monotone case of Chow, Robbins & Siegmund, *Great
    Expectations*, 1971.
    """
    x, (a, b) = share, prior
    both = costs.false_accept + costs.false_reject
    if costs.false_accept * (costs.false_reject / both) <= costs.look:
        return 0  # no more than that can be expected to be lost by deciding at once
    least = max(((1.0 - x) * (a + b - 1.0) - b) / x, (x * (a + b - 1.0) - a) / (1.0 - x), 1.0)
    if least > limit:
        return None

    def worthless(looks: int) -> bool:
        total = a + b + looks
        successes = min(max(math.floor(x * (total - 1.0) - a) + 1, 0), looks)
        good, bad = a + successes, b + (looks - successes)
        log = good * math.log(x) + bad * math.log1p(-x)
        log += math.lgamma(total - 1.0) - math.lgamma(good) - math.lgamma(bad)
        gain = both * math.exp(log)
        return gain * (1.0 + 1e-6) <= costs.look

    low, high = math.ceil(least), limit
    if not worthless(high):
        return None
    while low < high:
        middle = (low + high) // 2
        if worthless(middle):
            high = middle
        else:
            low = middle + 1
    return high


@dataclass
class _Stops:
    """Where the policy stops: looks and successes, how probable that is, and what it decides."""

    looks: NDArray[np.float64]
    successes: NDArray[np.float64]
    mass: NDArray[np.float64]
    accepted: NDArray[np.bool_]


def _stops(policy: StoppingPolicy, share: float | None) -> _Stops:
    a, b = policy.prior
    run = policy._run
    parts: list[tuple[int, int, NDArray[np.float64], bool]] = []
    first, mass = 0, np.ones(1)  # of the lowest number of successes that is possible, and upwards
    for looks in range(policy.max_looks + 1):
        low, high = int(run.reject_at[looks]), int(run.accept_from[looks])
        down, up = max(low + 1 - first, 0), max(high - first, 0)
        if down:
            parts.append((looks, first, mass[:down], False))
        if up < len(mass):
            parts.append((looks, first + up, mass[up:], True))
        mass = mass[down:up]
        first += down
        if not mass.size:
            break
        successes = first + np.arange(mass.size)
        chance = (a + successes) / (a + b + looks) if share is None else share
        following = np.zeros(mass.size + 1)
        following[:-1] = mass * (1.0 - chance)
        following[1:] += mass * chance
        mass = following
    return _Stops(
        looks=np.concatenate([np.full(len(m), float(n)) for n, _, m, _ in parts]),
        successes=np.concatenate([s + np.arange(len(m), dtype=np.float64) for _, s, m, _ in parts]),
        mass=np.concatenate([m for *_, m, _ in parts]),
        accepted=np.concatenate([np.full(len(m), accepted) for *_, m, accepted in parts]),
    )
