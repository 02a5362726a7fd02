"""Losses of embeddings by cosine similarity: InfoNCE, multiple negatives ranking, circle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin._typing import Array
from sklearn_margin._validation import check_number
from sklearn_margin.losses._exp import exp_negative, log1p_unit, sum_of_range
from sklearn_margin.losses._probability import fast_softplus
from sklearn_margin.losses.embedding.base import EmbeddingLoss
from sklearn_margin.losses.embedding.geometry import (
    by_class,
    last_of_class,
    through_cosines,
    through_unit_rows,
    unit_rows,
)
from sklearn_margin.losses.embedding.prototypes import angular_cross_entropy

__all__ = ["Circle", "InfoNCE", "MultipleNegativesRanking"]

_NEGLIGIBLE = -700.0  # e to this power is as good as 0


class InfoNCE(EmbeddingLoss):
    r"""InfoNCE: cross entropy that tells a positive from the negatives of an anchor [1]_.

    −log e^{cos(a,p)/τ} / (e^{cos(a,p)/τ} + Σ_n e^{cos(a,n)/τ}), the mean over all ordered pairs
    (a, p) of rows of the same label; n are the rows of other labels. The derivative by cos(a, n)
    is proportional to e^{cos(a,n)/τ}: the lower τ, the more the nearest negatives weigh [2]_.

    Parameters
    ----------
    temperature : float, default=0.1
        τ.

    Notes
    -----
    .. math::

        \ell(a, p) = -\log \frac{e^{\cos(a, p)/\tau}}{e^{\cos(a, p)/\tau} + \sum_n
        e^{\cos(a, n)/\tau}}

    References
    ----------
    .. [1] van den Oord, Li & Vinyals, "Representation learning with contrastive predictive
       coding", arXiv:1807.03748, 2018.
    .. [2] Wang & Liu, "Understanding the behaviour of contrastive loss", CVPR 2021.

    Examples
    --------
    >>> from sklearn_margin.losses import InfoNCE
    >>> InfoNCE(temperature=1.0).value([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    0.313...
    """

    nonnegative = True
    angular = True

    def __init__(self, temperature: float = 0.1) -> None:
        self.temperature = temperature

    def check_params(self) -> None:
        check_number(self.temperature, "temperature", minimum=0, closed=False)

    def batch_value_gradient(self, labels: Array, Z: Array, s: Array) -> tuple[Any, ...]:
        order, labels, Z, s = by_class(labels, Z, s)
        U, inverse = unit_rows(Z)
        C = U @ U.T
        slope = np.zeros_like(C)
        value = _info_nce(C, labels, s, float(self.temperature), slope)
        Z[order] = through_cosines(slope, U, inverse)
        return value, Z


class MultipleNegativesRanking(EmbeddingLoss):
    r"""Cross entropy that finds the positive of an anchor among those of all anchors [1]_ [2]_.

    Labels name pairs: the first row of a label is the anchor a_i, the second its positive p_i,
    and further rows are ignored. The value is the mean over i of
    logsumexp_j(scale·cos(a_i, p_j)) − scale·cos(a_i, p_i).

    Parameters
    ----------
    scale : float, default=20.0
        Inverse of a temperature.

    Notes
    -----
    .. math::

        \ell(i) = \log \sum_j e^{\mathrm{scale} \cdot \cos(a_i, p_j)} - \mathrm{scale} \cdot
        \cos(a_i, p_i)

    References
    ----------
    .. [1] Henderson et al., "Efficient natural language response suggestion for Smart Reply",
       arXiv:1705.00652, 2017.
    .. [2] Reimers & Gurevych, "Sentence-BERT: sentence embeddings using Siamese BERT-networks",
       EMNLP 2019.

    Examples
    --------
    >>> from sklearn_margin.losses import MultipleNegativesRanking
    >>> Z = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    >>> MultipleNegativesRanking(scale=1.0).value([0, 0, 1, 1], Z)
    0.313...
    """

    nonnegative = True
    angular = True
    rows_per_class = 2
    sampler = "balanced"

    def __init__(self, scale: float = 20.0) -> None:
        self.scale = scale

    def check_params(self) -> None:
        check_number(self.scale, "scale", minimum=0, closed=False)

    def batch_value_gradient(self, labels: Array, Z: Array, s: Array) -> tuple[Any, ...]:
        anchors, positives = _first_two(labels)
        dZ = np.zeros_like(Z)
        if len(anchors) == 0:
            return 0.0, dZ
        A, inverse_a = unit_rows(Z[anchors])
        P, inverse_p = unit_rows(Z[positives])
        weight = s[anchors] / s[anchors].sum()
        C = A @ P.T
        value = angular_cross_entropy(C, np.arange(len(A)), weight, 0.0, float(self.scale))
        dZ[anchors] = through_unit_rows(C @ P, A, inverse_a)
        dZ[positives] = through_unit_rows(C.T @ A, P, inverse_p)
        return value, dZ


class Circle(EmbeddingLoss):
    r"""Circle loss: every similarity is pushed as hard as it is far from its optimum [1]_.

    For each anchor, with the similarities s = cos of its positives p and negatives n, margin m
    and scale γ: log(1 + Σ_n e^{γ[s_n + m]₊(s_n − m)} · Σ_p e^{−γ[1 + m − s_p]₊(s_p − 1 + m)}).
    The mean over the anchors that have both a positive and a negative.

    Parameters
    ----------
    margin : float, default=0.25
        m: similarities should be beyond 1 − m, and below m.
    scale : float, default=80.0
        γ.
    detach_weights : bool, default=False
        Whether ``gradient`` takes the factors [·]₊ for constants, as the paper does. It is then
        not the derivative of ``value``, and twice as large near s_n = 0 and s_p = 1.

    Notes
    -----
    .. math::

        \ell(a) = \log\left(1 + \sum_n e^{\gamma [s_n + m]_+ (s_n - m)} \sum_p e^{-\gamma [1
        + m - s_p]_+ (s_p - 1 + m)}\right)

    References
    ----------
    .. [1] Sun et al., "Circle loss: a unified perspective of pair similarity optimization",
       CVPR 2020.

    Examples
    --------
    >>> from sklearn_margin.losses import Circle
    >>> Circle(scale=2.0).value([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    0.575...
    """

    nonnegative = True
    angular = True

    def __init__(
        self, margin: float = 0.25, scale: float = 80.0, detach_weights: bool = False
    ) -> None:
        self.margin = margin
        self.scale = scale
        self.detach_weights = detach_weights

    def check_params(self) -> None:
        check_number(self.margin, "margin", minimum=0, maximum=1)
        check_number(self.scale, "scale", minimum=0, closed=False)
        if not isinstance(self.detach_weights, (bool, np.bool_)):
            raise TypeError(f"detach_weights must be True or False, got {self.detach_weights!r}")

    @property
    def is_smooth(self) -> bool:
        return not self.detach_weights  # a line search needs the derivative of the value

    def batch_value_gradient(self, labels: Array, Z: Array, s: Array) -> tuple[Any, ...]:
        order, labels, Z, s = by_class(labels, Z, s)
        U, inverse = unit_rows(Z)
        C = U @ U.T
        parameters = float(self.margin), float(self.scale), bool(self.detach_weights)
        value = _circle(C, labels, s, *parameters)
        Z[order] = through_cosines(C, U, inverse)
        return value, Z


# The kernels are given rows class by class. As in the losses by distance, a weight above 1 stands
# for copies of a row, which are positives of each other at cos = 1. Exponentials are taken of all
# exponents at once, since ranges are short and vector code wants long loops.


@kernel
def _enlarge(largest, x, first, last):
    """Replace entries of a range by those of x that are larger."""
    for j in range(first, last):
        largest[j] = x[j] if x[j] > largest[j] else largest[j]


@kernel
def _exponentials(E):
    """Replace exponents ≤ 0 by exponentials, and larger ones, which mean nothing, by 1."""
    x = E.ravel()
    for j in range(x.shape[0]):
        e = exp_negative(min(x[j], 0.0))
        x[j] = e if x[j] > _NEGLIGIBLE else 0.0


@kernel
def _weigh(E, s, first, last):
    """Multiply a range by weights; returns its sum."""
    for j in range(first, last):
        E[j] *= s[j]
    return sum_of_range(E, first, last)


@kernel
def _scale(x, first, last, factor):
    for j in range(first, last):
        x[j] *= factor


@kernel
def _info_nce(C, labels, s, temperature, E):
    """The loss at cosines C, the derivative by which becomes E."""
    n = C.shape[0]
    nearest = np.full(n, -np.inf)  # negatives
    mass, of_class = 0.0, 0.0
    first, last = 0, 0
    for a in range(n):
        if a == last:
            first, last = a, last_of_class(labels, a)
            of_class = sum_of_range(s, first, last)
        C[a, a] = 1.0
        mass += s[a] * max(of_class - min(s[a], 1.0), 0.0)
        # C is symmetric: a row adds to what is known of all columns.
        _enlarge(nearest, C[a], 0, first)
        _enlarge(nearest, C[a], last, n)
    if mass == 0.0 or nearest[0] == -np.inf:
        return 0.0
    for a in range(n):
        for j in range(n):
            E[a, j] = (C[a, j] - nearest[a]) / temperature
    _exponentials(E)
    total, costs = 0.0, np.empty(n)
    for a in range(n):
        if a == 0 or a == last:
            first, last = a, last_of_class(labels, a)
        negatives = _weigh(E[a], s, 0, first) + _weigh(E[a], s, last, n)
        rival = nearest[a] / temperature + math.log(negatives)
        own, s[a] = s[a], max(s[a] - 1.0, 0.0)
        cost, pull = _positives(C[a], s, first, last, rival, temperature, own / mass, E[a], costs)
        s[a] = own
        total += cost
        _scale(E[a], 0, first, pull / negatives)
        _scale(E[a], last, n, pull / negatives)
        E[a, a] = 0.0
    return total


@kernel
def _positives(c, s, first, last, rival, temperature, share, slope, costs):
    """Sum of log(1 + Σ_n e^{cos(a,n)/τ} / e^{cos(a,p)/τ}) over p, and minus that of its slopes."""
    for p in range(first, last):  # sums apart: see ``logistic_sums``
        x = rival - c[p] / temperature
        e = exp_negative(-abs(x))
        weight = share * s[p]
        costs[p] = weight * (max(x, 0.0) + log1p_unit(e))
        slope[p] = -weight / temperature * ((1.0 if x >= 0.0 else e) / (1.0 + e))
    cost, pull = 0.0, 0.0
    for p in range(first, last):
        cost += costs[p]
        pull -= slope[p]
    return cost, pull


@kernel
def _circle(C, labels, s, margin, scale, detach):
    """The loss at cosines C, which its derivative replaces."""
    n = C.shape[0]
    E = np.empty_like(C)
    negative, positive = np.full(n, -np.inf), np.full(n, -np.inf)  # largest exponents
    first, last = 0, 0
    for a in range(n):
        if a == last:
            first, last = a, last_of_class(labels, a)
        # With t = s_n and t = 1 − s_p both exponents are γ[t + m]₊(t − m).
        for p in range(first, last):
            C[a, p] = 1.0 - C[a, p]
        C[a, a] = 0.0
        for j in range(n):
            E[a, j] = scale * max(C[a, j] + margin, 0.0) * (C[a, j] - margin)
        # E is symmetric: a row adds to what is known of all columns.
        _enlarge(negative, E[a], 0, first)
        _enlarge(negative, E[a], last, n)
        _enlarge(positive, E[a], first, a if s[a] <= 1.0 else a + 1)
        _enlarge(positive, E[a], a + 1, last)
    mass = 0.0
    for a in range(n):
        mass += s[a] if min(negative[a], positive[a]) > -np.inf else 0.0
        if a == 0 or a == last:
            first, last = a, last_of_class(labels, a)
        for j in range(n):
            E[a, j] -= positive[a] if first <= j < last else negative[a]
    _exponentials(E)
    total = 0.0
    for a in range(n):
        if a == 0 or a == last:
            first, last = a, last_of_class(labels, a)
        if min(negative[a], positive[a]) == -np.inf:  # an anchor without one of them
            _scale(C[a], 0, n, 0.0)
            continue
        own, s[a] = s[a], max(s[a] - 1.0, 0.0)
        negatives = _weigh(E[a], s, 0, first) + _weigh(E[a], s, last, n)
        positives = _weigh(E[a], s, first, last)
        s[a] = own
        x = negative[a] + math.log(negatives) + positive[a] + math.log(positives)
        cost, push = fast_softplus(x)
        total += own / mass * cost
        push *= own / mass * scale
        _circle_slopes(C[a], E[a], 0, first, margin, detach, push / negatives)
        _circle_slopes(C[a], E[a], first, last, margin, detach, -push / positives)
        _circle_slopes(C[a], E[a], last, n, margin, detach, push / negatives)
        C[a, a] = 0.0
    return total


@kernel
def _circle_slopes(t, E, first, last, margin, detach, push):
    """Replace t by push · E · (derivative of the exponent by t) / γ."""
    for j in range(first, last):
        slope = t[j] + margin if detach else 2.0 * t[j]
        t[j] = push * E[j] * slope if t[j] + margin > 0.0 else 0.0


@kernel
def _pairs_of_labels(labels, anchor, positive):
    """First and second row of each class index; −1 where there is none."""
    for i in range(labels.shape[0]):
        k = labels[i]
        if anchor[k] < 0:
            anchor[k] = i
        elif positive[k] < 0:
            positive[k] = i


def _first_two(labels):
    anchor, positive = np.full((2, labels.max() + 1), -1)
    _pairs_of_labels(labels, anchor, positive)
    whole = positive >= 0
    return anchor[whole], positive[whole]
