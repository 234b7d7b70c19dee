"""Every value of each parameter with every value of each other, in as few cases as that takes.

A fault that needs three options to show itself is rare; the whole product is run by
``make exhaustive``.
"""

import itertools

import pytest


def product(*parameters):
    """Every combination of one value of each parameter."""
    return list(itertools.product(*parameters))


def pairs(*parameters):
    """So few combinations, in the order of `product`, that any two values meet in one of them."""
    return [combination for combination, chosen in _marked(*parameters) if chosen]


def all_pairs(**parameters):
    """Parametrize a test with `pairs`; the rest of the product is marked ``exhaustive``."""
    cases = [
        pytest.param(*combination, marks=() if chosen else pytest.mark.exhaustive)
        for combination, chosen in _marked(*parameters.values())
    ]
    return pytest.mark.parametrize(tuple(parameters), cases)


def _marked(*parameters):
    """Combinations, and whether `pairs` has them: greedily, the one with most new pairs first."""
    indices = [range(len(values)) for values in parameters]
    candidates = {
        combination: set(itertools.combinations(enumerate(combination), 2))
        for combination in itertools.product(*indices)
    }
    missing, chosen = set().union(*candidates.values()), set()
    while missing:
        best = max(candidates, key=lambda combination: len(candidates[combination] & missing))
        missing -= candidates[best]
        chosen.add(best)
    combinations = itertools.product(*parameters)
    return [(values, at in chosen) for values, at in zip(combinations, candidates, strict=True)]
