"""Losses of embeddings that compare rows with one vector per class: GE2E and ArcFace."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from sklearn.utils import check_array

from sklearn_margin._jit import kernel
from sklearn_margin._typing import Array, ArrayLike
from sklearn_margin._validation import check_choice, check_number
from sklearn_margin.losses._exp import exp_negative
from sklearn_margin.losses._probability import fast_softplus
from sklearn_margin.losses.embedding.base import EmbeddingLoss
from sklearn_margin.losses.embedding.geometry import through_unit_rows, unit_rows

__all__ = ["GE2E", "ArcFace", "angular_cross_entropy"]

_START = (10.0, -5.0)  # of the paper


class GE2E(EmbeddingLoss):
    r"""Generalised end-to-end loss: rows against the centroids of their batch [1]_.

    With rows e of length 1, the centroid c_k of each label and the scores S_jk = w·cos(e_j, c_k)
    + b, where the centroid of the own label is taken without the row itself, a row costs

    * "softmax": log Σ_k e^{S_jk} − S_jy
    * "contrast": 1 − σ(S_jy) + max_{k≠y} σ(S_jk)

    and the value is the mean over rows whose label has another row. Where there is only one
    label it is 0. w > 0 and b are learned.

    Parameters
    ----------
    variant : {"softmax", "contrast"}, default="softmax"
        Cost of a row.

    Notes
    -----
    .. math::

        \ell_\text{softmax}(j) = \log \sum_k e^{S_{jk}} - S_{jy}, \qquad
        \ell_\text{contrast}(j) = 1 - \sigma(S_{jy}) + \max_{k \ne y} \sigma(S_{jk})

    with :math:`S_{jk} = w \cos(e_j, c_k) + b`.

    References
    ----------
    .. [1] Wan et al., "Generalized end-to-end loss for speaker verification", ICASSP 2018.

    Examples
    --------
    >>> from sklearn_margin.losses import GE2E
    >>> Z = [[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.0, 1.0]]
    >>> GE2E().value([0, 0, 1, 1], Z) < 1e-3
    True
    >>> dZ, dw, db = GE2E("contrast").gradient([0, 0, 1, 1], Z, 10.0, -5.0)
    >>> dZ.shape, bool(dw < 0)
    ((4, 2), True)
    """

    nonnegative = True
    angular = True
    auxiliary = ("w", "b")
    positive = ("w",)

    def __init__(self, variant: Literal["softmax", "contrast"] = "softmax") -> None:
        self.variant = variant

    def check_params(self) -> None:
        check_choice(self.variant, "variant", ("softmax", "contrast"))

    @property
    def is_smooth(self) -> bool:
        return self.variant == "softmax"

    def start(
        self, labels: Array, Z: Array, n_classes: int, random_state: np.random.RandomState
    ) -> tuple[Any, ...]:
        return _START

    def value(
        self,
        labels: ArrayLike,
        Z: ArrayLike,
        w: float = _START[0],
        b: float = _START[1],
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Loss of a batch.

        Parameters
        ----------
        labels : array-like of shape (n,)
            Labels of any type.
        Z : array-like of shape (n, n_components)
            Embeddings.
        w, b : float, default=10.0, -5.0
            Scale (positive) and offset of the scores.
        sample_weight : float or array-like of shape (n,), default=None
            How often each row is meant to be there.

        Returns
        -------
        float
        """
        return super().value(labels, Z, w, b, sample_weight=sample_weight)

    def gradient(
        self,
        labels: ArrayLike,
        Z: ArrayLike,
        w: float = _START[0],
        b: float = _START[1],
        sample_weight: ArrayLike | None = None,
    ) -> tuple[Array, float, float]:
        """Derivatives of ``value`` with respect to Z, w and b.

        Parameters
        ----------
        labels, Z, w, b, sample_weight
            As in ``value``.

        Returns
        -------
        dZ : ndarray of shape (n, n_components)
        dw, db : float
        """
        return super().gradient(labels, Z, w, b, sample_weight=sample_weight)

    def _check_auxiliary(self, batch, auxiliary):
        w, b = (np.asarray(a).item() if np.size(a) == 1 else a for a in auxiliary)
        check_number(w, "w", minimum=0, closed=False)
        check_number(b, "b")
        return float(w), float(b)

    def batch_value_gradient(
        self, labels: Array, Z: Array, s: Array, w: float, b: float
    ) -> tuple[Any, ...]:
        U, inverse = unit_rows(Z)
        if labels.max() >= 2 * len(labels):  # few of many classes
            labels = np.unique(labels, return_inverse=True)[1]
        n, n_classes = len(Z), int(labels.max()) + 1
        sums, masses = np.zeros((n_classes, U.shape[1])), np.zeros(n_classes)
        own, weights, own_slope = np.empty_like(U), np.empty(n), np.empty(n)
        total = _sum_by_class(U, labels, s, sums, masses, own, weights)
        if np.count_nonzero(masses) < 2 or total == 0.0:
            return 0.0, np.zeros_like(Z), 0.0, 0.0
        centroids, centroid_inverse = unit_rows(sums)
        own, own_inverse = unit_rows(own)
        C = U @ centroids.T
        softmax = self.variant == "softmax"
        value, dw, db = _ge2e(
            C, U, own, labels, weights, masses, float(w), float(b), softmax, own_slope
        )
        dU = C @ centroids
        dsums = through_unit_rows(C.T @ U, centroids, centroid_inverse)
        _through_own_sums(own_slope, U, own, own_inverse, labels, s, dsums, dU)
        return value, through_unit_rows(dU, U, inverse), dw, db


@kernel
def _sum_by_class(U, labels, s, sums, masses, own, weights):
    """Sums of rows by class; ``own`` gets those of their classes without one copy of each row, and
    ``weights`` the shares of rows in the loss. Returns the sum of s over rows that have some."""
    n, k = U.shape
    for i in range(n):
        masses[labels[i]] += s[i]
        for c in range(k):
            sums[labels[i], c] += s[i] * U[i, c]
    total = 0.0
    for i in range(n):
        mass, copy = masses[labels[i]], min(s[i], 1.0)
        for c in range(k):
            own[i, c] = sums[labels[i], c] - copy * U[i, c]
        weights[i] = s[i] if mass - copy > 1e-12 * mass else 0.0
        total += weights[i]
    for i in range(n):
        weights[i] /= total
    return total


@kernel
def _ge2e(C, U, own, labels, weights, masses, w, b, softmax, own_slope):
    """The loss at cosines C, which its derivative replaces; that by the own one goes apart.

    Returns also the derivatives by w and b.
    """
    value, dw, db = 0.0, 0.0, 0.0
    for i in range(C.shape[0]):
        k = labels[i]
        C[i, k] = 0.0
        for c in range(U.shape[1]):
            C[i, k] += U[i, c] * own[i, c]
        rival = -1  # the largest of the others
        for j in range(C.shape[1]):
            if j != k and masses[j] > 0.0 and (rival < 0 or C[i, j] > C[i, rival]):
                rival = j
        if softmax:
            cost, slope = _softmax_cost(C, i, k, rival, masses, weights[i], w, own_slope)
        else:
            cost, slope, offset = _contrast_cost(C, i, k, rival, weights[i], w, b, own_slope)
            db += offset
        value += weights[i] * cost
        dw += slope
    return value, dw, db


@kernel
def _softmax_cost(C, i, k, rival, masses, weight, w, own_slope):
    """Cost of row i, and its derivative by w; that by b is 0. See ``_ge2e``."""
    largest, total, dw = max(C[i, k], C[i, rival]), 0.0, 0.0
    own = C[i, k]
    for j in range(C.shape[1]):
        total += math.exp(w * (C[i, j] - largest)) if masses[j] > 0.0 else 0.0
    for j in range(C.shape[1]):
        p = math.exp(w * (C[i, j] - largest)) / total if masses[j] > 0.0 else 0.0
        slope = weight * (p - 1.0 if j == k else p)
        dw += slope * C[i, j]
        C[i, j] = w * slope
    own_slope[i], C[i, k] = C[i, k], 0.0
    return max(math.log(total) - w * (own - largest), 0.0), dw


@kernel
def _contrast_cost(C, i, k, rival, weight, w, b, own_slope):
    """Cost of row i, and its derivatives by w and b. See ``_ge2e``."""
    own, other = fast_softplus(w * C[i, k] + b)[1], fast_softplus(w * C[i, rival] + b)[1]
    pull, push = -weight * own * (1.0 - own), weight * other * (1.0 - other)
    dw = pull * C[i, k] + push * C[i, rival]
    for j in range(C.shape[1]):
        C[i, j] = 0.0
    own_slope[i], C[i, rival] = w * pull, w * push
    return 1.0 - own + other, dw, pull + push


@kernel
def _through_own_sums(own_slope, U, own, inverse, labels, s, dsums, dU):
    """Add to ``dU`` what comes by the sums of classes, and by those without the row itself.

    ``dsums`` is the derivative by the former; that by the latter is added to it.
    """
    n, k = U.shape
    for i in range(n):
        along, copy = 0.0, min(s[i], 1.0)
        for c in range(k):
            along += U[i, c] * own[i, c]
        for c in range(k):
            slope = own_slope[i] * inverse[i] * (U[i, c] - along * own[i, c])
            dU[i, c] += own_slope[i] * own[i, c] - copy * slope
            dsums[labels[i], c] += slope
    for i in range(n):
        for c in range(k):
            dU[i, c] += s[i] * dsums[labels[i], c]


class ArcFace(EmbeddingLoss):
    r"""Additive angular margin loss: cross entropy against prototypes, on the sphere [1]_.

    With θ_j the angle between a row and the prototype of class j, and k its own class,
    −log e^{s·cos(θ_k + m)} / (e^{s·cos(θ_k + m)} + Σ_{j≠k} e^{s·cos θ_j}), the weighted mean over
    rows. Beyond θ_k + m = π, where the cosine would rise again, it goes on as −2 − cos(θ_k + m),
    which has the same value and slope there and keeps falling. Prototypes are learned; their
    lengths do not matter. Where a row has the very direction of its prototype, or the
    opposite one, the derivative of its θ_k is taken to be 0.

    Parameters
    ----------
    margin : float, default=0.5
        m, in radians, from 0 to π.
    scale : float, default=30.0
        s.

    Notes
    -----
    .. math::

        \ell = -\log \frac{e^{s \cos(\theta_k + m)}}{e^{s \cos(\theta_k + m)} + \sum_{j \ne
        k} e^{s \cos\theta_j}}

    References
    ----------
    .. [1] Deng, Guo, Xue & Zafeiriou, "ArcFace: additive angular margin loss for deep face
       recognition", arXiv:1801.07698, 2018 (CVPR 2019).

    Examples
    --------
    >>> from sklearn_margin.losses import ArcFace
    >>> Z, prototypes = [[1.0, 0.0], [1.0, 2.0]], [[2.0, 0.0], [0.0, 1.0]]
    >>> ArcFace(margin=0.0, scale=1.0).value([0, 1], Z, prototypes)
    0.403...
    >>> dZ, dprototypes = ArcFace().gradient([0, 1], Z, prototypes)
    >>> dprototypes.shape
    (2, 2)
    """

    nonnegative = True
    angular = True
    auxiliary = ("prototypes",)
    rows_per_class = 1

    def __init__(self, margin: float = 0.5, scale: float = 30.0) -> None:
        self.margin = margin
        self.scale = scale

    def check_params(self) -> None:
        check_number(self.margin, "margin", minimum=0, maximum=math.pi)
        check_number(self.scale, "scale", minimum=0, closed=False)

    def start(
        self, labels: Array, Z: Array, n_classes: int, random_state: np.random.RandomState
    ) -> tuple[Any, ...]:
        sums = np.zeros((n_classes, Z.shape[1]))
        np.add.at(sums, labels, unit_rows(Z)[0])
        means, _ = unit_rows(sums)
        random, _ = unit_rows(random_state.standard_normal(means.shape))
        return (np.where(means.any(axis=1)[:, None], means, random),)

    def value(
        self,
        labels: ArrayLike,
        Z: ArrayLike,
        prototypes: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Loss of a batch.

        Parameters
        ----------
        labels : array-like of int of shape (n,)
            Class indices: rows of ``prototypes``.
        Z : array-like of shape (n, n_components)
            Embeddings.
        prototypes : array-like of shape (n_classes, n_components)
            One vector per class.
        sample_weight : float or array-like of shape (n,), default=None
            Non-negative weights.

        Returns
        -------
        float
        """
        return super().value(labels, Z, prototypes, sample_weight=sample_weight)

    def gradient(
        self,
        labels: ArrayLike,
        Z: ArrayLike,
        prototypes: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> tuple[Array, Array]:
        """Derivatives of ``value`` with respect to Z and to the prototypes.

        Parameters
        ----------
        labels, Z, prototypes, sample_weight
            As in ``value``.

        Returns
        -------
        dZ : ndarray of shape (n, n_components)
        dprototypes : ndarray of shape (n_classes, n_components)
        """
        return super().gradient(labels, Z, prototypes, sample_weight=sample_weight)

    def _class_indices(self, labels):
        index = np.asarray(labels)
        if index.dtype.kind not in "iufb" or np.any(index != np.floor(index)):
            raise ValueError("labels must be class indices: whole numbers from 0 on")
        return index.astype(np.intp)

    def _check_auxiliary(self, batch, auxiliary):
        labels, Z, _ = batch
        P = check_array(auxiliary[0], dtype=np.float64, order="C", input_name="prototypes")
        if P.shape[1] != Z.shape[1]:
            raise ValueError(f"prototypes has {P.shape[1]} columns and Z has {Z.shape[1]}")
        if labels.min() < 0 or labels.max() >= len(P):
            raise ValueError(
                f"labels must be from 0 to {len(P) - 1}, the rows of prototypes; got "
                f"{labels.min()} to {labels.max()}"
            )
        return (P,)

    def batch_value_gradient(
        self, labels: Array, Z: Array, s: Array, prototypes: Array
    ) -> tuple[Any, ...]:
        U, inverse = unit_rows(Z)
        P, prototype_inverse = unit_rows(prototypes)
        C = U @ P.T
        value = angular_cross_entropy(C, labels, s / s.sum(), float(self.margin), float(self.scale))
        dU, dP = C @ P, C.T @ U
        return (
            value,
            through_unit_rows(dU, U, inverse),
            through_unit_rows(dP, P, prototype_inverse),
        )


@kernel
def angular_cross_entropy(C, labels, s, margin, scale):
    """The loss of ``ArcFace`` at cosines C, which its derivative replaces; s sums to 1."""
    sine, cosine = math.sin(margin), math.cos(margin)
    n = C.shape[0]
    target, factor, largest = np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        k, z = labels[i], C[i]
        c = min(max(z[k], -1.0), 1.0)
        root = math.sqrt((1.0 - c) * (1.0 + c))
        target[i] = c * cosine - root * sine  # cos(θ + m)
        # d cos(θ + m) / d cos θ = sin(θ + m) / sin θ, a pole at 0 and π that the derivative of
        # cos θ by the row cancels.
        factor[i] = (root * cosine + c * sine) / root if root > 1e-12 else 1.0
        if c < -cosine:  # θ > π − m
            target[i], factor[i] = -2.0 - target[i], -factor[i]
        z[k] = target[i]
        largest[i] = z[0]
        for j in range(1, z.shape[0]):
            largest[i] = max(largest[i], z[j])
        for j in range(z.shape[0]):
            z[j] = scale * (z[j] - largest[i])
    x = C.ravel()
    for j in range(x.shape[0]):  # all at once: few classes are too few for vector code
        x[j] = exp_negative(x[j])
    value = 0.0
    for i in range(n):
        k, z, total = labels[i], C[i], 0.0
        for j in range(z.shape[0]):
            total += z[j]
        value += s[i] * (math.log(total) - scale * (target[i] - largest[i]))
        for j in range(z.shape[0]):
            z[j] *= scale * s[i] / total
        z[k] = (z[k] - scale * s[i]) * factor[i]
    return max(value, 0.0)
