"""The loss of one or of several quantiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.utils import check_array

from sklearn_margin._typing import ArrayLike
from sklearn_margin._validation import float_column, normalize_weights

__all__ = ["check_quantiles", "pinball_loss"]


def pinball_loss(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    quantile: float | Sequence[float],
    sample_weight: ArrayLike | None = None,
) -> float:
    """Mean pinball (quantile) loss of predictions of one quantile, or of several.

    For quantile q a prediction z of y costs q·[y − z]₊ + (1 − q)·[z − y]₊. That of several
    quantiles is the mean over them, by which a whole fan is compared with another; scikit-learn's
    :func:`sklearn.metrics.mean_pinball_loss` knows one quantile only.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Targets.
    y_pred : array-like of shape (n_samples,) or (n_samples, n_quantiles)
        Predictions, a column for each quantile if `quantile` is a list.
    quantile : float or list of float in (0, 1)
        The quantiles, in the order of the columns.
    sample_weight : float or array-like of shape (n_samples,), default=None
        Non-negative weights.

    Returns
    -------
    float
        In units of y; the smaller, the better.

    Raises
    ------
    ValueError
        For wrong data, or if columns and quantiles differ in number.

    Examples
    --------
    >>> from sklearn_margin.metrics import pinball_loss
    >>> pinball_loss([1.0, 2.0], [[0.0, 2.0], [1.0, 3.0]], quantile=[0.1, 0.9])
    0.1
    """
    quantiles = check_quantiles(quantile)
    z = check_array(y_pred, dtype=np.float64, ensure_2d=False, input_name="y_pred")
    y = float_column(y_true, "y_true")
    if z.ndim == 1:
        z = z[:, None]
    if z.shape != (len(y), len(quantiles)):
        raise ValueError(
            f"y_pred has shape {z.shape}, expected {(len(y), len(quantiles))}: a row for each "
            "entry of y_true and a column for each quantile"
        )
    s = normalize_weights(sample_weight, len(y), np.dtype(np.float64))
    r = y[:, None] - z
    return float(s @ np.maximum(quantiles * r, (quantiles - 1.0) * r).mean(axis=1))


def check_quantiles(quantile) -> np.ndarray:
    """One quantile or several as an array, checked."""
    try:
        quantiles = np.atleast_1d(np.asarray(quantile, dtype=np.float64))
    except (TypeError, ValueError):
        quantiles = np.empty(0)
    if quantiles.ndim > 1 or not len(quantiles) or not ((quantiles > 0) & (quantiles < 1)).all():
        raise ValueError(f"quantile must be a number in (0, 1) or a list of them, got {quantile!r}")
    return quantiles
