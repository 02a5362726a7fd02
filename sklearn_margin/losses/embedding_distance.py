"""Losses of embeddings by Euclidean distance D: contrastive and triplet."""

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.losses.base import check_choice, check_number
from sklearn_margin.losses.embedding import EmbeddingLoss, squared_distances, through_distances

__all__ = ["Contrastive", "Triplet"]


class Contrastive(EmbeddingLoss):
    """Contrastive loss: D² for rows of the same label, [margin − D]₊² for others [1]_.

    The mean over all pairs of a batch. Two different labels at the same point repel each
    other in no direction: the derivative there is taken to be 0.

    Parameters
    ----------
    margin : float, default=1.0
        Distance from which different labels cost nothing.

    References
    ----------
    .. [1] Hadsell, Chopra & LeCun, "Dimensionality reduction by learning an invariant
       mapping", CVPR 2006.

    Examples
    --------
    >>> from sklearn_margin.losses import Contrastive
    >>> loss = Contrastive(margin=2.0)
    >>> loss.value(["a", "a", "b"], [[0.0], [3.0], [4.0]])  # (9 + 0 + 1) / 3
    3.333...
    >>> loss.gradient(["a", "a", "b"], [[0.0], [3.0], [4.0]]).ravel().round(2)
    array([-2.  ,  2.67, -0.67])
    """

    nonnegative = True

    def __init__(self, margin=1.0):
        self.margin = margin

    def check_params(self):
        check_number(self.margin, "margin", minimum=0)

    def batch_value_gradient(self, labels, Z, s):
        slope = squared_distances(Z)
        value = _contrastive(slope, labels, s, float(self.margin))
        return value, through_distances(slope, Z)

    def pair_value_gradient(self, Z1, Z2, similar, s):
        difference = Z1 - Z2
        distance = np.sqrt(np.einsum("ij,ij->i", difference, difference))
        short = np.maximum(self.margin - distance, 0.0)
        s = s / s.sum()
        value = float(s @ np.where(similar, distance**2, short**2))
        with np.errstate(divide="ignore", invalid="ignore"):
            pull = np.where(similar, 1.0, np.where(distance > 0, -short / distance, 0.0))
        slope = (2.0 * s * pull)[:, None] * difference
        return value, slope, -slope


class Triplet(EmbeddingLoss):
    """Triplet loss: [D(a, p)² − D(a, n)² + margin]₊ of an anchor, a positive and a negative [1]_.

    The mean over the triplets (a, p, n) with label(a) = label(p) ≠ label(n) that ``mining``
    selects from a batch. Costs O(B² log B) time and O(B²) memory for B rows, since the
    distances from an anchor are sorted. The derivative at the kink is 0.

    Parameters
    ----------
    margin : float, default=0.2
        By how much the squared distance to a negative should be the longer one.
    mining : {"semihard", "all", "hard"}, default="semihard"
        "all": every triplet. "semihard": for each a and p the nearest negative that is farther
        from a than p is [1]_; none if there is no such negative. "hard": for each a the
        farthest positive and the nearest negative [2]_.

    References
    ----------
    .. [1] Schroff, Kalenichenko & Philbin, "FaceNet: a unified embedding for face
       recognition and clustering", CVPR 2015.
    .. [2] Hermans, Beyer & Leibe, "In defense of the triplet loss for person
       re-identification", arXiv:1703.07737, 2017.

    Examples
    --------
    >>> from sklearn_margin.losses import Triplet
    >>> Triplet(margin=1.0, mining="all").value([0, 0, 1], [[0.0], [1.0], [1.5]])
    0.875
    """

    nonnegative = True
    is_smooth = False

    def __init__(self, margin=0.2, mining="semihard"):
        self.margin = margin
        self.mining = mining

    def check_params(self):
        check_number(self.margin, "margin", minimum=0)
        check_choice(self.mining, "mining", ("all", "semihard", "hard"))

    def batch_value_gradient(self, labels, Z, s):
        D = squared_distances(Z)
        slope = np.zeros_like(D)
        mine = {"all": _triplets_all, "semihard": _triplets_semihard, "hard": _triplets_hard}
        order = None if self.mining == "hard" else np.argsort(D, axis=1)
        arguments = (D, labels, s, float(self.margin), slope)
        value = mine[self.mining](*arguments, *([] if order is None else [order]))
        return value, through_distances(slope, Z)

    def triplet_value_gradient(self, A, P, N, s):
        near, far = A - P, A - N
        excess = np.einsum("ij,ij->i", near, near) - np.einsum("ij,ij->i", far, far) + self.margin
        s = s / s.sum()
        value = float(s @ np.maximum(excess, 0.0))
        active = (2.0 * s * (excess > 0))[:, None]
        return value, active * (N - P), -active * near, active * far


# A weight above 1 stands for copies of a row. They are positives of each other, at distance
# 0, which matters for the mean: the pair (i, i) has the weight s_i · max(s_i − 1, 0).


@kernel
def _contrastive(D, labels, s, margin):
    """The loss at squared distances D, which its derivative replaces (below the diagonal)."""
    n = D.shape[0]
    total, mass = 0.0, 0.0
    for i in range(n):
        mass += 0.5 * s[i] * max(s[i] - 1.0, 0.0)
        for j in range(i):
            weight = s[i] * s[j]
            mass += weight
            if labels[i] == labels[j]:
                total += weight * D[i, j]
                D[i, j] = weight
            elif D[i, j] < margin * margin:
                distance = np.sqrt(D[i, j])
                short = margin - distance
                total += weight * short * short
                D[i, j] = -weight * short / distance if distance > 0.0 else 0.0
            else:
                D[i, j] = 0.0
            D[j, i] = 0.0
    if mass == 0.0:
        D[:] = 0.0
        return 0.0
    D /= mass
    return total / mass


@kernel
def _copies(i, j, s):
    """Weight of row j as a positive of row i."""
    return max(s[i] - 1.0, 0.0) if i == j else s[j]


@kernel
def _triplets_all(D, labels, s, margin, slope, order):
    n = D.shape[0]
    total, mass = 0.0, 0.0
    for a in range(n):
        positives, negatives = 0.0, 0.0
        # Positives p by distance; the negatives with D(a, n) < D(a, p) + margin come first.
        count, distances, k = 0.0, 0.0, 0
        for r in range(n):
            p = order[a, r]
            if labels[p] != labels[a]:
                negatives += s[p]
                continue
            weight = _copies(a, p, s)
            positives += weight
            limit = D[a, p] + margin
            while k < n and D[a, order[a, k]] < limit:
                j = order[a, k]
                if labels[j] != labels[a]:
                    count += s[j]
                    distances += s[j] * D[a, j]
                k += 1
            total += s[a] * weight * (count * limit - distances)
            slope[a, p] += s[a] * weight * count
        mass += s[a] * positives * negatives
        # Negatives by falling distance; the positives with D(a, p) > D(a, n) − margin come last.
        count, k = 0.0, n - 1
        for r in range(n - 1, -1, -1):
            j = order[a, r]
            if labels[j] == labels[a]:
                continue
            while k >= 0 and D[a, order[a, k]] + margin > D[a, j]:
                p = order[a, k]
                if labels[p] == labels[a]:
                    count += _copies(a, p, s)
                k -= 1
            slope[a, j] -= s[a] * s[j] * count
    return _finish(total, mass, slope)


@kernel
def _triplets_semihard(D, labels, s, margin, slope, order):
    n = D.shape[0]
    total, mass = 0.0, 0.0
    for a in range(n):
        k = 0
        for r in range(n):
            p = order[a, r]
            weight = s[a] * _copies(a, p, s)
            if labels[p] != labels[a] or weight == 0.0:
                continue
            while k < n and not (
                D[a, order[a, k]] > D[a, p]
                and labels[order[a, k]] != labels[a]
                and s[order[a, k]] > 0.0
            ):
                k += 1
            if k == n:
                break
            j = order[a, k]
            mass += weight
            excess = D[a, p] - D[a, j] + margin
            if excess > 0.0:
                total += weight * excess
                slope[a, p] += weight
                slope[a, j] -= weight
    return _finish(total, mass, slope)


@kernel
def _triplets_hard(D, labels, s, margin, slope):
    n = D.shape[0]
    total, mass = 0.0, 0.0
    for a in range(n):
        farthest, nearest = -1, -1
        for j in range(n):
            if labels[j] != labels[a]:
                if s[j] > 0.0 and (nearest < 0 or D[a, j] < D[a, nearest]):
                    nearest = j
            elif _copies(a, j, s) > 0.0 and (farthest < 0 or D[a, j] > D[a, farthest]):
                farthest = j
        if farthest < 0 or nearest < 0:
            continue
        mass += s[a]
        excess = D[a, farthest] - D[a, nearest] + margin
        if excess > 0.0:
            total += s[a] * excess
            slope[a, farthest] += s[a]
            slope[a, nearest] -= s[a]
    return _finish(total, mass, slope)


@kernel
def _finish(total, mass, slope):
    """Divide by the weight of all triplets; 0 if there is none."""
    if mass == 0.0:
        return 0.0
    slope /= mass
    return total / mass
