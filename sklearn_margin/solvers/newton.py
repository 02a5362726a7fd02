"""Newton's method with exact line search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError

from sklearn_margin._validation import check_number
from sklearn_margin.solvers._condensed import solve_condensed
from sklearn_margin.solvers._newton_directions import Cholesky, ConjugateGradients
from sklearn_margin.solvers._samples import stages
from sklearn_margin.solvers.base import (
    Iterate,
    Result,
    Solver,
    certified,
    enough,
    expected_excess,
    forms_gram,
    is_small,
    rounding_floor,
)

__all__ = ["Newton"]


class Newton(Solver):
    """Newton's method on the score vector, for losses with a (generalised) Hessian.

    Each iteration solves H p = −∇F, by Cholesky factorisation of the Gram matrix X̃ᵀDX̃
    where there are at most ``gram_max`` parameters and the loss has a diagonal Hessian, by
    preconditioned conjugate gradients otherwise, and then finds the zero of the slope along
    p. Scores are updated, not recomputed: the line search never touches X.

    Where rows ≫ features a random sample of the rows is solved first: its solution is off by
    no more than its sampling error, and its Hessian serves for the first steps on all rows.
    Iterations are counted on all rows. The certificate is that of the whole problem, with slopes
    that the rows of the sample correct, at the price of no further read. Losses of several scores
    per row have a Kronecker product for the preconditioner [1]_, and secants of the steps before
    improve directions by the sample's Hessian [2]_.

    With the squared loss and few features d + 1 rows, made in one read of X, stand for the others.

    ``tol`` is compared with the duality gap relative to F; where there is none (alpha = 0, a
    loss that is not convex) with half the squared Newton decrement over F, which estimates the
    relative suboptimality (Boyd & Vandenberghe, "Convex Optimization", 2004, section 9.5).

    Parameters
    ----------
    gram_max : int, default=1000
        Most parameters of a problem of which the Hessian (the Gram matrix) is formed.

    References
    ----------
    .. [1] Martens & Grosse, "Optimizing neural networks with Kronecker-factored approximate
       curvature", ICML 2015.
    .. [2] Nocedal, "Updating quasi-Newton matrices with limited storage", Mathematics of
       Computation 35, 1980.

    Examples
    --------
    >>> from sklearn_margin import LinearClassifier
    >>> from sklearn_margin.solvers import Newton
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1]
    >>> LinearClassifier("logistic", solver=Newton(gram_max=500), alpha=0.1).fit(X, y).score(X, y)
    1.0
    """

    name = "newton"

    def __init__(self, gram_max: int = 1000) -> None:
        self.gram_max = gram_max

    def check_params(self) -> None:
        check_number(self.gram_max, "gram_max", minimum=0, integer=True)

    def obstacle(self, objective: Any) -> str | None:
        if not objective.has_hessian:
            return f"the loss {type(objective.loss).__name__} has no second derivative"
        return objective.penalty.why_not_smooth

    def rank(self, objective: Any, tol: float) -> float | None:
        return 1 if objective.is_smooth else None

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
        system = self.system(objective)
        system.begin_with(objective.known_hessian(), objective.rows.dtype)
        for sample, goal in stages(objective, start, tol)[:-1]:
            start = self._estimate(sample, start, goal, max_iter, system)
            system.part = sample
        if objective.is_remote or system.part is not None:
            # A gradient of all rows costs more than a Hessian of some.
            system.prepare(objective.at_hand() if objective.is_remote else system.part, start)
        polish = is_small(objective)
        return self.minimize(objective, start, tol, max_iter, callback, polish, system)

    @staticmethod
    def _estimate(sample, start, goal, max_iter, system):
        """The minimum of a sample to about ``goal``, which is not certified."""
        run, system.rough = _Run(sample, start, goal, False, system, has_gap=False), True
        while run.look() and run.n_iter < max_iter and run.step():
            pass
        system.rough = False
        # The last direction is known, and too short to lead anywhere but nearer.
        near = run.best.converged and run.point.params is run.best.params
        return run.best.params + (run.p if near else 0.0)

    def estimate(self, sample, start, goal, max_iter):
        """The minimum of a sample to about ``goal``, which is not certified."""
        return self._estimate(sample, start, goal, max_iter, self.system(sample))

    def system(self, objective):
        """What solves for Newton directions."""
        return Cholesky() if forms_gram(objective, self.gram_max) else ConjugateGradients()

    def minimize(
        self, objective, start, tol, max_iter, callback=None, polish=False, system=None
    ) -> Result:
        """As ``solve``; ``polish`` asks for all the accuracy there is."""
        system = system or self.system(objective)
        run = _Run(objective, start, tol, polish, system)
        while run.look() and run.n_iter < max_iter and run.step():
            if callback is not None and callback(run.n_iter, run.point.params):
                break
        objective.ended_at(run.point)
        return run.result()


class _Run:
    """A run of Newton's method: ``look`` where it stands, ``step`` from there.

    Attributes
    ----------
    point : Point
    best : Iterate
        The best point that was looked at.
    n_iter : int
        Steps.
    """

    def __init__(self, objective, start, tol, polish, system, has_gap=True):
        self.has_gap = has_gap
        self.objective, self.tol, self.polish, self.system = objective, tol, polish, system
        self.eps = float(np.finfo(objective.rows.dtype).eps)
        self.point, self.best = objective.at(np.array(start, dtype=np.float64)), None
        self.n_iter, self.floor, self.first = 0, None, None
        self.cautious = False  # whether the last step was too long, or much too long
        self.limit = False  # whether the limit of the arithmetic was met
        self.idle = 0  # steps in a row that changed nothing
        self.foreseen = np.inf  # a gap that is known without a gradient
        system.begin()

    def look(self) -> bool:
        """Judge the point, and find the direction to go on; False if the run is at its end."""
        point, best, eps = self.point, self.best, self.eps
        value = point.value
        goal = self._goal(value)
        solve = self.system(point, self.cautious, goal if self.has_gap else None)
        if best is not None and not value <= best.value * (1 + 10 * eps):
            return False  # the last step only added rounding error
        gap = self._gap(goal)
        if not self.polish and gap is not None and gap <= goal:  # no need of another direction
            if best is None or value < best.value or gap < best.bound:
                self.best = Iterate(point.params, value, gap, gap, True)
            return False
        try:
            p = self.objective.anchored(solve())
        except LinAlgError:  # a Hessian that is not finite: there is no way on
            p, gap = np.zeros_like(point.gradient), np.inf if gap is None else gap
        gap = None if gap is None else min(gap, self.system.gap)
        self.p, self.decrement = p, max(-float(point.gradient @ p), 0.0)
        bound = 0.5 * self.decrement if gap is None else gap
        converged = bound <= goal
        stalled = best is not None and value >= best.value * (1 - 4 * eps)
        # Slopes may come to balance where F does not change any more.
        better = best is not None and gap is not None and bound < 0.5 * best.bound
        if best is None or value < best.value or bound < best.bound:
            self.best = Iterate(point.params, value, gap, bound, converged)
        rounding = max(1e-3 * eps * value, self.floor or 1e-300)
        self.exact = 0.5 * self.decrement <= rounding or (converged and stalled)
        self.limit = self.exact and stalled and not better
        self.idle = self.idle + 1 if stalled and not better else 0
        if self.idle > _MOST_IDLE:
            return False
        return not (self.limit or (converged and (self.exact or not self.polish)))

    def _gap(self, goal):
        if not self.has_gap:
            return None
        return self.foreseen if self.foreseen <= goal and not self.polish else self.point.gap()

    def _goal(self, value):
        """What a gap may be."""
        self.first = value if self.first is None else self.first
        if self.floor is None and (value <= 1e-6 * self.first or self.n_iter == 20):
            # A minimum of zero has no relative accuracy: measure it by the loss at zero.
            self.floor = rounding_floor(self.objective)
        return enough(self.tol, value, self.floor or 0.0)

    def step(self) -> bool:
        """Go on in the direction that was found; False if there is no way."""
        self.n_iter += 1
        line = self.point.along(self.p)
        self.decrement *= line.shortened
        if self.system.stale and line.knows_end:
            line.enough = _ENOUGH
        new = line.search(self.decrement)
        stale = self.system.stale
        if new is None and (self.cautious or self.exact) and not stale:
            return False
        self.cautious = line.step < 0.1 and not stale
        self.system.note(self.decrement, line.step)
        self.foreseen = self._foresee(line, new)
        self.point = self.point if new is None else new
        return True

    def _foresee(self, line, new):
        """The duality gap at a new point, if slopes that are better than those there prove it."""
        exact = new is not None and self.system.is_exact and not self.polish
        goal = self._goal(line.value)
        far = expected_excess(self.decrement, line.value) > goal
        if not exact or far or not self.objective.has_gap:
            return np.inf
        if new.has_gradient and new.gap() <= goal:
            return np.inf
        return line.foreseen_gap(new)

    def result(self) -> Result:
        """What the run came to."""
        best = self.best
        if best.gap is None:
            return best.result(self.n_iter, best.converged or self.limit, "Newton decrement")
        goal = enough(self.tol, best.value, self.floor or 0.0)
        best = certified(self.objective, best, goal)
        return best.result(self.n_iter, best.converged, "relative gap")


_ENOUGH = 0.4  # slope at the end of a step by another Hessian, of that at its beginning
_MOST_IDLE = 10  # steps in a row that change nothing: more would not, either
