"""The verifier in Rust against the reference: the same bits where it decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import photograph

from helicopter.core import AutonomousReconstructionEngine, HatataMDPEngine, StoppingPolicy
from helicopter.testing import assert_parity

pytestmark = pytest.mark.usefixtures("both_backends")


def engines():
    return [HatataMDPEngine(use_rust_acceleration=rust) for rust in (False, True)]


positive = st.floats(0.01, 50)
policies = st.fixed_dictionaries(
    {
        "required_share": st.floats(0.01, 0.99),
        "cost_of_look": st.one_of(st.just(0.0), st.floats(1e-6, 0.3)),
        "cost_of_false_accept": st.floats(0.01, 100),
        "cost_of_false_reject": st.floats(0.01, 100),
        "prior": st.tuples(positive, positive),
        "max_looks": st.integers(1, 300),
    }
)


@given(policies)
def test_policies_have_the_same_bits(options):
    python, rust = (engine.stopping_policy(**options) for engine in engines())
    assert_parity(python, rust)
    for name, array in python.boundaries.items():
        assert array.tobytes() == rust.boundaries[name].tobytes()
    assert python.expected_loss == rust.expected_loss


@pytest.mark.parametrize("symmetric", [(1, 1), (0.5, 0.5), (7, 7)])
def test_ties_are_broken_alike(symmetric):
    # half required, equal costs: at every even number of looks both decisions cost the same
    options = {"required_share": 0.5, "prior": symmetric, "cost_of_look": 0.002}
    python, rust = (engine.stopping_policy(**options) for engine in engines())
    assert_parity(python, rust)
    even = np.arange(0, python.max_looks + 1, 2)
    np.testing.assert_array_equal(python.boundaries.favour_from[even], even // 2 + 1)


def test_the_default_policy_has_the_same_bits():
    assert_parity(*(engine.stopping_policy() for engine in engines()))


@given(
    policies,
    st.lists(st.booleans(), min_size=1, max_size=80),
    st.integers(1, 6),
    st.booleans(),
    st.floats(0.01, 0.999),
)
def test_verifications_agree(options, successes, length, streamed, level):
    looks = np.repeat(np.array(successes, dtype=float), length)
    found = [
        engine.verify(iter(looks.tolist()) if streamed else looks, credible_level=level, **options)
        for engine in engines()
    ]
    assert_parity(*found)


def test_long_evidence_agrees():
    rng = np.random.default_rng(0)
    slow = rng.random(3000) < 0.7 + 0.25 * np.sin(np.arange(3000) / 40)
    for looks in (rng.random(3000) < 0.7, slow):
        for evidence in (looks.astype(float), None):
            found = [
                engine.verify(
                    iter(looks.astype(float)) if evidence is None else evidence,
                    required_share=0.7,
                    cost_of_look=1e-6,
                )
                for engine in engines()
            ]
            assert_parity(*found)
            assert found[0].evidence_used > 200


@pytest.mark.parametrize("strategy", ["adaptive", "edge_guided", "uncertainty_guided"])
@pytest.mark.parametrize("open_book", [False, True])
@pytest.mark.parametrize("context_size", [None, 24])
def test_the_loop_stops_at_the_same_look(strategy, open_book, context_size):
    image = photograph(96, 112)
    policy = StoppingPolicy(0.7, cost_of_look=0.003)
    pair = [
        AutonomousReconstructionEngine(
            8, context_size, algorithm="harmonic", strategy=strategy, stop=policy, threshold=0.9,
            use_rust_acceleration=rust,
        ).autonomous_analyze(image, open_book=open_book)
        for rust in (False, True)
    ]  # fmt: skip
    assert_parity(*pair)
    assert pair[0].verification.evidence_used > 0
