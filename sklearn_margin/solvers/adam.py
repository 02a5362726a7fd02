"""Adam, for objectives that are given batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin._validation import check_number
from sklearn_margin.solvers.base import Result, Solver

__all__ = ["Adam", "AdamState", "stream_batches"]

_LEAST_EPOCHS = 5


class Adam(Solver):
    """Adam [1]_ over batches, with a step that falls linearly to zero: "sgd" of embeddings.

    The run takes as many epochs as make ``n_updates`` updates, at least 5 and at most
    ``max_iter``. With early stopping it ends before if the loss of held-out rows has not improved
    by ``tol``, relatively, in ``n_iter_no_change`` epochs. The loss of the rows that are learned
    from is no reason to stop: it may rise while steps are long, to fall as they shorten.

    Parameters
    ----------
    learning_rate : float, default=0.01
        First step; features are standardised.
    n_updates : int, default=1000
        Number of updates the length of the run is chosen by.
    early_stopping : bool, default=False
        Whether to hold out part of the rows (pairs, triplets) and return the point that is best
        for them. A validation set given to ``fit`` is used instead.
    validation_fraction : float, default=0.1
        Share held out.
    n_iter_no_change : int, default=10
        Epochs without improvement after which early stopping stops.

    References
    ----------
    .. [1] Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> from sklearn_margin import LinearEmbedding
    >>> from sklearn_margin.solvers import Adam
    >>> model = LinearEmbedding("circle", solver=Adam(learning_rate=0.02, early_stopping=True))
    >>> model.get_params()["solver__learning_rate"]
    0.02
    """

    name = "adam"
    linear = False
    exact = False

    def __init__(
        self,
        learning_rate: float = 0.01,
        n_updates: int = 1000,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
    ) -> None:
        self.learning_rate = learning_rate
        self.n_updates = n_updates
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change

    def check_params(self) -> None:
        check_number(self.learning_rate, "learning_rate", minimum=0, closed=False)
        check_number(self.n_updates, "n_updates", minimum=1, integer=True)
        if not isinstance(self.early_stopping, (bool, np.bool_)):
            raise TypeError(f"early_stopping must be True or False, got {self.early_stopping!r}")
        fraction = self.validation_fraction
        check_number(fraction, "validation_fraction", minimum=0, maximum=1, closed=False)
        check_number(self.n_iter_no_change, "n_iter_no_change", minimum=1, integer=True)

    def obstacle(self, objective: Any) -> str | None:
        if not objective.draws_batches:
            return f"{type(objective).__name__} is not given batch by batch"
        return None

    def rank(self, objective: Any, tol: float) -> float | None:
        return 10

    def solve(
        self,
        objective: Any,
        start: np.ndarray,
        *,
        tol: float,
        max_iter: int,
        callback: Callable[..., Any] | None = None,
        random_state: np.random.RandomState | None = None,
        validation: Any = None,
    ) -> Result:
        random_state = np.random.RandomState(0) if random_state is None else random_state
        train = objective
        if self.early_stopping and validation is None:
            train, validation = objective.split_rows(self.validation_fraction, random_state)
        if validation is not None:
            validation = validation.with_auxiliary_of(objective)
        epochs = min(max_iter, max(_LEAST_EPOCHS, -(-self.n_updates // train.updates)))
        state = AdamState(start)
        best = start.copy()
        best_value = mark = np.inf if validation is None else validation.mean_loss(start)
        stale, n_iter = 0, 0
        while n_iter < epochs and stale < self.n_iter_no_change:
            value = _epoch(train, state, self.learning_rate, n_iter, epochs, random_state)
            n_iter += 1
            if validation is not None:
                value = validation.mean_loss(state.params)
                if value < best_value:
                    best_value, best = value, state.params.copy()
                improved = best_value < mark - tol * abs(mark)
                stale = 0 if improved else stale + 1
                mark = best_value if improved else mark
            if not np.isfinite(value) or value == 0.0:
                break
            if callback is not None and callback(n_iter, state.params):
                break
        params = state.params if validation is None else best
        return Result(params, value, n_iter, True, measure="end of the schedule", reached=0.0)


class AdamState:
    """Parameters and moments; kept by estimators between calls of ``partial_fit``."""

    def __init__(self, params):
        self.params = params.copy()
        self.first, self.second = np.zeros((2, len(params)))
        self.updates = 0

    def update(self, gradient, step):
        """One step against ``gradient``."""
        self.updates += 1
        _update(self.params, self.first, self.second, gradient, step, self.updates)


def _epoch(objective, state, learning_rate, n_iter, epochs, random_state):
    """One pass; returns the mean of F over its batches as they were met."""
    total, count, planned = 0.0, 0, epochs * objective.updates
    for k, index in enumerate(objective.batches(random_state)):
        value, gradient = objective.batch_value_gradient(state.params, index)
        done = min(n_iter * objective.updates + k, planned - 1)
        state.update(gradient, learning_rate * (1.0 - done / planned))
        total += value * len(index)
        count += len(index)
    return total / count


def stream_batches(solver, objective, state, random_state) -> None:
    """One pass over the rows of ``objective`` at a constant step, for ``partial_fit``."""
    for index in objective.batches(random_state):
        _, gradient = objective.batch_value_gradient(state.params, index)
        state.update(gradient, solver.learning_rate)


@kernel
def _update(params, first, second, gradient, step, updates):
    # A short memory of squares, 0.99, since runs are short.
    first_bias, second_bias = 1.0 - 0.9**updates, 1.0 - 0.99**updates
    for i in range(params.shape[0]):
        g = gradient[i]
        first[i] += 0.1 * (g - first[i])
        second[i] += 0.01 * (g * g - second[i])
        params[i] -= step * (first[i] / first_bias) / (np.sqrt(second[i] / second_bias) + 1e-10)
