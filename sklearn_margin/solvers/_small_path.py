"""The central path of small problems whose loss is a sum of hinges of several scores."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError

from sklearn_margin.solvers._class_hinges import ClassHinges
from sklearn_margin.solvers._pair_hinges import PairHinges
from sklearn_margin.solvers.base import SMALL, Result

__all__ = ["solve_small_hinges", "why_not_small_hinges"]

_WIDE_WORK = 1_000_000  # multiplications of a Hessian, up to which extended precision is cheap
_MOST_WORK = 1_000_000_000  # the same for a problem that is small
_PATIENCE = 30  # steps without progress


def why_not_small_hinges(objective) -> str | None:
    """Why ``solve_small_hinges`` cannot minimise ``objective``, or None if it can."""
    loss = objective.loss
    if getattr(loss, "hinge_shape", None) is None:
        return f"the loss {type(loss).__name__} is not piecewise linear"
    if objective.penalty.is_zero:
        return "without a penalty (alpha > 0) there is no certificate"
    n_rows = objective.pairs.n_pairs if objective.pairs is not None else objective.rows.shape[0]
    n_params, n_terms = objective.n_params, n_rows * objective.n_outputs
    if n_terms * objective.rows.shape[1] > SMALL or n_rows * n_params**2 > _MOST_WORK:
        return f"with {n_terms} hinges and {n_params} parameters the problem is too large"
    return None


def solve_small_hinges(objective, start, *, tol, max_iter, callback=None) -> Result:
    """Mehrotra's predictor-corrector method, for hinges of very different weights.

    It follows p (w − y) = q y = τ for all terms alike, where e = p − q and y ∈ [0, w] is the
    multiplier of a term of weight w: a path on which the lightest row is as far from its bounds
    as the heaviest. What double precision cannot finish is finished in extended precision,
    where the platform has it, if the problem is very small.

    Parameters
    ----------
    objective : MulticlassObjective or PairwiseObjective
        Its loss has a ``hinge_shape``.
    start, tol, max_iter, callback
        As in ``Solver.solve``.

    Returns
    -------
    Result
    """
    if objective.pairs is not None and objective.pairs.n_pairs == 0:
        return Result(np.zeros(objective.n_params), 0.0, 0, True, 0.0, "relative gap", 0.0)
    make = PairHinges if objective.pairs is not None else ClassHinges
    goal = min(tol, 5e4 * float(np.finfo(objective.rows.dtype).eps))
    model = make(objective)
    run = _follow(model, _initial(model, start), goal, max_iter, callback, 0)
    found = _finish(make, run.point, model, goal)
    cheap = model.n * model.n_params**2 <= _WIDE_WORK
    if found.gap > goal * found.value and cheap and not run.stopped:
        model = make(objective, np.longdouble)
        point = _Point(*(part.astype(np.longdouble) for part in run.point))
        run = _follow(model, point, goal, max_iter, callback, run.n_iter)
        found = min(found, _finish(make, run.point, model, goal), key=lambda point: point.gap)
    gap = max(make(objective, np.longdouble).stored_value(found.params) - found.value, 0.0)
    gap += found.gap
    # A minimum that is zero beside the rounding errors of margins has no relative accuracy.
    at_zero = float(model.s @ model.losses(model.margins(0.0 * model.encode(start))))
    floor = 16.0 * float(np.finfo(np.float64).eps) * at_zero
    converged = bool(gap <= max(tol * found.value, floor))
    reached = gap / max(found.value, 1e-300)
    return Result(found.params, found.value, run.n_iter, converged, gap, "relative gap", reached)


class _Point(NamedTuple):
    """A point of the path; p, q and t by term, with y = w t."""

    x: np.ndarray
    p: np.ndarray
    q: np.ndarray
    t: np.ndarray


class _Run(NamedTuple):
    """Where a path ended."""

    point: _Point
    n_iter: int
    stopped: bool


def _initial(model, start):
    """A point as far from all bounds as the scores of a typical row are from zero."""
    x = model.encode(start)
    e = model.apply(x) - model.kink
    live = model.width > 0
    distance = 10.0 * model.width.max() / np.where(live, model.width, model.width.max())
    p, q = np.maximum(e, 0.0) + distance, np.maximum(-e, 0.0) + distance
    return _Point(x, p, q, np.clip(p / (p + q), 0.1, 0.9))


def _follow(model, point, goal, max_iter, callback, n_iter):
    """The point of the path with the best certificate."""
    best, lowest, in_vain, stop = None, np.inf, 0, False
    while True:
        found = model.certify(point.x, model.terms(model.width * point.t)[0])
        middle = model.width @ (point.p * (1 - point.t) + point.q * point.t)
        nearer = best is None or found.gap < 0.9 * best[0].gap
        progress = nearer or middle < 0.99 * lowest
        lowest, in_vain = min(lowest, middle), 0 if progress else in_vain + 1
        if best is None or found.gap <= best[0].gap:
            best = found, point
        reached = best[0].gap <= goal * best[0].value
        done = (reached and not nearer) or in_vain == _PATIENCE
        if done or stop or n_iter >= max_iter or not 0 < middle < np.inf:
            return _Run(best[1], n_iter, stop or n_iter >= max_iter)
        try:
            point = _step(model, point)
        except LinAlgError:  # numbers have left the floating-point range
            return _Run(best[1], n_iter, stop)
        n_iter += 1
        stop = callback is not None and bool(callback(n_iter, best[0].params))


def _finish(make, point, model, goal):
    """A certificate near a point, with the coefficients at zero whose multiplier is farther from
    its bounds than they are from zero; if that costs something, with none."""
    multipliers, t = model.terms(model.width * point.t)[0], model.of_l1(point.t)
    wide = make(model.objective, np.longdouble)
    x = point.x.astype(np.longdouble)
    found = wide.certify(x, multipliers, rounds=6)
    if not model.has_l1:
        return found
    u = x[: len(t)]
    u[np.abs(u) < np.minimum(t, 1 - t) * np.abs(u).max(initial=0.0)] = 0.0
    sparse = wide.certify(x, multipliers, rounds=6)
    return sparse if sparse.gap <= max(found.gap, goal * sparse.value) else found


def _step(model, point):
    """One predictor-corrector step."""
    x, p, q, t = point
    width, live = model.width, model.width > 0
    inverse = np.where(live, 1.0 / np.where(live, width, 1.0), 0.0)
    upper, lower = p * (1 - t), q * t
    count = 2 * np.count_nonzero(live)
    middle = width @ (upper + lower) / count
    residual = np.where(live, p - q - (model.apply(x) - model.kink), 0.0)  # of e = p − q
    dual = model.penalty_bend(x) + model.linear + model.transpose(model.left + width * t)
    omega = 1.0 / (p / (1 - t) + q / t)
    solve = model.solver(width * omega)

    def direction(target_p, target_q):
        rho = residual + target_p / (1 - t) - target_q / t
        dx = solve(model.transpose(width * omega * rho) - dual)
        dt = np.where(live, omega * (model.apply(dx) - rho), 0.0)
        dp, dq = (target_p + p * dt) / (1 - t), (target_q - q * dt) / t
        longest = min(_longest(p, dp), _longest(q, dq), _longest(t, dt), _longest(1 - t, -dt))
        return min(1.0, 0.995 * longest), dx, dp, dq, dt

    length, _, dp, dq, dt = direction(-upper, -lower)
    reach = (p + length * dp) * (1 - t - length * dt) + (q + length * dq) * (t + length * dt)
    tau = middle * (width @ reach / (count * middle)) ** 3 * inverse
    move = direction(tau - upper + dp * dt, tau - lower - dq * dt)
    if move[0] < 0.1:  # too far from the path for a prediction to be worth anything
        tau = 0.5 * middle * inverse
        move = max(move, direction(tau - upper, tau - lower), key=lambda move: move[0])
    length, dx, dp, dq, dt = move
    tiny = np.finfo(np.float64).tiny
    return _Point(
        x + length * dx,
        np.maximum(p + length * dp, tiny),
        np.maximum(q + length * dq, tiny),
        np.clip(t + length * dt, 1e-20, 1.0 - 0.5 * np.finfo(model.dtype).eps),
    )


def _longest(v, dv):
    """Longest step that keeps v + step·dv non-negative."""
    worst = np.min(dv / v, initial=0.0)
    return -1.0 / worst if worst < 0 else np.inf
