"""Losses: what is minimised."""

from sklearn_margin.losses.base import (
    BinaryLoss,
    Loss,
    PairwiseLoss,
    PointwiseLoss,
    RegressionLoss,
)
from sklearn_margin.losses.binary import (
    Hinge,
    Logistic,
    ModifiedHuber,
    SmoothedHinge,
    SquaredHinge,
)
from sklearn_margin.losses.pairwise import (
    MarginRanking,
    PairwiseHinge,
    PairwiseLogistic,
    PairwiseSquaredHinge,
)
from sklearn_margin.losses.regression import (
    Absolute,
    EpsilonInsensitive,
    Huber,
    Quantile,
    Squared,
    SquaredEpsilonInsensitive,
)

__all__ = [
    "Absolute",
    "BinaryLoss",
    "EpsilonInsensitive",
    "Hinge",
    "Huber",
    "Logistic",
    "Loss",
    "MarginRanking",
    "ModifiedHuber",
    "PairwiseHinge",
    "PairwiseLogistic",
    "PairwiseLoss",
    "PairwiseSquaredHinge",
    "PointwiseLoss",
    "Quantile",
    "RegressionLoss",
    "SmoothedHinge",
    "Squared",
    "SquaredEpsilonInsensitive",
    "SquaredHinge",
]
