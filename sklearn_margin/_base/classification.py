"""Fit and predict of classifiers."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from sklearn_margin._arrays import on_host, scores_on_host
from sklearn_margin._base.estimator import Problem, learns_in_batches
from sklearn_margin._base.linear import LinearModel, check_offset_given, given_offset
from sklearn_margin._base.scores import accuracy, predictions_in_parts
from sklearn_margin._base.tables import (
    class_totals,
    classes_coder,
    largest_weight,
    parted_objectives,
)
from sklearn_margin._hints import available_if
from sklearn_margin._sklearn import column_or_1d, with_callbacks
from sklearn_margin._tables import Table
from sklearn_margin._typing import Array, ArrayLike, MatrixLike, keeps_signature
from sklearn_margin._validation import check_number, check_weights, normalize_weights
from sklearn_margin.batches import Batches, by_batch_with_offset
from sklearn_margin.losses import BatchLoss, MulticlassLoss
from sklearn_margin.objective import MulticlassObjective, PointwiseObjective

__all__ = ["BaseClassifier"]


def _has_probability(estimator):
    estimator._check_probability()


class BaseClassifier(ClassifierMixin, LinearModel):
    """Fit and predict of classifiers; subclasses say which loss."""

    classes_: Array
    intercept_: Array

    __metadata_request__decision_function = {"offset": True}
    __metadata_request__predict_proba = {"offset": True}
    __metadata_request__predict_log_proba = {"offset": True}

    def _loss(self):
        raise NotImplementedError

    def _fitted_loss(self):
        """The loss that the coefficients are of, whatever ``loss`` may be by now."""
        kept = getattr(self, "_loss_of_fit", None)
        return self._loss() if kept is None else kept

    def _check_probability(self):
        """Raise ``AttributeError`` unless there are probabilities."""
        loss = self._fitted_loss()
        if not hasattr(loss, "probability"):
            raise AttributeError(
                f"predict_proba is not available: the loss {type(loss).__name__} defines no "
                "probabilities"
            )

    def _probability(self, scores):
        """Probabilities by scores: of all classes, of the second of two, or of each against the
        rest."""
        return self._fitted_loss().probability(scores)

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
            Labels of any type; None where X is ``Batches``, which hold them.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; 2 counts as two equal rows, 0 as none.
        X_val, y_val : array-like, default=None
            Validation set for ``solver=SGD(early_stopping=True)``, in place of a part of the
            training rows.
        offset : float or array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            What is added to the scores before the loss sees them, with no coefficient: the margin
            of another model, a known effect. A column for each class if there are more than two.

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

    def _prepare(self, X, y, sample_weight=None, classes=None, offset=None, *, batch=False):
        if isinstance(X, Table):
            return self._prepare_table(X)
        loss, continues = self._loss(), self._continues(batch)
        X, y = self._validate(X, y, reset=not continues)
        check_classification_targets(y)
        if batch:
            classes = self._known_classes(y, classes)
            if len(classes) < 2:
                raise ValueError(f"classes must hold at least 2 classes, got {classes}")
            s = self._batch_weights(loss, y, sample_weight, classes).astype(X.dtype, copy=False)
        else:
            classes, s = self._classes_and_weights(loss, y, sample_weight, X.dtype)
        loss = loss.for_classes(len(classes))
        rows = self._rows(X, self.fit_intercept and not batch)
        objectives = self._objectives(loss, rows, y, s, classes)
        if batch and len(getattr(self, "_stream_states", objectives)) != len(objectives):
            raise ValueError(
                "partial_fit cannot change between a loss of all classes at once and one that is "
                f"fitted one against the rest: got loss={loss!r}"
            )
        # A copy of the loss, for its parameters may be set anew.
        known = {"classes_": classes, "_loss_of_fit": copy.deepcopy(loss)}
        return self._with_offset(Problem(objectives, X, y, known), offset, batch)

    def _prepare_table(self, table):
        """As ``_prepare``, of data that are not in memory."""
        loss, top = self._loss(), largest_weight(table)
        if not loss.splits:
            raise ValueError(
                f"the loss {type(loss).__name__} is of all rows together, and {table.why_elsewhere}"
                ": learn from mini-batches with solver='sgd' and partial_fit, or fit a sample"
            )
        labels, totals = class_totals(table, top)
        classes, s = self._classes_and_weights(loss, labels, totals, np.float64)
        loss = loss.for_classes(len(classes))
        factors = np.divide(s, totals, out=np.zeros_like(s), where=totals > 0)
        encode = classes_coder(labels, factors, classes, top)
        codes = np.arange(len(classes))

        def make(rows, y, s, groups):
            return self._objectives(loss, rows, y, s.astype(rows.dtype), codes)

        y, s, _ = encode(table.kept)
        objectives = parted_objectives(
            table, encode, make, center=self.fit_intercept, n_jobs=self.n_jobs,
            labels=codes[1:] if len(codes) == 2 else codes,
            is_sample=np.isin(codes, y[np.broadcast_to(s, y.shape) > 0]).all(),
        )  # fmt: skip
        known = {"classes_": classes, "_loss_of_fit": copy.deepcopy(loss)}
        known["_has_offset"] = table.kept.offset is not None
        return Problem(objectives, table, None, known)

    def _n_tasks(self):
        return None  # the classes are not known yet, nor whether each is a problem

    def _classes_and_weights(self, loss, y, sample_weight, dtype):
        """Classes of the rows of a fit, and the weights of the rows."""
        s = normalize_weights(sample_weight, len(y), dtype)
        classes = np.unique(y[s > 0])
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 classes with a positive sample_weight, "
                f"got {len(classes)} class: {classes}"
            )
        if self.class_weight is not None:
            s = s * self._class_factors(y, s, classes)
            if np.count_nonzero([s[y == label].any() for label in classes]) < 2:
                raise ValueError(
                    f"class_weight={self.class_weight!r} leaves less than 2 classes with a "
                    "positive weight: one class cannot be fitted"
                )
            s = normalize_weights(s, len(y), dtype)
        if not loss.splits:  # the total of the weights matters
            s *= check_weights(sample_weight, len(y)).sum()
        return classes, s

    def _batch_weights(self, loss, y, sample_weight, classes):
        """Weights of the rows of a batch, relative to 1, for they must compare across batches."""
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} needs all data at once: pass a dict of "
                "weights to partial_fit"
            )
        s = check_weights(sample_weight, len(y)) * self._class_factors(y, None, classes)
        return s / (len(y) if loss.splits else 1)

    def _objectives(self, loss, rows, y, s, classes):
        """One objective for all classes, or one for each against the rest."""
        if not loss.splits:
            loss.check_batch_weights(s)
        settings = {"penalty": self._penalty(rows.shape[1]), "fit_intercept": self.fit_intercept}
        if len(classes) > 2 and isinstance(loss, (MulticlassLoss, BatchLoss)):
            # Rows of weight 0 may have a label that is no class.
            index = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
            return [MulticlassObjective(loss, rows, index, s, n_outputs=len(classes), **settings)]
        positives = classes[1:] if len(classes) == 2 else classes
        one = rows.dtype.type(1)
        targets = [np.where(y == label, one, -one) for label in positives]
        return [PointwiseObjective(loss, rows, target, s, **settings) for target in targets]

    def _validation(self, problem, rows, y_val):
        classes = problem.known["classes_"]
        y_val = column_or_1d(y_val, input_name="y_val")
        check_consistent_length(rows.X, y_val)
        unknown = np.setdiff1d(y_val, classes)
        if len(unknown):
            raise ValueError(f"y_val holds labels that are not in y: {unknown}")
        loss = problem.objectives[0].loss
        equal = normalize_weights(None, len(y_val), rows.dtype) * (1 if loss.splits else len(y_val))
        return self._objectives(loss, rows, y_val, equal, classes)

    def _is_of(self, problem):
        return super()._is_of(problem) and np.array_equal(self.classes_, problem.known["classes_"])

    def _class_factors(self, y, s, classes):
        """Class weight of each row; 0 for rows of no class, which have weight 0."""
        if self.class_weight is None:
            return np.ones(len(y))
        factors = [1.0] * len(classes)
        if isinstance(self.class_weight, dict):
            unknown = set(self.class_weight) - set(classes.tolist())
            if unknown:
                raise ValueError(f"class_weight names labels that are not in y: {unknown}")
            for k, label in enumerate(classes.tolist()):
                factors[k] = self.class_weight.get(label, 1.0)
                check_number(factors[k], f"class_weight[{label!r}]", minimum=0)
        elif isinstance(self.class_weight, str) and self.class_weight == "balanced":
            factors = [1.0 / s[y == label].sum() for label in classes]
        else:
            raise ValueError(
                f"class_weight must be a dict, 'balanced' or None, got {self.class_weight!r}"
            )
        known = np.isin(y, classes)
        by_row = np.zeros(len(y))
        by_row[known] = np.array(factors)[np.searchsorted(classes, y[known])]
        return by_row

    @available_if(learns_in_batches)
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
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
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed at the first call.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights.
        offset : float or array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            What is added to the scores before the loss sees them, with no coefficient: the margin
            of another model, a known effect. A column for each class if there are more than two.

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
        return self._partial_fit(X, y, classes=classes, sample_weight=sample_weight, offset=offset)

    @by_batch_with_offset
    def decision_function(self, X: MatrixLike, offset: ArrayLike | None = None) -> Array:
        """Scores: positive for the second of two classes, highest for the class predicted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features.
        offset : float or array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            What is added to the scores, as in ``fit``; None is 0. ``Batches`` hold it.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            One for each batch, or a lazy Dask array.
        """
        return self._scores(X, offset)

    @by_batch_with_offset
    def predict(self, X: MatrixLike, offset: ArrayLike | None = None) -> Array:
        """Predict labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features.
        offset : float or array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            What is added to the scores, as in ``fit``; None is 0. ``Batches`` hold it.

        Returns
        -------
        ndarray of shape (n_samples,); one for each batch, or a lazy Dask array
        """
        self._expect_offset(offset)
        scores, give = scores_on_host(self.decision_function(X, **given_offset(offset)))
        index = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        return give(self.classes_[index])

    def score(
        self,
        X: MatrixLike | Batches,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> float:
        """Share of the labels that are predicted right, the accuracy.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features, and what is by row besides them, as in ``fit``.
        y : array-like of shape (n_samples,), default=None
            Labels; None where X is ``Batches``, which hold them.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.
        offset : float or array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            What is added to the scores, as in ``fit``; needed if that was given one.

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
            return parts.accuracy()
        check_offset_given(self, offset is not None)
        labels: Any = self.predict(X, **given_offset(offset))
        return accuracy(y, labels, sample_weight)

    @available_if(_has_probability)
    @by_batch_with_offset
    def predict_proba(self, X: MatrixLike, offset: ArrayLike | None = None) -> Array:
        """Predict probabilities of classes.

        Available if the loss defines probabilities, or if they were asked for
        (``HingeClassifier.probability``). Those of a loss that is fitted one against the rest are
        normalised.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features.
        offset : float or array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            What is added to the scores, as in ``fit``; None is 0. ``Batches`` hold it.

        Returns
        -------
        ndarray of shape (n_samples, n_classes); one for each batch, or a lazy Dask array
        """
        self._expect_offset(offset)
        scores, give = scores_on_host(self.decision_function(X, **given_offset(offset)))
        probability = self._probability(scores)
        if isinstance(self._fitted_loss(), MulticlassLoss):
            return give(probability)
        if probability.ndim == 1:  # of the second of two classes
            both = np.empty((len(probability), 2), probability.dtype)
            np.subtract(1.0, probability, out=both[:, 0])
            both[:, 1] = probability
            return give(both)
        total = probability.sum(axis=1, keepdims=True)
        uniform = np.full_like(probability, 1.0 / probability.shape[1])
        return give(np.divide(probability, total, out=uniform, where=total > 0))

    @available_if(_has_probability)
    @by_batch_with_offset
    def predict_log_proba(self, X: MatrixLike, offset: ArrayLike | None = None) -> Array:
        """Logarithms of ``predict_proba``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features.
        offset : float or array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            What is added to the scores, as in ``fit``; None is 0. ``Batches`` hold it.

        Returns
        -------
        ndarray of shape (n_samples, n_classes); one for each batch, or a lazy Dask array
        """
        probability, give = scores_on_host(self.predict_proba(X, **given_offset(offset)))
        return give(np.log(probability))
