"""Row by row: what solvers that work on single rows may ask of an objective.

Most solvers see points and lines, on which nothing is as long as the data (``point``). Some keep a
number per row: a slope, a distance to a kink, a multiplier. ``RowAccess`` is all that they may ask
for besides ``Objective``. An objective whose rows are elsewhere need not have it, and says so in
``why_no_rows``: these solvers refuse it for that reason, and "auto" takes another.
"""

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from sklearn_margin.losses.pairs.index import PairIndex
    from sklearn_margin.objective.row_kernels import DenseRows, RawRows, SparseRows

__all__ = ["RowAccess", "Samples", "SingleRows"]


class Samples(NamedTuple):
    """Samples of a stochastic pass, in the order they are to be visited."""

    first: np.ndarray  # (m,) of int: a sample is this row,
    second: np.ndarray  # (m,) of int: less this one, where that is not negative
    labels: np.ndarray  # (m,) of float64
    weights: np.ndarray  # (m,) of float64; their mean is one over all samples
    offsets: np.ndarray  # (m, n_outputs) of float64, of their scores; (m, 0) if there are none


class RowAccess(Protocol):
    """What an objective offers to solvers that work row by row."""

    #: Features.
    rows: "SingleRows"
    #: Labels −1/+1, targets, indices of classes, or grades, of shape (n,).
    y: np.ndarray
    #: Weights, of shape (n,).
    s: np.ndarray
    #: The pairs that the loss is a mean over: how many, and ``listed``; None if it is of rows.
    pairs: "PairIndex | None"
    #: Offset of the scores; None if there is none.
    offset: np.ndarray | None

    def offsets_for_kernels(self) -> np.ndarray:
        """The offset of shape (n, n_outputs), of float64; (n, 0) if there is none."""

    def scores(self, params) -> np.ndarray:
        """Scores at a point, of shape (n,) or (n, n_outputs)."""

    def scores_along(self, direction) -> np.ndarray:
        """How they change along a direction: without the offset."""

    def draw(self, random_state, limit=None) -> Samples:
        """Samples of one stochastic pass, or the first ``limit`` of them, if ``draws_samples``."""

    def take(self, index) -> "RowAccess":
        """The objective of some of the rows, in the same coordinates."""

    def split_rows(self, fraction, random_state) -> "tuple[RowAccess, RowAccess]":
        """Objectives of a random part of the rows, and of the rest."""


class SingleRows(Protocol):
    """What ``Rows`` offers to them, besides shape, dtype, and its coordinates."""

    #: Mean number of entries that are stored of a row.
    entries_per_row: float

    def centred(self) -> "tuple[DenseRows | RawRows, np.ndarray]":
        """Rows for kernels in their own units, and the shift that they are centred by."""

    def single(self, shift, scale) -> "DenseRows | SparseRows":
        """The rows (x − shift) / scale for kernels."""

    def kernel_coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Shift and scale for ``single``, after which columns are of one size."""

    def raw(self, index) -> np.ndarray:
        """Some of the rows as a dense matrix."""

    def dense(self, index) -> np.ndarray:
        """Some of the rows as a dense standardised matrix of float64."""

    def take(self, index) -> "SingleRows":
        """Some of the rows."""

    def scores(self, u, intercept) -> np.ndarray:
        """X̃u + intercept by row."""

    def backproject(self, g) -> tuple[np.ndarray, float | np.ndarray]:
        """X̃ᵀg and Σg, for one entry or row of g per row."""

    def gram(self, h, g) -> tuple[np.ndarray, np.ndarray, float, np.ndarray, float]:
        """X̃ᵀ diag(h) X̃, X̃ᵀh, Σh, X̃ᵀg and Σg."""
