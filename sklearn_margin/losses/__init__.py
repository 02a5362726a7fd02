"""Losses: what is minimised."""

from sklearn_margin.losses.base import (
    BinaryLoss,
    Loss,
    PairwiseLoss,
    PointwiseLoss,
    RegressionLoss,
)
from sklearn_margin.losses.binary import Hinge, ModifiedHuber, SmoothedHinge, SquaredHinge
from sklearn_margin.losses.cross_entropy import CrossEntropy, Logistic
from sklearn_margin.losses.dice import BatchLoss, Dice
from sklearn_margin.losses.embedding import EmbeddingLoss
from sklearn_margin.losses.embedding_class import GE2E, ArcFace
from sklearn_margin.losses.embedding_cosine import Circle, InfoNCE, MultipleNegativesRanking
from sklearn_margin.losses.embedding_distance import Contrastive, Triplet
from sklearn_margin.losses.embedding_neighbours import NCA
from sklearn_margin.losses.multiclass import MulticlassLoss
from sklearn_margin.losses.multiclass_hinge import CrammerSinger, WestonWatkins
from sklearn_margin.losses.pairwise import (
    MarginRanking,
    PairwiseHinge,
    PairwiseLogistic,
    PairwiseSquaredHinge,
)
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
