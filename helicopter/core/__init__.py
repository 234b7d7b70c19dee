"""The engines, their results, and what goes with them."""

from helicopter.decisions import (
    MDP,
    POMDP,
    MDPSolution,
    TransitionIntervals,
    TransitionPosterior,
    ValueIntervals,
)

from .anomalies import AnomalyDetector
from .autonomous_engine import STRATEGIES, AutonomousReconstructionEngine
from .evidence._calibration import (
    IsotonicCalibrator,
    ReliabilityCurve,
    expected_calibration_error,
    reliability_curve,
)
from .evidence._stopping_policy import OperatingCharacteristics, StoppingPolicy
from .hatata_mdp import HatataMDPEngine
from .prediction._masking import MASKING_STRATEGIES
from .prediction._texture import texture_faithfulness
from .regional_engine import RegionalReconstructionEngine
from .registry import (
    CudaKernel,
    CustomReconstructionKernel,
    algorithms,
    register_algorithm,
    unregister_algorithm,
)
from .results import (
    NOISE_ACTIONS,
    NOISE_KINDS,
    SEGMENT_TYPES,
    VERIFIER_ACTIONS,
    VERIFIER_STATES,
    Analysis,
    AnomalyAnalysis,
    AnomalyRegion,
    AutonomousAnalysis,
    CrossReconstruction,
    IterationRecord,
    NoiseAnalysis,
    NoiseLevel,
    NoiseLevelFunction,
    NoiseScale,
    PatchScore,
    RegionalReconstruction,
    SegmentAwareReconstruction,
    SegmentNoise,
    SegmentReconstruction,
    StoppingBoundaries,
    UnderstandingScore,
    UnderstandingTest,
    Verification,
    VerificationCosts,
    VerificationStep,
)
from .segment_aware import SegmentAwareReconstructionEngine
from .zengeza_detector import ZengezaNoiseDetector

__all__ = [
    "MASKING_STRATEGIES",
    "MDP",
    "NOISE_ACTIONS",
    "NOISE_KINDS",
    "POMDP",
    "SEGMENT_TYPES",
    "STRATEGIES",
    "VERIFIER_ACTIONS",
    "VERIFIER_STATES",
    "Analysis",
    "AnomalyAnalysis",
    "AnomalyDetector",
    "AnomalyRegion",
    "AutonomousAnalysis",
    "AutonomousReconstructionEngine",
    "CrossReconstruction",
    "CudaKernel",
    "CustomReconstructionKernel",
    "HatataMDPEngine",
    "IsotonicCalibrator",
    "IterationRecord",
    "MDPSolution",
    "NoiseAnalysis",
    "NoiseLevel",
    "NoiseLevelFunction",
    "NoiseScale",
    "OperatingCharacteristics",
    "PatchScore",
    "RegionalReconstruction",
    "RegionalReconstructionEngine",
    "ReliabilityCurve",
    "SegmentAwareReconstruction",
    "SegmentAwareReconstructionEngine",
    "SegmentNoise",
    "SegmentReconstruction",
    "StoppingBoundaries",
    "StoppingPolicy",
    "TransitionIntervals",
    "TransitionPosterior",
    "UnderstandingScore",
    "UnderstandingTest",
    "ValueIntervals",
    "Verification",
    "VerificationCosts",
    "VerificationStep",
    "ZengezaNoiseDetector",
    "algorithms",
    "expected_calibration_error",
    "register_algorithm",
    "reliability_curve",
    "texture_faithfulness",
    "unregister_algorithm",
]


def __dir__() -> list[str]:
    return sorted(__all__)
