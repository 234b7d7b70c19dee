"""What the engines return: frozen dataclasses that also read like mappings."""

from ._analysis import Analysis
from ._autonomous import AutonomousAnalysis, IterationRecord
from ._noise import (
    NOISE_ACTIONS,
    NOISE_KINDS,
    NoiseAnalysis,
    NoiseLevel,
    NoiseLevelFunction,
    NoiseScale,
    SegmentNoise,
)
from ._parts import (
    SEGMENT_TYPES,
    AnomalyAnalysis,
    AnomalyRegion,
    SegmentAwareReconstruction,
    SegmentReconstruction,
)
from ._regional import (
    CrossReconstruction,
    PatchScore,
    RegionalReconstruction,
    UnderstandingScore,
    UnderstandingTest,
)
from ._verification import (
    VERIFIER_ACTIONS,
    VERIFIER_STATES,
    StoppingBoundaries,
    Verification,
    VerificationCosts,
    VerificationStep,
)

__all__ = [
    "NOISE_ACTIONS",
    "NOISE_KINDS",
    "SEGMENT_TYPES",
    "VERIFIER_ACTIONS",
    "VERIFIER_STATES",
    "Analysis",
    "AnomalyAnalysis",
    "AnomalyRegion",
    "AutonomousAnalysis",
    "CrossReconstruction",
    "IterationRecord",
    "NoiseAnalysis",
    "NoiseLevel",
    "NoiseLevelFunction",
    "NoiseScale",
    "PatchScore",
    "RegionalReconstruction",
    "SegmentAwareReconstruction",
    "SegmentNoise",
    "SegmentReconstruction",
    "StoppingBoundaries",
    "UnderstandingScore",
    "UnderstandingTest",
    "Verification",
    "VerificationCosts",
    "VerificationStep",
]
