"""The built-in `exemplar` behind the engines; the algorithm itself is tested elsewhere."""

import numpy as np
import pytest
from scenes import functions_of, holes, photograph, scene

from helicopter.core import AutonomousReconstructionEngine, RegionalReconstructionEngine
from helicopter.testing import assert_parity

IMAGE, MASK = photograph(48, 56), holes()


def test_it_copies_what_is_there(regional):
    result = regional("exemplar").reconstruct(IMAGE, MASK)
    assert result.algorithm == "exemplar"
    np.testing.assert_array_equal(result.reconstruction[~MASK], IMAGE[~MASK])
    harmonic = regional("harmonic").reconstruct(IMAGE, MASK)
    assert (result.reconstruction[MASK] != harmonic.reconstruction[MASK]).any()
    # texture that is copied is farther off than the mean of what is plausible, and says so
    assert result.uncertainty_map[MASK].mean() > 1.1 * harmonic.uncertainty_map[MASK].mean()


def test_hidden_pixels_have_no_say(regional, autonomous):
    changed = np.where(MASK[:, :, None], 255 - IMAGE, IMAGE)
    for engine in (regional("exemplar"), regional("exemplar", seed=9)):
        one, two = (engine.reconstruct(image, MASK) for image in (IMAGE, changed))
        assert one.reconstruction.tobytes() == two.reconstruction.tobytes()
    engine = autonomous(16, algorithm="exemplar")
    one, two = (engine.autonomous_analyze(image, mask=MASK) for image in (IMAGE, changed))
    assert one.reconstruction.tobytes() == two.reconstruction.tobytes()


def test_the_seed_decides(regional):
    # stripes without an end: many patches fit
    image = np.tile(scene(8, 8, 1), (8, 8, 1))[:48, :56]
    one, two, again = (
        regional("exemplar", seed=seed).reconstruct(image, MASK).reconstruction
        for seed in (0, 2**64 - 1, 0)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != two).any()


def test_a_closed_book_is_asked_once(autonomous, regional, monkeypatch):
    engine = autonomous(8, algorithm="exemplar")
    calls = []
    fill = functions_of(engine).exemplar

    def counted(*arguments):
        *_, mask, _ = arguments
        calls.append(mask.copy())
        fill(*arguments)

    monkeypatch.setattr(functions_of(engine), "exemplar", counted)
    result = engine.autonomous_analyze(IMAGE, target_quality=1.0)
    assert len(calls) == 1
    monkeypatch.undo()
    expected = regional("exemplar").reconstruct(IMAGE, result.hidden_mask)
    np.testing.assert_array_equal(result.reconstruction, expected.reconstruction)


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize("open_book", [False, True])
def test_both_backends_agree(open_book):
    pair = [
        AutonomousReconstructionEngine(
            16, algorithm="exemplar", use_rust_acceleration=rust
        ).autonomous_analyze(IMAGE, open_book=open_book, max_iterations=2)
        for rust in (False, True)
    ]
    assert_parity(*pair)
    for engine in ("reconstruct", "cross_reconstruct"):
        arguments = (IMAGE, MASK) if engine == "reconstruct" else (IMAGE,)
        pair = [
            getattr(RegionalReconstructionEngine("exemplar", use_rust_acceleration=rust), engine)(
                *arguments
            )
            for rust in (False, True)
        ]
        assert_parity(*pair)
