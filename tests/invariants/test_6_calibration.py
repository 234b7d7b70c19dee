"""Invariant 6: stated intervals hold their share of the truth.

The sample photograph trained and tuned nothing. One photograph may stray from what holds on average
over many (`benchmarks/calibration.py` measures that), so the bounds here are wider than two points;
sigma that is a third too small or too large leaves them.
"""

import numpy as np
import pytest

from helicopter.io._reading import sample_image

#: Level and how far the covered share may be from it.
BOUNDS = {0.8: 0.08, 0.9: 0.06, 0.95: 0.04}


def cells(side, share, shape):
    hidden = np.random.default_rng(side).random([-(-length // side) for length in shape]) < share
    return hidden.repeat(side, axis=0).repeat(side, axis=1)[: shape[0], : shape[1]]


@pytest.mark.parametrize(
    ("algorithm", "side", "share"),
    [
        ("network", 16, 0.25),
        ("network", 32, 0.25),
        ("network", 1, 0.5),
        ("network", 32, 0.8),
        ("harmonic", 16, 0.25),
        ("harmonic", 32, 0.25),
    ],
)
def test_intervals_hold_their_share(regional, algorithm, side, share):
    image = sample_image()[:384, 32:480]
    mask = cells(side, share, image.shape[:2])
    result = regional(algorithm).reconstruct(image, mask)
    truth = image[mask].astype(np.float64)
    for level, bound in BOUNDS.items():
        low, high = (edge[mask] for edge in result.interval(level))
        held = np.mean((low <= truth) & (truth <= high))
        assert held == pytest.approx(level, abs=bound), f"{level:.0%} intervals hold {held:.1%}"


def test_sigma_is_the_size_of_the_errors(regional):
    image = sample_image()[:384, 32:480]
    mask = cells(16, 0.25, image.shape[:2])
    result = regional("network").reconstruct(image, mask)
    error = result.reconstruction[mask].astype(np.float64) - image[mask]
    size = np.sqrt(np.mean(np.square(error / result.uncertainty_map[mask][:, None])))
    assert 0.75 < size < 1.33
    # and where it is stated to be sure, it is
    order = np.argsort(result.uncertainty_map[mask])
    surest, least = np.array_split(np.abs(error).mean(axis=1)[order], 2)
    assert surest.mean() < 0.4 * least.mean()


def test_confidence_is_the_share_that_is_right(regional):
    image = sample_image()[:384, 32:480]
    mask = cells(16, 0.25, image.shape[:2])
    result = regional("network").reconstruct(image, mask)
    error = np.abs(result.reconstruction[mask].astype(np.float64) - image[mask])
    stated, right = result.confidence_map[mask], (error <= 0.05 * 255).mean(axis=1)
    assert stated.mean() == pytest.approx(right.mean(), abs=0.06)
    sure, unsure = stated > 0.9, stated < 0.6
    assert right[sure].mean() > 0.87
    assert right[unsure].mean() < 0.7
