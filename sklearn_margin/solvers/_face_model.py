"""The quadratic model on a face of the penalty, for any loss and rows."""

import numpy as np

from sklearn_margin.solvers.base import conjugate_gradients

__all__ = ["FaceModel"]


def _curved_search(point, path, slopes):
    """A point of ``path`` that lowers F by part of what its slope promises; None if there is
    none."""
    step = 1.0
    for _ in range(40):
        line = point.toward(path(step))
        if line.shortened == 1.0 and line.falls(1.0, -float(slopes @ line.p)):
            return line.move(1.0)
        step *= min(0.5, line.shortened)
    return None


class FaceModel:
    """The quadratic model on a face of the penalty, by conjugate gradients.

    Where no coefficient changes its sign an L1 penalty is linear. Those that are zero may leave
    zero in the direction of descent; one that would change its sign stops at zero, and one that
    would cross a bound stops there [1]_.

    Attributes
    ----------
    n_products : int
        Products with Hessians so far.

    References
    ----------
    .. [1] Byrd, Chin, Nocedal & Oztoprak, "A family of second-order methods for convex
       l1-regularized optimization", Mathematical Programming 159, 2016.
    """

    def __init__(self, objective):
        self.objective = objective
        self.penalty = objective.penalty.padded(objective.n_params)
        self.n_products = 0

    gap = np.inf  # no other is known than that of the slopes

    def look_again(self, objective, params):
        """Nothing of a sample is kept."""

    def linearize(self, point, cautious, goal):
        """Duality gap at ``point``, whose model is minimised next."""
        self.point = point
        point.find_curvature(cautious)
        return point.gap()

    def minimize(self):
        """Slope of F, penalty included, times the step to the minimum of the model."""
        params, gradient = self.point.params, self.point.gradient
        steepest = self.penalty.steepest(params, gradient)
        free, low, high = self.penalty.face(params, steepest)
        p = self.objective.anchored(self._solve(-steepest, free))

        def path(step):
            return np.clip(params + step * p, low, high)

        self.path, self.steepest = path, steepest
        return float(steepest @ (path(1.0) - params))

    def search(self):
        """A point near the minimum of the model that lowers F, or None."""
        point, self.point = self.point, None
        return _curved_search(point, self.path, self.steepest)

    def _solve(self, residual, free):
        l2 = self.penalty.l2
        size = float(residual @ residual)
        if size == 0:
            return np.zeros_like(residual)

        def product(v):
            return np.where(free, self.point.hessian_product(v), 0.0)

        level = float(residual @ (product(residual) - l2 * residual)) / size
        inverse = 1.0 / (max(level, 1e-12) + l2)
        p, n_products = conjugate_gradients(
            product, lambda v: inverse * v, residual, self.point.loss, least=1e-4, most=200
        )
        self.n_products += n_products
        return p
