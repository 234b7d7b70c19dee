"""What episodes tell about transition probabilities: a Dirichlet distribution for each pair.

Dirichlet priors over the rows of a Markov decision process go back to Martin (1967); sampling from
the posterior to act is Strens, A Bayesian framework for reinforcement learning (2000); Duff,
Optimal learning (2002), and Ghavamzadeh et al., Bayesian reinforcement learning: a survey (2015),
go through the rest. For the marginals see Gelman et al., Bayesian data analysis, 3rd ed., A.1.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._shared.checks import check_fraction, check_integer, check_seed
from helicopter.backends import resolve
from helicopter.errors import InvalidOptionError

from ._labels import Labels
from ._mdp import MDP
from ._posterior_input import (
    read_indices,
    read_label,
    read_policy,
    read_prior,
    read_reward,
    read_rewards,
    read_steps,
)
from ._results import TransitionIntervals, ValueIntervals

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

__all__ = ["TransitionPosterior"]


class TransitionPosterior:
    """Dirichlet posteriors of the transition probabilities of each state and action.

    Parameters
    ----------
    n_states, n_actions : int
    prior : float, array_like of shape (S, A, S), or sparse, default 1.0
        Weights of the Dirichlet prior, in observations: one number above 0 for all transitions; an
        array, with 0 where a transition cannot be; a sparse matrix (S * A, S) with row s * A + a,
        or a sequence of A sparse matrices (S, S), without entries where a transition cannot be. A
        pair without any is an action that is not available; a state without any is terminal.
    rewards : array_like of shape (S, A) or (S,), optional
        Expected rewards, where they are known. Else the mean of those that were seen is used, and 0
        for a pair that never was.
    states, actions : sequence of hashable, optional
        Labels, which episodes may then be made of.
    device : str, default "auto"
    use_rust_acceleration : bool, optional
        Of the models that are made; see `MDP`.

    Attributes
    ----------
    n_states, n_actions : int
    states, actions : sequence
        The labels, or the numbers if there are none.
    backend, device : str

    Raises
    ------
    InvalidModelError, InvalidOptionError, DeviceError, RustAccelerationError

    Examples
    --------
    >>> from helicopter.core import TransitionPosterior
    >>> posterior = TransitionPosterior(2, 1)
    >>> posterior.update([(0, 0, 1.0, 1), (1, 0, 0.0, 0), (0, 0, 1.0, 1)])
    >>> posterior.interval().mean[0, 0]
    array([0.25, 0.75])
    """

    def __init__(
        self,
        n_states: int,
        n_actions: int,
        prior: object = 1.0,
        rewards: object = None,
        *,
        states: Sequence[Hashable] | None = None,
        actions: Sequence[Hashable] | None = None,
        device: str = "auto",
        use_rust_acceleration: bool | None = None,
    ) -> None:
        self.n_states = check_integer(n_states, "n_states", 1)
        self.n_actions = check_integer(n_actions, "n_actions", 1)
        self.backend, self.device = resolve(use_rust_acceleration, device)
        self._options: dict[str, Any] = {
            "device": device,
            "use_rust_acceleration": use_rust_acceleration,
        }
        self._states = Labels("states", states, self.n_states)
        self._actions = Labels("actions", actions, self.n_actions)
        self._sparse, pairs, columns, weights = read_prior(prior, self._states, self._actions)
        # entries are sorted by pair s * A + a, then by next state
        self._pair_of, self._next, self._prior = pairs, columns, weights
        self._counts = np.zeros(len(weights), dtype=np.int64)
        self._rows, self._first = np.unique(pairs, return_index=True)
        shape = (self.n_states, self.n_actions)
        self._known = None if rewards is None else read_rewards(rewards, shape)
        self._paid = np.zeros(self.n_states * self.n_actions)

    @property
    def states(self) -> Sequence[Hashable]:
        """Labels of the states."""
        return self._states.names

    @property
    def actions(self) -> Sequence[Hashable]:
        """Labels of the actions."""
        return self._actions.names

    @property
    def counts(self) -> NDArray[np.int64]:
        """How often each transition was seen; shaped like `TransitionIntervals.mean`."""
        return self._shaped(self._counts)

    @property
    def n_seen(self) -> int:
        """Number of steps taken in."""
        return int(self._counts.sum())

    def update(self, episodes: object) -> None:
        """Take in what was seen. If something is wrong with a step, none of them is taken in.

        Parameters
        ----------
        episodes : iterable, or array_like of shape (n, 4)
            Steps (state, action, reward, next state), or episodes that are sequences of steps: it
            makes no difference, since only transitions are counted. States and actions are labels,
            or numbers if there are none.

        Raises
        ------
        InvalidOptionError
            It says which step, also if the prior holds a transition for impossible.
        """
        steps = read_steps(episodes)
        if not steps:
            return
        state, action, after = (np.empty(len(steps), dtype=np.int64) for _ in range(3))
        reward = np.empty(len(steps))
        for number, step in enumerate(steps):
            name = f"episodes: step {number}"
            state[number] = self._states.number(read_label(step[0]), f"{name}: state")
            action[number] = self._actions.number(read_label(step[1]), f"{name}: action")
            after[number] = self._states.number(read_label(step[3]), f"{name}: next state")
            reward[number] = read_reward(step[2], name)
        self.update_arrays(state, action, reward, after)

    def update_arrays(
        self, states: object, actions: object, rewards: object, next_states: object
    ) -> None:
        """Take in steps as arrays of numbers, which is faster for many.

        Parameters
        ----------
        states, actions, next_states : integer array_like of shape (n,)
        rewards : array_like of shape (n,)

        Raises
        ------
        InvalidOptionError
        """
        state = read_indices(states, "states", None, self.n_states)
        action = read_indices(actions, "actions", len(state), self.n_actions)
        after = read_indices(next_states, "next_states", len(state), self.n_states)
        reward = np.asarray(rewards, dtype=np.float64)
        if reward.shape != state.shape or not np.isfinite(reward).all():
            raise InvalidOptionError(
                f"rewards: got shape {reward.shape}; expected {len(state)} finite numbers."
            )
        pair = state * self.n_actions + action
        keys = self._pair_of * self.n_states + self._next
        wanted = pair * self.n_states + after
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        missing = keys[place] != wanted
        if missing.any():
            at = int(np.argmax(missing))
            raise InvalidOptionError(
                f"episodes: step {at}: the prior has no weight for {self._states.say(state[at])}, "
                f"{self._actions.say(action[at])} to {self._states.say(after[at])}; expected a "
                "transition that can be."
            )
        self._counts += np.bincount(place, minlength=len(keys))
        self._paid += np.bincount(pair, weights=reward, minlength=len(self._paid))

    def mean(self, discount: float = 0.95) -> MDP:
        """Return the model with the posterior's mean probabilities.

        Parameters
        ----------
        discount : float, default 0.95
        """
        return self._model(self._mean(), discount)

    def sample(self, seed: int, n: int = 1, discount: float = 0.95) -> tuple[MDP, ...]:
        """Draw models from the posterior; the same on both backends.

        Parameters
        ----------
        seed : int
        n : int, default 1
        discount : float, default 0.95

        Returns
        -------
        tuple of MDP
        """
        generator = np.random.default_rng(check_seed(seed))
        count = check_integer(n, "n", 1)
        return tuple(self._model(self._draw(generator), discount) for _ in range(count))

    def interval(self, level: float = 0.95) -> TransitionIntervals:
        """Return central credible intervals of the transition probabilities, one by one.

        Parameters
        ----------
        level : float, default 0.95
            Probability of each.

        Returns
        -------
        TransitionIntervals
        """
        from scipy.special import betainccinv, betaincinv

        level = check_fraction(level, "level", ends=False)
        weights = self._prior + self._counts
        others = self._total(weights) - weights
        # a pair with one next state only: nothing is left for others, and rounding may say less
        alone = np.diff(np.append(self._first, len(weights)))[self._row_of()] == 1
        tail = (1.0 - level) / 2.0
        safe = np.where(alone, 1.0, others)
        lower = np.where(alone, 1.0, betaincinv(weights, safe, tail))
        upper = np.where(alone, 1.0, betainccinv(weights, safe, tail))
        where = (self._pair_of // self.n_actions, self._pair_of % self.n_actions, self._next)
        if not self._sparse:
            shape = (self.n_states, self.n_actions, self.n_states)
            where = tuple(np.indices(shape))
        return TransitionIntervals(
            mean=self._shaped(self._mean()),
            lower=self._shaped(lower),
            upper=self._shaped(upper),
            states=where[0],
            actions=where[1],
            next_states=where[2],
            level=level,
        )

    def value_interval(
        self,
        discount: float = 0.95,
        level: float = 0.95,
        n_samples: int = 200,
        seed: int = 0,
        *,
        policy: object = None,
        epsilon: float = 1e-6,
    ) -> ValueIntervals:
        """Return what is known of the optimal value, and of what a policy earns.

        Parameters
        ----------
        discount : float, default 0.95
        level : float, default 0.95
            Probability of the intervals.
        n_samples : int, default 200
            Models drawn, at least 2. The ends of the intervals are quantiles of so many numbers.
        seed : int, default 0
        policy : integer array_like of shape (S,), optional
            Action of each state, by number; -1 in terminal states. None: the best for `mean`.
        epsilon : float, default 1e-6
            How exactly each model is solved.

        Returns
        -------
        ValueIntervals

        Raises
        ------
        InvalidOptionError, InvalidModelError, ConvergenceError
        """
        started = time.perf_counter()
        level = check_fraction(level, "level", ends=False)
        count = check_integer(n_samples, "n_samples", 2)
        generator = np.random.default_rng(check_seed(seed))
        if policy is None:
            judged = self.mean(discount).solve(epsilon=epsilon).policy
        else:
            there = np.zeros(self.n_states * self.n_actions, dtype=bool)
            there[self._rows] = True
            judged = read_policy(policy, there.reshape(self.n_states, -1), self._states)
        kept = judged[self._pair_of // self.n_actions] == self._pair_of % self.n_actions
        best = np.empty((count, self.n_states))
        earned = np.empty_like(best)
        for number in range(count):
            drawn = self._draw(generator)
            best[number] = self._model(drawn, discount).solve(epsilon=epsilon).value
            earned[number] = self._model(drawn, discount, kept).solve(epsilon=epsilon).value
        ends = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
        lower, upper = np.quantile(best, ends, axis=0)
        policy_lower, policy_upper = np.quantile(earned, ends, axis=0)
        return ValueIntervals(
            mean=best.mean(axis=0),
            lower=lower,
            upper=upper,
            policy=judged,
            policy_mean=earned.mean(axis=0),
            policy_lower=policy_lower,
            policy_upper=policy_upper,
            level=level,
            discount=float(discount),
            n_samples=count,
            seed=int(seed),
            backend=self.backend,
            device=self.device,
            seconds=time.perf_counter() - started,
        )

    # ---- numbers

    def _row_of(self) -> NDArray[np.int64]:
        """Which of the rows that there are each entry belongs to."""
        lengths = np.diff(np.append(self._first, len(self._pair_of)))
        return np.repeat(np.arange(len(self._rows)), lengths)

    def _total(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of the row of each entry."""
        return np.asarray(np.add.reduceat(weights, self._first)[self._row_of()])

    def _mean(self) -> NDArray[np.float64]:
        weights = self._prior + self._counts
        return weights / self._total(weights)

    def _draw(self, generator: np.random.Generator) -> NDArray[np.float64]:
        """Draw probabilities: Gamma variables, divided by their sums.

        Those of small weights are so small that they all may be zero. So logarithms are drawn:
        Gamma(w) is Gamma(w + 1) times U^(1 / w), and -log U is exponential.
        """
        weights = self._prior + self._counts
        log = np.log(generator.standard_gamma(weights + 1.0))
        log -= generator.standard_exponential(len(weights)) / weights
        log -= np.maximum.reduceat(log, self._first)[self._row_of()]
        drawn = np.exp(log)
        return np.asarray(drawn / self._total(drawn))

    def _model(
        self, chances: NDArray[np.float64], discount: float, kept: NDArray[np.bool_] | None = None
    ) -> MDP:
        from scipy import sparse

        rows, pair_of, columns = self._rows, self._pair_of, self._next
        if kept is not None:
            pair_of, columns, chances = pair_of[kept], columns[kept], chances[kept]
            rows = np.unique(pair_of)
        starts = np.append(np.searchsorted(pair_of, rows), len(pair_of))
        transitions = sparse.csr_array((chances, columns, starts), shape=(len(rows), self.n_states))
        return MDP.from_pairs(
            rows // self.n_actions,
            rows % self.n_actions,
            transitions,
            self._mean_rewards()[rows],
            discount,
            state_labels=None if isinstance(self.states, range) else self.states,
            action_labels=None if isinstance(self.actions, range) else self.actions,
            **self._options,
        )

    def _mean_rewards(self) -> NDArray[np.float64]:
        if self._known is not None:
            return self._known
        seen = np.bincount(self._pair_of, weights=self._counts, minlength=len(self._paid))
        return self._paid / np.maximum(seen, 1.0)

    def _shaped(self, entries: NDArray[Any]) -> NDArray[Any]:
        if self._sparse:
            return entries.copy()
        whole = np.zeros((self.n_states * self.n_actions, self.n_states), dtype=entries.dtype)
        whole[self._pair_of, self._next] = entries
        return whole.reshape(self.n_states, self.n_actions, self.n_states)
