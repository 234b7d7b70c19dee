"""The engines."""

from helicopter.core.anomalies import AnomalyDetector
from helicopter.core.anomaly_results import AnomalyAnalysis, AnomalyRegion
from helicopter.core.autonomous_engine import STRATEGIES, AutonomousReconstructionEngine
from helicopter.core.beliefs import POMDP
from helicopter.core.calibration import (
    IsotonicCalibrator,
    ReliabilityCurve,
    expected_calibration_error,
    reliability_curve,
)
from helicopter.core.cross_results import CrossReconstruction, PatchScore
from helicopter.core.hatata_mdp import HatataMDPEngine
from helicopter.core.hatata_results import (
    VERIFIER_ACTIONS,
    VERIFIER_STATES,
    StoppingBoundaries,
    Verification,
    VerificationCosts,
    VerificationStep,
)
from helicopter.core.masking import MASKING_STRATEGIES
from helicopter.core.mdp import MDP
from helicopter.core.mdp_results import MDPSolution
from helicopter.core.noise_results import (
    NOISE_ACTIONS,
    NOISE_KINDS,
    NoiseAnalysis,
    NoiseLevel,
    NoiseLevelFunction,
    NoiseScale,
    SegmentNoise,
)
from helicopter.core.posterior_results import TransitionIntervals, ValueIntervals
from helicopter.core.regional_engine import RegionalReconstructionEngine
from helicopter.core.registry import (
    CustomReconstructionKernel,
    algorithms,
    register_algorithm,
    unregister_algorithm,
)
from helicopter.core.results import (
    Analysis,
    AutonomousAnalysis,
    IterationRecord,
    RegionalReconstruction,
    UnderstandingScore,
    UnderstandingTest,
)
from helicopter.core.segment_aware import SegmentAwareReconstructionEngine
from helicopter.core.segment_results import (
    SEGMENT_TYPES,
    SegmentAwareReconstruction,
    SegmentReconstruction,
)
from helicopter.core.stopping_policy import OperatingCharacteristics, StoppingPolicy
from helicopter.core.texture import texture_faithfulness
from helicopter.core.transition_posterior import TransitionPosterior
from helicopter.core.zengeza_detector import ZengezaNoiseDetector

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
