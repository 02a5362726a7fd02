"""Smoothing with continuation, for convex losses with kinks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from sklearn_margin._validation import check_number
from sklearn_margin.objective.envelope import envelope_certificate, envelope_excess
from sklearn_margin.objective.rounding import rounding_of_scores
from sklearn_margin.solvers._proximal import polished
from sklearn_margin.solvers._samples import stages
from sklearn_margin.solvers.base import (
    Result,
    Solver,
    is_small,
    is_tiny,
    is_wide,
    suits_smoothing,
)
from sklearn_margin.solvers.coordinate_descent import CoordinateDescent
from sklearn_margin.solvers.newton import Newton

__all__ = ["Smoothing"]


class Smoothing(Solver):
    """Newton's method on Moreau envelopes of the loss, of ever smaller width.

    For losses with kinks that are too large for an interior point: pairwise hinges, and
    hinge-like losses with many rows and many features. The envelope L_w lies below the loss L
    and its gradient is a dual point of L, so that

        F(x) − min F ≤ [L(z) − L_w(z)] − [L_w*(g) − L*(g)] + (duality gap of F_w at x)

    for free: see ``LinearObjective.gap``; rounding errors are added. For a mean over rows the
    second bracket is (w/2) Σ g_i²/s_i, and what remains is quadratic in the width. The width
    falls until that is at most ``tol`` of F, which is practical down to about 1e-6. With an L1
    penalty the envelopes are minimised by proximal Newton steps. Without one, small problems with
    a multiclass hinge go on from there to the limit of the arithmetic, by the method of
    multipliers.

    Parameters
    ----------
    factor : float, default=0.1
        Factor by which the width falls, in (0, 1).

    Examples
    --------
    >>> from sklearn_margin import LinearClassifier
    >>> from sklearn_margin.solvers import Smoothing
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1]
    >>> LinearClassifier("hinge", solver=Smoothing(factor=0.3), alpha=0.1).fit(X, y).score(X, y)
    1.0
    """

    name = "smoothing"
    keeps_bounds = True

    def __init__(self, factor: float = 0.1) -> None:
        self.factor = factor

    def check_params(self) -> None:
        check_number(self.factor, "factor", minimum=0, maximum=1, closed=False)

    def obstacle(self, objective: Any) -> str | None:
        loss = objective.loss
        if loss.smoothed(1.0) is None:
            return f"the loss {type(loss).__name__} has no Moreau envelope here"
        if objective.penalty.is_zero and not loss.coercive:
            return "without a penalty (alpha > 0) the smoothed problem may have no minimum"
        smooth = objective.with_loss(objective.loss.smoothed(1.0))
        return (Newton() if objective.penalty.is_smooth else CoordinateDescent()).obstacle(smooth)

    def rank(self, objective: Any, tol: float) -> float | None:
        if objective.is_smooth:
            return None
        if suits_smoothing(objective, tol):
            return 1
        if objective.n_outputs > 1:
            return 2
        return 3 if is_tiny(objective) or is_wide(objective) else 2

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
        width = excess = sample = None
        for (part, goal), (_, next_goal) in pairwise(stages(objective, start, tol)):
            run, width, excess = self._follow(
                part, start, goal, max_iter, None, width, excess, sample
            )
            width *= min(1.0, (0.4 * next_goal / max(excess, 1e-300)) ** 0.5)
            start, excess, sample = run.params, next_goal, part
        result, width, _ = self._follow(
            objective, start, tol, max_iter, callback, width, excess, sample
        )
        exact = getattr(objective.loss, "has_dual", False) and objective.penalty.ridge is not None
        if result.converged and is_small(objective) and exact and objective.why_no_rows is None:
            return polished(objective, result, tol, max_iter, callback, width=width)
        return result

    def _follow(
        self, objective, start, tol, max_iter, callback=None, width=None, excess=None, sample=None
    ):  # fmt: skip
        """Result of a continuation that begins at ``width``, where ``excess`` is expected; the
        width it came to, and the excess there. The Hessian of a ``sample`` will do if it can."""
        params = objective.feasible(np.array(start, dtype=np.float64))
        width = width or _first_width(objective, params, tol)
        penalized = not objective.penalty.is_zero
        n_iter, excess, last = 0, excess or np.inf, None
        best, best_value, stale, stop = params, np.inf, 0, False
        lower = 0.0 if objective.may_scale else -np.inf  # of min F
        while True:
            # What is good for F_w need not be for F.
            smooth = objective.with_loss(objective.loss.smoothed(width), shrinks=False).sharing()

            def after(inner, params, done=n_iter):
                nonlocal stop
                stop = callback is not None and bool(callback(done + inner, params))
                return stop

            inner_tol = 0.2 * max(tol, min(0.1, excess))  # no finer than the smoothing itself
            if not penalized:  # a dual point must then be exact
                inner_tol = 1e-20
            left = max_iter - n_iter
            if not objective.penalty.is_smooth:
                run = CoordinateDescent().minimize(smooth, params, inner_tol, left, after)
            else:
                newton = Newton()
                system = newton.system(smooth)
                system.part = None if sample is None else sample.with_loss(smooth.loss)
                run = newton.minimize(smooth, params, inner_tol, left, after, system=system)
            n_iter += run.n_iter
            params = run.params
            if smooth.penalty.loose is not None and not smooth.is_remote:
                run = _minimized_over_loose(smooth, run)
                params = run.params
            exact = is_small(objective)
            # Where Newton's method ended the scores are known, but for rounding errors of steps.
            here = objective.at(params) if exact else smooth.at(params).under(objective)
            value, above, gap = envelope_certificate(here, smooth, run, exact=exact)
            excess = above / max(value, 1e-300)
            bound = value - gap
            stale = 0 if value < best_value or bound > lower else stale + 1
            lower = max(lower, bound)  # from whatever width gave the best
            if value < best_value:
                best, best_value = params, value
            gap, scale = max(best_value - lower, 0.0), best_value
            if best_value == 0:  # which scores say that are off by rounding errors
                gap, scale = rounding_of_scores(objective, best), objective.loss_at(0.0)
            reached = gap / max(scale, 1e-300)
            if reached <= tol or stop or n_iter >= max_iter or stale == 2 or width < 1e-12:
                break
            last, width = (width, excess), self._next_width(width, excess, last, tol)
        result = Result(best, best_value, n_iter, reached <= tol, gap, "relative gap", reached)
        return result, width, excess

    def _next_width(self, width, excess, last, tol):
        """The width for which the excess should be a little below ``tol``.

        The excess falls as a power of the width: its square while many rows are near a kink,
        the width itself once those left are at one.
        """
        power = 2.0
        if last is not None and 0 < excess < last[1]:
            power = np.clip(np.log(last[1] / excess) / np.log(last[0] / width), 1.0, 2.0)
        wanted = (0.4 * tol / max(excess, 1e-300)) ** (1 / power)
        return width * min(0.5, max(self.factor, wanted))


def _minimized_over_loose(smooth, run):
    """The end of a run, with slopes that vanish where no penalty holds a parameter."""
    point = smooth.at(run.params)
    other = smooth.minimized_over_loose(point)
    if other is point:
        return run
    return run._replace(params=other.params, value=other.value, gap=other.gap())


def _first_width(objective, params, tol):
    """The scale of F; from a warm start, the width that will do if the scores hardly change."""
    point = objective.at(params)
    value = max(point.value, 1e-6)
    width = value
    while point.u.any() and width > 1e-9 * value:
        smooth = objective.with_loss(objective.loss.smoothed(width))
        if envelope_excess(point, smooth) <= tol * value:
            break
        width *= 0.3
    return width
