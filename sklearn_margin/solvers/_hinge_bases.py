"""Sums of hinges in other variables than coefficients: few of a basis of what those can be.

Where columns nearly depend on each other, or rows are fewer than columns, the same problem has
variables that are fewer, or that a matrix in double precision tells apart.
"""

import numpy as np
from scipy.linalg import qr, solve_triangular, svd

from sklearn_margin._linalg import rank_tolerance
from sklearn_margin.solvers._hinge_gap import Bound
from sklearn_margin.solvers._hinges import HingeModel, lies_in_span

__all__ = ["DenseModel", "SpanModel"]

_WEAK_L2, _WEAK_L1 = 1e-11, 1e-6  # penalties that cancelling coefficients may overcome
_GOOD = 1e-5  # distance of a unit column from the span of others that a normal matrix can see


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
        self.certificate.mean, self.certificate.dense = self.mean, self.raw.__getitem__
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
