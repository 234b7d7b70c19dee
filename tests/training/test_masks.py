"""What is hidden in training: every family, within bounds, decided by the seed alone."""

import numpy as np
import pytest

from helicopter.training._masks import LEARNABLE, WIDE, random_mask


@pytest.mark.parametrize("family", WIDE)
@pytest.mark.parametrize("side", [96, 144, 192])
def test_masks_hide_some_and_not_all(family, side):
    rng = np.random.default_rng(0)
    for _ in range(12):
        mask = random_mask(rng, side, {family: 1.0})
        assert mask.shape == (side, side)
        assert mask.dtype == bool
        assert 0.01 <= mask.mean() <= 0.97


@pytest.mark.parametrize("family", WIDE)
def test_the_same_seed_gives_the_same_masks(family):
    first, second = (
        [random_mask(np.random.default_rng([7, n]), 96, {family: 1.0}) for n in range(6)]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert len({mask.tobytes() for mask in first}) == 6


def test_families_come_as_often_as_their_weights_say():
    """A mask of single pixels has far more borders between hidden and visible than a hole."""
    rng = np.random.default_rng(3)
    weights = {"pixels": 3.0, "holes": 1.0}
    borders = [
        np.mean(mask[1:] != mask[:-1])
        for mask in (random_mask(rng, 96, weights) for _ in range(200))
    ]
    assert 0.6 < np.mean(np.array(borders) > 0.04) < 0.88


def test_what_is_learnt_first_is_part_of_all():
    assert set(LEARNABLE) < set(WIDE)
    assert {"blocks", "patches", "few_patches_left", "pixels", "holes", "scribbles"} <= set(WIDE)


def test_all_masks_together_cover_the_range_of_densities():
    rng = np.random.default_rng(1)
    shares = np.array([random_mask(rng, 96, WIDE).mean() for _ in range(400)])
    assert shares.min() < 0.05
    assert shares.max() > 0.9
