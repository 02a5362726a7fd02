"""The quadratic model of proximal Newton steps on sparse rows, by coordinate descent on columns."""

import numpy as np

from sklearn_margin._linalg import factorized

from sklearn_margin.penalties import SeparablePenalty
from sklearn_margin.solvers._quadratic import minimize_quadratic
from sklearn_margin.solvers._columns import Columns, coupling, merge, sweep

__all__ = ["ColumnModel", "straight_search"]

import os
ENTER=float(os.environ.get('ENTER','0.5')); ROUND=float(os.environ.get('ROUND','0.03'))
_RUN = 8  # neighbouring columns that are visited one after the other: they share memory pages
_NEAR = 0.9  # of l1 that the slope of a variable is to have which may leave zero
_FREQUENT = 16  # columns with the most entries, over which the model is minimised at once
_MOST_SWEEPS = 10
_MOST_FACES = 6
_MOST_PRODUCTS = 200


def straight_search(point, change, slopes, end=None):
    """The point on the line along ``change``, to ``end`` if that is known to the last digit, where
    F is about lowest; None if that is where it was."""
    objective = point.objective
    line = point.along(change) if end is None else point.toward(end)
    rise = objective.penalty.l1_slope(point.u, objective.split(change)[0])
    decrement = -line.shortened * (float(slopes @ change) + rise)
    return line.search(decrement) if decrement > 0 else None


class ColumnModel:
    """The quadratic model of a loss by rows of one score, for sparse rows.

    A few sweeps of coordinate descent over the columns bring most of the decrease, and find which
    coefficients are zero [1]_. As in ``sweep`` the slopes of the model by row follow each step.
    Columns are divided in two halves, one a thread, whose steps are joined after each sweep. They
    lower the model by A and B, and by A + B less what couples them. Near the optimum conjugate
    gradients take the others to the minimum among points of the same signs, as far as signs allow.

    Slopes of the model at its minimum are a dual point, and a better one than slopes of the loss at
    the next point: what is left of X̃ᵀg there counts relative to l1, however little of F it is.

    References
    ----------
    .. [1] Yuan, Ho & Lin, "An improved GLMNET for L1-regularized logistic regression", JMLR 13,
       2012.
    """

    def __init__(self, objective):
        self.objective, rows, penalty = objective, objective.rows, objective.penalty
        self.columns = Columns(rows)
        size = self.columns.size
        self.frequent = np.sort(np.argsort(-size, kind="stable")[:_FREQUENT])
        self.rng = np.random.RandomState(0)

    def linearize(self, point):
        """Duality gap at ``point``, whose model is minimised next."""
        objective, curvature = self.objective, point.curvature
        self.point, self.loss = point, point.loss
        self.g, self.h = (a.astype(np.float64) for a in (curvature.gradient, curvature.h))
        sums = self.columns.sums(self.g, self.h)
        self.bend, self.cross, self.total = sums.h, np.zeros_like(sums.h), 1.0
        if objective.fit_intercept:
            self.total = max(float(self.h.sum()), 1e-300)
            self.cross = sums.cross
            self.bend = np.maximum(self.bend - self.cross**2 / self.total, 0.0)
        penalty = objective.penalty
        self.bend = self.bend + penalty.l2
        # Where slopes are off by ε of these, the gap is ε of L or, with an L2 penalty, d ε² / 2.
        self.size = np.maximum(penalty.l1, np.sqrt(penalty.l2 * self.loss))
        self.size = np.where(self.size > 0, self.size, self.size.mean() or 1.0)
        self.slope = self._projected(sums.g, self.g)
        gradient = self.slope + objective.penalty_gradient(point.params)
        return objective.gap(point.params, gradient, objective.slopes(curvature.gradient), self.loss)

    def _projected(self, sums, g):
        """X̃ᵀg, and Σg if there is an intercept, from Xᵀg / scale."""
        rows, total = self.objective.rows, float(g.sum())
        return self.objective.join(sums - rows.shift / rows.scale * total, total)

    def minimize(self, goal):
        """Slope of F, penalty included, times the step to about the minimum of the model."""
        objective, point = self.objective, self.point
        params, u = point.params, point.u
        self.u = u.copy()
        self.r = self.g.copy()
        self.offset = -float(self.g.sum()) / self.total if objective.fit_intercept else 0.0
        self._choose(objective.split(self.slope)[0])
        self.gram = self.columns.gram(self.h, self.frequent)
        self.gram -= np.outer(self.cross[self.frequent], self.cross[self.frequent]) / self.total
        self.gram[np.diag_indices(len(self.frequent))] += objective.penalty.l2[self.frequent] + 1e-12 * self.bend[self.frequent]
        self._minimize(1e3 * goal)
        moved = self.u - u
        b = self.offset + float((objective.rows.shift / objective.rows.scale) @ moved)
        self.change = objective.join(moved, b)
        self.end = objective.join(self.u, objective.split(params)[1] + b)
        self.smooth = self.slope + objective.penalty_product(params)
        return float(self.smooth @ self.change) + objective.penalty.l1_change(u, self.u)

    def _minimize(self, goal):
        """Sweeps and, where they do not lower F by much more than ``goal``, faces."""
        first = decrease = self._sweep()
        if first <= max(ENTER * goal, 1e-5 * self.loss):
            self._to_minimum(0.5 * goal / max(self.loss, 1e-300))
            return
        for _ in range(_MOST_SWEEPS):
            if decrease <= 0.3 * first:
                break
            decrease = self._sweep()

    def _to_minimum(self, enough):
        """Most of the way to the minimum of the model, down to violations that are ``enough``."""
        violation = self._find_steepest()
        if violation > enough and not self._to_minimum_of_face(max(enough, ROUND * violation)):
            self._sweep()

    def _find_steepest(self):
        """The shortest subgradient of the model now; its largest entry, in units of ``size``."""
        u, penalty = self.u, self.objective.penalty
        slope = self.columns.project(self.r) + self.offset * self.cross
        self._choose(slope)
        self.steepest = penalty.steepest(u, slope + penalty.l2 * u + penalty.l1 * np.sign(u))
        return float(np.max(np.abs(self.steepest) / self.size))

    def _choose(self, slope):
        """Let variables move that are not zero or, by their slopes, may soon not be."""
        near = np.abs(slope) > _NEAR * self.objective.penalty.l1
        self.candidates = np.flatnonzero((self.u != 0) | near)
        self.others = np.setdiff1d(self.candidates, self.frequent, assume_unique=True)
        self.candidates = np.union1d(self.candidates, self.frequent)

    def _sweep(self):
        """Visit the candidates once: the decrease of the model."""
        decrease0 = self._minimize_over_frequent()
        k = len(self.others)
        order = self.rng.permutation(-(-k // _RUN))[:, None] * _RUN + np.arange(_RUN)
        order = self.others[order[order < k]]
        p = self.objective.penalty
        penalty = (p.l1, p.l2, p.lower, p.upper)
        before, residuals = self.u.copy(), (self.r.copy(), self.r.copy())
        halves = self.columns.pieces(order, 2)

        def visit(half, r):
            return sweep(
                self.columns.entries, half, penalty, self.bend, self.cross, self.h,
                self.total, self.u, r, self.offset,
            )  # fmt: skip

        self.columns.count_read(order)
        found = self.columns.run(lambda t: visit(halves[t], residuals[t]), range(len(halves)))
        decrease = sum(f[0] for f in found)
        moves = [f[1] - self.offset for f in found]
        if len(found) == 1:
            self.r = residuals[0]
            self.offset += moves[0]
            return decrease + decrease0
        coupled = coupling(self.h, self.r, *residuals)
        if self.objective.fit_intercept:
            coupled -= self.total * moves[0] * moves[1]
        t = min(1.0, 0.5 * decrease / coupled) if coupled > 0 else 1.0
        merge(t, self.r, *residuals)
        self.offset += t * (moves[0] + moves[1])
        if t < 1.0:
            self.u = before + t * (self.u - before)
        return decrease0 + t * (decrease - t * coupled)

    def _minimize_over_frequent(self):
        """Minimise over the columns with the most entries, whose Hessian is at hand."""
        p, top = self.objective.penalty, self.frequent
        slope = (self.columns.project(self.r, top) + self.offset * self.cross)[top]
        slope += p.l2[top] * self.u[top]
        old = self.u[top]
        l1 = p.l1[top]
        new = minimize_quadratic(
            self.gram, SeparablePenalty(0 * l1, l1, p.lower[top], p.upper[top]), old, slope, 1e-12 * self.loss
        )
        step = np.zeros_like(self.u)
        step[top] = change = new - old
        self.u[top] = new
        self.r += self.h * self.columns.combine(step, top)
        self.offset -= float(self.cross @ step) / self.total
        curved = self.gram @ change
        decrease = -float(change @ (slope + 0.5 * curved)) - float(l1 @ (np.abs(new) - np.abs(old)))
        return decrease

    # --- on a face ---

    def _to_minimum_of_face(self, enough):
        """Conjugate gradients where the penalty is smooth, until violations are ``enough``."""
        u, steepest = self.u, self.steepest
        free, low, high = self.objective.penalty.face(u, steepest)
        free = np.flatnonzero(free & (self.bend > 0))
        new, r, offset = self._conjugate_gradients(-steepest[free], free, enough)
        clipped = np.clip(new, low, high)
        if np.array_equal(new, clipped):
            self.u, self.r, self.offset = new, r, offset
            return True
        # The way to the clipped point stays on the face, where the model is a parabola.
        step = clipped - u
        curved, change, shift = self._product(step, free)
        fall, curvature = -float(steepest @ step), float(step @ curved)
        t = min(1.0, fall / curvature) if curvature > 0 else 1.0
        if fall > 0:
            self.u = clipped if t == 1.0 else u + t * step
            self.r = self.r + t * change
            self.offset += t * shift
        return False

    def _product(self, p, free):
        """Hessian times ``p``, which is zero but for ``free``, and how r and the offset change."""
        change = self.h * self.columns.combine(p, free)
        shift = -float(self.cross @ p) / self.total
        product = self.columns.project(change, free)
        product[free] += shift * self.cross[free] + self.objective.penalty.l2[free] * p[free]
        return product, change, shift

    def _conjugate_gradients(self, residual, free, enough):
        """Variables, r and offset about the minimum over ``free``."""
        u, r, offset = self.u.copy(), self.r.copy(), self.offset
        p, size, bend = np.zeros_like(u), self.size[free], self.bend[free]
        position = np.flatnonzero(np.isin(free, self.frequent))
        inner = np.isin(self.frequent, free)
        solve = factorized(self.gram[np.ix_(inner, inner)])

        def precondition(v):
            out = v / bend
            out[position] = solve(v[position])
            return out

        direction = precondition(residual)
        rho = first = float(residual @ direction)
        for _ in range(_MOST_PRODUCTS):
            if np.abs(residual / size).max(initial=0.0) <= 0.5 * enough or rho <= 1e-30 * first:
                break
            p[free] = direction
            image, change, shift = self._product(p, free)
            curvature = float(direction @ image[free])
            if not curvature > 0:
                break
            step = rho / curvature
            u += step * p
            r += step * change
            offset += step * shift
            residual = residual - step * image[free]
            scaled = precondition(residual)
            rho, before = float(residual @ scaled), rho
            direction = scaled + (rho / before) * direction
        return u, r, offset

    def search(self):
        """A point near the minimum of the model that lowers F, or None."""
        point, self.point = self.point, None
        return straight_search(point, self.change, self.smooth, self.end)
