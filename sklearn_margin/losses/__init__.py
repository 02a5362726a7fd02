"""Losses: what is minimised."""

from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.batch import BatchLoss
from sklearn_margin.losses.binary import Hinge, ModifiedHuber, SmoothedHinge, SquaredHinge
from sklearn_margin.losses.cross_entropy import CrossEntropy, Logistic
from sklearn_margin.losses.dice import Dice
from sklearn_margin.losses.embedding import (
    GE2E,
    NCA,
    ArcFace,
    Circle,
    Contrastive,
    EmbeddingLoss,
    InfoNCE,
    MultipleNegativesRanking,
    Triplet,
)
from sklearn_margin.losses.listwise import ListwiseSoftmax
from sklearn_margin.losses.multiclass import MulticlassLoss
from sklearn_margin.losses.multiclass_hinge import CrammerSinger, WestonWatkins
from sklearn_margin.losses.pairs import (
    MarginRanking,
    PairwiseHinge,
    PairwiseLogistic,
    PairwiseLoss,
    PairwiseSquaredHinge,
)
from sklearn_margin.losses.pointwise import BinaryLoss, PointwiseLoss, RegressionLoss
from sklearn_margin.losses.probability import Focal, Poly, ProbabilityLoss
from sklearn_margin.losses.regression import (
    Absolute,
    EpsilonInsensitive,
    Huber,
    Quantile,
    Squared,
    SquaredEpsilonInsensitive,
)

__all__ = [
    "GE2E",
    "NCA",
    "Absolute",
    "ArcFace",
    "BatchLoss",
    "BinaryLoss",
    "Circle",
    "Contrastive",
    "CrammerSinger",
    "CrossEntropy",
    "Dice",
    "EmbeddingLoss",
    "EpsilonInsensitive",
    "Focal",
    "Hinge",
    "Huber",
    "InfoNCE",
    "ListwiseSoftmax",
    "Logistic",
    "Loss",
    "MarginRanking",
    "ModifiedHuber",
    "MulticlassLoss",
    "MultipleNegativesRanking",
    "PairwiseHinge",
    "PairwiseLogistic",
    "PairwiseLoss",
    "PairwiseSquaredHinge",
    "PointwiseLoss",
    "Poly",
    "ProbabilityLoss",
    "Quantile",
    "RegressionLoss",
    "SmoothedHinge",
    "Squared",
    "SquaredEpsilonInsensitive",
    "SquaredHinge",
    "Triplet",
    "WestonWatkins",
]
