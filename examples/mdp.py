"""How much to order? A shop's stock as a decision process, solved between proven bounds."""

import math

from helicopter.core import MDP

ROOM, PRICE, COST, STORAGE, TRIP = 20, 8.0, 4.0, 0.2, 5.0
MOST = 15  # more customers a day than this come so seldom that they are counted as 15
chance = [math.exp(-6) * 6**n / math.factorial(n) for n in range(MOST)]
chance.append(1 - sum(chance))

steps = []
for stock in range(ROOM + 1):
    for order in range(ROOM - stock + 1):
        in_shop = stock + order
        for customers, p in enumerate(chance):
            sold = min(in_shop, customers)
            paid = TRIP * (order > 0) + COST * order + STORAGE * in_shop
            steps.append((stock, order, in_shop - sold, p, PRICE * sold - paid))

shop = MDP(steps, discount=0.99)
solution = shop.solve(epsilon=1e-8)
print(f"{shop.n_states} states, solved by {solution.method.replace('_', ' ')}")
print(f"an empty shop is worth {solution.lower[0]:.6f} to {solution.upper[0]:.6f}")
for stock in (0, 3, 6, 12):
    print(f"stock {stock:>2}: order {solution.policy[stock]}")

week = shop.solve(horizon=7, terminal_values=[3.0 * stock for stock in range(ROOM + 1)])
print("orders of a shop that closes after a week, and stays empty:", week.policy[:, 0].tolist())
