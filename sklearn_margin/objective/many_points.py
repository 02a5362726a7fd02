"""Many points in one read of X: what the fits of a path look at, which differ in their penalty.

The scores of m points are a product of a block of rows with m columns of coefficients, and their
gradients one of its transpose with m columns of slopes. That is far less work than m products with
a vector each (it is BLAS of level 3), and X comes from memory once.
"""

import threading
from typing import NamedTuple

import numpy as np

from sklearn_margin.objective.slopes import SlopeSums, sum_of_sizes

__all__ = ["Readings", "read_many"]


class Readings(NamedTuple):
    """What a read of X tells of L at m points: as ``Reading``, without what is by row."""

    n: int  # rows
    loss: np.ndarray  # (m,)
    size: np.ndarray  # (m,) of the slopes by score, as in ``SlopeSums``
    squares: np.ndarray  # (m,)
    gradient: np.ndarray  # (m, n_params)
    bend: np.ndarray | None  # (m, n_params), row of the Hessian that belongs to the intercept

    def slopes(self, k) -> SlopeSums:
        """Slopes of L by score at point ``k``."""
        return SlopeSums(self.n, float(self.size[k]), float(self.squares[k]))


def read_many(objective, params, curved=False) -> Readings:
    """L and its gradient at several points.

    Parameters
    ----------
    objective : PointwiseObjective
        Of one score per row, with a loss that is a sum over rows.
    params : ndarray of shape (m, n_params)
    curved : bool, default=False
        Whether to find the row of the Hessian that belongs to the intercept, X̃ᵀh and Σh.

    Returns
    -------
    Readings
    """
    rows, loss, m = objective.rows, objective.loss, len(params)
    d = rows.shape[1]
    w, shift = rows.coefficients(params[:, :d])
    shift = (shift + params[:, d:].sum(axis=1))[:, None]  # of no column without an intercept

    local = threading.local()  # room for scores and slopes: fresh memory costs as much as they do

    def room(n):
        if getattr(local, "room", np.empty((3, 0))).shape[1] < m * n:
            local.room = np.empty((3, m * n), rows.dtype)
        return local.room[:, : m * n].reshape(3, m, n)

    def work(where, B):
        B = rows.standardized(B)
        z, g, h = room(B.shape[0])
        if rows.is_sparse:
            z[...] = (B @ w).T
        else:
            np.matmul(w.T, B.T, out=z)
        np.add(z, shift, out=z, casting="unsafe")
        if objective.offset is not None:
            z += objective.offset[where]
        y, s = objective.y[where], objective.s[where]
        if curved:
            values = [loss.scores_gradient_hessian(y, z[k], s, g[k], h[k]) for k in range(m)]
        else:
            values = [loss.scores_value_gradient(y, z[k], s, g[k]) for k in range(m)]
        sizes = [sum_of_sizes(g[k]) for k in range(m)]
        squares = np.einsum("ij,ij->i", g, g, dtype=np.float64, casting="same_kind")
        sums = [part for v in ((g, h) if curved else (g,)) for part in projected(B, v)]
        return values, sizes, squares, *sums

    def projected(B, v):
        total = v.sum(axis=1, dtype=np.float64)
        return (B.T @ np.ascontiguousarray(v.T) if rows.is_sparse else (v @ B).T), total

    values, sizes, squares, *sums = rows.sum_blocks(work, m * d, width=m)
    pairs = [rows.finish_backproject(*sums[k : k + 2]) for k in range(0, len(sums), 2)]
    found = [np.column_stack(pair) if objective.fit_intercept else pair[0] for pair in pairs]
    return Readings(rows.shape[0], values, sizes, squares, found[0], found[1] if curved else None)
