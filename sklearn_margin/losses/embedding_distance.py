"""Losses of embeddings by Euclidean distance D: contrastive and triplet."""

import numpy as np

from sklearn_margin._jit import REASSOCIATE, kernel
from sklearn_margin.losses.base import check_choice, check_number
from sklearn_margin.losses.embedding import EmbeddingLoss
from sklearn_margin.losses.embedding_geometry import (
    by_class,
    last_of_class,
    squared_distances,
    through_distances,
)

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
        D, C = squared_distances(Z)
        value = _contrastive(D, labels, s, float(self.margin))
        return value, through_distances(D, C)

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
    selects from a batch. Costs O(B² log B) time and O(B²) memory for B rows: the distances of an
    anchor's positives are sorted, and those of its negatives looked up among them. The
    derivative at the kink is 0.

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
        order, labels, Z, s = by_class(labels, Z, s)
        D, C = squared_distances(Z)
        slope = np.zeros_like(D)
        value = _MINING[self.mining](D, labels, s, float(self.margin), slope)
        Z[order] = through_distances(slope, C)
        return value, Z

    def triplet_value_gradient(self, A, P, N, s):
        near, far = A - P, A - N
        excess = np.einsum("ij,ij->i", near, near) - np.einsum("ij,ij->i", far, far) + self.margin
        s = s / s.sum()
        value = float(s @ np.maximum(excess, 0.0))
        active = (2.0 * s * (excess > 0))[:, None]
        return value, active * (N - P), -active * near, active * far


# A weight above 1 stands for copies of a row. They are positives of each other, at distance
# 0, which matters for the mean: the pair (i, i) has the weight s_i · max(s_i − 1, 0).


@kernel(fastmath=REASSOCIATE)
def _contrastive(D, labels, s, margin):
    """The loss at squared distances D, which its derivative replaces."""
    n = D.shape[0]
    total, mass = 0.0, 0.0
    for i in range(n):
        pairs = max(s[i] - 1.0, 0.0)
        for j in range(i):
            pairs += 2.0 * s[j]
        mass += 0.5 * s[i] * pairs
    if mass == 0.0:
        D[:] = 0.0
        return 0.0
    for i in range(n):
        row, share = 0.0, s[i] / mass
        for j in range(n):  # without branches: it is vector code
            same = labels[i] == labels[j]
            inverse = 1.0 / np.sqrt(D[i, j]) if D[i, j] > 0.0 else 0.0
            short = max(margin - D[i, j] * inverse, 0.0)
            row += s[j] * (D[i, j] if same else short * short)
            D[i, j] = share * s[j] * (1.0 if same else -short * inverse)
        total += share * row
    return 0.5 * total


# The kernels of triplets are given rows class by class. What they write to ``slope`` is symmetric.


@kernel
def _sorted_positives(a, first, last, D, s, rows, distances, weights):
    """The positives of row a by distance, with their weights; returns how many they are."""
    m = 0
    for p in range(first, last):
        weight = max(s[a] - 1.0, 0.0) if p == a else s[p]
        if weight > 0.0:
            rows[m], distances[m], weights[m] = p, D[a, p], weight
            m += 1
    gap = 1
    while gap < m // 3:
        gap = 3 * gap + 1
    while gap > 0:  # Shell's sort: few lines, and there are few positives
        for i in range(gap, m):
            row, distance, weight = rows[i], distances[i], weights[i]
            j = i
            while j >= gap and distances[j - gap] > distance:
                rows[j], distances[j] = rows[j - gap], distances[j - gap]
                weights[j] = weights[j - gap]
                j -= gap
            rows[j], distances[j], weights[j] = row, distance, weight
        gap //= 3
    return m


@kernel
def _add(slope, i, j, amount):
    slope[i, j] += amount
    slope[j, i] += amount


@kernel
def _triplets_all(D, labels, s, margin, slope):
    n = D.shape[0]
    rows, sizes = np.empty(n, np.intp), np.empty((4, n))
    distances, weights, counts, sums = sizes[0], sizes[1], sizes[2], sizes[3]
    total, mass, everything = 0.0, 0.0, s.sum()
    first, last = 0, 0
    for a in range(n):
        if a == last:
            first, last = a, last_of_class(labels, a)
            negatives = everything - s[first:last].sum()
        m = _sorted_positives(a, first, last, D, s, rows, distances, weights)
        if m == 0 or s[a] == 0.0 or (first == 0 and last == n):
            continue
        counts[:m], sums[:m] = 0.0, 0.0
        for r in range(m - 1, 0, -1):  # weights of this positive and those beyond it
            weights[r - 1] += weights[r]
        mass += s[a] * weights[0] * negatives
        for j in range(n):
            if D[a, j] >= distances[m - 1] + margin or first <= j < last:
                continue
            low, high = 0, m - 1  # the nearest positive that is not nearer by the margin
            while low < high:
                middle = (low + high) // 2
                if D[a, j] < distances[middle] + margin:
                    high = middle
                else:
                    low = middle + 1
            counts[low] += s[j]
            sums[low] += s[j] * D[a, j]
            _add(slope, a, j, -s[a] * s[j] * weights[low])
        count, near = 0.0, 0.0
        for r in range(m):
            count, near = count + counts[r], near + sums[r]
            weight = s[a] * (weights[r] - weights[r + 1] if r + 1 < m else weights[r])
            total += weight * (count * (distances[r] + margin) - near)
            _add(slope, a, rows[r], weight * count)
    return _finish(total, mass, slope)


@kernel
def _triplets_semihard(D, labels, s, margin, slope):
    n = D.shape[0]
    rows, nearest = np.empty(n, np.intp), np.empty(n, np.intp)
    distances, weights = np.empty(n), np.empty(n)
    total, mass = 0.0, 0.0
    first, last = 0, 0
    for a in range(n):
        if a == last:
            first, last = a, last_of_class(labels, a)
        m = _sorted_positives(a, first, last, D, s, rows, distances, weights)
        if m == 0 or s[a] == 0.0:
            continue
        nearest[:m] = -1  # of the negatives between a positive and the next
        for j in range(n):
            if D[a, j] <= distances[0] or first <= j < last or s[j] == 0.0:
                continue
            low, high = 0, m - 1  # the farthest positive that is nearer
            if D[a, j] > distances[high]:
                low = high
            while low < high:
                middle = (low + high + 1) // 2
                if D[a, j] > distances[middle]:
                    low = middle
                else:
                    high = middle - 1
            if nearest[low] < 0 or D[a, j] < D[a, nearest[low]]:
                nearest[low] = j
        j = -1
        for r in range(m - 1, -1, -1):
            j = nearest[r] if nearest[r] >= 0 else j
            if j < 0:
                continue
            weight = s[a] * weights[r]
            mass += weight
            excess = distances[r] - D[a, j] + margin
            if excess > 0.0:
                total += weight * excess
                _add(slope, a, rows[r], weight)
                _add(slope, a, j, -weight)
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
            elif (s[j] if j != a else s[a] - 1.0) > 0.0 and (
                farthest < 0 or D[a, j] > D[a, farthest]
            ):
                farthest = j
        if farthest < 0 or nearest < 0:
            continue
        mass += s[a]
        excess = D[a, farthest] - D[a, nearest] + margin
        if excess > 0.0:
            total += s[a] * excess
            _add(slope, a, farthest, s[a])
            _add(slope, a, nearest, -s[a])
    return _finish(total, mass, slope)


@kernel
def _finish(total, mass, slope):
    """Divide by the weight of all triplets; 0 if there is none."""
    if mass == 0.0:
        return 0.0
    slope /= mass
    return total / mass


_MINING = {"all": _triplets_all, "semihard": _triplets_semihard, "hard": _triplets_hard}
