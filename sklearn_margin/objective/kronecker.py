"""The Hessian of a loss of several scores per row, about, as a Kronecker product."""

import numpy as np
from scipy.linalg import LinAlgError, eigh

__all__ = ["kronecker_inverse"]

_PRODUCTS = 8  # with the Hessian, that are about as much work as either factor
_DAMPING = 1e-10  # of the mean eigenvalue of the Gram matrix


def kronecker_inverse(objective, curvature):
    r"""Function that solves with A ⊗ G + Λ in place of the Hessian Σ_i H_i ⊗ x̃_i x̃_iᵀ + Λ of F.

    A is the mean of the small Hessians H_i of the loss by score, G that of x̃_i x̃_iᵀ with the
    traces of H_i for weights, and Λ the penalty's part, which is taken to be the same for all
    classes. The product is exact where H_i and x̃_i are independent (Martens & Grosse, "Optimizing
    neural networks with Kronecker-factored approximate curvature", ICML 2015). It knows how
    features overlap and which classes are rare; what it does not know leaves conjugate gradients a
    well conditioned problem.

    With A = U diag(a) Uᵀ and, for the pair of Λ and G, VᵀGV = I and VᵀΛV = diag(μ), the solution
    for the matrix R, one row per class, is U [(UᵀRV)_mj / (a_m + μ_j)] Vᵀ.

    Parameters
    ----------
    objective : MulticlassObjective
    curvature : _RowCurvature
        Derivatives of the loss by score.

    Returns
    -------
    callable or None
        ``solve(v)`` for parameter vectors; None where G would not be worth its work.
    """
    n, d = objective.rows.shape
    k, product = objective.n_outputs, n * objective.rows.entries_per_row * objective.n_outputs
    if d > n or d**3 > _PRODUCTS * product:
        return None
    total, traces = objective.hessian_sums(curvature)
    wanted = max(4 * d, int(_PRODUCTS * product / max(d, 1) ** 2))
    some = np.arange(0, n, -(-n // min(n, wanted)))
    try:
        a, U = eigh(total)
        V, mu = _features(objective, some, traces[some])
    except (LinAlgError, ValueError):
        return None
    size = np.maximum(a, 0.0)[:, None] + mu
    inverse = np.divide(1.0, size, out=np.zeros_like(size), where=size > 1e-14 * a.max())

    def solve(v):
        u, b = objective.split(v)
        R = u.reshape(k, d)
        R = np.column_stack([R, b]) if objective.fit_intercept else R
        solution = U @ (inverse * (U.T @ R @ V)) @ V.T
        return objective.join(solution[:, :d].ravel(), solution[:, -1])

    return solve


def _features(objective, index, weight):
    """V and μ of Λ and the weighted Gram matrix of some rows, with intercepts if there are."""
    X = objective.rows.dense(index)
    l2 = objective.penalty.l2.reshape(objective.n_outputs, -1).mean(axis=0)
    if objective.fit_intercept:
        X, l2 = np.column_stack([X, np.ones(len(X))]), np.append(l2, 0.0)
    gram = (X * (weight / weight.sum(dtype=np.float64))[:, None]).T @ X
    gram[np.diag_indices(len(gram))] += _DAMPING * gram.diagonal().mean()
    mu, V = eigh(np.diag(l2), gram)
    return V, np.maximum(mu, 0.0)
