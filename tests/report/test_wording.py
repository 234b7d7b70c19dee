"""What the page says: with an open book, without skill, under a mask."""

import numpy as np
import pytest
from handmade import autonomous, photograph, whole

from helicopter.core import AutonomousReconstructionEngine
from helicopter.io import read_image, sample_image
from helicopter.report import _wording as wording
from helicopter.report import write_report

OPEN = {"open_book": True}


def text_of(found, options):
    return [
        wording.verdict(found, options),
        *(figure.meaning for figure in wording.headline_figures(found, options)),
        *(figure.meaning for figure in wording.other_figures(found, 1.0, options)),
        *wording.captions(found, options).values(),
    ]


@pytest.fixture(scope="module")
def opened():
    image = sample_image()[:160, :160]
    engine = AutonomousReconstructionEngine(patch_size=16, use_rust_acceleration=False)
    return image, engine.autonomous_analyze(image, open_book=True, max_iterations=12)


def test_revealed_patches_count_as_shown(opened):
    _, found = opened
    revealed = sum(len(record.patches) for record in found.history)
    assert 0 < revealed < 80
    share = wording.shown_share(found, OPEN, at_end=True)
    assert share == pytest.approx((20 + revealed) / 100)
    verdict = wording.verdict(found, OPEN)
    assert f"redrawn after {20 + revealed} % had been shown (20 % at the start)" in verdict
    assert "over what was still hidden at the end" in verdict
    for text in text_of(found, OPEN):
        assert "small part" not in text
        assert "over what was hidden" not in text
    assert "redrawn from 20 % of its pixels" in wording.verdict(found, {"open_book": False})


@pytest.mark.usefixtures("undrawn")
def test_the_picture_of_what_was_shown_has_the_revealed_patches(tmp_path, opened):
    image, found = opened
    write_report(whole(found, 1.0), image, tmp_path, options=OPEN)
    shown = read_image(tmp_path / "what-was-shown.png").pixels
    hidden = wording.still_hidden(found, OPEN)
    np.testing.assert_array_equal(shown[~hidden], image[~hidden])
    np.testing.assert_array_equal(found.reconstruction[~hidden], image[~hidden])
    assert len(np.unique(shown[hidden])) == 2


def test_a_book_that_was_opened_to_the_end():
    found = autonomous(photograph())
    assert wording.shown_share(found, OPEN, at_end=True) == 1
    verdict = wording.verdict(found, OPEN)
    assert "redrawn after 100 % had been shown" in verdict
    assert "made before each patch was revealed" in verdict
    assert "small part" not in verdict


def test_pixels_that_are_missing_are_neither_shown_nor_scored():
    image = photograph()
    error = autonomous(image).error_map
    patch = autonomous(image).history[0].patches[0]
    row, column = divmod(patch, -(-image.shape[1] // 16))
    block = np.s_[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16]
    error[block] = np.nan
    found = autonomous(image, error_map=error)
    for options in ({}, OPEN):
        assert wording.still_hidden(found, options)[block].all()
        assert "neither shown nor scored" in wording.captions(found, options)["blank"]
    assert "missing" not in wording.captions(autonomous(image))["blank"]


@pytest.mark.parametrize("options", [{}, OPEN])
def test_without_skill_the_verdict_claims_nothing(options):
    for skill in (float("nan"), -0.3, 0.0, 0.19):
        verdict = wording.verdict(autonomous(photograph(), quality=0.99, skill=skill), options)
        assert "lmost all" not in verdict
        assert "follows" not in verdict
    flat = wording.verdict(autonomous(photograph(), quality=1.0, skill=float("nan")), options)
    assert "nothing to predict" in flat
    assert "skill is undefined" in flat
    good = wording.verdict(autonomous(photograph(), quality=0.99, skill=0.9))
    assert good.startswith("Almost all of this image follows from a small part of it")


def test_options_are_listed_in_words():
    options = {
        "context_size": None, "max_iterations": None, "open_book": False,
        "data_range": (-1.0, 2.5), "seed": 3, "other": None,
    }  # fmt: skip
    figures = wording.other_figures(autonomous(photograph()), 1.0, options)
    listed = {figure.name: figure.value for figure in figures}
    assert listed["Context size"] == "everything visible"
    assert listed["Max iterations"] == "none"
    assert listed["Open book"] == "no"
    assert listed["Data range"] == "-1 to 2.5"
    assert listed["Seed"] == "3"
    assert "Other" not in listed


@pytest.mark.usefixtures("undrawn")
def test_high_pictures_fit_the_window(tmp_path):
    image = photograph((90, 30))
    page = write_report(whole(autonomous(image), 1.0), image, tmp_path).html.read_text("utf-8")
    assert page.count("max-height: 80vh") == 2
