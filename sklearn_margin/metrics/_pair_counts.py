"""How many pairs of rows are in the right order, without a loop over groups or pairs in Python."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sklearn_margin._jit import kernel
from sklearn_margin.metrics._scored_rows import ScoredRows, run_sizes, run_starts, sums_before


class PairCounts(NamedTuple):
    """Weight of all pairs of different relevance, of the well-ordered and of the tied among them.

    Exact integers without weights.
    """

    total: float
    ordered: float
    tied: float
    unit: float  # weight of a row, two of which make a pair that counts as one; 0 without pairs


def count_pairs(rows: ScoredRows) -> PairCounts:
    """Count the pairs of rows of different relevance."""
    n_rows = rows.codes.shape[0]
    by_label = np.lexsort((rows.relevance, rows.codes))
    new_group = run_starts(rows.codes[by_label])
    new_level = new_group | run_starts(rows.relevance[by_label])
    group_start = np.flatnonzero(new_group)
    paired = np.add.reduceat(new_level, group_start, dtype=np.int64) > 1  # groups
    lower, upper, unit = _pair_factors(rows, paired)
    lower = lower if rows.worse is None else lower * rows.worse
    upper = upper if rows.better is None else upper * rows.better
    total = _pairs_between_levels(lower[by_label], upper[by_label], new_group, new_level)
    level = np.empty(n_rows, dtype=np.int64)  # of the label: 0, 1, … within each group
    level[by_label] = np.cumsum(new_level)
    level -= level[by_label[group_start]][rows.codes]

    # Equal scores by decreasing label, so that within a tie no lower label comes before.
    by_score = by_label[::-1]
    by_score = by_score[np.lexsort((rows.score[by_score], rows.codes[by_score]))]
    lower, upper, level = lower[by_score], upper[by_score], level[by_score]
    new_tie = new_group | run_starts(rows.score[by_score])
    tied = _pairs_between_levels(upper, lower, new_tie, new_tie | run_starts(level))
    start = np.repeat(group_start, run_sizes(group_start, n_rows))
    return PairCounts(total, _ordered_pairs(level, start, lower, upper), tied, unit)


def _pair_factors(
    rows: ScoredRows, paired: NDArray[np.bool_]
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Factors of the weights of pairs, w_i w_j = lower_i upper_j unit²; 0 in groups without pairs.

    The unit is the largest weight of a group that has pairs. The largest of each group is 1 in
    `lower`, so that products do not vanish that are all a group has.
    """
    if rows.weight is None or not paired.any():
        ones = np.ones(rows.codes.shape[0], dtype=np.int64)
        return ones, ones, float(paired.any())
    scale = np.zeros(paired.shape[0])
    np.maximum.at(scale, rows.codes, rows.weight)
    largest, there = scale[paired].max(), paired[rows.codes]
    scale = np.where(there, scale[rows.codes], 1.0)
    weight = np.where(there, rows.weight, 0.0)
    return weight / scale, (weight / largest) * (scale / largest), float(largest)


def _pairs_between_levels(
    lower: NDArray[Any],
    upper: NDArray[Any],
    new_block: NDArray[np.bool_],
    new_level: NDArray[np.bool_],
) -> float:
    """Weight of the pairs of rows in the same block, but in different levels of it."""
    level_start = np.flatnonzero(new_level)
    lower, upper = np.add.reduceat(lower, level_start), np.add.reduceat(upper, level_start)
    first = np.flatnonzero(new_block[level_start])
    block_start = np.repeat(first, run_sizes(first, lower.shape[0]))
    return upper @ _sums_within(lower, block_start)


def _ordered_pairs(
    level: NDArray[np.int64],
    start: NDArray[np.intp],
    lower: NDArray[Any],
    upper: NDArray[Any],
) -> float:
    """Weight of the pairs in which the row of the lower level comes before the other.

    Rows lie in buckets, at first the groups; `start` is where the bucket of each row begins. Two
    different levels first differ in one bit, going from the highest: there, every row with a 1
    meets the rows with a 0 that come before it in its bucket. Then each bucket splits by that bit,
    the order kept. (All zeros move before all ones; buckets stay contiguous.)
    """
    total = upper.dtype.type(0)
    for bit in reversed(range(int(level.max()).bit_length())):
        is_zero = ((level >> bit) & 1) == 0
        # Indices rather than masks: three times as fast where the bits are in no order.
        zero, one = np.flatnonzero(is_zero), np.flatnonzero(~is_zero)
        start_zero, start_one = start[zero], start[one]
        zero_count = sums_before(is_zero)
        total += upper[one] @ _sums_within(np.where(is_zero, lower, 0), start)[one]
        moved = zero.shape[0] + start_one - zero_count[start_one]
        start = np.concatenate((zero_count[start_zero], moved))
        order = np.concatenate((zero, one))
        level, lower, upper = level[order], lower[order], upper[order]
    return total


def _sums_within(values: NDArray[Any], start: NDArray[np.intp]) -> NDArray[Any]:
    """Sum of the entries before each place in its bucket, which begins at `start`.

    Of weights only weights are summed: a difference of sums that go through all buckets would
    lose the digits of those that are small beside what came before.
    """
    if values.dtype.kind in "iu":
        sums = sums_before(values)
        return sums[:-1] - sums[start]
    sums = np.empty_like(values)
    _running_sums_within(values, start, sums)
    return sums


@kernel
def _running_sums_within(values, start, sums):
    total = 0.0
    for i in range(values.shape[0]):
        if start[i] == i:
            total = 0.0
        sums[i] = total
        total += values[i]
