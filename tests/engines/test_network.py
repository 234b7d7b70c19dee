"""The network: against a plain calculation, on shapes of every kind, in every engine."""

import numpy as np
import pytest
from networks import SMALL, random_tensors, write
from scenes import holes, in_dtype, photograph, scene

from helicopter.backends.reference.algorithms import network, pde
from helicopter.core import AutonomousReconstructionEngine, RegionalReconstructionEngine
from helicopter.models import load_network
from helicopter.models._network import Architecture

DEEP = Architecture((6, 8, 10), (1, 1, 1), (1, 1), 4)


# A plain calculation: from the formulas, in double precision, pixel windows and no tricks


def convolved(x, tensors, name):
    """`x` is (C, H, W), as PyTorch has it."""
    weight, bias = (tensors[f"{name}.{kind}"].astype(float) for kind in ("weight", "bias"))
    side = weight.shape[2]
    if side == 2:
        windows = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2).transpose(0, 1, 3, 2, 4)
    else:
        margin = side // 2
        padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    return np.einsum("chwyx,ocyx->ohw", windows, weight) + bias[:, None, None]


def shuffled(x):
    channels, height, width = len(x) // 4, *x.shape[1:]
    quads = x.reshape(channels, 2, 2, height, width).transpose(0, 3, 1, 4, 2)
    return quads.reshape(channels, 2 * height, 2 * width)


def plain(filled, mask, tensors, architecture):
    """Prediction and log scale of a filled image (H, W, 3)."""
    height, width = mask.shape
    stride = 2 ** len(architecture.widths)
    x = np.zeros((5, -(-height // stride) * stride, -(-width // stride) * stride))
    x[:3, :height, :width] = 2 * filled.transpose(2, 0, 1).astype(float) - 1
    x[3, :height, :width] = mask
    x[4, :height, :width] = 1
    quads = [x[c, dy::2, dx::2] for c in range(5) for dy in (0, 1) for dx in (0, 1)]
    x = convolved(np.array(quads), tensors, "enter")

    def blocks(x, way, level):
        for block in range(getattr(architecture, way)[level]):
            first = convolved(x, tensors, f"{way}.{level}.{block}.first")
            x = x + convolved(np.maximum(first, 0), tensors, f"{way}.{level}.{block}.second")
        return x

    skips = []
    deepest = len(architecture.widths) - 1
    for level in range(deepest):
        x = blocks(x, "down", level)
        skips.append(x)
        x = convolved(x, tensors, f"shrink.{level}")
    x = blocks(x, "down", deepest)
    for level in reversed(range(deepest)):
        x = blocks(skips[level] + shuffled(convolved(x, tensors, f"grow.{level}")), "up", level)
    mean = shuffled(convolved(x, tensors, "mean"))
    scale = np.maximum(convolved(x, tensors, "scale_first"), 0)
    log_scale = shuffled(convolved(scale, tensors, "scale_second"))[0]
    prediction = np.clip(filled + mean.transpose(1, 2, 0)[:height, :width], 0, 1)
    return np.where(mask[:, :, None], prediction, filled), log_scale[:height, :width]


@pytest.mark.parametrize("architecture", [SMALL, DEEP, Architecture((4,), (1,), (), 2)])
@pytest.mark.parametrize("size", [(48, 56), (37, 43), (1, 9)])
def test_it_is_what_its_formulas_say(regional, tmp_path, architecture, size):
    tensors = random_tensors(architecture)
    image, mask = scene(*size), np.random.default_rng(1).random(size) < 0.4
    result = regional(weights=write(tmp_path / "own.safetensors", tensors)).reconstruct(image, mask)
    filled = image.copy()
    pde.solve(filled, mask, "harmonic")
    expected, log_scale = plain(filled, mask, tensors, architecture)
    np.testing.assert_allclose(result.reconstruction, expected, atol=5e-5)
    table = (tensors["calibration.log_scale"], tensors["calibration.log_sigma"])
    sigma = np.where(mask, np.exp(np.interp(log_scale, *table)), 0)
    np.testing.assert_allclose(result.uncertainty_map, sigma, rtol=1e-3)
    assert np.abs(expected - filled).max() > 1e-3  # it does correct something
    assert np.ptp(sigma[mask]) > 5e-4


def test_grey_gets_the_mean_of_the_corrections_of_three_equal_channels(regional, tmp_path):
    engine = regional(weights=write(tmp_path / "own.safetensors"))
    image, mask = scene(channels=1) * np.float32(0.5) + np.float32(0.25), holes()
    one = engine.reconstruct(image, mask)
    three = engine.reconstruct(image.repeat(3, axis=2), mask)
    cut = ((three.reconstruction == 0) | (three.reconstruction == 1)).any(axis=2)
    assert (mask & ~cut).sum() > 100
    mean = three.reconstruction.mean(axis=2, keepdims=True)
    np.testing.assert_allclose(one.reconstruction[~cut], mean[~cut], atol=1e-5)
    np.testing.assert_allclose(one.uncertainty_map, three.uncertainty_map, rtol=1e-4)


SIZES = [(1, 2), (2, 1), (1, 97), (89, 1), (2, 2), (3, 3), (5, 3), (7, 11), (15, 16), (16, 16),
         (17, 16), (31, 37), (67, 71)]  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("channels", [None, 3])
def test_images_of_every_size(regional, size, channels):
    image = scene(97, 97, channels)[: size[0], : size[1]]
    for share in (0.05, 0.5, 0.97):
        mask = np.random.default_rng(0).random(size) < share
        mask.flat[0], mask.flat[-1] = True, False
        result = regional().reconstruct(image, mask)
        assert np.isfinite(result.reconstruction).all()
        np.testing.assert_array_equal(result.reconstruction[~mask], image[~mask])
        assert (result.uncertainty_map[mask] > 0).all()
        assert (result.uncertainty_map[~mask] == 0).all()
        assert ((result.confidence_map >= 0) & (result.confidence_map <= 1)).all()
        assert (result.confidence_map[~mask] == 1).all()
    assert regional().reconstruct(image, np.zeros_like(mask)).uncertainty_map.max() == 0


def test_as_many_channels_as_rows_and_columns(regional):
    image, mask = scene(3, 3), np.eye(3, dtype=bool)
    result = regional().reconstruct(image, mask)
    turned = regional().reconstruct(image[:, ::-1], mask[:, ::-1])
    assert result.reconstruction.shape == turned.reconstruction.shape == (3, 3, 3)
    assert (turned.reconstruction[mask[:, ::-1]] != 0).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "bool", "float64"])
def test_every_dtype_is_predicted_alike(regional, dtype):
    image, mask = scene(), holes()
    exact = in_dtype(image, dtype).astype(np.float64) / {"uint8": 255, "uint16": 65535}.get(
        dtype, 1
    )
    result = regional().reconstruct(in_dtype(image, dtype), mask)
    expected = regional().reconstruct(exact, mask)
    units = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    np.testing.assert_allclose(result.uncertainty_map, units * expected.uncertainty_map, rtol=5e-3)
    if dtype != "bool":
        apart = np.abs(result.reconstruction / units - expected.reconstruction)
        assert apart.max() <= 0.51 / units + 5e-5


# Tiles


@pytest.mark.parametrize("architecture", [SMALL, DEEP, load_network().architecture], ids=range(3))
def test_nothing_beyond_the_halo_has_a_say(architecture):
    """And what lies just within has one."""
    stride, halo = architecture.stride, architecture.halo
    assert halo % stride == 0
    tensors = {name: np.ones(shape, np.float32) for name, shape in architecture.shapes().items()}
    # with positive weights, whatever has a say shows; sizes are kept in check by the fan-in
    for name, value in tensors.items():
        value /= value[0].size if name.endswith("weight") else 1e9
    weights = load_network()
    weights = type(weights)(
        weights.data, architecture, tensors, weights.calibration, repr(architecture), "test"
    )
    length = -(-2 * halo // stride) * stride + 3 * stride
    features = np.zeros((stride, length, 5), dtype=np.float32)
    before = network._run(features, weights)
    core = slice(length // 2 // stride * stride, length // 2 // stride * stride + stride)
    for place, felt in ((core.start - halo - 1, False), (core.stop + halo, False)):
        changed = features.copy()
        changed[:, place] = 1e4
        after = network._run(changed, weights)
        for one, two in zip(before, after, strict=True):
            assert (one[:, core] != two[:, core]).any() == felt
    changed = features.copy()
    changed[:, core.start - halo : core.start - halo + stride] = 1e4
    assert (network._run(changed, weights)[0][:, core] != before[0][:, core]).any()


@pytest.mark.parametrize("tile", [16, 48])
def test_tiles_do_not_show(monkeypatch, tmp_path, tile):
    weights = load_network(write(tmp_path / "own.safetensors", random_tensors(DEEP)))
    image = scene(150, 170)
    for mask in (holes(150, 170), np.random.default_rng(0).random((150, 170)) < 0.3):
        whole, tiled = image.copy(), image.copy()
        pde.solve(whole, mask, "harmonic")
        pde.solve(tiled, mask, "harmonic")
        sigma = network.predict(whole, mask, weights)
        with monkeypatch.context() as patched:
            patched.setattr(network, "TILE", tile)
            assert len(list(network._cores(mask, 8))) > 4
            again = network.predict(tiled, mask, weights)
        # BLAS may add up in another order for another size
        np.testing.assert_allclose(tiled, whole, atol=1e-6)
        np.testing.assert_allclose(again, sigma, rtol=1e-5)


def test_what_lies_farther_away_than_the_network_looks_does_not_count(regional):
    image = scene(640, 560, 1)
    mask = np.zeros(image.shape[:2], bool)
    mask[290:310, 260:270] = True
    stride, halo = (getattr(load_network().architecture, name) for name in ("stride", "halo"))
    assert halo < 220
    near = tuple(
        slice(first // stride * stride - halo, -(-last // stride) * stride + halo)
        for first, last in ((290, 310), (260, 270))
    )
    whole, cut = (regional().reconstruct(image[at], mask[at]) for at in (np.s_[:], near))
    np.testing.assert_allclose(whole.reconstruction[near], cut.reconstruction, atol=5e-5)
    np.testing.assert_allclose(whole.uncertainty_map[near], cut.uncertainty_map, rtol=2e-3)


# In the autonomous engine


def hidden_patches(result):
    size = result.patch_size
    return np.flatnonzero(result.hidden_mask[::size, ::size])


def test_a_closed_book_is_predicted_once(autonomous, regional):
    """What the loop draws is what the regional engine draws from what was shown."""
    image = photograph(64, 80)
    analysis = autonomous(8).autonomous_analyze(image, target_quality=1.0)
    hidden = analysis.hidden_mask
    expected = regional().reconstruct(image, hidden)
    apart = np.abs(analysis.reconstruction.astype(int) - expected.reconstruction)
    assert apart.max() <= 1
    # the first batch is stated as it was predicted, before anything was learnt
    first = np.zeros(hidden.shape, bool)
    for patch in analysis.history[0].patches:
        y, x = divmod(patch, 10)
        first[8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = True
    np.testing.assert_allclose(
        analysis.uncertainty_map[first], expected.uncertainty_map[first], rtol=5e-3
    )


def test_the_least_sure_patches_come_first(autonomous, regional):
    image = photograph(64, 80)
    engine = autonomous(8, strategy="uncertainty_guided")
    analysis = engine.autonomous_analyze(image, target_quality=1.0, max_iterations=5)
    stated = regional().reconstruct(image, analysis.hidden_mask).uncertainty_map / 255
    mean = np.square(stated).reshape(8, 8, 10, 8).mean(axis=(1, 3)).ravel()
    chosen = [patch for step in analysis.history for patch in step.patches]
    left = sorted(set(hidden_patches(analysis).tolist()) - set(chosen))
    assert mean[chosen].min() >= mean[left].max() * (1 - 5e-3)


def test_the_calibration_of_patches_makes_their_confidence(autonomous, tmp_path):
    tensors = random_tensors()
    image = photograph(64, 80)

    def confidence(offset):
        tensors["calibration.patches"] = np.array([offset, -0.1, 0.5, 0.3])
        path = write(tmp_path / f"{offset}.safetensors", tensors)
        return autonomous(8, weights=path).autonomous_analyze(image).history[0].confidence

    assert confidence(-2.0) > confidence(-0.5) > confidence(1.0)


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize("open_book", [False, True])
@pytest.mark.parametrize("context_size", [None, 24])
def test_both_backends_choose_alike(tmp_path, open_book, context_size):
    image = photograph(64, 80)
    path = write(tmp_path / "own.safetensors")
    for weights in (None, path):
        histories = [
            AutonomousReconstructionEngine(
                8, context_size, use_rust_acceleration=rust, weights=weights,
                strategy="uncertainty_guided",
            ).autonomous_analyze(image, open_book=open_book, target_quality=1.0, max_iterations=8)
            for rust in (False, True)
        ]  # fmt: skip
        orders = [[step.patches for step in result.history] for result in histories]
        assert orders[0] == orders[1]


def test_the_default_is_the_network(autonomous, regional):
    assert regional().algorithm == autonomous().algorithm == "network"
    assert RegionalReconstructionEngine(use_rust_acceleration=False).algorithm == "network"
