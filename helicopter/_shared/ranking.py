"""Seeded ranks that both backends share: a counter-based generator, not a stream.

SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014) as a
hash of (seed, stream, index): every item gets its number without the others being drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "GOLDEN",
    "STREAM_EXEMPLAR",
    "STREAM_INITIAL",
    "STREAM_MASK",
    "STREAM_TIES",
    "mix",
    "random_ranks",
]

#: Which patches are shown at the start.
STREAM_INITIAL = 1
#: Which of equally good patches comes first.
STREAM_TIES = 2
#: Masks of `test_understanding`.
STREAM_MASK = 3
#: Which patches `exemplar` tries.
STREAM_EXEMPLAR = 4

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's scrambling of 64 bits."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def random_ranks(seed: int, stream: int, count: int) -> NDArray[np.uint64]:
    """Return one 64-bit number for each of `count` items; equal ones are ordered by index."""
    # arrays, not scalars: unsigned arrays wrap around in silence
    start = mix(np.array([seed], dtype=np.uint64) + GOLDEN * np.array([stream], dtype=np.uint64))
    counter = np.arange(1, count + 1, dtype=np.uint64)
    return mix(start + counter * GOLDEN)
