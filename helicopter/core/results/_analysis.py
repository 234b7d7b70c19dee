"""What `helicopter.analyze` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from helicopter._shared.result import Result

if TYPE_CHECKING:
    from ._autonomous import AutonomousAnalysis
    from ._noise import NoiseAnalysis
    from ._parts import AnomalyAnalysis, SegmentAwareReconstruction
    from ._verification import Verification

__all__ = ["Analysis"]


@dataclass(frozen=True, eq=False, repr=False)
class Analysis(Result):
    """What `helicopter.analyze` found: the results of the engines, side by side.

    Attributes
    ----------
    autonomous : AutonomousAnalysis
        How far the image could be redrawn from a fifth of its patches.
    noise : NoiseAnalysis
        How noisy it is: what no context could tell.
    segments : SegmentAwareReconstruction or None
        Which parts follow from themselves; None where that was not called for.
    anomalies : AnomalyAnalysis or None
        What is unlike the rest of the image, and no noise; None if it was not looked for.
    verification : Verification or None
        Whether the patches that were scored are evidence enough to call the image understood; None
        if nothing could be scored.
    seconds : float
        Wall-clock time of the whole analysis.
    """

    autonomous: AutonomousAnalysis
    noise: NoiseAnalysis
    segments: SegmentAwareReconstruction | None
    anomalies: AnomalyAnalysis | None
    verification: Verification | None
    seconds: float
