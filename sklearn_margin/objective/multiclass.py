"""Objectives with several scores per row."""

from functools import partial
from typing import NamedTuple

import numpy as np

from sklearn_margin._jit import REASSOCIATE, kernel
from sklearn_margin.objective.base import LinearObjective
from sklearn_margin.objective.kronecker import kronecker_hessian
from sklearn_margin.objective.pointwise import PointwiseObjective
from sklearn_margin.objective.slopes import Slopes

__all__ = ["MulticlassObjective", "stationary"]

_CHUNK = 1_000_000  # entries of small Hessians that are held at a time
_ROWS = 200_000  # entries of rows that are made dense at a time: they stay in a cache
_AT_A_TIME = 4  # parts of a Hessian that are held


class _RowCurvature(NamedTuple):
    """Derivatives of L at a score matrix; the Hessian is one small matrix per row."""

    value: float
    gradient: np.ndarray  # (n, n_outputs)
    a: np.ndarray  # (n, n_outputs): what the loss makes of the scores
    objective: "MulticlassObjective"

    @property
    def h(self):
        """What ``excess`` needs of the curvature."""
        return self.a

    def product(self, v):
        """Hessian times ``v``."""
        objective, out = self.objective, np.empty_like(v)

        def work(w):
            objective.loss.scores_product(objective.y[w], self.a[w], objective.s[w], v[w], out[w])

        objective.rows.run(work, objective._slices())
        return out


class MulticlassObjective(PointwiseObjective):
    """L(Z) = Σ s_i ℓ(k_i, z_i) for rows z_i of scores, one per class.

    Scores Z have shape (n, n_outputs). The parameter vector is [U, b], with the coordinates U of
    shape (n_outputs, d) row after row.

    Parameters
    ----------
    loss : MulticlassLoss or BatchLoss
    rows : Rows
    y : ndarray of int64 of shape (n,)
        Index of the class of each row.
    s : ndarray of shape (n,)
        Non-negative weights, in the dtype of X; their sum is one for a mean over rows.
    n_outputs : int
        Number of classes.
    penalty, fit_intercept
        As in ``LinearObjective``.
    """

    def __init__(self, loss, rows, y, s, *, n_outputs, **settings):
        self.n_outputs = n_outputs
        super().__init__(loss, rows, y, s, **settings)

    def by_output(self, u):
        return u.reshape(self.n_outputs, -1)

    # --- coordinates ---

    def split(self, params):
        size = self.n_outputs * self.rows.shape[1]
        return params[:size], params[size:] if self.fit_intercept else 0.0

    def join(self, u, b):
        if not self.fit_intercept:
            return np.asarray(u, dtype=np.float64).ravel()
        return np.concatenate([np.ravel(u), np.broadcast_to(b, self.n_outputs)])

    def to_coef(self, params):
        u, b = self.split(params)
        w = self.by_output(u) / self.rows.scale
        b = b - w @ self.rows.shift
        return w, b - b.mean() if self.fit_intercept and self.loss.shift_invariant else b

    def from_coef(self, coef, intercept=0.0):
        coef = np.asarray(coef, dtype=np.float64)
        return self.join(coef * self.rows.scale, intercept + coef @ self.rows.shift)

    @property
    def _ignores_shifts(self):
        """Whether the loss depends on differences of scores only."""
        return getattr(self.loss, "shift_invariant", False)

    def anchored(self, step):
        if not self._ignores_shifts:
            return step
        u, b = self.split(step)
        if self.penalty.is_zero:
            u = self.by_output(u) - self.by_output(u).mean(axis=0)
        return self.join(u, b - np.mean(b))

    # --- F and its derivatives ---

    def approximate_hessian(self, curvature):
        return kronecker_hessian(self, curvature) if self.loss.splits else None

    def curvature(self, z, cautious=False):
        g, a = np.empty_like(z), np.empty_like(z)
        value = self._sum(
            lambda w: self.loss.scores_curvature(self.y[w], z[w], self.s[w], g[w], a[w])
        )
        return _RowCurvature(value, g, a, self)

    def loss_product(self, curvature, direction):
        if self.rows.is_sparse or not self.loss.splits:
            return LinearObjective.loss_product(self, curvature, direction)

        def slopes(w, v):
            out = np.empty_like(v)
            self.loss.scores_product(self.y[w], curvature.a[w], self.s[w], v, out)
            return 0.0, out

        u, b = self.split(direction)
        _, projected, total = self.rows.through_scores(self.by_output(u), b, slopes)
        return self.join(projected.ravel(), total)

    def hessian_sums(self, curvature):
        parts = self.rows.run(partial(self._sums_of_some, curvature), self._pieces())
        return sum(total for total, _ in parts), np.concatenate([traces for _, traces in parts])

    def _sums_of_some(self, curvature, w):
        return self.loss.hessian_sums(self.y[w], curvature.a[w], self.s[w])

    def _pieces(self):
        """Ranges of rows of which all small Hessians are no more than a chunk."""
        n, step = len(self.y), max(1, _CHUNK // self.n_outputs**2)
        return [slice(first, first + step) for first in range(0, n, step)]

    def _foresee(self, w, z, dz, there):
        k, s, g, a = self.y[w], self.s[w], np.empty_like(z), np.empty_like(z)
        self.loss.scores_curvature(k, z, s, g, a)
        moved = np.empty_like(z)
        self.loss.scores_product(k, a, s, dz, moved)
        np.add(g, moved, out=dz)
        self.loss.scores_curvature(k, there, s, g, a)
        return self.loss.slopes_excess(k, a, s, np.subtract(dz, g, out=moved))

    def shortened(self, curvature, change):
        self.loss.shorten(curvature.a, self.share * self.s, change)
        return change

    def _excess(self, w, z, g, a, e):
        return self.loss.slopes_excess(self.y[w], a, self.s[w], e)

    @property
    def forms_hessian(self):
        # Only rows near a kink count, and of those a few classes.
        return self.loss.splits and self.loss.envelope_width is not None

    def hessian_products(self, curvature) -> float:
        """What forming the Hessian costs, in products with it."""
        d, k = self.rows.shape[1], self.n_outputs
        classes = np.count_nonzero(curvature.a, axis=1).astype(np.float64)
        return float((classes * (classes + 1)).sum()) * d / (4.0 * len(classes) * k)

    def loss_gradient_hessian(self, curvature):
        d, k = self.rows.shape[1], self.n_outputs
        width = d + self.fit_intercept
        used = np.flatnonzero((curvature.a != 0).any(axis=1) & (self.s > 0))
        step = max(1, _ROWS // max(width, 1))
        parts = np.array_split(used, max(1, -(-len(used) // step)))
        hessian = np.zeros((k, width, k, width))
        for first in range(0, len(parts), _AT_A_TIME):
            work = partial(self._part_of_hessian, curvature)
            for part in self.rows.run(work, parts[first : first + _AT_A_TIME]):
                hessian += part
        for a in range(k):
            for b in range(a):
                hessian[b, :, a, :] = hessian[a, :, b, :]
        order = np.arange(k * width).reshape(k, width)
        order = np.concatenate([order[:, :d].ravel(), order[:, d:].ravel()])
        hessian = hessian.reshape(k * width, k * width)
        if self.fit_intercept:
            hessian = hessian[np.ix_(order, order)]
        return self.loss_gradient(curvature.gradient), hessian

    def with_penalty(self, hessian):
        # The direction that changes nothing is given a curvature: steps of Newton's method, which
        # have no slope along it, are what they were, and rounding error is not divided by zero.
        hessian = super().with_penalty(hessian)
        if not self._ignores_shifts:
            return hessian
        d, k = self.rows.shape[1], self.n_outputs
        copies = np.arange(k * d).reshape(k, d).T if self.penalty.is_zero else []
        intercepts = [k * d + np.arange(k)] if self.fit_intercept else []
        for index in [*copies, *intercepts]:
            hessian[np.ix_(index, index)] += hessian[index, index].mean() / k
        return hessian

    def _part_of_hessian(self, curvature, index):
        """The blocks (a, b), b ≤ a, of Σ_i H_i ⊗ x̃_i x̃_iᵀ over some rows."""
        X = self.rows.dense(index)
        if self.fit_intercept:
            X = np.column_stack([X, np.ones(len(X))])
        out = np.zeros((self.n_outputs, X.shape[1], self.n_outputs, X.shape[1]))
        small = self.loss.scores_hessians(self.y[index], curvature.a[index], self.s[index])
        for a in range(self.n_outputs):
            for b in range(a + 1):
                weight = small[:, a, b]
                used = np.flatnonzero(weight)
                if len(used):
                    part, weight = (X, weight) if len(used) == len(X) else (X[used], weight[used])
                    out[a, :, b, :] = (part * weight[:, None]).T @ part
        return out

    def envelope_gain(self, envelope, g):
        return envelope.envelope_gain(self.y, g, self.s)

    def slopes(self, g):
        return Slopes(g, self.y)

    def reading_sums(self, w, g, change, z):
        k = self.n_outputs
        sums = np.zeros(3 + k + k * k)
        peaks = _reading_sums(self.y[w], g, change, z, sums, sums[3 + k :].reshape(k, k))
        return sums, peaks

    def cancel_sum(self, g):
        kappa = self._kappa(self.slopes(g)) if self.fit_intercept else None
        if kappa is None:
            return 1.0 if self.fit_intercept else 0.0
        np.multiply(g, kappa[self.y][:, None], out=g, casting="same_kind")
        return 1.0 - float(kappa.min())

    def share_to_cancel(self, slopes, total):
        kappa = self._kappa(slopes)
        if kappa is None:
            return 1.0, 0.0
        share = 1.0 - float(kappa.min())
        return share, share * np.repeat(np.sqrt(slopes.n * slopes.squares), self.rows.shape[1])

    def _kappa(self, slopes):
        """Factors κ_c of the rows of class c, the largest of them 1, such that Σ_i κ_i g_i = 0; 1
        for classes without slopes. None if there are none.

        With M_c the sum of g over class c, κ is a left null vector of M. Where entries of other
        classes are not negative and rows sum to zero, M generates a Markov chain, and κ is its
        stationary distribution, which is known to all digits whatever the scales of the classes.
        """
        k, sums = self.n_outputs, slopes.by_class
        used = np.abs(sums).sum(axis=1) > 0
        if (sums[~np.eye(k, dtype=bool)] >= 0).all():
            kappa = stationary(sums[np.ix_(used, used)])
        else:
            kappa = np.linalg.svd(sums[used].T)[2][-1] if used.any() else np.zeros(0)
            kappa = kappa * np.sign(kappa.sum())
        if len(kappa) == 0 or kappa.min() <= 0:
            return None
        # Slopes that lead into a class, and none out of it, cannot be balanced.
        rest = np.abs(sums[used].T @ kappa).max() / kappa.max()
        if rest > 64 * np.finfo(self.rows.dtype).eps * slopes.size:
            return None
        factors = np.ones(k)
        factors[used] = kappa / kappa.max()
        return factors

    def _settings(self):
        return {**super()._settings(), "n_outputs": self.n_outputs}


@kernel(fastmath=REASSOCIATE)
def _reading_sums(labels, g, change, z, sums, by_class):
    """Add to ``sums`` and ``by_class``; see ``PointwiseObjective.reading_sums``."""
    n, k = g.shape
    squares, largest, longest = sums[3 : 3 + k], 0.0, 0.0
    slope, size = 0.0, 0.0
    for i in range(n):
        row = by_class[labels[i]]
        for j in range(k):
            v = float(g[i, j])
            slope += v * change[i, j]
            size += abs(v)
            squares[j] += v * v
            row[j] += v
            largest = max(largest, abs(z[i, j]))
            longest = max(longest, abs(change[i, j]))
    sums[1], sums[2] = slope, size
    return largest, longest


def stationary(rates):
    """Stationary distribution of a Markov chain, its largest entry one; zeros if some states
    cannot be left.

    Without subtractions, and so whatever the scales (Grassmann, Taksar & Heyman 1985).

    Parameters
    ----------
    rates : ndarray of shape (k, k)
        Rate from each state to each other; the diagonal is not read.

    Returns
    -------
    ndarray of shape (k,)
    """
    rates, k = np.maximum(rates, 0.0), len(rates)
    if k == 0:
        return np.zeros(0)
    for m in range(k - 1, 0, -1):
        leaving = rates[m, :m].sum()
        if not leaving > 0:
            return np.zeros(k)
        rates[:m, m] /= leaving
        rates[:m, :m] += np.outer(rates[:m, m], rates[m, :m])
    pi = np.ones(k)
    for m in range(1, k):
        pi[m] = pi[:m] @ rates[:m, m]
    return pi / pi.max()
