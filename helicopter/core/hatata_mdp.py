"""Hatata: whether the evidence is enough to call an image understood."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from helicopter._messages import shown
from helicopter._shared.checks import check_choice, check_fraction
from helicopter._shared.looks import SequentialVerification, correlation_time
from helicopter._shared.progress import ProgressCallback, as_callback
from helicopter._shared.ranking import random_ranks
from helicopter.backends._engine import Engine
from helicopter.backends.protocol import Evidence
from helicopter.errors import InvalidOptionError

from .evidence._stopping_policy import StoppingPolicy
from .results._autonomous import AutonomousAnalysis
from .results._regional import CrossReconstruction, PatchScore
from .results._verification import (
    Verification,
    VerificationStep,
    VerifierDecision,
    verifier_action,
    verifier_state,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter.backends.protocol import EvidenceRun

__all__ = ["HatataMDPEngine", "read_run"]

#: Of the shared random numbers: the order in which the patches of a cross-reconstruction are seen.
STREAM_LOOKS = 24
#: Looks between two calls of a progress callback.
REPORT = 64

_DECISIONS: dict[int, VerifierDecision] = {1: "accept", -1: "reject", 0: "continue"}


class HatataMDPEngine(Engine):
    """Decides whether enough of an image is understood, with as few looks as that takes.

    Parameters
    ----------
    device : str, default "auto"
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    use_rust_acceleration : bool, optional
        True: Rust or an error; False: Python; None: Rust if it can be used.

    Raises
    ------
    InvalidOptionError, DeviceError, RustAccelerationError

    Examples
    --------
    >>> from helicopter.core import HatataMDPEngine
    >>> verdict = HatataMDPEngine().verify([0.95] * 40)
    >>> verdict.decision, verdict.state, verdict.evidence_used
    ('accept', 'certain', 17)
    """

    def __init__(self, device: str = "auto", use_rust_acceleration: bool | None = None) -> None:
        super().__init__(device, use_rust_acceleration)

    def stopping_policy(
        self,
        required_share: float = 0.8,
        *,
        cost_of_look: float = 0.001,
        cost_of_false_accept: float = 1.0,
        cost_of_false_reject: float = 1.0,
        prior: tuple[float, float] = (1.0, 1.0),
        max_looks: int | None = None,
    ) -> StoppingPolicy:
        """Find the policy that `verify` follows; see `StoppingPolicy`."""
        return StoppingPolicy(
            required_share,
            cost_of_look=cost_of_look,
            cost_of_false_accept=cost_of_false_accept,
            cost_of_false_reject=cost_of_false_reject,
            prior=prior,
            max_looks=max_looks,
            _backend=self.backend,
        )

    def verify(
        self,
        evidence: object,
        threshold: float = 0.8,
        *,
        required_share: float = 0.8,
        cost_of_look: float = 0.001,
        cost_of_false_accept: float = 1.0,
        cost_of_false_reject: float = 1.0,
        prior: tuple[float, float] = (1.0, 1.0),
        credible_level: float = 0.95,
        max_looks: int | None = None,
        effective_looks: str = "auto",
        progress: bool | ProgressCallback | None = None,
    ) -> Verification:
        """Look at patch after patch until a decision is worth no further look.

        A patch of quality at least `threshold` is a success; the image counts as understood if the
        share of such patches is at least `required_share`. The policy is that of least expected
        loss under a Beta law of the share; see `StoppingPolicy`.

        Parameters
        ----------
        evidence : iterable of float, AutonomousAnalysis or CrossReconstruction
            Qualities in [0, 1], or `PatchScore`, in the order of looking. Of an iterator no more is
            taken than is looked at. Of an `AutonomousAnalysis`, the patches in the order in which
            they were scored. Of a `CrossReconstruction`, all patches in an order drawn at random,
            which is always the same.
        threshold : float, default 0.8
            In [0, 1].
        required_share : float, default 0.8
            Between 0 and 1, both excluded.
        cost_of_look, cost_of_false_accept, cost_of_false_reject : float
        prior : pair of float, default (1, 1)
            Parameters of the Beta law of the share before the first look.
        credible_level : float, default 0.95
            Of the interval of the share.
        max_looks : int, optional
            Decide after so many looks in any case, up to 16384; by default 4096.
        effective_looks : str, default "auto"
            ``"auto"``: looks that are seen to succeed and fail together with their neighbours in
            the order of looking count as fewer. How many is told from their correlation: in all of
            the evidence if it is there from the start, and among the looks so far if an iterator
            hands them over one by one. In a run of nothing but successes there is no correlation to
            be seen, so what an iterator hands over should come in random order. ``"all"``: every
            look counts in full.
        progress : None, True or callable
            See `helicopter._shared.progress.as_callback`.

        Returns
        -------
        Verification

        Raises
        ------
        InvalidOptionError
        """
        started = time.perf_counter()
        threshold = check_fraction(threshold, "threshold", ends=True)
        level = check_fraction(credible_level, "credible_level", ends=False)
        count_all = check_choice(effective_looks, "effective_looks", ("auto", "all")) == "all"
        policy = self.stopping_policy(
            required_share,
            cost_of_look=cost_of_look,
            cost_of_false_accept=cost_of_false_accept,
            cost_of_false_reject=cost_of_false_reject,
            prior=prior,
            max_looks=max_looks,
        )
        looks = Evidence(
            required_share=policy.required_share,
            prior=policy.prior,
            credible_level=level,
            most_looks=policy._most_looks,
            time=1.0 if count_all else None,
        )
        with as_callback(progress, "Verifying") as callback:
            given = _given(evidence)
            if given.drawn_at_random:
                looks = looks._replace(time=1.0)
            qualities = given.qualities
            if not isinstance(qualities, np.ndarray):
                qualities = _pull(qualities, threshold, looks, policy, callback)
            elif looks.time is None:
                looks = looks._replace(time=correlation_time(qualities >= threshold))
            qualities = qualities[: looks.most_looks]
            run = self._backend.verify(qualities >= threshold, looks, policy._run)
            if callback is not None:
                callback(len(run.short) - 1, len(qualities))
        seconds = time.perf_counter() - started
        return read_run(
            run, qualities, threshold, looks, policy, (self.backend, self.device), seconds
        )


def read_run(
    run: EvidenceRun,
    qualities: NDArray[np.float64],
    threshold: float,
    evidence: Evidence,
    policy: StoppingPolicy,
    ran_on: tuple[str, str],
    seconds: float,
) -> Verification:
    """Put what a backend found into words; `ran_on` names the backend and the device."""
    costs = policy.costs
    used = len(run.short) - 1
    seen = qualities[:used]
    loss = np.minimum(costs.false_accept * run.short, costs.false_reject * run.enough)
    columns = (run.effective_looks, run.effective_successes, run.enough, run.low, run.high, loss)
    steps = zip(seen.tolist(), *(column[1:].tolist() for column in columns), strict=True)
    trajectory = []
    for look, (quality, looks, successes, enough, low, high, lost) in enumerate(steps, start=1):
        state = verifier_state(enough)
        trajectory.append(
            VerificationStep(
                look=look,
                quality=quality,
                success=quality >= threshold,
                effective_looks=looks,
                effective_successes=successes,
                probability=enough,
                low=low,
                high=high,
                expected_loss=lost,
                state=state,
                action=verifier_action(state, stopped=look == used and run.decision != 0),
            )
        )
    a, b = policy.prior
    decision = _DECISIONS[run.decision]
    enough, short = float(run.enough[-1]), float(run.short[-1])
    state = verifier_state(enough)
    looks, successes = float(run.effective_looks[-1]), float(run.effective_successes[-1])
    of_decision = {
        "accept": costs.false_accept * short,
        "reject": costs.false_reject * enough,
        "continue": float(loss[-1]),
    }
    return Verification(
        understanding_probability=enough,
        credible_interval=(float(run.low[-1]), float(run.high[-1])),
        understood_share=(a + successes) / (a + b + looks),
        state=state,
        action=verifier_action(state, stopped=run.decision != 0),
        decision=decision,
        expected_loss=of_decision[decision],
        evidence_used=used,
        successes=int(np.count_nonzero(seen >= threshold)),
        effective_looks=looks,
        threshold=threshold,
        required_share=policy.required_share,
        prior=policy.prior,
        credible_level=evidence.credible_level,
        costs=costs,
        max_looks=evidence.most_looks,
        trajectory=tuple(trajectory),
        boundaries=policy.boundaries,
        backend=ran_on[0],
        device=ran_on[1],
        seconds=seconds,
    )


class _Given(NamedTuple):
    qualities: NDArray[np.float64] | Iterator[float]
    drawn_at_random: bool


def _given(evidence: object) -> _Given:
    if isinstance(evidence, AutonomousAnalysis):
        scored = evidence.patch_qualities[~np.isnan(evidence.patch_qualities)]
        if not scored.size:
            raise InvalidOptionError(
                "evidence: got an AutonomousAnalysis of which no patch was scored; expected at "
                "least one."
            )
        return _Given(scored, {step.strategy for step in evidence.history} == {"random"})
    if isinstance(evidence, CrossReconstruction):
        scored = evidence.patch_quality.ravel().astype(np.float64)
        order = np.argsort(random_ranks(0, STREAM_LOOKS, scored.size), kind="stable")
        return _Given(scored[order], drawn_at_random=True)
    if isinstance(evidence, (str, bytes, Mapping)) or not isinstance(evidence, Iterable):
        if not hasattr(evidence, "__array__"):
            raise InvalidOptionError(
                f"evidence: got {type(evidence).__name__}; expected qualities from 0 to 1, an "
                "AutonomousAnalysis or a CrossReconstruction."
            )
        evidence = np.asarray(evidence)
    if isinstance(evidence, Iterator):
        return _Given(map(_quality, itertools.count(1), evidence), drawn_at_random=False)
    return _Given(_array(evidence), drawn_at_random=False)


def _array(evidence: Any) -> NDArray[np.float64]:
    accepted = "expected qualities from 0 to 1, one after the other"
    if not isinstance(evidence, np.ndarray):
        evidence = [item.quality if isinstance(item, PatchScore) else item for item in evidence]
    try:
        array = np.asarray(evidence)
    except (TypeError, ValueError) as error:
        raise InvalidOptionError(f"evidence: {error}; {accepted}.") from error
    if array.size == 0:
        raise InvalidOptionError(f"evidence: got nothing at all; {accepted}.")
    if array.ndim != 1:
        raise InvalidOptionError(
            f"evidence: got an array of shape {array.shape}; {accepted} (write evidence.ravel() "
            "if their order is that of looking)."
        )
    if array.dtype.kind not in "buif":
        raise InvalidOptionError(f"evidence: got values of dtype {array.dtype}; {accepted}.")
    array = array.astype(np.float64)
    bad = np.flatnonzero(~((array >= 0.0) & (array <= 1.0)))
    if bad.size:
        _quality(int(bad[0]) + 1, float(array[bad[0]]))
    return array


def _quality(look: int, value: object) -> float:
    """Return the quality that was seen at a look, if it is one."""
    if isinstance(value, PatchScore):
        value = value.quality
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = np.nan
    if isinstance(value, (str, bytes)) or not 0.0 <= number <= 1.0:
        raise InvalidOptionError(
            f"evidence: look {look} is {shown(value)}; expected a quality from 0 to 1. Leave out "
            "patches that were not scored."
        )
    return number


def _pull(
    qualities: Iterator[float],
    threshold: float,
    evidence: Evidence,
    policy: StoppingPolicy,
    progress: ProgressCallback | None,
) -> NDArray[np.float64]:
    """Take qualities for as long as the policy looks on."""
    verification = SequentialVerification(policy._run, evidence.most_looks, evidence.time)
    taken: list[float] = []
    decision = verification.decision()
    while decision == 0:
        quality = next(qualities, None)
        if quality is None:
            if not taken:
                raise InvalidOptionError(
                    "evidence: got nothing at all; expected qualities from 0 to 1, one after the "
                    "other."
                )
            break
        taken.append(quality)
        decision = verification.look(quality >= threshold)
        if progress is not None and len(taken) % REPORT == 0:
            progress(len(taken), evidence.most_looks)
    return np.array(taken, dtype=np.float64)
