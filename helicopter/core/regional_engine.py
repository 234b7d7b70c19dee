"""Regional reconstruction: fill any mask in any image, and say how sure each pixel is."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from helicopter._shared.checks import check_choice, check_fraction, check_integer, check_several
from helicopter._shared.patches import PatchGrid
from helicopter._shared.progress import ProgressCallback, as_callback
from helicopter.errors import InvalidMaskError, InvalidOptionError

from .prediction._at_device import on_device, reconstruct_on_device
from .prediction._cross import assign_folds, measure_patches, predict_folds, surprise
from .prediction._engine import PredictingEngine
from .prediction._error_law import confidence_of, remainder_of
from .prediction._masking import MASKING_STRATEGIES, make_mask
from .prediction._scores import error_map, psnr_db, quality_of, skill_of
from .registry import DEFAULT
from .results._autonomous import understanding_level
from .results._regional import (
    CrossReconstruction,
    RegionalReconstruction,
    UnderstandingScore,
    UnderstandingTest,
)
from .validation import check_mask, check_range, prepare_image, require_visible

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from helicopter._shared.arrays import Image, Map, Mask

__all__ = ["RegionalReconstructionEngine"]


class RegionalReconstructionEngine(PredictingEngine):
    """Predicts hidden pixels from visible ones, with an uncertainty for each.

    Parameters
    ----------
    algorithm : str, default "network"
        ``"network"`` (a trained correction to `harmonic`, whose stated uncertainty is calibrated),
        ``"harmonic"`` (a stretched membrane; robust where much is hidden), ``"biharmonic"`` (a bent
        plate; sharper in small gaps), ``"exemplar"`` (patches found elsewhere in the image; for
        texture) or the name of a registered algorithm. Predictions are cut to the data range, which
        `biharmonic` overshoots in wide gaps.
    device : str, default "auto"
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    use_rust_acceleration : bool, optional
        True: Rust or an error; False: Python; None: Rust if it can be used.
    seed : int, default 0
        Of the random masks of `test_understanding`, the folds of `cross_reconstruct` and the search
        of `exemplar`.
    weights : path-like, optional
        A network of your own, written by ``helicopter train``; by default that of the package.

    Raises
    ------
    InvalidOptionError, DeviceError, RustAccelerationError, ModelError
    """

    def __init__(
        self,
        algorithm: str = DEFAULT,
        device: str = "auto",
        use_rust_acceleration: bool | None = None,
        seed: int = 0,
        weights: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(algorithm, weights, seed, device, use_rust_acceleration)

    def reconstruct(
        self,
        image: object,
        mask: object = None,
        *,
        fill: Literal["all", "mask"] = "all",
        data_range: tuple[float, float] | None = None,
        out: Literal["host", "device"] | None = None,
        progress: bool | ProgressCallback | None = None,
    ) -> RegionalReconstruction:
        """Fill the hidden pixels of an image.

        Parameters
        ----------
        image : array_like of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)
            bool, integers of up to 32 bits or floats; floats in [0, 1] unless `data_range` says
            otherwise. Gaps are hidden besides what `mask` hides: NaN, infinities, what a masked
            array masks, pixels whose alpha is 0. Alpha is carried through.
        mask : bool array_like of shape (H, W), optional
            True = hidden, to be predicted; integers of 0 and 1, or of 0 and 255, count too. Not
            needed where the image has gaps.
        fill : {"all", "mask"}
            Whether gaps are filled too, or only what `mask` hides; gaps that are not filled stay
            as they are and are not used either, and both their maps are NaN.
        data_range : tuple of float, optional
            The values of black and white.
        out : {"host", "device"}, optional
            Where results are to be: NumPy arrays, or arrays on the GPU that PyTorch and CuPy use in
            place (``torch.as_tensor(result.reconstruction, device="cuda")``, ``cupy.asarray``). By
            default where the image is. An image on a GPU (any with ``__cuda_array_interface__``,
            float32, no alpha) wants an engine of that GPU and a mask there, where it is copied.
        progress : None, True or callable
            See `helicopter._shared.progress.as_callback`.

        Returns
        -------
        RegionalReconstruction

        Raises
        ------
        InvalidImageError, InvalidMaskError, InvalidOptionError
        """
        started = time.perf_counter()
        check_choice(fill, "fill", ("all", "mask"))
        if out is not None:
            check_choice(out, "out", ("host", "device"))
        if on_device(image):
            return self._reconstruct_there(image, mask, data_range, out or "device", started)
        if out == "device":
            raise InvalidOptionError(
                "out: got 'device' for an image in the memory of the host; expected one on the "
                'GPU, as torch.as_tensor(image, device="cuda") makes it, or out="host".'
            )
        with as_callback(progress, "Reconstructing") as callback:
            prepared, hidden = prepare_image(image, hidden=mask, data_range=data_range)
            require_visible(hidden)
            filled = hidden if fill == "all" else _asked(mask, hidden)
            if mask is None and not filled.any():
                raise InvalidMaskError(
                    "mask: got None, and the image has no gaps (NaN, masked or transparent "
                    "pixels); expected an array of bool, True = hidden, to be predicted."
                )
            if callback is not None:
                callback(0, 1)
            context = prepared.pixels
            variance = self._predict(context, hidden)
            sigma = np.sqrt(variance, out=variance)
            if callback is not None:
                callback(1, 1)
        confidence = confidence_of(sigma, hidden, self._law)
        restored = prepared.restore(context, filled)
        if filled is not hidden:
            for known in (sigma, confidence):
                known[hidden & ~filled] = np.nan
        return RegionalReconstruction(
            reconstruction=restored,
            uncertainty_map=prepared.in_units(sigma),
            confidence_map=confidence,
            algorithm=self.algorithm,
            backend=self.backend,
            device=self.device,
            seconds=time.perf_counter() - started,
            data_range=(prepared.low, prepared.high),
            _law=self._law,
            _remainder=remainder_of(prepared, context, restored),
        )

    def _reconstruct_there(
        self,
        image: Any,
        mask: Any,
        data_range: tuple[float, float] | None,
        out: str,
        started: float,
    ) -> RegionalReconstruction:
        """Fill an image on the GPU that the engine runs on."""
        low, high = (0.0, 1.0)
        if data_range is not None:
            low, high = check_range(data_range, np.dtype(np.float32))
        filled, sigma, confidence = reconstruct_on_device(
            image, mask, self.device, self._algorithm, self._model, self._law, (low, high)
        )
        if out == "host":
            filled, sigma, confidence = (part.to_host() for part in (filled, sigma, confidence))
        return RegionalReconstruction(
            reconstruction=filled,
            uncertainty_map=sigma,
            confidence_map=confidence,
            algorithm=self.algorithm,
            backend=self.backend,
            device=self.device,
            seconds=time.perf_counter() - started,
            data_range=(low, high),
            _law=self._law,
            _remainder=None,
        )

    def _predict(self, context: Image, hidden: Mask) -> Map:
        """Fill `context` in place and return the variance of the error."""
        if not hidden.any():
            return np.zeros(hidden.shape, dtype=np.float32)
        if not callable(self._algorithm):
            return self._backend.reconstruct(context, hidden, self._algorithm, self._model)
        prediction, sigma = self._algorithm(context, hidden)
        np.copyto(context, prediction, where=hidden[:, :, None])
        if sigma is not None:
            return np.square(sigma)
        return self._backend.hidden_variance(context, hidden, self._model)

    def cross_reconstruct(
        self,
        image: object,
        folds: int = 4,
        patch_size: int = 16,
        *,
        data_range: tuple[float, float] | None = None,
        progress: bool | ProgressCallback | None = None,
    ) -> CrossReconstruction:
        """Predict every pixel from the rest of the image, and say where that went wrong.

        Every patch is hidden exactly once, together with others that are spread over the image, and
        predicted from all that is visible then. So nothing has a say in its own prediction, and
        what stands out from its surroundings shows in `surprise_map`.

        Parameters
        ----------
        image : array_like
            As in `reconstruct`; all of it is known.
        folds : int, default 4
            In how many rounds; each hides about the share 1 / `folds` of the patches.
        patch_size : int, default 16
            Side of the patches, in pixels.
        data_range : tuple of float, optional
        progress : None, True or callable

        Returns
        -------
        CrossReconstruction

        Raises
        ------
        InvalidImageError, InvalidOptionError
        """
        started = time.perf_counter()
        rounds = check_integer(folds, "folds", 2)
        side = check_integer(patch_size, "patch_size", 1)
        with as_callback(progress, "Cross-reconstructing") as callback:
            prepared, _ = prepare_image(image, data_range=data_range, complete=True)
            truth = prepared.pixels
            everything = np.ones(truth.shape[:2], dtype=bool)
            grid = PatchGrid(truth.shape[0], truth.shape[1], side)
            if grid.count < rounds:
                raise InvalidOptionError(
                    f"folds: got {rounds} for {grid.count} patches of {side} pixels in an image of "
                    f"{grid.height} x {grid.width}; expected at most as many folds as patches, "
                    "so choose fewer folds or a smaller patch_size."
                )
            fold = assign_folds(grid, rounds, self.seed)
            predicted = predict_folds(
                self._predict, self._backend.hidden_distance, truth, grid, fold, callback
            )
        prediction, sigma = predicted.prediction, predicted.sigma
        # the baseline is the mean colour of the whole image: nothing of it stays hidden
        measured = self._backend.score(truth, prediction, ~everything, everything)
        patches = measure_patches(truth, predicted, grid, self._model)
        quality = quality_of(measured.mse)
        restored = prepared.restore(prediction, everything)
        return CrossReconstruction(
            reconstruction_quality=quality,
            understanding_level=understanding_level(quality),
            ssim=measured.ssim,
            psnr_db=psnr_db(measured.mse),
            mae=measured.mae * prepared.units,
            skill=skill_of(measured),
            average_confidence=float(patches.confidence.mean(dtype=np.float64)),
            reconstruction=restored,
            uncertainty_map=prepared.in_units(sigma),
            confidence_map=confidence_of(sigma, everything, self._law),
            error_map=error_map(truth, prediction, prepared.units),
            surprise_map=surprise(truth, prediction, sigma),
            patch_quality=patches.quality,
            patch_confidence=patches.confidence,
            patch_surprise=patches.surprise,
            patch_fold=fold.reshape(grid.rows, grid.cols).astype(np.int32),
            patch_size=side,
            folds=rounds,
            data_range=(prepared.low, prepared.high),
            algorithm=self.algorithm,
            backend=self.backend,
            device=self.device,
            seconds=time.perf_counter() - started,
            _law=self._law,
            _remainder=remainder_of(prepared, prediction, restored),
        )

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
            for name in check_several(strategies, "strategies", "['checkerboard']")
        ]
        shares = [
            check_fraction(value, "difficulties", ends=False)
            for value in check_several(difficulties, "difficulties", "[0.5]")
        ]
        side = check_integer(patch_size, "patch_size", 1)
        with as_callback(progress, "Testing understanding") as callback:
            prepared, _ = prepare_image(image, data_range=data_range, complete=True)
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
        confidence = confidence_of(sigma, hidden, self._law)[hidden]
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


def _asked(mask: object, hidden: Mask) -> Mask:
    """Return what is hidden because it was asked for."""
    return np.zeros_like(hidden) if mask is None else check_mask(mask, hidden.shape)
