"""The folder that a user names: what is taken from it, and what is refused in which words."""

import numpy as np
import pytest
from training_scenes import photograph

from helicopter.errors import InvalidImageError, InvalidOptionError
from helicopter.io import write_image
from helicopter.training._photographs import find_photographs, hold_out, read_photographs


def test_images_are_found_by_name_and_nothing_else_is(tmp_path):
    for name in ("b.png", "a.JPG", "c.tiff", "d.webp", "notes.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in find_photographs(tmp_path)] == [
        "a.JPG", "b.png", "c.tiff", "d.webp",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
def test_a_folder_without_images_is_refused(tmp_path, kind):
    folder = {"missing": tmp_path / "no", "file": tmp_path / "f", "empty": tmp_path}[kind]
    if kind == "file":
        folder.write_bytes(b"x")
    with pytest.raises(InvalidOptionError, match="folder") as caught:
        find_photographs(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(("count", "kept_out"), [(2, [1]), (9, [8]), (10, [9]), (25, [9, 19])])
def test_every_tenth_is_kept_out(count, kept_out):
    training, others = hold_out(list(range(count)))
    assert others == kept_out
    assert sorted(training + others) == list(range(count))


def test_one_photograph_is_not_enough():
    with pytest.raises(InvalidOptionError, match="--validation"):
        hold_out([1])


def test_colour_comes_as_it_is_and_grey_three_times(tmp_path):
    image = photograph(0, 100, 110)
    write_image(tmp_path / "a.png", image)
    write_image(tmp_path / "b.png", image[..., 1])
    seen = []
    first, second = read_photographs(
        [tmp_path / "a.png", tmp_path / "b.png"],
        progress=lambda done, total: seen.append((done, total)),
    )
    np.testing.assert_array_equal(first, image)
    np.testing.assert_array_equal(second, image[..., 1:2].repeat(3, axis=2))
    assert seen == [(1, 2), (2, 2)]


def test_twelve_bits_in_sixteen(tmp_path):
    image = photograph(0, 100, 110)[..., 0]
    write_image(tmp_path / "a.tif", image.astype(np.uint16) * 16)
    (found,) = read_photographs([tmp_path / "a.tif"], data_range=(0, 4080))
    np.testing.assert_array_equal(found[..., 0], image)
    write_image(tmp_path / "b.tif", image.astype(np.uint16))
    with pytest.raises(InvalidImageError, match="data_range"):
        read_photographs([tmp_path / "b.tif"])


def test_a_bad_file_is_named(tmp_path):
    good, bad, small = (tmp_path / name for name in ("good.png", "bad.png", "small.png"))
    write_image(good, photograph(0, 100, 110))
    write_image(small, photograph(0, 95, 110))
    bad.write_bytes(b"no image")
    with pytest.raises(InvalidImageError, match=r"bad\.png"):
        read_photographs([good, bad])
    with pytest.raises(InvalidImageError, match=r"small\.png.*110 x 95.*96"):
        read_photographs([good, small])
    with pytest.raises(InvalidImageError, match="good"):
        read_photographs([good], max_pixels=100)
