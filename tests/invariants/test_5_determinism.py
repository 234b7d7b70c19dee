"""Invariant 5: same input, options and seed, same result: any threads, run after run."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from noises import noisy_scenes, with_noise
from pairs import pairs, product
from scenes import BUILT_IN, CONCRETE, photograph, scene
from segment_scenes import voronoi

import helicopter
from helicopter import set_num_threads
from helicopter._shared.result import Result
from helicopter.core import NOISE_KINDS

ROOT = Path(helicopter.__file__).parents[1]


def digest(result):
    """One number for all that a result says, but for the time it took."""
    found = hashlib.sha256()

    def add(value):
        if isinstance(value, Result):
            for name, item in value.items():
                if name != "seconds":
                    found.update(name.encode())
                    add(item)
        elif isinstance(value, np.ndarray):
            found.update(str((value.shape, value.dtype)).encode() + value.tobytes())
        elif isinstance(value, tuple):
            for item in value:
                add(item)
        else:
            found.update(repr(value).encode())

    add(result)
    return found.hexdigest()


def everything(autonomous, regional, image, strategies=CONCRETE, patch=16, combine=product):
    """Digests of what every engine says of an image, by name."""
    rng = np.random.default_rng(5)
    blocks = np.kron(rng.random((64, 64)) < 0.4, np.ones((9, 9), bool))
    mask = blocks[: image.shape[0], : image.shape[1]] | (rng.random(image.shape[:2]) < 0.05)
    found = {}
    for algorithm in BUILT_IN:
        found[algorithm] = digest(regional(algorithm).reconstruct(image, mask))
    options = combine(BUILT_IN, (None, 3 * patch), (False, True), strategies)
    for algorithm, context_size, open_book, strategy in options:
        engine = autonomous(patch, context_size, algorithm=algorithm, strategy=strategy, seed=7)
        result = engine.autonomous_analyze(
            image, open_book=open_book, target_quality=1.0, max_iterations=4, mask=mask
        )
        found[f"{algorithm} {context_size} {open_book} {strategy}"] = digest(result)
    found["understanding"] = digest(
        regional(seed=7).test_understanding(image, difficulties=(0.5,), patch_size=patch)
    )
    return found


@pytest.fixture
def threads():
    yield set_num_threads
    set_num_threads(None)


def test_the_number_of_threads_does_not_matter(autonomous, regional, threads, backend):
    # large enough to be cut into many strips, tiles and batches
    image, patch = (photograph(290, 150, 0, 100), 32) if backend == "rust" else (scene(), 16)
    strategies = ("content_aware",)
    threads(1)
    expected = everything(autonomous, regional, image, strategies, patch)
    for count in (2, 8) if backend == "rust" else (3,):
        threads(count)
        assert helicopter.get_num_threads() == count
        assert everything(autonomous, regional, image, strategies, patch) == expected


def test_the_number_of_threads_does_not_matter_to_a_stop_by_evidence(autonomous, threads):
    image = photograph(128, 160)

    def digests():
        found = []
        for context_size in (None, 24):
            for open_book in (False, True):
                engine = autonomous(
                    8, context_size, algorithm="harmonic", stop="hatata", threshold=0.95, seed=9
                )
                found.append(digest(engine.autonomous_analyze(image, open_book=open_book)))
        return found

    threads(1)
    expected = digests()
    for count in (2, 5):
        threads(count)
        assert digests() == expected


@pytest.mark.parametrize("combine", [pairs, pytest.param(product, marks=pytest.mark.exhaustive)])
def test_run_after_run_is_the_same(autonomous, regional, combine):
    image = scene(dtype="uint8")
    expected = everything(autonomous, regional, image, combine=combine)
    assert len(set(expected.values())) == len(expected)
    assert everything(autonomous, regional, image, combine=combine) == expected


def test_one_engine_can_be_used_again(autonomous, regional):
    image, other = scene(seed=0), scene(seed=1)
    engine = autonomous(8)
    first = digest(engine.autonomous_analyze(image))
    assert digest(engine.autonomous_analyze(other)) != first
    assert digest(engine.autonomous_analyze(image)) == first


def printed(script, **environment):
    """What a fresh interpreter prints that runs `script` in this environment."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_in_another_process_it_is_the_same(autonomous, regional, backend):
    script = f"""
import json, sys
sys.path[:0] = [{str(ROOT / "tests")!r}, {str(ROOT / "tests" / "invariants")!r}]
from helicopter.core import AutonomousReconstructionEngine, RegionalReconstructionEngine
from scenes import scene
from test_5_determinism import everything
rust = {backend == "rust"}
def of(engine):
    return lambda *a, **o: engine(*a, use_rust_acceleration=rust, **o)
image = scene(64, 80)
engines = of(AutonomousReconstructionEngine), of(RegionalReconstructionEngine)
print(json.dumps(everything(*engines, image, ("content_aware",), 16)))
"""
    expected = everything(autonomous, regional, scene(64, 80), ("content_aware",), 16)
    for hash_seed, threads in (("0", "3"), ("12345", "1")):
        found = printed(script, PYTHONHASHSEED=hash_seed, HELICOPTER_NUM_THREADS=threads)
        assert json.loads(found) == expected


def test_the_threads_of_blas_do_not_matter():
    # NumPy's network multiplies matrices, and what `set_num_threads` says does not reach BLAS
    script = f"""
import hashlib, sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from helicopter.core import RegionalReconstructionEngine
from scenes import holes, photograph
engine = RegionalReconstructionEngine("network", use_rust_acceleration=False)
for side in (48, 200):  # of the products, some are too small for two threads
    result = engine.reconstruct(photograph(side, side + 9), holes(side, side + 9))
    for values in (result.reconstruction, result.uncertainty_map):
        print(hashlib.sha256(values.tobytes()).hexdigest())
"""
    one, two = (
        printed(script, OPENBLAS_NUM_THREADS=threads, OMP_NUM_THREADS=threads).split()
        for threads in ("1", "2")
    )
    assert one == two
    assert len(set(one)) == 4


def test_the_seed_decides(autonomous, regional):
    image = scene()

    def order(seed, **options):
        result = autonomous(8, seed=seed, **options).autonomous_analyze(image, target_quality=1.0)
        return [step.patches for step in result.history], result.hidden_mask.tobytes()

    assert order(0) == order(0)
    assert order(2**64 - 1) == order(2**64 - 1)
    for strategy in CONCRETE:
        assert order(0, strategy=strategy)[1] != order(1, strategy=strategy)[1]
    scores = [
        regional(seed=seed).test_understanding(image, ["random_patches"], [0.5]).scores[0].mae
        for seed in (0, 0, 1)
    ]
    assert scores[0] == scores[1] != scores[2]


def test_the_global_generators_are_neither_used_nor_changed(autonomous, regional):
    import random

    image = scene()
    states = random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    first = digest(autonomous(8).autonomous_analyze(image))
    regional().test_understanding(image, difficulties=[0.5])
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == states  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    assert digest(autonomous(8).autonomous_analyze(image)) == first


def test_neither_progress_nor_layout_changes_anything(autonomous):
    image = scene()
    expected = digest(autonomous(8).autonomous_analyze(image))
    watched = autonomous(8).autonomous_analyze(image, progress=lambda done, total: None)
    assert digest(watched) == expected
    assert digest(autonomous(8).autonomous_analyze(np.asfortranarray(image))) == expected


# Noise


def noise_digests(detector, images):
    """What is said of the noise of each image, whole, in segments and of the level alone."""
    found = []
    for image in images:
        mask = np.random.default_rng(5).random(image.shape[:2]) < 0.01
        found += [
            digest(detector().analyze(image, segments=(3, 2))),
            digest(detector().analyze(image, mask=mask)),
            digest(detector().level(image)),
        ]
    return found


def test_the_number_of_threads_does_not_matter_to_noise(detector, threads, backend):
    # large enough to be cut into many strips
    size, kinds = ((290, 150), NOISE_KINDS) if backend == "rust" else ((72, 60), NOISE_KINDS[1::3])
    images = [image for channels in (None, 3) for _, image in noisy_scenes(*size, channels, kinds)]
    if backend == "rust":
        images.append(with_noise("gaussian", photograph(400, 600, 0, 0)))
    threads(1)
    expected = noise_digests(detector, images)
    assert len(set(expected)) == len(expected)
    for count in (2, 4) if backend == "rust" else (3,):
        threads(count)
        assert noise_digests(detector, images) == expected


def test_noise_is_the_same_in_another_process(detector, backend):
    script = f"""
import json, sys
sys.path[:0] = [{str(ROOT / "tests")!r}, {str(ROOT / "tests" / "invariants")!r}]
from helicopter.core import NOISE_KINDS, ZengezaNoiseDetector
from noises import noisy_scenes
from test_5_determinism import noise_digests
images = [image for _, image in noisy_scenes(70, 90, 3, NOISE_KINDS[1::3])]
detector = lambda: ZengezaNoiseDetector(use_rust_acceleration={backend == "rust"})
print(json.dumps(noise_digests(detector, images)))
"""
    images = [image for _, image in noisy_scenes(70, 90, 3, NOISE_KINDS[1::3])]
    expected = noise_digests(detector, images)
    for hash_seed, threads, blas in (("0", "3", "2"), ("12345", "1", "1")):
        environment = {
            "PYTHONHASHSEED": hash_seed,
            "HELICOPTER_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": blas,
            "OMP_NUM_THREADS": blas,
        }
        assert json.loads(printed(script, **environment)) == expected


# Segments


def segment_digests(segmental, image, segments):
    """What is said of an image segment by segment, by every algorithm."""
    return [
        digest(
            segmental(algorithm=algorithm, halo=halo, seed=3).segment_aware_reconstruction(
                image, segments=segments
            )
        )
        for algorithm in (*BUILT_IN, "exemplar")
        for halo in (0, 7)
    ]


def test_the_number_of_threads_does_not_matter_to_segments(segmental, threads, backend):
    image = photograph(120, 150)
    labels = voronoi(120, 150, 20)
    labels[labels > 6] = 20
    threads(1)
    expected = segment_digests(segmental, image, labels)
    assert len(set(expected)) == len(expected)
    for count in (2, 4) if backend == "rust" else (3,):
        threads(count)
        assert segment_digests(segmental, image, labels) == expected


def test_segments_are_the_same_in_another_process(segmental, backend):
    script = f"""
import json, sys
sys.path[:0] = [{str(ROOT / "tests")!r}, {str(ROOT / "tests" / "invariants")!r}]
from helicopter.core import SegmentAwareReconstructionEngine
from scenes import photograph
from test_5_determinism import segment_digests
def segmental(**options):
    return SegmentAwareReconstructionEngine(use_rust_acceleration={backend == "rust"}, **options)
print(json.dumps(segment_digests(segmental, photograph(64, 80), 9)))
"""
    expected = segment_digests(segmental, photograph(64, 80), 9)
    for hash_seed, threads in (("0", "3"), ("12345", "1")):
        found = printed(script, PYTHONHASHSEED=hash_seed, HELICOPTER_NUM_THREADS=threads)
        assert json.loads(found) == expected
