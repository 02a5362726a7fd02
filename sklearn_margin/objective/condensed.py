r"""Rows of a squared loss, condensed: as few of them as there are columns say the same.

With the weighted means x̄, ȳ (zero without an intercept) and the best intercept b = ȳ − x̄·u,
L(u) = Σ s_i (y_i − x_i·u − b)² = (−u, 1) M (−u, 1)ᵀ, where M is the matrix of weighted products
of the columns of [X̃, y] about their means. For any factor M = RᵀR, L is the squared loss of the
d + 1 rows of R. So after one read of X each penalty is a problem of d + 1 rows.

Rounding errors E of M are what a certificate must allow for. A sum of n products, of blocks of k
rows, and then over blocks, has \|E_ij\| ≤ η √(M_ii M_jj) with η of the order of (k + blocks)·eps
(Higham, "Accuracy and Stability of Numerical Algorithms", 2002, chapter 3); what R adds is
measured. The gap at u is a function of v = X̃ᵀg and of L at all rows, which are those of R but for
2 \|E (−u, 1)\| and \|(−u, 1) E (−u, 1)\|. Where L itself is no larger than these, as in a perfect
fit, R does not know it.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dpstrf

from sklearn_margin.objective.pointwise import PointwiseObjective
from sklearn_margin.objective.rows import Rows

__all__ = ["Condensed", "condense"]


class Condensed(NamedTuple):
    """The squared loss of an objective by rows of R.

    Parameters
    ----------
    objective : CondensedRows
        Without an intercept.
    centre : ndarray of shape (d,), middle : float
        x̄ and ȳ; zero without an intercept.
    """

    objective: PointwiseObjective
    centre: np.ndarray
    middle: float

    def params(self, whole, u) -> np.ndarray:
        """Parameters of the whole objective for coordinates ``u``."""
        return whole.join(u, self.middle - float(self.centre @ u))


class CondensedRows(PointwiseObjective):
    """The squared loss of rows that stand for others; its gap holds for those.

    Attributes
    ----------
    error : float
        η, of R, too.
    sizes : ndarray of shape (d + 1,)
        √M_jj about the pilot means, of the columns of X̃ and of y.
    hessian : ndarray of shape (d, d)
        Of L, which is the same everywhere.
    """

    error: float
    sizes: np.ndarray
    hessian: np.ndarray

    def doubt(self, u) -> tuple[np.ndarray, float]:
        """By how much entries of X̃ᵀg may be off, and L."""
        total = float(np.abs(u) @ self.sizes[:-1]) + self.sizes[-1]
        return 2 * self.error * total * self.sizes[:-1], self.error * total * total

    def gap(self, params, gradient, slopes, loss):
        if not self.has_gap:
            return None
        slack, more = self.doubt(params)
        if self.penalty.loose is not None:
            slack[self.penalty.loose] = 0.0
        slope = self.without_rounding(gradient, slopes)
        gap = self.penalty_gap(params, slope, slack, loss + more)
        return min(gap, loss + more + self.penalty.value(params))

    def loss_gradient_hessian(self, curvature):
        return self.loss_gradient(curvature.gradient), self.hessian.copy()

    def refined_gap(self, params):
        return np.inf  # it would be that of these rows


def condense(objective) -> Condensed:
    """Condense the rows of an objective with the squared loss: one read of X.

    Parameters
    ----------
    objective : PointwiseObjective
        With few features.

    Returns
    -------
    Condensed
    """
    rows, cancellation = objective.rows.precisely()
    s, y = objective.s.astype(np.float64), objective.y.astype(np.float64)
    pilot = float(y.mean()) if objective.fit_intercept else 0.0
    y = y - pilot
    gram, sums, total, products, y_sum = rows.gram(s, s * y)
    M = np.block([[gram, products[:, None]], [products, float(s @ (y * y))]])
    sizes = np.sqrt(M.diagonal())
    means = np.zeros(len(M))
    if objective.fit_intercept:
        means = np.append(sums, y_sum) / total
        M -= np.outer(means, total * means)
    R, rest = _factor(M)
    longest = max(where.stop - where.start for where, _ in rows.blocks)
    error = np.finfo(np.float64).eps * (longest + len(rows.blocks) + 16) * cancellation + rest
    m = len(R)
    R *= np.sqrt(m)  # columns of root mean square 1
    X = np.ascontiguousarray(R[:, :-1])
    unit = Rows(X, center=False).in_coordinates(np.zeros(m - 1), np.ones(m - 1))
    new = CondensedRows(objective.loss, unit, R[:, -1].copy(), np.full(m, 1.0 / m))
    new.error, new.sizes, new.hessian = error, sizes, 2 * M[:-1, :-1]
    return Condensed(new.sharing(), means[:-1], pilot + float(means[-1]))


def _factor(M):
    """R with RᵀR about M, which is positive semi-definite but for rounding errors, and the largest
    error of an entry beside a unit diagonal: by Cholesky's method with pivots."""
    size = np.sqrt(np.maximum(M.diagonal(), 0.0))
    inverse = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    unit = (M * inverse) * inverse[:, None]
    U, pivots, rank, _ = dpstrf(unit)
    U = np.triu(U)
    U[rank:] = 0.0
    R = np.empty_like(U)
    R[:, pivots - 1] = U
    return R * size, float(np.abs(R.T @ R - unit).max())
