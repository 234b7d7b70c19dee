"""Invariant 3: parts that cannot see each other do not influence each other, in whatever order."""

import numpy as np
import pytest
from noises import with_noise
from scenes import BUILT_IN, CONCRETE, EQUATIONS, calm_scene, noisy_scene, photograph, scene
from segment_scenes import patchwork, voronoi

from helicopter import set_num_threads

SIDE = 64
#: Two holes, and a wall of visible pixels between them.
FIRST = np.s_[6:26, 6:26]
SECOND = np.s_[34:60, 34:60]


def masks():
    first, second = np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
    first[FIRST] = True
    second[SECOND] = True
    return first, second


@pytest.mark.parametrize("algorithm", EQUATIONS)
def test_a_hole_elsewhere_changes_nothing(regional, algorithm):
    image = scene(SIDE, SIDE)
    first, second = masks()
    alone = regional(algorithm).reconstruct(image, first).reconstruction
    both = regional(algorithm).reconstruct(image, first | second).reconstruction
    np.testing.assert_allclose(both[FIRST], alone[FIRST], atol=1e-6, rtol=0)
    alone = regional(algorithm).reconstruct(image, second).reconstruction
    np.testing.assert_allclose(both[SECOND], alone[SECOND], atol=1e-6, rtol=0)


@pytest.mark.parametrize("algorithm", EQUATIONS)
def test_holes_of_every_shape_elsewhere_change_nothing(regional, algorithm):
    image = scene(SIDE, SIDE)
    first, _ = masks()
    alone = regional(algorithm).reconstruct(image, first).reconstruction
    rng = np.random.default_rng(0)
    for share in (0.01, 0.3, 0.97):
        other = rng.random((SIDE, SIDE)) < share
        other[2:30, 2:30] = False
        result = regional(algorithm).reconstruct(image, first | other).reconstruction
        np.testing.assert_allclose(result[FIRST], alone[FIRST], atol=1e-6, rtol=0)


@pytest.mark.parametrize("algorithm", EQUATIONS)
def test_values_beyond_the_wall_change_nothing(regional, algorithm):
    image = scene(SIDE, SIDE)
    first, second = masks()
    expected = regional(algorithm).reconstruct(image, first | second).reconstruction
    wall = np.zeros_like(first)
    wall[4:28, 4:28] = True  # two pixels wide, as far as the plate looks
    changed = np.where(wall[:, :, None], image, 1 - image)
    result = regional(algorithm).reconstruct(changed, first | second).reconstruction
    np.testing.assert_allclose(result[FIRST], expected[FIRST], atol=1e-6, rtol=0)
    assert np.abs(result[SECOND] - expected[SECOND]).max() > 0.05
    # one pixel nearer, they do change something
    wall[4] = False
    wall[5] = algorithm == "biharmonic"
    changed = np.where(wall[:, :, None], image, 1 - image)
    result = regional(algorithm).reconstruct(changed, first | second).reconstruction
    assert np.abs(result[FIRST] - expected[FIRST]).max() > 1e-3


@pytest.mark.parametrize("algorithm", EQUATIONS)
def test_channels_do_not_influence_each_other(regional, algorithm):
    image = scene(SIDE, SIDE)
    first, second = masks()
    together = regional(algorithm).reconstruct(image, first | second).reconstruction
    for channel in range(3):
        alone = regional(algorithm).reconstruct(image[:, :, channel], first | second)
        np.testing.assert_allclose(together[:, :, channel], alone.reconstruction, atol=1e-6, rtol=0)


@pytest.mark.parametrize("algorithm", EQUATIONS)
def test_the_order_of_the_pixels_does_not_matter(regional, algorithm):
    image = scene(SIDE, 50)
    mask = np.random.default_rng(1).random((SIDE, 50)) < 0.6
    expected = regional(algorithm).reconstruct(image, mask)
    for turn in (
        lambda a: a[::-1],
        lambda a: a[:, ::-1],
        lambda a: np.swapaxes(a, 0, 1),
    ):
        result = regional(algorithm).reconstruct(turn(image), turn(mask))
        np.testing.assert_allclose(
            result.reconstruction, turn(expected.reconstruction), atol=2e-6, rtol=0
        )


@pytest.mark.parametrize("strategy", CONCRETE)
def test_patches_of_one_step_do_not_influence_each_other(autonomous, strategy):
    """All patches of a batch are predicted from the same context, so their order does not count."""
    image = scene(96, 96)
    result = autonomous(8, 24, strategy=strategy).autonomous_analyze(image, max_iterations=1)
    step = result.history[0].patches
    assert len(step) > 3
    # what one patch of the batch looks like is seen by none of the others
    other = image.copy()
    for patch in step[1:]:
        top, left = patch // 12 * 8, patch % 12 * 8
        other[top : top + 8, left : left + 8] = 1 - other[top : top + 8, left : left + 8]
    again = autonomous(8, 24, strategy=strategy).autonomous_analyze(other, max_iterations=1)
    assert again.history[0].patches == step
    top, left = step[0] // 12 * 8, step[0] % 12 * 8
    box = np.s_[top : top + 8, left : left + 8]
    np.testing.assert_array_equal(again.reconstruction[box], result.reconstruction[box])


@pytest.fixture
def threads():
    yield set_num_threads
    set_num_threads(None)


@pytest.mark.parametrize("algorithm", EQUATIONS)
def test_holes_side_by_side_on_many_threads(regional, threads, algorithm):
    """Many holes, solved in parallel, each as if it were alone."""
    image = scene(320, 320)
    mask = np.zeros((320, 320), bool)
    corners = [(y, x) for y in range(4, 300, 24) for x in range(4, 300, 24)]
    rng = np.random.default_rng(2)
    sizes = rng.integers(3, 20, (len(corners), 2))
    for (y, x), (h, w) in zip(corners, sizes, strict=True):
        mask[y : y + h, x : x + w] = True
    threads(8)
    together = regional(algorithm).reconstruct(image, mask).reconstruction
    threads(1)
    for at in range(0, len(corners), 31):
        (y, x), (h, w) = corners[at], sizes[at]
        alone = np.zeros_like(mask)
        alone[y : y + h, x : x + w] = True
        expected = regional(algorithm).reconstruct(image, alone).reconstruction
        np.testing.assert_allclose(together[alone], expected[alone], atol=1e-6, rtol=0)


# Noise


def figures(segment):
    return repr(segment.to_dict(arrays=True))


@pytest.mark.parametrize("channels", [None, 3])
def test_segments_know_nothing_of_each_other(detector, channels):
    image = noisy_scene(SIDE, SIDE, channels)
    y, x = np.mgrid[:SIDE, :SIDE]
    labels = np.where(np.hypot(y - 30, x - 34) < 20, 5, 2 * (x > 40))  # a disc in two halves
    expected = detector().analyze(image, segments=labels)
    assert [segment.label for segment in expected.segments] == [0, 2, 5]
    for number, kind in ((0, "salt_pepper"), (2, "periodic"), (5, "speckle")):
        other = with_noise(kind, calm_scene(SIDE, SIDE, channels) / 2, seed=9)
        inside = labels == number if channels is None else (labels == number)[:, :, None]
        found = detector().analyze(np.where(inside, other, image), segments=labels)
        for one, two in zip(found.segments, expected.segments, strict=True):
            assert (figures(one) == figures(two)) == (one.label != number)


def test_a_segment_is_analysed_as_if_it_were_all_there_is(detector):
    image = noisy_scene(SIDE, SIDE, 3)
    labels = np.zeros((SIDE, SIDE), int)
    labels[8:50, 5:61] = 1
    whole = detector().analyze(image, segments=labels)
    alone = detector().analyze(np.ascontiguousarray(image[8:50, 5:61]))
    of_rest = detector().analyze(image, mask=labels == 1)
    for segment, expected in zip(whole.segments, (of_rest, alone), strict=True):
        for name in ("sigma", "kind_probabilities", "parameters"):
            assert repr(segment[name]) == repr(expected[name]), name
        # the moments of all segments are summed up in one pass
        for name in ("total_sigma", "snr_db"):
            assert segment[name] == pytest.approx(expected[name], rel=1e-4), name


def test_what_segments_are_called_does_not_matter(detector):
    image = noisy_scene(SIDE, SIDE)
    labels = np.arange(SIDE)[:, None] // 22 + np.zeros((SIDE, SIDE), int)
    expected = detector().analyze(image, segments=labels).segments
    found = detector().analyze(image, segments=100 - 7 * labels).segments
    for one, two in zip(found[::-1], expected, strict=True):
        assert figures(one).replace(f"'label': {one.label}", "") == figures(two).replace(
            f"'label': {two.label}", ""
        )


# Segments


def of_segment(result, number):
    """All that is said of one segment, to the bit, but for its share of the errors of all."""
    own = result.labels == number
    maps = (
        result.reconstruction,
        result.uncertainty_map,
        result.confidence_map,
        result.hidden_mask,
    )
    record = {name: value for name, value in result.segments[number].items() if name != "priority"}
    return [values[own].tobytes() for values in maps], result.error_map[own].tobytes(), repr(record)


@pytest.mark.parametrize("algorithm", [*BUILT_IN, "exemplar"])
def test_a_segment_knows_nothing_of_the_others(segmental, algorithm):
    image, labels = patchwork()
    mask = np.random.default_rng(2).random(labels.shape) < 0.03
    engine = segmental(algorithm=algorithm)
    expected = engine.segment_aware_reconstruction(image, segments=labels, mask=mask)
    for number, value in enumerate(np.unique(labels)):
        own = labels == value
        changed = np.where(own[:, :, None], image, 1 - image)
        result = engine.segment_aware_reconstruction(changed, segments=labels, mask=mask)
        assert of_segment(result, number) == of_segment(expected, number)
        # what else is missing, and how the rest is cut into segments, does not matter either
        recut = np.where(own, number, len(np.unique(labels)) + voronoi(*labels.shape, 3, seed=7))
        recut[~own] -= len(np.unique(labels)) - number - 1
        other = engine.segment_aware_reconstruction(changed, segments=recut, mask=mask | ~own)
        first = int(np.flatnonzero([one.label == number for one in other.segments])[0])
        maps, error, _ = of_segment(other, first)
        assert (maps, error) == of_segment(expected, number)[:2]


def test_a_halo_reaches_so_far_and_no_further(segmental):
    image, labels = photograph(72, 80), patchwork()[1]
    engine = segmental(halo=5)
    expected = engine.segment_aware_reconstruction(image, segments=labels)
    for number, value in enumerate(np.unique(labels)):
        own = labels == value
        near = np.zeros_like(own)
        for y, x in zip(*np.nonzero(own), strict=True):
            near[max(y - 5, 0) : y + 6, max(x - 5, 0) : x + 6] = True
        changed = np.where(near[:, :, None], image, 255 - image)
        result = engine.segment_aware_reconstruction(changed, segments=labels)
        assert of_segment(result, number) == of_segment(expected, number)
        if expected.segments[number].scored_pixels:
            changed = np.where(own[:, :, None], image, 255 - image)
            result = engine.segment_aware_reconstruction(changed, segments=labels)
            assert of_segment(result, number) != of_segment(expected, number)


def test_what_a_halo_shows_is_the_truth_and_is_not_scored(segmental, kernel):
    image, labels = scene(48, 40) * 0.5 + 0.4, np.zeros((48, 40), int)
    labels[:, 20:] = 1
    seen = []

    def spy(context, mask):
        seen.append((context.copy(), mask.copy()))
        return np.full_like(context, 0.25)

    kernel("spy", spy)
    result = segmental(algorithm="spy", halo=3).segment_aware_reconstruction(image, segments=labels)
    (left, left_mask), (right, right_mask) = seen
    assert left_mask.shape == right_mask.shape == (48, 23)
    assert not left_mask[:, 20:].any()
    np.testing.assert_array_equal(left[:, 20:], image[:, 20:23])
    np.testing.assert_array_equal(right[:, :3], image[:, 17:20])
    assert sum(one.scored_pixels for one in result.segments) == result.hidden_mask.sum()


def test_the_order_and_the_threads_of_segments_do_not_matter(segmental, backend):
    image = photograph(200, 240)
    labels = voronoi(200, 240, 30)
    labels[labels > 9] = 99  # one far larger than the rest
    found = []
    for threads in (1, 2, 5):
        set_num_threads(threads)
        try:
            result = segmental().segment_aware_reconstruction(image, segments=labels)
            other = segmental().segment_aware_reconstruction(image, segments=-labels)
        finally:
            set_num_threads(None)
        count = len(result.segments)
        found.append([of_segment(result, number) for number in range(count)])
        backwards = [of_segment(other, count - 1 - number)[:2] for number in range(count)]
        assert backwards == [one[:2] for one in found[-1]]
    assert found[0] == found[1] == found[2]
