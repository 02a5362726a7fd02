r"""The fits of a path together: Newton's method for many penalties, one read of X a step.

1. A sample of the rows has a path of its own, off by no more than its sampling error. It is solved
   for few alphas, far apart. Between them it is a smooth curve: if Λ, a multiple of alpha, is the
   Hessian of the penalty, H that of L, and u the minimum, du/d log alpha = −(H + Λ)⁻¹Λu. So cubic
   Hermite interpolation gives its minima for the others (a predictor of numerical continuation:
   Allgower & Georg, "Introduction to Numerical Continuation Methods", 2003).
2. From there Newton steps lead to the minima of all rows, for some alphas, with the Hessians of the
   sample, interpolated linearly. A step takes one read of X for all of them (``read_many``), and
   leaves a tenth of the error or so. It is the intercept whose error costs most, since slopes that
   do not sum to zero are no dual point: its row of the Hessian comes with the read. Where a step
   leaves more, the Hessian is formed of all rows.
3. The other minima lie on a cubic spline through these, and one read certifies most of them; the
   rest takes a step more.

Every minimum has the duality gap of its own slopes, and what does not get there in full steps is
left to the solver of single fits.
"""

import numpy as np
from scipy.interpolate import CubicHermiteSpline, CubicSpline
from scipy.linalg import LinAlgError

from sklearn_margin._linalg import factorized
from sklearn_margin.objective.many_points import read_many
from sklearn_margin.objective.pointwise import PointwiseObjective
from sklearn_margin.solvers._condensed import can_condense
from sklearn_margin.solvers._samples import stages
from sklearn_margin.solvers.base import InTurn, Result, forms_gram
from sklearn_margin.solvers.newton import Newton

__all__ = ["solve_path"]

_FAR = 10.0  # ratio of the alphas for which the sample is solved,
_NEAR = 3.0  # and of those that are solved first
_AIM = 0.3  # share of the tolerance that steps aim for there
_SLOW = (
    0.1  # share of its decrement that a step may leave before its Hessian is formed of all rows,
)
_SLOWEST = 0.5  # and before steps are given up
_MOST = 20  # steps


def solve_path(solver, objectives, *, tol, max_iter, random_state) -> list[Result] | None:
    """The minima of objectives that differ in their penalty.

    Parameters
    ----------
    solver : Solver
        Of single fits.
    objectives : list of LinearObjective
        By decreasing alpha.
    tol, max_iter, random_state
        As of ``Solver.solve``.

    Returns
    -------
    list of Result or None
        None where single fits are as good.
    """
    newton = solver.solvers[0] if isinstance(solver, InTurn) else solver
    if not (isinstance(newton, Newton) and _suits(newton, objectives, tol)):
        return None
    start = objectives[0].start()
    *samples, _ = stages(objectives[0], start, tol)
    if not samples:
        return None
    times = np.log([objective.penalty.strength for objective in objectives])
    results = [None] * len(objectives)

    def solve(numbers, params, aim):
        steps = _Steps([objectives[k] for k in numbers], curve, times[numbers], params, tol, aim)
        for k, result in zip(numbers, steps.run(max_iter), strict=True):
            results[k] = result
            if not result.converged:
                results[k] = solver.solve(
                    objectives[k], result.params, tol=tol, max_iter=max_iter - result.n_iter,
                    random_state=random_state,
                )  # fmt: skip
                results[k] = _after(result, results[k], solver)

    try:
        curve = _Curve(newton, objectives, times, samples, start, max_iter)
        some = _apart(times, _NEAR)
        solve(some, curve.params(times[some]), _AIM)
        others = np.setdiff1d(np.arange(len(times)), some)
        if len(others):
            known = [results[k].params for k in some]
            solve(others, CubicSpline(-times[some], known)(-times[others]), 1.0)
    except LinAlgError:
        return None
    return results


def _after(first, second, solver):
    """The result of a single fit that began where steps ended."""
    n_iter = first.n_iter + second.n_iter
    return second._replace(n_iter=n_iter, solver=second.solver or solver.name)


def _suits(newton, objectives, tol):
    """Whether fits can be improved together."""
    first = objectives[0]
    return (
        type(first) is PointwiseObjective
        and first.n_outputs == 1
        and first.foresees
        and first.may_scale
        and forms_gram(first, newton.gram_max)
        and not can_condense(first, tol, newton.gram_max)
        and all(o.penalty.is_smooth and (o.penalty.l2 > 0).all() for o in objectives)
    )


class _Curve:
    """The path of a sample: minima by log alpha, and Hessians of L there."""

    def __init__(self, newton, objectives, times, samples, start, max_iter):
        system, minima, slopes, self.hessians = newton.system(objectives[0]), [], [], []
        solved = _apart(times, _FAR)
        for k in solved:
            for sample, goal in samples[-1:] if minima else samples:
                part = sample.penalized(objectives[k].penalty.penalty)
                start = newton._estimate(part, start, goal, max_iter, system)
            gradient, hessian = part.loss_gradient_hessian(part.curvature(part.scores(start)))
            self.hessians.append(hessian)
            factor = factorized(part.with_penalty(hessian.copy()))
            start = start - factor(gradient + part.penalty_gradient(start))
            minima.append(start)
            slopes.append(factor(part.penalty_gradient(start)))  # by −log alpha, which increases
        self.times = -times[solved]
        self.minima, self.slopes = minima, slopes

    def params(self, times):
        """Minima for some alphas."""
        if len(self.times) == 1:
            return np.tile(self.minima[0], (len(times), 1))
        return CubicHermiteSpline(self.times, self.minima, self.slopes)(-times)

    def hessian(self, time):
        """About the Hessian of L for an alpha."""
        if len(self.times) == 1:
            return self.hessians[0].copy()
        i = int(np.clip(np.searchsorted(self.times, -time), 1, len(self.times) - 1))
        share = (-time - self.times[i - 1]) / (self.times[i] - self.times[i - 1])
        return (1 - share) * self.hessians[i - 1] + share * self.hessians[i]


def _apart(times, ratio):
    """Numbers of some of the decreasing logarithms, first and last among them, that are about a
    ``ratio`` apart, or more where there are none between."""
    n_steps = int(np.ceil((times[0] - times[-1]) / np.log(ratio) - 1e-9))
    wanted = np.linspace(times[0], times[-1], n_steps + 1)
    return np.unique(np.abs(times - wanted[:, None]).argmin(axis=1))


class _Steps:
    """Newton steps for several penalties: ``look`` where they stand, ``step`` from there.

    Attributes
    ----------
    left : ndarray of int
        Numbers of the penalties that steps still serve.
    results : list of Result
        By penalty: the best point.
    """

    def __init__(self, objectives, curve, times, params, tol, aim):
        self.objectives, self.curve, self.times = objectives, curve, times
        self.params, self.tol, self.aim = params, tol, aim
        self.curved = objectives[0].fit_intercept and aim < 1.0
        self.eps = float(np.finfo(objectives[0].rows.dtype).eps)
        self.l2 = np.array([o.penalty.l2 for o in objectives])
        self.left = np.arange(len(objectives))
        self.decrement, self.formed = np.full(len(objectives), np.inf), {}
        self.results = [Result(p.copy(), np.inf, 0, False, np.inf) for p in params]

    def run(self, max_iter):
        """Results; those that are not converged say from where to go on."""
        for n_iter in range(min(_MOST, max_iter) + 1):
            self.look(n_iter)
            if n_iter < max_iter:
                self.step()
            if not len(self.left):
                break
        return self.results

    def look(self, n_iter):
        """Read X, and certify what is a minimum."""
        left, d = self.left, self.l2.shape[1]
        u, l2 = self.params[left, :d], self.l2[left]
        first = self.objectives[0]
        readings = read_many(first, self.params[left], self.curved)
        self.gradient = readings.gradient
        self.gradient[:, :d] += l2 * u
        values = readings.loss + 0.5 * np.sum(l2 * u**2, axis=1)
        bounds = _bounds(readings, self.gradient, l2)
        keep = []
        for i, k in enumerate(left):
            value, gap = float(values[i]), float(bounds[i])
            if not value <= self.results[k].value * (1 + 10 * self.eps):
                continue  # too long a step
            params = self.params[k].copy()
            if gap <= self.tol * value:
                gap = self.objectives[k].gap(
                    params, self.gradient[i], readings.slopes(i), float(readings.loss[i])
                )
            self.results[k] = Result(
                params, value, n_iter, gap <= self.tol * value, gap, "relative gap", gap / value,
                "newton",
            )  # fmt: skip
            if gap > self.aim * self.tol * value:
                keep.append(i)
        self.left, self.gradient = left[keep], self.gradient[keep]
        self.bends = None if readings.bend is None else readings.bend[keep]

    def step(self):
        """Go to the minima of quadratic models, where they are worth it."""
        keep = []
        for i, k in enumerate(self.left):
            bend = None if self.bends is None else self.bends[i]
            p, decrement = self._direction(k, self.gradient[i], bend)
            if decrement > _SLOW * self.decrement[k] and k not in self.formed:
                self.formed[k] = self._formed(k)
                p, decrement = self._direction(k, self.gradient[i], bend)
            if 0 < decrement <= _SLOWEST * self.decrement[k]:
                self.params[k] += p
                self.decrement[k] = decrement
                keep.append(i)
        self.left = self.left[keep]

    def _direction(self, k, gradient, bend):
        """A Newton direction, and its decrement."""
        hessian = self.formed[k].copy() if k in self.formed else self.curve.hessian(self.times[k])
        if bend is not None:
            hessian = _with_intercept(hessian, bend)
        p = -factorized(self.objectives[k].with_penalty(hessian))(gradient)
        return p, -float(p @ gradient)

    def _formed(self, k):
        """The Hessian of L of all rows."""
        objective = self.objectives[k]
        return objective.loss_gradient_hessian(
            objective.curvature(objective.scores(self.params[k]))
        )[1]


def _with_intercept(hessian, row):
    """A Hessian with another row of the intercept: the covariance of the columns stays."""
    a, c, known = row[:-1], row[-1], hessian[-1].copy()
    if c > 0 and known[-1] > 0:
        hessian[:-1, :-1] += np.outer(a, a / c) - np.outer(known[:-1], known[:-1] / known[-1])
        hessian[-1] = hessian[:, -1] = row
    return hessian


def _bounds(readings, gradient, l2):
    """Duality gaps, as ``Certified.gap`` has them, or somewhat more."""
    d = l2.shape[1]
    total = np.abs(gradient[:, d:]).sum(axis=1)
    share = total / np.maximum(0.5 * (readings.size + total), 1e-300)
    slack = share * np.sqrt(readings.n * readings.squares)
    misses = np.abs(gradient[:, :d]) + slack[:, None]
    return 0.5 * np.sum(misses**2 / l2, axis=1) + share * readings.loss
