"""Candidates for periodic interference, and the sinusoids that they stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


__all__ = ["NOTHING", "NO_SCORE", "Candidate", "Component", "bins_apart", "component", "waves"]

#: Measures of an image without any candidate.
NOTHING = (0.0, 3.0, 0.0, 0.0, -6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
#: Log odds of a candidate that does not exist.
NO_SCORE = -20.0


class Component(NamedTuple):
    """One sinusoid, amplitude * cos(2 pi (frequency_y y + frequency_x x) + phase)."""

    frequency_y: float
    frequency_x: float
    amplitude: float
    phase: float
    strength: float


@dataclass
class Candidate:
    """A peak of the spectrum, and what is known of it."""

    level: int
    frequency: NDArray[np.float64]
    ratio: float
    concentration: float
    phasor: complex = 0j
    harmonics: float = 0.0
    measures: tuple[float, ...] = NOTHING
    score: float = NO_SCORE


def bins_apart(
    one: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, int]
) -> float:
    return float(
        min(
            max(abs(one[0] - sign * other[0]) * shape[0], abs(one[1] - sign * other[1]) * shape[1])
            for sign in (1.0, -1.0)
        )
    )


def component(candidate: Candidate) -> Component:
    fy, fx = (float(value) for value in candidate.frequency)
    phase = math.atan2(candidate.phasor.imag, candidate.phasor.real)
    if fy < 0.0 or (fy == 0.0 and fx < 0.0):
        fy, fx, phase = -fy, -fx, -phase
    strength = 1.0 / (1.0 + math.exp(-candidate.score))
    return Component(fy, fx, abs(candidate.phasor), phase, strength)


def waves(
    components: tuple[Component, ...], offset: tuple[int, int], shape: tuple[int, int]
) -> NDArray[np.float32]:
    wave = np.zeros(shape, dtype=np.float32)
    for fy, fx, amplitude, phase, _ in components:
        y = np.exp(1j * (2 * np.pi * fy * (offset[0] + np.arange(shape[0])) + phase))
        x = np.exp(2j * np.pi * fx * (offset[1] + np.arange(shape[1])))
        wave += (amplitude * np.outer(y, x).real).astype(np.float32)
    return wave
