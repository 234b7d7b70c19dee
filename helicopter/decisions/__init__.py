"""Markov decision processes: solved between proven bounds, learnt from episodes, seen in part."""

from ._beliefs import POMDP
from ._mdp import MDP
from ._posterior import TransitionPosterior
from ._results import MDPSolution, TransitionIntervals, ValueIntervals

__all__ = [
    "MDP",
    "POMDP",
    "MDPSolution",
    "TransitionIntervals",
    "TransitionPosterior",
    "ValueIntervals",
]
