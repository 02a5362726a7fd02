"""Metrics of ranked lists, averaged over groups."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from sklearn_margin._typing import ArrayLike
from sklearn_margin.metrics._ndcg import grouped_ndcg
from sklearn_margin.metrics._scored_rows import (
    average_over_ties,
    check_scored_rows,
    count_not_below,
    mean_over_groups,
    rank_within_groups,
    worst_rank,
)

__all__ = [
    "average_precision_score",
    "ndcg_score",
    "precision_at_k_score",
    "reciprocal_rank_score",
]


def ndcg_score(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    k: int | None = None,
    gain: str = "linear",
    ignore_ties: bool = False,
    sample_weight: ArrayLike | None = None,
    propensity: ArrayLike | None = None,
) -> float:
    r"""Normalised discounted cumulative gain, averaged over groups.

    .. math:: \mathrm{NDCG@k} = \frac{1}{\mathrm{DCG@k\ of\ the\ best\ order}}
              \sum_{p=1}^{k} \frac{\mathrm{gain}(y_{(p)})}{\log_2(p + 1)}

    where :math:`y_{(p)}` is the relevance of the row at rank p of its group (Järvelin &
    Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques"). Per group it is
    :func:`sklearn.metrics.ndcg_score`, including ties: rows of equal score share the mean of their
    ranks' discounts, the expectation over all orders of the tie (McSherry & Najork 2008,
    "Computing information retrieval performance measures efficiently in the presence of tied
    scores"). A group of one row, which scikit-learn refuses, scores 1 if the row is relevant.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, 2)
        Non-negative relevance, or packed ``[relevance, group]``.
    y_score : array-like of shape (n_samples,)
        Predicted scores, higher for rows that should come first.
    groups : array-like of shape (n_samples,), default=None
        Group of each row; None is one group, or those in y_true.
    k : int, default=None
        Count only the first k ranks of each group. None counts all.
    gain : {"linear", "exponential"}, default="linear"
        Gain of relevance r: r itself, as in scikit-learn, or 2**r - 1, as in LightGBM and XGBoost.
    ignore_ties : bool, default=False
        Rank rows of equal score in the order in which they are given. Faster.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row; a group weighs as much as its rows in the mean.
    propensity : array-like of shape (n_samples,), default=None
        Probability, above 0 and at most 1, that a relevant row was seen and its click recorded,
        where y_true are clicks. Gains are divided by it [1]_, and groups count by the sum
        of these, times their weight.

    Returns
    -------
    score : float
        Between 0 and 1, higher is better.

    Raises
    ------
    ValueError
        If a relevance is negative, `gain` unknown or ``k < 1``, and as every metric of this module.

    References
    ----------
    .. [1] Joachims, Swaminathan & Schnabel, "Unbiased learning-to-rank with biased feedback", WSDM
       2017.

    Examples
    --------
    >>> from sklearn_margin.metrics import ndcg_score
    >>> round(ndcg_score([0, 1, 2, 0], [5, 4, 3, 2], groups=["a", "b", "a", "b"]), 3)
    0.815
    """
    if k is not None:
        _check_k(k)
    ndcg = grouped_ndcg(
        y_true,
        y_score,
        groups=groups,
        gain=gain,
        sample_weight=sample_weight,
        ignore_ties=ignore_ties,
        propensity=propensity,
    )
    return ndcg.mean(k)


def average_precision_score(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Mean average precision (MAP): the average precision of each group, averaged over groups.

    .. math:: \mathrm{AP} = \frac{1}{|R|} \sum_{i \in R}
              \frac{|\{j \in R : s_j \ge s_i\}|}{|\{j : s_j \ge s_i\}|}

    with R the relevant rows (``y_true > 0``) of a group and s the scores (Manning et al. 2008,
    "Introduction to Information Retrieval", 8.4). Rows of equal score are retrieved together, so
    each has the worst rank of its tie; per group this is
    :func:`sklearn.metrics.average_precision_score`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, 2)
        Relevance, relevant if positive, or packed ``[relevance, group]``.
    y_score : array-like of shape (n_samples,)
        Predicted scores, higher for rows that should come first.
    groups : array-like of shape (n_samples,), default=None
        Group of each row; None is one group, or those in y_true.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row; a group weighs as much as its rows in the mean.

    Returns
    -------
    score : float
        Between 0 and 1, higher is better.

    Raises
    ------
    ValueError
        For invalid input, as every metric of this module.

    Examples
    --------
    >>> from sklearn_margin.metrics import average_precision_score
    >>> average_precision_score([1, 1, 0, 0, 1], [5, 4, 3, 2, 1], groups=[0, 0, 0, 1, 1])
    0.75
    """
    rows = check_scored_rows(y_true, y_score, groups, sample_weight)
    ranked = rank_within_groups(rows.score, rows.codes)
    relevant = rows.relevance[ranked.order] > 0
    precision = count_not_below(relevant, ranked) / worst_rank(ranked)
    total = np.add.reduceat(precision * relevant, ranked.group_start)
    n_relevant = np.add.reduceat(relevant, ranked.group_start, dtype=np.int64)
    return mean_over_groups(total / np.maximum(n_relevant, 1), rows)


def reciprocal_rank_score(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Mean reciprocal rank (MRR) of the first relevant row of each group, averaged over groups.

    .. math:: \mathrm{RR} = \max_{i \in R} \frac{1}{|\{j : s_j \ge s_i\}|}

    with R the relevant rows (``y_true > 0``) of a group and s the scores (Voorhees 1999, "The
    TREC-8 question answering track report"). Rows of equal score have the worst rank of their tie:
    a constant score earns 1 / group size. With one relevant row this is the average precision.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, 2)
        Relevance, relevant if positive, or packed ``[relevance, group]``.
    y_score : array-like of shape (n_samples,)
        Predicted scores, higher for rows that should come first.
    groups : array-like of shape (n_samples,), default=None
        Group of each row; None is one group, or those in y_true.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row; a group weighs as much as its rows in the mean.

    Returns
    -------
    score : float
        Between 0 and 1, higher is better.

    Raises
    ------
    ValueError
        For invalid input, as every metric of this module.

    Examples
    --------
    >>> from sklearn_margin.metrics import reciprocal_rank_score
    >>> reciprocal_rank_score([1, 0, 0, 0, 1], [5, 4, 3, 2, 1], groups=[0, 0, 0, 1, 1])
    0.75
    """
    rows = check_scored_rows(y_true, y_score, groups, sample_weight)
    ranked = rank_within_groups(rows.score, rows.codes)
    relevant = rows.relevance[ranked.order] > 0
    per_group = np.maximum.reduceat(relevant / worst_rank(ranked), ranked.group_start)
    return mean_over_groups(per_group, rows)


def precision_at_k_score(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    k: int = 10,
    sample_weight: ArrayLike | None = None,
    propensity: ArrayLike | None = None,
) -> float:
    r"""Share of relevant rows among the first k of each group, averaged over groups.

    .. math:: \mathrm{P@k} = \frac{1}{k} \sum_{p=1}^{k} [y_{(p)} > 0]

    where :math:`y_{(p)}` is the relevance of the row at rank p. The divisor is k in shorter groups,
    too, as in trec_eval. A tie across rank k counts its share of relevant rows for each place that
    it fills, the expectation over all orders of the tie (McSherry & Najork 2008).

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, 2)
        Relevance, relevant if positive, or packed ``[relevance, group]``.
    y_score : array-like of shape (n_samples,)
        Predicted scores, higher for rows that should come first.
    groups : array-like of shape (n_samples,), default=None
        Group of each row; None is one group, or those in y_true.
    k : int, default=10
        Number of ranks that count.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row; a group weighs as much as its rows in the mean.
    propensity : array-like of shape (n_samples,), default=None
        Probability, above 0 and at most 1, that a relevant row was seen and its click recorded,
        where y_true are clicks. A row counts one over it, by which the mean over what is seen is
        the precision by relevance [1]_.

    Returns
    -------
    score : float
        Between 0 and 1, higher is better; by propensity it can be above 1.

    Raises
    ------
    ValueError
        If ``k < 1``, and as every metric of this module.

    References
    ----------
    .. [1] Agarwal, Takatsu, Zaitsev & Joachims, "A general framework for counterfactual
       learning-to-rank", SIGIR 2019.

    Examples
    --------
    >>> from sklearn_margin.metrics import precision_at_k_score
    >>> precision_at_k_score([1, 0, 1, 0, 1], [5, 4, 3, 2, 1], groups=[0, 0, 0, 1, 1], k=2)
    0.5
    """
    _check_k(k)
    rows = check_scored_rows(y_true, y_score, groups, sample_weight, propensity)
    ranked = rank_within_groups(rows.score, rows.codes)
    counted = average_over_ties((ranked.position < k).astype(np.float64), ranked)
    relevant = rows.relevance > 0
    if rows.better is not None:
        relevant = relevant * rows.better
    found = counted * relevant[ranked.order]
    return mean_over_groups(np.add.reduceat(found, ranked.group_start) / k, rows)


def _check_k(k: Any) -> None:
    if isinstance(k, bool):  # an integer to Python
        raise TypeError(f"k must be a number of ranks, got {k}")
    check_scalar(k, "k", Integral, min_val=1)
