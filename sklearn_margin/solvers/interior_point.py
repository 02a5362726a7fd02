"""Primal-dual interior-point method for piecewise-linear losses, with sifting of rows."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from sklearn_margin.losses.base import check_number
from sklearn_margin.solvers._hinges import (
    HingeModel,
    SpanModel,
    hinge_terms,
    is_sum_of_hinges,
    lies_in_span,
)
from sklearn_margin.solvers._small_path import solve_small_hinges, why_not_small_hinges
from sklearn_margin.solvers.base import Result, Solver, is_small

__all__ = ["InteriorPoint"]

_LARGEST = 3000  # order of the largest matrix to factorise
_SIFT_ROWS = 20_000  # fewest rows for which sifting pays


class InteriorPoint(Solver):
    """Mehrotra's predictor-corrector method for losses that are sums of hinges.

    Writing e = z − kink = p − q with p, q ≥ 0, and t ∈ [0, 1] for the multiplier of a hinge,
    the optimum has p (1 − t) = 0 and q t = 0; the method follows p (1 − t) = q t = τ to
    τ = 0. Eliminating p, q and t leaves one system with the matrix λ₂ + X̃ᵀ diag(ω) X̃ per
    step [1]_. An L1 penalty is a sum of hinges of the coefficients themselves. The target τ
    is the same for every row, so that a row of weight 2 follows the very path of two equal
    rows. With more features than rows the problem is solved in the span of the rows.

    With many rows, most end up on one side of their kink, where the loss is linear, and it is
    cheap to find out on which [2]_: two small samples are solved, and how far their scores
    differ says how uncertain a score is. Rows farther than ``band`` times that from their kink
    are taken as linear, the others are solved, and if any row proves to lie on the wrong side
    it joins them. The certificate is always that of the whole problem.

    Hinges of several scores, those of classes or of pairs of rows, are solved if the problem is
    small and there is a penalty: to rounding error, which the gap includes.

    ``tol`` is compared with the duality gap relative to F.

    Parameters
    ----------
    band : float, default=4.0
        Half the width of the band of uncertain rows, in standard errors; 0 solves all rows.

    References
    ----------
    .. [1] Mehrotra, "On the implementation of a primal-dual interior point method", SIAM
       Journal on Optimization 2, 1992.
    .. [2] Portnoy & Koenker, "The Gaussian hare and the Laplacian tortoise", Statistical
       Science 12, 1997.

    Examples
    --------
    >>> from sklearn_margin import LinearClassifier
    >>> from sklearn_margin.solvers import InteriorPoint
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1]
    >>> LinearClassifier("hinge", solver=InteriorPoint(band=0), alpha=0.1).fit(X, y).score(X, y)
    1.0
    """

    name = "interior_point"

    def __init__(self, band=4.0):
        self.band = band

    def check_params(self):
        check_number(self.band, "band", minimum=0)

    def obstacle(self, objective):
        loss = objective.loss
        if _has_small_hinges(objective):
            return why_not_small_hinges(objective)
        if not is_sum_of_hinges(loss):
            return f"the loss {type(loss).__name__} is not piecewise linear"
        n, d = objective.rows.shape
        if d > _LARGEST and (n > _LARGEST or not lies_in_span(objective)):
            return f"with {n} rows and {d} features its linear systems would be too large"
        return None

    def solve(self, objective, start, *, tol, max_iter, callback=None, random_state=None):
        if _has_small_hinges(objective):
            return solve_small_hinges(
                objective, start, tol=tol, max_iter=max_iter, callback=callback
            )
        n, d = objective.rows.shape
        if self.band > 0 and np.count_nonzero(objective.s) >= max(_SIFT_ROWS, 100 * d):
            result = _sift(objective, start, tol, max_iter, callback, self.band)
            if result is not None:
                return result
        model = SpanModel(objective) if d > n and lies_in_span(objective) else HingeModel(objective)
        run = _follow_path(model, start, tol, max_iter, callback, polish=is_small(objective))
        params, value = model.decode(run.point.x), run.value
        if objective.penalty.has_l1:
            params, value = _with_zeros(objective, model, run)
        gap = max(run.gap + value - run.value, 0.0)
        return _result(params, value, gap, run.n_iter, tol, run.floor)


def _has_small_hinges(objective):
    """Whether hinges are of several scores: of classes, or of pairs of rows."""
    return objective.n_outputs > 1 or hasattr(objective, "pairs")


def _with_zeros(objective, model, run):
    """The solution with the coefficients at zero that the path was leading there: those whose
    multiplier is farther from its bounds than they are from zero. And F there."""
    u, b = objective.split(run.point.x)
    t = run.point.t[model.n * model.copies :]
    largest = float(np.abs(u).max(initial=0.0))
    settled = np.abs(u) < np.minimum(t, 1 - t) * largest
    params = objective.join(np.where(settled, 0.0, u), b)
    value = objective.value(params)
    if value <= run.value + 0.1 * run.gap + 1e-12 * abs(run.value):
        return params, value
    return run.point.x, run.value


def _result(params, value, gap, n_iter, tol, floor):
    reached = gap / max(abs(value), 1e-300)
    converged = gap <= max(tol * abs(value), floor)
    return Result(params, value, n_iter, bool(converged), gap, "duality gap", reached)


class _Point(NamedTuple):
    """A point of the path; p, q, t, e by term."""

    x: np.ndarray
    p: np.ndarray
    q: np.ndarray
    t: np.ndarray
    e: np.ndarray  # A x − kink
    stalled: bool = False


class _Run(NamedTuple):
    """The best point of a path."""

    point: _Point
    value: float
    gap: float
    n_iter: int
    floor: float  # gap that is zero to rounding error, for a minimum of zero


def _follow_path(model, start, tol, max_iter, callback=None, polish=False) -> _Run:
    """Follow the path until the duality gap is at most ``tol`` of the value."""
    point = _initial(model, start)
    goal = 1e-11 if model.rows.dtype == np.float64 else 1e-6
    floor = 0.1 * goal * float(model.width @ (point.p + point.q))
    best, n_iter, in_vain = None, 0, 0
    while True:
        value = model.value(point.x, point.e)
        slope = model.left + model.width * point.t
        projected = model.transpose(slope)
        gap = max(value - model.dual_value(point.x, slope, projected), 0.0)
        better = best is None or gap < best.gap
        if better:
            best = _Run(point, value, gap, n_iter, floor)
        reached = best.gap / max(abs(best.value), 1e-300)
        unfinished = reached > tol or (polish and reached > goal and better)
        unfinished = unfinished and best.gap > floor
        if n_iter == max_iter or not unfinished or not np.isfinite(value):
            break
        in_vain = 0 if better or not np.isfinite(best.gap) else in_vain + 1
        if in_vain == 20 or (not better and point.stalled):
            break
        n_iter += 1
        point = _step(model, point, projected)
        if callback is not None and callback(n_iter, model.decode(point.x)):
            break
    return best._replace(n_iter=n_iter)


def _initial(model, start):
    x = model.encode(start)
    e = model.apply(x) - model.kink
    spread = float(np.average(np.abs(e), weights=model.width)) if model.width.any() else 0.0
    margin = 0.1 * spread if spread > 0 else 1.0
    p, q = np.maximum(e, 0) + margin, np.maximum(-e, 0) + margin
    return _Point(x, p, q, np.clip(p / (p + q), 0.1, 0.9), e)


def _step(model, point, projected):
    """One predictor-corrector step; ``projected`` is Aᵀ times the slopes at ``point``."""
    p, q, t, weight = point.p, point.q, point.t, model.width
    total = 2.0 * weight.sum()
    upper, lower = p * (1 - t), q * t
    tau = float(weight @ (upper + lower)) / total
    residual = p - q - point.e  # of e = p − q
    residual[model.dead] = 0.0
    dual = model.penalty_gradient(point.x) + projected
    omega = 1.0 / (p / (1 - t) + q / t)
    solve = _factorized(model.normal_matrix(weight * omega))

    def direction(target_p, target_q):
        rho = residual + target_p / (1 - t) - target_q / t
        dx = solve(model.transpose(weight * omega * rho) - dual)
        change = model.apply(dx)
        dt = omega * (change - rho)
        dt[model.dead] = target_p[model.dead] = target_q[model.dead] = 0.0
        return dx, (target_p + p * dt) / (1 - t), (target_q - q * dt) / t, dt, change

    def longest(dp, dq, dt):
        return min(_longest(p, dp), _longest(q, dq), _longest(t, dt), _longest(1 - t, -dt))

    _, dp, dq, dt, _ = direction(-upper, -lower)
    length = min(1.0, longest(dp, dq, dt))
    reach = (p + length * dp) * (1 - t - length * dt) + (q + length * dq) * (t + length * dt)
    if tau > 0:
        tau *= (float(weight @ reach) / (total * tau)) ** 3
    dx, dp, dq, dt, change = direction(tau - upper + dp * dt, tau - lower - dq * dt)
    length = min(1.0, 0.995 * longest(dp, dq, dt))
    tiny = np.finfo(np.float64).tiny
    return _Point(
        point.x + length * dx,
        np.maximum(p + length * dp, tiny),
        np.maximum(q + length * dq, tiny),
        np.clip(t + length * dt, 1e-20, 1.0 - 1e-16),
        point.e + length * change,
        stalled=length < 1e-6,
    )


def _longest(v, dv):
    """Longest step that keeps v + step·dv non-negative."""
    worst = float(np.min(dv / v, initial=0.0))
    return -1.0 / worst if worst < 0 else np.inf


def _factorized(matrix):
    """Solver for a positive semi-definite matrix, damped as little as needed."""
    root = np.sqrt(np.maximum(matrix.diagonal(), 1e-300))
    matrix = matrix / np.outer(root, root)
    damping = 1e-15
    while True:
        matrix[np.diag_indices(len(root))] = 1.0 + damping
        try:
            factor = cho_factor(matrix, lower=True, check_finite=False)
        except LinAlgError:
            damping *= 100
            if damping > 1:
                raise
            continue
        return lambda v: cho_solve(factor, v / root, check_finite=False) / root


def _sift(objective, start, tol, max_iter, callback, band):
    """Solve the rows whose side is uncertain, the others taken as linear.

    Returns None where that does not lead to a certificate: the band is empty or wide, or rows
    keep changing sides.
    """
    weighted = objective.s > 0
    x, error, n_iter = _two_samples(objective, start, max_iter, np.flatnonzero(weighted))
    terms = hinge_terms(objective, objective.y, objective.s)
    kinks, left, right = (np.array(part) for part in zip(*terms, strict=True))
    e = objective.scores(x) - kinks
    uncertain = (np.abs(e) <= band * error).any(axis=0)
    for _ in range(3):
        index = np.flatnonzero(uncertain & weighted)
        if not 2 * objective.n_params < len(index) < len(e[0]) // 2:
            return None
        slope = np.where(e > 0, right, left)
        slope[:, uncertain] = 0.0
        total = slope.sum(axis=0).astype(objective.rows.dtype, copy=False)
        linear = objective.join(*objective.rows.backproject(total))
        model = HingeModel(objective, index, linear)
        run = _follow_path(model, x, 0.1 * tol, max_iter - n_iter, callback)
        n_iter += run.n_iter
        x = run.point.x
        before, e = e, objective.scores(x) - kinks
        # The certificate over all rows: multipliers of the band, known slopes elsewhere.
        inner = model.left + model.width * run.point.t
        slope[:, index] = inner[: model.n * model.copies].reshape(model.copies, model.n)
        hinges = float(np.sum(left * e + (right - left) * np.maximum(e, 0)))
        value = hinges + objective.penalty.value(objective.split(x)[0])
        conjugate = model.conjugate(x, model.transpose(inner) + linear)
        gap = max(value + float(np.sum(slope * kinks)) + conjugate, 0.0)
        if gap <= tol * abs(value) or n_iter >= max_iter:
            return _result(x, value, gap, n_iter, tol, run.floor)
        wrong = ((e > 0) != (before > 0)).any(axis=0) & ~uncertain & weighted
        if not wrong.any():
            return None
        band *= 2
        uncertain |= wrong | (np.abs(before) <= band * error).any(axis=0)
    return None


def _two_samples(objective, start, max_iter, rows):
    """Mean of the solutions of two samples of rows, and standard errors of its scores."""
    order = np.random.RandomState(0).permutation(rows)
    n, d = objective.rows.shape
    size = min(int((n * np.sqrt(d)) ** (2 / 3)), len(order) // 2)
    solutions, n_iter = [], 0
    for part in (order[:size], order[size : 2 * size]):
        run = _follow_path(HingeModel(objective.take(np.sort(part))), start, 1e-3, max_iter)
        solutions.append(run.point.x)
        n_iter = max(n_iter, run.n_iter)
    difference = 0.5 * np.abs(objective.scores(solutions[0] - solutions[1]).astype(np.float64))
    # Of a typical row, and of rows far out more.
    error = np.maximum(1.4826 * np.median(difference), difference)
    return 0.5 * (solutions[0] + solutions[1]), error, n_iter
