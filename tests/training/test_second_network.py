"""The second network: what it is given, how it grows, what else it learns from."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from training_scenes import photograph

from helicopter.backends.reference.algorithms import pde
from helicopter.backends.reference.reconstruction.uncertainty import hidden_distance
from helicopter.io import write_image

torch = pytest.importorskip("torch")

from helicopter.training import _crops  # noqa: E402
from helicopter.training._calibration import predict  # noqa: E402
from helicopter.training._crops import Crops, solve_harmonic  # noqa: E402
from helicopter.training._features import CHANNELS, features, local_scale, log_distance, plate  # noqa: E402
from helicopter.training._grow import grown  # noqa: E402
from helicopter.training._network import Architecture, Network  # noqa: E402
from helicopter.training._synthesis import add_noise, synthetic_crop  # noqa: E402
from helicopter.training._trainer import Settings, Trainer  # noqa: E402

FIRST = Architecture(widths=(8, 12), down=(1, 1), up=(1,), scale_width=8)
SECOND = Architecture(widths=(12, 16), down=(2, 2), up=(1,), scale_width=8, fine=4)


def scene(side=96, share=0.3, seed=0):
    """Truth, harmonic solution (both 3, H, W), hidden."""
    rng = np.random.default_rng(seed)
    truth = photograph(seed, side, side).astype(np.float32) / np.float32(255)
    mask = rng.random((side, side)) < share
    mask[side // 3 : side // 2, side // 3 : side // 2] = True
    solution = np.where(mask[:, :, None], np.float32(0), truth)
    solve_harmonic(solution, mask)
    return truth, solution, mask


def maps(mask):
    hidden = torch.from_numpy(mask.astype(np.float32))[None, None]
    return hidden, torch.ones_like(hidden)


def as_planes(image):
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]


def test_what_is_given_has_no_scale_and_its_unit_has():
    _, solution, mask = scene()
    hidden, inside = maps(mask)
    inside[..., 88:, :] = 0
    hidden = hidden * inside
    one = features(as_planes(solution), hidden, inside)
    other = features(as_planes(solution) * 40 - 3, hidden, inside)
    assert one.planes.shape == (1, CHANNELS, 96, 96)
    torch.testing.assert_close(other.planes, one.planes, atol=2e-4, rtol=0)
    torch.testing.assert_close(other.unit, 40 * one.unit, atol=0, rtol=1e-3)
    assert not one.planes[..., 88:, :].any()


def test_a_star_blinds_only_what_is_near_and_faint_parts_keep_their_scale():
    rng = np.random.default_rng(0)
    sky = (0.001 * rng.standard_normal((256, 256, 3))).astype(np.float32)
    sky[:, 160:] *= 100
    hidden, inside = maps(rng.random((256, 256)) < 0.2)
    _, scale = local_scale(as_planes(sky), hidden, inside)
    own = float(np.abs(sky[:, :64]).mean())
    assert own / 1.5 < scale[..., :64].max() < own * 3
    sky[250, 250] = 20.0
    _, starred = local_scale(as_planes(sky), hidden, inside)
    assert starred[..., :64].max() < own * 4


def test_pixels_are_bent_like_the_exact_plate_and_visible_ones_stay():
    truth, solution, _ = scene()
    mask = np.random.default_rng(1).random((96, 96)) < 0.5
    exact, solution = (np.where(mask[:, :, None], np.float32(0), truth) for _ in range(2))
    pde.solve(exact, mask, "biharmonic")
    solve_harmonic(solution, mask)
    bent = plate(as_planes(solution), *maps(mask))[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(bent[~mask], truth[~mask])
    assert np.square(bent - exact).mean() < 0.01 * np.square(solution - exact).mean()


def test_the_plate_ends_where_the_image_does():
    """What lies outside has no say: a smaller image in a larger frame gives the same."""
    _, solution, mask = scene(64)
    alone = plate(as_planes(solution), *maps(mask))
    frame = torch.full((1, 3, 96, 96), 7.0)
    frame[..., :64, :64] = as_planes(solution)
    hidden, inside = torch.zeros(2, 1, 1, 96, 96).unbind()
    hidden[..., :64, :64], inside[..., :64, :64] = maps(mask)
    torch.testing.assert_close(plate(frame, hidden, inside)[..., :64, :64], alone)


def test_distances_are_those_of_the_law():
    mask = np.zeros((192, 160), dtype=bool)
    mask[10:170, 20:155] = True
    mask[100, 90] = False
    mask |= np.random.default_rng(0).random(mask.shape) < 0.3
    expected = np.log2(1 + hidden_distance(mask))
    assert expected.max() > 5.5
    np.testing.assert_allclose(log_distance(*maps(mask))[0, 0].numpy(), expected, atol=1e-6)


def test_a_grown_network_says_what_the_small_one_said():
    torch.manual_seed(0)
    small = Network(FIRST)
    with torch.no_grad():
        for value in small.parameters():
            value.normal_(0, 0.1)
    large = Network(SECOND)
    large.load_state_dict(grown(small.state_dict(), SECOND))
    x = torch.randn(2, CHANNELS, 32, 32)
    for found, expected in zip(large(x), small(x[:, :5]), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    large(x)[0].square().mean().backward()
    for name in ("shrink_fine.weight", "mean_fine.weight", "down.1.1.second.weight"):
        assert dict(large.named_parameters())[name].grad.abs().max() > 0  # but it can learn
    with pytest.raises(ValueError, match="shrink"):
        grown(large.state_dict(), FIRST)


def test_predictions_follow_the_scale_of_the_image():
    torch.manual_seed(1)
    network = Network(SECOND).eval()
    with torch.no_grad():
        network.mean.weight.normal_(0, 0.01)
        network.mean_fine.weight.normal_(0, 0.05)
        network.scale_second.weight.normal_(0, 0.3)
    truth, solution, mask = scene()
    truth, solution = 0.3 + 0.4 * truth, 0.3 + 0.4 * solution
    prediction, log_scale = predict(network, truth, mask)
    assert np.abs(prediction - solution)[mask].max() > 1e-3
    fainter, stated = predict(network, truth * np.float32(0.125) + np.float32(0.5), mask)
    np.testing.assert_allclose(fainter, prediction * 0.125 + 0.5, atol=2e-6)
    np.testing.assert_allclose(stated, log_scale - np.log(8), atol=1e-3)


def test_synthetic_crops_are_pictures():
    rng = np.random.default_rng(0)
    grey = 0
    for _ in range(40):
        crop = synthetic_crop(rng, 48)
        assert crop.shape == (48, 48, 3)
        assert crop.dtype == np.float32
        assert 0 <= crop.min() < crop.max() <= 1
        noisy = add_noise(rng, crop)
        assert noisy.min() >= 0
        assert noisy.max() <= 1
        assert (noisy != crop).any()
        if (crop == crop[:, :, :1]).all():
            grey += 1
            assert (noisy == noisy[:, :, :1]).all()
    assert 10 < grey < 38


def test_batches_have_the_shares_that_were_asked_for():
    pictures = [np.full((120, 120, 3), 128, dtype=np.uint8)]
    pictures[0][60:] = 64
    plain = Crops(pictures, 0).batch(0)
    assert len(np.unique(plain.truth[0])) <= 6  # two values, three channels
    made = Crops(pictures, 0, synthetic_share=1.0).batch(0)
    noisy = Crops(pictures, 0, noisy_share=1.0).batch(0)
    for batch in (made, noisy):
        assert all(len(np.unique(crop)) > 20 for crop in batch.truth[:4])
    np.testing.assert_array_equal(
        made.truth, Crops(pictures, 0, synthetic_share=1.0).batch(0).truth
    )


def test_it_is_trained_and_continued_to_the_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(_crops, "SHAPES", ((96, 2), (144, 1), (192, 1)))

    def trainer(name, steps):
        settings = Settings(
            steps=2, learnable_share=0.0, synthetic_share=0.3, noisy_share=0.3, seed=3
        )
        made = Trainer([photograph(0), photograph(1)], tmp_path / name, settings, SECOND)
        made.run(lambda record: None, stop=lambda: made.step >= steps)
        return made

    whole = trainer("whole", 2)
    trainer("half", 1)
    again = trainer("half", 2)
    assert again.network.architecture == SECOND
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name


@pytest.fixture(scope="module")
def on_gpu():
    folder = Path(__file__).parents[2] / "training"
    sys.path.insert(0, str(folder))
    names = ("second", "pack", "on_gpu")
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(folder))
        for name in names:
            sys.modules.pop(name, None)


def test_batches_made_on_the_device(on_gpu, tmp_path, monkeypatch):
    for number in range(3):
        write_image(tmp_path / f"{number}.png", photograph(number, 420, 460))
    archive = tmp_path / "photographs.zip"
    monkeypatch.setattr(sys, "argv", ["pack", str(tmp_path), "-o", str(archive)])
    on_gpu["pack"].main()
    script = on_gpu["on_gpu"]
    photographs = script.Photographs(archive, torch.device("cpu"))
    assert photographs.height.tolist() == [210, 210, 210]
    pool = script.Pool.of(96, 4)
    pool.refill(np.random.default_rng(0), slice(None))
    assert pool.masks.any(axis=(1, 2)).all()
    truth, solution, hidden, inside = script.batch(photographs, pool, np.random.default_rng(2), 4)
    for number in range(4):
        height, width = (int(inside[number, 0].amax(axis).sum()) for axis in (1, 0))
        mask = hidden[number, 0, :height, :width].numpy() > 0
        exact = truth[number, :, :height, :width].permute(1, 2, 0).numpy().copy()
        exact[mask] = 0
        solve_harmonic(exact, mask)
        found = solution[number, :, :height, :width].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(found, exact, atol=5e-3)
        assert mask.any()
