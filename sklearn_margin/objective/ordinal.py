"""The objective of ordered classes: one score by row, and a score of it for each threshold."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from sklearn_margin.objective.base import LinearObjective
from sklearn_margin.objective.pointwise import PointwiseObjective
from sklearn_margin.objective.rows import Rows
from sklearn_margin.objective.slopes import Slopes
from sklearn_margin.penalties import ElasticNet, SeparablePenalty

__all__ = ["OrdinalObjective", "ReplicatedObjective"]


_APART = 1e-6  # thresholds that were equal


class _OrdinalCurvature(NamedTuple):
    """Derivatives of L at the scores; the Hessian of a row is diag(h), and −r between the two
    thresholds next to its class."""

    value: float
    gradient: np.ndarray  # (n, n_thresholds)
    h: np.ndarray  # (n, n_thresholds)
    r: np.ndarray | None  # (n,); None if there are none
    y: np.ndarray  # (n,)

    def product(self, v):
        """Hessian times ``v``."""
        out = self.h * v
        if self.r is not None:
            rows = np.flatnonzero((self.y > 0) & (self.y < v.shape[1]))
            k, r = self.y[rows], self.r[rows]
            out[rows, k - 1] -= r * v[rows, k]
            out[rows, k] -= r * v[rows, k - 1]
        return out

    def total(self):
        """Sum of the Hessians of the rows, of shape (n_thresholds, n_thresholds)."""
        total = np.diag(self.h.sum(axis=0, dtype=np.float64))
        if self.r is not None:
            between = np.bincount(self.y, weights=self.r, minlength=len(total) + 1)[1:-1]
            k = np.arange(len(between))
            total[k, k + 1] -= between
            total[k + 1, k] -= between
        return total


class _OrderedPenalty(SeparablePenalty):
    """A penalty of coefficients, and distances of thresholds that are not negative."""

    @property
    def why_not_free(self):
        return "the thresholds of threshold='immediate' must be kept in order"


class OrdinalObjective(PointwiseObjective):
    """L(F) = Σ s_i ℓ(c_i, f_i) for scores f_ik = x̃_i·u + b_k, where −b_k is threshold k.

    Scores F have shape (n, n_outputs). The parameter vector is [u, b]. With ``ordered`` it is
    [u, δ, b_0] with b_k = b_0 − Σ_{j ≤ k} δ_j and δ ≥ 0, which keeps thresholds in order where the
    loss alone does not: each threshold of an immediate-threshold loss is that of two classes, and
    those of a rare class between frequent ones can cross.

    Parameters
    ----------
    loss : OrdinalLoss
    rows : Rows
    y : ndarray of int64 of shape (n,)
        Index of the class of each row.
    s : ndarray of shape (n,)
        Non-negative weights, in the dtype of X.
    n_outputs : int
        Number of thresholds, at least two.
    ordered : bool, default=False
        Whether thresholds are kept in order.
    penalty : ElasticNet or its like
        Of coefficients; thresholds are not penalised.
    """

    fit_intercept = True
    draws_samples = False
    reads_once = has_diagonal_hessian = False
    why_no_rows = "the scores of the thresholds of ordered classes share their coefficients"

    def __init__(self, loss, rows, y, s, *, n_outputs, penalty, fit_intercept=True, ordered=False):
        self.loss, self.rows, self.y, self.s = loss, rows, y, s
        self.n_outputs, self.ordered = n_outputs, ordered
        self.penalty = self._in_coordinates(penalty)
        self.n_params = rows.shape[1] + n_outputs
        self.from_free = np.eye(n_outputs)  # b from the parameters that are not penalised
        if self.ordered:
            self.from_free = np.tril(-np.ones((n_outputs, n_outputs)), -1)
            self.from_free = np.column_stack([self.from_free[:, :-1], np.ones(n_outputs)])

    def _in_coordinates(self, penalty):
        inner = penalty.in_coordinates(self.rows.scale)
        if not self.ordered:
            return inner
        m = self.n_outputs - 1
        loose = np.zeros(len(inner.l2) + m, dtype=bool)
        loose[len(inner.l2) :] = True
        if inner.loose is not None:
            loose[inner.loose] = True
        return _OrderedPenalty(
            np.append(inner.l2, np.zeros(m)),
            np.append(inner.l1, np.zeros(m)) if inner.has_l1 else None,
            np.append(inner.lower, np.zeros(m)), np.append(inner.upper, np.full(m, np.inf)),
            penalty=inner.penalty, loose=loose,
        )  # fmt: skip

    def penalized(self, penalty):
        new = self.placed()
        new.penalty = self._in_coordinates(penalty)
        return new

    def convex_start(self):
        loss = self.loss.convex_start
        return None if loss is None else self.with_loss(loss)

    @property
    def takes_samples(self):
        # Without a class between them, nothing would hold the thresholds of a likelihood apart.
        return self.loss.is_separable

    # --- coordinates ---

    def split(self, params):
        n_free = 1 if self.ordered else self.n_outputs
        return params[:-n_free], params[-n_free:]

    def join(self, u, b):
        return np.append(u, np.broadcast_to(b, 1 if self.ordered else self.n_outputs))

    def _parts(self, params):
        """u without distances, and b."""
        d = self.rows.shape[1]
        return params[:d], self.from_free @ params[d:]

    def to_coef(self, params):
        u, b = self._parts(params)
        w = u / self.rows.scale
        return w, b - float(self.rows.shift @ w)

    def from_coef(self, coef, intercept=0.0):
        coef = np.asarray(coef, dtype=np.float64).ravel()
        b = np.broadcast_to(intercept + float(self.rows.shift @ coef), self.n_outputs)
        apart = -np.diff(b)
        if not self.loss.is_separable and apart.min() <= 1e-14 * np.abs(b).max():
            # A likelihood is infinite there.
            b = b[0] - np.append(0.0, np.cumsum(np.maximum(apart, _APART)))
        free = np.append(np.maximum(-np.diff(b), 0.0), b[0]) if self.ordered else b
        return np.append(coef * self.rows.scale, free)

    def start(self):
        """No coefficients, and log odds of the classes above each threshold."""
        weight = np.bincount(self.y, weights=self.s, minlength=self.n_outputs + 1)
        above = np.clip(np.cumsum(weight[::-1])[::-1][1:] / weight.sum(), 1e-9, 1 - 1e-9)
        b = np.log(above) - np.log1p(-above)
        w = np.zeros(self.rows.shape[1])
        return self.feasible(self.from_coef(w, b))

    def loss_at(self, score):
        # Of all scores alike a likelihood is nothing.
        b = self._parts(self.start())[1].astype(self._score_dtype)
        return self.score_value(self.shifted(np.tile(b, (len(self.y), 1))))

    # --- F and its derivatives ---

    def scores_along(self, params, out=None):
        u, b = self._parts(params)
        return np.add(self.rows.scores(u, 0.0)[:, None], b.astype(self._score_dtype), out=out)

    @property
    def _score_dtype(self):
        """That of X; or double precision, for a likelihood has the logarithms of differences of
        thresholds, which the scores of a row must not lose."""
        return self.rows.dtype if self.loss.is_separable else np.dtype(np.float64)

    def value_gradient(self, params):
        return LinearObjective.value_gradient(self, params)

    def loss_gradient(self, g):
        projected, _ = self.rows.backproject(g.sum(axis=1).astype(self.rows.dtype, copy=False))
        return np.append(projected, g.sum(axis=0, dtype=np.float64) @ self.from_free)

    def curvature(self, z, cautious=False):
        g, h, r = np.empty_like(z), np.empty_like(z), np.empty_like(z[:, 0])
        value = self._sum(
            lambda w: self.loss.scores_curvature(self.y[w], z[w], self.s[w], g[w], h[w], r[w])
        )
        np.maximum(h, 0, out=h)
        return _OrdinalCurvature(value, g, h, None if self.loss.is_separable else r, self.y)

    def loss_product(self, curvature, direction):
        return LinearObjective.loss_product(self, curvature, direction)

    def loss_gradient_hessian(self, curvature):
        d, slopes = self.rows.shape[1], curvature.gradient
        by_threshold = curvature.product(np.ones_like(slopes))
        by_row = np.maximum(by_threshold.sum(axis=1), 0)
        dtype = self.rows.dtype
        gram, _, _, projected, _ = self.rows.gram(
            by_row.astype(dtype, copy=False), slopes.sum(axis=1).astype(dtype, copy=False)
        )
        cross, _ = self.rows.backproject(by_threshold.astype(dtype, copy=False))
        hessian = np.empty((self.n_params, self.n_params))
        hessian[:d, :d] = gram
        hessian[d:, :d] = self.from_free.T @ cross
        hessian[:d, d:] = hessian[d:, :d].T
        hessian[d:, d:] = self.from_free.T @ curvature.total() @ self.from_free
        total = slopes.sum(axis=0, dtype=np.float64) @ self.from_free
        return np.append(projected, total), hessian

    def hessian_sums(self, curvature):
        return curvature.total(), curvature.h.sum(axis=1)

    # --- certificates ---

    @property
    def foresees(self):
        return self.loss.is_separable and not self.ordered and super().foresees

    def excess(self, z, change):
        return super().excess(z, change) if self.foresees else np.inf

    def envelope_gain(self, envelope, g):
        used = self.s > 0
        squares = np.square(g[used], dtype=np.float64).sum(axis=1) / self.s[used]
        return 0.5 * envelope.envelope_width * float(squares.sum())

    def slopes(self, g):
        return Slopes(g, self.y)

    def cancel_sum(self, g):
        if self.loss.is_separable:
            share, side = self._shares(g)
            np.multiply(g, 1.0 - share, out=g, where=side, casting="same_kind")
            return float(share.max())
        kappa = self._kappa(self.slopes(g))
        np.multiply(g, kappa[self.y][:, None], out=g, casting="same_kind")
        return 1.0 - float(kappa.min())

    def share_to_cancel(self, slopes, total):
        if self.ordered:
            return 1.0, 0.0  # those of the thresholds vanish where F is minimal over them
        if not self.loss.is_separable:
            share = 1.0 - float(self._kappa(slopes).min())
            return share, share * np.sqrt(slopes.n) * slopes.norm
        share, _ = self._shares(slopes.g)
        return float(share.max()), float(share @ np.sqrt(slopes.n * slopes.squares))

    def _shares(self, g):
        """For each threshold the share to remove from the slopes of the prevailing sign, and which
        these are."""
        total = g.sum(axis=0, dtype=np.float64)
        side = np.where(total > 0, g > 0, g < 0)
        prevailing = np.abs(g.sum(axis=0, where=side, dtype=np.float64))
        share = np.divide(np.abs(total), prevailing, out=np.zeros_like(total), where=total != 0)
        return np.minimum(share, 1.0), side

    def _kappa(self, slopes):
        """Factors κ_c of the rows of class c, the largest 1, such that Σ_i κ_i g_i = 0.

        Only classes c and c + 1 have slopes at threshold c, of opposite signs: κ_c Σ_c g_ic =
        −κ_{c+1} Σ_{c+1} g_ic.
        """
        sums = np.zeros((self.n_outputs + 1, self.n_outputs))
        for k in range(self.n_outputs):
            sums[:, k] = np.bincount(self.y, weights=slopes.g[:, k], minlength=len(sums))
        below, above = np.diag(sums), -np.diag(sums[1:])
        if not ((below > 0) & (above > 0)).all():
            return np.zeros(len(sums))
        logs = np.append(0.0, np.cumsum(np.log(below) - np.log(above)))
        return np.exp(logs - logs.max())

    def _directions(self, index):
        (n, d), dtype = self.rows.shape, self.rows.dtype
        columns = iter(self.rows.standardized_columns(index[index < d]).T)
        shape = n, self.n_outputs
        # Scores row after row in memory: what losses write to flat views of others would be lost.
        return [
            np.broadcast_to(next(columns)[:, None] if i < d else self.from_free[:, i - d], shape)
            .astype(dtype, order="C")
            for i in index
        ]  # fmt: skip

    def _settings(self):
        return {**super()._settings(), "n_outputs": self.n_outputs, "ordered": self.ordered}

    def in_any_order(self):
        """The same objective, whose thresholds may cross."""
        settings = {**self._settings(), "ordered": False}
        free = type(self)(self.loss, self.rows, self.y, self.s, **settings)
        return free.with_offset(self.offset)


class ReplicatedObjective(PointwiseObjective):
    """The objective of ordered classes as that of two classes: a row for each row and threshold.

    Row (i, k) has the features of row i and −1 for the distances δ_1 … δ_k of the thresholds, so
    that its score is x_i·w + b_0 − Σ_{j ≤ k} δ_j. It takes as much memory as there are thresholds,
    and any solver of two classes. Parameters as of ``OrdinalObjective``.
    """

    def __init__(self, loss, rows, y, s, *, n_distances, in_order, **settings):
        super().__init__(loss, rows, y, s, **settings)
        self.n_distances, self.in_order = n_distances, in_order

    @classmethod
    def of(cls, loss, X, y, s, penalty, n_jobs, offset=None):
        """The objective for features X, class indices y, and a ``ThresholdLoss``."""
        n, m = len(y), int(y.max())
        away = np.arange(m) - y[:, None]
        counts = (away == 0) | (away == -1) if loss.is_immediate else np.ones((n, m), dtype=bool)
        i, k = np.nonzero(counts)
        distances = -(np.arange(1, m) <= k[:, None]).astype(X.dtype)
        stacked = (
            sp.hstack([X[i], sp.csr_array(distances)], format="csr")
            if sp.issparse(X)
            else np.hstack([X[i], distances])
        )
        labels = np.where(k < y[i], X.dtype.type(1), X.dtype.type(-1))
        penalty = _with_distances(penalty, X.shape[1], m - 1, loss.is_immediate)
        rows = Rows(stacked, center=True, n_jobs=n_jobs)
        settings = {"penalty": penalty, "fit_intercept": True}
        settings |= {"n_distances": m - 1, "in_order": loss.is_immediate}
        objective = cls(loss.binary, rows, labels, s[i], **settings)
        return objective.with_offset(None if offset is None else offset[i])

    def penalized(self, penalty):
        d = self.rows.shape[1] - self.n_distances
        return super().penalized(_with_distances(penalty, d, self.n_distances, self.in_order))

    def to_coef(self, params):
        coef, b = super().to_coef(params)
        d = len(coef) - self.n_distances
        return coef[:d], b - np.append(0.0, np.cumsum(coef[d:]))

    def from_coef(self, coef, intercept=0.0):
        return super().from_coef(np.append(coef, -np.diff(intercept)), intercept[0])

    def take(self, index):
        # Weights sum to the number of thresholds, or about that.
        part = super().take(index)
        return part.with_weights(part.s * self.s.sum())

    def _settings(self):
        more = {"n_distances": self.n_distances, "in_order": self.in_order}
        return {**super()._settings(), **more}


def _with_distances(penalty, d, m, ordered):
    """The penalty of d coefficients, and of m distances that are not penalised."""
    factors = np.ones(d) if penalty.factors is None else penalty.factors
    bounds = penalty.bounds
    if ordered or bounds is not None:
        low, high = (np.full(d, -np.inf), np.full(d, np.inf)) if bounds is None else bounds
        bounds = (
            np.append(low, np.full(m, 0.0 if ordered else -np.inf)),
            np.append(high, np.full(m, np.inf)),
        )
    return ElasticNet(penalty.alpha, penalty.l1_ratio, np.append(factors, np.zeros(m)), bounds)
