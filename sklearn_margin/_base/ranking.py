"""Fit, predict and score of rankers: pairs are made from labels, or given."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import check_consistent_length

from sklearn_margin._arrays import on_host
from sklearn_margin._base.estimator import Problem, learns_in_batches
from sklearn_margin._base.linear import LinearModel, check_offset_given, given_offset
from sklearn_margin._base.queries import (
    check_groups_given,
    check_monitors,
    looks_like_grades,
    warn_of_no_margin,
)
from sklearn_margin._base.scores import predictions_in_parts
from sklearn_margin._base.tables import grades_coder, largest_weight, parted_objectives
from sklearn_margin._groups import (
    encode_groups,
    events_of,
    inverse_propensity,
    unpack_target,
)
from sklearn_margin._hints import INIT_HINTS, PAIR_HINTS, available_if, levels_to_caller
from sklearn_margin._sklearn import with_callbacks
from sklearn_margin._tables import Table
from sklearn_margin._typing import Array, ArrayLike, MatrixLike, keeps_signature
from sklearn_margin._validation import normalize_weights
from sklearn_margin.batches import Batches, by_batch_with_offset
from sklearn_margin.losses.listwise import ListwiseSoftmax
from sklearn_margin.losses.pairs.given import check_signs
from sklearn_margin.metrics import concordance_index_score, pairwise_accuracy_score
from sklearn_margin.objective import (
    ListwiseObjective,
    PairwiseObjective,
    PointwiseObjective,
    Rows,
)

__all__ = ["BaseRanker"]


class BaseRanker(LinearModel):
    """Fit, predict and score of rankers; subclasses say which loss."""

    n_pairs_: int

    # Under metadata routing, groups reach fit and score without any set_*_request.
    __metadata_request__fit = {"groups": True}
    __metadata_request__partial_fit = {"groups": True}
    __metadata_request__score = {"groups": True}

    _coef_is_2d = False
    _init_hints = INIT_HINTS | PAIR_HINTS

    def _loss(self):
        raise NotImplementedError

    @keeps_signature(with_callbacks)
    def fit(
        self,
        X: MatrixLike | Batches,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        propensity: ArrayLike | None = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features. ``Batches`` hold all there is by row; to a Dask array or data frame belong
            Dask collections, with the same parts, of what else there is by row.
        y : array-like of shape (n_samples,) or (n_samples, 2), default=None
            Relevance, graded or real-valued, higher is better; or the columns
            [relevance, group], for use where only y is passed on. None where X is ``Batches``,
            which hold it. Or censored times: a structured array with the fields event (bool) and
            time, of which the pairs count whose order is known, the earlier time being an event.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; a pair has the product of the weights of its rows.
        groups : array-like of shape (n_samples,), default=None
            Group (query) of each row, of any type and in any order. Rows are compared within
            a group only. None, with a one-dimensional y, is one group.
        X_val, y_val : array-like, default=None
            Validation set for ``solver=SGD(early_stopping=True)``, in place of a part of the
            training groups; y_val has the columns [relevance, group] if there are groups.
        offset : float or array-like of shape (n_samples,), default=None
            What is added to the scores before the loss sees them, with no coefficient: the
            score of another model, a known effect. One that all rows of a group share changes
            nothing.
        propensity : array-like of shape (n_samples,), default=None
            Probability, above 0 and at most 1, that a relevant row was seen and its click
            recorded, where y are clicks. The weight of a pair is divided by that of its better row,
            and gains in lists are divided by it.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For a wrong parameter or wrong data; the estimator stays as it was.
        """
        prepare = partial(self._prepare_fit, propensity=propensity)
        return self._fit(
            prepare, X, y, sample_weight=sample_weight, groups=groups, X_val=X_val, y_val=y_val,
            offset=offset, in_batches=True,
        )  # fmt: skip

    def _prepare_fit(self, X, y, **given):
        """The problem of a fit; what is odd about it is warned of."""
        problem = self._prepare(X, y, **given)
        if problem.known["_has_groups"]:
            check_monitors(self, given.get("groups"))
        if problem.known["n_pairs_"] == 0:
            warnings.warn(
                "no group holds two rows of different relevance: all coefficients are zero",
                UserWarning,
                stacklevel=levels_to_caller(),
            )
        else:
            warn_of_no_margin(problem.objectives[0].loss)
        return problem

    def _prepare(
        self, X, y, sample_weight=None, groups=None, offset=None, *, propensity=None, batch=False
    ):
        if isinstance(X, Table):
            if propensity is not None:
                raise ValueError(f"propensity is for rows in memory only: {X.why_elsewhere}")
            return self._prepare_table(X)
        continues = self._continues(batch)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        X = self._validate(X, "no_validation", reset=not continues)
        if sample_weight is None:  # an array that takes no memory
            s = np.broadcast_to(1.0 / X.shape[0], X.shape[0])
        else:
            s = normalize_weights(sample_weight, X.shape[0], np.float64)
        objective = self._objective(self._rows(X, True), y, s, groups, propensity)
        if not continues and objective.groups is None and looks_like_grades(objective.y):
            warnings.warn(
                f"{type(self).__name__} got grades y without groups, and compares all rows with "
                "each other. If they belong to several queries, pass groups, with metadata routing "
                "enabled inside a search, or y with the columns [relevance, group]; if all rows "
                "are one query, groups=numpy.zeros(len(y)) says so",
                UserWarning,
                stacklevel=levels_to_caller(),
            )
        has_groups, n_pairs = objective.groups is not None, int(objective.pairs.n_pairs)
        if batch:
            has_groups = has_groups or getattr(self, "_has_groups", False)
            n_pairs += getattr(self, "n_pairs_", 0)
        known = {"n_pairs_": n_pairs, "_has_groups": has_groups}
        return self._with_offset(Problem([objective], X, y, known), offset, batch)

    _unpack = staticmethod(unpack_target)

    def _prepare_table(self, table):
        """As ``_prepare``, of data that are not in memory."""
        if table.kept.groups is None:
            raise ValueError(
                f"{type(self).__name__} needs groups here: without them all rows are compared with "
                f"each other, and {table.why_elsewhere}"
            )

        def make(rows, y, s, groups):
            return [self._objective(rows, y, s, groups)]

        encode = grades_coder(table, largest_weight(table))
        objectives = parted_objectives(table, encode, make, center=True, n_jobs=self.n_jobs)
        known = {"n_pairs_": int(objectives[0].n_pairs), "_has_groups": True}
        known["_has_offset"] = table.kept.offset is not None
        return Problem(objectives, table, None, known)

    def _validation(self, problem, rows, y_val):
        return [self._objective(rows, y_val, np.ones(rows.shape[0]), None)]

    def _fitted(self, problem, solutions):
        coef = super()._fitted(problem, solutions)["coef_"]
        return {**problem.known, "coef_": coef[0]}

    def _objective(self, rows, y, s, groups, propensity=None):
        sides = inverse_propensity(propensity, rows.shape[0]), events_of(y)
        y, groups = unpack_target(y, groups)
        check_consistent_length(range(rows.shape[0]), y)
        codes = None
        if groups is not None:
            codes = encode_groups(groups, len(y))
            codes = codes.astype(np.int32 if len(y) < 2**31 else np.int64)
        loss, make = self._loss(), PairwiseObjective
        if isinstance(loss, ListwiseSoftmax):
            make = ListwiseObjective
            if sides[1] is not None:
                raise ValueError("censored times have no gains: choose a pairwise loss")
        return make(loss, rows, y, s, codes, sides, penalty=self._penalty(rows.shape[1]))

    @keeps_signature(with_callbacks)
    def fit_pairs(
        self, X1: MatrixLike, X2: MatrixLike, t: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit the model to given pairs, where no relevance of single rows is known.

        Minimises Σ s_k φ(t_k (x1_k − x2_k)·w) / Σ s_k + penalty, φ being the loss of a score
        difference. This is a classification of differences without an intercept, and the
        solvers of classifiers apply: "interior_point" and "dual_cd", too. The ``weighting``
        of a loss, which is about labels of rows, has no effect.

        Parameters
        ----------
        X1, X2 : {array-like, sparse matrix} of shape (n_pairs, n_features)
            Features of the two rows of each pair.
        t : array-like of shape (n_pairs,)
            +1 where the row of X1 should be higher, −1 where that of X2 should.
        sample_weight : float or array-like of shape (n_pairs,), default=None
            Non-negative weights of pairs.

        Returns
        -------
        self : object
            Fitted estimator. ``n_pairs_`` counts the pairs of positive weight; ``score`` needs no
            groups.

        Raises
        ------
        ValueError, TypeError
            For a wrong parameter or wrong data; the estimator stays as it was.

        Examples
        --------
        >>> from sklearn_margin import RankSVM
        >>> chosen, rejected = [[1.0, 0.0], [2.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]]
        >>> model = RankSVM(alpha=0.1).fit_pairs(chosen, rejected, [1, 1])
        >>> model.predict(chosen) > model.predict(rejected)
        array([ True,  True])
        """
        prepare = partial(self._prepare_pairs, X2=X2)
        return self._fit(prepare, X1, t, sample_weight=sample_weight)

    def _prepare_pairs(self, X1, t, *, X2, sample_weight):
        """The problem of given pairs, whose rows are differences."""
        loss = self._loss()
        X1 = self._validate(X1, "no_validation")
        X2 = self._validate(X2, "no_validation", reset=False)
        if X1.shape[0] != X2.shape[0]:
            raise ValueError(
                f"X1 has {X1.shape[0]} rows and X2 has {X2.shape[0]}: one of each per pair"
            )
        if sp.issparse(X1) != sp.issparse(X2):
            X1, X2 = (X.toarray() if sp.issparse(X) else X for X in (X1, X2))
        t = check_signs(t, X1.shape[0])
        s = normalize_weights(sample_weight, X1.shape[0], np.float64)
        with np.errstate(over="ignore"):
            D = X1 - X2
        assert_all_finite(D.data if sp.issparse(D) else D, input_name="X1 - X2")
        rows = Rows(D, center=False, n_jobs=self.n_jobs)
        objective = PointwiseObjective(
            loss.binary, rows, t.astype(D.dtype), s.astype(D.dtype),
            penalty=self._penalty(rows.shape[1]),
        )  # fmt: skip
        n_pairs = int(np.count_nonzero(objective.s))
        warn_of_no_margin(loss)
        known = {"n_pairs_": n_pairs, "_has_groups": False, "_has_offset": False}
        return Problem([objective], D, t, known)

    @available_if(learns_in_batches)
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> Self:
        """Learn from a batch of rows: one pass of stochastic gradient descent over its pairs.

        Pairs are formed within the batch. Features are used as they are, in any units; the steps
        are learned from them (see ``SGD``).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, 2)
            Relevance, graded or real-valued, higher is better; or the columns [relevance, group].
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; a pair has the product of the weights of its rows.
        groups : array-like of shape (n_samples,), default=None
            Group (query) of each row; a group that two batches share is two groups.
        offset : float or array-like of shape (n_samples,), default=None
            What is added to the scores before the loss sees them, with no coefficient: the
            score of another model, a known effect. One that all rows of a group share changes
            nothing.

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
        return self._partial_fit(X, y, sample_weight=sample_weight, groups=groups, offset=offset)

    @by_batch_with_offset
    def predict(self, X: MatrixLike, offset: ArrayLike | None = None) -> Array:
        """Predict scores: the higher, the better the rank.

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
        return self._scores(X, offset)

    def score(
        self,
        X: MatrixLike | Batches,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        propensity: ArrayLike | None = None,
    ) -> float:
        """Share of pairs within groups that the scores put in the right order.

        The pairs of all groups are pooled; a tie of scores counts one half. Of censored times it is
        the concordance index.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features, and what is by row besides them, as in ``fit``.
        y : array-like of shape (n_samples,) or (n_samples, 2), default=None
            Relevance, or the columns [relevance, group]; None where X is ``Batches``, which hold
            it.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; a pair has the product of the weights of its rows.
        groups : array-like of shape (n_samples,), default=None
            Group of each row.
        offset : float or array-like of shape (n_samples,), default=None
            What is added to the predictions, as in ``fit``; needed if that was given one.
        propensity : array-like of shape (n_samples,), default=None
            Probability that a relevant row was seen, as in ``fit``: the weight of a pair is divided
            by that of its better row.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            For wrong data, if there is no y, or if the model was fitted with groups or an offset
            and none is given.
        """
        X, y, sample_weight, groups, offset, propensity = map(
            on_host, (X, y, sample_weight, groups, offset, propensity)
        )
        parts = predictions_in_parts(
            self, X, y, sample_weight=sample_weight, groups=groups, offset=offset
        )
        if parts is not None:
            if propensity is not None:
                raise ValueError("propensity is for rows in memory only, to score as to fit")
            check_offset_given(self, parts.has_offset)
            if not parts.has_groups:
                check_groups_given(self)
            return parts.pairwise_accuracy()
        relevance, codes = unpack_target(y, groups)
        if codes is None:
            check_groups_given(self)
        check_offset_given(self, offset is not None)
        scores: Any = self.predict(X, **given_offset(offset))
        given = {"groups": codes, "sample_weight": sample_weight}
        if events_of(y) is None:
            return pairwise_accuracy_score(relevance, scores, **given, propensity=propensity)
        if propensity is not None:
            raise ValueError("propensity is of clicks: the concordance of censored times has none")
        return concordance_index_score(y, scores, **given)
