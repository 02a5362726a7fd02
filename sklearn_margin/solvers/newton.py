"""Newton's method with exact line search."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from sklearn_margin._linalg import factorized
from sklearn_margin._validation import check_number
from sklearn_margin.solvers._samples import stages
from sklearn_margin.solvers.base import (
    FEW_COLUMNS,
    MOST_EXCESS,
    Iterate,
    Result,
    Solver,
    certified,
    conjugate_gradients,
    enough,
    expected_excess,
    forming_is_cheap,
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
    Iterations are counted on all rows. The certificate is that of the whole problem.

    ``tol`` is compared with the duality gap relative to F; where there is none (alpha = 0, a
    loss that is not convex) with half the squared Newton decrement over F, which estimates the
    relative suboptimality (Boyd & Vandenberghe, "Convex Optimization", 2004, section 9.5).

    Parameters
    ----------
    gram_max : int, default=1000
        Most parameters of a problem of which the Hessian (the Gram matrix) is formed.

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
        system = self.system(objective)
        system.begin_with(objective.known_hessian())
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
        run = _Run(sample, start, goal, False, system, has_gap=False)
        while run.look() and run.n_iter < max_iter and run.step():
            pass
        # The last direction is known, and too short to lead anywhere but nearer.
        near = run.best.converged and run.point.params is run.best.params
        return run.best.params + (run.p if near else 0.0)

    def system(self, objective):
        """What solves for Newton directions."""
        return _Cholesky() if forms_gram(objective, self.gram_max) else _ConjugateGradients()

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
        far = expected_excess(self.decrement, line.value) > self._goal(line.value)
        return line.foreseen_gap(new) if exact and not far else np.inf

    def result(self) -> Result:
        """What the run came to."""
        best = self.best
        if best.gap is None:
            return best.result(self.n_iter, best.converged or self.limit, "Newton decrement")
        goal = enough(self.tol, best.value, self.floor or 0.0)
        best = certified(self.objective, best, goal)
        return best.result(self.n_iter, best.converged, "relative gap")


_MOST_IDLE = 10  # steps in a row that change nothing: more would not, either
_SOME_COLUMNS = 1000  # that are no more work than a direction of many products
_MOST_READS = 100  # for a direction
_MANY_COLUMNS = 2000  # of one that is formed of the rows that are here
_MOST_PRODUCTS = 30  # with the Hessian, that conjugate gradients typically need


class _Cholesky:
    """Newton directions by Cholesky factorisation of the Hessian.

    Attributes
    ----------
    is_exact : bool
        Whether the last direction leads to the minimum of the quadratic model of F at its point.

    A factor serves for further steps while they keep cutting the decrement: the Hessian of a
    sample, or of the step before, is often good enough, and a gradient is much cheaper.
    """

    part = None  # a sample of the rows: its Hessian is in the factor

    def __init__(self):
        self.factor = None  # solves with a Hessian
        self.stale = False  # whether the last direction came from an older Hessian
        self.reuse = self.fresh = False
        self.begin()

    def begin(self):
        """A new problem, to which the last Hessian may be close."""
        self.decrement = np.inf

    def begin_with(self, hessian):
        """Begin with a Hessian from elsewhere, if there is one."""
        if hessian is not None:
            with suppress(LinAlgError):
                self.factor = factorized(hessian, len(hessian) * np.finfo(np.float64).eps)
                self.reuse = True

    def prepare(self, sample, params):
        """Begin with the Hessian of a sample, at the point to start from."""
        point = sample.at(params)
        point.find_curvature()
        if point.hessian_products <= _MOST_PRODUCTS or forming_is_cheap(sample):
            hessian = point.hessian()
            with suppress(LinAlgError):
                eps = np.finfo(sample.rows.dtype).eps
                self.factor, self.reuse = factorized(hessian, len(hessian) * eps), True

    def __call__(self, point, cautious, goal):
        """A function for the Newton direction at a point, which then knows its gradient."""
        self.is_exact = False
        self.stale = self.reuse and self.factor is not None and not cautious
        if self.stale:
            return lambda: -self.factor(point.gradient)
        # Of a narrow envelope few rows are curved: its Hessian comes with a read, and changes.
        self.fresh = point.objective.is_remote and hasattr(point.objective.loss, "envelope_width")
        point.find_curvature(cautious)
        if point.hessian_products > _MOST_PRODUCTS and not forming_is_cheap(point.objective):
            self.factor = None
            return lambda: _ConjugateGradients()._direction(point, point, None)
        hessian, gradient = point.hessian(), point.gradient
        eps = np.finfo(point.objective.rows.dtype).eps

        def solve():
            self.factor = factorized(hessian, len(hessian) * eps)
            p = -self.factor(gradient)
            if not np.isfinite(p).all():
                return -gradient
            self.is_exact = not cautious
            return p

        return solve

    def note(self, decrement, step):
        """Take notice of a step: whether its Hessian is worth using once more."""
        improved = not self.stale or decrement <= 0.1 * self.decrement
        self.reuse = improved and step > 0.3 and not self.fresh
        self.decrement = decrement


class _ConjugateGradients:
    """Newton directions by preconditioned conjugate gradients.

    The preconditioner is diagonal until a direction has taken ``patience`` products. Then, if
    the objective can make one, it is the Gram matrix of a sample of the rows plus the penalty:
    overlapping features, such as splines beside one-hot columns, are what makes a direction
    long, and the sample shows them as well as all rows do.

    With a sample of the rows, ``part``, products are with its Hessian, which are cheaper by far,
    as long as the directions they give keep cutting the decrement. After that, if rows are
    elsewhere, a product is a read: few parameters are worth forming the Hessian in one, and for
    more the Hessian of the sample is the preconditioner.
    """

    def __init__(self, patience=30, most=500):
        self.patience = patience
        self.most = most
        self.gram = None
        self.part = None
        self.stale = False
        self.is_long = False  # whether a direction took many reads
        self.begin()

    def begin(self):
        """A new problem."""
        self.decrement, self.factor = np.inf, None

    def begin_with(self, hessian):
        """Hessians are not formed."""

    def prepare(self, sample, params):
        """Begin with the Hessian of a sample, which is used where it is."""

    def __call__(self, point, cautious, goal):
        """A function for the Newton direction at a point."""
        self.is_exact = False

        def solve():
            self.stale = self.part is not None and not cautious
            curved = self.part.at(point.params) if self.stale else point
            curved.find_curvature(cautious)
            few = _SOME_COLUMNS if self.is_long else FEW_COLUMNS
            if curved.objective.is_remote and len(point.params) <= few:
                return self._formed(point)
            remote = point.objective.is_remote
            return self._direction(point, curved, None if remote or cautious else goal)

        return solve

    def _formed(self, point):
        """Newton direction by a Hessian that is formed, and serves again while it is good."""
        if self.factor is None:
            hessian = point.hessian()
            eps = np.finfo(point.objective.rows.dtype).eps
            self.factor = factorized(hessian, len(hessian) * eps)
        return -self.factor(point.gradient)

    def note(self, decrement, step):
        """Take notice of a step: whether the sample is good for another."""
        if not (decrement <= 0.3 * self.decrement and step > 0.3):
            self.part = self.factor = None
        self.decrement = decrement

    def _direction(self, point, curved, goal):
        """Newton direction at ``point``, with the Hessian at ``curved``: of all rows or some.

        If there is a ``goal`` and the step is likely to be the last, it is found so accurately with
        the Hessian of the point that the slopes of the model are a certificate of that.
        """
        objective, gradient = point.objective, point.gradient
        if not gradient.any():
            return np.zeros_like(gradient)
        precondition, exact = self._preconditioner(curved, gradient), not self.stale
        enough = partial(_is_accurate, point, goal) if exact and goal is not None else None
        wanted, start = -objective.anchored(gradient), np.zeros_like(gradient)
        p = self._solve(point, curved, precondition, wanted, enough)
        decrement = float(wanted @ p)
        in_sight = expected_excess(decrement, point.value) <= MOST_EXCESS * (goal or 0.0)
        if self.stale and in_sight:
            point.find_curvature()
            exact, self.stale, start = True, False, p
            wanted = wanted - objective.anchored(point.hessian_product(start))
            enough = partial(_is_accurate, point, goal, start=start, before=decrement)
            p = self._solve(point, point, precondition, wanted, enough)
        self.is_exact = exact and goal is not None
        return start + p

    def _solve(self, point, curved, precondition, wanted, enough):
        """Solution p of H p = ``wanted``."""
        objective = point.objective
        p, n_products = conjugate_gradients(
            lambda v: objective.anchored(curved.hessian_product(v)),
            precondition,
            wanted,
            point.loss,
            least=1e-8,
            most=_MOST_READS if curved.objective.is_remote else self.most,
            noise=point.noise,
            until=enough,
        )
        self.is_long = self.is_long or n_products > _MOST_PRODUCTS
        if n_products > self.patience and self.gram is None:
            self.gram = curved.objective.sample_gram()
        return p

    @staticmethod
    def _of_sample(curved):
        """Function that solves with the Hessian of the rows that are here."""
        point = curved.objective.at_hand().at(curved.params)
        point.find_curvature()
        hessian = point.hessian()
        return factorized(hessian, len(hessian) * np.finfo(np.float64).eps)

    def _preconditioner(self, curved, gradient):
        """Function that solves with an approximation of the Hessian, scaled along the gradient."""
        objective = curved.objective
        if objective.is_remote and len(gradient) <= _MANY_COLUMNS:
            return self._of_sample(curved)
        l2 = objective.penalty.padded(objective.n_params).l2
        if self.gram is None and np.ptp(l2) <= 0.2 * l2.max():
            return lambda v: v  # any other number would make the same directions
        curvature = float(gradient @ (curved.hessian_product(gradient) - l2 * gradient))
        if self.gram is not None:
            level = curvature / max(float(gradient @ self.gram @ gradient), 1e-300)
            matrix = max(level, 1e-12) * self.gram
            matrix[np.diag_indices(len(l2))] += l2 + 1e-10 * matrix.diagonal().max()
            with suppress(LinAlgError):
                factor = cho_factor(matrix, lower=True, check_finite=False)
                return lambda v: cho_solve(factor, v, check_finite=False)
        # Columns have unit spread, so the loss's part of the diagonal is about constant.
        inverse = 1.0 / (max(curvature / float(gradient @ gradient), 1e-12) + l2)
        return lambda v: inverse * v


def _is_accurate(point, goal, p, r, decrement, start=0.0, before=0.0):
    """Whether a step start + p that leaves the residual r makes a certificate, or is too long for
    one; ``before`` is the decrement of ``start``."""
    excess = expected_excess(before + decrement, point.value)
    if excess > MOST_EXCESS * goal:
        return True
    objective = point.objective
    missing, unbalanced = objective.split(r)
    gap, _ = objective.penalty.gap(objective.split(point.params + start + p)[0], -missing)
    # What slopes that do not sum to zero will cost: see ``balanced_slopes``.
    k, most = objective.n_outputs, float(np.max(np.abs(unbalanced)))
    share = (4 * k if k > 1 else 2) * most / max(point.slopes.size, 1e-300)
    return gap + share * point.loss + excess <= 0.9 * goal
