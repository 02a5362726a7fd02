"""What coordinate descents on the dual have in common: the order in which rows are visited."""

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.objective.rows import DenseRows, RawRows

__all__ = ["COMPACT", "RUN", "shuffle_run", "take_rows"]

RUN = 64  # neighbouring rows that are visited together
COMPACT = 0.5  # share of rows below which they are copied


def take_rows(rows, where):
    """Some rows, side by side."""
    if isinstance(rows, DenseRows):
        return rows._replace(X=rows.X[where])
    lengths = np.diff(rows.indptr)[where]
    indptr = np.zeros(len(where) + 1, rows.indptr.dtype)
    np.cumsum(lengths, out=indptr[1:])
    data = np.empty(indptr[-1], rows.data.dtype)
    indices = np.empty(indptr[-1], rows.indices.dtype)
    _copy_rows(rows, where, indptr, data, indices)
    return RawRows(data, indices, indptr)


@kernel
def _copy_rows(rows, where, indptr, data, indices):
    for k in range(where.shape[0]):
        source = rows.indptr[where[k]]
        for m in range(indptr[k + 1] - indptr[k]):
            data[indptr[k] + m] = rows.data[source + m]
            indices[indptr[k] + m] = rows.indices[source + m]


@kernel
def shuffle_run(run, first, size, state):
    """Write ``first`` … ``first + size - 1`` to ``run`` in random order; the next random state."""
    for k in range(size):
        run[k] = first + k
    for k in range(size - 1, 0, -1):
        state ^= state << np.uint32(13)
        state ^= state >> np.uint32(17)
        state ^= state << np.uint32(5)
        other = int(state % np.uint32(k + 1))
        run[k], run[other] = run[other], run[k]
    return state
