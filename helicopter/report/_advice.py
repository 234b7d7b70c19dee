"""What to do about what was found."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ._parts_wording import hardest, place
from ._wording import right_share

if TYPE_CHECKING:
    from helicopter.core.results._analysis import Analysis
    from helicopter.core.results._autonomous import AutonomousAnalysis
    from helicopter.core.results._noise import NoiseAnalysis
    from helicopter.core.results._parts import SegmentAwareReconstruction
    from helicopter.core.results._verification import Verification

__all__ = ["advice"]

#: A stated confidence so far from what came of it is not to be relied on.
_OFF = 0.15
#: A single part that holds so much of what could not be explained is worth a word.
_MUCH = 0.1
_ABOUT_NOISE = {
    "salt_pepper": "repair the black and white pixels (hide them with a mask and fill them with "
    "helicopter reconstruct, or take a median)",
    "impulse": "repair the pixels that were hit (hide them with a mask and fill them with "
    "helicopter reconstruct, or take a median)",
    "periodic": "look for what disturbs the recording: the interference repeats, so a notch filter "
    "takes it out",
    "compression": "go back to the original, or save at a higher quality: the marks of compression "
    "are in the way of fine detail",
}


def advice(analysis: Analysis, data_range: tuple[float, float] | None = None) -> list[str]:
    """Return what is worth doing, the most important first; never empty."""
    said = [
        *_about_anomalies(analysis),
        *_about_parts(analysis.segments),
        *_about_noise(analysis.noise),
        *_about_evidence(analysis.verification),
        *_about_confidence(analysis.autonomous, data_range),
    ]
    if said:
        return said
    return ["Nothing stands out: no region is unlike the rest, and there is little noise."]


def _about_anomalies(analysis: Analysis) -> list[str]:
    anomalies = analysis.anomalies
    if anomalies is None or not anomalies.regions:
        return []
    first = anomalies.regions[0]
    others = len(anomalies.regions) - 1
    more = f", then at the {others} others in the order of the table" if others > 1 else ""
    more = ", then at the other one" if others == 1 else more
    return [
        f"Look at region 1 ({place(first.bounding_box)}){more}: nothing in the rest of the image "
        "leads to expect what is there."
    ]


def _about_parts(parts: SegmentAwareReconstruction | None) -> list[str]:
    if parts is None:
        return []
    few = hardest(parts)
    if len(parts.segments) < 2 or not few or few[0].priority < _MUCH:
        return []
    worst = few[0]
    return [
        f"Part {worst.label} ({worst.type}; {place(worst.bounding_box)}) holds "
        f"{100 * worst.priority:.0f} % of what could not be explained: a finer recording, or a "
        "network trained on such content (helicopter train), would gain most there."
    ]


def _about_noise(noise: NoiseAnalysis) -> list[str]:
    said = [
        f"About the noise: {_ABOUT_NOISE[kind]}." for kind in noise.kinds if kind in _ABOUT_NOISE
    ]
    if noise.level in ("moderate", "high", "severe"):
        said.append(
            f"The noise is {noise.level}: expose longer, average several recordings or denoise "
            f"before anything finer than {noise.total_sigma:.2g} is measured."
        )
    return said


def _about_evidence(verification: Verification | None) -> list[str]:
    if verification is None or verification.decision == "accept":
        return []
    if verification.decision == "reject":
        return [
            "Too few patches follow from what was shown to fill in parts of this image blindly: "
            "show more of it (--initial-known) or ask for less at a time (--patch-size), and look "
            "at the map of the uncertainty before using what was filled in."
        ]
    return [
        "The evidence is not enough for a verdict: analyse with smaller patches, which gives more "
        "looks, or raise the limit of looks."
    ]


def _about_confidence(
    found: AutonomousAnalysis, data_range: tuple[float, float] | None
) -> list[str]:
    kept = right_share(found, data_range)
    if kept is None or not math.isfinite(found.average_confidence):
        return []
    if abs(kept - found.average_confidence) < _OFF:
        return []
    sure = "sure" if kept < found.average_confidence else "unsure"
    return [
        f"The model was too {sure} of itself here "
        f"({100 * found.average_confidence:.0f} % stated, {100 * kept:.0f} % kept): take its "
        "uncertainties as a ranking, not as numbers."
    ]
