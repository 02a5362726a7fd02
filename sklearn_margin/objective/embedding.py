"""Objectives of linear embeddings: a loss of the rows Z = X Wᵀ of batches."""

import copy
from types import SimpleNamespace

import numpy as np
import scipy.sparse as sp

from sklearn_margin.losses.embedding import through_unit_rows, unit_rows
from sklearn_margin.objective.batches import balanced_batches, resample, uniform_batches
from sklearn_margin.objective.rows import Rows

__all__ = ["EmbeddingObjective", "TupleObjective", "merge_rows", "scaled_rows", "stack"]

_STRONGEST = 1e8  # penalty of a standardised feature, from which it is as good as infinite


class EmbeddingObjective:
    """F(W, a) = L(labels, X Wᵀ, a) + alpha/2 · ‖W‖² over all rows, or a batch of them.

    Coordinates. The parameter vector is [B, a] with W = B P / scale. For a loss of distances P is
    the identity, and rows are centred, which such a loss does not notice: that is to work with
    standardised features. A loss of cosines depends on the origin, which the embedding has no
    intercept to move; the mean ν = shift / scale of the scaled features can be many times as
    long as their deviations. P divides by √(1 + ‖ν‖²) along ν, so that no direction of the
    features is much longer than the others. Positive auxiliary parameters are in logarithms.

    A loss of cosines does not depend on the length of W either, and ‖W‖² would only shrink it;
    the penalty is then alpha/2 · ‖W‖² / Σ_cj W_cj² mean(x_j²): that of embeddings whose mean
    squared length is about 1.

    Parameters
    ----------
    loss : EmbeddingLoss
    rows : Rows
        Centred, in the sense of ``Rows``.
    labels : ndarray of intp of shape (n,)
        Class indices.
    s : ndarray of float64 of shape (n,)
        Positive weights: how often each row is meant to be there. Batches are drawn by them.
    n_classes, n_components : int
    alpha : float
    normalize : bool
        Whether the loss is given rows of length 1.
    batch_size : int
    sampler : {"uniform", "balanced"}
    """

    draws_samples = False  # as ``SGD`` wants them: a sample here is a batch
    validation: "EmbeddingObjective | None" = None
    fit_intercept = False
    polish = False  # a local minimum deserves no more digits than were asked for

    def __init__(
        self, loss, rows: Rows, labels, s, *, n_classes, n_components, alpha=0.0,
        normalize=False, batch_size=128, sampler="uniform",
    ):  # fmt: skip
        self.loss, self.rows, self.labels, self.s = loss, rows, labels, s
        self.n_classes, self.n_components = n_classes, n_components
        self.alpha, self.normalize = alpha, normalize and not loss.angular
        self.batch_size, self.sampler = batch_size, sampler
        self.angular = bool(normalize or loss.angular)
        self.function = loss.batch_function()
        self.ones = np.ones(batch_size)
        self.shape = (n_components, rows.shape[1])
        self.size = n_components * rows.shape[1]
        self.auxiliary_shapes: list[tuple] = []
        self.n_params = self.size
        self.mean = rows.shift / rows.scale
        length = np.linalg.norm(self.mean) if self.angular else 0.0
        self.axis = self.mean / length if length > 0 else None
        self.shrink = 1.0 - 1.0 / np.hypot(1.0, length)
        # Batches of dense rows are centred for the sake of accuracy; it changes no distance.
        self.centred = not (self.angular or rows.is_sparse)
        self.shift = rows.shift.astype(rows.dtype)
        self.l2 = self._strengths()
        self.penalty = SimpleNamespace(has_l1=False, l2=np.tile(self.l2, n_components))

    def _strengths(self):
        """Factor of ½A² in the penalty, by feature; bounded, that its square does not overflow."""
        with np.errstate(over="ignore"):
            return np.minimum(self.alpha / self.rows.scale**2, _STRONGEST)

    # --- parameters ---

    def begin(self, B, auxiliary) -> np.ndarray:
        """Parameter vector of coordinates B and first values of the auxiliary parameters."""
        self.auxiliary_shapes = [np.shape(a) for a in auxiliary]
        self._start = self._encode(B, auxiliary)
        self.n_params = len(self._start)
        return self._start

    def start(self) -> np.ndarray:
        """Where to start from: what ``begin`` was given."""
        return self._start.copy()

    def _encode(self, B, auxiliary):
        parts = [np.ravel(B)]
        for name, value in zip(self.loss.auxiliary, auxiliary, strict=True):
            positive = name in self.loss.positive
            parts.append(np.ravel(np.log(value) if positive else value))
        return np.concatenate(parts).astype(np.float64)

    def auxiliary(self, params) -> list:
        """Auxiliary parameters, numbers or arrays."""
        values, first = [], self.size
        for name, shape in zip(self.loss.auxiliary, self.auxiliary_shapes, strict=True):
            last = first + int(np.prod(shape, dtype=int))
            value = params[first:last].reshape(shape) if shape else float(params[first])
            if name in self.loss.positive:
                value = np.exp(np.clip(value, -50.0, 50.0)) if shape else _exp(value)
            values.append(value)
            first = last
        return values

    def turn(self, B) -> np.ndarray:
        """B P, or with the derivative by B P the derivative by B."""
        if self.axis is None:
            return B
        return B - np.outer(self.shrink * (B @ self.axis), self.axis)

    def turn_back(self, A) -> np.ndarray:
        """B with B P = A."""
        if self.axis is None:
            return A
        return A + np.outer(self.shrink / (1.0 - self.shrink) * (A @ self.axis), self.axis)

    def to_coef(self, params) -> tuple[np.ndarray, np.ndarray]:
        """Components W, and the auxiliary parameters in one vector."""
        W = self.turn(params[: self.size].reshape(self.shape)) / self.rows.scale
        parts = [np.ravel(value) for value in self.auxiliary(params)]
        return W, np.concatenate([np.empty(0), *parts])

    def from_coef(self, W, auxiliary) -> np.ndarray:
        """Parameter vector of components and a vector of auxiliary parameters."""
        values, first = [], 0
        for shape in self.auxiliary_shapes:
            last = first + int(np.prod(shape, dtype=int))
            values.append(np.reshape(auxiliary[first:last], shape))
            first = last
        A = np.asarray(W, dtype=np.float64) * self.rows.scale
        return self._encode(self.turn_back(A), values)

    def join(self, u, b) -> np.ndarray:
        """Vector of the length of the parameters: u for B, b for each auxiliary parameter."""
        return np.append(u, np.full(self.n_params - self.size, b))

    @property
    def is_smooth(self) -> bool:
        """Whether F is differentiable."""
        return self.loss.is_smooth

    # --- F and its gradient ---

    def gather(self, index=None):
        """Rows, all of them without ``index``, as the loss is to see them."""
        X = self.rows.X
        if index is not None:
            X = X[index] if self.rows.is_sparse else X.take(index, axis=0)
        return X - self.shift if self.centred else X

    def embed(self, params, index=None) -> np.ndarray:
        """Embeddings of some rows."""
        A = self.turn(params[: self.size].reshape(self.shape))
        return self.gather(index) @ (A / self.rows.scale).astype(self.rows.dtype).T

    def value_gradient(self, params) -> tuple[float, np.ndarray]:
        """F over all rows, and its gradient."""
        return self.batch_value_gradient(params, None)

    def batch_value_gradient(self, params, index) -> tuple[float, np.ndarray]:
        """F over the rows ``index``, or all rows with their weights if it is None."""
        A = self.turn(params[: self.size].reshape(self.shape))
        W = A / self.rows.scale
        X = self.gather(index)
        Z = np.ascontiguousarray(X @ W.astype(self.rows.dtype, copy=False).T, dtype=np.float64)
        value, dZ, *slopes = self._loss(Z, index, self.auxiliary(params))
        # (Xᵀ dZ)ᵀ, which keeps a sparse X on the left.
        dA = (X.T @ dZ.astype(self.rows.dtype, copy=False)).T / self.rows.scale
        if self.alpha > 0:
            extra, slope = self._penalty(A)
            value, dA = value + extra, dA + slope
        gradient = np.empty(self.n_params)
        gradient[: self.size] = self.turn(dA).ravel()
        self._encode_slopes(params, slopes, gradient)
        return value, gradient

    def _encode_slopes(self, params, slopes, gradient):
        first = self.size
        for name, slope in zip(self.loss.auxiliary, slopes, strict=True):
            last = first + np.size(slope)
            if name in self.loss.positive:
                slope = slope * np.exp(
                    np.clip(params[first:last].reshape(np.shape(slope)), -50, 50)
                )
            gradient[first:last] = np.ravel(slope)
            first = last

    def _penalty(self, A):
        """Penalty and its derivative by A."""
        pull = self.l2 * A
        value = 0.5 * float(np.vdot(pull, A))
        if not self.angular:
            return value, pull
        second = 1.0 + self.mean**2  # about mean(x_j²) / scale_j²
        size = max(float(np.einsum("cj,cj,j->", A, A, second)), 1e-300)
        return value / size, (pull - (2.0 * value / size) * A * second) / size

    def _loss(self, Z, index, auxiliary):
        """Loss of embedded rows; derivatives by Z and by the auxiliary parameters."""
        if not self.normalize:
            return self._rows_loss(Z, index, auxiliary)
        U, inverse = unit_rows(Z)
        value, dU, *slopes = self._rows_loss(U, index, auxiliary)
        return value, through_unit_rows(np.array(dU), U, inverse), *slopes

    def _rows_loss(self, Z, index, auxiliary):
        if index is None:
            return self.function(self.labels, Z, self.s, *auxiliary)
        return self.function(self.labels[index], Z, np.ones(len(index)), *auxiliary)

    def value(self, params) -> float:
        """F over all rows, or its mean over batches if they are many."""
        if len(self.s) <= 2000:
            return self.value_gradient(params)[0]
        return self.mean_loss(params)

    def mean_loss(self, params) -> float:
        """Mean of F over batches, which are the same at each call."""
        total, count = 0.0, 0
        for index in self.batches(np.random.RandomState(0)):
            total += len(index) * self.batch_value_gradient(params, index)[0]
            count += len(index)
        return total / count

    # --- batches ---

    @property
    def updates(self) -> int:
        """Batches per pass."""
        return max(1, -(-len(self.s) // self.batch_size))

    def batches(self, random_state):
        """Index arrays of the batches of one pass."""
        if self.sampler == "balanced":
            mates = max(2, self.loss.rows_per_class)
            return balanced_batches(
                self.labels, self.s, self.n_classes, self.batch_size, mates, random_state
            )
        return uniform_batches(self.s, self.batch_size, random_state)

    def some_rows(self, most, random_state) -> np.ndarray:
        """Indices of at most ``most`` rows, drawn by their weights."""
        if len(self.s) <= most:
            return np.arange(len(self.s))
        return np.sort(resample(self.s, most, random_state))

    def split_rows(self, fraction, random_state):
        """Objectives of a random part of the rows (pairs, triplets), and of the rest."""
        order = random_state.permutation(len(self.s))
        held = min(max(2, round(fraction * len(order))), len(order) - 1)
        return self.take(np.sort(order[held:])), self.take(np.sort(order[:held]))

    def take(self, index):
        """The objective of some of the rows, in the same coordinates."""
        new = copy.copy(self)
        new.rows = self.rows.take(self._row_numbers(index))
        new.labels, new.s = self.labels[index], self.s[index]
        return new

    def _row_numbers(self, index):
        return index


class TupleObjective(EmbeddingObjective):
    """F over given pairs or triplets: tuple i is made of the rows i, n + i, 2n + i, …

    A loss that has no formula for given tuples sees the rows of a batch with labels that say
    what is known: rows of a similar pair, or anchor and positive, share a label that no other
    row has.

    Parameters
    ----------
    labels : ndarray of bool of shape (n,)
        Whether the pair is similar; True for triplets.
    arity : int
        2 or 3.
    """

    def __init__(self, *args, arity, **settings):
        super().__init__(*args, **settings)
        self.arity = arity
        loss = self.loss
        self.formula = loss.pair_value_gradient
        if arity == 3:
            self.formula = loss.triplet_value_gradient or (self.formula and self._triplets_as_pairs)

    def _triplets_as_pairs(self, A, P, N, s):
        near = np.repeat([True, False], len(A))
        both = np.vstack([A, A]), np.vstack([P, N])
        value, first, second = self.loss.pair_value_gradient(*both, near, np.tile(s, 2))
        return value, first[near] + first[~near], second[near], second[~near]

    def _row_numbers(self, index):
        return np.concatenate([index + k * len(self.s) for k in range(self.arity)])

    def gather(self, index=None):
        return super().gather(None if index is None else self._row_numbers(index))

    def _rows_loss(self, Z, index, auxiliary):
        similar = self.labels if index is None else self.labels[index]
        s = self.s if index is None else np.ones(len(index))
        if self.formula is not None:
            known = (similar, s) if self.arity == 2 else (s,)
            value, *parts = self.formula(*np.split(Z, self.arity), *known)
            return value, np.concatenate(parts)
        return self.function(
            tuple_labels(similar, self.arity), Z, np.tile(s, self.arity), *auxiliary
        )

    def batches(self, random_state):
        return uniform_batches(self.s, self.batch_size, random_state)


def tuple_labels(similar, arity) -> np.ndarray:
    """Labels of the rows of pairs or triplets: the last row of each is alone if not similar."""
    n = len(similar)
    anchor = np.arange(n)
    if arity == 3:
        return np.concatenate([anchor, anchor, n + anchor])
    return np.concatenate([anchor, np.where(similar, anchor, n + anchor)])


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
    new = copy.copy(rows)
    new.shift = rows.shift + rows.scale * mean
    new.scale = rows.scale * largest * size
    return new


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


def stack(parts):
    """Rows of several matrices below each other."""
    return sp.vstack(parts, format="csr") if sp.issparse(parts[0]) else np.vstack(parts)


def _exp(x):
    return float(np.exp(min(max(x, -50.0), 50.0)))
