"""Estimating equations: from the slopes of a loss by row to a covariance matrix.

At a minimum Σ_i ψ_i(θ) = 0, where ψ_i is the gradient of row i. With A the Hessian and
B = Σ ψ_i ψ_iᵀ the covariance of θ is about A⁻¹ B A⁻¹ [1]_. Here for all problems of a model at
once: A is block diagonal, B is not.

.. [1] Huber, "The behavior of maximum likelihood estimates under nonstandard conditions",
   Berkeley Symposium 5, 1967.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse as sp

__all__ = [
    "Equations",
    "check_enough_rows",
    "check_groups",
    "check_minimum",
    "check_regular",
    "correction",
    "covariance",
    "gram",
    "meat",
]

_FAR = 0.1  # standard errors that a coefficient may be off by
_SINGULAR = 1e-11


class Equations(NamedTuple):
    """Those of one problem, in the coordinates of its objective.

    Parameters
    ----------
    hessian : ndarray of shape (p, p)
        A, with that of the penalty.
    slopes : ndarray of shape (n,) or (n, n_outputs)
        Gradient of the loss by score.
    gradient, shrinkage : ndarray of shape (p,)
        Gradients of the objective, which would be zero at its minimum, and of the penalty.
    curvature : ndarray of shape (n,), default=None
        Second derivatives of the loss by score, for leverages.
    nuisance : tuple of ndarray of shapes (n,) and (p,), default=None
        χ and c, where the equation of a row is slope·x − χ·c because a scale is estimated, too.
    """

    hessian: np.ndarray
    slopes: np.ndarray
    gradient: np.ndarray
    shrinkage: np.ndarray
    curvature: np.ndarray | None = None
    nuisance: tuple[np.ndarray, np.ndarray] | None = None

    def by_row(self, where, Z, has_intercept):
        """ψ of some rows, whose features are Z, of shape (len(Z), p)."""
        g = self.slopes[where]
        if g.ndim == 1:
            found = Z * g[:, None]
            if self.nuisance is not None:
                found -= np.outer(self.nuisance[0][where], self.nuisance[1])
            return found
        # The coefficients of all scores, then their intercepts.
        features = Z[:, :-1] if has_intercept else Z
        found = (g[:, :, None] * features[:, None, :]).reshape(len(Z), -1)
        return np.hstack([found, g]) if has_intercept else found

    def leverage(self, where, Z):
        """h_i of rows: the share of its own slope that a row's score moves by."""
        return self.curvature[where] * np.einsum("ij,ij->i", Z @ np.linalg.inv(self.hessian), Z)


def gram(objective, weight):
    """X̃ᵀ diag(weight) X̃, with the intercept."""
    found, cross, total, *_ = objective.rows.gram(weight, np.zeros_like(weight))
    if not objective.fit_intercept:
        return found
    return np.block([[found, cross[:, None]], [cross[None, :], np.array([[total]])]])


def meat(fit, equations, method):
    """B: the sum over rows, or groups of rows, of ψψᵀ.

    Parameters
    ----------
    fit : Fit
    equations : list of Equations
    method : str
        "HC0" to "HC3" or "cluster". HC2 and HC3 divide by √(1 − h_i) and by 1 − h_i [1]_.

    References
    ----------
    .. [1] MacKinnon & White, "Some heteroskedasticity-consistent covariance matrix estimators with
       improved finite sample properties", Journal of Econometrics 29, 1985.
    """
    size = sum(len(e.hessian) for e in equations)
    power = {"HC2": 0.5, "HC3": 1.0}.get(method, 0.0)
    by_group = method == "cluster"
    total = np.zeros((fit.groups.max() + 1, size) if by_group else (size, size))
    for where, Z in fit.dense_rows():
        parts = []
        for each in equations:
            part = each.by_row(where, Z, fit.has_intercept)
            if power:
                part /= np.maximum(1.0 - each.leverage(where, Z), 1e-10)[:, None] ** power
            parts.append(part)
        rows = np.hstack(parts)
        if by_group:
            here, codes = np.unique(fit.groups[where], return_inverse=True)
            ones = (np.ones(len(codes)), (codes, np.arange(len(codes))))
            total[here] += sp.csr_array(ones, shape=(len(here), len(codes))) @ rows
        else:
            total += rows.T @ rows
    return total.T @ total if by_group else total


def correction(fit, method, n_params):
    """Factor of the covariance for small samples."""
    n = fit.n
    if method == "HC1":
        return n / (n - n_params)
    if method == "cluster":
        m = check_groups(fit, method)
        return m / (m - 1) * (n - 1) / (n - n_params)
    return 1.0


def covariance(fit, equations, middle):
    """Covariance matrix of intercepts and coefficients, A⁻¹ B A⁻¹ in their units.

    Raises
    ------
    ValueError
        If the coefficients are no minimum, or the penalty moves them far.
    """
    pairs = zip(equations, fit.raw, strict=True)
    turn = scipy.linalg.block_diag(*[np.linalg.solve(e.hessian, raw.T).T for e, raw in pairs])
    found = turn @ middle @ turn.T
    found = 0.5 * (found + found.T)
    errors = np.sqrt(np.maximum(found.diagonal(), np.finfo(float).tiny))
    off = turn @ np.concatenate([each.gradient for each in equations])
    check_minimum(fit, np.abs(off) / errors)
    off = turn @ np.concatenate([each.shrinkage for each in equations])
    _check_shrinkage(fit, np.abs(off) / errors)
    return found


def check_enough_rows(fit, n_params):
    """Raise ``ValueError`` unless rows are left over to judge errors by."""
    if fit.n <= n_params:
        raise ValueError(f"{fit.n} rows are too few for the errors of {n_params} parameters")


def check_groups(fit, method):
    """Number of groups; raises ``ValueError`` unless there are two, which differ."""
    if fit.groups is None:
        raise ValueError(f"method={method!r} needs groups")
    m = int(np.count_nonzero(np.bincount(fit.groups[fit.used])))
    if m < 2:
        raise ValueError(f"groups must hold at least 2 groups for method={method!r}, got {m}")
    return m


def check_regular(fit, hessian):
    """Raise ``ValueError`` if a Hessian is singular."""
    values, vectors = np.linalg.eigh(hessian)
    if values[0] > _SINGULAR * values[-1]:
        return
    name = fit.name_of(int(np.abs(vectors[:, 0]).argmax()), len(values))
    raise ValueError(
        f"the Hessian is singular: {name} is a combination of others, or no row at hand says "
        "anything of it. Leave features out of X"
    )


def check_minimum(fit, off):
    """Raise ``ValueError`` if the minimum is ``off`` standard errors away, by parameter."""
    j = int(off.argmax())
    if not off[j] <= _FAR:
        raise ValueError(
            f"the coefficients are not at the minimum on these data: that of "
            f"{fit.names[j % fit.n_params]} is {off[j]:.2g} standard errors away. Give X, y and "
            f"sample_weight of the fit, and fit with tol={fit.tol:.0e}"
        )


def _check_shrinkage(fit, off):
    j = int(off.argmax())
    if off[j] > _FAR:
        raise ValueError(
            f"alpha={fit.model.alpha:g} moves the coefficient of {fit.names[j % fit.n_params]} by "
            f"about {off[j]:.2g} standard errors, so that an interval would miss what it is for: "
            "refit with alpha=0, or a smaller one. (method='bootstrap' gives the errors of the "
            "penalised coefficients as such)"
        )
