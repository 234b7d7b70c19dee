"""What `benchmarks/anomalies.py` measures by, against values that are known, and what it draws."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def _load(name):
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def bench():
    return _load("anomalies")


@pytest.fixture(scope="module")
def models():
    return _load("anomaly_models")


def test_areas_of_small_cases(bench):
    truth = np.array([0, 0, 1, 1], bool)
    scores = np.array([0.1, 0.4, 0.35, 0.8])
    # the example in scikit-learn's documentation of both functions
    assert bench.roc_auc(scores, truth) == pytest.approx(0.75)
    assert bench.average_precision(scores, truth) == pytest.approx(0.8333333)
    assert bench.roc_auc(-scores, truth) == pytest.approx(0.25)


def test_areas_at_the_ends_and_of_ties(bench):
    truth = np.arange(100) < 10
    assert bench.roc_auc(truth.astype(float), truth) == 1.0
    assert bench.average_precision(truth.astype(float), truth) == 1.0
    assert bench.roc_auc(np.ones(100), truth) == 0.5
    assert bench.average_precision(np.ones(100), truth) == pytest.approx(0.1)


def test_the_area_under_the_curve_is_a_probability(bench):
    rng = np.random.default_rng(0)
    truth = rng.random(300) < 0.3
    scores = np.round(rng.random(300) + 0.3 * truth, 1)
    above = scores[truth][:, None] - scores[~truth][None, :]
    expected = np.mean((above > 0) + 0.5 * (above == 0))
    assert bench.roc_auc(scores, truth) == pytest.approx(expected)


def test_defects_are_where_the_truth_says(models):
    values = models.texture("woven", (128, 128), 3)
    other = models.texture("wood", (128, 128), 4)
    sound = models.damage(values, [], "weak", np.random.default_rng(0))
    kinds = list(models.DEFECTS)
    spoilt = models.damage(values, kinds, "strong", np.random.default_rng(0), other)
    assert not sound.truth.any()
    assert set(np.unique(spoilt.truth)) == {0, 1, 2, 3, 4}
    apart = np.abs(sound.image.astype(int) - spoilt.image).max(axis=2)
    for number in range(1, 5):
        assert apart[spoilt.truth == number].mean() > 15
    far = ~binary_dilation(spoilt.truth > 0, iterations=6)
    assert apart[far].max() == 0


def test_textures_differ_by_seed_and_by_name(models):
    drawn = {(n, s): models.texture(n, (64, 64), s) for n in models.TEXTURES for s in (0, 1)}
    flat = [values.tobytes() for values in drawn.values()]
    assert len(set(flat)) == len(flat)
    np.testing.assert_array_equal(drawn["wood", 1], models.texture("wood", (64, 64), 1))
    assert set(models.CHOOSING) < set(models.TEXTURES)
