"""The squared loss by condensed rows: problems of many rows and few features become small ones."""

from sklearn_margin.losses import Squared
from sklearn_margin.objective.condensed import condense
from sklearn_margin.objective.pointwise import PointwiseObjective
from sklearn_margin.solvers.base import Result, is_small

__all__ = ["can_condense", "solve_condensed"]

_MOST = 1_000  # features for which rows are condensed if several penalties will need it,
_MOST_ONCE = 100  # and if one will: products of columns cost no more than a few reads of X
_FINEST = 1e-9  # tolerance
_DOUBT = 0.01  # of the tolerance: what F may be off


def solve_condensed(solver, objective, start, tol, max_iter, callback=None) -> Result | None:
    """The minimum of an objective by its condensed rows.

    Parameters
    ----------
    solver : Solver
        With a method ``minimize``.
    objective : LinearObjective
    start, tol, max_iter, callback
        As of ``Solver.solve``.

    Returns
    -------
    Result or None
        None where rows are not condensed, or where it is not converged for certain.
    """
    if not can_condense(objective, tol, solver.gram_max):
        return None
    kept = {} if objective.shared is None else objective.shared
    if "condensed" not in kept:
        kept["condensed"] = condense(objective)
    few = kept["condensed"]
    small = few.objective.placed(penalty=objective.penalty)

    def whole(u):
        return few.params(objective, u)

    after = None if callback is None else (lambda n_iter, u: callback(n_iter, whole(u)))
    u = objective.split(start)[0]
    found = solver.minimize(small, small.feasible(u), tol, max_iter, after)
    _, doubt = small.doubt(found.params)
    known = doubt <= _DOUBT * tol * found.value
    return found._replace(params=whole(found.params)) if found.converged and known else None


def can_condense(objective, tol, most):
    """Whether rows can be condensed, and that saves time."""
    plain = type(objective) is PointwiseObjective and type(objective.loss) is Squared
    if not plain or tol < _FINEST or is_small(objective):
        return False
    n, d = objective.rows.shape
    most = min(most, _MOST_ONCE if objective.shared is None else _MOST)
    return 4 * d <= n and d <= most
