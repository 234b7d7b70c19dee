"""What a backend is: the few functions that the engines call, and the plain data that cross.

Images cross as C-contiguous float32 arrays of shape (H, W, C) in [0, 1] with one or three channels,
masks as C-contiguous bool arrays of shape (H, W) with True = hidden. Everything has been checked by
`helicopter.core.validation` before; a backend trusts what it gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from helicopter.models.network import NetworkWeights

__all__ = [
    "PLATEAU",
    "Algorithm",
    "AnomalyEvidence",
    "AutonomousOptions",
    "AutonomousRun",
    "Backend",
    "BuiltIn",
    "DecisionModel",
    "Evidence",
    "EvidenceRun",
    "EvidenceStop",
    "FineNoise",
    "HorizonRun",
    "Image",
    "Iteration",
    "Kernel",
    "Labels",
    "Map",
    "Mask",
    "MdpMethod",
    "MdpRun",
    "NoiseRun",
    "PdeKind",
    "Progress",
    "Scores",
    "SegmentAwareRun",
    "SegmentOutcome",
    "SegmentTask",
    "SegmentationOptions",
    "StopReason",
    "StoppingOptions",
    "StoppingRun",
    "UncertaintyModel",
    "Wave",
]

Image: TypeAlias = "NDArray[np.float32]"
Mask: TypeAlias = "NDArray[np.bool_]"
Map: TypeAlias = "NDArray[np.float32]"
Labels: TypeAlias = "NDArray[np.int32]"
PdeKind = Literal["harmonic", "biharmonic"]
StopReason = Literal[
    "target_quality",
    "all_patches_done",
    "no_improvement",
    "max_iterations",
    "evidence_sufficient",
    "nothing_to_score",
]

#: How a discounted or total-reward model is solved; "auto" leaves the choice to the backend.
MdpMethod = Literal["auto", "value_iteration", "policy_iteration", "modified_policy_iteration"]

#: No improvement: over several iterations the quality stays within this.
PLATEAU = 1e-3

#: Called with (done, total); may raise to stop the work.
Progress: TypeAlias = "Callable[[int, int], None]"
#: (context, mask) -> (prediction, sigma (H, W) or None); see `helicopter.core.registry`.
Kernel: TypeAlias = "Callable[[Image, Mask], tuple[Image, Map | None]]"
#: What a backend predicts with by itself: an equation, or a network on top of the harmonic one.
BuiltIn: TypeAlias = "PdeKind | NetworkWeights"
Algorithm: TypeAlias = "BuiltIn | Kernel"


@dataclass(frozen=True)
class UncertaintyModel:
    """Fitted constants that turn what is visible into an uncertainty.

    Attributes
    ----------
    variance_table : float64 ndarray of shape (D, 4)
        Row d holds the weights of (1, V_1, V_4, V_16) in the error variance d pixels away from the
        nearest visible pixel; the last row serves all larger distances. What states its uncertainty
        itself, as the network does, has no use for it.
    log_mae_offset : float
        Mean of ln(patch MAE / root mean predicted variance) one pixel from what is visible.
    log_mae_distance : float
        Its slope over the logarithm of the patch's mean distance from what is visible: far away,
        errors go together, and a patch is more often wholly right or wholly wrong.
    log_mae_spread : float
        Its standard deviation within one image.
    log_mae_prior : float
        Standard deviation of its mean from image to image.
    """

    variance_table: NDArray[np.float64]
    log_mae_offset: float
    log_mae_distance: float
    log_mae_spread: float
    log_mae_prior: float


class StoppingRun(NamedTuple):
    """A policy; see `helicopter.core.hatata_results.StoppingBoundaries`. `value`: expected loss."""

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


@dataclass(frozen=True)
class AutonomousOptions:
    """Options of the autonomous engine, checked and complete.

    With `stop`, neither the target nor a lack of improvement stops the loop. The quality has come
    to rest when it stays within `plateau`. With `ask_once`, what predicts is asked once for all
    that is hidden, and not again for what is left after every step; a closed book only.
    """

    patch_size: int
    context_size: int | None
    strategy: str
    seed: int
    max_iterations: int | None
    target_quality: float
    initial_known: float
    open_book: bool
    stop: EvidenceStop | None = None
    plateau: float = PLATEAU
    ask_once: bool = False


class Scores(NamedTuple):
    """Measures over a set of hidden pixels, on the [0, 1] scale."""

    mse: float
    mae: float
    ssim: float
    baseline_mse: float


class Iteration(NamedTuple):
    """One step of the autonomous loop; see `helicopter.core.results.IterationRecord`."""

    patches: tuple[int, ...]
    strategy: str
    quality: float
    cumulative_quality: float
    confidence: float


@dataclass(frozen=True)
class AutonomousRun:
    """What a backend returns from the autonomous loop, on the [0, 1] scale.

    `patch_qualities` are those of the patches in `history`, in that order, NaN where there is no
    truth. `hidden` is what was hidden at the start, `scored` the part of it whose truth is known,
    `drawn` the part that is a prediction in `reconstruction` (all of it unless the book was open).
    """

    reconstruction: Image
    prediction: Image
    variance: Map
    confidence: Map
    hidden: Mask
    scored: Mask
    drawn: Mask
    history: tuple[Iteration, ...]
    patch_qualities: NDArray[np.float64]
    stop_reason: StopReason
    completion: float
    average_confidence: float
    scores: Scores


class SegmentTask(NamedTuple):
    """One segment, and how hard to try; tasks are numbered as the segments are in the labels.

    `box` (top, left, bottom, right) holds all its pixels, the last two excluded.
    """

    box: tuple[int, int, int, int]
    max_iterations: int
    target_quality: float
    plateau: float


class SegmentOutcome(NamedTuple):
    """What came of one segment, on the [0, 1] scale.

    The errors are means over its `scored` pixels, those that were hidden and whose truth is known;
    NaN if there is none. `confidence` is the mean over its hidden patches, NaN without any, and
    `evidence` the number of patches that the loop has scored.
    """

    iterations: int
    stop_reason: StopReason
    completion: float
    confidence: float
    mse: float
    mae: float
    baseline_mse: float
    scored: int
    evidence: int


class SegmentAwareRun(NamedTuple):
    """What a backend returns from reconstructing all segments, on the [0, 1] scale.

    `prediction` is the image where it was shown. `hidden` is what was hidden at the start: what is
    missing, and of each segment most of its patches.
    """

    prediction: Image
    variance: Map
    confidence: Map
    hidden: Mask
    outcomes: list[SegmentOutcome]


class FineNoise(NamedTuple):
    """The level of the noise that is in every pixel, on the [0, 1] scale.

    `low` and `high` bound the central 90 % interval of `sigma`.
    """

    sigma: float
    low: float
    high: float
    by_channel: tuple[float, ...]


class Wave(NamedTuple):
    """A sinusoid all over the image: cycles per pixel, amplitude on the [0, 1] scale, phase."""

    frequency_y: float
    frequency_x: float
    amplitude: float
    phase: float


@dataclass(frozen=True)
class NoiseRun:
    """What a backend finds out about the noise of one image or segment, on the [0, 1] scale.

    Attributes
    ----------
    fine : FineNoise
    probabilities : tuple of float
        Of the kinds in `helicopter.core.noise_results.NOISE_KINDS`, in that order: that this kind
        is present; of `clean`, that none is.
    coloured : float
        Probability that the fine noise is correlated from pixel to pixel.
    scale_sigma : tuple of float
        Standard deviation of the noise averaged over squares of 1, 2, 4, 8 pixels.
    gain, speckle : float
        Variance per unit of intensity of Poisson noise, and standard deviation per unit of
        intensity of speckle, as if the noise were of that kind.
    salt_pepper_density, impulse_density : float
        Share of pixels hit, as if the impulses were of that kind.
    waves : tuple of Wave
        The strongest first.
    quality : int
        On the scale of libjpeg, as if the image had been compressed; 0 if nothing points there.
    grid : tuple of int
        Row and column of the first whole 8 x 8 block.
    level_function : float64 ndarray of shape (K, 3)
        Intensity, variance of the noise there, and the share of the evidence that it rests on.
    sigma_map : float32 ndarray of shape (H, W)
        Empty for segments.
    spectrum : float32 ndarray of shape (S, S)
        Log power, frequency zero in the middle; empty for segments.
    impulses : int
        Number of pixels judged to be hit.
    """

    fine: FineNoise
    probabilities: tuple[float, ...]
    coloured: float
    scale_sigma: tuple[float, ...]
    gain: float
    speckle: float
    salt_pepper_density: float
    impulse_density: float
    waves: tuple[Wave, ...]
    quality: int
    grid: tuple[int, int]
    level_function: NDArray[np.float64]
    sigma_map: Map
    spectrum: Map
    impulses: int


@dataclass(frozen=True)
class SegmentationOptions:
    """What makes a partition, besides the image.

    Attributes
    ----------
    count : int
        How many segments there shall be.
    least_area : int
        Merging is done at half the size, a quarter ..., as long as a segment has at least so many
        pixels there on average.
    spatial, spatial_borders : float
        Weight of a segment's extent against its spread in colour, while merging and while borders
        are put right.
    border : float
        Weight of a border's length against the spread in colour.
    passes : tuple of int
        Passes over the borders at the full size, and at each smaller one.
    """

    count: int
    least_area: int
    spatial: float
    spatial_borders: float
    border: float
    passes: tuple[int, int]


class AnomalyEvidence(NamedTuple):
    """What there is to judge an image by, on the [0, 1] scale.

    `image` and `prediction`: float32 (H, W, C); `sigma`, the predicted standard deviation, and
    `noise`, that of the noise: float32 (H, W); `included`: bool (H, W).
    """

    image: Image
    prediction: Image
    sigma: Map
    noise: Map
    included: Mask

    def rows(self, rows: slice) -> AnomalyEvidence:
        """Return what concerns these rows."""
        image, prediction, sigma, noise, included = self
        return AnomalyEvidence(
            image[rows], prediction[rows], sigma[rows], noise[rows], included[rows]
        )


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


class Backend(Protocol):
    """The contract; `reference` is the law, `rust` the fast one."""

    @property
    def name(self) -> Literal["python", "rust"]:
        """What users call it."""

    def reconstruct(
        self, context: Image, mask: Mask, algorithm: BuiltIn, model: UncertaintyModel
    ) -> Map:
        """Fill the hidden pixels of `context` in place; return the variance of their errors."""

    def exemplar(self, context: Image, mask: Mask, seed: int) -> None:
        """Fill the hidden pixels of `context` in place with patches found elsewhere in it."""

    def hidden_distance(self, mask: Mask) -> Map:
        """Distance of every pixel to the nearest visible one, in pixels, at most 64."""

    def hidden_variance(self, context: Image, mask: Mask, model: UncertaintyModel) -> Map:
        """Predict the error variance at hidden pixels; 0 at visible ones."""

    def noise_level(self, image: Image, included: Mask, quantum: float) -> FineNoise:
        """Estimate the fine noise alone; `quantum` is the step of the input's values."""

    def analyze_noise(
        self, image: Image, included: Mask, quantum: float, segments: Labels | None
    ) -> tuple[NoiseRun, list[NoiseRun]]:
        """Analyse the noise of the whole and of each segment, in the order of `np.unique`."""

    def anomaly_measurements(self, evidence: AnomalyEvidence, width: float) -> NDArray[np.float32]:
        """Measure Gaussian windows of standard deviation `width` around each pixel.

        Of shape (H, W, 2 C + 7): means of the residual and of the image in each channel; logarithms
        of the mean energy of the residual, of the predicted variance, of the energy of differences
        to the neighbours below, right, below right and below left, and of the noise. Only included
        pixels count; the image goes on as its mirror image.
        """

    def squared_distances(
        self,
        measured: NDArray[np.float32],
        centre: NDArray[np.float64],
        form: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return (x - centre)' form (x - centre) for each pixel of (H, W, M), none below 0."""

    def segment(self, pixels: NDArray[Any], options: SegmentationOptions) -> Labels:
        """Divide an image, of uint8, uint16 or float32 in [0, 1] and shape (H, W, 1 or 3).

        The labels run from 0 to count - 1 in the order of their first pixels; each is one piece
        that hangs together by the sides of pixels.
        """

    def score(self, truth: Image, prediction: Image, hidden: Mask, scored: Mask) -> Scores:
        """Compare over `scored`; what is not `hidden` makes the baseline's mean colour."""

    def autonomous(
        self,
        image: Image,
        missing: Mask,
        algorithm: Algorithm,
        options: AutonomousOptions,
        model: UncertaintyModel,
        progress: Progress | None,
    ) -> AutonomousRun:
        """Run the whole loop of the autonomous engine."""

    def segment_aware(
        self,
        image: Image,
        missing: Mask,
        labels: Labels,
        tasks: Sequence[SegmentTask],
        halo: int,
        algorithm: Algorithm,
        options: AutonomousOptions,
        model: UncertaintyModel,
        progress: Progress | None,
    ) -> SegmentAwareRun:
        """Run the loop of the autonomous engine over each segment by itself.

        A segment sees its own pixels, and those of others that are at most `halo` rows and columns
        away from one of them. What each task says takes the place of what `options` say.
        """

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
