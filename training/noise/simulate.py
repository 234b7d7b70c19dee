"""Noise of known kind and strength on clean photographs, in batches, in PyTorch.

Everything is in grey levels: 0 is black, 255 white. The kinds and their formulas are those of
`benchmarks/noise_models.py`; here they come in batches, also with rounding or without, in narrow
histograms, with black borders, varying over the image, and coloured.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

#: What the fine noise of a picture may be. `poisson_gaussian` counts as both.
FINE_KINDS = ("none", "gaussian", "poisson", "speckle", "uniform", "poisson_gaussian")
SCALES = (1, 2, 4, 8)


@dataclass
class Batch:
    """Noisy pictures and the truth about their noise.

    Attributes
    ----------
    pixels : (B, C, H, W)
    quantum : (B,)
        Step of the values, 1 where they were rounded, else 0.
    kind : (B,)
        Index into `FINE_KINDS`.
    sigma : (B,)
        Root mean square of the noise before clipping; `sigma_channels` by channel (B, C).
    has_sigma : (B,)
        Whether sigma is to be learnt from.
    gain, speckle : (B,)
        Parameters of signal-dependent noise, 0 where there is none.
    coloured : (B,)
    scale_sigma : (B, 4)
        Standard deviation of the noise averaged over squares of 1, 2, 4, 8 pixels.
    variance : (B, 1, H, W)
        Local variance of the noise before clipping, mean of the channels.
    """

    pixels: Tensor
    quantum: Tensor
    kind: Tensor
    sigma: Tensor
    sigma_channels: Tensor
    has_sigma: Tensor
    gain: Tensor
    speckle: Tensor
    coloured: Tensor
    scale_sigma: Tensor
    variance: Tensor


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Blur (B, C, H, W) by a Gaussian, reflecting at the border."""
    reach = max(1, int(3 * sigma + 0.5))
    t = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    k = torch.exp(-0.5 * (t / sigma) ** 2)
    k = k / k.sum()
    c = x.shape[1]
    x = F.pad(x, (reach, reach, reach, reach), mode="reflect")
    x = F.conv2d(x, k.view(1, 1, 1, -1).expand(c, 1, 1, -1), groups=c)
    return F.conv2d(x, k.view(1, 1, -1, 1).expand(c, 1, -1, 1), groups=c)


def demosaicked(noise: Tensor) -> Tensor:
    """White noise (B, 3, H, W) as it comes out of bilinear demosaicking of an RGGB mosaic."""
    _, _, h, w = noise.shape
    y = torch.arange(h, device=noise.device).view(-1, 1) % 2
    x = torch.arange(w, device=noise.device).view(1, -1) % 2
    mosaic = torch.stack([(y == 0) & (x == 0), (y != x), (y == 1) & (x == 1)]).to(noise)
    raw = (noise[:, :1] * mosaic).contiguous()
    rb = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]], device=noise.device) / 4
    g = torch.tensor([[0.0, 1, 0], [1, 4, 1], [0, 1, 0]], device=noise.device) / 4
    kernel = torch.stack([rb, g, rb]).unsqueeze(1)
    return F.conv2d(F.pad(raw, (1, 1, 1, 1), mode="reflect"), kernel, groups=3)


def _uniform(n: int, low: float, high: float, device: torch.device) -> Tensor:
    return low + (high - low) * torch.rand(n, device=device)


def _log_uniform(n: int, low: float, high: float, device: torch.device) -> Tensor:
    return torch.exp(
        _uniform(n, float(torch.tensor(low).log()), float(torch.tensor(high).log()), device)
    )


def vary_pictures(x: Tensor) -> Tensor:
    """Gamma, narrow histograms and over-exposure, each for some of the pictures."""
    b, device = x.shape[0], x.device
    shape = (-1, 1, 1, 1)
    gamma = torch.where(torch.rand(b, device=device) < 0.25, _log_uniform(b, 0.6, 1.6, device), 1.0)
    # exactly as it was where nothing is asked for: clean photographs have whole grey levels
    y = torch.where(gamma.view(shape) == 1, x, 255 * (x / 255).clamp(0, 1) ** gamma.view(shape))
    narrow = (torch.rand(b, device=device) < 0.2).view(shape)
    low, share = _uniform(b, 0, 1, device).view(shape), _uniform(b, 0.15, 1, device).view(shape)
    y = torch.where(narrow, 255 * low * (1 - share) + share * y, y)
    over = (torch.rand(b, device=device) < 0.08).view(shape)
    return torch.where(over, (y * _uniform(b, 1.1, 2.0, device).view(shape)).clamp(0, 255), y)


def spatial_profile(b: int, h: int, w: int, device: torch.device) -> Tensor:
    """Factors (B, 1, H, W) on sigma: even for most, a ramp, a patch or vignetting for others."""
    y = torch.linspace(-1, 1, h, device=device).view(1, 1, -1, 1)
    x = torch.linspace(-1, 1, w, device=device).view(1, 1, 1, -1)
    shape = (-1, 1, 1, 1)
    angle = _uniform(b, 0, 6.2832, device).view(shape)
    depth = _uniform(b, 0.3, 0.9, device).view(shape)
    ramp = 1 + depth * (torch.cos(angle) * x + torch.sin(angle) * y) / 1.4142
    round_ = 1 + 2.5 * depth * (x**2 + y**2) / 2
    centre_y, centre_x = (
        _uniform(b, -0.6, 0.6, device).view(shape),
        _uniform(b, -0.6, 0.6, device).view(shape),
    )
    half = _uniform(b, 0.15, 0.5, device).view(shape)
    inside = ((y - centre_y).abs() < half) & ((x - centre_x).abs() < half)
    patch = torch.where(inside, 1 + 3 * depth, torch.ones_like(inside, dtype=torch.float32))
    even = torch.ones_like(patch)
    which = torch.rand(b, device=device).view(shape)
    return torch.where(
        which < 0.76,
        even,
        torch.where(which < 0.84, ramp, torch.where(which < 0.92, round_, patch)),
    )


def corrupt(clean: Tensor, *, mix: tuple[float, ...] | None = None) -> Batch:
    """Put noise on clean pictures (B, C, H, W) in grey levels; each its own kind and strength."""
    b, c, h, w = clean.shape
    device = clean.device
    shape = (-1, 1, 1, 1)
    x = vary_pictures(clean)
    # none, gaussian, poisson, speckle, uniform, poisson_gaussian, coloured, (jpeg: by the caller)
    mix = mix or (0.13, 0.42, 0.11, 0.11, 0.09, 0.06, 0.08)
    drawn = torch.multinomial(torch.tensor(mix, device=device), b, replacement=True)
    coloured = drawn == 6
    kind = torch.where(coloured, torch.ones_like(drawn), drawn)
    sigma = torch.where(
        torch.rand(b, device=device) < 0.6,
        _log_uniform(b, 0.3, 60, device),
        _uniform(b, 0.2, 55, device),
    )
    # signal-dependent noise is learnt over its own range, a little wider than the protocol's
    gain = 255 / _log_uniform(b, 8, 2500, device)
    speckle = _log_uniform(b, 0.02, 0.6, device)
    profile = spatial_profile(b, h, w, device)
    is_ = {name: (kind == i).view(shape) for i, name in enumerate(FINE_KINDS)}
    level = x.clamp(min=0)
    add = sigma.view(shape).expand(b, c, 1, 1).clone()
    if c == 3:  # unequal channels
        unequal = (torch.rand(b, device=device) < 0.25).view(shape)
        factors = torch.exp(_uniform(b * 3, -0.7, 0.7, device)).view(b, 3, 1, 1)
        add = torch.where(unequal & ~is_["uniform"], add * factors, add)
    small_add = torch.where(is_["poisson_gaussian"], 0.35 * add, add)
    spatial = torch.where(is_["gaussian"], profile, torch.ones_like(profile))
    white = torch.randn_like(x)
    if c == 3:  # sometimes noise that the channels share in part
        shared = (torch.rand(b, device=device) < 0.06).view(shape) & is_["gaussian"]
        rho = _uniform(b, 0.1, 0.9, device).view(shape)
        white = torch.where(shared, rho.sqrt() * white[:, :1] + (1 - rho).sqrt() * white, white)
    colour_field, colour_scales = _coloured_noise(white, coloured)
    unit = torch.where(coloured.view(shape), colour_field, white)
    gaussian = small_add * spatial * unit
    uniform = add * 3**0.5 * (2 * torch.rand_like(x) - 1)
    g = gain.view(shape)
    counts = torch.poisson((level / g).clamp(max=1e6))
    poisson = counts * g - level
    noise = torch.zeros_like(x)
    noise = torch.where(is_["gaussian"], gaussian, noise)
    noise = torch.where(is_["uniform"], uniform, noise)
    noise = torch.where(is_["poisson"], poisson, noise)
    noise = torch.where(is_["poisson_gaussian"], poisson + gaussian, noise)
    noise = torch.where(is_["speckle"], speckle.view(shape) * level * white, noise)
    additive = (small_add * spatial) ** 2
    variance = torch.zeros_like(x)
    variance = torch.where(is_["gaussian"] | is_["uniform"], additive.expand_as(x), variance)
    variance = torch.where(is_["poisson"], g * level, variance)
    variance = torch.where(is_["poisson_gaussian"], g * level + additive, variance)
    variance = torch.where(is_["speckle"], (speckle.view(shape) * level) ** 2, variance)
    by_channel = variance.mean((2, 3))
    total = by_channel.mean(1).sqrt()
    y = x + noise
    style = torch.rand(b, device=device)
    rounded = style < 0.75
    clipped = (style < 0.9).view(shape)
    y = torch.where(clipped, y.clamp(0, 255), y)
    y = torch.where(rounded.view(shape), y.round(), y)
    # black or white borders without noise
    border = torch.rand(b, device=device) < 0.06
    if bool(border.any()):
        top = int(torch.randint(1, max(2, h // 4), (1,)))
        tone = torch.where(torch.rand(b, device=device) < 0.5, 0.0, 255.0).view(shape)
        strip = torch.zeros(1, 1, h, 1, device=device, dtype=torch.bool)
        strip[:, :, :top] = True
        y = torch.where(border.view(shape) & strip, tone, y)
        # what is left of the noise is what the rest of the picture has
    return Batch(
        pixels=y,
        quantum=rounded.float(),
        kind=kind,
        sigma=total,
        sigma_channels=by_channel.sqrt(),
        has_sigma=torch.ones(b, device=device),
        gain=torch.where(is_["poisson"] | is_["poisson_gaussian"], g, torch.zeros_like(g)).view(-1),
        speckle=torch.where(is_["speckle"].view(-1), speckle, torch.zeros_like(speckle)),
        coloured=coloured,
        scale_sigma=total.view(-1, 1) * colour_scales,
        variance=variance.mean(1, keepdim=True),
    )


def _coloured_noise(white: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Low-pass or demosaicked noise of unit variance; its standard deviation over the scales."""
    b, c, _, _ = white.shape
    field = white.clone()
    scales = torch.tensor([1 / s for s in SCALES], device=white.device).expand(b, -1).clone()
    for i in torch.nonzero(wanted).view(-1).tolist():
        one = white[i : i + 1]
        if c == 3 and torch.rand(()) < 0.4:
            made = demosaicked(one)
        else:
            made = gaussian_blur(one, float(torch.exp(torch.empty(()).uniform_(-0.8, 0.9))))
        made = made / made.std()
        field[i] = made[0]
        for k, s in enumerate(SCALES):
            if s < min(one.shape[2:]):
                scales[i, k] = F.avg_pool2d(made, s).std()
    return field, scales


_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip


def compress(x: Tensor, matrix: Tensor, quality: int) -> Tensor:
    """Luminance-only JPEG of (B, C, H, W): quantised 8 x 8 cosines, chroma left as it is."""
    b, c, h, w = x.shape
    hh, ww = h // 8 * 8, w // 8 * 8
    luma = x.mean(1, keepdim=True)[:, :, :hh, :ww]
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    steps = (
        ((torch.tensor(_LUMA, device=x.device) * scale + 50) / 100).floor().clamp(1, 255).view(64)
    )
    blocks = (luma - 128).view(b, hh // 8, 8, ww // 8, 8).permute(0, 1, 3, 2, 4).reshape(b, -1, 64)
    coefficients = ((blocks @ matrix.T) / steps).round() * steps
    back = (coefficients @ matrix).view(b, hh // 8, ww // 8, 8, 8).permute(0, 1, 3, 2, 4)
    out = x.clone()
    change = back.reshape(b, 1, hh, ww) + 128 - luma
    if c == 3:  # chroma loses its fine detail
        chroma = (x - x.mean(1, keepdim=True))[:, :, :hh, :ww]
        soft = F.interpolate(F.avg_pool2d(chroma, 2), scale_factor=2, mode="bilinear")
        change = change + soft - chroma
    out[:, :, :hh, :ww] += change
    return out.clamp(0, 255).round()
