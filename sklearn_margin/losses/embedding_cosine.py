"""Losses of embeddings by cosine similarity: InfoNCE, multiple negatives ranking, circle."""

import math

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.losses.base import check_number
from sklearn_margin.losses.embedding import EmbeddingLoss, through_unit_rows, unit_rows

__all__ = ["Circle", "InfoNCE", "MultipleNegativesRanking"]


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
        U, inverse = unit_rows(Z)
        C = U @ U.T
        E, nearest = np.empty_like(C), np.empty(len(C))
        _negatives(C, labels, s, self.temperature, E, nearest)
        np.exp(E, out=E)
        value = _info_nce(C, labels, s, self.temperature, E, nearest)
        return value, through_unit_rows(C @ U + C.T @ U, U, inverse)


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
        U, inverse = unit_rows(Z)
        C = U @ U.T
        E, largest = np.empty_like(C), np.empty((len(C), 2))
        _circle_exponents(C, labels, s, self.margin, self.scale, E, largest)
        np.exp(E, out=E)
        detach = bool(self.detach_weights)
        value = _circle(C, labels, s, self.margin, self.scale, detach, E, largest)
        return value, through_unit_rows(C @ U + C.T @ U, U, inverse)


# Exponentials are left to NumPy, which has them vectorised: one kernel makes the exponents, less
# the largest of a row, another sums. As in the losses by distance, a weight above 1 stands for
# copies of a row, which are positives of each other at cos = 1.


@kernel
def _negatives(C, labels, s, temperature, E, nearest):
    """Exponents of the negatives of each row, less the largest; −inf elsewhere."""
    n = C.shape[0]
    for i in range(n):
        nearest[i] = -np.inf
        for j in range(n):
            if labels[i] != labels[j] and s[j] > 0.0:
                nearest[i] = max(nearest[i], C[i, j])
        for j in range(n):
            if labels[i] != labels[j] and s[j] > 0.0:
                E[i, j] = (C[i, j] - nearest[i]) / temperature
            else:
                E[i, j] = -np.inf


@kernel
def _softplus(x):
    return x + math.log1p(math.exp(-x)) if x > 0.0 else math.log1p(math.exp(x))


@kernel
def _sigmoid(x):
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@kernel
def _info_nce(C, labels, s, temperature, E, nearest):
    """The loss at cosines C, which its derivative replaces."""
    n = C.shape[0]
    total, mass = 0.0, 0.0
    for i in range(n):
        negatives = 0.0
        for j in range(n):
            negatives += s[j] * E[i, j]
        pull = 0.0
        for j in range(n):
            if labels[i] != labels[j]:
                continue
            weight = s[i] * (max(s[i] - 1.0, 0.0) if i == j else s[j])
            slope = 0.0
            mass += weight
            if weight > 0.0 and negatives > 0.0:
                similarity = 1.0 if i == j else C[i, j]
                # log(1 + Σ_n e^{cos(a,n)/τ} / e^{cos(a,p)/τ})
                x = math.log(negatives) + (nearest[i] - similarity) / temperature
                total += weight * _softplus(x)
                slope = weight * _sigmoid(x) / temperature
                pull += slope
            C[i, j] = -slope if i != j else 0.0
        if negatives > 0.0:
            pull /= negatives
        for j in range(n):
            if labels[i] != labels[j]:
                C[i, j] = pull * s[j] * E[i, j]
    if mass == 0.0:
        C[:] = 0.0
        return 0.0
    C /= mass
    return total / mass


@kernel
def _circle_exponents(C, labels, s, margin, scale, E, largest):
    """Exponents of both sums of each row, less the largest of the sum they belong to."""
    n = C.shape[0]
    for i in range(n):
        top_negative, top_positive = -np.inf, -np.inf
        for j in range(n):
            c = C[i, j] if i != j else 1.0
            if labels[i] != labels[j]:
                E[i, j] = scale * max(c + margin, 0.0) * (c - margin)
                if s[j] > 0.0:
                    top_negative = max(top_negative, E[i, j])
            else:
                E[i, j] = scale * max(1.0 + margin - c, 0.0) * (1.0 - margin - c)
                if s[j] > (1.0 if i == j else 0.0):
                    top_positive = max(top_positive, E[i, j])
        largest[i, 0], largest[i, 1] = top_negative, top_positive
        for j in range(n):
            if labels[i] != labels[j]:
                E[i, j] = min(E[i, j] - top_negative, 0.0)  # above it where the weight is zero
            else:
                E[i, j] = min(E[i, j] - top_positive, 0.0)


@kernel
def _circle(C, labels, s, margin, scale, detach, E, largest):
    """The loss at cosines C, which its derivative replaces."""
    n = C.shape[0]
    total, mass = 0.0, 0.0
    for i in range(n):
        negatives, positives = 0.0, 0.0
        for j in range(n):
            if labels[i] != labels[j]:
                negatives += s[j] * E[i, j]
            else:
                positives += (max(s[i] - 1.0, 0.0) if i == j else s[j]) * E[i, j]
        if s[i] == 0.0 or largest[i, 0] == -np.inf or largest[i, 1] == -np.inf:
            C[i] = 0.0
            continue
        x = largest[i, 0] + math.log(negatives) + largest[i, 1] + math.log(positives)
        mass += s[i]
        total += s[i] * _softplus(x)
        push = s[i] * scale * _sigmoid(x)
        for j in range(n):
            c = C[i, j]
            if i == j:
                C[i, j] = 0.0
            elif labels[i] != labels[j]:
                factor = max(c + margin, 0.0)
                slope = factor if detach else (2.0 * c if factor > 0.0 else 0.0)
                C[i, j] = push * slope * s[j] * E[i, j] / negatives
            else:
                factor = max(1.0 + margin - c, 0.0)
                slope = factor if detach else (2.0 * (1.0 - c) if factor > 0.0 else 0.0)
                C[i, j] = -push * slope * s[j] * E[i, j] / positives
    if mass == 0.0:
        return 0.0
    C /= mass
    return total / mass


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
