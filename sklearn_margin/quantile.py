"""Linear quantile regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import d2_pinball_score

from sklearn_margin._arrays import on_host, scores_on_host
from sklearn_margin._base.linear import check_offset_given, given_offset
from sklearn_margin._base.regression import OTHER_LOSSES, BaseRegressor
from sklearn_margin._base.scores import predictions_in_parts
from sklearn_margin._typing import Array, ArrayLike, Bounds, Factors, MatrixLike, RandomState
from sklearn_margin._validation import check_number
from sklearn_margin.batches import Batches, by_batch_with_offset
from sklearn_margin.losses import Quantile
from sklearn_margin.objective import PointwiseObjective
from sklearn_margin.solvers import Solver

__all__ = ["QuantileRegressor"]


class QuantileRegressor(BaseRegressor):
    """Linear quantile regression, for one quantile or several.

    For each quantile q, minimises [1]_

        Σ s_i (q·[r_i]₊ + (1 − q)·[−r_i]₊) / Σ s_i + penalty, r_i = y_i − x_i·w − b.

    With an intercept, q lies between the share of the training rows below the fitted plane and
    the share of those below or on it. Scikit-learn's ``QuantileRegressor`` has an L1 penalty: it
    is this one with ``l1_ratio=1`` and the same alpha.

    Parameters
    ----------
    quantile : float or list of float in (0, 1), default=0.5
        Quantile q of y given x; those of a list are fitted to the same rows, one by one.
    non_crossing : bool, default=False
        Whether to sort the predictions for each row, so that a higher quantile never gets a
        lower prediction than a lower one [2]_. Coefficients stay as they are, so that it may be
        changed after a fit; of no effect for one quantile.
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
    coef_ : ndarray of shape (n_features,) or (n_quantiles, n_features)
        Coefficients w: a row per quantile if ``quantile`` is a list, even of one.
    intercept_ : float or ndarray of shape (n_quantiles,)
        Intercept b, one for each quantile if ``quantile`` is a list; 0 without ``fit_intercept``.
    n_iter_ : int
        Iterations of the solver, the most over the quantiles.
    solver_ : str
        Name of the solver.
    dual_gap_ : float or ndarray of shape (n_quantiles,)
        Duality gap: the objective is above its minimum by at most this, in units of the objective;
        one for each quantile if ``quantile`` is a list. Absent where the solver knows none.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had string column names.

    References
    ----------
    .. [1] Koenker & Bassett, "Regression quantiles", Econometrica 46, 1978.
    .. [2] Chernozhukov, Fernández-Val & Galichon, "Quantile and probability curves without
       crossing", Econometrica 78, 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_margin import QuantileRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(1000, 1))
    >>> y = X[:, 0] * rng.uniform(size=1000)  # the quantile q of y given x is q·x
    >>> model = QuantileRegressor(quantile=[0.1, 0.5, 0.9]).fit(X, y)
    >>> model.predict([[0.5], [1.0]]).round(1)
    array([[0. , 0.2, 0.5],
           [0.1, 0.5, 0.9]])
    """

    def __init__(
        self,
        *,
        quantile: float | Sequence[float] | Array = 0.5,
        non_crossing: bool = False,
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
        self.quantile = quantile
        self.non_crossing = non_crossing
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

    _init_hints = OTHER_LOSSES | dict.fromkeys(("q", "tau", "quantiles"), "it is called quantile")

    @property
    def _has_several(self):
        """Whether ``quantile`` is a list (or a tuple, array or Series)."""
        return isinstance(self.quantile, (list, tuple)) or getattr(self.quantile, "ndim", 0) == 1

    @property
    def _coef_is_2d(self):
        return np.ndim(self.intercept_) == 1

    def _quantile_list(self):
        """The quantiles as floats, checked."""
        quantiles = list(self.quantile) if self._has_several else [self.quantile]
        if not quantiles:
            raise ValueError(f"quantile must hold at least one number, got {self.quantile!r}")
        for quantile in quantiles:
            check_number(quantile, "quantile", minimum=0, maximum=1, closed=False)
        return [float(quantile) for quantile in quantiles]

    def _objectives(self, rows, y, s):
        if not isinstance(self.non_crossing, (bool, np.bool_)):
            raise TypeError(f"non_crossing must be True or False, got {self.non_crossing!r}")
        return [
            PointwiseObjective(
                Quantile(quantile=quantile), rows, y, s,
                penalty=self._penalty(rows.shape[1]), fit_intercept=self.fit_intercept,
            )
            for quantile in self._quantile_list()
        ]  # fmt: skip

    def _n_tasks(self):
        n_quantiles = len(self.quantile) if self._has_several else 1
        return n_quantiles if n_quantiles > 1 else self.max_iter

    def _prepare(self, *data, batch=False, **given):
        problem = super()._prepare(*data, batch=batch, **given)
        if self._continues(batch) and len(self._quantiles) != len(problem.objectives):
            raise ValueError(
                "partial_fit cannot change the number of quantiles, which is "
                f"{len(self._quantiles)}: got quantile={self.quantile!r}"
            )
        # The parameter may be set anew before the model is fitted anew.
        known = {**problem.known, "_quantiles": np.array(self._quantile_list())}
        return problem._replace(known=known)

    _shares_offset = True

    def _is_of(self, problem):
        return super()._is_of(problem) and len(self._quantiles) == len(problem.objectives)

    def _finish(self, problem, **given):
        if self._has_several and hasattr(self, "dual_gap_"):
            self.dual_gap_ = np.atleast_1d(self.dual_gap_)

    @by_batch_with_offset
    def predict(self, X: MatrixLike, offset: ArrayLike | None = None) -> Array:
        """Predict quantiles.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features.
        offset : float or array-like of shape (n_samples,) or (n_samples, n_quantiles), default=None
            What is added to the predictions, as in ``fit``; one column is for all quantiles.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_quantiles)
            A column per quantile, in the order given, if ``quantile`` is a list. One for each
            batch, or a lazy Dask array.
        """
        self._expect_offset(offset)
        z = self._scores(X, offset)
        if np.ndim(self.intercept_) == 0:
            return z
        z, give = scores_on_host(z)
        z = z.reshape(-1, len(self.intercept_))
        if self.non_crossing:
            z = np.sort(z, axis=1)[:, np.argsort(np.argsort(self._quantiles))]
        return give(z)

    def score(
        self,
        X: MatrixLike | Batches,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> float:
        """Share of the quantile loss that the model explains, D².

        1 less the ratio of the quantile loss of the predictions to that of the best constant,
        the sample quantile of ``y``: 1 is perfect, 0 as good as the constant [1]_. Averaged over
        the quantiles. (Scikit-learn's ``QuantileRegressor`` returns R², by which the best
        prediction is the mean, whatever the quantile.)

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features, and what is by row besides them, as in ``fit``.
        y : array-like of shape (n_samples,), default=None
            Targets; None where X is ``Batches``, which hold them.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.
        offset : float or array-like of shape (n_samples,) or (n_samples, n_quantiles), default=None
            What is added to the predictions, as in ``fit``; needed if that was given one.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            For wrong data, if there is no y, or if the model was fitted with an offset and none is
            given.

        References
        ----------
        .. [1] Koenker & Machado, "Goodness of fit and related inference processes for quantile
           regression", Journal of the American Statistical Association 94, 1999.
        """
        X, y, sample_weight, offset = map(on_host, (X, y, sample_weight, offset))
        parts = predictions_in_parts(self, X, y, sample_weight=sample_weight, offset=offset)
        if parts is not None:
            check_offset_given(self, parts.has_offset)
            return parts.d2(self._quantiles)
        check_offset_given(self, offset is not None)
        z: Any = self.predict(X, **given_offset(offset))
        columns = z.T if z.ndim == 2 else [z]
        scores = [
            d2_pinball_score(y, column, sample_weight=sample_weight, alpha=quantile)
            for quantile, column in zip(self._quantiles, columns, strict=True)
        ]
        return float(np.mean(scores))
