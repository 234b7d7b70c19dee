"""Results made by hand: the report must not depend on which engine made them."""

import math

import numpy as np
from scenes import noise_by_hand

from helicopter.core.results._analysis import Analysis
from helicopter.core.results._autonomous import (
    AutonomousAnalysis,
    IterationRecord,
    understanding_level,
)
from helicopter.core.results._noise import NoiseLevel
from helicopter.core.results._parts import (
    AnomalyAnalysis,
    AnomalyRegion,
    SegmentAwareReconstruction,
    SegmentReconstruction,
)
from helicopter.core.results._regional import (
    RegionalReconstruction,
    UnderstandingScore,
    UnderstandingTest,
)
from helicopter.core.results._verification import (
    StoppingBoundaries,
    Verification,
    VerificationCosts,
    VerificationStep,
    verifier_action,
    verifier_state,
)


def photograph(shape=(70, 90, 3), dtype="uint8", seed=0):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    smooth = (np.sin(rows / 17) + np.cos(columns / 23) + 2) / 4
    noise = rng.random(shape) * 0.1
    image = np.clip((smooth if len(shape) == 2 else smooth[..., None]) * 0.9 + noise, 0, 1)
    if np.dtype(dtype).kind == "u":
        return (image * np.iinfo(dtype).max).astype(dtype)
    return image > 0.5 if dtype == "bool" else image.astype(dtype)


def autonomous(image, *, patch=16, quality=0.93, skill=0.7, steps=9, **changes):
    height, width = image.shape[:2]
    rows, columns = -(-height // patch), -(-width // patch)
    known = np.zeros(rows * columns, bool)
    known[::5] = True
    hidden = ~known.reshape(rows, columns).repeat(patch, 0).repeat(patch, 1)[:height, :width]
    rng = np.random.default_rng(1)
    span = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1
    error = (rng.random((height, width)) * 0.08 * span * hidden).astype(np.float32)
    order = [int(i) for i in np.flatnonzero(~known)]
    batch = -(-len(order) // steps)
    history = tuple(
        IterationRecord(
            k + 1, tuple(order[k * batch : (k + 1) * batch]), "adaptive", quality, quality, 0.6
        )
        for k in range(-(-len(order) // batch))
    )
    fields = {
        "reconstruction_quality": quality,
        "understanding_level": understanding_level(quality),
        "ssim": 0.61,
        "psnr_db": 21.3,
        "mae": float(error[hidden].mean()),
        "skill": skill,
        "average_confidence": 0.58,
        "completion": 1.0,
        "iterations": len(history),
        "converged": True,
        "stop_reason": "all_patches_done",
        "reconstruction": image.copy(),
        "confidence_map": np.where(hidden, 0.6, 1).astype(np.float32),
        "uncertainty_map": (hidden * 0.05 * span).astype(np.float32),
        "error_map": error,
        "hidden_mask": hidden,
        "patch_size": patch,
        "history": history,
        "algorithm": "harmonic",
        "strategy": "adaptive",
        "backend": "python",
        "device": "cpu",
        "seconds": 1.23,
    }
    return AutonomousAnalysis(**{**fields, **changes})


def verification(qualities=(0.9, 0.95, 0.7, *[0.92] * 12), decision="accept", **changes):
    """A verification whose figures follow each other, though no engine has made them."""
    steps, good = [], 0
    for look, quality in enumerate(qualities, start=1):
        good += quality >= 0.8
        chance = (1 + good) / (2 + look)
        stopped = look == len(qualities) and decision != "continue"
        steps.append(
            VerificationStep(
                look, quality, quality >= 0.8, 0.8 * look, 0.8 * good, chance,
                max(0.0, chance - 0.3), min(1.0, chance + 0.1), min(chance, 1 - chance),
                verifier_state(chance), verifier_action(verifier_state(chance), stopped=stopped),
            )
        )  # fmt: skip
    looks = np.arange(41, dtype=np.int32)
    chance, used = (steps[-1].probability, len(steps)) if steps else (0.2, 0)
    fields = {
        "understanding_probability": chance,
        "credible_interval": (steps[-1].low, steps[-1].high) if steps else (0.025, 0.975),
        "understood_share": (1 + good) / (2 + used),
        "state": verifier_state(chance),
        "action": verifier_action(verifier_state(chance), stopped=decision != "continue"),
        "decision": decision,
        "expected_loss": min(chance, 1 - chance),
        "evidence_used": used,
        "successes": int(good),
        "effective_looks": 0.8 * used,
        "threshold": 0.8,
        "required_share": 0.75,
        "prior": (1.0, 1.0),
        "credible_level": 0.95,
        "costs": VerificationCosts(0.001, 1.0, 1.0),
        "max_looks": 4096,
        "trajectory": tuple(steps),
        "boundaries": StoppingBoundaries(
            (looks // 2 - 2).astype(np.int32).clip(-1),
            np.minimum(looks - looks // 10, looks + 1).astype(np.int32) + (looks < 4),
            (0.75 * looks).astype(np.int32),
        ),
        "backend": "python",
        "device": "cpu",
        "seconds": 0.01,
    }
    return Verification(**{**fields, **changes})


def whole(found, seconds=1.0, verified=None):
    """An analysis of the image that `found` is of."""
    image = found.reconstruction
    noise = noise_by_hand(image.shape[:2], image.dtype.name)
    parts, anomalies = segmented(image, found), anomalies_by_hand(image)
    return Analysis(found, noise, parts, anomalies, verified or verification(), seconds)


def segmented(image, alone=None):
    """What an engine might say of an image in four segments, of which one could not be scored."""
    height, width = image.shape[:2]
    labels = np.zeros((height, width), np.int32)
    labels[height // 2 :] += 2
    labels[:, width // 3 :] += 1
    alone = alone or autonomous(image)
    names = ("background", "text", "edge", "smooth")
    parts = tuple(
        SegmentReconstruction(
            label=number,
            type=name,
            bounding_box=(0, 0, height, width),
            area=int((labels == number).sum()),
            quality=0.7 + 0.1 * number if number < 3 else math.nan,
            understanding_level="good" if number < 3 else None,
            skill=0.3 * number if number < 3 else math.nan,
            mae=9.0,
            confidence=0.6,
            iterations=8,
            converged=number == 2,
            stop_reason="no_improvement" if number < 3 else "nothing_to_score",
            priority=1 / 3 if number < 3 else 0.0,
            evidence=20,
            scored_pixels=400 if number < 3 else 0,
            target_quality=0.9,
        )
        for number, name in enumerate(names)
    )
    shared = ("ssim", "psnr_db", "mae", "skill", "average_confidence", "reconstruction")
    maps = ("confidence_map", "uncertainty_map", "error_map", "hidden_mask")
    return SegmentAwareReconstruction(
        **{name: alone[name] for name in (*shared, *maps)},
        reconstruction_quality=0.8,
        understanding_level="good",
        understood_share=0.4,
        segments=parts,
        labels=labels,
        patch_size=8,
        halo=0,
        algorithm="network",
        strategy="adaptive",
        backend="python",
        device="cpu",
        seconds=0.4,
    )


def anomalies_by_hand(image):
    """A stain in the middle, and a second region at the border."""
    height, width = image.shape[:2]
    labels = np.zeros((height, width), np.int32)
    labels[20:40, 30:45] = 1
    labels[: height // 8, -5:] = 2
    scores = np.where(labels, 3.0, 0.2).astype(np.float32)
    scores[-10:] = np.nan
    regions = tuple(
        AnomalyRegion(k, box, int((labels == k).sum()), box[:2], 3.0, 1e-5, 1e-3, 0.99, -20.0)
        for k, box in ((1, (20, 30, 40, 45)), (2, (0, width - 5, height // 8, width)))
    )
    return AnomalyAnalysis(
        scores, labels > 0, labels, regions, 0.1, 50, (0.0, 255.0), "uint8", "network", "python",
        "cpu", 0.5, image,
    )  # fmt: skip


def every_kind():
    """One result of each type, by the name of its type."""
    image = photograph()
    alone = autonomous(image)
    scores = tuple(
        UnderstandingScore(name, d, d, 1 - d / 3, 20.0, 0.5, 9.0, 0.8 - d, 0.5)
        for name in ("checkerboard", "center_out")
        for d in (0.2, 0.9)
    )
    found = [
        alone,
        whole(alone, 1.5),
        alone.history[0],
        RegionalReconstruction(
            image, alone.uncertainty_map, alone.confidence_map, "harmonic", "python", "cpu", 0.1
        ),
        UnderstandingTest(0.8, "good", 0.4, scores, "harmonic", "python", "cpu", 2.0),
        scores[0],
        anomalies := anomalies_by_hand(image),
        anomalies.regions[0],
        noise := noise_by_hand(image.shape[:2]),
        noise.noise_level_function,
        noise.scales[0],
        noise.segments[0],
        segments := segmented(image),
        segments.segments[0],
        verified := verification(),
        verified.trajectory[0],
        verified.boundaries,
        NoiseLevel(
            9.0, (8.5, 9.6), (9.0, 8.0, 10.0), 20.0, "moderate", (0.0, 255.0), "python", "cpu", 0.1
        ),
    ]
    return {type(result).__name__: result for result in found}
