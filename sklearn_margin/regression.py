"""Linear regressors."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.callback import with_callbacks
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.extmath import safe_sparse_dot

from sklearn_margin._base import LinearModel, resolve_loss, stack, uses_sgd
from sklearn_margin._hints import INIT_HINTS, available_if
from sklearn_margin.losses import (
    Absolute,
    BinaryLoss,
    EpsilonInsensitive,
    Huber,
    PointwiseLoss,
    Quantile,
    Squared,
    SquaredEpsilonInsensitive,
)
from sklearn_margin.losses.base import check_number, check_weights, normalize_weights
from sklearn_margin.objective import ConcomitantHuberObjective, PointwiseObjective
from sklearn_margin.objective.pointwise import cast_targets

__all__ = ["HuberRegressor", "LinearRegressor"]

_LOSSES = {
    "absolute": Absolute,
    "epsilon_insensitive": EpsilonInsensitive,
    "huber": Huber,
    "quantile": Quantile,
    "squared": Squared,
    "squared_epsilon_insensitive": SquaredEpsilonInsensitive,
}


OTHER_LOSSES = INIT_HINTS | {"loss": "for other losses there is LinearRegressor(loss=...)"}


class _BaseRegressor(RegressorMixin, LinearModel):
    """Fit and predict of regressors; subclasses say which objective, or which several."""

    _coef_is_2d = False

    def _objective(self, rows, y, s):
        raise NotImplementedError

    def _objectives(self, rows, y, s):
        return [self._objective(rows, y, s)]

    def _n_subtasks(self):
        """Tasks that a fit consists of, for callbacks: iterations, or problems if several."""
        return self.max_iter

    def _fitted(self, coef, intercept):
        """Fitted attributes, from one row of ``coef`` per objective."""
        return {"coef_": coef[0], "intercept_": intercept[0]}

    def _solutions(self):
        """Coefficients and intercept by objective."""
        coef, intercept = np.atleast_2d(self._dense_coef()), np.atleast_1d(self.intercept_)
        self._check_stored(coef, intercept, len(coef), self.n_features_in_)
        return list(zip(coef, intercept, strict=True))

    @with_callbacks
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; 2 counts as two equal rows, 0 as none.
        X_val, y_val : array-like, default=None
            Validation set for ``solver=SGD(early_stopping=True)``, in place of a part of the
            training rows.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For a wrong parameter or wrong data; the estimator stays as it was.
        """
        with self._fit_task(X, y, self._n_subtasks()) as task:
            objectives, X, y = self._prepare(X, y, sample_weight)
            task.X, task.y = X, y
            held_out = self._validation_rows(X_val, y_val, objectives[0].rows)
            if held_out is not None:
                y_val = check_array(y_val, ensure_2d=False, dtype=X.dtype, input_name="y_val")
                check_consistent_length(held_out.X, y_val)
                equal = normalize_weights(None, len(y_val), X.dtype)
                task.validation = self._objectives(held_out, y_val, equal)
            previous = self._solutions() if self._warm(X.shape[1]) else []
            solutions = self._minimize(
                objectives, previous if len(previous) == len(objectives) else None, task,
                self._partly_fitted(len(objectives), X.shape[1]),
                sample_weight=sample_weight,
            )  # fmt: skip
            self.__dict__.update(self._fitted(*stack(solutions, X.dtype)))
            self._finish(objectives[0], X, y)
            self.__dict__.pop("_stream_states", None)
        return self

    def _prepare(self, X, y, sample_weight=None):
        self._check_common_params()
        X, y = self._validate(X, y, y_numeric=True)
        y = cast_targets(y, X.dtype)
        s = normalize_weights(sample_weight, len(y), X.dtype)
        return self._objectives(self._rows(X, self.fit_intercept), y, s), X, y

    def _partly_fitted(self, n_problems, n_features):
        """A function for callbacks: the fitted attributes while problem k is being solved."""
        all_coef, all_intercept = np.zeros((n_problems, n_features)), np.zeros(n_problems)

        def fitted(k, coef, intercept):
            all_coef[k], all_intercept[k] = coef, intercept
            return self._fitted(all_coef.copy(), all_intercept.copy())

        return fitted

    def _finish(self, objective, X, y):
        """Set further fitted attributes."""

    @available_if(uses_sgd)
    def partial_fit(self, X, y, sample_weight=None):
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
        with self._unchanged_if_failed():
            self._check_common_params()
            first = not hasattr(self, "coef_")
            X, y = self._validate(X, y, reset=first, y_numeric=True)
            y = cast_targets(y, X.dtype)
            # Weights count relative to 1, for they must compare across batches.
            s = (check_weights(sample_weight, len(y)) / len(y)).astype(X.dtype, copy=False)
            objectives = self._objectives(self._rows(X, center=False), y, s)
            previous = [None] * len(objectives) if first else self._solutions()
            if len(previous) != len(objectives):
                raise ValueError(
                    "partial_fit cannot change the number of quantiles, which is "
                    f"{len(previous)}: got quantile={self.quantile!r}"
                )
            states = getattr(self, "_stream_states", None) or [None] * len(objectives)
            if len(states) != len(objectives):
                raise ValueError(
                    f"partial_fit kept {len(states)} states of earlier calls, and needs "
                    f"{len(objectives)}: begin anew with a clone"
                )
            streams = map(self._stream, objectives, states, previous)
            states, coef, intercept = zip(*streams, strict=True)
            coef, intercept = np.array(coef, X.dtype), np.array(intercept, X.dtype)
            self.__dict__.update(self._fitted(coef, intercept), _stream_states=list(states))
            self.n_iter_ = 1
        return self

    def predict(self, X):
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._scores(X)


class LinearRegressor(_BaseRegressor):
    """Linear regression with a loss of your choice.

    Minimises Σ s_i ℓ(y_i, x_i·w + b) / Σ s_i + alpha·((1 − l1_ratio)/2·‖w‖² + l1_ratio·‖w‖₁).
    The intercept b is not penalised.

    Parameters
    ----------
    loss : str or PointwiseLoss, default="squared"
        A name (the class name in snake case: "squared", "absolute", "huber", "quantile",
        "epsilon_insensitive", "squared_epsilon_insensitive") or a loss object.
    alpha : float, default=1e-4
        Strength of the penalty. The loss is a mean, so alpha does not depend on the number
        of samples; alpha = 1/(C·n) for a sum with factor C.
    l1_ratio : float, default=0.0
        Share of the L1 penalty, from 0 to 1.
    fit_intercept : bool, default=True
        Whether to fit b.
    solver : str or Solver, default="auto"
        "newton", "coordinate_descent", "lbfgs", "interior_point", "dual_cd", "smoothing",
        "subgradient", "sgd", a configured solver such as ``SGD(batch_size=32)``, or "auto",
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
    intercept_ : float
        Intercept b.
    n_iter_ : int
        Iterations of the solver.
    solver_ : str
        Name of the solver.
    dual_gap_ : float
        Bound on the distance to the minimum, where the solver has one.
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
        loss="squared",
        *,
        alpha=1e-4,
        l1_ratio=0.0,
        fit_intercept=True,
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
            penalty=self._penalty(), fit_intercept=self.fit_intercept,
        )  # fmt: skip


class HuberRegressor(_BaseRegressor):
    """Huber's robust linear regression, with the scale of the errors estimated.

    With scale=None, minimises over w, b and σ > 0 [1]_

        Σ s_i [σ/2 + σ·ρ((y_i − x_i·w − b)/σ)] / Σ s_i + penalty,

    ρ the Huber loss of threshold ``epsilon``. Scikit-learn's ``HuberRegressor`` minimises the
    same function times 2n, so its alpha is n times this one. With a number,
    ``HuberRegressor(scale=s)`` is ``LinearRegressor(loss=Huber(delta=epsilon * s))``.

    Parameters
    ----------
    epsilon : float, default=1.35
        Threshold in units of the scale, at least 1; 1.35 is 95 % efficient for normal errors.
    scale : float, default=None
        Scale σ of the errors in units of y; None estimates it jointly with w and b.
    alpha, l1_ratio, fit_intercept, solver, tol, max_iter, warm_start, n_jobs, random_state, \
verbose
        As in ``LinearRegressor``.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients w.
    intercept_ : float
        Intercept b.
    scale_ : float
        Scale σ.
    outliers_ : ndarray of bool of shape (n_samples,)
        Training rows whose residual exceeds epsilon·σ.
    n_iter_ : int
        Iterations of the solver.
    solver_ : str
        Name of the solver.
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
        epsilon=1.35,
        scale=None,
        alpha=1e-4,
        l1_ratio=0.0,
        fit_intercept=True,
        solver="auto",
        tol=1e-4,
        max_iter=1000,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.epsilon = epsilon
        self.scale = scale
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    _init_hints = OTHER_LOSSES

    def _objective(self, rows, y, s):
        check_number(self.epsilon, "epsilon", minimum=1)
        settings = {
            "penalty": self._penalty(),
            "fit_intercept": self.fit_intercept,
        }
        if self.scale is None:
            loss = Huber(delta=self.epsilon)
            return ConcomitantHuberObjective(loss, rows, y, s, **settings)
        check_number(self.scale, "scale", minimum=0, closed=False)
        return PointwiseObjective(Huber(delta=self.epsilon * self.scale), rows, y, s, **settings)

    def _finish(self, objective, X, y):
        z = safe_sparse_dot(X, self.coef_) + self.intercept_
        self.scale_ = objective.scale(z) if self.scale is None else float(self.scale)
        self.outliers_ = np.abs(y - z) > self.epsilon * self.scale_
