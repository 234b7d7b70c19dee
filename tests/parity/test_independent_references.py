"""Both backends against others: SciPy, scikit-image, brute force, published numbers."""

import numpy as np
import pytest
import scipy.sparse as sparse
from scenes import EQUATIONS, holes, photograph, scene
from scipy.sparse.linalg import spsolve
from skimage import metrics, restoration

from helicopter._shared import ranking
from helicopter.backends.reference.reconstruction import uncertainty
from helicopter.models import UncertaintyModel, uncertainty_model

MODEL = uncertainty_model("harmonic")


def laplacian(height, width):
    """The graph Laplacian of the pixel grid, by its definition: a Kronecker sum of two paths."""

    def path(count):
        if count == 1:
            return sparse.csr_array((1, 1))
        degree = np.full(count, 2.0)
        degree[[0, -1]] = 1
        side = np.full(count - 1, -1.0)
        return sparse.diags_array([side, degree, side], offsets=(-1, 0, 1), format="csr")

    rows = sparse.kron(path(height), sparse.eye_array(width))
    return sparse.csr_array(rows + sparse.kron(sparse.eye_array(height), path(width)))


def system(kind, mask):
    matrix = laplacian(*mask.shape)
    if kind == "biharmonic":
        matrix = sparse.csr_array(matrix @ matrix)
    hidden = np.flatnonzero(mask)
    visible = np.flatnonzero(~mask)
    return matrix[hidden][:, hidden], matrix[hidden][:, visible]


def direct(kind, image, mask):
    """The unclipped solution."""
    inner, outer = system(kind, mask)
    values = image.reshape(mask.size, -1).astype(np.float64)
    load = -(outer @ values[~mask.ravel()])
    return np.asarray(spsolve(sparse.csc_array(inner), load)).reshape(-1, image.shape[2])


def block_mask(height, width, side, share, seed=0):
    blocks = np.random.default_rng(seed).random((-(-height // side), -(-width // side))) < share
    return np.kron(blocks, np.ones((side, side), bool))[:height, :width]


MASKS = {
    "holes": holes(64, 72),
    "blocks": block_mask(64, 72, 9, 0.4),
    "pixels": np.random.default_rng(0).random((64, 72)) < 0.7,
    "almost everything": np.random.default_rng(1).random((64, 72)) < 0.99,
    "a border": np.pad(np.zeros((50, 60), bool), ((7, 7), (6, 6)), constant_values=True),
    "a line": np.eye(64, 72, 3, dtype=bool),
    "all but one": ~np.pad(np.ones((1, 1), bool), ((30, 33), (50, 21))),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("kind", EQUATIONS)
def test_the_equations_are_solved(inner, kind, name):
    mask = MASKS[name]
    image = 0.4 + 0.2 * scene(64, 72)  # the plate overshoots, but not beyond black and white
    context = np.where(mask[:, :, None], np.float32(0), image)
    inner.reconstruct(context, mask, kind, MODEL)
    expected = direct(kind, image, mask)
    clipped = np.clip(expected, 0, 1)
    np.testing.assert_allclose(context[mask], clipped, atol=1e-4, rtol=0)
    if np.array_equal(clipped, expected):
        matrix, outer = system(kind, mask)
        values = context.reshape(mask.size, -1).astype(np.float64)
        flat = mask.ravel()
        residual = matrix @ values[flat] + outer @ values[~flat]
        scaled = residual / matrix.diagonal()[:, None]
        assert np.abs(scaled).max() < 1e-6
    else:
        assert kind == "biharmonic"


def test_most_masks_stay_unclipped():
    """So that the residual above is really looked at."""
    image = 0.4 + 0.2 * scene(64, 72)
    inside = [
        name
        for name, mask in MASKS.items()
        if np.ptp(np.clip(direct("biharmonic", image, mask), 0, 1))
        == np.ptp(direct("biharmonic", image, mask))
    ]
    assert len(inside) >= 4


@pytest.mark.parametrize("kind", EQUATIONS)
def test_a_large_hole_is_solved_as_well(inner, kind):
    image = 0.4 + 0.2 * scene(150, 150, 1)
    mask = np.zeros((150, 150), bool)
    mask[10:140, 8:141] = True
    mask[75, 75] = False
    context = np.where(mask[:, :, None], np.float32(0), image)
    inner.reconstruct(context, mask, kind, MODEL)
    expected = np.clip(direct(kind, image, mask), 0, 1)
    np.testing.assert_allclose(context[mask], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["holes", "blocks", "pixels", "a line"])
def test_the_plate_is_that_of_scikit_image(regional, name):
    mask = MASKS[name].copy()
    # at the very border scikit-image drops the terms of the equation that lie outside
    for edge in (np.s_[:2], np.s_[-2:], np.s_[:, :2], np.s_[:, -2:]):
        mask[edge] = False
    image = 0.4 + 0.2 * scene(64, 72, dtype="float64")
    result = regional("biharmonic").reconstruct(image, mask).reconstruction
    expected = restoration.inpaint_biharmonic(image, mask, channel_axis=2)
    # scikit-image clips to what is visible, which is narrower than from black to white
    low, high = image[~mask].min(axis=0), image[~mask].max(axis=0)
    unclipped = mask[:, :, None] & (expected > low) & (expected < high)
    assert unclipped.sum() > 0.99 * 3 * mask.sum()
    np.testing.assert_allclose(result[unclipped], expected[unclipped], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", EQUATIONS)
def test_what_an_equation_reproduces(regional, kind):
    """A membrane through a plane is the plane; a plate through a plane is too."""
    y, x = np.mgrid[:40, :50]
    plane = 0.1 + 0.01 * y + 0.006 * x
    mask = np.zeros(plane.shape, bool)
    mask[5:30, 8:40] = True
    result = regional(kind).reconstruct(plane, mask).reconstruction
    np.testing.assert_allclose(result, plane, atol=1e-6, rtol=0)
    flat = regional(kind).reconstruct(np.full((40, 50), 0.625), MASKS["pixels"][:40, :50])
    np.testing.assert_allclose(flat.reconstruction, 0.625, atol=1e-6, rtol=0)


# Measures


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(60, 50), (7, 7), (200, 9), (130, 64)])
def test_measures_are_those_of_scikit_image(inner, shape, channels):
    truth = scene(*shape, channels)
    rng = np.random.default_rng(0)
    prediction = np.clip(truth + rng.normal(0, 0.1, truth.shape), 0, 1).astype(np.float32)
    hidden = rng.random(shape) < 0.6
    prediction[~hidden] = truth[~hidden]
    # of all hidden pixels, and of some of them
    for scored in (hidden, hidden & (rng.random(shape) < 0.3)):
        scores = inner.score(truth, prediction, hidden, scored)
        t, p = truth[scored].astype(float), prediction[scored].astype(float)
        assert scores.mse == pytest.approx(metrics.mean_squared_error(t, p), rel=1e-12)
        assert scores.mae == pytest.approx(np.abs(t - p).mean(), rel=1e-12)
        _, similarity = metrics.structural_similarity(
            truth.astype(float), prediction.astype(float), data_range=1, channel_axis=2, full=True
        )
        assert scores.ssim == pytest.approx(similarity[scored].mean(), rel=1e-9)
        colour = truth[~hidden].astype(float).mean(axis=0)
        assert scores.baseline_mse == pytest.approx(np.square(t - colour).mean(), rel=1e-12)


def test_the_figures_of_an_analysis_are_those_of_scikit_image(autonomous):
    image = photograph()
    result = autonomous(16).autonomous_analyze(image)
    hidden = result.hidden_mask
    truth, filled = image[hidden], result.reconstruction[hidden]
    psnr = metrics.peak_signal_noise_ratio(truth, filled, data_range=255)
    assert result.psnr_db == pytest.approx(psnr, abs=0.02)  # the image is rounded, the figure not
    mse = metrics.mean_squared_error(truth, filled) / 255**2
    assert result.reconstruction_quality == pytest.approx(1 / (1 + 10 * mse), abs=1e-4)
    assert result.mae == pytest.approx(np.abs(truth.astype(float) - filled).mean(), rel=0.01)
    _, ssim = metrics.structural_similarity(
        image, result.reconstruction, channel_axis=2, full=True, data_range=255
    )
    assert result.ssim == pytest.approx(ssim[hidden].mean(), abs=1e-3)
    colour = image[~hidden].astype(float).mean(axis=0)
    skill = 1 - mse * 255**2 / np.square(truth - colour).mean()
    assert result.skill == pytest.approx(skill, abs=1e-3)
    np.testing.assert_allclose(
        result.error_map,
        np.abs(result.reconstruction.astype(float) - image).mean(axis=2),
        atol=0.51,
    )


# Uncertainty


def brute_force_distance(mask):
    visible = np.argwhere(~mask)
    hidden = np.argwhere(mask)
    return np.square(hidden[:, None, :] - visible[None, :, :]).sum(axis=2).min(axis=1)


def probe(index, distances=64):
    """A model that states one of the model's terms, at every distance."""
    table = np.zeros((distances + 1, 4))
    table[:, index] = 1.0
    return UncertaintyModel(table, 0.0, 0.0, 1.0, 1.0)


DISTANCE = UncertaintyModel(
    np.arange(65.0)[:, None] * np.array([1.0, 0.0, 0.0, 0.0]), 0.0, 0.0, 1.0, 1.0
)


@pytest.mark.parametrize("name", [*MASKS, "far"])
def test_distances_are_those_of_brute_force(inner, name):
    mask = MASKS.get(name)
    if mask is None:
        mask = np.ones((150, 70), bool)  # farther than the table reaches, over several strips
        mask[[3, 80], [5, 60]] = False
    context = np.zeros((*mask.shape, 1), np.float32)
    found = inner.hidden_variance(context, mask, DISTANCE)
    squared = brute_force_distance(mask)
    expected = np.minimum([int(np.floor(np.sqrt(d))) for d in squared], 64)
    np.testing.assert_array_equal(found[mask], expected)
    assert (found[~mask] == 0).all()


def test_the_reference_distance_is_exact():
    mask = MASKS["almost everything"]
    found = uncertainty.squared_distance(mask)
    np.testing.assert_array_equal(found[mask], brute_force_distance(mask))
    assert (found[~mask] == 0).all()


@pytest.mark.parametrize("name", [*MASKS, "tall"])
def test_hidden_distances_end_at_64_and_strips_do_not_show(name):
    mask = MASKS.get(name)
    if mask is None:
        mask = np.ones((1100, 3), bool)  # three strips; hidden pixels far from anything
        mask[[5, 530, 1030], 1] = False
    found = uncertainty.hidden_distance(mask)
    expected = np.minimum(np.sqrt(brute_force_distance(mask)), 64).astype(np.float32)
    np.testing.assert_array_equal(found[mask], expected)
    assert (found[~mask] == 0).all()


def brute_force_variogram(image, mask, lag):
    """Mean squared difference around each cell of 8 x 8 pixels, pair by pair."""
    height, width, channels = image.shape
    levels = np.floor(image.astype(float) * 65535 + 0.5)
    cells = (-(-height // 8), -(-width // 8))
    sums, pairs = np.zeros(cells), np.zeros(cells)
    for y in range(height):
        for x in range(width):
            for v, u in ((y + lag, x), (y, x + lag)):
                if v < height and u < width and not (mask[y, x] or mask[v, u]):
                    sums[y // 8, x // 8] += np.square(levels[y, x] - levels[v, u]).sum()
                    pairs[y // 8, x // 8] += 1
    sums /= 65535.0**2 * channels
    everywhere = sums.sum() / pairs.sum() if pairs.sum() else 1 / 6
    found = np.zeros(cells)
    for row in range(cells[0]):
        for col in range(cells[1]):
            around = np.s_[max(row - 3, 0) : row + 4, max(col - 3, 0) : col + 4]
            found[row, col] = (sums[around].sum() + 32 * everywhere) / (pairs[around].sum() + 32)
    return found


@pytest.mark.parametrize("index", [1, 2, 3])
@pytest.mark.parametrize(("size", "channels"), [((75, 59), 3), ((20, 90), 1), ((9, 5), 1)])
def test_the_variogram_is_that_of_brute_force(inner, index, size, channels):
    image = scene(*size, channels)
    mask = np.random.default_rng(2).random(size) < 0.4
    cells = brute_force_variogram(image, mask, (1, 4, 16)[index - 1])
    # bilinear between the centres of cells, by NumPy's own interpolation, first along, then across
    centres = [8 * np.arange(count) + 3.5 for count in cells.shape]
    across = np.array([np.interp(np.arange(size[1]), centres[1], row) for row in cells])
    expected = np.array([np.interp(np.arange(size[0]), centres[0], col) for col in across.T]).T
    found = inner.hidden_variance(image, mask, probe(index))
    np.testing.assert_allclose(found[mask], expected[mask], rtol=1e-5)


def test_the_reference_variogram_does_not_depend_on_its_strips(monkeypatch):
    image, mask = scene(90, 40), holes(90, 40)
    expected = uncertainty.local_variogram(image, mask)
    variance = uncertainty.hidden_variance(image, mask, MODEL)
    for strip in (8, 16, 64):
        monkeypatch.setattr(uncertainty, "STRIP", strip)
        np.testing.assert_array_equal(uncertainty.local_variogram(image, mask), expected)
        np.testing.assert_array_equal(uncertainty.hidden_variance(image, mask, MODEL), variance)


# Random numbers


def test_the_generator_is_splitmix64():
    """Vectors of the Rosetta Code task and of the generator's own authors, for seed 1234567."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    golden = 0x9E3779B97F4A7C15
    states = np.array([(1234567 + k * golden) % 2**64 for k in range(1, 6)], dtype=np.uint64)
    assert ranking.mix(states).tolist() == published
    # the ranks of a stream are the generator's numbers from a mixed seed on
    start = int(ranking.mix(np.array([(5 + 2 * golden) % 2**64], dtype=np.uint64))[0])
    expected = ranking.mix(
        np.array([(start + k * golden) % 2**64 for k in range(1, 9)], dtype=np.uint64)
    )
    np.testing.assert_array_equal(ranking.random_ranks(5, 2, 8), expected)


def test_the_first_patches_are_those_of_the_published_generator(autonomous):
    """Independently of both backends' code: the ranks decide what is shown at the start."""

    def mix(z):
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    assert mix((1234567 + golden) % 2**64) == 6457827717110365317
    for seed in (0, 1, 2**64 - 1):
        result = autonomous(8, seed=seed, strategy="random").autonomous_analyze(
            scene(64, 80), initial_known=0.25, target_quality=1.0
        )

        def ranks(stream, seed=seed):
            start = mix((seed + golden * stream) % 2**64)
            return [mix((start + k * golden) % 2**64) for k in range(1, 81)]

        first = ranks(1)
        shown = set(sorted(range(80), key=lambda patch: first[patch])[:20])
        hidden = result.hidden_mask[::8, ::8].ravel()
        assert set(np.flatnonzero(~hidden).tolist()) == shown
        ties = ranks(2)
        order = sorted(set(range(80)) - shown, key=lambda patch: ties[patch])
        done = [patch for step in result.history for patch in step.patches]
        assert done == order[: len(done)]
