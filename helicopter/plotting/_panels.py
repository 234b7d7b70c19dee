"""Single panels: a picture, or a map with its colour bar, and what makes arrays showable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ._style import Style, nice_top

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = [
    "LONGEST",
    "blank_hidden",
    "displayable",
    "draw_image",
    "draw_map",
    "shrink",
    "shrink_labels",
    "shrink_map",
    "shrink_mask",
    "unit_of",
]

_BAND = 256
_BLANK = 128  # grey: a dark photograph would swallow black, a bright one white


def unit_of(image: NDArray[Any]) -> str:
    """Name what an intensity difference of this image is counted in."""
    if image.dtype.name in ("uint8", "uint16"):
        return f"grey levels of {np.iinfo(image.dtype).max}"
    return "0 to 1" if image.dtype == bool else "image units"


def displayable(
    image: NDArray[Any], data_range: tuple[float, float] | None = None
) -> NDArray[np.uint8]:
    """Convert an image of any accepted dtype to uint8 of shape (H, W), (H, W, 3) or (H, W, 4).

    Floats are taken to lie in `data_range`, or in [0, 1] if they do, or else are stretched from
    the smallest to the largest value (zero counted in).
    """
    pixels = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if pixels.dtype == np.uint8:
        return np.asarray(pixels)
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.name == "uint16":
        # the high byte of each value, without a second 16-bit copy of all of them
        native = np.ascontiguousarray(pixels, dtype=np.dtype(np.uint16).newbyteorder("<"))
        return native.view(np.uint8).reshape(*pixels.shape, 2)[..., 1].copy()
    if data_range is None:
        finite = pixels[np.isfinite(pixels)]
        low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
        if low >= 0 and high <= 1:
            high = 1.0
    else:
        low, high = data_range
    scale = 255 / (high - low) if high > low else 0.0
    shown = np.empty(pixels.shape, np.uint8)
    # band by band: several float copies of a 100 megapixel image would not fit beside it
    for at in range(0, len(pixels), _BAND):
        band = np.nan_to_num((pixels[at : at + _BAND] - low) * scale, nan=_BLANK)
        shown[at : at + _BAND] = np.clip(band, 0, 255) + 0.5
    return shown


def blank_hidden(picture: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return a copy in which the hidden pixels are a fine grey chequer.

    A pattern, since any single colour may occur in the photograph itself.
    """
    rows, columns = np.ogrid[: hidden.shape[0], : hidden.shape[1]]
    cell = max(1, max(hidden.shape) // 150)
    odd = (rows // cell + columns // cell) % 2
    shown = picture.copy()
    fill = (_BLANK - 14 + 28 * odd).astype(np.uint8)[hidden]
    if picture.ndim == 2:
        shown[hidden] = fill
        return shown
    shown[..., :3][hidden] = fill[:, None]
    if picture.shape[2] == 4:
        shown[..., 3][hidden] = 255
    return shown


def shrink(picture: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """Scale a uint8 picture down so that its longest side is at most `longest`."""
    size = _fitted(picture.shape, longest)
    if size is None:
        return picture
    return np.asarray(
        Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    )


def shrink_mask(hidden: NDArray[np.bool_], longest: int) -> NDArray[np.bool_]:
    """Scale a mask down as `shrink` does a picture."""
    size = _fitted(hidden.shape, longest)
    if size is None:
        return hidden
    return np.asarray(Image.fromarray(hidden).resize(size, Image.Resampling.NEAREST))


def shrink_labels(labels: NDArray[np.int32], longest: int) -> NDArray[np.int32]:
    """Scale labels down as `shrink` does a picture."""
    size = _fitted(labels.shape, longest)
    if size is None:
        return labels
    return np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))


def shrink_map(
    values: NDArray[np.float32], longest: int, where: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Scale a map down by the mean of each block, until its longest side is at most `longest`.

    Values that are not finite, or where `where` is false, do not count; a block that has less than
    half of its values is NaN, since the border of what was hidden would look smeared otherwise.
    """
    height, width = values.shape
    side = -(-max(height, width) // longest)
    columns = np.arange(0, width, side)
    cells = np.minimum(columns + side, width) - columns
    small = np.empty((-(-height // side), len(columns)), np.float32)
    # row of blocks by row of blocks: no second map of 100 megapixels, and quick for the cache
    for row in range(len(small)):
        block = np.s_[row * side : (row + 1) * side]
        band = values[block]
        counts = np.isfinite(band) if where is None else np.isfinite(band) & where[block]
        total = np.add.reduceat(np.where(counts, band, np.float32(0)).sum(axis=0), columns)
        count = np.add.reduceat(counts.sum(axis=0), columns)
        enough = 2 * count >= cells * len(band)
        small[row] = np.where(enough & (count > 0), total / np.maximum(count, 1), np.nan)
    return small


def _fitted(shape: tuple[int, ...], longest: int) -> tuple[int, int] | None:
    height, width = shape[:2]
    if max(height, width) <= longest:
        return None
    scale = longest / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


LONGEST = 1400


def draw_image(axes: Axes, image: NDArray[Any], title: str, style: Style) -> None:
    """Draw an image of any accepted dtype, its pixels square, without axes."""
    picture = shrink(displayable(image), LONGEST)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
    _picture_frame(axes, title, style)


def draw_map(
    axes: Axes,
    values: NDArray[np.float32],
    title: str,
    unit: str,
    style: Style,
    *,
    where: NDArray[np.bool_] | None = None,
    top: float | None = None,
) -> None:
    """Draw a map of non-negative values with a colour bar in their unit.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    values : float32 ndarray of shape (H, W)
        NaN is drawn neutral.
    title : str
        What the values are.
    unit : str
        What they are counted in.
    style : Style
        The colours.
    where : bool ndarray of shape (H, W), optional
        Elsewhere the map is neutral: a pixel that was shown has no uncertainty to speak of.
    top : float, optional
        Where the colour scale ends; by default where 99.5 % of the values lie below.
    """
    drawn = shrink_map(values, LONGEST, where)
    limit = nice_top(drawn) if top is None else top
    beyond = bool(np.nanmax(drawn, initial=0) > limit)
    image = axes.imshow(
        drawn,
        cmap=style.map_colours(),
        vmin=0,
        vmax=limit,
        interpolation="nearest",
    )
    _picture_frame(axes, title, style)
    # an inset keeps the bar as tall as the picture, whatever the picture's shape
    bar = axes.figure.colorbar(
        image,
        cax=axes.inset_axes((1.02, 0.0, 0.03, 1.0)),
        extend="max" if beyond else "neither",
    )
    bar.set_label(unit, color=style.ink, fontsize=9)
    bar.ax.tick_params(colors=style.ink, labelsize=8)
    bar.outline.set_visible(False)


def _picture_frame(axes: Axes, title: str, style: Style) -> None:
    axes.set_axis_off()
    axes.set_title(title, color=style.ink, fontsize=11, loc="left")
