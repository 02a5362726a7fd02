"""The pairs of a ranking problem, and sums over them without ever listing them.

Rows are sorted by group and, within a group, by label. Rows of one group with one label
form a *level*. The rows better than a row of its
group are those of higher levels.

How the sum is taken depends on the loss: ``_hinge_pairs`` sorts, ``_logistic_pairs`` saves
exponentials, and ``_any_pairs`` goes through the pairs one by one.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.losses.pairs.any_pairs import pair_product, pair_sums, pair_units
from sklearn_margin.losses.pairs.hinge_runs import find_runs, load_runs
from sklearn_margin.losses.pairs.hinge_sums import (
    hinge_groups,
    hinge_stage,
    mean_by_place,
    work_arrays,
)
from sklearn_margin.losses.pairs.logistic_sums import logistic_product, logistic_sums

__all__ = ["PairIndex"]

_CHUNK_ROWS = 16_384  # rows per unit of parallel work
_LARGE_ROWS = 4 * _CHUNK_ROWS  # of a group that threads share
_PARTS = 16  # of the work on such a group


class _Layout(NamedTuple):
    """Rows sorted by group and label; what the kernels read.

    Sums of hinges leave the rows of each level, and their weights, sorted by score: from one score
    vector to the next that hardly changes, so that sorting is cheap.
    """

    order: np.ndarray  # (n,) row of each position
    y: np.ndarray  # (n,) label by position
    s: np.ndarray  # (n,) weight by position
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

    Attributes
    ----------
    n_pairs : int
        Number of pairs.
    total : float
        Sum of the weights of all pairs; by a common factor another where they are extreme.
    chunks : list of (int, int)
        Ranges of groups, of similar numbers of rows, that can be worked on in parallel.
    large : list of int
        Groups in no chunk, too large for one thread.
    """

    def __init__(self, y, groups, sample_weight, weighting):
        if groups is None:
            codes, order = np.zeros(len(y), dtype=np.int8), np.argsort(y, kind="stable")
        else:
            codes, order = groups, np.lexsort((y, groups))
        order = order.astype(np.int32 if len(y) < 2**31 else np.int64)
        self.n_dropped = len(y) - np.count_nonzero(sample_weight)
        if self.n_dropped:  # a row of weight 0 forms no pair
            order = order[sample_weight[order] > 0]
        n = len(order)
        y, codes = y[order].astype(np.float64), codes[order]
        new_group = np.ones(n, dtype=bool)
        new_group[1:] = codes[1:] != codes[:-1]
        new_level = new_group.copy()
        new_level[1:] |= y[1:] != y[:-1]
        level_start = np.append(np.flatnonzero(new_level), n)
        group_level = np.append(np.flatnonzero(new_group[level_start[:-1]]), len(level_start) - 1)
        s = sample_weight[order].astype(np.float64)
        if n and not (s.min() > 1e-75 and s.max() < 1e75):
            s *= _units_of_pairs(s, level_start, group_level)
        self.layout = _Layout(order, y, s, level_start, group_level, weighting == "difference")
        self.group_start = level_start[group_level]
        self.total, self.n_pairs = _count(*self.layout[1:])
        # Each chunk ends before the group in which the next multiple of a chunk's size falls.
        self.large = np.flatnonzero(np.diff(self.group_start) >= _LARGE_ROWS).tolist()
        ends = np.searchsorted(self.group_start, np.arange(_CHUNK_ROWS, n, _CHUNK_ROWS))
        large = np.append(self.large, np.add(self.large, 1))
        bounds = np.unique(np.r_[0, ends, large, len(self.group_start) - 1]).astype(int)
        chunks = itertools.pairwise(bounds.tolist())
        self.chunks = [chunk for chunk in chunks if chunk[0] not in self.large]
        self._units = self._runs = None  # made when a loss needs them

    @property
    def positions(self):
        """First worse position, number of worse positions and position of each row that is
        the better one of some pair: what a stochastic solver draws pairs from."""
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
        weight = self.layout.s[better] * self.layout.s[other]
        if self.layout.difference:
            weight *= self.layout.y[better] - self.layout.y[other]
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
        if self.total == 0:
            out[:] = 0.0
            return 0.0
        if loss.hinge_terms:
            terms = np.array(loss.hinge_terms, dtype=np.float64)
            sums = self.hinge_sums(terms, z, out, run)
            return float((terms[:, 1:] * sums).sum())
        return self._pair_by_pair(loss, z, z, out, run, product=False)

    def hessian_product(self, loss, z, v, out, run: Callable = map) -> None:
        """Product of the Hessian of ``value`` at scores ``z`` with ``v``, into ``out``."""
        if self.total == 0:
            out[:] = 0.0
            return
        if loss.hinge_terms:
            terms = np.array(loss.hinge_terms, dtype=np.float64)
            self._hinges(terms, z, v, out, run, product=True)
        else:
            self._pair_by_pair(loss, z, v, out, run, product=True)

    def hinge_sums(self, terms, z, out, run: Callable = map) -> np.ndarray:
        """Weighted means over pairs of several hinges at once; there must be pairs.

        Parameters
        ----------
        terms : ndarray of shape (n_terms, 3)
            Each row (margin, linear, square) is linear·[margin − d]₊ + square·[margin − d]₊².
        z, out, run
            As in ``value_gradient``; ``out`` gets the derivative of the sum of all terms.

        Returns
        -------
        ndarray of shape (n_terms, 2)
            Means of [margin − d]₊ and of its square, by term, without the factors.
        """
        return self._hinges(terms, z, z, out, run, product=False)

    def _hinges(self, terms, z, v, out, run, product):
        """Sums of hinges over pairs; the derivative or the Hessian product goes to ``out``."""
        if self.n_dropped:  # rows that no kernel writes
            out[:] = 0.0
        if self._runs is None:
            self._runs = find_runs(self.layout.level_start, self.layout.group_level)
        order, y, s, level_start, _, difference = self.layout
        sizes = np.diff(self.group_start)

        def work(chunk):
            sums = np.zeros((len(terms), 2))
            room = work_arrays(int(sizes[slice(*chunk)].max()), product)
            hinge_groups(
                z, v, order, y, s, level_start, *self._runs, difference, terms, product,
                1.0 / self.total, out, sums, *chunk, room,
            )  # fmt: skip
            return sums

        large = [self._large_group(g, terms, z, v, out, run, product) for g in self.large]
        return (sum(large) + sum(run(work, self.chunks))) / self.total  # in the order of chunks

    def _large_group(self, group, terms, z, v, out, run, product):
        """As ``hinge_groups`` for one group, which threads share."""
        order, y, s, level_start, _, difference = self.layout
        start, stop = self.group_start[group], self.group_start[group + 1]
        begin, end = self._runs.group[group : group + 2]
        runs, n_runs = level_start[self._runs.level[begin : end + 1]] - start, end - begin
        room = work_arrays(stop - start, product)
        mean = mean_by_place(v, order, start, stop) if product else 0.0
        alone = level_start[self._runs.level[begin] + 1] == stop  # a single level

        def load(part):
            sums = np.zeros((len(terms), 2))
            load_runs(
                z, v, mean, order, y, s, level_start, self._runs.level, self._runs.inner, start,
                *part, alone, difference, terms, product, room, sums,
            )  # fmt: skip
            return sums

        def stage(part):
            sums = np.zeros((len(terms), 2))
            hinge_stage(
                room, y[start:stop], s[start:stop], runs, width, *part, difference, terms,
                product, sums,
            )  # fmt: skip
            return sums

        cuts = np.unique(np.searchsorted(runs, np.linspace(0, stop - start, _PARTS + 1)))
        total = sum(run(load, itertools.pairwise((begin + cuts).tolist())))
        width = 1
        while width < n_runs:
            n_merges = (n_runs + width - 1) // (2 * width)
            cuts = np.unique(np.linspace(0, n_merges, min(_PARTS, n_merges) + 1).astype(int))
            parts = list(itertools.pairwise(cuts.tolist()))
            sides = [(True, False, False), (False, True, False)]
            total += sum(run(stage, [(*part, *side) for part in parts for side in sides]))
            if 2 * width < n_runs:
                list(run(stage, [(*part, False, False, True) for part in parts]))
            width *= 2
        np.divide(room.result, self.total, out=room.result)
        out[order[start:stop]] = room.result
        return total

    def _pair_by_pair(self, loss, z, v, out, run, product):
        """Sum over all pairs of any loss."""
        if self._units is None:
            self._units = pair_units(self.layout)
        general = pair_product if product else pair_sums
        fast = logistic_product if product else logistic_sums

        def work(unit):
            begin, end = self.group_start[unit[0]], unit[3]
            part = np.zeros(end - begin)
            arguments = (z, v, *self.layout, 1.0 / self.total, part, *unit)
            value = fast(*arguments) if loss.is_logistic else np.nan
            if np.isnan(value):
                part[:] = 0.0
                value = loss._run(general, *arguments)
            return value, part

        if self.n_dropped:
            out[:] = 0.0
        sums, value = np.zeros(len(self.layout.order)), 0.0
        for unit, (one, part) in zip(self._units, run(work, self._units), strict=True):
            value += one  # in the order of units, whatever thread was first
            sums[self.group_start[unit[0]] : unit[3]] += part
        out[self.layout.order] = sums
        return float(value)


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
def _count(y, s, level_start, group_level, difference):
    """Total weight and number of pairs."""
    total = 0.0
    n_pairs = 0
    for g in range(group_level.shape[0] - 1):
        first = level_start[group_level[g]]
        weight = 0.0  # of the rows in lower levels
        lift = 0.0  # sum of their weight times (label of this level − their label)
        label = y[first]
        for k in range(group_level[g], group_level[g + 1]):
            here = 0.0
            for p in range(level_start[k], level_start[k + 1]):
                here += s[p]
            lift += weight * (y[level_start[k]] - label)
            label = y[level_start[k]]
            total += here * (lift if difference else weight)
            n_pairs += (level_start[k + 1] - level_start[k]) * (level_start[k] - first)
            weight += here
    return total, n_pairs
