"""Problems whose loss is a sum of hinges of linear functions, as an interior point sees them.

A term is l·e + (r − l)·[e]₊ with e = a·x − kink. With a multiplier t ∈ [0, 1] for each term
the slope is l + (r − l)·t, and the optimum is where

    t = 0 for e < 0,   t = 1 for e > 0,   λ₂ u + linear + Aᵀ(l + (r − l) t) = 0.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import qr, solve_triangular, svd

from sklearn_margin._linalg import rank_tolerance
from sklearn_margin.solvers._hinge_gap import Bound, HingeGap

__all__ = [
    "BandModel",
    "DenseModel",
    "HingeModel",
    "Rest",
    "SpanModel",
    "best_intercept",
    "coefficient_hinges",
    "hinge_terms",
    "is_sum_of_hinges",
    "lies_in_span",
]

_WEAK_L2, _WEAK_L1 = 1e-11, 1e-6  # penalties that cancelling coefficients may overcome
_GOOD = 1e-5  # distance of a unit column from the span of others that a normal matrix can see


class Rest(NamedTuple):
    """What rows contribute that are not modelled, since they are known to be linear."""

    gradient: np.ndarray  # (n_params,)
    constant: float  # at x = 0
    norm: float  # of their slopes


class HingeModel:
    """Terms of A x − kink, where A is X̃ (once or twice), then, for an L1 penalty, the identity, and
    for bounds, too: see ``coefficient_hinges``.

    Parameters
    ----------
    objective : LinearObjective
        Its loss is piecewise linear.
    index : ndarray of int, default=None
        Rows that are modelled; None is all of them.
    rest : Rest, default=None
        What the other rows contribute, if they are known to be linear.
    """

    def __init__(self, objective, index=None, rest=None):
        self.objective = objective
        self.rows = objective.rows if index is None else objective.rows.take(index)
        self.linear = np.zeros(objective.n_params) if rest is None else rest.gradient
        self.n, self.d = self.rows.shape
        self.l2 = objective.penalty.l2
        kinks, lefts, rights = zip(*hinge_terms(objective, index), strict=True)
        self.copies = len(kinks)
        own = coefficient_hinges(objective)
        self.certificate = HingeGap(
            objective, self.rows, np.array(kinks), np.array(lefts), np.array(rights), rest,
            eps=self.eps, bounds=own[objective.penalty.has_l1 :],
        )  # fmt: skip
        self.repeats = len(own)
        for kink, left, right in own:
            kinks, lefts, rights = (*kinks, kink), (*lefts, left), (*rights, right)
        self.kink, self.left = np.concatenate(kinks), np.concatenate(lefts)
        self.width = np.concatenate(rights) - self.left
        self.dead = np.flatnonzero(self.width == 0)  # terms that are linear, or of no weight
        self.distance = _distances(self.width)

    eps = None  # rounding error of products with rows; None is that of X
    damping = None  # of the normal matrix
    exact = False  # whether products cost so little that nothing is left to updates

    def apply(self, x):
        """A x."""
        u, b = self.objective.split(x)
        z = self.rows.scores(u, b).astype(np.float64, copy=False)
        return np.concatenate([*[z] * self.copies, *[u] * self.repeats])

    def transpose(self, v):
        """Aᵀ v."""
        rows, rest = self._fold(v)
        projected, total = self.rows.backproject(rows)
        return self.objective.join(projected + rest, total)

    def normal_matrix(self, h):
        """Hessian of the penalty plus Aᵀ diag(h) A."""
        rows, rest = self._fold(h)
        gram, cross, total, _, _ = self.rows.gram(rows, rows)
        d = self.d
        matrix = np.empty((self.objective.n_params,) * 2)
        matrix[:d, :d] = gram
        if self.objective.fit_intercept:
            matrix[:d, d] = matrix[d, :d] = cross
            matrix[d, d] = total
        # What an offset that cancels leaves of a constant column is rounding error.
        size = self.objective.rows.shift / self.objective.rows.scale
        noise = 8 * np.finfo(self.rows.dtype).eps * total * size**2
        lost = np.flatnonzero(gram.diagonal() < noise)
        matrix[lost] = matrix[:, lost] = 0.0
        matrix[np.diag_indices(d)] += self.l2 + rest
        return matrix

    def penalty_gradient(self, x):
        """Gradient of ½ Σ λ₂ u² and of the linear part."""
        return self.objective.join(self.l2 * self.objective.split(x)[0], 0.0) + self.linear

    def encode(self, params):
        """x for a parameter vector of the objective."""
        return np.array(params, dtype=np.float64)

    def decode(self, x):
        """Parameter vector of the objective for x."""
        return x

    def bound(self, x, e, t, projected, thorough=np.inf):
        """Value, and a bound on how far it is from the minimum.

        Parameters
        ----------
        x, e, t : ndarray
            A point, the distances A x − kink, and the multipliers of the terms.
        projected : ndarray
            Aᵀ slopes there.
        thorough : float, default=inf
            As in ``HingeGap.at``.
        """
        projected = self.of_rows(projected, t)
        return self.certificate.at(x, self.by_hinge(e), *self.rooms(t), projected, thorough)

    def of_rows(self, projected, t):
        """Aᵀ slopes without the terms of an L1 penalty, but with the linear part."""
        if self.repeats:
            own = self._by_feature(self.left + self.width * t)
            projected = projected - self.objective.join(own, 0.0)
        return projected + self.linear

    def rooms(self, t):
        """How far slopes of rows are from their bounds, below and above."""
        width = self.by_hinge(self.width)
        return width * self.by_hinge(t), width * (1.0 - self.by_hinge(t))

    def by_hinge(self, v):
        """The terms of rows, of shape (n_hinges, n)."""
        return v[: self.n * self.copies].reshape(self.copies, self.n)

    def _fold(self, v):
        """Sum over copies of the rows, in the dtype of X; and the rest."""
        rows = self.by_hinge(v).sum(axis=0).astype(self.rows.dtype, copy=False)
        return rows, self._by_feature(v) if self.repeats else 0.0

    def _by_feature(self, v):
        """Sums of the terms of coefficients."""
        return v[self.n * self.copies :].reshape(self.repeats, self.d).sum(axis=0)


def _distances(width):
    """Targets of complementarity by term, in units of the path's.

    They are the same for all rows of ordinary weight. Rows that weigh next to nothing are kept
    farther from their kinks: otherwise they, whom nobody minds, would cut all steps short.
    """
    live = width > 0
    least = 1e-3 * width[live].mean() if live.any() else 0.0
    return np.maximum(1.0, least / np.where(live, width, np.inf))


class BandModel(HingeModel):
    """The same problem of a few rows, of which a standardised copy is made."""

    exact = True
    damping = 1e-12  # what a dual residual that is rounding error may move features that depend

    def __init__(self, objective, index=None, rest=None):
        super().__init__(objective, index, rest)
        A = self.rows.dense(np.arange(self.n)).astype(np.float64, copy=False)
        # What an offset leaves of a constant column is rounding error.
        noise = 8 * np.finfo(self.rows.dtype).eps * np.abs(self.rows.shift / self.rows.scale)
        A[:, np.abs(A).max(axis=0, initial=0.0) <= noise] = 0.0
        self.A = np.column_stack([A, np.ones(self.n)]) if objective.fit_intercept else A

    def apply(self, x):
        parts = [self.A @ x] * self.copies
        u, _ = self.objective.split(x)
        return np.concatenate([*parts, *[u] * self.repeats])

    def transpose(self, v):
        projected = self.A.T @ self.by_hinge(v).sum(axis=0)
        projected[: self.d] += self._by_feature(v) if self.repeats else 0.0
        return projected

    def normal_matrix(self, h):
        scaled = np.sqrt(self.by_hinge(h).sum(axis=0))[:, None] * self.A
        matrix = scaled.T @ scaled
        rest = self._by_feature(h) if self.repeats else 0.0
        matrix[np.diag_indices(self.d)] += self.l2 + rest
        return matrix


class DenseModel(HingeModel):
    """The same problem with few enough rows for standardised copies in double precision.

    Columns that hardly a penalty holds, and that nearly depend on each other, have large
    coefficients that cancel, and a normal matrix that has lost all digits of that. They are
    replaced by an orthogonal basis of their span, A_j = Q R, and u = R⁻¹c. Columns in the span of
    others to rounding error get no coefficient.
    """

    eps = float(np.finfo(np.float64).eps)
    exact = True

    def __init__(self, objective):
        super().__init__(objective)
        self.A = self.rows.dense(np.arange(self.n)).astype(np.float64, copy=False)
        constant = np.abs(self.A).max(axis=0, initial=0.0) <= 4 * self.eps
        self.A[:, constant & (self.rows.shift != 0)] = 0.0
        # Means of rows that count are not quite zero, which large coefficients would notice.
        live = self.by_hinge(self.width).any(axis=0)
        self.mean = self.A[live].mean(axis=0) if objective.fit_intercept else np.zeros(self.d)
        self.A -= self.mean
        self.raw, self.features, self.T = self.A, np.abs(self.A), None
        if self.d > self.n and lies_in_span(objective):
            self._use_span()
        else:
            penalty = objective.penalty
            weak = (self.l2 <= _WEAK_L2) & (penalty.l1 <= _WEAK_L1)
            weak = np.flatnonzero(weak & np.isinf(penalty.lower) & np.isinf(penalty.upper))
            if len(weak):
                self._change_basis(weak)
        self.k = self.A.shape[1]
        if self.T is not None:
            self.ridge = (self.T.T * self.l2) @ self.T

    def _use_span(self):
        """With fewer rows than features u = Λ^{-½} V c, where A Λ^{-½} = U S Vᵀ."""
        root = np.sqrt(self.l2)
        U, size, Vt = svd(self.raw / root, full_matrices=False, check_finite=False)
        keep = size > size[0] * self.eps
        self.A, self.T = U[:, keep] * size[keep], Vt[keep].T / root[:, None]

    def _change_basis(self, weak):
        live = self.by_hinge(self.width).any(axis=0)
        norms = np.linalg.norm(self.A[np.ix_(live, weak)], axis=0)
        weak, norms = weak[norms > 0], norms[norms > 0]
        Q, R, order = qr(
            self.A[np.ix_(live, weak)] / norms, mode="economic", pivoting=True, check_finite=False
        )
        diagonal = np.abs(R.diagonal())
        if len(diagonal) == 0 or (len(diagonal) == len(weak) and diagonal.min() > _GOOD):
            return
        k = np.count_nonzero(diagonal > rank_tolerance(len(weak)))
        penalized = self.l2[weak[order[k:]]] + self.objective.penalty.l1[weak[order[k:]]] > 0
        basis_of, rest = weak[order[:k]], weak[order[k:]][~penalized]
        strong = np.setdiff1d(np.arange(self.d), np.append(basis_of, rest))
        self.T = np.zeros((self.d, len(strong) + k))
        self.T[strong, np.arange(len(strong))] = 1.0
        root = np.sqrt(np.count_nonzero(live))
        inverse = solve_triangular(R[:k, :k], root * np.eye(k), check_finite=False)
        self.T[basis_of, len(strong) :] = inverse / norms[order[:k], None]
        basis = np.zeros((self.n, k))
        basis[live] = root * Q[:, :k]
        self.A = np.concatenate([self.raw[:, strong], basis], axis=1)

    def coef(self, c):
        """Coefficients u."""
        return c if self.T is None else self.T @ c

    def apply(self, x):
        c, b = self.objective.split(x)
        z = self.A @ c + b
        return np.concatenate([*[z] * self.copies, *[self.coef(c)] * self.repeats])

    def transpose(self, v):
        rows = self.by_hinge(v).sum(axis=0)
        projected = self.A.T @ rows
        if self.repeats:
            rest = self._by_feature(v)
            projected += rest if self.T is None else self.T.T @ rest
        return self.objective.join(projected, rows.sum())

    def normal_matrix(self, h):
        rows = self.by_hinge(h).sum(axis=0)
        rest = self._by_feature(h) if self.repeats else 0.0
        k = self.k
        matrix = np.empty((k + self.objective.fit_intercept,) * 2)
        scaled = np.sqrt(rows)[:, None] * self.A
        matrix[:k, :k] = scaled.T @ scaled
        if self.T is None:
            matrix[np.diag_indices(k)] += self.l2 + rest
        else:
            matrix[:k, :k] += self.ridge
            if self.repeats:
                matrix[:k, :k] += (self.T.T * rest) @ self.T
        if self.objective.fit_intercept:
            matrix[:k, k] = matrix[k, :k] = self.A.T @ rows
            matrix[k, k] = rows.sum()
        return matrix

    def penalty_gradient(self, x):
        gradient = self.l2 * self.coef(self.objective.split(x)[0])
        return self.objective.join(gradient if self.T is None else self.T.T @ gradient, 0.0)

    def encode(self, params):
        u, b = self.objective.split(np.array(params, dtype=np.float64))
        b += float(self.mean @ u)
        c = u if self.T is None else np.linalg.lstsq(self.T, u, rcond=None)[0]
        return self.objective.join(c, b)

    def decode(self, x):
        c, b = self.objective.split(x)
        u = self.coef(c)
        return self.objective.join(u, b - float(self.mean @ u))

    def bound(self, x, e, t, projected, thorough=np.inf):
        c, b = self.objective.split(x)
        u = self.coef(c)
        below, above = self.rooms(t)
        e = self.raw @ u + b - self.by_hinge(self.kink)
        slopes = (self.by_hinge(self.left) + below).sum(axis=0)
        projected = self.objective.join(self.raw.T @ slopes, slopes.sum())
        x = self.objective.join(u, b)
        return self.certificate.at(x, e, below, above, projected, thorough, self.features)


def is_sum_of_hinges(loss) -> bool:
    """Whether the loss says, of its own formula, that it is piecewise linear."""
    known = hasattr(loss, "piecewise_linear")
    return known and loss.piecewise_linear(np.ones(1)) is not None


def best_intercept(kink, low, high):
    """The minimiser of hinges with these kinks and slopes: where the sum of slopes turns."""
    order = np.argsort(kink, axis=None)
    slope = float(low.sum()) + np.cumsum((high - low).ravel()[order])
    return float(kink.ravel()[order[min(np.searchsorted(slope, 0.0), len(order) - 1)]])


def hinge_terms(objective, index=None):
    """Kinks and weighted slopes of the hinges of the loss over rows; all rows by default.

    Kinks are where they are for X̃u + b: an offset is taken off.
    """
    index = slice(None) if index is None else index
    y, weight = (v[index].astype(np.float64) for v in (objective.y, objective.s))
    for kink, left, right in objective.loss.piecewise_linear(y):
        kink = kink if objective.offset is None else kink - objective.offset[index]
        yield kink, weight * left, weight * right


def coefficient_hinges(objective):
    """Hinges of the coefficients, for the largest slopes that the loss can have: none of X̃ᵀg
    exceeds √n ‖g‖ with the steepest slopes g by row."""
    if objective.penalty.is_smooth:
        return []
    _, lefts, rights = zip(*hinge_terms(objective), strict=True)
    steepest = sum(np.maximum(-left, right) for left, right in zip(lefts, rights, strict=True))
    largest = np.sqrt(len(steepest)) * float(np.linalg.norm(steepest))
    return list(objective.penalty.hinges(largest))


def lies_in_span(objective):
    """Whether the optimum lies in the span of the rows."""
    return objective.penalty.is_smooth and bool(np.all(objective.penalty.l2 > 0))


class SpanModel(HingeModel):
    """The same problem for fewer rows than features.

    With v = √λ₂ u and X' = X̃/√λ₂ the optimum is v = X'ᵀβ. If X'X'ᵀ = L Lᵀ, the scores are
    L a + b with ‖a‖ = ‖v‖, and a is as short as there are rows.
    """

    def __init__(self, objective):
        super().__init__(objective)
        kernel, unit = np.empty((self.n, self.n)), np.zeros(self.n, self.rows.dtype)
        for i in range(self.n):
            unit[i] = 1
            kernel[i] = self.rows.scores(self.rows.backproject(unit)[0] / self.l2, 0.0)
            unit[i] = 0
        values, vectors = np.linalg.eigh(0.5 * (kernel + kernel.T))
        keep = values > values[-1] * self.n * np.finfo(self.rows.dtype).eps
        self.root, self.vectors = np.sqrt(values[keep]), vectors[:, keep]
        self.L = self.vectors * self.root
        self.feature_l2, self.l2 = self.l2, np.ones(len(self.root))
        self.k = len(self.root)

    def apply(self, x):
        z = self.L @ x[: self.k] + (x[-1] if self.objective.fit_intercept else 0.0)
        return np.concatenate([z] * self.copies)

    def transpose(self, v):
        rows = self._fold(v)[0].astype(np.float64)
        return self.objective.join(self.L.T @ rows, rows.sum())

    def normal_matrix(self, h):
        rows = self._fold(h)[0].astype(np.float64)
        k = self.k
        matrix = np.empty((k + self.objective.fit_intercept,) * 2)
        matrix[:k, :k] = (self.L.T * rows) @ self.L
        matrix[np.diag_indices(k)] += 1.0
        if self.objective.fit_intercept:
            matrix[:k, k] = matrix[k, :k] = self.L.T @ rows
            matrix[k, k] = rows.sum()
        return matrix

    def penalty_gradient(self, x):
        return self.objective.join(x[: self.k], 0.0)

    def encode(self, params):
        return self.objective.join(np.zeros(self.k), self.objective.split(params)[1])

    def decode(self, x):
        beta = (self.vectors @ (x[: self.k] / self.root)).astype(self.rows.dtype)
        u = self.rows.backproject(beta)[0] / self.feature_l2
        return self.objective.join(u, x[-1] if self.objective.fit_intercept else 0.0)

    def bound(self, x, e, t, projected, thorough=np.inf):
        """As for the whole problem, but for what the kernel has lost by rounding errors, and
        without moving slopes: what holds is for ``certified`` to say."""
        e, a = self.by_hinge(e), x[: self.k]
        below, above = self.rooms(t)
        hinges = float(np.sum(np.where(e > 0, above, below) * np.abs(e)))
        low, high = self.certificate.low, self.certificate.high
        value = float(np.sum(np.where(e > 0, high, low) * e)) + 0.5 * float(a @ a)
        v = self.penalty_gradient(x) + projected
        gap = hinges + 0.5 * float(v[: self.k] @ v[: self.k])
        if self.objective.fit_intercept:
            room = np.minimum(below, above)
            share = abs(v[-1]) / max(float(room.sum()), 1e-300)
            gap += share * float(np.sum(room * np.abs(e))) if share < 1 else np.inf
        return Bound(value, max(value - gap, 0.0) if self.certificate.from_zero else value - gap)
