"""Every kind of bad input is refused before any work, in words that say what to do about it."""

import inspect
import pickle
import re

import numpy as np
import pytest
from PIL import Image
from scenes import functions_of, holes, scene

import helicopter
from helicopter import errors
from helicopter.errors import InvalidImageError, InvalidMaskError, InvalidOptionError

IMAGE, MASK = scene(), holes()
ACCEPTED = "bool, integers of up to 32 bits, float16, float32 or float64"
DTYPES = f"accepted are {ACCEPTED}"
SHAPES = re.escape("accepted are (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), channels last")


def calls(autonomous, regional, detector, anomaly_detector):
    """Every public call that takes an image, by name."""
    return {
        "anomalies": lambda image: anomaly_detector().find(image),
        "noise": lambda image: detector().analyze(image),
        "noise level": lambda image: detector().level(image),
        "reconstruct": lambda image: regional().reconstruct(image, MASK),
        "test_understanding": lambda image: regional().test_understanding(image),
        "autonomous_analyze": lambda image: autonomous(patch_size=8).autonomous_analyze(image),
    }


def with_value(value, dtype="float32"):
    image = IMAGE.astype(dtype)
    image[~MASK] = 0.5
    image[-1, -1, 0] = value
    return image


class Tensor:
    """As those on a GPU do."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


BAD_IMAGES = {
    "None": (None, f"image: got None; expected an array of {ACCEPTED}"),
    "path": ("a.png", "image: got str 'a.png'; .*read a file with helicopter.io.read_image"),
    "bytes": (b"\x89PNG", "image: got bytes .*; expected an array of"),
    "dict": ({"a": 1}, "image: got dict .*; expected an array of"),
    "number": (0.5, rf"image: shape \(\) is not supported; {SHAPES}"),
    "object": (np.array([[None, 1]]), f"image: dtype object is not supported; {DTYPES}"),
    "anything": (object(), f"image: dtype object is not supported; {DTYPES}"),
    "ragged": ([[1.0], [1.0, 2.0]], "image: builtins.list could not be read as an array of"),
    "complex": (IMAGE.astype("complex64"), f"image: dtype complex64 is not supported; {DTYPES}"),
    "int64": (
        IMAGE.astype("int64"),
        rf"image: dtype int64 .*; {DTYPES}. Convert it first, .*range",
    ),
    "text": (np.array([["a", "b"]]), f"image: dtype <U1 is not supported; {DTYPES}"),
    "record": (np.zeros((4, 4), "u1,u1"), f"image: dtype .* is not supported; {DTYPES}"),
    "1-d": (IMAGE[0, :, 0], rf"image: shape \(56,\) is not supported; {SHAPES}"),
    "4-d": (IMAGE[None], rf"image: shape \(1, 48, 56, 3\) is not supported; {SHAPES}"),
    "2 channels": (IMAGE[:, :, :2], rf"image: shape \(48, 56, 2\) is not supported; {SHAPES}"),
    "5 channels": (np.zeros((48, 56, 5), "u1"), rf"image: shape \(48, 56, 5\) .*; {SHAPES}"),
    "channels first": (np.moveaxis(IMAGE, 2, 0), rf"image: shape \(3, 48, 56\) .*; {SHAPES}"),
    "no rows": (IMAGE[:0], r"image: shape \(0, 56, 3\) holds no pixels; at least 1 x 1 is needed"),
    "no columns": (IMAGE[:, :0], r"image: shape \(48, 0, 3\) holds no pixels; at least 1 x 1"),
    "no channels": (IMAGE[:, :, :0], rf"image: shape \(48, 56, 0\) is not supported; {SHAPES}"),
    "too large": (
        with_value(1.5),
        r"image: visible values run from .* to 1.5, outside the range 0 to 1. Nothing is rescaled "
        r"silently: pass data_range=\(low, high\)",
    ),
    "negative": (
        with_value(-0.25, "float64"),
        "image: visible values run from -0.25 to .*, outside",
    ),
    "CMYK": (
        Image.new("CMYK", (56, 48)),
        r"image: Pillow mode 'CMYK' does not hold plain intensities; accepted are 1, L, RGB, RGBA, "
        r"I;16, I;16L, I;16B, F. Convert it first, for example with image.convert\('RGB'\)",
    ),
    "palette": (Image.new("P", (56, 48)), "image: Pillow mode 'P' does not hold plain intensities"),
    "grey and alpha": (Image.new("LA", (56, 48)), "image: Pillow mode 'LA' does not hold"),
    "YCbCr": (Image.new("YCbCr", (56, 48)), "image: Pillow mode 'YCbCr' does not hold"),
    "on the GPU": (
        Tensor(),
        r"image: .*\.Tensor could not be read as .*cuda:0.*Tensors must be on the CPU and detached",
    ),
}


@pytest.mark.parametrize("kind", BAD_IMAGES)
@pytest.mark.parametrize(
    "call",
    [
        "reconstruct",
        "test_understanding",
        "autonomous_analyze",
        "anomalies",
        "noise",
        "noise level",
    ],
)
def test_a_bad_image_is_refused(autonomous, regional, detector, anomaly_detector, call, kind):
    image, words = BAD_IMAGES[kind]
    with pytest.raises(InvalidImageError, match=words):
        calls(autonomous, regional, detector, anomaly_detector)[call](image)


BAD_MASKS = {
    "path": ("mask.png", "mask: got str 'mask.png'; expected an array of bool"),
    "labels": (
        MASK * np.uint8(3),
        r"mask: got integers such as 3; expected only 0 and 1, or only 0 and 255. Write mask != 0",
    ),
    "both": (
        np.where(MASK, np.int64(1), 255),
        r"mask: got integers such as 1, 255; expected only 0 and 1, or only 0 and 255",
    ),
    "float": (MASK.astype(float), "mask: dtype float64 is not accepted; expected bool"),
    "object": (object(), "mask: dtype object is not accepted; expected bool"),
    "transposed": (MASK.T, r"mask: shape \(56, 48\) does not fit the image; expected \(48, 56\)"),
    "3-d": (MASK[:, :, None], r"mask: shape \(48, 56, 1\) does not fit .*; expected \(48, 56\)"),
    "smaller": (MASK[1:], r"mask: shape \(47, 56\) does not fit the image; expected \(48, 56\)"),
    "grey picture": (Image.new("L", (56, 48), 7), "mask: got integers such as 7; expected only"),
    "nothing visible": (
        np.ones_like(MASK),
        "mask: all 2688 pixels are hidden; at least one must be visible",
    ),
}


@pytest.mark.parametrize("kind", BAD_MASKS)
@pytest.mark.parametrize(
    "call", ["reconstruct", "autonomous_analyze", "anomalies", "noise", "noise level"]
)
def test_a_bad_mask_is_refused(autonomous, regional, detector, anomaly_detector, call, kind):
    mask, words = BAD_MASKS[kind]
    run = {
        "reconstruct": regional().reconstruct,
        "autonomous_analyze": autonomous(patch_size=8).autonomous_analyze,
        "anomalies": anomaly_detector().find,
        "noise": detector().analyze,
        "noise level": detector().level,
    }[call]
    with pytest.raises(InvalidMaskError, match=words):
        run(IMAGE, mask=mask)


def test_a_reconstruction_without_a_mask_is_refused(regional):
    with pytest.raises(InvalidMaskError, match="mask: got None, and the image has no gaps"):
        regional().reconstruct(IMAGE, None)


SIZE = "expected a whole number from 1 to 2147483647"
SHARE = "expected a number from 0 to 1"
INSIDE = "expected a number between 0 and 1, both excluded"
ALGORITHM = "expected one of network, harmonic, biharmonic, exemplar.*helicopter.register_algorithm"

ENGINE_OPTIONS = [
    *[("both", "algorithm", v, f"algorithm: got {v!r}; {ALGORITHM}") for v in ("cubic", None, 3)],
    ("both", "algorithm", ["harmonic"], rf"algorithm: got \['harmonic'\]; {ALGORITHM}"),
    *[
        ("both", "seed", v, f"seed: got {v!r}; expected a whole number from 0 to {2**64 - 1}")
        for v in (-1, 2**64, 0.5, "0", None, True)
    ],
    *[("both", "device", v, "device must be .*cuda:N.* got") for v in ("gpu", "cuda:", None, 0)],
    *[
        ("autonomous", "patch_size", v, f"patch_size: got {v!r}; {SIZE}")
        for v in (0, -8, 8.0, "8", None, True, 2**31, 2**70)
    ],
    *[
        ("autonomous", "context_size", v, rf"context_size: got {v!r}; .* from 32 to 2147483647")
        for v in (0, 31, 64.0, "64", True, 2**64 - 1)
    ],
    *[
        (
            "autonomous",
            "strategy",
            v,
            rf"strategy: got {v!r}; expected one of adaptive, content_aware, edge_guided, "
            "progressive_refinement, random, uncertainty_guided",
        )
        for v in ("best", None, 1)
    ],
]


@pytest.mark.parametrize(("which", "name", "value", "words"), ENGINE_OPTIONS)
def test_a_bad_option_of_an_engine_is_refused(
    autonomous, regional, detector, which, name, value, words
):
    makers = [autonomous, regional] if which == "both" else [autonomous]
    if name == "device":
        makers.append(detector)
    for make in makers:
        with pytest.raises(InvalidOptionError, match=words):
            make(**{name: value})


@pytest.mark.parametrize("value", [1, "yes", 0.0])
def test_the_choice_of_backend_is_checked(value):
    for engine in (
        helicopter.core.AutonomousReconstructionEngine,
        helicopter.core.RegionalReconstructionEngine,
        helicopter.core.ZengezaNoiseDetector,
        lambda **options: helicopter.estimate_noise(IMAGE, **options),
        lambda **options: helicopter.estimate_sigma(IMAGE, **options),
    ):
        with pytest.raises(InvalidOptionError, match="must be True, False or None, got"):
            engine(use_rust_acceleration=value)


RANGE = r"expected a pair of finite numbers \(low, high\) with low < high \(within 1e30\), or None"
DATA_RANGE = [
    *[
        ("all", "data_range", v, f"data_range: got .*; {RANGE}")
        for v in (1, "01", (1,), (0, 1, 2), (1, 0), (1, 1), (0, float("inf")), (float("nan"), 1))
    ],
    ("all", "data_range", (0, 10**400), f"data_range: got .*; {RANGE}"),
    ("all", "data_range", (-1e308, 1e308), f"data_range: got .*; {RANGE}"),
]
CELLS = "a number of rows and columns, a pair of these, or an integer label for every pixel"
CALL_OPTIONS = [
    *DATA_RANGE,
    *[("noise", name, value, words) for _, name, value, words in DATA_RANGE],
    *[("level", name, value, words) for _, name, value, words in DATA_RANGE],
    *[("noise", "segments", v, rf"segments: got a grid of {text} for an image of 48 x 56 pixels")
      for v, text in ((0, "0 x 0"), (-1, "-1 x -1"), (49, "49 x 49"), ((1, 57), "1 x 57"),
                      ([0, 3], "0 x 3"))],
    *[("noise", "segments", v, f"segments: dtype .* is not accepted; expected {CELLS}")
      for v in (2.0, True, (1.0, 2.0), np.zeros((48, 56)), MASK, object())],
    ("noise", "segments", MASK, r"write segments.astype\(int\) if they are labels"),
    *[("noise", "segments", v, r"segments: shape .* does not fit the image; expected \(48, 56\)")
      for v in (np.zeros((56, 48), int), np.zeros((48, 56, 1), int), np.arange(2), (1, 2, 3))],
    *[("noise", "segments", v, "segments: got .*; expected an array of integers")
      for v in ("grid", b"3", {"a": 1}, {1, 2})],
    ("noise", "segments", np.ma.masked_less(np.ones((48, 56), int), 2),
     r"segments: got a masked array"),
    *[("all", "progress", v, "progress must be None, True or a callable") for v in (1, "bar")],
    *[("analyze", "max_iterations", v, f"max_iterations: got {v!r}; {SIZE}") for v in
      (0, -1, 2.0, "2", True, 2**70)],
    *[("analyze", "target_quality", v, f"target_quality: got {v!r}; {SHARE}") for v in
      (-0.1, 1.1, "0.9", None, True, float("nan"))],
    *[("analyze", "initial_known", v, f"initial_known: got {v!r}; {INSIDE}") for v in
      (0, 1, -0.1, "0.2", None, False, float("nan"))],
    *[("analyze", "open_book", v, f"open_book: got {v!r}; expected True or False") for v in
      (1, None, "no")],
    *[("understand", "patch_size", v, f"patch_size: got {v!r}; {SIZE}") for v in (0, 1.5, None)],
    ("understand", "patch_size", 56, "patch_size: got 56 for an image of 48 x 56 .* less than 56"),
    *[("understand", "strategies", v, "strategies: got .*; expected a sequence of at least one")
      for v in (5, "checkerboard", [])],
    *[("understand", "strategies", [v], rf"strategies: got {v!r}; expected one of center_out, ") for
      v in ("zigzag", None)],
    *[("understand", "difficulties", v, "difficulties: got .*; expected a sequence of at least one")
      for v in (None, 0.5, "0.5", ())],
    *[("understand", "difficulties", [v], f"difficulties: got {v!r}; {INSIDE}") for v in
      (0, 1, 1.5, "0.5", None, True)],
]  # fmt: skip


@pytest.mark.parametrize(("which", "name", "value", "words"), CALL_OPTIONS)
def test_a_bad_option_of_a_call_is_refused(
    autonomous, regional, detector, which, name, value, words
):
    calls = {
        "analyze": lambda **options: autonomous(patch_size=8).autonomous_analyze(IMAGE, **options),
        "understand": lambda **options: regional().test_understanding(IMAGE, **options),
        "reconstruct": lambda **options: regional().reconstruct(IMAGE, MASK, **options),
    }
    of_noise = {"noise": detector().analyze, "level": detector().level}
    if which in of_noise:
        with pytest.raises(InvalidOptionError, match=words):
            of_noise[which](IMAGE, **{name: value})
        return
    for call in calls.values() if which == "all" else (calls[which],):
        with pytest.raises(InvalidOptionError, match=words):
            call(**{name: value})


def test_the_range_of_a_bool_image_cannot_be_chosen(autonomous, regional, detector):
    words = r"data_range: got \(0, 1\) for a bool image, whose range is always False..True"
    for call in (
        lambda: regional().reconstruct(IMAGE > 0.5, MASK, data_range=(0, 1)),
        lambda: autonomous(patch_size=8).autonomous_analyze(IMAGE > 0.5, data_range=(0, 1)),
        lambda: detector().analyze(IMAGE > 0.5, data_range=(0, 1)),
    ):
        with pytest.raises(InvalidOptionError, match=words):
            call()


def test_integers_beyond_the_range_that_was_given_are_refused(regional):
    image = scene(dtype="uint16")
    with pytest.raises(InvalidImageError, match=r"outside the range 0 to 4095.*data_range="):
        regional().reconstruct(image, MASK, data_range=(0, 4095))


@pytest.mark.parametrize(("size", "shape"), [(48, (48, 48)), (100, (48, 56)), (1, (1, 1))])
def test_one_patch_is_not_enough(autonomous, size, shape):
    words = f"patch_size: got {size}, which leaves a single patch .* of {shape[0]} x {shape[1]}"
    with pytest.raises(InvalidOptionError, match=words):
        autonomous(patch_size=size).autonomous_analyze(np.zeros(shape, "uint8"))


def test_one_patch_with_known_pixels_is_not_enough(autonomous):
    mask = np.ones(IMAGE.shape[:2], bool)
    mask[3:6, 3:6] = False
    with pytest.raises(InvalidOptionError, match="patch_size: got 8, which leaves a single patch"):
        autonomous(patch_size=8).autonomous_analyze(IMAGE, mask=mask)


def test_bad_input_is_refused_before_the_kernel_runs(autonomous, regional, kernel):
    ran = []
    kernel("spy", lambda context, mask: ran.append(1) or context)
    with pytest.raises(InvalidImageError):
        regional("spy").reconstruct(with_value(1.5), MASK)
    with pytest.raises(InvalidOptionError):
        autonomous(patch_size=8, algorithm="spy").autonomous_analyze(IMAGE, target_quality=2)
    assert not ran


def test_the_short_forms_check_as_well():
    with pytest.raises(InvalidImageError, match="image: got None"):
        helicopter.analyze(None)
    with pytest.raises(InvalidMaskError, match="mask: got None"):
        helicopter.reconstruct(IMAGE, None)
    with pytest.raises(InvalidOptionError, match="algorithm: got 'x'"):
        helicopter.reconstruct(IMAGE, MASK, "x")
    for function in (helicopter.estimate_noise, helicopter.estimate_sigma):
        with pytest.raises(InvalidImageError, match="image: got None"):
            function(None)
    with pytest.raises(InvalidOptionError, match="segments: got a grid of 0 x 0"):
        helicopter.estimate_noise(IMAGE, segments=0)


ERRORS = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if issubclass(value, Exception) and value.__module__ == errors.__name__
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_survives_pickling(error, protocol):
    again = pickle.loads(pickle.dumps(error("what, why, what to do"), protocol))
    assert type(again) is error
    assert str(again) == "what, why, what to do"


def test_errors_are_what_callers_expect():
    assert {error.__name__ for error in ERRORS} == set(errors.__all__)
    assert all(issubclass(error, errors.HelicopterError) for error in ERRORS)
    for error in (InvalidImageError, InvalidMaskError, InvalidOptionError, errors.KernelError):
        assert issubclass(error, ValueError)
    assert issubclass(errors.DeviceError, errors.RustAccelerationError)


def test_an_error_that_was_really_raised_survives_pickling(regional):
    with pytest.raises(InvalidImageError) as caught:
        regional().reconstruct(None, MASK)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)


def test_bad_input_is_refused_before_noise_is_measured(detector, monkeypatch):
    def measured(*_):
        raise AssertionError("measured for nothing")

    engine = detector()
    monkeypatch.setattr(functions_of(engine), "analyze_noise", measured)
    with pytest.raises(InvalidOptionError, match="segments"):
        engine.analyze(IMAGE, segments=0)
    with pytest.raises(InvalidImageError):
        engine.analyze(with_value(1.5))


def test_a_mask_that_is_masked_itself_is_refused(regional):
    hidden = np.ma.masked_array(np.zeros((8, 8), dtype=bool))
    with pytest.raises(InvalidMaskError, match=r"mask: got a masked array.*Pass mask\.filled"):
        regional().reconstruct(np.zeros((8, 8)), hidden)


def test_a_palette_mask_is_told_how_to_become_a_mask(regional):
    from PIL import Image

    mask = Image.fromarray(np.zeros((8, 8), np.uint8)).convert("P")
    with pytest.raises(InvalidMaskError, match=r"mask\.convert\('1'\)"):
        regional().reconstruct(np.zeros((8, 8)), mask)


def test_an_algorithm_that_is_an_array(regional):
    with pytest.raises(InvalidOptionError, match="algorithm: got array"):
        regional(algorithm=np.array(["harmonic", "x"]))


@pytest.mark.parametrize("data_range", [(0, 1e300), (0, 1e-60), {0, 1}, {0: 1, 1: 2}])
def test_a_range_that_no_uncertainty_fits_into(regional, data_range):
    with pytest.raises(InvalidOptionError, match="data_range: got"):
        regional().reconstruct(np.zeros((8, 8)), np.eye(8, dtype=bool), data_range=data_range)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("difficulties", np.array(0.5)),
        ("difficulties", {0.2, 0.5}),
        ("strategies", b"checkerboard"),
    ],
)
def test_what_has_no_order_is_no_sequence(regional, name, value):
    with pytest.raises(InvalidOptionError, match=f"{name}: got"):
        regional().test_understanding(np.zeros((32, 32)), **{name: value})
