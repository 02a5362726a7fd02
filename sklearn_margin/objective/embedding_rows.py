"""Rows as embeddings want them: scaled, merged, stacked."""

import numpy as np
import scipy.sparse as sp

from sklearn_margin.objective.rows import Rows

__all__ = ["merge_rows", "scaled_rows", "stack_rows"]


def scaled_rows(X, s, n_jobs) -> Rows:
    """Rows about their weighted mean, scaled by the largest deviation from it.

    A feature that is nearly always the same, a pixel at the margin or a rare word, has so small a
    standard deviation that to divide by it would make it shout. A common factor makes the mean
    square of all features 1.
    """
    rows = Rows(X, center=True, n_jobs=n_jobs)
    # In coordinates of order one, in which nothing overflows.
    p = s / s.sum()
    zero = rows.shift / rows.scale
    if rows.is_sparse:
        scaled = X.multiply(1.0 / rows.scale).tocsr()
        mean = p @ scaled
        ends = [scaled.max(axis=0).toarray().ravel(), scaled.min(axis=0).toarray().ravel()]
        largest = np.maximum(np.abs(ends[0] - mean), np.abs(ends[1] - mean))
        square = p @ scaled.multiply(scaled) - mean**2
        mean = mean - zero
    else:
        parts, ends = np.zeros((2, X.shape[1])), np.zeros((2, X.shape[1]))
        for where, block in rows.blocks:
            scaled = (block - rows.shift) / rows.scale
            parts += p[where] @ scaled, p[where] @ scaled**2
            np.maximum(ends, [scaled.max(axis=0), -scaled.min(axis=0)], out=ends)
        mean, square = parts[0], parts[1] - parts[0] ** 2
        largest = np.maximum(ends[0] - mean, ends[1] + mean)
    varies = (square > 1e-14) & (largest > 1e-7)
    largest = np.where(varies, largest, 1.0)
    ratio = np.where(varies, square, 0.0) / largest**2
    size = np.sqrt(ratio.sum() / max(varies.sum(), 1)) or 1.0
    return rows.in_coordinates(rows.shift + rows.scale * mean, rows.scale * largest * size)


def merge_rows(X, labels, s):
    """Rows in an order of their own, equal ones of a label merged and their weights added.

    What is fitted then depends neither on the order of the rows, nor on whether a row is there
    twice or has the weight 2, not even by rounding: which a problem that is not convex would
    amplify.

    Parameters
    ----------
    X : ndarray or CSR of shape (n, d)
    labels : ndarray of shape (n,)
    s : ndarray of shape (n,)
        Weights.
    """
    C = sp.csr_array(X, dtype=np.float64, copy=True)
    C.sum_duplicates()
    C.eliminate_zeros()
    ends = zip(C.indptr[:-1], C.indptr[1:], strict=True)
    keys = [C.indices[a:b].tobytes() + b"|" + C.data[a:b].tobytes() for a, b in ends]
    places: dict = {}
    for i, key in enumerate(zip(keys, labels.tolist(), strict=True)):
        places.setdefault(key, []).append(i)
    members = [places[key] for key in sorted(places)]
    first = np.array([rows[0] for rows in members])
    return X[first], labels[first], np.array([s[rows].sum() for rows in members])


def stack_rows(parts):
    """Rows of several matrices below each other."""
    return sp.vstack(parts, format="csr") if sp.issparse(parts[0]) else np.vstack(parts)
