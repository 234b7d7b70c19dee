"""What a verification says, in plain sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from helicopter.core.evidence._stopping_policy import DEFAULT_LOOKS

if TYPE_CHECKING:
    from helicopter.core.results._autonomous import AutonomousAnalysis
    from helicopter.core.results._verification import Verification

__all__ = [
    "Line",
    "interval_sentence",
    "looks_sentence",
    "next_sentence",
    "possible_looks",
    "report_sentences",
    "trajectory_caption",
    "verdict_sentence",
    "verification_figures",
]


class Line(NamedTuple):
    """A number with its name and what to think of it."""

    name: str
    value: str
    meaning: str


def verdict_sentence(verification: Verification) -> str:
    """Say what was decided, and how probable it is that the image is understood."""
    chance = verification.understanding_probability
    share = _percent(verification.required_share)
    quality = f"with a quality of {verification.threshold:.3g} or more"
    enough = f"at least {share} of the patches can be predicted {quality}"
    if verification.decision == "continue":
        return (
            f"Not enough evidence: the probability that {enough} is {_chance(chance)}, and a "
            "further look would be worth its cost."
        )
    if verification.decision == "accept":
        if chance >= 0.5:
            return f"Accepted: with a probability of {_chance(chance)}, {enough}."
        return (
            f"Accepted, since rejecting would cost more: the probability that {enough} is only "
            f"{_chance(chance)}."
        )
    if chance <= 0.5:
        return (
            f"Rejected: with a probability of {_chance(1.0 - chance)}, fewer than {share} of the "
            f"patches can be predicted {quality}."
        )
    return (
        f"Rejected, since accepting would cost more: the probability that {enough} is "
        f"{_chance(chance)} all the same."
    )


def interval_sentence(verification: Verification) -> str:
    """Say where the share of patches that are understood lies."""
    low, high = verification.credible_interval
    return (
        f"The share of such patches is {_percent(low)} to {_percent(high)} with a probability of "
        f"{_percent(verification.credible_level)} (mean {_percent(verification.understood_share)})."
    )


def looks_sentence(verification: Verification, possible: int) -> str:
    """Say how many patches were looked at, and for how many independent ones they count."""
    used = verification.evidence_used
    looks = f"{used} {'look' if used == 1 else 'looks'}"
    if possible > used:
        looks += f" of {possible} possible ones"
    else:
        looks = f"All {looks} were used" if used != 1 else "The only look was used"
    if used == 0:
        return "No look was worth its cost: the figures are those of the prior."
    were = "" if looks.endswith("used") else " was used" if used == 1 else " were used"
    alike = ""
    if verification.effective_looks < 0.95 * used:
        alike = (
            f"; they count as {verification.effective_looks:.3g} independent ones, since patches "
            "near each other are alike"
        )
    return f"{looks[0].upper()}{looks[1:]}{were}{alike}."


def next_sentence(verification: Verification) -> str:
    """Say what is best done next, and what the decision is expected to cost."""
    look = verification.costs[0]
    if verification.decision == "continue":
        return (
            "Next: look at more patches. Smaller patches give more of them, as do more hidden ones."
        )
    loss = f"expected loss {verification.expected_loss:.2g}"
    if verification.max_looks < DEFAULT_LOOKS:
        loss += f"; with {verification.max_looks} looks at most"
    if verification.decision == "accept":
        return f"Next: nothing; no further look is worth its cost of {look:.3g} ({loss})."
    return (
        f"Next: see which patches were predicted badly; no further look is worth its cost of "
        f"{look:.3g} ({loss})."
    )


def possible_looks(found: AutonomousAnalysis) -> int:
    """Return how many patches were hidden and could have been scored."""
    scorable = found.hidden_mask & np.isfinite(found.error_map)
    height, width = scorable.shape
    rows, columns = (np.arange(0, side, found.patch_size) for side in (height, width))
    by_row = np.logical_or.reduceat(scorable, rows, axis=0)
    return int(np.count_nonzero(np.logical_or.reduceat(by_row, columns, axis=1)))


def report_sentences(verification: Verification, possible: int) -> list[str]:
    """Return the paragraphs of the section; see `possible_looks`."""
    return [
        verdict_sentence(verification),
        f"{interval_sentence(verification)} {looks_sentence(verification, possible)} "
        f"{next_sentence(verification)}",
    ]


def trajectory_caption(verification: Verification) -> str:
    """Say how to read the figure."""
    if not verification.trajectory:
        return "No look was taken."
    return (
        "Each look scores one patch against the truth, and counts as a success from a quality of "
        f"{verification.threshold:.3g} on. Where the share of successes enters a coloured region, "
        "one more look is no longer worth its cost, and it is decided."
    )


def verification_figures(verification: Verification) -> list[Line]:
    """Return everything else, in the order of the page."""
    low, high = verification.credible_interval
    level = _percent(verification.credible_level)
    a, b = verification.prior
    look, accept, reject = verification.costs
    used, successes = verification.evidence_used, verification.successes
    return [
        Line(
            "Decision",
            {"accept": "accepted", "reject": "rejected", "continue": "open"}[verification.decision],
            f"{verification.state}; next: {verification.action.replace('_', ' ')}.",
        ),
        Line(
            "Probability",
            f"{verification.understanding_probability:.4f}",
            f"That at least {_percent(verification.required_share)} of the patches reach quality "
            f"{verification.threshold:.3g}.",
        ),
        Line(
            "Share understood",
            _percent(verification.understood_share),
            f"Posterior mean; {_percent(low)} to {_percent(high)} with a probability of {level}.",
        ),
        Line(
            "Looks",
            f"{used}",
            f"{successes} of them successes; worth {verification.effective_looks:.3g} independent "
            "ones.",
        ),
        Line(
            "Expected loss",
            f"{verification.expected_loss:.3g}",
            f"Of the decision; a false accept costs {accept:.3g}, a false reject {reject:.3g}, a "
            f"look {look:.3g}.",
        ),
        Line("Prior", f"Beta({a:.3g}, {b:.3g})", "Law of the share before the first look."),
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %" if 0.0 < share < 1.0 else f"{100 * share:.0f} %"


def _chance(probability: float) -> str:
    """Never say that something is certain, which no evidence makes it."""
    if probability > 0.999:
        return "more than 99.9 %"
    if probability < 0.001:
        return "less than 0.1 %"
    return f"{100 * probability:.3g} %"
