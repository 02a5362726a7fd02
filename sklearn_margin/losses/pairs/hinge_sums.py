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

Merging begins with the runs of ``hinge_runs``.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.losses.pairs.hinge_runs import load_runs, merge_ranges

__all__ = ["HingeSums"]

_PARTS = 16  # of the work on a group that threads share, at least
_SIDES = ((True, False, False), (False, True, False))  # what ``hinge_stage`` does: sums,
_MERGE_ONLY = ((False, False, True),)  # or the merge
_MERGE = 25.0  # work of merging a level with another, by row, in terms of an entry of X


@kernel
def _hinge_above(z, index, a, b, c, y, s, t, margin, linear, square, difference, gradient, sums):
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
            weight, over = t[index[j]], margin - (z[p] - z[j])
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
def _hinge_below(z, index, a, b, c, y, s, t, margin, linear, square, difference, gradient):
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
        gradient[j] += t[j] * (linear * r0 + 2.0 * square * r1)


@kernel
def _product_above(z, index, a, b, c, y, s, t, margin, factor, difference, v, out):
    """Adds factor·Σ u_ij (v_i − v_j) over the active pairs of [b, c) above [a, b) to i."""
    cut = y[b]
    q0 = q1 = t0 = t1 = 0.0
    j = b - 1
    for p in range(c - 1, b - 1, -1):
        while j >= a and margin - (z[p] - z[j]) > 0.0:
            k = index[j]
            q0 += t[k]
            q1 += t[k] * v[k]
            if difference:
                lift = t[k] * (cut - y[k])
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
def _product_below(z, index, a, b, c, y, s, t, margin, factor, difference, v, out):
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
            out[j] += factor * t[j] * ((height * q0 + t0) * v[j] - (height * q1 + t1))
        else:
            out[j] += factor * t[j] * (q0 * v[j] - q1)


class Work(NamedTuple):
    """Arrays as long as a group, by place within it, that its runs are merged in."""

    scores: np.ndarray  # in the order that merging has come to
    index: np.ndarray  # type: ignore[assignment]  # place of each of them
    new_scores: np.ndarray  # room for merging
    new_index: np.ndarray
    vector: np.ndarray  # what the Hessian is multiplied with
    result: np.ndarray


@kernel(inline="always")
def hinge_stage(
    work, y, s, t, runs, width, first, last, above, below, merge, difference, terms, product, sums
):  # fmt: skip
    """Work on merges first … last − 1 of ``width`` runs with the next ones.

    ``above``, ``below`` and ``merge`` say what is wanted: the sums for the rows of the higher part,
    for those of the lower part, and the merge itself. ``y``, ``s``, ``t`` are those of the group.
    """
    scores, index, result = work.scores, work.index, work.result
    for k in range(2 * width * first, 2 * width * last, 2 * width):
        a, b = runs[k], runs[k + width]
        c = runs[min(k + 2 * width, runs.shape[0] - 1)]
        for m in range(terms.shape[0]):
            margin, linear, square = terms[m]
            if product:
                if above:
                    _product_above(
                        scores, index, a, b, c, y, s, t, margin, 2.0 * square, difference,
                        work.vector, result,
                    )  # fmt: skip
                if below:
                    _product_below(
                        scores, index, a, b, c, y, s, t, margin, 2.0 * square, difference,
                        work.vector, result,
                    )  # fmt: skip
            else:
                if above:
                    _hinge_above(
                        scores, index, a, b, c, y, s, t, margin, linear, square, difference, result,
                        sums[m],
                    )  # fmt: skip
                if below:
                    _hinge_below(
                        scores, index, a, b, c, y, s, t, margin, linear, square, difference, result
                    )
        if merge:
            merge_ranges(scores, index, a, b, c, work.new_scores, work.new_index)


@kernel(inline="always")
def mean_by_place(v, order, first, last):
    """Mean of ``v`` over some places: only differences matter, so it can be taken out."""
    mean = 0.0
    for p in range(first, last):
        mean += v[order[p]] / (last - first)
    return mean


@kernel
def hinge_groups(
    z, v, order, y, s, t, split, level_start, run_level, group_run, inner, difference, terms,
    product, scale, out, sums, first, last, room,
):  # fmt: skip
    """Work through groups first … last − 1, run by run.

    Each row (margin, linear, square) of ``terms`` stands for linear·[margin − d]₊ +
    square·[margin − d]₊². The derivative of scale·u_ij·(their sum) goes to ``out``, and the sums
    of u_ij·[margin − d]₊ and u_ij·[margin − d]₊² to the rows of ``sums``; or, if ``product``, the
    Hessian's product with ``v`` to ``out``. One kernel for both, because Newton's method needs
    both and compiling costs seconds.

    Levels of ``order`` and ``s`` are left sorted by score. From one call to the next that hardly
    changes, so that sorting is cheap, and rows that meet lie close together in memory.
    """
    for g in range(first, last):
        begin, end = group_run[g], group_run[g + 1]
        runs = level_start[run_level[begin : end + 1]]
        start, n = runs[0], runs[-1] - runs[0]
        if level_start[run_level[begin] + 1] == start + n:  # a single level
            for p in range(start, start + n):
                out[order[p]] = 0.0
            continue
        runs -= start
        mean = mean_by_place(v, order, start, start + n) if product else 0.0
        load_runs(
            z, v, mean, order, y, s, t, split, level_start, run_level, inner, start, begin, end,
            end - begin == 1, difference, terms, product, room, sums,
        )  # fmt: skip
        labels, weights = y[start : start + n], s[start : start + n]
        others = t[start : start + n]
        width = 1
        while width < end - begin:
            n_merges = (end - begin + width - 1) // (2 * width)
            hinge_stage(
                room, labels, weights, others, runs, width, 0, n_merges, True, True,
                2 * width < end - begin, difference, terms, product, sums,
            )  # fmt: skip
            width *= 2
        for p in range(n):
            out[order[start + p]] = scale * room.result[p]


def work_arrays(size, product, result=None):
    """Arrays for groups of at most ``size`` rows."""
    return Work(
        np.empty(size), np.empty(size, np.int32), np.empty(size), np.empty(size, np.int32),
        np.empty(size if product else 0), np.empty(size) if result is None else result,
    )  # fmt: skip


class HingeSums:
    """The sum of linear·[margin − d]₊ + square·[margin − d]₊², by sorting.

    Parameters
    ----------
    *terms : (margin, linear, square)
        Each stands for one such summand.

    Attributes
    ----------
    terms : ndarray of shape (n_terms, 3)
    """

    def __init__(self, *terms):
        self.terms = np.array(terms, dtype=np.float64)

    def value_gradient(self, index, loss, z, out, run: Callable = map) -> float:
        """As ``PairIndex.value_gradient``; there must be pairs."""
        return float((self.terms[:, 1:] * self.means(index, z, out, run)).sum())

    def hessian_product(self, index, loss, z, v, out, run: Callable = map) -> None:
        """As ``PairIndex.hessian_product``; there must be pairs."""
        self._sums(index, z, v, out, run, product=True)

    def means(self, index, z, out, run: Callable = map) -> np.ndarray:
        """Weighted means over pairs by term; there must be pairs.

        Parameters
        ----------
        index : PairIndex
        z, out, run
            As in ``PairIndex.value_gradient``; ``out`` gets the derivative of the sum of all terms.

        Returns
        -------
        ndarray of shape (n_terms, 2)
            Means of [margin − d]₊ and of its square, by term, without the factors.
        """
        return self._sums(index, z, z, out, run, product=False)

    def work(self, index) -> float:
        """Work of a sum, in terms of an entry of X."""
        n_levels = np.diff(index.layout.group_level).max(initial=1)
        return _MERGE * len(index.layout.order) * np.log2(n_levels)

    def _sums(self, index, z, v, out, run, product):
        """Sums of hinges over pairs; the derivative or the Hessian product goes to ``out``."""
        if index.n_dropped:  # rows that no kernel writes
            out[:] = 0.0
        terms = self.terms
        order, y, s, t, level_start, _, difference = index.layout
        sizes = np.diff(index.group_start)

        def work(chunk):
            sums = np.zeros((len(terms), 2))
            room = work_arrays(int(sizes[slice(*chunk)].max()), product)
            hinge_groups(
                z, v, order, y, s, t, s is not t, level_start, *index.runs, difference, terms,
                product, 1.0 / index.total, out, sums, *chunk, room,
            )  # fmt: skip
            return sums

        large = [self._large_group(index, g, z, v, out, run, product) for g in index.large]
        return (sum(large) + sum(run(work, index.chunks))) / index.total  # in the order of chunks

    def _large_group(self, index, group, z, v, out, run, product):
        """As ``hinge_groups`` for one group, which threads share."""
        terms, found = self.terms, index.runs
        order, y, s, t, level_start, _, difference = index.layout
        start, stop = index.group_start[group], index.group_start[group + 1]
        begin, end = found.group[group : group + 2]
        runs, n_runs = level_start[found.level[begin : end + 1]] - start, int(end - begin)
        # What is found by place is found where it will be by row, if no other group needs that.
        room = work_arrays(stop - start, product, out if stop - start == len(out) else None)
        mean = mean_by_place(v, order, start, stop) if product else 0.0
        alone = level_start[found.level[begin] + 1] == stop  # a single level

        def load(first, last):
            sums = np.zeros((len(terms), 2))
            load_runs(
                z, v, mean, order, y, s, t, s is not t, level_start, found.level, found.inner,
                start, begin + first, begin + last, alone, difference, terms, product, room, sums,
            )  # fmt: skip
            return sums

        def stage(width, *part):
            sums = np.zeros((len(terms), 2))
            hinge_stage(
                room, y[start:stop], s[start:stop], t[start:stop], runs, width, *part, difference,
                terms, product, sums,
            )  # fmt: skip
            return sums

        total = _merged(n_runs, load, stage, run)
        np.divide(room.result, index.total, out=room.scores)
        out[order[start:stop]] = room.scores
        return total


def _merged(n_runs, load, stage, run):
    """Sums of the merge sort of a group that threads share.

    Parts of 2ᵏ runs are loaded and merged by one thread each, which keeps them in its cache; of
    merges of such parts the sums for either side are apart, and the merge follows.
    """
    size = 1 << max((n_runs // _PARTS).bit_length() - 1, 0)

    def merge_part(first):
        last = min(first + size, n_runs)
        total, width = load(first, last), 1
        while width < last - first:
            begin, n_merges = first // (2 * width), (last - first + width - 1) // (2 * width)
            total += stage(width, begin, begin + n_merges, True, True, True)
            width *= 2
        return total

    total, width = sum(run(merge_part, range(0, n_runs, size))), size
    while width < n_runs:
        merges = range((n_runs + width - 1) // (2 * width))
        for wanted in (_SIDES, _MERGE_ONLY if 2 * width < n_runs else ()):
            work = [(width, k, k + 1, *which) for k in merges for which in wanted]
            total += sum(run(lambda part: stage(*part), work))
        width *= 2
    return total
