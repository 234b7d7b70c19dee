"""What is measured of a segmentation: of labels alone, with the image, with people's outlines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from common import Photo

Labels = NDArray[np.int64]


def compacted(labels: NDArray[Any]) -> Labels:
    """Number labels from 0 on without gaps."""
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int64)


def explained_variation(image: Photo, labels: Labels) -> float:
    """Return the share of the variance of RGB between segments (Moore et al. 2008)."""
    flat, colours = labels.ravel(), image.reshape(labels.size, -1).astype(float)
    colours -= colours.mean(axis=0)
    area = np.bincount(flat)
    between = sum((np.bincount(flat, channel) ** 2 / area).sum() for channel in colours.T)
    return float(between / np.square(colours).sum())


def compactness(labels: Labels) -> float:
    """Return the isoperimetric quotient, 4 pi area / perimeter², mean by area (Schick et al. 2012).

    The perimeter is counted in sides of pixels, the image's edge included: a square has pi / 4.
    """
    area, perimeter = np.bincount(labels.ravel()), np.zeros(labels.max() + 1)
    around = np.pad(labels, 1, constant_values=-1)
    height, width = labels.shape
    for top, left in ((0, 1), (2, 1), (1, 0), (1, 2)):
        other = around[top : top + height, left : left + width]
        perimeter += np.bincount(labels.ravel(), (other != labels).ravel())
    return float((area * 4 * np.pi * area / perimeter**2).sum() / labels.size)


def pieces(labels: Labels) -> int:
    """Return into how many pieces labels fall whose pixels touch at their sides."""
    from skimage.measure import label

    return int(label(labels, background=-1, connectivity=1).max())


# -- people's outlines -------------------------------------------------------------------------


def outline(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the pixels whose right or lower neighbour has another label."""
    border = np.zeros(labels.shape, dtype=bool)
    border[:, :-1] = labels[:, 1:] != labels[:, :-1]
    border[:-1] |= labels[1:] != labels[:-1]
    return border


def boundary_recall(labels: Labels, truths: Sequence[NDArray[Any]], *, corners: bool) -> float:
    """Return the share of people's outlines with one of the segmentation within a pixel.

    Within a pixel: on it or at a side of it; with `corners` also diagonally. Mean over the people
    who drew any outline.
    """
    near = ndimage.binary_dilation(outline(labels), np.ones((3, 3)) if corners else None)
    drawn = [border for border in map(outline, truths) if border.any()]
    return float(np.mean([near[border].mean() for border in drawn]))


def undersegmentation_error(labels: Labels, truths: Sequence[NDArray[Any]]) -> float:
    """Return what leaks over people's outlines (Neubert and Protzel 2012), mean over the people.

    Of each segment and each true region that it meets, the smaller of its parts inside and outside,
    added up, over the number of pixels.
    """
    count = int(labels.max()) + 1
    area = np.bincount(labels.ravel())
    errors = []
    for truth in truths:
        pair = truth.astype(np.int64).ravel() * count + labels.ravel()
        inside = np.bincount(pair, minlength=(int(truth.max()) + 1) * count).reshape(-1, count)
        errors.append(np.minimum(inside, area - inside).sum() / labels.size)
    return float(np.mean(errors))


def with_truth(
    folder: Path, split: str, limit: int | None
) -> list[tuple[str, Photo, list[NDArray[Any]]]]:
    """Read photographs and everybody's segments, laid out as in BSDS500."""
    from scipy.io import loadmat

    from helicopter.io import read_image

    found = []
    for path in sorted((folder / "images" / split).glob("*.jpg"))[:limit]:
        drawn = loadmat(folder / "groundTruth" / split / f"{path.stem}.mat")["groundTruth"][0]
        truths = [one["Segmentation"][0, 0].astype(np.uint16) for one in drawn]
        found.append((path.stem, np.ascontiguousarray(read_image(path).pixels), truths))
    if not found:
        raise SystemExit(f"{folder}: no images/{split}/*.jpg")
    return found
