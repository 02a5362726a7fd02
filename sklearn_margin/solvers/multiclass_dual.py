"""Block coordinate descent on the dual of multiclass hinge losses."""

from typing import NamedTuple

import numpy as np

from sklearn_margin.objective.row_kernels import coefficient_layout
from sklearn_margin.solvers._descent import Certificate, Dual
from sklearn_margin.solvers._dual_kernels import (
    add_flows,
    certify_classes,
    follow_flow,
    visit_classes,
)

__all__ = ["ClassDual"]


class _Labels(NamedTuple):
    """What there is by row: classes, weights and offsets."""

    k: np.ndarray  # (n,)
    s: np.ndarray  # (n,)
    norm: np.ndarray  # (n,)
    offset: np.ndarray  # (n, n_outputs), or (n, 0)


class ClassDual(Dual):
    """State of the dual problem of several scores; slopes g have shape (n, n_outputs).

    With a slope g_i, a subgradient of s_i ℓ(k_i, ·), for each row the dual problem is

        min over g of  ‖Σ g_i x_iᵀ‖² / (2 alpha) + Σ s_i ℓ*(g_i/s_i),   W = −Σ g_i x_iᵀ / alpha,

    with Σ g_i = 0 if there are intercepts, and less Σ g_i·o_i if there is an offset o. All slopes
    of one row are optimised at a time: the loss knows how.
    """

    least_norm = 1e-20

    def __init__(self, objective, start):
        super().__init__(objective, start)
        s, offset = objective.s.astype(np.float64), objective.offsets_for_kernels()
        self.arrays = _Labels(objective.y, s, self.norm, offset)
        self.slopes = np.zeros((self.n, objective.n_outputs))
        self.refresh()
        self.threshold = np.inf

    def at(self, index):
        return index

    def by_score(self, slopes):
        return slopes

    def sum(self, slopes):
        return slopes.sum(axis=0)

    def visit(self, part, order, keep, shrinking, seed):
        worst = visit_classes(
            self.objective.loss, part.rows, part.active, order, keep, part.arrays, part.slopes,
            self.state, self.threshold if shrinking else np.inf, seed,
        )  # fmt: skip
        self.threshold = worst if worst > 0 else np.inf
        return worst

    def unsettled(self, point, index):
        """Rows to work on next: all but those that stay where they are wherever scores go by as
        much as any row misses its optimum."""
        excess = point.by_row[index]
        worst = excess.max(initial=0.0)
        self.threshold = worst if worst > 0 else np.inf
        return index[excess >= -self.threshold]

    def certificate(self, slopes, coef, feasible):
        """A primal point, and its duality gap.

        Since W = −gᵀX/alpha, F − D = Σ [s_i ℓ(z_i) + s_i ℓ*(g_i/s_i) − g_i·z_i]: a sum of terms
        that are not negative.
        """
        w = coefficient_layout(self.rows, coef)
        b = self.intercept if self.objective.fit_intercept else 0.0
        return self._at(self.objective.from_coef(w, b - w @ self.shift), slopes, feasible)

    def certify_at(self, params):
        """As ``certify``, with the intercepts of ``params``."""
        objective, (g, feasible) = self.objective, self.feasible()
        w = coefficient_layout(self.rows, self.coefficients(g))
        u, _ = objective.split(objective.from_coef(w))
        return self._at(objective.join(u, objective.split(params)[1]), g, feasible)

    def _at(self, params, g, feasible):
        objective, (k, s, norm, _) = self.objective, self.arrays
        z = objective.scores(params)
        excess = np.empty(self.n)
        value, gap = certify_classes(objective.loss, k, z, g, s, norm, excess)
        value += objective.penalty.value(objective.split(params)[0])
        gap = gap if feasible else np.inf
        # These losses are not negative. The difference of large numbers is rounding error.
        lower = max(value - gap - 16 * 2.0**-52 * abs(value), 0.0)
        return Certificate(params, value, lower, excess, gap=gap)

    def balanced(self):
        g, loss, (k, s, *_) = self.slopes, self.objective.loss, self.arrays
        size = np.abs(g).sum()
        for _ in range(3):  # the last for rounding errors
            total = g.sum(axis=0)
            if np.abs(total).max() <= 1e-15 * size:
                break
            flow = np.zeros((len(total), len(total)))
            add_flows(loss, k, g, s, flow)
            v = np.linalg.lstsq(flow, total, rcond=1e-12)[0]
            if np.ptp(v) > 1.0:
                return self.slopes, False
            before, g = g, np.empty_like(g)
            follow_flow(loss, k, before, s, v, g)
        return g, bool(np.abs(g.sum(axis=0)).max() <= 1e-12 * size)
