"""Linear quantile regression."""

import numpy as np
from sklearn.metrics import d2_pinball_score

from sklearn_margin._arrays import on_host, scores_on_host
from sklearn_margin._base.regression import OTHER_LOSSES, BaseRegressor
from sklearn_margin._base.scores import predictions_in_parts
from sklearn_margin._validation import check_number
from sklearn_margin.batches import by_batch
from sklearn_margin.losses import Quantile
from sklearn_margin.objective import PointwiseObjective

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
    alpha, l1_ratio, fit_intercept, solver, tol, max_iter, warm_start, n_jobs, random_state, \
verbose
        As in ``LinearRegressor``.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_quantiles, n_features)
        Coefficients w: a row per quantile if ``quantile`` is a list, even of one.
    intercept_ : float or ndarray of shape (n_quantiles,)
        Intercept b.
    n_iter_ : int
        Most iterations of the solver over the quantiles.
    dual_gap_ : float or ndarray of shape (n_quantiles,)
        Bound on the distance to the minimum, where the solver has one.
    solver_, n_features_in_, feature_names_in_
        As in ``LinearRegressor``.

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
        quantile=0.5,
        non_crossing=False,
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
        self.quantile = quantile
        self.non_crossing = non_crossing
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
                penalty=self._penalty(), fit_intercept=self.fit_intercept,
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
        return problem._replace(known={"_quantiles": np.array(self._quantile_list())})

    def _is_of(self, problem):
        return super()._is_of(problem) and len(self._quantiles) == len(problem.objectives)

    def _finish(self, problem, **given):
        if self._has_several and hasattr(self, "dual_gap_"):
            self.dual_gap_ = np.atleast_1d(self.dual_gap_)

    @by_batch
    def predict(self, X):
        """Predict quantiles.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_quantiles)
            A column per quantile, in the order given, if ``quantile`` is a list. One for each
            batch, or a lazy Dask array.
        """
        z = self._scores(X)
        if np.ndim(self.intercept_) == 0:
            return z
        z, give = scores_on_host(z)
        z = z.reshape(-1, len(self.intercept_))
        if self.non_crossing:
            z = np.sort(z, axis=1)[:, np.argsort(np.argsort(self._quantiles))]
        return give(z)

    def score(self, X, y=None, sample_weight=None):
        """Share of the quantile loss that the model explains, D².

        1 less the ratio of the quantile loss of the predictions to that of the best constant,
        the sample quantile of ``y``: 1 is perfect, 0 as good as the constant [1]_. Averaged over
        the quantiles. (Scikit-learn's ``QuantileRegressor`` returns R², by which the best
        prediction is the mean, whatever the quantile.)

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features, and what is by row besides them, as in ``fit``.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            For wrong data, or if there is no y.

        References
        ----------
        .. [1] Koenker & Machado, "Goodness of fit and related inference processes for quantile
           regression", Journal of the American Statistical Association 94, 1999.
        """
        X, y, sample_weight = map(on_host, (X, y, sample_weight))
        parts = predictions_in_parts(self, X, y, sample_weight=sample_weight)
        if parts is not None:
            return parts.d2(self._quantiles)
        z = self.predict(X)
        columns = z.T if z.ndim == 2 else [z]
        scores = [
            d2_pinball_score(y, column, sample_weight=sample_weight, alpha=quantile)
            for quantile, column in zip(self._quantiles, columns, strict=True)
        ]
        return float(np.mean(scores))
