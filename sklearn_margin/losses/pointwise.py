"""The family of losses of one score per row."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_array

from sklearn_margin._jit import kernel
from sklearn_margin._typing import Array, ArrayLike
from sklearn_margin._validation import normalize_weights, writable
from sklearn_margin.losses.base import Loss

__all__ = ["BinaryLoss", "PointwiseLoss", "RegressionLoss", "check_scores"]


def check_scores(y_true, y_pred, sample_weight):
    """Validate arrays given to ``value`` and ``gradient``.

    Returns
    -------
    y, z, s : ndarray of shape (n,)
        Labels and scores in one floating dtype, weights that sum to one.
    """
    z = check_array(
        y_pred, ensure_2d=False, dtype=(np.float64, np.float32), input_name="y_pred", order="C"
    )
    y = check_array(y_true, ensure_2d=False, dtype=z.dtype, input_name="y_true", order="C")
    if z.ndim != 1 or y.ndim != 1:
        raise ValueError(
            f"y_true and y_pred must be one-dimensional, got shapes {y.shape} and {z.shape}"
        )
    if len(y) != len(z):
        raise ValueError(f"y_true has {len(y)} entries and y_pred has {len(z)}: one per sample")
    return writable(y), writable(z), normalize_weights(sample_weight, len(z), z.dtype)


class PointwiseLoss(Loss):
    """A loss of one score per row.

    The author writes ``sample_value(y, z)`` and ``sample_gradient(y, z)`` for one label
    and one score; ``sample_hessian(y, z)`` if the loss is smooth; ``piecewise_linear(y)``
    if it is piecewise linear. In a classifier ``y`` is −1 or +1.

    Examples
    --------
    >>> import math
    >>> from sklearn_margin.losses import PointwiseLoss
    >>> class Cauchy(PointwiseLoss):
    ...     def __init__(self, scale=1.0):
    ...         self.scale = scale
    ...     def sample_value(self, y, z):
    ...         return math.log1p(((y - z) / self.scale) ** 2)
    ...     def sample_gradient(self, y, z):
    ...         r = (z - y) / self.scale
    ...         return 2 * r / (1 + r * r) / self.scale
    >>> round(Cauchy().value([0.0, 1.0], [0.0, 0.0]), 4)
    0.3466
    """

    kernel_methods: tuple[str, ...] = ("sample_value", "sample_gradient", "sample_hessian")
    formula: tuple[str, ...] = kernel_methods[:2]
    claims: tuple[str, ...] = (
        *Loss.claims,
        "sample_hessian",
        "piecewise_linear",
        "piecewise_quadratic",
        "scores_value",
        "scores_value_gradient",
        "scores_gradient_hessian",
    )
    #: Set to True for a loss that is differentiable but has no ``sample_hessian``.
    smooth: bool | None = None

    def sample_value(self, y: float, z: float) -> float:
        """Loss of one sample."""
        raise NotImplementedError(f"{type(self).__name__} has no sample_value(y, z)")

    def sample_gradient(self, y: float, z: float) -> float:
        """Derivative of ``sample_value`` with respect to ``z``."""
        raise NotImplementedError(f"{type(self).__name__} has no sample_gradient(y, z)")

    def sample_hessian(self, y: float, z: float) -> float:
        """Second derivative (or an element of the generalised one)."""
        raise NotImplementedError(f"{type(self).__name__} has no sample_hessian(y, z)")

    def piecewise_linear(self, y: Array) -> list[tuple[Array, Array, Array]] | None:
        """Hinges the loss is a sum of, or None if it is not piecewise linear.

        Parameters
        ----------
        y : ndarray of shape (n,)
            Labels.

        Returns
        -------
        list of (kink, left, right) or None
            Arrays of shape (n,): each hinge is ``left * (z - kink)`` below its kink and
            ``right * (z - kink)`` above it, with ``left <= right``.
        """
        return None

    def piecewise_quadratic(self, y: Array) -> list[tuple[Array, Array, Array, Array]] | None:
        """Hinges with round kinks the loss is a sum of, or None if it is not such a sum.

        Parameters
        ----------
        y : ndarray of shape (n,)
            Labels.

        Returns
        -------
        list of (kink, left, right, curve) or None
            Arrays of shape (n,): each hinge is the largest ``t * (z - kink) - curve * t**2 / 2``
            of all slopes t from ``left <= 0`` to ``right >= 0``, with ``curve > 0``.
        """
        return None

    def start_score(self, y: Array, s: Array) -> float:
        used = y[s > 0]
        labels = np.all(np.abs(used) == 1)
        return float(np.median(used)) if self.coercive and not labels else 0.0

    @property
    def has_hessian(self) -> bool:
        """Whether the author wrote ``sample_hessian``."""
        return type(self).sample_hessian is not PointwiseLoss.sample_hessian

    @property
    def is_smooth(self) -> bool:
        """Whether the loss is differentiable everywhere."""
        return self.has_hessian if self.smooth is None else self.smooth

    def check_labels(self, y: Array) -> None:
        """Raise if ``y`` holds a label the loss is not defined for."""

    def value(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Weighted mean of the loss.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Labels (−1 or +1) or targets.
        y_pred : array-like of shape (n,)
            Scores.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights.

        Returns
        -------
        float
        """
        self.check_params()
        y, z, s = check_scores(y_true, y_pred, sample_weight)
        self.check_labels(y)
        return self.scores_value(y, z, s)

    def gradient(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Array:
        """Derivative of ``value`` with respect to the scores.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Labels (−1 or +1) or targets.
        y_pred : array-like of shape (n,)
            Scores.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights.

        Returns
        -------
        ndarray of shape (n,)
        """
        self.check_params()
        y, z, s = check_scores(y_true, y_pred, sample_weight)
        self.check_labels(y)
        out = np.empty_like(z)
        self.scores_value_gradient(y, z, s, out)
        return out

    # What objectives call: validated arrays, weights as they are (not normalised).

    def scores_value(self, y: Array, z: Array, s: Array) -> float:
        """Sum of ``s * loss`` over validated arrays."""
        return self.scores_value_gradient(y, z, s, np.empty_like(z))  # one kernel less to compile

    def scores_value_gradient(self, y: Array, z: Array, s: Array, out: Array) -> float:
        """Sum of ``s * loss``; its derivatives go to ``out``.

        Parameters
        ----------
        y, z, s : ndarray of shape (n,)
            Labels or targets, scores, and weights.
        out : ndarray of shape (n,)
        """
        return float(self._run(_value_gradient, y, z, s, out))

    def scores_gradient_hessian(
        self, y: Array, z: Array, s: Array, gradient: Array, hessian: Array
    ) -> float:
        """As ``scores_value_gradient``, with second derivatives to ``hessian``, of shape (n,)."""
        return self._run(_value_gradient_hessian, y, z, s, gradient, hessian)


class BinaryLoss(PointwiseLoss):
    """A pointwise loss for labels −1 and +1.

    The author writes what ``PointwiseLoss`` says. Other labels are an error, and a regressor
    refuses the loss.

    Examples
    --------
    >>> import math
    >>> from sklearn_margin import LinearClassifier
    >>> from sklearn_margin.losses import BinaryLoss
    >>> class Exponential(BinaryLoss):  # of AdaBoost
    ...     def sample_value(self, y, z):
    ...         return math.exp(-y * z)
    ...     def sample_gradient(self, y, z):
    ...         return -y * math.exp(-y * z)
    ...     def sample_hessian(self, y, z):
    ...         return math.exp(-y * z)
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], ["no", "no", "yes", "yes"]
    >>> LinearClassifier(Exponential(), alpha=0.1).fit(X, y).predict([[0.5]])
    array(['yes'], dtype='<U3')
    """

    def start_score(self, y: Array, s: Array) -> float:
        return 0.0

    def check_labels(self, y: Array) -> None:
        """Raise unless every label is −1 or +1."""
        wrong = np.abs(y) != 1
        if wrong.any():
            raise ValueError(
                f"y_true must hold only -1 and +1 for {type(self).__name__}, "
                f"got {y[wrong][0].item()!r}"
            )


class RegressionLoss(PointwiseLoss):
    """A pointwise loss of the residual r = y − z.

    The author writes what ``PointwiseLoss`` says. A fit starts from the median of the targets, and
    a classifier refuses the loss.

    Examples
    --------
    >>> import math
    >>> from sklearn_margin import LinearRegressor
    >>> from sklearn_margin.losses import RegressionLoss
    >>> class LogCosh(RegressionLoss):
    ...     def sample_value(self, y, z):
    ...         return math.log(math.cosh(y - z))
    ...     def sample_gradient(self, y, z):
    ...         return math.tanh(z - y)
    ...     def sample_hessian(self, y, z):
    ...         return 1.0 - math.tanh(z - y) ** 2
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
    >>> LinearRegressor(LogCosh(), alpha=1e-6).fit(X, y).predict([[4.0]]).round(2)
    array([9.])
    """

    coercive = True

    def start_score(self, y: Array, s: Array) -> float:
        return float(np.median(y[s > 0]))


# Samples of weight zero are skipped, not multiplied: 0 * inf would be NaN.


@kernel
def _value_gradient(loss, y, z, s, out):
    total = 0.0
    for i in range(z.shape[0]):
        if s[i] != 0:
            total += s[i] * loss.sample_value(y[i], z[i])
            out[i] = s[i] * loss.sample_gradient(y[i], z[i])
        else:
            out[i] = 0.0
    return total


@kernel
def _value_gradient_hessian(loss, y, z, s, gradient, hessian):
    total = 0.0
    for i in range(z.shape[0]):
        if s[i] != 0:
            total += s[i] * loss.sample_value(y[i], z[i])
            gradient[i] = s[i] * loss.sample_gradient(y[i], z[i])
            hessian[i] = s[i] * loss.sample_hessian(y[i], z[i])
        else:
            gradient[i] = 0.0
            hessian[i] = 0.0
    return total
