"""Linear models of ordered classes."""

from __future__ import annotations

import copy
from typing import Any, Literal, Self

import numpy as np
import scipy.sparse as sp
from sklearn.utils.multiclass import check_classification_targets

from sklearn_margin._arrays import scores_on_host
from sklearn_margin._base.classification import BaseClassifier
from sklearn_margin._base.estimator import Problem, resolve_loss
from sklearn_margin._sklearn import column_or_1d, with_callbacks
from sklearn_margin._tables import Table
from sklearn_margin._typing import (
    Array,
    ArrayLike,
    Bounds,
    Factors,
    MatrixLike,
    RandomState,
    keeps_signature,
)
from sklearn_margin._validation import check_choice, check_offset, writable
from sklearn_margin.batches import Batches, by_batch_with_offset
from sklearn_margin.inspection import check_on_rows
from sklearn_margin.losses import (
    Hinge,
    Logistic,
    Loss,
    ModifiedHuber,
    PointwiseLoss,
    ProbabilityLoss,
    RegressionLoss,
    SmoothedHinge,
    SquaredHinge,
)
from sklearn_margin.losses._ordinal import (
    CumulativeLogistic,
    OrdinalLoss,
    ThresholdLoss,
    log_shares,
)
from sklearn_margin.objective import PointwiseObjective
from sklearn_margin.objective.ordinal import OrdinalObjective, ReplicatedObjective
from sklearn_margin.solvers import Solver
from sklearn_margin.solvers._any_order import AnyOrderFirst
from sklearn_margin.solvers.base import suits_smoothing

__all__ = ["OrdinalClassifier"]

_LOSSES = {
    "cumulative_logistic": CumulativeLogistic,
    "hinge": Hinge,
    "logistic": Logistic,
    "modified_huber": ModifiedHuber,
    "smoothed_hinge": SmoothedHinge,
    "squared_hinge": SquaredHinge,
}
#: Of rows that are repeated for each threshold, so that solvers of hinges can be used.
_MOST_ENTRIES = 5_000_000
#: What makes the score of a threshold the log odds of the classes above it.
_LOGITS = (Logistic.probability, ProbabilityLoss.probability)


class OrdinalClassifier(BaseClassifier):
    """Linear classification into ordered classes, by one score and thresholds.

    A row has the score z = x·w, and K − 1 thresholds θ_1 ≤ … ≤ θ_{K−1} divide scores into K
    classes. Minimises, with ℓ(y, z) the loss for labels −1 and +1,

        Σ_i s_i Σ_k ℓ(±1, z_i − θ_k) / Σ s_i + alpha·((1 − l1_ratio)/2·‖w‖² + l1_ratio·‖w‖₁)

    with +1 for the classes above threshold k and −1 for those below. The sum is over all
    thresholds, or over the two next to the class of the row [1]_ [2]_. Thresholds are not
    penalised. "cumulative_logistic" is the negative log-likelihood of proportional odds [3]_,
    −log(σ(θ_y − z) − σ(θ_{y−1} − z)).

    A sum over all thresholds bounds how many classes a prediction is off, one over the next two
    whether it is off [4]_.

    Parameters
    ----------
    loss : str or Loss, default="logistic"
        "logistic", "hinge", "squared_hinge", "smoothed_hinge", "modified_huber",
        "cumulative_logistic", or a loss object for labels −1 and +1.
    threshold : {"all", "immediate"}, default="all"
        Which thresholds count for a row: all, by which they come out in order, or those next to its
        class, which are kept in order. Of no effect for "cumulative_logistic".
    classes : array-like of shape (n_classes,), default=None
        Labels from the lowest class to the highest; None is the order of an ordered categorical of
        pandas, else that of sorted labels.
    alpha : float, default=1e-4
        Strength of the penalty, at least 0. The loss is a mean over the rows, so that the same
        alpha suits any number of them. In place of a factor C of their sum, as ``LinearSVC`` and
        ``LinearSVR`` have, take alpha = 1/(C·n) for n rows.
    l1_ratio : float, default=0.0
        Share of the L1 penalty, from 0 to 1: 0 is ridge, 1 is lasso, by which many coefficients are
        exactly 0, and what is between is the elastic net.
    coef_bounds : tuple of (low, high), dict or None, default=None
        Bounds that coefficients keep exactly, in each row of ``coef_``: low and high are numbers,
        arrays of shape (n_features,) or None, so that ``(0, None)`` is for none that is negative;
        or such pairs by the name of the feature, as in ``{"price": (None, 0)}``.
    penalty_factors : array-like of shape (n_features,), dict or None, default=None
        Factors of alpha by feature, or by the name of the feature: 0 is without a penalty, infinity
        leaves the feature out. None is 1 for all.
    solver : str or Solver, default="auto"
        "newton", "coordinate_descent", "lbfgs", "interior_point", "dual_cd", "smoothing",
        "subgradient", "sgd", a configured solver such as ``SGD(batch_size=32)``, or "auto", which
        chooses by loss, penalty and shape; ``solver_`` says which it was.
    tol : float, default=1e-4
        Relative accuracy: a solver that has a duality gap stops where that is at most tol times the
        objective; others say what they compare with tol. Small problems are solved more accurately.
    max_iter : int, default=1000
        Most iterations of the solver (epochs of "sgd"). A ``ConvergenceWarning`` says so if they
        were too few.
    warm_start : bool, default=False
        Whether ``fit`` starts from the solution of the fit before, if that has the right shape.
    n_jobs : int, default=None
        Threads; None is one, −1 all cores. The result is the same, bit for bit, for any number.
    random_state : int, RandomState or None, default=None
        Seed of "sgd". Other solvers give the same result each time.
    verbose : int, default=0
        Whether to print a line after each iteration: objective, relative gap, reads of X, seconds.
    class_weight : dict, "balanced" or None, default=None
        Factor of the weights of each class, by label; "balanced" gives all classes the same total,
        None leaves weights as they are.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes that y holds, from the lowest to the highest.
    coef_ : ndarray of shape (1, n_features)
        Coefficients w.
    thresholds_ : ndarray of shape (n_classes - 1,)
        Thresholds θ, which do not decrease.
    n_iter_ : int
        Iterations of the solver.
    solver_ : str
        Name of the solver.
    dual_gap_ : float
        Duality gap: the objective is above its minimum by at most this, in units of the objective.
        Absent where the solver knows none.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had string column names.

    References
    ----------
    .. [1] Rennie & Srebro, "Loss functions for preference levels: regression with discrete ordered
       labels", IJCAI multidisciplinary workshop on advances in preference handling, 2005.
    .. [2] Chu & Keerthi, "Support vector ordinal regression", Neural Computation 19, 2007.
    .. [3] McCullagh, "Regression models for ordinal data", Journal of the Royal Statistical
       Society B 42, 1980.
    .. [4] Pedregosa, Bach & Gramfort, "On the consistency of ordinal regression methods", JMLR 18,
       2017.

    Examples
    --------
    >>> from sklearn_margin import OrdinalClassifier
    >>> X = [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]]
    >>> y = ["low", "low", "mid", "mid", "high", "high"]
    >>> model = OrdinalClassifier(classes=["low", "mid", "high"], alpha=0.01).fit(X, y)
    >>> model.predict([[0.2], [2.5], [9.0]])
    array(['low', 'mid', 'high'], dtype='<U4')
    >>> (model.thresholds_ / model.coef_[0]).round(1)
    array([1.5, 3.5])
    """

    def __init__(
        self,
        loss: str | Loss = "logistic",
        *,
        threshold: Literal["all", "immediate"] = "all",
        classes: ArrayLike | None = None,
        alpha: float = 1e-4,
        l1_ratio: float = 0.0,
        coef_bounds: Bounds = None,
        penalty_factors: Factors = None,
        solver: str | Solver = "auto",
        tol: float = 1e-4,
        max_iter: int = 1000,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
    ) -> None:
        self.loss = loss
        self.threshold = threshold
        self.classes = classes
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.coef_bounds = coef_bounds
        self.penalty_factors = penalty_factors
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.class_weight = class_weight

    thresholds_: Array
    _losses = _LOSSES

    def _loss(self):
        check_choice(self.threshold, "threshold", ("all", "immediate"))
        loss = resolve_loss(self.loss, (PointwiseLoss, CumulativeLogistic), _LOSSES)
        if isinstance(loss, RegressionLoss):
            raise TypeError(f"loss {loss!r} is for regression: use LinearRegressor")
        if isinstance(loss, CumulativeLogistic):
            return loss
        return ThresholdLoss(loss, self.threshold == "immediate")

    # --- fitting ---

    @keeps_signature(with_callbacks)
    def fit(  # type: ignore[override]
        self,
        X: MatrixLike | Batches,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features. Of ``Batches`` and Dask collections no more rows than can be held in memory.
        y : array-like of shape (n_samples,), default=None
            Labels of any type; None where X is ``Batches``, which hold them.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; 2 counts as two equal rows, 0 as none.
        offset : float or array-like of shape (n_samples,), default=None
            What is added to the scores z before the loss sees them, with no coefficient: the score
            of another model, a known effect.

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
            self._prepare, X, y, sample_weight=sample_weight, offset=offset, in_batches=True
        )

    @property
    def partial_fit(self):
        raise AttributeError(f"{type(self).__name__} has no partial_fit: it needs all rows at once")

    def _prepare_table(self, table):
        raise ValueError(
            f"{type(self).__name__} needs the rows in memory, and {table.why_elsewhere}: fit a "
            "sample of the rows"
        )

    def _prepare(self, X, y, sample_weight=None, offset=None):
        if isinstance(X, Table):
            return self._prepare_table(X)
        loss, names = self._loss(), _names_in_order(y) if self.classes is None else self.classes
        X, y = self._validate(X, y)
        check_classification_targets(y)
        labels, s = self._classes_and_weights(loss, y, sample_weight, X.dtype)
        order = _order(labels, names)
        # Rows of weight 0 may have a label that is no class.
        index = order.argsort()[np.minimum(np.searchsorted(labels, y), len(labels) - 1)]
        weight = np.bincount(index, weights=s)
        if isinstance(loss, CumulativeLogistic) and not weight.all():
            raise ValueError(
                f"class_weight leaves class {labels[order][weight.argmin()]!r} without weight, of "
                "which a likelihood knows nothing: leave its rows out"
            )
        if offset is not None:
            offset = writable(check_offset(offset, len(y), X.dtype))
        objective = self._objective(loss, X, index, s, offset)
        known = {"classes_": labels[order], "_loss_of_fit": copy.deepcopy(loss)}
        return Problem([objective], X, y, {**known, "_has_offset": offset is not None})

    def _objective(self, loss, X, index, s, offset):
        n_outputs, penalty = int(index.max()), self._penalty(X.shape[1])
        entries = (X.nnz if sp.issparse(X) else X.size) + X.shape[0] * (n_outputs - 1)
        if n_outputs > 1 and not loss.is_smooth and entries * n_outputs <= _MOST_ENTRIES:
            objective = ReplicatedObjective.of(loss, X, index, s, penalty, self.n_jobs, offset)
            # To smooth it is faster without copies.
            smooths = self.solver == "auto" and suits_smoothing(objective, self.tol)
            if loss.is_immediate or not smooths:
                return objective
        rows = self._rows(X, True)
        settings = {"penalty": penalty, "fit_intercept": True}
        first = np.where(index > 0, rows.dtype.type(1), rows.dtype.type(-1))
        binary = PointwiseObjective(loss.binary, rows, first, s, **settings)
        if n_outputs == 1:
            return binary.with_offset(offset)
        check_on_rows(binary)  # a loss of somebody else
        objective = OrdinalObjective(
            loss, rows, index, s, n_outputs=n_outputs, ordered=loss.is_immediate, **settings
        )
        return objective.with_offset(None if offset is None else offset[:, None])

    def _choose_solver(self, objective):
        solver = super()._choose_solver(objective)
        if not getattr(objective, "ordered", False) or self.solver != "auto":
            return solver
        return AnyOrderFirst(super()._choose_solver(objective.in_any_order()), solver)

    def _solutions(self, problem):
        coef, thresholds = self._dense_coef(), self.thresholds_
        wanted = {
            "coef_": (coef, (1, problem.X.shape[1])),
            "thresholds_": (thresholds, (len(problem.known["classes_"]) - 1,)),
        }
        for name, (array, shape) in wanted.items():
            if np.shape(array) != shape or not np.isfinite(array).all():
                raise ValueError(
                    f"{type(self).__name__} cannot go on from {name}, which is of shape "
                    f"{np.shape(array)}: expected finite numbers of shape {shape}"
                )
        several = len(thresholds) > 1
        return [(coef[0], -(thresholds if several else thresholds[0]))]

    def _fitted(self, problem, solutions):
        ((coef, b),) = solutions
        dtype = problem.objectives[0].rows.dtype
        # In order they are at the optimum, and to sort them lowers a loss that does not increase
        # with the margin.
        thresholds = np.sort(-np.atleast_1d(b)).astype(dtype)
        return {
            **problem.known,
            "coef_": self._within_bounds(np.atleast_2d(coef).astype(dtype, copy=False)),
            "thresholds_": thresholds,
        }

    # --- prediction ---

    def _check_probability(self):
        loss = self._fitted_loss()
        inner = loss.binary if isinstance(loss, OrdinalLoss) else loss
        if getattr(type(inner), "probability", None) not in _LOGITS:
            raise AttributeError(
                f"predict_proba is not available: the loss {type(inner).__name__} is not one of "
                "log odds, as logistic and cumulative_logistic are"
            )
        if loss.is_immediate:
            raise AttributeError(
                "predict_proba is not available with threshold='immediate': each threshold is one "
                "of two classes alone; take threshold='all' or loss='cumulative_logistic'"
            )

    def linear_predictor(self, X: MatrixLike, offset: ArrayLike | None = None) -> Array:
        """Scores z = x·w, which ``thresholds_`` divide into classes.

        ``classes_[np.searchsorted(thresholds_, z)]`` are the classes of the intervals; where there
        are probabilities, the medians, which lowers the mean absolute error, and not the likeliest
        classes, which ``predict`` gives.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        offset : float or array-like of shape (n_samples,), default=None
            What is added to the scores, as in ``fit``; None is 0.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        self._expect_offset(offset)
        return self._scores(X, offset)

    @by_batch_with_offset
    def decision_function(self, X: MatrixLike, offset: ArrayLike | None = None) -> Array:
        """Scores by class, the highest for the class predicted; of two classes z − θ.

        Logarithms of probabilities where there are any, else Σ_{k ≤ c} (z − θ_k) for class c, which
        is highest for the class in whose interval z lies.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features.
        offset : float or array-like of shape (n_samples,), default=None
            What is added to the scores z.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            One for each batch, or a lazy Dask array.
        """
        z, give = scores_on_host(self._scores(X, offset))
        f = z[:, None] - self.thresholds_
        if f.shape[1] == 1:
            return give(f[:, 0])
        if hasattr(self, "predict_proba"):
            return give(log_shares(f, self.thresholds_))
        return give(np.column_stack([np.zeros_like(z), np.cumsum(f, axis=1)]))

    def _probability(self, scores):
        if scores.ndim == 1:
            return Logistic().probability(scores)
        return np.exp(scores)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # of classes in no order
        return tags


def _names_in_order(y):
    """Categories of an ordered categorical of pandas, from the lowest; None for other labels."""
    dtype = getattr(y, "dtype", None)
    return dtype.categories.tolist() if getattr(dtype, "ordered", False) else None


def _order(labels, classes):
    """Numbers of the sorted ``labels`` from the lowest class to the highest."""
    if classes is None:
        return np.arange(len(labels))
    if np.ndim(classes) != 1:
        raise ValueError(f"classes must be a list of labels, got {classes!r}")
    names = column_or_1d(np.asarray(classes), input_name="classes").tolist()
    if len(set(names)) < len(names):
        raise ValueError(f"classes must name each label once, got {classes!r}")
    unknown = set(labels.tolist()) - set(names)
    if unknown:
        raise ValueError(f"y holds labels that are not in classes: {sorted(unknown)}")
    return np.argsort([names.index(label) for label in labels.tolist()])
