r"""A duality gap where the plain one is rounding error: a dual point corrected in small steps.

The gap from the gradient of F, ½ Σ r_j²/λ_j with r = X̃ᵀg + λu, is as good as r is known. Where λ
is tiny (columns of size 10⁹, alpha = 10⁻⁸, no intercept beside offset columns) the rounding error
of r alone makes it useless, though u is optimal. Two things help.

* X̃ᵀg is computed to twice the working precision, from X and g as they are stored.
* g is corrected to g + Δ such that X̃ᵀΔ = −r: Δ = −D X̃ p with (X̃ᵀDX̃ + λ) p = r, D the Hessian
  of L. Small as Δ is, it is known to many digits; g + Δ is never rounded to one number.

L*(g + Δ) exceeds L*(g) + z·Δ by Σ ∫ (z_i(t) − z_i) dt, where z_i(t) is the score at which the
slope of row i is t. Slopes of a convex loss do not fall: if at z + ζ that of a row has changed by
\|Δ_i\| or more, the row's part of the sum is at most \|ζ_i Δ_i\|. So a proof takes no more than
another gradient of L.
"""

import numpy as np
import scipy.sparse as sp
from scipy.linalg import LinAlgError

from sklearn_margin._jit import kernel
from sklearn_margin._linalg import factorized

__all__ = ["reached_slopes", "refined_gap"]

_CORRECTIONS = 4


def refined_gap(objective, params) -> float:
    """Bound on F − min F, for a loss of one score per row and few parameters.

    Parameters
    ----------
    objective : PointwiseObjective
        Convex, with a penalty. Its ``corrected`` says what a correction costs.
    params : ndarray of shape (n_params,)

    Returns
    -------
    float
        Infinity where there is no bound.
    """
    z = objective.scores(params)
    n, d = objective.rows.shape
    X = objective.rows.dense(np.arange(n))
    if objective.fit_intercept:
        X = np.column_stack([X, np.ones(n)])
    u, _ = objective.split(params)
    curvature = objective.widest_curvature(z)
    g = curvature.gradient.astype(np.float64)
    v = _accurate_backprojection(objective, g)
    weighted = _hessian_times(curvature, X)
    best, wanted = np.inf, np.zeros(n)
    for _ in range(_CORRECTIONS):
        delta, cost = objective.corrected(z, curvature, wanted)
        moved = v + X.T @ delta
        gap = _gap(objective, u, moved, g + delta, curvature.value, cost)
        best = min(best, gap) if np.isfinite(gap) else best
        residual, active = objective.penalty.missing(u, moved[:d])
        if objective.fit_intercept:
            residual, active = np.append(residual, moved[d]), np.append(active, True)
        system = X.T @ weighted
        objective.penalty.add_hessian(system)
        system = system[np.ix_(active, active)]
        try:
            step = factorized(system)(residual[active])
        except (LinAlgError, ValueError):
            break
        wanted = delta - weighted[:, active] @ step
        if not np.isfinite(wanted).all():
            break
    return best


def _gap(objective, u, moved, g, loss, cost):
    """Gap for the slopes g, which are ``cost`` away from those of L, with X̃ᵀg and Σg in
    ``moved``."""
    d = len(u)
    slack = share = 0.0
    slopes = objective.slopes(g)
    if objective.fit_intercept and abs(moved[d]) > 1e-15 * slopes.size:
        if not objective.may_scale or objective.penalty.loose is not None:
            return np.inf
        share, slack = objective.share_to_cancel(slopes, moved[d])
    price = objective.scale_price(loss + cost)
    residual = moved[:d] + objective.penalty.hessian_product(u)
    residual = objective.without_rounding(residual, slopes)
    gap, _ = objective.penalty.gap(u, residual, slack, price)
    return gap + cost + share * (loss + cost)


def _hessian_times(curvature, X):
    """Hessian of L times the matrix X."""
    product = curvature.h[:, None].astype(np.float64) * X
    if curvature.q is not None:
        q = curvature.q.astype(np.float64)
        product -= np.outer(q, (q @ X) / curvature.pivot)
    return product


def reached_slopes(g, moved, wanted, eps):
    """``wanted`` changes of slopes, no larger than those seen.

    Parameters
    ----------
    g, moved : ndarray of shape (n,)
        Slopes at the scores, and at scores beyond them.
    wanted : ndarray of shape (n,)
        Changes.
    eps : float
        Relative rounding error of slopes.

    Returns
    -------
    ndarray of shape (n,)
    """
    seen = np.maximum((moved - g) * np.sign(wanted) - 8 * eps * np.abs(g), 0.0)
    return np.sign(wanted) * np.minimum(np.abs(wanted), seen)


def _accurate_backprojection(objective, g):
    """X̃ᵀg, and Σg if there is an intercept, to about twice the working precision."""
    rows = objective.rows
    X = rows.X.toarray() if sp.issparse(rows.X) else rows.X
    high, low = np.zeros(X.shape[1] + 1), np.zeros(X.shape[1] + 1)
    _compensated_products(X, g, high, low)
    projected = (high[:-1] - rows.shift * high[-1]) + (low[:-1] - rows.shift * low[-1])
    return objective.join(projected / rows.scale, high[-1] + low[-1])


@kernel
def _compensated_products(X, g, high, low):
    """Xᵀg and Σg as sums high + low (Ogita, Rump & Oishi, "Accurate sum and dot product", SIAM
    Journal on Scientific Computing 26, 2005, algorithm 5.3)."""
    d = X.shape[1]
    for i in range(X.shape[0]):
        g_high = g[i] * 134217729.0  # 2²⁷ + 1: splits a number into two of half its digits
        g_high = g_high - (g_high - g[i])
        g_low = g[i] - g_high
        for j in range(d + 1):
            x = 1.0 if j == d else float(X[i, j])
            x_high = x * 134217729.0
            x_high = x_high - (x_high - x)
            x_low = x - x_high
            product = x * g[i]
            error = x_low * g_low - (
                ((product - x_high * g_high) - x_low * g_high) - x_high * g_low
            )
            total = high[j] + product
            part = total - high[j]
            low[j] += ((high[j] - (total - part)) + (product - part)) + error
            high[j] = total
