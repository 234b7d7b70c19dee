"""What was found out about the noise, in plain sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from helicopter.core.results._noise import NOISE_KINDS, describe_kind
from helicopter.plotting import noise_unit

if TYPE_CHECKING:
    from helicopter.core.results._autonomous import AutonomousAnalysis
    from helicopter.core.results._noise import NoiseAnalysis

__all__ = ["kind_rows", "noise_caption", "noise_sentences"]

_KIND = {
    "gaussian": "Gaussian noise, as electronics make it",
    "poisson": "Poisson noise, as few photons make it",
    "speckle": "speckle, which grows with the intensity",
    "uniform": "uniform noise, as coarse rounding makes it",
    "compression": "the marks of JPEG compression",
}


def noise_sentences(noise: NoiseAnalysis, redrawn: AutonomousAnalysis | None = None) -> list[str]:
    """Say how noisy the image is, with what, and how much of the error that explains."""
    unit = noise_unit(noise)
    low, high = noise.sigma_interval
    interval = f"{low:.3g} to {high:.3g} with a probability of 90 %"
    if noise.sigma <= 0.0:
        first = "No noise could be measured."
    else:
        together = ""
        if noise.total_sigma > 1.02 * noise.sigma:
            together = f"all of it has a standard deviation of {noise.total_sigma:.3g}, "
        first = (
            f"The noise is {noise.level}: {together}{'and ' if together else ''}in every pixel it "
            f"has {'one' if together else 'a standard deviation'} of {noise.sigma:.3g} {unit} "
            f"({interval}){_ratio(noise.snr_db)}."
        )
    found = [_found(kind, noise, unit) for kind in noise.kinds if kind != "clean"]
    if not found:
        second = "None of the kinds of noise that Helicopter knows stands out."
    else:
        second = f"Found: {'; and '.join(found)}."
    if found and noise.noise_colour == "coloured":
        second += (
            " The fine noise is coloured: neighbouring pixels share it, as after demosaicking, "
            "sharpening or scaling."
        )
    sentences = [first, second]
    explained = _explained(noise, redrawn)
    if explained is not None:
        sentences.append(explained)
    return sentences


def noise_caption(noise: NoiseAnalysis) -> str:
    """Say what stands out in the spectrum and the curves."""
    if noise.kind == "clean":
        return "There is too little noise to say how it depends on the intensity."
    function = noise.noise_level_function
    law = "The noise is about the same in the dark and in the bright."
    known = function.intensity[function.measured]
    if known.size:
        dark, bright = float(function.at(known.min())), float(function.at(known.max()))
        if bright > 1.15 * dark:
            like = ", as that of photons does" if "poisson" in noise.kinds else ""
            law = f"The noise grows with the intensity, from {dark:.3g} to {bright:.3g}{like}."
    return law


def kind_rows(noise: NoiseAnalysis) -> list[dict[str, str]]:
    """Return a row for each kind, the most probable first."""
    ranked = sorted(
        NOISE_KINDS, key=lambda kind: (-noise.kind_probabilities[kind], NOISE_KINDS.index(kind))
    )
    return [
        {
            "kind": describe_kind(kind, noise.parameters).partition(" (")[0],
            "probability": f"{100 * noise.kind_probabilities[kind]:.0f} %",
            "parameter": describe_kind(kind, noise.parameters).partition(" (")[2].rstrip(")")
            or "none",
        }
        for kind in ranked
    ]


def _ratio(snr_db: float) -> str:
    if not math.isfinite(snr_db):
        return ""
    if snr_db < 0:
        return f", and there is more noise than content ({snr_db:.1f} dB)".replace(
            "-", "\N{MINUS SIGN}"
        )
    return f", and the content is {snr_db:.1f} dB above the noise"


def _found(kind: str, noise: NoiseAnalysis, unit: str) -> str:
    chance = f"probability {100 * noise.kind_probabilities[kind]:.0f} %"
    of_kind: dict[str, Any] = noise.parameters[kind]
    if kind == "salt_pepper":
        text = f"salt and pepper, {_share(of_kind['density'])} of the pixels black or white"
    elif kind == "impulse":
        text = f"random impulses, {_share(of_kind['density'])} of the pixels of any value"
    elif kind == "periodic":
        periods = [f"{wave['period']:.3g}" for wave in of_kind["components"]]
        every = f" every {' and '.join(periods[:3])} pixels" if periods else ""
        text = f"interference that repeats{every}, {of_kind['amplitude']:.3g} {unit} strong"
    else:
        text = _KIND[kind]
        if kind == "compression" and of_kind["quality"] is not None:
            text += f" at quality {of_kind['quality']}"
    return f"{text} ({chance})"


def _share(density: float) -> str:
    return f"{100 * density:.2g} %"


def _explained(noise: NoiseAnalysis, redrawn: AutonomousAnalysis | None) -> str | None:
    """Compare with the error of what was redrawn: what noise alone would have cost."""
    if redrawn is None or not math.isfinite(redrawn.psnr_db):
        return None
    span = noise.data_range[1] - noise.data_range[0]
    share = (noise.total_sigma / span) ** 2 / 10.0 ** (-redrawn.psnr_db / 10.0)
    if share >= 0.9:
        return (
            "That is about as much as the error of what was redrawn: no prediction could have been "
            "much closer."
        )
    percent = "less than 1" if share < 0.01 else f"about {100 * share:.0f}"
    return (
        f"Noise, which no context could tell, accounts for {percent} % of the squared error of "
        "what was redrawn; the rest is news: content that does not follow from what was shown."
    )
