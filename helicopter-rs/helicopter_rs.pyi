"""The Rust accelerator of Helicopter.

Arrays are borrowed, not copied: they must be C-contiguous and of exactly the dtype that is named.
The interpreter is released while a function works. An array that a call works on must not be
changed from another thread meanwhile. ``gpu`` is the number of the GPU that a call is to run on,
if it is to run on one.

Records cross by the names of their fields, which are those of the classes in
`helicopter.backends.protocol`: what is given may be any object with these attributes, what comes
back is a dict.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypedDict, final, type_check_only

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

__all__ = [
    "AutonomousReconstructionEngine",
    "CudaKernel",
    "CudaNetwork",
    "DecisionModel",
    "DeviceArray",
    "HatataMDPEngine",
    "Network",
    "NoiseModel",
    "RegionalReconstructionEngine",
    "SegmentAwareReconstructionEngine",
    "ZengezaNoiseDetector",
    "__version__",
    "_call_kernel",
    "_panic",
    "_spin",
    "anomaly_measurements",
    "build_info",
    "cuda_device",
    "cuda_reconstruct",
    "exemplar_fill",
    "hidden_distance",
    "hidden_variance",
    "num_threads",
    "score",
    "segment",
    "solve_pde",
    "squared_distances",
]

__version__: str

_Image: TypeAlias = NDArray[np.float32]
_Mask: TypeAlias = NDArray[np.bool_]
_Labels: TypeAlias = NDArray[np.int32]
_Attributes: TypeAlias = object
_Fields: TypeAlias = dict[str, Any]
_Progress: TypeAlias = Callable[[int, int], object]
_Kernel: TypeAlias = Callable[[_Image, _Mask], _Image | tuple[_Image, _Image | None]]

@final
@type_check_only
class _BuildInfo(TypedDict):
    version: str
    target: str
    profile: str
    opt_level: str
    rustc: str
    debug_assertions: bool
    cuda: bool

def anomaly_measurements(
    evidence: _Attributes, width: float, *, threads: int | None = None
) -> NDArray[np.float32]:
    """Measure Gaussian windows around each pixel: (H, W, 2 C + 7), noise last.

    `evidence` is an `AnomalyEvidence`; `width` is their standard deviation in pixels.
    """

def squared_distances(
    measured: NDArray[np.float32],
    centre: NDArray[np.float64],
    form: NDArray[np.float64],
    *,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """Return (x - centre)' form (x - centre) for each pixel of (H, W, M); `form` is symmetric."""

def build_info() -> _BuildInfo:
    """How this module was built."""

def cuda_device(number: int) -> dict[str, Any]:
    """Name, compute capability and memory (free, all; in bytes) of a GPU, if it can be used."""

def num_threads(threads: int | None = None) -> int:
    """The number of threads that a call with ``threads=threads`` runs on."""

def segment(
    image: NDArray[np.uint8] | NDArray[np.uint16] | _Image,
    options: _Attributes,
    *,
    threads: int | None = None,
) -> _Labels:
    """Divide an image of 1 or 3 channels into connected segments; floats in [0, 1].

    `options` are `SegmentationOptions`.
    """

def solve_pde(
    image: _Image,
    mask: _Mask,
    kind: Literal["harmonic", "biharmonic"],
    *,
    threads: int | None = None,
    progress: _Progress | None = None,
) -> None:
    """Fill the hidden pixels of `image`, (height, width, channels), in place.

    When the call raises, the hidden pixels are left in an undefined state.
    """

@final
class DeviceArray:
    """Float32 values on a GPU, which PyTorch, CuPy and others use in place."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...
    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, columns, and channels if there are any."""

    @property
    def device(self) -> int:
        """The number of the GPU."""

    def to_host(self) -> NDArray[np.float32]:
        """A copy in NumPy."""

def cuda_reconstruct(
    image: object,
    mask: object,
    algorithm: Literal["harmonic", "biharmonic"] | CudaNetwork,
    model: _Attributes,
    low: float,
    high: float,
    law: tuple[list[float], list[float]] | None,
    right: float,
    *,
    gpu: int,
) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    """Fill an image that lies on a GPU; return it, the errors' standard deviation and confidence.

    `image` and `mask` have a ``__cuda_array_interface__``; `law` is how errors are distributed,
    confidence by the logarithm of the standard deviation, or None for Laplace's law.
    """

@final
class CudaNetwork:
    """A trained network whose weights are on a GPU."""

    def __new__(cls, data: bytes, number: int) -> Self: ...
    @property
    def is_lost(self) -> bool:
        """Whether its GPU failed in a way that took the weights with it."""

@final
class CudaKernel:
    """A kernel of the user's, written in CUDA C++: predicts hidden pixels, a thread for each."""

    def __new__(cls, source: str, entry: str, name: str, number: int) -> Self: ...
    def run(self, context: _Image, mask: _Mask) -> tuple[_Image, NDArray[np.float32] | None]:
        """The prediction, and the standard deviation of its errors if the kernel tells it."""

@final
class Network:
    """A trained network, from the bytes of its file of weights (safetensors)."""

    def __new__(cls, data: bytes) -> Self: ...
    def predict(
        self,
        image: _Image,
        mask: _Mask,
        *,
        threads: int | None = None,
        progress: _Progress | None = None,
    ) -> NDArray[np.float32]:
        """Fill the hidden pixels of `image` in place; return the standard deviation of the errors.

        When the call raises, the hidden pixels are left in an undefined state.
        """

    @property
    def radius(self) -> int:
        """How many pixels away something may matter to a prediction."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level."""

def exemplar_fill(
    image: _Image,
    mask: _Mask,
    *,
    seed: int = 0,
    gpu: int | None = None,
    threads: int | None = None,
    progress: _Progress | None = None,
) -> None:
    """Fill the hidden pixels of `image` in place with what is found elsewhere in it.

    When the call raises, the hidden pixels are left in an undefined state.
    """

@final
class RegionalReconstructionEngine:
    """Fills any mask in any image, and says how sure each pixel is.

    `model` is an `UncertaintyModel`, here and below.
    """

    def __new__(
        cls,
        algorithm: Literal["harmonic", "biharmonic"] | Network | CudaNetwork,
        model: _Attributes,
        *,
        gpu: int | None = None,
    ) -> Self: ...
    def reconstruct(
        self, image: _Image, mask: _Mask, *, threads: int | None = None
    ) -> NDArray[np.float32]:
        """Fill the hidden pixels of `image` in place and return the variance of their errors."""

@final
class AutonomousReconstructionEngine:
    """Hides most of an image, redraws it from the rest, and says how well that went.

    `options` are `AutonomousOptions`, here and below.
    """

    def __new__(
        cls,
        algorithm: Literal["harmonic", "biharmonic"] | Network | CudaNetwork | _Kernel,
        model: _Attributes,
        options: _Attributes,
        *,
        gpu: int | None = None,
    ) -> Self: ...
    def autonomous_analyze(
        self,
        image: _Image,
        missing: _Mask,
        *,
        threads: int | None = None,
        progress: _Progress | None = None,
    ) -> _Fields:
        """Run the loop; the fields are those of `AutonomousRun`."""

@final
class SegmentAwareReconstructionEngine:
    """Hides most of every segment, and redraws each from the rest of it."""

    def __new__(
        cls,
        algorithm: Literal["harmonic", "biharmonic"] | Network | CudaNetwork | _Kernel,
        model: _Attributes,
        options: _Attributes,
        *,
        halo: int | None = None,
        gpu: int | None = None,
    ) -> Self: ...
    def segment_aware_reconstruction(
        self,
        image: _Image,
        missing: _Mask,
        chosen: _Mask,
        labels: _Labels,
        tasks: list[_Attributes] | tuple[_Attributes, ...],
        *,
        threads: int | None = None,
        progress: _Progress | None = None,
    ) -> _Fields:
        """Reconstruct all segments; pixel by pixel `labels` hold the number of the task.

        `tasks` are each a `SegmentTask`; the fields are those of `SegmentAwareRun`.
        """

@final
class NoiseModel:
    """The small networks that tell noise from content, for images of one number of channels.

    `tensors` are float32 arrays of two dimensions by name; see `helicopter.models._noise`.
    """

    def __new__(cls, tensors: dict[str, NDArray[np.float32]]) -> Self: ...

@final
class ZengezaNoiseDetector:
    """Finds out how much noise there is, of which kind, and where.

    `included` is True where a pixel counts; `quantum` is the step of the input's values on the
    [0, 1] scale, 0 for floats.
    """

    def __new__(cls, model: NoiseModel) -> Self: ...
    def level(
        self,
        image: _Image,
        included: _Mask,
        quantum: float,
        *,
        gpu: int | None = None,
        threads: int | None = None,
    ) -> _Fields:
        """Estimate the fine noise alone; the fields are those of `FineNoise`."""

    def analyze(
        self,
        image: _Image,
        included: _Mask,
        quantum: float,
        segments: _Labels | None = None,
        *,
        gpu: int | None = None,
        threads: int | None = None,
    ) -> tuple[_Fields, list[_Fields]]:
        """Analyse the whole and each segment, in the order of `np.unique`.

        The fields are those of `NoiseRun`.
        """

    def measurements(
        self, image: _Image, included: _Mask, quantum: float, *, threads: int | None = None
    ) -> NDArray[np.float64]:
        """Return all that the networks see of an image, for their training."""

@final
class HatataMDPEngine:
    """Decides whether enough of an image is understood, with as few looks as that takes."""

    def __new__(cls) -> Self: ...
    def stopping_policy(self, options: _Attributes, *, threads: int | None = None) -> _Fields:
        """Return the policy of least expected loss: the fields of `StoppingRun`.

        `options` are `StoppingOptions`, of which `short` and `density` follow from the rest.
        """

    def verify(
        self,
        successes: NDArray[np.uint8],
        evidence: _Attributes,
        policy: _Attributes,
        *,
        threads: int | None = None,
    ) -> _Fields:
        """Take looks until the policy stops or there are no more: the fields of `EvidenceRun`.

        `evidence` is an `Evidence`, `policy` a `StoppingRun`.
        """

def hidden_distance(
    mask: _Mask, *, gpu: int | None = None, threads: int | None = None
) -> NDArray[np.float32]:
    """Distance of every pixel to the nearest visible one, in pixels, at most 64."""

def hidden_variance(
    context: _Image,
    mask: _Mask,
    model: _Attributes,
    *,
    gpu: int | None = None,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Predict the variance of the error of every hidden pixel; 0 at visible ones."""

def score(
    truth: _Image,
    prediction: _Image,
    hidden: _Mask,
    scored: _Mask,
    *,
    gpu: int | None = None,
    threads: int | None = None,
) -> _Fields:
    """Compare over `scored`: the fields of `Scores`."""

def _call_kernel(
    image: _Image,
    mask: _Mask,
    kernel: _Kernel,
    *,
    times: int | None = None,
    threads: int | None = None,
) -> list[tuple[_Image, _Image | None]]: ...
def _panic(message: str, *, threads: int | None = None) -> None: ...
def _spin(
    seconds: float, *, threads: int | None = None, progress: _Progress | None = None
) -> int: ...

@final
class DecisionModel:
    """A Markov decision process in compressed rows; see `helicopter.backends.protocol`."""

    @staticmethod
    def from_dense(
        transitions: NDArray[np.float64],
        rewards: NDArray[np.float64],
        allowed: NDArray[np.bool_] | None = None,
    ) -> DecisionModel | None:
        """Compress transitions (S, A, S) and rewards (S, A) or (S, A, S); None if wrong."""

    @staticmethod
    def from_rows(
        n_states: int,
        states: NDArray[np.int64],
        actions: NDArray[np.int64],
        row_start: NDArray[np.int64],
        columns: NDArray[np.int32] | NDArray[np.int64],
        probabilities: NDArray[np.float64],
        rewards: NDArray[np.float64],
        rewards_low: NDArray[np.float64] | None = None,
        *,
        by_entry: bool = False,
    ) -> DecisionModel | None:
        """Compress pairs (state, action) in any order; None if anything is wrong with them."""

    @property
    def n_states(self) -> int:
        """The number of states."""

    @property
    def pair_start(self) -> NDArray[np.int64]:
        """Where the pairs of each state begin, and where the last ones end."""

    @property
    def actions(self) -> NDArray[np.int32]:
        """The number of the action of each pair."""

    @property
    def row_start(self) -> NDArray[np.int64]:
        """Where the transitions of each pair begin, and where the last ones end."""

    @property
    def columns(self) -> NDArray[np.int32]:
        """The next state of each transition."""

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Its probability."""

    @property
    def rewards(self) -> NDArray[np.float64]:
        """The expected reward of each pair."""

    @property
    def rewards_low(self) -> NDArray[np.float64]:
        """What rounding left over of it."""

    def solve(
        self,
        discount: float,
        method: Literal["auto", "value_iteration", "policy_iteration", "modified_policy_iteration"],
        epsilon: float,
        max_iterations: int | None = None,
        *,
        threads: int | None = None,
        progress: _Progress | None = None,
    ) -> _Fields:
        """Find the optimal value and a policy; the fields are those of `MdpRun`."""

    def solve_horizon(
        self,
        discount: float,
        horizon: int,
        terminal: NDArray[np.float64],
        *,
        threads: int | None = None,
    ) -> _Fields:
        """Find the best policy for so many steps; the fields are those of `HorizonRun`."""

    def q_values(self, discount: float, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the value of each pair if `value` is what comes after it."""
