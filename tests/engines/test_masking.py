"""Masking strategies: each hides about as much as it is asked to, in its own geometry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import scene

from helicopter.core.prediction._masking import MASKING_STRATEGIES, make_mask
from helicopter.core.regional_engine import RegionalReconstructionEngine

SIDE, PATCH = 96, 8
GRID = SIDE // PATCH
#: Of each patch of a 12 x 12 grid: rings around the middle, 0 innermost.
Y, X = np.mgrid[:GRID, :GRID] - (GRID - 1) / 2
RING = np.maximum(np.abs(Y), np.abs(X))


def patches(strategy, difficulty, seed=0, image=None):
    """The mask, one value for each patch."""
    image = scene(SIDE, SIDE) if image is None else image
    mask = make_mask(strategy, image, difficulty, PATCH, seed)
    grid = mask[::PATCH, ::PATCH]
    np.testing.assert_array_equal(mask, grid.repeat(PATCH, 0).repeat(PATCH, 1))
    return grid


def test_all_of_the_promised_strategies_are_there():
    assert set(MASKING_STRATEGIES) == {
        "random_patches",
        "center_out",
        "edge_in",
        "progressive_reveal",
        "quadrant_reveal",
        "frequency_bands",
        "semantic_regions",
        "spiral_reveal",
        "checkerboard",
        "radial_bands",
    }


@given(
    st.sampled_from(MASKING_STRATEGIES),
    st.tuples(st.integers(1, 60), st.integers(1, 60)).filter(lambda size: size != (1, 1)),
    st.floats(0.01, 0.99),
    st.integers(1, 12),
    st.integers(0, 2**64 - 1),
)
def test_a_share_is_hidden_and_something_is_left(strategy, size, difficulty, patch, seed):
    patch = min(patch, max(size) - 1)
    image = scene(*size)
    mask = make_mask(strategy, image, difficulty, patch, seed)
    assert mask.dtype == bool
    assert mask.shape == size
    assert 0 < mask.sum() < mask.size
    np.testing.assert_array_equal(mask, make_mask(strategy, image, difficulty, patch, seed))
    if size[0] % patch == 0 == size[1] % patch or strategy == "semantic_regions":
        # to the nearest patch; half of one may go either way, and one is hidden and shown at least
        one = 1 if strategy == "semantic_regions" else patch * patch
        assert abs(mask.sum() - difficulty * mask.size) <= max(one, 0.5)


@pytest.mark.parametrize("strategy", MASKING_STRATEGIES)
def test_the_harder_masks_contain_the_easier_ones(strategy):
    image = scene(SIDE, SIDE)
    previous = np.zeros((SIDE, SIDE), bool)
    for difficulty in (0.1, 0.3, 0.5, 0.8, 0.95):
        mask = make_mask(strategy, image, difficulty, PATCH, 0)
        assert (mask | ~previous).all()
        assert abs(mask.mean() - difficulty) < 0.01
        previous = mask


def test_random_patches_follow_the_seed():
    first = patches("random_patches", 0.5)
    assert (first != patches("random_patches", 0.5, seed=1)).any()
    # no row, column or half of the grid is spared
    assert first.mean(axis=0).min() > 0
    assert first.mean(axis=1).max() < 1


def test_center_out_hides_what_lies_outside():
    hidden = patches("center_out", 0.5)
    assert RING[~hidden].max() <= RING[hidden].min()
    assert hidden[0, 0]
    assert not hidden[GRID // 2, GRID // 2]


def test_edge_in_hides_what_lies_inside():
    hidden = patches("edge_in", 0.5)
    assert RING[~hidden].min() >= RING[hidden].max()
    assert not hidden[0, 0]


def test_progressive_reveal_keeps_a_coarse_lattice():
    shown = ~patches("progressive_reveal", 1 - 9 / 144)
    np.testing.assert_array_equal(np.argwhere(shown) % 4, 0)
    assert shown.sum() == 9
    shown = ~patches("progressive_reveal", 1 - 36 / 144)
    np.testing.assert_array_equal(np.argwhere(shown) % 2, 0)


def test_quadrant_reveal_goes_quadrant_by_quadrant():
    for seed in range(4):
        hidden = patches("quadrant_reveal", 0.5, seed)
        half = GRID // 2
        shares = [
            hidden[rows, cols].mean()
            for rows in (slice(half), slice(half, None))
            for cols in (slice(half), slice(half, None))
        ]
        assert sorted(shares) == [0, 0, 1, 1]
    assert any((patches("quadrant_reveal", 0.5, seed) != hidden).any() for seed in range(4)), (
        "the order of the quadrants follows the seed"
    )


def test_frequency_bands_hide_the_busy_patches():
    image = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    busy = np.zeros((GRID, GRID), bool)
    busy[2:7, 3:9] = True
    noise = np.random.default_rng(0).normal(0, 0.1, image.shape)
    image += noise.astype(np.float32) * busy.repeat(PATCH, 0).repeat(PATCH, 1)[:, :, None]
    hidden = patches("frequency_bands", busy.mean(), image=image)
    np.testing.assert_array_equal(hidden, busy)


def test_semantic_regions_hide_whole_regions():
    y, x = np.mgrid[:SIDE, :SIDE]
    region = (y // 32) * 3 + x // 32
    image = np.take(np.array([0.0, 0.4, 0.8, 0.5, 0.9, 0.1, 1.0, 0.2, 0.6]), region)
    image = np.repeat(image[:, :, None], 3, axis=2).astype(np.float32)
    mask = make_mask("semantic_regions", image, 0.4, PATCH, 0)
    inner = mask.reshape(3, 32, 3, 32)[:, 8:24, :, 8:24].mean(axis=(1, 3))
    # away from the blurred borders a region is hidden or not, but for the one that the share cuts
    assert ((inner > 0) & (inner < 1)).sum() <= 1
    assert 1 <= (inner == 1).sum() <= 5
    assert (make_mask("semantic_regions", image, 0.4, PATCH, 1) != mask).any()


def test_spiral_reveal_walks_around_the_middle():
    hidden = patches("spiral_reveal", 0.5)
    middle = (GRID - 1) // 2
    ring = np.maximum(*(np.abs(np.mgrid[:GRID, :GRID] - middle)))
    cut = ring[hidden].min()
    assert (ring[~hidden] <= cut).all()
    # the ring that is cut is hidden from some angle on
    y, x = np.nonzero(ring == cut)
    angle = np.arctan2(y - middle, x - middle)
    state = hidden[y, x][np.argsort(angle, kind="stable")]
    assert (np.diff(state.astype(int)) >= 0).all()


def test_checkerboard_alternates():
    hidden = patches("checkerboard", 0.5)
    assert hidden[0, 0] != hidden[0, 1]
    np.testing.assert_array_equal(hidden, (np.indices(hidden.shape).sum(axis=0) % 2).astype(bool))
    fewer = patches("checkerboard", 0.3)
    assert not (fewer & ~hidden).any()


def test_radial_bands_are_rings():
    hidden = patches("radial_bands", 0.5)
    radius = np.hypot(Y, X)
    phase = np.mod(radius, 4)
    assert phase[hidden].min() >= phase[~hidden].max()
    inner, outer = (hidden[(radius >= low) & (radius < low + 1)] for low in (0, 3))
    assert not inner.any()
    assert outer.all()


# The test of understanding


def test_scores_come_strategy_by_strategy(regional):
    image = scene(64, 72, dtype="uint8")
    chosen, shares = ("edge_in", "checkerboard", "semantic_regions"), (0.7, 0.2)
    result = regional().test_understanding(image, chosen, shares, patch_size=8)
    assert [(s.strategy, s.difficulty) for s in result.scores] == [
        (name, share) for name in chosen for share in shares
    ]
    for score in result.scores:
        assert abs(score.hidden_fraction - score.difficulty) < 0.02
        assert 0 < score.reconstruction_quality < 1
        assert 0 < score.average_confidence < 1
        assert 1 < score.mae < 60
        assert score.psnr_db == pytest.approx(
            -10 * np.log10((1 / score.reconstruction_quality - 1) / 10)
        )
    qualities = [score.reconstruction_quality for score in result.scores]
    assert result.reconstruction_quality == pytest.approx(np.mean(qualities))
    assert result.skill == pytest.approx(np.mean([score.skill for score in result.scores]))
    # what lies farther from what is known is harder
    assert qualities[0] < qualities[1]
    assert result.algorithm == "network"


def test_each_score_is_that_of_a_reconstruction(regional):
    image = scene(64, 72, dtype="float64")
    score = regional().test_understanding(image, ["center_out"], [0.4], patch_size=8).scores[0]
    prepared = image.astype(np.float32)
    mask = make_mask("center_out", prepared, 0.4, 8, 0)
    result = regional().reconstruct(prepared, mask)
    error = result.reconstruction[mask].astype(float) - prepared[mask]
    mse = np.square(error).mean()
    assert score.reconstruction_quality == pytest.approx(1 / (1 + 10 * mse), abs=1e-6)
    assert score.mae == pytest.approx(np.abs(error).mean(), rel=1e-4)
    colour = prepared[~mask].astype(float).mean(axis=0)
    assert score.skill == pytest.approx(
        1 - mse / np.square(prepared[mask] - colour).mean(), abs=1e-4
    )
    assert score.average_confidence == pytest.approx(result.confidence_map[mask].mean(), rel=1e-5)


def test_by_default_everything_is_tried(regional, monkeypatch):
    result = regional().test_understanding(scene(40, 40))
    assert {score.strategy for score in result.scores} == set(MASKING_STRATEGIES)
    assert {score.difficulty for score in result.scores} == {0.2, 0.4, 0.6, 0.8, 0.9}
    assert len(result.scores) == 50


def test_two_patches_are_enough(regional):
    image = scene(8, 16)
    result = regional().test_understanding(image, patch_size=8, difficulties=(0.01, 0.99))
    for score in result.scores:
        if score.strategy != "semantic_regions":
            assert score.hidden_fraction == 0.5


def test_a_flat_image_is_understood_but_without_skill(regional):
    image = np.full((48, 48), 0.5)
    result = regional("harmonic").test_understanding(image, ["random_patches"], [0.5])
    assert result.understanding_level == "excellent"
    assert result.scores[0].mae < 1e-6


def test_progress_counts_the_scores(regional):
    calls = []
    regional().test_understanding(
        scene(40, 40),
        ["edge_in", "checkerboard"],
        (0.3, 0.6),
        progress=lambda *step: calls.append(step),
    )
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_pytest_does_not_take_the_method_for_a_test():
    assert RegionalReconstructionEngine.test_understanding.__doc__.startswith("Hide parts")
