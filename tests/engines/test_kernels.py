"""Algorithms of the user's own: in every engine, on both backends."""

import traceback

import numpy as np
import pytest
from scenes import holes, mean_colour, scene, unsure

import helicopter
from helicopter.core import CustomReconstructionKernel
from helicopter.core.registry import BUILT_IN
from helicopter.errors import InvalidOptionError, KernelError

IMAGE, MASK = scene(), holes()


def calls(autonomous, regional, name):
    """Every call in which a kernel predicts."""
    return {
        "reconstruct": lambda: regional(name).reconstruct(IMAGE, MASK),
        "understand": lambda: regional(name).test_understanding(IMAGE, ["checkerboard"], [0.5]),
        "closed": lambda: autonomous(8, algorithm=name).autonomous_analyze(IMAGE),
        "open": lambda: autonomous(8, algorithm=name).autonomous_analyze(IMAGE, open_book=True),
        "window": lambda: autonomous(8, 24, algorithm=name).autonomous_analyze(IMAGE),
    }


CALLS = ("reconstruct", "understand", "closed", "open", "window")


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_a_kernel_gets_what_was_promised(autonomous, regional, kernel, channels):
    image = scene(channels=channels, dtype="uint8")
    seen = []

    def spy(context, mask):
        seen.append(context.shape)
        assert context.dtype == np.float32
        assert context.flags.c_contiguous
        assert context.flags.writeable
        assert 0 <= context.min() <= context.max() <= 1
        assert mask.dtype == bool
        assert mask.shape == context.shape[:2]
        assert mask.any()
        assert not mask.all()
        return context

    kernel("spy", spy)
    colours = 3 if channels in (3, 4) else 1
    result = regional("spy").reconstruct(image, MASK)
    assert seen == [(*MASK.shape, colours)]
    assert result.reconstruction.shape == image.shape
    autonomous(8, algorithm="spy").autonomous_analyze(image)
    autonomous(8, 24, algorithm="spy").autonomous_analyze(image)
    assert {shape[2] for shape in seen} == {colours}
    assert len({shape[:2] for shape in seen}) > 1


@pytest.mark.parametrize("call", CALLS)
def test_a_kernel_works_in_every_engine(autonomous, regional, kernel, call):
    kernel("flat", mean_colour)
    result = calls(autonomous, regional, "flat")[call]()
    assert result.algorithm == "flat"
    if call == "reconstruct":
        expected = np.broadcast_to(IMAGE[~MASK].mean(axis=0), IMAGE.shape)
        np.testing.assert_allclose(result.reconstruction[MASK], expected[MASK], atol=1e-6)
        assert (result.uncertainty_map[MASK] > 0).all()


def test_the_uncertainty_of_a_kernel_is_what_is_stated(autonomous, regional, kernel):
    kernel("unsure", unsure)
    _, sigma = unsure(IMAGE, MASK)
    result = regional("unsure").reconstruct(IMAGE, MASK)
    np.testing.assert_allclose(result.uncertainty_map[MASK], sigma[MASK], rtol=1e-6)
    assert (result.uncertainty_map[~MASK] == 0).all()
    expected = 1 - np.exp(-np.sqrt(2) * 0.05 / sigma[MASK])
    np.testing.assert_allclose(result.confidence_map[MASK], expected, rtol=1e-4)
    in_levels = regional("unsure").reconstruct((IMAGE * 255).astype("uint8"), MASK)
    np.testing.assert_allclose(in_levels.uncertainty_map[MASK], 255 * sigma[MASK], rtol=1e-6)
    analysis = autonomous(8, algorithm="unsure").autonomous_analyze(IMAGE, max_iterations=1)
    rows, cols = divmod(analysis.history[0].patches[0], 7)
    box = np.s_[rows * 8 : rows * 8 + 8, cols * 8 : cols * 8 + 8]
    np.testing.assert_allclose(analysis.uncertainty_map[box], sigma[box], rtol=1e-5)


SIGMAS = {
    "one for each pixel": (lambda shape: np.full(shape[:2], 0.25), 0.25),
    "one for each value": (lambda shape: np.full(shape, 0.25), 0.25),
    "one for each channel": (
        lambda shape: np.broadcast_to(np.array([0.1, 0.2, 0.2])[: shape[2]], shape),
        np.sqrt((0.01 + 0.04 + 0.04) / 3),
    ),
    "in float64 and Fortran order": (lambda shape: np.full(shape[:2], 0.25, order="F"), 0.25),
    "a list": (lambda shape: np.full(shape[:2], 0.25).tolist(), 0.25),
    "certain": (lambda shape: np.zeros(shape[:2]), 0.0),
    "more than there is": (lambda shape: np.full(shape[:2], 1e30), 1.0),
}


@pytest.mark.parametrize("name", SIGMAS)
def test_every_shape_of_sigma(autonomous, regional, kernel, name):
    make, expected = SIGMAS[name]
    kernel("k", lambda context, mask: (context * 0 + 0.5, make(context.shape)))
    result = regional("k").reconstruct(IMAGE, MASK)
    np.testing.assert_allclose(result.uncertainty_map[MASK], expected, rtol=1e-6)
    for options in ({}, {"open_book": True}):
        for context_size in (None, 24):
            analysis = autonomous(8, context_size, algorithm="k").autonomous_analyze(
                IMAGE, **options
            )
            assert np.isfinite(analysis.uncertainty_map).all()
            assert 0 <= analysis.average_confidence <= 1


def test_no_sigma_is_the_same_as_none(regional, kernel):
    kernel("bare", mean_colour)
    kernel("none", lambda context, mask: (mean_colour(context, mask), None))
    bare, none = (regional(name).reconstruct(IMAGE, MASK) for name in ("bare", "none"))
    np.testing.assert_array_equal(bare.uncertainty_map, none.uncertainty_map)
    harmonic = regional("harmonic").reconstruct(IMAGE, MASK)
    np.testing.assert_array_equal(bare.uncertainty_map, harmonic.uncertainty_map)


def test_predictions_are_clipped_and_cast(regional, kernel):
    kernel(
        "loud", lambda context, mask: np.where(np.arange(56)[:, None] < 28, -3.0, 7.0) + 0 * context
    )
    result = regional("loud").reconstruct(IMAGE, MASK)
    expected = np.broadcast_to((np.arange(56) >= 28)[:, None], IMAGE.shape)
    np.testing.assert_array_equal(result.reconstruction[MASK], expected[MASK].astype(np.float32))


def test_what_is_said_of_visible_pixels_does_not_count(regional, kernel):
    def nonsense(context, mask):
        prediction, sigma = np.full_like(context, np.nan), np.full(mask.shape, -np.inf)
        prediction[mask], sigma[mask] = 0.5, 0.1
        return prediction, sigma

    kernel("nonsense", nonsense)
    result = regional("nonsense").reconstruct(IMAGE, MASK)
    np.testing.assert_array_equal(result.reconstruction[~MASK], IMAGE[~MASK])
    assert (result.reconstruction[MASK] == 0.5).all()
    assert (result.confidence_map[~MASK] == 1).all()


BAD = {
    "nothing": (lambda c, m: None, "algorithm 'bad' returned NoneType as prediction"),
    "a word": (lambda c, m: "x", "algorithm 'bad' returned str as prediction; expected an array"),
    "an object": (lambda c, m: object(), "algorithm 'bad' returned object as prediction"),
    "too small": (
        lambda c, m: c[1:],
        r"returned a prediction of shape \(\d+, \d+, 3\); expected \(\d+, \d+, 3\)",
    ),
    "grey": (lambda c, m: c[..., 0], r"returned a prediction of shape \(\d+, \d+\); expected"),
    "NaN": (
        lambda c, m: np.full_like(c, np.nan),
        r"returned \d+ values of prediction at hidden pixels that are NaN or infinite",
    ),
    "infinite": (lambda c, m: np.full_like(c, np.inf), r"returned \d+ values of prediction"),
    "three": (lambda c, m: (c, m, 1), r"returned a tuple of 3; expected a prediction or"),
    "one": (lambda c, m: (c,), r"returned a tuple of 1; expected a prediction or"),
    "sigma of another shape": (
        lambda c, m: (c, c[:, :1]),
        r"returned a sigma of shape \(\d+, 1, 3\); expected \(\d+, \d+\) or \(\d+, \d+, 3\)",
    ),
    "NaN as sigma": (
        lambda c, m: (c, np.full(m.shape, np.nan)),
        r"returned \d+ values of sigma at hidden pixels that are NaN or infinite",
    ),
    "negative sigma": (
        lambda c, m: (c, np.full(m.shape, -0.1)),
        "returned a negative sigma; standard deviations are at least 0",
    ),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_prediction_is_refused(autonomous, regional, kernel, call, what):
    function, words = BAD[what]
    kernel("bad", function)
    with pytest.raises(KernelError, match=words):
        calls(autonomous, regional, "bad")[call]()


class Own(Exception):
    """Of the user's."""


@pytest.mark.parametrize("kind", [Own, ZeroDivisionError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("call", CALLS)
def test_exceptions_of_a_kernel_reach_the_caller_unchanged(
    autonomous, regional, kernel, call, kind
):
    raised = kind("in the kernel")

    def kernel_that_fails(context, mask):
        raise raised

    kernel("fails", kernel_that_fails)
    with pytest.raises(kind) as caught:
        calls(autonomous, regional, "fails")[call]()
    assert caught.value is raised
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "kernel_that_fails"
    assert caught.value.__cause__ is None


def test_an_exception_in_the_middle_of_a_run_stops_it(autonomous, kernel):
    count = []

    def third_time(context, mask):
        count.append(1)
        if len(count) == 3:
            raise Own
        return context

    kernel("third time", third_time)
    with pytest.raises(Own):
        autonomous(8, algorithm="third time").autonomous_analyze(IMAGE, target_quality=1.0)
    assert len(count) == 3


# The registry


def test_registered_names_are_listed_and_can_be_forgotten(regional, kernel):
    assert helicopter.algorithms() == BUILT_IN
    assert BUILT_IN == ("network", "harmonic", "biharmonic", "exemplar")
    kernel("zebra", mean_colour)
    kernel("ant", mean_colour)
    assert helicopter.algorithms() == (*BUILT_IN, "ant", "zebra")
    helicopter.register_algorithm("fly", mean_colour)
    engine = regional("fly")
    helicopter.unregister_algorithm("fly")
    assert "fly" not in helicopter.algorithms()
    with pytest.raises(InvalidOptionError, match="algorithm: got 'fly'; expected one of"):
        regional("fly")
    assert engine.reconstruct(IMAGE, MASK).algorithm == "fly"  # who has it keeps it


def test_a_name_can_be_registered_again(regional, kernel):
    kernel("k", lambda context, mask: context * 0)
    old = regional("k")
    kernel("k", lambda context, mask: context * 0 + 1)
    assert (old.reconstruct(IMAGE, MASK).reconstruction[MASK] == 0).all()
    assert (regional("k").reconstruct(IMAGE, MASK).reconstruction[MASK] == 1).all()


def test_the_holder_of_kernels(regional):
    holder = CustomReconstructionKernel("mean colour")
    assert holder.algorithm == "mean colour"
    assert repr(holder) == "CustomReconstructionKernel('mean colour')"
    holder.register_algorithm("held", mean_colour)
    try:
        assert regional("held").reconstruct(IMAGE, MASK).algorithm == "held"
    finally:
        helicopter.unregister_algorithm("held")
    for name in ("", "  ", None, 3):
        with pytest.raises(InvalidOptionError, match=r"algorithm: got .*; expected a non-empty"):
            CustomReconstructionKernel(name)


@pytest.mark.parametrize("name", ["", " ", None, 3, b"x"])
def test_a_name_is_a_word(name):
    with pytest.raises(InvalidOptionError, match=r"name: got .*; expected a non-empty string"):
        helicopter.register_algorithm(name, mean_colour)


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_is_built_in_stays(name):
    with pytest.raises(InvalidOptionError, match=f"name: '{name}' is built in and cannot be"):
        helicopter.register_algorithm(name, mean_colour)
    with pytest.raises(InvalidOptionError, match=f"name: '{name}' is not registered"):
        helicopter.unregister_algorithm(name)


@pytest.mark.parametrize("kernel", [None, 3, b"mean", np.zeros(3)])
def test_a_kernel_can_be_called(kernel):
    with pytest.raises(InvalidOptionError, match=r"kernel: got .*; expected a callable kernel"):
        helicopter.register_algorithm("x", kernel)
    assert "x" not in helicopter.algorithms()


def test_forgetting_what_was_never_known():
    with pytest.raises(InvalidOptionError, match=r"name: 'x' is not registered; registered are \["):
        helicopter.unregister_algorithm("x")


def test_a_complex_prediction_is_refused(regional, kernel):
    kernel("complex", lambda context, mask: context.astype(complex))
    with pytest.raises(KernelError, match=r"returned ndarray as prediction.*complex"):
        regional(algorithm="complex").reconstruct(np.zeros((8, 8)), np.eye(8, dtype=bool))
