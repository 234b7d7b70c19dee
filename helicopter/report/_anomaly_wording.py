"""What is unlike the rest of the image, in plain sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ._segment_wording import place

if TYPE_CHECKING:
    from helicopter.core.results._anomalies import AnomalyAnalysis, AnomalyRegion

__all__ = ["anomaly_rows", "anomaly_sentences", "describe_region"]

#: Rows of the table.
_SHOWN = 20


def anomaly_sentences(odd: AnomalyAnalysis) -> list[str]:
    """Say how many regions were declared, and what that means."""
    count, level = len(odd.regions), f"{100 * odd.level:.3g} %"
    if not count:
        return [
            f"Nothing was declared: of {odd.candidates:,} places tested, none is so unlike the "
            f"rest that at most {level} of such declarations would be false."
        ]
    what = "One region is" if count == 1 else f"{count} regions are"
    return [
        f"{what} unlike the rest of the image, and not for noise: {_percent(odd.detected.mean())} "
        f"of its pixels. Of such declarations at most {level} are false on average, if what is "
        "usual in this image is alike everywhere, as it is in a texture or on a surface. In a "
        "photograph of many things they are news, not faults."
    ]


def describe_region(region: AnomalyRegion) -> str:
    """Say all of a region in a line."""
    return (
        f"Region {region.label} ({region.area:,} pixels): probability "
        f"{_percent(region.probability)}, {_deviation(region)}"
    )


def anomaly_rows(odd: AnomalyAnalysis) -> list[dict[str, str]]:
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
        for region in odd.regions[:_SHOWN]
    ]


def _deviation(region: AnomalyRegion) -> str:
    if not math.isfinite(region.mean_deviation):
        return "nothing to compare with"
    way = "brighter" if region.mean_deviation >= 0 else "darker"
    return f"{abs(region.mean_deviation):.3g} {way} than expected"


def _percent(value: float) -> str:
    return "less than 1 %" if 0 < value < 0.005 else f"{100 * value:.0f} %"
