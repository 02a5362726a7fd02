"""Losses for labels y ∈ {−1, +1} and one score z; m = y·z is the margin of a sample."""

from __future__ import annotations

import numpy as np

from sklearn_margin._typing import Array
from sklearn_margin._validation import check_number
from sklearn_margin.losses._envelope import envelope, envelope_gradient, envelope_hessian
from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.pointwise import BinaryLoss

__all__ = ["Hinge", "ModifiedHuber", "SmoothedHinge", "SquaredHinge"]


class Hinge(BinaryLoss):
    r"""Hinge loss of the support vector machine, [margin − m]₊ [1]_.

    The derivative at the kink m = margin is taken to be 0.

    Parameters
    ----------
    margin : float, default=1.0
        Margin below which a sample costs; 0 gives the perceptron loss.

    Notes
    -----
    .. math:: \ell(y, z) = \max(0,\, \mathrm{margin} - y z)

    References
    ----------
    .. [1] Cortes & Vapnik, "Support-vector networks", Machine Learning 20, 1995.

    Examples
    --------
    >>> from sklearn_margin.losses import Hinge
    >>> Hinge().value([1, -1], [0.5, 0.5])
    1.0
    >>> Hinge().gradient([1, -1], [0.5, 0.5])
    array([-0.5,  0.5])
    """

    nonnegative = True

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = margin

    def check_params(self) -> None:
        check_number(self.margin, "margin", minimum=0)

    def sample_value(self, y: float, z: float) -> float:
        return max(0.0, self.margin - y * z)

    def sample_gradient(self, y: float, z: float) -> float:
        return -y if y * z < self.margin else 0.0

    def piecewise_linear(self, y: Array) -> list[tuple[Array, Array, Array]]:
        zero = np.zeros_like(y)
        return [(self.margin * y, np.where(y > 0, -1.0, zero), np.where(y > 0, zero, 1.0))]

    def smoothed(self, width: float) -> Loss:
        return SmoothedHinge(self.margin, width)


class SquaredHinge(BinaryLoss):
    r"""Squared hinge loss, [margin − m]₊² (the L2-SVM).

    Parameters
    ----------
    margin : float, default=1.0
        Margin below which a sample costs.

    Notes
    -----
    .. math:: \ell(y, z) = \max(0,\, \mathrm{margin} - y z)^2

    Examples
    --------
    >>> from sklearn_margin.losses import SquaredHinge
    >>> SquaredHinge().value([1, -1], [0.5, 0.5])
    1.25
    """

    nonnegative = True

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = margin

    def check_params(self) -> None:
        check_number(self.margin, "margin", minimum=0)

    def sample_value(self, y: float, z: float) -> float:
        return max(0.0, self.margin - y * z) ** 2

    def sample_gradient(self, y: float, z: float) -> float:
        return -2.0 * y * max(0.0, self.margin - y * z)

    def sample_hessian(self, y: float, z: float) -> float:
        return 2.0 if y * z < self.margin else 0.0

    def piecewise_quadratic(self, y: Array) -> list[tuple[Array, Array, Array, Array]]:
        left, right = np.where(y > 0, -np.inf, 0.0), np.where(y > 0, 0.0, np.inf)
        return [(self.margin * y, left, right, np.full(len(y), 0.5))]


class SmoothedHinge(BinaryLoss):
    r"""Hinge loss smoothed by its Moreau envelope.

    With u = margin − m: 0 for u ≤ 0, u²/(2·smoothing) for 0 < u < smoothing, and
    u − smoothing/2 beyond. It lies below the hinge by at most smoothing/2 and tends to
    it as ``smoothing`` goes to 0 [1]_.

    Parameters
    ----------
    margin : float, default=1.0
        Margin below which a sample costs.
    smoothing : float, default=0.5
        Width of the quadratic part.

    Notes
    -----
    .. math::

        \ell(y, z) = \begin{cases} 0 & u \le 0 \\ u^2 / (2 s) & 0 < u < s \\ u - s/2 & u \ge
        s \end{cases}

    with :math:`u = \mathrm{margin} - y z` and s for ``smoothing``.

    References
    ----------
    .. [1] Shalev-Shwartz & Zhang, "Stochastic dual coordinate ascent methods for
       regularized loss minimization", JMLR 14, 2013.

    Examples
    --------
    >>> from sklearn_margin.losses import SmoothedHinge
    >>> SmoothedHinge().value([1, -1], [0.5, 0.5])
    0.75
    """

    nonnegative = True

    def __init__(self, margin: float = 1.0, smoothing: float = 0.5) -> None:
        self.margin = margin
        self.smoothing = smoothing

    def check_params(self) -> None:
        check_number(self.margin, "margin", minimum=0)
        check_number(self.smoothing, "smoothing", minimum=0, closed=False)

    def sample_value(self, y: float, z: float) -> float:
        return envelope(self.margin - y * z, self.smoothing)

    def sample_gradient(self, y: float, z: float) -> float:
        return -y * envelope_gradient(self.margin - y * z, self.smoothing)

    def sample_hessian(self, y: float, z: float) -> float:
        return envelope_hessian(self.margin - y * z, self.smoothing)

    @property
    def envelope_width(self) -> float:
        return self.smoothing


class ModifiedHuber(BinaryLoss):
    r"""Modified Huber loss, [1 − m]₊² if m ≥ −1 else −4m [1]_.

    Notes
    -----
    .. math::

        \ell(y, z) = \begin{cases} \max(0,\, 1 - y z)^2 & y z \ge -1 \\ -4 y z & y z < -1
        \end{cases}

    References
    ----------
    .. [1] Zhang, "Solving large scale linear prediction problems using stochastic
       gradient descent algorithms", ICML 2004.

    Examples
    --------
    >>> from sklearn_margin.losses import ModifiedHuber
    >>> ModifiedHuber().value([1, 1], [0.5, -2.0])
    4.125
    """

    nonnegative = True

    def sample_value(self, y: float, z: float) -> float:
        m = y * z
        if m < -1.0:
            return -4.0 * m
        return max(0.0, 1.0 - m) ** 2

    def sample_gradient(self, y: float, z: float) -> float:
        m = y * z
        if m < -1.0:
            return -4.0 * y
        return -2.0 * y * max(0.0, 1.0 - m)

    def sample_hessian(self, y: float, z: float) -> float:
        return 2.0 if -1.0 <= y * z < 1.0 else 0.0
