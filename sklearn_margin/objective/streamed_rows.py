"""Rows that are read batch by batch, at every pass over X, and never held together.

What there is by row besides X (labels, weights, scores, slopes) is in memory, as for any rows.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import scipy.sparse as sp
from joblib import effective_n_jobs

from sklearn_margin.objective.moments import Moments
from sklearn_margin.objective.rows import (
    Rows,
    blocks_of,
    grouped,
    slabs_of,
)

__all__ = ["Stream", "StreamedRows"]


class Stream:
    """A matrix that can be read batch by batch, again and again; the first read has been made.

    It notes what the first read found: shape, dtype, column moments, and of every batch how many
    rows it has and a checksum, which later reads are compared with.

    Parameters
    ----------
    read : callable
        ``read(dtype)`` returns an iterator over the batches: validated matrices with a row or
        more, all dense and C-contiguous or all CSR, as ``dtype``, or as they are for None.
    look : callable, default=None
        ``look(X)`` is called for every batch of the first read.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
        float32 if every batch is, else float64.
    is_sparse : bool
    nbytes : int
        Of the entries that are stored.
    first : ndarray or CSR
        The first batch.

    Raises
    ------
    ValueError
        If there is no row, or batches differ in their number of features, or in being sparse.
    """

    def __init__(self, read: Callable[..., Iterator], look: Callable | None = None):
        self._read = read
        self._moments, self._checks, dtypes, self.nbytes = None, [], set(), 0
        for X in read(None):
            if self._moments is None:
                self.first, self.is_sparse, self._moments = X, sp.issparse(X), Moments(X)
            self._check_kind(X)
            self._moments.add([(slice(0, X.shape[0]), X)], lambda work, slabs: map(work, slabs))
            self._checks.append((X.shape[0], _checksum(X)))
            self.nbytes += X.data.nbytes if self.is_sparse else X.nbytes
            dtypes.add(X.dtype)
            if look is not None:
                look(X)
        if self._moments is None:
            raise ValueError("X holds no rows: there is no batch with a row in it")
        self.dtype = np.result_type(*dtypes)
        self.shape = (self._moments.n, self.first.shape[1])

    def _check_kind(self, X):
        if X.shape[1] != self.first.shape[1]:
            raise ValueError(
                f"batches must have the same features: the first has {self.first.shape[1]} of "
                f"them, batch {len(self._checks)} has {X.shape[1]}"
            )
        if sp.issparse(X) != self.is_sparse:
            raise ValueError(
                f"batches must be all sparse or all dense: batch {len(self._checks)} is not like "
                "the first"
            )

    def batches(self) -> Iterator[tuple[int, object]]:
        """First row and matrix of each batch, once more: a read of X.

        Raises
        ------
        ValueError
            If the rows are not those of the first read.
        """
        first, k = 0, -1
        for k, X in enumerate(self._read(self.dtype)):
            if k >= len(self._checks) or self._checks[k] != (X.shape[0], _checksum(X)):
                raise ValueError(_CHANGED.format(f"batch {k} is another one"))
            yield first, X
            first += X.shape[0]
        if k + 1 != len(self._checks):
            raise ValueError(_CHANGED.format(f"{k + 1} batches instead of {len(self._checks)}"))

    def statistics(self, center):
        """Shift and scale of each column, as of ``moments.column_statistics``."""
        return self._moments.statistics(center)


_CHANGED = (
    "X changed between two reads, {}: Batches must give the same rows in the same order whenever "
    "they are iterated over. A shuffled loader must be seeded anew at each beginning; what can be "
    "read only once must be stored, or learned from with partial_fit"
)


def _checksum(X):
    """A number by which a batch is known again: of some of its rows."""
    rows = X[np.unique(np.linspace(0, X.shape[0] - 1, 8).astype(int))]
    # Of the values in float64, for a first read may see another dtype than later ones.
    values = rows.data if sp.issparse(rows) else rows
    known = zlib.crc32(rows.indices.astype(np.int64)) if sp.issparse(rows) else 0
    return zlib.crc32(np.ascontiguousarray(values, dtype=np.float64), known)


class StreamedRows(Rows):
    """Rows of a ``Stream``, in standardised coordinates.

    Products read the stream once each. Batches are divided into blocks as other rows are, for the
    threads. There is no access to single rows, but parts of the rows can be taken into memory.

    Parameters
    ----------
    stream : Stream
    center, n_jobs
        As of ``Rows``.
    """

    why_elsewhere = "X is read batch by batch, and no row can be visited by itself"

    def __init__(self, stream: Stream, *, center: bool, n_jobs: int | None = None):
        self.stream = stream
        self.shape, self.dtype, self.is_sparse = stream.shape, stream.dtype, stream.is_sparse
        self.n_threads, self._pool = effective_n_jobs(n_jobs), None
        self.n_read = [self.shape[0]]
        self._use_coordinates(*stream.statistics(center))

    def _divide(self):
        """Blocks are made as batches are read."""

    @property
    def ranges(self):
        n = self.shape[0]
        size = max(-(-n // 16), 1 << 16)
        return [slice(first, min(first + size, n)) for first in range(0, n, size)]

    @property
    def entries_per_row(self):
        return self.stream.nbytes / (self.dtype.itemsize * self.shape[0])

    def over_slabs(self, work: Callable) -> Iterable:
        self.count_read()
        for first, X in self.stream.batches():
            parts = blocks_of(X) if self._explicit else slabs_of(X)
            yield from self.run(work, _moved(parts, first))

    def over_groups(self, work: Callable, size: int) -> Iterable:
        self.count_read()
        for first, X in self.stream.batches():
            blocks = _moved(blocks_of(X), first)
            yield from self.run(*grouped(blocks, work, X.shape, size))

    def raw(self, index):
        X = self._rows(index)
        return X.toarray() if self.is_sparse else X

    def take(self, index) -> Rows:
        """Some of the rows, in memory: a read of X."""
        return self.like(self._rows(np.asarray(index)))

    def _rows(self, index):
        """Some of the rows as a matrix."""
        self.count_read()
        order = np.argsort(index, kind="stable")
        wanted, parts = index[order], []
        for first, X in self.stream.batches():
            begin, end = np.searchsorted(wanted, [first, first + X.shape[0]])
            if begin < end:
                parts.append(X[wanted[begin:end] - first])
        found = sp.csr_array(sp.vstack(parts)) if self.is_sparse else np.concatenate(parts)
        return found if (np.diff(order) == 1).all() else found[np.argsort(order)]


def _moved(blocks, first):
    """Blocks of a batch with their ranges among all rows."""
    return [(slice(where.start + first, where.stop + first), B) for where, B in blocks]
