"""Losses of embeddings by cosine similarity: InfoNCE, multiple negatives ranking, circle."""

import math

import numpy as np

from sklearn_margin._jit import REASSOCIATE, kernel
from sklearn_margin.losses._exp import exp_negative, log1p_unit
from sklearn_margin.losses.base import check_number
from sklearn_margin.losses.embedding import EmbeddingLoss
from sklearn_margin.losses.embedding_geometry import (
    by_class,
    last_of_class,
    through_cosines,
    through_unit_rows,
    unit_rows,
)

__all__ = ["Circle", "InfoNCE", "MultipleNegativesRanking"]

_LOWEST = -700.0  # e to this power is as good as 0


class InfoNCE(EmbeddingLoss):
    """InfoNCE: cross entropy that tells a positive from the negatives of an anchor [1]_.

    −log e^{cos(a,p)/τ} / (e^{cos(a,p)/τ} + Σ_n e^{cos(a,n)/τ}), the mean over all ordered pairs
    (a, p) of rows of the same label; n are the rows of other labels. The derivative by cos(a, n)
    is proportional to e^{cos(a,n)/τ}: the lower τ, the more the nearest negatives weigh [2]_.

    Parameters
    ----------
    temperature : float, default=0.1
        τ.

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

    def __init__(self, temperature=0.1):
        self.temperature = temperature

    def check_params(self):
        check_number(self.temperature, "temperature", minimum=0, closed=False)

    def batch_value_gradient(self, labels, Z, s):
        order, labels, Z, s = by_class(labels, Z, s)
        U, inverse = unit_rows(Z)
        C = U @ U.T
        value = _info_nce(C, labels, s, float(self.temperature))
        Z[order] = through_cosines(C, U, inverse)
        return value, Z


class MultipleNegativesRanking(EmbeddingLoss):
    """Cross entropy that finds the positive of an anchor among those of all anchors [1]_ [2]_.

    Labels name pairs: the first row of a label is the anchor a_i, the second its positive p_i,
    and further rows are ignored. The value is the mean over i of
    logsumexp_j(scale·cos(a_i, p_j)) − scale·cos(a_i, p_i).

    Parameters
    ----------
    scale : float, default=20.0
        Inverse of a temperature.

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

    def __init__(self, scale=20.0):
        self.scale = scale

    def check_params(self):
        check_number(self.scale, "scale", minimum=0, closed=False)

    def batch_value_gradient(self, labels, Z, s):
        anchors, positives = _first_two(labels, s)
        dZ = np.zeros_like(Z)
        if len(anchors) == 0:
            return 0.0, dZ
        A, inverse_a = unit_rows(Z[anchors])
        P, inverse_p = unit_rows(Z[positives])
        weight = s[anchors] / s[anchors].sum()
        C = self.scale * (A @ P.T)
        own = C.diagonal().copy()
        largest = C.max(axis=1)
        np.exp(C - largest[:, None], out=C)
        total = C.sum(axis=1)
        value = float(weight @ (largest + np.log(total) - own))
        C /= total[:, None]
        C[np.diag_indices(len(C))] -= 1.0
        C *= (self.scale * weight)[:, None]
        dZ[anchors] = through_unit_rows(C @ P, A, inverse_a)
        dZ[positives] = through_unit_rows(C.T @ A, P, inverse_p)
        return max(value, 0.0), dZ


class Circle(EmbeddingLoss):
    """Circle loss: every similarity is pushed as hard as it is far from its optimum [1]_.

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

    def __init__(self, margin=0.25, scale=80.0, detach_weights=False):
        self.margin = margin
        self.scale = scale
        self.detach_weights = detach_weights

    def check_params(self):
        check_number(self.margin, "margin", minimum=0, maximum=1)
        check_number(self.scale, "scale", minimum=0, closed=False)
        if not isinstance(self.detach_weights, (bool, np.bool_)):
            raise TypeError(f"detach_weights must be True or False, got {self.detach_weights!r}")

    @property
    def is_smooth(self):
        return not self.detach_weights  # a line search needs the derivative of the value

    def batch_value_gradient(self, labels, Z, s):
        order, labels, Z, s = by_class(labels, Z, s)
        U, inverse = unit_rows(Z)
        C = U @ U.T
        parameters = float(self.margin), float(self.scale), bool(self.detach_weights)
        value = _circle(C, labels, s, *parameters)
        Z[order] = through_cosines(C, U, inverse)
        return value, Z


# The kernels are given rows class by class. As in the losses by distance, a weight above 1 stands
# for copies of a row, which are positives of each other at cos = 1. Exponentials are taken of all
# exponents at once: ranges are short, and vector code wants long loops.


@kernel(fastmath={"nnan", "nsz"})
def _largest(x, s, first, last):
    """The largest x of a range that has a weight; −inf if there is none."""
    largest = -np.inf
    for j in range(first, last):
        largest = max(largest, x[j] if s[j] > 0.0 else -np.inf)
    return largest


@kernel
def _exponentials(E):
    """Replace exponents ≤ 0 by exponentials, and others, which have no weight, by 1."""
    x = E.ravel()
    for j in range(x.shape[0]):
        e = exp_negative(min(x[j], 0.0))
        x[j] = e if x[j] > _LOWEST else 0.0


@kernel(fastmath=REASSOCIATE)
def _weigh(E, s, first, last):
    """Multiply a range by weights; returns its sum."""
    total = 0.0
    for j in range(first, last):
        E[j] *= s[j]
        total += E[j]
    return total


@kernel
def _info_nce(C, labels, s, temperature):
    """The loss at cosines C, which its derivative replaces."""
    n = C.shape[0]
    nearest, E = np.empty(n), np.empty_like(C)
    first, last = 0, 0
    for a in range(n):
        if a == last:
            first, last = a, last_of_class(labels, a)
        C[a, a] = 1.0
        top = max(_largest(C[a], s, 0, first), _largest(C[a], s, last, n))
        nearest[a] = top / temperature
        for j in range(n):
            E[a, j] = (C[a, j] - top) / temperature
    _exponentials(E)
    total, mass = 0.0, 0.0
    weights = s.copy()  # of positives
    for a in range(n):
        if a == 0 or a == last:
            first, last = a, last_of_class(labels, a)
        weights[a] = max(s[a] - 1.0, 0.0)
        mass += s[a] * weights[first:last].sum()
        if nearest[a] == -np.inf:
            C[a] = 0.0
        else:
            negatives = _weigh(E[a], s, 0, first) + _weigh(E[a], s, last, n)
            rival = nearest[a] + math.log(negatives)
            cost, pull = _positives(C[a], weights, first, last, rival, temperature, s[a])
            total += cost
            C[a, :first] = E[a, :first] * (pull / negatives)
            C[a, last:] = E[a, last:] * (pull / negatives)
            C[a, a] = 0.0
        weights[a] = s[a]
    if mass == 0.0:
        C[:] = 0.0
        return 0.0
    C /= mass
    return total / mass


@kernel(fastmath=REASSOCIATE)
def _positives(c, weights, first, last, rival, temperature, share):
    """Sum of log(1 + Σ_n e^{cos(a,n)/τ} / e^{cos(a,p)/τ}) over p, and of its slopes.

    Their negatives replace the cosines.
    """
    cost, pull = 0.0, 0.0
    for p in range(first, last):
        x = rival - c[p] / temperature
        e = exp_negative(-abs(x))
        weight = share * weights[p]
        cost += weight * (max(x, 0.0) + log1p_unit(e))
        slope = weight / temperature * ((1.0 if x >= 0.0 else e) / (1.0 + e))
        pull += slope
        c[p] = -slope
    return cost, pull


@kernel
def _circle(C, labels, s, margin, scale, detach):
    """The loss at cosines C, which its derivative replaces."""
    n = C.shape[0]
    largest, E = np.empty((n, 2)), np.empty_like(C)
    weights = s.copy()  # of positives
    first, last = 0, 0
    for a in range(n):
        if a == last:
            first, last = a, last_of_class(labels, a)
        # With t = s_n and t = 1 − s_p both exponents are γ[t + m]₊(t − m).
        t, e = C[a], E[a]
        t[first:last] = 1.0 - t[first:last]
        t[a] = 0.0
        for j in range(n):
            e[j] = scale * max(t[j] + margin, 0.0) * (t[j] - margin)
        weights[a] = max(s[a] - 1.0, 0.0)
        largest[a, 0] = max(_largest(e, s, 0, first), _largest(e, s, last, n))
        largest[a, 1] = _largest(e, weights, first, last)
        weights[a] = s[a]
        e[:first] -= largest[a, 0]
        e[first:last] -= largest[a, 1]
        e[last:] -= largest[a, 0]
    _exponentials(E)
    total, mass = 0.0, 0.0
    for a in range(n):
        if a == 0 or a == last:
            first, last = a, last_of_class(labels, a)
        t, e = C[a], E[a]
        if s[a] == 0.0 or largest[a].min() == -np.inf:
            t[:] = 0.0
            continue
        weights[a] = max(s[a] - 1.0, 0.0)
        negatives = _weigh(e, s, 0, first) + _weigh(e, s, last, n)
        positives = _weigh(e, weights, first, last)
        weights[a] = s[a]
        x = largest[a, 0] + math.log(negatives) + largest[a, 1] + math.log(positives)
        mass += s[a]
        total += s[a] * _softplus(x)
        push = s[a] * scale * _sigmoid(x)
        e[:first] *= push / negatives
        e[first:last] *= -push / positives
        e[last:] *= push / negatives
        for j in range(n):  # the derivative of the exponent by t, in which [·]₊ may be a constant
            slope = t[j] + margin if detach else 2.0 * t[j]
            t[j] = e[j] * slope if t[j] + margin > 0.0 else 0.0
        t[a] = 0.0
    if mass == 0.0:
        return 0.0
    C /= mass
    return total / mass


@kernel
def _softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@kernel
def _sigmoid(x):
    e = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else e) / (1.0 + e)


@kernel
def _pairs_of_labels(labels, s, anchor, positive):
    """First and second row of each class index; −1 where there is none."""
    for i in range(labels.shape[0]):
        k = labels[i]
        if s[i] > 0.0 and anchor[k] < 0:
            anchor[k] = i
        elif s[i] > 0.0 and positive[k] < 0:
            positive[k] = i


def _first_two(labels, s):
    anchor, positive = np.full((2, labels.max() + 1), -1)
    _pairs_of_labels(labels, s, anchor, positive)
    whole = positive >= 0
    return anchor[whole], positive[whole]
