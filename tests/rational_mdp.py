"""Policy iteration in rational numbers, on the float64 numbers of a model as they are."""

from fractions import Fraction


def rational_rows(model):
    """Rows of a compressed model: for each state its (action, {next state: p}, reward)."""
    rows = []
    for state in range(len(model.pair_start) - 1):
        rows.append([])
        for pair in range(model.pair_start[state], model.pair_start[state + 1]):
            entries = range(model.row_start[pair], model.row_start[pair + 1])
            chances = {
                int(model.columns[k]): Fraction(float(model.probabilities[k])) for k in entries
            }
            reward = Fraction(float(model.rewards[pair])) + Fraction(float(model.rewards_low[pair]))
            rows[-1].append((int(model.actions[pair]), chances, reward))
    return rows


def solve_linear(matrix, right):
    """Gaussian elimination without rounding."""
    size = len(matrix)
    table = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for column in range(size):
        pivot = next(row for row in range(column, size) if table[row][column])
        table[column], table[pivot] = table[pivot], table[column]
        scale = 1 / table[column][column]
        table[column] = [value * scale for value in table[column]]
        for row in range(size):
            factor = table[row][column]
            if row != column and factor:
                table[row] = [
                    a - factor * b for a, b in zip(table[row], table[column], strict=True)
                ]
    return [row[-1] for row in table]


def policy_value(rows, discount, choice):
    """Value of the policy that takes pair choice[state] of each state that has any."""
    size = len(rows)
    matrix = [[Fraction(int(i == j)) for j in range(size)] for i in range(size)]
    right = [Fraction(0)] * size
    for state, pairs in enumerate(rows):
        if pairs:
            _, chances, right[state] = pairs[choice[state]]
            for target, chance in chances.items():
                matrix[state][target] -= discount * chance
    return solve_linear(matrix, right)


def optimal_value(rows, discount):
    """The optimal value, by Howard's policy iteration; every policy has to have a value."""
    discount = Fraction(discount)
    choice = [0] * len(rows)
    while True:
        value = policy_value(rows, discount, choice)
        better = list(choice)
        for state, pairs in enumerate(rows):
            gains = [
                reward + discount * sum(p * value[t] for t, p in chances.items())
                for _, chances, reward in pairs
            ]
            if pairs and max(gains) > gains[choice[state]]:
                better[state] = gains.index(max(gains))
        if better == choice:
            return value
        choice = better


def value_of(rows, discount, policy):
    """Value of a policy given by the numbers of its actions."""
    choice = [
        [action for action, _, _ in pairs].index(int(policy[state])) if pairs else -1
        for state, pairs in enumerate(rows)
    ]
    return policy_value(rows, Fraction(discount), choice)
