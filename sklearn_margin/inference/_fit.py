"""A fitted model on its data: the problems it solved, and where it ended."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_margin._arrays import on_host
from sklearn_margin._base.linear import LinearModel
from sklearn_margin._base.ranking import BaseRanker
from sklearn_margin._groups import encode_groups
from sklearn_margin._hints import check_rows
from sklearn_margin._lazy import is_dask
from sklearn_margin._validation import check_weights
from sklearn_margin.batches import Batches
from sklearn_margin.losses import RegressionLoss

__all__ = ["Fit"]

_CHUNK = 2_000_000  # entries of rows that are dense at a time


class Fit:
    """A fitted model on the data that it was fitted to.

    Parameters
    ----------
    estimator : estimator
        A fitted model of the package, or a pipeline that ends with one.
    X, y, sample_weight, groups, offset
        As ``coef_inference`` is given them.

    Attributes
    ----------
    model : LinearModel
        The last step.
    objectives : list of LinearObjective
        What it minimised, on rows of float64.
    params : list of ndarray
        Where it ended, in the coordinates of each objective.
    groups : ndarray of int of shape (n,) or None
        Groups of dependent rows, for rankers the queries.
    total_weight : float
        Sum of the weights as they were given.
    """

    def __init__(self, estimator, X, y, sample_weight, groups, offset=None):
        self.model, X, names = _last_step(estimator, X)
        model = self.model
        _check_model(model)
        _check_data(X, y)
        X, y, sample_weight, groups, offset = map(on_host, (X, y, sample_weight, groups, offset))
        if offset is None and getattr(model, "_has_offset", False):
            raise ValueError("the model was fitted with an offset: pass it as offset=...")
        check_rows(X)
        X = validate_data(model, X, reset=False, accept_sparse="csr", dtype=np.float64, order="C")
        n, d = X.shape
        self.twin = clone(model).set_params(n_jobs=1, warm_start=False)
        self.twin._column_names = getattr(model, "feature_names_in_", None)
        self.twin._check_params()
        self.is_ranker = isinstance(model, BaseRanker)
        given = {"groups": groups} if self.is_ranker else {}
        problem = self.twin._prepare(X, y, sample_weight=sample_weight, offset=offset, **given)
        self.objectives = [_without_offset(objective) for objective in problem.objectives]
        self._check_targets(problem)
        pairs = zip(self.objectives, model._solutions(problem), strict=True)
        self.params = [objective.from_coef(*solution) for objective, solution in pairs]
        self.groups = self._encode(groups, n)
        self.total_weight = float(check_weights(sample_weight, n).sum())
        self.used = self.objectives[0].s > 0
        self.n = int(np.count_nonzero(self.used))
        names = [f"x{j}" for j in range(d)] if names is None else [str(name) for name in names]
        self.has_intercept = self.objectives[0].fit_intercept
        self.names = ["intercept", *names] if self.has_intercept else names
        _check_penalty(self)

    def _encode(self, groups, n):
        if self.is_ranker:
            return self.objectives[0].groups
        return None if groups is None else encode_groups(groups, n)

    def _check_targets(self, problem):
        classes = problem.known.get("classes_")
        if classes is not None and not np.array_equal(classes, self.model.classes_):
            raise ValueError(
                f"y holds the classes {classes}, and the model was fitted to {self.model.classes_}"
            )

    @property
    def n_params(self):
        """Parameters of one row of coefficients."""
        return len(self.names)

    @property
    def n_rows(self):
        """Rows of coefficients."""
        return sum(objective.n_outputs for objective in self.objectives)

    @property
    def targets(self):
        """What the rows are of; None if there is one, without a name."""
        if hasattr(self.model, "classes_"):
            return None if self.n_rows == 1 else self.model.classes_.tolist()
        quantiles = getattr(self.model, "_quantiles", None)
        return quantiles.tolist() if self.coef.ndim == 2 and quantiles is not None else None

    @cached_property
    def coef(self):
        """Intercept and coefficients, with a row for each problem if the model has such."""
        model = self.model
        coef = np.atleast_2d(np.asarray(model._dense_coef(), dtype=np.float64))
        if self.has_intercept:
            coef = np.column_stack([np.atleast_1d(model.intercept_), coef])
        several = self.n_rows > 1 or getattr(model, "_has_several", False)
        return coef if several else coef[0]

    def to_raw(self, objective):
        """Matrix that turns parameters of an objective into intercept and coefficients, row after
        row of these."""
        rows, k = objective.rows, objective.n_outputs
        d, first = rows.shape[1], int(self.has_intercept)
        width = d + first
        one = np.zeros((width, width))
        one[first:, :d] = np.diag(1.0 / rows.scale)
        if first:
            one[0, :d], one[0, d] = -rows.shift / rows.scale, 1.0
        if k == 1:
            return one
        whole = np.zeros((k * width, k * width))
        for c in range(k):
            mine = np.r_[c * d : (c + 1) * d, [k * d + c] * first].astype(int)
            whole[np.ix_(range(c * width, (c + 1) * width), mine)] = one
        return whole

    @cached_property
    def raw(self):
        """As ``to_raw``, of all objectives, one after the other."""
        return [self.to_raw(objective) for objective in self.objectives]

    def name_of(self, j, n_params):
        """Name of the feature of parameter ``j`` of ``n_params``, those of intercepts last."""
        d = self.n_params - self.has_intercept
        if j >= n_params // self.n_params * d:
            return "the intercept"
        return self.names[self.has_intercept + j % d]

    @property
    def is_penalized(self):
        """Whether there is a penalty."""
        return not all(objective.penalty.is_zero for objective in self.objectives)

    @property
    def tol(self):
        """Relative accuracy of a fit whose errors are small beside the standard errors, of which
        the objective is aware by some 1/n."""
        return max(1e-4 / self.n, 1e-12)

    def solve(self, objective, start):
        """Result of the solver for an objective that is like those of the fit.

        An error of a few hundredths of a standard error, as 1e-3/n leaves at most, adds next to
        nothing to the spread of replicates.
        """
        solver = self.twin._choose_solver(objective)
        return solver.solve(
            objective, start, tol=1e-3 / self.n, max_iter=max(self.model.max_iter, 1000),
            random_state=np.random.RandomState(0),
        )  # fmt: skip

    def dense_rows(self):
        """Ranges of the rows, and these as dense standardised matrices with a column of ones for
        the intercept."""
        rows = self.objectives[0].rows
        n, d = rows.shape
        step = max(1, _CHUNK // (d + 1))
        for first in range(0, n, step):
            where = slice(first, min(first + step, n))
            Z = rows.dense(where)
            yield where, np.column_stack([Z, np.ones(len(Z))]) if self.has_intercept else Z


def _last_step(estimator, X):
    """The last step of a pipeline, what it sees of X, and names of features; None if unknown."""
    if not isinstance(estimator, Pipeline):
        return estimator, X, getattr(estimator, "feature_names_in_", None)
    model = estimator[-1]
    before = estimator[:-1]
    names = getattr(model, "feature_names_in_", None)
    if len(before.steps):
        X = before.transform(X)
        if names is None:
            try:
                names = before.get_feature_names_out()
            except (AttributeError, ValueError):  # a step does not know
                names = None
    return model, X, names


def _check_model(model):
    if not isinstance(model, LinearModel):
        raise TypeError(
            "estimator must be a classifier, regressor or ranker of sklearn_margin, or a pipeline "
            f"that ends with one, got {model!r}"
        )
    check_is_fitted(model)
    if "_stream_states" in vars(model):
        raise ValueError(
            "coefficients of partial_fit are no minimum, so that nothing is known of their errors: "
            "use fit, with another solver than 'sgd'"
        )
    if hasattr(model, "thresholds_"):
        raise ValueError(f"inference of {type(model).__name__} is not supported")


def _without_offset(objective):
    """The same objective with targets less the offset, if its loss is of residuals."""
    offset = objective.offset
    if offset is None or not isinstance(objective.loss, RegressionLoss) or offset.ndim > 1:
        return objective
    return objective.with_offset(None).with_labels(objective.y - offset)


def _check_data(X, y):
    if isinstance(X, Batches) or is_dask(X):
        raise TypeError("inference needs rows in memory: draw a sample of them, and fit it")
    if y is None:
        raise ValueError("y must be given: inference needs the data that the model was fitted to")


def _check_penalty(fit):
    """Raise ``ValueError`` for problems whose estimates have no known distribution."""
    for objective, params in zip(fit.objectives, fit.params, strict=True):
        loss, penalty = objective.loss, objective.penalty
        if not (loss.convex and loss.splits):
            what = "is not convex" if loss.splits else "is of all rows together"
            raise ValueError(
                f"the loss {type(loss).__name__} {what}: inference is for minima that are unique, "
                "of means over rows or pairs"
            )
        if penalty.has_l1:
            raise ValueError(
                "an L1 penalty chooses features, and after that neither standard errors nor the "
                "bootstrap hold: refit with alpha=0 on the features chosen, better on other rows"
            )
        if not penalty.has_bounds:
            continue
        u, _ = objective.split(params)
        slack = 1e-9 * np.maximum(np.abs(u), 1.0)
        held = (u <= penalty.lower + slack) | (u >= penalty.upper - slack)
        if held.any():
            j = int(np.flatnonzero(held)[0]) % objective.rows.shape[1]
            raise ValueError(
                f"the coefficient of {fit.names[fit.has_intercept + j]} is at a bound, or left "
                "out, where errors are not symmetric: refit without this feature, or its bound"
            )
