"""Models from books, with the answers that the books give or that follow by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest
from rational_mdp import optimal_value, rational_rows
from scipy.sparse import csr_array

from helicopter.core import MDP

METHODS = ("auto", "value_iteration", "policy_iteration", "modified_policy_iteration")
close = {"rel": 0, "abs": 1e-9}


def forest(size=3, fire=0.1):
    """Forest management: wait or cut (MDPtoolbox; Chades et al., Ecography 37, 2014)."""
    chances = np.zeros((2, size, size))
    chances[0, :, 0] = fire
    chances[0, np.arange(size), np.minimum(np.arange(size) + 1, size - 1)] = 1 - fire
    chances[1, :, 0] = 1
    rewards = np.zeros((size, 2))
    rewards[-1] = 4, 2
    rewards[1:-1, 1] = 1
    return chances, rewards


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("discount", "numerators", "denominator"),
    [(0.9, (6561, 7371, 8371), 250), (0.95, (29241, 30951, 32951), 500)],
)
def test_forest(mdp, method, discount, numerators, denominator):
    # (A, S, S) from shape (2, 3, 3)
    solution = mdp(*forest(), discount).solve(method, 1e-10)
    assert solution.value == pytest.approx([n / denominator for n in numerators], **close)
    assert solution.policy.tolist() == [0, 0, 0]
    if method != "auto":
        assert solution.method == method
    assert solution.criterion == "discounted"


def grid_world(reward=-0.04):
    """Russell & Norvig, Artificial Intelligence, section 17.1: (x, y), 4 x 3, a wall at (2, 2)."""
    ways = {"up": (0, 1), "right": (1, 0), "down": (0, -1), "left": (-1, 0)}
    names = list(ways)
    cells = [(x, y) for y in (1, 2, 3) for x in (1, 2, 3, 4) if (x, y) != (2, 2)]

    def reached(cell, way):
        there = (cell[0] + ways[way][0], cell[1] + ways[way][1])
        return there if there in cells else cell

    for cell in cells:
        if cell in ((4, 3), (4, 2)):
            yield cell, "exit", "end", 1, 1 if cell == (4, 3) else -1
            continue
        for number, way in enumerate(names):
            for turn, chance in ((0, 0.8), (1, 0.1), (3, 0.1)):
                yield cell, way, reached(cell, names[(number + turn) % 4]), chance, reward


# figure 17.3, as printed
UTILITIES = {
    (1, 3): 0.812, (2, 3): 0.868, (3, 3): 0.918, (4, 3): 1.0,
    (1, 2): 0.762, (3, 2): 0.660, (4, 2): -1.0,
    (1, 1): 0.705, (2, 1): 0.655, (3, 1): 0.611, (4, 1): 0.388,
}  # fmt: skip


def test_russell_and_norvig(mdp):
    # bumping into walls for ever is a policy, too: so with a discount that makes no difference
    made = mdp(grid_world(), discount=1 - 1e-7)
    solution = made.solve(epsilon=1e-10)
    value = dict(zip(made.states, solution.value, strict=True))
    for cell, printed in UTILITIES.items():
        assert value[cell] == pytest.approx(printed, abs=5.1e-4)
    exact = optimal_value(rational_rows(made._model), made.discount)
    assert solution.value == pytest.approx([float(v) for v in exact], **close)
    ways = {
        state: made.actions[action]
        for state, action in zip(made.states, solution.policy, strict=True)
        if action >= 0
    }
    # figure 17.2a
    assert ways == {
        (1, 3): "right", (2, 3): "right", (3, 3): "right", (4, 3): "exit",
        (1, 2): "up", (3, 2): "up", (4, 2): "exit",
        (1, 1): "up", (2, 1): "left", (3, 1): "left", (4, 1): "left",
    }  # fmt: skip


def taxicab():
    """Howard, Dynamic Programming and Markov Processes, 1960, chapter 5."""
    table = {
        (0, 0): ((1 / 2, 1 / 4, 1 / 4), (10, 4, 8)),
        (0, 1): ((1 / 16, 3 / 4, 3 / 16), (8, 2, 4)),
        (0, 2): ((1 / 4, 1 / 8, 5 / 8), (4, 6, 4)),
        (1, 0): ((1 / 2, 0, 1 / 2), (14, 0, 18)),
        (1, 1): ((1 / 16, 7 / 8, 1 / 16), (8, 16, 8)),
        (2, 0): ((1 / 4, 1 / 4, 1 / 2), (10, 2, 8)),
        (2, 1): ((1 / 8, 3 / 4, 1 / 8), (6, 4, 2)),
        (2, 2): ((3 / 4, 1 / 16, 3 / 16), (4, 0, 8)),
    }
    chances, rewards = np.zeros((3, 3, 3)), np.full((3, 3, 3), -np.inf)
    for pair, (chance, reward) in table.items():
        chances[pair], rewards[pair] = chance, reward
    return chances, rewards


def test_taxicab_with_a_discount(mdp):
    # Howard, table 7.2: the best policy at discount 0.9 is (2, 2, 2)
    solution = mdp(*taxicab(), discount=0.9, action_axis=1).solve(epsilon=1e-10)
    assert (solution.policy + 1).tolist() == [2, 2, 2]
    assert solution.value == pytest.approx([121.6, 135.3, 122.8], abs=0.1)


# Howard 1960, chapter 3: states 1 successful, 2 unsuccessful toy; each with a costly alternative
TOYMAKER = [
    (1, "plain", 1, 0.5, 9), (1, "plain", 2, 0.5, 3),
    (1, "advertise", 1, 0.8, 4), (1, "advertise", 2, 0.2, 4),
    (2, "plain", 1, 0.4, 3), (2, "plain", 2, 0.6, -7),
    (2, "research", 1, 0.7, 1), (2, "research", 2, 0.3, -19),
]  # fmt: skip


def test_toymaker_with_a_discount(mdp):
    # Howard, section 7: 22.2 and 12.3
    solution = mdp(TOYMAKER, discount=0.9, states=[1, 2]).solve(epsilon=1e-10)
    assert solution.value == pytest.approx([2020 / 91, 160 / 13], **close)
    assert solution.value == pytest.approx([22.2, 12.3], abs=0.05)


def test_toymaker_over_a_horizon(mdp):
    # Howard, table 2.1 (the policy that never spends): 0, 6, 7.5, 8.55 and 0, -3, -2.4, -1.44
    plain = [step for step in TOYMAKER if step[1] == "plain"]
    solution = mdp(plain, discount=1, states=[1, 2]).solve(horizon=4, epsilon=1e-10)
    backwards = solution.value[::-1]
    assert backwards[:, 0] == pytest.approx([0, 6, 7.5, 8.55, 9.555], **close)
    assert backwards[:, 1] == pytest.approx([0, -3, -2.4, -1.44, -0.444], **close)
    # with the alternatives (table 3.1): 0, 6, 8.2, 10.222 and 0, -3, -1.7, 0.232
    backwards = mdp(TOYMAKER, discount=1, states=[1, 2]).solve(horizon=4, epsilon=1e-10).value[::-1]
    assert backwards[:4, 0] == pytest.approx([0, 6, 8.2, 10.22], **close)
    assert backwards[:4, 1] == pytest.approx([0, -3, -1.7, 0.23], **close)


def test_puterman_two_states(mdp):
    # Puterman, Markov Decision Processes, 1994, section 3.1; discounted in section 6.2: -20 in
    # state 2 for ever, and 5 + 0.95 / 2 (v1 + v2) against 10 + 0.95 v2 in state 1
    steps = [(1, 1, 1, 0.5, 5), (1, 1, 2, 0.5, 5), (1, 2, 2, 1, 10), (2, 1, 2, 1, -1)]
    solution = mdp(steps, discount=0.95, states=[1, 2], actions=[1, 2]).solve(epsilon=1e-10)
    assert solution.value == pytest.approx([-60 / 7, -20], **close)
    assert solution.policy.tolist() == [0, 0]
    low = mdp(steps, discount=0.5, states=[1, 2], actions=[1, 2]).solve(epsilon=1e-10)
    assert low.value == pytest.approx([9, -2], **close)
    assert low.policy.tolist() == [1, 0]


def test_sutton_and_barto_grid(mdp):
    # Reinforcement Learning, 2nd edition, example 3.8: the optimal values of figure 3.5
    steps = []
    for y in range(5):
        for x in range(5):
            for action, (dy, dx) in enumerate(((-1, 0), (1, 0), (0, -1), (0, 1))):
                if (y, x) == (0, 1):
                    steps.append((5 * y + x, action, 21, 1, 10))
                elif (y, x) == (0, 3):
                    steps.append((5 * y + x, action, 13, 1, 5))
                elif 0 <= y + dy < 5 and 0 <= x + dx < 5:
                    steps.append((5 * y + x, action, 5 * (y + dy) + x + dx, 1, 0))
                else:
                    steps.append((5 * y + x, action, 5 * y + x, 1, -1))
    value = mdp(steps, discount=0.9).solve(epsilon=1e-10).value
    printed = [
        [22.0, 24.4, 22.0, 19.4, 17.5],
        [19.8, 22.0, 19.8, 17.8, 16.0],
        [17.8, 19.8, 17.8, 16.0, 14.4],
        [16.0, 17.8, 16.0, 14.4, 13.0],
        [14.4, 16.0, 14.4, 13.0, 11.7],
    ]
    assert value.reshape(5, 5) == pytest.approx(np.array(printed), abs=0.051)
    assert value[1] == pytest.approx(10 / (1 - 0.9**5), **close)


@pytest.mark.parametrize("heads", [0.4, 0.25])
def test_a_gambler_who_wants_a_hundred(mdp, heads):
    # Sutton & Barto, example 4.3; Dubins & Savage 1965: bold play is best. From 50: one toss.
    steps = []
    for money in range(1, 100):
        for stake in range(1, min(money, 100 - money) + 1):
            won = 1 if money + stake == 100 else 0
            steps.append((money, stake, money + stake, heads, won))
            steps.append((money, stake, money - stake, 1 - heads, 0))
    value = mdp(steps, discount=1).solve(epsilon=1e-12).value
    assert value[50] == pytest.approx(heads, **close)
    assert value[25] == pytest.approx(heads**2, **close)
    assert value[75] == pytest.approx(heads + (1 - heads) * heads, **close)


def ruin(reward):
    for place in range(1, 8):
        yield place, 0, place + 1, 0.7, reward(place + 1)
        yield place, 0, place - 1, 0.3, reward(place - 1)


def test_gamblers_ruin(mdp):
    # Feller, An Introduction to Probability Theory, 1968, chapter XIV: 4 from either end, 0.7
    won = mdp(ruin(lambda place: place == 8), discount=1).solve(epsilon=1e-12)
    assert won.value[4] == pytest.approx(2401 / 2482, **close)
    steps = mdp(ruin(lambda place: 1), discount=1).solve(epsilon=1e-12)
    assert steps.value[4] == pytest.approx(9.347300564, **close)
    assert won.criterion == "total"
    assert won.policy.tolist() == [-1, *[0] * 7, -1]


def test_secretary(mdp):
    # Gilbert & Mosteller, JASA 61, 1966, table 2: n = 100, let 37 go by, 0.3710427787.
    # State r: the r-th candidate is the best so far. "take" wins with chance r / n.
    n = 100
    steps = []
    for r in range(1, n + 1):
        steps.append((r, "take", 0, 1, r / n))
        rest = 1.0
        for later in range(r + 1, n + 1):
            chance = r / (later * (later - 1))
            steps.append((r, "let go", later, chance, 0))
            rest -= chance
        steps.append((r, "let go", 0, r / n, 0))
    made = mdp(steps, discount=1, actions=["take", "let go"], states=range(n + 1))
    solution = made.solve(epsilon=1e-12)
    assert solution.value[1] == pytest.approx(0.3710427787, abs=1e-10)
    passed = [r for r in range(1, n + 1) if solution.policy[r] == 1]
    assert passed == list(range(1, 38))


def test_house_selling(mdp):
    # Offers uniform on [0, 1], one a day, discount 0.95: sell from (1 - sqrt(1 - 0.95²)) / 0.95 on
    # (Karlin 1962). Two half steps a day: an offer comes, then it is taken or not.
    cells = 100_000
    offers = (np.arange(cells) + 0.5) / cells
    waiting, sold = cells, cells + 1
    count = 2 * cells + 1
    states = np.concatenate([np.repeat(np.arange(cells), 2), [waiting]])
    actions = np.concatenate([np.tile([0, 1], cells), [0]])
    start = np.arange(count + 1)
    start[-1] = 2 * cells + cells
    columns = np.concatenate([np.tile([sold, waiting], cells), np.arange(cells)])
    chances = np.concatenate([np.ones(2 * cells), np.full(cells, 1 / cells)])
    rewards = np.zeros(count)
    rewards[0 : 2 * cells : 2] = offers
    transitions = csr_array((chances, columns, start), shape=(count, cells + 2))
    half = math.sqrt(0.95)
    made = MDP.from_pairs(
        states,
        actions,
        transitions,
        rewards,
        half,
        use_rust_acceleration=mdp(TOYMAKER).backend == "rust",
    )
    solution = made.solve(epsilon=1e-11)
    # an offer in hand is worth taking from half * V(waiting) on
    reservation = half * solution.value[waiting]
    assert reservation == pytest.approx(0.7239474735, **close)
    assert reservation == pytest.approx((1 - math.sqrt(1 - 0.95**2)) / 0.95, **close)
    assert np.array_equal(solution.policy[:cells] == 0, offers >= reservation)


def test_an_annuity(mdp):
    # one state, one action: the geometric series
    for discount in (0.1, 0.5, 0.95, 0.9999):
        solution = mdp([[[1.0]]], [[1.0]], discount).solve(epsilon=1e-9)
        exact = 1 / (1 - Fraction(discount))
        assert solution.value == pytest.approx([float(exact)], **close)
        assert solution.lower[0] <= exact <= solution.upper[0]


WORK, REST = [[0.7, 0.3], [0.2, 0.8]], [[1.0, 0.0], [0.05, 0.95]]


def test_as_many_actions_as_states_are_not_guessed(mdp):
    pay = np.array([[4.0, 9.0], [-2.0, 3.0]])
    with pytest.raises(ValueError, match=r"\(2, 2, 2\) may be .* action_axis=1 .* action_axis=0"):
        mdp([WORK, REST], pay, discount=0.9)
    right = pytest.approx([90.0, 50.714], abs=1e-3)
    by_action = np.array([WORK, REST])
    assert mdp(by_action, pay, discount=0.9, action_axis=0).solve().value == right
    by_state = by_action.transpose(1, 0, 2)
    assert mdp(by_state, pay, discount=0.9, action_axis=1).solve().value == right
    sparse_list = [csr_array(matrix) for matrix in by_action]
    assert mdp(sparse_list, pay, discount=0.9).solve().value == right
    for wrong in (2, True, "0"):
        with pytest.raises(ValueError, match="action_axis"):
            mdp(by_action, pay, action_axis=wrong)
    with pytest.raises(ValueError, match=r"expected \(A, S, S\)"):
        mdp(np.full((2, 1, 2), 0.5), pay[:, :1], action_axis=0)
