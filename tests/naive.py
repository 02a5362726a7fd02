"""Objectives written from the definitions alone: by NumPy, and by CVXPY.

``FORMULA`` has the value of each loss by row, or by pair, for arrays in extended precision.
``known(problem)`` is the lowest value CVXPY and Clarabel find, evaluated by these formulas, so that
it bounds the minimum from above whatever they say.
"""

import warnings

import cvxpy as cp
import numpy as np

__all__ = ["FORMULA", "concomitant", "known"]

LD = np.longdouble

# --- losses: value of each row, or of each pair ------------------------------------------------


def pos(u):
    return np.maximum(u, 0)


def huber(r, delta):
    r = np.abs(r)
    return np.where(r <= delta, r * r / 2, delta * (r - delta / 2))


def log_sum_exp(z):
    top = z.max(axis=1, keepdims=True)
    return np.log(np.exp(z - top).sum(axis=1)) + top[:, 0]


def above(z, k, margin):
    """margin·[j ≠ k] + z_j − z_k."""
    rows = np.arange(len(z))
    t = z - z[rows, k][:, None] + margin
    t[rows, k] = 0
    return t


#: Loss of labels (or targets) y and scores z, by row; of differences d, by pair.
FORMULA = {
    "Hinge": lambda p, y, z: pos(p.margin - y * z),
    "SquaredHinge": lambda p, y, z: pos(p.margin - y * z) ** 2,
    "SmoothedHinge": lambda p, y, z: huber(pos(p.margin - y * z), p.smoothing) / p.smoothing,
    "ModifiedHuber": lambda p, y, z: 2 * huber(pos(1 - y * z), 2),
    "Logistic": lambda p, y, z: np.logaddexp(LD(0), -y * z),
    "Squared": lambda p, y, z: (y - z) ** 2,
    "Absolute": lambda p, y, z: np.abs(y - z),
    "Huber": lambda p, y, z: huber(y - z, p.delta),
    "Quantile": lambda p, y, z: np.where(y > z, LD(p.quantile), LD(p.quantile) - 1) * (y - z),
    "EpsilonInsensitive": lambda p, y, z: pos(np.abs(y - z) - p.epsilon),
    "SquaredEpsilonInsensitive": lambda p, y, z: pos(np.abs(y - z) - p.epsilon) ** 2,
    "CrossEntropy": lambda p, k, z: log_sum_exp(z) - z[np.arange(len(z)), k],
    "CrammerSinger": lambda p, k, z: above(z, k, p.margin).max(axis=1),
    "WestonWatkins": lambda p, k, z: pos(above(z, k, p.margin)).sum(axis=1),
    "PairwiseHinge": lambda p, d: pos(p.margin - d),
    "PairwiseSquaredHinge": lambda p, d: pos(p.margin - d) ** 2,
    "PairwiseLogistic": lambda p, d: np.logaddexp(LD(0), -d),
}


def concomitant(r, s, epsilon):
    """min over σ > 0 of Σ s [σ/2 + σ ρ(r/σ)]: the least of all values where the derivative can
    vanish, with the k smallest residuals inside, and where a residual changes sides."""
    r = np.abs(r)
    order = np.argsort(r)
    inside = np.concatenate([[LD(0)], np.cumsum(s[order] * r[order] ** 2)])
    outside = np.concatenate([[LD(1)], 1 - np.cumsum(s[order])])
    room = 1 - LD(epsilon) ** 2 * outside
    square = np.divide(inside, room, out=np.zeros_like(room), where=room > 0)
    sigma = np.concatenate([np.sqrt(square), r / epsilon])
    sigma = sigma[sigma > 0][:, None]
    best = epsilon * (s * r).sum()  # σ → 0
    if len(sigma):
        value = (s * (sigma / 2 + sigma * huber(r / sigma, LD(epsilon)))).sum(axis=1)
        best = min(best, value.min())
    return best


# The same by CVXPY, for u = y·z (labels), r = y − z (targets), d (differences) or (Z, one-hot).
EXPRESSION = {
    "Hinge": lambda p, u: cp.pos(p.margin - u),
    "SquaredHinge": lambda p, u: cp.square(cp.pos(p.margin - u)),
    "SmoothedHinge": lambda p, u: cp.huber(cp.pos(p.margin - u), p.smoothing) / (2 * p.smoothing),
    "ModifiedHuber": lambda p, u: cp.huber(cp.pos(1 - u), 2),
    "Logistic": lambda p, u: cp.logistic(-u),
    "Squared": lambda p, r: cp.square(r),
    "Absolute": lambda p, r: cp.abs(r),
    "Huber": lambda p, r: cp.huber(r, p.delta) / 2,
    "Quantile": lambda p, r: p.quantile * cp.pos(r) + (1 - p.quantile) * cp.pos(-r),
    "EpsilonInsensitive": lambda p, r: cp.pos(cp.abs(r) - p.epsilon),
    "SquaredEpsilonInsensitive": lambda p, r: cp.square(cp.pos(cp.abs(r) - p.epsilon)),
    "CrossEntropy": lambda p, Z, hot: (
        cp.log_sum_exp(Z, axis=1) - cp.sum(cp.multiply(hot, Z), axis=1)
    ),
    "CrammerSinger": lambda p, Z, hot: (
        cp.max(Z + p.margin * (1 - hot), axis=1) - cp.sum(cp.multiply(hot, Z), axis=1)
    ),
    "WestonWatkins": lambda p, Z, hot: cp.sum(
        cp.multiply(
            1 - hot,
            cp.pos(
                Z
                - cp.reshape(cp.sum(cp.multiply(hot, Z), axis=1), (hot.shape[0], 1), "C")
                @ np.ones((1, hot.shape[1]))
                + p.margin
            ),
        ),
        axis=1,
    ),
    "PairwiseHinge": lambda p, d: cp.pos(p.margin - d),
    "PairwiseSquaredHinge": lambda p, d: cp.square(cp.pos(p.margin - d)),
    "PairwiseLogistic": lambda p, d: cp.logistic(-d),
}


# --- a reference --------------------------------------------------------------------------------


def known(problem):
    """The least value of each problem that CVXPY and Clarabel find: an upper bound of its minimum;
    infinity where they fail."""
    found, X = [], problem.X.astype(LD)
    for y in problem.targets():
        value = LD(np.inf)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                w, b = _solve(problem, y)
                value = problem.mean_loss(y, X @ w.T + b) + problem.penalty(w)
        except (cp.error.SolverError, ValueError, ArithmeticError):
            pass
        found.append(value if np.isfinite(value) else LD(np.inf))
    return np.array(found)


def _solve(problem, y):
    """Coefficients and intercept of one problem, in extended precision.

    Columns are centred (if there is an intercept) and divided by their size, or by what the
    penalty says is the size of a coefficient where that is more; targets of ``HuberRegressor``, by
    theirs. Rows are differences where the loss is one of pairs.
    """
    X, s, share = problem.X.astype(LD), problem.shares(), LD(problem.l1_ratio)
    d, k = X.shape[1], 1 if y.dtype == LD else int(y.max()) + 1
    shift, unit, constraints = np.zeros(d, LD), LD(1), []
    if problem.family == "pairwise":
        i, j, s = problem.pairs()
        A, y = X[i] - X[j], np.ones(len(i))
        if not len(i):
            return shift, LD(0)
    else:
        if problem.fit_intercept:
            shift = X[s > 0].mean(axis=0)
        A, y, s = X[s > 0] - shift, y[s > 0], s[s > 0]
    scale = np.maximum(np.abs(A).max(axis=0), np.sqrt(problem.alpha * (1 - share)))
    scale = np.maximum(scale, problem.alpha * share)
    scale[scale == 0] = 1
    A, s = (A / scale).astype(float), s.astype(float)
    v, b = cp.Variable((d, k)), cp.Variable((1, k)) if problem.fit_intercept else np.zeros((1, k))
    z = A @ v + np.ones((len(A), 1)) @ b
    if problem.loss is None:
        unit, sigma = max(np.abs(y).max(), LD(1e-300)), cp.Variable()
        near = cp.Variable(len(y))  # the part of a residual that counts as square
        r = (y / unit).astype(float) - cp.reshape(z, (len(y),), "C")
        loss = sigma / 2 + cp.quad_over_lin(cp.multiply(np.sqrt(s), near), sigma) / 2
        loss += problem.epsilon * cp.sum(cp.multiply(s, cp.abs(r - near)))
        constraints = [sigma >= 0]
    else:
        loss = cp.sum(cp.multiply(s, _expression(problem, y, z, k)))
    w = cp.multiply((1 / scale).astype(float)[:, None] @ np.ones((1, k)), v)
    ridge = float(unit * problem.alpha * (1 - share)) / 2 * cp.sum_squares(w)
    total = loss + ridge + float(problem.alpha * share) * cp.sum(cp.abs(w))
    task = cp.Problem(cp.Minimize(total), constraints)
    task.solve(solver=cp.CLARABEL, tol_gap_rel=1e-10, tol_gap_abs=1e-13, tol_feas=1e-10)
    if v.value is None:
        raise ValueError(task.status)
    w = unit * v.value.T.astype(LD) / scale
    b = unit * np.asarray(getattr(b, "value", b), dtype=LD)[0] - w @ shift
    return (w, b) if k > 1 else (w[0], b[0])


def _expression(problem, y, z, k):
    """Loss by row, or by pair."""
    name = type(problem.loss).__name__
    if k > 1:
        return EXPRESSION[name](problem.loss, z, np.eye(k)[y])
    z, y = cp.reshape(z, (len(y),), "C"), y.astype(float)
    if problem.family == "regression":
        return EXPRESSION[name](problem.loss, y - z)
    return EXPRESSION[name](problem.loss, cp.multiply(y, z))
