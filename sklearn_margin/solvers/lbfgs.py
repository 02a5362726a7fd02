"""Limited-memory BFGS, by scipy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import Bounds, OptimizeResult, minimize

from sklearn_margin._validation import check_number
from sklearn_margin.solvers._samples import stages
from sklearn_margin.solvers.base import (
    Iterate,
    Result,
    Solver,
    certified,
    is_small,
    preconditioner,
    value_gap,
)
from sklearn_margin.solvers.coordinate_descent import CoordinateDescent
from sklearn_margin.solvers.newton import Newton

__all__ = ["LBFGS"]


class LBFGS(Solver):
    """Scipy's L-BFGS-B over value and gradient, for differentiable losses.

    An L1 penalty is handled exactly by splitting u into its positive and negative parts,
    both bounded by zero: \\|u\\| = u⁺ + u⁻ is then linear.

    ``tol`` is compared with the largest entry of the (projected) gradient, relative to that
    at zero coefficients, and then with the duality gap relative to F, where there is one: if
    that is larger, the run goes on to a gradient a tenth as large, as often as it helps. Rounding
    error ends that early. If a problem is small and the loss has a Hessian, the last digits are
    then found by the steps of ``newton`` or ``coordinate_descent``.

    Parameters
    ----------
    memory : int, default=20
        Number of corrections kept.

    Examples
    --------
    >>> from sklearn_margin import LinearClassifier
    >>> from sklearn_margin.solvers import LBFGS
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1]
    >>> LinearClassifier("logistic", solver=LBFGS(memory=5), alpha=0.1).fit(X, y).score(X, y)
    1.0
    """

    name = "lbfgs"
    linear = False
    keeps_bounds = True

    def __init__(self, memory: int = 20) -> None:
        self.memory = memory

    def check_params(self) -> None:
        check_number(self.memory, "memory", minimum=1, integer=True)

    def obstacle(self, objective: Any) -> str | None:
        if not objective.is_smooth:
            return f"the loss {type(objective.loss).__name__} is not differentiable"
        return objective.why_not_at_once

    def rank(self, objective: Any, tol: float) -> float | None:
        if not objective.is_linear:  # batches are as good, where rows are many
            few = objective.rows.shape[0] <= _FEW_ROWS and objective.sampler == "uniform"
            return 9 if few else 11
        return 2

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
        for sample, goal in stages(objective, start, tol, most=1)[:-1]:
            start = self.minimize(sample, start, goal, max_iter).params
        return self.minimize(objective, start, tol, max_iter, callback)

    def minimize(self, objective, start, tol, max_iter, callback=None) -> Result:
        """As ``solve``, without a sample first."""
        run = _Run(objective, start, self.memory, tol, max_iter, callback)
        while run.descend():
            pass
        best, n_iter = run.best, min(run.done, max_iter)
        if best.gap is None:
            return Result(best.params, best.value, n_iter, run.is_stationary, reached=run.reached)
        best = certified(objective, best, tol * best.value)
        if not (best.converged or run.stopped) and n_iter < max_iter and is_small(objective):
            return _finish(objective, best, tol, max_iter, n_iter, callback)
        return best.result(n_iter, best.converged, "relative gap")


class _Run:
    """Runs of scipy's L-BFGS-B, each from where the last one ended.

    Attributes
    ----------
    best : Iterate
        The best end of a run.
    done : int
        Iterations.
    reached : float
        Norm of the gradient where the last run ended, relative to that at the start.
    stopped : bool
        Whether the callback wished to.
    """

    def __init__(self, objective, start, memory, tol, max_iter, callback):
        self.objective, self.tol, self.max_iter = objective, tol, max_iter
        self.callback, self.memory = callback, memory
        self.problem = _Split(objective) if objective.penalty.has_l1 else _Plain(objective)
        self.x = self.problem.encode(objective.feasible(start))
        _, slope = self.problem.value_gradient(self.problem.encode(objective.start()))
        self.reference = max(float(np.abs(slope).max(initial=0.0)), 1e-300)
        self.eps = float(np.finfo(objective.rows.dtype).eps)
        polish = is_small(objective) and objective.polish
        self.target = max(min(tol, 1e-9) if polish else tol, 0.1 * self.eps)
        self.best, self.done, self.restarts, self.stopped = None, 0, 0, False

    def descend(self) -> bool:
        """One run; whether another may do better."""
        bounds = self.problem.bounds
        if bounds is not None and np.array_equal(bounds.lb, bounds.ub):
            # Nothing may move, for which scipy has neither a status nor a gradient.
            value, slope = self.problem.value_gradient(bounds.lb)
            found = OptimizeResult(x=bounds.lb, fun=value, jac=slope, status=0)
            self.target = 0.0  # there is no more to be had
        else:
            found = minimize(
                self.problem.value_gradient, self.x, jac=True, method="L-BFGS-B",
                bounds=bounds, callback=self._after_iteration, options=self._options(),
            )  # fmt: skip
        self.x, self.status = found.x, found.status
        self.reached = self.problem.projected_norm(self.x, found.jac) / self.reference
        params = self.problem.decode(self.x)
        value, gap = value_gap(self.objective, params)
        here = Iterate(params, value, gap, self.reached if gap is None else gap)
        if self.best is None or value < self.best.value or here.bound < self.best.bound:
            self.best = here
        if self.stopped or self.done >= self.max_iter or gap is None or gap <= self.tol * value:
            return False
        if found.status == 0:
            again = self.target > 10 * self.eps
            self.target *= 0.1
            return again
        # A line search that fails may do better without the corrections before it.
        self.restarts += 1
        return self.restarts <= _RESTARTS

    @property
    def is_stationary(self) -> bool:
        """Whether the gradient is as small as was asked for, or as rounding allows: a line search
        that can make no progress has met the limit of the arithmetic."""
        limit = self.status != 1 and self.reached <= 100 * np.sqrt(self.eps)
        return bool(self.reached <= self.tol or limit)

    def _options(self):
        return {
            "maxiter": max(self.max_iter - self.done, 1),
            "maxfun": 30 * self.max_iter,
            "maxcor": self.memory,
            "maxls": 50,
            "ftol": 0.0 if self.eps < 1e-10 else 0.1 * self.eps,
            "gtol": self.target * self.reference,
        }

    def _after_iteration(self, intermediate_result):
        self.done += 1
        params = self.problem.decode(intermediate_result.x)
        if self.callback is not None and self.callback(self.done, params):
            self.stopped = True
            raise StopIteration


_RESTARTS = 2
_FEW_ROWS = 500  # of an embedding, all of which are compared with each other at every step


def _finish(objective, best, tol, max_iter, n_iter, callback):
    """The last digits of a small problem, by a method of second order if the loss allows one."""
    solver = Newton() if objective.penalty.is_smooth else CoordinateDescent()
    if solver.obstacle(objective) is not None:
        return best.result(n_iter, False, "relative gap")

    def after(steps, params):
        return callback is not None and callback(n_iter + steps, params)

    run = solver.minimize(objective, best.params, tol, max_iter - n_iter, after)
    if run.converged or run.value < best.value:
        return run._replace(n_iter=n_iter + run.n_iter)
    return best.result(n_iter, False, "relative gap")


class _Plain:
    """The problem in scaled parameters v = params / D."""

    def __init__(self, objective):
        self.objective = objective
        self.D = preconditioner(objective)
        self.bounds = None
        if objective.penalty.has_bounds:
            penalty = objective.penalty.padded(objective.n_params)
            self.bounds = Bounds(penalty.lower / self.D, penalty.upper / self.D)

    def encode(self, params):
        return params / self.D

    def decode(self, v):
        return v * self.D

    def value_gradient(self, v):
        value, gradient = self.objective.value_gradient(v * self.D)
        return value, gradient * self.D

    def projected_norm(self, v, gradient):
        return _projected_norm(self.bounds, v, gradient)


class _Split:
    """The problem in v = [u⁺/D, u⁻/D, b], with both parts non-negative."""

    def __init__(self, objective):
        self.objective, penalty = objective, objective.penalty
        self.d = len(penalty.l1)
        self.D = preconditioner(objective)[: self.d]
        free = np.full(objective.n_params - self.d, np.inf)  # intercepts
        lower, upper = penalty.lower / self.D, penalty.upper / self.D
        self.bounds = Bounds(
            np.r_[np.maximum(lower, 0), np.maximum(-upper, 0), -free],
            np.r_[np.maximum(upper, 0), np.maximum(-lower, 0), free],
        )

    def encode(self, params):
        u, b = self.objective.split(params)
        return self.objective.join(
            np.r_[np.maximum(u, 0), np.maximum(-u, 0)] / np.r_[self.D, self.D], b
        )

    def decode(self, v):
        u = (v[: self.d] - v[self.d : 2 * self.d]) * self.D
        return self.objective.join(u, v[2 * self.d :])

    def value_gradient(self, v):
        objective, l1 = self.objective, self.objective.penalty.l1
        params = self.decode(v)
        u, _ = objective.split(params)
        value, gradient = objective.value_gradient(params)
        smooth, slope = objective.split(gradient)
        smooth = objective.penalty.without_l1(u, smooth)
        parts = v[: self.d] + v[self.d : 2 * self.d]
        value += float(l1 @ (parts * self.D - np.abs(u)))
        return value, objective.join(np.r_[(smooth + l1) * self.D, (l1 - smooth) * self.D], slope)

    def projected_norm(self, v, gradient):
        return _projected_norm(self.bounds, v, gradient)


def _projected_norm(bounds, v, gradient):
    """The largest entry of the gradient, those that lead beyond a bound left out."""
    if bounds is not None:
        gradient = np.where(v > bounds.lb, gradient, np.minimum(gradient, 0.0))
        gradient = np.where(v < bounds.ub, gradient, np.maximum(gradient, 0.0))
    return float(np.abs(gradient).max(initial=0.0))
