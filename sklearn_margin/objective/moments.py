"""Means and spreads of columns, from which standardised coordinates are made."""

import numpy as np
import scipy.sparse as sp

from sklearn_margin._jit import kernel

__all__ = ["Moments", "column_statistics", "largest_entries"]


def column_statistics(X, slabs, run, center) -> tuple[np.ndarray, np.ndarray]:
    """Shift and scale of each column, in one pass over X.

    Parameters
    ----------
    X : ndarray or CSR of shape (n, d)
    slabs : list of (slice, matrix)
        Consecutive ranges of its rows.
    run : callable
        ``run(function, slabs)``: results of a function of a slab, in their order.
    center : bool
        Whether columns are shifted to mean zero.

    Returns
    -------
    shift : ndarray of shape (d,)
        Means, or zeros.
    scale : ndarray of shape (d,)
        Root mean squares about the shift; positive, since a constant column has its size for scale.
    """
    moments = Moments(X)
    moments.add(slabs, run)
    return moments.statistics(center)


class Moments:
    """Sums over rows from which means and spreads of columns are made.

    Parameters
    ----------
    X : ndarray or CSR of shape (n, d)
        The first rows.
    """

    def __init__(self, X):
        self.is_sparse, self.eps, self.n = sp.issparse(X), np.finfo(X.dtype).eps, 0
        self.sums = np.zeros((2 if self.is_sparse else 3, X.shape[1]))
        self.pilot = None if self.is_sparse else X[0].astype(np.float64)

    @classmethod
    def of(cls, X) -> "Moments":
        """Those of the rows of X."""
        new = cls(X)
        new.add([(slice(0, X.shape[0]), X)], map)
        return new

    def add(self, slabs, run) -> None:
        """Add rows, given as in ``column_statistics``."""
        for (where, _), part in zip(slabs, run(self._part, slabs), strict=True):
            self.n += where.stop - where.start
            self.sums[:2] += part[:2]
            if not self.is_sparse:
                np.maximum(self.sums[2], part[2], out=self.sums[2])

    def merge(self, other) -> None:
        """Add the rows of another one."""
        self.n += other.n
        if not self.is_sparse:
            apart = other.pilot - self.pilot  # deviations from this pilot are larger by that
            self.sums[1] += apart * (2.0 * other.sums[0] + other.n * apart)
            self.sums[0] += other.n * apart
            np.maximum(self.sums[2], other.sums[2] + np.abs(apart), out=self.sums[2])
        self.sums[:2] += other.sums[:2]

    def _part(self, slab):
        sums = np.zeros_like(self.sums)
        if self.is_sparse:
            _add_entries(slab[1].data, slab[1].indices, sums)
        else:
            _add_deviations(slab[1], self.pilot, sums)
        return sums

    def statistics(self, center) -> tuple[np.ndarray, np.ndarray]:
        """Shift and scale of each column, as of ``column_statistics``."""
        if self.is_sparse and not center:
            size = np.sqrt(self.sums[1] / self.n)
            if (np.isfinite(size) & ((size > 0) | (self.sums[0] == 0))).all():
                return np.zeros_like(size), np.where(size > 0, size, 1.0)
        return _statistics(*(self._sparse() if self.is_sparse else self._dense()), center, self.eps)

    def _dense(self):
        """Mean and root mean square deviation of each column."""
        mean, squares = self.sums[:2] / self.n
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            variance = squares - mean * mean
        # Squares that left the floating-point range: any number of the right size will do.
        usable = (squares > 0) & np.isfinite(squares) & (variance > 1e-3 * squares)
        spread = np.where(usable, np.sqrt(np.where(usable, variance, 1.0)), self.sums[2])
        return self.pilot + mean, spread

    def _sparse(self):
        """Mean and root mean square deviation of each column."""
        mean, squares = self.sums / self.n
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            variance = squares - mean * mean
        usable = np.isfinite(squares) & (variance > 1e-12 * squares)
        spread = np.sqrt(np.where(usable, variance, 0.0))
        wild = ~np.isfinite(squares) | ((squares == 0) & (mean != 0))
        return mean, np.where(wild, np.abs(mean), spread)


def _statistics(shift, spread, center, eps):
    """Shift and scale from means and root mean square deviations."""
    if not center:
        with np.errstate(over="ignore"):
            spread = np.hypot(spread, shift)
        shift = np.zeros_like(shift)
    size = np.abs(shift)
    constant = spread <= 10 * eps * size
    return shift, np.where(constant, np.where(size > 0, size, 1.0), spread)


def largest_entries(X) -> np.ndarray:
    """Largest absolute value of each column of a CSR matrix; 1 for empty columns."""
    largest = np.zeros(X.shape[1])
    np.maximum.at(largest, X.indices, np.abs(X.data))
    return np.where(largest > 0, largest, 1.0)


@kernel
def _add_deviations(B, pilot, moments):
    """Add sums of deviations from ``pilot`` and of their squares to ``moments``; its third row is
    the largest one."""
    for i in range(B.shape[0]):
        for j in range(B.shape[1]):
            deviation = B[i, j] - pilot[j]
            moments[0, j] += deviation
            moments[1, j] += deviation * deviation
            moments[2, j] = max(moments[2, j], abs(deviation))


@kernel
def _add_entries(data, indices, moments):
    """Add sums of entries and of their squares to ``moments``."""
    for k in range(data.shape[0]):
        value, j = float(data[k]), np.uintp(indices[k])
        moments[0, j] += value
        moments[1, j] += value * value
