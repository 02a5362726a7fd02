"""A sparse matrix by columns, and coordinate descent over them with a residual by row."""

import itertools
from typing import NamedTuple

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.objective.row_kernels import normal_product, raw_rows

__all__ = ["Columns", "Sums", "coupling", "merge", "sweep"]

_PIECES = 16  # of the columns, or of the rows, for work that is divided among threads
_PIECE = 100_000  # entries of a piece, at least


class Sums(NamedTuple):
    """By column j, for g and h by row: Σ x g, Σ x² h and Σ x h."""

    g: np.ndarray
    h: np.ndarray
    cross: np.ndarray


class _Entries(NamedTuple):
    """Values of a column side by side, and the rows that they are of."""

    data: np.ndarray
    index: np.ndarray
    starts: np.ndarray
    inverse: np.ndarray  # what values of a column are multiplied by


class Columns:
    """The columns of X / scale, copied.

    Parameters
    ----------
    rows : Rows
        Sparse, in memory.

    Attributes
    ----------
    size : ndarray of int of shape (d,)
        Entries that are stored of a column.
    """

    def __init__(self, rows):
        self._rows, self.n = rows, rows.shape[0]
        self._raw, _ = raw, _ = rows.centred()
        d, nnz, threads = rows.shape[1], len(raw.data), rows.n_threads
        cuts = np.searchsorted(raw.indptr, np.linspace(0, nnz, threads + 1))
        cuts[0], cuts[-1] = 0, self.n
        heads = np.zeros((threads, d), np.int64)  # where a part of the rows writes next
        rows.run(lambda t: _count(raw, cuts[t], cuts[t + 1], heads[t]), range(threads))
        self.size = heads.sum(axis=0)
        starts = np.zeros(d + 1, np.int64)
        np.cumsum(self.size, out=starts[1:])
        heads = np.cumsum(heads, axis=0) - heads + starts[:-1]
        data, index = np.empty(nnz, raw.data.dtype), np.empty(nnz, np.int32)
        rows.run(lambda t: _place(raw, cuts[t], cuts[t + 1], heads[t], data, index), range(threads))
        self.entries = _Entries(data, index, starts, 1.0 / rows.scale)
        self._n_pieces = int(np.clip(nnz // _PIECE, 1, _PIECES))
        self._all = self.pieces(np.arange(d), self._n_pieces)

    def pieces(self, columns, n_pieces) -> list[np.ndarray]:
        """Columns in pieces of about as many entries."""
        ends = np.cumsum(self.size[columns])
        total = ends[-1] if len(ends) else 0
        cuts = np.searchsorted(ends, np.linspace(0, total, n_pieces + 1)[1:-1])
        return np.split(columns, cuts)

    def count_read(self, columns) -> None:
        """Count a product with some of the columns."""
        entries = int(self.size[columns].sum())
        self._rows.count_read(round(self.n * entries / max(int(self.size.sum()), 1)))

    def run(self, function, items) -> list:
        """Results of ``function`` over ``items``, in a thread pool if there is one."""
        return self._rows.run(function, items)

    def sums(self, g, h) -> Sums:
        """Sums over the entries of all columns, in one pass."""
        sums = Sums(*np.empty((3, len(self.size))))
        self._rows.count_read()
        self.run(lambda piece: _sums(self.entries, piece, g, h, *sums), self._all)
        return sums

    def project(self, g, columns=None) -> np.ndarray:
        """Xᵀg / scale, zero but for the ``columns`` that are asked for."""
        out = np.zeros(len(self.size))
        pieces = self._all if columns is None else self.pieces(columns, self._n_pieces)
        self.count_read(slice(None) if columns is None else columns)
        self.run(lambda piece: _project(self.entries, piece, g, out), pieces)
        return out

    def gram(self, h, columns) -> np.ndarray:
        """Xᵀ diag(h) X of few columns, over their scales."""
        out = np.empty((len(columns), len(columns)))
        self.count_read(columns)
        self.run(lambda k: _gram_row(self.entries, columns, k, h, out), range(len(columns)))
        return out

    def normal_product(self, h, columns):
        """A function that multiplies by Xᵀ diag(h) X of some columns, over their scales.

        Entries that count are copied, row by row, since there will be many products. The function
        takes a vector v and a number b and returns Xᵀ diag(h) (Xv + b).
        """
        position = np.full(len(self.size), -1, self._raw.indices.dtype)
        position[columns] = np.arange(len(columns))
        inverse, nnz = self.entries.inverse, len(self._raw.data)
        cuts = np.searchsorted(self._raw.indptr, np.linspace(0, nnz, self._n_pieces + 1))
        cuts[0], cuts[-1] = 0, self.n
        ranges = [slice(a, b) for a, b in itertools.pairwise(cuts)]

        def kept(where):
            return raw_rows(*_kept(self._raw, where.start, where.stop, h, position, inverse))

        parts = list(zip(self.run(kept, ranges), ranges, strict=True))
        self._rows.count_read()

        def product(v, b):
            def work(part):
                out = np.zeros(len(v))
                normal_product(part[0], h[part[1]], v, b, out)
                return out

            self.count_read(columns)
            return sum(self.run(work, parts))

        return product

    def combine(self, u, columns) -> np.ndarray:
        """Σ u_j x_j / scale_j over ``columns``, by row."""
        self.count_read(columns)
        halves = self.pieces(columns, 2)  # each adds up by itself: sums have one order
        sums = self.run(lambda half: _combine(self.entries, half, u, np.zeros(self.n)), halves)
        return np.add(*sums, out=sums[0])


@kernel
def _count(rows, first, last, out):
    for k in range(np.uintp(rows.indptr[first]), np.uintp(rows.indptr[last])):
        out[np.uintp(rows.indices[k])] += 1


@kernel
def _place(rows, first, last, heads, data, index):
    for i in range(first, last):
        for k in range(np.uintp(rows.indptr[i]), np.uintp(rows.indptr[i + 1])):
            j = np.uintp(rows.indices[k])
            m = np.uintp(heads[j])
            heads[j] += 1
            data[m] = rows.data[k]
            index[m] = i


@kernel(inline="always")
def _dot(entries, j, r):
    """Σ x r over the entries of column ``j``; four sums run at once."""
    m, last = entries.starts[j], entries.starts[j + 1]
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    while m + 3 < last:
        a += entries.data[np.uintp(m)] * r[np.uintp(entries.index[np.uintp(m)])]
        b += entries.data[np.uintp(m + 1)] * r[np.uintp(entries.index[np.uintp(m + 1)])]
        c += entries.data[np.uintp(m + 2)] * r[np.uintp(entries.index[np.uintp(m + 2)])]
        d += entries.data[np.uintp(m + 3)] * r[np.uintp(entries.index[np.uintp(m + 3)])]
        m += 4
    while m < last:
        a += entries.data[np.uintp(m)] * r[np.uintp(entries.index[np.uintp(m)])]
        m += 1
    return (a + b) + (c + d)


@kernel
def _project(entries, columns, r, out):
    for k in range(columns.shape[0]):
        j = columns[k]
        out[j] = _dot(entries, j, r) * entries.inverse[j]


@kernel
def _kept(rows, first, last, h, position, inverse):
    """Entries of the columns that have a ``position``, in rows where h is not zero."""
    starts = np.zeros(last - first + 1, rows.indptr.dtype)
    for i in range(first, last):
        count = 0
        if h[i] > 0.0:
            for k in range(np.uintp(rows.indptr[i]), np.uintp(rows.indptr[i + 1])):
                count += position[np.uintp(rows.indices[k])] >= 0
        starts[i - first + 1] = starts[i - first] + count
    data = np.empty(starts[-1], rows.data.dtype)
    indices = np.empty(starts[-1], rows.indices.dtype)
    m = 0
    for i in range(first, last):
        if h[i] > 0.0:
            for k in range(np.uintp(rows.indptr[i]), np.uintp(rows.indptr[i + 1])):
                j = np.uintp(rows.indices[k])
                if position[j] >= 0:
                    data[m], indices[m] = rows.data[k] * inverse[j], position[j]
                    m += 1
    return data, indices, starts


@kernel
def _gram_row(entries, columns, k, h, out):
    j = columns[k]
    weighted = np.zeros(h.shape[0])
    for m in range(np.uintp(entries.starts[j]), np.uintp(entries.starts[j + 1])):
        i = np.uintp(entries.index[m])
        weighted[i] = h[i] * entries.data[m] * entries.inverse[j]
    for other in range(k, columns.shape[0]):
        j = columns[other]
        out[k, other] = out[other, k] = _dot(entries, j, weighted) * entries.inverse[j]


@kernel
def _combine(entries, columns, u, out):
    for k in range(columns.shape[0]):
        j = columns[k]
        step = u[j] * entries.inverse[j]
        if step != 0.0:
            for m in range(np.uintp(entries.starts[j]), np.uintp(entries.starts[j + 1])):
                out[np.uintp(entries.index[m])] += step * entries.data[m]
    return out


@kernel
def _sums(entries, columns, g, h, out, squares, cross):
    for j in columns:
        m, last, inverse = entries.starts[j], entries.starts[j + 1], entries.inverse[j]
        a, b, c, d, e, f = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        while m + 1 < last:
            i, k = np.uintp(entries.index[np.uintp(m)]), np.uintp(entries.index[np.uintp(m + 1)])
            x, y = inverse * entries.data[np.uintp(m)], inverse * entries.data[np.uintp(m + 1)]
            a += x * g[i]
            b += y * g[k]
            x_h, y_h = x * h[i], y * h[k]
            c += x_h
            d += y_h
            e += x * x_h
            f += y * y_h
            m += 2
        if m < last:
            i, x = np.uintp(entries.index[np.uintp(m)]), inverse * entries.data[np.uintp(m)]
            a += x * g[i]
            c += x * h[i]
            e += x * x * h[i]
        out[j], cross[j], squares[j] = a + b, c + d, e + f


@kernel
def sweep(entries, order, penalty, bend, cross, h, total, u, r, offset):
    """Minimise a quadratic model plus a penalty over one variable after the other.

    Parameters
    ----------
    entries : _Entries
    order : ndarray of int
        Variables, in the order of visits.
    penalty : tuple of ndarray
        l1, l2 and bounds.
    bend : ndarray of shape (d,)
        Diagonal of the Hessian, penalty included.
    cross, total : ndarray of shape (d,), float
        Σ x h by column and Σ h if there is an intercept, which follows each step; otherwise zeros
        and 1.
    h : ndarray of shape (n,)
        Curvature by row.
    u : ndarray of shape (d,)
        Variables, overwritten.
    r : ndarray of shape (n,)
        Slopes of the model by row are r + offset·h; overwritten.
    offset : float

    Returns
    -------
    decrease : float
        By how much the function fell.
    offset : float
    """
    l1, l2, lower, upper = penalty
    decrease = 0.0
    for k in range(order.shape[0]):
        j = order[k]
        if bend[j] <= 0.0:
            continue
        old = u[j]
        slope = (_dot(entries, j, r)) * entries.inverse[j] + offset * cross[j] + l2[j] * old
        shifted = old * bend[j] - slope
        new = max(abs(shifted) - l1[j], 0.0) / bend[j]
        new = min(max(new if shifted > 0.0 else -new, lower[j]), upper[j])
        change = new - old
        if change != 0.0:
            u[j] = new
            decrease -= change * (slope + 0.5 * bend[j] * change) + l1[j] * (abs(new) - abs(old))
            offset -= change * cross[j] / total
            step = change * entries.inverse[j]
            for m in range(np.uintp(entries.starts[j]), np.uintp(entries.starts[j + 1])):
                i = np.uintp(entries.index[m])
                r[i] += h[i] * (step * entries.data[m])
    return decrease, offset


@kernel
def coupling(h, r, a, b):
    """Σ (a − r)(b − r)/h: what two steps, each of which changes slopes, have to do with each
    other."""
    total = 0.0
    for i in range(h.shape[0]):
        if h[i] > 0.0:
            total += (a[i] - r[i]) * ((b[i] - r[i]) / h[i])
    return total


@kernel
def merge(t, r, a, b):
    """Set r, a and b to r + t (a − r) + t (b − r)."""
    for i in range(r.shape[0]):
        r[i] += t * ((a[i] - r[i]) + (b[i] - r[i]))
        a[i] = b[i] = r[i]
