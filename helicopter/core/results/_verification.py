"""What `HatataMDPEngine.verify` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from helicopter._shared.result import Result

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "VERIFIER_ACTIONS",
    "VERIFIER_STATES",
    "StoppingBoundaries",
    "Verification",
    "VerificationCosts",
    "VerificationStep",
    "VerifierAction",
    "VerifierDecision",
    "VerifierState",
    "verifier_action",
    "verifier_state",
]

VerifierState = Literal["confused", "uncertain", "confident", "certain"]
VerifierAction = Literal["gather_evidence", "increase_confidence", "validate", "converge"]
VerifierDecision = Literal["accept", "reject", "continue"]

#: From the least to the most sure.
VERIFIER_STATES: tuple[VerifierState, ...] = ("confused", "uncertain", "confident", "certain")
VERIFIER_ACTIONS: tuple[VerifierAction, ...] = (
    "gather_evidence",
    "increase_confidence",
    "validate",
    "converge",
)


def verifier_state(probability: float) -> VerifierState:
    """Name the sureness max(P, 1 - P) of a decision that rests on the probability P.

    >= 0.95 certain, >= 0.80 confident, >= 0.60 uncertain, else confused.
    """
    sureness = max(probability, 1.0 - probability)
    if sureness >= 0.95:
        return "certain"
    if sureness >= 0.80:
        return "confident"
    if sureness >= 0.60:
        return "uncertain"
    return "confused"


def verifier_action(state: VerifierState, *, stopped: bool) -> VerifierAction:
    """Say what to do next in a state.

    Once the policy has stopped: converge. While it looks on: gather evidence when confused,
    increase the confidence when uncertain, validate when confident or certain.
    """
    if stopped:
        return "converge"
    if state == "confused":
        return "gather_evidence"
    if state == "uncertain":
        return "increase_confidence"
    return "validate"


class VerificationCosts(NamedTuple):
    """Of one more look, of accepting what should be rejected, of rejecting what should not."""

    look: float
    false_accept: float
    false_reject: float


@dataclass(frozen=True, eq=False, repr=False)
class StoppingBoundaries(Result):
    """Where the policy stops, by the number of looks so far.

    Attributes
    ----------
    reject_at : int32 ndarray of shape (N + 1,)
        After n looks, reject at so many successes or fewer; -1: never.
    accept_from : int32 ndarray of shape (N + 1,)
        Accept from so many successes on; n + 1: never. Between the two, look once more.
    favour_from : int32 ndarray of shape (N + 1,)
        From so many successes on accepting costs less than rejecting, if it must be decided now.
    """

    reject_at: NDArray[np.int32]
    accept_from: NDArray[np.int32]
    favour_from: NDArray[np.int32]


@dataclass(frozen=True, eq=False, repr=False)
class VerificationStep(Result):
    """What was known after one look.

    Attributes
    ----------
    look : int
        Counted from 1.
    quality : float
        What was seen.
    success : bool
        Whether it is at least the threshold.
    effective_looks, effective_successes : float
        How many independent looks, and successes among them, all looks so far are worth.
    probability : float
        That the share of patches with quality at least the threshold is at least the required one.
    low, high : float
        Ends of the credible interval of that share.
    expected_loss : float
        Of the better of the two decisions, if it were taken now; without the cost of the looks.
    state, action : str
        See `Verification`.
    """

    look: int
    quality: float
    success: bool
    effective_looks: float
    effective_successes: float
    probability: float
    low: float
    high: float
    expected_loss: float
    state: VerifierState
    action: VerifierAction


@dataclass(frozen=True, eq=False, repr=False)
class Verification(Result):
    """What `HatataMDPEngine.verify` found.

    Attributes
    ----------
    understanding_probability : float
        Posterior probability that the share of patches with quality at least `threshold` is at
        least `required_share`.
    credible_interval : tuple of float
        Central interval of that share, of probability `credible_level`.
    understood_share : float
        Posterior mean of that share.
    state : str
        Of the sureness max(P, 1 - P) of the decision: ``"certain"`` (>= 0.95), ``"confident"``
        (>= 0.80), ``"uncertain"`` (>= 0.60) or ``"confused"``.
    action : str
        What to do next: ``"converge"`` once the policy has stopped; before, ``"gather_evidence"``
        when confused, ``"increase_confidence"`` when uncertain, ``"validate"`` when confident or
        certain.
    decision : str
        ``"accept"``, ``"reject"``, or ``"continue"``: the evidence ended while one more look would
        have been worth its cost.
    expected_loss : float
        Of the decision, or of the better one if it is still open; without the cost of the looks.
    evidence_used : int
        Looks taken until the policy stopped, or the evidence ended.
    successes : int
        Those of quality at least the threshold.
    effective_looks : float
        How many independent looks they are worth; as many as were taken unless they go together.
    threshold, required_share : float
    prior : tuple of float
        Parameters of the Beta law of the share before the first look.
    credible_level : float
    costs : VerificationCosts
        Of a look, of a false accept, of a false reject.
    max_looks : int
        At which number of looks the policy decides at the latest.
    trajectory : tuple of VerificationStep
        Look by look.
    boundaries : StoppingBoundaries
        Where the policy stops, by the (effective) number of looks.
    backend, device : str
    seconds : float
        Wall-clock time.
    """

    understanding_probability: float
    credible_interval: tuple[float, float]
    understood_share: float
    state: VerifierState
    action: VerifierAction
    decision: VerifierDecision
    expected_loss: float
    evidence_used: int
    successes: int
    effective_looks: float
    threshold: float
    required_share: float
    prior: tuple[float, float]
    credible_level: float
    costs: VerificationCosts
    max_looks: int
    trajectory: tuple[VerificationStep, ...]
    boundaries: StoppingBoundaries
    backend: str
    device: str
    seconds: float
