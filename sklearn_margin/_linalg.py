"""Linear systems with matrices that are positive semi-definite but for rounding errors."""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

__all__ = ["factorized", "rank_tolerance"]


def factorized(matrix, damping=None, *, hold=False):
    """Function that solves with a positive semi-definite matrix, damped as little as needed.

    The matrix is brought to unit diagonal, so that damping means the same whatever the scales of
    the variables. By Gershgorin's theorem the largest row sum is damping enough, so that few
    attempts suffice.

    Parameters
    ----------
    matrix : ndarray of shape (k, k)
        Symmetric.
    damping : float, default=None
        What is added to the unit diagonal at first; a hundred times more with each attempt. None is
        k times the rounding error or, with ``hold``, which deals with those, 1e-15.
    hold : bool, default=False
        Whether variables that are known by rounding errors alone stay at zero: those without a
        positive diagonal entry, and those with an entry above 1 beside the unit diagonal, which no
        positive semi-definite matrix has. Otherwise the damping says how far they move.

    Returns
    -------
    solve : callable
        ``solve(v)``: the solution for the right-hand side ``v`` of shape (k,).

    Raises
    ------
    LinAlgError
        If the matrix is not finite.

    Examples
    --------
    >>> factorized(np.diag([2.0, 0.0]), hold=True)(np.array([1.0, 1.0]))
    array([0.5, 0. ])
    """
    if matrix.size == 0:  # which SciPy refuses before 1.14
        return np.copy
    diagonal = matrix.diagonal()
    alive = diagonal > 0
    inverse = np.where(alive, 1.0 / np.sqrt(np.where(alive, diagonal, 1.0)), 0.0 if hold else 1.0)
    scaled = (matrix * inverse) * inverse[:, None]
    if not np.isfinite(scaled).all():
        raise LinAlgError("the matrix is not finite")
    if hold:
        i, j = np.nonzero(np.abs(scaled) > 1.0 + 1e-6)
        lost = np.where(diagonal[i] < diagonal[j], i, j)
        inverse[lost] = scaled[lost] = scaled[:, lost] = 0.0
    unit = np.ones(len(inverse)) if hold else np.where(alive, 1.0, 0.0)
    if damping is None:
        damping = 1e-15 if hold else len(inverse) * 2.0**-52
    enough = np.abs(scaled).sum(axis=1).max(initial=1.0)
    while True:
        scaled[np.diag_indices(len(inverse))] = unit + damping
        try:
            factor = cho_factor(scaled, lower=True, check_finite=False)
            break
        except LinAlgError:
            damping *= 100.0
            if damping > 1e3 * enough:  # only if the factorisation itself is at fault
                raise
    return lambda v: cho_solve(factor, v * inverse, check_finite=False) * inverse


def rank_tolerance(k):
    """Distance from the span of the others below which one of ``k`` columns of unit length lies in
    it to rounding error. By measurement: exact combinations of Gaussian columns, and dummies of a
    category beside an intercept, end below half of it in a pivoted QR factorisation."""
    return max(4.0 * np.sqrt(k), k) * np.finfo(np.float64).eps
