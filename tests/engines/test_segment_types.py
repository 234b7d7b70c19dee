"""What kind of thing a segment is, on scenes where that is plain."""

import numpy as np
import pytest
from segment_scenes import tile_scene, voronoi, written

from helicopter.core import SEGMENT_TYPES
from helicopter.core.segments._types import EFFORTS, STRIP, border_pixels, extents, types_of

PLAIN = ("smooth", "edge", "texture", "text", "detail")


def typed(image, labels, visible=None):
    pixels = np.asarray(image, dtype=np.float32)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    count = int(labels.max()) + 1
    visible = np.ones(labels.shape, bool) if visible is None else visible
    areas = extents(labels, count)[1]
    return types_of(pixels, visible, labels, areas, border_pixels(labels, count))


def surrounded(tile):
    """The tile, in a broad frame of another segment, so that it is no background."""
    side = len(tile)
    image = np.full((3 * side, 3 * side), 0.9, dtype=np.float32)
    labels = np.zeros(image.shape, int)
    middle = np.s_[side : 2 * side, side : 2 * side]
    image[middle], labels[middle] = tile, 1
    return image, labels


@pytest.mark.parametrize("kind", PLAIN)
def test_plain_scenes(kind):
    image, labels = surrounded(tile_scene(kind))
    assert typed(image, labels) == ["background", kind]
    for turned in (np.rot90, np.fliplr, np.transpose):
        assert typed(turned(image), turned(labels))[1] == kind
    assert typed(1 - image, labels)[1] == kind
    colour = image[:, :, None] * np.array([1.0, 0.9, 0.95], np.float32)
    assert typed(colour, labels)[1] == kind


@pytest.mark.parametrize("size", [10, 12, 16, 20])
@pytest.mark.parametrize("text", ["Hamburgefonts\n0123456789", "the quick fox\njumps over it"])
def test_letters_of_the_default_font(text, size):
    page = written(text, size, (80, 160)) / 255
    image, labels = np.full((240, 480), 0.5), np.zeros((240, 480), int)
    image[80:160, 160:320], labels[80:160, 160:320] = page, 1
    for picture in (image, 1 - image, 0.3 + 0.5 * image):
        assert typed(picture, labels)[1] == "text"


def test_stripes_are_no_text():
    x = np.arange(64)
    stripes = np.where(x // 4 % 2, 0.9, 0.1) * np.ones((64, 1))
    assert typed(*surrounded(stripes))[1] != "text"


def test_the_background_is_large_calm_and_at_the_border():
    labels = np.zeros((100, 100), int)
    labels[30:70, 30:70] = 1
    calm = np.full((100, 100), 0.5)
    assert typed(calm, labels) == ["background", "smooth"]
    labels[:10, :10] = 2  # at the border, but small
    assert typed(calm, labels)[2] == "smooth"
    restless = calm + np.random.default_rng(0).normal(0, 0.1, calm.shape)
    assert typed(restless, labels)[0] == "texture"


def test_pixels_of_others_and_hidden_ones_have_no_say():
    rng = np.random.default_rng(3)
    labels = voronoi(2 * STRIP + 37, 90, 12)
    image = rng.random(labels.shape).astype(np.float32) * 0.2 + 0.01 * labels
    visible = rng.random(labels.shape) < 0.97
    expected = typed(image, labels, visible)
    for number in range(12):
        changed = np.where((labels == number) & visible, image, rng.random(labels.shape))
        assert typed(changed, labels, visible)[number] == expected[number]


def test_the_smallest_segments_have_a_type():
    for shape in ((1, 1), (1, 9), (9, 1), (2, 2), (5, 7)):
        labels = np.arange(np.prod(shape)).reshape(shape)
        for visible in (True, False):
            found = typed(np.zeros(shape), labels, np.full(shape, visible))
            assert set(found) <= set(SEGMENT_TYPES)
            assert len(found) == labels.size


def test_every_type_has_its_effort():
    assert set(EFFORTS) == set(SEGMENT_TYPES)
    for effort in EFFORTS.values():
        assert effort.max_iterations >= 8
        assert 0 < effort.target_quality < 1
        assert 0 < effort.plateau < 0.01
    assert EFFORTS["smooth"].max_iterations < EFFORTS["texture"].max_iterations
    assert EFFORTS["texture"].target_quality < EFFORTS["smooth"].target_quality
