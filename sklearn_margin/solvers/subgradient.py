"""The subgradient method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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

    def obstacle(self, objective: Any) -> str | None:
        return objective.why_no_rows if objective.is_remote else None

    def rank(self, objective: Any, tol: float) -> float | None:
        n, d = objective.rows.shape
        return 10 if n * d <= _MOST_ENTRIES else 12

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
        run = _Run(objective, start, tol)
        while run.n_iter < max_iter and run.idle < 2 and run.step():
            if callback is not None and callback(run.n_iter, run.finished()[0]):
                break
            if run.is_stuck and run.aim_lower():
                break
        return run.result()


class _Run:
    """A run of the method: Polyak steps to a level ``aim`` below the best value of F, which is
    halved where steps do not get there. A round ends where it is next to nothing; the next begins
    with a high aim, and more patience."""

    def __init__(self, objective, start, tol):
        self.objective, self.tol, self.D = objective, tol, preconditioner(objective)
        # Part of the accuracy goes to zeros.
        self.share = 0.5 * tol if objective.penalty.has_l1 else tol
        self.n_iter, self.gap = 0, None
        # Steps without much of a gain, and how many there may be.
        self.since, self.patience = 0, _PATIENCE
        self.best = self.params = np.array(start, dtype=np.float64)
        self.value, self.gradient = objective.value_gradient(self.params)
        self.best_value, self.aim = self.value, 0.5 * abs(self.value)
        # F and iteration where the round began, and rounds in vain.
        self.before, self.begun, self.idle = self.value, 0, 0

    @property
    def allowed(self):
        """By how much F may exceed its minimum, but for the part that goes to zeros."""
        return self.share * abs(self.best_value)

    def step(self) -> bool:
        """One step; False where the gradient vanishes."""
        scaled = self.D * self.gradient
        with np.errstate(over="ignore"):
            squared = float(scaled @ scaled)
        if squared == 0:
            return False
        self.n_iter += 1
        length = (self.value - (self.best_value - self.aim)) / squared
        self.params = self.params - length * (self.D * scaled)
        self.value, self.gradient = self.objective.value_gradient(self.params)
        self.since += 1
        if self.value < self.best_value:
            if self.value <= self.best_value - 0.5 * self.aim:
                self.since = 0
            self.best, self.best_value = self.params, self.value
        return True

    @property
    def is_stuck(self) -> bool:
        """Whether steps do not reach the level, or F overflowed."""
        return self.since > self.patience or not np.isfinite(self.value)

    def aim_lower(self) -> bool:
        """Go back to the best point, with half the aim or in a new round; True where that point is
        proven good enough."""
        self.aim, self.since, self.params = 0.5 * self.aim, 0, self.best
        self.value, self.gradient = self.objective.value_gradient(self.params)
        size = abs(self.best_value)
        if self.aim > min(_FINEST, 0.1 * self.tol) * size and self.aim != 0:
            return False
        self.gap = _gap(self.objective, self.best, self.allowed, self.n_iter - self.begun)
        if self.gap is not None and self.gap <= self.allowed:
            return True
        self.idle = self.idle + 1 if self.before - self.best_value <= self.tol * size else 0
        self.aim, self.patience = _COARSEST * size, 2 * self.patience
        self.before, self.begun = self.best_value, self.n_iter
        return False

    def finished(self):
        """The best point with zeros for what is next to nothing, and F there."""
        return without_small(self.objective, self.best, self.best_value, self.allowed)

    def result(self) -> Result:
        """What the run came to."""
        objective, tol, gap = self.objective, self.tol, self.gap
        params, value = self.finished()
        scale = max(abs(value), 1e-300)
        if gap is not None:  # of the best point so far, at the end of a round
            gap += max(value - self.best_value, 0.0)
        if gap is None or gap > tol * scale:
            last = _gap(objective, params, tol * scale, self.n_iter - self.begun)
            gap = last if gap is None or last is None else min(gap, last)
        if gap is not None and gap < np.inf:
            done, measure = gap <= tol * scale, "relative gap"
            return Result(params, value, self.n_iter, done, gap, measure, gap / scale)
        measure = "relative improvement over a round"
        reached = min((self.before - self.best_value) / scale, 1.0)  # from an infinite F, all of it
        done = self.idle > 0 or (value == 0 and objective.may_scale)  # no loss is less than none
        if not done and reached <= tol:
            reached = np.inf  # a round that was not finished says nothing
        return Result(params, value, self.n_iter, done, measure=measure, reached=reached)


def _gap(objective, params, wanted, most):
    """Duality gap at ``params``, from slopes there or from at most so many steps."""
    gap = own_gap(objective, params)
    if gap is None or gap <= wanted or most == 0:
        return gap
    with np.errstate(all="ignore"):
        return min(gap, gap_by_steps(objective, params, wanted, most))
