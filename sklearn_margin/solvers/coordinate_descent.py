"""Proximal Newton steps by coordinate descent, for L1 and elastic-net penalties."""

import numpy as np

from sklearn_margin.losses.base import check_number
from sklearn_margin.solvers._quadratic import minimize_quadratic
from sklearn_margin.solvers._search import Drift, line_search
from sklearn_margin.solvers.base import (
    Iterate,
    Result,
    Solver,
    certified,
    conjugate_gradients,
    draw_sample,
    enough,
    forms_gram,
    is_small,
    rounding_floor,
    wants_sample,
)

__all__ = ["CoordinateDescent"]


class CoordinateDescent(Solver):
    """Proximal Newton method for losses with a (generalised) Hessian and any elastic net.

    Each iteration minimises the quadratic model of the loss plus the exact penalty and searches
    along the step. With at most ``gram_max`` parameters, and a loss by rows, the model is the
    Gram matrix X̃ᵀDX̃ and is minimised by coordinate descent [1]_. Otherwise it is minimised by
    conjugate gradients on the face of the penalty where coefficients keep their signs [2]_.

    Where rows ≫ features a random sample of the rows is solved first. ``tol`` is compared with
    the duality gap relative to F; without one (alpha = 0, a loss that is not convex) with half
    the decrease that the model predicts, over F.

    Parameters
    ----------
    gram_max : int, default=1000
        Most parameters for which the Gram matrix is formed.

    References
    ----------
    .. [1] Yuan, Ho & Lin, "An improved GLMNET for L1-regularized logistic regression", JMLR 13,
       2012.
    .. [2] Byrd, Chin, Nocedal & Oztoprak, "A family of second-order methods for convex
       l1-regularized optimization", Mathematical Programming 159, 2016.

    Examples
    --------
    >>> from sklearn_margin import LinearClassifier
    >>> X, y = [[-2.0, 0.1], [-1.0, 0.0], [1.0, 0.1], [2.0, 0.0]], [0, 0, 1, 1]
    >>> LinearClassifier("logistic", l1_ratio=1.0, alpha=0.1).fit(X, y).coef_.round(2)
    array([[1.78, 0.  ]])
    """

    name = "coordinate_descent"

    def __init__(self, gram_max=1000):
        self.gram_max = gram_max

    def check_params(self):
        check_number(self.gram_max, "gram_max", minimum=0, integer=True)

    def obstacle(self, objective):
        if not objective.has_hessian:
            return f"the loss {type(objective.loss).__name__} has no second derivative"
        return None

    def solve(self, objective, start, *, tol, max_iter, callback=None, random_state=None):
        if wants_sample(objective, start):
            sample, error = draw_sample(objective)
            start = self.minimize(sample, start, max(tol, 0.1 * error), max_iter).params
        polish = is_small(objective)
        return self.minimize(objective, start, tol, max_iter, callback, polish)

    def minimize(self, objective, start, tol, max_iter, callback=None, polish=False) -> Result:
        """As ``solve``; ``polish`` asks for all the accuracy there is."""
        eps = float(np.finfo(objective.rows.dtype).eps)
        use_gram = forms_gram(objective, self.gram_max)
        model = _GramModel(objective) if use_gram else _FaceModel(objective)
        params = np.array(start, dtype=np.float64)
        z, drift = objective.scores(params), Drift(objective)
        floor = rounding_floor(objective, z)
        goal = min(tol, 30 * eps) if polish else tol
        best, cautious, n_iter, stale = None, False, 0, 0
        while True:
            curvature = objective.curvature(z, cautious)
            value = curvature.value + objective.penalty.value(objective.split(params)[0])
            gradient = model.linearize(params, curvature)
            gap = objective.gap(params, gradient, curvature.gradient, curvature.value)
            if gap is not None and gap <= enough(goal, value, floor):
                best = Iterate(params, value, gap, gap)
                break
            expected = 0.5 * abs(model.minimize(params, gradient, 1e-3 * goal * max(value, floor)))
            bound = expected if gap is None else gap
            better = best is None or value < best.value * (1 - 4 * eps) or bound < 0.5 * best.bound
            stale = 0 if better else stale + 1
            if best is None or value < best.value or bound < best.bound:
                best = Iterate(params, value, gap, bound)
            reached = best.bound <= enough(tol, best.value, floor)
            if best.bound <= enough(goal, best.value, floor) or n_iter == max_iter:
                break
            exact = expected <= 1e-3 * eps * value and not better
            if exact or stale >= (2 if reached else 10):
                break
            n_iter += 1
            new = model.search(params, z, value)
            if new is None and cautious:
                break
            cautious = new is None
            if new is not None:
                params, there = new
                z = drift.follow(params, z, there)
            if callback is not None and callback(n_iter, params):
                break
        best = best._replace(params=_without_rounding(objective, best.params, z))
        best = certified(objective, best, enough(tol, best.value, floor))
        return best.result(n_iter, best.converged, "predicted decrease")


def _without_rounding(objective, params, z):
    """Parameters with zeros for what an L1 penalty left of coefficients, where that changes scores
    by less than their rounding error (columns of X̃ have root mean square 1)."""
    u, b = objective.split(params)
    eps = float(np.finfo(objective.rows.dtype).eps)
    lost = (objective.penalty.l1 > 0) & (np.abs(u) <= 4 * eps * float(np.abs(z).max(initial=0.0)))
    return objective.join(np.where(lost, 0.0, u), b)


def _straight_search(objective, params, z, change, slopes, value):
    """A point on the line along ``change`` where F is about lowest, and its scores; None if it is
    where it was."""
    dz = objective.scores(change)
    longest = _too_long(z, dz)
    change, dz = change / longest, dz / longest
    u, _ = objective.split(params)
    du, _ = objective.split(change)
    # The slope at zero: of a coefficient that is zero, the penalty grows either way.
    rise = np.where(u != 0, np.sign(u) * du, np.abs(du)) @ objective.penalty.l1
    decrement = -float(slopes @ change) - float(rise)
    if not decrement > 0:
        return None
    step, there, _ = line_search(objective, params, z, change, dz, decrement, value)
    return (params + step * change, there) if step > 0 else None


def _too_long(z, dz):
    """Factor, at least 1, by which a step of scores is too long to be searched: where there is no
    curvature it is as long as it likes."""
    change, size = (float(np.abs(v).max(initial=0.0)) for v in (dz, z))
    return max(change / (1e3 * (1.0 + size)), 1.0)


def _curved_search(objective, params, z, path, slopes, value):
    """A point of ``path`` that lowers F by part of what its slope promises, and its scores; None
    if there is none."""
    noise = 10 * float(np.finfo(z.dtype).eps) * abs(value)
    step, new = 1.0, path(1.0)
    dz = objective.scores(new - params)
    longest = _too_long(z, dz)
    if longest > 1.0:
        step = 1.0 / longest
        new = path(step)
        dz = objective.scores(new - params)
    for _ in range(40):
        there = (z + dz).astype(z.dtype, copy=False)
        u, _ = objective.split(new)
        lower = objective.score_value(there) + objective.penalty.value(u)
        if lower <= value + 0.01 * float(slopes @ (new - params)) + noise:
            return new, there
        step *= 0.5
        new = path(step)
        dz = objective.scores(new - params)
    return None


class _GramModel:
    """The quadratic model by its matrix."""

    def __init__(self, objective):
        self.objective = objective
        self.l1 = objective.join(objective.penalty.l1, 0.0)

    def linearize(self, params, curvature):
        """Gradient of F at ``params``, whose model is minimised next."""
        gradient, self.hessian = self.objective.gradient_hessian(params, curvature)
        return gradient

    def minimize(self, params, gradient, goal):
        """Slope of F, penalty included, times the step to the minimum of the model."""
        u, _ = self.objective.split(params)
        slope = gradient - self.objective.join(self.objective.penalty.l1 * np.sign(u), 0.0)
        smooth = slope.copy()
        # Damped by coordinate: those of strong penalties must not hold the others.
        diagonal = self.hessian.diagonal()
        damping = np.where(diagonal > 0, 1e-15 * diagonal, 1e-12 * np.abs(gradient))
        self.hessian[np.diag_indices(len(diagonal))] += np.maximum(damping, 1e-300)
        new = minimize_quadratic(self.hessian, self.l1, params, slope, goal)
        self.change, self.smooth = self.objective.anchored(new - params), smooth
        l1_change = self.l1 * (np.abs(new) - np.abs(params))
        return float(smooth @ self.change) + float(l1_change.sum())

    def search(self, params, z, value):
        """A point near the minimum of the model that lowers F, and its scores, or None."""
        return _straight_search(self.objective, params, z, self.change, self.smooth, value)


class _FaceModel:
    """The quadratic model on a face of the L1 penalty, by conjugate gradients.

    Where no coefficient changes its sign the penalty is linear. Those that are zero may leave
    zero in the direction of descent; one that would change its sign stops at zero [2]_.
    """

    def __init__(self, objective):
        self.objective = objective

    def linearize(self, params, curvature):
        """Gradient of F at ``params``, whose model is minimised next."""
        self.curvature = curvature
        return self.objective.gradient_from(params, curvature.gradient)

    def minimize(self, params, gradient, goal):
        """Slope of F, penalty included, times the step to the minimum of the model."""
        objective = self.objective
        u, _ = objective.split(params)
        l1 = objective.join(objective.penalty.l1, 0.0)
        sign = np.sign(objective.join(u, 0.0))
        # Of all subgradients, the shortest.
        steepest = np.where(
            sign != 0, gradient, np.sign(gradient) * np.maximum(np.abs(gradient) - l1, 0.0)
        )
        free = (sign != 0) | (steepest != 0)
        orthant = np.where(sign != 0, sign, -np.sign(steepest))
        p = objective.anchored(self._solve(-steepest, free))

        def path(step):
            new = params + step * p
            return np.where((l1 > 0) & (new * orthant <= 0), 0.0, new)

        self.path, self.steepest = path, steepest
        return float(steepest @ (path(1.0) - params))

    def search(self, params, z, value):
        """A point near the minimum of the model that lowers F, and its scores, or None."""
        return _curved_search(self.objective, params, z, self.path, self.steepest, value)

    def _solve(self, residual, free):
        objective = self.objective
        l2 = objective.join(objective.penalty.l2, 0.0)
        size = float(residual @ residual)
        if size == 0:
            return np.zeros_like(residual)

        def product(v):
            return np.where(free, objective.hessian_product(self.curvature, v), 0.0)

        level = float(residual @ (product(residual) - l2 * residual)) / size
        inverse = 1.0 / (max(level, 1e-12) + l2)
        p, _ = conjugate_gradients(
            product, lambda v: inverse * v, residual, self.curvature.value, least=1e-4, most=200
        )
        return p
