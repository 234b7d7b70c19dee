"""Batches: a function of the seed and the step alone, in which no truth leaks."""

import numpy as np
import pytest
from training_scenes import photograph

from helicopter.backends.loader import DISABLE_VARIABLE, accelerator
from helicopter.testing.tiers import PREDICTION
from helicopter.training._crops import SHAPES, Crops, solve_harmonic
from helicopter.training._masks import LEARNABLE, WIDE

FIELDS = ("truth", "harmonic", "hidden", "inside")


@pytest.fixture(scope="module")
def crops():
    return Crops([photograph(0), photograph(1, 400, 390)], seed=5, learnable_steps=1500)


def test_a_batch_depends_on_nothing_but_seed_and_step(crops):
    again = Crops([photograph(0), photograph(1, 400, 390)], seed=5, learnable_steps=1500)
    again.batch(3)  # what was asked before does not matter
    for field in FIELDS:
        np.testing.assert_array_equal(
            getattr(crops.batch(11), field), getattr(again.batch(11), field)
        )
    assert not np.array_equal(crops.batch(11).truth[0], crops.batch(12).truth[0])
    other = Crops([photograph(0), photograph(1, 400, 390)], seed=6, learnable_steps=1500)
    # arrays of different shapes are not equal either
    assert not np.array_equal(crops.batch(11).truth, other.batch(11).truth)


def test_the_accelerator_may_be_switched_off(monkeypatch):
    mask = np.zeros((40, 40), dtype=bool)
    mask[10:30, 10:30] = True
    whole = photograph(0, 40, 40).astype(np.float32) / np.float32(255)
    found = []
    for value in ("", "1"):
        monkeypatch.setenv(DISABLE_VARIABLE, value)
        found.append(np.where(mask[..., None], np.float32(0), whole))
        solve_harmonic(found[-1], mask)
        assert (accelerator() is None) or not value
    np.testing.assert_allclose(found[0], found[1], atol=PREDICTION["harmonic"])


def test_shapes_and_ranges(crops):
    seen = set()
    for step in range(1500, 1512):
        batch = crops.batch(step)
        count, side = batch.truth.shape[:2]
        seen.add((side, count))
        assert batch.truth.shape == batch.harmonic.shape == (count, side, side, 3)
        assert batch.hidden.shape == batch.inside.shape == (count, side, side)
        for field in FIELDS:
            values = getattr(batch, field)
            assert values.dtype == np.float32
            assert values.min() >= 0
            assert values.max() <= 1 + 1e-6
        assert (batch.hidden <= batch.inside).all()
        assert batch.hidden.any(axis=(1, 2)).all()
        visible = (batch.hidden == 0) & (batch.inside == 1)
        np.testing.assert_array_equal(batch.harmonic[visible], batch.truth[visible])
    assert seen <= set(SHAPES)
    assert len(seen) > 1


@pytest.mark.parametrize("step", [0, 2000, 2001, 2002])
def test_the_harmonic_solution_does_not_know_what_is_hidden(crops, monkeypatch, step):
    rng = np.random.default_rng(step)
    batch = crops.batch(step)
    count, side = batch.truth.shape[:2]
    truths = list(rng.random((count, side, side, 3), dtype=np.float32))

    def given(truths):
        waiting = iter(truths)
        monkeypatch.setattr(Crops, "_crop", lambda self, rng, side: next(waiting))
        return crops.batch(step)

    first = given(truths)
    # the truth under the mask becomes another; so does what lies outside the picture
    unseen = (first.hidden == 1) | (first.inside == 0)
    others = [np.where(u[..., None], 1 - t, t) for t, u in zip(truths, unseen, strict=True)]
    second = given(others)
    np.testing.assert_array_equal(first.hidden, second.hidden)
    seen = first.inside == 1
    np.testing.assert_array_equal(first.harmonic[seen], second.harmonic[seen])
    assert (first.truth[unseen] != second.truth[unseen]).all()


def test_masks_of_all_families_come_when_the_first_are_learnt(crops, monkeypatch):
    asked = []

    def spy(rng, side, families):
        asked.append(families)
        mask = np.zeros((side, side), dtype=bool)
        mask[10:20, 10:20] = True
        return mask

    monkeypatch.setattr("helicopter.training._crops.random_mask", spy)
    crops.batch(1499)
    crops.batch(1500)
    assert asked[0] is LEARNABLE
    assert asked[-1] is WIDE
    asked.clear()
    Crops([photograph(0)], seed=5, learnable_steps=0).batch(0)
    assert asked[0] is WIDE


def test_small_photographs_give_small_crops():
    crops = Crops([photograph(0, 100, 120), photograph(1, 150, 150)], seed=0)
    sides = {crops.batch(step).truth.shape[1] for step in range(12)}
    assert sides == {96, 144}


def test_photographs_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match="96 pixels"):
        Crops([photograph(0, 95, 300)], seed=0)


def test_flat_photographs_do_not_stop_training():
    flat = np.full((128, 128, 3), 90, dtype=np.uint8)
    assert Crops([flat], seed=0).batch(0).truth.shape[1:] == (96, 96, 3)
