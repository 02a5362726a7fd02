"""Inference of coefficients: which method is for which loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_margin._typing import ArrayLike, MatrixLike, RandomState
from sklearn_margin._validation import check_choice, check_number
from sklearn_margin.inference._bootstrap import bootstrap
from sklearn_margin.inference._equations import check_groups
from sklearn_margin.inference._fit import Fit
from sklearn_margin.inference._quantile import BANDWIDTHS, KERNELS, QUANTILE, quantile_covariance
from sklearn_margin.inference._smooth import HUBER, SANDWICHES, is_squared, smooth_covariance
from sklearn_margin.inference._table import CoefInference
from sklearn_margin.losses import Quantile

__all__ = ["coef_inference"]

_SMOOTH = ("classical", *SANDWICHES, *HUBER)
_METHODS = tuple(dict.fromkeys(("auto", *_SMOOTH, *QUANTILE, "bootstrap")))


def coef_inference(
    estimator: Any,
    X: MatrixLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    method: str = "auto",
    kernel: str = "epanechnikov",
    bandwidth: str = "hall-sheather",
    n_bootstrap: int = 500,
    n_jobs: int | None = None,
    random_state: RandomState = None,
) -> CoefInference:
    """Standard errors, confidence intervals and p-values of the coefficients of a fitted model.

    They are of fits without a penalty, or with one that is too weak to matter: fit with
    ``alpha=0``.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier, regressor or ranker of this package, or a pipeline that ends with one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features that it was fitted to.
    y : array-like of shape (n_samples,)
        Labels, targets or relevance that it was fitted to.
    sample_weight : float or array-like of shape (n_samples,), default=None
        Weights that it was fitted with. A row of weight 2 is one row that counts twice, not two
        rows: repeat rows that were seen more than once.
    groups : array-like of shape (n_samples,), default=None
        Groups of rows that may depend on each other, such as those of one person; for a ranker the
        groups that it was fitted with.
    offset : float or array-like, default=None
        Offset that it was fitted with; it counts as known.
    method : str, default="auto"
        "classical" trusts the model: equal variances of the squared loss, the likelihood of the
        logistic one and of cross entropy, and "H1", "H2" and "H3" of the Huber loss, of which
        "classical" is the first. "HC0", "HC1", "HC2", "HC3" hold whatever the variances are, and
        "cluster" for dependent rows of a group; all of these are for smooth losses. "iid",
        "robust", "kernel", "hks" and "cluster" are of quantiles. "bootstrap" is for every convex
        loss. "auto" is "cluster" with groups, else "HC1" or "kernel"; for losses with kinks, and
        rankers without groups, it is "bootstrap".
    kernel : str, default="epanechnikov"
        Of the density at a quantile: "epanechnikov", "gaussian", "biweight", "cosine", "parzen".
    bandwidth : str, default="hall-sheather"
        Of the kernel and of neighbouring quantiles: "hall-sheather", "bofinger", "chamberlain".
    n_bootstrap : int, default=500
        Replicates of the bootstrap.
    n_jobs : int, default=None
        Threads of the bootstrap; None is one, −1 all cores. The result is the same for any number.
    random_state : int, RandomState or None, default=None
        Seed of the bootstrap.

    Returns
    -------
    CoefInference

    Raises
    ------
    TypeError
        If the estimator is not of this package, or X is not in memory.
    ValueError
        If the method is not one for the loss; or if errors would mean nothing: an L1 penalty,
        coefficients at a bound, a penalty that moves coefficients by more than a tenth of a
        standard error, losses that are not convex, classes that can be separated, ``partial_fit``,
        a fit that has not converged, other data than those of the fit, no more rows than
        parameters, dependent features, less than two groups, one list.

    Notes
    -----
    With ψ_i the gradient of row i and A the Hessian, the sandwich is A⁻¹ (Σ ψ_i ψ_iᵀ) A⁻¹ [1]_. HC1
    multiplies it by n/(n − p), HC2 and HC3 divide ψ_i by powers of 1 − h_i, h_i being the leverage,
    and "cluster" sums ψ_i over a group first, with the factor m/(m − 1) · (n − 1)/(n − p) for m
    groups, as statsmodels has it. A scale that ``HuberRegressor`` estimates is a parameter more.
    Intervals are by the t distribution for least squares, else by the normal one.

    For quantiles, "kernel" is Powell's sandwich, "hks" that of Hendricks and Koenker from the
    difference of neighbouring quantiles, which have to be linear, too; "iid" and "robust" have one
    density for all rows. All but "robust" count on the share of rows below the quantile being right
    in every row [2]_.

    The bootstrap fits the model anew to each of `n_bootstrap` vectors of weights, exponential and
    independent by row, or group where there are groups, from the solution at hand [3]_. With an L2
    penalty it gives the errors of penalised coefficients, which are those of smaller coefficients.

    Of several classes with one loss of all, coefficients sum to zero over classes, and the
    covariance is of these.

    References
    ----------
    .. [1] White, "A heteroskedasticity-consistent covariance matrix estimator and a direct test for
       heteroskedasticity", Econometrica 48, 1980.
    .. [2] Koenker, "Quantile regression", Cambridge University Press, 2005, chapter 3.
    .. [3] Rubin, "The Bayesian bootstrap", Annals of Statistics 9, 1981.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_margin import QuantileRegressor
    >>> from sklearn_margin.inference import coef_inference
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 2))
    >>> y = X[:, 0] + rng.standard_t(3, size=500)
    >>> model = QuantileRegressor(alpha=0).fit(X, y)
    >>> summary = coef_inference(model, X, y)
    >>> summary.feature_names
    ['intercept', 'x0', 'x1']
    >>> summary.standard_errors.round(2)
    array([0.06, 0.07, 0.07])
    >>> low, high = summary.confidence_interval()
    >>> (low < [0, 1, 0]) & ([0, 1, 0] < high)
    array([ True,  True,  True])
    """
    check_choice(method, "method", _METHODS)
    check_choice(kernel, "kernel", KERNELS)
    check_choice(bandwidth, "bandwidth", BANDWIDTHS)
    check_number(n_bootstrap, "n_bootstrap", minimum=2, integer=True)
    fit = Fit(estimator, X, y, sample_weight, groups, offset)
    if method == "auto":
        method = _best_method(fit)
    if method == "bootstrap":
        found = bootstrap(fit, n_bootstrap, n_jobs, random_state)
        alpha = fit.model.alpha
        note = f"of the coefficients with alpha={alpha:g}" if fit.is_penalized else ""
        flat = found.reshape(n_bootstrap, -1)
        covariance = np.atleast_2d(np.cov(flat, rowvar=False))
        return _table(fit, covariance, method, replicates=found, note=note)
    _check_kinks(fit, method)
    covariance = (
        quantile_covariance(fit, method, kernel, bandwidth)
        if _is_of_quantiles(fit)
        else smooth_covariance(fit, method)
    )
    return _table(fit, covariance, method)


def _is_of_quantiles(fit):
    return type(fit.objectives[0].loss) is Quantile


def _best_method(fit):
    objective = fit.objectives[0]
    if _is_of_quantiles(fit):
        return "kernel" if fit.groups is None else "cluster"
    if not objective.has_hessian or not objective.is_smooth:
        return "bootstrap"
    if fit.groups is not None:
        return "cluster"
    return "bootstrap" if fit.is_ranker else "HC1"


def _check_kinks(fit, method):
    """Raise ``ValueError`` if the method needs a Hessian, and there is none."""
    objective = fit.objectives[0]
    loss = type(objective.loss).__name__
    if _is_of_quantiles(fit) and method not in QUANTILE:
        raise ValueError(
            f"method={method!r} is for smooth losses, and quantiles have a kink: take "
            f"one of {sorted(QUANTILE)} or 'bootstrap'"
        )
    if not _is_of_quantiles(fit) and method not in _SMOOTH:
        raise ValueError(f"method={method!r} is of quantiles, got the loss {loss}")
    if not _is_of_quantiles(fit) and not (objective.has_hessian and objective.is_smooth):
        raise ValueError(f"the loss {loss} has kinks, and no Hessian: take method='bootstrap'")


def _table(fit, covariance, method, **settings):
    df = np.inf
    if is_squared(fit) and method != "bootstrap":
        df = fit.n - fit.n_params
        if method == "cluster":
            df = check_groups(fit, method) - 1
    return CoefInference(
        fit.coef, covariance, list(fit.names), targets=fit.targets, method=method,
        degrees_of_freedom=float(df), **settings,
    )  # fmt: skip
