"""Regularisation paths: fits for a sequence of alphas."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import Bunch

from sklearn_margin._base.linear import LinearModel
from sklearn_margin._largest_alpha import BY_ROW, largest_alpha
from sklearn_margin._paths import decreasing, fits
from sklearn_margin._typing import ArrayLike, MatrixLike
from sklearn_margin._validation import check_number
from sklearn_margin.batches import Batches

__all__ = ["regularization_path"]


def regularization_path(
    estimator: LinearModel,
    X: MatrixLike | Batches,
    y: ArrayLike | None,
    *,
    alphas: ArrayLike | None = None,
    n_alphas: int = 20,
    alpha_ratio: float = 1e-3,
    **fit_params: Any,
) -> Any:
    """Fit an estimator for a decreasing sequence of penalties.

    Each fit starts from the solution of the one before; or all are found together, which costs
    little more than one of them. Penalties act on raw coefficients, so features should have
    similar scales.

    Parameters
    ----------
    estimator : estimator
        Any classifier, regressor or ranker of this package. It is not changed; its parameter
        ``alpha`` is not used.
    X : {array-like, sparse matrix} of shape (n_samples, n_features), or Batches
        Features; or all there is by row, with None for y.
    y : array-like of shape (n_samples,)
        Labels, targets or relevance, as in ``estimator.fit``.
    alphas : array-like of shape (n_alphas,), default=None
        Values of ``alpha``, in any order. None makes a grid.
    n_alphas : int, default=20
        Number of alphas in the grid.
    alpha_ratio : float, default=1e-3
        Smallest alpha of the grid over the largest, between 0 and 1.
    **fit_params
        Passed to ``fit``: ``sample_weight``, ``offset``, for rankers ``groups``.

    Returns
    -------
    path : Bunch
        An entry per alpha in each of:

        alphas : ndarray of shape (n_alphas,)
            Alphas, in decreasing order.
        coefs : ndarray of shape (n_alphas, \\*coef_.shape)
            Coefficients.
        intercepts : ndarray of shape (n_alphas, \\*intercept_.shape)
            Intercepts; zeros for rankers, minus the thresholds for ordered classes.
        n_iters : ndarray of int of shape (n_alphas,)
            ``n_iter_``; 0 where the solutions for other alphas told this one.
        dual_gaps : ndarray of shape (n_alphas,) or (n_alphas, n_problems)
            ``dual_gap_``, NaN where there is none; a column per class or quantile if they are
            separate problems.

    Raises
    ------
    TypeError
        If ``estimator`` is not of this package. For a pipeline, transform X first.
    ValueError
        For wrong alphas, or whatever ``fit`` raises it for.

    Notes
    -----
    The grid is geometric. With an L1 penalty it starts from the smallest alpha for which all
    coefficients are zero, max over j of \\|Σ_i g_i x_ij\\| / l1_ratio, with g the gradient of
    the loss at the scores of the best model without coefficients, the largest such alpha if
    there are several classes or quantiles. At a kink of the loss g is the subgradient that
    makes this alpha smallest, which is a linear programme over the rows at the kink (many, for
    the hinge: a whole class). Where that would be large, for losses of several scores, and for
    losses of your own that do not say where their kinks are, it may start from a larger alpha.
    Slopes are divided by ``penalty_factors``; bounds are not looked at.

    Solutions are found together for losses of one score with a second derivative, any penalty of
    all features without bounds, many rows in memory (200 per coefficient, and a million numbers)
    and the solvers "newton" and "coordinate_descent", which "auto" takes there. A sample of the
    rows is solved for few alphas, and Newton steps lead to the solutions of all rows. Without L1
    they serve some alphas: the other solutions lie on a spline through those, or nearly. Each read
    of X looks at many alphas, and each solution has its own certificate.

    Without L1 coefficients are never zero. By convexity they save at most ‖Xᵀg‖²/(2·alpha) of
    the loss: the grid starts where that is 1 % of it.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_margin import LinearRegressor, regularization_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> path = regularization_path(LinearRegressor(l1_ratio=1), X, y, n_alphas=5)
    >>> path.coefs.shape, path.intercepts.shape
    ((5, 10), (5,))
    >>> (abs(path.coefs) > 1e-6).sum(axis=1)
    array([ 0,  4,  7,  9, 10])
    """
    if not isinstance(estimator, LinearModel):
        raise TypeError(
            "estimator must be a classifier, regressor or ranker of sklearn_margin, got "
            f"{estimator!r}"
        )
    check_number(n_alphas, "n_alphas", minimum=1, integer=True)
    check_number(alpha_ratio, "alpha_ratio", minimum=0, maximum=1, closed=False)
    model = clone(estimator).set_params(alpha=1.0, warm_start=True)
    names = dict.fromkeys(BY_ROW) | fit_params
    table = model._table(X, y, names)
    if table is not None:  # its first read serves all fits
        X, y, found = model._of_table(table, dict.fromkeys(names))
        fit_params = {name: values for name, values in found.items() if values is not None}
    if alphas is None:
        largest = largest_alpha(model, X, y, fit_params)
        grid = np.geomspace(largest, largest * alpha_ratio, n_alphas)
    else:
        grid = decreasing(alphas)
    fitted = []
    for _ in fits(model, grid, X, y, fit_params):
        gap = getattr(model, "dual_gap_", np.nan)
        fitted.append((model.coef_, _intercepts(model), model.n_iter_, gap))
    coefs, intercepts, n_iters, gaps = zip(*fitted, strict=True)
    return Bunch(
        alphas=grid,
        coefs=np.array(coefs),
        intercepts=np.array(intercepts),
        n_iters=np.array(n_iters),
        dual_gaps=np.array(np.broadcast_arrays(*gaps)),  # one for all where there is none
    )


def _intercepts(model):
    """What is added to scores: for each threshold, where there are such."""
    if hasattr(model, "thresholds_"):
        return -model.thresholds_
    return getattr(model, "intercept_", 0.0)
