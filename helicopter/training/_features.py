"""What the second network is given: everything in units of the surroundings' own scale.

All of it is computed from the harmonic solution, which holds the visible pixels too, and from two
maps, `hidden` and `inside`, of 0 and 1. With a > 0 and any b, of a x + b the features are those of
x, and `Features.unit` is a times as large: so a network whose corrections are in that unit is
equivariant. Nothing here depends on how an image is cut into tiles, as long as it is computed for
the whole image first. Each function states its formula so that it can be written again elsewhere.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["CHANNELS", "Features", "features", "local_scale", "log_distance", "plate"]

#: Harmonic solution (3), hidden, inside the image, plate less membrane (3), distance.
CHANNELS = 9

#: Side of the cells whose means and deviations are taken; they begin at the image's corner.
CELL = 16
#: What is known of larger cells counts as so many visible pixels in a smaller one.
PRIOR = 512.0
#: No scale is less than this part of that of the whole image, nor than the least.
FLOOR, LEAST = 2.0**-9, 1e-20
#: Mean absolute deviations in one unit: about the range of a photograph.
UNIT = 12.0
#: Deviations beyond this many are hardly told apart.
REACH = 8.0

#: Steps from the membrane (harmonic) towards the plate (biharmonic).
STEPS = 24
#: Largest and smallest eigenvalue that the steps are made for.
LARGEST, SMALLEST = 64.0, 0.32

#: Distances end here.
FARTHEST = 64


class Features(NamedTuple):
    """Input (N, 9, H, W), and the unit of what the network says of each pixel (N, 1, H, W)."""

    planes: Tensor
    unit: Tensor


def features(harmonic: Tensor, hidden: Tensor, inside: Tensor) -> Features:
    """Return what the network is given for a solution (N, 3, H, W) and two maps (N, 1, H, W).

    H and W are multiples of 16; what is not inside lies below and right of what is. With d(v) =
    v / s bounded smoothly, v / s / sqrt(1 + (v / s / REACH)^2), and all of it 0 outside::

        planes 0-2   2 d(h - m) / UNIT     m, s: `local_scale`; h: the harmonic solution
        plane  3     hidden
        plane  4     inside
        planes 5-7   2 d(p - h) / UNIT     p: `plate`
        plane  8     log2(1 + distance) / 4, 0 where visible
        unit         UNIT s
    """
    mean, scale = local_scale(harmonic, hidden, inside)
    level = _bounded((harmonic - mean) / scale)
    bent = _bounded((plate(harmonic, hidden, inside) - harmonic) / scale)
    factor = 2 / UNIT
    planes = [level * factor * inside, hidden, inside, bent * factor * hidden]
    planes.append(log_distance(hidden, inside) / 4)
    return Features(torch.cat(planes, dim=1), UNIT * scale)


def _bounded(deviations: Tensor) -> Tensor:
    return deviations / torch.sqrt(1 + (deviations / REACH).square())


def local_scale(image: Tensor, hidden: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Return smooth maps of the visible pixels' mean (N, 3, H, W) and mean deviation (N, 1, H, W).

    Visible pixels are counted and added up in cells of 16 x 16, then in 2 x 2 cells of these, and
    so on until one cell holds the image (missing cells count as empty). From the largest cells to
    the smallest, the mean of a cell is::

        (sum + PRIOR * larger) / (count + PRIOR)

    with `larger` interpolated bilinearly between the centres of the larger cells, and of the
    largest cell sum / count. So is the map itself interpolated from the smallest cells; beyond the
    outermost centres their values go on. The deviation of a pixel is the mean over the channels of
    its absolute differences from the map of means; it goes the same way, is at least FLOOR times
    the mean deviation of the whole image, and at least LEAST.
    """
    visible = inside - hidden
    mean, _ = _smooth(image * visible, visible)
    deviation = (image - mean).abs().mean(1, keepdim=True)
    scale, whole = _smooth(deviation * visible, visible)
    return mean, torch.maximum(scale, FLOOR * whole).clamp_min(LEAST)


def _smooth(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The map of weighted means (N, C, H, W), and the mean over everything (N, C, 1, 1)."""
    area = CELL * CELL
    sums = [(F.avg_pool2d(values, CELL) * area, F.avg_pool2d(weight, CELL) * area)]
    while sums[-1][0].shape[-2:] != (1, 1):
        height, width = sums[-1][0].shape[-2:]
        even = (0, width % 2, 0, height % 2)
        total, count = (F.avg_pool2d(F.pad(each, even), 2) * 4 for each in sums[-1])
        sums.append((total, count))
    total, count = sums.pop()
    whole = mean = total / count.clamp_min(1)
    for total, count in reversed(sums):
        larger = _enlarged(mean, 2)[..., : total.shape[-2], : total.shape[-1]]
        mean = (total + PRIOR * larger) / (count + PRIOR)
    return _enlarged(mean, CELL), whole


def _enlarged(cells: Tensor, factor: int) -> Tensor:
    return F.interpolate(cells, scale_factor=factor, mode="bilinear", align_corners=False)


def plate(harmonic: Tensor, hidden: Tensor, inside: Tensor) -> Tensor:
    """Bend the harmonic solution towards the biharmonic one, by 24 steps of Chebyshev's iteration.

    With L u = the sum over the up to four neighbours inside the image of (neighbour - u), the
    residual is r = -L L u at hidden pixels and 0 elsewhere, and with c = (LARGEST + SMALLEST) / 2,
    e = (LARGEST - SMALLEST) / 2, q = e / c at first::

        d = r / c
        STEPS times:  u += d;  q' = 1 / (2 c / e - q);  d = q' q d + (2 q' / e) r(u);  q = q'

    Single pixels come out as of the exact solution; far inside wide holes the membrane stays.
    """
    number, channels, height, width = harmonic.shape
    u = (harmonic * inside).reshape(number * channels, height, width)
    inner, where = (each.expand(-1, channels, -1, -1).reshape(u.shape) for each in (inside, hidden))
    degree = _neighbours(inner)

    def residual() -> Tensor:
        bend = (_neighbours(u) - degree * u) * inner
        return (degree * bend - _neighbours(bend)) * where

    centre, extent = (LARGEST + SMALLEST) / 2, (LARGEST - SMALLEST) / 2
    ratio = extent / centre
    change = residual() / centre
    for _ in range(STEPS):
        u = u + change
        following = 1 / (2 * centre / extent - ratio)
        change = following * ratio * change + 2 * following / extent * residual()
        ratio = following
    return u.reshape(harmonic.shape)


def _neighbours(u: Tensor) -> Tensor:
    """The sum of the four neighbours; what is not inside is 0."""
    total = torch.zeros_like(u)
    total[:, 1:] += u[:, :-1]
    total[:, :-1] += u[:, 1:]
    total[:, :, 1:] += u[:, :, :-1]
    total[:, :, :-1] += u[:, :, 1:]
    return total


def log_distance(hidden: Tensor, inside: Tensor) -> Tensor:
    """Return log2(1 + distance) of hidden pixels to the nearest visible one, of at most 64."""
    far = float(2 * FARTHEST)
    visible = (inside - hidden) > 0
    height, width = hidden.shape[-2:]
    place = torch.arange(width, device=hidden.device, dtype=hidden.dtype).expand_as(hidden)
    before = torch.where(visible, place, place.new_tensor(-far)).cummax(-1).values
    behind = torch.where(visible, place, place.new_tensor(far + width))
    behind = behind.flip(-1).cummin(-1).values.flip(-1)
    along = torch.minimum(place - before, behind - place).clamp_max(far).square()
    nearest = along.clone()
    for step in range(1, min(FARTHEST, height)):
        offset = float(step * step)
        for here, there in (
            (nearest[..., step:, :], along[..., :-step, :]),
            (nearest[..., :-step, :], along[..., step:, :]),
        ):
            torch.minimum(here, there + offset, out=here)
    return torch.log2(1 + nearest.sqrt().clamp_max(FARTHEST)) * hidden
