"""Pairwise hinge losses of a small problem, pair by pair."""

import numpy as np

from sklearn_margin.solvers._small_hinges import SmallHinges

__all__ = ["PairHinges"]


class PairHinges(SmallHinges):
    """Hinges [margin − d]₊ of differences of scores, one for each pair.

    Parameters
    ----------
    objective : PairwiseObjective
        Its loss has a ``hinge_shape``; there are pairs.
    dtype : dtype
        What is computed in.
    """

    def __init__(self, objective, dtype=np.float64):
        better, worse, weight = objective.pairs.listed()
        super().__init__(objective, dtype, better, worse)
        self.s = weight.astype(dtype)
        self.s /= self.s.sum()
        kink = np.full((self.n, 1), -self.margin, dtype)
        if objective.offset is not None:
            offset = objective.offset.astype(dtype)
            self.offset = (offset[better] - offset[worse])[:, None]
            kink += self.offset
        self._set_terms(kink, self.s[:, None])

    def differences(self, x):
        return -(self.X @ x)[:, None]

    def margins(self, x):
        return self.margins_of(self.X @ x)

    def margins_of(self, z):
        return self.margin - (z[:, None] + self.offset)

    def losses(self, t):
        return np.maximum(t[:, 0], 0.0)

    def loss_gap(self, p, t, losses):
        return np.where(t > 0, (self.s[:, None] - p) * t, -p * t).sum()

    def slopes(self, p):
        return -p

    def matrix(self, h):
        X = self.X.astype(h.dtype, copy=False)
        return (X * h).T @ X

    def feasible(self, p):
        return np.clip(p, 0.0, self.s[:, None])

    def free(self, p):
        return p * (1.0 - p / self.s[:, None])

    def moved(self, p, change):
        longest = np.abs(change).max(initial=0.0)
        return p - self.free(p) * (change * min(1.0, 0.9 / max(longest, 1e-300)))
