"""The noise engine's building blocks against others: SciPy, OpenCV, plain sums."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from noises import noisy_scenes, prepared
from scenes import calm_scene, noisy_scene
from scipy import fft, ndimage, special

from helicopter.backends.reference.analysis.noise import answers, blocks, level_map
from helicopter.backends.reference.analysis.noise import block_features as block_features
from helicopter.models._noise import noise_model

#: Band of each coefficient, row frequencies from top to bottom; "." is the constant one.
BANDS = (
    ".0115555",
    "00125555",
    "11222333",
    "12223334",
    "66233344",
    "66333444",
    "66334444",
    "66344444",
)
OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])


def levels_of(height, width, channels=None, seed=0):
    noisy = noisy_scene(height, width, channels, sigma=25.0, seed=seed).astype(np.float32)
    return noisy if channels else noisy[:, :, None]


def band_means(coefficients):
    """Mean squares of each band of one block."""
    squares = np.square(coefficients.astype(np.float64))
    bands = [[] for _ in range(blocks.BANDS)]
    for u in range(8):
        for v in range(8):
            if BANDS[u][v] != ".":
                bands[int(BANDS[u][v])].append(squares[u, v])
    return np.array([np.mean(band) for band in bands])


# Blocks


def test_cosines_are_those_of_scipy():
    block = np.random.default_rng(0).normal(0, 50, (20, 8, 8))
    ours = block.reshape(20, 64) @ blocks.COSINES.astype(np.float64).T
    expected = fft.dctn(block, axes=(1, 2), norm="ortho")
    np.testing.assert_allclose(ours.reshape(20, 8, 8), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (21, 40), (48, 33)])
@pytest.mark.parametrize("channels", [None, 3])
def test_what_each_block_testifies(height, width, channels):
    levels = levels_of(height, width, channels)
    low, high = levels.min(), levels.max()
    included = np.ones((height, width), bool)
    included[height // 2, width // 3] = height < 12
    found = blocks.measure_blocks(levels, included, low, high, copy=False)
    assert found.stride == (4, 4)
    assert found.lattice == ((height - 8) // 4 + 1, (width - 8) // 4 + 1)
    planes = levels.astype(np.float64) @ (OPPONENT.T if channels else np.eye(1))
    number = 0
    for top in range(0, height - 7, 4):
        for left in range(0, width - 7, 4):
            box = np.s_[top : top + 8, left : left + 8]
            cosines = [fft.dctn(planes[box][:, :, p], norm="ortho") for p in range(channels or 1)]
            energy = np.array([band_means(one) for one in cosines])
            close = {"rtol": 1e-4, "atol": 1e-2}
            np.testing.assert_allclose(found.energy[number], energy, **close)
            np.testing.assert_allclose(found.fine[number], energy[:, 3:5].mean(axis=1), **close)
            for k, (i, j) in enumerate([(0, 1), (0, 2), (1, 2)] if channels else []):
                product = cosines[i] * cosines[j]
                of_bands = [product[np.array([list(r) for r in BANDS]) == b].mean() for b in "34"]
                expected = np.mean(of_bands)
                np.testing.assert_allclose(found.cross[number, k], expected, rtol=1e-3, atol=0.1)
            np.testing.assert_allclose(
                found.mean[number], levels[box].mean(axis=(0, 1)), rtol=1e-5, atol=1e-3
            )
            ends = (levels[box] <= low) | (levels[box] >= high)
            assert found.clipped[number] == pytest.approx(ends.mean(), abs=1e-6)
            chroma = planes[box][:, :, 1:] if channels else planes[box]
            differences = np.concatenate(
                [
                    ndimage.convolve(chroma[:, :, p], [[0.5, -0.5], [-0.5, 0.5]])[
                        :8:2, :8:2
                    ].ravel()
                    for p in range(chroma.shape[2])
                ]
            )
            np.testing.assert_allclose(found.square[number], np.mean(differences**2), **close)
            np.testing.assert_allclose(found.fourth[number], np.mean(differences**4), rtol=1e-3)
            assert found.valid[number] == included[box].all()
            number += 1
    assert number == len(found.valid) == len(found.energy)


def test_constant_blocks_have_nothing_to_say():
    levels = np.full((24, 24, 1), 77, np.float32)
    levels[12:, 12:] += np.random.default_rng(0).normal(0, 1, (12, 12, 1)).astype(np.float32)
    found = blocks.measure_blocks(levels, np.ones((24, 24), bool), 70, 80, copy=False)
    flat = [
        np.ptp(levels[y : y + 8, x : x + 8]) == 0 for y in range(0, 17, 4) for x in range(0, 17, 4)
    ]
    np.testing.assert_array_equal(found.valid, ~np.array(flat))


@pytest.mark.parametrize("channels", [None, 3])
def test_the_fourth_moment_tells_normal_from_uniform_noise(channels):
    rng = np.random.default_rng(4)
    shape = (400, 400, channels or 1)
    # sums of four values, weighted by 1/2: of uniform ones, the excess is a quarter of -1.2; the
    # opponent planes mix more of them
    for values, low, high in (
        (rng.normal(100, 5, shape), 2.95, 3.05),
        (rng.uniform(90, 110, shape), 2.5, 2.75 if channels is None else 2.9),
    ):
        found = blocks.measure_blocks(
            values.astype(np.float32), np.ones(shape[:2], bool), 0, 255, copy=False
        )
        assert low < found.fourth.mean() / found.square.mean() ** 2 < high


@given(st.integers(1, 400))
def test_the_tenth_is_a_quantile(count):
    values = np.random.default_rng(count).random(count).astype(np.float32)
    assert block_features._tenth(values) == np.sort(values)[int((count - 1) * 10 // 100)]


@pytest.mark.parametrize("shape", [(64, 48, 1), (33, 21, 3), (17, 40, 3)])
def test_smaller_copies_are_those_of_opencv(shape):
    levels = levels_of(*shape[:2], 3)[:, :, : shape[2]]
    height, width = shape[0] // 2, shape[1] // 2
    expected = cv2.resize(
        levels[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA
    ).reshape(height, width, shape[2])
    np.testing.assert_allclose(block_features._halve(levels), expected, rtol=1e-6)
    included = np.random.default_rng(0).random(shape[:2]) < 0.8
    some = cv2.resize(
        (~included[: 2 * height, : 2 * width]).astype(np.float32),
        (width, height),
        interpolation=cv2.INTER_AREA,
    )
    np.testing.assert_array_equal(block_features._halve_mask(included), some == 0)


@given(st.floats(0, 255))
def test_blocks_belong_to_the_two_nearest_intensities(mean):
    found = blocks.measure_blocks(levels_of(16, 16), np.ones((16, 16), bool), 0, 255, copy=False)
    found.mean[:] = mean
    centres = (np.arange(block_features.BINS) + 0.5) / block_features.BINS * 255
    expected = [np.interp(mean, centres, one) for one in np.eye(block_features.BINS)]
    np.testing.assert_allclose(block_features.by_intensity(found)[0], expected, atol=1e-5)


# The map


@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (40, 3), (60, 70)])
@pytest.mark.parametrize("reaches", [(16, 16), (4, 4), (2, 1)])
def test_neighbourhoods_are_boxes_convolved_twice(shape, reaches):
    values = np.random.default_rng(1).random(shape)
    expected = values
    for _ in range(2):
        sides = [2 * min(reach, side - 1) + 1 for reach, side in zip(reaches, shape, strict=True)]
        box = np.full(sides, 1 / np.prod(sides))
        expected = ndimage.convolve(expected, box, mode="constant")
    np.testing.assert_allclose(level_map._pyramid(values, reaches), expected, rtol=1e-9)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (47, 90), (120, 61)])
@pytest.mark.parametrize("channels", [None, 3])
def test_the_map_is_the_smoothed_evidence(height, width, channels):
    image = prepared(noisy_scene(height, width, channels, sigma=10.0))
    model = noise_model(channels or 1)
    of_blocks = block_features.extract_features(
        image, np.ones((height, width), bool), 0.0, model.blocks
    )
    found = level_map.level_map(of_blocks, 0.04, (height, width), model)
    assert found.dtype == np.float32
    weight = of_blocks.share[:, 0].reshape(of_blocks.blocks.lattice) * len(of_blocks.share)
    fine = of_blocks.blocks.fine.astype(np.float64)
    energy = fine[:, 0] if channels is None else (fine[:, 1] + fine[:, 2]) / 2
    energy = energy.reshape(of_blocks.blocks.lattice)
    estimate = (weight * energy).sum() / weight.sum()
    for reach, shrink in zip((16, 4), model.map_shrink, strict=True):
        sides = [2 * min(reach, side - 1) + 1 for side in weight.shape]
        box = np.full(sides, 1 / np.prod(sides))

        def smooth(values, box=box):
            once = ndimage.convolve(values, box, mode="constant")
            return ndimage.convolve(once, box, mode="constant")

        estimate = (smooth(weight * energy) + shrink * estimate) / (smooth(weight) + shrink)
    sigma = np.sqrt(estimate / estimate.mean()) * 0.04
    places = [(np.arange(side) - 3.5) / 4 for side in (height, width)]
    expected = ndimage.map_coordinates(
        sigma, np.meshgrid(*places, indexing="ij"), order=1, mode="nearest"
    )
    np.testing.assert_allclose(found, expected, rtol=2e-5)


# The networks


def by_loops(matrix, values, bias):
    return [
        sum(float(w) * float(x) for w, x in zip(row, values, strict=True)) + float(b)
        for row, b in zip(matrix, bias, strict=True)
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_perceptron_is_what_it_is_said_to_be(channels):
    rng = np.random.default_rng(channels)
    for network in (noise_model(channels).level, noise_model(channels).kinds):
        features = network.centre + network.spread * rng.normal(0, 4, len(network.centre))
        normal = [
            max(-6.0, min(6.0, (float(x) - float(c)) / float(s)))
            for x, c, s in zip(features, network.centre, network.spread, strict=True)
        ]
        assert max(normal) == 6
        values = normal
        for matrix, bias in network.layers[:2]:
            values = [max(value, 0.0) for value in by_loops(matrix, values, bias)]
        last = by_loops(*_in_order(network.layers[2], values))
        direct = by_loops(network.direct, normal, np.zeros(len(network.direct)))
        expected = np.add(last, direct)
        np.testing.assert_allclose(network.answer(features), expected, rtol=1e-9, atol=1e-9)


def _in_order(layer, values):
    matrix, bias = layer
    return matrix, values, bias


@pytest.mark.parametrize("channels", [1, 3])
def test_a_block_is_weighed_by_itself(channels):
    network = noise_model(channels).blocks
    inputs = network.layers[0][0].shape[1]
    assert inputs == 7 * channels + 3
    seen = np.random.default_rng(0).normal(0, 2, (6, inputs)).astype(np.float32)
    weights = network.weigh(seen)
    for one, weight in zip(seen, weights, strict=True):
        values = one
        for layer in network.layers:
            values = [max(value, 0.0) for value in by_loops(*_in_order(layer, values))]
        np.testing.assert_allclose(weight, np.square(values) + 1e-6, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(network.weigh(seen, 2), weights[:, :2], rtol=1e-5)
    np.testing.assert_allclose(network.weigh(seen[:1]), weights[:1], rtol=1e-5)


@pytest.mark.parametrize("channels", [None, 3])
def test_the_calmest_blocks_are_those_of_a_sorted_list(channels):
    image = noisy_scene(256, 240, channels, sigma=4.0)
    seen = blocks.measure_blocks(
        np.atleast_3d(image).astype(np.float32), np.ones((256, 240), bool), 0, 255, copy=False
    )
    found = np.exp(block_features.low_detail(seen, 16.0)) * 16
    planes = seen.energy[:, :1] if channels is None else seen.energy[:, 1:]
    energy = planes.mean(axis=1)[seen.valid]
    counts = (1 - seen.clipped[seen.valid]) ** 4
    low = energy[:, :3] @ np.array([3, 6, 8]) / 17
    order = np.argsort(low)
    passed = np.cumsum(counts[order]) / counts.sum()
    for share, means in zip(block_features.SHARES, found, strict=True):
        first = order[passed <= share]
        if len(first) < 20:
            continue
        for values, mean in zip((low, energy[:, 3], energy[:, 4]), means, strict=True):
            expected = np.average(values[first], weights=counts[first])
            # within a bin of the histogram, all are alike
            assert mean == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize("channels", [1, 3])
def test_probabilities_follow_from_the_outputs(channels):
    image = prepared(noisy_scene(64, 64, None if channels == 1 else 3))
    model = noise_model(channels)
    of_blocks = block_features.extract_features(
        image, np.ones((64, 64), bool), 1 / 255, model.blocks
    )
    rng = np.random.default_rng(0)
    centre, spread = model.kinds.centre, model.kinds.spread
    for _ in range(20):
        measured = (centre + spread * rng.normal(0, 2, len(centre))).astype(np.float64)
        kinds = answers.conclude_kinds(measured, of_blocks, model)
        outputs = model.kinds.answer(measured)
        fine = special.softmax(outputs[:6])
        impulses = special.softmax(outputs[6:9])
        periodic, compression = special.expit(outputs[9:11])
        clean, gaussian, poisson, speckle, uniform, salt_pepper, impulse, *others = (
            kinds.probabilities
        )
        absent = (1 - periodic) * (1 - compression)
        assert clean == pytest.approx(fine[0] * impulses[0] * absent)
        # the sixth is Poisson's and Gaussian noise at once
        assert gaussian == pytest.approx(fine[1] + fine[5])
        assert poisson == pytest.approx(fine[2] + fine[5])
        assert (speckle, uniform) == pytest.approx(tuple(fine[3:5]))
        assert (salt_pepper, impulse) == pytest.approx(tuple(impulses[1:]))
        assert others == pytest.approx([periodic, compression])
        assert all(0 <= one <= 1 for one in kinds.probabilities)
        rough = of_blocks.reference_variance / of_blocks.unit**2  # variance on the [0, 1] scale
        outputs = np.clip(outputs[11:13], -12, 12)
        assert kinds.gain == pytest.approx(2 * rough * np.exp(outputs[0]))
        assert kinds.speckle == pytest.approx(2 * np.sqrt(rough) * np.exp(outputs[1]))


@pytest.mark.parametrize("channels", [None, 3])
def test_the_level_function_and_the_level_agree(channels):
    for kind, image in noisy_scenes(96, 112, channels, ("gaussian", "poisson", "speckle")):
        model = noise_model(channels or 1)
        of_blocks = block_features.extract_features(
            prepared(image), np.ones((96, 112), bool), 1 / 255, model.blocks
        )
        function = answers.level_function(of_blocks, 0.05)
        centres = (np.arange(block_features.BINS) + 0.5) / block_features.BINS
        np.testing.assert_allclose(
            function[:, 0] * image.max() / 255, centres * (image.max() / 255) ** 2
        )
        assert function[:, 2].sum() == pytest.approx(1, abs=1e-6)
        intensity = calm_scene(96, 112, channels) / 255
        mean = intensity if channels is None else intensity.mean(axis=2)
        average = np.interp(mean, function[:, 0], function[:, 1]).mean()
        assert average == pytest.approx(0.05**2, rel=0.1)
        law = np.polyfit(function[:, 0], function[:, 1], 1, w=np.sqrt(function[:, 2]))[0]
        assert (law > 0.002) == (kind != "gaussian")
