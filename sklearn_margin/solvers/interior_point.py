"""Primal-dual interior-point method for piecewise-linear losses, with sifting of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import LinAlgError

from sklearn_margin._linalg import factorized
from sklearn_margin._validation import check_number
from sklearn_margin.solvers._hinge_gap import Bound, HingeGap
from sklearn_margin.solvers._hinges import (
    DenseModel,
    HingeModel,
    SpanModel,
    best_intercept,
    hinge_terms,
    is_sum_of_hinges,
    lies_in_span,
)
from sklearn_margin.solvers._small_path import solve_small_hinges, why_not_small_hinges
from sklearn_margin.solvers.base import (
    Result,
    Solver,
    has_many_rows,
    is_small,
    is_tiny,
    is_wide,
    is_zero,
    suits_smoothing,
)

__all__ = ["InteriorPoint"]

_LARGEST = 3000  # order of the largest matrix to factorise
_SIFT_ROWS = 20_000  # fewest rows for which sifting pays
_PATIENCE = 30  # steps without progress


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

    Of few rows a standardised copy is made, and columns that hardly a penalty holds and that nearly
    depend on each other are replaced by an orthogonal basis of their span; where even that leaves
    too few digits, the gap says so. What is returned, and shown to callbacks, is the best point
    so far.

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

    def __init__(self, band: float = 4.0) -> None:
        self.band = band

    def check_params(self) -> None:
        check_number(self.band, "band", minimum=0)

    def obstacle(self, objective: Any) -> str | None:
        if objective.why_no_rows is not None:
            return objective.why_no_rows
        loss = objective.loss
        if _has_small_hinges(objective):
            return why_not_small_hinges(objective)
        if not is_sum_of_hinges(loss):
            return f"the loss {type(loss).__name__} is not piecewise linear"
        n, d = objective.rows.shape
        if d > _LARGEST and (n > _LARGEST or not lies_in_span(objective)):
            return f"with {n} rows and {d} features its linear systems would be too large"
        return None

    def rank(self, objective: Any, tol: float) -> float | None:
        if objective.is_smooth:
            return None
        if objective.n_outputs > 1:
            return 0 if is_tiny(objective) or not has_many_rows(objective) else 1.5
        if is_tiny(objective):
            return 1
        return 2 if is_wide(objective) or suits_smoothing(objective, tol) else 1

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
        if _has_small_hinges(objective):
            return solve_small_hinges(
                objective, start, tol=tol, max_iter=max_iter, callback=callback
            )
        d, first = objective.rows.shape[1], 0
        if self.band > 0 and np.count_nonzero(objective.s) >= max(_SIFT_ROWS, 100 * d):
            result, start, first = _sift(objective, start, tol, max_iter, callback, self.band)
            if result is not None:
                return result
        model = _model(objective)
        run = _follow_path(
            model, start, tol, max_iter, callback, polish=is_small(objective), first=first
        )
        params = model.decode(run.point.x)
        if isinstance(model, SpanModel):
            params, lower = _certified(objective, params, model.rooms(run.proof.t))
        else:
            lower = run.lower if model.exact else _recomputed(model, run)
        result = _result(objective, params, lower, run, tol)
        if objective.penalty.has_l1 and result.converged:
            params = _with_zeros(objective, result, run.point.t[model.n * model.copies :])
            return _result(objective, params, lower, run, tol)
        return result


def _has_small_hinges(objective):
    """Whether hinges are of several scores: of classes, or of pairs of rows."""
    return objective.n_outputs > 1 or objective.pairs is not None


def _model(objective):
    """The view of the problem that suits its shape."""
    n, d = objective.rows.shape
    if is_small(objective):
        return DenseModel(objective)
    return SpanModel(objective) if d > n and lies_in_span(objective) else HingeModel(objective)


def _recomputed(model, run):
    """A lower bound on F without the rounding errors that updates of scores have gathered."""
    e = model.apply(run.proof.x) - model.kink
    bound = model.bound(run.proof.x, e, run.proof.t, run.projected)
    return bound.lower


def _certified(objective, params, rooms):
    """The better one of ``params`` and the coefficients that slopes give, −X̃ᵀs/λ₂; and a lower
    bound on F from the latter."""
    kink, low, high = (np.array(v) for v in zip(*hinge_terms(objective), strict=True))
    certificate = HingeGap(objective, objective.rows, kink, low, high)
    slopes = (low + rooms[0]).sum(axis=0).astype(objective.rows.dtype, copy=False)
    projected = objective.join(*objective.rows.backproject(slopes))
    u = -objective.split(projected)[0] / objective.penalty.l2
    z = objective.rows.scores(u, 0.0)
    b = best_intercept(kink - z, low, high) if objective.fit_intercept else 0.0
    other = objective.join(u, b)
    bound = certificate.at(other, z + b - kink, *rooms, projected)
    better = bound.value < objective.value(params)
    return (other if better else params), bound.lower


def _result(objective, params, lower, run, tol):
    value = objective.value(params)
    gap = max(value - lower, 0.0) + run.bound.noise
    converged = gap <= tol * abs(value) or value <= run.bound.floor
    converged = converged or is_zero(objective, value, gap)
    reached = gap / max(abs(value), 1e-300)
    return Result(params, value, run.n_iter, bool(converged), gap, "relative gap", reached)


def _with_zeros(objective, result, t):
    """The solution with the coefficients at zero that the path was leading there: those whose
    multiplier ``t`` is farther from its bounds than they are from zero."""
    u, b = objective.split(result.params)
    largest = float(np.abs(u).max(initial=0.0))
    settled = np.abs(u) < np.minimum(t, 1 - t) * largest
    params = objective.join(np.where(settled, 0.0, u), b)
    limit = result.value + 0.1 * result.gap + 1e-12 * abs(result.value)
    return params if objective.value(params) <= limit else result.params


class _Point(NamedTuple):
    """A point of the path; p, q, t, e by term."""

    x: np.ndarray
    p: np.ndarray
    q: np.ndarray
    t: np.ndarray
    e: np.ndarray  # A x − kink


class _Run(NamedTuple):
    """What a path has led to."""

    point: _Point  # where F is least
    bound: Bound  # what is known of it alone
    proof: _Point  # where the lower bound is from
    lower: float
    projected: np.ndarray  # Aᵀ slopes there
    n_iter: int = 0

    @property
    def reached(self):
        """Relative gap, of the least F and the best lower bound."""
        value, noise = self.bound.value, self.bound.noise
        return (max(value - self.lower, 0.0) + noise) / max(abs(value), 1e-300)

    def with_point(self, point, bound, projected):
        """Take notice of a point."""
        run, old = self, self.bound
        if bound.lower > run.lower:
            run = run._replace(proof=point, lower=bound.lower, projected=projected)
        # Of points whose F differs by rounding errors the one nearest to optimality.
        noise = 1e-13 * abs(old.value)
        equal = bound.value <= old.value + noise and bound.gap < old.gap
        if bound.value < old.value - noise or equal:
            run = run._replace(point=point, bound=bound)
        return run


def _follow_path(model, start, tol, max_iter, callback=None, polish=False, first=0) -> _Run:
    """Follow the path until the duality gap is at most ``tol`` of the value.

    Iterations are counted from ``first``.
    """
    point = _initial(model, start)
    goal = 1e-11 if model.rows.dtype == np.float64 else 1e-6
    run, n_iter, in_vain, least = None, first, 0, np.inf
    while True:
        projected = model.transpose(model.left + model.width * point.t)
        thorough = np.inf if model.exact or n_iter == max_iter else tol
        bound = model.bound(point.x, point.e, point.t, projected, thorough)
        if run is None:
            run = _Run(point, bound, point, bound.lower, projected)
        elif np.isfinite(bound.value):
            run = run.with_point(point, bound, projected)
        if n_iter > first and callback is not None and callback(n_iter, model.decode(run.point.x)):
            break
        better = bound.gap < least
        unfinished = run.reached > tol or (polish and run.reached > goal and better)
        if n_iter >= max_iter or not unfinished or run.bound.value <= run.bound.floor:
            break
        in_vain = 0 if bound.gap < 0.9 * least else in_vain + 1
        least = min(least, bound.gap)
        if in_vain == _PATIENCE or not np.isfinite(bound.value):
            break
        try:
            point = _step(model, point, projected)
        except LinAlgError:
            break
        n_iter += 1
    return run._replace(n_iter=n_iter)


def _initial(model, start):
    x = model.encode(start)
    e = model.apply(x) - model.kink
    width, far = model.by_hinge(model.width), np.abs(model.by_hinge(e))
    spread = float(np.average(far, weights=width)) if width.any() else 0.0
    margin = np.full(len(e), 2.0 * spread if spread > 0 else 1.0)
    margin[: width.size] *= model.distance[: width.size]
    p, q = np.maximum(e, 0) + margin, np.maximum(-e, 0) + margin
    return _Point(x, p, q, np.clip(p / (p + q), 0.1, 0.9), e)


def _step(model, point, projected):
    """One predictor-corrector step; ``projected`` is Aᵀ times the slopes at ``point``."""
    p, q, t, weight = point.p, point.q, point.t, model.width
    total = 2.0 * float(weight @ model.distance)
    upper, lower = p * (1 - t), q * t
    tau = float(weight @ (upper + lower)) / total
    residual = p - q - point.e  # of e = p − q
    residual[model.dead] = 0.0
    dual = model.penalty_gradient(point.x) + projected
    omega = 1.0 / (p / (1 - t) + q / t)
    solve = factorized(model.normal_matrix(weight * omega), hold=True)

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
    target = tau * model.distance
    dx, dp, dq, dt, change = direction(target - upper + dp * dt, target - lower - dq * dt)
    length = min(1.0, 0.995 * longest(dp, dq, dt))
    tiny = np.finfo(np.float64).tiny
    x = point.x + length * dx
    return _Point(
        x,
        np.maximum(p + length * dp, tiny),
        np.maximum(q + length * dq, tiny),
        np.clip(t + length * dt, 1e-20, 1.0 - 1e-16),
        model.apply(x) - model.kink if model.exact else point.e + length * change,
    )


def _longest(v, dv):
    """Longest step that keeps v + step·dv non-negative."""
    worst = float(np.min(dv / v, initial=0.0))
    return -1.0 / worst if worst < 0 else np.inf


def _sift(objective, start, tol, max_iter, callback, band):
    """Solve the rows whose side is uncertain, the others taken as linear.

    Returns
    -------
    result : Result or None
        None where that does not lead to a certificate: the band is empty or wide, or rows keep
        changing sides.
    start : ndarray of shape (n_params,)
        Where to start then.
    n_iter : int
        Iterations so far.
    """
    weighted = objective.s > 0
    x, error, n_iter = _two_samples(objective, start, max_iter, np.flatnonzero(weighted))
    kinks, left, right = (np.array(part) for part in zip(*hinge_terms(objective), strict=True))
    certificate = HingeGap(objective, objective.rows, kinks, left, right)
    e = objective.scores_along(x) - kinks  # which know of an offset
    uncertain = (np.abs(e) <= band * error).any(axis=0)
    for _ in range(3):
        index = np.flatnonzero(uncertain & weighted)
        if not 2 * objective.n_params < len(index) < len(e[0]) // 2:
            break
        slope = np.where(e > 0, right, left)
        total = np.where(uncertain, 0.0, slope.sum(axis=0))
        linear = objective.join(*objective.rows.backproject(total.astype(objective.rows.dtype)))
        model = HingeModel(objective, index, linear)
        run = _follow_path(model, x, 0.1 * tol, max_iter, callback, first=n_iter)
        x, n_iter = run.point.x, run.n_iter
        before, e = e, objective.scores_along(x) - kinks
        # The certificate over all rows: multipliers of the band, known slopes elsewhere.
        below, above = slope - left, right - slope
        below[:, index], above[:, index] = model.rooms(run.proof.t)
        projected = model.of_rows(run.projected, run.proof.t)
        last = n_iter >= max_iter
        bound = certificate.at(x, e, below, above, projected, np.inf if last else tol)
        if bound.gap <= tol * abs(bound.value) or last:
            return _result(objective, x, bound.lower, run, tol), x, n_iter
        wrong = ((e > 0) != (before > 0)).any(axis=0) & ~uncertain & weighted
        if not wrong.any():
            break
        band *= 2
        uncertain |= wrong | (np.abs(before) <= band * error).any(axis=0)
    return None, (x if n_iter >= max_iter else start), n_iter


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
    difference = np.abs(objective.scores_along(solutions[0] - solutions[1]).astype(np.float64))
    difference *= 0.5
    # Of a typical row, and of rows far out more.
    error = np.maximum(1.4826 * np.median(difference), difference)
    return 0.5 * (solutions[0] + solutions[1]), error, n_iter
