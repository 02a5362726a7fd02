"""Rows with scores, as metrics of groups see them: checked, ranked, and what runs of them sum to.

Nothing here loops over groups in Python.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklearn_margin._groups import encode_groups, events_of, inverse_propensity, unpack_target
from sklearn_margin._validation import check_weights, float_column


class ScoredRows(NamedTuple):
    """Validated input, one entry per row; rows of weight 0 are gone."""

    relevance: NDArray[np.float64]
    score: NDArray[np.float64]
    codes: NDArray[np.int64]  # group, 0 to n_groups - 1
    weight: NDArray[np.float64] | None  # the largest is 1
    better: NDArray[np.float64] | None = None  # factors: of gains, and of the better row of a pair
    worse: NDArray[np.float64] | None = None  # and of the worse one


def check_scored_rows(
    y_true: ArrayLike,
    y_score: ArrayLike,
    groups: ArrayLike | None,
    sample_weight: ArrayLike | None,
    propensity: ArrayLike | None = None,
    *,
    censored: bool = False,
) -> ScoredRows:
    """Validate what every ranking metric takes; its errors call the arguments by these names."""
    event = events_of(y_true, "y_true")
    if (event is not None) != censored:
        needs = "have the fields event and time" if censored else "have no named fields"
        raise ValueError(f"y_true must {needs}: concordance_index_score is of censored times")
    relevance, groups = unpack_target(y_true, groups, input_name="y_true")
    n_samples = relevance.shape[0]
    sides = [inverse_propensity(propensity, n_samples), event]
    score = float_column(y_score, "y_score", n_samples=n_samples)
    codes = encode_groups(groups, n_samples)
    if sample_weight is None:
        return ScoredRows(relevance, score, codes, None, *sides)
    weight = check_weights(sample_weight, n_samples)
    weight /= weight.max()  # a common factor means nothing, and may overflow
    kept = weight > 0
    if kept.all():
        return ScoredRows(relevance, score, codes, weight, *sides)
    codes = encode_groups(codes[kept], int(kept.sum()))
    sides = [None if side is None else side[kept] for side in sides]
    return ScoredRows(relevance[kept], score[kept], codes, weight[kept], *sides)


class RankedRows(NamedTuple):
    """Rows sorted by group, then by decreasing score."""

    order: NDArray[np.intp]  # the row at each sorted place; ties stay as given
    position: NDArray[np.int64]  # rank within the group, from 0, by sorted place
    group_start: NDArray[np.intp]  # sorted place of the first row of each group
    tie_start: NDArray[np.intp]  # sorted place of the first row of each run of equal scores


def rank_within_groups(score: NDArray[np.float64], codes: NDArray[np.int64]) -> RankedRows:
    """Sort rows by group and score, and find the groups and the ties."""
    order = np.lexsort((-score, codes))
    new_group = run_starts(codes[order])
    group_start = np.flatnonzero(new_group)
    n_rows = order.shape[0]
    position = np.arange(n_rows) - np.repeat(group_start, run_sizes(group_start, n_rows))
    tie_start = np.flatnonzero(new_group | run_starts(score[order]))
    return RankedRows(order, position, group_start, tie_start)


def run_starts(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the first entry of every run of equal values."""
    changed = np.ones(values.shape[0], dtype=bool)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed


def run_sizes(start: NDArray[np.intp], n_rows: int) -> NDArray[np.intp]:
    """Lengths of runs, given where each starts."""
    return np.diff(start, append=n_rows)


def average_over_ties(values: NDArray[np.float64], ranked: RankedRows) -> NDArray[np.float64]:
    """Replace the values of the rows of each tie, by sorted place, by their mean."""
    size = run_sizes(ranked.tie_start, values.shape[0])
    return np.repeat(np.add.reduceat(values, ranked.tie_start) / size, size)


def sums_before(values: NDArray[Any]) -> NDArray[Any]:
    """Sum of all entries before each place, the place after the last included."""
    sums = np.cumsum(values)
    return np.concatenate((np.zeros(1, sums.dtype), sums))


def running_sums(values: NDArray[np.float64], start: NDArray[np.intp]) -> NDArray[np.float64]:
    """Sums of each run of values up to and including each place, given where the runs start."""
    steps = values.copy()
    # One pass for all runs: a new one first takes back the sum of the one before. (To subtract
    # sums that go through all runs would lose digits, the more the more runs there are.)
    steps[start[1:]] -= np.add.reduceat(values, start)[:-1]
    sums = np.cumsum(steps)
    rounding = sums[start] - values[start]  # of what was taken back
    return sums - np.repeat(rounding, run_sizes(start, values.shape[0]))


def worst_rank(ranked: RankedRows) -> NDArray[np.int64]:
    """Rank, from 1, of the last row of each row's tie: how many rows do not score less."""
    return count_not_below(np.ones(ranked.order.shape[0], dtype=bool), ranked)


def count_not_below(chosen: NDArray[np.bool_], ranked: RankedRows) -> NDArray[np.int64]:
    """Count, for each row, the chosen rows of its group that do not score less than it."""
    n_rows = chosen.shape[0]
    size = run_sizes(ranked.tie_start, n_rows)
    tie_end = np.repeat(ranked.tie_start + size, size)
    begin = np.arange(n_rows) - ranked.position
    before = sums_before(chosen)
    return before[tie_end] - before[begin]


def group_weights(rows: ScoredRows) -> NDArray[np.float64] | None:
    """Mean weight of the rows of each group; None if all are equal."""
    if rows.weight is None:
        return None
    return np.bincount(rows.codes, weights=rows.weight) / np.bincount(rows.codes)


def mean_over_groups(per_group: NDArray[np.float64], rows: ScoredRows) -> float:
    """Average group values, each weighing as much as the rows of the group in the mean."""
    return float(np.average(per_group, weights=group_weights(rows)))
