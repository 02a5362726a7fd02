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
   rest takes a step more. With an L1 penalty the path has kinks: steps, to the minima of quadratic
   models plus the exact penalty, then serve all alphas.

Every minimum has the duality gap of its own slopes, and what does not get there in full steps is
left to the solver of single fits.
"""

import numpy as np
from scipy.interpolate import CubicHermiteSpline, CubicSpline, make_interp_spline
from scipy.linalg import LinAlgError

from sklearn_margin._linalg import factorized
from sklearn_margin.objective.many_points import read_many
from sklearn_margin.objective.pointwise import PointwiseObjective
from sklearn_margin.solvers._condensed import can_condense
from sklearn_margin.solvers._quadratic import minimize_quadratic
from sklearn_margin.solvers._samples import stages
from sklearn_margin.solvers.base import InTurn, Result, forms_gram
from sklearn_margin.solvers.coordinate_descent import CoordinateDescent
from sklearn_margin.solvers.newton import Newton

__all__ = ["solve_path"]

_FAR = 10.0  # ratio of the alphas for which the sample is solved,
_NEAR = 3.0  # and of those that are solved first
_AIM = 0.3  # share of the tolerance that steps aim for there
_SLOW = (
    0.1  # share of a decrement that a step may leave; if more, the Hessian is formed of all rows
)
_SLOWEST = 0.5  # if more, steps are given up
_MOST = 20  # steps
_CLOSE = 0.01  # relative gap up to which a single fit begins where they ended
_SWEPT = 1e-3  # of the goal: a decrease by a sweep that is too small for another


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
    first = solver.solvers[0] if isinstance(solver, InTurn) else solver
    if not (isinstance(first, (Newton, CoordinateDescent)) and _suits(first, objectives, tol)):
        return None
    start = objectives[0].start()
    *samples, _ = stages(objectives[0], start, tol)
    if not samples:
        return None
    times = np.log([objective.penalty.strength for objective in objectives])
    options = {"tol": tol, "max_iter": max_iter, "random_state": random_state}
    try:
        curve = _Curve(first, objectives, times, samples, start, max_iter)
        return _results(objectives, times, curve, solver, first.name, options)
    except (LinAlgError, ValueError):  # numbers that are not finite: single fits know what to say
        return None


def _results(objectives, times, curve, solver, name, options):
    """By steps from the path of a sample, and by the solver where those do not get there."""
    results = [None] * len(objectives)

    def solve(numbers, params, aim=1.0, curved=False):
        some = [objectives[k] for k in numbers]
        steps = _Steps(some, curve, times[numbers], params, options["tol"], aim, curved)
        near = None  # where the fit before ended
        for k, result in zip(numbers, steps.run(options["max_iter"]), strict=True):
            result = result._replace(solver=name)
            results[k] = result if result.converged else finished(objectives[k], result, near)
            near = results[k].params

    def finished(objective, result, near):
        start = result.params if near is None or result.reached <= _CLOSE else near
        left = options["max_iter"] - result.n_iter
        found = solver.solve(objective, start, **(options | {"max_iter": left}))
        n_iter = found.n_iter + result.n_iter
        return found._replace(n_iter=n_iter, solver=found.solver or solver.name)

    everywhere, curved = np.arange(len(times)), objectives[0].fit_intercept
    if not curve.is_smooth:  # steps serve all minima, since they lie on no smooth curve
        solve(everywhere, curve.params(times), curved=curved)
        return results
    some = _apart(times, _NEAR)
    solve(some, curve.params(times[some]), _AIM, curved)
    others = np.setdiff1d(everywhere, some)
    if len(some) == 1:  # all alphas are equal
        return [results[some[0]]] * len(times)
    if len(others):
        known = CubicSpline(-times[some], [results[k].params for k in some])
        solve(others, known(-times[others]))
    return results


def _suits(solver, objectives, tol):
    """Whether fits can be improved together."""
    first = objectives[0]
    return (
        type(first) is PointwiseObjective
        and first.n_outputs == 1
        and first.foresees
        and first.may_scale
        and forms_gram(first, solver.gram_max)
        and not can_condense(first, tol, solver.gram_max)
        and not (first.penalty.has_bounds or (first.penalty.l1 + first.penalty.l2 == 0).any())
    )


class _Curve:
    """The path of a sample: minima by log alpha, and Hessians of L there.

    Attributes
    ----------
    is_smooth : bool
        Whether the penalty is, and so the path.
    """

    def __init__(self, solver, objectives, times, samples, start, max_iter):
        minima, slopes, self.hessians = [], [], []
        solved, self.is_smooth = _apart(times, _FAR), objectives[0].penalty.is_smooth
        for k in solved:
            for sample, goal in samples[-1:] if minima else samples:
                part = sample.penalized(objectives[k].penalty.penalty)
                start = solver.estimate(part, start, goal, max_iter)
            gradient, hessian = part.loss_gradient_hessian(part.curvature(part.scores(start)))
            self.hessians.append(hessian)
            if not self.is_smooth:
                minima.append(start)
                continue
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
        if not self.is_smooth:
            return make_interp_spline(self.times, self.minima, k=1)(-times)
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

    def __init__(self, objectives, curve, times, params, tol, aim, curved):
        self.objectives, self.curve, self.times = objectives, curve, times
        self.params, self.tol, self.aim, self.curved = params, tol, aim, curved
        self.eps = float(np.finfo(objectives[0].rows.dtype).eps)
        self.l1, self.l2 = (
            np.array([getattr(o.penalty, name) for o in objectives]) for name in ("l1", "l2")
        )
        self.is_smooth = objectives[0].penalty.is_smooth
        self.left = np.arange(len(objectives))
        self.decrement = np.full(len(objectives), np.inf)
        self.formed, self.source = {}, [None] * len(objectives)  # Hessians, and whose serves whom
        self.results = [Result(p.copy(), np.inf, 0, False, np.inf, reached=np.inf) for p in params]

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
        readings = read_many(self.objectives[0], self.params[left], self.curved)
        self.gradient = readings.gradient
        self.gradient[:, :d] += l2 * u
        values = readings.loss + np.sum(0.5 * l2 * u**2 + self.l1[left] * np.abs(u), axis=1)
        bounds = _bounds(readings, self.gradient, l2) if self.is_smooth else np.zeros(len(left))
        keep = []
        for i, k in enumerate(left):
            value, gap = float(values[i]), float(bounds[i])
            if not value <= self.results[k].value * (1 + 10 * self.eps):
                continue  # too long a step
            params = self.params[k].copy()
            if gap <= self.tol * value:
                gap = self._gap(k, self.gradient[i], readings.slopes(i), float(readings.loss[i]))
            self.results[k] = Result(
                params, value, n_iter, gap <= self.tol * value, gap, "relative gap",
                gap / max(value, 1e-300),
            )  # fmt: skip
            if gap > self.aim * self.tol * value:
                keep.append(i)
        self.left, self.gradient = left[keep], self.gradient[keep]
        self.bends = None if readings.bend is None else readings.bend[keep]

    def _gap(self, k, gradient, slopes, loss):
        """The duality gap where the smooth part of F has this gradient."""
        objective = self.objectives[k]
        if not self.is_smooth:
            gradient = gradient + objective.join(
                self.l1[k] * np.sign(objective.split(self.params[k])[0]), 0.0
            )
        return objective.gap(self.params[k], gradient, slopes, loss)

    def step(self):
        """Go to the minima of quadratic models, where they are worth it."""
        keep = []
        for i, k in enumerate(self.left):
            bend = None if self.bends is None else self.bends[i]
            p, decrement = self._direction(k, self.gradient[i], bend)
            if decrement > _SLOW * self.decrement[k] and self.source[k] != k:
                self._find_hessian(k)
                p, decrement = self._direction(k, self.gradient[i], bend)
            if 0 < decrement <= _SLOWEST * self.decrement[k]:
                self.params[k] += p
                self.decrement[k] = decrement
                keep.append(i)
        self.left = self.left[keep]

    def _direction(self, k, gradient, bend):
        """A Newton direction, and its decrement."""
        hessian = self.formed.get(self.source[k])
        hessian = self.curve.hessian(self.times[k]) if hessian is None else hessian.copy()
        if bend is not None:
            hessian = _with_intercept(hessian, bend)
        objective, params = self.objectives[k], self.params[k]
        hessian = objective.with_penalty(hessian)
        if self.is_smooth:
            p = -factorized(hessian)(gradient)
            return p, -float(p @ gradient)
        penalty = objective.penalty.padded(len(params))
        goal = _SWEPT * self.tol * self.results[k].value
        new = minimize_quadratic(hessian, penalty, params, gradient, goal)
        return new - params, -float(gradient @ (new - params)) - penalty.l1_change(params, new)

    def _find_hessian(self, k):
        """A Hessian of L of all rows: the nearest that is known, or if that served already or is
        far, the one here."""
        known = np.array(list(self.formed), dtype=np.intp)
        near = known[np.abs(self.times[known] - self.times[k]) < np.log(_NEAR)]
        if self.source[k] is None and len(near):
            self.source[k] = near[np.abs(self.times[near] - self.times[k]).argmin()]
            return
        objective = self.objectives[k]
        curvature = objective.curvature(objective.scores(self.params[k]))
        self.formed[k], self.source[k] = objective.loss_gradient_hessian(curvature)[1], k


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
