"""What a backend is: the functions that the engines call, and the plain data that cross.

Images cross as C-contiguous float32 arrays of shape (H, W, C) in [0, 1] with one or three channels,
masks as C-contiguous bool arrays of shape (H, W) with True = hidden. Everything has been checked by
`helicopter.core.validation` before; a backend trusts what it gets. Each subject has a file.
"""

from __future__ import annotations

from typing import Literal, Protocol

from .anomalies import WINDOW_REACH, AnomalyBackend, AnomalyEvidence
from .decisions import (
    DecisionBackend,
    DecisionModel,
    Evidence,
    EvidenceRun,
    EvidenceStop,
    HorizonRun,
    MdpMethod,
    MdpRun,
    StoppingOptions,
    StoppingRun,
)
from .noise import FineNoise, NoiseBackend, NoiseRun, Wave
from .prediction import (
    PLATEAU,
    Algorithm,
    AutonomousOptions,
    AutonomousRun,
    BuiltIn,
    Iteration,
    Kernel,
    PdeKind,
    PredictionBackend,
    Scores,
    StopReason,
)
from .segments import (
    SegmentationOptions,
    SegmentAwareRun,
    SegmentOutcome,
    SegmentsBackend,
    SegmentTask,
)

__all__ = [
    "PLATEAU",
    "WINDOW_REACH",
    "Algorithm",
    "AnomalyBackend",
    "AnomalyEvidence",
    "AutonomousOptions",
    "AutonomousRun",
    "Backend",
    "BuiltIn",
    "DecisionBackend",
    "DecisionModel",
    "Evidence",
    "EvidenceRun",
    "EvidenceStop",
    "FineNoise",
    "HorizonRun",
    "Iteration",
    "Kernel",
    "MdpMethod",
    "MdpRun",
    "NoiseBackend",
    "NoiseRun",
    "PdeKind",
    "PredictionBackend",
    "Scores",
    "SegmentAwareRun",
    "SegmentOutcome",
    "SegmentTask",
    "SegmentationOptions",
    "SegmentsBackend",
    "StopReason",
    "StoppingOptions",
    "StoppingRun",
    "Wave",
]


class Backend(
    PredictionBackend, SegmentsBackend, NoiseBackend, AnomalyBackend, DecisionBackend, Protocol
):
    """The contract; `reference` is the law, `rust` the fast one."""

    @property
    def name(self) -> Literal["python", "rust"]:
        """What users call it."""
