"""Problems whose loss is a sum of hinges of linear functions, as an interior point sees them.

A term is l·e + (r − l)·[e]₊ with e = a·x − kink. With a multiplier t ∈ [0, 1] for each term
the slope is l + (r − l)·t, and the optimum is where

    t = 0 for e < 0,   t = 1 for e > 0,   λ₂ u + linear + Aᵀ(l + (r − l) t) = 0.
"""

import numpy as np

__all__ = [
    "HingeModel",
    "SpanModel",
    "best_intercept",
    "hinge_terms",
    "is_sum_of_hinges",
    "lies_in_span",
]


class HingeModel:
    """Terms of A x − kink, where A is X̃ (once or twice), then, for an L1 penalty, the identity.

    Parameters
    ----------
    objective : LinearObjective
        Its loss is piecewise linear.
    index : ndarray of int, default=None
        Rows that are modelled; None is all of them.
    linear : ndarray of shape (n_params,), default=0
        Gradient of what the other rows contribute, if they are known to be linear.
    """

    def __init__(self, objective, index=None, linear=0.0):
        self.objective = objective
        self.rows = objective.rows if index is None else objective.rows.take(index)
        self.linear = linear
        y, weight = (v if index is None else v[index] for v in (objective.y, objective.s))
        self.n, self.d = len(y), objective.rows.shape[1]
        self.l2 = objective.penalty.l2
        kinks, lefts, rights = zip(*hinge_terms(objective, y, weight), strict=True)
        self.copies = len(kinks)
        if objective.penalty.has_l1:
            kinks = (*kinks, np.zeros(self.d))
            lefts = (*lefts, -objective.penalty.l1)
            rights = (*rights, objective.penalty.l1)
        self.kink, self.left = np.concatenate(kinks), np.concatenate(lefts)
        self.width = np.concatenate(rights) - self.left
        self.dead = np.flatnonzero(self.width == 0)  # terms that are linear, or of no weight

    def apply(self, x):
        """A x."""
        u, b = self.objective.split(x)
        z = self.rows.scores(u, b).astype(np.float64, copy=False)
        parts = [z] * self.copies
        return np.concatenate([*parts, u] if self.objective.penalty.has_l1 else parts)

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
        matrix[np.diag_indices(d)] += self.l2 + rest
        if self.objective.fit_intercept:
            matrix[:d, d] = matrix[d, :d] = cross
            matrix[d, d] = total
        return matrix

    def penalty_gradient(self, x):
        """Gradient of ½ Σ λ₂ u² and of the linear part."""
        return self.objective.join(self.l2 * self.penalized(x), 0.0) + self.linear

    def penalized(self, x):
        """The part of x that the penalty acts on."""
        return self.objective.split(x)[0]

    def encode(self, params):
        """x for a parameter vector of the objective."""
        return np.array(params, dtype=np.float64)

    def decode(self, x):
        """Parameter vector of the objective for x."""
        return x

    def value(self, x, e):
        """The function minimised; F if all rows are modelled."""
        u = self.penalized(x)
        hinges = float(self.left @ e + self.width @ np.maximum(e, 0))
        return hinges + 0.5 * float((self.l2 * u) @ u) + float(np.sum(self.linear * x))

    def dual_value(self, x, slope, projected):
        """Lower bound on the minimum from the slopes of the terms; ``projected`` is Aᵀ slope."""
        return -float(slope @ self.kink) - self.conjugate(x, projected + self.linear)

    def conjugate(self, x, projected):
        """Conjugate of the penalty at ``-projected``, the gradient of everything else.

        Where nothing is penalised (an intercept, alpha = 0) it is finite only where
        ``projected`` vanishes. What is rounding error beside the sum of all slopes is charged
        at the size of x.
        """
        l2 = np.zeros_like(x)
        l2[: len(self.penalized(x))] = self.l2
        free = l2 <= 1e-12 * np.abs(projected).max(initial=0.0)
        slopes = self.width.sum() + np.abs(self.linear).sum()
        rounding = np.sqrt(np.finfo(self.rows.dtype).eps) * slopes
        if np.abs(projected[free]).max(initial=0.0) > rounding:
            return np.inf
        charge = np.abs(projected) * (np.abs(x) + np.abs(x).max(initial=0.0))
        square = 0.5 * projected**2 / np.where(free, 1.0, l2)
        return float(np.where(free, charge, square).sum())

    def _fold(self, v):
        """Sum over copies of the rows, in the dtype of X; and the rest."""
        rows = v[: self.n * self.copies].reshape(self.copies, self.n).sum(axis=0)
        rest = v[self.n * self.copies :]
        return rows.astype(self.rows.dtype, copy=False), rest if len(rest) else 0.0


def is_sum_of_hinges(loss) -> bool:
    """Whether the loss says, of its own formula, that it is piecewise linear."""
    known = hasattr(loss, "piecewise_linear") and loss.describes_itself("piecewise_linear")
    return known and loss.piecewise_linear(np.ones(1)) is not None


def best_intercept(kink, low, high):
    """The minimiser of hinges with these kinks and slopes: where the sum of slopes turns."""
    order = np.argsort(kink, axis=None)
    slope = float(low.sum()) + np.cumsum((high - low).ravel()[order])
    return float(kink.ravel()[order[min(np.searchsorted(slope, 0.0), len(order) - 1)]])


def hinge_terms(objective, y, weight):
    """Kinks and weighted slopes of the hinges of the loss over rows."""
    weight = weight.astype(np.float64)
    for kink, left, right in objective.loss.piecewise_linear(y.astype(np.float64)):
        yield kink, weight * left, weight * right


def lies_in_span(objective):
    """Whether the optimum lies in the span of the rows."""
    return not objective.penalty.has_l1 and bool(np.all(objective.penalty.l2 > 0))


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

    def penalized(self, x):
        return x[: self.k]

    def encode(self, params):
        return self.objective.join(np.zeros(self.k), self.objective.split(params)[1])

    def decode(self, x):
        beta = (self.vectors @ (x[: self.k] / self.root)).astype(self.rows.dtype)
        u = self.rows.backproject(beta)[0] / self.feature_l2
        return self.objective.join(u, x[-1] if self.objective.fit_intercept else 0.0)
