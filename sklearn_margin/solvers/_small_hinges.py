"""Small problems whose loss is a sum of hinges of linear functions, and proofs about them."""

from typing import NamedTuple

import numpy as np

from sklearn_margin._linalg import factorized

__all__ = ["Certificate", "SmallHinges", "least_squares"]

_FEW = 200  # parameters, up to which least squares are quick
_REFINEMENTS = 3  # of the solution of a linear system


class Certificate(NamedTuple):
    """A point, F there, and a bound on how far that is above the minimum."""

    params: np.ndarray
    value: float
    gap: float


class SmallHinges:
    r"""Terms of the loss, then, for an L1 penalty and for bounds, the coefficients themselves.

    The variables x begin with the parameters. A term is l·e + (r − l)·[e]₊ with e = A x − kink.
    The first terms, n rows of them, are hinges [e]₊ times their weight: those of the loss.

    Parameters
    ----------
    objective : LinearObjective
    dtype : dtype
        What is computed in.
    used, minus : ndarray of int of shape (n,)
        Rows of X, and those that are subtracted from them; None is the shift of X̃.
    """

    #: Whether the slopes of a row of terms are a simplex, with a variable of its own.
    simplex = False
    #: What is added to the scores, or to their differences, of each row.
    offset: np.ndarray | float = 0.0

    def __init__(self, objective, dtype, used, minus=None):
        self.objective, self.dtype = objective, np.dtype(dtype)
        rows, penalty = objective.rows, objective.penalty
        self.raw = rows.raw(used).astype(dtype)
        if minus is not None:
            self.raw -= rows.raw(minus).astype(dtype)
        self.X = (self.raw if minus is not None else self.raw - rows.shift) / rows.scale
        self.n, self.d = self.X.shape
        self.n_params = objective.n_params
        self.margin = float(objective.loss.margin)
        self.l1, self.l2 = penalty.l1.astype(dtype), penalty.l2.astype(dtype)
        self.has_l1 = penalty.has_l1
        self.lower, self.upper = penalty.lower, penalty.upper
        self.loose = slice(0) if penalty.loose is None else penalty.loose

    def _set_terms(self, kink, width):
        # No column of X̃ᵀg is larger, whatever the slopes g of the loss.
        steepest = np.tile(width.sum(axis=1) @ np.abs(self.X), self.objective.n_outputs)
        own = list(self.objective.penalty.hinges(steepest))
        kinks, lefts, rights = zip(*own, strict=True) if own else [()] * 3
        self.shape, self.repeats = width.shape, len(own)
        self.kink = np.concatenate([kink.ravel(), *kinks]).astype(self.dtype)
        self.left = np.concatenate([0.0 * kink.ravel(), *lefts]).astype(self.dtype)
        widths = (right - left for left, right in zip(lefts, rights, strict=True))
        self.width = np.concatenate([width.ravel(), *widths]).astype(self.dtype)
        self.linear = np.zeros(self.n_params + self.n * self.simplex, self.dtype)

    # --- what a subclass provides ---

    def differences(self, x):
        """A x by term of the loss, without the variables of the simplices."""
        raise NotImplementedError

    def margins(self, x):
        """What the loss is a function of."""
        raise NotImplementedError

    def margins_of(self, z):
        """The same by scores, or by differences of scores, without the offset."""
        raise NotImplementedError

    def losses(self, t):
        """Loss by row, for these margins."""
        raise NotImplementedError

    def loss_gap(self, p, t, losses):
        """Σ [s ℓ(z) + s ℓ*(g/s) − g·z] for slopes p of the terms, as a sum of such terms."""
        raise NotImplementedError

    def slopes(self, p):
        """Slopes of the scores of each row for slopes of its terms, of shape (n, n_outputs)."""
        raise NotImplementedError

    def matrix(self, h):
        """Aᵀ diag(h) A over the terms of the loss, in the order of the parameters and the dtype of
        ``h``."""
        raise NotImplementedError

    def feasible(self, p):
        """Slopes of the loss near ``p`` that sum to zero if there are intercepts."""
        raise NotImplementedError

    def free(self, p):
        """By how much slopes can move."""
        raise NotImplementedError

    # --- variables, and the linear map ---

    def encode(self, params):
        """x for a parameter vector."""
        params = np.array(params, dtype=self.dtype)
        if not self.simplex:
            return params
        return np.concatenate([params, self.margins(params).max(axis=1)])

    def decode(self, x):
        """Parameter vector for x, with intercepts no larger than they need be."""
        params = x[: self.n_params].copy()
        if self.objective.fit_intercept:
            params[len(self.l2) :] -= params[len(self.l2) :].mean()
        return params.astype(np.float64)

    def terms(self, v):
        """The part of ``v`` by term of the loss, and the sums of the rest by coefficient."""
        size = self.shape[0] * self.shape[1]
        rest = v[size:].reshape(self.repeats, len(self.l2)).sum(axis=0)
        return v[:size].reshape(self.shape), rest

    def of_l1(self, v):
        """The part of ``v`` of the L1 penalty, the first of the terms of coefficients."""
        size = self.shape[0] * self.shape[1]
        return v[size : size + len(self.l2)]

    def apply(self, x):
        """A x."""
        e = self.differences(x)
        if self.simplex:
            e = e - x[self.n_params :, None]
        u = x[: len(self.l2)]
        return np.concatenate([e.ravel(), *[u] * self.repeats])

    def back(self, v):
        """Slopes of the parameters for those of the terms."""
        g = self.slopes(v)
        parts = [(g.T @ self.X).ravel()]
        return np.concatenate([*parts, g.sum(axis=0)] if self.objective.fit_intercept else parts)

    def transpose(self, v):
        """Aᵀ v."""
        terms, rest = self.terms(v)
        params = self.back(terms)
        params[: len(rest)] += rest
        return np.concatenate([params, -terms.sum(axis=1)]) if self.simplex else params

    def penalty_bend(self, x):
        """Product of the Hessian of the penalty with x."""
        bend = np.zeros_like(x)
        bend[: len(self.l2)] = self.l2 * x[: len(self.l2)]
        return bend

    # --- linear systems ---

    def solver(self, h):
        """Function that solves with the Hessian of the penalty plus Aᵀ diag(h) A."""
        terms, rest = self.terms(h)
        total = terms.sum(axis=1)
        matrix = self.matrix(terms)
        diagonal = np.arange(len(self.l2))
        matrix[diagonal, diagonal] += self.l2 + rest
        if self.objective.fit_intercept:
            # That all intercepts grow alike changes nothing: the heaviest class keeps its own.
            heaviest = len(diagonal) + np.argmax(matrix.diagonal()[len(diagonal) :])
            matrix[heaviest, heaviest] *= 2.0
        solve = _solver(matrix)

        def once(right):
            if not self.simplex:
                return solve(right)
            r, r_xi = right[: self.n_params], right[self.n_params :] / total
            x = solve(r + self.back(terms * r_xi[:, None]))
            back = (terms * self.differences(x)).sum(axis=1) / total
            return np.concatenate([x, r_xi + back])

        def refined(right):
            x = once(right)
            for _ in range(_REFINEMENTS):
                x = x + once(right - self.transpose(h * self.apply(x)) - self.penalty_bend(x))
            return x

        return refined

    # --- certificates ---

    def certify(self, x, multipliers, rounds=1) -> Certificate:
        """F, and the least bound on F − min F from slopes near ``multipliers``, rounding included.

        For slopes g that are a feasible dual point, with v = X̃ᵀg,

            F − D = Σ_i [s_i ℓ(z_i) + s_i ℓ*(g_i/s_i) − g_i·z_i] + Σ_j [P_j(u_j) + P_j*(−v_j)
                    + u_j v_j]

        is a sum of terms that are not negative. For ``rounds`` the slopes move so that more
        of the second sum vanishes. A sum of m terms is off by at most unit · Σ|terms|, with a
        unit of some √m times the rounding error (Higham & Mary 2019).
        """
        params = self.objective.feasible(self.decode(x))
        x = params.astype(self.dtype)  # as it is returned
        u, b = x[: len(self.l2)], x[len(self.l2) :]
        t = self.margins(x)
        losses = self.losses(t)
        loss = self.s @ losses
        value = loss + self.penalty(u)
        unit = np.finfo(self.dtype).eps * (4.0 * np.sqrt(self.n + self.d) + 8.0)
        least, p = value, self.feasible(multipliers)
        for k in range(rounds):
            g = self.slopes(p)
            weight = np.abs(g).sum(axis=0)
            total = g.sum(axis=0)
            v = (g.T @ self.X).ravel()
            size = (np.abs(g).T @ np.abs(self.X)).ravel()
            if len(b) == 0 or np.abs(total).max() <= unit * weight.sum():
                gap = self._penalty_gap(u, v, unit * size, self.loss_gap(p, t, losses), loss)
                gap += unit * (size @ np.abs(u) + value)
                gap += unit * (weight @ np.abs(b)) if len(b) else 0.0
                gap += unit * np.abs(g * self.offset).sum()
                least = min(least, gap)
            if k + 1 < rounds:
                p = self._nearer(p, u, v, total)
        return Certificate(params, float(value), float(least))

    def penalty(self, u):
        """The penalty at u."""
        return 0.5 * (self.l2 @ (u * u)) + self.l1 @ np.abs(u)

    def _penalty_gap(self, u, v, unsure, first, loss):
        """The gap with all slopes as they are, or multiplied by κ ≤ 1 to meet an L1 penalty."""
        longest, best = np.abs(v) + unsure, np.inf
        # A sum that is rounding error is zero, as that of an intercept is.
        longest[self.loose] *= longest[self.loose] > 2 * unsure[self.loose]
        if self.objective.penalty.has_bounds:
            v = np.where(longest == 0, 0.0, v)
            unsure = np.where(longest == 0, 0.0, unsure)
            gap, kappa = self.objective.penalty.gap(u, v + self.l2 * u, unsure, loss - first)
            return first + gap
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            shares = np.where(longest > self.l1, self.l1 / longest, 1.0)
            for kappa in (1.0, shares.min(initial=1.0)):
                over = np.maximum(kappa * longest - self.l1, 0.0)
                over[over <= 2 * np.finfo(self.dtype).eps * self.l1] = 0.0
                conjugate = np.where(over > 0, over**2 / (2.0 * self.l2), 0.0)
                terms = kappa * u * v + self.l1 * np.abs(u) + 0.5 * self.l2 * u * u + conjugate
                gap = kappa * first + (1 - kappa) * loss + np.maximum(terms, 0.0).sum()
                best = gap if gap < best else best
        return best

    def stored_value(self, params):
        """F of the model as it is stored: by raw features, in the dtype of X."""
        objective = self.objective
        dtype = objective.rows.dtype
        w, b = (np.asarray(part, dtype).astype(self.dtype) for part in objective.to_coef(params))
        u = (w * objective.rows.scale).ravel()
        X, z = self.raw, self.raw @ w.T
        off = np.abs(X) @ np.abs(w).T
        if objective.fit_intercept:
            z, off = z + b, off + np.abs(b)
        unit = np.finfo(self.dtype).eps * (4.0 * np.sqrt(self.n + self.d) + 8.0)
        off = off.reshape(self.n, -1) + np.abs(self.offset)
        charge = 2.0 * unit * (self.s @ off.sum(axis=1))
        return float(self.s @ self.losses(self.margins_of(z)) + self.penalty(u) + charge)

    def _nearer(self, p, u, v, total):
        """Slopes with which fewer coordinates miss their optimum.

        The slopes that are not at a bound move by −diag(h) A y, where Aᵀ diag(h) A y is what
        is missing; h is p of a simplex and p (1 − p/s) of a hinge, so that none leaves its bounds
        if |A y| is less than 1.
        """
        over = np.sign(v) * np.maximum(np.abs(v) - self.l1, 0.0)
        missing = np.where(u != 0, v + self.l2 * u + self.l1 * np.sign(u), over)
        missing = np.where(u <= self.lower, np.minimum(missing, 0.0), missing)
        missing = np.where(u >= self.upper, np.maximum(missing, 0.0), missing)
        active = ((u != 0) & (u > self.lower) & (u < self.upper)) | (missing != 0)
        if self.objective.fit_intercept:
            missing = np.concatenate([missing, total])
            active = np.concatenate([active, np.ones(len(total), bool)])
        y = np.zeros(self.n_params, self.dtype)
        if active.any():
            free = np.maximum(self.free(p), 1e-300).astype(np.float64)
            matrix = self.matrix(free)[np.ix_(active, active)]
            y[active] = least_squares(matrix, missing[active])
        return self.feasible(self.moved(p, self.differences(y)))

    def moved(self, p, change):
        """Slopes after margins have fallen by ``change``, to first order, but within bounds."""
        raise NotImplementedError


def _solver(matrix):
    """Function that solves with a positive semi-definite matrix, in its precision.

    Raises
    ------
    LinAlgError
        If it is not finite.
    """
    if matrix.dtype != np.longdouble:
        return factorized(matrix, hold=True)
    root = np.sqrt(np.maximum(matrix.diagonal(), 1e-300))
    solve = _wide_factorized(matrix / np.outer(root, root))
    return lambda v: solve(v / root) / root


def _wide_factorized(matrix):
    """The same without LAPACK: L D Lᵀ, without the directions that rounding error hides."""
    L, size = matrix.copy(), len(matrix)
    smallest = size * np.finfo(matrix.dtype).eps
    inverse = np.zeros(size, matrix.dtype)
    for j in range(size):
        pivot = L[j, j]
        if pivot > smallest:
            inverse[j] = 1.0 / pivot
        column = L[j + 1 :, j].copy()
        L[j + 1 :, j] *= inverse[j]
        L[j + 1 :, j + 1 :] -= np.outer(L[j + 1 :, j], column)

    def solve(v):
        y = v.copy()
        for j in range(size):
            y[j + 1 :] -= y[j] * L[j + 1 :, j]
        y *= inverse
        for j in range(size - 1, -1, -1):
            y[j] -= L[j + 1 :, j] @ y[j + 1 :]
        return y

    return solve


def least_squares(matrix, right):
    """Solution of a positive semi-definite system of whatever scales, in double precision."""
    matrix = matrix.astype(np.float64)
    root = np.sqrt(np.maximum(matrix.diagonal(), 1e-200))
    right = right.astype(np.float64) / root
    if len(root) > _FEW:
        return factorized(matrix, hold=True)(right * root)
    return np.linalg.lstsq(matrix / np.outer(root, root), right, rcond=1e-13)[0] / root
