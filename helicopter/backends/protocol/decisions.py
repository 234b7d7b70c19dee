"""Markov decision processes, and the evidence of looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Progress

__all__ = [
    "DecisionBackend",
    "DecisionModel",
    "Evidence",
    "EvidenceRun",
    "EvidenceStop",
    "HorizonRun",
    "MdpMethod",
    "MdpRun",
    "StoppingOptions",
    "StoppingRun",
]

#: How a discounted or total-reward model is solved; "auto" leaves the choice to the backend.
MdpMethod = Literal["auto", "value_iteration", "policy_iteration", "modified_policy_iteration"]


class DecisionModel(NamedTuple):
    """A Markov decision process in compressed rows; pairs are sorted by state, then by action.

    A backend may make an object of its own with these attributes, and has to take either.

    The model is exactly what these float64 numbers say. Probabilities are not rescaled: a row may
    add up to one but for a few roundings.

    Attributes
    ----------
    pair_start : int64 ndarray of shape (S + 1,)
        The pairs (state, action) of state s are pair_start[s] to pair_start[s + 1]. A state without
        any is terminal: its value is zero for ever.
    actions : int32 ndarray of shape (L,)
        Number of the action of each pair.
    row_start : int64 ndarray of shape (L + 1,)
        The transitions of pair j are row_start[j] to row_start[j + 1].
    columns : int32 ndarray of shape (N,)
        Next states, ascending within a row.
    probabilities : float64 ndarray of shape (N,)
        None of them is zero.
    rewards, rewards_low : float64 ndarray of shape (L,)
        The expected reward of each pair is the sum of the two: the second holds what rounding the
        first left over, and is zero unless rewards depend on the next state.
    """

    pair_start: NDArray[np.int64]
    actions: NDArray[np.int32]
    row_start: NDArray[np.int64]
    columns: NDArray[np.int32]
    probabilities: NDArray[np.float64]
    rewards: NDArray[np.float64]
    rewards_low: NDArray[np.float64]


class MdpRun(NamedTuple):
    """What a backend found about a discounted or total-reward model.

    `lower` and `upper` enclose the optimal value of the model as its float64 numbers state it,
    rounding included; `lower` also bounds what `policy` earns. `policy` holds numbers of actions,
    -1 in terminal states. `converged`: nowhere are the bounds farther apart than was asked for.
    """

    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    policy: NDArray[np.int64]
    iterations: int
    method: str
    converged: bool


class HorizonRun(NamedTuple):
    """What a backend found about a finite horizon H: values of shape (H + 1, S), policy (H, S)."""

    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    policy: NDArray[np.int64]


class StoppingOptions(NamedTuple):
    """What the policy of the verifier follows from, checked and complete.

    `prior` holds the parameters (a, b) of the Beta law of the share; `horizon` is the number of
    looks after which it must be decided. `short` is the probability, before the first look, that
    the share is below x = `required_share`, and `density` is x^a (1 - x)^b / B(a, b): the only
    values that are not found by plain arithmetic, and so the same for both backends.
    """

    required_share: float
    prior: tuple[float, float]
    look: float
    false_accept: float
    false_reject: float
    horizon: int
    short: float
    density: float


class StoppingRun(NamedTuple):
    """A policy; see `helicopter.core.StoppingBoundaries`. `value`: expected loss."""

    reject_at: NDArray[np.int32]
    accept_from: NDArray[np.int32]
    favour_from: NDArray[np.int32]
    value: float


class EvidenceStop(NamedTuple):
    """Stop when the patches that were scored are evidence enough; see `Evidence`.

    A patch of quality at least `threshold` is a success.
    """

    threshold: float
    policy: StoppingRun
    most_looks: int
    time: float | None


class Evidence(NamedTuple):
    """How looks are to be read, besides the policy.

    After `most_looks` it is decided in any case. `time` says how many looks are worth a single
    independent one; None: as far as the looks so far tell.
    """

    required_share: float
    prior: tuple[float, float]
    credible_level: float
    most_looks: int
    time: float | None


class EvidenceRun(NamedTuple):
    """What the looks said until it was worth no more.

    `decision` is 1 for accept, -1 for reject, 0 if the looks ended before. The others are float64
    arrays of what was known before the first look and after each: what the looks are worth, the
    probabilities that the share falls short of what is required and that it does not, and the ends
    of its credible interval.
    """

    decision: int
    effective_looks: NDArray[np.float64]
    effective_successes: NDArray[np.float64]
    short: NDArray[np.float64]
    enough: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class DecisionBackend(Protocol):
    """Solves decision problems."""

    def compress_dense(
        self,
        transitions: NDArray[np.float64],
        rewards: NDArray[np.float64],
        allowed: NDArray[np.bool_] | None,
    ) -> DecisionModel | None:
        """Compress transitions (S, A, S) and rewards (S, A) or (S, A, S), C-contiguous.

        `allowed` (S, A) says which actions there are; None: all. Return None if a probability is
        negative or not finite, a row does not add up to one within 1e-9, or a reward is not finite:
        what exactly is wrong is found out by the caller. Rows that are not allowed may hold
        anything.
        """

    def compress_rows(
        self,
        n_states: int,
        states: NDArray[np.int64],
        actions: NDArray[np.int64],
        row_start: NDArray[np.int64],
        columns: NDArray[np.int32] | NDArray[np.int64],
        probabilities: NDArray[np.float64],
        rewards: NDArray[np.float64],
        by_entry: bool = False,
    ) -> DecisionModel | None:
        """Compress pairs (state, action) with their transitions, in any order.

        `rewards` has one number for each pair or, with `by_entry`, one for each transition.
        Transitions of one pair to the same state are added up. Return None in the cases of
        `compress_dense`, and if a state is out of range, a number of an action is negative or a
        pair is there twice.
        """

    def solve_mdp(
        self,
        model: DecisionModel,
        discount: float,
        method: MdpMethod,
        epsilon: float,
        max_iterations: int | None,
        progress: Progress | None,
    ) -> MdpRun:
        """Find the best policy for discount < 1, or = 1 if every policy ends in terminal states.

        Of actions whose value differs by no more than epsilon / (8 w) from the best, the one with
        the lowest number is taken; w is the largest expected (discounted) number of steps.
        """

    def solve_horizon(
        self, model: DecisionModel, discount: float, horizon: int, terminal: NDArray[np.float64]
    ) -> HorizonRun:
        """Find the best policy for `horizon` steps, after which state s is worth terminal[s]."""

    def q_values(
        self, model: DecisionModel, discount: float, value: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the value of each pair (state, action) if `value` is what comes after it."""

    def stopping_policy(self, options: StoppingOptions) -> StoppingRun:
        """Find the policy of least expected loss by backward induction; the same bits on both."""

    def verify(
        self, successes: NDArray[np.bool_], evidence: Evidence, policy: StoppingRun
    ) -> EvidenceRun:
        """Take the looks one by one until the policy stops or there are no more."""
