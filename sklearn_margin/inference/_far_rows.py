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

from sklearn_margin.inference._vertices import descend, first_basis
from sklearn_margin.losses.pointwise import BinaryLoss, RegressionLoss
from sklearn_margin.objective import PointwiseObjective

__all__ = ["FarRows"]

_KEPT = 3.0  # times √(n p): rows within some 3 standard errors of their scores
_MOST_TRIES = 6


class FarRows:
    """What is known of a problem at its solution.

    Parameters
    ----------
    objective : PointwiseObjective
        Of a loss that is piecewise linear in label and score.
    params : ndarray of shape (n_params,)
        Its solution.
    """

    def __init__(self, objective, params):
        self.params = params
        z = objective.scores(params)
        self.terms = objective.loss.piecewise_linear(objective.y)
        self.piece = self._pieces(z)
        positive = (objective.y > 0) & isinstance(objective.loss, BinaryLoss)
        self.n_codes = 2 * 2 ** len(self.terms)
        self.code = 2 * self.piece + positive
        n, p = len(z), objective.n_params
        size = min(int(_KEPT * np.sqrt(n * p)), n)
        self.near = np.ones(n, dtype=bool)
        if 2 * size < n:
            distance = np.min([np.abs(z - kink) for kink, _, _ in self.terms], axis=0)
            self.near[np.argpartition(distance / _lengths(objective), size)[size:]] = False
        self.basis = None
        if objective.penalty.is_zero and not objective.penalty.has_bounds:
            self.basis = self._first_basis(objective)

    @classmethod
    def of(cls, objective, params):
        """What is known, or None if the loss is not piecewise linear in label and score."""
        plain = type(objective) is PointwiseObjective
        if not plain or objective.offset is not None:
            return None
        if not isinstance(objective.loss, (BinaryLoss, RegressionLoss)):
            return None
        if objective.loss.piecewise_linear(objective.y[:1]) is None:
            return None
        return cls(objective, params)

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
            smaller = self._smaller(objective, kept)
            found = self._vertex(smaller, kept)
            start = solver(smaller, start) if found is None else found
            moved = (self._pieces(objective.scores(start)) != self.piece) & ~kept
            if not (moved & (objective.s > 0)).any():
                return start
            kept |= moved
        return solver(objective, start)

    def _first_basis(self, objective):
        """Terms and rows of a vertex near the solution; None if there is none."""
        rows = np.flatnonzero(self.near)
        Z = _with_ones(objective, rows)
        kink = np.concatenate([kink[rows] for kink, _, _ in self.terms])
        found = first_basis(np.tile(Z, (len(self.terms), 1)), kink, self.params)
        if found is None:
            return None
        term, place = np.divmod(found, len(rows))
        return term, rows[place]

    def _vertex(self, smaller, kept):
        """The minimum, from the vertex of the solution at hand; None if there is a penalty, or it
        was not found."""
        if self.basis is None:
            return None
        terms = smaller.loss.piecewise_linear(smaller.y)
        Z = np.tile(_with_ones(smaller, slice(None)), (len(terms), 1))
        kink, left, right = (np.concatenate(part) for part in zip(*terms, strict=True))
        s = np.tile(smaller.s, len(terms))
        term, row = self.basis
        basis = term * len(smaller.s) + np.searchsorted(np.flatnonzero(kept), row)
        return descend(Z, kink, s * left, s * (right - left), basis)

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


def _with_ones(objective, index):
    """Standardised rows, with a column of ones for the intercept."""
    Z = objective.rows.dense(index)
    return np.column_stack([Z, np.ones(len(Z))]) if objective.fit_intercept else Z


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
