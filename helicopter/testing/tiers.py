"""How closely two backends must agree: every public output of every engine, in one table.

Three tiers: *exact* (the same bits), *ulp* (so many float64 steps apart) and *allclose* (so far
apart, absolutely or relatively). Tolerances of intensities are stated on the [0, 1] scale; for
images of integers they widen to one level, since a rounding can tip either way.

Discrete outputs (what was chosen, hidden, stopped at) are exact without exception. So is everything
that follows from visible pixels alone: its sums are taken over integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BOOL_FLIPS", "PREDICTION", "Tier", "tiers_of"]


@dataclass(frozen=True)
class Tier:
    """How closely two values of one output must agree.

    Attributes
    ----------
    kind : str
        ``"exact"``, ``"ulp"``, ``"allclose"``, or ``"ignored"`` for what says which backend it was;
        ``"results"`` for an output that consists of results, each with a table of its own.
    absolute, relative : float
        Of ``"allclose"``; the larger of the two allowances counts.
    ulps : int
        Of ``"ulp"``.
    scale : str
        ``"plain"``: compared as it is. ``"intensity"``: `absolute` is a share of the image's range.
        ``"decibels"``: compared as the root mean squared error that it stands for. ``"skill"``:
        `relative` is of the distance to 1.
    """

    kind: Literal["exact", "ulp", "allclose", "ignored", "results"]
    absolute: float = 0.0
    relative: float = 0.0
    ulps: int = 0
    scale: Literal["plain", "intensity", "decibels", "skill"] = "plain"

    def __str__(self) -> str:
        if self.kind == "ulp":
            return f"ulp: {self.ulps}"
        if self.kind != "allclose":
            return self.kind
        unit = {"plain": "", "intensity": " of the range", "decibels": " RMSE", "skill": ""}
        return f"allclose: absolute {self.absolute:g}{unit[self.scale]}, relative {self.relative:g}"


#: How far apart predictions of one algorithm may be, on the [0, 1] scale. The equations are solved
#: to machine precision, by other operations in another order; the plate's matrix is the worse
#: conditioned. The network adds up thousands of products in float32, in an order that suits each
#: backend. `exemplar` copies the same pixels, but for where it has nothing to copy from
#: and the harmonic solution stands in. What users register is the same code on both.
PREDICTION: Mapping[str, float] = {
    "network": 5e-5,
    "harmonic": 1e-6,
    "biharmonic": 1e-5,
    "exemplar": 1e-6,
    "registered": 0.0,
}
#: How far apart uncertainties may be, relatively: exact where they follow from integer sums. The
#: network's are exponentials of what it states, on a curve that is steep in places.
UNCERTAINTY: Mapping[str, float] = {"network": 2e-3}

#: A bool image has one level, so for its predictions it is the share of pixels that may differ:
#: those predicted to lie halfway.
BOOL_FLIPS = 0.005

_EXACT = Tier("exact")
_IGNORED = Tier("ignored")
_RESULTS = Tier("results")
#: Sums of the same numbers in another order.
_REORDERED = Tier("ulp", ulps=512)

_NAMES: Mapping[str, Tier] = {
    "algorithm": _EXACT,
    "backend": _IGNORED,
    "device": _IGNORED,
    "seconds": _IGNORED,
}


def tiers_of(result: str, algorithm: str) -> dict[str, Tier]:
    """Return the tier of each field of a result.

    Parameters
    ----------
    result : str
        Name of the result's class, such as ``"AutonomousAnalysis"``.
    algorithm : str
        What predicted; any name that is not built in is a registered one.

    Raises
    ------
    KeyError
        For a result that the table does not know.
    """
    return dict(_TABLE[algorithm if algorithm in PREDICTION else "registered"][result])


def _of(algorithm: str) -> dict[str, dict[str, Tier]]:
    apart = PREDICTION[algorithm]
    if apart:
        prediction = Tier("allclose", absolute=apart, scale="intensity")
        quality = Tier("allclose", absolute=10 * apart)
        mae = prediction
    else:
        prediction, quality, mae = _EXACT, _REORDERED, _REORDERED

    def at_most(factor: float, floor: float) -> float:
        return min(max(factor * apart, floor), 0.01)

    measures = {
        "reconstruction_quality": quality,
        # at least 1e-9: sums that run along with a window pick up roundings
        "ssim": Tier("allclose", absolute=at_most(1e2, 1e-9)),
        "psnr_db": Tier("allclose", absolute=max(apart, 1e-9), scale="decibels"),
        "mae": mae,
        "skill": Tier("allclose", absolute=1e-9, relative=at_most(1e3, 1e-9), scale="skill"),
    }
    unsure = UNCERTAINTY.get(algorithm, 0.0)
    stated = Tier("allclose", relative=unsure) if unsure else _EXACT
    believed = Tier("allclose", absolute=unsure) if unsure else _EXACT
    # logarithms of small errors, summed over what was scored, enter these
    learnt = Tier("allclose", absolute=at_most(1e2, 1e-6))
    # the logarithm of a single small error
    surprise = Tier("allclose", absolute=at_most(1e3, 1e-6))
    # the logarithm of a distance, of which the map of the noise is a part
    score = Tier("allclose", absolute=at_most(1e2, NOISE))
    return {
        "AutonomousAnalysis": {
            **measures,
            **_NAMES,
            "understanding_level": _EXACT,
            "average_confidence": learnt,
            "completion": _EXACT,
            "iterations": _EXACT,
            "converged": _EXACT,
            "stop_reason": _EXACT,
            "reconstruction": prediction,
            "confidence_map": learnt,
            # exact before it is rescaled on line
            "uncertainty_map": Tier("allclose", relative=at_most(1e3, 1e-6)),
            "error_map": prediction,
            "hidden_mask": _EXACT,
            "patch_size": _EXACT,
            "history": _RESULTS,
            "patch_qualities": quality,
            "verification": _RESULTS,
            "strategy": _EXACT,
        },
        "SegmentAwareReconstruction": {
            **measures,
            **_NAMES,
            "understanding_level": _EXACT,
            "average_confidence": learnt,
            "understood_share": _EXACT,
            "segments": _RESULTS,
            "labels": _EXACT,
            "reconstruction": prediction,
            "confidence_map": learnt,
            # exact before it is rescaled on line
            "uncertainty_map": Tier("allclose", relative=at_most(1e3, 1e-6)),
            "error_map": prediction,
            "hidden_mask": _EXACT,
            "patch_size": _EXACT,
            "halo": _EXACT,
            "strategy": _EXACT,
        },
        "SegmentReconstruction": {
            "label": _EXACT,
            "type": _EXACT,
            "bounding_box": _EXACT,
            "area": _EXACT,
            "quality": quality,
            "understanding_level": _EXACT,
            # of few pixels, the error of the mean colour may be as small as that of the prediction
            "skill": Tier("allclose", absolute=at_most(1e2, 1e-9), relative=at_most(1e3, 1e-9)),
            "mae": mae,
            "confidence": learnt,
            "iterations": _EXACT,
            "converged": _EXACT,
            "stop_reason": _EXACT,
            # one small error among others
            "priority": Tier("allclose", absolute=at_most(1e2, 1e-9), relative=at_most(1e3, 1e-9)),
            "evidence": _EXACT,
            "scored_pixels": _EXACT,
            "target_quality": _EXACT,
        },
        "IterationRecord": {
            "iteration": _EXACT,
            "patches": _EXACT,
            "strategy": _EXACT,
            "quality": quality,
            "cumulative_quality": quality,
            "confidence": learnt,
        },
        "RegionalReconstruction": {
            **_NAMES,
            "reconstruction": prediction,
            "uncertainty_map": stated,
            "confidence_map": believed,
            "data_range": _EXACT,
        },
        "CrossReconstruction": {
            **measures,
            **_NAMES,
            "understanding_level": _EXACT,
            "average_confidence": believed,
            "reconstruction": prediction,
            "uncertainty_map": stated,
            "confidence_map": believed,
            "error_map": prediction,
            # in standard deviations, of which the smallest are about a hundredth of the range
            "surprise_map": Tier("allclose", absolute=at_most(1e3, 1e-6), relative=unsure),
            "patch_quality": quality,
            "patch_confidence": believed,
            "patch_surprise": surprise,
            "patch_fold": _EXACT,
            "patch_size": _EXACT,
            "folds": _EXACT,
            "data_range": _EXACT,
        },
        "PatchScore": {
            "box": _EXACT,
            "fold": _EXACT,
            "quality": quality,
            "confidence": believed,
            "surprise": surprise,
        },
        "UnderstandingScore": {
            **measures,
            "strategy": _EXACT,
            "difficulty": _EXACT,
            "hidden_fraction": _EXACT,
            "average_confidence": believed,
        },
        "UnderstandingTest": {
            **_NAMES,
            "reconstruction_quality": quality,
            "understanding_level": _EXACT,
            "skill": measures["skill"],
            "scores": _RESULTS,
        },
        "Analysis": {
            "autonomous": _RESULTS,
            "noise": _RESULTS,
            "segments": _RESULTS,
            "anomalies": _RESULTS,
            "verification": _RESULTS,
            "seconds": _IGNORED,
        },
        "AnomalyAnalysis": {
            **_NAMES,
            "anomaly_map": score,
            "detected": _EXACT,
            "labels": _EXACT,
            "regions": _RESULTS,
            "level": _EXACT,
            "candidates": _EXACT,
            "data_range": _EXACT,
            "dtype": _EXACT,
        },
        "AnomalyRegion": {
            "label": _EXACT,
            "bounding_box": _EXACT,
            "area": _EXACT,
            "peak": _EXACT,
            "score": score,
            # what a score says of the tail of its law
            "p_value": Tier("allclose", absolute=1e-9, relative=0.01),
            "q_value": Tier("allclose", absolute=1e-9, relative=0.01),
            "probability": Tier("allclose", absolute=0.01),
            "mean_deviation": Tier("allclose", absolute=max(apart, 1e-6), scale="intensity"),
        },
        "VerificationStep": {**_OF_STEP, "quality": quality},
        **_OF_VERIFICATION,
        **_OF_NOISE,
        **_OF_DECISIONS,
    }


#: Of the incomplete beta function and its inverse, each by a method of its own.
_BETA = Tier("allclose", absolute=1e-9)
_OF_STEP: Mapping[str, Tier] = {
    "look": _EXACT,
    "success": _EXACT,
    "effective_looks": _EXACT,
    "effective_successes": _EXACT,
    "probability": _BETA,
    "low": _BETA,
    "high": _BETA,
    "expected_loss": Tier("allclose", absolute=1e-9, relative=1e-9),
    "state": _EXACT,
    "action": _EXACT,
}
_POLICY: Mapping[str, Tier] = {
    "required_share": _EXACT,
    "costs": _EXACT,
    "prior": _EXACT,
    "max_looks": _EXACT,
    "boundaries": _RESULTS,
}


def _of_verification() -> dict[str, dict[str, Tier]]:
    # both backends find the same policy to the last bit, so they stop at the same looks
    return {
        "Verification": {
            **_POLICY,
            "understanding_probability": _BETA,
            "credible_interval": _BETA,
            "understood_share": _EXACT,
            "state": _EXACT,
            "action": _EXACT,
            "decision": _EXACT,
            "expected_loss": _OF_STEP["expected_loss"],
            "evidence_used": _EXACT,
            "successes": _EXACT,
            "effective_looks": _EXACT,
            "threshold": _EXACT,
            "credible_level": _EXACT,
            "trajectory": _RESULTS,
            "backend": _IGNORED,
            "device": _IGNORED,
            "seconds": _IGNORED,
        },
        "StoppingPolicy": {**_POLICY, "unlimited": _EXACT, "expected_loss": _EXACT},
        "StoppingBoundaries": dict.fromkeys(("reject_at", "accept_from", "favour_from"), _EXACT),
        "OperatingCharacteristics": dict.fromkeys(
            (
                "share",
                "accept",
                "reject",
                "false_accept",
                "false_reject",
                "mean_looks",
                "expected_loss",
            ),
            _EXACT,
        ),
    }


def _of_noise() -> dict[str, dict[str, Tier]]:
    # both sum up the same terms in float32 or float64, in an order of their own
    level = Tier("allclose", absolute=1e-5, relative=NOISE, scale="intensity")
    number = Tier("allclose", absolute=1e-6, relative=NOISE)
    decibels = Tier("allclose", absolute=0.01)
    # among the features are a few choices between candidates that are nearly as good
    probability = Tier("allclose", absolute=5e-3)
    common = {
        "sigma": level,
        "snr_db": decibels,
        "level": _EXACT,
    }
    kinds = {
        "total_sigma": level,
        "kind": _EXACT,
        "kinds": _EXACT,
        "kind_probabilities": probability,
        "parameters": number,
    }
    whole = {
        "sigma_interval": number,
        "sigma_per_channel": number,
        "data_range": _EXACT,
        "backend": _IGNORED,
        "device": _IGNORED,
        "seconds": _IGNORED,
    }
    found = Tier("allclose", absolute=1e-5, relative=NOISE)
    return {
        # what backends hand over, of `helicopter.backends.protocol`
        "NoiseRun": {
            "fine": level,
            "probabilities": probability,
            "coloured": probability,
            "scale_sigma": level,
            # the slope of a law is known less well than its height
            "gain": Tier("allclose", absolute=1e-6, relative=5 * NOISE),
            "speckle": Tier("allclose", absolute=1e-5, relative=5 * NOISE),
            "salt_pepper_density": number,
            "impulse_density": number,
            "waves": found,
            "quality": _EXACT,
            "grid": _EXACT,
            "level_function": number,
            "sigma_map": level,
            "spectrum": Tier("allclose", absolute=1e-3),
            "impulses": _EXACT,
        },
        "NoiseLevel": {**common, **whole},
        "NoiseAnalysis": {
            **common,
            **kinds,
            **whole,
            "noise_level_function": _RESULTS,
            "noise_colour": _EXACT,
            "scales": _RESULTS,
            "sigma_map": level,
            "spectrum": Tier("allclose", absolute=1e-3),
            "segments": _RESULTS,
            "dtype": _EXACT,
        },
        "NoiseLevelFunction": {
            "intensity": number,
            "sigma": level,
            "weight": number,
            "a": number,
            "b": number,
            "black": _EXACT,
        },
        "NoiseScale": {"scale": _EXACT, "sigma": level, "power": number, "snr_db": decibels},
        "SegmentNoise": {
            **common,
            **kinds,
            "label": _EXACT,
            "bounding_box": _EXACT,
            "area": _EXACT,
            "priority": number,
            "action": _EXACT,
        },
    }


def _of_decisions() -> dict[str, dict[str, Tier]]:
    # each backend has its own way to a value that both enclose; how it gets there is no output
    value = Tier("allclose", absolute=1e-6, relative=1e-9)
    return {
        "MDPSolution": {
            "value": value,
            "lower": value,
            "upper": value,
            "policy": _EXACT,
            "width": Tier("allclose", absolute=1e-6),
            "iterations": _IGNORED,
            "method": _IGNORED,
            "criterion": _EXACT,
            "epsilon": _EXACT,
            "backend": _IGNORED,
            "device": _IGNORED,
            "seconds": _IGNORED,
        },
    }


#: How far apart what is said of the noise may be, relatively.
NOISE = 1e-3
_OF_NOISE = _of_noise()
_OF_VERIFICATION = _of_verification()
_OF_DECISIONS = _of_decisions()


_TABLE: Mapping[str, Mapping[str, Mapping[str, Tier]]] = {name: _of(name) for name in PREDICTION}
