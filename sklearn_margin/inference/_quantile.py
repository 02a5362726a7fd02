"""Standard errors of quantile regression: the density of the errors at the quantile.

With f_i that of row i, A = Σ s_i f_i x_i x_iᵀ and B = τ(1 − τ) Σ s_i² x_i x_iᵀ.
"""

import numpy as np
from scipy.optimize import lsq_linear
from scipy.stats import norm

from sklearn_margin.inference._equations import (
    Equations,
    check_enough_rows,
    check_groups,
    check_regular,
    correction,
    covariance,
    gram,
    meat,
)
from sklearn_margin.losses import Quantile

__all__ = ["BANDWIDTHS", "KERNELS", "QUANTILE", "quantile_covariance"]

_AT_THE_KINK = 1e-5  # of the spread of the residuals
QUANTILE = ("iid", "robust", "kernel", "hks", "cluster")


def _epanechnikov(u):
    return 0.75 * np.maximum(1.0 - u * u, 0.0)


def _biweight(u):
    return 15.0 / 16.0 * np.maximum(1.0 - u * u, 0.0) ** 2


def _cosine(u):
    return np.where(np.abs(u) <= 0.5, 1.0 + np.cos(2.0 * np.pi * u), 0.0)


def _parzen(u):
    u = np.abs(u)
    far = 8.0 / 3.0 * np.maximum(1.0 - u, 0.0) ** 3
    return np.where(u <= 0.5, 4.0 / 3.0 - 8.0 * u**2 + 8.0 * u**3, far)


KERNELS = {
    "epanechnikov": _epanechnikov,
    "gaussian": norm.pdf,
    "biweight": _biweight,
    "cosine": _cosine,
    "parzen": _parzen,
}


def _hall_sheather(n, tau):
    x = norm.ppf(tau)
    ratio = 1.5 * norm.pdf(x) ** 2 / (2.0 * x**2 + 1.0)
    return n ** (-1 / 3) * norm.ppf(0.975) ** (2 / 3) * ratio ** (1 / 3)


def _bofinger(n, tau):
    x = norm.ppf(tau)
    return (4.5 * norm.pdf(x) ** 4 / (2.0 * x**2 + 1.0) ** 2 / n) ** 0.2


def _chamberlain(n, tau):
    return norm.ppf(0.975) * np.sqrt(tau * (1 - tau) / n)


BANDWIDTHS = {
    "hall-sheather": _hall_sheather,
    "bofinger": _bofinger,
    "chamberlain": _chamberlain,
}


def quantile_covariance(fit, method, kernel, bandwidth):
    """Covariance matrix of the coefficients of one or several quantiles.

    Raises
    ------
    ValueError
        If the coefficients are no minimum, or are shrunk.
    """
    if method == "cluster":
        check_groups(fit, method)
    check_enough_rows(fit, fit.n_params)
    taus = [float(objective.loss.quantile) for objective in fit.objectives]
    equations = [
        _equations(fit, k, tau, method, KERNELS[kernel], BANDWIDTHS[bandwidth])
        for k, tau in enumerate(taus)
    ]
    if method in ("robust", "cluster"):
        middle = meat(fit, equations, "cluster" if method == "cluster" else "HC0")
    else:
        both = np.minimum.outer(taus, taus) - np.multiply.outer(taus, taus)
        middle = np.kron(both, gram(fit.objectives[0], fit.objectives[0].s ** 2))
    return covariance(fit, equations, middle) * correction(fit, method, fit.n_params)


def _equations(fit, k, tau, method, kernel, bandwidth):
    objective, params = fit.objectives[k], fit.params[k]
    s = objective.s
    with objective.rows.session():
        e = objective.y - objective.scores(params)
        used = fit.used
        spread = np.subtract(*np.percentile(e[used], [75, 25])) / 1.34
        if not spread > _AT_THE_KINK * np.std(e):
            raise ValueError(
                "half of the residuals are zero, or almost: errors of quantiles rest on a density "
                "at the quantile, and here it is infinite"
            )
        width = bandwidth(fit.n, tau)
        while tau - width <= 0 or tau + width >= 1:
            width *= 0.5
        if method == "hks":
            h, f = None, _difference_quotients(fit, objective, params, tau, width)
        else:
            h = min(np.std(objective.y[used]), spread)
            h *= norm.ppf(tau + width) - norm.ppf(tau - width)
            f = kernel(e / h) / h
            if method in ("iid", "robust"):
                f = np.full(fit.n if used.all() else len(e), float(s @ f))
        hessian = objective.with_penalty(gram(objective, s * f))
    check_regular(fit, hessian)
    g = s * np.where(e > 0, -tau, 1.0 - tau)
    shrinkage = objective.penalty_gradient(params)
    gradient, g = _least_gradient(objective, params, e, g, tau, shrinkage)
    return Equations(hessian, g, gradient, shrinkage)


def _difference_quotients(fit, objective, params, tau, width):
    """f_i = 2w / (x_i·(θ(τ + w) − θ(τ − w))), of fits at two neighbouring quantiles [1]_.

    References
    ----------
    .. [1] Hendricks & Koenker, "Hierarchical spline models for conditional quantiles and the demand
       for electricity", Journal of the American Statistical Association 87, 1992.
    """
    scores = []
    for near in (tau - width, tau + width):
        there = objective.with_loss(Quantile(quantile=near))
        scores.append(there.scores(fit.solve(there, params).params))
    between = scores[1] - scores[0]
    small = np.sqrt(np.finfo(np.float64).eps) * np.std(objective.y)
    return np.where(between > small, 2 * width / np.maximum(between - small, small), 0.0)


def _least_gradient(objective, params, e, g, tau, shrinkage):
    """The subgradient of least norm, and slopes by row.

    Slopes at the kink are free for the former, and among the latter as large as those of other rows
    are in root mean square, for they are to tell the variance of these. Rows within a
    hundred-thousandth of the spread of the residuals are at it, for solvers end near a vertex and
    not at one.
    """
    near = (np.abs(e) <= _AT_THE_KINK * np.std(e)) & (objective.s > 0)
    at = np.flatnonzero(near)
    if len(at) == 0:
        return objective.loss_gradient(g) + shrinkage, g
    rest = objective.loss_gradient(np.where(near, 0.0, g)) + shrinkage
    Z = objective.rows.dense(at)
    if objective.fit_intercept:
        Z = np.column_stack([Z, np.ones(len(at))])
    # Rows that are equal, as those of a few categories are, count together.
    Z, cell = np.unique(Z, axis=0, return_inverse=True)
    Z *= np.bincount(cell.ravel(), weights=objective.s[at])[:, None]
    if len(Z) > 20 * len(params):
        return objective.loss_gradient(g) + shrinkage, g
    free = lsq_linear(Z.T, -rest, bounds=(-tau, 1.0 - tau)).x
    g[at] = objective.s[at] * np.copysign(np.sqrt(tau * (1.0 - tau)), free[cell.ravel()])
    return rest + Z.T @ free, g
