"""The engines."""

from .anomalies._detector import AnomalyDetector
from .autonomous_engine import STRATEGIES, AutonomousReconstructionEngine
from .evidence._calibration import (
    IsotonicCalibrator,
    ReliabilityCurve,
    expected_calibration_error,
    reliability_curve,
)
from .evidence._stopping_policy import OperatingCharacteristics, StoppingPolicy
from .gittins import GittinsIndex, GittinsTable, gittins_index, gittins_table
from .hatata_mdp import HatataMDPEngine
from .mdp import MDP
from .mdp_results import MDPSolution
from .pomdp import POMDP
from .pomdp_results import POMDPSolution
from .posterior_results import TransitionIntervals, ValueIntervals
from .prediction._masking import MASKING_STRATEGIES
from .prediction._texture import texture_faithfulness
from .regional_engine import RegionalReconstructionEngine
from .registry import (
    CustomReconstructionKernel,
    algorithms,
    register_algorithm,
    unregister_algorithm,
)
from .results._analysis import Analysis
from .results._anomalies import AnomalyAnalysis, AnomalyRegion
from .results._autonomous import AutonomousAnalysis, IterationRecord
from .results._noise import (
    NOISE_ACTIONS,
    NOISE_KINDS,
    NoiseAnalysis,
    NoiseLevel,
    NoiseLevelFunction,
    NoiseScale,
    SegmentNoise,
)
from .results._regional import (
    CrossReconstruction,
    PatchScore,
    RegionalReconstruction,
    UnderstandingScore,
    UnderstandingTest,
)
from .results._segments import SEGMENT_TYPES, SegmentAwareReconstruction, SegmentReconstruction
from .results._verification import (
    VERIFIER_ACTIONS,
    VERIFIER_STATES,
    StoppingBoundaries,
    Verification,
    VerificationCosts,
    VerificationStep,
)
from .segment_aware import SegmentAwareReconstructionEngine
from .sequential_test import SequentialCharacteristics, SequentialTest, SequentialTestResult
from .transition_posterior import TransitionPosterior
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
    "CustomReconstructionKernel",
    "GittinsIndex",
    "GittinsTable",
    "HatataMDPEngine",
    "IsotonicCalibrator",
    "IterationRecord",
    "MDPSolution",
    "NoiseAnalysis",
    "NoiseLevel",
    "NoiseLevelFunction",
    "NoiseScale",
    "OperatingCharacteristics",
    "POMDPSolution",
    "PatchScore",
    "RegionalReconstruction",
    "RegionalReconstructionEngine",
    "ReliabilityCurve",
    "SegmentAwareReconstruction",
    "SegmentAwareReconstructionEngine",
    "SegmentNoise",
    "SegmentReconstruction",
    "SequentialCharacteristics",
    "SequentialTest",
    "SequentialTestResult",
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
    "gittins_index",
    "gittins_table",
    "register_algorithm",
    "reliability_curve",
    "texture_faithfulness",
    "unregister_algorithm",
]
