"""The logistic loss of score differences."""

from __future__ import annotations

from typing import Literal

from sklearn_margin.losses._probability import sigmoid, sigmoid_gradient, softplus
from sklearn_margin.losses.cross_entropy import Logistic
from sklearn_margin.losses.pairs.base import PairwiseLoss
from sklearn_margin.losses.pairs.logistic_sums import LogisticSums

__all__ = ["PairwiseLogistic"]


class PairwiseLogistic(PairwiseLoss):
    r"""Pairwise logistic loss of RankNet, log(1 + e^(−d)) with d = z_i − z_j [1]_.

    The negative log-likelihood of the order of a pair if row i beats row j with probability σ(d).
    Evaluated without overflow for any d. Value, gradient and Hessian product cost O(pairs) time,
    with one exponential per row, and O(n) memory.

    Parameters
    ----------
    weighting : {"difference", "uniform"}, default="difference"
        Weight of a pair: y_i − y_j or 1. With labels 0 and 1 they are the same.

    Notes
    -----
    .. math:: \frac{\sum_{y_i > y_j} u_{ij} \log(1 + e^{-(z_i - z_j)})}{\sum_{y_i > y_j} u_{ij}}

    References
    ----------
    .. [1] Burges, Shaked, Renshaw, Lazier, Deeds, Hamilton & Hullender, "Learning to rank using
       gradient descent", ICML 2005.

    Examples
    --------
    >>> from sklearn_margin.losses import PairwiseLogistic
    >>> round(PairwiseLogistic().value([0, 1], [0.5, 0.5]), 6)
    0.693147
    """

    nonnegative = True

    def __init__(self, weighting: Literal["uniform", "difference"] = "difference") -> None:
        self.weighting = weighting

    def pair_value(self, d: float) -> float:
        return softplus(-d)

    def pair_gradient(self, d: float) -> float:
        return -sigmoid(-d)

    def pair_hessian(self, d: float) -> float:
        return sigmoid_gradient(d)

    summation = LogisticSums()

    @property
    def binary(self):
        return Logistic()
