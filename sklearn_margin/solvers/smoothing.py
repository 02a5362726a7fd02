"""Smoothing with continuation, for convex losses with kinks."""

import numpy as np

from sklearn_margin.losses.base import check_number
from sklearn_margin.solvers.base import Result, Solver
from sklearn_margin.solvers.newton import Newton

__all__ = ["Smoothing"]


class Smoothing(Solver):
    """Newton's method on Moreau envelopes of the loss, of ever smaller width.

    For losses with kinks that are too large for an interior point: pairwise hinges, and
    hinge-like losses with many rows and many features. The envelope L_w lies below the loss L
    and its gradient is a dual point of L, so that

        F(x) − min F ≤ [L(z) − L_w(z)] + (duality gap of the smoothed problem at x)

    for free: see ``LinearObjective.gap``. The width falls until that is at most ``tol`` of F,
    which is practical down to about 1e-6.

    Parameters
    ----------
    factor : float, default=0.1
        Factor by which the width falls, in (0, 1).

    Examples
    --------
    >>> from sklearn_margin import LinearClassifier
    >>> from sklearn_margin.solvers import Smoothing
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1]
    >>> LinearClassifier("hinge", solver=Smoothing(factor=0.3), alpha=0.1).fit(X, y).score(X, y)
    1.0
    """

    name = "smoothing"

    def __init__(self, factor=0.1):
        self.factor = factor

    def check_params(self):
        check_number(self.factor, "factor", minimum=0, maximum=1, closed=False)

    def obstacle(self, objective):
        loss = objective.loss
        if not loss.describes_itself("smoothed") or loss.smoothed(1.0) is None:
            return f"the loss {type(loss).__name__} has no Moreau envelope here"
        if not np.all(objective.penalty.l2 > 0):
            return "without an L2 penalty (alpha > 0) the smoothed problem may have no minimum"
        return Newton().obstacle(objective.with_loss(objective.loss.smoothed(1.0)))

    def solve(self, objective, start, *, tol, max_iter, callback=None, random_state=None):
        params = np.array(start, dtype=np.float64)
        width, excess, n_iter = max(objective.value(params), 1e-6), np.inf, 0
        best, best_value, lower, stale, stop = params, np.inf, -np.inf, 0, False
        while True:
            smooth = objective.with_loss(objective.loss.smoothed(width))

            def after(inner, params, done=n_iter):
                nonlocal stop
                stop = callback is not None and bool(callback(done + inner, params))
                return stop

            inner_tol = 0.2 * max(tol, min(0.1, excess))  # no finer than the smoothing itself
            run = Newton().minimize(smooth, params, inner_tol, max_iter - n_iter, after)
            n_iter += run.n_iter
            params = run.params
            value = objective.value(params)
            excess = max(value - run.value, 0.0) / max(value, 1e-300)
            bound = run.value - run.gap
            stale = 0 if value < best_value or bound > lower else stale + 1
            lower = max(lower, bound)  # of min F, from whatever width gave the best
            if value < best_value:
                best, best_value = params, value
            gap = max(best_value - lower, 0.0)
            reached = gap / max(best_value, 1e-300)
            if reached <= tol or stop or n_iter >= max_iter or stale == 2 or width < 1e-12:
                break
            # The excess is at most proportional to the width: aim a little below the goal.
            width *= min(0.5, max(self.factor, 0.4 * tol / max(excess, 1e-300)))
        return Result(best, best_value, n_iter, reached <= tol, gap, "duality gap", reached)
