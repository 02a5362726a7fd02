"""Sums of log(1 + e^(−d)) over pairs with one exponential per row instead of one per pair.

Since e^(−d) = e^(c − z_i) · e^(z_j − c), what remains of a pair are a product and a division,
which compilers turn into vector instructions. And since weights are equal in long runs of
rows, Σ log(1 + e_k) = log(1 + x) with 1 + x = Π (1 + e_k), of many pairs at once:
x ← x + e_k (1 + x) adds non-negative terms only, so that small e_k are not lost beside the 1.

This needs scores within about 600 of each other in a group; where they are not, pairs are
summed one by one as for any other loss.
"""

import math

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.losses._exp import sum_of_range
from sklearn_margin.losses.pairs.any_pairs import AnyPairs

__all__ = ["LogisticSums"]

_LANES = 8  # products that grow side by side
_REACH = 300.0  # furthest score from the centre of its group


@kernel
def _exponentials(z, order, start, stop, falling, rising):
    """e^(c − z) and e^(z − c) of a group; whether its scores are close enough for that."""
    low = high = z[order[start]]
    for p in range(start, stop):
        low, high = min(low, z[order[p]]), max(high, z[order[p]])
    centre = 0.5 * low + 0.5 * high
    if not max(high - centre, centre - low) <= _REACH:
        return False
    for p in range(start, stop):
        falling[p - start] = math.exp(centre - z[order[p]])
        rising[p - start] = math.exp(z[order[p]] - centre)
    return True


# A loop that writes has vector code only for arrays that lie well apart. If it summed, too, the sum
# would be rounded by where they lie. So what is summed is written first.


@kernel
def _add_gradient(a, rising, weight, own, n, part, terms):
    """Adds own·u·σ(−d) over the first n rows to ``part``; returns the sum of u·σ(−d)."""
    for q in range(n):
        e = a * rising[q]
        terms[q] = weight[q] * (e / (1.0 + e))
    for q in range(n):
        part[q] += own * terms[q]
    return sum_of_range(terms, 0, n)


@kernel
def _add_product(a, rising, weight, own, n, v, vector, part, terms):
    """As ``_add_gradient`` for the Hessian's product with a vector, subtracted from ``part``."""
    for q in range(n):
        e = a * rising[q]
        over = 1.0 / (1.0 + e)
        terms[q] = weight[q] * e * over * over * (v - vector[q])
    for q in range(n):
        part[q] -= own * terms[q]
    return sum_of_range(terms, 0, n)


@kernel
def _sum_of_logs(a, rising, first, last, capacity, lanes):
    """Sum of log(1 + a·rising) over a range, one logarithm for ``capacity`` of them."""
    total = 0.0
    for begin in range(first, last, capacity):
        end = min(begin + capacity, last)
        full = end - (end - begin) % _LANES
        for k in range(_LANES):
            lanes[k] = 0.0
        for r in range(begin, full, _LANES):
            for k in range(_LANES):
                lanes[k] += a * rising[r + k] * (1.0 + lanes[k])
        x = 0.0
        for q in range(full, end):
            x += a * rising[q] * (1.0 + x)
        for k in range(_LANES):
            x += lanes[k] * (1.0 + x)
        total += math.log1p(x)
    return total


@kernel
def _row_value(a, rising, weight, n, runs, n_runs, highest, lanes):
    """Sum of u·log(1 + a·rising) over the first n rows, whose weights are equal within runs."""
    total = 0.0
    if 4 * n_runs > n:
        for q in range(n):
            total += weight[q] * math.log1p(a * rising[q])
        return total
    # A product of so many factors stays below 1e300.
    capacity = int(690.0 / max(math.log1p(a * highest), 1e-3))
    for r in range(n_runs):
        first, last = runs[r], runs[r + 1] if r + 1 < n_runs else n
        total += weight[first] * _sum_of_logs(a, rising, first, last, capacity, lanes)
    return total


@kernel
def _weigh(y, t, k, level_start, start, difference, weight, runs):
    """Weights of the rows below level k beside one of its rows; where runs of equal ones begin."""
    n_runs = 0
    label = y[level_start[k]]
    for q in range(start, level_start[k]):
        weight[q - start] = t[q] * (label - y[q]) if difference else t[q]
        if q == start or weight[q - start] != weight[q - start - 1]:
            runs[n_runs] = q - start
            n_runs += 1
    return n_runs


@kernel
def _logistic_range(
    z, v, order, y, s, t, level_start, group_level, difference, scale, part,
    first_group, last_group, first, last, product,
):  # fmt: skip
    """As ``_pair_sums`` of ``any_pairs``, or ``_pair_product`` if ``product``; NaN where scores are
    too far apart."""
    begin = level_start[group_level[first_group]]
    n = last - begin
    falling, rising, weight, vector = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    runs, lanes, terms = np.empty(n, np.int64), np.empty(_LANES), np.empty(n)
    value = 0.0
    for g in range(first_group, last_group):
        start = level_start[group_level[g]]
        stop = min(last, level_start[group_level[g + 1]])
        if not _exponentials(z, order, start, stop, falling, rising):
            return np.nan
        here = part[start - begin : stop - begin]
        if product:
            for p in range(start, stop):
                vector[p - start] = v[order[p]]
        highest = rising[0]
        for p in range(start, stop):
            highest = max(highest, rising[p - start])
        for k in range(group_level[g] + 1, group_level[g + 1]):
            if level_start[k] >= last or level_start[k + 1] <= first:
                continue
            n_runs = _weigh(y, t, k, level_start, start, difference, weight, runs)
            n = level_start[k] - start
            for p in range(max(first, level_start[k]), min(last, level_start[k + 1])):
                a, own = falling[p - start], scale * s[p]
                if product:
                    w = vector[p - start]
                    total = _add_product(a, rising, weight, own, n, w, vector, here, terms)
                    here[p - start] += own * total
                else:
                    value += own * _row_value(a, rising, weight, n, runs, n_runs, highest, lanes)
                    here[p - start] -= own * _add_gradient(a, rising, weight, own, n, here, terms)
    return value


@kernel
def _logistic_sums(
    z, v, order, y, s, t, level_start, group_level, difference, scale, part,
    first_group, last_group, first, last,
):  # fmt: skip
    """As ``any_pairs._pair_sums`` of the logistic loss; NaN where scores are too far apart."""
    return _logistic_range(
        z, v, order, y, s, t, level_start, group_level, difference, scale, part,
        first_group, last_group, first, last, False,
    )  # fmt: skip


@kernel
def _logistic_product(
    z, v, order, y, s, t, level_start, group_level, difference, scale, part,
    first_group, last_group, first, last,
):  # fmt: skip
    """As ``any_pairs._pair_product`` of the logistic loss; NaN where scores are too far apart."""
    return _logistic_range(
        z, v, order, y, s, t, level_start, group_level, difference, scale, part,
        first_group, last_group, first, last, True,
    )  # fmt: skip


class LogisticSums(AnyPairs):
    """The sum of log(1 + e^(−d)) over pairs, with one exponential per row."""

    def _unit(self, loss, arguments, part, product):
        value = (_logistic_product if product else _logistic_sums)(*arguments)
        if not np.isnan(value):
            return value
        part[:] = 0.0  # scores are too far apart
        return super()._unit(loss, arguments, part, product)
