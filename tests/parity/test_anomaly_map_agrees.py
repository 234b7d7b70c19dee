"""What is measured in search of anomalies, in Rust against NumPy and against plain definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import holes, scene

from helicopter.backends.protocol import AnomalyEvidence
from helicopter.backends.reference import backend as reference

pytestmark = pytest.mark.usefixtures("both_backends")


def backends():
    from helicopter.backends.rust import RustBackend

    return reference, RustBackend()


def evidence(height, width, channels=3, seed=0, everything=False):
    rng = np.random.default_rng(seed)
    image = scene(height, width, channels, seed=seed)
    prediction = np.clip(image + rng.normal(0, 0.05, image.shape), 0, 1).astype(np.float32)
    sigma, noise = (rng.random((height, width)).astype(np.float32) * 0.1 for _ in range(2))
    included = np.ones((height, width), bool) if everything else ~holes(height, width)
    included[0, 0] = True
    return AnomalyEvidence(image, prediction, sigma, noise, included)


@pytest.mark.parametrize("width", [0.7, 1.5, 6.0])
@pytest.mark.parametrize("shape", [(48, 56, 3), (48, 56, 1), (9, 130, 3), (130, 9, 3), (8, 8, 1)])
@pytest.mark.parametrize("everything", [True, False])
def test_measurements(width, shape, everything):
    given = evidence(*shape, everything=everything)
    python, rust = (one.anomaly_measurements(given, width) for one in backends())
    assert python.shape == rust.shape == (*shape[:2], 2 * shape[2] + 7)
    assert python.dtype == rust.dtype == np.float32
    there = given.included
    np.testing.assert_allclose(rust[there], python[there], rtol=2e-4, atol=2e-5)


def test_what_is_left_out_has_no_influence():
    given = evidence(40, 40)
    left_out = ~given.included
    other = AnomalyEvidence(*(part.copy() for part in given))
    for part in other[:4]:
        part[left_out] = 0.9
    for backend in backends():
        expected, found = (backend.anomaly_measurements(one, 3.0) for one in (given, other))
        there = given.included
        np.testing.assert_array_equal(found[there], expected[there])


def test_windows_of_a_constant_are_that_constant():
    ones = np.ones((20, 30), np.float32)
    given = AnomalyEvidence(
        np.full((20, 30, 1), 0.75, np.float32), np.full((20, 30, 1), 0.5, np.float32),
        0.2 * ones, 0.1 * ones, ones > 0,
    )  # fmt: skip
    energies = np.array([0.0625, 0.04, 0, 0, 0, 0, 0.01])
    expected = [0.25, 0.75, *np.log(energies + 4e-6)]
    for backend in backends():
        found = backend.anomaly_measurements(given, 3.0)
        np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=2e-5)


@given(seed=st.integers(0, 2**16), count=st.integers(1, 15), width=st.integers(1, 20))
def test_distances(seed, count, width):
    rng = np.random.default_rng(seed)
    measured = rng.normal(size=(3, width, count)).astype(np.float32)
    centre, root = rng.normal(size=count), rng.normal(size=(count, count))
    form = root @ root.T - np.eye(count) * rng.random()
    python, rust = (one.squared_distances(measured, centre, form) for one in backends())
    np.testing.assert_allclose(rust, python, rtol=1e-9, atol=1e-9)
    away = measured[1, 0] - centre
    assert python[1, 0] == pytest.approx(max(away @ form @ away, 0), abs=1e-9)
