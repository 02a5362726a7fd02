"""Linear rankers."""

import warnings

import numpy as np
from sklearn.callback import with_callbacks
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sklearn_margin._base import LinearModel, resolve_loss, uses_sgd
from sklearn_margin._groups import encode_groups, unpack_target
from sklearn_margin.losses import (
    PairwiseHinge,
    PairwiseLogistic,
    PairwiseLoss,
    PairwiseSquaredHinge,
)
from sklearn_margin.losses.base import check_choice, normalize_weights
from sklearn_margin.metrics import pairwise_accuracy_score
from sklearn_margin.objective import PairwiseObjective

__all__ = ["LinearRanker", "RankSVM"]

_LOSSES = {
    "pairwise_hinge": PairwiseHinge,
    "pairwise_logistic": PairwiseLogistic,
    "pairwise_squared_hinge": PairwiseSquaredHinge,
}


class _BaseRanker(LinearModel):
    """Fit, predict and score of rankers; subclasses say which loss."""

    # Under metadata routing, groups reach fit and score without any set_*_request.
    __metadata_request__fit = {"groups": True}
    __metadata_request__partial_fit = {"groups": True}
    __metadata_request__score = {"groups": True}

    _coef_is_2d = False

    def _loss(self):
        raise NotImplementedError

    @with_callbacks
    def fit(self, X, y, sample_weight=None, groups=None, X_val=None, y_val=None):
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, 2)
            Relevance, graded or real-valued, higher is better; or the columns
            [relevance, group], for use where only y is passed on.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; a pair has the product of the weights of its rows.
        groups : array-like of shape (n_samples,), default=None
            Group (query) of each row, of any type and in any order. Rows are compared within
            a group only. None, with a one-dimensional y, is one group.
        X_val, y_val : array-like, default=None
            Validation set for ``solver=SGD(early_stopping=True)``, in place of a part of the
            training groups; y_val has the columns [relevance, group] if there are groups.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For a wrong parameter or wrong data; the estimator stays as it was.
        """
        context = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        with self._unchanged_if_failed():
            (objective,), X, y = self._prepare(X, y, sample_weight, groups)
            if objective.pairs.n_pairs == 0:
                warnings.warn(
                    "no group holds two rows of different relevance: all coefficients are zero",
                    UserWarning,
                    stacklevel=3,
                )
            validation = self._validation_rows(X_val, y_val, objective.rows)
            if validation is not None:
                equal = np.ones(validation.shape[0])
                objective.validation = self._objective(validation, y_val, equal, None)
            has_groups = objective.groups is not None
            previous = None
            if self._warm(X.shape[1]):
                previous = [(self._dense_coef(),)]
            coef, _ = self._minimize(
                [objective], previous, context, X, y,
                lambda k, coef, intercept: {"coef_": coef, "_has_groups": has_groups},
                sample_weight=sample_weight, groups=groups,
            )  # fmt: skip
            self.coef_ = coef[0]
            self.n_pairs_ = int(objective.pairs.n_pairs)
            self._has_groups = has_groups
            self.__dict__.pop("_stream_state", None)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _prepare(self, X, y, sample_weight=None, groups=None, reset=True):
        self._check_common_params()
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        X = self._validate(X, "no_validation", reset=reset)
        s = normalize_weights(sample_weight, X.shape[0], np.float64)
        return [self._objective(self._rows(X, center=True), y, s, groups)], X, y

    def _objective(self, rows, y, s, groups):
        y, groups = unpack_target(y, groups)
        check_consistent_length(rows.X, y)
        codes = None if groups is None else encode_groups(groups, len(y))
        return PairwiseObjective(
            self._loss(), rows, y, s, codes, alpha=self.alpha, l1_ratio=self.l1_ratio
        )

    @available_if(uses_sgd)
    def partial_fit(self, X, y, sample_weight=None, groups=None):
        """Learn from a batch of rows: one pass of stochastic gradient descent over its pairs.

        Pairs are formed within the batch. Features are used as they are; they should have
        similar scales.

        Parameters
        ----------
        X, y, sample_weight, groups
            As in ``fit``.

        Returns
        -------
        self : object
            The estimator.
        """
        with self._unchanged_if_failed():
            first = not hasattr(self, "coef_")
            (objective,), X, y = self._prepare(X, y, sample_weight, groups, reset=first)
            previous = None if first else (self._dense_coef(),)
            state = getattr(self, "_stream_state", None)
            self._stream_state, coef, _ = self._stream(objective, state, previous)
            self.coef_ = coef.astype(X.dtype)
            self._has_groups = objective.groups is not None or getattr(self, "_has_groups", False)
            self.n_pairs_ = getattr(self, "n_pairs_", 0) + int(objective.pairs.n_pairs)
            self.n_iter_ = 1
        return self

    def predict(self, X):
        """Predict scores: the higher, the better the rank.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._scores(X)

    def score(self, X, y, sample_weight=None, groups=None):
        """Share of pairs within groups that the scores put in the right order.

        The pairs of all groups are pooled; a tie of scores counts one half.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, 2)
            Relevance, or the columns [relevance, group].
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; a pair has the product of the weights of its rows.
        groups : array-like of shape (n_samples,), default=None
            Group of each row.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If the model was fitted with groups and none are given.
        """
        check_is_fitted(self)
        y, groups = unpack_target(y, groups)
        if groups is None and self._has_groups:
            raise ValueError(
                f"this {type(self).__name__} was fitted with groups and needs them to score: pass "
                "groups=..., or y with the columns [relevance, group]"
            )
        return pairwise_accuracy_score(
            y, self.predict(X), groups=groups, sample_weight=sample_weight
        )


class LinearRanker(_BaseRanker):
    """Linear ranking with a pairwise loss of your choice.

    Over the pairs (i, j) in one group with y_i > y_j, minimises
    Σ u_ij φ((x_i − x_j)·w) / Σ u_ij + alpha·((1 − l1_ratio)/2·‖w‖² + l1_ratio·‖w‖₁), with the
    pair weights u_ij of the loss. For hinge losses the cost of a pass is O(n log n).

    Parameters
    ----------
    loss : str or PairwiseLoss, default="pairwise_squared_hinge"
        "pairwise_squared_hinge", "pairwise_hinge", "pairwise_logistic", or a loss object.
    alpha : float, default=1e-4
        Strength of the penalty. The loss is a mean over P pairs: alpha = 1/(C·P) for
        ½‖w‖² + C·Σ. ``n_pairs_`` is P.
    l1_ratio : float, default=0.0
        Share of the L1 penalty, from 0 to 1.
    solver : str or Solver, default="auto"
        "newton", "lbfgs", "smoothing", "subgradient", "sgd", a configured solver, or "auto",
        which chooses by loss, penalty and shape.
    tol : float, default=1e-4
        Relative accuracy; see the solvers. Small problems are solved more accurately.
    max_iter : int, default=1000
        Most iterations (epochs of "sgd").
    warm_start : bool, default=False
        Whether to start from the previous solution.
    n_jobs : int, default=None
        Threads; None is one. The result is the same, bit for bit, for any number.
    random_state : int, RandomState or None, default=None
        Seed of "sgd".
    verbose : int, default=0
        Whether to print the objective after each iteration.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients w.
    n_pairs_ : int
        Number of pairs in the training data.
    n_iter_ : int
        Iterations of the solver.
    solver_ : str
        Name of the solver.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had string column names.

    Examples
    --------
    >>> from sklearn_margin import LinearRanker
    >>> X = [[1.0, 0.0], [2.0, 1.0], [0.0, 5.0], [1.0, 7.0]]
    >>> model = LinearRanker().fit(X, [0, 1, 0, 1], groups=["a", "a", "b", "b"])
    >>> model.score(X, [0, 1, 0, 1], groups=["a", "a", "b", "b"])
    1.0
    """

    def __init__(
        self,
        loss="pairwise_squared_hinge",
        *,
        alpha=1e-4,
        l1_ratio=0.0,
        solver="auto",
        tol=1e-4,
        max_iter=1000,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.loss = loss
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _loss(self):
        return resolve_loss(self.loss, PairwiseLoss, _LOSSES)


class RankSVM(_BaseRanker):
    """Ranking support vector machine [1]_ over query groups.

    Over the pairs (i, j) in one group with y_i > y_j, minimises
    Σ u_ij [margin − (x_i − x_j)·w]₊^p / Σ u_ij + penalty, p = 2 for "squared_hinge" and 1 for
    "hinge", u_ij = 1 for weighting "uniform" and y_i − y_j for "difference".

    Parameters
    ----------
    margin : float, default=1.0
        Score difference from which a pair costs nothing.
    loss : {"squared_hinge", "hinge"}, default="squared_hinge"
        The squared hinge is smooth and fits faster.
    weighting : {"uniform", "difference"}, default="uniform"
        Weight of a pair.
    alpha, l1_ratio, solver, tol, max_iter, warm_start, n_jobs, random_state, verbose
        As in ``LinearRanker``.

    Attributes
    ----------
    coef_, n_pairs_, n_iter_, solver_, n_features_in_, feature_names_in_
        As in ``LinearRanker``.

    References
    ----------
    .. [1] Joachims, "Optimizing search engines using clickthrough data", KDD 2002.

    Examples
    --------
    >>> from sklearn_margin import RankSVM
    >>> X, y = [[1.0], [2.0], [3.0], [1.0]], [0, 1, 2, 0]
    >>> RankSVM().fit(X, y, groups=[7, 7, 8, 8]).n_pairs_
    2
    """

    def __init__(
        self,
        *,
        margin=1.0,
        loss="squared_hinge",
        weighting="uniform",
        alpha=1e-4,
        l1_ratio=0.0,
        solver="auto",
        tol=1e-4,
        max_iter=1000,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.margin = margin
        self.loss = loss
        self.weighting = weighting
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _loss(self):
        check_choice(self.loss, "loss", ("squared_hinge", "hinge"))
        cls = PairwiseSquaredHinge if self.loss == "squared_hinge" else PairwiseHinge
        loss = cls(margin=self.margin, weighting=self.weighting)
        loss.check_params()
        return loss
