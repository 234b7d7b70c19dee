"""Parts, anomalies and advice: what is said on the page, and what can be pointed at."""

import dataclasses
import re

import numpy as np
import pytest
from handmade import anomalies_by_hand, autonomous, photograph, segmented, verification, whole
from scenes import noise_by_hand
from test_report import Page

from helicopter.report import _parts_wording as parts_wording
from helicopter.report import write_report
from helicopter.report._advice import advice
from helicopter.report._page import overlay


def covered(shape, height, width):
    """The cells that a path covers, read as a browser does."""
    cells = np.zeros((height, width), int)
    for x, y, run, back in re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", shape.path):
        assert run == back
        cells[int(y), int(x) : int(x) + int(run)] += 1
    return cells


def test_shapes_cover_their_labels_and_no_more():
    labels = np.random.default_rng(0).integers(0, 4, (20, 30)).astype(np.int32)
    found = overlay(labels, {0: "none", 2: "two", 3: "three", 9: "not there"})
    assert (found.width, found.height) == (30, 20)
    assert [shape.text for shape in found.shapes] == ["none", "two", "three"]
    for shape, label in zip(found.shapes, (0, 2, 3), strict=True):
        np.testing.assert_array_equal(covered(shape, 20, 30), labels == label)


def test_shapes_of_large_images_stay_small():
    labels = (np.arange(3000)[:, None] // 50 * 40 + np.arange(2000) // 50).astype(np.int32)
    found = overlay(labels, {number: str(number) for number in range(2400)})
    assert max(found.width, found.height) <= 400
    total = sum(covered(shape, found.height, found.width) for shape in found.shapes)
    assert (total == 1).all()


@pytest.fixture
def page(tmp_path, image, undrawn):
    files = write_report(whole(autonomous(image)), image, tmp_path)
    assert {"segments.png", "anomalies.png"} <= {path.name for path in files.plots}
    return Page(files.html.read_text(encoding="utf-8"))


def test_every_part_and_region_can_be_pointed_at(page, image):
    assert [tag for tag, _ in page.tags].count("path") == 4 + 2
    words = page.words()
    parts, anomalies = segmented(image), anomalies_by_hand(image)
    for one in parts.segments:
        assert parts_wording.describe_segment(one) in words
    for region in anomalies.regions:
        assert parts_wording.describe_region(region) in words
    assert "too little of it to be scored" in words


def test_both_tables_are_there(page):
    words = page.words()
    assert "Region Where Pixels Probability Score What is there" in words
    assert "1 rows 20 to 39, columns 30 to 44 300 99 % 3.00 20 darker than expected" in words
    assert "Part Kind Where Of the image Quality Skill Confidence Of the unexplained" in words
    assert "1 text rows 0 to 69, columns 0 to 89" in words


@pytest.mark.usefixtures("undrawn")
def test_without_them_their_sections_are_left_out(tmp_path, image):
    bare = dataclasses.replace(whole(autonomous(image)), segments=None, anomalies=None)
    files = write_report(bare, image, tmp_path)
    text = files.html.read_text(encoding="utf-8")
    assert '<h2 id="advice">' in text
    for section in ("anomalies", "parts"):
        assert f'<h2 id="{section}">' not in text
    assert "and what is news" not in text


@pytest.mark.usefixtures("undrawn")
def test_nothing_declared_is_said(tmp_path, image):
    labels = np.zeros(image.shape[:2], np.int32)
    none = dataclasses.replace(
        anomalies_by_hand(image), labels=labels, detected=labels > 0, regions=()
    )
    calm = dataclasses.replace(whole(autonomous(image)), anomalies=none)
    text = write_report(calm, image, tmp_path).html.read_text(encoding="utf-8")
    assert "Nothing was declared: of 50 places tested" in text
    assert not any("Look at region" in sentence for sentence in advice(calm))


def test_half_of_the_unexplained_is_counted():
    parts = segmented(photograph())
    assert [one.label for one in parts_wording.hardest(parts)] == [0, 1]
    shares = (0.1, 0.7, 0.2, 0.0)
    moved = tuple(
        dataclasses.replace(one, priority=share)
        for one, share in zip(parts.segments, shares, strict=True)
    )
    other = dataclasses.replace(parts, segments=moved)
    assert [one.label for one in parts_wording.hardest(other)] == [1]
    assert (
        "70 % of all that could not be explained lies in one"
        in parts_wording.segment_sentences(other)[1]
    )
    assert parts_wording.segment_rows(other)[0]["label"] == "1"


def test_advice_follows_from_what_was_found(image):
    found = whole(autonomous(image))
    said = " ".join(advice(found))
    assert "Look at region 1 (rows 20 to 39, columns 30 to 44), then at the other one" in said
    assert "Part 0 (background" in said
    quiet = dataclasses.replace(noise_by_hand(image.shape[:2]), kinds=("clean",), level="minimal")
    calm = dataclasses.replace(found, noise=quiet, segments=None, anomalies=None)
    calm = dataclasses.replace(
        calm, autonomous=dataclasses.replace(calm.autonomous, average_confidence=float("nan"))
    )
    assert advice(calm) == [
        "Nothing stands out: no region is unlike the rest, and there is little noise."
    ]
    for kinds, words in (
        (("salt_pepper",), "repair the black and white pixels"),
        (("periodic",), "notch filter"),
        (("compression",), "go back to the original"),
    ):
        noisy = dataclasses.replace(quiet, kinds=kinds, level="high")
        said = " ".join(advice(dataclasses.replace(calm, noise=noisy)))
        assert words in said
        assert "The noise is high: expose longer" in said
    rejected = dataclasses.replace(calm, verification=verification(decision="reject"))
    assert "Too few patches follow from what was shown" in " ".join(advice(rejected))
    undecided = dataclasses.replace(calm, verification=verification(decision="continue"))
    assert "not enough for a verdict" in " ".join(advice(undecided))
