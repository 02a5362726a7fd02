"""Runs of levels, which the merging of pairwise hinges begins with.

A *run* is one level, or several next to each other that hold a few dozen rows together. Pairs
within a run are gone through one by one, in vector code, which for so few is several times faster.
Its rows are then sorted by score.
"""

from typing import NamedTuple

import numpy as np

from sklearn_margin._jit import REASSOCIATE, kernel

__all__ = ["Runs", "find_runs", "load_runs", "merge_ranges"]

_RUN_ROWS = 32  # rows of several levels that make a run
_GROUP_ROWS = 64  # rows of a group that is one run


class Runs(NamedTuple):
    """Runs of levels, and what is remembered of their order by score."""

    level: np.ndarray  # (n_runs + 1,) first level of each run
    group: np.ndarray  # (n_groups + 1,) first run of each group
    inner: np.ndarray  # (n,) places in a run of several levels, by score


def find_runs(level_start, group_level):
    """The runs of levels that merging begins with."""
    level = np.empty(len(level_start), np.int64)
    group = np.empty(len(group_level), np.int64)
    inner = np.empty(level_start[-1], np.uint8)
    n_runs = _find_runs(level_start, group_level, level, group, inner)
    return Runs(level[: n_runs + 1].copy(), group, inner)


@kernel
def _find_runs(level_start, group_level, level, group, inner):
    n_runs = 0
    for g in range(group_level.shape[0] - 1):
        group[g] = n_runs
        first, last = group_level[g], group_level[g + 1]
        rows = level_start[last] - level_start[first]
        most = rows if rows <= _GROUP_ROWS else _RUN_ROWS
        while first < last:
            level[n_runs] = first
            n_runs += 1
            stop = first + 1
            while stop < last and level_start[stop + 1] - level_start[first] <= most:
                stop += 1
            for p in range(level_start[first], level_start[stop]):
                inner[p] = (p - level_start[first]) % 256  # of no use if the level is large
            first = stop
    group[group_level.shape[0] - 1] = n_runs
    level[n_runs] = level_start.shape[0] - 1
    return n_runs


@kernel
def merge_ranges(z, index, a, b, c, z_new, index_new):
    """Merge the sorted ranges [a, b) and [b, c); what is in its place already stays there."""
    if z[b - 1] <= z[b]:
        return
    a = _first_above(z, a, b, z[b], False)
    c = _first_above(z, b, c, z[b - 1], True)
    for p in range(a, b):  # assigning slices would take seconds to compile
        z_new[p] = z[p]
        index_new[p] = index[p]
    p, q = a, b
    for r in range(a, c):
        if p >= b:
            break
        if q >= c or z_new[p] <= z[q]:
            z[r] = z_new[p]
            index[r] = index_new[p]
            p += 1
        else:
            z[r] = z[q]
            index[r] = index[q]
            q += 1


@kernel
def _first_above(z, first, last, bound, or_equal):
    """First place in a sorted range with an entry above ``bound`` (or equal to it)."""
    while first < last:
        middle = (first + last) // 2
        if z[middle] > bound or (or_equal and z[middle] == bound):
            last = middle
        else:
            first = middle + 1
    return first


@kernel
def _sort_level(z, index, first, last, z_new, index_new):
    """Sort ``index[first:last]`` and ``z[first:last]`` by z, ascending: short runs by
    insertion, then merges."""
    run = 16
    for begin in range(first, last, run):
        for p in range(begin + 1, min(begin + run, last)):
            key, which = z[p], index[p]
            q = p
            while q > begin and z[q - 1] > key:
                z[q] = z[q - 1]
                index[q] = index[q - 1]
                q -= 1
            z[q] = key
            index[q] = which
    while run < last - first:
        for a in range(first, last - run, 2 * run):
            merge_ranges(z, index, a, a + run, min(a + 2 * run, last), z_new, index_new)
        run *= 2


@kernel(inline="always")
def load_runs(
    z, v, mean, order, y, s, t, split, level_start, run_level, inner, start, first, last, alone,
    difference, terms, product, work, sums,
):  # fmt: skip
    """Copy the scores of runs first … last − 1 of a group, and ``v`` less ``mean``; take the sums
    over pairs within each run, and sort it unless it is ``alone`` in its group."""
    for r in range(first, last):
        low, high = run_level[r], run_level[r + 1]
        a, b = level_start[low] - start, level_start[high] - start
        if high - low == 1 and not alone:
            _load_level(z, order, s, t, split, start, a, b, work)
        for p in range(a, b):
            work.result[p] = 0.0
            if product:
                work.vector[p] = v[order[start + p]] - mean
        if high - low > 1:
            for p in range(a, b):
                work.new_scores[p] = z[order[start + p]]
            levels = level_start[low : high + 1]
            labels, weights = y[start + a : start + b], s[start + a : start + b]
            others = t[start + a : start + b]
            scores, result = work.new_scores[a:b], work.result[a:b]
            if product:
                vector = work.vector[a:b]
                _product_within(
                    scores, labels, weights, others, levels, terms, difference, vector, result
                )
            else:
                _hinge_within(
                    scores, labels, weights, others, levels, terms, difference, result, sums
                )
            if not alone:
                _sort_run(a, b, inner[start + a : start + b], work)


@kernel(inline="always")
def _load_level(z, order, s, t, split, start, a, b, work):
    """Sort a level by score, ``order`` and weights with it; ``split``: t is not s itself."""
    scores, index = work.scores, work.index
    for p in range(a, b):
        index[p] = p
        scores[p] = z[order[start + p]]
    _sort_level(scores, index, a, b, work.new_scores, work.new_index)
    for p in range(a, b):
        work.new_index[p] = order[start + index[p]]
        work.new_scores[p] = s[start + index[p]]
    for p in range(a, b):
        order[start + p] = work.new_index[p]
        s[start + p] = work.new_scores[p]
    if split:
        for p in range(a, b):
            work.new_scores[p] = t[start + index[p]]
        for p in range(a, b):
            t[start + p] = work.new_scores[p]
    for p in range(a, b):
        index[p] = p


@kernel(inline="always")
def _sort_run(a, b, inner, work):
    """Sort the rows of a run by score, beginning with their order of the last time."""
    scores, index = work.scores, work.index
    for p in range(a, b):
        which = inner[p - a]
        key = work.new_scores[a + which]
        q = p
        while q > a and scores[q - 1] > key:
            scores[q] = scores[q - 1]
            index[q] = index[q - 1]
            q -= 1
        scores[q] = key
        index[q] = a + which
    for p in range(a, b):
        inner[p - a] = index[p] - a


@kernel
def _shortfall(margin, high, low):
    """By how much a score misses its margin above another. Scores meet as differences, even
    where sums may be taken in any order."""
    return margin - (high - low)


@kernel(fastmath=REASSOCIATE)
def _hinge_within(z, y, s, t, levels, terms, difference, gradient, sums):
    """As ``_hinge_above`` and ``_hinge_below`` for all terms and all pairs of a few rows."""
    unit, slant = (0.0, 1.0) if difference else (1.0, 0.0)  # no branch, no second loop
    for k in range(1, levels.shape[0] - 1):
        below = levels[k] - levels[0]
        for i in range(below, levels[k + 1] - levels[0]):
            for m in range(terms.shape[0]):
                margin, linear, square = terms[m, 0], s[i] * terms[m, 1], 2.0 * s[i] * terms[m, 2]
                total1 = total2 = slopes = 0.0
                for j in range(below):
                    over = max(_shortfall(margin, z[i], z[j]), 0.0)
                    u = t[j] * (unit + slant * (y[i] - y[j]))
                    total1 += u * over
                    total2 += u * over * over
                    slope = (u * linear if over > 0.0 else 0.0) + square * (u * over)
                    gradient[j] += slope
                    slopes += slope
                gradient[i] -= slopes
                sums[m, 0] += s[i] * total1
                sums[m, 1] += s[i] * total2


@kernel(fastmath=REASSOCIATE)
def _product_within(z, y, s, t, levels, terms, difference, v, out):
    """As ``_product_above`` and ``_product_below`` for all terms and all pairs of a few rows."""
    unit, slant = (0.0, 1.0) if difference else (1.0, 0.0)  # no branch, no second loop
    for k in range(1, levels.shape[0] - 1):
        below = levels[k] - levels[0]
        for i in range(below, levels[k + 1] - levels[0]):
            for m in range(terms.shape[0]):
                margin, factor = terms[m, 0], 2.0 * s[i] * terms[m, 2]
                total = 0.0
                for j in range(below):
                    u = t[j] * (unit + slant * (y[i] - y[j]))
                    u = u if _shortfall(margin, z[i], z[j]) > 0.0 else 0.0
                    change = factor * u * (v[i] - v[j])
                    out[j] -= change
                    total += change
                out[i] += total
