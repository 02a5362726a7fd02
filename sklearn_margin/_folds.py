"""Cross-validation along a path: what a fold fits, and how its models are scored."""

from __future__ import annotations

import copy
import time
import warnings
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from sklearn_margin._base.linear import LinearModel
from sklearn_margin._hints import levels_to_caller
from sklearn_margin._largest_alpha import largest_alpha
from sklearn_margin._paths import fits
from sklearn_margin._routing import last_step, transformed, with_last
from sklearn_margin.objective._blas import single_threaded

__all__ = ["Data", "Fold", "chosen", "cv_results", "fold", "grids"]

_RATIO = 1e-3  # smallest alpha of a grid over the largest, as of ``regularization_path``


class Data(NamedTuple):
    """Rows, and what is passed to a fit and to each scorer besides them."""

    X: Any
    y: Any
    to_fit: dict[str, Any]
    to_scorers: dict[str, dict[str, Any]]
    offset: Any = None  # that of the last step

    def of(self, rows) -> Data:
        """The same of some rows; what is not by row is left as it is."""
        n = _num_samples(self.X)

        def part(values):
            number = not hasattr(values, "__len__") or getattr(values, "shape", None) == ()
            several = sp.issparse(values) or not (isinstance(values, str) or number)
            if not several or _num_samples(values) != n:
                return values
            return _safe_indexing(values, rows)

        parts = [{k: part(v) for k, v in given.items()} for given in self.to_scorers.values()]
        return Data(
            _safe_indexing(self.X, rows),
            None if self.y is None else _safe_indexing(self.y, rows),
            {name: part(values) for name, values in self.to_fit.items()},
            dict(zip(self.to_scorers, parts, strict=True)),
            part(self.offset),
        )


# --- fits --------------------------------------------------------------------------------------


class _Worker(BaseEstimator):
    """Stands for a linear model, at the end of a pipeline, too: ``work(model, X, y, **params)``."""

    def __init__(self, model, work):
        self.model, self.work = model, work

    def fit(self, X, y=None, **params):
        """Work, on the features that a pipeline made."""
        self.result_ = self.work(self.model, X, y, params)
        return self

    def score(self, X, y=None, **params):
        """Scores of the models of a path."""
        return [model.score(X, y, **params) for model in self.result_.models]

    def get_metadata_routing(self):
        """What the model requests."""
        return self.model.get_metadata_routing()

    def __sklearn_tags__(self):
        return self.model.__sklearn_tags__()


class _Together:
    """Scores of rows by the models of a path: one product with X for as many models as X has
    columns, rather than one for each.

    Parameters
    ----------
    models : list of LinearModel
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    """

    def __init__(self, models, X):
        self.models, self.X, self.first = models, X, None
        self.size = max(1, X.shape[1] // len(np.atleast_2d(models[0].coef_)))

    def scorers(self) -> list[LinearModel]:
        """The models, which look up scores of X here."""
        found = []
        for k, model in enumerate(self.models):
            new = copy.copy(model)
            new._scores = partial(self._scores, k)  # type: ignore[method-assign]
            found.append(new)
        return found

    def _scores(self, k, X, offset=None):
        """Scores by model k."""
        if X is not self.X:
            return self.models[k]._scores(X, offset)
        if offset is not None:
            return self.models[k]._plus_offset(self._scores(k, X), offset)
        place = k % self.size
        if self.first != k - place:
            self.first = k - place
            some = self.models[self.first : self.first + self.size]
            many = copy.copy(some[0])
            many.coef_ = np.concatenate([np.atleast_2d(model.coef_) for model in some])
            if hasattr(many, "intercept_"):
                many.intercept_ = np.concatenate([np.atleast_1d(m.intercept_) for m in some])
            with single_threaded:  # for the same sums with any number of threads
                z = np.ascontiguousarray(many._scores(X).T)
            self.scores = z.reshape(len(some), -1, X.shape[0])
        z = self.scores[place]
        return z[0] if len(z) == 1 else np.ascontiguousarray(z.T)


class _Path(NamedTuple):
    models: list[LinearModel]
    seconds: list[float]


def _work(estimator, work, X, y, params):
    """What ``work`` makes of features that are ready for the last step, and who did it."""
    estimator = clone(estimator)
    worker = _Worker(last_step(estimator)[1], work)
    return worker, with_last(estimator, worker).fit(X, y, **params)


def grids(estimator, alphas, l1_ratios, data) -> np.ndarray:
    """Alphas for each l1_ratio, decreasing: those given, or so many from all rows.

    Returns
    -------
    ndarray of shape (n_l1_ratios, n_alphas)
    """
    if not isinstance(alphas, int):
        return np.tile(alphas, (len(l1_ratios), 1))

    def largest(model, X, y, params):
        models = [clone(model).set_params(**ratio, alpha=1.0) for ratio in l1_ratios]
        return [largest_alpha(each, X, y, params) for each in models]

    worker, _ = _work(estimator, largest, data.X, data.y, data.to_fit)
    tops = worker.result_
    return np.array([np.geomspace(top, top * _RATIO, alphas) for top in tops])


def _paths(l1_ratios, alphas, model, X, y, params):
    """A path for each l1_ratio; the models share all but what was fitted."""
    models, seconds, start = [], [], time.perf_counter()
    for ratio, grid in zip(l1_ratios, alphas, strict=True):
        walker = clone(model).set_params(**ratio, warm_start=True)
        for fitted in fits(walker, grid, X, y, params):
            models.append(copy.copy(fitted))
            seconds.append(time.perf_counter() - start)
            start = time.perf_counter()
    return _Path(models, seconds)


class Fold(NamedTuple):
    """Of each model of a fold: scores by name, seconds, and number of coefficients."""

    scores: dict[str, list[float]]
    fit_seconds: list[float]
    score_seconds: list[float]
    n_nonzero: list[int]


def fold(estimator, data, train, test, l1_ratios, alphas, scorings, error_score) -> Fold:
    """Fit the paths of a fold, and score its models on the rows that were left out."""
    size = alphas.size
    work = partial(_paths, l1_ratios, alphas)
    rows = data.of(train)
    try:
        worker, fitted = _work(estimator, work, rows.X, rows.y, rows.to_fit)
    except Exception as error:
        if error_score == "raise":
            raise
        warnings.warn(
            f"a fold could not be fitted, and gets the score {error_score}: {error}",
            FitFailedWarning,
            stacklevel=levels_to_caller(),
        )
        lost = {scoring.name: [error_score] * size for scoring in scorings}
        return Fold(lost, [0.0] * size, [0.0] * size, [0] * size)
    rows, start = data.of(test), time.perf_counter()
    ready = transformed(fitted, rows.X)
    path = worker.result_
    if hasattr(ready, "shape"):
        worker.result_ = path._replace(models=_Together(path.models, ready).scorers())
    scores: dict[str, list[float]] = {}
    for scoring in scorings:
        for score in scoring.all(worker, fitted, rows, ready):
            several = score if isinstance(score, dict) else {scoring.name: score}
            for name, value in several.items():
                scores.setdefault(name, []).append(float(value))
    seconds = (time.perf_counter() - start) / size
    counts = [int(np.count_nonzero(model.coef_)) for model in path.models]
    return Fold(scores, path.seconds, [seconds] * size, counts)


# --- tables --------------------------------------------------------------------------------------


def cv_results(folds, candidates, error_score) -> dict[str, Any]:
    """The table of a search, as that of ``GridSearchCV``."""
    results: dict[str, Any] = {}
    for what in ("fit", "score"):
        seconds = np.array([getattr(each, f"{what}_seconds") for each in folds])
        results[f"mean_{what}_time"] = seconds.mean(axis=0)
        results[f"std_{what}_time"] = seconds.std(axis=0)
    for name in candidates[0]:
        results[f"param_{name}"] = np.ma.array([each[name] for each in candidates])
    results["params"] = candidates
    lost = [error_score] * len(candidates)
    for name in max((each.scores for each in folds), key=len):
        scores = np.array([each.scores.get(name, lost) for each in folds], dtype=np.float64)
        for k, of_fold in enumerate(scores):
            results[f"split{k}_test_{name}"] = of_fold
        mean = results[f"mean_test_{name}"] = scores.mean(axis=0)
        results[f"std_test_{name}"] = scores.std(axis=0)
        known = np.where(np.isnan(mean), -np.inf, mean)
        results[f"rank_test_{name}"] = rankdata(-known, method="min").astype(np.int32)
    results["mean_n_nonzero"] = np.mean([each.n_nonzero for each in folds], axis=0)
    return results


def chosen(results, metric, rule, n_alphas) -> int:
    """Place of the model to choose; each path has ``n_alphas`` of them, decreasing."""
    best = int(results[f"rank_test_{metric}"].argmin())
    scores = []
    while f"split{len(scores)}_test_{metric}" in results:
        scores.append(results[f"split{len(scores)}_test_{metric}"][best])
    if rule == "best" or len(scores) < 2:
        return best
    error = np.std(scores, ddof=1) / np.sqrt(len(scores))
    first = best - best % n_alphas  # of the path
    mean = results[f"mean_test_{metric}"][first : best + 1]
    return first + int(np.argmax(mean >= mean[-1] - error))
