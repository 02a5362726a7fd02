"""Hinges of score differences, linear and squared."""

from __future__ import annotations

from typing import Literal

from sklearn_margin._validation import check_number
from sklearn_margin.losses._envelope import envelope, envelope_gradient, envelope_hessian
from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.binary import Hinge, SquaredHinge
from sklearn_margin.losses.pairs.base import PairwiseLoss
from sklearn_margin.losses.pairs.hinge_sums import HingeSums

__all__ = ["PairwiseHinge", "PairwiseSquaredHinge", "SmoothedPairwiseHinge"]


class PairwiseHinge(PairwiseLoss):
    r"""Pairwise hinge loss of RankSVM, [margin − d]₊ with d = z_i − z_j [1]_.

    Value and gradient cost O(n log n) per group. The derivative at d = margin is 0.

    Parameters
    ----------
    margin : float, default=1.0
        Score difference from which a pair costs nothing.
    weighting : {"difference", "uniform"}, default="difference"
        Weight of a pair: y_i − y_j or 1. With labels 0 and 1 they are the same.

    Notes
    -----
    .. math::

        \frac{\sum_{y_i > y_j} u_{ij} \max(0,\, \mathrm{margin} - (z_i - z_j))}{\sum_{y_i >
        y_j} u_{ij}}

    References
    ----------
    .. [1] Joachims, "Optimizing search engines using clickthrough data", KDD 2002.

    Examples
    --------
    >>> from sklearn_margin.losses import PairwiseHinge
    >>> PairwiseHinge(margin=0.3).value([0, 1, 2], [0.0, 0.5, 0.4])
    0.1
    """

    nonnegative = True

    def __init__(
        self, margin: float = 1.0, weighting: Literal["uniform", "difference"] = "difference"
    ) -> None:
        self.margin = margin
        self.weighting = weighting

    def check_params(self) -> None:
        super().check_params()
        check_number(self.margin, "margin", minimum=0)

    def pair_value(self, d: float) -> float:
        return max(0.0, self.margin - d)

    def pair_gradient(self, d: float) -> float:
        return -1.0 if d < self.margin else 0.0

    hinge_shape = "sum"

    @property
    def summation(self):
        return HingeSums((self.margin, 1.0, 0.0))

    @property
    def binary(self):
        return Hinge(self.margin)

    def smoothed(self, width: float) -> Loss | None:
        return SmoothedPairwiseHinge(self.margin, self.pair_weighting, width)


class PairwiseSquaredHinge(PairwiseLoss):
    r"""Squared pairwise hinge loss, [margin − d]₊² with d = z_i − z_j [1]_.

    Value, gradient and Hessian product cost O(n log n) per group.

    Parameters
    ----------
    margin : float, default=1.0
        Score difference from which a pair costs nothing.
    weighting : {"difference", "uniform"}, default="difference"
        Weight of a pair: y_i − y_j or 1. With labels 0 and 1 they are the same.

    Notes
    -----
    .. math::

        \frac{\sum_{y_i > y_j} u_{ij} \max(0,\, \mathrm{margin} - (z_i - z_j))^2}{\sum_{y_i
        > y_j} u_{ij}}

    References
    ----------
    .. [1] Lee & Lin, "Large-scale linear RankSVM", Neural Computation 26, 2014.

    Examples
    --------
    >>> from sklearn_margin.losses import PairwiseSquaredHinge
    >>> PairwiseSquaredHinge(margin=1.0).value([0, 1], [0.0, 0.5])
    0.25
    """

    nonnegative = True

    def __init__(
        self, margin: float = 1.0, weighting: Literal["uniform", "difference"] = "difference"
    ) -> None:
        self.margin = margin
        self.weighting = weighting

    def check_params(self) -> None:
        super().check_params()
        check_number(self.margin, "margin", minimum=0)

    def pair_value(self, d: float) -> float:
        return max(0.0, self.margin - d) ** 2

    def pair_gradient(self, d: float) -> float:
        return -2.0 * max(0.0, self.margin - d)

    def pair_hessian(self, d: float) -> float:
        return 2.0 if d < self.margin else 0.0

    @property
    def summation(self):
        return HingeSums((self.margin, 0.0, 1.0))

    @property
    def binary(self):
        return SquaredHinge(self.margin)


class SmoothedPairwiseHinge(PairwiseHinge):
    """Moreau envelope of the pairwise hinge, for solvers: ([u]₊² − [u − w]₊²)/(2w), u = margin − d.

    Parameters
    ----------
    margin, weighting
        As in ``PairwiseHinge``.
    width : float, default=0.1
        Width w of the quadratic part.
    """

    nonnegative = True

    def __init__(self, margin=1.0, weighting="difference", width=0.1):
        super().__init__(margin, weighting)
        self.width = width

    def pair_value(self, d: float) -> float:
        return envelope(self.margin - d, self.width)

    def pair_gradient(self, d: float) -> float:
        return -envelope_gradient(self.margin - d, self.width)

    def pair_hessian(self, d: float) -> float:
        return envelope_hessian(self.margin - d, self.width)

    @property
    def summation(self):
        factor = 0.5 / self.width
        return HingeSums((self.margin, 0.0, factor), (self.margin - self.width, 0.0, -factor))

    @property
    def envelope_width(self) -> float:
        return self.width
