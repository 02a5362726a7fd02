"""Objectives of linear embeddings: a loss of the rows Z = X Wᵀ of batches."""

import copy

import numpy as np

from sklearn_margin._jit import REASSOCIATE, kernel
from sklearn_margin.losses.embedding.geometry import through_unit_rows, unit_rows
from sklearn_margin.objective.base import Objective
from sklearn_margin.objective.batches import balanced_batches, resample, uniform_batches
from sklearn_margin.objective.rows import Rows
from sklearn_margin.penalties import ElasticNet, SeparablePenalty

__all__ = ["EmbeddingObjective"]

_MOST_ROWS = 20_000  # beyond which n × n matrices are refused
_STRONGEST = 1e8  # penalty of a standardised feature, from which it is as good as infinite


class EmbeddingObjective(Objective):
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

    draws_batches = True
    arity = None  # number of rows that are compared with each other; None: all of a batch
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
        self.shape = (n_components, rows.shape[1])
        self.size = n_components * rows.shape[1]
        self.set_auxiliary_shapes([])
        self.mean = rows.shift / rows.scale
        length = np.linalg.norm(self.mean) if self.angular else 0.0
        self.axis = self.mean / length if length > 0 else np.zeros_like(self.mean)
        self.shrink = 1.0 - 1.0 / np.hypot(1.0, length)
        # Batches of dense rows are centred for the sake of accuracy; it changes no distance.
        self.centred = not (self.angular or rows.is_sparse)
        self.shift = rows.shift.astype(rows.dtype)
        with np.errstate(over="ignore"):
            # Factor of ½A², by feature.
            self.l2 = np.minimum((np.sqrt(alpha) / rows.scale) ** 2, _STRONGEST)
        self.penalty = SeparablePenalty(np.tile(self.l2, n_components), penalty=ElasticNet(alpha))
        # About mean(x_j²) / scale_j², where the penalty is divided by the length of embeddings.
        self.second = 1.0 + self.mean**2 if self.angular else np.zeros_like(self.mean)

    # --- parameters ---

    def set_auxiliary_shapes(self, shapes) -> None:
        """Say what shapes the auxiliary parameters have."""
        self.auxiliary_shapes = [tuple(shape) for shape in shapes]
        sizes = [int(np.prod(shape, dtype=int)) for shape in shapes]
        self.n_params = self.size + sum(sizes)
        ends = np.cumsum([0, *sizes]).tolist()
        self._places = [slice(*ends[k : k + 2]) for k in range(len(sizes))]

    def with_auxiliary_of(self, other) -> "EmbeddingObjective":
        """This objective, with auxiliary parameters of the shapes that those of ``other`` have."""
        new = copy.copy(self)
        new.set_auxiliary_shapes(other.auxiliary_shapes)
        return new

    def split_auxiliary(self, vector) -> list[np.ndarray]:
        """Auxiliary parameters (views) of a vector of all of them."""
        places = zip(self._places, self.auxiliary_shapes, strict=True)
        return [vector[place].reshape(shape) for place, shape in places]

    def begin(self, B, auxiliary) -> np.ndarray:
        """Parameter vector of coordinates B and first values of the auxiliary parameters."""
        shapes = [np.shape(a) for a in auxiliary]
        self.set_auxiliary_shapes(shapes)
        self._start = self._encode(B, auxiliary)
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
        values = []
        parts = self.split_auxiliary(params[self.size :])
        for name, value in zip(self.loss.auxiliary, parts, strict=True):
            if name in self.loss.positive:
                value = np.exp(np.minimum(np.maximum(value, -50.0), 50.0))
            values.append(value if value.ndim else float(value))
        return values

    def turn(self, B) -> np.ndarray:
        """B P, or with the derivative by B P the derivative by B."""
        return B - np.outer(self.shrink * (B @ self.axis), self.axis)

    def turn_back(self, A) -> np.ndarray:
        """B with B P = A."""
        return A + np.outer(self.shrink / (1.0 - self.shrink) * (A @ self.axis), self.axis)

    def to_coef(self, params) -> tuple[np.ndarray, np.ndarray]:
        """Components W, and the auxiliary parameters in one vector."""
        W = self.turn(params[: self.size].reshape(self.shape)) / self.rows.scale
        parts = [np.ravel(value) for value in self.auxiliary(params)]
        return W, np.concatenate([np.empty(0), *parts])

    def from_coef(self, W, auxiliary) -> np.ndarray:
        """Parameter vector of components and a vector of auxiliary parameters."""
        A = np.asarray(W, dtype=np.float64) * self.rows.scale
        return self._encode(self.turn_back(A), self.split_auxiliary(auxiliary))

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
        if self.centred:
            X = np.subtract(X, self.shift, out=None if index is None else X)
        return X

    def embed(self, params, index=None) -> np.ndarray:
        """Embeddings of some rows, as float64."""
        return self._embed(self._components(params)[1], self.gather(index))

    def _components(self, params):
        """Components A of scaled features, and those of X, transposed."""
        A, W = np.empty(self.shape), np.empty(self.shape[::-1], self.rows.dtype)
        _components(params, self.axis, self.shrink, self.rows.scale, A, W)
        return A, W

    def _embed(self, W, X):
        return np.ascontiguousarray(X @ W, dtype=np.float64)

    def value_gradient(self, params) -> tuple[float, np.ndarray]:
        """F over all rows, and its gradient."""
        return self.batch_value_gradient(params, None)

    def batch_value_gradient(self, params, index) -> tuple[float, np.ndarray]:
        """F over the rows ``index``, or all rows with their weights if it is None."""
        A, W = self._components(params)
        X, auxiliary = self.gather(index), self.auxiliary(params)
        value, dZ, *slopes = self._loss(self._embed(W, X), index, auxiliary)
        dZ = dZ.astype(self.rows.dtype, copy=False)
        # A sparse X has to be on the left.
        dW = np.ascontiguousarray((X.T @ dZ).T) if self.rows.is_sparse else dZ.T @ X
        gradient = np.empty(self.n_params)
        value += _pull_back(dW, A, self.rows.scale, self.l2, self.second, self.angular,
                            self.axis, self.shrink, gradient)  # fmt: skip
        parts = self.split_auxiliary(gradient[self.size :])
        for name, part, slope, at in zip(
            self.loss.auxiliary, parts, slopes, auxiliary, strict=True
        ):
            part[...] = slope * at if name in self.loss.positive else slope
        return value, gradient

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
    def why_not_at_once(self):
        n = len(self.s)
        compared = n > _MOST_ROWS and self.loss.rows_per_class > 1
        return f"it would compare {n} rows with each other" if compared else None

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
        rows = self.rows.take(self._row_numbers(index))
        return self.with_rows(rows, self.labels[index], self.s[index], self.n_classes)

    def with_rows(self, rows, labels, s, n_classes):
        """The objective of other rows, in the same coordinates."""
        new = copy.copy(self)
        new.rows, new.labels, new.s, new.n_classes = rows, labels, s, n_classes
        return new

    def _row_numbers(self, index):
        return index


@kernel(fastmath=REASSOCIATE)
def _components(params, axis, shrink, scale, A, W):
    """A = B P, and W = A / scale, transposed."""
    k, d = A.shape
    for c in range(k):
        B = params[c * d : (c + 1) * d]
        along = 0.0
        for j in range(d):
            along += B[j] * axis[j]
        for j in range(d):
            A[c, j] = B[j] - shrink * along * axis[j]
            W[j, c] = A[c, j] / scale[j]


@kernel(fastmath=REASSOCIATE)
def _pull_back(dW, A, scale, l2, second, angular, axis, shrink, gradient):
    """Penalty; ``gradient`` gets the derivative by B of it and of a loss that has dW by W."""
    k, d = A.shape
    value, size = 0.0, 0.0
    for c in range(k):
        for j in range(d):
            value += 0.5 * l2[j] * A[c, j] * A[c, j]
            size += second[j] * A[c, j] * A[c, j]
    size = max(size, 1e-300) if angular else 1.0
    value /= size
    for c in range(k):
        slope = gradient[c * d : (c + 1) * d]
        along = 0.0
        for j in range(d):
            slope[j] = dW[c, j] / scale[j] + (l2[j] - 2.0 * value * second[j]) * A[c, j] / size
        # Not in the loop above: one that writes has vector code only for arrays that lie well
        # apart, and its sum would then be rounded by where they lie.
        for j in range(d):
            along += slope[j] * axis[j]
        for j in range(d):
            slope[j] -= shrink * along * axis[j]
    return value
