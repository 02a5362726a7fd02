"""Primal-dual interior-point method for piecewise-linear losses, with sifting of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_margin._validation import check_number
from sklearn_margin.solvers._central_path import follow_path
from sklearn_margin.solvers._hinge_bases import DenseModel, SpanModel
from sklearn_margin.solvers._hinge_gap import HingeGap
from sklearn_margin.solvers._hinges import (
    HingeModel,
    best_intercept,
    hinge_terms,
    is_sum_of_hinges,
    lies_in_span,
)
from sklearn_margin.solvers._sifting import ROWS_PER_PARAMETER, sift
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
_NEXT = 1e-7  # of the largest coefficient: how far from a bound one may end that should be at it


class InteriorPoint(Solver):
    """Mehrotra's predictor-corrector method for losses that are sums of hinges.

    Writing e = z − kink = p − q with p, q ≥ 0, and t ∈ [0, 1] for the multiplier of a hinge,
    the optimum has p (1 − t) = 0 and q t = 0; the method follows p (1 − t) = q t = τ to
    τ = 0. Eliminating p, q and t leaves one system with the matrix λ₂ + X̃ᵀ diag(ω) X̃ per
    step [1]_. An L1 penalty is a sum of hinges of the coefficients themselves. The target τ
    is the same for every row, so that a row of weight 2 follows the very path of two equal
    rows. With more features than rows the problem is solved in the span of the rows.

    With many rows, most end up on one side of their kink, where the loss is linear, and it is
    cheap to find out on which [2]_: the minimum of a sample is moved by a few Newton steps over
    all rows, with the Hessian that hinges have in the mean, and how far scores move in the last
    says how uncertain they are. Rows farther than ``band`` times that from their kink are taken as
    linear, the others are solved, and if any row proves to lie on the wrong side it joins them. The
    certificate is always that of the whole problem. Where that does not succeed all rows are
    solved; ``solver="auto"`` tries ``Smoothing`` before that, unless ``tol`` is too fine for it.

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
    keeps_bounds = True

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
        first = 0
        if self.band > 0 and _has_rows_to_sift(objective):
            found, first, start = sift(objective, start, tol, max_iter, callback, self.band)
            if found is not None:
                return _of_sifted(objective, found, tol)
        model = _model(objective)
        run = follow_path(
            model, start, tol, max_iter, callback, polish=is_small(objective), first=first
        )
        params = objective.feasible(model.decode(run.point.x))
        if isinstance(model, SpanModel):
            params, lower = _certified(objective, params, model.rooms(run.proof.t))
        else:
            lower = run.lower if model.exact else _recomputed(model, run)
        return _ended(objective, model, params, lower, run, tol)


class Sifting(InteriorPoint):
    """The interior point method where it is the fastest, for ``solver="auto"``: sifting, and no
    attempt to solve all rows where that fails."""

    def rank(self, objective: Any, tol: float) -> float | None:
        if objective.is_smooth or objective.n_outputs > 1 or not suits_smoothing(objective, tol):
            return None
        return 0.5 if _has_rows_to_sift(objective) else None

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
        found, n_iter, best = sift(objective, start, tol, max_iter, callback, self.band)
        if found is not None:
            return _of_sifted(objective, found, tol)
        return Result(best, objective.value(best), n_iter, converged=False)


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


def _ended(objective, model, params, lower, run, tol):
    """The result, with coefficients at kinks and bounds of the penalty that are next to them."""
    result = _result(objective, params, lower, run, tol)
    if not result.converged or objective.penalty.is_smooth:
        return result
    of_coefficients = run.point.t[model.n * model.copies :]
    params = _moved_to_kinks(objective, result, of_coefficients[: model.d])
    return _result(objective, params, lower, run, tol)


def _has_rows_to_sift(objective):
    """Whether a narrow band would not be a wide one. By measurement, of hinges and absolute losses
    with 10 to 100 features, sifting succeeds from 400 rows per feature and fails with up to 330;
    where it does it takes 0.4 to 1.2 of the time of smoothing."""
    live = np.count_nonzero(objective.s)
    return not is_tiny(objective) and live >= ROWS_PER_PARAMETER * objective.n_params


def _of_sifted(objective, found, tol):
    """The result that sifting came to."""
    lower = found.value - found.gap

    def result(params, value, gap):
        reached = gap / max(abs(value), 1e-300)
        converged = bool(reached <= tol or is_zero(objective, value, gap))
        return Result(params, value, found.n_iter, converged, gap, "relative gap", reached)

    whole = result(found.params, found.value, found.gap)
    if objective.penalty.is_smooth or not whole.converged:
        return whole
    params = _moved_to_kinks(objective, whole, found.t[: objective.rows.shape[1]])
    value = objective.value(params)
    sparse = result(params, value, max(value - lower, found.gap))
    return sparse if sparse.converged else whole


def _moved_to_kinks(objective, result, t):
    """The solution with the coefficients at zero that the path was leading there: those whose
    multiplier ``t`` is farther from its bounds than they are from zero; and those at a bound that
    are next to it."""
    (u, b), penalty = objective.split(result.params), objective.penalty
    largest = float(np.abs(u).max(initial=0.0))
    if penalty.has_l1:
        u = np.where(np.abs(u) < np.minimum(t, 1 - t) * largest, 0.0, u)
    for bound in (penalty.lower, penalty.upper):
        u = np.where(np.abs(u - bound) <= _NEXT * largest, bound, u)
    params = objective.feasible(objective.join(u, b))
    limit = result.value + 0.1 * result.gap + 1e-12 * abs(result.value)
    return params if objective.value(params) <= limit else result.params
