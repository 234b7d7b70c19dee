"""How faithful a reconstruction is to the texture that was hidden, whatever its pixels are.

PSNR rewards caution: where grass is hidden, a blur is closer to it, pixel by pixel, than other
grass. To the eye it is the other way round. So here local statistics are compared instead of
pixels, in the manner of structural texture similarity: Zujovic, Pappas & Neuhoff, "Structural
texture similarity metrics for image analysis and retrieval", IEEE Trans. Image Process. 22 (2013).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helicopter.core.validation import check_mask, prepare_image
from helicopter.errors import InvalidImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["texture_faithfulness"]

#: Sides of the means whose differences make the bands.
SCALES = (1, 2, 4, 8)
#: Side of the windows in which a band's energy is taken.
WINDOW = 15
#: Standard deviations far below this count as equal: nobody sees half a level of 255.
UNSEEN = 0.5 / 255
#: Rows worked on at a time; bounds the memory for large images.
STRIP = 512


def texture_faithfulness(
    truth: object,
    reconstruction: object,
    hidden: object,
    *,
    data_range: tuple[float, float] | None = None,
) -> float:
    """Compare the local texture of a reconstruction with that of the truth, where it was hidden.

    Parameters
    ----------
    truth, reconstruction : array_like
        Images of the same shape and dtype, grey or colour; alpha is not looked at.
    hidden : bool array_like of shape (H, W)
        True where `reconstruction` is a prediction. Elsewhere it is not looked at.
    data_range : tuple of float, optional
        As for every image: the values that stand for black and white.

    Returns
    -------
    float
        From 0 to 1; 1 if the local statistics are the same. NaN if nothing was hidden.

    Raises
    ------
    InvalidImageError, InvalidMaskError
        If an argument cannot be used or they do not fit together.

    Notes
    -----
    Both images are taken apart into Haar bands (horizontal, vertical and diagonal differences of
    means over 1, 2, 4 and 8 pixels). With a and b the standard deviations of a band in a window of
    15 x 15, the score is the mean over pixels, bands and channels of the similarity
    2ab / (a² + b²): 1 if they are equal, 0 if one image has no such detail there. Each difference
    counts by the fourth power of the share of its pixels that is hidden. Where in the window the
    detail is does not matter, and the mean level does not enter: `psnr_db` and `ssim` say that.

    Examples
    --------
    >>> import numpy as np
    >>> from helicopter.core.prediction._texture import texture_faithfulness
    >>> grass = np.random.default_rng(0).random((64, 64))
    >>> other_grass, lawn = np.random.default_rng(1).random((64, 64)), np.full((64, 64), 0.5)
    >>> hole = np.zeros((64, 64), dtype=bool)
    >>> hole[16:48, 16:48] = True
    >>> round(texture_faithfulness(grass, other_grass, hole), 1)
    1.0
    >>> round(texture_faithfulness(grass, lawn, hole), 1)
    0.2
    """
    true, _ = prepare_image(truth, data_range=data_range, name="truth", complete=True)
    mask = check_mask(hidden, true.original.shape, name="hidden")
    # what the values are is looked at below: only here is what was hidden asked to be finite
    given = prepare_image(
        reconstruction, hidden=np.ones_like(mask), data_range=data_range, name="reconstruction"
    )[0].original
    if given.shape != true.original.shape or given.dtype != true.original.dtype:
        raise InvalidImageError(
            f"reconstruction: got {given.dtype} of shape {given.shape}; expected "
            f"{true.original.dtype} of shape {true.original.shape}, as `truth` is."
        )
    colour = given.reshape(*mask.shape, -1)[:, :, : true.pixels.shape[2]]
    bad = int(np.count_nonzero(~np.isfinite(colour[mask])))
    if bad:
        raise InvalidImageError(
            f"reconstruction: {bad} values at hidden pixels are NaN or infinite; predictions must "
            "be finite. Predict these pixels too, or leave them out of `hidden`."
        )
    drawn, _ = prepare_image(
        given, hidden=~mask, data_range=data_range, name="reconstruction", complete=True
    )
    if not mask.any():
        return float("nan")
    total = weight = 0.0
    halo = WINDOW + 2 * max(SCALES)
    for top in range(0, mask.shape[0], STRIP):
        around = slice(max(top - halo, 0), top + STRIP + halo)
        strip = slice(top - around.start, top - around.start + STRIP)
        if not mask[around].any():
            continue
        for channel in range(true.pixels.shape[2]):
            a = true.pixels[around, :, channel].astype(np.float64)
            b = np.where(mask[around], drawn.pixels[around, :, channel], a)
            for similarity, concern in _similarities(a, b, mask[around]):
                total += float((similarity * concern)[strip].sum())
                weight += float(concern[strip].sum())
    return min(total / weight, 1.0)


def _similarities(
    a: NDArray[np.float64], b: NDArray[np.float64], mask: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Similarity of the local energy around every pixel, and its weight, band by band."""
    for (of_a, hidden), (of_b, _) in zip(_bands(a, mask), _bands(b, mask), strict=True):
        # differences between what is hidden and what is not say less than those within
        concern = hidden**4
        nearby = np.maximum(_mean(concern, WINDOW), 1e-12)
        one = np.maximum(_mean(of_a * of_a * concern, WINDOW), 0.0) / nearby
        other = np.maximum(_mean(of_b * of_b * concern, WINDOW), 0.0) / nearby
        unseen = UNSEEN**2
        yield (2 * np.sqrt(one * other) + unseen) / (one + other + unseen), concern


def _bands(
    image: NDArray[np.float64], mask: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Haar differences at every scale around every pixel, and which share of each is hidden."""
    image = np.pad(image, 2 * max(SCALES), mode="symmetric")
    share = np.pad(mask.astype(np.float64), 2 * max(SCALES))
    for scale in SCALES:
        a, b, c, d = _quarters(image, scale, mask.shape)
        hidden = sum(_quarters(share, scale, mask.shape)) / 4
        hidden = np.where(hidden > 1e-9, hidden, 0.0)
        yield (b + d - a - c) / 2, hidden
        yield (c + d - a - b) / 2, hidden
        yield (a + d - b - c) / 2, hidden


def _quarters(
    wide: NDArray[np.float64], scale: int, shape: tuple[int, ...]
) -> list[NDArray[np.float64]]:
    """Means over the squares above left, above right, below left and below right of each pixel."""
    from scipy.ndimage import uniform_filter1d  # slow to import, and few need it

    for axis in (0, 1):
        # over the `scale` rows or columns that begin at a pixel
        wide = uniform_filter1d(wide, scale, axis=axis, origin=-(scale // 2))
    last = 2 * max(SCALES)
    starts = (last - scale, last)
    return [wide[y : y + shape[0], x : x + shape[1]] for y in starts for x in starts]


def _mean(values: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    from scipy.ndimage import uniform_filter1d

    for axis in (0, 1):
        values = uniform_filter1d(values, side, axis=axis, mode="constant")
    return values
