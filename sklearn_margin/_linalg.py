"""Linear systems that solvers and certificates share."""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

__all__ = ["factorized"]


def factorized(matrix, eps=2.0**-52):
    """Function that solves with a positive semi-definite matrix, damped as little as needed.

    Parameters
    ----------
    matrix : ndarray of shape (k, k)
        Symmetric; finite.
    eps : float, default=2**-52
        Relative rounding error of its entries.

    Returns
    -------
    callable
        ``solve(v)`` for v of shape (k,).
    """
    diagonal = matrix.diagonal().copy()
    # Unit diagonal: whatever the scales of the penalty, damping then means the same.
    root = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    matrix = matrix / np.outer(root, root)
    damping = len(root) * eps
    while True:
        matrix[np.diag_indices(len(root))] = np.where(diagonal > 0, 1.0, 0.0) + damping
        try:
            factor = cho_factor(matrix, lower=True, check_finite=False)
        except LinAlgError:
            damping *= 100
            if damping > 1e100:  # entries that are not finite
                raise
            continue
        return lambda v: cho_solve(factor, v / root, check_finite=False) / root
