"""Segments: which there are, and that they are taken for themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from noises import same
from scenes import noisy_scene

import helicopter
from helicopter.core import NOISE_ACTIONS, NOISE_KINDS
from helicopter.core.validation import check_segments

INTEGERS = ("int8", "uint8", "<i2", ">i4", "uint32", "int64", "uint64")


def brute_force(labels):
    return [
        (
            int(label),
            (int(y.min()), int(x.min()), int(y.max()) + 1, int(x.max()) + 1),
            len(y),
        )
        for label in np.unique(labels)
        for y, x in [np.nonzero(labels == label)]
    ]


def facts(found):
    return [(part.label, part.bounding_box, part.area) for part in found.segments]


def test_a_grid_of_segments(detector):
    image = noisy_scene(61, 90)
    found = detector().analyze(image, segments=3)
    assert [part.label for part in found.segments] == list(range(9))
    assert facts(found)[0] == (0, (0, 0, 21, 30), 21 * 30)
    assert facts(found)[8] == (8, (41, 60, 61, 90), 20 * 30)
    assert sum(part.area for part in found.segments) == image.size
    assert len(detector().analyze(image, segments=(2, 1)).segments) == 2
    assert len(detector().analyze(image, segments=[1, np.int64(2)]).segments) == 2
    assert detector().analyze(image).segments == ()
    for part in found.segments:
        assert part.action in NOISE_ACTIONS
        assert 0 <= part.priority <= 1
        assert part.sigma == pytest.approx(10, rel=0.4)
        assert tuple(part.kind_probabilities) == NOISE_KINDS


def test_any_labels(detector):
    image = noisy_scene(140, 40)  # more rows than are looked at together
    y, x = np.mgrid[:140, :40]
    ring = ((np.hypot(y - 60, x - 15) // 22) % 3).astype(int)
    expected = detector().analyze(image, segments=ring)
    assert facts(expected) == brute_force(ring)
    far_apart = np.array([-(2**63), 0, 2**63 - 1])
    beyond = np.array([2**63, 2**63 + 5, 2**64 - 1], "u8")
    for labels in (ring * 50 - 7, far_apart[ring], beyond[ring]):
        found = detector().analyze(image, segments=labels)
        assert facts(found) == brute_force(labels)
        one, two = ([part.to_dict() for part in r.segments] for r in (expected, found))
        assert [{**part, "label": 0} for part in one] == [{**part, "label": 0} for part in two]
    for same_labels in (ring.astype(">i4"), np.asfortranarray(ring), ring.tolist()):
        assert same(expected, detector().analyze(image, segments=same_labels))


def test_segments_leave_the_whole_alone(detector):
    image = noisy_scene(64, 80)
    whole = detector().analyze(image)
    parts = detector().analyze(image, segments=2)
    assert same(whole, helicopter.core.NoiseAnalysis(**{**parts, "segments": ()}))


def test_a_segment_of_which_nothing_is_visible_is_left_out(detector):
    image = noisy_scene(64, 96)
    mask = np.zeros(image.shape, bool)
    mask[:, 32:64] = True
    mask[:40, :5] = True
    found = detector().analyze(image, mask=mask, segments=(1, 3))
    assert facts(found) == [(0, (0, 0, 64, 32), 64 * 32), (2, (0, 64, 64, 96), 64 * 32)]
    whole = detector().analyze(image, mask=mask, segments=np.full(image.shape, 9))
    assert [part.label for part in whole.segments] == [9]


@given(st.data())
def test_labels_are_numbered_in_their_order(data):
    height, width = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    dtype = np.dtype(data.draw(st.sampled_from(INTEGERS)))
    info = np.iinfo(dtype)
    pool = data.draw(st.lists(st.integers(int(info.min), int(info.max)), min_size=1, max_size=6))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    labels = np.array(pool, dtype)[rng.integers(0, len(pool), (height, width))]
    values, numbered = check_segments(labels, (height, width, 3))
    assert values == [int(value) for value in np.unique(labels)]
    assert numbered.dtype == np.int32
    assert numbered.flags.c_contiguous
    np.testing.assert_array_equal(np.array(values, dtype)[numbered], labels)
