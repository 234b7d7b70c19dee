"""The one-line calls: what each engine does, without making one first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from helicopter.backends._engine import Engine
from helicopter.core._analyzer import (
    PARTS_ALGORITHM,
    Analyzer,
    EngineOptions,
    Machine,
    RunOptions,
    VerifierOptions,
)
from helicopter.core.anomalies._detector import AnomalyDetector
from helicopter.core.hatata_mdp import HatataMDPEngine
from helicopter.core.regional_engine import RegionalReconstructionEngine
from helicopter.core.registry import DEFAULT
from helicopter.core.segments import _partition
from helicopter.core.zengeza_detector import ZengezaNoiseDetector

if TYPE_CHECKING:
    import os

    from helicopter._shared.arrays import Labels
    from helicopter._shared.progress import ProgressCallback
    from helicopter.core.evidence._stopping_policy import StoppingPolicy
    from helicopter.core.results._analysis import Analysis
    from helicopter.core.results._noise import NoiseAnalysis, NoiseLevel
    from helicopter.core.results._parts import AnomalyAnalysis
    from helicopter.core.results._regional import RegionalReconstruction
    from helicopter.core.results._verification import Verification

__all__ = [
    "analyze",
    "estimate_noise",
    "estimate_sigma",
    "find_anomalies",
    "reconstruct",
    "segment",
    "verify",
]


def analyze(
    image: object,
    *,
    segments: object = "auto",
    anomalies: bool = True,
    level: float = 0.1,
    parts_algorithm: str = PARTS_ALGORITHM,
    mask: object = None,
    data_range: tuple[float, float] | None = None,
    progress: bool | ProgressCallback | None = None,
    device: str = "auto",
    use_rust_acceleration: bool | None = None,
    patch_size: int = 32,
    context_size: int | None = None,
    algorithm: str = DEFAULT,
    strategy: str = "adaptive",
    seed: int = 0,
    weights: str | os.PathLike[str] | None = None,
    stop: str | StoppingPolicy = "quality",
    max_iterations: int | None = None,
    target_quality: float = 0.9,
    initial_known: float = 0.2,
    open_book: bool = False,
    threshold: float = 0.8,
    required_share: float = 0.8,
    cost_of_look: float = 0.001,
    cost_of_false_accept: float = 1.0,
    cost_of_false_reject: float = 1.0,
    prior: tuple[float, float] = (1.0, 1.0),
    credible_level: float = 0.95,
    max_looks: int | None = None,
    effective_looks: str = "auto",
) -> Analysis:
    """Tell how well an image can be explained from its own context, and what cannot be.

    How noisy it is; how far it can be redrawn from a fifth of its patches; which parts follow from
    themselves, if not all does; what is unlike all the rest, and no noise. The patches that were
    scored on the way are evidence: `Analysis.verification` says whether they are enough to call the
    image understood.

    Parameters
    ----------
    image : array_like
        See `AutonomousReconstructionEngine.autonomous_analyze`.
    segments : "auto", None, int, pair of int, or integer array_like of shape (H, W)
        Parts to look at one by one: see `SegmentAwareReconstructionEngine`. ``"auto"``: 250 of them
        (or as many as have 400 pixels each), if the quality is below 0.95 or the noise at least
        moderate. None: the image as a whole only.
    anomalies : bool, default True
        Whether to look for what is unlike the rest; see `find_anomalies`.
    level : float, default 0.1
        Of the anomalies declared, the share that may be false, on average.
    parts_algorithm : str, default "harmonic"
        What predicts segments, and patches in search of anomalies. ``"network"`` takes five times
        as long, redraws segments better and finds about as many anomalies.
    mask : bool array_like of shape (H, W), optional
        True = hidden: pixels that are missing from the image itself.
    data_range : tuple of float, optional
        The values of black and white.
    progress : None, True or callable
        Of the engines that take their time, one after the other.
    device : str, default "auto"
    use_rust_acceleration : bool, optional
    patch_size, context_size, algorithm, strategy, seed, weights, stop
        See `AutonomousReconstructionEngine`; seed and weights are used for the parts as well.
    max_iterations, target_quality, initial_known, open_book
        See `AutonomousReconstructionEngine.autonomous_analyze`.
    threshold, required_share, cost_of_look, cost_of_false_accept, cost_of_false_reject, prior, \
credible_level, max_looks, effective_looks
        See `HatataMDPEngine.verify`. With ``stop="hatata"`` they also decide when to stop.

    Returns
    -------
    Analysis

    Raises
    ------
    InvalidImageError, InvalidMaskError, InvalidOptionError, DeviceError, RustAccelerationError,
    ModelError
    """
    analyzer = Analyzer(
        Machine(device, use_rust_acceleration),
        EngineOptions(patch_size, context_size, algorithm, strategy, seed, weights, stop),
        VerifierOptions(
            threshold=threshold,
            required_share=required_share,
            cost_of_look=cost_of_look,
            cost_of_false_accept=cost_of_false_accept,
            cost_of_false_reject=cost_of_false_reject,
            prior=prior,
            credible_level=credible_level,
            max_looks=max_looks,
            effective_looks=effective_looks,
        ),
        parts_algorithm=parts_algorithm,
    )
    return analyzer.analyze(
        image,
        segments=segments,
        anomalies=anomalies,
        level=level,
        mask=mask,
        data_range=data_range,
        progress=progress,
        run=RunOptions(max_iterations, target_quality, initial_known, open_book),
    )


def reconstruct(
    image: object,
    mask: object = None,
    algorithm: str = DEFAULT,
    *,
    fill: Literal["all", "mask"] = "all",
    data_range: tuple[float, float] | None = None,
    out: Literal["host", "device"] | None = None,
    device: str = "auto",
    use_rust_acceleration: bool | None = None,
    weights: str | os.PathLike[str] | None = None,
    progress: bool | ProgressCallback | None = None,
) -> RegionalReconstruction:
    """Fill the hidden pixels of an image; the short form of `RegionalReconstructionEngine`.

    Parameters
    ----------
    image : array_like
        See `RegionalReconstructionEngine.reconstruct`.
    mask : bool array_like of shape (H, W), optional
        True = hidden, to be predicted. Not needed where the image has gaps: NaN, infinities, what
        a masked array masks, pixels whose alpha is 0.
    algorithm : str, default "network"
    fill : {"all", "mask"}
        Whether such gaps are filled too, or only what `mask` hides.
    data_range : tuple of float, optional
    out : {"host", "device"}, optional
        Where the results are to be, by default where the image is.
    device : str, default "auto"
    use_rust_acceleration : bool, optional
    weights : path-like, optional
    progress : None, True or callable

    Returns
    -------
    RegionalReconstruction

    Examples
    --------
    >>> import numpy as np
    >>> import helicopter
    >>> ramp = np.linspace(0, 1, 32, dtype=np.float32)[None, :].repeat(32, axis=0)
    >>> hole = np.zeros(ramp.shape, dtype=bool)
    >>> hole[10:20, 10:20] = True
    >>> filled = helicopter.reconstruct(ramp, hole, "harmonic").reconstruction
    >>> bool(np.abs(filled - ramp).max() < 1e-6)
    True
    >>> ramp[12:15, 3:9] = np.nan
    >>> bool(np.isfinite(helicopter.reconstruct(ramp).reconstruction).all())
    True
    """
    engine = RegionalReconstructionEngine(algorithm, device, use_rust_acceleration, weights=weights)
    return engine.reconstruct(
        image, mask, fill=fill, data_range=data_range, out=out, progress=progress
    )


def estimate_noise(
    image: object,
    *,
    segments: object = None,
    mask: object = None,
    data_range: tuple[float, float] | None = None,
    device: str = "auto",
    use_rust_acceleration: bool | None = None,
) -> NoiseAnalysis:
    """Tell how noisy an image is, with which kinds of noise, where and at which scales.

    The short form of `ZengezaNoiseDetector.analyze`, where the parameters are described.

    Parameters
    ----------
    image : array_like
    segments : int, pair of int, or integer array_like of shape (H, W), optional
        A grid or a label for every pixel: regions to analyse one by one as well.
    mask : bool array_like of shape (H, W), optional
        True = hidden, left out.
    data_range : tuple of float, optional
    device : str, default "auto"
    use_rust_acceleration : bool, optional

    Returns
    -------
    NoiseAnalysis

    Examples
    --------
    >>> import numpy as np
    >>> import helicopter
    >>> rng = np.random.default_rng(0)
    >>> y, x = np.mgrid[:128, :128]
    >>> noisy = 0.5 + 0.2 * np.sin(x / 30) * np.cos(y / 40) + rng.normal(0, 0.02, (128, 128))
    >>> found = helicopter.estimate_noise(noisy)
    >>> abs(found.sigma - 0.02) < 0.002
    True
    """
    detector = ZengezaNoiseDetector(device, use_rust_acceleration)
    return detector.analyze(image, segments=segments, mask=mask, data_range=data_range)


def estimate_sigma(
    image: object,
    *,
    mask: object = None,
    data_range: tuple[float, float] | None = None,
    device: str = "auto",
    use_rust_acceleration: bool | None = None,
) -> NoiseLevel:
    """Estimate the standard deviation of the noise alone, sooner than `estimate_noise`.

    The short form of `ZengezaNoiseDetector.level`, where the parameters are described.

    Parameters
    ----------
    image : array_like
    mask : bool array_like of shape (H, W), optional
        True = hidden, left out.
    data_range : tuple of float, optional
    device : str, default "auto"
    use_rust_acceleration : bool, optional

    Returns
    -------
    NoiseLevel
    """
    detector = ZengezaNoiseDetector(device, use_rust_acceleration)
    return detector.level(image, mask=mask, data_range=data_range)


def find_anomalies(
    image: object,
    *,
    level: float = 0.1,
    segments: object = None,
    mask: object = None,
    data_range: tuple[float, float] | None = None,
    algorithm: str = DEFAULT,
    device: str = "auto",
    use_rust_acceleration: bool | None = None,
    weights: str | os.PathLike[str] | None = None,
    seed: int = 0,
    noise: NoiseAnalysis | None = None,
    progress: bool | ProgressCallback | None = None,
) -> AnomalyAnalysis:
    """Find what in an image does not follow from the rest of it, and is no noise either.

    The short form of `AnomalyDetector.find`, where the parameters are described.

    Parameters
    ----------
    image : array_like
    level : float, default 0.1
        The share of the declared regions that may be false, on average.
    segments : int or integer array_like of shape (H, W), optional
        Regions are then made of whole segments.
    mask : bool array_like of shape (H, W), optional
        True = hidden, left out.
    data_range : tuple of float, optional
    algorithm : str, default "network"
    device : str, default "auto"
    use_rust_acceleration : bool, optional
    weights : path-like, optional
    seed : int, default 0
    noise : NoiseAnalysis, optional
        Of this image with this mask, if it is known already.
    progress : None, True or callable

    Returns
    -------
    AnomalyAnalysis

    Examples
    --------
    >>> import numpy as np
    >>> import helicopter
    >>> y, x = np.mgrid[:128, :128]
    >>> rng = np.random.default_rng(0)
    >>> cloth = 0.5 + 0.1 * np.sin(x) * np.sin(y) + rng.normal(0, 0.02, (128, 128))
    >>> cloth[60:72, 40:52] -= 0.25
    >>> found = helicopter.find_anomalies(cloth)
    >>> [bool(found.detected[66, 46]), len(found.regions)]
    [True, 1]
    """
    detector = AnomalyDetector(algorithm, device, use_rust_acceleration, seed, weights)
    return detector.find(
        image,
        level=level,
        segments=segments,
        mask=mask,
        data_range=data_range,
        noise=noise,
        progress=progress,
    )


def segment(
    image: object,
    n_segments: int = 250,
    *,
    preset: str = "quality",
    mask: object = None,
    data_range: tuple[float, float] | None = None,
    device: str = "auto",
    use_rust_acceleration: bool | None = None,
) -> Labels:
    """Divide an image into connected segments that follow its content.

    Fine groups of pixels are merged by Ward's criterion on the region adjacency graph: whichever
    merge adds least to the spread of colours within segments comes next. Then border pixels go over
    to the segment that they fit better. Large images are divided at a fraction of their size and
    their borders put right at each size up to the full one.

    The result is exactly the same for both backends, any number of threads, and images that hold
    the same intensities as uint8 or as floats.

    Parameters
    ----------
    image : array_like of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)
        bool, integers of up to 32 bits or floats; floats in [0, 1] unless `data_range` says
        otherwise. Pixels whose alpha is 0 (unless all are) and those that a masked array masks
        count as hidden; NaN must be hidden by `mask`.
    n_segments : int, default 250
        How many segments there shall be: 1 to H * W. There will be exactly so many.
    preset : str, default "quality"
        ``"quality"``: as little spread within segments as can be had, borders where the edges are;
        ``"fast"``: the same in about a third of the time, with borders on a grid of two pixels or
        more; ``"compact"``: segments of similar size and round shape.
    mask : bool array_like of shape (H, W), optional
        True = hidden: pixels whose values may be anything, NaN included. They get labels all the
        same: for each the colour of the nearest visible pixel is taken.
    data_range : tuple of float, optional
        The values of black and white.
    device : str, default "auto"
    use_rust_acceleration : bool, optional

    Returns
    -------
    int32 ndarray of shape (H, W)
        Labels from 0 to n_segments - 1, in the order of their first pixels row by row. The pixels
        of a label hang together by their sides.

    Raises
    ------
    InvalidImageError, InvalidMaskError, InvalidOptionError, DeviceError, RustAccelerationError

    References
    ----------
    J. H. Ward, "Hierarchical grouping to optimize an objective function", Journal of the American
    Statistical Association 58, 1963. X. Wei et al., "Superpixel hierarchy", IEEE Transactions on
    Image Processing 27, 2018 (the first merges). J. A. Hartigan, "Clustering algorithms", 1975
    (the exchange of single pixels).

    Examples
    --------
    >>> import numpy as np
    >>> import helicopter
    >>> image = np.zeros((40, 60), dtype=np.uint8)
    >>> image[10:30, 20:50] = 200
    >>> helicopter.segment(image, 2)[[0, 20], [0, 30]].tolist()
    [0, 1]
    """
    backend = Engine(device, use_rust_acceleration)._backend
    return _partition.segment(backend, image, n_segments, preset, mask, data_range)


def verify(
    evidence: object,
    threshold: float = 0.8,
    *,
    required_share: float = 0.8,
    cost_of_look: float = 0.001,
    cost_of_false_accept: float = 1.0,
    cost_of_false_reject: float = 1.0,
    prior: tuple[float, float] = (1.0, 1.0),
    credible_level: float = 0.95,
    max_looks: int | None = None,
    effective_looks: str = "auto",
    progress: bool | ProgressCallback | None = None,
    device: str = "auto",
    use_rust_acceleration: bool | None = None,
) -> Verification:
    """Decide whether what was scored of an image is evidence enough to call it understood.

    The short form of `HatataMDPEngine.verify`, where the parameters are described.

    Parameters
    ----------
    evidence : iterable of float, AutonomousAnalysis or CrossReconstruction
    threshold, required_share : float, default 0.8
        The quality of a patch that is understood, and the share of such patches that it takes.
    cost_of_look, cost_of_false_accept, cost_of_false_reject : float
    prior : pair of float, default (1, 1)
    credible_level : float, default 0.95
    max_looks : int, optional
    effective_looks : str, default "auto"
    progress : None, True or callable
    device : str, default "auto"
    use_rust_acceleration : bool, optional

    Returns
    -------
    Verification

    Examples
    --------
    >>> import helicopter
    >>> helicopter.verify([0.95] * 40).decision
    'accept'
    """
    return HatataMDPEngine(device, use_rust_acceleration).verify(
        evidence,
        threshold,
        required_share=required_share,
        cost_of_look=cost_of_look,
        cost_of_false_accept=cost_of_false_accept,
        cost_of_false_reject=cost_of_false_reject,
        prior=prior,
        credible_level=credible_level,
        max_looks=max_looks,
        effective_looks=effective_looks,
        progress=progress,
    )
