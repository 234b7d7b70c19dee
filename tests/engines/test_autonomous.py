"""The autonomous engine: what it shows, chooses, predicts, scores, and when it stops."""

import numpy as np
import pytest
from scenes import CONCRETE, holes, photograph, scene, unsure

from helicopter.core import STRATEGIES
from helicopter.errors import InvalidOptionError

PATCH = 8
IMAGE = scene(64, 80)
ROWS, COLUMNS = 8, 10
COUNT = ROWS * COLUMNS


def hidden_patches(result):
    size = result.patch_size
    return np.flatnonzero(result.hidden_mask[::size, ::size])


def order(result):
    return [patch for step in result.history for patch in step.patches]


def box(patch, columns=COLUMNS, size=PATCH):
    top, left = patch // columns * size, patch % columns * size
    return np.s_[top : top + size, left : left + size]


# What is shown, and what is done


@pytest.mark.parametrize("share", [0.001, 0.1, 0.2, 0.5, 0.9, 0.999])
def test_the_share_that_is_shown_at_the_start(autonomous, share):
    result = autonomous(PATCH).autonomous_analyze(IMAGE, initial_known=share)
    shown = COUNT - len(hidden_patches(result))
    assert shown == min(max(round(share * COUNT), 1), COUNT - 1)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("open_book", [False, True])
def test_every_patch_is_done_once(autonomous, strategy, open_book):
    engine = autonomous(PATCH, strategy=strategy)
    result = engine.autonomous_analyze(scene(64, 80, seed=2) * np.float32(1), target_quality=1.0,
                                       open_book=open_book)  # fmt: skip
    if result.stop_reason == "all_patches_done":
        assert sorted(order(result)) == hidden_patches(result).tolist()
        assert result.completion == 1
    else:
        assert result.stop_reason == "no_improvement"
        assert len(set(order(result))) == len(order(result))
        assert result.completion == len(order(result)) / len(hidden_patches(result))
    assert [step.iteration for step in result.history] == list(range(1, result.iterations + 1))
    sizes = {len(step.patches) for step in result.history[:-1]}
    assert sizes == {-(-len(hidden_patches(result)) // 24)}
    concrete = {step.strategy for step in result.history}
    if strategy == "adaptive":
        assert concrete == {"uncertainty_guided" if open_book else "progressive_refinement"}
    else:
        assert concrete == {strategy}
    assert result.strategy == strategy


def test_adaptive_follows_the_window(autonomous):
    result = autonomous(PATCH, 24).autonomous_analyze(IMAGE)
    assert {step.strategy for step in result.history} == {"edge_guided"}
    assert order(result) == order(
        autonomous(PATCH, 24, strategy="edge_guided").autonomous_analyze(IMAGE)
    )


def test_edge_guided_takes_most_known_neighbours_first(autonomous):
    result = autonomous(PATCH, strategy="edge_guided").autonomous_analyze(IMAGE, target_quality=1.0)
    known = ~result.hidden_mask[::PATCH, ::PATCH]
    for step in result.history:
        around = np.pad(known, 1).astype(int)
        neighbours = sum(
            around[1 + dy : ROWS + 1 + dy, 1 + dx : COLUMNS + 1 + dx]
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
            if dy or dx
        ).ravel()
        waiting = set(np.flatnonzero(~known.ravel()).tolist())
        chosen = [neighbours[patch] for patch in step.patches]
        left = [neighbours[patch] for patch in waiting - set(step.patches)]
        assert min(chosen) >= max(left, default=0)
        assert chosen == sorted(chosen, reverse=True)
        known.flat[list(step.patches)] = True


def test_progressive_refinement_goes_from_coarse_to_fine(autonomous):
    result = autonomous(PATCH, strategy="progressive_refinement").autonomous_analyze(
        IMAGE, target_quality=1.0
    )

    def level(patch):
        row, col = divmod(patch, COLUMNS)
        step = 0
        while step < 10 and row % 2 ** (step + 1) == 0 and col % 2 ** (step + 1) == 0:
            step += 1
        return step

    levels = [level(patch) for patch in order(result)]
    assert levels == sorted(levels, reverse=True)
    assert len(set(levels)) > 2


def test_content_aware_looks_for_detail(autonomous):
    rng = np.random.default_rng(0)
    image = np.full((96, 192, 1), 0.5, np.float32)
    image[:, 120:] += rng.normal(0, 0.1, (96, 72, 1)).astype(np.float32)
    result = autonomous(PATCH, strategy="content_aware").autonomous_analyze(
        image, max_iterations=3, initial_known=0.4
    )
    for patch in order(result):
        assert patch % 24 >= 12


def test_uncertainty_guided_takes_the_least_sure_first(autonomous, kernel):
    kernel("unsure", unsure)

    def by_place(context, mask):
        rows = np.arange(mask.shape[0])[:, None] / mask.shape[0]
        return np.full_like(context, 0.5), np.broadcast_to(0.01 + 0.3 * rows, mask.shape)

    kernel("by place", by_place)
    result = autonomous(
        PATCH, strategy="uncertainty_guided", algorithm="by place"
    ).autonomous_analyze(IMAGE, target_quality=1.0)
    rows = [patch // COLUMNS for patch in order(result)]
    assert rows == sorted(rows, reverse=True)
    # and without a kernel, what lies far from everything known
    image = scene(96, 96, 1)
    engine = autonomous(PATCH, strategy="uncertainty_guided", algorithm="harmonic")
    result = engine.autonomous_analyze(image, initial_known=0.05, max_iterations=1, open_book=True)
    known = ~result.hidden_mask[::PATCH, ::PATCH]
    y, x = np.mgrid[:12, :12]
    distance = np.sqrt(
        np.min([(y - v) ** 2 + (x - u) ** 2 for v, u in np.argwhere(known)], axis=0)
    ).ravel()
    chosen = distance[list(result.history[0].patches)]
    assert chosen.mean() > distance[~known.ravel()].mean()


def test_random_order_follows_the_seed(autonomous):
    orders = [
        order(
            autonomous(PATCH, strategy="random", seed=seed).autonomous_analyze(
                IMAGE, target_quality=1.0
            )
        )
        for seed in range(3)
    ]
    assert orders[0] != orders[1] != orders[2]


# Closed and open book


def test_the_closed_book_never_sees_what_it_predicts(autonomous, kernel):
    """At the end everything hidden is a prediction, made of what was shown at the start."""
    kernel("half", lambda context, mask: np.full_like(context, 0.5))
    result = autonomous(PATCH, algorithm="half").autonomous_analyze(IMAGE, target_quality=1.0)
    assert (result.reconstruction[result.hidden_mask] == 0.5).all()
    masks = []
    kernel("spy", lambda context, mask: masks.append((context, mask)) or np.full_like(context, 0.5))
    autonomous(PATCH, algorithm="spy").autonomous_analyze(IMAGE, target_quality=1.0)
    known = [int((~mask).sum()) for _, mask in masks]
    assert known == sorted(known)
    assert len(set(known)) > 5
    context, mask = masks[-1]
    predicted = result.hidden_mask & ~mask
    assert predicted.any()
    assert (context[predicted] == 0.5).all()


def test_the_open_book_reveals_the_truth(autonomous, kernel):
    masks = []
    kernel("spy", lambda context, mask: masks.append((context, mask)) or np.full_like(context, 0.5))
    result = autonomous(PATCH, algorithm="spy").autonomous_analyze(
        IMAGE, open_book=True, target_quality=1.0
    )
    assert len(masks) > 5
    for context, mask in masks:
        np.testing.assert_array_equal(context[~mask], IMAGE[~mask])
    # what was revealed is the truth in the reconstruction; its error is that of its prediction
    done = np.zeros(result.hidden_mask.shape, bool)
    for patch in order(result):
        done[box(patch)] = True
    np.testing.assert_allclose(result.reconstruction[done], IMAGE[done], atol=1e-7)
    expected = np.abs(0.5 - IMAGE).mean(axis=2)
    np.testing.assert_allclose(
        result.error_map[result.hidden_mask], expected[result.hidden_mask], atol=1e-6
    )


def test_the_open_book_predicts_the_rest_better(autonomous):
    image = photograph(128, 160)
    closed, opened = (
        autonomous(PATCH, strategy="random").autonomous_analyze(
            image, open_book=open_book, target_quality=1.0, max_iterations=16
        )
        for open_book in (False, True)
    )
    assert closed.history[0].quality == pytest.approx(opened.history[0].quality, abs=1e-6)
    later = [np.mean([s.quality for s in r.history[10:]]) for r in (closed, opened)]
    assert later[1] > later[0]


# Stopping


def test_it_stops_when_every_patch_is_done(autonomous):
    # noise, whose quality goes up and down by more than the plateau
    image = np.random.default_rng(1).random((64, 80))
    result = autonomous(PATCH).autonomous_analyze(image, target_quality=1.0)
    assert result.stop_reason == "all_patches_done"
    assert result.completion == 1
    assert not result.converged
    assert set(order(result)) == set(hidden_patches(result).tolist())


def test_it_stops_at_the_target(autonomous):
    result = autonomous(PATCH).autonomous_analyze(IMAGE, target_quality=0.7)
    assert result.stop_reason == "target_quality"
    assert result.converged
    assert result.completion < 1
    assert result.history[-1].cumulative_quality >= 0.7
    # never on the word of less than ten patches
    assert len(order(result)) >= 10
    # and not before 95 % sure: a target just below what is reached takes longer
    quality = autonomous(PATCH).autonomous_analyze(IMAGE, target_quality=1.0).reconstruction_quality
    longer = autonomous(PATCH).autonomous_analyze(IMAGE, target_quality=quality - 1e-4)
    assert longer.iterations > result.iterations
    # what was left is drawn all the same
    assert (result.reconstruction[result.hidden_mask] != 0).all()
    assert (result.uncertainty_map[result.hidden_mask] > 0).all()


def test_it_stops_where_nothing_improves_any_more(autonomous, kernel):
    kernel("half", lambda context, mask: np.full_like(context, 0.5))
    image = np.full((96, 96), 0.75)
    image[::2] = 0.25  # every patch is as far from one half as every other
    result = autonomous(PATCH, algorithm="half").autonomous_analyze(image, target_quality=1.0)
    assert result.stop_reason == "no_improvement"
    assert result.iterations == 8
    assert not result.converged
    qualities = [step.cumulative_quality for step in result.history]
    assert np.ptp(qualities) < 1e-3


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_it_stops_at_the_limit(autonomous, limit):
    result = autonomous(PATCH).autonomous_analyze(IMAGE, max_iterations=limit, target_quality=1.0)
    assert result.stop_reason == "max_iterations"
    assert result.iterations == len(result.history) == limit
    assert result.completion == pytest.approx(len(order(result)) / len(hidden_patches(result)))


def test_a_target_of_nothing_is_met_at_once(autonomous):
    result = autonomous(PATCH).autonomous_analyze(IMAGE, target_quality=0.0)
    assert result.stop_reason == "target_quality"
    assert len(order(result)) < 10 + 3


# What is stated


def test_the_figures_fit_together(autonomous):
    image = scene(64, 80, dtype="uint8")
    result = autonomous(PATCH).autonomous_analyze(image, target_quality=1.0)
    hidden = result.hidden_mask
    mse = (1 / result.reconstruction_quality - 1) / 10
    assert result.psnr_db == pytest.approx(-10 * np.log10(mse))
    assert result.mae == pytest.approx(result.error_map[hidden].mean(), rel=1e-4)
    assert result.history[-1].cumulative_quality == pytest.approx(
        result.reconstruction_quality, abs=1e-9
    )
    assert 0 < result.skill < 1
    assert 0 < result.ssim < 1
    assert result.patch_size == PATCH
    # the confidence of a patch is one number, stated once
    grid = result.confidence_map.reshape(ROWS, PATCH, COLUMNS, PATCH)
    assert (np.ptp(grid, axis=(1, 3)) == 0).all()
    patches = result.confidence_map[::PATCH, ::PATCH].ravel()
    assert result.average_confidence == pytest.approx(patches[hidden_patches(result)].mean())
    for step in result.history:
        assert step.confidence == pytest.approx(patches[list(step.patches)].mean(), rel=1e-6)
        error = (result.reconstruction.astype(float) - image)[
            np.isin(np.arange(COUNT), step.patches)
            .reshape(ROWS, COLUMNS)
            .repeat(PATCH, 0)
            .repeat(PATCH, 1)
        ]
        quality = 1 / (1 + 10 * np.square(error / 255).mean())
        assert step.quality == pytest.approx(quality, abs=2e-3)  # the image is rounded


def test_it_learns_from_its_errors(autonomous, kernel):
    """A kernel that thinks too much of itself is believed less and less, or the other way round."""
    image = scene(64, 80, 1)
    for name, sigma, direction in (("vain", 1e-3, 1), ("shy", 0.9, -1)):
        kernel(name, lambda c, m, s=sigma: (np.full_like(c, 0.5), np.full(m.shape, s)))
        result = autonomous(PATCH, algorithm=name, strategy="random").autonomous_analyze(
            image, target_quality=1.0, max_iterations=7
        )
        stated = [result.uncertainty_map[box(s.patches[0])].mean() for s in result.history]
        assert stated[0] == pytest.approx(sigma, rel=1e-5)
        assert direction * (stated[1] - stated[0]) > 0
        assert direction * (stated[-1] - stated[0]) > 0.2 * stated[0]
        confidence = [step.confidence for step in result.history]
        assert name == "shy" or confidence[0] - confidence[-1] > 0.05


def test_stated_uncertainty_fits_a_photograph(autonomous, regional):
    image = photograph(256, 384, 60, 100)
    mask = np.kron(np.random.default_rng(0).random((16, 24)) < 0.25, np.ones((16, 16), bool))
    result = regional().reconstruct(image, mask)
    error = np.abs(result.reconstruction.astype(float) - image)[mask]
    within = (error <= 1.96 * result.uncertainty_map[mask][:, None]).mean()
    assert 0.88 < within < 0.995
    # more error where more was stated
    sigma = result.uncertainty_map[mask]
    unsure_half = sigma > np.median(sigma)
    assert error[unsure_half].mean() > 1.3 * error[~unsure_half].mean()
    right = (error <= 0.05 * 255).mean()
    assert result.confidence_map[mask].mean() == pytest.approx(right, abs=0.15)
    analysis = autonomous(16).autonomous_analyze(image, target_quality=1.0)
    patches = analysis.error_map.reshape(16, 16, 24, 16).mean(axis=(1, 3)).ravel()
    hidden = hidden_patches(analysis)
    right = (patches[hidden] <= 0.05 * 255).mean()
    assert analysis.average_confidence == pytest.approx(right, abs=0.15)


# Missing pixels


@pytest.mark.parametrize("open_book", [False, True])
def test_missing_pixels_are_drawn_and_never_scored(autonomous, open_book):
    mask = holes(64, 80)
    mask[8:16, 16:24] = True
    result = autonomous(PATCH).autonomous_analyze(
        IMAGE, mask=mask, open_book=open_book, target_quality=1.0
    )
    assert result.hidden_mask[mask].all()
    np.testing.assert_array_equal(np.isnan(result.error_map), mask)
    assert np.isfinite(result.reconstruction).all()
    assert (result.uncertainty_map[mask] > 0).all()
    scored = result.hidden_mask & ~mask
    if not open_book:
        assert result.mae == pytest.approx(result.error_map[scored].mean(), rel=1e-4)
    blank = ROWS * COLUMNS // ROWS + 2  # the patch that is missing as a whole
    assert mask[box(blank)].all()
    (step,) = [step for step in result.history if blank in step.patches] or [None]
    if step is not None and step.patches == (blank,):
        assert np.isnan(step.quality)


def test_steps_without_truth_have_no_quality(autonomous):
    mask = np.ones((80, 80), bool)
    mask[:8, :8] = mask[40:48, 40:48] = False
    result = autonomous(PATCH, strategy="edge_guided").autonomous_analyze(scene(80, 80), mask=mask)
    (scored,) = [s.iteration for s in result.history if not np.isnan(s.quality)]
    for step in result.history:
        assert np.isnan(step.cumulative_quality) == (step.iteration < scored)
    assert np.isfinite(result.reconstruction_quality)
    assert 0 <= result.average_confidence <= 1


# Odd images


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_flat_image_is_no_achievement(autonomous, value):
    image = np.full((64, 64, 3), value)
    result = autonomous(PATCH, algorithm="harmonic").autonomous_analyze(image)
    assert result.understanding_level == "excellent"
    assert result.converged
    assert result.mae < 1e-6
    assert np.isnan(result.skill)  # the mean colour is perfect already
    np.testing.assert_allclose(result.reconstruction, image, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (2, 2, 3), (1, 50), (50, 1), (3, 5, 4)])
def test_tiny_images(autonomous, shape):
    image = scene(64, 80, None if len(shape) == 2 else shape[2])[: shape[0], : shape[1]]
    for strategy in CONCRETE:
        for open_book in (False, True):
            result = autonomous(1, strategy=strategy).autonomous_analyze(image, open_book=open_book)
            assert result.reconstruction.shape == shape
            assert 1 <= result.hidden_mask.sum() < result.hidden_mask.size
            assert np.isfinite(result.reconstruction_quality)


def test_patches_that_do_not_divide_the_image(autonomous):
    image = scene(37, 53)
    result = autonomous(16).autonomous_analyze(image, target_quality=1.0)
    assert result.hidden_mask.shape == (37, 53)
    assert max(order(result)) < 3 * 4
    assert (result.uncertainty_map[result.hidden_mask] > 0).all()


def test_a_window_without_anything_known_is_grey_and_says_so(autonomous):
    image = scene(64, 80, 1)
    result = autonomous(PATCH, PATCH, strategy="random").autonomous_analyze(
        image, max_iterations=1, target_quality=1.0
    )
    first = box(result.history[0].patches[0])
    assert (result.reconstruction[first] == 0.5).all()
    np.testing.assert_allclose(result.uncertainty_map[first], np.sqrt(1 / 12), rtol=1e-6)


# Progress


@pytest.mark.parametrize("open_book", [False, True])
def test_progress_counts_the_patches(autonomous, open_book):
    calls = []
    result = autonomous(PATCH).autonomous_analyze(
        IMAGE,
        target_quality=1.0,
        open_book=open_book,
        progress=lambda *step: calls.append(step),
    )
    total = len(hidden_patches(result))
    assert {whole for _, whole in calls} == {total}
    done = [step for step, _ in calls]
    assert done == sorted(set(done))
    assert done[-1] == len(order(result))
    assert all(type(one) is int for step in calls for one in step)


def test_what_a_progress_callback_raises_stops_the_call(autonomous, regional):
    class Enough(Exception):
        pass

    raised = Enough("that will do")

    def stop(done, total):
        raise raised

    for call in (
        lambda: autonomous(PATCH).autonomous_analyze(IMAGE, progress=stop),
        lambda: regional().reconstruct(IMAGE, holes(64, 80), progress=stop),
        lambda: regional().test_understanding(IMAGE, progress=stop),
    ):
        with pytest.raises(Enough) as caught:
            call()
        assert caught.value is raised


def test_progress_of_a_reconstruction(regional):
    calls = []
    regional().reconstruct(IMAGE, holes(64, 80), progress=lambda *step: calls.append(step))
    assert calls == [(0, 1), (1, 1)]


def test_options_are_kept(autonomous):
    engine = autonomous(16, 48, algorithm="biharmonic", strategy="random", seed=5)
    assert (engine.patch_size, engine.context_size) == (16, 48)
    assert (engine.algorithm, engine.strategy, engine.seed) == ("biharmonic", "random", 5)
    with pytest.raises(InvalidOptionError):
        autonomous(16, 15)
