"""JPEG compression: where its lattice of blocks lies and which quality it was saved with.

A decoded JPEG has, in every 8 x 8 block, cosine coefficients that lie on multiples of the
quantiser's step, but for the rounding of pixels to whole levels. So each quality predicts a comb
for each coefficient, and the likelihood of what is seen tells the quality. Coefficients that were
quantised to zero say little, because calm blocks have small ones anyway; only the others are
counted. Noise that was added later hides the comb, and then nothing is claimed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FEATURES", "Compression", "find_compression", "quantiser"]

#: What `Compression.features` holds. Odds are natural logarithms; those that have no bound are
#: compressed by sign(x) log(1 + |x|).
FEATURES: tuple[str, ...] = (
    "mean_odds",
    "total_odds",
    "gap_to_other_qualities",
    "log_count",
    "best_quality",
    "row_blockiness",
    "column_blockiness",
    "zeros",
    "zeros_beyond_other_lattice",
    "flat_blocks",
    "log_blocks",
)
#: The luminance table of ISO/IEC 10918-1, annex K, which the IJG's qualities scale.
LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=np.int64,
)
#: Coefficients that are looked at: those of low order, by (vertical, horizontal) frequency.
ORDERS: tuple[tuple[int, int], ...] = tuple(
    (u, v) for u in range(8) for v in range(8) if u + v <= 6
)
#: Standard deviation that rounding pixels to whole levels gives a coefficient. Where all rows of a
#: block are equal, or all columns, so are their errors, and add up: by sqrt(8) each.
ROUNDING = 0.3
#: A coefficient of more than so many deviations was not quantised to zero.
NONZERO = 4.0
#: Share of coefficients that obey no comb, for whatever reason.
STRAY = 0.02
#: Coefficients are compared with combs in steps of 1 / FINENESS, up to FARTHEST deviations.
FINENESS = 16
FARTHEST = 5.0
#: Blocks that are looked at, for the quality, at a likely lattice and at any other.
MOST_BLOCKS = 1600
FEW_BLOCKS = 48
FEWEST_BLOCKS = 16
#: In search of blocks without saturated pixels, so many times as many are visited at most.
PATIENCE = 8
#: Coefficients of one order that are compared: of a lattice, with all qualities, with the best few.
COARSE = 6
MEDIUM = 32
FULL = 256
FINALISTS = 12
#: The highest order in a coarse comparison. A few coefficients settle it: they add odds of more
#: than one each if the lattice is the right one, and of less than none if it is not.
LOW_ORDER = 3
#: The blockiest offsets along each axis are tried, and (0, 0), where the lattice of an image that
#: nobody cropped lies; all 64 if none of these is convincing.
OFFSETS = 2
CONVINCING = 30.0
#: Lines whose third differences are looked at for blockiness, and the largest that counts.
MOST_LINES = 64
STRIP = 8
LARGEST_STEP = 20.0
#: Fewer blocks without a saturated pixel than this, and saturated ones are used too.
LEAST_BLOCKS = 4
#: What counts as evidence, in odds: of all coefficients, and of one.
EVIDENCE = 12.0
EVIDENCE_OF_ONE = 0.4


@dataclass(frozen=True)
class Compression:
    """The traces of JPEG compression in an image.

    Attributes
    ----------
    quality
        On the IJG's scale from 1 to 100, or None where there is no evidence of compression.
    grid
        Row and column, each 0 to 7, at which blocks begin.
    features
        What a classifier needs to know; named in `FEATURES`.
    """

    quality: int | None
    grid: tuple[int, int]
    features: NDArray[np.float64]


def quantiser(quality: int) -> NDArray[np.int64]:
    """The IJG's luminance table of this quality, 8 x 8."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((LUMINANCE * scale + 50) // 100, 1, 255)


def find_compression(pixels: NDArray[np.float32], included: NDArray[np.bool_]) -> Compression:
    """Look for the traces of JPEG compression.

    Parameters
    ----------
    pixels
        Image of shape (H, W, C) in [0, 1].
    included
        Bool of shape (H, W): the pixels that count.
    """
    height, width = included.shape
    if min(height, width) < 8:
        return Compression(None, (0, 0), np.zeros(len(FEATURES)))
    by_column = _blockiness(pixels, included)
    by_row = _blockiness(pixels.transpose(1, 0, 2), included.T)
    likely = [
        (int(dy), int(dx))
        for dy in np.argsort(-by_row, kind="stable")[:OFFSETS]
        for dx in np.argsort(-by_column, kind="stable")[:OFFSETS]
    ]
    others = [(dy, dx) for dy in range(8) for dx in range(8) if (dy, dx) not in [*likely, (0, 0)]]
    best, grid = -math.inf, (0, 0)
    for number, tried in enumerate([(0, 0), *likely, *others]):
        if number > len(likely) and best > CONVINCING:
            break
        blocks = FEW_BLOCKS if number <= len(likely) else FEWEST_BLOCKS
        sample = _sample(pixels, included, tried, blocks)
        odds = float(_odds(sample, range(1, 101), COARSE, LOW_ORDER)[0].max())
        if odds > best:
            best, grid = odds, tried

    sample = _sample(pixels, included, grid, MOST_BLOCKS)
    medium, _ = _odds(sample, range(1, 101), MEDIUM)
    finalists = np.sort(np.argsort(-medium, kind="stable")[:FINALISTS]) + 1
    odds_of, count = _odds(sample, [int(quality) for quality in finalists], FULL)
    winner = int(np.argmax(odds_of))
    quality, total = int(finalists[winner]), float(odds_of[winner])
    rivals = medium[np.abs(np.arange(1, 101) - quality) > 2]
    gap = float(medium[quality - 1] - rivals.max())

    other = _sample(pixels, included, ((grid[0] + 4) % 8, (grid[1] + 4) % 8), FEW_BLOCKS)
    zeros = sample.zeros()
    mean = total / max(count, 1)
    features = np.array(
        [
            mean,
            _compressed(total),
            _compressed(gap),
            math.log1p(count),
            quality / 100.0,
            _excess(by_row, grid[0]),
            _excess(by_column, grid[1]),
            zeros,
            zeros - other.zeros(),
            sample.flat(),
            math.log1p(len(sample.alike)),
        ]
    )
    evident = total > EVIDENCE and mean > EVIDENCE_OF_ONE
    return Compression(quality if evident else None, grid, features)


def _compressed(value: float) -> float:
    return math.copysign(math.log1p(abs(value)), value)


def _excess(profile: NDArray[np.float64], offset: int) -> float:
    """By how much steps across the lattice exceed the others."""
    middle = float(np.sort(profile)[3] + np.sort(profile)[4]) / 2.0
    return _compressed(float(profile[offset] - middle) / (middle + 0.05))


def _levels(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Luminance in whole levels from 0 to 255, as the decoder had it before colour conversion."""
    if pixels.shape[-1] == 1:
        return np.asarray(np.rint(pixels[..., 0] * np.float32(255)))
    red, green, blue = (pixels[..., channel] for channel in range(3))
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    light = red * weights[0] + green * weights[1] + blue * weights[2]
    return np.asarray(np.rint(light * np.float32(255)))


def _blockiness(pixels: NDArray[np.float32], included: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean third difference along rows, by the column (modulo 8) that its second half begins at."""
    strips = max(min(included.shape[0], MOST_LINES) // STRIP, 1)
    starts = np.arange(strips) * included.shape[0] // strips
    lines = (starts[:, None] + np.arange(min(STRIP, included.shape[0]))).ravel()
    lines = lines[lines < included.shape[0]]
    level, counts = _levels(pixels[lines]), included[lines]
    third = level[:, :-3] - 3 * level[:, 1:-2] + 3 * level[:, 2:-1] - level[:, 3:]
    size = np.minimum(np.abs(third), np.float32(LARGEST_STEP))
    valid = counts[:, :-3] & counts[:, 1:-2] & counts[:, 2:-1] & counts[:, 3:]
    profile = np.zeros(8)
    for offset in range(8):
        first = (offset - 2) % 8
        chosen = valid[:, first::8]
        total = float(np.sum(size[:, first::8], where=chosen, dtype=np.float64))
        profile[offset] = total / max(int(chosen.sum()), 1)
    return profile


@dataclass
class _Sample:
    """Coefficients of some blocks by order, and whether the rows and columns of each are alike."""

    coefficients: NDArray[np.float64]
    alike: NDArray[np.int64]
    #: Flat blocks of a level that an earlier one has: they say nothing new.
    repeated: NDArray[np.bool_]

    def nonzero(self, order: int) -> NDArray[np.bool_]:
        least = NONZERO * ROUNDING * np.sqrt(8.0) ** self.alike
        return np.asarray(np.abs(self.coefficients[:, order]) > least)

    def zeros(self) -> float:
        """Share of the coefficients but the mean that were quantised to zero."""
        if not len(self.alike):
            return 0.0
        share = [1.0 - float(self.nonzero(k).mean()) for k in range(1, len(ORDERS))]
        return math.fsum(share) / len(share)

    def flat(self) -> float:
        return float((self.alike == 2).mean()) if len(self.alike) else 0.0


def _sample(
    pixels: NDArray[np.float32],
    included: NDArray[np.bool_],
    grid: tuple[int, int],
    most: int,
) -> _Sample:
    rows, columns = ((side - d) // 8 for side, d in zip(included.shape, grid, strict=True))
    chosen = _scattered(rows * columns, PATIENCE * most)
    down, right = np.divmod(chosen, max(columns, 1))
    inside = np.arange(8)
    y = (8 * down + grid[0])[:, None, None] + inside[:, None]
    x = (8 * right + grid[1])[:, None, None] + inside
    blocks, whole = pixels[y, x], included[y, x].all(axis=(1, 2))
    low, high = np.float32(0.5 / 255.0), np.float32(254.5 / 255.0)
    unsaturated = whole & ((blocks > low) & (blocks < high)).all(axis=(1, 2, 3))
    enough = unsaturated.sum() >= LEAST_BLOCKS
    clean = np.flatnonzero(unsaturated if enough else whole)[:most]
    level = _levels(blocks[clean]).astype(np.float64) - 128.0
    alike = (level == level[:, :1]).all(axis=(1, 2)).astype(np.int64)
    alike += (level == level[:, :, :1]).all(axis=(1, 2))
    basis = _cosines()
    coefficients = basis @ level @ basis.T
    vertical, horizontal = zip(*ORDERS, strict=True)
    repeated = alike == 2
    repeated[np.flatnonzero(repeated)[np.unique(level[repeated, 0, 0], return_index=True)[1]]] = (
        False
    )
    return _Sample(coefficients[:, vertical, horizontal], alike, repeated)


def _scattered(count: int, most: int) -> NDArray[np.int64]:
    """Some of the numbers below `count`, spread evenly however many of them are taken."""
    step = max(int(0.618 * count), 1)
    while math.gcd(step, count) > 1:
        step += 1
    return np.arange(min(count, most)) * step % max(count, 1)


@cache
def _cosines() -> NDArray[np.float64]:
    """The orthonormal discrete cosine transform of length 8."""
    order, place = np.mgrid[:8, :8]
    basis = 0.5 * np.cos((2 * place + 1) * order * np.pi / 16)
    basis[0] /= math.sqrt(2.0)
    return np.asarray(basis)


@cache
def _comb_odds(alike: int) -> NDArray[np.float64]:
    """Log odds of a comb by its step and by the distance from the nearest multiple.

    Against a smooth law, a comb of step s with errors of density p has odds s p(distance), summed
    over the multiples that are near; the last entry stands for everything farther.
    """
    deviation = ROUNDING * math.sqrt(8.0) ** alike
    farthest = math.ceil(FARTHEST * deviation * FINENESS)
    distance = np.arange(farthest + 1) / FINENESS
    table = np.empty((256, farthest + 1))
    for step in range(1, 256):
        reach = math.ceil(FARTHEST * deviation / step) + 1
        z = (distance[:, None] + step * np.arange(-reach, reach + 1)) / deviation
        density = np.exp(-0.5 * z * z).sum(axis=1) / (deviation * math.sqrt(2 * math.pi))
        table[step] = np.log(STRAY + (1.0 - STRAY) * step * density)
    table[0] = 0.0
    return table


def _odds(
    sample: _Sample, qualities: range | list[int], most: int, highest: int = 6
) -> tuple[NDArray[np.float64], int]:
    """Log odds of each quality, and the number of coefficients that were compared."""
    tables = _quantisers()[np.asarray(qualities) - 1]
    total, count = np.zeros(len(qualities)), 0
    for order, (u, v) in enumerate(ORDERS):
        if u + v > highest:
            continue
        nonzero = np.flatnonzero(sample.nonzero(order) & ~sample.repeated)
        used = min(len(nonzero), most)
        nonzero = nonzero[np.arange(used) * len(nonzero) // max(used, 1)]
        count += used
        size = np.abs(sample.coefficients[nonzero, order])
        units = np.floor(size * FINENESS + 0.5).astype(np.int64)
        steps, which = np.unique(tables[:, u, v], return_inverse=True)
        rest = units[None, :] % (FINENESS * steps[:, None])
        distance = np.minimum(rest, FINENESS * steps[:, None] - rest)
        odds = np.zeros(len(steps))
        for alike in range(3):
            table = _comb_odds(alike)
            those = sample.alike[nonzero] == alike
            near = np.minimum(distance[:, those], table.shape[1] - 1)
            odds += table[steps[:, None], near].sum(axis=1)
        total += odds[which]
    return total, count


@cache
def _quantisers() -> NDArray[np.int64]:
    return np.stack([quantiser(quality) for quality in range(1, 101)])
