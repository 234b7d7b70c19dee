"""Small published models that are seen through observations only, and what is known of them."""

import numpy as np


def tiger():
    """Kaelbling, Littman and Cassandra (1998): listen, open left, open right."""
    stay, anew = np.eye(2), np.full((2, 2), 0.5)
    hear = np.array([[0.85, 0.15], [0.15, 0.85]])
    return {
        "transitions": np.stack([stay, anew, anew], axis=1),
        "observations": np.stack([hear, anew, anew]),
        "rewards": np.array([[-1.0, -100.0, 10.0], [-1.0, 10.0, -100.0]]),
    }


def shuttle():
    """Chrisman (1992), as in the collection of Cassandra: turn around, go forward, back up."""
    move = np.zeros((8, 3, 8))
    move[range(8), 0, (1, 4, 5, 6, 1, 2, 3, 1)] = 1
    move[range(8), 1, (4, 1, 1, 2, 5, 6, 6, 4)] = 1
    back = move[:, 2]
    back[0, 7] = back[7, 7] = 1
    back[1, [1, 2, 4]] = 0.4, 0.3, 0.3
    back[2, [2, 3, 6]] = 0.1, 0.8, 0.1
    back[3, [0, 3]] = 0.7, 0.3
    back[4, [4, 7]] = 0.3, 0.7
    back[5, [1, 4, 5]] = 0.1, 0.8, 0.1
    back[6, [3, 5, 6]] = 0.3, 0.3, 0.4
    see = np.zeros((8, 5))
    see[[0, 1, 3, 4, 6, 7], [4, 1, 3, 3, 0, 2]] = 1
    see[2, [1, 3]] = see[5, [0, 3]] = 0.7, 0.3
    pay = np.zeros((8, 3, 8))
    pay[1, 1, 1] = pay[6, 1, 6] = -3
    pay[3, 2, 0] = 10
    return {"transitions": move, "observations": see, "rewards": pay}


def cheese_maze():
    """McCallum (1993), as in the collection of Cassandra: north, south, east, west.

    Cells 0 to 4 are a row, of which the first, the middle and the last lead down to others, the
    middle one at last to the cheese, 10. From there it starts anew.
    """
    after = np.tile(np.arange(11)[:, None], (1, 4))
    for one, other in ((0, 1), (1, 2), (2, 3), (3, 4)):
        after[one, 2], after[other, 3] = other, one
    for one, other in ((0, 5), (2, 6), (4, 7), (5, 8), (7, 9)):
        after[one, 1], after[other, 0] = other, one
    after[6, 1] = 10
    move = np.zeros((11, 4, 11))
    move[np.arange(11)[:, None], np.arange(4), after] = 1
    move[10] = 0
    move[10, :, :10] = 0.1
    pay = np.zeros((11, 4, 11))
    pay[:10, :, 10] = 1
    see = np.eye(7)[[0, 1, 2, 1, 3, 4, 4, 4, 5, 5, 6]]
    return {"transitions": move, "observations": see, "rewards": pay}


def paint():
    """Part painting, as in the collection of Cassandra: paint, inspect, ship, reject.

    The parts are: fine and bare, fine and painted, flawed and painted, flawed and bare. What was
    shipped or rejected is replaced by a new one, fine or flawed.
    """
    start = [0.5, 0, 0, 0.5]
    move = np.zeros((4, 4, 4))
    move[:, 0] = [[0.1, 0.9, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0.9, 0.1]]
    move[:, 1] = np.eye(4)
    move[:, 2:] = start
    see = np.zeros((4, 4, 2))
    see[:, :, 0] = 1
    see[1] = [[0.75, 0.25]] * 3 + [[0.25, 0.75]]
    pay = np.zeros((4, 4))
    pay[:, 2] = -1, 1, -1, -1
    pay[:, 3] = -1, -1, 0, 1
    return {"transitions": move, "observations": see, "rewards": pay}


def random_model(generator, n_states, n_actions, n_seen, sparse=False):
    """A model of random probabilities; `sparse`: with many zeros."""

    def rows(*shape):
        table = generator.dirichlet(np.ones(shape[-1]), shape[:-1])
        if sparse:
            table = np.where(generator.random(shape) < 0.4, 0.0, table)
            table[..., 0] += table.sum(axis=-1) == 0
        return table / table.sum(axis=-1, keepdims=True)

    return {
        "transitions": rows(n_states, n_actions, n_states),
        "observations": rows(n_actions, n_states, n_seen),
        "rewards": generator.normal(0, 3, (n_states, n_actions)),
    }


def joint_of(model):
    """Probability of observation and next state, given action and state: (A, O, S, S')."""
    return np.einsum("sat,ato->aost", model["transitions"], _by_action(model))


def _by_action(model):
    see = model["observations"]
    n_actions = model["transitions"].shape[1]
    return np.broadcast_to(see, (n_actions, *see.shape)) if see.ndim == 2 else see


def tree_bounds(model, discount, belief, depth):
    """Enclose the optimal value by going through all sequences of actions and observations.

    What comes after `depth` steps is worth the largest reward for ever at most, and the smallest
    at least.
    """
    joint, rewards = joint_of(model), model["rewards"]
    if rewards.ndim == 3:
        rewards = (model["transitions"] * rewards).sum(axis=2)
    ends = rewards.min() / (1 - discount), rewards.max() / (1 - discount)
    levels = [belief[None]]
    for _ in range(depth):  # measures: beliefs times the probability to get there
        levels.append(np.einsum("ns,aost->naot", levels[-1], joint).reshape(-1, len(belief)))
    n_actions, n_seen = joint.shape[:2]
    values = [end * levels[-1].sum(axis=1) for end in ends]
    for measures in levels[-2::-1]:
        values = [
            (measures @ rewards + discount * v.reshape(-1, n_actions, n_seen).sum(2)).max(1)
            for v in values
        ]
    return float(values[0][0]), float(values[1][0])


def exact_two_states(model, discount, belief, accuracy=1e-10):
    """Value of a model with two states, by exact value iteration on sets of vectors.

    Over two states a vector is a line over the probability of the second, and the value of a
    horizon is the upper envelope of lines (Smallwood and Sondik 1973). A sum of envelopes bends
    where one of them bends, so nothing has to be enumerated and no linear program to be solved.
    """
    joint, rewards = joint_of(model), model["rewards"]
    n_actions, n_seen = joint.shape[:2]
    grid = np.linspace(0, 1, 2001)
    grid = np.stack([1 - grid, grid])
    lines = np.full((1, 2), rewards.min() / (1 - discount))
    while True:
        found = []
        for action in range(n_actions):
            total = rewards[:, action][None]
            for seen in range(n_seen):
                total = _sum(total, _highest(discount * lines @ joint[action, seen].T)[0])
            found.append(total)
        found = _highest(np.concatenate(found))[0]
        moved = np.abs((found @ grid).max(axis=0) - (lines @ grid).max(axis=0)).max()
        lines = found
        if moved * discount / (1 - discount) < accuracy:
            return float((lines @ belief).max())


def _sum(one, other):
    """The envelope of all sums of a line of one and a line of the other envelope."""
    bends = np.unique(np.concatenate([_highest(one)[1], _highest(other)[1], [1.0]]))
    middle = (bends[1:] + bends[:-1]) / 2
    points = np.stack([1 - middle, middle])
    return one[(one @ points).argmax(axis=0)] + other[(other @ points).argmax(axis=0)]


def _highest(lines):
    """The lines that are the highest somewhere between 0 and 1, and from where on each is."""
    slopes = (lines[:, 1] - lines[:, 0]).tolist()
    heights = lines[:, 0].tolist()
    kept, start = [], []
    for line in sorted(range(len(lines)), key=lambda k: (slopes[k], heights[k])):
        since = 0.0
        while kept:
            steeper = slopes[line] - slopes[kept[-1]]
            higher = heights[kept[-1]] - heights[line]  # at 0
            since = higher / steeper if steeper > 1e-12 else (np.inf if higher > 0 else -np.inf)
            if since > start[-1]:
                break
            kept.pop()
            start.pop()
        if not kept:
            since = 0.0
        if since < 1.0:
            kept.append(line)
            start.append(since)
    return lines[kept], start
