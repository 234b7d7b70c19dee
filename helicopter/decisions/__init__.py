"""Markov decision processes: solved between proven bounds, learnt from episodes, seen in part."""

from ._beliefs import POMDP
from ._mdp import MDP
from ._posterior import TransitionPosterior
from ._posterior_results import TransitionIntervals, ValueIntervals
from ._results import MDPSolution

__all__ = [
    "MDP",
    "POMDP",
    "MDPSolution",
    "TransitionIntervals",
    "TransitionPosterior",
    "ValueIntervals",
]
