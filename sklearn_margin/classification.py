"""Linear classifiers."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_margin._base.classification import BaseClassifier
from sklearn_margin._base.estimator import resolve_loss
from sklearn_margin._calibration import calibrate, held_out_scores
from sklearn_margin._hints import INIT_HINTS
from sklearn_margin._typing import Bounds, Factors, RandomState
from sklearn_margin._validation import check_choice, check_weights
from sklearn_margin.losses import (
    BatchLoss,
    CrammerSinger,
    CrossEntropy,
    Dice,
    Focal,
    Hinge,
    Logistic,
    Loss,
    ModifiedHuber,
    MulticlassLoss,
    PointwiseLoss,
    Poly,
    RegressionLoss,
    SmoothedHinge,
    SquaredHinge,
    WestonWatkins,
)
from sklearn_margin.solvers import Solver

__all__ = ["HingeClassifier", "LinearClassifier"]

_LOSSES = {
    "crammer_singer": CrammerSinger,
    "cross_entropy": CrossEntropy,
    "dice": Dice,
    "focal": Focal,
    "hinge": Hinge,
    "logistic": Logistic,
    "modified_huber": ModifiedHuber,
    "poly": Poly,
    "smoothed_hinge": SmoothedHinge,
    "squared_hinge": SquaredHinge,
    "weston_watkins": WestonWatkins,
}


class LinearClassifier(BaseClassifier):
    """Linear classification with a loss of your choice.

    Minimises Σ s_i ℓ(y_i, x_i·w + b) / Σ s_i + alpha·((1 − l1_ratio)/2·‖w‖² + l1_ratio·‖w‖₁)
    with y_i ∈ {−1, +1}. The intercept b is not penalised.

    With more than two classes "crammer_singer", "weston_watkins", "logistic" (or "cross_entropy"),
    "focal", "poly" and "dice" score all classes at once: w and b have a row and an entry for
    each class, whose penalties are added. The other losses are fitted one against the rest.

    A fit of a loss that is not convex (focal, Dice, Poly beyond its first coefficient) starts from
    the optimum of the cross entropy and descends from there: it is reproducible, and never worse
    than its start.

    Parameters
    ----------
    loss : str or Loss, default="hinge"
        A name (the class name in snake case: "hinge", "squared_hinge", "smoothed_hinge",
        "modified_huber", "logistic" or "cross_entropy", "focal", "poly", "dice",
        "crammer_singer", "weston_watkins") or a loss object for classes.
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
    fit_intercept : bool, default=True
        Whether to fit the intercept b, which is not penalised.
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
        Labels of the classes, sorted.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients w: one row for two classes, else a row per class.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts b; 0 without ``fit_intercept``.
    n_iter_ : int
        Iterations of the solver, the most over the classes that are fitted apart.
    solver_ : str
        Name of the solver.
    dual_gap_ : float or ndarray of shape (n_classes,)
        Duality gap: the objective is above its minimum by at most this, in units of the objective;
        one for each class if they are fitted apart. Absent where the solver knows none.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had string column names.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn_margin import LinearClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = LinearClassifier(loss="logistic").fit(X, y)
    >>> round(model.score(X, y), 2)
    0.97
    """

    def __init__(
        self,
        loss: str | Loss = "hinge",
        *,
        alpha: float = 1e-4,
        l1_ratio: float = 0.0,
        coef_bounds: Bounds = None,
        penalty_factors: Factors = None,
        fit_intercept: bool = True,
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
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.coef_bounds = coef_bounds
        self.penalty_factors = penalty_factors
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.class_weight = class_weight

    _losses = _LOSSES

    def _loss(self):
        loss = resolve_loss(self.loss, (PointwiseLoss, MulticlassLoss, BatchLoss), _LOSSES)
        if isinstance(loss, RegressionLoss):
            raise TypeError(f"loss {loss!r} is for regression: use LinearRegressor")
        return loss


class HingeClassifier(BaseClassifier):
    """Linear support vector machine: ``LinearClassifier(loss=Hinge(margin))``.

    Minimises Σ s_i [margin − y_i (x_i·w + b)]₊ / Σ s_i + penalty, exactly, with a free
    intercept.

    With ``probability`` the scores are calibrated by cross-fitting: each of five stratified folds
    is scored by a model that did not see it, whose fit starts from the solution on all rows,
    and one map from scores to probabilities is fitted to all of them. The coefficients stay
    those of all rows. Labels are predicted by the sign of the score, not by the probability.

    Parameters
    ----------
    margin : float, default=1.0
        Margin below which a sample costs; 0 gives the perceptron loss.
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
    fit_intercept : bool, default=True
        Whether to fit the intercept b, which is not penalised.
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
    probability : {"sigmoid", "isotonic"} or None, default=None
        How ``predict_proba`` maps scores to probabilities: by a logistic curve [1]_, or by any
        increasing function, which needs some thousand rows [2]_. None is without
        ``predict_proba``. Class weights do not change what is estimated: the probabilities of
        the classes as frequent as they are in the training data.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes, sorted.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients w: one row for two classes, else a row per class.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts b; 0 without ``fit_intercept``.
    n_iter_ : int
        Iterations of the solver, the most over the classes that are fitted apart.
    solver_ : str
        Name of the solver.
    dual_gap_ : float or ndarray of shape (n_classes,)
        Duality gap: the objective is above its minimum by at most this, in units of the objective;
        one for each class if they are fitted apart. Absent where the solver knows none.
    calibrators_ : list
        By problem, the map from scores to probabilities, with a method ``predict``.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had string column names.

    References
    ----------
    .. [1] Platt, "Probabilistic outputs for support vector machines", Advances in Large Margin
       Classifiers, 1999.
    .. [2] Zadrozny & Elkan, "Transforming classifier scores into accurate multiclass probability
       estimates", KDD 2002.

    Examples
    --------
    >>> from sklearn_margin import HingeClassifier
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], ["a", "a", "b", "b"]
    >>> HingeClassifier().fit(X, y).predict([[-3.0], [0.5]])
    array(['a', 'b'], dtype='<U1')
    """

    def __init__(
        self,
        *,
        margin: float = 1.0,
        alpha: float = 1e-4,
        l1_ratio: float = 0.0,
        coef_bounds: Bounds = None,
        penalty_factors: Factors = None,
        fit_intercept: bool = True,
        solver: str | Solver = "auto",
        tol: float = 1e-4,
        max_iter: int = 1000,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        probability: Literal["sigmoid", "isotonic"] | None = None,
    ) -> None:
        self.margin = margin
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.coef_bounds = coef_bounds
        self.penalty_factors = penalty_factors
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.class_weight = class_weight
        self.probability = probability

    calibrators_: list[Any]

    _init_hints = INIT_HINTS | {"loss": "for other losses there is LinearClassifier(loss=...)"}

    def _loss(self):
        loss = Hinge(margin=self.margin)
        loss.check_params()
        if isinstance(self.probability, (bool, np.bool_)):
            raise ValueError(
                f"probability must be 'sigmoid', 'isotonic' or None, got {self.probability}: what "
                "SVC(probability=True) does is 'sigmoid', and None is without probabilities"
            )
        if self.probability is not None:
            check_choice(self.probability, "probability", ("sigmoid", "isotonic"))
        return loss

    _leftovers = (*BaseClassifier._leftovers, "calibrators_")

    def _batch_weights(self, *data):
        if self.probability is not None:
            raise ValueError(
                f"probability={self.probability!r} needs all data at once: partial_fit cannot "
                "calibrate"
            )
        return super()._batch_weights(*data)

    def _prepare_table(self, table):
        if self.probability is not None:
            raise ValueError(
                f"probability={self.probability!r} needs the rows in memory: fit with None, then "
                "calibrate on rows that were held out, as "
                "CalibratedClassifierCV(FrozenEstimator(model)).fit(X, y) does"
            )
        return super()._prepare_table(table)

    def _finish(self, problem, sample_weight=None, **given):
        if self.probability is None:
            return
        objectives = problem.objectives
        with objectives[0].rows.session():
            scores = held_out_scores(
                objectives, self._solutions(problem), problem.y, solver=self.solver,
                tol=self.tol, max_iter=self.max_iter,
                random_state=check_random_state(self.random_state),
            )  # fmt: skip
        # The weights of the rows, without those of the classes.
        weight = check_weights(sample_weight, len(problem.y))
        used = objectives[0].s > 0
        self.calibrators_ = [
            calibrate(self.probability, f[used], objective.y[used] > 0, weight[used])
            for f, objective in zip(scores, objectives, strict=True)
        ]

    def _check_probability(self):
        fitted = hasattr(self, "coef_")
        if hasattr(self, "calibrators_") if fitted else self.probability is not None:
            return
        now = f", this one was not, whatever it is now: {self.probability!r}" if fitted else ""
        raise AttributeError(
            f"predict_proba is not available: fit with probability='sigmoid' or 'isotonic'{now}"
        )

    def _probability(self, scores):
        check_is_fitted(self, "calibrators_")
        if scores.ndim == 1:
            return self.calibrators_[0].predict(scores)
        columns = zip(self.calibrators_, scores.T, strict=True)
        return np.column_stack([c.predict(column) for c, column in columns])
