"""The dual problem of hinges of one score, as coordinate descent sees it."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from sklearn_margin.objective.rounding import rounding
from sklearn_margin.objective.row_kernels import add_rows
from sklearn_margin.solvers._descent import Certificate, Dual
from sklearn_margin.solvers._dual_kernels import visit_hinges
from sklearn_margin.solvers._hinge_gap import HingeGap
from sklearn_margin.solvers._hinges import best_intercept, round_hinge_terms
from sklearn_margin.solvers.base import rounding_floor

__all__ = ["HingeDual", "RoundHingeDual"]


class _Hinges(NamedTuple):
    """Hinges by row: where they are, and between what bounds their slopes."""

    kink: np.ndarray  # (n_hinges, n)
    low: np.ndarray  # (n_hinges, n)
    high: np.ndarray  # (n_hinges, n)
    curve: np.ndarray  # (n_hinges, n), of what is charged for slopes; zero if kinks are sharp
    norm: np.ndarray  # (n,)


class HingeDual(Dual):
    """State of the dual problem of hinges of one score; slopes t have shape (n_hinges, n)."""

    def __init__(self, objective, start):
        super().__init__(objective, start)
        terms = (np.array(v) for v in zip(*round_hinge_terms(objective), strict=True))
        self.arrays = _Hinges(*terms, self.norm)
        self._prepare()
        self.slopes = self._first_slopes(start)
        self.refresh()
        self.thresholds = (-np.inf, np.inf)
        self.n_resets = 0
        self.foresees = not objective.fit_intercept

    def _prepare(self):
        """What certificates need."""
        kink, low, high, *_ = self.arrays
        self.bounds = HingeGap(self.objective, self.objective.rows, kink, low, high)

    def at(self, index):
        return ..., index

    def by_score(self, slopes):
        return slopes.sum(axis=0)

    def sum(self, slopes):
        return float(slopes.sum())

    def _first_slopes(self, start):
        """Slopes to start from: none, or those of an envelope at the scores of ``start``."""
        kink, low, high, *_ = self.arrays
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

    def foreseen_value(self, part):
        if not self.foresees:
            return -np.inf
        self.slopes[self.at(part.index)] = part.slopes
        kink, w = self.arrays.kink, self.coef
        return self.expected - self._inner_value(self.slopes, kink, w, self.total)[0]

    def accelerate(self, part):
        """Minimise over the plane of an epoch's move and the move before, within the bounds.

        These are conjugate gradients in their form of three terms, and the epoch is the
        preconditioner. It is not the same one every time, which the exact minimum allows for: see
        the references of ``DualCD``.
        """
        entries = self.objective.rows.entries_per_row * len(part.active)
        if entries < _ENTRIES_PER_FEATURE * len(self.coef):
            return  # it would cost as much as another epoch
        now = part.slopes, self.coef, self.total
        if part.last is not None:
            moves = [tuple(b - a for a, b in zip(part.last, now, strict=True)), part.momentum]
            part.error = self._combine(part, *zip(*filter(None, moves), strict=True))
            now = part.slopes, self.coef, self.total
            part.momentum = tuple(b - a for a, b in zip(part.last, now, strict=True))
        part.last = part.slopes.copy(), self.coef.copy(), self.total

    def _combine(self, part, t_moves, w_moves, sums):
        """The best point in the span of moves of slopes that are not at a bound, within the bounds,
        if it is better and the moves of those at one are few. Returns the error of the coefficients
        that it has, in units of that of the sums they are."""
        kink, low, high, *_ = part.arrays
        alpha = self.objective.penalty.ridge
        t_moves, w_moves, sums = np.array(t_moves), np.array(w_moves), np.array(sums)
        outside = np.where((part.slopes > low) & (part.slopes < high), 0.0, t_moves)
        t_moves -= outside
        outside = outside.sum(axis=1)
        if np.count_nonzero(outside) > _FEW * outside.size:
            return 1.0
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
        # Errors of coefficients are multiplied like the moves, that of the move before once more.
        # Where they hide the improvement the passes still converge, if they are left alone.
        error = 1.0 + float(np.abs(weights) @ [1.0, part.error][: len(weights)])
        improved = self._inner_value(t, kink, w, total)[0] < before - error * noise
        if error > _MOST_ERROR or not improved:
            return 1.0
        part.slopes, self.coef, self.total = t, w, total
        return error

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

    def _own_intercept(self, coef):
        """The intercept that slopes are now minimised at, of X̃."""
        return self.intercept + float((self.objective.rows.shift - self.shift) @ coef)

    def _reset_multiplier(self, b, slopes, coef):
        """Set the multiplier to the best intercept ``b`` of X̃ where slopes are far from a sum of
        zero, at most five times: resets for ever would prevent convergence."""
        if self.n_resets < 5 and abs(self.total) > 0.01 * float(np.abs(slopes).sum()):
            self.n_resets += 1
            self.multiplier = b - float((self.objective.rows.shift - self.shift) @ coef)

    def look(self):
        params, e = self._distances(self.coef)
        _, low, high, *_ = self.arrays
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
        objective, (_, low, high, *_) = self.objective, self.arrays
        params, e = self._distances(coef)
        u, b = objective.split(params)[0], 0.0
        if objective.fit_intercept:
            b = best_intercept(-e, low, high)
            e += b
            self._reset_multiplier(b, slopes, coef)
        params = objective.join(u, b)
        projected = objective.join(-objective.penalty.l2 * u, slopes.sum())
        bound = self.bounds.at(params, e, slopes - low, high - slopes, projected)
        if objective.fit_intercept:  # which rows to work on is a matter of our own intercept
            e += self._own_intercept(coef) - b
        return Certificate(params, bound.value, bound.lower, e, bound.noise, bound.floor)


class RoundHingeDual(HingeDual):
    """The same of hinges with round kinks: for slopes ½ Σ curve_i t_i² is charged, too.

    A hinge is then the largest t e − ½ curve t² of all slopes t, and where a slope is free the loss
    is smooth: that of the squared hinge is free below its kink.
    """

    def _prepare(self):
        self.size = rounding_floor(self.objective)

    def accelerate(self, part):
        """Nothing: rows for which this is the solver are few."""

    def _steepest(self, e):
        """Slopes of the loss at distances ``e`` from the kinks."""
        _, low, high, curve, _ = self.arrays
        return np.clip(e / curve, low, high)

    def _first_slopes(self, start):
        """Slopes to start from: none, or those of the loss at ``start`` if they are better."""
        kink = self.arrays.kink
        none = np.zeros_like(kink)
        if not self.objective.split(start)[0].any():
            return none
        t = self._steepest(self.objective.scores_along(start) - kink)
        value, _ = self._inner_value(t, kink, self.coefficients(t), t.sum())
        return t if value < 0.0 else none

    def _inner_value(self, t, kink, w, total):
        value, noise = super()._inner_value(t, kink, w, total)
        return value + 0.5 * float(np.vdot(self.arrays.curve * t, t)), noise

    def _violation(self, e):
        return e - self.arrays.curve * self.slopes

    def _judge(self, e, slopes):
        """The loss, and by how much it exceeds what the slopes make of it: a sum of terms that are
        not negative."""
        _, _, _, curve, _ = self.arrays
        best = self._steepest(e)
        bent = 0.5 * curve * best
        missing = best - slopes
        excess = missing * (e - 2.0 * bent) + 0.5 * curve * missing**2
        return float(np.vdot(best, e - bent)), float(np.sum(excess))

    def look(self):
        params, e = self._distances(self.coef)
        value, excess = self._judge(e, self.slopes)
        value += self.objective.penalty.value(self.objective.split(params)[0])
        e = self._violation(e)
        return Certificate(params, value, value - excess, e, floor=self.size)

    def certificate(self, slopes, coef, feasible):
        objective, b = self.objective, 0.0
        params, e = self._distances(coef)
        u, _ = objective.split(params)
        if objective.fit_intercept:
            b = self._best_intercept(e)
            self._reset_multiplier(b, slopes, coef)
            params = objective.join(u, b)
        loss, excess = self._judge(e + b, slopes)
        value = loss + objective.penalty.value(u)
        by_score = objective.slopes(self.by_score(slopes))
        noise = rounding(objective, params, by_score, loss, excess)
        unbalanced = objective.fit_intercept and (
            abs(float(slopes.sum())) > objective.imbalance * by_score.size
        )
        lower = -np.inf if unbalanced else value - excess
        if objective.may_scale:
            lower = max(lower, 0.0)
        if objective.fit_intercept:  # which rows to work on is a matter of our own intercept
            e += self._own_intercept(coef)
        return Certificate(params, value, lower, self._violation(e), noise, self.size)

    def _best_intercept(self, e):
        """The intercept for which the slopes of the loss sum to zero."""

        def slope(b):
            return float(self._steepest(e + b).sum())

        b, step = 0.0, 1.0 if slope(0.0) < 0 else -1.0
        while slope(b + step) * step < 0 and abs(step) < 1e12:
            b, step = b + step, 4.0 * step
        if abs(step) >= 1e12:
            return b
        return brentq(slope, b, b + step, xtol=1e-300, rtol=1e-15, maxiter=200, disp=False)


_ENTRIES_PER_FEATURE = 10  # of the active rows, from which operations on coefficients are cheap
_MOST_ERROR = 1e4  # of coefficients, in units of the rounding error of a sum
_FEW = 0.2  # share of slopes at a bound whose moves are taken back


def _balanced(t, low, high):
    """Slopes near ``t`` that sum to zero."""
    total = float(t.sum())
    room = t - low if total > 0 else high - t
    room = np.where(np.isinf(room), np.abs(t), room)
    inside = (t > low) & (t < high)
    for where in (inside, slice(None)):
        share = np.zeros_like(t)
        share[where] = room[where]
        if share.sum() >= abs(total):
            return np.clip(t - (total / max(share.sum(), 1e-300)) * share, low, high)
    return np.clip(t, low, high)
