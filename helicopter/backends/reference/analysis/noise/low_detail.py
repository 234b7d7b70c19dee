"""What the calmest blocks of all say: the few without content are those whose energy is noise.

Blocks are put in the order of their low frequencies, and the high frequencies of the first of them
are looked at (Ponomarenko et al., "An automatic approach to lossy compression of AVIRIS images",
IGARSS 2007). The order comes from a histogram, into which each block is put between two bins, so
that no block more or less makes a jump.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .blocks import BAND_SHARE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .blocks import Blocks

__all__ = ["anchor", "calmest"]

#: Shares of the blocks that are looked at.
SHARES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
#: Those of them whose high frequencies the answers are relative to.
ANCHORS = slice(2, 5)
#: Bins to a factor of e, where they begin (logarithm of the ratio to the base), how many there are.
STEPS, LOWEST, BINS = 6.0, -6.0, 96


def calmest(blocks: Blocks, base: float) -> NDArray[np.float64]:
    """Logarithms of mean energies of low, middle and high frequencies, (shares, 3)."""
    planes = slice(0, 1) if blocks.energy.shape[1] == 1 else slice(1, 3)
    energy = blocks.energy[:, planes].mean(axis=1, dtype=np.float64) / base
    low = np.average(energy[:, :3], axis=1, weights=BAND_SHARE[:3].astype(np.float64))
    position = np.clip(STEPS * (np.log(low + 1e-6) - LOWEST), 0, BINS - 1.001)
    first = position.astype(np.intp)
    rest = position - first
    # where values were cut off, there is less noise than there was
    counts = blocks.valid * (1 - blocks.clipped.astype(np.float64)) ** 4
    of_blocks = (np.ones(len(low)), low, energy[:, 3], energy[:, 4])
    sums = np.stack(
        [
            np.bincount(first, counts * (1 - rest) * values, BINS)
            + np.bincount(first + 1, counts * rest * values, BINS)
            for values in of_blocks
        ]
    )
    passed = np.concatenate([np.zeros((4, 1)), np.cumsum(sums, axis=1)], axis=1)
    found = []
    for share in SHARES:
        wanted = share * passed[0, -1]
        # within a bin, all are alike
        last = min(int(np.searchsorted(passed[0, 1:], wanted)), BINS - 1)
        part = (wanted - passed[0, last]) / (sums[0, last] + 1e-12)
        found.append((passed[1:, last] + part * sums[1:, last]) / (wanted + 1e-12))
    return np.asarray(np.log(np.array(found) + 1e-4))


def anchor(found: NDArray[np.float64], base: float) -> float:
    """Variance that is that of the noise wherever there are blocks without content."""
    return base * float(np.exp(found[ANCHORS, 2].mean()))
