"""One interface over dense and sparse rows, for two kinds of work.

``Rows`` serves full-batch work: products with fixed blocks of rows, by BLAS or scipy's
sparse kernels, in a thread pool. Partial sums are added in block order, so results do not
depend on the number of threads.

``DenseRows`` and ``SparseRows`` serve stochastic work: kernels reach single rows through
``row_dot`` and ``row_add`` and are written once for both.

Standardised coordinates. Solvers see u with w = u / scale and features (x − shift) / scale:
badly scaled or offset columns then cost no accuracy and no iterations. X itself is never
copied: the shift and scale enter by algebra,

    X̃u + b = Xw + (b − shift·w),    X̃ᵀg = (Xᵀg − shift Σg) / scale,

except where this would cancel or overflow (an offset much larger than the spread, or extreme
scales); then blocks are standardised one at a time as they are used, and what is left to
algebra is ``_implicit_shift`` and ``_implicit_scale``.
"""

import copy
import itertools
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from joblib import effective_n_jobs
from threadpoolctl import ThreadpoolController

from sklearn_margin._jit import hold_while_forking, kernel, overload_on_class

__all__ = [
    "DenseRows",
    "RawRows",
    "Rows",
    "SparseRows",
    "dense_rows",
    "raw_rows",
    "row_add",
    "row_dot",
    "single_rows",
    "squared_norms",
    "times",
    "transposed_times",
]

_BLOCK_BYTES = 1 << 20  # about one core's level-2 cache
_FEW_ENTRIES = 2_000_000  # below which handing work to threads costs more than it saves
_MOST_GROUPS = 16  # of consecutive blocks, the unit of parallel work


class _SingleThreadedBlas:
    """Keeps BLAS to one thread while any fit runs: blocks are the unit of parallel work,
    and the order of a sum must not depend on how many threads BLAS has.

    Counts its users, because fits may overlap in several threads of a program. The limit is
    set and lifted by threads of their own: threadpoolctl obeys only the thread that holds
    control as long as that is alive, and the last fit to end need not be the first.

    A forked child has one thread, and of its parent's users those of that thread. If that is
    none, the limit that it inherits is lifted with its first fit.
    """

    def __init__(self):
        self._lock = threading.RLock()
        self._users = Counter()  # by thread
        self._controller = None
        self._limit = None
        hold_while_forking(self._lock)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget_others)

    def __enter__(self):
        with self._lock:
            if self._limit is None:
                _in_new_thread(self._set)
            self._users[threading.get_ident()] += 1

    def __exit__(self, *exception):
        with self._lock:
            self._users[threading.get_ident()] -= 1
            self._users = +self._users
            if not self._users:
                _in_new_thread(self._lift)

    def _set(self):
        if self._controller is None:
            self._controller = ThreadpoolController()
        self._limit = self._controller.limit(limits=1, user_api="blas")
        self._limit.__enter__()

    def _lift(self):
        self._limit.__exit__(None, None, None)
        self._limit = None

    def _forget_others(self):
        own = threading.get_ident()
        self._users = Counter({own: self._users[own]}) if self._users[own] else Counter()


def _in_new_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


_single_threaded_blas = _SingleThreadedBlas()


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
    n_read : list of one int
        Rows read so far by products with X; a part of the rows counts into the same list.
    """

    def __init__(self, X, *, center: bool, n_jobs: int | None = None):
        self.X = _frozen(X)
        self.shape = X.shape
        self.dtype = X.dtype
        self.n_threads = effective_n_jobs(n_jobs)
        self.is_sparse = sp.issparse(X)
        self._pool: ThreadPoolExecutor | None = None
        self._explicit = False  # whether blocks are standardised as they are used
        self.n_read = [0]
        self._divide()
        self._use_coordinates(*self._column_statistics(center))
        if self._explicit:
            self.slabs = self.blocks

    def _divide(self):
        """Divide X into blocks and slabs."""
        divide = _sparse_blocks if self.is_sparse else _dense_blocks
        size = self.X.data.nbytes if self.is_sparse else self.X.nbytes
        self.blocks = list(divide(self.X, _BLOCK_BYTES))
        longer = max(_BLOCK_BYTES, -(-size // _MOST_GROUPS))
        self.slabs = self.blocks if self._explicit else list(divide(self.X, longer))

    def take(self, index) -> "Rows":
        """Some of the rows, copied, in the same coordinates."""
        return self.like(self.X[index])

    def like(self, X) -> "Rows":
        """Rows of another matrix in the coordinates of this one."""
        new = copy.copy(self)
        new.X, new.shape = _frozen(X), X.shape
        new._divide()
        return new

    def dense(self, index) -> np.ndarray:
        """Some of the rows as a dense standardised matrix of float64."""
        X = self.X[index]
        X = X.toarray() if self.is_sparse else X
        return (X - self.shift) / self.scale

    @contextmanager
    def session(self):
        """Threads and BLAS settings for the length of a solve."""
        with _single_threaded_blas:
            if self.n_threads == 1:
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

    def run(self, function: Callable, items: Iterable) -> list:
        """Results of ``function`` over ``items``, in their order."""
        entries = self.X.nnz if self.is_sparse else self.X.size
        serial = self._pool is None or entries < _FEW_ENTRIES
        return list((map if serial else self._pool.map)(function, items))

    # --- products in standardised coordinates ---

    def coefficients(self, u):
        """Coefficients of a block and the offset that make X̃u.

        ``u`` has shape (d,) or, for several scores per row, (n_outputs, d).
        """
        w = u / self._implicit_scale
        return w.T.astype(self.dtype, order="C"), -(w @ self._implicit_shift)

    def scores(self, u, intercept, out=None) -> np.ndarray:
        """X̃u + intercept by row, of shape (n,) or (n, n_outputs)."""
        self.count_read()
        w, offset = self.coefficients(u)
        out = np.empty((self.shape[0], *w.shape[1:]), self.dtype) if out is None else out

        def work(block):
            where, B = block
            z = times(self.standardized(B), w)
            np.add(z, intercept + offset, out=out[where], casting="unsafe")

        self.run(work, self.slabs)
        return out

    def sum_blocks(self, work: Callable, size: int = 0) -> tuple:
        """Sum over blocks, in float64 and in order, of the tuples ``work(where, B)`` gives.

        ``size`` is the number of entries of a partial sum, if large: then fewer are held at
        the same time. How blocks are grouped depends on the shape of X alone.
        """
        self.count_read()
        budget = 2 * self.shape[0] * self.shape[1] // (8 * max(size, 1))
        n_groups = int(np.clip(budget, 2, _MOST_GROUPS)) if size else _MOST_GROUPS
        bounds = np.linspace(0, len(self.blocks), min(n_groups, len(self.blocks)) + 1).astype(int)

        def work_group(k):
            return _add_up(work(*block) for block in self.blocks[bounds[k] : bounds[k + 1]])

        return tuple(_add_up(self.run(work_group, range(len(bounds) - 1))))

    def backproject(self, g) -> tuple[np.ndarray, float | np.ndarray]:
        """X̃ᵀg and Σg; for g of shape (n, n_outputs), of shapes (n_outputs, d) and (n_outputs,)."""
        self.count_read()

        def work(block):
            where, B = block
            return transposed_times(self.standardized(B), g[where]), _sum(g[where])

        return self.finish_backproject(*_add_up(self.run(work, self.slabs)))

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
            projected, total = B.T @ g[where], _sum(g[where])
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

    def normal_product(self, h, u, intercept):
        """X̃ᵀ diag(h) (X̃u + intercept), and the sum of diag(h) (X̃u + intercept), in one pass."""
        w, offset = self.coefficients(u)
        offset += intercept

        def work(where, B):
            B = self.standardized(B)
            if self.is_sparse:
                out = np.zeros(self.shape[1])
                raw = raw_rows(B.data, B.indices, B.indptr)
                return out, _normal_product(raw, h[where], w, offset, out)
            v = h[where] * (B @ w + offset).astype(self.dtype, copy=False)
            return B.T @ v, _sum(v)

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

    def _column_statistics(self, center):
        shift, spread = self._sparse_moments() if self.is_sparse else self._dense_moments()
        if not center:
            with np.errstate(over="ignore"):
                spread = np.hypot(spread, shift)
            shift = np.zeros_like(shift)
        size = np.abs(shift)
        eps = np.finfo(self.dtype).eps
        constant = spread <= 10 * eps * size
        scale = np.where(constant, np.where(size > 0, size, 1.0), spread)
        return shift, scale

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

    def _dense_moments(self):
        """Mean and root mean square deviation of each column, in one pass over X."""
        pilot = self.X[0].astype(np.float64)

        def work(block):
            moments = np.zeros((3, self.shape[1]))
            _dense_moments(block[1], pilot, moments)
            return moments

        with self.session():
            parts = np.array(self.run(work, self.slabs))
        mean, squares = parts[:, :2].sum(axis=0) / self.shape[0]
        largest = parts[:, 2].max(axis=0)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            variance = squares - mean * mean
        # Squares that left the floating-point range: any number of the right size will do.
        usable = (squares > 0) & np.isfinite(squares) & (variance > 1e-3 * squares)
        spread = np.where(usable, np.sqrt(np.where(usable, variance, 1.0)), largest)
        return pilot + mean, spread

    def _sparse_moments(self):
        """Mean and root mean square deviation of each column."""

        def work(block):
            moments = np.zeros((2, self.shape[1]))
            _sparse_moments(block[1].data, block[1].indices, moments)
            return (moments,)

        with self.session():
            (moments,) = _add_up(self.run(work, self.slabs))
        mean, squares = moments / self.shape[0]
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            variance = squares - mean * mean
        usable = np.isfinite(squares) & (variance > 1e-12 * squares)
        spread = np.sqrt(np.where(usable, variance, 0.0))
        wild = ~np.isfinite(squares) | ((squares == 0) & (mean != 0))
        return mean, np.where(wild, np.abs(mean), spread)


@kernel
def _dense_moments(B, pilot, moments):
    for i in range(B.shape[0]):
        for j in range(B.shape[1]):
            deviation = B[i, j] - pilot[j]
            moments[0, j] += deviation
            moments[1, j] += deviation * deviation
            moments[2, j] = max(moments[2, j], abs(deviation))


@kernel
def _sparse_moments(data, indices, moments):
    for k in range(data.shape[0]):
        value = float(data[k])
        moments[0, indices[k]] += value
        moments[1, indices[k]] += value * value


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


def times(B, w):
    """Bw, for w of shape (d,) or (d, n_outputs)."""
    # BLAS is faster at a few long rows than at many short ones.
    return B @ w if w.ndim == 1 or sp.issparse(B) else (w.T @ B.T).T


def transposed_times(B, g):
    """Bᵀg, for g of shape (n,) or (n, n_outputs)."""
    return B.T @ g if g.ndim == 1 or sp.issparse(B) else (g.T @ B).T


def _sum(g):
    return g.sum(axis=0, dtype=np.float64)


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
    if sp.issparse(B):
        scaled = sp.diags_array(root) @ B
        gram = (scaled.T @ scaled).toarray()
    else:
        scaled = B * root[:, None]
        gram = scaled.T @ scaled
    return gram, B.T @ weight, _sum(weight)


# --- single rows, for kernels --------------------------------------------------------------


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


def _frozen(X):
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


def _dense_dot(rows, i, u):
    total = 0.0
    for j in range(u.shape[0]):
        total += (rows.X[i, j] - rows.shift[j]) * rows.inverse[j] * u[j]
    return total


def _sparse_dot(rows, i, u):
    total = 0.0
    for k in range(rows.indptr[i], rows.indptr[i + 1]):
        j = rows.indices[k]
        total += rows.data[k] * rows.inverse[j] * u[j]
    return total


def _raw_dot(rows, i, u):
    # Unsigned indices need no check for negative ones, and four sums run at once.
    first, last = rows.indptr[i], rows.indptr[i + 1]
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    k = first
    while k + 3 < last:
        a += rows.data[k] * u[np.uintp(rows.indices[k])]
        b += rows.data[k + 1] * u[np.uintp(rows.indices[k + 1])]
        c += rows.data[k + 2] * u[np.uintp(rows.indices[k + 2])]
        d += rows.data[k + 3] * u[np.uintp(rows.indices[k + 3])]
        k += 4
    while k < last:
        a += rows.data[k] * u[np.uintp(rows.indices[k])]
        k += 1
    return (a + b) + (c + d)


def _dense_add(rows, i, factor, out):
    for j in range(out.shape[0]):
        out[j] += factor * (rows.X[i, j] - rows.shift[j]) * rows.inverse[j]


def _sparse_add(rows, i, factor, out):
    for k in range(rows.indptr[i], rows.indptr[i + 1]):
        j = rows.indices[k]
        out[j] += factor * rows.data[k] * rows.inverse[j]


def _raw_add(rows, i, factor, out):
    for k in range(rows.indptr[i], rows.indptr[i + 1]):
        out[np.uintp(rows.indices[k])] += factor * rows.data[k]


_DOT = {DenseRows: _dense_dot, SparseRows: _sparse_dot, RawRows: _raw_dot}
_ADD = {DenseRows: _dense_add, SparseRows: _sparse_add, RawRows: _raw_add}


def row_dot(rows, i, u):
    """Inner product of row ``i`` with ``u``."""
    return _DOT[type(rows)](rows, i, u)


def row_add(rows, i, factor, out):
    """Add ``factor`` times row ``i`` to ``out``."""
    _ADD[type(rows)](rows, i, factor, out)


overload_on_class(row_dot, _DOT)
overload_on_class(row_add, _ADD)


@kernel
def squared_norms(rows, index, scratch):
    """Squared norms of the rows ``index``; ``scratch`` is zero, and is again."""
    norms = np.empty(index.shape[0])
    for k in range(index.shape[0]):
        row_add(rows, index[k], 1.0, scratch)
        norms[k] = row_dot(rows, index[k], scratch)
        row_add(rows, index[k], -1.0, scratch)
    return norms


@kernel
def _normal_product(rows, h, w, offset, out):
    """Add Xᵀ diag(h) (Xw + offset) to ``out``; returns the sum of diag(h) (Xw + offset)."""
    total = 0.0
    for i in range(h.shape[0]):
        if h[i] != 0.0:
            factor = h[i] * (row_dot(rows, i, w) + offset)
            row_add(rows, i, factor, out)
            total += factor
    return total
