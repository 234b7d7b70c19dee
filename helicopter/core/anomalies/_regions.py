"""From the peaks of an anomaly map to declared regions: which, and what is said of them.

The units tested are peaks, not pixels: what is reported are regions, and a rate of false pixels
says nothing about these (Chumbley and Friston 2009, "False discovery rate revisited: FDR and
topological inference using Gaussian random fields"). What peaks look like where nothing is wrong is
learnt from the lower ones of the same image (an empirical null, Efron 2004, "Large-scale
simultaneous hypothesis testing: the choice of a null hypothesis"), and continued beyond them by an
exponential law.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from helicopter.core.results._parts import AnomalyRegion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Labels, Map, Mask


__all__ = [
    "Declared",
    "Peaks",
    "adjusted",
    "find_peaks",
    "local_false_rate",
    "outline",
    "peak_p_values",
    "ranked",
    "snapped",
]

#: Peaks are the highest for so many pixels around, which is how far the widest window reaches.
RADIUS = 8
#: The shares of the peaks between which their law is fitted: below, peaks are of another kind;
#: above, they may be what is looked for.
LOWEST, HIGHEST = 0.5, 0.9
#: The tail of exp(TAIL * score) is no heavier than exponential on textures without defects;
#: `benchmarks/anomalies.py` measures what follows from that.
TAIL = 0.4
#: Heights are told apart in so many steps to one.
STEPS = np.float32(1024)
#: Sums of excesses below this count as this.
LEAST_SUM = 1e-6


class Peaks(NamedTuple):
    """Peaks of a map, row-major."""

    row: NDArray[np.intp]
    col: NDArray[np.intp]
    height: NDArray[np.float64]

    def only(self, which: NDArray[np.bool_]) -> Peaks:
        """Return some of them."""
        return Peaks(self.row[which], self.col[which], self.height[which])


def find_peaks(scores: Map) -> Peaks:
    """Return the places above zero that are the highest within `RADIUS` of them.

    Parameters
    ----------
    scores : float32 ndarray of shape (H, W)
        NaN where there is none.
    """
    from scipy.ndimage import label, maximum_filter  # slow to import

    filled = np.where(np.isnan(scores), np.float32(-np.inf), scores)
    # rounded: on level ground the last digits, which backends differ in, make no peaks
    np.rint(filled * STEPS, out=filled)
    top = maximum_filter(filled, 2 * RADIUS + 1, mode="nearest")
    is_peak = (filled == top) & (filled > 0)
    # of several pixels that are equally high the first counts
    groups, count = label(is_peak, structure=np.ones((3, 3), bool))
    row, col = np.nonzero(is_peak)
    first = np.unique(groups[row, col], return_index=True)[1] if count else np.empty(0, np.intp)
    first = np.sort(first)
    row, col = row[first], col[first]
    return Peaks(row, col, scores[row, col].astype(np.float64))


def peak_p_values(height: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how probable it is that a peak is as high where nothing is wrong.

    Parameters
    ----------
    height : float64 ndarray of shape (N,)

    Returns
    -------
    float64 ndarray of shape (N,)
        Of the peaks above the fitted part, their share times the chance of such an excess, with the
        scale of the exponential law known only as well as the peaks tell it: if k excesses
        (the higher ones counting as the k-th, Epstein and Sobel 1953) add up to S, an excess of t
        has the chance (1 + t / S)^-k. Of the others, the share of peaks as high.
    """
    values = np.exp(TAIL * height)
    count = len(values)
    ordered = np.sort(values)
    start = int(LOWEST * count)
    fitted = int(HIGHEST * count) - start - 1
    # +1 in both: no peak is less probable than one in as many as there are
    p = (1.0 + count - np.searchsorted(ordered, values, side="left")) / (count + 1.0)
    if fitted < 1:
        return np.ones(count)
    excess = ordered[start + 1 :] - ordered[start]
    last = excess[fitted - 1]
    beyond = len(excess) - fitted
    total = max(float(excess[:fitted].sum() + beyond * last), LEAST_SUM)
    over = values - ordered[start] - last
    above = over > 0
    p[above] = beyond / count * np.exp(-fitted * np.log1p(over[above] / total))
    return np.asarray(p)


def adjusted(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the q-values of p-values (Benjamini and Hochberg 1995).

    To declare those of at most `level` keeps the false discovery rate at most `level`, for peaks
    that are independent or go together (Benjamini and Yekutieli 2001).
    """
    count = len(p)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * count / np.arange(1, count + 1)
    q = np.empty(count)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q


def local_false_rate(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each p-value how probable it is that nothing is wrong there.

    Where nothing is wrong p-values are even; all of them together have a density that does not grow
    with p, estimated by the slope of the least concave curve above their distribution (Grenander
    1956; Strimmer 2008). One over that density is the local false discovery rate, if hardly
    anything is wrong.
    """
    if not len(p):
        return np.empty(0)
    values, inverse, counts = np.unique(p, return_inverse=True, return_counts=True)
    hull: list[tuple[float, float]] = [(0.0, 0.0)]
    for x, y in zip(values.tolist(), (np.cumsum(counts) / len(p)).tolist(), strict=True):
        while len(hull) > 1 and _steeper((x, y), hull[-1], hull[-2]):
            hull.pop()
        hull.append((x, y))
    ends = np.array([x for x, _ in hull])
    height = np.array([y for _, y in hull])
    with np.errstate(divide="ignore"):
        density = np.diff(height) / np.diff(ends)
    of_value = density[np.searchsorted(ends[1:], values, side="left")]
    return np.asarray(np.minimum(1.0 / of_value, 1.0)[inverse])


def _steeper(
    new: tuple[float, float], last: tuple[float, float], before: tuple[float, float]
) -> bool:
    """Whether the curve would bend upwards at `last`."""
    return (new[1] - last[1]) * (last[0] - before[0]) >= (last[1] - before[1]) * (new[0] - last[0])


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
