"""Geometry that losses of embeddings share: rows of length 1, squared distances, class by class."""

import numpy as np

from sklearn_margin._jit import REASSOCIATE, kernel

__all__ = [
    "by_class",
    "last_of_class",
    "squared_distances",
    "through_cosines",
    "through_distances",
    "through_unit_rows",
    "unit_rows",
]


def by_class(labels, *arrays):
    """Rows of arrays in the order of their labels.

    The rows of a label are neighbours then, and loops over positives or negatives are loops
    over ranges.

    Returns
    -------
    order : ndarray of intp of shape (n,)
    labels : ndarray of shape (n,)
        In this order, as all that follows.
    *arrays : ndarray
    """
    order = labels.argsort(kind="stable")
    return order, labels[order], *(array[order] for array in arrays)


def unit_rows(Z):
    """Rows of length 1, and 1/length of each; a zero row stays zero, with 0.

    Returns
    -------
    U : ndarray of shape (n, k)
    inverse : ndarray of shape (n,)
    """
    U, inverse = np.empty_like(Z), np.empty(len(Z))
    _unit_rows(Z, U, inverse)
    return U, inverse


def through_unit_rows(slope, U, inverse):
    """Derivative by Z of a function of ``unit_rows(Z)``, in place of its derivative by U.

    It is (g − (g·u) u) / length. At a zero row, where there is none, it is zero.
    """
    _through_unit_rows(slope, U, inverse)
    return slope


def through_cosines(slope, U, inverse):
    """Derivative by Z of a function of the cosines U Uᵀ, U = ``unit_rows(Z)``."""
    return through_unit_rows((slope + slope.T) @ U, U, inverse)


def squared_distances(Z):
    """Squared distances between the rows, accurate for rows that are close, too.

    Returns
    -------
    D : ndarray of shape (n, n)
    C : ndarray of shape (n, k)
        The rows about their mean.
    """
    # |z|² + |w|² − 2 z·w cancels: less so about the mean, and what is left is done again.
    C, squares = np.empty_like(Z), np.empty(len(Z))
    _centre(Z, C, squares)
    D = C @ C.T
    _squared_distances(C, D, squares)
    return D, C


def through_distances(slope, C):
    """Derivative by Z of a function of D, both as in ``squared_distances``.

    ``slope`` is symmetric: at (i, j) the derivative by the one distance of rows i and j.
    """
    back = slope @ C
    _through_distances(slope, C, back)
    return back


@kernel
def last_of_class(labels, first):
    """Where the class ends that begins at ``first``, of labels in order."""
    last = first
    while last < labels.shape[0] and labels[last] == labels[first]:
        last += 1
    return last


@kernel(fastmath=REASSOCIATE)
def _unit_rows(Z, U, inverse):
    for i in range(Z.shape[0]):
        size, total = 1.0, 0.0
        for c in range(Z.shape[1]):
            total += Z[i, c] * Z[i, c]
        if not 1e-200 < total < 1e200:  # squares that may have left the floating-point range
            size, total = 1e-300, 0.0
            for c in range(Z.shape[1]):
                size = max(size, abs(Z[i, c]))
            for c in range(Z.shape[1]):
                total += (Z[i, c] / size) ** 2
        inverse[i] = 1.0 / size / np.sqrt(total) if size > 1e-300 else 0.0
        for c in range(Z.shape[1]):
            U[i, c] = Z[i, c] * inverse[i]


@kernel(fastmath=REASSOCIATE)
def _through_unit_rows(slope, U, inverse):
    for i in range(U.shape[0]):
        along = 0.0
        for j in range(U.shape[1]):
            along += slope[i, j] * U[i, j]
        for j in range(U.shape[1]):
            slope[i, j] = (slope[i, j] - along * U[i, j]) * inverse[i]


@kernel(fastmath=REASSOCIATE)
def _centre(Z, C, squares):
    """Rows about their mean, and their squared lengths."""
    n, k = Z.shape
    mean = np.zeros(k)
    for i in range(n):
        for c in range(k):
            mean[c] += Z[i, c]
    for i in range(n):
        square = 0.0
        for c in range(k):
            C[i, c] = Z[i, c] - mean[c] / n
        for c in range(k):  # not in the loop above: see ``logistic_sums``
            square += C[i, c] * C[i, c]
        squares[i] = square


@kernel
def _squared_distances(C, D, squares):
    """Turn the Gram matrix D into squared distances."""
    n = D.shape[0]
    for i in range(n):
        close = 0  # counted without a branch, which leaves vector code
        for j in range(n):
            both = squares[i] + squares[j]
            d = both - 2.0 * D[i, j]
            close += 1 if d < 1e-5 * both else 0
            D[i, j] = d
        if close > 1:
            for j in range(n):
                if D[i, j] < 1e-5 * (squares[i] + squares[j]):
                    D[i, j] = 0.0
                    for c in range(C.shape[1]):
                        D[i, j] += (C[i, c] - C[j, c]) ** 2
        D[i, i] = 0.0


@kernel(fastmath=REASSOCIATE)
def _through_distances(slope, C, back):
    """2 Σ_j slope_ij (c_i − c_j), in place of Σ_j slope_ij c_j."""
    for i in range(C.shape[0]):
        total = 0.0
        for j in range(slope.shape[1]):
            total += slope[i, j]
        for c in range(C.shape[1]):
            back[i, c] = 2.0 * (total * C[i, c] - back[i, c])
