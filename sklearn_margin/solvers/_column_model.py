"""The quadratic model of proximal Newton steps on sparse rows, by coordinate descent on columns."""

import numpy as np

from sklearn_margin.objective.certificate import moved_gap
from sklearn_margin.solvers._columns import Columns, coupling, merge, sweep

__all__ = ["ColumnModel", "straight_search"]

_RUN = 8  # neighbouring columns that are visited one after the other: they share memory pages
_NEAR = 0.9  # of l1 that the slope of a variable is to have which may leave zero
_MOST_SWEEPS = 10
_MOST_FACES = 6
_MOST_PRODUCTS = 200


def straight_search(point, change, slopes):
    """The point on the line along ``change`` where F is about lowest; None if that is where it
    was."""
    objective = point.objective
    line = point.along(change)
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
        self.rng = np.random.RandomState(0)
        self.theta = None

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
        gap = objective.gap(point.params, gradient, objective.slopes(curvature.gradient), self.loss)
        if gap is not None and self.theta is not None:
            gap = min(gap, self._gap_of_model(point))
        return gap

    def _projected(self, sums, g):
        """X̃ᵀg, and Σg if there is an intercept, from Xᵀg / scale."""
        rows, total = self.objective.rows, float(g.sum())
        return self.objective.join(sums - rows.shift / rows.scale * total, total)

    def _gap_of_model(self, point):
        """Gap from the slopes of the model before, as far as slopes of the loss can be them."""
        z, curvature = point.scores, point.curvature
        delta, price = self.objective.corrected(z, curvature, self.theta - self.g)
        moved = self.slope + self._projected(self.columns.project(delta), delta)
        return moved_gap(self.objective, point.u, moved, self.g + delta, self.loss, price)

    def minimize(self, goal):
        """Slope of F, penalty included, times the step to about the minimum of the model."""
        objective, point = self.objective, self.point
        params, u = point.params, point.u
        self.u = u.copy()
        self.r = self.g.copy()
        self.offset = -float(self.g.sum()) / self.total if objective.fit_intercept else 0.0
        near = np.abs(objective.split(self.slope)[0]) > _NEAR * objective.penalty.l1
        self.candidates = np.flatnonzero((u != 0) | near)
        self.theta = None
        self._minimize(1e3 * goal)
        if self.is_exact:
            self.theta = self.r + self.offset * self.h if objective.fit_intercept else self.r
        moved = self.u - u
        b = self.offset + float((objective.rows.shift / objective.rows.scale) @ moved)
        self.change = objective.join(moved, b)
        self.smooth = self.slope + objective.penalty_product(params)
        return float(self.smooth @ self.change) + objective.penalty.l1_change(u, self.u)

    def _minimize(self, goal):
        """Sweeps and, where they do not lower F by much more than ``goal``, faces."""
        first, total, self.is_exact = 0.0, 0.0, False
        for _ in range(_MOST_SWEEPS):
            decrease, violation = self._sweep()
            first, total = max(first, decrease), total + decrease
            if decrease <= 0.3 * first:
                break
        value = max(self.loss, 1e-300)
        if total > max(10 * goal, 1e-3 * value):
            return
        enough = max(0.5 * goal, 1e-2 * total) / value
        for _ in range(_MOST_FACES + 1):
            self.is_exact = violation <= enough
            if self.is_exact:
                break
            self._to_minimum_of_face(enough)
            _, violation = self._sweep()

    def _sweep(self):
        """Visit the candidates once: the decrease of the model, and the largest violation."""
        k = len(self.candidates)
        order = self.rng.permutation(-(-k // _RUN))[:, None] * _RUN + np.arange(_RUN)
        order = self.candidates[order[order < k]]
        p = self.objective.penalty
        penalty = (p.l1, p.l2, p.lower, p.upper, self.size)
        before, residuals = self.u.copy(), (self.r.copy(), self.r.copy())
        halves = self.columns.pieces(order, 2)

        def visit(half, r):
            return sweep(
                self.columns.entries, half, penalty, self.bend, self.cross, self.h,
                self.total, self.u, r, self.offset,
            )  # fmt: skip

        self.columns.count_read(order)
        found = self.columns.run(lambda t: visit(halves[t], residuals[t]), range(len(halves)))
        decrease, violation = sum(f[0] for f in found), max(f[1] for f in found)
        moves = [f[2] - self.offset for f in found]
        if len(found) == 1:
            self.r = residuals[0]
            self.offset += moves[0]
            return decrease, violation
        coupled = coupling(self.h, self.r, *residuals)
        if self.objective.fit_intercept:
            coupled -= self.total * moves[0] * moves[1]
        t = min(1.0, 0.5 * decrease / coupled) if coupled > 0 else 1.0
        merge(t, self.r, *residuals)
        self.offset += t * (moves[0] + moves[1])
        if t < 1.0:
            self.u = before + t * (self.u - before)
        return t * (decrease - t * coupled), violation

    # --- on a face ---

    def _to_minimum_of_face(self, enough):
        """Conjugate gradients where the penalty is smooth, until violations are ``enough``."""
        penalty, u, kept = self.objective.penalty, self.u, self.candidates
        slope = np.zeros(len(u))
        slope[kept] = (self.columns.project(self.r, kept) + self.offset * self.cross)[kept]
        slope += penalty.l2 * u + penalty.l1 * np.sign(u)
        slope[np.setdiff1d(np.arange(len(u)), kept)] = 0.0
        steepest = penalty.steepest(u, slope)
        free, low, high = penalty.face(u, steepest)
        free = np.flatnonzero(free & (self.bend > 0))
        new, r, offset = self._conjugate_gradients(-steepest[free], free, enough)
        clipped = np.clip(new, low, high)
        if np.array_equal(new, clipped):
            self.u, self.r, self.offset = new, r, offset
            return
        # The way to the clipped point stays on the face, where the model is a parabola.
        step = clipped - u
        curved, change, shift = self._product(step, free)
        fall, curvature = -float(steepest @ step), float(step @ curved)
        t = min(1.0, fall / curvature) if curvature > 0 else 1.0
        if fall > 0:
            self.u = clipped if t == 1.0 else u + t * step
            self.r = self.r + t * change
            self.offset += t * shift

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
        direction = residual / bend
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
            scaled = residual / bend
            rho, before = float(residual @ scaled), rho
            direction = scaled + (rho / before) * direction
        return u, r, offset

    def search(self):
        """A point near the minimum of the model that lowers F, or None."""
        point, self.point = self.point, None
        return straight_search(point, self.change, self.smooth)
