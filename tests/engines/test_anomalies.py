"""Anomalies of an image: what is found, what is left alone, and what counts."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from scenes import cloth, functions_of, mean_colour, spoilt_cloth

import helicopter
from helicopter.core import AnomalyDetector
from helicopter.errors import InvalidOptionError
from helicopter.testing.strategies import images_with_masks


def as_bytes(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


# What is found


@pytest.mark.parametrize("channels", [None, 3, 4])
def test_a_stain_is_found_and_outlined(anomaly_detector, channels):
    image, stain = spoilt_cloth(128, 160, channels)
    if channels == 4:
        image[:, :, 3] = 255
    found = anomaly_detector().find(image)
    (region,) = found.regions
    assert region.label == 1
    assert found.detected[stain].mean() > 0.8
    assert not found.detected[np.hypot(*(np.indices(stain.shape) - [[[64]], [[80]]])) > 22].any()
    assert region.mean_deviation < -20
    assert region.probability > 0.99
    assert region.q_value <= found.level == 0.1
    assert found.anomaly_map[stain].min() > np.percentile(found.anomaly_map[~stain], 80)


@pytest.mark.parametrize("kind", ["scratch", "missing", "foreign"])
def test_other_defects_are_found(anomaly_detector, kind):
    values = cloth(192, 192)
    y, x = np.mgrid[:192, :192]
    if kind == "scratch":
        where = (np.abs(y - 0.6 * x - 20) < 1.2) & (x > 40) & (x < 90)
        values[where] += 60
    elif kind == "missing":
        where = np.hypot(y - 70, x - 50) < 9
        values[where] = 128
    else:
        where = np.hypot(y - 70, x - 50) < 9
        values[where] = (128 + 25 * np.sin(2 * np.pi * (x + y) / 4.1))[where]
    found = anomaly_detector().find(as_bytes(values))
    assert len(found.regions) >= 1
    assert found.detected[where].any()
    for region in found.regions:
        row, col = region.peak
        assert np.hypot(*(np.argwhere(where) - [row, col]).T).min() < 6


def test_two_defects_are_ranked(anomaly_detector):
    values = cloth(128, 192)
    y, x = np.mgrid[:128, :192]
    values[np.hypot(y - 40, x - 40) < 7] -= 35
    values[np.hypot(y - 80, x - 140) < 7] += 80
    first, second = anomaly_detector().find(as_bytes(values)).regions
    assert (first.label, second.label) == (1, 2)
    assert first.score > second.score
    assert first.p_value <= second.p_value
    assert first.mean_deviation > 0 > second.mean_deviation
    assert abs(first.peak[1] - 140) < 9
    assert abs(second.peak[1] - 40) < 9


# What is left alone


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_declared_where_nothing_is_wrong(anomaly_detector, seed):
    found = anomaly_detector().find(as_bytes(cloth(128, 128, seed=seed)))
    assert found.regions == ()
    assert not found.detected.any()
    assert not found.labels.any()
    assert found.candidates > 20


@pytest.mark.parametrize("image", [np.full((70, 90), 0.3), np.zeros((64, 64, 3), bool)], ids=str)
def test_a_single_colour_has_no_anomalies(anomaly_detector, image):
    found = anomaly_detector().find(image)
    assert found.regions == ()
    assert np.isfinite(found.anomaly_map).all()


def test_noise_that_is_known_is_not_found_out_again(anomaly_detector, detector, monkeypatch):
    image, _ = noisy_patch(1)
    expected = anomaly_detector("harmonic").find(image)
    noise = detector().analyze(image)
    made = anomaly_detector("harmonic")
    monkeypatch.setattr(functions_of(made._engine), "analyze_noise", None)
    found = made.find(image, noise=noise)
    np.testing.assert_allclose(found.anomaly_map, expected.anomaly_map, atol=1e-4)
    np.testing.assert_array_equal(found.labels, expected.labels)
    with pytest.raises(InvalidOptionError, match="noise: got that of an image of"):
        made.find(image[:50], noise=noise)


def noisy_patch(seed):
    """Smooth, with weak noise all over and strong noise in one place."""
    y, x = np.mgrid[:192, :192]
    patch = (np.abs(y - 70) < 16) & (np.abs(x - 110) < 16)
    plane = 120 + 40 * np.sin(y / 41) * np.cos(x / 37)
    noise = np.random.default_rng(seed).normal(size=plane.shape)
    return as_bytes(plane + noise * np.where(patch, 12, 4)), patch


def test_noise_is_no_anomaly(anomaly_detector, monkeypatch):
    image, patch = noisy_patch(0)
    found = anomaly_detector().find(image)
    assert not found.detected[patch].any()
    told = np.median(found.anomaly_map[patch])
    # without what Zengeza says of it, it would be one
    monkeypatch.setattr(AnomalyDetector, "_noise", lambda *_: np.zeros(image.shape[:2], np.float32))
    untold = np.median(anomaly_detector().find(image).anomaly_map[patch])
    assert told + 0.4 < untold
    assert untold > 1.2


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 2), (8, 8), (9, 61, 3), (33, 17)], ids=str)
def test_small_images_have_an_answer(anomaly_detector, shape):
    image = np.random.default_rng(0).random(shape)
    found = anomaly_detector().find(image)
    assert found.anomaly_map.shape == found.detected.shape == shape[:2]
    assert found.anomaly_map.dtype == np.float32
    assert np.isfinite(found.anomaly_map).all()


# What counts


@settings(max_examples=10)
@given(images_with_masks(dtypes=("uint8", "<f4")))
def test_hidden_pixels_never_matter(anomaly_detector, given_image):
    image, mask = given_image
    expected = anomaly_detector("harmonic").find(image, mask=mask)
    other = image.copy()
    rng = np.random.default_rng(0)
    other[mask] = (rng.random(other[mask].shape) * (255 if image.dtype.kind == "u" else 1)).astype(
        image.dtype
    )
    if image.ndim == 3 and image.shape[2] == 4:
        other[..., 3] = image[..., 3]  # transparency is looked at
    found = anomaly_detector("harmonic").find(other, mask=mask)
    assert found.anomaly_map.tobytes() == expected.anomaly_map.tobytes()
    assert found.detected.tobytes() == expected.detected.tobytes()
    assert [r.to_dict() for r in found.regions] == [r.to_dict() for r in expected.regions]
    assert np.isnan(found.anomaly_map[mask]).all()
    assert not found.detected[mask].any()


def test_hidden_pixels_never_matter_to_the_network(anomaly_detector):
    image, stain = spoilt_cloth()
    image = image.astype(np.float32) / 255
    mask = np.zeros(stain.shape, bool)
    mask[20:30, 30:90] = True
    mask[:, 100:] = True
    expected = anomaly_detector().find(image, mask=mask)
    assert len(expected.regions) == 1
    for filling in (np.nan, 1.0):
        other = np.where(mask, np.float32(filling), image)
        found = anomaly_detector().find(other, mask=mask)
        assert found.anomaly_map.tobytes() == expected.anomaly_map.tobytes()
        assert found.labels.tobytes() == expected.labels.tobytes()
    assert np.isnan(expected.anomaly_map[mask]).all()


def test_what_is_hidden_is_not_declared(anomaly_detector):
    image, stain = spoilt_cloth()
    found = anomaly_detector().find(image, mask=stain)
    assert not found.detected[stain].any()


def test_transparent_pixels_are_left_out(anomaly_detector):
    image, stain = spoilt_cloth(channels=4)
    image[:, :, 3] = np.where(stain, 0, 255)
    found = anomaly_detector().find(image)
    assert np.isnan(found.anomaly_map[stain]).all()
    assert not found.detected[stain].any()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_scores_do_not_depend_on_the_units_and_deviations_are_in_them(anomaly_detector, dtype):
    image, _ = spoilt_cloth()
    whole = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    same = (image * (whole / 255)).astype(dtype)
    (expected,) = anomaly_detector().find(image).regions
    (found,) = anomaly_detector().find(same).regions
    assert found.bounding_box == expected.bounding_box
    assert found.score == pytest.approx(expected.score, abs=0.02)
    assert found.mean_deviation == pytest.approx(expected.mean_deviation * whole / 255, rel=0.01)
    low, high = -3.0, 5.0
    there = low + (high - low) * image / 255
    (found,) = anomaly_detector().find(there, data_range=(low, high)).regions
    assert found.mean_deviation == pytest.approx(expected.mean_deviation * 8 / 255, rel=0.01)


def test_the_level_is_what_decides(anomaly_detector):
    image, _ = spoilt_cloth()
    detector = anomaly_detector()
    (region,) = detector.find(image).regions
    assert detector.find(image, level=region.q_value / 2).regions == ()
    assert len(detector.find(image, level=min(1.01 * region.q_value, 0.9)).regions) == 1
    many = detector.find(image, level=0.999)
    assert len(many.regions) > 1
    scores = [r.score for r in many.regions]
    assert scores == sorted(scores, reverse=True)


def test_regions_labels_and_pixels_say_the_same(anomaly_detector):
    image, _ = spoilt_cloth()
    found = anomaly_detector().find(image, level=0.999)
    np.testing.assert_array_equal(found.labels > 0, found.detected)
    assert found.labels.max() == len(found.regions)
    for region in found.regions:
        pixels = found.labels == region.label
        rows, cols = np.nonzero(pixels)
        assert region.area == pixels.sum()
        box = (rows.min(), cols.min(), rows.max() + 1, cols.max() + 1)
        assert region.bounding_box == box
        assert pixels[region.peak]
        assert region.score == found.anomaly_map[region.peak]


def test_regions_of_whole_segments(anomaly_detector):
    image, stain = spoilt_cloth(128, 128)
    y, x = np.mgrid[:128, :128]
    segments = 100 * (y // 8) + x // 8 - 50
    segments[stain] = 7777
    found = anomaly_detector().find(image, segments=segments)
    assert found.detected[stain].all()
    for value in np.unique(segments):
        assert len(np.unique(found.detected[segments == value])) == 1
    assert not found.detected.all()


def test_regions_of_segments_that_follow_the_content(anomaly_detector):
    image, stain = spoilt_cloth(96, 96)
    found = anomaly_detector("harmonic").find(image, segments=60)
    assert found.detected[stain].mean() > 0.8
    (region,) = found.regions
    whole = helicopter.segment(image, 60, use_rust_acceleration=found.backend == "rust")
    for value in np.unique(whole):
        assert len(np.unique(found.detected[whole == value])) == 1
    assert region.area == found.detected.sum() < 1000


def test_twice_is_the_same_and_seeds_matter(anomaly_detector):
    image, _ = spoilt_cloth()
    one, two = (anomaly_detector().find(image) for _ in range(2))
    assert one.anomaly_map.tobytes() == two.anomaly_map.tobytes()
    assert one.to_dict() | {"seconds": 0} == two.to_dict() | {"seconds": 0}
    other = anomaly_detector(seed=3).find(image)
    assert other.anomaly_map.tobytes() != one.anomaly_map.tobytes()
    assert len(other.regions) == 1


def test_strips_make_no_difference(anomaly_detector, monkeypatch):
    image, _ = spoilt_cloth(150, 96)
    whole = anomaly_detector("harmonic").find(image)
    monkeypatch.setattr("helicopter.core.anomalies._map.STRIP", 40)
    monkeypatch.setattr("helicopter.core.anomalies._map.SMALL", 0)
    strips = anomaly_detector("harmonic").find(image)
    np.testing.assert_allclose(strips.anomaly_map, whole.anomaly_map, atol=1e-5)
    np.testing.assert_array_equal(strips.labels, whole.labels)


def test_an_algorithm_of_ones_own(anomaly_detector, kernel):
    kernel("mean_colour", mean_colour)
    image, stain = spoilt_cloth()
    found = anomaly_detector("mean_colour").find(image)
    assert found.algorithm == "mean_colour"
    assert found.detected[stain].any()


def test_progress_counts_to_its_end_and_can_stop(anomaly_detector):
    image, _ = spoilt_cloth(64, 64)
    seen = []
    anomaly_detector("harmonic").find(image, progress=lambda *at: seen.append(at))
    assert seen == [(done, 4) for done in range(5)]

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        anomaly_detector("harmonic").find(image, progress=stop)


# The call


def test_the_short_form_is_the_detector(anomaly_detector, backend):
    image, stain = spoilt_cloth(96, 96)
    rust = backend == "rust"
    short = helicopter.find_anomalies(
        image, level=0.2, mask=~stain & False, seed=1, use_rust_acceleration=rust
    )
    long = anomaly_detector(seed=1).find(image, level=0.2)
    assert short.to_dict() | {"seconds": 0} == long.to_dict() | {"seconds": 0}
    assert short.anomaly_map.tobytes() == long.anomaly_map.tobytes()
    names = set(inspect.signature(helicopter.find_anomalies).parameters)
    of_detector = {
        *inspect.signature(AnomalyDetector).parameters,
        *inspect.signature(AnomalyDetector.find).parameters,
    }
    assert names == of_detector - {"self"}


@pytest.mark.parametrize("value", [0, 1, -0.1, 2, "0.1", None, True, np.nan])
def test_a_bad_level_is_refused(anomaly_detector, value):
    with pytest.raises(InvalidOptionError, match=r"level: got .*; expected a number between 0 and"):
        anomaly_detector().find(np.zeros((8, 8)), level=value)


@pytest.mark.parametrize(
    "value", ["slic", 0.5, 0, 65, True, (2, 2), np.zeros((4, 4), int), np.zeros((8, 8))]
)
def test_bad_segments_are_refused(anomaly_detector, value):
    with pytest.raises(InvalidOptionError, match="segments: "):
        anomaly_detector().find(np.zeros((8, 8)), segments=value)
