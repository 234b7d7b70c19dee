"""Batches of photographs with holes, each a function of the seed and the step alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from helicopter.backends.loader import accelerator
from helicopter.backends.reference.algorithms import pde

from ._masks import LEARNABLE, WIDE, random_mask
from ._synthesis import add_noise, synthetic_crop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Batch", "Crops", "solve_harmonic"]

#: (side, crops) of the batches and how often each comes: about equal work.
SHAPES = ((96, 16), (144, 7), (192, 4))
#: While the learnable masks are learnt, and later: large holes need large crops.
FIRST_WEIGHTS, SHAPE_WEIGHTS = (0.8, 0.2, 0.0), (0.5, 0.3, 0.2)
#: Crops whose standard deviation is less teach next to nothing.
FLAT = 0.03
#: Attempts to find a crop that is not flat.
ATTEMPTS = 8
#: What is regular shows best between single pixels.
SYNTHETIC = WIDE | {"pixels": 12.0}


@dataclass(frozen=True)
class Batch:
    """float32 arrays: truth and harmonic (N, H, W, 3), hidden and inside (N, H, W), 0 or 1."""

    truth: NDArray[np.float32]
    harmonic: NDArray[np.float32]
    hidden: NDArray[np.float32]
    inside: NDArray[np.float32]


def solve_harmonic(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
    """Fill the hidden pixels of (H, W, C) in place; by the accelerator where it can be used.

    The backends agree to their tier (`helicopter.testing.tiers`), not to the bit.
    """
    mask = np.ascontiguousarray(mask)
    rust = accelerator()
    if rust is None:
        pde.solve(image, mask, "harmonic")
    else:
        rust.solve_pde(image, mask, "harmonic", threads=1)


class Crops:
    """Photographs in memory, and half their size too, from which batches are cut.

    Parameters
    ----------
    photographs : sequence of uint8 ndarray of shape (H, W, 3)
        At least one must be 96 x 96 or larger.
    seed : int
    learnable_steps : int
        Steps before masks of all families come; 0 for a network that has learnt the first.
    synthetic_share, noisy_share : float
        Of the crops, how many are synthetic, and to how many noise is added: visible and hidden
        pixels then have it.
    """

    def __init__(
        self,
        photographs: Sequence[NDArray[np.uint8]],
        seed: int,
        learnable_steps: int = 0,
        synthetic_share: float = 0.0,
        noisy_share: float = 0.0,
    ) -> None:
        self.seed = seed
        self.synthetic_share, self.noisy_share = synthetic_share, noisy_share
        self.learnable_steps = learnable_steps
        self.pictures: list[NDArray[np.uint8]] = []
        for picture in photographs:
            self.pictures.append(picture)
            if min(picture.shape[:2]) >= 4 * SHAPES[0][0]:
                self.pictures.append(_half(picture))
        areas = np.array([picture.shape[0] * picture.shape[1] for picture in self.pictures])
        sides = np.array([min(picture.shape[:2]) for picture in self.pictures])
        #: how likely each picture is where crops of that side are cut
        self.weights = {side: np.sqrt(areas) * (sides >= side) for side, _ in SHAPES}
        self.fitting = np.array([self.weights[side].any() for side, _ in SHAPES])
        if not self.fitting[0]:
            raise ValueError(f"no photograph has {SHAPES[0][0]} pixels on each side")

    def batch(self, step: int) -> Batch:
        """Cut the batch of a step."""
        rng = np.random.default_rng([self.seed, step])
        first = step < self.learnable_steps
        weights = np.array(FIRST_WEIGHTS if first else SHAPE_WEIGHTS) * self.fitting
        side, count = SHAPES[int(rng.choice(len(SHAPES), p=weights / weights.sum()))]
        families = LEARNABLE if first else WIDE
        # nothing is drawn where a share is 0
        synthetic = np.zeros(count, dtype=bool)
        if self.synthetic_share:
            synthetic = rng.random(count) < self.synthetic_share
        truth = np.stack([self._truth(rng, side, bool(made)) for made in synthetic])
        masks = np.stack(
            [random_mask(rng, side, SYNTHETIC if made else families) for made in synthetic]
        )
        inside = np.ones(masks.shape, dtype=np.float32)
        harmonic = np.where(masks[..., None], np.float32(0), truth)
        for number in range(count):
            # sizes that are no multiple of the coarsest pixel are filled up with nothing
            height, width = side - rng.integers(0, 16, 2) * (rng.random(2) < 0.15)
            inside[number, height:] = 0
            inside[number, :, width:] = 0
            part = np.ascontiguousarray(harmonic[number, :height, :width])
            mask = np.ascontiguousarray(masks[number, :height, :width])
            if mask.all():
                mask[0, 0] = masks[number, 0, 0] = False
                part[0, 0] = truth[number, 0, 0]
            solve_harmonic(part, mask)
            harmonic[number, :height, :width] = part
        return Batch(truth, harmonic, masks * inside, inside)

    def _truth(self, rng: np.random.Generator, side: int, synthetic: bool) -> NDArray[np.float32]:
        crop = synthetic_crop(rng, side) if synthetic else self._crop(rng, side)
        if self.noisy_share and rng.random() < self.noisy_share:
            crop = add_noise(rng, crop)
        return crop

    def _crop(self, rng: np.random.Generator, side: int) -> NDArray[np.float32]:
        weights = self.weights[side] / self.weights[side].sum()
        for _ in range(ATTEMPTS):
            picture = self.pictures[int(rng.choice(len(self.pictures), p=weights))]
            height, width, _ = picture.shape
            y, x = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
            crop = picture[y : y + side, x : x + side].astype(np.float32) / np.float32(255)
            if crop.std() >= FLAT:
                break
        return _vary(rng, crop)


def _vary(rng: np.random.Generator, crop: NDArray[np.float32]) -> NDArray[np.float32]:
    """Flip, turn, recolour, and now and then make grey."""
    crop = np.rot90(crop, int(rng.integers(4)))
    if rng.random() < 0.5:
        crop = crop[::-1]
    crop = crop[:, :, rng.permutation(3)]
    if rng.random() < 0.15:
        grey = crop @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        crop = np.repeat(grey[:, :, None], 3, axis=2)
    if rng.random() < 0.3:
        crop = np.power(crop, np.float32(np.exp(rng.uniform(-0.5, 0.5))))
    if rng.random() < 0.3:
        gain = rng.uniform(0.5, 1.0)
        crop = crop * np.float32(gain) + np.float32(rng.uniform(0, 1 - gain))
    if rng.random() < 0.1:
        crop = np.float32(1) - crop
    return np.ascontiguousarray(crop, dtype=np.float32)


def _half(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = (length // 2 * 2 for length in picture.shape[:2])
    even = picture[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
    half: NDArray[np.uint8] = (even.mean(axis=(1, 3)) + 0.5).astype(np.uint8)
    return half
