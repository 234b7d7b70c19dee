"""The estimator of fine noise, in PyTorch: blocks as block_features, weighed by a small network.

Every 8 x 8 block of the picture testifies: the energies of its cosine coefficients in seven
bands. A small network looks at one block at a time and says for each of several *heads* how much
weight the block deserves; the weighted mean energies, on the scale of a first rough estimate, are
all that a second small network sees. The same arithmetic, without PyTorch, is in
`helicopter/backends/reference/analysis/noise/` and, faster, in `helicopter-rs/src/analysis/noise/`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 8
STRIDE = 4
HEADS = 8
HIDDEN = 20
#: Intensity bins of the level function.
BINS = 8
#: More blocks than this are as good as this many.
MANY = 16384
#: Downscaled copies of the picture that are looked at beside it.
LEVELS = 3
FINE = 6


def cosines() -> Tensor:
    """The orthonormal cosine transform of 8 x 8 blocks as a (64, 64) matrix."""
    n = torch.arange(BLOCK, dtype=torch.float64)
    one = torch.cos(math.pi * (2 * n[None, :] + 1) * n[:, None] / 16) / 2
    one[0] /= math.sqrt(2)
    return torch.einsum("ui,vj->uvij", one, one).reshape(64, 64).float()


def band_of(u: int, v: int) -> int:
    """Band of the coefficient (u, v), rows first: K1 K2 A B C H V."""
    s = u + v
    if s == 1 or (u, v) == (1, 1):
        return 0
    if s <= 3:
        return 1
    if u <= 1 and v >= 4:
        return 5
    if v <= 1 and u >= 4:
        return 6
    return 2 if s <= 6 else 3 if s <= 9 else 4


def band_means() -> Tensor:
    """(64, 7): turns squared coefficients into the mean energy of each band."""
    out = torch.zeros(64, 7)
    for u in range(8):
        for v in range(8):
            if u + v:
                out[8 * u + v, band_of(u, v)] = 1
    return out / out.sum(0)


def quads() -> Tensor:
    """(16, 64): diagonal differences of the 16 squares of 2 x 2 pixels in a block."""
    out = torch.zeros(16, 8, 8)
    for k in range(16):
        y, x = 2 * (k // 4), 2 * (k % 4)
        out[k, y, x] = out[k, y + 1, x + 1] = 0.5
        out[k, y, x + 1] = out[k, y + 1, x] = -0.5
    return out.reshape(16, 64)


class Blocks(NamedTuple):
    """What is measured of the blocks of a batch; N blocks each."""

    energy: Tensor  # (B, N, P, 7)
    fine: Tensor  # (B, N, P): mean of the bands B and C
    cross: Tensor  # (B, N, 3): products of planes, zero for grey
    mean: Tensor  # (B, N, C)
    clipped: Tensor  # (B, N)
    square: Tensor  # (B, N): mean squared diagonal difference
    fourth: Tensor
    valid: Tensor  # (B, N) bool


class Features(NamedTuple):
    """What lies between the two networks."""

    values: Tensor  # (B, inputs)
    base: Tensor  # (B,): rough variance
    unit: Tensor  # (B,): what the levels were multiplied by
    share: Tensor  # (B, N, HEADS): weights of the blocks, adding up to one
    blocks: Blocks


OPPONENT = (
    torch.tensor([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=torch.float32)
    / torch.tensor([[3.0], [2.0], [6.0]]).sqrt()
)


class Estimator(nn.Module):
    """Both networks, and what lies between them; for grey or colour."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        planes = channels
        inputs = 7 * planes + 3
        self.block1 = nn.Linear(inputs, HIDDEN)
        self.block2 = nn.Linear(HIDDEN, HIDDEN)
        self.block3 = nn.Linear(HIDDEN, HEADS)
        nn.init.constant_(self.block3.bias, 1.0)
        pooled = HEADS * (6 * planes + (3 if channels == 3 else 0) + 5)
        coarse = (LEVELS - 1) * (2 * 6 * planes + 2)
        binned = BINS * 5
        self.globals = 6
        self.inputs = pooled + coarse + binned + self.globals
        # measured once, before training: batches of one shape must not be normalised by themselves
        self.register_buffer("centre", torch.zeros(self.inputs))
        self.register_buffer("spread", torch.ones(self.inputs))
        self.head1 = nn.Linear(self.inputs, 64)
        self.head2 = nn.Linear(64, 64)
        # median and its two sides, kinds, gain, speckle, coloured, four scales, channels
        self.outputs = 3 + FINE + 2 + 1 + 4 + (3 if channels == 3 else 0)
        self.head3 = nn.Linear(64, self.outputs)
        self.direct = nn.Linear(self.inputs, self.outputs, bias=False)
        nn.init.zeros_(self.direct.weight)
        self.map_shrink = nn.Parameter(torch.tensor([-2.0, -2.0]))
        self.register_buffer("dct", cosines())
        self.register_buffer("bands", band_means())
        self.register_buffer("haar", quads())

    def blocks(self, x: Tensor, low: Tensor, high: Tensor) -> Blocks:
        b, c = x.shape[:2]
        cut = x.unfold(2, BLOCK, STRIDE).unfold(3, BLOCK, STRIDE)
        cut = cut.reshape(b, c, -1, 64).transpose(1, 2)  # (B, N, C, 64)
        ends = (cut <= low.view(-1, 1, 1, 1)) | (cut >= high.view(-1, 1, 1, 1))
        clipped = ends.float().mean((2, 3))
        valid = (cut.amax(3) > cut.amin(3)).any(2)
        mean = cut.mean(3)
        centred = cut - mean.unsqueeze(3)
        if c == 3:
            centred = torch.einsum("pc,bnck->bnpk", OPPONENT.to(x), centred)
        coefficients = centred @ self.dct.T
        squares = coefficients**2
        energy = squares @ self.bands
        fine = (energy[..., 3] + energy[..., 4]) / 2
        cross = torch.zeros(b, cut.shape[1], 3, device=x.device)
        if c == 3:
            hf = (self.bands[:, 3] + self.bands[:, 4]) / 2
            cross = torch.stack(
                [
                    (coefficients[:, :, i] * coefficients[:, :, j]) @ hf
                    for i, j in ((0, 1), (0, 2), (1, 2))
                ],
                -1,
            )
        diagonal = (centred if c == 1 else centred[:, :, 1:]) @ self.haar.T
        square = (diagonal**2).mean((2, 3))
        fourth = (diagonal**4).mean((2, 3))
        return Blocks(energy, fine, cross, mean, clipped, square, fourth, valid)

    def base(self, blocks: Blocks, quantum: Tensor) -> Tensor:
        """Rough variance (B,): the lowest tenth of the noise energies, clipped blocks left out."""
        calm = blocks.fine[..., 0] if self.channels == 1 else blocks.fine[..., 1:].mean(-1)
        good = blocks.valid & (blocks.clipped <= 0.5)
        good = torch.where(good.any(1, keepdim=True), good, blocks.valid)
        n = good.sum(1)
        ordered = torch.where(good, calm, torch.inf).sort(1).values
        at = ((n - 1).clamp(min=0) // 10).unsqueeze(1)
        value = ordered.gather(1, at)[:, 0]
        value = torch.where(n > 0, value, torch.zeros_like(value))
        if self.channels == 3:  # near-grey pictures: the luminance has a say
            luma = (
                torch.where(good, blocks.fine[..., 0], torch.inf).sort(1).values.gather(1, at)[:, 0]
            )
            value = torch.maximum(value, 0.01 * torch.where(n > 0, luma, torch.zeros_like(luma)))
        return value + (0.05 * quantum).clamp(min=0.01) ** 2

    def weigh(self, blocks: Blocks, base: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Weights (B, N, HEADS)."""
        e = blocks.energy / base.view(-1, 1, 1, 1)
        e = torch.log(torch.cat([e[..., :5], _ordered(e)], -1) + 1e-3).flatten(2)
        sigma = base.sqrt().view(-1, 1)
        distance = torch.minimum(
            blocks.mean.amin(2) - low.view(-1, 1), high.view(-1, 1) - blocks.mean.amax(2)
        )
        distance = (distance / sigma).clamp(0, 6) / 6
        x = torch.cat(
            [e, torch.stack([distance, blocks.clipped, blocks.mean.mean(2) / 255], -1)], -1
        )
        x = F.relu(self.block1(x))
        x = F.relu(self.block2(x))
        return (F.relu(self.block3(x)) ** 2 + 1e-6) * blocks.valid.unsqueeze(2)

    def features(self, x: Tensor, quantum: Tensor) -> Features:
        """All that the last network sees, and what its answers are relative to."""
        b, c = x.shape[:2]
        white = x.amax((1, 2, 3)).clamp(min=1e-3)
        unit = 255 / white
        x = x * unit.view(-1, 1, 1, 1)
        quantum = quantum * unit
        low, high = x.amin((1, 2, 3)), x.amax((1, 2, 3))
        blocks = self.blocks(x, low, high)
        base = self.base(blocks, quantum)
        weights = self.weigh(blocks, base, low, high)
        total = weights.sum(1) + 1e-9  # (B, HEADS)
        share = weights / total.unsqueeze(1)
        pooled = [_pool(share, blocks, base, self.channels)]
        extra = [
            torch.log((share**2).sum(1).clamp(min=1 / MANY)) / 10,
            torch.einsum("bnh,bn->bh", share, blocks.mean.mean(2)) / 255,
            torch.einsum("bnh,bn->bh", share, blocks.clipped),
            torch.log(total / blocks.valid.sum(1, keepdim=True).clamp(min=1) + 1e-6),
            _kurtosis(share, blocks),
        ]
        pooled += extra
        # the level function of the first two heads
        position = (blocks.mean.mean(2) / 255 * BINS - 0.5).clamp(0, BINS - 1)
        bins = torch.arange(BINS, device=x.device)
        soft = (1 - (position.unsqueeze(2) - bins).abs()).clamp(min=0)  # (B, N, BINS)
        fine = blocks.fine.mean(2) if c == 1 else blocks.fine[..., 1:].mean(2)
        inside = []
        for head in range(2):
            mass = soft * share[:, :, head : head + 1]
            part = mass.sum(1)
            level = torch.einsum("bnk,bn->bk", mass, fine) / base.unsqueeze(1)
            overall = torch.einsum("bn,bn->b", share[:, :, head], fine) / base
            inside += [
                torch.log((level + 1e-3 * overall.unsqueeze(1)) / (part + 1e-3) + 1e-4),
                part,
            ]
        mass = soft * share[:, :, :1]
        square = torch.einsum("bnk,bn->bk", mass, blocks.square)
        fourth = torch.einsum("bnk,bn->bk", mass, blocks.fourth)
        part = mass.sum(1)
        kurtosis = (fourth * part + 1e-6 * base.unsqueeze(1) ** 2 * 3) / (
            square**2 + 1e-6 * base.unsqueeze(1) ** 2
        )
        inside.append(_beyond_normal(kurtosis))
        coarse = []
        smaller, q = x, quantum
        for _ in range(LEVELS - 1):
            smaller, q = (
                F.avg_pool2d(smaller, 2) if min(smaller.shape[2:]) >= 2 * BLOCK else None,
                q / 2,
            )
            if smaller is None:
                coarse.append(torch.zeros(b, 2 * 6 * c + 2, device=x.device))
                smaller = x[:, :, :BLOCK, :BLOCK]
                continue
            sub = self.blocks(smaller, low, high)
            sub_base = self.base(sub, q)
            sub_weights = self.weigh(sub, sub_base, low, high)[:, :, :2]
            sub_share = sub_weights / (sub_weights.sum(1, keepdim=True) + 1e-9)
            bands = _pool(sub_share, sub, base, c, cross=False)
            ratio = torch.log(sub_base / base)
            coarse += [bands, ratio.unsqueeze(1), torch.ones_like(ratio).unsqueeze(1)]
        n = blocks.valid.shape[1]
        valid = blocks.valid.sum(1)
        other = torch.stack(
            [
                torch.log(base) / 2,
                torch.log(base / (quantum**2 + 1e-3)).clamp(max=12) / 2,
                torch.log(valid.clamp(max=MANY) + 1.0) / 10,
                1 - valid / n,
                blocks.clipped.mean(1),
                low / 255,
            ],
            1,
        )
        values = torch.cat([t.flatten(1) for t in [*pooled, *inside, *coarse, other]], 1)
        return Features(values, base, unit, share, blocks)

    def forward(self, x: Tensor, quantum: Tensor) -> dict[str, Tensor]:
        seen = self.features(x, quantum)
        normal = ((seen.values - self.centre) / self.spread).clamp(-6, 6)
        y = F.relu(self.head1(normal))
        y = F.relu(self.head2(y))
        y = self.head3(y) + self.direct(normal)
        return self._answers(
            y, seen.base, seen.unit, seen.share, seen.blocks, (x.shape[2], x.shape[3])
        )

    def _answers(
        self,
        y: Tensor,
        base: Tensor,
        unit: Tensor,
        share: Tensor,
        blocks: Blocks,
        size: tuple[int, int],
    ) -> dict[str, Tensor]:
        sigma0 = base.sqrt() / unit
        middle = y[:, 0].clamp(-6, 4)
        below, above = F.softplus(y[:, 1] - 2), F.softplus(y[:, 2] - 2)

        def level(t: Tensor) -> Tensor:
            return sigma0 * (torch.exp(t) - 0.1)

        k = 3 + FINE
        answers = {
            "sigma": level(middle),
            "low": level(middle - below),
            "high": level(middle + above),
            "kind": y[:, 3:k],
            "log_gain": y[:, k] + torch.log(sigma0**2 / 100),
            "log_speckle": y[:, k + 1] + torch.log(sigma0 / 100),
            "coloured": y[:, k + 2],
            "log_scales": y[:, k + 3 : k + 7] + torch.log(sigma0).unsqueeze(1),
        }
        if self.channels == 3:
            answers["log_channels"] = y[:, k + 7 : k + 10] + torch.log(sigma0).unsqueeze(1)
        answers["log_map"] = self._map(share[:, :, 0], blocks, size) - 2 * torch.log(unit).view(
            -1, 1, 1, 1
        )
        return answers

    def _map(self, share: Tensor, blocks: Blocks, size: tuple[int, int]) -> Tensor:
        """Log variance (B, 1, rows, columns) of the block lattice, up to a common factor."""
        rows, columns = ((n - BLOCK) // STRIDE + 1 for n in size)
        weight = (share * share.shape[1]).view(-1, 1, rows, columns)
        fine = (blocks.fine.mean(2) if self.channels == 1 else blocks.fine[..., 1:].mean(2)).view(
            -1, 1, rows, columns
        )
        value = weight * fine
        estimate = value.mean((2, 3), keepdim=True) / (weight.mean((2, 3), keepdim=True) + 1e-6)
        for reach, shrink in zip((16, 4), self.map_shrink, strict=True):
            mass, sum_ = _box(weight, reach), _box(value, reach)
            few = F.softplus(shrink)
            estimate = (sum_ + few * estimate) / (mass + few)
        return torch.log(estimate + 1e-6)


def _box(x: Tensor, reach: int) -> Tensor:
    """Mean over a square of 2 reach + 1, twice (a pyramid); what lies outside counts as nothing."""
    for _ in range(2):
        r = min(reach, x.shape[2] - 1, x.shape[3] - 1)
        x = F.avg_pool2d(x, 2 * r + 1, stride=1, padding=r) if r > 0 else x
    return x


def _ordered(e: Tensor) -> Tensor:
    """The two axial bands, the larger first: which is which depends on how the picture lies."""
    return torch.stack(
        [torch.maximum(e[..., 5], e[..., 6]), torch.minimum(e[..., 5], e[..., 6])], -1
    )


def _pool(
    share: Tensor, blocks: Blocks, base: Tensor, channels: int, *, cross: bool = True
) -> Tensor:
    """Log of weighted mean energies over the base; products of planes as they are."""
    bands = torch.cat([blocks.energy[..., 1:5], _ordered(blocks.energy)], -1)  # (B, N, P, 6)
    mean = torch.einsum("bnh,bnpk->bhpk", share, bands) / base.view(-1, 1, 1, 1)
    out = torch.log(mean + 1e-4).flatten(1)
    if channels == 3 and cross:
        products = torch.einsum("bnh,bnk->bhk", share, blocks.cross) / base.view(-1, 1, 1)
        out = torch.cat([out, (products / (1 + products.abs())).flatten(1)], 1)
    return out


def _kurtosis(share: Tensor, blocks: Blocks) -> Tensor:
    square = torch.einsum("bnh,bn->bh", share, blocks.square)
    fourth = torch.einsum("bnh,bn->bh", share, blocks.fourth)
    return _beyond_normal(fourth / (square**2 + 1e-9))


def _beyond_normal(kurtosis: Tensor) -> Tensor:
    """How far from that of normal noise, squashed: small differences there are what matters."""
    excess = kurtosis - 3
    return excess / (excess.abs() + 0.25)
