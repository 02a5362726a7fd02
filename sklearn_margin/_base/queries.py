"""Whether data of rankers have the groups, the scorers and the margin that they need."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from inspect import signature

import numpy as np

from sklearn_margin._hints import levels_to_caller
from sklearn_margin._sklearn import ROUTES_TO_SCORE

__all__ = ["check_groups_given", "check_monitors", "looks_like_grades", "warn_of_no_margin"]

_GRADES = (3, 31)  # levels; two are what AUC is about, LightGBM has gains for 31
_ROWS_PER_GRADE = 20  # on average
_LEAST_ROWS = 200


def looks_like_grades(y) -> bool:
    """Whether y is such that it rather has the grades of many queries than of one.

    Few whole numbers, many rows of each: 3 to 31 grades, 200 rows and 20 per grade at least. Two
    grades may well be one query, whose pairwise accuracy is the area under the ROC curve; real
    numbers may be a regression's; and seldom have so many documents been judged for one query.
    """
    if len(y) < _LEAST_ROWS or len(np.unique(y[:1000])) > _GRADES[1]:
        return False
    grades = np.unique(y)
    few = _GRADES[0] <= len(grades) <= min(_GRADES[1], len(y) / _ROWS_PER_GRADE)
    return few and bool(np.all(grades >= 0) and np.all(grades == np.floor(grades)))


def check_groups_given(estimator) -> None:
    """Raise if a model was fitted with groups: they are needed to judge it, too.

    Parameters
    ----------
    estimator : object
        A ranker, or a pipeline or search that ends in one; other estimators pass.
    """
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        else:
            break
    if getattr(estimator, "_has_groups", False):
        older = "" if ROUTES_TO_SCORE else (
            ". In a search over a Pipeline, scikit-learn before 1.8 wants scoring="
            "make_ranking_scorer(pairwise_accuracy_score) besides, of sklearn_margin.metrics"
        )  # fmt: skip
        raise ValueError(
            f"this {type(estimator).__name__} was fitted with groups and needs them to score: pass "
            f"groups=..., or y with the columns [relevance, group]{older}"
        )


def check_monitors(estimator, groups) -> None:
    """Raise before a fit with groups if a callback is to score it by a scorer that takes none.

    Scikit-learn's ``ScoringMonitor`` passes on to its scorers all that ``fit`` was given, and none
    of the scorers that scikit-learn has by name knows groups, be it as an argument or in y.
    """
    for callback in getattr(estimator, "_skl_callbacks", []):
        scoring = getattr(callback, "_scoring", None)  # None: the method score of the estimator
        scorers = scoring.values() if isinstance(scoring, dict) else scoring
        for scorer in scorers if isinstance(scorers, Iterable) else [scoring]:
            named = isinstance(scorer, str)
            if named or not (scorer is None or groups is None or _takes_groups(scorer)):
                raise TypeError(
                    f"{type(callback).__name__} cannot score a fit with groups by {scorer!r}, "
                    "which takes none: use sklearn_margin.metrics.make_ranking_scorer, such as "
                    f"{type(callback).__name__}(scoring=make_ranking_scorer(ndcg_score))"
                )


def _takes_groups(scorer):
    parameters = signature(getattr(scorer, "_score_func", scorer)).parameters.values()
    return any(p.name == "groups" or p.kind is p.VAR_KEYWORD for p in parameters)


def warn_of_no_margin(loss) -> None:
    """Warn of a loss by which equal scores cost nothing."""
    if getattr(loss, "margin", 1.0) == 0:
        warnings.warn(
            "with margin=0 equal scores cost nothing, so that all coefficients are best zero: "
            "set a positive margin",
            UserWarning,
            stacklevel=levels_to_caller(),
        )
