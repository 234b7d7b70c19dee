"""States and actions: a fixed map from the probability and from whether the policy has stopped."""

import numpy as np
import pytest

from helicopter.core import VERIFIER_ACTIONS, VERIFIER_STATES
from helicopter.core.results._verification import verifier_action, verifier_state


@pytest.mark.parametrize(
    ("sureness", "state"),
    [
        (0.5, "confused"),
        (0.599, "confused"),
        (0.6, "uncertain"),
        (0.799, "uncertain"),
        (0.8, "confident"),
        (0.949, "confident"),
        (0.95, "certain"),
        (1.0, "certain"),
    ],
)
def test_states_follow_from_the_sureness(sureness, state):
    assert verifier_state(sureness) == state
    assert verifier_state(np.nextafter(1 - sureness, 0)) == state  # sure that it is not so


def test_actions():
    ongoing = {state: verifier_action(state, stopped=False) for state in VERIFIER_STATES}
    assert ongoing == {
        "confused": "gather_evidence",
        "uncertain": "increase_confidence",
        "confident": "validate",
        "certain": "validate",
    }
    assert {verifier_action(state, stopped=True) for state in VERIFIER_STATES} == {"converge"}


def test_every_state_and_action_occurs(hatata):
    rng = np.random.default_rng(0)
    states, actions = set(), set()
    for share in (0.5, 0.75, 0.8, 0.95):
        for _ in range(4):
            found = hatata().verify((rng.random(300) < share).astype(float), max_looks=400)
            states |= {step.state for step in found.trajectory}
            actions |= {step.action for step in found.trajectory}
    assert states == set(VERIFIER_STATES)
    assert actions == set(VERIFIER_ACTIONS)


@pytest.mark.parametrize("share", [0.1, 0.8, 0.99])
def test_the_result_ends_like_its_trajectory(hatata, share):
    looks = (np.random.default_rng(5).random(2000) < share).astype(float)
    for count in (3, 2000):
        found = hatata().verify(looks[:count], max_looks=3000)
        last = found.trajectory[-1]
        assert (found.state, found.action) == (last.state, last.action)
        assert found.understanding_probability == last.probability
        assert found.credible_interval == (last.low, last.high)
        assert found.effective_looks == last.effective_looks
        assert found.expected_loss == pytest.approx(last.expected_loss)
        stopped = [step.action == "converge" for step in found.trajectory]
        assert not any(stopped[:-1])
        assert stopped[-1] == (found.decision != "continue")
        assert [step.look for step in found.trajectory] == list(range(1, found.evidence_used + 1))
