"""Limited-memory BFGS, by scipy."""

import numpy as np
from scipy.optimize import minimize

from sklearn_margin.losses.base import check_number
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

    def __init__(self, memory=20):
        self.memory = memory

    def check_params(self):
        check_number(self.memory, "memory", minimum=1, integer=True)

    def obstacle(self, objective):
        if not objective.is_smooth:
            return f"the loss {type(objective.loss).__name__} is not differentiable"
        return objective.why_not_at_once

    def rank(self, objective, tol):
        if not objective.is_linear:  # batches are as good, where rows are many
            few = objective.rows.shape[0] <= _FEW_ROWS and objective.sampler == "uniform"
            return 9 if few else 11
        return 2

    def solve(
        self, objective, start, *, tol, max_iter, callback=None, random_state=None, validation=None
    ):
        for sample, goal in stages(objective, start, tol, most=1)[:-1]:
            start = self.minimize(sample, start, goal, max_iter).params
        return self.minimize(objective, start, tol, max_iter, callback)

    def minimize(self, objective, start, tol, max_iter, callback=None) -> Result:
        """As ``solve``, without a sample first."""
        problem = _Split(objective) if objective.penalty.has_l1 else _Plain(objective)
        _, slope = problem.value_gradient(problem.encode(objective.start()))
        reference = max(float(np.abs(slope).max(initial=0.0)), 1e-300)
        eps = float(np.finfo(objective.rows.dtype).eps)
        polish = is_small(objective) and objective.polish
        target = max(min(tol, 1e-9) if polish else tol, 0.1 * eps)
        x, done, stop = problem.encode(start), 0, False

        def after_iteration(intermediate_result):
            nonlocal done, stop
            done += 1
            if callback is not None and callback(done, problem.decode(intermediate_result.x)):
                stop = True
                raise StopIteration

        best, restarts = None, 0
        while True:
            found = minimize(
                problem.value_gradient,
                x,
                jac=True,
                method="L-BFGS-B",
                bounds=problem.bounds,
                callback=after_iteration,
                options={
                    "maxiter": max(max_iter - done, 1),
                    "maxfun": 30 * max_iter,
                    "maxcor": self.memory,
                    "maxls": 50,
                    "ftol": 0.0 if eps < 1e-10 else 0.1 * eps,
                    "gtol": target * reference,
                },
            )
            x = found.x
            reached = problem.projected_norm(x, found.jac) / reference
            value, gap = value_gap(objective, problem.decode(x))
            here = Iterate(problem.decode(x), value, gap, reached if gap is None else gap)
            if best is None or value < best.value or here.bound < best.bound:
                best = here
            if stop or done >= max_iter or gap is None or gap <= tol * value:
                break
            if found.status == 0 and target <= 10 * eps:
                break
            # A line search that fails may do better without the corrections before it.
            restarts += found.status != 0
            if restarts > _RESTARTS:
                break
            target *= 0.1 if found.status == 0 else 1.0
        n_iter = min(done, max_iter)
        if gap is None:
            # A line search that can make no progress has met the limit of the arithmetic.
            limit = found.status != 1 and reached <= 100 * np.sqrt(eps)
            return Result(best.params, best.value, n_iter, bool(reached <= tol or limit),
                          reached=reached)  # fmt: skip
        best = certified(objective, best, tol * best.value)
        if not (best.converged or stop) and n_iter < max_iter and is_small(objective):
            return _finish(objective, best, tol, max_iter, n_iter, callback)
        return best.result(n_iter, best.converged, "relative gap")


_RESTARTS = 2
_FEW_ROWS = 500  # of an embedding, all of which are compared with each other at every step


def _finish(objective, best, tol, max_iter, n_iter, callback):
    """The last digits of a small problem, by a method of second order if the loss allows one."""
    solver = CoordinateDescent() if objective.penalty.has_l1 else Newton()
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

    bounds = None

    def __init__(self, objective):
        self.objective = objective
        self.D = preconditioner(objective)

    def encode(self, params):
        return params / self.D

    def decode(self, v):
        return v * self.D

    def value_gradient(self, v):
        value, gradient = self.objective.value_gradient(v * self.D)
        return value, gradient * self.D

    def projected_norm(self, v, gradient):
        return float(np.abs(gradient).max(initial=0.0))


class _Split:
    """The problem in v = [u⁺/D, u⁻/D, b], with both parts non-negative."""

    def __init__(self, objective):
        self.objective = objective
        self.d = len(objective.penalty.l1)
        self.D = preconditioner(objective)[: self.d]
        free = objective.n_params - self.d  # intercepts
        self.bounds = [(0, None)] * (2 * self.d) + [(None, None)] * free

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
        smooth = smooth - l1 * np.sign(u)
        parts = v[: self.d] + v[self.d : 2 * self.d]
        value += float(l1 @ (parts * self.D - np.abs(u)))
        return value, objective.join(np.r_[(smooth + l1) * self.D, (l1 - smooth) * self.D], slope)

    def projected_norm(self, v, gradient):
        parts, slope = gradient[: 2 * self.d], gradient[2 * self.d :]
        free = np.where(v[: 2 * self.d] > 0, parts, np.minimum(parts, 0.0))
        return float(np.abs(np.r_[free, slope]).max(initial=0.0))
