"""Multiclass hinge losses of a small problem as sums of hinges of linear functions."""

import numpy as np

from sklearn_margin.objective.multiclass import stationary
from sklearn_margin.solvers._small_hinges import SmallHinges, least_squares

__all__ = ["ClassHinges"]


class ClassHinges(SmallHinges):
    r"""Terms by row and class.

    With t_ij = margin + z_ij − z_ik for j ≠ k, the true class, the loss of Weston and Watkins is
    Σ_j [t_ij]₊. That of Crammer and Singer is, with t_ik = 0, the largest of the t_ij,

        max_j t_ij = min over ξ of  ξ + Σ_j [t_ij − ξ]₊,

    (the sum of the one largest of several numbers [1]_), so it is a sum of hinges, too, of
    one more variable ξ_i for each row that no penalty acts on. Eliminated from linear systems,
    it makes the Hessian diag(h) of the terms of a row that of their simplex, diag(h) − hhᵀ/Σh.

    Parameters
    ----------
    objective : MulticlassObjective
        Its loss has a ``hinge_shape``.
    dtype : dtype
        What is computed in.

    References
    ----------
    .. [1] Ogryczak & Tamir, "Minimizing the sum of the k largest functions in linear time",
       Information Processing Letters 85, 2003.
    """

    def __init__(self, objective, dtype=np.float64):
        used = np.flatnonzero(objective.s > 0)
        super().__init__(objective, dtype, used)
        self.k, self.s = objective.y[used], objective.s[used].astype(dtype)
        self.K, self.room = objective.n_outputs, self.s[:, None]
        self.true = np.arange(self.n), self.k
        self.simplex = objective.loss.hinge_shape == "largest"
        kink = np.full((self.n, self.K), -self.margin, dtype)
        if objective.offset is not None:
            self.offset = objective.offset[used].astype(dtype)
            kink -= self.offset - self.offset[self.true][:, None]
        width = np.repeat(self.room, self.K, axis=1)
        kink[self.true] = 0.0
        if not self.simplex:
            width[self.true] = 0.0
        self._set_terms(kink, width)
        if self.simplex:
            self.linear[self.n_params :] = self.s

    # --- margins and losses ---

    def _scores(self, x):
        size = self.K * self.d
        z = self.X @ x[:size].reshape(self.K, self.d).T
        return z + x[size : self.n_params] if self.objective.fit_intercept else z

    def differences(self, x):
        z = self._scores(x)
        return z - z[self.true][:, None]

    def margins(self, x):
        return self.margins_of(self._scores(x))

    def margins_of(self, z):
        z = z + self.offset
        t = z - z[self.true][:, None] + self.margin
        t[self.true] = 0.0
        return t

    def losses(self, t):
        return t.max(axis=1) if self.simplex else np.maximum(t, 0.0).sum(axis=1)

    def loss_gap(self, p, t, losses):
        if self.simplex:
            return (p * (losses[:, None] - t)).sum()
        terms = np.where(t > 0, (self.room - p) * t, -p * t)
        terms[self.true] = 0.0
        return terms.sum()

    def slopes(self, p):
        g = p.copy()
        g[self.true] = 0.0
        g[self.true] = -g.sum(axis=1)
        return g

    def matrix(self, h):
        X = self.X.astype(h.dtype, copy=False)
        if self.objective.fit_intercept:
            X = np.column_stack([X, np.ones(self.n, h.dtype)])
        width = X.shape[1]
        matrix = np.zeros((self.K, width, self.K, width), h.dtype)
        total = h.sum(axis=1)
        for a in range(self.K):
            for b in range(a):
                if self.simplex:
                    weight, part = h[:, a] * (h[:, b] / total), X
                else:  # only the true class meets others
                    used = np.flatnonzero((self.k == a) | (self.k == b))
                    weight, part = np.where(self.k == a, h[:, b], h[:, a])[used], X[used]
                block = (part * weight[:, None]).T @ part
                # Σ w_ab (e_a − e_b)(e_a − e_b)ᵀ: what leaves a class enters another.
                matrix[a, :, b, :] -= block
                matrix[b, :, a, :] -= block
                matrix[a, :, a, :] += block
                matrix[b, :, b, :] += block
        order = np.arange(self.K * width).reshape(self.K, width)
        order = np.concatenate([order[:, : self.d].ravel(), order[:, self.d :].ravel()])
        return matrix.reshape(self.K * width, -1)[np.ix_(order, order)]

    # --- dual points ---

    def feasible(self, p):
        p = self._completed(np.clip(p, 0.0, self.room))
        return self._balanced(p) if self.objective.fit_intercept else p

    def _completed(self, p):
        """Slopes of the loss, where those of the true classes follow from the others. They may be
        small beside what they are taken from, and so must not be rounded with it."""
        p[self.true] = 0.0
        if self.simplex:
            p *= np.minimum(1.0, self.s / np.maximum(p.sum(axis=1), 1e-300))[:, None]
            p[self.true] = np.maximum(self.s - p.sum(axis=1), 0.0)
        return p

    def free(self, p):
        return p if self.simplex else p * (1.0 - p / self.room)

    def moved(self, p, change):
        if self.simplex:
            change = change - (p * change).sum(axis=1)[:, None] / self.room
        longest = np.abs(change).max(initial=0.0)
        change = change * min(1.0, 0.9 / max(longest, 1e-300))
        return self._completed(p - self.free(p) * change)

    def _balanced(self, p):
        for _ in range(4):
            g = self.slopes(p)
            total = g.sum(axis=0)
            if np.abs(total).max() <= 2 * np.finfo(self.dtype).eps * np.abs(g).sum():
                return p
            y = least_squares(self._flow(self.free(p)), total)
            p = self.moved(p, y - y[self.k][:, None])
        return self._thinned(p)

    def _thinned(self, p):
        """Slopes that sum to zero: those of each class multiplied by a number of its own."""
        sums = np.zeros((self.K, self.K))
        np.add.at(sums, self.k, self.slopes(p).astype(np.float64))
        kappa = stationary(sums)[self.k][:, None]
        return self._completed(kappa * p)

    def _flow(self, h):
        """How sums of slopes by class answer to changes of intercepts."""
        if self.simplex:
            return np.diag(h.sum(axis=0)) - (h / self.room).T @ h
        sums = np.zeros((self.K, self.K), self.dtype)
        np.add.at(sums, self.k, h)
        return np.diag((sums + sums.T).sum(axis=0)) - sums - sums.T
