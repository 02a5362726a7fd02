"""Ranking metrics over query groups, the loss of several quantiles, and scorers made of them.

Every ranking metric takes ``(y_true, y_score, *, groups=None, …, sample_weight=None)`` and shares
these rules, stated once:

* ``y_true`` is the relevance of each row, or *packed* as an (n_samples, 2) array
  ``[relevance, group]``; then `groups` is not needed.
* `groups` has any dtype and need not be sorted or contiguous. None means one group.
* A row of weight 0 counts for nothing, as if it were not there. A metric that averages over the
  groups weighs each by the **mean** weight of its rows: a weight that is constant within groups is
  the weight of the group, and long groups count no more than short ones. `sample_weight` may be a
  number, too, which changes nothing.
* A group without any relevant row scores 0 in the metrics that average over groups.
* Invalid input raises ``ValueError`` (or ``TypeError`` for a `k` that is no integer) naming the
  parameter: NaN or infinity, lengths that differ, nothing at all, negative or all-zero weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import update_wrapper
from inspect import signature
from numbers import Integral
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import make_scorer
from sklearn.utils import check_array, check_scalar

from sklearn_margin._groups import (
    average_over_ties,
    check_scored_rows,
    count_not_below,
    count_pairs,
    is_packed,
    mean_over_groups,
    rank_within_groups,
    worst_rank,
)
from sklearn_margin._hints import levels_to_caller
from sklearn_margin._ndcg import grouped_ndcg
from sklearn_margin._sklearn import column_or_1d
from sklearn_margin._typing import ArrayLike
from sklearn_margin._validation import check_offset, float_column, normalize_weights

__all__ = [
    "average_precision_score",
    "concordance_index_score",
    "make_pinball_scorer",
    "make_ranking_scorer",
    "ndcg_score",
    "pairwise_accuracy_score",
    "pinball_loss",
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

    Returns
    -------
    score : float
        Between 0 and 1, higher is better.

    Raises
    ------
    ValueError
        If ``k < 1``, and as every metric of this module.

    Examples
    --------
    >>> from sklearn_margin.metrics import precision_at_k_score
    >>> precision_at_k_score([1, 0, 1, 0, 1], [5, 4, 3, 2, 1], groups=[0, 0, 0, 1, 1], k=2)
    0.5
    """
    _check_k(k)
    rows = check_scored_rows(y_true, y_score, groups, sample_weight)
    ranked = rank_within_groups(rows.score, rows.codes)
    counted = average_over_ties((ranked.position < k).astype(np.float64), ranked)
    relevant = rows.relevance[ranked.order] > 0
    return mean_over_groups(np.add.reduceat(counted * relevant, ranked.group_start) / k, rows)


def pairwise_accuracy_score(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    propensity: ArrayLike | None = None,
) -> float:
    r"""Share of the correctly ordered pairs, pooled over all groups.

    .. math:: \frac{\sum_{(i,j)} w_i w_j \left([s_i > s_j] + \frac12 [s_i = s_j]\right)}
                   {\sum_{(i,j)} w_i w_j}

    over the pairs (i, j) of one group with ``y_true[i] > y_true[j]``, s the scores, w the weights.
    With labels 0 and 1 in one group it is the area under the ROC curve. A group counts by its
    number of pairs. Whole weights equal repeated rows.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, 2)
        Relevance, any real numbers, or packed ``[relevance, group]``.
    y_score : array-like of shape (n_samples,)
        Predicted scores, higher for rows that should come first.
    groups : array-like of shape (n_samples,), default=None
        Group of each row; None is one group, or those in y_true.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row; a pair weighs as much as the product of its rows' weights.
    propensity : array-like of shape (n_samples,), default=None
        Probability, above 0 and at most 1, that a relevant row was seen and its click recorded,
        where y_true are clicks. A pair's weight is divided by that of its better row.

    Returns
    -------
    score : float
        Between 0 and 1, higher is better, 0.5 for a constant score. NaN, with an
        ``UndefinedMetricWarning``, if no group holds two rows of different relevance.

    Raises
    ------
    ValueError
        For invalid input, as every metric of this module.

    Notes
    -----
    O(n log n) time, O(n) memory: Knight (1966), "A computer method for calculating Kendall's tau
    with ungrouped data", with a radix instead of a merge sort.

    Examples
    --------
    >>> from sklearn_margin.metrics import pairwise_accuracy_score
    >>> pairwise_accuracy_score([2, 1, 0, 1, 0], [3, 1, 2, 4, 4], groups=[0, 0, 0, 1, 1])
    0.625
    """
    rows = check_scored_rows(y_true, y_score, groups, sample_weight, propensity)
    return share_of_pairs(*count_pairs(rows)[:3])


def concordance_index_score(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Harrell's concordance index: share of the correctly ordered pairs whose order is known.

    .. math:: \frac{\sum_{(i,j)} w_i w_j \left([s_i > s_j] + \frac12 [s_i = s_j]\right)}
                   {\sum_{(i,j)} w_i w_j}

    over the pairs (i, j) of one group in which j had its event before the time of i, or at the time
    when i was censored; two events at one time are no pair [1]_. It is
    ``concordance_index_censored`` of scikit-survival for risks −s, but that there scores that
    differ by 1e-8 or less are tied.

    Parameters
    ----------
    y_true : structured array of shape (n_samples,)
        With two fields: whether there was an event (bool), and its time or that of censoring.
    y_score : array-like of shape (n_samples,)
        Predicted scores, higher for rows that should last longer.
    groups : array-like of shape (n_samples,), default=None
        Group (stratum) of each row; None is one group.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row; a pair weighs as much as the product of its rows' weights.

    Returns
    -------
    score : float
        Between 0 and 1, higher is better, 0.5 for a constant score. NaN, with an
        ``UndefinedMetricWarning``, if no order of two rows is known.

    Raises
    ------
    ValueError
        If y_true has no such fields, and as every metric of this module.

    References
    ----------
    .. [1] Harrell, Califf, Pryor, Lee & Rosati, "Evaluating the yield of medical tests", JAMA 247,
       1982.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_margin.metrics import concordance_index_score
    >>> y = [(True, 1.0), (False, 2.0), (True, 3.0)]
    >>> y = np.array(y, dtype=[("event", bool), ("time", float)])
    >>> concordance_index_score(y, [1.0, 0.0, 3.0])
    0.5
    """
    rows = check_scored_rows(y_true, y_score, groups, sample_weight, censored=True)
    return share_of_pairs(*count_pairs(rows)[:3])


def share_of_pairs(total: float, ordered: float, tied: float) -> float:
    """Pairwise accuracy, of the weights of all pairs, of the well-ordered and of the tied."""
    if total == 0:
        message = "No two rows of a group differ in y_true: pairwise accuracy is undefined (NaN)."
        warnings.warn(message, UndefinedMetricWarning, stacklevel=levels_to_caller())
        return float("nan")
    return float(min((ordered + tied / 2) / total, 1.0))


def _check_k(k: Any) -> None:
    if isinstance(k, bool):  # an integer to Python
        raise TypeError(f"k must be a number of ranks, got {k}")
    check_scalar(k, "k", Integral, min_val=1)


def make_ranking_scorer(metric: Callable[..., float], **kwargs: Any) -> Callable[..., float]:
    """Make a grouped metric a scorer for ``GridSearchCV``, ``cross_validate`` and their like.

    As :func:`sklearn.metrics.make_scorer`, and besides

    * with metadata routing enabled it requests `groups` and `offset`, and what `metric` has of
      `sample_weight` and `propensity`; with routing disabled the same object finds the groups in
      packed `y`;
    * an `offset` is added to the scores that it asks the estimator for;
    * it refuses to score without groups, rather than take each test fold for one query. If all
      rows are one query, use ``sklearn.metrics.make_scorer(metric)``.

    Parameters
    ----------
    metric : callable
        A metric of this module, or any ``metric(y_true, y_score, *, groups=None, …)`` that accepts
        packed `y`.
    **kwargs
        Passed to :func:`sklearn.metrics.make_scorer`: ``response_method="decision_function"`` to
        rank by a classifier, or parameters of `metric` such as ``k=10``.

    Returns
    -------
    scorer : callable
        With the signature ``scorer(estimator, X, y, **metadata)``. Its ``set_score_request``
        replaces *all* requests, as that of any scikit-learn scorer: name `groups` again.

    Raises
    ------
    ValueError
        If `metric` has no parameter `groups`. When called: if there are no groups.

    Examples
    --------
    >>> from sklearn_margin.metrics import make_ranking_scorer, ndcg_score
    >>> make_ranking_scorer(ndcg_score, k=10)
    make_scorer(ndcg_score, response_method='predict', k=10)
    """
    accepted = signature(metric).parameters
    if "groups" not in accepted:
        raise ValueError(f"metric must have a parameter `groups`, got {metric!r}")
    scorer = make_scorer(_GroupsRequired(metric, kwargs.get("response_method")), **kwargs)
    # A scorer accepts requests only while routing is enabled, and ignores them while it is not.
    with config_context(enable_metadata_routing=True):
        names = [name for name in ("groups", "sample_weight", "propensity") if name in accepted]
        return scorer.set_score_request(**dict.fromkeys(names, True), offset=True)


class _GroupsRequired:
    """A metric that refuses to score without groups. A class, so that scorers pickle."""

    def __init__(self, metric: Callable[..., float], response_method: Any = None) -> None:
        update_wrapper(self, metric)  # scikit-learn reads the name and the signature
        self._metric, self._name = metric, getattr(metric, "__name__", repr(metric))
        self._response_method = response_method

    def __call__(
        self, y_true: ArrayLike, y_score: ArrayLike, *, offset: Any = None, **kwargs: Any
    ) -> float:
        if offset is not None:
            if self._response_method not in (None, "predict", "decision_function"):
                raise ValueError(
                    f"offset cannot be added to what response_method={self._response_method!r} "
                    "gives: take 'decision_function'"
                )
            y_score = float_column(y_score, "y_score")
            y_score = y_score + check_offset(offset, len(y_score), np.float64)
        if kwargs.get("groups") is None and not is_packed(y_true):
            raise ValueError(
                f"The scorer of {self._name} got no groups. Pass `groups` with metadata routing "
                "enabled, or pack y as an (n_samples, 2) array [relevance, group]. If all rows are "
                "one query, use sklearn.metrics.make_scorer."
            )
        return self._metric(y_true, y_score, **kwargs)


def pinball_loss(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    quantile: float | Sequence[float],
    sample_weight: ArrayLike | None = None,
) -> float:
    """Mean pinball (quantile) loss of predictions of one quantile, or of several.

    For quantile q a prediction z of y costs q·[y − z]₊ + (1 − q)·[z − y]₊. That of several
    quantiles is the mean over them, by which a whole fan is compared with another; scikit-learn's
    :func:`sklearn.metrics.mean_pinball_loss` knows one quantile only.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Targets.
    y_pred : array-like of shape (n_samples,) or (n_samples, n_quantiles)
        Predictions, a column for each quantile if `quantile` is a list.
    quantile : float or list of float in (0, 1)
        The quantiles, in the order of the columns.
    sample_weight : float or array-like of shape (n_samples,), default=None
        Non-negative weights.

    Returns
    -------
    float
        In units of y; the smaller, the better.

    Raises
    ------
    ValueError
        For wrong data, or if columns and quantiles differ in number.

    Examples
    --------
    >>> from sklearn_margin.metrics import pinball_loss
    >>> pinball_loss([1.0, 2.0], [[0.0, 2.0], [1.0, 3.0]], quantile=[0.1, 0.9])
    0.1
    """
    several = np.ndim(quantile) > 0
    quantiles = np.atleast_1d(np.asarray(quantile, dtype=np.float64))
    if quantiles.ndim > 1 or not ((quantiles > 0) & (quantiles < 1)).all() or not len(quantiles):
        raise ValueError(f"quantile must be a number in (0, 1) or a list of them, got {quantile!r}")
    z = check_array(y_pred, dtype=np.float64, ensure_2d=several, input_name="y_pred")
    y = column_or_1d(y_true, input_name="y_true", dtype=np.float64)
    y = check_array(y, ensure_2d=False, input_name="y_true")
    if not several and z.ndim == 1:
        z = z[:, None]
    if z.shape != (len(y), len(quantiles)):
        raise ValueError(
            f"y_pred has shape {z.shape}, expected {(len(y), len(quantiles))}: a row for each "
            "entry of y_true and a column for each quantile"
        )
    s = normalize_weights(sample_weight, len(y), np.dtype(np.float64))
    r = y[:, None] - z
    return float(s @ np.maximum(quantiles * r, (quantiles - 1.0) * r).mean(axis=1))


def make_pinball_scorer(quantile: float | Sequence[float]) -> Callable[..., float]:
    """Make a scorer of :func:`pinball_loss`, for ``GridSearchCV`` and its like.

    Scores are the negative of the loss: the higher, the better. With metadata routing enabled it
    requests `sample_weight`.

    Parameters
    ----------
    quantile : float or list of float in (0, 1)
        The quantiles that the model predicts.

    Returns
    -------
    scorer : callable
        With the signature ``scorer(estimator, X, y, **metadata)``.

    Examples
    --------
    >>> from sklearn_margin.metrics import make_pinball_scorer
    >>> make_pinball_scorer(0.9)
    make_scorer(pinball_loss, greater_is_better=False, response_method='predict', quantile=0.9)
    """
    scorer = make_scorer(pinball_loss, greater_is_better=False, quantile=quantile)
    with config_context(enable_metadata_routing=True):  # else it takes no request
        return scorer.set_score_request(sample_weight=True)
