"""The law of patch confidence is recovered from patches that follow it."""

import numpy as np
import pytest

from helicopter.training._patch_law import fit_patch_law

OFFSET, SLOPE, SPREAD, PRIOR = -0.3, -0.15, 0.3, 0.2
PHOTOGRAPHS, PATCHES = 200, 100


def drawn(rng):
    """Patches of many photographs, drawn from the law itself."""
    shape = (PHOTOGRAPHS, PATCHES)
    variance = np.exp(2 * rng.uniform(np.log(0.01), np.log(0.3), shape))
    distance = np.exp(rng.uniform(0, np.log(40), shape))
    shift = rng.normal(0, PRIOR, (PHOTOGRAPHS, 1))
    expected = 0.5 * np.log(variance) + OFFSET + SLOPE * np.log(distance) + shift
    photograph = np.broadcast_to(np.arange(PHOTOGRAPHS)[:, None], shape)
    mae = np.exp(rng.normal(expected, SPREAD))
    columns = {"variance": variance, "distance": distance, "mae": mae, "photograph": photograph}
    return {name: values.ravel() for name, values in columns.items()}


def test_the_law_is_found_again():
    data = drawn(np.random.default_rng(5))
    law = fit_patch_law(**data, weight=np.ones(PHOTOGRAPHS * PATCHES))
    assert law.offset == pytest.approx(OFFSET, abs=0.06)
    assert law.distance == pytest.approx(SLOPE, abs=0.02)
    assert law.spread == pytest.approx(SPREAD, abs=0.03)
    assert law.prior == pytest.approx(PRIOR, abs=0.03)


def test_errors_of_patches_that_are_right_anyway_do_not_matter():
    data = drawn(np.random.default_rng(6))
    law = fit_patch_law(**data, weight=np.ones(PHOTOGRAPHS * PATCHES))
    # flat patches, whose errors are anything but what was predicted
    flat = data["variance"] < 0.0004
    data["mae"] = np.where(flat, 1e-3, data["mae"])
    other = fit_patch_law(**data, weight=np.ones(PHOTOGRAPHS * PATCHES))
    assert other.offset == pytest.approx(law.offset, abs=0.02)
    assert other.distance == pytest.approx(law.distance, abs=0.02)


@pytest.mark.parametrize("mae", [1e-4, 0.5])
def test_patches_that_are_all_alike_give_a_usable_law(mae):
    count = 40
    law = fit_patch_law(
        variance=np.full(count, 1e-3),
        distance=np.full(count, 3.0),
        mae=np.full(count, mae),
        photograph=np.repeat([0, 1], count // 2),
        weight=np.ones(count),
    )
    assert np.isfinite(law).all()
    assert law.spread > 0
    assert law.prior > 0
