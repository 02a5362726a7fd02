"""Minima of piecewise linear losses without a penalty: from vertex to vertex.

A vertex is where as many rows are at a kink, the basis, as there are parameters. From one that is
not optimal an edge leads down, along which one row of the basis leaves its kink; it is followed
past the kinks of others for as long as the loss falls, and the last of these takes the place [1]_.
From the solution for other weights that is a few short steps for each parameter.

.. [1] Barrodale & Roberts, "An improved algorithm for discrete l1 linear approximation", SIAM
   Journal on Numerical Analysis 10, 1973.
"""

import numpy as np
from scipy.linalg import qr

from sklearn_margin._jit import kernel

__all__ = ["MOST_PARAMS", "descend", "first_basis"]

MOST_PARAMS = 100  # beyond these an inverse by edge is slow
_STEPS = 60  # per parameter
_TOLERANCE = 1e-9  # of the sizes of slopes


def first_basis(Z, kink, params):
    """Rows of a vertex near ``params``; None if there is none.

    Parameters
    ----------
    Z : ndarray of shape (m, p)
        Rows of all terms, with a column of ones for an intercept.
    kink : ndarray of shape (m,)
        Scores where each term has its kink.
    params : ndarray of shape (p,)
    """
    m, p = Z.shape
    if m < p or p > MOST_PARAMS:
        return None
    far = np.abs(Z @ params - kink)
    few = np.argsort(far, kind="stable")[: 10 * p]
    near = Z[few] / (far[few] + 1e-9 * far.max() + 1e-300)[:, None]  # the nearest ones go first
    R, order = qr(near.T, mode="r", pivoting=True)
    size = np.abs(R.diagonal())
    return few[order[:p]] if len(size) == p and size[-1] > 1e-10 * size[0] else None


def descend(Z, kink, left, width, basis):
    """The optimal vertex, from that of a basis.

    Parameters
    ----------
    Z, kink
        As of ``first_basis``.
    left, width : ndarray of shape (m,)
        Slope below the kink, and how much more it is above.
    basis : ndarray of int of shape (p,)
        It becomes that of the optimum.

    Returns
    -------
    params : ndarray of shape (p,) or None
        None if it was not found: rows that tie may lead in circles.
    """
    try:
        inverse = np.linalg.inv(Z[basis])
    except np.linalg.LinAlgError:
        return None
    e = Z @ (inverse @ kink[basis]) - kink
    if not _follow_edges(Z, e, left, width, basis, inverse, _STEPS * Z.shape[1] + 100):
        return None
    return np.linalg.solve(Z[basis], kink[basis])


@kernel
def _follow_edges(Z, e, left, width, basis, inverse, most):
    m, p = Z.shape
    used = np.zeros(m, dtype=np.bool_)
    used[basis] = True
    along, rise = np.empty(m), np.empty(m)
    for _ in range(most):
        out, sign, falls = _worst(Z, e, left, width, basis, used, inverse)
        if out < 0:
            return True
        count = 0  # of rows whose kink is ahead
        ahead = np.empty(m, dtype=np.int64)
        for i in range(m):
            along[i] = 0.0
            if not used[i]:
                for k in range(p):
                    along[i] += sign * Z[i, k] * inverse[k, out]
                if width[i] > 0 and ((e[i] > 0 and along[i] < 0) or (e[i] <= 0 and along[i] > 0)):
                    rise[count] = -e[i] / along[i]
                    ahead[count] = i
                    count += 1
        last = -1
        while falls > 0 and count > 0:  # to the nearest kink, and on
            k = 0
            for other in range(1, count):
                k = other if rise[other] < rise[k] else k
            last, count = ahead[k], count - 1
            falls -= width[last] * abs(along[last])
            rise[k], ahead[k] = rise[count], ahead[count]
        if last < 0 or falls > 0:
            return False
        step = -e[last] / along[last]
        for i in range(m):
            e[i] += step * along[i]
        e[basis[out]], e[last] = sign * step, 0.0
        used[basis[out]], used[last] = False, True
        basis[out] = last
        _replace_row(inverse, Z[last], out)
    return False


@kernel
def _worst(Z, e, left, width, basis, used, inverse):
    """Row of the basis whose leaving lowers the loss most, for its length: its place, to which side
    it leaves, and the rate; place −1 at the optimum."""
    m, p = Z.shape
    slope, size = np.zeros(p), 0.0
    for i in range(m):
        if not used[i]:
            g = left[i] + width[i] if e[i] > 0 else left[i]
            size += abs(g)
            for k in range(p):
                slope[k] += g * Z[i, k]
    most, out, sign, falls = 0.0, -1, 1.0, 0.0
    for j in range(p):
        balance, square = 0.0, 0.0
        for k in range(p):
            balance -= slope[k] * inverse[k, j]
            square += inverse[k, j] ** 2
        length = np.sqrt(square)
        low = left[basis[j]]
        excess = max(low - balance, balance - low - width[basis[j]])
        if excess > _TOLERANCE * size * length and excess > most * length:
            most, out, falls = excess / length, j, excess
            sign = 1.0 if balance > low else -1.0
    return out, sign, falls


@kernel
def _replace_row(inverse, row, out):
    """The inverse after ``row`` has replaced row ``out`` of the matrix."""
    p = len(row)
    pivot = 0.0
    for k in range(p):
        pivot += row[k] * inverse[k, out]
    for k in range(p):
        inverse[k, out] /= pivot
    for j in range(p):
        if j != out:
            share = 0.0
            for k in range(p):
                share += row[k] * inverse[k, j]
            for k in range(p):
                inverse[k, j] -= share * inverse[k, out]
