"""Hypothesis strategies for what Helicopter accepts: images of every kind, and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["DTYPES", "LAYOUTS", "MASK_KINDS", "images", "images_with_masks", "masks", "shapes"]

#: Every accepted dtype, in both byte orders.
DTYPES: tuple[str, ...] = (
    "uint8",
    "<u2",
    ">u2",
    "bool",
    "<f4",
    ">f4",
    "<f8",
    ">f8",
)

#: How an image may lie in memory.
LAYOUTS: tuple[str, ...] = (
    "contiguous",
    "fortran",
    "reversed",
    "transposed",
    "strided",
    "read-only",
)

#: What a mask may hide.
MASK_KINDS: tuple[str, ...] = ("nothing", "pixels", "blocks", "lines", "hole", "almost everything")


@st.composite
def shapes(
    draw: st.DrawFn,
    *,
    min_side: int = 1,
    max_side: int = 32,
    channels: Sequence[int | None] = (None, 1, 3, 4),
) -> tuple[int, ...]:
    """Shapes of images: None among `channels` stands for two dimensions."""
    height = draw(st.integers(min_side, max_side))
    width = draw(st.integers(min_side, max_side))
    last = draw(st.sampled_from(list(channels)))
    return (height, width) if last is None else (height, width, last)


@st.composite
def images(
    draw: st.DrawFn,
    *,
    shape: st.SearchStrategy[tuple[int, ...]] | None = None,
    dtypes: Sequence[str] = DTYPES,
    layouts: Sequence[str] = LAYOUTS,
) -> NDArray[Any]:
    """Images of every accepted dtype, shape, stride and byte order; floats in [0, 1].

    They are flat, smooth, cut by an edge, or noise; values come from a drawn seed, so that an
    example shrinks to a small shape rather than pixel by pixel.
    """
    size = draw(shapes() if shape is None else shape)
    dtype = np.dtype(draw(st.sampled_from(list(dtypes))))
    content = draw(st.sampled_from(("flat", "smooth", "edge", "noise")))
    rng = np.random.default_rng(draw(st.integers(0, 2**16 - 1)))
    values = _content(content, size, rng)
    return _laid_out(_as_dtype(values, dtype), draw(st.sampled_from(list(layouts))))


@st.composite
def masks(
    draw: st.DrawFn, shape: tuple[int, int], *, kinds: Sequence[str] = MASK_KINDS
) -> NDArray[np.bool_]:
    """Masks (True = hidden) that leave at least one pixel visible."""
    kind = draw(st.sampled_from(list(kinds)))
    rng = np.random.default_rng(draw(st.integers(0, 2**16 - 1)))
    height, width = shape
    mask = np.zeros(shape, dtype=bool)
    if kind == "pixels":
        mask = rng.random(shape) < rng.uniform(0.05, 0.95)
    elif kind == "blocks":
        side = int(rng.integers(1, max(height, width) + 1))
        blocks = rng.random((-(-height // side), -(-width // side))) < 0.5
        mask = np.kron(blocks, np.ones((side, side), dtype=bool))[:height, :width]
    elif kind == "lines":
        mask[rng.random(height) < 0.3] = True
        mask[:, rng.random(width) < 0.3] = True
    elif kind == "hole":
        top, left = int(rng.integers(height)), int(rng.integers(width))
        mask[top : top + 1 + height // 2, left : left + 1 + width // 2] = True
    elif kind == "almost everything":
        mask[:] = True
    if mask.all():
        mask[int(rng.integers(height)), int(rng.integers(width))] = False
    return np.ascontiguousarray(mask, dtype=bool)


@st.composite
def images_with_masks(
    draw: st.DrawFn,
    *,
    shape: st.SearchStrategy[tuple[int, ...]] | None = None,
    dtypes: Sequence[str] = DTYPES,
    layouts: Sequence[str] = LAYOUTS,
    kinds: Sequence[str] = MASK_KINDS,
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """An image and a mask that fits it."""
    image = draw(images(shape=shape, dtypes=dtypes, layouts=layouts))
    height, width = image.shape[:2]
    return image, draw(masks((height, width), kinds=kinds))


def _content(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    y, x = np.mgrid[: shape[0], : shape[1]] / 32.0
    if kind == "noise":
        return rng.random(shape)
    if kind == "flat":
        plane = np.full(y.shape, rng.random())
    elif kind == "smooth":
        plane = 0.5 + 0.4 * np.sin(5 * rng.random() * y + 5 * rng.random() * x + rng.random())
    else:
        plane = 0.1 + 0.8 * (np.sin(3 * rng.random() * y + x - rng.random()) > 0)
    if len(shape) == 2:
        return plane
    return np.clip(plane[:, :, None] * rng.uniform(0.5, 1.0, shape[2]), 0.0, 1.0)


def _as_dtype(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "b":
        return np.asarray(values >= 0.5)
    if dtype.kind == "u":
        return np.asarray(np.rint(values * np.iinfo(dtype).max), dtype=dtype)
    return np.asarray(values, dtype=dtype)


def _laid_out(image: NDArray[Any], layout: str) -> NDArray[Any]:
    if layout == "fortran":
        return np.asfortranarray(image)
    if layout == "reversed":
        return image[::-1, ::-1].copy()[::-1, ::-1]
    if layout == "transposed":
        return np.swapaxes(np.swapaxes(image, 0, 1).copy(), 0, 1)
    if layout == "strided":
        wide = np.zeros((2 * image.shape[0], 3 * image.shape[1], *image.shape[2:]), image.dtype)
        wide[::2, ::3] = image
        return wide[::2, ::3]
    image = np.ascontiguousarray(image)
    if layout == "read-only":
        image.flags.writeable = False
    return image
