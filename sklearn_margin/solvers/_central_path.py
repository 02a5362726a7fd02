"""Mehrotra's predictor-corrector method for sums of hinges: the path that it follows."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError

from sklearn_margin._linalg import factorized
from sklearn_margin.solvers._hinge_gap import Bound

__all__ = ["Run", "approach_minimum", "follow_path", "initial_point"]

_PATIENCE = 30  # steps without progress


class _Point(NamedTuple):
    """A point of the path; p, q, t, e by term."""

    x: np.ndarray
    p: np.ndarray
    q: np.ndarray
    t: np.ndarray
    e: np.ndarray  # A x − kink


class Run(NamedTuple):
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


def follow_path(model, start, tol, max_iter, callback=None, polish=False, first=0) -> Run:
    """Follow the path until the duality gap is at most ``tol`` of the value.

    Iterations are counted from ``first``.
    """
    point = initial_point(model, start)
    goal = 1e-11 if model.rows.dtype == np.float64 else 1e-6
    run, n_iter, in_vain, least, middle = None, first, 0, np.inf, np.inf
    while True:
        projected = model.transpose(model.left + model.width * point.t)
        middle, before = _middle(model, point), middle
        quiet = callback is None and n_iter < max_iter and run is not None
        # A gap is about half of this sum, or more: no need of one yet.
        if quiet and 2 * tol * abs(run.bound.value) < middle < 0.9 * before:
            try:
                point = _step(model, point, projected)
            except LinAlgError:
                break
            n_iter += 1
            continue
        thorough = np.inf if model.exact or n_iter == max_iter else tol
        bound = model.bound(point.x, point.e, point.t, projected, thorough)
        if run is None:
            run = Run(point, bound, point, bound.lower, projected)
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


def approach_minimum(model, start, tol, max_iter):
    """x where complementarity has fallen by the factor ``tol``, without a certificate, and the
    iterations it took."""
    point, n_iter = initial_point(model, start), 0
    first = _middle(model, point)
    while n_iter < max_iter and _middle(model, point) > tol * first:
        projected = model.transpose(model.left + model.width * point.t)
        try:
            point = _step(model, point, projected)
        except LinAlgError:
            break
        n_iter += 1
    return point.x, n_iter


def _middle(model, point):
    """Σ width·(p (1 − t) + q t): how far a point is from the end of the path."""
    return float(model.width @ (point.p * (1 - point.t) + point.q * point.t))


def initial_point(model, start):
    """The point of ``start``, as far from all kinks as scores of typical rows are."""
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
    solve = factorized(model.normal_matrix(weight * omega), damping=model.damping, hold=True)

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
