"""Tables on Dask: arrays and data frames whose blocks stay with the workers that hold them.

Each block becomes a part once: validated and encoded, by a task that rests on the tasks that made
the block, so that it can be computed again where a worker is lost. An evaluation is one task for
each worker, over the parts that it holds; terms come back part by part, and are added up in the
order of the parts, wherever those are. Without a ``Client`` the blocks are computed by Dask's
own schedulers and stay in this process.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from joblib import effective_n_jobs

from sklearn_margin import _tables
from sklearn_margin._lazy import check_table, is_dask, names_of
from sklearn_margin._tables import (
    ByRow,
    Table,
    as_slice,
    columns_of,
    drawn_numbers,
    joints,
    neighbours,
    stacked,
    together,
)
from sklearn_margin._workers import InProcess, computed
from sklearn_margin.batches import Batch, matrix_of
from sklearn_margin.objective.moments import Moments
from sklearn_margin.objective.parts import Part, aligned

__all__ = ["DaskTable", "Raw", "blocks_by_part", "blocks_of", "joined"]


class Raw(NamedTuple):
    """A validated block, or predictions of it, and what else there is of its rows."""

    X: Any
    by_row: ByRow

    def __reduce__(self):
        return _aligned_raw, tuple(self)


class _Facts(NamedTuple):
    """What is told of a block."""

    n: int
    d: int
    is_sparse: bool
    entries: int
    dtype: np.dtype
    moments: Moments | None
    has: tuple  # of y, weights, groups, offset


# --- what is computed where a block is ----------------------------------------------------------


def _raw(X, y, sample_weight, groups, offset, k, unpack):
    X = matrix_of(X, None, k, check=True, name="X in part", least=0)
    columns = columns_of(Batch(X, y, sample_weight, groups, offset), X.shape[0], k, unpack, "part")
    return _aligned_raw(X, columns)


def _aligned_raw(X, by_row):
    return Raw(aligned(X), ByRow(*map(aligned, by_row)))


def _facts(raw):
    X = raw.X
    moments = None
    if X.shape[0] > 0:
        moments = Moments.of(X)
    entries = X.nnz if sp.issparse(X) else X.size
    has = tuple(values is not None for values in raw.by_row[1:])
    return _Facts(*X.shape, sp.issparse(X), entries, X.dtype, moments, has)


def _n_rows(raw):
    return raw.by_row.n


def _groups(raw):
    return np.unique(raw.by_row.groups)


def _joints(groups):
    return joints(neighbours(groups))


def _within(raw, ids):
    """The rows of some groups."""
    return _rows(raw, np.isin(raw.by_row.groups, ids))


def _without(raw, ids):
    """The rows of other groups."""
    return _rows(raw, ~np.isin(raw.by_row.groups, ids))


def _rows(raw, mask):
    rows = as_slice(np.flatnonzero(mask))
    return Raw(raw.X[rows], raw.by_row.at(rows))


def joined(raws):
    """Blocks as one."""
    return Raw(stacked([raw.X for raw in raws]), together([raw.by_row for raw in raws]))


def _kept(raw, k, limit):
    """Rows that are drawn."""
    if limit >= 1:
        return raw
    return _rows(raw, drawn_numbers(k, raw.by_row) <= limit)


def _smallest(raw, k):
    return drawn_numbers(k, raw.by_row).min()


def _asked(raw, function, arguments):
    return function(raw.by_row, *arguments)


def _encoded(raw, encode, dtype):
    return Part(raw.X.astype(dtype, copy=False), *encode(raw.by_row))


def _drop_empty(blocks, sizes):
    """Leave out blocks without rows."""
    blocks.held = [one for one, n in zip(blocks.held, sizes, strict=True) if n > 0]


# --- the table ----------------------------------------------------------------------------------


class DaskTable(Table):
    """A table of Dask collections.

    Parameters
    ----------
    X : dask.array.Array or dask.dataframe.DataFrame
        Chunk sizes may be unknown.
    columns : dict
        y, sample_weight, groups and offset, as collections with the same chunks, or None.
    unpack : callable, default=None
        As of ``StreamTable``.

    Raises
    ------
    ValueError
        If chunks do not match, or for what ``StreamTable`` raises it.
    """

    what, remedy = "Dask collections", "fit(X, y)"
    why_elsewhere = "X is on Dask, and no row can be visited by itself"

    def __init__(self, X, columns, unpack=None):
        self.n_reads = 1
        raws = blocks_of(X, columns, _raw, unpack)
        self._survey(raws)
        if self._has[2]:
            whole = self.whole_groups(self._raws)
            if whole is not raws:  # of the same rows: their moments are known
                _drop_empty(whole, whole.map(_n_rows))
            self._raws = whole
        self.first = names_of(X, self.shape[1])
        self._keep()

    def _survey(self, raws):
        """Note what there is in the blocks; those without rows are left out."""
        facts = raws.map(_facts)
        full = [fact for fact in facts if fact.n > 0]
        if not full:
            raise ValueError("X holds no rows: all of its parts are empty")
        _drop_empty(raws, [fact.n for fact in facts])
        found = sorted({fact.d for fact in full})
        if len(found) > 1:
            raise ValueError(f"parts of X must have the same number of features, got {found}")
        if len({fact.is_sparse for fact in full}) > 1:
            raise ValueError("parts of X must all be sparse or dense")
        self._raws, self._has, self.is_sparse = raws, full[0].has, full[0].is_sparse
        self.dtype = np.result_type(*(fact.dtype for fact in full))
        self.entries = sum(fact.entries for fact in full)
        self.moments = full[0].moments
        for fact in full[1:]:
            self.moments.merge(fact.moments)
        self.shape = (self.moments.n, full[0].d)

    @staticmethod
    def whole_groups(raws):
        """Blocks that hold whole groups: those that straddle make blocks of their own."""
        ids = raws.each(_groups)
        clusters = raws.get(raws.submit(_joints, ids.held))
        if not clusters:
            return raws
        moved: dict[int, list] = {}
        for cluster in clusters:
            for k, names in cluster.items():
                moved.setdefault(k, []).append(names)
        held = []
        for k, one in enumerate(raws.held):
            if k in moved:
                one = raws.submit(_without, one, np.unique(np.concatenate(moved[k])))
            held.append(one)
            for cluster in clusters:
                if min(cluster) == k:
                    pieces = [
                        raws.submit(_within, raws.held[j], names) for j, names in cluster.items()
                    ]
                    held.append(raws.submit(joined, pieces))
        return raws.of(held)

    def _keep(self):
        limit = min(1.0, _tables.KEPT / max(self.entries, 1))
        self.complete = limit == 1
        kept = self._drawn(limit)
        if kept.by_row.n == 0:  # of few groups, all large
            kept = self._drawn(min(self._raws.get(self._raws.each(_smallest, index=True).held)))
        self.kept_X, self.kept = kept.X.astype(self.dtype, copy=False), kept.by_row

    def _drawn(self, limit):
        return joined(self._raws.get(self._raws.each(_kept, limit, index=True).held))

    def ask(self, function, *arguments):
        return self._raws.map(_asked, function, arguments)

    def parts(self, encode, n_jobs):
        return _DaskParts(self._raws.each(_encoded, encode, self.dtype), n_jobs)


class _DaskParts:
    """Encoded parts."""

    travels = True

    why_elsewhere = DaskTable.why_elsewhere

    def __init__(self, blocks, n_jobs):
        self.blocks = blocks
        if isinstance(blocks, InProcess):
            blocks.n_threads = effective_n_jobs(n_jobs)

    def session(self):
        """As ``Parts.session``."""
        return self.blocks.session()

    def map(self, function, *arguments, reads=True):
        """As ``Parts.map``."""
        return self.blocks.map(function, *arguments)


def blocks_of(X, columns, function, *arguments):
    """Blocks ``function(X, y, sample_weight, groups, offset, k, *arguments)``, where they are
    computed."""
    import dask

    check_table(X)
    shared = [dask.delayed(argument, pure=False, traverse=False) for argument in arguments]
    frame, names = _one_frame(X, columns)
    if frame is None:
        parts = list(zip(*_by_part(X, columns), strict=True))
    else:
        function = _OfFrame(function, list(X.columns), names)
        parts = [(block,) for block in _delayed(frame)]
    work = dask.delayed(function, pure=False, traverse=False)
    return computed([work(*blocks, k, *shared) for k, blocks in enumerate(parts)])


def _one_frame(X, columns):
    """X and what there is by row besides as one frame, and the names of those columns; None where
    they are no frames of one origin.

    Dask merges partitions as it likes where few columns are read: X and y, each by itself, might
    come in other parts.
    """
    names = {}
    frame = X
    for name, values in columns.items():
        if values is None:
            continue
        if not (hasattr(X, "divisions") and hasattr(values, "divisions")):
            return None, {}
        if values.divisions != X.divisions or values.npartitions != X.npartitions:
            return None, {}
        several = [values] if values.ndim == 1 else [values[key] for key in values.columns]
        names[name] = [f"__sklearn_margin_{name}_{k}" for k in range(len(several))]
        try:
            frame = frame.assign(**dict(zip(names[name], several, strict=True)))
        except (ValueError, NotImplementedError):
            return None, {}
    return (frame, names) if names else (None, {})


class _OfFrame:
    """A function of X, and what else there is by row, of a frame that holds it all."""

    def __init__(self, function, features, names):
        self.function, self.features, self.names = function, features, names

    def __call__(self, frame, *arguments):
        parts = []
        for name in ByRow._fields[1:]:
            columns = self.names.get(name)
            if columns is not None:
                columns = frame[columns] if len(columns) > 1 else frame[columns[0]]
            parts.append(columns)
        return self.function(frame[self.features], *parts, *arguments)


def _by_part(X, columns):
    """Blocks of X, and of what else there is by row, part by part, as delayed values."""
    if hasattr(X, "numblocks"):
        X = X.rechunk({1: -1}) if X.numblocks[1] > 1 else X
    rows = X.chunks[0] if hasattr(X, "chunks") else None
    blocks = [_delayed(X)]
    for name in ByRow._fields[1:]:
        blocks.append(_column_blocks(columns.get(name), name, rows, len(blocks[0])))
    return blocks


def blocks_by_part(X, offset) -> tuple[list, list]:
    """Blocks of X and of an offset, of which there may be none, part by part."""
    blocks, *_, offsets = _by_part(X, {"offset": offset})
    return blocks, offsets


def _delayed(values):
    """Blocks of a collection.

    Those of arrays are not optimised, lest what X and y are both made of is read for each of them;
    those of frames are, so that no other columns are read.
    """
    return list(np.ravel(values.to_delayed(optimize_graph=not hasattr(values, "chunks"))))


def _column_blocks(values, name, rows, n_parts):
    """Blocks of a column like those of X, which have so many ``rows`` (None if frames)."""
    if values is None or np.ndim(values) == 0:
        return [values] * n_parts
    known = rows is not None and not np.isnan(rows).any()
    if not is_dask(values):
        if not known:
            raise ValueError(
                f"{name} must be a Dask collection with the parts of X, whose sizes are not known, "
                f"got {type(values).__name__}"
            )
        values = np.asarray(values)
        if len(values) != sum(rows):
            raise ValueError(f"{name} has {len(values)} entries, and X has {sum(rows)} rows")
        return np.split(values, np.cumsum(rows)[:-1])
    if hasattr(values, "numblocks"):
        if values.ndim == 2 and values.numblocks[1] > 1:
            values = values.rechunk({1: -1})
        if known and not np.isnan(values.chunks[0]).any() and values.chunks[0] != rows:
            if sum(values.chunks[0]) != sum(rows):
                raise ValueError(
                    f"{name} has {sum(values.chunks[0])} entries, and X has {sum(rows)} rows"
                )
            values = values.rechunk({0: rows})
    blocks = _delayed(values)
    if len(blocks) != n_parts:
        raise ValueError(
            f"{name} is in {len(blocks)} parts, and X in {n_parts}: their parts must hold the same "
            "rows. Repartition one of them, or take both from one frame"
        )
    return blocks
