"""Segments: the partition of an image, and the autonomous loop over each part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Labels, Map, Mask, Progress
    from helicopter.models import UncertaintyModel

    from .prediction import Algorithm, AutonomousOptions, StopReason

__all__ = [
    "SegmentAwareRun",
    "SegmentOutcome",
    "SegmentTask",
    "SegmentationOptions",
    "SegmentsBackend",
]


@dataclass(frozen=True)
class SegmentationOptions:
    """What makes a partition, besides the image.

    Attributes
    ----------
    count : int
        How many segments there shall be.
    least_area : int
        Merging is done at half the size, a quarter ..., as long as a segment has at least so many
        pixels there on average.
    spatial, spatial_borders : float
        Weight of a segment's extent against its spread in colour, while merging and while borders
        are put right.
    border : float
        Weight of a border's length against the spread in colour.
    passes : tuple of int
        Passes over the borders at the full size, and at each smaller one.
    """

    count: int
    least_area: int
    spatial: float
    spatial_borders: float
    border: float
    passes: tuple[int, int]


class SegmentTask(NamedTuple):
    """One segment, and how hard to try; tasks are numbered as the segments are in the labels.

    `window` (top, left, bottom, right) holds all its pixels and its halo, the last two excluded;
    patches are counted from its corner.
    """

    window: tuple[int, int, int, int]
    max_iterations: int
    target_quality: float
    plateau: float


class SegmentOutcome(NamedTuple):
    """What came of one segment, on the [0, 1] scale.

    The errors are means over its `scored` pixels, those that were hidden and whose truth is known;
    NaN if there is none. `confidence` is the mean over its hidden patches, NaN without any, and
    `evidence` the number of patches that the loop has scored.
    """

    iterations: int
    stop_reason: StopReason
    completion: float
    confidence: float
    mse: float
    mae: float
    baseline_mse: float
    scored: int
    evidence: int


class SegmentAwareRun(NamedTuple):
    """What a backend returns from reconstructing all segments, on the [0, 1] scale.

    `prediction` is the image where it was shown. `hidden` is what was hidden at the start: what is
    missing, and of each segment most of its patches.
    """

    prediction: Image
    variance: Map
    confidence: Map
    hidden: Mask
    outcomes: list[SegmentOutcome]


class SegmentsBackend(Protocol):
    """Divides images, and redraws each part from itself."""

    def segment(self, pixels: NDArray[Any], options: SegmentationOptions) -> Labels:
        """Divide an image, of uint8, uint16 or float32 in [0, 1] and shape (H, W, 1 or 3).

        The labels run from 0 to count - 1 in the order of their first pixels; each is one piece
        that hangs together by the sides of pixels.
        """

    def segment_aware(
        self,
        image: Image,
        missing: Mask,
        chosen: Mask,
        labels: Labels,
        tasks: Sequence[SegmentTask],
        halo: int,
        algorithm: Algorithm,
        options: AutonomousOptions,
        model: UncertaintyModel,
        progress: Progress | None,
    ) -> SegmentAwareRun:
        """Run the loop of the autonomous engine over each segment by itself.

        `chosen` are the pixels that are hidden by choice: a segment's parts of whole patches.

        A segment sees its own pixels, and those of others that are at most `halo` rows and columns
        away from one of them. What each task says takes the place of what `options` say.
        """
