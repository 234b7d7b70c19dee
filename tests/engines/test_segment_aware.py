"""Segment-aware reconstruction: what comes back, whatever the segments look like."""

import builtins
import math

import numpy as np
import pytest
from scenes import BUILT_IN, mean_colour, photograph, scene
from segment_scenes import patchwork, tile_scene, voronoi

from helicopter.core import AutonomousReconstructionEngine
from helicopter.core.segments._types import EFFORTS
from helicopter.errors import HelicopterError


def test_what_comes_back(segmental):
    image, labels = patchwork()
    result = segmental().segment_aware_reconstruction(image, segments=labels)
    values = np.unique(labels)
    assert [one.label for one in result.segments] == values.tolist()
    for number, (value, one) in enumerate(zip(values, result.segments, strict=True)):
        own = labels == value
        y, x = np.nonzero(own)
        assert one.bounding_box == (y.min(), x.min(), y.max() + 1, x.max() + 1)
        assert one.area == own.sum()
        assert (result.labels[own] == number).all()
        hidden = own & result.hidden_mask
        assert one.scored_pixels == hidden.sum()
        if one.stop_reason == "nothing_to_score":
            continue
        truth = image[hidden].astype(np.float64)
        error = result.reconstruction[hidden].astype(np.float64) - truth
        assert one.quality == pytest.approx(1 / (1 + 10 * np.square(error).mean()), abs=1e-6)
        assert one.mae == pytest.approx(np.abs(error).mean(), abs=1e-6)
        mean = image[own & ~result.hidden_mask].mean(axis=0, dtype=np.float64)
        skill = 1 - np.square(error).mean() / np.square(truth - mean).mean()
        assert one.skill == pytest.approx(skill, abs=1e-5)
        assert one.converged == (one.quality >= one.target_quality)
        assert one.target_quality == EFFORTS[one.type].target_quality
        assert 1 <= one.iterations <= EFFORTS[one.type].max_iterations
        assert one.evidence >= 1
        assert 0 <= one.confidence <= 1
        shown = (own & ~result.hidden_mask).sum() / one.area
        assert 0.05 < shown < 0.5
    assert sum(one.priority for one in result.segments) == pytest.approx(1)
    scored = [one for one in result.segments if one.scored_pixels]
    total = sum(one.scored_pixels for one in scored)
    mse = sum((1 / one.quality - 1) / 10 * one.scored_pixels for one in scored) / total
    assert result.reconstruction_quality == pytest.approx(1 / (1 + 10 * mse), abs=1e-9)
    assert (result.uncertainty_map[result.hidden_mask] > 0).all()


@pytest.mark.parametrize("algorithm", [*BUILT_IN, "mean"])
def test_one_segment_is_the_whole_image(segmental, backend, kernel, algorithm):
    kernel("mean", mean_colour)
    image = scene(64, 72)
    options = {"algorithm": algorithm, "seed": 3, "use_rust_acceleration": backend == "rust"}
    whole = AutonomousReconstructionEngine(8, **options).autonomous_analyze(
        image, target_quality=1.0
    )
    del options["use_rust_acceleration"]
    result = segmental(**options).segment_aware_reconstruction(
        image, segments=np.zeros(image.shape[:2], int), target_quality=1.0
    )
    (one,) = result.segments
    np.testing.assert_array_equal(result.hidden_mask, whole.hidden_mask)
    if algorithm != "mean":  # which is asked once only
        np.testing.assert_array_equal(result.reconstruction, whole.reconstruction)
        assert one.quality == pytest.approx(whole.reconstruction_quality, rel=1e-12)
        assert one.skill == pytest.approx(whole.skill, rel=1e-9)
        assert result.ssim == pytest.approx(whole.ssim, rel=1e-9)


def test_labels_are_only_names(segmental):
    image, labels = patchwork()
    first = segmental().segment_aware_reconstruction(image, segments=labels)
    renamed = segmental().segment_aware_reconstruction(image, segments=5 - 3 * labels)
    np.testing.assert_array_equal(renamed.reconstruction, first.reconstruction)
    assert [one.quality for one in renamed.segments[::-1]] == pytest.approx(
        [one.quality for one in first.segments], nan_ok=True, abs=0
    )


def test_a_segment_is_the_same_wherever_it_lies(segmental):
    # 16 pixels apart, so that the image's border is as far as the network's grid is concerned
    tile = photograph(40, 48)
    scores = []
    for top, left in ((0, 0), (5, 9), (24, 32)):
        image = np.full((64, 80, 3), 200, np.uint8)
        labels = np.zeros((64, 80), int)
        image[top : top + 40, left : left + 48], labels[top : top + 40, left : left + 48] = tile, 1
        result = segmental().segment_aware_reconstruction(image, segments=labels)
        scores.append((result.segments[1].quality, result.segments[1].confidence))
    assert scores[0] == scores[1] == scores[2]


@pytest.mark.parametrize("algorithm", ["network", "harmonic"])
def test_the_smallest_segments(segmental, algorithm):
    image = scene(20, 20)
    labels = np.arange(400).reshape(20, 20)
    result = segmental(algorithm=algorithm).segment_aware_reconstruction(image, segments=labels)
    assert not result.hidden_mask.any()
    np.testing.assert_array_equal(result.reconstruction, image)
    assert {one.stop_reason for one in result.segments} == {"nothing_to_score"}
    assert math.isnan(result.reconstruction_quality)
    assert result.understanding_level is None
    assert math.isnan(result.average_confidence)
    for one in result.segments:
        assert math.isnan(one.quality)
        assert math.isnan(one.confidence)
        assert not one.converged
        assert one.iterations == one.evidence == one.scored_pixels == 0
        assert one.priority == 0
    result = segmental(2, algorithm=algorithm).segment_aware_reconstruction(
        image, segments=labels // 4
    )
    assert {one.scored_pixels for one in result.segments} == {2}
    repr(result)
    result.to_dict()


@pytest.mark.parametrize("algorithm", ["network", "harmonic", "exemplar"])
def test_what_is_missing(segmental, algorithm):
    image = photograph(48, 64)
    labels = np.zeros((48, 64), int)
    labels[:, 24:40] = 1
    labels[:, 40:] = 2
    mask = np.zeros((48, 64), bool)
    mask[10:20, 5:30] = True
    mask[:, 40:] = True  # the last one altogether
    result = segmental(algorithm=algorithm).segment_aware_reconstruction(
        image, segments=labels, mask=mask
    )
    assert result.hidden_mask[mask].all()
    assert np.isnan(result.error_map[mask]).all()
    last = result.segments[2]
    assert last.stop_reason == "nothing_to_score"
    assert math.isnan(last.quality)
    # of which nothing is known: grey, as unsure as can be
    assert (np.abs(result.reconstruction[:, 40:].astype(int) - 127.5) <= 0.5).all()
    np.testing.assert_allclose(result.uncertainty_map[:, 40:], 255 / 12**0.5, rtol=1e-5)
    assert (result.uncertainty_map[mask] > 0).all()
    assert result.segments[0].scored_pixels < (labels == 0).sum() - mask[:, :24].sum()


def test_ten_thousand_segments(segmental, backend):
    side = 400 if backend == "rust" else 200
    labels = voronoi(side // 4, side // 4, side * side // 16).repeat(4, 0).repeat(4, 1)
    image = np.random.default_rng(0).random((side, side), dtype=np.float32)
    engine = segmental(2, algorithm="harmonic")
    result = engine.segment_aware_reconstruction(image, segments=labels)
    assert len(result.segments) == len(np.unique(labels)) > side * side / 40
    assert result.hidden_mask.mean() > 0.5


def test_a_number_of_segments(segmental):
    image = photograph(64, 80)
    for count in (1, 7, 40):
        result = segmental().segment_aware_reconstruction(image, segments=count)
        assert [one.label for one in result.segments] == list(range(count))


def test_efforts_follow_the_type(segmental):
    image, labels = np.full((128, 192), 0.5, np.float32), np.zeros((128, 192), int)
    for column, kind in enumerate(("smooth", "texture")):
        at = np.s_[32:96, 16 + 80 * column : 80 + 80 * column]
        image[at], labels[at] = tile_scene(kind), column + 1
    result = segmental().segment_aware_reconstruction(image, segments=labels)
    calm, rough = result.segments[1:]
    assert (calm.type, rough.type) == ("smooth", "texture")
    assert calm.stop_reason == "target_quality"
    assert calm.target_quality > rough.target_quality
    assert calm.quality > 0.99 > rough.quality
    assert rough.priority > 0.9
    assert calm.priority < 0.05
    few = segmental().segment_aware_reconstruction(
        image, segments=labels, max_iterations=2, target_quality=1.0
    )
    assert {one.iterations for one in few.segments} == {2}
    assert {one.target_quality for one in few.segments} == {1.0}
    # the effort is spent on looking: what is drawn does not depend on it
    np.testing.assert_array_equal(few.reconstruction, result.reconstruction)


def test_a_kernel_is_asked_once_for_each_segment_in_order(segmental, kernel):
    image, labels = patchwork()
    asked = []

    def spy(context, mask):
        asked.append(context[~mask].copy())
        return mean_colour(context, mask)

    kernel("spy", spy)
    result = segmental(algorithm="spy").segment_aware_reconstruction(image, segments=labels)
    wanted = [one for one in result.segments if one.scored_pixels]
    assert len(asked) == len(wanted)
    for shown, one in zip(asked, wanted, strict=True):
        own = (labels == one.label) & ~result.hidden_mask
        np.testing.assert_array_equal(shown, image[own])


def test_what_a_kernel_raises_reaches_the_caller(segmental, kernel):
    def broken(context, mask):
        raise ZeroDivisionError("of the kernel")

    kernel("broken", broken)
    with pytest.raises(ZeroDivisionError, match="of the kernel"):
        segmental(algorithm="broken").segment_aware_reconstruction(scene(), segments=4)


def test_progress_counts_pixels(segmental):
    image, labels = patchwork()
    seen = []
    segmental(algorithm="harmonic").segment_aware_reconstruction(
        image, segments=labels, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (labels.size, labels.size)
    assert seen == sorted(seen)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segmental().segment_aware_reconstruction(image, segments=labels, progress=stop)


def test_a_table(segmental):
    pandas = pytest.importorskip("pandas")
    image, labels = patchwork()
    result = segmental(algorithm="harmonic").segment_aware_reconstruction(image, segments=labels)
    table = result.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert table.index.name == "label"
    assert table.index.tolist() == np.unique(labels).tolist()
    assert table["area"].sum() == labels.size
    assert table["type"].tolist() == [one.type for one in result.segments]
    assert table.loc[7, ["top", "left", "bottom", "right"]].tolist() == [30, 40, 31, 41]


def test_without_pandas_it_says_so(segmental, monkeypatch):
    image, labels = patchwork()
    result = segmental(algorithm="harmonic").segment_aware_reconstruction(image, segments=labels)
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("pandas"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(HelicopterError, match="pip install pandas"):
        result.to_pandas()
