"""Fitting what a trained network says about its errors, of pixels and of patches, to its errors.

The network states a log scale for every pixel. Photographs that did not train it show what standard
deviation, what quantiles and what chance of being right go with each value of it: everything is a
function of the stated scale, fitted in bins (as in isotonic regression; Kuleshov, Fenner, Ermon,
"Accurate uncertainties for deep learning using calibrated regression", ICML 2018).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from helicopter._shared.quality import RIGHT
from helicopter.backends.reference.reconstruction.uncertainty import hidden_distance

from ._crops import solve_harmonic
from ._masks import random_mask
from ._patch_law import PatchLaw, fit_patch_law

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from ._network import Network


__all__ = ["Calibration", "calibrate", "predict"]


#: Central intervals whose half widths are fitted.
LEVELS = (0.1, 0.25, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.99)
#: Values of the stated log scale at which everything is fitted.
KNOTS = 24
#: Errors below this count as this when their logarithm is taken: a twentieth of a grey level.
LEAST_ERROR = 2e-4
#: Side of the squares that are calibrated on.
SIDE = 512


@dataclass(frozen=True)
class Calibration:
    """Tables over the stated log scale; see `helicopter.models._network.NetworkWeights`.

    Attributes
    ----------
    log_scale, log_sigma, confidence : float32 ndarray of shape (K,)
        Stated log scale, log of the standard deviation that goes with it, and the probability that
        a value with it is off by at most 0.05; the first two increase.
    levels : float32 ndarray of shape (L,)
    log_reach : float32 ndarray of shape (K, L)
        Log of half the width of the central interval of each level, in standard deviations.
    patches : PatchLaw
    """

    log_scale: NDArray[np.float32]
    log_sigma: NDArray[np.float32]
    confidence: NDArray[np.float32]
    levels: NDArray[np.float32]
    log_reach: NDArray[np.float32]
    patches: PatchLaw

    def tensors(self) -> dict[str, NDArray[np.float32] | NDArray[np.float64]]:
        """Return what goes into a weights file."""
        return {
            "calibration.log_scale": self.log_scale,
            "calibration.log_sigma": self.log_sigma,
            "calibration.confidence": self.confidence,
            "calibration.levels": self.levels,
            "calibration.log_reach": self.log_reach,
            "calibration.patches": np.array(self.patches, dtype=np.float64),
        }


@torch.inference_mode()
def predict(
    network: Network, image: NDArray[np.float32], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the prediction (H, W, 3) and the stated log scale (H, W) for an image with holes.

    An image whose three channels are equal is predicted as the grey image that it stands for.
    """
    height, width = mask.shape
    filled = np.where(mask[:, :, None], np.float32(0), image)
    solve_harmonic(filled, mask)
    step = 2 ** len(network.architecture.widths)
    pad = ((0, -height % step), (0, -width % step))

    def plane(values: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(np.pad(values, (*pad, (0, 0)))).permute(2, 0, 1)[None]

    inside = plane(np.ones((height, width, 1), dtype=np.float32))
    hidden = plane(mask[:, :, None].astype(np.float32))
    given = network.given(plane(filled), hidden, inside)
    correction, log_scale = network(given.planes)
    correction, log_scale = correction * given.unit, log_scale + given.unit.log()
    change = correction[0].permute(1, 2, 0).numpy()[:height, :width]
    if (image == image[:, :, :1]).all():
        change = change.mean(axis=2, keepdims=True)
    filled = np.where(mask[:, :, None], np.clip(filled + change, 0, 1), image)
    return filled, log_scale[0, 0].numpy()[:height, :width].copy()


def calibrate(
    network: Network,
    photographs: Sequence[NDArray[np.float32]],
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Fit the calibration of a network on photographs that did not train it.

    Parameters
    ----------
    network : Network
        On the CPU, with the weights as they are shipped (`half_precision`).
    photographs : sequence of float32 ndarray of shape (H, W, 3)
        In [0, 1].
    seed : int
        Of the masks.
    progress : callable, optional
        Called with (done, total).
    """
    network.eval()
    cases = list(_cases(photographs, seed))
    stated: list[NDArray[np.float32]] = []
    errors: list[NDArray[np.float32]] = []
    weights: list[NDArray[np.float64]] = []
    patches: dict[int, list[_Patch]] = {}
    for done, (number, image, mask, side) in enumerate(cases):
        prediction, log_scale = predict(network, image, mask)
        error = np.abs(prediction - image)[mask]
        stated.append(log_scale[mask])
        errors.append(error)
        # every mask counts alike, however much it hides
        weights.append(np.full(len(error), 1.0 / len(error)))
        if side:
            patches.setdefault(number, []).extend(
                _patches(np.abs(prediction - image).mean(2), log_scale, mask, side)
            )
        if progress is not None:
            progress(done + 1, len(cases))
    return _fit(
        np.concatenate(stated),
        np.concatenate(errors),
        np.concatenate(weights),
        patches,
    )


def _cases(
    photographs: Sequence[NDArray[np.float32]], seed: int
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.bool_], int]]:
    """Photograph number, its middle, a mask, and the side of the patches that were hidden or 0."""
    for number, photograph in enumerate(photographs):
        side = min(SIDE, *photograph.shape[:2])
        y, x = ((length - side) // 2 for length in photograph.shape[:2])
        image = np.ascontiguousarray(photograph[y : y + side, x : x + side])
        rng = np.random.default_rng([seed, number])
        for cell, share in ((16, 0.25), (32, 0.25), (32, 0.8), (1, 0.5), (1, 0.8)):
            yield number, image, _cells(rng, side, cell, share), cell if cell > 1 else 0
        hole = np.zeros((side, side), dtype=bool)
        hole[3 * side // 8 : 5 * side // 8, 3 * side // 8 : 5 * side // 8] = True
        yield number, image, hole, 0
        yield number, image, random_mask(rng, side, {"scribbles": 1.0}), 0


def _cells(rng: np.random.Generator, side: int, cell: int, share: float) -> NDArray[np.bool_]:
    count = -(-side // cell)
    hidden = rng.permutation(count * count) < round(share * count * count)
    cells = hidden.reshape(count, count)
    return cells.repeat(cell, axis=0).repeat(cell, axis=1)[:side, :side]


class _Patch(NamedTuple):
    """A patch that was hidden."""

    mae: float
    #: log scales of its pixels
    stated: NDArray[np.float32]
    #: mean distance from what was visible
    distance: float
    #: every mask counts alike, however many patches it hides
    weight: float


def _patches(
    error: NDArray[np.float32], log_scale: NDArray[np.float32], mask: NDArray[np.bool_], side: int
) -> list[_Patch]:
    distance = hidden_distance(mask)
    corners = [(y, x) for y in range(0, mask.shape[0], side) for x in range(0, mask.shape[1], side)]
    boxes = [(slice(y, y + side), slice(x, x + side)) for y, x in corners]
    hidden = [box for box in boxes if mask[box].all()]
    return [
        _Patch(
            mae=float(error[box].mean()),
            stated=log_scale[box].copy(),
            distance=float(distance[box].mean()),
            weight=1 / len(hidden),
        )
        for box in hidden
    ]


def _fit(
    scale: NDArray[np.float32],
    error: NDArray[np.float32],
    weight: NDArray[np.float64],
    patches: dict[int, list[_Patch]],
) -> Calibration:
    order = np.argsort(scale, kind="stable")
    scale, error, weight = scale[order], error[order], weight[order]
    share = np.cumsum(weight) / weight.sum()
    cuts = np.searchsorted(share, np.arange(1, KNOTS) / KNOTS)
    knots = []
    for part in zip(*(np.split(values, cuts) for values in (scale, error, weight)), strict=True):
        if len(part[0]):
            knots.append(_knot(*part))
    table = np.array(knots)
    # a network that has learnt little states the same of many pixels; knots must increase
    table = table[np.concatenate([[True], np.diff(table[:, 0].astype(np.float32)) > 0])]
    log_scale, confidence = table[:, 0], np.minimum.accumulate(table[:, 2])
    log_sigma = np.maximum.accumulate(table[:, 1])
    return Calibration(
        log_scale=log_scale.astype(np.float32),
        log_sigma=log_sigma.astype(np.float32),
        confidence=confidence.astype(np.float32),
        levels=np.array(LEVELS, dtype=np.float32),
        log_reach=np.maximum.accumulate(table[:, 3:], axis=1).astype(np.float32),
        patches=_fit_patches(log_scale, log_sigma, patches),
    )


def _knot(
    scale: NDArray[np.float32], error: NDArray[np.float32], weight: NDArray[np.float64]
) -> list[float]:
    """Mean log scale, log sigma, confidence, and log reaches of values with a like stated scale."""
    weight = weight / weight.sum()
    size, shares = error.ravel(), np.repeat(weight / error.shape[1], error.shape[1])
    sigma = max(math.sqrt(float((np.square(size) * shares).sum())), LEAST_ERROR)
    order = np.argsort(size)
    below = np.cumsum(shares[order])
    places = np.minimum(np.searchsorted(below, LEVELS), len(size) - 1)
    reach = np.log(np.maximum(size[order][places], LEAST_ERROR) / sigma)
    right = float(shares[size <= RIGHT].sum())
    return [float((scale * weight).sum()), math.log(sigma), right, *reach.tolist()]


def _fit_patches(
    log_scale: NDArray[np.float64],
    log_sigma: NDArray[np.float64],
    patches: dict[int, list[_Patch]],
) -> PatchLaw:
    found = [patch for of_photograph in patches.values() for patch in of_photograph]
    variance = [np.exp(2 * np.interp(p.stated, log_scale, log_sigma)).mean() for p in found]
    return fit_patch_law(
        variance=np.array(variance),
        distance=np.array([patch.distance for patch in found]),
        mae=np.array([patch.mae for patch in found]),
        photograph=np.repeat(list(patches), [len(of) for of in patches.values()]),
        weight=np.array([patch.weight for patch in found]),
    )
