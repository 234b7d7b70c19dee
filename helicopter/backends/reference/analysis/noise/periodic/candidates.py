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
#: Steps to a factor of two in which ratios and amplitudes are told apart. Where patterns are
#: regular, many are equal but for rounding, which must not choose among them.
STEPS_PER_OCTAVE = 64
#: Frequencies closer to 0 or 1/2 are just that: rounding must not choose a sign for them.
ON_AXIS = 1e-7


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
    #: level, row and column of the peak in the spectrum
    place: tuple[int, int, int]
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


def descending(value: float, candidate: Candidate) -> tuple[int, int, int, int]:
    """Key that sorts by a value, the highest first, and by place what is equal but for rounding."""
    return (-math.floor(STEPS_PER_OCTAVE * math.log2(value + 1e-30) + 0.5), *candidate.place)


def component(candidate: Candidate) -> Component:
    """The sinusoid of a candidate; of all pairs of frequencies that say the same, one is chosen."""
    fy, fx = (_within_half(float(value)) for value in candidate.frequency)
    phase = math.atan2(candidate.phasor.imag, candidate.phasor.real)
    # a wave and its mirror are one, and so are 1/2 and -1/2
    if fy < 0.0 or (fy in (0.0, 0.5) and fx < 0.0):
        fy, fx, phase = _within_half(-fy), _within_half(-fx), -phase
    if phase < ON_AXIS - math.pi:
        phase += 2.0 * math.pi
    strength = 1.0 / (1.0 + math.exp(-candidate.score))
    return Component(fy, fx, abs(candidate.phasor), phase, strength)


def _within_half(frequency: float) -> float:
    """The same at whole pixels, above -1/2 and at most 1/2."""
    nearest = math.floor(2.0 * frequency + 0.5) / 2.0
    if abs(frequency - nearest) < ON_AXIS:
        frequency = nearest
    return frequency - math.ceil(frequency - 0.5)


def waves(
    components: tuple[Component, ...], offset: tuple[int, int], shape: tuple[int, int]
) -> NDArray[np.float32]:
    wave = np.zeros(shape, dtype=np.float32)
    for fy, fx, amplitude, phase, _ in components:
        y = np.exp(1j * (2 * np.pi * fy * (offset[0] + np.arange(shape[0])) + phase))
        x = np.exp(2j * np.pi * fx * (offset[1] + np.arange(shape[1])))
        wave += (amplitude * np.outer(y, x).real).astype(np.float32)
    return wave
