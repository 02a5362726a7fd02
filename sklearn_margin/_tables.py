"""Tables that are not in memory: their first read, and what fits are then made of."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from joblib import effective_n_jobs

from sklearn_margin._arrays import on_host
from sklearn_margin._sklearn import column_or_1d
from sklearn_margin.objective._blas import single_threaded

__all__ = [
    "ByRow",
    "InThreads",
    "Kept",
    "Table",
    "as_slice",
    "columns_of",
    "drawn_numbers",
    "joints",
    "neighbours",
    "stacked",
    "together",
]

KEPT = 8_000_000  # entries of X of the rows that are kept; all of them, if they are no more
_LARGE = 10_000  # rows of a group in a part beyond which some of them stand for it


class ByRow(NamedTuple):
    """What there is of some rows besides X; None for what there is not."""

    n: int
    y: Any = None
    sample_weight: Any = None
    groups: Any = None
    offset: Any = None

    def at(self, index) -> ByRow:
        """Of some of the rows."""
        parts = [None if part is None else part[index] for part in self[1:]]
        return ByRow(len(np.arange(self.n)[index]), *parts)


def columns_of(batch, n, k, unpack, what) -> ByRow:
    """What there is by row of a batch of ``n`` rows, checked; errors call it ``what`` number k.

    ``unpack(y, groups)`` splits a target that holds groups, unless it is None.
    """
    found = {}
    for name in ("groups", "y", "sample_weight", "offset"):
        values = getattr(batch, name)
        if values is None:
            continue
        values = np.asarray(on_host(values))
        if values.ndim == 0 and name in ("sample_weight", "offset"):
            values = np.full(n, values)
        packed = name == "y" and unpack is not None and values.ndim == 2 and values.shape[1] == 2
        if packed and n > 0:
            values, found["groups"] = unpack(values, batch.groups)
        if name not in ("y", "offset") or values.ndim != 2 or values.shape[1] == 1:
            values = column_or_1d(values, input_name=f"{name} of {what} {k}")
        if len(values) != n:
            raise ValueError(f"{name} of {what} {k} has {len(values)} entries, and X has {n} rows")
        # A view, such as a column of a frame is, would hold all of the batch.
        found[name] = values if values.flags.owndata else values.copy()
    return ByRow(n, **found)


class Table:
    """Rows that are not here, after they have been read once.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
        float32 if every part is, else float64.
    is_sparse : bool
    entries : int
        Of X that are stored.
    moments : Moments
        Of the columns.
    first : object
        X of some rows as it came, for names of features.
    kept_X, kept : matrix, ByRow
        Some of the rows, drawn at random; whole groups, if there are any.
    complete : bool
        Whether these are all.
    n_reads : int
        How often X was read.
    why_elsewhere : str
        Why a solver cannot visit a row by itself, for its error.
    """

    #: What the rows came in, and what to give where there are no targets.
    what, remedy = "parts", "y"

    def ask(self, function: Callable, *arguments) -> list:
        """``function(by_row, *arguments)`` of what there is by row in each part, in their order."""
        raise NotImplementedError

    def parts(self, encode: Callable, n_jobs):
        """The parts, for objectives: ``encode(by_row)`` is what a ``Part`` holds besides X."""
        raise NotImplementedError


class InThreads:
    """What has threads for the length of a solve.

    Parameters
    ----------
    n_jobs : int or None
        How many, in joblib's convention.
    """

    def __init__(self, n_jobs):
        self.n_threads, self._pool = effective_n_jobs(n_jobs), None

    @contextmanager
    def session(self):
        """Threads for the length of a solve."""
        with single_threaded, ThreadPoolExecutor(self.n_threads) as self._pool:
            try:
                yield
            finally:
                self._pool = None


class Kept:
    """Rows that are kept of all that come by: each with the same chance, or all if they are few.

    Every row draws a number; those that are small enough are kept. How small depends on how many
    have come.
    """

    def __init__(self, most):
        self.most, self.limit, self.entries = most, 1.0, 0
        self.least = 1.0  # number, whose rows are kept in any case
        self.rows: list[tuple] = []  # numbers, rows of X, by row

    def add(self, k, X, by_row) -> None:
        """Keep of the rows of part ``k`` what is to be kept."""
        numbers = drawn_numbers(k, by_row)
        self.least = min(self.least, numbers.min())
        self._take(numbers, X, by_row)
        while self.entries > 2 * self.most and self.limit > self.least:
            self.limit *= 0.5
            rows, self.rows, self.entries = self.rows, [], 0
            for row in rows:
                self._take(*row)

    def _take(self, numbers, X, by_row):
        limit = max(self.limit, self.least)
        chosen = slice(None) if limit == 1 else np.flatnonzero(numbers <= limit)
        numbers, X, by_row = numbers[chosen], X[chosen], by_row.at(chosen)
        self.entries += X.nnz if sp.issparse(X) else X.size
        self.rows.append((numbers, X, by_row))

    def joined(self, dtype):
        """X and what there is by row of all that was kept."""
        if self.entries > self.most:
            self.limit *= self.most / self.entries
            rows, self.rows, self.entries = self.rows, [], 0
            for row in rows:
                self._take(*row)
        _, X, by_row = zip(*self.rows, strict=True)
        return stacked(X).astype(dtype, copy=False), together(by_row)


def drawn_numbers(k, by_row) -> np.ndarray:
    """A random number for each row of part ``k``, the same for those of a group, if it is small."""
    if by_row.groups is None:
        return np.random.default_rng(k).random(by_row.n)
    ids, index, sizes = np.unique(by_row.groups, return_inverse=True, return_counts=True)
    if ids.dtype.kind in "biu":
        seeds = ids.astype(np.uint64)
    else:
        seeds = np.array([zlib.crc32(str(name).encode()) for name in ids], dtype=np.uint64)
    numbers = _scrambled(seeds)[index]
    if sizes.max() > _LARGE:
        by_itself = np.random.default_rng(k).random(by_row.n)
        numbers = np.where(sizes[index] > _LARGE, by_itself, numbers)
    return numbers


def _scrambled(seeds):
    """Numbers in [0, 1) that look random (splitmix64: Steele, Lea & Flood 2014)."""
    z = seeds * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


def stacked(parts):
    """Matrices one below the other."""
    if len(parts) == 1:
        return parts[0]
    return sp.csr_array(sp.vstack(parts)) if sp.issparse(parts[0]) else np.concatenate(parts)


def together(by_rows) -> ByRow:
    """What there is by row of several parts."""
    n, *columns = zip(*by_rows, strict=True)
    joined = [None if parts[0] is None else np.concatenate(parts) for parts in columns]
    return ByRow(sum(n), *joined)


# --- groups that straddle ----------------------------------------------------------------------


def neighbours(ids) -> list[np.ndarray]:
    """What groups each part has in common with the next one.

    Parameters
    ----------
    ids : list of ndarray
        The groups that are in each part, sorted; parts without rows are empty.

    Returns
    -------
    list of ndarray

    Raises
    ------
    ValueError
        If a group is in parts that are not neighbours.
    """
    shared = [np.intersect1d(*both, assume_unique=True) for both in itertools.pairwise(ids)]
    shared.append(ids[0][:0])
    # Each group once, in the first of the parts that it is in.
    fresh = [ids[0]] + [
        np.setdiff1d(here, before, assume_unique=True)
        for here, before in zip(ids[1:], shared, strict=False)
    ]
    known, counts = np.unique(np.concatenate(fresh), return_counts=True)
    if counts.max(initial=1) > 1:
        raise ValueError(
            f"group {known[counts > 1].tolist()[0]!r} is in parts of the data that are not "
            "neighbours: rows of a group must be near each other. Sort by group, or shuffle a Dask "
            "frame by it, as in frame.shuffle(on=...)"
        )
    return shared


def joints(shared) -> list[dict[int, np.ndarray]]:
    """Which groups of which parts belong together, as they straddle.

    Parameters
    ----------
    shared : list of ndarray
        As of ``neighbours``.

    Returns
    -------
    list of dict
        For each set of rows that become a part of their own: groups, by part that they are in.
    """
    found: list[dict[int, np.ndarray]] = []
    for k, ids in enumerate(shared):
        if len(ids) == 0:
            continue
        if not (found and k in found[-1] and len(np.intersect1d(shared[k - 1], ids))):
            found.append({k: ids[:0]})
        found[-1][k] = np.union1d(found[-1][k], ids)
        found[-1][k + 1] = ids
    return found


def as_slice(index):
    """Consecutive numbers as a slice, which copies nothing."""
    if len(index) and index[-1] - index[0] + 1 == len(index):
        return slice(int(index[0]), int(index[-1]) + 1)
    return index
