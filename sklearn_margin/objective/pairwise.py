"""Objectives whose loss is a weighted mean over ordered pairs of rows in a group."""

from typing import NamedTuple

import numpy as np

from sklearn_margin.losses._pairs import PairIndex
from sklearn_margin.losses.pairwise import PairwiseHinge
from sklearn_margin.objective.base import LinearObjective

__all__ = ["PairwiseObjective"]


class _PairCurvature(NamedTuple):
    """Derivatives of L at a score vector; the Hessian is a product."""

    value: float
    gradient: np.ndarray
    z: np.ndarray
    objective: "PairwiseObjective"

    def product(self, v):
        """Hessian times ``v``."""
        objective = self.objective
        out = np.empty(len(v))
        objective.pairs.hessian_product(objective.loss, self.z, v, out, objective.rows.run)
        return out.astype(v.dtype, copy=False)


class PairwiseObjective(LinearObjective):
    """L(z) = Σ u_ij φ(z_i − z_j) / Σ u_ij over pairs with y_i > y_j in one group.

    Parameters
    ----------
    loss : PairwiseLoss
    rows : Rows
    y : ndarray of shape (n,)
        Relevance.
    s : ndarray of shape (n,)
        Non-negative weights.
    groups : ndarray of int of shape (n,) or None
        Group of each row.
    alpha, l1_ratio
        As in ``LinearObjective``; scores have no intercept.
    """

    def __init__(self, loss, rows, y, s, groups=None, **settings):
        super().__init__(loss, rows, **settings)
        self.y, self.s, self.groups = y, s, groups
        self.pairs = PairIndex(y, groups, s, loss.pair_weighting)

    def score_value(self, z):
        return self.score_gradient(z, np.empty_like(z))

    def score_gradient(self, z, out):
        if out.dtype == np.float64:
            return self.pairs.value_gradient(self.loss, z, out, self.rows.run)
        wide = np.empty(len(z))
        value = self.pairs.value_gradient(self.loss, z, wide, self.rows.run)
        out[:] = wide
        return value

    def curvature(self, z, cautious=False):
        g = np.empty_like(z)
        return _PairCurvature(self.score_gradient(z, g), g, z.copy(), self)

    def sample_gram(self):
        """Gram matrix of some rows, centred within groups: the shape of the Hessian, roughly.

        Returns
        -------
        ndarray of shape (n_params, n_params), or None if there are too many features
        """
        n, d = self.rows.shape
        if d > 1500:
            return None
        wanted = min(n, 20 * d, 20_000_000 // d)
        order, starts = self.pairs.layout.order, self.pairs.group_start
        random_state = np.random.RandomState(0)
        if wanted >= len(order):
            chosen = np.arange(len(starts) - 1)
        else:
            shuffled = random_state.permutation(len(starts) - 1)
            until = np.cumsum(np.diff(starts)[shuffled])
            chosen = np.sort(shuffled[: np.searchsorted(until, wanted) + 1])
        parts = [order[a:b] for a, b in zip(starts[chosen], starts[chosen + 1], strict=True)]
        if len(parts) == 1 and len(parts[0]) > wanted:  # one large group: some of its rows
            parts = [random_state.choice(parts[0], wanted, replace=False)]
        X = self.rows.dense(np.concatenate(parts))
        sizes = np.array([len(part) for part in parts])
        first = np.cumsum(sizes) - sizes
        X -= np.repeat(np.add.reduceat(X, first) / sizes[:, None], sizes, axis=0)
        return X.T @ X / len(X)

    draws_samples = True

    def draw(self, random_state, limit=None):
        layout = self.pairs.layout
        lowest, worse = self.pairs.positions
        n = len(layout.y) if limit is None else min(limit, len(layout.y))
        if self.pairs.n_pairs == 0:
            empty = np.empty(0, np.int64)
            return empty, empty, np.empty(0), np.empty(0)
        # A better row with probability proportional to the pairs it wins, then a worse one.
        until = np.cumsum(worse)
        better = np.searchsorted(until, random_state.uniform(0, until[-1], n), side="right")
        offset = (random_state.uniform(size=n) * worse[better]).astype(np.int64)
        other = lowest[better] + np.minimum(offset, worse[better] - 1)
        weights = layout.s[better] * layout.s[other]
        if layout.difference:
            weights *= layout.y[better] - layout.y[other]
        weights *= self.pairs.n_pairs / self.pairs.total
        return layout.order[better], layout.order[other], np.zeros(n), weights

    def envelope_gain(self, z, g, value):
        # With slopes t ≤ 0 of pairs: L_w = Σ u_ij (t d − margin t − w t²/2), Σ u_ij t d = g·z, and
        # the sum of the slopes is a difference of hinges, for t = ([m − w − d]₊ − [m − d]₊) / w.
        loss, width = self.loss, self.loss.envelope_width
        far = [
            self.with_loss(PairwiseHinge(margin, loss.weighting)).score_value(z)
            for margin in (loss.margin - width, loss.margin)
        ]
        slopes = (far[0] - far[1]) / width
        return max(float(g @ z) - loss.margin * slopes - value, 0.0)

    def sample(self, size, random_state):
        """The objective of some groups (rows, if there is one), drawn at random."""
        return self.split_rows(size / len(self.y), random_state)[1]

    def split_rows(self, fraction, random_state):
        """Objectives of a random part of the groups (rows, if there is one), and of the rest."""
        units = np.arange(len(self.y)) if self.groups is None else self.groups
        labels = np.unique(units)
        if len(labels) == 1:
            units = labels = np.arange(len(self.y))
        held = random_state.permutation(labels)[: max(1, round(fraction * len(labels)))]
        mask = np.isin(units, held)
        return self.take(np.flatnonzero(~mask)), self.take(np.flatnonzero(mask))

    def take(self, index):
        """The objective of some of the rows, in the same coordinates."""
        groups = None if self.groups is None else self.groups[index]
        return type(self)(
            self.loss, self.rows.take(index), self.y[index], self.s[index], groups,
            alpha=self.alpha, l1_ratio=self.l1_ratio,
        )  # fmt: skip
