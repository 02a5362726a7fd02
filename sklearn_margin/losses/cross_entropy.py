"""Cross entropy of two classes, the logistic loss, and of more."""

from __future__ import annotations

import math

import numpy as np
from scipy import special
from sklearn.utils import check_array

from sklearn_margin._jit import REASSOCIATE, kernel
from sklearn_margin._typing import Array, ArrayLike
from sklearn_margin._validation import check_number, normalize_weights, writable
from sklearn_margin.losses._exp import exp_negative, log1p_unit, weighted_sum
from sklearn_margin.losses._probability import (
    sigmoid,
    sigmoid_gradient,
    softmax,
    softmax_terms,
    softplus,
)
from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.multiclass import MulticlassLoss, check_shape
from sklearn_margin.losses.pointwise import BinaryLoss

__all__ = ["CrossEntropy", "Logistic"]


class Logistic(BinaryLoss):
    r"""Logistic loss (cross entropy of two classes), log(1 + e^(−m)).

    Evaluated without overflow for any margin. For more than two classes it becomes
    ``CrossEntropy``, which names it too.

    Notes
    -----
    .. math:: \ell(y, z) = \log(1 + e^{-y z})

    Examples
    --------
    >>> from sklearn_margin.losses import Logistic
    >>> round(Logistic().value([1, -1], [0.0, 0.0]), 6)
    0.693147
    """

    nonnegative = True

    def sample_value(self, y: float, z: float) -> float:
        return softplus(-y * z)

    def sample_gradient(self, y: float, z: float) -> float:
        return -y * sigmoid(-y * z)

    def sample_hessian(self, y: float, z: float) -> float:
        return sigmoid_gradient(z)

    @property
    def multiclass(self) -> Loss | None:
        return CrossEntropy()

    # One pass with one exponential per score, in vector code, in place of the general kernels.

    def scores_value(self, y: Array, z: Array, s: Array) -> float:
        return _logistic(y, z, s, None, None)

    def scores_value_gradient(self, y: Array, z: Array, s: Array, out: Array) -> float:
        return _logistic(y, z, s, out, None)

    def scores_gradient_hessian(
        self, y: Array, z: Array, s: Array, gradient: Array, hessian: Array
    ) -> float:
        return _logistic(y, z, s, gradient, hessian)

    def probability(self, z: Array) -> Array:
        """Probability of the positive class, σ(z).

        Parameters
        ----------
        z : ndarray
            Scores.

        Returns
        -------
        ndarray of the shape of ``z``
        """
        return special.expit(z)


_CHUNK = 1024  # scores whose intermediate results stay in the cache


@kernel
def _logistic(y, z, s, gradient, hessian):
    """Sum of s·loss; its derivatives go to the last two arguments, if they are arrays."""
    total = 0.0
    values, gradients, hessians = np.empty(_CHUNK), np.empty(_CHUNK), np.empty(_CHUNK)
    for first in range(0, z.shape[0], _CHUNK):
        size = min(_CHUNK, z.shape[0] - first)
        labels, weights = y[first : first + size], s[first : first + size]
        _logistic_chunk(labels, z[first : first + size], values, gradients, hessians)
        total += weighted_sum(weights, values[:size])
        if gradient is not None:
            out = gradient[first : first + size]
            for i in range(size):
                out[i] = weights[i] * gradients[i]
        if hessian is not None:
            out = hessian[first : first + size]
            for i in range(size):
                out[i] = weights[i] * hessians[i]
    return total


@kernel
def _logistic_chunk(y, z, values, gradients, hessians):
    """Loss and its derivatives, by score: simple enough to become vector code."""
    for i in range(z.shape[0]):
        m = float(y[i] * z[i])
        e = exp_negative(-abs(m))
        inverse = 1.0 / (1.0 + e)
        values[i] = log1p_unit(e) + max(-m, 0.0)
        gradients[i] = -y[i] * inverse * (e if m > 0 else 1.0)
        hessians[i] = e * inverse * inverse


@kernel
def _softmax(k, z, s, smoothing, probability, out, with_gradient):
    """Sum of s·loss; the softmax goes to ``probability``, the gradient to ``out``."""
    total = 0.0
    n, c = z.shape
    rows = max(1, _CHUNK // c)
    scratch = np.empty((rows, c))
    for first in range(0, n, rows):
        last = min(first + rows, n)
        part = scratch[: last - first]
        for i in range(first, last):
            top, mean = z[i, 0], 0.0
            for j in range(c):
                top = max(top, z[i, j])
                mean += z[i, j] / c
            for j in range(c):
                part[i - first, j] = z[i, j] - top
            if s[i] != 0:
                total += s[i] * (top - z[i, k[i]] - smoothing * (mean - z[i, k[i]]))
        flat = part.reshape(part.size)
        for i in range(flat.shape[0]):
            flat[i] = exp_negative(flat[i])
        for i in range(first, last):
            size = 0.0
            for j in range(c):
                size += part[i - first, j]
            # What there is besides the largest term, which is 1, to all digits where it is little.
            rest, best = size - 1.0, -1
            if rest < 0.1:
                best = _index_of_one(part[i - first])
                rest = 0.0
                for j in range(c):
                    rest += part[i - first, j] if j != best else 0.0
                size = 1.0 + rest
            if s[i] != 0:
                total += s[i] * (math.log1p(rest) if best >= 0 else math.log(size))
            if with_gradient:
                for j in range(c):
                    p = part[i - first, j] / size
                    probability[i, j] = p
                    out[i, j] = s[i] * (p - smoothing / c)
                # 1 − p of the true class, to all digits where p is nearly 1.
                missed = rest if k[i] == best else size - part[i - first, k[i]]
                out[i, k[i]] = s[i] * (smoothing * (1.0 - 1.0 / c) - missed / size)
    return total


@kernel
def _index_of_one(terms):
    """The first index of 1 in an array that has one."""
    for j in range(terms.shape[0]):
        if terms[j] == 1.0:
            return j
    return 0


@kernel(fastmath=REASSOCIATE)
def _row_mean(p, v, i, middle):
    """Σ_j p_ij (v_ij − middle)."""
    total = 0.0
    for j in range(p.shape[1]):
        total += p[i, j] * (v[i, j] - middle)
    return total


@kernel
def _softmax_product(p, s, v, out):
    """s (diag(p) − p pᵀ) v by row."""
    for i in range(p.shape[0]):
        mean = _row_mean(p, v, i, 0.0)
        # Relative to it what is left of the mean is rounding error. Subtracted by itself, it
        # leaves all digits of the product where one p is 1 to rounding error.
        rest = _row_mean(p, v, i, mean)
        for j in range(p.shape[1]):
            out[i, j] = s[i] * p[i, j] * ((v[i, j] - mean) - rest)


@kernel
def _divergence(p, s, change):
    """Bound on Σ s KL(p̂‖p) for s p̂ = s p + ``change``; infinity if a p̂ is negative.

    With t = p̂/p − 1 that of a row is Σ p [(1 + t) log(1 + t) − t], and the bracket is at most
    t²/2 − t³/6 + t⁴/3 for t ≥ −1, as its Taylor series says.
    """
    total, eps = 0.0, np.finfo(p.dtype).eps
    for i in range(p.shape[0]):
        for j in range(p.shape[1]):
            e = float(change[i, j])
            if abs(e) <= 4.0 * eps * s[i] * p[i, j] or e == 0.0:
                continue  # a rounding error
            size = float(s[i]) * p[i, j]
            if e < -size or size == 0.0:
                return np.inf
            ratio = e / size
            total += e * ratio * (0.5 - ratio * (1.0 / 6.0 - ratio / 3.0))
    return total


@kernel
def _shorten(p, s, change):
    """Multiply rows of ``change`` such that s p + ``change`` is not less than a tenth of s p."""
    for i in range(p.shape[0]):
        kept = 1.0
        for j in range(p.shape[1]):
            most = 0.9 * float(s[i]) * p[i, j]
            if -change[i, j] * kept > most:
                kept = most / -change[i, j]
        if kept < 1.0:
            for j in range(p.shape[1]):
                change[i, j] *= kept


class CrossEntropy(MulticlassLoss):
    r"""Cross entropy of the softmax, logsumexp(z) − Σ_j q_j z_j.

    The target q is 1 for the true class, or 1 − ε + ε/n_classes for it and ε/n_classes for
    the others with label smoothing ε [1]_. ``value`` and ``gradient`` also take soft labels: an
    array of shape (n, n_classes) of probabilities instead of class indices. Two classes have
    one score, and the loss is ``Logistic``. ``"logistic"`` names it too.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        ε, in [0, 1).

    Notes
    -----
    .. math:: \ell(k, z) = \log \sum_j e^{z_j} - \sum_j q_j z_j

    References
    ----------
    .. [1] Szegedy, Vanhoucke, Ioffe, Shlens & Wojna, "Rethinking the Inception architecture
       for computer vision", CVPR 2016, section 7.

    Examples
    --------
    >>> from sklearn_margin.losses import CrossEntropy
    >>> round(CrossEntropy().value([0, 2], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), 6)
    1.098612
    >>> CrossEntropy().gradient([[0.5, 0.5, 0.0]], [[1.0, 1.0, 1.0]]).round(3)
    array([[-0.167, -0.167,  0.333]])
    """

    nonnegative = True
    shift_invariant = True

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def check_params(self) -> None:
        check_number(self.label_smoothing, "label_smoothing", minimum=0)
        if self.label_smoothing >= 1:
            raise ValueError(f"label_smoothing must be less than 1, got {self.label_smoothing!r}")

    def sample_value(self, k: int, z: Array) -> float:
        log_p, _, _, _ = softmax_terms(k, z)
        mean = 0.0  # of the scores, less that of class k
        for j in range(z.shape[0]):
            mean += (z[j] - z[k]) / z.shape[0]
        return -log_p - self.label_smoothing * mean

    def sample_gradient(self, k: int, z: Array, out: Array) -> None:
        self.sample_curvature(k, z, out)
        others = 0.0
        for j in range(z.shape[0]):
            others += out[j] if j != k else 0.0
            out[j] -= self.label_smoothing / z.shape[0]
        out[k] = self.label_smoothing * (1.0 - 1.0 / z.shape[0]) - others

    def sample_curvature(self, k: int, z: Array, out: Array) -> None:
        softmax(z, out)  # p: the Hessian is diag(p) − p pᵀ

    def curvature_product(self, k: int, a: Array, v: Array, out: Array) -> None:
        # Relative to the likeliest class, whose p may be 1 to rounding error.
        top = 0
        for j in range(a.shape[0]):
            top = j if a[j] > a[top] else top
        middle, mean = v[top], 0.0
        for j in range(a.shape[0]):
            mean += a[j] * (v[j] - middle)
        for j in range(a.shape[0]):
            out[j] = a[j] * ((v[j] - middle) - mean)

    # One exponential per score, in vector code, in place of the general kernels.

    def scores_value(self, k: Array, z: Array, s: Array) -> float:
        nothing = np.empty_like(z[:0])
        return float(_softmax(k, z, s, float(self.label_smoothing), nothing, nothing, False))

    def scores_value_gradient(self, k: Array, z: Array, s: Array, out: Array) -> float:
        return _softmax(k, z, s, float(self.label_smoothing), out, out, True)

    def scores_curvature(
        self, k: Array, z: Array, s: Array, gradient: Array, curvature: Array
    ) -> float:
        return _softmax(k, z, s, float(self.label_smoothing), curvature, gradient, True)

    def slopes_excess(self, k: Array, curvature: Array, s: Array, change: Array) -> float:
        # Slopes are s (p − q). What p̂ for p misses is s KL(p̂‖p).
        return float(_divergence(curvature, s, change))

    def shorten(self, curvature: Array, s: Array, change: Array) -> None:
        _shorten(curvature, s, change)

    def scores_product(self, k: Array, curvature: Array, s: Array, v: Array, out: Array) -> None:
        _softmax_product(curvature, s, v, out)

    def hessian_sums(self, k: Array, curvature: Array, s: Array) -> tuple[Array, Array]:
        weighted = curvature * s[:, None]
        total = np.diag(weighted.sum(axis=0, dtype=np.float64)) - weighted.T @ curvature
        return total, s - np.einsum("ij,ij->i", weighted, curvature)

    @property
    def binary(self):
        return SmoothedLabels(self.label_smoothing) if self.label_smoothing else Logistic()

    def probability(self, z: Array) -> Array:
        """Probabilities of the classes.

        Parameters
        ----------
        z : ndarray of shape (n, n_classes)
            Scores.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        return special.softmax(z, axis=1)

    def value(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        soft = self._soft(y_true, y_pred, sample_weight)
        if soft is None:
            return super().value(y_true, y_pred, sample_weight)
        q, z, s = soft
        return float(np.dot(s, special.logsumexp(z, axis=1) - (q * z).sum(axis=1)))

    def gradient(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Array:
        soft = self._soft(y_true, y_pred, sample_weight)
        if soft is None:
            return super().gradient(y_true, y_pred, sample_weight)
        q, z, s = soft
        return s[:, None] * (special.softmax(z, axis=1) - q)

    def _soft(self, y_true, y_pred, sample_weight):
        """Validated and smoothed soft labels, scores and weights; None if labels are hard."""
        if np.ndim(y_true) != 2 or np.ndim(y_pred) != 2:
            return None
        self.check_params()
        check_shape(y_pred)
        z = writable(check_array(y_pred, dtype=(np.float64, np.float32), input_name="y_pred"))
        q = writable(check_array(y_true, dtype=z.dtype, input_name="y_true"))
        if q.shape != z.shape:
            raise ValueError(f"soft labels y_true have shape {q.shape}, and y_pred has {z.shape}")
        off = np.abs(q.sum(axis=1) - 1.0) > 1e-3
        if (q < 0).any() or off.any():
            raise ValueError("rows of soft labels y_true must be probabilities that sum to one")
        q = (1.0 - self.label_smoothing) * q + self.label_smoothing / q.shape[1]
        return q, z, normalize_weights(sample_weight, len(z), z.dtype)


class SmoothedLabels(Logistic):
    """Logistic loss with label smoothing ε: log(1 + e^(−m)) + ε·m/2.

    Parameters
    ----------
    label_smoothing : float
        ε: the target is 1 − ε/2 for the class of a sample and ε/2 for the other.
    """

    nonnegative = True

    def __init__(self, label_smoothing: float = 0.1) -> None:
        self.label_smoothing = label_smoothing

    def sample_value(self, y: float, z: float) -> float:
        return softplus(-y * z) + 0.5 * self.label_smoothing * (y * z)

    def sample_gradient(self, y: float, z: float) -> float:
        return y * (0.5 * self.label_smoothing - sigmoid(-y * z))

    def sample_hessian(self, y: float, z: float) -> float:
        return sigmoid_gradient(z)
