"""Primal-dual interior-point method for piecewise-linear losses."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from sklearn_margin.solvers.base import Result, Solver, is_small

__all__ = ["InteriorPoint"]

_LARGEST = 3000  # order of the largest matrix to factorise


class InteriorPoint(Solver):
    """Mehrotra's predictor-corrector method for losses that are sums of hinges.

    A term of the loss is l·e + (r − l)·[e]₊ with e = z − kink, l and r its slopes. Writing
    e = p − q with p, q ≥ 0 and the slope as l + (r − l)·t with 0 ≤ t ≤ 1, the optimum is

        p (1 − t) = 0,   q t = 0,   λ₂ u + X̃ᵀ(s (l + (r − l) t)) = 0,

    and the method follows p (1 − t) = q t = τ to τ = 0. Eliminating p, q and t leaves one
    system with the matrix λ₂ + X̃ᵀ diag(ω) X̃ per step. An L1 penalty is a sum of hinges of
    the coefficients themselves. The target τ is the same for every row, so that a row of
    weight 2 follows the very path of two equal rows.

    With more features than rows the problem is solved in the span of the rows.

    ``tol`` is compared with the duality gap relative to F.

    References
    ----------
    .. [1] Mehrotra, "On the implementation of a primal-dual interior point method", SIAM
       Journal on Optimization 2, 1992.
    .. [2] Portnoy & Koenker, "The Gaussian hare and the Laplacian tortoise", Statistical
       Science 12, 1997.
    """

    name = "interior_point"

    def obstacle(self, objective):
        hinges = getattr(objective.loss, "piecewise_linear", None)
        if hinges is None or hinges(np.ones(1)) is None:
            return f"the loss {type(objective.loss).__name__} is not piecewise linear"
        n, d = objective.rows.shape
        if d > _LARGEST and (n > _LARGEST or not _spans(objective)):
            return f"with {n} rows and {d} features its linear systems would be too large"
        return None

    def solve(self, objective, start, *, tol, max_iter, callback=None, random_state=None):
        n, d = objective.rows.shape
        model = _SpanModel(objective) if d > n and _spans(objective) else _Model(objective)
        state = model.initial(start)
        goal = 1e-11 if objective.rows.dtype == np.float64 else 1e-6
        best, best_gap, n_iter = None, np.inf, 0
        while True:
            value, gap = model.gap(state)
            better = gap < best_gap
            if better or best is None:
                best, best_gap, best_value = state, gap, value
            reached = best_gap / max(abs(best_value), 1e-300)
            converged = reached <= tol
            polish = is_small(objective) and reached > goal and better
            if n_iter == max_iter or (converged and not polish) or not np.isfinite(value):
                break
            if not better and state.stalled:
                break
            n_iter += 1
            state = _step(model, state)
            if callback is not None and callback(n_iter, model.params(state)):
                break
        return Result(
            model.params(best), best_value, n_iter, bool(converged), best_gap, "duality gap", reached
        )


class _State(NamedTuple):
    """A point of the path; p, q, t by term."""

    x: np.ndarray
    p: np.ndarray
    q: np.ndarray
    t: np.ndarray
    e: np.ndarray  # z − kink
    stalled: bool = False


class _Model:
    """The problem as terms of A x − kink, with A = X̃ once or twice, then the identity."""

    def __init__(self, objective):
        self.objective = objective
        self.n, self.d = objective.rows.shape
        terms = objective.loss.piecewise_linear(objective.y.astype(np.float64))
        weight = objective.s.astype(np.float64)
        self.copies = len(terms)
        kinks, lefts, rights = ([np.asarray(part) for part in parts] for parts in zip(*terms))
        lefts = [weight * part for part in lefts]
        rights = [weight * part for part in rights]
        self.l2 = objective.penalty.l2
        if objective.penalty.has_l1:
            kinks.append(np.zeros(self.d))
            lefts.append(-objective.penalty.l1)
            rights.append(objective.penalty.l1)
        self.kink, self.left = np.concatenate(kinks), np.concatenate(lefts)
        self.width = np.concatenate(rights) - self.left
        self.dead = np.flatnonzero(self.width == 0)  # terms that are linear, or of no weight

    # Linear algebra; a subclass works in other coordinates.

    def apply(self, x):
        """A x."""
        z = self.objective.scores(x).astype(np.float64, copy=False)
        parts = [z] * self.copies
        if len(self.kink) > self.n * self.copies:
            parts.append(self.objective.split(x)[0])
        return np.concatenate(parts)

    def transpose(self, v):
        """Aᵀ v."""
        rows, rest = self._fold(v)
        projected, total = self.objective.rows.backproject(self._cast(rows))
        return self.objective.join(projected + rest, total)

    def normal_matrix(self, h):
        """Penalty plus Aᵀ diag(h) A."""
        rows, rest = self._fold(h)
        rows = self._cast(rows)
        gram, cross, total, _, _ = self.objective.rows.gram(rows, rows)
        d = self.d
        matrix = np.empty((self.objective.n_params,) * 2)
        matrix[:d, :d] = gram
        matrix[np.diag_indices(d)] += self.l2 + rest
        if self.objective.fit_intercept:
            matrix[:d, d] = matrix[d, :d] = cross
            matrix[d, d] = total
        return matrix

    def penalty_gradient(self, x):
        return self.objective.join(self.l2 * self.objective.split(x)[0], 0.0)

    def params(self, state):
        """Parameter vector of the objective at ``state``."""
        return state.x

    def _fold(self, v):
        rows = v[: self.n * self.copies].reshape(self.copies, self.n).sum(axis=0)
        rest = v[self.n * self.copies :]
        return rows, rest if len(rest) else 0.0

    def _cast(self, v):
        return v.astype(self.objective.rows.dtype, copy=False)

    # The path.

    def initial(self, start):
        x = self.encode(start)
        e = self.apply(x) - self.kink
        spread = float(np.average(np.abs(e), weights=self.width)) if self.width.any() else 1.0
        margin = 0.1 * spread if spread > 0 else 1.0
        p, q = np.maximum(e, 0) + margin, np.maximum(-e, 0) + margin
        return _State(x, p, q, np.clip(p / (p + q), 0.1, 0.9), e)

    def encode(self, start):
        return np.array(start, dtype=np.float64)

    def gap(self, state):
        """F at the point, and its distance to the dual value there."""
        slope = self.left + self.width * state.t
        primal = float(self.left @ state.e + self.width @ np.maximum(state.e, 0))
        u = self.split(state.x)
        value = primal + 0.5 * float((self.l2 * u) @ u)
        projected = self.transpose(slope)
        dual = -float(slope @ self.kink)
        free = projected[len(u) :]
        projected = projected[: len(u)]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            square = np.where(projected == 0, 0.0, 0.5 * projected**2 / self.l2)
        # Where nothing is penalised the dual is feasible only if the projection is zero:
        # charge what is left of it at the size of the coefficients.
        unpenalized = self.l2 <= 1e-12 * np.abs(projected).max(initial=0.0)
        size = np.abs(u) + np.abs(u).max(initial=0.0) + 1e-300
        square = np.where(unpenalized, np.abs(projected) * size, square)
        dual -= float(square.sum()) + float(np.abs(free) @ np.abs(state.x[len(u) :]))
        return value, max(value - dual, 0.0)

    def split(self, x):
        """The penalised part of x."""
        return self.objective.split(x)[0]


def _spans(objective):
    """Whether the optimum lies in the span of the rows."""
    return not objective.penalty.has_l1 and bool(np.all(objective.penalty.l2 > 0))


class _SpanModel(_Model):
    """The same problem for fewer rows than features: with v = √λ₂ u and X' = X̃/√λ₂, the
    optimum is v = X'ᵀβ. If X'X'ᵀ = L Lᵀ, the scores are L a + b with ‖a‖ = ‖v‖."""

    def __init__(self, objective):
        super().__init__(objective)
        rows = objective.rows
        kernel = np.empty((self.n, self.n))
        unit = np.zeros(self.n, rows.dtype)
        for i in range(self.n):
            unit[i] = 1
            kernel[i] = rows.scores(rows.backproject(unit)[0] / self.l2, 0.0)
            unit[i] = 0
        values, vectors = np.linalg.eigh(0.5 * (kernel + kernel.T))
        keep = values > values[-1] * len(values) * np.finfo(rows.dtype).eps
        self.root = np.sqrt(values[keep])
        self.vectors = vectors[:, keep]
        self.L = self.vectors * self.root
        self.penalized_l2 = self.l2
        self.l2 = np.ones(len(self.root))
        self.intercept = objective.fit_intercept

    def apply(self, x):
        z = self.L @ x[: len(self.root)]
        if self.intercept:
            z = z + x[-1]
        return np.concatenate([z] * self.copies)

    def transpose(self, v):
        rows, _ = self._fold(v)
        projected = self.L.T @ rows
        return np.append(projected, rows.sum()) if self.intercept else projected

    def normal_matrix(self, h):
        rows, _ = self._fold(h)
        k = len(self.root)
        matrix = np.empty((k + self.intercept,) * 2)
        matrix[:k, :k] = (self.L.T * rows) @ self.L
        matrix[np.diag_indices(k)] += 1.0
        if self.intercept:
            matrix[:k, k] = matrix[k, :k] = self.L.T @ rows
            matrix[k, k] = rows.sum()
        return matrix

    def split(self, x):
        return x[: len(self.root)]

    def penalty_gradient(self, x):
        gradient = np.zeros_like(x)
        gradient[: len(self.root)] = x[: len(self.root)]
        return gradient

    def encode(self, start):
        b = self.objective.split(start)[1]
        x = np.zeros(len(self.root) + self.intercept)
        if self.intercept:
            x[-1] = b
        return x

    def params(self, state):
        beta = self.vectors @ (self.split(state.x) / self.root)
        u = self.objective.rows.backproject(self._cast(beta))[0] / self.penalized_l2
        return self.objective.join(u, state.x[-1] if self.intercept else 0.0)


def _step(model, state):
    """One predictor-corrector step."""
    p, q, t = state.p, state.q, state.t
    weight = model.width
    total = 2.0 * weight.sum()
    upper, lower = p * (1 - t), q * t
    tau = float(weight @ (upper + lower)) / total
    residual = state.p - state.q - state.e  # of e = p − q
    residual[model.dead] = 0.0
    dual = model.penalty_gradient(state.x) + model.transpose(model.left + weight * t)
    omega = 1.0 / (p / (1 - t) + q / t)
    solve = _factorized(model.normal_matrix(weight * omega))

    def direction(target_p, target_q):
        rho = residual + target_p / (1 - t) - target_q / t
        dx = solve(model.transpose(weight * omega * rho) - dual)
        change = model.apply(dx)
        dt = omega * (change - rho)
        dt[model.dead] = target_p[model.dead] = target_q[model.dead] = 0.0
        return dx, (target_p + p * dt) / (1 - t), (target_q - q * dt) / t, dt, change

    _, dp, dq, dt, _ = direction(-upper, -lower)
    length = min(1.0, _longest(p, dp), _longest(q, dq), _longest(t, dt), _longest(1 - t, -dt))
    after = float(
        weight @ ((p + length * dp) * (1 - t - length * dt) + (q + length * dq) * (t + length * dt))
    )
    tau *= (after / (total * tau)) ** 3 if tau > 0 else 0.0
    dx, dp, dq, dt, change = direction(tau - upper + dp * dt, tau - lower - dq * dt)
    length = min(_longest(p, dp), _longest(q, dq), _longest(t, dt), _longest(1 - t, -dt))
    length = min(1.0, 0.995 * length)
    tiny = np.finfo(np.float64).tiny
    return _State(
        state.x + length * dx,
        np.maximum(p + length * dp, tiny),
        np.maximum(q + length * dq, tiny),
        np.clip(t + length * dt, 1e-20, 1.0 - 1e-16),
        state.e + length * change,
        stalled=length < 1e-6,
    )


def _longest(v, dv):
    """Longest step that keeps v + step·dv non-negative."""
    shrinking = dv < 0
    if not shrinking.any():
        return np.inf
    return float(np.min(v[shrinking] / -dv[shrinking]))


def _factorized(matrix):
    """Solver for a positive semi-definite matrix, damped as little as needed."""
    root = np.sqrt(np.maximum(matrix.diagonal(), 1e-300))
    matrix = matrix / np.outer(root, root)
    damping = 1e-15
    while True:
        matrix[np.diag_indices(len(root))] = 1.0 + damping
        try:
            factor = cho_factor(matrix, lower=True, check_finite=False)
        except LinAlgError:
            damping *= 100
            if damping > 1:
                raise
            continue
        return lambda v: cho_solve(factor, v / root, check_finite=False) / root
