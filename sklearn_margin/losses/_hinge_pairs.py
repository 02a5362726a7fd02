"""Sums of hinges over pairs in O(n log n).

The sum over pairs is a merge sort: levels are merged two at a time, each side sorted by
score, and while a lower part L meets a higher part H two sweeps add up all pairs between
them. For i ∈ H and φ(d) = [m − d]₊², say,

    Σ_{j∈L} u_ij [m − z_i + z_j]₊² = s_i [(y_i − c) Q₂(a) + T₂(a)],    a = z_i − m,
    Q_k(a) = Σ_{j: z_j > a} s_j (z_j − a)^k,   T_k(a) = Σ_{j: z_j > a} s_j (c − y_j) (z_j − a)^k,

with c a label between the two parts. As z_i falls, so does a, and Q_k, T_k are carried
from one a to the next by additions of non-negative terms only: there is no cancellation,
whatever the offset of the scores or labels. The cost is O(n log n) per group; Airola,
Pahikkala & Salakoski (2011) and Lee & Lin (2014) reach it with search trees.
"""

from typing import NamedTuple

import numpy as np

from sklearn_margin._jit import kernel

__all__ = ["Work", "hinge_groups", "hinge_stage", "load_levels", "mean_by_place", "work_arrays"]


@kernel
def _merge(z, index, a, b, c, z_new, index_new):
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
            _merge(z, index, a, a + run, min(a + 2 * run, last), z_new, index_new)
        run *= 2


@kernel
def _hinge_above(z, index, a, b, c, y, s, margin, linear, square, difference, gradient, sums):
    """Adds the sums of [margin − d]₊ and its square over pairs of [b, c) above [a, b) to ``sums``,
    and the gradient of linear·[margin − d]₊ + square·[margin − d]₊² by [b, c) to ``gradient``."""
    total1 = total2 = 0.0
    cut = y[b]  # the least label of the upper part
    # Higher rows i from the highest score down; all scores meet as differences only.
    q0 = q1 = q2 = t0 = t1 = t2 = 0.0
    j = b - 1
    for p in range(c - 1, b - 1, -1):
        if q0 > 0.0:
            step = z[p + 1] - z[p]
            q2 += step * (2.0 * q1 + step * q0)
            t2 += step * (2.0 * t1 + step * t0)
            q1 += step * q0
            t1 += step * t0
        while j >= a and margin - (z[p] - z[j]) > 0.0:
            weight, over = s[index[j]], margin - (z[p] - z[j])
            q0 += weight
            q1 += weight * over
            q2 += weight * over * over
            if difference:
                lift = weight * (cut - y[index[j]])
                t0 += lift
                t1 += lift * over
                t2 += lift * over * over
            j -= 1
        i = index[p]
        if difference:
            height = y[i] - cut
            r0, r1, r2 = height * q0 + t0, height * q1 + t1, height * q2 + t2
        else:
            r0, r1, r2 = q0, q1, q2
        total1 += s[i] * r1
        total2 += s[i] * r2
        gradient[i] -= s[i] * (linear * r0 + 2.0 * square * r1)
    sums[0] += total1
    sums[1] += total2


@kernel
def _hinge_below(z, index, a, b, c, y, s, margin, linear, square, difference, gradient):
    """As ``_hinge_above`` for the gradient by [a, b)."""
    cut = y[b]
    # Lower rows j from the lowest score up.
    q0 = q1 = t0 = t1 = 0.0
    i = b
    for p in range(a, b):
        if q0 > 0.0:
            step = z[p] - z[p - 1]
            q1 += step * q0
            t1 += step * t0
        while i < c and margin - (z[i] - z[p]) > 0.0:
            weight, over = s[index[i]], margin - (z[i] - z[p])
            q0 += weight
            q1 += weight * over
            if difference:
                lift = weight * (y[index[i]] - cut)
                t0 += lift
                t1 += lift * over
            i += 1
        j = index[p]
        if difference:
            height = cut - y[j]
            r0, r1 = height * q0 + t0, height * q1 + t1
        else:
            r0, r1 = q0, q1
        gradient[j] += s[j] * (linear * r0 + 2.0 * square * r1)


@kernel
def _product_above(z, index, a, b, c, y, s, margin, factor, difference, v, out):
    """Adds factor·Σ u_ij (v_i − v_j) over the active pairs of [b, c) above [a, b) to i."""
    cut = y[b]
    q0 = q1 = t0 = t1 = 0.0
    j = b - 1
    for p in range(c - 1, b - 1, -1):
        while j >= a and margin - (z[p] - z[j]) > 0.0:
            k = index[j]
            q0 += s[k]
            q1 += s[k] * v[k]
            if difference:
                lift = s[k] * (cut - y[k])
                t0 += lift
                t1 += lift * v[k]
            j -= 1
        i = index[p]
        if difference:
            height = y[i] - cut
            out[i] += factor * s[i] * ((height * q0 + t0) * v[i] - (height * q1 + t1))
        else:
            out[i] += factor * s[i] * (q0 * v[i] - q1)


@kernel
def _product_below(z, index, a, b, c, y, s, margin, factor, difference, v, out):
    """As ``_product_above``, minus the sum to j."""
    cut = y[b]
    q0 = q1 = t0 = t1 = 0.0
    i = b
    for p in range(a, b):
        while i < c and margin - (z[i] - z[p]) > 0.0:
            k = index[i]
            q0 += s[k]
            q1 += s[k] * v[k]
            if difference:
                lift = s[k] * (y[k] - cut)
                t0 += lift
                t1 += lift * v[k]
            i += 1
        j = index[p]
        if difference:
            height = cut - y[j]
            out[j] += factor * s[j] * ((height * q0 + t0) * v[j] - (height * q1 + t1))
        else:
            out[j] += factor * s[j] * (q0 * v[j] - q1)


class Work(NamedTuple):
    """Arrays as long as a group, by place within it, that its levels are merged in."""

    scores: np.ndarray  # in the order that merging has come to
    index: np.ndarray  # place of each of them
    new_scores: np.ndarray  # room for merging
    new_index: np.ndarray
    vector: np.ndarray  # what the Hessian is multiplied with
    result: np.ndarray


@kernel
def hinge_stage(
    work, y, s, levels, width, first, last, above, below, merge, difference, terms, product, sums
):  # fmt: skip
    """Work on merges first … last − 1 of runs of ``width`` levels with the next run.

    ``above``, ``below`` and ``merge`` say what is wanted: the sums for the rows of the higher run,
    for those of the lower run, and the merge itself. ``y`` and ``s`` are those of the group.
    """
    scores, index, result = work.scores, work.index, work.result
    for k in range(2 * width * first, 2 * width * last, 2 * width):
        a, b = levels[k], levels[k + width]
        c = levels[min(k + 2 * width, levels.shape[0] - 1)]
        for t in range(terms.shape[0]):
            margin, linear, square = terms[t]
            if product:
                if above:
                    _product_above(
                        scores, index, a, b, c, y, s, margin, 2.0 * square, difference,
                        work.vector, result,
                    )  # fmt: skip
                if below:
                    _product_below(
                        scores, index, a, b, c, y, s, margin, 2.0 * square, difference,
                        work.vector, result,
                    )  # fmt: skip
            else:
                if above:
                    _hinge_above(
                        scores, index, a, b, c, y, s, margin, linear, square, difference, result,
                        sums[t],
                    )  # fmt: skip
                if below:
                    _hinge_below(
                        scores, index, a, b, c, y, s, margin, linear, square, difference, result
                    )
        if merge:
            _merge(scores, index, a, b, c, work.new_scores, work.new_index)


@kernel
def load_levels(z, v, mean, order, s, start, levels, first, last, product, work):
    """Copy the scores of levels first … last − 1 of a group and sort each, ``order`` and ``s`` with
    them; copy ``v`` less ``mean`` in that order."""
    scores, index = work.scores, work.index
    for k in range(first, last):
        for p in range(levels[k], levels[k + 1]):
            index[p] = p
            scores[p] = z[order[start + p]]
        _sort_level(scores, index, levels[k], levels[k + 1], work.new_scores, work.new_index)
    for p in range(levels[first], levels[last]):
        work.new_index[p] = order[start + index[p]]
        work.new_scores[p] = s[start + index[p]]
    for p in range(levels[first], levels[last]):
        order[start + p] = work.new_index[p]
        s[start + p] = work.new_scores[p]
        index[p] = p
        work.result[p] = 0.0
        if product:
            work.vector[p] = v[order[start + p]] - mean


@kernel
def mean_by_place(v, order, first, last):
    """Mean of ``v`` over some places: only differences matter, so it can be taken out."""
    mean = 0.0
    for p in range(first, last):
        mean += v[order[p]] / (last - first)
    return mean


@kernel
def hinge_groups(
    z, v, order, y, s, level_start, group_level, difference, terms, product, scale, out, sums,
    first, last, room,
):  # fmt: skip
    """Work through groups first … last − 1, level by level.

    Each row (margin, linear, square) of ``terms`` stands for linear·[margin − d]₊ +
    square·[margin − d]₊². The derivative of scale·u_ij·(their sum) goes to ``out``, and the sums
    of u_ij·[margin − d]₊ and u_ij·[margin − d]₊² to the rows of ``sums``; or, if ``product``, the
    Hessian's product with ``v`` to ``out``. One kernel for both, because Newton's method needs
    both and compiling costs seconds.

    Each level of ``order`` and ``s`` is left sorted by score. From one call to the next that
    hardly changes, so that sorting is cheap, and rows that meet lie close together in memory.
    """
    for g in range(first, last):
        levels = level_start[group_level[g] : group_level[g + 1] + 1]
        start, n_levels = levels[0], levels.shape[0] - 1
        if n_levels == 1:
            for p in range(start, levels[1]):
                out[order[p]] = 0.0
            continue
        levels = levels - start
        n = levels[n_levels]
        mean = mean_by_place(v, order, start, start + n) if product else 0.0
        load_levels(z, v, mean, order, s, start, levels, 0, n_levels, product, room)
        labels, weights = y[start : start + n], s[start : start + n]
        width = 1
        while width < n_levels:
            n_merges = (n_levels + width - 1) // (2 * width)
            hinge_stage(
                room, labels, weights, levels, width, 0, n_merges, True, True,
                2 * width < n_levels, difference, terms, product, sums,
            )  # fmt: skip
            width *= 2
        for p in range(n):
            out[order[start + p]] = scale * room.result[p]


def work_arrays(size, product):
    """Arrays for groups of at most ``size`` rows."""
    return Work(
        np.empty(size), np.empty(size, np.int32), np.empty(size), np.empty(size, np.int32),
        np.empty(size if product else 0), np.empty(size),
    )  # fmt: skip
