"""What the segment-aware engine refuses, before any work, and what it says then."""

import numpy as np
import pytest
from scenes import scene

from helicopter.core import SegmentAwareReconstructionEngine
from helicopter.errors import InvalidImageError, InvalidMaskError, InvalidOptionError

LABELS = np.zeros((48, 56), int)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"patch_size": 0}, ["patch_size", "0"]),
        ({"patch_size": 2.5}, ["patch_size", "2.5"]),
        ({"halo": -1}, ["halo", "-1"]),
        ({"halo": True}, ["halo", "True"]),
        ({"halo": 1.0}, ["halo", "1.0"]),
        ({"strategy": "best"}, ["strategy", "best", "edge_guided"]),
        ({"algorithm": "magic"}, ["algorithm", "magic", "network"]),
        ({"seed": -1}, ["seed", "-1"]),
        ({"device": "gpu"}, ["device", "gpu"]),
        ({"use_rust_acceleration": "yes"}, ["use_rust_acceleration", "yes"]),
        ({"algorithm": "harmonic", "weights": "mine.safetensors"}, ["weights", "harmonic"]),
    ],
)
def test_engines_that_cannot_be(options, words):
    with pytest.raises(InvalidOptionError) as caught:
        SegmentAwareReconstructionEngine(**options)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        ({"segments": 0}, InvalidOptionError, ["segments", "0", "2688"]),
        ({"segments": 48 * 56 + 1}, InvalidOptionError, ["segments", "2689", "2688"]),
        ({"segments": -3}, InvalidOptionError, ["segments", "-3"]),
        ({"segments": True}, InvalidOptionError, ["segments", "label"]),
        ({"segments": 2.0}, InvalidOptionError, ["segments", "label"]),
        ({"segments": (49, 4)}, InvalidOptionError, ["segments", "49 x 4", "48 x 56"]),
        ({"segments": None}, InvalidOptionError, ["segments", "None", "integers"]),
        ({"segments": "slic"}, InvalidOptionError, ["segments", "slic", "integers"]),
        ({"segments": LABELS[1:]}, InvalidOptionError, ["segments", "(47, 56)", "(48, 56)"]),
        ({"segments": LABELS[None]}, InvalidOptionError, ["segments", "(1, 48, 56)"]),
        ({"segments": LABELS * 1.0}, InvalidOptionError, ["segments", "float64"]),
        ({"segments": LABELS > 0}, InvalidOptionError, ["segments", "bool"]),
        ({"initial_known": 0}, InvalidOptionError, ["initial_known", "0"]),
        ({"initial_known": 1.0}, InvalidOptionError, ["initial_known", "1.0"]),
        ({"max_iterations": 0}, InvalidOptionError, ["max_iterations", "0"]),
        ({"target_quality": 1.5}, InvalidOptionError, ["target_quality", "1.5"]),
        ({"target_quality": "high"}, InvalidOptionError, ["target_quality", "high"]),
        ({"data_range": (1, 0)}, InvalidOptionError, ["data_range"]),
        ({"mask": np.ones((48, 56), bool)}, InvalidMaskError, ["mask", "hidden"]),
        ({"mask": np.ones((4, 5), bool)}, InvalidMaskError, ["mask", "(4, 5)"]),
        ({"image": None}, InvalidImageError, ["image", "None"]),
        ({"image": np.zeros((0, 5))}, InvalidImageError, ["image", "(0, 5)"]),
        ({"image": np.full((48, 56), np.nan)}, InvalidMaskError, ["mask", "all 2688 pixels"]),
        ({"progress": 3}, InvalidOptionError, ["progress"]),
    ],
)
def test_calls_that_cannot_be(segmental, kernel, call, error, words):
    kernel("never", lambda context, mask: pytest.fail("work was done before the input was checked"))
    call = {"image": scene(), "segments": LABELS, **call}
    with pytest.raises(error) as caught:
        segmental(algorithm="never").segment_aware_reconstruction(call.pop("image"), **call)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("dtype", ["int8", "uint8", ">i4", "int64", "uint64"])
def test_labels_of_any_integers(segmental, dtype):
    labels = (np.arange(48)[:, None] // 16 * 2 + np.arange(56) // 28).astype(dtype)
    engine = segmental(algorithm="harmonic")
    expected = engine.segment_aware_reconstruction(scene(), segments=labels.astype(int))
    for given in (labels, np.asfortranarray(labels), labels.tolist()):
        result = engine.segment_aware_reconstruction(scene(), segments=given)
        np.testing.assert_array_equal(result.reconstruction, expected.reconstruction)
    assert [one.label for one in expected.segments] == list(range(6))
