"""Dual coordinate descent for piecewise-linear losses on sparse or wide data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sklearn_margin.objective.row_kernels import add_rows
from sklearn_margin.solvers._descent import Certificate, Dual, descend
from sklearn_margin.solvers._dual_kernels import visit_hinges
from sklearn_margin.solvers._hinge_gap import HingeGap
from sklearn_margin.solvers._hinges import best_intercept, hinge_terms, is_sum_of_hinges
from sklearn_margin.solvers._proximal import polished
from sklearn_margin.solvers.base import Result, Solver, is_small, is_tiny, is_wide, suits_smoothing
from sklearn_margin.solvers.multiclass_dual import ClassDual

__all__ = ["DualCD"]


class DualCD(Solver):
    """Coordinate descent on the dual, for losses that are sums of hinges, with an L2 penalty.

    With a slope t_i ∈ [l_i, r_i] for each hinge (see ``PointwiseLoss.piecewise_linear``) the
    dual problem is

        min over t of  ‖Σ t_i x_i‖² / (2 alpha) + Σ t_i kink_i,   and w = −Σ t_i x_i / alpha,

    with Σ t_i = 0 if there is an intercept; kinks are less the offset of their row, if it has one.
    One coordinate at a time is minimised exactly [1]_; rows whose slope is at a bound and whose
    score is well beyond the kink are left out until the next check (shrinking). The constraint is
    handled by the method of multipliers, whose multiplier is the intercept: ½ (Σ t_i)²/ρ is added,
    as if the intercept were one more coefficient with penalty ρ/2·(b − b_k)², and b_k follows b.

    For the multiclass hinges, "crammer_singer" and "weston_watkins", all slopes of a row are
    minimised over at a time, which is a small projection [2]_.

    After each pass over rows of one score, if it reads far more entries than there are features,
    the slopes go to the minimum in the plane of the move that the pass made and the move before:
    conjugate gradients, which have the pass for a preconditioner [3]_.

    Rows are visited in random order of short runs of neighbours, and in random order within a
    run: as random as convergence needs, and several times faster than random access.

    ``tol`` is compared with the duality gap relative to F. An iteration is a pass over all
    rows or the work of one.

    Parameters
    ----------
    shrinking : bool, default=True
        Whether to leave out rows that seem settled.

    References
    ----------
    .. [1] Hsieh, Chang, Lin, Keerthi & Sundararajan, "A dual coordinate descent method for
       large-scale linear SVM", ICML 2008.
    .. [2] Keerthi, Sundararajan, Chang, Hsieh & Lin, "A sequential dual method for large scale
       multi-class linear SVMs", KDD 2008.
    .. [3] Notay, "Flexible conjugate gradients", SIAM Journal on Scientific Computing, 2000.

    Examples
    --------
    >>> from sklearn_margin import LinearClassifier
    >>> from sklearn_margin.solvers import DualCD
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1]
    >>> solver = DualCD(shrinking=False)
    >>> LinearClassifier("hinge", solver=solver, alpha=0.1).fit(X, y).score(X, y)
    1.0
    """

    name = "dual_cd"

    def __init__(self, shrinking: bool = True) -> None:
        self.shrinking = shrinking

    def check_params(self) -> None:
        if not isinstance(self.shrinking, (bool, np.bool_)):
            raise TypeError(f"shrinking must be True or False, got {self.shrinking!r}")

    def obstacle(self, objective: Any) -> str | None:
        if objective.why_no_rows is not None:
            return objective.why_no_rows
        loss = objective.loss
        if not (is_sum_of_hinges(loss) or _has_dual(objective)):
            return f"the loss {type(loss).__name__} is not piecewise linear"
        if objective.penalty.has_l1:
            return "the L1 penalty (l1_ratio > 0) has no such dual"
        if objective.penalty.ridge is None:
            return "without an L2 penalty (alpha > 0) there is no such dual"
        return None

    def rank(self, objective: Any, tol: float) -> float | None:
        if objective.is_smooth:
            return None
        if objective.n_outputs > 1:
            return 2 if suits_smoothing(objective, tol) else 1
        if is_tiny(objective):
            return 2
        return 1 if is_wide(objective) else 3

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
        several = objective.n_outputs > 1
        dual = (ClassDual if several else _HingeDual)(objective, start)
        result = descend(
            dual, tol=tol, max_iter=max_iter, callback=callback, shrinking=self.shrinking
        )
        if several and result.converged and is_small(objective):
            return polished(objective, result, tol, max_iter, callback, g=dual.slopes)
        return result


def _has_dual(objective):
    """Whether the loss of several scores says, of its own formula, what its dual needs."""
    return objective.n_outputs > 1 and getattr(objective.loss, "has_dual", False)


class _Hinges(NamedTuple):
    """Hinges by row: where they are, and between what bounds their slopes."""

    kink: np.ndarray  # (n_hinges, n)
    low: np.ndarray  # (n_hinges, n)
    high: np.ndarray  # (n_hinges, n)
    norm: np.ndarray  # (n,)


class _HingeDual(Dual):
    """State of the dual problem of hinges of one score; slopes t have shape (n_hinges, n)."""

    def __init__(self, objective, start):
        super().__init__(objective, start)
        kink, low, high = (np.array(v) for v in zip(*hinge_terms(objective), strict=True))
        self.arrays = _Hinges(kink, low, high, self.norm)
        self.bounds = HingeGap(objective, objective.rows, kink, low, high)
        self.slopes = self._first_slopes(start)
        self.refresh()
        self.thresholds = (-np.inf, np.inf)
        self.n_resets = 0

    def at(self, index):
        return ..., index

    def by_score(self, slopes):
        return slopes.sum(axis=0)

    def sum(self, slopes):
        return float(slopes.sum())

    def _first_slopes(self, start):
        """Slopes to start from: none, or those of an envelope at the scores of ``start``."""
        kink, low, high, _ = self.arrays
        best = np.clip(0.0, low, high)
        if not self.objective.split(start)[0].any():
            return best
        e = self.objective.scores_along(start) - kink  # which know of an offset
        middle = np.median(np.abs(e))
        value, _ = self._inner_value(best, kink, self.coefficients(best), best.sum())
        for width in (0.1, 0.3, 1.0):
            share = np.clip(0.5 + e / (2 * max(width * middle, 1e-300)), 0.0, 1.0)
            t = low + share * (high - low)
            value_t, _ = self._inner_value(t, kink, self.coefficients(t), t.sum())
            if value_t < value:
                best, value = t, value_t
        return best

    def visit(self, part, order, keep, shrinking, seed):
        thresholds = self.thresholds if shrinking else (-np.inf, np.inf)
        self.total, highest, lowest, self.expected = visit_hinges(
            part.rows, part.active, order, keep, part.arrays, part.slopes, self.state,
            thresholds, seed,
        )  # fmt: skip
        self._set_thresholds(lowest, highest)
        return highest - lowest

    def accelerate(self, part):
        """Minimise over the plane of an epoch's move and the move before, within the bounds.

        These are conjugate gradients in their form of three terms, and the epoch is the
        preconditioner. It is not the same one every time, which the exact minimum allows for [3]_.
        """
        entries = self.objective.rows.entries_per_row * len(part.active)
        if entries < _ENTRIES_PER_FEATURE * len(self.coef):
            return  # it would cost as much as another epoch
        now = part.slopes, self.coef, self.total
        if part.last is not None:
            moves = [tuple(b - a for a, b in zip(part.last, now, strict=True)), part.momentum]
            self._combine(part, *zip(*filter(None, moves), strict=True))
            now = part.slopes, self.coef, self.total
            part.momentum = tuple(b - a for a, b in zip(part.last, now, strict=True))
        part.last = part.slopes.copy(), self.coef.copy(), self.total

    def _combine(self, part, t_moves, w_moves, sums):
        """The best point in the span of moves of slopes that are not at a bound, within the bounds,
        if it is better and the moves of those at one are few."""
        kink, low, high, _ = part.arrays
        alpha = self.objective.penalty.ridge
        t_moves, w_moves, sums = np.array(t_moves), np.array(w_moves), np.array(sums)
        outside = np.where((part.slopes > low) & (part.slopes < high), 0.0, t_moves)
        t_moves -= outside
        outside = outside.sum(axis=1)
        if np.count_nonzero(outside) > _FEW * outside.size:
            return
        for k in range(len(sums)):
            add_rows(part.rows, outside[k] / alpha, w_moves[k])
        sums -= outside.sum(axis=1)
        gram = alpha * w_moves @ w_moves.T + self.inverse_rho * np.outer(sums, sums)
        slope = alpha * w_moves @ self.coef + self.inverse_rho * sums * self.total
        slope += (t_moves * kink).sum(axis=(1, 2)) - self.multiplier * sums
        scale = 1.0 / np.sqrt(np.maximum(gram.diagonal(), 1e-300))
        gram *= np.outer(scale, scale)
        weights = scale * np.linalg.lstsq(gram, -slope * scale, rcond=1e-10)[0]
        wanted = part.slopes + np.tensordot(weights, t_moves, 1)
        t = np.clip(wanted, low, high)
        excess = (wanted - t).sum(axis=0)
        w, total = self.coef + weights @ w_moves, self.total + float(weights @ sums - excess.sum())
        add_rows(part.rows, excess / alpha, w)
        before, noise = self._inner_value(part.slopes, kink, self.coef, self.total)
        # Errors of coefficients are multiplied like the moves. Where they hide the improvement the
        # passes still converge, if they are left alone.
        noise *= 1.0 + float(np.abs(weights).sum())
        if self._inner_value(t, kink, w, total)[0] < before - noise:
            part.slopes, self.coef, self.total = t, w, total

    def _inner_value(self, t, kink, w, total):
        """The function minimised, up to what the rows outside a part contribute, and its rounding
        error."""
        square = self.objective.penalty.ridge * float(w @ w) + self.inverse_rho * total**2
        charges, pull = kink * t, self.multiplier * total
        size = square + float(np.abs(charges).sum()) + abs(pull)
        return 0.5 * square + float(charges.sum()) - pull, 4.0 * np.finfo(float).eps * size

    def unsettled(self, point, index):
        """Rows to work on next, from the distances of all rows to their kinks at a certificate.

        The others have a slope at a bound, and a score that is farther beyond the kink than
        any row is on the wrong side of one.
        """
        e, t = point.by_row[:, index], self.slopes[:, index]
        at_low = t <= self.arrays.low[:, index]
        at_high = t >= self.arrays.high[:, index]
        violation = np.where(at_low, np.maximum(e, 0), np.where(at_high, np.minimum(e, 0), e))
        self._set_thresholds(violation.min(initial=0.0), violation.max(initial=0.0))
        settled = (at_low & (e < self.thresholds[0])) | (at_high & (e > self.thresholds[1]))
        return index[~settled.all(axis=0)]

    def _set_thresholds(self, lowest, highest):
        """Beyond which distances from a kink a row is settled: the largest violations."""
        self.thresholds = (lowest if lowest < 0 else -np.inf, highest if highest > 0 else np.inf)

    def balanced(self):
        return _balanced(self.slopes, self.arrays.low, self.arrays.high), True

    def _distances(self, coef):
        """Parameters without an intercept, and distances of scores from kinks."""
        params = self.objective.from_coef(coef)
        u = self.objective.split(params)[0]
        return params, self.objective.rows.scores(u, 0.0) - self.arrays.kink

    def look(self):
        params, e = self._distances(self.coef)
        _, low, high, _ = self.arrays
        steepest = np.where(e > 0, high, low)
        square = 0.5 * self.objective.penalty.ridge * float(self.coef @ self.coef)
        value = float(np.vdot(steepest, e)) + square
        lower = value - float(np.vdot(steepest - self.slopes, e))
        # A value of about zero is for the certificate to judge.
        return Certificate(params, value, lower, e, floor=self.bounds.size)

    def certificate(self, slopes, coef, feasible):
        """A primal point, and its duality gap.

        Since w = −Xᵀt/alpha, F − D = Σ [l e + (r − l)[e]₊ − t e] with e = X w + b − kink: a
        sum of terms that are not negative, but for rounding errors.
        """
        objective, (_, low, high, _) = self.objective, self.arrays
        params, e = self._distances(coef)
        u, b = objective.split(params)[0], 0.0
        if objective.fit_intercept:
            b = best_intercept(-e, low, high)
            e += b
            # Reset the multiplier to the best intercept, at most five times: resets for ever would
            # prevent convergence.
            if self.n_resets < 5 and abs(self.total) > 0.01 * float(np.abs(slopes).sum()):
                self.n_resets += 1
                self.multiplier = b - float((objective.rows.shift - self.shift) @ coef)
        params = objective.join(u, b)
        projected = objective.join(-objective.penalty.l2 * u, slopes.sum())
        bound = self.bounds.at(params, e, slopes - low, high - slopes, projected)
        if objective.fit_intercept:  # which rows to work on is a matter of our own intercept
            e += self.intercept + float((objective.rows.shift - self.shift) @ coef) - b
        return Certificate(params, bound.value, bound.lower, e, bound.noise, bound.floor)


_ENTRIES_PER_FEATURE = 10  # of the active rows, from which operations on coefficients are cheap
_FEW = 0.2  # share of slopes at a bound whose moves are taken back


def _balanced(t, low, high):
    """Slopes near ``t`` that sum to zero."""
    total = float(t.sum())
    room = t - low if total > 0 else high - t
    inside = (t > low) & (t < high)
    for where in (inside, slice(None)):
        share = np.zeros_like(t)
        share[where] = room[where]
        if share.sum() >= abs(total):
            return np.clip(t - (total / max(share.sum(), 1e-300)) * share, low, high)
    return np.clip(t, low, high)
