"""Which patches of every segment are hidden, before anything hidden is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helicopter._shared.ranking import STREAM_INITIAL, random_ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Labels, Mask

__all__ = ["chosen_to_hide"]

#: Rows looked at together, which bounds the memory.
STRIP = 256


def chosen_to_hide(
    labels: Labels,
    windows: NDArray[np.int64],
    missing: Mask,
    patch_size: int,
    seed: int,
    initial_known: float,
    looked_at: Mask | None = None,
) -> Mask:
    """Return the pixels of all patches that are hidden, segment by segment.

    A segment's part of a patch is shown or hidden as a whole. Of the parts that have a pixel with
    a truth, the share `initial_known` is shown, at least one, and not all if there are several.

    Parameters
    ----------
    labels : int32 ndarray of shape (H, W)
        From 0 to K - 1.
    windows : int64 ndarray of shape (K, 4)
        Top, left, bottom and right of each segment's; patches are counted from their corners.
    missing : bool ndarray of shape (H, W)
        What has no truth.
    patch_size, seed : int
    initial_known : float
    looked_at : bool ndarray of shape (H, W), optional
        Patches that the labels were made from: they are shown whatever their number.

    Returns
    -------
    bool ndarray of shape (H, W)
    """
    rows, columns = (
        -(-(windows[:, end] - windows[:, start]) // patch_size) for start, end in ((0, 2), (1, 3))
    )
    most = int((rows * columns).max())
    across = np.arange(labels.shape[1])
    strips = [slice(top, top + STRIP) for top in range(0, labels.shape[0], STRIP)]

    def parts(strip: slice) -> NDArray[np.int64]:
        """One number for each part: of its label, then of its patch."""
        of = labels[strip]
        down = np.arange(labels.shape[0])[strip, None]
        row = (down - windows[of, 0]) // patch_size
        column = (across - windows[of, 1]) // patch_size
        return np.asarray(of * most + row * columns[of] + column)

    known: list[NDArray[np.int64]] = []
    first: list[NDArray[np.int64]] = []
    for strip in strips:
        of, there = parts(strip), ~missing[strip]
        known.append(np.unique(of[there]))
        if looked_at is not None:
            first.append(np.unique(of[there & looked_at[strip]]))
    found = np.unique(np.concatenate(known))
    given = np.isin(found, np.concatenate([found[:0], *first]))
    label, patch = np.divmod(found, most)
    rank = random_ranks(seed, STREAM_INITIAL, most)[patch]
    order = np.lexsort((patch, rank, ~given, label))
    _, start, count = np.unique(label[order], return_index=True, return_counts=True)
    shown = np.floor(initial_known * count + 0.5).astype(np.int64)
    # a part that stands alone is shown: from what could it be predicted?
    shown = np.maximum(np.where(count > 1, np.minimum(shown, count - 1), 1), 1)
    if len(count):
        shown = np.maximum(shown, np.add.reduceat(given[order].astype(np.int64), start))
    place = np.arange(len(found)) - np.repeat(start, count)
    visible = np.sort(found[order[place < np.repeat(shown, count)]])
    return np.concatenate([~np.isin(parts(strip), visible) for strip in strips])
