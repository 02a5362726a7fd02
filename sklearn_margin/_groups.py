"""Rows in query groups: checking and encoding them, ranking them and counting their pairs.

The ranking metrics and the ranking estimators take their targets through `unpack_target` and
`encode_groups`, so that they accept the same inputs and raise the same errors. Nothing here loops
over groups or pairs in Python.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import assert_all_finite

from sklearn_margin._jit import kernel
from sklearn_margin._validation import (
    as_array,
    as_column,
    check_not_empty,
    check_weights,
    float_column,
)


def unpack_target(
    y: ArrayLike | None, groups: ArrayLike | None = None, *, input_name: str = "y"
) -> tuple[NDArray[np.float64], NDArray[Any] | None]:
    """Split a ranking target into relevance and groups.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, 2)
        Relevance of each row, or *packed*: the columns ``[relevance, group]``. Packing carries the
        groups through scikit-learn tools that pass on nothing but `y`. A packed `y` may have any
        dtype, strings and objects included; in a float array, integer groups above 2**53 collide.
    groups : array-like of shape (n_samples,), default=None
        Group of each row. If `y` is packed too, both must split the rows alike.
    input_name : str, default="y"
        What error messages call `y`.

    Returns
    -------
    relevance : ndarray of shape (n_samples,), float64
    groups : ndarray of shape (n_samples,) or None
        As given, not encoded; None only if neither argument holds groups.

    Raises
    ------
    ValueError
        If `y` is empty, has another shape, holds NaN, infinity or something that is not a number;
        if `groups` is not as :func:`encode_groups` needs it, or contradicts a packed `y`.

    Examples
    --------
    >>> from sklearn_margin._groups import unpack_target
    >>> relevance, groups = unpack_target([[2, "a"], [0, "b"]])
    >>> relevance, groups.tolist()
    (array([2., 0.]), ['a', 'b'])
    """
    y = as_array(y, input_name)
    if y.dtype.names is not None:
        return _survival(y, input_name)[1], None if groups is None else as_array(groups, "groups")
    if not is_packed(y):
        relevance = float_column(y, input_name, warn=True)
        return relevance, None if groups is None else as_array(groups, "groups")
    relevance = float_column(y[:, 0], input_name)
    packed = y[:, 1]
    if groups is not None:
        n_samples = relevance.shape[0]
        if not np.array_equal(encode_groups(groups, n_samples), encode_groups(packed, n_samples)):
            raise ValueError(
                f"{input_name} is packed as [relevance, group], and `groups` splits the rows "
                "differently. Pass the groups once."
            )
    return relevance, packed


def events_of(y: Any, input_name: str = "y") -> NDArray[np.bool_] | None:
    """Whether the time of each row is that of an event, of a structured `y`; None of any other."""
    names = getattr(getattr(y, "dtype", None), "names", None)
    return None if names is None else _survival(y, input_name)[0]


def _survival(y, input_name):
    """Events and times, of a structured array that has them as its fields, as scikit-survival's.

    A censored time is known to be exceeded. So it becomes the next larger number, above an event at
    the same time.
    """
    kinds = "".join(y.dtype[k].kind for k in range(len(y.dtype.names)))
    if y.ndim != 1 or kinds not in ("bf", "bi", "bu"):
        raise ValueError(
            f"{input_name} with named fields must have two, whether there was an event (bool) and "
            f"the time (a number), got {y.dtype}"
        )
    event, time = (y[name] for name in y.dtype.names)
    time = float_column(time, f"the time in {input_name}")
    return event.copy(), np.where(event, time, np.nextafter(time, np.inf))


def inverse_propensity(propensity: ArrayLike | None, n_samples: int) -> NDArray[Any] | None:
    """One over each propensity; None if there are none.

    Raises
    ------
    ValueError
        If they are not one number for each row, above 0 and at most 1.
    """
    if propensity is None:
        return None
    propensity = float_column(propensity, "propensity", n_samples=n_samples)
    if not (propensity.min() > 0 and propensity.max() <= 1):
        wrong = propensity[(propensity <= 0) | (propensity > 1)][0]
        raise ValueError(f"propensity must be above 0 and at most 1, got {wrong}")
    return 1.0 / propensity


def is_packed(y: ArrayLike) -> bool:
    """Whether `y` has the shape (n_samples, 2) of a packed ``[relevance, group]`` target."""
    shape = np.shape(y)
    return len(shape) == 2 and shape[1] == 2


def encode_groups(groups: ArrayLike | None, n_samples: int) -> NDArray[np.int64]:
    """Encode groups as 0, 1, … in order of their first appearance.

    Equal partitions of the rows have equal codes, whatever the dtype and the names of the groups:
    results do not depend on either.

    Parameters
    ----------
    groups : array-like of shape (n_samples,) or None
        Group of each row: any dtype, unsorted and non-contiguous allowed. None means one group.
    n_samples : int
        The length `groups` must have.

    Returns
    -------
    codes : ndarray of shape (n_samples,), int64
        Every value from 0 to n_groups - 1 occurs.

    Raises
    ------
    ValueError
        If `groups` is empty, has another length or shape, or holds missing values or infinity.

    Examples
    --------
    >>> from sklearn_margin._groups import encode_groups
    >>> encode_groups(["b", "a", "b"], 3)
    array([0, 1, 0])
    """
    if groups is None:
        groups = np.zeros(n_samples, dtype=np.int64)
    groups = as_column(as_array(groups, "groups"), "groups")
    if groups.shape[0] != n_samples:
        raise ValueError(
            f"groups has length {groups.shape[0]}, expected {n_samples}, the group of each row"
            + (_OF_SIZES if _are_sizes(groups, n_samples) else "")
        )
    check_not_empty(groups, "groups")
    if groups.dtype.kind in "biuf":
        assert_all_finite(groups, input_name="groups")
        if (groups[1:] >= groups[:-1]).all():  # as they mostly are
            codes = np.zeros(n_samples, dtype=np.int64)
            np.cumsum(groups[1:] != groups[:-1], out=codes[1:])
            return codes
        _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
        rank = np.empty_like(first)
        rank[np.argsort(first)] = np.arange(first.shape[0])
        return rank[inverse].astype(np.int64, copy=False)
    return _encode_by_hashing(groups)


_OF_SIZES = (
    ". These look like the sizes of the groups: if the rows of each group follow each other, pass "
    "np.repeat(np.arange(len(sizes)), sizes)"
)


def _are_sizes(groups: NDArray[Any], n_samples: int) -> bool:
    """Whether they may be what LightGBM and XGBoost call groups: how many rows each has."""
    return groups.dtype.kind in "iuf" and bool((groups > 0).all()) and groups.sum() == n_samples


def _encode_by_hashing(groups: NDArray[Any]) -> NDArray[np.int64]:
    """Codes of groups that NumPy sorts slowly (strings) or not at all (mixed types)."""
    if groups.dtype.kind in "mM" and np.isnat(groups).any():
        raise ValueError("Input groups contains NaT.")
    table: dict[Any, int] = {}
    try:
        codes = [table.setdefault(group, len(table)) for group in groups.tolist()]
    except TypeError as error:
        raise ValueError(f"groups must hold hashable values: {error}") from error
    if any(_is_missing(group) for group in table):
        raise ValueError("Input groups contains NaN or another missing value.")
    return np.array(codes, dtype=np.int64)


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA refuses to be a bool
        return True


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
    before = _sums_before(chosen)
    return before[tie_end] - before[begin]


def group_weights(rows: ScoredRows) -> NDArray[np.float64] | None:
    """Mean weight of the rows of each group; None if all are equal."""
    if rows.weight is None:
        return None
    return np.bincount(rows.codes, weights=rows.weight) / np.bincount(rows.codes)


def mean_over_groups(per_group: NDArray[np.float64], rows: ScoredRows) -> float:
    """Average group values, each weighing as much as the rows of the group in the mean."""
    return float(np.average(per_group, weights=group_weights(rows)))


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
        zero_count = _sums_before(is_zero)
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
        sums = _sums_before(values)
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


def _sums_before(values: NDArray[Any]) -> NDArray[Any]:
    """Sum of all entries before each place, the place after the last included."""
    sums = np.cumsum(values)
    return np.concatenate((np.zeros(1, sums.dtype), sums))
