"""The verifier: when to stop looking, by dynamic programming, and what the looks say.

Looks are Bernoulli(p) with p ~ Beta(a, b). After s successes in n looks, with F the posterior
probability that p falls short of the required share:

    V(n, s) = min(false_accept * F, false_reject * (1 - F), look + E[V(n + 1, .)])

and at the last look one of the first two. Both backends do the same operations in the same order,
so that they stop at the same looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helicopter._shared.looks import SequentialVerification
from helicopter.backends.protocol import Evidence, EvidenceRun, StoppingOptions, StoppingRun

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["stopping_policy", "verify"]

#: Losses that differ by less than this share of the larger cost of an error count as equal: then it
#: is better to stop than to look, and to reject than to accept.
TIE = 2.0**-40


def stopping_policy(options: StoppingOptions) -> StoppingRun:
    """Find the policy; see `helicopter.backends.protocol.Backend.stopping_policy`."""
    horizon = options.horizon
    short = _last_level(options)
    tie = TIE * max(options.false_accept, options.false_reject)
    reject_at = np.empty(horizon + 1, dtype=np.int32)
    accept_from = np.empty(horizon + 1, dtype=np.int32)
    favour_from = np.empty(horizon + 1, dtype=np.int32)
    value = np.empty(0)
    successes = np.arange(horizon + 1, dtype=np.float64)
    for looks in range(horizon, -1, -1):
        if looks < horizon:
            total = options.prior[0] + options.prior[1] + looks
            up = (options.prior[0] + successes[: looks + 1]) / total
            down = 1.0 - up
            short = up * short[1:] + down * short[:-1]
            look = options.look + (up * value[1:] + down * value[:-1])
        accept, reject = options.false_accept * short, options.false_reject * (1.0 - short)
        favour = _first(accept < reject - tie, looks + 1)
        value = np.minimum(accept, reject)
        favour_from[looks] = favour
        reject_at[looks], accept_from[looks] = favour - 1, favour
        if looks < horizon:
            worth = look < value - tie
            if worth.any():
                reject_at[looks] = int(np.argmax(worth)) - 1
                accept_from[looks] = looks + 1 - int(np.argmax(worth[::-1]))
                value = np.where(worth, look, value)
    return StoppingRun(reject_at, accept_from, favour_from, float(value[0]))


def _first(condition: NDArray[np.bool_], otherwise: int) -> int:
    return int(np.argmax(condition)) if condition.any() else otherwise


def _last_level(options: StoppingOptions) -> NDArray[np.float64]:
    """Return F after the last look, for every number of successes.

    By I_x(a, b) = x I_x(a - 1, b) + (1 - x) I_x(a, b - 1) (DLMF 8.17.12), a mean of positive
    numbers, level by level from the prior's; and at the ends, where one of the two is missing, by
    the terms of DLMF 8.17.20 and 8.17.21.
    """
    x, (a, b) = options.required_share, options.prior
    level = np.array([options.short])
    least = most = options.density  # x^a (1 - x)^b / B(a, b) at either end of the level
    for looks in range(1, options.horizon + 1):
        before = looks - 1
        wider = np.empty(looks + 1)
        wider[0] = level[0] + least / (b + before)
        wider[looks] = max(level[before] - most / (a + before), 0.0)
        wider[1:looks] = x * level[:-1] + (1.0 - x) * level[1:]
        least = least * ((1.0 - x) * ((a + b + before) / (b + before)))
        most = most * (x * ((a + b + before) / (a + before)))
        level = wider
    return level


def verify(successes: NDArray[np.bool_], evidence: Evidence, policy: StoppingRun) -> EvidenceRun:
    """Look until it is worth no more; see `helicopter.backends.protocol.Backend.verify`."""
    from scipy.special import betainc, betaincc, betaincinv

    verification = SequentialVerification(policy, evidence.most_looks, evidence.time)
    decision, counts = verification.decision(), [(0.0, 0.0)]
    for success in successes.tolist():
        if decision != 0:
            break
        decision = verification.look(success)
        counts.append(verification.counter.effective())
    looks, good = np.array(counts).T
    a, b = evidence.prior[0] + good, evidence.prior[1] + (looks - good)
    tail = (1.0 - evidence.credible_level) / 2.0
    return EvidenceRun(
        decision=decision,
        effective_looks=looks,
        effective_successes=good,
        short=np.asarray(betainc(a, b, evidence.required_share)),
        enough=np.asarray(betaincc(a, b, evidence.required_share)),
        low=np.asarray(betaincinv(a, b, tail)),
        high=np.asarray(betaincinv(a, b, 1.0 - tail)),
    )
