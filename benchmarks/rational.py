"""Decision models solved exactly: policy iteration with whole numbers of any length.

A float is a whole number over a power of two, and so is every product and sum of floats. Rows are
kept as whole numbers with a common power; linear equations are solved by Bareiss's elimination, in
which every division comes out even. Nothing is rounded, and nothing of helicopter is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """What an action leads to; reward and weights (discount x probability) are times 2**shift."""

    action: int
    shift: int
    reward: int
    weights: tuple[tuple[int, int], ...]  # (next state, weight)


#: The rows of every state; a state without any is terminal, and its value is zero.
Rows = Sequence[Sequence[Row]]


class Exact(NamedTuple):
    """The value of state s is numerators[s] / denominator, and the denominator is positive."""

    numerators: list[int]
    denominator: int
    policy: list[int]  # the place in the rows of each state, -1 in terminal states

    def at_least(self, state: int, bound: float) -> bool:
        """Whether a state is worth `bound` or more; infinite bounds are held by their sign."""
        if bound in (float("inf"), float("-inf")):
            return bound < 0
        above, below = bound.as_integer_ratio()
        return above * self.denominator <= self.numerators[state] * below

    def at_most(self, state: int, bound: float) -> bool:
        """Whether a state is worth `bound` or less."""
        if bound in (float("inf"), float("-inf")):
            return bound > 0
        above, below = bound.as_integer_ratio()
        return above * self.denominator >= self.numerators[state] * below


def _dyadic(number: float) -> tuple[int, int]:
    above, below = number.as_integer_ratio()
    return above, below.bit_length() - 1


def row(
    action: int,
    discount: float,
    successors: Iterable[tuple[int, float]],
    reward: float | Sequence[float],
) -> Row:
    """Make a row of floats, exactly as they are; rewards are one number, or one a successor."""
    successors = list(successors)
    factor, factor_shift = _dyadic(discount)
    parts = []  # (next state or -1 for the reward, whole number, shift)
    for state, probability in successors:
        number, shift = _dyadic(probability)
        parts.append((state, factor * number, factor_shift + shift))
    if isinstance(reward, float):
        parts.append((-1, *_dyadic(reward)))
    else:
        for (_, probability), each in zip(successors, reward, strict=True):
            (a, i), (b, j) = _dyadic(probability), _dyadic(each)
            parts.append((-1, a * b, i + j))
    common = max(shift for _, _, shift in parts)
    totals: dict[int, int] = {}
    for state, number, shift in parts:
        totals[state] = totals.get(state, 0) + (number << (common - shift))
    earned = totals.pop(-1)
    return Row(action, common, earned, tuple((s, w) for s, w in totals.items() if w))


def evaluate(rows: Rows, policy: Sequence[int]) -> Exact:
    """Return what a policy earns.

    Raises
    ------
    ArithmeticError
        If it goes on for ever without a discount: then the equations are not those of a value.
    """
    n = len(rows)
    matrix = [[0] * (n + 1) for _ in range(n)]
    for state, place in enumerate(policy):
        line = matrix[state]
        if place < 0:
            line[state] = 1
            continue
        chosen = rows[state][place]
        line[state] = 1 << chosen.shift
        line[n] = chosen.reward
        for successor, weight in chosen.weights:
            line[successor] -= weight
    before = 1
    for k in range(n):
        pivot_line = matrix[k]
        pivot = pivot_line[k]
        if pivot <= 0:  # a leading minor: positive for whatever comes to an end
            raise ArithmeticError("a policy that goes on for ever")
        for i in range(k + 1, n):
            line = matrix[i]
            factor = line[k]
            if factor:
                for j in range(k + 1, n + 1):
                    line[j] = (line[j] * pivot - factor * pivot_line[j]) // before
            else:
                for j in range(k + 1, n + 1):
                    line[j] = line[j] * pivot // before
        before = pivot
    values = [0] * n
    for i in range(n - 1, -1, -1):
        line = matrix[i]
        known = sum(line[j] * values[j] for j in range(i + 1, n))
        values[i] = (before * line[n] - known) // line[i]
    return Exact(values, before, list(policy))


def improve(rows: Rows, exact: Exact) -> list[int]:
    """Return the policy with every action replaced that another one strictly betters."""
    values, denominator = exact.numerators, exact.denominator
    policy = list(exact.policy)
    for state, choices in enumerate(rows):
        if not choices:
            continue
        best, best_shift = values[state], 0
        for place, choice in enumerate(choices):
            worth = choice.reward * denominator
            worth += sum(weight * values[successor] for successor, weight in choice.weights)
            if worth << best_shift > best << choice.shift:
                best, best_shift, policy[state] = worth, choice.shift, place
    return policy


def solve(rows: Rows, start: Sequence[int] | None = None) -> Exact:
    """Return the optimal value; `start` may be any policy and only makes it quicker."""
    first = [0 if choices else -1 for choices in rows]
    exact = evaluate(rows, first if start is None else start)
    while (better := improve(rows, exact)) != exact.policy:
        exact = evaluate(rows, better)
    return exact
