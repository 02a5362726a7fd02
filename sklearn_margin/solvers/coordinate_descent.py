"""Proximal Newton steps by coordinate descent, for L1 and elastic-net penalties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError

from sklearn_margin._validation import check_number
from sklearn_margin.solvers._column_model import ColumnModel
from sklearn_margin.solvers._condensed import solve_condensed
from sklearn_margin.solvers._face_model import FaceModel
from sklearn_margin.solvers._gram_model import GramModel
from sklearn_margin.solvers._samples import stages
from sklearn_margin.solvers._working_sets import WorkingSets
from sklearn_margin.solvers.base import (
    FEW_COLUMNS,
    SMALL,
    Iterate,
    Result,
    Solver,
    certified,
    enough,
    forms_gram,
    is_small,
    rounding_floor,
)

__all__ = ["CoordinateDescent"]

# A Hessian of several scores per row is worth more: each product with it would read X.
_BY_CLASS = 3


class CoordinateDescent(Solver):
    """Proximal Newton method for losses with a (generalised) Hessian and any penalty.

    Each iteration minimises the quadratic model of the loss plus the exact penalty and searches
    along the step. With at most ``gram_max`` parameters (three times as many of several scores by
    row), and a loss by rows, the model is the Gram matrix X̃ᵀDX̃ and is minimised by coordinate
    descent [1]_. With more, and many sparse rows, that visits the columns of X, of which it makes a
    copy. Of dense rows, and where there are more columns than rows, F is minimised over few columns
    at a time [3]_, of which there is a copy; an iteration is then such a set. Otherwise, and in the
    end, the model is minimised by conjugate gradients on the face of the penalty where coefficients
    keep their signs [2]_.

    With the squared loss and few features d + 1 rows, made in one read of X, stand for the others.
    Otherwise, where rows ≫ features, a random sample of the rows is solved first. ``tol`` is
    compared with the duality gap relative to F; without one (alpha = 0, a loss that is not convex)
    with half the decrease that the model predicts, over F.

    Parameters
    ----------
    gram_max : int, default=1000
        Most parameters of a problem of which the Hessian (the Gram matrix) is formed.

    References
    ----------
    .. [1] Yuan, Ho & Lin, "An improved GLMNET for L1-regularized logistic regression", JMLR 13,
       2012.
    .. [2] Byrd, Chin, Nocedal & Oztoprak, "A family of second-order methods for convex
       l1-regularized optimization", Mathematical Programming 159, 2016.
    .. [3] Massias, Gramfort & Salmon, "Celer: a fast solver for the Lasso with dual extrapolation",
       ICML 2018.

    Examples
    --------
    >>> from sklearn_margin import LinearClassifier
    >>> from sklearn_margin.solvers import CoordinateDescent
    >>> X, y = [[-2.0, 0.1], [-1.0, 0.0], [1.0, 0.1], [2.0, 0.0]], [0, 0, 1, 1]
    >>> model = LinearClassifier("logistic", solver=CoordinateDescent(), l1_ratio=1.0, alpha=0.1)
    >>> model.fit(X, y).coef_.round(2)
    array([[1.78, 0.  ]])
    """

    name = "coordinate_descent"
    keeps_bounds = True

    def __init__(self, gram_max: int = 1000) -> None:
        self.gram_max = gram_max

    def check_params(self) -> None:
        check_number(self.gram_max, "gram_max", minimum=0, integer=True)

    def obstacle(self, objective: Any) -> str | None:
        if not objective.has_hessian:
            return f"the loss {type(objective.loss).__name__} has no second derivative"
        return None

    def rank(self, objective: Any, tol: float) -> float | None:
        # Where the penalty is smooth, "newton" does as well.
        return 1 if objective.is_smooth and not objective.penalty.is_smooth else None

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
        found = solve_condensed(self, objective, start, tol, max_iter, callback)
        if found is not None:
            return found
        model = None
        for sample, goal in stages(objective, start, tol, most=1)[:-1]:
            model = self._model(sample)
            found = self.minimize(sample, start, goal, max_iter, model=model, has_gap=False)
            start = found.params
            model.look_again(sample, start)
        model = self._model(objective, model)
        polish = is_small(objective)
        return self.minimize(objective, start, tol, max_iter, callback, polish, model)

    def estimate(self, sample, start, goal, max_iter):
        """The minimum of a sample to about ``goal``, which is not certified."""
        return self.minimize(sample, start, goal, max_iter, has_gap=False).params

    def _model(self, objective, previous=None):
        """The quadratic model of an objective, and of a sample of it before."""
        most = min(FEW_COLUMNS, self.gram_max) if objective.is_remote else self.gram_max
        by_class = objective.n_outputs > 1 and objective.n_params <= _BY_CLASS * most
        if by_class or forms_gram(objective, self.gram_max):
            return GramModel(objective, previous)
        if _has_sets(objective):
            return WorkingSets(objective, self)
        return ColumnModel(objective) if _has_columns(objective) else FaceModel(objective)

    def minimize(
        self, objective, start, tol, max_iter, callback=None, polish=False, model=None, has_gap=True
    ) -> Result:
        """As ``solve``. ``polish`` asks for all the accuracy there is; without ``has_gap`` the
        decrease that the quadratic ``model`` predicts will do."""
        model = model or self._model(objective)
        eps = float(np.finfo(objective.rows.dtype).eps)
        point = objective.at(objective.feasible(np.array(start, dtype=np.float64)))
        floor = rounding_floor(objective)
        goal = min(tol, 30 * eps) if polish else tol
        best, cautious, n_iter, stale = None, False, 0, 0
        while True:
            value = point.value
            gap = model.linearize(point, cautious, enough(goal, value, floor))
            gap = gap if has_gap else None
            if gap is not None and gap <= enough(goal, value, floor):
                best = Iterate(point.params, value, gap, gap)
                break
            try:
                expected = 0.5 * abs(model.minimize())
            except LinAlgError:  # there is no way on
                expected, model.gap = np.inf, np.inf
            gap = None if gap is None else min(gap, model.gap)
            bound = expected if gap is None else gap
            better = best is None or value < best.value * (1 - 4 * eps) or bound < 0.5 * best.bound
            stale = 0 if better else stale + 1
            if best is None or value < best.value or bound < best.bound:
                best = Iterate(point.params, value, gap, bound)
            reached = best.bound <= enough(tol, best.value, floor)
            met = best.bound <= enough(goal, best.value, floor)
            if met or n_iter == max_iter or expected == np.inf:
                break
            exact = expected <= 1e-3 * eps * value and not better
            if exact or stale >= (2 if reached else 10):
                break
            n_iter += 1
            new = model.search()
            if new is None and cautious:
                break
            cautious = new is None
            point = point if new is None else new
            if callback is not None and callback(n_iter, point.params):
                break
        objective.ended_at(point)
        best = best._replace(params=_without_rounding(objective, best.params, point.largest_score))
        best = certified(objective, best, enough(tol, best.value, floor))
        return best.result(n_iter, best.converged, "predicted decrease")


def _without_rounding(objective, params, largest_score):
    """Parameters with zeros for what an L1 penalty left of coefficients, where that changes scores
    by less than their rounding error (columns of X̃ have root mean square 1)."""
    u, b = objective.split(params)
    error = 4 * float(np.finfo(objective.rows.dtype).eps) * largest_score
    return objective.join(objective.penalty.without_rounding(u, error), b)


def _has_columns(objective):
    """Whether coordinate descent can go down the columns of X, and there are enough of them."""
    by_row = objective.is_linear and objective.why_no_rows is None
    sparse = by_row and objective.has_diagonal_hessian and objective.rows.is_sparse
    return sparse and objective.pass_work > SMALL


def _has_sets(objective):
    """Whether to minimise over few columns at a time: where there are more columns than rows, and
    few entries if they are sparse, or too many columns for a Hessian and no faster way."""
    (n, d), rows = objective.rows.shape, objective.rows
    by_row = objective.is_linear and objective.why_no_rows is None
    wide = not rows.is_sparse or (d > n and n * rows.entries_per_row <= SMALL)
    return by_row and wide and objective.penalty.has_l1
