"""Regional reconstruction: fill any mask in any image, and say how sure each pixel is."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from helicopter.errors import InvalidMaskError, InvalidOptionError
from helicopter.models import uncertainty_model
from helicopter.progress import ProgressCallback, as_callback

from .engine import Engine
from .masking import MASKING_STRATEGIES, make_mask
from .registry import find_algorithm
from .results import (
    RegionalReconstruction,
    UnderstandingScore,
    UnderstandingTest,
    understanding_level,
)
from .scales import confidence_of, psnr_db, quality_of, skill_of
from .validation import (
    check_choice,
    check_fraction,
    check_integer,
    check_seed,
    prepare_image,
    require_visible,
)

if TYPE_CHECKING:
    from helicopter.backends.protocol import Image, Map, Mask

__all__ = ["RegionalReconstructionEngine"]


class RegionalReconstructionEngine(Engine):
    """Predicts hidden pixels from visible ones, with an uncertainty for each.

    Parameters
    ----------
    algorithm : str, default "harmonic"
        ``"harmonic"`` (a stretched membrane; robust where much is hidden), ``"biharmonic"`` (a bent
        plate; sharper in small gaps) or the name of a registered algorithm. Predictions are cut to
        the data range, which `biharmonic` overshoots in wide gaps.
    device : str, default "auto"
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    use_rust_acceleration : bool, optional
        True: Rust or an error; False: Python; None: Rust if it can be used.
    seed : int, default 0
        Of the random masks of `test_understanding`.

    Raises
    ------
    InvalidOptionError, DeviceError, RustAccelerationError
    """

    def __init__(
        self,
        algorithm: str = "harmonic",
        device: str = "auto",
        use_rust_acceleration: bool | None = None,
        seed: int = 0,
    ) -> None:
        self._algorithm = find_algorithm(algorithm)
        self.algorithm = algorithm
        self.seed = check_seed(seed)
        super().__init__(device, use_rust_acceleration)

    def reconstruct(
        self,
        image: object,
        mask: object,
        *,
        data_range: tuple[float, float] | None = None,
        progress: bool | ProgressCallback | None = None,
    ) -> RegionalReconstruction:
        """Fill the hidden pixels of an image.

        Parameters
        ----------
        image : array_like of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)
            uint8, uint16, bool, float32 or float64; floats in [0, 1] unless `data_range` says
            otherwise. Hidden pixels may hold anything, NaN included. Alpha is carried through.
        mask : bool array_like of shape (H, W)
            True = hidden, to be predicted.
        data_range : tuple of float, optional
            The values of black and white.
        progress : None, True or callable
            See `helicopter.progress.as_callback`.

        Returns
        -------
        RegionalReconstruction

        Raises
        ------
        InvalidImageError, InvalidMaskError, InvalidOptionError
        """
        started = time.perf_counter()
        if mask is None:
            raise InvalidMaskError(
                "mask: got None; expected an array of bool, True = hidden, to be predicted."
            )
        with as_callback(progress, "Reconstructing") as callback:
            prepared, hidden = prepare_image(image, hidden=mask, data_range=data_range)
            require_visible(hidden)
            if callback is not None:
                callback(0, 1)
            context = prepared.pixels
            variance = self._predict(context, hidden)
            sigma = np.sqrt(variance, out=variance)
            if callback is not None:
                callback(1, 1)
        confidence = confidence_of(sigma, hidden)
        return RegionalReconstruction(
            reconstruction=prepared.restore(context, hidden),
            uncertainty_map=prepared.in_units(sigma),
            confidence_map=confidence,
            algorithm=self.algorithm,
            backend=self.backend,
            device=self.device,
            seconds=time.perf_counter() - started,
        )

    def _predict(self, context: Image, hidden: Mask) -> Map:
        """Fill `context` in place and return the variance of the error."""
        if not hidden.any():
            return np.zeros(hidden.shape, dtype=np.float32)
        model = uncertainty_model(self.algorithm)
        if not callable(self._algorithm):
            return self._backend.reconstruct(context, hidden, self._algorithm, model)
        prediction, sigma = self._algorithm(context, hidden)
        np.copyto(context, prediction, where=hidden[:, :, None])
        if sigma is not None:
            return np.square(sigma)
        return self._backend.hidden_variance(context, hidden, model)

    def test_understanding(
        self,
        image: object,
        strategies: Sequence[str] | None = None,
        difficulties: Sequence[float] = (0.2, 0.4, 0.6, 0.8, 0.9),
        *,
        patch_size: int = 16,
        data_range: tuple[float, float] | None = None,
        progress: bool | ProgressCallback | None = None,
    ) -> UnderstandingTest:
        """Hide parts of an image in many ways and measure how well each is redrawn.

        Parameters
        ----------
        image : array_like
            As in `reconstruct`; all of it is known.
        strategies : sequence of str, optional
            Names out of `helicopter.core.MASKING_STRATEGIES`; by default all of them.
        difficulties : sequence of float
            Shares of the image to hide, each between 0 and 1.
        patch_size : int, default 16
            Side of the patches that are hidden, in pixels.
        data_range : tuple of float, optional
        progress : None, True or callable

        Returns
        -------
        UnderstandingTest

        Raises
        ------
        InvalidImageError, InvalidOptionError
        """
        started = time.perf_counter()
        if strategies is None:
            strategies = MASKING_STRATEGIES
        chosen = [
            check_choice(name, "strategies", MASKING_STRATEGIES)
            for name in _several(strategies, "strategies", "['checkerboard']")
        ]
        shares = [
            check_fraction(value, "difficulties", ends=False)
            for value in _several(difficulties, "difficulties", "[0.5]")
        ]
        side = check_integer(patch_size, "patch_size", 1)
        with as_callback(progress, "Testing understanding") as callback:
            prepared, _ = prepare_image(image, data_range=data_range)
            truth = prepared.pixels
            height, width, _ = truth.shape
            if side >= max(height, width):
                raise InvalidOptionError(
                    f"patch_size: got {side} for an image of {height} x {width} pixels; expected "
                    f"less than {max(height, width)}, so that there are at least two patches."
                )
            scores = []
            for name in chosen:
                for share in shares:
                    hidden = make_mask(name, truth, share, side, self.seed)
                    scores.append(self._score(truth, hidden, name, share, prepared.units))
                    if callback is not None:
                        callback(len(scores), len(chosen) * len(shares))
        skills = [score.skill for score in scores if not math.isnan(score.skill)]
        quality = math.fsum(score.reconstruction_quality for score in scores) / len(scores)
        return UnderstandingTest(
            reconstruction_quality=quality,
            understanding_level=understanding_level(quality),
            skill=math.fsum(skills) / len(skills) if skills else math.nan,
            scores=tuple(scores),
            algorithm=self.algorithm,
            backend=self.backend,
            device=self.device,
            seconds=time.perf_counter() - started,
        )

    def _score(
        self, truth: Image, hidden: Mask, strategy: str, difficulty: float, units: float
    ) -> UnderstandingScore:
        context = np.where(hidden[:, :, None], np.float32(0), truth)
        sigma = np.sqrt(self._predict(context, hidden))
        measured = self._backend.score(truth, context, hidden, hidden)
        confidence = confidence_of(sigma, hidden)[hidden]
        return UnderstandingScore(
            strategy=strategy,
            difficulty=difficulty,
            hidden_fraction=float(hidden.mean()),
            reconstruction_quality=quality_of(measured.mse),
            psnr_db=psnr_db(measured.mse),
            ssim=measured.ssim,
            mae=measured.mae * units,
            skill=skill_of(measured),
            average_confidence=float(confidence.mean(dtype=np.float64)),
        )


def _several(values: object, name: str, example: str) -> list[object]:
    """Return the items of a sequence that must hold at least one."""
    ordered = isinstance(values, Sequence) and not isinstance(values, (str, bytes))
    if isinstance(values, np.ndarray):
        ordered = values.ndim == 1
    items = list(values) if ordered else []  # type: ignore[call-overload]
    if not items:
        raise InvalidOptionError(
            f"{name}: got {values!r}; expected a sequence of at least one, such as {example}."
        )
    return items
