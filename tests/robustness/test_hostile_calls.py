"""A few hundred calls with hostile arguments; `benchmarks/hostile_calls.py` makes thousands."""

import sys
from pathlib import Path
from types import SimpleNamespace

import networks
import numpy as np
import pytest

from helicopter import reconstruct
from helicopter.backends.protocol import SegmentationOptions
from helicopter.backends.reference import segmentation
from helicopter.core import MDP
from helicopter.errors import InvalidModelError, ModelError

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.skipif(sys.platform != "linux", reason="watches its workers through /proc")
def test_whatever_is_passed_there_is_a_result_or_an_error_of_ours(monkeypatch):
    pytest.importorskip("helicopter_rs")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import hostile_calls

    outcomes, wrong = hostile_calls.run(150, seed=21)
    assert not wrong, "\n".join(wrong)
    assert outcomes["refused"] > 50


@pytest.mark.parametrize("least_area", [0, 1, 2**63])
@pytest.mark.parametrize("count", [1, 20, 63])
@pytest.mark.parametrize("backend", ["rust", "python"])
def test_a_partition_into_any_least_area_ends(backend, count, least_area):
    if backend == "rust":
        segment = pytest.importorskip("helicopter_rs").segment
    else:
        segment = segmentation.segment
    options = SegmentationOptions(
        count=count, least_area=least_area, spatial=0.1, spatial_borders=0.0, border=0.0,
        passes=(1, 1),
    )  # fmt: skip
    labels = segment(np.zeros((9, 7, 1), np.uint8), options)
    assert len(np.unique(labels)) == count


def test_numbers_that_are_not_aligned_are_refused():
    rust = pytest.importorskip("helicopter_rs")
    table = np.zeros(8 * 4 + 1, np.uint8)[1:].view(np.float64).reshape(1, 4)
    model = SimpleNamespace(
        variance_table=table, log_mae_offset=0.0, log_mae_distance=0.0, log_mae_spread=1.0,
        log_mae_prior=1.0,
    )  # fmt: skip
    image, mask = np.zeros((4, 4, 1), np.float32), np.zeros((4, 4), bool)
    with pytest.raises(ValueError, match=r"variance_table must be .* not aligned in memory"):
        rust.hidden_variance(image, mask, model)
    with pytest.raises(ValueError, match=r"form must be .* not aligned in memory"):
        rust.squared_distances(image, np.zeros(1), table[:, :1])


def test_an_array_that_claims_a_size_without_having_it_is_refused():
    rust = pytest.importorskip("helicopter_rs")
    with pytest.raises(ValueError, match="tensors must be"):
        rust.NoiseModel({"blocks": np.broadcast_to(np.float32(0), (2**20, 2**20))})


def test_numbers_that_no_machine_holds_are_options_that_cannot_be_used():
    rust = pytest.importorskip("helicopter_rs")
    image, mask = np.zeros((8, 8, 1), np.float32), np.ones((8, 8), bool)
    evidence = SimpleNamespace(
        image=image, prediction=image, sigma=image[..., 0], noise=image[..., 0], included=mask
    )
    with pytest.raises(ValueError, match=r"width must be a number from 0\.01 to 100"):
        rust.anomaly_measurements(evidence, 10**400)


def test_a_reward_that_no_float_holds_is_refused():
    with pytest.raises(InvalidModelError, match="beyond what float64 can hold"):
        MDP([(0, 0, 0, 1, 10**5000)])


def test_weights_that_overflow_are_an_error_and_no_picture(backend, tmp_path):
    tensors = networks.random_tensors()
    for name in tensors:
        if name.endswith("weight"):
            tensors[name] = np.where(tensors[name] < 0, -60000, 60000).astype(np.float16)
    path = networks.write(tmp_path / "large.safetensors", tensors)
    image = np.arange(32 * 32, dtype=np.uint32).reshape(32, 32).astype(np.uint8)
    mask = np.zeros((32, 32), bool)
    mask[8:20, 9:17] = True
    with pytest.raises(ModelError, match="no finite numbers"):
        reconstruct(image, mask=mask, weights=path, use_rust_acceleration=backend == "rust")
