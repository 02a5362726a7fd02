"""The pairs of a ranking problem, and sums over them without ever listing them.

Rows are sorted by group and, within a group, by label. Rows of one group with one label
form a *level*. The rows better than a row of its group are those of higher levels.

How a sum is taken depends on the loss, which names it: ``hinge_sums`` sorts, ``logistic_sums``
saves exponentials, and ``any_pairs`` goes through the pairs one by one.
"""

import itertools
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.losses.pairs.any_pairs import pair_units
from sklearn_margin.losses.pairs.hinge_runs import find_runs

__all__ = ["PairIndex"]

_CHUNK_ROWS = 16_384  # rows per unit of parallel work
_LARGE_ROWS = 2 * _CHUNK_ROWS  # of a group that threads share


class _Layout(NamedTuple):
    """Rows sorted by group and label; what the kernels read.

    Sums of hinges leave the rows of each level, and their weights, sorted by score: from one score
    vector to the next that hardly changes, so that sorting is cheap.
    """

    order: np.ndarray  # (n,) row of each position
    y: np.ndarray  # (n,) label by position
    s: np.ndarray  # (n,) weight by position, of the better row of a pair
    t: np.ndarray  # (n,) and of the worse one; ``s`` itself if they are the same
    level_start: np.ndarray  # (n_levels + 1,) first position of each level
    group_level: np.ndarray  # (n_groups + 1,) first level of each group
    difference: bool  # weight of a pair: label difference, or 1


class PairIndex:
    """Ordered pairs of rows within groups.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels; a pair is (i, j) with y_i > y_j.
    groups : ndarray of int of shape (n,) or None
        Group of each row; None is one group.
    sample_weight : ndarray of shape (n,)
        Non-negative weights.
    weighting : {"uniform", "difference"}
        Weight of a pair before the sample weights: 1 or y_i − y_j.
    sides : tuple of (ndarray or None, ndarray or None), default=(None, None)
        Factors, not negative, of the weight that a row has as the better one of a pair, and as the
        worse one.
    alone : bool, default=True
        Whether these are all pairs, so that a common factor of their weights means nothing.

    Attributes
    ----------
    n_pairs : int
        Number of pairs.
    total : float
        Sum of the weights of all pairs; by a common factor another where they are extreme. Where
        these are some of all pairs, that of all may be set.
    own_total : float
        Sum of the weights of these pairs.
    chunks : list of (int, int)
        Ranges of groups, of similar numbers of rows, that can be worked on in parallel.
    large : list of int
        Groups in no chunk, too large for one thread.
    """

    def __init__(self, y, groups, sample_weight, weighting, alone=True, sides=(None, None)):
        if groups is None:
            codes, order = np.zeros(len(y), dtype=np.int8), _by_label(y)
        else:
            codes, order = groups, np.lexsort((y, groups))
        order = order.astype(np.int32 if len(y) < 2**31 else np.int64)
        self.n_dropped = len(y) - np.count_nonzero(sample_weight)
        if self.n_dropped:  # a row of weight 0 forms no pair
            order = order[sample_weight[order] > 0]
        n = len(order)
        y, codes = y[order].astype(np.float64, copy=False), codes[order]
        new_group = np.ones(n, dtype=bool)
        new_group[1:] = codes[1:] != codes[:-1]
        new_level = new_group.copy()
        new_level[1:] |= y[1:] != y[:-1]
        level_start = np.append(np.flatnonzero(new_level), n)
        group_level = np.append(np.flatnonzero(new_group[level_start[:-1]]), len(level_start) - 1)
        s = sample_weight[order].astype(np.float64, copy=False)
        if alone and n and not (s.min() > 1e-75 and s.max() < 1e75):
            s *= _units_of_pairs(s, level_start, group_level)
        better, worse = (None if side is None else s * side[order] for side in sides)
        t = s if worse is None else worse
        if better is not None:
            s = better
        self.layout = _Layout(order, y, s, t, level_start, group_level, weighting == "difference")
        self.group_start = level_start[group_level]
        self.own_total, self.n_pairs = _count(*self.layout[1:])
        self.total = self.own_total
        # Each chunk ends before the group in which the next multiple of a chunk's size falls.
        self.large = np.flatnonzero(np.diff(self.group_start) >= _LARGE_ROWS).tolist()
        ends = np.searchsorted(self.group_start, np.arange(_CHUNK_ROWS, n, _CHUNK_ROWS))
        large = np.append(self.large, np.add(self.large, 1))
        bounds = np.unique(np.r_[0, ends, large, len(self.group_start) - 1]).astype(int)
        chunks = itertools.pairwise(bounds.tolist())
        self.chunks = [chunk for chunk in chunks if chunk[0] not in self.large]

    @cached_property
    def units(self):
        """Ranges of better rows, for sums pair by pair; see ``pair_units``."""
        return pair_units(self.layout)

    @cached_property
    def runs(self):
        """Runs of levels, for sums of hinges; see ``find_runs``."""
        return find_runs(self.layout.level_start, self.layout.group_level)

    @property
    def positions(self):
        """The positions of worse rows of each row: what a stochastic solver draws pairs from.

        Returns
        -------
        first : ndarray of int of shape (n,)
            By position: the first one of its group, where worse rows begin.
        n_worse : ndarray of int of shape (n,)
            By position: how many rows are worse, of that one on.
        """
        starts, levels = self.group_start, self.layout.level_start
        group_sizes = np.diff(starts)
        first = np.repeat(starts[:-1], group_sizes)
        level = np.repeat(levels[:-1], np.diff(levels))
        return first, level - first

    def listed(self):
        """Every pair, where there are few.

        Returns
        -------
        better, worse : ndarray of int of shape (n_pairs,)
            Rows.
        weight : ndarray of shape (n_pairs,)
            Weights; those of all pairs add up to ``total``.
        """
        first, worse = self.positions
        better = np.repeat(np.arange(len(worse)), worse)
        before = np.cumsum(worse) - worse
        other = np.arange(len(better)) - np.repeat(before - first, worse)
        weight = self.layout.s[better] * self.layout.t[other]
        if self.layout.difference:
            weight *= self.layout.y[better] - self.layout.y[other]
        if len(weight) > self.n_pairs:  # some rows have no weight on one side
            better, other, weight = (a[weight > 0] for a in (better, other, weight))
        return self.layout.order[better], self.layout.order[other], weight

    def value_gradient(self, loss, z, out, run: Callable = map) -> float:
        """Weighted mean of the loss over pairs; its derivative goes to ``out``.

        Parameters
        ----------
        loss : PairwiseLoss
        z : ndarray of shape (n,)
            Scores by row.
        out : ndarray of float64 of shape (n,)
            Derivative by row.
        run : callable, default=map
            ``run(function, chunks)``; pass a thread pool's ``map`` to use threads.

        Returns
        -------
        float
        """
        if self.n_pairs == 0 or self.total == 0:
            out[:] = 0.0
            return 0.0
        return loss.summation.value_gradient(self, loss, z, out, run)

    def hessian_product(self, loss, z, v, out, run: Callable = map) -> None:
        """Product of the Hessian of ``value`` at scores ``z`` with ``v``, into ``out``."""
        if self.n_pairs == 0 or self.total == 0:
            out[:] = 0.0
        else:
            loss.summation.hessian_product(self, loss, z, v, out, run)


def _by_label(y):
    """Rows by label, those of one label in their order."""
    if len(np.unique(y[:_SOME])) == len(y[:_SOME]):
        order = np.argsort(y)  # several times faster, and the same if no label is there twice
        if (np.diff(y[order]) > 0).all():
            return order
    return np.argsort(y, kind="stable")


_SOME = 1000


def _units_of_pairs(s, level_start, group_level):
    """Factors of the weights of rows that keep products of weights in the floating-point range.

    A common factor means nothing, but products of tiny weights vanish: heavy rows that form no
    pairs, of which the factor is 0, must not take the others out of the range. Where the heaviest
    pair is far from one, its weight becomes one.
    """
    levels, sizes = np.maximum.reduceat(s, level_start[:-1]), np.diff(group_level)
    first = np.maximum.reduceat(levels, group_level[:-1])
    top = np.flatnonzero(levels == np.repeat(first, sizes))
    _, once = np.unique(np.repeat(np.arange(len(sizes)), sizes)[top], return_index=True)
    levels[top[once]] = 0.0
    second = np.maximum.reduceat(levels, group_level[:-1])
    largest = float((np.sqrt(first) * np.sqrt(second)).max())
    if _IN_RANGE[0] < largest < _IN_RANGE[1]:
        return 1.0
    factor = np.where(second > 0, 1.0 / max(largest, np.finfo(np.float64).tiny), 0.0)
    return np.repeat(np.repeat(factor, sizes), np.diff(level_start))


_IN_RANGE = (1e-30, 1e30)  # of the square root of a pair's weight


@kernel
def _count(y, s, t, level_start, group_level, difference):
    """Total weight and number of pairs."""
    total = 0.0
    n_pairs = 0
    for g in range(group_level.shape[0] - 1):
        first = level_start[group_level[g]]
        weight = 0.0  # of the rows in lower levels
        n_lower = 0  # how many have one
        lift = 0.0  # sum of their weight times (label of this level − their label)
        label = y[first]
        for k in range(group_level[g], group_level[g + 1]):
            here = below = 0.0
            n_here = n_below = 0
            for p in range(level_start[k], level_start[k + 1]):
                here += s[p]
                below += t[p]
                n_here += s[p] > 0.0
                n_below += t[p] > 0.0
            lift += weight * (y[level_start[k]] - label)
            label = y[level_start[k]]
            total += here * (lift if difference else weight)
            n_pairs += n_here * n_lower
            weight += below
            n_lower += n_below
    return total, n_pairs
