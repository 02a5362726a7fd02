"""Tables that are read batch by batch, at every pass over X, and never held together."""

from __future__ import annotations

import itertools
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy.sparse as sp
from joblib import effective_n_jobs
from sklearn import config_context, get_config

from sklearn_margin import _tables
from sklearn_margin._tables import (
    ByRow,
    InThreads,
    Kept,
    Table,
    as_slice,
    columns_of,
    joints,
    neighbours,
    stacked,
    together,
)
from sklearn_margin.batches import Batches, head_of, matrix_of, n_rows, named
from sklearn_margin.objective._blas import single_threaded
from sklearn_margin.objective.moments import Moments
from sklearn_margin.objective.parts import Part

__all__ = ["StreamTable"]

_AHEAD = 2  # batches that wait for a thread, by thread
_MOST_SORTED = 10_000_000  # rows of which the order by group and relevance is kept: 24 bytes each


def _rows_of(batch, rows):
    return batch.at(rows) if isinstance(batch, ByRow) else batch[rows]


class _Cuts:
    """How batches are cut into parts that hold whole groups.

    Most of a batch is a part. Groups that it shares with the next one make a part of their own,
    of rows from both (and from further ones, where a group spans several).

    Parameters
    ----------
    groups : list of ndarray or None
        Groups of the rows of each batch; None if there are none.
    n_batches : int
    """

    def __init__(self, groups, n_batches):
        self.pieces = [[(k, slice(None))] for k in range(n_batches)]  # (part, rows) of each batch
        if groups is not None:
            self._cut(groups)
        self.needed = np.bincount([part for pieces in self.pieces for part, _ in pieces])

    def _cut(self, groups):
        clusters = joints(neighbours([np.unique(part) for part in groups]))
        self.pieces, numbers = [[] for _ in groups], itertools.count()
        numbered: dict[int, int] = {}
        within: list[list[int]] = [[] for _ in groups]
        for c, cluster in enumerate(clusters):
            for k in cluster:
                within[k].append(c)
        for k, here in enumerate(groups):
            rest = np.ones(len(here), dtype=bool)
            for c in within[k]:
                mine = np.isin(here, clusters[c][k])
                rest &= ~mine
                if c not in numbered:
                    numbered[c] = next(numbers)
                self.pieces[k].append((numbered[c], as_slice(np.flatnonzero(mine))))
            if rest.any():
                self.pieces[k].append((next(numbers), as_slice(np.flatnonzero(rest))))

    def made_of(self, batches, join) -> Iterator:
        """Parts as they become complete: number of the part, and its rows."""
        waiting: dict[int, list] = {}
        missing = self.needed.copy()
        for pieces, batch in zip(self.pieces, batches, strict=True):
            for part, rows in pieces:
                waiting.setdefault(part, []).append(_rows_of(batch, rows))
                missing[part] -= 1
                if missing[part] == 0:
                    yield part, join(waiting.pop(part))


def ahead(pool, function, items, n_threads):
    """Results of a function of items, in their order, of which threads work on some ahead."""
    config = get_config()  # scikit-learn's, which a thread does not have of itself

    def work(item):
        with config_context(**config):
            return function(item)

    waiting: deque = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > _AHEAD * n_threads:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


class StreamTable(Table):
    """A table that is read batch by batch.

    It notes of every batch how many rows it has and a checksum, which later reads are compared
    with. Targets, weights and groups are held; X is not.

    Parameters
    ----------
    batches : Batches
    unpack : callable, default=None
        ``unpack(y, groups)``: targets that hold groups as the two.
    n_jobs : int or None
        Threads that prepare batches.

    Raises
    ------
    ValueError
        If there is no row, batches differ in their number of features or in being sparse, some
        have targets and some not, or a group is in batches that are not neighbours.
    """

    what, remedy = "batches", "tuples (X, y)"
    why_elsewhere = "X is read batch by batch, and no row can be visited by itself"

    def __init__(self, batches: Batches, unpack=None, n_jobs=None):
        self.batches, self.n_reads, self._unpack = batches, 1, unpack
        self.first, self.moments, self._checks, self._by_row = None, None, [], []
        self.entries, dtypes, kept = 0, set(), Kept(_tables.KEPT)
        self.n_threads = effective_n_jobs(n_jobs)
        with single_threaded, ThreadPoolExecutor(self.n_threads) as pool:
            looked = ahead(pool, self._look_at, self._batches(), self.n_threads)
            for k, (X, known, by_row, moments) in enumerate(looked):
                if self.moments is None:
                    self.moments, self.is_sparse = moments, moments.is_sparse
                self._check_kind(X)
                if k > 0:
                    self.moments.merge(moments)
                self._checks.append(known)
                self._by_row.append(by_row)
                self.entries += X.nnz if self.is_sparse else X.size
                dtypes.add(X.dtype)
                kept.add(k, X, by_row)
        if self.moments is None:
            raise ValueError("X holds no rows: there is no batch with a row in it")
        self._check_columns()
        self.dtype = np.result_type(*dtypes)
        self.shape = (self.moments.n, self._checks[0][0][1])
        self.kept_X, self.kept = kept.joined(self.dtype)
        self.complete = self.kept_X.shape[0] == self.shape[0]
        if not self.complete:
            groups = [part.groups for part in self._by_row]
            self._cuts = _Cuts(None if groups[0] is None else groups, len(groups))
            made = self._cuts.made_of(self._by_row, together)
            self._by_row = [rows for _, rows in sorted(made, key=lambda made: made[0])]

    def _batches(self):
        """Numbers and batches, of those with rows."""
        for k, batch in enumerate(self.batches):
            if n_rows(batch.X) > 0:
                self.first = head_of(named(batch.X)) if self.first is None else self.first
                yield k, batch

    def _look_at(self, numbered):
        """What the first read finds of a batch: X, how it is known again, what there is by row, and
        moments."""
        k, batch = numbered
        X = matrix_of(batch.X, None, k, check=True)
        by_row = columns_of(batch, X.shape[0], k, self._unpack, "batch")
        return X, (X.shape, checksum(X)), by_row, Moments.of(X)

    def _check_kind(self, X):
        if self._checks and X.shape[1] != self._checks[0][0][1]:
            raise ValueError(
                f"batches must have the same features: the first has {self._checks[0][0][1]} of "
                f"them, batch {len(self._checks)} has {X.shape[1]}"
            )
        if sp.issparse(X) != self.is_sparse:
            raise ValueError(
                f"batches must be all sparse or all dense: batch {len(self._checks)} is not like "
                "the first"
            )

    def _check_columns(self):
        for name in ByRow._fields[1:]:
            if len({getattr(part, name) is None for part in self._by_row}) > 1:
                raise ValueError(f"some batches have {name}, and some have none: give all or none")

    def ask(self, function, *arguments):
        with ThreadPoolExecutor(self.n_threads) as pool:
            return list(pool.map(lambda rows: function(rows, *arguments), self._by_row))

    def parts(self, encode, n_jobs):
        return _StreamParts(self, [Part(None, *columns) for columns in self.ask(encode)], n_jobs)

    def read(self, pool) -> Iterator[tuple[int, Any]]:
        """Number and matrix of each part: a read of X. Batches are prepared in the threads of
        ``pool``.

        Raises
        ------
        ValueError
            If the rows are not those of the first read.
        """
        yield from self._cuts.made_of(self._checked(pool), stacked)

    def _checked(self, pool):
        def prepare(numbered):
            X = matrix_of(numbered[1].X, self.dtype, numbered[0], check=False)
            return X, (X.shape, checksum(X))

        k = -1
        prepared = ahead(pool, prepare, self._batches(), self.n_threads)
        for k, (X, known) in enumerate(prepared):
            if k >= len(self._checks) or self._checks[k] != known:
                raise ValueError(_CHANGED.format(f"batch {k} is another one"))
            yield X
        if k + 1 != len(self._checks):
            raise ValueError(_CHANGED.format(f"{k + 1} batches instead of {len(self._checks)}"))


_CHANGED = (
    "X changed between two reads, {}: Batches must give the same rows in the same order whenever "
    "they are iterated over. A shuffled loader must be seeded anew at each beginning; what can be "
    "read only once must be stored, or learned from with partial_fit"
)


def checksum(X):
    """A number by which a batch is known again: of some of its rows."""
    rows = X[np.unique(np.linspace(0, X.shape[0] - 1, 8).astype(int))]
    # Of the values in float64, for a first read may see another dtype than later ones.
    values = rows.data if sp.issparse(rows) else rows
    known = zlib.crc32(rows.indices.astype(np.int64)) if sp.issparse(rows) else 0
    return zlib.crc32(np.ascontiguousarray(values, dtype=np.float64), known)


class _StreamParts(InThreads):
    """Parts that are read when they are visited; what they keep is in memory."""

    travels = False

    def __init__(self, table, parts, n_jobs):
        super().__init__(n_jobs)
        self.table, self._parts, self.why_elsewhere = table, parts, table.why_elsewhere

    def map(self, function, *arguments, reads=True):
        """As ``Parts.map``."""
        if self._pool is None:
            with self.session():
                return self.map(function, *arguments, reads=reads)
        parts = enumerate(self._parts)
        if reads:
            parts = ((k, self._parts[k].on(X)) for k, X in self.table.read(self._pool))

        def work(numbered):
            k, part = numbered
            result = function(part, *arguments)
            if self.table.shape[0] > _MOST_SORTED:
                part.forget("pairs")
            return k, result

        found = [None] * len(self._parts)
        for k, result in ahead(self._pool, work, parts, self.n_threads):
            found[k] = result
        return found
