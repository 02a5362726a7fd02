"""Scorers of the metrics, for searches and cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from inspect import signature
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.metrics import make_scorer

from sklearn_margin._groups import events_of, is_packed
from sklearn_margin._typing import ArrayLike
from sklearn_margin._validation import check_offset, float_column
from sklearn_margin.metrics._pinball import check_quantiles, pinball_loss

__all__ = ["make_pinball_scorer", "make_ranking_scorer"]


def make_ranking_scorer(metric: Callable[..., float], **kwargs: Any) -> Callable[..., float]:
    """Make a grouped metric a scorer for ``GridSearchCV``, ``cross_validate`` and their like.

    As :func:`sklearn.metrics.make_scorer`, and besides

    * with metadata routing enabled it requests `groups` and `offset`, and what `metric` has of
      `sample_weight` and `propensity`; with routing disabled the same object finds the groups in
      packed `y`;
    * an `offset` is added to the scores that it asks the estimator for;
    * it refuses to score without groups, rather than take each test fold for one query. If all
      rows are one query, use ``sklearn.metrics.make_scorer(metric)``. Censored times may be one.

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
        in_groups = kwargs.get("groups") is not None or is_packed(y_true)
        if not in_groups and events_of(y_true, "y_true") is None:
            raise ValueError(
                f"The scorer of {self._name} got no groups. Pass `groups` with metadata routing "
                "enabled, or pack y as an (n_samples, 2) array [relevance, group]. If all rows are "
                "one query, use sklearn.metrics.make_scorer."
            )
        return self._metric(y_true, y_score, **kwargs)


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

    Raises
    ------
    ValueError
        If a quantile is not between 0 and 1.

    Examples
    --------
    >>> from sklearn_margin.metrics import make_pinball_scorer
    >>> make_pinball_scorer(0.9)
    make_scorer(pinball_loss, greater_is_better=False, response_method='predict', quantile=0.9)
    """
    check_quantiles(quantile)
    scorer = make_scorer(pinball_loss, greater_is_better=False, quantile=quantile)
    with config_context(enable_metadata_routing=True):  # else it takes no request
        return scorer.set_score_request(sample_weight=True)
