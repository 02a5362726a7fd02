"""Objectives whose loss is a weighted mean over lists, the rows of a group."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from sklearn_margin.objective.pairwise import PairwiseObjective

__all__ = ["ListwiseObjective"]

_ROW = 10.0  # work on a row, in terms of an entry of X


class _ListCurvature(NamedTuple):
    """Derivatives of L at a score vector; the Hessian is w (diag(q) − q qᵀ) by list."""

    value: float
    gradient: np.ndarray
    softmax: np.ndarray  # q, by position
    objective: "ListwiseObjective"

    def product(self, v):
        """Hessian times ``v``."""
        out = np.empty_like(v)
        self.objective.pairs.product(self.softmax, v, out, self.objective.run)
        return out


class ListwiseObjective(PairwiseObjective):
    """L(z) = −Σ_g s_g Σ_i p_i log q_i / Σ_g s_g, with q the softmax of the scores of a list.

    Parameters
    ----------
    loss : ListwiseSoftmax
    rows, y, s, groups, **settings
        As of ``PairwiseObjective``, of which it has the samples, too: whole lists.
    """

    draws_samples = False
    extra_work = _ROW
    #: Of a sample of lists, the share of the weights, which is not known.
    share = None

    @property
    def why_no_rows(self):
        return f"the loss {type(self.loss).__name__} is one of whole lists, not of rows or pairs"

    def curvature(self, z, cautious=False):
        gradient = np.empty_like(z)
        value, q = self.pairs.softmax(z, gradient, self.run)
        return _ListCurvature(value, gradient, q, self)

    def score_gradient(self, z, out):
        return self.pairs.softmax(z, out, self.run)[0]

    forms_hessian = True

    def loss_gradient_hessian(self, curvature):
        """That of a list is w (Σ_i q_i x̃_i x̃_iᵀ − m mᵀ), with the mean m = Σ_i q_i x̃_i."""
        pairs, q, rows = self.pairs, curvature.softmax, self.rows
        weight = pairs.weight / (pairs.total or 1.0)
        h = np.zeros_like(curvature.gradient)
        h[pairs.layout.order] = q * np.repeat(weight, np.diff(pairs.group_start))
        hessian, _, _, projected, total = rows.gram(h, curvature.gradient)
        mean = sp.csr_array(
            (q.astype(rows.dtype), pairs.layout.order, pairs.group_start), (len(weight), len(h))
        )
        means = mean @ rows.X
        means = (means.toarray() if sp.issparse(means) else means) - rows.shift
        means *= np.sqrt(weight)[:, None] / rows.scale
        return self.join(projected.ravel(), total), hessian - means.T @ means

    @property
    def foresees(self):
        return self.has_gap

    def foreseen(self, z, dz, there):
        if not self.foresees:
            return np.inf
        q, q_there = (self.pairs.softmax(x, np.empty_like(z), self.run)[1] for x in (z, there))
        return self.pairs.foreseen(q, dz, q_there, self.run)
