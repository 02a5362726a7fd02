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

    for free: see ``LinearObjective.gap``. The width falls until that is at most ``tol`` of F.

    Parameters
    ----------
    factor : float, default=0.1
        Factor by which the width falls, in (0, 1).
    """

    name = "smoothing"

    def __init__(self, factor=0.1):
        self.factor = factor

    def check_params(self):
        check_number(self.factor, "factor", minimum=0, maximum=1, closed=False)

    def obstacle(self, objective):
        if objective.loss.smoothed(1.0) is None:
            return f"the loss {type(objective.loss).__name__} has no Moreau envelope here"
        return Newton().obstacle(objective.with_loss(objective.loss.smoothed(1.0)))

    def solve(self, objective, start, *, tol, max_iter, callback=None, random_state=None):
        params = np.array(start, dtype=np.float64)
        width, excess, n_iter = max(objective.value(params), 1e-6), np.inf, 0
        best = None
        while True:
            smooth = objective.with_loss(objective.loss.smoothed(width))

            def after(inner, params, done=n_iter):
                return callback is not None and callback(done + inner, params)

            inner_tol = 0.2 * max(tol, min(0.1, excess))  # no finer than the smoothing itself
            run = Newton().minimize(smooth, params, inner_tol, max_iter - n_iter, after)
            n_iter += run.n_iter
            params = run.params
            value = objective.value(params)
            size = max(value, 1e-300)
            excess = max(value - run.value, 0.0) / size
            reached = excess + (run.reached if run.gap is None else run.gap / size)
            if best is None or reached < best.reached:
                gap = None if run.gap is None else reached * size
                measure = "estimated accuracy" if gap is None else "duality gap"
                best = Result(params, value, n_iter, reached <= tol, gap, measure, reached)
            if reached <= tol or n_iter >= max_iter or not run.converged or width < 1e-12:
                return best._replace(n_iter=n_iter)
            # The excess is at most proportional to the width: aim a little below the goal.
            width *= min(0.5, max(self.factor, 0.4 * tol / max(excess, 1e-300)))
