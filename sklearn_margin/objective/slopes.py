"""Slopes of the loss by score, as certificates see them: through a few sums."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from sklearn_margin._jit import REASSOCIATE, kernel

__all__ = ["SlopeSums", "Slopes", "sum_of_sizes"]


class Slopes:
    """The gradient g of L with respect to the scores.

    Parameters
    ----------
    g : ndarray of shape (n,) or (n, n_outputs)
    labels : ndarray of int of shape (n,), default=None
        Class of each row, of losses of several scores.

    Attributes
    ----------
    n : int
        Rows.
    """

    def __init__(self, g, labels=None):
        self.g, self.labels, self.n = g, labels, len(g)

    @cached_property
    def size(self) -> float:
        r"""Σ \|g\|."""
        return float(sum_of_sizes(self.g.reshape(-1)))

    @cached_property
    def squares(self) -> np.ndarray:
        """Σ g², by output."""
        columns = self.g.reshape(self.n, -1)
        squares = np.einsum("ij,ij->j", columns, columns, dtype=np.float64, casting="same_kind")
        return squares.reshape(self.g.shape[1:])

    def moved(self, share, total) -> np.ndarray | None:
        """Change of the gradient of L as the slopes that prevail in a sum of ``total``, not zero,
        are reduced by ``share``; None where only a bound on it is known."""
        return None

    @property
    def norm(self) -> float:
        """‖g‖."""
        return float(np.sqrt(np.sum(self.squares)))

    @cached_property
    def by_class(self) -> np.ndarray:
        """Σ g over the rows of each class, of shape (n_classes, n_outputs)."""
        k = self.g.shape[1]
        sums = np.zeros((k, k))
        _add_by_class(self.g, self.labels, sums)
        return sums


class SlopeSums(NamedTuple):
    """As ``Slopes``, of which the sums alone are known."""

    n: int
    size: float
    squares: float | np.ndarray
    by_class: np.ndarray | None = None

    def moved(self, share, total):
        """As ``Slopes.moved``."""
        return None

    @property
    def norm(self):
        """‖g‖."""
        return float(np.sqrt(np.sum(self.squares)))


@kernel(fastmath=REASSOCIATE)
def sum_of_sizes(g):
    total = 0.0
    for i in range(g.shape[0]):
        total += abs(g[i])
    return total


@kernel
def _add_by_class(g, labels, sums):
    """Add the rows of ``g`` to those of ``sums`` that ``labels`` says."""
    for i in range(g.shape[0]):
        row = sums[labels[i]]
        for j in range(g.shape[1]):
            row[j] += g[i, j]
