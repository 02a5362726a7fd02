"""Single rows, for kernels: every kernel that asks of which kind they are.

Stochastic solvers and coordinate descents visit rows one at a time. Their kernels are written once:
they reach a row through the functions here (``row_dot``, ``row_add``, …), each of which has one
implementation per kind. A further kind of rows is one more class, and one more entry in the tables.
"""

import copy
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from sklearn_margin._jit import kernel, overload_on_class, prefetch

__all__ = [
    "DenseRows",
    "RawRows",
    "SparseRows",
    "add_rows",
    "centred_rows",
    "coefficient_layout",
    "dense_rows",
    "frozen",
    "normal_product",
    "raw_rows",
    "row_add",
    "row_dot",
    "row_feature",
    "row_prefetch",
    "row_scores",
    "row_size",
    "row_square",
    "row_update",
    "single_rows",
    "squared_norms",
    "take_rows",
]


class DenseRows(NamedTuple):
    """Rows (x − shift) · inverse of a dense matrix."""

    X: np.ndarray
    shift: np.ndarray
    inverse: np.ndarray


class SparseRows(NamedTuple):
    """Rows x · inverse of a CSR matrix; a shift would make them dense."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    inverse: np.ndarray


class RawRows(NamedTuple):
    """Rows of a CSR matrix as they are."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray


def dense_rows(X, shift, inverse) -> DenseRows:
    """Rows of a dense matrix, as kernels take them.

    Read-only, as are those below: the matrix is the user's, and a kernel is compiled once whether
    that may be written to (memory-mapped ones may not) or not.
    """
    return DenseRows(_read_only(X), shift, inverse)


def raw_rows(data, indices, indptr) -> RawRows:
    """Rows of a CSR matrix as they are."""
    return RawRows(_read_only(data), _read_only(indices), _read_only(indptr))


def single_rows(X, shift, scale) -> DenseRows | SparseRows:
    """The rows (x − shift) / scale of a validated matrix."""
    if sp.issparse(X):
        return SparseRows(*raw_rows(X.data, X.indices, X.indptr), 1.0 / scale)
    return dense_rows(X, shift, 1.0 / scale)


def centred_rows(X, shift) -> tuple[DenseRows | RawRows, np.ndarray]:
    """Rows in their own units, centred where that leaves them as sparse as they are; and the
    shift."""
    if sp.issparse(X):
        return raw_rows(X.data, X.indices, X.indptr), np.zeros(X.shape[1])
    return dense_rows(X, shift, np.ones(X.shape[1])), shift


def take_rows(rows, where):
    """Some rows of a dense matrix, or of a CSR matrix as it is, side by side in memory."""
    if isinstance(rows, DenseRows):
        return dense_rows(rows.X[where], rows.shift, rows.inverse)
    lengths = np.diff(rows.indptr)[where]
    indptr = np.zeros(len(where) + 1, rows.indptr.dtype)
    np.cumsum(lengths, out=indptr[1:])
    data = np.empty(indptr[-1], rows.data.dtype)
    indices = np.empty(indptr[-1], rows.indices.dtype)
    _copy_rows(rows, where, indptr, data, indices)
    return raw_rows(data, indices, indptr)


@kernel
def _copy_rows(rows, where, indptr, data, indices):
    for k in range(where.shape[0]):
        source, first = np.uintp(rows.indptr[where[k]]), np.uintp(indptr[k])
        for m in range(np.uintp(indptr[k + 1]) - first):
            data[first + m] = rows.data[source + m]
            indices[first + m] = rows.indices[source + m]


def frozen(X):
    """A view of a matrix that may not be written to."""
    if not sp.issparse(X):
        return _read_only(X)
    view = copy.copy(X)
    view.data, view.indices, view.indptr = raw_rows(X.data, X.indices, X.indptr)
    return view


def _read_only(array):
    view = array.view()
    view.flags.writeable = False
    return view


# --- a row and a vector ----------------------------------------------------------------------


# Unsigned indices need no check for negative ones, which takes longer than the sums themselves.


def _dense_dot(rows, i, u):
    total = 0.0
    for j in range(u.shape[0]):
        total += (rows.X[i, j] - rows.shift[j]) * rows.inverse[j] * u[j]
    return total


def _sparse_dot(rows, i, u):
    total = 0.0
    for k in range(np.uintp(rows.indptr[i]), np.uintp(rows.indptr[i + 1])):
        j = np.uintp(rows.indices[k])
        total += rows.data[k] * rows.inverse[j] * u[j]
    return total


def _raw_dot(rows, i, u):
    total = 0.0
    for k in range(np.uintp(rows.indptr[i]), np.uintp(rows.indptr[i + 1])):
        total += rows.data[k] * u[np.uintp(rows.indices[k])]
    return total


def _dense_add(rows, i, factor, out):
    for j in range(out.shape[0]):
        out[j] += factor * (rows.X[i, j] - rows.shift[j]) * rows.inverse[j]


def _sparse_add(rows, i, factor, out):
    for k in range(np.uintp(rows.indptr[i]), np.uintp(rows.indptr[i + 1])):
        j = np.uintp(rows.indices[k])
        out[j] += factor * rows.data[k] * rows.inverse[j]


def _raw_add(rows, i, factor, out):
    for k in range(np.uintp(rows.indptr[i]), np.uintp(rows.indptr[i + 1])):
        out[np.uintp(rows.indices[k])] += factor * rows.data[k]


_DOT = {DenseRows: _dense_dot, SparseRows: _sparse_dot, RawRows: _raw_dot}
_ADD = {DenseRows: _dense_add, SparseRows: _sparse_add, RawRows: _raw_add}


def row_dot(rows, i, u):
    """Inner product of row ``i`` with ``u``."""
    return _DOT[type(rows)](rows, i, u)


def row_add(rows, i, factor, out):
    """Add ``factor`` times row ``i`` to ``out``."""
    _ADD[type(rows)](rows, i, factor, out)


def _dense_prefetch(rows, i):
    pass  # a long row is read in order, which processors foresee


def _sparse_prefetch(rows, i):
    for k in range(np.uintp(rows.indptr[i]), np.uintp(rows.indptr[i + 1]), np.uintp(8)):
        prefetch(rows.data, k)
        prefetch(rows.indices, k)


_PREFETCH = {
    DenseRows: _dense_prefetch,
    SparseRows: _sparse_prefetch,
    RawRows: _sparse_prefetch,
}


def row_prefetch(rows, i):
    """Have the processor fetch row ``i``, which is visited soon: rows in random order wait for
    memory half of the time."""
    _PREFETCH[type(rows)](rows, i)


overload_on_class(row_dot, _DOT)
overload_on_class(row_add, _ADD)
overload_on_class(row_prefetch, _PREFETCH)


# --- a row and a matrix ----------------------------------------------------------------------


def _dense_scores(rows, i, W, x, z):
    for j in range(x.shape[0]):
        x[j] = rows.X[i, j] - rows.shift[j]
    full = z.shape[0] // 4 * 4
    for c in range(0, full, 4):
        a0, a1, a2, a3 = 0.0, 0.0, 0.0, 0.0
        for j in range(x.shape[0]):
            a0 += x[j] * W[c, j]
            a1 += x[j] * W[c + 1, j]
            a2 += x[j] * W[c + 2, j]
            a3 += x[j] * W[c + 3, j]
        z[c], z[c + 1], z[c + 2], z[c + 3] = a0, a1, a2, a3
    for c in range(full, z.shape[0]):
        a0 = 0.0
        for j in range(x.shape[0]):
            a0 += x[j] * W[c, j]
        z[c] = a0


def _raw_scores(rows, i, W, x, z):
    z[:] = 0.0
    first, last = rows.indptr[i], rows.indptr[i + 1]
    m = first
    while m + 3 < last:  # four rows of W at once: z is read and written less often
        a0, a1, a2, a3 = (
            rows.data[np.uintp(m)],
            rows.data[np.uintp(m + 1)],
            rows.data[np.uintp(m + 2)],
            rows.data[np.uintp(m + 3)],
        )
        w0, w1 = W[np.uintp(rows.indices[np.uintp(m)])], W[np.uintp(rows.indices[np.uintp(m + 1)])]
        w2, w3 = (
            W[np.uintp(rows.indices[np.uintp(m + 2)])],
            W[np.uintp(rows.indices[np.uintp(m + 3)])],
        )
        for c in range(z.shape[0]):
            z[c] += (a0 * w0[c] + a1 * w1[c]) + (a2 * w2[c] + a3 * w3[c])
        m += 4
    while m < last:
        w0 = W[np.uintp(rows.indices[np.uintp(m)])]
        for c in range(z.shape[0]):
            z[c] += rows.data[np.uintp(m)] * w0[c]
        m += 1


def _dense_update(rows, i, x, change, W):
    for c in range(change.shape[0]):
        if change[c] != 0.0:
            for j in range(x.shape[0]):
                W[c, j] += change[c] * x[j]


def _raw_update(rows, i, x, change, W):
    for m in range(np.uintp(rows.indptr[i]), np.uintp(rows.indptr[i + 1])):
        w = W[np.uintp(rows.indices[m])]
        for c in range(change.shape[0]):
            w[c] += change[c] * rows.data[m]


_SCORES = {DenseRows: _dense_scores, RawRows: _raw_scores}
_UPDATE = {DenseRows: _dense_update, RawRows: _raw_update}


def row_scores(rows, i, W, x, z):
    """Products of row ``i`` with W, in the layout of ``coefficient_layout``, to ``z``; ``x``, as
    long as a row, is scratch that ``row_update`` reads."""
    _SCORES[type(rows)](rows, i, W, x, z)


def row_update(rows, i, x, change, W):
    """Add the outer product of ``change`` and row ``i`` to W."""
    _UPDATE[type(rows)](rows, i, x, change, W)


overload_on_class(row_scores, _SCORES)
overload_on_class(row_update, _UPDATE)


def coefficient_layout(rows, W):
    """W of shape (n_outputs, d) as ``row_scores`` wants it for these rows, and from there back: the
    coefficients of a feature side by side, if few of them are read."""
    return W.T if isinstance(rows, RawRows) else W


# --- the entries of a row ---------------------------------------------------------------------


def _dense_size(rows, i):
    return rows.X.shape[1]


def _sparse_size(rows, i):
    return rows.indptr[i + 1] - rows.indptr[i]


def _dense_feature(rows, i, k):
    return k


def _sparse_feature(rows, i, k):
    return rows.indices[rows.indptr[i] + k]


_SIZE = {DenseRows: _dense_size, SparseRows: _sparse_size, RawRows: _sparse_size}
_FEATURE = {DenseRows: _dense_feature, SparseRows: _sparse_feature, RawRows: _sparse_feature}


def row_size(rows, i):
    """Number of entries of row ``i``."""
    return _SIZE[type(rows)](rows, i)


def row_feature(rows, i, k):
    """Index of the feature of entry ``k`` of row ``i``."""
    return _FEATURE[type(rows)](rows, i, k)


overload_on_class(row_size, _SIZE)
overload_on_class(row_feature, _FEATURE)


# --- many rows --------------------------------------------------------------------------------


def _dense_square(rows, i, scratch):
    total = 0.0
    for j in range(rows.X.shape[1]):
        entry = (rows.X[i, j] - rows.shift[j]) * rows.inverse[j]
        total += entry * entry
    return total


@kernel
def _added_up(rows, i, scratch):
    """Squared norm of a row where a feature may be twice, whose entries then add up."""
    row_add(rows, i, 1.0, scratch)
    total = row_dot(rows, i, scratch)
    row_add(rows, i, -1.0, scratch)
    return total


def _sparse_square(rows, i, scratch):
    return _added_up(rows, i, scratch)


def _raw_square(rows, i, scratch):
    first, last = rows.indptr[i], rows.indptr[i + 1]
    disorder, total = 0, 0.0
    for k in range(first + 1, last):
        disorder += rows.indices[np.uintp(k)] <= rows.indices[np.uintp(k - 1)]
    if disorder > 0:
        return _added_up(rows, i, scratch)
    for k in range(np.uintp(first), np.uintp(last)):
        total += float(rows.data[k]) * rows.data[k]
    return total


_SQUARE = {DenseRows: _dense_square, SparseRows: _sparse_square, RawRows: _raw_square}


def row_square(rows, i, scratch):
    """Squared norm of row ``i``; ``scratch`` is zero, and is again."""
    return _SQUARE[type(rows)](rows, i, scratch)


overload_on_class(row_square, _SQUARE)


@kernel
def squared_norms(rows, index, scratch):
    """Squared norms of the rows ``index``; ``scratch`` is zero, and is again."""
    norms = np.empty(index.shape[0])
    for k in range(index.shape[0]):
        norms[k] = row_square(rows, index[k], scratch)
    return norms


@kernel
def normal_product(rows, h, w, offset, out):
    """Add Xᵀ diag(h) (Xw + offset) to ``out``; returns the sum of diag(h) (Xw + offset)."""
    total = 0.0
    for i in range(h.shape[0]):
        if h[i] != 0.0:
            factor = h[i] * (row_dot(rows, i, w) + offset)
            row_add(rows, i, factor, out)
            total += factor
    return total


@kernel
def add_rows(rows, factors, out):
    """Add Xᵀ factors to ``out``."""
    for i in range(factors.shape[0]):
        if factors[i] != 0.0:
            row_add(rows, i, factors[i], out)
