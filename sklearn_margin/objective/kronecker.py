"""The Hessian of a loss of several scores per row, about, as a Kronecker product."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, eigh

__all__ = ["KroneckerHessian", "kronecker_hessian"]

_PRODUCTS = 4  # with the Hessian, that are about as much work as its factors
_DAMPING = 1e-10  # of the mean eigenvalue of the Gram matrix


@dataclass(frozen=True)
class KroneckerHessian:
    r"""A ⊗ G + Λ in place of the Hessian Σ_i H_i ⊗ x̃_i x̃_iᵀ + Λ of F.

    A is the sum of the Hessians H_i of the loss by score, G the mean of x̃_i x̃_iᵀ with the traces
    of H_i for weights, and Λ the penalty's part, which is taken to be the same for all classes. The
    product is exact where H_i and x̃_i are independent (Martens & Grosse, "Optimizing neural
    networks with Kronecker-factored approximate curvature", ICML 2015). It knows how features
    overlap and which classes are rare; what it does not know leaves conjugate gradients a well
    conditioned problem. G is that of one point, A that of each.

    Attributes
    ----------
    V : ndarray of shape (d, d)
        With an intercept d is one more than there are features.
    mu : ndarray of shape (d,)
        Such that VᵀGV = I and VᵀΛV = diag(μ).
    """

    V: np.ndarray
    mu: np.ndarray

    def inverse(self, objective, curvature):
        """Function that solves with A ⊗ G + Λ.

        With A = U diag(a) Uᵀ the solution for the matrix R, one row per class, is
        U [(UᵀRV)_mj / (a_m + μ_j)] Vᵀ.
        """
        d, V = objective.rows.shape[1], self.V
        a, U = eigh(objective.hessian_sums(curvature)[0])
        size = np.maximum(a, 0.0)[:, None] + self.mu
        inverse = np.divide(1.0, size, out=np.zeros_like(size), where=size > 1e-14 * a.max())

        def solve(v):
            u, b = objective.split(v)
            R = objective.by_output(u)
            R = np.column_stack([R, b]) if objective.fit_intercept else R
            solution = U @ (inverse * (U.T @ R @ V)) @ V.T
            return objective.join(solution[:, :d].ravel(), solution[:, -1])

        return solve


def kronecker_hessian(objective, curvature):
    """The approximation of the Hessian of ``objective`` at a point.

    Parameters
    ----------
    objective : MulticlassObjective
    curvature : _RowCurvature
        Derivatives of the loss by score.

    Returns
    -------
    KroneckerHessian or None
        None where G would not be worth its work, or not be definite.
    """
    n, d = objective.rows.shape
    product = n * objective.rows.entries_per_row * objective.n_outputs
    if d > n or d**3 > _PRODUCTS * product:
        return None
    _, weight = objective.hessian_sums(curvature)
    if not np.isfinite(weight).all():
        return None
    wanted = max(4 * d, int(_PRODUCTS * product / max(d, 1) ** 2))
    some = np.arange(0, n, -(-n // min(n, wanted)))
    X, weight = objective.rows.dense(some), np.maximum(weight[some], 0.0)
    if not weight.any():  # as of an envelope, none of whose kinks is near
        return None
    l2 = objective.penalty.l2.reshape(objective.n_outputs, -1).mean(axis=0)
    if objective.fit_intercept:
        X, l2 = np.column_stack([X, np.ones(len(X))]), np.append(l2, 0.0)
    gram = (X * (weight / weight.sum(dtype=np.float64))[:, None]).T @ X
    gram[np.diag_indices(len(gram))] += _DAMPING * gram.diagonal().mean()
    try:
        mu, V = eigh(np.diag(l2), gram)
    except (LinAlgError, ValueError):
        return None
    return KroneckerHessian(V, np.maximum(mu, 0.0))
