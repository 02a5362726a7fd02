"""Sums of any loss over pairs, one pair at a time: O(pairs) time, O(n) memory.

Work is divided into ranges of positions of the better rows, of similar numbers of pairs: a large
group is shared by several threads. A better row of a range may meet worse rows before it, so a
range has an array of its own to add to, from the first row of its first group on; the arrays
are added up in order.
"""

from collections.abc import Callable

import numpy as np

from sklearn_margin._jit import kernel

__all__ = ["AnyPairs", "pair_units"]

_UNIT_PAIRS = 1 << 18  # pairs per unit of parallel work, at least
_MOST_UNITS = 32  # each has an array as long as the rows it meets
_PAIR = 5.0  # work on a pair, in terms of an entry of X


def pair_units(layout):
    """Ranges of better rows with similar numbers of pairs, of whole groups or parts of one.

    Parameters
    ----------
    layout : Layout

    Returns
    -------
    list of (int, int, int, int)
        First group, last group + 1, first position, last position + 1.
    """
    level_start, group_level = layout.level_start, layout.group_level
    starts = level_start[group_level]
    first = np.repeat(starts[:-1], np.diff(group_level))
    work = np.diff(level_start) * (level_start[:-1] - first + 1.0)
    until = np.append(0.0, np.cumsum(work))
    target = max(_UNIT_PAIRS, until[-1] / _MOST_UNITS)
    wanted = np.arange(target, until[-1], target)
    cuts = np.interp(wanted, until, level_start).astype(np.int64)
    group = np.searchsorted(starts, cuts, side="right") - 1
    small = until[group_level[group + 1]] - until[group_level[group]] <= target
    cuts = np.unique(np.r_[0, np.where(small, starts[group], cuts), starts[-1]])
    groups = np.searchsorted(starts, cuts[:-1], side="right") - 1
    ends = np.searchsorted(starts, cuts[1:], side="left")
    return list(
        zip(groups.tolist(), ends.tolist(), cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)
    )


@kernel
def _pair_sums(
    loss, z, v, order, y, s, t, level_start, group_level, difference, scale, part,
    first_group, last_group, first, last,
):  # fmt: skip
    """Sum of scale·u_ij·φ(d) over pairs whose better row is at ``first`` … ``last`` − 1.

    The derivative is added to ``part``, whose first entry is for the first row of the first group;
    ``v`` is not used.
    """
    begin = level_start[group_level[first_group]]
    scores = np.empty(last - begin)
    for p in range(begin, last):
        scores[p - begin] = z[order[p]]
    value = 0.0
    for g in range(first_group, last_group):
        start = level_start[group_level[g]]
        for k in range(group_level[g], group_level[g + 1]):
            for p in range(max(first, level_start[k]), min(last, level_start[k + 1])):
                total = 0.0
                for q in range(start, level_start[k]):
                    u = scale * s[p] * t[q]
                    if difference:
                        u *= y[p] - y[q]
                    if u != 0.0:
                        d = scores[p - begin] - scores[q - begin]
                        value += u * loss.pair_value(d)
                        slope = u * loss.pair_gradient(d)
                        total += slope
                        part[q - begin] -= slope
                part[p - begin] += total
    return value


@kernel
def _pair_product(
    loss, z, v, order, y, s, t, level_start, group_level, difference, scale, part,
    first_group, last_group, first, last,
):  # fmt: skip
    """As ``_pair_sums``, for the product of the Hessian with ``v``; returns 0."""
    begin = level_start[group_level[first_group]]
    scores, vector = np.empty(last - begin), np.empty(last - begin)
    for p in range(begin, last):
        scores[p - begin] = z[order[p]]
        vector[p - begin] = v[order[p]]
    for g in range(first_group, last_group):
        start = level_start[group_level[g]]
        for k in range(group_level[g], group_level[g + 1]):
            for p in range(max(first, level_start[k]), min(last, level_start[k + 1])):
                total = 0.0
                for q in range(start, level_start[k]):
                    u = scale * s[p] * t[q]
                    if difference:
                        u *= y[p] - y[q]
                    if u != 0.0:
                        change = u * loss.pair_hessian(scores[p - begin] - scores[q - begin])
                        change *= vector[p - begin] - vector[q - begin]
                        total += change
                        part[q - begin] -= change
                part[p - begin] += total
    return 0.0


class AnyPairs:
    """The sum of any loss over pairs, one by one."""

    def value_gradient(self, index, loss, z, out, run: Callable = map) -> float:
        """As ``PairIndex.value_gradient``; there must be pairs."""
        return self._sum(index, loss, z, z, out, run, product=False)

    def hessian_product(self, index, loss, z, v, out, run: Callable = map) -> None:
        """As ``PairIndex.hessian_product``; there must be pairs."""
        self._sum(index, loss, z, v, out, run, product=True)

    def work(self, index) -> float:
        """Work of a sum, in terms of an entry of X."""
        return _PAIR * index.n_pairs

    def _sum(self, index, loss, z, v, out, run, product):
        layout, starts = index.layout, index.group_start

        def work(unit):
            part = np.zeros(unit[3] - starts[unit[0]])
            arguments = (z, v, *layout, 1.0 / index.total, part, *unit)
            return self._unit(loss, arguments, part, product), part

        if index.n_dropped:
            out[:] = 0.0
        sums, value = np.zeros(len(layout.order)), 0.0
        for unit, (one, part) in zip(index.units, run(work, index.units), strict=True):
            value += one  # in the order of units, whatever thread was first
            sums[starts[unit[0]] : unit[3]] += part
        out[layout.order] = sums
        return float(value)

    def _unit(self, loss, arguments, part, product):
        """Sum over the pairs of a unit, the derivative (or product) of which goes to ``part``."""
        return loss._run(_pair_product if product else _pair_sums, *arguments)
