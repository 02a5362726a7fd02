"""The choice of alpha by cross-validation along regularisation paths."""

from __future__ import annotations

import time
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from sklearn_margin._arrays import on_host
from sklearn_margin._folds import Data, chosen, cv_results, fold, grids
from sklearn_margin._hints import available_if
from sklearn_margin._html import DrawnByScikitLearn
from sklearn_margin._lazy import is_dask
from sklearn_margin._paths import decreasing
from sklearn_margin._routing import (
    is_single,
    last_step,
    route,
    route_to_scorer,
    routing_enabled,
    scorings,
    splitter,
    takes_offset,
    transformed,
    with_offset,
)
from sklearn_margin._typing import Array, ArrayLike, MatrixLike
from sklearn_margin._validation import check_choice, check_number
from sklearn_margin.batches import Batches

__all__ = ["AlphaSearchCV"]

_N_ALPHAS = 50
_RULES = ("best", "one_standard_error")
_NOT_IN_MEMORY = (
    "AlphaSearchCV needs the rows in memory, for folds are parts of them, got {}: search on a "
    "sample of rows, or fit regularization_path to all and score its models on rows held out"
)


def _chosen_has(name):
    """A check that the chosen model has a method; before a fit, that the estimator has."""

    def check(search):
        if not search.refit:
            raise AttributeError(f"{name} needs refit=True: there is no model of all rows")
        getattr(getattr(search, "best_estimator_", search.estimator), name)

    return check


class AlphaSearchCV(DrawnByScikitLearn, MetaEstimatorMixin, BaseEstimator):
    """Choice of ``alpha`` by cross-validation along regularisation paths.

    As ``GridSearchCV`` over ``alpha``, with the same folds, scores and attributes, and several
    times as fast: in each fold data are validated, and transformed by a pipeline, once, and each
    fit starts from the one before.

    Parameters
    ----------
    estimator : estimator
        A classifier, regressor or ranker of this package, or a ``Pipeline`` whose last step is one.
        It is not changed, and its ``alpha`` not used.
    alphas : int or array-like of shape (n_alphas,), default=None
        Values of ``alpha``, in any order; or how many a grid has, None is 50. A grid is that of
        ``regularization_path`` on all rows, over three decades, one for each ``l1_ratio``.
    l1_ratio : float or array-like of shape (n_l1_ratios,), default=None
        Values of ``l1_ratio`` to try; None is that of the estimator.
    cv : int, splitter or iterable, default=None
        Folds, as in ``GridSearchCV``; None is 5. By default they are stratified for classifiers,
        and consist of whole groups for rankers that have groups.
    scoring : str, callable, list, tuple or dict, default=None
        One or several scorers, as in ``GridSearchCV``; None is the method ``score``.
    rule : {"best", "one_standard_error"}, default="best"
        Which alpha to choose: of the best mean score over the folds; or, simpler and nearly as
        good, the largest one of the same ``l1_ratio`` whose mean is at most one standard error of
        the best mean below it.
    refit : bool or str, default=True
        Whether to fit the chosen model to all rows. With several scorers, the name of the one to
        choose by.
    n_jobs : int, default=None
        Number of folds at a time, in threads; None is one, −1 all cores. The result is the same.
    error_score : "raise" or float, default="raise"
        Score of all models of a fold that cannot be fitted, or "raise", for its error.
    verbose : int, default=0
        Whether to say how many fits there are.

    Attributes
    ----------
    alpha_ : float
        Chosen alpha.
    l1_ratio_ : float
        Chosen ``l1_ratio``.
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
        Alphas that were tried, decreasing; a row for each ``l1_ratio`` if several were.
    best_estimator_ : estimator
        The chosen model, fitted to all rows; absent if ``refit=False``.
    best_index_ : int
        Its place in ``cv_results_``.
    best_params_ : dict
        Its parameters, to set on ``estimator``.
    best_score_ : float
        Its mean score.
    cv_results_ : dict of str to ndarray
        A table with a row for each alpha, or each pair of ``l1_ratio`` and alpha, as that of
        ``GridSearchCV``; besides, ``mean_n_nonzero`` has the mean number of coefficients that are
        not zero. In ``param_alpha`` comes the prefix of the last step if there is a pipeline.
    n_splits_ : int
        Number of folds.
    refit_time_ : float
        Seconds of the fit to all rows.
    scorer_ : callable or dict of str to callable
        The scorers.
    multimetric_ : bool
        Whether there are several.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had string column names.
    classes_ : ndarray of shape (n_classes,)
        Labels, of classifiers.

    See Also
    --------
    regularization_path : The fits of one path, of data that are not in memory, too.

    Notes
    -----
    Of metadata, such as ``sample_weight`` and ``groups``, the estimator, the scorers and the
    splitter get what they request if metadata routing is enabled. If it is not, all goes to the
    fit, and a scorer gets what it has a parameter for, so that scores are weighted, too;
    ``groups`` go to the splitter, and of rankers to the fit and the scorers. Parameters of the
    steps of a pipeline have the prefix of the step, ``groups`` need none.

    The one-standard-error rule is of Breiman, Friedman, Olshen & Stone (1984), "Classification and
    Regression Trees".

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_margin import AlphaSearchCV, LinearClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), LinearClassifier("logistic", l1_ratio=1))
    >>> search = AlphaSearchCV(model, alphas=20, rule="one_standard_error").fit(X, y)
    >>> print(f"alpha {search.alpha_:.4f}, accuracy {search.best_score_:.2f}")
    alpha 0.0301, accuracy 0.97
    """

    def __init__(
        self,
        estimator: Any,
        *,
        alphas: int | ArrayLike | None = None,
        l1_ratio: float | ArrayLike | None = None,
        cv: Any = None,
        scoring: Any = None,
        rule: str = "best",
        refit: bool | str = True,
        n_jobs: int | None = None,
        error_score: str | float = "raise",
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.alphas = alphas
        self.l1_ratio = l1_ratio
        self.cv = cv
        self.scoring = scoring
        self.rule = rule
        self.refit = refit
        self.n_jobs = n_jobs
        self.error_score = error_score
        self.verbose = verbose

    def fit(self, X: MatrixLike, y: ArrayLike | None = None, **params: Any) -> Self:
        """Fit the paths of all folds, choose, and fit the chosen model to all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, 2), default=None
            Labels, targets or relevance, as in the ``fit`` of the estimator.
        **params
            Metadata, such as ``sample_weight`` and ``groups``; of what has as many entries as there
            are rows, each fold gets its part.

        Returns
        -------
        self : object
            Fitted search.

        Raises
        ------
        ValueError, TypeError
            For wrong parameters or data, and whatever the estimator, a scorer or the splitter
            raises.
        """
        prefix, _ = last_step(self.estimator)
        alphas, ratios = self._candidates()
        scorers = self._scorers()
        if isinstance(X, Batches) or is_dask(X):
            raise TypeError(_NOT_IN_MEMORY.format(type(X)))
        X, y = indexable(on_host(X), on_host(y))
        params = {name: on_host(values) for name, values in params.items()}
        given = route(self, params, scorers)
        cv, to_split = splitter(self, y, params, given.to_split)
        splits = list(cv.split(X, y, **to_split))
        offset = given.to_fit.get("offset", given.to_fit.get(f"{prefix}offset"))
        data = Data(X, y, given.to_fit, given.to_scorers, offset)
        tried = grids(self.estimator, alphas, ratios, data)
        if self.verbose > 0:
            print(f"{len(splits)} folds of {tried.size} fits each")
        work = delayed(fold)
        folds = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            work(self.estimator, data, train, test, ratios, tried, scorers, self.error_score)
            for train, test in splits
        )
        candidates = [
            {f"{prefix}{name}": value for name, value in {"alpha": float(alpha), **ratio}.items()}
            for ratio, grid in zip(ratios, tried, strict=True)
            for alpha in grid
        ]
        results = cv_results(folds, candidates, self.error_score)
        metric = self._metric(results)
        self.cv_results_, self.n_splits_ = results, len(splits)
        ratio: Any = self.l1_ratio
        self.alphas_ = tried[0] if np.ndim(ratio) == 0 else tried
        by_name = {each.name: each.call for each in scorers}
        self.scorer_ = by_name["score"] if is_single(self.scoring) else by_name
        self.multimetric_ = metric != "score"
        if metric is not None:
            self._choose(chosen(results, metric, self.rule, tried.shape[1]), metric, prefix)
        self.__dict__.pop("best_estimator_", None)
        if self.refit:
            self._fit_chosen(X, y, given.to_fit)
        return self

    def _choose(self, k, metric, prefix):
        """Set the attributes of the model at place k of the table."""
        self.best_index_, self.best_params_ = k, self.cv_results_["params"][k]
        self.best_score_ = float(self.cv_results_[f"mean_test_{metric}"][k])
        own = last_step(self.estimator)[1].l1_ratio
        self.alpha_ = self.best_params_[f"{prefix}alpha"]
        self.l1_ratio_ = self.best_params_.get(f"{prefix}l1_ratio", own)

    def _fit_chosen(self, X, y, to_fit):
        start = time.perf_counter()
        self.best_estimator_ = clone(self.estimator).set_params(**self.best_params_)
        self.best_estimator_.fit(X, y, **to_fit)
        self.refit_time_ = time.perf_counter() - start
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_

    @available_if(_chosen_has("score"))
    def score(self, X: MatrixLike, y: ArrayLike | None = None, **params: Any) -> float:
        """Score of the chosen model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, 2), default=None
            Labels, targets or relevance.
        **params
            Metadata for the scorer, as in ``fit``.

        Returns
        -------
        float
            By ``scoring``, of several scorers by the one named ``refit``.

        Raises
        ------
        ValueError, TypeError
            For wrong data, and whatever the scorer raises.
        """
        check_is_fitted(self)
        several = scorings(self.estimator, self.scoring)
        scoring = next((each for each in several if each.name == self.refit), several[0])
        estimator, (prefix, model) = self.best_estimator_, last_step(self.best_estimator_)
        offset = None
        if not takes_offset(scoring, model):
            offset = params.pop("offset", params.pop(f"{prefix}offset", None))
        given = route_to_scorer(self, params, scoring)
        if offset is not None or (scoring.looks_at_predictions and not routing_enabled()):
            estimator, X = model, transformed(estimator, X)
        if offset is not None:
            estimator = with_offset(estimator, offset)
        score = scoring.one(estimator, X, y, given)
        return score[self.refit] if isinstance(score, dict) else score

    @available_if(_chosen_has("predict"))
    def predict(self, X: MatrixLike, offset: ArrayLike | None = None) -> Array:
        """Predictions of the chosen model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        offset : float or array-like of shape (n_samples,) or (n_samples, n_scores), default=None
            What is added to the scores of the chosen model, as in ``fit``; None is 0.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_quantiles)
        """
        return self._predicted("predict", X, offset)

    @available_if(_chosen_has("decision_function"))
    def decision_function(self, X: MatrixLike, offset: ArrayLike | None = None) -> Array:
        """Scores of the chosen model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        offset : float or array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            What is added to the scores, as in ``fit``; None is 0.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        return self._predicted("decision_function", X, offset)

    @available_if(_chosen_has("predict_proba"))
    def predict_proba(self, X: MatrixLike, offset: ArrayLike | None = None) -> Array:
        """Probabilities of the classes of the chosen model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        offset : float or array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            What is added to the scores, as in ``fit``; None is 0.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return self._predicted("predict_proba", X, offset)

    def _predicted(self, method, X, offset) -> Array:
        """What a method of the chosen model predicts; an offset is for its last step."""
        check_is_fitted(self)
        estimator = self.best_estimator_
        if offset is None:
            found: Array = getattr(estimator, method)(X)
        else:
            model = last_step(estimator)[1]
            found = getattr(model, method)(transformed(estimator, X), offset=offset)
        return found

    @property
    def classes_(self) -> Array:
        """Labels, of classifiers."""
        labels: Array = self._of_chosen("classes_")
        return labels

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return int(self._of_chosen("n_features_in_"))

    def _of_chosen(self, name):
        if not hasattr(self, "best_estimator_"):
            raise AttributeError(
                f"{type(self).__name__} has no {name} before a fit with refit=True"
            )
        return getattr(self.best_estimator_, name)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type, tags.input_tags = inner.estimator_type, inner.input_tags
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.target_tags = inner.target_tags
        return tags

    # --- what is tried, and who gets what ---

    def _candidates(self):
        """Alphas or their number, and what else to set for each path."""
        check_choice(self.rule, "rule", _RULES)
        alphas: Any = _N_ALPHAS if self.alphas is None else self.alphas
        if isinstance(alphas, Integral):
            check_number(alphas, "alphas", minimum=1, integer=True)
            alphas = int(alphas)
        else:
            alphas = decreasing(alphas)
        if self.l1_ratio is None:
            return alphas, [{}]
        ratios = np.atleast_1d(np.asarray(self.l1_ratio, dtype=object)).tolist()
        for ratio in ratios:
            check_number(ratio, "l1_ratio", minimum=0, maximum=1)
        if not ratios:
            raise ValueError("l1_ratio must not be empty")
        return alphas, [{"l1_ratio": float(ratio)} for ratio in ratios]

    def _scorers(self):
        """The scorers; raises if it is clear that none of them is the one to choose by."""
        found = scorings(self.estimator, self.scoring)
        if not is_single(self.scoring):
            self._metric({f"mean_test_{each.name}": None for each in found})
        return found

    def _metric(self, results):
        """Name of the score to choose by; None if nothing is to be chosen."""
        if is_single(self.scoring) and "mean_test_score" in results:
            return "score"
        if self.refit is not False and f"mean_test_{self.refit}" not in results:
            names = [k.removeprefix("mean_test_") for k in results if k.startswith("mean_test_")]
            raise ValueError(
                f"refit must be the name of the score to choose by, one of {names}, or False, got "
                f"{self.refit!r}"
            )
        return self.refit or None

    def get_metadata_routing(self) -> MetadataRouter:
        """Who requests which metadata: the estimator, the splitter and the scorers.

        Returns
        -------
        routing : MetadataRouter
        """
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        to_split = MethodMapping().add(caller="fit", callee="split")
        router = MetadataRouter(owner=self)
        router.add(estimator=self.estimator, method_mapping=to_fit)
        router.add(splitter=self.cv, method_mapping=to_split)
        for scoring in scorings(self.estimator, self.scoring):
            to_score = MethodMapping().add(caller="fit", callee="score")
            scorer = self.estimator if scoring.given is None else scoring.call
            router.add(
                **{f"scorer_{scoring.name}": scorer},
                method_mapping=to_score.add(caller="score", callee="score"),
            )
        return router
