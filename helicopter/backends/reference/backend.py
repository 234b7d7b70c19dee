"""The reference backend as the engines see it: the functions of the protocol, from their places."""

from typing import Final, Literal

from helicopter._shared.blas import squared_distances

from .algorithms.exemplar import fill as exemplar
from .analysis.anomaly_map import measure as anomaly_measurements
from .analysis.hatata_mdp import stopping_policy, verify
from .analysis.mdp.compress import compress_dense, compress_rows
from .analysis.mdp.solver import q_values, solve_horizon
from .analysis.mdp.solver import solve as solve_mdp
from .analysis.zengeza_detector import analyze_noise, noise_level
from .reconstruction.autonomous_engine import run as autonomous
from .reconstruction.regional_engine import reconstruct
from .reconstruction.scores import score
from .reconstruction.segment_aware import run as segment_aware
from .reconstruction.uncertainty import hidden_distance, hidden_variance
from .segmentation import segment

__all__ = [
    "analyze_noise",
    "anomaly_measurements",
    "autonomous",
    "compress_dense",
    "compress_rows",
    "exemplar",
    "hidden_distance",
    "hidden_variance",
    "name",
    "noise_level",
    "q_values",
    "reconstruct",
    "score",
    "segment",
    "segment_aware",
    "solve_horizon",
    "solve_mdp",
    "squared_distances",
    "stopping_policy",
    "verify",
]

name: Final[Literal["python"]] = "python"
