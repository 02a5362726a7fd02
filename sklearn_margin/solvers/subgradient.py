"""The subgradient method."""

import numpy as np

from sklearn_margin.solvers.base import Result, Solver, preconditioner

__all__ = ["Subgradient"]


class Subgradient(Solver):
    """Full-batch subgradient method: the plain reference, for any loss and penalty.

    Steps have Polyak's length (F − target)/‖g‖², where the target is the best value seen
    less an amount that is halved whenever it proves out of reach, after which the method
    returns to the best point (Bertsekas, "Convex Optimization Algorithms", 2015, section
    3.2). The best point is returned.

    ``tol`` is compared with that amount relative to F: an estimate, not a certificate.

    Examples
    --------
    >>> from sklearn_margin import LinearClassifier
    >>> from sklearn_margin.solvers import Subgradient
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1]
    >>> LinearClassifier("hinge", solver=Subgradient(), alpha=0.1).fit(X, y).score(X, y)
    1.0
    """

    name = "subgradient"
    exact = False

    def obstacle(self, objective):
        return None

    def solve(self, objective, start, *, tol, max_iter, callback=None, random_state=None):
        D = preconditioner(objective)
        params = np.array(start, dtype=np.float64)
        best, best_value = params, np.inf
        aim, patience, since, n_iter = 0.0, 10, 0, 0
        value, gradient = objective.value_gradient(params)
        aim = 0.5 * value
        while True:
            if value < best_value:
                enough = value <= best_value - 0.5 * aim or best_value == np.inf
                best, best_value = params, value
                since = 0 if enough else since + 1
            else:
                since += 1
            if since > patience:
                aim *= 0.5
                since = 0
                params = best
                value, gradient = objective.value_gradient(params)
            scaled = D * gradient
            squared = float(scaled @ scaled)
            reached = aim / max(best_value, 1e-300)
            if squared == 0 or reached <= 0.01 * tol or n_iter == max_iter:
                break
            n_iter += 1
            step = (value - (best_value - aim)) / squared
            params = params - step * (D * scaled)
            value, gradient = objective.value_gradient(params)
            if not np.isfinite(value):
                params, since = best, patience + 1
            if callback is not None and callback(n_iter, best):
                break
        converged = bool(squared == 0 or reached <= tol)
        return Result(
            best, best_value, n_iter, converged, measure="estimated accuracy", reached=reached
        )
