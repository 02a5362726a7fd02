"""Fits near a known solution, of losses that are piecewise linear: few rows can change their piece.

Where a loss is linear in label and score, rows are as good as their weighted mean. So rows that are
far from a kink, for the fit at hand, become one row for each piece, and the problem that is left
has some √(n p) rows. It has the minimum of the whole one if no row that was averaged has changed
its piece there; those that have are then kept, and it is solved again [1]_ [2]_.

.. [1] Portnoy & Koenker, "The Gaussian hare and the Laplacian tortoise", Statistical Science 12,
   1997.
.. [2] Chernozhukov, Fernández-Val & Melly, "Fast algorithms for the quantile regression process",
   Empirical Economics 62, 2022.
"""

import numpy as np
import scipy.sparse as sp

from sklearn_margin.losses.pointwise import BinaryLoss, RegressionLoss
from sklearn_margin.objective import PointwiseObjective

__all__ = ["FarRows"]

_KEPT = 4.0  # times √(n p): rows within some 4 standard errors of their scores, or more
_MOST_TRIES = 6


class FarRows:
    """What is known of a problem at its solution; ``of`` gives none where it is of no use.

    Parameters
    ----------
    objective : PointwiseObjective
    params : ndarray of shape (n_params,)
        Its solution.
    size : int
        Rows to keep.
    """

    def __init__(self, objective, params, size):
        self.params = params
        z = objective.scores(params)
        self.terms = objective.loss.piecewise_linear(objective.y)
        self.piece = self._pieces(z)
        if isinstance(objective.loss, BinaryLoss):
            self.label = (objective.y > 0).astype(int)
        else:
            self.label = np.zeros(len(z), dtype=int)
        n_labels, n_pieces = 2, 2 ** len(self.terms)
        self.code, self.n_codes = self.label * n_pieces + self.piece, n_labels * n_pieces
        distance = np.min([np.abs(z - kink) for kink, _, _ in self.terms], axis=0)
        near = np.argpartition(distance / _lengths(objective), size - 1)[:size]
        self.near = np.zeros(len(z), dtype=bool)
        self.near[near] = True

    @classmethod
    def of(cls, objective, params):
        """What is known, or None if the loss is not piecewise linear or the rows are few."""
        plain = type(objective) is PointwiseObjective
        if not plain or not isinstance(objective.loss, (BinaryLoss, RegressionLoss)):
            return None
        size = int(_KEPT * np.sqrt(len(objective.y) * objective.n_params))
        if 2 * size >= len(objective.y) or objective.loss.piecewise_linear(objective.y[:1]) is None:
            return None
        return cls(objective, params, size)

    def solve(self, objective, solver):
        """Parameters at the minimum of an objective that differs in its weights only.

        Parameters
        ----------
        objective : PointwiseObjective
        solver : callable
            ``solver(objective, start)`` gives them, if slowly.
        """
        kept, start = self.near.copy(), self.params
        for _ in range(_MOST_TRIES):
            start = solver(self._smaller(objective, kept), start)
            moved = (
                (self._pieces(objective.scores(start)) != self.piece) & ~kept & (objective.s > 0)
            )
            if not moved.any():
                return start
            kept |= moved
        return solver(objective, start)

    def _pieces(self, z):
        """Number of the piece of the loss that each score is on."""
        return sum((z > kink).astype(int) << k for k, (kink, _, _) in enumerate(self.terms))

    def _smaller(self, objective, kept):
        """The objective with means in place of rows that are not kept."""
        s = np.where(kept, 0.0, objective.s)
        weight = np.bincount(self.code, s, self.n_codes)
        used = np.flatnonzero(weight)
        share = sp.csr_array((s, (self.code, np.arange(len(s)))), shape=(self.n_codes, len(s)))
        share = share[used] / weight[used][:, None]
        X = objective.rows.X
        parts = [X[kept], share @ X]
        X = sp.csr_array(sp.vstack(parts)) if sp.issparse(X) else np.vstack(parts)
        return objective.placed(
            rows=objective.rows.like(X),
            y=np.append(objective.y[kept], share @ objective.y),
            s=np.append(objective.s[kept], weight[used]),
            shared=None,
        )


def _lengths(objective):
    """Norms of rows in standardised coordinates, with the intercept."""
    rows = objective.rows
    squares = np.full(rows.shape[0], float(objective.fit_intercept))
    for where, B in rows.blocks:
        if rows.is_sparse:
            scaled = B.multiply(1.0 / rows.scale)
            squares[where] += (scaled.multiply(scaled)).sum(axis=1)
        else:
            squares[where] += np.sum(rows.dense(where) ** 2, axis=1)
    return np.sqrt(np.maximum(squares, np.finfo(float).tiny))
