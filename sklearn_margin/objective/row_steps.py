"""Single rows in their own units, for kernels that move coefficients by rates by feature."""

import numpy as np

from sklearn_margin._jit import kernel, overload_on_class
from sklearn_margin.objective.row_kernels import DenseRows, RawRows, row_dot

__all__ = ["row_norm", "row_score", "row_step", "scaled_norms", "shrunk"]


@kernel
def shrunk(v, threshold):
    r"""The proximal operator of threshold · \|v\|."""
    size = abs(v) - threshold
    if size <= 0.0:
        return 0.0
    return size if v > 0 else -size


def _dense_score(rows, i, v, thresholds):
    d, a, b, c, e = v.shape[0], 0.0, 0.0, 0.0, 0.0
    if thresholds.shape[0] > 0:
        for j in range(d):
            a += (rows.X[i, j] - rows.shift[j]) * shrunk(v[j], thresholds[j])
        return a
    full = d // 4 * 4
    for j in range(0, full, 4):
        a += (rows.X[i, j] - rows.shift[j]) * v[j]
        b += (rows.X[i, j + 1] - rows.shift[j + 1]) * v[j + 1]
        c += (rows.X[i, j + 2] - rows.shift[j + 2]) * v[j + 2]
        e += (rows.X[i, j + 3] - rows.shift[j + 3]) * v[j + 3]
    for j in range(full, d):
        a += (rows.X[i, j] - rows.shift[j]) * v[j]
    return (a + b) + (c + e)


def _raw_score(rows, i, v, thresholds):
    if thresholds.shape[0] == 0:
        return row_dot(rows, i, v)
    total = 0.0
    for k in range(rows.indptr[i], rows.indptr[i + 1]):
        j = np.uintp(rows.indices[k])
        total += rows.data[k] * shrunk(v[j], thresholds[j])
    return total


def _dense_step(rows, i, factor, rates, out):
    for j in range(out.shape[0]):
        out[j] += factor * rates[j] * (rows.X[i, j] - rows.shift[j])


def _raw_step(rows, i, factor, rates, out):
    for k in range(rows.indptr[i], rows.indptr[i + 1]):
        j = np.uintp(rows.indices[k])
        out[j] += factor * rates[j] * rows.data[k]


def _dense_norm(rows, i, rates):
    total = 0.0
    for j in range(rates.shape[0]):
        x = rows.X[i, j] - rows.shift[j]
        total += rates[j] * x * x
    return total


def _raw_norm(rows, i, rates):
    first, last = rows.indptr[i], rows.indptr[i + 1]
    a, b = 0.0, 0.0
    k = first
    while k + 1 < last:  # two sums at once
        a += rates[np.uintp(rows.indices[k])] * (rows.data[k] * rows.data[k])
        b += rates[np.uintp(rows.indices[k + 1])] * (rows.data[k + 1] * rows.data[k + 1])
        k += 2
    if k < last:
        a += rates[np.uintp(rows.indices[k])] * (rows.data[k] * rows.data[k])
    return a + b


_NORM = {DenseRows: _dense_norm, RawRows: _raw_norm}
_SCORE = {DenseRows: _dense_score, RawRows: _raw_score}
_STEP = {DenseRows: _dense_step, RawRows: _raw_step}


def row_score(rows, i, v, thresholds):
    r"""Inner product of row ``i`` with ``v`` or, if there are thresholds, with ``v`` after the
    proximal operator of Σ threshold · \|v\|."""
    return _SCORE[type(rows)](rows, i, v, thresholds)


def row_step(rows, i, factor, rates, out):
    """Add ``factor`` times row ``i``, times a rate by feature, to ``out``."""
    _STEP[type(rows)](rows, i, factor, rates, out)


def row_norm(rows, i, rates):
    """Σ rate · x² over the features of row ``i``."""
    return _NORM[type(rows)](rows, i, rates)


overload_on_class(row_norm, _NORM)
overload_on_class(row_score, _SCORE)
overload_on_class(row_step, _STEP)


@kernel
def scaled_norms(rows, rates, n):
    """``row_norm`` of the first ``n`` rows."""
    norms = np.empty(n)
    for i in range(n):
        norms[i] = row_norm(rows, i, rates)
    return norms
