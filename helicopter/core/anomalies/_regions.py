"""Which pixels belong to the peaks that were declared, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from helicopter.core.results._anomalies import AnomalyRegion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Labels, Map, Mask

    from ._statistics import Peaks

__all__ = ["Declared", "outline", "ranked", "snapped"]

#: What does not reach this in the anomaly map belongs to no region; 5 % of the pixels do.
FOOT = 1.0
#: A region ends where the map falls below this share of its peak.
SHARE = 0.5
_AROUND = np.ones((3, 3), bool)


class Declared(NamedTuple):
    """The peaks that were declared, with what the tests said of each."""

    peaks: Peaks
    p_value: NDArray[np.float64]
    q_value: NDArray[np.float64]
    false_rate: NDArray[np.float64]


def outline(scores: Map, peaks: Peaks) -> Mask:
    """Return the pixels around the peaks that reach half of what their own peak does."""
    from scipy.ndimage import label  # slow to import
    from scipy.spatial import cKDTree  # slow to import

    found = np.zeros(scores.shape, bool)
    if not len(peaks.height):
        return found
    with np.errstate(invalid="ignore"):
        groups, _ = label(scores >= FOOT, structure=_AROUND)
    holding = np.zeros(int(groups.max()) + 1, bool)
    holding[groups[peaks.row, peaks.col]] = True
    holding[0] = False
    row, col = np.nonzero(holding[groups])
    if len(row):
        # a peak of another group is farther than one's own, or as good as part of the same thing
        where = cKDTree(np.stack([peaks.row, peaks.col], axis=1))
        nearest = where.query(np.stack([row, col], axis=1))[1]
        high = scores[row, col] >= SHARE * peaks.height[nearest]
        found[row[high], col[high]] = True
    found[peaks.row, peaks.col] = True
    groups, count = label(found, structure=_AROUND)
    holding = np.zeros(count + 1, bool)
    holding[groups[peaks.row, peaks.col]] = True
    return np.asarray(found & holding[groups])


def snapped(found: Mask, peaks: Peaks, segments: Labels, included: Mask) -> Mask:
    """Return those segments whole that are found by half, and those that hold a peak."""
    count = int(segments.max()) + 1
    seen = np.bincount(segments[included], minlength=count)
    hit = np.bincount(segments[found], minlength=count)
    taken = 2 * hit > seen
    taken[segments[peaks.row, peaks.col]] = True
    return np.asarray(taken[segments] & included)


def ranked(
    found: Mask, declared: Declared, deviation: Map, units: float
) -> tuple[tuple[AnomalyRegion, ...], Labels]:
    """Return the regions, the most anomalous first, and for each pixel the label of its region.

    Peaks whose pixels touch make one region, which is as certain as the most certain of them.
    """
    from scipy.ndimage import find_objects, label  # slow to import

    groups, count = label(found, structure=_AROUND)
    peaks = declared.peaks
    of_peak = groups[peaks.row, peaks.col]
    best: dict[int, int] = {}
    for k in np.lexsort((peaks.col, peaks.row, -peaks.height)).tolist():
        best.setdefault(int(of_peak[k]), k)
    number = np.zeros(count + 1, np.int32)
    boxes = find_objects(groups)
    regions = []
    for place, (group, k) in enumerate(best.items(), start=1):  # in order of height
        number[group] = place
        box = boxes[group - 1]
        inside = groups[box] == group
        rows, cols = box
        regions.append(
            AnomalyRegion(
                label=place,
                bounding_box=(rows.start, cols.start, rows.stop, cols.stop),
                area=int(np.count_nonzero(inside)),
                peak=(int(peaks.row[k]), int(peaks.col[k])),
                score=float(peaks.height[k]),
                p_value=float(declared.p_value[k]),
                q_value=float(declared.q_value[k]),
                probability=1.0 - float(declared.false_rate[k]),
                mean_deviation=float(deviation[box][inside].mean(dtype=np.float64)) * units,
            )
        )
    return tuple(regions), number[groups]
