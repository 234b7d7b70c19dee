"""Markov decision processes, solved with proven bounds on the error."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from helicopter._messages import shown
from helicopter._shared.checks import check_choice, check_integer
from helicopter._shared.progress import as_callback
from helicopter.backends._engine import Engine
from helicopter.errors import ConvergenceError, InvalidModelError, InvalidOptionError

from ._model import build, build_from_pairs
from ._results import MDPSolution, as_arrays

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from helicopter._shared.progress import ProgressCallback
    from helicopter.backends.protocol import DecisionModel, MdpMethod, MdpRun

    from ._model import Built
    from ._results import Criterion

__all__ = ["MDP"]

Method = Literal[
    "auto",
    "value_iteration",
    "policy_iteration",
    "modified_policy_iteration",
    "backward_induction",
]

METHODS = (
    "auto",
    "value_iteration",
    "policy_iteration",
    "modified_policy_iteration",
    "backward_induction",
)


class MDP(Engine):
    """A Markov decision process: what can be done in which state, and what comes of it.

    The model is exactly what the float64 numbers say that it is made of: `solve` encloses the
    optimal value of that model, all roundings included.

    Parameters
    ----------
    transitions : array_like, sparse matrix, sequence of sparse matrices, or iterable of tuples
        Probabilities: dense of shape (S, A, S) (state, action, next state) or (A, S, S), told apart
        by the shape, or by `action_axis` if S = A; a sequence of A sparse matrices (S, S); one
        sparse matrix (S * A, S) with row s * A + a; or, without `rewards`, any iterable of (state,
        action, next state, probability, reward), in which states and actions may have any hashable
        labels. Whole numbers from 0 on are taken as they are, other labels are numbered as they
        come. A state that is never the first of a tuple is terminal: nothing can be done there, and
        its value is zero.
    rewards : array_like, sparse matrix or sequence of sparse matrices, optional
        Of shape (S, A), or (S,) if no action makes a difference, or of the shape of `transitions`
        if the reward depends on the next state. Minus infinity marks an action that is not
        available.
    discount : float, default 0.95
        What a reward one step later is worth, above 0 and at most 1.
    allowed : bool array_like of shape (S, A), optional
        Which actions there are in which state; states without any are terminal.
    states, actions : sequence of hashable, optional
        Labels, in the order of the numbers; they are used in error messages and in tuples.
    action_axis : {0, 1}, optional
        Which axis of dense transitions (and of rewards like them) counts the actions: 0 of
        (A, S, S), 1 of (S, A, S). Needed only where there are as many actions as states.
    device : str, default "auto"
    use_rust_acceleration : bool, optional
        True: Rust or an error; False: Python; None: Rust if it can be used.

    Attributes
    ----------
    n_states, n_actions : int
    discount : float
    states, actions : sequence
        The labels, or the numbers if there are none.
    backend, device : str

    Raises
    ------
    InvalidModelError
        It names the state and the action that something is wrong with.
    InvalidOptionError, DeviceError, RustAccelerationError

    Examples
    --------
    >>> from helicopter.core import MDP
    >>> model = MDP(
    ...     [
    ...         ("fine", "drive", "fine", 0.9, 10),
    ...         ("fine", "drive", "broken", 0.1, 10),
    ...         ("broken", "repair", "fine", 1, -30),
    ...     ],
    ...     discount=0.9,
    ... )
    >>> solution = model.solve()
    >>> [round(float(value), 3) for value in solution.value]
    [67.0, 30.3]
    """

    def __init__(
        self,
        transitions: object,
        rewards: object = None,
        discount: float = 0.95,
        *,
        allowed: object = None,
        states: Sequence[Hashable] | None = None,
        actions: Sequence[Hashable] | None = None,
        action_axis: Literal[0, 1] | None = None,
        device: str = "auto",
        use_rust_acceleration: bool | None = None,
    ) -> None:
        super().__init__(device, use_rust_acceleration)
        self.discount = _check_discount(discount)
        self._keep(
            build(self._backend, transitions, rewards, allowed, states, actions, action_axis)
        )

    @classmethod
    def from_pairs(
        cls,
        states: object,
        actions: object,
        transitions: object,
        rewards: object,
        discount: float = 0.95,
        *,
        state_labels: Sequence[Hashable] | None = None,
        action_labels: Sequence[Hashable] | None = None,
        device: str = "auto",
        use_rust_acceleration: bool | None = None,
    ) -> MDP:
        """Make a model of which each row is a pair of a state and an action that it has.

        Parameters
        ----------
        states, actions : integer array_like of shape (L,)
            The pairs, in any order.
        transitions : sparse matrix or array_like of shape (L, S)
            The arrays of a CSR matrix with float64 in ascending columns are used as they are, and
            must not be changed afterwards.
        rewards : array_like of shape (L,), or sparse matrix of shape (L, S)
        discount : float, default 0.95
        state_labels, action_labels : sequence of hashable, optional
        device, use_rust_acceleration
            As in `MDP`.

        Returns
        -------
        MDP

        Raises
        ------
        InvalidModelError, InvalidOptionError, DeviceError, RustAccelerationError
        """
        made = cls.__new__(cls)
        Engine.__init__(made, device, use_rust_acceleration)
        made.discount = _check_discount(discount)
        made._keep(
            build_from_pairs(
                made._backend, states, actions, transitions, rewards, state_labels, action_labels
            )
        )
        return made

    def _keep(self, built: Built) -> None:
        self._model: DecisionModel = built.model
        self._names = built.names
        self.n_states: int = len(built.model.pair_start) - 1
        self.n_actions: int = built.n_actions

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": as_arrays(self._model)}

    @property
    def states(self) -> Sequence[Hashable]:
        """Labels of the states."""
        return range(self.n_states) if self._names.states is None else self._names.states

    @property
    def actions(self) -> Sequence[Hashable]:
        """Labels of the actions."""
        return range(self.n_actions) if self._names.actions is None else self._names.actions

    def solve(
        self,
        method: Method = "auto",
        epsilon: float = 1e-6,
        *,
        horizon: int | None = None,
        terminal_values: object = None,
        max_iterations: int | None = None,
        progress: bool | ProgressCallback | None = None,
    ) -> MDPSolution:
        """Find the best policy and enclose the optimal value.

        Parameters
        ----------
        method : str, default "auto"
            ``"value_iteration"``, ``"policy_iteration"`` or ``"modified_policy_iteration"``, which
            differ in time only; ``"backward_induction"`` for a finite horizon.
            ``"auto"`` takes backward induction if there is a horizon, else what is expected to be
            the fastest.
        epsilon : float, default 1e-6
            How far the bounds may be apart.
        horizon : int, optional
            Number of steps.
        terminal_values : array_like of shape (S,), optional
            What the states are worth after the last step of the horizon.
        max_iterations : int, optional
            Of the method, see `MDPSolution`. None: as many as it takes.
        progress : None, True or callable, default None
            True: a bar on stderr. A callable is called with (done, total); what it raises stops
            the call.

        Returns
        -------
        MDPSolution

        Raises
        ------
        ConvergenceError
            If the bounds did not come as close as `epsilon`. Its ``solution`` has the best that
            were reached.
        InvalidModelError
            If there is no discount and no horizon, and some policy goes on for ever; it names a
            state and an action that can.
        InvalidOptionError
        """
        started = time.perf_counter()
        check_choice(method, "method", METHODS)
        width = _check_epsilon(epsilon)
        limit = None
        if max_iterations is not None:
            limit = check_integer(max_iterations, "max_iterations", 1)
        if horizon is not None or method == "backward_induction":
            return self._solve_horizon(method, width, horizon, terminal_values, started)
        if terminal_values is not None:
            raise InvalidOptionError(
                "terminal_values: given without a horizon; expected horizon=<number of steps>, or "
                "no terminal values."
            )
        if progress is None:
            return self._solve(method, width, limit, None, started)
        with as_callback(progress, "Solving") as callback:
            return self._solve(method, width, limit, callback, started)

    def _solve(
        self,
        method: Method,
        epsilon: float,
        limit: int | None,
        callback: ProgressCallback | None,
        started: float,
    ) -> MDPSolution:
        chosen = cast("MdpMethod", method)
        if self.discount < 1.0:
            run = self._backend.solve_mdp(
                self._model, self.discount, chosen, epsilon, limit, callback
            )
            return self._finish(run, "discounted", epsilon, started)
        from ._structure import proper_part, with_idle_actions

        proper, stay = proper_part(self._model)
        if stay is not None:
            raise InvalidModelError(
                f"discount: got 1, but {self._names.pair(*stay)} can be part of going on for ever; "
                "expected a discount below 1, a horizon, or a model in which every policy comes to "
                "terminal states, or to absorbing ones of reward 0."
            )
        run = self._backend.solve_mdp(proper, 1.0, chosen, epsilon, limit, callback)
        run = run._replace(policy=with_idle_actions(self._model, run.policy))
        return self._finish(run, "total", epsilon, started)

    def _solve_horizon(
        self,
        method: Method,
        epsilon: float,
        horizon: int | None,
        terminal_values: object,
        started: float,
    ) -> MDPSolution:
        if method not in ("auto", "backward_induction"):
            raise InvalidOptionError(
                f"method: got {shown(method)} with a horizon; "
                'expected "auto" or "backward_induction".'
            )
        if horizon is None:
            raise InvalidOptionError(
                'horizon: missing; method="backward_induction" needs the number of steps.'
            )
        steps = check_integer(horizon, "horizon", 0)
        from helicopter.backends.protocol import MdpRun

        run = self._backend.solve_horizon(
            self._model, self.discount, steps, _check_terminal(terminal_values, self.n_states)
        )
        whole = MdpRun(
            run.value,
            run.lower,
            run.upper,
            run.policy,
            steps,
            "backward_induction",
            bool((run.upper - run.lower).max() <= epsilon),
        )
        return self._finish(whole, "finite_horizon", epsilon, started)

    def _finish(
        self,
        run: MdpRun,
        criterion: Criterion,
        epsilon: float,
        started: float,
    ) -> MDPSolution:
        with np.errstate(invalid="ignore"):  # bounds may be infinite where nothing was found
            width = float((run.upper - run.lower).max())
        solution = MDPSolution(
            run.value,
            run.lower,
            run.upper,
            run.policy,
            width,
            run.iterations,
            run.method,
            criterion,
            epsilon,
            self.backend,
            self.device,
            time.perf_counter() - started,
            self._model,
            self.discount,
            self.n_actions,
        )
        if not run.converged:
            raise ConvergenceError(_why_not(solution), solution)
        return solution


def _why_not(solution: MDPSolution) -> str:
    size = float(np.maximum(np.abs(solution.lower), np.abs(solution.upper)).max())
    text = (
        f"the bounds are {solution.width:.3g} apart after {solution.iterations} iterations of "
        f"{solution.method}; epsilon={solution.epsilon:g} was asked for."
    )
    if math.isfinite(size) and 4 * math.ulp(size) > solution.epsilon:
        text += f" Float64 numbers as large as {size:.3g} lie {math.ulp(size):.3g} apart."
    return text + " The bounds reached are in the attribute solution."


def _check_discount(discount: Any) -> float:
    if type(discount) is float and 0.0 < discount <= 1.0:
        return discount
    try:
        number = float(discount)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(discount, (bool, np.bool_, str)) or not 0.0 < number <= 1.0:
        raise InvalidModelError(
            f"discount: got {shown(discount)}; expected a number above 0 and at most 1."
        )
    return number


def _check_epsilon(epsilon: Any) -> float:
    if type(epsilon) is float and 0.0 < epsilon < math.inf:
        return epsilon
    try:
        number = float(epsilon)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(epsilon, (bool, np.bool_, str)) or not 0.0 < number < math.inf:
        raise InvalidOptionError(
            f"epsilon: got {shown(epsilon)}; expected a finite number above 0."
        )
    return number


def _check_terminal(values: object, n_states: int) -> NDArray[np.float64]:
    if values is None:
        return np.zeros(n_states)
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(0)
    if array.shape != (n_states,) or not np.isfinite(array).all():
        raise InvalidOptionError(
            f"terminal_values: got {shown(values)}; expected {n_states} finite numbers, one for "
            "each state."
        )
    return array
