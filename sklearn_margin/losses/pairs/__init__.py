"""Losses of score differences over pairs of rows, and how they are summed."""

from sklearn_margin.losses.pairs.base import PairwiseLoss
from sklearn_margin.losses.pairs.given import MarginRanking
from sklearn_margin.losses.pairs.hinge import PairwiseHinge, PairwiseSquaredHinge
from sklearn_margin.losses.pairs.logistic import PairwiseLogistic

__all__ = [
    "MarginRanking",
    "PairwiseHinge",
    "PairwiseLogistic",
    "PairwiseLoss",
    "PairwiseSquaredHinge",
]
