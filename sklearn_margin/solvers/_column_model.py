"""The quadratic model of proximal Newton steps on sparse rows, by coordinate descent on columns."""

import numpy as np

from sklearn_margin._linalg import factorized
from sklearn_margin.penalties import SeparablePenalty
from sklearn_margin.solvers._columns import Columns, coupling, merge, sweep
from sklearn_margin.solvers._quadratic import minimize_quadratic

__all__ = ["ColumnModel", "straight_search"]

_RUN = 8  # neighbouring columns that are visited one after the other: they share memory pages
_NEAR = 0.9  # of l1 that the slope of a variable is to have which may leave zero
_FREQUENT = 16  # columns with the most entries, over which the model is minimised at once
_SWEEPS = 4, 0.3  # the most, and the share of the decrease by the first that is worth another
_SWEEPS_ALONE = 100, 0.03  # the same where conjugate gradients get nowhere
_CLOSE = 0.5  # of the gap asked for: the decrease by a sweep below which a face takes over
# A face is worth more, the nearer the minimum is: as long as sweeps lead there fast, it has time.
_FASTER, _FINE = 0.3, 1e-4  # by which the decrease must fall; of the loss, as of a gap asked for
_FORCING = 0.003  # of what slopes are off by, what is left on a face
_MOST_PRODUCTS = 50


def straight_search(line, slopes):
    """The point where F is about lowest on ``line``, which begins where the smooth part of F has
    the derivative ``slopes``; None if that is where it begins."""
    u, du = (line.objective.split(x)[0] for x in (line.params, line.p))
    rise = line.objective.penalty.l1_slope(u, du)
    decrement = -(float(slopes @ line.p) + rise)
    return line.search(decrement) if decrement > 0 else None


class ColumnModel:
    """The quadratic model of a loss by rows of one score, for sparse rows.

    A few sweeps of coordinate descent over the columns bring most of the decrease, and find which
    coefficients are zero [1]_. As in ``sweep`` the slopes of the model by row follow each step.
    The columns with the most entries, on which most others depend, are left out: over these the
    model is minimised at once, by their Gram matrix. The rest are divided in two halves, one a
    thread, whose steps are joined: where they lower the model by A and B, and change scores by p
    and q, both together lower it by A + B − Σ h p q.

    The gap asks for more than F: what X̃ᵀg is off by counts relative to l1, though next to nothing
    of F depends on it where h is large. Sweeps are slow to get there. So near the optimum
    conjugate gradients go on among points of the same signs, as far as signs allow [2]_. Each
    iteration of Newton's method lessens violations to about a hundredth. Where columns are nearly
    sums of others conjugate gradients end early; what helps there is many sweeps.

    References
    ----------
    .. [1] Yuan, Ho & Lin, "An improved GLMNET for L1-regularized logistic regression", JMLR 13,
       2012.
    .. [2] Byrd, Chin, Nocedal & Oztoprak, "A family of second-order methods for convex
       l1-regularized optimization", Mathematical Programming 159, 2016.
    """

    def __init__(self, objective):
        self.objective = objective
        self.columns = Columns(objective.rows)
        by_size = np.argsort(-self.columns.size, kind="stable")
        self.frequent = np.sort(by_size[:_FREQUENT])
        self.rng = np.random.RandomState(0)
        self.is_hard = False  # whether the last face was left with violations
        self.before = np.inf  # decrease by the first sweep an iteration ago

    gap = np.inf  # no other is known than that of the slopes

    def look_again(self, objective, params):
        """Nothing of a sample is kept."""

    def linearize(self, point, cautious, goal):
        """Duality gap at ``point``, whose model is minimised next; ``goal`` is what it may be."""
        point.find_curvature(cautious)
        self.goal = goal
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
        self._bend_flat(point.u)
        self.bend = self.bend + penalty.l2
        # Where slopes are off by ε of these, the gap is ε of L or, with an L2 penalty, d ε² / 2.
        self.size = np.maximum(penalty.l1, np.sqrt(penalty.l2 * self.loss))
        self.size = np.where(self.size > 0, self.size, self.size.mean() or 1.0)
        self.slope = self._projected(sums.g, self.g)
        gradient = self.slope + objective.penalty_gradient(point.params)
        if penalty.loose is not None:
            return point.gap()
        return objective.gap(
            point.params, gradient, objective.slopes(curvature.gradient), self.loss
        )

    def _bend_flat(self, u):
        """Half the way to zero for coefficients that no row with curvature is about.

        The penalty takes them to zero, unless rows beyond a kink of their slope hold them; the
        model knows nothing of those.
        """
        self.curved = self.bend > 0
        flat = np.flatnonzero(~self.curved & (u != 0))
        self.bend[flat] = 2 * self.objective.penalty.l1[flat] / np.abs(u[flat])

    def _projected(self, sums, g):
        """X̃ᵀg, and Σg if there is an intercept, from Xᵀg / scale."""
        rows, total = self.objective.rows, float(g.sum())
        return self.objective.join(sums - rows.shift / rows.scale * total, total)

    def minimize(self):
        """Slope of F, penalty included, times the step to about the minimum of the model."""
        objective, point = self.objective, self.point
        params, u = point.params, point.u
        self.u, self.r = u.copy(), self.g.copy()
        self.offset = -float(self.g.sum()) / self.total if objective.fit_intercept else 0.0
        self._choose(objective.split(self.slope)[0])
        self._find_gram()
        self._minimize()
        moved = self.u - u
        b = self.offset + float((objective.rows.shift / objective.rows.scale) @ moved)
        change = objective.join(moved, b)
        self.end = objective.join(self.u, objective.split(params)[1] + b)
        self.smooth = self.slope + objective.penalty_product(params)
        return float(self.smooth @ change) + objective.penalty.l1_change(u, self.u)

    def _find_gram(self):
        """The Hessian of the model over frequent columns, damped a little."""
        top = self.frequent
        self.gram = self.columns.gram(self.h, top)
        self.gram -= np.outer(self.cross[top], self.cross[top]) / self.total
        damped = self.objective.penalty.l2[top] + 1e-12 * self.bend[top]
        self.gram[np.diag_indices(len(top))] += damped

    def _minimize(self):
        """Sweeps and, where one lowers the model by little or they are slow, a face."""
        most, worth = _SWEEPS_ALONE if self.is_hard else _SWEEPS
        first = decrease = self._sweep()
        goal = self.goal
        if first <= _FASTER * self.before:
            goal = min(goal, _FINE * self.loss)
        self.is_near, self.before = first <= max(_CLOSE * goal, 1e-5 * self.loss), first
        sweeps = 1
        while (self.is_hard or not self.is_near) and decrease > worth * first and sweeps < most:
            decrease = self._sweep()
            sweeps += 1
        if self.is_near or decrease > worth * first:
            self._to_minimum(0.5 * self.goal / max(self.loss, 1e-300))

    def _to_minimum(self, enough):
        """Most of the way to the minimum of the model, down to violations that are ``enough``."""
        violation = self._find_steepest()
        if violation > enough and not self._to_minimum_of_face(max(enough, _FORCING * violation)):
            self._sweep()

    def _find_steepest(self):
        """The shortest subgradient of the model now; its largest entry, in units of ``size``."""
        u, penalty = self.u, self.objective.penalty
        slope = self.columns.project(self.r) + self.offset * self.cross
        self._choose(slope)
        steepest = penalty.steepest(u, slope + penalty.l2 * u + penalty.l1 * np.sign(u))
        self.steepest = np.where(self.curved, steepest, 0.0)
        return float(np.max(np.abs(self.steepest) / self.size))

    def _choose(self, slope):
        """Let variables move that are not zero or, by their slopes, may soon not be."""
        near = np.abs(slope) > _NEAR * self.objective.penalty.l1
        near |= self.u != 0
        near[self.frequent] = False
        self.others = np.flatnonzero(near)

    def _sweep(self):
        """Visit the candidates once: the decrease of the model."""
        decrease, halves = self._minimize_over_frequent(), self.columns.pieces(self._order(), 2)
        p, before, residuals = (
            self.objective.penalty,
            self.u.copy(),
            [self.r.copy() for _ in halves],
        )

        def visit(t):
            self.columns.count_read(halves[t])
            return sweep(
                self.columns.entries, halves[t], (p.l1, p.l2, p.lower, p.upper), self.bend,
                self.cross, self.h, self.total, self.u, residuals[t], self.offset,
            )  # fmt: skip

        found = self.columns.run(visit, range(len(halves)))
        moves = [offset - self.offset for _, offset in found]
        gain = sum(fall for fall, _ in found)
        coupled = coupling(self.h, self.r, *residuals) - self.total * moves[0] * moves[1]
        t = min(1.0, 0.5 * gain / coupled) if coupled > 0 else 1.0
        merge(t, self.r, *residuals)
        self.offset += t * sum(moves)
        if t < 1.0:
            self.u = before + t * (self.u - before)
        return decrease + t * (gain - t * coupled)

    def _order(self):
        """Candidates but for the frequent columns, in runs whose order is random."""
        k = len(self.others)
        order = self.rng.permutation(-(-k // _RUN))[:, None] * _RUN + np.arange(_RUN)
        return self.others[order[order < k]]

    def _minimize_over_frequent(self):
        """Minimise over the columns with the most entries, whose Hessian is at hand."""
        p, top = self.objective.penalty, self.frequent
        old, l1 = self.u[top], p.l1[top]
        slope = (self.columns.project(self.r, top) + self.offset * self.cross)[top]
        slope += p.l2[top] * old
        parts = SeparablePenalty(0 * l1, l1, p.lower[top], p.upper[top])
        new = minimize_quadratic(self.gram, parts, old, slope, 1e-12 * self.loss)
        self.u[top] = new
        step = np.zeros_like(self.u)
        step[top] = change = new - old
        self._follow(step, top)
        return -float(change @ (slope + 0.5 * self.gram @ change)) - parts.l1_change(old, new)

    # --- on a face ---

    def _to_minimum_of_face(self, enough):
        """Conjugate gradients where the penalty is smooth, until violations are ``enough``."""
        u, steepest = self.u, self.steepest
        free, low, high = self.objective.penalty.face(u, steepest)
        free = np.flatnonzero(free & self.curved)
        product = self._hessian_product(free)
        step = np.zeros_like(u)
        step[free] = self._conjugate_gradients(product, -steepest[free], free, enough)
        clipped = np.clip(u + step, low, high)
        whole = np.array_equal(clipped, u + step)
        if not whole:
            # The way to the clipped point stays on the face, where the model is a parabola.
            step = clipped - u
            fall, curvature = -float(steepest @ step), float(step[free] @ product(step[free]))
            t = min(1.0, max(fall, 0.0) / curvature) if curvature > 0 else 0.0
            step *= t
            clipped = clipped if t == 1.0 else u + step
        self.u = clipped
        self._follow(step, free)
        return whole

    def _follow(self, step, columns):
        """Let slopes by row follow a step, which is zero but for some columns."""
        self.r += self.h * self.columns.combine(step, columns)
        self.offset -= float(self.cross @ step) / self.total

    def _hessian_product(self, free):
        """Function that multiplies by the Hessian of the model over the variables ``free``."""
        product = self.columns.normal_product(self.h, free)
        cross, l2 = self.cross[free], self.objective.penalty.l2[free]
        return lambda v: product(v, -float(cross @ v) / self.total) + l2 * v

    def _conjugate_gradients(self, product, residual, free, enough):
        """About the step to the minimum over ``free``."""
        size, precondition = self.size[free], self._preconditioner(free)
        step = np.zeros_like(residual)
        direction = precondition(residual)
        rho = first = float(residual @ direction)
        self.is_hard = True
        for _ in range(_MOST_PRODUCTS):
            if np.max(np.abs(residual) / size, initial=0.0) <= 0.5 * enough or rho <= 1e-30 * first:
                self.is_hard = False
                break
            image = product(direction)
            curvature = float(direction @ image)
            if not curvature > 0:
                break
            step += (rho / curvature) * direction
            residual = residual - (rho / curvature) * image
            scaled = precondition(residual)
            rho, before = float(residual @ scaled), rho
            direction = scaled + (rho / before) * direction
        return step

    def _preconditioner(self, free):
        """The inverse of the diagonal of the Hessian, and of its block of frequent columns."""
        bend, known = self.bend[free], np.isin(self.frequent, free)
        where = np.searchsorted(free, self.frequent[known])
        solve = factorized(self.gram[np.ix_(known, known)])

        def precondition(v):
            out = v / bend
            out[where] = solve(v[where])
            return out

        return precondition

    def search(self):
        """A point near the minimum of the model that lowers F, or None."""
        point, self.point = self.point, None
        line = point.toward(self.end)
        if self.is_near:
            line.enough = 0.5  # zeros of the model are worth more than the last of F
        return straight_search(line, self.smooth)
