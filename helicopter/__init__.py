"""Helicopter tells how well an image can be explained from its own context.

It hides parts of an image, predicts them from what is left, with an uncertainty for every pixel,
and reports what could be predicted and what could not. It also tells how noisy the image is, with
which kinds of noise, and whether the evidence is enough to call the image understood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from helicopter._shared.display import provide
from helicopter._version import __version__

if TYPE_CHECKING:
    from helicopter import backends, core, errors, io, testing
    from helicopter.analysis import analyze, reconstruct
    from helicopter.anomalies import find_anomalies
    from helicopter.backends import get_num_threads, set_num_threads
    from helicopter.core.registry import algorithms, register_algorithm, unregister_algorithm
    from helicopter.core.segments._partition import segment
    from helicopter.decisions._mdp import MDP
    from helicopter.noise import estimate_noise, estimate_sigma

__all__ = [
    "MDP",
    "__version__",
    "algorithms",
    "analyze",
    "backends",
    "core",
    "errors",
    "estimate_noise",
    "estimate_sigma",
    "find_anomalies",
    "get_num_threads",
    "io",
    "reconstruct",
    "register_algorithm",
    "segment",
    "set_num_threads",
    "testing",
    "unregister_algorithm",
]

# Loaded on first use (PEP 562): importing the package costs no more than what is used of it.
_HOME = {
    "MDP": "helicopter.decisions._mdp",
    "algorithms": "helicopter.core.registry",
    "analyze": "helicopter.analysis",
    "estimate_noise": "helicopter.noise",
    "estimate_sigma": "helicopter.noise",
    "find_anomalies": "helicopter.anomalies",
    "get_num_threads": "helicopter.backends",
    "reconstruct": "helicopter.analysis",
    "register_algorithm": "helicopter.core.registry",
    "segment": "helicopter.core.segments._partition",
    "set_num_threads": "helicopter.backends",
    "unregister_algorithm": "helicopter.core.registry",
}
provide(figure="helicopter.plotting:plot_result", html="helicopter.report:result_to_html")

_SUBPACKAGES = ("backends", "core", "errors", "io", "testing")


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _SUBPACKAGES:
        return import_module(f"helicopter.{name}")
    raise AttributeError(f"module 'helicopter' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
