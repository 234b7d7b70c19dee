"""What was found part by part, and what is unlike the rest, in plain sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from helicopter.core.results._parts import (
        AnomalyAnalysis,
        AnomalyRegion,
        SegmentAwareReconstruction,
        SegmentReconstruction,
    )

__all__ = [
    "anomaly_rows",
    "anomaly_sentences",
    "describe_region",
    "describe_segment",
    "hardest",
    "place",
    "segment_rows",
    "segment_sentences",
]

#: Rows of the table.
_SHOWN = 12


def segment_sentences(parts: SegmentAwareReconstruction) -> list[str]:
    """Say how much of the image follows from itself part by part, and which parts do not."""
    count = len(parts.segments)
    if not math.isfinite(parts.reconstruction_quality):
        return ["None of the parts could be scored."]
    many = f"Each of {count} parts was" if count > 1 else "The only part was"
    first = (
        f"{many} redrawn from a part of its own pixels, blind to all others. "
        f"{_percent(parts.understood_share)} of what was scored lies in parts that came out as "
        "well as their kind allows."
    )
    few = hardest(parts)
    share = sum(one.priority for one in few)
    area = sum(one.area for one in few) / parts.labels.size
    second = (
        f"Half of all that could not be explained lies in {len(few)} of them, "
        f"{_percent(area)} of the image."
        if len(few) > 1
        else f"{_percent(share)} of all that could not be explained lies in one of them, "
        f"{_percent(area)} of the image."
    )
    return [first, second] if few and count > 1 else [first]


def hardest(parts: SegmentAwareReconstruction) -> list[SegmentReconstruction]:
    """Return the fewest segments that hold half of what could not be explained."""
    ranked = sorted(parts.segments, key=lambda one: -one.priority)
    total = np.cumsum([one.priority for one in ranked])
    if not total.size or total[-1] <= 0:
        return []
    return ranked[: int(np.searchsorted(total, 0.5)) + 1]


def describe_segment(one: SegmentReconstruction) -> str:
    """Say all of a segment in a line."""
    start = f"Part {one.label} ({one.type}, {one.area:,} pixels)"
    if not math.isfinite(one.quality):
        return f"{start}: too little of it to be scored"
    return (
        f"{start}: quality {one.quality:.2f}, skill {_signed(one.skill)}, "
        f"{_percent(one.priority)} of what could not be explained"
    )


def segment_rows(parts: SegmentAwareReconstruction) -> list[dict[str, str]]:
    """Return a row for each of the parts where attention is best spent."""
    ranked = sorted(parts.segments, key=lambda one: (-one.priority, one.label))
    return [
        {
            "label": str(one.label),
            "type": one.type,
            "place": place(one.bounding_box),
            "area": _percent(one.area / parts.labels.size),
            "quality": f"{one.quality:.3f}" if math.isfinite(one.quality) else "not scored",
            "skill": _signed(one.skill),
            "confidence": _percent(one.confidence),
            "priority": _percent(one.priority),
        }
        for one in ranked[:_SHOWN]
    ]


def place(box: tuple[int, int, int, int]) -> str:
    """Say where a bounding box lies, both ends counted in."""
    top, left, bottom, right = box
    return f"rows {top} to {bottom - 1}, columns {left} to {right - 1}"


def _percent(value: float) -> str:
    if not math.isfinite(value):
        return "undefined"
    return "less than 1 %" if 0 < value < 0.005 else f"{100 * value:.0f} %"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}") if math.isfinite(value) else "undefined"


#: Rows of the table.
_REGIONS_SHOWN = 20


def anomaly_sentences(anomalies: AnomalyAnalysis) -> list[str]:
    """Say how many regions were declared, and what that means."""
    count, level = len(anomalies.regions), f"{100 * anomalies.level:.3g} %"
    if not count:
        return [
            f"Nothing was declared: of {anomalies.candidates:,} places tested, none is so unlike "
            f"the rest that at most {level} of such declarations would be false."
        ]
    what = "One region is" if count == 1 else f"{count} regions are"
    return [
        f"{what} unlike the rest of the image, and not for noise: "
        f"{_percent(anomalies.detected.mean())} of its pixels. Of such declarations at "
        f"most {level} are false on average, if what is usual in this image is alike everywhere, "
        "as it is in a texture or on a surface. In a photograph of many things they are news, not "
        "faults."
    ]


def describe_region(region: AnomalyRegion) -> str:
    """Say all of a region in a line."""
    return (
        f"Region {region.label} ({region.area:,} pixels): probability "
        f"{_percent(region.probability)}, {_deviation(region)}"
    )


def anomaly_rows(anomalies: AnomalyAnalysis) -> list[dict[str, str]]:
    """Return a row for each of the most anomalous regions."""
    return [
        {
            "label": str(region.label),
            "place": place(region.bounding_box),
            "area": f"{region.area:,}",
            "probability": _percent(region.probability),
            "score": f"{region.score:.2f}",
            "deviation": _deviation(region),
        }
        for region in anomalies.regions[:_REGIONS_SHOWN]
    ]


def _deviation(region: AnomalyRegion) -> str:
    if not math.isfinite(region.mean_deviation):
        return "nothing to compare with"
    way = "brighter" if region.mean_deviation >= 0 else "darker"
    return f"{abs(region.mean_deviation):.3g} {way} than expected"
