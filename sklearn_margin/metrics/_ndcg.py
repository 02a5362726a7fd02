"""NDCG of every group at every rank, after one sort: for the metric and for its picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklearn_margin.metrics._scored_rows import (
    RankedRows,
    ScoredRows,
    average_over_ties,
    check_scored_rows,
    group_weights,
    rank_within_groups,
    run_sizes,
    running_sums,
)


class GroupedNDCG(NamedTuple):
    """NDCG@k of each group for any k."""

    by_place: NDArray[np.float64]  # rows by group and rank: of the group, k being that rank
    start: NDArray[np.intp]  # place of the first row of each group
    size: NDArray[np.intp]  # rows of each group
    weight: NDArray[np.float64] | None  # of each group; None if equal

    def per_group(self, k: int | None = None) -> NDArray[np.float64]:
        """NDCG@k of each group."""
        rank = self.size if k is None else np.minimum(self.size, k)
        return self.by_place[self.start + rank - 1]

    def mean(self, k: int | None = None) -> float:
        """Mean NDCG@k."""
        return float(np.average(self.per_group(k), weights=self.weight))


def grouped_ndcg(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: ArrayLike | None,
    gain: str,
    sample_weight: ArrayLike | None,
    ignore_ties: bool = False,
    propensity: ArrayLike | None = None,
) -> GroupedNDCG:
    """Check the arguments of ``metrics.ndcg_score`` but `k`, and compute what it needs."""
    if gain not in ("linear", "exponential"):
        raise ValueError(f"gain must be 'linear' or 'exponential', got {gain!r}")
    rows = check_scored_rows(y_true, y_score, groups, sample_weight, propensity)
    if rows.relevance.min() < 0:
        raise ValueError(f"y_true must not be negative for NDCG, got {rows.relevance.min()}")
    ranked = rank_within_groups(rows.score, rows.codes)
    start, weight = ranked.group_start, group_weights(rows)
    if rows.better is None:
        ideal = rank_within_groups(rows.relevance, rows.codes)
        gains = _relative_gains(rows, gain, ideal)
    else:
        gains = _gains(rows.relevance, gain, rows.relevance.max())
        gains = gains / (gains.max() or 1.0) * (rows.better / rows.better.max())  # no overflow
        ideal = rank_within_groups(gains, rows.codes)
        totals = np.bincount(rows.codes, weights=gains)
        if totals.any():
            weight = totals if weight is None else weight * totals
    ideal_gains, gains = gains[ideal.order], gains[ranked.order]
    if not ignore_ties:
        gains = average_over_ties(gains, ranked)
    discount = 1 / np.log2(ranked.position + 2)
    achieved = running_sums(gains * discount, start)
    best = running_sums(ideal_gains * discount, start)
    by_place = np.divide(achieved, best, out=np.zeros_like(best), where=best > 0)
    by_place = np.clip(by_place, 0, 1)  # rounding may leave the interval
    return GroupedNDCG(by_place, start, run_sizes(start, len(best)), weight)


def _relative_gains(rows: ScoredRows, gain: str, ideal: RankedRows) -> NDArray[np.float64]:
    """Gains divided by the largest of the group, which cannot overflow; 0 if that is 0."""
    first = ideal.order[ideal.group_start]
    gains = _gains(rows.relevance, gain, rows.relevance[first][rows.codes])
    largest = gains[first][rows.codes]
    return gains / np.where(largest > 0, largest, 1)


def _gains(relevance, gain, highest):
    """Gains, of which exponential ones are (2**r - 1) / 2**highest."""
    if gain == "exponential":
        return -np.expm1(-relevance * np.log(2)) * np.exp2(relevance - highest)
    return relevance
