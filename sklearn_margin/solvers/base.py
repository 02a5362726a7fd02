"""The contract of a solver."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

__all__ = ["Result", "Solver"]

# Entries of X up to which a fit is polished to high accuracy whatever ``tol`` says: the
# last steps of a second-order method cost next to nothing there.
SMALL = 1_000_000


class Result(NamedTuple):
    """What a solver returns."""

    params: np.ndarray  # (n_params,) in the coordinates of the objective
    value: float  # F at params
    n_iter: int
    converged: bool
    gap: float | None = None  # bound on F − min F, where one is known
    measure: str = "relative gradient norm"  # what tol was compared with
    reached: float = np.nan  # value of that measure


class Solver(BaseEstimator):
    """A way to minimise an objective; its parameters can be searched like an estimator's."""

    name = ""

    def obstacle(self, objective) -> str | None:
        """Why this solver cannot minimise ``objective``, or None if it can."""
        raise NotImplementedError

    def check_params(self) -> None:
        """Raise ``ValueError`` or ``TypeError`` naming the parameter that is wrong."""

    def solve(
        self,
        objective,
        start: np.ndarray,
        *,
        tol: float,
        max_iter: int,
        callback: Callable | None = None,
        random_state: np.random.RandomState | None = None,
    ) -> Result:
        """Minimise ``objective``.

        Parameters
        ----------
        objective : LinearObjective
        start : ndarray of shape (n_params,)
            Where to start.
        tol : float
            Accuracy; see each solver for the quantity it is compared with.
        max_iter : int
            Most iterations (epochs for stochastic solvers).
        callback : callable, default=None
            ``callback(n_iter, params)`` after each iteration; True stops.
        random_state : RandomState, default=None
            Randomness of stochastic solvers.

        Returns
        -------
        Result
        """
        raise NotImplementedError


def is_small(objective) -> bool:
    """Whether extra accuracy is almost free."""
    return objective.rows.shape[0] * objective.n_params <= SMALL


def is_large(objective) -> bool:
    """Whether it pays to solve a sample of the rows first."""
    n, n_params = objective.rows.shape[0], objective.n_params
    return hasattr(objective, "sample") and n >= 200 * n_params and n * n_params > SMALL


def draw_sample(objective):
    """The objective of a tenth of the rows, and the relative sampling error of its minimum."""
    size = objective.rows.shape[0] // 10
    return objective.sample(size, np.random.RandomState(0)), objective.n_params / size


def preconditioner(objective) -> np.ndarray:
    """Diagonal scaling of parameters for first-order methods: columns have unit spread, so
    what is left to even out is the penalty."""
    return objective.join(1.0 / np.sqrt(1.0 + objective.penalty.l2), 1.0)
