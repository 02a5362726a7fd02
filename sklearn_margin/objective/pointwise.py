"""Objectives whose loss is a weighted mean over rows."""

import copy
from typing import NamedTuple

import numpy as np

from sklearn_margin._validation import writable
from sklearn_margin.objective.base import LinearObjective
from sklearn_margin.objective.point import Reading, largest_of
from sklearn_margin.objective.reached_gap import SampledRows
from sklearn_margin.objective.refined_gap import reached_slopes, refined_gap
from sklearn_margin.objective.row_access import Samples
from sklearn_margin.objective.slopes import SlopeSums

__all__ = ["DiagonalCurvature", "PointwiseObjective", "cast_targets"]


class DiagonalCurvature(NamedTuple):
    """Derivatives of L at a score vector: Hessian diag(h) − q qᵀ / pivot."""

    value: float
    gradient: np.ndarray  # (n,)
    h: np.ndarray  # (n,)
    q: np.ndarray | None = None  # (n,) or no rank-one part
    pivot: float = 1.0

    def product(self, v):
        """Hessian times ``v``."""
        product = self.h * v
        if self.q is not None:
            product -= self.q * (float(self.q @ v) / self.pivot)
        return product


_NEXT = 0.01
_ORDINARY = 1 / 30  # power of the largest number that targets exceed in extreme cases only


def cast_targets(y, dtype) -> np.ndarray:
    """Targets in the dtype of X.

    Raises
    ------
    ValueError
        If they are not numbers, or the largest is not zero and becomes zero, or becomes infinite.
    """
    if y.dtype.kind not in "biuf":
        raise ValueError(f"y must hold numbers, got {y.dtype}; labels are for LinearClassifier")
    largest = float(np.abs(y).max(initial=0))
    limits = np.finfo(dtype)
    if largest > float(limits.max) or 0 < largest < float(limits.tiny):
        size = "large" if largest > 1 else "small"
        raise ValueError(
            f"y is too {size} for {np.dtype(dtype)}, the dtype of X: its largest entry is "
            f"{largest:g}. Scale y."
        )
    return y.astype(dtype, copy=False)


class PointwiseObjective(LinearObjective):
    """L(z) = Σ s_i ℓ(y_i, z_i) with Σ s_i = 1, or a batch loss of all scores.

    Parameters
    ----------
    loss : PointwiseLoss or BatchLoss
    rows : Rows
    y : ndarray of shape (n,)
        Labels −1/+1 or targets, in the dtype of X.
    s : ndarray of shape (n,)
        Non-negative weights, in the dtype of X; their sum is one for a mean over rows.
    penalty, fit_intercept
        As in ``LinearObjective``.
    """

    def __init__(self, loss, rows, y, s, **settings):
        super().__init__(loss, rows, **settings)
        self.y, self.s = writable(y), writable(s)

    def start(self):
        params = super().start()
        # Losses of residuals start from those targets; those of classes do not look at them.
        y = self.y if self.offset is None or self.n_outputs > 1 else self.y - self.offset
        middle = self.loss.start_score(y, self.s) if self.fit_intercept else 0.0
        if self.loss.coercive:
            self._check_range(middle)
        if self.fit_intercept:
            params[-1] = middle
        return params

    def _check_range(self, z):
        """Raise ``ValueError`` if the loss of targets at a score ``z`` leaves the floating-point
        range: squares of 1e200 are infinite, those of 1e-200 vanish."""
        largest, ordinary = largest_of(self.y), float(np.finfo(self.y.dtype).max) ** _ORDINARY
        if self.offset is None and 1 / ordinary < largest < ordinary:
            return  # no power of such residuals, which are rounding errors of y or more, leaves it
        z = self.shifted(np.full(len(self.y), z, dtype=self.y.dtype))
        g = np.empty_like(z)
        with np.errstate(over="ignore"):
            value = self.score_gradient(z, g)
        far = largest > 1e-3 * np.sqrt(np.finfo(z.dtype).max)
        lost = self.loss.convex and self.may_scale and value < 1e3 * np.finfo(z.dtype).tiny
        if (value == np.inf and far) or (lost and g.any()):
            size = "large" if value == np.inf else "small"
            raise ValueError(
                f"y is too {size} for the loss {type(self.loss).__name__} in {z.dtype}: it is "
                f"{value:g}. Scale y."
            )

    def score_value(self, z):
        return self._sum(lambda w: self.loss.scores_value(self.y[w], z[w], self.s[w]))

    def score_gradient(self, z, out):
        return self._sum(
            lambda w: self.loss.scores_value_gradient(self.y[w], z[w], self.s[w], out[w])
        )

    def curvature(self, z, cautious=False):
        g, h = np.empty_like(z), np.empty_like(z)
        value = self._sum(
            lambda w: self.loss.scores_gradient_hessian(self.y[w], z[w], self.s[w], g[w], h[w])
        )
        if not self.loss.convex or h.min() < 0:
            np.maximum(h, 0, out=h)
        return DiagonalCurvature(value, g, h)

    def _sum(self, work):
        """Sum of what ``work`` gives for ranges of rows."""
        return float(sum(self.rows.run(work, self._slices())))

    def _slices(self):
        return self.rows.ranges if self.loss.splits else [slice(None)]

    draws_samples = takes_samples = forms_hessian = True
    #: Of a part of the rows that was taken, the share of the weights; None if that is not known.
    share: float | None = None

    @property
    def has_diagonal_hessian(self):
        return self.n_outputs == 1 and self.has_hessian and self.loss.splits

    def draw(self, random_state, limit=None):
        first = random_state.permutation(len(self.y))[:limit]
        weights = self.s[first].astype(np.float64) * (len(self.y) if self.loss.splits else 1)
        labels, offsets = self.y[first].astype(np.float64), self.offsets_for_kernels()[first]
        return Samples(first, np.full(len(first), -1), labels, weights, offsets)

    def refined_gap(self, params):
        if self.n_outputs > 1 or not (self.has_gap and self.has_hessian and self.loss.splits):
            return np.inf
        return refined_gap(self, params)

    def widest_curvature(self, z):
        """Curvature at ``z``, or next to it where that of a row is larger: at a kink of the slope
        either is right, and one of them lets the slope change."""
        there = self.curvature(z)
        h = there.h
        step = _NEXT * np.sqrt(np.finfo(z.dtype).eps) * (np.abs(z) + np.abs(z).max(initial=0.0))
        for side in (step, -step):
            h = np.maximum(h, self.curvature((z + side).astype(z.dtype)).h)
        return there._replace(h=h)

    def corrected(self, z, curvature, wanted):
        """A change of the slopes at ``z`` that is close to the one ``wanted``, and its price.

        Returns
        -------
        delta : ndarray of float64 of shape (n,)
        price : float
            At least L*(g + delta) − L*(g) − z·delta, where g are the slopes.
        """
        eps = float(np.finfo(z.dtype).eps)
        g, h = curvature.gradient.astype(np.float64), curvature.h.astype(np.float64)
        movable = (h > 0) & (wanted != 0)
        with np.errstate(over="ignore"):
            far = np.divide(2 * np.abs(wanted) + 64 * eps * np.abs(g), h, where=movable,
                            out=np.zeros_like(g))  # fmt: skip
            far[movable] += 64 * eps * np.abs(z[movable])
        there = (z + np.sign(wanted) * far).astype(z.dtype)
        moved = np.empty_like(z)
        self.score_gradient(there, moved)
        wanted = np.where(movable, wanted, 0.0)
        delta = reached_slopes(g, moved.astype(np.float64), wanted, eps)
        # Half of the way there a part of it is reached: that part is paid for half of the way.
        half = (z + 0.5 * (there - z)).astype(z.dtype)
        self.score_gradient(half, moved)
        near = np.abs(reached_slopes(g, moved.astype(np.float64), delta, eps))
        size, way = np.abs(delta), np.abs(there.astype(np.float64) - z)
        halfway = np.abs(half.astype(np.float64) - z)
        return delta, float(near @ halfway + (size - near) @ way)

    @property
    def moves_slopes(self):
        return self.n_outputs == 1 and self.loss.splits and self.penalty.loose is None

    def seen_by(self, sample, point, z) -> SampledRows:
        """Slopes at a point of the rows of a sample, with scores ``z``, as ``reached_gap`` moves
        them."""
        return SampledRows(sample, z)

    @property
    def foresees(self):
        return self.loss.splits and self.has_gap and self.is_smooth and self.has_hessian

    def foreseen(self, z, dz, there):
        if not self.foresees:
            return np.inf
        return self._sum(lambda w: self._foresee(w, z[w], dz[w], there[w]))

    def _foresee(self, w, z, dz, there):
        """``foreseen`` of some rows: the slopes go to ``dz``, the excess is returned."""
        g, h = np.empty_like(z), np.empty_like(z)
        self.loss.scores_gradient_hessian(self.y[w], z, self.s[w], g, h)
        dz *= h
        dz += g
        self.loss.scores_gradient_hessian(self.y[w], there, self.s[w], g, h)
        e = dz - g
        e[np.abs(e) <= 8 * np.finfo(z.dtype).eps * np.abs(dz)] = 0
        return self._excess(w, there, g, h, e)

    def shortened(self, curvature, change):
        """A change of the slopes of a sample with that ``curvature``, less of it where it is far
        too long for slopes; see ``sample_gap``."""
        return change

    def excess(self, z, change) -> float:
        """At least L(z) + L*(g + ``change``) − (g + change)·z, with the slopes g at scores z;
        infinity if g + change are not known to be a dual point."""
        there = self.curvature(z)
        return self._sum(lambda w: self._excess(w, z[w], there.gradient[w], there.h[w], change[w]))

    def _excess(self, w, z, g, h, e):
        """``excess`` of some rows, where ``h`` is the curvature.

        The excess of a row is an integral of slopes from z to the score that has its slope, no more
        than e times that way. Where slopes change by e, or more, on twice the way e/h, that is long
        enough.
        """
        further, eps = np.empty_like(z), np.finfo(z.dtype).eps
        movable = h > 0
        if e[~movable].any():
            return np.inf
        way = np.divide(2 * e, h, out=np.zeros_like(e), where=movable)
        way += np.sign(e) * 8 * eps * np.abs(z)
        self.loss.scores_value_gradient(self.y[w], z + way, self.s[w], further)
        if (np.abs(e) > (further - g) * np.sign(e)).any():
            return np.inf
        return float(np.vdot(e, way))

    def envelope_excess(self, smooth, z):
        g = np.empty_like(z)
        loss, envelope = self.score_value(z), smooth.score_gradient(z, g)
        return loss, max(loss - envelope - self.envelope_gain(smooth.loss, g), 0.0), g

    def envelope_gain(self, envelope, g):
        """L_w*(g) − L*(g), for the gradient g of L_w."""
        used = self.s > 0
        squares = g[used].astype(np.float64) ** 2 / self.s[used]
        return 0.5 * envelope.envelope_width * float(squares.sum())

    def sample(self, size, random_state):
        """The objective of some rows, one from each of ``size`` ranges: a permutation of all rows
        would take longer than reading them."""
        bounds = np.arange(size + 1) * len(self.y) // size
        return self.take(random_state.randint(bounds[:-1], bounds[1:]))

    def split_rows(self, fraction, random_state):
        """Objectives of a random part of the rows, and of the rest."""
        n = len(self.y)
        held = max(1, min(n - 1, round(fraction * n)))
        order = random_state.permutation(n)
        return self.take(np.sort(order[held:])), self.take(np.sort(order[:held]))

    def take(self, index):
        """The objective of some of the rows, in the same coordinates."""
        s, share = self.s[index], None
        if self.loss.splits:
            total = s.sum()
            share = float(total / self.s.sum()) if total > 0 else None
            s = s / total if total > 0 else np.full_like(s, 1 / len(s))
        part = type(self)(self.loss, self.rows.take(index), self.y[index], s, **self._settings())
        part.share = share
        return part.with_offset(self._offset_of(index))

    def _settings(self):
        return {"penalty": self.penalty.penalty, "fit_intercept": self.fit_intercept}

    def with_labels(self, y) -> "PointwiseObjective":
        """The same objective with other labels."""
        new = copy.copy(self)
        new.y, new.shared = writable(y), None
        return new

    def with_weights(self, s) -> "PointwiseObjective":
        """The same objective with other weights."""
        new = copy.copy(self)
        new.s, new.shared = writable(s), None
        return new

    def with_loss(self, loss, shrinks=True):
        new = super().with_loss(loss, shrinks)
        if loss.splits and not self.loss.splits:
            new.s = (self.s / self.s.sum(dtype=np.float64)).astype(self.s.dtype)
        return new

    def hessian_sums(self, curvature):
        """Sum over rows of the Hessians of L by score, of shape (n_outputs, n_outputs), and their
        traces by row."""
        return np.array([[curvature.h.sum(dtype=np.float64)]]), curvature.h

    def loss_product(self, curvature, direction):
        if curvature.q is not None:
            return super().loss_product(curvature, direction)
        u, b = self.split(direction)
        return self.join(*self.rows.normal_product(curvature.h, u, b))

    def value_gradient(self, params):
        if not self.loss.splits:
            return super().value_gradient(params)
        # One pass over X: a block is still in the cache when Bᵀg follows Bw.
        u, b = self.split(params)
        value, gradient = self.loss_value_gradient(u, b)
        return value + self.penalty.value(u), gradient + self.penalty_gradient(params)

    def loss_value_gradient(self, u, b):
        """L and its gradient, of a loss that is a sum over rows."""

        def slopes(w, z):
            g, z = np.empty_like(z), self.shifted(z, w)
            return self.loss.scores_value_gradient(self.y[w], z, self.s[w], g), g

        value, projected, total = self.rows.through_scores(self.by_output(u), b, slopes)
        return float(value), self.join(projected.ravel(), total)

    @property
    def reads_once(self):
        return self.loss.splits and self.rows.exceed_caches

    def read(self, params, start=None) -> Reading:
        """L and its gradient at ``params``; or, if scores to ``start`` from are given, at those
        and the scores of ``params`` together."""
        (n, _), k, dtype = self.rows.shape, self.n_outputs, self.rows.dtype
        z, largest = np.empty((n, k) if k > 1 else n, dtype), []

        def slopes(w, change):
            there = self.scores_read(w, change, start, z)
            g = np.empty_like(there)
            loss = self.loss.scores_value_gradient(self.y[w], there, self.s[w], g)
            sums, peaks = self.reading_sums(w, g, change, there)
            largest.append(peaks)
            sums[0] = loss
            return sums, g

        u, b = self.split(params)
        sums, projected, total = self.rows.through_scores(self.by_output(u), b, slopes)
        loss, slope, size = sums[:3].tolist()
        squares, by_class = sums[3], None
        if k > 1:
            squares, by_class = sums[3 : 3 + k], sums[3 + k :].reshape(k, k)
        gradient = self.join(projected.ravel(), total)
        peaks = np.max(largest, axis=0).tolist()
        return Reading(z, *peaks, loss, slope, SlopeSums(n, size, squares, by_class), gradient)

    def scores_read(self, w, change, start, out):
        """Scores of the rows ``w`` in a ``read`` that finds the ``change``: part of ``out``, which
        they go to."""
        there = out[w]
        np.add(change, 0.0 if start is None else start[w], out=there)
        return self.shifted(there, w) if start is None else there

    def reading_sums(self, w, g, change, z):
        r"""What a ``Reading`` adds up over some rows, with slopes g: a place for L, g·change,
        Σ \|g\| and Σ g²; and the largest absolute score and change."""
        wide = g.astype(np.float64, copy=False)
        sums = np.array([0.0, wide @ change, np.abs(wide).sum(), wide @ wide])
        return sums, (largest_of(z), largest_of(change))

    def loss_gradient_hessian(self, curvature):
        gram, cross, total, projected, slope = self.rows.gram(curvature.h, curvature.gradient)
        d = len(gram)
        hessian = np.empty((self.n_params, self.n_params))
        hessian[:d, :d] = gram
        if self.fit_intercept:
            hessian[:d, d] = hessian[d, :d] = cross
            hessian[d, d] = total
        if curvature.q is not None:
            q = self.join(*self.rows.backproject(curvature.q))
            hessian -= np.outer(q, q / curvature.pivot)
        return self.join(projected, slope), hessian
