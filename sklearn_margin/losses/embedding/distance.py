"""Losses of embeddings by Euclidean distance D: contrastive and triplet."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from sklearn_margin._jit import REASSOCIATE, kernel
from sklearn_margin._typing import Array
from sklearn_margin._validation import check_choice, check_number
from sklearn_margin.losses._exp import sum_of_range
from sklearn_margin.losses.embedding.base import EmbeddingLoss
from sklearn_margin.losses.embedding.geometry import (
    by_class,
    last_of_class,
    squared_distances,
    through_distances,
)

__all__ = ["Contrastive", "Triplet"]

_FEW = 64  # positives of an anchor, up to which it is quicker to go through all its triplets


class Contrastive(EmbeddingLoss):
    r"""Contrastive loss: D² for rows of the same label, [margin − D]₊² for others [1]_.

    The mean over all pairs of a batch. Two different labels at the same point repel each
    other in no direction: the derivative there is taken to be 0.

    Parameters
    ----------
    margin : float, default=1.0
        Distance from which different labels cost nothing.

    Notes
    -----
    .. math::

        \ell(i, j) = \begin{cases} D(i, j)^2 & \text{same label} \\ \max(0,\,
        \mathrm{margin} - D(i, j))^2 & \text{different labels} \end{cases}

    with the Euclidean distance D of two rows.

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

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = margin

    def check_params(self) -> None:
        check_number(self.margin, "margin", minimum=0)

    def batch_value_gradient(self, labels: Array, Z: Array, s: Array) -> tuple[Any, ...]:
        D, C = squared_distances(Z)
        value = _contrastive(D, labels, s, float(self.margin))
        return value, through_distances(D, C)

    def pair_value_gradient(
        self, Z1: Array, Z2: Array, similar: Array, s: Array
    ) -> tuple[Any, ...]:
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
    r"""Triplet loss: [D(a, p)² − D(a, n)² + margin]₊ of an anchor, a positive and a negative [1]_.

    The mean over the triplets (a, p, n) with label(a) = label(p) ≠ label(n) that ``mining``
    selects from a batch. Costs O(B² log B) time and O(B²) memory for B rows: where an anchor has
    many positives, their distances are sorted, and those of its negatives looked up among them.
    The derivative at the kink is 0.

    Parameters
    ----------
    margin : float, default=0.2
        By how much the squared distance to a negative should be the longer one.
    mining : {"semihard", "all", "hard"}, default="semihard"
        "all": every triplet. "semihard": for each a and p the nearest negative that is farther
        from a than p is [1]_; none if there is no such negative. "hard": for each a the
        farthest positive and the nearest negative [2]_.

    Notes
    -----
    .. math:: \ell(a, p, n) = \max\left(0,\, D(a, p)^2 - D(a, n)^2 + \mathrm{margin}\right)

    with the Euclidean distance D of two rows.

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

    def __init__(
        self, margin: float = 0.2, mining: Literal["all", "semihard", "hard"] = "semihard"
    ) -> None:
        self.margin = margin
        self.mining = mining

    def check_params(self) -> None:
        check_number(self.margin, "margin", minimum=0)
        check_choice(self.mining, "mining", ("all", "semihard", "hard"))

    def batch_value_gradient(self, labels: Array, Z: Array, s: Array) -> tuple[Any, ...]:
        order, labels, Z, s = by_class(labels, Z, s)
        D, C = squared_distances(Z)
        slope = np.zeros_like(D)
        total, mass = _MINING[self.mining](D, labels, s, float(self.margin), slope)
        share = 1.0 / mass if mass > 0 else 0.0
        Z[order] = share * through_distances(slope, C)
        return share * total, Z

    def triplet_value_gradient(self, A: Array, P: Array, N: Array, s: Array) -> tuple[Any, ...]:
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
    for i in range(n):
        row, share = 0.0, s[i] / mass if mass > 0.0 else 0.0
        for j in range(i):  # without branches: it is vector code
            same = labels[i] == labels[j]
            inverse = 1.0 / np.sqrt(D[i, j]) if D[i, j] > 0.0 else 0.0
            short = max(margin - D[i, j] * inverse, 0.0)
            row += s[j] * (D[i, j] if same else short * short)
            D[i, j] = share * s[j] * (1.0 if same else -short * inverse)
        D[i, i] = 0.0
        total += share * row
    for i in range(n):
        for j in range(i):
            D[j, i] = D[i, j]
    return total


# The kernels of triplets are given rows class by class. What they write to ``slope`` is symmetric.


@kernel
def _nearest_negatives(D, labels):
    """For each row the squared distance to the nearest of another class; inf if there is none."""
    n = D.shape[0]
    nearest = np.full(n, np.inf)
    first, last = 0, 0
    for i in range(n):
        if i == last:
            first, last = i, last_of_class(labels, i)
        # D is symmetric: a row adds to what is known of all columns, in vector code.
        _lessen(nearest, D[i], 0, first)
        _lessen(nearest, D[i], last, n)
    return nearest


@kernel
def _lessen(least, x, first, last):
    for j in range(first, last):
        least[j] = x[j] if x[j] < least[j] else least[j]


@kernel
def _place_of(x, value, first, last):
    """Where outside of a range x has a value, or −1."""
    for j in range(x.shape[0]):
        if x[j] == value and not first <= j < last:
            return j
    return -1


@kernel
def _far_positives(a, first, last, least, D, s, rows, distances, weights):
    """The positives of row a from a distance on; returns how many they are."""
    m = 0
    for p in range(first, last):
        weight = max(s[a] - 1.0, 0.0) if p == a else s[p]
        rows[m], distances[m], weights[m] = p, D[a, p], weight
        m += 1 if (weight > 0.0) & (D[a, p] >= least) else 0  # else the next takes its place
    return m


@kernel
def _sort_by_distance(rows, distances, weights, m):
    """Shell's sort of the first m: few lines, and there are few positives."""
    gap = 1
    while gap < m // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, m):
            row, distance, weight = rows[i], distances[i], weights[i]
            j = i
            while j >= gap and distances[j - gap] > distance:
                rows[j], distances[j] = rows[j - gap], distances[j - gap]
                weights[j] = weights[j - gap]
                j -= gap
            rows[j], distances[j], weights[j] = row, distance, weight
        gap //= 3


@kernel
def _count_below(ordered, m, x, or_equal):
    """How many of the first m ≥ 1 numbers are below x. Without branches: no guess to go wrong."""
    first = 0
    while m > 1:
        half = m // 2
        middle = ordered[first + half - 1]
        first += half if (middle < x) | (or_equal & (middle == x)) else 0
        m -= half
    return first + int((ordered[first] < x) | (or_equal & (ordered[first] == x)))


@kernel
def _add(slope, i, j, amount):
    slope[i, j] += amount
    slope[j, i] += amount


@kernel
def _triplets_all(D, labels, s, margin, slope):
    n = D.shape[0]
    nearest = _nearest_negatives(D, labels)
    rows, limits, weights = np.empty(n, np.intp), np.empty(n), np.empty(n)
    counts, negatives = np.empty(n), np.empty(n)  # weights of negatives
    total, mass, everything, of_class = 0.0, 0.0, sum_of_range(s, 0, n), 0.0
    first, last = 0, 0
    for a in range(n):
        if a == last:
            first, last = a, last_of_class(labels, a)
            of_class = sum_of_range(s, first, last)
            for j in range(n):
                negatives[j] = s[j]
            for j in range(first, last):
                negatives[j] = 0.0
        mass += s[a] * max(of_class - min(s[a], 1.0), 0.0) * (everything - of_class)
        # Nearer positives cost nothing.
        m = _far_positives(a, first, last, nearest[a] - margin, D, s, rows, limits, weights)
        if m == 0:
            continue
        for r in range(m):
            limits[r] += margin
        if m <= _FEW:
            cost = _costs_of_few(D[a], negatives, limits, weights, m, counts, slope[a])
        else:
            _sort_by_distance(rows, limits, weights, m)
            cost = _costs_of_many(D[a], negatives, limits, weights, m, counts, slope[a])
        total += s[a] * cost
        for j in range(n):
            slope[a, j] *= -s[a] * negatives[j]
        for r in range(m):
            slope[a, rows[r]] = s[a] * weights[r] * counts[r]
    for i in range(n):
        for j in range(i):
            slope[i, j] = slope[j, i] = slope[i, j] + slope[j, i]
    return total, mass


# Both of these take an anchor's distances and the weights of its negatives, 0 for other rows, and
# return Σ_r weight_r Σ_j s_j [limit_r − d_j]₊ over m positives, at which negatives cost nothing
# from the distance limit_r on. ``counts`` gets the weight of the negatives at which a positive
# has a cost, and ``slope`` that of the positives for which a negative has one.


@kernel
def _costs_of_few(d, s, limits, weights, m, counts, slope):
    total = 0.0
    for r in range(m):
        counts[r], cost = _costs_of_one(d, s, limits[r])
        total += weights[r] * cost
        for j in range(d.shape[0]):  # a product, not a choice: that is vector code
            slope[j] += weights[r] * (1.0 if d[j] < limits[r] else 0.0)
    return total


@kernel(fastmath=REASSOCIATE)
def _costs_of_one(d, s, limit):
    count, cost = 0.0, 0.0
    for j in range(d.shape[0]):
        weight = s[j] * (1.0 if d[j] < limit else 0.0)
        count += weight
        cost += weight * (limit - d[j])
    return count, cost


@kernel
def _costs_of_many(d, s, limits, weights, m, counts, slope):
    """Of positives in order, among which negatives are looked up."""
    beyond, sums = np.zeros(m + 1), np.zeros(m)
    for r in range(m - 1, -1, -1):
        beyond[r] = beyond[r + 1] + weights[r]  # of this positive and those beyond it
        counts[r] = 0.0
    for j in range(d.shape[0]):
        if d[j] < limits[m - 1] and s[j] > 0.0:
            r = _count_below(limits, m, d[j], True)  # the first positive with a cost
            counts[r] += s[j]
            sums[r] += s[j] * d[j]
            slope[j] = beyond[r]
    total, near = 0.0, 0.0
    for r in range(m):
        counts[r] += counts[r - 1] if r > 0 else 0.0
        near += sums[r]
        total += weights[r] * (counts[r] * limits[r] - near)
    return total


@kernel
def _triplets_semihard(D, labels, s, margin, slope):
    n = D.shape[0]
    at = _nearest_negatives(D, labels)
    rows, between = np.empty(n, np.intp), np.empty(n, np.intp)
    distances, weights, beyond = np.empty(n), np.empty(n), np.empty(n)
    total, mass = 0.0, 0.0
    first, last = 0, 0
    for a in range(n):
        if a == last:
            first, last = a, last_of_class(labels, a)
        # For most positives it is the nearest negative of all.
        nearest = _place_of(D[a], at[a], first, last)
        for p in range(first, last):
            weight = s[a] * (max(s[a] - 1.0, 0.0) if p == a else s[p])
            if weight > 0.0 and D[a, p] < at[a] < np.inf:
                mass += weight
                total += _triplet(a, p, nearest, weight, D, margin, slope)
        m = _far_positives(a, first, last, at[a], D, s, rows, distances, weights)
        if m == 0:
            continue
        _sort_by_distance(rows, distances, weights, m)
        # Between a positive and the next the nearest negative.
        for r in range(m):
            between[r], beyond[r] = -1, np.inf
        for j in range(n):
            d = D[a, j]
            if d <= distances[0] or d >= beyond[m - 1] or first <= j < last:
                continue
            r = _count_below(distances, m, d, False) - 1
            if d < beyond[r]:
                between[r], beyond[r] = j, d
        j = -1
        for r in range(m - 1, -1, -1):
            j = between[r] if between[r] >= 0 else j
            if j >= 0:
                mass += s[a] * weights[r]
                total += _triplet(a, rows[r], j, s[a] * weights[r], D, margin, slope)
    return total, mass


@kernel
def _triplets_hard(D, labels, s, margin, slope):
    n = D.shape[0]
    nearest = _nearest_negatives(D, labels)
    total, mass = 0.0, 0.0
    first, last = 0, 0
    for a in range(n):
        if a == last:
            first, last = a, last_of_class(labels, a)
        farthest = -1
        for p in range(first, last):
            if (p != a or s[a] > 1.0) and (farthest < 0 or D[a, p] > D[a, farthest]):
                farthest = p
        if farthest >= 0 and nearest[a] < np.inf:
            mass += s[a]
            j = _place_of(D[a], nearest[a], first, last)
            total += _triplet(a, farthest, j, s[a], D, margin, slope)
    return total, mass


@kernel
def _triplet(a, p, j, weight, D, margin, slope):
    """Cost of the triplet (a, p, j), whose derivative is added to ``slope``."""
    excess = D[a, p] - D[a, j] + margin
    if excess <= 0.0:
        return 0.0
    _add(slope, a, p, weight)
    _add(slope, a, j, -weight)
    return weight * excess


_MINING = {"all": _triplets_all, "semihard": _triplets_semihard, "hard": _triplets_hard}
