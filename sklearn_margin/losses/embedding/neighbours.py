"""Loss of embeddings by who the neighbours of a row are: neighbourhood components analysis."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_margin._jit import REASSOCIATE, kernel
from sklearn_margin._typing import Array
from sklearn_margin.losses._exp import exp_negative
from sklearn_margin.losses.embedding.base import EmbeddingLoss
from sklearn_margin.losses.embedding.geometry import squared_distances, through_distances

__all__ = ["NCA"]


class NCA(EmbeddingLoss):
    r"""Neighbourhood components analysis: the error of a nearest neighbour drawn at random [1]_.

    Row i takes row j for its neighbour with probability p_ij ∝ e^{−D(i,j)²}, j ≠ i. The loss is the
    mean of 1 − p_i, p_i = Σ p_ij over the rows j of its label, over all i that are not alone. By
    D(i,j)² its derivative is the mean of p_ij ([label(i) = label(j)] − p_i). The scale of an
    embedding decides how many neighbours count, and is learned with it.

    Notes
    -----
    .. math::

        \ell(i) = 1 - \sum_{j:\, y_j = y_i} p_{ij}, \qquad p_{ij} = \frac{e^{-D(i,
        j)^2}}{\sum_{k \ne i} e^{-D(i, k)^2}}

    References
    ----------
    .. [1] Goldberger, Roweis, Hinton & Salakhutdinov, "Neighbourhood components analysis",
       NeurIPS 2004.

    Examples
    --------
    >>> from sklearn_margin.losses import NCA
    >>> round(NCA().value([0, 0, 1], [[0.0], [1.0], [1.0]]), 4)  # row 1: e⁻¹ / (e⁻¹ + 1), row 0: ½
    0.6155
    """

    nonnegative = True

    def batch_value_gradient(self, labels: Array, Z: Array, s: Array) -> tuple[Any, ...]:
        D, C = squared_distances(Z)
        slope = np.zeros_like(D)
        value = _neighbours(D, labels, s, slope)
        return value, through_distances(slope + slope.T, C)


@kernel(fastmath=REASSOCIATE)
def _neighbours(D, labels, s, slope):
    """The loss at squared distances D; its derivatives by ordered pair go to ``slope``."""
    n = D.shape[0]
    total, mass, weight = 0.0, 0.0, np.empty(n)
    for i in range(n):
        copies = max(s[i] - 1.0, 0.0)  # of the row itself, at distance 0
        least = 0.0 if copies > 0.0 else np.inf
        for j in range(n):
            least = min(least, D[i, j] if j != i else np.inf)
        if least == np.inf:
            least = 0.0
        for j in range(n):
            weight[j] = s[j] * exp_negative(min(least - D[i, j], 0.0))
        weight[i] = copies * exp_negative(least)
        own, every, mates = 0.0, 0.0, copies
        for j in range(n):
            same = labels[j] == labels[i]
            own += weight[j] if same else 0.0
            every += weight[j]
            mates += s[j] if same and j != i else 0.0
        if mates > 0.0 and every > 0.0:
            p = own / every
            mass += s[i]
            total += s[i] * (1.0 - p)
            for j in range(n):
                same = labels[j] == labels[i]
                slope[i, j] = (s[i] / every) * weight[j] * ((1.0 if same else 0.0) - p)
            slope[i, i] = 0.0
    if mass == 0.0:
        return 0.0
    for i in range(n):
        for j in range(n):
            slope[i, j] /= mass
    return total / mass
