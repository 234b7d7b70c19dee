"""The only place that checks input. Everything behind it trusts what it gets.

Every complaint names the argument, what was given and what is accepted, and is raised before any
work is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._messages import shown
from helicopter._shared.checks import is_integer
from helicopter.errors import InvalidImageError, InvalidMaskError, InvalidOptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Labels, Map, Mask

__all__ = [
    "PreparedImage",
    "check_mask",
    "check_range",
    "check_segments",
    "prepare_image",
    "prepare_values",
    "require_visible",
]

ACCEPTED_DTYPES = "uint8, uint16, bool, float32 or float64"
ACCEPTED_SHAPES = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
#: Modes of Pillow whose pixels are intensities. The others need a decision that is the user's.
PIL_MODES = ("1", "L", "RGB", "RGBA", "I;16", "I;16L", "I;16B", "F")
#: Rows converted at a time; bounds the memory for large images.
STRIP = 512


@dataclass(frozen=True)
class PreparedImage:
    """A checked image, and the way back from [0, 1] to its own dtype, range and shape.

    Attributes
    ----------
    original : ndarray
        What was given, as an array; never written to.
    pixels : float32 ndarray of shape (H, W, C)
        C-contiguous, in [0, 1], alpha left out; 0 where hidden. Owned by the caller.
    low, high : float
        The values that 0 and 1 stand for.
    """

    original: NDArray[Any]
    pixels: Image
    low: float
    high: float

    @property
    def units(self) -> float:
        """Size of the range in the image's own units."""
        return self.high - self.low

    def restore(self, prediction: Image, hidden: Mask) -> NDArray[Any]:
        """Return a copy of the original with its hidden pixels replaced by `prediction`."""
        out = np.array(self.original, order="C", copy=True)
        colour = (out[:, :, None] if out.ndim == 2 else out)[:, :, : prediction.shape[2]]
        precision = np.float64 if out.dtype == np.float64 else np.float32
        low, high = self.low, self.high
        if out.dtype.kind == "u":
            # `data_range` may be wider than what the dtype can hold
            low, high = max(low, 0.0), min(high, float(np.iinfo(out.dtype).max))
        for top in range(0, hidden.shape[0], STRIP):
            rows = slice(top, top + STRIP)
            # all of it and not only what is hidden: faster than picking pixels out
            values: NDArray[Any] = prediction[rows].astype(precision)
            values *= self.units
            values += self.low
            if out.dtype.kind in "bu":
                np.rint(values, out=values)
            np.clip(values, low, high, out=values)
            np.copyto(colour[rows], values, where=hidden[rows, :, None], casting="unsafe")
        return out

    def in_units(self, values: Map) -> Map:
        """Scale a map of differences from [0, 1] to the image's own units."""
        return np.multiply(values, np.float32(self.units), dtype=np.float32)


def prepare_image(
    image: object,
    *,
    hidden: object = None,
    data_range: tuple[float, float] | None = None,
    name: str = "image",
    hide_transparent: bool = False,
) -> tuple[PreparedImage, Mask]:
    """Check an image and its mask and bring the image into the inner form.

    Parameters
    ----------
    image : array_like
        See the section "Data at the border" of the documentation.
    hidden : bool array_like of shape (H, W), optional
        True where the image's values are not to be looked at: they may be anything, NaN included.
    data_range : tuple of float, optional
        Values that stand for black and white. By default 0..255, 0..65535 or 0..1 by dtype.
    hide_transparent : bool
        Whether pixels whose alpha is 0 are hidden too: what colour they have is an accident. Not
        if that would hide everything: such an alpha channel says nothing.

    Returns
    -------
    PreparedImage, bool ndarray of shape (H, W)
    """
    array, mask = _checked(image, hidden, name, hide_transparent)
    low, high = check_range(array.dtype, data_range)
    channels = 1 if array.ndim == 2 else min(array.shape[2], 3)
    colour = (array[:, :, None] if array.ndim == 2 else array)[:, :, :channels]
    pixels = np.empty((*array.shape[:2], channels), dtype=np.float32)
    for top in range(0, array.shape[0], STRIP):
        rows = slice(top, top + STRIP)
        _normalise(colour[rows], mask[rows], low, high, data_range, name, pixels[rows])
    return PreparedImage(array, pixels, low, high), mask


def prepare_values(
    image: object,
    *,
    hidden: object = None,
    data_range: tuple[float, float] | None = None,
    name: str = "image",
) -> tuple[NDArray[Any], Mask]:
    """Check an image and its mask; return its colours as they are, without a copy if that can be.

    Parameters
    ----------
    image, hidden, data_range, name
        As for `prepare_image`. Transparent pixels are hidden, see `hide_transparent` there.

    Returns
    -------
    ndarray of shape (H, W, C)
        uint8 or uint16 that fill the range of their dtype, if they were given so; else float32 in
        [0, 1]. Alpha is left out. What hidden pixels hold is of no meaning.
    bool ndarray of shape (H, W)
    """
    array, mask = _checked(image, hidden, name, hide_transparent=True)
    if array.dtype.kind == "u" and data_range is None:
        colour = array[:, :, None] if array.ndim == 2 else array[:, :, : min(array.shape[2], 3)]
        return colour.astype(colour.dtype.newbyteorder("="), copy=False), mask
    prepared, _ = prepare_image(array, hidden=mask, data_range=data_range, name=name)
    return prepared.pixels, mask


def _checked(
    image: object, hidden: object, name: str, hide_transparent: bool
) -> tuple[NDArray[Any], Mask]:
    """Return an image as the array it is, and its mask."""
    array = _as_array(image, name, InvalidImageError, ACCEPTED_DTYPES)
    if array.dtype.kind not in "ubf" or array.dtype.name not in ACCEPTED_DTYPES:
        raise InvalidImageError(
            f"{name}: dtype {array.dtype} is not supported; accepted are {ACCEPTED_DTYPES}. "
            f"Convert it first, for example with {name}.astype(np.float32), so that the range is "
            "your choice."
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise InvalidImageError(
            f"{name}: shape {array.shape} is not supported; accepted are {ACCEPTED_SHAPES}, "
            "channels last."
        )
    if array.size == 0:
        raise InvalidImageError(
            f"{name}: shape {array.shape} holds no pixels; at least 1 x 1 is needed."
        )
    mask = (
        np.zeros(array.shape[:2], dtype=bool) if hidden is None else check_mask(hidden, array.shape)
    )
    if hide_transparent and array.ndim == 3 and array.shape[2] == 4:
        unseen = mask | (array[:, :, 3] == 0)
        mask = mask if unseen.all() else unseen
    return array, mask


def _as_array(given: object, name: str, error: type[Exception], accepted: str) -> NDArray[Any]:
    what = f"an array of {accepted}"
    if given is None or isinstance(given, (str, bytes, dict, set)):
        text = "None" if given is None else f"{type(given).__name__} {str(given)[:60]!r}"
        hint = (
            "; read a file with helicopter.io.read_image(path).pixels"
            if isinstance(given, str)
            else ""
        )
        raise error(f"{name}: got {text}; expected {what}{hint}.")
    if isinstance(given, np.ma.MaskedArray):
        raise error(
            f"{name}: got a masked array, whose mask would be lost; expected {what}. "
            f"Pass {name}.data, and what is masked as the mask of hidden pixels."
        )
    mode = getattr(given, "mode", None)
    if type(given).__module__.startswith("PIL.") and mode not in PIL_MODES:
        kind = "RGB" if error is InvalidImageError else "1"
        raise error(
            f"{name}: Pillow mode {mode!r} does not hold plain intensities; accepted are "
            f"{', '.join(PIL_MODES)}. Convert it first, for example with {name}.convert({kind!r})."
        )
    try:
        if not hasattr(given, "__array__") and hasattr(given, "__dlpack__"):
            array: NDArray[Any] = np.from_dlpack(given)
        else:
            array = np.asarray(given)
    except Exception as problem:  # whatever foreign array types choose to raise
        raise error(
            f"{name}: {type(given).__module__}.{type(given).__qualname__} could not be read as "
            f"{what} ({problem}). Tensors must be on the CPU and detached."
        ) from problem
    # what is repeated without end need be looked at once
    once = array[tuple(slice(None) if stride else slice(1) for stride in array.strides)]
    if array.dtype.kind == "b" and once.view(np.uint8).max(initial=0) > 1:
        array = array.view(np.uint8) != 0  # Pillow's True is the byte 255, unknown elsewhere
    return array


def check_range(dtype: np.dtype[Any], data_range: object) -> tuple[float, float]:
    """Return the values of black and white, those of the dtype if none are given."""
    if data_range is None:
        return 0.0, {"uint8": 255.0, "uint16": 65535.0}.get(dtype.name, 1.0)
    accepted = "a pair of finite numbers (low, high) with low < high (within 1e30), or None"
    try:
        if isinstance(data_range, (str, bytes, dict, set)):  # "01" has two items, {2, 1} no order
            raise TypeError
        low, high = (float(value) for value in data_range)  # type: ignore[attr-defined]
    except (TypeError, ValueError, OverflowError):
        raise InvalidOptionError(
            f"data_range: got {shown(data_range)}; expected {accepted}."
        ) from None
    # anything beyond that, and an uncertainty in these units would be no float32
    if not (max(abs(low), abs(high)) <= 1e30 and high - low >= 1e-30):
        raise InvalidOptionError(f"data_range: got {shown(data_range)}; expected {accepted}.")
    if dtype.kind == "b":
        raise InvalidOptionError(
            f"data_range: got {shown(data_range)} for a bool image, whose range is always "
            "False..True; leave it out."
        )
    return low, high


def _normalise(
    values: NDArray[Any],
    hidden: Mask,
    low: float,
    high: float,
    data_range: object,
    name: str,
    out: Image,
) -> None:
    """Write a strip of values to `out` as float32 in [0, 1], hidden ones as 0."""
    floating = values.dtype.kind == "f"
    if floating or data_range is not None:
        visible = values[~hidden] if hidden.any() else values
        _check_visible(visible, low, high, name)
    # hidden values may be anything, such as too large for float32
    with np.errstate(over="ignore", invalid="ignore"):
        if values.dtype.kind == "b" or (low == 0.0 and high == 1.0):
            np.copyto(out, values, casting="unsafe")
        elif low == 0.0 and not floating:
            np.divide(values, np.float32(high), out=out, dtype=np.float32)
        else:
            np.copyto(out, (values.astype(np.float64) - low) / (high - low), casting="unsafe")
    out[hidden] = 0


def _check_visible(visible: NDArray[Any], low: float, high: float, name: str) -> None:
    """Raise unless all values are finite and lie in the range."""
    floating = visible.dtype.kind == "f"
    if floating and not np.isfinite(visible).all():
        bad = int(np.count_nonzero(~np.isfinite(visible)))
        raise InvalidImageError(
            f"{name}: {bad} visible values are NaN or infinite; visible pixels must be finite. "
            "Mark such pixels as hidden in the mask."
        )
    if visible.size:
        least, most = float(visible.min()), float(visible.max())
        lowest, highest = low, high
        if floating:
            # 0.1 as float32 is more than 0.1, and is white all the same if white is 0.1
            with np.errstate(over="ignore"):
                lowest = min(low, float(visible.dtype.type(low)))
                highest = max(high, float(visible.dtype.type(high)))
        if least < lowest or most > highest:
            raise InvalidImageError(
                f"{name}: visible values run from {least:g} to {most:g}, outside the range "
                f"{low:g} to {high:g}. Nothing is rescaled silently: pass data_range=(low, high)."
            )


def check_mask(mask: object, shape: tuple[int, ...], name: str = "mask") -> Mask:
    """Return `mask` as a C-contiguous bool array of the image's height and width."""
    array = _as_array(mask, name, InvalidMaskError, "bool")
    if array.dtype.kind != "b":
        raise InvalidMaskError(
            f"{name}: dtype {array.dtype} is not accepted; expected bool, True = hidden. "
            f"Write {name} != 0 if non-zero means hidden."
        )
    if array.shape != shape[:2]:
        raise InvalidMaskError(
            f"{name}: shape {array.shape} does not fit the image; expected {tuple(shape[:2])}."
        )
    return np.ascontiguousarray(array, dtype=bool)


def require_visible(
    mask: Mask,
    name: str = "mask",
    *,
    since: str = "everything is predicted from what is visible",
) -> None:
    """Raise if nothing is visible."""
    if mask.all():
        raise InvalidMaskError(
            f"{name}: all {mask.size} pixels are hidden; at least one must be visible, since "
            f"{since}."
        )


def check_segments(value: object, shape: tuple[int, ...]) -> tuple[list[int], Labels]:
    """Return the labels in ascending order, and for every pixel the number of its label.

    Parameters
    ----------
    value : int, pair of int, or integer array_like of shape (H, W)
        A number stands for a grid of so many rows and columns, a pair for rows and columns, whose
        cells are labelled row by row.
    shape : tuple of int
        Of the image.

    Returns
    -------
    list of int, C-contiguous int32 ndarray of shape (H, W)
    """
    height, width = shape[:2]
    if is_integer(value):
        return _grid((value, value), height, width)
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(map(is_integer, value)):
        return _grid(tuple(value), height, width)
    accepted = "a number of rows and columns, a pair of these, or an integer label for every pixel"
    if type(value).__module__.startswith("PIL."):
        value = np.asarray(value)  # the indices of a palette are labels
    labels = _as_array(value, "segments", InvalidOptionError, "integers")
    if labels.dtype.kind not in "ui":
        hint = (
            "; write segments.astype(int) if they are labels" if labels.dtype.kind in "bf" else ""
        )
        raise InvalidOptionError(
            f"segments: dtype {labels.dtype} is not accepted; expected {accepted}{hint}."
        )
    if labels.shape != (height, width):
        raise InvalidOptionError(
            f"segments: shape {labels.shape} does not fit the image; expected {(height, width)}, "
            "a label for every pixel, or a number of rows and columns."
        )
    return _numbered(labels)


def _grid(cells: tuple[Any, ...], height: int, width: int) -> tuple[list[int], Labels]:
    rows, columns = (int(number) for number in cells)
    if not (1 <= rows <= height and 1 <= columns <= width):
        raise InvalidOptionError(
            f"segments: got a grid of {shown(rows)} x {shown(columns)} for an image of {height} x "
            f"{width} pixels; expected at least one row and column, and at most as many as there "
            "are pixels."
        )
    # cells of nearly equal size: pixel y lies in row floor(y * rows / height)
    row = (np.arange(height) * rows // height).astype(np.int32)
    column = (np.arange(width) * columns // width).astype(np.int32)
    labels = row[:, None] * np.int32(columns) + column[None, :]
    return list(range(rows * columns)), np.ascontiguousarray(labels, dtype=np.int32)


def _numbered(labels: NDArray[Any]) -> tuple[list[int], Labels]:
    """Replace labels by their numbers in ascending order."""
    least, most = int(labels.min()), int(labels.max())
    if most - least >= 4 * labels.size + 1024:  # far apart: only sorting helps
        values, inverse = np.unique(labels, return_inverse=True)
        numbers_of = inverse.reshape(labels.shape).astype(np.int32)
        return [int(value) for value in values], np.ascontiguousarray(numbers_of)
    there = np.zeros(most - least + 1, dtype=bool)
    strips = [slice(top, top + STRIP) for top in range(0, len(labels), STRIP)]
    for rows in strips:
        there[_above(labels[rows], least)] = True
    number = (np.cumsum(there) - 1).astype(np.int32)
    numbered = np.empty(labels.shape, dtype=np.int32)
    for rows in strips:
        numbered[rows] = number[_above(labels[rows], least)]
    return [least + int(offset) for offset in np.flatnonzero(there)], numbered


def _above(labels: NDArray[Any], least: int) -> NDArray[np.int64]:
    if labels.dtype.kind == "u":  # those of 64 bits have no room in int64 before
        labels = labels - labels.dtype.type(least)
        least = 0
    return np.asarray(labels.astype(np.int64) - least)
