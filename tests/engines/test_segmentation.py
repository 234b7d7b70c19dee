"""Segmentation: exactly so many connected pieces that follow the content."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import holes, photograph, scene
from scipy.ndimage import distance_transform_cdt
from skimage.measure import label as connected_pieces

import helicopter
from helicopter.core.segments._partition import PRESETS, nearest_visible
from helicopter.testing.strategies import images


@pytest.fixture
def segment(backend):
    def of(image, *arguments, **options):
        return helicopter.segment(
            image, *arguments, use_rust_acceleration=backend == "rust", **options
        )

    return of


def is_partition(labels, count):
    """Whether each of `count` labels is one piece, numbered by first pixels."""
    assert labels.dtype == np.int32
    values, first = np.unique(labels, return_index=True)
    np.testing.assert_array_equal(values, np.arange(count))
    assert (np.diff(first) > 0).all()
    assert connected_pieces(labels, background=-1, connectivity=1).max() == count


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("count", [1, 2, 3, 50, 1000, 6143, 6144])
def test_there_are_as_many_segments_as_asked_for(segment, preset, count):
    image = photograph(64, 96)
    labels = segment(image, count, preset=preset)
    assert labels.shape == (64, 96)
    is_partition(labels, count)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 2), (7, 9), (65, 33), (8, 200)])
def test_images_of_any_size(segment, preset, shape):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    for count in {1, min(2, image.size), -(-image.size // 20), image.size}:
        is_partition(segment(image, count, preset=preset), count)


@pytest.mark.parametrize("preset", PRESETS)
def test_without_any_content_segments_are_of_a_size(segment, preset):
    labels = segment(np.full((120, 160, 3), 77, np.uint8), 30, preset=preset)
    is_partition(labels, 30)
    areas = np.bincount(labels.ravel())
    assert areas.min() > 640 / 4
    assert areas.max() < 640 * 4


@given(image=images(), seed=st.integers(0, 2**16))
def test_any_image(backend, image, seed):
    height, width = image.shape[:2]
    preset = list(PRESETS)[seed % 3]
    count = 1 + seed % (height * width)
    labels = helicopter.segment(
        image, count, preset=preset, use_rust_acceleration=backend == "rust"
    )
    is_partition(labels, count)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [None, 3, 4])
def test_regions_of_one_colour_are_found(segment, dtype, channels):
    """The answer is known: five rectangles, of which two have the same colour."""
    truth = np.zeros((96, 128), int)
    truth[:40, 60:] = 1
    truth[50:90, 8:40] = 2
    truth[56:80, 70:120] = 3
    truth[4:24, 4:30] = 4
    grey = np.array([0.2, 0.7, 0.9, 0.5, 0.7])[truth]
    image = (
        grey if channels is None else np.stack([grey, grey**2, 1 - grey, grey], 2)[:, :, :channels]
    )
    if channels == 4:
        image[:, :, 3] = 1
    scale = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    image = (image * scale).round(3 if scale == 1 else 0).astype(dtype)
    labels = segment(image, 5)
    order = {value: number for number, value in enumerate(dict.fromkeys(truth.ravel().tolist()))}
    np.testing.assert_array_equal(labels, np.vectorize(order.get)(truth))


def explained(image, labels):
    """Share of the variance of colours between segments."""
    colours, labels = image.reshape(labels.size, -1).astype(float), labels.ravel()
    count = np.bincount(labels)
    between = 0.0
    for channel in (colours - colours.mean(axis=0)).T:
        between += (np.bincount(labels, channel) ** 2 / count).sum()
    return between / np.square(colours - colours.mean(axis=0)).sum()


def compactness(labels):
    """Mean isoperimetric quotient by area (Schick et al., 2012)."""
    around = np.pad(labels, 1, constant_values=-1)
    area, perimeter = np.bincount(labels.ravel()), np.zeros(labels.max() + 1)
    height, width = labels.shape
    for top, left in ((0, 1), (2, 1), (1, 0), (1, 2)):
        other = around[top : top + height, left : left + width]
        perimeter += np.bincount(labels.ravel(), (other != labels).ravel())
    return (area * 4 * np.pi * area / perimeter**2).sum() / labels.size


def test_presets_are_what_they_are_for(segment):
    image = photograph(256, 384, 60, 120)
    found = {preset: segment(image, 100, preset=preset) for preset in PRESETS}
    spread = {preset: 1 - explained(image, labels) for preset, labels in found.items()}
    round_ = {preset: compactness(labels) for preset, labels in found.items()}
    assert spread["quality"] < spread["fast"] < spread["compact"]
    assert round_["compact"] > 1.5 * max(round_["quality"], round_["fast"])


def test_more_is_explained_than_by_slic(segment):
    from skimage.segmentation import slic

    image = photograph(256, 384, 60, 120)
    peer = slic(image, 100, compactness=10, start_label=0)
    for preset in PRESETS:
        labels = segment(image, peer.max() + 1, preset=preset)
        assert explained(image, labels) > explained(image, peer) + 0.02


def test_merges_are_those_of_the_definition(segment):
    """Against a plain implementation: recompute all costs from the pixels at every merge."""
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (5, 7), dtype=np.uint8)
    # so few pixels to a segment that atoms are pixels, and borders are put right once
    for count in (20, 12, 6):
        expected = plain_ward(image, count)
        found = helicopter.core.segments._partition.segment_values(
            inner_of(segment), image[:, :, None], np.zeros(image.shape, bool), count, "plain"
        )
        np.testing.assert_array_equal(found, expected)


def inner_of(segment):
    from helicopter.backends._engine import backend_of

    return backend_of(segment.__closure__[0].cell_contents)


@pytest.fixture(autouse=True)
def plain_preset(monkeypatch):
    """Nothing but merging, by colour alone."""
    from helicopter.backends.protocol import SegmentationOptions

    presets = {"plain": lambda count: SegmentationOptions(count, 10**6, 0.0, 0.0, 0.0, (0, 0))}
    monkeypatch.setattr("helicopter.core.segments._partition.PRESETS", {**PRESETS, **presets})


def plain_ward(image, count):
    labels = np.arange(image.size).reshape(image.shape)
    values = image.astype(float)
    while len(np.unique(labels)) > count:
        pairs = set()
        for one, other in ((labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])):
            both = np.sort(np.stack([one.ravel(), other.ravel()]), axis=0).T
            pairs |= {tuple(pair) for pair in both.tolist() if pair[0] != pair[1]}

        def growth(pair):
            one, other = (values[labels == label] for label in pair)
            both = np.concatenate([one, other])
            grown = both.size * both.var() - one.size * one.var() - other.size * other.var()
            return round(grown, 6), *pair

        kept, gone = min(pairs, key=growth)
        labels[labels == gone] = kept
    _, first, own = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[own].reshape(labels.shape)


@pytest.mark.parametrize("channels", [None, 3])
def test_hidden_pixels_do_not_matter(segment, channels):
    image, mask = scene(channels=channels), holes()
    expected = segment(image, 20, mask=mask)
    is_partition(expected, 20)
    for value in (np.nan, np.inf, -1e30):
        other = image.copy()
        other[mask] = value
        np.testing.assert_array_equal(segment(other, 20, mask=mask), expected)


def test_transparent_pixels_do_not_matter(segment):
    image = np.dstack([scene(dtype="uint8"), np.full((48, 56), 255, np.uint8)])
    image[holes(), 3] = 0
    other = image.copy()
    other[holes(), :3] = 255 - other[holes(), :3]
    np.testing.assert_array_equal(segment(other, 20), segment(image, 20))


def test_the_same_intensities_give_the_same_segments(segment):
    image = photograph()
    expected = segment(image, 40)
    for other in (
        image.astype(np.uint16) * 257,
        (image.astype(np.uint16) * 257).astype(">u2"),
        image / np.float64(255),
        np.asfortranarray(image),
        image[::-1][::-1],
    ):
        np.testing.assert_array_equal(segment(other, 40), expected)
    dark = (image.astype(np.uint16) * 16, (0, 4080))
    np.testing.assert_array_equal(segment(dark[0], 40, data_range=dark[1]), expected)


def test_every_number_of_threads_gives_the_same(segment):
    image = photograph(300, 340, 40, 60)
    expected = {preset: segment(image, 77, preset=preset) for preset in PRESETS}
    try:
        for threads in (1, 2, 4, 8):
            helicopter.set_num_threads(threads)
            for preset in PRESETS:
                np.testing.assert_array_equal(segment(image, 77, preset=preset), expected[preset])
    finally:
        helicopter.set_num_threads(None)


def test_the_input_is_left_alone(segment):
    image = photograph()
    before = image.copy()
    image.flags.writeable = False
    segment(image, 30, mask=holes(*image.shape[:2]))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("seed", range(12))
def test_hidden_pixels_take_after_the_nearest_visible_one(seed):
    rng = np.random.default_rng(seed)
    hidden = rng.random(rng.integers(1, 40, 2)) < rng.random()
    hidden[tuple(rng.integers(0, hidden.shape))] = False
    rows, columns = nearest_visible(hidden)
    assert not hidden[rows, columns].any()
    y, x = np.indices(hidden.shape)
    steps = abs(y - rows) + abs(x - columns)
    if hidden.any():
        assert (steps == distance_transform_cdt(hidden, metric="taxicab")).all()
