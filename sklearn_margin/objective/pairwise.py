"""Objectives whose loss is a weighted mean over ordered pairs of rows in a group."""

from functools import cached_property

import numpy as np

from sklearn_margin.losses.pairs.base import EnvelopeGain
from sklearn_margin.losses.pairs.hinge import SmoothedPairwiseHinge
from sklearn_margin.losses.pairs.index import PairIndex
from sklearn_margin.objective.base import LinearObjective
from sklearn_margin.objective.row_access import Samples

__all__ = ["PairwiseObjective"]


class _PairCurvature:
    """Derivatives of L at a score vector, computed when asked for; the Hessian is a product."""

    def __init__(self, objective, z):
        self.objective, self.z = objective, z

    @property
    def value(self):
        """L."""
        return self._value_gradient[0]

    @property
    def gradient(self):
        """Derivative of L."""
        return self._value_gradient[1]

    @cached_property
    def _value_gradient(self):
        g = np.empty_like(self.z)
        return self.objective.score_gradient(self.z, g), g

    def product(self, v):
        """Hessian times ``v``."""
        objective = self.objective
        out = np.empty(len(v))
        objective.pairs.hessian_product(objective.loss, self.z, v, out, objective.run)
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
    penalty
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
            return self.pairs.value_gradient(self.loss, z, out, self.run)
        wide = np.empty(len(z))
        value = self.pairs.value_gradient(self.loss, z, wide, self.run)
        out[:] = wide
        return value

    def run(self, function, items):
        """As ``Rows.run``, of work on pairs."""
        return self.rows.run(function, items, work=len(self.y) * self.extra_work)

    @property
    def extra_work(self) -> float:
        """Work of a pass by row, besides products with X, in entries of X."""
        return self.loss.summation.work(self.pairs) / len(self.y)

    def curvature(self, z, cautious=False):
        return _PairCurvature(self, z)

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

    draws_samples = takes_samples = True

    def draw(self, random_state, limit=None):
        layout = self.pairs.layout
        lowest, worse = self.pairs.positions
        n = len(layout.y) if limit is None else min(limit, len(layout.y))
        if self.pairs.n_pairs == 0:
            empty = np.empty(0, np.int64)
            return Samples(empty, empty, np.empty(0), np.empty(0), np.empty((0, 0)))
        # Pairs with probability proportional to the product of their rows' weights: were the
        # weights factors of the slopes, one heavy pair would throw a run off its course.
        before = np.append(0.0, np.cumsum(layout.s))
        beaten = before[lowest + worse] - before[lowest]
        until = np.cumsum(layout.s * beaten)
        better = np.searchsorted(until, random_state.uniform(0, until[-1], n), side="right")
        better = np.minimum(better, np.flatnonzero(worse)[-1])
        drawn = before[lowest[better]] + random_state.uniform(size=n) * beaten[better]
        other = np.searchsorted(before, drawn, side="right") - 1
        other = np.clip(other, lowest[better], lowest[better] + worse[better] - 1)
        weights = np.full(n, until[-1] / self.pairs.total)
        if layout.difference:
            weights *= layout.y[better] - layout.y[other]
        first, second = (layout.order[places].astype(np.int64) for places in (better, other))
        offsets = self.offsets_for_kernels()
        return Samples(first, second, np.zeros(n), weights, offsets[first] - offsets[second])

    def envelope_excess(self, smooth, z):
        if self.pairs.n_pairs == 0 or self.pairs.total == 0:
            return 0.0, 0.0, np.zeros_like(z)
        if isinstance(smooth.loss, SmoothedPairwiseHinge):
            return self._excess_of_hinge(smooth, z)
        g = np.empty_like(z)
        loss, envelope = self.score_gradient(z, g), smooth.score_gradient(z, g)
        gain = self.with_loss(EnvelopeGain(smooth.loss, smooth.loss.envelope_width)).score_value(z)
        size = abs(loss) + abs(envelope) + gain
        rounding = 4.0 * np.finfo(np.float64).eps * np.sqrt(self.pairs.n_pairs) * size
        return loss, max(loss - envelope - gain, 0.0) + rounding, g

    def _excess_of_hinge(self, smooth, z):
        # With slopes t ≤ 0 of pairs: L_w = Σ u_ij (t d − margin t − w t²/2), Σ u_ij t d = g·z, and
        # the sum of the slopes is a difference of hinges, for t = ([m − w − d]₊ − [m − d]₊) / w.
        # L is a hinge, too, so all of it comes from one pass.
        g, wide = np.empty_like(z), np.empty(len(z))
        summation = smooth.loss.summation
        terms, sums = summation.terms, summation.means(self.pairs, z, wide, self.run)
        g[:] = wide
        loss, envelope = float(sums[0, 0]), float((terms[:, 1:] * sums).sum())
        slopes = (sums[1, 0] - sums[0, 0]) / smooth.loss.envelope_width
        product = wide * z
        gain = max(float(product.sum()) - smooth.loss.margin * slopes - envelope, 0.0)
        # Sums of terms that are not negative, of which small differences are left: each is off by
        # some √n times the rounding error, as its errors have any sign (Higham & Mary 2019).
        size = 2.0 * float(np.abs(terms[:, 1:] * sums).sum()) + float(np.abs(product).sum())
        size += smooth.loss.margin * float(sums[:, 0].sum()) / smooth.loss.envelope_width
        rounding = 4.0 * np.finfo(np.float64).eps * np.sqrt(len(z)) * (size + loss)
        return loss, max(loss - envelope - gain, 0.0) + rounding, g

    def sample(self, size, random_state):
        """The objective of some groups (rows, if there is one), drawn at random."""
        return self.take(np.flatnonzero(self._held(size / len(self.y), random_state)))

    def split_rows(self, fraction, random_state):
        """Objectives of a random part of the groups (rows, if there is one), and of the rest."""
        mask = self._held(fraction, random_state)
        return self.take(np.flatnonzero(~mask)), self.take(np.flatnonzero(mask))

    def _held(self, fraction, random_state):
        """Which rows belong to a random part of the groups (of the rows, if there is one)."""
        sizes = np.bincount(self.groups) if self.groups is not None else [len(self.y)]
        labels = np.flatnonzero(sizes)
        units = self.groups
        if len(labels) == 1:
            units = labels = np.arange(len(self.y))
        held = np.zeros(labels[-1] + 1, dtype=bool)
        size = max(1, min(len(labels) - 1, round(fraction * len(labels))))
        held[random_state.permutation(labels)[:size]] = True
        return held[units]

    def take(self, index):
        """The objective of some of the rows, in the same coordinates."""
        groups = None if self.groups is None else self.groups[index]
        taken = type(self)(
            self.loss, self.rows.take(index), self.y[index], self.s[index], groups,
            penalty=self.penalty.penalty,
        )  # fmt: skip
        return taken.with_offset(self._offset_of(index))
