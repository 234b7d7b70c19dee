"""The noise on the page and in figures: what is said, what is drawn."""

import dataclasses

import numpy as np
import pytest
from handmade import autonomous, photograph, whole
from scenes import noise_by_hand
from test_plotting import drawn
from test_report import Page

from helicopter.core.results._noise import NOISE_KINDS, NoiseLevelFunction, NoiseScale
from helicopter.plotting import LIGHT, noise_details_figure, plot_result
from helicopter.report import _noise_wording as noise_wording
from helicopter.report import result_to_html, write_report


def only(*kinds, **changes):
    chances = {kind: 0.97 if kind in kinds else 0.01 for kind in NOISE_KINDS}
    return noise_by_hand(kind=kinds[0], kinds=kinds, kind_probabilities=chances, **changes)


def silent(shape=(16, 16)):
    """What is said of an image in which nothing was found."""
    nothing = np.zeros(0)
    return only(
        "clean",
        sigma=0.0, sigma_interval=(0.0, 0.0), sigma_per_channel=(0.0,), total_sigma=0.0,
        snr_db=float("inf"), level="minimal",
        noise_level_function=NoiseLevelFunction(nothing, nothing, nothing, 0.0, 0.0, 0.0),
        scales=tuple(NoiseScale(s, 0.0, 0.0, float("nan")) for s in (1, 2, 4, 8)),
        sigma_map=np.full(shape, np.nan, np.float32), spectrum=np.zeros((8, 8), np.float32),
        segments=(),
    )  # fmt: skip


def test_what_was_found_is_said():
    text = " ".join(noise_wording.noise_sentences(noise_by_hand()))
    for part in (
        "The noise is moderate: all of it has a standard deviation of 13.3, and in every pixel it",
        "10.2 grey levels of 255", "9.69 to 10.8", "90 %",
        "12.3 dB above the noise", "Gaussian noise", "(probability 98 %)",
        "interference that repeats every 8 pixels, 12.8 grey levels of 255 strong",
        "(probability 90 %)",
    ):  # fmt: skip
        assert part in text, part
    assert "coloured" not in text
    alone = noise_wording.noise_sentences(only("gaussian", total_sigma=10.2))[0]
    assert "moderate: in every pixel it has a standard deviation of 10.2 grey levels" in alone


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("poisson", "few photons"),
        ("speckle", "grows with the intensity"),
        ("uniform", "coarse rounding"),
        ("salt_pepper", "0 % of the pixels black or white"),
        ("impulse", "0.1 % of the pixels of any value"),
        ("compression", "JPEG compression (probability"),
    ],
)
def test_every_kind_has_words(kind, words):
    assert words in noise_wording.noise_sentences(only(kind))[1]


def test_what_was_not_found_is_not_claimed():
    for noise in (only("clean"), silent()):
        assert "None of the kinds" in noise_wording.noise_sentences(noise)[1]
    assert noise_wording.noise_sentences(silent())[0] == "No noise could be measured."
    coloured = noise_wording.noise_sentences(only("gaussian", noise_colour="coloured"))
    assert "neighbouring pixels share it" in coloured[1]


def test_the_curve_over_intensity_is_read_only_where_there_is_noise():
    growing = NoiseLevelFunction(
        np.array([10.0, 100.0, 200.0]), np.array([2.0, 6.0, 8.0]), np.array([0.3, 0.4, 0.3]),
        0.32, 1.0, 0.0,
    )  # fmt: skip
    for kind, words in (
        ("clean", "too little noise to say"),
        ("poisson", "to 8.06, as that of photons does."),
        ("speckle", "to 8.06."),
    ):
        caption = noise_wording.noise_caption(only(kind, noise_level_function=growing))
        assert words in caption
        assert ("grows" in caption) == (kind != "clean")


@pytest.mark.parametrize(
    ("psnr_db", "words"),
    [
        (10.0, "about 3 % of the squared error"),
        (40.0, "no prediction could have been much closer"),
        (2.0, "less than 1 %"),
    ],
)
def test_noise_is_set_against_the_error(psnr_db, words):
    found = autonomous(photograph(), psnr_db=psnr_db)
    assert words in noise_wording.noise_sentences(noise_by_hand(), found)[-1]


def test_noise_is_not_set_against_what_was_not_scored():
    for psnr_db in (float("nan"), float("inf")):
        found = autonomous(photograph(), psnr_db=psnr_db)
        assert len(noise_wording.noise_sentences(noise_by_hand(), found)) == 2


@pytest.mark.usefixtures("undrawn")
def test_the_section_of_the_page(tmp_path, analysis, image):
    files = write_report(analysis, image, tmp_path)
    page = Page(files.html.read_text(encoding="utf-8"))
    words = page.words()
    for part in (
        "The noise is moderate", "Kind Probability If so", "gaussian 98 % sigma 10.2",
        "periodic 90 % amplitude 12.8, period 8", "How much of it is noise, the section on noise",
        "standard deviation of the fine noise around each pixel.",
    ):  # fmt: skip
        assert part in words, part
    assert tmp_path / "noise.png" in files.plots
    alone = write_report(analysis.autonomous, image, tmp_path / "alone")
    text = Page(alone.html.read_text(encoding="utf-8")).words()
    assert "The noise is" not in text
    assert "This page cannot tell these apart" in text
    assert not (tmp_path / "alone" / "noise.png").exists()


@pytest.mark.usefixtures("undrawn")
def test_pixels_that_were_left_out_are_blank(tmp_path, analysis, image):
    noise = noise_by_hand(image.shape[:2])
    noise.sigma_map[:20] = np.nan
    files = write_report(dataclasses.replace(analysis, noise=noise), image, tmp_path)
    assert "blank where pixels were left out" in files.html.read_text(encoding="utf-8")


@pytest.mark.usefixtures("undrawn")
def test_a_page_without_noise(tmp_path):
    picture = photograph((16, 16))
    found = dataclasses.replace(whole(autonomous(picture, patch=8)), noise=silent())
    words = Page(write_report(found, picture, tmp_path).html.read_text(encoding="utf-8")).words()
    assert "No noise could be measured." in words
    assert "nan" not in words.lower().split()


def test_a_notebook_shows_the_noise_of_an_analysis():
    page = Page(result_to_html(whole(autonomous(photograph()))))
    assert "noise moderate: sigma 10.2, gaussian (sigma 10.2), periodic" in page.words()


def test_interference_is_ringed_in_the_spectrum():
    spectrum, function, scales = noise_details_figure(noise_by_hand(), LIGHT).axes
    rings = [line.get_xydata()[0].tolist() for line in spectrum.get_lines()]
    assert sorted(rings) == [[-0.125, 0.0], [0.125, 0.0]]
    (picture,) = spectrum.get_images()
    left, right, bottom, top = picture.get_extent()
    # the middle of the picture's brightest points is where the rings are
    bright = np.argwhere(picture.get_array() > 2)
    assert sorted((left + (x + 0.5) * (right - left) / 64) for _, x in bright) == [-0.125, 0.125]
    assert {top + (y + 0.5) * (bottom - top) / 64 for y, _ in bright} == {0.0}
    assert function.get_legend() is not None
    white, found = scales.get_lines()
    np.testing.assert_allclose(white.get_ydata(), found.get_ydata())
    calm, *_ = noise_details_figure(only("gaussian"), LIGHT).axes
    assert not calm.get_lines()


def test_nothing_to_draw_is_drawn():
    noise = silent()
    for result in (noise, noise.noise_level_function, noise.scales[0]):
        assert drawn(plot_result(result)).std() > 5
    assert drawn(noise_details_figure(noise, LIGHT)).std() > 5
