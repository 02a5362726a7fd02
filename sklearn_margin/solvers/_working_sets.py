"""Few columns at a time, where an L1 penalty leaves most coefficients at zero."""

import numpy as np

from sklearn_margin.solvers._column_model import ColumnModel
from sklearn_margin.solvers._face_model import FaceModel
from sklearn_margin.solvers._gram_model import GramModel

__all__ = ["WorkingSets"]

_FIRST = 2.0  # columns of the first set, times the square root of all
_GROWTH, _GROWTH_SPARSE = 2, 4  # columns of a set, times those with coefficients
_NEAR = 0.9  # of l1_j that the slope of a column without a coefficient is to have
_INNER = 0.3  # of the gap, to which F is minimised over a set that is not the last
_FEW = 250  # parameters of which a Hessian costs little
_MANY = 0.25  # products with a Hessian, by column, that cost about as much as to form it
_MOST_STEPS = 100  # over a set


class WorkingSets:
    """F minimised over a set of columns, and then over another one, until the gap of all is small.

    A set holds the columns whose coefficients are not zero, and of the others those whose slopes
    are the largest beside l1_j: a few times as many in all [1]_. F falls from set to set, until no
    column outside would lower it. One product with Xᵀ yields the certificate and the next set; all
    else reads a copy of few columns.

    Parameters
    ----------
    objective : LinearObjective
        In memory, with an L1 penalty.
    solver : CoordinateDescent
        What minimises F over a set, and how large a Hessian it may form.

    References
    ----------
    .. [1] Massias, Gramfort & Salmon, "Celer: a fast solver for the Lasso with dual extrapolation",
       ICML 2018.
    """

    def __init__(self, objective, solver):
        self.objective, self.solver = objective, solver
        self.columns = np.empty(0, np.intp)
        self.is_hard = False  # whether conjugate gradients took long over a set

    def look_again(self, objective, params):
        """Nothing of a sample is kept."""

    def linearize(self, point, cautious, goal):
        """Duality gap at ``point``; ``goal`` is what it may be."""
        self.point, self.goal, self.gap = point, goal, point.gap()
        return self.gap

    def minimize(self):
        """Minimise F over a set: minus twice the decrease of F."""
        point, rows = self.point, self.objective.rows
        share = self._choose()
        whole = len(self.columns) == rows.shape[1]
        part = self.objective if whole else self.objective.of_columns(self.columns)
        gap = 0.0 if self.gap is None else min(self.gap, point.value)
        result = self._minimize(part, max(share * gap, 0.5 * self.goal))
        if not whole:
            rows.count_read(round(part.rows.n_read[0] * len(self.columns) / rows.shape[1]))
        self.new = None
        if result.value < point.value:
            params = self._placed(result.params)
            self.new = self.objective.at(params, part.scores(result.params))
        return 2.0 * min(result.value - point.value, 0.0)

    def search(self):
        """The point that ``minimize`` found, or None."""
        return self.new

    def _choose(self):
        """Find the columns of the next set, in order: what share of the gap may be left there."""
        objective, penalty = self.objective, self.objective.penalty
        u, gradient = self.point.u, objective.split(self.point.gradient)[0]
        slope = np.abs(penalty.without_l1(u, gradient) - penalty.l2 * u)
        near = np.divide(slope, penalty.l1, out=np.full_like(slope, np.inf), where=penalty.l1 > 0)
        near[u != 0] = np.inf
        near = near.reshape(objective.n_outputs, -1).max(axis=0)
        growth = _GROWTH_SPARSE if objective.rows.is_sparse else _GROWTH
        size = max(int(_FIRST * np.sqrt(len(near))), growth * np.count_nonzero(near == np.inf))
        wanted = near > _NEAR
        if size < np.count_nonzero(wanted):
            wanted[:] = False
            wanted[np.argpartition(-near, size)[:size]] = True
        near[self.columns] = 0.0
        self.columns = np.flatnonzero(wanted)
        return _INNER if (near > 1.0).any() else 0.0

    def _minimize(self, part, gap):
        """A result over the set with the gap that is wanted.

        The Hessian of few columns of dense rows is formed, and that of more once conjugate
        gradients took so many products that it would have cost no more.
        """
        start, few = self._taken(), min(_FEW, self.solver.gram_max)
        tol = gap / max(self.point.value, 1e-300)
        if part.rows.is_sparse and part.has_diagonal_hessian:
            return self._run(part, start, tol, ColumnModel(part))
        if part.n_params <= few or (self.is_hard and part.n_params <= self.solver.gram_max):
            return self._run(part, start, tol, GramModel(part))
        model = FaceModel(part)

        def check(n_iter, params):
            self.is_hard = model.n_products > _MANY * part.n_params
            return self.is_hard and part.n_params <= self.solver.gram_max

        return self._run(part, start, tol, model, check)

    def _run(self, part, start, tol, model, callback=None):
        return self.solver.minimize(part, start, tol, _MOST_STEPS, callback, model=model)

    def _taken(self):
        """Parameters of the set."""
        u, b = self.objective.split(self.point.params)
        u = u.reshape(self.objective.n_outputs, -1)[:, self.columns].ravel()
        return np.concatenate([u, np.atleast_1d(b)]) if self.objective.fit_intercept else u

    def _placed(self, params):
        """All parameters from those of the set."""
        k, d = self.objective.n_outputs, self.objective.rows.shape[1]
        u, size = np.zeros((k, d)), k * len(self.columns)
        u[:, self.columns] = params[:size].reshape(k, -1)
        return np.concatenate([u.ravel(), params[size:]])
