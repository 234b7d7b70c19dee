"""Figures: one for every result, drawn without pyplot, showing what they claim."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from handmade import autonomous, every_kind, photograph
from PIL import Image

from helicopter.errors import InvalidOptionError
from helicopter.plotting import (
    DARK,
    LIGHT,
    blank_hidden,
    displayable,
    map_figure,
    plot_result,
    quality_figure,
    shrink_map,
)


def drawn(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize("style", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("kind", sorted(every_kind()))
def test_every_result_has_a_figure(kind, style):
    picture = drawn(plot_result(every_kind()[kind], style=style))
    assert min(picture.shape[:2]) > 100
    ground = picture[0, 0].mean()
    assert ground > 250 if style is LIGHT else ground < 40
    assert picture.std() > 5


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        ("bool", (33, 20)),
        ("uint16", (33, 20, 1)),
        ("float32", (33, 20, 3)),
        ("float64", (33, 20, 4)),
    ],
)
def test_the_pictures_of_an_analysis_are_drawn_in_every_dtype(dtype, shape):
    found = autonomous(photograph(shape, dtype), patch=8)
    assert drawn(plot_result(found)).std() > 5


def test_result_plot_is_the_same_figure():
    result = every_kind()["AutonomousAnalysis"]
    np.testing.assert_array_equal(drawn(result.plot()), drawn(plot_result(result)))


def test_pyplot_is_never_imported():
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; import handmade; "
        "[r.plot() for r in handmade.every_kind().values()]; "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    here = Path(__file__).parent
    ran = subprocess.run([sys.executable, "-c", code, str(here), str(here.parent)], check=False)
    assert ran.returncode == 0


def test_other_things_are_refused():
    with pytest.raises(InvalidOptionError, match="must be a result of an engine, got dict"):
        plot_result({})


def test_the_curve_shows_the_three_series_and_the_target():
    result = every_kind()["AutonomousAnalysis"]
    (axes,) = quality_figure(result, target=0.9).axes
    labels = [line.get_label() for line in axes.get_lines()]
    assert labels == [
        "quality of the step", "quality so far", "confidence stated beforehand", "target",
    ]  # fmt: skip
    np.testing.assert_array_equal(
        axes.get_lines()[0].get_ydata(), [record.quality for record in result.history]
    )
    np.testing.assert_array_equal(
        axes.get_lines()[2].get_ydata(), [record.confidence for record in result.history]
    )
    assert len(quality_figure(result).axes[0].get_lines()) == 3


def test_uncertainty_and_error_share_one_scale_in_the_images_units():
    image = photograph(dtype="uint16")
    flat = np.full(image.shape[:2], 20_000, np.float32)  # far more than the errors
    figure = plot_result(autonomous(image, uncertainty_map=flat))
    bars = [inset for axes in figure.axes for inset in axes.child_axes if inset.get_ylabel()]
    assert [bar.get_ylabel() for bar in bars] == ["grey levels of 65535"] * 2
    assert bars[0].get_ylim() == bars[1].get_ylim()
    assert bars[0].get_ylim()[1] == 20_000


def test_a_map_is_neutral_where_it_has_nothing_to_say():
    values = np.full((40, 40), 5, np.float32)
    where = np.zeros((40, 40), bool)
    where[:, 20:] = True
    figure = map_figure(values, "map", "unit", where=where)
    image = figure.axes[0].get_images()[0]
    assert np.ma.getmaskarray(image.get_array())[:, :20].all()
    assert not np.ma.getmaskarray(image.get_array())[:, 20:].any()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.array([[0, 65535, 32768]], np.uint16), [[0, 255, 128]]),
        (np.array([[0.0, 1.0, 0.5]], np.float32), [[0, 255, 128]]),
        (np.array([[-1.0, 3.0, 1.0]]), [[0, 255, 128]]),
        (np.array([[np.nan, 1.0, 0.0]]), [[128, 255, 0]]),
        (np.array([[True, False, True]]), [[255, 0, 255]]),
    ],
)
def test_images_are_shown_in_their_range(image, expected):
    assert displayable(image).tolist() == expected


def test_a_given_range_is_used():
    assert displayable(np.array([[0.0, 51.0]]), (0, 102)).tolist() == [[0, 128]]


def test_blanking_changes_hidden_pixels_only():
    for shape in ((30, 40), (30, 40, 3), (30, 40, 4)):
        picture = photograph(shape)
        hidden = np.zeros((30, 40), bool)
        hidden[5:9, 7:30] = True
        before = picture.copy()
        shown = blank_hidden(picture, hidden)
        np.testing.assert_array_equal(picture, before)
        np.testing.assert_array_equal(shown[~hidden], picture[~hidden])
        assert (shown[hidden] != picture[hidden]).any()


def test_maps_shrink_by_the_mean_of_what_is_there():
    values = np.zeros((200, 400), np.float32)
    values[::2] = 8
    small = shrink_map(values, 40)
    assert small.shape == (20, 40)
    np.testing.assert_allclose(small, 4, rtol=1e-6)
    values[:, :200] = np.nan
    small = shrink_map(values, 40)
    assert np.isnan(small[:, :20]).all()
    np.testing.assert_allclose(small[:, 20:], 4, rtol=1e-6)
