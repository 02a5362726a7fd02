"""Rows of X in blocks, for full-batch work on dense and sparse data.

Products are with fixed blocks of rows, by BLAS or scipy's sparse kernels, in a thread pool. Partial
sums are added in block order, so results do not depend on the number of threads. Kernels that visit
single rows are in ``row_kernels``.

Standardised coordinates. Solvers see u with w = u / scale and features (x − shift) / scale:
badly scaled or offset columns then cost no accuracy and no iterations. X itself is never
copied: the shift and scale enter by algebra,

    X̃u + b = Xw + (b − shift·w),    X̃ᵀg = (Xᵀg − shift Σg) / scale,

except where this would cancel or overflow (an offset much larger than the spread, or extreme
scales). Then blocks are standardised one at a time as they are used, and the algebra is with the
rest of the transformation only: ``_implicit_shift`` and ``_implicit_scale``.
"""

import collections
import copy
import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp
from joblib import effective_n_jobs

from sklearn_margin.objective._blas import single_threaded
from sklearn_margin.objective.moments import column_statistics, largest_entries
from sklearn_margin.objective.row_kernels import (
    DenseRows,
    RawRows,
    SparseRows,
    centred_rows,
    frozen,
    normal_product,
    raw_rows,
    single_rows,
)

__all__ = ["Rows", "blocks_of", "grouped", "slabs_of", "summed"]

_BLOCK_BYTES = 1 << 20  # about one core's level-2 cache
_FEW_ENTRIES = 2_000_000  # below which handing work to threads costs more than it saves
_SMALL_PRODUCT = 1_000_000  # multiplications of a product of matrices
_MOST_GROUPS = 16  # of consecutive blocks, the unit of parallel work


class Rows:
    """Blocks of rows of a validated matrix, in standardised coordinates.

    Parameters
    ----------
    X : ndarray or CSR of shape (n, d), float32 or float64
        Finite; C-contiguous if dense. Not copied.
    center : bool
        Whether an intercept or the loss makes the fit independent of a shift of X.
    n_jobs : int or None
        Threads, in joblib's convention.

    Attributes
    ----------
    shape, dtype
        Of X.
    blocks : list of (slice, matrix)
        Consecutive ranges of rows that fit a cache.
    slabs : list of (slice, matrix)
        Longer ranges, at most 16, for work that reads X once; the blocks, if those are
        standardised as they are used.
    shift, scale : ndarray of float64 of shape (d,)
        Column means (or zeros) and root mean squares about them.
    ranges : list of slice
        Those of ``slabs``.
    n_read : list of one int
        Rows read so far by products with X; a part of the rows counts into the same list.
    """

    #: Why single rows cannot be visited; None if they can.
    why_elsewhere: str | None = None

    def __init__(self, X, *, center: bool, n_jobs: int | None = None):
        self.X = frozen(X)
        self.shape = X.shape
        self.dtype = X.dtype
        self.n_threads = effective_n_jobs(n_jobs)
        self.is_sparse = sp.issparse(X)
        self._pool: ThreadPoolExecutor | None = None
        self._explicit = False  # whether blocks are standardised as they are used
        self.n_read = [0]
        self._divide()
        with self.session():
            statistics = column_statistics(self.X, self.slabs, self.run, center)
        self._use_coordinates(*statistics)
        if self._explicit:
            self.slabs = self.blocks

    def _divide(self):
        """Divide X into blocks and slabs."""
        self.blocks = blocks_of(self.X)
        self.slabs = self.blocks if self._explicit else slabs_of(self.X)

    @property
    def exceed_caches(self) -> bool:
        """Whether a read of X is a read of memory, which two products should share."""
        return not self.is_sparse and len(self.blocks) >= _MOST_GROUPS

    @property
    def ranges(self) -> list[slice]:
        """Ranges of rows for work that does not read X."""
        return [where for where, _ in self.slabs]

    def take(self, index) -> "Rows":
        """Some of the rows, copied, in the same coordinates."""
        return self.like(self.X[index])

    def like(self, X) -> "Rows":
        """Rows of another matrix, in memory, in the coordinates of this one."""
        new = Rows.__new__(Rows)
        vars(new).update(vars(self))
        new.X, new.shape = frozen(X), X.shape
        new._divide()
        return new

    def columns(self, index) -> "Rows":
        """Some of the columns, copied, in the same coordinates. Their reads are counted apart."""
        X = self.X[:, index]
        new = self.like(X if self.is_sparse else np.ascontiguousarray(X))
        new.n_read = [0]
        for name in ("shift", "scale", "_implicit_shift", "_implicit_scale"):
            setattr(new, name, getattr(self, name)[index])
        return new

    # --- single rows ---

    def raw(self, index) -> np.ndarray:
        """Some of the rows as a dense matrix."""
        X = self.X[index]
        return X.toarray() if self.is_sparse else X

    def standardized_columns(self, index) -> np.ndarray:
        """Some columns of X̃, of shape (n, len(index))."""
        X = self.X[:, index].toarray() if self.is_sparse else self.X[:, index]
        return ((X - self.shift[index]) / self.scale[index]).astype(self.dtype)

    def dense(self, index) -> np.ndarray:
        """Some of the rows as a dense standardised matrix of float64."""
        return (self.raw(index) - self.shift) / self.scale

    def centred(self) -> tuple[DenseRows | RawRows, np.ndarray]:
        """Rows for kernels in their own units, and the shift that they are centred by: none, where
        that would make them dense."""
        return centred_rows(self.X, self.shift)

    def single(self, shift, scale) -> DenseRows | SparseRows:
        """The rows (x − shift) / scale for kernels; the shift of sparse ones must be zero."""
        return single_rows(self.X, shift, scale)

    def kernel_coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Shift and scale for ``single``, after which columns are of one size: those of X̃, or, of
        sparse rows, none and the largest entries."""
        if self.is_sparse:
            return np.zeros(self.shape[1]), largest_entries(self.X)
        return self.shift, self.scale

    @property
    def entries_per_row(self) -> float:
        """Mean number of entries that are stored of a row."""
        n, d = self.shape
        return self.X.nnz / max(n, 1) if self.is_sparse else d

    # --- sessions ---

    @contextmanager
    def session(self):
        """Threads and BLAS settings for the length of a solve, or of several: within a session
        another one is part of it."""
        with single_threaded:
            if self.n_threads == 1 or self._pool is not None:
                yield self
                return
            with ThreadPoolExecutor(self.n_threads) as self._pool:
                try:
                    yield self
                finally:
                    self._pool = None

    def count_read(self, n_rows=None):
        """Count a product with these rows, or with ``n_rows`` of them."""
        self.n_read[0] += self.shape[0] if n_rows is None else n_rows

    def run(
        self, function: Callable, items: Iterable, work: float | None = None, width: int = 1
    ) -> list:
        """Results of ``function`` over ``items``, in their order.

        ``work`` is what all of that takes, in entries of X; None is a read of X times ``width``.
        """
        work = self.shape[0] * self.entries_per_row * width if work is None else work
        serial = self._pool is None or work < _FEW_ENTRIES
        return list((map if serial else self._pool.map)(function, items))

    def over_slabs(self, work: Callable, width: int = 1) -> Iterable:
        """Results of ``work((where, B))`` over ranges of rows, in their order: one read of X."""
        self.count_read()
        return self.run(work, self.slabs, width=width)

    def over_groups(self, work: Callable, size: int, width: int = 1) -> Iterable:
        """Sums of what ``work(where, B)`` gives over groups of consecutive blocks, in their order:
        one read of X; see ``sum_blocks``."""
        self.count_read()
        return self.run(*grouped(self.blocks, work, self.shape, size), width=width)

    def precisely(self) -> tuple["Rows", float]:
        """The same rows for products in float64 in which little cancels, and by what factor the
        algebra of the shift makes rounding errors larger."""
        new = copy.copy(self)
        new.dtype = np.dtype(np.float64)
        ratio = np.max(np.abs(self.shift) / self.scale, initial=0.0)
        if self.dtype != np.float64 or (ratio > 3 and not self.is_sparse):
            new._explicit, new.slabs = True, new.blocks
            new._implicit_scale = np.ones_like(self.scale)
            new._implicit_shift = new._implicit_scale * 0.0
            if self.is_sparse:
                new._implicit_shift = self.shift / self.scale
        return new, 1.0 if new._explicit and not self.is_sparse else 4 * (1 + float(ratio) ** 2)

    # --- products in standardised coordinates ---

    def coefficients(self, u):
        """Coefficients of a block and the offset that make X̃u.

        ``u`` has shape (d,) or, for several scores per row, (n_outputs, d).
        """
        w = u / self._implicit_scale
        return w.T.astype(self.dtype, order="C"), -(w @ self._implicit_shift)

    def scores(self, u, intercept, out=None) -> np.ndarray:
        """X̃u + intercept by row, of shape (n,) or (n, n_outputs)."""
        w, offset = self.coefficients(u)
        out = np.empty((self.shape[0], *w.shape[1:]), self.dtype) if out is None else out

        def work(block):
            where, B = block
            z = times(self.standardized(B), w)
            np.add(z, intercept + offset, out=out[where], casting="unsafe")

        collections.deque(self.over_slabs(work, width_of(out)), maxlen=0)
        return out

    def sum_blocks(self, work: Callable, size: int = 0, width: int = 1) -> tuple:
        """Sum over blocks, in float64 and in order, of the tuples ``work(where, B)`` gives.

        ``size`` is the number of entries of a partial sum, if large: then fewer are held at
        the same time. How blocks are grouped depends on the shape of X alone.
        """
        return tuple(_add_up(self.over_groups(work, size, width)))

    def backproject(self, g) -> tuple[np.ndarray, float | np.ndarray]:
        """X̃ᵀg and Σg; for g of shape (n, n_outputs), of shapes (n_outputs, d) and (n_outputs,)."""

        def work(block):
            where, B = block
            return transposed_times(self.standardized(B), g[where]), summed(g[where])

        return self.finish_backproject(*_add_up(self.over_slabs(work, width_of(g))))

    def finish_backproject(self, projected, total):
        """Turn Σ over blocks of Bᵀg and Σg into X̃ᵀg and Σg."""
        total = np.asarray(total) if np.ndim(total) else float(total)
        shifted = projected.T - np.multiply.outer(total, self._implicit_shift)
        return shifted / self._implicit_scale, total

    def gram(self, h, g) -> tuple[np.ndarray, np.ndarray, float, np.ndarray, float]:
        """X̃ᵀ diag(h) X̃, X̃ᵀh, Σh, X̃ᵀg and Σg in one pass, for non-negative h."""

        def work(where, B):
            weight = h[where]
            B = self.standardized(B)
            projected, total = B.T @ g[where], summed(g[where])
            active = np.flatnonzero(weight)
            if len(active) < 0.8 * len(weight):
                B, weight = B[active], weight[active]
            return *_block_gram(B, weight), projected, total

        d = self.shape[1]
        gram, projected_h, total_h, projected_g, total_g = self.sum_blocks(work, d * d)
        shift, scale = self._implicit_shift, self._implicit_scale
        cross = np.outer(projected_h, shift)
        gram += np.outer(shift, shift) * total_h - cross - cross.T
        gram /= np.outer(scale, scale)
        return (
            gram,
            *self.finish_backproject(projected_h, total_h),
            *self.finish_backproject(projected_g, total_g),
        )

    def through_scores(self, u, intercept, slopes) -> tuple:
        """X̃ᵀg and Σg for g that follow from scores block by block, in one read of X: a block is
        still in the cache when its transpose follows.

        Parameters
        ----------
        u, intercept
            As in ``scores``.
        slopes : callable
            ``slopes(where, z)`` gives a number (or several, in an array) and g, of the shape of
            the scores z of some rows.

        Returns
        -------
        total : ndarray
            Sums of the numbers.
        projected, total_g
            X̃ᵀg and Σg, as of ``backproject``.
        """
        w, offset = self.coefficients(u)
        offset = offset + intercept

        def work(where, B):
            B = self.standardized(B)
            z = times(B, w)
            np.add(z, offset, out=z, casting="unsafe")
            value, g = slopes(where, z)
            return value, transposed_times(B, g), summed(g)

        value, projected, total = self.sum_blocks(work, width=width_of(w))
        return value, *self.finish_backproject(projected, total)

    def normal_product(self, h, u, intercept):
        """X̃ᵀ diag(h) (X̃u + intercept), and the sum of diag(h) (X̃u + intercept), in one pass."""
        w, offset = self.coefficients(u)
        offset += intercept

        def work(where, B):
            B = self.standardized(B)
            if self.is_sparse:
                out = np.zeros(self.shape[1])
                raw = raw_rows(B.data, B.indices, B.indptr)
                return out, normal_product(raw, h[where], w, offset, out)
            v = h[where] * (B @ w + offset).astype(self.dtype, copy=False)
            return B.T @ v, summed(v)

        return self.finish_backproject(*self.sum_blocks(work))

    def standardized(self, B):
        """Block ``B`` as products should see it."""
        if not self._explicit:
            return B
        if not self.is_sparse:
            return ((B - self.shift) / self.scale).astype(self.dtype, copy=False)
        scaled = copy.copy(B)
        scaled.data = (B.data / self.scale[B.indices]).astype(self.dtype, copy=False)
        return scaled

    # --- coordinates ---

    def in_coordinates(self, shift, scale) -> "Rows":
        """The same rows in other coordinates, (x − shift) / scale."""
        new = copy.copy(self)
        new._use_coordinates(shift, scale)
        new._divide()
        return new

    def _use_coordinates(self, shift, scale):
        """Divide the work of standardising between blocks and algebra."""
        self.shift, self.scale, self._explicit = shift, scale, False
        # Where algebra would lose more than half of the digits, blocks are standardised.
        eps = np.finfo(self.dtype).eps
        offset = np.max(np.abs(shift) / scale, initial=0.0) > 0.01 / np.sqrt(eps)
        largest = np.log10(np.finfo(self.dtype).max)
        extreme = np.abs(np.log10(scale)).max(initial=0.0) > 0.3 * largest
        if extreme and self.is_sparse:
            self._explicit = True
            self._implicit_shift, self._implicit_scale = shift / scale, np.ones_like(scale)
        elif (offset or extreme) and not self.is_sparse:
            self._explicit = True
            self._implicit_shift, self._implicit_scale = np.zeros_like(shift), np.ones_like(scale)
        else:
            self._implicit_shift, self._implicit_scale = shift, scale


def grouped(blocks, work, shape, size):
    """A function that sums ``work(where, B)`` over a group of consecutive blocks, and the groups.

    How blocks are grouped depends on the shape of X alone; ``size`` as in ``Rows.sum_blocks``.
    """
    budget = 2 * shape[0] * shape[1] // (8 * max(size, 1))
    n_groups = int(np.clip(budget, 2, _MOST_GROUPS)) if size else _MOST_GROUPS
    bounds = np.linspace(0, len(blocks), min(n_groups, len(blocks)) + 1).astype(int)

    def work_group(k):
        return _add_up(work(*block) for block in blocks[bounds[k] : bounds[k + 1]])

    return work_group, range(len(bounds) - 1)


def blocks_of(X) -> list[tuple[slice, object]]:
    """Consecutive ranges of the rows of X that fit a cache, with the rows."""
    return _divided(X, _BLOCK_BYTES)


def slabs_of(X) -> list[tuple[slice, object]]:
    """As ``blocks_of``, but longer, and at most 16."""
    size = X.data.nbytes if sp.issparse(X) else X.nbytes
    return _divided(X, max(_BLOCK_BYTES, -(-size // _MOST_GROUPS)))


def _divided(X, size):
    return list((_sparse_blocks if sp.issparse(X) else _dense_blocks)(X, size))


def _add_up(parts):
    """Entrywise sum of tuples of arrays and numbers, in float64."""
    totals = None
    for part in parts:
        if totals is None:
            totals = [np.array(p, dtype=np.float64) for p in part]
        else:
            for total, p in zip(totals, part, strict=True):
                total += p
    return totals


def width_of(z):
    """Columns of scores or coefficients."""
    return z.shape[1] if z.ndim > 1 else 1


def times(B, w):
    """B w, for w of shape (d,) or (d, n_outputs): in pieces that OpenBLAS multiplies where they
    are, up to twice as fast, since it copies the matrices of a larger product first."""
    rows = _SMALL_PRODUCT // max(w.size, 1)
    if w.ndim == 1 or sp.issparse(B) or not 0 < rows < len(B):
        return B @ w
    out = np.empty((len(B), w.shape[1]), np.result_type(B, w))
    for first in range(0, len(B), rows):
        np.matmul(B[first : first + rows], w, out=out[first : first + rows])
    return out


def transposed_times(B, g):
    """Bᵀg, for g of shape (n,) or (n, n_outputs)."""
    return B.T @ g if g.ndim == 1 or sp.issparse(B) else (g.T @ B).T


def summed(g):
    """Σg over rows, in float64."""
    if g.ndim == 1:
        return g.sum(dtype=np.float64)
    if g.dtype == np.float64:
        return np.ones(len(g)) @ g  # which BLAS does, several times as fast as ``sum``
    return np.einsum("ij->j", g, dtype=np.float64, casting="same_kind")


def _dense_blocks(X, size):
    d = max(1, X.shape[1])
    # For many columns, enough rows that adding a d × d Gram matrix is cheap beside making it.
    rows = max(64, d // 2, -(-size // (d * X.itemsize)))
    for first in range(0, X.shape[0], rows):
        where = slice(first, min(first + rows, X.shape[0]))
        yield where, X[where]


def _sparse_blocks(X, size):
    """Blocks of similar numbers of non-zeros that share the data of X."""
    n, d = X.shape
    # Non-zeros; a block's Xᵀg, as a dense vector, is no larger.
    per_block = max(size // X.dtype.itemsize, 2 * _BLOCK_BYTES // 8, 2 * d)
    targets = np.arange(0, X.nnz + 1, per_block)
    cuts = np.unique(np.r_[0, np.searchsorted(X.indptr, targets[1:], side="left"), n])
    for first, last in itertools.pairwise(cuts):
        a, b = X.indptr[first], X.indptr[last]
        block = sp.csr_array((last - first, d), dtype=X.dtype)
        # Set one by one: the constructor would copy indices of 64 bits into 32.
        block.data, block.indices = X.data[a:b], X.indices[a:b]
        block.indptr = X.indptr[first : last + 1] - a
        yield slice(int(first), int(last)), block


def _block_gram(B, weight):
    root = np.sqrt(weight)
    if sp.issparse(B) and _is_better_dense(B):
        B = B.toarray()
    if sp.issparse(B):
        scaled = sp.diags_array(root) @ B
        gram = (scaled.T @ scaled).toarray()
    else:
        scaled = B * root[:, None]
        gram = scaled.T @ scaled
    return gram, B.T @ weight, summed(weight)


def _is_better_dense(B):
    """Whether the Gram matrix of sparse rows is faster made of dense ones: they have few zeros, or
    it is less work than there is in beginning a sparse product."""
    n, d = B.shape
    return 8 * B.nnz > n * d or n * d * d < 3_000_000
