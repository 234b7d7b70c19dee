"""Invariant 1: a prediction is a function of the visible pixels, the mask and the options only."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from noises import noisy_scenes
from pairs import all_pairs
from scenes import (
    BUILT_IN,
    CONCRETE,
    holes,
    in_dtype,
    mean_colour,
    noisy_scene,
    scene,
    unsure,
)
from segment_scenes import patchwork

from helicopter.backends.protocol import AutonomousOptions
from helicopter.core import StoppingPolicy
from helicopter.core.registry import find_algorithm
from helicopter.models import uncertainty_model
from helicopter.testing.strategies import images_with_masks

HEIGHT, WIDTH, PATCH = 48, 56, 8
COLUMNS = WIDTH // PATCH
MASK = holes(HEIGHT, WIDTH)
MODEL = uncertainty_model("harmonic")


def identical(one, two):
    """The same bits, signs of zeros and kinds of NaN included."""
    assert one.dtype == two.dtype
    assert one.shape == two.shape
    assert one.tobytes() == two.tobytes()


def identical_results(one, two):
    for name, value in one.items():
        if isinstance(value, np.ndarray):
            identical(value, two[name])
        elif name not in ("seconds", "history"):
            assert value == two[name] or value != value, name


def fillings(image):
    """The things that may stand at hidden pixels."""
    rng = np.random.default_rng(3)
    yield np.zeros_like(image)
    yield in_dtype(np.ones(image.shape), image.dtype)
    yield in_dtype(rng.random(image.shape), image.dtype)
    if image.dtype.kind == "f":
        yield np.full_like(image, np.nan)
        yield np.full_like(image, -np.inf)
        yield np.full_like(image, np.finfo(image.dtype).max)


# Regional


@pytest.mark.parametrize("algorithm", [*BUILT_IN, "flat", "unsure"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_hidden_pixels_have_no_say(regional, kernel, dtype, algorithm):
    kernel("flat", mean_colour)
    kernel("unsure", unsure)
    image = scene(HEIGHT, WIDTH, dtype=dtype)
    engine = regional(algorithm)
    expected = engine.reconstruct(image, MASK)
    for filling in fillings(image):
        changed = np.where(MASK[:, :, None], filling, image)
        result = engine.reconstruct(changed, MASK)
        identical_results(result, expected)


@given(images_with_masks(), st.sampled_from(BUILT_IN))
def test_hidden_pixels_have_no_say_whatever_the_image(regional, both, algorithm):
    image, mask = both
    expected = regional(algorithm).reconstruct(image, mask)
    changed = image.copy()
    colour = changed[..., :3] if changed.ndim == 3 else changed
    colour[mask] = ~colour[mask] if image.dtype.kind in "bu" else np.nan
    result = regional(algorithm).reconstruct(changed, mask)
    visible_alpha = [expected.reconstruction, result.reconstruction]
    if image.ndim == 3:
        visible_alpha = [one[..., :3] for one in visible_alpha]
    identical(*visible_alpha)
    identical(result.uncertainty_map, expected.uncertainty_map)
    identical(result.confidence_map, expected.confidence_map)


def test_a_kernel_sees_nothing_hidden(autonomous, regional, kernel):
    image = scene(HEIGHT, WIDTH) * 0.5 + 0.4  # nowhere 0
    seen = []

    def spy(context, mask):
        seen.append((context.copy(), mask.copy()))
        return np.full_like(context, 0.25)

    kernel("spy", spy)
    regional("spy").reconstruct(image, MASK)
    regional("spy").test_understanding(image, ["checkerboard"], [0.5])
    autonomous(PATCH, algorithm="spy").autonomous_analyze(image, mask=MASK)
    autonomous(PATCH, algorithm="spy").autonomous_analyze(image, open_book=True)
    assert len(seen) > 10
    for context, mask in seen:
        assert mask.any()
        assert (context[mask] == 0).all()
        assert (context[~mask] > 0).all()


@pytest.mark.parametrize("kind", BUILT_IN)
def test_the_backend_itself_does_not_read_hidden_pixels(inner, kind):
    # the border blanks them; should it ever fail to, nothing behind it may notice
    image = scene(HEIGHT, WIDTH)
    expected = np.where(MASK[:, :, None], np.float32(0), image)
    algorithm = find_algorithm(kind)
    variance = inner.reconstruct(expected, MASK, algorithm, MODEL)
    blank = np.where(MASK[:, :, None], np.float32(0), image)
    for filling in fillings(image):
        context = np.where(MASK[:, :, None], filling, image)
        identical(inner.reconstruct(context, MASK, algorithm, MODEL), variance)
        identical(context, expected)
        context = np.clip(np.where(MASK[:, :, None], filling, image), 0, 1)
        identical(
            inner.hidden_variance(np.nan_to_num(context), MASK, MODEL),
            inner.hidden_variance(blank, MASK, MODEL),
        )


# Autonomous


@pytest.mark.parametrize("open_book", [False, True])
@pytest.mark.parametrize("strategy", CONCRETE)
def test_missing_pixels_have_no_say_in_anything(autonomous, strategy, open_book):
    image = scene(HEIGHT, WIDTH)
    engine = autonomous(PATCH, strategy=strategy)
    options = {"mask": MASK, "open_book": open_book}
    expected = engine.autonomous_analyze(image, **options)
    for filling in fillings(image):
        changed = np.where(MASK[:, :, None], filling, image)
        result = engine.autonomous_analyze(changed, **options)
        identical_results(result, expected)
        for one, two in zip(result.history, expected.history, strict=True):
            # a NaN quality is one that could not be measured
            assert repr(one.to_dict()) == repr(two.to_dict())


def pixels_of(patches):
    chosen = np.zeros(HEIGHT // PATCH * COLUMNS, bool)
    chosen[list(patches)] = True
    grid = chosen.reshape(-1, COLUMNS)
    return grid.repeat(PATCH, axis=0).repeat(PATCH, axis=1)


def steps(history):
    """A history without what is learnt in its last step."""
    whole = [tuple(step) for step in history]
    last = history[-1]
    return repr([*whole[:-1], (last.patches, last.strategy, last.confidence)])


@all_pairs(
    strategy=CONCRETE,
    open_book=(False, True),
    context_size=(None, 24),
    algorithm=(*BUILT_IN, "unsure"),
)
def test_the_truth_of_a_patch_has_no_say_until_it_is_scored(
    autonomous, inner, kernel, strategy, open_book, context_size, algorithm
):
    kernel("unsure", unsure)
    predictor = autonomous(algorithm=algorithm)._algorithm
    options = AutonomousOptions(
        patch_size=PATCH,
        context_size=context_size,
        strategy=strategy,
        seed=1,
        max_iterations=4,
        target_quality=1.0,
        initial_known=0.2,
        open_book=open_book,
    )
    image = scene(HEIGHT, WIDTH)
    none = np.zeros_like(MASK)

    def run(image, missing):
        return inner.autonomous(image, missing, predictor, options, MODEL, None)

    for missing in (none, MASK) if algorithm == "harmonic" else (none,):
        image = np.where(missing[:, :, None], np.float32(0), scene(HEIGHT, WIDTH))
        expected = run(image, missing)
        assert len(expected.history) == 4
        for k in (1, 3):
            until_k = [p for step in expected.history[:k] for p in step.patches]
            at_k = pixels_of(expected.history[k - 1].patches)
            later = expected.hidden & ~pixels_of(until_k)
            for perturbed in (at_k, at_k | later):
                changed = np.where(perturbed[:, :, None] & ~missing[:, :, None], 1 - image, image)
                result = run(changed, missing)
                assert steps(result.history[:k]) == steps(expected.history[:k])
                # with the book open, missing pixels are drawn once more at the end
                drawn = pixels_of(until_k) & ~missing
                identical(result.prediction[drawn], expected.prediction[drawn])
                identical(result.variance[drawn], expected.variance[drawn])
                identical(result.confidence[drawn], expected.confidence[drawn])
                identical(result.hidden, expected.hidden)
                assert not np.array_equal(
                    result.history[k - 1].quality, expected.history[k - 1].quality
                )


@pytest.mark.parametrize("strategy", CONCRETE)
def test_the_same_of_a_whole_analysis(autonomous, strategy):
    image = scene(HEIGHT, WIDTH, dtype="float64")
    engine = autonomous(PATCH, strategy=strategy, seed=4)
    expected = engine.autonomous_analyze(image, target_quality=1.0)
    k = 4
    until_k = pixels_of([p for step in expected.history[:k] for p in step.patches])
    changed = image.copy()
    hidden = expected.hidden_mask & ~pixels_of(
        [p for step in expected.history[: k - 1] for p in step.patches]
    )
    changed[hidden] = 1 - changed[hidden]
    result = engine.autonomous_analyze(changed, target_quality=1.0)
    assert [step.patches for step in result.history[:k]] == [
        step.patches for step in expected.history[:k]
    ]
    for name in ("reconstruction", "uncertainty_map", "confidence_map", "hidden_mask"):
        identical(result[name][until_k], expected[name][until_k])


@pytest.mark.parametrize("open_book", [False, True])
@pytest.mark.parametrize("algorithm", ["harmonic", "unsure"])
def test_evidence_has_no_say_until_it_is_looked_at(autonomous, kernel, algorithm, open_book):
    # what was not looked at may be anything: the same looks, the same verdict
    kernel("unsure", unsure)
    image = scene(HEIGHT, WIDTH, dtype="float64")
    policy = StoppingPolicy(0.6, cost_of_look=0.002)
    engine = autonomous(PATCH, algorithm=algorithm, stop=policy, threshold=0.985, seed=2)
    expected = engine.autonomous_analyze(image, open_book=open_book)
    assert expected.stop_reason == "evidence_sufficient"
    looked = pixels_of([p for step in expected.history for p in step.patches])
    unseen = expected.hidden_mask & ~looked
    assert unseen.any()
    changed = np.where(unseen[:, :, None], 1 - image, image)
    result = engine.autonomous_analyze(changed, open_book=open_book)
    assert result.stop_reason == expected.stop_reason
    identical(result.patch_qualities, expected.patch_qualities)
    identical(result.reconstruction[looked], expected.reconstruction[looked])
    assert [step.to_dict() for step in result.verification.trajectory] == [
        step.to_dict() for step in expected.verification.trajectory
    ]
    # and of what is looked at last, the truth has no say in anything before
    last = expected.history[-1].patches[-1]
    changed = np.where(pixels_of([last])[:, :, None], 1 - image, image)
    limit = expected.iterations
    result = engine.autonomous_analyze(changed, open_book=open_book, max_iterations=limit)
    count = len(expected.patch_qualities)
    identical(result.patch_qualities[: count - 1], expected.patch_qualities[:-1])
    assert result.patch_qualities[count - 1] != expected.patch_qualities[-1]


@pytest.mark.parametrize("seed", range(4))
def test_no_truth_sets_the_order_of_looks_within_a_batch(autonomous, seed):
    # small patches, so that there are dozens in a batch and it is cut short by the verdict
    image = scene(60, 84, dtype="float64")
    policy = StoppingPolicy(0.6, cost_of_look=0.0005)
    engine = autonomous(2, algorithm="harmonic", stop=policy, threshold=0.985, seed=seed)
    expected = engine.autonomous_analyze(image)
    first = expected.history[0].patches
    changed = np.where(expected.hidden_mask[:, :, None], 1 - image, image)
    others = engine.autonomous_analyze(changed).history[0].patches
    length = min(len(first), len(others))
    assert length > 3
    assert first[:length] == others[:length]


@all_pairs(
    open_book=(False, True), context_size=(8, 11, 24), algorithm=("network", "harmonic", "unsure")
)
def test_nothing_outside_the_window_has_a_say(
    autonomous, kernel, open_book, context_size, algorithm
):
    kernel("unsure", unsure)
    image = scene(HEIGHT, WIDTH)
    engine = autonomous(PATCH, context_size, algorithm=algorithm, strategy="random")

    def first_step(image):
        # what is not done then is drawn from what is known then, so only the first step is compared
        options = AutonomousOptions(PATCH, context_size, "random", 0, 1, 1.0, 0.6, open_book)
        return engine._backend.autonomous(
            image, np.zeros_like(MASK), engine._algorithm, options, MODEL, None
        )

    expected = first_step(image)
    margin = (context_size - PATCH) // 2
    insiders = 0
    for patch in expected.history[0].patches:
        top, left = patch // COLUMNS * PATCH, patch % COLUMNS * PATCH
        box = np.s_[top : top + PATCH, left : left + PATCH]
        inside = np.zeros_like(MASK)
        inside[
            max(top - margin, 0) : top - margin + context_size,
            max(left - margin, 0) : left - margin + context_size,
        ] = True
        outside = first_step(np.where(inside[:, :, None], image, 1 - image))
        assert outside.history[0].patches == expected.history[0].patches
        for name in ("prediction", "variance", "confidence"):
            identical(getattr(outside, name)[box], getattr(expected, name)[box])
        within = first_step(np.where(inside[:, :, None], 1 - image, image))
        insiders += not np.array_equal(within.prediction[box], expected.prediction[box])
    # and what is inside does have one
    assert insiders or context_size == PATCH


def test_the_window_may_be_wider_than_the_image(autonomous):
    image = scene(HEIGHT, WIDTH)
    wide, wider = (
        autonomous(PATCH, size, strategy="edge_guided").autonomous_analyze(image)
        for size in (200, 2**31 - 1)
    )
    identical_results(wide, wider)
    assert [dataclasses.astuple(step) for step in wide.history] == [
        dataclasses.astuple(step) for step in wider.history
    ]


# Noise


def identical_noise(one, two):
    """Every figure, within segments too."""
    first, second = (result.to_dict(arrays=True) for result in (one, two))
    assert repr({**first, "seconds": 0}) == repr({**second, "seconds": 0})
    identical_results(
        {name: value for name, value in one.items() if isinstance(value, np.ndarray)}, two
    )


# the whole product, not pairs: of a scene so small, only of Gaussian noise is every figure above 0
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("kind", ["gaussian", "salt_pepper", "periodic", "compression"])
def test_excluded_pixels_have_no_say_in_what_is_said_of_noise(detector, kind, channels, dtype):
    labels = np.arange(HEIGHT)[:, None] // 24 + np.zeros((HEIGHT, WIDTH), int)
    hidden = MASK if channels is None else MASK[:, :, None]
    ((_, levels),) = noisy_scenes(HEIGHT, WIDTH, channels, [kind])
    image = levels if dtype == "uint8" else (levels / 255).astype(dtype)
    expected = detector().analyze(image, mask=MASK, segments=labels)
    level = detector().level(image, mask=MASK)
    for number, filling in enumerate(fillings(image)):
        # all fillings with one kind, two with the others
        if kind == "gaussian" or number in (2, 3):
            changed = np.where(hidden, filling, image)
            identical_noise(detector().analyze(changed, mask=MASK, segments=labels), expected)
            identical_noise(detector().level(changed, mask=MASK), level)


@given(images_with_masks())
def test_excluded_pixels_have_no_say_in_noise_whatever_the_image(detector, both):
    image, mask = both
    changed = image.copy()
    colour = changed[..., :3] if changed.ndim == 3 else changed
    colour[mask] = ~colour[mask] if image.dtype.kind in "bu" else np.nan
    identical_noise(detector().analyze(changed, mask=mask), detector().analyze(image, mask=mask))


def test_what_is_beyond_excluded_pixels_does_have_a_say(detector):
    image = noisy_scene(HEIGHT, WIDTH)
    changed = image.copy()
    changed[~MASK] = 255 - changed[~MASK]
    one, two = (detector().analyze(pixels, mask=MASK) for pixels in (image, changed))
    assert one.parameters["poisson"] != two.parameters["poisson"]


# Segments


@pytest.mark.parametrize("halo", [0, 4])
@pytest.mark.parametrize("algorithm", [*BUILT_IN, "unsure"])
def test_hidden_pixels_of_segments_have_no_say_in_what_is_drawn(segmental, kernel, algorithm, halo):
    kernel("unsure", unsure)
    image, labels = patchwork()
    missing = np.random.default_rng(1).random(labels.shape) < 0.05
    engine = segmental(algorithm=algorithm, halo=halo)
    expected = engine.segment_aware_reconstruction(image, segments=labels, mask=missing)
    for filling in fillings(image):
        changed = np.where(missing[:, :, None], filling, image)
        result = engine.segment_aware_reconstruction(changed, segments=labels, mask=missing)
        identical(result.reconstruction, expected.reconstruction)
        identical(result.uncertainty_map, expected.uncertainty_map)
        identical(result.confidence_map, expected.confidence_map)
        assert repr(result.segments) == repr(expected.segments)
    if halo:
        return  # what one segment hides, another may see
    changed = np.where(expected.hidden_mask[:, :, None], 1 - image, image)
    result = engine.segment_aware_reconstruction(changed, segments=labels, mask=missing)
    identical(result.reconstruction, expected.reconstruction)
    assert [one.type for one in result.segments] == [one.type for one in expected.segments]
    assert result.reconstruction_quality < expected.reconstruction_quality


@pytest.mark.parametrize("halo", [0, 4])
def test_segments_are_found_without_what_will_be_hidden(segmental, halo):
    image = noisy_scene(64, 80, 3) / np.float32(255)
    image[20:40, 30:60] = 0.9
    missing = np.random.default_rng(1).random(image.shape[:2]) < 0.02
    engine = segmental(algorithm="harmonic", halo=halo)
    for count in (1, 6, 40):
        expected = engine.segment_aware_reconstruction(image, segments=count, mask=missing)
        assert 0.4 < expected.hidden_mask.mean() < 0.9
        for other in (1 - image, np.float32(0.25)):
            changed = np.where(expected.hidden_mask[:, :, None], other, image)
            result = engine.segment_aware_reconstruction(changed, segments=count, mask=missing)
            identical(result.labels, expected.labels)
            identical(result.hidden_mask, expected.hidden_mask)
            assert [one.type for one in result.segments] == [one.type for one in expected.segments]
            if not halo:  # what one segment hides, another may see
                identical(result.reconstruction, expected.reconstruction)


def test_a_kernel_sees_nothing_of_a_segment_that_is_hidden(segmental, kernel):
    image, labels = patchwork()
    image = image * 0.5 + 0.4  # nowhere 0
    seen = []

    def spy(context, mask):
        seen.append((context.copy(), mask.copy()))
        return np.full_like(context, 0.25)

    kernel("spy", spy)
    segmental(algorithm="spy").segment_aware_reconstruction(image, segments=labels)
    assert len(seen) > 3
    for context, mask in seen:
        assert (context[mask] == 0).all()
        assert (context[~mask] > 0).all()
