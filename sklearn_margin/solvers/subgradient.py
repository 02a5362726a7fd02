"""The subgradient method."""

import numpy as np

from sklearn_margin.objective.mean_slopes import own_gap
from sklearn_margin.solvers._averaged_slopes import gap_by_steps, without_small
from sklearn_margin.solvers.base import Result, Solver, preconditioner

__all__ = ["Subgradient"]

_MOST_ENTRIES = 1_000_000  # of X, beyond which full subgradients cost too much
_PATIENCE = 10  # steps without enough of a gain, in the first round, after which to aim lower
_FINEST = 1e-4  # aim, relative to F, that ends a round
_COARSEST = 0.1  # aim that the next one begins with


class Subgradient(Solver):
    """Full-batch subgradient method: the plain reference, for any loss and penalty.

    Steps have Polyak's length (F − target)/‖g‖², where the target is the best value seen
    less an aim that is halved whenever it proves out of reach, after which the method
    returns to the best point [1]_. When the aim has become small, a new round begins with a
    large one and twice the patience, for in a narrow valley every aim seems out of reach at
    first. The best point is returned; with an L1 penalty its smallest coordinates are set to
    zero, as many as raise F by no more than half of ``tol``, relatively.

    ``tol`` is compared with the relative duality gap, wherever one is known: the loss is convex
    and alpha > 0. Its dual point is the subgradient at the best point, or the average of those
    of proximal steps of one length that begin there [2]_; they are not counted as iterations,
    of which they are no more. This gap tends to zero slowly, and is often far above the true
    error of the fit; but it bounds it. Without a gap ``tol`` is compared with the relative
    improvement over a round, which proves nothing.

    References
    ----------
    .. [1] Bertsekas, "Convex Optimization Algorithms", Athena Scientific, 2015, section 3.2.
    .. [2] Nesterov, "Primal-dual subgradient methods for convex problems", Mathematical
       Programming 120, 2009.

    Examples
    --------
    >>> from sklearn_margin import LinearClassifier
    >>> from sklearn_margin.solvers import Subgradient
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1]
    >>> model = LinearClassifier("hinge", solver=Subgradient(), alpha=0.1, tol=0.01).fit(X, y)
    >>> model.score(X, y)
    1.0
    """

    name = "subgradient"
    exact = False

    def obstacle(self, objective):
        return None

    def rank(self, objective, tol):
        n, d = objective.rows.shape
        return 10 if n * d <= _MOST_ENTRIES else 12

    def solve(
        self, objective, start, *, tol, max_iter, callback=None, random_state=None, validation=None
    ):
        D = preconditioner(objective)
        # Part of the accuracy goes to zeros.
        share = 0.5 * tol if objective.penalty.has_l1 else tol
        params = best = np.array(start, dtype=np.float64)
        value, gradient = objective.value_gradient(params)
        best_value, gap, n_iter = value, None, 0
        aim, since, patience = 0.5 * abs(value), 0, _PATIENCE
        before, begun, idle = value, 0, 0  # F and iteration where the round began, vain rounds
        while n_iter < max_iter and idle < 2:
            scaled = D * gradient
            with np.errstate(over="ignore"):
                squared = float(scaled @ scaled)
            if squared == 0:
                break
            n_iter += 1
            params = params - (value - (best_value - aim)) / squared * (D * scaled)
            value, gradient = objective.value_gradient(params)
            since += 1
            if value < best_value:
                since = 0 if value <= best_value - 0.5 * aim else since
                best, best_value = params, value
            if callback is not None:
                shown, _ = without_small(objective, best, best_value, share * abs(best_value))
                if callback(n_iter, shown):
                    break
            if since <= patience and np.isfinite(value):
                continue
            aim, since, params = 0.5 * aim, 0, best
            value, gradient = objective.value_gradient(params)
            if aim <= min(_FINEST, 0.1 * tol) * abs(best_value) or aim == 0:
                gap = _gap(objective, best, share * abs(best_value), n_iter - begun)
                if gap is not None and gap <= share * abs(best_value):
                    break
                idle = idle + 1 if before - best_value <= tol * abs(best_value) else 0
                aim, patience = _COARSEST * abs(best_value), 2 * patience
                before, begun = best_value, n_iter
        params, value = without_small(objective, best, best_value, share * abs(best_value))
        scale = max(abs(value), 1e-300)
        if gap is not None:  # of the best point so far, at the end of a round
            gap += max(value - best_value, 0.0)
        if gap is None or gap > tol * scale:
            last = _gap(objective, params, tol * scale, n_iter - begun)
            gap = last if gap is None or last is None else min(gap, last)
        if gap is not None and gap < np.inf:
            measure, reached, done = "relative gap", gap / scale, gap <= tol * scale
            return Result(params, value, n_iter, done, gap, measure, reached)
        measure = "relative improvement over a round"
        reached = min((before - best_value) / scale, 1.0)  # from an infinite F, all of it
        done = idle > 0 or (value == 0 and objective._may_scale)  # no loss is less than none
        return Result(params, value, n_iter, done, measure=measure, reached=reached)


def _gap(objective, params, wanted, most):
    """Duality gap at ``params``, from slopes there or from at most so many steps."""
    gap = own_gap(objective, params)
    if gap is None or gap <= wanted or most == 0:
        return gap
    with np.errstate(all="ignore"):
        return min(gap, gap_by_steps(objective, params, wanted, most))
