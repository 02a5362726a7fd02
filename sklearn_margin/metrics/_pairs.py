"""Shares of pairs that are in the right order."""

from __future__ import annotations

import warnings

from sklearn.exceptions import UndefinedMetricWarning

from sklearn_margin._hints import levels_to_caller
from sklearn_margin._typing import ArrayLike
from sklearn_margin.metrics._pair_counts import count_pairs
from sklearn_margin.metrics._scored_rows import check_scored_rows

__all__ = ["concordance_index_score", "pairwise_accuracy_score", "share_of_pairs"]


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
