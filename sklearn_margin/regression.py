"""Linear regressors."""

from __future__ import annotations

import numpy as np

from sklearn_margin._base.estimator import resolve_loss
from sklearn_margin._base.regression import OTHER_LOSSES, BaseRegressor
from sklearn_margin._typing import Array, Bounds, Factors, RandomState
from sklearn_margin._validation import check_number
from sklearn_margin.losses import (
    Absolute,
    BinaryLoss,
    EpsilonInsensitive,
    Huber,
    Loss,
    PointwiseLoss,
    Quantile,
    Squared,
    SquaredEpsilonInsensitive,
)
from sklearn_margin.objective import ConcomitantHuberObjective, PointwiseObjective
from sklearn_margin.solvers import Solver

__all__ = ["HuberRegressor", "LinearRegressor"]

_LOSSES = {
    "absolute": Absolute,
    "epsilon_insensitive": EpsilonInsensitive,
    "huber": Huber,
    "quantile": Quantile,
    "squared": Squared,
    "squared_epsilon_insensitive": SquaredEpsilonInsensitive,
}


class LinearRegressor(BaseRegressor):
    """Linear regression with a loss of your choice.

    Minimises Σ s_i ℓ(y_i, x_i·w + b) / Σ s_i + alpha·((1 − l1_ratio)/2·‖w‖² + l1_ratio·‖w‖₁).
    The intercept b is not penalised.

    Parameters
    ----------
    loss : str or PointwiseLoss, default="squared"
        A name (the class name in snake case: "squared", "absolute", "huber", "quantile",
        "epsilon_insensitive", "squared_epsilon_insensitive") or a loss object.
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

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients w, per unit of each feature.
    intercept_ : float
        Intercept b; 0 without ``fit_intercept``.
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

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_margin import LinearRegressor
    >>> X = np.arange(5.0)[:, None]
    >>> y = np.array([0.0, 2.0, 4.0, 6.0, 100.0])
    >>> LinearRegressor(loss="absolute").fit(X, y).predict([[5.0]]).round(1)
    array([10.])
    """

    def __init__(
        self,
        loss: str | Loss = "squared",
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

    _losses = _LOSSES

    def _objective(self, rows, y, s):
        loss = resolve_loss(self.loss, PointwiseLoss, _LOSSES)
        if isinstance(loss, BinaryLoss):
            raise TypeError(f"loss {loss!r} is for labels -1 and +1: use LinearClassifier")
        return PointwiseObjective(
            loss, rows, y, s,
            penalty=self._penalty(rows.shape[1]), fit_intercept=self.fit_intercept,
        )  # fmt: skip


class HuberRegressor(BaseRegressor):
    """Huber's robust linear regression, with the scale of the errors estimated.

    With scale=None, minimises over w, b and σ > 0 [1]_

        Σ s_i [σ/2 + σ·ρ((y_i − x_i·w − b)/σ)] / Σ s_i + penalty,

    ρ the Huber loss of threshold ``epsilon``. Scikit-learn's ``HuberRegressor`` minimises the
    same function times 2n, so its alpha is n times this one. With a number,
    ``HuberRegressor(scale=s)`` is ``LinearRegressor(loss=Huber(delta=epsilon * s))``.

    Parameters
    ----------
    epsilon : float, default=1.35
        Threshold in units of the scale, at least 1. For normal errors 1.35 is 95 % efficient if
        their scale is given, and 89 % if it is estimated, with which 1.6 is 95 % efficient.
    scale : float, default=None
        Scale σ of the errors in units of y; None estimates it jointly with w and b.
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

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients w, per unit of each feature.
    intercept_ : float
        Intercept b; 0 without ``fit_intercept``.
    scale_ : float
        Scale σ.
    outliers_ : ndarray of bool of shape (n_samples,)
        Training rows whose residual exceeds epsilon·σ. Absent where X was not in memory, as of
        ``Batches``.
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
    .. [1] Huber & Ronchetti, "Robust Statistics", 2nd edition, Wiley, 2009, section 7.7.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_margin import HuberRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 1))
    >>> y = 3 * X[:, 0] + rng.normal(scale=0.1, size=100)
    >>> y[:10] += 50
    >>> model = HuberRegressor().fit(X, y)
    >>> model.coef_.round(1), int(model.outliers_[:10].sum())
    (array([3.]), 10)
    """

    def __init__(
        self,
        *,
        epsilon: float = 1.35,
        scale: float | None = None,
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
    ) -> None:
        self.epsilon = epsilon
        self.scale = scale
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

    scale_: float
    outliers_: Array

    _init_hints = OTHER_LOSSES | {
        "delta": "the threshold is epsilon, in units of the scale; one in units of y is that of "
        "LinearRegressor(Huber(delta=...))"
    }
    _leftovers = (*BaseRegressor._leftovers, "outliers_")

    def _objective(self, rows, y, s):
        check_number(self.epsilon, "epsilon", minimum=1)
        settings = {
            "penalty": self._penalty(rows.shape[1]),
            "fit_intercept": self.fit_intercept,
        }
        if self.scale is None:
            loss = Huber(delta=self.epsilon)
            return ConcomitantHuberObjective(loss, rows, y, s, **settings).sharing()
        check_number(self.scale, "scale", minimum=0, closed=False)
        loss = Huber(delta=self.epsilon * self.scale)
        return PointwiseObjective(loss, rows, y, s, **settings).sharing()

    def _finish(self, problem, **given):
        objective = problem.objectives[0]
        if problem.y is None:  # rows are elsewhere
            params = objective.from_coef(self.coef_, float(self.intercept_))
            self.scale_ = objective.scale_near(params) if self.scale is None else float(self.scale)
            return
        with objective.rows.session():
            z = objective.at(objective.from_coef(self.coef_, float(self.intercept_))).scores
        self.scale_ = objective.scale(z) if self.scale is None else float(self.scale)
        self.outliers_ = np.abs(problem.y - z) > self.epsilon * self.scale_
