"""The engines."""

from helicopter.core.autonomous_engine import STRATEGIES, AutonomousReconstructionEngine
from helicopter.core.cross_results import CrossReconstruction, PatchScore
from helicopter.core.masking import MASKING_STRATEGIES
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
from helicopter.core.texture import texture_faithfulness

__all__ = [
    "MASKING_STRATEGIES",
    "STRATEGIES",
    "Analysis",
    "AutonomousAnalysis",
    "AutonomousReconstructionEngine",
    "CrossReconstruction",
    "CustomReconstructionKernel",
    "IterationRecord",
    "PatchScore",
    "RegionalReconstruction",
    "RegionalReconstructionEngine",
    "UnderstandingScore",
    "UnderstandingTest",
    "algorithms",
    "register_algorithm",
    "texture_faithfulness",
    "unregister_algorithm",
]
