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

from helicopter.backends import resolve
from helicopter.errors import InvalidModelError, InvalidOptionError

from .mdp import MDP
from .pomdp_model import Labels
from .posterior_results import TransitionIntervals, ValueIntervals
from .validation import check_fraction, check_integer, check_seed

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["TransitionPosterior"]

STEP = "expected (state, action, reward, next state)"


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
        self._sparse, pairs, columns, weights = self._support(prior)
        # entries are sorted by pair s * A + a, then by next state
        self._pair_of, self._next, self._prior = pairs, columns, weights
        self._counts = np.zeros(len(weights), dtype=np.int64)
        self._rows, self._first = np.unique(pairs, return_index=True)
        self._known = None if rewards is None else self._rewards(rewards)
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
        steps = list(self._steps(episodes))
        if not steps:
            return
        state, action, after = (np.empty(len(steps), dtype=np.int64) for _ in range(3))
        reward = np.empty(len(steps))
        for number, step in enumerate(steps):
            name = f"episodes: step {number}"
            state[number] = self._states.number(_whole(step[0]), f"{name}: state")
            action[number] = self._actions.number(_whole(step[1]), f"{name}: action")
            after[number] = self._states.number(_whole(step[3]), f"{name}: next state")
            reward[number] = _reward(step[2], name)
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
        state = _indices(states, "states", None, self.n_states)
        action = _indices(actions, "actions", len(state), self.n_actions)
        after = _indices(next_states, "next_states", len(state), self.n_states)
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
            judged = self._policy(policy)
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

    # ---- input

    def _support(
        self, prior: Any
    ) -> tuple[bool, NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        shape = (self.n_states, self.n_actions, self.n_states)
        accepted = (
            f"a number above 0, an array of shape {shape}, a sparse matrix of shape "
            f"{(shape[0] * shape[1], shape[0])} or {self.n_actions} of shape {(shape[0],) * 2}"
        )
        whole = _stacked(prior, self.n_actions)
        sparse = whole is not None
        if whole is not None:
            if whole.shape != (shape[0] * shape[1], shape[0]):
                raise InvalidModelError(f"prior: got shape {whole.shape}; expected {accepted}.")
            whole = whole.tocsr()
            whole.sum_duplicates()
            pairs = np.repeat(np.arange(whole.shape[0]), np.diff(whole.indptr))
            columns, weights = whole.indices.astype(np.int64), whole.data.astype(np.float64)
        else:
            try:
                table = np.asarray(prior, dtype=np.float64)
            except (TypeError, ValueError):
                table = np.empty((0, 0))
            if table.ndim == 0 and table > 0:
                table = np.broadcast_to(table, shape)
            if table.shape != shape:
                given = repr(prior) if table.ndim == 0 else f"shape {table.shape}"
                raise InvalidModelError(f"prior: got {given}; expected {accepted}.")
            table = table.reshape(shape[0] * shape[1], shape[0])
            pairs, columns = np.nonzero(table)
            weights = table[pairs, columns]
        wrong = ~((weights >= 0.0) & (weights < np.inf))
        if wrong.any():
            at = int(np.argmax(wrong))
            state, action = divmod(int(pairs[at]), self.n_actions)
            raise InvalidModelError(
                f"prior: {self._states.say(state)}, {self._actions.say(action)} to "
                f"{self._states.say(int(columns[at]))}: got {float(weights[at])!r}; expected a "
                "finite number that is not below 0."
            )
        some = weights > 0.0
        if not some.any():
            raise InvalidModelError("prior: got no weight at all; expected some above 0.")
        return sparse, pairs[some], columns[some], weights[some]

    def _rewards(self, rewards: object) -> NDArray[np.float64]:
        shape = (self.n_states, self.n_actions)
        try:
            table = np.array(rewards, dtype=np.float64)
        except (TypeError, ValueError):
            table = np.empty(0)
        if table.shape == shape[:1]:
            table = np.repeat(table[:, None], self.n_actions, axis=1)
        if table.shape != shape or not np.isfinite(table).all():
            raise InvalidModelError(
                f"rewards: got shape {table.shape}; expected finite numbers of shape {shape} or "
                f"{shape[:1]}."
            )
        return table.ravel()

    def _policy(self, policy: object) -> NDArray[np.int64]:
        judged = _indices(policy, "policy", self.n_states, self.n_actions, least=-1)
        there = np.zeros(self.n_states * self.n_actions, dtype=bool)
        there[self._rows] = True
        table = there.reshape(self.n_states, self.n_actions)
        right = np.where(judged < 0, ~table.any(axis=1), table[np.arange(len(table)), judged])
        if not right.all():
            state = int(np.argmax(~right))
            raise InvalidOptionError(
                f"policy: {self._states.say(state)}: got action {int(judged[state])}; expected one "
                "that is available there, -1 in terminal states only."
            )
        return judged

    def _steps(self, episodes: Any) -> Iterable[Any]:
        if isinstance(episodes, np.ndarray) and episodes.ndim == 2 and episodes.shape[1] == 4:
            return list(episodes)
        try:
            items = list(episodes)
        except TypeError:
            raise InvalidOptionError(
                f"episodes: got {type(episodes).__name__}; {STEP}, or sequences of these."
            ) from None
        steps: list[Any] = []
        for item in items:
            if self._is_step(item):
                steps.append(item)
                continue
            within = list(item) if hasattr(item, "__iter__") and not isinstance(item, str) else None
            if within is None or not all(map(self._is_step, within)):
                raise InvalidOptionError(
                    f"episodes: step {len(steps)}: got {item!r}; {STEP}, or a sequence of these."
                )
            steps.extend(within)
        return steps

    def _is_step(self, item: Any) -> bool:
        """Tell a step from an episode: its reward is a number."""
        return (
            isinstance(item, (tuple, list, np.ndarray))
            and len(item) == 4
            and not isinstance(item[2], (tuple, list, str))
            and np.ndim(item[2]) == 0
        )


def _stacked(prior: Any, n_actions: int) -> Any:
    """Return a sparse prior as one matrix (S * A, S); None if it is not sparse."""
    if hasattr(prior, "tocsr"):
        return prior
    if not isinstance(prior, (list, tuple)) or not all(hasattr(one, "tocsr") for one in prior):
        return None
    if len(prior) != n_actions or len({one.shape for one in prior}) != 1:
        raise InvalidModelError(
            f"prior: got {len(prior)} sparse matrices; expected {n_actions} of one shape, one for "
            "each action."
        )
    from scipy import sparse

    tall = sparse.vstack([one.tocsr() for one in prior]).tocsr()
    n_states = prior[0].shape[0]
    order = np.arange(n_states * n_actions).reshape(n_actions, n_states).T.ravel()
    return tall[order]


def _whole(given: Any) -> Any:
    """Turn numbers from an array of floats back into whole ones."""
    if isinstance(given, (float, np.floating)) and float(given).is_integer():
        return int(given)
    return given


def _reward(given: Any, name: str) -> float:
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise InvalidOptionError(f"{name}: reward: got {given!r}; expected a finite number.")
    return number


def _indices(
    given: object, name: str, length: int | None, below: int, least: int = 0
) -> NDArray[np.int64]:
    array: NDArray[Any] = np.asarray(given)
    right = array.ndim == 1 and (array.dtype.kind in "iu" or array.size == 0)
    if not right or length not in (None, len(array)):
        size = "one axis" if length is None else f"shape ({length},)"
        raise InvalidOptionError(
            f"{name}: got {array.dtype} of shape {array.shape}; expected whole numbers of {size}."
        )
    wrong = (array < least) | (array >= below)
    if wrong.any():
        raise InvalidOptionError(
            f"{name}: got {array[int(np.argmax(wrong))]}; expected numbers from {least} to "
            f"{below - 1}."
        )
    return array.astype(np.int64)
