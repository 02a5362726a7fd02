"""Block coordinate descent on the dual of multiclass hinge losses."""

from typing import NamedTuple

import numpy as np

from sklearn_margin._jit import REASSOCIATE, kernel
from sklearn_margin.objective.row_kernels import (
    centred_rows,
    coefficient_layout,
    row_scores,
    row_update,
    squared_norms,
    take_rows,
)
from sklearn_margin.solvers._descent import COMPACT, RUN, descend, hasten, shuffle_run

__all__ = ["Dual", "solve_multiclass"]


def solve_multiclass(objective, *, start, tol, max_iter, callback, shrinking):
    """Minimise a ``MulticlassObjective`` whose loss has a dual, with an L2 penalty.

    With a slope g_i, a subgradient of s_i ℓ(k_i, ·), for each row the dual problem is

        min over g of  ‖Σ g_i x_iᵀ‖² / (2 alpha) + Σ s_i ℓ*(g_i/s_i),   W = −Σ g_i x_iᵀ / alpha,

    with Σ g_i = 0 if there are intercepts, for which the method of multipliers is used as for
    one score. All slopes of one row are optimised at a time: the loss knows how.

    Returns
    -------
    Result
    g : ndarray of shape (n, n_outputs)
        Slopes where it ended.
    """
    dual = Dual(objective, start)
    result = descend(dual, tol=tol, max_iter=max_iter, callback=callback, shrinking=shrinking)
    return result, dual.g


class Certificate(NamedTuple):
    """A primal point, how far its value is from the dual value, and by how much rows miss their
    optimum."""

    params: np.ndarray
    value: float
    gap: float
    excess: np.ndarray  # (n,)
    noise: float = 0.0
    floor: float = 0.0

    @property
    def lower(self):
        """Lower bound on F; these losses are not negative. Of a large value and a large gap, the
        difference is rounding error."""
        return max(self.value - self.gap - 16 * 2.0**-52 * abs(self.value), 0.0)


class _Part:
    """Some of the rows, side by side in memory, and which of them are active."""

    def __init__(self, rows, index, k, s, g, norm):
        self.rows = rows
        self.index = index  # in the whole
        self.k, self.s, self.g, self.norm = k, s, g, norm
        self.active = np.arange(len(index))

    def take(self, where):
        """Some rows of the part."""
        arrays = (self.index, self.k, self.s, self.g, self.norm)
        return _Part(take_rows(self.rows, where), *(a[where] for a in arrays))


class Dual:
    """State of the dual problem, in raw coordinates (centred, if X is dense)."""

    def __init__(self, objective, start):
        self.objective = objective
        rows = objective.rows
        self.n, d = rows.shape
        self.rows, self.shift = centred_rows(rows.X, rows.shift)
        self.s = objective.s.astype(np.float64)
        self.norm = squared_norms(self.rows, np.arange(self.n), np.zeros(d))
        self.norm /= objective.alpha
        # As if intercepts were coefficients of a feature a tenth the size of a typical row.
        size = float(np.mean(self.norm))
        self.inverse_rho = (0.01 * size or 1.0) if objective.fit_intercept else 0.0
        self.norm += self.inverse_rho
        np.maximum(self.norm, 1e-20 * (size or 1.0), out=self.norm)
        w, b = objective.to_coef(start)
        self.multiplier = np.broadcast_to(b, objective.n_outputs) + w @ self.shift
        self.g = np.zeros((self.n, objective.n_outputs))
        self.refresh()
        self.certain = np.inf
        self.unbalance = np.inf

    def refresh(self):
        """Undo the rounding errors of thousands of updates."""
        self.W, self.sum = self._coefficients(self.g), self.g.sum(axis=0)

    def _coefficients(self, g):
        """Raw coefficients W = −gᵀX/alpha, in the layout of the kernels."""
        rows = self.objective.rows
        projected, total = rows.backproject(g.astype(rows.dtype, copy=False))
        raw = projected * rows.scale + np.multiply.outer(total, rows.shift - self.shift)
        return np.ascontiguousarray(coefficient_layout(self.rows, raw) / -self.objective.alpha)

    def part(self, index):
        """The rows to work on, side by side."""
        whole = _Part(self.rows, np.arange(self.n), self.objective.y, self.s, self.g, self.norm)
        if len(index) < COMPACT * self.n:
            return whole.take(index)
        whole.active = index
        return whole

    def store(self, part):
        """Take over the slopes of a part."""
        self.g[part.index] = part.g
        self.refresh()

    def epoch(self, part, rng, shrinking):
        """One pass over the active rows of a part; the part to go on with."""
        order = rng.permutation(-(-len(part.active) // RUN))
        keep = np.empty(len(part.active), np.bool_)
        worst = _epoch(
            self.objective.loss, part.rows, part.active, order, keep, part.k, part.s, part.g,
            part.norm, self.W, self.multiplier, self.sum, 1.0 / self.objective.alpha,
            self.inverse_rho, self.certain if shrinking else np.inf,
            np.uint32(rng.randint(1, 2**31)),
        )  # fmt: skip
        self.multiplier = self.multiplier - self.inverse_rho * self.sum
        hasten(self, part, part.g, worst)
        self.certain = worst if worst > 0 else np.inf
        part.active = part.active[keep]
        if len(part.active) < COMPACT * len(part.index):
            self.g[part.index] = part.g
            part = part.take(part.active)
        return part, worst

    def unsettled(self, point, index):
        """Rows to work on next: all but those that stay where they are wherever scores go by as
        much as any row is off."""
        excess = point.excess[index]
        worst = excess.max(initial=0.0)
        self.certain = worst if worst > 0 else np.inf
        return index[excess >= -self.certain]

    def certify(self):
        """A primal point from slopes made feasible, and its duality gap.

        Since W = −gᵀX/alpha, F − D = Σ [s_i ℓ(z_i) + s_i ℓ*(g_i/s_i) − g_i·z_i]: a sum of terms
        that are not negative.
        """
        objective, g, W = self.objective, self.g, self.W
        feasible, b = True, 0.0
        if objective.fit_intercept:
            g, feasible = self._balanced()
            W = self._coefficients(g)
            b = self.multiplier - self.inverse_rho * self.sum
        w = coefficient_layout(self.rows, W)
        params = objective.from_coef(w, b - w @ self.shift)
        return self._certificate(params, g, feasible)

    def certify_at(self, params):
        """As ``certify``, with the intercepts of ``params``."""
        objective, g, feasible = self.objective, self.g, True
        if objective.fit_intercept:
            g, feasible = self._balanced()
        W = self._coefficients(g)
        w = coefficient_layout(self.rows, W)
        u, _ = objective.split(objective.from_coef(w))
        return self._certificate(objective.join(u, objective.split(params)[1]), g, feasible)

    def _certificate(self, params, g, feasible):
        objective = self.objective
        z = objective.by_row(objective.scores(params))
        excess = np.empty(self.n)
        value, gap = _certify(objective.loss, objective.y, z, g, self.s, self.norm, excess)
        value += objective.penalty.value(objective.split(params)[0])
        return Certificate(params, value, gap if feasible else np.inf, excess)

    def _balanced(self):
        """Slopes near ``g`` that sum to zero, and whether they were found."""
        g, loss, y, s = self.g, self.objective.loss, self.objective.y, self.s
        size = np.abs(g).sum()
        for _ in range(3):  # the last for rounding errors
            total = g.sum(axis=0)
            if np.abs(total).max() <= 1e-15 * size:
                break
            flow = np.zeros((len(total), len(total)))
            _add_flows(loss, y, g, s, flow)
            v = np.linalg.lstsq(flow, total, rcond=1e-12)[0]
            if np.ptp(v) > 1.0:
                return self.g, False
            before, g = g, np.empty_like(g)
            _follow_flow(loss, y, before, s, v, g)
        return g, bool(np.abs(g.sum(axis=0)).max() <= 1e-12 * size)


@kernel(fastmath=REASSOCIATE)
def _epoch(
    loss, rows, active, order, keep, k, s, g, norm, W, multiplier, total, inverse_alpha,
    inverse_rho, certain, seed,
):  # fmt: skip
    """Exact minimisation over the slopes of each active row; ``keep`` marks the rows that stay
    active. Returns by how much the worst row missed its optimum."""
    worst = 0.0
    m, n_outputs = active.shape[0], g.shape[1]
    run, state = np.empty(RUN, np.int64), np.uint32(seed)
    z, new, x = np.empty(n_outputs), np.empty(n_outputs), np.empty(max(W.shape[0], W.shape[1]))
    x = x[: W.shape[1]]
    for block in range(order.shape[0]):
        first = order[block] * RUN
        size = min(RUN, m - first)
        state = shuffle_run(run, first, size, state)
        for visit in range(size):
            i = active[run[visit]]
            row_scores(rows, i, W, x, z)
            if inverse_rho > 0.0:
                for c in range(n_outputs):
                    z[c] += multiplier[c] - inverse_rho * total[c]
            excess = loss.dual_step(k[i], z, g[i], s[i], norm[i], new)
            keep[run[visit]] = excess >= -certain
            if excess > 0.0:
                worst = max(worst, excess)
                for c in range(n_outputs):
                    z[c] = new[c] - g[i, c]
                    g[i, c] = new[c]
                    total[c] += z[c]
                    z[c] *= -inverse_alpha
                row_update(rows, i, x, z, W)
    return worst


@kernel
def _certify(loss, k, z, g, s, norm, excess):
    """Weighted sum of losses, gap, and ``excess`` of each row."""
    value, gap = 0.0, 0.0
    scratch = np.empty(z.shape[1])
    for i in range(z.shape[0]):
        excess[i] = -np.inf
        if s[i] > 0.0:
            value += s[i] * loss.sample_value(k[i], z[i])
            gap += loss.dual_gap(k[i], z[i], g[i], s[i])
            excess[i] = loss.dual_step(k[i], z[i], g[i], s[i], norm[i], scratch)
    return value, gap


@kernel
def _add_flows(loss, k, g, s, flow):
    n_outputs = g.shape[1]
    probe, out = np.zeros(n_outputs), np.empty(n_outputs)
    for i in range(g.shape[0]):
        if s[i] > 0.0:
            for c in range(n_outputs):
                probe[c] = 1.0
                loss.dual_flow(k[i], g[i], s[i], probe, out)
                probe[c] = 0.0
                for a in range(n_outputs):
                    flow[c, a] += out[a]


@kernel
def _follow_flow(loss, k, g, s, v, out):
    for i in range(g.shape[0]):
        out[i] = g[i]
        if s[i] > 0.0:
            loss.dual_flow(k[i], g[i], s[i], v, out[i])
            for c in range(g.shape[1]):
                out[i, c] = g[i, c] - out[i, c]
