"""Losses of the residual r = y − z."""

from __future__ import annotations

import numpy as np

from sklearn_margin._typing import Array
from sklearn_margin._validation import check_number
from sklearn_margin.losses._envelope import envelope, envelope_gradient, envelope_hessian
from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.pointwise import RegressionLoss

__all__ = [
    "Absolute",
    "EpsilonInsensitive",
    "Huber",
    "Quantile",
    "Squared",
    "SquaredEpsilonInsensitive",
]


class Squared(RegressionLoss):
    r"""Squared error, r².

    Notes
    -----
    .. math:: \ell(y, z) = (y - z)^2

    Examples
    --------
    >>> from sklearn_margin.losses import Squared
    >>> Squared().value([1.0, 2.0], [0.0, 0.0])
    2.5
    """

    nonnegative = True

    def sample_value(self, y: float, z: float) -> float:
        return (y - z) ** 2

    def sample_gradient(self, y: float, z: float) -> float:
        return 2.0 * (z - y)

    def sample_hessian(self, y: float, z: float) -> float:
        return 2.0


class Absolute(RegressionLoss):
    r"""Absolute error, \|r\|; its minimiser is the conditional median.

    The derivative at r = 0 is taken to be 0.

    Notes
    -----
    .. math:: \ell(y, z) = |y - z|

    Examples
    --------
    >>> from sklearn_margin.losses import Absolute
    >>> Absolute().value([1.0, -2.0], [0.0, 0.0])
    1.5
    """

    nonnegative = True

    def sample_value(self, y: float, z: float) -> float:
        return abs(y - z)

    def sample_gradient(self, y: float, z: float) -> float:
        if y == z:
            return 0.0
        return -1.0 if y > z else 1.0

    def piecewise_linear(self, y: Array) -> list[tuple[Array, Array, Array]]:
        one = np.ones_like(y)
        return [(y, -one, one)]

    def smoothed(self, width: float) -> Loss:
        return SmoothedInterval(-1.0, 1.0, 0.0, width)


class Huber(RegressionLoss):
    r"""Huber loss: r²/2 if \|r\| ≤ delta, else delta·(\|r\| − delta/2) [1]_.

    Parameters
    ----------
    delta : float, default=1.35
        Residual at which the loss turns from quadratic to linear, in units of y.

    Notes
    -----
    .. math::

        \ell(y, z) = \begin{cases} \frac12 r^2 & |r| \le \delta \\ \delta \left(|r| -
        \frac12 \delta\right) & |r| > \delta \end{cases}

    with :math:`r = y - z`.

    References
    ----------
    .. [1] Huber, "Robust estimation of a location parameter", Annals of Mathematical
       Statistics 35, 1964.

    Examples
    --------
    >>> from sklearn_margin.losses import Huber
    >>> Huber(delta=1.0).value([0.5, 3.0], [0.0, 0.0])
    1.3125
    """

    nonnegative = True

    def __init__(self, delta: float = 1.35) -> None:
        self.delta = delta

    def check_params(self) -> None:
        check_number(self.delta, "delta", minimum=0, closed=False)

    def sample_value(self, y: float, z: float) -> float:
        r = abs(y - z)
        if r <= self.delta:
            return 0.5 * r * r
        return self.delta * (r - 0.5 * self.delta)

    def sample_gradient(self, y: float, z: float) -> float:
        return min(self.delta, max(-self.delta, z - y))

    def sample_hessian(self, y: float, z: float) -> float:
        return 1.0 if abs(y - z) <= self.delta else 0.0


class Quantile(RegressionLoss):
    r"""Quantile (pinball) loss, q·[r]₊ + (1 − q)·[−r]₊ [1]_.

    The derivative at r = 0 is taken to be 0.

    Parameters
    ----------
    quantile : float in (0, 1), default=0.5
        The quantile q of y given x that the minimiser estimates.

    Notes
    -----
    .. math:: \ell(y, z) = q \max(0, r) + (1 - q) \max(0, -r)

    with :math:`r = y - z`.

    References
    ----------
    .. [1] Koenker & Bassett, "Regression quantiles", Econometrica 46, 1978.

    Examples
    --------
    >>> from sklearn_margin.losses import Quantile
    >>> Quantile(quantile=0.9).value([1.0, -1.0], [0.0, 0.0])
    0.5
    """

    nonnegative = True

    def __init__(self, quantile: float = 0.5) -> None:
        self.quantile = quantile

    def check_params(self) -> None:
        check_number(self.quantile, "quantile", minimum=0, maximum=1, closed=False)

    def sample_value(self, y: float, z: float) -> float:
        r = y - z
        return self.quantile * r if r > 0 else (self.quantile - 1.0) * r

    def sample_gradient(self, y: float, z: float) -> float:
        if y == z:
            return 0.0
        return -self.quantile if y > z else 1.0 - self.quantile

    def piecewise_linear(self, y: Array) -> list[tuple[Array, Array, Array]]:
        one = np.ones_like(y)
        return [(y, -self.quantile * one, (1.0 - self.quantile) * one)]

    def smoothed(self, width: float) -> Loss:
        return SmoothedInterval(-self.quantile, 1.0 - self.quantile, 0.0, width)


class EpsilonInsensitive(RegressionLoss):
    r"""Epsilon-insensitive loss of support vector regression, [\|r\| − epsilon]₊ [1]_.

    The derivative at \|r\| = epsilon is taken to be 0.

    Parameters
    ----------
    epsilon : float, default=0.1
        Half the width of the band in which errors cost nothing, in units of y.

    Notes
    -----
    .. math:: \ell(y, z) = \max(0,\, |y - z| - \epsilon)

    References
    ----------
    .. [1] Vapnik, "The Nature of Statistical Learning Theory", Springer, 1995.

    Examples
    --------
    >>> from sklearn_margin.losses import EpsilonInsensitive
    >>> EpsilonInsensitive(epsilon=0.5).value([1.0, 0.2], [0.0, 0.0])
    0.25
    """

    nonnegative = True

    def __init__(self, epsilon: float = 0.1) -> None:
        self.epsilon = epsilon

    def check_params(self) -> None:
        check_number(self.epsilon, "epsilon", minimum=0)

    def sample_value(self, y: float, z: float) -> float:
        return max(0.0, abs(y - z) - self.epsilon)

    def sample_gradient(self, y: float, z: float) -> float:
        r = y - z
        if abs(r) <= self.epsilon:
            return 0.0
        return -1.0 if r > 0 else 1.0

    def piecewise_linear(self, y: Array) -> list[tuple[Array, Array, Array]]:
        zero, one = np.zeros_like(y), np.ones_like(y)
        return [(y - self.epsilon, -one, zero), (y + self.epsilon, zero, one)]

    def smoothed(self, width: float) -> Loss:
        return SmoothedInterval(-1.0, 1.0, self.epsilon, width)


class SquaredEpsilonInsensitive(RegressionLoss):
    r"""Squared epsilon-insensitive loss, [\|r\| − epsilon]₊².

    Parameters
    ----------
    epsilon : float, default=0.1
        Half the width of the band in which errors cost nothing, in units of y.

    Notes
    -----
    .. math:: \ell(y, z) = \max(0,\, |y - z| - \epsilon)^2

    Examples
    --------
    >>> from sklearn_margin.losses import SquaredEpsilonInsensitive
    >>> SquaredEpsilonInsensitive(epsilon=0.5).value([1.0, 0.2], [0.0, 0.0])
    0.125
    """

    nonnegative = True

    def __init__(self, epsilon: float = 0.1) -> None:
        self.epsilon = epsilon

    def check_params(self) -> None:
        check_number(self.epsilon, "epsilon", minimum=0)

    def sample_value(self, y: float, z: float) -> float:
        return max(0.0, abs(y - z) - self.epsilon) ** 2

    def sample_gradient(self, y: float, z: float) -> float:
        r = z - y
        excess = max(0.0, abs(r) - self.epsilon)
        return 2.0 * excess if r > 0 else -2.0 * excess

    def sample_hessian(self, y: float, z: float) -> float:
        return 2.0 if abs(y - z) >= self.epsilon else 0.0


class SmoothedInterval(RegressionLoss):
    r"""Moreau envelope of the piecewise-linear losses of this module, for solvers.

    max over θ in [lower, upper] of θ·e − epsilon·\|θ\| − width·θ²/2, with e = z − y.

    Parameters
    ----------
    lower, upper : float
        Slopes of the loss far below and far above y.
    epsilon : float
        Half the width of the flat part.
    width : float
        Parameter of the envelope.
    """

    nonnegative = True

    def __init__(
        self, lower: float = -1.0, upper: float = 1.0, epsilon: float = 0.0, width: float = 0.1
    ) -> None:
        self.lower = lower
        self.upper = upper
        self.epsilon = epsilon
        self.width = width

    def sample_value(self, y: float, z: float) -> float:
        steep = self.steepness(y, z)
        return steep * envelope(abs(z - y) - self.epsilon, steep * self.width)

    def sample_gradient(self, y: float, z: float) -> float:
        steep = self.steepness(y, z)
        slope = steep * envelope_gradient(abs(z - y) - self.epsilon, steep * self.width)
        return slope if z > y else -slope

    def sample_hessian(self, y: float, z: float) -> float:
        steep, u = self.steepness(y, z), abs(z - y) - self.epsilon
        if u == 0.0:  # no kink where both sides meet, which is if epsilon is 0
            return 1.0 / self.width
        return steep * envelope_hessian(u, steep * self.width)

    def steepness(self, y: float, z: float) -> float:
        r"""c of the hinge c·[\|e\| − epsilon]₊ that the loss is on this side of y."""
        return self.upper if z > y else -self.lower

    @property
    def envelope_width(self) -> float:
        return self.width
