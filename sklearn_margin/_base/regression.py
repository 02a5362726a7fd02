"""Fit and predict of regressors."""

from __future__ import annotations

from typing import Any, Self

from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_array, check_consistent_length

from sklearn_margin._arrays import on_host
from sklearn_margin._base.estimator import Problem, learns_in_batches
from sklearn_margin._base.linear import LinearModel, check_offset_given, given_offset
from sklearn_margin._base.scores import predictions_in_parts
from sklearn_margin._base.tables import largest_weight, numbers_coder, parted_objectives
from sklearn_margin._hints import INIT_HINTS, available_if
from sklearn_margin._sklearn import with_callbacks
from sklearn_margin._tables import Table
from sklearn_margin._typing import Array, ArrayLike, MatrixLike, keeps_signature
from sklearn_margin._validation import check_weights, normalize_weights
from sklearn_margin.batches import Batches, by_batch_with_offset
from sklearn_margin.objective.pointwise import cast_targets

__all__ = ["OTHER_LOSSES", "BaseRegressor"]

#: Hints of regressors that have one loss.
OTHER_LOSSES = INIT_HINTS | {"loss": "for other losses there is LinearRegressor(loss=...)"}


class BaseRegressor(RegressorMixin, LinearModel):
    """Fit and predict of regressors; subclasses say which objective, or which several."""

    intercept_: Any  # a number, or an array of one for each quantile

    _coef_is_2d = False

    def _objective(self, rows, y, s):
        raise NotImplementedError

    def _objectives(self, rows, y, s):
        return [self._objective(rows, y, s)]

    @property
    def _has_several(self):
        """Whether ``coef_`` has a row, and ``intercept_`` an entry, for each problem."""
        return False

    @keeps_signature(with_callbacks)
    def fit(
        self,
        X: MatrixLike | Batches,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features. ``Batches`` hold all there is by row; to a Dask array or data frame belong
            Dask collections, with the same parts, of what else there is by row.
        y : array-like of shape (n_samples,), default=None
            Targets; None where X is ``Batches``, which hold them.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; 2 counts as two equal rows, 0 as none.
        X_val, y_val : array-like, default=None
            Validation set for ``solver=SGD(early_stopping=True)``, in place of a part of the
            training rows.
        offset : float or array-like of shape (n_samples,), default=None
            What is added to the scores before the loss sees them, with no coefficient: the
            prediction of another model, a known effect.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For a wrong parameter or wrong data; the estimator stays as it was.
        """
        return self._fit(
            self._prepare, X, y, sample_weight=sample_weight, X_val=X_val, y_val=y_val,
            offset=offset, in_batches=True,
        )  # fmt: skip

    def _prepare(self, X, y, sample_weight=None, offset=None, *, batch=False):
        if isinstance(X, Table):
            return self._prepare_table(X)
        X, y = self._validate(X, y, reset=not self._continues(batch), y_numeric=True)
        y = cast_targets(y, X.dtype)
        if batch:  # weights count relative to 1, for they must compare across batches
            s = (check_weights(sample_weight, len(y)) / len(y)).astype(X.dtype, copy=False)
        else:
            s = normalize_weights(sample_weight, len(y), X.dtype)
        rows = self._rows(X, self.fit_intercept and not batch)
        return self._with_offset(Problem(self._objectives(rows, y, s), X, y, {}), offset, batch)

    def _prepare_table(self, table):
        """As ``_prepare``, of data that are not in memory."""

        def make(rows, y, s, groups):
            return self._objectives(rows, y, s.astype(rows.dtype))

        encode = numbers_coder(table, largest_weight(table))
        objectives = parted_objectives(
            table, encode, make, center=self.fit_intercept, n_jobs=self.n_jobs,
            shares_offset=self._shares_offset,
        )  # fmt: skip
        return Problem(objectives, table, None, {"_has_offset": table.kept.offset is not None})

    def _validation(self, problem, rows, y_val):
        y_val = check_array(y_val, ensure_2d=False, dtype=problem.X.dtype, input_name="y_val")
        check_consistent_length(rows.X, y_val)
        return self._objectives(rows, y_val, normalize_weights(None, len(y_val), rows.dtype))

    def _fitted(self, problem, solutions):
        found = super()._fitted(problem, solutions)
        if self._has_several:
            return found
        return {**found, "coef_": found["coef_"][0], "intercept_": found["intercept_"][0]}

    @available_if(learns_in_batches)
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> Self:
        """Learn from a batch of rows: one pass of stochastic gradient descent.

        Features are used as they are, in any units; the steps are learned from them (see ``SGD``).
        Rows in random order are learned from best.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights.
        offset : float or array-like of shape (n_samples,), default=None
            What is added to the scores before the loss sees them, with no coefficient: the
            prediction of another model, a known effect.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError, TypeError
            For a wrong parameter or wrong data, or if ``fit_intercept`` or the number of scores of
            the loss is not that of earlier calls; the estimator stays as it was.
        """
        return self._partial_fit(X, y, sample_weight=sample_weight, offset=offset)

    @by_batch_with_offset
    def predict(self, X: MatrixLike, offset: ArrayLike | None = None) -> Array:
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features.
        offset : float or array-like of shape (n_samples,), default=None
            What is added to the predictions, as in ``fit``; None is 0. ``Batches`` hold it.

        Returns
        -------
        ndarray of shape (n_samples,); one for each batch, or a lazy Dask array
        """
        self._expect_offset(offset)
        return self._scores(X, offset)

    def score(
        self,
        X: MatrixLike | Batches,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> float:
        """Share of the variance of the targets that the model explains, R².

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features, and what is by row besides them, as in ``fit``.
        y : array-like of shape (n_samples,), default=None
            Targets; None where X is ``Batches``, which hold them.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.
        offset : float or array-like of shape (n_samples,), default=None
            What is added to the predictions, as in ``fit``; needed if that was given one.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            For wrong data, if there is no y, or if the model was fitted with an offset and none is
            given.
        """
        X, y, sample_weight, offset = map(on_host, (X, y, sample_weight, offset))
        parts = predictions_in_parts(self, X, y, sample_weight=sample_weight, offset=offset)
        if parts is not None:
            check_offset_given(self, parts.has_offset)
            return parts.r2()
        check_offset_given(self, offset is not None)
        predicted: Any = self.predict(X, **given_offset(offset))
        return float(r2_score(y, predicted, sample_weight=sample_weight))
